//! Pooling to a given size.

use pullback_core_graph::{Result, Var};

use super::Layer;
use super::pool::as_image;
use crate::kernel::pool::longest_adaptive_window;
use crate::ops;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Average pooling to a given size, see [`ops::adaptive_average_pool2d`]. The default is the mean of each channel, 1×1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAveragePool2d {
    /// Height and width of the output.
    pub size: [usize; 2],
}

/// Maximum pooling to a given size, see [`ops::adaptive_max_pool2d`]. The default is the largest of each channel, 1×1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveMaxPool2d {
    /// Height and width of the output.
    pub size: [usize; 2],
}

/// [`AdaptiveAveragePool2d`] of sequences: (batch, channels, length) ↦ (batch, channels, size).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAveragePool1d {
    /// Length of the output.
    pub size: usize,
}

/// [`AdaptiveMaxPool2d`] of sequences: (batch, channels, length) ↦ (batch, channels, size).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveMaxPool1d {
    /// Length of the output.
    pub size: usize,
}

impl Default for AdaptiveAveragePool2d {
    fn default() -> Self {
        Self { size: [1, 1] }
    }
}

impl Default for AdaptiveMaxPool2d {
    fn default() -> Self {
        Self { size: [1, 1] }
    }
}

impl Layer for AdaptiveAveragePool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::adaptive_average_pool2d(x, self.size).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        resize(walk, "adaptive_average_pool2d", &self.size)
    }
}

impl Layer for AdaptiveMaxPool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::adaptive_max_pool2d(x, self.size).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        resize(walk, "adaptive_max_pool2d", &self.size)
    }
}

impl Layer for AdaptiveAveragePool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("adaptive_average_pool1d", x)?;
        ops::adaptive_average_pool2d(image, [1, self.size]).squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        resize(walk, "adaptive_average_pool1d", &[self.size])
    }
}

impl Layer for AdaptiveMaxPool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("adaptive_max_pool1d", x)?;
        ops::adaptive_max_pool2d(image, [1, self.size]).squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        resize(walk, "adaptive_max_pool1d", &[self.size])
    }
}

/// What the longest window along each axis sees.
fn resize(walk: &mut Walk<'_>, kind: &'static str, size: &[usize]) -> crate::Result<()> {
    let axes = size.iter().enumerate().map(|(i, &to)| match walk.dims().get(i + 1) {
        Some(&from) if from > 0 && to > 0 => (to, longest_adaptive_window(from, to)),
        // Refused where the sizes are looked at.
        _ => (to, 1),
    });
    let axes: Vec<(usize, usize)> = axes.collect();
    walk.resize(kind, &axes)
}
