//! The resizing kernels against their definition, published values, adjoint laws and typed errors.

use super::common::{close, dot, in_pool, values};
use pullback_nn::Error;
use pullback_nn::kernel::resize::{self, ResizeShape};

fn shapes() -> Vec<ResizeShape> {
    let shape = |planes, from, to| ResizeShape { planes, from, to };
    vec![
        shape(1, [1, 1], [1, 1]),
        shape(2, [1, 1], [3, 4]),
        shape(2, [3, 4], [6, 8]),
        shape(2, [3, 4], [3, 4]),
        shape(2, [3, 4], [7, 5]),
        shape(2, [9, 10], [4, 3]),
        shape(3, [2, 7], [5, 1]),
        shape(64, [24, 24], [48, 48]),
    ]
}

/// Row-major weights of one axis by the definition: the hat function of each input centre at each output centre, with
/// the edge pixels repeated outwards.
fn hats(from: usize, to: usize) -> Vec<Vec<f64>> {
    (0..to)
        .map(|i| {
            let position = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
            let position = position.clamp(0.0, from as f64 - 1.0);
            (0..from).map(|k| (1.0 - (position - k as f64).abs()).max(0.0)).collect()
        })
        .collect()
}

#[test]
fn bilinear_matches_its_definition() {
    for s in shapes() {
        let x: Vec<f64> = values(1, s.input_len());
        let mut y = vec![f64::NAN; s.output_len()];
        resize::bilinear(&s, &x, &mut y).unwrap();
        let (rows, columns) = (hats(s.from[0], s.to[0]), hats(s.from[1], s.to[1]));
        let mut naive = vec![];
        for plane in x.chunks(s.from[0] * s.from[1]) {
            for row in &rows {
                for column in &columns {
                    naive.push(
                        (0..plane.len())
                            .map(|p| row[p / s.from[1]] * column[p % s.from[1]] * plane[p])
                            .sum::<f64>(),
                    );
                }
            }
        }
        close("bilinear", &s, &y, &naive, 1e-14);
    }
}

/// Doubling [[1, 2], [3, 4]] gives these sixteen values in PyTorch's documentation of `Upsample(scale_factor=2,
/// mode='bilinear', align_corners=False)`.
#[test]
fn bilinear_doubling_gives_the_published_values() {
    let s = ResizeShape { planes: 1, from: [2, 2], to: [4, 4] };
    let mut y = [0.0f32; 16];
    resize::bilinear(&s, &[1.0, 2.0, 3.0, 4.0], &mut y).unwrap();
    let published =
        [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3.0, 3.25, 3.75, 4.0];
    assert_eq!(y, published);
}

#[test]
fn nearest_matches_its_definition() {
    for s in shapes() {
        let x: Vec<f32> = values(2, s.input_len());
        let mut y = vec![f32::NAN; s.output_len()];
        resize::nearest(&s, &x, &mut y).unwrap();
        for (i, &y) in y.iter().enumerate() {
            let (plane, pixel) = (i / (s.to[0] * s.to[1]), i % (s.to[0] * s.to[1]));
            let (row, column) =
                (pixel / s.to[1] * s.from[0] / s.to[0], pixel % s.to[1] * s.from[1] / s.to[1]);
            assert_eq!(y, x[(plane * s.from[0] + row) * s.from[1] + column], "{s:?} at {i}");
        }
    }
}

#[test]
fn the_transposes_are_adjoint() {
    for s in shapes() {
        let (x, dy): (Vec<f64>, Vec<f64>) = (values(3, s.input_len()), values(4, s.output_len()));
        let (mut y, mut dx) = (dy.clone(), x.clone());
        resize::bilinear(&s, &x, &mut y).unwrap();
        resize::bilinear_transpose(&s, &dy, &mut dx).unwrap();
        assert!((dot(&y, &dy) - dot(&x, &dx)).abs() <= 1e-13 * y.len() as f64, "{s:?}");
        resize::nearest(&s, &x, &mut y).unwrap();
        resize::nearest_transpose(&s, &dy, &mut dx).unwrap();
        assert!((dot(&y, &dy) - dot(&x, &dx)).abs() <= 1e-13 * y.len() as f64, "{s:?}");
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for s in shapes() {
        let (x, dy): (Vec<f32>, Vec<f32>) = (values(5, s.input_len()), values(6, s.output_len()));
        let run = |threads| {
            in_pool(threads, || {
                let (mut y, mut dx) = (dy.clone(), x.clone());
                resize::bilinear(&s, &x, &mut y).unwrap();
                resize::bilinear_transpose(&s, &dy, &mut dx).unwrap();
                [y, dx].map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{s:?} with {threads} threads");
        }
    }
}

#[test]
fn bad_sizes_are_typed_errors() {
    let good = ResizeShape { planes: 1, from: [2, 3], to: [4, 6] };
    let zero = ResizeShape { to: [4, 0], ..good };
    assert!(matches!(
        resize::bilinear(&zero, &[0.0f32; 6], &mut []),
        Err(Error::Argument { argument: "output width", value: 0, .. })
    ));
    let zero = ResizeShape { from: [0, 3], ..good };
    assert!(matches!(
        resize::nearest(&zero, &[], &mut [0.0f32; 24]),
        Err(Error::Argument { argument: "input height", value: 0, .. })
    ));
    assert!(matches!(
        resize::nearest_transpose(&good, &[0.0f32; 24], &mut [0.0; 5]),
        Err(Error::Length { argument: "dx", expected: 6, found: 5, .. })
    ));
    assert!(matches!(
        resize::bilinear_transpose(&good, &[0.0f32; 23], &mut [0.0; 6]),
        Err(Error::Length { argument: "dy", expected: 24, found: 23, .. })
    ));
}
