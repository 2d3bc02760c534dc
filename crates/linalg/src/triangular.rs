//! Triangular systems with k right-hand sides.
//!
//! x_i = (b_i − Σₚ t_ip·x_p) · (1/t_ii), p over the unknowns already found. Right-hand sides are rows of n×k, worked on in 4×4
//! register tiles; the sum runs over p in one order whatever the tile, and above 64 unknowns through matrix products of blocks.

use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::batch::{Kernel, Output, Scratch, check_finite, check_result, gather, run, scatter};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::product::{View, subtract_product};
use super::real::{Field, Real};

/// Above this size a matrix is worked on alone, in blocks of this size.
pub(super) const BLOCK: usize = 64;

/// Which triangular matrix a slice stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Triangle {
    /// Only the entries with j ≥ i are read, else those with j ≤ i.
    pub upper: bool,
    /// Solve with the transpose.
    pub transposed: bool,
    /// The diagonal is 1 and not read.
    pub unit_diagonal: bool,
}

impl Triangle {
    /// L
    pub const LOWER: Self = Self { upper: false, transposed: false, unit_diagonal: false };
    /// U
    pub const UPPER: Self = Self { upper: true, transposed: false, unit_diagonal: false };

    /// The transpose of this matrix, stored as it is.
    #[must_use]
    pub const fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// With a diagonal of ones.
    #[must_use]
    pub const fn unit(self) -> Self {
        Self { unit_diagonal: true, ..self }
    }

    /// Whether the last unknown is found first.
    const fn backward(self) -> bool {
        self.upper != self.transposed
    }
}

/// Solves op(T)·X = B for each matrix of a batch.
///
/// `t`: batch × n × n, of which the other triangle is not used (but must be finite); `b` and `x`: batch × n × k.
///
/// # Errors
/// [`LinalgError::Singular`] if a diagonal entry is exactly 0, [`LinalgError::NotFinite`], [`LinalgError::Overflow`],
/// [`LinalgError::Length`].
pub fn solve_triangular<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    triangle: Triangle,
    t: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    T::solve_triangular(batch, n, k, triangle, t, b, x)
}

pub(super) fn entry<T: Field>(
    batch: usize,
    n: usize,
    k: usize,
    triangle: Triangle,
    t: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    const NAME: &str = "triangular solve";
    check_length(NAME, "t", &[batch, n, n], t.len())?;
    check_length(NAME, "b", &[batch, n, k], b.len())?;
    check_length(NAME, "x", &[batch, n, k], x.len())?;
    if t.is_empty() {
        return Ok(());
    }
    check_finite(NAME, "t", t, n * n)?;
    check_finite(NAME, "b", b, n * k)?;
    if !triangle.unit_diagonal {
        check_diagonal(batch, n, t)?;
    }
    let kernel = Substitutions { n, k, steps: &[triangle], matrix: t, rows: Order::AsIs, b };
    run(&kernel, batch, kernel.work(), Output { data: &mut *x, stride: n * k })?;
    check_result(NAME, 0, x, n * k)
}

/// How the rows of the right-hand side are permuted; n row numbers for each matrix of the batch.
#[derive(Clone, Copy)]
pub(super) enum Order<'a> {
    AsIs,
    /// Row i of what is solved is row p_i of b.
    Before(&'a [usize]),
    /// Row i of what was solved is row p_i of x.
    After(&'a [usize]),
}

/// One or two triangular solves in sequence, with triangles of the same slice.
pub(super) struct Substitutions<'a, T> {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) steps: &'a [Triangle],
    pub(super) matrix: &'a [T],
    pub(super) rows: Order<'a>,
    pub(super) b: &'a [T],
}

impl<T> Substitutions<'_, T> {
    pub(super) fn work(&self) -> usize {
        self.n * self.n * (self.k * self.steps.len() + 4)
    }
}

impl<'o, T: Field> Kernel<T, Output<'o, T>> for Substitutions<'_, T> {
    fn interleaved(&self) -> bool {
        self.n <= BLOCK
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        out: &mut Output<'o, T>,
    ) -> Result<(), LinalgError> {
        let (n, k) = (self.n, self.k);
        let scratch = scratch.vectors::<C>(n * n + n + n * k);
        let (t, rest) = scratch.split_at_mut(n * n);
        let (inverse, x) = rest.split_at_mut(n);
        gather(lanes, self.matrix, n * n, first, count, t);
        if let Order::Before(rows) = self.rows {
            let x = cast_slice_mut::<C::Vector, T>(x);
            for lane in 0..C::WIDTH {
                let batch = first + lane.min(count - 1);
                for i in 0..n {
                    let from = (batch * n + rows[batch * n + i]) * k;
                    for j in 0..k {
                        x[(i * k + j) * C::WIDTH + lane] = self.b[from + j];
                    }
                }
            }
        } else {
            gather(lanes, self.b, n * k, first, count, x);
        }
        // With a unit diagonal everywhere these are not read.
        for i in 0..n {
            inverse[i] = lanes.div(lanes.splat(T::ONE), t[i * n + i]);
        }
        for &triangle in self.steps {
            substitute(lanes, n, k, triangle, t, inverse, x);
        }
        if let Order::After(rows) = self.rows {
            let x = cast_slice::<C::Vector, T>(x);
            for lane in 0..count {
                for i in 0..n {
                    let to = (lane * n + rows[(first + lane) * n + i]) * k;
                    for j in 0..k {
                        out.data[to + j] = x[(i * k + j) * C::WIDTH + lane];
                    }
                }
            }
        } else {
            scatter(lanes, x, count, n * k, out.data);
        }
        Ok(())
    }
}

