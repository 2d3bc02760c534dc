//! Meshes: files of every kind are read, wrong ones are named, never a panic.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_diffphys::{Error, GeomType, mjcf, urdf};

fn in_world(body: &str) -> String {
    format!("<mujoco><worldbody>{body}</worldbody></mujoco>")
}

/// A mesh in place.
fn with_mesh(attributes: &str) -> String {
    format!(
        "<mujoco><asset><mesh name='m' {attributes}/></asset><worldbody><body><freejoint/>\
         <geom type='mesh' mesh='m'/></body></worldbody></mujoco>"
    )
}

#[test]
fn wrong_meshes_are_named() {
    let cube = "vertex='0 0 0 1 0 0 0 1 0 0 0 1 1 1 1'";
    assert!(mjcf::parse(&with_mesh(cube)).is_ok());
    for (attributes, word) in [
        ("", "neither file nor vertex"),
        ("vertex='0 0 0 1'", "4 numbers"),
        ("vertex='0 0 0 1 0 0 0 1 0'", "3 points have no volume"),
        ("vertex='0 0 0 1 0 0 0 1 0 1 1 0 0.5 0.5 0'", "5 points have no volume"),
        ("vertex='1 1 1 1 1 1 1 1 1 1 1 1'", "4 points have no volume"),
        ("vertex='0 0 0 nan 0 0 0 1 0 0 0 1'", "not a finite number"),
        ("vertex='0 0 0 1e300 0 0 0 1e300 0 0 0 1e300'", "mesh 'm'"),
        ("vertex='0 0 0 1e-9 0 0 0 1e-9 0 0 0 1e-9'", "its volume is"),
        (&format!("{cube} face='0 1 9'"), "of 5 vertices"),
        (&format!("{cube} face='0 1'"), "2 numbers"),
        (&format!("{cube} face='0 1 1.5'"), "of 5 vertices"),
        (&format!("{cube} scale='1 0 1'"), "5 points have no volume"),
        (&format!("{cube} inertia='shell'"), "shell"),
        (&format!("{cube} maxhullvert='8'"), "maxhullvert"),
        ("file='m.stl'", "a model from text cannot read files"),
    ] {
        let e = mjcf::parse(&with_mesh(attributes)).unwrap_err().to_string();
        assert!(e.contains(word), "{attributes}: {e}");
    }
    let e = mjcf::parse(&in_world("<geom type='mesh' mesh='nothing'/>")).unwrap_err();
    assert!(matches!(e, Error::Unknown { kind: "mesh", .. }), "{e}");
}

/// A body like a U: its volume under absolute signs depends on the point that it is seen from. Masses, moments and centres of MuJoCo 4.0.1.
#[test]
fn masses_of_hollow_bodies_are_those_of_mujoco() {
    let vertex = "0 0 0 3 0 0 3 3 0 2 3 0 2 1 0 1 1 0 1 3 0 0 3 0 0 0 1 3 0 1 3 3 1 2 3 1 2 1 1 1 1 1 1 3 1 0 3 1";
    let face = "0 6 5 0 7 6 0 4 1 0 5 4 1 3 2 1 4 3 8 13 14 8 14 15 8 9 12 8 12 13 9 10 11 9 11 12 0 1 9 0 9 8 1 2 10 1 10 9 \
                2 3 11 2 11 10 3 4 12 3 12 11 4 5 13 4 13 12 5 6 14 5 14 13 6 7 15 6 15 14 7 0 8 7 8 15";
    for (inertia, mass, moments, y) in [
        (
            "legacy",
            8.617540091638032,
            [12.832462462349513, 7.4617540091638, 6.699129129016179],
            1.4263101374570448,
        ),
        (
            "exact",
            7.0,
            [12.02380952380952, 7.166666666666664, 6.023809523809523],
            1.3571428571428574,
        ),
    ] {
        let text = format!(
            "<mujoco><asset><mesh name='m' vertex='{vertex}' face='{face}' inertia='{inertia}'/></asset>\
             <worldbody><body><freejoint/><geom type='mesh' mesh='m' density='1'/></body></worldbody></mujoco>"
        );
        let model = mjcf::parse(&text).unwrap();
        assert!((model.body_mass()[1] - mass).abs() < 1e-12, "{inertia}");
        for (got, want) in model.body_inertia()[1].iter().zip(moments) {
            assert!((got - want).abs() < 1e-11, "{inertia}: {got} {want}");
        }
        for (got, want) in model.body_ipos()[1].iter().zip([1.5, y, 0.5]) {
            assert!((got - want).abs() < 1e-12, "{inertia}: {got} {want}");
        }
    }
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The corner of a cube, as triangles.
const TETRAHEDRON: [[[f32; 3]; 3]; 4] = [
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]],
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
];

