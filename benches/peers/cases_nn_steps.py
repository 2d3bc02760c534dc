"""Peers of nn: whole training steps on the same parameters and data as benches/src/bin/bench_nn/model.rs.

Parameters are a dictionary in the order of their names, which are ours. The values: the loss, then the gradients, before the first step.
"""

import math

from common import noise, np, sampled, timed, torch


def parameters(shapes):
    """Uniform numbers of variance 1/fan-in, biases in ±0.1; the stream is the place in the order of the names."""
    made = {}
    for stream, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        scale = math.sqrt(3 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        made[name] = torch().from_numpy(noise(stream, shape, scale, np.float32)).requires_grad_()
    return made


def adam_w(p):
    return torch().optim.AdamW(list(p.values()), lr=1e-4)


def training(p, loss, optimizer):
    """measure, check, values of a training step."""
    t = torch()
    first = loss()
    gradients = t.autograd.grad(first, list(p.values()))
    numbers = sampled([first.detach().numpy().reshape(1), *(g.numpy() for g in gradients)])
    last = {"loss": first.detach()}
    del first, gradients

    def step():
        optimizer.zero_grad(set_to_none=True)
        now = loss()
        now.backward()
        optimizer.step()
        last["loss"] = now.detach()

    def measure(reps):
        return timed(step)(reps) if reps else 0.0

    return measure, lambda: float(last["loss"]), lambda: numbers


def conv(shapes, name, inputs, outputs, kernel, bias=True):
    shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
    if bias:
        shapes[f"{name}.bias"] = (outputs,)


def block(shapes, name, inputs, outputs):
    conv(shapes, f"{name}.first", inputs, outputs, 3)
    conv(shapes, f"{name}.second", outputs, outputs, 3)
    if inputs != outputs:
        conv(shapes, f"{name}.skip", inputs, outputs, 1, bias=False)


def robot(size):
    """The loss and its parameters: perception and two heads, TossingBot section V."""
    t = torch()
    f = t.nn.functional
    height, width = size
    shapes = {}
    conv(shapes, "perception.stem", 4, 64, 3)
    for name, inputs, outputs in [("block1", 64, 128), ("block2", 128, 256), ("block3", 256, 512)]:
        block(shapes, f"perception.{name}", inputs, outputs)
    for head, outputs in [("grasp", 2), ("throw", 1)]:
        for name, inputs, wide in [("block1", 640, 256), ("block2", 256, 128), ("block3", 128, 64)]:
            block(shapes, f"{head}.{name}", inputs, wide)
        conv(shapes, f"{head}.out", 64, outputs, 1)
    p = parameters(shapes)
    image = t.from_numpy(noise(1000, (1, 4, height, width), 1.0, np.float32))
    speed = t.full((1, 128, -(-height // 4), -(-width // 4)), 0.5)
    row, column, label = height // 3, width // 4, t.tensor([1])

    def convolved(x, name):
        weight = p[f"{name}.weight"]
        return f.conv2d(x, weight, p.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def residual(x, name):
        change = convolved(convolved(x, f"{name}.first").relu(), f"{name}.second")
        kept = convolved(x, f"{name}.skip") if f"{name}.skip.weight" in p else x
        return (kept + change).relu()

    def pool(x):
        return f.max_pool2d(x, 3, 2, 1)

    def up(x):
        return f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def head(x, name):
        x = up(residual(residual(x, f"{name}.block1"), f"{name}.block2"))
        return convolved(up(residual(x, f"{name}.block3")), f"{name}.out")

    def loss():
        x = pool(convolved(image, "perception.stem").relu())
        x = pool(residual(x, "perception.block1"))
        x = residual(residual(x, "perception.block2"), "perception.block3")
        x = t.cat([x, speed], 1)
        logits, thrown = head(x, "grasp")[:, :, row, column], head(x, "throw")[:, :, row, column]
        return f.cross_entropy(logits, label) + f.huber_loss(thrown, t.full_like(thrown, 0.25))

    optimizer = t.optim.SGD(list(p.values()), lr=1e-4, momentum=0.9, weight_decay=2e-5)
    return p, loss, optimizer


def torch_robot(size):
    return training(*robot(size))


def status(key):
    """A line of /proc/self/status, in KiB."""
    with open("/proc/self/status") as lines:
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def torch_robot_memory(size):
    """The check value: by how many MiB the process grows over what it has before the network is made."""
    torch()
    before = status("VmRSS")
    p, loss, optimizer = robot(size)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return timed(step), lambda: (status("VmHWM") - before) / 1024


def torch_perceptron(batch, sizes):
    t = torch()
    f = t.nn.functional
    shapes = {}
    for i in range(3):
        shapes[f"{i}.weight"], shapes[f"{i}.bias"] = (sizes[i + 1], sizes[i]), (sizes[i + 1],)
    p = parameters(shapes)
    x = t.from_numpy(noise(1000, (batch, sizes[0]), 1.0, np.float32))
    labels = t.tensor([7 * i % sizes[3] for i in range(batch)])

    def loss():
        y = f.linear(x, p["0.weight"], p["0.bias"]).relu()
        y = f.linear(y, p["1.weight"], p["1.bias"]).relu()
        return f.cross_entropy(f.linear(y, p["2.weight"], p["2.bias"]), labels)

    return training(p, loss, adam_w(p))


def module_parameters(module):
    """The module's own parameters, given our numbers, in the order of their names."""
    named = dict(module.named_parameters())
    ours = parameters({name: tuple(value.shape) for name, value in named.items()})
    with torch().no_grad():
        for name, value in named.items():
            value.copy_(ours[name])
    return {name: named[name] for name in sorted(named)}


def torch_recurrent(batch, time, inputs, hidden):
    t = torch()
    gru = t.nn.GRU(inputs, hidden, batch_first=True)
    p = module_parameters(gru)
    x = t.from_numpy(noise(1000, (batch, time, inputs), 1.0, np.float32))
    return training(p, lambda: gru(x)[0].square().mean(), adam_w(p))


def torch_attention(batch, time, features, heads):
    t = torch()
    attention = t.nn.MultiheadAttention(features, heads, batch_first=True)
    p = module_parameters(attention)
    x = t.from_numpy(noise(1000, (batch, time, features), 1.0, np.float32))
    # Without the weights PyTorch takes its fused kernel, the faster of the two.
    return training(p, lambda: attention(x, x, x, need_weights=False)[0].square().mean(), adam_w(p))


CASES = {
    "torch/nn_robot": torch_robot,
    "torch/nn_robot_memory": torch_robot_memory,
    "torch/nn_perceptron": torch_perceptron,
    "torch/nn_recurrent": torch_recurrent,
    "torch/nn_attention": torch_attention,
}
