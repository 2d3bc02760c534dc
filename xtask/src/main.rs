//! `cargo xtask`: everything that a developer of this workspace runs, as one program with no hidden state.
//!
//! Exit codes: 0 done, 1 something failed or a target was missed, 2 wrong usage.

// A command-line program talks to its user by printing.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod ci;
mod data;
mod demo;
mod doc;
mod figures;
mod metadata;
mod peers;
// The benches write what xtask prints; one file says what a row is. xtask only reads rows, so part of it is unused here.
#[allow(dead_code, unreachable_pub)]
#[path = "../../benches/src/row.rs"]
mod row;
mod shell;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands of the pullback workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train the throwing robot, evaluate it, and write a page of what it learned (release build).
    Demo(demo::Arguments),
    /// Run all tests of the workspace, doctests included.
    Test {
        /// Passed on to `cargo test --workspace`, as in `cargo xtask test -p pullback-nn -- --nocapture`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Run what has to pass before a change lands, step by step, with times.
    Ci(ci::Arguments),
    /// Check the rules of the workspace that are not the compiler's: sizes, comments, paths, crates, licences.
    Tidy,
    /// Build the documentation with formulas that render offline.
    Doc(doc::Arguments),
    /// Draw the pictures that the examples and the demo make (the demo takes minutes; name single figures).
    Figures(figures::Arguments),
    /// Measure speed, next to other systems with --peers.
    Bench(bench::BenchArguments),
    /// Measure accuracy and behaviour; fails if a target is missed.
    Report(bench::ReportArguments),
    /// Fetch third-party material into target/data, checked by its SHA-256.
    Data(data::Arguments),
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test { rest } => shell::run(shell::cargo(["test", "--workspace"]).args(rest)),
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Doc(arguments) => doc::run(&arguments),
        Command::Figures(arguments) => figures::run(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Report(arguments) => bench::report(&arguments),
        Command::Data(arguments) => data::run(&arguments),
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parses(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(format!("xtask {line}").split_whitespace())
    }

    #[test]
    fn the_interface_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn documented_lines_parse() {
        for line in [
            "demo",
            "demo --seed 3 --resume --objects target/data/objects --out target/demo",
            "test",
            "test -p pullback-nn -- --nocapture",
            "ci",
            "ci clippy tidy --keep-going",
            "tidy",
            "doc --open",
            "figures",
            "figures demo",
            "figures --list",
            "bench",
            "bench core-graph --peers --quick --json rows.json",
            "report core-graph --json rows.json --quick",
            "data",
            "data objects",
        ] {
            assert!(parses(line).is_ok(), "{line}: {:?}", parses(line).err());
        }
    }

    #[test]
    fn wrong_lines_are_usage_errors() {
        for line in ["", "nonsense", "ci nonsense", "bench --json", "tidy extra", "data a b"] {
            let error = parses(line).err();
            assert!(error.is_some_and(|e| e.exit_code() == 2), "{line}");
        }
    }

    #[test]
    fn test_passes_everything_on() {
        let rest = match parses("test -p pullback-nn --release -- --nocapture").map(|c| c.command) {
            Ok(Command::Test { rest }) => rest,
            _ => Vec::new(),
        };
        assert_eq!(rest, ["-p", "pullback-nn", "--release", "--", "--nocapture"]);
    }
}
