//! A picture of a graph: nodes with their values, edges with the local partial derivatives.

use std::fmt::Write;

use candle_core::Tensor;

use super::layout::layout;
use super::{Arena, Graph, Kind, Var};
use crate::Result;
use crate::tensor::to_f64;

/// Size of a node, in pixels.
const BOX: (usize, usize) = (130, 44);
/// Space between columns, in pixels.
const GAP: usize = 90;
/// Columns are this far apart, in pixels.
const COLUMN: usize = BOX.0 + GAP;

impl Graph {
    /// An SVG picture of the network that computes `outputs`: parents to the left of their children, each node with its name and
    /// value (or shape), each edge between single numbers with its partial derivative.
    ///
    /// Errors: those of a failed variable, or of a derivative at the drawn point.
    pub fn to_svg<'g>(&'g self, outputs: &[Var<'g>]) -> Result<String> {
        let slots = self.parents("to_svg", outputs)?;
        let arena = self.arena();
        let nodes = arena.leading_to(&slots);
        let at = |slot: u32| nodes.binary_search(&(arena.slots[slot as usize].node as usize)).ok();
        let parents: Vec<Vec<usize>> = nodes
            .iter()
            .map(|&n| arena.nodes[n].parents.iter().filter_map(|&p| at(p)).collect())
            .collect();
        let plan = layout(&parents);
        let (width, height) =
            ((plan.columns * COLUMN + 20).saturating_sub(GAP), plan.height as usize + 20);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
        );
        let mut labels = Labels::default();
        for (child, &node) in nodes.iter().enumerate() {
            for (port, &slot) in arena.nodes[node].parents.iter().enumerate() {
                let Some(parent) = at(slot) else { continue };
                let (from, to) = (plan.nodes[parent], plan.nodes[child]);
                let passes = plan.passes.get(&(parent, child)).map_or(&[][..], Vec::as_slice);
                let edge = edge_path(from, to, passes);
                let _ = write!(svg, "<path d=\"{}\" fill=\"none\" stroke=\"#888\"/>", edge.0);
                if let Some(slope) = arena.edge(node, port)? {
                    labels.place(to.0, edge.1, short(slope));
                }
            }
        }
        for (&node, &(column, middle)) in nodes.iter().zip(&plan.nodes) {
            let (x, y) = (column * COLUMN + 10, middle as usize + 10 - BOX.1 / 2);
            let fill = match arena.nodes[node].kind {
                Kind::Input => "#dceefb",
                Kind::Constant => "#eeeeee",
                _ if arena.is_named(node) => "#dff3e3",
                _ => "#fff8e6",
            };
            let (w, h) = BOX;
            let middle = x + w / 2;
            let (name, value) = (escaped(&arena.label(node)), escaped(&arena.shown(node)?));
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"{fill}\" stroke=\"#555\"/>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#333\">{value}</text>",
                y + 18,
                y + 35
            );
        }
        svg.push_str(&labels.svg);
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

/// A curve from one node's right side to another's left side, horizontal at each place where it passes a column. Also the heights of the
/// ends of its last part, which carries the label.
fn edge_path(from: (usize, f64), to: (usize, f64), passes: &[f64]) -> (String, (f64, f64)) {
    let left = |column: usize| (column * COLUMN + 10) as f64;
    let (mut x, mut y) = (left(from.0) + BOX.0 as f64, from.1 + 10.0);
    let mut path = format!("M{x} {y:.1}");
    let mut bend = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let middle = 0.5 * (x1 + x2);
        let _ = write!(path, " C{middle} {y1:.1} {middle} {y2:.1} {x2} {y2:.1}");
    };
    for (i, pass) in passes.iter().enumerate() {
        let next = (left(from.0 + 1 + i), pass + 10.0);
        bend(x, y, next.0, next.1);
        (x, y) = (next.0 + BOX.0 as f64, next.1);
        bend(next.0, next.1, x, y); // straight across the column
    }
    let end = to.1 + 10.0;
    bend(x, y, left(to.0), end);
    (path, (y, end))
}

