"""Scalar functions: value and derivatives up to order three, from JAX, checked against mpmath.

Every function is written twice, once for JAX and once as a SymPy expression. JAX gives the number that goes into the
table; the expression, differentiated symbolically and evaluated with enough digits that two precisions agree to 40
digits, says whether it is right. Where JAX is off by more than AGREEMENT at any order, the whole row is taken from
mpmath and says so.
"""

import math
import zlib

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import sympy

AGREEMENT = 1e-13
POINTS = 32
LARGEST = 1e300
SMALLEST_NORMAL = 1e-290
ZERO = mpmath.mpf("1e-330")

x, y = sympy.symbols("x y", real=True)
SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)

# Where to look. A candidate is dropped if value, first or second derivative overflow or come near the subnormals.
MAGNITUDES = [
    1e-100, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.02, 0.1, 0.3, 0.55, 0.8, 1.25, 1.9, 2.6, 3.7, 5.2,
    7.7, 11.0, 17.0, 24.5, 36.0, 90.0, 250.0, 690.0, 800.0, 1e3, 1e6, 1e10, 1e50,
]  # fmt: skip
NEAR_ONE = [2.0**-52, 1e-12, 1e-9, 1e-6, 1e-3]
REAL = sorted([-m for m in MAGNITUDES] + [0.0] + MAGNITUDES)
NONZERO = [v for v in REAL if v != 0.0]
POSITIVE = MAGNITUDES
OPEN_UNIT = sorted({s * v for s in (-1, 1) for v in [m for m in MAGNITUDES if m < 1] + [1 - d for d in NEAR_ONE]} | {0.0})
ABOVE_ONE = sorted([1 + d for d in NEAR_ONE] + [m for m in MAGNITUDES if m > 1])
ABOVE_MINUS_ONE = sorted([-1 + d for d in NEAR_ONE] + [-m for m in MAGNITUDES if m < 1] + [0.0] + MAGNITUDES)
HALF_PI = math.pi / 2
PERIODIC = sorted(NONZERO[:] + [0.0, HALF_PI, -HALF_PI, math.pi, 2 * math.pi, HALF_PI + 1e-6, 3 * HALF_PI - 1e-3])


def fun(name, jax_function, expression, domain, fill=(-10.0, 10.0), **params):
    return dict(name=name, jax=jax_function, sympy=expression, domain=domain, fill=fill, params=params)


def on_sides(negative, positive):
    """An expression for each side of the kink at 0; the kink itself is nobody's reference."""
    return lambda at: positive if at > 0 else negative


def powf(p, domain):
    return fun("powf", lambda t: jnp.power(t, p), x ** sympy.Rational(p), domain, (0.05, 20.0), p=p)


def powi(n):
    return fun("powi", lambda t: t**n, x**n, NONZERO, n=n)


def gelu_tanh_expression():
    # The constants are those of the f64 formula: √(2/π) rounded, and 0.044715 as a double.
    c, k = sympy.Rational(SQRT_2_OVER_PI), sympy.Rational(0.044715)
    return x / (1 + sympy.exp(-2 * c * (x + k * x**3)))


LOG = sympy.log
SOFTPLUS = LOG(1 + sympy.exp(x))
SIGMOID = 1 / (1 + sympy.exp(-x))
SLOPE = 0.01

