//! XML as a tree of our own, with includes in place and limits on size, depth and where files may come from.

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Limits on files from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of one file. 64 MiB.
    pub(crate) bytes: u64,
    /// Nesting of elements. 200.
    pub(crate) depth: usize,
    /// Elements of a model, includes counted. 10⁶.
    pub(crate) elements: usize,
    /// Files included. 1,000.
    pub(crate) files: usize,
    /// Attributes of an element. 200.
    pub(crate) attributes: usize,
    /// Bytes of a name, and of a reference to one. 250.
    pub(crate) name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            depth: 200,
            elements: 1_000_000,
            files: 1_000,
            attributes: 200,
            name: 250,
        }
    }
}

/// An element with its place.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) tag: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
}

/// What reading keeps track of.
struct Reading<'a> {
    limits: &'a Limits,
    /// The folder that files may come from; `None` if no file may be included.
    folder: Option<PathBuf>,
    elements: usize,
    included: Vec<PathBuf>,
}

fn file_error(path: &Path, what: impl ToString) -> Error {
    Error::File { path: path.display().to_string(), what: what.to_string() }
}

/// The text of a file, if it is within the limits.
pub(crate) fn text(path: &Path, limits: &Limits) -> Result<String> {
    let meta = std::fs::metadata(path).map_err(|e| file_error(path, e))?;
    if !meta.is_file() {
        return Err(file_error(path, "is not a file"));
    }
    if meta.len() > limits.bytes {
        let what = format!("{} bytes; {} are allowed", meta.len(), limits.bytes);
        return Err(file_error(path, what));
    }
    std::fs::read_to_string(path).map_err(|e| file_error(path, e))
}

pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Element> {
    let path = path.canonicalize().map_err(|e| file_error(path, e))?;
    let folder = path.parent().map(Path::to_path_buf);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let content = text(&path, limits)?;
    let mut reading = Reading { limits, folder, elements: 0, included: vec![path] };
    document(&name, &content, 0, &mut reading)
}

pub(crate) fn parse(
    name: &str,
    content: &str,
    folder: Option<PathBuf>,
    limits: &Limits,
) -> Result<Element> {
    if content.len() as u64 > limits.bytes {
        let what = format!("{} bytes; {} are allowed", content.len(), limits.bytes);
        return Err(Error::File { path: name.to_string(), what });
    }
    let mut reading = Reading { limits, folder, elements: 0, included: Vec::new() };
    document(name, content, 0, &mut reading)
}

/// Attributes whose text names something: they are copied with every replica and every element that takes them from a default.
const NAMES: [&str; 22] = [
    "name",
    "sep",
    "class",
    "childclass",
    "mesh",
    "body",
    "body1",
    "body2",
    "joint",
    "joint1",
    "joint2",
    "jointinparent",
    "geom",
    "geom1",
    "geom2",
    "site",
    "site1",
    "site2",
    "sidesite",
    "tendon",
    "tendon1",
    "tendon2",
];

/// Nesting and attributes by a scan of the text, before a parser sees it that might recurse, and that compares the attributes of an element with
/// each other.
fn scan(content: &str, limits: &Limits) -> std::result::Result<(), (usize, String)> {
    let bytes = content.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    let after = |from: usize, end: &str| {
        content
            .get(from..)
            .and_then(|rest| rest.find(end))
            .map_or(bytes.len(), |k| from + k + end.len())
    };
    while let Some(k) = bytes[at..].iter().position(|&b| b == b'<') {
        let start = at + k;
        let rest = &bytes[start + 1..];
        if rest.starts_with(b"!--") {
            at = after(start + 4, "-->");
            continue;
        }
        if rest.starts_with(b"![CDATA[") {
            at = after(start + 9, "]]>");
            continue;
        }
        if rest.starts_with(b"?") {
            at = after(start + 2, "?>");
            continue;
        }
        // To the end of the tag, outside of quotes.
        let (mut quote, mut attributes) = (None, 0);
        at = start + 1;
        while let Some(&byte) = bytes.get(at) {
            match (quote, byte) {
                (None, b'>') => break,
                (None, b'=') => attributes += 1,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                _ => {}
            }
            at += 1;
        }
        if attributes > limits.attributes {
            let what = format!("{attributes} attributes; {} are allowed", limits.attributes);
            return Err((start, what));
        }
        match rest.first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!') => {}
            _ if at > 0 && bytes[at - 1] == b'/' => {}
            _ => depth += 1,
        }
        // The tree is counted exactly.
        if depth > limits.depth + 1 {
            return Err((start, format!("elements nest deeper than {}", limits.depth)));
        }
    }
    Ok(())
}

