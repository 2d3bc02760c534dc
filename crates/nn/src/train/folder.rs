//! A folder of checkpoints: the newest few, each whole, and one for the best.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";
const BEST: &str = "best.safetensors";

/// The folder, held by this process alone until it is dropped; a killed process holds nothing.
#[derive(Debug)]
pub struct CheckpointFolder {
    path: PathBuf,
    keep: usize,
    _lock: File,
}

/// The newest checkpoint that is whole.
#[derive(Debug)]
pub struct Found {
    /// Its step.
    pub step: u64,
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub checkpoint: Checkpoint,
    /// Newer ones that are damaged, the newest first, each with what is wrong.
    pub damaged: Vec<(PathBuf, Error)>,
}

impl CheckpointFolder {
    /// Makes the folder if need be, takes hold of it, and clears away what a killed process left half written.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Checkpoint`] if another one holds it, in this process or in another, which the reason tells.
    pub fn open(path: impl AsRef<Path>, keep: usize) -> Result<Self> {
        let path = path.as_ref();
        let fail = |source| Error::Io { path: path.into(), source };
        fs::create_dir_all(path).map_err(fail)?;
        let lock = hold(path)?;
        for entry in fs::read_dir(path).map_err(fail)? {
            let file = entry.map_err(fail)?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".tmp") && (name.starts_with(PREFIX) || name.starts_with(BEST)) {
                fs::remove_file(&file).map_err(|source| Error::Io { path: file, source })?;
            }
        }
        Ok(Self { path: path.into(), keep: keep.max(1), _lock: lock })
    }

    /// Writes a checkpoint, and only then removes the oldest beyond those that are kept.
    ///
    /// # Errors
    /// As [`Checkpoint::save`]; the older ones are then as they were.
    pub fn save(&self, step: u64, checkpoint: &Checkpoint) -> Result<PathBuf> {
        let path = self.file(step);
        checkpoint.save(&path)?;
        // Those that claim a later step are damaged ones that this run has gone back from; they do not count.
        let written = self.steps()?.into_iter().rev().filter(|&old| old <= step);
        for old in written.skip(self.keep) {
            let old = self.file(old);
            fs::remove_file(&old).map_err(|source| Error::Io { path: old, source })?;
        }
        Ok(path)
    }

    /// Writes the best checkpoint over the one before.
    ///
    /// # Errors
    /// As [`Checkpoint::save`]; the one before is then as it was.
    pub fn save_best(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.save(self.best())
    }

    /// The file of the best checkpoint.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// The newest checkpoint that is whole; none in a folder without any.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there are some and all are damaged: starting anew must be the user's choice.
    pub fn newest(&self) -> Result<Option<Found>> {
        let mut damaged = vec![];
        for step in self.steps()?.into_iter().rev() {
            let path = self.file(step);
            match Checkpoint::load(&path) {
                Ok(checkpoint) => return Ok(Some(Found { step, path, checkpoint, damaged })),
                Err(error) => damaged.push((path, error)),
            }
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        let each: Vec<String> = damaged.iter().map(|(_, error)| error.to_string()).collect();
        let reason = format!("none of {} is whole: {}", damaged.len(), each.join("; "));
        Err(Error::Checkpoint { path: self.path.clone(), reason })
    }

    /// The steps of all checkpoints, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn steps(&self) -> Result<Vec<u64>> {
        let fail = |source| Error::Io { path: self.path.clone(), source };
        let mut steps = vec![];
        for entry in fs::read_dir(&self.path).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
            let step = number.and_then(|number| number.parse::<u64>().ok());
            // Other spellings of the number are not files of ours.
            steps.extend(step.filter(|&step| Some(name_of(step).as_str()) == name.to_str()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    fn file(&self, step: u64) -> PathBuf {
        self.path.join(name_of(step))
    }
}

/// The lock of the folder, with this process's number in it.
fn hold(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let fail = |source| Error::Io { path: path.clone(), source };
    let mut options = File::options();
    let mut lock =
        options.create(true).read(true).write(true).truncate(false).open(&path).map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            // Where a held file cannot be read, it says nothing.
            let mut text = String::new();
            let holder = lock.read_to_string(&mut text).ok().and_then(|_| text.parse::<u32>().ok());
            let reason = match holder {
                Some(id) if id == std::process::id() => {
                    "a trainer of this process holds it: drop that one first, or choose another folder".into()
                }
                Some(id) => format!("process {id} trains in this folder: choose another one"),
                None => "another trainer holds it: drop that one first, or choose another folder".into(),
            };
            return Err(Error::Checkpoint { path: folder.into(), reason });
        }
        Err(TryLockError::Error(source)) => return Err(fail(source)),
    }
    lock.set_len(0)
        .and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()))
        .map_err(fail)?;
    Ok(lock)
}

fn name_of(step: u64) -> String {
    format!("{PREFIX}{step:012}{SUFFIX}")
}
