//! A Jacobi sweep over a grid without noise: eight shifted rows and a maximum, in vector registers.

use rayon::prelude::*;

use super::connectivity::{MOVES, Walls};
use super::process::GridProcess;
use crate::lanes::vectorized;

/// Cells that a thread takes at a time.
const STRIP: usize = 1 << 14;

/// Rows of γ·V − length·cost for both lengths, with a cell of −∞ on either side.
struct Rows {
    straight: Vec<f64>,
    diagonal: Vec<f64>,
    width: usize,
}

/// V′ = max over the moves. The same bits as the general sweep.
pub(super) fn certain(
    process: &GridProcess,
    values: &[f64],
    held: &[bool],
    out: &mut [f64],
    tape: Option<&mut [u8]>,
) {
    strips(process, out, tape, |first, out, tape| rows(process, values, held, first, out, tape));
}

/// Calls `work(first row, rows of out, rows of the tape)` for strips of the map, on several threads where there is enough to do.
pub(super) fn strips(
    process: &GridProcess,
    out: &mut [f64],
    tape: Option<&mut [u8]>,
    work: impl Fn(usize, &mut [f64], Option<&mut [u8]>) + Sync,
) {
    let width = process.map().width();
    let strip = (STRIP / width).max(1);
    if out.len() <= STRIP {
        // To wake a thread would take longer.
        return work(0, out, tape);
    }
    match tape {
        None => out
            .par_chunks_mut(strip * width)
            .enumerate()
            .for_each(|(i, out)| work(i * strip, out, None)),
        Some(tape) => out
            .par_chunks_mut(strip * width)
            .zip(tape.par_chunks_mut(strip * width))
            .enumerate()
            .for_each(|(i, (out, tape))| work(i * strip, out, Some(tape))),
    }
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
    let (width, count) = (map.width(), out.len() / map.width());
    let mut padded = Rows::new(count + 2, width);
    for r in 0..count + 2 {
        let y = (first + r).checked_sub(1).filter(|&y| y < map.height());
        let Some(y) = y else { continue };
        let cells = y * width..(y + 1) * width;
        let lengths = [spec.connectivity.length(0), spec.connectivity.length(1)];
        padded.fill(r, &values[cells.clone()], &map.cost()[cells], spec.discount, lengths);
    }
    let stride = spec.connectivity.stride();
    let actions = spec.connectivity.actions();
    let mut best = vec![0.0; width];
    let mut which = vec![0.0; width];
    let mut bumps = [vec![0.0; width], vec![0.0; width]];
    for r in 0..count {
        let cells = (first + r) * width..(first + r + 1) * width;
        let (now, blocked) = (&values[cells.clone()], &process.blocked[cells.clone()]);
        let cost = &map.cost()[cells.clone()];
        for (k, bumps) in bumps.iter_mut().enumerate() {
            let length = spec.connectivity.length(k);
            match spec.walls {
                Walls::Unavailable => bumps.fill(f64::NEG_INFINITY),
                Walls::Stay => bump(bumps, now, cost, spec.discount, length, 0.0),
                Walls::Penalty(p) => bump(bumps, now, cost, spec.discount, length, p),
            }
        }
        best.fill(f64::NEG_INFINITY);
        which.fill(0.0);
        for action in 0..actions {
            let d = stride * action;
            let source = if d % 2 == 0 { &padded.straight } else { &padded.diagonal };
            let from = (r + 1).wrapping_add_signed(MOVES[d].dy) * padded.width;
            let from = from + 1usize.wrapping_add_signed(MOVES[d].dx);
            let source = &source[from..from + width];
            let marked = tape.is_some();
            let arm = (source, &bumps[d % 2][..], blocked, d as u32);
            raise(&mut best, if marked { Some((&mut which, action as f64)) } else { None }, arm);
        }
        let row = r * width..(r + 1) * width;
        for (x, out) in out[row.clone()].iter_mut().enumerate() {
            *out = if held[cells.start + x] { now[x] } else { best[x] };
        }
        if let Some(tape) = &mut tape {
            for (x, tape) in tape[row].iter_mut().enumerate() {
                if !held[cells.start + x] {
                    *tape = which[x] as u8;
                }
            }
        }
    }
}

