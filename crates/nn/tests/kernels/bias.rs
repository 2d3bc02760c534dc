//! Bias, rectifier and their gradients against naive loops.

use super::common::{close, in_pool, values};
use pullback_nn::Error;
use pullback_nn::kernel::bias::{self, ChannelShape};

fn shapes() -> Vec<ChannelShape> {
    let shape = |batch, channels, pixels| ChannelShape { batch, channels, pixels };
    vec![
        shape(1, 1, 1),
        shape(3, 5, 7),
        shape(2, 4, 129),
        shape(16, 8, 2304),
        shape(0, 3, 4),
        shape(5, 300, 1),
    ]
}

#[test]
fn bias_and_its_gradient_match_the_definition() {
    for s in shapes() {
        let (x, b): (Vec<f64>, Vec<f64>) = (values(1, s.len()), values(2, s.channels));
        let channel = |i: usize| i / s.pixels % s.channels;
        for relu in [false, true] {
            let mut y = x.clone();
            bias::add_bias(&s, &b, relu, &mut y).unwrap();
            for (i, &y) in y.iter().enumerate() {
                let expected = x[i] + b[channel(i)];
                assert_eq!(y, if relu { expected.max(0.0) } else { expected });
            }
        }
        let mut naive = vec![0.0; s.channels];
        x.iter().enumerate().for_each(|(i, &v)| naive[channel(i)] += v);
        let mut db = vec![f64::NAN; s.channels];
        bias::bias_gradient(&s, &x, &mut db).unwrap();
        close("bias_gradient", &s, &db, &naive, 1e-13);

        let narrow: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let mut db = vec![f32::NAN; s.channels];
        bias::bias_gradient(&s, &narrow, &mut db).unwrap();
        let db: Vec<f64> = db.into_iter().map(f64::from).collect();
        close("bias_gradient f32", &s, &db, &naive, 1e-5);
    }
}

#[test]
fn the_rectifier_is_flat_at_zero_and_passes_nan_on() {
    let mut x: Vec<f32> = values(3, 40_000);
    x[..4].copy_from_slice(&[0.0, -0.0, f32::NAN, f32::NEG_INFINITY]);
    let dy: Vec<f32> = values(4, x.len());
    let (mut y, mut dx) = (x.clone(), x.clone());
    bias::relu(&x, &mut y).unwrap();
    bias::relu_gradient(&y, &dy, &mut dx).unwrap();
    assert!(y[2].is_nan());
    assert_eq!(dx[..4], [0.0; 4]);
    for i in 4..x.len() {
        assert_eq!((y[i], dx[i]), if x[i] > 0.0 { (x[i], dy[i]) } else { (0.0, 0.0) });
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for s in shapes() {
        let dy: Vec<f32> = values(5, s.len());
        let run = |threads| {
            in_pool(threads, || {
                let mut db = vec![0.0; s.channels];
                bias::bias_gradient(&s, &dy, &mut db).unwrap();
                db.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{s:?} with {threads} threads");
        }
    }
}

#[test]
fn bad_lengths_are_typed_errors() {
    let s = ChannelShape { batch: 2, channels: 3, pixels: 4 };
    let length = |result: Result<(), Error>, name: &str| match result {
        Err(Error::Length { argument, .. }) => assert_eq!(argument, name),
        other => panic!("{name}: {other:?}"),
    };
    length(bias::add_bias(&s, &[0.0f32; 2], false, &mut [0.0; 24]), "bias");
    length(bias::add_bias(&s, &[0.0f32; 3], false, &mut [0.0; 23]), "y");
    length(bias::bias_gradient(&s, &[0.0f32; 24], &mut [0.0; 4]), "db");
    length(bias::bias_gradient(&s, &[0.0f32; 25], &mut [0.0; 3]), "dy");
    length(bias::relu(&[0.0f32; 2], &mut [0.0; 3]), "y");
    length(bias::relu_gradient(&[0.0f32; 2], &[0.0; 3], &mut [0.0; 2]), "dy");
}
