//! Gated recurrent units and long short-term memories over a whole sequence, and backward through time.
//!
//! Samples of a batch do not meet, so some go through all of time together on one thread: each step is one product with the state's
//! weights and one pass over the gates. The weights' gradient is one product at the end.

use pullback_core_graph::linalg::View;
use pullback_core_graph::{Elementary, vectorized};

use super::matrix::{self, Element, dense, transposed};
use super::parallel::spread_products;

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// r, z, n: h' = n + z∘(h − n) with n = tanh(xₙ + r∘hₙ). One state.
    Gru,
    /// i, f, g, o: c' = σ(f)∘c + σ(i)∘tanh g, h' = σ(o)∘tanh c'. Two states, h and c.
    Lstm,
}

/// Sizes of a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequence {
    /// The cell.
    pub(crate) cell: Cell,
    /// Samples.
    pub(crate) batch: usize,
    /// Steps.
    pub(crate) time: usize,
    /// Numbers of a state.
    pub(crate) hidden: usize,
}

/// What goes in: `input` (batch, time, gates·hidden) is the input's part of the gates, `weight` (gates·hidden, hidden) and `bias`
/// (gates·hidden) give the state's part, `start` has the states (batch, hidden) before the first step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a, T> {
    /// The input's part.
    pub(crate) input: &'a [T],
    /// The state's weights.
    pub(crate) weight: &'a [T],
    /// The state's bias.
    pub(crate) bias: &'a [T],
    /// One state for each that the cell has.
    pub(crate) start: [&'a [T]; 2],
}

/// What comes out of a pass: all (batch, time, …).
#[derive(Debug, Clone)]
pub(crate) struct States<T> {
    /// h after each step.
    pub(crate) hidden: Vec<T>,
    /// c after each step; empty for a cell without.
    pub(crate) cell: Vec<T>,
    /// The gates' values, [`Sequence::saved`] numbers for each step.
    pub(crate) gates: Vec<T>,
}

/// The gradients, shaped as the [`Inputs`].
#[derive(Debug, Clone)]
pub(crate) struct Gradients<T> {
    /// Of the input's part.
    pub(crate) input: Vec<T>,
    /// Of the state's weights.
    pub(crate) weight: Vec<T>,
    /// Of the state's bias.
    pub(crate) bias: Vec<T>,
    /// Of the first states; the second empty for a cell without.
    pub(crate) start: [Vec<T>; 2],
}

/// Samples that go through time together.
const TOGETHER: usize = 16;

impl Sequence {
    /// Numbers of all gates of a sample.
    #[must_use]
    pub(crate) const fn gates(&self) -> usize {
        match self.cell {
            Cell::Gru => 3 * self.hidden,
            Cell::Lstm => 4 * self.hidden,
        }
    }

    /// Numbers kept of a sample's step: r, z, n, hₙ; or i, f, g, o.
    #[must_use]
    pub(crate) const fn saved(&self) -> usize {
        4 * self.hidden
    }

    const fn memory(&self) -> usize {
        match self.cell {
            Cell::Gru => 0,
            Cell::Lstm => self.hidden,
        }
    }
}

fn product<T: Element>(
    size: (usize, usize, usize),
    a: View<'_, T>,
    b: View<'_, T>,
    c: &mut [T],
    threads: bool,
) -> crate::Result<()> {
    matrix::product("recurrent", size, a, b, c, threads)
}

/// All steps forward. Slices have the lengths that the sizes say; no size is 0.
pub(crate) fn forward<T: Element>(sizes: &Sequence, x: Inputs<'_, T>) -> crate::Result<States<T>> {
    let Sequence { batch, time, hidden, cell } = *sizes;
    let (gates, saved, memory) = (sizes.gates(), sizes.saved(), sizes.memory());
    let zeros = |n: usize| vec![T::default(); n];
    let mut out = States {
        hidden: zeros(batch * time * hidden),
        cell: zeros(batch * time * memory),
        gates: zeros(batch * time * saved),
    };
    let weight = transposed(dense(x.weight, hidden));
    let groups = batch.div_ceil(TOGETHER);
    let cells: Vec<&mut [T]> = match cell {
        Cell::Gru => (0..groups).map(|_| &mut [][..]).collect(),
        Cell::Lstm => out.cell.chunks_mut(TOGETHER * time * hidden).collect(),
    };
    let states = out.hidden.chunks_mut(TOGETHER * time * hidden);
    let tasks = states.zip(cells).zip(out.gates.chunks_mut(TOGETHER * time * saved)).collect();
    let work = batch * time * gates * hidden;
    let done =
        spread_products(work, tasks, |group, ((states, cells), kept)| -> crate::Result<()> {
            let first = group * TOGETHER;
            let rows = states.len() / (time * hidden);
            let mut h = x.start[0][first * hidden..][..rows * hidden].to_vec();
            let mut c = x.start[1][..]
                .get(first * hidden..)
                .map_or(&[][..], |c| &c[..rows * memory])
                .to_vec();
            let mut part = zeros(rows * gates);
            for t in 0..time {
                product((rows, gates, hidden), dense(&h, hidden), weight, &mut part, false)?;
                for i in 0..rows {
                    let at = i * time + t;
                    let input = &x.input[((first + i) * time + t) * gates..][..gates];
                    let kept = &mut kept[at * saved..(at + 1) * saved];
                    let (h, part) =
                        (&mut h[i * hidden..(i + 1) * hidden], &part[i * gates..][..gates]);
                    match cell {
                        Cell::Gru => gru(input, part, x.bias, h, kept),
                        Cell::Lstm => {
                            let c = &mut c[i * hidden..(i + 1) * hidden];
                            lstm(input, part, x.bias, h, c, kept);
                            cells[at * hidden..(at + 1) * hidden].copy_from_slice(c);
                        }
                    }
                    states[at * hidden..(at + 1) * hidden].copy_from_slice(h);
                }
            }
            Ok(())
        });
    done.into_iter().collect::<crate::Result<()>>()?;
    Ok(out)
}

