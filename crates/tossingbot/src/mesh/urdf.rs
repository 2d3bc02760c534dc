//! URDF: the collision (or else visual) geometry of a rigid object.
//!
//! Links may be connected by fixed joints. Mesh, box, cylinder and sphere geometry is read; mass, inertia and materials are not: object
//! files are known to carry dummy inertias, and the geometry says better what the object weighs.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use roxmltree::{Document, Node, ParsingOptions};

use super::obj::{number, read_text};
use super::{MAX_TRIANGLES, Part, cuboid, cylinder, read_obj, sphere};
use crate::error::{Error, FileProblem, Result};

/// Deepest nesting of elements that is read.
const MAX_DEPTH: usize = 64;
/// Largest number of elements, texts and comments.
const MAX_NODES: u32 = 1_000_000;
/// Sides of a cylinder, and subdivisions of a sphere.
const CYLINDER_SEGMENTS: u32 = 48;
const SPHERE_SUBDIVISIONS: u32 = 3;

/// What a URDF file describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Urdf {
    /// The robot's name.
    pub name: String,
    /// Geometry in the root link's frame, in metres.
    pub parts: Vec<Part>,
    /// Mesh files that were read.
    pub meshes: Vec<PathBuf>,
}

/// Reads a URDF file. Its mesh files must lie under `root`; a relative path starts at the URDF's folder, and `package://name/path` at
/// `root/name` or at `root`.
///
/// # Errors
/// `Io` if the file cannot be read, `File` with the line for what is wrong inside it, or inside a mesh that it names.
pub fn read_urdf(path: &Path, root: &Path) -> Result<Urdf> {
    let text = read_text(path)?;
    let fail =
        |line: u32, problem| Error::File { path: path.to_owned(), line: line as usize, problem };
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| {
        fail(error.pos().row, FileProblem::Syntax { message: error.to_string() })
    })?;
    Reader { path, root, document: &document }.read()
}

struct Reader<'a> {
    path: &'a Path,
    root: &'a Path,
    document: &'a Document<'a>,
}

impl<'a> Reader<'a> {
    fn read(&self) -> Result<Urdf> {
        let robot = self.document.root_element();
        if robot.tag_name().name() != "robot" {
            let name = robot.tag_name().name().to_owned();
            return Err(self.fail(robot, FileProblem::Unsupported { what: "root element", name }));
        }
        self.check_depth(robot)?;
        let frames = self.link_frames(robot)?;
        let links = || children(robot, "link");
        let geometry = if links().any(|link| children(link, "collision").next().is_some()) {
            "collision"
        } else {
            "visual"
        };
        let mut urdf = Urdf {
            name: robot.attribute("name").unwrap_or_default().to_owned(),
            parts: Vec::new(),
            meshes: Vec::new(),
        };
        let mut triangles = 0;
        for link in links() {
            let frame =
                frames.get(link.attribute("name").unwrap_or_default()).copied().unwrap_or_default();
            for element in children(link, geometry) {
                let pose = frame * self.origin(element)?;
                for shape in children(element, "geometry")
                    .flat_map(|g| g.children().filter(Node::is_element))
                {
                    let parts = self.shape(shape, &mut urdf.meshes)?;
                    triangles += parts.iter().map(|p| p.mesh.triangles.len()).sum::<usize>();
                    if MAX_TRIANGLES < triangles {
                        let problem = FileProblem::TooManyFaces { limit: MAX_TRIANGLES };
                        return Err(self.fail(shape, problem));
                    }
                    urdf.parts.extend(
                        parts
                            .into_iter()
                            .map(|p| Part { name: p.name, mesh: p.mesh.transformed(&pose) }),
                    );
                }
            }
        }
        if urdf.parts.is_empty() {
            return Err(Error::File {
                path: self.path.to_owned(),
                line: 0,
                problem: FileProblem::Empty,
            });
        }
        Ok(urdf)
    }

    fn fail(&self, node: Node<'_, '_>, problem: FileProblem) -> Error {
        let line = self.document.text_pos_at(node.range().start).row as usize;
        Error::File { path: self.path.to_owned(), line, problem }
    }

