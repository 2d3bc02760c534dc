//! Mesh files, mass properties and resting poses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A failing test panics by design.

use std::fs;
use std::path::PathBuf;

use nalgebra::{Matrix3, Vector2, Vector3};
use pullback_tossingbot::mesh::{
    MassProperties, Mesh, convex_hull, convex_polygon, cuboid, cylinder, parse_obj, read_urdf,
    sphere,
};
use pullback_tossingbot::objects::{Builtin, ObjectModel, builtin_models, load_objects};
use pullback_tossingbot::{Error, FileProblem};

const TETRAHEDRON: &str =
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

/// A fresh folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn assert_near(a: &Matrix3<f64>, b: &Matrix3<f64>, relative: f64) {
    assert!((a - b).norm() <= relative * b.norm(), "{a} ≠ {b}");
}

#[test]
fn obj_grammar() {
    let squares = "v 0 0 0 1\nv 1 0 0\nv 1 1 0\nv 0 1 0 # a comment\n";
    let table: [(&str, String, usize, usize); 6] = [
        ("bare", format!("{squares}f 1 2 3"), 1, 1),
        ("a polygon is a fan", format!("{squares}f 1 2 3 4"), 1, 2),
        ("texture and normal indices", format!("{squares}f 1/1 2//5 3/1/5"), 1, 1),
        ("counted backwards", format!("{squares}f -4 -3 -2"), 1, 1),
        ("groups", format!("{squares}o a\nf 1 2 3\ng b\nf 1 3 4"), 2, 2),
        (
            "o and g together",
            format!("o a\ng b\n{squares}vt 0 0\nusemtl x\ns off\nf 1 2 3\no c\n"),
            1,
            1,
        ),
    ];
    for (what, text, parts, triangles) in table {
        let read = parse_obj(&text).unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert_eq!(read.len(), parts, "{what}");
        assert_eq!(read.iter().map(|p| p.mesh.triangles.len()).sum::<usize>(), triangles, "{what}");
    }
    let parts = parse_obj("v 9 9 9\nv 0 0 0\nv 1 0 0\nv 0 1 0\no only\nf 2 3 4").unwrap();
    assert_eq!(parts[0].name, "only");
    assert_eq!(parts[0].mesh.vertices, [Vector3::zeros(), Vector3::x(), Vector3::y()]);
}

#[test]
fn bad_obj_is_named_with_its_line() {
    let table: [(&str, usize, FileProblem); 11] = [
        ("v 0 0 nan", 1, FileProblem::NonFiniteVertex { index: 1 }),
        ("v 0 0 0\nv 1 inf 0", 2, FileProblem::NonFiniteVertex { index: 2 }),
        ("v 0 0", 1, FileProblem::Truncated { statement: "v", found: 2, needed: 3 }),
        ("v 0 0 0\nf 1 1", 2, FileProblem::Truncated { statement: "f", found: 2, needed: 3 }),
        ("v 0 0 0\nf 1 1 2", 2, FileProblem::IndexOutOfRange { index: 2, count: 1 }),
        ("v 0 0 0\nf 1 1 0", 2, FileProblem::IndexOutOfRange { index: 0, count: 1 }),
        ("v 0 0 0\nf 1 1 -2", 2, FileProblem::IndexOutOfRange { index: -2, count: 1 }),
        (
            "v 0 0 0\nf 1 1 1000000000",
            2,
            FileProblem::IndexOutOfRange { index: 1_000_000_000, count: 1 },
        ),
        ("v 0 zero 0", 1, FileProblem::BadNumber { token: "zero".into(), expected: "a number" }),
        (
            "v 0 0 0\n\nf 1 a 1",
            3,
            FileProblem::BadNumber { token: "a".into(), expected: "a vertex index" },
        ),
        ("# nothing\nv 0 0 0\n", 0, FileProblem::Empty),
    ];
    for (text, line, problem) in table {
        assert_eq!(parse_obj(text), Err((line, problem)), "{text:?}");
    }
    // A fan of a million triangles is refused while it is read.
    let mut text = String::from("v 0 0 0\nv 1 0 0\nv 0 1 0\nf");
    text.push_str(&" 1 2 3".repeat(400_000));
    assert_eq!(parse_obj(&text), Err((4, FileProblem::TooManyFaces { limit: 1_000_000 })));
}

