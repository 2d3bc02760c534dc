//! The gradient where each row has a mean and a variance of its own, and each of its numbers a weight.

use pullback_core_graph::tensor::Real;
use pullback_core_graph::{Unwritten, Written, in_rows, spread, sums_of, vectorized};

use super::{Normalization, NormalizationGradient};

/// From this many numbers in a row on, sums over the rows are made by columns: the parts of tasks of a few rows would take as much memory as x.
const LONG: usize = 1 << 12;

/// [`gradient`] where rows are long, in two passes.
fn gradient_of_long_rows<T: Real>(
    sizes: &Normalization,
    x: &[T],
    weight: &[T],
    dy: &[T],
    mean: &[T],
    variance: &[T],
) -> NormalizationGradient<T> {
    /// Columns of a task.
    const COLUMNS: usize = 1 << 10;
    /// Rows whose sums are made before they are added to those before.
    const ROWS: usize = 64;
    let pixels = sizes.pixels;
    let (dx, _) = in_rows(
        sizes.planes,
        pixels,
        || (),
        #[inline(always)]
        |(), row, dx| {
            let (x, dy) = (&x[row * pixels..][..pixels], &dy[row * pixels..][..pixels]);
            let line = Line { x, dy, weight, mean: mean[row], scale: sizes.scale(variance[row]) };
            line.gradient(
                sizes,
                dx,
                #[inline(always)]
                |_, _, _| {},
            )
        },
    );
    let columns: Vec<usize> = (0..pixels).step_by(COLUMNS).collect();
    let parts = spread(columns, |_, from| {
        let columns = from..(from + COLUMNS).min(pixels);
        let zeros = || vec![T::default(); columns.len()];
        let mut sums = [zeros(), zeros()];
        let rows: Vec<usize> = (0..sizes.planes).collect();
        for rows in rows.chunks(ROWS) {
            let mut part = [zeros(), zeros()];
            vectorized(
                #[inline(always)]
                || {
                    let [dweight, dbias] = &mut part;
                    for &row in rows {
                        let (x, dy) = (&x[row * pixels..][..pixels], &dy[row * pixels..][..pixels]);
                        let (x, dy) = (&x[columns.clone()], &dy[columns.clone()]);
                        let (mean, scale) = (mean[row], sizes.scale(variance[row]));
                        let pairs = dweight.iter_mut().zip(dbias.iter_mut());
                        for ((w, b), (&x, &dy)) in pairs.zip(x.iter().zip(dy)) {
                            *w += dy * ((x - mean) * scale);
                            *b += dy;
                        }
                    }
                },
            );
            for (sum, part) in sums.iter_mut().zip(part) {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        sums
    });
    let (dweight, dbias): (Vec<_>, Vec<_>) = parts.into_iter().map(|[w, b]| (w, b)).unzip();
    NormalizationGradient { dx, dweight: dweight.concat(), dbias: dbias.concat() }
}

/// A row's gradient with respect to x.
struct Line<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    weight: &'a [T],
    mean: T,
    scale: T,
}

impl<T: Real> Line<'_, T> {
    /// Fills `dx`; `also` gets each index with dy and the standardized number.
    #[inline(always)]
    fn gradient<'x>(
        self,
        sizes: &Normalization,
        dx: &mut Unwritten<'x, T>,
        mut also: impl FnMut(usize, T, T),
    ) -> (Written<'x>, bool) {
        let n = dx.len();
        let Self { mean, scale, .. } = self;
        let (x, dy, w) = (&self.x[..n], &self.dy[..n], &self.weight[..n]);
        let inverse = T::lit(1.0) / sizes.count::<T>();
        let [sum, product] = sums_of(
            [dy, w, x],
            #[inline(always)]
            |[dy, w, x]| [dy * w, dy * w * ((x - mean) * scale)],
        );
        let (first, second) = (sum * inverse, product * inverse);
        let first = if sizes.centred { first } else { T::default() };
        dx.seen(
            #[inline(always)]
            |i| {
                let standard = (x[i] - mean) * scale;
                also(i, dy[i], standard);
                scale * (dy[i] * w[i] - first - standard * second)
            },
        )
    }
}

pub(super) fn gradient<T: Real>(
    sizes: &Normalization,
    x: &[T],
    weight: Option<&[T]>,
    dy: &[T],
    mean: &[T],
    variance: &[T],
) -> NormalizationGradient<T> {
    let pixels = sizes.pixels;
    let ones;
    let weight = match weight {
        Some(weight) => weight,
        None => {
            ones = vec![T::lit(1.0); pixels];
            &ones
        }
    };
    if LONG <= pixels {
        return gradient_of_long_rows(sizes, x, weight, dy, mean, variance);
    }
    let zeros = || vec![T::default(); pixels];
    let (dx, parts) = in_rows(
        sizes.planes,
        pixels,
        || (zeros(), zeros()),
        #[inline(always)]
        |(dweight, dbias), row, dx| {
            let n = dx.len();
            let (x, dy) = (&x[row * pixels..][..n], &dy[row * pixels..][..n]);
            let line = Line { x, dy, weight, mean: mean[row], scale: sizes.scale(variance[row]) };
            let (dweight, dbias) = (&mut dweight[..n], &mut dbias[..n]);
            line.gradient(
                sizes,
                dx,
                #[inline(always)]
                |i, dy, standard| {
                    dweight[i] += dy * standard;
                    dbias[i] += dy;
                },
            )
        },
    );
    let (mut dweight, mut dbias) = (zeros(), zeros());
    for (w, b) in parts {
        dweight.iter_mut().zip(w).for_each(|(sum, w)| *sum += w);
        dbias.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    }
    NormalizationGradient { dx, dweight, dbias }
}
