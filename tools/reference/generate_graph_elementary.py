#!/usr/bin/env python3
"""Writes crates/graph/tests/data/elementary.json: elementary functions at hard points, exact to a thousandth of a unit in the last place.

    target/reference-venv/bin/python tools/reference/generate_graph_elementary.py

Values are mpmath's with 400 bits. A row is "argument [argument] result residual": doubles as 16 hexadecimal digits of their
bits, the result correctly rounded, the residual (exact − result) in thousandths of the result's unit in the last place.
Special rows (zeros, infinities, NaN) follow IEEE 754-2019, section 9.2, and have no residual.
"""

import importlib.metadata
import json
import math
import pathlib
import random
import struct

from mpmath import mp, mpf

mp.prec = 400
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates" / "graph" / "tests" / "data" / "elementary.json"
INF, NAN, TINY, MAX = math.inf, math.nan, 5e-324, 1.7976931348623157e308
rng = random.Random(20240)


def bits(x):
    return "7ff8000000000000" if x != x else struct.pack(">d", x).hex()


def rounded(v):
    """The nearest double, ties to even, and (v − it)/ulp in thousandths."""
    if v == 0:
        return 0.0, 0
    unit = max(mp.mag(v) - 53, -1074)
    if abs(mp.nint(mp.ldexp(v, -unit))) == 2**53:
        unit += 1  # rounded up to the next power of two, whose unit counts
    q = int(mp.nint(mp.ldexp(v, -unit)))
    residual = int(mp.nint((mp.ldexp(v, -unit) - q) * 1000))
    if abs(q) * mpf(2) ** unit >= mpf(2) ** 1024:
        return (INF if q > 0 else -INF), 0
    if q == 0:
        return (-0.0 if v < 0 else 0.0), residual
    return math.ldexp(q, unit), residual


def sizes(n, low, high, signed=True):
    """Magnitudes even over the exponents of 2."""
    draw = lambda: math.ldexp(rng.uniform(1, 2), rng.randint(low, high - 1))  # noqa: E731
    return [draw() * (rng.choice((1, -1)) if signed else 1) for _ in range(n)]


def even(n, low, high):
    return [rng.uniform(low, high) for _ in range(n)]


def around(*points):
    """Each point, its neighbours, and points at every distance 2⁻ʲ of it."""
    out = []
    for p in points:
        p = float(p)
        out += [p, math.nextafter(p, INF), math.nextafter(p, -INF)]
        scale = abs(p) if p else 1.0
        out += [p + sign * scale * math.ldexp(rng.uniform(1, 2), -j) for j in range(2, 52, 2) for sign in (1, -1)]
    return out


def multiples(n, low, high, step):
    """Doubles next to odd and even multiples of a real number."""
    out = []
    for _ in range(n):
        k = int(math.ldexp(rng.uniform(1, 2), rng.randint(low, high - 1)))
        x = float(k * step)
        out += [rng.choice((1, -1)) * y for y in (x, math.nextafter(x, INF), math.nextafter(x, 0))]
    return out


SMALL = [TINY, -TINY, 2.2250738585072014e-308, -1.5e-310, 3e-320, 1e-300]
HALF_PI, LN2 = mp.pi / 2, mp.log(2)
# The double next to a multiple of π/2: Muller et al., Handbook of Floating-Point Arithmetic, section 11.3.
HARDEST = math.ldexp(6381956970095103, 797)
TURNS = (
    SMALL + sizes(180, -1074, 0) + sizes(150, 20, 1024) + even(380, -4, 4) + even(200, -1000, 1000) + even(150, -(2.0**20), 2.0**20)
    + multiples(150, 0, 19, HALF_PI) + multiples(60, 19, 1000, HALF_PI) + multiples(60, 0, 18, HALF_PI / 2)
    + around(mp.pi / 4, HALF_PI, mp.pi, 3 * mp.pi / 4, 2 * mp.pi, 2.0**20) + [HARDEST, -HARDEST, MAX]
)
STEPS = multiples(80, 0, 10, LN2 / 2)
UNIT = SMALL + sizes(200, -1074, 0) + even(600, -1, 1) + even(200, -0.55, -0.45) + even(200, 0.45, 0.55) + around(0.5, -0.5, 1.0, -1.0)
inside = lambda xs, low, high: [x for x in xs if low <= x <= high]  # noqa: E731

