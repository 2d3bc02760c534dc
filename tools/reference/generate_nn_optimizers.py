#!/usr/bin/env python3
"""Writes crates/nn/tests/data/optimizers.json: trajectories and learning rates of PyTorch.

    python3 -m venv target/nn-venv
    target/nn-venv/bin/pip install -r tools/reference/requirements-nn.txt
    target/nn-venv/bin/python tools/reference/generate_nn_optimizers.py

All in float64. The objective of the trajectories is Σ cᵢ(pᵢ − tᵢ)² + 0.1·sin 3pᵢ over the elements of two parameters. RMSProp with ε
inside the root, which PyTorch lacks, is its formula in NumPy.
"""

import json
import pathlib

import numpy as np
import torch

DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"
D = torch.float64
STEPS = [1, 2, 3, 5, 10, 20, 35, 50]
START = {"a.weight": [0.5, -1.2, 2.0], "b.weight": [1.0, 0.0, -0.7, 3.0]}
C = {"a.weight": [1.0, 0.3, 2.0], "b.weight": [0.7, 1.5, 0.2, 1.1]}
T = {"a.weight": [0.0, 1.0, -1.0], "b.weight": [0.3, 2.0, -2.0, 0.5]}

S, R, A, W = torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW
METHODS = [
    ("sgd", S, dict(lr=0.05)),
    ("sgd momentum", S, dict(lr=0.02, momentum=0.9)),
    ("sgd nesterov", S, dict(lr=0.02, momentum=0.9, weight_decay=0.1, nesterov=True)),
    ("rms_prop", R, dict(lr=0.01)),
    ("rms_prop momentum", R, dict(lr=0.01, alpha=0.9, momentum=0.5, weight_decay=0.1)),
    ("rms_prop centered", R, dict(lr=0.01, alpha=0.95, eps=1e-6, centered=True)),
    ("rms_prop centered momentum", R, dict(lr=0.01, alpha=0.95, eps=1e-4, centered=True, momentum=0.7)),
    ("adam", A, dict(lr=0.05)),
    ("adam decay", A, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    ("adam amsgrad", A, dict(lr=0.1, betas=(0.9, 0.9), amsgrad=True)),
    ("adam_w", W, dict(lr=0.05)),
    ("adam_w amsgrad", W, dict(lr=0.05, weight_decay=0.3, betas=(0.9, 0.9), amsgrad=True)),
]


CYCLES = {
    "one_cycle sgd": (0.1, dict()),
    "one_cycle adam": (0.2, dict(pct_start=0.4, base_momentum=0.5, max_momentum=0.9, anneal_strategy="linear")),
    "one_cycle sgd, three phases": (0.1, dict(three_phase=True, div_factor=10, final_div_factor=100)),
    "one_cycle adam, three phases": (0.2, dict(three_phase=True, pct_start=0.25)),
}


def objective(name, p):
    c, t = torch.tensor(C[name], dtype=D), torch.tensor(T[name], dtype=D)
    return (c * (p - t) ** 2 + 0.1 * torch.sin(3 * p)).sum()


def trajectory(make, clip=None, average=None, schedule=None):
    p = {n: torch.tensor(v, dtype=D, requires_grad=True) for n, v in START.items()}
    optimizer, path = make(p), []
    scheduler = schedule(optimizer) if schedule else None
    mean = {n: v.detach().clone() for n, v in p.items()}
    for step in range(1, max(STEPS) + 1):
        optimizer.zero_grad()
        sum(objective(n, v) for n, v in p.items()).backward()
        if clip:
            clip(list(p.values()))
        optimizer.step()
        if scheduler:
            scheduler.step()
        if average:
            for n, v in p.items():
                mean[n] = torch.lerp(mean[n], v.detach(), 1 - average)
        if step in STEPS:
            path.append([x for n in START for x in (mean[n] if average else p[n]).tolist()])
    return path


def clip_norm(p, maximum):
    """clip_grad_norm_ adds 1e-6 to the norm; the plain norm is what is documented here."""
    total = float(torch.sqrt(sum((v.grad**2).sum() for v in p)))
    for v in p:
        v.grad.mul_(min(1.0, maximum / total))


def inside(lr, alpha, eps, momentum):
    p = {n: np.array(v) for n, v in START.items()}
    s, m = ({n: np.zeros_like(v) for n, v in p.items()} for _ in range(2))
    path = []
    for step in range(1, max(STEPS) + 1):
        for n in p:
            g = 2 * np.array(C[n]) * (p[n] - np.array(T[n])) + 0.3 * np.cos(3 * p[n])
            s[n] = alpha * s[n] + (1 - alpha) * g * g
            m[n] = momentum * m[n] + g / np.sqrt(s[n] + eps)
            p[n] = p[n] - lr * m[n]
        if step in STEPS:
            path.append([float(x) for n in START for x in p[n]])
    return path


def trajectories():
    for name, method, options in METHODS:
        yield name, trajectory(lambda p: method(p.values(), **options))
    yield "rms_prop inside", inside(0.01, 0.9, 1e-2, 0.0)
    yield "rms_prop inside momentum", inside(0.01, 0.9, 1e-6, 0.5)
    groups = lambda p: W([{"params": [p["a.weight"]], "lr": 0.005, "weight_decay": 0.5}, {"params": [p["b.weight"]]}], lr=0.05)
    yield "groups", trajectory(groups)
    sgd = lambda p: S(p.values(), lr=0.05, momentum=0.5)
    yield "clip norm", trajectory(sgd, clip=lambda p: clip_norm(p, 1.5))
    yield "clip value", trajectory(sgd, clip=lambda p: torch.nn.utils.clip_grad_value_(p, 0.8))
    yield "average", trajectory(sgd, average=0.95)
    for name, (rate, options) in CYCLES.items():
        method = A if "adam" in name else S
        options = dict(max_lr=rate, total_steps=max(STEPS) + 1, cycle_momentum=True, **options)
        make = lambda p: method(p.values(), lr=rate, **({} if method is A else dict(momentum=0.9)))
        yield name, trajectory(make, schedule=lambda o: torch.optim.lr_scheduler.OneCycleLR(o, **options))


def rates():
    L = torch.optim.lr_scheduler
    base = 0.4
    table = [
        ("step", lambda o: L.StepLR(o, 7, 0.3)),
        ("multi_step", lambda o: L.MultiStepLR(o, [3, 10, 10, 31], 0.5)),
        ("exponential", lambda o: L.ExponentialLR(o, 0.93)),
        ("cosine", lambda o: L.CosineAnnealingLR(o, 60, eta_min=0.02)),
        ("restarts", lambda o: L.CosineAnnealingWarmRestarts(o, 9, 1, eta_min=0.02)),
        ("growing restarts", lambda o: L.CosineAnnealingWarmRestarts(o, 5, 2)),
        ("warm_up", lambda o: L.LinearLR(o, 0.1, 1.0, 12)),
        ("polynomial", lambda o: L.PolynomialLR(o, 40, 1.7)),
        ("one_cycle", lambda o: L.OneCycleLR(o, base, total_steps=60)),
        ("one_cycle linear", lambda o: L.OneCycleLR(o, base, total_steps=60, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100)),
        ("one_cycle three phases", lambda o: L.OneCycleLR(o, base, total_steps=60, three_phase=True)),
        ("one_cycle three phases, linear", lambda o: L.OneCycleLR(o, base, total_steps=60, three_phase=True, pct_start=0.45, anneal_strategy="linear", div_factor=10)),
        ("one_cycle without warm-up", lambda o: L.OneCycleLR(o, base, total_steps=60, pct_start=0.0)),
        ("warm-up, then cosine", lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.1, 1.0, 10), L.CosineAnnealingLR(o, 50)], [10])),
        ("product", lambda o: L.ChainedScheduler([L.LinearLR(o, 0.1, 1.0, 12), L.ExponentialLR(o, 0.95)])),
    ]
    for name, make in table:
        optimizer = S([torch.zeros(1, requires_grad=True)], lr=base)
        scheduler, out = make(optimizer), []
        for _ in range(60):
            out.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        yield name, out


def momenta():
    """Of SGD, which has `momentum`; Adam's β₁ is given the same numbers."""
    for name, options in [
        ("one_cycle", dict()),
        ("one_cycle linear", dict(pct_start=0.4, anneal_strategy="linear", base_momentum=0.5, max_momentum=0.9)),
        ("one_cycle three phases", dict(three_phase=True)),
        ("one_cycle without warm-up", dict(pct_start=0.0)),
    ]:
        optimizer = S([torch.zeros(1, requires_grad=True)], lr=0.4, momentum=0.9)
        scheduler, out = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=60, **options), []
        for _ in range(60):
            out.append(optimizer.param_groups[0]["momentum"])
            optimizer.step()
            scheduler.step()
        yield name, out


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    out = {
        "generator": "tools/reference/generate_nn_optimizers.py",
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
        "start": START,
        "factors": C,
        "targets": T,
        "steps": STEPS,
    }
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()]
    for key, rows in [("trajectories", trajectories()), ("rates", rates()), ("momenta", momenta())]:
        lines.append(f'{json.dumps(key)}: {{\n' + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows) + "\n}")
    path = DATA / "optimizers.json"
    path.write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
