//! The convolution kernels against naive loops in f64, their adjoint laws, and their independence of the thread count.

use super::common::{close, dot, in_pool, values};
use pullback_nn::Error;
use pullback_nn::kernel::Real;
use pullback_nn::kernel::conv::{self, Conv2dShape, Epilogue};

/// Calls `visit(y index, x index, w index)` for every product of the definition.
fn products(s: &Conv2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    let [ho, wo] = s.output().unwrap();
    let [h, w] = s.size;
    let (cin, cout) = (s.in_channels / s.groups, s.out_channels / s.groups);
    for n in 0..s.batch {
        for o in 0..s.out_channels {
            for (i, j) in (0..ho).flat_map(|i| (0..wo).map(move |j| (i, j))) {
                for c in 0..cin {
                    for (k, l) in
                        (0..s.kernel[0]).flat_map(|k| (0..s.kernel[1]).map(move |l| (k, l)))
                    {
                        let y =
                            (i * s.stride[0] + k * s.dilation[0]) as isize - s.padding[0] as isize;
                        let x =
                            (j * s.stride[1] + l * s.dilation[1]) as isize - s.padding[1] as isize;
                        if y < 0 || x < 0 || y >= h as isize || x >= w as isize {
                            continue;
                        }
                        let channel = o / cout * cin + c;
                        visit(
                            ((n * s.out_channels + o) * ho + i) * wo + j,
                            ((n * s.in_channels + channel) * h + y as usize) * w + x as usize,
                            ((o * cin + c) * s.kernel[0] + k) * s.kernel[1] + l,
                        );
                    }
                }
            }
        }
    }
}

fn shape(
    (batch, cin, cout): (usize, usize, usize),
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
) -> Conv2dShape {
    Conv2dShape {
        stride,
        padding,
        dilation,
        groups,
        ..Conv2dShape::new(batch, cin, cout, size, kernel)
    }
}

