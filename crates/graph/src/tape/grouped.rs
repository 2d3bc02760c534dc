//! One sample on all lanes: equal computations inside one tape side by side.
//!
//! A path of a hundred steps computes the same formula a hundred times. Two steps are of one class if they do the same to operands of the
//! same classes (all inputs are one class, all constants another), so the members of a class do not depend on each other: they become
//! neighbouring lanes, and the class one step of the machine. Where the members of an operand's class stand in the same order, as they do
//! after a loop, its lanes are used as they are; elsewhere they are gathered.

use std::collections::HashMap;

use super::dag::{Id, Mixed, Node};
use super::fuse::{Code, Item, fuse};
use super::op::Op;
use super::program::{Constants, Program, Step, cost, estimate};

/// Lanes of a register.
pub(super) const LANES: usize = 8;

/// The classes of inputs and of constants; those of results follow.
const INPUT: u32 = 0;
const CONSTANT: u32 = 1;
const FIRST: u32 = 2;

const NEVER: u32 = u32::MAX;

/// What a class of steps reads in one operand's place.
#[derive(Debug, Clone, Copy)]
enum Operand {
    /// The lanes of a class's results from this block on.
    Direct { value: u32, block: u32 },
    /// Lanes that a fetch brings together; all the same if `fixed`.
    Fetched { fetch: u32, fixed: bool },
    /// Blocks of constants.
    Constant { block: u32, fixed: bool },
}

/// Lanes brought together from anywhere, once for all classes that read them in this order.
struct Fetch {
    ids: Vec<Id>,
    last: u32,
    register: u32,
}

/// Where the results of a class are.
#[derive(Clone, Copy)]
struct Run {
    register: u32,
    blocks: u32,
    /// The last class that reads it.
    last: u32,
}

/// The classes of a tape's steps.
struct Classes {
    /// The class of each number.
    of: Vec<u32>,
    /// The place of each number inside its class.
    place: Vec<u32>,
    /// The steps, class by class, and where each class begins.
    items: Vec<Item>,
    starts: Vec<usize>,
}

impl Classes {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The steps of a class.
    fn members(&self, class: usize) -> &[Item] {
        &self.items[self.starts[class]..self.starts[class + 1]]
    }
}

/// `None` where nearly every step is a class of its own.
fn classify(nodes: &[Node], mut items: Vec<Item>) -> Option<Classes> {
    let mut of: Vec<u32> =
        nodes.iter().map(|node| if node.op == Op::Input { INPUT } else { CONSTANT }).collect();
    let mut place = vec![0; nodes.len()];
    let mut known: HashMap<(Code, [u32; 3]), u32, Mixed> = HashMap::default();
    let mut class_of = Vec::with_capacity(items.len());
    let mut counts: Vec<u32> = Vec::new();
    for item in &mut items {
        item.sort_commuting(|id| of[id as usize]);
        let mut from = [0; 3];
        from.iter_mut().zip(item.operands()).for_each(|(c, &id)| *c = of[id as usize]);
        let next = counts.len() as u32;
        let class = *known.entry((item.code, from)).or_insert(next);
        if class == next {
            counts.push(0);
        }
        for (second, id) in item.results().enumerate() {
            of[id as usize] = FIRST + 2 * class + second as u32;
            place[id as usize] = counts[class as usize];
        }
        counts[class as usize] += 1;
        class_of.push(class);
    }
    if items.len() < counts.len() + counts.len() / 16 {
        return None;
    }
    let mut starts = vec![0; counts.len() + 1];
    counts
        .iter()
        .enumerate()
        .for_each(|(class, &n)| starts[class + 1] = starts[class] + n as usize);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| class_of[at]); // stable: members keep their order
    let items = order.into_iter().map(|at| items[at]).collect();
    Some(Classes { of, place, items, starts })
}

/// Registers of several lengths: what is free, by length.
#[derive(Default)]
struct Space {
    free: HashMap<u32, Vec<u32>>,
    used: u32,
}

