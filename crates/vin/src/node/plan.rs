//! Planning as a node: the numbers of decision processes in, V and Q out.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Wrt,
};
use rayon::prelude::*;

use super::{Like, alike, expect, external};
use crate::gradient::{Cotangent, Gradient, Plan, Planned, Tangent};
use crate::process::{Block, Parametric, ranges};
use crate::{Error, Result};

/// The node (blocks of θ…) ↦ (V, Q): a batch of decision processes, planned and differentiated as the [`Plan`] says.
///
/// Inputs are the blocks of [`Parametric::blocks`] in order, each (batch, dims…), f32 or f64; the processes give everything else (walls, goals, which
/// transitions there are). All is computed in f64; f32 probabilities have sums that are not quite 1, and are divided by them first
/// ([`Parametric::with_rounded_parameters`]; derivatives are those at the probabilities so made).
///
/// γ, τ and V₀ can be inputs, too, in this order after the blocks: [`PlanNode::discount`], [`PlanNode::temperature`], [`PlanNode::initial`]. Outputs: V (batch, states), Q (batch, states, actions). Where there is no value both are `fill`, a constant
/// without derivative. First order only.
///
/// ```
/// use pullback_core_graph::{Graph, candle::{Device, Tensor}};
/// use pullback_vin::gradient::Plan;
/// use pullback_vin::grid::{GridMap, GridProcess, GridSpec};
/// use pullback_vin::node::PlanNode;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let map = GridMap::from_text("...\n.#.\n...")?;
/// let process = GridProcess::new(map, GridSpec::default(), &[(8, 0.0)])?;
/// let node = PlanNode::new(vec![process], Plan::default())?.build();
/// let graph = Graph::new();
/// let cost = graph.input(&Tensor::ones((1, 3, 3), pullback_core_graph::candle::DType::F64, &Device::Cpu)?);
/// let none = graph.constant(&Tensor::zeros((1, 1), pullback_core_graph::candle::DType::F64, &Device::Cpu)?);
/// let values = graph.apply(&node, &[cost, none, none])?[0];
/// // Dearer cells on the way make the corner's value smaller: the first of two equal ways is taken, east then south.
/// let slope = graph.gradient(values.get(1, 0).sum(()), &[cost])?[0].flatten_all()?.to_vec1::<f64>()?;
/// assert_eq!(slope, [0.0, -1.0, -1.0, 0.0, 0.0, -1.0, 0.0, 0.0, -1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PlanNode<P> {
    processes: Arc<Vec<P>>,
    plan: Plan,
    fill: f64,
    /// What the inputs are: the blocks of θ, then γ, τ, V₀ where they are asked for.
    blocks: Vec<Block>,
    extras: Extras,
}

/// Which of γ, τ and V₀ are inputs.
#[derive(Debug, Clone, Copy, Default)]
struct Extras {
    discount: bool,
    temperature: bool,
    initial: bool,
}

impl Extras {
    /// θ, γ, τ and V₀ out of one item's numbers.
    fn split(self, states: usize, numbers: Vec<f64>) -> Tangent {
        let mut rest = numbers;
        let initial = if self.initial { rest.split_off(rest.len() - states) } else { vec![] };
        let mut last = |wanted: bool| if wanted { rest.pop() } else { None };
        let temperature = last(self.temperature).unwrap_or_default();
        let discount = last(self.discount).unwrap_or_default();
        Tangent { parameters: rest, discount, temperature, initial, ..Tangent::default() }
    }

    /// The numbers of one item from derivatives.
    fn join(self, gradient: Gradient) -> Vec<f64> {
        let mut all = gradient.parameters;
        all.extend(self.discount.then_some(gradient.discount));
        all.extend(self.temperature.then_some(gradient.temperature));
        all.extend(self.initial.then_some(gradient.initial).into_iter().flatten());
        all
    }
}

const NODE: &str = "plan";

