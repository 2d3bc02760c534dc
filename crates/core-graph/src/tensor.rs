//! Typed access to candle tensors on the CPU, and the checks that every node makes.

use std::borrow::Cow;

use candle_core::{CpuStorage, DType, Device, Layout, Shape, Storage, Tensor, WithDType};

use crate::magnitude::{Bits, Top};
use crate::{Error, Phase, Result, spread};

/// The element types that have derivatives: f32 and f64.
///
/// The methods are those of the primitive types, so that kernels can be written once.
pub trait Real:
    WithDType + Default + std::ops::Neg<Output = Self> + std::iter::Sum + Bits + 'static
{
    /// The nearest value to an f64.
    fn lit(x: f64) -> Self;
    /// Widening.
    fn wide(self) -> f64;
    /// Neither NaN nor infinite.
    fn finite(self) -> bool;
    /// Machine epsilon.
    const EPS: f64;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            #[inline(always)]
            fn lit(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn wide(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
            const EPS: f64 = <$t>::EPSILON as f64;
        }
    };
}
real!(f32);
real!(f64);

/// Runs a block with `$T` as the element type of a floating tensor; other element types are an error.
#[macro_export]
macro_rules! with_real {
    ($node:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::candle::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::candle::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err($crate::Error::DType {
                node: ($node).to_string(),
                what: "needs f32 or f64",
                got: vec![other],
            }),
        }
    };
}

/// Calls `f` with the elements of a tensor in row-major order, without a copy where it lies contiguous on the CPU.
///
/// Tensors on other devices are brought to the CPU.
pub fn with_slice<T: WithDType, R>(t: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let t = laid_out(t)?;
    let (storage, layout) = t.storage_and_layout();
    Ok(f(elements(&storage, layout)?))
}

/// [`with_slice`] for several tensors at once.
pub fn with_slices<T: WithDType, R>(
    tensors: &[&Tensor],
    f: impl FnOnce(&[&[T]]) -> R,
) -> Result<R> {
    let ready = tensors.iter().map(|t| laid_out(t)).collect::<Result<Vec<_>>>()?;
    let borrowed: Vec<_> = ready.iter().map(|t| t.storage_and_layout()).collect();
    let slices = borrowed.iter().map(|(storage, layout)| elements(storage, layout));
    Ok(f(&slices.collect::<Result<Vec<&[T]>>>()?))
}

/// The tensor contiguous on the CPU: itself where it is so, or has no elements.
fn laid_out(t: &Tensor) -> Result<Cow<'_, Tensor>> {
    if t.elem_count() == 0 {
        return Ok(Cow::Borrowed(t));
    }
    if !t.device().is_cpu() {
        return Ok(Cow::Owned(t.to_device(&Device::Cpu)?.contiguous()?));
    }
    if !t.is_contiguous() {
        room("contiguous copy", t.dims(), t.dtype())?;
        return Ok(Cow::Owned(t.contiguous()?));
    }
    Ok(Cow::Borrowed(t))
}

/// The elements of a tensor that is [`laid_out`].
fn elements<'a, T: WithDType>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    if layout.shape().elem_count() == 0 {
        return Ok(&[]); // its offset may lie behind the storage
    }
    match storage {
        Storage::Cpu(cpu) => {
            let from = layout.start_offset();
            Ok(&slice_of::<T>(cpu)?[from..from + layout.shape().elem_count()])
        }
        _ => Err(Error::invalid("tensor", "storage is not on the CPU")),
    }
}

/// Calls `f` with the elements from the first one on, and the strides, of a tensor on the CPU: no copy, whatever its layout.
pub(crate) fn with_strides<T: WithDType, R>(
    t: &Tensor,
    f: impl FnOnce(&[T], &[usize]) -> R,
) -> Result<R> {
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => {
            let all = slice_of::<T>(cpu)?;
            Ok(f(&all[layout.start_offset().min(all.len())..], layout.stride()))
        }
        _ => Err(Error::invalid("tensor", "storage is not on the CPU")),
    }
}

/// The same numbers with an axis of length 1 wherever broadcasting stretched one: a view.
pub(crate) fn compact(t: &Tensor) -> Result<Tensor> {
    let stretched = |&axis: &usize| t.stride()[axis] == 0 && 1 < t.dims()[axis];
    (0..t.rank()).filter(stretched).try_fold(t.clone(), |t, axis| Ok(t.narrow(axis, 0, 1)?))
}

fn slice_of<T: WithDType>(cpu: &CpuStorage) -> Result<&[T]> {
    Ok(cpu.as_slice::<T>()?)
}

/// A tensor on `device` from its elements in row-major order.
pub fn from_vec<T: WithDType>(data: Vec<T>, dims: &[usize], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(data, Shape::from(dims), device)?)
}

