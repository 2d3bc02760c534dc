//! What is exactly at a bound, clamped, switched off, or moved by nothing: steps against MuJoCo 4.0.1, derivatives against MuJoCo's or ours.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use pullback_diffphys::{Cotangent, Data, Model, Parameter, StepDerivative, mjcf};

fn near(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs().max(1e-3), "{got} {want}");
}

/// A and B at a state.
fn jacobians(model: &Model, data: &Data) -> (Vec<f64>, Vec<f64>) {
    let mut step = StepDerivative::new(model);
    step.evaluate(model, data).unwrap();
    let n = 2 * model.nv() + model.na();
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
    step.jacobians(model, &mut a, &mut b).unwrap();
    // The pull says the same.
    for row in 0..n {
        let (mut y, mut x) = (Cotangent::zeros(model), Cotangent::zeros(model));
        *y.qpos.iter_mut().chain(&mut y.qvel).chain(&mut y.act).nth(row).unwrap() = 1.0;
        step.pull(model, &y, &mut x).unwrap();
        let pulled = x.qpos.iter().chain(&x.qvel).chain(&x.act);
        pulled.zip(&a[row * n..]).for_each(|(x, a)| near(*x, *a, 1e-11));
        x.ctrl.iter().zip(&b[row * model.nu()..]).for_each(|(x, b)| near(*x, *b, 1e-11));
    }
    (a, b)
}

/// The derivative of Σ v⁺ in a parameter, along `direction`, and its difference quotient on the side `side` (0: both).
fn along(model: &Model, data: &Data, p: Parameter, direction: &[f64], side: f64) -> (f64, f64) {
    let mut step = StepDerivative::new(model);
    step.evaluate(model, data).unwrap();
    let (mut y, mut x) = (Cotangent::zeros(model), Cotangent::zeros(model));
    y.qvel.fill(1.0);
    step.pull(model, &y, &mut x).unwrap();
    let mut gradient = vec![0.0; direction.len()];
    step.pull_parameter(model, p, &mut gradient).unwrap();
    let at = |s: f64| {
        let (mut moved, mut data) = (model.clone(), data.clone());
        let values: Vec<f64> =
            model.parameter(p).iter().zip(direction).map(|(v, d)| v + s * d).collect();
        moved.set_parameter(p, &values).unwrap();
        moved.step(&mut data).unwrap();
        data.qvel.iter().sum::<f64>()
    };
    let h = 1e-6;
    let quotient = if side == 0.0 {
        (at(h) - at(-h)) / (2.0 * h)
    } else {
        (at(side * h) - at(0.0)) / (side * h)
    };
    (gradient.iter().zip(direction).map(|(a, b)| a * b).sum(), quotient)
}

fn ball_on_floor(beside: &str) -> Model {
    mjcf::parse(&format!(
        r#"<mujoco><worldbody><geom type="plane" size="5 5 1"/><site name="s1"/><site name="s2" pos="1 0 0"/>
        <body pos="0 0 0.0999"><freejoint/><geom size="0.1"/></body></worldbody>{beside}</mujoco>"#
    ))
    .unwrap()
}

#[test]
fn what_nothing_moves_has_no_rows() {
    for beside in [
        "",
        r#"<equality><connect site1="s1" site2="s2"/></equality>"#,
        r#"<equality><weld site1="s1" site2="s2"/></equality>"#,
        r#"<tendon><spatial range="0 0.5" limited="true"><site site="s1"/><site site="s2"/></spatial></tendon>"#,
        r#"<tendon><spatial name="t" frictionloss="2"><site site="s1"/><site site="s2"/></spatial></tendon>
           <equality><tendon tendon1="t" polycoef="3"/></equality>"#,
    ] {
        let model = ball_on_floor(beside);
        let mut data = Data::new(&model);
        model.forward(&mut data).unwrap();
        assert_eq!(data.efc().nefc(), 4, "{beside}");
        near(data.qacc()[2], -0.7463143767312954, 1e-9);
        assert!(data.solve().iterations > 0 && data.solve().gradient < 1e-11);
        jacobians(&model, &data);
    }
    // A tendon between two sites of one body, which cannot move it.
    let model = mjcf::parse(
        r#"<mujoco><worldbody><body pos="0 0 3"><joint axis="1 0 0"/><geom size="0.1" pos="0 1 0"/><site name="a"/>
        <site name="b" pos="1 1 0"/></body></worldbody>
        <tendon><spatial range="0 0.5" limited="true"><site site="a"/><site site="b"/></spatial></tendon></mujoco>"#,
    )
    .unwrap();
    let mut data = Data::new(&model);
    model.forward(&mut data).unwrap();
    near(data.qacc()[0], -9.77091633466136, 1e-9);
    // A body that is moved from outside touches the floor.
    let model = mjcf::parse(
        r#"<mujoco><worldbody><geom type="plane" size="1 1 1"/><body mocap="true" pos="0 0 0.05"><geom size="0.1"/></body>
        <body pos="3 0 0.3"><joint axis="0 1 0"/><geom size="0.1" pos="1 0 0"/></body></worldbody></mujoco>"#,
    )
    .unwrap();
    let mut data = Data::new(&model);
    model.forward(&mut data).unwrap();
    assert_eq!(data.efc().nefc(), 0);
    let still = r#"<mujoco><option noslip_iterations="1"/><worldbody><body name="a"><geom size="0.1"/></body>
        <body name="b" pos="1 0 0"><geom size="0.1"/></body></worldbody>
        <equality><weld body1="a" body2="b"/></equality></mujoco>"#;
    let model = mjcf::parse(still).unwrap();
    let mut data = Data::new(&model);
    model.step(&mut data).unwrap();
    assert_eq!((model.nv(), data.efc().nefc()), (0, 0));
}

