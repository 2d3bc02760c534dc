//! Why the places of two Jacobians of one network differ: the network simplified by rules that are written down here once more,
//! independent of both systems.

use std::collections::HashMap;

use pullback_graph::Op;

use super::instructions::{apply, has_slope};

/// Which rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// As it is written.
    None,
    /// Equal work has one number; constants are folded; a − a = 0, 0·a = 0, min(a, a) = a, a < a is false, a choice between equals is none,
    /// and the like: exact for every number.
    Exact,
    /// Also slopes that are 0 once they are added up: those of a in a − (b + a), of atan2(a, a), and of a in atan2(a, 0).
    Slopes,
    /// Besides what is exact 0/a = 0, a/a = 1, (a·b)/b = a, (a + b) − b = a and their kin, which are wrong at 0 or round differently.
    Cancelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Input(usize),
    /// By its bits.
    Constant(u64),
    Applied(Op, [usize; 3]),
}

/// A network under construction in which no two nodes are the same, and for each node the inputs that slopes lead to, as bits.
pub(crate) struct Simplified {
    rules: Rules,
    nodes: Vec<Node>,
    sets: Vec<u64>,
    /// Each node as a sum of others that are no sums, and where slopes lead from one that is none.
    sums: Vec<Vec<(usize, f64)>>,
    led: Vec<u64>,
    known: HashMap<Node, usize>,
}

impl Simplified {
    pub(crate) fn new(rules: Rules, inputs: usize) -> Self {
        let mut made = Simplified {
            rules,
            nodes: Vec::new(),
            sets: Vec::new(),
            sums: Vec::new(),
            led: Vec::new(),
            known: HashMap::new(),
        };
        (0..inputs).for_each(|i| {
            made.intern(Node::Input(i));
        });
        made
    }

    /// The inputs that slopes lead to from a node.
    pub(crate) fn reaches(&self, node: usize) -> u64 {
        self.sets[node]
    }

