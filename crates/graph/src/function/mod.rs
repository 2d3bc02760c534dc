//! A tape as a function of tensors: mapped along the batch, differentiable any number of times, a node of any network.

mod derivative;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{ensure_finite, from_vec, is_real, to_f64};
use pullback_core_graph::{Error, Function, LinearMap, Phase, Result, Wrt};

use derivative::{At, Key, Rule};

use crate::{Tape, Workspace};

/// Samples up to which waking other threads costs more than it saves.
const FEW: usize = 256;

/// A [`Tape`] as a [`Function`]; made by [`Tape::function`].
///
/// Input port i takes a tensor \[…, nᵢ\] and output port j gives \[…, mⱼ\], where … are leading batch dimensions (none, one or more) that
/// all inputs have in common. An input of shape \[nᵢ\] beside batched ones is shared by all samples; its derivative is then the sum over
/// them, in order. The tape computes in f64; where the inputs are f32 the results are rounded to f32. Tensors on other devices than the
/// CPU go through it and back.
///
/// Derivatives are tapes too, written once for each set of inputs that they are asked for, and cut to it; so there is every order. The
/// bits do not depend on the number of threads.
///
/// # Errors
/// `Arity`, `Shape`, `DType` and `Device` of inputs and directions; `NotFinite` with the port and the flat index.
#[derive(Clone)]
pub struct TapeFunction {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    tape: Tape,
    inputs: Vec<usize>,
    outputs: Vec<Output>,
    forward: OnceLock<Tape>,
    reverse: OnceLock<Tape>,
    derived: Mutex<HashMap<Key, TapeFunction>>,
}

/// An output port.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Output {
    width: usize,
    /// A derivative with respect to this input: where that is shared by the batch, it is the sum over the batch.
    of: Option<usize>,
}

impl Tape {
    /// The tape as a function of one tensor \[…, n\], which gives one tensor \[…, m\]. See [`TapeFunction::with_ports`] for more.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use pullback_core_graph::{Graph, Function, candle::{Device, Tensor}};
    /// use pullback_graph::{Real, Tape};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::record(2, |x| vec![x[0] * x[1].sin()])?;
    /// let f: Arc<dyn Function> = Arc::new(tape.function("wave"));
    /// let graph = Graph::new();
    /// let x = graph.input(&Tensor::new(&[[2.0, 0.5], [1.0, 0.0], [3.0, 1.5]], &Device::Cpu)?);
    /// let y = graph.apply(&f, &[x])?[0].sum(());
    /// let slope = graph.gradient(y, &[x])?.remove(0).to_vec2::<f64>()?;
    /// assert_eq!(slope[1], [0.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn function(&self, name: impl Into<String>) -> TapeFunction {
        let outputs = vec![Output { width: self.outputs(), of: None }];
        TapeFunction::new(name.into(), self.clone(), vec![self.inputs()], outputs)
    }
}

impl std::fmt::Debug for TapeFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { name, inputs, outputs, .. } = &*self.shared;
        let outputs: Vec<usize> = outputs.iter().map(|port| port.width).collect();
        write!(f, "TapeFunction({name}: {inputs:?} ↦ {outputs:?})")
    }
}

impl From<TapeFunction> for Arc<dyn Function> {
    fn from(function: TapeFunction) -> Self {
        Arc::new(function)
    }
}

impl TapeFunction {
    fn new(name: String, tape: Tape, inputs: Vec<usize>, outputs: Vec<Output>) -> Self {
        let (forward, reverse) = (OnceLock::new(), OnceLock::new());
        let derived = Mutex::default();
        let shared = Shared { name, tape, inputs, outputs, forward, reverse, derived };
        TapeFunction { shared: Arc::new(shared) }
    }

