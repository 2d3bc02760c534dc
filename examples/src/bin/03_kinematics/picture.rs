//! The pictures: the arm along its path, its joints over time, where the Jacobian is not zero.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use pullback_graph::sparsity::{Coloring, Pattern};

use crate::arm::Arm;
use crate::path::{BALL, LINE, STEPS, TIME};

/// Pixels to a metre in the picture of the arm.
const SCALE: f64 = 560.0;
const COLOURS: [&str; 7] =
    ["#1f5fa8", "#d1662a", "#2f8f4e", "#8a2a7c", "#b8860b", "#3aa6a6", "#555555"];

/// Writes a picture into `target/figures`.
pub(crate) fn save(name: &str, svg: &str) -> Result<()> {
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    std::fs::write(&path, svg)?;
    #[allow(clippy::print_stdout)] // an example talks
    {
        println!("   drawn: {}", path.display());
    }
    Ok(())
}

fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

/// Text at a place; `anchor`: start, middle or end.
fn text(svg: &mut String, at: (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>",
        at.0, at.1
    );
}

/// A line through points; `style`: further attributes.
fn line(svg: &mut String, points: impl IntoIterator<Item = (f64, f64)>, style: &str) {
    let points: Vec<String> = points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" {style}/>", points.join(" "));
}

/// A view without perspective, from above and beside: pixels, and the depth towards the viewer in metres.
fn project([x, y, z]: [f64; 3]) -> (f64, f64, f64) {
    let (around, up) = (25f64.to_radians(), 25f64.to_radians());
    let (right, away) = (y * around.cos() - x * around.sin(), x * around.cos() + y * around.sin());
    let (height, depth) = (z * up.cos() - away * up.sin(), away * up.cos() + z * up.sin());
    (480.0 + SCALE * right, 480.0 - SCALE * height, depth)
}

fn pixel(at: [f64; 3]) -> (f64, f64) {
    let (x, y, _) = project(at);
    (x, y)
}

/// The arm in some of its postures, the line of its hand, the ball if there is one.
pub(crate) fn arm(arm: &Arm, path: &[f64], joints: usize, ball: bool) -> String {
    let mut svg = open(870.0, 720.0);
    svg.push_str(
        "<defs><radialGradient id=\"ball\" cx=\"0.35\" cy=\"0.3\"><stop offset=\"0\" stop-color=\"#f7c9a8\"/>\
         <stop offset=\"1\" stop-color=\"#d1662a\"/></radialGradient></defs>\n",
    );
    floor(&mut svg);
    let shown: Vec<usize> = (0..6).map(|k| k * (STEPS - 1) / 5).collect();
    let (centre, radius) = BALL;
    // From the farthest to the nearest.
    let mut order: Vec<(f64, Option<usize>)> = Vec::new();
    order.extend(ball.then(|| (project(centre).2, None)));
    order.extend(
        shown
            .iter()
            .enumerate()
            .map(|(k, &t)| (project(arm.hand(&path[t * joints..][..joints]).place).2, Some(k))),
    );
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, what) in order {
        let Some(k) = what else {
            let ((x, y), r) = (pixel(centre), SCALE * radius);
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\" fill=\"url(#ball)\" fill-opacity=\"0.9\"/>"
            );
            continue;
        };
        posture(&mut svg, arm, &path[shown[k] * joints..][..joints], k as f64 / 5.0);
    }
    line(&mut svg, LINE.map(pixel), "stroke=\"#000\" stroke-dasharray=\"5 4\"");
    let hand = path.chunks(joints).map(|q| pixel(arm.hand(q).place));
    line(&mut svg, hand, "stroke=\"#c2185b\" stroke-width=\"3\"");
    for (end, name) in [(0, "start"), (1, "end")] {
        let (x, y) = pixel(LINE[end]);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
        let (dx, anchor) = if end == 0 { (-10.0, "end") } else { (10.0, "start") };
        text(&mut svg, (x + dx, y + 18.0), anchor, "#000", name);
    }
    legend(&mut svg, if ball { " and around a ball" } else { "" });
    svg.push_str("</svg>\n");
    svg
}

