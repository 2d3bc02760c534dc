//! Pictures: what they show, and that nothing breaks them.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_graph::plot::{Plot, grid};

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn gaps_interrupt_lines() {
    let points = [[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 1.0], [4.0, 0.0]];
    let svg = Plot::new("gaps").line("loss", points).to_svg();
    let path = svg.lines().find(|l| l.contains("stroke-width=\"1.6\"")).unwrap();
    assert_eq!((count(path, "M"), count(path, "L")), (2, 2), "{path}");
    // On a logarithmic axis 0 is a gap too.
    let svg = Plot::new("gaps").log_y().line("loss", points).to_svg();
    let path = svg.lines().find(|l| l.contains("stroke-width=\"1.6\"")).unwrap();
    assert_eq!((count(path, "M"), count(path, "L")), (2, 1), "{path}");
}

#[test]
fn heat_maps_have_cells_and_contours() {
    let at = [0.0, 1.0, 2.0];
    let mut values: Vec<f64> = (0..9).map(|i| f64::from(i % 3)).collect();
    let svg = Plot::new("ramp").heat("x", &at, &at, &values, false, 1).to_svg();
    let cells = |svg: &str| {
        let inside = svg.split("crispEdges").nth(1).unwrap();
        count(inside.split("</g>").next().unwrap(), "<rect")
    };
    assert_eq!(cells(&svg), 9);
    // The level half way runs down the middle column in two pieces.
    let line = svg.lines().find(|l| l.contains("stroke-opacity=\"0.65\"")).unwrap();
    assert_eq!(count(line, "M"), 2, "{line}");
    values[4] = f64::INFINITY;
    let svg = Plot::new("ramp").heat("x", &at, &at, &values, false, 1).to_svg();
    let line = svg.lines().find(|l| l.contains("stroke-opacity=\"0.65\"")).unwrap();
    assert_eq!((cells(&svg), count(line, "M")), (8, 0));
}

#[test]
fn every_picture_is_finite_whatever_comes() {
    let odd = [f64::NAN, f64::INFINITY, -1e308, 1e308, 0.0, -0.0, 5e-324, 1.0];
    for &a in &odd {
        for &b in &odd {
            let points = [[a, b], [b, a]];
            let plot = Plot::new("<odd & others>").size(a, b).axes("x", "y").x_limits(a, b);
            let plot = plot.line("l", points).area("a", points).dots("d", points).stems("s", [a]);
            let plot =
                plot.colored("c", points, [a, b]).heat("h", &[a, b], &[a, b], &[a; 4], true, 3);
            for svg in [plot.to_svg(), plot.log_x().log_y().to_svg()] {
                let drawn = svg.replace("url(#", "");
                assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{a} {b}\n{svg}");
                assert!(!svg.contains("<odd"), "unescaped");
            }
        }
    }
    let empty = [Plot::new("a"), Plot::new("b"), Plot::new("c")];
    assert_eq!(count(&grid(2, &empty), "<clipPath"), 3);
}

#[test]
fn ticks_are_round_numbers() {
    let svg = Plot::new("t").line("", [[0.0, 1e-5], [0.98, 10.0]]).log_y().to_svg();
    for want in [">0.2<", ">0.4<", ">10⁻⁴<", ">10⁰<"] {
        assert!(svg.contains(want), "{want} is missing in {svg}");
    }
}
