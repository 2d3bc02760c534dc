//! From the opening command to free flight: the held object pivots and slips between the opening fingers.
//!
//! The throw happens in a vertical plane with x forward and z up; the finger axis is normal to it. The gripper moves on an arc of radius
//! R, underhand, and would let go at the *nominal release* (time 0) with the wanted velocity:
//!
//! ```text
//! r̂(t) = (cos φ, sin φ)   from the arc's centre to the gripper;   φ(0) = launch angle − π/2
//! φ̈ = α = ω²/(2·swing angle) up to time 0, then the arm follows through at constant ω = |v|/R
//! ```
//!
//! The object is a rigid body held at the pinch point, its centre of mass at ρ = l·(cos β, sin β) from there, with one degree of freedom:
//!
//! ```text
//! I_p·β̈ = −m·ρ × (a_G + g·ẑ) + τ_f,     I_p = I_c + m·l²
//! |τ_f| ≤ τ(t) = 4/3·μ·F_N(t)·r_patch   (Coulomb torsion of two soft finger patches)
//! F_N(t) = F₀·(1 − (t − t_cmd)/T_open)₊
//! ```
//!
//! It sticks to the fingers (β̇ = φ̇) while the torque that this needs stays below τ, and leaves them when 2·μ·F_N < m·|a_G + g·ẑ|; it
//! then flies off with the velocity v_G + β̇ × ρ. Because the fingers take tens of milliseconds to let go, the command is sent early, by
//! `compensation` times the delay of a point mass. What is not compensated, and all pivoting, is what a learned residual has to find out.
//! The one-dimensional pivot is the sticking → pivoting part of sliding-pivot models of robotic release.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use crate::ballistics::STANDARD_GRAVITY;
use crate::error::{Error, Result, finite, positive};

/// Integration steps in seconds: while stuck before the command (only the torque is watched), while pivoting before it, after it.
const STUCK_STEP: f64 = 2e-3;
const PIVOT_STEP: f64 = 1e-3;
const OPENING_STEP: f64 = 2e-4;

/// Gripper and arm of the release model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReleaseModel {
    /// Gravity in m/s².
    pub gravity: f64,
    /// Radius R of the gripper's arc in metres.
    pub arm_radius: f64,
    /// Angle of the swing up to the nominal release, in radians.
    pub swing_angle: f64,
    /// Angle of the launch velocity above the horizontal, in radians.
    pub launch_angle: f64,
    /// Normal force F₀ of each finger in newtons.
    pub grip_force: f64,
    /// Coulomb friction coefficient μ between finger and object.
    pub friction: f64,
    /// Time T_open in seconds in which the grip force falls to zero.
    pub opening_time: f64,
    /// Standard deviation of the command time in seconds.
    pub timing_deviation: f64,
    /// Standard deviation of the logarithm of the torsional friction.
    pub torsion_log_deviation: f64,
    /// Fraction of a point mass's detachment delay by which the command is early: 1 perfectly calibrated, 0 not at all.
    pub compensation: f64,
    /// Quadratic air drag in 1/m of objects that have none of their own.
    pub drag: f64,
}

impl ReleaseModel {
    /// The robot that methods are compared on: the hand is told to open at the nominal release, as TossingBot's primitive is printed
    /// (section III-C), and lets go some 20 to 30 ms later; slight drag (.03/m). Of the compensations tried (0 to .5) none leaves a
    /// physics-only thrower fewer grasps whose errors cancel ([`crate::ceilings`]).
    pub const fn open_loop() -> Self {
        Self {
            gravity: STANDARD_GRAVITY,
            arm_radius: 0.62,
            swing_angle: FRAC_PI_4,
            launch_angle: FRAC_PI_4,
            grip_force: 40.0,
            friction: 0.6,
            opening_time: 0.030,
            timing_deviation: 0.002,
            torsion_log_deviation: 0.3,
            compensation: 0.0,
            drag: 0.03,
        }
    }

    /// Half of the delay compensated. Physics-only throws of a ball succeed as often as in the paper; of a rod or hammer they always
    /// do if the centre of mass trails by 1 to 4 cm, because that shortens the throw by as much as the late release lengthens it.
    pub const fn half_compensated() -> Self {
        Self { compensation: 0.5, ..Self::open_loop() }
    }