/// A metre grid with its axes.
fn floor(svg: &mut String) {
    let thin = "stroke=\"#ddd\"";
    for k in 0..=6 {
        let t = 0.2 * f64::from(k) - 0.6;
        line(svg, [pixel([-0.2, t, 0.0]), pixel([0.6, t, 0.0])], thin);
        if k <= 4 {
            line(svg, [pixel([0.4 + t, -0.6, 0.0]), pixel([0.4 + t, 0.6, 0.0])], thin);
        }
    }
    for (axis, name) in [([0.3, 0.0, 0.0], "x"), ([0.0, 0.3, 0.0], "y"), ([0.0, 0.0, 0.2], "z")] {
        line(svg, [pixel([0.0; 3]), pixel(axis)], "stroke=\"#999\" stroke-width=\"1.5\"");
        let (x, y) = pixel(axis.map(|a| 1.12 * a));
        text(svg, (x, y + 4.0), "middle", "#666", name);
    }
    let (x, y) = pixel([0.6, -0.4, 0.0]);
    text(svg, (x, y + 24.0), "middle", "#999", "grid: 0.2 m");
}

/// Links as thick lines, joints as dots; later postures are darker.
fn posture(svg: &mut String, arm: &Arm, q: &[f64], late: f64) {
    let mut points = vec![pixel([0.0; 3])];
    points.extend(arm.frames(q).iter().map(|f| pixel(f.place)));
    let shade = |light: f64, dark: f64| (light + late * (dark - light)) as u8;
    let colour =
        format!("rgb({},{},{})", shade(190.0, 20.0), shade(212.0, 70.0), shade(235.0, 130.0));
    let style = "stroke-linejoin=\"round\" stroke-linecap=\"round\"";
    line(svg, points.clone(), &format!("stroke=\"white\" stroke-width=\"15\" {style}"));
    line(svg, points.clone(), &format!("stroke=\"{colour}\" stroke-width=\"11\" {style}"));
    for (x, y) in points {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"white\"/>");
    }
}

fn legend(svg: &mut String, around: &str) {
    text(
        svg,
        (20.0, 28.0),
        "start",
        "#000",
        &format!("A 7-joint arm leads its hand along a line{around}"),
    );
    let rows = [
        ("stroke=\"#000\" stroke-dasharray=\"5 4\"", "the line that the hand should follow"),
        ("stroke=\"#c2185b\" stroke-width=\"3\"", "the hand"),
        (
            "stroke=\"rgb(105,141,182)\" stroke-width=\"9\"",
            "the arm at six moments, later ones darker",
        ),
    ];
    for (k, (style, what)) in rows.into_iter().enumerate() {
        let y = 52.0 + 22.0 * k as f64;
        line(svg, [(20.0, y), (56.0, y)], style);
        text(svg, (66.0, y + 4.0), "start", "#333", what);
    }
}

