//! softmax(scale·Q·Kᵀ)·V by heads, some queries at a time, so that their scores stay in a fast cache; and its gradient, which computes
//! the weights again from the logarithms of their sums (Dao et al. 2022, algorithms 1 and 4, with blocks of queries only).

use std::sync::Arc;

use pullback_core_graph::linalg::View;
use pullback_core_graph::tensor::Real;
use pullback_core_graph::{Elementary, sum_of, vectorized};

use super::matrix::{self, Element, dense, transposed};
use super::parallel::{for_each_target, spread_products};

/// Sizes of an attention.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    /// Samples.
    pub(crate) batch: usize,
    /// Queries of a sample.
    pub(crate) targets: usize,
    /// Keys of a sample.
    pub(crate) sources: usize,
    /// Heads.
    pub(crate) heads: usize,
    /// Features of a head.
    pub(crate) width: usize,
    /// Query t sees the keys up to t only.
    pub(crate) causal: bool,
    /// What is seen beside that; all without it.
    pub(crate) seen: Option<Seen>,
}

/// Which keys a query sees: a mark that is not 0.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The marks.
    pub(crate) marks: Arc<[u8]>,
    /// Distance to the next sample, head, query and key.
    pub(crate) strides: [usize; 4],
}

/// Queries, keys or values: feature j of head h of place t of sample b is at `start + (b·places + t)·row + h·width + j`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a, T> {
    /// All numbers.
    pub(crate) data: &'a [T],
    /// Where the first is.
    pub(crate) start: usize,
    /// Distance to the next place.
    pub(crate) row: usize,
}

impl<'a, T> Places<'a, T> {
    fn view(
        &self,
        sizes: &Attention,
        places: usize,
        (b, h): (usize, usize),
        from: usize,
    ) -> View<'a, T> {
        let first = self.start + (b * places + from) * self.row + h * sizes.width;
        View { data: &self.data[first..], row: self.row, column: 1 }
    }
}

/// C = A·B on this thread.
fn product<T: Element>(
    size: (usize, usize, usize),
    a: View<'_, T>,
    b: View<'_, T>,
    c: &mut [T],
) -> crate::Result<()> {
    matrix::product("attention", size, a, b, c, false)
}

impl Attention {
    fn scale<T: Real>(&self) -> T {
        T::lit((self.width as f64).sqrt().recip())
    }

    /// Queries of a block: about 2¹⁶ scores.
    fn block(&self) -> usize {
        ((1 << 16) / self.sources.max(1)).clamp(16, 256)
    }

    /// Does query t see key s?
    #[inline(always)]
    fn sees(&self, (b, h): (usize, usize), t: usize, s: usize) -> bool {
        (!self.causal || s <= t)
            && self.seen.as_ref().is_none_or(|seen| {
                let [sb, sh, st, ss] = seen.strides;
                seen.marks[b * sb + h * sh + t * st + s * ss] != 0
            })
    }

    /// Of the two products of the forward pass.
    fn multiplications(&self) -> usize {
        let sizes = [self.batch, self.heads, self.targets, self.sources, self.width];
        sizes.into_iter().fold(2, usize::saturating_mul)
    }

    /// Puts −∞, whose exponential is 0, where a key is not seen; whether any is.
    fn hide<T: Real>(&self, head: (usize, usize), t: usize, scores: &mut [T]) -> bool {
        if !self.causal && self.seen.is_none() {
            return true;
        }
        let (hidden, mut any) = (T::lit(f64::NEG_INFINITY), false);
        for (s, score) in scores.iter_mut().enumerate() {
            if self.sees(head, t, s) {
                any = true;
            } else {
                *score = hidden;
            }
        }
        any
    }
}

