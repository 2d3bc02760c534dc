//! Planning problems as batches, the loss over whole maps, and what a trained network does.

use std::collections::BTreeMap;
use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Graph, Result as NetworkResult, Var};
use pullback_nn::data::{Batch, Dataset};
use pullback_nn::layer::Layer;
use pullback_nn::parameters::{Bound, Parameters};
use pullback_nn::train::Task;

use crate::learn::{Problem, ProblemSet, measure};
use crate::node::set_cross_entropy;
use crate::{Error, Result};

/// What a goal's channel says at the goal (the paper's reward prior).
const GOAL: f32 = 10.0;

/// Maps with goals as (problems, 2, height, width): channel 0 is 1 in walls, channel 1 is 10 at the goal.
///
/// # Errors
/// Maps of different sizes, no problems.
pub fn images(set: &ProblemSet, problems: &[&Problem]) -> Result<Tensor> {
    let Some(first) = problems.first() else {
        return Err(Error::invalid("images", "there are no problems to draw"));
    };
    let map = &set.maps[first.map];
    let (h, w) = (map.height(), map.width());
    let mut pixels = Vec::with_capacity(problems.len() * 2 * h * w);
    for problem in problems {
        let map = &set.maps[problem.map];
        if (map.height(), map.width()) != (h, w) {
            let what = format!("maps of {h}×{w} and {}×{} in one batch", map.height(), map.width());
            return Err(Error::invalid("images", what));
        }
        pixels.extend(map.solid().iter().map(|s| f32::from(u8::from(*s))));
        let from = pixels.len();
        pixels.resize(from + h * w, 0.0);
        pixels[from + problem.goal] = GOAL;
    }
    Ok(from_vec(pixels, &[problems.len(), 2, h, w], &Device::Cpu)?)
}

/// A [`ProblemSet`] as a dataset: (images, sets of best actions as u8). Images are made when they are asked for, so a map is in memory once.
#[derive(Debug, Clone)]
pub struct PlanningData(Arc<ProblemSet>);

impl PlanningData {
    /// # Errors
    /// Problems on which the robot has a heading: there are several states in a cell.
    pub fn new(set: impl Into<Arc<ProblemSet>>) -> Result<Self> {
        let set = set.into();
        if set.connectivity.states_per_cell() != 1 {
            return Err(Error::invalid(
                "planning data",
                "a problem has several states for each cell, as headings make them: networks have one",
            ));
        }
        Ok(Self(set))
    }

    /// The problems.
    #[must_use]
    pub fn set(&self) -> &ProblemSet {
        &self.0
    }
}

impl Dataset for PlanningData {
    fn len(&self) -> usize {
        self.0.problems.len()
    }

    fn batch(&self, indices: &[usize]) -> pullback_nn::Result<Vec<Tensor>> {
        let problems = &self.0.problems;
        if let Some(position) = indices.iter().position(|&i| i >= problems.len()) {
            let (operation, index, size) = ("planning data", indices[position], problems.len());
            return Err(pullback_nn::Error::Index {
                operation,
                position,
                index: index as i64,
                size,
            });
        }
        let chosen: Vec<&Problem> = indices.iter().map(|&i| &problems[i]).collect();
        let x = images(&self.0, &chosen).map_err(pullback_core_graph::Error::from)?;
        let sets: Vec<u8> = chosen.iter().flat_map(|p| p.best.iter().copied()).collect();
        let dims = [chosen.len(), x.dims()[2], x.dims()[3]];
        Ok(vec![x, from_vec(sets, &dims, &Device::Cpu)?])
    }
}

/// What is added to the loss, of the parameters alone.
type Penalty = Box<dyn for<'g> Fn(&Bound<'g>) -> NetworkResult<Var<'g>> + Send + Sync>;

/// Training of any layer on planning problems: the loss is [`set_cross_entropy`] over all cells; after an epoch `success`, `optimal` and
/// `right_action` are measured on held-out problems.
pub struct PlanningTask<L> {
    network: L,
    held_out: Option<Arc<ProblemSet>>,
    everywhere: bool,
    penalty: Option<Penalty>,
}

