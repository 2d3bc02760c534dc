//! A tape with other inputs and fewer outputs: what its derivatives are cut to, so that nothing is computed that nobody asked for.

use super::dag::{Dag, Id};
use super::op::Op;
use super::{Builder, Tape};

impl Tape {
    /// The outputs `outputs` as a tape of `inputs` inputs, of which this tape's input i is number `from[i]`; where it is `None`, the
    /// constant 0 takes its place. Folded and simplified again.
    pub(crate) fn rewired(
        &self,
        inputs: usize,
        from: &[Option<usize>],
        outputs: impl IntoIterator<Item = usize>,
    ) -> Tape {
        let mut dag = Dag::default();
        let new: Vec<Id> = (0..inputs).map(|_| dag.input()).collect();
        let mut place: Vec<Id> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let id = match node.op {
                Op::Const => dag.constant(node.value),
                Op::Input => match from[node.args[0] as usize] {
                    Some(number) => new[number],
                    None => dag.constant(0.0),
                },
                op => {
                    let mut args = [0; 3];
                    for (arg, &a) in args.iter_mut().zip(node.operands()) {
                        *arg = place[a as usize];
                    }
                    dag.add(op, args)
                }
            };
            place.push(id);
        }
        let outputs: Vec<Id> =
            outputs.into_iter().map(|y| place[self.outputs[y] as usize]).collect();
        Builder { dag }.finish(&outputs)
    }
}
