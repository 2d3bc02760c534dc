"""Writes crates/diffphys/tests/data/mujoco_joints.json: what MuJoCo computes on the models of crates/diffphys/tests/models/joints
(connect and weld, media, spatial tendons, transmissions), as generate_diffphys.py does for the others.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_joints.py
"""

import json

import mujoco

from generate_diffphys import ROOT, VERSION, rollout

# When to look, in steps.
SAMPLES = {"tied": [0, 30, 90], "medium": [0, 40], "medium_implicit": [0, 40],
    "strings": [0, 60, 150, 300], "strings_implicit": [0, 60, 150, 300],
    "servos": [0, 40, 120]}
CONSTANTS = ["body_mass", "body_inertia", "body_invweight0", "dof_invweight0", "qpos0", "geom_pos", "jnt_range",
             "jnt_stiffness", "dof_damping", "actuator_biasprm", "actuator_ctrlrange", "actuator_actrange", "tendon_invweight0", "tendon_length0"]


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    models = {name: rollout(ROOT / f"models/joints/{name}.xml", samples, CONSTANTS) for name, samples in SAMPLES.items()}
    target = ROOT / "data/mujoco_joints.json"
    target.write_text(json.dumps({"mujoco": VERSION, "models": models}) + "\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
