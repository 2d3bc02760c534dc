//! An explanation as a picture: SVG, DOT, Mermaid.

use pullback_core_graph::drawing::{Drawing, Line, Role, short};

use super::display::ratio;
use super::{Explanation, Jacobian};
use crate::Result;

/// Most characters of a derivative's name on a node.
const LONG: usize = 24;

impl Explanation {
    /// The network between the two variables: on each node its value, dv/dx from the forward sweep and df/dv from the backward sweep; on
    /// each edge its partial derivative (of matrices, the Frobenius norm). Edges are as wide as their part in the total is large.
    ///
    /// # Errors
    /// None for an explanation that [`explain`](super::explain) made.
    pub fn drawing(&self) -> Result<Drawing> {
        let mut drawing = Drawing::default();
        let (Some(x), Some(f)) = (self.variables.first(), self.variables.last()) else {
            return Ok(drawing);
        };
        let (x, f) = (&x.name, &f.name);
        let paths = if self.count == 1 { "path" } else { "paths" };
        let total = format!("{} = {}: {} {paths}", ratio(f, x), size(&self.total), self.counted());
        drawing.title(Line::plain(total));
        drawing.title(Line::partial("on edges: partial derivatives ∂v/∂u"));
        drawing.title(Line::forward(format!("forward sweep: {}", ratio("v", x))));
        drawing.title(Line::backward(format!("backward sweep: {}", ratio(f, "v"))));
        for (k, v) in self.variables.iter().enumerate() {
            let role = if k == 0 { Role::Input } else { Role::Variable };
            let name = &v.name;
            drawing.node(
                role,
                [
                    Line::plain(name),
                    Line::quiet(v.to_string()),
                    Line::forward(named(ratio(name, x), "forward", &v.forward)),
                    Line::backward(named(ratio(f, name), "backward", &v.backward)),
                ],
            );
        }
        // What all paths through an edge contribute together: df/dv · ∂v/∂u · du/dx.
        let parts: Vec<f64> = self
            .edges
            .iter()
            .map(|e| {
                let left = self.variables[e.to].backward.times(&e.partial)?;
                Ok(left.times(&self.variables[e.from].forward)?.norm())
            })
            .collect::<Result<_>>()?;
        let most = parts.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (edge, part) in self.edges.iter().zip(parts) {
            drawing.edge(edge.from, edge.to, Some(size(&edge.partial)), part / most)?;
        }
        Ok(drawing)
    }

    /// [`Explanation::drawing`] as SVG.
    ///
    /// # Errors
    /// As [`Explanation::drawing`].
    pub fn to_svg(&self) -> Result<String> {
        Ok(self.drawing()?.to_svg())
    }

    /// [`Explanation::drawing`] in the DOT language of Graphviz.
    ///
    /// # Errors
    /// As [`Explanation::drawing`].
    pub fn to_dot(&self) -> Result<String> {
        Ok(self.drawing()?.to_dot())
    }

    /// [`Explanation::drawing`] as a Mermaid flow chart.
    ///
    /// # Errors
    /// As [`Explanation::drawing`].
    pub fn to_mermaid(&self) -> Result<String> {
        Ok(self.drawing()?.to_mermaid())
    }
}

/// `df/dx = 2`; the sweep stands for a name that would push the number out of its box.
fn named(name: String, sweep: &str, j: &Jacobian) -> String {
    let name = if name.chars().count() <= LONG { name.as_str() } else { sweep };
    format!("{name} = {}", size(j))
}

/// The number, or ‖J‖ for a matrix.
fn size(j: &Jacobian) -> String {
    j.scalar().map_or_else(|| format!("‖J‖ {}", short(j.norm())), short)
}
