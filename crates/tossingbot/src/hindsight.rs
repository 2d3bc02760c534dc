//! What a throw teaches after it has landed.
//!
//! A throw at v that lands at p̂ shows the residual of this grasp: δ̄ = v − v̂(p̂; a), wherever p̂ is. The same number says where a throw
//! at another speed v' would have landed: at the distance for which the formula proposes v' − δ̄. So a good grasp that was thrown at an
//! exploratory speed need not count as a failure. The label of the grasp is whether the robot's present speed for it,
//! v' = v̂(p; a) + δ_θ, would have hit the box:
//!
//! ```text
//! p̂' = release point + d(v' − δ̄; a) along the heading + the lateral miss that was seen
//! ```

use nalgebra::{Vector2, Vector3};

use crate::attempt::World;
use crate::ballistics::{Aim, landing_distance};
use crate::error::Result;

/// Distance in metres by which a counterfactual landing must clear the edges of the opening: the robot does not know the object's length.
const CLEARANCE: f64 = 0.03;

/// A target as the formula takes it, and the geometry to come back from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throwing {
    /// The target box's number.
    pub target: usize,
    /// The target point p in metres.
    pub point: Vector3<f64>,
    /// Distance, height and angle of the target.
    pub aim: Aim,
}

impl Throwing {
    /// A throw into box `target`.
    ///
    /// # Errors
    /// `NoSuchItem` for the box.
    pub fn new(world: &World, target: usize) -> Result<Self> {
        let point = world.boxes.target(target)?;
        Ok(Self { target, point, aim: world.aim(&point) })
    }
}

/// A landing point p̂ as the formula takes it; `None` where no throw at the launch angle comes down (too near, or never landed), so that
/// it has no hindsight speed.
pub fn landing_aim(world: &World, landing: Option<[f64; 2]>) -> Option<Aim> {
    let [x, y] = landing?;
    let aim = world.aim(&Vector3::new(x, y, world.boxes.height));
    // Whether a speed exists does not depend on gravity.
    aim.speed(world.release.gravity).is_ok().then_some(aim)
}

/// Whether a throw of the same grasp at `residual_error` = δ_θ − δ̄ m/s away from the formula's speed v̂(p; a) would have hit the box.
///
/// `base` is v̂(p; a), `gravity` is a, `landing` where the actual throw came down.
pub fn would_hit(
    world: &World,
    throwing: &Throwing,
    base: f64,
    residual_error: f64,
    gravity: f64,
    landing: [f64; 2],
) -> bool {
    let speed = base + residual_error;
    let Aim { height, angle, .. } = throwing.aim;
    let Ok(distance) = landing_distance(speed.max(0.0), height, angle, gravity) else {
        return false;
    };
    let heading = throwing.point.xy().normalize();
    let aside = Vector2::new(-heading.y, heading.x);
    let lateral = aside.dot(&Vector2::new(landing[0], landing[1]));
    let place = heading * (world.point.radius + distance) + aside * lateral;
    let [depth, width] = world.boxes.opening;
    (place.x - throwing.point.x).abs() <= 0.5 * depth - CLEARANCE
        && (place.y - throwing.point.y).abs() <= 0.5 * width - CLEARANCE
}
