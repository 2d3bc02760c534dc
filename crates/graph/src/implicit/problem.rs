//! A root problem as a solver sees it: the residual, its Jacobian, and Newton's direction.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::{ensure_finite, from_vec, is_real, to_f64};
use pullback_core_graph::{Direction, Error, Function, LinearMap, Phase, Result, Wrt};

use super::factor::Factors;
use crate::direction::{Spec, count, inside};

/// Numbers in the unit directions that are pushed together.
const UNITS: usize = 1 << 20;
/// The most numbers in the Jacobian of a whole batch.
const LIMIT: usize = 1 << 27;

/// F(y, θ) = 0, for y: the parameters θ are fixed.
pub struct RootProblem<'a> {
    name: &'a str,
    residual: &'a Arc<dyn Function>,
    parameters: &'a [Tensor],
    y: Spec,
    /// The number of elements of the batch, and the unknowns of each.
    pub(super) batch: usize,
    pub(super) n: usize,
}

impl<'a> RootProblem<'a> {
    pub(super) fn new(
        name: &'a str,
        residual: &'a Arc<dyn Function>,
        parameters: &'a [Tensor],
        batch: usize,
        guess: &Tensor,
    ) -> Result<Self> {
        if !is_real(guess) {
            let what = "a root needs f32 or f64";
            return Err(Error::DType { node: name.into(), what, got: vec![guess.dtype()] });
        }
        ensure_finite(guess, name, Phase::Eval, 0)?;
        if guess.rank() < batch {
            let what = format!("{batch} batch dimensions of the guess");
            return Err(Error::shape(name, what, &[guess.dims()]));
        }
        let (lead, rest) = guess.dims().split_at(batch);
        let (batch, n) = (lead.iter().product(), rest.iter().product::<usize>());
        if LIMIT < n.saturating_mul(n).saturating_mul(batch) {
            let what = format!("a Jacobian of {n}×{n} for {batch} elements, above {LIMIT} numbers");
            return Err(Error::shape(name, what, &[guess.dims()]));
        }
        Ok(RootProblem { name, residual, parameters, y: Spec::of(guess), batch, n })
    }

    /// The name of the node, for errors.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The parameters θ.
    pub fn parameters(&self) -> &[Tensor] {
        self.parameters
    }

    /// F(y, θ), of the shape of y and finite. Errors: those of F; another number, shape or element type of outputs.
    pub fn residual(&self, y: &Tensor) -> Result<Tensor> {
        let r = self.residual.eval(&self.arguments(y)?).map_err(|e| self.at(e))?;
        self.checked(r)
    }

    /// F(y, θ), and Newton's direction −F_y⁻¹·F. Errors: a singular Jacobian, too.
    pub fn newton_direction(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let (r, factors) = self.factored(y)?;
        let direction = factors.solve(&r, false)?.neg()?;
        Ok((r, direction))
    }

    /// F(y, θ), and the map of its derivative with respect to y alone (port 0), for solvers that make no matrix.
    pub fn linearized(&self, y: &Tensor) -> Result<(Tensor, Box<dyn LinearMap>)> {
        self.by_y(y)
    }

    /// How many elements the batch has, and the unknowns of each.
    pub fn sizes(&self) -> (usize, usize) {
        (self.batch, self.n)
    }

    fn arguments(&self, y: &Tensor) -> Result<Vec<Tensor>> {
        self.y.check(self.name, "y like the guess (y, guess)", y)?;
        Ok(std::iter::once(y.clone()).chain(self.parameters.iter().cloned()).collect())
    }

    fn at(&self, e: Error) -> Error {
        inside(self.name, self.residual.name(), e)
    }

    fn checked(&self, r: Vec<Tensor>) -> Result<Tensor> {
        count(self.name, "outputs of the residual", 1, r.len())?;
        let r = r.into_iter().next().ok_or_else(|| Error::invalid(self.name, "no residual"))?;
        self.y.check(self.name, "a residual of the shape of y (residual, y)", &r)?;
        ensure_finite(&r, self.name, Phase::Eval, 0)?;
        Ok(r.detach())
    }

