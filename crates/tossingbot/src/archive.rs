//! Arrays and a description in one file (safetensors), replaced atomically.
//!
//! A file is written beside its final name, flushed to the disk and renamed: a process that is killed at any moment leaves either the
//! old file or the new one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// The key under which a fingerprint of everything and, on the next line, the description stand in the file's header.
const DESCRIPTION: &str = "description";

/// An archive in memory: named arrays in order.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    description: String,
}

/// Element types that an archive holds.
pub trait Element: Copy {
    /// Their name in the file.
    const DTYPE: Dtype;
    /// Appends the little-endian bytes.
    fn write(self, bytes: &mut Vec<u8>);
    /// Reads little-endian bytes; `None` for a wrong number of them.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! element {
    ($t:ty, $dtype:ident) => {
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$dtype;
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    };
}
element!(u8, U8);
element!(u32, U32);
element!(f32, F32);
element!(f64, F64);

impl Archive {
    /// Adds an array; its element count is that of `dims`.
    pub fn put<T: Element>(
        &mut self,
        name: &str,
        dims: &[usize],
        values: impl IntoIterator<Item = T>,
    ) {
        let mut bytes = Vec::with_capacity(dims.iter().product::<usize>() * size_of::<T>());
        values.into_iter().for_each(|value| value.write(&mut bytes));
        self.arrays.push((name.to_owned(), T::DTYPE, dims.to_vec(), bytes));
    }

    /// Adds what is not an array. Exact for integers and text; floating-point numbers belong into arrays.
    ///
    /// # Errors
    /// `Checkpoint` if it cannot be written as JSON.
    pub fn describe(&mut self, description: &impl Serialize) -> Result<()> {
        self.description = serde_json::to_string(description)
            .map_err(|e| broken(Path::new(DESCRIPTION), e.to_string()))?;
        Ok(())
    }

    /// An array and its shape.
    ///
    /// # Errors
    /// `Checkpoint` if there is none of this name and element type.
    pub fn get<T: Element>(&self, name: &str) -> Result<(Vec<usize>, Vec<T>)> {
        let found = self.arrays.iter().find(|(n, dtype, ..)| n == name && *dtype == T::DTYPE);
        let values = found.and_then(|(_, _, dims, bytes)| {
            let values: Option<Vec<T>> = bytes.chunks(size_of::<T>()).map(T::read).collect();
            Some((dims.clone(), values?))
        });
        values.ok_or_else(|| broken(Path::new(name), "this array is missing".into()))
    }

    /// The description.
    ///
    /// # Errors
    /// `Checkpoint` if it is not what is expected.
    pub fn description<D: DeserializeOwned>(&self) -> Result<D> {
        serde_json::from_str(&self.description)
            .map_err(|e| broken(Path::new(DESCRIPTION), e.to_string()))
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// `Io`, `Checkpoint`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let views: std::result::Result<Vec<_>, _> = self
            .arrays
            .iter()
            .map(|(name, dtype, dims, bytes)| {
                Ok((name.as_str(), TensorView::new(*dtype, dims.clone(), bytes)?))
            })
            .collect();
        // One entry: the order of several would change from run to run, and with it the file.
        let described = format!("{}\n{}", self.checksum(), self.description);
        let header = HashMap::from([(DESCRIPTION.to_owned(), described)]);
        let bytes = views
            .and_then(|views| safetensors::serialize(views, Some(header)))
            .map_err(|e: safetensors::SafeTensorError| broken(path, e.to_string()))?;
        replace(path, &bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `Io`, `Checkpoint` for a file that is no archive.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read(path).map_err(|e| io(path, &e))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, e.to_string()))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|e| broken(path, e.to_string()))?;
        let described = header.metadata().as_ref().and_then(|m| m.get(DESCRIPTION));
        let Some((checksum, description)) = described.and_then(|d| d.split_once('\n')) else {
            return Err(broken(path, "it has no description".into()));
        };
        let arrays = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()));
        let archive = Self { arrays: arrays.collect(), description: description.to_owned() };
        if checksum != archive.checksum() {
            return Err(broken(
                path,
                "its checksum is wrong: the file was damaged or changed".into(),
            ));
        }
        Ok(archive)
    }

    /// A fingerprint of everything in it; the order of the arrays does not matter.
    fn checksum(&self) -> String {
        let mut parts: Vec<String> = self
            .arrays
            .iter()
            .map(|(name, dtype, dims, bytes)| {
                format!("{name} {dtype:?} {dims:?} {}", fingerprint(bytes))
            })
            .collect();
        parts.sort();
        parts.push(self.description.clone());
        fingerprint(parts.join("\n").as_bytes())
    }
}

/// Writes a file so that it is never seen half written: temporary name, flush to disk, rename.
///
/// # Errors
/// `Io`.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| io(folder, &e))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename itself lasts once the folder is on the disk; where folders cannot be opened there is nothing more to do.
        if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
            folder.sync_all().ok();
        }
        Ok(())
    };
    write().map_err(|e| io(path, &e))
}

/// The bytes of a plain file: a pipe or a device, which may never end, is refused.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(std::io::Error::other("not a plain file")),
    }
}

/// An `Io` error.
pub(crate) fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), message: error.to_string() }
}

/// A `Checkpoint` error.
pub(crate) fn broken(path: &Path, problem: String) -> Error {
    Error::Checkpoint { path: path.to_owned(), problem }
}

/// A 64-bit fingerprint of a text (FNV-1a), as hexadecimal digits: what was the same has the same one.
pub fn fingerprint(text: &[u8]) -> String {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
