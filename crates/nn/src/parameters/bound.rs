//! Parameters as variables of a graph.

use std::sync::Arc;

use pullback_core_graph::{Error, Result, Var};

/// The parameters of a network as variables of one graph, by name.
#[derive(Debug, Clone)]
pub struct Bound<'g> {
    /// Sorted.
    names: Arc<[String]>,
    vars: Vec<Var<'g>>,
}

impl<'g> Bound<'g> {
    pub(super) fn of(names: Arc<[String]>, vars: impl Iterator<Item = Var<'g>>) -> Self {
        Self { names, vars: vars.collect() }
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
        Ok(Self { names, vars: vars.to_vec() })
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
