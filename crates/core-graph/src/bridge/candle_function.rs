//! candle's tape as a function: a closure over tensors, or a `Module`, as a node.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::{DType, Module, Tensor, TensorId, Var};

use pullback_linalg::{alone, is_helper};

use super::located;
use crate::primitive::check_directions;
use crate::tensor::{ensure_finite, from_vec, is_real, to_f64};
use crate::{Direction, Error, Function, LinearMap, Phase, Result, Wrt};

type Body = dyn Fn(&[Tensor]) -> candle_core::Result<Vec<Tensor>> + Send + Sync;

/// candle code as a [`Function`]: any number of tensors in, any number out.
///
/// The code runs once per evaluation. Its pull is one `backward()` of Σ ⟨dy, y⟩ over fresh leaves, whose gradients are detached and
/// whose store is dropped at once. Its push is exact too, but candle has no forward mode: it takes one pull per element of the
/// outputs, and above [`CandleFunction::push_limit`] elements it is refused. No higher order: [`Error::NoHigherOrder`].
///
/// What candle's tape cannot do, and what happens then:
/// - Several of its derivatives are wrong or cut off without an error (max pooling, scatter, fused normalization layers); test with
///   [`crate::NumDiff`], or use the operations of [`crate::Var`].
/// - It is recursive: about 8000 operations in a row exhaust a stack of 2 MiB, which aborts the process. State a larger stack with
///   [`CandleFunction::stack_size`].
/// - A custom operation without a gradient makes `backward()` panic: caught, and reported as [`Error::NotDifferentiable`].
///   (The panic's own message is still printed, unless the program is built to abort.)
/// - Variables that the code closes over are constants here, although candle computes their gradients too. State them with
///   [`CandleFunction::module_with_vars`] to get them.
///
/// ```
/// use pullback_core_graph::{CandleFunction, Function, Graph, candle::{Device, Tensor}};
/// use std::sync::Arc;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let f = CandleFunction::new("squash", |x| Ok(vec![(x[0].tanh()? * &x[1])?]));
/// let f: Arc<dyn Function> = Arc::new(f);
/// let graph = Graph::new();
/// let x = graph.input(&Tensor::new(&[0.0f64, 1.0], &Device::Cpu)?);
/// let y = graph.apply(&f, &[x, 3.0 * x])?[0];
/// let slope = graph.gradient(y.sum(()), &[x])?[0].to_vec1::<f64>()?; // 3 (x tanh x)'
/// assert!((slope[1] - 3.0 * (1f64.tanh() + 1.0 - 1f64.tanh().powi(2))).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CandleFunction {
    name: String,
    body: Arc<Body>,
    vars: Vec<Var>,
    run: Run,
}

/// How derivatives are taken.
#[derive(Clone, Copy)]
struct Run {
    push_limit: usize,
    stack: Option<usize>,
}

impl CandleFunction {
    /// A closure over tensors as a function. The outputs are whatever the closure returns, in number and shape.
    pub fn new<F>(name: impl Into<String>, body: F) -> Self
    where
        F: Fn(&[Tensor]) -> candle_core::Result<Vec<Tensor>> + Send + Sync + 'static,
    {
        let run = Run { push_limit: 64, stack: None };
        CandleFunction { name: name.into(), body: Arc::new(body), vars: vec![], run }
    }

    /// A `Module` as a function with one input and one output. Its variables are constants.
    pub fn module(name: impl Into<String>, module: impl Module + Send + Sync + 'static) -> Self {
        CandleFunction::module_with_vars(name, module, vec![])
    }

