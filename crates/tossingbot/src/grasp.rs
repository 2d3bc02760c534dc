//! The antipodal grasp test of a parallel-jaw gripper that comes straight down.
//!
//! The gripper's frame: *forward* b = (cos θ, sin θ, 0), the direction in which the object will be thrown; the *finger axis*
//! c = ẑ × b; the approach direction −ẑ. The fingers stand at ± half the opening along c, reach a fixed depth below the point of the
//! heightmap under the gripper's middle, and close. The grasp holds if
//!
//! 1. the open fingers meet nothing on their way down,
//! 2. rays between the pads, at three heights, meet one and the same body from both sides,
//! 3. nothing beside the middle of a pad keeps it off by more than the friction cone allows,
//! 4. both contact normals lie within atan μ of the finger axis,
//! 5. closing pushes the object by less than a centimetre to the middle.
//!
//! Vertical pads touch a body where it is widest: of the three heights, the outermost hit on each side is the contact.

use nalgebra::Vector3;
use parry3d_f64::math::{Pose, Rotation, Vector};
use parry3d_f64::shape::Cuboid;

use crate::release::Held;
use crate::scene::{Hit, PlacedObject, Scene};

/// Below this height in metres a pixel shows the table.
const TABLE: f64 = 0.004;
/// Length of the fingers above their tips in metres: what stands this high beside the object blocks them.
const FINGER_LENGTH: f64 = 0.15;
/// Distance in metres at which the surface's curvature is probed, and the radius above which it counts as flat.
const PROBE: f64 = 0.004;
const FLAT_RADIUS: f64 = 0.05;

/// A parallel-jaw gripper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gripper {
    /// Distance between the open pads in metres.
    pub opening: f64,
    /// Width of a finger along the forward axis in metres.
    pub finger_width: f64,
    /// Thickness of a finger along the finger axis in metres.
    pub finger_thickness: f64,
    /// How far the tips reach below the grasped point, in metres.
    pub depth: f64,
    /// Least height of the tips above the table in metres.
    pub clearance: f64,
    /// Height of the pads above the tips in metres.
    pub pad_height: f64,
    /// Friction coefficient μ.
    pub friction: f64,
    /// Longest push to the middle in metres.
    pub max_push: f64,
}

impl Default for Gripper {
    fn default() -> Self {
        Self {
            opening: 0.085,
            finger_width: 0.02,
            finger_thickness: 0.01,
            depth: 0.03,
            clearance: 0.003,
            pad_height: 0.02,
            friction: 0.6,
            max_push: 0.01,
        }
    }
}

/// Where and how to grasp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraspPose {
    /// Middle between the fingers in the workspace, in metres.
    pub x: f64,
    /// Middle between the fingers in the workspace, in metres.
    pub y: f64,
    /// Heading θ of the forward axis in radians.
    pub angle: f64,
}

/// How a finger touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Patch {
    /// On a face.
    Flat,
    /// Along a line: cylinders and edges.
    Line,
    /// In a point: balls and corners.
    Point,
}

impl Patch {
    /// Radius in metres of the patch's torsional friction.
    pub fn radius(self) -> f64 {
        match self {
            Patch::Flat => 0.008,
            Patch::Line => 0.003,
            Patch::Point => 0.0015,
        }
    }
}

/// A grasp that holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grasp {
    /// Number of the object.
    pub object: usize,
    /// Middle between the closed pads in the workspace, in metres.
    pub pinch: Vector3<f64>,
    /// Distance between the closed pads in metres.
    pub width: f64,
    /// How the two fingers touch.
    pub patches: [Patch; 2],
    /// How far the object was pushed along the finger axis, in metres, signed.
    pub push: f64,
    /// Centre of mass beside the pinch point along the finger axis, in metres.
    pub lateral: f64,
    /// What the release needs to know.
    pub held: Held,
}

/// Why a grasp fails.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GraspFailure {
    /// The pose is not in the workspace, or not finite.
    #[error("the grasp lies outside the workspace")]
    Outside,
    /// There is only the table.
    #[error("nothing to grasp")]
    Nothing,
    /// The object itself is in a finger's way: it is wider than the opening.
    #[error("the object is wider than the opening")]
    TooWide,
    /// Another object is in a finger's way.
    #[error("object {object} blocks a finger")]
    Blocked {
        /// Its number.
        object: usize,
    },
    /// A pad meets nothing.
    #[error("the fingers close on nothing")]
    NoContact,
    /// The fingers meet different objects.
    #[error("objects {first} and {second} lie between the fingers")]
    SeveralObjects {
        /// The one.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Something beside the contact keeps a pad away from it.
    #[error("a pad is kept {distance} m off the contact")]
    PadHeldOff {
        /// By how much, in metres.
        distance: f64,
    },
    /// A contact normal lies outside the friction cone.
    #[error("a contact normal is {angle} rad off the finger axis")]
    NotAntipodal {
        /// Angle between normal and finger axis, in radians.
        angle: f64,
    },
    /// The object would have to be pushed too far.
    #[error("the object would be pushed by {distance} m")]
    PushedTooFar {
        /// By how much, in metres.
        distance: f64,
    },
    /// Friction cannot carry the weight.
    #[error("{mass} kg are too heavy")]
    TooHeavy {
        /// Mass in kg.
        mass: f64,
    },
}

