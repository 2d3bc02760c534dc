//! Images: PNG, JPEG and the binary forms of PGM and PPM, and folders of them, one for each class.

mod jpeg;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::bytes::{self, Bytes, Element, MOST_INFLATED};
use super::dataset::Dataset;
use crate::error::{Error, Result};

/// The most bytes that a PNG or JPEG file may unpack to: an image of 16384×16384 in colour, and what the decoder needs beside it.
const MOST: usize = 1 << 30;

/// What becomes of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// Three: red, green, blue; grey counts as all three. Transparency is left out.
    #[default]
    Rgb,
    /// One: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), rounded.
    Grey,
}

/// Reads a PNG, JPEG, PGM (P5) or PPM (P6) file, told apart by their first bytes: (1 or 3, height, width) of bytes.
///
/// Of 16 bits to a colour, the high 8 are kept. JPEG files are baseline, progressive, grey, in colour or of four inks (CMYK); decoders round them
/// differently, by up to 4 of 255. They are not turned as a camera's note in them may ask.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if the file is damaged, cut short, too large, or none of these.
pub fn read(path: impl AsRef<Path>, channels: Channels) -> Result<Tensor> {
    let path = path.as_ref();
    let bytes = bytes::read(path)?;
    let pixels = match bytes.get(..2) {
        Some(b"\x89P") => png(path, &bytes)?,
        Some(b"\xff\xd8") => jpeg::decode(path, &bytes)?,
        Some(b"P5") => netpbm(path, &bytes, 1)?,
        Some(b"P6") => netpbm(path, &bytes, 3)?,
        _ => return Bytes::new(path, &bytes).fail("neither PNG nor JPEG nor binary PGM or PPM"),
    };
    Ok(pixels.tensor(channels)?)
}

/// Rows of pixels of `samples` bytes each: grey, grey and opacity, colour, colour and opacity.
struct Pixels {
    height: usize,
    width: usize,
    samples: usize,
    values: Vec<u8>,
}

impl Pixels {
    fn tensor(&self, channels: Channels) -> candle_core::Result<Tensor> {
        let pixels = self.values.chunks_exact(self.samples);
        let rgb = pixels.map(|p| if self.samples < 3 { [p[0]; 3] } else { [p[0], p[1], p[2]] });
        let (count, planes): (usize, Vec<u8>) = match channels {
            Channels::Grey => (1, rgb.map(luma).collect()),
            Channels::Rgb => {
                let rgb: Vec<[u8; 3]> = rgb.collect();
                (3, (0..3).flat_map(|c| rgb.iter().map(move |p| p[c])).collect())
            }
        };
        Tensor::from_vec(planes, (count, self.height, self.width), &Device::Cpu)
    }
}

/// The weights in units of 2⁻¹⁶; they sum to 1, so that grey stays what it is.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + (1 << 15)) >> 16) as u8
}

fn png(path: &Path, bytes: &[u8]) -> Result<Pixels> {
    let fail = |e: png::DecodingError| Error::Data {
        path: path.into(),
        at: 0,
        reason: format!("cannot be decoded: {e}"),
    };
    let limits = png::Limits { bytes: MOST };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    // Of no use here, and a small one may unpack to as much as the limit.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(fail)?;
    let size = reader.output_buffer_size().filter(|&size| size <= MOST);
    let Some(size) = size else {
        let reason = format!("{:?} pixels are too many", reader.info().size());
        return Err(Error::Data { path: path.into(), at: 0, reason });
    };
    // Before anything is allocated: what the file cannot unpack to.
    let packed = bytes.len();
    if reader.info().raw_bytes() > packed.saturating_mul(MOST_INFLATED) {
        let reason = format!("{packed} bytes cannot unpack to {:?} pixels", reader.info().size());
        return Err(Error::Data { path: path.into(), at: 0, reason });
    }
    let mut values = vec![0; size];
    let info = reader.next_frame(&mut values).map_err(fail)?;
    values.truncate(info.buffer_size());
    reader.finish().map_err(fail)?;
    let samples = info.color_type.samples();
    Ok(Pixels { height: info.height as usize, width: info.width as usize, samples, values })
}

fn netpbm(path: &Path, bytes: &[u8], samples: usize) -> Result<Pixels> {
    let mut bytes = Bytes::new(path, bytes);
    bytes.take(2, "the magic number")?;
    let [width, height, most] = [
        number(&mut bytes, "the width")?,
        number(&mut bytes, "the height")?,
        number(&mut bytes, "the greatest value")?,
    ];
    if !(1..=65535).contains(&most) || width == 0 || height == 0 {
        return bytes.fail(format!("{width}×{height} pixels of values up to {most}"));
    }
    let element = if most < 256 { Element::U8 } else { Element::I16 };
    let count =
        [height, width, samples, element.size()].iter().try_fold(1usize, |n, &k| n.checked_mul(k));
    let Some(count) = count else {
        return bytes.fail(format!("{width}×{height} pixels are more than any file holds"));
    };
    let data = bytes.take(count, "the pixels")?;
    bytes.end()?;
    // Values up to `most` are spread over 0 to 255, rounded.
    let spread = |value: usize| ((value.min(most) * 255 + most / 2) / most) as u8;
    let values = match element {
        Element::U8 => data.iter().map(|&v| spread(v.into())).collect(),
        _ => data.as_chunks().0.iter().map(|&v| spread(u16::from_be_bytes(v).into())).collect(),
    };
    Ok(Pixels { height, width, samples, values })
}

