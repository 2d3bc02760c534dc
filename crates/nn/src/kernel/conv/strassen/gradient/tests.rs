//! Against sums in f64 of the definition, on every instruction set that the processor has.

use pullback_core_graph::refill;

use super::{CHUNK, Gradient, strip};
use crate::kernel::conv::test_support::{Instructions, Random, bits_on, distance};
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

    fn run(&self, set: Instructions) -> (Vec<T>, bool) {
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
        for set in Instructions::all() {
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

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for size in SIZES {
        let case = Case::<f32>::new(size);
        let bits = |threads| bits_on(threads, || case.run(Instructions::Best).0);
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
                for set in Instructions::all() {
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
