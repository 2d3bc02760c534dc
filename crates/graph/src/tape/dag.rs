//! Expressions under construction: hash-consed, folded, simplified.

use std::hash::{BuildHasherDefault, Hasher};

use super::bytes::BY_OP;
use super::op::Op;
use super::table::Table;

/// Position of a node.
pub(super) type Id = u32;

/// An instruction in single-assignment form: its operands come before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    pub(super) op: Op,
    /// Operands; unused ones are 0. Of an input: its number in the first place.
    pub(super) args: [Id; 3],
    /// Of a constant: its value.
    pub(super) value: f64,
}

impl Node {
    /// The operands that the instruction has.
    pub(super) fn operands(&self) -> &[Id] {
        &self.args[..self.op.arity()]
    }
}

/// A growing list of nodes in which no two are the same.
#[derive(Debug, Default, Clone)]
pub(super) struct Dag {
    pub(super) nodes: Vec<Node>,
    pub(super) inputs: usize,
    known: Table,
}

/// Hashing for keys of a few small numbers.
pub(super) type Mixed = BuildHasherDefault<Mixer>;

/// Multiplies and folds.
#[derive(Default)]
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u32(&mut self, x: u32) {
        self.write_u64(x.into());
    }
    fn write_u64(&mut self, x: u64) {
        self.0 = (self.0.rotate_left(23) ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_isize(&mut self, x: isize) {
        self.write_u64(x as u64);
    }
    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
}

impl Dag {
    /// The next input.
    pub(super) fn input(&mut self) -> Id {
        let number = self.inputs as Id;
        self.inputs += 1;
        self.intern(Op::Input, [number, 0, 0], 0.0)
    }

    /// A constant.
    pub(super) fn constant(&mut self, value: f64) -> Id {
        // −0 and 0 are one constant, so that x + (−0) simplifies as x + 0 does.
        self.intern(Op::Const, [0; 3], if value == 0.0 { 0.0 } else { value })
    }

    pub(super) fn one(&mut self, op: Op, a: Id) -> Id {
        self.add(op, [a, 0, 0])
    }

    pub(super) fn two(&mut self, op: Op, a: Id, b: Id) -> Id {
        self.add(op, [a, b, 0])
    }

    /// factor·a
    pub(super) fn scaled(&mut self, factor: f64, a: Id) -> Id {
        let factor = self.constant(factor);
        self.two(Op::Mul, factor, a)
    }

    /// The value of a constant.
    pub(super) fn known(&self, id: Id) -> Option<f64> {
        let node = &self.nodes[id as usize];
        (node.op == Op::Const).then_some(node.value)
    }

    fn is(&self, id: Id, value: f64) -> bool {
        self.known(id) == Some(value)
    }

    /// The operand of a negation.
    fn negated(&self, id: Id) -> Option<Id> {
        let node = &self.nodes[id as usize];
        (node.op == Op::Neg).then_some(node.args[0])
    }

    fn intern(&mut self, op: Op, args: [Id; 3], value: f64) -> Id {
        let node = Node { op, args, value };
        self.known.find_or_enter(&self.nodes, &node).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() as Id - 1
        })
    }

    /// A node, or an older one of the same value.
    pub(super) fn add(&mut self, op: Op, mut args: [Id; 3]) -> Id {
        if op.commutes() && args[1] < args[0] {
            args.swap(0, 1);
        }
        let n = op.arity();
        let mut numbers = [0.0; 3];
        let all = args[..n]
            .iter()
            .zip(&mut numbers)
            .all(|(&id, x)| self.known(id).map(|v| *x = v).is_some());
        if 0 < n && all {
            let [a, b, c] = numbers;
            let value = op.value(a, b, c);
            // What is not finite stays an instruction: if it is needed, running it says so.
            if value.is_finite() {
                return self.constant(value);
            }
        }
        self.simplified(op, args).unwrap_or_else(|| self.intern(op, args, 0.0))
    }

    /// Identities that hold for all finite numbers and do not round differently, but for the sign of a zero. (0·x = 0 and x − x = 0: no
    /// operand is infinite.)
    fn simplified(&mut self, op: Op, [a, b, c]: [Id; 3]) -> Option<Id> {
        Some(match op {
            Op::Add if self.is(a, 0.0) => b,
            Op::Add if self.is(b, 0.0) => a,
            Op::Add => match (self.negated(a), self.negated(b)) {
                (_, Some(b)) => self.two(Op::Sub, a, b),
                (Some(a), None) => self.two(Op::Sub, b, a),
                (None, None) => return None,
            },
            Op::Sub if self.is(b, 0.0) => a,
            Op::Sub if self.is(a, 0.0) => self.one(Op::Neg, b),
            Op::Sub if a == b => self.constant(0.0),
            Op::Sub => {
                let b = self.negated(b)?;
                self.two(Op::Add, a, b)
            }
            Op::Mul if self.is(a, 0.0) || self.is(b, 0.0) => self.constant(0.0),
            Op::Mul if self.is(a, 1.0) => b,
            Op::Mul if self.is(b, 1.0) => a,
            Op::Mul if self.is(a, -1.0) => self.one(Op::Neg, b),
            Op::Mul if self.is(b, -1.0) => self.one(Op::Neg, a),
            Op::Mul => match (self.negated(a), self.negated(b)) {
                (Some(a), Some(b)) => self.two(Op::Mul, a, b),
                (Some(inner), None) => {
                    let product = self.two(Op::Mul, inner, b);
                    self.one(Op::Neg, product)
                }
                (None, Some(inner)) => {
                    let product = self.two(Op::Mul, a, inner);
                    self.one(Op::Neg, product)
                }
                (None, None) => return None,
            },
            Op::Div if self.is(b, 1.0) => a,
            Op::Div if self.is(b, -1.0) => self.one(Op::Neg, a),
            Op::Neg => {
                if let Some(inner) = self.negated(a) {
                    return Some(inner);
                }
                let node = self.nodes[a as usize];
                if node.op != Op::Sub {
                    return None;
                }
                self.two(Op::Sub, node.args[1], node.args[0])
            }
            Op::Abs | Op::Cos | Op::Cosh => {
                let inner = self.negated(a)?;
                self.one(op, inner)
            }
            Op::Sin
            | Op::Tan
            | Op::Asin
            | Op::Atan
            | Op::Sinh
            | Op::Tanh
            | Op::Asinh
            | Op::Atanh => {
                let inner = self.negated(a)?;
                let value = self.one(op, inner);
                self.one(Op::Neg, value)
            }
            Op::Min | Op::Max if a == b => a,
            Op::Pow if self.is(b, 1.0) => a,
            Op::Pow if self.is(b, 0.0) => self.constant(1.0),
            Op::Pow if self.is(b, 2.0) => self.two(Op::Mul, a, a),
            Op::Pow if self.is(b, 3.0) => {
                let square = self.two(Op::Mul, a, a);
                self.two(Op::Mul, square, a)
            }
            Op::Pow if self.is(b, -1.0) => {
                let one = self.constant(1.0);
                self.two(Op::Div, one, a)
            }
            Op::GuardedMul | Op::GuardedDiv if self.is(a, 0.0) => a,
            Op::GuardedMul if self.known(a).is_some() || self.known(b).is_some() => {
                self.two(Op::Mul, a, b)
            }
            Op::GuardedDiv if self.known(a).is_some() => self.two(Op::Div, a, b),
            Op::GuardedDiv if self.known(b).is_some_and(|b| b != 0.0) => self.two(Op::Div, a, b),
            Op::GuardedMul | Op::GuardedDiv => match (self.negated(a), self.negated(b)) {
                (Some(inner), _) => {
                    let value = self.two(op, inner, b);
                    self.one(Op::Neg, value)
                }
                (None, Some(inner)) => {
                    let value = self.two(op, a, inner);
                    self.one(Op::Neg, value)
                }
                (None, None) => return None,
            },
            Op::Select if b == c => b,
            Op::Select => match self.known(a)? {
                0.0 => c,
                _ => b,
            },
            _ => return None,
        })
    }
}