    /// The same tape with its inputs and outputs split over several tensors: `with_ports(&[7, 3], &[3])` takes \[…, 7\] and \[…, 3\].
    ///
    /// # Errors
    /// `Invalid` where the widths do not add up to the tape's inputs and outputs.
    pub fn with_ports(&self, inputs: &[usize], outputs: &[usize]) -> crate::Result<TapeFunction> {
        let tape = &self.shared.tape;
        for (side, ports, expected) in
            [("inputs", inputs, tape.inputs()), ("outputs", outputs, tape.outputs())]
        {
            let sum = ports.iter().try_fold(0usize, |sum, &width| sum.checked_add(width));
            if sum != Some(expected) {
                let what = format!("{side} {ports:?} do not add up to the tape's {expected}");
                return Err(crate::Error::invalid(&self.shared.name, what));
            }
        }
        let outputs = outputs.iter().map(|&width| Output { width, of: None }).collect();
        Ok(Self::new(self.shared.name.clone(), tape.clone(), inputs.to_vec(), outputs))
    }

    /// The tape.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        &self.shared.tape
    }

    fn run(&self, x: &[Tensor], phase: Phase) -> Result<Vec<Tensor>> {
        let name = &self.shared.name;
        let batch = self.batch(x)?;
        let (dtype, device) = match x.first() {
            Some(t) => (t.dtype(), t.device().clone()),
            None => (DType::F64, Device::Cpu),
        };
        let (n, m) = (self.shared.tape.inputs(), self.shared.tape.outputs());
        let mut rows = self.zeros(batch.samples, n)?;
        let mut first = 0;
        for (t, &width) in x.iter().zip(&self.shared.inputs) {
            let data = to_f64(t).map_err(|e| e.renamed(|_| name.clone()))?;
            if 0 < width {
                // A shared input begins again for each sample.
                let parts = data.chunks_exact(width).cycle();
                for (row, part) in rows.chunks_exact_mut(n).zip(parts) {
                    row[first..first + width].copy_from_slice(part);
                }
            }
            first += width;
        }
        let mut y = self.zeros(batch.samples, m)?;
        let tape = &self.shared.tape;
        let ran = match batch.samples {
            0..=FEW => tape.run(batch.samples, &rows, &mut y, &mut Workspace::new(tape)),
            _ => tape.run_parallel(batch.samples, &rows, &mut y),
        };
        ran.map_err(|e| self.located(e, phase))?;
        let mut first = 0;
        let mut results = Vec::with_capacity(self.shared.outputs.len());
        for (port, &Output { width, of }) in self.shared.outputs.iter().enumerate() {
            let sum = of.is_some_and(|input| batch.shares(&x[input]));
            let mut dims = if sum { Vec::new() } else { batch.dims.clone() };
            let mut values = vec![0.0; if sum { width } else { 0 }];
            if sum {
                for row in y.chunks_exact(m.max(1)) {
                    values.iter_mut().zip(&row[first..first + width]).for_each(|(s, v)| *s += v);
                }
            } else if width == m {
                values = std::mem::take(&mut y);
            } else {
                values.reserve_exact(batch.samples.saturating_mul(width));
                for row in y.chunks_exact(m.max(1)) {
                    values.extend_from_slice(&row[first..first + width]);
                }
            }
            dims.push(width);
            let tensor = self.tensor(values, &dims, dtype, &device)?;
            if sum || dtype != DType::F64 {
                // A sum, or a number that was finite in f64, may overflow.
                ensure_finite(&tensor, name, phase, port)?;
            }
            results.push(tensor);
            first += width;
        }
        Ok(results)
    }

    fn tensor(
        &self,
        values: Vec<f64>,
        dims: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let name = &self.shared.name;
        let tensor = from_vec(values, dims, &Device::Cpu)?;
        let cast = tensor.to_dtype(dtype).and_then(|t| t.to_device(device));
        cast.map_err(|e| Error::tensor(name, e))
    }

    fn zeros(&self, samples: usize, width: usize) -> Result<Vec<f64>> {
        let mut data = Vec::new();
        let room = samples.checked_mul(width).filter(|&n| data.try_reserve_exact(n).is_ok());
        let Some(n) = room else {
            let what = format!("no memory for {samples} samples of {width} numbers");
            return Err(Error::invalid(&self.shared.name, what));
        };
        data.resize(n, 0.0);
        Ok(data)
    }

    /// The samples, from the shapes of the inputs.
    fn batch(&self, x: &[Tensor]) -> Result<Batch> {
        let (node, widths) = (&self.shared.name, &self.shared.inputs);
        if x.len() != widths.len() {
            let (what, expected, got) = ("inputs", widths.len(), x.len());
            return Err(Error::Arity { node: node.clone(), what, expected, got });
        }
        let shapes = || x.iter().map(Tensor::dims).collect::<Vec<_>>();
        for (port, (t, &width)) in x.iter().zip(widths).enumerate() {
            if t.dims().last() != Some(&width) {
                let what = format!("input {port} must have {width} numbers in its last dimension");
                return Err(Error::shape(node, what, &shapes()));
            }
        }
        if x.iter().any(|t| !is_real(t) || t.dtype() != x[0].dtype()) {
            let got = x.iter().map(Tensor::dtype).collect();
            let what = "all inputs must be f64, or all f32";
            return Err(Error::DType { node: node.clone(), what, got });
        }
        if x.iter().any(|t| !t.device().same_device(x[0].device())) {
            let got = x.iter().map(|t| t.device().location()).collect();
            return Err(Error::Device { node: node.clone(), got });
        }
        let batched = x.iter().map(Tensor::dims).find(|dims| 1 < dims.len());
        let dims = batched.map_or(&[][..], |dims| &dims[..dims.len() - 1]);
        if x.iter().any(|t| 1 < t.rank() && t.dims()[..t.rank() - 1] != *dims) {
            let what = format!("the batch {dims:?} must lead all inputs that are not shared by it");
            return Err(Error::shape(node, what, &shapes()));
        }
        match dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
            Some(samples) => Ok(Batch { dims: dims.to_vec(), samples }),
            None => Err(Error::shape(node, "too many samples to count", &shapes())),
        }
    }

    /// An output of the tape as the element of a port.
    fn located(&self, error: crate::Error, phase: Phase) -> Error {
        let node = self.shared.name.clone();
        let crate::Error::OutputNotFinite { output, sample, value, .. } = error else {
            return Error::from(error).renamed(|_| node);
        };
        let (mut port, mut first) = (0, 0);
        while let Some(Output { width, .. }) = self.shared.outputs.get(port)
            && first + width <= output
        {
            first += width;
            port += 1;
        }
        let width = self.shared.outputs.get(port).map_or(0, |port| port.width);
        Error::NotFinite { node, phase, port, index: sample * width + output - first, value }
    }

    fn marks(&self, wrt: Wrt<'_>) -> Vec<bool> {
        (0..self.shared.inputs.len()).map(|i| wrt.needs(i)).collect()
    }
}

/// The leading dimensions that the inputs have in common.
struct Batch {
    dims: Vec<usize>,
    samples: usize,
}

impl Batch {
    /// Is this input the same for all samples?
    fn shares(&self, t: &Tensor) -> bool {
        !self.dims.is_empty() && t.rank() == 1
    }
}

impl Function for TapeFunction {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.run(x, Phase::Eval)
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let x: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
        let y = self.eval(&x)?;
        let map = At { function: self.clone(), x, y: y.clone(), wrt: self.marks(wrt) };
        Ok((y, Box::new(map)))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let wrt = self.marks(wrt);
        Ok(Arc::new(self.derived((Rule::Tangent, wrt.clone(), wrt))))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let all = vec![true; self.shared.outputs.len()];
        Ok(Arc::new(self.derived((Rule::Adjoint, self.marks(wrt), all))))
    }
}
