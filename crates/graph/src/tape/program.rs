//! From single assignments to registers: dead code removed, registers used again when their number is no longer needed.

use super::dag::{Dag, Id, Node};
use super::op::Op;

/// One step of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// r\[to\] ← op(r\[a\], r\[b\], r\[c\])
    Compute { op: Op, to: u32, args: [u32; 3] },
    /// r\[to\] ← x\[input\]
    Load { to: u32, input: u32 },
    /// y\[output\] ← r\[from\]
    Store { from: u32, output: u32 },
}

/// Steps in order, over `registers` registers of which the last `constants.len()` hold constants.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) registers: usize,
    pub(super) constants: Vec<f64>,
}

/// The nodes that the outputs need, renumbered; the order is kept.
pub(super) fn without_dead(dag: &Dag, outputs: &[Id]) -> (Vec<Node>, Vec<Id>) {
    let mut needed = vec![false; dag.nodes.len()];
    outputs.iter().for_each(|&id| needed[id as usize] = true);
    for (id, node) in dag.nodes.iter().enumerate().rev() {
        if needed[id] {
            node.operands().iter().for_each(|&a| needed[a as usize] = true);
        }
    }
    let mut place = vec![0; dag.nodes.len()];
    let mut nodes = Vec::new();
    for (id, node) in dag.nodes.iter().enumerate().filter(|(id, _)| needed[*id]) {
        place[id] = nodes.len() as Id;
        let mut kept = *node;
        let n = node.op.arity();
        kept.args[..n].iter_mut().for_each(|a| *a = place[*a as usize]);
        nodes.push(kept);
    }
    (nodes, outputs.iter().map(|&id| place[id as usize]).collect())
}

/// Where a number lives.
#[derive(Clone, Copy, PartialEq)]
enum Home {
    Nowhere,
    Register(u32),
    Constant(u32),
}

/// Registers by live range: inputs are loaded just before their first use, outputs stored as soon as they are known.
pub(super) fn compile(nodes: &[Node], outputs: &[Id]) -> Program {
    let mut last = vec![0usize; nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        node.operands().iter().for_each(|&a| last[a as usize] = id);
    }
    let mut stored: Vec<Vec<u32>> = vec![Vec::new(); nodes.len()];
    for (output, &id) in outputs.iter().enumerate() {
        stored[id as usize].push(output as u32);
    }
    let mut home = vec![Home::Nowhere; nodes.len()];
    let (mut free, mut used): (Vec<u32>, u32) = (Vec::new(), 0);
    let (mut steps, mut constants) = (Vec::new(), Vec::new());
    let take = |free: &mut Vec<u32>, used: &mut u32| {
        free.pop().unwrap_or_else(|| {
            *used += 1;
            *used - 1
        })
    };
    for (id, node) in nodes.iter().enumerate() {
        match node.op {
            Op::Const => {
                home[id] = Home::Constant(constants.len() as u32);
                constants.push(node.value);
            }
            // Loaded where it is first read.
            Op::Input if stored[id].is_empty() => {}
            Op::Input => {
                let to = take(&mut free, &mut used);
                steps.push(Step::Load { to, input: node.args[0] });
                home[id] = Home::Register(to);
            }
            op => {
                for &a in node.operands() {
                    if home[a as usize] == Home::Nowhere {
                        let to = take(&mut free, &mut used);
                        steps.push(Step::Load { to, input: nodes[a as usize].args[0] });
                        home[a as usize] = Home::Register(to);
                    }
                }
                let mut args = [0; 3];
                for (arg, &a) in args.iter_mut().zip(node.operands()) {
                    *arg = match home[a as usize] {
                        Home::Register(r) => r,
                        // Counted from the end; moved behind the others below.
                        Home::Constant(k) => u32::MAX - k,
                        Home::Nowhere => 0,
                    };
                }
                for (i, &a) in node.operands().iter().enumerate() {
                    let again = node.operands()[..i].contains(&a);
                    if let (Home::Register(r), false, true) =
                        (home[a as usize], again, last[a as usize] == id)
                    {
                        free.push(r);
                    }
                }
                let to = take(&mut free, &mut used);
                home[id] = Home::Register(to);
                steps.push(Step::Compute { op, to, args });
            }
        }
        for &output in &stored[id] {
            let from = match home[id] {
                Home::Register(r) => r,
                Home::Constant(k) => u32::MAX - k,
                Home::Nowhere => 0,
            };
            steps.push(Step::Store { from, output });
        }
        // Stored and never read again.
        if let (Home::Register(r), true) = (home[id], last[id] <= id) {
            free.push(r);
        }
    }
    let count = constants.len() as u32;
    let settle = |r: &mut u32| {
        if u32::MAX - count < *r {
            *r = used + (u32::MAX - *r);
        }
    };
    for step in &mut steps {
        match step {
            Step::Compute { args, .. } => args.iter_mut().for_each(settle),
            Step::Store { from, .. } => settle(from),
            Step::Load { .. } => {}
        }
    }
    Program { steps, registers: used as usize + constants.len(), constants }
}
