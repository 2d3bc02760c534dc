//! Pooling layers.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::arithmetic::Window;
use crate::kernel::pool::Divisor;
use crate::ops;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Maximum pooling, see [`ops::max_pool2d`]. The default is 3×3 with stride 2 and padding 1, which halves an even size.
///
/// Shape: (batch, channels, height, width) ↦ (batch, channels, ⌊(height + 2·padding − kernel)/stride⌋ + 1, …), with `ceil` rounded up as
/// [`ops::max_pool2d_ceil`] says. Errors of [`Layer::forward`]: another rank, a size or stride of 0, padding not less than the kernel, a
/// kernel larger than the padded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Step between neighbouring windows, in pixels.
    pub stride: [usize; 2],
    /// Padding on both sides of each axis, in pixels.
    pub padding: [usize; 2],
    /// Whether a last window counts that reaches beyond the padded image.
    pub ceil: bool,
}

impl MaxPool2d {
    /// A window that steps by its own size, without padding.
    #[must_use]
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 2], ceil: false }
    }
}

impl MaxPool2d {
    fn of(self, x: Var<'_>) -> Var<'_> {
        let pool = if self.ceil { ops::max_pool2d_ceil } else { ops::max_pool2d };
        pool(x, self.kernel, self.stride, self.padding)
    }
}

impl Default for MaxPool2d {
    fn default() -> Self {
        Self { kernel: [3, 3], stride: [2, 2], padding: [1, 1], ceil: false }
    }
}

impl Layer for MaxPool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.of(x).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let windows = windows(self.kernel, self.stride, self.padding);
        walk.pooling("max_pool2d", &windows, self.ceil)
    }
}

/// Average pooling, see [`ops::average_pool2d`]. Shape and errors as [`MaxPool2d`]; a fixed divisor of 0 is an error, too.
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
    /// Whether a last window counts that reaches beyond the padded image.
    pub ceil: bool,
}

impl AveragePool2d {
    /// A window that steps by its own size, without padding.
    #[must_use]
    pub fn new(kernel: [usize; 2]) -> Self {
        let divisor = Divisor::Kernel;
        Self { kernel, stride: kernel, padding: [0; 2], divisor, ceil: false }
    }

    fn of(self, x: Var<'_>) -> Var<'_> {
        let pool = if self.ceil { ops::average_pool2d_ceil } else { ops::average_pool2d };
        pool(x, self.kernel, self.stride, self.padding, self.divisor)
    }
}

impl Layer for AveragePool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.of(x).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let windows = windows(self.kernel, self.stride, self.padding);
        walk.pooling("average_pool2d", &windows, self.ceil)
    }
}

fn windows(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> [Window; 2] {
    let window =
        |i| Window { kernel: kernel[i], stride: stride[i], padding: padding[i], dilation: 1 };
    [window(0), window(1)]
}

/// Maximum pooling of sequences: (batch, channels, length) ↦ (batch, channels, ⌊(length + 2·padding − kernel)/stride⌋ + 1). The rest as
/// [`MaxPool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool1d {
    /// Length of the window.
    pub kernel: usize,
    /// Step between neighbouring windows.
    pub stride: usize,
    /// Padding on both sides.
    pub padding: usize,
    /// Whether a last window counts that reaches beyond the padded sequence.
    pub ceil: bool,
}

impl MaxPool1d {
    /// A window that steps by its own length, without padding.
    #[must_use]
    pub fn new(kernel: usize) -> Self {
        Self { kernel, stride: kernel, padding: 0, ceil: false }
    }
}

/// Average pooling of sequences: (batch, channels, length) ↦ (batch, channels, ⌊(length + 2·padding − kernel)/stride⌋ + 1). The rest as
/// [`AveragePool2d`].
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
    /// Whether a last window counts that reaches beyond the padded sequence.
    pub ceil: bool,
}

impl AveragePool1d {
    /// A window that steps by its own length, without padding.
    #[must_use]
    pub fn new(kernel: usize) -> Self {
        Self { kernel, stride: kernel, padding: 0, divisor: Divisor::Kernel, ceil: false }
    }
}

impl Layer for MaxPool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("max_pool1d", x)?;
        let Self { kernel, stride, padding, ceil } = *self;
        let flat =
            MaxPool2d { kernel: [1, kernel], stride: [1, stride], padding: [0, padding], ceil };
        flat.of(image).squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let window = Window::new(self.kernel).stride(self.stride).padding(self.padding);
        walk.pooling("max_pool1d", &[window], self.ceil)
    }
}

impl Layer for AveragePool1d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let image = as_image("average_pool1d", x)?;
        let Self { kernel, stride, padding, divisor, ceil } = *self;
        let (kernel, stride, padding) = ([1, kernel], [1, stride], [0, padding]);
        AveragePool2d { kernel, stride, padding, divisor, ceil }.of(image).squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let window = Window::new(self.kernel).stride(self.stride).padding(self.padding);
        walk.pooling("average_pool1d", &[window], self.ceil)
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