/// The three rotational rows of this weld have no Jacobian, no regularization, and a force of 10¹⁸.
#[test]
fn rows_without_jacobian_leave_the_solver_alone() {
    let slides = r#"<joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/><joint type="slide" axis="0 0 1"/>"#;
    let chain = r#"<joint type="slide" axis="1 0 0"/><geom size="0.1"/><body name="b"><joint type="slide" axis="0 1 0"/>
        <joint type="slide" axis="0 0 1"/><geom size="0.1"/></body>"#;
    for (name, inside) in [("b", slides), ("a", chain)] {
        let model = mjcf::parse(&format!(
            r#"<mujoco><worldbody><body name="m" mocap="true"/><body name="{name}">{inside}<geom size="0.1"/></body></worldbody>
            <equality><weld body1="m" body2="b"/></equality></mujoco>"#
        ))
        .unwrap();
        let mut data = Data::new(&model);
        data.mocap_quat[0] = [0.5f64.sqrt(), 0.5f64.sqrt(), 0.0, 0.0];
        for _ in 0..500 {
            model.step(&mut data).unwrap();
        }
        let force = data.efc().force()[3];
        assert!(force < -1e18, "{force}");
        assert!(data.qpos[2] < -1e-4 && data.qpos[2] > -1e-3, "{:?}", data.qpos);
        if name == "b" {
            near(data.qpos[2], -0.0001962, 1e-6);
            near(force, -1.8608073189e18, 1e-9);
        }
        let (a, _) = jacobians(&model, &data);
        // The translation's spring and damper are in it.
        assert!(a[3 * 6 + 3] < 0.99 && a.iter().all(|x| x.abs() < 1e3));
    }
}

fn lever(actuators: &str, option: &str) -> Model {
    mjcf::parse(&format!(
        r#"<mujoco><option timestep="0.01">{option}</option><worldbody><body gravcomp="1">
        <joint name="j" axis="0 1 0" actuatorgravcomp="true" actuatorfrcrange="-5 5"/><geom size="0.01" mass="2" pos="1 0 0"/>
        </body></worldbody>{actuators}</mujoco>"#
    ))
    .unwrap()
}

#[test]
fn compensation_of_gravity_as_actuation_is_clamped_or_off() {
    let motor = r#"<actuator><motor joint="j"/></actuator>"#;
    let off = r#"<flag actuation="disable"/>"#;
    for (actuators, option, force, acceleration) in [
        (motor, "", -5.0, 6.87157609527838),
        ("", "", 0.0, 9.37147609927822),
        (motor, off, 0.0, 9.37147609927822),
    ] {
        let model = lever(actuators, option);
        let mut data = Data::new(&model);
        data.qpos[0] = 0.3;
        model.forward(&mut data).unwrap();
        near(data.qfrc_actuator()[0], force, 1e-14);
        near(data.qacc()[0], acceleration, 1e-12);
        let (a, b) = jacobians(&model, &data);
        near(a[2], -0.0289893727, 1e-7);
        assert!(b.iter().all(|b| *b == 0.0));
        let moved = [
            (Parameter::BodyMass, vec![0.0, 1.0]),
            (Parameter::BodyIpos, vec![0.0, 0.0, 0.0, 0.6, 0.1, -0.4]),
            (Parameter::Gravity, vec![0.3, -0.2, 1.0]),
        ];
        for (parameter, direction) in moved {
            let (got, want) = along(&model, &data, parameter, &direction, 0.0);
            // Without any force but the weight the mass does not matter.
            let matters = force != 0.0 || parameter != Parameter::BodyMass;
            assert_eq!(want.abs() > 1e-4, matters, "{parameter:?}: {want}");
            near(got, want, 1e-6);
        }
    }
}

