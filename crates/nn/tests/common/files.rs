//! Small files of data with the numbers that NumPy and Pillow read from them, and hostile variants of each.
//!
//! Shared with `cargo xtask report nn`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_nn::data::cifar::{self, Cifar};
use pullback_nn::data::image::{self, Channels};
use pullback_nn::data::{idx, npy, npz};
use pullback_nn::{Error, Result};

#[derive(serde::Deserialize)]
pub(crate) struct Table {
    pub(crate) numpy: String,
    pub(crate) pillow: String,
    pub(crate) files: Vec<File>,
}

/// A file, as it is and as the other system reads it.
#[derive(serde::Deserialize)]
pub(crate) struct File {
    pub(crate) kind: String,
    pub(crate) name: String,
    file: String,
    shape: Vec<usize>,
    values: Vec<String>,
}

pub(crate) fn table() -> Table {
    serde_json::from_str(include_str!("../data/files.json")).unwrap()
}

impl File {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let digits = self.file.as_bytes().chunks(2);
        digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    /// What our reader makes of such a file.
    pub(crate) fn read(&self, path: &Path) -> Result<Tensor> {
        match self.kind.as_str() {
            "npy" => npy::read(path),
            "idx" => idx::read(path),
            "rgb" | "jpeg" => image::read(path, Channels::Rgb),
            "grey" => image::read(path, Channels::Grey),
            "npz" => {
                let parts = npz::read(path)?.into_values();
                let flat = |t: Tensor| t.flatten_all()?.to_dtype(DType::F64);
                let parts: Vec<Tensor> = parts.map(flat).collect::<Result<_, _>>()?;
                Ok(Tensor::cat(&parts, 0)?)
            }
            other => panic!("a file of kind {other}"),
        }
    }

    /// Do its numbers depend on how a decoder rounds?
    pub(crate) fn is_lossy(&self) -> bool {
        self.kind == "jpeg"
    }

    /// How many numbers are equal in every bit, of a lossy file to within [`ROUNDING`]; what is wrong if one is not.
    pub(crate) fn compare(&self, folder: &Path) -> std::result::Result<usize, String> {
        let path = folder.join("file");
        fs::write(&path, self.bytes()).unwrap();
        let tensor = self.read(&path).map_err(|e| format!("{} {}: {e}", self.kind, self.name))?;
        let found = texts(&tensor);
        let found = found.iter().zip(&self.values);
        let right = |found: &str, want: &str| match self.kind.as_str() {
            "jpeg" => level(found).abs_diff(level(want)) <= ROUNDING,
            _ => equal(found, want, tensor.dtype()),
        };
        let wrong = found.filter(|(found, want)| !right(found, want)).count();
        if wrong > 0 || tensor.dims() != self.shape || self.values.len() != tensor.elem_count() {
            let (dims, want) = (tensor.dims(), &self.shape);
            return Err(format!(
                "{} {}: {wrong} wrong, {dims:?}, not {want:?}",
                self.kind, self.name
            ));
        }
        Ok(self.values.len())
    }
}

/// Of 255 levels, between two decoders of JPEG: each rounds its transform, its colours and what it fills in between samples.
pub(crate) const ROUNDING: u8 = 4;

fn level(text: &str) -> u8 {
    text.parse().unwrap()
}

fn texts(tensor: &Tensor) -> Vec<String> {
    let flat = tensor.flatten_all().unwrap();
    match tensor.dtype() {
        DType::F32 | DType::F64 => {
            let wide: Vec<f64> = flat.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
            wide.into_iter().map(|v| v.to_string()).collect()
        }
        _ => {
            let wide: Vec<i64> = flat.to_dtype(DType::I64).unwrap().to_vec1().unwrap();
            wide.into_iter().map(|v| v.to_string()).collect()
        }
    }
}

/// Python's `tolist` widens floats exactly, and writes booleans as words.
fn equal(found: &str, want: &str, dtype: DType) -> bool {
    match want {
        "True" => found == "1",
        "False" => found == "0",
        _ if dtype.is_float() => {
            found.parse::<f64>().unwrap().to_bits() == want.parse::<f64>().unwrap().to_bits()
        }
        _ => found == want,
    }
}

/// Files cut short and with changed bytes.
#[derive(Default)]
pub(crate) struct Hostile {
    pub(crate) tried: usize,
    /// Answered with [`Error::Data`].
    pub(crate) refused: usize,
    /// Cut short, and read all the same.
    pub(crate) short: Vec<String>,
    /// Answered by a panic, or an error of another kind.
    pub(crate) wrong: Vec<String>,
}

/// Every length that is too short, and every byte changed in two ways; every few where a file is long.
pub(crate) fn hostile(folder: &Path) -> Hostile {
    let mut result = Hostile::default();
    for file in table().files {
        let name = format!("{} {}", file.kind, file.name);
        result.attempts(folder, &name, &file.bytes(), |path| file.read(path).map(drop));
    }
    for (which, name, labels) in [(Cifar::Ten, "CIFAR-10", 1), (Cifar::HundredFine, "CIFAR-100", 2)]
    {
        let record = |k: usize| (0..labels + 3072).map(move |i| ((i * i + k) % 10) as u8);
        let whole: Vec<u8> = (0..2).flat_map(record).collect();
        result.attempts(folder, name, &whole, |path| cifar::read(which, [path]).map(drop));
    }
    result
}

impl Hostile {
    fn attempts(
        &mut self,
        folder: &Path,
        name: &str,
        whole: &[u8],
        read: impl Fn(&Path) -> Result<()>,
    ) {
        let path = folder.join("hostile");
        fs::write(&path, whole).unwrap();
        read(&path).unwrap_or_else(|e| panic!("{name}, whole: {e}"));
        let mut attempt = |bytes: &[u8], cut: bool, what: String| {
            // Some file systems wait for the disk when a file is written over.
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes).unwrap();
            self.tried += 1;
            match catch_unwind(AssertUnwindSafe(|| read(&path))) {
                Ok(Err(Error::Data { .. })) => self.refused += 1,
                Ok(Ok(_)) if cut => self.short.push(what),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => self.wrong.push(format!("{what}: {error}")),
                Err(_) => self.wrong.push(format!("{what}: panic")),
            }
        };
        let short = whole.len() < 300;
        for length in (0..whole.len()).filter(|n| short || n % 7 == 0) {
            // Half of two records is one.
            let record = name.starts_with("CIFAR") && 2 * length == whole.len();
            attempt(&whole[..length], !record, format!("{name} cut at {length}"));
        }
        for at in (0..whole.len()).filter(|n| short || n % 3 == 0) {
            for change in [0x01, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[at] ^= change;
                attempt(&bytes, false, format!("{name} byte {at} ^ {change}"));
            }
        }
    }
}
