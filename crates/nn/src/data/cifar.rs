//! CIFAR-10 and CIFAR-100 in their binary versions: records of labels and 3·32·32 bytes, colour by colour, row by row.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::bytes;
use super::dataset::Labelled;
use crate::error::{Error, Result};

const PIXELS: usize = 3 * 32 * 32;

/// Which of the two sets, and for the second which labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cifar {
    /// Ten classes: one label in each record.
    Ten,
    /// A hundred classes: the second of a record's two labels.
    HundredFine,
    /// Twenty groups of classes: the first of a record's two labels.
    HundredCoarse,
}

/// Reads files of records one after the other: inputs (n, 3, 32, 32) of bytes. Classes are named by their numbers.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if a file has no whole number of records, or a label is none of the set.
pub fn read<P: AsRef<Path>>(which: Cifar, files: impl IntoIterator<Item = P>) -> Result<Labelled> {
    let (labels_each, place, classes) = match which {
        Cifar::Ten => (1, 0, 10),
        Cifar::HundredFine => (2, 1, 100),
        Cifar::HundredCoarse => (2, 0, 20),
    };
    let (mut pixels, mut labels) = (vec![], vec![]);
    for path in files {
        let path = path.as_ref();
        let bytes = bytes::read(path)?;
        let size = labels_each + PIXELS;
        let fail =
            |at: usize, reason| Err(Error::Data { path: path.into(), at: at as u64, reason });
        if bytes.is_empty() || bytes.len() % size != 0 {
            let reason = format!("{} bytes are no whole number of records of {size}", bytes.len());
            return fail(bytes.len() / size * size, reason);
        }
        for (k, record) in bytes.chunks_exact(size).enumerate() {
            let label = u32::from(record[place]);
            if label >= classes {
                let reason = format!("label {label} is not below {classes}");
                return fail(k * size + place, reason);
            }
            labels.push(label);
            pixels.extend_from_slice(&record[labels_each..]);
        }
    }
    let n = labels.len();
    let images = Tensor::from_vec(pixels, (n, 3, 32, 32), &Device::Cpu)?;
    let labels = Tensor::from_vec(labels, n, &Device::Cpu)?;
    Labelled::new(&images, &labels, (0..classes).map(|c| c.to_string()).collect())
}
