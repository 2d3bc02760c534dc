//! What is too large, contradicts itself or would be read otherwise than MuJoCo reads it is refused before it takes memory or time.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_diffphys::{
    Body, Data, Error, Geom, GeomType, Inertial, Joint, JointType, Mesh, Options, Pose, Site, Spec,
    mjcf,
};

fn in_world(body: &str) -> String {
    format!("<mujoco><worldbody>{body}</worldbody></mujoco>")
}

fn refused(text: &str, word: &str) {
    match mjcf::parse(text) {
        Err(e) => assert!(e.to_string().contains(word), "'{e}' does not say '{word}'"),
        Ok(_) => panic!("{} is read", &text[..text.len().min(200)]),
    }
}

/// Small files that ask for gigabytes.
#[test]
fn products_of_counts_are_bounded() {
    let ball = "<body><freejoint/><geom size='1' contype='0' conaffinity='0'/></body>";
    let free = format!("<body name='b'>{}{}", &ball["<body>".len()..], ball.repeat(332));
    let with = |rest: &str| {
        format!(
            "<mujoco><worldbody>{free}<site name='s'/><site name='t'/></worldbody>{rest}</mujoco>"
        )
    };
    let list =
        |tag: &str, item: &str, count: usize| format!("<{tag}>{}</{tag}>", item.repeat(count));
    refused(&with(&list("keyframe", "<key/>", 30_000)), "30000 keyframes of 4329 numbers each");
    refused(
        &with(&list("actuator", "<motor site='s'/>", 60_000)),
        "60000 actuators of 1998 numbers",
    );
    let tendon = "<spatial><site site='s'/><site site='t'/></spatial>";
    refused(&with(&list("tendon", tendon, 60_000)), "60000 tendons of 1998 numbers");
    let weld = "<weld body1='b' body2='world'/>";
    refused(&with(&list("equality", weld, 9_000)), "54000 rows of equalities of 1998 numbers");
    let names = format!("<motor name='{}' site='s'/>", "n".repeat(251));
    refused(&with(&list("actuator", &names, 1)), "name has 251 bytes; 250 are allowed");
    let joint = format!("<motor joint='{}'/>", "j".repeat(5_000));
    refused(&with(&list("actuator", &joint, 1)), "joint has 5000 bytes");
    let long = "r".repeat(200);
    let nested = format!("<replicate count='2' sep='{long}'>").repeat(3)
        + "<body name='b'/>"
        + &"</replicate>".repeat(3);
    refused(&in_world(&nested), "<replicate>: adds 402 bytes to names");
}

#[test]
fn attributes_and_classes_are_counted() {
    let many = |count: usize| (0..count).map(|k| format!(" a{k}='1'")).collect::<String>();
    refused(
        &format!("<mujoco>\n<size{}/></mujoco>", many(100_000)),
        "line 2, <?>: 100000 attributes; 200 are allowed",
    );
    let class = |k: usize| format!("<default class='c{k}'><geom mass='1'/></default>");
    let classes = |count: usize| {
        let inner: String = (0..count).map(class).collect();
        format!("<mujoco><default><geom{}/>{inner}</default></mujoco>", many(190))
    };
    assert!(mjcf::parse(&classes(100)).is_ok());
    refused(&classes(6_000), "more than 1000000 attributes");
    // Classes without attributes of their own share those around them; what stands in comments and values does not count.
    let empty: String = (0..20_000).map(|k| format!("<default class='c{k}'/>")).collect();
    let text = format!(
        "<mujoco model='a=<b' ><!-- <<<< {} --><default><geom{}/>{empty}</default></mujoco>",
        "<a b='='>".repeat(300),
        many(190)
    );
    refused(&text, "<");
    assert!(mjcf::parse(&text.replace("a=<b", "a=>b")).is_ok());
}

