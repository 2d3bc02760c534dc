//! Files and inputs that are wrong: errors that say where and what, never a panic, never silence.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{MODELS, model, states};
use pullback_diffphys::{
    Cotangent, Data, DynamicsDerivative, Error, Model, Options, Parameter, StepDerivative, mjcf,
    urdf,
};

fn in_world(body: &str) -> String {
    format!("<mujoco><worldbody>{body}</worldbody></mujoco>")
}

/// Every one of these is refused, and the message has the word.
#[test]
fn unsupported_physics_is_named_with_its_line() {
    let table = [
        ("<mujoco><option integrator='implicit'/></mujoco>", "integrator"),
        ("<mujoco><option><flag override='enable'/></option></mujoco>", "override"),
        ("<mujoco><extension/></mujoco>", "extension"),
        ("<mujoco><deformable/></mujoco>", "deformable"),
        ("<mujoco><compiler coordinate='global'/></mujoco>", "global"),
        ("<mujoco><equality><flex flex='f'/></equality></mujoco>", "flex"),
        ("<mujoco><actuator><muscle joint='j'/></actuator></mujoco>", "muscle"),
        ("<mujoco><actuator><general body='b'/></actuator></mujoco>", "body"),
        ("<mujoco><actuator><general site='s' refsite='r'/></actuator></mujoco>", "refsite"),
        ("<mujoco><compiler fusestatic='true'/></mujoco>", "fusestatic"),
        ("<mujoco><tendon><spatial armature='1'/></tendon></mujoco>", "armature"),
    ];
    for (text, word) in table {
        match mjcf::parse(text) {
            Err(e @ Error::Unsupported { .. }) => {
                assert!(e.to_string().contains(word), "{e}");
                assert!(e.to_string().contains("line 1"), "{e}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for (body, word) in [
        ("<geom type='hfield' hfield='h'/>", "hfield"),
        ("<geom size='1' shellinertia='true'/>", "shellinertia"),
        ("<body><joint damping='1 2'/></body>", "damping"),
        ("<body><plugin/></body>", "plugin"),
        ("<attach model='m' body='b' prefix='p'/>", "attach"),
        ("<geom size='1' notathing='3'/>", "notathing"),
    ] {
        match mjcf::parse(&in_world(body)) {
            Err(e @ Error::Unsupported { .. }) => assert!(e.to_string().contains(word), "{e}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn wrong_numbers_and_names_are_refused() {
    let bodies = [
        "<geom size='-1'/>",
        "<geom size='nan'/>",
        "<geom size='1e400'/>",
        "<geom/>",
        "<geom size='1 2 3 4'/>",
        "<geom size='1' condim='2'/>",
        "<geom size='1' friction='-1'/>",
        "<geom size='1' quat='0 0 0 0'/>",
        "<geom size='1' quat='1 0 0 0' euler='0 0 0'/>",
        "<geom size='1' xyaxes='1 0 0 1 0 0'/>",
        "<geom size='1' solref='0.1 -1'/>",
        "<geom size='1' class='nowhere'/>",
        "<geom size='1' fluidshape='cube'/>",
        "<geom type='plane' size='1 1 1' fluidshape='ellipsoid'/>",
        "<geom type='plane' size='1 1 1' fromto='0 0 0 1 1 1'/>",
        "<body><joint/></body>",
        "<body><joint axis='0 0 0'/><geom size='1'/></body>",
        "<body><joint range='2 1'/><geom size='1'/></body>",
        "<body><joint damping='-1'/><geom size='1'/></body>",
        "<body><freejoint/><joint/><geom size='1'/></body>",
        "<body><body><freejoint/><geom size='1'/></body></body>",
        "<body><freejoint/><geom type='plane' size='1 1 1'/></body>",
        "<body><joint/><inertial mass='1' pos='0 0 0' diaginertia='1 1 5'/></body>",
        "<body><joint/><inertial mass='-1' pos='0 0 0' diaginertia='1 1 1'/></body>",
        "<body name='a'/><body name='a'/>",
        "<joint/>",
        "<body><body mocap='true'/></body>",
        "<body mocap='true'><joint/><geom size='1'/></body>",
        "<body><joint type='ball' stiffness='1 2'/><geom size='1'/></body>",
        "<replicate count='0'/>",
        "<replicate count='3'><joint/></replicate>",
        "<replicate count='3'><replicate count='1000000'><site/></replicate></replicate>",
        "<replicate count='1000000000000'><body/></replicate>",
    ];
    for body in bodies {
        let outcome = mjcf::parse(&in_world(body));
        assert!(
            matches!(outcome, Err(Error::Parse { .. } | Error::Invalid { .. })),
            "{body}: {outcome:?}"
        );
    }
    let files = [
        "",
        "<mujoco>",
        "<robot/>",
        "<mujoco><option timestep='0'/></mujoco>",
        "<mujoco><option timestep='inf'/></mujoco>",
        "<mujoco><option density='-1'/></mujoco>",
        "<mujoco><option iterations='-3'/></mujoco>",
        "<mujoco><contact><exclude body1='a' body2='b'/></contact></mujoco>",
        "<mujoco><contact><pair geom1='a' geom2='b'/></contact></mujoco>",
        "<mujoco><actuator><motor joint='nobody'/></actuator></mujoco>",
        "<mujoco><actuator><motor/></actuator></mujoco>",
        "<mujoco><keyframe><key qpos='1 2 3'/></keyframe></mujoco>",
        "<mujoco><default><default/></default></mujoco>",
        "<mujoco><tendon><fixed><joint joint='x' coef='1'/></fixed></tendon></mujoco>",
        "<mujoco><include file='../../etc/passwd'/></mujoco>",
        "<mujoco><tendon><spatial name='s'/></tendon></mujoco>",
        "<mujoco><actuator><position joint='j' kv='1' dampratio='1'/></actuator></mujoco>",
        "<mujoco><worldbody><body><joint name='j'/><geom size='1'/></body></worldbody><actuator><position joint='j' inheritrange='1'/></actuator></mujoco>",
        "<mujoco><worldbody><body mocap='true'/></worldbody><keyframe><key mpos='1 2'/></keyframe></mujoco>",
        "<mujoco><tendon><spatial><site site='a'/><site site='b'/></spatial></tendon></mujoco>",
        "<mujoco><worldbody><site name='a'/></worldbody><tendon><spatial><site site='a'/></spatial></tendon></mujoco>",
        "<mujoco><worldbody><site name='a'/><geom name='g' size='1'/></worldbody><tendon><spatial><site site='a'/><geom geom='g'/></spatial></tendon></mujoco>",
        "<mujoco><worldbody><site name='a'/></worldbody><tendon><spatial><pulley divisor='0'/><site site='a'/><site site='a'/></spatial></tendon></mujoco>",
        "<mujoco><worldbody><site name='a'/><geom name='g' type='box' size='1 1 1'/></worldbody><tendon><spatial><site site='a'/><geom geom='g'/><site site='a'/></spatial></tendon></mujoco>",
        "<mujoco><equality><connect body1='nobody' anchor='0 0 0'/></equality></mujoco>",
        "<mujoco><equality><connect body1='world'/></equality></mujoco>",
        "<mujoco><equality><weld site1='s'/></equality></mujoco>",
        "<mujoco><equality><weld site1='s' site2='t' anchor='0 0 0'/></equality></mujoco>",
    ];
    for text in files {
        let outcome = mjcf::parse(text);
        assert!(outcome.is_err(), "{text}: {outcome:?}");
    }
}

#[test]
fn deep_huge_and_escaping_files_end_in_errors() {
    let deep = in_world(&("<body>".repeat(100_000) + &"</body>".repeat(100_000)));
    assert!(matches!(mjcf::parse(&deep), Err(Error::Parse { .. })));
    let nested = in_world(&("<body>".repeat(300) + &"</body>".repeat(300)));
    assert!(matches!(mjcf::parse(&nested), Err(Error::Parse { .. })));
    let many = in_world(&"<body/>".repeat(30_000));
    assert!(matches!(mjcf::parse(&many), Err(Error::Invalid { .. })));
    // Matrices of 3,000² numbers and 8 million pairs of geoms.
    let body = "<body><freejoint/><geom size='1'/></body>";
    assert!(matches!(mjcf::parse(&in_world(&body.repeat(500))), Err(Error::Invalid { .. })));
    let fixed = "<body><geom size='1'/></body>".repeat(2_000);
    let moving = format!("<body><joint/>{}</body>", "<geom size='1'/>".repeat(4_000));
    assert!(matches!(mjcf::parse(&in_world(&(fixed + &moving))), Err(Error::Invalid { .. })));
    // An entity that doubles itself.
    let bomb = "<!DOCTYPE m [<!ENTITY a 'xxxxxxxxxx'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>\
        <!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>]><mujoco model='&c;'/>";
    assert!(mjcf::parse(bomb).is_err());
    let folder = std::env::temp_dir().join(format!("pullback-diffphys-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("inner")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("inner/out.xml", "<mujoco><include file='../outside.xml'/></mujoco>");
    write("outside.xml", "<mujoco/>");
    write("inner/loop.xml", "<mujoco><include file='loop.xml'/></mujoco>");
    write("inner/missing.xml", "<mujoco><include file='nothing.xml'/></mujoco>");
    write(
        "inner/part.xml",
        "<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody></mujoco>",
    );
    write("inner/good.xml", "<mujoco><include file='part.xml'/></mujoco>");
    for name in ["out", "loop", "missing"] {
        let outcome = mjcf::load(folder.join(format!("inner/{name}.xml")));
        assert!(matches!(outcome, Err(Error::Parse { .. })), "{name}: {outcome:?}");
    }
    assert_eq!(mjcf::load(folder.join("inner/good.xml")).unwrap().nv(), 1);
    assert!(matches!(mjcf::load(folder.join("none.xml")), Err(Error::File { .. })));
    assert!(matches!(mjcf::load(&folder), Err(Error::File { .. })));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn robots_of_urdf() {
    let text = r#"<robot name="two"><link name="base"/>
        <link name="arm"><inertial><origin xyz="0 0 0.5"/><mass value="2"/><inertia ixx="0.1" iyy="0.1" izz="0.02"/></inertial>
            <collision><geometry><box size="0.1 0.2 0.3"/></geometry></collision></link>
        <link name="tool"><inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01"/></inertial></link>
        <joint name="a" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 1 0"/>
            <limit lower="-1" upper="2" effort="30"/><dynamics damping="0.5" friction="0.1"/></joint>
        <joint name="b" type="prismatic"><parent link="arm"/><child link="tool"/><origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/>
            <axis xyz="1 0 0"/><limit lower="0" upper="1"/><mimic joint="a" multiplier="0.5"/></joint></robot>"#;
    let m = urdf::parse(text, urdf::Options::default()).unwrap();
    assert_eq!((m.nv(), m.nbody(), m.ngeom()), (2, 4, 1));
    assert_eq!(m.jnt_range(), [[-1.0, 2.0], [0.0, 1.0]]);
    assert_eq!(
        (m.dof_damping(), m.dof_frictionloss()),
        ([0.5, 0.0].as_slice(), [0.1, 0.0].as_slice())
    );
    assert_eq!(m.eq_data()[0][1], 0.5);
    // z after a quarter turn about z: x of the tool is y of the arm.
    let mut data = Data::new(&m);
    m.forward(&mut data).unwrap();
    assert!((data.xaxis()[1][1] - 1.0).abs() < 1e-12);
    let floating = urdf::Options { floating: true, ..urdf::Options::default() };
    let heavy = text.replace("<link name=\"base\"/>", "<link name=\"base\"><inertial><mass value=\"3\"/><inertia ixx=\"1\" iyy=\"1\" izz=\"1\"/></inertial></link>");
    assert_eq!(urdf::parse(&heavy, floating).unwrap().nv(), 8);
    // A rod, by rounding: its own moment is −10⁻²². A joint that moves nothing is refused.
    let rod = text.replace(
        "<inertia ixx=\"0.01\" iyy=\"0.01\" izz=\"0.01\"/>",
        "<inertia ixx=\"0.01\" iyy=\"0.01\" izz=\"-1e-22\"/>",
    );
    assert_ne!(rod, text);
    let m = urdf::parse(&rod, urdf::Options::default()).unwrap();
    assert_eq!(m.body_inertia()[3], [0.01, 0.01, -1e-22]);
    let point = text.replace("<inertia ixx=\"0.1\" iyy=\"0.1\" izz=\"0.02\"/>", "");
    let light =
        point.replace("xyz=\"0 0 0.5\"", "xyz=\"0 0 0\"").replace("value=\"1\"", "value=\"0\"");
    match urdf::parse(&light, urdf::Options::default()) {
        Err(e @ Error::Invalid { .. }) => assert!(e.to_string().contains("joint 'b'"), "{e}"),
        other => panic!("{other:?}"),
    }
    for (from, to) in [
        ("type=\"revolute\"", "type=\"planar\""),
        ("<child link=\"tool\"/>", "<child link=\"nobody\"/>"),
        ("<child link=\"tool\"/>", "<child link=\"arm\"/>"),
        ("<parent link=\"base\"/>", "<parent link=\"tool\"/>"),
        ("<box size=\"0.1 0.2 0.3\"/>", "<mesh filename=\"../../x.stl\"/>"),
        ("xyz=\"0 1 0\"", "xyz=\"0 0 0\""),
        ("mass value=\"2\"", "mass value=\"nan\""),
    ] {
        assert_ne!(text, text.replace(from, to), "{from}");
        assert!(urdf::parse(&text.replace(from, to), urdf::Options::default()).is_err(), "{to}");
    }
}

#[test]
fn wrong_inputs_are_errors() {
    let m = model("arm");
    let mut data = Data::new(&m);
    data.qpos.pop();
    assert!(matches!(m.step(&mut data), Err(Error::Length { argument: "qpos", .. })));
    let mut data = Data::new(&m);
    data.qvel[2] = f64::NAN;
    assert!(matches!(m.step(&mut data), Err(Error::NotFinite { .. })));
    let mut other = Data::new(&model("pile"));
    assert!(matches!(m.step(&mut other), Err(Error::Length { .. })));
    assert!(m.inverse(&mut Data::new(&m), &[0.0]).is_err());
    let mut step = StepDerivative::new(&m);
    let mut out = Cotangent::zeros(&m);
    assert!(step.pull(&m, &Cotangent::zeros(&m), &mut out).is_err());
    step.evaluate(&m, &Data::new(&m)).unwrap();
    assert!(step.pull_parameter(&m, Parameter::BodyMass, &mut []).is_err());
    assert!(step.jacobians(&m, &mut [], &mut []).is_err());
    assert!(step.evaluate(&model("pile"), &other).is_err());
    let mut changed = m.clone();
    assert!(changed.set_parameter(Parameter::BodyMass, &vec![-1.0; m.nbody()]).is_err());
    assert!(changed.set_parameter(Parameter::BodyMass, &[1.0]).is_err());
    assert!(changed.set_options(Options { timestep: -1.0, ..*m.opt() }).is_err());
    assert!(m.joint("nobody").is_err() && m.joint("elbow").is_ok());
    assert!(Data::new(&m).reset_to_key(&m, 3).is_err());
}

/// The message names what the caller gave.
#[test]
fn numbers_that_are_none_are_named_as_the_caller_names_them() {
    let m = model("arm");
    let says = |outcome: Result<(), Error>, words: &str| match outcome {
        Err(e @ Error::NotFinite { .. }) => assert!(e.to_string().contains(words), "{e}"),
        other => panic!("{words}: {other:?}"),
    };
    let mut step = StepDerivative::new(&m);
    step.evaluate(&m, &Data::new(&m)).unwrap();
    let (mut next, mut out) = (Cotangent::zeros(&m), Cotangent::zeros(&m));
    next.qvel[1] = f64::NAN;
    says(step.pull(&m, &next, &mut out), "pull: next.qvel[1] = NaN");
    assert_eq!(out, Cotangent::zeros(&m));
    out.qpos[0] = f64::INFINITY;
    next.qvel[1] = 0.0;
    says(step.pull(&m, &next, &mut out), "pull: out.qpos[0] = inf");
    next.ctrl[0] = f64::NAN;
    says(step.push(&m, &next, &mut Cotangent::zeros(&m)), "push: here.ctrl[0] = NaN");
    let mut dynamics = DynamicsDerivative::new(&m);
    assert!(dynamics.dtau_dq().iter().chain(dynamics.minv()).all(|x| *x == 0.0));
    let wrong = vec![f64::NAN; m.nv()];
    says(dynamics.inverse(&m, &mut Data::new(&m), &wrong), "inverse derivative: qacc[0]");
    says(dynamics.forward(&m, &mut Data::new(&m), &wrong), "forward derivative: tau[0]");
    // Configurations.
    let mut qpos = Data::new(&m).qpos;
    let rest = qpos.clone();
    says(m.integrate(&mut qpos, &wrong, 0.1), "integrate: qvel[0] = NaN");
    says(m.integrate(&mut qpos, &vec![0.0; m.nv()], f64::INFINITY), "integrate: h[0] = inf");
    assert_eq!(qpos, rest);
    says(m.integrate(&mut qpos, &vec![1e300; m.nv()], 1e300), "integrate: the new qpos");
    says(m.difference(&rest, &vec![f64::NAN; m.nq()], &mut vec![0.0; m.nv()]), "difference: q2[0]");
}

/// What moves keeps mass and moments.
#[test]
fn parameters_keep_bodies_heavy() {
    let text = "<mujoco><worldbody><body name='a'><freejoint/><geom size='1'/><body name='b' pos='1 0 0'><geom size='1'/></body></body>
        <body name='fixed'><geom size='1'/></body></worldbody></mujoco>";
    let mut m = mjcf::parse(text).unwrap();
    let masses = m.body_mass().to_vec();
    for (mass, fits) in [
        ([0.0, 0.0, 0.0, masses[3]], false),
        ([0.0, -1.0, masses[2], masses[3]], false),
        ([0.0, f64::NAN, masses[2], masses[3]], false),
        // One of the two that are welded together is enough, and what is fixed needs none.
        ([0.0, 0.0, masses[2], 0.0], true),
        ([0.0, masses[1], 0.0, 0.0], true),
    ] {
        let outcome = m.set_parameter(Parameter::BodyMass, &mass);
        assert_eq!(outcome.is_ok(), fits, "{mass:?}: {outcome:?}");
    }
    let e = m.set_parameter(Parameter::BodyMass, &[0.0; 4]).unwrap_err().to_string();
    assert!(e.contains("body_mass[1] = 0: body 'a' moves"), "{e}");
    assert_eq!(m.body_mass(), [0.0, masses[1], 0.0, 0.0]);
    let e = m.set_parameter(Parameter::BodyInertia, &[0.0; 12]).unwrap_err().to_string();
    assert!(e.contains("body_inertia[3] = 0: body 'a' moves"), "{e}");
    let e = m.set_parameter(Parameter::GeomSize, &[0.0; 9]).unwrap_err().to_string();
    assert!(e.contains("geom_size[0] = 0: a size must be positive"), "{e}");
    m.set_parameter(Parameter::GeomSize, &[0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0]).unwrap();
    m.step(&mut Data::new(&m)).unwrap();
}

/// Reports and solves print as one line; before a step there are none.
#[test]
fn reports_are_readable() {
    let m = model("pile");
    let mut step = StepDerivative::new(&m);
    assert_eq!(step.report().to_string(), "0 contacts, 0 rows, solved in 0 iterations to 0.0e0");
    assert!(step.next().1.iter().all(|v| *v == 0.0));
    let data = states(&m, 1, 3).remove(0);
    step.evaluate(&m, &data).unwrap();
    let report = step.report();
    let (contact, apart) = report.nearest_contact.unwrap();
    let (row, distance) = report.nearest.unwrap();
    let (ncon, nefc, text) = (report.ncon, report.nefc, report.to_string());
    let begin = format!(
        "{ncon} contacts (nearest: {contact} at {apart:.1e} m), {nefc} rows (nearest: {row} at {distance:.1e}), "
    );
    assert!(text.starts_with(&begin), "{text}");
    let solve = step.data().solve();
    assert!(solve.iterations > 0 && text.ends_with(&solve.to_string()), "{text} {solve}");
}

/// The dual solver's name stands for the same minimum.
#[test]
fn a_dual_solver_is_read_as_newtons() {
    let text = |solver: &str| {
        in_world("<geom type='plane' size='1 1 1'/><body pos='0 0 0.09'><freejoint/><geom type='box' size='.1 .1 .1'/></body>")
        .replace("<mujoco>", &format!("<mujoco><option solver='{solver}'/>"))
    };
    let [mut a, mut b] = ["PGS", "Newton"].map(|solver| {
        let m = mjcf::parse(&text(solver)).unwrap();
        assert_eq!(m.opt().solver, pullback_diffphys::Solver::Newton);
        let mut data = Data::new(&m);
        data.qvel[0] = 1.0;
        m.step(&mut data).unwrap();
        data
    });
    assert!(a.contact().len() == 4 && a.solve().gradient < 1e-9);
    assert_eq!(std::mem::take(&mut a.qvel), std::mem::take(&mut b.qvel));
}

/// A solve that may not iterate has no derivative.
#[test]
fn a_solve_that_did_not_converge_is_refused() {
    let mut m = model("cones");
    m.set_options(Options { iterations: 1, tolerance: 0.0, ..*m.opt() }).unwrap();
    let mut step = StepDerivative::new(&m);
    let refused = states(&m, 6, 8)
        .iter()
        .filter(|data| matches!(step.evaluate(&m, data), Err(Error::NotConverged { .. })))
        .count();
    assert!(refused > 0);
}

/// Forward and inverse dynamics undo each other, and both solvers reach the same minimum.
#[test]
fn solvers_and_inverse_dynamics_agree() {
    for name in MODELS {
        let newton = model(name);
        let mut conjugate = newton.clone();
        let options = Options {
            solver: pullback_diffphys::Solver::ConjugateGradient,
            iterations: 5_000,
            tolerance: 1e-9,
            ..*newton.opt()
        };
        conjugate.set_options(options).unwrap();
        for data in states(&newton, 2, 31) {
            let (mut a, mut b) = (data.clone(), data.clone());
            newton.forward(&mut a).unwrap();
            conjugate.forward(&mut b).unwrap();
            let e = common::error(b.qacc(), a.qacc(), 1.0);
            assert!(e < 1e-6, "{name}: conjugate gradients are {e:.1e} away");
            let (qacc, actuator) = (a.qacc().to_vec(), a.qfrc_actuator().to_vec());
            newton.inverse(&mut a, &qacc).unwrap();
            let e = common::error(a.qfrc_inverse(), &actuator, 10.0);
            assert!(e < 1e-8, "{name}: the round trip is {e:.1e} away");
        }
    }
}

/// A model is named and shared between threads.
#[test]
fn models_are_shared() {
    fn shareable<T: Send + Sync>(_: &T) {}
    let m: Model = model("pile");
    shareable(&m);
    shareable(&Data::new(&m));
    assert_eq!(m.name(), "pile");
}
