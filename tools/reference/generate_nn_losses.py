#!/usr/bin/env python3
"""Writes crates/nn/tests/data/losses.json: losses, gradients and second derivatives of PyTorch.

    python3 -m venv target/nn-venv
    target/nn-venv/bin/pip install -r tools/reference/requirements-nn.txt
    target/nn-venv/bin/python tools/reference/generate_nn_losses.py

All in float64. For losses l(x) of a first input x: `losses` without reduction, `mean` as PyTorch reduces, `gradient` of
Σ cos(i)·l_i, and `product`, the Hessian of that sum times the direction sin(1 + i).
"""

import json
import pathlib

import torch
import torch.nn.functional as F

DATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "nn" / "tests" / "data"
torch.manual_seed(4)
D = torch.float64


def normal(*dims, scale=1.0):
    return scale * torch.randn(*dims, dtype=D)


def flat(t):
    return [float(v) for v in t.detach().flatten().tolist()]


def entry(name, x, f, reduced=None, **data):
    """f maps x to losses; reduced maps x to PyTorch's mean where that is not the losses' mean."""
    x = x.clone().requires_grad_(True)
    losses = f(x)
    mean = losses.mean() if reduced is None else reduced(x)
    weights = torch.cos(torch.arange(losses.numel(), dtype=D)).reshape(losses.shape)
    (gradient,) = torch.autograd.grad((weights * losses).sum(), x, create_graph=True)
    direction = torch.sin(1 + torch.arange(x.numel(), dtype=D)).reshape(x.shape)
    product = torch.zeros_like(x, requires_grad=False)
    if gradient.requires_grad:
        (found,) = torch.autograd.grad((gradient * direction).sum(), x, allow_unused=True)
        product = product if found is None else product + found
    tensors = {k: {"dims": list(v.shape), "values": flat(v)} for k, v in data.items()}
    return {
        "name": name,
        "x": {"dims": list(x.shape), "values": flat(x)},
        "data": tensors,
        "losses": flat(losses),
        "mean": float(mean.detach()),
        "gradient": flat(gradient),
        "product": flat(product),
    }


def multi_margin(z, label, margin):
    """F.multi_margin_loss has no second derivative: its definition is written out, and its values are compared."""
    classes = z.shape[1]
    own = z.gather(1, label.unsqueeze(1))
    others = 1 - F.one_hot(label, classes).movedim(-1, 1).to(D)
    losses = (torch.relu(margin - own + z) * others).sum(1) / classes
    rows = z.movedim(1, -1).reshape(-1, classes)
    torch.testing.assert_close(
        losses.reshape(-1), F.multi_margin_loss(rows, label.reshape(-1), margin=margin, reduction="none")
    )
    return losses


