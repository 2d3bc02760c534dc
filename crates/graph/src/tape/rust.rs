//! A tape as the source of a Rust function that needs nothing but the standard library.

use std::collections::HashMap;
use std::fmt::{self, Write};

use super::Tape;
use super::dag::{Id, Node};
use super::op::Op;
use crate::{Error, Result};

/// Instructions in one function: compilers take more than linear time for longer ones.
const BLOCK: usize = 1000;
/// Numbers between blocks that go on the stack; more are allocated.
const STACK: usize = 1 << 12;

/// What may not name a function, in any edition.
const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "Self", "static", "struct", "super", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Functions that the standard library lacks or computes otherwise; written where they are used.
const HELPERS: [(Op, &str, &str); 11] = [
    (Op::Sign, "sign(a: f64)", "f64::from(0.0 < a) - f64::from(a < 0.0)"),
    (Op::Min, "least(a: f64, b: f64)", "if a < b || a.is_nan() { a } else { b }"),
    (Op::Max, "greatest(a: f64, b: f64)", "if a > b || a.is_nan() { a } else { b }"),
    (
        // ln(a + √(a² − 1)) without cancellation at 1 or overflow
        Op::Acosh,
        "arcosh(a: f64)",
        "let t = a - 1.0; if a < 1.0 { f64::NAN } else if a < 1e8 { (t + (t * (a + 1.0)).sqrt()).ln_1p() } else { a.ln() + std::f64::consts::LN_2 }",
    ),
    (
        // Odd, and without overflow of a²
        Op::Asinh,
        "arsinh(a: f64)",
        "let t = a.abs(); let s = t * t; (if t < 1e8 { (t + s / (1.0 + (1.0 + s).sqrt())).ln_1p() } else { t.ln() + std::f64::consts::LN_2 }).copysign(a)",
    ),
    (
        // Odd, and without cancellation at −1
        Op::Atanh,
        "artanh(a: f64)",
        "let t = a.abs(); (0.5 * (2.0 * t / (1.0 - t)).ln_1p()).copysign(a)",
    ),
    (Op::Less, "less(a: f64, b: f64)", "if a < b { 1.0 } else { 0.0 }"),
    (Op::LessEqual, "less_equal(a: f64, b: f64)", "if a <= b { 1.0 } else { 0.0 }"),
    (Op::Equal, "equal(a: f64, b: f64)", "if a == b { 1.0 } else { 0.0 }"),
    (Op::GuardedMul, "guarded_product(a: f64, b: f64)", "if a == 0.0 { 0.0 } else { a * b }"),
    (Op::GuardedDiv, "guarded_ratio(a: f64, b: f64)", "if a == 0.0 { 0.0 } else { a / b }"),
];

impl Tape {
    /// The source of `pub fn name(x: &[f64; n], y: &mut [f64; m])`, which does what the tape does, for a build script to write or a
    /// source file to keep.
    ///
    /// It needs the standard library alone, allocates nothing (but for tapes with more than 2¹² numbers alive between its blocks of
    /// 1000 instructions), and indexes by constants only. Constants are exact; sums and products have the bits of the tape. sin, exp and
    /// their like are the platform's, so their bits may differ from the tape's in the last place or two, and between platforms. Kinks
    /// are this crate's. It does not check its outputs: what is NaN or infinite stays so.
    ///
    /// ```
    /// use pullback_graph::{Real, Tape};
    /// # fn main() -> pullback_graph::Result<()> {
    /// let tape = Tape::record(2, |x| vec![x[0] * x[1].sin()])?;
    /// let source = tape.to_rust("wave")?;
    /// assert!(source.contains("pub fn wave(x: &[f64; 2], y: &mut [f64; 1]) {"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` if `name` is not an identifier of ASCII letters, digits and underscores, or is a keyword.
    pub fn to_rust(&self, name: &str) -> Result<String> {
        let mut letters = name.bytes();
        let starts = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let goes_on = letters.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !(starts && goes_on) || name == "_" || KEYWORDS.contains(&name) {
            return Err(Error::invalid("to_rust", format!("{name:?} cannot name a function")));
        }
        let layout = Layout::new(&self.nodes);
        let mut source = String::new();
        let written = Writer { tape: self, layout, out: &mut source }.function(name);
        written.map_err(|e| Error::invalid("to_rust", e.to_string()))?;
        Ok(source)
    }
}

/// Which block computes each node, and where it waits for later blocks.
struct Layout {
    blocks: usize,
    /// The block that computes a node; 0 for inputs and constants, which are in none.
    born: Vec<usize>,
    /// Place in the scratch array, of what a later block reads.
    slot: Vec<Option<usize>>,
    slots: usize,
    /// The sine of a cosine's operand and the other way round.
    partner: Vec<Option<Id>>,
}