/// One set of defaults for all actuators: what we do not read would change what we do.
#[test]
fn defaults_of_unsupported_elements_are_refused() {
    let file = |default: &str| {
        format!("<mujoco><default>\n{default}</default>{}</mujoco>", "<worldbody/>")
    };
    for tag in [
        "cylinder",
        "muscle",
        "damper",
        "adhesion",
        "pid",
        "dcmotor",
        "orientation",
        "plugin",
        "foo",
        "body",
        "skin",
    ] {
        match mjcf::parse(&file(&format!("<{tag} gear='7'/>"))) {
            Err(e @ Error::Unsupported { line: 2, .. }) => {
                assert!(e.to_string().contains(tag), "{e}")
            }
            other => panic!("{tag}: {other:?}"),
        }
    }
    for tag in [
        "material", "texture", "camera", "light", "pair", "equality", "tendon", "general", "mesh",
        "site",
    ] {
        assert!(mjcf::parse(&file(&format!("<{tag}/>"))).is_ok(), "{tag}");
    }
}

/// MuJoCo refuses these, too.
#[test]
fn half_given_numbers_are_refused() {
    let arm = |joint: &str| in_world(&format!("<body><joint {joint}/><geom size='1'/></body>"));
    refused(&arm("axis='1 1'"), "axis has 2 numbers; 3 are needed");
    refused(&arm("pos='1'"), "pos has 1 numbers; 3 are needed");
    for given in ["0.1 -1", "-1 0.1", "0 1", "-1 -1"] {
        refused(&arm(&format!("springdamper='{given}'")), "both must be positive");
    }
    refused(&in_world("<geom size='1' zaxis='0 0 0'/>"), "zaxis is degenerate");
    let line = "type='capsule' size='.1' fromto='0 0 0 1 0 0'";
    refused(&in_world(&format!("<geom {line} pos='0 0 0'/>")), "both fromto and pos");
    refused(&in_world(&format!("<site {line} pos='0 0 1'/>")), "both fromto and pos");
    let default = format!(
        "<mujoco><default><geom pos='0 0 1'/></default><worldbody><geom {line}/></worldbody></mujoco>"
    );
    refused(&default, "both fromto and pos");
    let inertia = |given: &str| {
        in_world(&format!("<body><freejoint/><inertial mass='1' pos='0 0 0' {given}/></body>"))
    };
    refused(&inertia("fullinertia='1 1 1 0 0 0' euler='0 0 1'"), "fullinertia and");
    refused(&inertia("fullinertia='1 1 1 0 0 0' diaginertia='1 1 1'"), "fullinertia and");
    for joint in ["joint", "freejoint"] {
        let text = format!(
            "<body><replicate count='2'><frame><frame>\n<{joint}/></frame></frame></replicate><geom size='1'/></body>"
        );
        refused(&in_world(&text), &format!("line 2, <{joint}>: a joint as a child of <replicate>"));
    }
    refused(&in_world("<body><freejoint align='yes'/><geom size='1'/></body>"), "align: 'yes'");
    let weld = "<mujoco><worldbody><body name='a'><freejoint/><geom size='1'/></body></worldbody><equality><weld body1='a' relpose='0 0 1'/></equality></mujoco>";
    refused(weld, "relpose has 3 numbers; 7 are needed");
}

/// A reference without a name is not the first element without one.
#[test]
fn nothing_is_called_nothing() {
    let with = |rest: &str| {
        format!(
            "<mujoco><worldbody><body><joint/><geom size='1'/></body><geom size='1'/></worldbody>{rest}</mujoco>"
        )
    };
    refused(&with("<actuator><motor joint=''/></actuator>"), "there is no joint ''");
    refused(&with("<contact><pair geom1='' geom2=''/></contact>"), "there is no geom ''");
    refused(&with("<equality><joint joint1=''/></equality>"), "there is no joint ''");
    let model = mjcf::parse(&with("")).unwrap();
    assert!(matches!(model.joint(""), Err(Error::Unknown { kind: "joint", .. })));
    assert_eq!(model.body("world").unwrap(), 0);
}

#[test]
fn options_say_again_what_may_touch() {
    let text = in_world(
        "<body><freejoint/><geom size='1'/><body pos='0.1 0 0'><joint/><geom size='1'/></body></body>",
    );
    let mut model = mjcf::parse(&text).unwrap();
    let touching = |model: &pullback_diffphys::Model| {
        let mut data = Data::new(model);
        model.forward(&mut data).unwrap();
        data.contact().len()
    };
    assert_eq!(touching(&model), 0);
    model.set_options(Options { filterparent: false, ..*model.opt() }).unwrap();
    assert_eq!(touching(&model), 1);
    model.set_options(Options { filterparent: true, ..*model.opt() }).unwrap();
    assert_eq!(touching(&model), 0);
}