/// The results (batch, targets, heads·width), and ln Σ e^(scale·score) for each (sample, query, head).
pub(crate) fn attend<T: Element>(
    sizes: &Attention,
    [q, k, v]: [Places<'_, T>; 3],
) -> crate::Result<(Vec<T>, Vec<T>)> {
    let Attention { batch, targets, sources, heads, width, .. } = *sizes;
    let (block, features) = (sizes.block(), heads * width);
    let blocks = targets.div_ceil(block);
    let run = |task: usize| -> crate::Result<(Vec<T>, Vec<T>)> {
        let (b, from) = (task / blocks, task % blocks * block);
        let rows = block.min(targets - from);
        let mut out = vec![T::default(); rows * features];
        let mut logs = vec![T::default(); rows * heads];
        let mut weights = vec![T::default(); rows * sources];
        let mut part = vec![T::default(); rows * width];
        for h in 0..heads {
            let queries = q.view(sizes, targets, (b, h), from);
            let keys = transposed(k.view(sizes, sources, (b, h), 0));
            product((rows, sources, width), queries, keys, &mut weights)?;
            for (i, row) in weights.chunks_exact_mut(sources).enumerate() {
                if sizes.hide((b, h), from + i, row) {
                    logs[i * heads + h] = normalize(row, sizes.scale());
                } else {
                    row.fill(T::default());
                }
            }
            let values = v.view(sizes, sources, (b, h), 0);
            product((rows, width, sources), dense(&weights, sources), values, &mut part)?;
            for (out, part) in out.chunks_exact_mut(features).zip(part.chunks_exact(width)) {
                out[h * width..(h + 1) * width].copy_from_slice(part);
            }
        }
        Ok((out, logs))
    };
    let work = sizes.multiplications();
    let parts = spread_products(work, (0..batch * blocks).collect(), |_, block| run(block));
    let parts = parts.into_iter().collect::<crate::Result<Vec<_>>>()?;
    let mut out = Vec::with_capacity(batch * targets * features);
    let mut logs = Vec::with_capacity(batch * targets * heads);
    for (o, l) in parts {
        out.extend_from_slice(&o);
        logs.extend_from_slice(&l);
    }
    Ok((out, logs))
}

/// Scores, of which one is seen, ↦ weights e^(scale·s)/Σ; the logarithm of the sum. No number where a product has overflowed.
fn normalize<T: Element>(scores: &mut [T], scale: T) -> T {
    vectorized(
        #[inline(always)]
        || {
            let mut top = T::lit(f64::NEG_INFINITY);
            for &s in scores.iter() {
                top = if s > top { s } else { top };
            }
            for s in scores.iter_mut() {
                *s = Elementary::exp(scale * (*s - top));
            }
            let sum = sum_of(
                [&*scores],
                #[inline(always)]
                |[s]| s,
            );
            let inverse = T::lit(1.0) / sum;
            scores.iter_mut().for_each(|s| *s *= inverse);
            scale * top + Elementary::ln(sum)
        },
    )
}

/// The gradients of ⟨result, dy⟩ with respect to q, k and v, each (batch, places, heads·width); or one array
/// (batch, places, 3·heads·width) with the three side by side, if `joint`.
pub(crate) fn attend_gradient<T: Element>(
    sizes: &Attention,
    [q, k, v]: [Places<'_, T>; 3],
    (y, logs, dy): (&[T], &[T], &[T]),
    joint: bool,
) -> crate::Result<Vec<Vec<T>>> {
    let Attention { batch, targets, sources, heads, width, .. } = *sizes;
    let (block, features, scale) = (sizes.block(), heads * width, sizes.scale::<T>());
    let (y, dy) =
        (Places { data: y, start: 0, row: features }, Places { data: dy, start: 0, row: features });
    let zeros = |n: usize| vec![T::default(); n];
    let run = |task: usize| -> crate::Result<[Vec<T>; 3]> {
        let head = (task / heads, task % heads);
        let (mut dq, mut dk, mut dv) =
            (zeros(targets * width), zeros(sources * width), zeros(sources * width));
        let most = block.min(targets);
        let (mut weights, mut slopes) = (zeros(most * sources), zeros(most * sources));
        let mut part = zeros(sources * width);
        let keys = k.view(sizes, sources, head, 0);
        let values = v.view(sizes, sources, head, 0);
        for from in (0..targets).step_by(block) {
            let rows = block.min(targets - from);
            let (weights, slopes) = (&mut weights[..rows * sources], &mut slopes[..rows * sources]);
            let queries = q.view(sizes, targets, head, from);
            let results = y.view(sizes, targets, head, from);
            let cotangents = dy.view(sizes, targets, head, from);
            product((rows, sources, width), queries, transposed(keys), weights)?;
            product((rows, sources, width), cotangents, transposed(values), slopes)?;
            let pairs = weights.chunks_exact_mut(sources).zip(slopes.chunks_exact_mut(sources));
            for (i, (weights, slopes)) in pairs.enumerate() {
                let _ = sizes.hide(head, from + i, weights);
                let log = logs[(head.0 * targets + from + i) * heads + head.1];
                let row = i * features..i * features + width;
                let (y, dy) = (&results.data[row.clone()], &cotangents.data[row]);
                let along = y.iter().zip(dy).fold(T::default(), |sum, (&a, &b)| sum + a * b);
                weigh(weights, slopes, scale, log, along);
            }
            // dV += Wᵀ·dY, dK += Sᵀ·Q, dQ = S·K.
            let cut = |data| transposed(dense(data, sources));
            product((sources, width, rows), cut(&*weights), cotangents, &mut part)?;
            dv.iter_mut().zip(&part).for_each(|(sum, &p)| *sum += p);
            product((sources, width, rows), cut(&*slopes), queries, &mut part)?;
            dk.iter_mut().zip(&part).for_each(|(sum, &p)| *sum += p);
            let dq = &mut dq[from * width..(from + rows) * width];
            product((rows, width, sources), dense(slopes, sources), keys, dq)?;
        }
        Ok([dq, dk, dv])
    };
    let work = sizes.multiplications().saturating_mul(2);
    let parts = spread_products(work, (0..batch * heads).collect(), |_, head| run(head));
    let parts = parts.into_iter().collect::<crate::Result<Vec<[Vec<T>; 3]>>>()?;
    let joined = |which: &[usize], places: usize| {
        let wide = which.len() * features;
        let n = batch * places * wide;
        let mut out = zeros(n);
        for_each_target(out.chunks_exact_mut(wide), n, |at, row| {
            let (b, t) = (at / places, at % places);
            for (which, row) in which.iter().zip(row.chunks_exact_mut(features)) {
                for (h, target) in row.chunks_exact_mut(width).enumerate() {
                    let part = &parts[b * heads + h][*which];
                    target.copy_from_slice(&part[t * width..(t + 1) * width]);
                }
            }
        });
        out
    };
    Ok(match joint {
        true => vec![joined(&[0, 1, 2], targets)],
        false => vec![joined(&[0], targets), joined(&[1], sources), joined(&[2], sources)],
    })
}

/// Scores ↦ weights, and dY·Vᵀ ↦ the scores' gradient scale·w∘(dw − ⟨y, dy⟩).
fn weigh<T: Element>(weights: &mut [T], slopes: &mut [T], scale: T, log: T, along: T) {
    vectorized(
        #[inline(always)]
        || {
            for (w, slope) in weights.iter_mut().zip(slopes.iter_mut()) {
                let weight = Elementary::exp(scale * *w - log);
                *slope = scale * weight * (*slope - along);
                *w = weight;
            }
        },
    );
}