impl<P: Parametric + Clone + 'static> PlanNode<P> {
    /// A batch of processes with blocks of one shape.
    ///
    /// # Errors
    /// No processes, or blocks of different shapes.
    pub fn new(processes: Vec<P>, plan: Plan) -> Result<Self> {
        let Some(first) = processes.first() else {
            return Err(Error::invalid(NODE, "there are no processes"));
        };
        let blocks = first.blocks();
        let same = |p: &P| {
            p.blocks() == blocks && p.states() == first.states() && p.actions() == first.actions()
        };
        if let Some(i) = processes.iter().position(|p| !same(p)) {
            let what = format!(
                "process {i} has blocks of other shapes than process 0: {:?}",
                processes[i].blocks()
            );
            return Err(Error::invalid(NODE, what));
        }
        let extras = Extras::default();
        Ok(Self { processes: Arc::new(processes), plan, fill: -1e4, blocks, extras })
    }

    /// γ is an input, (batch, 1).
    #[must_use]
    pub fn discount(mut self) -> Self {
        self.extras.discount = true;
        self
    }

    /// τ of the plan's backup is an input, (batch, 1); the hard maximum has none, and its derivative by it is 0.
    #[must_use]
    pub fn temperature(mut self) -> Self {
        self.extras.temperature = true;
        self
    }

    /// V₀ is an input, (batch, states); at a fixed point it is a guess and its derivative 0.
    #[must_use]
    pub fn initial(mut self) -> Self {
        self.extras.initial = true;
        self
    }

    /// What stands for a value that there is not; −10⁴ unless said otherwise.
    ///
    /// # Errors
    /// A number that is not finite: nodes give finite numbers.
    pub fn fill(self, fill: f64) -> Result<Self> {
        if !fill.is_finite() {
            return Err(Error::invalid(NODE, format!("fill is {fill}, must be finite")));
        }
        Ok(Self { fill, ..self })
    }

    /// The node.
    #[must_use]
    pub fn build(mut self) -> Arc<dyn Function> {
        let Extras { discount, temperature, initial } = self.extras;
        self.blocks.extend(discount.then(|| Block::new("discount", &[1])));
        self.blocks.extend(temperature.then(|| Block::new("temperature", &[1])));
        let states = self.processes[0].states();
        self.blocks.extend(initial.then(|| Block::new("initial values", &[states])));
        Arc::new(self)
    }

    fn planned(&self, x: &[Tensor]) -> NetworkResult<Vec<Planned<'static, P>>> {
        if x.len() != self.blocks.len() {
            let names: Vec<&str> = self.blocks.iter().map(|b| b.name).collect();
            let what = format!(
                "{} inputs where there must be {}: {}",
                x.len(),
                names.len(),
                names.join(", ")
            );
            return Err(NetworkError::invalid(NODE, what));
        }
        let rounded = alike(NODE, x, self.blocks.len())? == DType::F32;
        let batch = self.processes.len();
        let mut columns = vec![];
        for (block, t) in self.blocks.iter().zip(x) {
            let dims = [&[batch], &block.dims[..]].concat();
            if t.dims() != dims {
                let what = format!("{} of the shape {dims:?}", block.name);
                return Err(NetworkError::shape(NODE, what, &[t.dims()]));
            }
            columns.push(to_f64(t)?);
        }
        let one = |item: usize| -> Result<Planned<'static, P>> {
            let part = |(block, all): (&Block, &Vec<f64>)| {
                all[item * block.len()..(item + 1) * block.len()].to_vec()
            };
            let theta: Vec<f64> = self.blocks.iter().zip(&columns).flat_map(part).collect();
            let process = &self.processes[item];
            let at = self.extras.split(process.states(), theta);
            let mut process = match rounded {
                true => process.with_rounded_parameters(&at.parameters)?,
                false => process.with_parameters(&at.parameters)?,
            };
            let mut plan = self.plan;
            if self.extras.discount {
                process = process.with_discount(at.discount)?;
            }
            if self.extras.temperature {
                plan.backup = plan.backup.with_temperature(at.temperature);
            }
            plan.of_owned(process, &at.initial)
        };
        (0..batch)
            .into_par_iter()
            .map(|item| one(item).map_err(|e| external(&format!("plan, item {item}"), e)))
            .collect()
    }

    fn outputs(&self, x: &[Tensor], planned: &[Planned<'static, P>]) -> NetworkResult<Vec<Tensor>> {
        let (batch, first) = (self.processes.len(), &self.processes[0]);
        let (n, a) = (first.states(), first.actions());
        let filled = |v: &f64| if v.is_finite() { *v } else { self.fill };
        let values = planned.iter().flat_map(|p| p.values.iter().map(filled)).collect();
        let q: Vec<Vec<f64>> = planned.par_iter().map(Planned::action_values).collect();
        let q = q.iter().flatten().map(filled).collect();
        let like = |dims: Vec<usize>| match x.first() {
            Some(t) => Like { dims, ..Like::of(t) },
            None => Like { dims, dtype: DType::F64, device: Device::Cpu },
        };
        Ok(vec![
            like(vec![batch, n]).tensor::<f64>(values)?,
            like(vec![batch, n, a]).tensor::<f64>(q)?,
        ])
    }
}

