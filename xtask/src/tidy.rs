//! Rules of the workspace that no compiler checks. Each is a function from text to findings, with a test that sees it fail.

mod licences;
mod text;
mod workspace;

use crate::{metadata, shell};
use anyhow::{Context, Result, bail};
use std::fmt;
pub(crate) use workspace::TOOLS;

/// A broken rule and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

pub(crate) fn run() -> Result<()> {
    let files = files()?;
    let mut findings = Vec::new();
    for path in &files {
        let full = shell::root().join(path);
        // A file that git still lists but that is gone is about to be committed as removed.
        let Ok(bytes) = std::fs::read(&full) else { continue };
        // What is not UTF-8 is a picture or an archive, and has no lines.
        if let Ok(content) = String::from_utf8(bytes) {
            findings.extend(text::check(path, &content));
        }
    }
    let ours = metadata::workspace()?;
    findings.extend(workspace::check(&ours.packages));
    let all = metadata::with_dependencies()?;
    findings.extend(licences::check(&all.packages));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!(
                "tidy: {} files and {} packages are in order",
                files.len(),
                all.packages.len()
            );
            Ok(())
        }
        n => bail!("{n} findings"),
    }
}

/// Files that git tracks or would track, with `/` between folders.
fn files() -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let text = shell::output(&mut shell::program("git", list))
        .context("tidy asks git which files belong to the workspace")?;
    let mut files: Vec<_> = text.split('\0').filter(|f| !f.is_empty()).map(String::from).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_knows_this_file() -> Result<()> {
        assert!(files()?.contains(&"xtask/src/tidy.rs".to_owned()));
        Ok(())
    }

    #[test]
    fn findings_read_as_place_and_message() {
        let finding = Finding::new("a.rs:3", "blanks at the end of the line");
        assert_eq!(finding.to_string(), "a.rs:3: blanks at the end of the line");
    }
}
