//! (I − γ·P_π)·x = b and its transpose: in one pass where the policy is a forest, by Krylov's method elsewhere.

use super::chain::Chain;
use crate::{Error, Result};

/// Which of the two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// (I − γ·P)·x = b: values from rewards.
    Forward,
    /// (I − γ·P)ᵀ·x = b: flows from sources, the adjoint.
    Transposed,
}

/// Solves to rounding where rows have one successor, else to a relative residual of 10⁻¹³ or what rounding leaves of it.
pub(crate) fn solve_chain(
    node: &str,
    chain: &Chain,
    direction: Direction,
    b: &[f64],
) -> Result<Vec<f64>> {
    if chain.is_functional() {
        return functional(node, chain, direction, b);
    }
    stabilized(node, chain, direction == Direction::Transposed, b)
}

/// One successor for each row: leaves first, then each loop in closed form. O(states).
///
/// Forward on a loop of length L: x₀ = (Σᵢ wᵢ·bᵢ)/(1 − w_L) with the running products wᵢ of γ·p; transposed likewise.
fn functional(node: &str, chain: &Chain, direction: Direction, b: &[f64]) -> Result<Vec<f64>> {
    let n = chain.len();
    let step = |row: usize| chain.row(row).next().map(|(to, p)| (to, chain.discount * p));
    // Rows that nobody leads to come first.
    let mut into = vec![0u32; n];
    (0..n).filter_map(step).for_each(|(to, _)| into[to] += 1);
    let mut order: Vec<u32> = (0..n as u32).filter(|&r| into[r as usize] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        if let Some((to, _)) = step(order[at] as usize) {
            into[to] -= 1;
            if into[to] == 0 {
                order.push(to as u32);
            }
        }
        at += 1;
    }
    let loops = loops(n, &into, &step);
    let mut x = b.to_vec();
    let factor = |ring: &[(usize, f64)]| -> Result<f64> {
        let around: f64 = ring.iter().map(|(_, w)| w).product();
        if around < 1.0 {
            return Ok(1.0 / (1.0 - around));
        }
        let states: Vec<u32> = ring.iter().take(4).map(|(r, _)| chain.states[*r]).collect();
        let why = format!(
            "the policy goes around the states {states:?} for ever, each time worth {around} of the last"
        );
        Err(Error::NotContracting { node: node.into(), why })
    };
    match direction {
        Direction::Forward => {
            for ring in &loops {
                // x₀ = Σ wᵢ·bᵢ + w_L·x₀, then backwards around.
                let (mut sum, mut weight) = (0.0, 1.0);
                for &(row, w) in ring {
                    sum += weight * b[row];
                    weight *= w;
                }
                x[ring[0].0] = sum * factor(ring)?;
                for i in (1..ring.len()).rev() {
                    let after = ring[(i + 1) % ring.len()].0;
                    x[ring[i].0] = b[ring[i].0] + ring[i].1 * x[after];
                }
            }
            for &row in order.iter().rev() {
                if let Some((to, w)) = step(row as usize) {
                    x[row as usize] += w * x[to];
                }
            }
        }
        Direction::Transposed => {
            for &row in &order {
                if let Some((to, w)) = step(row as usize) {
                    x[to] += w * x[row as usize];
                }
            }
            for ring in &loops {
                // What flows once around into the first row, starting from the sources.
                let mut carried = 0.0;
                for &(row, w) in ring {
                    carried = (x[row] + carried) * w;
                }
                // It holds the first row's own source, once around already, so it and all later rounds are a geometric series.
                x[ring[0].0] += carried * factor(ring)?;
                for i in 1..ring.len() {
                    x[ring[i].0] += ring[i - 1].1 * x[ring[i - 1].0];
                }
            }
        }
    }
    Ok(x)
}

/// The loops among rows that something leads to even after the trees are gone, each as (row, weight of its step).
fn loops(
    n: usize,
    into: &[u32],
    step: &impl Fn(usize) -> Option<(usize, f64)>,
) -> Vec<Vec<(usize, f64)>> {
    let (mut seen, mut all) = (vec![false; n], vec![]);
    for first in (0..n).filter(|&r| into[r] > 0) {
        let (mut ring, mut row) = (vec![], first);
        while !std::mem::replace(&mut seen[row], true) {
            let Some((to, w)) = step(row) else { break };
            ring.push((row, w));
            row = to;
        }
        if !ring.is_empty() {
            all.push(ring);
        }
    }
    all
}

