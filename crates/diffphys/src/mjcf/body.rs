//! The tree of bodies: `worldbody`, `body`, `frame`, `joint`, `geom`, `site`, `inertial`.

use super::Reader;
use super::attributes::Attributes;
use super::defaults::MAIN;
use super::xml::Element;
use crate::Result;
use crate::model::{GeomType, JointType};
use crate::spatial::quaternion;
use crate::spec::{Body, Geom, Inertial, Joint, Pose, Site};

/// Elements of a body that only draw.
const DRAWN: [&str; 2] = ["camera", "light"];

impl Reader {
    pub(super) fn worldbody(&mut self, element: &Element) -> Result<()> {
        self.children(element, 0, MAIN, &Pose::default(), 0)
    }

    /// The elements of a body, in the frame `around` of it.
    fn children(
        &mut self,
        element: &Element,
        body: usize,
        class: &str,
        around: &Pose,
        level: usize,
    ) -> Result<()> {
        for child in &element.children {
            match child.tag.as_str() {
                "body" => self.body(child, body, class, around, level)?,
                "frame" => {
                    let mut a = Attributes::new(child);
                    let own = a.text("childclass").unwrap_or(class).to_string();
                    let pose = around.then(&a.pose(&self.settings)?);
                    a.finish(&["name"])?;
                    self.children(child, body, &own, &pose, level)?;
                }
                "joint" => {
                    let mut joint = self.joint(child, class)?;
                    joint.pos = around.then(&Pose { pos: joint.pos, ..Pose::default() }).pos;
                    joint.axis = quaternion::rotate(around.quat, joint.axis);
                    self.spec.bodies[body].joints.push(joint);
                }
                "freejoint" => {
                    let mut a = Attributes::new(child);
                    let mut joint = Joint::new(a.text("name").unwrap_or_default(), JointType::Free);
                    a.finish(&["group", "align"])?;
                    joint.line = child.line;
                    self.spec.bodies[body].joints.push(joint);
                }
                "geom" => {
                    let mut geom = self.geom(child, class)?;
                    geom.pose = around.then(&geom.pose);
                    self.spec.bodies[body].geoms.push(geom);
                }
                "site" => {
                    let mut site = self.site(child, class)?;
                    site.pose = around.then(&site.pose);
                    self.spec.bodies[body].sites.push(site);
                }
                "inertial" => {
                    let inertial = self.inertial(child)?;
                    self.spec.bodies[body].inertial = Some(inertial);
                }
                tag if DRAWN.contains(&tag) => {}
                _ => return Err(child.unsupported(format!("element <{}>", child.tag))),
            }
        }
        Ok(())
    }

    fn body(
        &mut self,
        element: &Element,
        parent: usize,
        class: &str,
        around: &Pose,
        level: usize,
    ) -> Result<()> {
        let mut a = Attributes::new(element);
        let mut body = Body::new(a.text("name").unwrap_or_default());
        body.line = element.line;
        body.pose = around.then(&a.pose(&self.settings)?);
        body.gravcomp = a.number("gravcomp")?.unwrap_or(0.0);
        if a.boolean("mocap")? == Some(true) {
            return Err(element.unsupported("a mocap body"));
        }
        let own = a.text("childclass").unwrap_or(class).to_string();
        a.finish(&["sleep"])?;
        let id = self.spec.add(parent, body)?;
        self.children(element, id, &own, &Pose::default(), level + 1)
    }

