//! Critical points with known index and spectrum.

use std::collections::BTreeSet;
use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::{Function, function};
use pullback_graph::landscape::{
    CriticalOptions, CriticalStatus, Curvature, DensityOptions, ExtremeOptions, Parameters, Random,
    density, extremes, find_critical_point, spectrum,
};

use super::{Row, row, tensor, worst};

const SIZE: usize = 4;
const HIDDEN: usize = 2;
const SINGULAR: [f64; SIZE] = [3.0, 2.0, 1.2, 0.5];

/// ½‖Y − A·B·X‖² with X orthogonal, so that Y·Xᵀ = U·diag(σ)·Vᵀ; U, V and X are reflections.
pub(crate) fn linear_net() -> Arc<dyn Function> {
    let mut y = vec![0.0; SIZE * SIZE];
    let (u, v, x) = (reflection(1), reflection(2), reflection(3));
    for i in 0..SIZE {
        for j in 0..SIZE {
            y[i * SIZE + j] =
                (0..SIZE).map(|k| u[i * SIZE + k] * SINGULAR[k] * v[j * SIZE + k]).sum();
        }
    }
    function("linear net", move |g, p| {
        let square = |m: &[f64]| g.constant(&tensor(m, &[SIZE, SIZE], DType::F64));
        let target = square(&y).matmul(square(&x));
        let made = p[0].matmul(p[1]).matmul(square(&x));
        Ok(vec![0.5 * (target - made).sqr().sum(())])
    })
}

fn reflection(seed: u64) -> Vec<f64> {
    let v = Random::new(seed).normals(SIZE);
    let vv: f64 = v.iter().map(|x| x * x).sum();
    let one = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    (0..SIZE * SIZE)
        .map(|e| one(e / SIZE, e % SIZE) - 2.0 * v[e / SIZE] * v[e % SIZE] / vv)
        .collect()
}

/// The subsets of up to HIDDEN singular vectors.
fn subsets() -> Vec<Vec<usize>> {
    (0..1usize << SIZE)
        .map(|bits| (0..SIZE).filter(|i| bits >> i & 1 == 1).collect::<Vec<_>>())
        .filter(|s| s.len() <= HIDDEN)
        .collect()
}

/// A = U_S·Σ_S^½·C, B = C⁻¹·Σ_S^½·V_Sᵀ, C = [[1, c], [0, 1]].
fn critical_at(subset: &[usize], c: f64) -> Vec<Tensor> {
    let (u, v) = (reflection(1), reflection(2));
    let (mut a, mut b) = (vec![0.0; SIZE * HIDDEN], vec![0.0; HIDDEN * SIZE]);
    for (k, &s) in subset.iter().enumerate() {
        for i in 0..SIZE {
            a[i * HIDDEN + k] = u[i * SIZE + s] * SINGULAR[s].sqrt();
            b[k * SIZE + i] = v[i * SIZE + s] * SINGULAR[s].sqrt();
        }
    }
    for i in 0..SIZE {
        a[i * HIDDEN + 1] += c * a[i * HIDDEN];
        b[i] -= c * b[SIZE + i];
    }
    vec![tensor(&a, &[SIZE, HIDDEN], DType::F64), tensor(&b, &[HIDDEN, SIZE], DType::F64)]
}

/// All eigenvalues of the Hessian there for C = I: σᵢ ± σⱼ for i in S, j outside; σᵢ + σᵢ′ and 0 within S; for each idle hidden
/// unit ±σⱼ for j outside, and two zeros for each i in S.
fn analytic(subset: &[usize]) -> Vec<f64> {
    let s = |i: usize| SINGULAR[i];
    let outside: Vec<usize> = (0..SIZE).filter(|j| !subset.contains(j)).collect();
    let mut all = vec![];
    for &i in subset {
        outside.iter().for_each(|&j| all.extend([s(i) + s(j), s(i) - s(j)]));
        subset.iter().for_each(|&k| all.extend([s(i) + s(k), 0.0]));
    }
    for _ in subset.len()..HIDDEN {
        outside.iter().for_each(|&j| all.extend([s(j), -s(j)]));
        subset.iter().for_each(|_| all.extend([0.0, 0.0]));
    }
    all.sort_by(f64::total_cmp);
    all
}