    /// A `Module` as a function of its input and of its parameters: `(x, p₁, …, pₖ) ↦ module(x)`.
    ///
    /// The parameters must equal the current values of `vars` (pass `var.as_tensor()`): the module reads its variables, the inputs
    /// give the derivatives their place in the graph. A parameter that differs is [`Error::Invalid`]; so is a variable that was
    /// overwritten between the evaluation and a pull, where candle would give a wrong gradient. Each variable is listed once.
    ///
    /// ```
    /// use pullback_core_graph::{CandleFunction, Function, Graph, candle::{DType, Device, Module, Tensor, Var}};
    /// use std::sync::Arc;
    /// # struct Scale(Var);
    /// # impl Module for Scale {
    /// #     fn forward(&self, x: &Tensor) -> pullback_core_graph::candle::Result<Tensor> { x.broadcast_mul(&self.0) }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let weight = Var::new(2.0f64, &Device::Cpu)?;
    /// let layer = CandleFunction::module_with_vars("layer", Scale(weight.clone()), vec![weight.clone()]);
    /// let layer: Arc<dyn Function> = Arc::new(layer);
    /// let graph = Graph::new();
    /// let x = graph.constant(&Tensor::new(&[1.0f64, 5.0], &Device::Cpu)?);
    /// let w = graph.input(weight.as_tensor());
    /// let y = graph.apply(&layer, &[x, w])?[0];
    /// assert_eq!(graph.gradient(y.sum(()), &[w])?[0].to_scalar::<f64>()?, 6.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn module_with_vars(
        name: impl Into<String>,
        module: impl Module + Send + Sync + 'static,
        vars: Vec<Var>,
    ) -> Self {
        let name = name.into();
        let node = name.clone();
        let forward = move |x: &[Tensor]| match x {
            [x] => Ok(vec![module.forward(x)?]),
            _ => {
                let (node, what) = (node.clone(), "inputs beside the parameters of a module");
                Err(Error::Arity { node, what, expected: 1, got: x.len() }.into_candle())
            }
        };
        CandleFunction { vars, ..CandleFunction::new(name, forward) }
    }

    /// The greatest number of output elements that a push is computed for, at one pull each. Default: 64.
    #[must_use]
    pub fn push_limit(self, elements: usize) -> Self {
        CandleFunction { run: Run { push_limit: elements, ..self.run }, ..self }
    }

    /// Runs the code, its backward pass and the release of its tape on threads of their own with a stack of this many bytes.
    ///
    /// candle's tape takes about 250 bytes per operation in the longest chain. Default: the caller's stack.
    #[must_use]
    pub fn stack_size(self, bytes: usize) -> Self {
        CandleFunction { run: Run { stack: Some(bytes), ..self.run }, ..self }
    }

    /// The inputs proper and the parameters among the inputs.
    fn split<'a>(&self, x: &'a [Tensor]) -> Result<(&'a [Tensor], &'a [Tensor])> {
        let short = || Error::Arity {
            node: self.name.clone(),
            what: "inputs, parameters included",
            expected: self.vars.len() + 1,
            got: x.len(),
        };
        let n = x.len().checked_sub(self.vars.len()).ok_or_else(short)?;
        let (own, parameters) = x.split_at(n);
        let mut seen: HashMap<TensorId, usize> = HashMap::new();
        for (i, (p, var)) in parameters.iter().zip(&self.vars).enumerate() {
            if let Some(first) = seen.insert(var.id(), i) {
                let what = format!("parameters {first} and {i} are the same variable");
                return Err(Error::invalid(&self.name, what));
            }
            unchanged(&self.name, i, p, var)?;
        }
        Ok((own, parameters))
    }

    /// Runs the code on what is given, and keeps the tape.
    fn run(&self, leaves: &[Tensor]) -> Result<Vec<Tensor>> {
        let y = self.run.on_stack(&self.name, || (self.body)(leaves))?;
        let y = y.map_err(|e| located(&self.name, e))?;
        for (port, t) in y.iter().enumerate() {
            ensure_finite(t, &self.name, Phase::Eval, port)?;
        }
        Ok(y)
    }
}

