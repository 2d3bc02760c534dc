//! IDX files, the format of MNIST: two zeros, a type, the number of dimensions, the dimensions, numbers with the high byte first.

use std::io::Read;
use std::path::Path;

use candle_core::Tensor;
use flate2::read::GzDecoder;

use super::bytes::{self, Bytes, Element};
use super::dataset::Labelled;
use crate::error::{Error, Result};

/// What a compressed file may unpack to, in bytes: the largest set in this format is a tenth of it.
const MOST: u64 = 1 << 32;

/// Reads a file, compressed by gzip or not. The element type is the file's; signed bytes are widened to 16 bits.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if the file is damaged, cut short, longer than it says, or not of this format.
pub fn read(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    let bytes = bytes::read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        parse(path, &unpacked(path, &bytes)?)
    } else {
        parse(path, &bytes)
    }
}

/// Images (n, height, width) of one file and labels (n) of another, as MNIST and its kin come: inputs (n, 1, height, width).
///
/// # Errors
/// As [`read`], and [`Labelled::new`].
pub fn read_pair(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Labelled> {
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let images = read(images)?;
    let images = if images.rank() == 3 { images.unsqueeze(1)? } else { images };
    Labelled::new(&images, &read(labels)?, classes)
}

fn unpacked(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = GzDecoder::new(packed).take(MOST + 1).read_to_end(&mut bytes);
    let fail = |reason| Err(Error::Data { path: path.into(), at: bytes.len() as u64, reason });
    match read {
        Err(error) => fail(format!("cannot be unpacked: {error}")),
        Ok(_) if bytes.len() as u64 > MOST => fail(format!("unpacks to more than {MOST} bytes")),
        Ok(_) => Ok(bytes),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Tensor> {
    let mut bytes = Bytes::new(path, bytes);
    let [zero, null, element, rank] = bytes.array("the magic number")?;
    if [zero, null] != [0, 0] {
        return bytes
            .fail(format!("begins with {zero:#04x} {null:#04x}, an IDX file with two zeros"));
    }
    let element = match element {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        other => return bytes.fail(format!("there is no element type {other:#04x}")),
    };
    let mut dims = vec![];
    for _ in 0..rank {
        dims.push(u32::from_be_bytes(bytes.array("a dimension")?) as usize);
    }
    bytes.numbers(element, true, &dims)
}
