//! Cotangents of the parameters of rows: friction, `solref` and `solimp` of contacts, by geoms or explicit pairs, and of all other rows; ranges.

use super::contact::Sides;
use super::contact::{axis, rows_of};
use super::parameter::Pulled;
use super::rows::tendons_of;
use crate::collide::mixing;
use crate::constraint::{RowKind, clamp_impedance, contact_rows, impedance_partials, parameters};
use crate::model::{Cone, JointType, Model, Parameter};
use crate::spatial::dot;
use crate::{Contact, RowState};

/// Which geoms a contact's parameters come from, and with what share: of the one with priority, else mixed. `None` for an explicit pair.
fn sources(model: &Model, contact: &Contact) -> Option<[(usize, f64); 2]> {
    let [g1, g2] = contact.geom;
    if model.pair.iter().any(|p| p.geom == contact.geom) {
        return None;
    }
    let share = match model.geom_priority[g1].cmp(&model.geom_priority[g2]) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => mixing(model.geom_solmix[g1], model.geom_solmix[g2]),
    };
    Some([(g1, share), (g2, 1.0 - share)])
}

/// Friction is the larger of the two geoms': its cotangent goes there, where they are equal to each by half.
pub(crate) fn geom_friction(pulled: &Pulled<'_>, id: usize, out: &mut [f64]) {
    let (model, contact) = (pulled.model, &pulled.data.contact[id]);
    if contact.dim == 1 {
        return;
    }
    let Some(sources) = sources(model, contact) else { return };
    let cotangent = friction(pulled, id);
    let [g1, g2] = contact.geom;
    for (k, which) in [0, 0, 1, 2, 2].into_iter().enumerate() {
        let (f1, f2) = (model.geom_friction[g1][which], model.geom_friction[g2][which]);
        let share = if model.geom_priority[g1] != model.geom_priority[g2] {
            sources[0].1
        } else if f1 == f2 {
            0.5
        } else {
            f64::from(u8::from(f1 > f2))
        };
        for (geom, value, share) in [(g1, f1, share), (g2, f2, 1.0 - share)] {
            // Below the least friction nothing changes.
            if value >= contact.friction[k] {
                out[3 * geom + which] += share * cotangent[k];
            }
        }
    }
}

/// The cotangent of a contact's five frictions.
fn friction(pulled: &Pulled<'_>, id: usize) -> [f64; 5] {
    let (model, data, adjoint) = (pulled.model, pulled.data, pulled.adjoint);
    let (contact, efc) = (&data.contact[id], &data.efc);
    let (first, dim) = (contact.efc_address, contact.dim);
    let mu = &contact.friction;
    let mut out = [0.0; 5];
    let log_d: f64 = rows_of(model, contact).map(|row| adjoint.y[row] * efc.force[row]).sum();
    if model.opt.cone == Cone::Pyramidal {
        // Rows J₀ ± μ_k·J_k: the sides of an edge differ by the axis k.
        let sides = Sides::new(model, data, contact);
        let on_axis = |x: &[crate::spatial::Spatial], k: usize| {
            let (velocity, rotation) = sides.relative(x);
            if k < 3 {
                dot(axis(&contact.frame, k), velocity)
            } else {
                dot(axis(&contact.frame, k - 3), rotation)
            }
        };
        let pure = pulled.pure;
        contact_rows(true, dim, mu, |row, k, weight| {
            if k > 0 {
                let row = first + row;
                let sign = weight.signum();
                out[k - 1] += sign
                    * (efc.force[row] * on_axis(&adjoint.bodies, k)
                        + adjoint.z[row] * on_axis(pure, k)
                        + adjoint.bz[row] * on_axis(&data.cvel, k));
            }
        });
        // D = 1/(2·μ²·R), R ∝ (1 + μ₀²), μ ∝ μ₀.
        out[0] -= log_d * (2.0 / mu[0] + 2.0 * mu[0] / (1.0 + mu[0] * mu[0]));
        return out;
    }
    let force = |k: usize| efc.force[first + k];
    match efc.state[first] {
        RowState::Quadratic => {
            // D_k = D₁·μ_k²/μ₀².
            for k in 1..dim {
                let part = adjoint.y[first + k] * force(k);
                out[k - 1] += 2.0 * part / mu[k - 1];
                out[0] -= 2.0 * part / mu[0];
            }
        }
        RowState::Cone => {
            // f₀ = −D₀·(x₀ − T)/(1 + μ²), f_k = −f₀·μ_k²·x_k/T, T = ‖μ_k·x_k‖, μ = μ₀/√impratio.
            let x = |k: usize| efc.jar[first + k];
            let t2: f64 = (1..dim).map(|k| (mu[k - 1] * x(k)).powi(2)).sum();
            let t = t2.sqrt().max(crate::spatial::MINVAL);
            let whole = 1.0 + contact.mu * contact.mu;
            for k in 1..dim {
                let dt = mu[k - 1] * x(k) * x(k) / t;
                let mut df0 = efc.D[first] / whole * dt;
                if k == 1 {
                    let dmu = contact.mu / mu[0];
                    df0 += 2.0 * contact.mu * dmu * efc.D[first] / (whole * whole) * (x(0) - t);
                }
                out[k - 1] += adjoint.y[first] * df0;
                for l in 1..dim {
                    let own = if l == k { 2.0 / mu[k - 1] } else { 0.0 };
                    let relative = df0 / force(0) - dt / t + own;
                    out[k - 1] += adjoint.y[first + l] * force(l) * relative;
                }
            }
        }
        _ => {}
    }
    out
}