/// BiCGSTAB (van der Vorst 1992) with one Gauss-Seidel sweep as preconditioner. Rows come in an order where most transitions lead to earlier
/// rows, so that the sweep does nearly all the work; rounding may stop the method, and then it starts again from where it is.
fn stabilized(node: &str, chain: &Chain, transposed: bool, b: &[f64]) -> Result<Vec<f64>> {
    const RESTARTS: usize = 30;
    const STEPS: usize = 300;
    let n = chain.len();
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(b);
    let mut x = vec![0.0; n];
    if size == 0.0 {
        return Ok(x);
    }
    let sweep = Sweep::new(chain, transposed);
    let (mut best, mut best_x) = (f64::INFINITY, x.clone());
    for _ in 0..RESTARTS {
        bicgstab(chain, transposed, &sweep, b, &mut x, STEPS, 1e-14 * size);
        let mut r = vec![0.0; n];
        chain.apply(transposed, &x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        let left = norm(&r);
        let better = left < 0.5 * best;
        if left < best {
            (best, best_x) = (left, x.clone());
        }
        if best <= 1e-13 * size || (!better && best <= 1e-9 * size.max(norm(&best_x))) {
            return Ok(best_x);
        }
        if !left.is_finite() {
            x.clone_from(&best_x);
        }
        if !better {
            // Plain sweeps always get nearer where the chain contracts.
            for _ in 0..STEPS {
                let mut r = vec![0.0; n];
                chain.apply(transposed, &x, &mut r);
                r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
                sweep.solve(&mut r);
                x.iter_mut().zip(&r).for_each(|(x, r)| *x += r);
            }
        }
    }
    let why = format!("a relative residual of {:e} is left after {RESTARTS} starts", best / size);
    Err(Error::NotContracting { node: node.into(), why })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn bicgstab(
    chain: &Chain,
    transposed: bool,
    sweep: &Sweep<'_>,
    b: &[f64],
    x: &mut [f64],
    steps: usize,
    limit: f64,
) {
    let n = x.len();
    let mut r = vec![0.0; n];
    chain.apply(transposed, x, &mut r);
    r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    let shadow = r.clone();
    let (mut p, mut v) = (vec![0.0; n], vec![0.0; n]);
    let (mut rho, mut alpha, mut omega) = (1.0, 1.0, 1.0);
    let mut t = vec![0.0; n];
    for _ in 0..steps {
        if dot(&r, &r).sqrt() <= limit {
            return;
        }
        let next = dot(&shadow, &r);
        if next == 0.0 || omega == 0.0 || !next.is_finite() {
            return;
        }
        let beta = (next / rho) * (alpha / omega);
        rho = next;
        for i in 0..n {
            p[i] = r[i] + beta * (p[i] - omega * v[i]);
        }
        let mut y = p.clone();
        sweep.solve(&mut y);
        chain.apply(transposed, &y, &mut v);
        let along = dot(&shadow, &v);
        if along == 0.0 {
            return;
        }
        alpha = rho / along;
        r.iter_mut().zip(&v).for_each(|(r, v)| *r -= alpha * v);
        let mut z = r.clone();
        sweep.solve(&mut z);
        chain.apply(transposed, &z, &mut t);
        let tt = dot(&t, &t);
        omega = if tt == 0.0 { 0.0 } else { dot(&t, &r) / tt };
        for i in 0..n {
            x[i] += alpha * y[i] + omega * z[i];
            r[i] -= omega * t[i];
        }
    }
}

/// The triangle of I − γ·P that leads to earlier rows, diagonal included; solved in O(transitions).
struct Sweep<'c> {
    chain: &'c Chain,
    transposed: bool,
    diagonal: Vec<f64>,
}

impl<'c> Sweep<'c> {
    fn new(chain: &'c Chain, transposed: bool) -> Self {
        let own = |row: usize| -> f64 {
            chain.row(row).filter(|(next, _)| *next == row).map(|(_, p)| p).sum()
        };
        let diagonal = (0..chain.len()).map(|row| 1.0 - chain.discount * own(row));
        let diagonal = diagonal.map(|d| if d > 1e-12 { d } else { 1.0 }).collect();
        Self { chain, transposed, diagonal }
    }

    fn solve(&self, x: &mut [f64]) {
        let (chain, discount) = (self.chain, self.chain.discount);
        if self.transposed {
            for row in (0..x.len()).rev() {
                x[row] /= self.diagonal[row];
                let from = discount * x[row];
                for (next, p) in chain.row(row).filter(|(next, _)| *next < row) {
                    x[next] += p * from;
                }
            }
        } else {
            for row in 0..x.len() {
                let earlier = chain.row(row).filter(|(next, _)| *next < row);
                let sum: f64 = earlier.map(|(next, p)| p * x[next]).sum();
                x[row] = (x[row] + discount * sum) / self.diagonal[row];
            }
        }
    }
}