#[test]
fn balls_and_free_joints_have_no_limit_of_their_actuator_force() {
    for (kind, gear, size) in [("ball", "5 5 5", 3), ("free", "5 5 5 5 5 5", 6)] {
        let model = mjcf::parse(&format!(
            r#"<mujoco><option gravity="0 0 0"/><worldbody><body><joint name="j" type="{kind}" actuatorfrcrange="-1 1"/>
            <geom size="0.1"/></body></worldbody><actuator><motor joint="j" gear="{gear}"/></actuator></mujoco>"#
        ))
        .unwrap();
        let mut data = Data::new(&model);
        data.ctrl[0] = 1.0;
        model.forward(&mut data).unwrap();
        assert_eq!(data.qfrc_actuator(), vec![5.0; size]);
        let (_, b) = jacobians(&model, &data);
        assert!((0..size).all(|k| b[size + k] > 0.0), "{b:?}");
    }
}

fn pendulum(joint: &str, option: &str, actuator: &str) -> Model {
    mjcf::parse(&format!(
        r#"<mujoco><option timestep="0.01" {option}</option><worldbody><body><joint name="j" axis="0 1 0" {joint}/>
        <geom size="0.01" mass="2" pos="1 0 0"/></body></worldbody>
        <tendon><fixed name="t"><joint joint="j" coef="1"/></fixed></tendon><actuator>{actuator}</actuator></mujoco>"#
    ))
    .unwrap()
}

