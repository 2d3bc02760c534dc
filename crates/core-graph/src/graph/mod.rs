//! The function network: an arena of nodes, parents before children.
//!
//! Both sweeps are plain loops over the arena, so a cycle cannot be written and no depth overflows a stack.

mod closure;
mod deep;
mod derivative;
mod draw;
mod leaf;
mod recorded;
mod scratch;
mod sweep;
mod total;
mod var;

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use smallvec::SmallVec;

pub use closure::{Closure, Recording, function};
pub use var::Var;

pub(crate) use scratch::{Known, LONG};

use crate::primitive::Values;
use crate::tensor::{ensure_finite, room_for_views};
use crate::{Error, Function, LinearMap, Phase, Primitive, Result, Wrt};

/// What a graph does beside recording.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Check that every value and every derivative is finite (`Ok` means finite). Default: true. The bench states its cost.
    pub finite: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { finite: true }
    }
}

/// A function network under construction: recording a node evaluates it at once.
///
/// ```
/// use pullback_core_graph::{Graph, candle::{Device, Tensor}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let graph = Graph::new();
/// let x = graph.input(&Tensor::new(1.0f64, &Device::Cpu)?).named("x");
/// let g = (2.0 * x).named("g");
/// let f = (3.0 * x + 2.0 * g).named("f");
/// assert_eq!(graph.partial(f, x)?.to_scalar::<f64>()?, 3.0); // ∂f/∂x: g is held fixed
/// assert_eq!(graph.total(f, x)?.to_scalar::<f64>()?, 7.0); //   df/dx: g moves with x
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Graph {
    arena: RefCell<Arena>,
    options: Options,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({} nodes)", self.arena.borrow().nodes.len())
    }
}

/// The nodes and their values. Without the cell around it, it is immutable and shareable.
#[derive(Default)]
pub(crate) struct Arena {
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// The user's names, by slot.
    names: HashMap<u32, String>,
    errors: Vec<Error>,
    /// A scratch arena keeps values only: what rules compute while a sweep runs.
    scratch: bool,
    /// Of a scratch arena: long values that a loop has seen to be finite, and that were forgotten since.
    known: Known,
    /// Long leaves whose numbers nobody has looked at: the loop of their first operation may do so in passing.
    unseen: SmallVec<[u32; 4]>,
}

/// One value.
pub(crate) struct Slot {
    tensor: Tensor,
    node: u32,
    /// Does it depend on an input? Then functions are linearized as they are recorded.
    active: bool,
    /// Has the loop that made it seen that it is finite?
    finite: bool,
}

/// One node: an operation, its parents, and the slots of its outputs.
pub(crate) struct Node {
    kind: Kind,
    parents: SmallVec<[u32; 3]>,
    first: u32,
    n_outputs: u32,
}

impl Node {
    fn outputs(&self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.n_outputs) as usize
    }
}

#[derive(Clone)]
pub(crate) enum Kind {
    Input,
    Constant,
    Primitive(Arc<dyn Primitive>),
    Function(Arc<Applied>),
}

/// A function at a point; linearized when recorded on active variables, else when a sweep first asks.
pub(crate) struct Applied {
    function: Arc<dyn Function>,
    map: Mutex<Option<(Vec<bool>, Arc<dyn LinearMap>)>>,
}

impl Applied {
    /// The linear map with respect to at least the inputs in `wrt`.
    fn map(&self, wrt: &[bool], x: impl FnOnce() -> Vec<Tensor>) -> Result<Arc<dyn LinearMap>> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let had: &[bool] = map.as_ref().map_or(&[], |(w, _)| w);
        if let Some((w, m)) = &*map
            && wrt.iter().zip(w).all(|(need, has)| *has || !*need)
        {
            return Ok(m.clone());
        }
        let both: Vec<bool> =
            wrt.iter().enumerate().map(|(i, &n)| n || Wrt(had).needs(i)).collect();
        let (_, made) = self.function.linearize(&x(), Wrt(&both))?;
        let made: Arc<dyn LinearMap> = Arc::from(made);
        *map = Some((both, made.clone()));
        Ok(made)
    }
}

