"""Reference numbers for the planning networks from PyTorch, in double precision.

    pip install -r tools/reference/requirements-nn.txt
    python tools/reference/generate_vin.py crates/vin/tests/reference/networks.json

Each network is written as its paper or its public code has it: the VIN with all its layers (nothing folded, r convolved again in every
iteration), the GPPN with torch.nn.LSTMCell. Inputs and weights are scale·sin(0.7·i + 1.3·stream) over the elements, one stream for each
array in the order of the names; the loss is Σ y·w with w the next stream. The file holds y and the gradients.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def fill(stream, shape, scale):
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    return torch.from_numpy((scale * np.sin(0.7 * i + 1.3 * stream)).reshape(shape))


def vin(x, p, iterations):
    reward = F.conv2d(F.conv2d(x, p["h.weight"], p["h.bias"], padding=1), p["r.weight"])
    v = F.conv2d(reward, p["q.weight"], padding=1).max(1, keepdim=True).values
    both = torch.cat([p["q.weight"], p["w"]], 1)
    for _ in range(iterations - 1):
        v = F.conv2d(torch.cat([reward, v], 1), both, padding=1).max(1, keepdim=True).values
    q = F.conv2d(torch.cat([reward, v], 1), both, padding=1)
    return F.conv2d(q, p["fc.weight"][:, :, None, None])


def gppn(x, p, iterations):
    hidden = p["map.weight"].shape[0]
    conv = lambda name, y: F.conv2d(y, p[name + ".weight"], p[name + ".bias"], padding=p[name + ".weight"].shape[-1] // 2)
    cell = torch.nn.LSTMCell(1, hidden, dtype=torch.float64)
    gates = p["gates.weight"][:, :, 0, 0]
    batch, _, height, width = x.shape
    rows = lambda y: y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])
    back = lambda y: y.reshape(batch, height, width, -1).permute(0, 3, 1, 2)
    seen = conv("map", x)
    state, memory = rows(conv("state", seen)), rows(conv("memory", seen))
    weights = {"weight_ih": gates[:, :1], "weight_hh": gates[:, 1:], "bias_ih": p["gates.bias"], "bias_hh": torch.zeros_like(p["gates.bias"])}
    for _ in range(iterations):
        look = rows(conv("look", back(state)))
        state, memory = torch.func.functional_call(cell, weights, (look, (state, memory)))
    return conv("fc", back(state))


CASES = [
    (
        "vin",
        vin,
        5,
        {
            "fc.weight": ((8, 6), 0.5),
            "h.bias": ((7,), 0.3),
            "h.weight": ((7, 2, 3, 3), 0.3),
            "q.weight": ((6, 1, 3, 3), 0.4),
            "r.weight": ((1, 7, 1, 1), 0.5),
            "w": ((6, 1, 3, 3), 0.2),
        },
    ),
    (
        "gppn",
        gppn,
        3,
        {
            "fc.bias": ((4,), 0.3),
            "fc.weight": ((4, 5, 1, 1), 0.5),
            "gates.bias": ((20,), 0.3),
            "gates.weight": ((20, 6, 1, 1), 0.4),
            "look.bias": ((1,), 0.3),
            "look.weight": ((1, 5, 5, 5), 0.2),
            "map.bias": ((5,), 0.3),
            "map.weight": ((5, 2, 3, 3), 0.4),
            "memory.bias": ((5,), 0.3),
            "memory.weight": ((5, 5, 3, 3), 0.2),
            "state.bias": ((5,), 0.3),
            "state.weight": ((5, 5, 3, 3), 0.2),
        },
    ),
]


def main():
    out = {"made by": f"torch {torch.__version__.split('+')[0]}", "cases": []}
    for name, network, iterations, shapes in CASES:
        p = {k: fill(i, shape, scale).requires_grad_(True) for i, (k, (shape, scale)) in enumerate(shapes.items())}
        x = fill(len(p), (2, 2, 4, 5), 1.0).requires_grad_(True)
        y = network(x, p, iterations)
        loss = (y * fill(len(p) + 1, y.shape, 1.0)).sum()
        gradients = torch.autograd.grad(loss, [*p.values(), x])
        flat = lambda t: [float(f"{v:.17g}") for v in t.detach().numpy().ravel()]
        out["cases"].append({
            "name": name,
            "iterations": iterations,
            "weights": [[k, list(shape), scale] for k, (shape, scale) in shapes.items()],
            "x": [2, 2, 4, 5],
            "y": flat(y),
            "gradients": [flat(g) for g in gradients],
        })
    with open(sys.argv[1], "w") as file:
        json.dump(out, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
