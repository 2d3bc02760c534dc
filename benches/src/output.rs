//! Command line and output that every bench and report binary shares.

use crate::row::{Row, table};
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Options of a bench or report binary.
#[derive(Debug, Clone, Default, clap::Parser)]
pub struct Options {
    /// Write the rows to this file as JSON lines, for `cargo xtask`; without it they print as a table.
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// Fewer repetitions and smaller cases: shows that everything runs, not how fast.
    #[arg(long)]
    pub quick: bool,
    /// Also what takes long: trainings anew whose results are else read from a file.
    #[arg(long)]
    pub full: bool,
    /// Only what has this text in its name.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

impl Options {
    /// Whether what has this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|text| name.contains(text.as_str()))
    }
}

/// Collects rows; each one is on disk as soon as it is known, so that a stopped run keeps what it measured.
pub struct Output {
    rows: Vec<Row>,
    names: HashSet<String>,
    file: Option<BufWriter<File>>,
}

impl Output {
    /// Creates the file that the options name.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(options: &Options) -> Result<Self> {
        let open = |path: &PathBuf| {
            File::create(path)
                .map(BufWriter::new)
                .with_context(|| format!("cannot create {}", path.display()))
        };
        let file = options.rows.as_ref().map(open).transpose()?;
        Ok(Self { rows: Vec::new(), names: HashSet::new(), file })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A name that another row has, since tables of two runs are compared by names; when it cannot be written.
    pub fn push(&mut self, row: Row) -> Result<()> {
        ensure!(self.names.insert(row.name.clone()), "two rows are named {:?}", row.name);
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, &row)?;
            file.write_all(b"\n")?;
            file.flush()?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// Prints the table if no file was named, and gives the rows back.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn finish(self) -> Result<Vec<Row>> {
        if self.file.is_none() {
            std::io::stdout().write_all(table(&self.rows).as_bytes())?;
        }
        Ok(self.rows)
    }
}

/// What failed, in words, beside the table: up to 20 of it.
///
/// # Errors
/// Those of the standard error stream.
pub fn explain(what: &str, failures: &[String]) -> anyhow::Result<()> {
    let mut to = std::io::stderr();
    for failure in failures.iter().take(20) {
        std::io::Write::write_fmt(&mut to, format_args!("{what}: {failure}\n"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_lines_of_json() -> Result<()> {
        let path = std::env::temp_dir().join(format!("pullback-rows-{}", std::process::id()));
        let mut output = Output::new(&Options { rows: Some(path.clone()), ..Options::default() })?;
        output.push(Row::new("a", "s", 1.0))?;
        output.push(Row::new("b", "s", 2.0))?;
        let lines: Vec<Row> = std::fs::read_to_string(&path)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        std::fs::remove_file(&path)?;
        assert_eq!(lines, output.finish()?);
        Ok(())
    }

    #[test]
    fn a_name_comes_once() -> Result<()> {
        let mut output = Output::new(&Options::default())?;
        output.push(Row::new("a", "s", 1.0))?;
        let error = output.push(Row::new("a", "ms", 2.0)).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("two rows are named \"a\""));
        Ok(())
    }

    #[test]
    fn a_text_chooses() {
        let options = Options { only: Some("norm".into()), ..Options::default() };
        assert!(options.wants("batch norm") && !options.wants("softmax"));
        assert!(Options::default().wants("softmax"));
    }

    #[test]
    fn an_impossible_file_is_named() {
        let options = Options { rows: Some("/no/such/folder/rows".into()), ..Options::default() };
        let error = Output::new(&options).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("/no/such/folder/rows"), "{error}");
    }
}
