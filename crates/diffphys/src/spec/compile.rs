//! From a tree of bodies to the arrays of a model.

use super::inertia::of_body;
use super::{Body, Spec, Target};
use crate::model::{Dynamics, EqualityType, GeomType, JointType, Keyframe, Pair, Transmission};
use crate::spatial::{MINVAL, normalize, quaternion};
use crate::{Error, Model, Result, collide};

/// More of anything than this is refused: pairs of geoms and matrices grow with the square.
const MOST: usize = 20_000;

/// `joint 'knee', line 12`.
fn label(kind: &str, name: &str, line: u32) -> String {
    if line > 0 { format!("{kind} '{name}', line {line}") } else { format!("{kind} '{name}'") }
}

fn finite(node: impl Fn() -> String, what: &str, values: &[f64]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(v) => Err(Error::invalid(node(), format!("{what} is {v}"))),
    }
}

fn at_least_zero(node: impl Fn() -> String, what: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::invalid(node(), format!("{what} is {value}; it must be at least 0")))
    }
}

fn range(node: impl Fn() -> String, what: &str, range: Option<[f64; 2]>) -> Result<[f64; 2]> {
    let Some([low, high]) = range else { return Ok([0.0; 2]) };
    if low.is_finite() && high.is_finite() && low <= high {
        Ok([low, high])
    } else {
        Err(Error::invalid(node(), format!("{what} is {low} to {high}")))
    }
}

pub(super) fn compile(spec: &Spec) -> Result<Model> {
    spec.options.check()?;
    let mut model = Model::empty(spec.name.clone(), spec.options);
    let order = depth_first(spec);
    if order.len() > MOST {
        return Err(Error::invalid(
            "model",
            format!("{} bodies; {MOST} are too many", order.len()),
        ));
    }
    let mut numbers = vec![0; order.len()];
    for (id, &old) in order.iter().enumerate() {
        numbers[old] = id;
        let parent = numbers[spec.parents[old]];
        body(&mut model, spec, &spec.bodies[old], parent)?;
    }
    masses(&mut model, spec)?;
    unique("body", &model.body_names)?;
    unique("joint", &model.jnt_names)?;
    unique("geom", &model.geom_names)?;
    unique("site", &model.site_names)?;
    if model.ngeom() > MOST || model.nv() > MOST {
        let what = format!("{} geoms and {} degrees of freedom", model.ngeom(), model.nv());
        return Err(Error::invalid("model", what));
    }
    for tendon in &spec.tendons {
        add_tendon(&mut model, tendon)?;
    }
    unique("tendon", &model.tendon_names)?;
    for actuator in &spec.actuators {
        add_actuator(&mut model, actuator)?;
    }
    unique("actuator", &model.actuator_names)?;
    for equality in &spec.equalities {
        add_equality(&mut model, equality)?;
    }
    for (a, b) in &spec.excludes {
        let (a, b) = (model.body(a)?, model.body(b)?);
        model.exclude.push((a.min(b), a.max(b)));
    }
    for pair in &spec.pairs {
        add_pair(&mut model, pair)?;
    }
    for (name, frame) in &spec.keyframes {
        let frame = keyframe(&model, name, frame)?;
        model.key_names.push(name.clone());
        model.key.push(frame);
    }
    model.candidates = collide::candidates(&model);
    model.set_constants()?;
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

fn unique(kind: &str, names: &[String]) -> Result<()> {
    let mut sorted: Vec<_> = names.iter().filter(|n| !n.is_empty()).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::invalid(format!("{kind} '{}'", pair[0]), "stands twice")),
    }
}

fn body(model: &mut Model, spec: &Spec, body: &Body, parent: usize) -> Result<()> {
    let id = model.nbody();
    let node = || label("body", &body.name, body.line);
    finite(node, "pos", &body.pose.pos)?;
    finite(node, "quat", &body.pose.quat)?;
    finite(node, "gravcomp", &[body.gravcomp])?;
    let (mass, frame, inertia) = of_body(body, &spec.inertia);
    at_least_zero(node, "the mass", mass)?;
    for moment in inertia {
        at_least_zero(node, "a principal moment of inertia", moment)?;
    }
    finite(node, "the centre of mass", &frame.pos)?;
    let free = body.joints.iter().any(|j| j.kind == JointType::Free);
    if free && (body.joints.len() > 1 || parent != 0) {
        return Err(Error::invalid(node(), "a free joint must be alone, in a child of the world"));
    }
    if id == 0 && !body.joints.is_empty() {
        return Err(Error::invalid(node(), "the world has no joints"));
    }
    model.body_names.push(body.name.clone());
    model.body_parentid.push(parent);
    model.body_rootid.push(if parent == 0 { id } else { model.body_rootid[parent] });
    let weld = if id == 0 || !body.joints.is_empty() { id } else { model.body_weldid[parent] };
    model.body_weldid.push(weld);
    model.body_pos.push(body.pose.pos);
    model.body_quat.push(quaternion::normalize(body.pose.quat));
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
    }
    for site in &body.sites {
        finite(|| label("site", &site.name, 0), "pos", &site.pose.pos)?;
        model.site_names.push(site.name.clone());
        model.site_bodyid.push(id);
        model.site_pos.push(site.pose.pos);
        model.site_quat.push(quaternion::normalize(site.pose.quat));
    }
    Ok(())
}

