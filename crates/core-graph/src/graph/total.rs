//! Partial and total derivatives between any two variables, as dense Jacobians.

use candle_core::{DType, Device, Tensor};

use super::{Graph, Var};
use crate::tensor::{from_vec, with_slice};
use crate::{Direction, Error, Result, with_real};

/// Jacobians above this number of elements are refused: pull or push what is needed instead.
const LIMIT: usize = 1 << 28;
/// Numbers in the unit directions that are swept together.
const UNITS: usize = 1 << 22;

impl Graph {
    /// The total derivative df/dx: the sum over all paths from `x` to `f` of the products of partial derivatives.
    ///
    /// Shape: that of f, then that of x. Forward sweeps if x has fewer elements than f, else backward.
    pub fn total<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, Vec::new(), backward(f, x)?)
    }

    /// [`Graph::total`] by the forward chain rule: one push per element of x.
    pub fn total_forward<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, Vec::new(), false)
    }

    /// [`Graph::total`] by the backward chain rule: one pull per element of f.
    pub fn total_backward<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, Vec::new(), true)
    }

    /// The partial derivative ∂f/∂x: every other *named* variable is held fixed.
    ///
    /// The variables of a network are those that [`Var::named`] names; the unnamed operations between them belong to the function
    /// that computes the next named one. So ∂f/∂x sums over the paths from `x` to `f` that meet no other named variable, where
    /// df/dx sums over all. Zero if there is no such path. Shape: that of f, then that of x. Forward sweeps if x has fewer elements
    /// than f, else backward.
    pub fn partial<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, self.named(), backward(f, x)?)
    }

    /// [`Graph::partial`] by the forward chain rule: one push per element of x.
    pub fn partial_forward<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, self.named(), false)
    }

    /// [`Graph::partial`] by the backward chain rule: one pull per element of f.
    pub fn partial_backward<'g>(&'g self, f: Var<'g>, x: Var<'g>) -> Result<Tensor> {
        self.holding(f, x, self.named(), true)
    }

    /// The partial derivative ∂f/∂x where the listed variables are held fixed. The sweep is chosen as by [`Graph::partial`].
    pub fn partial_holding<'g>(
        &'g self,
        f: Var<'g>,
        x: Var<'g>,
        fixed: &[Var<'g>],
    ) -> Result<Tensor> {
        let held = self.parents("partial", fixed)?.to_vec();
        self.holding(f, x, held, backward(f, x)?)
    }

    /// [`Graph::partial_holding`] by the forward chain rule.
    pub fn partial_holding_forward<'g>(
        &'g self,
        f: Var<'g>,
        x: Var<'g>,
        fixed: &[Var<'g>],
    ) -> Result<Tensor> {
        self.holding(f, x, self.parents("partial", fixed)?.to_vec(), false)
    }

    /// [`Graph::partial_holding`] by the backward chain rule.
    pub fn partial_holding_backward<'g>(
        &'g self,
        f: Var<'g>,
        x: Var<'g>,
        fixed: &[Var<'g>],
    ) -> Result<Tensor> {
        self.holding(f, x, self.parents("partial", fixed)?.to_vec(), true)
    }

    fn named(&self) -> Vec<u32> {
        self.arena().names.keys().copied().collect()
    }

    /// [`Graph::partial`] of one variable with respect to several, by the same backward sweeps: one pull per element of f.
    ///
    /// A variable that f reaches along no path of differentiable operations, other named ones and the others of `x` held fixed, gives
    /// `None`: a structural zero.
    pub fn partials<'g>(&'g self, f: Var<'g>, x: &[Var<'g>]) -> Result<Vec<Option<Tensor>>> {
        let ft = f.value()?;
        let (id, wrt) = (self.parents("partials", &[f])?[0], self.parents("partials", x)?);
        let mut held: Vec<u32> = self.arena().names.keys().copied().chain(wrt.clone()).collect();
        held.retain(|&slot| slot != id);
        let at: Vec<Tensor> = x.iter().map(|v| v.value()).collect::<Result<_>>()?;
        at.iter().try_for_each(|xt| self.limit(f, &ft, xt))?;
        let (n, mut parts) = (ft.elem_count(), Vec::new());
        let step = (UNITS / n.max(1)).max(1);
        for start in (0..n).step_by(step) {
            let seeds: Result<Vec<_>> =
                (start..n.min(start + step)).map(|i| Ok(vec![(id, unit(&ft, i)?)])).collect();
            parts.extend(self.pull_ids(&seeds?, &wrt, &held)?);
        }
        let one = |(k, xt): (usize, &Tensor)| {
            let rows: Vec<Direction> = parts.iter().map(|part| vec![part[k].clone()]).collect();
            let any = rows.iter().any(|row| row[0].is_some());
            any.then(|| assemble(&rows, &ft, xt, true)).transpose()
        };
        at.iter().enumerate().map(one).collect()
    }

    /// ∂f/∂x with the slots of `held` fixed, by one pull per element of f or one push per element of x, some at a time.
    fn holding<'g>(
        &'g self,
        f: Var<'g>,
        x: Var<'g>,
        mut held: Vec<u32>,
        backward: bool,
    ) -> Result<Tensor> {
        let (ft, xt) = (f.value()?, x.value()?);
        self.limit(f, &ft, &xt)?;
        let ids = self.parents("partial", &[f, x])?;
        held.retain(|&slot| slot != ids[0]);
        let (seed, from, to) = if backward { (ids[0], &ft, ids[1]) } else { (ids[1], &xt, ids[0]) };
        let n = from.elem_count();
        let mut parts = Vec::with_capacity(n);
        for start in (0..n).step_by((UNITS / n.max(1)).max(1)) {
            let end = n.min(start + (UNITS / n.max(1)).max(1));
            let seeds: Result<Vec<_>> =
                (start..end).map(|i| Ok(vec![(seed, unit(from, i)?)])).collect();
            parts.extend(match backward {
                true => self.pull_ids(&seeds?, &[to], &held)?,
                false => self.push_ids(&seeds?, &[to], &held)?,
            });
        }
        assemble(&parts, &ft, &xt, backward)
    }

    /// The operation that computes `f`, and the variables it reads.
    pub fn inputs_of<'g>(&'g self, f: Var<'g>) -> Result<Vec<Var<'g>>> {
        let id = self.parents("inputs_of", &[f])?[0];
        let arena = self.arena();
        let node = &arena.nodes[arena.slots[id as usize].node as usize];
        Ok(node.parents.iter().map(|&p| Var::new(self, p)).collect())
    }

    fn limit<'g>(&'g self, f: Var<'g>, ft: &Tensor, xt: &Tensor) -> Result<()> {
        if ft.elem_count().saturating_mul(xt.elem_count()) > LIMIT {
            let what = format!("a dense Jacobian above {LIMIT} elements; use push or pull");
            return Err(Error::shape(self.node_name(f), what, &[ft.dims(), xt.dims()]));
        }
        Ok(())
    }
}

