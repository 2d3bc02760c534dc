//! The table of a network: each layer's output, window, parameters and receptive field, from the layers' own sizes.
//!
//! Nothing is computed with images here, so a network for large ones is described at once.

use std::collections::BTreeMap;
use std::fmt;

use crate::arithmetic::{Fit, ReceptiveField, Window};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::parameters::Parameters;

/// One layer in a [`Summary`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The path of its parameters; empty if it has none.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// The shape of one sample of its output: (channels, height, width) for images.
    pub output: Vec<usize>,
    /// The windows along height and width, or along the one axis there is.
    pub windows: Vec<Window>,
    /// How its parameters are counted: taps·outputs·inputs, then the bias.
    pub formula: String,
    /// How many numbers it learns, those that it shares with other layers included.
    pub parameters: usize,
    /// What one output sees of the input, for each axis of an image; empty once an output sees everything.
    pub receptive: Vec<ReceptiveField>,
}

/// A network layer by layer; [`Display`](fmt::Display) prints the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The shape of one sample of the input.
    pub input: Vec<usize>,
    /// The layers in the order in which they compute.
    pub rows: Vec<Row>,
    /// How many numbers the whole network learns; parameters that several layers share count once.
    pub parameters: usize,
}

/// Describes `layer` for inputs of this shape, without the batch: (channels, height, width), (channels, length), (features).
///
/// # Errors
/// [`Error::WindowTooLarge`], [`Error::Argument`] where something does not fit, [`Error::Parameter`] for parameters that are not
/// in `parameters`, [`Error::Undescribed`] for a layer that does not implement [`Layer::walk`].
pub fn summary(layer: &dyn Layer, parameters: &Parameters, input: &[usize]) -> Result<Summary> {
    let receptive = vec![ReceptiveField::PIXEL; input.len().saturating_sub(1)];
    let state = State { dims: input.to_vec(), receptive };
    let mut walk = Walk { parameters, state, rows: vec![], counted: BTreeMap::new() };
    layer.walk(&mut walk)?;
    let total = walk.counted.values().sum();
    Ok(Summary { input: input.to_vec(), rows: walk.rows, parameters: total })
}

/// A walk through a network that carries shapes and receptive fields from layer to layer.
#[derive(Debug)]
pub struct Walk<'a> {
    parameters: &'a Parameters,
    state: State,
    rows: Vec<Row>,
    /// How many numbers the parameters of the rows have, by name: once, however many layers share them.
    counted: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    dims: Vec<usize>,
    receptive: Vec<ReceptiveField>,
}

