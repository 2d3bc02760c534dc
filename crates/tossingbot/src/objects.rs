//! Things to throw: the paper's objects, and any folder of OBJ and URDF files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nalgebra::{Isometry3, Matrix3, UnitQuaternion, Vector3};
use parry3d_f64::math::Vector;
use parry3d_f64::shape::TriMesh;

use crate::error::{Error, FileProblem, Result, positive};
use crate::mesh::{
    Hull, MassProperties, Mesh, Part, RestingPose, convex_hull, cuboid, cylinder, read_obj,
    read_urdf, resting_poses, sphere,
};

/// Density in kg/m³ of objects whose mass is not known: hard wood.
pub const DENSITY: f64 = 600.0;
/// Poses whose centre of mass is up to this many times higher than in the lowest pose count as lying flat.
const FLAT: f64 = 1.5;
/// Deepest nesting of folders that is searched for objects.
const MAX_FOLDERS: usize = 32;

/// A rigid object. All geometry is in metres, in the mesh's axes, with the centre of mass at the origin.
#[derive(Clone)]
pub struct ObjectModel {
    /// Its name, unique within a catalogue by convention.
    pub name: String,
    /// What kind of thing it is: `ball`, `hammer`, or for loaded objects the name of the folder.
    pub class: String,
    /// The parts of its surface.
    pub parts: Vec<Part>,
    /// The whole surface.
    pub mesh: Mesh,
    /// Its convex hull.
    pub hull: Hull,
    /// Mass in kg.
    pub mass: f64,
    /// Inertia about the centre of mass in kg·m².
    pub inertia: Matrix3<f64>,
    /// Where the centre of mass lies in the coordinates of the file.
    pub center: Vector3<f64>,
    /// Half of the longest extent along the mesh's axes, in metres.
    pub half_length: f64,
    /// Quadratic air drag in 1/m, if the object has its own; otherwise the world's.
    pub drag: Option<f64>,
    /// Stable poses on a table, most likely first.
    pub resting: Vec<RestingPose>,
    pub(crate) surface: TriMesh,
}

impl std::fmt::Debug for ObjectModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectModel")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("mass", &self.mass)
            .field("triangles", &self.mesh.triangles.len())
            .finish_non_exhaustive()
    }
}

impl ObjectModel {
    /// An object from the parts of its surface, homogeneous with `density` in kg/m³.
    ///
    /// # Errors
    /// What is wrong with the solid: `Empty`, `ZeroVolume`, or `NonFiniteVertex`.
    pub fn from_parts(
        name: &str,
        class: &str,
        parts: Vec<Part>,
        density: f64,
    ) -> std::result::Result<Self, FileProblem> {
        let vertices = parts.iter().flat_map(|part| &part.mesh.vertices);
        if let Some(index) = vertices.clone().position(|v| v.iter().any(|c| !c.is_finite())) {
            return Err(FileProblem::NonFiniteVertex { index: index + 1 });
        }
        let mass = MassProperties::of_parts(&parts, density)?;
        let parts: Vec<Part> = parts
            .into_iter()
            .map(|part| Part { name: part.name, mesh: part.mesh.translated(&-mass.center) })
            .collect();
        let mut mesh = Mesh::default();
        for part in &parts {
            mesh.append(&part.mesh);
        }
        let flat = FileProblem::ZeroVolume { volume: mass.volume };
        let hull = convex_hull(&mesh.vertices).ok_or_else(|| flat.clone())?;
        let vertices = mesh.vertices.iter().map(|v| Vector::new(v.x, v.y, v.z)).collect();
        let surface =
            TriMesh::new(vertices, mesh.triangles.clone()).map_err(|_| FileProblem::Empty)?;
        let resting = resting_poses(&hull, &Vector3::zeros());
        if resting.is_empty() {
            return Err(flat);
        }
        let (low, high) = mesh.bounds();
        Ok(Self {
            name: name.to_owned(),
            class: class.to_owned(),
            parts,
            hull,
            mass: mass.mass,
            inertia: mass.inertia,
            center: mass.center,
            half_length: 0.5 * (high - low).max(),
            drag: None,
            resting,
            surface,
            mesh,
        })
    }

    /// The same object with its own air drag, in 1/m.
    pub fn with_drag(mut self, drag: f64) -> Self {
        self.drag = Some(drag);
        self
    }