    /// A perfectly calibrated robot in a vacuum: what is left is pivoting.
    pub const fn clean() -> Self {
        Self { compensation: 1.0, drag: 0.0, ..Self::open_loop() }
    }

    /// Half of the delay compensated, no drag.
    pub const fn late() -> Self {
        Self { drag: 0.0, ..Self::half_compensated() }
    }

    /// No delay compensation, no drag: every throw is too long.
    pub const fn uncalibrated() -> Self {
        Self { drag: 0.0, ..Self::open_loop() }
    }

    /// Names of the presets.
    pub const NAMES: [&str; 5] = ["open-loop", "half-compensated", "clean", "late", "uncalibrated"];

    /// Name of the preset that this is, or `custom`.
    pub fn name(&self) -> &'static str {
        Self::NAMES.into_iter().find(|n| Self::preset(n).as_ref() == Some(self)).unwrap_or("custom")
    }

    /// A preset by its name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "open-loop" => Some(Self::open_loop()),
            "half-compensated" => Some(Self::half_compensated()),
            "clean" => Some(Self::clean()),
            "late" => Some(Self::late()),
            "uncalibrated" => Some(Self::uncalibrated()),
            _ => None,
        }
    }
}

impl Default for ReleaseModel {
    fn default() -> Self {
        Self::open_loop()
    }
}

/// An object between the fingers, in the gripper's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Mass in kilograms.
    pub mass: f64,
    /// Moment of inertia I_c about the finger axis through the centre of mass, in kg·m².
    pub inertia: f64,
    /// Centre of mass ahead of the pinch point in the direction of the throw, in metres; negative if it trails.
    pub forward: f64,
    /// Centre of mass beyond the pinch point along the approach direction (down at the grasp), in metres.
    pub below: f64,
    /// Radius of the torsional friction patch in metres, mean of the two fingers.
    pub patch_radius: f64,
}

/// The random part of one release, as standard normal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReleaseNoise {
    /// Command time, in units of `timing_deviation`.
    pub timing: f64,
    /// Logarithm of the torsional friction, in units of `torsion_log_deviation`.
    pub torsion: f64,
}

/// The object at the moment it leaves the fingers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch {
    /// Centre of mass (x, z) relative to the nominal release point, in metres.
    pub position: [f64; 2],
    /// Velocity (ẋ, ż) of the centre of mass in m/s.
    pub velocity: [f64; 2],
    /// Angular velocity in rad/s, positive from x to z.
    pub spin: f64,
    /// Time of detachment relative to the nominal release, in seconds.
    pub time: f64,
    /// Angle by which the object turned in the fingers after the sag at rest, in radians.
    pub pivot: f64,
}

/// The prescribed motion of the gripper.
struct Swing {
    radius: f64,
    phi: f64,
    omega: f64,
    alpha: f64,
    start: f64,
}

/// Gripper motion at one time: r̂, angle, angular velocity, angular acceleration, and a_G + g·ẑ.
struct Pose {
    radial: [f64; 2],
    phi: f64,
    omega: f64,
    alpha: f64,
    load: [f64; 2],
}

impl Swing {
    fn at(&self, t: f64, gravity: f64) -> Pose {
        let alpha = if t < 0.0 { self.alpha } else { 0.0 };
        let omega = self.omega + alpha * t;
        let phi = self.phi + self.omega * t + 0.5 * alpha * t * t;
        let (sin, cos) = phi.sin_cos();
        let (tangential, centripetal) = (self.radius * alpha, self.radius * omega * omega);
        let load =
            [-tangential * sin - centripetal * cos, tangential * cos - centripetal * sin + gravity];
        Pose { radial: [cos, sin], phi, omega, alpha, load }
    }
}

/// The pivoting object.
struct Pivot {
    lever: f64,
    moment: f64,
    inertia: f64,
}

