//! Damaged and forged tapes: seeded mutations that know the format, so that they get past its first checks.
#![allow(clippy::unwrap_used, unreachable_pub)] // the seeds of the corpus are good tapes

use std::panic::{AssertUnwindSafe, catch_unwind};

use pullback_graph::{Error, Tape, Workspace};

use super::networks::{Random, network};

/// What became of the inputs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Byte strings tried.
    pub inputs: usize,
    /// Loaded, run, differentiated, and the same tape when written and loaded again.
    pub accepted: usize,
    /// Refused by an `Error::Format` whose place is in the bytes.
    pub refused: usize,
    /// Panics, and accepted tapes that did not keep what they promise.
    pub panics: usize,
}

/// Feeds `count` mutated tapes to the loader.
pub fn fuzz(count: usize, seed: u64) -> Tally {
    let corpus = corpus();
    let mut random = Random(seed);
    let mut tally = Tally { inputs: count, ..Tally::default() };
    for _ in 0..count {
        let bytes = mutated(&corpus, &mut random);
        match catch_unwind(AssertUnwindSafe(|| load(&bytes))) {
            Ok(Some(true)) => tally.accepted += 1,
            Ok(Some(false)) => tally.refused += 1,
            Ok(None) | Err(_) => tally.panics += 1,
        }
    }
    tally
}

/// Accepted? `None` where a promise is broken.
fn load(bytes: &[u8]) -> Option<bool> {
    match Tape::from_bytes(bytes) {
        Ok(tape) => {
            let x = vec![0.5; tape.inputs()];
            let mut y = vec![0.0; tape.outputs()];
            let ran = match tape.run(1, &x, &mut y, &mut Workspace::new(&tape)) {
                Ok(()) => y.iter().all(|y| y.is_finite()),
                Err(error) => matches!(error, Error::OutputNotFinite { .. }),
            };
            let used = tape.inputs() > 64 || derives(&tape);
            let written = tape.to_bytes();
            let again = Tape::from_bytes(&written);
            let same = again.is_ok_and(|t| t.hash() == tape.hash() && t.to_bytes() == written);
            (ran && used && same).then_some(true)
        }
        Err(Error::Format { at, what }) => (at <= bytes.len() && !what.is_empty()).then_some(false),
        Err(_) => None,
    }
}

/// What is accepted can be differentiated, run in a batch and written as source.
fn derives(tape: &Tape) -> bool {
    let derived = [tape.reverse(), tape.jacobian().0, tape.hessian().0];
    let ran = derived.iter().enumerate().all(|(batch, tape)| {
        let batch = [1, 5, 20][batch];
        let (x, mut y) = (vec![0.5; batch * tape.inputs()], vec![0.0; batch * tape.outputs()]);
        let ran = tape.run(batch, &x, &mut y, &mut Workspace::new(tape));
        matches!(ran, Ok(()) | Err(Error::OutputNotFinite { .. }))
    });
    ran && tape.to_rust("f").is_ok()
}

/// Small tapes with every instruction among them, and two without.
fn corpus() -> Vec<Vec<u8>> {
    let networks = (0..12).map(|seed| Tape::record(4, |x| network(seed, 3 + 4 * seed as usize, x)));
    let edges = [Tape::record(0, |_| vec![]), Tape::record(3, |x| vec![x[2], x[2], x[0]])];
    networks.chain(edges).map(|tape| tape.unwrap().to_bytes()).collect()
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    if random.below(50) == 0 {
        let length = random.below(200);
        bytes = (0..length).map(|_| random.next() as u8).collect();
    }
    for _ in 0..=random.below(3) {
        mutate(&mut bytes, corpus, random);
    }
    // Most keep a checksum that fits, so that what is behind it is reached.
    if random.below(8) != 0
        && let Some(end) = bytes.len().checked_sub(8)
    {
        let sum = fnv(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let n = bytes.len();
    match random.below(9) {
        0 if 0 < n => bytes[random.below(n)] ^= 1 << random.below(8),
        1 if 0 < n => bytes[random.below(n)] = random.next() as u8,
        2 => bytes.truncate(random.below(n + 1)),
        // Counts and version: near, huge, any.
        3 if 24 <= n => {
            let at = 8 + 4 * random.below(4);
            let old = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let near = old.wrapping_add(random.below(5) as u32).wrapping_sub(2);
            let new = [near, u32::MAX, 1 << random.below(32), random.next() as u32];
            bytes[at..at + 4].copy_from_slice(&new[random.below(4)].to_le_bytes());
        }
        // Small numbers where operands, inputs and codes are.
        4 if 28 < n => {
            let at = 24 + random.below(n - 28);
            bytes[at..at + 4].copy_from_slice(&(random.below(80) as u32).to_le_bytes());
        }
        5 if 24 < n => bytes[24 + random.below(n - 24)] = random.below(40) as u8,
        // A piece of another tape: in place of what is here, or between.
        6 | 7 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(40)).min(other.len())];
            let at = random.below(n + 1);
            let end = if random.below(2) == 0 { at } else { (at + piece.len()).min(n) };
            bytes.splice(at..end, piece.iter().copied());
        }
        _ if 0 < n => {
            let at = random.below(n);
            bytes.drain(at..(at + 1 + random.below(9)).min(n));
        }
        _ => bytes.push(random.next() as u8),
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for &byte in bytes {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
