//! Pictures as scalable vector graphics: lines, areas, points, heat maps with contours, axes with numbers.
//!
//! ```
//! use pullback_graph::plot::Plot;
//! let picture = Plot::new("a parabola")
//!     .axes("x", "y")
//!     .line("x²", (-10..=10).map(|i| [f64::from(i), f64::from(i * i)]))
//!     .to_svg();
//! assert!(picture.starts_with("<svg"));
//! ```

mod axis;
mod color;
mod contour;
mod draw;

use axis::Scale;
pub use draw::grid;

/// The most contours: as many as there are shades.
const LEVELS: usize = 96;

/// One picture with two axes. Points that are not finite, or not positive on a logarithmic axis, are gaps.
#[derive(Debug, Clone)]
pub struct Plot {
    title: String,
    names: [String; 2],
    size: [f64; 2],
    scales: [Scale; 2],
    limits: [Option<[f64; 2]>; 2],
    marks: Vec<Mark>,
}

#[derive(Debug, Clone)]
struct Mark {
    label: String,
    points: Vec<[f64; 2]>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Line {
        dashed: bool,
    },
    Area,
    Dots,
    Stems,
    /// Dots with a number each, shown by colour.
    Colored {
        values: Vec<f64>,
        name: String,
    },
    Heat(Heat),
}

/// Numbers on a grid.
#[derive(Debug, Clone)]
struct Heat {
    x: Vec<f64>,
    y: Vec<f64>,
    values: Vec<f64>,
    name: String,
    scale: Scale,
    contours: usize,
}

impl Plot {
    /// An empty picture of 480 × 320 pixels.
    pub fn new(title: impl Into<String>) -> Self {
        Plot {
            title: title.into(),
            names: [String::new(), String::new()],
            size: [480.0, 320.0],
            scales: [Scale::Linear; 2],
            limits: [None; 2],
            marks: vec![],
        }
    }

    /// Names of the axes.
    #[must_use]
    pub fn axes(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        self.names = [x.into(), y.into()];
        self
    }

    /// Width and height in pixels, 160 to 10,000.
    #[must_use]
    pub fn size(mut self, width: f64, height: f64) -> Self {
        self.size = [width, height].map(|x| if x.is_nan() { 160.0 } else { x.clamp(160.0, 1e4) });
        self
    }

    /// A logarithmic horizontal axis.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.scales[0] = Scale::Logarithmic;
        self
    }

    /// A logarithmic vertical axis.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.scales[1] = Scale::Logarithmic;
        self
    }

    /// The part of the horizontal axis that is shown, in place of all.
    #[must_use]
    pub fn x_limits(mut self, low: f64, high: f64) -> Self {
        self.limits[0] = Some([low, high]);
        self
    }

    /// The part of the vertical axis that is shown, in place of all.
    #[must_use]
    pub fn y_limits(mut self, low: f64, high: f64) -> Self {
        self.limits[1] = Some([low, high]);
        self
    }

    fn mark(
        mut self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
        kind: Kind,
    ) -> Self {
        self.marks.push(Mark { label: label.into(), points: points.into_iter().collect(), kind });
        self
    }

    /// A broken line. An empty label stays out of the legend.
    #[must_use]
    pub fn line(
        self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
    ) -> Self {
        self.mark(label, points, Kind::Line { dashed: false })
    }

    /// A dashed line.
    #[must_use]
    pub fn dashed(
        self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
    ) -> Self {
        self.mark(label, points, Kind::Line { dashed: true })
    }

    /// A line with the area below it filled: a density.
    #[must_use]
    pub fn area(
        self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
    ) -> Self {
        self.mark(label, points, Kind::Area)
    }

    /// Separate points.
    #[must_use]
    pub fn dots(
        self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
    ) -> Self {
        self.mark(label, points, Kind::Dots)
    }

    /// A short stroke at the foot of the picture for each number: single eigenvalues below a density.
    #[must_use]
    pub fn stems(self, label: impl Into<String>, at: impl IntoIterator<Item = f64>) -> Self {
        self.mark(label, at.into_iter().map(|x| [x, f64::NAN]), Kind::Stems)
    }

    /// Points whose colour shows a number, with a colour bar of this name. A point without a finite number is hollow.
    #[must_use]
    pub fn colored(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = [f64; 2]>,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let points: Vec<[f64; 2]> = points.into_iter().collect();
        let values = values.into_iter().take(points.len()).collect();
        self.mark("", points, Kind::Colored { values, name: name.into() })
    }

    /// Numbers on a grid as colours with a colour bar of this name, and contours at so many levels, at most 96.
    ///
    /// `values`: a row for each y, a column for each x, both ascending and two or more; what is not finite is a gap, and so is what
    /// `values` is too short for. What it has beyond them is left out. `logarithmic`: colours and levels by the logarithm; numbers that
    /// are not positive are then gaps too.
    #[must_use]
    pub fn heat(
        self,
        name: impl Into<String>,
        x: &[f64],
        y: &[f64],
        values: &[f64],
        logarithmic: bool,
        contours: usize,
    ) -> Self {
        let scale = if logarithmic { Scale::Logarithmic } else { Scale::Linear };
        let corners = match (x.first(), x.last(), y.first(), y.last()) {
            (Some(&a), Some(&b), Some(&c), Some(&d)) => vec![[a, c], [b, d]],
            _ => vec![],
        };
        // Whole rows, the last filled with gaps: no more than there are numbers for.
        let columns = x.len().max(1);
        let rows = values.len().div_ceil(columns).min(y.len());
        let mut values: Vec<f64> = values.iter().copied().take(rows * columns).collect();
        values.resize(rows * columns, f64::NAN);
        let (x, y, contours) = (x.to_vec(), y.to_vec(), contours.min(LEVELS));
        let heat = Heat { x, y, values, name: name.into(), scale, contours };
        self.mark("", corners, Kind::Heat(heat))
    }

    /// The picture as the text of an SVG file.
    pub fn to_svg(&self) -> String {
        grid(1, std::slice::from_ref(self))
    }
}
