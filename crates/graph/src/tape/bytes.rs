//! Tapes as bytes, and back: a small format of our own, whose every field is checked on the way in.
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `pb.tape` and a line feed |
//! | 4 | version: 1 |
//! | 4 | number of inputs |
//! | 4 | number of nodes |
//! | 4 | number of outputs |
//! | 5 to 13 each | the nodes: one byte of code, then a constant's 8 bytes, an input's number (4), or the operands (4 each) |
//! | 4 each | the outputs: positions of nodes |
//! | 8 | FNV-1a (64 bits) of all bytes before |

use super::dag::{Dag, Id, Node};
use super::op::Op;
use super::{Builder, Tape};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"pb.tape\n";
const VERSION: u32 = 1;
/// Bytes before the nodes, and of the checksum behind the outputs.
const HEADER: usize = 24;
const CHECKSUM: usize = 8;
/// The least bytes of a node and of an output, by which counts are judged before anything is allocated.
const NODE: usize = 5;
const OUTPUT: usize = 4;
/// Inputs that no node reads take no bytes, so their number has a limit of its own.
const INPUTS: usize = 1 << 20;

/// Instructions and their codes on disk. A code is never used for another instruction; 0 is none.
const CODES: [(u8, Op); Op::ALL.len()] = [
    (1, Op::Const),
    (2, Op::Input),
    (3, Op::Add),
    (4, Op::Sub),
    (5, Op::Mul),
    (6, Op::Div),
    (7, Op::Neg),
    (8, Op::Sqrt),
    (9, Op::Abs),
    (10, Op::Sign),
    (11, Op::Min),
    (12, Op::Max),
    (13, Op::Floor),
    (14, Op::Exp),
    (15, Op::ExpM1),
    (16, Op::Ln),
    (17, Op::Ln1p),
    (18, Op::Sin),
    (19, Op::Cos),
    (20, Op::Tan),
    (21, Op::Asin),
    (22, Op::Acos),
    (23, Op::Atan),
    (24, Op::Sinh),
    (25, Op::Cosh),
    (26, Op::Tanh),
    (27, Op::Asinh),
    (28, Op::Acosh),
    (29, Op::Atanh),
    (30, Op::Atan2),
    (31, Op::Hypot),
    (32, Op::Pow),
    (33, Op::Less),
    (34, Op::LessEqual),
    (35, Op::Equal),
    (36, Op::Select),
    (37, Op::GuardedMul),
    (38, Op::GuardedDiv),
];

/// The instruction of each code.
const BY_CODE: [Option<Op>; 256] = {
    let mut table = [None; 256];
    let mut row = 0;
    while row < CODES.len() {
        let (code, op) = CODES[row];
        table[code as usize] = Some(op);
        row += 1;
    }
    table
};

/// The code of each instruction.
pub(super) const BY_OP: [u8; Op::ALL.len()] = {
    let mut table = [0; Op::ALL.len()];
    let mut row = 0;
    while row < CODES.len() {
        let (code, op) = CODES[row];
        table[op as usize] = code;
        row += 1;
    }
    table
};