/// Pairs of a singular vector used and a larger one unused, and each unused one for each idle hidden unit.
fn analytic_index(subset: &[usize]) -> usize {
    let outside = (0..SIZE).filter(|j| !subset.contains(j));
    outside
        .map(|j| {
            let larger = subset.iter().filter(|&&i| SINGULAR[i] < SINGULAR[j]).count();
            larger + HIDDEN - subset.len()
        })
        .sum()
}

fn analytic_loss(subset: &[usize]) -> f64 {
    (0..SIZE).filter(|j| !subset.contains(j)).map(|j| 0.5 * SINGULAR[j] * SINGULAR[j]).sum()
}

/// Two-layer linear nets: critical points from subsets of singular vectors (Baldi and Hornik 1989), the whole spectrum at each.
pub(crate) fn linear_nets() -> Vec<Row> {
    let loss = linear_net();
    let (mut off, mut gradient, mut wrong, mut value): (f64, f64, usize, f64) = (0.0, 0.0, 0, 0.0);
    for subset in subsets() {
        let at = Curvature::at(&loss, &critical_at(&subset, 0.0)).unwrap();
        gradient = at.gradient().iter().fold(gradient, |m, g| m.max(g.abs()));
        value = value.max((at.loss() - analytic_loss(&subset)).abs());
        let found = spectrum(&at).unwrap();
        off = off.max(worst(found.values().iter().copied().zip(analytic(&subset))));
        wrong += found.index(1e-9).negative.abs_diff(analytic_index(&subset));
        // Along the orbit of C the point stays critical and the index the same (Sylvester).
        if subset.len() == HIDDEN {
            let at = Curvature::at(&loss, &critical_at(&subset, 0.7)).unwrap();
            gradient = at.gradient().iter().fold(gradient, |m, g| m.max(g.abs()));
            let index = spectrum(&at).unwrap().index(1e-9).negative;
            wrong += index.abs_diff(analytic_index(&subset));
        }
    }
    vec![
        row("gradients at 11 + 6 analytic critical points of a linear net", gradient, 1e-13),
        row("losses there", value, 1e-13),
        row("all 16 eigenvalues at 11 of them against the formulas", off, 1e-13),
        row("sum of errors of the index", wrong as f64, 0.0),
    ]
}

/// Critical points found from random starts, against the analytic ones.
pub(crate) fn searches() -> Vec<Row> {
    let loss = linear_net();
    let layout = Parameters::of(&critical_at(&[], 0.0)).unwrap();
    let (mut found, mut strangers, mut wrong) = (0, 0, 0);
    let mut kinds = BTreeSet::new();
    for seed in 0..40 {
        let start = Random::new(seed).normals(layout.len());
        let options = CriticalOptions { gradient: 1e-10, ..Default::default() };
        let point = find_critical_point(&loss, &layout, &start, options).unwrap();
        if point.status != CriticalStatus::Converged {
            continue;
        }
        found += 1;
        let near = |s: &Vec<usize>| (analytic_loss(s) - point.loss).abs() < 1e-8;
        let at = Curvature::at(&loss, &layout.unravel(&point.parameters).unwrap()).unwrap();
        let index = spectrum(&at).unwrap().index(1e-6).negative;
        match subsets().into_iter().find(near) {
            Some(subset) => {
                wrong += usize::from(index != analytic_index(&subset));
                kinds.insert(subset);
            }
            None => strangers += 1,
        }
    }
    vec![
        row("searches of 40 that end at no critical point", 40.0 - f64::from(found), 4.0),
        row("critical points found that no formula knows", f64::from(strangers), 0.0),
        row("critical points found with another index", wrong as f64, 0.0),
        row("analytic critical points of 11 that were not found", 11.0 - kinds.len() as f64, 3.0),
    ]
}

