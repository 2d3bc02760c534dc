#!/usr/bin/env python3
"""Writes crates/nn/tests/data/defaults.json: how PyTorch's layers start.

    python3 -m venv target/peers-venv
    target/peers-venv/bin/pip install -r benches/peers/requirements.txt
    target/peers-venv/bin/python tools/reference/generate_nn_defaults.py

For each parameter of each layer, over many seeds: its shape, its mean, its root mean square, and its largest magnitude.
"""

import json
import pathlib

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"
SEEDS = 40

LAYERS = {
    "linear": lambda: nn.Linear(30, 50),
    "conv1d": lambda: nn.Conv1d(12, 30, 5, groups=3),
    "conv2d": lambda: nn.Conv2d(8, 24, (3, 5), groups=2),
    "conv_transpose1d": lambda: nn.ConvTranspose1d(30, 18, 4, stride=2, groups=2),
    "conv_transpose2d": lambda: nn.ConvTranspose2d(10, 24, (4, 3)),
    "embedding": lambda: nn.Embedding(40, 25),
    "gru": lambda: nn.GRU(9, 20, num_layers=2, bidirectional=True),
    "lstm": lambda: nn.LSTM(9, 20, num_layers=2),
    "gru cell": lambda: nn.GRUCell(9, 20),
    "lstm cell": lambda: nn.LSTMCell(9, 20),
    "attention": lambda: nn.MultiheadAttention(24, 3),
    "batch_norm": lambda: nn.BatchNorm2d(6),
    "layer_norm": lambda: nn.LayerNorm(6),
    "group_norm": lambda: nn.GroupNorm(2, 6),
    "rms_norm": lambda: nn.RMSNorm(6),
    "instance_norm": lambda: nn.InstanceNorm2d(6, affine=True),
    "prelu": lambda: nn.PReLU(6),
}


def statistics(make):
    samples = {}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        layer = make()
        for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
            if tensor.is_floating_point():
                samples.setdefault(name, []).append(tensor.detach())
    table = {}
    for name, tensors in samples.items():
        x = torch.stack(tensors)
        table[name] = {
            "shape": list(tensors[0].shape),
            "count": x.numel(),
            "mean": float(x.mean()),
            "rms": float(x.square().mean().sqrt()),
            "largest": float(x.abs().max()),
        }
    return table


def main():
    head = {"generator": "tools/reference/generate_nn_defaults.py", "torch": torch.__version__.split("+")[0], "seeds": SEEDS}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(statistics(make))}" for name, make in LAYERS.items())
    path = DATA / "defaults.json"
    path.write_text("{" + ",\n".join(lines) + ',\n"layers": {\n' + rows + "}}\n")
    print(f"{path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