/// Odd sizes of every kind: (channels, size, kernel, stride, padding, dilation, groups).
fn shapes() -> Vec<Conv2dShape> {
    vec![
        shape((1, 1, 1), [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((2, 3, 5), [7, 9], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((2, 3, 5), [7, 9], [3, 3], [1, 1], [0, 0], [1, 1], 1),
        shape((3, 4, 9), [12, 12], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((2, 5, 17), [6, 5], [3, 3], [2, 2], [1, 1], [1, 1], 1),
        shape((2, 5, 3), [6, 5], [3, 3], [2, 2], [0, 0], [1, 1], 1),
        shape((1, 2, 4), [11, 4], [2, 3], [3, 2], [1, 0], [1, 1], 1),
        shape((1, 2, 4), [11, 13], [3, 2], [2, 3], [2, 1], [2, 3], 1),
        shape((2, 2, 2), [9, 10], [3, 3], [1, 1], [2, 2], [2, 2], 1),
        shape((1, 2, 3), [8, 8], [3, 3], [2, 2], [3, 3], [3, 3], 1),
        shape((2, 6, 4), [7, 8], [3, 3], [1, 1], [1, 1], [1, 1], 2),
        shape((2, 6, 12), [9, 7], [3, 3], [2, 2], [1, 1], [1, 1], 3),
        shape((2, 5, 5), [9, 7], [3, 3], [1, 1], [1, 1], [1, 1], 5),
        shape((2, 3, 6), [9, 7], [5, 5], [2, 2], [2, 2], [1, 1], 3),
        shape((4, 8, 11), [5, 6], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((2, 8, 16), [9, 11], [1, 1], [2, 2], [0, 0], [1, 1], 1),
        // A 1×1 kernel with padding: outputs that see only zeros, and a gradient that must be cropped.
        shape((2, 3, 4), [4, 5], [1, 1], [1, 1], [2, 1], [1, 1], 1),
        // Stride beyond the kernel: pixels that no window reaches.
        shape((2, 2, 3), [10, 11], [2, 2], [5, 4], [0, 0], [1, 1], 1),
        shape((1, 2, 3), [10, 11], [1, 2], [4, 5], [3, 7], [1, 1], 1),
        // Strides with more phases than there are pixels, and with more than fit in any memory.
        shape((2, 2, 3), [4, 5], [3, 2], [9, 11], [1, 0], [1, 1], 1),
        shape((2, 2, 3), [4, 5], [3, 3], [5, 7], [8, 9], [2, 3], 1),
        shape((1, 3, 2), [4, 5], [3, 3], [1 << 40, 1 << 41], [1, 1], [1, 1], 1),
        // The kernel covers the whole image; padding beyond the kernel.
        shape((2, 3, 2), [4, 6], [4, 6], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 1, 2), [3, 3], [5, 5], [1, 1], [4, 4], [1, 1], 1),
        shape((1, 1, 2), [2, 3], [2, 2], [1, 1], [5, 6], [1, 1], 1),
        shape((1, 3, 2), [1, 40], [1, 7], [1, 1], [0, 3], [1, 1], 1),
        shape((1, 3, 2), [40, 1], [7, 1], [1, 1], [3, 0], [1, 1], 1),
        // Enough work for several tasks and several chunks of channels.
        shape((16, 8, 16), [24, 24], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 40, 24), [37, 29], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 70, 6), [41, 31], [3, 3], [2, 2], [1, 1], [1, 1], 1),
        shape((2, 16, 16), [50, 70], [5, 3], [2, 1], [2, 1], [1, 1], 4),
        // Depthwise rows of whole and broken registers, and kernels with and without a compiled gradient.
        shape((2, 5, 5), [20, 37], [3, 3], [1, 1], [1, 1], [1, 1], 5),
        shape((1, 3, 3), [9, 48], [5, 5], [1, 1], [2, 2], [1, 1], 3),
        shape((3, 2, 2), [8, 30], [3, 3], [1, 1], [0, 0], [1, 1], 2),
        shape((1, 4, 4), [11, 33], [3, 3], [1, 1], [3, 2], [2, 3], 4),
        shape((1, 2, 2), [6, 29], [2, 3], [1, 1], [4, 6], [1, 1], 2),
        // Strips of patches: broken rows and registers, steps, several passes over the channels, groups.
        shape((2, 3, 50), [7, 9], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 5, 49), [21, 16], [3, 3], [2, 2], [1, 1], [1, 1], 1),
        shape((1, 51, 52), [14, 17], [5, 3], [1, 1], [2, 0], [1, 2], 1),
        shape((1, 90, 48), [15, 17], [3, 3], [2, 1], [1, 1], [1, 1], 1),
        shape((2, 6, 100), [13, 19], [3, 2], [1, 1], [4, 5], [1, 1], 2),
        // Winograd's method along the height: odd heights, every padding, narrow and wide rows, groups, a further pass over the channels,
        // and several tasks; in both directions.
        shape((2, 3, 48), [9, 23], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 5, 33), [7, 12], [3, 3], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 9, 49), [4, 6], [3, 3], [1, 1], [2, 2], [1, 1], 1),
        shape((2, 2, 18), [13, 29], [3, 3], [1, 1], [3, 0], [1, 1], 1),
        shape((1, 6, 70), [11, 150], [3, 3], [1, 1], [1, 2], [1, 1], 2),
        shape((1, 17, 7), [33, 27], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 50, 27), [15, 31], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 25, 40), [6, 300], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 4, 64), [61, 70], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        // Products of matrices.
        shape((2, 70, 130), [9, 11], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 16, 9), [79, 83], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((5, 150, 1), [7, 10], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        // Strassen's method: pixels behind the last strip and none, several chunks of channels, and channels that cannot be cut; weight
        // gradients too, of blocks that two threads cannot share evenly.
        shape((2, 256, 288), [13, 17], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((4, 64, 128), [15, 17], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 528, 96), [24, 32], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 272, 64), [28, 29], [1, 1], [1, 1], [0, 0], [1, 1], 1),
        // Winograd's method: tiles that the image does not fill, every padding, blocks that span images, channels that
        // fill no register, several chunks of channels, wide rows, and more than one group of blocks (in f64).
        shape((2, 33, 35), [9, 7], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 32, 41), [6, 8], [3, 3], [1, 1], [0, 0], [1, 1], 1),
        shape((1, 37, 32), [4, 11], [3, 3], [1, 1], [2, 0], [1, 1], 1),
        shape((2, 32, 32), [10, 5], [3, 3], [1, 1], [3, 4], [1, 1], 1),
        shape((9, 32, 34), [11, 13], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 135, 70), [13, 18], [3, 3], [1, 1], [1, 2], [1, 1], 1),
        shape((1, 32, 33), [4, 600], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        shape((1, 32, 32), [100, 160], [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ]
}

fn widen<T: Real + Into<f64>>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&v| v.into()).collect()
}

