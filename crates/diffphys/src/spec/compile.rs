//! From a tree of bodies to the arrays of a model.

use super::attach::{add_actuator, add_equality, add_pair, add_tendon, exclude, keyframe};
use super::checks::{
    at_least_zero, bounded, finite, joint_range, joints, label, limits, masses, orientation,
    products, softness, solid, unique,
};
use super::inertia::of_body;
use super::meshes::Meshes;
use super::{Body, Pose, Spec};
use crate::dynamics::medium;
use crate::model::{GeomType, JointType};
use crate::spatial::{normalize, quaternion};
use crate::{Error, Model, Result, collide};

/// More bodies or geoms than this are refused; [`Spec`] says so.
pub(crate) const MOST: usize = 20_000;

/// More degrees of freedom than this are refused: matrices are dense.
pub(crate) const MOST_DEGREES: usize = 2_000;

pub(super) fn compile(spec: &Spec) -> Result<Model> {
    spec.options.check()?;
    let mut model = Model::empty(spec.name.clone(), spec.options);
    let order = depth_first(spec);
    let meshes = Meshes::compile(spec)?;
    if order.len() > MOST {
        return Err(Error::invalid(
            "model",
            format!("{} bodies; {MOST} are too many", order.len()),
        ));
    }
    let mut parent = vec![false; order.len()];
    spec.parents.iter().skip(1).for_each(|&p| parent[p] = true);
    let mut numbers = vec![0; order.len()];
    for (id, &old) in order.iter().enumerate() {
        numbers[old] = id;
        let leaf = !parent[old];
        body(&mut model, spec, &spec.bodies[old], numbers[spec.parents[old]], leaf, &meshes)?;
    }
    model.index();
    model.mesh = meshes.into_hulls();
    let lines = of_bodies(spec, &order, |b| vec![b.line]);
    masses(&mut model, &spec.inertia, &lines)?;
    model.free = lone(&model);
    unique("body", &model.body_names, &lines)?;
    let joint_lines = of_bodies(spec, &order, |b| b.joints.iter().map(|j| j.line).collect());
    unique("joint", &model.jnt_names, &joint_lines)?;
    let lines = of_bodies(spec, &order, |b| b.geoms.iter().map(|g| g.line).collect());
    unique("geom", &model.geom_names, &lines)?;
    let lines = of_bodies(spec, &order, |b| b.sites.iter().map(|s| s.line).collect());
    unique("site", &model.site_names, &lines)?;
    if model.ngeom() > MOST || model.nv() > MOST_DEGREES {
        let what = format!(
            "{} geoms and {} degrees of freedom; at most {MOST} and {MOST_DEGREES} are supported",
            model.ngeom(),
            model.nv()
        );
        return Err(Error::invalid("model", what));
    }
    products(&model, spec)?;
    for tendon in &spec.tendons {
        add_tendon(&mut model, tendon)?;
    }
    model.index();
    let lines: Vec<u32> = spec.tendons.iter().map(|t| t.line).collect();
    unique("tendon", &model.tendon_names, &lines)?;
    for actuator in &spec.actuators {
        add_actuator(&mut model, actuator)?;
    }
    model.index();
    let lines: Vec<u32> = spec.actuators.iter().map(|a| a.line).collect();
    unique("actuator", &model.actuator_names, &lines)?;
    for equality in &spec.equalities {
        add_equality(&mut model, equality)?;
    }
    for pair in &spec.excludes {
        exclude(&mut model, pair)?;
    }
    for pair in &spec.pairs {
        add_pair(&mut model, pair)?;
    }
    for (name, frame) in &spec.keyframes {
        let frame = keyframe(&model, name, frame)?;
        model.key_names.push(name.clone());
        model.key.push(frame);
    }
    let lines: Vec<u32> = spec.keyframes.iter().map(|(_, frame)| frame.line).collect();
    unique("keyframe", &model.key_names, &lines)?;
    model.candidates = collide::candidates(&model)?;
    model.set_constants(&joint_lines)?;
    let joints = order.iter().flat_map(|&old| &spec.bodies[old].joints);
    model.set_servos(joints.map(|j| j.springdamper));
    Ok(model)
}