/// FNV-1a, 64 bits (Fowler, Noll, Vo): finds damage, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Tape {
    /// The tape as bytes, for [`Tape::from_bytes`] on any machine: the same tape gives the same bytes. (Of more than 2²⁰ inputs it reads
    /// back as many as there are bytes.)
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = HEADER + 13 * self.nodes.len() + OUTPUT * self.outputs.len() + CHECKSUM;
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(MAGIC);
        let counts = [self.inputs as u32, self.nodes.len() as u32, self.outputs.len() as u32];
        for word in [VERSION].into_iter().chain(counts) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for node in &self.nodes {
            bytes.push(BY_OP[node.op as usize]);
            match node.op {
                Op::Const => bytes.extend_from_slice(&node.value.to_le_bytes()),
                Op::Input => bytes.extend_from_slice(&node.args[0].to_le_bytes()),
                _ => node.operands().iter().for_each(|a| bytes.extend_from_slice(&a.to_le_bytes())),
            }
        }
        self.outputs.iter().for_each(|y| bytes.extend_from_slice(&y.to_le_bytes()));
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The tape that [`Tape::to_bytes`] wrote: the same instructions, the same constants to the bit, the same [`Tape::hash`].
    ///
    /// The bytes may come from anywhere. Nothing is allocated for a count that the bytes behind it cannot hold, so memory and time
    /// are in proportion to the length of `bytes`; constants may be any number, as in a recording, and what a recording would simplify is
    /// simplified. At most 2²⁰ inputs, or as many as there are bytes.
    ///
    /// # Errors
    /// `Format` with the first byte at which it shows: another format or version, a checksum that does not fit (damage), counts that
    /// do not fit the length, unknown instructions, operands that do not come before their node, inputs outside their number or there
    /// twice, nodes that no output needs, bytes left over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Tape> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take::<8>("the format's name")? != *MAGIC {
            return Err(wrong(0, "the first 8 bytes are not those of a tape"));
        }
        let version = reader.word("the version")?;
        if version != VERSION {
            return Err(wrong(8, format!("version {version}; this program reads {VERSION}")));
        }
        let [inputs, count, outputs] =
            [reader.word("inputs")?, reader.word("nodes")?, reader.word("outputs")?];
        let Some(end) = bytes.len().checked_sub(CHECKSUM).filter(|end| HEADER <= *end) else {
            return Err(wrong(reader.at, "no room for the checksum"));
        };
        let (body, sum) = bytes.split_at(end);
        let (found, expected) = (checksum(body).to_le_bytes(), sum);
        if found != expected {
            return Err(wrong(end, format!("the checksum of what comes before is {found:02x?}")));
        }
        reader.bytes = body;
        let (inputs, count, outputs) = (inputs as usize, count as usize, outputs as usize);
        let room = end - HEADER;
        if INPUTS.max(bytes.len()) < inputs {
            return Err(wrong(12, format!("{inputs} inputs; the limit is {INPUTS}")));
        }
        if room / NODE < count {
            return Err(wrong(16, format!("{count} nodes cannot be in {room} bytes")));
        }
        if (room - NODE * count) / OUTPUT < outputs {
            return Err(wrong(20, format!("{outputs} outputs cannot be in {room} bytes")));
        }
        let mut nodes = Vec::with_capacity(count);
        let mut read = Vec::new();
        for id in 0..count {
            let at = reader.at;
            let node = reader.node(id, inputs)?;
            if node.op == Op::Input {
                read.push((node.args[0], at));
            }
            nodes.push(node);
        }
        read.sort_unstable();
        if let Some(twice) = read.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(wrong(twice[1].1, format!("input {} is there twice", twice[1].0)));
        }
        let ids = (0..outputs).map(|_| reader.position("an output", count));
        let outputs: Vec<Id> = ids.collect::<Result<_>>()?;
        if reader.at != end {
            let what = format!("{} bytes between the outputs and the checksum", end - reader.at);
            return Err(wrong(reader.at, what));
        }
        all_needed(&nodes, &outputs)?;
        // Recorded again, so that whoever wrote it, no later step meets what a recording cannot hold.
        let (dag, outputs) = Dag::recorded(inputs, &nodes, &outputs);
        Ok(Builder { dag }.finish(&outputs))
    }
}

fn wrong(at: usize, what: impl Into<String>) -> Error {
    Error::Format { at, what: what.into() }
}

/// A recording has no dead nodes, and what works on tapes relies on it.
fn all_needed(nodes: &[Node], outputs: &[Id]) -> Result<()> {
    let mut needed = vec![false; nodes.len()];
    outputs.iter().for_each(|&y| needed[y as usize] = true);
    for (id, node) in nodes.iter().enumerate().rev() {
        if !needed[id] {
            let before: usize = nodes[..id].iter().map(size).sum();
            return Err(wrong(HEADER + before, format!("node {id} is needed by no output")));
        }
        node.operands().iter().for_each(|&a| needed[a as usize] = true);
    }
    Ok(())
}

/// Bytes of a node.
fn size(node: &Node) -> usize {
    match node.op {
        Op::Const => 9,
        Op::Input => 5,
        op => 1 + 4 * op.arity(),
    }
}

/// The bytes, and how far they are read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(&chunk) => {
                self.at += N;
                Ok(chunk)
            }
            None => Err(wrong(self.at, format!("the bytes end before {what}"))),
        }
    }

    fn word(&mut self, what: &str) -> Result<u32> {
        self.take(what).map(u32::from_le_bytes)
    }

    /// A position below `limit`.
    fn position(&mut self, what: &str, limit: usize) -> Result<Id> {
        let at = self.at;
        let id = self.word(what)?;
        if limit <= id as usize {
            return Err(wrong(at, format!("{what} is {id}, not below {limit}")));
        }
        Ok(id)
    }

    fn node(&mut self, id: usize, inputs: usize) -> Result<Node> {
        let at = self.at;
        let [code] = self.take("a node")?;
        let Some(op) = BY_CODE[usize::from(code)] else {
            return Err(wrong(at, format!("node {id} has the unknown code {code}")));
        };
        let mut node = Node { op, args: [0; 3], value: 0.0 };
        match op {
            Op::Const => node.value = f64::from_le_bytes(self.take("a constant")?),
            Op::Input => node.args[0] = self.position("an input", inputs)?,
            _ => {
                for arg in &mut node.args[..op.arity()] {
                    *arg = self.position("an operand", id)?;
                }
            }
        }
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_has_a_code_of_its_own() {
        for op in Op::ALL {
            assert_eq!(BY_CODE[usize::from(BY_OP[op as usize])], Some(op), "{op:?}");
        }
        assert_eq!(BY_CODE.iter().flatten().count(), Op::ALL.len());
        assert_eq!(BY_CODE[0], None);
    }
}