fn document(name: &str, content: &str, level: usize, reading: &mut Reading<'_>) -> Result<Element> {
    let parse_error = |line: u32, what: String| Error::Parse {
        file: name.to_string(),
        line,
        element: "?".to_string(),
        what,
    };
    // Where lines end: asking the parser for each element's line would read the text from its start each time.
    let ends = content.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(k, _)| k).collect();
    let source = Source { file: name.into(), ends };
    scan(content, reading.limits).map_err(|(at, what)| parse_error(source.line(at), what))?;
    // Elements, the text around them, and comments.
    let nodes = u32::try_from(4 * reading.limits.elements).unwrap_or(u32::MAX);
    let options = roxmltree::ParsingOptions { nodes_limit: nodes, ..Default::default() };
    let parsed = roxmltree::Document::parse_with_options(content, options)
        .map_err(|e| parse_error(e.pos().row, e.to_string()))?;
    element(parsed.root_element(), &source, level, reading)
}

/// A file's name and the places of its line ends.
struct Source {
    file: Arc<str>,
    ends: Vec<usize>,
}

impl Source {
    fn line(&self, at: usize) -> u32 {
        let before = self.ends.partition_point(|&end| end < at);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

fn element(
    node: roxmltree::Node<'_, '_>,
    source: &Source,
    level: usize,
    reading: &mut Reading<'_>,
) -> Result<Element> {
    let mut out = Element {
        tag: node.tag_name().name().to_string(),
        attributes: node
            .attributes()
            .map(|a| (a.name().to_string(), a.value().trim().to_string()))
            .collect(),
        children: Vec::new(),
        file: source.file.clone(),
        line: source.line(node.range().start),
    };
    let long =
        |a: &&(String, String)| a.1.len() > reading.limits.name && NAMES.contains(&a.0.as_str());
    if let Some((attribute, value)) = out.attributes.iter().find(long) {
        let (length, most) = (value.len(), reading.limits.name);
        return Err(out.wrong(format!("{attribute} has {length} bytes; {most} are allowed")));
    }
    if level > reading.limits.depth {
        return Err(out.wrong(format!("elements nest deeper than {}", reading.limits.depth)));
    }
    reading.elements += 1;
    if reading.elements > reading.limits.elements {
        return Err(out.wrong(format!("more than {} elements", reading.limits.elements)));
    }
    for child in node.children().filter(roxmltree::Node::is_element) {
        if child.tag_name().name() == "include" {
            let included = include(child, source, level + 1, reading)?;
            out.children.extend(included.children);
        } else {
            out.children.push(element(child, source, level + 1, reading)?);
        }
    }
    Ok(out)
}

/// The root of an included file, whose children take the place of the element.
fn include(
    node: roxmltree::Node<'_, '_>,
    source: &Source,
    level: usize,
    reading: &mut Reading<'_>,
) -> Result<Element> {
    let here = Element {
        tag: "include".to_string(),
        attributes: Vec::new(),
        children: Vec::new(),
        file: source.file.clone(),
        line: source.line(node.range().start),
    };
    let Some(name) = node.attribute("file") else {
        return Err(here.wrong("the attribute file is missing"));
    };
    let Some(folder) = reading.folder.clone() else {
        return Err(here.wrong(format!("'{name}': a model from text cannot include files")));
    };
    let path = folder.join(name);
    let path = path.canonicalize().map_err(|e| here.wrong(format!("'{name}': {e}")))?;
    if !path.starts_with(&folder) {
        return Err(here.wrong(format!("'{name}' lies outside the model's folder")));
    }
    if reading.included.contains(&path) {
        return Err(here.wrong(format!("'{name}' is already included")));
    }
    if reading.included.len() > reading.limits.files {
        return Err(here.wrong(format!("more than {} files", reading.limits.files)));
    }
    reading.included.push(path.clone());
    let content = text(&path, reading.limits)?;
    document(name, &content, level, reading)
}