/// The gripper above its grasp: axes and reachable objects.
struct Frame<'a> {
    middle: Vector3<f64>,
    forward: Vector3<f64>,
    axis: Vector3<f64>,
    near: Vec<&'a PlacedObject>,
}

impl Gripper {
    /// Closes the gripper at `pose`.
    ///
    /// # Errors
    /// The first of the conditions above that is not met.
    pub fn grasp(&self, scene: &Scene, pose: &GraspPose) -> Result<Grasp, GraspFailure> {
        if !(scene.workspace.contains(pose.x, pose.y) && pose.angle.is_finite()) {
            return Err(GraspFailure::Outside);
        }
        let (top, seen) = scene.height_at(pose.x, pose.y);
        let Some(seen) = seen.filter(|_| top > TABLE) else { return Err(GraspFailure::Nothing) };
        let tip = (top - self.depth).max(self.clearance);
        let (sin, cos) = pose.angle.sin_cos();
        let middle = Vector3::new(pose.x, pose.y, 0.0);
        let reach = Vector3::repeat(0.5 * self.opening + self.finger_thickness + self.finger_width);
        let (low, high) = (middle - reach, middle + reach + Vector3::z());
        let frame = Frame {
            middle,
            forward: Vector3::new(cos, sin, 0.0),
            axis: Vector3::new(-sin, cos, 0.0),
            near: scene.objects.iter().filter(|object| object.near(&low, &high)).collect(),
        };
        self.descend(&frame, tip, pose.angle, seen)?;
        self.close(&frame, tip, top)
    }

    /// Condition 1: both open fingers are free of geometry above their tips.
    fn descend(
        &self,
        frame: &Frame<'_>,
        tip: f64,
        angle: f64,
        seen: usize,
    ) -> Result<(), GraspFailure> {
        let half =
            Vector::new(0.5 * self.finger_width, 0.5 * self.finger_thickness, 0.5 * FINGER_LENGTH);
        let finger = Cuboid::new(half);
        let rotation = Rotation::from_rotation_z(angle);
        for side in [-1.0, 1.0] {
            let at =
                frame.middle + frame.axis * (side * 0.5 * (self.opening + self.finger_thickness));
            let place = Pose { rotation, translation: Vector::new(at.x, at.y, tip + half.z) };
            for object in &frame.near {
                let hit = object.bounds.1.z > tip
                    && parry3d_f64::query::intersection_test(
                        &object.frame,
                        &object.model.surface,
                        &place,
                        &finger,
                    )
                    .is_ok_and(|result| result.intersecting);
                if hit {
                    return Err(if object.id == seen {
                        GraspFailure::TooWide
                    } else {
                        GraspFailure::Blocked { object: object.id }
                    });
                }
            }
        }
        Ok(())
    }

