//! Any function on candle's tape.
//!
//! candle's custom operations take at most three tensors and give one. So the tracked inputs are packed into one tensor by candle's
//! own differentiable operations (cast, flatten, concatenate), one custom operation stands for the function, and its packed result is
//! unpacked again (narrow, reshape, cast). The function is linearized before that operation is applied: candle only ever sees finished
//! values, so no error loses its type on the way forward, and the linear map with all it owns lives exactly as long as the tape.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, Shape, Storage, Tensor, WithDType,
};

use crate::primitive::check_direction;
use crate::tensor::{ensure_finite, with_slice};
use crate::{Error, Function, LinearMap, Phase, Result, Wrt};

/// Puts y = f(x) on candle's tape, so that `loss.backward()` flows through a solver, a simulator or a planner.
///
/// `x` are the inputs of `f`, of any shapes and strides; the results have the shapes, element types and devices that `f` gives.
/// `f` is linearized once, now, with respect to the inputs that candle tracks (variables, and what was computed from them); nothing is
/// computed for the others, and where none is tracked `f` is only evaluated. Integer inputs are constants; integer outputs come
/// untracked. Each backward pass costs one pull, with `None` for the outputs that the loss does not use, and can be repeated.
///
/// Tracked inputs may differ in element type and device: the gradients come back in each input's own. They must be f32 or f64 if `f`
/// asks for that, as all functions of this crate do. CPU and CUDA devices.
///
/// **First order only.** candle detaches every gradient, so its gradients of gradients are partial at best. Here a derivative of the
/// gradient is refused with [`Error::NoHigherOrder`] wherever candle lets it come this far: always for a [`candle_core::Var`] that is
/// the only tracked input, else where candle runs with `CANDLE_GRAD_DO_NOT_DETACH`. For second order use [`crate::Graph`].
///
/// As with every operation of candle, a variable that is overwritten (`Var::set`) between here and `backward()` spoils the gradient:
/// the linear map may share its memory. Take the optimizer's step after the backward pass.
///
/// # Errors
/// Those of `f`; [`Error::NotFinite`] where an output is NaN or infinite. In `backward()`: those of the pull, NaN and infinity in
/// cotangents and gradients, and derivatives of the wrong number, shape or element type, all inside candle's error;
/// [`Error::from_candle`] takes them out.
///
/// ```
/// use pullback_core_graph::{attach, function, candle::{Device, Tensor, Var}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let f = function("polar", |_, x| Ok(vec![x[0] * x[1].cos(), x[0] * x[1].sin()]));
/// let radius = Var::new(2.0f64, &Device::Cpu)?;
/// let angle = Var::new(0.5f64, &Device::Cpu)?;
/// let y = attach(&f, &[&radius, &angle])?;
/// let grads = (y[0].sqr()? + &y[1])?.backward()?; // r² cos² φ + r sin φ
/// let by_angle = grads.get(&angle).unwrap().to_scalar::<f64>()?;
/// assert!((by_angle - (-4.0 * 1f64.sin() + 2.0 * 0.5f64.cos())).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn attach(f: &Arc<dyn Function>, x: &[&Tensor]) -> Result<Vec<Tensor>> {
    let node = f.name();
    let values: Vec<Tensor> = x.iter().map(|t| t.detach()).collect();
    let wrt: Vec<bool> = x.iter().map(|t| t.track_op() && t.dtype().is_float()).collect();
    if !wrt.contains(&true) {
        return finite(node, f.eval(&values)?);
    }
    let (y, map) = f.linearize(&values, Wrt(&wrt))?;
    let y = finite(node, y)?;
    on_tape(node, x, wrt, y, map).map_err(|e| named(node, e))
}

/// Errors of candle's that came without a name.
fn named(node: &str, e: Error) -> Error {
    e.renamed(|inner| if inner == "tensor" { node } else { inner }.to_string())
}

fn finite(node: &str, y: Vec<Tensor>) -> Result<Vec<Tensor>> {
    for (port, t) in y.iter().enumerate() {
        ensure_finite(t, node, Phase::Eval, port)?;
    }
    Ok(y.iter().map(Tensor::detach).collect())
}

