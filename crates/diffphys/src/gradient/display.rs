//! A gradient report as one line of text.

use super::GradientReport;
use std::fmt;

/// `4 contacts (nearest: 2 at -1.3e-3 m), 16 rows (nearest: 3 at 2.1e-4), solved in 5 iterations to 1.0e-15`.
impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} contacts", self.ncon)?;
        if let Some((contact, apart)) = self.nearest_contact {
            write!(f, " (nearest: {contact} at {apart:.1e} m)")?;
        }
        write!(f, ", {} rows", self.nefc)?;
        if let Some((row, distance)) = self.nearest {
            write!(f, " (nearest: {row} at {distance:.1e})")?;
        }
        write!(f, ", solved in {} iterations to {:.1e}", self.iterations, self.gradient)
    }
}
