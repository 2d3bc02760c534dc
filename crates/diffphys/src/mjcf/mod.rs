//! MuJoCo's model format, MJCF: read into a [`crate::Spec`], then compiled.
//!
//! What only draws, measures or labels (visual, statistic, materials, lights, cameras, sensors, custom data) is skipped. Everything else that
//! this crate does not simulate is an [`crate::Error::Unsupported`] that names element and line.
//!
//! A file has at most 64 MiB, 200 levels, 10⁶ elements (and 10⁶ more by `replicate`) of 200 attributes, 10⁶ attributes of default classes with
//! those that they inherit, and names of 250 bytes; 1,000 files may be included. What a model may have at most, [`crate::Spec`] says.

mod actuator;
mod asset;
mod attributes;
mod body;
mod constraint;
mod defaults;
mod replicate;
mod settings;
mod xml;

use crate::model::Keyframe;
use crate::{Error, Model, Result, Spec};
use defaults::Defaults;
use settings::Settings;
use std::path::{Path, PathBuf};

pub(crate) use asset::mesh_file;
pub(crate) use attributes::Attributes;
pub(crate) use xml::{Element, Limits, read as read_file};

/// XML from text, without includes.
pub(crate) fn read_xml(name: &str, text: &str) -> Result<Element> {
    xml::parse(name, text, None, &Limits::default())
}

/// Reads and compiles a model. Included files must lie in the model's folder or below.
///
/// # Errors
/// [`Error::File`], [`Error::Parse`], [`Error::Unsupported`], [`Error::Invalid`], [`Error::Unknown`].
pub fn load(path: impl AsRef<Path>) -> Result<Model> {
    load_spec(path)?.compile()
}

/// Reads a model, to be changed before it is compiled.
///
/// # Errors
/// As of [`load`].
pub fn load_spec(path: impl AsRef<Path>) -> Result<Spec> {
    let path = path.as_ref();
    let root = xml::read(path, &Limits::default())?;
    read(&root, path.canonicalize().ok().as_deref().and_then(Path::parent))
}

/// Reads and compiles a model from text. Includes are refused.
///
/// # Errors
/// As of [`load`].
pub fn parse(text: &str) -> Result<Model> {
    parse_spec(text)?.compile()
}

/// Reads a model from text, to be changed before it is compiled. Includes are refused.
///
/// # Errors
/// As of [`load`].
pub fn parse_spec(text: &str) -> Result<Spec> {
    let root = xml::parse("model", text, None, &Limits::default())?;
    read(&root, None)
}

/// What the readers of elements share.
pub(crate) struct Reader {
    settings: Settings,
    defaults: Defaults,
    spec: Spec,
    /// The folder that files come from; none for text.
    folder: Option<PathBuf>,
    /// What replicas add to names.
    suffix: String,
    /// Elements of bodies so far, replicas counted.
    elements: u64,
}

/// Top-level elements that only draw, measure, label, or size buffers.
const SKIPPED: [&str; 5] = ["visual", "statistic", "custom", "sensor", "size"];

fn read(root: &Element, folder: Option<&Path>) -> Result<Spec> {
    if root.tag != "mujoco" {
        return Err(root.wrong(format!("the root is <{}>, not <mujoco>", root.tag)));
    }
    let mut attributes = Attributes::new(root);
    let mut spec = Spec::new(attributes.text("model").unwrap_or("MuJoCo Model"));
    attributes.finish(&[])?;
    let mut settings = Settings::default();
    // Angles, defaults and masses depend on these, wherever they stand.
    for child in root.children.iter().filter(|c| c.tag == "compiler") {
        settings.compiler(child, &mut spec.inertia)?;
    }
    for child in root.children.iter().filter(|c| c.tag == "option") {
        settings::option(child, &mut spec.options)?;
    }
    let mut defaults = Defaults::default();
    for child in root.children.iter().filter(|c| c.tag == "default") {
        defaults.read(child)?;
    }
    let folder = folder.map(Path::to_path_buf);
    let mut reader =
        Reader { settings, defaults, spec, folder, suffix: String::new(), elements: 0 };
    for child in &root.children {
        match child.tag.as_str() {
            "compiler" | "option" | "default" => {}
            "asset" => reader.assets(child)?,
            "worldbody" => reader.worldbody(child)?,
            "contact" => reader.contact(child)?,
            "equality" => reader.equality(child)?,
            "tendon" => reader.tendon(child)?,
            "actuator" => reader.actuators(child)?,
            "keyframe" => reader.keyframes(child)?,
            tag if SKIPPED.contains(&tag) => reader.skipped(child)?,
            _ => return Err(child.unsupported(format!("element <{}>", child.tag))),
        }
    }
    Ok(reader.spec)
}

impl Reader {
    /// What is skipped must not hold a plugin.
    fn skipped(&self, element: &Element) -> Result<()> {
        for child in &element.children {
            if child.tag == "plugin" {
                return Err(child.unsupported("a plugin"));
            }
        }
        Ok(())
    }

    fn keyframes(&mut self, element: &Element) -> Result<()> {
        for child in &element.children {
            if child.tag != "key" {
                return Err(child.unsupported(format!("element <{}>", child.tag)));
            }
            let mut a = Attributes::new(child);
            let name = a.text("name").unwrap_or_default().to_string();
            let frame = Keyframe {
                line: child.line,
                time: a.number("time")?.unwrap_or(0.0),
                qpos: a.numbers("qpos")?.unwrap_or_default(),
                qvel: a.numbers("qvel")?.unwrap_or_default(),
                act: a.numbers("act")?.unwrap_or_default(),
                ctrl: a.numbers("ctrl")?.unwrap_or_default(),
                mpos: grouped(child, "mpos", a.numbers("mpos")?)?,
                mquat: grouped(child, "mquat", a.numbers("mquat")?)?,
            };
            a.finish(&[])?;
            self.spec.keyframes.push((name, frame));
        }
        Ok(())
    }
}

/// Numbers in groups of N.
fn grouped<const N: usize>(
    element: &Element,
    what: &str,
    list: Option<Vec<f64>>,
) -> Result<Vec<[f64; N]>> {
    let list = list.unwrap_or_default();
    let (groups, rest) = list.as_chunks::<N>();
    if rest.is_empty() {
        Ok(groups.to_vec())
    } else {
        Err(element.wrong(format!("{what} has {} numbers; {N} are one body's", list.len())))
    }
}

impl Element {
    /// The text of this element is wrong.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Parse {
            file: self.file.to_string(),
            line: self.line,
            element: self.tag.clone(),
            what: what.into(),
        }
    }

    /// Physics that is not simulated.
    pub(crate) fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::Unsupported {
            file: self.file.to_string(),
            line: self.line,
            element: self.tag.clone(),
            what: what.into(),
        }
    }
}
