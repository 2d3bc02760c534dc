"""Structured cases that need no factorization: products, reductions, views, selection."""

import jax
import jax.numpy as jnp
import numpy as np

from case import build, indices, random_of, uniform


def shape_name(shape):
    return "x".join(str(n) for n in shape) if shape else "scalar"


def values(name, shapes, low=-2.0, high=2.0):
    random = random_of(name)
    return [uniform(random, s, low, high) for s in shapes]


def distinct(name, shape):
    """No two entries closer than 0.05: maxima without ties, far from the kink."""
    random = random_of(name)
    count = int(np.prod(shape))
    spread = np.linspace(-2.0, 2.0, max(count, 2))[:count]
    return np.round(random.permutation(spread) + random.uniform(-0.01, 0.01, count), 3).reshape(shape)


def elementwise():
    shapes = [((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((3,), (2, 3)), ((), (2, 2)), ((1, 4), (3, 1))]
    functions = {
        "add": (jnp.add, -2.0),
        "sub": (jnp.subtract, -2.0),
        "mul": (jnp.multiply, -2.0),
        "div": (jnp.divide, 0.4),
        "pow": (jnp.power, 0.4),
        "atan2": (jnp.arctan2, 0.4),
        "maximum": (jnp.maximum, -2.0),
        "minimum": (jnp.minimum, -2.0),
    }
    for op, (function, low) in functions.items():
        for left, right in shapes if op in ("add", "mul", "div", "maximum") else shapes[1:3]:
            name = f"{op} {shape_name(left)} {shape_name(right)}"
            yield build(name, op, function, values(name, [left, right], low))


def products():
    for left, right in [
        ((1, 1), (1, 1)), ((2, 3), (3, 4)), ((1, 6), (6, 1)), ((5, 1), (1, 3)), ((2, 2, 3), (2, 3, 2)),
        ((1, 2, 3), (4, 3, 2)), ((3, 2, 2), (2, 3)), ((2, 3), (3, 3, 1)), ((2, 1, 2, 3), (3, 3, 2)),
        ((2, 3, 1, 2), (2, 3, 2, 2)), ((1, 2, 1, 2, 2), (2, 1, 2, 2, 1)), ((2, 1, 1, 2, 3), (3, 2)),
    ]:  # fmt: skip
        name = f"matmul {shape_name(left)} {shape_name(right)}"
        yield build(name, "matmul", jnp.matmul, values(name, [left, right]))
    for n in (1, 3, 6):
        yield build(f"dot {n}", "dot", jnp.dot, values(f"dot {n}", [(n,), (n,)]))
    for m, n in ((1, 4), (3, 2), (5, 5)):
        yield build(f"outer {m} {n}", "outer", jnp.outer, values(f"outer {m} {n}", [(m,), (n,)]))


EINSUMS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,kj->ik", [(2, 3), (4, 3)]),
    ("ji,jk->ik", [(3, 2), (3, 4)]),
    ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]),
    ("bij,jk->bik", [(2, 2, 3), (3, 2)]),
    ("i,i->", [(5,), (5,)]),
    ("i,j->ij", [(3,), (4,)]),
    ("ij->ji", [(2, 4)]),
    ("ii->", [(4, 4)]),
    ("ii->i", [(4, 4)]),
    ("bii->b", [(2, 3, 3)]),
    ("bii->bi", [(2, 3, 3)]),
    ("ij->", [(3, 4)]),
    ("ij->i", [(3, 4)]),
    ("ij->j", [(3, 4)]),
    ("ijk->ki", [(2, 3, 4)]),
    ("ij,ij->ij", [(3, 3), (3, 3)]),
    ("ij,ij->", [(3, 3), (3, 3)]),
    ("ij,i->ij", [(3, 2), (3,)]),
    ("ii,i->i", [(3, 3), (3,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]),
    ("i,ij,j->", [(3,), (3, 4), (4,)]),
    ("bi,ij,bj->b", [(2, 3), (3, 3), (2, 3)]),
    ("ai,aj,ak->ijk", [(2, 2), (2, 3), (2, 2)]),
    ("ijk,jl,km->ilm", [(2, 3, 2), (3, 2), (2, 3)]),
    ("abc,cd->abd", [(2, 2, 3), (3, 2)]),
    ("abcd,bd->ac", [(2, 2, 2, 3), (2, 3)]),
    ("bhqd,bhkd->bhqk", [(1, 2, 2, 3), (1, 2, 3, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (3, 3, 2)]),
    ("...i,i->...", [(2, 3, 4), (4,)]),
    ("...ii->...i", [(2, 3, 3)]),
    ("ij,kl->ijkl", [(2, 2), (2, 3)]),
    ("i->i", [(6,)]),
]


def einsums():
    for equation, shapes in EINSUMS:
        name = f"einsum {equation}"

        def function(*args, equation=equation):
            return jnp.einsum(equation, *args, precision="highest")

        yield build(name, "einsum", function, values(name, shapes), {"equation": equation})


AXES = [((4,), (0,)), ((2, 3), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 3, 2), (1,)), ((2, 3, 2), (0, 2)), ((1, 5), (0,))]