ONE = {
    "exp": (mp.exp, SMALL + sizes(250, -1074, 10) + even(400, -1, 1) + even(400, -745, 710) + even(150, -745.2, -707) + STEPS
            + around(LN2, LN2 / 2, -LN2 / 2, 709.782712893384, -745.1332191019412, -708.3964185322641), [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0)]),
    "exp_m1": (mp.expm1, SMALL + sizes(300, -1074, 10) + even(600, -1, 1) + even(250, -45, 45) + even(200, -100, 710) + STEPS
               + around(LN2, LN2 / 2, -LN2 / 2, -36.7, 709.782712893384), [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0)]),
    "ln": (mp.log, [abs(x) for x in SMALL] + sizes(400, -1074, 1024, False) + even(500, 0.5, 2) + even(300, 0, 100) + around(1.0, mp.sqrt(2), mp.sqrt(0.5))
           + [MAX], [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN), (-TINY, NAN), (1.0, 0.0)]),
    "ln_1p": (mp.log1p, SMALL + inside(sizes(700, -1074, 1024), -1, INF) + even(500, -1, 1) + even(250, 0, 100)
              + inside(around(-1.0, mp.sqrt(2) - 1, mp.sqrt(0.5) - 1, 1.0, -0.5), math.nextafter(-1, 0), INF) + [MAX],
              [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-INF, NAN), (-1.5, NAN)]),
    "sin": (mp.sin, TURNS, [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)]),
    "cos": (mp.cos, TURNS, [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN)]),
    "tan": (mp.tan, TURNS, [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)]),
    "asin": (mp.asin, inside(UNIT, -1, 1), [(0.0, 0.0), (-0.0, -0.0), (1.0000000000000002, NAN), (-2.0, NAN), (INF, NAN), (-INF, NAN)]),
    "acos": (mp.acos, inside(UNIT, -1, 1), [(1.0, 0.0), (0.0, math.pi / 2), (-0.0, math.pi / 2), (1.0000000000000002, NAN), (-2.0, NAN), (INF, NAN), (-INF, NAN)]),
    "atan": (mp.atan, SMALL + sizes(300, -1074, 1024) + even(600, -3, 3) + even(200, -50, 50) + around(mp.sqrt(2) - 1, 1 - mp.sqrt(2), mp.sqrt(2) + 1, 1.0, -1.0, 2.0**53, 2.0**64)
             + [MAX], [(0.0, 0.0), (-0.0, -0.0), (INF, math.pi / 2), (-INF, -math.pi / 2)]),
    "sinh": (mp.sinh, SMALL + sizes(300, -1074, 10) + even(500, -2, 2) + even(250, -40, 40) + even(200, -711, 711) + STEPS
             + around(LN2 / 2, LN2, 3 * LN2 / 2, 19.0, 710.4758600739439), [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF)]),
    "cosh": (mp.cosh, SMALL + sizes(300, -1074, 10) + even(500, -2, 2) + even(250, -40, 40) + even(200, -711, 711) + STEPS
             + around(LN2 / 2, LN2, 3 * LN2 / 2, 19.0, 710.4758600739439), [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF)]),
    "tanh": (mp.tanh, SMALL + sizes(300, -1074, 10) + even(700, -2, 2) + even(300, -25, 25) + STEPS + around(LN2 / 2, LN2, 3 * LN2 / 2, 19.06, 40.0),
             [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0)]),
    "asinh": (mp.asinh, SMALL + sizes(400, -1074, 1024) + even(700, -4, 4) + even(300, -1000, 1000) + around(1.0, mp.sqrt(0.5) / 2, 2.0**28) + [MAX],
              [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF)]),
    "acosh": (mp.acosh, sizes(400, 0, 1024, False) + even(600, 1, 4) + even(200, 1, 1.1) + even(200, 1, 1000) + inside(around(1.0, 1.5, 2.0, 2.0**28), 1, INF) + [MAX],
              [(1.0, 0.0), (INF, INF), (-INF, NAN), (0.9999999999999999, NAN), (0.0, NAN), (-2.0, NAN)]),
    "atanh": (mp.atanh, SMALL + sizes(300, -1074, 0) + even(800, -1, 1) + even(200, 0.1, 0.4) + inside(around(1.0, 1 / mpf(3), 0.2, mp.sqrt(2) * 2 - 2.7, -0.5), math.nextafter(-1, 0), math.nextafter(1, 0)),
              [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), (INF, NAN)]),
}


