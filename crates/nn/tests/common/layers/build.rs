//! The table of layers: what each name in the reference tables is built from.

use std::sync::Arc;

use pullback_core_graph::Var;
use pullback_nn::activation::Activation;
use pullback_nn::arithmetic::Window;
use pullback_nn::kernel::pool::Divisor;
use pullback_nn::layer::*;
use pullback_nn::ops::Conv2dOptions;
use pullback_nn::parameters::Scope;
use pullback_nn::{Initialization, Layer, Result};

use super::{Forward, recurrent};

/// A layer of one input.
pub(crate) fn one(layer: impl Layer + 'static) -> Forward {
    Arc::new(move |p, x: &[Var<'_>]| layer.forward(p, x[0]))
}

const ZERO: Initialization = Initialization::Constant(0.0);

fn conv(inputs: usize, outputs: usize, kernel: [usize; 2], options: Conv2dOptions) -> Conv2dSpec {
    Conv2dSpec { kernel, options, ..Conv2dSpec::same(inputs, outputs, 1) }
}

fn options(stride: [usize; 2], padding: [usize; 2]) -> Conv2dOptions {
    Conv2dOptions { stride, padding, ..Conv2dOptions::default() }
}

fn transposed(inputs: usize, outputs: usize, windows: [Window; 2]) -> ConvTranspose2dSpec {
    ConvTranspose2dSpec { windows, ..ConvTranspose2dSpec::double(inputs, outputs) }
}

fn resize(size: [usize; 2], interpolation: Interpolation) -> Forward {
    one(Resize { size, interpolation })
}

fn average(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2], d: Divisor) -> Forward {
    one(AveragePool2d { stride, padding, divisor: d, ..AveragePool2d::new(kernel) })
}

/// The layer of this name, with its parameters in `root`.
pub(crate) fn build(name: &str, mut root: Scope<'_>) -> Result<Forward> {
    let r = &mut root;
    if let Some(activation) = activation(name) {
        return Ok(one(activation));
    }
    Ok(match name {
        "prelu" => one(Prelu::new(r, 1)?),
        "prelu, channels" => one(Prelu::new(r, 4)?),
        "linear" => one(Linear::new(r, 4, 5, ZERO)?),
        "linear without bias" => one(Linear::without_bias(r, 4, 2, ZERO)?),
        "linear on a batch" => one(Linear::new(r, 4, 2, ZERO)?),
        "embedding" => one(Embedding::new(r, 5, 3)?),
        "embedding with padding" => one(Embedding::new(r, 5, 3)?.with_padding(2)),
        "residual" => {
            let body = Conv2d::new(&mut r.scope("body"), Conv2dSpec::same(2, 3, 3))?;
            let spec = Conv2dSpec { bias: false, ..Conv2dSpec::same(2, 3, 1) };
            let skip = Conv2d::new(&mut r.scope("skip"), spec)?;
            one(Residual::new(body).with_skip(skip).then(Activation::Tanh))
        }
        "a small network, training" => {
            let spec = conv(1, 2, [3, 3], options([2, 2], [1, 1]));
            one(Sequential::new()
                .then(Conv2d::new(&mut r.scope("conv"), spec)?)
                .then(BatchNorm2d::new(&mut r.scope("norm"), 2, Default::default())?)
                .then(Activation::Gelu)
                .then(AveragePool2d::new([2, 2]))
                .then(Flatten)
                .then(Linear::new(&mut r.scope("head"), 4, 3, ZERO)?))
        }
        _ if name.contains("_norm") => norm(name, r)?,
        _ if name.contains("conv") => convolution(name, r)?,
        _ if name.contains("pool") || name.contains("resize") => pixels(name),
        _ => sequence(name, r)?,
    })
}

fn activation(name: &str) -> Option<Activation> {
    Some(match name {
        "relu" => Activation::Relu,
        "relu6" => Activation::Relu6,
        "leaky_relu" => Activation::LeakyRelu { slope: 0.1 },
        "elu" => Activation::Elu { alpha: 1.5 },
        "selu" => Activation::Selu,
        "celu" => Activation::Celu { alpha: 1.5 },
        "gelu" => Activation::Gelu,
        "gelu_tanh" => Activation::GeluTanh,
        "silu" => Activation::Silu,
        "mish" => Activation::Mish,
        "softplus" => Activation::Softplus,
        "log_sigmoid" => Activation::LogSigmoid,
        "softsign" => Activation::Softsign,
        "tanhshrink" => Activation::Tanhshrink,
        "hardshrink" => Activation::Hardshrink { lambda: 0.75 },
        "softshrink" => Activation::Softshrink { lambda: 0.75 },
        "threshold" => Activation::Threshold { threshold: -0.5, value: 1.5 },
        "hardtanh" => Activation::Hardtanh { low: -1.5, high: 2.0 },
        "hardsigmoid" => Activation::Hardsigmoid,
        "hardswish" => Activation::Hardswish,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "softmax" => Activation::Softmax { axis: 1 },
        "log_softmax" => Activation::LogSoftmax { axis: -1 },
        "glu" => Activation::Glu { axis: 1 },
        _ => return None,
    })
}

fn norm(name: &str, r: &mut Scope<'_>) -> Result<Forward> {
    let spec = BatchNormSpec::default();
    let wide = BatchNormSpec { epsilon: 1e-3, ..spec };
    Ok(match name {
        "batch_norm1d, training" | "batch_norm1d, evaluation" => one(BatchNorm1d::new(r, 3, spec)?),
        "batch_norm1d of sequences, training" => {
            one(BatchNorm1d::new(r, 3, BatchNormSpec { momentum: 0.3, ..wide })?)
        }
        "batch_norm2d, training" => one(BatchNorm2d::new(r, 2, spec)?),
        "batch_norm2d, evaluation" => one(BatchNorm2d::new(r, 2, wide)?),
        "batch_norm2d without affine, training" => {
            one(BatchNorm2d::new(r, 2, BatchNormSpec { affine: false, ..spec })?)
        }
        "layer_norm" => one(LayerNorm::new(r, &[5])?),
        "layer_norm of two axes" => one(LayerNorm::new(r, &[3, 4])?),
        "layer_norm without affine" => one(LayerNorm::with_epsilon(r, &[4], 1e-3, false)?),
        "rms_norm" => one(RmsNorm::new(r, &[5])?),
        "rms_norm of two axes" => one(RmsNorm::with_epsilon(r, &[3, 4], 1e-3)?),
        "group_norm" => one(GroupNorm::new(r, 2, 4)?),
        "group_norm of one group" => one(GroupNorm::with_epsilon(r, 1, 3, 1e-3, true)?),
        "instance_norm2d" => one(InstanceNorm2d::new(r, 2, false)?),
        "instance_norm2d with affine" => one(InstanceNorm2d::new(r, 2, true)?),
        _ => panic!("no layer `{name}`"),
    })
}

fn convolution(name: &str, r: &mut Scope<'_>) -> Result<Forward> {
    let window = Window::new;
    let long = |inputs, outputs, window, groups, bias| Conv1dSpec {
        window,
        groups,
        bias,
        ..Conv1dSpec::same(inputs, outputs, 3)
    };
    let long_transposed =
        |inputs, outputs, window, output_padding, groups, bias| ConvTranspose1dSpec {
            inputs,
            outputs,
            window,
            output_padding,
            groups,
            bias,
            initialization: ZERO,
        };
    Ok(match name {
        "conv2d" => one(Conv2d::new(r, Conv2dSpec::same(2, 3, 3))?),
        "conv2d 1x1" => {
            one(Conv2d::new(r, Conv2dSpec { bias: false, ..Conv2dSpec::same(3, 2, 1) })?)
        }
        "conv2d stride 2 on 6x5" => {
            one(Conv2d::new(r, conv(2, 3, [3, 3], options([2, 2], [1, 1])))?)
        }
        "conv2d stride 3 that does not fit" => {
            one(Conv2d::new(r, conv(1, 2, [3, 3], options([3, 3], [0, 0])))?)
        }
        "conv2d even kernel" => one(Conv2d::new(r, conv(2, 2, [2, 4], options([1, 1], [1, 2])))?),
        "conv2d groups, dilation" => {
            let odd = Conv2dOptions { dilation: [1, 2], groups: 2, ..options([2, 1], [0, 2]) };
            one(Conv2d::new(r, conv(4, 6, [3, 2], odd))?)
        }
        "conv2d depthwise" => one(Conv2d::new(r, Conv2dSpec::depthwise(3, 2, 3))?),
        "conv2d rectified" => {
            one(Conv2d::new(&mut r.scope("conv"), Conv2dSpec::same(2, 3, 3).rectified())?)
        }
        "separable_conv2d" => one(SeparableConv2d::new(r, 3, 2, 3)?),
        "conv_transpose2d" => one(ConvTranspose2d::new(r, ConvTranspose2dSpec::double(2, 3))?),
        "conv_transpose2d output padding" => {
            let windows = [window(3).stride(2).padding(1), window(3).stride(3)];
            let spec = ConvTranspose2dSpec { output_padding: [1, 2], ..transposed(2, 2, windows) };
            one(ConvTranspose2d::new(r, spec)?)
        }
        "conv_transpose2d output padding beyond the stride" => {
            let windows = [window(3).padding(1).dilation(3), window(2).stride(2).dilation(4)];
            let spec = ConvTranspose2dSpec { output_padding: [2, 3], ..transposed(2, 2, windows) };
            one(ConvTranspose2d::new(r, spec)?)
        }
        "conv_transpose2d groups, dilation" => {
            let windows = [window(2).padding(1).dilation(2), window(3).padding(1)];
            let spec = ConvTranspose2dSpec { groups: 2, bias: false, ..transposed(4, 2, windows) };
            one(ConvTranspose2d::new(r, spec)?)
        }
        "conv1d" => one(Conv1d::new(r, Conv1dSpec::same(2, 3, 3))?),
        "conv1d groups, dilation" => {
            let window = window(3).stride(2).padding(2).dilation(2);
            one(Conv1d::new(r, long(4, 2, window, 2, false))?)
        }
        "conv_transpose1d" => {
            let window = window(3).stride(2).padding(1);
            one(ConvTranspose1d::new(r, long_transposed(2, 3, window, 1, 1, true))?)
        }
        "conv_transpose1d output padding beyond the stride" => {
            let window = window(3).dilation(2);
            one(ConvTranspose1d::new(r, long_transposed(2, 3, window, 1, 1, true))?)
        }
        "conv_transpose1d groups" => {
            one(ConvTranspose1d::new(r, long_transposed(4, 4, window(2).stride(3), 0, 2, false))?)
        }
        _ => panic!("no layer `{name}`"),
    })
}

fn pixels(name: &str) -> Forward {
    let max =
        |kernel, stride, padding| one(MaxPool2d { stride, padding, ..MaxPool2d::new(kernel) });
    match name {
        "max_pool2d 3x3 stride 2" => one(MaxPool2d::default()),
        "max_pool2d non-divisible" => one(MaxPool2d::new([2, 2])),
        "max_pool2d overlapping" => max([2, 3], [1, 2], [0, 1]),
        "average_pool2d non-divisible" => one(AveragePool2d::new([2, 2])),
        "average_pool2d with padding" => average([3, 2], [2, 2], [1, 1], Divisor::Kernel),
        "average_pool2d of pixels" => average([3, 3], [2, 1], [1, 1], Divisor::Pixels),
        "max_pool2d, ceil" => {
            let stride = [2, 3];
            one(MaxPool2d { stride, padding: [1, 0], ceil: true, ..MaxPool2d::new([3, 2]) })
        }
        "average_pool2d, ceil" => {
            let pool =
                AveragePool2d { stride: [2, 3], padding: [1, 1], ..AveragePool2d::new([3, 2]) };
            one(AveragePool2d { ceil: true, ..pool })
        }
        "average_pool2d of pixels, ceil" => {
            let pool =
                AveragePool2d { stride: [3, 2], padding: [0, 1], ..AveragePool2d::new([2, 3]) };
            one(AveragePool2d { ceil: true, divisor: Divisor::Pixels, ..pool })
        }
        "average_pool2d with a fixed divisor" => average([2, 3], [2, 2], [1, 0], Divisor::Fixed(5)),
        "adaptive_max_pool2d" => one(AdaptiveMaxPool2d { size: [3, 2] }),
        "adaptive_max_pool2d to one" => one(AdaptiveMaxPool2d::default()),
        "adaptive_max_pool2d enlarging" => one(AdaptiveMaxPool2d { size: [4, 3] }),
        "adaptive_average_pool2d" => one(AdaptiveAveragePool2d { size: [3, 2] }),
        "adaptive_average_pool2d to one" => one(AdaptiveAveragePool2d::default()),
        "adaptive_average_pool2d enlarging" => one(AdaptiveAveragePool2d { size: [4, 3] }),
        "max_pool1d" => one(MaxPool1d { stride: 2, padding: 1, ..MaxPool1d::new(3) }),
        "max_pool1d, ceil" => one(MaxPool1d { stride: 2, ceil: true, ..MaxPool1d::new(3) }),
        "average_pool1d" => one(AveragePool1d::new(2)),
        "average_pool1d, ceil" => {
            one(AveragePool1d { padding: 1, ceil: true, ..AveragePool1d::new(3) })
        }
        "adaptive_average_pool1d" => one(AdaptiveAveragePool1d { size: 3 }),
        "adaptive_max_pool1d" => one(AdaptiveMaxPool1d { size: 4 }),
        "resize nearest" => resize([3, 7], Interpolation::Nearest),
        "resize bilinear" => resize([3, 7], Interpolation::Bilinear),
        "resize bilinear, doubled" => resize([6, 8], Interpolation::Bilinear),
        "resize bilinear, corners" => resize([3, 7], Interpolation::BilinearCorners),
        "resize bilinear, corners, doubled" => resize([6, 8], Interpolation::BilinearCorners),
        "resize bilinear, corners, to one row" => resize([1, 5], Interpolation::BilinearCorners),
        _ => panic!("no layer `{name}`"),
    }
}

fn sequence(name: &str, r: &mut Scope<'_>) -> Result<Forward> {
    Ok(match name {
        _ if name.starts_with("gru") => recurrent::gru(name, r)?,
        _ if name.starts_with("lstm") => recurrent::lstm(name, r)?,
        "attention" => one(MultiHeadAttention::new(&mut r.scope("attention"), 4, 2)?),
        "attention, causal" => {
            one(MultiHeadAttention::new(&mut r.scope("attention"), 6, 3)?.causal())
        }
        "attention to others" => {
            let attention = MultiHeadAttention::new(&mut r.scope("attention"), 4, 1)?;
            Arc::new(move |p, x| attention.attend(p, [x[0], x[1], x[2]], AttentionMask::default()))
        }
        "attention, masked" => {
            let attention = MultiHeadAttention::new(&mut r.scope("attention"), 4, 2)?;
            Arc::new(move |p, x| {
                let seen = x[3].value()?;
                let mask = AttentionMask { causal: false, seen: Some(&seen) };
                attention.attend(p, [x[0], x[1], x[2]], mask)
            })
        }
        _ => panic!("no layer `{name}`"),
    })
}