impl Dag {
    /// Nodes from outside, entered one by one as a recording does; and where the outputs are then.
    pub(super) fn recorded(inputs: usize, nodes: &[Node], outputs: &[Id]) -> (Self, Vec<Id>) {
        let mut dag = Dag { inputs, ..Dag::default() };
        let mut place: Vec<Id> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let id = match node.op {
                Op::Const => dag.constant(node.value),
                Op::Input => dag.intern(Op::Input, node.args, 0.0),
                op => {
                    let mut args = [0; 3];
                    let operands = args.iter_mut().zip(node.operands());
                    operands.for_each(|(to, &a)| *to = place[a as usize]);
                    dag.add(op, args)
                }
            };
            place.push(id);
        }
        let outputs = outputs.iter().map(|&y| place[y as usize]).collect();
        (dag, outputs)
    }

    /// The nodes of a finished tape, at their positions.
    pub(super) fn from_nodes(inputs: usize, nodes: &[Node]) -> Self {
        // Derivatives are a few times as long as what they are of.
        let (mut all, mut known) =
            (Vec::with_capacity(4 * nodes.len()), Table::with_room(4 * nodes.len()));
        all.extend_from_slice(nodes);
        (0..nodes.len()).for_each(|id| known.add(&all, id as Id));
        Dag { nodes: all, inputs, known }
    }
}

/// A hash of everything that the instructions are, by words: FNV-1a's steps, and a rotation so that high bits come down. Instructions go in by
/// their codes on disk, which never change.
pub(super) fn hash(inputs: usize, nodes: &[Node], outputs: &[Id]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut word = |x: u64| hash = (hash ^ x).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    word(inputs as u64);
    for node in nodes {
        word(u64::from(BY_OP[node.op as usize]) | u64::from(node.args[0]) << 32);
        word(u64::from(node.args[1]) | u64::from(node.args[2]) << 32);
        word(node.value.to_bits());
    }
    outputs.iter().for_each(|&id| word(id.into()));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
