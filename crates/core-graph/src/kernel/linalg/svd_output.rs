//! From the result of the rotations of [`super::svd`] to U, s and Vᵀ of one matrix: lengths, order, signs, missing vectors.

use super::real::Field;

/// One lane of the result: the columns of U or V, and the rows G = Σ·Zᵀ.
pub(super) struct Factors<'a, T> {
    /// Length of the vectors in `left`.
    pub(super) m: usize,
    /// Their number, and the size of `right`.
    pub(super) n: usize,
    /// Distance between numbers of the same lane.
    pub(super) width: usize,
    /// m×n with orthonormal columns.
    pub(super) left: &'a [T],
    /// n×n with orthogonal rows.
    pub(super) right: &'a [T],
    /// Column i of `right` belongs to row `order[i]` of V.
    pub(super) order: &'a [usize],
    /// The factor that undoes the scaling.
    pub(super) up: T,
}

impl<T: Field> Factors<'_, T> {
    /// Writes U (m×n), s and Vᵀ (n×n) if `tall`, else the factors of the transpose: U (n×n), s and Vᵀ (n×m).
    pub(super) fn write(&self, tall: bool, u: &mut [T], s: &mut [T], vt: &mut [T]) {
        let &Self { m, n, width, left, right, .. } = self;
        let (vectors, lengths) = self.right_vectors();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| lengths[j].partial_cmp(&lengths[i]).unwrap_or(std::cmp::Ordering::Equal));
        for (j, &from) in order.iter().enumerate() {
            s[j] = lengths[from] * self.up;
            let long = |i: usize| left[(i * n + from) * width];
            let short = |i: usize| vectors[from * n + i];
            let negative = if tall { leads_negative(m, long) } else { leads_negative(n, short) };
            let sign = if negative { -T::ONE } else { T::ONE };
            for i in 0..m {
                let to = if tall { &mut u[i * n + j] } else { &mut vt[j * m + i] };
                *to = long(i) * sign;
            }
            for i in 0..n {
                let to = if tall { &mut vt[j * n + i] } else { &mut u[i * n + j] };
                *to = short(i) * sign;
            }
        }
        debug_assert!(right.len() >= (n * n - 1) * width);
    }

    /// The rows of Zᵀ·Pᵀ with norm 1, and their lengths before that.
    fn right_vectors(&self) -> (Vec<T>, Vec<T>) {
        let &Self { n, width, right, order, .. } = self;
        let floor = T::TINY / T::EPSILON;
        let mut vectors = vec![T::ZERO; n * n];
        let mut lengths = vec![T::ZERO; n];
        for j in 0..n {
            let entry = |i: usize| right[(j * n + i) * width];
            let square = (0..n).fold(T::ZERO, |sum, i| sum + entry(i) * entry(i));
            if square < floor {
                continue;
            }
            lengths[j] = square.root();
            for i in 0..n {
                vectors[j * n + order[i * width]] = entry(i) / lengths[j];
            }
        }
        for j in 0..n {
            if lengths[j] == T::ZERO {
                complete(n, &mut vectors, j);
            }
        }
        (vectors, lengths)
    }
}

/// Whether the component of largest magnitude, the first of equals, is negative.
fn leads_negative<T: Field>(length: usize, component: impl Fn(usize) -> T) -> bool {
    let mut largest = T::ZERO;
    for i in 0..length {
        if largest.magnitude() < component(i).magnitude() {
            largest = component(i);
        }
    }
    largest < T::ZERO
}

/// Sets row j, which is 0, to a unit vector orthogonal to all other rows, which are orthonormal or 0.
fn complete<T: Field>(n: usize, vectors: &mut [T], j: usize) {
    // e_c has the largest part outside the span of the rows for the c with the smallest Σ v_ic².
    let mut inside = vec![T::ZERO; n];
    for row in vectors.chunks_exact(n) {
        for (sum, &x) in inside.iter_mut().zip(row) {
            *sum = *sum + x * x;
        }
    }
    let mut axis = 0;
    for c in 1..n {
        if inside[c] < inside[axis] {
            axis = c;
        }
    }
    let mut unit = vec![T::ZERO; n];
    unit[axis] = T::ONE;
    // Twice is enough: the first pass leaves a remainder of at least 1/√n, the second removes its rounding errors.
    for _ in 0..2 {
        for row in vectors.chunks_exact(n) {
            let along = row.iter().zip(&unit).fold(T::ZERO, |sum, (&x, &y)| sum + x * y);
            for (y, &x) in unit.iter_mut().zip(row) {
                *y = *y - along * x;
            }
        }
        let length = unit.iter().fold(T::ZERO, |sum, &x| sum + x * x).root();
        for y in &mut unit {
            *y = *y / length;
        }
    }
    vectors[j * n..(j + 1) * n].copy_from_slice(&unit);
}
