//! Physical parameters of a model as flat arrays: to read, to set, and to differentiate with respect to.

use super::Model;
use crate::data::finite;
use crate::error::length;
use crate::spatial::MINVAL;
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
    /// Two per joint.
    JntRange,
    /// Two per joint.
    JntSolref,
    /// Five per joint.
    JntSolimp,
    /// Two per degree of freedom, of dry friction.
    DofSolref,
    /// Five per degree of freedom, of dry friction.
    DofSolimp,
    /// One per tendon.
    TendonStiffness,
    /// One per tendon.
    TendonDamping,
    /// One per tendon.
    TendonFrictionloss,
    /// Two per tendon.
    TendonRange,
    /// Two per tendon.
    TendonSolrefLim,
    /// Five per tendon.
    TendonSolimpLim,
    /// Two per tendon.
    TendonSolrefFri,
    /// Five per tendon.
    TendonSolimpFri,
    /// Two per equality.
    EqSolref,
    /// Five per equality.
    EqSolimp,
    /// Five per explicit pair.
    PairFriction,
    /// Two per explicit pair.
    PairSolref,
    /// Two per explicit pair: of the friction rows of elliptic cones.
    PairSolreffriction,
    /// Five per explicit pair.
    PairSolimp,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Parameter; 34] = [
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
        Parameter::JntRange,
        Parameter::JntSolref,
        Parameter::JntSolimp,
        Parameter::DofSolref,
        Parameter::DofSolimp,
        Parameter::TendonStiffness,
        Parameter::TendonDamping,
        Parameter::TendonFrictionloss,
        Parameter::TendonRange,
        Parameter::TendonSolrefLim,
        Parameter::TendonSolimpLim,
        Parameter::TendonSolrefFri,
        Parameter::TendonSolimpFri,
        Parameter::EqSolref,
        Parameter::EqSolimp,
        Parameter::PairFriction,
        Parameter::PairSolref,
        Parameter::PairSolreffriction,
        Parameter::PairSolimp,
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
            Parameter::JntRange => "jnt_range",
            Parameter::JntSolref => "jnt_solref",
            Parameter::JntSolimp => "jnt_solimp",
            Parameter::DofSolref => "dof_solref",
            Parameter::DofSolimp => "dof_solimp",
            Parameter::TendonStiffness => "tendon_stiffness",
            Parameter::TendonDamping => "tendon_damping",
            Parameter::TendonFrictionloss => "tendon_frictionloss",
            Parameter::TendonRange => "tendon_range",
            Parameter::TendonSolrefLim => "tendon_solref_lim",
            Parameter::TendonSolimpLim => "tendon_solimp_lim",
            Parameter::TendonSolrefFri => "tendon_solref_fri",
            Parameter::TendonSolimpFri => "tendon_solimp_fri",
            Parameter::EqSolref => "eq_solref",
            Parameter::EqSolimp => "eq_solimp",
            Parameter::PairFriction => "pair_friction",
            Parameter::PairSolref => "pair_solref",
            Parameter::PairSolreffriction => "pair_solreffriction",
            Parameter::PairSolimp => "pair_solimp",
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
            Parameter::JntRange => self.jnt_range.as_flattened(),
            Parameter::JntSolref => self.jnt_solref.as_flattened(),
            Parameter::JntSolimp => self.jnt_solimp.as_flattened(),
            Parameter::DofSolref => self.dof_solref.as_flattened(),
            Parameter::DofSolimp => self.dof_solimp.as_flattened(),
            Parameter::TendonStiffness => &self.tendon_stiffness,
            Parameter::TendonDamping => &self.tendon_damping,
            Parameter::TendonFrictionloss => &self.tendon_frictionloss,
            Parameter::TendonRange => self.tendon_range.as_flattened(),
            Parameter::TendonSolrefLim => self.tendon_solref_lim.as_flattened(),
            Parameter::TendonSolimpLim => self.tendon_solimp_lim.as_flattened(),
            Parameter::TendonSolrefFri => self.tendon_solref_fri.as_flattened(),
            Parameter::TendonSolimpFri => self.tendon_solimp_fri.as_flattened(),
            Parameter::EqSolref => self.eq_solref.as_flattened(),
            Parameter::EqSolimp => self.eq_solimp.as_flattened(),
            Parameter::PairFriction => self.pair_friction.as_flattened(),
            Parameter::PairSolref => self.pair_solref.as_flattened(),
            Parameter::PairSolreffriction => self.pair_solreffriction.as_flattened(),
            Parameter::PairSolimp => self.pair_solimp.as_flattened(),
        }
    }

    /// Sets the numbers of a parameter.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], and [`Error::Invalid`] for a negative mass, inertia, damping, armature, friction or size, for
    /// a mass or moment of 0 that leaves a moving body without, for a geom's size of 0, and for a `solref` of which only one number is positive.
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
                | Parameter::JntRange
                | Parameter::JntSolref
                | Parameter::DofSolref
                | Parameter::TendonRange
                | Parameter::TendonSolrefLim
                | Parameter::TendonSolrefFri
                | Parameter::EqSolref
                | Parameter::PairSolref
                | Parameter::PairSolreffriction
        );
        if matches!(parameter, Parameter::JntRange | Parameter::TendonRange)
            && let Some(k) = values.as_chunks::<2>().0.iter().position(|[low, high]| low > high)
        {
            let what =
                format!("{} of {k}: {} to {}", parameter.name(), values[2 * k], values[2 * k + 1]);
            return Err(Error::invalid("set_parameter", what));
        }
        if !signed && let Some(k) = values.iter().position(|&v| v < 0.0) {
            let what = format!("{}[{k}] = {} is negative", parameter.name(), values[k]);
            return Err(Error::invalid("set_parameter", what));
        }
        self.references(parameter, values)?;
        self.massive(parameter, values)?;
        self.slot(parameter).copy_from_slice(values);
        self.set_derived();
        Ok(())
    }

    /// Both numbers of a `solref` are positive, or neither.
    fn references(&self, parameter: Parameter, values: &[f64]) -> Result<()> {
        let solref = matches!(
            parameter,
            Parameter::GeomSolref
                | Parameter::JntSolref
                | Parameter::DofSolref
                | Parameter::TendonSolrefLim
                | Parameter::TendonSolrefFri
                | Parameter::EqSolref
                | Parameter::PairSolref
                | Parameter::PairSolreffriction
        );
        if !solref {
            return Ok(());
        }
        for (k, pair) in values.as_chunks::<2>().0.iter().enumerate() {
            let node = || format!("set_parameter {} of {k}", parameter.name());
            crate::spec::reference(node, "solref", *pair)?;
        }
        Ok(())
    }

    /// What moves keeps a mass and moments, in its own body or in one that is welded to it; shapes keep an extent.
    fn massive(&self, parameter: Parameter, values: &[f64]) -> Result<()> {
        let old = self.parameter(parameter);
        let stride = match parameter {
            Parameter::BodyMass => 1,
            Parameter::BodyInertia | Parameter::GeomSize => 3,
            _ => return Ok(()),
        };
        let wrong = |k: usize, what: &str| {
            let what = format!("{}[{k}] = {}: {what}", parameter.name(), values[k]);
            Err(Error::invalid("set_parameter", what))
        };
        if parameter == Parameter::GeomSize {
            return match (0..values.len()).find(|&k| {
                let plane = self.geom_type[k / stride] == super::GeomType::Plane;
                values[k] == 0.0 && old[k] > 0.0 && !plane
            }) {
                Some(k) => wrong(k, "a size must be positive"),
                None => Ok(()),
            };
        }
        let heavy = |numbers: &[f64], body: usize| {
            numbers[body * stride..(body + 1) * stride].iter().all(|&x| x >= MINVAL)
        };
        let mut carried = vec![false; self.nbody()];
        for body in 0..self.nbody() {
            carried[self.body_weldid[body]] |= heavy(values, body);
        }
        for body in 0..self.nbody() {
            let moving = self.body_weldid[body];
            if moving != 0 && !carried[moving] && heavy(old, body) {
                let least = (body * stride..(body + 1) * stride).find(|&k| values[k] < MINVAL);
                let label = Self::label("body", &self.body_names, body);
                return wrong(
                    least.unwrap_or(body * stride),
                    &format!("{label} moves, and must keep a mass and moments"),
                );
            }
        }
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
            Parameter::JntRange => self.jnt_range.as_flattened_mut(),
            Parameter::JntSolref => self.jnt_solref.as_flattened_mut(),
            Parameter::JntSolimp => self.jnt_solimp.as_flattened_mut(),
            Parameter::DofSolref => self.dof_solref.as_flattened_mut(),
            Parameter::DofSolimp => self.dof_solimp.as_flattened_mut(),
            Parameter::TendonStiffness => &mut self.tendon_stiffness,
            Parameter::TendonDamping => &mut self.tendon_damping,
            Parameter::TendonFrictionloss => &mut self.tendon_frictionloss,
            Parameter::TendonRange => self.tendon_range.as_flattened_mut(),
            Parameter::TendonSolrefLim => self.tendon_solref_lim.as_flattened_mut(),
            Parameter::TendonSolimpLim => self.tendon_solimp_lim.as_flattened_mut(),
            Parameter::TendonSolrefFri => self.tendon_solref_fri.as_flattened_mut(),
            Parameter::TendonSolimpFri => self.tendon_solimp_fri.as_flattened_mut(),
            Parameter::EqSolref => self.eq_solref.as_flattened_mut(),
            Parameter::EqSolimp => self.eq_solimp.as_flattened_mut(),
            Parameter::PairFriction => self.pair_friction.as_flattened_mut(),
            Parameter::PairSolref => self.pair_solref.as_flattened_mut(),
            Parameter::PairSolreffriction => self.pair_solreffriction.as_flattened_mut(),
            Parameter::PairSolimp => self.pair_solimp.as_flattened_mut(),
        }
    }
}
