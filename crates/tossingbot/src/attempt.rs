//! One attempt: grasp at a pose, throw at a speed, see where it lands.

use nalgebra::{Vector2, Vector3};

use crate::ballistics::Aim;
use crate::boxes::{BoxGrid, ReleasePoint};
use crate::error::Result;
use crate::flight::{Medium, State, land, sample};
use crate::grasp::{Grasp, GraspFailure, GraspPose, Gripper};
use crate::objects::ObjectModel;
use crate::release::{Launch, ReleaseModel, ReleaseNoise};
use crate::rng::Stream;
use crate::scene::Scene;

/// Everything that an attempt depends on besides the scene.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct World {
    /// The gripper.
    pub gripper: Gripper,
    /// Arm, release and air.
    pub release: ReleaseModel,
    /// Where the robot lets go.
    pub point: ReleasePoint,
    /// What it throws into.
    pub boxes: BoxGrid,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The grasp, or why it failed.
    pub grasp: std::result::Result<Grasp, GraspFailure>,
    /// The throw, after a successful grasp.
    pub throw: Option<Throw>,
}

impl Outcome {
    /// Whether the object landed in the box that was aimed at.
    pub fn success(&self) -> bool {
        self.throw.is_some_and(|throw| throw.success)
    }
}

/// What came of a throw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throw {
    /// Box that was aimed at.
    pub target: usize,
    /// Horizontal speed in m/s that the arm was told.
    pub speed: f64,
    /// How the object left the fingers, in the plane of the throw.
    pub launch: Launch,
    /// Drag of the object in 1/m.
    pub drag: f64,
    /// Heading of the throw in radians.
    pub azimuth: f64,
    /// Distance in metres of the plane in which the centre of mass flies from the throw's vertical plane, to the left.
    pub lateral: f64,
    /// Where the centre of mass came down through the plane of the openings (x, y in the robot's frame, metres), and the time of
    /// flight in seconds; `None` if it never rose above that plane.
    pub landing: Option<(Vector2<f64>, f64)>,
    /// The box whose opening it came down through.
    pub hit: Option<usize>,
    /// Whether it fell into the box that was aimed at, clear of the edges.
    pub success: bool,
}

impl World {
    /// A world with another release model.
    pub fn with_release(release: ReleaseModel) -> Self {
        Self { release, ..Self::default() }
    }

    /// The physics-only speed v̂ in m/s (horizontal) for a target point: the vacuum formula at the launch angle, from the nominal
    /// release point. For a landing point p̂ it is the hindsight label's v̂(p̂).
    ///
    /// # Errors
    /// `Unreachable`, `StillRising` or `InvalidArgument` (too near), as [`Aim::speed`].
    pub fn ballistic_speed(&self, target: &Vector3<f64>) -> Result<f64> {
        self.aim(target).speed(self.release.gravity)
    }

    /// The target as the thrower sees it.
    pub fn aim(&self, target: &Vector3<f64>) -> Aim {
        let (distance, height) = self.point.distance_and_height(target);
        Aim { distance, height, angle: self.release.launch_angle }
    }

    /// v̂ of a landing point: the speed that the vacuum formula would have proposed for it.
    ///
    /// # Errors
    /// As [`World::ballistic_speed`].
    pub fn hindsight_speed(&self, landing: &Vector2<f64>) -> Result<f64> {
        self.ballistic_speed(&Vector3::new(landing.x, landing.y, self.boxes.height))
    }

    /// Grasps at `pose` and throws into box `target` at horizontal speed `speed` in m/s. Two normal numbers are drawn from `noise`
    /// whether or not the grasp succeeds, so that paired attempts stay in step.
    ///
    /// # Errors
    /// `NoSuchItem` for the box, `InvalidArgument` for the speed. A failed grasp is an outcome.
    pub fn attempt(
        &self,
        scene: &Scene,
        pose: &GraspPose,
        target: usize,
        speed: f64,
        noise: &mut Stream,
    ) -> Result<Outcome> {
        let noise = ReleaseNoise { timing: noise.normal(), torsion: noise.normal() };
        let grasp = self.grasp(scene, pose);
        let throw = match &grasp {
            Ok(grasp) => match scene.object(grasp.object) {
                Some(object) => Some(self.throw(grasp, &object.model, target, speed, &noise)?),
                None => None,
            },
            Err(_) => None,
        };
        Ok(Outcome { grasp, throw })
    }

    /// Grasps at `pose`: the gripper's test, and whether friction carries the weight (m·g ≤ 2·μ·F₀).
    ///
    /// # Errors
    /// Why it fails.
    pub fn grasp(
        &self,
        scene: &Scene,
        pose: &GraspPose,
    ) -> std::result::Result<Grasp, GraspFailure> {
        let grasp = self.gripper.grasp(scene, pose)?;
        let mass = grasp.held.mass;
        if mass * self.release.gravity > 2.0 * self.release.friction * self.release.grip_force {
            return Err(GraspFailure::TooHeavy { mass });
        }
        Ok(grasp)
    }

    /// Throws a grasped object into box `target` at horizontal speed `speed` in m/s.
    ///
    /// # Errors
    /// `NoSuchItem` for the box, `InvalidArgument` for the speed.
    pub fn throw(
        &self,
        grasp: &Grasp,
        model: &ObjectModel,
        target: usize,
        speed: f64,
        noise: &ReleaseNoise,
    ) -> Result<Throw> {
        let point = self.boxes.target(target)?;
        let azimuth = point.y.atan2(point.x);
        let launch = self.release.release(&grasp.held, speed, noise)?;
        let drag = model.drag.unwrap_or(self.release.drag);
        let medium = Medium { gravity: self.release.gravity, drag };
        let landing = land(&self.start(&launch), self.boxes.height, &medium)?.map(|landing| {
            let (sin, cos) = azimuth.sin_cos();
            let place = Vector2::new(
                landing.x * cos - grasp.lateral * sin,
                landing.x * sin + grasp.lateral * cos,
            );
            (place, landing.time)
        });
        let place = landing.map(|(place, _)| place);
        let caught = place.and_then(|place| self.boxes.caught(&place, model.half_length));
        Ok(Throw {
            target,
            speed,
            launch,
            drag,
            azimuth,
            lateral: grasp.lateral,
            landing,
            hit: place.and_then(|place| self.boxes.hit(&place)),
            success: caught == Some(target),
        })
    }

    /// Points `[t, x, y, z]` of a throw's flight in the robot's frame, every `interval` seconds from detachment (t = 0) to landing; a
    /// throw that never lands is followed for a second.
    ///
    /// # Errors
    /// `InvalidArgument` for an interval that is not positive.
    pub fn trajectory(&self, throw: &Throw, interval: f64) -> Result<Vec<[f64; 4]>> {
        let medium = Medium { gravity: self.release.gravity, drag: throw.drag };
        let end = throw.landing.map_or(1.0, |(_, time)| time);
        let (sin, cos) = throw.azimuth.sin_cos();
        let points = sample(&self.start(&throw.launch), end, interval, &medium)?;
        Ok(points
            .into_iter()
            .map(|[t, x, z]| [t, x * cos - throw.lateral * sin, x * sin + throw.lateral * cos, z])
            .collect())
    }

    /// Flight state at detachment, x measured from the robot's base.
    fn start(&self, launch: &Launch) -> State {
        let ([x, z], [vx, vz]) = (launch.position, launch.velocity);
        [self.point.radius + x, self.point.height + z, vx, vz]
    }
}
