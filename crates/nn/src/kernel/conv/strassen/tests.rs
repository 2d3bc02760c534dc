//! Against sums in f64 of the definition, on every instruction set that the processor has.

use super::{Run, Strassen, Weights, strip};
use crate::kernel::conv::test_support::{Random, best, bits_on, distance, sets};
use crate::kernel::instructions::Set;
use crate::kernel::real::Real;
use pullback_core_graph::refill;

/// (images, sources, targets, pixels): one block and several, one chunk of sources and three, pixels behind the last strip and none, fewer
/// strips than tasks for what is behind them.
const SIZES: [(usize, usize, usize, usize); 6] = [
    (1, 16, 32, 192),
    (2, 32, 64, 203),
    (1, 48, 96, 391),
    (3, 272, 32, 193),
    (1, 528, 64, 960),
    (1, 256, 32, 1575),
];

struct Case<T> {
    size: (usize, usize, usize, usize),
    x: Vec<T>,
    /// By target.
    w: Vec<T>,
    /// By source.
    turned: Vec<T>,
    bias: Vec<T>,
}

impl<T: Real + Into<f64>> Case<T> {
    fn new(size: (usize, usize, usize, usize)) -> Self {
        let (batch, sources, targets, pixels) = size;
        let mut random = Random(1);
        let w: Vec<T> = random.values(sources * targets);
        let turned = (0..w.len()).map(|i| w[i % targets * sources + i / targets]).collect();
        Self {
            size,
            x: random.values(batch * sources * pixels),
            turned,
            w,
            bias: random.values(targets),
        }
    }

    /// With bias and rectifier if the weights come by target.
    fn run(&self, by_target: bool, set: Set) -> (Vec<T>, bool) {
        let (batch, sources, targets, pixels) = self.size;
        let bias = by_target.then_some(&self.bias[..]);
        let strassen = Strassen { batch, sources, targets, pixels, bias, relu: by_target };
        let weights = match by_target {
            true => Weights::ByTarget(&self.w),
            false => Weights::BySource(&self.turned),
        };
        let mut y = vec![T::from_f64(f64::NAN); batch * targets * pixels];
        let (whole, finite) = refill(&mut y, |y| {
            let work = |run: Run<'_, '_, '_, T>| set.dispatch(run);
            strassen.run_on(&self.x, weights, y, |prepare| set.dispatch(prepare), work)
        });
        assert!(whole, "{:?}", self.size);
        (y, finite)
    }

    /// The definition, in f64.
    fn exact(&self, by_target: bool) -> Vec<f64> {
        let (batch, sources, targets, pixels) = self.size;
        let mut y = Vec::with_capacity(batch * targets * pixels);
        for image in 0..batch {
            for target in 0..targets {
                let row = y.len();
                let bias = if by_target { self.bias[target].into() } else { 0.0 };
                y.resize(row + pixels, bias);
                for source in 0..sources {
                    let weight: f64 = self.w[target * sources + source].into();
                    let plane = &self.x[(image * sources + source) * pixels..][..pixels];
                    for (y, &x) in y[row..].iter_mut().zip(plane) {
                        *y += weight * x.into();
                    }
                }
                if by_target {
                    y[row..].iter_mut().filter(|y| **y < 0.0).for_each(|y| *y = 0.0);
                }
            }
        }
        y
    }
}

/// Within `units` roundings of 1 times the root of the number of terms.
fn is_close<T: Real + Into<f64>>(epsilon: f64, units: f64) {
    let mut worst = 0.0f64;
    for size in SIZES {
        let case = Case::<T>::new(size);
        let unit = epsilon * (size.1 as f64).sqrt();
        for by_target in [true, false] {
            let exact = case.exact(by_target);
            for set in sets() {
                let (y, finite) = case.run(by_target, set);
                assert!(finite, "{size:?}");
                worst = worst.max(distance(&y, &exact, unit, units));
            }
        }
    }
    assert!(worst >= 1.0, "{worst}");
}

#[test]
fn the_definition_within_roundings_f32() {
    is_close::<f32>(f64::from(f32::EPSILON), 40.0);
}

#[test]
fn the_definition_within_roundings_f64() {
    is_close::<f64>(f64::EPSILON, 40.0);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for size in SIZES {
        let case = Case::<f32>::new(size);
        let bits = |threads| bits_on(threads, || case.run(true, best()).0);
        let one = bits(1);
        assert!([2, 3].into_iter().all(|threads| bits(threads) == one), "{size:?}");
    }
}

#[test]
fn what_is_not_finite_stays_in_its_strip_and_is_seen() {
    let size @ (_, _, _, pixels) = (2, 16, 32, 2 * strip::<f32>() + 7);
    for (k, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
        // In the second image: the first strip, the second, and behind the last.
        let at = k * strip::<f32>() + 3;
        let mut case = Case::<f32>::new(size);
        case.x[16 * pixels + at] = bad;
        for set in sets() {
            let (y, finite) = case.run(false, set);
            assert!(!finite);
            let strip = at / strip::<f32>();
            for (i, y) in y.into_iter().enumerate() {
                let (image, pixel) = (i / pixels / 32, i % pixels);
                let near = image == 1 && pixel / self::strip::<f32>() == strip;
                // Every output sees the pixel that is not finite; no output outside of its strip does.
                assert!(y.is_finite() || near, "{i}: {y}");
                assert!(!y.is_finite() || image == 0 || pixel != at, "{i}: {y}");
            }
        }
    }
}
