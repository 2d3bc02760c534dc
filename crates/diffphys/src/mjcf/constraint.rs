//! `contact`, `equality` and `tendon`.

use super::Reader;
use super::attributes::Attributes;
use super::defaults::MAIN;
use super::xml::Element;
use crate::Result;
use crate::model::EqualityType;
use crate::spatial::quaternion;
use crate::spec::{ContactPair, Equality, Exclude, Tendon, Via};

impl Reader {
    pub(super) fn contact(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            match child.tag.as_str() {
                "exclude" => {
                    let mut a = Attributes::new(child);
                    let body = [a.required("body1")?.to_string(), a.required("body2")?.to_string()];
                    a.finish(&["name"])?;
                    self.spec.excludes.push(Exclude { body, line: child.line });
                }
                "pair" => {
                    let pair = self.pair(child)?;
                    self.spec.pairs.push(pair);
                }
                _ => return Err(child.unsupported(format!("element <{}>", child.tag))),
            }
        }
        Ok(())
    }

    fn pair(&self, element: &Element) -> Result<ContactPair> {
        let mut a = Attributes::with_defaults(element, self.defaults.of(element, "pair", MAIN)?);
        let geom = [a.required("geom1")?.to_string(), a.required("geom2")?.to_string()];
        let condim = match a.integer("condim")? {
            None => None,
            Some(n) => {
                Some(usize::try_from(n).map_err(|_| element.wrong(format!("condim is {n}")))?)
            }
        };
        // A prefix of these may be given; the rest are MuJoCo's defaults.
        let mut friction = [1.0, 1.0, 0.005, 0.0001, 0.0001];
        let friction = (a.prefix("friction", &mut friction)? > 0).then_some(friction);
        let mut solref = [0.02, 1.0];
        let solref = (a.prefix("solref", &mut solref)? > 0).then_some(solref);
        let mut tangential = [0.0; 2];
        let solreffriction =
            (a.prefix("solreffriction", &mut tangential)? > 0).then_some(tangential);
        let mut solimp = [0.9, 0.95, 0.001, 0.5, 2.0];
        let solimp = (a.prefix("solimp", &mut solimp)? > 0).then_some(solimp);
        let pair = ContactPair {
            geom,
            condim,
            friction,
            solref,
            solreffriction,
            solimp,
            margin: a.number("margin")?,
            gap: a.number("gap")?,
            line: element.line,
        };
        a.finish(&["name"])?;
        Ok(pair)
    }

    pub(super) fn equality(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            let kind = match child.tag.as_str() {
                "joint" => EqualityType::Joint,
                "tendon" => EqualityType::Tendon,
                "connect" => EqualityType::Connect,
                "weld" => EqualityType::Weld,
                _ => return Err(child.unsupported(format!("equality <{}>", child.tag))),
            };
            let mut a =
                Attributes::with_defaults(child, self.defaults.of(child, "equality", MAIN)?);
            let sites = matches!(kind, EqualityType::Connect | EqualityType::Weld)
                && (a.own("site1") || a.own("site2"));
            let names = match kind {
                EqualityType::Joint => ["joint1", "joint2"],
                EqualityType::Tendon => ["tendon1", "tendon2"],
                _ if sites => ["site1", "site2"],
                _ => ["body1", "body2"],
            };
            if sites && ["anchor", "relpose", "body1", "body2"].iter().any(|n| a.own(n)) {
                return Err(child.wrong("sites and a body, anchor or relpose"));
            }
            let equality = Equality {
                kind,
                sites,
                first: a.required(names[0])?.to_string(),
                second: a.text(names[1]).filter(|n| !n.is_empty()).map(str::to_string),
                active: a.boolean("active")?.unwrap_or(true),
                data: equality_data(kind, sites, &mut a, child)?,
                softness: a.softness("solref", "solimp")?,
                line: child.line,
            };
            if sites && equality.second.is_none() {
                return Err(child.wrong("the attribute site2 is missing"));
            }
            a.finish(&["name"])?;
            self.spec.equalities.push(equality);
        }
        Ok(())
    }

    pub(super) fn tendon(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            if !["fixed", "spatial"].contains(&child.tag.as_str()) {
                return Err(child.unsupported(format!("tendon <{}>", child.tag)));
            }
            let mut a = Attributes::with_defaults(child, self.defaults.of(child, "tendon", MAIN)?);
            let name = a.text("name").unwrap_or_default().to_string();
            let mut spring = [-1.0, -1.0];
            if a.prefix("springlength", &mut spring)? == 1 {
                spring[1] = spring[0];
            }
            let mut stiffness = [0.0; 3];
            a.prefix("stiffness", &mut stiffness)?;
            let mut tendon = Tendon {
                name,
                terms: Vec::new(),
                path: Vec::new(),
                range: a.limits("limited", "range", self.settings.autolimits)?,
                margin: a.number("margin")?.unwrap_or(0.0),
                limit: a.softness("solreflimit", "solimplimit")?,
                frictionloss: a.number("frictionloss")?.unwrap_or(0.0),
                friction: a.softness("solreffriction", "solimpfriction")?,
                stiffness: stiffness[0],
                stiffnesspoly: [stiffness[1], stiffness[2]],
                damping: a.number("damping")?.unwrap_or(0.0),
                springlength: (spring != [-1.0, -1.0]).then_some(spring),
                line: child.line,
            };
            if a.number("armature")?.is_some_and(|x| x != 0.0) {
                return Err(child.unsupported("armature of a tendon"));
            }
            if a.limits("actuatorfrclimited", "actuatorfrcrange", true)?.is_some() {
                return Err(child.unsupported("actuatorfrcrange of a tendon"));
            }
            a.finish(&["group", "width"])?;
            for item in &child.children {
                if child.tag == "spatial" {
                    tendon.path.push(via(item)?);
                    continue;
                }
                if item.tag != "joint" {
                    return Err(item.wrong(format!("<{}> in a fixed tendon", item.tag)));
                }
                let mut t = Attributes::new(item);
                let joint = t.required("joint")?.to_string();
                let Some(coefficient) = t.number("coef")? else {
                    return Err(item.wrong("the attribute coef is missing"));
                };
                t.finish(&[])?;
                tendon.terms.push((joint, coefficient));
            }
            self.spec.tendons.push(tendon);
        }
        Ok(())
    }
}

