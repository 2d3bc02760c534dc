#!/usr/bin/env python3
"""Writes crates/graph/tests/data/revolve.json: how many steps checkpoint-schedules makes forward to reverse a chain.

    python3 -m venv target/revolve-venv
    target/revolve-venv/bin/pip install -r tools/reference/requirements-revolve.txt
    target/revolve-venv/bin/python tools/reference/generate_revolve.py

Steps whose derivative is taped while they are made are not counted: each step has one such in the end. The schedules of
Griewank and Walther (MultistageCheckpointSchedule) and, up to 100 steps, of H-Revolve's Revolve are counted; they must agree.
"""

import importlib.metadata
import json
import pathlib

import checkpoint_schedules as cs

DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "graph" / "tests" / "data"
STEPS = [1, 2, 3, 4, 5, 7, 10, 16, 23, 35, 56, 70, 100, 169, 286, 400, 700, 1000, 2000, 3003]
SNAPSHOTS = [1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 30, 50]


def forward_steps(schedule):
    count = 0
    for action in schedule:
        if isinstance(action, cs.Forward) and not action.write_adj_deps:
            count += action.n1 - action.n0
        if isinstance(action, cs.EndReverse):
            return count
    raise SystemExit("a schedule that does not end")


def row(steps, snapshots):
    count = forward_steps(cs.MultistageCheckpointSchedule(steps, snapshots, 0))
    if steps <= 100 and snapshots < steps:
        other = forward_steps(cs.Revolve(steps, snapshots))
        if other != count:
            raise SystemExit(f"{steps} steps, {snapshots} snapshots: {count} and {other}")
    return {"steps": steps, "snapshots": snapshots, "forward": count}


def main():
    # One place reverses 3003 steps with 4.5 million forward steps: short chains are enough there.
    pairs = [(l, s) for l in STEPS for s in SNAPSHOTS if s > 2 or l <= 400]
    rows = [row(l, s) for l, s in pairs]
    version = importlib.metadata.version("checkpoint-schedules")
    DATA.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(r) for r in rows)
    text = f'{{"source": "checkpoint-schedules {version}", "rows": [\n{lines}\n]}}\n'
    (DATA / "revolve.json").write_text(text)
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