def pairs(a, b):
    return list(zip(a, b))


def similar(n, low, high):
    """Two numbers of any size, within a factor 2⁸ of each other."""
    first = sizes(n, low, high)
    return [(a, a * y) for a, y in zip(first, sizes(n, -8, 9)) if abs(a * y) <= MAX and abs(a * y) >= TINY]


def powers():
    out = pairs(even(500, 0, 10), even(500, -10, 10)) + pairs(even(300, 0.9, 1.1), sizes(300, -10, 14))
    for x in sizes(500, -1074, 1024, False) + even(300, 0.5, 2):
        limit = 744 / max(abs(math.log(x)), 1e-18)
        out.append((x, rng.uniform(-limit, limit)))
    out += [(x, float(rng.randint(-40, 40) or 3)) for x in even(300, -20, 20)]
    out += [(x, rng.choice((0.5, -0.5, 2.0, 1 / 3, -1.0, 1.0, 1.5))) for x in sizes(200, -1074, 1024, False)]
    out += [(y, rng.uniform(-744, 709) / math.log(y)) for y in around(1.0, mp.sqrt(2), mp.sqrt(0.5)) if y != 1]
    # Results on the edges of the range.
    for x in even(60, 1.5, 50):
        out += [(x, f / math.log(x)) for f in (709.7827128, -708.396418, -744.4, -745.13, 709.79, -745.2)]
    return out + [(math.nextafter(1, 2), 1e300), (math.nextafter(1, 0), 1e300), (2.0, TINY), (MAX, 1.0), (TINY, 1.0), (-3.0, 9007199254740993.0),
                  (-1.0, 9007199254740991.0), (-1.0, 4503599627370497.0), (-1.0, 9007199254740994.0), (-1.5, 301.0), (-TINY, 1.0), (-MAX, -1.0)]


