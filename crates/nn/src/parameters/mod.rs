//! Named parameters: seeded when they are made, ordered by name ever after.
//!
//! A layer asks a [`Scope`] for its parameters once, when it is built, and keeps their names. A training step
//! [binds](Parameters::bind) all parameters to a graph, runs the layers, pulls the loss back to [`Bound::vars`], and hands
//! the gradients, in the same order, to an optimizer. Beside the parameters stand buffers: numbers that a layer keeps and no
//! optimizer moves, as running statistics are; what a step would make of them is taken over by [`Parameters::apply`].

mod bound;
pub mod initialization;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::tensor::ensure_finite;
use pullback_core_graph::{Graph, Phase};

pub use bound::{Bound, Mode};
pub use initialization::{Fan, Initialization};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, room};

/// A set of named tensors of one element type on one device, in the order of their names.
///
/// Names are paths, `perception.stem.weight`. Initial values depend on the seed and the name alone, not on the order in which
/// layers are built, and agree between `f32` and `f64` up to rounding.
#[derive(Debug, Clone)]
pub struct Parameters {
    tensors: BTreeMap<String, Tensor>,
    buffers: Arc<BTreeMap<String, Tensor>>,
    seed: u64,
    dtype: DType,
    device: Device,
}

impl Parameters {
    /// No parameters yet.
    #[must_use]
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            tensors: BTreeMap::new(),
            buffers: Arc::default(),
            seed,
            dtype,
            device: device.clone(),
        }
    }

    /// Where layers make their parameters.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { parameters: self, path: String::new() }
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many tensors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// How many numbers there are in all tensors.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Arc<[String]> {
        self.tensors.keys().cloned().collect()
    }

    /// The values, in the order of the names: what a [`Function`](pullback_core_graph::Function) over the parameters takes.
    #[must_use]
    pub fn values(&self) -> Vec<Tensor> {
        self.tensors.values().cloned().collect()
    }

    /// The value of one parameter.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none of that name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| unknown(name))
    }

    /// Gives one parameter a new value.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none of that name, or its shape or element type differs.
    pub fn set(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let device = self.device.clone();
        let tensor = self.tensors.get_mut(name).ok_or_else(|| unknown(name))?;
        check_like(name, tensor, value)?;
        *tensor = value.detach().to_device(&device)?;
        Ok(())
    }

    /// Names and values of the buffers, in the order of the names.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.buffers.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Gives a buffer a new value.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none of that name, or its shape or element type differs.
    pub fn set_buffer(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let buffers = Arc::make_mut(&mut self.buffers);
        let tensor = buffers.get_mut(name).ok_or_else(|| unknown(name))?;
        check_like(name, tensor, value)?;
        *tensor = value.detach().to_device(&self.device)?;
        Ok(())
    }

    /// Takes over what the layers made of the buffers in a forward pass over `bound`; on an error nothing has changed.
    ///
    /// # Errors
    /// As [`Parameters::set_buffer`].
    pub fn apply(&mut self, bound: &Bound<'_>) -> Result<()> {
        let mut next = self.clone();
        bound.updates().iter().try_for_each(|(name, value)| next.set_buffer(name, value))?;
        *self = next;
        Ok(())
    }

    /// All parameters as inputs of a graph: derivatives with respect to them can be asked for.
    pub fn bind<'g>(&self, graph: &'g Graph) -> Bound<'g> {
        let vars = self.iter().map(|(name, tensor)| graph.input(tensor).named(name));
        Bound::of(self.names(), vars, self.buffers.clone())
    }

    /// All parameters as constants of a graph: for inference, where nothing is kept for a derivative.
    pub fn bind_constant<'g>(&self, graph: &'g Graph) -> Bound<'g> {
        let vars = self.iter().map(|(_, tensor)| graph.constant(tensor));
        Bound::of(self.names(), vars, self.buffers.clone())
    }

    /// Puts all values, and the buffers', into a checkpoint, under `prefix` followed by their names.
    pub fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        for (name, tensor) in self.iter().chain(self.buffers()) {
            checkpoint.tensors.insert(format!("{prefix}{name}"), tensor.clone());
        }
    }

    /// Takes all values from a checkpoint; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Parameter`] if a parameter or buffer is missing there, has another shape or element type, or the checkpoint has one
    /// under `prefix` that is unknown here.
    pub fn load(&mut self, checkpoint: &Checkpoint, prefix: &str) -> Result<()> {
        let mut loaded = self.clone();
        for (name, tensor) in checkpoint.with_prefix(prefix) {
            match self.buffers.contains_key(name) {
                true => loaded.set_buffer(name, tensor)?,
                false => loaded.set(name, tensor)?,
            }
        }
        if let Some(name) = self
            .tensors
            .keys()
            .chain(self.buffers.keys())
            .find(|name| !checkpoint.tensors.contains_key(&format!("{prefix}{name}")))
        {
            return Err(Error::Parameter {
                name: name.clone(),
                what: "is not in the checkpoint".into(),
            });
        }
        *self = loaded;
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    Error::Parameter { name: name.into(), what: "there is no parameter of this name".into() }
}

