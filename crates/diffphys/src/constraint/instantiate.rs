//! The rows at the present positions (`mj_makeConstraint`), and their references at the present velocities (`mj_referenceConstraint`).
//!
//! What no degree of freedom moves has no rows, as in MuJoCo.

use super::attachment::{attaches, subtract_drift};
use super::build::contact_column;
use super::{Attachment, Both, Chain, RowKind, Rows, clamp_impedance, contact_rows, impedance};
use crate::model::{Cone, EqualityType, JointType, quat_of};
use crate::spatial::quaternion::logarithm;
use crate::spatial::{MINVAL, norm, normalize};
use crate::{Data, Model};

/// All rows, with regularization.
pub(crate) fn make(model: &Model, data: &mut Data) {
    let mut rows = std::mem::take(&mut data.efc);
    rows.clear();
    let opt = &model.opt;
    if opt.constraint {
        if opt.equality {
            equality(model, data, &mut rows);
        }
        rows.ne = rows.nefc();
        if opt.frictionloss {
            friction(model, data, &mut rows);
        }
        rows.nf = rows.nefc() - rows.ne;
        if opt.limit {
            limits(model, data, &mut rows);
        }
        rows.nl = rows.nefc() - rows.ne - rows.nf;
        contacts(model, data, &mut rows);
    }
    data.efc = rows;
    regularize(model, data);
    data.efc.weigh(model.nv());
}

fn entry(rows: &mut Rows, nv: usize, row: usize, dof: usize, value: f64) {
    rows.J[row * nv + dof] += value;
    rows.dofs.push(dof);
    rows.chain[row].1 = rows.dofs.len();
}

/// A row over a tendon's degrees of freedom. Entries are in decreasing order, as everywhere.
fn tendon_row(
    model: &Model,
    data: &Data,
    rows: &mut Rows,
    row: usize,
    (tendon, scale): (usize, f64),
) {
    let nv = model.nv();
    for &dof in &model.tendon_dofs[tendon] {
        entry(rows, nv, row, dof, scale * data.ten_J[tendon * nv + dof]);
    }
}

/// The value and slope of Σ c_k·x^k, k ≤ 4.
pub(crate) fn polynomial(c: &[f64], x: f64) -> (f64, f64) {
    let value = c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * c[4])));
    (value, c[1] + x * (2.0 * c[2] + x * (3.0 * c[3] + x * 4.0 * c[4])))
}

/// The polynomial's second derivative.
pub(crate) fn polynomial_curvature(c: &[f64], x: f64) -> f64 {
    2.0 * c[2] + x * (6.0 * c[3] + x * 12.0 * c[4])
}

fn equality(model: &Model, data: &Data, rows: &mut Rows) {
    let nv = model.nv();
    for id in 0..model.eq_type.len() {
        if !model.eq_active0[id] {
            continue;
        }
        if attaches(model, id) {
            attach(model, data, rows, id);
            continue;
        }
        let (a, b) = (model.eq_obj1id[id], model.eq_obj2id[id]);
        let still = |t: usize| t == usize::MAX || model.tendon_dofs[t].is_empty();
        if model.eq_type[id] == EqualityType::Tendon && still(a) && still(b) {
            continue;
        }
        let joint_of = |j: usize| {
            let q = model.jnt_qposadr[j];
            data.qpos[q] - model.qpos0[q]
        };
        let tendon_of = |t: usize| data.ten_length[t] - model.tendon_length0[t];
        let data_of = &model.eq_data[id];
        let joint = model.eq_type[id] == EqualityType::Joint;
        let value = |k: usize| if joint { joint_of(k) } else { tendon_of(k) };
        let (target, slope) =
            if b == usize::MAX { (data_of[0], 0.0) } else { polynomial(data_of, value(b)) };
        let row = rows.push(nv, RowKind::Equality(id), value(a) - target, 0.0);
        if joint {
            // Decreasing degrees of freedom.
            let mut pair = [(model.jnt_dofadr[a], 1.0), (usize::MAX, 0.0)];
            if b != usize::MAX {
                pair[1] = (model.jnt_dofadr[b], -slope);
            }
            pair.sort_by_key(|&(dof, _)| std::cmp::Reverse(dof));
            for (dof, value) in pair {
                if dof != usize::MAX {
                    entry(rows, nv, row, dof, value);
                }
            }
            rows.diagA[row] = model.dof_invweight0[model.jnt_dofadr[a]];
            if b != usize::MAX {
                rows.diagA[row] += model.dof_invweight0[model.jnt_dofadr[b]];
            }
        } else {
            tendon_row(model, data, rows, row, (a, 1.0));
            rows.diagA[row] = model.tendon_invweight0[a];
            if b != usize::MAX {
                tendon_row(model, data, rows, row, (b, -slope));
                let (from, to) = rows.chain[row];
                rows.dofs[from..to].sort_unstable_by(|x, y| y.cmp(x));
                // A joint that both tendons have stands once.
                let mut unique = from;
                for k in from..to {
                    if k == from || rows.dofs[k] != rows.dofs[k - 1] {
                        rows.dofs[unique] = rows.dofs[k];
                        unique += 1;
                    }
                }
                rows.dofs.truncate(unique);
                rows.chain[row].1 = unique;
                rows.diagA[row] += model.tendon_invweight0[b];
            }
        }
    }
}

