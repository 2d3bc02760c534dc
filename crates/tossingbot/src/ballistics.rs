//! The throw as a projectile: which speed lands where, and how that changes with gravity, distance, height and drag.
//!
//! **Convention: a `speed` is the horizontal launch speed s = |v_xy|** in m/s, the quantity to which the robot's learned residual is
//! added. The object leaves at angle φ above the horizontal, so v_z = s·tan φ and |v| = s/cos φ; at 45°, |v| = √2·s.
//!
//! With d the horizontal distance from *release point* to target and h = r_z − p_z the height of the release above the target,
//! the time of flight is t = d/s and p_z = r_z + d·tan φ − g·d²/(2s²), hence
//!
//! ```text
//! s² = g·d² / (2·q),   q = d·tan φ + h
//! ```
//!
//! valid for q > 0, and descending at the target for d·tan φ + 2h > 0, because ż there is −s·(d·tan φ + 2h)/d. (The formula printed as
//! eq. (2) of the TossingBot paper has the sign of the height turned round and measures d from the robot's base.)
//!
//! With drag there is no closed form. The speed is defined by F(s; g, d, h, k) = x_land(s; g, h, k) − d = 0, solved by a safeguarded
//! Newton iteration, and differentiated by the implicit function theorem: ds/dp = −(∂F/∂p)/(∂F/∂s).

use std::f64::consts::FRAC_PI_4;

use crate::error::{Error, Result, finite, positive};
use crate::flight::{Medium, land_with_gradient};

/// Standard gravity in m/s².
pub const STANDARD_GRAVITY: f64 = 9.81;

/// A target as the thrower sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// Horizontal distance d from the release point to the target, in metres.
    pub distance: f64,
    /// Height h of the release point above the target, in metres; negative for a target above the release.
    pub height: f64,
    /// Launch angle φ above the horizontal, in radians, in (−π/2, π/2).
    pub angle: f64,
}

/// The throw speed with its first and second derivatives with respect to (gravity, distance, height).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedDerivatives {
    /// Horizontal launch speed s in m/s.
    pub speed: f64,
    /// (∂s/∂g, ∂s/∂d, ∂s/∂h).
    pub gradient: [f64; 3],
    /// ∂²s/∂(g, d, h)², symmetric.
    pub hessian: [[f64; 3]; 3],
}

/// The throw speed through air with its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DragSpeed {
    /// Horizontal launch speed s in m/s.
    pub speed: f64,
    /// ∂s/∂g.
    pub by_gravity: f64,
    /// ∂s/∂d.
    pub by_distance: f64,
    /// ∂s/∂h.
    pub by_height: f64,
    /// ∂s/∂k, k being the drag coefficient in 1/m.
    pub by_drag: f64,
    /// Newton iterations spent.
    pub iterations: usize,
}

impl Aim {
    /// A target `distance` m away and `height` m below the release point, thrown at 45°.
    pub fn new(distance: f64, height: f64) -> Self {
        Self { distance, height, angle: FRAC_PI_4 }
    }

    /// The same target, thrown at another angle in radians.
    pub fn with_angle(self, angle: f64) -> Self {
        Self { angle, ..self }
    }

    /// The horizontal speed s = d·√(g/(2q)), q = d·tan φ + h, in m/s.
    ///
    /// # Errors
    /// `InvalidArgument` for arguments outside their domain, `Unreachable` if q ≤ 0, `StillRising` if the throw passes the target on its
    /// way up.
    pub fn speed(&self, gravity: f64) -> Result<f64> {
        let (_, q) = self.check(gravity)?;
        Ok(self.distance * (gravity / (2.0 * q)).sqrt())
    }

    /// The speed and its derivatives with respect to (g, d, h).
    ///
    /// From ln s = ln d + ½·ln g − ½·ln 2q: s_g = s/2g, s_d = s·(1/d − tan φ/2q), s_h = −s/2q, and once more by the product rule.
    ///
    /// # Errors
    /// As [`Aim::speed`].
    pub fn speed_derivatives(&self, gravity: f64) -> Result<SpeedDerivatives> {
        let (slope, q) = self.check(gravity)?;
        let d = self.distance;
        let s = d * (gravity / (2.0 * q)).sqrt();
        let (by_g, by_d, by_h) =
            (s / (2.0 * gravity), s * (1.0 / d - slope / (2.0 * q)), -s / (2.0 * q));
        let gg = -s / (4.0 * gravity * gravity);
        let gd = by_d / (2.0 * gravity);
        let gh = by_h / (2.0 * gravity);
        let dd = by_d * by_d / s + s * (slope * slope / (2.0 * q * q) - 1.0 / (d * d));
        let dh = by_d * by_h / s + s * slope / (2.0 * q * q);
        let hh = 3.0 * s / (4.0 * q * q);
        Ok(SpeedDerivatives {
            speed: s,
            gradient: [by_g, by_d, by_h],
            hessian: [[gg, gd, gh], [gd, dd, dh], [gh, dh, hh]],
        })
    }

