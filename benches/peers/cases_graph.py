"""Peers of graph, scalar problems of robotics: the arm and the path over it in CasADi (virtual machine and generated C) and JAX.

Values: for the arm, sample by sample, the position and then the 3×7 Jacobian by rows: of CasADi, as of ours, the entries that are
not 0 everywhere, of JAX all. For the path, the residuals and then the
Jacobian by rows, or the lower triangle of the Hessian of Σ r² by rows. The check value is the sum of squares.
"""

import ctypes
import hashlib
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from common import fill, timed
from graph_data import ARM

JOINTS = 7


def hand_casadi(ca, q):
    """Position of the flange from 7 joint angles (SX)."""
    turn, place = ca.SX.eye(3), ca.SX.zeros(3)
    for i, (a, d, quarter) in enumerate(ARM):
        s, c = (ca.sin(q[i]), ca.cos(q[i])) if i < JOINTS else (ca.SX(0), ca.SX(1))
        sa, ca_ = quarter, 1 - abs(quarter)
        place = place + turn @ ca.vertcat(a, -sa * d, ca_ * d)
        rows = [(c, -s, 0), (s * ca_, c * ca_, -sa), (s * sa, c * sa, ca_)]
        turn = turn @ ca.vertcat(*(ca.horzcat(*row) for row in rows))
    return place


def arm_function():
    import casadi as ca

    q = ca.SX.sym("q", JOINTS)
    place = hand_casadi(ca, q)
    # The entries by rows, as ours: those of the transpose by columns. Common expressions once, which CasADi does only when told.
    slopes = ca.vertcat(*ca.jacobian(place, q).T.nonzeros())
    return ca, ca.Function("arm", [q], [ca.vertcat(place, slopes)], {"cse": True})


def through_buffers(function, inputs, sizes):
    """What to keep alive, a call without arguments, and the arrays that it fills."""
    buffer, trigger = function.buffer()
    outputs = [np.zeros(size) for size in sizes]
    for i, x in enumerate(inputs):
        buffer.set_arg(i, memoryview(x))
    for i, y in enumerate(outputs):
        buffer.set_res(i, memoryview(y))
    # The buffers are addresses: what they point to has to outlive the calls.
    return (buffer, function, inputs), trigger, outputs


def answer(measure, outputs, keep=(), pick=lambda v: v):
    def values(kept=keep):
        return pick(np.concatenate([np.ravel(y) for y in outputs]))

    return measure, lambda: float((values() ** 2).sum()), values


def repeated(trigger):
    """measure(reps) with as little of Python's own time as a loop can have."""

    def measure(reps):
        start = time.perf_counter()
        for _ in range(reps):
            trigger()
        return (time.perf_counter() - start) / reps

    return measure


def casadi_arm(batch=1024, how="map"):
    """`map`: one call maps the function over the batch in the virtual machine; `loop`: a call a sample, through its buffers;
    `c`: the generated C, compiled by gcc -O3 -march=native, over the batch by a loop in C. `single`: one sample, one call."""
    ca, function = arm_function()
    x, numbers = fill(0, (batch, JOINTS), 1.5), function.nnz_out(0)
    if how == "c":
        return compiled(function, x, numbers)
    if how == "map":
        keep, trigger, outputs = through_buffers(function.map(batch, "serial"), [x], [batch * numbers])
        return answer(repeated(trigger), outputs, keep)
    buffer, trigger = function.buffer()
    y, row, out = np.zeros((batch, numbers)), np.zeros(JOINTS), np.zeros(numbers)
    if how == "single":
        row[:] = x[0]
        buffer.set_arg(0, memoryview(row))
        buffer.set_res(0, memoryview(out))
        return answer(repeated(trigger), [out], (buffer, function, row))

    def work():
        for i in range(batch):
            buffer.set_arg(0, memoryview(x[i]))
            buffer.set_res(0, memoryview(y[i]))
            trigger()

    return answer(timed(work), [y], function)


def casadi_nothing():
    """The empty function, through its buffers: what a call costs."""
    import casadi as ca

    q = ca.SX.sym("q", JOINTS)
    keep, trigger, outputs = through_buffers(ca.Function("nothing", [q], [q]), [fill(0, (JOINTS,), 1.5)], [JOINTS])
    return answer(repeated(trigger), outputs, keep)


