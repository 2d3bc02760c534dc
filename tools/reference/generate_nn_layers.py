#!/usr/bin/env python3
"""Writes the reference tables of nn's layers: crates/nn/tests/data/layers_{features,images,sequences}.json.

    python3 -m venv target/peers-venv
    target/peers-venv/bin/pip install -r benches/peers/requirements.txt
    target/peers-venv/bin/python tools/reference/generate_nn_layers.py

Each case is one PyTorch module in double precision: its parameters (PyTorch's names), buffers before and after, inputs, the output,
and the gradients of the sum of output times cotangent with respect to parameters and inputs. No input lies near a corner of the
case's function or near a tie, so that the derivative laws can be tested at the same points.
"""

import json
import pathlib
import zlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"
CONVENTIONS = [
    "Tensors are {shape, data}, row-major. Names of parameters and buffers are PyTorch's.",
    "gradients and input_gradients: of the sum of output·cotangent; null for inputs of integers.",
    "buffers_after: after one forward pass in training mode; absent in evaluation mode.",
]


def random_of(name):
    """A generator that depends on the case's name only, so that cases can be added and reordered."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def tensor(value):
    if value is None:
        return None
    array = value.detach().numpy()
    if array.dtype.kind in "iu":
        return {"shape": list(array.shape), "data": [int(v) for v in array.reshape(-1)]}
    if not np.isfinite(array).all():
        raise ArithmeticError("a reference number is not finite")
    return {"shape": list(array.shape), "data": [float(v) + 0.0 for v in array.reshape(-1)]}


def uniform(random, shape, low=-2.0, high=2.0):
    """Short decimals, which keep the file small and still are no round numbers in binary."""
    return torch.tensor(np.round(random.uniform(low, high, size=shape), 3))


def away(random, shape, corners, margin=0.25):
    """Numbers at least `margin` away from every corner."""
    x = random.uniform(-5.0, 5.0, size=shape)
    for corner in corners:
        near = np.abs(x - corner) < margin
        x = np.where(near, corner + np.where(x < corner, -margin, margin) + (x - corner), x)
    return torch.tensor(np.round(x, 3))


def separated(random, shape):
    """Numbers 0.3 apart in a random order: no ties, and no step of a test changes an order."""
    n = int(np.prod(shape))
    return torch.tensor(np.round(random.permutation(n) * 0.3 - 0.15 * n, 3).reshape(shape))


def case(name, module, *inputs, training=False, scale=1.0, keep=()):
    """`module`: a Module, or a function of inputs. `inputs`: tensors, shapes, or functions of the generator."""
    random = random_of(name)
    x = []
    for value in inputs:
        if callable(value):
            value = value(random)
        x.append(uniform(random, value) if isinstance(value, (tuple, list)) else value)
    real = isinstance(module, nn.Module)
    parameters, buffers = {}, {}
    if real:
        module.train(training)
        for key, parameter in module.named_parameters():
            if key not in keep:
                parameter.data = uniform(random, parameter.shape, -scale, scale)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                parameter.data[module.padding_idx] = 0.0  # as PyTorch makes it, and never moves it
            parameters[key] = parameter
        for key, buffer in module.named_buffers():
            if key.endswith("running_var"):
                buffer.copy_(uniform(random, buffer.shape, 0.5, 1.5))
            elif key.endswith("running_mean"):
                buffer.copy_(uniform(random, buffer.shape, -0.5, 0.5))
            else:
                continue
            buffers[key] = tensor(buffer.clone())
    x = [v.requires_grad_() if v.is_floating_point() else v for v in x]
    y = module(*x)
    cotangent = uniform(random, y.shape, -1.0, 1.0)
    wanted = [v for v in x if v.requires_grad]
    gradients = torch.autograd.grad((y * cotangent).sum(), [*parameters.values(), *wanted])
    split = len(parameters)
    of_inputs = iter(gradients[split:])
    entry = {
        "name": name,
        "training": training,
        "inputs": [tensor(v) for v in x],
        "parameters": {key: tensor(v) for key, v in parameters.items()},
        "buffers": buffers,
        "output": tensor(y),
        "cotangent": tensor(cotangent),
        "gradients": dict(zip(parameters, map(tensor, gradients[:split]))),
        "input_gradients": [tensor(next(of_inputs)) if v.requires_grad else None for v in x],
    }
    if training and buffers:
        after = dict(module.named_buffers())
        entry["buffers_after"] = {key: tensor(after[key]) for key in buffers}
    return entry


def corners(*points):
    return lambda random: away(random, (3, 4), points)


def separate(*shape):
    return lambda random: separated(random, shape)


def symbols(shape, n):
    return lambda random: torch.tensor(random.integers(0, n, size=shape))


def features():
    yield case("relu", F.relu, corners(0))
    yield case("relu6", F.relu6, corners(0, 6))
    yield case("leaky_relu", lambda x: F.leaky_relu(x, 0.1), corners(0))
    yield case("elu", lambda x: F.elu(x, 1.5), corners(0))
    yield case("selu", F.selu, corners(0))
    yield case("celu", lambda x: F.celu(x, 1.5), corners(0))
    yield case("gelu", F.gelu, corners())
    yield case("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), corners())
    yield case("silu", F.silu, corners())
    yield case("mish", F.mish, corners())
    yield case("softplus", F.softplus, corners())
    yield case("log_sigmoid", F.logsigmoid, corners())
    yield case("softsign", F.softsign, corners(0))
    yield case("tanhshrink", F.tanhshrink, corners())
    yield case("hardshrink", lambda x: F.hardshrink(x, 0.75), corners(-0.75, 0.75))
    yield case("softshrink", lambda x: F.softshrink(x, 0.75), corners(-0.75, 0.75))
    yield case("threshold", lambda x: F.threshold(x, -0.5, 1.5), corners(-0.5))
    yield case("hardtanh", lambda x: F.hardtanh(x, -1.5, 2.0), corners(-1.5, 2))
    # F.hardsigmoid's backward pass holds 1/6 in single precision (3e-8 off), so by its definition.
    yield case("hardsigmoid", lambda x: F.relu6(x + 3) / 6, corners(-3, 3))
    yield case("hardswish", F.hardswish, corners(-3, 3))
    yield case("sigmoid", F.sigmoid, corners())
    yield case("tanh", F.tanh, corners())
    yield case("softmax", lambda x: F.softmax(x, 1), (2, 3, 4))
    yield case("log_softmax", lambda x: F.log_softmax(x, -1), (3, 4))
    yield case("glu", lambda x: F.glu(x, 1), (2, 4, 3))
    yield case("prelu", nn.PReLU(1), corners(0))
    yield case("prelu, channels", nn.PReLU(4), corners(0))
    yield case("linear", nn.Linear(4, 5), (3, 4))
    yield case("linear without bias", nn.Linear(4, 2, bias=False), (3, 4))
    yield case("linear on a batch", nn.Linear(4, 2), (2, 3, 4))
    yield case("batch_norm1d, training", nn.BatchNorm1d(3), (5, 3), training=True)
    yield case("batch_norm1d of sequences, training", nn.BatchNorm1d(3, eps=1e-3, momentum=0.3), (2, 3, 4), training=True)
    yield case("batch_norm1d, evaluation", nn.BatchNorm1d(3), (4, 3))
    yield case("layer_norm", nn.LayerNorm(5), (2, 3, 5))
    yield case("layer_norm of two axes", nn.LayerNorm((3, 4)), (2, 3, 4))
    yield case("layer_norm without affine", nn.LayerNorm(4, eps=1e-3, elementwise_affine=False), (3, 4))
    yield case("rms_norm", nn.RMSNorm(5, eps=1e-6), (2, 3, 5))
    yield case("rms_norm of two axes", nn.RMSNorm((3, 4), eps=1e-3), (2, 3, 4))
    yield case("embedding", nn.Embedding(5, 3), symbols((2, 4), 5))
    yield case("embedding with padding", nn.Embedding(5, 3, padding_idx=2), symbols((6, 2), 5))


class Skip(nn.Module):
    """tanh(skip(x) + body(x))."""

    def __init__(self, body, skip):
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x):
        return torch.tanh(self.skip(x) + self.body(x))


class Separable(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
        self.pointwise = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Rectified(nn.Module):
    """A convolution whose channels stay on one side of the corner each."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.conv.bias.data = torch.tensor([30.0, -30.0, 30.0])

    def forward(self, x):
        return F.relu(self.conv(x))