/// Cotangents of stiffness K, damping B and impedance d of some rows, and their cotangents of `solref` and `solimp`.
#[derive(Clone, Copy, Default)]
struct Reference {
    k: f64,
    b: f64,
    d: f64,
}

impl Reference {
    fn of(pulled: &Pulled<'_>, rows: impl Iterator<Item = usize>) -> Self {
        let (data, adjoint) = (pulled.data, pulled.adjoint);
        let efc = &data.efc;
        let mut out = Self::default();
        for row in rows {
            let [k, _, d, _] = efc.KBIP[row];
            let r = efc.pos[row] - efc.margin[row];
            // Dry friction and tangential rows have no stiffness, and no residual either.
            out.k += adjoint.z[row] * d * r;
            out.d += adjoint.z[row] * k * r;
            out.b += adjoint.z[row] * efc.vel[row];
            if super::rows::scales_with_d(data, row) {
                out.d += adjoint.y[row] * efc.force[row] / (d * (1.0 - d));
            }
        }
        out
    }

    /// In (time constant, damping ratio) or their direct forms, for rows with this stiffness and damping.
    fn solref(&self, model: &Model, solref: [f64; 2], high: f64, [k, b]: [f64; 2]) -> [f64; 2] {
        let [time, ratio] = solref;
        if time > 0.0 {
            // Below two time steps the time constant is held.
            let held = model.opt.refsafe && time < 2.0 * model.opt.timestep;
            let by_time = if held { 0.0 } else { -(2.0 * k * self.k + b * self.b) / time };
            [by_time, -2.0 * k * self.k / ratio]
        } else {
            [-self.k / (high * high), -self.b / high]
        }
    }

    /// By the impedance at a residual; what stiffness and damping of `solimp` do is in `width`: Σ (2·K·k̄ + B·b̄).
    fn solimp(&self, solimp: &[f64; 5], residual: f64, width: f64) -> [f64; 5] {
        let mut bar = impedance_partials(solimp, residual).map(|p| p * self.d);
        if (1e-4..=0.9999).contains(&solimp[1]) {
            bar[1] -= width / clamp_impedance(solimp)[1];
        }
        bar
    }
}

/// Of a contact: the rows with its `solref`, and those with `solreffriction`, if it has one.
fn of_contact(pulled: &Pulled<'_>, id: usize) -> (Reference, Option<Reference>) {
    let contact = &pulled.data.contact[id];
    let rows = rows_of(pulled.model, contact);
    if pulled.model.opt.cone == Cone::Pyramidal || contact.solreffriction == [0.0; 2] {
        return (Reference::of(pulled, rows), None);
    }
    let first = rows.start;
    let tangential = Reference::of(pulled, first + 1..rows.end);
    (Reference::of(pulled, first..first + 1), Some(tangential))
}

/// The cotangents of a contact's `solref`, `solreffriction` and `solimp`.
fn contact_bars(pulled: &Pulled<'_>, id: usize) -> ([f64; 2], [f64; 2], [f64; 5]) {
    let contact = &pulled.data.contact[id];
    let efc = &pulled.data.efc;
    let first = contact.efc_address;
    let (normal, tangential) = of_contact(pulled, id);
    let high = clamp_impedance(&contact.solimp)[1];
    let [k, b, ..] = efc.KBIP[first];
    let solref = normal.solref(pulled.model, contact.solref, high, [k, b]);
    let mut whole = normal;
    let mut width = 2.0 * k * normal.k + b * normal.b;
    let mut friction = [0.0; 2];
    if let Some(tangential) = tangential {
        let b = efc.KBIP[first + 1][1];
        friction = tangential.solref(pulled.model, contact.solreffriction, high, [0.0, b]);
        whole.d += tangential.d;
        width += b * tangential.b;
    }
    let solimp = whole.solimp(&contact.solimp, efc.pos[first] - efc.margin[first], width);
    (solref, friction, solimp)
}

pub(crate) fn geom_solref(pulled: &Pulled<'_>, id: usize, out: &mut [f64]) {
    let (model, contact) = (pulled.model, &pulled.data.contact[id]);
    let Some(sources) = sources(model, contact) else { return };
    let ([by_time, by_ratio], ..) = contact_bars(pulled, id);
    let [(g1, _), (g2, _)] = sources;
    let mixed = model.geom_priority[g1] == model.geom_priority[g2];
    let standard = model.geom_solref[g1][0] > 0.0 && model.geom_solref[g2][0] > 0.0;
    for (which, bar) in [(0, by_time), (1, by_ratio)] {
        if !mixed || standard {
            for (geom, share) in sources {
                out[2 * geom + which] += share * bar;
            }
        } else {
            // The smaller number wins.
            let first = model.geom_solref[g1][which] <= model.geom_solref[g2][which];
            out[2 * if first { g1 } else { g2 } + which] += bar;
        }
    }
}

