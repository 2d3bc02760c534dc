//! Normalization: numbers of a group less their mean, over the root of their variance, times a weight, plus a bias; and its gradient.
//!
//! Arrays are planes of `pixels` numbers. Sums over a plane are taken while it is in a fast cache; those of several planes meet in
//! their order (variances by Chan, Golub and LeVeque 1983), so the bits do not depend on the threads.

mod rows;

use pullback_core_graph::tensor::Real;
use pullback_core_graph::{Seen, Unwritten, Written, in_rows, spread, sum_of, sums_of, vectorized};

/// Which planes share a mean and a variance, and what the weights belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// Each plane is a group; one weight for each pixel, the same in all planes.
    Planes,
    /// Planes are (batch, channels); those of a channel are a group; one weight for each channel.
    Channels(usize),
    /// Planes are (batch, channels); so many successive ones are a group; one weight for each of the `channels`.
    Successive {
        /// Planes of a sample.
        channels: usize,
        /// Planes of a group.
        size: usize,
    },
}

/// Sizes of a normalization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Planes in all.
    pub planes: usize,
    /// Numbers of a plane.
    pub pixels: usize,
    /// The groups.
    pub grouping: Grouping,
    /// Whether the mean is subtracted; without, the variance is the mean square.
    pub centred: bool,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What a normalization gives.
#[derive(Debug, Clone)]
pub(crate) struct Normalized<T> {
    /// As x.
    pub(crate) y: Seen<T>,
    /// Of each group; zeros where it is not subtracted.
    pub(crate) mean: Vec<T>,
    /// Of each group: Σ(x − mean)²/n.
    pub(crate) variance: Vec<T>,
}

/// What its gradient gives.
#[derive(Debug, Clone)]
pub(crate) struct NormalizationGradient<T> {
    /// As x.
    pub(crate) dx: Seen<T>,
    /// One for each weight.
    pub(crate) dweight: Vec<T>,
    /// The same number.
    pub(crate) dbias: Vec<T>,
}

impl Normalization {
    /// Whether the planes are whole samples, and these whole groups.
    pub(crate) const fn is_whole(&self) -> bool {
        match self.grouping {
            Grouping::Planes => true,
            Grouping::Channels(channels) => channels > 0 && self.planes.is_multiple_of(channels),
            Grouping::Successive { channels, size } => {
                size > 0
                    && channels > 0
                    && channels.is_multiple_of(size)
                    && self.planes.is_multiple_of(channels)
            }
        }
    }

    /// How many groups.
    #[must_use]
    pub const fn groups(&self) -> usize {
        match self.grouping {
            Grouping::Planes => self.planes,
            Grouping::Channels(channels) => channels,
            Grouping::Successive { size, .. } => self.planes / size,
        }
    }

    /// How many weights.
    #[must_use]
    pub const fn weights(&self) -> usize {
        match self.grouping {
            Grouping::Planes => self.pixels,
            Grouping::Channels(channels) | Grouping::Successive { channels, .. } => channels,
        }
    }

    const fn group(&self, plane: usize) -> usize {
        match self.grouping {
            Grouping::Planes => plane,
            Grouping::Channels(channels) => plane % channels,
            Grouping::Successive { size, .. } => plane / size,
        }
    }

    /// Numbers of a group.
    fn count<T: Real>(&self) -> T {
        T::lit((self.planes / self.groups() * self.pixels) as f64)
    }

    fn scale<T: Real>(&self, variance: T) -> T {
        T::lit((variance.wide() + self.epsilon).sqrt().recip())
    }

    /// Work for each plane, in order; on several threads where that pays.
    fn each_plane<R: Send + Sync>(&self, work: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        let together = (1 << 15) / self.pixels.max(1) + 1;
        let tasks: Vec<_> = (0..self.planes).step_by(together).collect();
        let parts = spread(tasks, |_, first| -> Vec<R> {
            (first..(first + together).min(self.planes)).map(&work).collect()
        });
        parts.into_iter().flatten().collect()
    }
}

/// Mean and Σ(x − mean)² of a slice, or 0 and Σx².
#[inline(always)]
fn moments<T: Real>(x: &[T], centred: bool) -> (T, T) {
    let mean = match centred {
        true => {
            sum_of(
                [x],
                #[inline(always)]
                |[x]| x,
            ) / T::lit(x.len() as f64)
        }
        false => T::default(),
    };
    let squares = sum_of(
        [x],
        #[inline(always)]
        |[x]| (x - mean) * (x - mean),
    );
    (mean, squares)
}

/// y = (x − mean)·scale·weight + bias of one plane.
#[inline(always)]
fn standard<'x, T: Real>(
    x: &[T],
    [mean, scale]: [T; 2],
    weight: Option<&[T]>,
    bias: Option<&[T]>,
    y: &mut Unwritten<'x, T>,
) -> (Written<'x>, bool) {
    let n = y.len();
    let x = &x[..n];
    match (weight.map(|w| &w[..n]), bias.map(|b| &b[..n])) {
        (Some(w), Some(b)) => y.seen(
            #[inline(always)]
            |i| (x[i] - mean) * scale * w[i] + b[i],
        ),
        (Some(w), None) => y.seen(
            #[inline(always)]
            |i| (x[i] - mean) * scale * w[i],
        ),
        (None, Some(b)) => y.seen(
            #[inline(always)]
            |i| (x[i] - mean) * scale + b[i],
        ),
        (None, None) => y.seen(
            #[inline(always)]
            |i| (x[i] - mean) * scale,
        ),
    }
}

