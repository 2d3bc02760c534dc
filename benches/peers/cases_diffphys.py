"""Rigid bodies in MuJoCo and Pinocchio: states with everything MuJoCo computes there, steps, finite differences, derivatives of dynamics."""

import functools
import time

import numpy as np


@functools.cache
def mujoco():
    import mujoco as module

    return module


def timed(work):
    def measure(reps):
        start = time.perf_counter()
        for _ in range(reps):
            work()
        return (time.perf_counter() - start) / reps

    return measure


def prepared(path, exact, euler):
    """`exact`: solved as far as rounding lets it, by Newton, in one block, so that rows mean the same to both."""
    mj = mujoco()
    model = mj.MjModel.from_xml_path(path)
    if euler:
        model.opt.integrator = mj.mjtIntegrator.mjINT_EULER
    model.opt.solver = mj.mjtSolver.mjSOL_NEWTON
    if exact:
        model.opt.tolerance, model.opt.iterations, model.opt.ls_iterations = 0, 100, 100
        model.opt.jacobian = mj.mjtJacobian.mjJAC_DENSE
        model.opt.disableflags |= mj.mjtDisableBit.mjDSBL_ISLAND
    return model


def sampled(model, count, every, seed, contact):
    """Data along rollouts with controls that change every ten steps; `contact`: only where something touches with force."""
    mj = mujoco()
    data, random = mj.MjData(model), np.random.default_rng(seed)
    low = np.where(model.actuator_ctrllimited > 0, model.actuator_ctrlrange[:, 0], -1.0)
    high = np.where(model.actuator_ctrllimited > 0, model.actuator_ctrlrange[:, 1], 1.0)
    found, step = [], 0
    while len(found) < count and step < 400 * every + 40 * count * every:
        if step % 10 == 0:
            data.ctrl[:] = low + (high - low) * (0.1 + 0.8 * random.random(model.nu))
        if step % 2000 == 1999:
            mj.mj_resetData(model, data)
            data.qvel[:] = random.normal(size=model.nv) * 0.3
        if step % every == every - 1:
            here = copied(model, data)
            mj.mj_forward(model, here)
            if not contact or any(c.efc_address >= 0 for c in here.contact):
                found.append(copied(model, data))
        mj.mj_step(model, data)
        step += 1
    return found


def copied(model, data):
    other = mujoco().MjData(model)
    for name in ("qpos", "qvel", "act", "ctrl", "qacc_warmstart"):
        getattr(other, name)[:] = getattr(data, name)
    return other


class Numbers:
    """Arrays one after the other, each after its length; benches/src/bin/report_diffphys/numbers.rs reads them."""

    def __init__(self):
        self.list = []

    def add(self, array):
        array = np.asarray(array, dtype=float).ravel()
        self.list.append(float(array.size))
        self.list.extend(array.tolist())


FIELDS = ("subtree_com", "xipos", "cvel", "qfrc_bias", "qfrc_passive", "qfrc_actuator", "qacc_smooth", "qacc", "qfrc_constraint")


def states(path, count, every, seed, euler=False):
    mj = mujoco()
    model = prepared(path, True, euler)

    def values():
        out, random = Numbers(), np.random.default_rng(seed + 1)
        found = sampled(model, count, every, seed, False)
        out.add(model.body_mass)
        out.add(model.body_invweight0)
        out.add(model.dof_invweight0)
        out.add([len(found)])
        for data in found:
            for name in ("qpos", "qvel", "act", "ctrl", "qacc_warmstart"):
                out.add(getattr(data, name))
            d = copied(model, data)
            mj.mj_forward(model, d)
            for name in FIELDS:
                out.add(getattr(d, name))
            inertia = np.zeros((model.nv, model.nv))
            mj.mj_fullM(model, d, inertia)
            out.add(inertia)
            out.add([np.concatenate([c.geom, [c.dist], c.pos, c.frame]) for c in d.contact])
            for name in ("efc_pos", "efc_D", "efc_aref", "efc_force"):
                out.add(np.sort(getattr(d, name)))
            other = d.qacc + 0.1 * (1 + abs(d.qacc)) * random.normal(size=model.nv)
            inverse = copied(model, data)
            inverse.qacc[:] = other
            mj.mj_inverse(model, inverse)
            out.add(other)
            out.add(inverse.qfrc_inverse)
            d = copied(model, data)
            mj.mj_step(model, d)
            out.add(np.concatenate([d.qpos, d.qvel, d.act]))
        return np.array(out.list)

    return (lambda reps: 0.0), (lambda: float(model.nv)), values


