"""Random networks of instructions, and what CasADi says of them: values, Jacobians, Hessians, and where they may be non-zero.

A network grows instruction by instruction. An operand outside the instruction's domain, or near a kink or a jump, at any of
the network's points is first brought inside (0.9·tanh a, or a² + 0.1); if that does not help, another operand is drawn. A
network for which CasADi and 40-digit arithmetic differ by more than AGREEMENT is drawn again: there the rounding of any
machine costs too much for a comparison.
"""

import math
import random

import casadi
import graph_jets

COUNT = 1000
POINTS = 3
AGREEMENT = 1e-13
LARGEST = 100.0
AWAY = 0.01

UNARY = [
    "neg", "sqrt", "abs", "sign", "floor", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "fmin", "fmax", "atan2", "hypot", "pow", "lt", "le", "eq"]
# Common instructions are common, so that networks do not saturate; every other has its turn.
OPS = UNARY + BINARY + ["if_else"] + 4 * ["mul", "add", "sub"] + 2 * ["div"]

SX = {
    "neg": lambda a: -a, "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "eq": lambda a, b: a == b,
    "abs": casadi.fabs, "pow": lambda a, b: a**b, "if_else": lambda c, a, b: casadi.if_else(c, a, b),
}  # fmt: skip

BETWEEN = lambda low, high: lambda a: low < a < high  # noqa: E731
APART = lambda a, b: AWAY < abs(a - b)  # noqa: E731
WHOLE = lambda a: a == round(a)  # noqa: E731
# Where an instruction may be applied; everywhere if it is not here.
DOMAIN = {
    "sqrt": BETWEEN(0.02, LARGEST), "log": BETWEEN(0.02, LARGEST), "log1p": BETWEEN(-0.98, LARGEST),
    "exp": BETWEEN(-20, 4), "expm1": BETWEEN(-4, 4), "sinh": BETWEEN(-4, 4), "cosh": BETWEEN(-4, 4),
    "tan": lambda a: 0.05 < abs(math.cos(a)), "asin": BETWEEN(-0.98, 0.98), "acos": BETWEEN(-0.98, 0.98),
    "atanh": BETWEEN(-0.98, 0.98), "acosh": BETWEEN(1.02, LARGEST), "abs": lambda a: AWAY < abs(a),
    "sign": lambda a: AWAY < abs(a), "floor": lambda a: AWAY < a % 1 < 1 - AWAY, "fmin": APART, "fmax": APART, "lt": APART,
    # Counts and signs may be equal: they are exact, and constant around the point.
    "le": APART, "eq": lambda a, b: APART(a, b) or WHOLE(a) and WHOLE(b), "div": lambda a, b: 0.05 < abs(b),
    "atan2": lambda a, b: 0.05 < math.hypot(a, b) and (0 < b or AWAY < abs(a)),
    "hypot": lambda a, b: 0.05 < math.hypot(a, b), "pow": lambda a, b: 0.05 < a and abs(b) < 4, "if_else": lambda c, a, b: True,
}  # fmt: skip


def inside(op, columns):
    test = DOMAIN.get(op, lambda *_: True)
    return all(test(*values) for values in zip(*columns))


def plain(op, *x):
    """In doubles, only to steer: these numbers are not committed."""
    if op == "if_else":
        return x[1] if x[0] else x[2]
    jet = graph_jets.UNARY[op] if len(x) == 1 else graph_jets.BINARY[op]
    with graph_jets.mpmath.workdps(16):
        return float(jet(*map(graph_jets.mpf, x))[0])


class Network:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.inputs = self.random.randint(2, 6)
        self.at = [[round(self.random.uniform(-2, 2), 3) for _ in range(self.inputs)] for _ in range(POINTS)]
        # Node → its value at each point.
        self.columns = [list(c) for c in zip(*self.at)]
        self.code = []
        size = self.random.randint(5, 80)
        turn = self.random.randrange(len(OPS))
        while len(self.code) < size:
            self.grow(OPS[turn % len(OPS)])
            turn += 1 if self.random.random() < 0.5 else self.random.randrange(len(OPS))
        self.gather()
        last = len(self.columns) - 1
        late = max(self.inputs, last - 12)
        drawn = [last] + [self.random.randint(late, last) for _ in range(self.random.randint(0, 3))]
        self.outputs = sorted(set(drawn))
        self.weights = [round(self.random.uniform(-1, 1), 2) for _ in self.outputs]

    def gather(self):
        """Adds up what nothing has used yet, so that most of the network counts."""
        used = {k for op, args in self.code if op != "lit" for k in args}
        total, *others = [k for k in range(self.inputs, len(self.columns)) if k not in used][-12:]
        for k in others:
            joined = self.push(self.random.choice(["add", "sub", "mul"]), (total, k))
            total = total if joined is None else joined

    def push(self, op, args):
        if op == "lit":
            column = [args] * POINTS
        else:
            column = [plain(op, *values) for values in zip(*(self.columns[k] for k in args))]
        if any(not abs(v) < LARGEST for v in column):
            return None
        self.code.append((op, args))
        self.columns.append(column)
        return len(self.columns) - 1

    def wrapped(self, op, k):
        """An operand inside the domain of most instructions that have one."""
        if op in ("sqrt", "log", "pow", "div", "acosh"):
            square = self.push("mul", (k, k))
            tenth = self.push("lit", 1.1 if op == "acosh" else 0.1)
            return None if square is None else self.push("add", (square, tenth))
        squashed = self.push("tanh", (k,))
        return self.push("mul", (squashed, self.push("lit", 0.9)))

    def grow(self, op):
        arity = 1 if op in UNARY else 3 if op == "if_else" else 2
        for _ in range(8):
            n = len(self.columns)
            # The youngest are preferred: networks become deep.
            draw = lambda: self.random.randrange(max(n - 6, 0) if self.random.random() < 0.6 else 0, n)  # noqa: E731
            args = [draw() for _ in range(arity)]
            if self.random.random() < 0.15 and arity == 2:
                args[1] = self.push("lit", round(self.random.uniform(-3, 3), 2))
            elif op == "if_else":
                args[0] = self.push("lt", args[:2]) if inside("lt", [self.columns[k] for k in args[:2]]) else args[0]
            if not inside(op, [self.columns[k] for k in args]):
                place = 1 if op == "div" else 0
                changed = self.wrapped(op, args[place])
                args[place] = args[place] if changed is None else changed
                if op == "pow" and not inside(op, [self.columns[k] for k in args]):
                    args[1] = self.wrapped("exp", args[1])
                if not inside(op, [self.columns[k] for k in args]):
                    continue
            if self.push(op, tuple(args)) is not None:
                return


