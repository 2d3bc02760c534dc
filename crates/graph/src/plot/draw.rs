//! From a description to SVG.

use std::fmt::Write;

use pullback_core_graph::drawing::escaped;

use super::axis::{Axis, Scale, text};
use super::color::{LINES, viridis};
use super::contour::pieces;
use super::{Heat, Kind, Mark, Plot};

const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 46.0;
/// Room for a colour bar and its numbers.
const BAR: f64 = 76.0;
/// Colours of a scale: neighbours of one colour become one rectangle.
const SHADES: f64 = 96.0;

/// Several pictures as one file, row by row, so many in a row (at least 1).
pub fn grid(columns: usize, plots: &[Plot]) -> String {
    let mut body = String::new();
    let (mut width, mut y) = (0.0_f64, 0.0);
    for row in plots.chunks(columns.max(1)) {
        let (mut x, mut height) = (0.0, 0.0_f64);
        for plot in row {
            let _ = write!(body, r#"<g transform="translate({x} {y})">"#);
            Canvas::new(plot).draw(&mut body);
            body.push_str("</g>\n");
            x += plot.size[0];
            height = height.max(plot.size[1]);
        }
        width = width.max(x);
        y += height;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" width=\"{width}\" height=\"{y}\" \
         font-family=\"DejaVu Sans, Verdana, Helvetica, sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{y}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Neighbouring rectangles overlap by this, in pixels, so that no background shows between them.
const SEAM: f64 = 0.6;

struct Canvas<'a> {
    plot: &'a Plot,
    x: Axis,
    y: Axis,
    /// Left, top, width, height of the frame.
    frame: [f64; 4],
    bar: Option<(Axis, &'a str)>,
}

impl<'a> Canvas<'a> {
    fn new(plot: &'a Plot) -> Self {
        let numbers =
            |k: usize| plot.marks.iter().flat_map(move |m| m.points.iter().map(move |p| p[k]));
        let foot = plot.marks.iter().any(|m| matches!(m.kind, Kind::Area)).then_some(0.0);
        let heat = plot.marks.iter().any(|m| matches!(m.kind, Kind::Heat(_)));
        let margin = if heat { 0.0 } else { 0.04 };
        let x = Axis::over(plot.scales[0], plot.limits[0], numbers(0), margin);
        let y = Axis::over(plot.scales[1], plot.limits[1], numbers(1).chain(foot), margin);
        let bar = plot.marks.iter().find_map(|m| match &m.kind {
            Kind::Heat(h) => {
                Some((Axis::over(h.scale, None, h.values.iter().copied(), 0.0), h.name.as_str()))
            }
            Kind::Colored { values, name } => {
                let axis = Axis::over(Scale::Linear, None, values.iter().copied(), 0.0);
                Some((axis, name.as_str()))
            }
            _ => None,
        });
        let right = if bar.is_some() { BAR } else { RIGHT };
        let frame = [LEFT, TOP, plot.size[0] - LEFT - right, plot.size[1] - TOP - BOTTOM];
        Canvas { plot, x, y, frame, bar }
    }

    fn at(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [left, top, width, height] = self.frame;
        let (u, v) = (self.x.at(x)?, self.y.at(y)?);
        // Far outside is still outside; huge coordinates trouble viewers.
        let (u, v) = (u.clamp(-9.0, 10.0), v.clamp(-9.0, 10.0));
        Some([left + u * width, top + (1.0 - v) * height])
    }

    fn draw(&self, out: &mut String) {
        let [left, top, width, height] = self.frame;
        let id = clip_name(&self.plot.title, self.frame);
        let _ = writeln!(
            out,
            r#"<clipPath id="{id}"><rect x="{left}" y="{top}" width="{width}" height="{height}"/></clipPath>"#
        );
        self.grid_lines(out);
        let _ = writeln!(out, r#"<g clip-path="url(#{id})">"#);
        let mut color = 0;
        let mut legend = vec![];
        for mark in &self.plot.marks {
            let ink = LINES[color % LINES.len()];
            self.mark(mark, ink, out);
            if !matches!(mark.kind, Kind::Heat(_) | Kind::Colored { .. }) {
                color += 1;
                if !mark.label.is_empty() {
                    legend.push((mark, ink));
                }
            }
        }
        out.push_str("</g>\n");
        let _ = writeln!(
            out,
            r##"<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#555"/>"##
        );
        self.texts(out);
        self.color_bar(out);
        self.legend(&legend, out);
    }

    fn grid_lines(&self, out: &mut String) {
        let [left, top, width, height] = self.frame;
        let (right, bottom) = (left + width, top + height);
        for (x, label) in self.x.ticks(width / 70.0) {
            let Some(u) = self.x.at(x) else { continue };
            let u = left + u * width;
            let _ = writeln!(out, r##"<path d="M{u:.1} {top}V{bottom}" stroke="#e4e4e4"/>"##);
            let v = bottom + 15.0;
            let _ =
                writeln!(out, r#"<text x="{u:.1}" y="{v:.1}" text-anchor="middle">{label}</text>"#);
        }
        for (y, label) in self.y.ticks(height / 45.0) {
            let Some(v) = self.y.at(y) else { continue };
            let v = top + (1.0 - v) * height;
            let _ = writeln!(out, r##"<path d="M{left} {v:.1}H{right}" stroke="#e4e4e4"/>"##);
            let (u, v) = (left - 6.0, v + 4.0);
            let _ =
                writeln!(out, r#"<text x="{u:.1}" y="{v:.1}" text-anchor="end">{label}</text>"#);
        }
    }

    fn mark(&self, mark: &Mark, ink: &str, out: &mut String) {
        match &mark.kind {
            Kind::Line { dashed } => {
                let dash = if *dashed { r#" stroke-dasharray="5 4""# } else { "" };
                let path = self.path(&mark.points);
                let _ = writeln!(
                    out,
                    r#"<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.6" stroke-linejoin="round"{dash}/>"#
                );
            }
            Kind::Area => {
                // Down to 0 where the axis has one.
                let zero = match self.plot.scales[1] {
                    Scale::Linear => self.y.at(0.0).unwrap_or(0.0).clamp(0.0, 1.0),
                    _ => 0.0,
                };
                let foot = self.frame[1] + (1.0 - zero) * self.frame[3];
                for run in self.runs(&mark.points) {
                    let (Some(a), Some(b)) = (run.first(), run.last()) else { continue };
                    let _ = write!(out, r#"<path d="M{:.2} {foot:.2}"#, a[0]);
                    run.iter().for_each(|p| {
                        let _ = write!(out, "L{:.2} {:.2}", p[0], p[1]);
                    });
                    let _ = writeln!(
                        out,
                        r#"L{:.2} {foot:.2}Z" fill="{ink}" fill-opacity="0.22"/>"#,
                        b[0]
                    );
                }
                let path = self.path(&mark.points);
                let _ = writeln!(
                    out,
                    r#"<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.6"/>"#
                );
            }
            Kind::Dots => mark.points.iter().filter_map(|p| self.at(*p)).for_each(|[u, v]| {
                let _ = writeln!(
                    out,
                    r#"<circle cx="{u:.2}" cy="{v:.2}" r="3" fill="{ink}" fill-opacity="0.75"/>"#
                );
            }),
            Kind::Stems => {
                let foot = self.frame[1] + self.frame[3];
                for u in mark.points.iter().filter_map(|p| self.x.at(p[0])) {
                    let u = self.frame[0] + u * self.frame[2];
                    let _ = writeln!(
                        out,
                        r#"<path d="M{u:.2} {foot:.1}v-9" stroke="{ink}" stroke-opacity="0.7"/>"#
                    );
                }
            }
            Kind::Colored { values, .. } => {
                let Some((bar, _)) = &self.bar else { return };
                for (i, p) in mark.points.iter().enumerate() {
                    if let Some([u, v]) = self.at(*p) {
                        let share = values.get(i).and_then(|value| bar.at(*value));
                        let ink = share.map_or_else(|| "none".to_string(), viridis);
                        let _ = writeln!(
                            out,
                            r##"<circle cx="{u:.2}" cy="{v:.2}" r="3.6" fill="{ink}" stroke="#333" stroke-width="0.5"/>"##
                        );
                    }
                }
            }
            Kind::Heat(heat) => self.heat(heat, out),
        }
    }

    /// Points without gaps between them, in pixels.
    fn runs(&self, points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
        let places: Vec<Option<[f64; 2]>> = points.iter().map(|p| self.at(*p)).collect();
        places.split(Option::is_none).map(|run| run.iter().flatten().copied().collect()).collect()
    }

    fn path(&self, points: &[[f64; 2]]) -> String {
        let mut path = String::new();
        for run in self.runs(points) {
            for (i, [u, v]) in run.iter().enumerate() {
                let _ = write!(path, "{}{u:.2} {v:.2}", if i == 0 { 'M' } else { 'L' });
            }
        }
        path
    }

    fn heat(&self, heat: &Heat, out: &mut String) {
        let Some((bar, _)) = &self.bar else { return };
        let nx = heat.x.len();
        if nx < 2 || heat.y.len() < 2 {
            return;
        }
        // Cell borders half way between the numbers.
        let border = |at: &[f64], i: usize| match i {
            0 => at[0],
            i if i == at.len() => at[i - 1],
            i => 0.5 * (at[i - 1] + at[i]),
        };
        let shade = |i: usize, j: usize| {
            bar.at(heat.values[j * nx + i]).map(|s| (s.clamp(0.0, 1.0) * SHADES).round() as usize)
        };
        out.push_str("<g shape-rendering=\"crispEdges\">\n");
        for j in 0..heat.values.len() / nx {
            let mut i = 0;
            while i < nx {
                let (first, here) = (i, shade(i, j));
                while i < nx && shade(i, j) == here {
                    i += 1;
                }
                let low = self.at([border(&heat.x, first), border(&heat.y, j)]);
                let high = self.at([border(&heat.x, i), border(&heat.y, j + 1)]);
                if let (Some(here), Some([u, v]), Some([right, top])) = (here, low, high) {
                    let ink = viridis(here as f64 / SHADES);
                    let _ = writeln!(
                        out,
                        r#"<rect x="{u:.2}" y="{top:.2}" width="{:.2}" height="{:.2}" fill="{ink}"/>"#,
                        right - u + SEAM,
                        v - top + SEAM
                    );
                }
            }
        }
        out.push_str("</g>\n");
        let scaled: Vec<Option<f64>> = heat.values.iter().map(|v| bar.at(*v)).collect();
        let along = |at: &[f64], u: f64| {
            let i = (u as usize).min(at.len() - 2);
            at[i] + (u - i as f64) * (at[i + 1] - at[i])
        };
        for k in 1..=heat.contours {
            let level = k as f64 / (heat.contours + 1) as f64;
            let mut path = String::new();
            for piece in pieces(nx, &scaled, level) {
                let [p, q] = piece.map(|[u, v]| self.at([along(&heat.x, u), along(&heat.y, v)]));
                if let (Some([a, b]), Some([c, d])) = (p, q) {
                    let _ = write!(path, "M{a:.2} {b:.2}L{c:.2} {d:.2}");
                }
            }
            let _ = writeln!(
                out,
                r##"<path d="{path}" fill="none" stroke="#fff" stroke-opacity="0.65" stroke-width="0.9" stroke-linecap="round"/>"##
            );
        }
    }

    fn texts(&self, out: &mut String) {
        let [left, top, width, height] = self.frame;
        let (middle, low) = (left + 0.5 * width, top + height + 34.0);
        let _ = writeln!(
            out,
            r#"<text x="{left}" y="19" font-size="13" font-weight="bold">{}</text>"#,
            escaped(&self.plot.title)
        );
        let _ = writeln!(
            out,
            r#"<text x="{middle:.1}" y="{low:.1}" text-anchor="middle">{}</text>"#,
            escaped(&self.plot.names[0])
        );
        let v = top + 0.5 * height;
        let _ = writeln!(
            out,
            r#"<text x="14" y="{v:.1}" text-anchor="middle" transform="rotate(-90 14 {v:.1})">{}</text>"#,
            escaped(&self.plot.names[1])
        );
    }

    fn color_bar(&self, out: &mut String) {
        let Some((bar, name)) = &self.bar else { return };
        let [left, top, width, height] = self.frame;
        let x = left + width + 12.0;
        let strip = height / SHADES;
        for k in 0..SHADES as usize {
            let (y, ink) =
                (top + height - (k + 1) as f64 * strip, viridis((k as f64 + 0.5) / SHADES));
            let _ = writeln!(
                out,
                r#"<rect x="{x}" y="{y:.2}" width="12" height="{:.2}" fill="{ink}"/>"#,
                strip + SEAM
            );
        }
        let mut ticks = bar.ticks(height / 45.0);
        if ticks.len() < 2 {
            let ends = [bar.value(0.0), bar.value(1.0)];
            ticks = ends.iter().map(|&v| (v, text(v, 0.01 * v.abs(), v.abs()))).collect();
        }
        for (value, label) in ticks {
            let Some(share) = bar.at(value) else { continue };
            let v = top + (1.0 - share) * height;
            let (u, w) = (x + 12.0, v + 4.0);
            let _ = writeln!(
                out,
                r##"<path d="M{u} {v:.1}h3" stroke="#555"/><text x="{:.1}" y="{w:.1}">{label}</text>"##,
                u + 5.0
            );
        }
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            self.plot.size[0] - 6.0,
            top - 8.0,
            escaped(name)
        );
    }

    fn legend(&self, entries: &[(&Mark, &str)], out: &mut String) {
        let longest = entries.iter().map(|(m, _)| m.label.chars().count()).max().unwrap_or(0);
        if longest == 0 {
            return;
        }
        let (w, h) = (longest as f64 * 6.6 + 34.0, entries.len() as f64 * 15.0 + 6.0);
        let [x, y] = self.emptiest([w, h]);
        let _ = writeln!(
            out,
            r##"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="#fff" fill-opacity="0.82" stroke="#ccc"/>"##
        );
        for (k, (mark, ink)) in entries.iter().enumerate() {
            let v = y + 11.0 + 15.0 * k as f64;
            let u = x + 6.0;
            let _ = match mark.kind {
                Kind::Dots => {
                    writeln!(out, r#"<circle cx="{:.1}" cy="{v:.1}" r="3" fill="{ink}"/>"#, u + 8.0)
                }
                Kind::Stems => {
                    writeln!(out, r#"<path d="M{:.1} {:.1}v-9" stroke="{ink}"/>"#, u + 8.0, v + 4.5)
                }
                Kind::Line { dashed: true } => writeln!(
                    out,
                    r#"<path d="M{u:.1} {v:.1}h16" stroke="{ink}" stroke-width="2" stroke-dasharray="5 4"/>"#
                ),
                _ => writeln!(
                    out,
                    r#"<path d="M{u:.1} {v:.1}h16" stroke="{ink}" stroke-width="2"/>"#
                ),
            };
            let (u, v) = (u + 22.0, v + 4.0);
            let _ = writeln!(out, r#"<text x="{u:.1}" y="{v:.1}">{}</text>"#, escaped(&mark.label));
        }
    }
}

impl Canvas<'_> {
    /// The corner in which a box of this size covers least of what is drawn; the upper right one of several.
    fn emptiest(&self, [w, h]: [f64; 2]) -> [f64; 2] {
        let [left, top, width, height] = self.frame;
        let (right, low) = (left + width - w - 6.0, top + height - h - 6.0);
        let corners =
            [[right, top + 6.0], [left + 6.0, top + 6.0], [right, low], [left + 6.0, low]];
        let mut covered = [0usize; 4];
        for mark in self.plot.marks.iter().filter(|m| !matches!(m.kind, Kind::Heat(_))) {
            let places: Vec<[f64; 2]> = mark.points.iter().filter_map(|p| self.at(*p)).collect();
            let lines = matches!(mark.kind, Kind::Line { .. } | Kind::Area);
            for pair in places.windows(2).chain(places.last().map(std::slice::from_ref)) {
                let [from, to] = [pair[0], pair[pair.len() - 1]];
                let steps = if lines { 16 } else { 1 };
                for step in 0..steps {
                    let t = f64::from(step) / f64::from(steps);
                    let [u, v] = [0, 1].map(|k| from[k] + t * (to[k] - from[k]));
                    for (count, [x, y]) in covered.iter_mut().zip(corners) {
                        let inside = x <= u && u <= x + w && y <= v && v <= y + h;
                        *count += usize::from(inside);
                    }
                }
            }
        }
        let best = (0..4).min_by_key(|&corner| covered[corner]).unwrap_or(0);
        corners[best]
    }
}

/// A name that pictures in one file do not share unless their frames are the same.
fn clip_name(title: &str, frame: [f64; 4]) -> String {
    let fold = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    let frame = frame.iter().flat_map(|x| x.to_bits().to_le_bytes());
    let hash = title.bytes().chain(frame).fold(0xcbf2_9ce4_8422_2325, fold);
    format!("c{hash:016x}")
}
