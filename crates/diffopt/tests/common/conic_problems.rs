//! Random conic programs with a known strictly feasible pair, so that a solution exists, for every cone.

use pullback_diffopt::conic::{Cone, Conic, ConicData, Pattern};

use super::random::Random;

/// A conic program with its values.
pub struct ConicProblem {
    pub name: String,
    pub conic: Conic,
    pub cones: Vec<Cone>,
    pub p: Vec<f64>,
    pub q: Vec<f64>,
    pub a: Vec<f64>,
    pub b: Vec<f64>,
}

/// A point inside the cone, or inside its dual.
fn inside(cone: &Cone, dual: bool) -> Vec<f64> {
    match *cone {
        Cone::Zero(k) if dual => (0..k).map(|i| 0.3 * i as f64 - 0.2).collect(),
        Cone::Zero(k) => vec![0.0; k],
        Cone::NonNegative(k) => (0..k).map(|i| 1.0 + 0.1 * i as f64).collect(),
        Cone::SecondOrder(k) => (0..k).map(|i| if i == 0 { 2.0 } else { 0.1 }).collect(),
        Cone::Exponential if dual => vec![-1.0, 0.5, 2.0],
        Cone::Exponential => vec![-0.5, 1.0, 1.5],
        Cone::Power(_) => vec![1.0, 1.2, 0.1],
        Cone::Semidefinite(k) => {
            (0..k).flat_map(|j| (0..=j).map(move |i| if i == j { 1.5 } else { 0.1 })).collect()
        }
        _ => vec![],
    }
}

impl ConicProblem {
    /// A random program over these cones, with or without P. `None` if the library refuses it.
    pub fn random(
        name: &str,
        seed: u64,
        n: usize,
        cones: Vec<Cone>,
        quadratic: bool,
    ) -> Option<Self> {
        let mut random = Random::new(seed);
        let m: usize = cones.iter().map(Cone::dimension).sum();
        let mut upper = vec![0.0; n * n];
        if quadratic {
            let l = random.normals(n * n);
            for i in 0..n {
                for j in i..n {
                    upper[i * n + j] =
                        0.2 * (0..n).map(|k| l[i * n + k] * l[j * n + k]).sum::<f64>();
                }
            }
        }
        let (p, p_values) = Pattern::of_dense(n, n, &upper).ok()?;
        let (a, a_values) = Pattern::of_dense(m, n, &random.normals(m * n)).ok()?;
        let x = random.normals(n);
        let mut b: Vec<f64> = cones.iter().flat_map(|c| inside(c, false)).collect();
        let z: Vec<f64> = cones.iter().flat_map(|c| inside(c, true)).collect();
        let mut q = vec![0.0; n];
        for ((i, j), v) in a.entries().zip(&a_values) {
            b[i] += v * x[j];
            q[j] -= v * z[i];
        }
        for ((i, j), v) in p.entries().zip(&p_values) {
            q[i] -= v * x[j];
            if i != j {
                q[j] -= v * x[i];
            }
        }
        let conic = Conic::new(p, a, cones.clone()).ok()?;
        let kind = if quadratic { "with P" } else { "linear" };
        Some(ConicProblem {
            name: format!("{name}, {kind}, seed {seed}"),
            conic,
            cones,
            p: p_values,
            q,
            a: a_values,
            b,
        })
    }

    pub fn data(&self) -> ConicData<'_> {
        ConicData { p: &self.p, q: &self.q, a: &self.a, b: &self.b }
    }

    /// A direction of all values.
    pub fn direction(&self, random: &mut Random) -> [Vec<f64>; 4] {
        [&self.p, &self.q, &self.a, &self.b].map(|v| random.normals(v.len()))
    }

    /// values + step·direction, solved.
    pub fn moved(&self, d: &[Vec<f64>; 4], step: f64) -> [Vec<f64>; 4] {
        let add = |v: &[f64], d: &[f64]| v.iter().zip(d).map(|(v, d)| v + step * d).collect();
        [add(&self.p, &d[0]), add(&self.q, &d[1]), add(&self.a, &d[2]), add(&self.b, &d[3])]
    }
}

/// Forty programs: every cone alone and mixed, with and without P, several seeds.
pub fn forty() -> Vec<ConicProblem> {
    let families: Vec<(&str, usize, Vec<Cone>)> = vec![
        ("nonnegative", 4, vec![Cone::NonNegative(8)]),
        ("equalities", 6, vec![Cone::Zero(2), Cone::NonNegative(6)]),
        ("second order", 6, vec![Cone::SecondOrder(4), Cone::SecondOrder(3), Cone::NonNegative(3)]),
        ("large second order", 12, vec![Cone::Zero(3), Cone::SecondOrder(18)]),
        (
            "exponential",
            6,
            vec![Cone::Exponential, Cone::Exponential, Cone::Zero(1), Cone::NonNegative(3)],
        ),
        ("power", 6, vec![Cone::Power(0.3), Cone::Power(0.6), Cone::NonNegative(4)]),
        ("semidefinite", 6, vec![Cone::Semidefinite(4), Cone::Zero(1)]),
        ("large semidefinite", 8, vec![Cone::Semidefinite(6)]),
        ("sharp power", 5, vec![Cone::Power(0.05), Cone::Power(0.95), Cone::NonNegative(3)]),
        (
            "all",
            12,
            vec![
                Cone::Zero(2),
                Cone::NonNegative(4),
                Cone::SecondOrder(5),
                Cone::Exponential,
                Cone::Power(0.4),
                Cone::Semidefinite(3),
            ],
        ),
    ];
    let mut out = Vec::new();
    for (name, n, cones) in families {
        for (seed, quadratic) in [(1, true), (2, true), (3, false), (4, false)] {
            out.extend(ConicProblem::random(name, seed, n, cones.clone(), quadratic));
        }
    }
    out
}
