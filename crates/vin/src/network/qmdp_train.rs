//! Demonstrations as batches, training of a QMDP-net by imitation, and what the trained network does.

use std::collections::BTreeMap;
use std::sync::Arc;

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Graph, Result as NetworkResult, Var};
use pullback_nn::data::{Batch, Dataset};
use pullback_nn::parameters::{Bound, Parameters};
use pullback_nn::train::Task;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::qmdp_net::{QmdpNet, rows};
use crate::learn::{Demonstration, HiddenProblem, HiddenRun, Share};
use crate::{Error, Result};

/// Where a demonstration is over.
const OVER: u8 = u8::MAX;

/// Maps with goals, (problems, 2, height, width): channel 0 is 1 in walls, channel 1 is 1 at the goal; and first beliefs (problems, 1, height, width).
///
/// # Errors
/// No problems, or maps of different sizes.
pub fn hidden_images(problems: &[&HiddenProblem]) -> Result<[Tensor; 2]> {
    let Some(first) = problems.first() else {
        return Err(Error::invalid("hidden images", "there are no problems to draw"));
    };
    let (h, w) = (first.process.map().height(), first.process.map().width());
    let (mut pixels, mut beliefs) = (vec![], vec![]);
    for problem in problems {
        let map = problem.process.map();
        if (map.height(), map.width()) != (h, w) {
            let what = format!("maps of {h}×{w} and {}×{} in one batch", map.height(), map.width());
            return Err(Error::invalid("hidden images", what));
        }
        pixels.extend(map.solid().iter().map(|s| f32::from(u8::from(*s))));
        pixels.extend((0..h * w).map(|c| f32::from(u8::from(c == problem.goal))));
        beliefs.extend(problem.belief.iter().map(|b| *b as f32));
    }
    let n = problems.len();
    Ok([
        from_vec(pixels, &[n, 2, h, w], &Device::Cpu)?,
        from_vec(beliefs, &[n, 1, h, w], &Device::Cpu)?,
    ])
}

/// Demonstrations as a dataset: (images, beliefs, readings, actions), the last two (batch, steps) bytes, cut after `steps` steps.
#[derive(Debug, Clone)]
pub struct HiddenData {
    problems: Arc<Vec<HiddenProblem>>,
    runs: Arc<Vec<Demonstration>>,
    steps: usize,
}

impl HiddenData {
    /// # Errors
    /// No steps; a demonstration of a problem that there is not, or with as many readings as actions not.
    pub fn new(
        problems: impl Into<Arc<Vec<HiddenProblem>>>,
        runs: Vec<Demonstration>,
        steps: usize,
    ) -> Result<Self> {
        let problems = problems.into();
        let fits = |run: &Demonstration| {
            run.problem < problems.len() && run.readings.len() == run.actions.len()
        };
        if steps == 0 || !runs.iter().all(fits) {
            let what =
                format!("{steps} steps, {} problems, or readings without actions", problems.len());
            return Err(Error::invalid("hidden data", what));
        }
        Ok(Self { problems, runs: Arc::new(runs), steps })
    }
}

impl Dataset for HiddenData {
    fn len(&self) -> usize {
        self.runs.len()
    }

    fn batch(&self, indices: &[usize]) -> pullback_nn::Result<Vec<Tensor>> {
        if let Some(position) = indices.iter().position(|&i| i >= self.runs.len()) {
            let (index, size) = (indices[position] as i64, self.runs.len());
            let operation = "hidden data";
            return Err(pullback_nn::Error::Index { operation, position, index, size });
        }
        let runs: Vec<&Demonstration> = indices.iter().map(|&i| &self.runs[i]).collect();
        let problems: Vec<&HiddenProblem> =
            runs.iter().map(|run| &self.problems[run.problem]).collect();
        let [x, beliefs] = hidden_images(&problems).map_err(pullback_core_graph::Error::from)?;
        let padded = |numbers: &dyn Fn(&Demonstration) -> &[u8]| {
            let row = |run: &&Demonstration| -> Vec<u8> {
                (0..self.steps).map(|t| numbers(run).get(t).copied().unwrap_or(OVER)).collect()
            };
            from_vec(runs.iter().flat_map(row).collect(), &[runs.len(), self.steps], &Device::Cpu)
        };
        Ok(vec![x, beliefs, padded(&|run| &run.readings)?, padded(&|run| &run.actions)?])
    }
}