/// The numbers of an equality, as [`Equality::data`] has them.
fn equality_data(
    kind: EqualityType,
    sites: bool,
    a: &mut Attributes<'_>,
    element: &Element,
) -> Result<[f64; 11]> {
    let mut data = [0.0; 11];
    match kind {
        EqualityType::Joint | EqualityType::Tendon => {
            let mut coefficients = [0.0, 1.0, 0.0, 0.0, 0.0];
            a.prefix("polycoef", &mut coefficients)?;
            data[..5].copy_from_slice(&coefficients);
        }
        EqualityType::Connect => {
            let anchor = a.exactly::<3>("anchor")?;
            if anchor.is_none() && !sites {
                return Err(element.wrong("the attribute anchor is missing"));
            }
            data[..3].copy_from_slice(&anchor.unwrap_or_default());
        }
        EqualityType::Weld => {
            data[..3].copy_from_slice(&a.exactly::<3>("anchor")?.unwrap_or_default());
            let mut relative = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            a.all_or_none("relpose", &mut relative)?;
            let quat = [relative[3], relative[4], relative[5], relative[6]];
            if quat != [0.0; 4] {
                data[3..6].copy_from_slice(&relative[..3]);
                data[6..10].copy_from_slice(&quaternion::normalize(quat));
            }
            data[10] = a.number("torquescale")?.unwrap_or(1.0);
        }
    }
    Ok(data)
}

/// A part of a spatial tendon's path.
fn via(element: &Element) -> Result<Via> {
    let mut a = Attributes::new(element);
    let out = match element.tag.as_str() {
        "site" => Via::Site(a.required("site")?.to_string()),
        "geom" => {
            let side = a.text("sidesite").map(str::to_string);
            Via::Geom(a.required("geom")?.to_string(), side)
        }
        "pulley" => match a.number("divisor")? {
            Some(divisor) => Via::Pulley(divisor),
            None => return Err(element.wrong("the attribute divisor is missing")),
        },
        _ => return Err(element.wrong(format!("<{}> in a spatial tendon", element.tag))),
    };
    a.finish(&[])?;
    Ok(out)
}
