"""Structured cases of linear algebra, with batches of rank 0, 1 and 2.

Eigenvectors, singular vectors and the columns of Q have a free sign, so nothing here depends on it: spectral functions
V·f(Λ)·Vᵀ and U·f(Σ)·Vᵀ, projectors, and a QR made unique by a positive diagonal.
"""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from case import build, indices, random_of, uniform

BATCHES = [(), (2,), (2, 2), (1, 3)]
T = lambda a: jnp.swapaxes(a, -1, -2)
symmetrized = lambda a: (a + T(a)) / 2


def square(random, batch, n):
    """Diagonally dominant, so well conditioned, but not symmetric."""
    return uniform(random, (*batch, n, n), -1.0, 1.0) + np.eye(n) * (1.0 + 0.6 * n)


def positive_definite(random, batch, n):
    root = uniform(random, (*batch, n, n), -1.0, 1.0)
    return np.round(root @ np.swapaxes(root, -1, -2) / 2, 3) + np.eye(n) * 0.75


def with_spectrum(random, batch, n, low=0.5, gap=0.7):
    """Symmetric with well separated eigenvalues low, low + gap, …, disturbed by rounding only."""
    q, _ = np.linalg.qr(random.normal(size=(*batch, n, n)))
    values = low + gap * np.arange(n) + random.uniform(-0.1, 0.1, (*batch, n))
    a = np.round((q * values[..., None, :]) @ np.swapaxes(q, -1, -2), 3)
    return np.round((a + np.swapaxes(a, -1, -2)) / 2, 4)


def with_singular_values(random, batch, m, n, low=0.6, gap=0.8):
    k = min(m, n)
    u, _ = np.linalg.qr(random.normal(size=(*batch, m, k)))
    v, _ = np.linalg.qr(random.normal(size=(*batch, n, k)))
    values = low + gap * np.arange(k) + random.uniform(-0.1, 0.1, (*batch, k))
    return np.round((u * values[..., None, :]) @ np.swapaxes(v, -1, -2), 3)


def label(op, batch, *sizes):
    return " ".join([op, "x".join(map(str, sizes))] + ([f"batch {'x'.join(map(str, batch))}"] if batch else []))


def sizes(table):
    """Each size with one batch shape; the batches take turns."""
    return [(n, BATCHES[k % len(BATCHES)]) for k, n in enumerate(table)]


def definite():
    for n, batch in sizes([1, 2, 3, 2, 4, 3, 2, 1, 6]):
        name = label("cholesky", batch, n, n)
        a = positive_definite(random_of(name), batch, n)
        yield build(name, "cholesky", lambda v: jnp.linalg.cholesky(symmetrized(v)), [a], symmetric=True)
    for n, batch in sizes([1, 2, 3, 2, 5]):
        name = label("cholesky_solve", batch, n, n)
        random = random_of(name)
        x = [positive_definite(random, batch, n), uniform(random, (*batch, n, 2))]

        def solve(a, b):
            factor = jnp.linalg.cholesky(symmetrized(a))
            half = jax.lax.linalg.triangular_solve(factor, b, left_side=True, lower=True)
            return jax.lax.linalg.triangular_solve(factor, half, left_side=True, lower=True, transpose_a=True)

        yield build(name, "cholesky_solve", solve, x)


def triangular():
    for lower in (True, False):
        for transposed in (False, True):
            for unit in (False, True):
                for n, batch in [(3, ()), (2, (2,)), (2, (2, 2))] if not unit else [(3, (2,))]:
                    kind = f"{'lower' if lower else 'upper'}{' transposed' if transposed else ''}{' unit' if unit else ''}"
                    name = label(f"triangular_solve {kind}", batch, n, n)
                    random = random_of(name)
                    # The other triangle is not zero: it must not be read, and its gradient is zero.
                    x = [square(random, batch, n), uniform(random, (*batch, n, 2))]

                    def solve(a, b):
                        return jax.lax.linalg.triangular_solve(
                            a, b, left_side=True, lower=lower, transpose_a=transposed, unit_diagonal=unit
                        )

                    params = {"lower": lower, "transpose": transposed, "unit_diagonal": unit}
                    yield build(name, "triangular_solve", solve, x, params)


