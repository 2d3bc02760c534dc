"""Peers of vin: a training step of the VIN, value iteration on sparse processes, Dijkstra on grids.

values: the loss and the gradients by name; V; lengths of the best ways, 0 where there is none.
"""

import numpy as np

from common import fill, noise, timed, torch

WEIGHTS = [
    ("fc.weight", (8, 10), 0.3),
    ("h.bias", (150,), 0.1),
    ("h.weight", (150, 2, 3, 3), 0.1),
    ("q.weight", (10, 1, 3, 3), 0.2),
    ("r.weight", (1, 150, 1, 1), 0.1),
    ("w", (10, 1, 3, 3), 0.1),
]


def vin_step(size=28, batch=128, iterations=36):
    """The network as its PyTorch reimplementation computes it, over whole maps."""
    t = torch()
    f = t.nn.functional
    cells = size * size
    walls = noise(1, (batch, cells), 1.0) > 0.4
    x = np.zeros((batch, 2, cells), dtype=np.float32)
    x[:, 0] = walls
    x[np.arange(batch), 1, (37 * np.arange(batch) + 11) % cells] = 10
    x = t.from_numpy(x.reshape(batch, 2, size, size))
    sets = ((noise(2, (batch, cells), 1.0) + 1) * 127.5).astype(np.uint8)
    right = (sets[:, None, :] >> np.arange(8)[None, :, None]) & 1
    right = t.from_numpy(right.reshape(batch, 8, size, size).astype(bool))
    labelled = right.any(1)
    leaves = [
        t.from_numpy(fill(stream, shape, scale, np.float32)).requires_grad_(True)
        for stream, (_, shape, scale) in enumerate(WEIGHTS)
    ]
    last = {}

    def work():
        fc, hb, h, q, r, w = leaves
        reward = f.conv2d(f.conv2d(x, h, hb, padding=1), r)
        v = f.conv2d(reward, q, padding=1).max(1, keepdim=True).values
        both = t.cat([q, w], 1)
        for _ in range(iterations - 1):
            v = f.conv2d(t.cat([reward, v], 1), both, padding=1).max(1, keepdim=True).values
        logits = f.conv2d(f.conv2d(t.cat([reward, v], 1), both, padding=1), fc.reshape(8, 10, 1, 1))
        hit = logits.masked_fill(~right, -t.inf).logsumexp(1)
        loss = (logits.logsumexp(1) - hit)[labelled].mean()
        last["all"] = [loss, *t.autograd.grad(loss, leaves)]

    def values():
        return np.concatenate([v.detach().numpy().astype(np.float64).ravel() for v in last["all"]])

    return timed(work), lambda: float(last["all"][0]), values


def solve_mdp(rewards, probabilities, columns, discount, algorithm="vi", update="standard"):
    """mdpsolver (by default its value iteration) on compressed lists, tolerance 10⁻³, from V = 0: without a start a second solve would go on from the first."""
    import mdpsolver

    last = {}

    def work():
        model = mdpsolver.model()
        model.mdp(discount=discount, rewards=rewards, tranMatProbs=probabilities, tranMatColumns=columns)
        last["model"] = model

    work()

    start = [0.0] * len(rewards)

    def solve():
        last["model"].solve(
            algorithm=algorithm, tolerance=1e-3, update=update, parallel=True, initValueVector=start
        )

    def values():
        return np.asarray(last["model"].getValueVector(), dtype=np.float64)

    return timed(solve), lambda: float(values().sum()), values


def mdpsolver_csr(states=2500, actions=6, each=50):
    jumps = ((noise(1, (states, actions, each), 1.0) + 1) * 0.5 * states).astype(np.int64) % states
    rewards = noise(2, (states, actions), 1.0)
    probabilities = np.full((states, actions, each), 1 / each)
    return solve_mdp(rewards.tolist(), probabilities.tolist(), jumps.tolist(), 0.99)


def grid_moves(side):
    """Cells, and for each free cell its moves (to, length): eight directions, no corner cut."""
    solid = (noise(3, (side, side), 1.0) > 0.6)
    middle = side * side // 2 + side // 2
    goal = next(c for c in range(middle, side * side) if not solid.flat[c])
    moves = []
    for dy, dx in [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]:
        y, x = np.nonzero(~solid)
        ty, tx = y + dy, x + dx
        inside = (ty >= 0) & (ty < side) & (tx >= 0) & (tx < side)
        y, x, ty, tx = y[inside], x[inside], ty[inside], tx[inside]
        free = ~solid[ty, tx] & ~solid[ty, x] & ~solid[y, tx]
        length = np.sqrt(2) if dy and dx else 1.0
        moves.append((y[free] * side + x[free], ty[free] * side + tx[free], length))
    return solid, goal, moves


def mdpsolver_grid(side=128, algorithm="vi", update="standard"):
    """The goal and walls lead to themselves for nothing; a free cell without a move stays for 1 a step."""
    solid, goal, moves = grid_moves(side)
    rewards = [[] for _ in range(side * side)]
    columns = [[] for _ in range(side * side)]
    for origin, to, length in moves:
        for a, b in zip(origin.tolist(), to.tolist()):
            rewards[a].append(-length)
            columns[a].append([b])
    for cell in range(side * side):
        if cell == goal or solid.flat[cell] or not rewards[cell]:
            rewards[cell] = [0.0]
            columns[cell] = [[cell]]
    probabilities = [[[1.0] for _ in row] for row in columns]
    return solve_mdp(rewards, probabilities, columns, 0.99, algorithm, update)


def scipy_grid_dijkstra(side=512):
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    _, goal, moves = grid_moves(side)
    rows = np.concatenate([m[0] for m in moves])
    columns = np.concatenate([m[1] for m in moves])
    lengths = np.concatenate([np.full(m[0].size, m[2]) for m in moves])
    graph = csr_matrix((lengths, (rows, columns)), shape=(side * side, side * side))
    last = {}

    def work():
        last["d"] = dijkstra(graph, directed=True, indices=goal)

    def values():
        return np.where(np.isfinite(last["d"]), last["d"], 0.0)

    return timed(work), lambda: float(values().sum()), values


CASES = {
    "torch/vin_step": vin_step,
    "mdpsolver/csr": mdpsolver_csr,
    "mdpsolver/grid": mdpsolver_grid,
    "scipy/grid_dijkstra": scipy_grid_dijkstra,
}