    fn intern(&mut self, node: Node) -> usize {
        if let (Some(&id), true) = (self.known.get(&node), self.rules != Rules::None) {
            return id;
        }
        let id = self.nodes.len();
        let led = match node {
            Node::Input(i) => 1 << i,
            Node::Constant(_) => 0,
            Node::Applied(op, args) => (0..op.arity())
                .filter(|&port| has_slope(op, port) && !self.vanishes(op, args))
                .fold(0, |set, port| set | self.sets[args[port]]),
        };
        let sum = self.sum(node).unwrap_or_else(|| vec![(id, 1.0)]);
        self.led.push(led);
        self.sets.push(match self.rules {
            Rules::Slopes => sum.iter().fold(0, |set, &(term, _)| set | self.led[term]),
            _ => led,
        });
        self.sums.push(sum);
        self.nodes.push(node);
        self.known.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// atan2(a, a), atan2(a, 0), atan2(0, b): at an angle that stays.
    fn vanishes(&self, op: Op, [a, b, _]: [usize; 3]) -> bool {
        let still = op == Op::Atan2 && (a == b || self.is(a, 0.0) || self.is(b, 0.0));
        self.rules == Rules::Slopes && still
    }

    /// What is added up to make a node, with factors other than 0; nothing for what is no sum.
    fn sum(&self, node: Node) -> Option<Vec<(usize, f64)>> {
        let Node::Applied(op, [a, b, _]) = node else { return None };
        let (first, second) = match (op, self.value(a), self.value(b)) {
            (Op::Add, ..) => ((a, 1.0), (b, 1.0)),
            (Op::Sub, ..) => ((a, 1.0), (b, -1.0)),
            (Op::Neg, ..) => ((a, -1.0), (a, 0.0)),
            (Op::Mul, Some(factor), _) => ((b, factor), (b, 0.0)),
            (Op::Mul, _, Some(factor)) => ((a, factor), (a, 0.0)),
            (Op::Div, _, Some(divisor)) => ((a, 1.0 / divisor), (a, 0.0)),
            _ => return None,
        };
        let mut sum: Vec<(usize, f64)> = Vec::new();
        for (id, factor) in [first, second] {
            for &(term, of) in &self.sums[id] {
                match sum.iter_mut().find(|(have, _)| *have == term) {
                    Some((_, total)) => *total += factor * of,
                    None => sum.push((term, factor * of)),
                }
            }
        }
        sum.retain(|(_, factor)| *factor != 0.0);
        Some(sum)
    }

    pub(crate) fn constant(&mut self, value: f64) -> usize {
        // −0 and 0 are one constant.
        self.intern(Node::Constant((value + 0.0).to_bits()))
    }

    fn value(&self, id: usize) -> Option<f64> {
        match self.nodes[id] {
            Node::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    fn is(&self, id: usize, value: f64) -> bool {
        self.value(id) == Some(value)
    }

    /// The operands, if the node is this operation.
    fn parts(&self, id: usize, op: Op) -> Option<[usize; 2]> {
        match self.nodes[id] {
            Node::Applied(found, [a, b, _]) if found == op => Some([a, b]),
            _ => None,
        }
    }

    fn negated(&self, id: usize) -> Option<usize> {
        self.parts(id, Op::Neg).map(|[a, _]| a)
    }

    pub(crate) fn apply(&mut self, op: Op, mut args: [usize; 3]) -> usize {
        args[op.arity()..].fill(0);
        if self.rules == Rules::None {
            return self.intern(Node::Applied(op, args));
        }
        let numbers: Option<Vec<f64>> = args[..op.arity()].iter().map(|&a| self.value(a)).collect();
        if let Some(numbers) = numbers {
            let value = apply(op, &numbers);
            if value.is_finite() {
                return self.constant(value);
            }
        }
        if op.commutes() && args[1] < args[0] {
            args.swap(0, 1);
        }
        if let Some(id) = self.exact(op, args) {
            return id;
        }
        let cancelled =
            (self.rules == Rules::Cancelling).then(|| self.cancelled(op, args)).flatten();
        cancelled.unwrap_or_else(|| self.intern(Node::Applied(op, args)))
    }

    fn two(&mut self, op: Op, a: usize, b: usize) -> usize {
        self.apply(op, [a, b, 0])
    }

    fn exact(&mut self, op: Op, [a, b, c]: [usize; 3]) -> Option<usize> {
        let signs = (self.negated(a), self.negated(b));
        Some(match op {
            Op::Neg => match (self.negated(a), self.parts(a, Op::Sub)) {
                (Some(inner), _) => inner,
                (None, Some([x, y])) => self.two(Op::Sub, y, x),
                (None, None) => return None,
            },
            Op::Add if self.is(a, 0.0) => b,
            Op::Add if self.is(b, 0.0) => a,
            Op::Add => match signs {
                (_, Some(b)) => self.two(Op::Sub, a, b),
                (Some(a), None) => self.two(Op::Sub, b, a),
                (None, None) => return None,
            },
            Op::Sub if self.is(b, 0.0) => a,
            Op::Sub if a == b => self.constant(0.0),
            Op::Sub if self.is(a, 0.0) => self.two(Op::Neg, b, 0),
            Op::Sub => match signs.1 {
                Some(b) => self.two(Op::Add, a, b),
                None => return None,
            },
            Op::Mul if self.is(a, 0.0) || self.is(b, 0.0) => self.constant(0.0),
            Op::Mul if self.is(a, 1.0) => b,
            Op::Mul if self.is(b, 1.0) => a,
            Op::Mul if self.is(a, -1.0) => self.two(Op::Neg, b, 0),
            Op::Mul if self.is(b, -1.0) => self.two(Op::Neg, a, 0),
            Op::Mul | Op::Div
                if signs != (None, None) && op == Op::Mul || signs.1.is_some() && op == Op::Div =>
            {
                let inner = self.two(op, signs.0.unwrap_or(a), signs.1.unwrap_or(b));
                match signs {
                    (Some(_), Some(_)) => inner,
                    _ => self.two(Op::Neg, inner, 0),
                }
            }
            Op::Div if self.is(a, 0.0) && self.rules == Rules::Cancelling => self.constant(0.0),
            Op::Div if self.is(b, 1.0) => a,
            Op::Div if a == b && self.rules == Rules::Cancelling => self.constant(1.0),
            Op::Div if signs.0.is_some() => {
                let inner = self.two(Op::Div, signs.0?, b);
                self.two(Op::Neg, inner, 0)
            }
            Op::Min | Op::Max if a == b => a,
            Op::Less if a == b => self.constant(0.0),
            Op::LessEqual | Op::Equal if a == b => self.constant(1.0),
            Op::Select if b == c => b,
            Op::Select => match self.value(a) {
                Some(0.0) => c,
                Some(_) => b,
                None => return None,
            },
            Op::Pow if self.is(b, 0.0) => self.constant(1.0),
            Op::Pow if self.is(b, 1.0) => a,
            _ => return None,
        })
    }

    fn cancelled(&mut self, op: Op, [a, b, _]: [usize; 3]) -> Option<usize> {
        let pairs = |this: &Self, op| (this.parts(a, op), this.parts(b, op));
        let (sums, differences) = (pairs(self, Op::Add), pairs(self, Op::Sub));
        let (products, ratios) = (pairs(self, Op::Mul), pairs(self, Op::Div));
        let negative = |this: &mut Self, x| Some(this.two(Op::Neg, x, 0));
        match (op, sums, differences, products, ratios) {
            // (x + b) − b, (b + x) − b
            (Op::Sub, (Some([x, y]), _), ..) if x == b || y == b => {
                Some(if x == b { y } else { x })
            }
            // a − (a + x)
            (Op::Sub, (_, Some([x, y])), ..) if x == a || y == a => {
                negative(self, if x == a { y } else { x })
            }
            // (b − x) − b
            (Op::Sub, _, (Some([x, y]), _), ..) if x == b => negative(self, y),
            // a − (a − x)
            (Op::Sub, _, (_, Some([x, y])), ..) if x == a => Some(y),
            // (x − b) + b, a + (x − a)
            (Op::Add, _, (Some([x, y]), _), ..) if y == b => Some(x),
            (Op::Add, _, (_, Some([x, y])), ..) if y == a => Some(x),
            // (x·b)/b
            (Op::Div, _, _, (Some([x, y]), _), _) if x == b || y == b => {
                Some(if x == b { y } else { x })
            }
            // (x/b)·b, a·(x/a)
            (Op::Mul, _, _, _, (Some([x, y]), _)) if y == b => Some(x),
            (Op::Mul, _, _, _, (_, Some([x, y]))) if y == a => Some(x),
            _ => None,
        }
    }
}