/// Refuses a zero on a diagonal.
pub(super) fn check_diagonal<T: Field>(batch: usize, n: usize, t: &[T]) -> Result<(), LinalgError> {
    for batch in 0..batch {
        let mut diagonal = t[batch * n * n..(batch + 1) * n * n].iter().step_by(n + 1);
        if let Some(pivot) = diagonal.position(|&d| d == T::ZERO) {
            return Err(LinalgError::Singular {
                batch,
                pivot,
                value: 0.0,
                reciprocal_condition: 0.0,
            });
        }
    }
    Ok(())
}

/// X ← op(T)⁻¹·X in place, `t` n×n, `x` n×k; `inverse` holds 1/t_ii (not read for a unit diagonal).
#[inline(always)]
pub(super) fn substitute<C: Lanes>(
    lanes: C,
    n: usize,
    k: usize,
    triangle: Triangle,
    t: &[C::Vector],
    inverse: &[C::Vector],
    x: &mut [C::Vector],
) {
    let system = System {
        k,
        row: if triangle.transposed { 1 } else { n },
        column: if triangle.transposed { n } else { 1 },
        unit: triangle.unit_diagonal,
        t,
        inverse,
    };
    if C::WIDTH > 1 || n <= BLOCK {
        system.block(lanes, triangle.backward(), 0, n, x);
        return;
    }
    let (row, column) = (system.row, system.column);
    let numbers = cast_slice::<C::Vector, C::Scalar>(t);
    let blocks = n.div_ceil(BLOCK);
    for step in 0..blocks {
        let block = if triangle.backward() { blocks - 1 - step } else { step };
        let (start, end) = (block * BLOCK, n.min((block + 1) * BLOCK));
        system.block(lanes, triangle.backward(), start, end, x);
        // The unknowns of this block leave the equations that are still to be solved.
        let (before, from) = x.split_at_mut(start * k);
        let (solved, after) = from.split_at_mut((end - start) * k);
        let (rest, rows, from_row) =
            if triangle.backward() { (before, start, 0) } else { (after, n - end, end) };
        subtract_product(
            (rows, k, end - start),
            cast_slice_mut::<C::Vector, C::Scalar>(rest),
            k,
            View {
                data: &numbers[(from_row * row + start * column).min(numbers.len())..],
                row,
                column,
            },
            View { data: cast_slice(solved), row: k, column: 1 },
        );
    }
}

struct System<'a, V> {
    k: usize,
    row: usize,
    column: usize,
    unit: bool,
    t: &'a [V],
    inverse: &'a [V],
}

impl<V: Pod> System<'_, V> {
    /// Solves for the unknowns start..end, as if the others were 0.
    #[inline(always)]
    fn block<C: Lanes<Vector = V>>(
        &self,
        lanes: C,
        backward: bool,
        start: usize,
        end: usize,
        x: &mut [V],
    ) {
        const TILE: usize = 4;
        let tiles = (end - start) / TILE;
        if backward {
            // Single rows first: they are the last ones.
            for i in (start + tiles * TILE..end).rev() {
                self.rows::<C, 1, true>(lanes, i, end, x);
            }
            for tile in (0..tiles).rev() {
                self.rows::<C, TILE, true>(lanes, start + tile * TILE, end, x);
            }
        } else {
            for tile in 0..tiles {
                self.rows::<C, TILE, false>(lanes, start + tile * TILE, start, x);
            }
            for i in start + tiles * TILE..end {
                self.rows::<C, 1, false>(lanes, i, start, x);
            }
        }
    }

    #[inline(always)]
    fn rows<C: Lanes<Vector = V>, const R: usize, const BACKWARD: bool>(
        &self,
        lanes: C,
        i: usize,
        edge: usize,
        x: &mut [V],
    ) {
        let mut j = 0;
        while j + 4 <= self.k {
            self.tile::<C, R, 4, BACKWARD>(lanes, i, edge, j, x);
            j += 4;
        }
        while j < self.k {
            self.tile::<C, R, 1, BACKWARD>(lanes, i, edge, j, x);
            j += 1;
        }
    }

    /// Unknowns i..i+R of right-hand sides j..j+W; those between `edge` and the tile are known.
    #[inline(always)]
    fn tile<C: Lanes<Vector = V>, const R: usize, const W: usize, const BACKWARD: bool>(
        &self,
        lanes: C,
        i: usize,
        edge: usize,
        j: usize,
        x: &mut [V],
    ) {
        let Self { k, row, column, unit, t, inverse } = *self;
        // Plain loops: a closure would not be compiled for the instruction set of its caller.
        let mut sum = [[V::zeroed(); W]; R];
        for r in 0..R {
            sum[r].copy_from_slice(&x[(i + r) * k + j..(i + r) * k + j + W]);
        }
        let known = if BACKWARD { i + R..edge } else { edge..i };
        for p in known {
            let solved = &x[p * k + j..p * k + j + W];
            for r in 0..R {
                let factor = t[(i + r) * row + p * column];
                for w in 0..W {
                    sum[r][w] = lanes.mul_sub(factor, solved[w], sum[r][w]);
                }
            }
        }
        for step in 0..R {
            let p = if BACKWARD { R - 1 - step } else { step };
            if !unit {
                for w in 0..W {
                    sum[p][w] = lanes.mul(sum[p][w], inverse[i + p]);
                }
            }
            for later in step + 1..R {
                let r = if BACKWARD { R - 1 - later } else { later };
                let factor = t[(i + r) * row + (i + p) * column];
                for w in 0..W {
                    sum[r][w] = lanes.mul_sub(factor, sum[p][w], sum[r][w]);
                }
            }
        }
        for r in 0..R {
            x[(i + r) * k + j..(i + r) * k + j + W].copy_from_slice(&sum[r]);
        }
    }
}
