//! Conic programs: patterns, cones and settings, and the numbers of a batch.

use super::cone::Cone;
use super::sparse::Pattern;
use crate::{Error, Result};

/// What the solver is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConicSettings {
    /// The largest relative residual (primal, dual, gap) of a solution, verified by us whatever the solver says. Default 10⁻⁸.
    pub tolerance: f64,
    /// The most iterations of the interior point (of the splitting: a hundred times as many). Default 200.
    pub iterations: usize,
    /// Newton steps on the optimality conditions after the solver, as long as they make the residual smaller. Default 8.
    pub polish: usize,
    /// Relative distance from a kink of the projections that counts as none. Default 10⁻⁷.
    pub weak: f64,
}

impl Default for ConicSettings {
    fn default() -> Self {
        ConicSettings { tolerance: 1e-8, iterations: 200, polish: 8, weak: 1e-7 }
    }
}

/// A conic program with fixed patterns:
///
/// > min ½xᵀPx + qᵀx  subject to  Ax + s = b,  s ∈ K (multipliers z ∈ K*)
///
/// P is given by its upper triangle; K is a product of [`Cone`]s in the order of A's rows. Optimality: Px + q + Aᵀz = 0, sᵀz = 0.
///
/// ```
/// use pullback_diffopt::conic::{Cone, Conic, ConicData, Pattern};
/// # fn main() -> pullback_diffopt::Result<()> {
/// // The point of the unit disc that is farthest in the direction (3, 4): min −3x₀ − 4x₁ s.t. (1, x₀, x₁) in the second-order cone.
/// let (a, values) = Pattern::of_dense(3, 2, &[0.0, 0.0, -1.0, 0.0, 0.0, -1.0])?;
/// let disc = Conic::new(Pattern::empty(2, 2), a, vec![Cone::SecondOrder(3)])?;
/// let data = ConicData { p: &[], q: &[-3.0, -4.0], a: &values, b: &[1.0, 0.0, 0.0] };
/// let solution = disc.solve(1, &data)?;
/// assert!((solution.x(0)[0] - 0.6).abs() < 1e-10 && (solution.x(0)[1] - 0.8).abs() < 1e-10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Conic {
    pub(super) name: String,
    pub(super) p: Pattern,
    pub(super) a: Pattern,
    pub(super) cones: Vec<Cone>,
    pub(super) settings: ConicSettings,
}

/// The values of a batch: entries of P (upper triangle) and A in the order of their patterns, q \[n\], b \[m\]. Each slice holds one copy for each
/// item, or a single one that all share.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConicData<'a> {
    /// Entries of P.
    pub p: &'a [f64],
    /// q.
    pub q: &'a [f64],
    /// Entries of A.
    pub a: &'a [f64],
    /// b.
    pub b: &'a [f64],
}

/// The names of the four arguments, in their order.
pub const CONIC_ARGUMENTS: [&str; 4] = ["P", "q", "A", "b"];

impl Conic {
    /// A program. Errors: patterns that do not fit each other or the cones; entries of P below the diagonal; cones outside their domain.
    pub fn new(p: Pattern, a: Pattern, cones: Vec<Cone>) -> Result<Self> {
        let name = "conic";
        let n = a.columns;
        if n == 0 {
            return Err(Error::invalid(name, "a problem without unknowns"));
        }
        if let Some(fault) = cones.iter().find_map(Cone::fault) {
            return Err(Error::invalid(name, fault));
        }
        let add = |sum: usize, cone: &Cone| sum.checked_add(cone.dimension());
        let Some(rows) = cones.iter().try_fold(0, add) else {
            return Err(Error::invalid(name, "more rows than numbers can count"));
        };
        if p.rows != n || p.columns != n || rows != a.rows {
            let what = format!(
                "P of {}×{}, A of {}×{n} and cones of {rows} rows do not fit together",
                p.rows, p.columns, a.rows
            );
            return Err(Error::invalid(name, what));
        }
        if let Some((i, j)) = p.entries().find(|(i, j)| j < i) {
            let what = format!("P has the entry ({i}, {j}) below its diagonal");
            return Err(Error::invalid(name, what));
        }
        let settings = ConicSettings::default();
        Ok(Conic { name: name.into(), p, a, cones, settings })
    }

    /// The name that errors and drawings show. Default: `conic`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Other settings.
    #[must_use]
    pub fn settings(mut self, settings: ConicSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Unknowns, and rows of A.
    pub fn sizes(&self) -> (usize, usize) {
        (self.a.columns, self.a.rows)
    }

    /// out += P·x, for entries `p` of P's upper triangle; so ½xᵀPx + qᵀx can be had without a matrix. Nothing where lengths do not fit.
    pub fn curvature_product(&self, p: &[f64], x: &[f64], out: &mut [f64]) {
        if p.len() == self.p.len() && x.len() == self.p.columns && out.len() == x.len() {
            self.p.add_symmetric(p, x, out);
        }
    }

    /// The numbers that an item has in each argument.
    pub(super) fn lengths(&self) -> [usize; 4] {
        [self.p.len(), self.a.columns, self.a.len(), self.a.rows]
    }

    /// Each cone with its rows.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (Cone, std::ops::Range<usize>)> {
        let mut at = 0;
        self.cones.iter().map(move |cone| {
            let start = at;
            at += cone.dimension();
            (*cone, start..at)
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        let ConicSettings { tolerance, weak, iterations, .. } = self.settings;
        for (name, x) in [("tolerance", tolerance), ("weak", weak)] {
            if !(x > 0.0 && x < 1.0) {
                let what = format!("the setting {name} is {x:e}, outside (0, 1)");
                return Err(Error::invalid(&self.name, what));
            }
        }
        if iterations == 0 {
            return Err(Error::invalid(&self.name, "no iterations are allowed"));
        }
        Ok(())
    }
}

impl<'a> ConicData<'a> {
    fn slices(&self) -> [&'a [f64]; 4] {
        [self.p, self.q, self.a, self.b]
    }

    /// How far an item's numbers are from the next one's (0: shared); with `sparse`, an empty slice is a zero.
    pub(super) fn strides(
        &self,
        problem: &Conic,
        batch: usize,
        sparse: bool,
    ) -> Result<[usize; 4]> {
        let lengths = problem.lengths();
        let mut out = [0; 4];
        for (k, slice) in self.slices().into_iter().enumerate() {
            let one = lengths[k];
            out[k] = match slice.len() {
                0 if sparse => 0,
                got if got == one => 0,
                got if got == one * batch => one,
                got => {
                    return Err(Error::Length {
                        node: problem.name.clone(),
                        argument: CONIC_ARGUMENTS[k],
                        one,
                        batch,
                        got,
                    });
                }
            };
        }
        Ok(out)
    }

    /// One item's numbers.
    pub(super) fn item(&self, lengths: [usize; 4], strides: [usize; 4], i: usize) -> Self {
        let [p, q, a, b] = self.slices();
        let cut = |k: usize, slice: &'a [f64]| {
            let start = i * strides[k];
            if slice.is_empty() { slice } else { &slice[start..start + lengths[k]] }
        };
        ConicData { p: cut(0, p), q: cut(1, q), a: cut(2, a), b: cut(3, b) }
    }

    /// The first number that is NaN or infinite: argument, place, number.
    pub(super) fn first_not_finite(&self) -> Option<(&'static str, usize, f64)> {
        self.slices().into_iter().zip(CONIC_ARGUMENTS).find_map(|(slice, name)| {
            let at = slice.iter().position(|x| !x.is_finite())?;
            Some((name, at, slice[at]))
        })
    }
}
