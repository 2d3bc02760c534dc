//! A million instructions: recorded, differentiated, run and dropped, on the stack that Rust gives a thread.

use pullback_graph::{Real, Result, Tape};

/// The size of the figure.
pub(crate) const MILLION: usize = 1_000_000;

/// Runs on a thread with 2 MiB of stack.
pub(crate) fn on_a_small_stack<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::Builder::new().stack_size(2 << 20).spawn(f).unwrap().join().unwrap()
}

/// The largest error of these numbers, relative.
fn worst(pairs: &[(f64, f64)]) -> f64 {
    let error = |(ours, want): &(f64, f64)| ((ours - want) / want).abs();
    // NaN must not hide: it is the worst.
    pairs.iter().map(error).fold(0.0, |w, e| if e <= w { w } else { e })
}

/// z ← c·z by n multiplications from z = x, then its square: y = c²ⁿ·x², with slope 2·c²ⁿ·x and curvature 2·c²ⁿ.
pub(crate) fn chain(n: usize) -> Result<f64> {
    let c = 1.0 + 1.0 / n as f64;
    let tape = Tape::record(1, |x| vec![(0..n).fold(x[0], |z, _| z * c).sqr()])?;
    let (x, growth) = (1.5, (2.0 * n as f64 * (1.0 / n as f64).ln_1p()).exp());
    let (value, slope, curvature) = (growth * x * x, 2.0 * growth * x, 2.0 * growth);
    let value_and_push = tape.forward().eval(&[x, 1.0])?;
    let value_and_pull = tape.reverse().eval(&[x, 1.0])?;
    let first = tape.jacobian().0.eval(&[x])?;
    let second = tape.hessian().0.eval(&[x, 1.0])?;
    Ok(worst(&[
        (tape.eval(&[x])?[0], value),
        (value_and_push[1], slope),
        (value_and_pull[1], slope),
        (first[0], slope),
        (second[0], curvature),
    ]))
}

/// One variable that n instructions read: y = Σ (x + k)² for k < n.
pub(crate) fn fan(n: usize) -> Result<f64> {
    let tape = Tape::record(1, |x| {
        vec![(0..n).fold(Real::lit(0.0), |sum, k| sum + (x[0] + k as f64 / n as f64).sqr())]
    })?;
    // Σ k/n and Σ (k/n)².
    let (n, x) = (n as f64, 0.5);
    let (first, second) = ((n - 1.0) / 2.0, (n - 1.0) * (2.0 * n - 1.0) / (6.0 * n));
    let value = n * x * x + 2.0 * x * first + second;
    let slope = 2.0 * (n * x + first);
    Ok(worst(&[
        (tape.eval(&[x])?[0], value),
        (tape.forward().eval(&[x, 1.0])?[1], slope),
        (tape.reverse().eval(&[x, 1.0])?[1], slope),
        (tape.hessian().0.eval(&[x, 1.0])?[0], 2.0 * n),
    ]))
}

/// n inputs and n outputs, each of its neighbours: yᵢ = xᵢ·xᵢ₊₁, with the indices in a circle. 2·n places in the Jacobian.
pub(crate) fn wide(n: usize) -> Result<f64> {
    let tape = Tape::record(n, |x| (0..n).map(|i| x[i] * x[(i + 1) % n]).collect())?;
    let x: Vec<f64> = (0..n).map(|i| 1.0 + i as f64 / n as f64).collect();
    let y = tape.eval(&x)?;
    let (jacobian, pattern) = tape.jacobian();
    let entries = jacobian.eval(&x)?;
    let want = |i: usize, j: usize| if i == j { x[(i + 1) % n] } else { x[i] };
    let mut pairs: Vec<(f64, f64)> =
        pattern.places().zip(&entries).map(|((i, j), &d)| (d, want(i, j))).collect();
    pairs.push((entries.len() as f64, 2.0 * n as f64));
    pairs.extend((0..n).map(|i| (y[i], x[i] * x[(i + 1) % n])));
    Ok(worst(&pairs))
}
