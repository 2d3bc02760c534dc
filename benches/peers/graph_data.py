"""Inputs of the graph cases, by the same formulas as benches/src/bin/bench_graph/data.rs."""

import numpy as np

from common import fill

# Modified Denavit-Hartenberg rows of the arm: a, d, and the right angle α in quarter turns.
ARM = [
    (0.0, 0.333, 0),
    (0.0, 0.0, -1),
    (0.0, 0.316, 1),
    (0.0825, 0.0, 1),
    (-0.0825, 0.384, -1),
    (0.0, 0.0, 1),
    (0.088, 0.0, 1),
    (0.0, 0.107, 0),
]


def rotation(axis_angle):
    """3×3 matrices of rotation vectors (… × 3), by Rodrigues' formula."""
    angle = np.linalg.norm(axis_angle, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(axis_angle, -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(axis_angle.shape + (3,)) / angle
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def gmm(d, k, n):
    """Logarithms of weights k, means k×d, inverse covariance factors k×(d + d(d−1)/2), points n×d."""
    return fill(0, (k,), 1.0), fill(1, (k, d), 1.0), fill(2, (k, d * (d + 1) // 2), 0.5), fill(3, (n, d), 2.0)


def bundle(cameras, points, observations):
    """Cameras × 11, points × 3, weights, features × 2, and which camera sees which point: i mod cameras, i mod points."""
    cams = np.tile([0.1, -0.2, 0.15, 0.1, -0.1, 0.2, 500.0, 320.0, 240.0, -0.05, 0.01], (cameras, 1))
    cams = cams * (1.0 + fill(0, (cameras, 11), 0.1))
    x = fill(1, (points, 3), 1.0) + np.array([0.0, 0.0, 6.0])
    i = np.arange(observations)
    w = 1.0 + fill(2, (observations,), 0.1)
    return cams, x, w, fill(3, (observations, 2), 100.0) + 300.0, i % cameras, i % points


BONES = 22
# The wrist hangs on the root, then five fingers of four bones on the wrist, and last the forearm.
PARENTS = [-1] + [p for f in range(5) for p in (0, 4 * f + 1, 4 * f + 2, 4 * f + 3)] + [0]


def hand(n):
    """θ, relative and inverse absolute base transforms (22×3×4), vertices n×3, weights n×22, targets n×3."""
    theta = fill(0, (26,), 0.3)
    relative = np.concatenate([rotation(fill(1, (BONES, 3), 0.5)), fill(2, (BONES, 3), 0.4)[..., None]], -1)
    inverse = np.concatenate([rotation(fill(3, (BONES, 3), 0.5)), fill(4, (BONES, 3), 0.4)[..., None]], -1)
    weights = 1.0 + fill(6, (n, BONES), 0.9)
    weights = weights / weights.sum(1, keepdims=True)
    return theta, relative, inverse, fill(5, (n, 3), 1.0), weights, fill(7, (n, 3), 1.0)
