//! From instructions to what the machine does in one step: a product and the sum that takes it, a sine and the cosine beside it.
//!
//! A fused step rounds as its parts do, so the bits stay the same.

use std::collections::HashMap;

use super::dag::{Id, Mixed, Node};
use super::op::Op;

/// Codes for every instruction and for what the machine does beside them, in one flat list: one jump a step.
macro_rules! codes {
    ($($name:ident)+) => {
        /// What one step does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(super) enum Code {
            $($name,)+
            /// a·b + c
            MulAdd,
            /// a·b − c
            MulSub,
            /// c − a·b
            SubMul,
            /// sin a, and cos a into the register that stands in b's place.
            SinCos,
            /// a·s, where s is a scalar: the same for all samples.
            MulBy,
            /// a + s
            AddTo,
            /// a − s
            SubBy,
            /// s − a
            SubFrom,
            /// a·s + c
            MulByAdd,
            /// a·s − c
            MulBySub,
            /// c − a·s
            SubMulBy,
            /// An input, a lane for each sample.
            Load,
            /// An output, a lane for each sample.
            Store,
            /// Many inputs of one sample.
            LoadMany,
            /// Many outputs of one sample.
            StoreMany,
            /// Lanes from anywhere.
            Gather,
        }

        impl Code {
            /// The code of an instruction.
            fn of(op: Op) -> Self {
                match op {
                    $(Op::$name => Code::$name,)+
                }
            }

            /// The instruction, if it is one alone.
            pub(super) fn op(self) -> Option<Op> {
                match self {
                    $(Code::$name => Some(Op::$name),)+
                    _ => None,
                }
            }
        }
    };
}
codes! {
    Const Input Add Sub Mul Div Neg Sqrt Abs Sign Min Max Floor Exp ExpM1 Ln Ln1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh
    Asinh Acosh Atanh Atan2 Hypot Pow Less LessEqual Equal Select GuardedMul GuardedDiv
}

/// A step before registers: operands and results are nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) code: Code,
    args: [Id; 3],
    /// The result, and the cosine of a [`Code::SinCos`].
    pub(super) results: [Option<Id>; 2],
}

impl Item {
    /// The operands that the step has.
    pub(super) fn operands(&self) -> &[Id] {
        &self.args[..self.code.arity()]
    }

    pub(super) fn results(&self) -> impl Iterator<Item = Id> + '_ {
        self.results.iter().flatten().copied()
    }

    /// Puts commuting operands in the order of `key`.
    pub(super) fn sort_commuting(&mut self, key: impl Fn(Id) -> u32) {
        if self.code.commutes() && key(self.args[1]) < key(self.args[0]) {
            self.args.swap(0, 1);
        }
    }
}

impl Code {
    pub(super) fn arity(self) -> usize {
        match self {
            Code::MulAdd | Code::MulSub | Code::SubMul => 3,
            Code::MulByAdd | Code::MulBySub | Code::SubMulBy => 3,
            Code::MulBy | Code::AddTo | Code::SubBy | Code::SubFrom => 2,
            Code::SinCos => 1,
            other => other.op().map_or(0, Op::arity),
        }
    }

    /// The code for a scalar in place of the first operand, or of the second; it takes the scalar in the second place.
    pub(super) fn with_scalar(self, place: usize) -> Option<Self> {
        match (self, place) {
            (Code::Mul, 0 | 1) => Some(Code::MulBy),
            (Code::Add, 0 | 1) => Some(Code::AddTo),
            (Code::Sub, 0) => Some(Code::SubFrom),
            (Code::Sub, 1) => Some(Code::SubBy),
            (Code::MulAdd, 0 | 1) => Some(Code::MulByAdd),
            (Code::MulSub, 0 | 1) => Some(Code::MulBySub),
            (Code::SubMul, 0 | 1) => Some(Code::SubMulBy),
            _ => None,
        }
    }

    /// Is the second operand a scalar?
    pub(super) fn takes_scalar(self) -> bool {
        use Code::{AddTo, MulBy, MulByAdd, MulBySub, SubBy, SubFrom, SubMulBy};
        matches!(self, MulBy | AddTo | SubBy | SubFrom | MulByAdd | MulBySub | SubMulBy)
    }

    /// Do the first two operands commute?
    fn commutes(self) -> bool {
        match self {
            Code::MulAdd | Code::MulSub | Code::SubMul => true,
            other => other.op().is_some_and(Op::commutes),
        }
    }
}

/// The steps, in the order of the nodes; inputs and constants are not among them.
pub(super) fn fuse(nodes: &[Node], outputs: &[Id]) -> Vec<Item> {
    let mut uses = vec![0u32; nodes.len()];
    nodes.iter().flat_map(Node::operands).chain(outputs).for_each(|&id| uses[id as usize] += 1);
    let mut pairs: HashMap<Id, [Option<Id>; 2], Mixed> = HashMap::default();
    for (id, node) in nodes.iter().enumerate() {
        let place = match node.op {
            Op::Sin => 0,
            Op::Cos => 1,
            _ => continue,
        };
        pairs.entry(node.args[0]).or_default()[place] = Some(id as Id);
    }
    // The product among the operands that nothing else reads, and the other operand.
    let single = |id: Id| nodes[id as usize].op == Op::Mul && uses[id as usize] == 1;
    let mut taken = vec![false; nodes.len()];
    let mut items = Vec::with_capacity(nodes.len());
    for (id, node) in nodes.iter().enumerate() {
        let [a, b, _] = node.args;
        let product = match node.op {
            Op::Add if single(a) => Some((Code::MulAdd, a, b)),
            Op::Add if single(b) => Some((Code::MulAdd, b, a)),
            Op::Sub if single(a) => Some((Code::MulSub, a, b)),
            Op::Sub if single(b) => Some((Code::SubMul, b, a)),
            _ => None,
        };
        let mut item =
            Item { code: Code::of(node.op), args: node.args, results: [Some(id as Id), None] };
        if let Some((code, product, other)) = product {
            let [x, y, _] = nodes[product as usize].args;
            taken[product as usize] = true;
            item = Item { code, args: [x, y, other], ..item };
        } else if let (Op::Sin | Op::Cos, Some([Some(sin), Some(cos)])) = (node.op, pairs.get(&a)) {
            if id as Id == *sin.max(cos) {
                continue; // made beside the other
            }
            // A tape that was loaded may have equal nodes: those outside the pair stand alone.
            if id as Id == *sin.min(cos) {
                item = Item { code: Code::SinCos, results: [Some(*sin), Some(*cos)], ..item };
            }
        }
        items.push(item);
    }
    items.retain(|item| {
        let [Some(id), None] = item.results else { return item.code.arity() != 0 };
        !taken[id as usize] && item.code.arity() != 0
    });
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_nodes_are_all_computed() {
        let node = |op, a| Node { op, args: [a, 0, 0], value: 0.0 };
        for middle in [Op::Sin, Op::Cos] {
            for last in [Op::Sin, Op::Cos] {
                let nodes = [node(Op::Input, 0), node(Op::Sin, 0), node(middle, 0), node(last, 0)];
                let items = fuse(&nodes, &[1, 2, 3]);
                let mut computed: Vec<Id> = items.iter().flat_map(Item::results).collect();
                computed.sort_unstable();
                assert_eq!(computed, [1, 2, 3], "sine, {middle:?}, {last:?}");
            }
        }
    }
}