/// Blanks and comments, a number, one blank.
fn number(bytes: &mut Bytes<'_>, what: &str) -> Result<usize> {
    let mut digits = String::new();
    loop {
        let [byte] = bytes.array(what)?;
        match byte {
            b'#' if digits.is_empty() => while bytes.array::<1>(what)? != *b"\n" {},
            b'0'..=b'9' if digits.len() < 9 => digits.push(byte.into()),
            b' ' | b'\t' | b'\r' | b'\n' if digits.is_empty() => {}
            b' ' | b'\t' | b'\r' | b'\n' => break,
            other => {
                return bytes.fail(format!("{what} is no number: {:?} in it", char::from(other)));
            }
        }
    }
    match digits.parse() {
        Ok(number) => Ok(number),
        Err(_) => bytes.fail(format!("{what} is missing")),
    }
}

/// A folder with a folder of images for each class; images are read when a batch asks for them. A batch is (n, 1 or 3, height,
/// width) of bytes and labels (n) of `u32`.
///
/// Classes are numbered in the order of their names. Files other than `.png`, `.jpg`, `.jpeg`, `.pgm`, `.ppm`, and hidden ones, are left out.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    classes: Vec<String>,
    files: Vec<(PathBuf, u32)>,
    channels: Channels,
}

impl ImageFolder {
    /// Lists the images below `root`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] if there are no classes, or one without images.
    pub fn new(root: impl AsRef<Path>, channels: Channels) -> Result<Self> {
        let root = root.as_ref();
        let empty = |path: &Path, reason: &str| {
            Err(Error::Data { path: path.into(), at: 0, reason: reason.into() })
        };
        let (mut classes, mut files) = (vec![], vec![]);
        for folder in sorted(root)?.into_iter().filter(|path| path.is_dir() && !is_hidden(path)) {
            let before = files.len();
            let images =
                sorted(&folder)?.into_iter().filter(|path| path.is_file() && is_image(path));
            files.extend(images.map(|path| (path, classes.len() as u32)));
            if files.len() == before {
                return empty(&folder, "has no images");
            }
            classes.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        if classes.is_empty() {
            return empty(root, "has no folders of images");
        }
        Ok(Self { classes, files, channels })
    }

    /// The names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The files with their labels, in the order of the indices.
    #[must_use]
    pub fn files(&self) -> &[(PathBuf, u32)] {
        &self.files
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    /// # Errors
    /// As [`read`]; [`Error::Data`] for an image of another size than the first of the batch; [`Error::Argument`] without an index.
    fn batch(&self, indices: &[usize]) -> Result<Vec<Tensor>> {
        let (operation, size) = ("ImageFolder", self.len());
        if indices.is_empty() {
            let (argument, reason) = ("indices", "must name an image, for a batch has its size");
            return Err(Error::Argument { operation, argument, value: 0, reason });
        }
        let (mut images, mut labels) = (Vec::<Tensor>::new(), vec![]);
        for (position, &index) in indices.iter().enumerate() {
            let outside = Error::Index { operation, position, index: index as i64, size };
            let (path, label) = self.files.get(index).ok_or(outside)?;
            let image = read(path, self.channels)?;
            if let Some(first) = images.first().filter(|first| first.dims() != image.dims()) {
                let reason = format!("is {:?}, others are {:?}", image.dims(), first.dims());
                return Err(Error::Data { path: path.clone(), at: 0, reason });
            }
            images.push(image);
            labels.push(*label);
        }
        let n = labels.len();
        Ok(vec![Tensor::stack(&images, 0)?, Tensor::from_vec(labels, n, &Device::Cpu)?])
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

fn is_image(path: &Path) -> bool {
    let known = |e: &std::ffi::OsStr| {
        ["png", "jpg", "jpeg", "pgm", "ppm"].iter().any(|known| e.eq_ignore_ascii_case(known))
    };
    !is_hidden(path) && path.extension().is_some_and(known)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::Io { path: folder.into(), source };
    let entries = fs::read_dir(folder).map_err(fail)?;
    let paths: std::io::Result<Vec<_>> = entries.map(|entry| entry.map(|e| e.path())).collect();
    let mut paths = paths.map_err(fail)?;
    paths.sort();
    Ok(paths)
}