/// The parts of a row of gates.
fn split<T>(row: &[T], n: usize) -> [&[T]; 4] {
    let last = if row.len() > 3 * n { &row[3 * n..4 * n] } else { &[] };
    [&row[..n], &row[n..2 * n], &row[2 * n..3 * n], last]
}

fn split_mut<T>(row: &mut [T], n: usize) -> [&mut [T]; 4] {
    let (a, rest) = row.split_at_mut(n);
    let (b, rest) = rest.split_at_mut(n);
    let (c, d) = rest.split_at_mut(n);
    [a, b, c, d]
}

fn gru<T: Element>(input: &[T], part: &[T], bias: &[T], h: &mut [T], kept: &mut [T]) {
    let n = h.len();
    let ([xr, xz, xn, _], [hr, hz, hn, _], [br, bz, bn, _]) =
        (split(input, n), split(part, n), split(bias, n));
    let [r, z, new, of_state] = split_mut(kept, n);
    vectorized(
        #[inline(always)]
        || {
            let h = &mut h[..n];
            for i in 0..n {
                r[i] = Elementary::sigmoid(xr[i] + (hr[i] + br[i]));
                z[i] = Elementary::sigmoid(xz[i] + (hz[i] + bz[i]));
                of_state[i] = hn[i] + bn[i];
                new[i] = Elementary::tanh(xn[i] + r[i] * of_state[i]);
                h[i] = new[i] + z[i] * (h[i] - new[i]);
            }
        },
    );
}

fn lstm<T: Element>(input: &[T], part: &[T], bias: &[T], h: &mut [T], c: &mut [T], kept: &mut [T]) {
    let n = h.len();
    let (x, p, b) = (split(input, n), split(part, n), split(bias, n));
    let [enter, forget, new, out] = split_mut(kept, n);
    vectorized(
        #[inline(always)]
        || {
            let (h, c) = (&mut h[..n], &mut c[..n]);
            for i in 0..n {
                let gate = |k: usize| x[k][i] + (p[k][i] + b[k][i]);
                enter[i] = Elementary::sigmoid(gate(0));
                forget[i] = Elementary::sigmoid(gate(1));
                new[i] = Elementary::tanh(gate(2));
                out[i] = Elementary::sigmoid(gate(3));
                c[i] = forget[i] * c[i] + enter[i] * new[i];
                h[i] = out[i] * Elementary::tanh(c[i]);
            }
        },
    );
}

