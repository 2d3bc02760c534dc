//! How near a state is to where the derivative changes.

use crate::constraint::RowKind;
use crate::{Data, RowState};

/// How near each row of the constrained problem is to switching, and what the derivative freezes.
///
/// Derivatives are those of the present pieces: contacts, their features and the states of rows are held. Where a row is about to switch,
/// the derivative on the other side differs; the report says how near that is. Of contacts it knows those that are listed: within `margin + gap` of their
/// geoms. A `gap` lists contacts ahead of the distance at which they act, so that one that is about to begin is seen, too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GradientReport {
    /// Contacts listed.
    pub ncon: usize,
    /// Rows.
    pub nefc: usize,
    /// For each row, |jar| relative to |J·qacc| + |aref|: 0 is on the border between two pieces. For rows of dry friction, the distance
    /// to the nearer border; for elliptic cones, that of the cone, on each of its rows.
    pub distance: Vec<f64>,
    /// The row with the least distance, if there are rows.
    pub nearest: Option<(usize, f64)>,
    /// The listed contact that is nearest to beginning or ending, and how far it is from the distance at which it acts (dist − includemargin, metres:
    /// below 0 it acts), if contacts are listed.
    pub nearest_contact: Option<(usize, f64)>,
    /// Iterations of the solver.
    pub iterations: usize,
    /// Scaled gradient at its end.
    pub gradient: f64,
}

impl GradientReport {
    /// Of `data` after [`crate::Model::forward`] or [`crate::StepDerivative::evaluate`].
    pub fn new(data: &Data) -> Self {
        let efc = &data.efc;
        let mut report = Self {
            ncon: data.contact.len(),
            nefc: efc.nefc(),
            iterations: data.solve.iterations,
            gradient: data.solve.gradient,
            ..Self::default()
        };
        for (id, contact) in data.contact.iter().enumerate() {
            let apart = contact.dist - contact.includemargin;
            if report.nearest_contact.is_none_or(|(_, least)| apart.abs() < least.abs()) {
                report.nearest_contact = Some((id, apart));
            }
        }
        for row in 0..efc.nefc() {
            let jar = efc.jar[row];
            let size = (jar + efc.aref[row]).abs() + efc.aref[row].abs() + crate::spatial::MINVAL;
            let distance = match efc.kind[row] {
                RowKind::Equality(_) => f64::INFINITY,
                RowKind::FrictionDof(_) | RowKind::FrictionTendon(_) => {
                    let edge = efc.R[row] * efc.frictionloss[row];
                    (jar.abs() - edge).abs() / size.max(edge)
                }
                RowKind::ContactElliptic(id) => {
                    let contact = &data.contact[id];
                    let first = contact.efc_address;
                    let zone = crate::solve::Zone::new(contact, efc, &efc.jar);
                    let scale: f64 = (first..first + contact.dim)
                        .map(|r| efc.aref[r].abs() + efc.jar[r].abs())
                        .sum::<f64>()
                        .max(crate::spatial::MINVAL);
                    let top = (zone.n - zone.mu * zone.t).abs();
                    let bottom = (zone.mu * zone.n + zone.t).abs();
                    top.min(bottom) / scale
                }
                _ => jar.abs() / size,
            };
            report.distance.push(distance);
            if report.nearest.is_none_or(|(_, least)| distance < least) {
                report.nearest = Some((row, distance));
            }
        }
        report
    }

    /// Rows nearer than `tolerance` to switching.
    pub fn near(&self, tolerance: f64) -> impl Iterator<Item = usize> + '_ {
        self.distance.iter().enumerate().filter(move |(_, d)| **d < tolerance).map(|(row, _)| row)
    }
}

/// Rows that act, of a solved problem.
impl crate::Rows {
    /// How many rows have a force or could have one at once: not satisfied.
    pub fn active(&self) -> usize {
        self.state.iter().filter(|s| **s != RowState::Satisfied).count()
    }
}
