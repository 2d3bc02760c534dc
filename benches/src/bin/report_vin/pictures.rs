//! What a trained VIN has in it, drawn: the map, the learned r, the values layer by layer, and the kernels beside the moves that are true.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, anyhow};
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device};
use pullback_core_graph::tensor::to_f64;
use pullback_nn::parameters::Parameters;
use pullback_vin::grid::MOVES_CLOCKWISE as MOVES;
use pullback_vin::learn::{Problem, ProblemSet};
use pullback_vin::network::{Vin, VinSpec, greedy, images};

/// Side of a picture.
const SIDE: usize = 168;
const GAP: usize = 16;

/// One panel: a title, numbers on a square, which of them are walls, arrows.
struct Panel {
    title: String,
    numbers: Vec<f64>,
    solid: Vec<bool>,
    arrows: Vec<Option<usize>>,
}

/// Writes target/figures/report_vin_NAME.svg: the problem of the test set with the longest way.
pub(crate) fn draw(
    name: &str,
    vin: &Vin,
    parameters: &Parameters,
    test: &ProblemSet,
) -> Result<()> {
    let length = |p: &Problem| p.lengths[p.start];
    let problem = test.problems.iter().max_by(|a, b| length(a).total_cmp(&length(b)));
    let problem = problem.ok_or_else(|| anyhow!("no problems"))?;
    let one = ProblemSet { problems: vec![problem.clone()], ..test.clone() };
    let solid = test.maps[problem.map].solid().to_vec();
    let cells = solid.len();
    let panel = |title: &str, numbers: Vec<f64>| Panel {
        title: title.into(),
        numbers,
        solid: solid.clone(),
        arrows: vec![],
    };
    let x = images(&one, &[&one.problems[0]])?.to_dtype(parameters.dtype())?;
    let graph = Graph::new();
    let bound = parameters.bind_constant(&graph);
    let r = to_f64(&vin.reward(&bound, graph.constant(&x))?.value()?)?;
    let truth = problem.lengths.iter().map(|l| if l.is_finite() { -l } else { f64::NAN });
    let mut panels = vec![panel("true −length", truth.collect()), panel("learned r", r)];
    // The same weights with fewer iterations: names are the same for every K.
    let last = vin.spec().iterations;
    for k in [1, last.div_ceil(4), last.div_ceil(2), last] {
        let mut other = Parameters::new(1, DType::F32, &Device::Cpu);
        let spec = VinSpec { iterations: k, ..vin.spec() };
        let network = Vin::new(&mut other.root(), spec)?;
        let v = network.q(&bound, graph.constant(&x))?.max([1]).value()?;
        panels.push(panel(&format!("V after {k}"), to_f64(&v)?));
    }
    let actions = &greedy(vin, parameters, &one)?[0];
    let arrows = (0..cells).map(|i| (!solid[i]).then_some(usize::from(actions[i]))).collect();
    panels.push(Panel { arrows, ..panel("policy", vec![f64::NAN; cells]) });
    let columns = panels.len();
    // The kernels of U: channel c should look at the neighbour in one direction.
    let channels = vin.spec().channels;
    let u = to_f64(parameters.get("w")?)?;
    let taps = u.len() / channels;
    let side = (taps as f64).sqrt() as usize;
    for (c, kernel) in u.chunks_exact(taps).enumerate() {
        let true_tap = MOVES.get(c).map(|m| {
            let middle = (side / 2) as isize;
            ((middle + m.dy) * side as isize + middle + m.dx) as usize
        });
        let arrows = (0..taps).map(|t| (Some(t) == true_tap).then_some(c)).collect();
        let (title, solid) = (format!("U of channel {c}"), vec![false; taps]);
        panels.push(Panel { title, numbers: kernel.to_vec(), solid, arrows });
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/figures");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("report_vin_{name}.svg")), svg(&panels, columns))?;
    Ok(())
}

fn svg(panels: &[Panel], columns: usize) -> String {
    let rows = panels.len().div_ceil(columns);
    let (w, h) = (columns * (SIDE + GAP) + GAP, rows * (SIDE + GAP + 22) + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" font-family=\"sans-serif\" font-size=\"13\"><rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>"
    );
    for (k, panel) in panels.iter().enumerate() {
        let (x0, y0) = (GAP + k % columns * (SIDE + GAP), GAP + k / columns * (SIDE + GAP + 22));
        let side = (panel.numbers.len() as f64).sqrt() as usize;
        let cell = SIDE as f64 / side as f64;
        let _ = write!(out, "<text x=\"{x0}\" y=\"{}\">{}</text>", y0 + 12, panel.title);
        let known = || {
            let all = panel.numbers.iter().zip(&panel.solid);
            all.filter(|(v, solid)| v.is_finite() && !**solid).map(|(v, _)| *v)
        };
        let (low, high) =
            (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        for (i, v) in panel.numbers.iter().enumerate() {
            let (x, y) =
                (x0 as f64 + cell * (i % side) as f64, y0 as f64 + 18.0 + cell * (i / side) as f64);
            let t = ((v - low) / (high - low).max(1e-12)).clamp(0.0, 1.0);
            let color = match (panel.solid[i], v.is_finite()) {
                (true, _) => "#222".to_string(),
                (_, false) => "#eee".to_string(),
                _ => format!(
                    "rgb({0},{1},{2})",
                    (40.0 + 215.0 * t) as u8,
                    (60.0 + 150.0 * t) as u8,
                    (130.0 - 90.0 * t) as u8
                ),
            };
            let _ = write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{color}\"/>"
            );
            if let Some(Some(direction)) = panel.arrows.get(i) {
                let m = MOVES[direction % 8];
                let (cx, cy) = (x + cell / 2.0, y + cell / 2.0);
                let (dx, dy) = (0.35 * cell * m.dx as f64, 0.35 * cell * m.dy as f64);
                let _ = write!(
                    out,
                    "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#c03\" stroke-width=\"1.5\"/><circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"#c03\"/>",
                    cx - dx,
                    cy - dy,
                    cx + dx,
                    cy + dy,
                    cx + dx,
                    cy + dy
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}
