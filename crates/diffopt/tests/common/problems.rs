//! Quadratic programs: random regular ones, random degenerate ones, and how to move along a direction of their data.

use pullback_diffopt::qp::{Qp, QpData, QpSolution};

use super::random::Random;

/// The data of a batch, owned.
#[derive(Debug, Clone, Default)]
pub struct Problem {
    pub n: usize,
    pub p: usize,
    pub m: usize,
    pub batch: usize,
    /// Q, q, A, b, G, h.
    pub data: [Vec<f64>; 6],
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// x, λ and slacks of an item.
pub fn values(solution: &QpSolution, item: usize) -> Vec<f64> {
    [solution.x(item), solution.inequality_multipliers(item), solution.slacks(item)].concat()
}

/// ‖a − b‖/‖b‖, with 1 in the place of a tiny ‖b‖.
pub fn apart(a: &[f64], b: &[f64]) -> f64 {
    let far = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let size = dot(b, b).sqrt();
    far / if size < 1e-12 { 1.0 } else { size }
}

impl Problem {
    pub fn qp(&self) -> Qp {
        Qp::new(self.n).equalities(self.p).inequalities(self.m)
    }

    pub fn data(&self) -> QpData<'_> {
        let [q_matrix, q, a, b, g, h] = &self.data;
        QpData::new(q_matrix, q, (a, b), (g, h))
    }

    /// The problems of OptNet's benchmark: Q = LLᵀ + ridge·I with L uniform, normal rows, a point z inside: Az = b, Gz + s = h with
    /// s uniform.
    pub fn random(seed: u64, (n, p, m, batch): (usize, usize, usize, usize), ridge: f64) -> Self {
        let mut random = Random::new(seed);
        let mut data: [Vec<f64>; 6] = Default::default();
        for _ in 0..batch {
            let l: Vec<f64> = (0..n * n).map(|_| random.uniform()).collect();
            for i in 0..n {
                for j in 0..n {
                    let x = dot(&l[i * n..(i + 1) * n], &l[j * n..(j + 1) * n]);
                    data[0].push(if i == j { x + ridge } else { x });
                }
            }
            data[1].extend(random.normals(n));
            let z = random.normals(n);
            for (matrix, right, rows, slack) in [(2, 3, p, 0.0), (4, 5, m, 1.0)] {
                for _ in 0..rows {
                    let row = random.normals(n);
                    data[right].push(dot(&row, &z) + slack * random.uniform());
                    data[matrix].extend(row);
                }
            }
        }
        Problem { n, p, m, batch, data }
    }

    /// A direction of all data.
    pub fn direction(&self, random: &mut Random) -> [Vec<f64>; 6] {
        [0, 1, 2, 3, 4, 5].map(|k| random.normals(self.data[k].len()))
    }

    /// data + step·direction
    pub fn moved(&self, direction: &[Vec<f64>; 6], step: f64) -> Self {
        let mut out = self.clone();
        for (data, direction) in out.data.iter_mut().zip(direction) {
            data.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
        }
        out
    }

    /// One item as a problem of its own.
    pub fn item(&self, i: usize) -> Self {
        let mut out = Problem { batch: 1, ..self.clone() };
        for data in &mut out.data {
            let one = data.len() / self.batch;
            *data = data[i * one..(i + 1) * one].to_vec();
        }
        out
    }

