//! IDX files, the format of MNIST: two zeros, a type, the number of dimensions, the dimensions, numbers with the high byte first.

use std::io::Read;
use std::path::Path;

use candle_core::Tensor;
use flate2::read::GzDecoder;

use super::bytes::{self, Bytes, Element, MOST_INFLATED, byte_count};
use super::dataset::Labelled;
use crate::error::{Error, Result};

/// What a compressed file may unpack to, in bytes: the largest set in this format (EMNIST by class) is half of it.
const MOST: usize = 1 << 30;

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

/// The bytes of a compressed file: its header first, which says how many follow, then no more than one byte beyond those, so that
/// a small file fills memory only with an array that it describes.
fn unpacked(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let mut reader = GzDecoder::new(packed);
    let mut bytes = vec![];
    let mut more = |bytes: &mut Vec<u8>, count: usize| {
        let read = (&mut reader).take(count as u64).read_to_end(bytes);
        let at = bytes.len() as u64;
        let fail =
            |e| Error::Data { path: path.into(), at, reason: format!("cannot be unpacked: {e}") };
        read.map(drop).map_err(fail)
    };
    more(&mut bytes, 4)?;
    let rank = bytes.get(3).map_or(0, |&rank| rank.into());
    more(&mut bytes, 4 * rank)?;
    // What the header gets wrong, the parser tells.
    let Ok((element, dims)) = header(&mut Bytes::new(path, &bytes)) else { return Ok(bytes) };
    let at = bytes.len() as u64;
    let fail = |reason| Err(Error::Data { path: path.into(), at, reason });
    let Some(count) = byte_count(element.size(), &dims).filter(|&count| count <= MOST) else {
        return fail(format!("numbers of dimensions {dims:?} are more than {MOST} bytes"));
    };
    if count > packed.len().saturating_mul(MOST_INFLATED) {
        let found = packed.len();
        return fail(format!("{found} bytes cannot unpack to numbers of dimensions {dims:?}"));
    }
    more(&mut bytes, count + 1)?;
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Tensor> {
    let mut bytes = Bytes::new(path, bytes);
    let (element, dims) = header(&mut bytes)?;
    bytes.numbers(element, true, &dims)
}

/// The type of the numbers and their dimensions.
fn header(bytes: &mut Bytes<'_>) -> Result<(Element, Vec<usize>)> {
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
    Ok((element, dims))
}