/// Rows of a connect or weld. All its degrees of freedom stand in all its rows.
fn attach(model: &Model, data: &Data, rows: &mut Rows, id: usize) {
    let nv = model.nv();
    let attachment = Attachment::new(model, data, id);
    if Both::new(model, attachment.body).next().is_none() {
        return;
    }
    let residual = attachment.residual();
    let first = rows.nefc();
    let weight = |k: usize| attachment.body.map(|b| model.body_invweight0[b][k]);
    for k in 0..attachment.rows() {
        let row = rows.push(nv, RowKind::Equality(id), residual[k], 0.0);
        let [a, b] = weight(k / 3);
        rows.diagA[row] = a + b;
    }
    let from = rows.dofs.len();
    for (dof, moves) in Both::new(model, attachment.body) {
        rows.dofs.push(dof);
        let still = [0.0; 6];
        let motion = moves.map(|m| if m { &data.cdof[dof] } else { &still });
        let column = attachment.rate(motion);
        for k in 0..attachment.rows() {
            rows.J[(first + k) * nv + dof] = column[k];
        }
    }
    let to = rows.dofs.len();
    for row in first..rows.nefc() {
        rows.chain[row] = (from, to);
    }
}

fn friction(model: &Model, data: &Data, rows: &mut Rows) {
    let nv = model.nv();
    for dof in 0..nv {
        if model.dof_frictionloss[dof] > 0.0 {
            let row = rows.push(nv, RowKind::FrictionDof(dof), 0.0, 0.0);
            rows.frictionloss[row] = model.dof_frictionloss[dof];
            rows.diagA[row] = model.dof_invweight0[dof];
            entry(rows, nv, row, dof, 1.0);
        }
    }
    for tendon in 0..model.ntendon() {
        if model.tendon_frictionloss[tendon] > 0.0 && !model.tendon_dofs[tendon].is_empty() {
            let row = rows.push(nv, RowKind::FrictionTendon(tendon), 0.0, 0.0);
            rows.frictionloss[row] = model.tendon_frictionloss[tendon];
            rows.diagA[row] = model.tendon_invweight0[tendon];
            tendon_row(model, data, rows, row, (tendon, 1.0));
        }
    }
}

fn limits(model: &Model, data: &Data, rows: &mut Rows) {
    let nv = model.nv();
    for joint in 0..model.njnt() {
        if !model.jnt_limited[joint] {
            continue;
        }
        let (margin, dof) = (model.jnt_margin[joint], model.jnt_dofadr[joint]);
        match model.jnt_type[joint] {
            JointType::Free => {}
            JointType::Slide | JointType::Hinge => {
                let value = data.qpos[model.jnt_qposadr[joint]];
                for (side, bound) in [(-1.0, 0), (1.0, 1)] {
                    let dist = side * (model.jnt_range[joint][bound] - value);
                    if dist < margin {
                        let row = rows.push(nv, RowKind::LimitJoint(joint), dist, margin);
                        rows.diagA[row] = model.dof_invweight0[dof];
                        entry(rows, nv, row, dof, -side);
                    }
                }
            }
            JointType::Ball => {
                let turn = logarithm(quat_of(&data.qpos, model.jnt_qposadr[joint]));
                let bound = model.jnt_range[joint][0].max(model.jnt_range[joint][1]);
                let dist = bound - norm(turn);
                if dist < margin {
                    let (axis, _) = normalize(turn);
                    let row = rows.push(nv, RowKind::LimitJoint(joint), dist, margin);
                    rows.diagA[row] = model.dof_invweight0[dof];
                    for k in (0..3).rev() {
                        entry(rows, nv, row, dof + k, -axis[k]);
                    }
                }
            }
        }
    }
    for tendon in 0..model.ntendon() {
        if !model.tendon_limited[tendon] || model.tendon_dofs[tendon].is_empty() {
            continue;
        }
        for (side, bound) in [(-1.0, 0), (1.0, 1)] {
            let dist = side * (model.tendon_range[tendon][bound] - data.ten_length[tendon]);
            if dist < model.tendon_margin[tendon] {
                let row =
                    rows.push(nv, RowKind::LimitTendon(tendon), dist, model.tendon_margin[tendon]);
                rows.diagA[row] = model.tendon_invweight0[tendon];
                tendon_row(model, data, rows, row, (tendon, -side));
            }
        }
    }
}