/// A value for `name` must have the shape and element type of the one that is there.
pub(crate) fn check_like(name: &str, expected: &Tensor, value: &Tensor) -> Result<()> {
    if expected.dims() == value.dims() && expected.dtype() == value.dtype() {
        return Ok(());
    }
    let of = |t: &Tensor| format!("{:?} of {:?}", t.dims(), t.dtype());
    let what = format!("needs {}, got {}", of(expected), of(value));
    Err(Error::Parameter { name: name.into(), what })
}

/// Whether the memory for so many numbers can be had, before anything counts on it: a failed allocation would end the process.
fn check_room(name: &str, dims: &[usize]) -> Result<()> {
    if room::<f64>(dims) {
        return Ok(());
    }
    let what = format!("there is no memory for numbers of dimensions {dims:?}");
    Err(Error::Parameter { name: name.into(), what })
}

/// A place in the tree of names, where a layer makes its parameters.
#[derive(Debug)]
pub struct Scope<'a> {
    parameters: &'a mut Parameters,
    path: String,
}

impl Scope<'_> {
    /// The place `name` below this one.
    pub fn scope(&mut self, name: &str) -> Scope<'_> {
        let path = self.join(name);
        Scope { parameters: &mut *self.parameters, path }
    }

    /// Makes a parameter, and returns its full name.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the name is empty or taken, the initialization does not fit the shape, or there is no memory for it;
    /// [`Error::Graph`] for a value that is not finite.
    pub fn parameter(
        &mut self,
        name: &str,
        dims: &[usize],
        initialization: Initialization,
    ) -> Result<String> {
        let full = self.free(name)?;
        let Parameters { seed, dtype, device, .. } = &*self.parameters;
        check_room(&full, dims)?;
        let values = initialization.values(&full, *seed, dims)?;
        let tensor =
            Tensor::from_vec(values, dims, &Device::Cpu)?.to_dtype(*dtype)?.to_device(device)?;
        ensure_finite(&tensor, &full, Phase::Eval, 0)?;
        self.parameters.tensors.insert(full.clone(), tensor);
        Ok(full)
    }

    /// Makes a buffer of equal values, and returns its full name.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the name is empty or taken, or there is no memory for it; [`Error::Graph`] for a value that is not
    /// finite.
    pub fn buffer(&mut self, name: &str, dims: &[usize], value: f64) -> Result<String> {
        let full = self.free(name)?;
        let Parameters { dtype, device, buffers, .. } = &mut *self.parameters;
        check_room(&full, dims)?;
        let values = Initialization::Constant(value).values(&full, 0, dims)?;
        let tensor =
            Tensor::from_vec(values, dims, &Device::Cpu)?.to_dtype(*dtype)?.to_device(device)?;
        ensure_finite(&tensor, &full, Phase::Eval, 0)?;
        Arc::make_mut(buffers).insert(full.clone(), tensor);
        Ok(full)
    }

    /// The full name of this place: what a layer without parameters is told apart by.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A full name that is not taken.
    fn free(&self, name: &str) -> Result<String> {
        let full = self.join(name);
        let fail = |what: &str| Err(Error::Parameter { name: full.clone(), what: what.into() });
        if full.split('.').any(str::is_empty) {
            return fail("every part of a name must be non-empty");
        }
        let Parameters { tensors, buffers, .. } = &*self.parameters;
        if tensors.contains_key(&full) || buffers.contains_key(&full) {
            return fail("the name is taken");
        }
        Ok(full)
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }
}