impl Pivot {
    /// m·ρ × (a_G + g·ẑ) for the lever at angle β.
    fn load_torque(&self, beta: f64, load: &[f64; 2]) -> f64 {
        let (sin, cos) = beta.sin_cos();
        self.moment * (cos * load[1] - sin * load[0])
    }
}

impl ReleaseModel {
    /// Releases `held` at the wanted horizontal speed `speed` in m/s.
    ///
    /// # Errors
    /// `InvalidArgument` for a speed, mass, inertia or model parameter outside its domain.
    pub fn release(&self, held: &Held, speed: f64, noise: &ReleaseNoise) -> Result<Launch> {
        self.check(held, speed, noise)?;
        let omega = speed / self.launch_angle.cos() / self.arm_radius;
        let swing = Swing {
            radius: self.arm_radius,
            phi: self.launch_angle - FRAC_PI_2,
            omega,
            alpha: omega * omega / (2.0 * self.swing_angle),
            start: -2.0 * self.swing_angle / omega,
        };
        let command = self.timing_deviation * noise.timing
            - self.compensation * self.point_delay(held.mass, &swing);
        let lever = held.forward.hypot(held.below);
        let pivot = Pivot {
            lever,
            moment: held.mass * lever,
            inertia: held.inertia + held.mass * lever * lever,
        };
        let torsion = 4.0 / 3.0
            * self.friction
            * self.grip_force
            * held.patch_radius
            * (self.torsion_log_deviation * noise.torsion).exp();
        let rest = self.sag(held, &pivot, torsion);
        Ok(self.detach(held.mass, &pivot, rest, torsion, &swing, command))
    }

    /// Delay in seconds after which a point mass leaves the opening fingers: 2·μ·F_N = m·|a_G + g·ẑ|, the load taken at the release.
    fn point_delay(&self, mass: f64, swing: &Swing) -> f64 {
        let load = swing.at(-f64::MIN_POSITIVE, self.gravity).load;
        let ratio = mass * load[0].hypot(load[1]) / (2.0 * self.friction * self.grip_force);
        self.opening_time * (1.0 - ratio).max(0.0)
    }

    /// Angle of the lever from the approach axis after lifting: the object droops until m·g·l·sin(angle) ≤ τ.
    fn sag(&self, held: &Held, pivot: &Pivot, torsion: f64) -> f64 {
        let angle = held.forward.atan2(held.below);
        let weight = pivot.moment * self.gravity;
        if weight * angle.sin().abs() > torsion {
            // It turns towards hanging straight down, so it stops at the smaller of the two angles with this sine.
            (torsion / weight).asin().copysign(angle)
        } else {
            angle
        }
    }

    /// Follows stick and slip from the start of the swing until the fingers let go.
    fn detach(
        &self,
        mass: f64,
        pivot: &Pivot,
        rest: f64,
        torsion: f64,
        swing: &Swing,
        command: f64,
    ) -> Launch {
        let mut t = swing.start;
        let mut relative = rest;
        let mut pose = swing.at(t, self.gravity);
        let (mut beta, mut rate) = (pose.phi + relative, pose.omega);
        let mut stuck = true;
        let grip = |t: f64| (1.0 - (t - command) / self.opening_time).clamp(0.0, 1.0);
        // Grip left over after carrying the load, in newtons: the object leaves when this falls below zero.
        let margin = |t: f64, pose: &Pose| {
            2.0 * self.friction * self.grip_force * grip(t)
                - mass * pose.load[0].hypot(pose.load[1])
        };
        let mut spare = margin(t, &pose);
        while spare >= 0.0 {
            let step = if t >= command {
                OPENING_STEP
            } else {
                (if stuck { STUCK_STEP } else { PIVOT_STEP }).min(command - t).max(1e-9)
            };
            // The acceleration jumps at the nominal release: step exactly onto it.
            let step = if t < 0.0 && t + step > 0.0 { -t } else { step };
            let mut next = swing.at(t + step, self.gravity);
            let next_spare = margin(t + step, &next);
            let h = if next_spare < 0.0 { step * spare / (spare - next_spare) } else { step };
            if h < step {
                next = swing.at(t + h, self.gravity);
            }
            if stuck {
                let limit = torsion * grip(t + h);
                let needed =
                    pivot.inertia * next.alpha + pivot.load_torque(next.phi + relative, &next.load);
                stuck = needed.abs() <= limit;
                (beta, rate) = (next.phi + relative, next.omega);
            } else {
                let middle = swing.at(t + 0.5 * h, self.gravity);
                let (b, r) = self.slip(pivot, torsion, &grip, t, h, [beta, rate], [&pose, &middle]);
                let (before, after) = (rate - pose.omega, r - next.omega);
                (beta, rate) = (b, r);
                if before * after < 0.0 {
                    // Relative motion has come to rest inside this step: try to stick here.
                    let needed = pivot.inertia * next.alpha + pivot.load_torque(beta, &next.load);
                    if needed.abs() <= torsion * grip(t + h) {
                        stuck = true;
                        relative = beta - next.phi;
                        rate = next.omega;
                    }
                }
            }
            t += h;
            pose = next;
            spare = if next_spare < 0.0 { -1.0 } else { next_spare };
        }
        let (sin, cos) = beta.sin_cos();
        let (gripper, lever) = (self.gripper(swing, &pose), pivot.lever);
        Launch {
            position: [gripper[0] + lever * cos, gripper[1] + lever * sin],
            velocity: [
                -swing.radius * pose.omega * pose.radial[1] - lever * rate * sin,
                swing.radius * pose.omega * pose.radial[0] + lever * rate * cos,
            ],
            spin: rate,
            time: t,
            pivot: beta - pose.phi - rest,
        }
    }