    /// F's linear map at y, with respect to the arguments in `wrt`.
    pub(super) fn linearize(&self, y: &Tensor, wrt: &[bool]) -> Result<Box<dyn LinearMap>> {
        let made = self.residual.linearize(&self.arguments(y)?, Wrt(wrt));
        Ok(made.map_err(|e| self.at(e))?.1)
    }

    /// F and the factors of F_y at y.
    pub(super) fn factored(&self, y: &Tensor) -> Result<(Tensor, Factors)> {
        let (r, map) = self.by_y(y)?;
        // Of nothing, however many unknowns an element has, nothing is pushed.
        let n = if self.batch == 0 { 0 } else { self.n };
        let mut jacobian = vec![0.0; self.batch * n * n];
        let together = (UNITS / (self.batch * n).max(1)).clamp(1, 256);
        for start in (0..n).step_by(together) {
            let columns = start..n.min(start + together);
            let units: Result<Vec<Direction>> = columns.clone().map(|j| self.unit(j)).collect();
            let pushed = map.push_many(&units?).map_err(|e| self.at(e))?;
            count(self.name, "directions pushed at once", columns.len(), pushed.len())?;
            for (j, column) in columns.zip(pushed) {
                let Some(column) = column.first().and_then(Option::as_ref) else { continue };
                self.y.check(self.name, "a column of the Jacobian like y (column, y)", column)?;
                ensure_finite(column, self.name, Phase::Push, 0)?;
                for (k, v) in to_f64(column)?.into_iter().enumerate() {
                    jacobian[k * n + j] = v;
                }
            }
        }
        Ok((r, Factors::new(self.name, self.batch, n, jacobian, self.y.clone())?))
    }

    fn by_y(&self, y: &Tensor) -> Result<(Tensor, Box<dyn LinearMap>)> {
        let arguments = self.arguments(y)?;
        let wrt: Vec<bool> = (0..arguments.len()).map(|i| i == 0).collect();
        let (r, map) = self.residual.linearize(&arguments, Wrt(&wrt)).map_err(|e| self.at(e))?;
        Ok((self.checked(r)?, map))
    }

    /// The unit direction of unknown j in every element of the batch.
    fn unit(&self, j: usize) -> Result<Direction> {
        let mut data = vec![0.0; self.batch * self.n];
        data.iter_mut().skip(j).step_by(self.n.max(1)).for_each(|v| *v = 1.0);
        self.direction(data)
    }

    fn direction(&self, data: Vec<f64>) -> Result<Direction> {
        let mut d = vec![None; 1 + self.parameters.len()];
        d[0] = Some(self.like(data)?);
        Ok(d)
    }

    /// A tensor like y.
    pub(super) fn like(&self, data: Vec<f64>) -> Result<Tensor> {
        let t = from_vec(data, &self.y.dims, &self.y.device)?;
        Ok(t.to_dtype(self.y.dtype)?)
    }

    /// Does F act on each element of the batch by itself? A push along a direction without structure must be the product with the blocks.
    pub(super) fn check_batch(&self, y: &Tensor, factors: &Factors) -> Result<()> {
        if self.batch < 2 {
            return Ok(());
        }
        let (_, map) = self.by_y(y)?;
        let data: Vec<f64> =
            (0..self.batch * self.n).map(|i| (i as f64 * 2.399963 + 1.0).sin()).collect();
        let pushed = map.push(&self.direction(data.clone())?).map_err(|e| self.at(e))?;
        let pushed = match pushed.into_iter().next().flatten() {
            Some(d) => to_f64(&d)?,
            None => vec![0.0; data.len()],
        };
        let blocks = factors.product(&data);
        let scale = blocks.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let off = blocks.iter().zip(&pushed).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        if 1e-4 * scale < off {
            let what = format!(
                "F couples the elements of its batch: a push differs by {off:e} from the blocks' product, {scale:e}"
            );
            return Err(Error::invalid(self.name, what));
        }
        Ok(())
    }
}

/// The largest magnitude.
pub(super) fn largest(t: &Tensor) -> Result<f64> {
    Ok(to_f64(t)?.into_iter().fold(0.0, |m, v| m.max(v.abs())))
}