impl Space {
    fn take(&mut self, blocks: u32) -> u32 {
        self.free.get_mut(&blocks).and_then(Vec::pop).unwrap_or_else(|| {
            self.used += blocks;
            self.used - blocks
        })
    }

    fn give(&mut self, register: u32, blocks: u32) {
        self.free.entry(blocks).or_default().push(register);
    }
}

fn blocks(count: usize) -> u32 {
    count.div_ceil(LANES) as u32
}

/// The operands of every class, the fetches and constants that they need, and how long everything is read.
struct Plan<'a> {
    nodes: &'a [Node],
    classes: &'a Classes,
    fetches: Vec<Fetch>,
    known: HashMap<Vec<Id>, u32, Mixed>,
    constants: Vec<f64>,
    constant_blocks: HashMap<Vec<u64>, u32, Mixed>,
    /// The runs of results, two for each class.
    runs: Vec<Run>,
}

impl Plan<'_> {
    /// Constants as blocks of lanes; each different block once.
    fn constant(&mut self, values: &[f64]) -> u32 {
        let key: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
        let next = (self.constants.len() / LANES) as u32;
        let block = *self.constant_blocks.entry(key).or_insert(next);
        if block == next {
            self.constants.extend(values);
            let padded = self.constants.len().next_multiple_of(LANES);
            self.constants.resize(padded, 1.0);
        }
        block
    }

    fn operand(&mut self, class: u32, ids: Vec<Id>) -> Operand {
        let (of, place) = (&self.classes.of, &self.classes.place);
        let value = of[ids[0] as usize];
        let same = ids.iter().all(|id| *id == ids[0]);
        if value == CONSTANT {
            let number = |id: &Id| self.nodes[*id as usize].value;
            let numbers: Vec<f64> = ids.iter().map(number).collect();
            let fixed = numbers.iter().all(|v| v.to_bits() == numbers[0].to_bits());
            let block =
                if fixed { self.constant(&[numbers[0]; LANES]) } else { self.constant(&numbers) };
            return Operand::Constant { block, fixed };
        }
        let first = place[ids[0] as usize];
        let in_order = |(k, id): (usize, &Id)| place[*id as usize] == first + k as u32;
        if value != INPUT
            && (first as usize).is_multiple_of(LANES)
            && ids.iter().enumerate().all(in_order)
        {
            let run = &mut self.runs[(value - FIRST) as usize];
            run.last = class; // classes come in order, so the last one stays
            return Operand::Direct { value: value - FIRST, block: first / LANES as u32 };
        }
        let fixed = same && 1 < ids.len();
        let ids = if fixed { vec![ids[0]; LANES] } else { ids };
        let next = self.fetches.len() as u32;
        let fetch = *self.known.entry(ids.clone()).or_insert(next);
        if fetch == next {
            if value != INPUT {
                self.runs[(value - FIRST) as usize].last = class;
            }
            self.fetches.push(Fetch { ids, last: class, register: NEVER });
        }
        self.fetches[fetch as usize].last = class;
        Operand::Fetched { fetch, fixed }
    }
}

/// A program for one sample: registers of [`LANES`] lanes.
///
/// `None` where it would not be faster than one lane of the batch's program.
pub(super) fn compile(nodes: &[Node], outputs: &[Id]) -> Option<Program> {
    let items = fuse(nodes, outputs);
    let otherwise = estimate(&items, outputs.len());
    let classes = classify(nodes, items)?;
    let count = classes.len();
    let mut plan = Plan {
        nodes,
        classes: &classes,
        fetches: Vec::new(),
        known: HashMap::default(),
        constants: Vec::new(),
        constant_blocks: HashMap::default(),
        runs: vec![Run { register: NEVER, blocks: 0, last: NEVER }; 2 * count],
    };
    let mut operands: Vec<[Option<Operand>; 3]> = Vec::with_capacity(count);
    for class in 0..count {
        let members = classes.members(class);
        let mut three = [None; 3];
        for (port, operand) in three.iter_mut().enumerate().take(members[0].operands().len()) {
            let ids = members.iter().map(|item| item.operands()[port]).collect();
            *operand = Some(plan.operand(class as u32, ids));
        }
        operands.push(three);
    }
    let program = Emission { plan, space: Space::default(), steps: Vec::new(), lists: Vec::new() }
        .run(&operands, outputs);
    (1.5 * cost(&program) < otherwise).then_some(program)
}

