#!/usr/bin/env python3
"""Writes the reference tables of graph: crates/graph/tests/data/{instructions,networks}.json.

    python3 -m venv target/reference-venv
    target/reference-venv/bin/pip install -r tools/reference/requirements.txt
    target/reference-venv/bin/python tools/reference/generate_graph.py

Every number is checked on the way against mpmath; a minute or two.
"""

import importlib.metadata
import json
import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)

import graph_instructions  # noqa: E402  (the precision must be set before any array exists)
import graph_networks  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "crates" / "graph" / "tests" / "data"

DOUBLES = "Numbers stand in strings, as shortest decimals that give the same doubles back."
INSTRUCTIONS = [
    "A point: operands : value, derivatives by each operand, then second derivatives, the lower triangle row by row.",
    "An instruction of one operand also has its third derivative where a double holds it.",
    "from: jax where all numbers of a row agree with mpmath to 1e-13 relative, else mpmath for the whole row.",
    "Pow with an exponent: the exponent is a constant of the tape.",
    "A number below 1e-330 stands as 0. No point lies on a kink, a tie or a jump.",
    DOUBLES,
]
NETWORKS = [
    "code: instructions, numbered on after the inputs, each an operation and its operands; lit is a constant.",
    "jacobian, hessian: the places row,column that CasADi takes to be non-zero; the Hessian's are those of the lower triangle.",
    "A point: x, y, the Jacobian's entries, and those of the Hessian of weights·y, in the order of their places.",
    "Every number agrees with 40-digit arithmetic to 1e-13: values relative to themselves, Jacobians to the largest entry of"
    " the row, Hessians to the largest entry. Networks for which it does not were drawn again: drawn_again says how many.",
    DOUBLES,
]


def versions(*names):
    return {name: importlib.metadata.version(name) for name in names}


def write(name, head, key, entries):
    """One entry a line: compact, and a changed entry shows as one changed line."""
    head = {"generator": "tools/reference/generate_graph.py", **head}
    lines = (json.dumps(e, ensure_ascii=False, allow_nan=False, separators=(",", ":")) for e in entries)
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "{key}": [\n' + ",\n".join(lines) + "\n ]\n}\n"
    path = DATA / name
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {len(entries)} {key}, {path.stat().st_size / 1e6:.2f} MB")


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    of_one = {"versions": versions("jax", "jaxlib", "numpy", "sympy", "mpmath"), "conventions": INSTRUCTIONS}
    write("instructions.json", of_one, "instructions", graph_instructions.table())
    networks, again = graph_networks.table()
    of_many = {"versions": versions("casadi", "mpmath"), "conventions": NETWORKS, "drawn_again": again}
    write("networks.json", of_many, "networks", networks)


if __name__ == "__main__":
    sys.exit(main())