fn matches_the_definition<T: Real + Into<f64>>(tolerance: f64) {
    for s in shapes() {
        let (x, w): (Vec<T>, Vec<T>) = (values(1, s.input_len()), values(2, s.weight_len()));
        let dy: Vec<T> = values(3, s.output_len().unwrap());
        let mut nan = dy.clone();
        nan.fill(T::from_f64(f64::NAN));
        let (mut y, mut dx, mut dw) = (nan, x.clone(), w.clone());
        conv::forward(&s, &x, &w, &mut y).unwrap();
        conv::input_gradient(&s, &dy, &w, &mut dx).unwrap();
        conv::weight_gradient(&s, &x, &dy, &mut dw).unwrap();

        let (x, w, dy) = (widen(&x), widen(&w), widen(&dy));
        let (mut y_naive, mut dx_naive, mut dw_naive) =
            (vec![0.0; y.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        products(&s, |i, j, k| {
            y_naive[i] += x[j] * w[k];
            dx_naive[j] += dy[i] * w[k];
            dw_naive[k] += dy[i] * x[j];
        });
        close("forward", &s, &widen(&y), &y_naive, tolerance);
        close("input_gradient", &s, &widen(&dx), &dx_naive, tolerance);
        close("weight_gradient", &s, &widen(&dw), &dw_naive, tolerance);
    }
}

#[test]
fn matches_the_definition_f64() {
    matches_the_definition::<f64>(1e-13);
}

#[test]
fn matches_the_definition_f32() {
    matches_the_definition::<f32>(2e-5);
}

/// Winograd's method in f32 against sums in f64, 128 channels of uniform numbers in (−1, 1).
#[test]
fn the_rounding_error_of_the_fast_method_is_bounded() {
    let s = shape((1, 128, 64), [24, 20], [3, 3], [1, 1], [1, 1], [1, 1], 1);
    let (x, w): (Vec<f32>, Vec<f32>) = (values(13, s.input_len()), values(14, s.weight_len()));
    let mut y = vec![0.0f32; s.output_len().unwrap()];
    conv::forward(&s, &x, &w, &mut y).unwrap();
    let mut exact = vec![0.0; y.len()];
    products(&s, |i, j, k| exact[i] += f64::from(x[j]) * f64::from(w[k]));
    let error: Vec<f64> = widen(&y).iter().zip(&exact).map(|(y, e)| y - e).collect();
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(largest(&error) <= 3e-6 * largest(&exact), "{:e}", largest(&error) / largest(&exact));
    let ratio = (dot(&error, &error) / dot(&exact, &exact)).sqrt();
    assert!(ratio <= 1.5e-6, "{ratio:e}");
}

#[test]
fn the_three_maps_are_adjoint() {
    for s in shapes() {
        let (x, w): (Vec<f64>, Vec<f64>) = (values(4, s.input_len()), values(5, s.weight_len()));
        let dy: Vec<f64> = values(6, s.output_len().unwrap());
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
        conv::forward(&s, &x, &w, &mut y).unwrap();
        conv::input_gradient(&s, &dy, &w, &mut dx).unwrap();
        conv::weight_gradient(&s, &x, &dy, &mut dw).unwrap();
        let products = [dot(&y, &dy), dot(&x, &dx), dot(&w, &dw)];
        let scale = dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt();
        for product in products {
            assert!((product - products[0]).abs() <= 1e-13 * scale, "{s:?}: {products:?}");
        }
    }
}

#[test]
fn the_epilogue_adds_the_bias_and_takes_the_positive_part() {
    for s in shapes() {
        let (x, w): (Vec<f32>, Vec<f32>) = (values(7, s.input_len()), values(8, s.weight_len()));
        let bias: Vec<f32> = values(9, s.out_channels);
        let mut plain = vec![0.0; s.output_len().unwrap()];
        let mut fused = plain.clone();
        conv::forward(&s, &x, &w, &mut plain).unwrap();
        let plane = plain.len() / (s.batch * s.out_channels);
        for relu in [false, true] {
            conv::forward_fused(&s, &x, &w, Epilogue { bias: Some(&bias), relu }, &mut fused)
                .unwrap();
            for (i, (&fused, &plain)) in fused.iter().zip(&plain).enumerate() {
                let expected = plain + bias[i / plane % s.out_channels];
                assert_eq!(fused, if relu { expected.max(0.0) } else { expected }, "{s:?} at {i}");
            }
        }
    }
}

#[test]
fn a_fault_upstream_is_not_hidden_by_the_positive_part() {
    let s = Conv2dShape::new(1, 1, 1, [2, 2], [1, 1]);
    let mut y = [0.0; 4];
    let epilogue = Epilogue { bias: None, relu: true };
    conv::forward_fused(&s, &[f64::NAN, -1.0, 2.0, 3.0], &[1.0], epilogue, &mut y).unwrap();
    assert!(y[0].is_nan());
    assert_eq!(y[1..], [0.0, 2.0, 3.0]);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for s in shapes() {
        let (x, w): (Vec<f32>, Vec<f32>) = (values(10, s.input_len()), values(11, s.weight_len()));
        let dy: Vec<f32> = values(12, s.output_len().unwrap());
        let run = |threads| {
            in_pool(threads, || {
                let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
                conv::forward(&s, &x, &w, &mut y).unwrap();
                conv::input_gradient(&s, &dy, &w, &mut dx).unwrap();
                conv::weight_gradient(&s, &x, &dy, &mut dw).unwrap();
                [y, dx, dw].map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{s:?} with {threads} threads");
        }
    }
}

#[test]
fn an_empty_batch_gives_a_zero_weight_gradient() {
    let s = Conv2dShape::new(0, 2, 3, [5, 5], [3, 3]);
    let mut dw = vec![1.0f32; s.weight_len()];
    conv::weight_gradient(&s, &[], &[], &mut dw).unwrap();
    assert!(dw.iter().all(|&v| v == 0.0));
    conv::forward(&s, &[], &dw, &mut []).unwrap();
    conv::input_gradient(&s, &[], &dw, &mut []).unwrap();
}

#[test]
fn bad_sizes_are_typed_errors() {
    let good = Conv2dShape::new(1, 4, 6, [5, 6], [3, 3]);
    let argument = |s: Conv2dShape, name: &str| match s.output() {
        Err(Error::Argument { argument, .. }) => assert_eq!(argument, name),
        other => panic!("{name}: {other:?}"),
    };
    argument(Conv2dShape { groups: 0, ..good }, "groups");
    argument(Conv2dShape { groups: 3, ..good }, "in_channels");
    argument(Conv2dShape { groups: 4, ..good }, "out_channels");
    argument(Conv2dShape { in_channels: 0, ..good }, "in_channels");
    argument(Conv2dShape { out_channels: 0, ..good }, "out_channels");
    argument(Conv2dShape { size: [0, 3], ..good }, "height");
    argument(Conv2dShape { size: [5, 0], ..good }, "width");
    argument(Conv2dShape { kernel: [3, 0], ..good }, "kernel");
    argument(Conv2dShape { stride: [0, 1], ..good }, "stride");
    argument(Conv2dShape { dilation: [1, 0], ..good }, "dilation");

    let large = Conv2dShape { kernel: [3, 7], ..good };
    assert!(matches!(
        large.output(),
        Err(Error::WindowTooLarge { axis: 1, window: 7, size: 6, padding: 0, .. })
    ));
    let dilated = Conv2dShape { dilation: [4, 1], padding: [1, 0], ..good };
    assert!(matches!(
        dilated.output(),
        Err(Error::WindowTooLarge { axis: 0, window: 9, size: 5, padding: 1, .. })
    ));

    let (large, most) = (1 << 40, usize::MAX);
    argument(Conv2dShape { batch: large, size: [large, 3], ..good }, "padded elements of x");
    argument(Conv2dShape { batch: 0, size: [large; 2], ..good }, "padded elements of x");
    argument(Conv2dShape { padding: [most, 0], ..good }, "padded elements of x");
    argument(Conv2dShape { in_channels: large, out_channels: large, ..good }, "elements of w");
    argument(Conv2dShape { batch: large, out_channels: 1 << 10, ..good }, "elements of y");
    argument(Conv2dShape { stride: [1, most], ..good }, "width stride");
    assert_eq!(Conv2dShape { batch: large, size: [large; 2], ..good }.input_len(), most);

    let (x, w) = (vec![0.0f32; good.input_len()], vec![0.0f32; good.weight_len()]);
    let mut y = vec![0.0f32; good.output_len().unwrap()];
    let length = |result: Result<(), Error>, name: &str| match result {
        Err(Error::Length { argument, .. }) => assert_eq!(argument, name),
        other => panic!("{name}: {other:?}"),
    };
    length(conv::forward(&good, &x[1..], &w, &mut y), "x");
    length(conv::forward(&good, &x, &w[1..], &mut y), "w");
    length(conv::forward(&good, &x, &w, &mut y[1..]), "y");
    length(
        conv::forward_fused(&good, &x, &w, Epilogue { bias: Some(&x[..5]), relu: false }, &mut y),
        "bias",
    );
    length(conv::input_gradient(&good, &y[1..], &w, &mut x.clone()), "dy");
    length(conv::input_gradient(&good, &y, &w, &mut x.clone()[1..]), "dx");
    length(conv::weight_gradient(&good, &x, &y, &mut w.clone()[1..]), "dw");
}
