//! An explanation as text, as one would write it on a blackboard.

use std::fmt::{Display, Formatter, Result};

use pullback_core_graph::drawing::short;

use super::sweep::Row;
use super::{Explanation, Path, Variable};

/// Lines of one table that are written; the rest is counted.
const LINES: usize = 60;

/// `[2, 3], ‖·‖ 1.5` or `0.3`: what a variable is.
impl Display for Variable {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.value {
            Some(value) => f.write_str(&short(value)),
            None => write!(f, "{:?}, ‖·‖ {}", self.dims, short(self.norm)),
        }
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (Some(x), Some(last)) = (self.variables.first(), self.variables.last()) else {
            return Ok(());
        };
        let (x, of) = (x.name.as_str(), last.name.as_str());
        let paths = if self.count == 1 { "path" } else { "paths" };
        let (name, total) = (ratio(of, x), &self.total);
        writeln!(f, "{name} = {total}, the sum over {} {paths}\n", self.counted())?;
        self.values(f)?;
        self.paths(f)?;
        let forward = self.sweep_forward().map_err(|_| std::fmt::Error)?;
        writeln!(
            f,
            "\n  forward sweep: {} = Σ over parents u of ∂v/∂u · {}",
            ratio("v", x),
            ratio("u", x)
        )?;
        self.sweep(f, &forward, |v| ratio(v, x), |partial, other| (partial, other))?;
        let backward = self.sweep_backward().map_err(|_| std::fmt::Error)?;
        writeln!(
            f,
            "\n  backward sweep: {} = Σ over children v of {} · ∂v/∂u",
            ratio(of, "u"),
            ratio(of, "v")
        )?;
        self.sweep(f, &backward, |u| ratio(of, u), |partial, other| (other, partial))?;
        let (forward, backward) = (&self.forward, &self.backward);
        write!(
            f,
            "\n  through every operation of the graph: forward {forward}, backward {backward}"
        )?;
        match self.agrees() {
            true => writeln!(f),
            false => writeln!(f, "; the sweeps disagree by {}", short(self.disagreement())),
        }
    }
}

impl Explanation {
    /// The number of paths as text.
    pub(super) fn counted(&self) -> String {
        match self.count {
            u128::MAX => format!("at least {:.3e}", u128::MAX as f64),
            large if large >= 1_000_000_000 => format!("{large} (about {:.3e})", large as f64),
            few => few.to_string(),
        }
    }

    /// The variables with their values, and the partial derivatives of each.
    fn values(&self, f: &mut Formatter<'_>) -> Result {
        let wide = wide(self.variables.iter().map(|v| v.name.as_str()));
        let shown: Vec<String> = self.variables.iter().take(LINES).map(|v| v.to_string()).collect();
        let values = shown.iter().map(|v| v.chars().count()).max().unwrap_or(0);
        let mut next = 0;
        for (k, (variable, value)) in self.variables.iter().zip(&shown).enumerate() {
            let mut partials = Vec::new();
            while let Some(edge) = self.edges.get(next).filter(|e| e.to == k) {
                let from = &self.variables[edge.from].name;
                partials.push(format!("∂{}/∂{from} = {}", variable.name, edge.partial));
                next += 1;
            }
            let (name, partials) = (&variable.name, partials.join(", "));
            let line = format!("  {name:wide$} = {value:values$}   {partials}");
            writeln!(f, "{}", line.trim_end())?;
        }
        more(f, self.variables.len(), "variables")
    }

    fn paths(&self, f: &mut Formatter<'_>) -> Result {
        if self.count == 0 {
            return writeln!(f, "\n  no path: the one does not depend on the other");
        }
        writeln!(f, "\n  paths, the largest contribution first")?;
        let routes: Vec<String> = self.paths.iter().map(|p| self.route(p)).collect();
        let rest = match self.count {
            u128::MAX => "all other paths".to_string(),
            n => format!("{} other paths", n - self.paths.len() as u128),
        };
        let complete = self.count == self.paths.len() as u128;
        let last = if complete { "sum" } else { rest.as_str() };
        let wide = wide(routes.iter().map(String::as_str).chain([last, "sum"]));
        for (path, route) in self.paths.iter().zip(&routes) {
            let factors: Vec<String> = path
                .edges
                .iter()
                .rev()
                .map(|&e| factor(self.edges[e].partial.to_string()))
                .collect();
            let product = match factors.len() {
                0 | 1 => String::new(),
                _ => format!("{} = ", factors.join("·")),
            };
            writeln!(f, "    {route:wide$}   {product}{}", path.product)?;
        }
        if !complete {
            writeln!(f, "    {rest:wide$}   {}", self.rest)?;
        }
        writeln!(f, "    {:wide$}   {}", "sum", self.total)
    }

    /// `x → g → f`
    fn route(&self, path: &Path) -> String {
        let mut names: Vec<&str> =
            path.edges.iter().map(|&e| &*self.variables[self.edges[e].from].name).collect();
        names.extend(self.variables.last().map(|v| v.name.as_str()));
        names.join(" → ")
    }

    fn sweep(
        &self,
        f: &mut Formatter<'_>,
        rows: &[Row],
        left: impl Fn(&str) -> String,
        order: impl Fn(String, String) -> (String, String),
    ) -> Result {
        for row in rows.iter().take(LINES) {
            let terms: Vec<String> = row
                .terms
                .iter()
                .map(|term| {
                    let edge = &self.edges[term.edge];
                    let other = match edge.to == row.variable {
                        true => &self.variables[edge.from].forward,
                        false => &self.variables[edge.to].backward,
                    };
                    let (a, b) = order(factor(edge.partial.to_string()), factor(other.to_string()));
                    format!("{a}·{b}")
                })
                .collect();
            let terms = match terms.len() {
                0 => String::new(),
                _ => format!("{} = ", terms.join(" + ")),
            };
            let left = left(&self.variables[row.variable].name);
            writeln!(f, "    {left} = {terms}{}", row.sum)?;
        }
        more(f, rows.len(), "lines")
    }
}

fn more(f: &mut Formatter<'_>, all: usize, what: &str) -> Result {
    match all.checked_sub(LINES) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "    … and {more} more {what}"),
    }
}

/// `df/dx`; a name of more than two characters stands apart from its d: `d loss/dq1`.
pub(super) fn ratio(f: &str, x: &str) -> String {
    let apart = |name: &str| if name.chars().count() <= 2 { "" } else { " " };
    format!("d{}{f}/d{}{x}", apart(f), apart(x))
}

/// A factor of a product: negative numbers in parentheses.
fn factor(text: String) -> String {
    if text.starts_with('-') { format!("({text})") } else { text }
}

fn wide<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|t| t.chars().count()).max().unwrap_or(0)
}
