//! The spectrum, index, trace and density of each layer's block of a Hessian, against the exact eigenvalues of the dense block.

use pullback_graph::landscape::{
    Curvature, DensityOptions, ExtremeOptions, Matrix, density, density_from, extremes,
    hutch_plus_plus, hutchinson, spectrum,
};

use super::networks::{by_double_pull, network_loss};
use super::{Row, row, worst};

/// What counts as zero, of the largest |λ|.
const ZERO: f64 = 1e-9;

/// Every layer (its weights and biases) of a tanh network 3 → 5 → 4 → 2.
pub(crate) fn layers() -> Vec<Row> {
    let (loss, parameters) = network_loss();
    let dense = by_double_pull(&loss, &parameters);
    let at = Curvature::at(&loss, &parameters).unwrap();
    let mut rows = vec![];
    for layer in 0..parameters.len() / 2 {
        let tensors = [2 * layer, 2 * layer + 1];
        let kept: Vec<usize> = tensors.iter().flat_map(|&i| at.parameters().range(i)).collect();
        let n = kept.len();
        let block = kept.iter().flat_map(|&i| kept.iter().map(move |&j| (i, j)));
        let block = Matrix::new(n, block.map(|(i, j)| dense[i][j]).collect()).unwrap();
        let exact = spectrum(&block).unwrap();
        let (values, scale) = (exact.values(), exact.norm());
        let trace: f64 = values.iter().sum();
        let group = at.group(&tensors).unwrap();
        let mut add = |what: &str, value: f64, limit: f64| {
            rows.push(row(format!("block of layer {layer}, {n} parameters: {what}"), value, limit));
        };

        let found = spectrum(&group).unwrap();
        let off = worst(found.values().iter().copied().zip(values.iter().copied()));
        add("eigenvalues, relative to the largest", off / scale, 1e-12);
        let (a, b) = (found.index(ZERO), exact.index(ZERO));
        let wrong = a.negative.abs_diff(b.negative) + a.zero.abs_diff(b.zero);
        add("error of the index", wrong as f64, 0.0);
        let ends = extremes(&group, ExtremeOptions::default()).unwrap();
        let ends = [ends.smallest[0].value, ends.largest[0].value];
        let off = worst(ends.into_iter().zip([values[0], values[n - 1]]));
        add("ends by Lanczos, relative", off / scale, 1e-9);

        let all = hutch_plus_plus(&group, 3 * n, 4).unwrap();
        add(
            "trace by Hutch++ on the whole range, relative",
            (all.value - trace).abs() / scale,
            1e-11,
        );
        let drawn = hutchinson(&group, 60, 4).unwrap();
        let sigma = (drawn.value - trace).abs() / drawn.standard_error;
        add("trace by 60 products, in standard errors", sigma, 3.5);

        let units: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
        let whole = density_from(&group, &units, n).unwrap();
        // Half-way between neighbours, so that no rounding decides which side one is on.
        let between = values.windows(2).map(|w| 0.5 * (w[0] + w[1]));
        let apart: Vec<f64> = between
            .zip(values.windows(2))
            .filter(|(_, w)| 1e-6 * scale < w[1] - w[0])
            .map(|(t, _)| t)
            .collect();
        let below = |t: f64| values.iter().filter(|x| **x < t).count() as f64 / n as f64;
        let off = worst(apart.iter().map(|&t| (whole.share_below(t).value, below(t))));
        add("cumulative density from all coordinate vectors", off, 1e-9);
        let drawn = density(&group, DensityOptions { steps: n, probes: 60, seed: 5 }).unwrap();
        let share = drawn.share_below(-ZERO * scale);
        let exact = b.negative as f64 / n as f64;
        let sigma = (share.value - exact).abs() / share.standard_error.max(1e-12);
        add("share of negative eigenvalues by the density, in standard errors", sigma, 3.5);
        let second = drawn.moment(2);
        let exact = values.iter().map(|x| x * x).sum::<f64>() / n as f64;
        let sigma = (second.value - exact).abs() / second.standard_error;
        add("second moment of the density, in standard errors", sigma, 3.5);
    }
    rows
}
