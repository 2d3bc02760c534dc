//! The two chain rules as loops over the arena, on values.
//!
//! Forward:  dx_i = Σ_{g ∈ parents(i)} (∂f_i/∂x_g) dx_g, in recording order.
//! Backward: dL/dx_g = Σ_{i: g ∈ parents(i)} (dL/dx_i) (∂f_i/∂x_g), in reverse.

use std::collections::HashSet;

use candle_core::Tensor;
use smallvec::SmallVec;

use super::{Applied, Arena, Graph, Kind, Known, Node, Var, nested};
use crate::primitive::{Primitive, Slots, check_direction};
use crate::tensor::{ensure_finite, first_not_finite};
use crate::{Direction, Error, Phase, Result, Wrt};

const PULLED: &str = "derivatives pulled back";
const PUSHED: &str = "derivatives pushed forward";

/// Directions of one node, without an allocation for the usual few.
pub(super) type Tensors = SmallVec<[Option<Tensor>; 4]>;

/// What a sweep gives.
pub(super) struct Swept {
    directions: Vec<Direction>,
    /// Which of them need no check.
    known: Known,
}

impl Swept {
    /// Has a loop of the sweep seen that this tensor is finite?
    pub(super) fn knows(&self, t: &Tensor) -> bool {
        self.known.contains(&t.id())
    }
}

impl Arena {
    /// Which slots depend on those of `wrt`.
    pub(super) fn reached(&self, wrt: &[u32], last: u32) -> Vec<bool> {
        let mut reached = vec![false; last as usize + 1];
        let mut start = usize::MAX;
        for &id in wrt.iter().filter(|&&id| id <= last) {
            reached[id as usize] = true;
            start = start.min(self.slots[id as usize].node as usize);
        }
        for node in self.nodes.iter().skip(start) {
            if node.first > last {
                break;
            }
            if node.parents.iter().any(|&p| reached[p as usize]) {
                for i in node.outputs().take_while(|&i| i <= last as usize) {
                    reached[i] = true;
                }
            }
        }
        reached
    }

    fn tensors(&self, ids: impl Iterator<Item = usize>) -> Vec<Tensor> {
        ids.map(|i| self.slots[i].tensor.clone()).collect()
    }