impl Layout {
    fn new(nodes: &[Node]) -> Self {
        let partner = partners(nodes);
        let (mut born, mut count) = (vec![0; nodes.len()], 0);
        for id in (0..nodes.len()).filter(|&id| 0 < nodes[id].op.arity()) {
            born[id] = match partner[id] {
                Some(other) if (other as usize) < id => born[other as usize],
                _ => {
                    count += 1;
                    (count - 1) / BLOCK
                }
            };
        }
        let mut last = born.clone();
        for (id, node) in nodes.iter().enumerate() {
            for &a in node.operands() {
                last[a as usize] = last[a as usize].max(born[id]);
            }
        }
        let blocks = born.iter().max().map_or(0, |b| b + 1);
        let (slot, slots) = slots(nodes, &born, &last, blocks);
        Layout { blocks, born, slot, slots, partner }
    }
}

/// Sines and cosines of the same operand, which one call computes.
fn partners(nodes: &[Node]) -> Vec<Option<Id>> {
    let mut partner = vec![None; nodes.len()];
    let mut alone: HashMap<(Id, bool), Id> = HashMap::new();
    for (id, node) in nodes.iter().enumerate() {
        if !matches!(node.op, Op::Sin | Op::Cos) {
            continue;
        }
        let (angle, sine) = (node.args[0], node.op == Op::Sin);
        match alone.remove(&(angle, !sine)) {
            Some(other) => {
                partner[id] = Some(other);
                partner[other as usize] = Some(id as Id);
            }
            None => {
                alone.insert((angle, sine), id as Id);
            }
        }
    }
    partner
}

/// Places for what crosses from one block into another; a place is used again in the blocks after its last reader's.
fn slots(
    nodes: &[Node],
    born: &[usize],
    last: &[usize],
    blocks: usize,
) -> (Vec<Option<usize>>, usize) {
    let mut slot = vec![None; nodes.len()];
    let mut crossing = vec![Vec::new(); blocks];
    for (id, node) in nodes.iter().enumerate() {
        if 0 < node.op.arity() && born[id] < last[id] {
            crossing[born[id]].push(id);
        }
    }
    let mut ending = vec![Vec::new(); blocks];
    let (mut free, mut count): (Vec<usize>, usize) = (Vec::new(), 0);
    for block in 0..blocks {
        for &id in &crossing[block] {
            let place = free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
            slot[id] = Some(place);
            ending[last[id]].push(place);
        }
        free.append(&mut ending[block]);
    }
    (slot, count)
}

struct Writer<'a> {
    tape: &'a Tape,
    layout: Layout,
    out: &'a mut String,
}

