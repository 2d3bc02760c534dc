//! Gradients at random and degenerate states: no panic, no NaN; what cannot be differentiated is an error.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_diffphys::{Cotangent, Data, Model, Parameter, StepDerivative, mjcf};
use rand::{Rng, SeedableRng, rngs::StdRng};

const MODELS: [(&str, &str); 6] = [
    ("shapes", include_str!("../../../../crates/diffphys/tests/models/shapes.xml")),
    ("cones", include_str!("../../../../crates/diffphys/tests/models/cones.xml")),
    ("pile", include_str!("../../../../crates/diffphys/tests/models/pile.xml")),
    ("arm", include_str!("../../../../crates/diffphys/tests/models/arm.xml")),
    ("arm, implicit", include_str!("../../../../crates/diffphys/tests/models/arm_implicit.xml")),
    (
        "point",
        "<mujoco><worldbody><geom type='plane' size='1 1 1'/><body><freejoint/><geom size='0.1'/></body></worldbody></mujoco>",
    ),
];

#[derive(Default)]
struct Counts {
    calls: f64,
    refused: f64,
    not_finite: f64,
    panics: f64,
}

/// Positions and velocities of every size, with exact zeros, coincidences and quaternions that are none.
fn degenerate(model: &Model, random: &mut StdRng, data: &mut Data) {
    let size = [0.0, 1e-12, 1e-3, 0.1, 1.0, 30.0][random.random_range(0..6)];
    data.qpos.copy_from_slice(model.qpos0());
    for q in &mut data.qpos {
        match random.random_range(0..8) {
            0 => *q = 0.0,
            1 => *q = (*q * 4.0).round() / 4.0,
            _ => *q += size * random.random_range(-1.0..1.0),
        }
    }
    for v in data.qvel.iter_mut().chain(&mut data.act).chain(&mut data.ctrl) {
        *v = if random.random_bool(0.2) { 0.0 } else { size * random.random_range(-1.0..1.0) };
    }
}

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let calls = if quick { 2_000 } else { 1_000_000 };
    let mut counts = Counts::default();
    let mut random = StdRng::seed_from_u64(6);
    for (_, text) in MODELS {
        let model = mjcf::parse(text)?;
        let mut data = Data::new(&model);
        let mut step = StepDerivative::new(&model);
        let mut next = Cotangent::zeros(&model);
        let mut out = Cotangent::zeros(&model);
        let mut parameter = vec![0.0; model.parameter(Parameter::GeomFriction).len()];
        for _ in 0..calls / MODELS.len() {
            degenerate(&model, &mut random, &mut data);
            for x in next.qpos.iter_mut().chain(&mut next.qvel) {
                *x = random.random_range(-1.0..1.0);
            }
            out.clear();
            parameter.fill(0.0);
            let call = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                step.evaluate(&model, &data)?;
                step.pull(&model, &next, &mut out)?;
                step.pull_parameter(&model, Parameter::GeomFriction, &mut parameter)
            }));
            counts.calls += 1.0;
            match call {
                Err(_) => {
                    counts.panics += 1.0;
                    step = StepDerivative::new(&model);
                }
                Ok(Err(_)) => counts.refused += 1.0,
                Ok(Ok(())) => {
                    let all = out.qpos.iter().chain(&out.qvel).chain(&parameter);
                    if all.into_iter().any(|x| !x.is_finite()) {
                        counts.not_finite += 1.0;
                    }
                }
            }
        }
    }
    let calls = counts.calls;
    output.push(Row::new("gradients at random and degenerate states", "calls", calls))?;
    output.push(Row::new("of them: NaN or infinity", "calls", counts.not_finite).at_most(0.0))?;
    output.push(Row::new("of them: panics", "calls", counts.panics).at_most(0.0))?;
    output.push(Row::new("of them: refused by an error", "calls", counts.refused))
}
