"""Peers of diffopt: batches of dense quadratic programs, forward, and forward with the gradients of Σ x by all data.

values: x, and the gradients by q, h, Q and G. Q counts by its symmetric part.
"""

import os

import numpy as np

from common import timed, torch
from diffopt_data import Random, quadratic_programs


def numbers(x, gradients):
    parts = [x]
    if gradients is not None:
        dQ, dq, dG, dh = gradients
        parts += [dq, dh, 0.5 * (dQ + np.swapaxes(dQ, -1, -2)), dG]
    return np.concatenate([np.asarray(p, dtype=np.float64).ravel() for p in parts])


def moreau_qp(n=10, m=10, batch=128, backward=False, ridge=1e-3):
    import moreau

    Q, q, G, h = quadratic_programs(1, n, m, batch, ridge)
    settings = moreau.Settings(batch_size=batch, device="cpu", enable_grad=backward)
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings.ipm_settings, name, 1e-8)
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
    P, A = Q.reshape(batch, -1), G.reshape(batch, -1)
    ones = np.ones((batch, n))
    last = {}

    def work():
        solver.setup(P, A)
        last["x"] = solver.solve(q, h).x
        if backward:
            last["g"] = solver.backward(ones)

    def values():
        g = last.get("g")
        if g is not None:
            g = (
                np.asarray(g["dP_values"]).reshape(batch, n, n),
                np.asarray(g["dq"]),
                np.asarray(g["dA_values"]).reshape(batch, m, n),
                np.asarray(g["db"]),
            )
        return numbers(last["x"], g)

    return timed(work), lambda: float(np.sum(last["x"])), values


def through_torch(n, m, batch, backward, ridge, layer):
    t = torch()
    leaves = [
        t.from_numpy(v).requires_grad_(backward) for v in quadratic_programs(1, n, m, batch, ridge)
    ]
    last = {}

    def work():
        with t.set_grad_enabled(backward):
            last["x"] = layer(t, *leaves)
        if backward:
            last["g"] = t.autograd.grad(last["x"].sum(), leaves)

    def values():
        g = last.get("g")
        return numbers(last["x"].detach().numpy(), g and [v.numpy() for v in g])

    return timed(work), lambda: float(last["x"].detach().sum()), values


def qpth_qp(n=10, m=10, batch=128, backward=False, ridge=1e-3):
    from qpth.qp import QPFunction

    none = torch().empty(0, dtype=torch().float64)

    def layer(t, Q, q, G, h):
        return QPFunction(verbose=-1, eps=1e-8, check_Q_spd=False)(Q, q, G, h, none, none)

    return through_torch(n, m, batch, backward, ridge, layer)


def proxsuite_qp(n=10, m=10, batch=128, backward=False, ridge=1e-3):
    from proxsuite.torch.qplayer import QPFunction

    os.environ.setdefault("OMP_NUM_THREADS", "2")
    function = QPFunction(eps=1e-8, maxIter=1000, structural_feasibility=True)

    def layer(t, Q, q, G, h):
        none = t.empty((batch, 0, n), dtype=t.float64), t.empty((batch, 0), dtype=t.float64)
        low = t.full_like(h, -1e20)
        return function(Q, q, *none, G, low, h)[0]

    return through_torch(n, m, batch, backward, ridge, layer)


def sparse_program(n, m, density, seed=1):
    """min ½xᵀPx + qᵀx, Ax + s = b, s ≥ 0 with P = MMᵀ + 10⁻³I of sparse M; the same numbers as bench_diffopt makes."""
    from scipy import sparse

    random = Random(seed)

    def draw(rows, columns):
        keep = random.uniform(rows * columns).reshape(columns, rows) < density
        out = np.zeros((columns, rows))
        out[keep] = random.normal(int(keep.sum()))
        return out.T

    M = draw(n, n) * 0.3
    P = M @ M.T + 1e-3 * np.eye(n)
    A = draw(m, n)
    x = random.normal(n)
    b = A @ x + random.uniform(m)
    q = random.normal(n)
    return sparse.csc_matrix(P), q, sparse.csc_matrix(A), b


