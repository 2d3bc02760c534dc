"""Peers of graph: the objectives of ADBench and cmpad that GradBench collects, in PyTorch and JAX, with all samples in one expression.

Formulas: ADBench (Šrajer, Kukelova, Fitzgibbon 2018), sections 4.1 to 4.3; cmpad's llsq_obj. Written once over the names that both
systems share (`xp`). Values: the objective and its gradient (mixture, least squares); per observation two errors, their 2×15
Jacobian by rows, the weight's error and slope (bundle adjustment); 300 errors and their 300×26 Jacobian by rows (hand).
"""

import numpy as np

import graph_data
from common import timed, torch


def mixture(xp, logsumexp, parameters, x, d, n):
    """Logarithm of the likelihood of a Gaussian mixture, with a Wishart prior of γ = 1, m = 0, up to the additive constants."""
    alphas, means, icf = parameters
    rows, columns = zip(*((i, j) for j in range(d) for i in range(j + 1, d)))
    diagonal, logs = xp.exp(icf[:, :d]), icf[:, :d].sum(1)
    off = xp.zeros_like(icf[:, :1]).reshape(-1, 1, 1) * xp.ones((d, d), dtype=icf.dtype)
    if hasattr(off, "at"):
        lower = off.at[:, np.array(rows), np.array(columns)].set(icf[:, d:])
    else:
        lower = off.index_put((xp.arange(len(icf))[:, None], xp.tensor(rows), xp.tensor(columns)), icf[:, d:])
    centred = x[:, None, :] - means[None]
    q = centred * diagonal + xp.einsum("kij,nkj->nki", lower, centred)
    terms = alphas + logs - 0.5 * (q * q).sum(-1)
    prior = 0.5 * ((diagonal * diagonal).sum() + (icf[:, d:] ** 2).sum())
    return logsumexp(terms, 1).sum() - n * logsumexp(alphas, 0) + prior


def polynomial(xp, x, t, m):
    """½ Σᵢ (sign tᵢ − Σⱼ xⱼ·tᵢʲ)², the powers by cumulative products."""
    ones = xp.ones_like(t)[:, None]
    powers = xp.cumprod(xp.concatenate([ones, ones * t[:, None] * xp.ones(m - 1, dtype=t.dtype)], 1), 1)
    return 0.5 * ((xp.sign(t) - powers @ x) ** 2).sum()


def reprojection(xp, cam, x, w, feature):
    """w·(projection − feature); the last dimension counts the numbers of one observation."""
    turn, p = cam[..., :3], x - cam[..., 3:6]
    angle = xp.sqrt((turn * turn).sum(-1))[..., None]
    axis, c, s = turn / angle, xp.cos(angle), xp.sin(angle)
    a, b = [axis[..., i] for i in range(3)], [p[..., i] for i in range(3)]
    cross = xp.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], -1)
    seen = p * c + cross * s + axis * ((axis * p).sum(-1)[..., None] * (1 - c))
    flat = seen[..., :2] / seen[..., 2:]
    square = (flat * flat).sum(-1)[..., None]
    flat = flat * (1 + cam[..., 9:10] * square + cam[..., 10:11] * square * square)
    return w[..., None] * (flat * cam[..., 6:7] + cam[..., 7:9] - feature)


def joined(xp, a, b):
    """The product of transforms … × 3×4."""
    turn = a[..., :3] @ b[..., :3]
    return xp.concatenate([turn, a[..., :3] @ b[..., 3:] + a[..., 3:]], -1)


def hand(xp, theta, relative, inverse, vertices, weights, targets):
    """Errors of the skinned vertices. The five fingers go side by side, joint after joint."""
    zero, one = xp.zeros_like(theta[:1]), xp.ones_like(theta[:1])
    finger = theta[6:].reshape(5, 4)
    wide = lambda v: v * xp.ones_like(finger[:, 0])
    still = wide(zero)

    def turned(flex, abduct):
        cx, sx, cz, sz = xp.cos(flex), xp.sin(flex), xp.cos(abduct), xp.sin(abduct)
        rows = [cz, -sz * cx, sz * sx, sz, cz * cx, -cz * sx, still, sx, cx]
        return xp.stack(rows, -1).reshape(5, 3, 3)

    def posed(base, turn):
        return xp.concatenate([base[..., :3] @ turn, base[..., 3:]], -1)

    bones = relative[1:21].reshape(5, 4, 3, 4)
    levels = [joined(xp, relative[0], bones[:, 0])]
    for i, angles in enumerate([(finger[:, 0], finger[:, 1]), (finger[:, 2], still), (finger[:, 3], still)]):
        levels.append(joined(xp, levels[-1], posed(bones[:, i + 1], turned(*angles))))
    fingers = xp.stack(levels, 1).reshape(20, 3, 4)
    absolute = xp.concatenate([relative[:1], fingers, joined(xp, relative[0], relative[21])[None]], 0)
    transforms = joined(xp, absolute, inverse)
    blended = xp.einsum("nb,bij->nij", weights, transforms)
    p = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
    angle = xp.sqrt((theta[:3] ** 2).sum())
    x, y, z = theta[0] / angle, theta[1] / angle, theta[2] / angle
    s, c = xp.sin(angle), xp.cos(angle)
    rows = [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s]
    rows += [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s]
    rows += [x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c]
    turn = xp.stack(rows, -1).reshape(3, 3)
    return (targets - (p @ turn.T + theta[3:6]) + 0 * one).reshape(-1)


