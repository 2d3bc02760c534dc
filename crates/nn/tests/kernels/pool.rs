//! The pooling kernels against naive loops, their adjoint laws, ties and typed errors.

use super::common::{close, dot, in_pool, values};
use pullback_nn::Error;
use pullback_nn::kernel::pool::{self, Divisor, Pool2dShape};

fn shape(
    planes: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Pool2dShape {
    Pool2dShape { planes, size, kernel, stride, padding, ceil: false }
}

fn ceil(shape: Pool2dShape) -> Pool2dShape {
    Pool2dShape { ceil: true, ..shape }
}

fn shapes() -> Vec<Pool2dShape> {
    vec![
        shape(1, [1, 1], [1, 1], [1, 1], [0, 0]),
        shape(3, [6, 6], [2, 2], [2, 2], [0, 0]),
        shape(3, [7, 9], [3, 3], [2, 2], [1, 1]),
        shape(2, [8, 6], [3, 3], [2, 2], [1, 1]),
        shape(2, [7, 9], [3, 2], [1, 3], [2, 1]),
        shape(2, [7, 9], [2, 3], [3, 1], [0, 2]),
        shape(2, [5, 4], [5, 4], [1, 1], [4, 3]),
        shape(2, [9, 10], [2, 2], [4, 5], [0, 1]),
        shape(1, [1, 33], [1, 3], [1, 2], [0, 1]),
        shape(128, [48, 48], [3, 3], [2, 2], [1, 1]),
        // One more row and column; a row that would begin behind the image; one that begins in its last row; nothing to add.
        ceil(shape(3, [6, 7], [3, 2], [2, 2], [0, 0])),
        ceil(shape(2, [5, 9], [2, 3], [3, 4], [1, 1])),
        ceil(shape(2, [4, 5], [3, 2], [5, 4], [2, 0])),
        ceil(shape(3, [6, 6], [2, 2], [2, 2], [0, 0])),
        ceil(shape(1, [1, 33], [1, 4], [1, 5], [0, 3])),
    ]
}

#[test]
fn ceil_counts_the_last_window_that_begins_before_the_end() {
    for (size, kernel, stride, padding, floor, up) in [
        (5, 2, 2, 0, 2, 3),
        (6, 3, 2, 0, 2, 3),
        (6, 2, 2, 0, 3, 3),
        // ⌈(5 + 2 − 2)/3⌉ + 1 = 3, but window 2 would begin at pixel 6 − 1 = 5 of 5.
        (5, 2, 3, 1, 2, 2),
        (4, 3, 5, 2, 2, 2),
        (7, 3, 5, 2, 2, 2),
        (6, 3, 2, 1, 3, 4),
        (1, 1, 7, 0, 1, 1),
    ] {
        let s = shape(1, [size, 1], [kernel, 1], [stride, 1], [padding, 0]);
        let case = (size, kernel, stride, padding);
        assert_eq!([s.output().unwrap()[0], ceil(s).output().unwrap()[0]], [floor, up], "{case:?}");
        let window = pullback_nn::arithmetic::Window::new(kernel).stride(stride).padding(padding);
        let fits = [window.fit(size).unwrap().output, window.fit_ceil(size).unwrap().output];
        assert_eq!(fits, [floor, up], "{case:?}");
    }
}

#[test]
fn adaptive_maximum_takes_the_first_largest_pixel() {
    for (planes, from, to) in
        [(1, [1, 1], [1, 1]), (3, [7, 5], [3, 2]), (2, [3, 2], [4, 5]), (130, [40, 33], [7, 1])]
    {
        let (pixels, windows) = (from[0] * from[1], to[0] * to[1]);
        let x: Vec<f32> =
            values::<f32>(1, planes * pixels).into_iter().map(|v| (v * 3.0).round()).collect();
        let run = |threads| {
            in_pool(threads, || {
                let n = planes * windows;
                let (mut y, mut index) = (vec![0.0; n], vec![0; n]);
                pool::adaptive_maximum(planes, from, to, &x, &mut y, &mut index).unwrap();
                (y, index)
            })
        };
        let (y, index) = run(1);
        assert!(run(3) == (y.clone(), index.clone()), "threads change nothing");
        for i in 0..y.len() {
            let plane = &x[i / windows * pixels..][..pixels];
            let inside = |pixel: usize, axis: usize, at: usize| {
                let (n, m) = (from[axis], to[axis]);
                // ⌊at·n/m⌋ ≤ pixel < ⌈(at + 1)·n/m⌉ in whole numbers.
                at * n < (pixel + 1) * m && pixel * m < (at + 1) * n
            };
            let window = (0..pixels).filter(|p| {
                inside(p / from[1], 0, i % windows / to[1])
                    && inside(p % from[1], 1, i % windows % to[1])
            });
            let window: Vec<usize> = window.collect();
            let best = window.iter().map(|&p| plane[p]).fold(f32::NEG_INFINITY, f32::max);
            let first = window.into_iter().find(|&p| plane[p] == best).unwrap();
            assert_eq!((y[i], index[i] as usize), (best, first), "{from:?} to {to:?} at {i}");
        }
    }
    let x = [1.0, f64::NAN, f64::NAN, f64::NEG_INFINITY];
    let (mut y, mut index) = ([0.0; 2], [9; 2]);
    pool::adaptive_maximum(1, [2, 2], [2, 1], &x, &mut y, &mut index).unwrap();
    assert!(y.iter().all(|y| y.is_nan()) && index == [1, 2]);
    for (from, to) in [([0, 2], [1, 1]), ([2, 2], [1, 0]), ([1 << 16, 1 << 16], [1, 1])] {
        let result = pool::adaptive_maximum(1, from, to, &x, &mut y, &mut index);
        assert!(matches!(result, Err(Error::Argument { .. })), "{from:?} {to:?}");
    }
    let result = pool::adaptive_maximum(1, [2, 2], [2, 1], &x, &mut y, &mut [0]);
    assert!(matches!(result, Err(Error::Length { argument: "index", expected: 2, found: 1, .. })));
}

/// The pixels of each window, row by row, for one plane.
fn windows(s: &Pool2dShape) -> Vec<Vec<usize>> {
    let [ho, wo] = s.output().unwrap();
    let inside = |i: usize, axis: usize, tap: usize| {
        let pixel = (i * s.stride[axis] + tap).checked_sub(s.padding[axis])?;
        (pixel < s.size[axis]).then_some(pixel)
    };
    (0..ho * wo)
        .map(|window| {
            let mut pixels = vec![];
            for k in 0..s.kernel[0] {
                for l in 0..s.kernel[1] {
                    if let (Some(y), Some(x)) =
                        (inside(window / wo, 0, k), inside(window % wo, 1, l))
                    {
                        pixels.push(y * s.size[1] + x);
                    }
                }
            }
            pixels
        })
        .collect()
}

#[test]
fn maximum_takes_the_first_largest_pixel() {
    for s in shapes() {
        // Few distinct values, so that most windows hold ties.
        let x: Vec<f32> =
            values::<f32>(1, s.input_len()).into_iter().map(|v| (v * 3.0).round()).collect();
        let n = s.output_len().unwrap();
        let (mut y, mut index) = (vec![0.0; n], vec![0; n]);
        pool::maximum(&s, &x, &mut y, &mut index).unwrap();
        let (windows, pixels) = (windows(&s), s.size[0] * s.size[1]);
        for i in 0..n {
            let plane = &x[i / windows.len() * pixels..][..pixels];
            let window = &windows[i % windows.len()];
            let best = window.iter().map(|&p| plane[p]).fold(f32::NEG_INFINITY, f32::max);
            let first = window.iter().copied().find(|&p| plane[p] == best).unwrap();
            assert_eq!((y[i], index[i] as usize), (best, first), "{s:?} at {i}");
        }
    }
}

#[test]
fn maximum_in_f64_agrees_with_f32() {
    for s in shapes() {
        let x: Vec<f32> = values(2, s.input_len());
        let wide: Vec<f64> = x.iter().map(|&v| v.into()).collect();
        let n = s.output_len().unwrap();
        let (mut y, mut index, mut y64, mut index64) =
            (vec![0.0; n], vec![0; n], vec![0.0; n], vec![0; n]);
        pool::maximum(&s, &x, &mut y, &mut index).unwrap();
        pool::maximum(&s, &wide, &mut y64, &mut index64).unwrap();
        assert_eq!(index, index64);
        assert!(y.iter().zip(&y64).all(|(&a, &b)| f64::from(a) == b));
    }
}

#[test]
fn the_first_nan_is_the_maximum_and_minus_infinity_has_a_place() {
    let s = shape(1, [1, 6], [1, 3], [1, 3], [0, 0]);
    let x = [1.0, f64::NAN, f64::NAN, f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    let (mut y, mut index) = ([0.0; 2], [9; 2]);
    pool::maximum(&s, &x, &mut y, &mut index).unwrap();
    assert!(y[0].is_nan());
    assert_eq!((y[1], index), (f64::NEG_INFINITY, [1, 3]));
}

#[test]
fn gather_and_scatter_are_adjoint() {
    for s in shapes() {
        let x: Vec<f64> = values(3, s.input_len());
        let n = s.output_len().unwrap();
        let (mut y, mut index) = (vec![0.0; n], vec![0; n]);
        pool::maximum(&s, &x, &mut y, &mut index).unwrap();
        let mut gathered = vec![0.0; n];
        pool::gather(&s, &index, &x, &mut gathered).unwrap();
        assert_eq!(gathered, y, "the maximum is its own derivative along x");

        let (dx, dy): (Vec<f64>, Vec<f64>) = (values(4, s.input_len()), values(5, n));
        let mut pulled = x.clone();
        pool::gather(&s, &index, &dx, &mut gathered).unwrap();
        pool::scatter_add(&s, &index, &dy, &mut pulled).unwrap();
        let (a, b) = (dot(&gathered, &dy), dot(&dx, &pulled));
        assert!((a - b).abs() <= 1e-12 * n as f64, "{s:?}: {a} {b}");
    }
}

#[test]
fn average_matches_the_definition_and_its_transpose() {
    for s in shapes() {
        let windows = windows(&s);
        for divisor in [Divisor::Kernel, Divisor::Pixels, Divisor::Fixed(3)] {
            let (x, dy): (Vec<f64>, Vec<f64>) =
                (values(6, s.input_len()), values(7, s.output_len().unwrap()));
            let (mut y, mut dx) = (dy.clone(), x.clone());
            pool::average(&s, divisor, &x, &mut y).unwrap();
            pool::average_transpose(&s, divisor, &dy, &mut dx).unwrap();
            let pixels = s.size[0] * s.size[1];
            let naive: Vec<f64> = (0..y.len())
                .map(|i| {
                    let window = &windows[i % windows.len()];
                    let count = match divisor {
                        Divisor::Kernel => padded(&s, i % windows.len()),
                        Divisor::Fixed(number) => number,
                        Divisor::Pixels => window.len(),
                    };
                    window.iter().map(|&p| x[i / windows.len() * pixels + p]).sum::<f64>()
                        / count as f64
                })
                .collect();
            close("average", &(s, divisor), &y, &naive, 1e-14);
            let (a, b) = (dot(&y, &dy), dot(&x, &dx));
            assert!((a - b).abs() <= 1e-12 * y.len() as f64, "{s:?} {divisor:?}: {a} {b}");
        }
    }
}

/// How many pixels of the padded image a window covers.
fn padded(s: &Pool2dShape, window: usize) -> usize {
    let columns = s.output().unwrap()[1];
    let along = |axis: usize, index: usize| {
        let ends = s.size[axis] + 2 * s.padding[axis];
        (0..s.kernel[axis]).filter(|tap| index * s.stride[axis] + tap < ends).count()
    };
    along(0, window / columns) * along(1, window % columns)
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for s in shapes() {
        let (x, dy): (Vec<f32>, Vec<f32>) =
            (values(8, s.input_len()), values(9, s.output_len().unwrap()));
        let run = |threads| {
            in_pool(threads, || {
                let (mut y, mut index) = (dy.clone(), vec![0; dy.len()]);
                let (mut dx, mut mean, mut spread) = (x.clone(), dy.clone(), x.clone());
                pool::maximum(&s, &x, &mut y, &mut index).unwrap();
                pool::scatter_add(&s, &index, &dy, &mut dx).unwrap();
                pool::average(&s, Divisor::Pixels, &x, &mut mean).unwrap();
                pool::average_transpose(&s, Divisor::Pixels, &dy, &mut spread).unwrap();
                (
                    index,
                    [y, dx, mean, spread]
                        .map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>()),
                )
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{s:?} with {threads} threads");
        }
    }
}

#[test]
fn bad_sizes_and_indices_are_typed_errors() {
    let good = shape(2, [4, 5], [2, 2], [2, 2], [0, 0]);
    let argument = |s: Pool2dShape, name: &str| match s.output() {
        Err(Error::Argument { argument, .. }) => assert_eq!(argument, name),
        other => panic!("{name}: {other:?}"),
    };
    argument(Pool2dShape { size: [0, 5], ..good }, "height");
    argument(Pool2dShape { kernel: [0, 2], ..good }, "kernel");
    argument(Pool2dShape { stride: [2, 0], ..good }, "stride");
    argument(Pool2dShape { padding: [2, 0], ..good }, "padding");
    argument(Pool2dShape { size: [1 << 17, 1 << 17], ..good }, "size");
    let many = Pool2dShape { planes: usize::MAX / 2, ..good };
    assert_eq!((many.input_len(), many.output_len().unwrap()), (usize::MAX, usize::MAX));
    let large = Pool2dShape { kernel: [5, 2], ..good };
    assert!(matches!(
        large.output(),
        Err(Error::WindowTooLarge { axis: 0, window: 5, size: 4, .. })
    ));

    let (x, mut y, index) = (vec![0.0f32; 40], vec![0.0f32; 8], [0, 1, 2, 3, 4, 20, 6, 7]);
    assert!(matches!(
        pool::gather(&good, &index, &x, &mut y),
        Err(Error::Index { position: 5, index: 20, size: 20, .. })
    ));
    assert!(matches!(
        pool::scatter_add(&good, &index, &y, &mut x.clone()),
        Err(Error::Index { .. })
    ));
    assert!(matches!(
        pool::maximum(&good, &x, &mut y, &mut [0; 7]),
        Err(Error::Length { argument: "index", expected: 8, found: 7, .. })
    ));
    assert!(matches!(
        pool::average(&good, Divisor::Fixed(0), &x, &mut y),
        Err(Error::Argument { argument: "divisor", value: 0, .. })
    ));
    assert!(matches!(
        pool::average(&good, Divisor::Kernel, &x[1..], &mut y),
        Err(Error::Length { argument: "x", expected: 40, found: 39, .. })
    ));
}