TWO = {
    "atan2": (mp.atan2, pairs(even(500, -2, 2), even(500, -2, 2)) + similar(400, -1070, 1020) + pairs(sizes(300, -1074, 1024), sizes(400, -1074, 1024))
              + [(y * s, s) for s in (1.0, -1.0, 3e-310, -1e308 / 4) for y in around(mp.sqrt(2) - 1, mp.sqrt(2) + 1, 1.0)]
              + [(x * math.ldexp(rng.uniform(1, 2), -rng.randint(900, 1074)), x) for x in sizes(150, -100, 1000)]
              + [(MAX, MAX), (TINY, TINY), (MAX, TINY), (TINY, MAX), (TINY, -MAX), (-MAX, -MAX), (TINY, -TINY)],
              [(0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (0.0, -0.0, math.pi), (-0.0, -0.0, -math.pi), (0.0, 2.0, 0.0), (-0.0, 2.0, -0.0), (0.0, -2.0, math.pi),
               (-0.0, -2.0, -math.pi), (3.0, 0.0, math.pi / 2), (3.0, -0.0, math.pi / 2), (-3.0, 0.0, -math.pi / 2), (1e308, INF, 0.0), (-1e308, INF, -0.0),
               (1.0, -INF, math.pi), (-1.0, -INF, -math.pi), (INF, 1e308, math.pi / 2), (-INF, -1e308, -math.pi / 2), (INF, INF, math.pi / 4),
               (-INF, INF, -math.pi / 4), (INF, -INF, 2.356194490192345), (-INF, -INF, -2.356194490192345), (0.0, INF, 0.0), (-0.0, -INF, -math.pi),
               (NAN, 1.0, NAN), (1.0, NAN, NAN), (NAN, INF, NAN), (0.0, NAN, NAN), (INF, NAN, NAN)]),
    "hypot": (mp.hypot, pairs(even(600, -2, 2), even(600, -2, 2)) + similar(600, -1070, 1016) + pairs(sizes(400, -1074, 1023), sizes(400, -1074, 1023))
              + similar(200, -480, -450) + similar(200, 450, 480) + [(MAX, 1e300), (TINY, TINY), (3.0, 4.0), (3e-320, 4e-320), (1e308, 1e308), (MAX, MAX)],
              [(0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (-3.0, 0.0, 3.0), (INF, NAN, INF), (NAN, -INF, INF), (-INF, 1.0, INF), (NAN, 1.0, NAN), (0.0, NAN, NAN)]),
    "pow": (mp.power, powers(),
            [(x, y, 1.0) for x in (0.0, -0.0, 1.0, -2.0, INF, -INF, NAN, TINY) for y in (0.0, -0.0)] + [(1.0, y, 1.0) for y in (INF, -INF, NAN, 1e300, -0.5)]
            + [(-1.0, INF, 1.0), (-1.0, -INF, 1.0), (0.0, -3.0, INF), (-0.0, -3.0, -INF), (0.0, -2.5, INF), (-0.0, -2.0, INF), (-0.0, -2.5, INF), (0.0, 3.0, 0.0),
               (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0), (-0.0, 0.5, 0.0), (0.0, INF, 0.0), (-0.0, INF, 0.0), (0.0, -INF, INF), (-0.0, -INF, INF), (0.5, INF, 0.0),
               (-0.5, INF, 0.0), (0.5, -INF, INF), (-0.5, -INF, INF), (2.0, INF, INF), (-2.0, INF, INF), (2.0, -INF, 0.0), (-2.0, -INF, 0.0), (INF, 2.0, INF),
               (INF, -2.0, 0.0), (INF, 0.5, INF), (-INF, 3.0, -INF), (-INF, 2.0, INF), (-INF, 0.5, INF), (-INF, -3.0, -0.0), (-INF, -2.0, 0.0), (-INF, -0.5, 0.0),
               (INF, INF, INF), (-INF, INF, INF), (INF, -INF, 0.0), (-INF, -INF, 0.0), (-8.0, 1 / 3, NAN), (-TINY, 0.5, NAN), (-1.0, 0.5, NAN), (-MAX, -1.5, NAN),
               (NAN, 1.0, NAN), (2.0, NAN, NAN), (NAN, INF, NAN), (0.0, NAN, NAN), (INF, NAN, NAN), (-1.0, NAN, NAN), (2.0, 1e308, INF), (2.0, -1e308, 0.0),
               (-2.0, -1e308, 0.0), (0.5, -1e308, INF), (-2.0, 1025.0, -INF), (-2.0, -1101.0, -0.0)]),
}


def saturates(x, y):
    """Far outside the doubles: mpmath's exponents have no bound, but the table needs no thousand-digit numbers."""
    log = mpf(y) * mp.log(abs(mpf(x)))
    return (INF if log > 0 else 0.0) if abs(log) > 800 else None


functions = {}
for name, (f, points, special) in ONE.items():
    rows = []
    for x in dict.fromkeys(points):
        if x in {x for x, _ in special} or not math.isfinite(x):
            continue
        y, residual = rounded(f(mpf(x)))
        rows.append(f"{bits(x)} {bits(y)} {residual}")
    functions[name] = {"rows": rows, "special": [f"{bits(x)} {bits(y)}" for x, y in [*special, (NAN, NAN)]]}
for name, (f, points, special) in TWO.items():
    rows = []
    for x, y in dict.fromkeys(points):
        if x == 0 or y == 0:  # drawn too small
            continue
        if name == "pow":
            far = saturates(x, y)
            if far is not None:
                odd = x < 0 and y == int(y) and int(y) % 2 == 1
                rows.append(f"{bits(x)} {bits(y)} {bits(-far if odd else far)} 0")
                continue
        if name == "pow" and y == int(y) and abs(y) < 2**60:
            # Of an integer power mpmath makes the exact number.
            v = mp.power(abs(mpf(x)), mpf(y)) if abs(y) < 64 else mp.exp(mpf(y) * mp.log(abs(mpf(x))))
            v = -v if x < 0 and int(y) % 2 == 1 else v
        else:
            v = f(mpf(x), mpf(y))
        value, residual = rounded(v)
        rows.append(f"{bits(x)} {bits(y)} {bits(value)} {residual}")
    functions[name] = {"rows": rows, "special": [f"{bits(x)} {bits(y)} {bits(z)}" for x, y, z in special]}

about = f"mpmath {importlib.metadata.version('mpmath')}, {mp.prec} bits; rows: arguments, result, (exact - result)/ulp in thousandths"
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({"about": about, "functions": functions}, indent=0) + "\n")
print({n: len(v["rows"]) + len(v["special"]) for n, v in functions.items()}, OUT.stat().st_size)