ONE_ARGUMENT = [
    fun("neg", jnp.negative, -x, REAL),
    fun("abs", jnp.abs, on_sides(-x, x), NONZERO),
    fun("sqr", jnp.square, x**2, REAL),
    fun("cube", lambda t: t * t * t, x**3, REAL),
    fun("sqrt", jnp.sqrt, sympy.sqrt(x), POSITIVE, (0.01, 50.0)),
    fun("rsqrt", jax.lax.rsqrt, 1 / sympy.sqrt(x), POSITIVE, (0.01, 50.0)),
    fun("reciprocal", jnp.reciprocal, 1 / x, NONZERO),
    powf(2.5, POSITIVE),
    powf(-1.5, POSITIVE),
    powf(0.5, POSITIVE),
    powf(3.0, POSITIVE),
    powf(-2.0, POSITIVE),
    powi(4),
    powi(5),
    powi(-3),
    fun("exp", jnp.exp, sympy.exp(x), REAL),
    fun("exp2", jnp.exp2, sympy.exp(x * LOG(2)), REAL),
    fun("expm1", jnp.expm1, sympy.exp(x) - 1, REAL),
    fun("log", jnp.log, LOG(x), POSITIVE, (0.01, 50.0)),
    fun("log2", jnp.log2, LOG(x) / LOG(2), POSITIVE, (0.01, 50.0)),
    fun("log10", jnp.log10, LOG(x) / LOG(10), POSITIVE, (0.01, 50.0)),
    fun("log1p", jnp.log1p, LOG(1 + x), ABOVE_MINUS_ONE, (-0.9, 20.0)),
    fun("sin", jnp.sin, sympy.sin(x), PERIODIC),
    fun("cos", jnp.cos, sympy.cos(x), PERIODIC),
    fun("tan", jnp.tan, sympy.tan(x), PERIODIC),
    fun("asin", jnp.arcsin, sympy.asin(x), OPEN_UNIT, (-0.99, 0.99)),
    fun("acos", jnp.arccos, sympy.acos(x), OPEN_UNIT, (-0.99, 0.99)),
    fun("atan", jnp.arctan, sympy.atan(x), REAL),
    fun("sinh", jnp.sinh, sympy.sinh(x), REAL),
    fun("cosh", jnp.cosh, sympy.cosh(x), REAL),
    fun("tanh", jnp.tanh, sympy.tanh(x), REAL),
    fun("asinh", jnp.arcsinh, sympy.asinh(x), REAL),
    fun("acosh", jnp.arccosh, sympy.acosh(x), ABOVE_ONE, (1.01, 20.0)),
    fun("atanh", jnp.arctanh, sympy.atanh(x), OPEN_UNIT, (-0.99, 0.99)),
    fun("erf", jax.scipy.special.erf, sympy.erf(x), REAL),
    fun("erfc", jax.scipy.special.erfc, sympy.erfc(x), REAL),
    fun("sigmoid", jax.nn.sigmoid, SIGMOID, REAL),
    fun("log_sigmoid", jax.nn.log_sigmoid, -LOG(1 + sympy.exp(-x)), REAL),
    fun("softplus", jax.nn.softplus, SOFTPLUS, REAL),
    fun("relu", jax.nn.relu, on_sides(sympy.Integer(0), x), NONZERO),
    fun("leaky_relu", lambda t: jax.nn.leaky_relu(t, SLOPE), on_sides(sympy.Rational(SLOPE) * x, x), NONZERO, slope=SLOPE),
    fun("elu", lambda t: jax.nn.elu(t, 1.0), on_sides(sympy.exp(x) - 1, x), NONZERO, alpha=1.0),
    fun("elu", lambda t: jax.nn.elu(t, 1.5), on_sides(sympy.Rational(1.5) * (sympy.exp(x) - 1), x), NONZERO, alpha=1.5),
    fun("gelu", lambda t: jax.nn.gelu(t, approximate=False), x / 2 * sympy.erfc(-x / sympy.sqrt(2)), REAL),
    fun("gelu_tanh", lambda t: jax.nn.gelu(t, approximate=True), gelu_tanh_expression(), REAL),
    fun("silu", jax.nn.silu, x * SIGMOID, REAL),
    fun("mish", jax.nn.mish, x * sympy.tanh(SOFTPLUS), REAL),
    fun("sinc", lambda t: jnp.sinc(t / math.pi), sympy.sin(x) / x, PERIODIC),
    fun("log_cosh", lambda t: jnp.logaddexp(t, -t) - math.log(2.0), LOG(sympy.cosh(x)), REAL),
]  # fmt: skip