def table():
    x, y = normal(3, 4, scale=2.0), normal(3, 4)
    yield entry("mse", x, lambda v: F.mse_loss(v, y, reduction="none"), y=y)
    yield entry("l1", x, lambda v: F.l1_loss(v, y, reduction="none"), y=y)
    yield entry("huber 0.7", x, lambda v: F.huber_loss(v, y, reduction="none", delta=0.7), y=y)
    yield entry("smooth_l1 1.3", x, lambda v: F.smooth_l1_loss(v, y, reduction="none", beta=1.3), y=y)

    shapes = {"": (5, 4), " of maps": (2, 3, 2, 3), " extreme": (4, 3)}
    for which, dims in shapes.items():
        z = normal(*dims, scale=1e4 if which == " extreme" else 2.0)
        classes, rest = dims[1], (dims[0], *dims[2:])
        label = torch.randint(0, classes, rest)
        cw = torch.rand(classes, dtype=D) + 0.2
        pw = torch.rand(rest, dtype=D).round(decimals=1)
        q = torch.softmax(normal(*dims), 1)
        some = label.clone()
        some.view(-1)[1::3] = -100

        def ce(v, target=label, **k):
            return F.cross_entropy(v, target, reduction="none", **k)

        def of(target=label, **k):
            return lambda v: ce(v, target, **k), lambda v: F.cross_entropy(v, target, **k)

        yield entry("cross_entropy" + which, z, *of(), label=label)
        yield entry("class weights" + which, z, *of(weight=cw), label=label, cw=cw)
        yield entry("smoothing 0.15" + which, z, *of(label_smoothing=0.15), label=label)
        yield entry("smoothed, weighted, ignored 0.15" + which, z, *of(some, weight=cw, label_smoothing=0.15), label=some, cw=cw)
        yield entry("ignored" + which, z, *of(some), label=some)
        yield entry("position weights" + which, z, lambda v: pw * ce(v), lambda v: (pw * ce(v)).sum() / pw.sum(), label=label, pw=pw)
        yield entry("probabilities 0.15" + which, z, *of(q, weight=cw, label_smoothing=0.15), q=q, cw=cw)
        inside = torch.rand(dims) < 0.5
        inside.scatter_(1, label.unsqueeze(1), True)
        neg = torch.tensor(float("-inf"), dtype=D)
        yield entry(
            "label set" + which,
            z,
            lambda v: torch.logsumexp(v, 1) - torch.logsumexp(torch.where(inside, v, neg), 1),
            label=label,
            set=inside.to(D),
        )
        yield entry("allowed" + which, z, lambda v: ce(torch.where(inside, v, neg)), label=label, set=inside.to(D))
        yield entry(
            "multi_margin 0.8" + which,
            z,
            lambda v: multi_margin(v, label, 0.8),
            label=label,
        )

    for which, scale in {"": 2.0, " extreme": 1e4}.items():
        z, t, p = normal(4, 3, scale=scale), torch.rand(4, 3, dtype=D), torch.rand(3, dtype=D) * 4
        yield entry("bce" + which, z, lambda v: F.binary_cross_entropy_with_logits(v, t, reduction="none"), t=t)
        yield entry("bce weighted" + which, z, lambda v: F.binary_cross_entropy_with_logits(v, t, reduction="none", pos_weight=p), t=t, p=p)

    p = torch.softmax(normal(4, 3), 1)
    p[0] = torch.tensor([1.0, 0.0, 0.0], dtype=D)
    logp, logq = torch.log_softmax(normal(4, 3), 1), torch.log_softmax(normal(4, 3), 1)
    yield entry("kl", logq, lambda v: F.kl_div(v, p, reduction="none"), lambda v: F.kl_div(v, p, reduction="batchmean"), p=p)
    yield entry("kl of logs", logq, lambda v: F.kl_div(v, logp, reduction="none", log_target=True), p=logp)

    a, b, s = normal(6, 5), normal(6, 5), torch.tensor([1.0, -1, 1, -1, -1, 1], dtype=D)
    yield entry("cosine 0.1", a, lambda v: F.cosine_embedding_loss(v, b, s, margin=0.1, reduction="none"), b=b, s=s)
    yield entry("hinge embedding 1", a[:, 0], lambda v: F.hinge_embedding_loss(v, s, margin=1.0, reduction="none"), s=s)
    yield entry("hinge 1", a[:, 0], lambda v: torch.relu(1 - s * v), s=s)

    m, t, var = normal(3, 4), normal(3, 4), torch.rand(3, 4, dtype=D) + 0.05
    yield entry("gaussian mean", m, lambda v: F.gaussian_nll_loss(v, t, var, reduction="none"), t=t, var=var)
    yield entry("gaussian variance", var, lambda v: F.gaussian_nll_loss(m, t, v, reduction="none", full=True), t=t, m=m)
    yield entry("gaussian log variance", var.log(), lambda v: F.gaussian_nll_loss(m, t, v.exp(), reduction="none"), t=t, m=m)


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    entries = list(table())
    lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries)
    head = json.dumps({"generator": "tools/reference/generate_nn_losses.py", "torch": torch.__version__.split("+")[0]})
    path = DATA / "losses.json"
    path.write_text(head[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    print(f"{len(entries)} cases, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
