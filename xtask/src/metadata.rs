//! The part of `cargo metadata` that xtask reads.

use crate::shell;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    /// None: may be published anywhere; empty: nowhere.
    pub(crate) publish: Option<Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for normal, `dev`, `build`.
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Package {
    /// The package's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new(""))
    }

    /// Names of the programs that the package builds, sorted.
    pub(crate) fn binaries(&self) -> Vec<String> {
        let is_program = |t: &&Target| t.kind.iter().any(|k| k == "bin");
        let mut names: Vec<_> =
            self.targets.iter().filter(is_program).map(|t| t.name.clone()).collect();
        names.sort();
        names
    }
}

/// Our own packages.
pub(crate) fn workspace() -> Result<Metadata> {
    read(&["--no-deps"])
}

/// Our packages and all that they depend on, as far as this machine's platform needs them: cargo has fetched no others.
pub(crate) fn with_dependencies() -> Result<Metadata> {
    let version = shell::output(&mut shell::program(
        std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()),
        ["-vV"],
    ))?;
    let host = version
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    read(&["--filter-platform", host])
}

/// One of our packages.
pub(crate) fn package(name: &str) -> Result<Package> {
    let found = workspace()?.packages.into_iter().find(|p| p.name == name);
    found.with_context(|| format!("the workspace has no package {name}"))
}

fn read(extra: &[&str]) -> Result<Metadata> {
    let text = shell::output(shell::cargo(["metadata", "--format-version", "1"]).args(extra))?;
    serde_json::from_str(&text).context("cannot read what `cargo metadata` printed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_knows_itself() -> Result<()> {
        let xtask = package("xtask")?;
        assert_eq!(xtask.binaries(), ["xtask"]);
        assert_eq!(xtask.publish, Some(Vec::new()));
        assert!(xtask.folder().ends_with("xtask"));
        assert!(package("no-such-package").is_err());
        Ok(())
    }
}