    /// Backward sweep: the derivative of Σ ⟨seed, slot⟩ with respect to each slot of `wrt`, for several sets of seeds at once.
    ///
    /// Nothing passes through the slots of `held`.
    pub(super) fn pull(
        &self,
        seeds: &[Vec<(u32, Tensor)>],
        wrt: &[u32],
        held: &[u32],
        located: bool,
    ) -> Result<Swept> {
        let k = seeds.len();
        let Some(last) = seeds.iter().flatten().map(|(id, _)| *id).max() else {
            return Ok(Swept { directions: vec![vec![None; wrt.len()]; k], known: Known::new() });
        };
        let reached = self.reached(wrt, last);
        let mut keep = vec![false; last as usize + 1];
        wrt.iter().filter(|&&id| id <= last).for_each(|&id| keep[id as usize] = true);
        let held: HashSet<u32> = held.iter().copied().collect();
        let mut scratch = Graph::scratch();
        let mut adjoint: Vec<Vec<Option<Tensor>>> = vec![vec![None; last as usize + 1]; k];
        for (adjoint, seeds) in adjoint.iter_mut().zip(seeds) {
            for (id, t) in seeds {
                accumulate(&mut adjoint[*id as usize], t.clone())?;
            }
        }
        let last_node = self.slots[last as usize].node as usize;
        for index in (0..=last_node).rev() {
            let node = &self.nodes[index];
            if matches!(node.kind, Kind::Input | Kind::Constant)
                || !node.parents.iter().any(|&p| reached[p as usize])
            {
                continue;
            }
            let needs: SmallVec<[bool; 4]> =
                node.parents.iter().map(|&p| reached[p as usize]).collect();
            let take = |adjoint: &mut Vec<Option<Tensor>>, i: usize| match keep.get(i) {
                None => None,
                Some(_) if held.contains(&(i as u32)) => None,
                Some(true) => adjoint[i].clone(),
                Some(false) => adjoint[i].take(),
            };
            let add = |adjoint: &mut Vec<Option<Tensor>>, slot: usize, d: Tensor| {
                if located {
                    ensure_finite(&d, "", Phase::Pull, slot)
                        .map_err(|e| e.renamed(|_| self.name(index)))?;
                }
                accumulate(&mut adjoint[node.parents[slot] as usize], d)
            };
            match &node.kind {
                Kind::Input | Kind::Constant => {}
                Kind::Primitive(p) => {
                    for adjoint in &mut adjoint {
                        let dy = node.outputs().map(|i| take(adjoint, i));
                        let dx = self
                            .pull_primitive(&mut scratch, &**p, node, dy, &needs)
                            .map_err(|e| self.at(index, Phase::Pull, e))?;
                        for (slot, d) in dx.into_iter().enumerate().filter(|(i, _)| needs[*i]) {
                            d.map_or(Ok(()), |d| add(adjoint, slot, d))?;
                        }
                    }
                }
                Kind::Function(applied) => {
                    let incoming: Vec<Direction> = adjoint
                        .iter_mut()
                        .map(|a| node.outputs().map(|i| take(a, i)).collect())
                        .collect();
                    if incoming.iter().flatten().all(Option::is_none) {
                        continue;
                    }
                    let outgoing = self
                        .pull_function(applied, node, &incoming, &needs)
                        .map_err(|e| self.at(index, Phase::Pull, e))?;
                    for (adjoint, dx) in adjoint.iter_mut().zip(outgoing) {
                        for (slot, d) in dx.into_iter().enumerate().filter(|(i, _)| needs[*i]) {
                            d.map_or(Ok(()), |d| add(adjoint, slot, d))?;
                        }
                    }
                }
            }
        }
        let pick = |a: &Vec<Option<Tensor>>| {
            wrt.iter().map(|&id| a.get(id as usize).cloned().flatten()).collect()
        };
        Ok(Swept { directions: adjoint.iter().map(pick).collect(), known: scratch.into_known() })
    }

    /// The backward rule of a primitive on values; nothing for no cotangent.
    pub(super) fn pull_primitive(
        &self,
        scratch: &mut Graph,
        p: &dyn Primitive,
        node: &Node,
        dy: impl Iterator<Item = Option<Tensor>>,
        needs: &[bool],
    ) -> Result<Tensors> {
        scratch.clear();
        let dy: Slots<'_> = dy.map(|t| t.map(|t| scratch.slot(t))).collect();
        if dy.iter().all(Option::is_none) {
            return Ok(Tensors::new());
        }
        let (x, y) = self.load(scratch, node);
        let dx = values(p.pull(&x, &y, &dy, Wrt(needs))?)?;
        self.check_pulled(p.name(), node, &dx)?;
        Ok(dx)
    }

    pub(super) fn pull_function(
        &self,
        applied: &Applied,
        node: &Node,
        dy: &[Direction],
        needs: &[bool],
    ) -> Result<Vec<Direction>> {
        let x = || self.tensors(node.parents.iter().map(|&p| p as usize));
        let dx = applied.map(needs, x)?.pull_many(dy)?;
        let name = applied.function.name();
        count(name, PULLED, dy.len(), dx.len())?;
        dx.iter().try_for_each(|d| self.check_pulled(name, node, d))?;
        Ok(dx)
    }