    /// A problem that breaks something: integers, so that ties are exact; duplicate, opposite, empty and dependent rows; low-rank Q; weakly active
    /// rows by construction; sometimes infeasible, unbounded or badly scaled.
    pub fn degenerate(seed: u64) -> Self {
        let mut r = Random::new(seed);
        let n = 1 + r.below(6);
        let (p, m) = (r.below(n.min(3) + 1), r.below(10));
        let small = |r: &mut Random, k: usize| -> Vec<f64> {
            (0..k).map(|_| r.below(5) as f64 - 2.0).collect()
        };
        let rank = r.below(n + 1);
        let mut q_matrix = vec![0.0; n * n];
        for _ in 0..rank {
            let v = small(&mut r, n);
            for i in 0..n {
                for j in 0..n {
                    q_matrix[i * n + j] += v[i] * v[j];
                }
            }
        }
        let z = small(&mut r, n);
        let (mut a, mut b, mut g, mut h) = (vec![], vec![], vec![], vec![]);
        for i in 0..p {
            let row = if i > 0 && r.uniform() < 0.4 { a[..n].to_vec() } else { small(&mut r, n) };
            b.push(dot(&row, &z));
            a.extend(row);
        }
        for i in 0..m {
            let kind = r.uniform();
            let row: Vec<f64> = if i > 0 && kind < 0.2 {
                g[..n].to_vec()
            } else if i > 0 && kind < 0.3 {
                g[(i - 1) * n..i * n].iter().map(|x: &f64| -x).collect()
            } else if kind < 0.35 {
                vec![0.0; n]
            } else {
                small(&mut r, n)
            };
            // Half of the rows hold with equality at z.
            h.push(dot(&row, &z) + if r.uniform() < 0.5 { 0.0 } else { 1.0 });
            g.extend(row);
        }
        // Often stationary at z with zero multipliers on some tight rows, so that these are weakly active.
        let mut q = small(&mut r, n);
        if r.uniform() < 0.5 {
            for i in 0..n {
                q[i] = -dot(&q_matrix[i * n..(i + 1) * n], &z);
                for k in 0..p {
                    q[i] -= a[k * n + i];
                }
                if m > 0 {
                    q[i] -= g[i] * f64::from(u8::from(h[0] == dot(&g[..n], &z)));
                }
            }
        }
        let mut out = Problem { n, p, m, batch: 1, data: [q_matrix, q, a, b, g, h] };
        let kind = r.uniform();
        if kind < 0.15 && m > 0 {
            let k = r.below(m);
            out.data[5][k] -= 1.0 + r.below(5) as f64;
        } else if kind < 0.2 && p > 0 {
            out.data[3][0] += 1.0;
        } else if kind < 0.35 {
            out.rescale(&mut r);
        }
        out
    }

    /// Columns and rows times powers of ten up to 10^±6: the numbers themselves then range over 10^±12.
    fn rescale(&mut self, r: &mut Random) {
        let mut power =
            |k: usize| -> Vec<f64> { (0..k).map(|_| 10f64.powi(r.below(7) as i32 - 3)).collect() };
        let (n, d) = (self.n, power(self.n));
        let (rows_a, rows_g) = (power(self.p), power(self.m));
        for i in 0..n {
            self.data[1][i] *= d[i];
            for j in 0..n {
                self.data[0][i * n + j] *= d[i] * d[j];
            }
        }
        for (matrix, right, scale) in [(2, 3, rows_a), (4, 5, rows_g)] {
            for (i, s) in scale.iter().enumerate() {
                self.data[right][i] *= s;
                for j in 0..n {
                    self.data[matrix][i * n + j] *= s * d[j];
                }
            }
        }
    }

    /// The largest violation of the optimality conditions by x, ν, λ, each relative to the terms that it is a difference of.
    pub fn violation(&self, x: &[f64], nu: &[f64], lambda: &[f64]) -> f64 {
        let [q_matrix, q, a, b, g, h] = &self.data;
        let n = self.n;
        let mut worst = 0.0f64;
        let mut scale = 1.0f64;
        for i in 0..n {
            let (mut sum, mut size) = (q[i], q[i].abs());
            let mut add = |t: f64| {
                sum += t;
                size = size.max(t.abs());
            };
            (0..n).for_each(|j| add(0.5 * (q_matrix[i * n + j] + q_matrix[j * n + i]) * x[j]));
            nu.iter().enumerate().for_each(|(k, nu)| add(a[k * n + i] * nu));
            lambda.iter().enumerate().for_each(|(k, l)| add(g[k * n + i] * l));
            worst = worst.max(sum.abs() / (1.0 + size));
            scale = scale.max(size);
        }
        for (matrix, right, equality) in [(a, b, true), (g, h, false)] {
            for (k, right) in right.iter().enumerate() {
                let row = &matrix[k * n..(k + 1) * n];
                let size =
                    row.iter().zip(x).map(|(a, x)| (a * x).abs()).fold(right.abs(), f64::max);
                let gap = dot(row, x) - right;
                let gap = if equality { gap.abs() } else { gap.max(0.0) };
                worst = worst.max(gap / (1.0 + size));
                if !equality {
                    let l = lambda[k];
                    worst = worst.max(-l / (1.0 + l.abs()));
                    worst = worst.max((l * (right - dot(row, x))).abs() / (1.0 + size) / scale);
                }
            }
        }
        worst
    }
}