/// Bodies depth first, children in the order in which they were added.
fn depth_first(spec: &Spec) -> Vec<usize> {
    let mut children = vec![Vec::new(); spec.bodies.len()];
    for id in 1..spec.bodies.len() {
        children[spec.parents[id]].push(id);
    }
    let mut order = Vec::with_capacity(spec.bodies.len());
    let mut stack = vec![0];
    while let Some(id) = stack.pop() {
        order.push(id);
        stack.extend(children[id].iter().rev());
    }
    order
}

/// First degree of freedom of each free body to which nothing is jointed.
fn lone(model: &Model) -> Vec<usize> {
    let of = |root: usize| {
        let joints = (0..model.njnt()).filter(|&j| model.body_rootid[model.jnt_bodyid[j]] == root);
        joints.count()
    };
    (0..model.njnt())
        .filter(|&j| model.jnt_type[j] == JointType::Free && of(model.jnt_bodyid[j]) == 1)
        .map(|j| model.jnt_dofadr[j])
        .collect()
}

/// Lines of the bodies' elements, in the model's order.
fn of_bodies(spec: &Spec, order: &[usize], of: impl Fn(&Body) -> Vec<u32>) -> Vec<u32> {
    order.iter().flat_map(|&old| of(&spec.bodies[old])).collect()
}

/// The body with orientations of unit length, and with what geoms take from meshes.
fn placed(body: &Body, meshes: &Meshes) -> Result<Body> {
    let mut out = body.clone();
    orientation(|| label("body", &body.name, body.line), body.pose.quat)?;
    out.pose = body.pose.unit();
    if let Some(given) = &mut out.inertial {
        orientation(|| label("inertia of body", &body.name, body.line), given.pose.quat)?;
        given.pose = given.pose.unit();
    }
    for geom in &mut out.geoms {
        orientation(|| label("geom", &geom.name, geom.line), geom.pose.quat)?;
        geom.pose = geom.pose.unit();
        *geom = meshes.placed(geom)?;
    }
    for site in &mut out.sites {
        let node = || label("site", &site.name, site.line);
        bounded(node, "pos", &site.pose.pos)?;
        orientation(node, site.pose.quat)?;
        site.pose = site.pose.unit();
    }
    Ok(out)
}

/// Moves a body's frame to one that is given in it; geoms and sites stay where they are.
fn moved(body: &mut Body, frame: &Pose) {
    body.pose = body.pose.then(frame);
    let back = frame.inverse();
    body.geoms.iter_mut().for_each(|geom| geom.pose = back.then(&geom.pose));
    body.sites.iter_mut().for_each(|site| site.pose = back.then(&site.pose));
}

