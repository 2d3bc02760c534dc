//! The bytes of a file, taken from the front with the place remembered, and as numbers.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};

/// No byte of deflated data stands for more.
pub(super) const MOST_INFLATED: usize = 1032;

/// What is left of a file.
pub(super) struct Bytes<'a> {
    path: &'a Path,
    rest: &'a [u8],
    at: u64,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, rest: bytes, at: 0 }
    }

    /// An error at the present place.
    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Data { path: self.path.into(), at: self.at, reason: reason.into() })
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes, which are `what`.
    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let left = self.len();
            return self.fail(format!("{what} needs {count} bytes, the file has {left} left"));
        };
        (self.rest, self.at) = (rest, self.at + count as u64);
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// Fails unless nothing is left.
    pub(super) fn end(&self) -> Result<()> {
        match self.len() {
            0 => Ok(()),
            left => self.fail(format!("the data should end here, {left} bytes follow")),
        }
    }

    /// The rest of the file as numbers of these dimensions: exactly as many bytes as they take, before anything is allocated.
    pub(super) fn numbers(
        &mut self,
        element: Element,
        big: bool,
        dims: &[usize],
    ) -> Result<Tensor> {
        let Some(count) = byte_count(element.size(), dims) else {
            return self.fail(format!("{dims:?} are more numbers than any file holds"));
        };
        let bytes = self.take(count, &format!("numbers of dimensions {dims:?}"))?;
        self.end()?;
        Ok(element.tensor(bytes, big, dims)?)
    }
}

/// The bytes of an array, if they can be counted: neither they nor the distances between neighbours along any axis overflow, which
/// dimensions beside a 0 may make them do.
pub(crate) fn byte_count(size: usize, dims: &[usize]) -> Option<usize> {
    let mut beside = dims.iter().filter(|&&d| d > 0);
    let whole = beside.try_fold(size, |n, &d| n.checked_mul(d))?;
    Some(if dims.contains(&0) { 0 } else { whole })
}

/// The whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Io { path: path.into(), source })
}

/// The number types of files; those that tensors lack are widened without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I8,
    I16,
    U32,
    I32,
    I64,
    F32,
    F64,
}

impl Element {
    pub(super) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    fn tensor(self, bytes: &[u8], big: bool, dims: &[usize]) -> candle_core::Result<Tensor> {
        macro_rules! read {
            ($type:ty) => {{
                let (chunks, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                let from = if big { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                let values: Vec<$type> = chunks.iter().map(|&chunk| from(chunk)).collect();
                Tensor::from_vec(values, dims, &Device::Cpu)
            }};
        }
        match self {
            Self::U8 => Tensor::from_slice(bytes, dims, &Device::Cpu),
            Self::I8 => {
                let wide = bytes.iter().map(|&b| i16::from(i8::from_le_bytes([b]))).collect();
                Tensor::from_vec::<_, i16>(wide, dims, &Device::Cpu)
            }
            Self::I16 => read!(i16),
            Self::U32 => read!(u32),
            Self::I32 => read!(i32),
            Self::I64 => read!(i64),
            Self::F32 => read!(f32),
            Self::F64 => read!(f64),
        }
    }
}