pub(crate) fn geom_solimp(pulled: &Pulled<'_>, id: usize, out: &mut [f64]) {
    let (model, contact) = (pulled.model, &pulled.data.contact[id]);
    let Some(sources) = sources(model, contact) else { return };
    let (.., bar) = contact_bars(pulled, id);
    for (geom, share) in sources {
        for which in 0..5 {
            out[5 * geom + which] += share * bar[which];
        }
    }
}

/// Adds the cotangent of a parameter of an explicit pair's contact.
pub(crate) fn pair(pulled: &Pulled<'_>, id: usize, parameter: Parameter, out: &mut [f64]) {
    let (model, contact) = (pulled.model, &pulled.data.contact[id]);
    let Some(k) = model.pair.iter().position(|p| p.geom == contact.geom) else { return };
    let mut add = |bar: &[f64]| {
        let at = bar.len() * k;
        out[at..at + bar.len()].iter_mut().zip(bar).for_each(|(o, b)| *o += b);
    };
    if parameter == Parameter::PairFriction {
        if contact.dim > 1 {
            let bar = friction(pulled, id);
            // Below the least friction nothing changes.
            let free = |j: usize| model.pair_friction[k][j] >= contact.friction[j];
            add(&[0, 1, 2, 3, 4].map(|j| if free(j) { bar[j] } else { 0.0 }));
        }
        return;
    }
    let (solref, tangential, solimp) = contact_bars(pulled, id);
    match parameter {
        Parameter::PairSolref => add(&solref),
        Parameter::PairSolreffriction => add(&tangential),
        _ => add(&solimp),
    }
}

/// Adds the cotangents of `solref` or `solimp` of rows that are not contacts', to the object that `of` names for a kind of row.
pub(crate) fn other_rows(
    pulled: &Pulled<'_>,
    impedance: bool,
    of: impl Fn(RowKind) -> Option<usize>,
    out: &mut [f64],
) {
    let (model, data) = (pulled.model, pulled.data);
    let efc = &data.efc;
    let mut row = 0;
    while row < efc.ne + efc.nf + efc.nl {
        // The rows of a connect or weld share their impedance; others are alone.
        let attached = super::adjoint::attachment_of(model, efc.kind[row]).is_some();
        let rows = if attached { efc.group(row) } else { row..row + 1 };
        let first = row;
        row = rows.end;
        let Some(object) = of(efc.kind[first]) else { continue };
        let (solref, solimp, _) = parameters(model, data, first);
        let [k, b, ..] = efc.KBIP[first];
        let residual = if attached {
            efc.pos[rows.clone()].iter().map(|r| r * r).sum::<f64>().sqrt()
        } else {
            efc.pos[first] - efc.margin[first]
        };
        let bars = Reference::of(pulled, rows);
        if impedance {
            let bar = bars.solimp(&solimp, residual, 2.0 * k * bars.k + b * bars.b);
            (0..5).for_each(|j| out[5 * object + j] += bar[j]);
        } else {
            let bar = bars.solref(model, solref, clamp_impedance(&solimp)[1], [k, b]);
            (0..2).for_each(|j| out[2 * object + j] += bar[j]);
        }
    }
}

/// Adds the cotangents of the ranges of joints, or of tendons.
pub(crate) fn ranges(pulled: &Pulled<'_>, of_tendons: bool, out: &mut [f64]) {
    let (model, data) = (pulled.model, pulled.data);
    let (efc, adjoint) = (&data.efc, pulled.adjoint);
    for row in efc.ne + efc.nf..efc.ne + efc.nf + efc.nl {
        if !super::rows::acts(data, row) {
            continue;
        }
        let bar = adjoint.z[row] * super::rows::reference_slope(data, row)
            + adjoint.y[row] * efc.force[row] * super::rows::log_d_slope(data, row);
        let (object, lower) = match efc.kind[row] {
            RowKind::LimitTendon(t) if of_tendons => {
                (t, tendons_of(model, data, row).any(|(_, side)| side > 0.0))
            }
            RowKind::LimitJoint(j) if !of_tendons => {
                let [low, high] = model.jnt_range[j];
                match model.jnt_type[j] {
                    // The larger number is the bound of a ball's angle.
                    JointType::Ball => {
                        out[2 * j + usize::from(high >= low)] += bar;
                        continue;
                    }
                    _ => (j, efc.J[row * model.nv() + model.jnt_dofadr[j]] > 0.0),
                }
            }
            _ => continue,
        };
        // The residual is q − low, or high − q.
        if lower {
            out[2 * object] -= bar;
        } else {
            out[2 * object + 1] += bar;
        }
    }
}
