//! One object for another: derivatives after something else was evaluated, another model, other controls, other forms of a parameter.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::{direction, error, model};
use pullback_diffphys::{
    Cotangent, Data, DynamicsDerivative, Error, Model, Options, Parameter, Rollout, StepDerivative,
    mjcf,
};

fn refused(outcome: Result<(), Error>, with: &str) {
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains(with), "{message}");
}

fn parse(inside: &str) -> Model {
    mjcf::parse(&format!("<mujoco><worldbody>{inside}</worldbody></mujoco>")).unwrap()
}

/// A and B of Runge-Kutta are made of pulls; what they leave behind is not the caller's pull.
#[test]
fn parameters_belong_to_the_callers_pull() {
    for (name, kept) in [("arm", true), ("arm_rk", false)] {
        let model = model(name);
        let mut step = StepDerivative::new(&model);
        step.evaluate(&model, &common::states(&model, 1, 9)[0]).unwrap();
        let n = 2 * model.nv() + model.na();
        let (mut next, mut out) = (Cotangent::zeros(&model), Cotangent::zeros(&model));
        next.qvel.copy_from_slice(&direction(model.nv()));
        let mut mass = [vec![0.0; model.nbody()], vec![0.0; model.nbody()]];
        step.pull(&model, &next, &mut out).unwrap();
        step.pull_parameter(&model, Parameter::BodyMass, &mut mass[0]).unwrap();
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
        let mut pushed = Cotangent::zeros(&model);
        for way in 0..2 {
            step.pull(&model, &next, &mut out).unwrap();
            if way == 0 {
                step.jacobians(&model, &mut a, &mut b).unwrap();
            } else {
                step.push(&model, &next, &mut pushed).unwrap();
            }
            mass[1].fill(0.0);
            let after = step.pull_parameter(&model, Parameter::BodyMass, &mut mass[1]);
            if kept {
                after.unwrap();
                assert_eq!(mass[0], mass[1], "{name}");
            } else {
                refused(after, "nothing has been pulled");
            }
        }
        step.evaluate(&model, &Data::new(&model)).unwrap();
        step.jacobians(&model, &mut a, &mut b).unwrap();
        let after = step.pull_parameter(&model, Parameter::BodyMass, &mut mass[1]);
        refused(after, "nothing has been pulled");
    }
}