impl Function for CandleFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        let (own, _) = self.split(x)?;
        let own: Vec<Tensor> = own.iter().map(Tensor::detach).collect();
        let y = self.run(&own)?;
        let values = y.iter().map(Tensor::detach).collect();
        self.run.release(y);
        Ok(values)
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let (own, parameters) = self.split(x)?;
        let mut leaves = Vec::with_capacity(x.len());
        for (i, t) in own.iter().enumerate() {
            if wrt.needs(i) && !is_real(t) {
                let (node, what) = (self.name.clone(), "derivatives need f32 or f64");
                return Err(Error::DType { node, what, got: vec![t.dtype()] });
            }
            // A leaf is a copy: never one of the caller's variables, and not changed when those are.
            let leaf = if wrt.needs(i) {
                Var::from_tensor(&t.detach())
                    .map_err(|e| Error::tensor(&self.name, e))?
                    .into_inner()
            } else {
                t.detach()
            };
            leaves.push(leaf);
        }
        let y = self.run(&leaves)?;
        let values = y.iter().map(Tensor::detach).collect();
        let copies: candle_core::Result<Vec<Tensor>> =
            parameters.iter().map(|p| p.detach().force_contiguous()).collect();
        let copies = copies.map_err(|e| Error::tensor(&self.name, e))?;
        leaves.extend(self.vars.iter().map(|v| v.as_tensor().clone()));
        let map = Tape {
            name: self.name.clone(),
            leaves,
            y,
            parameters: self.vars.iter().cloned().zip(copies).collect(),
            wrt: wrt.0.to_vec(),
            run: self.run,
        };
        Ok((values, Box::new(map)))
    }
}

/// A parameter must be what its variable holds.
fn unchanged(node: &str, i: usize, p: &Tensor, var: &Var) -> Result<()> {
    let var = var.as_tensor();
    if p.dims() != var.dims() {
        let what = format!("parameter {i} must have the shape of its variable");
        return Err(Error::shape(node, what, &[p.dims(), var.dims()]));
    }
    if p.dtype() != var.dtype() {
        let what = "a parameter must have the element type of its variable";
        return Err(Error::DType { node: node.into(), what, got: vec![p.dtype(), var.dtype()] });
    }
    if !p.device().same_device(var.device()) {
        let got = vec![p.device().location(), var.device().location()];
        return Err(Error::Device { node: node.into(), got });
    }
    let differ = || -> candle_core::Result<f32> {
        p.ne(&var.detach())?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()
    };
    let count = differ().map_err(|e| Error::tensor(node, e))?;
    if count == 0.0 {
        return Ok(());
    }
    let (p, v) = (to_f64(p)?, to_f64(&var.detach())?);
    let at = p.iter().zip(&v).position(|(a, b)| a != b).unwrap_or(0);
    let (a, b) = (p.get(at).copied().unwrap_or(f64::NAN), v.get(at).copied().unwrap_or(f64::NAN));
    let what = format!(
        "parameter {i} differs from its variable in {count} elements, first at flat index {at}: {a} is not {b}"
    );
    Err(Error::invalid(node, what))
}

impl Run {
    /// Runs `f` on the caller's stack, or on a stack of its own.
    fn on_stack<R: Send>(&self, node: &str, f: impl FnOnce() -> R + Send) -> Result<R> {
        let Some(bytes) = self.stack else { return Ok(f()) };
        let helper = is_helper();
        let f = move || if helper { alone(f) } else { f() };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, f);
            let thread = thread.map_err(|e| Error::external(node, e))?;
            // A panic of the user's code goes on where it would have gone without the thread.
            thread.join().or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Drops a tape where its depth does no harm.
    fn release(&self, y: Vec<Tensor>) {
        if self.stack.is_some() {
            // Without a thread to be had, the tape was dropped by the failed attempt.
            self.on_stack("release", move || drop(y)).ok();
        }
    }
}

/// What candle recorded: the linear map.
struct Tape {
    name: String,
    leaves: Vec<Tensor>,
    y: Vec<Tensor>,
    parameters: Vec<(Var, Tensor)>,
    wrt: Vec<bool>,
    run: Run,
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.run.release(std::mem::take(&mut self.y));
    }
}

impl Tape {
    /// Σ ⟨dy, y⟩ over the outputs that depend on a leaf, as one tracked number.
    fn seeded(&self, dy: &[Option<Tensor>]) -> candle_core::Result<Option<Tensor>> {
        let mut total: Option<Tensor> = None;
        for (y, d) in self.y.iter().zip(dy) {
            let Some(d) = d.as_ref().filter(|_| y.track_op() && y.dtype().is_float()) else {
                continue;
            };
            let term = (y * d.detach())?.sum_all()?;
            total = Some(match total {
                None => term,
                Some(t) => {
                    let term = term.to_dtype(t.dtype())?.to_device(t.device())?;
                    (t + term)?
                }
            });
        }
        Ok(total)
    }

