//! The cones: sizes, projections, and the derivative of the projection as eigenvectors and eigenvalues.
//!
//! For v = z − s, with s ∈ K, z ∈ K* and sᵀz = 0, Moreau's decomposition gives z = Π_{K*}(v) and s = Π_K(−v) = z − v. The derivative of
//! the projection onto a closed convex cone is symmetric with eigenvalues in [0, 1], wherever it exists, because the projection is the
//! gradient of a convex function.

use super::three::{exponential, power};
use crate::qp::symmetric;

/// One cone of a product K = K₁ × K₂ × …, for the slacks s = b − Ax.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Cone {
    /// s = 0, so many equalities.
    Zero(usize),
    /// s ≥ 0, so many inequalities.
    NonNegative(usize),
    /// s₀ ≥ ‖(s₁, …)‖, of this dimension.
    SecondOrder(usize),
    /// {(x, y, z): y·e^(x/y) ≤ z, y > 0}, closed.
    Exponential,
    /// {(x, y, z): xᵃ·y¹⁻ᵃ ≥ |z|, x, y ≥ 0} for 0 < a < 1.
    Power(f64),
    /// Symmetric positive semidefinite matrices of this order: columns of the upper triangle one after the other, entries off the diagonal
    /// times √2, so that the inner product is the matrices' own.
    Semidefinite(usize),
}

/// The derivative of Π_{K*} at v in one cone: eigenvectors as columns, with their eigenvalues; those with eigenvalue 0 are left out.
#[derive(Debug, Clone)]
pub(super) enum Jacobian {
    /// Each row is by itself, with this eigenvalue.
    Rows(Vec<f64>),
    /// `vectors`: dimension × values.len(), column by column.
    Block { vectors: Vec<f64>, values: Vec<f64> },
    /// The same, and the eigenvalue `rest` on all that is 0 in the first row and at right angles to `unit` in the others: of a second-order cone, whose
    /// eigenvectors would be as many numbers as its dimension's square.
    Cap { vectors: Vec<f64>, values: Vec<f64>, unit: Vec<f64>, rest: f64 },
}

impl Jacobian {
    /// With all eigenvectors.
    pub(super) fn expanded(self) -> Self {
        match self {
            Jacobian::Cap { mut vectors, mut values, unit, rest } => {
                complement(&unit, rest, &mut vectors, &mut values);
                Jacobian::Block { vectors, values }
            }
            other => other,
        }
    }
}

/// An eigenvalue at most this is 0.
pub(super) const NOTHING: f64 = 1e-11;

impl Cone {
    /// The number of rows.
    pub fn dimension(&self) -> usize {
        match *self {
            Cone::Zero(k) | Cone::NonNegative(k) | Cone::SecondOrder(k) => k,
            Cone::Exponential | Cone::Power(_) => 3,
            Cone::Semidefinite(k) => k * (k + 1) / 2,
        }
    }

    /// What is wrong with the cone's own parameters.
    pub(super) fn fault(&self) -> Option<String> {
        match *self {
            Cone::SecondOrder(k) if k < 2 => {
                Some(format!("a second-order cone of dimension {k}, below 2"))
            }
            Cone::Power(a) if !(a > 0.0 && a < 1.0) => {
                Some(format!("a power cone of exponent {a:e}, outside (0, 1)"))
            }
            Cone::Semidefinite(0) => Some("a semidefinite cone of order 0".into()),
            Cone::Semidefinite(k) if 1 << 24 < k => {
                Some(format!("a semidefinite cone of order {k}, above 2²⁴"))
            }
            _ => None,
        }
    }

    /// Π_{K*}(v).
    pub(super) fn project_dual(&self, v: &[f64]) -> Vec<f64> {
        match *self {
            Cone::Zero(_) => v.to_vec(),
            Cone::NonNegative(_) => v.iter().map(|v| v.max(0.0)).collect(),
            Cone::SecondOrder(_) => {
                let (head, norm) = (v[0], norm(&v[1..]));
                if norm <= head {
                    v.to_vec()
                } else if norm <= -head {
                    vec![0.0; v.len()]
                } else {
                    let scale = 0.5 * (1.0 + head / norm);
                    let mut out: Vec<f64> = v.iter().map(|v| scale * v).collect();
                    out[0] = scale * norm;
                    out
                }
            }
            Cone::Exponential => self.by_primal(v, exponential::project),
            Cone::Power(a) => self.by_primal(v, |p| power::project(a, p)),
            Cone::Semidefinite(k) => match eigen(k, v) {
                Some((w, q)) => assemble(k, &w, &q, |w| w.max(0.0)),
                None => vec![f64::NAN; v.len()],
            },
        }
    }