#[test]
fn another_model_than_the_evaluated_one() {
    let hinge = parse(r#"<body><joint/><geom size="0.1" pos="0.3 0 0"/></body>"#);
    let free = parse(r#"<body><freejoint/><geom size="0.1"/></body>"#);
    let mut step = StepDerivative::new(&hinge);
    step.evaluate(&hinge, &Data::new(&hinge)).unwrap();
    let (next, mut out) = (Cotangent::zeros(&free), Cotangent::zeros(&free));
    refused(step.pull(&free, &next, &mut out), "nq = 1, this model has 7");
    refused(step.push(&free, &next, &mut out), "nq = 1, this model has 7");
    refused(step.jacobians(&free, &mut [0.0; 144], &mut []), "nq = 1, this model has 7");
    let (next, mut out) = (Cotangent::zeros(&hinge), Cotangent::zeros(&hinge));
    step.pull(&hinge, &next, &mut out).unwrap();
    refused(
        step.pull_parameter(&free, Parameter::BodyMass, &mut [0.0; 2]),
        "nq = 1, this model has 7",
    );
    let mut slower = hinge.clone();
    slower.set_options(Options { timestep: 0.001, ..*hinge.opt() }).unwrap();
    refused(step.pull(&slower, &next, &mut out), "other options");
    // Numbers of the same kinds, of other elements.
    let site = parse(r#"<body><joint/><geom size="0.1" pos="0.3 0 0"/><site/></body>"#);
    refused(site.forward(&mut Data::new(&hinge)), "site_xpos");
    let slides = parse(
        r#"<body><joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/><joint type="slide" axis="0 0 1"/>
        <joint type="ball"/><geom size="0.1"/></body>"#,
    );
    refused(slides.forward(&mut Data::new(&free)), "xanchor");
    refused(free.step(&mut Data::new(&slides)), "xanchor");
}

#[test]
fn rollouts_know_their_controls_and_their_model() {
    let model = model("arm");
    let (n, nu, steps) = (2 * model.nv() + model.na(), model.nu(), 6);
    let controls: Vec<f64> = direction(steps * nu).iter().map(|x| 0.4 * x).collect();
    let mut rollout = Rollout::new(&model);
    rollout.run(&model, &Data::new(&model), &controls).unwrap();
    let states = vec![1.0; (steps + 1) * n];
    let (mut start, mut bar) = (Cotangent::zeros(&model), vec![0.0; steps * nu]);
    let mut pull = |rollout: &mut Rollout, model: &Model, controls: &[f64]| {
        rollout.pull(model, controls, &states, &mut start, &mut bar, &mut [])
    };
    pull(&mut rollout, &model, &controls).unwrap();
    let negated: Vec<f64> = controls.iter().map(|u| -u).collect();
    refused(pull(&mut rollout, &model, &negated), "the controls are not those");
    let mut two = controls.clone();
    two[..2].iter_mut().for_each(|u| *u = -*u);
    refused(pull(&mut rollout, &model, &two), "the controls are not those");
    refused(pull(&mut rollout, &model, &[]), "controls holds 0");
    let mut heavier = model.clone();
    let masses: Vec<f64> = model.body_mass().iter().map(|m| 1.1 * m).collect();
    heavier.set_parameter(Parameter::BodyMass, &masses).unwrap();
    refused(pull(&mut rollout, &heavier, &controls), "other parameters");
    let mut slower = model.clone();
    slower.set_options(Options { timestep: 0.001, ..*model.opt() }).unwrap();
    refused(pull(&mut rollout, &slower, &controls), "other options");
    let other = parse(r#"<body><joint/><geom size="0.1" pos="0.3 0 0"/></body>"#);
    refused(pull(&mut rollout, &other, &controls), "this model has 1");
    let mut short = Cotangent::zeros(&model);
    short.qfrc_applied.clear();
    let outcome =
        rollout.pull(&model, &controls, &states, &mut short, &mut vec![0.0; steps * nu], &mut []);
    refused(outcome, "start's qfrc_applied cotangent");
    let tangents = [(Parameter::BodyMass, vec![1.0])];
    let du = vec![0.0; steps * nu];
    let outcome = rollout.push(&model, &controls, &vec![0.0; n], &du, &tangents, &mut Vec::new());
    refused(outcome, "body_mass");
}

/// A free run with controls held and forces applied: pulls and pushes are adjoint, and difference quotients.
#[test]
fn free_runs_with_controls_and_forces() {
    let model = model("arm");
    let (nv, nu, steps) = (model.nv(), model.nu(), 8);
    let n = 2 * nv + model.na();
    let mut start = Data::new(&model);
    start.ctrl.iter_mut().zip(direction(nu)).for_each(|(u, x)| *u = 0.3 * x);
    start.qfrc_applied.iter_mut().zip(direction(nv)).for_each(|(f, x)| *f = 0.2 * x);
    let mut rollout = Rollout::new(&model);
    rollout.run_free(&model, &start, steps).unwrap();
    let end = rollout.data().clone();
    let dy = direction((steps + 1) * n);
    let (mut bar, mut control_bar) = (Cotangent::zeros(&model), vec![0.0; nu]);
    rollout.pull(&model, &[], &dy, &mut bar, &mut control_bar, &mut []).unwrap();
    let (dx, du) = (direction(n), direction(nu + 3)[3..].to_vec());
    let mut tangents = Vec::new();
    rollout.push(&model, &[], &dx, &du, &[], &mut tangents).unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let state = [bar.qpos.as_slice(), &bar.qvel, &bar.act].concat();
    let (pushed, pulled) = (dot(&tangents, &dy), dot(&state, &dx) + dot(&control_bar, &du));
    assert!((pushed - pulled).abs() <= 1e-9 * (1.0 + pushed.abs()), "{pushed} {pulled}");
    // The data are the run's end again.
    for (now, then) in [
        (&rollout.data().qpos, &end.qpos),
        (&rollout.data().qvel, &end.qvel),
        (&rollout.data().act, &end.act),
        (&rollout.data().ctrl, &end.ctrl),
        (&rollout.data().qacc_warmstart, &end.qacc_warmstart),
    ] {
        assert_eq!(now, then);
    }
    // Of velocities at the end: applied forces and controls.
    let w = direction(nv);
    let mut dy = vec![0.0; (steps + 1) * n];
    dy[steps * n + nv..steps * n + 2 * nv].copy_from_slice(&w);
    let (mut bar, mut control_bar) = (Cotangent::zeros(&model), vec![0.0; nu]);
    rollout.pull(&model, &[], &dy, &mut bar, &mut control_bar, &mut []).unwrap();
    let (df, du) = (direction(nv + 1)[1..].to_vec(), direction(nu + 2)[2..].to_vec());
    let side = |s: f64| {
        let mut data = start.clone();
        data.qfrc_applied.iter_mut().zip(&df).for_each(|(f, x)| *f += s * x);
        data.ctrl.iter_mut().zip(&du).for_each(|(u, x)| *u += s * x);
        let mut rollout = Rollout::new(&model);
        rollout.run_free(&model, &data, steps).unwrap();
        dot(&rollout.data().qvel, &w)
    };
    let want = (side(1e-6) - side(-1e-6)) / 2e-6;
    let got = dot(&bar.qfrc_applied, &df) + dot(&control_bar, &du);
    assert!(dot(&bar.qfrc_applied, &df).abs() > 1e-3, "{got}");
    assert!((got - want).abs() <= 1e-6 * (0.1 + want.abs()), "{got} {want}");
    let driven = vec![0.1; steps * nu];
    rollout.run(&model, &start, &driven).unwrap();
    let end = rollout.data().clone();
    let mut bar = Cotangent::zeros(&model);
    rollout.pull(&model, &driven, &dy, &mut bar, &mut vec![0.0; steps * nu], &mut []).unwrap();
    assert_eq!((&rollout.data().qpos, &rollout.data().ctrl), (&end.qpos, &end.ctrl));
}

/// What a step of Runge-Kutta says of its solver is of all four solves.
#[test]
fn statistics_of_all_stages() {
    let mut model = model("cones");
    let state = common::states(&model, 3, 20).remove(2);
    let mut single = state.clone();
    model.step(&mut single).unwrap();
    let options =
        Options { integrator: pullback_diffphys::Integrator::RungeKutta4, ..*model.opt() };
    model.set_options(options).unwrap();
    let mut data = state.clone();
    model.step(&mut data).unwrap();
    assert!(single.solve().iterations > 0);
    assert!(data.solve().iterations >= single.solve().iterations + 3, "{}", data.solve());
    // One iteration is too little for the first solve of a cold start; later stages start from its result.
    model.set_options(Options { iterations: 1, ..options }).unwrap();
    let (mut first, mut whole) = (state.clone(), state);
    first.qacc_warmstart.fill(0.0);
    whole.qacc_warmstart.fill(0.0);
    model.forward(&mut first).unwrap();
    model.step(&mut whole).unwrap();
    assert!(first.solve().gradient > 1e-9, "{}", first.solve());
    assert!(whole.solve().gradient >= first.solve().gradient);
    assert_eq!(whole.solve().iterations, 4);
}

#[test]
fn references_have_one_form() {
    let text = |solreffriction: &str| {
        format!(
            r#"<mujoco><worldbody><geom name="floor" type="plane" size="1 1 1"/>
            <body pos="0 0 0.099"><freejoint/><geom name="ball" size="0.1"/></body></worldbody>
            <contact><pair geom1="floor" geom2="ball" solreffriction="{solreffriction}"/></contact></mujoco>"#
        )
    };
    refused(mjcf::parse(&text("-1000 1")).map(|_| ()), "solreffriction is -1000 1");
    refused(mjcf::parse(&text("nan 1")).map(|_| ()), "solreffriction");
    let mut model = mjcf::parse(&text("0.02 1")).unwrap();
    for (parameter, values) in [
        (Parameter::GeomSolref, vec![0.02, 1.0, -1000.0, 1.0]),
        (Parameter::PairSolref, vec![0.02, -1.0]),
        (Parameter::PairSolreffriction, vec![0.0, 1.0]),
    ] {
        let before = model.parameter(parameter).to_vec();
        refused(model.set_parameter(parameter, &values), "both must be positive, or neither");
        assert_eq!(model.parameter(parameter), before);
    }
    model.set_parameter(Parameter::GeomSolref, &[0.02, 1.0, -1000.0, -10.0]).unwrap();
    model.set_parameter(Parameter::PairSolreffriction, &[0.0, 0.0]).unwrap();
}

#[test]
fn derivatives_of_dynamics_are_finite_or_errors() {
    let model = parse(
        r#"<body><joint axis="0 1 0"/><geom size="0.1" pos="0.3 0 0"/>
        <body pos="0.5 0 0"><joint axis="0 1 0"/><geom size="0.1" pos="0.3 0 0"/></body></body>"#,
    );
    let mut data = Data::new(&model);
    let mut d = DynamicsDerivative::new(&model);
    d.forward(&model, &mut data, &[0.1, 0.2]).unwrap();
    let tau = d.qacc().to_vec();
    d.inverse(&model, &mut data, &tau).unwrap();
    assert!(error(d.tau(), &[0.1, 0.2], 1.0) < 1e-12);
    data.qpos[1] = 0.7;
    data.qvel.fill(1e200);
    let far = |outcome: Result<(), Error>| {
        assert!(matches!(outcome, Err(Error::NotFinite { .. })), "{outcome:?}");
    };
    far(d.forward(&model, &mut data, &[0.1, 0.2]));
    far(d.inverse(&model, &mut data, &[0.1, 0.2]));
}
