//! A pattern as an SVG picture: the entries of one sweep in one colour.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Coloring, Pattern, Source};

/// Pixels of the longer side of a small pattern's picture.
const SIDE: f64 = 600.0;

/// An SVG picture of the entries, a unit square each; with a colouring, in the colour of the sweep that they are read off.
///
/// Where there are sweeps both ways, forward ones have warm hues and backward ones cool ones; else they have the whole circle. Entries that
/// the colouring does not cover are grey. One path for each
/// sweep, runs along a row as one stroke: 986×700 with 3,758 entries takes about 50 kB.
pub fn svg(pattern: &Pattern, coloring: Option<&Coloring>) -> String {
    let sources = coloring.and_then(|coloring| coloring.sources(pattern).ok());
    let mut paths: BTreeMap<(u8, usize), String> = BTreeMap::new();
    let group = |entry: usize| match sources.as_ref().and_then(|s| s.get(entry)) {
        Some(&Source::Push { color, .. }) => (0, color),
        Some(&Source::Pull { color, .. }) => (1, color),
        None => (2, 0),
    };
    let entries: Vec<_> = pattern.places().enumerate().map(|(k, at)| (at, group(k))).collect();
    let run = |a: &((usize, usize), (u8, usize)), b: &((usize, usize), (u8, usize))| {
        a.1 == b.1 && a.0.0 == b.0.0 && a.0.1 + 1 == b.0.1
    };
    for run in entries.chunk_by(run) {
        if let Some(&((i, j), group)) = run.first() {
            // Writing to a string does not fail.
            let _ = write!(paths.entry(group).or_default(), "M{j} {i}h{}", run.len());
        }
    }
    let (m, n) = (pattern.rows(), pattern.columns());
    // Pixels for an entry: large patterns at one each, small ones larger.
    let scale = (SIDE / (m.max(n) + 2) as f64).max(1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" viewBox=\"-1 -1 {} {}\"><rect width=\"{n}\" height=\"{m}\" fill=\"#fff\" \
         stroke=\"#999\" stroke-width=\"{}\"/><g transform=\"translate(0 .5)\" fill=\"none\">",
        scale * (n + 2) as f64,
        scale * (m + 2) as f64,
        n + 2,
        m + 2,
        (m.max(n) as f64 / 500.0).min(0.2)
    );
    let (pushes, pulls) = coloring.map_or((0, 0), |c| (c.pushes(), c.pulls()));
    let both = 0 < pushes && 0 < pulls;
    for ((kind, color), path) in paths {
        let paint = match kind {
            0 => hue(-40.0, if both { 130.0 } else { 360.0 }, color, pushes),
            1 => hue(170.0, if both { 120.0 } else { 360.0 }, color, pulls),
            _ => "#345".to_string(),
        };
        let _ = write!(out, "<path stroke=\"{paint}\" d=\"{path}\"/>");
    }
    out.push_str("</g></svg>\n");
    out
}

/// A hue for each of `count` colours between `from` and `from + width` degrees, light and dark in turn.
fn hue(from: f64, width: f64, color: usize, count: usize) -> String {
    let angle = (from + width * color as f64 / count as f64).rem_euclid(360.0);
    format!("hsl({angle:.0} 80% {}%)", if color.is_multiple_of(2) { 40 } else { 55 })
}
