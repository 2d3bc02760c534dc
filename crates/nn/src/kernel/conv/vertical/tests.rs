//! Against sums in f64 of the definition, on every instruction set that the processor has.

use pullback_core_graph::refill;

use super::{Conv2dShape, Run, Vertical};
use crate::kernel::conv::test_support::{Random, bits_on, distance, sets};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::Real;

/// Odd heights, every padding, narrow and wide, batches, groups, kernels of one to five columns.
fn shapes() -> Vec<Conv2dShape> {
    let mut random = Random(7);
    let mut shapes: Vec<_> = (0..60)
        .map(|_| {
            let groups = 1 + random.next(4) / 4;
            let channels = [6, 10].map(|most| groups * (1 + random.next(most)));
            Conv2dShape {
                padding: [random.next(2), random.next(2)],
                groups,
                ..Conv2dShape::new(
                    1 + random.next(2),
                    channels[0],
                    channels[1],
                    [3 + random.next(20), 5 + random.next(70)],
                    [3, 1 + random.next(4)],
                )
            }
        })
        .collect();
    // Several passes over the channels; several tasks; padding beyond the kernel.
    let wide = Conv2dShape { padding: [1, 1], ..Conv2dShape::new(1, 60, 6, [7, 150], [3, 3]) };
    let tall = Conv2dShape { padding: [1, 1], ..Conv2dShape::new(1, 4, 33, [91, 70], [3, 3]) };
    shapes.extend([wide, tall, Conv2dShape { padding: [4, 3], groups: 2, ..wide }]);
    shapes
}

fn size(shape: &Conv2dShape) -> [usize; 2] {
    let output = shape.output();
    assert!(output.is_ok(), "{output:?}");
    output.unwrap_or_default()
}

/// The sizes of one pass, with what its loops see as a source and as a weight.
struct Case<'a, T> {
    vertical: Vertical<'a, T>,
    source: Vec<T>,
    weights: Vec<T>,
}

impl<'a, T: Real + Into<f64>> Case<'a, T> {
    fn new(vertical: Vertical<'a, T>, random: &mut Random) -> Self {
        let (groups, sources) = (vertical.groups, vertical.source_channels);
        let pixels = vertical.source[0] * vertical.source[1];
        let source = random.values(vertical.batch * groups * sources * pixels);
        let count = groups * sources * vertical.target_channels * 3 * vertical.across;
        Self { source, weights: random.values(count), vertical }
    }

    fn weight(&self, group: usize, target: usize, source: usize, tap: usize) -> T {
        let v = &self.vertical;
        let channel = (group * v.target_channels + target) * v.source_channels + source;
        self.weights[channel * 3 * v.across + tap]
    }

    fn run(&self, dispatch: impl Fn(Run<'_, '_, '_, T>) -> bool + Sync) -> (Vec<T>, bool) {
        let v = &self.vertical;
        let len = v.batch * v.groups * v.target_channels * v.target[0] * v.target[1];
        let mut out = vec![T::from_f64(f64::NAN); len];
        let weight = |g, t, s, tap| self.weight(g, t, s, tap);
        let (whole, finite) = refill(&mut out, |out| v.run_on(&self.source, weight, out, dispatch));
        assert!(whole);
        (out, finite)
    }

    /// The definition, in f64.
    fn exact(&self) -> Vec<f64> {
        let v = &self.vertical;
        let ([height, width], [rows, columns]) = (v.source, v.target);
        let mut out = Vec::new();
        for image in 0..v.batch {
            for channel in 0..v.groups * v.target_channels {
                let (group, target) = (channel / v.target_channels, channel % v.target_channels);
                for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                    let mut y = v.bias.map_or(0.0, |bias| bias[channel].into());
                    for (source, tap) in (0..v.source_channels)
                        .flat_map(|s| (0..3 * v.across).map(move |tap| (s, tap)))
                    {
                        let row = (i + tap / v.across) as isize + v.offset[0];
                        let column = (j + tap % v.across) as isize + v.offset[1];
                        if (0..height as isize).contains(&row)
                            && (0..width as isize).contains(&column)
                        {
                            let plane = (image * v.groups + group) * v.source_channels + source;
                            let at = (plane * height + row as usize) * width + column as usize;
                            y += self.weight(group, target, source, tap).into()
                                * self.source[at].into();
                        }
                    }
                    out.push(if v.relu && y < 0.0 { 0.0 } else { y });
                }
            }
        }
        out
    }
}

/// Both passes of every shape against the definition, within `units` roundings of 1, the products' bound, times the root of
/// the number of terms.
fn is_close<T: Real + Into<f64>>(epsilon: f64, units: f64) {
    let mut random = Random(11);
    let mut worst = 0.0f64;
    for shape in shapes() {
        let output = size(&shape);
        let bias: Vec<T> = random.values(shape.out_channels);
        let forward = Vertical { bias: Some(&bias), ..Vertical::forward(&shape, output) };
        for (pass, vertical) in
            [forward, Vertical::backward(&shape, output)].into_iter().enumerate()
        {
            let mut case = Case::new(vertical, &mut random);
            case.vertical.relu = pass == 0 && shape.padding[0] == 1;
            let terms = case.vertical.source_channels * 3 * case.vertical.across;
            let unit = epsilon * (terms as f64).sqrt();
            let exact = case.exact();
            for set in sets() {
                let (out, finite) = case.run(|run| set.dispatch(run));
                assert!(finite, "{shape:?}");
                worst = worst.max(distance(&out, &exact, unit, units));
            }
        }
    }
    assert!(worst >= 0.1, "{worst}");
}

#[test]
fn the_definition_within_roundings_f32() {
    is_close::<f32>(f64::from(f32::EPSILON), 6.0);
}

#[test]
fn the_definition_within_roundings_f64() {
    // The sums that it is compared with round as well.
    is_close::<f64>(f64::EPSILON, 12.0);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let mut random = Random(3);
    for shape in shapes() {
        let output = size(&shape);
        let case = Case::<f32>::new(Vertical::forward(&shape, output), &mut random);
        let bits = |threads| bits_on(threads, || case.run(|run| dispatch(run)).0);
        let one = bits(1);
        assert!([2, 3].into_iter().all(|threads| bits(threads) == one), "{shape:?}");
    }
}

#[test]
fn what_is_not_finite_reaches_what_depends_on_it_alone_and_is_seen() {
    let mut random = Random(5);
    for (index, shape) in shapes().into_iter().enumerate() {
        let output = size(&shape);
        let mut case = Case::<f32>::new(Vertical::forward(&shape, output), &mut random);
        let at = random.next(case.source.len() - 1);
        case.source[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][index % 3];
        case.vertical.relu = index.is_multiple_of(3);
        let ((out, finite), exact) = (case.run(|run| dispatch(run)), case.exact());
        assert_eq!(finite, exact.iter().all(|y| y.is_finite()), "{shape:?}");
        for (y, exact) in out.iter().zip(&exact) {
            assert_eq!(y.is_finite(), exact.is_finite(), "{shape:?}: {y} {exact}");
        }
    }
}
