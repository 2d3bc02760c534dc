//! URDF: links, joints, inertias, shapes and limits, read into a [`Spec`].

use crate::mjcf::{Attributes, Element, Limits, mesh_file, read_xml};
use crate::model::{GeomType, JointType};
use crate::spatial::quaternion;
use crate::spec::{Body, Geom, Inertial, Joint, Pose, Spec};
use crate::{Model, Result};
use std::collections::HashMap;
use std::path::Path;

/// How a URDF is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Does the root link float (a free joint), or is it fixed to the world?
    pub floating: bool,
    /// Are collision shapes read? Of a mesh, the convex hull collides.
    pub collisions: bool,
}

impl Default for Options {
    /// Fixed, with collision shapes.
    fn default() -> Self {
        Self { floating: false, collisions: true }
    }
}

/// Reads and compiles a URDF.
///
/// Joints: revolute, continuous, prismatic (with limits, damping and friction as dry friction), fixed, floating (of a child of the world).
/// `mimic` becomes an equality of joints. The effort of limits clamps the total actuator force.
/// A lower limit equal to the upper one stands for none, as in MuJoCo.
///
/// # Errors
/// [`crate::Error::File`], [`crate::Error::Parse`], [`crate::Error::Unsupported`] (planar joints), [`crate::Error::Invalid`].
pub fn load(path: impl AsRef<Path>, options: Options) -> Result<Model> {
    load_spec(path, options)?.compile()
}

/// Reads a URDF, to be changed before it is compiled.
///
/// # Errors
/// As of [`load`].
pub fn load_spec(path: impl AsRef<Path>, options: Options) -> Result<Spec> {
    let path = path.as_ref();
    let root = crate::mjcf::read_file(path, &Limits::default())?;
    let path = path.canonicalize().ok();
    read(&root, options, path.as_deref().and_then(Path::parent))
}

/// Reads and compiles a URDF from text.
///
/// # Errors
/// As of [`load`].
pub fn parse(text: &str, options: Options) -> Result<Model> {
    read(&read_xml("robot", text)?, options, None)?.compile()
}

/// A joint before the tree is known.
struct Link<'a> {
    element: &'a Element,
    joint: Option<&'a Element>,
    children: Vec<usize>,
}

fn child<'a>(element: &'a Element, tag: &str) -> Option<&'a Element> {
    element.children.iter().find(|c| c.tag == tag)
}

fn reference<'a>(joint: &'a Element, tag: &str) -> Result<&'a str> {
    let link = child(joint, tag).ok_or_else(|| joint.wrong(format!("<{tag}> is missing")))?;
    Attributes::new(link).required("link")
}

fn read(root: &Element, options: Options, folder: Option<&Path>) -> Result<Spec> {
    if root.tag != "robot" {
        return Err(root.wrong(format!("the root is <{}>, not <robot>", root.tag)));
    }
    let mut spec = Spec::new(Attributes::new(root).text("name").unwrap_or("robot"));
    spec.inertia.as_given = true;
    let mut links = Vec::new();
    let mut numbers = HashMap::new();
    for element in root.children.iter().filter(|c| c.tag == "link") {
        let name = Attributes::new(element).required("name")?;
        if numbers.insert(name, links.len()).is_some() {
            return Err(element.wrong(format!("the link '{name}' stands twice")));
        }
        links.push(Link { element, joint: None, children: Vec::new() });
    }
    for joint in root.children.iter().filter(|c| c.tag == "joint") {
        let find = |tag: &str| {
            let name = reference(joint, tag)?;
            numbers
                .get(name)
                .copied()
                .ok_or_else(|| joint.wrong(format!("there is no link '{name}'")))
        };
        let (parent, below) = (find("parent")?, find("child")?);
        if links[below].joint.replace(joint).is_some() {
            return Err(joint.wrong("its child has two parents"));
        }
        links[parent].children.push(below);
    }
    let roots: Vec<usize> = (0..links.len()).filter(|&k| links[k].joint.is_none()).collect();
    let [first] = roots[..] else {
        return Err(root.wrong(format!("{} links without a parent; one is needed", roots.len())));
    };
    // Depth first with a stack: a file may be a long chain.
    let mut stack = vec![(first, 0)];
    let mut reached = 0;
    while let Some((link, parent)) = stack.pop() {
        reached += 1;
        let id = add(&mut spec, &links[link], parent, options, folder)?;
        stack.extend(links[link].children.iter().rev().map(|&c| (c, id)));
    }
    if reached != links.len() {
        return Err(root.wrong("the joints form a loop"));
    }
    for joint in root.children.iter().filter(|c| c.tag == "joint") {
        mimic(&mut spec, joint)?;
    }
    Ok(spec)
}