impl Walk<'_> {
    /// The shape of one sample here.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.state.dims
    }

    /// A layer that keeps the shape, with the full names of its parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a name that is not there.
    pub fn keep(&mut self, kind: &'static str, names: &[&str]) -> Result<()> {
        self.row(kind, vec![], names)
    }

    /// A layer after which each output sees one whole sample, or has no place in an image.
    ///
    /// # Errors
    /// As [`Walk::keep`].
    pub fn reshape(&mut self, kind: &'static str, dims: &[usize], names: &[&str]) -> Result<()> {
        self.state = State { dims: dims.to_vec(), receptive: vec![] };
        self.row(kind, vec![], names)
    }

    /// A layer that exchanges the last axis, of length `from`, for one of length `to`.
    ///
    /// # Errors
    /// As [`Walk::keep`]; [`Error::Argument`] if the last axis has another length.
    pub fn features(
        &mut self,
        kind: &'static str,
        [from, to]: [usize; 2],
        names: &[&str],
    ) -> Result<()> {
        let mut dims = self.state.dims.clone();
        match dims.last_mut() {
            Some(last) if *last == from => *last = to,
            _ => return Err(Self::unfit(kind, "features", from, "is not the last axis' length")),
        }
        self.reshape(kind, &dims, names)
    }

    /// A layer that halves an axis.
    ///
    /// # Errors
    /// [`Error::Argument`] if the axis is not there, is the batch, or is odd.
    pub fn halve(&mut self, kind: &'static str, axis: i32) -> Result<()> {
        // Axis 0 of the layer's input is the batch.
        let rank = self.state.dims.len();
        let index = match axis {
            1.. => Some(axis as usize - 1),
            _ => rank.checked_sub(axis.unsigned_abs() as usize),
        };
        match index.and_then(|i| self.state.dims.get_mut(i)).filter(|n| **n % 2 == 0) {
            Some(length) => *length /= 2,
            None => {
                let value = axis.unsigned_abs() as usize;
                return Err(Self::unfit(kind, "axis", value, "needs an even length"));
            }
        }
        self.row(kind, vec![], &[])
    }

    /// Windows along the last axes of an image; `channels` is what comes in (if it matters) and what goes out (if it changes).
    ///
    /// # Errors
    /// As [`Walk::keep`] and [`Window::fit`]; [`Error::Argument`] for another rank or number of channels.
    pub fn windows(
        &mut self,
        kind: &'static str,
        channels: [Option<usize>; 2],
        windows: &[Window],
        names: &[&str],
    ) -> Result<()> {
        self.fitted(kind, channels, windows, Window::fit, names)
    }

    /// Windows of a pooling along the last axes of an image; `ceil`: with those that reach beyond it, [`Window::fit_ceil`].
    ///
    /// # Errors
    /// As [`Walk::windows`].
    pub fn pooling(&mut self, kind: &'static str, windows: &[Window], ceil: bool) -> Result<()> {
        let fit = if ceil { Window::fit_ceil } else { Window::fit };
        self.fitted(kind, [None, None], windows, fit, &[])
    }

    fn fitted(
        &mut self,
        kind: &'static str,
        channels: [Option<usize>; 2],
        windows: &[Window],
        fit: fn(Window, usize) -> Result<Fit>,
        names: &[&str],
    ) -> Result<()> {
        self.image(kind, channels, windows.len())?;
        for (i, window) in windows.iter().enumerate() {
            self.state.dims[i + 1] = fit(*window, self.state.dims[i + 1])?.output;
            if let Some(field) = self.state.receptive.get_mut(i) {
                *field = field.through(*window);
            }
        }
        self.row(kind, windows.to_vec(), names)
    }

    /// Transposed windows, with the output padding of each.
    ///
    /// # Errors
    /// As [`Walk::windows`] and [`Window::transposed`].
    pub fn transposed(
        &mut self,
        kind: &'static str,
        channels: [Option<usize>; 2],
        windows: &[(Window, usize)],
        names: &[&str],
    ) -> Result<()> {
        self.image(kind, channels, windows.len())?;
        for (i, (window, extra)) in windows.iter().enumerate() {
            self.state.dims[i + 1] = window.transposed(self.state.dims[i + 1], *extra)?;
            if let Some(field) = self.state.receptive.get_mut(i) {
                *field = field.through_transposed(*window);
            }
        }
        self.row(kind, windows.iter().map(|(window, _)| *window).collect(), names)
    }

    /// A resizing of the image: for each axis its new size, and of how many neighbours at most an output is a blend.
    ///
    /// # Errors
    /// [`Error::Argument`] for another rank or a size of 0.
    pub fn resize(&mut self, kind: &'static str, axes: &[(usize, usize)]) -> Result<()> {
        self.image(kind, [None, None], axes.len())?;
        for (i, &(to, taps)) in axes.iter().enumerate() {
            crate::error::check_positive(kind, "size", to)?;
            let from = std::mem::replace(&mut self.state.dims[i + 1], to);
            if let Some(field) = self.state.receptive.get_mut(i) {
                *field = field.enlarged(taps, to as f64 / from as f64);
            }
        }
        self.row(kind, vec![], &[])
    }

    /// Two ways from here whose results are added.
    ///
    /// # Errors
    /// Those of the ways; [`Error::Argument`] if they end in different shapes.
    pub fn sum(
        &mut self,
        first: impl FnOnce(&mut Self) -> Result<()>,
        second: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let start = self.state.clone();
        first(self)?;
        let end = std::mem::replace(&mut self.state, start);
        second(self)?;
        if self.state.dims != end.dims {
            let (value, reason) =
                (end.dims.iter().product(), "elements on one way, others on the other");
            return Err(Self::unfit("sum", "shape", value, reason));
        }
        let both = self.state.receptive.iter().zip(&end.receptive).map(|(a, b)| a.joined(*b));
        self.state.receptive = both.collect();
        Ok(())
    }

    /// Checks the rank and the channels, and sets the channels that go out.
    fn image(
        &mut self,
        kind: &'static str,
        channels: [Option<usize>; 2],
        axes: usize,
    ) -> Result<()> {
        let rank = self.state.dims.len();
        if rank != axes + 1 {
            return Err(Self::unfit(kind, "rank", rank, "is not that of (channels, axes…)"));
        }
        if let Some(expected) = channels[0].filter(|c| *c != self.state.dims[0]) {
            return Err(Self::unfit(kind, "channels", expected, "are not those that come in"));
        }
        self.state.dims[0] = channels[1].unwrap_or(self.state.dims[0]);
        Ok(())
    }

    fn unfit(
        operation: &'static str,
        argument: &'static str,
        value: usize,
        reason: &'static str,
    ) -> Error {
        Error::Argument { operation, argument, value, reason }
    }

    fn row(&mut self, kind: &'static str, windows: Vec<Window>, names: &[&str]) -> Result<()> {
        let tensors = names.iter().map(|n| self.parameters.get(n)).collect::<Result<Vec<_>>>()?;
        let name = names.first().and_then(|n| n.rsplit_once('.')).map_or("", |(path, _)| path);
        let counts = names.iter().zip(&tensors).map(|(n, t)| (n.to_string(), t.elem_count()));
        self.counted.extend(counts);
        let formula: Vec<String> = tensors.iter().map(|t| product(t.dims())).collect();
        self.rows.push(Row {
            name: name.to_string(),
            kind,
            output: self.state.dims.clone(),
            windows,
            formula: formula.join(" + "),
            parameters: tensors.iter().map(|t| t.elem_count()).sum(),
            receptive: self.state.receptive.clone(),
        });
        Ok(())
    }
}