def clarabel_sparse(n=400, m=400, density=0.01):
    import clarabel
    from scipy import sparse

    P, q, A, b = sparse_program(n, m, density)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings, name, 1e-9)
    upper = sparse.triu(P).tocsc()
    last = {}

    def work():
        solver = clarabel.DefaultSolver(upper, q, A, b, [clarabel.NonnegativeConeT(m)], settings)
        last["x"] = np.array(solver.solve().x)

    return timed(work), lambda: float(last["x"].sum()), lambda: last["x"]


def diffcp_sparse(n=400, m=400, density=0.01):
    """The adjoint only, of the linear program with bounds ±10: diffcp takes no P."""
    import diffcp
    from scipy import sparse

    _, q, A, b = sparse_program(n, m, density)
    rows = sparse.vstack([A, sparse.eye(n), -sparse.eye(n)]).tocsc()
    right = np.concatenate([b, np.full(n, 10.0), np.full(n, 10.0)])
    x, _, _, _, adjoint = diffcp.solve_and_derivative(
        rows, right, q, {"l": m + 2 * n}, solve_method="Clarabel", mode="lsqr"
    )
    last = {}

    def work():
        last["g"] = adjoint(np.ones(n), np.zeros(m + 2 * n), np.zeros(m + 2 * n))

    def values():
        return np.concatenate([x, last["g"][1], last["g"][2]])

    return timed(work), lambda: float(np.sum(last["g"][2])), values


def cvxpylayers_qp(n=10, m=10, batch=128, backward=False, ridge=1e-3):
    """The default way, by diffcp: Q = SSᵀ with the parameter S, for a quadratic form of a parameter is not in its canonical form."""
    import cvxpy as cp
    from cvxpylayers.torch import CvxpyLayer

    t = torch()
    Q, q, G, h = quadratic_programs(1, n, m, batch, ridge)
    S = np.linalg.cholesky(Q)
    x = cp.Variable(n)
    parameters = [cp.Parameter((n, n)), cp.Parameter(n), cp.Parameter((m, n)), cp.Parameter(m)]
    objective = 0.5 * cp.sum_squares(parameters[0].T @ x) + parameters[1] @ x
    problem = cp.Problem(cp.Minimize(objective), [parameters[2] @ x <= parameters[3]])
    layer = CvxpyLayer(problem, parameters, [x])
    leaves = [t.from_numpy(v).requires_grad_(backward) for v in (S, q, G, h)]
    last = {}

    def work():
        with t.set_grad_enabled(backward):
            (last["x"],) = layer(*leaves)
        if backward:
            last["g"] = t.autograd.grad(last["x"].sum(), leaves)

    def values():
        g = last.get("g")
        if g is not None:
            dS, dq, dG, dh = (v.numpy() for v in g)
            # dS = 2·dQ·S.
            dQ = 0.5 * np.swapaxes(np.linalg.solve(np.swapaxes(S, 1, 2), np.swapaxes(dS, 1, 2)), 1, 2)
            g = (dQ, dq, dG, dh)
        return numbers(last["x"].detach().numpy(), g)

    return timed(work), lambda: float(last["x"].detach().sum()), values


def moreau_solver(P, A, cones, batch, backward):
    """A solver for these patterns, and the values of both in its order."""
    import moreau

    P, A = P.tocsr(), A.tocsr()
    P.sort_indices()
    A.sort_indices()
    # Its active-set method, which it takes up to n = 500 by itself, ends at its iterations on the sparse programs.
    settings = moreau.Settings(batch_size=batch, device="cpu", enable_grad=backward, solver="ipm")
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings.ipm_settings, name, 1e-9)
    solver = moreau.CompiledSolver(
        n=P.shape[0],
        m=A.shape[0],
        P_row_offsets=P.indptr,
        P_col_indices=P.indices,
        A_row_offsets=A.indptr,
        A_col_indices=A.indices,
        cones=cones,
        settings=settings,
    )
    return solver, np.tile(P.data, (batch, 1)), np.tile(A.data, (batch, 1))


