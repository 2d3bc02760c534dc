//! Dual numbers against tapes: the same code by two ways to its Jacobian and its Hessian.

use pullback_graph::{Dual, Result, Tape};

use super::dags::{Network, networks};
use super::worst::{Worst, numbers};

/// Inputs of the largest network.
const N: usize = 6;
type Nested = Dual<Dual<f64, N>, N>;

/// All networks of the table at all their points.
pub(crate) fn compare() -> Worst {
    let mut worst = Worst::default();
    for (k, (network, entry)) in networks().iter().enumerate() {
        for point in entry["points"].as_array().into_iter().flatten() {
            let x = numbers(point[0].as_str().unwrap_or_default());
            if let Err(e) = compare_one(k, network, &x, &mut worst) {
                worst.fail(format!("network {k} at {x:?}: {e}"));
            }
        }
    }
    worst
}

fn compare_one(k: usize, network: &Network, x: &[f64], worst: &mut Worst) -> Result<()> {
    let n = x.len();
    let tape = Tape::record(n, |x| network.run(x))?;
    let (jacobian, places) = tape.jacobian();
    let (hessian, second) = tape.hessian();
    let m = tape.outputs();
    let duals: Vec<Nested> =
        x.iter().enumerate().map(|(i, &x)| Dual::variable(Dual::variable(x, i), i)).collect();
    let y = network.run(&duals);
    let rows = places.dense(&jacobian.eval(x)?);
    for (i, (y, row)) in y.iter().zip(rows.chunks(n)).enumerate() {
        let slopes: Vec<f64> = y.slopes[..n].iter().map(|s| s.value).collect();
        worst.compare(&slopes, row, || format!("network {k} at {x:?}, row {i}"));
    }
    let weights: Vec<f64> = (0..m).map(|i| 1.0 - 0.3 * i as f64).collect();
    let ours = second.dense(&hessian.eval(&[x, &weights].concat())?);
    let mut sum = vec![0.0; n * n];
    for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        sum[i * n + j] = y.iter().zip(&weights).map(|(y, w)| w * y.slopes[i].slopes[j]).sum();
    }
    worst.compare(&sum, &ours, || format!("network {k} at {x:?}, Hessian"));
    Ok(())
}
