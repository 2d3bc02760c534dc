//! Joint-space inertia by composite rigid bodies, and its factor M = Lᵀ·D·L, which has the sparsity of the tree
//! (Featherstone, Rigid Body Dynamics Algorithms, 6.2 and 8.5).

use super::NO_PARENT;
use crate::spatial::MINVAL;
use crate::spatial::motion::{dot6, multiply};
use crate::{Data, Model};

/// Composite inertias and M = Σ Sᵀ·I·S + armature (`mj_crb`).
pub(crate) fn composite(model: &Model, data: &mut Data) {
    let nv = model.nv();
    data.crb.copy_from_slice(&data.cinert);
    for body in (1..model.nbody()).rev() {
        let parent = model.body_parentid[body];
        if parent > 0 {
            let own = data.crb[body];
            for k in 0..10 {
                data.crb[parent][k] += own[k];
            }
        }
    }
    for i in 0..nv {
        let momentum = multiply(&data.crb[model.dof_bodyid[i]], &data.cdof[i]);
        let mut j = i;
        while j != NO_PARENT {
            let entry = dot6(&data.cdof[j], &momentum);
            data.qM[i * nv + j] = entry;
            data.qM[j * nv + i] = entry;
            j = model.dof_parentid[j];
        }
        data.qM[i * nv + i] += model.dof_armature[i];
    }
}

/// In place: M's lower triangle becomes L below the diagonal and D on it. Pivots below `MINVAL` are raised to it, as in MuJoCo.
pub(crate) fn factor(parents: &[usize], m: &mut [f64], inverse: &mut [f64]) {
    let nv = parents.len();
    for k in (0..nv).rev() {
        let pivot = m[k * nv + k].max(MINVAL);
        m[k * nv + k] = pivot;
        inverse[k] = 1.0 / pivot;
        let mut i = parents[k];
        while i != NO_PARENT {
            let ratio = m[k * nv + i] * inverse[k];
            let mut j = i;
            while j != NO_PARENT {
                m[i * nv + j] -= m[k * nv + j] * ratio;
                j = parents[j];
            }
            m[k * nv + i] = ratio;
            i = parents[i];
        }
    }
}

/// x = M⁻¹·x with M's factor.
pub(crate) fn solve(parents: &[usize], ld: &[f64], inverse: &[f64], x: &mut [f64]) {
    let nv = parents.len();
    for k in (0..nv).rev() {
        let xk = x[k];
        if xk != 0.0 {
            let mut i = parents[k];
            while i != NO_PARENT {
                x[i] -= ld[k * nv + i] * xk;
                i = parents[i];
            }
        }
    }
    for k in 0..nv {
        x[k] *= inverse[k];
    }
    for k in 0..nv {
        let mut xk = x[k];
        let mut i = parents[k];
        while i != NO_PARENT {
            xk -= ld[k * nv + i] * x[i];
            i = parents[i];
        }
        x[k] = xk;
    }
}

/// X = M⁻¹·X for a matrix of `width` columns, row-major: the same substitutions on whole rows.
pub(crate) fn solve_rows(
    parents: &[usize],
    ld: &[f64],
    inverse: &[f64],
    width: usize,
    x: &mut [f64],
) {
    let nv = parents.len();
    // Rows i < k.
    let update = |x: &mut [f64], to: usize, from: usize, by: f64| {
        let (low, high) = (to.min(from), to.max(from));
        let (head, tail) = x.split_at_mut(high * width);
        let (a, b) = (&mut head[low * width..(low + 1) * width], &mut tail[..width]);
        let (target, source) = if to < from { (a, &*b) } else { (b, &*a) };
        for (t, s) in target.iter_mut().zip(source) {
            *t -= by * s;
        }
    };
    for k in (0..nv).rev() {
        let mut i = parents[k];
        while i != NO_PARENT {
            update(x, i, k, ld[k * nv + i]);
            i = parents[i];
        }
    }
    for (row, by) in x.chunks_exact_mut(width.max(1)).zip(inverse) {
        row.iter_mut().for_each(|v| *v *= by);
    }
    for k in 0..nv {
        let mut i = parents[k];
        while i != NO_PARENT {
            update(x, k, i, ld[k * nv + i]);
            i = parents[i];
        }
    }
}

/// y = M·x over the entries of the tree.
pub(crate) fn multiply_inertia(parents: &[usize], m: &[f64], x: &[f64], y: &mut [f64]) {
    let nv = parents.len();
    for i in 0..nv {
        let mut sum = m[i * nv + i] * x[i];
        let mut j = parents[i];
        while j != NO_PARENT {
            let entry = m[i * nv + j];
            sum += entry * x[j];
            y[j] += entry * x[i];
            j = parents[j];
        }
        y[i] = sum;
    }
}
