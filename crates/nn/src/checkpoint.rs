//! Checkpoints: named tensors and text in one file that is either whole or refused.
//!
//! The format is safetensors, which other systems read. Under the metadata key `pullback` stands a JSON object with our own
//! text entries and the SHA-256 of everything, because safetensors itself detects no damage to the numbers.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::View;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::byte_count;
use crate::error::{Error, Result};

const KEY: &str = "pullback";
/// The key of the metadata in a header, among the tensors' names.
const RESERVED: &str = "__metadata__";

/// Tensors and text entries by name.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// The tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// Short texts: settings, counters, the state of a random number generator.
    pub metadata: BTreeMap<String, String>,
}

/// What stands under [`KEY`]. One entry, because the order of several would be that of a hash map.
#[derive(Serialize, Deserialize)]
struct Header {
    metadata: BTreeMap<String, String>,
    sha256: String,
}

impl Checkpoint {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tensors whose names begin with `prefix`, by the rest of the name.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        self.tensors
            .iter()
            .filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }

    /// A text entry as a number or the like.
    ///
    /// # Errors
    /// [`Error::Entry`] if it is missing or cannot be read as a `V`.
    pub fn entry<V: FromStr>(&self, name: &str) -> Result<V> {
        let text = self.metadata.get(name);
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::Entry { name: name.into(), found: text.cloned() })
    }

    /// Writes the file at once or not at all: to a temporary file beside it, forced to disk, then renamed over it. The same
    /// contents give the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses, [`Error::Checkpoint`] if a tensor has an element type that the format lacks, or the
    /// name `__metadata__`.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let header = Header { metadata: self.metadata.clone(), sha256: self.digest() };
        let refuse = |reason: String| Error::Checkpoint { path: path.into(), reason };
        let header = serde_json::to_string(&header).map_err(|e| refuse(e.to_string()))?;
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        if self.tensors.contains_key(RESERVED) {
            return Err(refuse(format!("no tensor can have the name {RESERVED}")));
        }
        let bytes =
            safetensors::serialize(tensors, Some(HashMap::from([(KEY.to_string(), header)])))
                .map_err(|e| refuse(e.to_string()))?;
        write_atomically(path, &bytes).map_err(|source| Error::Io { path: path.into(), source })
    }

    /// Reads a file that [`save`](Self::save) wrote; tensors come to the CPU.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Checkpoint`] if it is damaged, cut short, or not such a file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
        Self::parse(&bytes).map_err(|reason| Error::Checkpoint { path: path.into(), reason })
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let header = header
            .metadata()
            .as_ref()
            .and_then(|m| m.get(KEY))
            .ok_or("it has no checksum of ours")?;
        let Header { metadata, sha256 } =
            serde_json::from_str(header).map_err(|e| e.to_string())?;
        let mut checkpoint = Self { tensors: BTreeMap::new(), metadata };
        for (name, view) in SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?.tensors() {
            if byte_count(1, view.shape()).is_none() {
                return Err(format!("tensor {name}: {:?} are too many numbers", view.shape()));
            }
            let tensor = view.load(&Device::Cpu).map_err(|e| format!("tensor {name}: {e}"))?;
            checkpoint.tensors.insert(name, tensor);
        }
        let found = checkpoint.digest();
        if found == sha256 {
            Ok(checkpoint)
        } else {
            Err(format!("its contents have the checksum {found}, it says {sha256}"))
        }
    }

    /// SHA-256 of all names, types, shapes, numbers and texts, each preceded by its length.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for (name, tensor) in &self.tensors {
            add(name.as_bytes());
            add(tensor.dtype().as_str().as_bytes());
            add(format!("{:?}", tensor.dims()).as_bytes());
            add(&View::data(&tensor));
        }
        for (name, text) in &self.metadata {
            add(name.as_bytes());
            add(text.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Old contents or new, never half: what a crash between any two lines leaves.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    // Two threads may write the same file.
    name.push(format!(".{}.{:?}.tmp", std::process::id(), std::thread::current().id()));
    let temporary: PathBuf = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to report; a leftover temporary file does no harm.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The rename itself is on disk only once its directory is. Only Unix opens directories.
    #[cfg(unix)]
    {
        let directory =
            path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