    /// Conditions 2 to 5.
    fn close(&self, frame: &Frame<'_>, tip: f64, top: f64) -> Result<Grasp, GraspFailure> {
        let span = (tip + self.pad_height).min(top) - tip;
        // The middle height comes first: among equal contacts it is the one.
        let heights = [0.5, 1.0 / 6.0, 5.0 / 6.0].map(|fraction| tip + fraction * span);
        let mut contacts: [Option<(f64, Hit)>; 2] = [None, None];
        let mut middles: [Option<f64>; 2] = [None, None];
        let mut body: Option<&PlacedObject> = None;
        for (side, contact) in contacts.iter_mut().enumerate() {
            for (i, &height) in heights.iter().enumerate() {
                let Some((object, hit)) = self.nearest(frame, side, 0.0, height) else { continue };
                let known = *body.get_or_insert(object);
                if known.id != object.id {
                    return Err(GraspFailure::SeveralObjects {
                        first: known.id,
                        second: object.id,
                    });
                }
                if i == 0 {
                    middles[side] = Some(hit.distance);
                }
                if contact.is_none_or(|(_, best)| hit.distance < best.distance - 1e-6) {
                    *contact = Some((height, hit));
                }
            }
        }
        let ([Some(first), Some(second)], Some(body)) = (contacts, body) else {
            return Err(GraspFailure::NoContact);
        };
        for (side, (height, hit)) in [first, second].iter().enumerate() {
            let angle = hit.normal.dot(&frame.axis).abs().min(1.0).acos();
            if angle > self.friction.atan() {
                return Err(GraspFailure::NotAntipodal { angle });
            }
            self.check_pad(frame, side, *height, hit.distance)?;
        }
        // Positive when the object has to move along +c: the finger on the −c side meets it first.
        let push = 0.5 * (second.1.distance - first.1.distance);
        if push.abs() >= self.max_push {
            return Err(GraspFailure::PushedTooFar { distance: push.abs() });
        }
        let patches = [0, 1].map(|side| {
            let (height, hit) = if side == 0 { first } else { second };
            self.patch(frame, body, side, height, hit.distance, middles[side], heights[0], span)
        });
        let mut pinch = frame.middle;
        pinch.z = 0.5 * (first.0 + second.0);
        let offset = body.pose.translation.vector + push * frame.axis - pinch;
        let axis = body.pose.rotation.inverse() * frame.axis;
        Ok(Grasp {
            object: body.id,
            pinch,
            width: self.opening - first.1.distance - second.1.distance,
            patches,
            push,
            lateral: offset.dot(&frame.axis),
            held: Held {
                mass: body.model.mass,
                inertia: axis.dot(&(body.model.inertia * axis)),
                forward: offset.dot(&frame.forward),
                below: -offset.z,
                patch_radius: 0.5 * (patches[0].radius() + patches[1].radius()),
            },
        })
    }

    /// Start and direction of the ray from a pad (0: at −c, 1: at +c), `aside` metres forward of its middle.
    fn pad_ray(
        &self,
        frame: &Frame<'_>,
        side: usize,
        aside: f64,
        height: f64,
    ) -> (Vector3<f64>, Vector3<f64>) {
        let sign = if side == 0 { -1.0 } else { 1.0 };
        let mut origin =
            frame.middle + frame.axis * (sign * 0.5 * self.opening) + frame.forward * aside;
        origin.z = height;
        (origin, frame.axis * -sign)
    }

    /// The first body that the ray from a pad meets before the other pad.
    fn nearest<'a>(
        &self,
        frame: &Frame<'a>,
        side: usize,
        aside: f64,
        height: f64,
    ) -> Option<(&'a PlacedObject, Hit)> {
        let (origin, direction) = self.pad_ray(frame, side, aside, height);
        let end = origin + direction * self.opening;
        let (low, high) = (origin.inf(&end), origin.sup(&end));
        let mut best: Option<(&PlacedObject, Hit)> = None;
        for object in frame.near.iter().filter(|object| object.near(&low, &high)) {
            let longest = best.map_or(self.opening, |(_, hit)| hit.distance);
            if let Some(hit) = object.cast(&origin, &direction, longest) {
                best = Some((object, hit));
            }
        }
        best
    }

    /// Condition 3: at the edges of the pad nothing stands out more than a surface inside the friction cone would.
    fn check_pad(
        &self,
        frame: &Frame<'_>,
        side: usize,
        height: f64,
        contact: f64,
    ) -> Result<(), GraspFailure> {
        let aside = 0.45 * self.finger_width;
        for offset in [-aside, aside] {
            if let Some((_, hit)) = self.nearest(frame, side, offset, height) {
                let distance = contact - hit.distance;
                if distance > self.friction * aside {
                    return Err(GraspFailure::PadHeldOff { distance });
                }
            }
        }
        Ok(())
    }

    /// The kind of contact, from the surface's curvature along the pad and up it. The second difference of the distance over ±δ is
    /// δ²/r for a surface of radius r; a ray that misses means an edge.
    fn patch(
        &self,
        frame: &Frame<'_>,
        body: &PlacedObject,
        side: usize,
        height: f64,
        contact: f64,
        middle: Option<f64>,
        middle_height: f64,
        span: f64,
    ) -> Patch {
        let depth = |aside: f64, height: f64| {
            let (origin, direction) = self.pad_ray(frame, side, aside, height);
            body.cast(&origin, &direction, self.opening).map(|hit| hit.distance)
        };
        let flat = |a: Option<f64>, b: Option<f64>, centre: Option<f64>, delta: f64| match (
            a, b, centre,
        ) {
            (Some(a), Some(b), Some(centre)) => a + b - 2.0 * centre < delta * delta / FLAT_RADIUS,
            _ => false,
        };
        let rise = PROBE.min(0.4 * span);
        let along = flat(depth(-PROBE, height), depth(PROBE, height), Some(contact), PROBE);
        let up =
            flat(depth(0.0, middle_height - rise), depth(0.0, middle_height + rise), middle, rise);
        match (along, up) {
            (true, true) => Patch::Flat,
            (false, false) => Patch::Point,
            _ => Patch::Line,
        }
    }
}