fn origin(element: &Element) -> Result<Pose> {
    let Some(origin) = child(element, "origin") else { return Ok(Pose::default()) };
    let mut a = Attributes::new(origin);
    let pos = a.exactly::<3>("xyz")?.unwrap_or_default();
    let [roll, pitch, yaw] = a.exactly::<3>("rpy")?.unwrap_or_default();
    // Fixed axes: yaw·pitch·roll.
    let turn = |axis, angle| quaternion::axis_angle(axis, angle);
    let quat = quaternion::product(
        turn([0.0, 0.0, 1.0], yaw),
        quaternion::product(turn([0.0, 1.0, 0.0], pitch), turn([1.0, 0.0, 0.0], roll)),
    );
    Ok(Pose { pos, quat })
}

fn add(
    spec: &mut Spec,
    link: &Link<'_>,
    parent: usize,
    options: Options,
    folder: Option<&Path>,
) -> Result<usize> {
    let name = Attributes::new(link.element).required("name")?;
    if name == "world" && link.joint.is_none() && !options.floating {
        // The root stands for the world itself.
        if options.collisions {
            for collision in link.element.children.iter().filter(|c| c.tag == "collision") {
                let geom = shape(spec, collision, folder)?;
                spec.world().geoms.push(geom);
            }
        }
        spec.inertia.from_geom = Some(false);
        return Ok(0);
    }
    let mut body = Body::new(name);
    body.line = link.element.line;
    body.inertial = Some(inertial(link.element)?);
    if options.collisions {
        for collision in link.element.children.iter().filter(|c| c.tag == "collision") {
            let geom = shape(spec, collision, folder)?;
            body.geoms.push(geom);
        }
    }
    match link.joint {
        None if options.floating => body.joints.push(Joint::new("root", JointType::Free)),
        None => {}
        Some(element) => {
            body.pose = origin(element)?;
            body.joints.extend(joint(element)?);
        }
    }
    // URDF's masses are as given, also if a link has shapes.
    spec.inertia.from_geom = Some(false);
    spec.add(parent, body)
}

fn inertial(link: &Element) -> Result<Inertial> {
    let none = Inertial { mass: 0.0, pose: Pose::default(), inertia: [0.0; 6] };
    let Some(element) = child(link, "inertial") else { return Ok(none) };
    let value = |tag: &str, name: &str| -> Result<f64> {
        match child(element, tag) {
            None => Ok(0.0),
            Some(e) => Ok(Attributes::new(e).number(name)?.unwrap_or(0.0)),
        }
    };
    let moment = |name: &str| value("inertia", name);
    Ok(Inertial {
        mass: value("mass", "value")?,
        pose: origin(element)?,
        inertia: [
            moment("ixx")?,
            moment("iyy")?,
            moment("izz")?,
            moment("ixy")?,
            moment("ixz")?,
            moment("iyz")?,
        ],
    })
}

fn shape(spec: &mut Spec, collision: &Element, folder: Option<&Path>) -> Result<Geom> {
    let geometry = child(collision, "geometry")
        .and_then(|g| g.children.first())
        .ok_or_else(|| collision.wrong("<geometry> is missing"))?;
    let mut a = Attributes::new(geometry);
    let mut needed = |name: &str| {
        a.number(name)?.ok_or_else(|| geometry.wrong(format!("the attribute {name} is missing")))
    };
    let mut geom = match geometry.tag.as_str() {
        "sphere" => Geom::sphere(needed("radius")?),
        "cylinder" => {
            let (radius, length) = (needed("radius")?, needed("length")?);
            Geom::new(GeomType::Cylinder, [radius, 0.5 * length, 0.0])
        }
        "capsule" => {
            let (radius, length) = (needed("radius")?, needed("length")?);
            Geom::new(GeomType::Capsule, [radius, 0.5 * length, 0.0])
        }
        "box" => {
            let size = Attributes::new(geometry).exactly::<3>("size")?;
            let size = size.ok_or_else(|| geometry.wrong("the attribute size is missing"))?;
            Geom::new(GeomType::Box, size.map(|s| 0.5 * s))
        }
        "mesh" => Geom::mesh(mesh(spec, geometry, folder)?),
        _ => return Err(geometry.unsupported(format!("the shape <{}>", geometry.tag))),
    };
    geom.pose = origin(collision)?;
    geom.line = collision.line;
    Ok(geom)
}

