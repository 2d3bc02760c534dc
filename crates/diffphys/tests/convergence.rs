//! The solver of the constrained accelerations ends at the minimum, from wherever it starts; and misuse of rollouts is an error.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use pullback_diffphys::{Cotangent, Data, Model, Rollout, StepDerivative, mjcf};

/// Boxes with all kinds of friction, above a plane.
fn boxes(count: usize, impratio: f64, solver: &str, height: f64) -> Model {
    mjcf::parse(&format!(
        r#"<mujoco><option cone="elliptic" impratio="{impratio}" solver="{solver}"/>
        <default><geom condim="6" friction="0.9 0.01 0.001"/></default>
        <worldbody><geom type="plane" size="5 5 1"/><replicate count="{count}" offset="0.02 0.01 0.09">
        <body pos="0 0 0.1"><freejoint/><geom type="box" size="0.09 0.05 {height}" density="900"/></body></replicate></worldbody></mujoco>"#
    ))
    .unwrap()
}

#[test]
fn newton_ends_at_the_minimum_where_cones_are_narrow() {
    // A warm start at which Newton's steps inside the bracket of the line search are short without end.
    let model = boxes(1, 2.0, "Newton", 0.02);
    let mut data = Data::new(&model);
    data.qpos = vec![
        0.0,
        0.0,
        0.014523338995990944,
        1.0,
        0.02142998275509936,
        -0.017659255278116664,
        0.01240897813533073,
    ];
    data.qvel = vec![
        2.3010955980377146,
        0.0024706927357449615,
        -1.2161432221011095,
        1.6594899158451106,
        -0.6618797186843881,
        0.46216577540804593,
    ];
    let mut cold = data.clone();
    data.qacc_warmstart = vec![
        -279.16201617465634,
        85.54171394793681,
        206.55635436227408,
        -295.0867988907876,
        116.52364402350983,
        189.63269508891366,
    ];
    let mut step = StepDerivative::new(&model);
    step.evaluate(&model, &data).unwrap();
    model.step(&mut data).unwrap();
    model.step(&mut cold).unwrap();
    assert!(data.solve().gradient < 1e-9, "{:?}", data.solve());
    for (a, b) in data.qvel.iter().zip(&cold.qvel) {
        assert!((a - b).abs() < 1e-9, "{:?} {:?}", data.qvel, cold.qvel);
    }
    for (a, b) in data.qvel.iter().zip(step.next().1) {
        assert!((a - b).abs() < 1e-9, "a step and its derivative's: {a} {b}");
    }
}

#[test]
fn every_step_of_tumbling_stacks_is_solved() {
    let mut seed = 99u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    };
    for impratio in [1.0, 5.0, 10.0, 100.0] {
        let model = boxes(3, impratio, "Newton", 0.04);
        let (mut steps, mut worst, mut most) = (0, 0.0f64, 0);
        for _ in 0..10 {
            let mut data = Data::new(&model);
            for body in 0..3 {
                (4..7).for_each(|k| data.qpos[7 * body + k] = 0.3 * random());
                (0..6).for_each(|k| data.qvel[6 * body + k] = 2.0 * random());
            }
            for _ in 0..300 {
                model.step(&mut data).unwrap();
                if data.efc().nefc() > 0 {
                    steps += 1;
                    worst = worst.max(data.solve().gradient);
                    most = most.max(data.solve().iterations);
                }
            }
        }
        assert!(steps > 1000, "impratio {impratio}: {steps} steps with contacts");
        assert!(
            worst < 1e-8,
            "impratio {impratio}: a step ends at {worst:e}, of {most} iterations"
        );
    }
}

#[test]
fn absurd_lengths_and_other_controls_are_errors() {
    let model = mjcf::parse(
        r#"<mujoco><worldbody><body><joint name="j" axis="0 1 0"/><geom size="0.1" pos="0 0 -1"/></body></worldbody>
        <actuator><motor joint="j"/></actuator></mujoco>"#,
    )
    .unwrap();
    let data = Data::new(&model);
    let mut rollout = Rollout::new(&model);
    for steps in [usize::MAX, usize::MAX / 2, 1_000_000_000_000_000] {
        let error = rollout.run_free(&model, &data, steps).unwrap_err().to_string();
        assert!(error.contains(&steps.to_string()), "{error}");
    }
    rollout.run(&model, &data, &[1.0; 5]).unwrap();
    let (mut start, mut slope) = (Cotangent::zeros(&model), vec![0.0; 5]);
    let states = vec![1.0; 6 * 2];
    rollout.pull(&model, &[1.0; 5], &states, &mut start, &mut slope, &mut []).unwrap();
    let mut other = [1.0; 5];
    other[3] = 1.5;
    let error = rollout.pull(&model, &other, &states, &mut start, &mut slope, &mut []).unwrap_err();
    assert!(error.to_string().contains("controls"), "{error}");
}
