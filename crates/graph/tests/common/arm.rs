//! A 7-joint arm and a path problem over it: the robot problems that tests, report and bench share.
#![allow(dead_code, unreachable_pub)] // each user takes a part

use std::f64::consts::FRAC_PI_2;

use pullback_graph::Real;

/// Modified Denavit-Hartenberg rows (a in m, d in m, α in rad) of the joints of a 7-joint arm, and of its flange: the geometry that
/// the maker of the Panda arm publishes.
pub const ARM: [[f64; 3]; 8] = [
    [0.0, 0.333, 0.0],
    [0.0, 0.0, -FRAC_PI_2],
    [0.0, 0.316, FRAC_PI_2],
    [0.0825, 0.0, FRAC_PI_2],
    [-0.0825, 0.384, -FRAC_PI_2],
    [0.0, 0.0, FRAC_PI_2],
    [0.088, 0.0, FRAC_PI_2],
    [0.0, 0.107, 0.0],
];

/// Number of joints.
pub const JOINTS: usize = 7;

/// Position of the flange in metres from the 7 joint angles in radians.
pub fn hand<T: Real>(q: &[T]) -> [T; 3] {
    let mut turn = [[0.0, 1.0, 2.0].map(|_| T::lit(0.0)); 3];
    (0..3).for_each(|i| turn[i][i] = T::lit(1.0));
    let mut place = [T::lit(0.0); 3];
    for (i, &[a, d, alpha]) in ARM.iter().enumerate() {
        let (sin, cos) = match q.get(i) {
            Some(&q) => (q.sin(), q.cos()),
            None => (T::lit(0.0), T::lit(1.0)),
        };
        // Exact for the right angles of this arm.
        let (sa, ca) = (alpha.sin().round(), alpha.cos().round());
        let next = [
            [cos, -sin, T::lit(0.0)],
            [sin * ca, cos * ca, T::lit(-sa)],
            [sin * sa, cos * sa, T::lit(ca)],
        ];
        let shift = [T::lit(a), T::lit(-sa * d), T::lit(ca * d)];
        place =
            std::array::from_fn(|r| (0..3).fold(place[r], |sum, k| sum + turn[r][k] * shift[k]));
        turn = std::array::from_fn(|r| {
            std::array::from_fn(|c| {
                (0..3).fold(T::lit(0.0), |sum, k| sum + turn[r][k] * next[k][c])
            })
        });
    }
    place
}

/// Residuals of a path of `q.len()/7` joint configurations: accelerations q(t−1) − 2q(t) + q(t+1) for each inner step, then the
/// flange's position at each step. 100 steps: 700 variables, 686 + 300 = 986 residuals.
pub fn path<T: Real>(q: &[T]) -> Vec<T> {
    let steps: Vec<&[T]> = q.chunks_exact(JOINTS).collect();
    let mut residuals = Vec::with_capacity(10 * steps.len());
    for three in steps.windows(3) {
        residuals.extend((0..JOINTS).map(|j| three[0][j] - three[1][j] * 2.0 + three[2][j]));
    }
    steps.iter().for_each(|q| residuals.extend(hand(q)));
    residuals
}