/// Reads the mesh of a `<mesh>`; its name in the model, one for each file and scale. A file is looked for in the URDF's folder: `package://` and
/// the package's name are cut off where they do not lead to it.
fn mesh(spec: &mut Spec, geometry: &Element, folder: Option<&Path>) -> Result<String> {
    let mut a = Attributes::new(geometry);
    let scale = a.exactly::<3>("scale")?.unwrap_or([1.0; 3]);
    let given = a.required("filename")?;
    let plain = given.strip_prefix("file://").unwrap_or(given);
    let package = plain.strip_prefix("package://");
    let file = package.unwrap_or(plain);
    let found = |name: &str| folder.is_some_and(|f| f.join(name).exists());
    let below = package.and_then(|p| p.split_once('/')).map_or(file, |(_, rest)| rest);
    let file = if found(file) { file } else { below };
    let name = format!("{file} {scale:?}");
    if spec.meshes.iter().all(|m| m.name != name) {
        let mut mesh = mesh_file(geometry, folder, "", file)?;
        mesh.name.clone_from(&name);
        mesh.line = geometry.line;
        mesh.place(scale, [0.0; 3], quaternion::UNIT);
        spec.meshes.push(mesh);
    }
    Ok(name)
}

fn joint(element: &Element) -> Result<Option<Joint>> {
    let mut a = Attributes::new(element);
    let name = a.required("name")?;
    let (kind, limited) = match a.required("type")? {
        "fixed" => return Ok(None),
        "revolute" => (JointType::Hinge, true),
        "continuous" => (JointType::Hinge, false),
        "prismatic" => (JointType::Slide, true),
        "floating" => (JointType::Free, false),
        other => return Err(element.unsupported(format!("a joint of type {other}"))),
    };
    let mut joint = Joint::new(name, kind);
    joint.line = element.line;
    joint.axis = [1.0, 0.0, 0.0];
    if let Some(axis) = child(element, "axis")
        && let Some(xyz) = Attributes::new(axis).exactly::<3>("xyz")?
    {
        joint.axis = xyz;
    }
    if let Some(dynamics) = child(element, "dynamics") {
        let mut a = Attributes::new(dynamics);
        joint.damping = a.number("damping")?.unwrap_or(0.0);
        joint.frictionloss = a.number("friction")?.unwrap_or(0.0);
    }
    if let Some(limit) = child(element, "limit") {
        let mut a = Attributes::new(limit);
        if limited {
            let (low, high) =
                (a.number("lower")?.unwrap_or(0.0), a.number("upper")?.unwrap_or(0.0));
            // Equal limits are none, as in MuJoCo.
            joint.range = (low != high).then_some([low, high]);
        }
        if let Some(effort) = a.number("effort")?
            && effort > 0.0
        {
            joint.actuatorfrcrange = Some([-effort, effort]);
        }
    }
    Ok(Some(joint))
}

fn mimic(spec: &mut Spec, joint: &Element) -> Result<()> {
    let Some(element) = child(joint, "mimic") else { return Ok(()) };
    let mut a = Attributes::new(element);
    let mut data = [0.0; 11];
    data[0] = a.number("offset")?.unwrap_or(0.0);
    data[1] = a.number("multiplier")?.unwrap_or(1.0);
    spec.equalities.push(crate::spec::Equality {
        kind: crate::model::EqualityType::Joint,
        sites: false,
        first: Attributes::new(joint).required("name")?.to_string(),
        second: Some(a.required("joint")?.to_string()),
        active: true,
        data,
        softness: crate::spec::Softness::default(),
        line: element.line,
    });
    Ok(())
}
