//! The elements `compiler` and `option`.

use super::attributes::Attributes;
use super::xml::Element;
use crate::Result;
use crate::model::{Cone, Integrator, Options, Solver};
use crate::spatial::quaternion;
use crate::spec::InertiaRules;

/// How the file's numbers are meant.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    degrees: bool,
    sequence: [char; 3],
    pub(crate) autolimits: bool,
    /// The folder of meshes, in the model's folder.
    pub(crate) meshdir: String,
    /// Are folders cut from the names of files?
    pub(crate) strippath: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            degrees: true,
            sequence: ['x', 'y', 'z'],
            autolimits: true,
            meshdir: String::new(),
            strippath: false,
        }
    }
}

/// Attributes of `compiler` that concern files, drawing, or how the compiler works, not what it makes.
const NO_PHYSICS: [&str; 5] =
    ["texturedir", "usethread", "saveinertial", "conflict", "discardvisual"];

impl Settings {
    /// Radians.
    pub(crate) fn angle(&self, x: f64) -> f64 {
        if self.degrees { x.to_radians() } else { x }
    }

    /// Rotations about three axes, rad: lower-case axes turn along, capital ones do not.
    pub(crate) fn euler(&self, angles: [f64; 3]) -> [f64; 4] {
        let mut quat = quaternion::UNIT;
        for (name, angle) in self.sequence.iter().zip(angles) {
            let axis = match name.to_ascii_lowercase() {
                'x' => [1.0, 0.0, 0.0],
                'y' => [0.0, 1.0, 0.0],
                _ => [0.0, 0.0, 1.0],
            };
            let turn = quaternion::axis_angle(axis, angle);
            quat = if name.is_ascii_lowercase() {
                quaternion::product(quat, turn)
            } else {
                quaternion::product(turn, quat)
            };
        }
        quaternion::normalize(quat)
    }

    pub(crate) fn compiler(&mut self, element: &Element, inertia: &mut InertiaRules) -> Result<()> {
        let mut a = Attributes::new(element);
        match a.text("angle") {
            None => {}
            Some("degree") => self.degrees = true,
            Some("radian") => self.degrees = false,
            Some(text) => return Err(element.wrong(format!("angle: '{text}'"))),
        }
        match a.text("coordinate") {
            None | Some("local") => {}
            Some(_) => return Err(element.unsupported("global coordinates")),
        }
        if let Some(text) = a.text("eulerseq") {
            let letters: Vec<char> = text.chars().collect();
            let fits = letters.iter().all(|c| "xyzXYZ".contains(*c));
            match <[char; 3]>::try_from(letters) {
                Ok(sequence) if fits => self.sequence = sequence,
                _ => return Err(element.wrong(format!("eulerseq: '{text}'"))),
            }
        }
        if let Some(auto) = a.boolean("autolimits")? {
            self.autolimits = auto;
        }
        // The more special one counts.
        for name in ["assetdir", "meshdir"] {
            if let Some(folder) = a.text(name) {
                self.meshdir = folder.to_string();
            }
        }
        if let Some(strip) = a.boolean("strippath")? {
            self.strippath = strip;
        }
        if let Some(mass) = a.number("boundmass")? {
            inertia.boundmass = mass;
        }
        if let Some(moment) = a.number("boundinertia")? {
            inertia.boundinertia = moment;
        }
        if let Some(mass) = a.number("settotalmass")? {
            inertia.settotalmass = mass;
        }
        if let Some(balance) = a.boolean("balanceinertia")? {
            inertia.balanceinertia = balance;
        }
        if let Some(align) = a.boolean("alignfree")? {
            inertia.alignfree = align;
        }
        match a.text("inertiafromgeom") {
            None => {}
            Some("true") => inertia.from_geom = Some(true),
            Some("false") => inertia.from_geom = Some(false),
            Some("auto") => inertia.from_geom = None,
            Some(text) => return Err(element.wrong(format!("inertiafromgeom: '{text}'"))),
        }
        if let Some([low, high]) = a.exactly::<2>("inertiagrouprange")? {
            inertia.grouprange = (low as i32, high as i32);
        }
        if a.boolean("fusestatic")? == Some(true) {
            return Err(element.unsupported("fusestatic"));
        }
        a.finish(&NO_PHYSICS)?;
        match element.children.iter().find(|c| c.tag != "lengthrange") {
            None => Ok(()),
            Some(child) => Err(child.unsupported(format!("element <{}>", child.tag))),
        }
    }
}