def moreau_both(solver, values_P, values_A, q, b, backward):
    """Forward, or forward with the gradients of Σ x; values: x, and the gradients by q and b."""
    last = {}

    def work():
        solver.setup(values_P, values_A)
        last["x"] = np.asarray(solver.solve(q, b).x)
        if backward:
            last["g"] = solver.backward(np.ones_like(q))

    def values():
        parts = [last["x"]]
        if backward:
            parts += [last["g"]["dq"], last["g"]["db"]]
        return np.concatenate([np.asarray(p).ravel() for p in parts])

    return timed(work), lambda: float(np.sum(last["x"])), values


def moreau_sparse(n=400, m=400, density=0.01, batch=1, backward=False):
    """One program, or a batch of them with slopes q that differ."""
    import moreau

    P, q, A, b = sparse_program(n, m, density)
    solver, values_P, values_A = moreau_solver(P, A, moreau.Cones(num_nonneg_cones=m), batch, backward)
    q = np.array([q * (1.0 + 0.01 * i) for i in range(batch)])
    return moreau_both(solver, values_P, values_A, q, np.tile(b, (batch, 1)), backward)


def conic_program(n=60):
    """min qᵀx, Ax + s = b, s in 20 equalities, 60 inequalities, 20 second-order cones of dimension 5, 10 exponential ones: the same numbers as
    ConicProblem::random of crates/diffopt/tests/common makes."""
    random = Random(1)
    primal = [0.0] * 20 + [1.0 + 0.1 * i for i in range(60)] + ([2.0] + [0.1] * 4) * 20 + [-0.5, 1.0, 1.5] * 10
    dual = [0.3 * i - 0.2 for i in range(20)] + [1.0 + 0.1 * i for i in range(60)] + ([2.0] + [0.1] * 4) * 20
    dual += [-1.0, 0.5, 2.0] * 10
    A = random.normal(len(primal) * n).reshape(len(primal), n)
    x = random.normal(n)
    return -A.T @ np.array(dual), A, np.array(primal) + A @ x


def moreau_conic(n=60, backward=False):
    import moreau
    from scipy import sparse

    q, A, b = conic_program(n)
    cones = moreau.Cones(num_zero_cones=20, num_nonneg_cones=60, so_cone_dims=[5] * 20, num_exp_cones=10)
    P = sparse.csr_matrix((n, n))
    solver, values_P, values_A = moreau_solver(P, sparse.csr_matrix(A), cones, 1, backward)
    return moreau_both(solver, values_P, values_A, q[None], b[None], backward)


def clarabel_conic(n=60):
    import clarabel
    from scipy import sparse

    q, A, b = conic_program(n)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings, name, 1e-9)
    cones = [clarabel.ZeroConeT(20), clarabel.NonnegativeConeT(60)]
    cones += [clarabel.SecondOrderConeT(5)] * 20 + [clarabel.ExponentialConeT()] * 10
    A, P = sparse.csc_matrix(A), sparse.csc_matrix((n, n))
    last = {}

    def work():
        last["x"] = np.array(clarabel.DefaultSolver(P, q, A, b, cones, settings).solve().x)

    return timed(work), lambda: float(last["x"].sum()), lambda: last["x"]


CASES = {
    "moreau/diffopt_qp": moreau_qp,
    "moreau/diffopt_sparse": moreau_sparse,
    "moreau/diffopt_conic": moreau_conic,
    "cvxpylayers/diffopt_qp": cvxpylayers_qp,
    "qpth/diffopt_qp": qpth_qp,
    "proxsuite/diffopt_qp": proxsuite_qp,
    "clarabel/diffopt_sparse": clarabel_sparse,
    "clarabel/diffopt_conic": clarabel_conic,
    "diffcp/diffopt_sparse": diffcp_sparse,
}
