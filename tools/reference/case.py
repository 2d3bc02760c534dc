"""One structured case: a function of tensors, its inputs, and all that a differentiation library must say about it.

For f with inputs x, directions t (one per input) and weights w (one per output):

    outputs   f(x)
    jvp       J(x)·t                        one tensor per output
    vjp       J(x)ᵀ·w                       one tensor per input
    hvp       d/ds J(x + s·t)ᵀ·w at s = 0   one tensor per input

The numbers are JAX's; central differences and ⟨J·t, w⟩ = ⟨t, Jᵀ·w⟩ check each case, and a mismatch stops the run.
"""

import zlib

import jax
import jax.numpy as jnp
import numpy as np

STEP = 1e-5
DIFFERENCE_TOLERANCE = 2e-6
ADJOINT_TOLERANCE = 1e-11


def random_of(name):
    """A generator that depends on the case's name only, so that cases can be added and reordered."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def uniform(random, shape, low=-2.0, high=2.0, decimals=3):
    """Short decimals, which keep the file small and still are no round numbers in binary."""
    return np.round(random.uniform(low, high, size=shape), decimals)


def tensor(value):
    array = np.asarray(value, dtype=np.float64)
    flat = [float(v) + 0.0 for v in array.reshape(-1)]  # + 0.0 turns −0 into 0
    if not np.isfinite(array).all():
        raise ArithmeticError("a reference number is not finite")
    return {"shape": list(array.shape), "data": flat}


def indices(value):
    array = np.asarray(value)
    return {"shape": list(array.shape), "data": [int(v) for v in array.reshape(-1)]}


def close(name, what, got, want, tolerance, scale=0.0):
    for index, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        limit = tolerance * (1.0 + scale + np.max(np.abs(w), initial=0.0))
        if g.shape != w.shape or np.max(np.abs(g - w), initial=0.0) > limit:
            raise ArithmeticError(f"{name}: {what} {index}: {g} against {w}")


def build(name, op, function, inputs, params=None, symmetric=False):
    """Evaluates and checks a case. `symmetric`: directions are symmetric in the last two axes, as the inputs are."""
    random = random_of("directions of " + name)
    x = [jnp.asarray(v, dtype=jnp.float64) for v in inputs]

    def listed(*args):
        out = function(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    def direction(v):
        t = uniform(random, v.shape, -1.0, 1.0, 2)
        return np.round((t + np.swapaxes(t, -1, -2)) / 2, 2) if symmetric else t

    t = [jnp.asarray(direction(v)) for v in x]
    w = [jnp.asarray(uniform(random, v.shape, -1.0, 1.0, 2)) for v in jax.eval_shape(listed, *x)]

    def first_order(*args):
        out, pull = jax.vjp(listed, *args)
        return out, list(pull(w))

    @jax.jit
    def everything(*args):
        return jax.jvp(first_order, args, tuple(t))

    (outputs, vjp), (jvp, hvp) = everything(*x)
    (up, vjp_up), _ = everything(*[a + STEP * d for a, d in zip(x, t)])
    (down, vjp_down), _ = everything(*[a - STEP * d for a, d in zip(x, t)])

    def slope(high, low):
        return [(np.asarray(h) - np.asarray(l)) / (2 * STEP) for h, l in zip(high, low)]

    close(name, "jvp against differences", jvp, slope(up, down), DIFFERENCE_TOLERANCE)
    size = max(float(jnp.max(jnp.abs(v), initial=0.0)) for v in vjp)
    close(name, "hvp against differences", hvp, slope(vjp_up, vjp_down), DIFFERENCE_TOLERANCE, size)
    forward = sum(float(jnp.vdot(a, b)) for a, b in zip(jvp, w))
    backward = sum(float(jnp.vdot(a, b)) for a, b in zip(t, vjp))
    close(name, "adjoint identity", [forward], [backward], ADJOINT_TOLERANCE)
    return {
        "name": name,
        "op": op,
        "params": params or {},
        "inputs": [tensor(v) for v in x],
        "outputs": [tensor(v) for v in outputs],
        "tangents": [tensor(v) for v in t],
        "jvp": [tensor(v) for v in jvp],
        "cotangents": [tensor(v) for v in w],
        "vjp": [tensor(v) for v in vjp],
        "hvp": [tensor(v) for v in hvp],
    }
