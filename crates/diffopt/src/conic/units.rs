//! Solving one item in units that suit its numbers, cold or from a start.

use super::problem::{Conic, ConicData};
use super::scale::Scale;
use super::solution::ConicItem;
use crate::Status;

/// A residual that Newton's steps can hardly improve.
const SHARP: f64 = 1e-12;

impl Conic {
    /// One item, in units in which its numbers are near 1 if they are not.
    pub(super) fn in_good_units(&self, d: &ConicData<'_>, start: Option<&ConicItem>) -> ConicItem {
        let solve = |d: &ConicData<'_>, scale: Option<&Scale>| {
            let start = start.map(|s| s.point_in(scale));
            start.and_then(|s| self.warm(&s, d)).unwrap_or_else(|| self.item(d))
        };
        // What is said of a P that is not convex is said in the user's units.
        let scale = Scale::of(self, d).filter(|_| self.not_convex(d).is_none());
        let item = match scale {
            None => solve(d, None),
            Some(scale) => {
                let data = scale.data(self, d);
                let [p, q, a, b] = &data;
                let item = solve(&ConicData { p, q, a, b }, Some(&scale));
                let item = self.checked(d, item.in_units(scale, data));
                if matches!(item.status, Status::NotConverged { .. }) {
                    let plain = self.item(d);
                    let better = !matches!(plain.status, Status::NotConverged { .. });
                    if better { plain } else { item }
                } else {
                    item
                }
            }
        };
        self.sharpened(d, item)
    }

    /// Newton's steps that did not go far enough once more, in units in which multipliers and slacks are of one size: the projections that they
    /// go through are of their difference.
    fn sharpened(&self, d: &ConicData<'_>, item: ConicItem) -> ConicItem {
        if !item.status.is_solved() || item.residual <= SHARP || self.settings.polish == 0 {
            return item;
        }
        let scale = item.units.as_ref().map(|u| &u.scale);
        let Some(scale) = Scale::balanced(scale, self, [&item.z, &item.s]) else { return item };
        let data = scale.data(self, d);
        let [p, q, a, b] = &data;
        let again = self.warm(&item.point_in(Some(&scale)), &ConicData { p, q, a, b });
        let again = again.filter(|a| a.residual < item.residual);
        let again = again.map(|a| self.checked(d, a.in_units(scale, data)));
        match again {
            Some(again) if again.status.is_solved() => {
                ConicItem { iterations: item.iterations, ..again }
            }
            _ => item,
        }
    }

    /// An item with its residual in the user's units, and solved only if that is small, too.
    fn checked(&self, d: &ConicData<'_>, mut item: ConicItem) -> ConicItem {
        if item.status.is_solved() {
            let residual = self.residual(d, &item.point_in(None));
            if let Some(units) = &mut item.units {
                units.residual = residual;
            }
            if residual.is_nan() || self.settings.tolerance < residual {
                item.status = Status::NotConverged { iterations: item.iterations, residual };
            }
        }
        item
    }

    /// The solution that Newton steps from a start lead to.
    fn warm(&self, start: &ConicItem, d: &ConicData<'_>) -> Option<ConicItem> {
        if !start.status.is_solved()
            || d.first_not_finite().is_some()
            || self.not_convex(d).is_some()
        {
            return None;
        }
        let mut item = ConicItem { iterations: 0, ..start.clone() };
        item.residual = self.residual(d, &item);
        self.polish(d, &mut item);
        (item.residual <= self.settings.tolerance).then_some(item)
    }
}
