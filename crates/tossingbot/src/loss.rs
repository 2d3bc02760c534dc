//! The two losses, each at the one pixel that was executed (TossingBot, section V).
//!
//! ```text
//! L   = L_g + m·L_t
//! L_g = −log softmax(logits at the pixel)[y]                    discriminative: did this grasp lead to a hit?
//! L_t = Huber((δ_θ − δ̄)/u),  δ̄ = v − v̂(p̂; a),  u = 0.1 m/s       hindsight: wherever it landed, the residual that gets there is known
//! ```
//!
//! Every other pixel has no loss. Two choices differ from the printed paper, for reasons that hold at any scale: m is 1 for every throw
//! that landed somewhere (with y, hindsight would be taken from hits alone), and the residual is measured in units u, because residuals
//! of .05–.4 m/s under a Huber corner of 1 m/s give a loss hundreds of times smaller than the cross entropy.

use std::sync::Arc;

use candle_core::Tensor;
use pullback_core_graph::tensor::{from_vec, with_slice};
use pullback_core_graph::{Error as GraphError, Graph, Linear, Result, Var, with_real};

/// The unit of the residual u in m/s: what the throw network puts out is δ/u.
pub const UNIT: f64 = 0.1;

/// Huber's function with corner 1, elementwise: r²/2 for |r| ≤ 1, |r| − ½ beyond. Its derivative is r clamped to [−1, 1].
pub fn huber(residual: Var<'_>) -> Var<'_> {
    let clamped = residual.clamp(-1.0, 1.0);
    clamped * (residual - 0.5 * clamped)
}

/// Cross entropy of two logits per sample `[B, 2]` (0: miss, 1: hit) against labels: −log softmax(logits)[y], `[B]`.
///
/// # Errors
/// Those of the network, out of the variable.
pub fn cross_entropy<'g>(logits: Var<'g>, hits: &[bool]) -> Result<Var<'g>> {
    let other = |hit: bool| if hit { [0.0f32, 1.0] } else { [1.0, 0.0] };
    let labels: Vec<f32> = hits.iter().flat_map(|&hit| other(hit)).collect();
    let graph: &Graph = logits.graph();
    let labels = graph.constant(&Tensor::from_vec(labels, (hits.len(), 2), &logits.device()?)?);
    (-(logits.log_softmax(-1) * labels).sum(-1)).ok()
}

/// Picks one pixel of each sample: maps `[B, C, H, W]` at flat pixels `[B]` (row·W + column) give `[B, C]`.
pub fn at_pixels<'g>(maps: Var<'g>, pixels: &[usize]) -> Var<'g> {
    maps.linear(Pick { pixels: Arc::from(pixels) })
}

#[derive(Clone)]
struct Pick {
    pixels: Arc<[usize]>,
}

/// The transpose of [`Pick`]: zeros but for the picked pixels.
#[derive(Clone)]
struct Place {
    pixels: Arc<[usize]>,
    dims: [usize; 4],
}

impl Linear for Pick {
    fn name(&self) -> &str {
        "at_pixels"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let what = "maps [B, C, H, W] and one pixel inside each";
        let (batch, channels, height, width) =
            x.dims4().map_err(|_| GraphError::shape(self.name(), what, &[x.dims()]))?;
        let size = height * width;
        if batch != self.pixels.len() || self.pixels.iter().any(|&pixel| pixel >= size) {
            return Err(GraphError::shape(self.name(), what, &[x.dims(), &[self.pixels.len()]]));
        }
        with_real!(self.name(), x.dtype(), T => {
            let picked = with_slice::<T, _>(x, |x| {
                let pixel = |i: usize| x[i * size + self.pixels[i / channels]];
                (0..batch * channels).map(pixel).collect::<Vec<T>>()
            })?;
            from_vec(picked, &[batch, channels], x.device())
        })
    }

    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match x.dims().map(<[usize; 4]>::try_from) {
            Ok(Ok(dims)) => dy.linear(Place { pixels: self.pixels.clone(), dims }),
            _ => x,
        }
    }
}

impl Linear for Place {
    fn name(&self) -> &str {
        "place_at_pixels"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let [_, channels, height, width] = self.dims;
        let size = height * width;
        with_real!(self.name(), x.dtype(), T => {
            let mut placed = vec![T::default(); self.dims.iter().product()];
            with_slice::<T, _>(x, |x| {
                for (i, &value) in x.iter().enumerate() {
                    placed[i * size + self.pixels[i / channels]] = value;
                }
            })?;
            from_vec(placed, &self.dims, x.device())
        })
    }

    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(Pick { pixels: self.pixels.clone() })
    }
}
