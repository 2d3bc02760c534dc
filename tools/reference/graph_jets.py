"""Second-order jets over mpmath: value, gradient and Hessian of a network of instructions, with 40 digits.

What CasADi says of a network is compared with this, so that the committed numbers stand on two legs.
"""

import mpmath
from mpmath import mpf

mpmath.mp.dps = 40

ONE = mpf(1)


# Value, first and second derivative.
UNARY = {
    "neg": lambda a: (-a, -ONE, 0),
    "sqrt": lambda a: (r := mpmath.sqrt(a), 1 / (2 * r), -1 / (4 * r * a)),
    "abs": lambda a: (abs(a), mpmath.sign(a), 0),
    "sign": lambda a: (mpmath.sign(a), 0, 0),
    "floor": lambda a: (mpmath.floor(a), 0, 0),
    "exp": lambda a: (e := mpmath.exp(a), e, e),
    "expm1": lambda a: (mpmath.expm1(a), e := mpmath.exp(a), e),
    "log": lambda a: (mpmath.log(a), 1 / a, -1 / a**2),
    "log1p": lambda a: (mpmath.log1p(a), 1 / (1 + a), -1 / (1 + a) ** 2),
    "sin": lambda a: (s := mpmath.sin(a), mpmath.cos(a), -s),
    "cos": lambda a: (c := mpmath.cos(a), -mpmath.sin(a), -c),
    "tan": lambda a: (t := mpmath.tan(a), d := 1 + t * t, 2 * t * d),
    "asin": lambda a: (mpmath.asin(a), d := 1 / mpmath.sqrt(1 - a * a), a * d**3),
    "acos": lambda a: (mpmath.acos(a), d := -1 / mpmath.sqrt(1 - a * a), a * d**3),
    "atan": lambda a: (mpmath.atan(a), d := 1 / (1 + a * a), -2 * a * d * d),
    "sinh": lambda a: (s := mpmath.sinh(a), mpmath.cosh(a), s),
    "cosh": lambda a: (c := mpmath.cosh(a), mpmath.sinh(a), c),
    "tanh": lambda a: (t := mpmath.tanh(a), d := 1 - t * t, -2 * t * d),
    "asinh": lambda a: (mpmath.asinh(a), d := 1 / mpmath.sqrt(1 + a * a), -a * d**3),
    "acosh": lambda a: (mpmath.acosh(a), d := 1 / mpmath.sqrt(a * a - 1), -a * d**3),
    "atanh": lambda a: (mpmath.atanh(a), d := 1 / (1 - a * a), 2 * a * d * d),
}


def _angle(y, x):
    r = x * x + y * y
    return mpmath.atan2(y, x), x / r, -y / r, -2 * x * y / r**2, (y * y - x * x) / r**2, 2 * x * y / r**2


def _length(a, b):
    r = mpmath.sqrt(a * a + b * b)
    return r, a / r, b / r, b * b / r**3, -a * b / r**3, a * a / r**3


def _power(a, b):
    y, log = a**b, mpmath.log(a)
    return y, b * y / a, y * log, b * (b - 1) * y / a**2, y * (1 + b * log) / a, y * log * log


# Value, ∂a, ∂b, ∂aa, ∂ab, ∂bb.
BINARY = {
    "add": lambda a, b: (a + b, 1, 1, 0, 0, 0),
    "sub": lambda a, b: (a - b, 1, -1, 0, 0, 0),
    "mul": lambda a, b: (a * b, b, a, 0, 1, 0),
    "div": lambda a, b: (a / b, 1 / b, -a / b**2, 0, -1 / b**2, 2 * a / b**3),
    "fmin": lambda a, b: (min(a, b), int(a < b), int(b < a), 0, 0, 0),
    "fmax": lambda a, b: (max(a, b), int(b < a), int(a < b), 0, 0, 0),
    "atan2": _angle,
    "hypot": _length,
    "pow": _power,
    "lt": lambda a, b: (mpf(int(a < b)), 0, 0, 0, 0, 0),
    "le": lambda a, b: (mpf(int(a <= b)), 0, 0, 0, 0, 0),
    "eq": lambda a, b: (mpf(int(a == b)), 0, 0, 0, 0, 0),
}


class Jet:
    """value, {i: ∂ᵢ}, {(i, j): ∂ᵢⱼ} with j ≤ i; what is absent is 0."""

    __slots__ = ("value", "slope", "curve")

    def __init__(self, value, slope=None, curve=None):
        self.value, self.slope, self.curve = value, slope or {}, curve or {}


def _add(total, key, amount):
    if amount:
        total[key] = total.get(key, 0) + amount


def _chain(value, parts, second):
    """`parts`: (slope, jet); `second`: (curvature, jet, jet), mixed ones both ways."""
    slope, curve = {}, {}
    for f, jet in parts:
        if f:
            for i, d in jet.slope.items():
                _add(slope, i, f * d)
            for ij, d in jet.curve.items():
                _add(curve, ij, f * d)
    for f, left, right in second:
        if f:
            for i, d in left.slope.items():
                for j, e in right.slope.items():
                    if j <= i:
                        _add(curve, (i, j), f * d * e)
    return Jet(value, slope, curve)


def apply(op, args):
    if op == "if_else":
        return args[1] if args[0].value else args[2]
    if len(args) == 1:
        (a,) = args
        f, d, dd = UNARY[op](a.value)
        return _chain(mpf(f), [(d, a)], [(dd, a, a)])
    a, b = args
    f, da, db, daa, dab, dbb = BINARY[op](a.value, b.value)
    return _chain(mpf(f), [(da, a), (db, b)], [(daa, a, a), (dab, a, b), (dab, b, a), (dbb, b, b)])


def run(inputs, code, at):
    """The jets of all nodes at the doubles `at`; `code`: (op, operands) or ("lit", number)."""
    nodes = [Jet(mpf(at[i]), {i: ONE}) for i in range(inputs)]
    for op, args in code:
        nodes.append(Jet(mpf(args)) if op == "lit" else apply(op, [nodes[k] for k in args]))
    return nodes
