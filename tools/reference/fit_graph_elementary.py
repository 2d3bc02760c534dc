#!/usr/bin/env python3
"""Prints the polynomials of crates/graph/src/math, and the relative error that each leaves in its function.

    target/reference-venv/bin/python tools/reference/fit_graph_elementary.py

Each is the interpolant at Chebyshev points of an interval a little larger than the one it serves, found with 300 bits and
rounded once; the error is that of the rounded coefficients.
"""

from mpmath import mp, mpf

mp.prec = 300


def odd_rest(f):
    """(f(√z)/√z − 1)/z: the rest of an odd function f(x) = x + x³·P(x²)."""
    return lambda z: (f(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def fit(f, low, high, degree):
    """Coefficients of the interpolant in rising powers, as doubles."""
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)]
    matrix = mp.matrix([[z**j for j in range(degree + 1)] for z in nodes])
    solution = mp.lu_solve(matrix, mp.matrix([f(z) for z in nodes]))
    return [float(c) for c in solution]


def value(coefficients, z):
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * z + mpf(c)
    return total


def show(name, f, low, high, degree, weight):
    """`weight(z)`: what an error of the polynomial is multiplied with in the function, relative to the function."""
    low, high = mpf(low), mpf(high)
    coefficients = fit(f, low, high, degree)
    points = [low + (high - low) * (mpf(i) + mpf("0.37")) / 400 for i in range(400)]
    worst = max(abs((value(coefficients, z) - f(z)) * weight(z)) for z in points)
    print(f"{name}: degree {degree}, [{mp.nstr(low, 4)}, {mp.nstr(high, 4)}], 2^{mp.nstr(mp.log(worst, 2), 4)}")
    print("    [" + ", ".join(repr(c) for c in coefficients) + "]")


LN2 = mp.log(2)
R = LN2 / 2 * mpf("1.0001")
# sinh r = r + r·z·P(z), cosh r = 1 + z·P(z) with z = r², and eʳ is their sum.
show("sinh", odd_rest(mp.sinh), 0, R**2, 5, lambda z: z)
show("cosh", lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z, 0, R**2, 6, lambda z: z)
T = (mp.sqrt(2) - 1) * mpf("1.001")
show("atan", odd_rest(mp.atan), 0, T**2, 11, lambda z: z)
show("asin", odd_rest(mp.asin), 0, mpf("0.2501"), 12, lambda z: z)
# ½·ln((1 + s)/(1 − s)) = s + s·z·P(z), for atanh; from s⁵ on, for the logarithm of a power.
S = mpf("0.2035")
show("atanh", odd_rest(mp.atanh), 0, S**2, 8, lambda z: z)
U = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.001")
show("atanh from s^5", lambda z: ((mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z - mpf(1) / 3) / z, 0, U**2, 8, lambda z: z**2)
