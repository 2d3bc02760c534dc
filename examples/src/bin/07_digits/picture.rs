//! The pictures: which digit is taken for which, and the digits that are taken for another, or nearly.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use pullback_core_graph::candle::{DType, Tensor};
use pullback_nn::data::{Dataset, Labelled};
use pullback_nn::train::ConfusionMatrix;

/// Writes a picture into `target/figures`.
pub(crate) fn save(name: &str, svg: &str) -> Result<()> {
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    std::fs::write(&path, svg)?;
    #[allow(clippy::print_stdout)] // an example talks
    {
        println!("drawn: {}", path.display());
    }
    Ok(())
}

fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"14\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

fn text(svg: &mut String, (x, y): (f64, f64), style: &str, text: impl std::fmt::Display) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" {style}>{text}</text>"
    );
}

/// Rows: what it is. Columns: what it was taken for. Blue: right, red: wrong.
pub(crate) fn confusion(matrix: &ConfusionMatrix) -> String {
    let (n, cell, left, top) = (matrix.classes(), 44.0, 70.0, 80.0);
    let side = n as f64 * cell;
    let mut svg = open(left + side + 20.0, top + side + 20.0);
    let title = format!("test accuracy {:.2} %", 100.0 * matrix.accuracy());
    text(&mut svg, (left + side / 2.0, 26.0), "font-size=\"17\"", title);
    text(&mut svg, (left + side / 2.0, 50.0), "fill=\"#555\"", "taken for");
    let middle = top + side / 2.0;
    let turned = format!("fill=\"#555\" transform=\"rotate(-90 24 {middle:.1})\"");
    text(&mut svg, (24.0, middle), &turned, "digit");
    for row in 0..n {
        let of: u64 = (0..n).map(|column| matrix.count(row, column)).sum();
        let centre = (row as f64 + 0.5) * cell;
        text(&mut svg, (left - 16.0, top + centre + 5.0), "", row);
        text(&mut svg, (left + centre, top - 10.0), "", row);
        for column in 0..n {
            let count = matrix.count(row, column);
            let part = count as f64 / of.max(1) as f64;
            let (colour, depth) = if row == column {
                ("#1f5fa8", 0.85 * part)
            } else {
                ("#c62828", if count == 0 { 0.0 } else { 0.25 + part })
            };
            let (x, y) = (left + column as f64 * cell, top + row as f64 * cell);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell}\" height=\"{cell}\" fill=\"{colour}\" \
                 fill-opacity=\"{depth:.3}\" stroke=\"#ddd\"/>"
            );
            if count > 0 {
                let ink = if depth > 0.5 { "fill=\"white\"" } else { "fill=\"#222\"" };
                text(&mut svg, (x + cell / 2.0, y + cell / 2.0 + 5.0), ink, count);
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The digits that were taken for another, then those of the least certainty, twelve at least, each with the two likeliest
/// readings.
pub(crate) fn mistaken(
    test: &Labelled,
    scores: &Tensor,
    matrix: &ConfusionMatrix,
) -> Result<String> {
    let scores: Vec<Vec<f64>> = scores.to_dtype(DType::F64)?.to_vec2()?;
    let pixels: Vec<f32> = test.inputs().flatten_all()?.to_vec1()?;
    let labels: Vec<u32> = test.labels().to_vec1()?;
    let of_one = pixels.len() / test.len();
    let side = of_one.isqrt();
    // Probabilities, the greatest first.
    let read: Vec<Vec<(f64, usize)>> = scores
        .iter()
        .map(|row| {
            let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|s| (s - greatest).exp()).sum();
            let mut read: Vec<_> =
                row.iter().enumerate().map(|(k, s)| ((s - greatest).exp() / sum, k)).collect();
            read.sort_by(|a, b| b.0.total_cmp(&a.0));
            read
        })
        .collect();
    let mut rest: Vec<usize> = (0..read.len()).filter(|k| !matrix.wrong().contains(k)).collect();
    rest.sort_by(|&a, &b| read[a][0].0.total_cmp(&read[b][0].0));
    let wrong = matrix.wrong().iter().copied().take(24);
    let few = 12usize.saturating_sub(matrix.wrong().len());
    let shown: Vec<usize> = wrong.chain(rest.into_iter().take(few)).collect();

    let (cell, columns) = (130.0, 6);
    let rows = shown.len().div_ceil(columns) as f64;
    let mut svg = open(cell * columns as f64 + 20.0, 50.0 + rows * (cell + 42.0));
    let title = format!(
        "{} of {} taken for another digit (red), then the least certain ones",
        matrix.wrong().len(),
        test.len()
    );
    text(&mut svg, (10.0 + cell * columns as f64 / 2.0, 28.0), "font-size=\"16\"", title);
    for (place, &k) in shown.iter().enumerate() {
        let x = 10.0 + (place % columns) as f64 * cell + 10.0;
        let y = 50.0 + (place / columns) as f64 * (cell + 42.0);
        let pixel = (cell - 20.0) / side as f64;
        for (i, value) in pixels[k * of_one..][..of_one].iter().enumerate() {
            let grey = (255.0 * (1.0 - value)).round();
            let (px, py) = (x + (i % side) as f64 * pixel, y + (i / side) as f64 * pixel);
            let _ = writeln!(
                svg,
                "<rect x=\"{px:.2}\" y=\"{py:.2}\" width=\"{pixel:.2}\" height=\"{pixel:.2}\" \
                 fill=\"rgb({grey},{grey},{grey})\" shape-rendering=\"crispEdges\"/>"
            );
        }
        let is_wrong = read[k][0].1 != labels[k] as usize;
        let colour = if is_wrong { "#c62828" } else { "#999" };
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>",
            cell - 20.0
        );
        let centre = x + (cell - 20.0) / 2.0;
        let style = format!("fill=\"{}\"", if is_wrong { "#c62828" } else { "#333" });
        text(&mut svg, (centre, y + cell - 3.0), &style, format!("is {}", labels[k]));
        let two: Vec<String> =
            read[k][..2].iter().map(|(p, digit)| format!("{digit}: {:.0} %", 100.0 * p)).collect();
        text(&mut svg, (centre, y + cell + 13.0), "fill=\"#555\" font-size=\"12\"", two.join(", "));
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
