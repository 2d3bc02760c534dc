//! Drawings as text: DOT (Graphviz) and Mermaid, numbers and escapes.

use std::fmt::Write;

use super::{Drawing, Role};

/// The colour of a node's box.
pub(super) fn fill(role: Role) -> &'static str {
    match role {
        Role::Input => "#dceefb",
        Role::Constant => "#eeeeee",
        Role::Variable => "#dff3e3",
        Role::Operation => "#fff8e6",
    }
}

impl Drawing {
    /// The picture in the DOT language of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(
            "digraph network {\n  rankdir=LR;\n  graph [fontname=\"sans-serif\"];\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n  \
             edge [fontname=\"sans-serif\", fontcolor=\"#b5541c\", color=\"#888888\"];\n",
        );
        if !self.title.is_empty() {
            let title = join(self.title.iter().map(|l| &*l.text), quoted, "\\n");
            let _ = writeln!(dot, "  labelloc=t;\n  label=\"{title}\";");
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let label = join(node.lines.iter().map(|l| &*l.text), quoted, "\\n");
            let _ = writeln!(dot, "  n{i} [label=\"{label}\", fillcolor=\"{}\"];", fill(node.role));
        }
        for edge in &self.edges {
            let label = edge.label.as_deref().map_or(String::new(), quoted);
            let (from, to, width) = (edge.from, edge.to, width(edge.weight));
            let _ = writeln!(dot, "  n{from} -> n{to} [label=\"{label}\", penwidth={width}];");
        }
        dot.push_str("}\n");
        dot
    }

    /// The picture as a Mermaid flow chart.
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::new();
        if !self.title.is_empty() {
            // The front matter is YAML: a string in double quotes with its escapes.
            let title = join(self.title.iter().map(|l| &*l.text), quoted, " · ");
            let _ = writeln!(chart, "---\ntitle: \"{title}\"\n---");
        }
        chart.push_str("flowchart LR\n");
        for (i, node) in self.nodes.iter().enumerate() {
            let label = join(node.lines.iter().map(|l| &*l.text), entities, "<br/>");
            let _ = writeln!(chart, "  n{i}[\"{label}\"]");
        }
        for edge in &self.edges {
            let (from, to) = (edge.from, edge.to);
            let _ = match &edge.label {
                Some(label) => writeln!(chart, "  n{from} -->|\"{}\"| n{to}", entities(label)),
                None => writeln!(chart, "  n{from} --> n{to}"),
            };
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(chart, "  style n{i} fill:{},stroke:#555", fill(node.role));
        }
        for (i, edge) in self.edges.iter().enumerate() {
            let _ = writeln!(chart, "  linkStyle {i} stroke-width:{}px", width(edge.weight));
        }
        chart
    }
}

/// The width of an edge's line in pixels.
pub(super) fn width(weight: f64) -> f64 {
    let weight = if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 };
    (10.0 * (1.0 + 3.0 * weight)).round() / 10.0
}

fn join<'a>(
    texts: impl Iterator<Item = &'a str>,
    escape: impl Fn(&str) -> String,
    between: &str,
) -> String {
    texts.map(escape).collect::<Vec<_>>().join(between)
}

/// Line breaks and other control characters would end a statement or are not allowed at all.
fn printable(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|c| if c.is_control() { ' ' } else { c })
}

/// For a string in double quotes, of DOT and of YAML.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Mermaid's character entities: `#35;` for `#`.
fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text) {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '*' | '_' | '~' | '$' => {
                let _ = write!(out, "#{};", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text as SVG and other XML take it: `&`, `<` and `>` as entities, characters that XML forbids as spaces.
pub fn escaped(text: &str) -> String {
    let forbidden = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}');
    let text: String = printable(text).map(|c| if forbidden(c) { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A number with four significant digits, as drawings show it.
pub fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if !a.is_finite() => format!("{x}"),
        a if !(1e-3..1e5).contains(&a) => format!("{x:.3e}"),
        a => {
            let digits = (3 - a.log10().floor() as i32).max(0) as usize;
            let text = format!("{x:.digits$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').into()
            } else {
                text
            }
        }
    }
}
