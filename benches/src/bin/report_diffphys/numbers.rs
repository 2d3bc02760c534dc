//! Arrays as benches/peers/cases_diffphys.py writes them: each after its length. And where models lie.

use anyhow::{Context, Result, bail};
use pullback_diffphys::Data;
use std::path::{Path, PathBuf};

/// Reads one array after the other.
pub(crate) struct Numbers {
    list: Vec<f64>,
    at: usize,
}

impl Numbers {
    pub(crate) fn new(list: Vec<f64>) -> Self {
        Self { list, at: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<&[f64]> {
        let len = *self.list.get(self.at).context("the peer sent too few numbers")? as usize;
        let from = self.at + 1;
        self.at = from + len;
        self.list.get(from..from + len).context("the peer sent too few numbers")
    }

    /// The inputs of a state.
    pub(crate) fn state(&mut self, data: &mut Data) -> Result<()> {
        for slot in [
            &mut data.qpos,
            &mut data.qvel,
            &mut data.act,
            &mut data.ctrl,
            &mut data.qacc_warmstart,
        ] {
            let len = slot.len();
            let values = self.next()?;
            if values.len() != len {
                bail!("a state has {} numbers, ours {len}", values.len());
            }
            slot.copy_from_slice(values);
        }
        Ok(())
    }
}

/// The largest difference relative to the largest number of `theirs`, at least 1; infinite if the lengths differ.
pub(crate) fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let scale = theirs.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0, |m, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() { f64::INFINITY } else { f64::max(m, d) }
    }) / scale
}

/// Files below `target/data/<name>` with that ending, sorted.
pub(crate) fn files(name: &str, ending: &str) -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/data").join(name);
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| {
            format!("{} is missing; first run cargo xtask data", root.display())
        })?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