    /// Π_{K*}(v) = v + Π_K(−v).
    fn by_primal(&self, v: &[f64], project: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<f64> {
        let s = project([-v[0], -v[1], -v[2]]);
        (0..3).map(|i| v[i] + s[i]).collect()
    }

    /// The derivative of Π_{K*} at v. Where v is within `kink` of a kink, the eigenvalues there are 1 if `up`, else 0.
    pub(super) fn jacobian(&self, v: &[f64], kink: f64, up: bool) -> Jacobian {
        match *self {
            Cone::Zero(k) => Jacobian::Rows(vec![1.0; k]),
            Cone::NonNegative(_) => {
                let row = |v: &f64| one_if(if v.abs() <= kink { up } else { *v > 0.0 });
                Jacobian::Rows(v.iter().map(row).collect())
            }
            Cone::SecondOrder(_) => second_order(v, kink, up),
            Cone::Exponential | Cone::Power(_) if self.margin(v) <= kink => {
                // At the edges no piece is known; all or nothing bounds them.
                let rows = |k: usize| Jacobian::Rows(vec![one_if(up); k]);
                let critical = self.critical(v, kink);
                critical.map_or_else(|| rows(3), |c| c.piece(3, |_, cone| rows(cone.dimension())))
            }
            Cone::Exponential => three(exponential::jacobian([-v[0], -v[1], -v[2]])),
            Cone::Power(a) => three(power::jacobian(a, [-v[0], -v[1], -v[2]])),
            Cone::Semidefinite(k) => semidefinite(k, v, kink, up),
        }
    }

    /// How far v is from the nearest kink of the projection; ∞ where there is none.
    pub(super) fn margin(&self, v: &[f64]) -> f64 {
        match *self {
            Cone::Zero(_) => f64::INFINITY,
            Cone::NonNegative(_) => v.iter().map(|v| v.abs()).fold(f64::INFINITY, f64::min),
            Cone::SecondOrder(_) => (v[0].abs() - norm(&v[1..])).abs(),
            Cone::Exponential => exponential::margin([-v[0], -v[1], -v[2]]),
            Cone::Power(a) => power::margin(a, [-v[0], -v[1], -v[2]]),
            Cone::Semidefinite(k) => eigen(k, v)
                .map_or(0.0, |(w, _)| w.iter().map(|w| w.abs()).fold(f64::INFINITY, f64::min)),
        }
    }

    /// The size next to which a distance from a kink is small. Inequalities are each by itself, however far others are from holding with equality.
    pub(super) fn size(&self, v: &[f64]) -> f64 {
        match *self {
            Cone::Zero(_) | Cone::NonNegative(_) => 1.0,
            _ => 1.0 + norm(v),
        }
    }

    /// How far z is outside K*.
    pub(super) fn outside_dual(&self, z: &[f64]) -> f64 {
        let p = self.project_dual(z);
        let far: f64 = p.iter().zip(z).map(|(p, z)| (p - z) * (p - z)).sum();
        if far.is_nan() { f64::INFINITY } else { far.sqrt() }
    }

    /// How far s is outside K.
    pub(super) fn outside(&self, s: &[f64]) -> f64 {
        // Π_K(s) = s + Π_{K*}(−s).
        let minus: Vec<f64> = s.iter().map(|s| -s).collect();
        norm(&self.project_dual(&minus))
    }
}

fn one_if(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

pub(super) fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Eigenvalues 1 along (1, v̄/‖v̄‖), 0 along (1, −v̄/‖v̄‖), and (1 + v₀/‖v̄‖)/2 at right angles to both (Kanzow, Ferenczi, Fukushima, On
/// the local convergence of semismooth Newton methods for second-order cone programs, 2009).
fn second_order(v: &[f64], kink: f64, up: bool) -> Jacobian {
    let (k, head, size) = (v.len(), v[0], norm(&v[1..]));
    let above = if (head - size).abs() <= kink { up } else { size < head };
    let below = if (head + size).abs() <= kink { !up } else { head < -size };
    if above && below {
        // At the apex both hold only by the kink's width.
        return Jacobian::Rows(vec![one_if(up); k]);
    }
    if above || below {
        return Jacobian::Rows(vec![one_if(above); k]);
    }
    let unit: Vec<f64> = v[1..].iter().map(|v| v / size).collect();
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let mut vectors = vec![half];
    vectors.extend(unit.iter().map(|u| half * u));
    let (values, rest) = (vec![1.0], 0.5 * (1.0 + head / size));
    if k == 2 || rest <= NOTHING {
        return Jacobian::Block { vectors, values };
    }
    Jacobian::Cap { vectors, values, unit, rest }
}

/// Appends (0, w) with this eigenvalue for the w of an orthonormal basis of what is at right angles to `unit`.
fn complement(unit: &[f64], value: f64, vectors: &mut Vec<f64>, values: &mut Vec<f64>) {
    // A Householder reflection that takes the first axis to ±unit has the rest of a basis as its other columns.
    let mut w = unit.to_vec();
    w[0] += if unit[0] < 0.0 { -1.0 } else { 1.0 };
    let square: f64 = w.iter().map(|w| w * w).sum();
    for j in 1..unit.len() {
        vectors.push(0.0);
        for i in 0..unit.len() {
            let identity = f64::from(u8::from(i == j));
            vectors.push(identity - 2.0 * w[i] * w[j] / square);
        }
        values.push(value);
    }
}

/// 3×3: I − E for the derivative E of the projection onto the primal cone.
fn three(e: [[f64; 3]; 3]) -> Jacobian {
    let mut m = [0.0; 9];
    for i in 0..3 {
        for j in 0..3 {
            m[3 * i + j] = f64::from(u8::from(i == j)) - 0.5 * (e[i][j] + e[j][i]);
        }
    }
    let Some((w, q)) = symmetric(3, &m) else { return Jacobian::Rows(vec![1.0; 3]) };
    let (mut vectors, mut values) = (Vec::new(), Vec::new());
    for j in 0..3 {
        let value = w[j].clamp(0.0, 1.0);
        if NOTHING < value {
            // Rounding must not turn an eigenvalue 1 into a compliance.
            values.push(if 1.0 - value < 1e-13 { 1.0 } else { value });
            vectors.extend((0..3).map(|i| q[3 * i + j]));
        }
    }
    Jacobian::Block { vectors, values }
}

/// The place of entry (i, j), i ≤ j, in a triangle.
fn place(i: usize, j: usize) -> usize {
    j * (j + 1) / 2 + i
}

/// Eigenvalues and eigenvectors (columns) of the matrix that v stands for.
pub(super) fn eigen(k: usize, v: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut m = vec![0.0; k * k];
    for j in 0..k {
        for i in 0..=j {
            let x = v[place(i, j)] * if i == j { 1.0 } else { std::f64::consts::FRAC_1_SQRT_2 };
            m[i * k + j] = x;
            m[j * k + i] = x;
        }
    }
    symmetric(k, &m)
}

/// Σ f(w)·qqᵀ as a triangle.
pub(super) fn assemble(k: usize, w: &[f64], q: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; k * (k + 1) / 2];
    for (e, w) in w.iter().enumerate() {
        let value = f(*w);
        if value == 0.0 {
            continue;
        }
        for j in 0..k {
            for i in 0..=j {
                let scale = if i == j { 1.0 } else { std::f64::consts::SQRT_2 };
                out[place(i, j)] += scale * value * q[i * k + e] * q[j * k + e];
            }
        }
    }
    out
}

/// Eigenvectors sym(qᵢqⱼᵀ) with eigenvalues 1, 0 or λᵢ⁺/(λᵢ⁺ + λⱼ⁻) (Sun and Sun, Semismooth matrix-valued functions, 2002).
fn semidefinite(k: usize, v: &[f64], kink: f64, up: bool) -> Jacobian {
    let Some((w, q)) = eigen(k, v) else { return Jacobian::Rows(vec![1.0; v.len()]) };
    let positive = |w: f64| if w.abs() <= kink { up } else { w > 0.0 };
    let (mut vectors, mut values) = (Vec::new(), Vec::new());
    for b in 0..k {
        for a in 0..=b {
            let value = match (positive(w[a]), positive(w[b])) {
                (true, true) => 1.0,
                (false, false) => 0.0,
                (true, false) => w[a].abs() / (w[a].abs() + w[b].abs()),
                (false, true) => w[b].abs() / (w[a].abs() + w[b].abs()),
            };
            if value.is_nan() || value <= NOTHING {
                continue;
            }
            values.push(value);
            vectors.extend(symmetric_axis(k, &q, a, b));
        }
    }
    Jacobian::Block { vectors, values }
}

/// The triangle of the unit matrix (q_a q_bᵀ + q_b q_aᵀ)/√2 for a ≠ b, q_a q_aᵀ for a = b.
pub(super) fn symmetric_axis(k: usize, q: &[f64], a: usize, b: usize) -> Vec<f64> {
    let scale = if a == b { 1.0 } else { std::f64::consts::FRAC_1_SQRT_2 };
    let mut out = Vec::with_capacity(k * (k + 1) / 2);
    for j in 0..k {
        for i in 0..=j {
            let x = q[i * k + a] * q[j * k + b];
            let x = if a == b { x } else { x + q[j * k + a] * q[i * k + b] };
            let off = if i == j { 1.0 } else { std::f64::consts::SQRT_2 };
            out.push(scale * off * x);
        }
    }
    out
}
