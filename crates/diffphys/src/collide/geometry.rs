//! How a contact moves when its bodies move: the Jacobian of its distance, position and frame.

use super::convex::Solid;
use super::frame::turning;
use super::pairs::{Shape, Touches};
use super::scalar::{Dual, Scalar};
use super::touches;
use crate::spatial::{Spatial, Vec3, cross, sub};
use crate::{Data, Model};

/// d(dist, pos, turn of the frame) along motions of the two geoms and of their sizes. Motions are (rotation; translation of the geom's centre).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Motion {
    /// Along the motion of each geom: 6 columns of (dist, pos, turn).
    pub(crate) by_geom: [[[f64; 7]; 6]; 2],
    /// Along the sizes of each geom.
    pub(crate) by_size: [[[f64; 7]; 3]; 2],
}

type D = Dual<12>;

/// A shape whose pose moves along six directions from `at` and whose size along three from `at + 6`; `at` may be past the end for none.
fn moving(model: &Model, data: &Data, geom: usize, pose: bool, size_at: usize) -> Shape<D> {
    let (pos, mat) = (data.geom_xpos[geom], data.geom_xmat[geom]);
    let mut shape = Shape {
        pos: pos.map(D::constant),
        mat: mat.map(D::constant),
        size: model.geom_size[geom].map(D::constant),
    };
    for k in 0..3 {
        shape.size[k].slope[size_at + k] = 1.0;
        if pose {
            let mut axis = [0.0; 3];
            axis[k] = 1.0;
            for c in 0..3 {
                let turned = cross(axis, [mat[c], mat[3 + c], mat[6 + c]]);
                for r in 0..3 {
                    shape.mat[3 * r + c].slope[k] = turned[r];
                }
            }
            shape.pos[k].slope[3 + k] = 1.0;
        }
    }
    shape
}

/// The Jacobians of a pair's contacts, in the order in which they were found. `found` receives one per contact of the pair.
///
/// The first geom moves; the second's part follows, because distance and position move rigidly when both do. Discrete choices (which
/// feature, which vertex) are frozen.
pub(crate) fn motions(model: &Model, data: &Data, first: usize, found: &mut Vec<Motion>) {
    let contact = &data.contact[first];
    let [g1, g2] = contact.geom;
    let solid = |geom: usize, shape| Solid {
        kind: model.geom_type[geom],
        shape,
        hull: model.mesh.get(model.geom_dataid[geom]),
    };
    let a = solid(g1, moving(model, data, g1, true, 6));
    let b = solid(g2, moving(model, data, g2, false, 9));
    // The reach that the contacts were found with; those outside the margin are in the list too.
    let reach = contact.includemargin + model.pair_gap(contact.geom);
    let mut list = Touches::new();
    touches(&a, &b, reach, &mut list);
    found.clear();
    for (index, touch) in list.as_slice().iter().enumerate() {
        let Some(contact) = data.contact.get(first + index) else { return };
        let frame = &contact.frame;
        let tangent = touch.tangent.map(Scalar::value);
        let normal = [frame[0], frame[1], frame[2]];
        let slope = |v: &[D; 3], k: usize| [v[0].slope[k], v[1].slope[k], v[2].slope[k]];
        let column = |dist: f64, pos: Vec3, dn: Vec3, dy: Vec3| {
            let turn = turning(frame, tangent, dn, dy);
            [dist, pos[0], pos[1], pos[2], turn[0], turn[1], turn[2]]
        };
        let mut motion = Motion { by_geom: [[[0.0; 7]; 6]; 2], by_size: [[[0.0; 7]; 3]; 2] };
        for k in 0..12 {
            let dist = touch.dist.slope[k];
            let (pos, dn) = (slope(&touch.pos, k), slope(&touch.normal, k));
            let dy = slope(&touch.tangent, k);
            let own = column(dist, pos, dn, dy);
            match k {
                0..6 => motion.by_geom[0][k] = own,
                6..9 => motion.by_size[0][k - 6] = own,
                _ => motion.by_size[1][k - 9] = own,
            }
            if k < 6 {
                // The second geom's motion is the rigid motion of both less the first's. Motions are about each geom's centre.
                let mut axis = [0.0; 3];
                axis[k % 3] = 1.0;
                let (x1, x2) = (data.geom_xpos[g1], data.geom_xpos[g2]);
                let rigid = |v: Vec3| if k < 3 { cross(axis, v) } else { [0.0; 3] };
                let at = |p: Vec3| if k < 3 { cross(axis, sub(p, x2)) } else { axis };
                // Of the first geom: rotation `axis`, translation of its centre at(x1).
                let shift = at(x1);
                let mut first =
                    if k < 3 { (dist, pos, dn, dy) } else { (0.0, [0.0; 3], [0.0; 3], [0.0; 3]) };
                for c in 0..3 {
                    let j = 3 + c;
                    first.0 += touch.dist.slope[j] * shift[c];
                    for r in 0..3 {
                        first.1[r] += touch.pos[r].slope[j] * shift[c];
                        first.2[r] += touch.normal[r].slope[j] * shift[c];
                        first.3[r] += touch.tangent[r].slope[j] * shift[c];
                    }
                }
                motion.by_geom[1][k] = column(
                    -first.0,
                    sub(at(contact.pos), first.1),
                    sub(rigid(normal), first.2),
                    sub(rigid(tangent), first.3),
                );
            }
        }
        found.push(motion);
    }
}

impl Motion {
    /// (dist, pos, turn) along a motion of geom `side`, given as a rotation and a translation of its centre.
    pub(crate) fn push(&self, side: usize, motion: &Spatial) -> [f64; 7] {
        let mut out = [0.0; 7];
        for (column, m) in self.by_geom[side].iter().zip(motion) {
            for r in 0..7 {
                out[r] += column[r] * m;
            }
        }
        out
    }

    /// The transpose: a force (torque; force) on geom `side` at its centre.
    pub(crate) fn pull(&self, side: usize, cotangent: &[f64; 7]) -> Spatial {
        self.by_geom[side].map(|column| column.iter().zip(cotangent).map(|(c, y)| c * y).sum())
    }
}
