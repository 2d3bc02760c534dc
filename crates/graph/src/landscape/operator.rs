//! A symmetric matrix that is known by its products.

use crate::{Error, Result};

/// A symmetric matrix A of n rows, known by x ↦ A·x. Products run in several threads at once.
pub trait Operator: Sync {
    /// The number n of rows and columns.
    fn dim(&self) -> usize;

    /// A·x. Errors: `x` has not n numbers; a product that is not finite.
    fn apply(&self, x: &[f64]) -> Result<Vec<f64>>;

    /// The relative rounding error of a product: what counts as zero beside ‖A‖ scales with it.
    fn precision(&self) -> f64 {
        f64::EPSILON
    }
}

/// A symmetric matrix of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    n: usize,
    entries: Vec<f64>,
}

impl Matrix {
    /// n rows of n numbers. Errors: another length; an entry that is not finite; aᵢⱼ and aⱼᵢ differ by more than 10⁻⁸ of the largest entry.
    pub fn new(n: usize, entries: Vec<f64>) -> Result<Self> {
        let expected = n.saturating_mul(n);
        check_length("entries of a symmetric matrix", expected, entries.len())?;
        check_finite("matrix", "entry", &entries)?;
        let largest = entries.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for i in 0..n {
            for j in 0..i {
                let (a, b) = (entries[i * n + j], entries[j * n + i]);
                if 1e-8 * largest < (a - b).abs() {
                    let what =
                        format!("not symmetric: entry ({i}, {j}) is {a:e}, ({j}, {i}) is {b:e}");
                    return Err(Error::invalid("matrix", what));
                }
            }
        }
        Ok(Matrix { n, entries })
    }
}

impl Operator for Matrix {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        check_length("matrix times vector", self.n, x.len())?;
        let rows = self.entries.chunks(self.n.max(1));
        Ok(rows.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect())
    }
}

/// The rows and columns of another operator that belong to some of its coordinates: a mask.
#[derive(Debug, Clone)]
pub struct Principal<'a, A: ?Sized> {
    whole: &'a A,
    kept: Vec<usize>,
}

impl<'a, A: Operator + ?Sized> Principal<'a, A> {
    /// Keeps these coordinates, in this order. Errors: one that is out of range, or twice there.
    pub fn new(whole: &'a A, kept: Vec<usize>) -> Result<Self> {
        let mut seen = vec![false; whole.dim()];
        for &i in &kept {
            match seen.get_mut(i) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => {
                    return Err(Error::invalid("principal part", format!("coordinate {i} twice")));
                }
                None => {
                    let what = format!("coordinate {i} of {}", whole.dim());
                    return Err(Error::invalid("principal part", what));
                }
            }
        }
        Ok(Principal { whole, kept })
    }
}

impl<A: Operator + ?Sized> Operator for Principal<'_, A> {
    fn dim(&self) -> usize {
        self.kept.len()
    }

    fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        check_length("principal part times vector", self.kept.len(), x.len())?;
        let mut full = vec![0.0; self.whole.dim()];
        self.kept.iter().zip(x).for_each(|(&i, &x)| full[i] = x);
        let product = self.whole.apply(&full)?;
        Ok(self.kept.iter().map(|&i| product[i]).collect())
    }

    fn precision(&self) -> f64 {
        self.whole.precision()
    }
}

pub(super) fn check_length(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// `Ok` means finite.
pub(super) fn check_finite(place: &str, what: &str, x: &[f64]) -> Result<()> {
    match x.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(place, format!("{what} {i} is {}", x[i]))),
    }
}

/// A·x, of the right length and finite, whatever the operator promises.
pub(super) fn product<A: Operator + ?Sized>(a: &A, x: &[f64]) -> Result<Vec<f64>> {
    let y = a.apply(x)?;
    check_length("product of an operator", a.dim(), y.len())?;
    check_finite("product of an operator", "component", &y)?;
    Ok(y)
}