/// The element `option` and its flags.
pub(crate) fn option(element: &Element, options: &mut Options) -> Result<()> {
    let mut a = Attributes::new(element);
    for (name, slot) in [
        ("timestep", &mut options.timestep),
        ("impratio", &mut options.impratio),
        ("tolerance", &mut options.tolerance),
        ("ls_tolerance", &mut options.ls_tolerance),
        ("noslip_tolerance", &mut options.noslip_tolerance),
    ] {
        if let Some(x) = a.number(name)? {
            *slot = x;
        }
    }
    for (name, slot) in [
        ("iterations", &mut options.iterations),
        ("ls_iterations", &mut options.ls_iterations),
        ("noslip_iterations", &mut options.noslip_iterations),
    ] {
        if let Some(n) = a.integer(name)? {
            *slot = usize::try_from(n).map_err(|_| element.wrong(format!("{name} is {n}")))?;
        }
    }
    if let Some(gravity) = a.exactly::<3>("gravity")? {
        options.gravity = gravity;
    }
    match a.text("integrator") {
        None => {}
        Some("Euler") => options.integrator = Integrator::Euler,
        Some("RK4") => options.integrator = Integrator::RungeKutta4,
        Some("implicitfast") => options.integrator = Integrator::ImplicitFast,
        Some(other) => return Err(element.unsupported(format!("integrator=\"{other}\""))),
    }
    match a.text("cone") {
        None => {}
        Some("pyramidal") => options.cone = Cone::Pyramidal,
        Some("elliptic") => options.cone = Cone::Elliptic,
        Some(other) => return Err(element.wrong(format!("cone: '{other}'"))),
    }
    match a.text("solver") {
        // PGS solves the dual of the same problem: the same minimum, which Newton's method reaches exactly.
        None | Some("Newton" | "PGS") => {}
        Some("CG") => options.solver = Solver::ConjugateGradient,
        Some(other) => return Err(element.wrong(format!("solver: '{other}'"))),
    }
    for (name, slot) in [("density", &mut options.density), ("viscosity", &mut options.viscosity)] {
        if let Some(x) = a.number(name)? {
            *slot = x;
        }
    }
    if let Some(wind) = a.exactly::<3>("wind")? {
        options.wind = wind;
    }
    // How matrices are stored, precision of unused algorithms, and numbers that count only with the flag `override`.
    a.finish(&[
        "jacobian",
        "ccd_tolerance",
        "ccd_iterations",
        "mpr_tolerance",
        "mpr_iterations",
        "magnetic",
        "apirate",
        "sdf_iterations",
        "sdf_initpoints",
        "o_margin",
        "o_solref",
        "o_solimp",
        "o_friction",
        "sleep_tolerance",
    ])?;
    for child in &element.children {
        if child.tag != "flag" {
            return Err(child.unsupported(format!("element <{}>", child.tag)));
        }
        flags(child, options)?;
    }
    Ok(())
}

fn flags(element: &Element, options: &mut Options) -> Result<()> {
    for (name, value) in &element.attributes {
        let on = match value.as_str() {
            "enable" => true,
            "disable" => false,
            _ => return Err(element.wrong(format!("{name}: '{value}'"))),
        };
        let slot = match name.as_str() {
            "constraint" => &mut options.constraint,
            "equality" => &mut options.equality,
            "frictionloss" => &mut options.frictionloss,
            "limit" => &mut options.limit,
            "contact" => &mut options.contact,
            "spring" => &mut options.spring,
            "damper" => &mut options.damper,
            "gravity" => &mut options.gravity_on,
            "clampctrl" => &mut options.clampctrl,
            "warmstart" => &mut options.warmstart,
            "filterparent" => &mut options.filterparent,
            "actuation" => &mut options.actuation,
            "refsafe" => &mut options.refsafe,
            "eulerdamp" => &mut options.eulerdamp,
            "passive" => {
                options.spring &= on;
                options.damper &= on;
                continue;
            }
            // These do not change accelerations.
            "sensor" | "midphase" | "autoreset" | "island" | "energy" | "fwdinv" => continue,
            // Without these, other points of the same surfaces would touch.
            "multiccd" | "nativeccd" if on => continue,
            "multiccd" | "nativeccd" => {
                return Err(element.unsupported(format!("flag {name}=\"disable\"")));
            }
            _ if !on => continue,
            _ => return Err(element.unsupported(format!("flag {name}"))),
        };
        *slot = on;
    }
    Ok(())
}
