//! NumPy's archives of several arrays: a zip file of npy files, stored or deflated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use candle_core::Tensor;
use zip::ZipArchive;

use super::bytes::MOST_INFLATED;
use super::npy;
use crate::error::{Error, Result};

/// Reads all arrays of an npz archive, by name.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if the archive or an array is damaged, as [`npy::read`], or a member is no array.
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let path = path.as_ref();
    let fail = |reason: String| Error::Data { path: path.into(), at: 0, reason };
    let io = |source| Error::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let mut left = file.metadata().map_err(io)?.len();
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| fail(format!("cannot be read as an archive: {e}")))?;
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let mut member =
            archive.by_index(index).map_err(|e| fail(format!("member {index}: {e}")))?;
        let full = member.name().map_err(|e| fail(format!("member {index}: {e}")))?.into_owned();
        let Some(name) = full.strip_suffix(".npy") else {
            return Err(fail(format!("member {full:?} is no array")));
        };
        let (size, packed) = (member.size(), member.compressed_size());
        if size > packed.saturating_mul(MOST_INFLATED as u64).saturating_add(64) {
            let reason = format!("member {full:?} cannot unpack from {packed} to {size} bytes");
            return Err(fail(reason));
        }
        // Members that lie over each other would unpack the same bytes again and again.
        left = left.checked_sub(packed).ok_or_else(|| {
            let reason = format!("member {full:?} has {packed} bytes, the file has {left} left");
            fail(reason)
        })?;
        let mut bytes = vec![];
        let read = (&mut member).take(size.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| fail(format!("member {full:?}: {e}")))?;
        if bytes.len() as u64 != size {
            let found = bytes.len();
            return Err(fail(format!(
                "member {full:?} has {found} bytes, the archive says {size}"
            )));
        }
        let array = npy::parse(&path.join(&full), &bytes)?;
        if arrays.insert(name.to_string(), array).is_some() {
            return Err(fail(format!("member {full:?} is there twice")));
        }
    }
    Ok(arrays)
}
