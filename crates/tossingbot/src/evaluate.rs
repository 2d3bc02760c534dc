//! All methods on the same scenes, with the same release noise.
//!
//! Protocol: scene i of the evaluation holds a full bin that no method has seen, of group i mod G of the G groups of objects. Every method
//! looks at it, picks its best grasp, and throws once into box ⌊i/G⌋ mod 12. Then, so that the choice of grasps cannot hide what the throws
//! are worth, each method also throws from the grasps that each other method picked, and from a grasp that no method picked: the first that
//! holds among random ones. Grasp failures and release noise are the same function of (seed, i) throughout, so that two methods differ by
//! their decisions alone and can be compared pairwise.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::agent::{Choice, Maps, commanded, explore};
use crate::attempt::{Throw, World};
use crate::error::Result;
use crate::grasp::GraspPose;
use crate::heightmap::Heightmap;
use crate::hindsight::Throwing;
use crate::method::Method;
use crate::objects::ObjectModel;
use crate::observation::millimetres;
use crate::rng::{Purpose, Stream};
use crate::scene::{Scene, Workspace};
use crate::stats::{Interval, PairedComparison, Z95, paired, wilson};

/// Random poses that are tried in a scene until one holds.
const RANDOM_GRASPS: usize = 1000;

/// Something that sees and knows a gravity: a trained method.
pub trait Pilot: Sync {
    /// Which method it is.
    fn method(&self) -> Method;
    /// Gravity a in m/s² that its formula uses.
    fn gravity(&self) -> f64;
    /// What it sees in a scene of heights (millimetres, row-major), aiming at a base speed v̂ in m/s.
    ///
    /// # Errors
    /// Those of the networks.
    fn look(&self, heights: &[u8], base: f64) -> Result<Maps>;
}

/// Objects that are evaluated together: a bin holds objects of one group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name: the objects' class, or `all`.
    pub name: String,
    /// What bins are filled with.
    pub objects: Vec<Arc<ObjectModel>>,
}

/// One group for each class if there are at most `most` classes, else one of everything.
pub fn groups(objects: &[Arc<ObjectModel>], most: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for object in objects {
        match groups.iter_mut().find(|group| group.name == object.class) {
            Some(group) => group.objects.push(object.clone()),
            None => {
                groups.push(Group { name: object.class.clone(), objects: vec![object.clone()] });
            }
        }
    }
    if groups.len() > most {
        groups = vec![Group { name: "all".into(), objects: objects.to_vec() }];
    }
    groups
}

/// The evaluation's scenes.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Groups, taken in turn: scene i belongs to group i mod groups.
    pub groups: Vec<Group>,
    /// Number of scenes.
    pub scenes: usize,
    /// The bin.
    pub workspace: Workspace,
    /// Objects in a bin.
    pub objects: usize,
    /// Seed of scenes and noise. Training never uses it.
    pub seed: u64,
}

/// One method's grasp and the throws from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraspRecord {
    /// Whether the gripper held something.
    pub grasped: bool,
    /// Class of what was held; empty if nothing.
    pub class: String,
    /// Predicted probability of a hit.
    pub probability: f64,
    /// The pose: x and y in metres, heading in radians.
    pub pose: [f64; 3],
    /// The throws from this grasp, one for each method; empty after a failed grasp.
    pub throws: Vec<ThrowRecord>,
}

/// One throw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThrowRecord {
    /// Commanded horizontal speed in m/s.
    pub speed: f64,
    /// Where it came down (x, y in metres), if it did.
    pub landing: Option<[f64; 2]>,
    /// Whether it fell into the box that was aimed at.
    pub success: bool,
}

/// What happened in one scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneRecord {
    /// Number of the scene.
    pub scene: usize,
    /// Number of its group.
    pub group: usize,
    /// Box that was aimed at.
    pub target: usize,
    /// One entry for each method: the grasp it picked. Then the random grasp, which is nobody's.
    pub grasps: Vec<GraspRecord>,
}

/// The whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The methods, in the order of the records.
    pub methods: Vec<Method>,
    /// Names of the groups.
    pub groups: Vec<String>,
    /// One record for each scene.
    pub records: Vec<SceneRecord>,
}

