//! Random networks of every instruction.
#![allow(dead_code, unreachable_pub)] // each user takes a part

use pullback_graph::{Op, Real};

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Every instruction with its operands brought into its domain, away from kinks.
pub fn apply<T: Real>(op: Op, a: T, b: T, c: T) -> T {
    let unit = |x: T| x.tanh() * 0.9;
    let positive = |x: T| x.sqr() + 0.1;
    match op {
        Op::Const => T::lit(0.75),
        Op::Input => a,
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / positive(b),
        Op::Neg => -a,
        Op::Sqrt => positive(a).sqrt(),
        Op::Abs => a.abs(),
        Op::Sign => a.sign(),
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Floor => a.floor(),
        Op::Exp => unit(a).exp(),
        Op::ExpM1 => unit(a).exp_m1(),
        Op::Ln => positive(a).ln(),
        Op::Ln1p => unit(a).ln_1p(),
        Op::Sin => a.sin(),
        Op::Cos => a.cos(),
        Op::Tan => unit(a).tan(),
        Op::Asin => unit(a).asin(),
        Op::Acos => unit(a).acos(),
        Op::Atan => a.atan(),
        Op::Sinh => unit(a).sinh(),
        Op::Cosh => unit(a).cosh(),
        Op::Tanh => a.tanh(),
        Op::Asinh => a.asinh(),
        Op::Acosh => (positive(a) + 1.0).acosh(),
        Op::Atanh => unit(a).atanh(),
        Op::Atan2 => a.atan2(positive(b)),
        Op::Hypot => a.hypot(positive(b)),
        Op::Pow => positive(a).pow(unit(b)),
        Op::Less => a.less(b),
        Op::LessEqual => a.less_equal(b),
        Op::Equal => a.equal(b),
        Op::Select => T::select(a.less(b), b, c),
        // Made by derivatives only.
        Op::GuardedMul => a * b,
        Op::GuardedDiv => a / positive(b),
    }
}

/// A network of `size` random instructions over 4 inputs, with 3 outputs; every instruction is among them in turn.
pub fn network<T: Real>(seed: u64, size: usize, x: &[T]) -> Vec<T> {
    let mut random = Random(seed);
    let mut values = x.to_vec();
    for k in 0..size {
        let op = Op::ALL[(seed as usize + k) % Op::ALL.len()];
        let mut pick = || values[random.below(values.len())];
        let value = apply(op, pick(), pick(), pick());
        values.push(value);
    }
    let n = values.len();
    vec![values[n - 1], values[n - 2] * 0.5 + values[n / 2], values[random.below(n)]]
}

/// A network over `x.len()` inputs with one output for each, of which each reads few inputs near it: sparse, with every instruction.
pub fn sparse<T: Real>(seed: u64, x: &[T]) -> Vec<T> {
    let mut random = Random(seed);
    let n = x.len();
    let of = |k: usize, random: &mut Random| {
        let mut values: Vec<T> = (0..3).map(|_| x[(k + random.below(5)) % n]).collect();
        for step in 0..6 {
            let op = Op::ALL[(seed as usize + 7 * k + step) % Op::ALL.len()];
            let mut pick = || values[random.below(values.len())];
            let value = apply(op, pick(), pick(), pick());
            values.push(value);
        }
        let last = values.len() - 1;
        values[last] + values[last - 1] * values[last - 2]
    };
    (0..n).map(|k| of(k, &mut random)).collect()
}