/// taps·outputs·inputs of a weight (outputs, inputs, taps…).
fn product(dims: &[usize]) -> String {
    let factors = match dims {
        [outputs, inputs, taps @ ..] if !taps.is_empty() => {
            vec![taps.iter().product(), *outputs, *inputs]
        }
        other => other.to_vec(),
    };
    factors.iter().map(ToString::to_string).collect::<Vec<_>>().join("·")
}

/// Height × width × channels, as the literature writes images; other shapes as they are.
fn shape(dims: &[usize]) -> String {
    let order: Vec<String> = match dims {
        [channels, height, width] => vec![height, width, channels],
        other => other.iter().collect(),
    }
    .into_iter()
    .map(ToString::to_string)
    .collect();
    order.join("×")
}

/// One number if all are equal, else all.
fn one_or_all<T: PartialEq>(values: &[T], show: impl Fn(&T) -> String) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|v| v == first) => show(first),
        all => all.iter().map(show).collect::<Vec<_>>().join("×"),
    }
}

fn window(windows: &[Window]) -> String {
    if windows.is_empty() {
        return String::new();
    }
    let mut text = windows.iter().map(|w| w.kernel.to_string()).collect::<Vec<_>>().join("×");
    let parts: [(&str, fn(&Window) -> usize, usize); 3] =
        [(" /", |w| w.stride, 1), (" +", |w| w.padding, 0), (" :", |w| w.dilation, 1)];
    for (mark, part, usual) in parts {
        let values: Vec<usize> = windows.iter().map(part).collect();
        if values.iter().any(|v| *v != usual) {
            text += &format!("{mark}{}", one_or_all(&values, ToString::to_string));
        }
    }
    text
}

impl fmt::Display for Summary {
    /// Columns: layer, what it is, output, window (kernel /stride +padding :dilation), parameters, receptive field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "kind", "output", "window", "parameters", "", "sees"];
        let mut lines: Vec<[String; 7]> = vec![head.map(String::from)];
        let blank = String::new;
        let input =
            ["input".into(), blank(), shape(&self.input), blank(), blank(), blank(), blank()];
        lines.push(input);
        for row in &self.rows {
            lines.push([
                row.name.clone(),
                row.kind.into(),
                shape(&row.output),
                window(&row.windows),
                row.formula.clone(),
                if row.parameters == 0 { blank() } else { row.parameters.to_string() },
                one_or_all(&row.receptive, |r| format!("{}", r.size)),
            ]);
        }
        let total = self.parameters.to_string();
        lines.push(["total".into(), blank(), blank(), blank(), blank(), total, blank()]);
        let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max();
        let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                // Numbers to the right.
                .map(
                    |(i, (cell, &w))| {
                        if i < 5 { format!("{cell:<w$}") } else { format!("{cell:>w$}") }
                    },
                )
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}
