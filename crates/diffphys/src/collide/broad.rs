//! Which geoms are near each other: pairs that may touch at all, and in every step those whose bounding spheres do, by a sweep along the axis
//! on which the geoms are spread most. The order of the pairs is MuJoCo's, whatever the sweep finds first.

use crate::model::{GeomType, Model};
use crate::spatial::{Vec3, dot, sub};
use crate::{Data, Error, Result};

/// Two geoms, ordered by shape, and the explicit pair they are, if any.
type Candidate = ([usize; 2], Option<usize>);

/// Pairs of geoms that may touch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates {
    list: Vec<Candidate>,
    /// Those that a sweep does not find: explicit pairs, and planes.
    always: Vec<u32>,
    /// Per geom of lower number, the other geom and the place in the list, by the other's number.
    start: Vec<usize>,
    partner: Vec<(u32, u32)>,
}

/// Lists with fewer pairs are gone through as they are.
const FEW: usize = 512;

/// May geoms of these two bodies touch at all? Not if they are welded together, parent and child (unless the parent is the world).
fn bodies_may_touch(model: &Model, b1: usize, b2: usize) -> bool {
    let (w1, w2) = (model.body_weldid[b1], model.body_weldid[b2]);
    // What is moved from outside does not push what stands still.
    let fixed = |w: usize| model.body_dofnum[w] == 0;
    if w1 == w2 || (fixed(w1) && fixed(w2)) {
        return false;
    }
    if model.opt.filterparent && w1 != 0 && w2 != 0 {
        let parent = |w: usize| model.body_weldid[model.body_parentid[w]];
        if parent(w1) == w2 || parent(w2) == w1 {
            return false;
        }
    }
    true
}

fn sorted(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// More pairs than this are refused: each is looked at in every step.
const MOST_PAIRS: usize = 4_000_000;

/// Pairs of geoms that may touch, in MuJoCo's order: by bodies; of the same two bodies explicit pairs first, then by geoms.
fn allowed(model: &Model) -> Result<Vec<Candidate>> {
    let mut pairs: Vec<_> = model.pair.iter().enumerate().map(|(k, p)| (p.geom, Some(k))).collect();
    let mut excluded = model.exclude.clone();
    excluded.sort_unstable();
    let mut listed: Vec<_> = model.pair.iter().map(|p| sorted(p.geom[0], p.geom[1])).collect();
    listed.sort_unstable();
    let geoms = |body: usize| {
        let first = model.body_geomadr[body];
        first..first + model.body_geomnum[body]
    };
    let shaped: Vec<_> = (0..model.nbody()).filter(|&b| model.body_geomnum[b] > 0).collect();
    for (k, &b1) in shaped.iter().enumerate() {
        for &b2 in &shaped[k + 1..] {
            if !bodies_may_touch(model, b1, b2) || excluded.binary_search(&(b1, b2)).is_ok() {
                continue;
            }
            for g1 in geoms(b1) {
                if pairs.len() > MOST_PAIRS {
                    let what = format!("more than {MOST_PAIRS} pairs of geoms may touch");
                    return Err(Error::invalid("model", what));
                }
                for g2 in geoms(b2) {
                    let bits = model.geom_contype[g1] & model.geom_conaffinity[g2]
                        | model.geom_contype[g2] & model.geom_conaffinity[g1];
                    if bits != 0 && listed.binary_search(&sorted(g1, g2)).is_err() {
                        let swap = model.geom_type[g1] > model.geom_type[g2];
                        pairs.push((if swap { [g2, g1] } else { [g1, g2] }, None));
                    }
                }
            }
        }
    }
    let body = |g: usize| model.geom_bodyid[g];
    // Stable.
    pairs.sort_by_key(|([g1, g2], _)| sorted(body(*g1), body(*g2)));
    Ok(pairs)
}

/// Pairs of geoms that may touch.
pub(crate) fn candidates(model: &Model) -> Result<Candidates> {
    let list = allowed(model)?;
    let mut out = Candidates::default();
    let mut found = Vec::new();
    for (k, &([g1, g2], pair)) in list.iter().enumerate() {
        if pair.is_some() || model.geom_type[g1] == GeomType::Plane {
            out.always.push(k as u32);
        } else {
            found.push((g1.min(g2) as u32, g1.max(g2) as u32, k as u32));
        }
    }
    found.sort_unstable();
    out.start = (0..=model.ngeom())
        .map(|g| found.partition_point(|&(first, ..)| (first as usize) < g))
        .collect();
    out.partner = found.into_iter().map(|(_, g, k)| (g, k)).collect();
    out.list = list;
    Ok(out)
}

impl Candidates {
    fn place(&self, g1: usize, g2: usize) -> Option<u32> {
        let row = &self.partner[self.start[g1]..self.start[g1 + 1]];
        let at = row.binary_search_by_key(&(g2 as u32), |p| p.0).ok()?;
        Some(row[at].1)
    }
}

/// Margin and gap of a pair.
pub(super) fn margins(model: &Model, [g1, g2]: [usize; 2], pair: Option<usize>) -> (f64, f64) {
    match pair {
        Some(k) => (model.pair[k].margin, model.pair[k].gap),
        None => {
            (model.geom_margin[g1] + model.geom_margin[g2], model.geom_gap[g1] + model.geom_gap[g2])
        }
    }
}

/// Do bounding spheres (or a plane and a sphere) prove that the two are farther apart than `reach`?
fn far_apart(model: &Model, data: &Data, g1: usize, g2: usize, reach: f64) -> bool {
    let (r1, r2) = (model.geom_rbound[g1], model.geom_rbound[g2]);
    let apart = sub(data.geom_xpos[g2], data.geom_xpos[g1]);
    if model.geom_type[g1] == GeomType::Plane {
        let mat = &data.geom_xmat[g1];
        let height = dot(apart, [mat[2], mat[5], mat[8]]);
        model.geom_type[g2] != GeomType::Plane && height > reach + r2
    } else {
        let bound = r1 + r2 + reach;
        dot(apart, apart) > bound * bound || bound < 0.0
    }
}

/// A geom's bounding sphere, margin and gap included.
#[derive(Debug, Clone, Copy)]
struct Sphere {
    /// Its interval on the axis of the sweep.
    lower: f64,
    upper: f64,
    radius: f64,
    at: Vec3,
    geom: u32,
}

/// What a sweep needs and finds; kept so that a step allocates nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broad {
    /// Geoms that are swept, by the lower ends of their bounding spheres.
    order: Vec<Sphere>,
    near: Vec<Candidate>,
    found: Vec<u32>,
}

