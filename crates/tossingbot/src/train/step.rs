//! One batch through the function network: losses, and their total derivatives.
//!
//! ```text
//!        a ──► v̂(p; a) ──► k channels ─┐
//!        │                             ├─► grasp ──► logits at the pixel ──► L_g ◄── y
//!        │      height map ──► μ ──────┤
//!        │                             └─► throw ──► δ_θ at the pixel ──┐
//!        └──► v̂(p̂; a) ──► δ̄ = v − v̂(p̂; a) ───────────────────────────── ┴─► L_t
//! ```
//!
//! Gravity reaches L_t over two paths, so dL_t/da = Huber'·[∂v̂/∂a|p̂ + (∂δ_θ/∂v̂)·∂v̂/∂a|p]/u: the backward sweep adds them up.

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Var};
use pullback_nn::ops::at_pixels;

use super::Model;
use crate::attempt::World;
use crate::error::Result;
use crate::hindsight::{Throwing, landing_aim, would_hit};
use crate::loss::{UNIT, cross_entropy, huber};
use crate::physics_node::{BallisticSpeed, column};
use crate::replay::Transition;

/// A batch of remembered attempts.
pub struct Batch<'a> {
    /// The attempts.
    pub attempts: &'a [&'a Transition],
    /// Which of them are reflected across the plane of the throw.
    pub mirrored: &'a [bool],
    /// Edge in pixels of the square around the executed pixel that is looked at; 0: the whole map.
    pub window: usize,
    /// Weight of the throw loss.
    pub throw_weight: f64,
    /// Whether dL_t/da is wanted.
    pub gravity: bool,
}

/// What a batch says.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// Grasp loss L_g of each attempt.
    pub grasp: Vec<f64>,
    /// Throw loss L_t of each attempt; 0 where nothing landed.
    pub throw: Vec<f64>,
    /// Grasp labels y: would the present speed have hit?
    pub hits: Vec<bool>,
    /// Derivatives of the mean of L_g + weight·L_t with respect to the networks' parameters, in their order.
    pub parameters: Vec<Tensor>,
    /// dL_t/da of the mean throw loss in 1/(m/s²), if it was wanted.
    pub gravity: Option<f64>,
}

/// Losses and derivatives of `model` on a batch.
///
/// # Errors
/// Those of the network; `NoSuchItem` for a target that the world does not have.
pub fn differentiate(model: &Model, world: &World, batch: &Batch<'_>) -> Result<Gradients> {
    let attempts = batch.attempts;
    let throwing: Result<Vec<Throwing>> =
        attempts.iter().map(|t| Throwing::new(world, t.target)).collect();
    let throwing = throwing?;
    let landed: Vec<_> = attempts.iter().map(|t| landing_aim(world, t.landing)).collect();
    let mask: Vec<f64> = landed.iter().map(|aim| f64::from(u8::from(aim.is_some()))).collect();
    let (input, pixels) = model.turner.batch(attempts, batch.mirrored, batch.window)?;

    let graph = Graph::new();
    let formula = BallisticSpeed { angle: world.release.launch_angle };
    let gravity = Tensor::new(model.gravity, &Device::Cpu)?;
    let a = if batch.gravity { graph.input(&gravity) } else { graph.constant(&gravity) };
    let aims: Vec<_> = throwing.iter().map(|t| t.aim).collect();
    let base = propose(formula, a, &aims)?;
    // Where nothing landed, the target stands in: its loss is masked.
    let seen: Vec<_> = landed.iter().zip(&aims).map(|(seen, aim)| seen.unwrap_or(*aim)).collect();
    let speeds: Vec<f64> = attempts.iter().map(|t| t.speed).collect();
    let label = column(&graph, &speeds)? - propose(formula, a, &seen)?;

    let parameters: Vec<Var<'_>> = model.network.values().iter().map(|t| graph.input(t)).collect();
    let image = graph.constant(&input);
    let output = model.network.record(&parameters, image, base.cast(DType::F32))?;
    let residual = match output.residual {
        Some(map) => at_pixels(map, &pixels).reshape(&[attempts.len()]).cast(DType::F64),
        None => column(&graph, &vec![0.0; attempts.len()])?,
    };
    let error = (residual - label / UNIT).ok()?;
    let throw = huber(error) * column(&graph, &mask)?;

    let (errors, bases) = (to_f64(&error.value()?)?, to_f64(&base.value()?)?);
    let hits: Vec<bool> = (0..attempts.len())
        .map(|i| {
            let Some(landing) = attempts[i].landing.filter(|_| landed[i].is_some()) else {
                return false;
            };
            would_hit(world, &throwing[i], bases[i], errors[i] * UNIT, model.gravity, landing)
        })
        .collect();
    let grasp = cross_entropy(at_pixels(output.logits, &pixels), &hits)?.cast(DType::F64);

    let throw_loss = throw.mean(());
    let mut loss = grasp.mean(());
    if output.residual.is_some() {
        loss = loss + batch.throw_weight * throw_loss;
    }
    Ok(Gradients {
        grasp: to_f64(&grasp.value()?)?,
        throw: to_f64(&throw.value()?)?,
        hits,
        parameters: graph.gradient(loss, &parameters)?,
        gravity: match batch.gravity {
            true => to_f64(&graph.gradient(throw_loss, &[a])?[0])?.first().copied(),
            false => None,
        },
    })
}

/// v̂ of several aims as a node.
fn propose<'g>(
    formula: BallisticSpeed,
    gravity: Var<'g>,
    aims: &[crate::ballistics::Aim],
) -> Result<Var<'g>> {
    let graph = gravity.graph();
    let distances: Vec<f64> = aims.iter().map(|aim| aim.distance).collect();
    let heights: Vec<f64> = aims.iter().map(|aim| aim.height).collect();
    Ok(formula.record(gravity, column(graph, &distances)?, column(graph, &heights)?).ok()?)
}