fn body(
    model: &mut Model,
    spec: &Spec,
    body: &Body,
    parent: usize,
    leaf: bool,
    meshes: &Meshes,
) -> Result<()> {
    let id = model.nbody();
    let node = || label("body", &body.name, body.line);
    bounded(node, "pos", &body.pose.pos)?;
    finite(node, "gravcomp", &[body.gravcomp])?;
    let mut body = placed(body, meshes)?;
    body.geoms.iter().try_for_each(solid)?;
    let (mass, mut frame, inertia) = of_body(&body, &spec.inertia, meshes);
    at_least_zero(node, "the mass", mass)?;
    finite(node, "a principal moment of inertia", &inertia)?;
    for moment in inertia.into_iter().filter(|_| !spec.inertia.as_given) {
        at_least_zero(node, "a principal moment of inertia", moment)?;
    }
    bounded(node, "the centre of mass", &frame.pos)?;
    let free = body.joints.iter().any(|j| j.kind == JointType::Free);
    let aligned =
        |j: &super::Joint| j.kind == JointType::Free && j.align.unwrap_or(spec.inertia.alignfree);
    if leaf && body.joints.iter().any(aligned) {
        moved(&mut body, &frame);
        frame = Pose::default();
    }
    if free && (body.joints.len() > 1 || parent != 0) {
        return Err(Error::invalid(node(), "a free joint must be alone, in a child of the world"));
    }
    if id == 0 && !body.joints.is_empty() {
        return Err(Error::invalid(node(), "the world has no joints"));
    }
    if body.mocap && (parent != 0 || id == 0 || !body.joints.is_empty()) {
        let what = "a body that is moved from outside must be a child of the world without joints";
        return Err(Error::invalid(node(), what));
    }
    joints(node, &body.joints)?;
    model.body_mocapid.push(if body.mocap { model.nmocap() } else { usize::MAX });
    model.body_names.push(body.name.clone());
    model.body_parentid.push(parent);
    model.body_rootid.push(if parent == 0 { id } else { model.body_rootid[parent] });
    let own = id == 0 || body.mocap || !body.joints.is_empty();
    let weld = if own { id } else { model.body_weldid[parent] };
    model.body_weldid.push(weld);
    model.body_pos.push(body.pose.pos);
    model.body_quat.push(body.pose.quat);
    model.body_ipos.push(frame.pos);
    model.body_iquat.push(quaternion::normalize(frame.quat));
    model.body_mass.push(if id == 0 { 0.0 } else { mass });
    model.body_inertia.push(if id == 0 { [0.0; 3] } else { inertia });
    if id == 0 {
        // Geoms of the world have no mass that counts.
        model.body_ipos[0] = [0.0; 3];
        model.body_iquat[0] = quaternion::UNIT;
    }
    model.body_gravcomp.push(body.gravcomp);
    model.body_jntadr.push(model.njnt());
    model.body_jntnum.push(body.joints.len());
    model.body_dofadr.push(model.nv());
    for j in &body.joints {
        joint(model, id, j)?;
    }
    model.body_dofnum.push(model.nv() - model.body_dofadr[id]);
    model.body_geomadr.push(model.ngeom());
    model.body_geomnum.push(body.geoms.len());
    for g in &body.geoms {
        geom(model, id, g)?;
        model.geom_dataid.push(meshes.number(g));
    }
    for site in &body.sites {
        model.site_names.push(site.name.clone());
        model.site_bodyid.push(id);
        model.site_pos.push(site.pose.pos);
        model.site_quat.push(site.pose.quat);
    }
    Ok(())
}