/// Points where the Hessian is degenerate.
pub(crate) fn degenerate() -> Vec<Row> {
    let monkey = function("monkey saddle", |_, v| {
        let (x, y) = (v[0], v[1]);
        Ok(vec![x * x * x - 3.0 * x * y * y])
    });
    let at = |x: f64, y: f64| [tensor(&[x], &[], DType::F64), tensor(&[y], &[], DType::F64)];
    let (x, y) = (0.6, -1.1);
    let away = spectrum(&Curvature::at(&monkey, &at(x, y)).unwrap()).unwrap();
    let r = 6.0 * x.hypot(y);
    let mut rows = vec![row(
        "monkey saddle: eigenvalues ∓6r away from its center",
        worst(away.values().iter().copied().zip([-r, r])),
        1e-14,
    )];
    let center = spectrum(&Curvature::at(&monkey, &at(0.0, 0.0)).unwrap()).unwrap();
    rows.push(row("monkey saddle: largest |λ| at its center", center.norm(), 0.0));
    let layout = Parameters::of(&at(0.0, 0.0)).unwrap();
    let options = CriticalOptions { gradient: 1e-12, ..Default::default() };
    let point = find_critical_point(&monkey, &layout, &[x, y], options).unwrap();
    rows.push(row(
        "monkey saddle: distance of the point found",
        point.parameters[0].hypot(point.parameters[1]),
        1e-6,
    ));

    // ½‖W₃·W₂·W₁ − Y‖² at 0: gradient and Hessian vanish though it is no minimum.
    let deep = function("deep linear net", |g, w| {
        let y = g.constant(&tensor(&[1.0, 0.5, -0.3, 2.0], &[2, 2], DType::F64));
        Ok(vec![0.5 * (w[2].matmul(w[1]).matmul(w[0]) - y).sqr().sum(())])
    });
    let zeros: Vec<Tensor> = [[3, 2], [3, 3], [2, 3]]
        .iter()
        .map(|d| tensor(&vec![0.0; d[0] * d[1]], d, DType::F64))
        .collect();
    let at = Curvature::at(&deep, &zeros).unwrap();
    let flat = spectrum(&at).unwrap();
    rows.push(row("3-layer linear net at 0: largest |λ|", flat.norm(), 0.0));
    rows.push(row(
        "3-layer linear net at 0: eigenvalues that are not zero",
        21.0 - flat.index(1e-9).zero as f64,
        0.0,
    ));
    let ends = extremes(&at, ExtremeOptions::default()).unwrap();
    let none = ends.largest[0].value.abs() + ends.smallest[0].value.abs();
    rows.push(row("3-layer linear net at 0: ends of the spectrum by Lanczos", none, 0.0));
    let density = density(&at, DensityOptions::default()).unwrap();
    rows.push(row(
        "3-layer linear net at 0: second moment of the density",
        density.moment(2).value,
        0.0,
    ));

    // x² + 1 times a slope: H·g = 0 where g is not.
    let ramp = function("ramp", |_, v| Ok(vec![v[0] + 0.1 * (v[1] * v[1])]));
    let layout =
        Parameters::of(&[tensor(&[0.0], &[], DType::F64), tensor(&[0.0], &[], DType::F64)])
            .unwrap();
    let point =
        find_critical_point(&ramp, &layout, &[0.0, 0.7], CriticalOptions::default()).unwrap();
    let honest =
        point.status == CriticalStatus::GradientFlat && (point.gradient_norm - 1.0).abs() < 1e-6;
    rows.push(row(
        "a loss without critical point, not said to be gradient-flat",
        f64::from(!honest),
        0.0,
    ));
    rows
}
