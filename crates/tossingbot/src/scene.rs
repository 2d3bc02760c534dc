//! A bin full of objects: seeded, collision-free placement on a table.
//!
//! The workspace is a rectangle centred at the origin of its own frame, x to the right and y ahead, the table at z = 0. Objects lie flat
//! in one of their stable poses; their footprints (convex outlines seen from above) keep a gap. A scene is a function of (seed, index)
//! alone, so that every method of a comparison meets the same scenes.

use std::sync::Arc;

use nalgebra::{Isometry3, Vector2, Vector3};
use parry3d_f64::math::{Pose, Rotation, Vector};
use parry3d_f64::query::{Ray, RayCast};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, positive};
use crate::mesh::{RestingPose, convex_polygon};
use crate::objects::ObjectModel;
use crate::rng::{Purpose, Stream};

/// Tries to place one object before the scene is started anew, and how often that is done.
const TRIES: usize = 200;
const RESTARTS: usize = 1000;

/// The rectangle that is seen and grasped in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    /// Extent along x and y in metres.
    pub size: [f64; 2],
    /// Edge of a heightmap pixel in metres.
    pub resolution: f64,
    /// Least distance between footprints, and from a footprint to the edge, in metres.
    pub gap: f64,
}

impl Workspace {
    /// A square of .384 m at 8 mm: 48 × 48 pixels.
    pub const fn quick() -> Self {
        Self { size: [0.384, 0.384], resolution: 0.008, gap: 0.005 }
    }

    /// The paper's .9 × .7 m at 5 mm: 180 columns × 140 rows.
    pub const fn paper() -> Self {
        Self { size: [0.9, 0.7], resolution: 0.005, gap: 0.005 }
    }

    /// Columns of the heightmap, along x.
    pub fn columns(&self) -> usize {
        (self.size[0] / self.resolution).round() as usize
    }

    /// Rows of the heightmap, along y.
    pub fn rows(&self) -> usize {
        (self.size[1] / self.resolution).round() as usize
    }

    /// Whether a point (metres) lies inside.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        x.abs() <= 0.5 * self.size[0] && y.abs() <= 0.5 * self.size[1]
    }
}

/// An object at its place.
#[derive(Debug, Clone)]
pub struct PlacedObject {
    /// Its number in the scene; stays the same when others are removed.
    pub id: usize,
    /// What it is.
    pub model: Arc<ObjectModel>,
    /// From the model's frame, centred at its centre of mass, to the workspace.
    pub pose: Isometry3<f64>,
    /// Convex outline seen from above, counter-clockwise, in metres.
    pub footprint: Vec<Vector2<f64>>,
    /// Smallest and largest coordinates in the workspace, in metres.
    pub bounds: (Vector3<f64>, Vector3<f64>),
    pub(crate) frame: Pose,
}

/// A ray's hit on an object: distance along the ray and surface normal (towards the ray's origin).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) distance: f64,
    pub(crate) normal: Vector3<f64>,
}

impl PlacedObject {
    /// An object at a given pose.
    pub fn new(id: usize, model: Arc<ObjectModel>, pose: Isometry3<f64>) -> Self {
        let placed = |v: &Vector3<f64>| pose.rotation * v + pose.translation.vector;
        let points: Vec<Vector3<f64>> = model.hull.mesh.vertices.iter().map(placed).collect();
        let flat: Vec<Vector2<f64>> = points.iter().map(|p| p.xy()).collect();
        let everywhere = Vector3::repeat(f64::INFINITY);
        let bounds = points
            .iter()
            .fold((everywhere, -everywhere), |(low, high), p| (low.inf(p), high.sup(p)));
        let (q, t) = (pose.rotation, pose.translation.vector);
        let frame = Pose {
            rotation: Rotation::from_xyzw(q.i, q.j, q.k, q.w),
            translation: Vector::new(t.x, t.y, t.z),
        };
        Self { id, model, pose, footprint: convex_polygon(&flat), bounds, frame }
    }

    /// The object resting on the table in pose `rest`, its centre of mass above (x, y), turned by `yaw` radians.
    pub fn resting(
        id: usize,
        model: Arc<ObjectModel>,
        rest: &RestingPose,
        x: f64,
        y: f64,
        yaw: f64,
    ) -> Self {
        let pose = model.placed(rest, x, y, yaw);
        Self::new(id, model, pose)
    }