/// A node that was evaluated and not yet recorded.
#[derive(Default)]
struct Evaluated {
    parents: SmallVec<[u32; 3]>,
    values: Values,
    active: bool,
    finite: bool,
    /// Parents that its loop has seen to be finite.
    shown: SmallVec<[u32; 3]>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Graph::default()
    }

    /// An empty graph with options.
    pub fn with_options(options: Options) -> Self {
        Graph { arena: RefCell::default(), options }
    }

    /// The options it was made with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// How many nodes were recorded.
    pub fn len(&self) -> usize {
        self.arena.borrow().nodes.len()
    }

    /// Nothing recorded yet?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records a primitive with one output.
    pub fn record<'g>(&'g self, op: impl Primitive, x: &[Var<'g>]) -> Var<'g> {
        let first = self.evaluate(&op, x).map(|made| {
            self.add(made, |scratch| (!scratch).then(|| Kind::Primitive(Arc::new(op)))).0
        });
        match first {
            Ok(id) => Var::new(self, id),
            Err(e) => self.fail(e),
        }
    }

    /// Records a primitive with any number of outputs.
    pub fn record_all<'g>(
        &'g self,
        op: Arc<dyn Primitive>,
        x: &[Var<'g>],
    ) -> Result<SmallVec<[Var<'g>; 2]>> {
        let made = self.evaluate(&*op, x)?;
        let (first, n) = self.add(made, |scratch| (!scratch).then_some(Kind::Primitive(op)));
        Ok((first..first + n).map(|id| Var::new(self, id)).collect())
    }

    /// The values of a primitive, checked; nothing is recorded yet.
    fn evaluate<'g>(&'g self, op: &dyn Primitive, x: &[Var<'g>]) -> Result<Evaluated> {
        let parents = self.slots_of(op.name(), x)?;
        let arena = self.arena.borrow();
        let inputs: SmallVec<[&Tensor; 4]> =
            parents.iter().map(|&p| &arena.slots[p as usize].tensor).collect();
        let locate = |e| arena.locate(e, op.name());
        let (mut seeing, mut shown) = (SmallVec::<[u32; 3]>::new(), SmallVec::new());
        for (i, &p) in parents.iter().enumerate() {
            match arena.unseen.contains(&p) {
                _ if arena.scratch && inputs[i].elem_count() < LONG => {}
                unseen if (unseen || arena.scratch) && op.sees(i, &inputs) => seeing.push(p),
                true => arena.look(p)?,
                false => {}
            }
        }
        let look = || seeing.iter().filter(|_| !arena.scratch).try_for_each(|&p| arena.look(p));
        room_for_views(op.name(), &inputs).map_err(locate)?;
        let (values, finite) = match op.eval_seen(&inputs) {
            Ok((values, true)) => (values, true),
            Ok((values, false)) => look().map(|()| (values, false))?,
            Err(e) => return Err(look().err().unwrap_or_else(|| locate(e))),
        };
        if finite || !arena.scratch {
            shown = seeing;
        }
        if values.is_empty() {
            let (node, what) = (op.name().into(), "or more outputs");
            return Err(locate(Error::Arity { node, what, expected: 1, got: 0 }));
        }
        if self.options.finite && !finite && !op.keeps_finite() {
            for (port, t) in values.iter().enumerate() {
                ensure_finite(t, op.name(), Phase::Eval, port).map_err(locate)?;
            }
        }
        let active = parents.iter().any(|&p| arena.slots[p as usize].active);
        Ok(Evaluated { parents, values, active, finite, shown })
    }

    /// The first slot of a new node, and how many there are. `kind` hears whether this is a scratch graph, which keeps no nodes.
    fn add(&self, made: Evaluated, kind: impl FnOnce(bool) -> Option<Kind>) -> (u32, u32) {
        let mut arena = self.arena.borrow_mut();
        let (n, kind) = (made.values.len() as u32, kind(arena.scratch));
        (arena.add(kind, made), n)
    }

    /// Records a function: any number of variables in, any number out.
    ///
    /// It is linearized at once if a variable depends on an input, with respect to those that do.
    pub fn apply<'g>(&'g self, f: &Arc<dyn Function>, x: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let parents = self.parents(f.name(), x)?;
        let (tensors, wrt) = {
            let arena = self.arena.borrow();
            let slots = parents.iter().map(|&p| &arena.slots[p as usize]);
            let pairs = slots.map(|s| (s.tensor.clone(), s.active));
            pairs.unzip::<Tensor, bool, Vec<_>, Vec<_>>()
        };
        let locate = |e: Error| {
            let index = self.arena.borrow().nodes.len();
            e.renamed(|inner| nested(f.name(), index, inner))
        };
        let active = wrt.contains(&true);
        let (values, map) = if active && !self.arena.borrow().scratch {
            let (values, map) = f.linearize(&tensors, Wrt(&wrt)).map_err(locate)?;
            (values, Some((wrt, Arc::from(map))))
        } else {
            (f.eval(&tensors).map_err(locate)?, None)
        };
        if self.options.finite {
            for (port, t) in values.iter().enumerate() {
                ensure_finite(t, f.name(), Phase::Eval, port).map_err(locate)?;
            }
        }
        let values: Values = values.iter().map(Tensor::detach).collect();
        let n = values.len() as u32;
        let kind = Kind::Function(Arc::new(Applied { function: f.clone(), map: Mutex::new(map) }));
        let made = Evaluated { parents, values, active, ..Evaluated::default() };
        let first = self.arena.borrow_mut().add(Some(kind), made);
        Ok((first..first + n).map(|id| Var::new(self, id)).collect())
    }

    /// Slots of the variables; a failed one gives its own error, a foreign one is an error. All leaves have been looked at.
    fn parents<'g>(&'g self, node: &str, x: &[Var<'g>]) -> Result<SmallVec<[u32; 3]>> {
        self.look()?;
        self.slots_of(node, x)
    }

    /// [`parents`](Self::parents) among which there may be leaves that nobody has looked at.
    fn slots_of<'g>(&'g self, node: &str, x: &[Var<'g>]) -> Result<SmallVec<[u32; 3]>> {
        let mut parents = SmallVec::with_capacity(x.len());
        for (input, v) in x.iter().enumerate() {
            if !std::ptr::eq(v.graph(), self) {
                let node = format!("{node}#{}", self.arena.borrow().nodes.len());
                return Err(Error::ForeignVar { node, input });
            }
            parents.push(v.alive()?.id());
        }
        Ok(parents)
    }

    /// Errors: a variable of another graph, or one that stands for an error.
    pub(crate) fn check_own<'g>(&'g self, node: &str, x: &[Var<'g>]) -> Result<()> {
        self.parents(node, x).map(|_| ())
    }

    /// A variable that stands for an error; whatever is computed from it is that error.
    pub(crate) fn fail(&self, error: Error) -> Var<'_> {
        let mut arena = self.arena.borrow_mut();
        arena.errors.push(error);
        Var::failed(self, arena.errors.len() as u32 - 1)
    }

    /// A result as a variable.
    pub(crate) fn sticky<'g>(&'g self, result: Result<Var<'g>>) -> Var<'g> {
        result.unwrap_or_else(|e| self.fail(e))
    }

    pub(crate) fn arena(&self) -> Ref<'_, Arena> {
        self.arena.borrow()
    }

    /// The name of a node as errors and drawings show it: `mul#17`, or the user's name for it.
    pub fn node_name(&self, v: Var<'_>) -> String {
        let arena = self.arena.borrow();
        v.ok().map_or_else(|e| e.node().to_string(), |v| arena.name_of_slot(v.id()))
    }
}