fn contacts(model: &Model, data: &mut Data, rows: &mut Rows) {
    let nv = model.nv();
    let pyramidal = model.opt.cone == Cone::Pyramidal;
    for id in 0..data.contact.len() {
        let contact = data.contact[id];
        if contact.dist >= contact.includemargin {
            continue;
        }
        let [b1, b2] = contact.geom.map(|g| model.geom_bodyid[g]);
        if Chain::new(model, b1, b2).next().is_none() {
            continue;
        }
        let dim = contact.dim;
        let first = rows.nefc();
        data.contact[id].efc_address = first;
        // Diagonal of J·M⁻¹·Jᵀ from the bodies' inverse inertias at qpos0.
        let [t1, r1] = model.body_invweight0[b1];
        let [t2, r2] = model.body_invweight0[b2];
        let (translation, rotation) = (t1 + t2, r1 + r2);
        let (kind, count) = match (dim, pyramidal) {
            (1, _) => (RowKind::ContactFrictionless(id), 1),
            (_, true) => (RowKind::ContactPyramidal(id), 2 * (dim - 1)),
            (_, false) => (RowKind::ContactElliptic(id), dim),
        };
        for k in 0..count {
            let normal = k == 0 || !matches!(kind, RowKind::ContactElliptic(_));
            let (pos, margin) =
                if normal { (contact.dist, contact.includemargin) } else { (0.0, 0.0) };
            let row = rows.push(nv, kind, pos, margin);
            rows.diagA[row] = match kind {
                RowKind::ContactPyramidal(_) => {
                    let mu = contact.friction[k / 2];
                    translation + mu * mu * if k < 4 { translation } else { rotation }
                }
                _ if k < 3 => translation,
                _ => rotation,
            };
        }
        let from = rows.dofs.len();
        for (dof, sign) in Chain::new(model, b1, b2) {
            rows.dofs.push(dof);
            let column =
                contact_column(model, data, (contact.pos, &contact.frame), (dof, sign), dim);
            contact_rows(pyramidal, dim, &contact.friction, |row, axis, weight| {
                rows.J[(first + row) * nv + dof] += weight * column[axis];
            });
        }
        let to = rows.dofs.len();
        for k in 0..count {
            rows.chain[first + k] = (from, to);
        }
    }
}

/// `solref` and `solimp` of a row, and whether it is a tangential row of an elliptic cone.
pub(crate) fn parameters(model: &Model, data: &Data, row: usize) -> ([f64; 2], [f64; 5], bool) {
    match data.efc.kind[row] {
        RowKind::Equality(id) => (model.eq_solref[id], model.eq_solimp[id], false),
        RowKind::FrictionDof(dof) => (model.dof_solref[dof], model.dof_solimp[dof], false),
        RowKind::FrictionTendon(t) => {
            (model.tendon_solref_fri[t], model.tendon_solimp_fri[t], false)
        }
        RowKind::LimitJoint(j) => (model.jnt_solref[j], model.jnt_solimp[j], false),
        RowKind::LimitTendon(t) => (model.tendon_solref_lim[t], model.tendon_solimp_lim[t], false),
        RowKind::ContactFrictionless(c) | RowKind::ContactPyramidal(c) => {
            (data.contact[c].solref, data.contact[c].solimp, false)
        }
        RowKind::ContactElliptic(c) => {
            let contact = &data.contact[c];
            let tangential = row > contact.efc_address;
            let own = tangential && contact.solreffriction != [0.0; 2];
            let solref = if own { contact.solreffriction } else { contact.solref };
            (solref, contact.solimp, tangential)
        }
    }
}