/// The derivative is that from inside.
#[test]
fn forces_on_their_bounds() {
    let model = pendulum("", ">", r#"<motor joint="j"/>"#);
    // h/I.
    let free = jacobians(&model, &Data::new(&model)).1;
    for (joint, actuator) in [
        (r#"actuatorfrcrange="0 5""#, r#"<motor joint="j"/>"#),
        (r#"actuatorfrcrange="-5 0""#, r#"<motor joint="j"/>"#),
        ("", r#"<motor joint="j" forcerange="0 5"/>"#),
        ("", r#"<motor joint="j" ctrlrange="0 5"/>"#),
    ] {
        let model = pendulum(joint, ">", actuator);
        let (_, b) = jacobians(&model, &Data::new(&model));
        assert_eq!(b, free, "{joint} {actuator}");
    }
    // Beyond it there is none.
    let model = pendulum(r#"actuatorfrcrange="0 5""#, ">", r#"<motor joint="j"/>"#);
    let mut data = Data::new(&model);
    data.ctrl[0] = -0.1;
    assert_eq!(jacobians(&model, &data).1, [0.0; 2]);
}

/// Implicitfast is not implicit in what is at a bound: of actuators on joints, at that of the joint's total, too.
#[test]
fn implicit_forces_on_their_bounds() {
    let fast = r#"integrator="implicitfast">"#;
    for (joint, range, velocity) in [
        ("", r#"forcerange="0 5""#, 0.0980960762),
        ("", r#"forcerange="-1 5""#, 0.0853013808),
        (r#"actuatorfrcrange="0 5""#, "", 0.0980960762),
        (r#"actuatorfrcrange="-1 5""#, "", 0.0853013808),
        (r#"actuatorfrcrange="0 5""#, r#"tendon="t""#, 0.0853013808),
    ] {
        let on = if range.starts_with("tendon") { "" } else { r#"joint="j""# };
        let model = pendulum(joint, fast, &format!(r#"<velocity {on} kv="30" {range}/>"#));
        let mut data = Data::new(&model);
        let (_, b) = jacobians(&model, &data);
        assert!(b[1] > 1e-3, "{b:?}");
        let (got, want) = along(&model, &data, Parameter::ActuatorBiasprm, &[0.0, 0.0, 1.0], -1.0);
        assert!((got - want).abs() < 1e-6, "{joint} {range}: {got} {want}");
        model.step(&mut data).unwrap();
        near(data.qvel[0], velocity, 1e-8);
    }
}

#[test]
fn activations_stay_where_actuation_is_off() {
    for (option, dynamics) in [
        ("", r#"dyntype="filter" dynprm="0.1""#),
        ("", r#"dyntype="filterexact" dynprm="0.1""#),
        ("", r#"dyntype="integrator""#),
        (r#"integrator="RK4""#, r#"dyntype="filter" dynprm="0.1""#),
    ] {
        let option = format!(r#"{option}><flag actuation="disable"/>"#);
        let model = pendulum("", &option, &format!(r#"<general joint="j" {dynamics}/>"#));
        let mut data = Data::new(&model);
        (data.act[0], data.ctrl[0]) = (0.3, 1.0);
        let (a, b) = jacobians(&model, &data);
        assert_eq!((&a[6..], b.as_slice()), ([0.0, 0.0, 1.0].as_slice(), [0.0; 3].as_slice()));
        model.step(&mut data).unwrap();
        assert_eq!(data.act, [0.3]);
    }
}

/// Two MuJoCo steps, with damping 0 and 10⁻⁵, say 4.90500·10⁻⁴.
#[test]
fn damping_where_there_is_none_yet() {
    let slide = |option: &str| {
        mjcf::parse(&format!(
            r#"<mujoco><option timestep="0.01">{option}</option><worldbody><body><joint type="slide" axis="0 0 1"/>
            <geom size="0.1" mass="2"/></body></worldbody></mujoco>"#
        ))
        .unwrap()
    };
    let model = slide("");
    let mut data = Data::new(&model);
    let (got, want) = along(&model, &data, Parameter::DofDamping, &[1.0], 1.0);
    near(got, 4.905e-4, 1e-9);
    near(want, 4.905e-4, 1e-5);
    data.qvel[0] = 0.7;
    let (got, want) = along(&model, &data, Parameter::DofDamping, &[1.0], 1.0);
    near(got, want, 1e-5);
    // Without the implicit part.
    let model = slide(r#"<flag eulerdamp="disable"/>"#);
    let (got, want) = along(&model, &data, Parameter::DofDamping, &[1.0], 1.0);
    near(got, want, 1e-6);
    near(got, -0.01 * 0.7 / 2.0, 1e-12);
}

#[test]
fn stiffness_that_is_zero() {
    let model = mjcf::parse(
        r#"<mujoco><worldbody><body><joint axis="0 1 0" range="-1 1" limited="true" solreflimit="0 -10"/>
        <geom size="0.1" pos="0 0 -1"/></body></worldbody></mujoco>"#,
    )
    .unwrap();
    let mut data = Data::new(&model);
    (data.qpos[0], data.qvel[0]) = (1.1, 3.0);
    let (got, want) = along(&model, &data, Parameter::JntSolref, &[1.0, 0.0], -1.0);
    assert!(want.abs() > 1e-7, "{want}");
    near(got, want, 1e-5);
}

/// One geom has the whole share of what is mixed; of direct numbers the smaller ones count all the same.
#[test]
fn direct_references_are_not_mixed() {
    let model = mjcf::parse(
        r#"<mujoco><worldbody><geom type="plane" size="1 1 1" solmix="0" solref="-900 -8"/>
        <body pos="0 0 0.099"><joint type="slide" axis="0 0 1"/><geom size="0.1" mass="1" solref="-700 -9"/></body></worldbody></mujoco>"#,
    )
    .unwrap();
    let mut data = Data::new(&model);
    data.qvel[0] = -0.1;
    for k in 0..4 {
        let mut direction = [0.0; 4];
        direction[k] = 1.0;
        let (got, want) = along(&model, &data, Parameter::GeomSolref, &direction, 0.0);
        assert_eq!(want.abs() > 1e-9, k == 0 || k == 3, "{k}: {want}");
        assert!((got - want).abs() <= 1e-5 * want.abs() + 1e-9, "{k}: {got} {want}");
    }
}

/// A turn is 2π·‖gear‖.
#[test]
fn gear_of_a_servo_that_is_turns_away() {
    let model = mjcf::parse(
        r#"<mujoco><option gravity="0 0 0"/><worldbody><body><joint name="j" type="ball"/><geom type="box" size="0.1 0.2 0.3"/></body>
        </worldbody><actuator><position joint="j" kp="3" gear="1 0.5 -0.2"/></actuator></mujoco>"#,
    )
    .unwrap();
    let mut data = Data::new(&model);
    data.ctrl[0] = 16.0;
    data.qvel.copy_from_slice(&[0.3, -0.2, 0.1]);
    let (got, want) =
        along(&model, &data, Parameter::ActuatorGear, &[0.4, -0.3, 1.0, 0.0, 0.0, 0.0], 0.0);
    assert!(want.abs() > 1e-4, "{want}");
    near(got, want, 1e-6);
}
