//! Drawings as SVG: boxes in layers, curves between them, numbers beside the curves.

use std::fmt::Write;

use super::layout::layout;
use super::text::{escaped, fill, width};
use super::{Drawing, Line, Tint};

/// Least and most width of a box, and the width of a character, in pixels.
const WIDTH: (usize, usize) = (130, 300);
const CHARACTER: f64 = 7.2;
/// Height of a line of text, and of what a box adds above and below its lines.
const LINE: usize = 17;
const AROUND: usize = 10;
/// Space between columns, and between boxes of a column.
const GAP: usize = 90;
const BETWEEN: usize = 40;
/// Around the picture.
const MARGIN: usize = 10;

impl Drawing {
    /// The picture as SVG: parents to the left of their children.
    pub fn to_svg(&self) -> String {
        let mut parents: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        self.edges.iter().for_each(|e| parents[e.to].push(e.from));
        let boxes = Boxes::of(self);
        let plan = layout(&parents, (boxes.height + BETWEEN) as f64);
        let wide = (plan.columns * boxes.column() + 2 * MARGIN).saturating_sub(GAP);
        let wide =
            wide.max(self.title.iter().map(|l| across(&l.text) + 2 * MARGIN).max().unwrap_or(0));
        let tall = plan.height as usize + 2 * MARGIN + boxes.top;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {tall}\" width=\"{wide}\" height=\"{tall}\" \
             font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
        );
        for (i, line) in self.title.iter().enumerate() {
            let y = MARGIN + LINE * (i + 1) - 3;
            let (colour, text) = (ink(line.tint), escaped(&line.text));
            let _ = write!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{colour}\">{text}</text>");
        }
        let mut labels = Labels { boxes, svg: String::new(), taken: Vec::new() };
        for edge in &self.edges {
            let (from, to) = (plan.nodes[edge.from], plan.nodes[edge.to]);
            let passes = plan.passes.get(&(edge.from, edge.to)).map_or(&[][..], Vec::as_slice);
            let (path, ends) = boxes.curve(from, to, passes);
            let width = width(edge.weight);
            let _ = write!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"#888\" stroke-width=\"{width}\"/>"
            );
            if let Some(label) = &edge.label {
                labels.place(to.0, ends, &escaped(label));
            }
        }
        for (node, &(column, middle)) in self.nodes.iter().zip(&plan.nodes) {
            let x = boxes.left(column);
            let y = (boxes.down(middle) - 0.5 * boxes.height as f64).round();
            let (w, h, fill) = (boxes.width, boxes.height, fill(node.role));
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"{fill}\" stroke=\"#555\"/>"
            );
            let top = y + 0.5 * (h - AROUND - LINE * node.lines.len().min(h / LINE)) as f64;
            for (i, line) in node.lines.iter().enumerate() {
                boxes.line(&mut svg, line, x + w / 2, top + (LINE * (i + 1) + 1) as f64);
            }
        }
        svg.push_str(&labels.svg);
        svg.push_str("</svg>\n");
        svg
    }
}

/// About how wide a text is, in pixels.
fn across(text: &str) -> usize {
    (CHARACTER * text.chars().count() as f64) as usize
}

fn ink(tint: Tint) -> &'static str {
    match tint {
        Tint::Plain => "#000",
        Tint::Quiet => "#333",
        Tint::Partial => "#b5541c",
        Tint::Forward => "#1f5fa8",
        Tint::Backward => "#8a2a7c",
    }
}

/// The size that all boxes of a drawing share, and where they stand.
#[derive(Clone, Copy)]
struct Boxes {
    width: usize,
    height: usize,
    /// Height of the title.
    top: usize,
}

impl Boxes {
    fn of(drawing: &Drawing) -> Self {
        let lines = drawing.nodes.iter().flat_map(|n| &n.lines);
        let widest = lines.map(|l| across(&l.text) + 2 * AROUND).max().unwrap_or(0);
        let most = drawing.nodes.iter().map(|n| n.lines.len()).max().unwrap_or(0).max(2);
        Boxes {
            width: widest.clamp(WIDTH.0, WIDTH.1),
            height: AROUND + LINE * most,
            top: LINE * drawing.title.len(),
        }
    }

    fn column(&self) -> usize {
        self.width + GAP
    }

    /// The left side of a column's boxes.
    fn left(&self, column: usize) -> usize {
        column * self.column() + MARGIN
    }

    /// A height of the layout in the picture.
    fn down(&self, y: f64) -> f64 {
        y + (MARGIN + self.top) as f64
    }

    /// One line of a box; one that does not fit is cut, and shown in full under the pointer.
    fn line(&self, svg: &mut String, line: &Line, middle: usize, y: f64) {
        let most = ((self.width - AROUND) as f64 / CHARACTER) as usize;
        let (mut shown, mut full) = (escaped(&line.text), String::new());
        if most < line.text.chars().count() {
            full = format!("<title>{shown}</title>");
            let kept: String = line.text.chars().take(most.saturating_sub(1)).collect();
            shown = escaped(&kept) + "…";
        }
        let colour = ink(line.tint);
        let _ = write!(
            svg,
            "<text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\" fill=\"{colour}\">{shown}{full}</text>"
        );
    }

    /// A curve from one node's right side to another's left side, horizontal at each place where it passes a column. Also the heights
    /// of the ends of its last part, which carries the label.
    fn curve(&self, from: (usize, f64), to: (usize, f64), passes: &[f64]) -> (String, (f64, f64)) {
        let left = |column: usize| self.left(column) as f64;
        let wide = self.width as f64;
        let (mut x, mut y) = (left(from.0) + wide, self.down(from.1));
        let mut path = format!("M{x} {y:.1}");
        let mut bend = |x1: f64, y1: f64, x2: f64, y2: f64| {
            let middle = 0.5 * (x1 + x2);
            let _ = write!(path, " C{middle} {y1:.1} {middle} {y2:.1} {x2} {y2:.1}");
        };
        for (i, &pass) in passes.iter().enumerate() {
            let next = (left(from.0 + 1 + i), self.down(pass));
            bend(x, y, next.0, next.1);
            (x, y) = (next.0 + wide, next.1);
            bend(next.0, next.1, x, y); // straight across the column
        }
        let end = self.down(to.1);
        bend(x, y, left(to.0), end);
        (path, (y, end))
    }
}

/// Numbers on edges, moved along their edge where they would lie on one another.
struct Labels {
    boxes: Boxes,
    svg: String,
    taken: Vec<(usize, f64, f64)>,
}

impl Labels {
    fn place(&mut self, column: usize, (start, end): (f64, f64), text: &str) {
        let right = self.boxes.left(column) as f64;
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
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#b5541c\" stroke=\"white\" stroke-width=\"6\" \
             paint-order=\"stroke\">{text}</text>",
            y + 4.0
        );
    }
}
