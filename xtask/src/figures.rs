//! The pictures of the READMEs, each with the command that draws it.

use crate::shell;
use anyhow::{Result, bail};

/// Options of `figures`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The figures to draw; all of them if none is named.
    names: Vec<String>,
    /// Say which figures there are.
    #[arg(long)]
    list: bool,
}

/// What `cargo` runs for each figure. A program writes its pictures below the current folder's target/.
const FIGURES: &[(&str, &[&str])] = &[
    (
        "chain_rule",
        &["run", "--release", "-p", "examples", "--bin", "01_chain_rule", "--", "--quick"],
    ),
    (
        "physics_controller",
        &["run", "--release", "-p", "examples", "--bin", "02_physics_controller", "--", "--quick"],
    ),
    ("kinematics", &["run", "--release", "-p", "examples", "--bin", "03_kinematics"]),
    ("landscape", &["run", "--release", "-p", "examples", "--bin", "04_landscape"]),
    ("digits", &["run", "--release", "-p", "examples", "--bin", "07_digits"]),
    ("qp_layer", &["run", "--release", "-p", "examples", "--bin", "14_qp_layer"]),
    ("sensitivity", &["run", "--release", "-p", "examples", "--bin", "15_sensitivity"]),
    (
        "demo",
        &[
            "run",
            "--release",
            "-p",
            "pullback-tossingbot",
            "--bin",
            "tossingbot",
            "--",
            "demo",
            "--out",
            "target/figures/demo",
        ],
    ),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for (name, command) in FIGURES {
            println!("{name:<20} cargo {}", command.join(" "));
        }
        return Ok(());
    }
    for (_, command) in chosen(&arguments.names)? {
        shell::run(&mut shell::cargo(*command))?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static (&'static str, &'static [&'static str])>> {
    if let Some(unknown) = names.iter().find(|n| FIGURES.iter().all(|(name, _)| name != n)) {
        let known: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
        bail!("no figure {unknown}; there are {}", known.join(", "));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    Ok(FIGURES.iter().filter(|(name, _)| wanted(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_unknown_ones_are_refused() {
        assert_eq!(chosen(&[]).map(|f| f.len()).ok(), Some(FIGURES.len()));
        assert_eq!(chosen(&["demo".into()]).map(|f| f.len()).ok(), Some(1));
        let message = chosen(&["nothing".into()]).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("nothing") && message.contains("chain_rule"), "{message}");
    }
}
