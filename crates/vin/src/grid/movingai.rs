//! Maps and scenarios of the MovingAI benchmarks (Sturtevant 2012), in their text formats.
//!
//! Their rule is [`Connectivity::octile`](super::Connectivity::octile) with [`Corners::Keep`](super::Corners::Keep). `.` and `G` are free, `S`
//! (swamp) too; `@`, `O`, `T`, `W` are solid.

use std::path::Path;

use super::GridMap;
use crate::{Error, Result};

/// One problem of a `.scen` file.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Problems are sorted into buckets by length/4.
    pub bucket: usize,
    /// The map's file name.
    pub map: String,
    /// Height and width that the scenario was made for.
    pub size: [usize; 2],
    /// Row and column of the start.
    pub start: [usize; 2],
    /// Row and column of the goal.
    pub goal: [usize; 2],
    /// The optimal length.
    pub length: f64,
}

/// Reads a `.map` file.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] with the line.
pub fn read_map(path: impl AsRef<Path>) -> Result<GridMap> {
    let (name, text) = read(path)?;
    parse_map(&name, &text)
}

/// Reads a `.scen` file.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] with the line.
pub fn read_scenarios(path: impl AsRef<Path>) -> Result<Vec<Scenario>> {
    let (name, text) = read(path)?;
    parse_scenarios(&name, &text)
}

fn read(path: impl AsRef<Path>) -> Result<(String, String)> {
    let name = path.as_ref().display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => Ok((name, String::from_utf8_lossy(&bytes).into_owned())),
        Err(source) => Err(Error::Io { path: name, source }),
    }
}

/// A piece of a file as an error shows it, not longer than a line.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// A map from the text of a `.map` file; `name` is for errors.
///
/// # Errors
/// [`Error::File`]: another header or type, rows that are missing, too many or of another length, an unknown character.
pub fn parse_map(name: &str, text: &str) -> Result<GridMap> {
    let fail = |line: usize, what: String| Err(Error::File { path: name.into(), line, what });
    let mut lines = text.lines().map(|l| l.trim_end_matches('\r')).enumerate();
    let (mut height, mut width) = (None, None);
    loop {
        let Some((at, line)) = lines.next() else {
            return fail(0, "ends before the line `map`".into());
        };
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("map"), None) => break,
            (Some("type"), Some("octile")) => {}
            (Some("type"), Some(other)) => {
                return fail(at + 1, format!("the type is {}, must be octile", shown(other)));
            }
            (Some(key @ ("height" | "width")), Some(number)) => match number.parse::<usize>() {
                Ok(n) if key == "height" => height = Some(n),
                Ok(n) => width = Some(n),
                Err(_) => {
                    return fail(
                        at + 1,
                        format!("{key} is {}, must be a whole number", shown(number)),
                    );
                }
            },
            _ => {
                let what = format!(
                    "{} in the header, which has the lines type, height, width, map",
                    shown(line)
                );
                return fail(at + 1, what);
            }
        }
    }
    let (Some(height), Some(width)) = (height, width) else {
        return fail(0, "the header has no height or no width".into());
    };
    let mut solid = Vec::new();
    for row in 0..height {
        let Some((at, line)) = lines.next() else {
            return fail(0, format!("there are {row} rows, the header says {height}"));
        };
        if line.len() != width {
            let what = format!("the row has {} cells, the header says {width}", line.len());
            return fail(at + 1, what);
        }
        for (x, c) in line.chars().enumerate() {
            match c {
                '.' | 'G' | 'S' => solid.push(false),
                '@' | 'O' | 'T' | 'W' => solid.push(true),
                _ => {
                    let what = format!("{c:?} at column {x} is none of . G S @ O T W");
                    return fail(at + 1, what);
                }
            }
        }
    }
    if let Some((at, line)) = lines.find(|(_, line)| !line.trim().is_empty()) {
        let what = format!("{} after the last of {height} rows", shown(line));
        return fail(at + 1, what);
    }
    GridMap::new(height, width, solid)
}

/// Scenarios from the text of a `.scen` file; `name` is for errors.
///
/// # Errors
/// [`Error::File`]: another version, a row that has not nine columns or whose numbers are none.
pub fn parse_scenarios(name: &str, text: &str) -> Result<Vec<Scenario>> {
    let fail = |line: usize, what: String| Error::File { path: name.into(), line, what };
    let mut lines = text.lines().enumerate();
    match lines.next().map(|(_, line)| line.trim()) {
        Some("version 1" | "version 1.0") => {}
        other => {
            let what = format!("{} where `version 1` must be", shown(other.unwrap_or_default()));
            return Err(fail(1, what));
        }
    }
    let mut all = vec![];
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [bucket, map, w, h, x0, y0, x1, y1, length] = words[..] else {
            return Err(fail(at + 1, format!("the row has {} columns, not 9", words.len())));
        };
        let number = |word: &str| {
            word.parse::<usize>()
                .map_err(|_| fail(at + 1, format!("{} is no whole number", shown(word))))
        };
        let length = length
            .parse::<f64>()
            .ok()
            .filter(|l| l.is_finite() && *l >= 0.0)
            .ok_or_else(|| fail(at + 1, format!("{} is no length", shown(length))))?;
        let scenario = Scenario {
            bucket: number(bucket)?,
            map: map.into(),
            size: [number(h)?, number(w)?],
            start: [number(y0)?, number(x0)?],
            goal: [number(y1)?, number(x1)?],
            length,
        };
        let inside = |[y, x]: [usize; 2]| y < scenario.size[0] && x < scenario.size[1];
        if !inside(scenario.start) || !inside(scenario.goal) {
            return Err(fail(at + 1, "start or goal lies off the map".into()));
        }
        all.push(scenario);
    }
    Ok(all)
}