fn joint(model: &mut Model, body: usize, joint: &super::Joint) -> Result<()> {
    let node = || label("joint", &joint.name, joint.line);
    bounded(node, "pos", &joint.pos)?;
    bounded(node, "ref", &[joint.reference])?;
    finite(
        node,
        "springref, stiffness or margin",
        &[joint.springref, joint.stiffness, joint.margin],
    )?;
    for (what, value) in [
        ("damping", joint.damping),
        ("armature", joint.armature),
        ("frictionloss", joint.frictionloss),
        ("stiffness", joint.stiffness),
    ] {
        at_least_zero(node, what, value)?;
    }
    let (axis, length) = normalize(joint.axis);
    let scalar = matches!(joint.kind, JointType::Slide | JointType::Hinge);
    if scalar && !(length.is_finite() && length > 1e-10) {
        return Err(Error::invalid(node(), format!("the axis is {:?}", joint.axis)));
    }
    let id = model.njnt();
    let (q, v) = (model.nq(), model.nv());
    model.jnt_names.push(joint.name.clone());
    model.jnt_type.push(joint.kind);
    model.jnt_qposadr.push(q);
    model.jnt_dofadr.push(v);
    model.jnt_bodyid.push(body);
    let free = joint.kind == JointType::Free;
    model.jnt_pos.push(if free { [0.0; 3] } else { joint.pos });
    model.jnt_axis.push(if scalar { axis } else { [0.0, 0.0, 1.0] });
    model.jnt_stiffness.push(joint.stiffness);
    finite(node, "stiffness or springdamper", &joint.stiffnesspoly)?;
    if let Some([time, ratio]) = joint.springdamper
        && !(time.is_finite() && time > 0.0 && ratio.is_finite() && ratio > 0.0)
    {
        let what = format!("springdamper is {time} {ratio}; both must be positive");
        return Err(Error::invalid(node(), what));
    }
    if joint.stiffnesspoly != [0.0; 2] && !scalar {
        return Err(Error::invalid(node(), "nonlinear stiffness of a ball or free joint"));
    }
    model.jnt_stiffnesspoly.push(joint.stiffnesspoly);
    model.jnt_limited.push(joint.range.is_some() && !free);
    model.jnt_range.push(joint_range(node, joint.kind, joint.range)?);
    model.jnt_margin.push(joint.margin);
    model.jnt_solref.push(joint.limit.solref);
    model.jnt_solimp.push(joint.limit.solimp);
    // Of balls and free joints MuJoCo limits nothing.
    model.jnt_actfrclimited.push(joint.actuatorfrcrange.is_some() && scalar);
    model.jnt_actfrcrange.push(limits(node, "actuatorfrcrange", joint.actuatorfrcrange)?);
    model.jnt_actgravcomp.push(joint.actuatorgravcomp);
    softness(node, joint.limit)?;
    softness(node, joint.friction)?;
    let (pos, quat) = (model.body_pos[body], model.body_quat[body]);
    match joint.kind {
        JointType::Free => {
            for list in [&mut model.qpos0, &mut model.qpos_spring] {
                list.extend_from_slice(&pos);
                list.extend_from_slice(&quat);
            }
        }
        JointType::Ball => {
            model.qpos0.extend_from_slice(&quaternion::UNIT);
            model.qpos_spring.extend_from_slice(&quaternion::UNIT);
        }
        JointType::Slide | JointType::Hinge => {
            model.qpos0.push(joint.reference);
            model.qpos_spring.push(joint.springref);
        }
    }
    let count = joint.kind.velocities();
    for k in 0..count {
        let dof = v + k;
        let before = if dof > model.body_dofadr[body] {
            dof - 1
        } else {
            model.last_dof(model.body_parentid[body])
        };
        model.dof_bodyid.push(body);
        model.dof_jntid.push(id);
        model.dof_parentid.push(before);
        // Rotations of a ball are one block; so are those of a free joint, after its three translations.
        let block = match joint.kind {
            JointType::Ball => v,
            JointType::Free if k >= 3 => v + 3,
            _ => dof,
        };
        model.dof_block.push(block);
        model.dof_armature.push(joint.armature);
        model.dof_damping.push(joint.damping);
        model.dof_frictionloss.push(joint.frictionloss);
        model.dof_solref.push(joint.friction.solref);
        model.dof_solimp.push(joint.friction.solimp);
    }
    Ok(())
}

fn geom(model: &mut Model, body: usize, geom: &super::Geom) -> Result<()> {
    let node = || label("geom", &geom.name, geom.line);
    finite(node, "margin or gap", &[geom.margin, geom.gap])?;
    at_least_zero(node, "solmix", geom.solmix)?;
    softness(node, geom.softness)?;
    if geom.kind == GeomType::Plane && model.body_weldid[body] != 0 {
        return Err(Error::invalid(node(), "a plane must belong to a body that does not move"));
    }
    for f in geom.friction {
        at_least_zero(node, "friction", f)?;
    }
    if ![1, 3, 4, 6].contains(&geom.condim) {
        return Err(Error::invalid(node(), format!("condim is {}", geom.condim)));
    }
    model.geom_names.push(geom.name.clone());
    model.geom_type.push(geom.kind);
    model.geom_bodyid.push(body);
    model.geom_contype.push(geom.contype);
    model.geom_conaffinity.push(geom.conaffinity);
    model.geom_condim.push(geom.condim);
    model.geom_priority.push(geom.priority);
    model.geom_solmix.push(geom.solmix);
    model.geom_solref.push(geom.softness.solref);
    model.geom_solimp.push(geom.softness.solimp);
    model.geom_size.push(geom.size);
    model.geom_rbound.push(0.0);
    model.geom_pos.push(geom.pose.pos);
    model.geom_quat.push(geom.pose.quat);
    model.geom_friction.push(geom.friction);
    model.geom_margin.push(geom.margin);
    model.geom_gap.push(geom.gap);
    let fluid = geom.fluid.map_or(Ok([0.0; 12]), |given| {
        finite(node, "fluidcoef", &given)?;
        if geom.kind == GeomType::Plane {
            return Err(Error::invalid(node(), "a plane has no ellipsoid"));
        }
        Ok(medium::coefficients(medium::half_axes(geom.kind, geom.size), given))
    })?;
    model.geom_fluid.push(fluid);
    Ok(())
}
