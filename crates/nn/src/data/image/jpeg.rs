//! JPEG.

use std::path::Path;

use jpeg_decoder::{Decoder, PixelFormat};

use super::{MOST, Pixels};
use crate::data::bytes::Bytes;
use crate::error::Result;

/// No byte stands for more pixels: a code is a bit at least and stands for a block of 8×8 numbers, which covers 32×8 pixels where another
/// colour is sampled four times as finely along one axis.
const MOST_PIXELS: usize = 8 * 256;
/// The most scans. A scan of a few bytes may go over all of a picture; encoders make some ten.
const MOST_SCANS: usize = 500;

pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Pixels> {
    let fail = |reason: String| Bytes::new(path, bytes).fail(reason);
    let undecodable = |e: jpeg_decoder::Error| format!("cannot be decoded: {e}");
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MOST);
    if let Err(e) = decoder.read_info() {
        return fail(undecodable(e));
    }
    let Some(info) = decoder.info() else { return fail("has no header".into()) };
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    // Before anything is allocated: what the file cannot stand for.
    let (packed, samples) = (bytes.len(), info.pixel_format.pixel_bytes());
    if packed.saturating_mul(MOST_PIXELS) < height * width {
        return fail(format!("{packed} bytes cannot unpack to {width}×{height} pixels"));
    }
    if MOST < height * width * samples {
        return fail(format!("{width}×{height} pixels are too many"));
    }
    let scans = bytes.windows(2).filter(|pair| pair == b"\xff\xda").count();
    if MOST_SCANS < scans {
        return fail(format!("{scans} scans are more than any encoder makes"));
    }
    let values = match decoder.decode() {
        Ok(values) => values,
        Err(e) => return fail(undecodable(e)),
    };
    let (samples, values) = match info.pixel_format {
        PixelFormat::L8 => (1, values),
        PixelFormat::RGB24 => (3, values),
        PixelFormat::CMYK32 => {
            (3, values.as_chunks().0.iter().flat_map(|&inks| printed(inks)).collect())
        }
        PixelFormat::L16 => return fail("grey of more than 8 bits is not read".into()),
    };
    if values.len() != height * width * samples {
        return fail(format!("unpacks to {} numbers, {width}×{height} pixels", values.len()));
    }
    Ok(Pixels { height, width, samples, values })
}

/// Red, green and blue of cyan, magenta, yellow and black: each ink leaves its share of the light.
fn printed([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let left = |ink: u8| 255 - u32::from(ink);
    [c, m, y].map(|ink| ((left(ink) * left(k) + 127) / 255) as u8)
}