fn binary_stl(count: u32) -> Vec<u8> {
    let mut out = vec![b' '; 80];
    out.extend(count.to_le_bytes());
    for triangle in TETRAHEDRON {
        out.extend([0; 12]);
        triangle.as_flattened().iter().for_each(|x| out.extend(x.to_le_bytes()));
        out.extend([0; 2]);
    }
    out
}

fn text_stl() -> String {
    let mut out = String::from("solid t\n");
    for triangle in TETRAHEDRON {
        out += "facet normal 0 0 0\nouter loop\n";
        for [x, y, z] in triangle {
            out += &format!("vertex {x} {y} {z}\n");
        }
        out += "endloop\nendfacet\n";
    }
    out + "endsolid t\n"
}

fn msh() -> Vec<u8> {
    let mut out = Vec::new();
    [4i32, 0, 0, 4].iter().for_each(|n| out.extend(n.to_le_bytes()));
    let vertices = [[0.0f32, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    vertices.as_flattened().iter().for_each(|x| out.extend(x.to_le_bytes()));
    let faces = [[0i32, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]];
    faces.as_flattened().iter().for_each(|v| out.extend(v.to_le_bytes()));
    out
}

const OBJ: &str = "# corner\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvn 0 0 1\n\
                   f 1//1 3//1 2//1\nf 1 2 4\nf 1 4 3\nf -3 -2 -1\n";

/// Every kind of file gives the same model; wrong ones say what is wrong with them.
#[test]
fn mesh_files_are_read_or_refused() {
    let folder = folder("meshes");
    std::fs::create_dir(folder.join("in")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let load = |file: &str| {
        let text = with_mesh(&format!("file='{file}' inertia='exact'"));
        write("model.xml", text.as_bytes());
        mjcf::load(folder.join("model.xml"))
    };
    write("in/t.stl", &binary_stl(4));
    write("t.STL", text_stl().as_bytes());
    write("t.msh", &msh());
    write("t.obj", OBJ.as_bytes());
    for file in ["in/t.stl", "t.STL", "t.msh", "t.obj"] {
        let model = load(file).unwrap();
        // 1000/6 kg, the centre at a quarter.
        assert!((model.body_mass()[1] - 1000.0 / 6.0).abs() < 1e-9, "{file}");
        assert!(model.body_ipos()[1].iter().all(|x| (x - 0.25).abs() < 1e-12), "{file}");
    }
    let outside = folder.parent().unwrap().join("outside.stl");
    std::fs::write(&outside, binary_stl(4)).unwrap();
    write("short.stl", &binary_stl(4)[..200]);
    write("huge.stl", &binary_stl(u32::MAX));
    write("cut.stl", b"solid t\nfacet\nvertex 0 0 0\n");
    write("word.stl", b"solid t\nvertex 0 zero 0\nendsolid\n");
    write("short.msh", &msh()[..40]);
    write("negative.msh", &[255; 64]);
    write("corner.obj", b"v 0 0 0\nf 1 2 3\n");
    write("number.obj", b"v 0 0 inf\n");
    write("image.png", b"");
    let mut nan = binary_stl(4);
    nan[100..104].copy_from_slice(&f32::NAN.to_le_bytes());
    write("nan.stl", &nan);
    for (file, word) in [
        ("missing.stl", "'missing.stl'"),
        ("../outside.stl", "outside the model's folder"),
        ("in", "is not a file"),
        ("short.stl", "ends too early"),
        ("huge.stl", "4294967295 triangles"),
        ("cut.stl", "endsolid is missing"),
        ("word.stl", "'zero' is not a finite number"),
        ("short.msh", "bytes after the counts"),
        ("negative.msh", "-1 vertices"),
        ("corner.obj", "corner 2 of 1 vertices"),
        ("number.obj", "'inf' is not a finite number"),
        ("image.png", "no kind of mesh"),
        ("nan.stl", "NaN"),
    ] {
        let e = load(file).unwrap_err().to_string();
        assert!(e.contains(word), "{file}: {e}");
    }
}

/// A URDF's mesh collides by its hull, under the name of a package, too.
#[test]
fn urdf_meshes_are_read() {
    let folder = folder("urdf");
    std::fs::create_dir(folder.join("meshes")).unwrap();
    std::fs::write(folder.join("meshes/t.stl"), binary_stl(4)).unwrap();
    for file in ["meshes/t.stl", "package://robot/meshes/t.stl"] {
        let text = format!(
            "<robot name='r'><link name='a'><inertial><mass value='1'/><inertia ixx='1' iyy='1' izz='1'/></inertial>\
             <collision><geometry><mesh filename='{file}' scale='2 2 2'/></geometry></collision></link></robot>"
        );
        std::fs::write(folder.join("r.urdf"), text).unwrap();
        let model = urdf::load(folder.join("r.urdf"), urdf::Options::default()).unwrap();
        assert_eq!(model.geom_type(), [GeomType::Mesh]);
        assert!(model.geom_pos()[0].iter().all(|x| (x - 0.5).abs() < 1e-6));
    }
}