    /// The stable poses in which the object lies flat: the lowest one, and those with a centre of mass at most 1.5 times as high.
    pub fn flat_poses(&self) -> impl Iterator<Item = &RestingPose> {
        let lowest = self.resting.iter().map(|pose| pose.height).fold(f64::INFINITY, f64::min);
        self.resting.iter().filter(move |pose| pose.height <= FLAT * lowest)
    }

    /// The pose on the table z = 0 with the centre of mass above (x, y) and turned by `yaw` radians about z.
    pub fn placed(&self, rest: &RestingPose, x: f64, y: f64, yaw: f64) -> Isometry3<f64> {
        let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw);
        Isometry3::from_parts(Vector3::new(x, y, rest.height).into(), turn * rest.rotation)
    }
}

/// The objects that come with the crate.
///
/// Ball, cube, rod and hammer are the seen objects of the TossingBot simulation, puck, dumbbell, cross and L the unseen ones. The paper
/// gives no size for the unseen ones; these are measured from its silhouettes, with a thickness of 2 to 2.5 cm assumed.
/// `ping_pong` (2.7 g, drag .131/m) is for throws in which the air matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// 4 cm ball.
    Ball,
    /// 4 cm cube.
    Cube,
    /// Rod, 3 cm thick and 16 cm long.
    Rod,
    /// Hammer, 16 cm long: a handle 2 cm thick and 12 cm long, and a head of 10 × 4 × 2.5 cm.
    Hammer,
    /// Disc, 6 cm wide and 2.5 cm high.
    Puck,
    /// Dumbbell, 12.4 cm long: two blocks of 5 × 2.5 × 2.5 cm and a bar 2 cm thick.
    Dumbbell,
    /// Latin cross, 16 × 8 cm, of bars 2 cm thick.
    Cross,
    /// L, 10 × 10 cm, of bars 2 cm thick: its centre of mass is outside its body.
    L,
    /// Table tennis ball.
    PingPong,
}

impl Builtin {
    /// The objects that the paper trains on.
    pub const SEEN: [Builtin; 4] = [Builtin::Ball, Builtin::Cube, Builtin::Rod, Builtin::Hammer];
    /// The objects that the paper tests on only.
    pub const UNSEEN: [Builtin; 4] = [Builtin::Puck, Builtin::Dumbbell, Builtin::Cross, Builtin::L];
    /// All of them.
    pub const ALL: [Builtin; 9] = [
        Builtin::Ball,
        Builtin::Cube,
        Builtin::Rod,
        Builtin::Hammer,
        Builtin::Puck,
        Builtin::Dumbbell,
        Builtin::Cross,
        Builtin::L,
        Builtin::PingPong,
    ];

    /// Its name, also the name of its class.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Ball => "ball",
            Builtin::Cube => "cube",
            Builtin::Rod => "rod",
            Builtin::Hammer => "hammer",
            Builtin::Puck => "puck",
            Builtin::Dumbbell => "dumbbell",
            Builtin::Cross => "cross",
            Builtin::L => "l",
            Builtin::PingPong => "ping_pong",
        }
    }

    /// The object with the given name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// The solid, its long axis along x, lying flat.
    pub fn parts(self) -> Vec<Part> {
        let part = |name: &str, mesh: Mesh, x: f64, y: f64| Part {
            name: name.to_owned(),
            mesh: mesh.translated(&Vector3::new(x, y, 0.0)),
        };
        let bar = |x: f64, y: f64| cuboid(&Vector3::new(x, y, 0.02));
        let along_x = |radius: f64, length: f64| {
            let turn =
                UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f64::consts::FRAC_PI_2);
            cylinder(radius, length, 48)
                .transformed(&Isometry3::from_parts(Vector3::zeros().into(), turn))
        };
        match self {
            Builtin::Ball | Builtin::PingPong => vec![part("ball", sphere(0.02, 3), 0.0, 0.0)],
            Builtin::Cube => vec![part("cube", cuboid(&Vector3::repeat(0.04)), 0.0, 0.0)],
            Builtin::Rod => vec![part("rod", along_x(0.015, 0.16), 0.0, 0.0)],
            Builtin::Hammer => vec![
                part("handle", along_x(0.01, 0.12), 0.06, 0.0),
                part("head", cuboid(&Vector3::new(0.04, 0.10, 0.025)), 0.14, 0.0),
            ],
            Builtin::Puck => vec![part("puck", cylinder(0.03, 0.025, 48), 0.0, 0.0)],
            Builtin::Dumbbell => {
                let block = || cuboid(&Vector3::new(0.025, 0.05, 0.025));
                vec![
                    part("bar", along_x(0.01, 0.074), 0.0, 0.0),
                    part("left", block(), -0.0495, 0.0),
                    part("right", block(), 0.0495, 0.0),
                ]
            }
            Builtin::Cross => vec![
                part("long", bar(0.16, 0.02), 0.08, 0.0),
                part("left", bar(0.02, 0.03), 0.07, 0.025),
                part("right", bar(0.02, 0.03), 0.07, -0.025),
            ],
            Builtin::L => vec![
                part("long", bar(0.10, 0.02), 0.05, 0.01),
                part("short", bar(0.02, 0.08), 0.01, 0.06),
            ],
        }
    }

    /// The object, of density 600 kg/m³ (the table tennis ball with its own mass).
    ///
    /// # Errors
    /// None in practice: the solids are well formed.
    pub fn model(self) -> Result<ObjectModel> {
        let density = if self == Builtin::PingPong { 80.6 } else { DENSITY };
        let model =
            ObjectModel::from_parts(self.name(), self.name(), self.parts(), density).map_err(
                |problem| Error::File { path: PathBuf::from(self.name()), line: 0, problem },
            )?;
        Ok(if self == Builtin::PingPong { model.with_drag(0.131) } else { model })
    }
}

