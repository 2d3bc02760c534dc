//! NumPy's files of one array: a magic number, a header that is a Python dictionary, the numbers.
//!
//! Versions 1.0 to 3.0 of the format, as its document NEP 1 describes them.

use std::fs;
use std::path::Path;

use candle_core::{DType, Tensor};

use super::bytes::{self, Bytes, Element};
use crate::error::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Dimensions of an array: as many as NumPy 2 has.
const MOST_DIMENSIONS: usize = 64;

/// Reads an array of booleans, of integers or of floating point numbers, in either byte order and either order of the axes.
///
/// Booleans become bytes and signed bytes 16-bit numbers; other types keep theirs.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if the file is damaged, cut short, longer than it says, or of a type without a tensor: complex
/// numbers, text, objects, `u2`, `u8`, `f2`.
pub fn read(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    parse(path, &bytes::read(path)?)
}

/// Writes a tensor as version 1.0, row by row, low byte first.
///
/// # Errors
/// [`Error::Io`] if the disk refuses; [`Error::Argument`] for an element type that NumPy lacks, or more than 64 dimensions.
pub fn write(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(tensor)?;
    fs::write(path, bytes).map_err(|source| Error::Io { path: path.into(), source })
}

fn encode(tensor: &Tensor) -> Result<Vec<u8>> {
    let descr = match tensor.dtype() {
        DType::U8 => "|u1",
        DType::I16 => "<i2",
        DType::U32 => "<u4",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        other => {
            return Err(Error::Argument {
                operation: "npy::write",
                argument: "bytes of the element type",
                value: other.size_in_bytes(),
                reason: "the types are u8, i16, i32, u32, i64, f32, f64",
            });
        }
    };
    if tensor.rank() > MOST_DIMENSIONS {
        return Err(Error::Argument {
            operation: "npy::write",
            argument: "dimensions",
            value: tensor.rank(),
            reason: "an array has at most 64",
        });
    }
    let shape: String = tensor.dims().iter().map(|d| format!("{d}, ")).collect();
    // Python writes a tuple of one with a comma, and longer ones without one at the end.
    let shape = if tensor.rank() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and length take ten bytes, the line break one: together a multiple of 64.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding % 64));
    header.push('\n');
    let mut bytes = [&MAGIC[..], &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
    bytes.extend(header.as_bytes());
    bytes.extend(&*safetensors::tensor::View::data(&tensor));
    Ok(bytes)
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Tensor> {
    let mut bytes = Bytes::new(path, bytes);
    if bytes.take(6, "the magic number")? != MAGIC {
        return Bytes::new(path, &[]).fail("does not begin with \\x93NUMPY");
    }
    let [major, minor] = bytes.array("the version")?;
    let length = match (major, minor) {
        (1, 0) => u16::from_le_bytes(bytes.array("the header's length")?).into(),
        (2 | 3, 0) => u32::from_le_bytes(bytes.array("the header's length")?) as usize,
        _ => return bytes.fail(format!("there is no version {major}.{minor}")),
    };
    let header = bytes.take(length, "the header")?;
    let header =
        match std::str::from_utf8(header).map_err(|e| e.to_string()).and_then(Header::parse) {
            Ok(header) => header,
            Err(reason) => return bytes.fail(format!("in the header before here: {reason}")),
        };
    let (element, big) = match header.element() {
        Some(found) => found,
        None => {
            return bytes.fail(format!("there are no tensors of the type {:?}", header.descr));
        }
    };
    let mut dims = header.shape;
    if !header.fortran {
        return bytes.numbers(element, big, &dims);
    }
    // Column by column is the transposed array row by row.
    dims.reverse();
    let axes: Vec<usize> = (0..dims.len()).rev().collect();
    Ok(bytes.numbers(element, big, &dims)?.permute(axes)?.contiguous()?)
}

struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn element(&self) -> Option<(Element, bool)> {
        let (order, kind) = self.descr.split_at_checked(1)?;
        let element = match kind {
            "b1" | "u1" => Element::U8,
            "i1" => Element::I8,
            "i2" => Element::I16,
            "u4" => Element::U32,
            "i4" => Element::I32,
            "i8" => Element::I64,
            "f4" => Element::F32,
            "f8" => Element::F64,
            _ => return None,
        };
        match order {
            "<" | "|" => Some((element, false)),
            ">" => Some((element, true)),
            _ => None,
        }
    }

    /// The dictionary with exactly the keys descr, fortran_order and shape, in any order.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut text = Literal(text.trim());
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        text.expect("{")?;
        while !text.next_is("}") {
            let key = text.string()?;
            text.expect(":")?;
            let again = match key {
                "descr" => descr.replace(text.string()?.to_string()).is_some(),
                "fortran_order" => fortran.replace(text.boolean()?).is_some(),
                "shape" => shape.replace(text.tuple()?).is_some(),
                other => return Err(format!("an unknown key {other:?}")),
            };
            if again {
                return Err(format!("the key {key:?} twice"));
            }
            if !text.next_is(",") && !text.0.starts_with('}') {
                return Err(format!("no comma before {:?}", text.near()));
            }
        }
        match (descr, fortran, shape, text.0) {
            (Some(descr), Some(fortran), Some(shape), "") => Ok(Self { descr, fortran, shape }),
            (Some(_), Some(_), Some(_), _) => Err(format!("{:?} after its end", text.near())),
            _ => Err("descr, fortran_order or shape is missing".into()),
        }
    }
}

/// What is left of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    /// The next characters, for a message.
    fn near(&self) -> &'a str {
        let end = self.0.char_indices().nth(20).map_or(self.0.len(), |(at, _)| at);
        &self.0[..end]
    }

    fn next_is(&mut self, what: &str) -> bool {
        match self.0.strip_prefix(what) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, what: &str) -> std::result::Result<(), String> {
        if self.next_is(what) {
            Ok(())
        } else {
            Err(format!("{what:?} expected at {:?}", self.near()))
        }
    }

    fn string(&mut self) -> std::result::Result<&'a str, String> {
        let quote = self.0.chars().next().filter(|c| "'\"".contains(*c));
        let parts = quote.and_then(|quote| self.0[1..].split_once(quote));
        let (text, rest) = parts.ok_or_else(|| format!("a text expected at {:?}", self.near()))?;
        self.0 = rest.trim_start();
        Ok(text)
    }

    fn boolean(&mut self) -> std::result::Result<bool, String> {
        if self.next_is("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> std::result::Result<Vec<usize>, String> {
        self.expect("(")?;
        let mut numbers = vec![];
        while !self.next_is(")") {
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            let number =
                digits.parse().map_err(|_| format!("a size expected at {:?}", self.near()))?;
            numbers.push(number);
            self.0 = rest.trim_start();
            if !self.next_is(",") && !self.0.starts_with(')') {
                return Err(format!("no comma before {:?}", self.near()));
            }
        }
        if numbers.len() > MOST_DIMENSIONS {
            Err(format!("{} dimensions", numbers.len()))
        } else {
            Ok(numbers)
        }
    }
}
