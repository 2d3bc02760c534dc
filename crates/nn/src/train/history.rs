//! Metrics as lines of JSON, cut back to where a checkpoint stands when a run resumes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};

/// The file, open at its end.
#[derive(Debug)]
pub(super) struct History<F = File> {
    path: PathBuf,
    file: F,
    /// Bytes of the whole lines in it.
    length: u64,
    /// Whether there may be more in it than those.
    torn: bool,
    /// Lines that could not be written.
    owed: Vec<u8>,
}

/// What lines are written to.
pub(super) trait Lines: Write {
    /// Cuts it to this many bytes; the next are written behind those.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Forces it to disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Lines for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A line. No time of day: a resumed run writes the same bytes as one that was left alone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Step { epoch: u64, step: u64, loss: f64, learning_rate: f64 },
    Epoch { epoch: u64, step: u64, loss: f64, metrics: &'a BTreeMap<String, f64> },
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at as u64 + 1))
}

impl History {
    /// Opens the file of a run that resumes from no file of its own.
    ///
    /// # Errors
    /// [`Error::Io`] of [`io::ErrorKind::AlreadyExists`] if there is anything in it.
    pub(super) fn begin(path: PathBuf) -> Result<Self> {
        let found = fs::metadata(&path).map_or(0, |file| file.len());
        if found > 0 {
            let what = format!(
                "the history of an earlier run is there, {found} bytes: move it, or choose another file"
            );
            let source = io::Error::new(io::ErrorKind::AlreadyExists, what);
            return Err(Error::Io { path, source });
        }
        Self::open(path, 0)
    }

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
        file.cut(length).map_err(fail)?;
        Ok(Self { path, file, length, torn: false, owed: vec![] })
    }
}

impl<F: Lines> History<F> {
    /// Puts a line at the end. If the disk refuses, the file is left with the lines that it had. A step's line then comes before the
    /// next one: the step is made and is not made again. An epoch's is forgotten: the epoch is ended again.
    pub(super) fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let before = self.owed.len();
        let text = serde_json::to_vec(line).map_err(|e| self.failed(e.into()))?;
        self.owed.extend(text);
        self.owed.push(b'\n');
        let written = self.pay();
        if written.is_err() && matches!(line, Line::Epoch { .. }) {
            self.owed.truncate(before);
        }
        written.map_err(|source| self.failed(source))
    }

    /// Bytes of the whole lines.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Forces the lines to disk, before a checkpoint says that they are there; gives their bytes.
    pub(super) fn sync(&mut self) -> Result<u64> {
        let synced = self.pay().and_then(|()| self.file.sync());
        synced.map_err(|source| self.failed(source))?;
        Ok(self.length)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    /// Writes what is owed.
    fn pay(&mut self) -> io::Result<()> {
        if self.owed.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.file.cut(self.length)?;
            self.torn = false;
        }
        let written = self.file.write_all(&self.owed);
        if written.is_err() {
            // A part of it may have come through; if it cannot be cut away now, it is before the next line.
            self.torn = self.file.cut(self.length).is_err();
            return written;
        }
        self.length += self.owed.len() as u64;
        self.owed.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that takes what it has room for, and then refuses, also to cut if it is `stuck`.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        stuck: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend(&bytes[..n]);
            if n == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines for Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.stuck {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn history(room: usize) -> History<Disk> {
        let file = Disk { room, ..Default::default() };
        History { path: "history".into(), file, length: 0, torn: false, owed: vec![] }
    }

    fn step(step: u64) -> Line<'static> {
        Line::Step { epoch: 0, step, loss: 0.5, learning_rate: 0.25 }
    }

    /// Every room from none to all, full in the first try and without end in the second.
    #[test]
    fn a_disk_that_fills_up_within_a_line_leaves_whole_lines_and_loses_none() -> Result<()> {
        let none = BTreeMap::new();
        let epoch = Line::Epoch { epoch: 0, step: 3, loss: 0.5, metrics: &none };
        let mut whole = history(usize::MAX);
        for line in [step(1), step(2), step(3), epoch] {
            whole.write(&line)?;
        }
        let expected = whole.file.bytes;
        for room in 0..expected.len() {
            for stuck in [false, true] {
                let mut history = history(room);
                history.file.stuck = stuck;
                let mut refused = 0;
                for n in 1..=3 {
                    refused += usize::from(history.write(&step(n)).is_err());
                    let (length, bytes) = (history.length() as usize, &history.file.bytes);
                    assert_eq!(bytes[..length], expected[..length], "{room}, step {n}");
                    assert!(length == 0 || bytes[length - 1] == b'\n');
                    // What a resumed run would cut away is not there at all unless it cannot be cut away.
                    assert!(stuck || bytes.len() == length, "{room}, step {n}");
                }
                let end = Line::Epoch { epoch: 0, step: 3, loss: 0.5, metrics: &none };
                assert!(history.write(&end).is_err());
                let synced = history.sync();
                assert_eq!(synced.is_err(), refused > 0, "{room}: a checkpoint needs all lines");
                (history.file.room, history.file.stuck) = (usize::MAX, false);
                history.write(&end)?;
                assert_eq!(history.file.bytes, expected, "room for {room}, stuck {stuck}");
                assert_eq!(history.sync()?, expected.len() as u64);
            }
        }
        Ok(())
    }
}