    /// The horizontal speed that lands on the target through air with quadratic drag `drag` in 1/m, with its derivatives.
    ///
    /// # Errors
    /// `InvalidArgument` for arguments outside their domain; `Unreachable` if no speed below 1000 m/s lands there; `StillRising` if the
    /// target would be passed on the way up; `NotConverged` if the landing point is not met to 1e-12 m.
    pub fn speed_through_air(&self, gravity: f64, drag: f64) -> Result<DragSpeed> {
        let medium = Medium { gravity, drag };
        let slope = self.angle.tan();
        // Drag only shortens a throw, so the vacuum speed is a lower bound wherever the vacuum throw exists.
        let vacuum = match self.speed(gravity) {
            Ok(speed) => speed,
            Err(Error::StillRising { .. }) => 0.0,
            Err(other) => return Err(other),
        };
        let launch = |s: f64| land_with_gradient(&[0.0, self.height, s, s * slope], 0.0, &medium);
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut speed = if vacuum > 0.0 { vacuum } else { 1.0 };
        for iterations in 1..=200 {
            let (miss, by_speed) = match launch(speed)? {
                Some((landing, gradient)) => {
                    let miss = landing.x - self.distance;
                    if miss.abs() <= 1e-12 * (1.0 + self.distance) {
                        let [by_speed, by_gravity, by_drag, by_height] = gradient;
                        return Ok(DragSpeed {
                            speed,
                            by_gravity: -by_gravity / by_speed,
                            by_distance: 1.0 / by_speed,
                            by_height: -by_height / by_speed,
                            by_drag: -by_drag / by_speed,
                            iterations,
                        });
                    }
                    (miss, gradient[0])
                }
                None => (f64::NEG_INFINITY, f64::NAN),
            };
            if miss < 0.0 {
                low = speed;
            } else {
                high = speed;
            }
            // The least speed that reaches the plane at all lands short of the target, or else the target lies on the rising branch.
            if high.is_finite() && high - low <= 1e-14 * high {
                return Err(if miss.is_finite() && miss.abs() < 1e-9 {
                    Error::NotConverged {
                        what: "throw speed through air",
                        residual: miss,
                        iterations,
                    }
                } else {
                    Error::StillRising {
                        distance: self.distance,
                        height: self.height,
                        angle: self.angle,
                    }
                });
            }
            let newton = speed - miss / by_speed;
            speed = if newton.is_finite() && newton > low && newton < high {
                newton
            } else if high.is_finite() {
                0.5 * (low + high)
            } else {
                2.0 * speed
            };
            if speed > 1000.0 {
                return Err(Error::Unreachable {
                    distance: self.distance,
                    height: self.height,
                    angle: self.angle,
                });
            }
        }
        Err(Error::NotConverged {
            what: "throw speed through air",
            residual: high - low,
            iterations: 200,
        })
    }

    /// (tan φ, q) after all domain checks.
    fn check(&self, gravity: f64) -> Result<(f64, f64)> {
        positive("gravity", gravity)?;
        positive("distance", self.distance)?;
        finite("height", self.height)?;
        let slope = slope(self.angle)?;
        let q = self.distance * slope + self.height;
        let Self { distance, height, angle } = *self;
        if q <= 0.0 {
            return Err(Error::Unreachable { distance, height, angle });
        }
        if q + height <= 0.0 {
            return Err(Error::StillRising { distance, height, angle });
        }
        Ok((slope, q))
    }
}

/// Horizontal distance d(s) = s·(s·tan φ + √(s²·tan²φ + 2·g·h))/g in metres at which a throw with horizontal speed `speed` (m/s) from
/// `height` m above the landing plane comes down through it: the inverse of [`Aim::speed`].
///
/// # Errors
/// `InvalidArgument` for arguments outside their domain, `NeverLands` if the throw stays below the plane.
pub fn landing_distance(speed: f64, height: f64, angle: f64, gravity: f64) -> Result<f64> {
    positive("speed", speed)?;
    finite("height", height)?;
    positive("gravity", gravity)?;
    let rise = speed * slope(angle)?;
    let discriminant = rise * rise + 2.0 * gravity * height;
    let distance =
        if discriminant >= 0.0 { speed * (rise + discriminant.sqrt()) / gravity } else { f64::NAN };
    if distance >= 0.0 { Ok(distance) } else { Err(Error::NeverLands { speed, height, angle }) }
}

/// ∂d/∂s of [`landing_distance`] in m per m/s, by the inverse function rule 1/(∂s/∂d).
///
/// # Errors
/// As [`landing_distance`] and [`Aim::speed`].
pub fn landing_sensitivity(speed: f64, height: f64, angle: f64, gravity: f64) -> Result<f64> {
    let distance = landing_distance(speed, height, angle, gravity)?;
    let derivatives = Aim { distance, height, angle }.speed_derivatives(gravity)?;
    Ok(1.0 / derivatives.gradient[1])
}

fn slope(angle: f64) -> Result<f64> {
    if angle.abs() < std::f64::consts::FRAC_PI_2 {
        Ok(angle.tan())
    } else {
        Err(Error::InvalidArgument {
            name: "angle", value: angle, expected: "inside (−π/2, π/2)"
        })
    }
}
