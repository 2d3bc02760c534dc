//! The tree of bodies: `worldbody`, `body`, `frame`, `joint`, `geom`, `site`, `inertial`.

use super::Reader;
use super::attributes::{Attributes, ORIENTATIONS};
use super::defaults::MAIN;
use super::replicate;
use super::xml::Element;
use crate::Result;
use crate::model::{GeomType, JointType};
use crate::spatial::{axes, principal_axes, quaternion};
use crate::spec::{Body, Geom, Inertial, Joint, Pose, Site};

/// Elements of a body that only draw.
const DRAWN: [&str; 2] = ["camera", "light"];

/// More bytes than these are not added to names of replicas.
const MOST_SUFFIX: usize = 250;

impl Reader {
    pub(super) fn worldbody(&mut self, element: &Element) -> Result<()> {
        Attributes::new(element).finish(&[])?;
        self.elements = self.elements.saturating_add(replicate::check(element)?);
        if self.elements > 2 * replicate::MOST_REPLICAS {
            return Err(element.wrong(format!("{} elements with replicas", self.elements)));
        }
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
                    let own = self.defaults.inside(child, a.text("childclass"), class)?;
                    let own = own.to_string();
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
                    let mut joint = Joint::new(self.name(&mut a), JointType::Free);
                    joint.align = match a.text("align") {
                        None | Some("auto") => None,
                        Some("true") => Some(true),
                        Some("false") => Some(false),
                        Some(text) => {
                            let what = format!("align: '{text}' is not true, false or auto");
                            return Err(child.wrong(what));
                        }
                    };
                    a.finish(&["group"])?;
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
                "inertial" if body == 0 => {
                    return Err(child.wrong("the world has no inertia"));
                }
                "inertial" if self.spec.bodies[body].inertial.is_some() => {
                    return Err(child.wrong("stands twice in its body"));
                }
                "inertial" => {
                    let mut inertial = self.inertial(child)?;
                    inertial.pose = around.then(&inertial.pose);
                    self.spec.bodies[body].inertial = Some(inertial);
                }
                "replicate" => self.replicate(child, body, class, around, level)?,
                tag if DRAWN.contains(&tag) => {}
                _ => return Err(child.unsupported(format!("element <{}>", child.tag))),
            }
        }
        Ok(())
    }

    /// The element's name, with what replicas add to it.
    fn name(&self, a: &mut Attributes<'_>) -> String {
        match a.text("name") {
            Some(name) if !name.is_empty() => format!("{name}{}", self.suffix),
            _ => String::new(),
        }
    }

    /// The children again and again, each time moved on by the offset and rotation; names get numbers.
    fn replicate(
        &mut self,
        element: &Element,
        body: usize,
        class: &str,
        around: &Pose,
        level: usize,
    ) -> Result<()> {
        let mut a = Attributes::new(element);
        let count = replicate::count(element, &mut a)?;
        let sep = a.text("sep").unwrap_or_default();
        let pos = a.exactly::<3>("offset")?.unwrap_or_default();
        let angles = a.exactly::<3>("euler")?.unwrap_or_default();
        a.finish(&[])?;
        if let Some(joint) = joint_in(element) {
            return Err(joint.wrong("a joint as a child of <replicate>"));
        }
        let quat = self.settings.euler(angles.map(|x| self.settings.angle(x)));
        let step = Pose { pos, quat };
        let digits = (count - 1).to_string().len();
        let outer = self.suffix.clone();
        let mut pose = *around;
        for k in 0..count {
            self.suffix = format!("{sep}{k:0digits$}{outer}");
            if self.suffix.len() > MOST_SUFFIX {
                let what =
                    format!("adds {} bytes to names; at most {MOST_SUFFIX}", self.suffix.len());
                return Err(element.wrong(what));
            }
            self.children(element, body, class, &pose, level)?;
            pose = pose.then(&step);
        }
        self.suffix = outer;
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
        let mut body = Body::new(self.name(&mut a));
        body.line = element.line;
        body.pose = around.then(&a.pose(&self.settings)?);
        body.gravcomp = a.number("gravcomp")?.unwrap_or(0.0);
        body.mocap = a.boolean("mocap")?.unwrap_or(false);
        let own = self.defaults.inside(element, a.text("childclass"), class)?.to_string();
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
        let mut joint = Joint::new(self.name(&mut a), kind);
        joint.line = element.line;
        let turns = matches!(kind, JointType::Hinge | JointType::Ball);
        let angle = |x: f64| if turns { self.settings.angle(x) } else { x };
        a.all_or_none("pos", &mut joint.pos)?;
        a.all_or_none("axis", &mut joint.axis)?;
        joint.reference = angle(a.number("ref")?.unwrap_or(0.0));
        joint.springref = angle(a.number("springref")?.unwrap_or(0.0));
        let mut stiffness = [0.0; 3];
        a.prefix("stiffness", &mut stiffness)?;
        [joint.stiffness, joint.stiffnesspoly[0], joint.stiffnesspoly[1]] = stiffness;
        joint.damping = self.one(&mut a, element, "damping")?;
        joint.armature = a.number("armature")?.unwrap_or(0.0);
        joint.frictionloss = a.number("frictionloss")?.unwrap_or(0.0);
        // Not an angle in the file's unit: radians in any case, as MuJoCo has it.
        joint.margin = a.number("margin")?.unwrap_or(0.0);
        joint.range =
            a.limits("limited", "range", self.settings.autolimits)?.map(|range| range.map(angle));
        joint.limit = a.softness("solreflimit", "solimplimit")?;
        joint.friction = a.softness("solreffriction", "solimpfriction")?;
        joint.actuatorfrcrange =
            a.limits("actuatorfrclimited", "actuatorfrcrange", self.settings.autolimits)?;
        joint.actuatorgravcomp = a.boolean("actuatorgravcomp")?.unwrap_or(false);
        // Zeros stand for none.
        joint.springdamper = a.exactly::<2>("springdamper")?.filter(|given| *given != [0.0; 2]);
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
            Some("mesh") => GeomType::Mesh,
            Some(other) => return Err(element.unsupported(format!("type=\"{other}\""))),
        };
        let mut geom = Geom::new(kind, [0.0; 3]);
        geom.mesh = a.text("mesh").map(str::to_string);
        geom.fitscale = a.number("fitscale")?.unwrap_or(1.0);
        if geom.kind == GeomType::Mesh && geom.mesh.is_none() {
            return Err(element.wrong("the attribute mesh is missing"));
        }
        geom.line = element.line;
        geom.name = self.name(&mut a);
        let sizes = a.prefix("size", &mut geom.size)?;
        geom.pose = a.pose(&self.settings)?;
        let mut needed = match kind {
            GeomType::Plane | GeomType::Mesh => 0,
            GeomType::Sphere => 1,
            GeomType::Capsule | GeomType::Cylinder => 2,
            GeomType::Ellipsoid | GeomType::Box => 3,
        };
        if let Some([from, to]) = a.ends()? {
            let (pose, half) = Pose::between(from, to);
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
        if geom.mesh.is_some() {
            needed = 0;
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
        let mut site =
            Site { name: self.name(&mut a), pose: a.pose(&self.settings)?, line: element.line };
        if let Some([from, to]) = a.ends()? {
            site.pose = Pose::between(from, to).0;
        }
        a.finish(&["type", "group", "size"])?;
        Ok(site)
    }

    fn inertial(&self, element: &Element) -> Result<Inertial> {
        let mut a = Attributes::new(element);
        let mut pose = a.pose(&self.settings)?;
        let Some(mass) = a.number("mass")? else {
            return Err(element.wrong("the attribute mass is missing"));
        };
        let diagonal = a.exactly::<3>("diaginertia")?;
        let full = a.exactly::<6>("fullinertia")?;
        if full.is_some() && (diagonal.is_some() || ORIENTATIONS.iter().any(|w| a.own(w))) {
            return Err(element.wrong("fullinertia and diaginertia or an orientation"));
        }
        a.finish(&[])?;
        let [x, y, z] = match full {
            // Its axes are turned to the principal ones also where they are principal: the moments decrease.
            Some(full) => {
                let (moments, turn) = principal_axes(full, axes::OF_BODIES);
                pose.quat = turn;
                moments
            }
            None => diagonal.unwrap_or_default(),
        };
        Ok(Inertial { mass, pose, inertia: [x, y, z, 0.0, 0.0, 0.0] })
    }
}

/// The first joint below an element that would move the body around it.
fn joint_in(element: &Element) -> Option<&Element> {
    element.children.iter().find_map(|child| match child.tag.as_str() {
        "joint" | "freejoint" => Some(child),
        "frame" | "replicate" => joint_in(child),
        _ => None,
    })
}
