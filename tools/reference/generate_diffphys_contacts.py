"""Writes crates/diffphys/tests/data/contacts.json: the contacts that MuJoCo finds for pairs of shapes in random poses.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_contacts.py

The convex solver's tolerance is set as low as it goes: with its default (1e-6) its own normals are off by 1e-3. Meshes are random hulls given in
place. Poses that do not touch are drawn again, up to 50 times. Nearly flat poses ("flat") have random directions between 0 and 5 degrees from flats
or lines that lie on each other: only some of the corners are within the margin there.
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


# Radius and half length of what lies.
LYING = {"capsule": (0.08, 0.2), "cylinder": (0.2, 0.15)}
FLAT = [("cylinder", "box", 30, None), ("box", "mesh", 24, None), ("mesh", "mesh", 24, None), ("cylinder", "cylinder", 16, None),
        ("capsule", "mesh", 24, "capsule"), ("capsule", "cylinder", 16, "capsule"), ("cylinder", "mesh", 24, "cylinder")]


def prism(name):
    """A hexagonal prism."""
    corners = [(0.2 * np.cos(k * np.pi / 3), 0.25 * np.sin(k * np.pi / 3), z) for k in range(6) for z in (-0.15, 0.15)]
    points = " ".join(f"{x:.3f}" for corner in corners for x in corner)
    return f'<mesh name="{name}" inertia="convex" vertex="{points}"/>'


def product(a, b):
    out = np.zeros(4)
    mujoco.mju_mulQuat(out, a, b)
    return out


def rotated(q, v):
    out = np.zeros(3)
    mujoco.mju_rotVecQuat(out, np.asarray(v, float), q)
    return out


def flat(first, second, count, lying, random):
    """The second shape nearly flat on the first one's end, or the first, which is `lying`, on the second one's."""
    below, above = (second, first) if lying else (first, second)
    turn = random.normal(size=4)
    turn /= np.linalg.norm(turn)
    half = {"box": 0.15, "mesh": 0.15, "cylinder": 0.15}
    size = {"cylinder": "0.2 0.15", "box": "0.2 0.25 0.15", "capsule": "0.08 0.2"}
    shape = lambda name, kind: f'<geom name="{name}" type="{kind}" ' + (f'mesh="{name}"/>' if kind == "mesh" else f'size="{size[kind]}"/>')
    xml = (f'<mujoco><option gravity="0 0 0" ccd_tolerance="1e-14" ccd_iterations="400"/><default><geom margin="0.005"/></default>'
           f'<asset>{prism("a")}{prism("b")}</asset><worldbody><body quat="{" ".join(f"{x:.15g}" for x in turn)}">{shape("a", below)}</body>'
           f'<body><freejoint/>{shape("b", above)}</body></worldbody></mujoco>')
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    turn, poses = model.body_quat[1], []
    while len(poses) < count:
        angle, around, yaw = np.radians(random.uniform(0.2, 4.9)), random.uniform(0, 2 * np.pi), random.uniform(0, 2 * np.pi)
        tilt = np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * np.array([np.cos(around), np.sin(around), 0])])
        local = product(tilt, np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]))
        if lying:
            local = product(local, np.array([np.sqrt(0.5), 0, np.sqrt(0.5), 0]))
        radius, length = LYING[lying] if lying else (half[above], 0.2)
        height = radius + length * angle
        at = [*random.uniform(-0.1, 0.1, 2), half[below] + height - random.uniform(-0.008, 0.003)]
        data.qpos[:] = rounded(np.concatenate([rotated(turn, at), product(turn, local)]))
        mujoco.mj_forward(model, data)
        if data.ncon:
            contacts = [rounded(np.concatenate([[c.dist], c.pos, c.frame[:3]])) for c in data.contact]
            poses.append({"qpos": rounded(data.qpos), "contact": contacts})
    return {"pair": [first, second], "flat": True, "xml": xml, "poses": poses}


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    random = np.random.default_rng(5)
    cases = [case(first, second, count, random) for first, second, count in PAIRS]
    cases += [grounded(("", '<geom type="plane" size="1 1 1"/>'), "plane", "mesh", 20, random) for _ in range(3)]
    cases += [flat(*what, random) for what in FLAT]
    TARGET.write_text(json.dumps({"mujoco": VERSION, "cases": cases}) + "\n")
    print(TARGET, TARGET.stat().st_size)


if __name__ == "__main__":
    main()
