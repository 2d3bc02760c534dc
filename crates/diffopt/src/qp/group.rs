//! A group of problems side by side in the lanes: scaled data, iterates, and the factor that solving leaves behind.
//!
//! Equalities and inequalities are the rows of one matrix C = [A; G] with right-hand side c = [b; h] and multipliers y = [ν; λ]; the first
//! p rows are equalities. Scaled with powers of two (Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices,
//! 2001): x = D·x̂, y = E·ŷ/k, and Q̂ = k·D·Q·D, q̂ = k·D·q, Ĉ = E·C·D, ĉ = E·c; exact, so that well-scaled problems keep their bits.

use pulp::Simd;

use super::data::QpData;
use crate::lanes::{Arena, PerLane, Pool, WIDEST, all_finite, gather, magnitude, padded};

/// Sizes of the problems of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Unknowns, padded for the kernels.
    pub(crate) n: usize,
    /// Unknowns of the user.
    pub(crate) unknowns: usize,
    /// Equalities.
    pub(crate) p: usize,
    /// Rows of C.
    pub(crate) r: usize,
}

impl Size {
    pub(crate) fn new(unknowns: usize, p: usize, m: usize) -> Self {
        Size { n: padded(unknowns), unknowns, p, r: p + m }
    }

    /// Are problems of this size worked on side by side? Their matrices must fit into the second-level cache.
    pub(crate) fn wide(&self) -> bool {
        self.n * (self.n + self.r) <= 40_000
    }
}

/// Everything about W problems that outlives their solution.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) size: Size,
    pub(crate) width: usize,
    /// How many lanes hold a problem of their own; the others repeat the last one.
    pub(crate) count: usize,
    arena: Arena,
    /// Where the memory goes afterwards.
    pool: Pool,
    /// k
    pub(crate) cost: PerLane,
}

impl Clone for Group {
    /// Into memory of the pool, to which it will go back.
    fn clone(&self) -> Self {
        let length = Group::lengths(self.size, self.width).iter().sum();
        let (arena, pool) = (self.pool.copy(&self.arena, length), self.pool.clone());
        Group { arena, pool, ..*self }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.arena));
    }
}

/// The parts of a group's memory, to write and to read. Matrices by rows; one vector of W numbers an entry.
macro_rules! parts {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {
        /// The parts of a group's memory.
        pub(crate) struct Fields<'a> {
            $(#[$doc] pub(crate) $name: &'a mut [f64],)*
        }

        /// The parts of a group's memory, to read.
        pub(crate) struct View<'a> {
            $(#[$doc] #[allow(dead_code)] pub(crate) $name: &'a [f64],)*
        }

        impl Group {
            pub(crate) fn fields(&mut self) -> Fields<'_> {
                let [$($name),*] = self.arena.cut(Group::lengths(self.size, self.width));
                Fields { $($name),* }
            }

            pub(crate) fn view(&self) -> View<'_> {
                let [$($name),*] = self.arena.view(Group::lengths(self.size, self.width));
                View { $($name),* }
            }
        }
    };
}

parts!(
    /// Q̂
    q_matrix,
    /// Ĉ
    c_matrix,
    /// The Cholesky factor of Q̂ + ρI + Ĉᵀ·diag(w)·Ĉ.
    l,
    /// 1/l_jj
    inverse,
    /// The weights of the rows in that factor.
    w,
    /// q̂
    q,
    /// ĉ
    c,
    /// D
    d,
    /// E
    e,
    /// D⁻¹
    d_inverse,
    /// E⁻¹
    e_inverse,
    /// The unknowns x̂.
    x,
    /// The multipliers ŷ.
    y,
    /// The slacks ĉ − Ĉx̂ of the inequalities.
    s,
    /// 1 for the rows that hold with equality, 0 for the others.
    active,
);

impl Group {
    pub(crate) fn new(size: Size, width: usize, pool: &Pool) -> Self {
        let arena = pool.take(Group::lengths(size, width).iter().sum());
        Group { size, width, count: width, arena, pool: pool.clone(), cost: [1.0; WIDEST] }
    }

    fn lengths(size: Size, width: usize) -> [usize; 15] {
        let (n, r) = (size.n * width, size.r * width);
        [n * size.n, r * size.n, n * size.n, n, r, n, r, n, r, n, r, n, r, r, r]
    }

