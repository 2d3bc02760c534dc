//! Parameters as variables of a graph.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Tensor;
use pullback_core_graph::{Error, Result, Var};
use rand_chacha::ChaCha8Rng;

use crate::random;

/// How layers that differ in training and in use compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// In use: nothing is random, and statistics are those that were gathered.
    #[default]
    Evaluation,
    /// In training: statistics of the batch, and random numbers that depend on this seed and the layer's name alone.
    Training {
        /// Another one for each step.
        seed: u64,
    },
}

impl Mode {
    /// The random numbers of the layer of this name in this step; none in evaluation.
    #[must_use]
    pub fn random(self, name: &str) -> Option<ChaCha8Rng> {
        let Self::Training { seed } = self else { return None };
        Some(random::named(seed, name))
    }
}

/// The parameters of a network as variables of one graph, by name; with the buffers, and the mode.
#[derive(Debug, Clone)]
pub struct Bound<'g> {
    /// Sorted.
    names: Arc<[String]>,
    vars: Vec<Var<'g>>,
    buffers: Arc<BTreeMap<String, Tensor>>,
    mode: Mode,
    updates: Arc<Mutex<BTreeMap<String, Tensor>>>,
}

impl<'g> Bound<'g> {
    pub(super) fn of(
        names: Arc<[String]>,
        vars: impl Iterator<Item = Var<'g>>,
        buffers: Arc<BTreeMap<String, Tensor>>,
    ) -> Self {
        let (mode, updates) = (Mode::Evaluation, Arc::default());
        Self { names, vars: vars.collect(), buffers, mode, updates }
    }

    /// The same in training, where `seed` is another one for each step.
    #[must_use]
    pub fn training(self, seed: u64) -> Self {
        self.in_mode(Mode::Training { seed })
    }

    /// The same in this mode.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// How the layers are to compute.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The value of a buffer before the pass.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none of that name.
    pub fn buffer(&self, name: &str) -> Result<&Tensor> {
        self.buffers
            .get(name)
            .ok_or_else(|| Error::invalid(name, "there is no buffer of this name"))
    }

    /// The value of a buffer as far as the pass has come: its last [`update`](Self::update), or the value before the pass.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none of that name.
    pub fn updated(&self, name: &str) -> Result<Tensor> {
        let pending = self.updates().get(name).cloned();
        pending.map_or_else(|| self.buffer(name).cloned(), Ok)
    }

    /// What a buffer is to be after the pass; [`Parameters::apply`](super::Parameters::apply) takes it over.
    pub fn update(&self, name: &str, value: &Tensor) {
        self.updates().insert(name.to_string(), value.detach());
    }

    pub(super) fn updates(&self) -> MutexGuard<'_, BTreeMap<String, Tensor>> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Variables that stand for the parameters of these names, which are sorted: inside a closure whose inputs the
    /// parameters are.
    ///
    /// # Errors
    /// [`Error::Arity`] if their numbers differ, [`Error::Invalid`] if the names are not in order.
    pub fn new(names: Arc<[String]>, vars: &[Var<'g>]) -> Result<Self> {
        if names.len() != vars.len() {
            let (expected, got) = (names.len(), vars.len());
            return Err(Error::Arity {
                node: "parameters".into(),
                what: "variables",
                expected,
                got,
            });
        }
        if !names.is_sorted() {
            return Err(Error::invalid("parameters", "the names must be in order"));
        }
        Ok(Self::of(names, vars.iter().copied(), Arc::default()))
    }

    /// The same with the buffers of `parameters`: for a closure, which is given the parameters alone.
    #[must_use]
    pub fn with_buffers(self, parameters: &super::Parameters) -> Self {
        Self { buffers: parameters.buffers.clone(), ..self }
    }

    /// The variable of a parameter.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none of that name.
    pub fn get(&self, name: &str) -> Result<Var<'g>> {
        match self.names.binary_search_by(|n| n.as_str().cmp(name)) {
            Ok(index) => self.vars[index].ok(),
            Err(_) => Err(Error::invalid(name, "there is no parameter of this name")),
        }
    }

    /// All variables, in the order of the names: what a gradient is asked for with respect to.
    #[must_use]
    pub fn vars(&self) -> &[Var<'g>] {
        &self.vars
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}
