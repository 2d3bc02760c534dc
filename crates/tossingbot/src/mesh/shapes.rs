//! Triangulated solids: box, cylinder, sphere. All vertices lie on the true surface.

use std::f64::consts::TAU;

use nalgebra::Vector3;

use super::Mesh;

/// A box with edges `size` in metres, centred at the origin.
pub fn cuboid(size: &Vector3<f64>) -> Mesh {
    let corner = |i: usize| {
        let sign = |bit: usize| if i >> bit & 1 == 1 { 0.5 } else { -0.5 };
        Vector3::new(sign(0) * size.x, sign(1) * size.y, sign(2) * size.z)
    };
    let quads: [[u32; 4]; 6] =
        [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]];
    Mesh {
        vertices: (0..8).map(corner).collect(),
        triangles: quads.iter().flat_map(|[a, b, c, d]| [[*a, *b, *c], [*a, *c, *d]]).collect(),
    }
}

/// A cylinder along z, centred at the origin, with `segments` sides (at least 3). Radius and length in metres.
pub fn cylinder(radius: f64, length: f64, segments: u32) -> Mesh {
    let segments = segments.max(3);
    let ring = |z: f64| {
        (0..segments).map(move |i| {
            let (sin, cos) = (TAU * f64::from(i) / f64::from(segments)).sin_cos();
            Vector3::new(radius * cos, radius * sin, z)
        })
    };
    let mut vertices: Vec<_> = ring(-0.5 * length).chain(ring(0.5 * length)).collect();
    vertices.push(Vector3::new(0.0, 0.0, -0.5 * length));
    vertices.push(Vector3::new(0.0, 0.0, 0.5 * length));
    let (bottom, top) = (2 * segments, 2 * segments + 1);
    let triangles = (0..segments)
        .flat_map(|i| {
            let j = (i + 1) % segments;
            [
                [i, j, segments + j],
                [i, segments + j, segments + i],
                [bottom, j, i],
                [top, segments + i, segments + j],
            ]
        })
        .collect();
    Mesh { vertices, triangles }
}

/// A sphere: an octahedron whose edges were halved `subdivisions` times (at most 8); 8·4ⁿ triangles. Radius in metres.
pub fn sphere(radius: f64, subdivisions: u32) -> Mesh {
    let mut vertices =
        vec![Vector3::x(), -Vector3::x(), Vector3::y(), -Vector3::y(), Vector3::z(), -Vector3::z()];
    let mut triangles: Vec<[u32; 3]> = vec![
        [0, 2, 4],
        [2, 1, 4],
        [1, 3, 4],
        [3, 0, 4],
        [2, 0, 5],
        [1, 2, 5],
        [3, 1, 5],
        [0, 3, 5],
    ];
    for _ in 0..subdivisions.min(8) {
        let mut middles = std::collections::HashMap::new();
        let mut middle = |a: u32, b: u32| {
            *middles.entry((a.min(b), a.max(b))).or_insert_with(|| {
                vertices.push((vertices[a as usize] + vertices[b as usize]).normalize());
                vertices.len() as u32 - 1
            })
        };
        triangles = triangles
            .iter()
            .flat_map(|&[a, b, c]| {
                let (ab, bc, ca) = (middle(a, b), middle(b, c), middle(c, a));
                [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]
            })
            .collect();
    }
    for vertex in &mut vertices {
        *vertex *= radius;
    }
    Mesh { vertices, triangles }
}