/// The elements as f64, in row-major order (for tests, reports and drawings).
pub fn to_f64(t: &Tensor) -> Result<Vec<f64>> {
    match t.dtype() {
        DType::F64 => with_slice::<f64, _>(t, <[f64]>::to_vec),
        _ => {
            room("contiguous copy", t.dims(), DType::F64)?;
            with_slice::<f64, _>(&t.to_dtype(DType::F64)?, <[f64]>::to_vec)
        }
    }
}

/// The most elements that a tensor may have: positions in it are 32 bits wide.
const MOST: usize = u32::MAX as usize;

/// From this many bytes on, memory is asked for before an operation takes it: a refusal is then an error, not an abort.
const LARGE: usize = 1 << 30;

/// How many elements a shape has. Errors: above 2³² − 1 (axes of length 0 counted as 1, so that strides do not overflow either).
pub(crate) fn countable(node: &str, dims: &[usize]) -> Result<usize> {
    let all = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
    match all.filter(|&n| n <= MOST) {
        Some(n) => Ok(if dims.contains(&0) { 0 } else { n }),
        None => Err(Error::shape(node, "at most 2³² − 1 elements", &[dims])),
    }
}

/// Is there memory for a tensor of this shape? Errors: too many elements, or memory that the system refuses.
pub(crate) fn room(node: &str, dims: &[usize], dtype: DType) -> Result<()> {
    let bytes = countable(node, dims)?.saturating_mul(dtype.size_in_bytes());
    if bytes < LARGE || Vec::<u8>::new().try_reserve_exact(bytes).is_ok() {
        return Ok(());
    }
    Err(Error::shape(node, format!("no memory for {bytes} bytes"), &[dims]))
}

/// Is there memory for a view that an operation may write out in full? Errors: as of [`room`].
pub(crate) fn room_for_views(node: &str, x: &[&Tensor]) -> Result<()> {
    x.iter().filter(|t| !t.is_contiguous()).try_for_each(|t| room(node, t.dims(), t.dtype()))
}

/// f32 or f64?
pub fn is_real(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::F32 | DType::F64)
}

/// The first element that is NaN or infinite: its flat row-major index and value. Integer tensors have none.
pub fn first_not_finite(t: &Tensor) -> Result<Option<(usize, f64)>> {
    if !t.device().is_cpu() && is_real(t) {
        // One number crosses the bus: x·0 sums to 0 unless an element is NaN or infinite.
        let probe = t.affine(0.0, 0.0)?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        if probe == 0.0 {
            return Ok(None);
        }
    }
    match t.dtype() {
        DType::F32 if storage_is_finite::<f32>(t) => Ok(None),
        DType::F64 if storage_is_finite::<f64>(t) => Ok(None),
        DType::F32 => with_slice::<f32, _>(t, scan),
        DType::F64 => with_slice::<f64, _>(t, scan),
        _ => Ok(None),
    }
}

/// For a strided view of about the size of its storage: is all of the storage finite? Spares the copy into row-major order.
fn storage_is_finite<T: Real>(t: &Tensor) -> bool {
    if t.is_contiguous() {
        return false; // scanned in place anyway
    }
    let (storage, _) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => slice_of::<T>(cpu)
            .is_ok_and(|all| all.len() / 2 <= t.elem_count() && scan(all).is_none()),
        _ => false,
    }
}

fn scan<T: Real>(x: &[T]) -> Option<(usize, f64)> {
    const SHARE: usize = 1 << 16;
    if x.len() <= 2 * SHARE {
        return scan_here(x);
    }
    let found = spread(x.chunks(SHARE).collect(), |i, x| {
        scan_here(x).map(|(j, value)| (i * SHARE + j, value))
    });
    found.into_iter().flatten().next()
}

/// Neither NaN nor infinite, any of them?
pub fn all_finite<T: Real>(x: &[T]) -> bool {
    scan_here(x).is_none()
}

fn scan_here<T: Real>(x: &[T]) -> Option<(usize, f64)> {
    const BLOCK: usize = 1024;
    // No early exit inside a block: the loop vectorizes.
    let bad = |block: &[T]| {
        let mut top = Top::new();
        block.iter().for_each(|&v| top.see(v));
        !top.finite()
    };
    let found = crate::vectorized(
        #[inline(always)]
        || x.chunks(BLOCK).position(bad),
    )?;
    let block = &x[found * BLOCK..x.len().min((found + 1) * BLOCK)];
    let j = block.iter().position(|v| !v.finite()).unwrap_or(0);
    Some((found * BLOCK + j, block[j].wide()))
}

/// `Ok` means finite.
pub fn ensure_finite(t: &Tensor, node: &str, phase: Phase, port: usize) -> Result<()> {
    match first_not_finite(t)? {
        None => Ok(()),
        Some((index, value)) => {
            Err(Error::NotFinite { node: node.into(), phase, port, index, value })
        }
    }
}
