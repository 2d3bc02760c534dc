#!/usr/bin/env python3
"""Writes crates/nn/tests/data/minimizers.json: what L-BFGS of PyTorch and least squares of SciPy need for standard problems.

    python3 -m venv target/peers-venv
    target/peers-venv/bin/pip install -r benches/peers/requirements.txt
    target/peers-venv/bin/python tools/reference/generate_nn_minimizers.py

The problems, their starts and their minima are those of Moré, Garbow and Hillstrom (1981), Testing unconstrained optimization software;
f is half the sum of the squared residuals. `minimum` is f where SciPy's Levenberg-Marquardt (MINPACK) with the least tolerances ends.
Counted are evaluations of f (L-BFGS: with its gradient) up to the first with f − minimum ≤ 1e-8·(f(start) − minimum). Jacobians and
gradients are PyTorch's. PyTorch's search starts with its default learning rate 1, its memory is 10, as ours.
"""

import json
import pathlib

import numpy as np
import scipy
import torch
from scipy.optimize import least_squares

torch.set_default_dtype(torch.float64)
DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"
SHARE = 1e-8

BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
KOWALIK_Y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
KOWALIK_U = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
OSBORNE = [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603, 0.580]
OSBORNE += [0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406]


def t(values):
    return torch.as_tensor(values, dtype=torch.float64)


def rosenbrock(x):
    a, b = x[0::2], x[1::2]
    return torch.cat([10 * (b - a**2), 1 - a])


def freudenstein_roth(x):
    a, b = x
    return torch.stack([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def beale(x):
    return t([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** t([1.0, 2.0, 3.0]))


def bard(x):
    u = torch.arange(1.0, 16.0)
    v = 16 - u
    return t(BARD) - (x[0] + u / (v * x[1] + torch.minimum(u, v) * x[2]))


def kowalik_osborne(x):
    u = t(KOWALIK_U)
    return t(KOWALIK_Y) - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def meyer(x):
    return x[0] * torch.exp(x[1] / (45 + 5 * torch.arange(1.0, 17.0) + x[2])) - t(MEYER)


def powell_singular(x):
    return torch.stack([x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2])


def box(x):
    u = 0.1 * torch.arange(1.0, 11.0)
    return torch.exp(-u * x[0]) - torch.exp(-u * x[1]) - x[2] * (torch.exp(-u) - torch.exp(-10 * u))


def brown_dennis(x):
    u = torch.arange(1.0, 21.0) / 5
    return (x[0] + u * x[1] - torch.exp(u)) ** 2 + (x[2] + x[3] * torch.sin(u) - torch.cos(u)) ** 2


def osborne(x):
    u = 10 * torch.arange(0.0, 33.0)
    return t(OSBORNE) - (x[0] + x[1] * torch.exp(-u * x[3]) + x[2] * torch.exp(-u * x[4]))


def wood(x):
    a, b, c, d = x
    return torch.stack([10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c, 10**0.5 * (b + d - 2), (b - d) / 10**0.5])


PROBLEMS = [
    ("rosenbrock", rosenbrock, [-1.2, 1.0]),
    ("rosenbrock of 20", rosenbrock, [-1.2, 1.0] * 10),
    ("freudenstein_roth", freudenstein_roth, [0.5, -2.0]),
    ("beale", beale, [1.0, 1.0]),
    ("bard", bard, [1.0, 1.0, 1.0]),
    ("kowalik_osborne", kowalik_osborne, [0.25, 0.39, 0.415, 0.39]),
    ("meyer", meyer, [0.02, 4000.0, 250.0]),
    ("powell_singular", powell_singular, [3.0, -1.0, 0.0, 1.0]),
    ("box", box, [0.0, 10.0, 20.0]),
    ("brown_dennis", brown_dennis, [25.0, 5.0, -5.0, -1.0]),
    ("osborne", osborne, [0.5, 1.5, -1.0, 0.01, 0.02]),
    ("wood", wood, [-3.0, -1.0, -3.0, -1.0]),
]


def first_below(values, limit):
    """How many evaluations it takes; None if it never comes there."""
    return next((i + 1 for i, v in enumerate(values) if v <= limit), None)


def fit(r, start, method):
    """Evaluations, one after the other, and where it ends."""
    seen = []

    def fun(x):
        y = r(torch.tensor(x)).numpy()
        seen.append(0.5 * float(y @ y))
        return y

    jacobian = lambda x: torch.autograd.functional.jacobian(r, torch.tensor(x)).numpy()
    tight = dict(xtol=1e-15, ftol=1e-15, gtol=1e-15)
    with np.errstate(over="ignore", invalid="ignore"):
        end = least_squares(fun, start, jac=jacobian, method=method, max_nfev=5000, **tight)
    return seen, float(end.cost), end.x


def lbfgs(r, start):
    x = torch.tensor(start, requires_grad=True)
    method = torch.optim.LBFGS([x], max_iter=2000, max_eval=4000, history_size=10, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe")
    seen = []

    def closure():
        method.zero_grad()
        f = 0.5 * r(x).square().sum()
        f.backward()
        seen.append(float(f.detach()))
        return f

    method.step(closure)
    return seen


def main():
    rows = []
    for name, r, start in PROBLEMS:
        f0 = 0.5 * float(r(torch.tensor(start)).square().sum())
        marquardt, minimum, _ = fit(r, start, "lm")
        trust, other, _ = fit(r, start, "trf")
        minimum = min(minimum, other) if abs(minimum - other) <= 1e-6 * f0 else minimum
        limit = minimum + SHARE * (f0 - minimum)
        counts = {"lm": first_below(marquardt, limit), "trf": first_below(trust, limit), "lbfgs": first_below(lbfgs(r, start), limit)}
        rows.append({"name": name, "start": start, "value": f0, "minimum": minimum, "evaluations": counts})
        print(name, f0, 2 * minimum, counts)
    head = {
        "generator": "tools/reference/generate_nn_minimizers.py",
        "torch": torch.__version__.split("+")[0],
        "scipy": scipy.__version__,
        "share": SHARE,
    }
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    (DATA / "minimizers.json").write_text("{" + ",\n".join(lines) + ',\n"problems": [\n' + ",\n".join(map(json.dumps, rows)) + "]}\n")


if __name__ == "__main__":
    main()