fn on_tape(
    node: &str,
    x: &[&Tensor],
    wrt: Vec<bool>,
    y: Vec<Tensor>,
    map: Box<dyn LinearMap>,
) -> Result<Vec<Tensor>> {
    let real: Vec<Tensor> =
        y.iter().filter(|t| t.dtype().is_float() && t.elem_count() != 0).cloned().collect();
    if real.is_empty() {
        return Ok(y);
    }
    let argument = packed_input(x.iter().zip(&wrt).filter(|(_, w)| **w).map(|(t, _)| *t))?;
    let packed = Packed::new(&real, argument.device())?;
    let rule = Pull {
        node: node.to_string(),
        map,
        x: x.iter().map(|t| Like::of(t)).collect(),
        y: y.iter().map(Like::of).collect(),
        wrt,
    };
    let packed = argument.apply_op1(packed.with(Rule::Pull(rule)))?;
    let mut offset = 0;
    let mut out = Vec::with_capacity(y.len());
    for t in y {
        let n = t.elem_count();
        if !t.dtype().is_float() || n == 0 {
            out.push(t);
            continue;
        }
        // candle pads the gradient of a part with zeros even where the part is the whole.
        let part = if real.len() == 1 { packed.clone() } else { packed.narrow(0, offset, n)? };
        out.push(part.reshape(t.dims())?.to_dtype(t.dtype())?.to_device(t.device())?);
        offset += n;
    }
    Ok(out)
}

/// The tracked inputs as one tensor that candle tracks: a single one as it is, several as one vector of the widest element type on the
/// device of the first. Its values are never read.
fn packed_input<'a>(tracked: impl Iterator<Item = &'a Tensor> + Clone) -> Result<Tensor> {
    let dtype = widest(tracked.clone().map(Tensor::dtype));
    let all: Vec<&Tensor> = tracked.collect();
    if let [only] = all[..]
        && only.dtype() == dtype
    {
        return Ok(only.clone());
    }
    let part = |t: &&Tensor| t.to_device(all[0].device())?.to_dtype(dtype)?.flatten_all();
    let parts: candle_core::Result<Vec<Tensor>> = all.iter().map(part).collect();
    Ok(Tensor::cat(&parts?, 0)?)
}

fn widest(mut dtypes: impl Iterator<Item = DType>) -> DType {
    if dtypes.any(|d| d == DType::F64) { DType::F64 } else { DType::F32 }
}

/// A custom operation that hands over a tensor which is there already.
struct Packed {
    /// Taken by the one forward pass.
    storage: Mutex<Option<Storage>>,
    shape: Shape,
    rule: Rule,
}

enum Rule {
    /// The result of the function.
    Pull(Pull),
    /// Its gradient, which has no derivative here.
    Refuse(String),
}

impl Packed {
    /// One vector of the widest element type from the elements of all parts.
    fn new(parts: &[Tensor], device: &Device) -> Result<Self> {
        let dtype = widest(parts.iter().map(Tensor::dtype));
        let n: usize = parts.iter().map(Tensor::elem_count).sum();
        let storage = match (device, dtype) {
            (Device::Cpu, DType::F64) => Storage::Cpu(joined::<f64>(parts, n)?),
            (Device::Cpu, _) => Storage::Cpu(joined::<f32>(parts, n)?),
            _ => {
                let part = |t: &Tensor| t.to_device(device)?.to_dtype(dtype)?.flatten_all();
                let parts: candle_core::Result<Vec<Tensor>> = parts.iter().map(part).collect();
                let parts = parts?;
                let whole = match parts.is_empty() {
                    true => Tensor::zeros(0, dtype, device)?,
                    false => Tensor::cat(&parts, 0)?.force_contiguous()?,
                };
                let (storage, layout) = whole.storage_and_layout();
                storage.try_clone(layout)?
            }
        };
        Ok(Packed {
            storage: Mutex::new(Some(storage)),
            shape: Shape::from(n),
            rule: Rule::Refuse(String::new()),
        })
    }

    fn with(self, rule: Rule) -> Self {
        Packed { rule, ..self }
    }

    fn shaped(self, shape: &Shape) -> Self {
        Packed { shape: shape.clone(), ..self }
    }

    fn take(&self) -> candle_core::Result<Storage> {
        let mut storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        let again = || Error::invalid("attach", "an attached result was applied a second time");
        storage.take().ok_or_else(|| again().into_candle())
    }
}

