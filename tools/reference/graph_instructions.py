"""The instructions of a tape, one at a time: value, first and second derivatives (of functions of one number, also the third).

Functions of one and two numbers come from scalar_functions: JAX's number where it agrees with mpmath to 1e-13 at every
order, else mpmath's. Instructions that only choose or compare are exact in any system: their rows are JAX's, and each
number must be one that the instruction can give.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scalar_functions as scalar

ONE = {
    "neg": "Neg", "sqrt": "Sqrt", "abs": "Abs", "exp": "Exp", "expm1": "ExpM1", "log": "Ln", "log1p": "Ln1p",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh",
    "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh",
}  # fmt: skip
TWO = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "atan2": "Atan2", "hypot": "Hypot",
    "minimum": "Min", "maximum": "Max",
}  # fmt: skip

# Neither integers nor next to one.
BETWEEN_INTEGERS = [
    -1e6 - 0.5, -37.25, -7.875, -3.5, -2.001, -1.999, -1.25, -0.75, -0.5, -1e-9, 1e-9, 0.25, 0.5, 0.9, 1.0625, 1.5, 2.999,
    3.001, 12.75, 100.5, 4096.25, 1e6 + 0.5, 1e15 + 0.5,
]  # fmt: skip
SIDES = [-1e150, -800.0, -3.5, -1.0, -1e-9, -1e-300, 1e-300, 1e-9, 0.3, 1.0, 2.25, 17.0, 1e150]


def step(condition):
    return jnp.where(condition, 1.0, 0.0)


def spread(pairs, count):
    return scalar.choose(pairs, min(count, len(pairs)))


UNEQUAL = spread([(a, b) for a in SIDES for b in SIDES if a != b], 36)
EQUAL_TOO = UNEQUAL + [(a, a) for a in SIDES]
CHOICES = spread([(a, b, c) for a in SIDES for b in (-2.5, 1e-9, 7.0) for c in (-1e150, 0.0, 0.75)], 48)
ONES = [(a,) for a in SIDES] + [(a,) for a in BETWEEN_INTEGERS]
# Away from what the instruction jumps at, its derivatives are those of a constant or of one operand.
CHOOSING = [
    # The operand is written into the tape.
    ("Const", jax.lax.stop_gradient, ONES),
    ("Input", lambda a: a, ONES),
    ("Sign", jnp.sign, [(a,) for a in scalar.NONZERO]),
    ("Floor", jnp.floor, [(a,) for a in BETWEEN_INTEGERS]),
    ("Less", lambda a, b: step(a < b), UNEQUAL),
    ("LessEqual", lambda a, b: step(a <= b), UNEQUAL),
    ("Equal", lambda a, b: step(a == b), EQUAL_TOO),
    ("Select", lambda a, b, c: jnp.where(a != 0.0, b, c), CHOICES + [(0.0, b, c) for _, b, c in CHOICES[:8]]),
]


def numbers(values):
    """Shortest decimals that give the same doubles back; −0 is 0."""
    return " ".join(repr(float(v) + 0.0) for v in values)


def entry(op, points, exponent=None):
    """`points`: (operands, value and derivatives, source)."""
    sources = [source for _, _, source in points]
    return {
        "op": op,
        "exponent": exponent,
        "from": {s: sources.count(s) for s in sorted(set(sources))},
        "points": [f"{numbers(x)} : {numbers(d)}" for x, d, _ in points],
    }


def of_one(spec, op):
    table = scalar.one_argument(spec)
    exponent = spec["params"].get("p", spec["params"].get("n"))
    points = [((p["x"],), [v for v in p["d"] if v is not None], p["source"]) for p in table["points"]]
    return entry(op, points, None if exponent is None else float(exponent))


def of_two(name, op):
    spec = next(s for s in scalar.TWO_ARGUMENTS if s[0] == name)
    table = scalar.two_arguments(*spec)
    return entry(op, [((p["x"], p["y"]), p["d"], p["source"]) for p in table["points"]])


def choosing(op, function, places):
    columns = [jnp.asarray(c, dtype=jnp.float64) for c in zip(*places)]
    n = len(columns)
    every = tuple(range(n))
    value = jax.vmap(function)(*columns)
    gradient = jax.vmap(jax.grad(function, every))(*columns)
    hessian = jax.vmap(jax.hessian(function, every))(*columns)
    rows = [value, *gradient, *(hessian[i][j] for i in every for j in range(i + 1))]
    points = list(zip(places, np.asarray(rows).T.tolist(), ["jax"] * len(places)))
    for x, d, _ in points:
        possible = {-1.0, 0.0, 1.0, *x, float(np.floor(x[0]))}
        if d[0] not in possible or not set(d[1 : n + 1]) <= {0.0, 1.0} or any(d[n + 1 :]):
            raise ArithmeticError(f"{op} at {x}: {d}")
    return entry(op, points)


def table():
    """One entry an instruction, and one for each fixed exponent of Pow."""
    one = [of_one(s, ONE[s["name"]]) for s in scalar.ONE_ARGUMENT if s["name"] in ONE]
    powers = [s for s in scalar.ONE_ARGUMENT if s["name"] in ("powf", "powi")]
    # A square and a reciprocal, which a recorder may write in other ways.
    powers += [scalar.powi(2), scalar.powi(-1), scalar.powi(1)]
    two = [of_two(name, op) for name, op in TWO.items()]
    # Where the first operand is not 0, the guarded ones are the plain ones.
    two += [of_two(name, op) for name, op in (("mul", "GuardedMul"), ("div", "GuardedDiv"))]
    return one + [of_one(s, "Pow") for s in powers] + two + [choosing(*c) for c in CHOOSING]