    /// One midpoint step of the pivot under sliding friction: (β, β̇) after `h` seconds.
    fn slip(
        &self,
        pivot: &Pivot,
        torsion: f64,
        grip: &impl Fn(f64) -> f64,
        t: f64,
        h: f64,
        [beta, rate]: [f64; 2],
        [pose, middle]: [&Pose; 2],
    ) -> (f64, f64) {
        let acceleration = |time: f64, beta: f64, rate: f64, pose: &Pose| {
            let load = pivot.load_torque(beta, &pose.load);
            let sliding = rate - pose.omega;
            // At the onset of slip the friction still points where sticking needed it.
            let sense = if sliding == 0.0 { pivot.inertia * pose.alpha + load } else { -sliding };
            (torsion * grip(time) * sense.signum() - load) / pivot.inertia
        };
        let first = acceleration(t, beta, rate, pose);
        let second =
            acceleration(t + 0.5 * h, beta + 0.5 * h * rate, rate + 0.5 * h * first, middle);
        (beta + h * (rate + 0.5 * h * first), rate + h * second)
    }

    /// Gripper position relative to the nominal release point.
    fn gripper(&self, swing: &Swing, pose: &Pose) -> [f64; 2] {
        let (sin, cos) = swing.phi.sin_cos();
        [swing.radius * (pose.radial[0] - cos), swing.radius * (pose.radial[1] - sin)]
    }

    fn check(&self, held: &Held, speed: f64, noise: &ReleaseNoise) -> Result<()> {
        for (name, value) in [
            ("gravity", self.gravity),
            ("arm_radius", self.arm_radius),
            ("swing_angle", self.swing_angle),
            ("cosine of launch_angle", self.launch_angle.cos()),
            ("grip_force", self.grip_force),
            ("friction", self.friction),
            ("opening_time", self.opening_time),
            ("mass", held.mass),
            ("inertia", held.inertia),
            ("patch_radius", held.patch_radius),
            ("speed", speed),
        ] {
            positive(name, value)?;
        }
        if !(0.0..=1.0).contains(&self.compensation) {
            let (value, expected) = (self.compensation, "between 0 and 1");
            return Err(Error::InvalidArgument { name: "compensation", value, expected });
        }
        for (name, value) in [
            ("timing_deviation", self.timing_deviation),
            ("torsion_log_deviation", self.torsion_log_deviation),
            ("forward", held.forward),
            ("below", held.below),
            ("timing noise", noise.timing),
            ("torsion noise", noise.torsion),
        ] {
            finite(name, value)?;
        }
        Ok(())
    }
}
