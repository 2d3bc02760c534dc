//! From steps to registers, used again when their number is no longer needed; and the code that leads nowhere removed.

use super::dag::{Dag, Id, Node};
use super::fuse::{Code, Item, fuse};
use super::op::Op;

/// One step of the machine. Registers have a number of lanes: one for each sample of a batch, or one for each of several equal
/// computations on one sample.
///
/// r\[to\] ← code(r\[a\], r\[b\], r\[c\]) for `blocks` registers in a row; an operand in `fixed` (bit k: operand k) stays where it is.
/// What the operands of other codes are, say the functions that make such steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) code: Code,
    pub(super) fixed: u8,
    pub(super) to: u32,
    pub(super) args: [u32; 3],
    pub(super) blocks: u32,
}

impl Step {
    fn other(code: Code, to: u32, args: [u32; 3]) -> Self {
        Step { code, fixed: 0, to, args, blocks: 1 }
    }

    /// r\[to\] ← x\[input\], a lane for each sample.
    fn load(to: u32, input: u32) -> Self {
        Step::other(Code::Load, to, [input, 0, 0])
    }

    /// y\[output\] ← r\[from\], a lane for each sample.
    fn store(from: u32, output: u32) -> Self {
        Step::other(Code::Store, 0, [from, output, 0])
    }

    /// Lanes from r\[to\] on ← the inputs in `lists[list..][..count]`.
    pub(super) fn load_many(to: u32, list: u32, count: u32) -> Self {
        Step::other(Code::LoadMany, to, [list, count, 0])
    }

    /// The outputs in `lists[list..][..count]` ← lanes from r\[from\] on.
    pub(super) fn store_many(from: u32, list: u32, count: u32) -> Self {
        Step::other(Code::StoreMany, 0, [from, list, count])
    }

    /// Lanes from r\[to\] on ← the lanes in `lists[list..][..count]`.
    pub(super) fn gather(to: u32, list: u32, count: u32) -> Self {
        Step::other(Code::Gather, to, [list, count, 0])
    }

    /// Moves the constants, which are counted down from the last number, behind the `used` other registers.
    pub(super) fn settle(&mut self, used: u32, constants: u32) {
        let registers = match self.code {
            Code::Store | Code::StoreMany => 1,
            code => code.arity(),
        };
        for (place, r) in self.args[..registers].iter_mut().enumerate() {
            if !(place == 1 && self.code.takes_scalar()) && u32::MAX - constants < *r {
                *r = used + (u32::MAX - *r);
            }
        }
    }
}

/// What the last registers hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constants {
    /// One number a register, in all its lanes.
    Registers(Vec<f64>),
    /// One number a lane.
    Lanes(Vec<f64>),
}

/// Steps in order, over `registers` registers of which the last hold constants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) registers: usize,
    pub(super) constants: Constants,
    /// The first of the registers that hold constants.
    pub(super) first_constant: usize,
    pub(super) lists: Vec<u32>,
    /// What the scalars are that steps read: numbers, then this many of the first inputs.
    pub(super) scalars: Vec<f64>,
    pub(super) shared: usize,
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
    let mut nodes = Vec::with_capacity(needed.iter().filter(|n| **n).count());
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

/// Registers under construction.
struct Allocation<'a> {
    nodes: &'a [Node],
    home: Vec<Home>,
    free: Vec<u32>,
    used: u32,
    steps: Vec<Step>,
    constants: Vec<f64>,
    /// The place of each number among the scalars, or [`NONE`].
    scalar: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Allocation<'_> {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        })
    }

    /// The register of a number; an input is loaded when it is first asked for. Constants are counted from the end.
    fn register(&mut self, id: Id) -> u32 {
        match self.home[id as usize] {
            Home::Register(r) => r,
            Home::Constant(k) => u32::MAX - k,
            Home::Nowhere if self.nodes[id as usize].op == Op::Const => {
                let k = self.constants.len() as u32;
                self.constants.push(self.nodes[id as usize].value);
                self.home[id as usize] = Home::Constant(k);
                u32::MAX - k
            }
            Home::Nowhere => {
                let to = self.take();
                self.steps.push(Step::load(to, self.nodes[id as usize].args[0]));
                self.home[id as usize] = Home::Register(to);
                to
            }
        }
    }

    /// A step's code and operands, one of them a scalar where that can be.
    fn operands(&mut self, item: &Item) -> (Code, [u32; 3]) {
        let mut ids = [0; 3];
        ids[..item.operands().len()].copy_from_slice(item.operands());
        let mut code = item.code;
        for place in [1, 0] {
            let scalar = self.scalar[ids[place] as usize];
            if let Some(with) = item.code.with_scalar(place)
                && scalar != NONE
            {
                code = with;
                (ids[0], ids[1]) = (ids[1 - place], scalar);
                break;
            }
        }
        let mut args = ids;
        for place in (0..code.arity()).filter(|&place| !(place == 1 && code.takes_scalar())) {
            args[place] = self.register(ids[place]);
        }
        (code, args)
    }

    fn release(&mut self, id: Id) {
        if let Home::Register(r) = self.home[id as usize] {
            self.free.push(r);
        }
    }
}