# sin x / x has a hole at 0 as an expression: 1 − x²/6 + x⁴/120 − …
AT_ZERO = {"sinc": [1.0, 0.0, -1.0 / 3.0, 0.0]}

SPREAD = [-800.0, -37.0, -4.0, -1.3, -0.2, -1e-8, 1e-8, 0.35, 0.9, 2.2, 6.5, 41.0, 800.0]
WIDE = [-1e150, -1e5, -7.0, -1.1, -0.4, -1e-6, -1e-80, 1e-80, 1e-6, 0.3, 1.7, 12.0, 1e5, 1e150]
POSITIVE_BASE = [1e-20, 1e-6, 0.04, 0.5, 0.999, 1.001, 1.6, 3.3, 25.0, 1e6, 1e20]
EXPONENT = [-7.5, -3.0, -1.0, -0.5, -1e-8, 1e-8, 0.3, 1.0, 2.0, 2.75, 9.0]


def larger(a, b):
    return x if a > b else y


def smaller(a, b):
    return y if a > b else x


def angle(a, b):
    """atan2's first argument is x here. The branches differ by constants, which no derivative sees."""
    if b > 0:
        return sympy.atan(x / y)
    quarter = sympy.pi / 2 if a > 0 else -sympy.pi / 2
    return quarter - sympy.atan(y / x)


TWO_ARGUMENTS = [
    ("add", jnp.add, x + y, WIDE, WIDE),
    ("sub", jnp.subtract, x - y, WIDE, WIDE),
    ("mul", jnp.multiply, x * y, WIDE, WIDE),
    ("div", jnp.divide, x / y, WIDE, WIDE),
    ("pow", jnp.power, x**y, POSITIVE_BASE, EXPONENT),
    ("atan2", jnp.arctan2, angle, WIDE, WIDE),
    ("hypot", jnp.hypot, sympy.sqrt(x**2 + y**2), WIDE, WIDE),
    ("maximum", jnp.maximum, larger, WIDE, WIDE),
    ("minimum", jnp.minimum, smaller, WIDE, WIDE),
    ("logaddexp", jnp.logaddexp, LOG(sympy.exp(x) + sympy.exp(y)), SPREAD, SPREAD),
]


class Exact:
    """An expression as a function that answers with 40 sure digits."""

    def __init__(self, expression, symbols):
        self.expression = expression
        self.function = sympy.lambdify(symbols, expression, "mpmath")

    def __call__(self, *at):
        # The first precision is large enough that 1 + e⁻⁶⁹⁰ does not look like 1 twice in a row.
        digits, previous = 400, None
        while digits <= 3200:
            with mpmath.workdps(digits):
                now = mpmath.mpmathify(self.function(*[mpmath.mpf(v) for v in at]))
                if isinstance(now, mpmath.mpc):
                    raise ArithmeticError(f"{self.expression} is not real at {at}")
                tiny = mpmath.mpf(10) ** -380
                if previous is not None and abs(now - previous) <= max(abs(now) * mpmath.mpf(10) ** -40, tiny):
                    return now
                previous = now
            digits *= 2
        raise ArithmeticError(f"{self.expression} does not settle at {at}")


def rounded(value):
    """Nearest double; what underflows is 0, and what no double holds with full precision is None."""
    magnitude = abs(value)
    if magnitude < ZERO:
        return 0.0
    if magnitude < SMALLEST_NORMAL or magnitude > LARGEST:
        return None
    return float(value)


def relative_error(got, want):
    if got == want:
        return 0.0
    if not math.isfinite(got):
        return math.inf
    if want == 0.0:
        return 0.0 if abs(got) < SMALLEST_NORMAL else math.inf
    return abs(got - want) / abs(want)


def choose(candidates, count):
    """`count` of the sorted candidates, evenly spread over their order, both ends included."""
    places = np.linspace(0, len(candidates) - 1, count).round().astype(int)
    return [candidates[i] for i in places]