impl Trial {
    /// The group and content of scene `index`.
    ///
    /// # Errors
    /// As [`Scene::generate`].
    pub fn scene(&self, index: usize) -> Result<(usize, Scene)> {
        let group = index % self.groups.len().max(1);
        let objects = self.groups.get(group).map_or(&[][..], |group| &group.objects);
        let seed = self.seed ^ 0x6576_616c; // another key than any training run's
        Ok((group, Scene::generate(objects, self.workspace, self.objects, seed, index as u64)?))
    }

    /// The release noise of scene `index`: every throw in it sees the same.
    pub fn noise(&self, index: usize) -> Stream {
        Stream::indexed(self.seed, Purpose::Eval, index as u64)
    }

    /// Runs scenes `range`, in parallel; the result does not depend on the number of threads.
    ///
    /// # Errors
    /// Those of scenes and networks.
    pub fn run(
        &self,
        world: &World,
        pilots: &[&dyn Pilot],
        range: std::ops::Range<usize>,
    ) -> Result<Vec<SceneRecord>> {
        range.into_par_iter().map(|index| self.play(world, pilots, index)).collect()
    }

    fn play(&self, world: &World, pilots: &[&dyn Pilot], index: usize) -> Result<SceneRecord> {
        let (group, scene) = self.scene(index)?;
        let map = Heightmap::render(&scene);
        let heights = millimetres(&map);
        // Every group meets every box: the box changes once all groups had a turn.
        let target = (index / self.groups.len().max(1)) % world.boxes.len().max(1);
        let throwing = Throwing::new(world, target)?;
        let bases: Result<Vec<f64>> =
            pilots.iter().map(|pilot| throwing.aim.speed(pilot.gravity())).collect();
        let bases = bases?;
        let views: Result<Vec<Maps>> =
            pilots.iter().zip(&bases).map(|(pilot, &base)| pilot.look(&heights, base)).collect();
        let views = views?;
        let mut choices: Vec<Option<Choice>> =
            views.iter().map(|view| view.best(&map, &[])).collect();
        choices.push(self.random_grasp(world, &scene, &map, index));
        let mut grasps = Vec::with_capacity(choices.len());
        for choice in choices {
            let mut record = GraspRecord {
                grasped: false,
                class: String::new(),
                probability: 0.0,
                pose: [0.0; 3],
                throws: Vec::new(),
            };
            if let Some(choice) = choice {
                if choice.probability.is_finite() {
                    record.probability = choice.probability;
                }
                record.pose = [choice.pose.x, choice.pose.y, choice.pose.angle];
                for (thrower, &base) in views.iter().zip(&bases) {
                    let residual = thrower.residual_at(choice.rotation, choice.pixel);
                    let speed = commanded(base, residual);
                    let mut noise = self.noise(index);
                    let outcome = world.attempt(&scene, &choice.pose, target, speed, &mut noise)?;
                    let Some(throw) = outcome.throw else { break };
                    record.grasped = true;
                    if let Ok(grasp) = outcome.grasp
                        && let Some(object) = scene.object(grasp.object)
                    {
                        record.class.clone_from(&object.model.class);
                    }
                    record.throws.push(ThrowRecord {
                        speed,
                        landing: throw.landing.map(|(place, _)| [place.x, place.y]),
                        success: throw.success,
                    });
                }
            }
            grasps.push(record);
        }
        Ok(SceneRecord { scene: index, group, target, grasps })
    }

    /// The first random pose on an object that holds.
    fn random_grasp(
        &self,
        world: &World,
        scene: &Scene,
        map: &Heightmap,
        index: usize,
    ) -> Option<Choice> {
        let mut rng = Stream::indexed(self.seed, Purpose::Explore, index as u64);
        let mut draws = (0..RANDOM_GRASPS).map(|_| explore(map, 1.0, &mut rng));
        draws.find(|choice| world.grasp(scene, &choice.pose).is_ok())
    }
}

impl Trial {
    /// The throw by method `thrower` from the grasp of method `grasper` in a scene, simulated once more; `None` if there was none.
    ///
    /// # Errors
    /// Those of scenes and throws.
    pub fn replay(
        &self,
        world: &World,
        record: &SceneRecord,
        grasper: usize,
        thrower: usize,
    ) -> Result<Option<Throw>> {
        let Some(grasp) = record.grasps.get(grasper) else { return Ok(None) };
        let Some(throw) = grasp.throws.get(thrower) else { return Ok(None) };
        let (_, scene) = self.scene(record.scene)?;
        let [x, y, angle] = grasp.pose;
        let pose = GraspPose { x, y, angle };
        let mut noise = self.noise(record.scene);
        Ok(world.attempt(&scene, &pose, record.target, throw.speed, &mut noise)?.throw)
    }
}

