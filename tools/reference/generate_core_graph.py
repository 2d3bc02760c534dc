#!/usr/bin/env python3
"""Writes the reference tables of core-graph: crates/core-graph/tests/data/{scalar,structured}.json.

    python3 -m venv target/reference-venv
    target/reference-venv/bin/pip install -r tools/reference/requirements.txt
    target/reference-venv/bin/python tools/reference/generate_core_graph.py

Every number is checked on the way (scalar functions against mpmath, structured cases against central differences and
the adjoint identity); the first mismatch ends the run with a non-zero exit code and nothing written.
"""

import importlib.metadata
import json
import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)

import linear_algebra_cases  # noqa: E402  (the precision must be set before any array exists)
import scalar_functions  # noqa: E402
import tensor_cases  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "crates" / "core-graph" / "tests" / "data"
VERSIONS = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy", "sympy", "mpmath")}

SCALAR_CONVENTIONS = [
    "d of a function of one argument: value, first, second, third derivative; null where the third is not finite or below 1e-290.",
    "d of a function of two arguments: value, d/dx, d/dy, d2/dx2, d2/dxdy, d2/dy2. The first argument is x, so atan2 is atan2(x, y).",
    "source: jax where all of the row's numbers agree with mpmath to 1e-13 relative, else mpmath for the whole row.",
    "A number below 1e-330 stands as 0; an implementation may leave any subnormal there. No row has a number between 1e-330 and 1e-290 up to second order.",
    "Arguments are doubles and meant exactly: near a singularity the reference is the derivative at that double.",
    "jax_worst_relative_error is the largest relative error of JAX itself over the rows, to judge how hard a row is.",
    "No argument lies on a kink or a tie.",
]
STRUCTURED_CONVENTIONS = [
    "jvp = J·tangents, vjp = Jᵀ·cotangents, hvp = derivative of vjp in direction tangents with fixed cotangents, one per input.",
    "Arrays are row-major. Indices and masks are in params, as {shape, data} of integers.",
    "cholesky, cholesky_solve, logdet, eigvalsh, eigh_*: the function symmetrizes its matrix first, so vjp and hvp are symmetric; cholesky gives the lower factor.",
    "triangular_solve: op(A)·X = B with op = transpose if params.transpose; the other triangle (with unit_diagonal also the diagonal) is present, must not be read, and has zero gradient.",
    "qr: thin, m >= n, diagonal of R positive. lu: outputs unit lower L and U with A[permutation] = L·U, partial pivoting.",
    "slogdet: outputs sign and log|det|; the sign's derivative is zero.",
    "eigvalsh: ascending. eigh_fun: V·f(Λ)·Vᵀ. eigh_projector: V·Vᵀ over the eigenvectors of the params.smallest smallest eigenvalues. Eigenvalues are distinct.",
    "svdvals: descending. svd_fun: U·f(Σ)·Vᵀ, thin; f one gives the polar factor, saturate is s/(1+s). Singular values are distinct and positive.",
    "pinv: full rank. norm: Euclidean over the axes. variance: divides by n - ddof. max and min have no ties.",
    "gather: out[i] = x[i with i[axis] replaced by index[i]]; scatter_add: out = base, then out[the same place] += source[i]. The index may be shorter than the tensor along the other axes and may repeat.",
    "slice: steps are positive. pad: low and high per axis. transpose swaps two axes. select: mask 1 takes the first input.",
]


def header(conventions):
    return {"generator": "tools/reference/generate_core_graph.py", "versions": VERSIONS, "conventions": conventions}


def write(name, document, lists):
    """One entry a line: compact, and a changed case shows as one changed line."""
    head = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)[:-2]
    parts = []
    for key, entries in lists.items():
        lines = (json.dumps(e, ensure_ascii=False, allow_nan=False, separators=(",", ":")) for e in entries)
        parts.append(f' "{key}": [\n' + ",\n".join(lines) + "\n ]")
    path = DATA / name
    path.write_text(head + ",\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    counts = ", ".join(f"{len(v)} {k}" for k, v in lists.items())
    print(f"{path.relative_to(ROOT)}: {counts}, {path.stat().st_size / 1e6:.2f} MB")


def main():
    structured = [*tensor_cases.cases(), *linear_algebra_cases.cases()]
    names = [c["name"] for c in structured]
    if len(set(names)) != len(names):
        raise ValueError(f"case names repeat: {sorted({n for n in names if names.count(n) > 1})}")
    one, two = scalar_functions.tables()
    DATA.mkdir(parents=True, exist_ok=True)
    write("scalar.json", header(SCALAR_CONVENTIONS), {"functions": one, "functions_of_two": two})
    write("structured.json", header(STRUCTURED_CONVENTIONS), {"cases": structured})


if __name__ == "__main__":
    sys.exit(main())