#[test]
fn mass_properties_match_the_textbook() {
    let density = 600.0;
    let diagonal = |x: f64, y: f64, z: f64| Matrix3::from_diagonal(&Vector3::new(x, y, z));
    let far = Vector3::new(3.0, -2.0, 5.0);

    let size = Vector3::new(0.1, 0.04, 0.025);
    let block = MassProperties::of_mesh(&cuboid(&size).translated(&far), density).unwrap();
    let mass = density * size.x * size.y * size.z;
    assert!((block.mass - mass).abs() < 1e-12 && (block.center - far).norm() < 1e-12);
    let squares = size.component_mul(&size) * (mass / 12.0);
    let inertia = diagonal(squares.y + squares.z, squares.z + squares.x, squares.x + squares.y);
    assert_near(&block.inertia, &inertia, 1e-9);

    // Inscribed polyhedra converge to the smooth solids with the square of the edge length.
    let (r, l) = (0.015, 0.16);
    let mut previous = f64::INFINITY;
    for segments in [12, 48, 192, 768] {
        let rod = MassProperties::of_mesh(&cylinder(r, l, segments), density).unwrap();
        let mass = density * std::f64::consts::PI * r * r * l;
        let side = mass * (3.0 * r * r + l * l) / 12.0;
        let error = (rod.inertia - diagonal(side, side, 0.5 * mass * r * r)).norm() / side;
        assert!(error < 0.1 * previous, "{segments} segments: {error}");
        previous = error;
    }
    let mut previous = f64::INFINITY;
    for subdivisions in 2..6 {
        let ball = MassProperties::of_mesh(&sphere(0.02, subdivisions), density).unwrap();
        let mass = density * 4.0 / 3.0 * std::f64::consts::PI * 0.02_f64.powi(3);
        let about = 0.4 * mass * 0.02 * 0.02;
        let error = (ball.inertia - diagonal(about, about, about)).norm() / about;
        assert!(error < 0.3 * previous, "{subdivisions} subdivisions: {error}");
        previous = error;
    }
}

#[test]
fn turned_inward_or_open_surfaces_have_the_same_mass() {
    let outward = cuboid(&Vector3::new(1.0, 2.0, 3.0));
    let reference = MassProperties::of_mesh(&outward, 1.0).unwrap();
    let mut inward = outward.clone();
    inward.flip();
    let mut open = outward.clone();
    open.triangles.pop();
    for mesh in [inward, open, outward.scaled(&Vector3::new(-1.0, 1.0, 1.0))] {
        let part = pullback_tossingbot::mesh::Part { name: String::new(), mesh };
        let mass = MassProperties::of_parts(&[part], 1.0).unwrap();
        assert!((mass.volume - reference.volume).abs() < 1e-12);
        assert_near(&mass.inertia, &reference.inertia, 1e-12);
    }
}

#[test]
fn degenerate_solids_are_named() {
    let flat = cuboid(&Vector3::new(1.0, 1.0, 0.0));
    assert!(matches!(MassProperties::of_mesh(&flat, 1.0), Err(FileProblem::ZeroVolume { .. })));
    assert_eq!(MassProperties::of_mesh(&Mesh::default(), 1.0), Err(FileProblem::Empty));
    let line: Vec<_> = (0..9).map(|i| Vector3::repeat(f64::from(i))).collect();
    assert!(convex_hull(&line).is_none());
    assert!(convex_hull(&[]).is_none());
    assert!(convex_hull(&[Vector3::repeat(f64::NAN); 5]).is_none());
    assert!(ObjectModel::from_parts("none", "none", Vec::new(), 1.0).is_err());
}

#[test]
fn convex_polygon_keeps_the_corners() {
    let points: Vec<_> =
        (0..25).map(|i| Vector2::new(f64::from(i % 5), f64::from(i / 5))).collect();
    let corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]].map(Vector2::from);
    assert_eq!(convex_polygon(&points), corners);
}

