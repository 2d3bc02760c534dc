"""Writes crates/diffphys/tests/data/mujoco_compiler.json: what MuJoCo's compiler makes of small files in MJCF, the geoms of their contacts in
order, and a step from the reference configuration.

    pip install mujoco-core==4.0.1
    python tools/reference/generate_diffphys_compiler.py
"""

import json

import mujoco
import numpy as np

from generate_diffphys import ROOT, VERSION, direction, numbers

CONSTANTS = ["qpos0", "body_pos", "body_quat", "body_ipos", "body_iquat", "body_mass", "body_inertia", "geom_pos", "geom_quat", "site_pos",
             "site_quat", "jnt_pos", "jnt_axis", "jnt_margin", "jnt_range", "jnt_stiffness", "dof_damping", "actuator_gear", "eq_data"]
BOX = '<geom type="box" size=".1 .2 .3" pos="1 0 0" euler="30 0 0"/>'
SITE = '<site name="s" pos="0.1 0.2 0.3" euler="0 20 10"/>'


def balls(contact):
    """Balls on each other and on a plane: bodies of two geoms each."""
    body = lambda n: (f'<body pos="{0.01 * n} 0 0.05"><freejoint/>' + "".join(
        f'<geom name="g{n}{k}" size="{0.1 + 0.003 * n + 0.001 * k}" pos="0 {0.001 * k} 0"/>' for k in range(2)) + "</body>")
    return ('<worldbody><geom name="p" type="plane" size="5 5 1"/><geom name="w" type="capsule" size=".1 .1"/>' + body(1) + body(2) + body(3)
            + f"</worldbody><contact>{contact}</contact>")


FILES = {
    "inertia in frames": '<worldbody><body><freejoint/><frame pos="0 2 0" euler="0 0 90"><frame euler="20 0 0"><inertial mass="2" '
    'pos="1 0 0" diaginertia="1 2 2.5" euler="0 30 0"/></frame></frame></body><body><freejoint/><frame pos="0 2 0" euler="0 0 90">'
    '<inertial mass="1" pos="1 0 0" fullinertia="1 2 2.5 .1 0 0"/></frame></body></worldbody>',
    "diagonal full inertia": '<worldbody><body><freejoint/><inertial mass="1" pos="0 0 0" fullinertia="1 2 2.5 0 0 0"/></body>'
    '<body><freejoint/><inertial mass="1" pos="0 0 0" fullinertia="3 2 2.5 0 0 0"/></body></worldbody>',
    "margins in degrees": '<worldbody><body><joint margin="0.2" range="-5 90"/><geom size=".1" pos="1 0 0"/></body><body pos="3 0 0">'
    '<joint type="ball" margin="0.3" range="0 10"/><geom size=".1" pos="0 1 0"/></body></worldbody>',
    "aligned by the compiler": f'<compiler alignfree="true"/><worldbody><frame pos="0 1 0"><body name="a" pos="0 0 1" euler="0 0 40">'
    f'<freejoint/>{BOX}<geom size=".2" pos="0 .3 .1"/>{SITE}</body></frame><body pos="3 0 0"><joint type="free"/>{BOX}</body>'
    f'<body pos="5 0 0"><freejoint align="false"/>{BOX}</body><body pos="7 0 0"><freejoint/>{BOX}<body><geom size=".1"/></body></body>'
    '</worldbody><equality><connect body1="a" body2="world" anchor="0 1 0"/></equality>',
    "aligned by the joint": f'<asset><mesh name="m" inertia="convex" vertex="0 0 0 .2 0 0 0 .3 0 0 0 .4 .1 .2 .3"/></asset><worldbody>'
    f'<body name="b" pos="0 0 1"><freejoint align="true"/><geom type="mesh" mesh="m" pos=".1 .2 .3"/>{BOX}{SITE}</body>'
    f'<body pos="3 0 0"><freejoint align="true"/><inertial mass="2" pos="0 1 0" diaginertia="1 2 2.5" euler="0 0 20"/>{BOX}</body>'
    f'<body pos="5 0 0"><freejoint/>{BOX}</body><body pos="7 0 0"><freejoint align="true"/>{BOX}<frame><body/></frame></body>'
    '</worldbody><equality><weld body1="b" body2="world"/></equality>',
    "orientations of classes": '<default><geom euler="0 0 10" size="1"/><default class="q"><geom quat="0 1 0 0"/><default class="z">'
    '<geom zaxis="1 0 0"/></default></default></default><worldbody><geom/><geom class="q"/><geom class="z"/>'
    '<geom class="q" euler="90 0 0"/></worldbody>',
    "lines of classes": '<default><geom euler="0 0 10" type="capsule" size=".1" fromto="0 0 0 1 0 0"/></default><worldbody><geom/>'
    '<geom quat="0 1 0 0"/><geom fromto="0 0 0 0 1 0"/></worldbody>',
    "relative pose": '<worldbody><body name="a"><freejoint/><geom size="1"/></body><body name="b" pos="3 0 0"><freejoint/><geom size="1"/></body>'
    '</worldbody><equality><weld body1="a" body2="b" relpose="1 2 3 2 0 0 0"/><weld body1="a" body2="b" relpose="1 2 3 0 0 0 0"/>'
    '<weld body1="b" body2="" /></equality>',
    "spring and damper": '<worldbody><body><joint springdamper="0.1 1"/><geom size="1"/><body><joint springdamper="0 0"/><geom size="1"/></body>'
    '</body></worldbody>',
    "no pairs": balls(""),
    "a pair with the plane": balls('<pair geom1="p" geom2="g30"/>'),
    "pairs the other way round": balls('<pair geom1="g31" geom2="g11"/><pair geom1="g20" geom2="g10"/><pair geom1="g30" geom2="p"/>'),
    "pairs within a body": balls('<pair geom1="g31" geom2="w"/><pair geom1="g30" geom2="g31"/>'),
    "many pairs of two bodies": balls('<pair geom1="g31" geom2="g11"/><pair geom1="g31" geom2="g10"/><pair geom1="g11" geom2="g30"/>'),
}


def described(xml):
    model = mujoco.MjModel.from_xml_string(f"<mujoco>{xml}</mujoco>")
    model.opt.tolerance, model.opt.iterations, model.opt.ls_iterations = 0, 100, 100
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    constants = {name: numbers(getattr(model, name)) for name in CONSTANTS}
    if model.neq:
        used = model.eq_data[:, :11].copy()
        # The scale of a torque, which a connect has not.
        used[model.eq_type == mujoco.mjtEq.mjEQ_CONNECT, 10] = 0
        constants["eq_data"] = numbers(used)
    data = mujoco.MjData(model)
    data.qvel[:] = 0.1 * direction(model.nv)
    mujoco.mj_step(model, data)
    geoms = [c.geom.tolist() for c in data.contact]
    return {"constants": constants, "contact": geoms, "next": numbers(np.concatenate([data.qpos, data.qvel]))}


def main():
    assert mujoco.__version__ == VERSION, mujoco.__version__
    files = [{"name": name, "xml": xml, **described(xml)} for name, xml in FILES.items()]
    target = ROOT / "data/mujoco_compiler.json"
    target.write_text(json.dumps({"mujoco": VERSION, "files": files}) + "\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