fn free(body: impl FnOnce(&mut Body)) -> Spec {
    let mut spec = Spec::new("free");
    let tetrahedron = [[0.0; 3], [0.3, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.4]];
    spec.meshes.push(Mesh {
        name: "m".to_string(),
        vertex: tetrahedron.to_vec(),
        ..Mesh::default()
    });
    let mut b = Body::new("b");
    b.joints.push(Joint::new("", JointType::Free));
    body(&mut b);
    spec.add(0, b).unwrap();
    spec
}

/// Orientations from Rust need not have unit length, but some.
#[test]
fn orientations_are_normalized() {
    let quat = [0.5, -0.5, 0.1, 0.7];
    let scaled = |by: f64| {
        let turned = || Pose { pos: [0.1, 0.2, 0.3], quat: quat.map(|x| by * x) };
        let geoms = free(|b| {
            b.pose = turned();
            b.geoms.push(Geom { pose: turned(), ..Geom::new(GeomType::Box, [0.1, 0.2, 0.3]) });
            b.geoms.push(Geom { pose: turned(), ..Geom::mesh("m") });
            b.sites.push(Site { name: "s".to_string(), pose: turned(), line: 0 });
        });
        let given = free(|b| {
            b.inertial = Some(Inertial {
                mass: 1.0,
                pose: turned(),
                inertia: [1.0, 1.5, 2.0, 0.1, 0.0, 0.0],
            });
        });
        [geoms, given].map(|spec| {
            let m = spec.compile().unwrap();
            [
                m.body_mass(),
                m.body_inertia().as_flattened(),
                m.body_ipos().as_flattened(),
                m.body_iquat().as_flattened(),
                m.geom_pos().as_flattened(),
                m.geom_quat().as_flattened(),
                m.site_quat().as_flattened(),
                m.qpos0(),
            ]
            .concat()
        })
    };
    let (unit, other) = (scaled(1.0 / quat.iter().map(|x| x * x).sum::<f64>().sqrt()), scaled(3.0));
    for (a, b) in unit.iter().flatten().zip(other.iter().flatten()) {
        assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} {b}");
    }
    let none = Pose { pos: [0.0; 3], quat: [0.0; 4] };
    for (spec, word) in [
        (free(|b| b.pose = none), "body 'b': quat is [0.0, 0.0, 0.0, 0.0]"),
        (free(|b| b.geoms.push(Geom { pose: none, ..Geom::sphere(1.0) })), "geom '': quat is"),
        (free(|b| b.sites.push(Site { pose: none, ..Site::default() })), "site '': quat is"),
        (
            free(|b| b.inertial = Some(Inertial { mass: 1.0, pose: none, inertia: [1.0; 6] })),
            "inertia of body 'b': quat is",
        ),
        (free(|b| b.pose.quat = [f64::NAN; 4]), "quat is [NaN"),
    ] {
        let message = spec.compile().unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    let mut spec = free(|b| b.geoms.push(Geom::sphere(1.0)));
    let mut body = Body::new("c");
    body.joints
        .push(Joint { springdamper: Some([0.1, -1.0]), ..Joint::new("j", JointType::Hinge) });
    body.geoms.push(Geom::sphere(1.0));
    spec.add(0, body).unwrap();
    assert!(spec.compile().unwrap_err().to_string().contains("springdamper is 0.1 -1"));
    let around = Pose { pos: [1.0, 0.0, 0.0], quat: [2.0, 0.0, 0.0, 0.0] };
    assert_eq!(
        around.then(&Pose { pos: [0.0, 1.0, 0.0], quat: [0.0, 3.0, 0.0, 0.0] }).quat,
        [0.0, 1.0, 0.0, 0.0]
    );
    assert_eq!(around.then(&Pose { pos: [0.0, 1.0, 0.0], ..Pose::default() }).pos, [1.0, 1.0, 0.0]);
}
