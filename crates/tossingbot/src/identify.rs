//! Identifying gravity from throws by gradient descent through the ballistic formula.
//!
//! A throw of known speed v that lands at p̂ says what gravity is: v = v̂(p̂; a). With L(a) = mean Huber((v − v̂(p̂; a))/u), u = 0.1 m/s,
//! the network gives dL/da = −mean Huber'(·)·(∂v̂/∂a)/u by its backward sweep. On the robot this derivative is total: a learned residual
//! could absorb an error of `a`, so it is identified with the residual off (δ = 0).

use candle_core::{Device, Tensor};
use pullback_core_graph::Graph;

use crate::ballistics::Aim;
use crate::error::{Error, Result};
use crate::flight::{Medium, land};
use crate::loss::{UNIT, huber};
use crate::physics_node::{BallisticSpeed, column};
use crate::rng::{Purpose, Stream};

/// Largest |dL/da| in 1/(m/s²) at which a descent has settled.
const SETTLED: f64 = 1e-3;
/// Most throws that are simulated.
const MOST_THROWS: usize = 10_000_000;

/// One throw: what was commanded and where it came down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedThrow {
    /// Horizontal launch speed v in m/s.
    pub speed: f64,
    /// Horizontal distance in metres from release to landing point.
    pub distance: f64,
    /// Height in metres of the release above the landing plane.
    pub height: f64,
}

/// How to identify.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// First guess of gravity in m/s².
    pub start: f64,
    /// Step length in (m/s²)² per unit of loss.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Number of steps.
    pub steps: usize,
    /// Launch angle in radians.
    pub angle: f64,
}

impl Default for Descent {
    fn default() -> Self {
        Self {
            start: 7.0,
            rate: 0.3,
            momentum: 0.9,
            steps: 300,
            angle: std::f64::consts::FRAC_PI_4,
        }
    }
}

/// One step of a descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescentStep {
    /// Gravity before the step in m/s².
    pub gravity: f64,
    /// Loss.
    pub loss: f64,
    /// dL/da in 1/(m/s²).
    pub gradient: f64,
}

/// Throws of balls: launched exactly at the commanded velocity from the nominal release point, flown through vacuum under `gravity`, seen
/// to land with a measurement error of standard deviation `deviation` metres.
///
/// # Errors
/// As [`land`].
pub fn simulated_throws(
    count: usize,
    gravity: f64,
    deviation: f64,
    seed: u64,
) -> Result<Vec<ObservedThrow>> {
    if MOST_THROWS < count {
        let (value, expected) = (count as f64, "at most ten million");
        return Err(Error::InvalidArgument { name: "number of throws", value, expected });
    }
    let mut rng = Stream::new(seed, Purpose::Noise);
    let medium = Medium { gravity, drag: 0.0 };
    let mut throws = Vec::with_capacity(count);
    while throws.len() < count {
        let (speed, height) = (rng.uniform(1.9, 2.6), rng.uniform(-0.2, 0.1));
        let error = deviation * rng.normal();
        if let Some(landing) = land(&[0.0, height, speed, speed], 0.0, &medium)? {
            throws.push(ObservedThrow { speed, distance: landing.x + error, height });
        }
    }
    Ok(throws)
}

/// L and dL/da of `gravity` on `throws`, by recording and pulling back the network.
///
/// # Errors
/// Those of the network; an unreachable landing point is the typed error of [`Aim::speed`] inside it.
pub fn loss_and_gradient(throws: &[ObservedThrow], gravity: f64, angle: f64) -> Result<(f64, f64)> {
    let graph = Graph::new();
    let a = graph.input(&Tensor::new(gravity, &Device::Cpu)?);
    let gather = |f: fn(&ObservedThrow) -> f64| column_of(&graph, throws, f);
    let hindsight =
        BallisticSpeed { angle }.record(a, gather(|t| t.distance)?, gather(|t| t.height)?);
    let residual = (gather(|t| t.speed)? - hindsight) / UNIT;
    let loss = huber(residual).mean(());
    let gradient = graph.gradient(loss, &[a])?;
    let slope = pullback_core_graph::tensor::to_f64(&gradient[0])?;
    Ok((loss.to_f64()?, slope.first().copied().unwrap_or(0.0)))
}

fn column_of<'g>(
    graph: &'g Graph,
    throws: &[ObservedThrow],
    f: fn(&ObservedThrow) -> f64,
) -> Result<pullback_core_graph::Var<'g>> {
    Ok(column(graph, &throws.iter().map(f).collect::<Vec<_>>())?)
}

/// Gradient descent with momentum on gravity. The result is the gravity after the last step, and every step.
///
/// # Errors
/// As [`loss_and_gradient`]; `InvalidArgument` for a start from which the steps do not reach a point where dL/da is 0.
pub fn identify_gravity(
    throws: &[ObservedThrow],
    descent: &Descent,
) -> Result<(f64, Vec<DescentStep>)> {
    let (mut gravity, mut velocity) = (descent.start, 0.0);
    let mut steps = Vec::with_capacity(descent.steps);
    for _ in 0..descent.steps {
        let (loss, gradient) = loss_and_gradient(throws, gravity, descent.angle)?;
        steps.push(DescentStep { gravity, loss, gradient });
        velocity = descent.momentum * velocity - descent.rate * gradient;
        gravity += velocity;
    }
    if steps.last().is_some_and(|step| SETTLED < step.gradient.abs()) {
        let expected = "near enough to gravity that the steps reach a slope of 0";
        return Err(Error::InvalidArgument { name: "start", value: descent.start, expected });
    }
    Ok((gravity, steps))
}

/// The speed that a throw's landing point asks for at `gravity`: v̂(p̂; a) without a graph.
///
/// # Errors
/// As [`Aim::speed`].
pub fn hindsight_speed(throw: &ObservedThrow, gravity: f64, angle: f64) -> Result<f64> {
    Aim { distance: throw.distance, height: throw.height, angle }.speed(gravity)
}
