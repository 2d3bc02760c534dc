"""Peers of core-graph: a chain of scalar operations, the gradient of a small network, a batched Cholesky solve.

The check values: the derivative of the chain; the loss of the network plus the sum of squares of the gradient; the loss of the
solve plus the sums of squares of both gradients.
"""

import time

import numpy as np

from common import fill, positive_definite, timed, torch


def torch_scalar_chain(n=1000, phase="backward"):
    """y ← 1.01·y, sin y, y + 0.01 in turns, n operations on f64 tensors of one element; the gradient with respect to the
    start. phase says which half is timed; seconds are per chain, not per operation."""
    t = torch()
    x = t.tensor([0.3], dtype=t.float64, requires_grad=True)
    scale, shift = t.tensor([1.01], dtype=t.float64), t.tensor([0.01], dtype=t.float64)
    last = {}

    def forward():
        y = x
        for i in range(n):
            y = y * scale if i % 3 == 0 else t.sin(y) if i % 3 == 1 else y + shift
        return y

    def measure(reps):
        total = 0.0
        for _ in range(reps):
            start = time.perf_counter()
            y = forward()
            middle = time.perf_counter()
            (last["gradient"],) = t.autograd.grad(y, x)
            end = time.perf_counter()
            total += {"forward": middle - start, "backward": end - middle, "both": end - start}[phase]
        return total / reps

    return measure, lambda: last["gradient"].item()


def network(sizes, batch):
    """Weights (out × in) and biases by stream, inputs and targets; all f32."""
    layers = []
    for k, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        weight = fill(2 * k, (fan_out, fan_in), 1.0 / np.sqrt(fan_in), np.float32)
        layers.append((weight, fill(2 * k + 1, (fan_out,), 0.1, np.float32)))
    inputs = fill(100, (batch, sizes[0]), 1.0, np.float32)
    targets = fill(101, (batch, sizes[-1]), 1.0, np.float32)
    return layers, inputs, targets


def torch_mlp(batch=256, sizes=(128, 256, 256, 10), activation="tanh"):
    """Mean squared error of a network of linear layers, activation between them; gradient of every weight and bias."""
    t = torch()
    layers, inputs, targets = network(sizes, batch)
    parameters = [t.from_numpy(v.copy()).requires_grad_() for layer in layers for v in layer]
    inputs, targets = t.from_numpy(inputs), t.from_numpy(targets)
    nonlinear = {"tanh": t.tanh, "relu": t.relu}[activation]
    last = {}

    def work():
        y = inputs
        for k in range(0, len(parameters), 2):
            y = t.nn.functional.linear(y, parameters[k], parameters[k + 1])
            if k + 2 < len(parameters):
                y = nonlinear(y)
        loss = ((y - targets) ** 2).mean()
        last["loss"], last["gradient"] = loss, t.autograd.grad(loss, parameters)

    def check():
        return last["loss"].item() + sum(float((g.double() ** 2).sum()) for g in last["gradient"])

    return timed(work), check


def jax_mlp(batch=256, sizes=(128, 256, 256, 10), activation="tanh"):
    """The same, compiled."""
    import jax
    import jax.numpy as jnp

    layers, inputs, targets = network(sizes, batch)
    layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in layers]
    inputs, targets = jnp.asarray(inputs), jnp.asarray(targets)
    nonlinear = {"tanh": jnp.tanh, "relu": jax.nn.relu}[activation]
    last = {}

    def loss(layers, inputs, targets):
        y = inputs
        for k, (weight, bias) in enumerate(layers):
            y = y @ weight.T + bias
            if k + 1 < len(layers):
                y = nonlinear(y)
        return jnp.mean((y - targets) ** 2)

    gradient = jax.jit(jax.value_and_grad(loss))

    def work():
        last["answer"] = jax.block_until_ready(gradient(layers, inputs, targets))

    def check():
        value, slopes = last["answer"]
        return float(value) + sum(float(jnp.sum(g.astype(jnp.float64) ** 2)) for layer in slopes for g in layer)

    return timed(work), check


def torch_cholesky_solve(batch=1024, n=6):
    """loss = Σ x², A·x = b by Cholesky, one right side per matrix, f64; gradients with respect to A and b."""
    t = torch()
    a = t.from_numpy(positive_definite(batch, n)).requires_grad_()
    b = t.from_numpy(fill(1, (batch, n, 1), 1.0)).requires_grad_()
    last = {}

    def work():
        loss = (t.cholesky_solve(b, t.linalg.cholesky(a)) ** 2).sum()
        last["loss"], last["gradient"] = loss, t.autograd.grad(loss, (a, b))

    def check():
        return last["loss"].item() + sum(float((g**2).sum()) for g in last["gradient"])

    return timed(work), check


def jax_cholesky_solve(batch=1024, n=6):
    """The same, mapped over the batch and compiled."""
    import jax
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_factor, cho_solve

    a, b = jnp.asarray(positive_definite(batch, n)), jnp.asarray(fill(1, (batch, n), 1.0))
    solve = jax.vmap(lambda a, b: cho_solve(cho_factor(a, lower=True), b))
    gradient = jax.jit(jax.value_and_grad(lambda a, b: jnp.sum(solve(a, b) ** 2), argnums=(0, 1)))
    last = {}

    def work():
        last["answer"] = jax.block_until_ready(gradient(a, b))

    def check():
        value, (of_a, of_b) = last["answer"]
        symmetric = (of_a + jnp.swapaxes(of_a, -1, -2)) / 2  # cho_factor reads one triangle
        return float(value) + float(jnp.sum(symmetric**2)) + float(jnp.sum(of_b**2))

    return timed(work), check


CASES = {
    "torch/core_graph_scalar_chain": torch_scalar_chain,
    "torch/core_graph_mlp": torch_mlp,
    "jax/core_graph_mlp": jax_mlp,
    "torch/core_graph_cholesky_solve": torch_cholesky_solve,
    "jax/core_graph_cholesky_solve": jax_cholesky_solve,
}
