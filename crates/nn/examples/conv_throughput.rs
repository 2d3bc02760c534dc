//! Prints the convolution kernels' throughput in GFLOP/s, for the layers of the robot's networks, of a planner's, and others.
//!
//! A first argument chooses the layers whose names contain it, a second one the passes: `forward`, `input`, `weight` or `gemm`.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use pullback_nn::kernel::bias::{self, ChannelShape};
use pullback_nn::kernel::conv::{self, Conv2dShape, Epilogue};
use pullback_nn::kernel::pool::{self, Pool2dShape};
use pullback_nn::kernel::resize::{self, ResizeShape};

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

fn depthwise(batch: usize, channels: usize, size: [usize; 2]) -> Conv2dShape {
    Conv2dShape { groups: channels, ..layer(batch, channels, channels, size, 3, 1) }
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
        ("4->64 180x140", layer(1, 4, 64, [180, 140], 3, 1)),
        ("16->64 90x70", layer(1, 16, 64, [90, 70], 3, 1)),
        ("31->31 40x40", layer(1, 31, 31, [40, 40], 3, 1)),
        ("64->128 90x70", layer(1, 64, 128, [90, 70], 3, 1)),
        ("64->128 90x70 batch 8", layer(8, 64, 128, [90, 70], 3, 1)),
        ("128->128 90x70", layer(1, 128, 128, [90, 70], 3, 1)),
        ("128->256 45x35", layer(1, 128, 256, [45, 35], 3, 1)),
        ("256->256 45x35", layer(1, 256, 256, [45, 35], 3, 1)),
        ("256->512 45x35", layer(1, 256, 512, [45, 35], 3, 1)),
        ("512->512 45x35", layer(1, 512, 512, [45, 35], 3, 1)),
        ("2->150 28x28 batch 128", layer(128, 2, 150, [28, 28], 3, 1)),
        ("2->10 28x28 batch 128", layer(128, 2, 10, [28, 28], 3, 1)),
        ("10->10 28x28 batch 128", layer(128, 10, 10, [28, 28], 3, 1)),
        ("32->64 s2 90x70 batch 8", layer(8, 32, 64, [90, 70], 3, 2)),
        ("depthwise 32 48x48", depthwise(16, 32, [48, 48])),
        ("depthwise 128 90x70", depthwise(1, 128, [90, 70])),
        ("depthwise 64 45x35", depthwise(16, 64, [45, 35])),
        ("1x1 64->128 90x70", layer(1, 64, 128, [90, 70], 1, 1)),
        ("1x1 64->256 56x56", layer(1, 64, 256, [56, 56], 1, 1)),
        ("1x1 128->128 45x35", layer(1, 128, 128, [45, 35], 1, 1)),
        ("1x1 512->512 14x14 batch 8", layer(8, 512, 512, [14, 14], 1, 1)),
        ("1x1 256->512 45x35", layer(1, 256, 512, [45, 35], 1, 1)),
        ("1x1 150->1 28x28 batch 128", layer(128, 150, 1, [28, 28], 1, 1)),
    ];
    println!("{} threads; GFLOP/s", rayon::current_num_threads());
    println!("{:<26} {:>9} {:>9} {:>9} {:>9}", "layer", "forward", "input", "weight", "gemm");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let pass = std::env::args().nth(2).unwrap_or_default();
    let best = |name: &str, f: &mut dyn FnMut()| {
        if pass.is_empty() || pass == name { best(f) } else { f64::NAN }
    };
    for (name, shape) in layers.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let (x, w) = (values(shape.input_len()), values(shape.weight_len()));
        let output = shape.output_len().unwrap_or(0);
        let (dy, bias) = (values(output), values(shape.out_channels));
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
        let epilogue = Epilogue { bias: Some(&bias[..]), relu: true };
        let gflop = shape.flops().unwrap_or(0) as f64 * 1e-9;
        let times = [
            best("forward", &mut || {
                conv::forward_fused(&shape, &x, &w, epilogue, &mut y).unwrap_or(());
            }),
            best("input", &mut || {
                conv::input_gradient(&shape, &dy, &w, &mut dx).unwrap_or(());
            }),
            best("weight", &mut || {
                conv::weight_gradient(&shape, &x, &dy, &mut dw).unwrap_or(());
            }),
            match &*pass {
                "" | "gemm" => gemm(&shape, output).unwrap_or(f64::NAN),
                _ => f64::NAN,
            },
        ];
        print!("{name:<26}");
        for time in times {
            print!(" {:>9.1}", gflop / time);
        }
        println!("   {:>6.0} {:>6.0} {:>6.0} us", times[0] * 1e6, times[1] * 1e6, times[2] * 1e6);
    }
    if wanted.is_empty() {
        other_kernels();
    }
}

/// The matrix product alone that the forward pass would be after building the matrix of patches: a bound on what any
/// such method can reach.
fn gemm(shape: &Conv2dShape, output: usize) -> candle_core::Result<f64> {
    use candle_core::{Device, Tensor};
    let depth = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let pixels = output / shape.out_channels;
    let a = Tensor::from_vec(
        values(shape.out_channels * depth),
        (shape.out_channels, depth),
        &Device::Cpu,
    )?;
    let b = Tensor::from_vec(values(depth * pixels), (depth, pixels), &Device::Cpu)?;
    a.matmul(&b)?;
    Ok(best(|| drop(a.matmul(&b))))
}

fn other_kernels() {
    let pool = Pool2dShape {
        planes: 128,
        size: [48, 48],
        kernel: [3; 2],
        stride: [2; 2],
        padding: [1; 2],
        ceil: false,
    };
    let resize = ResizeShape { planes: 128, from: [24, 24], to: [48, 48] };
    let channels = ChannelShape { batch: 16, channels: 8, pixels: 48 * 48 };
    let (x, small) = (values(128 * 48 * 48), values(128 * 24 * 24));
    let (mut y, mut down, mut db) = (x.clone(), small.clone(), vec![0.0; 8]);
    let mut index = vec![0; down.len()];
    let times = [
        (
            "max pool 3x3 s2, 128 planes 48x48",
            best(|| pool::maximum(&pool, &x, &mut down, &mut index).unwrap_or(())),
        ),
        ("its pull", best(|| pool::scatter_add(&pool, &index, &small, &mut y).unwrap_or(()))),
        (
            "bilinear x2, 128 planes to 48x48",
            best(|| resize::bilinear(&resize, &small, &mut y).unwrap_or(())),
        ),
        ("its pull", best(|| resize::bilinear_transpose(&resize, &x, &mut down).unwrap_or(()))),
        (
            "bias gradient, 16x8x48x48",
            best(|| bias::bias_gradient(&channels, &x, &mut db).unwrap_or(())),
        ),
        ("relu, 16x8x48x48", best(|| bias::relu(&x, &mut y).unwrap_or(()))),
    ];
    for (name, time) in times {
        println!("{name:<36} {:>8.1} us", time * 1e6);
    }
}
