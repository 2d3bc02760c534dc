//! Pooling layers.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::arithmetic::Window;
use crate::kernel::pool::Divisor;
use crate::ops;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Maximum pooling, see [`ops::max_pool2d`]. The default is 3×3 with stride 2 and padding 1, which halves an even size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Step between neighbouring windows, in pixels.
    pub stride: [usize; 2],
    /// Padding on both sides of each axis, in pixels.
    pub padding: [usize; 2],
}

impl MaxPool2d {
    /// A window that steps by its own size, without padding.
    #[must_use]
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 2] }
    }
}

impl Default for MaxPool2d {
    fn default() -> Self {
        Self { kernel: [3, 3], stride: [2, 2], padding: [1, 1] }
    }
}

impl Layer for MaxPool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::max_pool2d(x, self.kernel, self.stride, self.padding).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let windows = windows(self.kernel, self.stride, self.padding);
        walk.windows("max_pool2d", [None, None], &windows, &[])
    }
}

/// Average pooling, see [`ops::average_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool2d {
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Step between neighbouring windows, in pixels.
    pub stride: [usize; 2],
    /// Padding on both sides of each axis, in pixels.
    pub padding: [usize; 2],
    /// What a window's sum is divided by.
    pub divisor: Divisor,
}

impl AveragePool2d {
    /// A window that steps by its own size, without padding.
    #[must_use]
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 2], divisor: Divisor::Kernel }
    }
}

impl Layer for AveragePool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::average_pool2d(x, self.kernel, self.stride, self.padding, self.divisor).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let windows = windows(self.kernel, self.stride, self.padding);
        walk.windows("average_pool2d", [None, None], &windows, &[])
    }
}

fn windows(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> [Window; 2] {
    let window =
        |i| Window { kernel: kernel[i], stride: stride[i], padding: padding[i], dilation: 1 };
    [window(0), window(1)]
}

/// Maximum pooling of sequences (batch, channels, length).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool1d {
    /// Length of the window.
    pub kernel: usize,
    /// Step between neighbouring windows.
    pub stride: usize,
    /// Padding on both sides.
    pub padding: usize,
}

/// Average pooling of sequences (batch, channels, length).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool1d {
    /// Length of the window.
    pub kernel: usize,
    /// Step between neighbouring windows.
    pub stride: usize,
    /// Padding on both sides.
    pub padding: usize,
    /// What a window's sum is divided by.
    pub divisor: Divisor,
}

impl Layer for MaxPool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("max_pool1d", x)?;
        let y = ops::max_pool2d(image, [1, self.kernel], [1, self.stride], [0, self.padding]);
        y.squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let window = Window::new(self.kernel).stride(self.stride).padding(self.padding);
        walk.windows("max_pool1d", [None, None], &[window], &[])
    }
}

impl Layer for AveragePool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("average_pool1d", x)?;
        let Self { kernel, stride, padding, divisor } = *self;
        ops::average_pool2d(image, [1, kernel], [1, stride], [0, padding], divisor).squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let window = Window::new(self.kernel).stride(self.stride).padding(self.padding);
        walk.windows("average_pool1d", [None, None], &[window], &[])
    }
}

/// (batch, channels, length) as an image of height 1.
pub(super) fn as_image<'g>(node: &str, x: Var<'g>) -> Result<Var<'g>> {
    let dims = x.dims()?;
    match dims[..] {
        [_, _, _] => x.unsqueeze(2).ok(),
        _ => Err(Error::shape(node, "(batch, channels, length)", &[&dims])),
    }
}

/// Average pooling to a given size, see [`ops::adaptive_average_pool2d`]. The default is the mean of each channel, 1×1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAveragePool2d {
    /// Height and width of the output.
    pub size: [usize; 2],
}

impl Default for AdaptiveAveragePool2d {
    fn default() -> Self {
        Self { size: [1, 1] }
    }
}

impl Layer for AdaptiveAveragePool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::adaptive_average_pool2d(x, self.size).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let longest = (0..2).map(|i| match (walk.dims().get(i + 1), self.size[i]) {
            (Some(from), to) if to > 0 => from.div_ceil(to),
            _ => 1,
        });
        let taps = longest.max().unwrap_or(1);
        walk.resize("adaptive_average_pool2d", &self.size, taps)
    }
}
