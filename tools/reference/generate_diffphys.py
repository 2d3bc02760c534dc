"""Writes crates/diffphys/tests/data/mujoco.json: what MuJoCo computes on the models of crates/diffphys/tests/models.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys.py

States are sampled along rollouts with random controls. For each: inputs, forces, accelerations, contacts, the next state, inverse dynamics at
another acceleration, and A·w and B·w for a fixed direction w by centred finite differences (mjd_transitionFD, eps 1e-6).
"""

import json
import pathlib

import mujoco
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2] / "crates/diffphys/tests"
VERSION = "4.0.1"
# When to look, in steps.
SAMPLES = {"shapes": [0, 40, 90], "cones": [0, 30, 70], "pile": [5, 40, 100], "logs": [10, 50, 120], "arm": [0, 60, 150], "arm_implicit": [0, 60, 150], "arm_rk": [0, 60, 150], "spinner": [0, 50], "blocks": [40, 75, 130],
           "tumbler": [0, 40, 110]}


def numbers(x):
    return np.asarray(x, float).ravel().tolist()


def direction(n):
    """Not special in any way, and easy to write down again."""
    return np.sin(1.0 + 0.7 * np.arange(n))


def prepared(path):
    model = mujoco.MjModel.from_xml_path(str(path))
    model.opt.tolerance = 0
    model.opt.iterations = 100
    model.opt.ls_iterations = 100
    model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    return model


def copy(model, data):
    other = mujoco.MjData(model)
    for name in ["qpos", "qvel", "act", "ctrl", "qacc_warmstart", "mocap_pos", "mocap_quat"]:
        getattr(other, name)[:] = getattr(data, name)
    return other


def state(model, data):
    out = {name: numbers(getattr(data, name)) for name in ["qpos", "qvel", "act", "ctrl", "qacc_warmstart"]}
    d = copy(model, data)
    mujoco.mj_forward(model, d)
    names = ["subtree_com", "qfrc_bias", "qfrc_passive", "qfrc_actuator", "qacc_smooth", "qacc", "qfrc_constraint", "act_dot"]
    out.update({name: numbers(getattr(d, name)) for name in names})
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, d, inertia)
    out["M_w"] = numbers(inertia @ direction(model.nv))
    out["contact"] = [
        {"geom": c.geom.tolist(), "dist": c.dist, "pos": numbers(c.pos), "frame": numbers(c.frame), "friction": numbers(c.friction),
         "solref": numbers(c.solref), "solimp": numbers(c.solimp), "margin": c.includemargin}
        for c in d.contact
    ]
    for name in ["efc_pos", "efc_D", "efc_aref", "efc_force"]:
        out[name] = sorted(numbers(getattr(d, name)))
    other = d.qacc + (1 + abs(d.qacc)) * 0.1 * direction(model.nv)
    inverse = copy(model, data)
    inverse.qacc[:] = other
    mujoco.mj_inverse(model, inverse)
    out["inverse_qacc"], out["qfrc_inverse"] = numbers(other), numbers(inverse.qfrc_inverse)
    d = copy(model, data)
    mujoco.mj_step(model, d)
    out["next"] = numbers(np.concatenate([d.qpos, d.qvel, d.act]))
    if model.opt.integrator != mujoco.mjtIntegrator.mjINT_RK4:
        n = 2 * model.nv + model.na
        a, b = np.zeros((n, n)), np.zeros((n, model.nu))
        d = copy(model, data)
        mujoco.mj_forward(model, d)
        mujoco.mjd_transitionFD(model, d, 1e-6, 1, a, b if model.nu else None, None, None)
        out["A_w"], out["wA"] = numbers(a @ direction(n)), numbers(direction(n) @ a)
        out["B_w"] = numbers(b @ direction(model.nu))
    return out


CONSTANTS = ["body_mass", "body_inertia", "body_invweight0", "dof_invweight0", "qpos0", "geom_pos", "jnt_axis", "jnt_range"]


def rollout(path, samples, constants):
    """A model's constants and what it does at some steps of a rollout."""
    model = prepared(path)
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    random = np.random.default_rng(7)
    states = []
    for step in range(max(samples) + 1):
        if step % 10 == 0:
            data.ctrl[:] = random.uniform(-1, 1, model.nu) * 0.45
        if step in samples:
            states.append(state(model, data))
        mujoco.mj_step(model, data)
    values = {name: numbers(getattr(model, name)) for name in constants}
    if "actuator_biasprm" in values:
        values["actuator_biasprm"] = numbers(model.actuator_biasprm[:, :3])
    return {"constants": values, "states": states}


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    paths = [path for path in sorted((ROOT / "models").glob("*.xml")) if path.stem in SAMPLES]
    models = {path.stem: rollout(path, SAMPLES[path.stem], CONSTANTS) for path in paths}
    target = ROOT / "data/mujoco.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"mujoco": VERSION, "models": models}) + "\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