def reductions():
    functions = {
        "sum": lambda a, axes, keep: jnp.sum(a, axes, keepdims=keep),
        "mean": lambda a, axes, keep: jnp.mean(a, axes, keepdims=keep),
        "max": lambda a, axes, keep: jnp.max(a, axes, keepdims=keep),
        "min": lambda a, axes, keep: jnp.min(a, axes, keepdims=keep),
        "logsumexp": lambda a, axes, keep: jax.nn.logsumexp(a, axes, keepdims=keep),
        "norm": lambda a, axes, keep: jnp.sqrt(jnp.sum(a * a, axes, keepdims=keep)),
    }
    for op, function in functions.items():
        for k, (shape, axes) in enumerate(AXES):
            keep = k % 2 == 1
            name = f"{op} {shape_name(shape)} over {list(axes)}{' keepdims' if keep else ''}"
            x = distinct(name, shape)
            params = {"axes": list(axes), "keepdims": keep}
            yield build(name, op, lambda a: function(a, axes, keep), [x], params)
    for ddof in (0, 1):
        for k, (shape, axes) in enumerate(AXES[:6]):
            keep = k % 2 == 0
            name = f"variance {shape_name(shape)} over {list(axes)} ddof {ddof}"
            params = {"axes": list(axes), "keepdims": keep, "ddof": ddof}
            x = values(name, [shape])
            yield build(name, "variance", lambda a: jnp.var(a, axes, ddof=ddof, keepdims=keep), x, params)
    large = np.array([[1000.0, 999.5, -1000.0], [-745.5, -746.0, -744.25]])
    params = {"axes": [1], "keepdims": False}
    yield build("logsumexp of large arguments", "logsumexp", lambda a: jax.nn.logsumexp(a, 1), [large], params)
    for op, function in {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "cumsum": jnp.cumsum}.items():
        for shape, axis in [((4,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 3, 2), 1), ((3, 1), 1), ((6,), 0)]:
            name = f"{op} {shape_name(shape)} along {axis}"
            yield build(name, op, lambda a: function(a, axis=axis), values(name, [shape]), {"axis": axis})
        if op != "cumsum":
            yield build(f"{op} of large arguments", op, lambda a: function(a, axis=1), [large], {"axis": 1})