class Small(nn.Module):
    """Convolution, normalization, activation, pooling and an affine map."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.gelu(self.norm(self.conv(x)))
        return self.head(F.avg_pool2d(x, 2).flatten(1))


def images():
    yield case("conv2d", nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 5))
    yield case("conv2d 1x1", nn.Conv2d(3, 2, 1, bias=False), (1, 3, 3, 4))
    yield case("conv2d stride 2 on 6x5", nn.Conv2d(2, 3, 3, stride=2, padding=1), (1, 2, 6, 5))
    yield case("conv2d stride 3 that does not fit", nn.Conv2d(1, 2, 3, stride=3), (1, 1, 7, 8))
    yield case("conv2d even kernel", nn.Conv2d(2, 2, (2, 4), padding=(1, 2)), (1, 2, 4, 5))
    yield case("conv2d groups, dilation", nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(0, 2), dilation=(1, 2), groups=2), (1, 4, 7, 5))
    yield case("conv2d depthwise", nn.Conv2d(3, 6, 3, padding=1, groups=3), (1, 3, 4, 5))
    yield case("conv2d rectified", Rectified(), (1, 2, 3, 4), keep=("conv.bias",))
    yield case("separable_conv2d", Separable(), (1, 3, 4, 4))
    yield case("conv_transpose2d", nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), (1, 2, 3, 2))
    yield case("conv_transpose2d output padding", nn.ConvTranspose2d(2, 2, 3, stride=(2, 3), padding=(1, 0), output_padding=(1, 2)), (1, 2, 3, 2))
    yield case("conv_transpose2d groups, dilation", nn.ConvTranspose2d(4, 2, (2, 3), padding=(1, 1), dilation=(2, 1), groups=2, bias=False), (1, 4, 3, 3))
    yield case("conv_transpose2d output padding beyond the stride", nn.ConvTranspose2d(2, 2, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(3, 4), output_padding=(2, 3)), (1, 2, 3, 2))
    yield case("max_pool2d 3x3 stride 2", lambda x: F.max_pool2d(x, 3, 2, 1), separate(1, 2, 7, 6))
    yield case("max_pool2d non-divisible", lambda x: F.max_pool2d(x, 2), separate(1, 2, 5, 7))
    yield case("max_pool2d overlapping", lambda x: F.max_pool2d(x, (2, 3), (1, 2), (0, 1)), separate(1, 2, 5, 4))
    yield case("max_pool2d, ceil", lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 0), ceil_mode=True), separate(1, 2, 6, 7))
    yield case("average_pool2d, ceil", lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True), (1, 2, 6, 6))
    yield case("average_pool2d of pixels, ceil", lambda x: F.avg_pool2d(x, (2, 3), (3, 2), (0, 1), ceil_mode=True, count_include_pad=False), (1, 2, 6, 4))
    yield case("average_pool2d with a fixed divisor", lambda x: F.avg_pool2d(x, (2, 3), 2, (1, 0), divisor_override=5), (1, 2, 5, 6))
    yield case("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, (3, 2)), separate(1, 2, 7, 5))
    yield case("adaptive_max_pool2d to one", lambda x: F.adaptive_max_pool2d(x, 1), separate(2, 2, 3, 4))
    yield case("adaptive_max_pool2d enlarging", lambda x: F.adaptive_max_pool2d(x, (4, 3)), separate(1, 1, 3, 2))
    yield case("average_pool2d non-divisible", lambda x: F.avg_pool2d(x, 2), (1, 2, 5, 7))
    yield case("average_pool2d with padding", lambda x: F.avg_pool2d(x, (3, 2), 2, (1, 1)), (1, 2, 5, 6))
    yield case("average_pool2d of pixels", lambda x: F.avg_pool2d(x, 3, (2, 1), 1, count_include_pad=False), (1, 2, 5, 4))
    yield case("adaptive_average_pool2d", lambda x: F.adaptive_avg_pool2d(x, (3, 2)), (1, 2, 7, 5))
    yield case("adaptive_average_pool2d to one", lambda x: F.adaptive_avg_pool2d(x, 1), (2, 2, 3, 4))
    yield case("adaptive_average_pool2d enlarging", lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (1, 1, 3, 2))
    yield case("resize nearest", lambda x: F.interpolate(x, (3, 7)), (1, 2, 5, 4))
    yield case("resize bilinear", lambda x: F.interpolate(x, (3, 7), mode="bilinear"), (1, 2, 5, 4))
    yield case("resize bilinear, doubled", lambda x: F.interpolate(x, (6, 8), mode="bilinear"), (1, 1, 3, 4))
    yield case("resize bilinear, corners", lambda x: F.interpolate(x, (3, 7), mode="bilinear", align_corners=True), (1, 2, 5, 4))
    yield case("resize bilinear, corners, doubled", lambda x: F.interpolate(x, (6, 8), mode="bilinear", align_corners=True), (1, 1, 3, 4))
    yield case("resize bilinear, corners, to one row", lambda x: F.interpolate(x, (1, 5), mode="bilinear", align_corners=True), (1, 1, 3, 4))
    yield case("batch_norm2d, training", nn.BatchNorm2d(2), (2, 2, 3, 2), training=True)
    yield case("batch_norm2d, evaluation", nn.BatchNorm2d(2, eps=1e-3), (2, 2, 3, 2))
    yield case("batch_norm2d without affine, training", nn.BatchNorm2d(2, affine=False), (1, 2, 3, 3), training=True)
    yield case("group_norm", nn.GroupNorm(2, 4), (2, 4, 2, 3))
    yield case("group_norm of one group", nn.GroupNorm(1, 3, eps=1e-3), (2, 3, 4))
    yield case("instance_norm2d", nn.InstanceNorm2d(2), (2, 2, 3, 3))
    yield case("instance_norm2d with affine", nn.InstanceNorm2d(2, affine=True), (2, 2, 2, 3))
    yield case("residual", Skip(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1, bias=False)), (1, 2, 3, 4))
    yield case("a small network, training", Small(), (3, 1, 8, 5), training=True)


class Cell(nn.Module):
    """Hidden and cell state beside each other."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 2)

    def forward(self, x, h, c):
        return torch.cat(self.cell(x, (h, c)), 1)