    /// Loads problems `first .. first + count` and scales them. Which lanes have finite numbers only?
    #[inline(always)]
    pub(crate) fn load<S: Simd>(
        &mut self,
        simd: S,
        data: &QpData<'_>,
        first: usize,
        count: usize,
        passes: usize,
    ) -> PerLane<bool> {
        let (size, width) = (self.size, S::F64_LANES);
        let Size { n, unknowns, p, r } = size;
        self.count = count;
        let mut cost = [1.0; WIDEST];
        let f = self.fields();
        let mut sources = [[&[][..]; WIDEST]; 6];
        for lane in 0..width {
            let item = data.item(first + lane.min(count - 1));
            for (sources, slice) in sources.iter_mut().zip(item) {
                sources[lane] = slice;
            }
        }
        if unknowns < n {
            f.q_matrix.fill(0.0);
            f.c_matrix.fill(0.0);
            f.q.fill(0.0);
        }
        let (c_upper, c_lower) = f.c_matrix.split_at_mut(p * n * width);
        let (upper, lower) = f.c.split_at_mut(p * width);
        let [q_matrix, q, a, b, g, h] = &sources;
        gather(simd, (unknowns, unknowns, n), q_matrix, f.q_matrix);
        gather(simd, (1, unknowns, n), q, f.q);
        gather(simd, (p, unknowns, n), a, c_upper);
        gather(simd, (1, p, p), b, upper);
        gather(simd, (r - p, unknowns, n), g, c_lower);
        gather(simd, (1, r - p, r - p), h, lower);
        let finite = all_finite(simd, [&*f.q_matrix, &*f.q, &*f.c_matrix, &*f.c]);
        // The padding: unknowns that nothing else touches, with curvature 1.
        for i in unknowns..n {
            f.q_matrix[(i * n + i) * width..(i * n + i + 1) * width].fill(1.0);
        }
        symmetrize(simd, n, f.q_matrix);
        f.d.fill(1.0);
        f.e.fill(1.0);
        f.d_inverse.fill(1.0);
        f.e_inverse.fill(1.0);
        let mut scaled = false;
        for _ in 0..passes {
            // Not in use yet: the places of x and y.
            let (matrices, scales) = ([&mut *f.q_matrix, &mut *f.c_matrix], [&mut *f.d, &mut *f.e]);
            if !equilibrate(simd, size, matrices, scales, [&mut *f.x, &mut *f.y]) {
                break;
            }
            scaled = true;
        }
        if scaled {
            for i in 0..f.d.len() {
                f.q[i] *= f.d[i];
                f.d_inverse[i] = 1.0 / f.d[i];
            }
            for i in 0..f.e.len() {
                f.c[i] *= f.e[i];
                f.e_inverse[i] = 1.0 / f.e[i];
            }
        }
        for part in [&mut *f.x, &mut *f.y, &mut *f.s, &mut *f.active] {
            part.fill(0.0);
        }
        scale_cost(simd, size, f.q_matrix, f.q, &mut cost);
        self.cost = cost;
        finite
    }
}

/// Q ← (Q + Qᵀ)/2
#[inline(always)]
fn symmetrize<S: Simd>(simd: S, n: usize, q: &mut [f64]) {
    let (q, half) = (&mut S::as_mut_simd_f64s(q).0[..n * n], simd.splat_f64s(0.5));
    for i in 0..n {
        for j in 0..i {
            let (a, b) = (i * n + j, j * n + i);
            let mean = simd.mul_add_e_f64s(half, q[a], simd.mul_f64s(half, q[b]));
            q[a] = mean;
            q[b] = mean;
        }
    }
}

/// The power of two next to 1/√x, and 1 where x is 0, or between ¼ and 4 already.
#[inline(always)]
pub(crate) fn root_scale(x: f64) -> f64 {
    if !x.is_finite() || x == 0.0 || (0.25..=4.0).contains(&x) {
        return 1.0;
    }
    // The exponent of x, halved and negated, put back into the bits of a number.
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    let half = (-exponent.div_euclid(2)).clamp(-300, 300);
    f64::from_bits(((1023 + half) as u64) << 52)
}