def symbolic(network):
    x = casadi.SX.sym("x", network.inputs)
    nodes = [x[i] for i in range(network.inputs)]
    for op, args in network.code:
        if op == "lit":
            nodes.append(casadi.SX(args))
        else:
            nodes.append((SX.get(op) or getattr(casadi, op))(*(nodes[k] for k in args)))
    y = casadi.vertcat(*(nodes[k] for k in network.outputs))
    jacobian = casadi.jacobian(y, x)
    hessian = casadi.tril(casadi.hessian(casadi.dot(casadi.SX(network.weights), y), x)[0])
    return casadi.Function("network", [x], [y, jacobian, hessian]), jacobian.sparsity(), hessian.sparsity()


def places(sparsity):
    """(row, column), sorted, and the position of each among CasADi's column-wise entries."""
    rows, columns = sparsity.get_triplet()
    order = sorted(range(len(rows)), key=lambda k: (rows[k], columns[k]))
    return [(rows[k], columns[k]) for k in order], order


def agree(network, results, jacobian, hessian):
    """CasADi against jets: values by themselves, a Jacobian relative to its row's largest entry, a Hessian to its largest."""

    def near(pairs):
        scale = max((abs(b) for _, b in pairs), default=0)
        return all(abs(a - b) <= AGREEMENT * scale for a, b in pairs)

    for at, (y, j, h) in zip(network.at, results):
        nodes = graph_jets.run(network.inputs, network.code, at)
        exact = [nodes[k] for k in network.outputs]
        if not all(near([(a, b.value)]) for a, b in zip(y, exact)):
            return False
        ours = dict(zip(jacobian, j))
        for row, jet in enumerate(exact):
            every = {c for r, c in jacobian if r == row} | set(jet.slope)
            if not near([(ours.get((row, c), 0.0), jet.slope.get(c, 0)) for c in sorted(every)]):
                return False
        ours, total = dict(zip(hessian, h)), {}
        for weight, jet in zip(network.weights, exact):
            for place, d in jet.curve.items():
                total[place] = total.get(place, 0) + graph_jets.mpf(weight) * d
        if not near([(ours.get(p, 0.0), total.get(p, 0)) for p in sorted(set(ours) | set(total))]):
            return False
    return True


def numbers(values):
    return " ".join(repr(float(v) + 0.0).removesuffix(".0") for v in values)


def pairs(all_places):
    return " ".join(f"{i},{j}" for i, j in all_places)


def text(op, args):
    return f"lit {numbers([args])}" if op == "lit" else " ".join([op, *map(str, args)])


def table():
    """(networks, how many were drawn again)."""
    entries, again, seed = [], 0, 0
    while len(entries) < COUNT:
        network = Network(seed)
        seed += 1
        function, of_jacobian, of_hessian = symbolic(network)
        (jacobian, by_j), (hessian, by_h) = places(of_jacobian), places(of_hessian)
        results = []
        for at in network.at:
            y, j, h = function(at)
            j, h = j.nonzeros(), h.nonzeros()
            results.append((y.full().ravel().tolist(), [j[k] for k in by_j], [h[k] for k in by_h]))
        if not agree(network, results, jacobian, hessian):
            again += 1
            continue
        # The Hessians of every second network keep the file small.
        second = len(entries) % 2 == 0
        entry = {
            "inputs": network.inputs,
            "code": "; ".join(text(*c) for c in network.code),
            "outputs": " ".join(map(str, network.outputs)),
            "jacobian": pairs(jacobian),
        }
        if second:
            entry |= {"weights": numbers(network.weights), "hessian": pairs(hessian)}
        entry["points"] = [
            [numbers(at), numbers(y), numbers(j)] + ([numbers(h)] if second else [])
            for at, (y, j, h) in zip(network.at, results)
        ]
        entries.append(entry)
    return entries, again
