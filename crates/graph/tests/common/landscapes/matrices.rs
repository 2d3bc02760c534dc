//! Matrices with known spectra.

use pullback_graph::landscape::{
    DensityOptions, Estimate, ExtremeOptions, LanczosOptions, Matrix, Operator, Random, density,
    density_from, extremes, hutch_plus_plus, hutchinson, lanczos, spectrum,
};

use super::{Row, row, worst};

/// Q·diag(λ)·Qᵀ with Q a product of reflections.
pub(crate) fn with_spectrum(values: &[f64], seed: u64) -> Matrix {
    let n = values.len();
    let mut a = vec![0.0; n * n];
    (0..n).for_each(|i| a[i * n + i] = values[i]);
    let mut random = Random::new(seed);
    for _ in 0..3 {
        let v = random.normals(n);
        let vv: f64 = v.iter().map(|x| x * x).sum();
        for side in 0..2 {
            for i in 0..n {
                let at = |j: usize| if side == 0 { i * n + j } else { j * n + i };
                let along: f64 = (0..n).map(|j| a[at(j)] * v[j]).sum();
                (0..n).for_each(|j| a[at(j)] -= 2.0 * along / vv * v[j]);
            }
        }
    }
    Matrix::new(n, a).unwrap()
}

/// 200 eigenvalues like a network's: a bulk around 0, outliers, some negative, one triple.
fn known() -> Vec<f64> {
    let mut values: Vec<f64> =
        (0..190).map(|i| 0.3 * ((i as f64 + 0.5) / 190.0 * 3.0).sin() - 0.05).collect();
    values.extend([-1.5, -0.8, 2.0, 4.0, 4.5, 5.0, 9.0, 9.0, 9.0, 12.0]);
    values.sort_by(f64::total_cmp);
    values
}