def answer(work, values):
    return timed(work), lambda: float((values() ** 2).sum()), values


def flat(arrays):
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def torch_answer(function, leaves):
    """Value and gradient by the backward sweep."""
    t, last = torch(), {}

    def work():
        last["y"] = function()
        last["gradient"] = t.autograd.grad(last["y"], leaves)

    return answer(work, lambda: flat([last["y"].detach(), *last["gradient"]]))


def jax_answer(function, *arguments):
    import jax

    compiled, last = jax.jit(function), {}

    def work():
        last["y"] = jax.block_until_ready(compiled(*arguments))

    return answer(work, lambda: flat(jax.tree.leaves(last["y"])))


def torch_gmm(d=10, k=25, n=1000):
    t = torch()
    *parameters, x = (t.from_numpy(v) for v in graph_data.gmm(d, k, n))
    parameters = [p.requires_grad_() for p in parameters]
    return torch_answer(lambda: mixture(t, t.logsumexp, parameters, x, d, n), parameters)


def jax_gmm(d=10, k=25, n=1000):
    import jax
    import jax.numpy as jnp

    *parameters, x = (jnp.asarray(v) for v in graph_data.gmm(d, k, n))
    objective = lambda p, x: mixture(jnp, jax.nn.logsumexp, p, x, d, n)
    return jax_answer(jax.value_and_grad(objective), tuple(parameters), x)


def least_squares_inputs(n, m):
    return graph_data.fill(0, (m,), 1.0), -1.0 + 2.0 * np.arange(n) / (n - 1)


def torch_llsq(n=2048, m=128):
    t = torch()
    x, at = (t.from_numpy(v) for v in least_squares_inputs(n, m))
    x.requires_grad_()
    return torch_answer(lambda: polynomial(t, x, at, m), [x])


def jax_llsq(n=2048, m=128):
    import jax
    import jax.numpy as jnp

    x, at = (jnp.asarray(v) for v in least_squares_inputs(n, m))
    return jax_answer(jax.value_and_grad(lambda x, at: polynomial(jnp, x, at, m)), x, at)


def torch_ba(cameras=49, points=7776, observations=31843):
    """Observations do not share their copies of cameras and points, so two backward sweeps give all blocks."""
    t, last = torch(), {}
    cams, x, w, features, camera, point = (t.from_numpy(v) for v in graph_data.bundle(cameras, points, observations))

    def work():
        leaves = [cams[camera].requires_grad_(), x[point].requires_grad_(), w.detach().clone().requires_grad_()]
        errors = reprojection(t, *leaves, features)
        both = [t.autograd.grad(errors[:, i].sum(), leaves, retain_graph=i == 0) for i in range(2)]
        rows = [part.reshape(observations, -1) for row in both for part in row]
        last["y"] = t.cat([errors.detach(), *rows, (1 - w * w)[:, None], (-2 * w)[:, None]], 1)

    return answer(work, lambda: last["y"].numpy().ravel())


def jax_ba(cameras=49, points=7776, observations=31843):
    import jax
    import jax.numpy as jnp

    data = [jnp.asarray(v) for v in graph_data.bundle(cameras, points, observations)]

    def one(cam, x, w, feature):
        error, pull = jax.vjp(lambda c, x, w: reprojection(jnp, c, x, w, feature), cam, x, w)
        rows = [part.ravel() for e in jnp.eye(2) for part in pull(e)]
        return jnp.concatenate([error, *rows, jnp.stack([1 - w * w, -2 * w])])

    every = jax.vmap(one)
    return jax_answer(lambda cams, x, w, f, c, p: every(cams[c], x[p], w, f), *data)


def torch_ht(n=100):
    t, last = torch(), {}
    theta, *model = (t.from_numpy(v) for v in graph_data.hand(n))

    def doubled(theta):
        errors = hand(t, theta, *model)
        return errors, errors

    jacobian = t.func.jacfwd(doubled, has_aux=True)

    def work():
        last["y"] = jacobian(theta)

    return answer(work, lambda: flat([last["y"][1], last["y"][0]]))


def jax_ht(n=100):
    import jax
    import jax.numpy as jnp

    theta, *model = (jnp.asarray(v) for v in graph_data.hand(n))

    def doubled(theta, *model):
        errors = hand(jnp, theta, *model)
        return errors, errors

    jacobian = jax.jacfwd(doubled, has_aux=True)
    return jax_answer(lambda *all: jacobian(*all)[::-1], theta, *model)


CASES = {
    f"{system}/graph_{name}": case
    for system, name, case in [
        ("torch", "gmm", torch_gmm),
        ("jax", "gmm", jax_gmm),
        ("torch", "llsq", torch_llsq),
        ("jax", "llsq", jax_llsq),
        ("torch", "ba", torch_ba),
        ("jax", "ba", jax_ba),
        ("torch", "ht", torch_ht),
        ("jax", "ht", jax_ht),
    ]
}
