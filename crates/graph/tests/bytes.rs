//! Tapes as bytes: exact round trips, and an error with its place for everything else.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/arm.rs"]
mod arm;
#[path = "common/fuzz_tape.rs"]
mod fuzz_tape;
#[path = "common/networks.rs"]
mod networks;

use networks::{Random, network};
use pullback_graph::{Error, Tape};

fn same(tape: &Tape) {
    let bytes = tape.to_bytes();
    let back = Tape::from_bytes(&bytes).unwrap();
    assert_eq!(back.hash(), tape.hash());
    assert_eq!(
        (back.inputs(), back.outputs(), back.len(), back.registers()),
        (tape.inputs(), tape.outputs(), tape.len(), tape.registers())
    );
    assert_eq!(back.to_bytes(), bytes);
    let mut random = Random(tape.hash());
    let x: Vec<f64> = (0..tape.inputs()).map(|_| random.uniform(-1.0, 1.0)).collect();
    match (tape.eval(&x), back.eval(&x)) {
        (Ok(a), Ok(b)) => assert_eq!(
            a.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            b.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        ),
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        (a, b) => panic!("{a:?}, {b:?}"),
    }
}

#[test]
fn a_tape_comes_back_as_it_was() {
    for seed in 0..100 {
        let tape = Tape::record(4, |x| network(seed, 5 + 3 * seed as usize, x)).unwrap();
        same(&tape);
        same(&tape.jacobian().0);
        same(&tape.reverse());
    }
    let hand = Tape::record(7, |q| arm::hand(q).to_vec()).unwrap();
    same(&hand);
    same(&hand.hessian().0);
    // The derivatives of what came back are those of what went.
    let back = Tape::from_bytes(&hand.to_bytes()).unwrap();
    assert_eq!(back.hessian().0.hash(), hand.hessian().0.hash());
    same(&Tape::record(0, |_| vec![]).unwrap());
    same(&Tape::record(1000, |x| vec![x[999]]).unwrap());
    let constants = [f64::MIN_POSITIVE / 8.0, f64::MAX, 0.1, -1.0 / 3.0, f64::INFINITY, f64::NAN];
    same(&Tape::record(1, |x| constants.map(|c| x[0] * c).to_vec()).unwrap());
}

/// Negations of negations, which no recording holds: a hundred thousand of them are one step of the stack for none of its uses.
#[test]
fn what_a_recording_simplifies_is_simplified() {
    let count = 100_000u32;
    let mut bytes = b"pb.tape\n".to_vec();
    for word in [1, 2, count + 3, 1] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for input in 0..2u32 {
        bytes.push(2);
        bytes.extend(input.to_le_bytes());
    }
    for k in 0..count {
        bytes.push(7);
        bytes.extend(if k == 0 { 0 } else { k + 1 }.to_le_bytes());
    }
    bytes.push(5);
    bytes.extend((count + 1).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((count + 2).to_le_bytes());
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    bytes.extend(sum.to_le_bytes());
    let tape = Tape::from_bytes(&bytes).unwrap();
    assert_eq!((tape.len(), tape.eval(&[3.0, 5.0]).unwrap()), (1, vec![15.0]));
    assert_eq!(tape.reverse().eval(&[3.0, 5.0, 1.0]).unwrap(), [15.0, 5.0, 3.0]);
    same(&tape);
}

/// A small tape, x₀·x₁ + 0.5, whose places are known.
fn small() -> Vec<u8> {
    let bytes = Tape::record(2, |x| vec![x[0] * x[1] + 0.5]).unwrap().to_bytes();
    // Header 24, inputs 2·5, product 9, constant 9, sum 9, output 4, checksum 8.
    assert_eq!(bytes.len(), 73);
    bytes
}

fn fixed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let sum = bytes[..end].iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn what_is_not_a_tape_is_refused_with_its_place() {
    type Change = fn(&mut Vec<u8>);
    let rows: [(&str, Change, usize, &str); 16] = [
        ("name", |b| b[3] = b'X', 0, "first 8 bytes"),
        ("version", |b| b[8] = 2, 8, "version 2"),
        ("inputs", |b| b[12..16].fill(0xff), 12, "4294967295 inputs"),
        ("nodes", |b| b[16..20].fill(0xff), 16, "4294967295 nodes"),
        ("outputs", |b| b[20..24].fill(0xff), 20, "4294967295 outputs"),
        ("code", |b| b[34] = 0, 34, "unknown code 0"),
        ("code", |b| b[34] = 200, 34, "unknown code 200"),
        ("input", |b| b[25] = 2, 25, "an input is 2, not below 2"),
        ("input twice", |b| b[30] = 0, 29, "input 0 is there twice"),
        ("operand is itself", |b| b[35] = 2, 35, "an operand is 2, not below 2"),
        ("operand after", |b| b[53] = 9, 53, "an operand is 9, not below 4"),
        ("output", |b| b[61] = 5, 61, "an output is 5, not below 5"),
        ("dead node", |b| b[61] = 2, 52, "needed by no output"),
        ("left over", |b| b.extend([0; 3]), 65, "3 bytes between"),
        ("fewer nodes", |b| b[16] = 4, 52, "an output is 515, not below 4"),
        ("cut", |b| b.truncate(64), 53, "the bytes end before an operand"),
    ];
    for (name, change, place, message) in rows {
        let mut bytes = small();
        change(&mut bytes);
        let found = Tape::from_bytes(&fixed(bytes));
        match &found {
            Err(Error::Format { at, what }) => {
                assert!(*at == place && what.contains(message), "{name}: {found:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn damage_shows_in_the_checksum_and_every_prefix_is_refused() {
    let bytes = small();
    for at in 24..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let found = Tape::from_bytes(&damaged);
            assert!(matches!(found, Err(Error::Format { at: 65, .. })), "{at}: {found:?}");
        }
    }
    for length in 0..bytes.len() {
        assert!(
            matches!(Tape::from_bytes(&bytes[..length]), Err(Error::Format { .. })),
            "{length}"
        );
        if 32 <= length {
            let cut = fixed(bytes[..length].to_vec());
            assert!(matches!(Tape::from_bytes(&cut), Err(Error::Format { .. })), "{length}");
        }
    }
}

#[test]
fn fifty_thousand_forged_tapes_give_errors_or_tapes() {
    let tally = fuzz_tape::fuzz(50_000, 1);
    assert_eq!(tally.panics, 0, "{tally:?}");
    assert_eq!(tally.inputs, tally.accepted + tally.refused);
    // Both ends are reached.
    assert!(500 < tally.accepted && 10_000 < tally.refused, "{tally:?}");
    assert_eq!(tally, fuzz_tape::fuzz(50_000, 1));
}
