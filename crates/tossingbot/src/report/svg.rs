//! Drawing with scalable vector graphics: a plane with axes, and marks on it.

use std::fmt::Write;

/// A rectangle of the plane, drawn with labelled axes.
pub(super) struct Plane {
    width: f64,
    height: f64,
    x: [f64; 2],
    y: [f64; 2],
    body: String,
}

/// Margins in pixels: left, right, top, bottom.
const MARGIN: [f64; 4] = [46.0, 20.0, 22.0, 36.0];

impl Plane {
    /// A drawing of `width` × `height` pixels that shows x in `x` and y in `y`.
    pub(super) fn new(width: f64, height: f64, x: [f64; 2], y: [f64; 2]) -> Self {
        Self { width, height, x, y, body: String::new() }
    }

    /// A drawing whose two axes have the same scale; the height follows.
    pub(super) fn equal(width: f64, x: [f64; 2], y: [f64; 2]) -> Self {
        let scale = (width - MARGIN[0] - MARGIN[1]) / (x[1] - x[0]);
        Self::new(width, scale * (y[1] - y[0]) + MARGIN[2] + MARGIN[3], x, y)
    }

    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [left, right, top, bottom] = MARGIN;
        let u = (x - self.x[0]) / (self.x[1] - self.x[0]);
        let v = (y - self.y[0]) / (self.y[1] - self.y[0]);
        [
            left + u * (self.width - left - right),
            self.height - bottom - v * (self.height - top - bottom),
        ]
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        self.body.write_fmt(arguments).ok();
    }

    /// Grid lines with numbers at `xs` and `ys` (with `decimals` digits), names of the axes, and a title.
    pub(super) fn axes(
        &mut self,
        title: &str,
        names: [&str; 2],
        xs: &[f64],
        ys: &[f64],
        decimals: [usize; 2],
    ) {
        let ([x0, x1], [y0, y1]) = (self.x, self.y);
        for &x in xs {
            let ([u, v], [_, w]) = (self.at(x, y0), self.at(x, y1));
            self.push(format_args!(r#"<path class="grid" d="M{u:.1} {v:.1}V{w:.1}"/>"#));
            let (v, d) = (v + 14.0, decimals[0]);
            self.push(format_args!(
                r#"<text class="tick" x="{u:.1}" y="{v:.1}" text-anchor="middle">{x:.d$}</text>"#
            ));
        }
        for &y in ys {
            let ([u, v], [w, _]) = (self.at(x0, y), self.at(x1, y));
            self.push(format_args!(r#"<path class="grid" d="M{u:.1} {v:.1}H{w:.1}"/>"#));
            let (u, v, d) = (u - 6.0, v + 3.5, decimals[1]);
            self.push(format_args!(
                r#"<text class="tick" x="{u:.1}" y="{v:.1}" text-anchor="end">{y:.d$}</text>"#
            ));
        }
        let (middle, low) = (self.at(0.5 * (x0 + x1), y0)[0], self.height - 5.0);
        self.push(format_args!(
            r#"<text class="name" x="{middle:.1}" y="{low:.1}" text-anchor="middle">{}</text>"#,
            names[0]
        ));
        let middle = self.at(x0, 0.5 * (y0 + y1))[1];
        self.push(format_args!(r#"<text class="name" x="12" y="{middle:.1}" text-anchor="middle" transform="rotate(-90 12 {middle:.1})">{}</text>"#, names[1]));
        self.push(format_args!(r#"<text class="title" x="{}" y="14">{title}</text>"#, MARGIN[0]));
    }

    /// A broken line. Points that are not finite interrupt it.
    pub(super) fn line(&mut self, points: impl IntoIterator<Item = [f64; 2]>, style: &str) {
        let mut path = String::new();
        let mut pen = 'M';
        for [x, y] in points {
            if !(x.is_finite() && y.is_finite()) {
                pen = 'M';
                continue;
            }
            let [u, v] = self.at(x, y);
            write!(path, "{pen}{u:.1} {v:.1}").ok();
            pen = 'L';
        }
        self.push(format_args!(r#"<path fill="none" style="{style}" d="{path}"/>"#));
    }

    /// A dot.
    pub(super) fn dot(&mut self, [x, y]: [f64; 2], radius: f64, style: &str) {
        let [u, v] = self.at(x, y);
        self.push(format_args!(
            r#"<circle cx="{u:.1}" cy="{v:.1}" r="{radius}" style="{style}"/>"#
        ));
    }

    /// A rectangle between two corners.
    pub(super) fn rectangle(&mut self, low: [f64; 2], high: [f64; 2], style: &str) {
        let ([u, bottom], [right, v]) = (self.at(low[0], low[1]), self.at(high[0], high[1]));
        let (w, h) = (right - u, bottom - v);
        self.push(format_args!(
            r#"<rect x="{u:.1}" y="{v:.1}" width="{w:.1}" height="{h:.1}" style="{style}"/>"#
        ));
    }

    /// The drawing as an element of a page.
    pub(super) fn finish(self) -> String {
        let Self { width, height, body, .. } = self;
        format!(
            r#"<svg viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" role="img">{body}</svg>"#
        )
    }
}