class Sequence(nn.Module):
    """All states of a recurrent layer, from zeros or from given ones."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def run(self, x, start):
        return self.layer(x, (start if len(start) > 1 else start[0]) if start else None)

    def forward(self, x, *start):
        return self.run(x, start)[0]


class Ends(Sequence):
    """The last states of all layers and directions, h and c beside each other."""

    def forward(self, x, *start):
        last = self.run(x, start)[1]
        return torch.cat(last, 2) if isinstance(last, tuple) else last


class Attention(nn.Module):
    def __init__(self, features, heads, causal=False):
        super().__init__()
        self.attention, self.causal = nn.MultiheadAttention(features, heads, batch_first=True), causal

    def forward(self, x, keys=None, values=None, seen=None):
        keys, values = (x, x) if keys is None else (keys, values)
        mask = None
        if self.causal:
            mask = torch.triu(torch.ones(x.shape[1], keys.shape[1], dtype=torch.bool), 1)
        if seen is not None:
            mask = seen == 0
        return self.attention(x, keys, values, attn_mask=mask, need_weights=False)[0]


def sequences():
    yield case("conv1d", nn.Conv1d(2, 3, 3, padding=1), (2, 2, 5))
    yield case("conv1d groups, dilation", nn.Conv1d(4, 2, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), (1, 4, 7))
    yield case("conv_transpose1d", nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 2, 4))
    yield case("conv_transpose1d groups", nn.ConvTranspose1d(4, 4, 2, stride=3, groups=2, bias=False), (1, 4, 3))
    yield case("conv_transpose1d output padding beyond the stride", nn.ConvTranspose1d(2, 3, 3, dilation=2, output_padding=1), (2, 2, 4))
    yield case("max_pool1d", lambda x: F.max_pool1d(x, 3, 2, 1), separate(2, 2, 6))
    yield case("average_pool1d", lambda x: F.avg_pool1d(x, 2, 2), (2, 2, 5))
    yield case("max_pool1d, ceil", lambda x: F.max_pool1d(x, 3, 2, ceil_mode=True), separate(1, 2, 6))
    yield case("average_pool1d, ceil", lambda x: F.avg_pool1d(x, 3, 3, 1, ceil_mode=True), (1, 2, 6))
    yield case("adaptive_average_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3), (2, 2, 7))
    yield case("adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 4), separate(2, 2, 7))
    yield case("gru cell", nn.GRUCell(3, 2), (2, 3), (2, 2))
    yield case("lstm cell", Cell(), (2, 3), (2, 2), (2, 2))
    yield case("gru", Sequence(nn.GRU(3, 4, batch_first=True)), (2, 5, 3))
    yield case("gru from a state", Sequence(nn.GRU(2, 3, batch_first=True)), (2, 4, 2), (1, 2, 3))
    yield case("lstm", Sequence(nn.LSTM(3, 4, batch_first=True)), (2, 5, 3))
    yield case("lstm from a state", Sequence(nn.LSTM(2, 3, batch_first=True)), (2, 4, 2), (1, 2, 3), (1, 2, 3))
    both = dict(num_layers=2, bidirectional=True)
    yield case("gru of two layers", Sequence(nn.GRU(3, 2, num_layers=2, batch_first=True)), (2, 3, 3))
    yield case("gru both ways, time first", Sequence(nn.GRU(3, 2, bidirectional=True)), (4, 2, 3))
    yield case("gru of two layers both ways from a state", Sequence(nn.GRU(2, 3, batch_first=True, **both)), (2, 3, 2), (4, 2, 3))
    yield case("gru of two layers both ways, the ends", Ends(nn.GRU(2, 2, batch_first=True, **both)), (2, 3, 2), (4, 2, 2))
    yield case("gru without bias", Sequence(nn.GRU(2, 3, bias=False, batch_first=True)), (2, 3, 2))
    yield case("lstm of three layers", Sequence(nn.LSTM(2, 2, num_layers=3, batch_first=True)), (2, 3, 2))
    yield case("lstm both ways", Sequence(nn.LSTM(3, 2, bidirectional=True, batch_first=True)), (2, 4, 3))
    yield case("lstm of two layers both ways, time first, from a state", Sequence(nn.LSTM(2, 2, **both)), (3, 2, 2), (4, 2, 2), (4, 2, 2))
    yield case("lstm of two layers both ways, the ends", Ends(nn.LSTM(2, 2, batch_first=True, **both)), (2, 3, 2), (4, 2, 2), (4, 2, 2))
    yield case("lstm without bias", Sequence(nn.LSTM(2, 3, bias=False, batch_first=True)), (2, 3, 2))
    yield case("attention", Attention(4, 2), (2, 3, 4))
    yield case("attention, causal", Attention(6, 3, causal=True), (1, 4, 6))
    yield case("attention to others", Attention(4, 1), (2, 3, 4), (2, 5, 4), (2, 5, 4))
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0]])
    yield case("attention, masked", Attention(4, 2), (1, 3, 4), (1, 4, 4), (1, 4, 4), mask)


def write(name, cases):
    """One case a line: compact, and a changed case shows as one changed line."""
    cases = list(cases)
    head = {
        "generator": "tools/reference/generate_nn_layers.py",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "conventions": CONVENTIONS,
    }
    lines = ",\n".join(json.dumps(c, allow_nan=False, separators=(",", ":")) for c in cases)
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "cases": [\n' + lines + "\n ]\n}\n"
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / f"layers_{name}.json").write_text(text)
    print(f"layers_{name}.json: {len(cases)} cases, {len(text) // 1024} kB")


for group in (features, images, sequences):
    write(group.__name__, group())
