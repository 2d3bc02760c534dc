//! Reductions over any set of axes, in a fixed order for any number of threads.

use smallvec::SmallVec;

use crate::spread;
use crate::tensor::Real;

/// A shape cut into alternating groups of kept and reduced axes.
pub(crate) struct Groups(SmallVec<[(usize, bool); 6]>);

impl Groups {
    /// `reduced[i]` says whether axis i goes.
    pub(crate) fn new(dims: &[usize], reduced: &[bool]) -> Self {
        let mut groups: SmallVec<[(usize, bool); 6]> = SmallVec::new();
        for (&n, &r) in dims.iter().zip(reduced) {
            match groups.last_mut() {
                Some((m, s)) if *s == r => *m *= n,
                _ => groups.push((n, r)),
            }
        }
        Groups(groups)
    }

    /// Reduces group after group, innermost first: each step is (outer, reduced, inner) → (outer, inner).
    fn steps(&self) -> Vec<(usize, usize, usize)> {
        let mut groups = self.0.clone();
        let mut steps = Vec::new();
        while let Some(i) = groups.iter().rposition(|(_, r)| *r) {
            let product = |g: &[(usize, bool)]| g.iter().map(|(n, _)| n).product::<usize>();
            steps.push((product(&groups[..i]), groups[i].0, product(&groups[i + 1..])));
            groups.remove(i);
        }
        steps
    }
}

/// Sums over the reduced groups. The sum of nothing is 0.
pub(crate) fn sum_axes<T: Real>(x: &[T], groups: &Groups) -> Vec<T> {
    let mut have: Option<Vec<T>> = None;
    for (outer, r, inner) in groups.steps() {
        have = Some(sum_step(have.as_deref().unwrap_or(x), outer, r, inner));
    }
    have.unwrap_or_else(|| x.to_vec())
}

/// Blocks of this many terms are added straight on; their sums meet in index order.
const BLOCK: usize = 512;
/// Terms that are worth a task.
const TASK: usize = 1 << 14;

fn sum_step<T: Real>(x: &[T], outer: usize, r: usize, inner: usize) -> Vec<T> {
    let mut out = vec![T::default(); outer * inner];
    if out.is_empty() || r == 0 {
        return out;
    }
    let one = |o: usize, out: &mut [T]| {
        let x = &x[o * r * inner..(o + 1) * r * inner];
        if inner == 1 {
            out[0] = blocks(x);
        } else {
            columns(x, inner, 0, out);
        }
    };
    let work = outer * r * inner;
    if work < 1 << 16 {
        out.chunks_mut(inner).enumerate().for_each(|(o, out)| one(o, out));
    } else if outer == 1 && inner == 1 {
        let parts = spread(x.chunks(BLOCK * 32).collect(), |_, x| blocks(x));
        out[0] = parts.into_iter().sum();
    } else if outer == 1 && 2 * BLOCK <= r {
        let parts = spread(x.chunks(BLOCK * inner).collect(), |_, x| {
            let mut part = vec![T::default(); inner];
            columns(x, inner, 0, &mut part);
            part
        });
        for part in parts {
            out.iter_mut().zip(part).for_each(|(o, p)| *o += p);
        }
    } else if outer == 1 {
        let width = (TASK / r).clamp(64, 1024);
        spread(out.chunks_mut(width).collect(), |c, out| columns(x, inner, c * width, out));
    } else {
        let together = (TASK / (r * inner)).max(1);
        spread(out.chunks_mut(together * inner).collect(), |task, out| {
            out.chunks_mut(inner).enumerate().for_each(|(o, out)| one(task * together + o, out));
        });
    }
    out
}

/// Adds the rows of x (width `inner`), columns from `from` on, to `out`.
fn columns<T: Real>(x: &[T], inner: usize, from: usize, out: &mut [T]) {
    let width = out.len();
    super::vectorized(
        #[inline(always)]
        || {
            let mut part = vec![T::default(); width];
            for block in x.chunks(BLOCK * inner) {
                part.fill(T::default());
                for row in block.chunks_exact(inner) {
                    for (p, &v) in part.iter_mut().zip(&row[from..from + width]) {
                        *p += v;
                    }
                }
                for (o, &p) in out.iter_mut().zip(&part) {
                    *o += p;
                }
            }
        },
    );
}

/// Running sums of one block: several registers, so that an addition need not wait for the one before.
const LANES: usize = 64;

/// The sum of a slice: 64 running sums a block, then blocks in order.
fn blocks<T: Real>(x: &[T]) -> T {
    if x.len() < LANES {
        return x.iter().copied().sum();
    }
    super::vectorized(
        #[inline(always)]
        || {
            let mut total = T::default();
            for block in x.chunks(BLOCK) {
                let mut lanes = [T::default(); LANES];
                let mut rows = block.chunks_exact(LANES);
                for row in &mut rows {
                    for l in 0..LANES {
                        lanes[l] += row[l];
                    }
                }
                let tail: T = rows.remainder().iter().copied().sum();
                let mut width = LANES / 2;
                while width > 0 {
                    for l in 0..width {
                        let upper = lanes[l + width];
                        lanes[l] += upper;
                    }
                    width /= 2;
                }
                total += lanes[0] + tail;
            }
            total
        },
    )
}

/// Folds the reduced groups with an associative, order-independent `f` (max, min). `None` where nothing is reduced over.
pub(crate) fn fold_axes<T: Real>(
    x: &[T],
    groups: &Groups,
    f: impl Fn(T, T) -> T + Copy + Sync,
) -> Option<Vec<T>> {
    let mut have: Option<Vec<T>> = None;
    for (outer, r, inner) in groups.steps() {
        if r == 0 {
            return None;
        }
        let x = have.as_deref().unwrap_or(x);
        let fold = |o: usize| {
            let x = &x[o * r * inner..(o + 1) * r * inner];
            let mut out = x[..inner].to_vec();
            for row in x[inner..].chunks(inner.max(1)) {
                out.iter_mut().zip(row).for_each(|(o, &v)| *o = f(*o, v));
            }
            out
        };
        have = Some((0..outer).flat_map(fold).collect());
    }
    Some(have.unwrap_or_else(|| x.to_vec()))
}
