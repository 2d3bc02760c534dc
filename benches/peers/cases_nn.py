"""Peers of nn: convolutions and the parts between them, forward and with gradients.

The check value: the sum of y, plus the sums of squares of the gradients where they are taken. The values: y, then the gradients.
"""

from common import noise, np, sampled, timed, torch


def answers(work, leaves):
    """measure, check, values of work(), which gives y and the gradients."""
    last = {}

    def run():
        last["y"], last["gradients"] = work()

    def ready():
        if not last:
            run()
        return last

    def check():
        squares = sum(float((g.double() ** 2).sum()) for g in ready()["gradients"])
        return float(ready()["y"].detach().double().sum()) + squares

    def values():
        return sampled([ready()["y"].detach().numpy(), *(g.numpy() for g in ready()["gradients"])])

    # No repetition at all still answers with a time.
    return (lambda reps: timed(run)(reps) if reps else 0.0), check, values


def torch_convolution(batch=1, inputs=4, outputs=8, size=(8, 8), kernel=3, groups=1, gradients=False):
    """y = x ⋆ w + b with padding (kernel − 1)/2 and stride 1 in f32, and the gradients of ⟨y, dy⟩."""
    t = torch()
    x = t.from_numpy(noise(0, (batch, inputs, *size), 1.0, np.float32))
    w = t.from_numpy(noise(1, (outputs, inputs // groups, kernel, kernel), 1.0, np.float32))
    b = t.from_numpy(noise(2, (outputs,), 1.0, np.float32))
    dy = t.from_numpy(noise(3, (batch, outputs, *size), 1.0, np.float32))
    leaves = [v.requires_grad_(gradients) for v in (x, w, b)]

    def work():
        with t.set_grad_enabled(gradients):
            y = t.nn.functional.conv2d(x, w, b, padding=kernel // 2, groups=groups)
        return y, t.autograd.grad(y, leaves, dy) if gradients else []

    return answers(work, leaves)


def torch_part(kind, dims):
    """y = f(x) and the gradients of ⟨y, dy⟩ with respect to x and, after it, bias and weight."""
    t = torch()
    f = t.nn.functional
    x = t.from_numpy(noise(0, dims, 1.0, np.float32)).requires_grad_()
    of_channels = {"batch norm", "group norm"}
    n = dims[1] if kind in of_channels else dims[-1]
    weight, bias = t.ones(n, requires_grad=True), t.zeros(n, requires_grad=True)
    mean, variance = t.zeros(n), t.ones(n)
    maps = {
        "max pool": lambda: f.max_pool2d(x, 3, 2, 1),
        "bilinear ×2": lambda: f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        "relu": lambda: x.relu(),
        "tanh": lambda: x.tanh(),
        "sigmoid": lambda: x.sigmoid(),
        "gelu": lambda: f.gelu(x),
        "square, summed over all": lambda: x.square().sum(),
        "square, summed over rows": lambda: x.square().sum(0),
        "square, summed over columns": lambda: x.square().sum(1),
        "square, summed over all but channels": lambda: x.square().sum((0, 2, 3)),
        "softmax": lambda: x.softmax(-1),
        "log softmax": lambda: x.log_softmax(-1),
        "layer norm": lambda: f.layer_norm(x, (n,), weight, bias, 1e-5),
        "batch norm": lambda: f.batch_norm(x, mean, variance, weight, bias, True, 0.1, 1e-5),
        "group norm": lambda: f.group_norm(x, 8, weight, bias, 1e-5),
    }
    leaves = [x, bias, weight] if kind.endswith("norm") else [x]
    shape = tuple(maps[kind]().shape)
    dy = t.from_numpy(noise(1, shape, 1.0, np.float32).reshape(shape))

    def work():
        y = maps[kind]()
        return y, t.autograd.grad(y, leaves, dy)

    return answers(work, leaves)


CASES = {"torch/nn_convolution": torch_convolution, "torch/nn_part": torch_part}
