//! Objectives with published formulas, sample by sample, generic over the number.
//!
//! Mixture, bundle adjustment and hand: ADBench (Šrajer, Kukelova, Fitzgibbon 2018), sections 4.1 to 4.3. Least squares: cmpad's
//! llsq_obj. Helmholtz energy: Griewank, On automatic differentiation (1989).

use crate::data::Transform;
use pullback_graph::Real;

/// Bones of the hand: wrist, five fingers of four bones, forearm.
pub(crate) const BONES: usize = 22;

/// Σ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²
pub(crate) fn rosenbrock<T: Real>(x: &[T]) -> T {
    x.windows(2).fold(T::lit(0.0), |sum, w| {
        sum + (w[1] - w[0].sqr()).sqr() * 100.0 + (T::lit(1.0) - w[0]).sqr()
    })
}

/// R·T·Σ xᵢ·ln(xᵢ/(1 − bᵀx)) − xᵀAx/(√8·bᵀx)·ln((1 + (1+√2)·bᵀx)/(1 + (1−√2)·bᵀx)), Aᵢⱼ = 1/(i+j−1), bᵢ = 10⁻⁵.
pub(crate) fn helmholtz<T: Real>(x: &[T]) -> T {
    let root = 2f64.sqrt();
    let bx = x.iter().fold(T::lit(0.0), |sum, &x| sum + x * 1e-5);
    let free = T::lit(1.0) - bx;
    let (mut ideal, mut attraction) = (T::lit(0.0), T::lit(0.0));
    for (i, &xi) in x.iter().enumerate() {
        ideal += xi * (xi / free).ln();
        let row = x.iter().enumerate();
        let ax = row.fold(T::lit(0.0), |sum, (j, &xj)| sum + xj * (1.0 / (1 + i + j) as f64));
        attraction += xi * ax;
    }
    let ratio = (bx * (1.0 + root) + 1.0) / (bx * (1.0 - root) + 1.0);
    ideal * (8.314 * 273.0) - attraction / (bx * 8f64.sqrt()) * ratio.ln()
}

/// ln Σ exp xᵢ, safe against overflow.
fn log_sum_exp<T: Real>(x: &[T]) -> T {
    let largest = x.iter().skip(1).fold(x[0], |a, &b| a.max(b));
    x.iter().fold(T::lit(0.0), |sum, &x| sum + (x - largest).exp()).ln() + largest
}

/// Logarithm of the likelihood of one point under a mixture of k Gaussians, without constants and without the normalization of the
/// weights. `parameters`: k logarithms of weights, k·d means, k times d logarithms of the diagonal and d(d−1)/2 other entries of the
/// inverse covariance factor, column by column.
pub(crate) fn mixture_point<T: Real>(d: usize, k: usize, parameters: &[T], point: &[T]) -> T {
    let (alphas, rest) = parameters.split_at(k);
    let (means, factors) = rest.split_at(k * d);
    let factors = factors.chunks_exact(d * (d + 1) / 2);
    let terms: Vec<T> = alphas
        .iter()
        .zip(means.chunks_exact(d))
        .zip(factors)
        .map(|((&alpha, mean), factor)| {
            let centred: Vec<T> = point.iter().zip(mean).map(|(&x, &m)| x - m).collect();
            let (logs, lower) = factor.split_at(d);
            let mut q: Vec<T> = centred.iter().zip(logs).map(|(&c, &l)| c * l.exp()).collect();
            let mut entries = lower.iter();
            for column in 0..d {
                for (row, &entry) in (column + 1..d).zip(&mut entries) {
                    q[row] += entry * centred[column];
                }
            }
            let square = q.iter().fold(T::lit(0.0), |sum, &q| sum + q.sqr());
            logs.iter().fold(alpha, |sum, &l| sum + l) - square * 0.5
        })
        .collect();
    log_sum_exp(&terms)
}

/// What does not depend on the points: the weights' normalization, and a Wishart prior of γ = 1, m = 0 without its constants.
pub(crate) fn mixture_rest<T: Real>(d: usize, k: usize, n: usize, parameters: &[T]) -> T {
    let normal = log_sum_exp(&parameters[..k]) * (n as f64);
    let factors = parameters[k + k * d..].chunks_exact(d * (d + 1) / 2);
    let prior = factors.fold(T::lit(0.0), |sum, factor| {
        let (logs, lower) = factor.split_at(d);
        let sum = logs.iter().fold(sum, |sum, &l| sum + l.exp().sqr());
        lower.iter().fold(sum, |sum, &l| sum + l.sqr())
    });
    prior * 0.5 - normal
}

/// ½·(s − Σ xⱼ·tʲ)², by Horner's rule; `sample` is t, s.
pub(crate) fn polynomial<T: Real>(x: &[T], sample: &[T]) -> T {
    let value = x.iter().rev().fold(T::lit(0.0), |sum, &x| sum * sample[0] + x);
    (sample[1] - value).sqr() * 0.5
}