    fn joint(&self, element: &Element, class: &str) -> Result<Joint> {
        let mut a = Attributes::with_defaults(element, self.defaults.of(element, "joint", class)?);
        let kind = match a.text("type") {
            None | Some("hinge") => JointType::Hinge,
            Some("slide") => JointType::Slide,
            Some("ball") => JointType::Ball,
            Some("free") => JointType::Free,
            Some(text) => return Err(element.wrong(format!("type: '{text}'"))),
        };
        let mut joint = Joint::new(a.text("name").unwrap_or_default(), kind);
        joint.line = element.line;
        let turns = matches!(kind, JointType::Hinge | JointType::Ball);
        let angle = |x: f64| if turns { self.settings.angle(x) } else { x };
        a.prefix("pos", &mut joint.pos)?;
        a.prefix("axis", &mut joint.axis)?;
        joint.reference = angle(a.number("ref")?.unwrap_or(0.0));
        joint.springref = angle(a.number("springref")?.unwrap_or(0.0));
        joint.stiffness = self.one(&mut a, element, "stiffness")?;
        joint.damping = self.one(&mut a, element, "damping")?;
        joint.armature = a.number("armature")?.unwrap_or(0.0);
        joint.frictionloss = a.number("frictionloss")?.unwrap_or(0.0);
        joint.margin = angle(a.number("margin")?.unwrap_or(0.0));
        joint.range =
            a.limits("limited", "range", self.settings.autolimits)?.map(|range| range.map(angle));
        joint.limit = a.softness("solreflimit", "solimplimit")?;
        joint.friction = a.softness("solreffriction", "solimpfriction")?;
        joint.actuatorfrcrange =
            a.limits("actuatorfrclimited", "actuatorfrcrange", self.settings.autolimits)?;
        joint.actuatorgravcomp = a.boolean("actuatorgravcomp")?.unwrap_or(false);
        if let Some([mass, ratio]) = a.exactly::<2>("springdamper")?
            && (mass != 0.0 || ratio != 0.0)
        {
            return Err(element.unsupported("springdamper"));
        }
        a.finish(&["group"])?;
        Ok(joint)
    }

    /// A coefficient that MuJoCo lets be a polynomial; only its linear term is simulated.
    fn one(&self, a: &mut Attributes<'_>, element: &Element, name: &str) -> Result<f64> {
        match a.numbers(name)?.as_deref() {
            None | Some([]) => Ok(0.0),
            Some([x, rest @ ..]) if rest.iter().all(|r| *r == 0.0) => Ok(*x),
            Some(_) => Err(element.unsupported(format!("nonlinear {name}"))),
        }
    }

