//! The derivatives that a user asks a graph for, on values.

use candle_core::Tensor;

use super::sweep::finite_or_located;
use super::{Arena, Graph, Kind, LONG, Var};
use crate::primitive::check_direction;
use crate::tensor::ensure_finite;
use crate::{Direction, Error, Phase, Result};

impl Graph {
    fn ids<'g>(&'g self, what: &str, vars: &[Var<'g>]) -> Result<Vec<u32>> {
        Ok(self.parents(what, vars)?.into_vec())
    }

    fn seeds<'g>(
        &'g self,
        what: &str,
        phase: Phase,
        seeds: &[(Var<'g>, Tensor)],
    ) -> Result<Vec<(u32, Tensor)>> {
        let mut out = Vec::with_capacity(seeds.len());
        for (v, t) in seeds {
            let id = self.parents(what, &[*v])?[0];
            let arena = self.arena();
            check_direction("", t, &arena.slots[id as usize].tensor)
                .map_err(|e| e.renamed(|_| arena.name_of_slot(id)))?;
            let seed = (id, t.detach());
            if !arena.looks_later(&seed, phase) {
                arena.look_at_seed(&seed, phase)?;
            }
            out.push(seed);
        }
        Ok(out)
    }

    /// Backward chain rule: the derivative of Σ ⟨dy, y⟩ over the seeds (y, dy) with respect to each variable of `wrt`.
    ///
    /// Each dy has the shape of its y. A slot is `None` where no y depends on the variable. The cost is that of one backward
    /// sweep over the nodes between `wrt` and the seeds; the others are skipped.
    pub fn pull<'g>(&'g self, seeds: &[(Var<'g>, Tensor)], wrt: &[Var<'g>]) -> Result<Direction> {
        let seeds = vec![self.seeds("pull", Phase::Pull, seeds)?];
        Ok(self.pull_ids(&seeds, &self.ids("pull", wrt)?, &[])?.swap_remove(0))
    }

    /// Forward chain rule: the derivative of each variable of `of` along the seeds (x, dx).
    ///
    /// Each dx has the shape of its x. A slot is `None` where the variable depends on no x.
    pub fn push<'g>(&'g self, seeds: &[(Var<'g>, Tensor)], of: &[Var<'g>]) -> Result<Direction> {
        let seeds = vec![self.seeds("push", Phase::Push, seeds)?];
        Ok(self.push_ids(&seeds, &self.ids("push", of)?, &[])?.swap_remove(0))
    }

    /// [`Graph::pull`] for several sets of cotangents in one sweep.
    pub fn pull_many<'g>(
        &'g self,
        seeds: &[Vec<(Var<'g>, Tensor)>],
        wrt: &[Var<'g>],
    ) -> Result<Vec<Direction>> {
        let seeds: Result<Vec<_>> =
            seeds.iter().map(|s| self.seeds("pull", Phase::Pull, s)).collect();
        self.pull_ids(&seeds?, &self.ids("pull", wrt)?, &[])
    }

    /// [`Graph::push`] for several directions in one sweep.
    pub fn push_many<'g>(
        &'g self,
        seeds: &[Vec<(Var<'g>, Tensor)>],
        of: &[Var<'g>],
    ) -> Result<Vec<Direction>> {
        let seeds: Result<Vec<_>> =
            seeds.iter().map(|s| self.seeds("push", Phase::Push, s)).collect();
        self.push_ids(&seeds?, &self.ids("push", of)?, &[])
    }

    pub(super) fn pull_ids(
        &self,
        seeds: &[Vec<(u32, Tensor)>],
        wrt: &[u32],
        held: &[u32],
    ) -> Result<Vec<Direction>> {
        let arena = self.arena();
        let out = arena.pull(seeds, wrt, held, false);
        let known = |t: &Tensor| out.as_ref().is_ok_and(|out| out.knows(t));
        for seed in seeds.iter().flatten() {
            if arena.looks_later(seed, Phase::Pull) && !known(&seed.1) {
                arena.look_at_seed(seed, Phase::Pull)?;
            }
        }
        finite_or_located(
            self.options.finite,
            out,
            || arena.pull(seeds, wrt, held, true),
            Phase::Pull,
        )
    }

    pub(super) fn push_ids(
        &self,
        seeds: &[Vec<(u32, Tensor)>],
        of: &[u32],
        held: &[u32],
    ) -> Result<Vec<Direction>> {
        let arena = self.arena();
        let out = arena.push(seeds, of, held, false);
        let again = || arena.push(seeds, of, held, true);
        finite_or_located(self.options.finite, out, again, Phase::Push)
    }

    /// The gradient of a variable of one element: one tensor for each variable of `wrt`, zeros where it does not depend on it.
    pub fn gradient<'g>(&'g self, of: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Tensor>> {
        let y = of.value()?;
        if y.elem_count() != 1 {
            let what =
                "a gradient is of one element; pull a cotangent or ask for the total derivative";
            return Err(Error::shape(self.node_name(of), what, &[y.dims()]));
        }
        let pulled = self.pull(&[(of, y.ones_like()?)], wrt)?;
        pulled
            .into_iter()
            .zip(wrt)
            .map(|(d, x)| d.map_or_else(|| Ok(x.value()?.zeros_like()?), Ok))
            .collect()
    }
}

impl Arena {
    /// Is this direction looked at after the sweep, unless an operation of the sweep has done so? Long ones that enter an operation are;
    /// a function may take any trouble with NaN.
    fn looks_later(&self, (id, t): &(u32, Tensor), phase: Phase) -> bool {
        let node = &self.nodes[self.slots[*id as usize].node as usize];
        matches!((phase, &node.kind), (Phase::Pull, Kind::Primitive(_))) && LONG <= t.elem_count()
    }

    /// Errors: NaN or infinity in a direction that a user gave.
    fn look_at_seed(&self, (id, t): &(u32, Tensor), phase: Phase) -> Result<()> {
        let name = || format!("direction at {}", self.name_of_slot(*id));
        ensure_finite(t, "", phase, 0).map_err(|e| e.renamed(|_| name()))
    }
}
