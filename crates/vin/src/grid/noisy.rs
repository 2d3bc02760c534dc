//! A Jacobi sweep over a grid with slips and waits, a row at a time in vector registers.

use super::connectivity::{MOVES, Walls};
use super::process::GridProcess;
use super::sweep::strips;
use crate::lanes::vectorized;

/// What a step in one of the eight directions pays, and the value it leads to, for the cells of a row.
struct Step {
    paid: Vec<f64>,
    value: Vec<f64>,
}

/// V′ = max over the actions. The same bits as the general sweep, which adds the outcomes of an action in this order: the direction itself, the
/// next clockwise, the next the other way, no move. Not for maps with doubtful cells or for headings.
pub(super) fn noisy(
    process: &GridProcess,
    values: &[f64],
    held: &[bool],
    out: &mut [f64],
    tape: Option<&mut [u8]>,
) {
    strips(process, out, tape, |first, out, tape| rows(process, values, held, first, out, tape));
}

fn rows(
    process: &GridProcess,
    values: &[f64],
    held: &[bool],
    first: usize,
    out: &mut [f64],
    mut tape: Option<&mut [u8]>,
) {
    let (map, spec) = (process.map(), process.spec);
    let (width, stride) = (map.width(), spec.connectivity.stride());
    let row_of = || Step { paid: vec![0.0; width], value: vec![0.0; width] };
    let mut steps: Vec<Step> = (0..8).map(|_| row_of()).collect();
    let (mut best, mut which) = (vec![0.0; width], vec![0.0; width]);
    let mut q = vec![0.0; width];
    for (r, out) in out.chunks_exact_mut(width).enumerate() {
        let y = first + r;
        let cells = y * width..(y + 1) * width;
        let (now, cost) = (&values[cells.clone()], &map.cost()[cells.clone()]);
        let blocked = &process.blocked[cells.clone()];
        for d in (0..8).step_by(stride) {
            step(process, (y, d), values, &mut steps[d]);
        }
        best.fill(f64::NEG_INFINITY);
        which.fill(0.0);
        for action in 0..spec.connectivity.actions() {
            let d = stride * action;
            let parts = [&steps[d], &steps[(d + stride) % 8], &steps[(d + 8 - stride) % 8]];
            let length = spec.connectivity.length(d);
            act(process, parts, (length, now, cost), &mut q);
            let shuts = spec.walls == Walls::Unavailable;
            let number = action as f64;
            vectorized(
                #[inline(always)]
                || {
                    let n = q.len();
                    let (best, which) = (&mut best[..n], &mut which[..n]);
                    let blocked = &blocked[..n];
                    for x in 0..n {
                        let shut = shuts & (blocked[x] >> d & 1 == 1);
                        let candidate = if shut { f64::NEG_INFINITY } else { q[x] };
                        let better = candidate > best[x];
                        best[x] = if better { candidate } else { best[x] };
                        which[x] = if better { number } else { which[x] };
                    }
                },
            );
        }
        let held = &held[cells];
        for x in 0..width {
            out[x] = if held[x] { now[x] } else { best[x] };
        }
        if let Some(tape) = &mut tape {
            for (x, tape) in tape[r * width..(r + 1) * width].iter_mut().enumerate() {
                if !held[x] {
                    *tape = which[x] as u8;
                }
            }
        }
    }
}

/// A step of the cells of row y in direction d: into the next cell, or against a wall.
fn step(process: &GridProcess, (y, d): (usize, usize), values: &[f64], to: &mut Step) {
    let (map, spec) = (process.map(), process.spec);
    let (width, by) = (map.width(), MOVES[d]);
    let (length, penalty) = (spec.connectivity.length(d), spec.walls.penalty());
    let cells = y * width..(y + 1) * width;
    let (now, cost) = (&values[cells.clone()], &map.cost()[cells.clone()]);
    for x in 0..width {
        to.paid[x] = -length * cost[x] - penalty;
    }
    to.value.copy_from_slice(now);
    let Some(target) = y.checked_add_signed(by.dy).filter(|&y| y < map.height()) else { return };
    // Columns that have a neighbour there.
    let columns = usize::from(by.dx < 0)..width - usize::from(by.dx > 0);
    let from = (target * width + columns.start).wrapping_add_signed(by.dx);
    let (v, c) = (&values[from..][..columns.len()], &map.cost()[from..][..columns.len()]);
    let blocked = &process.blocked[cells][columns.clone()];
    let (paid, value) = (&mut to.paid[columns.clone()], &mut to.value[columns]);
    vectorized(
        #[inline(always)]
        || {
            let n = v.len();
            let (c, blocked) = (&c[..n], &blocked[..n]);
            let (paid, value) = (&mut paid[..n], &mut value[..n]);
            for x in 0..n {
                let free = blocked[x] >> d & 1 == 0;
                // As the general sweep subtracts a penalty of 0.
                let enter = -length * c[x] - 0.0;
                paid[x] = if free { enter } else { paid[x] };
                value[x] = if free { v[x] } else { value[x] };
            }
        },
    );
}

/// Q of an action in every cell of a row.
fn act(
    process: &GridProcess,
    [ahead, right, left]: [&Step; 3],
    (length, now, cost): (f64, &[f64], &[f64]),
    q: &mut [f64],
) {
    let spec = process.spec;
    let (intended, side, stay) = (1.0 - spec.slip - spec.stay, 0.5 * spec.slip, spec.stay);
    let discount = spec.discount;
    let mut reward = vec![0.0; q.len()];
    q.fill(0.0);
    // A part of probability 0 must not be looked at: its value may be −∞.
    for (weight, part) in [(intended, ahead), (side, right), (side, left)] {
        if weight > 0.0 {
            add(&mut reward, weight, &part.paid);
            add(q, weight, &part.value);
        }
    }
    if stay > 0.0 {
        for (reward, cost) in reward.iter_mut().zip(cost) {
            *reward += stay * (-length * cost - 0.0);
        }
        add(q, stay, now);
    }
    for (q, reward) in q.iter_mut().zip(&reward) {
        *q = reward + discount * *q;
    }
}

fn add(to: &mut [f64], weight: f64, x: &[f64]) {
    vectorized(
        #[inline(always)]
        || {
            let n = to.len();
            let x = &x[..n];
            for i in 0..n {
                to[i] += weight * x[i];
            }
        },
    );
}