    fn geom(&self, element: &Element, class: &str) -> Result<Geom> {
        let mut a = Attributes::with_defaults(element, self.defaults.of(element, "geom", class)?);
        let kind = match a.text("type") {
            Some("plane") => GeomType::Plane,
            None | Some("sphere") => GeomType::Sphere,
            Some("capsule") => GeomType::Capsule,
            Some("ellipsoid") => GeomType::Ellipsoid,
            Some("cylinder") => GeomType::Cylinder,
            Some("box") => GeomType::Box,
            Some(other) => return Err(element.unsupported(format!("type=\"{other}\""))),
        };
        if let Some(mesh) = a.text("mesh") {
            return Err(element.unsupported(format!("mesh=\"{mesh}\"")));
        }
        let mut geom = Geom::new(kind, [0.0; 3]);
        geom.line = element.line;
        geom.name = a.text("name").unwrap_or_default().to_string();
        let sizes = a.prefix("size", &mut geom.size)?;
        geom.pose = a.pose(&self.settings)?;
        let mut needed = match kind {
            GeomType::Plane => 0,
            GeomType::Sphere => 1,
            GeomType::Capsule | GeomType::Cylinder => 2,
            GeomType::Ellipsoid | GeomType::Box => 3,
        };
        if let Some([a0, a1, a2, b0, b1, b2]) = a.exactly::<6>("fromto")? {
            let (pose, half) = Pose::between([a0, a1, a2], [b0, b1, b2]);
            match kind {
                GeomType::Capsule | GeomType::Cylinder => geom.size[1] = half,
                GeomType::Box | GeomType::Ellipsoid => {
                    geom.size[1] = geom.size[0];
                    geom.size[2] = half;
                }
                _ => return Err(element.wrong("fromto of a shape without length")),
            }
            geom.pose = pose;
            needed = 1;
        }
        if sizes < needed {
            return Err(element.wrong(format!("size has {sizes} numbers; {needed} are needed")));
        }
        geom.mass = a.number("mass")?;
        geom.density = a.number("density")?.unwrap_or(1000.0);
        geom.contype = self.bits(&mut a, element, "contype")?;
        geom.conaffinity = self.bits(&mut a, element, "conaffinity")?;
        let integer = |x: Option<i64>, name: &str, default: i32| match x {
            None => Ok(default),
            Some(n) => i32::try_from(n).map_err(|_| element.wrong(format!("{name} is {n}"))),
        };
        let condim = a.integer("condim")?.unwrap_or(3);
        geom.condim =
            usize::try_from(condim).map_err(|_| element.wrong(format!("condim is {condim}")))?;
        geom.group = integer(a.integer("group")?, "group", 0)?;
        geom.priority = integer(a.integer("priority")?, "priority", 0)?;
        a.prefix("friction", &mut geom.friction)?;
        geom.solmix = a.number("solmix")?.unwrap_or(1.0);
        geom.softness = a.softness("solref", "solimp")?;
        geom.margin = a.number("margin")?.unwrap_or(0.0);
        geom.gap = a.number("gap")?.unwrap_or(0.0);
        if a.boolean("shellinertia")? == Some(true) {
            return Err(element.unsupported("shellinertia"));
        }
        match a.text("fluidshape") {
            None | Some("none") => {}
            Some("ellipsoid") => {
                let mut fluid = [0.5, 0.25, 1.5, 1.0, 1.0];
                a.prefix("fluidcoef", &mut fluid)?;
                geom.fluid = Some(fluid);
            }
            Some(text) => return Err(element.wrong(format!("fluidshape: '{text}'"))),
        }
        if a.numbers("surfacevel")?.is_some_and(|v| v.iter().any(|x| *x != 0.0)) {
            return Err(element.unsupported("surfacevel"));
        }
        // The medium's coefficients count only with a fluid shape.
        a.finish(&["fluidcoef", "castshadow"])?;
        Ok(geom)
    }

    fn bits(&self, a: &mut Attributes<'_>, element: &Element, name: &str) -> Result<u32> {
        let n = a.integer(name)?.unwrap_or(1);
        // Bits above the sign are written as negative numbers.
        u32::try_from(n)
            .or_else(|_| i32::try_from(n).map(i32::cast_unsigned))
            .map_err(|_| element.wrong(format!("{name} is {n}")))
    }

    fn site(&self, element: &Element, class: &str) -> Result<Site> {
        let mut a = Attributes::with_defaults(element, self.defaults.of(element, "site", class)?);
        let mut site = Site {
            name: a.text("name").unwrap_or_default().to_string(),
            pose: a.pose(&self.settings)?,
        };
        if let Some([a0, a1, a2, b0, b1, b2]) = a.exactly::<6>("fromto")? {
            site.pose = Pose::between([a0, a1, a2], [b0, b1, b2]).0;
        }
        a.finish(&["type", "group", "size"])?;
        Ok(site)
    }

    fn inertial(&self, element: &Element) -> Result<Inertial> {
        let mut a = Attributes::new(element);
        let pose = a.pose(&self.settings)?;
        let Some(mass) = a.number("mass")? else {
            return Err(element.wrong("the attribute mass is missing"));
        };
        let diagonal = a.exactly::<3>("diaginertia")?;
        let full = a.exactly::<6>("fullinertia")?;
        a.finish(&[])?;
        let inertia = match (diagonal, full) {
            (_, Some(full)) => full,
            (Some([x, y, z]), None) => [x, y, z, 0.0, 0.0, 0.0],
            (None, None) => [0.0; 6],
        };
        Ok(Inertial { mass, pose, inertia })
    }
}