impl Broad {
    /// Finds the pairs that are near each other at the present positions.
    pub(super) fn look(&mut self, model: &Model, data: &Data) {
        let all = &model.candidates;
        if all.list.len() <= FEW {
            return self.look_at_all(model, data);
        }
        self.found.clear();
        self.found.extend_from_slice(&all.always);
        self.sweep(model, data);
        self.found.sort_unstable();
        self.keep_near(model, data);
    }

    /// The same by looking at every pair that may touch.
    pub(super) fn look_at_all(&mut self, model: &Model, data: &Data) {
        self.found.clear();
        self.found.extend(0..model.candidates.list.len() as u32);
        self.keep_near(model, data);
    }

    fn keep_near(&mut self, model: &Model, data: &Data) {
        let all = &model.candidates;
        self.near.clear();
        for &k in &self.found {
            let (geom, pair) = all.list[k as usize];
            let (margin, gap) = margins(model, geom, pair);
            if !far_apart(model, data, geom[0], geom[1], margin + gap) {
                self.near.push((geom, pair));
            }
        }
    }

    pub(super) fn near(&self) -> &[Candidate] {
        &self.near
    }

    fn sweep(&mut self, model: &Model, data: &Data) {
        let spread = |k: usize| {
            let (mut sum, mut square) = (0.0, 0.0);
            for x in &data.geom_xpos {
                sum += x[k];
                square += x[k] * x[k];
            }
            square - sum * sum / data.geom_xpos.len().max(1) as f64
        };
        let spreads = [0, 1, 2].map(spread);
        let axis = (1..3).fold(0, |best, k| if spreads[k] > spreads[best] { k } else { best });
        self.order.clear();
        for g in (0..model.ngeom()).filter(|&g| model.geom_type[g] != GeomType::Plane) {
            let radius = model.geom_rbound[g] + model.geom_margin[g] + model.geom_gap[g];
            let at = data.geom_xpos[g];
            let (lower, upper) = (at[axis] - radius, at[axis] + radius);
            self.order.push(Sphere { lower, upper, radius, at, geom: g as u32 });
        }
        self.order.sort_unstable_by(|a, b| a.lower.total_cmp(&b.lower).then(a.geom.cmp(&b.geom)));
        for i in 0..self.order.len() {
            let a = self.order[i];
            for b in &self.order[i + 1..] {
                // Rounding must not lose what touches exactly.
                if b.lower > a.upper + 1e-9 * a.upper.abs() {
                    break;
                }
                let (apart, reach) = (sub(b.at, a.at), a.radius + b.radius);
                if dot(apart, apart) > reach * reach * (1.0 + 1e-9) {
                    continue;
                }
                let (first, second) = (a.geom.min(b.geom) as usize, a.geom.max(b.geom) as usize);
                if let Some(k) = model.candidates.place(first, second) {
                    self.found.push(k);
                }
            }
        }
    }
}