#[test]
fn paper_objects_have_the_paper_s_sizes_and_lie_flat() {
    let table = [
        (Builtin::Ball, 0.04, 0.02),
        (Builtin::Cube, 0.04, 0.02),
        (Builtin::Rod, 0.16, 0.015),
        (Builtin::Hammer, 0.16, 0.0125),
        (Builtin::Puck, 0.06, 0.0125),
        (Builtin::Dumbbell, 0.124, 0.0125),
        (Builtin::Cross, 0.16, 0.01),
        (Builtin::L, 0.10, 0.01),
    ];
    for (builtin, length, height) in table {
        let model = builtin.model().unwrap();
        assert!(
            (2.0 * model.half_length - length).abs() < 1e-3,
            "{builtin:?} {}",
            model.half_length
        );
        assert!(model.mass > 0.01 && model.mass < 0.1, "{builtin:?} {}", model.mass);
        let flat: Vec<_> = model.flat_poses().collect();
        assert!(!flat.is_empty());
        for pose in &flat {
            assert!((pose.height - height).abs() < 0.15 * height, "{builtin:?} {}", pose.height);
            let lowest =
                model.mesh.vertices.iter().map(|v| (pose.rotation * v).z).fold(1.0, f64::min);
            assert!((lowest + pose.height).abs() < 1e-5, "{builtin:?} {lowest} {}", pose.height);
        }
        let total: f64 = model.resting.iter().map(|pose| pose.weight).sum();
        assert!(total <= 1.0 + 1e-9 && total > 0.5, "{builtin:?} {total}");
    }
    // The rod can stand on its ends, but that is not flat.
    let rod = Builtin::Rod.model().unwrap();
    assert_eq!(rod.resting.len(), rod.flat_poses().count() + 2);
    // An L's centre of mass lies outside its body: above the hull's face all the same.
    assert_eq!(Builtin::L.model().unwrap().flat_poses().count(), 2);
    assert_eq!(builtin_models(&Builtin::ALL).unwrap().len(), 9);
    assert_eq!(Builtin::by_name("hammer"), Some(Builtin::Hammer));
}

#[test]
fn urdf_geometry() {
    let folder = folder("urdf_geometry");
    fs::create_dir_all(folder.join("meshes")).unwrap();
    fs::write(folder.join("meshes/t.obj"), TETRAHEDRON).unwrap();
    let text = r#"<?xml version="1.0"?>
<robot name="thing">
  <link name="base">
    <inertial><mass value="99"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><geometry><sphere radius="9"/></geometry></visual>
    <collision>
      <origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/>
      <geometry><mesh filename="meshes/t.obj" scale="2 1 1"/></geometry>
    </collision>
  </link>
  <link name="tip"><collision><geometry><box size="1 1 1"/></geometry></collision></link>
  <joint name="j" type="fixed"><parent link="base"/><child link="tip"/><origin xyz="5 0 0"/></joint>
</robot>"#;
    let path = folder.join("thing.urdf");
    fs::write(&path, text).unwrap();
    let urdf = read_urdf(&path, &folder).unwrap();
    assert_eq!((urdf.name.as_str(), urdf.parts.len(), urdf.meshes.len()), ("thing", 2, 1));
    let (low, high) = urdf.parts[0].mesh.bounds();
    assert!((low - Vector3::new(-1.0, 0.0, 1.0)).norm() < 1e-12);
    assert!((high - Vector3::new(0.0, 2.0, 2.0)).norm() < 1e-12);
    let mass = MassProperties::of_parts(&urdf.parts, 1.0).unwrap();
    assert!((mass.volume - (1.0 + 1.0 / 3.0)).abs() < 1e-12, "mass comes from the geometry");
    // The folder holds one object: the mesh belongs to the URDF.
    let loaded = load_objects(&folder, 600.0).unwrap();
    assert_eq!((loaded.objects.len(), loaded.skipped.len()), (1, 0));
    assert_eq!(loaded.objects[0].name, "thing");
}

