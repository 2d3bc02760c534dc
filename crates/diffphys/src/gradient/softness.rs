//! Cotangents of the contact parameters of geoms: friction, `solref`, `solimp`.

use super::contact::Sides;
use super::contact::{axis, rows_of};
use super::parameter::Pulled;
use crate::collide::mixing;
use crate::constraint::{clamp_impedance, contact_rows, impedance_partials};
use crate::model::{Cone, Model};
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

/// Cotangents of stiffness K, damping B and impedance d of a contact's rows.
fn reference(pulled: &Pulled<'_>, id: usize) -> (f64, f64, f64) {
    let (data, adjoint) = (pulled.data, pulled.adjoint);
    let (contact, efc) = (&data.contact[id], &data.efc);
    let (mut k_bar, mut b_bar, mut d_bar) = (0.0, 0.0, 0.0);
    for row in rows_of(pulled.model, contact) {
        let [k, _, d, _] = efc.KBIP[row];
        let r = efc.pos[row] - efc.margin[row];
        if k != 0.0 {
            k_bar += adjoint.z[row] * d * r;
            d_bar += adjoint.z[row] * k * r;
        }
        b_bar += adjoint.z[row] * efc.vel[row];
        d_bar += adjoint.y[row] * efc.force[row] / (d * (1.0 - d));
    }
    (k_bar, b_bar, d_bar)
}

pub(crate) fn geom_solref(pulled: &Pulled<'_>, id: usize, out: &mut [f64]) {
    let (model, contact) = (pulled.model, &pulled.data.contact[id]);
    let Some(sources) = sources(model, contact) else { return };
    let (k_bar, b_bar, _) = reference(pulled, id);
    let [k, b, ..] = pulled.data.efc.KBIP[contact.efc_address];
    let [time, ratio] = contact.solref;
    let high = clamp_impedance(&contact.solimp)[1];
    let (by_time, by_ratio) = if time > 0.0 {
        // Below two time steps the time constant is held.
        let held = model.opt.refsafe && time < 2.0 * model.opt.timestep;
        let by_time = if held { 0.0 } else { -(2.0 * k * k_bar + b * b_bar) / time };
        (by_time, -2.0 * k * k_bar / ratio)
    } else {
        (-k_bar / (high * high), -b_bar / high)
    };
    let [(g1, _), (g2, _)] = sources;
    let mixed = sources.iter().all(|(_, share)| *share > 0.0);
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
    let (k_bar, b_bar, d_bar) = reference(pulled, id);
    let efc = &pulled.data.efc;
    let first = contact.efc_address;
    let [k, b, ..] = efc.KBIP[first];
    let high = clamp_impedance(&contact.solimp)[1];
    let mut bar =
        impedance_partials(&contact.solimp, efc.pos[first] - efc.margin[first]).map(|p| p * d_bar);
    if (1e-4..=0.9999).contains(&contact.solimp[1]) {
        bar[1] -= (2.0 * k * k_bar + b * b_bar) / high;
    }
    for (geom, share) in sources {
        for which in 0..5 {
            out[5 * geom + which] += share * bar[which];
        }
    }
}