impl Arena {
    fn add(&mut self, kind: Option<Kind>, made: Evaluated) -> u32 {
        let Evaluated { parents, values, active, finite, shown } = made;
        if !shown.is_empty() {
            shown.iter().for_each(|&p| self.slots[p as usize].finite = true);
            self.unseen.retain(|p| !shown.contains(p));
        }
        let first = self.slots.len() as u32;
        let n_outputs = values.len() as u32;
        let node = if self.scratch { u32::MAX } else { self.nodes.len() as u32 };
        self.slots.extend(values.into_iter().map(|tensor| Slot { tensor, node, active, finite }));
        if let (false, Some(kind)) = (self.scratch, kind) {
            self.nodes.push(Node { kind, parents, first, n_outputs });
        }
        first
    }

    /// Puts the name of the node that is about to be recorded into an error.
    fn locate(&self, e: Error, name: &str) -> Error {
        if self.scratch {
            return e;
        }
        let index = self.nodes.len();
        e.renamed(|_| format!("{name}#{index}"))
    }

    /// The user's names for a node's outputs, else the name of its operation.
    fn label(&self, node: usize) -> String {
        let node = &self.nodes[node];
        let names: Vec<&str> = node
            .outputs()
            .filter_map(|i| self.names.get(&(i as u32)))
            .map(String::as_str)
            .collect();
        if !names.is_empty() {
            return names.join(", ");
        }
        match &node.kind {
            Kind::Input => "input".to_string(),
            Kind::Constant => "constant".to_string(),
            Kind::Primitive(p) => p.name().to_string(),
            Kind::Function(a) => a.function.name().to_string(),
        }
    }

    pub(crate) fn name(&self, node: usize) -> String {
        format!("{}#{node}", self.label(node))
    }

    fn name_of_slot(&self, slot: u32) -> String {
        match (self.slots[slot as usize].node, self.names.get(&slot)) {
            (u32::MAX, _) => "value".to_string(),
            (node, Some(name)) => format!("{name}#{node}"),
            (node, None) => self.name(node as usize),
        }
    }
}

/// `policy#3/mul#17`; an error that the function raised under its own name stays short.
fn nested(name: &str, index: usize, inner: &str) -> String {
    let own = inner.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
    match own.unwrap_or(inner) {
        "" | "tensor" => format!("{name}#{index}"),
        inner if inner == name => format!("{name}#{index}"),
        inner => format!("{name}#{index}/{inner}"),
    }
}