/// The models of several built-in objects.
///
/// # Errors
/// As [`Builtin::model`].
pub fn builtin_models(objects: &[Builtin]) -> Result<Vec<Arc<ObjectModel>>> {
    objects.iter().map(|object| Ok(Arc::new(object.model()?))).collect()
}

/// What a folder of object files held.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The objects, in the order of their paths.
    pub objects: Vec<Arc<ObjectModel>>,
    /// Files that could not be used, and why.
    pub skipped: Vec<(PathBuf, Error)>,
}

/// Loads every URDF and OBJ file under `folder`, recursively and in the order of their paths. An OBJ that a URDF names is only read
/// through that URDF, which knows its scale. `density` is in kg/m³; lengths in a bare OBJ are metres.
///
/// # Errors
/// `Io` if the folder itself cannot be read. Anything wrong with one file lands in [`Loaded::skipped`].
pub fn load_objects(folder: &Path, density: f64) -> Result<Loaded> {
    positive("density", density)?;
    let mut loaded = Loaded::default();
    let files = object_files(folder, &mut loaded.skipped)?;
    let (urdfs, objs): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| has_extension(file, "urdf"));
    let mut named = HashSet::new();
    let mut found = Vec::new();
    for path in urdfs {
        let model = read_urdf(&path, folder).and_then(|urdf| {
            named.extend(urdf.meshes.iter().filter_map(|mesh| mesh.canonicalize().ok()));
            build(&path, urdf.parts, density)
        });
        // A mesh that spoils its URDF is reported there, once.
        if let Err(Error::File { path: culprit, .. }) = &model {
            named.extend(culprit.canonicalize().ok());
        }
        found.push((path, model));
    }
    for path in objs {
        if path.canonicalize().is_ok_and(|real| named.contains(&real)) {
            continue;
        }
        let model = read_obj(&path).and_then(|parts| build(&path, parts, density));
        found.push((path, model));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, model) in found {
        match model {
            Ok(model) => loaded.objects.push(Arc::new(model)),
            Err(error) => loaded.skipped.push((path, error)),
        }
    }
    Ok(loaded)
}

fn build(path: &Path, parts: Vec<Part>, density: f64) -> Result<ObjectModel> {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let class = text(path.parent().and_then(Path::file_name));
    ObjectModel::from_parts(&text(path.file_stem()), &class, parts, density)
        .map_err(|problem| Error::File { path: path.to_owned(), line: 0, problem })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// All URDF and OBJ files below `folder`. Symbolic links are not followed, so the search ends.
fn object_files(folder: &Path, skipped: &mut Vec<(PathBuf, Error)>) -> Result<Vec<PathBuf>> {
    let io = |path: &Path, error: &std::io::Error| Error::Io {
        path: path.to_owned(),
        message: error.to_string(),
    };
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((current, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&current) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(io(&current, &error)),
            Err(error) => {
                skipped.push((current.clone(), io(&current, &error)));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_FOLDERS => folders.push((path, depth + 1)),
                Ok(kind)
                    if kind.is_file()
                        && (has_extension(&path, "obj") || has_extension(&path, "urdf")) =>
                {
                    files.push(path);
                }
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}