/// Joint angles over time: the last path solid, the first one dashed.
pub(crate) fn joints(arm: &Arm, paths: &[Vec<f64>], joints: usize) -> String {
    let (left, top, width, height) = (60.0, 50.0, 640.0, 420.0);
    let mut svg = open(880.0, 530.0);
    let degrees = |q: &f64| q.to_degrees();
    let all = || paths.iter().flatten().map(degrees);
    let low = (all().fold(f64::INFINITY, f64::min) / 30.0).floor() * 30.0;
    let high = (all().fold(f64::NEG_INFINITY, f64::max) / 30.0).ceil() * 30.0;
    let end = TIME * (STEPS - 1) as f64;
    let x = |t: f64| left + width * t / end;
    let y = |angle: f64| top + height * (high - angle) / (high - low);
    for k in 0..=((high - low) / 30.0) as usize {
        let angle = low + 30.0 * k as f64;
        line(&mut svg, [(left, y(angle)), (left + width, y(angle))], "stroke=\"#e3e3e3\"");
        text(&mut svg, (left - 8.0, y(angle) + 4.0), "end", "#666", &format!("{angle}°"));
    }
    for second in 0..=end as usize {
        let at = x(second as f64);
        line(&mut svg, [(at, top), (at, top + height)], "stroke=\"#e3e3e3\"");
        text(&mut svg, (at, top + height + 20.0), "middle", "#666", &format!("{second} s"));
    }
    text(
        &mut svg,
        (left, 28.0),
        "start",
        "#000",
        "Joint angles along the path: around the ball (solid), without it (dashed)",
    );
    let names = arm.joints.iter().map(|j| j.name.as_str());
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (k, path) in paths.iter().enumerate() {
        let last = k + 1 == paths.len();
        for j in 0..joints {
            let mut points = path
                .chunks(joints)
                .enumerate()
                .map(|(t, q)| (x(TIME * t as f64), y(degrees(&q[j]))));
            let more = if last { "stroke-width=\"2.2\"" } else { "stroke-dasharray=\"4 4\"" };
            line(&mut svg, points.clone(), &format!("stroke=\"{}\" {more}", COLOURS[j % 7]));
            if last {
                ends.extend(points.next_back().map(|(_, y)| (y, j)));
            }
        }
    }
    // Names beside the ends of their curves, moved apart.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let names: Vec<&str> = names.collect();
    let mut free = f64::NEG_INFINITY;
    for (at, j) in ends {
        free = at.max(free + 17.0);
        text(&mut svg, (left + width + 8.0, free + 4.0), "start", COLOURS[j % 7], names[j]);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a Jacobian is not zero, in the colours of the columns that one push finds together.
pub(crate) fn sparsity(pattern: &Pattern, colors: &Coloring) -> String {
    let (left, top, cell) = (70.0, 60.0, 0.9);
    let (rows, columns) = (pattern.rows(), pattern.columns());
    let (wide, tall) = (cell * columns as f64, cell * rows as f64);
    let mut svg = open(left + wide + 170.0, top + tall + 30.0);
    let title = format!(
        "Jacobian of the path problem: {rows} residuals × {columns} variables, {} entries of {}",
        pattern.len(),
        rows * columns
    );
    text(&mut svg, (left, 24.0), "start", "#000", &title);
    text(&mut svg, (left, 46.0), "start", "#666", "variables: 7 joints of step 0, of step 1, …");
    let mut marks = vec![String::new(); colors.colors()];
    for (row, column) in pattern.places() {
        let Some(marks) = colors.of_column(column).and_then(|c| marks.get_mut(c)) else {
            continue;
        };
        // A little larger than a cell, so that single entries are seen.
        let (x, y) = (left + cell * column as f64, top + cell * row as f64);
        let _ = write!(marks, "M{x:.1} {y:.1}h1.4v1.4h-1.4z");
    }
    for (color, marks) in marks.iter().enumerate() {
        let hue = 360 * color / colors.colors();
        let _ = writeln!(svg, "<path d=\"{marks}\" fill=\"hsl({hue} 75% 42%)\"/>");
    }
    let found = format!("{} colours: one push finds all columns of a colour", colors.colors());
    text(&mut svg, (left + wide, 46.0), "end", "#666", &found);
    let _ = writeln!(
        svg,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{tall}\" fill=\"none\" stroke=\"#999\"/>"
    );
    let accelerations = rows - 3 * STEPS;
    let split = top + cell * accelerations as f64;
    line(&mut svg, [(left, split), (left + wide, split)], "stroke=\"#999\"");
    let blocks = [
        (top, 0, accelerations, "accelerations"),
        (split, accelerations, rows, "the hand’s position"),
    ];
    for (y, from, to, what) in blocks {
        text(&mut svg, (left - 8.0, y + 12.0), "end", "#666", &from.to_string());
        let middle = y + 0.5 * cell * (to - from) as f64;
        text(&mut svg, (left + wide + 12.0, middle - 4.0), "start", "#333", what);
        text(
            &mut svg,
            (left + wide + 12.0, middle + 14.0),
            "start",
            "#666",
            &format!("{} rows", to - from),
        );
    }
    text(&mut svg, (left - 8.0, top + tall), "end", "#666", &rows.to_string());
    text(&mut svg, (left + wide, top + tall + 18.0), "end", "#666", &columns.to_string());
    svg.push_str("</svg>\n");
    svg
}