def views():
    for shape, (a, b) in [((2, 3), (0, 1)), ((2, 3, 2), (1, 2)), ((2, 1, 3, 2), (0, 3))]:
        name = f"transpose {shape_name(shape)} {a} {b}"
        yield build(name, "transpose", lambda v: jnp.swapaxes(v, a, b), values(name, [shape]), {"axes": [a, b]})
    for axes in [(1, 0), (2, 0, 1), (1, 2, 0), (3, 1, 0, 2)]:
        shape = (2, 3, 2, 1)[: len(axes)]
        name = f"permute {shape_name(shape)} {axes}"
        yield build(name, "permute", lambda v: jnp.transpose(v, axes), values(name, [shape]), {"axes": list(axes)})
    for shape, to in [((2, 3), (6,)), ((6,), (2, 3)), ((2, 3, 2), (4, 3)), ((1, 1), ()), ((4,), (2, 1, 2))]:
        name = f"reshape {shape_name(shape)} to {shape_name(to)}"
        yield build(name, "reshape", lambda v: jnp.reshape(v, to), values(name, [shape]), {"shape": list(to)})
    for shape, to in [((3,), (2, 3)), ((2, 1), (2, 4)), ((1, 3, 1), (2, 3, 2)), ((), (2, 2)), ((1,), (5,))]:
        name = f"broadcast_to {shape_name(shape)} to {shape_name(to)}"
        yield build(name, "broadcast_to", lambda v: jnp.broadcast_to(v, to), values(name, [shape]), {"shape": list(to)})
    for shape, starts, stops, steps in [
        ((6,), (1,), (5,), (1,)), ((6,), (0,), (6,), (2,)), ((5,), (1,), (5,), (3,)), ((3, 4), (0, 1), (3, 3), (1, 1)),
        ((4, 5), (1, 0), (4, 5), (2, 3)), ((2, 3, 4), (0, 2, 1), (2, 3, 4), (1, 1, 2)),
    ]:  # fmt: skip
        cut = tuple(slice(*s) for s in zip(starts, stops, steps))
        params = {"starts": list(starts), "stops": list(stops), "steps": list(steps)}
        name = f"slice {shape_name(shape)} from {starts} to {stops} by {steps}"
        yield build(name, "slice", lambda v: v[cut], values(name, [shape]), params)
    for shapes, axis in [(((2,), (3,)), 0), (((2, 2), (1, 2)), 0), (((2, 1), (2, 3), (2, 2)), 1), (((2, 1, 2), (2, 2, 2)), 1)]:
        name = f"cat {' '.join(map(shape_name, shapes))} along {axis}"
        yield build(name, "cat", lambda *v: jnp.concatenate(v, axis), values(name, shapes), {"axis": axis})
    for shape, count, axis in [((3,), 2, 0), ((3,), 3, 1), ((2, 2), 2, 1), ((), 4, 0)]:
        name = f"stack {count} of {shape_name(shape)} along {axis}"
        yield build(name, "stack", lambda *v: jnp.stack(v, axis), values(name, [shape] * count), {"axis": axis})
    for shape, low, high, fill in [((3,), (1,), (2,), 0.0), ((2, 2), (0, 1), (1, 0), 0.0), ((2, 2), (1, 1), (1, 1), -1.5), ((2, 1, 2), (0, 1, 0), (0, 0, 2), 0.5)]:
        name = f"pad {shape_name(shape)} by {low} {high}"
        params = {"low": list(low), "high": list(high), "value": fill}
        function = lambda v: jnp.pad(v, list(zip(low, high)), constant_values=fill)
        yield build(name, "pad", function, values(name, [shape]), params)
    for shape, axes in [((4,), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 2, 3), (0, 2))]:
        name = f"flip {shape_name(shape)} {axes}"
        yield build(name, "flip", lambda v: jnp.flip(v, axes), values(name, [shape]), {"axes": list(axes)})
    for shape, shift, axis in [((5,), 2, 0), ((5,), -1, 0), ((2, 3), 4, 1), ((3, 2, 2), 1, 0)]:
        name = f"roll {shape_name(shape)} by {shift} along {axis}"
        yield build(name, "roll", lambda v: jnp.roll(v, shift, axis), values(name, [shape]), {"shift": shift, "axis": axis})


def coordinates(index, axis):
    """For each element of `index` the place it names: its own coordinates, with `axis` replaced by its value."""
    grid = list(np.indices(index.shape))
    grid[axis] = index
    return tuple(grid)


def selection():
    # The index of gather and scatter_add may be shorter than the tensor along the other axes, and may repeat.
    for shape, index_shape, axis in [
        ((5,), (3,), 0), ((5,), (7,), 0), ((2, 3), (2, 2), 1), ((3, 2), (4, 2), 0), ((3, 4), (2, 2), 1), ((2, 3, 2), (2, 2, 2), 1),
        ((2, 3, 2), (1, 3, 1), 0),
    ]:  # fmt: skip
        name = f"gather {shape_name(shape)} at {shape_name(index_shape)} along {axis}"
        index = random_of("index of " + name).integers(0, shape[axis], index_shape)
        params = {"axis": axis, "index": indices(index)}
        at = coordinates(index, axis)
        yield build(name, "gather", lambda v: v[at], values(name, [shape]), params)
        name = f"scatter_add {shape_name(index_shape)} into {shape_name(shape)} along {axis}"
        x = values(name, [shape, index_shape])
        yield build(name, "scatter_add", lambda base, source: base.at[at].add(source), x, params)
    for shape, index, axis in [((5,), [4, 0, 0], 0), ((3, 2), [2, 1], 0), ((2, 3), [1, 1, 0, 2], 1), ((2, 2, 3), [2], 2), ((2, 3, 2), [0, 2], 1)]:
        name = f"index_select {shape_name(shape)} {index} along {axis}"
        params = {"axis": axis, "index": indices(index)}
        yield build(name, "index_select", lambda v: jnp.take(v, np.array(index), axis), values(name, [shape]), params)
    for shape, other in [((4,), (4,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 2), ())]:
        name = f"select {shape_name(shape)} {shape_name(other)}"
        mask = random_of("mask of " + name).integers(0, 2, shape)
        function = lambda a, b: jnp.where(mask == 1, a, b)
        yield build(name, "select", function, values(name, [shape, other]), {"mask": indices(mask)})
    for shape, low, high in [((6,), -1.03, 1.03), ((2, 3), -0.45, 10.0), ((2, 2, 2), -10.0, 0.33)]:
        name = f"clamp {shape_name(shape)} to {low} {high}"
        yield build(name, "clamp", lambda v: jnp.clip(v, low, high), [distinct(name, shape)], {"low": low, "high": high})


def cases():
    for family in (elementwise, products, einsums, reductions, views, selection):
        yield from family()