#[test]
fn bad_urdf_is_named() {
    let folder = folder("bad_urdf");
    let inner = folder.join("inner");
    fs::create_dir_all(&inner).unwrap();
    fs::write(folder.join("outside.obj"), TETRAHEDRON).unwrap();
    fs::write(inner.join("nan.obj"), "v nan nan nan\n").unwrap();
    fs::write(inner.join("mesh.stl"), "solid").unwrap();
    let robot = |geometry: &str| {
        format!(
            "<robot name=\"r\">\n<link name=\"l\"><collision><geometry>\n{geometry}</geometry></collision></link></robot>"
        )
    };
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    type Check = fn(&FileProblem) -> bool;
    let table: Vec<(&str, String, usize, Check)> = vec![
        ("missing mesh", robot("<mesh filename='no.obj'/>"), 3, |p| matches!(p, FileProblem::MissingFile { .. })),
        ("escape", robot("<mesh filename='../outside.obj'/>"), 3, |p| matches!(p, FileProblem::PathEscape { .. })),
        ("absolute", robot("<mesh filename='/etc/hostname'/>"), 3, |p| matches!(p, FileProblem::PathEscape { .. })),
        ("package escape", robot("<mesh filename='package://../outside.obj'/>"), 3, |p| {
            matches!(p, FileProblem::PathEscape { .. })
        }),
        ("other format", robot("<mesh filename='mesh.stl'/>"), 3, |p| matches!(p, FileProblem::Unsupported { .. })),
        ("NaN mesh", robot("<mesh filename='nan.obj'/>"), 1, |p| matches!(p, FileProblem::NonFiniteVertex { index: 1 })),
        ("many spheres", robot(&"<sphere radius='.01'/>\n".repeat(2000)), 1956, |p| {
            matches!(p, FileProblem::TooManyFaces { .. })
        }),
        ("short size", robot("<box size='1 1'/>"), 3, |p| {
            *p == FileProblem::Truncated { statement: "size", found: 2, needed: 3 }
        }),
        ("NaN size", robot("<box size='1 1 nan'/>"), 3, |p| matches!(p, FileProblem::BadNumber { .. })),
        ("no radius", robot("<sphere/>"), 3, |p| matches!(p, FileProblem::Truncated { statement: "radius", .. })),
        ("no geometry", "<robot name='r'><link name='l'/></robot>".into(), 0, |p| *p == FileProblem::Empty),
        ("not a robot", "<sdf/>".into(), 1, |p| matches!(p, FileProblem::Unsupported { .. })),
        ("truncated", "<robot>\n<link".into(), 1, |p| matches!(p, FileProblem::Syntax { .. })),
        ("deep", robot(&deep), 3, |p| matches!(p, FileProblem::TooDeep { .. })),
        ("loop", "<robot><link name='a'/><link name='b'/><joint type='fixed'><parent link='a'/><child link='b'/></joint><joint type='fixed'><parent link='b'/><child link='a'/></joint></robot>".into(), 1, |p| {
            matches!(p, FileProblem::Syntax { .. })
        }),
        ("hinge", "<robot><link name='a'/>\n<joint type='revolute'/></robot>".into(), 2, |p| {
            matches!(p, FileProblem::Unsupported { what: "joint type", .. })
        }),
        ("entities", "<!DOCTYPE r [<!ENTITY a 'aaaa'>]><robot>&a;</robot>".into(), 1, |p| {
            matches!(p, FileProblem::Syntax { .. })
        }),
    ];
    for (what, text, line, expected) in table {
        let path = inner.join("bad.urdf");
        fs::write(&path, text).unwrap();
        match read_urdf(&path, &inner) {
            Err(Error::File { line: found, problem, .. }) => {
                assert!(expected(&problem), "{what}: {problem:?}");
                assert_eq!(found, line, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(matches!(read_urdf(&inner.join("none.urdf"), &inner), Err(Error::Io { .. })));
    assert!(matches!(read_urdf(&inner, &inner), Err(Error::Io { .. })));
}

#[test]
fn a_folder_of_good_and_bad_files() {
    let folder = folder("mixed");
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join("deep/er/good.OBJ"), TETRAHEDRON).unwrap();
    fs::write(folder.join("empty.obj"), "").unwrap();
    fs::write(folder.join("flat.obj"), "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n").unwrap();
    fs::write(folder.join("binary.obj"), [0xff, 0xfe, 0x00, 0x80]).unwrap();
    fs::write(folder.join("notes.txt"), "not an object").unwrap();
    let nan = folder.join("nan");
    fs::create_dir_all(&nan).unwrap();
    fs::write(nan.join("168.obj"), "o convex_0\nv nan nan nan\n").unwrap();
    let geometry = "<collision><geometry><mesh filename='168.obj'/></geometry></collision>";
    fs::write(
        nan.join("168.urdf"),
        format!("<robot name='r'><link name='l'>{geometry}</link></robot>"),
    )
    .unwrap();
    let loaded = load_objects(&folder, 600.0).unwrap();
    assert_eq!(loaded.objects.len(), 1);
    assert_eq!((loaded.objects[0].name.as_str(), loaded.objects[0].class.as_str()), ("good", "er"));
    let problems: Vec<_> = loaded
        .skipped
        .iter()
        .map(|(path, error)| match error {
            Error::File { problem, .. } => {
                (path.file_name().unwrap().to_str().unwrap(), problem.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(problems[0], ("binary.obj", FileProblem::Empty));
    assert_eq!(problems[1], ("empty.obj", FileProblem::Empty));
    assert!(matches!(problems[2], ("flat.obj", FileProblem::ZeroVolume { .. })));
    assert_eq!(problems[3], ("168.urdf", FileProblem::NonFiniteVertex { index: 1 }));
    assert_eq!(problems.len(), 4, "a bad mesh is reported once, by the URDF that names it");
    assert!(matches!(load_objects(&folder.join("none"), 600.0), Err(Error::Io { .. })));
    assert!(matches!(
        load_objects(&folder, 0.0),
        Err(Error::InvalidArgument { name: "density", .. })
    ));
}
