"""Inputs of the cases of diffopt, by the same formulas as crates/diffopt/tests/common/{random,problems}.rs.

SplitMix64: the state grows by a constant, so that all numbers of a stream are made at once.
"""

import numpy as np


class Random:
    def __init__(self, seed):
        self.state = np.uint64(seed)

    def uniform(self, count):
        with np.errstate(over="ignore"):
            step = np.uint64(0x9E3779B97F4A7C15)
            z = self.state + step * np.arange(1, count + 1, dtype=np.uint64)
            if count:
                self.state = z[-1]
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        return (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)

    def normal(self, count):
        draws = self.uniform(12 * count).reshape(count, 12)
        total = np.zeros(count)
        for k in range(12):
            total += draws[:, k]
        return total - 6.0


def quadratic_programs(seed, n, m, batch, ridge):
    """Q = LLᵀ + ridge·I, q, G, h as OptNet's benchmark draws them, without equalities."""
    random = Random(seed)
    Q, q, G, h = [], [], [], []
    for _ in range(batch):
        L = random.uniform(n * n).reshape(n, n)
        Q.append(L @ L.T + ridge * np.eye(n))
        q.append(random.normal(n))
        z = random.normal(n)
        rows, right = [], []
        for _ in range(m):
            row = random.normal(n)
            right.append(row @ z + random.uniform(1)[0])
            rows.append(row)
        G.append(np.array(rows).reshape(m, n))
        h.append(np.array(right))
    return np.array(Q), np.array(q), np.array(G), np.array(h)
