//! The parity ladder: one row for each model of gymnasium and dm_control that moves; what is not supported is named.

use super::numbers::{Numbers, apart, files};
use anyhow::{Context, Result};
use benches::output::Output;
use benches::peer::Peer;
use benches::row::Row;
use pullback_diffphys::{Data, Model, Options, mjcf};
use serde_json::json;
use std::path::Path;

/// The models that need no more than Euler or Runge-Kutta, primitive shapes, hinges, slides and free joints, limits, fixed tendons.
pub(crate) const FIRST_RUNG: [&str; 22] = [
    "gymnasium/ant",
    "gymnasium/half_cheetah",
    "gymnasium/hopper",
    "gymnasium/humanoid",
    "gymnasium/humanoidstandup",
    "gymnasium/inverted_double_pendulum",
    "gymnasium/inverted_pendulum",
    "gymnasium/point",
    "gymnasium/pusher",
    "gymnasium/pusher_v5",
    "gymnasium/reacher",
    "gymnasium/walker2d",
    "gymnasium/walker2d_v5",
    "dm_control/acrobot",
    "dm_control/cartpole",
    "dm_control/cheetah",
    "dm_control/hopper",
    "dm_control/humanoid",
    "dm_control/pendulum",
    "dm_control/point_mass",
    "dm_control/reacher",
    "dm_control/walker",
];

/// Others that have degrees of freedom.
const SECOND_RUNG: [&str; 10] = [
    "gymnasium/swimmer",
    "dm_control/ball_in_cup",
    "dm_control/dog",
    "dm_control/finger",
    "dm_control/fish",
    "dm_control/humanoid_CMU",
    "dm_control/manipulator",
    "dm_control/quadruped",
    "dm_control/stacker",
    "dm_control/swimmer",
];

/// `gymnasium/ant` from its path.
pub(crate) fn short(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let name = path.file_stem().unwrap_or_default();
    format!("{}/{}", folder.to_string_lossy(), name.to_string_lossy())
}

/// A model, solved as far as rounding lets it.
pub(crate) fn exact(path: &Path) -> pullback_diffphys::Result<Model> {
    let mut model = mjcf::load(path)?;
    let options = Options { tolerance: 0.0, iterations: 100, ls_iterations: 100, ..*model.opt() };
    model.set_options(options)?;
    Ok(model)
}

/// The worst error of each kind.
#[derive(Default)]
struct Errors {
    smooth: f64,
    rows: f64,
    forces: f64,
    inverse: f64,
    step: f64,
    contacts: usize,
    states: usize,
}

impl Errors {
    /// Within the limits of the first rung.
    fn small(&self) -> bool {
        self.smooth <= 1e-12
            && self.rows <= 1e-10
            && self.forces <= 1e-8
            && self.inverse <= 1e-9
            && self.step <= 1e-9
    }
}

pub(crate) fn rows(output: &mut Output, peer: &mut Peer, quick: bool) -> Result<()> {
    let found = files("mjcf", "xml")?;
    let (mut worst, mut supported, mut loaded, mut followed) = (Errors::default(), 0, 0, 0);
    for name in FIRST_RUNG.iter().chain(&SECOND_RUNG) {
        let path = found.iter().find(|p| short(p) == *name);
        let path = path.with_context(|| format!("{name} is missing from target/data/mjcf"))?;
        let first = FIRST_RUNG.contains(name);
        let model = exact(path);
        loaded += u32::from(model.is_ok());
        let outcome = model
            .map_err(anyhow::Error::from)
            .and_then(|model| compare(&model, path, peer, if quick { 3 } else { 12 }));
        followed += u32::from(outcome.as_ref().is_ok_and(Errors::small));
        match outcome {
            Ok(e) => {
                let all = [e.smooth, e.rows, e.forces, e.inverse, e.step];
                let text = format!(
                    "{name}: {} states, {} contacts; smooth {:.0e}, rows {:.0e}, forces {:.0e}, inverse {:.0e}, step {:.0e}",
                    e.states, e.contacts, e.smooth, e.rows, e.forces, e.inverse, e.step
                );
                output.push(Row::new(text, "relative", all.into_iter().fold(0.0, f64::max)))?;
                if first {
                    supported += 1;
                    worst.smooth = worst.smooth.max(e.smooth);
                    worst.rows = worst.rows.max(e.rows);
                    worst.forces = worst.forces.max(e.forces);
                    worst.inverse = worst.inverse.max(e.inverse);
                    worst.step = worst.step.max(e.step);
                    worst.contacts += e.contacts;
                }
            }
            Err(e) => output.push(Row::new(format!("{name}: {e:#}"), "relative", f64::NAN))?,
        }
    }
    let row = |name: &str, value: f64, limit: f64| {
        Row::new(format!("first rung: {name}"), "relative", value).at_most(limit)
    };
    output.push(Row::new("all rungs: models that load", "of 32", f64::from(loaded)))?;
    let text = "all rungs: models within the first rung's limits at every state";
    output.push(Row::new(text, "of 32", f64::from(followed)))?;
    output.push(Row::new("first rung: models", "of 22", f64::from(supported)).at_least(22.0))?;
    output.push(Row::new("first rung: contacts compared", "contacts", worst.contacts as f64))?;
    output.push(row("smooth terms", worst.smooth, 1e-12))?;
    output.push(row("contacts and rows", worst.rows, 1e-10))?;
    output.push(row("qacc and forces", worst.forces, 1e-8))?;
    output.push(row("inverse dynamics", worst.inverse, 1e-9))?;
    output.push(row("one step", worst.step, 1e-9))
}