/// best = max(best, candidate), and which action that was.
fn raise(
    best: &mut [f64],
    which: Option<(&mut Vec<f64>, f64)>,
    (source, bumps, blocked, d): (&[f64], &[f64], &[u8], u32),
) {
    let n = best.len();
    let (source, bumps, blocked) = (&source[..n], &bumps[..n], &blocked[..n]);
    match which {
        None => vectorized(
            #[inline(always)]
            || {
                for x in 0..n {
                    let shut = blocked[x] >> d & 1 == 1;
                    let candidate = if shut { bumps[x] } else { source[x] };
                    best[x] = if candidate > best[x] { candidate } else { best[x] };
                }
            },
        ),
        Some((which, action)) => {
            let which = &mut which[..n];
            vectorized(
                #[inline(always)]
                || {
                    for x in 0..n {
                        let shut = blocked[x] >> d & 1 == 1;
                        let candidate = if shut { bumps[x] } else { source[x] };
                        let better = candidate > best[x];
                        best[x] = if better { candidate } else { best[x] };
                        which[x] = if better { action } else { which[x] };
                    }
                },
            );
        }
    }
}

/// −length·cost − penalty + γ·V of the own cell.
fn bump(out: &mut [f64], now: &[f64], cost: &[f64], discount: f64, length: f64, penalty: f64) {
    for x in 0..out.len() {
        out[x] = (-length * cost[x] - penalty) + discount * now[x];
    }
}

impl Rows {
    fn new(count: usize, width: usize) -> Self {
        let empty = vec![f64::NEG_INFINITY; count * (width + 2)];
        Self { straight: empty.clone(), diagonal: empty, width: width + 2 }
    }

    fn fill(&mut self, r: usize, values: &[f64], cost: &[f64], discount: f64, lengths: [f64; 2]) {
        let inner = r * self.width + 1..(r + 1) * self.width - 1;
        let targets = [&mut self.straight[inner.clone()], &mut self.diagonal[inner]];
        for (target, length) in targets.into_iter().zip(lengths) {
            vectorized(
                #[inline(always)]
                || {
                    for x in 0..target.len() {
                        target[x] = -length * cost[x] + discount * values[x];
                    }
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Connectivity, Corners, GridMap, GridSpec};
    use crate::process::{Backup, Process, sweep_by_rows};

    #[test]
    fn the_fast_sweep_has_the_bits_of_the_general_one() -> crate::Result<()> {
        let kinds = [
            Connectivity::Four,
            Connectivity::octile(Corners::Keep),
            Connectivity::moore(Corners::Cut),
        ];
        let walls = [Walls::Stay, Walls::Penalty(0.3), Walls::Unavailable];
        let solid = |i: usize| (i * 2654435761) % 97 < 30 && i != 5;
        let map = GridMap::new(37, 23, (0..37 * 23).map(solid).collect())?
            .with_cost((0..37 * 23).map(|i| 1.0 + (i % 7) as f64 * 0.1).collect())?;
        for connectivity in kinds {
            for walls in walls {
                for (slip, stay) in [(0.0, 0.0), (0.2, 0.0), (0.0, 0.1), (0.3, 0.2)] {
                    let spec = GridSpec { connectivity, walls, slip, stay, discount: 0.9 };
                    let process = GridProcess::new(map.clone(), spec, &[(5, 2.0)])?;
                    let n = process.states();
                    let held: Vec<bool> = (0..n).map(|s| s == 5 || map.solid()[s]).collect();
                    let start =
                        |s: usize| if map.solid()[s] { f64::NEG_INFINITY } else { 0.1 * s as f64 };
                    let mut values: Vec<f64> = (0..n).map(start).collect();
                    for _ in 0..3 {
                        let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
                        let (mut ta, mut tb) = (vec![0; n], vec![0; n]);
                        process.sweep(&values, &held, Backup::Hard, &mut a, Some(&mut ta));
                        sweep_by_rows(
                            &process,
                            &values,
                            &held,
                            Backup::Hard,
                            &mut b,
                            Some(&mut tb),
                        );
                        assert_eq!(a, b);
                        assert_eq!(ta, tb);
                        let mut c = vec![0.0; n];
                        process.sweep(&values, &held, Backup::Hard, &mut c, None);
                        assert_eq!(a, c);
                        values = a;
                    }
                }
            }
        }
        Ok(())
    }
}
