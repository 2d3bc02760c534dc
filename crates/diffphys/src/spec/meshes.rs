//! The meshes of a model, compiled, and what geoms take from them.

use super::checks::label;
use super::{Geom, Pose, Spec};
use crate::mesh::Compiled;
use crate::model::GeomType;
use crate::{Error, Result};
use std::collections::HashMap;

/// Compiled meshes by name.
#[derive(Default)]
pub(super) struct Meshes {
    list: Vec<Compiled>,
    number: HashMap<String, usize>,
}

impl Meshes {
    /// Those that geoms of the model name.
    pub(super) fn compile(spec: &Spec) -> Result<Self> {
        let mut out = Self::default();
        let mut named: HashMap<&str, &crate::Mesh> = HashMap::new();
        for mesh in &spec.meshes {
            if let Some(first) = named.insert(&mesh.name, mesh) {
                let what = match first.line {
                    0 => "stands twice".to_string(),
                    line => format!("stands twice, first in line {line}"),
                };
                return Err(Error::invalid(label("mesh", &mesh.name, mesh.line), what));
            }
        }
        for geom in spec.bodies.iter().flat_map(|b| &b.geoms) {
            let Some(name) = &geom.mesh else { continue };
            if out.number.contains_key(name) {
                continue;
            }
            let Some(mesh) = named.get(name.as_str()) else {
                let node = label("geom", &geom.name, geom.line);
                return Err(Error::Unknown { node, kind: "mesh", name: name.clone() });
            };
            out.number.insert(name.clone(), out.list.len());
            out.list.push(mesh.compile()?);
        }
        Ok(out)
    }

    fn named(&self, geom: &Geom) -> Option<(usize, &Compiled)> {
        let number = *self.number.get(geom.mesh.as_ref()?)?;
        Some((number, self.list.get(number)?))
    }

    /// The mesh of a geom that is one.
    pub(super) fn of(&self, geom: &Geom) -> Option<&Compiled> {
        (geom.kind == GeomType::Mesh).then(|| self.named(geom)).flatten().map(|(_, m)| m)
    }

    /// The number of the mesh of a geom that is one; `usize::MAX` for none.
    pub(super) fn number(&self, geom: &Geom) -> usize {
        let mesh = (geom.kind == GeomType::Mesh).then(|| self.named(geom)).flatten();
        mesh.map_or(usize::MAX, |(number, _)| number)
    }

    /// The geom with the pose of its mesh, and the size that fits (from the box of equal inertia, as MuJoCo's default).
    pub(super) fn placed(&self, geom: &Geom) -> Result<Geom> {
        let mut out = geom.clone();
        let Some((_, mesh)) = self.named(geom) else {
            return match geom.kind {
                GeomType::Mesh => {
                    Err(Error::invalid(label("geom", &geom.name, geom.line), "names no mesh"))
                }
                _ => Ok(out),
            };
        };
        let Pose { pos, quat } = geom.pose.then(&mesh.pose);
        out.pose = Pose { pos, quat };
        let [a, b, c] = mesh.equivalent_box();
        let width = 0.5 * (a + b);
        out.size = match geom.kind {
            GeomType::Mesh => mesh.half,
            GeomType::Plane => {
                let what = "a plane cannot be fitted to a mesh";
                return Err(Error::invalid(label("geom", &geom.name, geom.line), what));
            }
            GeomType::Sphere => [(a + b + c) / 3.0, 0.0, 0.0],
            GeomType::Capsule => [width, (c - 0.5 * width).max(0.0), 0.0],
            GeomType::Cylinder => [width, c, 0.0],
            GeomType::Ellipsoid | GeomType::Box => [a, b, c],
        };
        if geom.kind != GeomType::Mesh {
            out.size = out.size.map(|x| x * geom.fitscale);
        }
        Ok(out)
    }

    pub(super) fn into_hulls(self) -> Vec<crate::collide::Hull> {
        self.list.into_iter().map(|m| m.hull).collect()
    }
}
