//! The exact line search: the root of φ'(α) for the convex φ(α) = cost(a + α·s), by Newton's method inside a bracket.

use super::cost::Zone;
use crate::collide::Contact;
use crate::constraint::{RowKind, RowState, Rows};

/// φ along one direction: jar and its change J·s, and the quadratic part from M.
pub(crate) struct Line<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) contacts: &'a [Contact],
    pub(crate) jar: &'a [f64],
    pub(crate) change: &'a [f64],
    /// sᵀ·(M·a − f_smooth).
    pub(crate) linear: f64,
    /// sᵀ·M·s.
    pub(crate) quadratic: f64,
}

impl Line<'_> {
    /// φ' and φ'' at α.
    fn slopes(&self, alpha: f64) -> (f64, f64) {
        let rows = self.rows;
        let mut first = self.linear + alpha * self.quadratic;
        let mut second = self.quadratic;
        let mut row = 0;
        while row < rows.nefc() {
            let (v, d) = (self.change[row], rows.D[row]);
            let x = self.jar[row] + alpha * v;
            match rows.kind[row] {
                RowKind::ContactElliptic(id) => {
                    let contact = &self.contacts[id];
                    let (f, s) = self.cone(contact, alpha);
                    first += f;
                    second += s;
                    row += contact.dim;
                    continue;
                }
                RowKind::FrictionDof(_) | RowKind::FrictionTendon(_) => {
                    let bound = rows.frictionloss[row];
                    let edge = rows.R[row] * bound;
                    if x <= -edge {
                        first -= bound * v;
                    } else if x >= edge {
                        first += bound * v;
                    } else {
                        first += d * x * v;
                        second += d * v * v;
                    }
                }
                RowKind::Equality(_) => {
                    first += d * x * v;
                    second += d * v * v;
                }
                _ => {
                    if x < 0.0 {
                        first += d * x * v;
                        second += d * v * v;
                    }
                }
            }
            row += 1;
        }
        (first, second)
    }

    fn cone(&self, contact: &Contact, alpha: f64) -> (f64, f64) {
        let (first, dim) = (contact.efc_address, contact.dim);
        let mut at = [0.0; 6];
        for k in 0..dim {
            at[k] = self.jar[first + k] + alpha * self.change[first + k];
        }
        let zone = Zone::at(contact, self.rows.D[first], &at);
        match zone.state() {
            RowState::Quadratic => (0..dim).fold((0.0, 0.0), |(f, s), k| {
                let (v, d) = (self.change[first + k], self.rows.D[first + k]);
                (f + d * at[k] * v, s + d * v * v)
            }),
            RowState::Cone => {
                // N' and T', T'' along the line.
                let slope = |k: usize| self.change[first + k] * zone.scale[k];
                let n1 = slope(0);
                let (mut uv, mut vv) = (0.0, 0.0);
                for k in 1..dim {
                    uv += zone.u[k] * slope(k);
                    vv += slope(k) * slope(k);
                }
                let t1 = uv / zone.t;
                let t2 = vv / zone.t - t1 * t1 / zone.t;
                let gap = zone.n - zone.mu * zone.t;
                let gap1 = n1 - zone.mu * t1;
                (zone.dm * gap * gap1, zone.dm * (gap1 * gap1 - gap * zone.mu * t2))
            }
            _ => (0.0, 0.0),
        }
    }

    /// The minimizing α ≥ 0, to |φ'| ≤ `tolerance`; 0 if the direction does not descend.
    pub(crate) fn search(&self, tolerance: f64, iterations: usize) -> f64 {
        let (start, curvature) = self.slopes(0.0);
        if start >= 0.0 || curvature <= 0.0 {
            return 0.0;
        }
        let tolerance = tolerance.max(1e-10 * start.abs());
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut alpha = -start / curvature;
        // The last two changes of α. Newton's steps near the tip of a cone can be short without end: one that does not halve the change before
        // the last gives way to bisection (Brent, Algorithms for minimization without derivatives, 1973, chapter 4).
        let mut moved = [f64::INFINITY; 2];
        for _ in 0..iterations.max(1) {
            let (first, second) = self.slopes(alpha);
            if first.abs() <= tolerance {
                return alpha;
            }
            if first < 0.0 {
                low = alpha;
            } else {
                high = alpha;
            }
            let newton = if second > 0.0 { alpha - first / second } else { f64::INFINITY };
            let quick = 2.0 * (newton - alpha).abs() <= moved[0];
            let next = if newton > low && newton < high && (quick || high.is_infinite()) {
                newton
            } else if high.is_finite() {
                0.5 * (low + high)
            } else {
                2.0 * alpha
            };
            moved = [moved[1], (next - alpha).abs()];
            if next == alpha {
                return alpha;
            }
            alpha = next;
        }
        // Where the slope is still negative, the cost has fallen all the way.
        if low > 0.0 { low } else { alpha }
    }
}
