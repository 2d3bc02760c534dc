//! Actuators: `general` and the shortcuts that stand for it.

use super::Reader;
use super::attributes::Attributes;
use super::defaults::{ACTUATORS, KIND, MAIN};
use super::xml::Element;
use crate::Result;
use crate::model::{Bias, Dynamics, Gain};
use crate::spec::{Actuator, Target};

impl Reader {
    pub(super) fn actuators(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            if !ACTUATORS.contains(&child.tag.as_str()) {
                return Err(child.unsupported(format!("element <{}>", child.tag)));
            }
            let actuator = self.actuator(child)?;
            self.spec.actuators.push(actuator);
        }
        Ok(())
    }

    fn actuator(&self, element: &Element) -> Result<Actuator> {
        let mut a =
            Attributes::with_defaults(element, self.defaults.of(element, "actuator", MAIN)?);
        let name = a.text("name").unwrap_or_default();
        let mut out = Actuator::motor(name, "");
        out.line = element.line;
        // The default's shortcut first, then the element's own. Between two different shortcuts nothing of what they stand for is handed on.
        let default_kind = a.text(KIND);
        let general = |kind: &str| kind == "general";
        let same = default_kind.is_some_and(|kind| kind == element.tag);
        let foreign = default_kind.is_some_and(|kind| !same && !general(kind));
        if let Some(kind) = default_kind
            && (same || general(kind) || general(&element.tag))
        {
            law(&mut out, kind, &mut a, element)?;
        }
        if !same {
            if foreign {
                for name in ["kp", "kv", "dampratio", "timeconst"] {
                    a.drop_default(name);
                }
            }
            law(&mut out, &element.tag, &mut a, element)?;
        }
        let auto = self.settings.autolimits;
        out.ctrlrange = a.limits("ctrllimited", "ctrlrange", auto)?;
        out.forcerange = a.limits("forcelimited", "forcerange", auto)?;
        out.actrange = a.limits("actlimited", "actrange", auto)?;
        a.prefix("gear", &mut out.gear)?;
        out.inheritrange = a.number("inheritrange")?.unwrap_or(0.0);
        out.actearly = a.boolean("actearly")?.unwrap_or(false);
        out.target = target(&mut a, element)?;
        // Length ranges are for muscles; groups only draw.
        a.finish(&["group", "lengthrange"])?;
        Ok(out)
    }
}

/// What the tag of an actuator says about gain, bias and dynamics.
fn law(out: &mut Actuator, kind: &str, a: &mut Attributes<'_>, element: &Element) -> Result<()> {
    match kind {
        "general" => general(out, a, element)?,
        "motor" => {
            (out.gain, out.bias, out.dynamics) = (Gain::Fixed, Bias::None, Dynamics::None);
            out.gainprm = [1.0, 0.0, 0.0];
            out.biasprm = [0.0; 3];
        }
        "position" | "intvelocity" => {
            let kp = a.number("kp")?.unwrap_or(out.gainprm[0]);
            let mut kv = a.number("kv")?.unwrap_or(-out.biasprm[2]);
            if a.own("kv") && a.own("dampratio") {
                return Err(element.wrong("kv and dampratio"));
            }
            // The element's own kv replaces a default's ratio.
            if let Some(ratio) = a.number("dampratio")?
                && ratio > 0.0
                && !a.own("kv")
            {
                // The compiler turns a positive number here into damping.
                kv = -ratio;
            }
            (out.gain, out.bias) = (Gain::Fixed, Bias::Affine);
            out.gainprm = [kp, 0.0, 0.0];
            out.biasprm = [0.0, -kp, -kv];
            if kind == "intvelocity" {
                out.dynamics = Dynamics::Integrator;
            } else if let Some(time) = a.number("timeconst")? {
                out.dynprm[0] = time;
                out.dynamics = if time > 0.0 { Dynamics::FilterExact } else { Dynamics::None };
            }
        }
        _ => {
            let kv = a.number("kv")?.unwrap_or(out.gainprm[0]);
            (out.gain, out.bias, out.dynamics) = (Gain::Fixed, Bias::Affine, Dynamics::None);
            out.gainprm = [kv, 0.0, 0.0];
            out.biasprm = [0.0, 0.0, -kv];
        }
    }
    Ok(())
}

fn general(out: &mut Actuator, a: &mut Attributes<'_>, element: &Element) -> Result<()> {
    match a.text("dyntype") {
        None => {}
        Some("none") => out.dynamics = Dynamics::None,
        Some("integrator") => out.dynamics = Dynamics::Integrator,
        Some("filter") => out.dynamics = Dynamics::Filter,
        Some("filterexact") => out.dynamics = Dynamics::FilterExact,
        Some(other) => return Err(element.unsupported(format!("dyntype=\"{other}\""))),
    }
    match a.text("gaintype") {
        None => {}
        Some("fixed") => out.gain = Gain::Fixed,
        Some("affine") => out.gain = Gain::Affine,
        Some(other) => return Err(element.unsupported(format!("gaintype=\"{other}\""))),
    }
    match a.text("biastype") {
        None => {}
        Some("none") => out.bias = Bias::None,
        Some("affine") => out.bias = Bias::Affine,
        Some(other) => return Err(element.unsupported(format!("biastype=\"{other}\""))),
    }
    for (name, slot) in
        [("dynprm", &mut out.dynprm), ("gainprm", &mut out.gainprm), ("biasprm", &mut out.biasprm)]
    {
        let Some(list) = a.numbers(name)? else { continue };
        for (k, x) in list.iter().enumerate() {
            match slot.get_mut(k) {
                Some(place) => *place = *x,
                None if *x == 0.0 => {}
                None => return Err(element.unsupported(format!("{name}[{k}] = {x}"))),
            }
        }
    }
    if a.integer("actdim")?.is_some_and(|n| n > 1) {
        return Err(element.unsupported("actdim"));
    }
    Ok(())
}

/// What an actuator acts on: exactly one thing.
fn target(a: &mut Attributes<'_>, element: &Element) -> Result<Target> {
    for other in ["body", "cranksite", "slidersite", "refsite"] {
        if a.text(other).is_some() {
            return Err(element.unsupported(format!("transmission by {other}")));
        }
    }
    let mut found = None;
    for (name, kind) in [
        ("joint", Target::Joint as fn(String) -> Target),
        ("jointinparent", Target::JointInParent),
        ("tendon", Target::Tendon),
        ("site", Target::Site),
    ] {
        if let Some(text) = a.text(name)
            && found.replace(kind(text.to_string())).is_some()
        {
            return Err(element.wrong("acts on more than one thing"));
        }
    }
    found.ok_or_else(|| element.wrong("acts on nothing"))
}