impl<L: Layer> PlanningTask<L> {
    /// Trains `network`. `everywhere`: see [`measure`].
    pub fn new(network: L, held_out: Option<Arc<ProblemSet>>, everywhere: bool) -> Self {
        Self { network, held_out, everywhere, penalty: None }
    }

    /// Adds a penalty on the parameters to the loss, as [`Vin::blending`](super::Vin::blending) times a weight.
    #[must_use]
    pub fn with_penalty(
        self,
        penalty: impl for<'g> Fn(&Bound<'g>) -> NetworkResult<Var<'g>> + Send + Sync + 'static,
    ) -> Self {
        Self { penalty: Some(Box::new(penalty)), ..self }
    }

    /// The network.
    pub fn network(&self) -> &L {
        &self.network
    }
}

impl<L: Layer> Task for PlanningTask<L> {
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> NetworkResult<Var<'g>> {
        let [x, sets] = &batch.tensors[..] else {
            let what = format!("{} tensors in a batch, not images and sets", batch.tensors.len());
            return Err(pullback_core_graph::Error::invalid("planning", what));
        };
        let sets: Vec<u8> = sets.flatten_all()?.to_vec1()?;
        // Images are f32, the network may be f64.
        let x = match parameters.vars().first() {
            Some(first) => x.to_dtype(first.dtype()?)?,
            None => x.clone(),
        };
        let logits = self.network.forward(parameters, graph.constant(&x))?;
        let loss = set_cross_entropy(logits, sets)?;
        match &self.penalty {
            Some(penalty) => (loss + penalty(parameters)?).ok(),
            None => Ok(loss),
        }
    }

    fn evaluate(&self, parameters: &Parameters) -> pullback_nn::Result<BTreeMap<String, f64>> {
        let Some(set) = &self.held_out else { return Ok(BTreeMap::new()) };
        let figures = || -> Result<BTreeMap<String, f64>> {
            let report = measure(set, &greedy(&self.network, parameters, set)?, self.everywhere)?;
            Ok(BTreeMap::from([
                ("success".into(), report.success.value()),
                ("optimal".into(), report.optimal.value()),
                ("right_action".into(), report.right_action.value()),
                ("cost_ratio".into(), report.cost_ratio),
            ]))
        };
        Ok(figures().map_err(pullback_core_graph::Error::from)?)
    }
}

/// The action of the largest logit in every cell of every problem; the first at a tie.
///
/// # Errors
/// Those of the network; maps of different sizes are told apart, each size in batches of its own.
pub fn greedy<L: Layer + ?Sized>(
    network: &L,
    parameters: &Parameters,
    set: &ProblemSet,
) -> Result<Vec<Vec<u8>>> {
    const BATCH: usize = 128;
    let size = |p: &Problem| (set.maps[p.map].height(), set.maps[p.map].width());
    let mut all = Vec::with_capacity(set.problems.len());
    let mut rest = &set.problems[..];
    while let Some(first) = rest.first() {
        let alike = rest.iter().take(BATCH).take_while(|p| size(p) == size(first)).count();
        let (now, later) = rest.split_at(alike);
        rest = later;
        let x = images(set, &now.iter().collect::<Vec<_>>())?.to_dtype(parameters.dtype());
        let x = x.map_err(pullback_core_graph::Error::from)?;
        let graph = Graph::new();
        let bound = parameters.bind_constant(&graph);
        let logits = network.forward(&bound, graph.constant(&x))?.value()?;
        let dims = logits.dims().to_vec();
        let (actions, cells) = (dims[1], dims[2..].iter().product::<usize>());
        let z = to_f64(&logits)?;
        for map in z.chunks_exact(actions * cells) {
            let best = |i: usize| {
                (1..actions)
                    .fold(0, |a, b| if map[b * cells + i] > map[a * cells + i] { b } else { a })
            };
            all.push((0..cells).map(|i| best(i) as u8).collect());
        }
    }
    debug_assert!(matches!(parameters.dtype(), DType::F32 | DType::F64));
    Ok(all)
}
