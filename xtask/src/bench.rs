//! `bench` and `report`: run the programs that measure, print their rows, write them as JSON.
//!
//! The programs are `benches/src/bin/{bench,report}_<crate>.rs`; they write rows to the file that `--rows` names.

use crate::row::{Row, table};
use crate::{metadata, peers, shell};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What both commands have in common.
#[derive(Debug, clap::Args)]
struct Common {
    /// The crate to measure, as in `core-graph`; all that have such a program if none is named.
    #[arg(value_name = "CRATE")]
    name: Option<String>,
    /// Fewer repetitions and smaller cases.
    #[arg(long)]
    quick: bool,
    /// Also what takes long, where a program has such a part: all trainings of `vin` anew.
    #[arg(long)]
    full: bool,
    /// Only what has this text in its name, where a program can leave out the rest.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Also write the rows of all crates to this file, as one JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run the same work in other systems, in the same run; a bench in turns with ours, a report (of `diffphys`) to compare its numbers
    /// (needs Python 3.11 or newer; fetches about 0.9 GB into target/ the first time).
    #[arg(long)]
    peers: bool,
}

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    common: Common,
}

/// Options of `report`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    common: Common,
}

pub(crate) fn bench(arguments: &BenchArguments) -> Result<()> {
    // A missed speed target is no failure: the number depends on the machine, and stands in the table.
    measure("bench", &arguments.common).map(|_| ())
}

pub(crate) fn report(arguments: &ReportArguments) -> Result<()> {
    let missed: Vec<_> = measure("report", &arguments.common)?
        .into_iter()
        .filter(|of| of.row.met == Some(false))
        .map(|of| format!("{}: {}", of.of_crate, of.row.name))
        .collect();
    if missed.is_empty() { Ok(()) } else { bail!("targets missed: {}", missed.join("; ")) }
}

/// A row in the JSON file.
#[derive(Debug, Serialize)]
struct RowOfCrate {
    #[serde(rename = "crate")]
    of_crate: String,
    #[serde(flatten)]
    row: Row,
}

fn measure(kind: &str, common: &Common) -> Result<Vec<RowOfCrate>> {
    let binaries = metadata::package("benches")?.binaries();
    let programs = chosen(kind, &binaries, common.name.as_deref())?;
    let python = if common.peers { Some(peers::python()?) } else { None };
    if kind == "bench"
        && let Some(warning) = load().and_then(|(l, n)| busy(l, n))
    {
        eprintln!("{warning}");
    }
    let folder = shell::target().join(kind);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut all = Vec::new();
    for (of_crate, binary) in programs {
        let file = folder.join(format!("{binary}.jsonl"));
        // Rows of an earlier run must not pass for this one's.
        fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        if binary == "bench_nn" {
            // By itself, so that candle has the features that it chooses; the bench finds it beside its own program.
            shell::run(&mut shell::cargo(["build", "--release", "-p", "candle-peer"]))?;
        }
        let mut command =
            shell::cargo(["run", "--release", "-p", "benches", "--bin", &binary, "--", "--rows"]);
        command.arg(&file);
        if common.quick {
            command.arg("--quick");
        }
        if common.full {
            command.arg("--full");
        }
        if let Some(text) = &common.only {
            command.arg("--only").arg(text);
        }
        // Two threads on both sides, unless a row says one or the user says otherwise.
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            command.env("RAYON_NUM_THREADS", "2");
        }
        match &python {
            Some(python) => command.env(peers::PYTHON_VARIABLE, python),
            None => command.env_remove(peers::PYTHON_VARIABLE),
        };
        let outcome = shell::run(&mut command);
        let rows = read(&file)?;
        println!("\n{kind} {of_crate}\n\n{}", table(&rows));
        outcome?;
        if rows.is_empty() {
            bail!("{binary} wrote no rows");
        }
        all.extend(rows.into_iter().map(|row| RowOfCrate { of_crate: of_crate.clone(), row }));
    }
    if let Some(path) = &common.json {
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(all)
}

/// Mean number of running processes in the last minute, and processors; only Linux tells.
fn load() -> Option<(f64, usize)> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load = text.split_whitespace().next()?.parse().ok()?;
    Some((load, std::thread::available_parallelism().ok()?.get()))
}

fn busy(load: f64, processors: usize) -> Option<String> {
    let text = format!(
        "warning: the machine is busy (load {load} on {processors} processors); times taken now are too long"
    );
    (load > 0.5 * processors as f64).then_some(text)
}

/// (crate, program) for the crate that is named, or for all.
fn chosen(kind: &str, binaries: &[String], name: Option<&str>) -> Result<Vec<(String, String)>> {
    let all: Vec<_> = binaries
        .iter()
        .filter_map(|b| {
            Some((b.strip_prefix(kind)?.strip_prefix('_')?.replace('_', "-"), b.clone()))
        })
        .collect();
    let Some(name) = name else {
        if all.is_empty() {
            bail!("benches/src/bin has no {kind}_<crate>.rs");
        }
        return Ok(all);
    };
    let wanted = name.strip_prefix("pullback-").unwrap_or(name).replace('_', "-");
    let known: Vec<_> = all.iter().map(|(c, _)| c.clone()).collect();
    match all.into_iter().find(|(c, _)| *c == wanted) {
        Some(found) => Ok(vec![found]),
        None => bail!("no {kind} for {name}; there are: {}", known.join(", ")),
    }
}

fn read(file: &Path) -> Result<Vec<Row>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    text.lines()
        .map(|l| serde_json::from_str(l).with_context(|| format!("not a row: {l}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries() -> Vec<String> {
        ["bench_core_graph", "bench_nn", "report_core_graph"].map(String::from).to_vec()
    }

    #[test]
    fn crates_are_found_by_any_of_their_names() -> Result<()> {
        for name in ["core-graph", "core_graph", "pullback-core-graph"] {
            let want = vec![("core-graph".to_owned(), "bench_core_graph".to_owned())];
            assert_eq!(chosen("bench", &binaries(), Some(name))?, want);
        }
        assert_eq!(chosen("bench", &binaries(), None)?.len(), 2);
        assert_eq!(chosen("report", &binaries(), None)?.len(), 1);
        Ok(())
    }

    #[test]
    fn a_crate_without_a_program_is_refused_with_the_list() {
        let error = chosen("bench", &binaries(), Some("vin")).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("no bench for vin; there are: core-graph, nn"));
        assert!(chosen("bench", &[], None).is_err());
    }

    #[test]
    fn json_rows_carry_their_crate() -> Result<()> {
        let row = RowOfCrate { of_crate: "nn".into(), row: Row::new("a", "s", 1.5).at_most(2.0) };
        let want = r#"{"crate":"nn","name":"a","unit":"s","value":1.5,"target":"≤ 2","met":true}"#;
        assert_eq!(serde_json::to_string(&row)?, want);
        Ok(())
    }

    #[test]
    fn a_busy_machine_is_told() {
        assert!(busy(0.4, 2).is_none());
        assert!(busy(3.5, 2).is_some_and(|w| w.contains("3.5 on 2")));
    }

    #[test]
    fn a_damaged_row_is_named() -> Result<()> {
        let file = std::env::temp_dir().join(format!("pullback-damaged-{}", std::process::id()));
        fs::write(&file, "{\"name\":\"a\",\"unit\":\"s\",\"value\":1}\n{\"na")?;
        let error = read(&file).err().map(|e| e.to_string()).unwrap_or_default();
        fs::remove_file(&file)?;
        assert!(error.contains("not a row: {\"na"), "{error}");
        Ok(())
    }
}
