#!/usr/bin/env python3
"""Prints the polynomials of erf and erfc in crates/core-graph/src/kernel/elementary, and the relative error that each leaves.

    target/reference-venv/bin/python tools/reference/fit_core_graph_elementary.py

Each is the interpolant at Chebyshev points, found with 200 bits and rounded once; the error is that of the rounded coefficients.
erfc x = e^(−x²)·P(t)/(1 + 2x) with t = (x − 3)/(x + 3) for x ≥ 0 (Shepherd and Laframboise 1981, with a 3 where they have 3.75);
erf x = x·P(x²) for |x| ≤ 1.
"""

from mpmath import mp, mpf

mp.prec = 200


def fit(f, low, high, degree):
    """Coefficients of the interpolant in rising powers, as doubles."""
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)]
    matrix = mp.matrix([[z**j for j in range(degree + 1)] for z in nodes])
    return [float(c) for c in mp.lu_solve(matrix, mp.matrix([f(z) for z in nodes]))]


def value(coefficients, z):
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * z + mpf(c)
    return total


def show(name, f, low, high, degree):
    low, high = mpf(low), mpf(high)
    coefficients = fit(f, low, high, degree)
    points = [low + (high - low) * (mpf(i) + mpf("0.37")) / 300 for i in range(300)]
    worst = max(abs(value(coefficients, z) / f(z) - 1) for z in points)
    print(f"{name}: degree {degree}, 2^{mp.nstr(mp.log(worst, 2), 4)}")
    print("    [" + ", ".join(repr(c) for c in coefficients) + "]")


MIDDLE = mpf(3)


def scaled_tail(t):
    x = MIDDLE * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


for name, end, degree in [("erfc, f32", mpf("10.5"), 10), ("erfc, f64", mpf(28), 22)]:
    show(name, scaled_tail, -1, (end - MIDDLE) / (end + MIDDLE), degree)
for name, degree in [("erf, f32", 6), ("erf, f64", 13)]:
    show(name, lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z), "1e-9", "1.02", degree)
