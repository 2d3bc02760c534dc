//! Against sums in f64 of the definition, on every instruction set that the processor has.

use pullback_core_graph::refill;

use super::{CHUNK, Gradient, strip};
use crate::kernel::conv::test_support::{Random, best, bits_on, distance, sets};
use crate::kernel::instructions::Set;
use crate::kernel::real::Real;

/// (images, sources, targets, pixels): one block and several, one chunk and three, pixels behind the last chunk (fewer and more than a task
/// takes at a time), fewer pixels than a chunk and none at all, blocks that threads cannot share evenly.
const SIZES: [(usize, usize, usize, usize); 7] = [
    (1, 128, 32, CHUNK),
    (2, 128, 64, CHUNK + 11),
    (1, 256, 160, 3 * CHUNK + 39),
    (3, 128, 32, CHUNK + 150),
    (2, 128, 32, 57),
    (1, 384, 96, 2 * CHUNK + 1),
    (0, 128, 32, CHUNK),
];

struct Case<T> {
    of: Gradient,
    x: Vec<T>,
    dy: Vec<T>,
}

impl<T: Real + Into<f64>> Case<T> {
    fn new((batch, sources, targets, pixels): (usize, usize, usize, usize)) -> Self {
        let mut random = Random(2);
        Self {
            of: Gradient { batch, sources, targets, pixels },
            x: random.values(batch * sources * pixels),
            dy: random.values(batch * targets * pixels),
        }
    }

    fn run(&self, set: Set) -> (Vec<T>, bool) {
        let mut dw = vec![T::from_f64(f64::NAN); self.of.targets * self.of.sources];
        let (whole, finite) =
            refill(&mut dw, |dw| self.of.run_on(&self.x, &self.dy, dw, |run| set.dispatch(run)));
        assert!(whole);
        (dw, finite)
    }

    /// The definition, in f64.
    fn exact(&self) -> Vec<f64> {
        let Gradient { batch, sources, targets, pixels } = self.of;
        let mut dw = vec![0.0; targets * sources];
        for (k, dw) in dw.iter_mut().enumerate() {
            for image in 0..batch {
                let dy = &self.dy[(image * targets + k / sources) * pixels..][..pixels];
                let x = &self.x[(image * sources + k % sources) * pixels..][..pixels];
                *dw += dy.iter().zip(x).map(|(&dy, &x)| dy.into() * x.into()).sum::<f64>();
            }
        }
        dw
    }
}