/// Stiffness and damping from `solref` (time constant and damping ratio, or their negatives directly).
pub(crate) fn stiffness(solref: [f64; 2], high: f64, refsafe: Option<f64>) -> (f64, f64) {
    let [mut time, ratio] = solref;
    if let Some(h) = refsafe
        && time > 0.0
    {
        time = time.max(2.0 * h);
    }
    let k = if time > 0.0 {
        1.0 / (high * high * time * time * ratio * ratio).max(MINVAL)
    } else {
        -time / (high * high).max(MINVAL)
    };
    let b = if ratio > 0.0 { 2.0 / (high * time).max(MINVAL) } else { -ratio / high.max(MINVAL) };
    (k, b)
}

/// Impedance, regularization R, and D = 1/R (`mj_makeImpedance`).
fn regularize(model: &Model, data: &mut Data) {
    let refsafe = model.opt.refsafe.then_some(model.opt.timestep);
    let count = data.efc.nefc();
    for row in 0..count {
        let (solref, solimp, tangential) = parameters(model, data, row);
        // Tangential rows have the impedance of the contact's distance.
        let at = match data.efc.kind[row] {
            RowKind::ContactElliptic(c) => data.contact[c].efc_address,
            _ => row,
        };
        let residual = match data.efc.kind[row] {
            RowKind::Equality(id) if attaches(model, id) => {
                let rows = &data.efc.pos[data.efc.group(row)];
                rows.iter().map(|r| r * r).sum::<f64>().sqrt()
            }
            _ => data.efc.pos[at] - data.efc.margin[at],
        };
        let (d, slope) = impedance(&solimp, residual);
        let (mut k, b) = stiffness(solref, clamp_impedance(&solimp)[1], refsafe);
        let dry =
            matches!(data.efc.kind[row], RowKind::FrictionDof(_) | RowKind::FrictionTendon(_));
        if dry || tangential {
            k = 0.0;
        }
        data.efc.KBIP[row] = [k, b, d, slope];
        data.efc.R[row] = ((1.0 - d) / d * data.efc.diagA[row]).max(MINVAL);
    }
    let impratio = model.opt.impratio.max(MINVAL);
    for id in 0..data.contact.len() {
        let (first, dim) = (data.contact[id].efc_address, data.contact[id].dim);
        if first == usize::MAX || dim == 1 {
            continue;
        }
        let friction = data.contact[id].friction;
        let normal = data.efc.R[first];
        let tangential = (normal / impratio).max(MINVAL);
        let mu = friction[0] * (tangential / normal).sqrt();
        data.contact[id].mu = mu;
        match data.efc.kind[first] {
            RowKind::ContactPyramidal(_) => {
                let r = (2.0 * mu * mu * normal).max(MINVAL);
                data.efc.R[first..first + 2 * (dim - 1)].fill(r);
            }
            _ => {
                data.efc.R[first + 1] = tangential;
                for k in 2..dim {
                    let ratio = friction[0] / friction[k - 1];
                    data.efc.R[first + k] = (tangential * ratio * ratio).max(MINVAL);
                }
            }
        }
    }
    for row in 0..count {
        data.efc.D[row] = 1.0 / data.efc.R[row];
        let d = data.efc.KBIP[row][2];
        data.efc.diagA[row] = data.efc.R[row] * d / (1.0 - d);
    }
}

/// `vel` and `aref` = −B·J·v − K·d·(r − margin), less J̇·v for connect and weld.
pub(crate) fn reference(model: &Model, data: &mut Data) {
    let mut vel = std::mem::take(&mut data.efc.vel);
    data.efc.multiply(model.nv(), &data.qvel, &mut vel);
    data.efc.vel = vel;
    let efc = &mut data.efc;
    for row in 0..efc.nefc() {
        let [k, b, d, _] = efc.KBIP[row];
        efc.aref[row] = -b * efc.vel[row] - k * d * (efc.pos[row] - efc.margin[row]);
    }
    let mut row = 0;
    while row < data.efc.ne {
        let next = data.efc.group(row).end;
        if let RowKind::Equality(id) = data.efc.kind[row]
            && attaches(model, id)
        {
            subtract_drift(model, data, id, row);
        }
        row = next;
    }
}