/// Is the backward sweep the one with fewer or as many directions?
fn backward<'g>(f: Var<'g>, x: Var<'g>) -> Result<bool> {
    let elements = |v: Var<'g>| Ok::<usize, Error>(v.dims()?.iter().product());
    Ok(elements(f)? <= elements(x)?)
}

/// The unit direction of element `i`.
fn unit(t: &Tensor, i: usize) -> Result<Tensor> {
    with_real!("jacobian", t.dtype(), T => {
        let mut data = vec![0 as T; t.elem_count()];
        data[i] = 1.0;
        from_vec(data, t.dims(), t.device())
    })
}

/// Stacks rows ∂f_i/∂x (or columns ∂f/∂x_j) into a tensor of shape f.dims ++ x.dims.
fn assemble(parts: &[Direction], f: &Tensor, x: &Tensor, rows: bool) -> Result<Tensor> {
    let (m, n) = (f.elem_count(), x.elem_count());
    let mut data = vec![0.0f64; m * n];
    for (k, part) in parts.iter().enumerate() {
        if let Some(t) = &part[0] {
            let mut put = |v: f64, l: usize| data[if rows { k * n + l } else { l * n + k }] = v;
            with_slice::<f64, _>(&t.to_dtype(DType::F64)?, |v| {
                v.iter().enumerate().for_each(|(l, &v)| put(v, l))
            })?;
        }
    }
    let dims: Vec<usize> = f.dims().iter().chain(x.dims()).copied().collect();
    Ok(from_vec(data, &dims, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?)
}