/// A rate with its counts and its Wilson interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Successes.
    pub successes: usize,
    /// Trials.
    pub trials: usize,
    /// Estimate and interval; `None` without trials.
    pub interval: Option<Interval>,
}

impl Rate {
    /// A rate from its outcomes.
    pub fn of(outcomes: impl Iterator<Item = bool>) -> Self {
        let (mut successes, mut trials) = (0, 0);
        for outcome in outcomes {
            trials += 1;
            successes += usize::from(outcome);
        }
        Self { successes, trials, interval: wilson(successes, trials, Z95).ok() }
    }

    /// Successes in per cent of the trials; 0 without trials.
    pub fn percent(&self) -> f64 {
        100.0 * self.successes as f64 / self.trials.max(1) as f64
    }
}

/// Which scenes a number is about.
pub type Selection<'a> = &'a dyn Fn(&SceneRecord) -> bool;

impl Evaluation {
    /// The position at which the records hold the random grasps.
    pub fn random_grasps(&self) -> usize {
        self.methods.len()
    }

    /// Position of a method in the records.
    pub fn position(&self, method: Method) -> Option<usize> {
        self.methods.iter().position(|&m| m == method)
    }

    /// Scenes of one group.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group == name)
    }

    fn selected<'a>(&'a self, of: Selection<'a>) -> impl Iterator<Item = &'a SceneRecord> {
        self.records.iter().filter(move |record| of(record))
    }

    /// Grasps that held, of all scenes.
    pub fn grasp_rate(&self, method: usize, of: Selection<'_>) -> Rate {
        Rate::of(self.selected(of).filter_map(|r| Some(r.grasps.get(method)?.grasped)))
    }

    /// Throws into the right box, of all throws by `thrower` from grasps that `grasper` picked (the paper's throwing success).
    pub fn throw_rate(&self, grasper: usize, thrower: usize, of: Selection<'_>) -> Rate {
        let throws = self.selected(of).filter_map(|r| r.grasps.get(grasper)?.throws.get(thrower));
        Rate::of(throws.map(|throw| throw.success))
    }

    /// Scenes in which the method's own grasp and throw put something into the right box, of all scenes.
    pub fn delivery_rate(&self, method: usize, of: Selection<'_>) -> Rate {
        Rate::of(self.deliveries(method, of).into_iter())
    }

    fn deliveries(&self, method: usize, of: Selection<'_>) -> Vec<bool> {
        let delivered = |r: &SceneRecord| {
            r.grasps.get(method).and_then(|g| g.throws.get(method)).is_some_and(|t| t.success)
        };
        self.selected(of).map(delivered).collect()
    }

    /// Deliveries of two methods, paired by scene. `None` without scenes.
    pub fn compare_deliveries(
        &self,
        first: usize,
        second: usize,
        of: Selection<'_>,
    ) -> Option<PairedComparison> {
        paired(&self.deliveries(first, of), &self.deliveries(second, of), Z95).ok()
    }

    /// Own throws of two methods, paired over the scenes in which both own grasps held.
    pub fn compare_throws(
        &self,
        first: usize,
        second: usize,
        of: Selection<'_>,
    ) -> Option<PairedComparison> {
        let own = |r: &SceneRecord, m: usize| Some(r.grasps.get(m)?.throws.get(m)?.success);
        let pairs: Vec<(bool, bool)> =
            self.selected(of).filter_map(|r| Some((own(r, first)?, own(r, second)?))).collect();
        let (a, b): (Vec<bool>, Vec<bool>) = pairs.into_iter().unzip();
        paired(&a, &b, Z95).ok()
    }

    /// Throws of two methods from the same grasps, those that `grasper` picked.
    pub fn compare_on_grasps_of(
        &self,
        grasper: usize,
        first: usize,
        second: usize,
        of: Selection<'_>,
    ) -> Option<PairedComparison> {
        let throws = |m: usize| -> Vec<bool> {
            let all = self.selected(of).filter_map(|r| r.grasps.get(grasper)?.throws.get(m));
            all.map(|throw| throw.success).collect()
        };
        paired(&throws(first), &throws(second), Z95).ok()
    }
}
