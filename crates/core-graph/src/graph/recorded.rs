//! The two chain rules recorded as nodes: derivatives that can be differentiated again.

use candle_core::Tensor;
use smallvec::SmallVec;

use super::{Graph, Kind, Var, nested};
use crate::primitive::{Slots, check_direction, check_slots};
use crate::{Error, Result, Wrt};

impl Graph {
    /// [`Graph::pull`], recorded: seeds (y, dy) and results are variables of this graph, so they can be differentiated again.
    ///
    /// A node whose derivative is not a function again gives `NoHigherOrder`, naming it; never a wrong number.
    pub fn record_pull<'g>(
        &'g self,
        seeds: &[(Var<'g>, Var<'g>)],
        wrt: &[Var<'g>],
    ) -> Result<Vec<Option<Var<'g>>>> {
        let seeds = self.var_seeds("record_pull", seeds)?;
        let wrt = self.parents("record_pull", wrt)?;
        let Some(last) = seeds.iter().map(|(id, _)| *id).max() else {
            return Ok(vec![None; wrt.len()]);
        };
        let reached = self.arena().reached(&wrt, last);
        let mut adjoint: Vec<Option<Var<'g>>> = vec![None; last as usize + 1];
        for (id, dy) in seeds {
            accumulate(&mut adjoint[id as usize], dy);
        }
        let last_node = self.arena().slots[last as usize].node as usize;
        for index in (0..=last_node).rev() {
            let Some(site) = self.site(index, &reached) else { continue };
            let dy: Slots<'g> =
                site.y.iter().map(|y| adjoint.get(y.id() as usize).copied().flatten()).collect();
            if dy.iter().all(Option::is_none) {
                continue;
            }
            let dx = match &site.kind {
                Kind::Primitive(p) => p.pull(&site.x, &site.y, &dy, Wrt(&site.needs))?,
                Kind::Function(a) => {
                    let adjoint = a
                        .function
                        .adjoint(Wrt(&site.needs))
                        .map_err(|e| e.renamed(|inner| nested(a.function.name(), index, inner)))?;
                    let dy =
                        site.y.iter().zip(&dy).map(|(y, d)| d.unwrap_or_else(|| y.zeros_like()));
                    let args: Vec<Var<'g>> =
                        site.x.iter().chain(&site.y).copied().chain(dy).collect();
                    let dx = self.apply(&adjoint, &args)?;
                    let expected = Wrt(&site.needs).count();
                    if dx.len() != expected {
                        let (node, what) = (site.name, "derivatives pulled back");
                        return Err(Error::Arity { node, what, expected, got: dx.len() });
                    }
                    spread(&site.needs, dx)
                }
                Kind::Input | Kind::Constant => continue,
            };
            check_slots("", "derivatives pulled back", &dx, &site.x)
                .map_err(|e| e.renamed(|_| self.arena().name(index)))?;
            for ((x, d), _) in site.x.iter().zip(dx).zip(&site.needs).filter(|(_, n)| **n) {
                if let Some(d) = d {
                    accumulate(&mut adjoint[x.id() as usize], d.ok()?);
                }
            }
        }
        wrt.iter()
            .map(|&id| adjoint.get(id as usize).copied().flatten().map(Var::ok).transpose())
            .collect()
    }

    /// [`Graph::push`], recorded: seeds (x, dx) and results are variables of this graph, so they can be differentiated again.
    pub fn record_push<'g>(
        &'g self,
        seeds: &[(Var<'g>, Var<'g>)],
        of: &[Var<'g>],
    ) -> Result<Vec<Option<Var<'g>>>> {
        let seeds = self.var_seeds("record_push", seeds)?;
        let of = self.parents("record_push", of)?;
        let Some(&last) = of.iter().max() else {
            return Ok(vec![]);
        };
        let from: Vec<u32> = seeds.iter().map(|(id, _)| *id).collect();
        let reached = self.arena().reached(&from, last);
        let mut tangent: Vec<Option<Var<'g>>> = vec![None; last as usize + 1];
        for (id, dx) in seeds.into_iter().filter(|(id, _)| *id <= last) {
            accumulate(&mut tangent[id as usize], dx);
        }
        let last_node = self.arena().slots[last as usize].node as usize;
        for index in 0..=last_node {
            let Some(site) = self.site(index, &reached) else { continue };
            let dx: Slots<'g> = site.x.iter().map(|x| tangent[x.id() as usize]).collect();
            if dx.iter().all(Option::is_none) {
                continue;
            }
            let dy = match &site.kind {
                Kind::Primitive(p) => p.push(&site.x, &site.y, &dx)?,
                Kind::Function(a) => {
                    let given: Vec<bool> = dx.iter().map(Option::is_some).collect();
                    let tangent = a
                        .function
                        .tangent(Wrt(&given))
                        .map_err(|e| e.renamed(|inner| nested(a.function.name(), index, inner)))?;
                    let args: Vec<Var<'g>> = site
                        .x
                        .iter()
                        .chain(&site.y)
                        .copied()
                        .chain(dx.iter().copied().flatten())
                        .collect();
                    self.apply(&tangent, &args)?.into_iter().map(Some).collect()
                }
                Kind::Input | Kind::Constant => continue,
            };
            check_slots("", "derivatives pushed forward", &dy, &site.y)
                .map_err(|e| e.renamed(|_| self.arena().name(index)))?;
            for (y, d) in site.y.iter().zip(dy).filter(|(y, _)| y.id() <= last) {
                if let Some(d) = d {
                    accumulate(&mut tangent[y.id() as usize], d.ok()?);
                }
            }
        }
        of.iter().map(|&id| tangent[id as usize].map(Var::ok).transpose()).collect()
    }

    /// [`Graph::gradient`], recorded.
    pub fn record_gradient<'g>(&'g self, of: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let dims = of.dims()?;
        if dims.iter().product::<usize>() != 1 {
            return Err(Error::shape(self.node_name(of), "a gradient is of one element", &[&dims]));
        }
        let pulled = self.record_pull(&[(of, of.ones_like())], wrt)?;
        Ok(pulled.into_iter().zip(wrt).map(|(d, x)| d.unwrap_or_else(|| x.zeros_like())).collect())
    }

    fn var_seeds<'g>(
        &'g self,
        what: &str,
        seeds: &[(Var<'g>, Var<'g>)],
    ) -> Result<Vec<(u32, Var<'g>)>> {
        let mut out = Vec::with_capacity(seeds.len());
        for &(v, d) in seeds {
            let ids = self.parents(what, &[v, d])?;
            let tensor = |id: u32| -> Tensor { self.arena().slots[id as usize].tensor.clone() };
            check_direction("", &tensor(ids[1]), &tensor(ids[0]))
                .map_err(|e| e.renamed(|_| self.node_name(v)))?;
            out.push((ids[0], d));
        }
        Ok(out)
    }

    /// Node `index` as a rule sees it, if it is an operation that a reached variable enters.
    fn site<'g>(&'g self, index: usize, reached: &[bool]) -> Option<Site<'g>> {
        let arena = self.arena();
        let node = &arena.nodes[index];
        let needs: SmallVec<[bool; 4]> = node
            .parents
            .iter()
            .map(|&p| reached.get(p as usize).copied().unwrap_or(false))
            .collect();
        if !needs.contains(&true) || matches!(node.kind, Kind::Input | Kind::Constant) {
            return None;
        }
        let name = match node.kind {
            Kind::Function(_) => arena.name(index),
            _ => String::new(),
        };
        let x = node.parents.iter().map(|&p| Var::new(self, p)).collect();
        let y = node.outputs().map(|i| Var::new(self, i as u32)).collect();
        Some(Site { kind: node.kind.clone(), name, x, y, needs })
    }
}

struct Site<'g> {
    kind: Kind,
    name: String,
    x: SmallVec<[Var<'g>; 4]>,
    y: SmallVec<[Var<'g>; 2]>,
    needs: SmallVec<[bool; 4]>,
}

fn accumulate<'g>(into: &mut Option<Var<'g>>, d: Var<'g>) {
    *into = Some(into.map_or(d, |have| have + d));
}

/// Puts the derivatives of the wanted inputs into their slots.
fn spread<'g>(wrt: &[bool], derivatives: Vec<Var<'g>>) -> Slots<'g> {
    let mut given = derivatives.into_iter();
    wrt.iter().map(|&b| if b { given.next() } else { None }).collect()
}
