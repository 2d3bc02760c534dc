"""Writes crates/diffphys/tests/data/mujoco_noslip.json: MuJoCo's steps with its noslip pass, on the models of crates/diffphys/tests/models/noslip.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_noslip.py
"""

import json

import mujoco
import numpy as np

from generate_diffphys import ROOT, VERSION, copy, numbers, prepared


def state(model, data):
    out = {name: numbers(getattr(data, name)) for name in ["qpos", "qvel", "act", "ctrl", "qacc_warmstart"]}
    d = copy(model, data)
    mujoco.mj_forward(model, d)
    out["qacc"], out["qfrc_constraint"], out["efc_force"] = numbers(d.qacc), numbers(d.qfrc_constraint), sorted(numbers(d.efc_force))
    mujoco.mj_step(model, d)
    out["next"] = numbers(np.concatenate([d.qpos, d.qvel, d.qacc_warmstart]))
    return out


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    models = {}
    for path in sorted((ROOT / "models/noslip").glob("*.xml")):
        model = prepared(path)
        data = mujoco.MjData(model)
        states = []
        for step in range(241):
            data.ctrl[:] = 0.4 * np.sin(0.05 * step)
            if step in (20, 60, 100, 160, 240):
                states.append(state(model, data))
            mujoco.mj_step(model, data)
        models[path.stem] = states
    target = ROOT / "data/mujoco_noslip.json"
    target.write_text(json.dumps({"mujoco": VERSION, "models": models}) + "\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
