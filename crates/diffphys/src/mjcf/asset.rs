//! The element `asset`: meshes, from files and in place. What only draws is skipped.

use super::Reader;
use super::attributes::Attributes;
use super::defaults::MAIN;
use super::xml::Element;
use crate::mesh::{self, Mesh, MeshInertia};
use crate::spatial::quaternion;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Assets that only draw.
const DRAWN: [&str; 3] = ["texture", "material", "skin"];

/// A mesh file named in `element`: it must lie in the model's folder or below.
pub(crate) fn mesh_file(
    element: &Element,
    folder: Option<&Path>,
    below: &str,
    name: &str,
) -> Result<Mesh> {
    let Some(folder) = folder else {
        return Err(element.wrong(format!("'{name}': a model from text cannot read files")));
    };
    let path = folder.join(below).join(name);
    let path: PathBuf = path.canonicalize().map_err(|e| element.wrong(format!("'{name}': {e}")))?;
    if !path.starts_with(folder) {
        return Err(element.wrong(format!("'{name}' lies outside the model's folder")));
    }
    mesh::read(&path).map_err(|what| Error::File { path: path.display().to_string(), what })
}

impl Reader {
    pub(super) fn assets(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            match child.tag.as_str() {
                "mesh" => {
                    let mesh = self.mesh(child)?;
                    self.spec.meshes.push(mesh);
                }
                // Only matters where a geom uses it; geoms say so.
                "hfield" => {}
                tag if DRAWN.contains(&tag) => {}
                _ => return Err(child.unsupported(format!("element <{}>", child.tag))),
            }
        }
        Ok(())
    }

    fn mesh(&self, element: &Element) -> Result<Mesh> {
        let mut a = Attributes::with_defaults(element, self.defaults.of(element, "mesh", MAIN)?);
        let file = a.text("file").map(|name| {
            let plain = Path::new(name).file_name().and_then(|n| n.to_str());
            let stripped = if self.settings.strippath { plain } else { None };
            stripped.unwrap_or(name).to_string()
        });
        let vertices = a.numbers("vertex")?;
        let faces = a.numbers("face")?;
        let mut mesh = match (&file, vertices) {
            (Some(name), None) => {
                let folder = self.folder.as_deref();
                mesh_file(element, folder, &self.settings.meshdir, name)?
            }
            (None, Some(list)) => {
                let (vertex, []) = list.as_chunks::<3>() else {
                    let what = format!("vertex has {} numbers, not three per vertex", list.len());
                    return Err(element.wrong(what));
                };
                Mesh { vertex: vertex.to_vec(), ..Mesh::default() }
            }
            (Some(_), Some(_)) => return Err(element.wrong("both file and vertex")),
            (None, None) => return Err(element.wrong("neither file nor vertex")),
        };
        if let Some(list) = faces {
            let (face, []) = list.as_chunks::<3>() else {
                let what = format!("face has {} numbers, not three per triangle", list.len());
                return Err(element.wrong(what));
            };
            let count = mesh.vertex.len();
            for f in face {
                if f.iter().any(|v| v.fract() != 0.0 || *v < 0.0 || *v >= count as f64) {
                    return Err(element.wrong(format!("the triangle {f:?} of {count} vertices")));
                }
                mesh.face.push(f.map(|v| v as u32));
            }
        }
        let stem = file.as_deref().map(Path::new).and_then(Path::file_stem);
        let stem = stem.and_then(|s| s.to_str()).unwrap_or_default();
        mesh.name = a.text("name").unwrap_or(stem).to_string();
        mesh.line = element.line;
        mesh.inertia = match a.text("inertia") {
            None | Some("legacy") => MeshInertia::Legacy,
            Some("convex") => MeshInertia::Convex,
            Some("exact") => MeshInertia::Exact,
            Some(other) => return Err(element.unsupported(format!("inertia=\"{other}\""))),
        };
        let scale = a.exactly::<3>("scale")?.unwrap_or([1.0; 3]);
        let refpos = a.exactly::<3>("refpos")?.unwrap_or_default();
        let refquat = a.exactly::<4>("refquat")?.unwrap_or(quaternion::UNIT);
        mesh.place(scale, refpos, refquat);
        if let Some(most) = a.integer("maxhullvert")?
            && most >= 0
        {
            return Err(element.unsupported("maxhullvert"));
        }
        a.finish(&["normal", "texcoord", "smoothnormal", "content_type"])?;
        Ok(mesh)
    }
}