/// Lanczos, extreme eigenvalues and quadrature against exact spectra.
pub(crate) fn spectra() -> Vec<Row> {
    let values = known();
    let n = values.len();
    let a = with_spectrum(&values, 3);
    let mut rows = vec![];

    let dense = spectrum(&a).unwrap();
    let off = worst(dense.values().iter().copied().zip(values.iter().copied()));
    rows.push(row("all eigenvalues, n = 200, relative to the largest", off / 12.0, 1e-13));

    let options =
        ExtremeOptions { largest: 5, smallest: 2, multiplicities: true, ..Default::default() };
    let ends = extremes(&a, options).unwrap();
    let high = ends.largest.iter().map(|p| p.value).zip([12.0, 9.0, 9.0, 9.0, 5.0]);
    let low = ends.smallest.iter().map(|p| p.value).zip([-1.5, -0.8]);
    let relative = high.chain(low).fold(0.0, |w: f64, (x, y)| w.max(((x - y) / y).abs()));
    let missing = 7 - (ends.largest.len() + ends.smallest.len()) + usize::from(!ends.converged);
    rows.push(row("5 largest (one triple) and 2 smallest, relative", relative, 1e-10));
    rows.push(row("extreme pairs missing or not converged", missing as f64, 0.0));
    let residual =
        ends.largest.iter().chain(&ends.smallest).map(|p| p.residual).fold(0.0, f64::max);
    rows.push(row("largest measured residual ‖A·v − λ·v‖", residual, 1e-8 * 12.0));
    rows.push(row("products for these, of 200 × 200 entries", ends.products as f64, 100.0));

    // A start that hardly sees an eigenvector must not end the search: many starts.
    let all = [12.0, 9.0, 9.0, 9.0, 5.0];
    let missed = (0..100).filter(|&seed| {
        let ends = extremes(&a, ExtremeOptions { seed, ..options }).unwrap();
        let found = ends.largest.iter().map(|p| p.value).zip(all);
        !ends.converged || 1e-9 < worst(found)
    });
    rows.push(row("starts of 100 that miss one of the 5 largest", missed.count() as f64, 0.0));

    // With restarts, all eigenvalues of a matrix that has four only.
    let few: Vec<f64> = (0..60).map(|i| [-2.0, 0.0, 1.0, 7.0][i % 4]).collect();
    let few_matrix = with_spectrum(&few, 4);
    let options = LanczosOptions { steps: 60, seed: 2, restart: true };
    let run = lanczos(&few_matrix, None, options).unwrap();
    let mut sorted = few.clone();
    sorted.sort_by(f64::total_cmp);
    let ritz = run.ritz().unwrap();
    let off = worst(ritz.iter().map(|r| r.value).zip(sorted));
    rows.push(row("all of 4 × 15 equal eigenvalues after restarts", off, 1e-12));
    let without = lanczos(&few_matrix, None, LanczosOptions { restart: false, ..options }).unwrap();
    rows.push(row(
        "steps until the subspace is invariant, beyond 4",
        without.alpha().len() as f64 - 4.0,
        0.0,
    ));

    let run = lanczos(&a, None, LanczosOptions { steps: 120, ..Default::default() }).unwrap();
    let q = run.vectors();
    let gram = (0..q.len()).flat_map(|i| (0..=i).map(move |j| (i, j)));
    let off = worst(gram.map(|(i, j)| {
        let dot: f64 = q[i].iter().zip(&q[j]).map(|(a, b)| a * b).sum();
        (dot, if i == j { 1.0 } else { 0.0 })
    }));
    rows.push(row("loss of orthogonality after 120 steps", off, 1e-14));
    let beyond = run
        .ritz()
        .unwrap()
        .iter()
        .filter(|r| {
            let nearest = values.iter().map(|v| (v - r.value).abs()).fold(f64::INFINITY, f64::min);
            r.bound + 1e-13 * 12.0 < nearest
        })
        .count();
    rows.push(row("Ritz values farther from the spectrum than their bound", beyond as f64, 0.0));

    // Gauss quadrature: moments of one start up to degree 2k − 1 are exact.
    let start = Random::new(9).normals(n);
    let one = density_from(&a, std::slice::from_ref(&start), 6).unwrap();
    let mut power = start.clone();
    let mut off: f64 = 0.0;
    let norm: f64 = start.iter().map(|x| x * x).sum();
    for p in 0..12 {
        let exact = start.iter().zip(&power).map(|(a, b)| a * b).sum::<f64>() / norm;
        off = off.max((one.moment(p).value / exact - 1.0).abs());
        power = a.apply(&power).unwrap();
    }
    rows.push(row("quadrature of degree 0 … 11 by 6 steps, relative", off, 1e-11));

    let smooth = |of: &[f64], t: f64, width: f64| -> f64 {
        let each = of.iter().map(|x| (-0.5 * ((t - x) / width).powi(2)).exp());
        each.sum::<f64>() / (of.len() as f64 * width * std::f64::consts::TAU.sqrt())
    };
    // From all coordinate vectors the density is the exact one.
    let some: Vec<f64> = values.iter().copied().step_by(4).collect();
    let m = some.len();
    let units: Vec<Vec<f64>> =
        (0..m).map(|i| (0..m).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    let exact = density_from(&with_spectrum(&some, 8), &units, m).unwrap();
    let ts: Vec<f64> = (0..60).map(|i| -2.0 + 0.25 * i as f64).collect();
    let off = worst(ts.iter().map(|&t| (exact.at(t, 0.2).unwrap().value, smooth(&some, t, 0.2))));
    rows.push(row("density from all coordinate vectors against the exact one, n = 50", off, 1e-11));

    let drawn = density(&a, DensityOptions { steps: 80, probes: 40, seed: 5 }).unwrap();
    let mut sigmas: f64 = 0.0;
    for p in 1..=4 {
        let exact = values.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        let moment = drawn.moment(p as u32);
        sigmas = sigmas.max((moment.value - exact).abs() / moment.standard_error);
    }
    rows.push(row("moments 1 … 4 from 40 probes, in standard errors", sigmas, 3.5));
    let share = values.iter().filter(|x| **x < -0.1).count() as f64 / n as f64;
    let below = drawn.share_below(-0.1);
    let sigma = (below.value - share).abs() / below.standard_error;
    rows.push(row("share of eigenvalues below −0.1, in standard errors", sigma, 3.5));
    // ∫|φ − φ̂| dt over the support, of 2 at most.
    let curve = drawn.curve(600, 0.1).unwrap();
    let step = curve[1][0] - curve[0][0];
    let distance: f64 =
        curve.iter().map(|p| (p[1] - smooth(&values, p[0], 0.1)).abs() * step).sum();
    rows.push(row("distance ∫|φ − φ̂| of the smoothed densities", distance, 0.05));
    rows
}

/// Traces.
pub(crate) fn traces() -> Vec<Row> {
    let values = known();
    let exact: f64 = values.iter().sum();
    let a = with_spectrum(&values, 3);
    let plain = hutchinson(&a, 120, 7).unwrap();
    let plus = hutch_plus_plus(&a, 120, 7).unwrap();
    // Over many seeds the errors, in their own standard errors, have mean 0 and spread about 1.
    let some: Vec<f64> = values.iter().copied().step_by(4).collect();
    let (matrix, sum) = (with_spectrum(&some, 8), some.iter().sum::<f64>());
    type Estimator = fn(&Matrix, usize, u64) -> pullback_graph::Result<Estimate>;
    let spread = |estimator: Estimator| {
        let seeds = 0..300;
        let of = |seed| estimator(&matrix, 30, seed).unwrap();
        let errors: Vec<(f64, f64)> =
            seeds.map(of).map(|e| (e.value - sum, (e.value - sum) / e.standard_error)).collect();
        let m = errors.len() as f64;
        let mean = errors.iter().map(|e| e.0).sum::<f64>() / m;
        let deviation = (errors.iter().map(|e| e.0 * e.0).sum::<f64>() / m / m).sqrt();
        let beyond = errors.iter().filter(|e| 3.0 < e.1.abs()).count() as f64 / m;
        (mean.abs() / deviation, beyond)
    };
    let (plain_bias, plain_beyond) = spread(hutchinson);
    let (plus_bias, plus_beyond) = spread(hutch_plus_plus);
    let low: Vec<f64> = (0..100).map(|i| if i < 8 { 1.0 + i as f64 } else { 0.0 }).collect();
    let captured = hutch_plus_plus(&with_spectrum(&low, 5), 30, 1).unwrap();
    let diagonal = Matrix::new(2, vec![3.0, 0.0, 0.0, -1.0]).unwrap();
    vec![
        row("Hutchinson over 300 seeds: mean error in standard errors", plain_bias, 3.0),
        row("Hutch++ over 300 seeds: mean error in standard errors", plus_bias, 3.0),
        row("Hutchinson: share of seeds beyond 3 standard errors", plain_beyond, 0.02),
        row("Hutch++: share of seeds beyond 3 standard errors", plus_beyond, 0.04),
        row(
            "Hutchinson, 120 products, in standard errors",
            (plain.value - exact).abs() / plain.standard_error,
            3.0,
        ),
        row(
            "Hutch++, 120 products, in standard errors",
            (plus.value - exact).abs() / plus.standard_error,
            3.0,
        ),
        row(
            "standard error of Hutch++ relative to Hutchinson's",
            plus.standard_error / plain.standard_error,
            0.5,
        ),
        row(
            "Hutch++ of rank 8 from 30 products, relative",
            (captured.value / 36.0 - 1.0).abs(),
            1e-12,
        ),
        row(
            "Hutchinson of a diagonal matrix",
            (hutchinson(&diagonal, 2, 1).unwrap().value - 2.0).abs(),
            0.0,
        ),
    ]
}