/// y = (x − mean)·scale·weight + bias for each group, with the statistics. Slices have the lengths that the sizes say.
pub(crate) fn normalize<T: Real>(
    sizes: &Normalization,
    x: &[T],
    weight: Option<&[T]>,
    bias: Option<&[T]>,
) -> Normalized<T> {
    let (pixels, n) = (sizes.pixels, sizes.count::<T>());
    if sizes.grouping == Grouping::Planes {
        let (y, statistics) = in_rows(
            sizes.planes,
            pixels,
            Vec::new,
            #[inline(always)]
            |statistics: &mut Vec<(T, T)>, row, y| {
                let x = &x[row * pixels..][..pixels];
                let (mean, squares) = moments(x, sizes.centred);
                statistics.push((mean, squares / n));
                standard(x, [mean, sizes.scale(squares / n)], weight, bias, y)
            },
        );
        let (mean, variance) = statistics.into_iter().flatten().unzip();
        return Normalized { y, mean, variance };
    }
    let of_planes = sizes.each_plane(|plane| {
        let x = &x[plane * pixels..][..pixels];
        vectorized(
            #[inline(always)]
            || moments(x, sizes.centred),
        )
    });
    let (mut mean, mut squares) =
        (vec![T::default(); sizes.groups()], vec![T::default(); sizes.groups()]);
    let mut have = vec![0usize; sizes.groups()];
    for (plane, &(m, s)) in of_planes.iter().enumerate() {
        let g = sizes.group(plane);
        let (old, new) = (have[g] as f64, (have[g] + pixels) as f64);
        let step = m - mean[g];
        mean[g] += step * T::lit(pixels as f64 / new);
        squares[g] += s + step * step * T::lit(old * pixels as f64 / new);
        have[g] += pixels;
    }
    let variance: Vec<T> = squares.iter().map(|&s| s / n).collect();
    let scales: Vec<T> = variance.iter().map(|&v| sizes.scale(v)).collect();
    let (y, _) = in_rows(
        sizes.planes,
        pixels,
        || (),
        #[inline(always)]
        |(), plane, y| {
            let (g, c) = (sizes.group(plane), plane % sizes.weights());
            let (mean, scale) = (mean[g], scales[g] * weight.map_or(T::lit(1.0), |w| w[c]));
            let shift = bias.map_or(T::default(), |b| b[c]);
            let x = &x[plane * pixels..][..y.len()];
            y.seen(
                #[inline(always)]
                |i| (x[i] - mean) * scale + shift,
            )
        },
    );
    Normalized { y, mean, variance }
}

/// The gradient of ⟨y, dy⟩. With x̂ = (x − mean)·scale and g = dy·weight, for each group
/// dx = scale·(g − mean of g − x̂·mean of g·x̂), the second term only if centred; dweight = Σ dy·x̂, dbias = Σ dy.
pub(crate) fn normalize_gradient<T: Real>(
    sizes: &Normalization,
    x: &[T],
    weight: Option<&[T]>,
    dy: &[T],
    mean: &[T],
    variance: &[T],
) -> NormalizationGradient<T> {
    match sizes.grouping {
        Grouping::Planes => rows::gradient(sizes, x, weight, dy, mean, variance),
        _ => gradient_of_planes(sizes, x, weight, dy, mean, variance),
    }
}

fn gradient_of_planes<T: Real>(
    sizes: &Normalization,
    x: &[T],
    weight: Option<&[T]>,
    dy: &[T],
    mean: &[T],
    variance: &[T],
) -> NormalizationGradient<T> {
    let (pixels, n) = (sizes.pixels, sizes.count::<T>());
    let zeros = |n| vec![T::default(); n];
    let weight_of = |plane: usize| weight.map_or(T::lit(1.0), |w| w[plane % sizes.weights()]);
    let scales: Vec<T> = variance.iter().map(|&v| sizes.scale(v)).collect();
    // Σ dy and Σ dy·x̂ of each plane.
    let sums = sizes.each_plane(|plane| {
        let (x, dy) = (&x[plane * pixels..][..pixels], &dy[plane * pixels..][..pixels]);
        let (mean, scale) = (mean[sizes.group(plane)], scales[sizes.group(plane)]);
        vectorized(
            #[inline(always)]
            || {
                let [sum, product] = sums_of(
                    [dy, x],
                    #[inline(always)]
                    |[dy, x]| [dy, dy * (x - mean)],
                );
                (sum, product * scale)
            },
        )
    });
    let (mut first, mut second) = (zeros(sizes.groups()), zeros(sizes.groups()));
    let (mut dweight, mut dbias) = (zeros(sizes.weights()), zeros(sizes.weights()));
    for (plane, &(sum, product)) in sums.iter().enumerate() {
        let (g, c) = (sizes.group(plane), plane % sizes.weights());
        first[g] += weight_of(plane) * sum / n;
        second[g] += weight_of(plane) * product / n;
        dbias[c] += sum;
        dweight[c] += product;
    }
    let (dx, _) = in_rows(
        sizes.planes,
        pixels,
        || (),
        #[inline(always)]
        |(), plane, dx| {
            let (x, dy) = (&x[plane * pixels..][..dx.len()], &dy[plane * pixels..][..dx.len()]);
            let g = sizes.group(plane);
            let (mean, scale, w) = (mean[g], scales[g], weight_of(plane));
            let less = if sizes.centred { first[g] } else { T::default() };
            let (along, straight) = (scale * second[g], scale * w);
            let (slope, level) = (scale * along, scale * less);
            dx.seen(
                #[inline(always)]
                |i| straight * dy[i] - level - (x[i] - mean) * slope,
            )
        },
    );
    NormalizationGradient { dx, dweight, dbias }
}
