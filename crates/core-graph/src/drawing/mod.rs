//! Pictures of networks: boxes with lines of text, arrows with labels; written as SVG, DOT and Mermaid.
//!
//! [`Graph::drawing`](crate::Graph::drawing) makes one of a recorded graph; analyses of networks make their own.

mod layout;
mod svg;
mod text;

use crate::{Error, Result};

pub use text::{escaped, short};

/// A network to be drawn: nodes in an order in which parents come before children, and the edges between them.
///
/// ```
/// use pullback_core_graph::drawing::{Drawing, Line, Role};
/// # fn main() -> pullback_core_graph::Result<()> {
/// let mut drawing = Drawing::default();
/// let x = drawing.node(Role::Input, [Line::plain("x"), Line::quiet("1")]);
/// let g = drawing.node(Role::Variable, [Line::plain("g"), Line::quiet("2")]);
/// drawing.edge(x, g, Some("2".into()), 0.0)?;
/// assert!(drawing.to_svg().starts_with("<svg"));
/// assert!(drawing.to_dot().contains("n0 -> n1"));
/// assert!(drawing.to_mermaid().contains("n0 -->|\"2\"| n1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawing {
    title: Vec<Line>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// A line of text and what it is about, which gives its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    text: String,
    tint: Tint,
}

/// What a line of text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    Quiet,
    Partial,
    Forward,
    Backward,
}

/// What a node is, which gives the colour of its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A variable that derivatives are taken with respect to.
    Input,
    /// Data.
    Constant,
    /// A variable with a name.
    Variable,
    /// An operation without a name.
    Operation,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    role: Role,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
struct Edge {
    from: usize,
    to: usize,
    label: Option<String>,
    weight: f64,
}

impl Line {
    fn new(text: impl Into<String>, tint: Tint) -> Self {
        Line { text: text.into(), tint }
    }

    /// A name.
    pub fn plain(text: impl Into<String>) -> Self {
        Line::new(text, Tint::Plain)
    }

    /// A value.
    pub fn quiet(text: impl Into<String>) -> Self {
        Line::new(text, Tint::Quiet)
    }

    /// A partial derivative.
    pub fn partial(text: impl Into<String>) -> Self {
        Line::new(text, Tint::Partial)
    }

    /// A derivative that a forward sweep made.
    pub fn forward(text: impl Into<String>) -> Self {
        Line::new(text, Tint::Forward)
    }

    /// A derivative that a backward sweep made.
    pub fn backward(text: impl Into<String>) -> Self {
        Line::new(text, Tint::Backward)
    }
}

impl Drawing {
    /// Adds a line above the picture.
    pub fn title(&mut self, line: Line) {
        self.title.push(line);
    }

    /// Adds a node; its number is the number of nodes before it.
    pub fn node(&mut self, role: Role, lines: impl IntoIterator<Item = Line>) -> usize {
        self.nodes.push(Node { role, lines: lines.into_iter().collect() });
        self.nodes.len() - 1
    }

    /// Adds an edge, as wide as `weight` says: 0 (thin) to 1.
    ///
    /// # Errors
    /// `Invalid` unless `from` was added before `to`, and both were.
    pub fn edge(
        &mut self,
        from: usize,
        to: usize,
        label: Option<String>,
        weight: f64,
    ) -> Result<()> {
        if !(from < to && to < self.nodes.len()) {
            let what = format!("an edge {from} → {to} among {} nodes", self.nodes.len());
            return Err(Error::invalid("drawing", what));
        }
        self.edges.push(Edge { from, to, label, weight });
        Ok(())
    }
}
