"""Peers of nn: convolutions, forward and with gradients.

The check value: the sum of y, plus the sums of squares of the gradients where they are taken.
"""

import numpy as np

from common import fill, timed, torch


def torch_convolution(batch=1, inputs=4, outputs=8, size=(8, 8), kernel=3, groups=1, gradients=False):
    """y = x ⋆ w + b with padding (kernel − 1)/2 and stride 1 in f32, and the gradients of ⟨y, dy⟩."""
    t = torch()
    x = t.from_numpy(fill(0, (batch, inputs, *size), 1.0, np.float32))
    w = t.from_numpy(fill(1, (outputs, inputs // groups, kernel, kernel), 1.0, np.float32))
    b = t.from_numpy(fill(2, (outputs,), 1.0, np.float32))
    dy = t.from_numpy(fill(3, (batch, outputs, *size), 1.0, np.float32))
    leaves = [v.requires_grad_(gradients) for v in (x, w, b)]
    last = {"gradients": []}

    def work():
        with t.set_grad_enabled(gradients):
            last["y"] = t.nn.functional.conv2d(x, w, b, padding=kernel // 2, groups=groups)
        if gradients:
            last["gradients"] = t.autograd.grad(last["y"], leaves, dy)

    def check():
        squares = sum(float((g.double() ** 2).sum()) for g in last["gradients"])
        return float(last["y"].detach().double().sum()) + squares

    return timed(work), check


CASES = {"torch/nn_convolution": torch_convolution}