fn joint(model: &mut Model, body: usize, joint: &super::Joint) -> Result<()> {
    let node = || label("joint", &joint.name, joint.line);
    finite(node, "pos", &joint.pos)?;
    finite(
        node,
        "ref, springref, stiffness or margin",
        &[joint.reference, joint.springref, joint.stiffness, joint.margin],
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
    model.jnt_limited.push(joint.range.is_some() && !free);
    model.jnt_range.push(range(node, "the range", joint.range)?);
    model.jnt_margin.push(joint.margin);
    model.jnt_solref.push(joint.limit.solref);
    model.jnt_solimp.push(joint.limit.solimp);
    model.jnt_actfrclimited.push(joint.actuatorfrcrange.is_some());
    model.jnt_actfrcrange.push(range(node, "actuatorfrcrange", joint.actuatorfrcrange)?);
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

fn softness(node: impl Fn() -> String, soft: super::Softness) -> Result<()> {
    finite(&node, "solref", &soft.solref)?;
    finite(&node, "solimp", &soft.solimp)?;
    let [time, ratio] = soft.solref;
    if (time > 0.0) != (ratio > 0.0) {
        let what = format!("solref is {time} {ratio}; both must be positive, or neither");
        return Err(Error::invalid(node(), what));
    }
    Ok(())
}

fn geom(model: &mut Model, body: usize, geom: &super::Geom) -> Result<()> {
    let node = || label("geom", &geom.name, geom.line);
    finite(node, "pos", &geom.pose.pos)?;
    finite(node, "quat", &geom.pose.quat)?;
    finite(node, "margin or gap", &[geom.margin, geom.gap])?;
    at_least_zero(node, "solmix", geom.solmix)?;
    softness(node, geom.softness)?;
    let sizes = match geom.kind {
        GeomType::Plane => 0,
        GeomType::Sphere => 1,
        GeomType::Capsule | GeomType::Cylinder => 2,
        GeomType::Ellipsoid | GeomType::Box => 3,
    };
    for &size in &geom.size[..sizes] {
        if !(size.is_finite() && size > 0.0) {
            return Err(Error::invalid(node(), format!("a size is {size}; it must be positive")));
        }
    }
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
    model.geom_quat.push(quaternion::normalize(geom.pose.quat));
    model.geom_friction.push(geom.friction);
    model.geom_margin.push(geom.margin);
    model.geom_gap.push(geom.gap);
    Ok(())
}

/// Bounds, balance and total of masses; a moving body needs mass.
fn masses(model: &mut Model, spec: &Spec) -> Result<()> {
    let rules = &spec.inertia;
    for id in 1..model.nbody() {
        model.body_mass[id] = model.body_mass[id].max(rules.boundmass);
        let inertia = &mut model.body_inertia[id];
        for moment in inertia.iter_mut() {
            *moment = moment.max(rules.boundinertia);
        }
        let [a, b, c] = *inertia;
        // No body has a principal moment larger than the sum of the other two.
        let slack = 1e-10 * (a + b + c);
        if a + b + slack < c || a + c + slack < b || b + c + slack < a {
            if !rules.balanceinertia {
                let what =
                    format!("moments of inertia {a}, {b}, {c}: one exceeds the sum of the others");
                return Err(Error::invalid(format!("body '{}'", model.body_names[id]), what));
            }
            *inertia = [(a + b + c) / 3.0; 3];
        }
    }
    let total: f64 = model.body_mass.iter().sum();
    if rules.settotalmass > 0.0 && total > 0.0 {
        let by = rules.settotalmass / total;
        for id in 1..model.nbody() {
            model.body_mass[id] *= by;
            model.body_inertia[id] = model.body_inertia[id].map(|m| m * by);
        }
    }
    for id in 1..model.nbody() {
        if model.body_jntnum[id] == 0 {
            continue;
        }
        // What is welded to the body moves with it.
        let welded = (1..model.nbody()).filter(|&b| model.body_weldid[b] == id);
        let heavy = |b: usize| {
            model.body_mass[b] >= MINVAL && model.body_inertia[b].iter().all(|&m| m >= MINVAL)
        };
        if !welded.clone().any(heavy) {
            let what = format!(
                "mass {} and moments {:?} of a moving body must be positive",
                model.body_mass[id], model.body_inertia[id]
            );
            return Err(Error::invalid(format!("body '{}'", model.body_names[id]), what));
        }
    }
    Ok(())
}

fn add_tendon(model: &mut Model, tendon: &super::Tendon) -> Result<()> {
    let node = || label("tendon", &tendon.name, tendon.line);
    let mut terms = Vec::with_capacity(tendon.terms.len());
    for (name, coefficient) in &tendon.terms {
        let joint = model.joint(name)?;
        finite(node, "a coefficient", &[*coefficient])?;
        if !matches!(model.jnt_type[joint], JointType::Slide | JointType::Hinge) {
            return Err(Error::invalid(node(), format!("joint '{name}' has no scalar position")));
        }
        if terms.iter().any(|&(j, _)| j == joint) {
            return Err(Error::invalid(node(), format!("joint '{name}' stands twice")));
        }
        terms.push((joint, *coefficient));
    }
    if terms.is_empty() {
        return Err(Error::invalid(node(), "has no joints"));
    }
    // Increasing degrees of freedom.
    terms.sort_unstable_by_key(|&(joint, _)| joint);
    for (what, value) in [
        ("damping", tendon.damping),
        ("stiffness", tendon.stiffness),
        ("frictionloss", tendon.frictionloss),
    ] {
        at_least_zero(node, what, value)?;
    }
    softness(node, tendon.limit)?;
    softness(node, tendon.friction)?;
    model.tendon_names.push(tendon.name.clone());
    model.tendon_terms.push(terms);
    model.tendon_limited.push(tendon.range.is_some());
    model.tendon_range.push(range(node, "the range", tendon.range)?);
    model.tendon_margin.push(tendon.margin);
    model.tendon_solref_lim.push(tendon.limit.solref);
    model.tendon_solimp_lim.push(tendon.limit.solimp);
    model.tendon_frictionloss.push(tendon.frictionloss);
    model.tendon_solref_fri.push(tendon.friction.solref);
    model.tendon_solimp_fri.push(tendon.friction.solimp);
    model.tendon_stiffness.push(tendon.stiffness);
    model.tendon_damping.push(tendon.damping);
    let spring =
        tendon.springlength.map_or(Ok([f64::NAN; 2]), |s| range(node, "springlength", Some(s)))?;
    model.tendon_lengthspring.push(spring);
    Ok(())
}

fn add_actuator(model: &mut Model, actuator: &super::Actuator) -> Result<()> {
    let node = || label("actuator", &actuator.name, actuator.line);
    let (kind, id) = match &actuator.target {
        Target::Joint(name) => (Transmission::Joint, model.joint(name)?),
        Target::Tendon(name) => {
            let known = model.tendon_names.iter().position(|n| n == name);
            let id = known.ok_or_else(|| Error::Unknown { kind: "tendon", name: name.clone() })?;
            (Transmission::Tendon, id)
        }
    };
    if kind == Transmission::Joint && model.jnt_type[id] == JointType::Ball {
        return Err(Error::invalid(node(), "actuators of ball joints are not supported"));
    }
    finite(node, "gear", &actuator.gear)?;
    for list in [&actuator.gainprm, &actuator.biasprm, &actuator.dynprm] {
        finite(node, "a parameter", list)?;
    }
    model.actuator_names.push(actuator.name.clone());
    model.actuator_trntype.push(kind);
    model.actuator_trnid.push(id);
    model.actuator_dyntype.push(actuator.dynamics);
    model.actuator_gaintype.push(actuator.gain);
    model.actuator_biastype.push(actuator.bias);
    model.actuator_dynprm.push(actuator.dynprm);
    model.actuator_gainprm.push(actuator.gainprm);
    model.actuator_biasprm.push(actuator.biasprm);
    model.actuator_gear.push(actuator.gear);
    model.actuator_ctrllimited.push(actuator.ctrlrange.is_some());
    model.actuator_ctrlrange.push(range(node, "ctrlrange", actuator.ctrlrange)?);
    model.actuator_forcelimited.push(actuator.forcerange.is_some());
    model.actuator_forcerange.push(range(node, "forcerange", actuator.forcerange)?);
    model.actuator_actlimited.push(actuator.actrange.is_some());
    model.actuator_actrange.push(range(node, "actrange", actuator.actrange)?);
    model.actuator_actearly.push(actuator.actearly);
    if actuator.dynamics == Dynamics::None {
        model.actuator_actadr.push(usize::MAX);
    } else {
        model.actuator_actadr.push(model.na);
        model.na += 1;
    }
    Ok(())
}

fn add_equality(model: &mut Model, equality: &super::Equality) -> Result<()> {
    let node = || label("equality of", &equality.first, equality.line);
    let find = |name: &String| match equality.kind {
        EqualityType::Joint => {
            let joint = model.joint(name)?;
            match model.jnt_type[joint] {
                JointType::Slide | JointType::Hinge => Ok(joint),
                _ => Err(Error::invalid(node(), format!("joint '{name}' has no scalar position"))),
            }
        }
        EqualityType::Tendon => model
            .tendon_names
            .iter()
            .position(|n| n == name)
            .ok_or_else(|| Error::Unknown { kind: "tendon", name: name.clone() }),
        EqualityType::Connect | EqualityType::Weld => {
            Err(Error::invalid(node(), "connect and weld are not supported"))
        }
    };
    let first = find(&equality.first)?;
    let second = equality.second.as_ref().map_or(Ok(usize::MAX), find)?;
    finite(node, "a coefficient", &equality.data)?;
    softness(node, equality.softness)?;
    model.eq_type.push(equality.kind);
    model.eq_obj1id.push(first);
    model.eq_obj2id.push(second);
    model.eq_active0.push(equality.active);
    model.eq_data.push(equality.data);
    model.eq_solref.push(equality.softness.solref);
    model.eq_solimp.push(equality.softness.solimp);
    Ok(())
}

fn add_pair(model: &mut Model, pair: &super::ContactPair) -> Result<()> {
    let node = || format!("pair of '{}' and '{}'", pair.geom[0], pair.geom[1]);
    let (mut g1, mut g2) = (model.geom(&pair.geom[0])?, model.geom(&pair.geom[1])?);
    if model.geom_type[g1] > model.geom_type[g2] {
        (g1, g2) = (g2, g1);
    }
    let mixed = collide::mixed(
        model,
        g1,
        g2,
        model.geom_margin[g1] + model.geom_margin[g2],
        model.geom_gap[g1] + model.geom_gap[g2],
    );
    let pair = Pair {
        geom: [g1, g2],
        condim: pair.condim.unwrap_or(mixed.condim),
        friction: pair.friction.unwrap_or(mixed.friction),
        solref: pair.solref.unwrap_or(mixed.solref),
        solreffriction: pair.solreffriction.unwrap_or([0.0; 2]),
        solimp: pair.solimp.unwrap_or(mixed.solimp),
        margin: pair.margin.unwrap_or(mixed.margin),
        gap: pair.gap.unwrap_or(mixed.gap),
    };
    if ![1, 3, 4, 6].contains(&pair.condim) {
        return Err(Error::invalid(node(), format!("condim is {}", pair.condim)));
    }
    finite(node, "margin or gap", &[pair.margin, pair.gap])?;
    for f in pair.friction {
        at_least_zero(node, "friction", f)?;
    }
    softness(node, super::Softness { solref: pair.solref, solimp: pair.solimp })?;
    model.pair.push(pair);
    Ok(())
}

/// A keyframe with everything filled in.
fn keyframe(model: &Model, name: &str, frame: &Keyframe) -> Result<Keyframe> {
    let node = || format!("keyframe '{name}'");
    let fill = |what: &str, given: &[f64], rest: &[f64]| {
        finite(node, what, given)?;
        if given.is_empty() {
            Ok(rest.to_vec())
        } else if given.len() == rest.len() {
            Ok(given.to_vec())
        } else {
            let what = format!("{what} has {} numbers, the model {}", given.len(), rest.len());
            Err(Error::invalid(node(), what))
        }
    };
    Ok(Keyframe {
        time: frame.time,
        qpos: fill("qpos", &frame.qpos, &model.qpos0)?,
        qvel: fill("qvel", &frame.qvel, &vec![0.0; model.nv()])?,
        act: fill("act", &frame.act, &vec![0.0; model.na])?,
        ctrl: fill("ctrl", &frame.ctrl, &vec![0.0; model.nu()])?,
    })
}