fn joined<T: WithDType>(parts: &[Tensor], n: usize) -> Result<CpuStorage> {
    let mut data: Vec<T> = Vec::with_capacity(n);
    for t in parts {
        with_slice::<T, _>(&t.to_dtype(T::DTYPE)?, |s| data.extend_from_slice(s))?;
    }
    Ok(T::to_cpu_storage_owned(data))
}

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "pullback"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        match self.take()? {
            Storage::Cpu(storage) => Ok((storage, self.shape.clone())),
            _ => Err(Error::invalid("attach", "packed on another device").into_candle()),
        }
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        match self.take()? {
            Storage::Cuda(storage) => Ok((storage, self.shape.clone())),
            _ => Err(Error::invalid("attach", "packed on another device").into_candle()),
        }
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        match &self.rule {
            // candle panics on a tracked argument without a gradient, so there always is one.
            Rule::Pull(pull) => {
                pull.gradient(x, dy).map(Some).map_err(|e| named(&pull.node, e).into_candle())
            }
            Rule::Refuse(node) => Err(Error::NoHigherOrder { node: node.clone() }.into_candle()),
        }
    }
}

/// What a derivative of a tensor must look like: zeros of one element, expanded, which hold no memory.
struct Like {
    shape: Shape,
    dtype: DType,
    device: Device,
}

impl Like {
    fn of(t: &Tensor) -> Self {
        Like { shape: t.shape().clone(), dtype: t.dtype(), device: t.device().clone() }
    }

    fn zeros(&self) -> Result<Tensor> {
        let one = vec![1; self.shape.rank()];
        Ok(Tensor::zeros(one, self.dtype, &self.device)?.broadcast_as(&self.shape)?)
    }
}

/// The backward chain rule of an attached function.
struct Pull {
    node: String,
    map: Box<dyn LinearMap>,
    x: Vec<Like>,
    y: Vec<Like>,
    wrt: Vec<bool>,
}

impl Pull {
    /// The gradient of the packed argument `x` from the cotangent of the packed result.
    fn gradient(&self, x: &Tensor, packed: &Tensor) -> Result<Tensor> {
        let packed = packed.detach().flatten_all()?;
        let mut offset = 0;
        let mut dy = Vec::with_capacity(self.y.len());
        for (port, y) in self.y.iter().enumerate() {
            let n = y.shape.elem_count();
            if !y.dtype.is_float() || n == 0 {
                dy.push(None);
                continue;
            }
            let part = packed.narrow(0, offset, n)?;
            offset += n;
            ensure_finite(&part, &self.node, Phase::Pull, port)?;
            let part = if is_zero(&part)? {
                None
            } else {
                Some(part.reshape(&y.shape)?.to_dtype(y.dtype)?.to_device(&y.device)?)
            };
            dy.push(part);
        }
        let dx = if dy.iter().all(Option::is_none) {
            vec![None; self.x.len()]
        } else {
            self.map.pull(&dy)?
        };
        if dx.len() != self.x.len() {
            let (node, what) = (self.node.clone(), "derivatives pulled back");
            return Err(Error::Arity { node, what, expected: self.x.len(), got: dx.len() });
        }
        let mut parts = Vec::with_capacity(dx.len());
        for (port, ((d, like), _)) in
            dx.into_iter().zip(&self.x).zip(&self.wrt).enumerate().filter(|(_, (_, w))| **w)
        {
            let zeros = like.zeros()?;
            parts.push(match d {
                Some(d) => {
                    check_direction(&self.node, &d, &zeros)?;
                    ensure_finite(&d, &self.node, Phase::Pull, port)?;
                    d.detach()
                }
                None => zeros,
            });
        }
        let gradient = Packed::new(&parts, x.device())?.shaped(x.shape());
        // Applied to x, so that a derivative of this gradient comes to the refusal instead of finding a constant.
        Ok(x.apply_op1(gradient.with(Rule::Refuse(self.node.clone())))?)
    }
}

fn is_zero(t: &Tensor) -> Result<bool> {
    match (t.device(), t.dtype()) {
        (Device::Cpu, DType::F64) => with_slice::<f64, _>(t, |s| s.iter().all(|&v| v == 0.0)),
        (Device::Cpu, DType::F32) => with_slice::<f32, _>(t, |s| s.iter().all(|&v| v == 0.0)),
        _ => {
            let marks = t.ne(&t.zeros_like()?)?.to_dtype(DType::F32)?;
            Ok(marks.sum_all()?.to_scalar::<f32>()? == 0.0)
        }
    }
}