    /// Distance in metres along a ray (unit direction) to the surface, at most `longest`.
    pub(crate) fn cast(
        &self,
        origin: &Vector3<f64>,
        direction: &Vector3<f64>,
        longest: f64,
    ) -> Option<Hit> {
        let ray = Ray::new(
            Vector::new(origin.x, origin.y, origin.z),
            Vector::new(direction.x, direction.y, direction.z),
        );
        let hit = self.model.surface.cast_ray_and_get_normal(&self.frame, &ray, longest, false)?;
        let normal = Vector3::new(hit.normal.x, hit.normal.y, hit.normal.z);
        Some(Hit { distance: hit.time_of_impact, normal })
    }

    /// Whether the box between `low` and `high` touches the object's bounds.
    pub(crate) fn near(&self, low: &Vector3<f64>, high: &Vector3<f64>) -> bool {
        (0..3).all(|i| self.bounds.0[i] <= high[i] && self.bounds.1[i] >= low[i])
    }

    /// Whether the footprints are more than `gap` metres apart, judged along their edges' normals.
    fn clear_of(&self, other: &PlacedObject, gap: f64) -> bool {
        (0..2).any(|i| {
            self.bounds.0[i] - other.bounds.1[i] > gap || other.bounds.0[i] - self.bounds.1[i] > gap
        }) || separated(&self.footprint, &other.footprint, gap)
            || separated(&other.footprint, &self.footprint, gap)
    }
}

/// Whether some edge of `a` has all of `b` more than `gap` in front of it.
fn separated(a: &[Vector2<f64>], b: &[Vector2<f64>], gap: f64) -> bool {
    (0..a.len()).any(|i| {
        let (start, end) = (a[i], a[(i + 1) % a.len()]);
        let edge = end - start;
        let threshold = gap * edge.norm();
        b.iter().all(|p| (p - start).perp(&edge) > threshold)
    })
}

/// Objects on the table.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Where they lie.
    pub workspace: Workspace,
    /// The objects that are still there.
    pub objects: Vec<PlacedObject>,
}

impl Scene {
    /// A scene with the given objects.
    pub fn new(workspace: Workspace, objects: Vec<PlacedObject>) -> Self {
        Self { workspace, objects }
    }

    /// The `index`-th scene of `seed`: `count` objects drawn from the catalogue, flat and apart from each other.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty catalogue or workspace, `SceneFull` if they do not fit after many tries.
    pub fn generate(
        catalogue: &[Arc<ObjectModel>],
        workspace: Workspace,
        count: usize,
        seed: u64,
        index: u64,
    ) -> Result<Self> {
        positive("size of the catalogue", catalogue.len() as f64)?;
        positive("workspace size", workspace.size[0].min(workspace.size[1]))?;
        positive("resolution", workspace.resolution)?;
        let mut rng = Stream::indexed(seed, Purpose::Scene, index);
        let mut most = 0;
        for _ in 0..RESTARTS {
            let mut scene = Self::new(workspace, Vec::with_capacity(count));
            while scene.objects.len() < count {
                let model = &catalogue[rng.random_range(0..catalogue.len())];
                match scene.find_place(model, &mut rng) {
                    Some(object) => scene.objects.push(object),
                    None => break,
                }
            }
            if scene.objects.len() == count {
                return Ok(scene);
            }
            most = most.max(scene.objects.len());
        }
        let [width, depth] = workspace.size;
        Err(Error::SceneFull { placed: most, wanted: count, width, depth })
    }

    fn find_place(&self, model: &Arc<ObjectModel>, rng: &mut Stream) -> Option<PlacedObject> {
        let [width, depth] = self.workspace.size;
        let gap = self.workspace.gap;
        for _ in 0..TRIES {
            let rest = pick_pose(model, rng)?;
            let (x, y) = (rng.uniform(-0.5, 0.5) * width, rng.uniform(-0.5, 0.5) * depth);
            let yaw = rng.uniform(0.0, std::f64::consts::TAU);
            let object = PlacedObject::resting(self.objects.len(), model.clone(), &rest, x, y, yaw);
            let (low, high) = object.bounds;
            let inside =
                low.x.min(-high.x) > gap - 0.5 * width && low.y.min(-high.y) > gap - 0.5 * depth;
            if inside && self.objects.iter().all(|other| object.clear_of(other, gap)) {
                return Some(object);
            }
        }
        None
    }

