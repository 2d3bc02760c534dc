//! An animated SVG of a trajectory, seen from the side (x to the right, z up).

use anyhow::{Context, Result};
use pullback_diffphys::{Data, GeomType, Model};
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: f64 = 720.0;
const FRAMES: usize = 60;

/// One shape over time: points per frame, and the width of its stroke in metres.
struct Track {
    points: Vec<Vec<[f64; 2]>>,
    stroke: f64,
    closed: bool,
    moving: bool,
}

/// The outline of a geom in the world.
fn outline(model: &Model, data: &Data, geom: usize) -> Option<(Vec<[f64; 2]>, f64, bool)> {
    let (pos, mat, size) =
        (data.geom_xpos()[geom], data.geom_xmat()[geom], model.geom_size()[geom]);
    let at = |x: f64, y: f64, z: f64| {
        let k = |r: usize| pos[r] + mat[3 * r] * x + mat[3 * r + 1] * y + mat[3 * r + 2] * z;
        [k(0), k(2)]
    };
    match model.geom_type()[geom] {
        GeomType::Plane => None,
        GeomType::Sphere => {
            Some((vec![at(0.0, 0.0, 0.0), at(0.0, 0.0, 0.0)], 2.0 * size[0], false))
        }
        GeomType::Ellipsoid => {
            let mean = (size[0] + size[1] + size[2]) / 3.0;
            Some((vec![at(0.0, 0.0, 0.0), at(0.0, 0.0, 0.0)], 2.0 * mean, false))
        }
        GeomType::Capsule | GeomType::Cylinder => {
            Some((vec![at(0.0, 0.0, -size[1]), at(0.0, 0.0, size[1])], 2.0 * size[0], false))
        }
        GeomType::Box => {
            let [x, _, z] = size;
            let corners = [(-x, -z), (x, -z), (x, z), (-x, z)];
            Some((corners.map(|(x, z)| at(x, 0.0, z)).to_vec(), 0.01, true))
        }
        GeomType::Mesh => {
            let corners = model.hull_corners(geom).iter().map(|&[x, y, z]| at(x, y, z));
            Some((silhouette(corners.collect()), 0.01, true))
        }
    }
}

/// The convex outline of points, counter-clockwise (Andrew's monotone chain).
fn silhouette(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let half = |points: &mut dyn Iterator<Item = [f64; 2]>| {
        let mut chain: Vec<[f64; 2]> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..]
                && (b[0] - a[0]) * (p[1] - a[1]) <= (b[1] - a[1]) * (p[0] - a[0])
            {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut out = half(&mut points.iter().copied());
    out.extend(half(&mut points.iter().rev().copied()));
    out
}

/// The line from a body to its parent; for models without shapes.
fn bone(model: &Model, data: &Data, body: usize) -> (Vec<[f64; 2]>, f64, bool) {
    let point = |b: usize| [data.xpos()[b][0], data.xpos()[b][2]];
    (vec![point(model.body_parentid()[body]), point(body)], 0.03, false)
}

fn tracks(model: &Model, start: &Data, states: &[f64]) -> Result<Vec<Track>> {
    let width = model.nq() + model.nv() + model.na();
    let count = states.len() / width;
    let mut data = start.clone();
    let mut tracks: Vec<Track> = Vec::new();
    for frame in 0..FRAMES {
        let state = &states[frame * (count - 1) / (FRAMES - 1) * width..][..width];
        data.qpos.copy_from_slice(&state[..model.nq()]);
        data.qvel.copy_from_slice(&state[model.nq()..model.nq() + model.nv()]);
        model.forward(&mut data)?;
        let mut shapes = Vec::new();
        for geom in 0..model.ngeom() {
            let moving = model.body_weldid()[model.geom_bodyid()[geom]] != 0;
            shapes.extend(outline(model, &data, geom).map(|shape| (shape, moving)));
        }
        if shapes.is_empty() {
            shapes.extend((1..model.nbody()).map(|body| (bone(model, &data, body), true)));
        }
        for (k, ((points, stroke, closed), moving)) in shapes.into_iter().enumerate() {
            if frame == 0 {
                tracks.push(Track { points: Vec::new(), stroke, closed, moving });
            }
            tracks[k].points.push(points);
        }
    }
    Ok(tracks)
}

/// Writes the picture.
pub(crate) fn animate(model: &Model, start: &Data, states: &[f64], path: &Path) -> Result<()> {
    let tracks = tracks(model, start, states)?;
    let all = || tracks.iter().flat_map(|t| t.points.iter().flatten());
    let range = |k: usize| {
        let low = all().fold(f64::INFINITY, |m, p| m.min(p[k]));
        let high = all().fold(f64::NEG_INFINITY, |m, p| m.max(p[k]));
        (low - 0.3, high + 0.3)
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    let low = low.min(-0.1);
    let scale = WIDTH / (right - left).max(high - low);
    let place = |p: &[f64; 2]| [(p[0] - left) * scale, (high - p[1]) * scale];
    let (w, h) = ((right - left) * scale, (high - low) * scale);
    let seconds =
        states.len() as f64 / (model.nq() + model.nv() + model.na()) as f64 * model.opt().timestep;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fbfaf7\"/>\n"
    );
    let floor = place(&[0.0, 0.0])[1];
    writeln!(
        svg,
        "<line x1=\"0\" x2=\"{w:.0}\" y1=\"{floor:.1}\" y2=\"{floor:.1}\" stroke=\"#b8b2a6\" stroke-width=\"2\"/>"
    )?;
    for track in &tracks {
        let list = |points: &[[f64; 2]]| {
            points
                .iter()
                .map(place)
                .map(|p| format!("{:.1},{:.1}", p[0], p[1]))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let frames: Vec<_> = track.points.iter().map(|p| list(p)).collect();
        let (tag, fill) = if track.closed { ("polygon", "#7d9db5") } else { ("polyline", "none") };
        let color = if track.moving { "#3b6a8f" } else { "#b8b2a6" };
        write!(
            svg,
            "<{tag} points=\"{}\" fill=\"{fill}\" stroke=\"{color}\" stroke-opacity=\"0.75\" stroke-width=\"{:.1}\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">",
            frames[0],
            (track.stroke * scale).max(1.5)
        )?;
        write!(
            svg,
            "<animate attributeName=\"points\" dur=\"{seconds:.2}s\" repeatCount=\"indefinite\" values=\"{}\"/>",
            frames.join(";")
        )?;
        writeln!(svg, "</{tag}>")?;
    }
    svg.push_str("</svg>\n");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}
