//! Average pooling to a given size.

use candle_core::{Device, Tensor};
use pullback_core_graph::{Error, Graph, Result, Var};

use super::failed;
use super::slices::check_room;
use crate::kernel::pool::adaptive_window;

/// Means over windows that cover the image evenly: output i of m averages pixels ⌊i·n/m⌋ up to ⌈(i + 1)·n/m⌉ of n, so that
/// neighbours overlap where m does not divide n. Shape: (batch, channels, h, w) ↦ (batch, channels, height, width).
///
/// Errors: another rank, a size of 0.
#[must_use]
pub fn adaptive_average_pool2d(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    averaged(x, size).unwrap_or_else(|e| failed(x.graph(), "adaptive_average_pool2d", e))
}

fn averaged(x: Var<'_>, [height, width]: [usize; 2]) -> Result<Var<'_>> {
    let dims = x.dims()?;
    let node = "adaptive_average_pool2d";
    let [n, c, h, w] = dims[..] else {
        let what = "(batch, channels, height, width)";
        return Err(Error::shape("adaptive_average_pool2d", what, &[&dims]));
    };
    if [height, width, h, w].contains(&0) {
        let what = format!("no pixels: from {h}×{w} to {height}×{width}");
        return Err(Error::invalid(node, what));
    }
    if [height, width] == [1, 1] {
        return x.reshape(&[n, c, h * w]).mean(-1).reshape(&[n, c, 1, 1]).ok();
    }
    // The windows are a product of one along each axis: A·X·Bᵀ.
    let rows = means(x.graph(), x, h, height)?;
    let columns = means(x.graph(), x, w, width)?;
    let x = x.reshape(&[n * c, h, w]);
    rows.matmul(x).matmul(columns.t()).reshape(&[n, c, height, width]).ok()
}

/// The matrix (to, from) whose row i averages window i.
fn means<'g>(graph: &'g Graph, like: Var<'g>, from: usize, to: usize) -> Result<Var<'g>> {
    check_room::<f64>("adaptive_average_pool2d", &[to, from])?;
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let window = adaptive_window(i, from, to);
        let weight = 1.0 / window.len() as f64;
        row[window].fill(weight);
    }
    let matrix = Tensor::from_vec(matrix, (to, from), &Device::Cpu)?;
    Ok(graph.constant(&matrix.to_dtype(like.dtype()?)?.to_device(&like.device()?)?))
}