def differences(path, count, every, seed, contact=True):
    """A and B by mjd_transitionFD, centred, tolerance 0, at states (in contact, if asked for), for two sizes of the difference."""
    mj = mujoco()
    model = prepared(path, True, True)
    n = 2 * model.nv + model.na

    def values():
        out = Numbers()
        found = sampled(model, count, every, seed, contact)
        out.add([len(found)])
        for data in found:
            for name in ("qpos", "qvel", "act", "ctrl", "qacc_warmstart"):
                out.add(getattr(data, name))
            for eps in (1e-6, 1e-7):
                a, b = np.zeros((n, n)), np.zeros((n, model.nu))
                d = copied(model, data)
                mj.mj_forward(model, d)
                mj.mjd_transitionFD(model, d, eps, 1, a, b if model.nu else None, None, None)
                out.add(a)
                out.add(b)
        return np.array(out.list)

    return (lambda reps: 0.0), (lambda: float(n)), values


def start(model, warm):
    """The state after `warm` steps with controls 0.3·sin(0.7·step + 1.3·actuator)."""
    mj = mujoco()
    data = mj.MjData(model)
    for step in range(warm):
        data.ctrl[:] = 0.3 * np.sin(0.7 * step + 1.3 * np.arange(model.nu))
        mj.mj_step(model, data)
    return data


def steps(path, warm, count):
    """`count` steps from the same state again and again."""
    mj = mujoco()
    model = prepared(path, False, True)
    first = start(model, warm)
    data = mj.MjData(model)

    def work():
        for name in ("qpos", "qvel", "act", "ctrl", "qacc_warmstart"):
            getattr(data, name)[:] = getattr(first, name)
        mj.mj_step(model, data, count)

    def values():
        work()
        return np.concatenate([first.qpos, first.qvel, data.qpos, data.qvel])

    return timed(work), (lambda: float(np.sum(first.qpos))), values


def transition(path, warm):
    """A and B by forward differences, as mjd_transitionFD makes them without being asked for more."""
    mj = mujoco()
    model = prepared(path, False, True)
    data = start(model, warm)
    n = 2 * model.nv + model.na
    a, b = np.zeros((n, n)), np.zeros((n, model.nu))
    mj.mj_forward(model, data)
    work = lambda: mj.mjd_transitionFD(model, data, 1e-6, 0, a, b, None, None)  # noqa: E731

    def values():
        work()
        return np.concatenate([a.ravel(), b.ravel()])

    return timed(work), (lambda: float(np.trace(a))), values


def robot(path, names):
    """Pinocchio's model and data, q, v, a by a formula in the joint's name, and where each named joint is among Pinocchio's."""
    import pinocchio

    model = pinocchio.buildModelFromUrdf(path)
    value = lambda name, k: np.sin(0.37 * sum(map(ord, name)) + k)  # noqa: E731
    q, v, a = pinocchio.neutral(model), np.zeros(model.nv), np.zeros(model.nv)
    index = []
    for name in names:
        joint = model.joints[model.getJointId(name)]
        angle = 0.5 * value(name, 0)
        if joint.nq == 2:
            q[joint.idx_q : joint.idx_q + 2] = np.cos(angle), np.sin(angle)
        else:
            q[joint.idx_q] = angle
        v[joint.idx_v], a[joint.idx_v] = value(name, 1), value(name, 2)
        index.append(joint.idx_v)
    if len(index) != model.nv:
        raise ValueError(f"{model.nv} degrees of freedom, {len(index)} names")
    return pinocchio, model, model.createData(), (q, v, a), index


def symmetric(upper):
    upper = np.triu(upper)
    return upper + np.triu(upper, 1).T


def rnea(path, names):
    pinocchio, model, data, (q, v, a), index = robot(path, names)
    work = lambda: pinocchio.computeRNEADerivatives(model, data, q, v, a)  # noqa: E731
    pick = lambda m: np.asarray(m)[np.ix_(index, index)].ravel()  # noqa: E731

    def values():
        work()
        matrices = [pick(data.dtau_dq), pick(data.dtau_dv), pick(symmetric(data.M))]
        return np.concatenate([np.asarray(data.tau)[index], *matrices])

    return timed(work), (lambda: float(model.nv)), values


def aba(path, names):
    pinocchio, model, data, (q, v, tau), index = robot(path, names)
    work = lambda: pinocchio.computeABADerivatives(model, data, q, v, tau)  # noqa: E731
    pick = lambda m: np.asarray(m)[np.ix_(index, index)].ravel()  # noqa: E731

    def values():
        work()
        matrices = [pick(data.ddq_dq), pick(data.ddq_dv), pick(symmetric(data.Minv))]
        return np.concatenate([np.asarray(data.ddq)[index], *matrices])

    return timed(work), (lambda: float(model.nv)), values


CASES = {
    "mujoco/diffphys_states": states,
    "mujoco/diffphys_differences": differences,
    "mujoco/diffphys_steps": steps,
    "mujoco/diffphys_transition": transition,
    "pinocchio/diffphys_rnea": rnea,
    "pinocchio/diffphys_aba": aba,
}