impl Writer<'_> {
    fn function(mut self, name: &str) -> fmt::Result {
        let (n, m, slots) = (self.tape.inputs, self.tape.outputs.len(), self.layout.slots);
        let count = self.tape.len();
        writeln!(self.out, "/// y = f(x): {n} inputs, {m} outputs, {count} instructions.")?;
        writeln!(self.out, "///")?;
        writeln!(self.out, "/// Written by pullback-graph from the tape {:016x}.", self.tape.hash)?;
        writeln!(self.out, "#[allow(clippy::all, clippy::pedantic, unused, nonstandard_style)]")?;
        writeln!(self.out, "#[rustfmt::skip]")?;
        writeln!(self.out, "pub fn {name}(x: &[f64; {n}], y: &mut [f64; {m}]) {{")?;
        let nodes = &self.tape.nodes;
        let used = |op: Op| nodes.iter().any(|node| node.op == op);
        for (_, signature, body) in HELPERS.iter().filter(|(op, _, _)| used(*op)) {
            writeln!(self.out, "    #[inline(always)]")?;
            writeln!(self.out, "    fn {signature} -> f64 {{ {body} }}")?;
        }
        let stored = self.stored();
        // Outputs that nothing computes: inputs and constants.
        for (output, &id) in self.tape.outputs.iter().enumerate() {
            if self.tape.nodes[id as usize].op.arity() == 0 {
                let value = self.operand(id);
                writeln!(self.out, "    y[{output}] = {value};")?;
            }
        }
        if self.layout.blocks < 2 {
            self.block(0, 0..self.tape.nodes.len(), &stored)?;
            return writeln!(self.out, "}}");
        }
        if slots <= STACK {
            writeln!(self.out, "    let mut scratch = [0.0_f64; {slots}];")?;
            writeln!(self.out, "    let r = &mut scratch;")?;
        } else {
            writeln!(self.out, "    let mut scratch = vec![0.0_f64; {slots}];")?;
            let array = format!("<&mut [f64; {slots}]>::try_from(&mut scratch[..])");
            writeln!(self.out, "    let Ok(r) = {array} else {{ return }};")?;
        }
        for block in 0..self.layout.blocks {
            writeln!(self.out, "    block_{block}(x, y, r);")?;
        }
        let mut first = 0;
        for block in 0..self.layout.blocks {
            let inside =
                |id: usize| self.tape.nodes[id].op.arity() == 0 || self.layout.born[id] <= block;
            let rest = first..self.tape.nodes.len();
            let end = rest.clone().find(|&id| !inside(id)).unwrap_or(rest.end);
            writeln!(self.out, "    #[inline(never)]")?;
            let scratch = format!("r: &mut [f64; {slots}]");
            writeln!(
                self.out,
                "    fn block_{block}(x: &[f64; {n}], y: &mut [f64; {m}], {scratch}) {{"
            )?;
            self.block(block, first..end, &stored)?;
            writeln!(self.out, "    }}")?;
            first = end;
        }
        writeln!(self.out, "}}")
    }

    /// The outputs that each node is.
    fn stored(&self) -> HashMap<Id, Vec<usize>> {
        let mut stored: HashMap<Id, Vec<usize>> = HashMap::new();
        for (output, &id) in self.tape.outputs.iter().enumerate() {
            stored.entry(id).or_default().push(output);
        }
        stored
    }

    fn block(
        &mut self,
        block: usize,
        ids: std::ops::Range<usize>,
        stored: &HashMap<Id, Vec<usize>>,
    ) -> fmt::Result {
        let mut fetched = std::collections::HashSet::new();
        for id in ids {
            let node = self.tape.nodes[id];
            let partner = self.layout.partner[id];
            let done = partner.is_some_and(|other| (other as usize) < id);
            if node.op.arity() == 0 || done {
                continue;
            }
            for &a in node.operands() {
                if let Some(slot) = self.layout.slot[a as usize]
                    && self.layout.born[a as usize] < block
                    && fetched.insert(a)
                {
                    writeln!(self.out, "    let v{a} = r[{slot}];")?;
                }
            }
            let new = match partner {
                Some(other) => {
                    let (sine, cosine) =
                        if node.op == Op::Sin { (id as Id, other) } else { (other, id as Id) };
                    let angle = self.operand(node.args[0]);
                    writeln!(self.out, "    let (v{sine}, v{cosine}) = {angle}.sin_cos();")?;
                    vec![sine, cosine]
                }
                None => {
                    let value = self.value(&node);
                    writeln!(self.out, "    let v{id} = {value};")?;
                    vec![id as Id]
                }
            };
            for id in new {
                if let Some(slot) = self.layout.slot[id as usize] {
                    writeln!(self.out, "    r[{slot}] = v{id};")?;
                }
                for output in stored.get(&id).into_iter().flatten() {
                    writeln!(self.out, "    y[{output}] = v{id};")?;
                }
            }
        }
        Ok(())
    }

    /// A node as an operand.
    fn operand(&self, id: Id) -> String {
        let node = &self.tape.nodes[id as usize];
        match node.op {
            Op::Input => format!("x[{}]", node.args[0]),
            Op::Const => literal(node.value),
            _ => format!("v{id}"),
        }
    }

    fn value(&self, node: &Node) -> String {
        let mut operands = node.operands().iter().map(|&a| self.operand(a));
        let mut next = || operands.next().unwrap_or_default();
        let (a, b, c) = (next(), next(), next());
        let method = |name: &str| match node.op.arity() {
            1 => format!("{a}.{name}()"),
            _ => format!("{a}.{name}({b})"),
        };
        match node.op {
            Op::Const | Op::Input => a,
            Op::Add => format!("{a} + {b}"),
            Op::Sub => format!("{a} - {b}"),
            Op::Mul => format!("{a} * {b}"),
            Op::Div => format!("{a} / {b}"),
            Op::Neg => format!("-{a}"),
            Op::Sign => format!("sign({a})"),
            Op::Min => format!("least({a}, {b})"),
            Op::Max => format!("greatest({a}, {b})"),
            Op::Less => format!("less({a}, {b})"),
            Op::LessEqual => format!("less_equal({a}, {b})"),
            Op::Equal => format!("equal({a}, {b})"),
            Op::GuardedMul => format!("guarded_product({a}, {b})"),
            Op::GuardedDiv => format!("guarded_ratio({a}, {b})"),
            Op::Select => format!("if {a} != 0.0 {{ {b} }} else {{ {c} }}"),
            Op::Acosh => format!("arcosh({a})"),
            Op::Atanh => format!("artanh({a})"),
            Op::Sqrt => method("sqrt"),
            Op::Abs => method("abs"),
            Op::Floor => method("floor"),
            Op::Exp => method("exp"),
            Op::ExpM1 => method("exp_m1"),
            Op::Ln => method("ln"),
            Op::Ln1p => method("ln_1p"),
            Op::Sin => method("sin"),
            Op::Cos => method("cos"),
            Op::Tan => method("tan"),
            Op::Asin => method("asin"),
            Op::Acos => method("acos"),
            Op::Atan => method("atan"),
            Op::Sinh => method("sinh"),
            Op::Cosh => method("cosh"),
            Op::Tanh => method("tanh"),
            Op::Asinh => format!("arsinh({a})"),
            Op::Atan2 => method("atan2"),
            Op::Hypot => method("hypot"),
            Op::Pow => method("powf"),
        }
    }
}

/// The number, exactly: Rust prints the shortest decimal that reads back as the same bits.
fn literal(value: f64) -> String {
    if !value.is_finite() {
        return format!("f64::from_bits(0x{:016x})", value.to_bits());
    }
    if value.is_sign_negative() { format!("({value:?}_f64)") } else { format!("{value:?}_f64") }
}