    /// Forward sweep: the derivative of each slot of `of` along the seeds, for several directions at once.
    ///
    /// The slots of `held` do not move.
    pub(super) fn push(
        &self,
        seeds: &[Vec<(u32, Tensor)>],
        of: &[u32],
        held: &[u32],
        located: bool,
    ) -> Result<Swept> {
        let k = seeds.len();
        let from: Vec<u32> = seeds.iter().flatten().map(|(id, _)| *id).collect();
        let (Some(&last), false) = (of.iter().max(), from.is_empty()) else {
            return Ok(Swept { directions: vec![vec![None; of.len()]; k], known: Known::new() });
        };
        let reached = self.reached(&from, last);
        let wanted = self.ancestors(of, last);
        let mut scratch = Graph::scratch();
        let held: HashSet<u32> = held.iter().copied().collect();
        let mut tangent: Vec<Vec<Option<Tensor>>> = vec![vec![None; last as usize + 1]; k];
        for (tangent, seeds) in tangent.iter_mut().zip(seeds) {
            for (id, t) in seeds.iter().filter(|(id, _)| *id <= last) {
                accumulate(&mut tangent[*id as usize], t.clone())?;
            }
        }
        let last_node = self.slots[last as usize].node as usize;
        let first_node =
            from.iter().map(|&id| self.slots[id as usize].node as usize).min().unwrap_or(0);
        for index in first_node..=last_node {
            let node = &self.nodes[index];
            if matches!(node.kind, Kind::Input | Kind::Constant)
                || !wanted[index]
                || !node.parents.iter().any(|&p| reached[p as usize])
            {
                continue;
            }
            let needs: SmallVec<[bool; 4]> =
                node.parents.iter().map(|&p| reached[p as usize]).collect();
            let add = |tangent: &mut Vec<Option<Tensor>>, port: usize, d: Tensor| {
                let i = node.first as usize + port;
                if last < i as u32 || held.contains(&(i as u32)) {
                    return Ok(());
                }
                if located {
                    ensure_finite(&d, "", Phase::Push, port)
                        .map_err(|e| e.renamed(|_| self.name(index)))?;
                }
                accumulate(&mut tangent[i], d)
            };
            let along = |t: &Vec<Option<Tensor>>| -> Direction {
                node.parents.iter().map(|&p| t[p as usize].clone()).collect()
            };
            match &node.kind {
                Kind::Input | Kind::Constant => {}
                Kind::Primitive(p) => {
                    for tangent in &mut tangent {
                        let dx = along(tangent);
                        let dy = self
                            .push_primitive(&mut scratch, &**p, node, &dx)
                            .map_err(|e| self.at(index, Phase::Push, e))?;
                        for (port, d) in dy.into_iter().enumerate() {
                            d.map_or(Ok(()), |d| add(tangent, port, d))?;
                        }
                    }
                }
                Kind::Function(applied) => {
                    let incoming: Vec<Direction> = tangent.iter().map(along).collect();
                    if incoming.iter().flatten().all(Option::is_none) {
                        continue;
                    }
                    let outgoing = self
                        .push_function(applied, node, &incoming, &needs)
                        .map_err(|e| self.at(index, Phase::Push, e))?;
                    for (tangent, dy) in tangent.iter_mut().zip(outgoing) {
                        for (port, d) in dy.into_iter().enumerate() {
                            d.map_or(Ok(()), |d| add(tangent, port, d))?;
                        }
                    }
                }
            }
        }
        let pick = |t: &Vec<Option<Tensor>>| of.iter().map(|&id| t[id as usize].clone()).collect();
        Ok(Swept { directions: tangent.iter().map(pick).collect(), known: scratch.into_known() })
    }

    fn push_primitive(
        &self,
        scratch: &mut Graph,
        p: &dyn Primitive,
        node: &Node,
        dx: &[Option<Tensor>],
    ) -> Result<Tensors> {
        if dx.iter().all(Option::is_none) {
            return Ok(Tensors::new());
        }
        scratch.clear();
        let (x, y) = self.load(scratch, node);
        let dy = values(p.push(&x, &y, &load(scratch, dx))?)?;
        self.check_pushed(p.name(), node, &dy)?;
        Ok(dy)
    }

    fn push_function(
        &self,
        applied: &Applied,
        node: &Node,
        dx: &[Direction],
        needs: &[bool],
    ) -> Result<Vec<Direction>> {
        let x = || self.tensors(node.parents.iter().map(|&p| p as usize));
        let dy = applied.map(needs, x)?.push_many(dx)?;
        let name = applied.function.name();
        count(name, PUSHED, dx.len(), dy.len())?;
        dy.iter().try_for_each(|d| self.check_pushed(name, node, d))?;
        Ok(dy)
    }

