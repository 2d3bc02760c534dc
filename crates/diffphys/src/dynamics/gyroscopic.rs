//! The derivative of gyroscopic forces that implicitfast keeps: of free bodies with nothing jointed to them.
//!
//! MuJoCo since 3.11 (manual, "Gyroscopic derivatives for free bodies"): the six rows of such a body in M̂ = M − h·D are coupled to no
//! others, so h·C with C = ∂bias/∂v is added to them and the block, which is not symmetric, is solved on its own. Nor are the slopes of the
//! medium's forces on it made symmetric.
//!
//! Translations are along the world's axes and rotations about the body's, so that bias(v) depends on the rotation ω alone and is quadratic
//! in it: with ω and α as motions about the body's origin, C(ω)·α = Sᵀ·f, f = ω ×* I·α + α ×* I·ω, linear in both.

use super::medium;
use crate::gradient::push_slopes;
use crate::spatial::Spatial;
use crate::spatial::motion::{Inertia, accumulate_scaled, add6, cross_force, dot6, multiply};
use crate::{Data, Model};

/// The force f of C(ω)·α.
pub(crate) fn force(inertia: &Inertia, omega: &Spatial, alpha: &Spatial) -> Spatial {
    let first = cross_force(omega, &multiply(inertia, alpha));
    add6(&first, &cross_force(alpha, &multiply(inertia, omega)))
}

/// The rotation of the free body whose degrees of freedom start at `first`, moving as `v` says, as a motion about its origin.
pub(crate) fn rotation(data: &Data, first: usize, v: &[f64]) -> Spatial {
    let mut out = [0.0; 6];
    for k in first + 3..first + 6 {
        accumulate_scaled(&mut out, &data.cdof[k], v[k]);
    }
    out
}

impl Model {
    /// Which of the free bodies with nothing jointed to them the body is, or is welded to.
    pub(crate) fn lone(&self, body: usize) -> Option<usize> {
        let root = self.body_rootid[body];
        let moves = self.body_dofnum[root] == 6;
        moves.then(|| self.free.binary_search(&self.body_dofadr[root]).ok()).flatten()
    }

    /// Is it one?
    pub(crate) fn is_lone(&self, body: usize) -> bool {
        self.lone(body).is_some()
    }
}

/// Inertia of a free body and of what is welded to it.
pub(crate) fn inertia<'a>(model: &Model, data: &'a Data, first: usize) -> &'a Inertia {
    &data.crb[model.dof_bodyid[first]]
}

/// Factors of the blocks of free bodies, P·A = L·U. Empty for other integrators.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks {
    list: Vec<Block>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first: usize,
    lu: [[f64; 6]; 6],
    /// Row exchanged with each row.
    pivot: [usize; 6],
}

impl Blocks {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// Takes the blocks out of `matrix` = M − h·D, lower triangle, before it is factored: they are left as the identity, so that a solve
    /// with the factor passes their numbers through. A block without a factor stays.
    pub(crate) fn take(&mut self, model: &Model, data: &Data, matrix: &mut [f64]) {
        self.list.clear();
        let (nv, h) = (model.nv(), model.opt.timestep);
        for &first in &model.free {
            let mut a = [[0.0; 6]; 6];
            for r in 0..6 {
                for c in 0..=r {
                    a[r][c] = matrix[(first + r) * nv + first + c];
                    a[c][r] = a[r][c];
                }
            }
            let omega = rotation(data, first, &data.qvel);
            for c in 3..6 {
                let f = force(inertia(model, data, first), &omega, &data.cdof[first + c]);
                for r in 0..6 {
                    a[r][c] += h * dot6(&data.cdof[first + r], &f);
                }
            }
            self.list.push(Block { first, lu: a, pivot: [0; 6] });
        }
        medium::each_element(model, data, |element| {
            let Some(block) = model.lone(element.body) else { return };
            let Block { first, lu, .. } = &mut self.list[block];
            let force = element.by_velocity(model, data);
            for c in 0..6 {
                let local = element.local(&data.cdof[*first + c]);
                let f = element.world(&push_slopes(&force, &local));
                for r in 0..6 {
                    lu[r][c] -= h * dot6(&data.cdof[*first + r], &f);
                }
            }
        });
        self.list.retain_mut(|Block { first, lu, pivot }| {
            let Some(exchanged) = factor(lu) else { return false };
            *pivot = exchanged;
            for r in 0..6 {
                for c in 0..=r {
                    matrix[(*first + r) * nv + *first + c] = f64::from(u8::from(r == c));
                }
            }
            true
        });
    }

    /// The blocks' numbers of x become those of M̂⁻¹·x.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        for Block { first, lu, pivot } in &self.list {
            let x = &mut x[*first..first + 6];
            for i in 0..6 {
                x.swap(i, pivot[i]);
                x[i] -= (0..i).map(|j| lu[i][j] * x[j]).sum::<f64>();
            }
            for i in (0..6).rev() {
                x[i] = (x[i] - (i + 1..6).map(|j| lu[i][j] * x[j]).sum::<f64>()) / lu[i][i];
            }
        }
    }

    /// The blocks' numbers of x become those of M̂⁻ᵀ·x.
    pub(crate) fn solve_transposed(&self, x: &mut [f64]) {
        for Block { first, lu, pivot } in &self.list {
            let x = &mut x[*first..first + 6];
            for i in 0..6 {
                x[i] = (x[i] - (0..i).map(|j| lu[j][i] * x[j]).sum::<f64>()) / lu[i][i];
            }
            for i in (0..6).rev() {
                x[i] -= (i + 1..6).map(|j| lu[j][i] * x[j]).sum::<f64>();
            }
            for i in (0..6).rev() {
                x.swap(i, pivot[i]);
            }
        }
    }
}

/// Gaussian elimination with row exchanges, in place; none where a pivot vanishes.
fn factor(a: &mut [[f64; 6]; 6]) -> Option<[usize; 6]> {
    let mut pivot = [0; 6];
    for k in 0..6 {
        let largest =
            |best: usize, r: usize| if a[r][k].abs() > a[best][k].abs() { r } else { best };
        let row = (k..6).fold(k, largest);
        if a[row][k] == 0.0 {
            return None;
        }
        pivot[k] = row;
        a.swap(k, row);
        let top = a[k];
        for r in k + 1..6 {
            a[r][k] /= top[k];
            for c in k + 1..6 {
                a[r][c] -= a[r][k] * top[c];
            }
        }
    }
    Some(pivot)
}