/// One pass: columns of [Q; C] and rows of C towards largest entries of about 1. Is anything changed?
#[inline(always)]
fn equilibrate<S: Simd>(
    simd: S,
    Size { n, unknowns, r, .. }: Size,
    [q, c]: [&mut [f64]; 2],
    [d, e]: [&mut [f64]; 2],
    [columns, rows]: [&mut [f64]; 2],
) -> bool {
    let width = S::F64_LANES;
    columns.fill(0.0);
    rows.fill(0.0);
    {
        let largest = &mut S::as_mut_simd_f64s(columns).0[..n];
        let all = &mut S::as_mut_simd_f64s(rows).0[..r];
        let (q, c) = (S::as_simd_f64s(q).0, S::as_simd_f64s(c).0);
        for i in 0..n {
            let row = &q[i * n..(i + 1) * n];
            for j in 0..n {
                largest[j] = simd.max_f64s(magnitude(simd, row[j]), largest[j]);
            }
        }
        for k in 0..r {
            let row = &c[k * n..(k + 1) * n];
            let mut most = all[k];
            for j in 0..n {
                let x = magnitude(simd, row[j]);
                largest[j] = simd.max_f64s(x, largest[j]);
                most = simd.max_f64s(x, most);
            }
            all[k] = most;
        }
    }
    let mut changed = false;
    for (i, x) in columns.iter_mut().enumerate() {
        *x = if i < unknowns * width { root_scale(*x) } else { 1.0 };
        changed |= *x != 1.0;
    }
    for x in rows.iter_mut() {
        *x = root_scale(*x);
        changed |= *x != 1.0;
    }
    if !changed {
        return false;
    }
    for i in 0..n {
        for j in 0..n {
            for l in 0..width {
                q[(i * n + j) * width + l] *= columns[i * width + l] * columns[j * width + l];
            }
        }
    }
    for k in 0..r {
        for j in 0..n {
            for l in 0..width {
                c[(k * n + j) * width + l] *= rows[k * width + l] * columns[j * width + l];
            }
        }
    }
    d.iter_mut().zip(&*columns).for_each(|(d, x)| *d *= x);
    e.iter_mut().zip(&*rows).for_each(|(e, x)| *e *= x);
    true
}

/// Q and q times k, so that the larger of their largest entries is about 1.
#[inline(always)]
fn scale_cost<S: Simd>(
    simd: S,
    Size { n, unknowns, .. }: Size,
    q_matrix: &mut [f64],
    q: &mut [f64],
    cost: &mut PerLane,
) {
    let width = S::F64_LANES;
    let mut largest = crate::lanes::largest(simd, q);
    for i in 0..unknowns {
        let row = crate::lanes::largest(simd, &q_matrix[i * n * width..(i * n + unknowns) * width]);
        for l in 0..width {
            largest[l] = largest[l].max(row[l]);
        }
    }
    for l in 0..width {
        let k = root_scale(largest[l]);
        cost[l] = if largest[l] * k * k > 0.0 { k * k } else { 1.0 };
    }
    if cost[..width].iter().all(|k| *k == 1.0) {
        return;
    }
    for i in 0..unknowns {
        for x in q_matrix[i * n * width..(i * n + unknowns) * width].chunks_exact_mut(width) {
            for l in 0..width {
                x[l] *= cost[l];
            }
        }
    }
    for x in q.chunks_exact_mut(width) {
        for l in 0..width {
            x[l] *= cost[l];
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step is a failed test
mod tests {
    use std::sync::Arc;

    use crate::Degenerate;
    use crate::qp::{Qp, QpData, QpTangent};

    #[test]
    fn derivatives_take_the_memory_of_those_that_are_gone() {
        // min ½(x − θ)² s.t. x ≥ 0 at θ = 0: derivatives there are made of copies of the solver's memory.
        let qp = Qp::new(1).inequalities(1);
        let q = [0.0; 20];
        let data = QpData::inequalities(&[1.0], &q, &[-1.0], &[0.0]);
        let cotangent = QpTangent { x: vec![1.0; q.len()], ..QpTangent::default() };
        let policies = [Degenerate::Average, Degenerate::Active, Degenerate::CentralPath(1e-2)];
        let mut kept = vec![];
        for _ in 0..40 {
            let solution = Arc::new(qp.solve(q.len(), &data).unwrap());
            let copy = Arc::new((*solution).clone());
            for policy in &policies {
                let derivative = copy.derivative(policy).unwrap();
                derivative.pull(&cotangent, [true; 6], [false; 6]).unwrap();
            }
            let pool = solution.groups[0].pool.clone();
            drop((solution, copy));
            kept.push(pool.kept());
        }
        assert!(kept.iter().all(|k| *k == kept[0]), "{kept:?}");
    }
}
