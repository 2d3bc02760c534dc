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

#[test]
fn any_name_gives_a_well_formed_picture() {
    let odd = "\u{1} \0 \u{8} \u{b} \u{1f} \u{7f} \u{fffe} \u{ffff} ]]> <!-- & \" ' é 漢 \u{1F600} \u{2028}";
    for name in odd.split(' ').chain([odd, ""]) {
        let at = [0.0, 1.0];
        let svg = Plot::new(name)
            .axes(name, name)
            .line(name, [at, at])
            .heat(name, &at, &at, &[1.0, 2.0, 3.0, 4.0], false, 2)
            .to_svg();
        let tree = roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{name:?}: {e}"));
        let shown = tree.descendants().filter(|e| e.is_text()).filter_map(|e| e.text());
        let printed: String = name
            .chars()
            .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c })
            .collect();
        let times = shown.filter(|text| *text == printed).count();
        assert_eq!(times, if name.is_empty() { 0 } else { 5 }, "{name:?}");
    }
}

#[test]
fn missing_numbers_are_gaps_and_hollow_points() {
    let (x, y) = ([0.0, 1.0, 2.0], [0.0, 1.0]);
    let cells = |values: &[f64]| {
        let svg = Plot::new("h").heat("v", &x, &y, values, false, 0).to_svg();
        let inside = svg.split("crispEdges").nth(1).unwrap().to_string();
        count(inside.split("</g>").next().unwrap(), "<rect")
    };
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    for (given, drawn) in [(0, 0), (1, 1), (3, 3), (4, 4), (6, 6), (7, 6)] {
        assert_eq!(cells(&values[..given]), drawn, "{given} numbers");
    }
    let points = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]];
    for (values, hollow) in
        [(&[1.0][..], 2), (&[1.0, f64::NAN, 3.0], 1), (&[1.0, 2.0, 3.0, 1e9], 0)]
    {
        let svg = Plot::new("c").colored("v", points, values.iter().copied()).to_svg();
        let circles: Vec<&str> = svg.lines().filter(|l| l.starts_with("<circle")).collect();
        assert_eq!(circles.len(), 3);
        assert_eq!(circles.iter().filter(|c| c.contains("fill=\"none\"")).count(), hollow);
        assert!(!svg.contains("10⁹"), "a number beyond the points is on the scale");
    }
}

#[test]
fn contours_are_no_more_than_shades() {
    let at = [0.0, 1.0];
    for (asked, drawn) in [(0, 0), (7, 7), (96, 96), (97, 96), (usize::MAX, 96)] {
        let svg = Plot::new("h").heat("v", &at, &at, &[1.0, 2.0, 3.0, 4.0], false, asked).to_svg();
        assert_eq!(count(&svg, "stroke-opacity=\"0.65\""), drawn);
    }
}
