//! Dropout.

use candle_core::{Device, Tensor};
use pullback_core_graph::{Result, Var};
use rand::RngCore;

use super::Layer;
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// In training each number is 0 with this probability, else divided by 1 − probability; in evaluation nothing changes (Srivastava et
/// al. 2014).
///
/// What is dropped depends on the mode's seed, the layer's full name and the shape alone: two uses of one layer in one pass drop the
/// same numbers, and a repeated pass repeats.
#[derive(Debug, Clone)]
pub struct Dropout {
    name: String,
    probability: f64,
    channels: bool,
}

impl Dropout {
    /// A dropout of single numbers, told apart from others by the scope's path.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if the probability is not in \[0, 1).
    pub fn new(scope: &Scope<'_>, probability: f64) -> crate::Result<Self> {
        if !(0.0..1.0).contains(&probability) {
            let (name, reason) = ("probability", "must be in [0, 1)");
            return Err(crate::Error::Setting { name, value: probability, reason });
        }
        Ok(Self { name: scope.path().to_string(), probability, channels: false })
    }

    /// The same of whole channels: axes from the third on are dropped together (Tompson et al. 2015).
    #[must_use]
    pub fn of_channels(self) -> Self {
        Self { channels: true, ..self }
    }
}

impl Layer for Dropout {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let x = x.ok()?;
        let Some(mut random) = parameters.mode().random(&self.name) else { return Ok(x) };
        if self.probability == 0.0 {
            return Ok(x);
        }
        let mut dims = x.dims()?;
        if self.channels {
            dims.iter_mut().skip(2).for_each(|d| *d = 1);
        }
        // Kept where 32 random bits reach probability·2³².
        let limit = (self.probability * 2f64.powi(32)) as u32;
        let n = dims.iter().product();
        let mask: Vec<f32> =
            (0..n).map(|_| if random.next_u32() < limit { 0.0 } else { 1.0 }).collect();
        let mask = Tensor::from_vec(mask, dims, &Device::Cpu)?.to_dtype(x.dtype()?)?;
        // Rounded once, to the element type of x.
        let mask = mask.affine(1.0 / (1.0 - self.probability), 0.0)?.to_device(&x.device()?)?;
        (x * x.graph().constant(&mask)).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("dropout", &[])
    }
}
