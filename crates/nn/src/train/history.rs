//! Metrics as lines of JSON, cut back to where a checkpoint stands when a run resumes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};

/// The file, open at its end.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
    file: File,
    length: u64,
}

/// A line. No time of day: a resumed run writes the same bytes as one that was left alone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Step { epoch: u64, step: u64, loss: f64, learning_rate: f64 },
    Epoch { epoch: u64, step: u64, loss: f64, metrics: &'a BTreeMap<String, f64> },
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at as u64 + 1))
}

impl History {
    /// Opens the file and keeps its first `length` bytes.
    pub(super) fn open(path: PathBuf, length: u64) -> Result<Self> {
        let fail = |source| Error::Io { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        let mut options = File::options();
        let mut file = options
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        // A file that lost its end, or all, goes on from the whole lines that it has.
        let found = file.metadata().map_err(fail)?.len();
        let length = if found < length { whole_lines(&mut file).map_err(fail)? } else { length };
        file.set_len(length).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self { path, file, length })
    }

    pub(super) fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let fail = |source| Error::Io { path: self.path.clone(), source };
        let mut text = serde_json::to_vec(line).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(fail)?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Forces the lines to disk, before a checkpoint says that they are there; gives their bytes.
    pub(super) fn sync(&self) -> Result<u64> {
        let synced = self.file.sync_data();
        synced.map_err(|source| Error::Io { path: self.path.clone(), source })?;
        Ok(self.length)
    }
}