/// Training by imitation: the mean over all demonstrated steps of −ln π(action). After an epoch `success`, `collisions` (a run) and `steps` (a
/// run that arrives) are measured on held-out problems.
pub struct HiddenTask {
    network: QmdpNet,
    held_out: Arc<Vec<HiddenProblem>>,
}

impl HiddenTask {
    /// Trains `network`; nothing is measured without held-out problems.
    pub fn new(network: QmdpNet, held_out: impl Into<Arc<Vec<HiddenProblem>>>) -> Self {
        Self { network, held_out: held_out.into() }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &QmdpNet {
        &self.network
    }
}

/// Bits of readings as (batch, bits); a reading that is over has none.
fn bits<'g>(
    graph: &'g Graph,
    readings: impl Iterator<Item = u8>,
    parameters: &Bound<'g>,
    count: usize,
) -> NetworkResult<Var<'g>> {
    let numbers = readings.flat_map(|z| (0..count).map(move |b| f32::from(z >> b & 1)));
    rows(graph, numbers.collect(), count, parameters.vars()[0].dtype()?)
}

/// Actions as one of (batch, actions); one that is over as the last.
fn one_of<'g>(
    graph: &'g Graph,
    actions: impl Iterator<Item = u8>,
    parameters: &Bound<'g>,
    count: usize,
) -> NetworkResult<Var<'g>> {
    let numbers = actions.flat_map(|a| {
        let a = usize::from(a).min(count - 1);
        (0..count).map(move |b| f32::from(u8::from(a == b)))
    });
    rows(graph, numbers.collect(), count, parameters.vars()[0].dtype()?)
}

impl Task for HiddenTask {
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> NetworkResult<Var<'g>> {
        let [x, beliefs, readings, actions] = &batch.tensors[..] else {
            let what = format!("{} tensors in a batch, not four", batch.tensors.len());
            return Err(pullback_core_graph::Error::invalid("QMDP-net", what));
        };
        let spec = self.network.spec();
        let (n, steps) = actions.dims2()?;
        let dtype = parameters.vars()[0].dtype()?;
        let readings: Vec<u8> = readings.flatten_all()?.to_vec1()?;
        let actions: Vec<u8> = actions.flatten_all()?.to_vec1()?;
        let longest = (0..steps).rev().find(|t| (0..n).any(|i| actions[i * steps + t] != OVER));
        let maps = self.network.maps(parameters, graph.constant(&x.to_dtype(dtype)?))?;
        let mut belief = graph.constant(&beliefs.to_dtype(dtype)?);
        let (mut total, mut count) =
            (graph.constant(&Tensor::zeros((), dtype, &Device::Cpu)?), 0.0);
        for t in 0..longest.map_or(0, |t| t + 1) {
            let column =
                |of: &[u8], t: usize| -> Vec<u8> { (0..n).map(|i| of[i * steps + t]).collect() };
            let last = match t {
                0 => None,
                t => Some(one_of(
                    graph,
                    column(&actions, t - 1).into_iter(),
                    parameters,
                    spec.actions,
                )?),
            };
            let seen = column(&readings, t).into_iter().map(|z| if z == OVER { 0 } else { z });
            let seen = bits(graph, seen, parameters, spec.bits)?;
            belief = self.network.filter(parameters, maps, belief, last, seen)?;
            let logits = self.network.policy(parameters, maps, belief)?.log_softmax(1);
            let now = column(&actions, t);
            let numbers: Vec<f32> = now
                .iter()
                .flat_map(|&a| {
                    (0..spec.actions).map(move |b| f32::from(u8::from(usize::from(a) == b)))
                })
                .collect();
            count += numbers.iter().sum::<f32>();
            let right = rows(graph, numbers, spec.actions, dtype)?;
            total = (total - (logits * right).sum(())).ok()?;
        }
        (total / f64::from(count.max(1.0))).ok()
    }

    fn evaluate(&self, parameters: &Parameters) -> pullback_nn::Result<BTreeMap<String, f64>> {
        if self.held_out.is_empty() {
            return Ok(BTreeMap::new());
        }
        let report = hidden_runs(&self.network, parameters, &self.held_out, 1)
            .map_err(pullback_core_graph::Error::from)?;
        let share = hidden_share(&report);
        let arrived = report.iter().filter(|run| run.arrived);
        let steps: usize = arrived.map(|run| run.steps).sum();
        let collisions: usize = report.iter().map(|run| run.collisions).sum();
        Ok(BTreeMap::from([
            ("success".into(), share.value()),
            ("steps".into(), steps as f64 / share.hits.max(1) as f64),
            ("collisions".into(), collisions as f64 / report.len() as f64),
        ]))
    }
}

