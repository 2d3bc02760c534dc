"""Writes crates/diffphys/tests/data/mujoco_joints.json: what MuJoCo computes on the models of crates/diffphys/tests/models/joints
(connect and weld, media, spatial tendons, transmissions, forces at their bounds, actuation switched off), as generate_diffphys.py does for the others.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_joints.py
"""

import json

import mujoco
import numpy as np

from generate_diffphys import ROOT, VERSION, numbers, rollout

# When to look, in steps.
SAMPLES = {"tied": [0, 30, 90], "medium": [0, 40], "medium_implicit": [0, 40],
    "strings": [0, 60, 150, 300], "strings_implicit": [0, 60, 150, 300],
    "servos": [0, 40, 120],
    "bounds": [0, 30, 90], "idle": [0, 40], "idle_rk": [0, 40]}
CONSTANTS = ["body_mass", "body_inertia", "body_invweight0", "dof_invweight0", "qpos0", "geom_pos", "jnt_range",
             "jnt_stiffness", "dof_damping", "actuator_biasprm", "actuator_ctrlrange", "actuator_actrange", "tendon_invweight0", "tendon_length0"]


def wraps(count=60):
    """Lengths and Jacobians of strings between two points at random, around and through a sphere and a cylinder."""
    model = mujoco.MjModel.from_xml_path(str(ROOT / "models/joints/wraps.xml"))
    random = np.random.default_rng(3)
    out = []
    for _ in range(count):
        data = mujoco.MjData(model)
        data.qpos[:] = random.uniform(-0.32, 0.32, model.nq)
        mujoco.mj_forward(model, data)
        jacobian = np.zeros((model.ntendon, model.nv))
        for t in range(model.ntendon):
            at = slice(model.ten_J_rowadr[t], model.ten_J_rowadr[t] + model.ten_J_rownnz[t])
            jacobian[t, model.ten_J_colind[at]] = data.ten_J[at]
        out.append({"qpos": numbers(data.qpos), "ten_length": numbers(data.ten_length), "ten_J": numbers(jacobian)})
    return out


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    models = {name: rollout(ROOT / f"models/joints/{name}.xml", samples, CONSTANTS) for name, samples in SAMPLES.items()}
    target = ROOT / "data/mujoco_joints.json"
    target.write_text(json.dumps({"mujoco": VERSION, "models": models, "wraps": wraps()}) + "\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
