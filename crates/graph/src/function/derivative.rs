//! The derivatives of a tape's function: tapes cut to what is asked for, and the linear map that runs them at a point.

use std::sync::PoisonError;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::ensure_finite;
use pullback_core_graph::{Direction, Error, Function, LinearMap, Phase, Result};

use super::{Output, Shared, TapeFunction};

/// Which derivative: as a function again, with y among its inputs, or for the linear map, without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    Push,
    Pull,
    Tangent,
    Adjoint,
}

/// A derivative with respect to the marked inputs, from (push: of them; pull: of the marked outputs) directions.
pub(super) type Key = (Rule, Vec<bool>, Vec<bool>);

impl TapeFunction {
    /// A derivative, made at the first call.
    pub(super) fn derived(&self, key: Key) -> TapeFunction {
        let mut known = self.shared.derived.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with_key(|(rule, wrt, given)| self.derive(*rule, wrt, given))
            .clone()
    }

    fn derive(&self, rule: Rule, wrt: &[bool], given: &[bool]) -> TapeFunction {
        let Shared { name, tape, inputs, outputs, .. } = &*self.shared;
        let (n, m) = (tape.inputs(), tape.outputs());
        let forward = matches!(rule, Rule::Push | Rule::Tangent);
        let name = match rule {
            Rule::Push | Rule::Pull => name.clone(),
            Rule::Tangent => format!("{name}.tangent"),
            Rule::Adjoint => format!("{name}.adjoint"),
        };
        let widths: Vec<usize> = outputs.iter().map(|port| port.width).collect();
        let mut ports = inputs.clone();
        let mut from: Vec<Option<usize>> = (0..n).map(Some).collect();
        let mut count = n;
        if matches!(rule, Rule::Tangent | Rule::Adjoint) {
            // y comes in beside x; the rule reads x alone.
            ports.extend(&widths);
            count += m;
        }
        for (&width, &given) in if forward { inputs } else { &widths }.iter().zip(given) {
            if given {
                ports.push(width);
                from.extend((count..count + width).map(Some));
                count += width;
            } else {
                from.extend(std::iter::repeat_n(None, width));
            }
        }
        if forward {
            let whole = self.shared.forward.get_or_init(|| tape.forward());
            return Self::new(name, whole.rewired(count, &from, m..2 * m), ports, outputs.clone());
        }
        let whole = self.shared.reverse.get_or_init(|| tape.reverse());
        let (mut kept, mut slopes, mut first) = (Vec::new(), Vec::new(), m);
        for (input, &width) in inputs.iter().enumerate() {
            if wrt[input] {
                kept.extend(first..first + width);
                slopes.push(Output { width, of: Some(input) });
            }
            first += width;
        }
        Self::new(name, whole.rewired(count, &from, kept), ports, slopes)
    }
}

/// The linear map of a tape at a point.
pub(super) struct At {
    pub(super) function: TapeFunction,
    pub(super) x: Vec<Tensor>,
    pub(super) y: Vec<Tensor>,
    pub(super) wrt: Vec<bool>,
}

impl At {
    /// The arguments of a derivative: x, and the directions that are there.
    fn arguments(&self, marks: &[bool], d: &[Option<Tensor>]) -> Vec<Tensor> {
        let given = d.iter().zip(marks).filter(|(_, mark)| **mark);
        self.x
            .iter()
            .cloned()
            .chain(given.filter_map(|(d, _)| Some(d.as_ref()?.detach())))
            .collect()
    }
}

impl LinearMap for At {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        check(self.function.name(), "input directions", Phase::Push, dx, &self.x)?;
        let given: Vec<bool> = dx.iter().zip(&self.wrt).map(|(d, w)| *w && d.is_some()).collect();
        if !given.contains(&true) {
            return Ok(vec![None; self.y.len()]);
        }
        let rule = self.function.derived((Rule::Push, given.clone(), given.clone()));
        let dy = rule.run(&self.arguments(&given, dx), Phase::Push)?;
        Ok(dy.into_iter().map(Some).collect())
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        check(self.function.name(), "output cotangents", Phase::Pull, dy, &self.y)?;
        let given: Vec<bool> = dy.iter().map(Option::is_some).collect();
        if !given.contains(&true) || !self.wrt.contains(&true) {
            return Ok(vec![None; self.x.len()]);
        }
        let rule = self.function.derived((Rule::Pull, self.wrt.clone(), given.clone()));
        let pulled = rule.run(&self.arguments(&given, dy), Phase::Pull).map_err(|mut e| {
            // The rule counts the derivatives that are wanted; the error names the input.
            if let Error::NotFinite { port, .. } = &mut e {
                let input = rule.shared.outputs.get(*port).and_then(|port| port.of);
                *port = input.unwrap_or(*port);
            }
            e
        })?;
        let mut pulled = pulled.into_iter();
        Ok(self.wrt.iter().map(|&wanted| if wanted { pulled.next() } else { None }).collect())
    }
}

/// Directions must match the point they are attached to, and be finite.
fn check(
    node: &str,
    what: &'static str,
    phase: Phase,
    directions: &[Option<Tensor>],
    at: &[Tensor],
) -> Result<()> {
    if directions.len() != at.len() {
        let (expected, got) = (at.len(), directions.len());
        return Err(Error::Arity { node: node.into(), what, expected, got });
    }
    for (port, (d, t)) in directions.iter().zip(at).enumerate() {
        let Some(d) = d else { continue };
        if d.dims() != t.dims() {
            let what = "a direction must have the shape of its variable (direction, variable)";
            return Err(Error::shape(node, what, &[d.dims(), t.dims()]));
        }
        if d.dtype() != t.dtype() {
            let what = "a direction must have its variable's element type (direction, variable)";
            return Err(Error::DType { node: node.into(), what, got: vec![d.dtype(), t.dtype()] });
        }
        if !d.device().same_device(t.device()) {
            let got = vec![d.device().location(), t.device().location()];
            return Err(Error::Device { node: node.into(), got });
        }
        ensure_finite(d, node, phase, port)?;
    }
    Ok(())
}
