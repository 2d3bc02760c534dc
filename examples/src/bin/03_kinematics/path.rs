//! Path problems: 7 joints × 100 steps, smooth, with the hand on a line and away from a ball.

use pullback_graph::Real;

use crate::arm::Arm;

/// Steps of a path, and the time between two of them in seconds.
pub(crate) const STEPS: usize = 100;
pub(crate) const TIME: f64 = 0.05;
/// Where the hand's line begins and ends, in metres.
pub(crate) const LINE: [[f64; 3]; 2] = [[0.5, -0.4, 0.4], [0.5, 0.4, 0.4]];
/// A ball in the way: centre and radius in metres, and the clearance to keep.
pub(crate) const BALL: ([f64; 3], f64) = ([0.48, 0.03, 0.36], 0.12);
pub(crate) const CLEARANCE: f64 = 0.02;
/// What counts as one unit of each residual: rad/s², m, m.
const ACCELERATION: f64 = 0.5;
const HAND: f64 = 0.005;
const INSIDE: f64 = 0.001;
/// The hinge is round over this distance, m.
const ROUND: f64 = 0.004;
/// The frames that keep clear of the ball: elbow, wrist, wrist roll, flange.
pub(crate) const GUARDED: [usize; 4] = [3, 5, 6, 7];

/// Where the hand should be at step `t`.
pub(crate) fn target(t: usize) -> [f64; 3] {
    let s = t as f64 / (STEPS - 1) as f64;
    std::array::from_fn(|i| (1.0 - s) * LINE[0][i] + s * LINE[1][i])
}

/// Accelerations (q(t−1) − 2q(t) + q(t+1))/τ² of each inner step, then the hand's way off its line at each step.
///
/// 100 steps: 700 variables, 686 + 300 = 986 residuals.
pub(crate) fn follow<T: Real>(arm: &Arm, q: &[T]) -> Vec<T> {
    let joints = q.len() / STEPS;
    let steps: Vec<&[T]> = q.chunks_exact(joints).collect();
    let unit = 1.0 / (TIME * TIME * ACCELERATION);
    let mut residuals = Vec::new();
    for three in steps.windows(3) {
        residuals
            .extend((0..joints).map(|j| (three[0][j] - three[1][j] * 2.0 + three[2][j]) * unit));
    }
    for (t, q) in steps.iter().enumerate() {
        let (place, goal) = (arm.hand(q).place, target(t));
        residuals.extend((0..3).map(|i| (place[i] - goal[i]) / HAND));
    }
    residuals
}

/// [`follow`], and for each step and guarded frame a smooth hinge on how far it comes into the ball.
///
/// h(d) = s·ln(1 + exp(d/s)) for the depth d = radius + clearance − distance: 400 residuals more.
pub(crate) fn avoid<T: Real>(arm: &Arm, q: &[T]) -> Vec<T> {
    let mut residuals = follow(arm, q);
    let (centre, radius) = BALL;
    for q in q.chunks_exact(q.len() / STEPS) {
        let frames = arm.frames(q);
        for frame in GUARDED {
            let away: [T; 3] = std::array::from_fn(|i| frames[frame].place[i] - centre[i]);
            let distance = (away[0].sqr() + away[1].sqr() + away[2].sqr()).sqrt();
            let depth = -distance + (radius + CLEARANCE);
            residuals.push((depth / ROUND).exp().ln_1p() * (ROUND / INSIDE));
        }
    }
    residuals
}
