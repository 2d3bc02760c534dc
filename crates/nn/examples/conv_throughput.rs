//! Prints the convolution kernels' throughput in GFLOP/s, for each layer of the robot's quick network and a large layer.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use pullback_nn::kernel::conv::{self, Conv2dShape, Epilogue};

fn layer(
    batch: usize,
    cin: usize,
    cout: usize,
    size: [usize; 2],
    kernel: usize,
    stride: usize,
) -> Conv2dShape {
    Conv2dShape {
        padding: [kernel / 2; 2],
        stride: [stride; 2],
        ..Conv2dShape::new(batch, cin, cout, size, [kernel; 2])
    }
}

fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn best(mut f: impl FnMut()) -> f64 {
    f();
    let started = Instant::now();
    f();
    let once = started.elapsed().as_secs_f64();
    let repeats = (0.15 / once).clamp(3.0, 2000.0) as usize;
    (0..repeats)
        .map(|_| {
            let started = Instant::now();
            f();
            started.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let layers = [
        ("stem 1->8 48x48", layer(16, 1, 8, [48, 48], 3, 1)),
        ("8->16 24x24", layer(16, 8, 16, [24, 24], 3, 1)),
        ("16->16 24x24", layer(16, 16, 16, [24, 24], 3, 1)),
        ("1x1 8->16 24x24", layer(16, 8, 16, [24, 24], 1, 1)),
        ("16->24 12x12", layer(16, 16, 24, [12, 12], 3, 1)),
        ("24->24 12x12", layer(16, 24, 24, [12, 12], 3, 1)),
        ("24->32 12x12", layer(16, 24, 32, [12, 12], 3, 1)),
        ("32->32 12x12", layer(16, 32, 32, [12, 12], 3, 1)),
        ("head 40->24 12x12", layer(16, 40, 24, [12, 12], 3, 1)),
        ("head 24->16 12x12", layer(16, 24, 16, [12, 12], 3, 1)),
        ("head 16->8 24x24", layer(16, 16, 8, [24, 24], 3, 1)),
        ("head 1x1 8->2 48x48", layer(16, 8, 2, [48, 48], 1, 1)),
        ("64->128 90x70 batch 1", layer(1, 64, 128, [90, 70], 3, 1)),
        ("64->128 90x70 batch 8", layer(8, 64, 128, [90, 70], 3, 1)),
        ("256->256 45x35 batch 1", layer(1, 256, 256, [45, 35], 3, 1)),
        ("32->64 s2 90x70 batch 8", layer(8, 32, 64, [90, 70], 3, 2)),
        (
            "depthwise 32 48x48",
            Conv2dShape {
                groups: 32,
                padding: [1; 2],
                ..Conv2dShape::new(16, 32, 32, [48, 48], [3, 3])
            },
        ),
    ];
    println!(
        "{:<26} {:>9} {:>9} {:>9}   GFLOP/s, {} threads",
        "layer",
        "forward",
        "input",
        "weight",
        rayon::current_num_threads()
    );
    for (name, shape) in layers {
        let (x, w) = (values(shape.input_len()), values(shape.weight_len()));
        let output = shape.output_len().unwrap_or(0);
        let (dy, bias) = (values(output), values(shape.out_channels));
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
        let epilogue = Epilogue { bias: Some(&bias[..]), relu: true };
        let flops = shape.flops().unwrap_or(0) as f64 * 1e-9;
        let forward = best(|| conv::forward_fused(&shape, &x, &w, epilogue, &mut y).unwrap_or(()));
        let input = best(|| conv::input_gradient(&shape, &dy, &w, &mut dx).unwrap_or(()));
        let weight = best(|| conv::weight_gradient(&shape, &x, &dy, &mut dw).unwrap_or(()));
        println!(
            "{name:<26} {:>9.1} {:>9.1} {:>9.1}   ({:.0} {:.0} {:.0} us)",
            flops / forward,
            flops / input,
            flops / weight,
            forward * 1e6,
            input * 1e6,
            weight * 1e6
        );
    }
}