DRIVER = """
void drive(long long repetitions, long long batch, const double* x, double* y, long long n, long long m) {
  casadi_int iw[%d]; casadi_real w[%d]; const casadi_real* arg[%d]; casadi_real* res[%d];
  for (long long k = 0; k < repetitions; ++k)
    for (long long i = 0; i < batch; ++i) {
      arg[0] = x + i * n; res[0] = y + i * m;
      %s(arg, res, iw, w, 0);
    }
}
"""


def compiled(function, x, m):
    """The C that CasADi generates, with a loop over repetitions and samples appended, so that no call from Python counts."""
    sizes = [max(1, s) for s in (function.sz_iw(), function.sz_w(), function.sz_arg(), function.sz_res())]
    import casadi as ca

    generator = ca.CodeGenerator(function.name() + ".c")
    generator.add(function)
    text = generator.dump() + DRIVER % (*sizes, function.name())
    # Beside the environment, which is under target/.
    folder = pathlib.Path(sys.prefix).parent / "peers-generated"
    folder.mkdir(exist_ok=True)
    stem = folder / f"{function.name()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}-{os.getpid()}"
    source, library = stem.with_suffix(".c"), stem.with_suffix(".so")
    source.write_text(text)
    subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    drive = ctypes.CDLL(str(library)).drive
    drive.argtypes = [ctypes.c_longlong] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_longlong] * 2
    drive.restype = None
    batch, n = x.shape
    y = np.zeros((batch, m))

    def measure(reps):
        start = time.perf_counter()
        drive(reps, batch, x.ctypes.data, y.ctypes.data, n, m)
        return (time.perf_counter() - start) / reps

    return answer(measure, [y])


def hand_jax(jnp, q):
    turn, place = jnp.eye(3), jnp.zeros(3)
    for i, (a, d, quarter) in enumerate(ARM):
        s, c = (jnp.sin(q[i]), jnp.cos(q[i])) if i < JOINTS else (0.0, 1.0)
        sa, ca = float(quarter), float(1 - abs(quarter))
        place = place + turn @ jnp.array([a, -sa * d, ca * d])
        turn = turn @ jnp.array([[c, -s, 0.0], [s * ca, c * ca, -sa], [s * sa, c * sa, ca]])
    return place


def jax_arm(batch=1024):
    """Position and forward Jacobian, mapped over the batch and compiled."""
    import jax
    import jax.numpy as jnp

    def both(q):
        def doubled(q):
            place = hand_jax(jnp, q)
            return place, place

        slopes, place = jax.jacfwd(doubled, has_aux=True)(q)
        return jnp.concatenate([place, slopes.ravel()])

    function, x, last = jax.jit(jax.vmap(both)), jnp.asarray(fill(0, (batch, JOINTS), 1.5)), {}

    def work():
        last["y"] = jax.block_until_ready(function(x))

    def values():
        return np.asarray(last["y"])

    return timed(work), lambda: float((values() ** 2).sum()), values


def casadi_path(steps=100, what="jacobian"):
    """Accelerations, then positions of the flange: values and Jacobian (`jacobian`), or the Hessian of Σ r² (`hessian`)."""
    import casadi as ca

    q = ca.SX.sym("q", JOINTS * steps)
    at = [q[JOINTS * t : JOINTS * (t + 1)] for t in range(steps)]
    accelerations = [at[t] - 2 * at[t + 1] + at[t + 2] for t in range(steps - 2)]
    r = ca.vertcat(*accelerations, *(hand_casadi(ca, step) for step in at))
    if what == "jacobian":
        outputs, matrix = [r], ca.jacobian(r, q)
    else:
        outputs, matrix = [], ca.tril(ca.hessian(ca.sumsqr(r), q)[0])
    function = ca.Function("path", [q], [*outputs, matrix], {"cse": True})
    sizes = [function.nnz_out(i) for i in range(function.n_out())]
    keep, trigger, results = through_buffers(function, [fill(0, (JOINTS * steps,), 1.0)], sizes)
    # CasADi stores columns; ours are rows.
    row, column = (np.array(k) for k in matrix.sparsity().get_triplet())
    dense = sizes[0] if what == "jacobian" else 0
    order = np.concatenate([np.arange(dense), dense + np.lexsort((column, row))])
    return answer(repeated(trigger), results, keep, lambda v: v[order])


CASES = {
    "casadi/graph_arm": casadi_arm,
    "casadi/graph_nothing": casadi_nothing,
    "casadi/graph_path": casadi_path,
    "jax/graph_arm": jax_arm,
}