/// w·(projection − feature) in both directions, and the weight's error 1 − w². `x`: rotation vector, centre, focal length,
/// principal point and two radial distortions of the camera (11), the point (3), w, the feature (2).
pub(crate) fn reprojection<T: Real>(x: &[T]) -> [T; 3] {
    let (turn, w) = (&x[..3], x[14]);
    let p: [T; 3] = std::array::from_fn(|i| x[11 + i] - x[3 + i]);
    let angle = (turn[0].sqr() + turn[1].sqr() + turn[2].sqr()).sqrt();
    let inverse = angle.recip();
    let a: [T; 3] = std::array::from_fn(|i| turn[i] * inverse);
    let (s, c) = (angle.sin(), angle.cos());
    let along = (a[0] * p[0] + a[1] * p[1] + a[2] * p[2]) * (T::lit(1.0) - c);
    let cross = [a[1] * p[2] - a[2] * p[1], a[2] * p[0] - a[0] * p[2], a[0] * p[1] - a[1] * p[0]];
    let seen: [T; 3] = std::array::from_fn(|i| p[i] * c + cross[i] * s + a[i] * along);
    let flat = [seen[0] / seen[2], seen[1] / seen[2]];
    let square = flat[0].sqr() + flat[1].sqr();
    let stretch = x[9] * square + x[10] * square * square + 1.0;
    let error = |i: usize| w * (flat[i] * stretch * x[6] + x[7 + i] - x[15 + i]);
    [error(0), error(1), T::lit(1.0) - w.sqr()]
}

/// A rigid transform over numbers.
pub(crate) type Frame<T> = [[T; 4]; 3];

/// a·b; the lowest row of a transform is (0, 0, 0, 1).
fn joined<T: Real>(a: &Frame<T>, b: &Frame<T>) -> Frame<T> {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let last = if j == 3 { a[i][3] } else { T::lit(0.0) };
            (0..3).fold(last, |sum, k| sum + a[i][k] * b[k][j])
        })
    })
}

fn constant<T: Real>(frame: &Transform) -> Frame<T> {
    frame.map(|row| row.map(T::lit))
}

/// Rotation by `flex` about x and then by `abduct` about z.
fn bent<T: Real>(flex: T, abduct: Option<T>) -> Frame<T> {
    let (one, zero) = (T::lit(1.0), T::lit(0.0));
    let (sx, cx) = (flex.sin(), flex.cos());
    let (sz, cz) = abduct.map_or((zero, one), |a| (a.sin(), a.cos()));
    [[cz, -(sz * cx), sz * sx, zero], [sz, cz * cx, -(cz * sx), zero], [zero, sx, cx, zero]]
}

/// Transforms of the bones from the 20 angles of the fingers, each joined with its inverse base transform.
pub(crate) fn hand_bones<T: Real>(
    fingers: &[T],
    relative: &[Transform],
    inverse: &[Transform],
) -> Vec<Frame<T>> {
    let wrist: Frame<T> = constant(&relative[0]);
    let mut bones = vec![wrist];
    for finger in fingers.chunks_exact(4) {
        let mut parent = wrist;
        for joint in 0..4 {
            let base = constant(&relative[bones.len()]);
            let own = match joint {
                0 => base,
                1 => joined(&base, &bent(finger[0], Some(finger[1]))),
                _ => joined(&base, &bent(finger[joint], None)),
            };
            parent = joined(&parent, &own);
            bones.push(parent);
        }
    }
    bones.push(joined(&wrist, &constant(&relative[BONES - 1])));
    bones.iter().zip(inverse).map(|(bone, inverse)| joined(bone, &constant(inverse))).collect()
}

/// Error of one skinned vertex: target − R·Σ_b w_b·T_b·v − shift. `global`: rotation vector and shift; `sample`: v, w, target.
pub(crate) fn hand_vertex<T: Real>(global: &[T], bones: &[Frame<T>], sample: &[T]) -> [T; 3] {
    let (vertex, rest) = sample.split_at(3);
    let (weights, target) = rest.split_at(BONES);
    let mut p = [T::lit(0.0); 3];
    // The sum over bones goes first: as many products, and three for the vertex at the end.
    for (i, p) in p.iter_mut().enumerate() {
        let blended = |j: usize| {
            let terms = bones.iter().zip(weights);
            terms.fold(T::lit(0.0), |sum, (bone, &w)| sum + w * bone[i][j])
        };
        *p = (0..3).fold(blended(3), |sum, j| sum + blended(j) * vertex[j]);
    }
    let angle = (global[0].sqr() + global[1].sqr() + global[2].sqr()).sqrt();
    let [x, y, z]: [T; 3] = std::array::from_fn(|i| global[i] / angle);
    let (s, c, one) = (angle.sin(), angle.cos(), T::lit(1.0));
    let v = one - c;
    let turn = [
        [x * x + (one - x * x) * c, x * y * v - z * s, x * z * v + y * s],
        [x * y * v + z * s, y * y + (one - y * y) * c, y * z * v - x * s],
        [x * z * v - y * s, z * y * v + x * s, z * z + (one - z * z) * c],
    ];
    std::array::from_fn(|i| {
        let turned = (0..3).fold(global[3 + i], |sum, k| sum + turn[i][k] * p[k]);
        target[i] - turned
    })
}