def general():
    for (n, batch), columns in zip(sizes([1, 2, 3, 2, 4, 3, 2, 6]), [1, 2, 1, 2, 3, 2, 1, 1]):
        name = label("solve", batch, n, columns)
        random = random_of(name)
        yield build(name, "solve", jnp.linalg.solve, [square(random, batch, n), uniform(random, (*batch, n, columns))])
    # Shapes of A and b whose batches broadcast against each other.
    for left, right in [((), (3,)), ((2,), ()), ((2, 1), (3,))]:
        name = f"solve broadcast {left} {right}"
        random = random_of(name)
        batch = np.broadcast_shapes(left, right)
        spread = lambda v: jnp.broadcast_to(v, (*batch, *v.shape[-2:]))
        x = [square(random, left, 2), uniform(random, (*right, 2, 2))]
        yield build(name, "solve", lambda a, b: jnp.linalg.solve(spread(a), spread(b)), x)
    for n, batch in sizes([1, 2, 3, 2, 4, 3]):
        name = label("inverse", batch, n, n)
        yield build(name, "inverse", jnp.linalg.inv, [square(random_of(name), batch, n)])
    for n, batch in sizes([1, 2, 3, 2, 5, 3]):
        name = label("slogdet", batch, n, n)
        a = square(random_of(name), batch, n)
        a[..., 0, :] *= np.where(random_of(name + " sign").integers(0, 2, batch), 1.0, -1.0)[..., None]
        yield build(name, "slogdet", lambda v: tuple(jnp.linalg.slogdet(v)), [a])
    for n, batch in sizes([1, 2, 3, 2, 5, 3]):
        name = label("logdet", batch, n, n)
        a = positive_definite(random_of(name), batch, n)
        yield build(name, "logdet", lambda v: jnp.linalg.slogdet(symmetrized(v))[1], [a], symmetric=True)
    for n, batch in sizes([2, 3, 4, 2]):
        name = label("lu", batch, n, n)
        a = uniform(random_of(name), (*batch, n, n))
        _, _, permutation = jax.lax.linalg.lu(jnp.asarray(a))

        def factors(v):
            packed, _, _ = jax.lax.linalg.lu(v)
            return jnp.tril(packed, -1) + jnp.eye(v.shape[-1]), jnp.triu(packed)

        yield build(name, "lu", factors, [a], {"permutation": indices(permutation)})


def orthogonal():
    def qr(a):
        q, r = jnp.linalg.qr(a, mode="reduced")
        sign = jax.lax.stop_gradient(jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1)))
        return q * sign[..., None, :], r * sign[..., :, None]

    shapes = [(1, 1), (2, 2), (3, 2), (4, 3), (3, 3), (5, 2), (4, 1), (6, 4)]
    for (m, n), batch in sizes(shapes):
        name = label("qr", batch, m, n)
        yield build(name, "qr", qr, [with_singular_values(random_of(name), batch, m, n)])


SPECTRAL = {
    "exp": jnp.exp,
    "log": jnp.log,
    "sqrt": jnp.sqrt,
    "reciprocal": jnp.reciprocal,
    "tanh": jnp.tanh,
}


def eigen():
    for n, batch in sizes([1, 2, 3, 2, 4, 3, 6]):
        name = label("eigvalsh", batch, n, n)
        a = with_spectrum(random_of(name), batch, n, -0.9)
        yield build(name, "eigvalsh", lambda v: jnp.linalg.eigh(symmetrized(v))[0], [a], symmetric=True)
    for function, f in SPECTRAL.items():
        for n, batch in sizes([2, 3, 2, 3]) if function != "exp" else sizes([1, 2, 3, 2, 5]):
            name = label(f"eigh_fun {function}", batch, n, n)

            def spectral(v):
                values, vectors = jnp.linalg.eigh(symmetrized(v))
                return (vectors * f(values)[..., None, :]) @ T(vectors)

            a = with_spectrum(random_of(name), batch, n)
            yield build(name, "eigh_fun", spectral, [a], {"function": function}, symmetric=True)
    for (n, leading), batch in sizes([(2, 1), (3, 2), (3, 1), (4, 2)]):
        name = label(f"eigh_projector of {leading}", batch, n, n)

        def projector(v):
            vectors = jnp.linalg.eigh(symmetrized(v))[1][..., :leading]
            return vectors @ T(vectors)

        a = with_spectrum(random_of(name), batch, n, -0.9)
        yield build(name, "eigh_projector", projector, [a], {"smallest": leading}, symmetric=True)


SINGULAR = {
    "one": jnp.ones_like,
    "square": jnp.square,
    "log1p": jnp.log1p,
    "saturate": lambda s: s / (1 + s),
}


def singular():
    shapes = [(1, 1), (2, 2), (3, 2), (2, 3), (4, 2), (3, 3), (2, 5)]
    for (m, n), batch in sizes(shapes):
        name = label("svdvals", batch, m, n)
        a = with_singular_values(random_of(name), batch, m, n)
        yield build(name, "svdvals", lambda v: jnp.linalg.svd(v, full_matrices=False)[1], [a])
    for function, f in SINGULAR.items():
        for (m, n), batch in sizes([(2, 2), (3, 2), (2, 3), (3, 3)]):
            name = label(f"svd_fun {function}", batch, m, n)

            def spectral(v):
                u, s, vt = jnp.linalg.svd(v, full_matrices=False)
                return (u * f(s)[..., None, :]) @ vt

            a = with_singular_values(random_of(name), batch, m, n)
            yield build(name, "svd_fun", spectral, [a], {"function": function})
    for (m, n), batch in sizes(shapes):
        name = label("pinv", batch, m, n)

        # Full rank, where the pseudo-inverse is (AᵀA)⁻¹Aᵀ or Aᵀ(AAᵀ)⁻¹.
        def pinv(v):
            if v.shape[-2] >= v.shape[-1]:
                return jnp.linalg.solve(T(v) @ v, T(v))
            return T(jnp.linalg.solve(v @ T(v), v))

        a = with_singular_values(random_of(name), batch, m, n)
        yield build(name, "pinv", pinv, [a])


def cases():
    for family in (definite, triangular, general, orthogonal, eigen, singular):
        yield from family()
