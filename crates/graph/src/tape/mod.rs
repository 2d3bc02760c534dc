//! A scalar function network as a flat list of instructions, run over SIMD lanes, closed under differentiation.

mod bytes;
mod cause;
mod dag;
mod derivative;
mod expr;
mod fuse;
mod grouped;
mod machine;
mod op;
mod program;
mod rewire;
mod run;
mod rust;
mod samples;
mod sparse;
mod structure;
mod table;
mod workspace;

use dag::{Dag, Id, Node};
pub use expr::Expr;
use expr::Recorder;
pub use op::Op;
pub use samples::SampleSum;
use workspace::Programs;
pub use workspace::Workspace;

use std::sync::Arc;

use crate::{Error, Result};

/// A function from n to m real numbers, as instructions.
///
/// ```
/// use pullback_graph::{Real, Tape};
/// fn f<T: Real>(x: &[T]) -> Vec<T> {
///     vec![x[0] * x[1].sin(), x[0].exp()]
/// }
/// # fn main() -> pullback_graph::Result<()> {
/// let tape = Tape::record(2, |x| f(x))?;
/// assert_eq!(tape.eval(&[2.0, 0.5])?, f(&[2.0, 0.5]));
/// let (jacobian, pattern) = tape.jacobian();
/// assert_eq!(pattern.places().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 0)]);
/// assert_eq!(jacobian.eval(&[2.0, 0.5])?, [0.5f64.sin(), 2.0 * 0.5f64.cos(), 2.0f64.exp()]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tape {
    inputs: usize,
    nodes: Vec<Node>,
    outputs: Vec<Id>,
    programs: Arc<Programs>,
    hash: u64,
}

/// Most inputs of a recording.
const MOST: usize = 1 << 30;

impl Tape {
    /// Runs `f` once on expressions and keeps what it does: equal expressions once, constants folded, without what the result does not
    /// need.
    ///
    /// `f` is a closure, `|x| pendulum(x)`: the name of a generic function alone is not general enough for the compiler.
    ///
    /// # Errors
    /// `FrozenBranch` if `f` compared expressions; `ForeignExpression` if it used or returned an expression of another recording;
    /// `Invalid` above 2³⁰ inputs.
    pub fn record<F>(inputs: usize, f: F) -> Result<Tape>
    where
        F: for<'r> FnOnce(&[Expr<'r>]) -> Vec<Expr<'r>>,
    {
        if MOST < inputs {
            let what = format!("{inputs} inputs; the limit is {MOST}");
            return Err(Error::invalid("a recording", what));
        }
        let recorder = Recorder::default();
        let x: Vec<Expr<'_>> = (0..inputs)
            .map(|_| {
                let id = recorder.dag.borrow_mut().input();
                Expr::new(&recorder, id)
            })
            .collect();
        let y = f(&x);
        let outputs: Option<Vec<Id>> = y.into_iter().map(|e| e.id(&recorder)).collect();
        if let Some(error) = recorder.error.borrow_mut().take() {
            return Err(error);
        }
        let outputs = outputs.ok_or(Error::ForeignExpression)?;
        let dag = recorder.dag.take();
        Ok(Builder { dag }.finish(&outputs))
    }

    /// Number of inputs n.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs m.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Number of instructions, loads and stores not counted.
    pub fn len(&self) -> usize {
        self.nodes.iter().filter(|node| 0 < node.op.arity()).count()
    }

    /// Does it do nothing but move numbers?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of registers that the machine needs for a batch: one number in each of its lanes.
    pub fn registers(&self) -> usize {
        self.batch_program().registers
    }

    /// The same for the same instructions.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// A tape under construction.
struct Builder {
    dag: Dag,
}

impl Builder {
    /// Begins with the nodes of a tape, at their positions.
    fn over(tape: &Tape) -> Self {
        Builder { dag: Dag::from_nodes(tape.inputs, &tape.nodes) }
    }

    /// The derivative with respect to each input; a constant 0 where there is none.
    fn of_inputs(&mut self, tape: &Tape, adjoint: &[Option<Id>]) -> Vec<Id> {
        let zero = self.dag.constant(0.0);
        let mut slopes = vec![zero; tape.inputs];
        for (node, d) in tape.nodes.iter().zip(adjoint) {
            if let (Op::Input, Some(d)) = (node.op, d) {
                slopes[node.args[0] as usize] = *d;
            }
        }
        slopes
    }

    fn finish(self, outputs: &[Id]) -> Tape {
        let inputs = self.dag.inputs;
        self.finish_with(inputs, outputs)
    }

    /// A tape of the first `inputs` inputs; the outputs must not need others.
    fn finish_with(self, inputs: usize, outputs: &[Id]) -> Tape {
        let (nodes, outputs) = program::without_dead(&self.dag, outputs);
        let hash = dag::hash(inputs, &nodes, &outputs);
        Tape { inputs, nodes, outputs, programs: Arc::default(), hash }
    }
}
