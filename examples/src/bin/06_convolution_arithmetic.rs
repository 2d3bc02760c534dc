//! Convolution arithmetic: which windows fit, what comes out, what is learned, and what one output sees; then whole networks as tables,
//! TossingBot's among them.
//!
//! `cargo run --release -p examples --bin 06_convolution_arithmetic`
#![allow(clippy::print_stdout)] // an example talks

use anyhow::Result;
use pullback_core_graph::candle::{DType, Device};
use pullback_nn::arithmetic::{
    ReceptiveField, Window, convolution_parameters, convolution_products,
};
use pullback_nn::layer::{
    Conv2d, Conv2dSpec, ConvTranspose2d, ConvTranspose2dSpec, Flatten, Linear, MaxPool2d,
    ResidualBlock, ResidualOptions, SeparableConv2d, Sequential, Upsample,
};
use pullback_nn::{Activation, Initialization, Layer, Parameters, summary};

fn main() -> Result<()> {
    windows()?;
    counts();
    receptive_fields();
    describe("4. A digit classifier", &[1, 28, 28], digits)?;
    describe("5. TossingBot's perception, on one channel as on the slide", &[1, 180, 140], |p| {
        perception(p, 1)
    })?;
    describe(
        "6. Its grasping head, on 512 features and 128 channels of speed",
        &[640, 45, 35],
        |p| head(p, 2),
    )?;
    describe("7. Up again: a transposed convolution, and a separable one", &[8, 7, 5], decoder)
}

/// output = ⌊(size + 2·padding − filter)/stride⌋ + 1, and what is left over.
fn windows() -> Result<()> {
    println!("1. output = ⌊(size + 2·padding − filter)/stride⌋ + 1\n");
    println!("   size  filter  stride  padding  output");
    for (size, kernel, stride, padding) in [
        (7, 3, 1, 0),
        (7, 3, 2, 0),
        (7, 3, 3, 0),
        (7, 3, 1, 1),
        (7, 5, 1, 2),
        (7, 7, 1, 3),
        (7, 3, 2, 1),
        (32, 5, 1, 0),
        (32, 5, 1, 2),
        (224, 7, 2, 3),
        (227, 11, 4, 0),
        (5, 7, 1, 0),
    ] {
        let answer = match Window::new(kernel).stride(stride).padding(padding).fit(size) {
            Ok(fit) if fit.is_exact() => fit.output.to_string(),
            Ok(fit) => {
                format!("{}, does not fit: {} pixel(s) left over", fit.output, fit.unused)
            }
            Err(error) => format!("none: {error}"),
        };
        println!("   {size:>4}  {kernel:>6}  {stride:>6}  {padding:>7}  {answer}");
    }
    println!();
    Ok(())
}

fn counts() {
    println!("2. What 128 → 128 channels cost on an image of 90×70\n");
    println!("   {:<34}  {:>10}  {:>13}", "", "parameters", "products");
    let size = [90, 70];
    let full = |kernel| {
        let parameters = convolution_parameters(128, 128, [kernel; 2], 1, true);
        (parameters, convolution_products(128, 128, [kernel; 2], 1, size))
    };
    let depthwise = convolution_parameters(128, 128, [3, 3], 128, false);
    let separable =
        (depthwise + full(1).0, convolution_products(128, 128, [3, 3], 128, size) + full(1).1);
    let twice = (2 * full(3).0, 2 * full(3).1);
    for (name, (parameters, products)) in [
        ("one 5×5", full(5)),
        ("two 3×3, which see as much", twice),
        ("one 3×3", full(3)),
        ("one 1×1", full(1)),
        ("3×3 of each channel, then 1×1", separable),
    ] {
        println!("   {name:<34}  {parameters:>10}  {products:>13}");
    }
    println!();
}

fn receptive_fields() {
    println!("3. What one output sees after n convolutions of 3×3\n");
    println!("   n   stride 1   stride 2   dilation 1, 2, 4, …");
    let mut fields = [ReceptiveField::PIXEL; 3];
    for n in 0..6 {
        let window = Window::new(3);
        let windows = [window, window.stride(2), window.dilation(1 << n)];
        for (field, window) in fields.iter_mut().zip(windows) {
            *field = field.through(window);
        }
        let [plain, strided, dilated] = fields.map(|f| f.size);
        println!("   {}   {plain:>8}   {strided:>8}   {dilated:>19}", n + 1);
    }
    println!();
}

/// Prints the table of a network.
fn describe(
    title: &str,
    input: &[usize],
    make: impl FnOnce(&mut Parameters) -> pullback_nn::Result<Sequential>,
) -> Result<()> {
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let network: Box<dyn Layer> = Box::new(make(&mut parameters)?);
    println!("{title}\n");
    for line in summary(&*network, &parameters, input)?.to_string().lines() {
        println!("   {line}");
    }
    println!();
    Ok(())
}

fn digits(p: &mut Parameters) -> pullback_nn::Result<Sequential> {
    let mut root = p.root();
    let wide = Conv2dSpec::same(1, 8, 5);
    Ok(Sequential::new()
        .then(Conv2d::new(&mut root.scope("first"), wide.rectified())?)
        .then(MaxPool2d::new([2, 2]))
        .then(Conv2d::new(&mut root.scope("second"), Conv2dSpec::same(8, 16, 3).rectified())?)
        .then(MaxPool2d::new([2, 2]))
        .then(Flatten)
        .then(Linear::new(&mut root.scope("head"), 16 * 7 * 7, 10, Initialization::Xavier)?)
        .then(Activation::LogSoftmax { axis: -1 }))
}

/// C(3,64), MP, RB(128), MP, RB(256), RB(512).
fn perception(p: &mut Parameters, channels: usize) -> pullback_nn::Result<Sequential> {
    let mut root = p.root();
    let stem = Conv2d::new(&mut root.scope("stem"), Conv2dSpec::same(channels, 64, 3).rectified())?;
    let mut block = |name, inputs, outputs| {
        ResidualBlock::new(&mut root.scope(name), inputs, outputs, ResidualOptions::default())
    };
    Ok(Sequential::new()
        .then(stem)
        .then(MaxPool2d::default())
        .then(block("block1", 64, 128)?)
        .then(MaxPool2d::default())
        .then(block("block2", 128, 256)?)
        .then(block("block3", 256, 512)?))
}

/// RB(256), RB(128), UP, RB(64), UP, C(1, outputs).
fn head(p: &mut Parameters, outputs: usize) -> pullback_nn::Result<Sequential> {
    let mut root = p.root();
    let last = Conv2d::new(&mut root.scope("out"), Conv2dSpec::same(64, outputs, 1))?;
    let mut block = |name, inputs, outputs| {
        ResidualBlock::new(&mut root.scope(name), inputs, outputs, ResidualOptions::default())
    };
    Ok(Sequential::new()
        .then(block("block1", 640, 256)?)
        .then(block("block2", 256, 128)?)
        .then(Upsample::default())
        .then(block("block3", 128, 64)?)
        .then(Upsample::default())
        .then(last))
}

fn decoder(p: &mut Parameters) -> pullback_nn::Result<Sequential> {
    let mut root = p.root();
    Ok(Sequential::new()
        .then(ConvTranspose2d::new(&mut root.scope("up"), ConvTranspose2dSpec::double(8, 4))?)
        .then(Activation::Gelu)
        .then(SeparableConv2d::new(&mut root.scope("mix"), 4, 2, 3)?))
}
