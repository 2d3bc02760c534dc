//! Physical parameters of a model as flat arrays: to read, to set, and to differentiate with respect to.

use super::Model;
use crate::data::finite;
use crate::error::length;
use crate::{Error, Result};

/// A group of numbers of a model, by MuJoCo's field name.
///
/// Constants that the compiler derived from the reference configuration (`invweight0`) stay as they are when a parameter changes, as in
/// MuJoCo when a field of `mjModel` is changed. That is the convention of all derivatives, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parameter {
    /// `opt.gravity`, 3 numbers.
    Gravity,
    /// One per body.
    BodyMass,
    /// Three per body.
    BodyInertia,
    /// Three per body.
    BodyIpos,
    /// One per degree of freedom.
    DofDamping,
    /// One per degree of freedom.
    DofArmature,
    /// One per degree of freedom.
    DofFrictionloss,
    /// One per joint.
    JntStiffness,
    /// Six per actuator.
    ActuatorGear,
    /// Three per actuator.
    ActuatorGainprm,
    /// Three per actuator.
    ActuatorBiasprm,
    /// Three per geom.
    GeomSize,
    /// Three per geom.
    GeomFriction,
    /// Two per geom.
    GeomSolref,
    /// Five per geom.
    GeomSolimp,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Parameter; 15] = [
        Parameter::Gravity,
        Parameter::BodyMass,
        Parameter::BodyInertia,
        Parameter::BodyIpos,
        Parameter::DofDamping,
        Parameter::DofArmature,
        Parameter::DofFrictionloss,
        Parameter::JntStiffness,
        Parameter::ActuatorGear,
        Parameter::ActuatorGainprm,
        Parameter::ActuatorBiasprm,
        Parameter::GeomSize,
        Parameter::GeomFriction,
        Parameter::GeomSolref,
        Parameter::GeomSolimp,
    ];

    /// MuJoCo's name.
    pub fn name(self) -> &'static str {
        match self {
            Parameter::Gravity => "gravity",
            Parameter::BodyMass => "body_mass",
            Parameter::BodyInertia => "body_inertia",
            Parameter::BodyIpos => "body_ipos",
            Parameter::DofDamping => "dof_damping",
            Parameter::DofArmature => "dof_armature",
            Parameter::DofFrictionloss => "dof_frictionloss",
            Parameter::JntStiffness => "jnt_stiffness",
            Parameter::ActuatorGear => "actuator_gear",
            Parameter::ActuatorGainprm => "actuator_gainprm",
            Parameter::ActuatorBiasprm => "actuator_biasprm",
            Parameter::GeomSize => "geom_size",
            Parameter::GeomFriction => "geom_friction",
            Parameter::GeomSolref => "geom_solref",
            Parameter::GeomSolimp => "geom_solimp",
        }
    }
}

impl Model {
    /// The numbers of a parameter.
    pub fn parameter(&self, parameter: Parameter) -> &[f64] {
        match parameter {
            Parameter::Gravity => &self.opt.gravity,
            Parameter::BodyMass => &self.body_mass,
            Parameter::BodyInertia => self.body_inertia.as_flattened(),
            Parameter::BodyIpos => self.body_ipos.as_flattened(),
            Parameter::DofDamping => &self.dof_damping,
            Parameter::DofArmature => &self.dof_armature,
            Parameter::DofFrictionloss => &self.dof_frictionloss,
            Parameter::JntStiffness => &self.jnt_stiffness,
            Parameter::ActuatorGear => self.actuator_gear.as_flattened(),
            Parameter::ActuatorGainprm => self.actuator_gainprm.as_flattened(),
            Parameter::ActuatorBiasprm => self.actuator_biasprm.as_flattened(),
            Parameter::GeomSize => self.geom_size.as_flattened(),
            Parameter::GeomFriction => self.geom_friction.as_flattened(),
            Parameter::GeomSolref => self.geom_solref.as_flattened(),
            Parameter::GeomSolimp => self.geom_solimp.as_flattened(),
        }
    }

    /// Sets the numbers of a parameter.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], and [`Error::Invalid`] for a negative mass, inertia, damping, armature, friction or size.
    pub fn set_parameter(&mut self, parameter: Parameter, values: &[f64]) -> Result<()> {
        let old = self.parameter(parameter);
        length("set_parameter", parameter.name(), values.len(), old.len())?;
        finite("set_parameter", parameter.name(), values)?;
        let signed = matches!(
            parameter,
            Parameter::Gravity
                | Parameter::BodyIpos
                | Parameter::ActuatorGear
                | Parameter::ActuatorGainprm
                | Parameter::ActuatorBiasprm
                | Parameter::GeomSolref
        );
        if !signed && let Some(k) = values.iter().position(|&v| v < 0.0) {
            let what = format!("{}[{k}] = {} is negative", parameter.name(), values[k]);
            return Err(Error::invalid("set_parameter", what));
        }
        self.slot(parameter).copy_from_slice(values);
        self.set_derived();
        Ok(())
    }

    fn slot(&mut self, parameter: Parameter) -> &mut [f64] {
        match parameter {
            Parameter::Gravity => &mut self.opt.gravity,
            Parameter::BodyMass => &mut self.body_mass,
            Parameter::BodyInertia => self.body_inertia.as_flattened_mut(),
            Parameter::BodyIpos => self.body_ipos.as_flattened_mut(),
            Parameter::DofDamping => &mut self.dof_damping,
            Parameter::DofArmature => &mut self.dof_armature,
            Parameter::DofFrictionloss => &mut self.dof_frictionloss,
            Parameter::JntStiffness => &mut self.jnt_stiffness,
            Parameter::ActuatorGear => self.actuator_gear.as_flattened_mut(),
            Parameter::ActuatorGainprm => self.actuator_gainprm.as_flattened_mut(),
            Parameter::ActuatorBiasprm => self.actuator_biasprm.as_flattened_mut(),
            Parameter::GeomSize => self.geom_size.as_flattened_mut(),
            Parameter::GeomFriction => self.geom_friction.as_flattened_mut(),
            Parameter::GeomSolref => self.geom_solref.as_flattened_mut(),
            Parameter::GeomSolimp => self.geom_solimp.as_flattened_mut(),
        }
    }
}