    fn gradients(&self, dy: &[Option<Tensor>]) -> candle_core::Result<Direction> {
        let Some(sum) = self.seeded(dy)? else { return Ok(vec![None; self.leaves.len()]) };
        let mut store = sum.backward()?;
        let wanted =
            |(leaf, &w): (&Tensor, &bool)| store.remove(leaf).filter(|_| w).map(|g| g.detach());
        Ok(self.leaves.iter().zip(&self.wrt).map(wanted).collect())
    }

    fn pulled(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        for (i, (var, copy)) in self.parameters.iter().enumerate() {
            unchanged(&self.name, i, copy, var)?;
        }
        let run = || catch_unwind(AssertUnwindSafe(|| self.gradients(dy)));
        let dx = self.run.on_stack(&self.name, run)?.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            let why = format!("candle's backward pass panicked: {text}");
            Error::NotDifferentiable { node: self.name.clone(), why }
        })?;
        let dx = dx.map_err(|e| located(&self.name, e))?;
        for (port, d) in dx.iter().enumerate() {
            d.as_ref().map_or(Ok(()), |d| ensure_finite(d, &self.name, Phase::Pull, port))?;
        }
        Ok(dx)
    }

    /// dy_j = ⟨Jᵀ·e_j, dx⟩ for each element j of one output.
    fn pushed(&self, port: usize, dx: &[Option<Tensor>]) -> Result<Option<Tensor>> {
        let y = &self.y[port];
        let n = y.elem_count();
        let mut any = false;
        let mut out = vec![0.0; n];
        for (j, out) in out.iter_mut().enumerate() {
            let mut unit = vec![0.0; n];
            unit[j] = 1.0;
            let unit = from_vec(unit, y.dims(), y.device())?.to_dtype(y.dtype())?;
            let mut dy = vec![None; self.y.len()];
            dy[port] = Some(unit);
            for (row, d) in self.pulled(&dy)?.iter().zip(dx) {
                if let (Some(row), Some(d)) = (row, d) {
                    any = true;
                    *out += to_f64(row)?.iter().zip(to_f64(d)?).map(|(a, b)| a * b).sum::<f64>();
                }
            }
        }
        let dy = from_vec(out, y.dims(), y.device())?.to_dtype(y.dtype())?;
        ensure_finite(&dy, &self.name, Phase::Push, port)?;
        Ok(any.then_some(dy))
    }
}

impl LinearMap for Tape {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        check_directions(&self.name, "input directions", dx, &self.leaves)?;
        let wanted =
            |(i, d): (usize, &Option<Tensor>)| d.clone().filter(|_| Wrt(&self.wrt).needs(i));
        let dx: Direction = dx.iter().enumerate().map(wanted).collect();
        if dx.iter().all(Option::is_none) {
            return Ok(vec![None; self.y.len()]);
        }
        let active = |y: &Tensor| y.track_op() && y.dtype().is_float();
        let elements: usize = self.y.iter().filter(|y| active(y)).map(Tensor::elem_count).sum();
        if elements > self.run.push_limit {
            let why = format!(
                "candle has no forward mode, so a push takes one pull per output element: {elements}, above the limit of {} \
                 (CandleFunction::push_limit)",
                self.run.push_limit
            );
            return Err(Error::NotDifferentiable { node: self.name.clone(), why });
        }
        let pushed = |(port, y)| if active(y) { self.pushed(port, &dx) } else { Ok(None) };
        self.y.iter().enumerate().map(pushed).collect()
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        check_directions(&self.name, "output cotangents", dy, &self.y)?;
        if dy.iter().all(Option::is_none) || !self.wrt.contains(&true) {
            return Ok(vec![None; self.leaves.len()]);
        }
        self.pulled(dy)
    }
}