/// How many arrived.
#[must_use]
pub fn hidden_share(runs: &[HiddenRun]) -> Share {
    Share { hits: runs.iter().filter(|run| run.arrived).count(), of: runs.len() }
}

/// Lets the network act on problems, the likeliest action in every step, until the goal or the limit of steps.
///
/// # Errors
/// Those of the network; maps of different sizes.
pub fn hidden_runs(
    network: &QmdpNet,
    parameters: &Parameters,
    problems: &[HiddenProblem],
    seed: u64,
) -> Result<Vec<HiddenRun>> {
    const BATCH: usize = 100;
    let spec = network.spec();
    let mut all = vec![];
    for (number, part) in problems.chunks(BATCH).enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number as u64);
        let [x, beliefs] = hidden_images(&part.iter().collect::<Vec<_>>())?;
        let cast =
            |t: &Tensor| t.to_dtype(parameters.dtype()).map_err(pullback_core_graph::Error::from);
        let (x, mut belief) = (cast(&x)?, cast(&beliefs)?);
        let (q, z) = {
            let graph = Graph::new();
            let maps = network.maps(&parameters.bind_constant(&graph), graph.constant(&x))?;
            (maps.q.value()?, maps.z.value()?)
        };
        let mut walkers: Vec<_> = part.iter().map(HiddenProblem::walker).collect();
        let mut last: Option<Vec<u8>> = None;
        let limit = part.iter().map(HiddenProblem::limit).max().unwrap_or(0);
        for _ in 0..limit {
            if walkers.iter().all(|w| w.run.arrived) {
                break;
            }
            let graph = Graph::new();
            let bound = parameters.bind_constant(&graph);
            let maps = super::qmdp_net::QmdpMaps { q: graph.constant(&q), z: graph.constant(&z) };
            let readings: Vec<u8> = walkers.iter().map(|w| w.reading(&mut random)).collect();
            let seen = bits(&graph, readings.into_iter(), &bound, spec.bits)?;
            let action =
                last.take().map(|last| one_of(&graph, last.into_iter(), &bound, spec.actions));
            let after =
                network.filter(&bound, maps, graph.constant(&belief), action.transpose()?, seen)?;
            let logits = to_f64(&network.policy(&bound, maps, after)?.value()?)?;
            belief = after.value()?;
            let actions: Vec<u8> = logits
                .chunks_exact(spec.actions)
                .map(|row| crate::process::first_best(row) as u8)
                .collect();
            for (walker, action) in walkers.iter_mut().zip(&actions) {
                if !walker.run.arrived {
                    walker.step(*action, &mut random)?;
                }
            }
            last = Some(actions);
        }
        all.extend(walkers.iter().map(|w| w.run));
    }
    Ok(all)
}