/// A register for each number while it lives: inputs are loaded just before their first use, outputs stored as soon as they are known.
/// Constants and the first `shared` inputs, which are the same for all samples, are scalars wherever a step can take one.
pub(super) fn compile(nodes: &[Node], outputs: &[Id], shared: usize) -> Program {
    let items = fuse(nodes, outputs);
    let (mut scalar, mut scalars) = (vec![NONE; nodes.len()], Vec::new());
    for (place, node) in scalar.iter_mut().zip(nodes).filter(|(_, n)| n.op == Op::Const) {
        *place = scalars.len() as u32;
        scalars.push(node.value);
    }
    for (place, node) in scalar.iter_mut().zip(nodes).filter(|(_, n)| n.op == Op::Input) {
        if (node.args[0] as usize) < shared {
            *place = scalars.len() as u32 + node.args[0];
        }
    }
    let mut last = vec![usize::MAX; nodes.len()];
    for (at, item) in items.iter().enumerate() {
        item.operands().iter().for_each(|&a| last[a as usize] = at);
    }
    let mut stored: Vec<Vec<u32>> = vec![Vec::new(); nodes.len()];
    for (output, &id) in outputs.iter().enumerate() {
        stored[id as usize].push(output as u32);
    }
    let home = vec![Home::Nowhere; nodes.len()];
    let (free, steps, constants) = (Vec::new(), Vec::new(), Vec::new());
    let mut a = Allocation { nodes, home, free, used: 0, steps, constants, scalar };
    // Inputs and constants that are outputs themselves.
    for (id, node) in nodes.iter().enumerate().filter(|(_, node)| node.op.arity() == 0) {
        if stored[id].is_empty() {
            continue;
        }
        let from = a.register(id as Id);
        a.steps.extend(stored[id].iter().map(|&output| Step::store(from, output)));
        if node.op == Op::Input && last[id] == usize::MAX {
            a.release(id as Id);
        }
    }
    for (at, item) in items.iter().enumerate() {
        let (code, mut args) = a.operands(item);
        for (i, &id) in item.operands().iter().enumerate() {
            if last[id as usize] == at && !item.operands()[..i].contains(&id) {
                a.release(id);
            }
        }
        let mut to = [0; 2];
        for (to, id) in to.iter_mut().zip(item.results()) {
            *to = a.take();
            a.home[id as usize] = Home::Register(*to);
        }
        if item.code == Code::SinCos {
            args[1] = to[1];
        }
        a.steps.push(Step { code, fixed: 0, to: to[0], args, blocks: 1 });
        for id in item.results() {
            let from = a.register(id);
            let stores = stored[id as usize].iter().map(|&output| Step::store(from, output));
            a.steps.extend(stores);
            if last[id as usize] == usize::MAX {
                a.release(id);
            }
        }
    }
    let (used, count) = (a.used, a.constants.len() as u32);
    a.steps.iter_mut().for_each(|step| step.settle(used, count));
    Program {
        steps: a.steps,
        registers: used as usize + a.constants.len(),
        first_constant: used as usize,
        constants: Constants::Registers(a.constants),
        lists: Vec::new(),
        scalars,
        shared,
    }
}

/// What a code costs on one register, beyond the step itself.
fn work(code: Code) -> f64 {
    match code.op() {
        _ if code == Code::SinCos => 12.0,
        Some(op) if op.is_elementary() => 8.0,
        _ => 0.6,
    }
}

/// What one sample costs, in units of a simple step.
pub(super) fn cost(program: &Program) -> f64 {
    let each = |step: &Step| match step.code {
        Code::Load | Code::Store => 1.0,
        Code::LoadMany | Code::Gather => 1.0 + 0.4 * f64::from(step.args[1]),
        Code::StoreMany => 1.0 + 0.4 * f64::from(step.args[2]),
        code => 1.0 + work(code) * f64::from(step.blocks),
    };
    program.steps.iter().map(each).sum()
}

/// What [`cost`] would say of the batch's program, from its steps and the number of outputs alone.
pub(super) fn estimate(items: &[Item], outputs: usize) -> f64 {
    items.iter().map(|item| 1.0 + work(item.code)).sum::<f64>() + outputs as f64
}