    fn check_depth(&self, robot: Node<'_, '_>) -> Result<()> {
        let mut stack = vec![(robot, 1)];
        while let Some((node, depth)) = stack.pop() {
            if depth > MAX_DEPTH {
                return Err(self.fail(node, FileProblem::TooDeep { limit: MAX_DEPTH }));
            }
            stack.extend(node.children().filter(Node::is_element).map(|child| (child, depth + 1)));
        }
        Ok(())
    }

    /// Pose of each link in the root link's frame, through fixed joints.
    fn link_frames(&self, robot: Node<'_, '_>) -> Result<HashMap<String, Isometry3<f64>>> {
        let mut joints: HashMap<&str, Vec<(&str, Isometry3<f64>)>> = HashMap::new();
        let mut moved = HashSet::new();
        for joint in children(robot, "joint") {
            let kind = joint.attribute("type").unwrap_or_default();
            if kind != "fixed" {
                return Err(self.fail(
                    joint,
                    FileProblem::Unsupported { what: "joint type", name: kind.into() },
                ));
            }
            let end = |tag| {
                children(joint, tag)
                    .next()
                    .and_then(|node| node.attribute("link"))
                    .unwrap_or_default()
            };
            joints.entry(end("parent")).or_default().push((end("child"), self.origin(joint)?));
            moved.insert(end("child"));
        }
        let names =
            || children(robot, "link").map(|link| link.attribute("name").unwrap_or_default());
        let mut frames = HashMap::new();
        let mut stack: Vec<(&str, Isometry3<f64>)> = names()
            .filter(|name| !moved.contains(name))
            .map(|name| (name, Isometry3::identity()))
            .collect();
        while let Some((name, frame)) = stack.pop() {
            if frames.insert(name.to_owned(), frame).is_some() {
                let message = format!("link `{name}` is placed twice");
                return Err(self.fail(robot, FileProblem::Syntax { message }));
            }
            stack.extend(
                joints.get(name).into_iter().flatten().map(|(child, pose)| (*child, frame * pose)),
            );
        }
        match names().find(|name| !frames.contains_key(*name)) {
            None => Ok(frames),
            Some(name) => {
                let message = format!("link `{name}` is not connected to a root link");
                Err(self.fail(robot, FileProblem::Syntax { message }))
            }
        }
    }

    /// The `<origin xyz rpy>` of an element, or the identity.
    fn origin(&self, element: Node<'_, '_>) -> Result<Isometry3<f64>> {
        let Some(origin) = children(element, "origin").next() else {
            return Ok(Isometry3::identity());
        };
        let xyz = self.vector(origin, "xyz")?.unwrap_or([0.0; 3]);
        let [roll, pitch, yaw] = self.vector(origin, "rpy")?.unwrap_or([0.0; 3]);
        Ok(Isometry3::from_parts(
            Translation3::new(xyz[0], xyz[1], xyz[2]),
            UnitQuaternion::from_euler_angles(roll, pitch, yaw),
        ))
    }

    fn shape(&self, shape: Node<'_, '_>, meshes: &mut Vec<PathBuf>) -> Result<Vec<Part>> {
        let scalar = |name| {
            self.numbers::<1>(shape, name)?.map(|[value]| value).ok_or_else(|| {
                self.fail(shape, FileProblem::Truncated { statement: name, found: 0, needed: 1 })
            })
        };
        let mesh = match shape.tag_name().name() {
            "mesh" => return self.mesh(shape, meshes),
            "box" => {
                let missing = FileProblem::Truncated { statement: "size", found: 0, needed: 3 };
                let size = self.vector(shape, "size")?.ok_or_else(|| self.fail(shape, missing))?;
                cuboid(&Vector3::from(size))
            }
            "cylinder" => cylinder(scalar("radius")?, scalar("length")?, CYLINDER_SEGMENTS),
            "sphere" => sphere(scalar("radius")?, SPHERE_SUBDIVISIONS),
            other => {
                let problem = FileProblem::Unsupported { what: "geometry", name: other.to_owned() };
                return Err(self.fail(shape, problem));
            }
        };
        Ok(vec![Part { name: shape.tag_name().name().to_owned(), mesh }])
    }