/// Within `units` roundings of 1 times the root of the number of terms.
fn is_close<T: Real + Into<f64>>(epsilon: f64, units: f64) {
    let mut worst = 0.0f64;
    for size @ (batch, _, _, pixels) in SIZES {
        let case = Case::<T>::new(size);
        let (exact, unit) = (case.exact(), epsilon * ((batch * pixels).max(1) as f64).sqrt());
        for set in sets() {
            let (dw, finite) = case.run(set);
            assert!(finite, "{size:?}");
            worst = worst.max(distance(&dw, &exact, unit, units));
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

/// Channels of many magnitudes, which change from image to image and between chunks: each weight within roundings of its own channels' largest
/// numbers.
#[test]
fn great_channels_do_no_harm_to_small_ones() {
    let size @ (batch, sources, targets, pixels) = (2, 128, 64, 2 * CHUNK + 70);
    let mut case = Case::<f32>::new(size);
    let mut random = Random(4);
    for (channels, numbers) in [(sources, &mut case.x), (targets, &mut case.dy)] {
        let channel: Vec<i32> = (0..channels).map(|_| random.next(32) as i32 - 16).collect();
        for (i, v) in numbers.iter_mut().enumerate() {
            let part = (i / pixels / channels * 3 + i % pixels / CHUNK) as i32;
            let later = (i / pixels % channels) as i32 % 7 - 3;
            *v *= 2f32.powi(channel[i / pixels % channels] + 2 * later * part);
        }
    }
    let largest = |numbers: &[f32], channels: usize| -> Vec<f64> {
        let largest = |channel: usize| {
            let lines = numbers.chunks_exact(pixels).skip(channel).step_by(channels);
            lines.flatten().fold(0.0, |top: f64, &v| top.max(f64::from(v.abs())))
        };
        (0..channels).map(largest).collect()
    };
    let (x, dy) = (largest(&case.x, sources), largest(&case.dy, targets));
    let spread =
        dy.iter().fold(0.0f64, |a, &b| a.max(b)) / dy.iter().fold(f64::MAX, |a, &b| a.min(b));
    assert!(spread > 1e12, "{spread}");
    let exact = case.exact();
    let unit = f64::from(f32::EPSILON) * ((batch * pixels) as f64).sqrt();
    for set in sets() {
        let (dw, finite) = case.run(set);
        assert!(finite);
        for (i, (&dw, exact)) in dw.iter().zip(&exact).enumerate() {
            let own = unit * dy[i / sources] * x[i % sources];
            let error = (f64::from(dw) - exact).abs() / own;
            assert!(error <= 100.0, "{i}: {dw} {exact} {error}");
        }
    }
}

#[test]
fn channels_of_zeros_give_zeros() {
    for size @ (batch, sources, targets, pixels) in SIZES {
        let mut case = Case::<f32>::new(size);
        for image in 0..batch {
            case.dy[(image * targets + 13) * pixels..][..pixels].fill(0.0);
            case.x[(image * sources + 77) * pixels..][..pixels].fill(-0.0);
            // And one that is zero but for its last pixel, in the last image.
            let some = if image + 1 < batch { pixels } else { pixels - 1 };
            case.dy[(image * targets + 14) * pixels..][..some].fill(0.0);
        }
        let exact = case.exact();
        for set in sets() {
            let (dw, finite) = case.run(set);
            assert!(finite);
            for (i, (&dw, exact)) in dw.iter().zip(&exact).enumerate() {
                let zero = batch == 0 || i / sources == 13 || i % sources == 77;
                assert!(!zero || dw == 0.0, "{size:?} {i}: {dw}");
                let lonely = i / sources == 14;
                let bound = 40.0 * f64::from(f32::EPSILON) * (CHUNK as f64).sqrt();
                let error = (f64::from(dw) - exact).abs();
                assert!(!lonely || error <= bound, "{size:?} {i}: {dw} {exact}");
            }
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for size in SIZES {
        let case = Case::<f32>::new(size);
        let bits = |threads| bits_on(threads, || case.run(best()).0);
        let one = bits(1);
        assert!([2, 3, 5, 16].into_iter().all(|threads| bits(threads) == one), "{size:?}");
    }
}

#[test]
fn what_is_not_finite_is_seen_and_reaches_its_rows_and_columns() {
    let size @ (_, sources, targets, pixels) = (2, 256, 64, CHUNK + 9);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        // In the second image: in a chunk, and behind the last.
        for at in [17, CHUNK + 3] {
            for in_x in [true, false] {
                let mut case = Case::<f32>::new(size);
                let (line, numbers) = match in_x {
                    true => (sources + 130, &mut case.x),
                    false => (targets + 40, &mut case.dy),
                };
                numbers[line * pixels + at] = bad;
                for set in sets() {
                    let (dw, finite) = case.run(set);
                    assert!(!finite, "{bad} {at} {in_x} {set:?}");
                    for (i, dw) in dw.iter().enumerate() {
                        let (target, source) = (i / sources, i % sources);
                        let own = if in_x { source == 130 } else { target == 40 };
                        // Nothing outside of the strip of sources or the block of targets is touched.
                        let near = match in_x {
                            true => source / strip::<f32>() == 1,
                            false => target / super::TARGETS == 1,
                        };
                        assert!(!own || !dw.is_finite(), "{i}: {dw}");
                        assert!(near || dw.is_finite(), "{i}: {dw}");
                    }
                }
            }
        }
    }
}