    /// The object with the given number.
    pub fn object(&self, id: usize) -> Option<&PlacedObject> {
        self.objects.iter().find(|object| object.id == id)
    }

    /// Takes an object out.
    ///
    /// # Errors
    /// `NoSuchItem` if it is not there.
    pub fn remove(&mut self, id: usize) -> Result<PlacedObject> {
        match self.objects.iter().position(|object| object.id == id) {
            Some(place) => Ok(self.objects.remove(place)),
            None => Err(Error::NoSuchItem { what: "object", index: id, count: self.objects.len() }),
        }
    }

    /// Height in metres of what is seen from above at (x, y), and the number of the object; (0, `None`) is the table.
    pub fn height_at(&self, x: f64, y: f64) -> (f64, Option<usize>) {
        let mut highest = (0.0, None);
        for object in &self.objects {
            let (low, high) = object.bounds;
            if x < low.x || x > high.x || y < low.y || y > high.y || high.z <= highest.0 {
                continue;
            }
            // Starting above the object, and just above it, keeps the intersection accurate.
            let top = high.z + 0.01;
            if let Some(hit) = object.cast(&Vector3::new(x, y, top), &-Vector3::z(), top)
                && top - hit.distance > highest.0
            {
                highest = (top - hit.distance, Some(object.id));
            }
        }
        highest
    }
}

/// A flat pose drawn by its weight.
fn pick_pose(model: &ObjectModel, rng: &mut Stream) -> Option<RestingPose> {
    let total: f64 = model.flat_poses().map(|pose| pose.weight).sum();
    let mut left = rng.uniform(0.0, total);
    let mut last = None;
    for pose in model.flat_poses() {
        last = Some(*pose);
        left -= pose.weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// A bin that is refilled with the next scene whenever it is empty.
#[derive(Debug, Clone)]
pub struct Bin {
    catalogue: Vec<Arc<ObjectModel>>,
    workspace: Workspace,
    count: usize,
    seed: u64,
    index: u64,
    /// What lies in it.
    pub scene: Scene,
}

/// What it takes to restore a [`Bin`]: the scene's index and the objects that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinState {
    /// Index of the scene.
    pub index: u64,
    /// Numbers of the objects that are still there.
    pub remaining: Vec<usize>,
}

impl Bin {
    /// A bin filled with scene 0 of `seed`.
    ///
    /// # Errors
    /// As [`Scene::generate`].
    pub fn new(
        catalogue: Vec<Arc<ObjectModel>>,
        workspace: Workspace,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let scene = Scene::generate(&catalogue, workspace, count, seed, 0)?;
        Ok(Self { catalogue, workspace, count, seed, index: 0, scene })
    }

    /// Index of the scene in the bin.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Throws away what is left and fills the bin with the next scene.
    ///
    /// # Errors
    /// As [`Scene::generate`].
    pub fn refill(&mut self) -> Result<()> {
        self.index += 1;
        self.scene =
            Scene::generate(&self.catalogue, self.workspace, self.count, self.seed, self.index)?;
        Ok(())
    }

    /// Refills the bin if it is empty, and says whether it did.
    ///
    /// # Errors
    /// As [`Scene::generate`].
    pub fn refill_if_empty(&mut self) -> Result<bool> {
        if self.scene.objects.is_empty() {
            self.refill()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The state to save.
    pub fn state(&self) -> BinState {
        BinState { index: self.index, remaining: self.scene.objects.iter().map(|o| o.id).collect() }
    }

    /// Returns to a saved state.
    ///
    /// # Errors
    /// As [`Scene::generate`].
    pub fn restore(&mut self, state: &BinState) -> Result<()> {
        self.index = state.index;
        self.scene =
            Scene::generate(&self.catalogue, self.workspace, self.count, self.seed, self.index)?;
        self.scene.objects.retain(|object| state.remaining.contains(&object.id));
        Ok(())
    }
}