/// Backward through time: the gradients of ⟨hidden, dhidden⟩.
pub(crate) fn backward<T: Element>(
    sizes: &Sequence,
    x: Inputs<'_, T>,
    made: (&[T], &[T], &[T]),
    dhidden: &[T],
) -> crate::Result<Gradients<T>> {
    let Sequence { batch, time, hidden, cell } = *sizes;
    let (gates, saved) = (sizes.gates(), sizes.saved());
    let (states, cells, kept) = made;
    let zeros = |n: usize| vec![T::default(); n];
    let mut input = zeros(batch * time * gates);
    // The gradient of the state's part of the gates: another one than the input's only where r lies between.
    let mut parts = zeros(batch * time * gates);
    let weight = dense(x.weight, hidden);
    let inputs = input.chunks_mut(TOGETHER * time * gates);
    let tasks = inputs.zip(parts.chunks_mut(TOGETHER * time * gates)).collect();
    let work = batch * time * gates * hidden;
    let starts =
        spread_products(work, tasks, |group, (dinput, dparts)| -> crate::Result<[Vec<T>; 2]> {
            let first = group * TOGETHER;
            let rows = dinput.len() / (time * gates);
            let (mut dh, mut carried) = (zeros(rows * hidden), zeros(rows * hidden));
            let mut dc = zeros(rows * sizes.memory());
            let mut step = zeros(rows * gates);
            for t in (0..time).rev() {
                for i in 0..rows {
                    let row = i * hidden..(i + 1) * hidden;
                    let at = (first + i) * time + t;
                    let before = |all: &'_ [T], start: &'_ [T]| -> Vec<T> {
                        match t {
                            0 => start[(first + i) * hidden..][..hidden].to_vec(),
                            _ => all[(at - 1) * hidden..at * hidden].to_vec(),
                        }
                    };
                    let kept = &kept[at * saved..(at + 1) * saved];
                    let dh = &mut dh[row.clone()];
                    for (d, &new) in dh.iter_mut().zip(&dhidden[at * hidden..]) {
                        *d += new;
                    }
                    let local = (i * time + t) * gates..(i * time + t + 1) * gates;
                    let dinput = &mut dinput[local.clone()];
                    match cell {
                        Cell::Gru => {
                            let h = before(states, x.start[0]);
                            gru_gradient(kept, &h, dh, dinput, &mut dparts[local.clone()]);
                        }
                        Cell::Lstm => {
                            let c = before(cells, x.start[1]);
                            let dc = &mut dc[row];
                            let now = &cells[at * hidden..(at + 1) * hidden];
                            lstm_gradient(kept, (&c, now), dh, dc, dinput);
                            dparts[local.clone()].copy_from_slice(dinput);
                        }
                    }
                    step[i * gates..(i + 1) * gates].copy_from_slice(&dparts[local]);
                }
                product((rows, hidden, gates), dense(&step, gates), weight, &mut carried, false)?;
                dh.iter_mut().zip(&carried).for_each(|(d, &more)| *d += more);
            }
            Ok([dh, dc])
        });
    let starts = starts.into_iter().collect::<crate::Result<Vec<_>>>()?;
    let mut previous = zeros(batch * time * hidden);
    for (b, previous) in previous.chunks_exact_mut(time * hidden).enumerate() {
        previous[..hidden].copy_from_slice(&x.start[0][b * hidden..][..hidden]);
        previous[hidden..].copy_from_slice(&states[b * time * hidden..][..(time - 1) * hidden]);
    }
    let mut dweight = zeros(gates * hidden);
    let turned = transposed(dense(&parts, gates));
    product((gates, hidden, batch * time), turned, dense(&previous, hidden), &mut dweight, true)?;
    let mut dbias = zeros(gates);
    for row in parts.chunks_exact(gates) {
        dbias.iter_mut().zip(row).for_each(|(sum, &d)| *sum += d);
    }
    let [dh, dc] = [0, 1].map(|k| starts.iter().flat_map(|s| s[k].iter().copied()).collect());
    Ok(Gradients { input, weight: dweight, bias: dbias, start: [dh, dc] })
}

/// dh of a step ↦ that part of dh before it which does not go through the gates.
fn gru_gradient<T: Element>(kept: &[T], h: &[T], dh: &mut [T], dinput: &mut [T], dpart: &mut [T]) {
    let (n, one) = (h.len(), T::lit(1.0));
    let [r, z, new, of_state] = split(kept, n);
    let ([ir, iz, inew], [pr, pz, pnew]) = (thirds(dinput, n), thirds(dpart, n));
    vectorized(
        #[inline(always)]
        || {
            let (h, dh) = (&h[..n], &mut dh[..n]);
            for i in 0..n {
                let d = dh[i];
                let dnew = d * (one - z[i]) * ((one - new[i]) * (one + new[i]));
                let dz = d * (h[i] - new[i]) * z[i] * (one - z[i]);
                let dr = dnew * of_state[i] * r[i] * (one - r[i]);
                (ir[i], iz[i], inew[i]) = (dr, dz, dnew);
                (pr[i], pz[i], pnew[i]) = (dr, dz, dnew * r[i]);
                dh[i] = d * z[i];
            }
        },
    );
}

fn thirds<T>(row: &mut [T], n: usize) -> [&mut [T]; 3] {
    let (a, rest) = row.split_at_mut(n);
    let (b, c) = rest.split_at_mut(n);
    [a, b, c]
}

/// (dh, dc) of a step ↦ (0, dc before it): all of dh goes through the gates.
fn lstm_gradient<T: Element>(
    kept: &[T],
    (before, now): (&[T], &[T]),
    dh: &mut [T],
    dc: &mut [T],
    dinput: &mut [T],
) {
    let (n, one) = (now.len(), T::lit(1.0));
    let [enter, forget, new, out] = split(kept, n);
    let [di, df, dg, d_out] = split_mut(dinput, n);
    vectorized(
        #[inline(always)]
        || {
            let (before, now, dh, dc) = (&before[..n], &now[..n], &mut dh[..n], &mut dc[..n]);
            for i in 0..n {
                let tanh = Elementary::tanh(now[i]);
                let d = dc[i] + dh[i] * out[i] * ((one - tanh) * (one + tanh));
                di[i] = d * new[i] * enter[i] * (one - enter[i]);
                df[i] = d * before[i] * forget[i] * (one - forget[i]);
                dg[i] = d * enter[i] * ((one - new[i]) * (one + new[i]));
                d_out[i] = dh[i] * tanh * out[i] * (one - out[i]);
                dc[i] = d * forget[i];
                dh[i] = T::default();
            }
        },
    );
}