    fn mesh(&self, shape: Node<'_, '_>, meshes: &mut Vec<PathBuf>) -> Result<Vec<Part>> {
        let Some(reference) = shape.attribute("filename") else {
            return Err(self.fail(
                shape,
                FileProblem::Truncated { statement: "filename", found: 0, needed: 1 },
            ));
        };
        let file = self.resolve(reference).map_err(|problem| self.fail(shape, problem))?;
        let scale = Vector3::from(self.vector(shape, "scale")?.unwrap_or([1.0; 3]));
        let mut parts = read_obj(&file)?;
        for part in &mut parts {
            part.mesh = part.mesh.scaled(&scale);
        }
        meshes.push(file);
        Ok(parts)
    }

    /// The mesh file that `reference` names: inside `root`, existing, an OBJ.
    fn resolve(&self, reference: &str) -> std::result::Result<PathBuf, FileProblem> {
        let escape = || FileProblem::PathEscape { reference: reference.to_owned() };
        let missing = || FileProblem::MissingFile { reference: reference.to_owned() };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let candidates = if let Some(rest) = reference.strip_prefix("package://") {
            let inner = rest.split_once('/').map_or("", |(_, inner)| inner);
            vec![
                self.root.join(relative(rest).ok_or_else(escape)?),
                self.root.join(relative(inner).ok_or_else(escape)?),
            ]
        } else if reference.contains("://") {
            return Err(FileProblem::Unsupported { what: "path", name: reference.to_owned() });
        } else {
            if Path::new(reference)
                .components()
                .any(|c| matches!(c, Component::RootDir | Component::Prefix(_)))
            {
                return Err(escape());
            }
            // `..` is fine as long as it stays inside: textually first, so that nothing outside is ever probed.
            let inside = folder.strip_prefix(self.root).unwrap_or(Path::new("")).join(reference);
            relative(&inside.to_string_lossy()).ok_or_else(escape)?;
            vec![folder.join(reference)]
        };
        let file = candidates.into_iter().find(|file| file.is_file()).ok_or_else(missing)?;
        // Symbolic links must not lead outside either.
        let (real, root) = match (file.canonicalize(), self.root_folder().canonicalize()) {
            (Ok(real), Ok(root)) => (real, root),
            _ => return Err(missing()),
        };
        if !real.starts_with(root) {
            return Err(escape());
        }
        match real.extension().and_then(|e| e.to_str()) {
            Some(extension) if extension.eq_ignore_ascii_case("obj") => Ok(file),
            _ => Err(FileProblem::Unsupported { what: "mesh format", name: reference.to_owned() }),
        }
    }

    /// The root, with the empty path meaning the current folder.
    fn root_folder(&self) -> &Path {
        if self.root.as_os_str().is_empty() { Path::new(".") } else { self.root }
    }

    fn vector(&self, node: Node<'_, '_>, name: &'static str) -> Result<Option<[f64; 3]>> {
        self.numbers::<3>(node, name)
    }

    /// The `N` finite numbers of an attribute; `None` if it is absent.
    fn numbers<const N: usize>(
        &self,
        node: Node<'_, '_>,
        name: &'static str,
    ) -> Result<Option<[f64; N]>> {
        let Some(text) = node.attribute(name) else { return Ok(None) };
        let mut values = [0.0; N];
        let mut words = text.split_whitespace();
        for (found, value) in values.iter_mut().enumerate() {
            let truncated = FileProblem::Truncated { statement: name, found, needed: N };
            let word = words.next().ok_or_else(|| self.fail(node, truncated))?;
            *value = number(word).map_err(|problem| self.fail(node, problem))?;
            if !value.is_finite() {
                let problem =
                    FileProblem::BadNumber { token: word.to_owned(), expected: "a finite number" };
                return Err(self.fail(node, problem));
            }
        }
        Ok(Some(values))
    }
}

/// The path without `.` and `..`; `None` if it would leave its starting folder.
fn relative(path: &str) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// The child elements with the given tag.
fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    tag: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(tag))
}