def seed_of(*words):
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def one_argument(spec):
    """{"name", "params", "points": [{"x", "d": [value, d1, d2, d3], "source"}]} with the worst error JAX made."""
    name, params = spec["name"], spec["params"]
    derivatives = {}

    def truth(at):
        if at == 0.0 and name in AT_ZERO:
            return AT_ZERO[name]
        branch = spec["sympy"](at) if callable(spec["sympy"]) else spec["sympy"]
        if branch not in derivatives:
            derivatives[branch] = [Exact(sympy.diff(branch, x, order), (x,)) for order in range(4)]
        return [rounded(d(at)) for d in derivatives[branch]]

    rows = {}
    for at in spec["domain"]:
        row = truth(at)
        if None not in row[:3]:
            rows[at] = row
    random = seed_of(name, sorted(params.items()))
    while len(rows) < POINTS:
        at = round(float(random.uniform(*spec["fill"])), 4)
        row = truth(at)
        if None not in row[:3]:
            rows[at] = row
    points = choose(sorted(rows), POINTS)
    orders = [spec["jax"]]
    for _ in range(3):
        orders.append(jax.grad(orders[-1]))
    ours = [np.asarray(jax.vmap(f)(jnp.asarray(points, dtype=jnp.float64))) for f in orders]
    entries, worst = [], 0.0
    for i, at in enumerate(points):
        want, got = rows[at], [float(column[i]) for column in ours]
        error = max(relative_error(g, w) for g, w in zip(got, want) if w is not None)
        worst = max(worst, error)
        agrees = error <= AGREEMENT
        d = [None if w is None else g if agrees else w for g, w in zip(got, want)]
        entries.append({"x": at, "d": d, "source": "jax" if agrees else "mpmath"})
    return {"name": name, "params": params, "jax_worst_relative_error": finite_or_text(worst), "points": entries}


def two_arguments(name, jax_function, expression, first, second):
    """Rows {"x", "y", "d": [value, ∂x, ∂y, ∂xx, ∂xy, ∂yy], "source"}."""
    branch_of = expression if callable(expression) else lambda a, b: expression
    partials = [(), (x,), (y,), (x, x), (x, y), (y, y)]
    cache, rows = {}, {}
    pairs = [(a, b) for a in first for b in second if a != b]
    random = seed_of(name)
    for k in random.permutation(len(pairs)):
        a, b = pairs[k]
        branch = branch_of(a, b)
        if branch not in cache:
            cache[branch] = [Exact(sympy.diff(branch, *p) if p else branch, (x, y)) for p in partials]
        row = [rounded(d(a, b)) for d in cache[branch]]
        if None not in row:
            rows[(a, b)] = row
        if len(rows) == POINTS:
            break
    points = sorted(rows)
    a, b = (jnp.asarray(v, dtype=jnp.float64) for v in zip(*points))
    f = jax_function
    fx, fy = jax.grad(f, 0), jax.grad(f, 1)
    columns = [f, fx, fy, jax.grad(fx, 0), jax.grad(fx, 1), jax.grad(fy, 1)]
    columns = [np.asarray(jax.vmap(c)(a, b)) for c in columns]
    entries, worst = [], 0.0
    for i, at in enumerate(points):
        want, got = rows[at], [float(c[i]) for c in columns]
        error = max(relative_error(g, w) for g, w in zip(got, want))
        worst = max(worst, error)
        agrees = error <= AGREEMENT
        entries.append({"x": at[0], "y": at[1], "d": got if agrees else want, "source": "jax" if agrees else "mpmath"})
    return {"name": name, "params": {}, "jax_worst_relative_error": finite_or_text(worst), "points": entries}


def finite_or_text(error):
    return float(f"{error:.2e}") if math.isfinite(error) else "not finite"


def tables():
    return [one_argument(s) for s in ONE_ARGUMENT], [two_arguments(*s) for s in TWO_ARGUMENTS]