impl<P: Parametric + Clone + 'static> Function for PlanNode<P> {
    fn name(&self) -> &str {
        NODE
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        self.outputs(x, &self.planned(x)?)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let planned = self.planned(x)?;
        let y = self.outputs(x, &planned)?;
        let map = At {
            planned,
            blocks: self.blocks.clone(),
            extras: self.extras,
            x: x.iter().map(Like::of).collect(),
            y: y.iter().map(Like::of).collect(),
            wrt: (0..x.len()).map(|i| wrt.needs(i)).collect(),
        };
        Ok((y, Box::new(map)))
    }
}

/// Plans at a point.
struct At<P: 'static> {
    planned: Vec<Planned<'static, P>>,
    blocks: Vec<Block>,
    extras: Extras,
    x: Vec<Like>,
    y: Vec<Like>,
    wrt: Vec<bool>,
}

impl<P: Parametric> LinearMap for At<P> {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Push, &self.x, dx)?;
        let given = |i: usize| dx[i].as_ref().filter(|_| self.wrt[i]);
        if (0..dx.len()).all(|i| given(i).is_none()) {
            return Ok(vec![None; 2]);
        }
        let columns: Vec<Option<Vec<f64>>> = (0..dx.len())
            .map(|i| given(i).map(to_f64).transpose())
            .collect::<NetworkResult<_>>()?;
        let one = |(item, plan): (usize, &Planned<'static, P>)| -> Result<(Vec<f64>, Vec<f64>)> {
            let part = |(block, all): (&Block, &Option<Vec<f64>>)| match all {
                Some(all) => all[item * block.len()..(item + 1) * block.len()].to_vec(),
                None => vec![0.0; block.len()],
            };
            let numbers = self.blocks.iter().zip(&columns).flat_map(part).collect();
            let tangent = self.extras.split(plan.values.len(), numbers);
            let values = plan.push(&tangent)?;
            let q = plan.push_action_values(&tangent, &values)?;
            Ok((values, q))
        };
        let all: Vec<_> = self
            .planned
            .par_iter()
            .enumerate()
            .map(one)
            .collect::<Result<_>>()
            .map_err(|e| external(NODE, e))?;
        let (values, q): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        Ok(vec![
            Some(self.y[0].tensor::<f64>(values.concat())?),
            Some(self.y[1].tensor::<f64>(q.concat())?),
        ])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Pull, &self.y, dy)?;
        if dy.iter().all(Option::is_none) || !self.wrt.contains(&true) {
            return Ok(vec![None; self.x.len()]);
        }
        let columns: Vec<Option<Vec<f64>>> =
            dy.iter().map(|d| d.as_ref().map(to_f64).transpose()).collect::<NetworkResult<_>>()?;
        let one = |(item, plan): (usize, &Planned<'static, P>)| -> Result<Vec<f64>> {
            // Where `fill` stands the output is a constant.
            let part = |all: &Option<Vec<f64>>, known: &[f64]| match all {
                None => vec![],
                Some(all) => {
                    let rows = all[item * known.len()..(item + 1) * known.len()].iter().zip(known);
                    rows.map(|(d, v)| if v.is_finite() { *d } else { 0.0 }).collect()
                }
            };
            let cotangent = Cotangent {
                values: part(&columns[0], &plan.values),
                action_values: match &columns[1] {
                    None => vec![],
                    all => part(all, &plan.action_values()),
                },
            };
            Ok(self.extras.join(plan.pull(&cotangent)?))
        };
        let all: Vec<Vec<f64>> = self
            .planned
            .par_iter()
            .enumerate()
            .map(one)
            .collect::<Result<_>>()
            .map_err(|e| external(NODE, e))?;
        let each = ranges(&self.blocks).into_iter().zip(&self.x).zip(&self.wrt);
        each.map(|((range, like), wanted)| {
            let block = || all.iter().flat_map(|g| g[range.clone()].iter().copied()).collect();
            wanted.then(|| like.tensor::<f64>(block())).transpose()
        })
        .collect()
    }
}