/// The steps being written.
struct Emission<'a> {
    plan: Plan<'a>,
    space: Space,
    steps: Vec<Step>,
    lists: Vec<u32>,
}

impl Emission<'_> {
    fn list(&mut self, entries: impl IntoIterator<Item = u32>) -> u32 {
        let list = self.lists.len() as u32;
        self.lists.extend(entries);
        list
    }

    /// A list of whole registers: the last entry fills the last one, so that no lane has a number of chance.
    fn full_list(&mut self, entries: impl IntoIterator<Item = u32>) -> (u32, u32) {
        let list = self.list(entries);
        let count = (self.lists.len() - list as usize).next_multiple_of(LANES);
        let last = self.lists.last().copied().unwrap_or(0);
        self.lists.resize(list as usize + count, last);
        (list, count as u32)
    }

    /// Brings the lanes of a fetch together, if that was not done before.
    fn fetch(&mut self, fetch: u32) -> u32 {
        let f = &self.plan.fetches[fetch as usize];
        if f.register != NEVER {
            return f.register;
        }
        let (ids, count) = (f.ids.clone(), f.ids.len());
        let to = self.space.take(blocks(count));
        self.plan.fetches[fetch as usize].register = to;
        let classes = self.plan.classes;
        let value = classes.of[ids[0] as usize];
        if value == INPUT {
            let nodes = self.plan.nodes;
            let (list, count) = self.full_list(ids.iter().map(|&id| nodes[id as usize].args[0]));
            self.steps.push(Step::load_many(to, list, count));
        } else {
            let from = self.plan.runs[(value - FIRST) as usize].register * LANES as u32;
            let (list, count) =
                self.full_list(ids.iter().map(|&id| from + classes.place[id as usize]));
            self.steps.push(Step::gather(to, list, count));
        }
        to
    }

    /// Stores lanes: `wanted` has (lane, output) in the order of the lanes.
    fn store(&mut self, from: u32, wanted: &[(u32, u32)]) {
        let mut left = wanted.to_vec();
        while !left.is_empty() {
            // A lane that is several outputs is stored several times.
            let (mut entries, mut again) = (Vec::new(), Vec::new());
            for (lane, output) in left {
                if (lane as usize) < entries.len() {
                    again.push((lane, output));
                } else {
                    entries.resize(lane as usize, NEVER);
                    entries.push(output);
                }
            }
            let count = entries.len() as u32;
            let list = self.list(entries);
            self.steps.push(Step::store_many(from, list, count));
            left = again;
        }
    }

    fn run(mut self, operands: &[[Option<Operand>; 3]], outputs: &[Id]) -> Program {
        let classes = self.plan.classes;
        // (lane, output) by run of results.
        let mut stored: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.plan.runs.len()];
        let mut direct = Vec::new();
        for (output, &id) in outputs.iter().enumerate() {
            match classes.of[id as usize] {
                INPUT | CONSTANT => direct.push((output as u32, id)),
                value => stored[(value - FIRST) as usize]
                    .push((classes.place[id as usize], output as u32)),
            }
        }
        stored.iter_mut().for_each(|s| s.sort_unstable());
        self.store_leaves(&direct);
        let mut ending: Vec<Vec<u32>> = vec![Vec::new(); classes.len()];
        for (fetch, f) in self.plan.fetches.iter().enumerate() {
            ending[f.last as usize].push(fetch as u32);
        }
        let mut dying: Vec<Vec<u32>> = vec![Vec::new(); classes.len()];
        for (run, r) in self.plan.runs.iter().enumerate().filter(|(_, r)| r.last != NEVER) {
            dying[r.last as usize].push(run as u32);
        }
        for class in 0..classes.len() {
            let members = classes.members(class);
            let (mut args, mut fixed) = ([0; 3], 0);
            for (port, operand) in operands[class].iter().enumerate() {
                let (register, stays) = match *operand {
                    None => continue,
                    Some(Operand::Direct { value, block }) => {
                        (self.plan.runs[value as usize].register + block, false)
                    }
                    Some(Operand::Fetched { fetch, fixed }) => (self.fetch(fetch), fixed),
                    Some(Operand::Constant { block, fixed }) => (NEVER - block, fixed),
                };
                args[port] = register;
                fixed |= u8::from(stays) << port;
            }
            let blocks = blocks(members.len());
            let code = members[0].code;
            let mut to = [0; 2];
            for (second, to) in to.iter_mut().enumerate().take(members[0].results().count()) {
                *to = self.space.take(blocks);
                let run = &mut self.plan.runs[2 * class + second];
                (run.register, run.blocks) = (*to, blocks);
            }
            if code == Code::SinCos {
                args[1] = to[1];
            }
            self.steps.push(Step { code, fixed, to: to[0], args, blocks });
            for run in 2 * class..2 * class + members[0].results().count() {
                let wanted = std::mem::take(&mut stored[run]);
                let Run { register, blocks, last } = self.plan.runs[run];
                self.store(register, &wanted);
                if last == NEVER {
                    self.space.give(register, blocks);
                }
            }
            for &fetch in &ending[class] {
                let f = &self.plan.fetches[fetch as usize];
                self.space.give(f.register, blocks_of(f));
            }
            for &run in &dying[class] {
                let r = self.plan.runs[run as usize];
                self.space.give(r.register, r.blocks);
            }
        }
        self.finish()
    }

    /// Outputs that are inputs or constants.
    fn store_leaves(&mut self, direct: &[(u32, Id)]) {
        let (plan, of) = (&mut self.plan, |plan: &Plan<'_>, id: Id| plan.classes.of[id as usize]);
        let constants: Vec<(u32, Id)> =
            direct.iter().copied().filter(|&(_, id)| of(plan, id) == CONSTANT).collect();
        let inputs: Vec<(u32, Id)> =
            direct.iter().copied().filter(|&(_, id)| of(plan, id) == INPUT).collect();
        let lanes = |many: &[(u32, Id)]| -> Vec<(u32, u32)> {
            many.iter().enumerate().map(|(lane, &(output, _))| (lane as u32, output)).collect()
        };
        if !constants.is_empty() {
            let nodes = plan.nodes;
            let values: Vec<f64> =
                constants.iter().map(|&(_, id)| nodes[id as usize].value).collect();
            let block = plan.constant(&values);
            self.store(NEVER - block, &lanes(&constants));
        }
        if !inputs.is_empty() {
            let nodes = self.plan.nodes;
            let to = self.space.take(blocks(inputs.len()));
            let (list, count) =
                self.full_list(inputs.iter().map(|&(_, id)| nodes[id as usize].args[0]));
            self.steps.push(Step::load_many(to, list, count));
            self.store(to, &lanes(&inputs));
            self.space.give(to, blocks(inputs.len()));
        }
    }

    /// Moves the constants behind the other registers.
    fn finish(mut self) -> Program {
        let used = self.space.used;
        let count = (self.plan.constants.len() / LANES) as u32;
        self.steps.iter_mut().for_each(|step| step.settle(used, count));
        Program {
            steps: self.steps,
            registers: (used + count) as usize,
            first_constant: used as usize,
            constants: Constants::Lanes(self.plan.constants),
            lists: self.lists,
            scalars: Vec::new(),
            shared: 0,
        }
    }
}

fn blocks_of(fetch: &Fetch) -> u32 {
    blocks(fetch.ids.len())
}