/// Numbers on edges, moved along their edge where they would lie on one another.
#[derive(Default)]
struct Labels {
    svg: String,
    taken: Vec<(usize, f64, f64)>,
}

impl Labels {
    fn place(&mut self, column: usize, (start, end): (f64, f64), text: String) {
        let right = (column * COLUMN + 10) as f64;
        let at = |t: f64| {
            // The cubic with both handles in the middle.
            let x = 3.0 * t * (1.0 - t) * 0.5 + t * t * t;
            let y = t * t * (3.0 - 2.0 * t);
            (right - GAP as f64 * (1.0 - x), start + (end - start) * y)
        };
        let clear = |&(x, y): &(f64, f64)| {
            let near = |&(c, a, b): &(usize, f64, f64)| {
                c == column && (x - a).abs() < 40.0 && (y - b).abs() < 14.0
            };
            !self.taken.iter().any(near)
        };
        let (x, y) =
            [0.5, 0.62, 0.38, 0.74, 0.26].map(at).into_iter().find(clear).unwrap_or(at(0.5));
        self.taken.push((column, x, y));
        let _ = write!(
            self.svg,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#b5541c\" stroke=\"white\" stroke-width=\"4\" \
             paint-order=\"stroke\">{text}</text>",
            y + 4.0
        );
    }
}

impl Arena {
    /// The nodes that lead to the slots, in recording order.
    fn leading_to(&self, slots: &[u32]) -> Vec<usize> {
        let last = slots.iter().map(|&s| self.slots[s as usize].node as usize).max().unwrap_or(0);
        let mut wanted = vec![false; last + 1];
        slots.iter().for_each(|&s| wanted[self.slots[s as usize].node as usize] = true);
        for node in (0..=last).rev().filter(|&n| n < self.nodes.len()) {
            if wanted[node] {
                self.nodes[node]
                    .parents
                    .iter()
                    .for_each(|&p| wanted[self.slots[p as usize].node as usize] = true);
            }
        }
        (0..=last).filter(|&n| wanted[n]).collect()
    }

    /// The partial derivative along one edge, between single numbers.
    fn edge(&self, node: usize, port: usize) -> Result<Option<f64>> {
        let at = &self.nodes[node];
        let one = |slot: usize| self.slots[slot].tensor.elem_count() == 1;
        if at.n_outputs != 1 || !one(at.first as usize) || !one(at.parents[port] as usize) {
            return Ok(None);
        }
        let needs: Vec<bool> = (0..at.parents.len()).map(|i| i == port).collect();
        let dy = vec![Some(self.slots[at.first as usize].tensor.ones_like()?)];
        let pulled = match &at.kind {
            Kind::Input | Kind::Constant => None,
            Kind::Primitive(p) => {
                let scratch = &mut Graph::scratch();
                let dx = self.pull_primitive(scratch, &**p, at, dy.into_iter(), &needs)?;
                dx.into_iter().nth(port).flatten()
            }
            Kind::Function(a) => {
                let dx = self.pull_function(a, at, &[dy], &needs)?;
                dx.into_iter().flatten().nth(port).flatten()
            }
        };
        match pulled {
            Some(t) => Ok(to_f64(&t)?.first().copied()),
            None => Ok(Some(0.0)),
        }
    }

    fn is_named(&self, node: usize) -> bool {
        self.nodes[node].outputs().any(|i| self.names.contains_key(&(i as u32)))
    }

    fn shown(&self, node: usize) -> Result<String> {
        let show = |t: &Tensor| -> Result<String> {
            Ok(match t.elem_count() {
                1 => short(to_f64(t)?[0]),
                _ => format!("{:?}", t.dims()),
            })
        };
        let all: Result<Vec<String>> =
            self.nodes[node].outputs().map(|i| show(&self.slots[i].tensor)).collect();
        Ok(all?.join(", "))
    }
}

/// Four significant digits.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
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

fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