fn compare(model: &Model, path: &Path, peer: &mut Peer, count: usize) -> Result<Errors> {
    let parameters = json!({"path": path, "count": count, "every": 37, "seed": 5});
    let case = peer.load("mujoco/diffphys_states", parameters)?;
    let mut numbers = Numbers::new(peer.values(&case)?);
    let mut e = Errors::default();
    let mut data = Data::new(model);
    e.smooth = e.smooth.max(apart(model.body_mass(), numbers.next()?));
    e.rows = e.rows.max(apart(model.body_invweight0().as_flattened(), numbers.next()?));
    e.rows = e.rows.max(apart(model.dof_invweight0(), numbers.next()?));
    let states = numbers.next()?[0] as usize;
    for _ in 0..states {
        numbers.state(&mut data)?;
        let start = data.clone();
        model.forward(&mut data)?;
        e.states += 1;
        let smooth = [
            data.subtree_com().as_flattened(),
            data.xipos().as_flattened(),
            data.cvel().as_flattened(),
            data.qfrc_bias(),
            data.qfrc_passive(),
            data.qfrc_actuator(),
        ];
        for ours in smooth {
            e.smooth = e.smooth.max(apart(ours, numbers.next()?));
        }
        // M⁻¹ amplifies rounding by its condition.
        e.forces = e.forces.max(apart(data.qacc_smooth(), numbers.next()?));
        e.forces = e.forces.max(apart(data.qacc(), numbers.next()?));
        e.forces = e.forces.max(apart(data.qfrc_constraint(), numbers.next()?));
        e.smooth = e.smooth.max(apart(data.qM(), numbers.next()?));
        e.rows = e.rows.max(contacts(&data, numbers.next()?));
        e.contacts += data.contact().len();
        let efc = data.efc();
        let sorted = |v: &[f64]| {
            let mut v = v.to_vec();
            v.sort_by(f64::total_cmp);
            v
        };
        for ours in [efc.pos(), efc.D(), efc.aref()] {
            e.rows = e.rows.max(apart(&sorted(ours), numbers.next()?));
        }
        e.forces = e.forces.max(apart(&sorted(efc.force()), numbers.next()?));
        let acceleration = numbers.next()?.to_vec();
        model.inverse(&mut data, &acceleration)?;
        e.inverse = e.inverse.max(apart(data.qfrc_inverse(), numbers.next()?));
        let mut data = start;
        model.step(&mut data)?;
        let next = [data.qpos.as_slice(), &data.qvel, &data.act].concat();
        e.step = e.step.max(apart(&next, numbers.next()?));
    }
    Ok(e)
}

/// The worst difference of distance, position and frame, each contact against the nearest of the same geoms; infinite if they are not as
/// many.
fn contacts(data: &Data, theirs: &[f64]) -> f64 {
    const WIDTH: usize = 15;
    let mut free: Vec<&[f64]> = theirs.chunks_exact(WIDTH).collect();
    if free.len() != data.contact().len() {
        return f64::INFINITY;
    }
    let mut worst: f64 = 0.0;
    for c in data.contact() {
        let own = [c.dist, c.pos[0], c.pos[1], c.pos[2]];
        let nearest = free
            .iter()
            .enumerate()
            .filter(|(_, t)| t[0] == c.geom[0] as f64 && t[1] == c.geom[1] as f64)
            .map(|(k, t)| (k, apart(&own, &t[2..6]).max(apart(&c.frame, &t[6..15]))))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((k, error)) = nearest else { return f64::INFINITY };
        free.remove(k);
        worst = worst.max(error);
    }
    worst
}
