"""Gradients of quadratic and conic programs in moreau, qpth and diffcp, for crates/diffopt/tests/reference/gradients.json.

The programs are drawn by seed, by the same formulas as crates/diffopt/tests/common; the table holds one number for each argument: the
gradient times a fixed direction. Make it again with the peers of the benches:

    cargo xtask bench diffopt --peers --quick   # makes target/peers-venv
    target/peers-venv/bin/python tools/reference/generate_diffopt.py
"""

import importlib.metadata
import json
import pathlib
import sys
import warnings

import numpy as np
from scipy import sparse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches" / "peers"))
from diffopt_data import Random, quadratic_programs  # noqa: E402

warnings.filterwarnings("ignore")

SIZES = [(2, 3), (4, 5), (6, 12), (10, 10), (20, 30)]
BATCH, RIDGE = 100, 1e-1


def wave(stream, shape):
    """Element i is sin(0.7·i + 1.3·stream): cotangents (stream 9) and directions (streams 0 to 3)."""
    return np.sin(0.7 * np.arange(int(np.prod(shape))) + 1.3 * stream).reshape(shape)


def projected(gradients):
    """[Q, q, G, h] of each item times the directions."""
    return [[float(np.sum(g[i] * wave(k, g[i].shape))) for k, g in enumerate(gradients)] for i in range(len(gradients[0]))]


def by_moreau(Q, q, G, h):
    import moreau

    batch, m, n = G.shape
    settings = moreau.Settings(batch_size=batch, device="cpu", enable_grad=True, solver="active_set")
    solver = moreau.CompiledSolver(
        n=n,
        m=m,
        P_row_offsets=np.arange(0, n * n + 1, n),
        P_col_indices=np.tile(np.arange(n), n),
        A_row_offsets=np.arange(0, m * n + 1, n),
        A_col_indices=np.tile(np.arange(n), m),
        cones=moreau.Cones(num_nonneg_cones=m),
        settings=settings,
    )
    solver.setup(Q.reshape(batch, -1), G.reshape(batch, -1))
    solver.solve(q, h)
    g = solver.backward(np.tile(wave(9, (n,)), (batch, 1)))
    dQ = np.asarray(g["dP_values"]).reshape(batch, n, n)
    dQ = 0.5 * (dQ + np.swapaxes(dQ, 1, 2))
    return projected([dQ, np.asarray(g["dq"]), np.asarray(g["dA_values"]).reshape(batch, m, n), np.asarray(g["db"])])


def active_rows(Q, p, G, h, z, lam, slack):
    """The solution of the active rows' equations, from an iterate near it."""
    z, lam, slack = np.zeros_like(z), np.array(lam), np.array(slack)
    for i in range(len(z)):
        on = lam[i] > slack[i]
        J, k = G[i][on], int(on.sum())
        K = np.block([[Q[i], J.T], [J, np.zeros((k, k))]])
        right = np.concatenate([-p[i], h[i][on]])
        solution = np.linalg.solve(K, right)
        solution += np.linalg.solve(K, right - K @ solution)
        z[i] = solution[: Q.shape[1]]
        lam[i], slack[i] = 0.0, 0.0
        lam[i][on] = solution[Q.shape[1] :]
        slack[i][~on] = (h[i] - G[i] @ z[i])[~on]
        assert lam[i].min() >= 0.0 and slack[i].min() >= 0.0
    return z, lam, slack


class Sharp:
    """torch in which qpth's floor of multipliers and slacks is 10⁻¹³ instead of 10⁻⁸."""

    def __getattr__(self, name):
        import torch

        return getattr(torch, name)

    def clamp(self, x, min):
        import torch

        return torch.clamp(x, min=1e-13)


def by_qpth_at_the_optimum(*data):
    """qpth's own backward, at the solution to rounding and without its floor, which is what limits its gradients."""
    import qpth.qp
    import torch

    plain_forward, plain_torch = qpth.qp.pdipm_b.forward, qpth.qp.torch

    def forward(Q, p, G, h, *rest, **options):
        z, nu, lam, slack = plain_forward(Q, p, G, h, *rest, **options)
        z, lam, slack = active_rows(*(v.numpy() for v in (Q, p, G, h, z, lam, slack)))
        return torch.from_numpy(z), nu, torch.from_numpy(lam), torch.from_numpy(slack)

    qpth.qp.pdipm_b.forward, qpth.qp.torch = forward, Sharp()
    try:
        return by_qpth(*data)
    finally:
        qpth.qp.pdipm_b.forward, qpth.qp.torch = plain_forward, plain_torch


def by_qpth(Q, q, G, h):
    import torch
    from qpth.qp import QPFunction

    leaves = [torch.from_numpy(v.copy()).requires_grad_(True) for v in (Q, q, G, h)]
    none = torch.empty(0, dtype=torch.float64)
    x = QPFunction(verbose=-1, eps=1e-14, maxIter=60, notImprovedLim=10)(*leaves, none, none)
    cotangent = torch.from_numpy(wave(9, (q.shape[1],)))
    dQ, dq, dG, dh = torch.autograd.grad((x * cotangent).sum(), leaves)
    dQ = 0.5 * (dQ + dQ.transpose(1, 2))
    return projected([v.numpy() for v in (dQ, dq, dG, dh)])