    /// Which nodes lead to the slots of `of`.
    fn ancestors(&self, of: &[u32], last: u32) -> Vec<bool> {
        let last_node = self.slots[last as usize].node as usize;
        let mut wanted = vec![false; last_node + 1];
        of.iter().for_each(|&id| wanted[self.slots[id as usize].node as usize] = true);
        for index in (0..=last_node).rev() {
            if wanted[index] {
                self.nodes[index]
                    .parents
                    .iter()
                    .for_each(|&p| wanted[self.slots[p as usize].node as usize] = true);
            }
        }
        wanted
    }

    fn load<'g>(
        &self,
        scratch: &'g Graph,
        node: &Node,
    ) -> (SmallVec<[Var<'g>; 4]>, SmallVec<[Var<'g>; 2]>) {
        let slot = |i: usize| scratch.slot(self.slots[i].tensor.clone());
        (
            node.parents.iter().map(|&p| slot(p as usize)).collect(),
            node.outputs().map(slot).collect(),
        )
    }

    fn check_pulled(&self, name: &str, node: &Node, dx: &[Option<Tensor>]) -> Result<()> {
        let at = node.parents.iter().map(|&p| &self.slots[p as usize].tensor);
        check_slots(name, PULLED, dx, at)
    }

    fn check_pushed(&self, name: &str, node: &Node, dy: &[Option<Tensor>]) -> Result<()> {
        let at = node.outputs().map(|i| &self.slots[i].tensor);
        check_slots(name, PUSHED, dy, at)
    }

    /// Puts the name of a node into an error, and the sweep: the rules of primitives evaluate operations, but not as values.
    fn at(&self, index: usize, sweep: Phase, mut e: Error) -> Error {
        match &self.nodes[index].kind {
            Kind::Function(a) => e.renamed(|inner| nested(a.function.name(), index, inner)),
            _ => {
                if let Error::NotFinite { phase, .. } = &mut e {
                    *phase = sweep;
                }
                e.renamed(|_| self.name(index))
            }
        }
    }
}

fn count(node: &str, what: &'static str, expected: usize, got: usize) -> Result<()> {
    match expected == got {
        true => Ok(()),
        false => Err(Error::Arity { node: node.into(), what, expected, got }),
    }
}

/// A rule from outside must return the right number of derivatives, each of the right shape.
fn check_slots<'a>(
    name: &str,
    what: &'static str,
    d: &[Option<Tensor>],
    at: impl ExactSizeIterator<Item = &'a Tensor>,
) -> Result<()> {
    count(name, what, at.len(), d.len())?;
    for (d, t) in d.iter().zip(at) {
        d.as_ref().map_or(Ok(()), |d| check_direction(name, d, t))?;
    }
    Ok(())
}

fn load<'g>(scratch: &'g Graph, d: &[Option<Tensor>]) -> Slots<'g> {
    d.iter().map(|d| d.as_ref().map(|t| scratch.slot(t.clone()))).collect()
}

fn values(slots: Slots<'_>) -> Result<Tensors> {
    slots.into_iter().map(|v| v.map(Var::value).transpose()).collect()
}

fn accumulate(into: &mut Option<Tensor>, t: Tensor) -> Result<()> {
    *into = Some(match into.take() {
        None => t,
        Some(have) => crate::kernel::add(&have, &t)?,
    });
    Ok(())
}

/// The derivatives, if finite; else the sweep is run again to find the node where it began.
pub(super) fn finite_or_located(
    finite: bool,
    out: Result<Swept>,
    again: impl FnOnce() -> Result<Swept>,
    phase: Phase,
) -> Result<Vec<Direction>> {
    let out = match out {
        // A rule refused what a node before it made: that node is to blame.
        Err(e @ (Error::NotFinite { .. } | Error::NoConvergence { .. })) if finite => {
            return Err(again().err().unwrap_or(e));
        }
        out => out?,
    };
    if finite {
        for (port, t) in out.directions.iter().flat_map(|d| d.iter().enumerate()) {
            if let Some(t) = t.as_ref().filter(|t| !out.knows(t))
                && let Some((index, value)) = first_not_finite(t)?
            {
                again()?;
                return Err(Error::NotFinite {
                    node: "sum of contributions".into(),
                    phase,
                    port,
                    index,
                    value,
                });
            }
        }
    }
    Ok(out.directions)
}
