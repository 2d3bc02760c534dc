//! Models that contradict themselves: what MuJoCo 4.0.1 refuses is refused, and the message names the element and its line.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_diffphys::{Body, Error, Exclude, Geom, Joint, JointType, Keyframe, Spec, mjcf, urdf};

/// The text of the error of a model whose body elements begin in line 2.
fn refused(body: &str, rest: &str) -> String {
    let text = format!("<mujoco><worldbody>\n{body}\n</worldbody>\n{rest}\n</mujoco>");
    match mjcf::parse(&text) {
        Err(
            e @ (Error::Parse { .. }
            | Error::Invalid { .. }
            | Error::Unknown { .. }
            | Error::Unsupported { .. }),
        ) => e.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

fn check(table: &[(&str, &str, &[&str])]) {
    for (body, rest, words) in table {
        let message = refused(body, rest);
        for word in *words {
            assert!(message.contains(word), "{body} {rest}: '{message}' does not say '{word}'");
        }
    }
}

const ARM: &str = "<body name='a'><joint name='j'/><geom size='1'/><site name='s'/></body>";

#[test]
fn masses_of_geoms_are_not_negative() {
    check(&[
        (
            "<body><freejoint/>\n<geom name='g' size='1' mass='-1'/></body>",
            "",
            &["geom 'g', line 3", "the mass is -1"],
        ),
        // The sum would be positive.
        (
            "<body><freejoint/><geom size='1' mass='1'/>\n<geom size='1' mass='-0.5'/></body>",
            "",
            &["line 3", "the mass is -0.5"],
        ),
        (
            "<body><freejoint/><geom size='1' density='-7'/></body>",
            "",
            &["line 2", "the density is -7"],
        ),
        ("<body>\n<joint/></body>", "", &["body '', line 2", "mass 0"]),
    ]);
    // A density does not count beside a mass, as in MuJoCo.
    let text = "<mujoco><worldbody><body><freejoint/><geom size='1' mass='1' density='-1'/></body></worldbody></mujoco>";
    assert_eq!(mjcf::parse(text).unwrap().body_mass()[1], 1.0);
    let mut spec = Spec::new("built");
    let mut body = Body::new("");
    body.joints.push(Joint::new("", JointType::Free));
    body.geoms.push(Geom::sphere(1.0).mass(f64::NAN));
    spec.add(0, body.clone()).unwrap();
    assert!(spec.compile().unwrap_err().to_string().contains("the mass is NaN"));
    let mut spec = Spec::new("built");
    body.geoms.clear();
    spec.add(0, body).unwrap();
    let message = spec.compile().unwrap_err().to_string();
    assert!(message.starts_with("body 1: mass 0"), "{message}");
}

#[test]
fn limits_that_are_on_have_a_range() {
    let motor =
        |attributes: &str| format!("<actuator>\n<motor joint='j' {attributes}/></actuator>");
    check(&[
        (
            "<body><joint limited='true'/><geom size='1'/></body>",
            "",
            &["joint '', line 2", "0 to 0"],
        ),
        (
            "<body><joint type='slide' range='1 1'/><geom size='1'/></body>",
            "",
            &["line 2", "1 to 1"],
        ),
        (
            "<body><joint type='ball' limited='true' range='1 2'/><geom size='1'/></body>",
            "",
            &["line 2", "a ball's begins at 0"],
        ),
        (
            "<body><joint actuatorfrclimited='true'/><geom size='1'/></body>",
            "",
            &["line 2", "actuatorfrcrange"],
        ),
        (ARM, &motor("ctrllimited='true'"), &["actuator '', line 5", "ctrlrange"]),
        (ARM, &motor("ctrlrange='2 2'"), &["line 5", "ctrlrange is 2 to 2"]),
        (ARM, &motor("forcelimited='true'"), &["line 5", "forcerange"]),
        (ARM, &motor("actlimited='true'"), &["line 5", "actrange"]),
        (
            ARM,
            "<tendon><fixed name='t' limited='true'><joint joint='j' coef='1'/></fixed></tendon>",
            &["tendon 't', line 4", "the range"],
        ),
    ]);
    // What MuJoCo accepts: limits of free joints do not count, a ball's may be 0.
    for joint in
        ["type='free' limited='true'", "type='free' range='1 2'", "type='ball' limited='true'"]
    {
        let text = format!(
            "<mujoco><worldbody><body><joint {joint}/><geom size='1'/></body></worldbody></mujoco>"
        );
        assert!(mjcf::parse(&text).is_ok(), "{joint}");
    }
    // URDF: equal limits are none.
    let robot = |limit: &str| {
        format!(
            "<robot name='r'><link name='b'/><link name='a'><inertial><mass value='1'/><inertia ixx='1' iyy='1' izz='1'/></inertial></link>
            <joint name='j' type='revolute'><parent link='b'/><child link='a'/><limit {limit}/></joint></robot>"
        )
    };
    for (limit, limited) in
        [("lower='1' upper='1'", false), ("effort='3'", false), ("lower='-1' upper='1'", true)]
    {
        let m = urdf::parse(&robot(limit), urdf::Options::default()).unwrap();
        assert_eq!(m.jnt_limited(), [limited], "{limit}");
    }
    assert!(urdf::parse(&robot("lower='2' upper='1'"), urdf::Options::default()).is_err());
}

#[test]
fn classes_exist_and_stand_once() {
    let files = [
        (
            "<mujoco><default>\n<default class='a'>\n<default class='a'/></default></default></mujoco>",
            "line 3, <default>: the class 'a' stands twice",
        ),
        (
            "<mujoco><default>\n<default class='main'/></default></mujoco>",
            "line 2, <default>: the class 'main' stands twice",
        ),
        (
            "<mujoco><default class='a'>\n<default class='a'/></default></mujoco>",
            "line 2, <default>: the class 'a' stands twice",
        ),
        (
            "<mujoco><default class='a'/>\n<default class='a'/></mujoco>",
            "line 2, <default>: the class 'a' stands twice",
        ),
    ];
    for (text, words) in files {
        let message = mjcf::parse(text).unwrap_err().to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
    check(&[
        ("<body childclass='nope'/>", "", &["line 2, <body>: there is no default class 'nope'"]),
        (
            "<frame>\n<frame childclass='nope'/></frame>",
            "",
            &["line 3, <frame>: there is no default class 'nope'"],
        ),
    ]);
    let good = "<mujoco><default><geom size='1'/></default><default><default class='a'><geom mass='2'/></default></default>
        <worldbody><body childclass='a'><freejoint/><geom/></body><body childclass='main'/></worldbody></mujoco>";
    assert_eq!(mjcf::parse(good).unwrap().body_mass()[1], 2.0);
}

#[test]
fn nothing_is_tied_to_itself() {
    let tendon = "<tendon><fixed name='t'><joint joint='j' coef='1'/></fixed></tendon>";
    for (equality, name) in [
        ("<weld body1='a' body2='a'/>", "a"),
        ("<connect body1='a' body2='a' anchor='0 0 0'/>", "a"),
        ("<connect body1='world' anchor='0 0 0'/>", "world"),
        ("<connect site1='s' site2='s'/>", "s"),
        ("<joint joint1='j' joint2='j'/>", "j"),
        ("<tendon tendon1='t' tendon2='t'/>", "t"),
    ] {
        let rest = format!("{tendon}<equality>\n{equality}</equality>");
        let words = [format!("equality of '{name}', line 5"), "is repeated".to_string()];
        check(&[(ARM, &rest, &[&words[0], &words[1]])]);
    }
}

#[test]
fn joints_are_such_as_mujoco_simulates() {
    let body = |joints: &str| format!("<body name='b'>{joints}<geom size='1' mass='4'/></body>");
    let ball = "ball joint followed by a rotation";
    check(&[
        (&body("<joint type='ball'/>\n<joint/>"), "", &["body 'b', line 2", ball, "line 3"]),
        (&body("<joint type='ball'/><joint type='ball'/>"), "", &["line 2", ball]),
        (
            &body("<joint type='ball'/><joint type='slide'/>\n<joint name='h'/>"),
            "",
            &["line 2", ball, "joint 'h', line 3"],
        ),
        (
            &body(&"<joint type='slide'/>".repeat(7)),
            "",
            &["body 'b', line 2", "7 degrees of freedom", "at most 6"],
        ),
        (&body(&"<joint/>".repeat(100)), "", &["line 2", "100 degrees of freedom"]),
        // Two slides along one axis leave a direction without inertia.
        (
            &body("<joint type='slide'/>\n<joint name='again' type='slide'/>"),
            "",
            &["joint", "line", "has an inertia"],
        ),
    ]);
    for joints in [
        "<joint armature='1'/><joint type='ball'/>",
        "<joint type='slide' axis='1 0 0'/><joint type='slide' axis='0 1 0'/><joint type='slide'/><joint type='ball'/>",
        "<joint type='ball'/><joint type='slide'/>",
    ] {
        let text = format!("<mujoco><worldbody>{}</worldbody></mujoco>", body(joints));
        assert!(mjcf::parse(&text).is_ok(), "{joints}");
    }
}

#[test]
fn positions_are_of_this_world() {
    check(&[
        (
            "<body name='b' pos='1e308 0 0'><joint/><geom size='1'/></body>",
            "",
            &["body 'b', line 2", "pos is 1e308"],
        ),
        (
            "<body>\n<joint pos='0 -1e200 0'/><geom size='1'/></body>",
            "",
            &["joint '', line 3", "pos is -1e200"],
        ),
        (
            "<body><joint type='slide' ref='1e300'/><geom size='1'/></body>",
            "",
            &["line 2", "ref is 1e300"],
        ),
        ("<geom pos='0 0 1e20' size='1'/>", "", &["geom '', line 2", "pos is 1e20"]),
        ("<geom size='1e155'/>", "", &["geom '', line 2", "a size is 1e155"]),
        ("<site name='s' pos='1e308 0 0'/>", "", &["site 's', line 2", "pos is 1e308"]),
        (
            "<body><joint/>\n<inertial pos='1e300 0 0' mass='1' diaginertia='1 1 1'/></body>",
            "",
            &["line 2", "the centre of mass is 1e300"],
        ),
        (
            "<inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/>",
            "",
            &["line 2, <inertial>", "the world"],
        ),
        (
            "<body><inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/>\n<inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/></body>",
            "",
            &["line 3, <inertial>", "twice"],
        ),
    ]);
    let message =
        mjcf::parse("<mujoco>\n<worldbody childclass='a'/></mujoco>").unwrap_err().to_string();
    assert!(message.contains("line 2, <worldbody>: childclass"), "{message}");
}

#[test]
fn replicas_are_counted_before_they_are_made() {
    check(&[
        (
            "<replicate count='1000'>\n<replicate count='2000'><body/></replicate></replicate>",
            "",
            &["line 2, <replicate>", "makes 2000000 bodies", "20000"],
        ),
        ("<replicate count='30000'><geom size='1'/></replicate>", "", &["line 2", "30000 geoms"]),
        (
            "<body>\n<replicate count='400'><body><freejoint/><geom size='1'/></body></replicate></body>",
            "",
            &["line 3, <replicate>", "2400 degrees of freedom", "2000"],
        ),
        (
            "<replicate count='1000'><replicate count='1000'><replicate count='2'><site/></replicate></replicate></replicate>",
            "",
            &["line 2", "elements"],
        ),
        (
            &"<replicate count='1000000'><site/></replicate>\n".repeat(3),
            "",
            &["line 1, <worldbody>", "3000003 elements"],
        ),
        // Nothing, a million times a million times.
        (
            "<replicate count='1000000'>\n<replicate count='1000000'/></replicate>",
            "",
            &["line 2, <replicate>: makes 1000001000000 elements"],
        ),
        ("<replicate count='-2'/>", "", &["line 2, <replicate>", "count is -2"]),
    ]);
    let text = "<mujoco><worldbody><replicate count='3' offset='1 0 0'><replicate count='2' offset='0 1 0'><body name='b'>
        <geom size='0.1'/></body></replicate></replicate></worldbody></mujoco>";
    assert_eq!(mjcf::parse(text).unwrap().nbody(), 7);
}

#[test]
fn names_that_clash_or_are_missing_are_told_with_their_lines() {
    let key = |attributes: &str| format!("<keyframe>\n<key name='k' {attributes}/></keyframe>");
    check(&[
        (
            "<body name='a'/>\n<body name='a'/>",
            "",
            &["body 'a', line 3: stands twice, first in line 2"],
        ),
        (
            "<body><joint name='j'/><geom size='1'/><body>\n<joint name='j'/><geom size='1'/></body></body>",
            "",
            &["joint 'j', line 3: stands twice, first in line 2"],
        ),
        (
            "<geom name='g' size='1'/>\n\n<geom name='g' size='1'/>",
            "",
            &["geom 'g', line 4: stands twice, first in line 2"],
        ),
        ("<site name='s'/><site name='s'/>", "", &["site 's', line 2: stands twice"]),
        (
            ARM,
            "<actuator><motor name='m' joint='j'/>\n<motor name='m' joint='j'/></actuator>",
            &["actuator 'm', line 5: stands twice, first in line 4"],
        ),
        (ARM, "<keyframe><key name='k'/>\n<key name='k'/></keyframe>", &["keyframe 'k', line 5"]),
        (ARM, &key("qpos='1 2'"), &["keyframe 'k', line 5: qpos has 2 numbers, the model 1"]),
        (
            ARM,
            &key("mpos='1 2 3'"),
            &["keyframe 'k', line 5: mpos is of 1 bodies, the model has 0"],
        ),
        (
            "<body>\n<geom type='mesh' mesh='nope'/></body>",
            "",
            &["geom '', line 3: there is no mesh 'nope'"],
        ),
        (
            ARM,
            "<actuator>\n<motor name='m' joint='x'/></actuator>",
            &["actuator 'm', line 5: there is no joint 'x'"],
        ),
        (
            ARM,
            "<tendon><fixed name='t'><joint joint='x' coef='1'/></fixed></tendon>",
            &["tendon 't', line 4: there is no joint 'x'"],
        ),
        (
            ARM,
            "<tendon><spatial name='t'><site site='s'/><site site='x'/></spatial></tendon>",
            &["tendon 't', line 4: there is no site 'x'"],
        ),
        (
            ARM,
            "<equality>\n<weld body1='a' body2='x'/></equality>",
            &["equality of 'a', line 5: there is no body 'x'"],
        ),
        (
            ARM,
            "<contact>\n<exclude body1='a' body2='x'/></contact>",
            &["exclude of 'a' and 'x', line 5: there is no body 'x'"],
        ),
        (
            ARM,
            "<contact>\n<pair geom1='x' geom2='y'/></contact>",
            &["pair of 'x' and 'y', line 5: there is no geom 'x'"],
        ),
    ]);
    let text = format!("<mujoco model='arm'><worldbody>{ARM}</worldbody></mujoco>");
    let message = mjcf::parse(&text).unwrap().joint("x").unwrap_err().to_string();
    assert_eq!(message, "model 'arm': there is no joint 'x'");
    // Without lines, too.
    let mut spec = mjcf::parse_spec(&text).unwrap();
    spec.excludes.push(Exclude { body: ["a".to_string(), "b".to_string()], line: 0 });
    let message = spec.compile().unwrap_err().to_string();
    assert_eq!(message, "exclude of 'a' and 'b': there is no body 'b'");
    spec.excludes.clear();
    spec.keyframes.push(("k".to_string(), Keyframe { time: f64::NAN, ..Keyframe::default() }));
    let message = spec.compile().unwrap_err().to_string();
    assert_eq!(message, "keyframe 'k': time is NaN");
}