def inside(cone, dual):
    kind, k = cone
    if kind == "zero":
        return [0.3 * i - 0.2 if dual else 0.0 for i in range(k)]
    if kind == "nonnegative":
        return [1.0 + 0.1 * i for i in range(k)]
    if kind == "second order":
        return [2.0] + [0.1] * (k - 1)
    if kind == "exponential":
        return [-1.0, 0.5, 2.0] if dual else [-0.5, 1.0, 1.5]
    return [1.5 if i == j else 0.1 for j in range(k) for i in range(j + 1)]


def rows(cone):
    kind, k = cone
    return {"exponential": 3, "semidefinite": k * (k + 1) // 2}.get(kind, k)


FAMILIES = {
    "nonnegative": (4, [("nonnegative", 8)]),
    "equalities": (6, [("zero", 2), ("nonnegative", 6)]),
    "second order": (6, [("second order", 4), ("second order", 3), ("nonnegative", 3)]),
    "large second order": (12, [("zero", 3), ("second order", 18)]),
    "exponential": (6, [("exponential", 1), ("exponential", 1), ("zero", 1), ("nonnegative", 3)]),
    "semidefinite": (6, [("semidefinite", 4), ("zero", 1)]),
    "large semidefinite": (8, [("semidefinite", 6)]),
}


def by_diffcp(n, cones, seed):
    """q, A, b times the directions, of the linear programs of conic_problems.rs."""
    import diffcp

    random = Random(seed)
    m = sum(rows(c) for c in cones)
    A = random.normal(m * n).reshape(m, n)
    x = random.normal(n)
    b = np.concatenate([inside(c, False) for c in cones]) + A @ x
    q = -A.T @ np.concatenate([inside(c, True) for c in cones])
    # diffcp wants the kinds in its own order, and the lower triangle of matrices column by column.
    order, sizes = [], {"z": 0, "l": 0, "q": [], "s": [], "ep": 0}
    for kind in ("zero", "nonnegative", "second order", "semidefinite", "exponential"):
        at = 0
        for c in cones:
            if c[0] == kind:
                if kind == "semidefinite":
                    k = c[1]
                    place = lambda i, j: j * (j + 1) // 2 + i
                    order += [at + place(j, i) for j in range(k) for i in range(j, k)]
                    sizes["s"].append(k)
                else:
                    order += list(range(at, at + rows(c)))
                    if kind == "second order":
                        sizes["q"].append(c[1])
                    elif kind == "exponential":
                        sizes["ep"] += 1
                    else:
                        sizes[{"zero": "z", "nonnegative": "l"}[kind]] += c[1]
            at += rows(c)
    cone_dict = {k: v for k, v in sizes.items() if v}
    _, _, _, _, adjoint = diffcp.solve_and_derivative(
        sparse.csc_matrix(A[order]), b[order], q, cone_dict, solve_method="SCS", mode="dense",
        eps_abs=1e-13, eps_rel=1e-13, max_iters=1000000,
    )
    dA, db, dq = adjoint(wave(9, (n,)), np.zeros(m), np.zeros(m))
    back = np.empty((m, n)), np.empty(m)
    back[0][order], back[1][order] = dA.toarray(), db
    # Entries of A by columns, as the pattern has them.
    parts = [dq, back[0].T.ravel(), back[1]]
    return [float(np.sum(p * wave(k + 1, p.shape))) for k, p in enumerate(parts)]


def main():
    table = {"versions": {}, "quadratic": [], "conic": []}
    for name in ("moreau", "qpth", "diffcp"):
        table["versions"][name] = importlib.metadata.version(name)
    for seed, (n, m) in enumerate(SIZES):
        data = quadratic_programs(seed, n, m, BATCH, RIDGE)
        row = {"seed": seed, "n": n, "m": m, "batch": BATCH, "ridge": RIDGE}
        for name, make in (
            ("moreau", by_moreau),
            ("qpth", by_qpth),
            ("qpth at the optimum", by_qpth_at_the_optimum),
        ):
            row[name] = make(*data)
        table["quadratic"].append(row)
    for name, (n, cones) in FAMILIES.items():
        for seed in (3, 4):
            table["conic"].append({"name": f"{name}, linear, seed {seed}", "diffcp": by_diffcp(n, cones, seed)})
            print(table["conic"][-1])
    file = ROOT / "crates" / "diffopt" / "tests" / "reference" / "gradients.json"
    text = json.dumps(table, separators=(",", ":")).replace('{"seed"', '\n{"seed"').replace('{"name"', '\n{"name"')
    file.write_text(text + "\n")


if __name__ == "__main__":
    main()
