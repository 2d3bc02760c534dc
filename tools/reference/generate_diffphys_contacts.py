"""Writes crates/diffphys/tests/data/contacts.json: the contacts that MuJoCo finds for pairs of shapes in random poses.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_contacts.py

The convex solver's tolerance is set as low as it goes: with its default (1e-6) its own normals are off by 1e-3. Meshes are random hulls given in
place. Poses that do not touch are drawn again, up to 50 times.
"""

import json
import pathlib

import mujoco
import numpy as np

TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/diffphys/tests/data/contacts.json"
VERSION = "4.0.1"
SIZES = {"sphere": 1, "capsule": 2, "ellipsoid": 3, "cylinder": 2, "box": 3, "mesh": 0}
PAIRS = [("box", "box", 60)] + [
    (a, b, 12) for a, b in [
        ("ellipsoid", "box"), ("ellipsoid", "ellipsoid"), ("ellipsoid", "cylinder"), ("sphere", "ellipsoid"), ("capsule", "ellipsoid"),
        ("capsule", "cylinder"), ("cylinder", "cylinder"), ("cylinder", "box"), ("sphere", "mesh"), ("capsule", "mesh"), ("ellipsoid", "mesh"),
        ("cylinder", "mesh"), ("box", "mesh"), ("mesh", "mesh")]]


def geom(name, kind, random):
    size = " ".join(f"{x:.3f}" for x in random.uniform(0.1, 0.3, 3)[:SIZES[kind]])
    return f'<geom name="{name}" type="{kind}" ' + (f'mesh="{name}"/>' if kind == "mesh" else f'size="{size}"/>')


def mesh(name, random):
    points = " ".join(f"{x:.3f}" for x in random.uniform(-0.3, 0.3, 45))
    return f'<mesh name="{name}" inertia="convex" vertex="{points}"/>'


def rounded(x):
    return [float(f"{v:.15g}") for v in np.asarray(x, float).ravel()]


def posed(model, count, random):
    """Contacts in random poses of bodies with free joints, near each other."""
    data = mujoco.MjData(model)
    poses = []
    for _ in range(count):
        for _ in range(50):
            q = random.normal(size=model.nq)
            for body in range(model.nq // 7):
                q[7 * body:7 * body + 3] *= 0.02 if body == 0 and model.nq > 7 else 0.2
                q[7 * body + 3:7 * body + 7] /= np.linalg.norm(q[7 * body + 3:7 * body + 7])
            data.qpos[:] = rounded(q)
            mujoco.mj_forward(model, data)
            if data.ncon:
                break
        contacts = [rounded(np.concatenate([[c.dist], c.pos, c.frame[:3]])) for c in data.contact]
        poses.append({"qpos": rounded(data.qpos), "contact": contacts})
    return poses


def described(first, second, count, xml, random):
    model = mujoco.MjModel.from_xml_string(xml)
    poses = posed(model, count, random)
    constants = {name: rounded(getattr(model, name)) for name in ["body_mass", "body_inertia", "body_ipos", "geom_pos", "geom_rbound"]}
    return {"pair": [first, second], "xml": xml, "constants": constants, "poses": poses}


def grounded(ground, first, second, count, random):
    """A shape over a plane or a height field of the world."""
    xml = (f'<mujoco><option gravity="0 0 0" ccd_tolerance="1e-14" ccd_iterations="400"/><default><geom margin="0.005"/></default>'
           f'<asset>{mesh("b", random)}{ground[0]}</asset><worldbody>{ground[1]}'
           f'<body><freejoint/>{geom("b", second, random)}</body></worldbody></mujoco>')
    return described(first, second, count, xml, random)


def case(first, second, count, random):
    xml = (f'<mujoco><option gravity="0 0 0" ccd_tolerance="1e-14" ccd_iterations="400"/><default><geom margin="0.005"/></default>'
           f'<asset>{mesh("a", random)}{mesh("b", random)}</asset><worldbody>'
           f'<body><freejoint/>{geom("a", first, random)}</body><body><freejoint/>{geom("b", second, random)}</body></worldbody></mujoco>')
    return described(first, second, count, xml, random)


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    random = np.random.default_rng(5)
    cases = [case(first, second, count, random) for first, second, count in PAIRS]
    cases += [grounded(("", '<geom type="plane" size="1 1 1"/>'), "plane", "mesh", 20, random) for _ in range(3)]
    TARGET.write_text(json.dumps({"mujoco": VERSION, "cases": cases}) + "\n")
    print(TARGET, TARGET.stat().st_size)


if __name__ == "__main__":
    main()
