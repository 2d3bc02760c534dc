//! Explanations of total derivatives against brute force over all paths, and their pictures against the grammars they are written in.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/networks.rs"]
mod networks;

use std::sync::Arc;

use networks::Random;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Direction, Function, Graph, LinearMap, Var, Wrt};
use pullback_graph::Error;
use pullback_graph::totals::{Explanation, Limits, explain, explain_within};

fn scalar(x: f64) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn matrix(rows: usize, columns: usize, seed: u64) -> Tensor {
    let at = |i: usize| ((i as f64 + 1.3) * (seed as f64 + 0.7)).sin();
    let data: Vec<f64> = (0..rows * columns).map(at).collect();
    Tensor::from_vec(data, (rows, columns), &Device::Cpu).unwrap()
}

/// Every path from 0 to the last variable: its product, and the positions along it.
fn every_path(weights: &[Vec<(usize, f64)>]) -> Vec<(f64, Vec<usize>)> {
    let mut ways: Vec<Vec<(f64, Vec<usize>)>> = vec![vec![(1.0, vec![0])]];
    for (k, from) in weights.iter().enumerate().skip(1) {
        let mut here = Vec::new();
        for &(u, weight) in from {
            for (product, along) in &ways[u] {
                here.push((product * weight, [&along[..], &[k]].concat()));
            }
        }
        ways.push(here);
    }
    ways.pop().unwrap()
}

#[test]
fn random_networks_equal_the_sum_over_every_path() {
    let mut random = Random(7);
    for _ in 0..60 {
        let n = 3 + (random.next() % 7) as usize;
        let graph = Graph::new();
        let mut vars: Vec<Var<'_>> = vec![graph.input(&scalar(0.5)).named("v0")];
        let mut weights: Vec<Vec<(usize, f64)>> = vec![vec![]];
        for k in 1..n {
            let mut from = Vec::new();
            let mut sum = graph.scalar(0.1);
            for u in 0..k {
                if u + 1 == k || !random.next().is_multiple_of(3) {
                    let weight = random.uniform(-1.0, 1.0);
                    // Two unnamed operations, one of them shared by nothing: they belong to the next variable.
                    sum = sum + (vars[u] * weight + 0.25);
                    from.push((u, weight));
                }
            }
            vars.push(sum.named(format!("v{k}")));
            weights.push(from);
        }
        let mut expected = every_path(&weights);
        let why =
            explain_within(&graph, vars[n - 1], vars[0], &Limits { paths: 5, ..Limits::default() })
                .unwrap();
        assert_eq!(why.count, expected.len() as u128);
        let total: f64 = expected.iter().map(|p| p.0).sum();
        assert!((why.total.scalar().unwrap() - total).abs() < 1e-12);
        assert!(why.agrees() && why.disagreement() < 1e-12);
        // The largest first, and those that are not listed as one number.
        expected.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
        assert_eq!(why.paths.len(), expected.len().min(5));
        let mut listed = 0.0;
        for (path, (product, along)) in why.paths.iter().zip(&expected) {
            assert!((path.product.scalar().unwrap() - product).abs() < 1e-13);
            let names: Vec<String> = along.iter().map(|k| format!("v{k}")).collect();
            assert_eq!(route(&why, &path.edges), names);
            listed += product;
        }
        let rest = why.rest.scalar().unwrap();
        let left = if expected.len() <= 5 { 0.0 } else { total - listed };
        assert!((rest - left).abs() < 1e-12);
        check_sweeps(&graph, &why, &vars);
        check_pictures(&why);
    }
}

fn route(why: &Explanation, edges: &[usize]) -> Vec<String> {
    let mut names = vec![why.variables[0].name.clone()];
    for &e in edges {
        assert_eq!(why.variables[why.edges[e].from].name, *names.last().unwrap());
        names.push(why.variables[why.edges[e].to].name.clone());
    }
    names
}

/// The running totals are the graph's totals, and each is the sum of its terms.
fn check_sweeps(graph: &Graph, why: &Explanation, vars: &[Var<'_>]) {
    let named = |name: &str| vars.iter().copied().find(|v| v.name().as_deref() == Some(name));
    let (first, last) = (vars[0], vars[vars.len() - 1]);
    let (forward, backward) = (why.sweep_forward().unwrap(), why.sweep_backward().unwrap());
    assert_eq!(forward.len(), why.variables.len());
    for (rows, ahead) in [(&forward, true), (&backward, false)] {
        for (k, row) in rows.iter().enumerate() {
            let v = named(&why.variables[row.variable].name).unwrap();
            let total = match ahead {
                true => graph.total_backward(v, first).unwrap(),
                false => graph.total_forward(last, v).unwrap(),
            };
            let total = total.to_scalar::<f64>().unwrap();
            assert!((row.sum.scalar().unwrap() - total).abs() < 1e-12);
            let sum: f64 = row.terms.iter().map(|t| t.product.scalar().unwrap()).sum();
            if k == 0 {
                assert!(row.terms.is_empty() && total == 1.0);
            } else {
                assert!((sum - total).abs() < 1e-12);
            }
        }
    }
}

/// A statement of DOT: identifiers, arrows, attribute lists of `key=value` with values quoted or plain; brackets close, strings end.
fn check_dot(dot: &str, nodes: usize, edges: usize) {
    let body = dot.strip_prefix("digraph network {\n").unwrap().strip_suffix("}\n").unwrap();
    let (mut found, mut arrows) = (0, 0);
    for line in body.lines() {
        let statement = line.trim_start().strip_suffix(';').unwrap_or_else(|| panic!("{line}"));
        let (head, attributes) = match statement.split_once(" [") {
            Some((head, list)) => (head, list.strip_suffix(']').unwrap()),
            None => ("", statement),
        };
        let node = |id: &str| id.strip_prefix('n').and_then(|n| n.parse::<usize>().ok());
        match head.split_once(" -> ") {
            Some((a, b)) => {
                assert!(node(a).unwrap() < node(b).unwrap() && node(b).unwrap() < nodes);
                arrows += 1;
            }
            None if ["", "graph", "node", "edge"].contains(&head) => {}
            None => {
                assert_eq!(node(head), Some(found));
                found += 1;
            }
        }
        let (mut rest, mut first) = (attributes, true);
        while !rest.is_empty() {
            rest = if first { rest } else { rest.strip_prefix(", ").unwrap() };
            first = false;
            let (key, value) = rest.split_once('=').unwrap();
            assert!(key.chars().all(|c| c.is_ascii_alphabetic()), "{line}");
            let length = match value.strip_prefix('"') {
                Some(text) => {
                    let mut escaped = false;
                    let end = text.char_indices().find(|&(_, c)| {
                        let ends = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        ends
                    });
                    end.unwrap_or_else(|| panic!("a string without an end: {line}")).0 + 2
                }
                None => value.find(", ").unwrap_or(value.len()),
            };
            rest = &value[length..];
        }
    }
    assert_eq!((found, arrows), (nodes, edges));
}

fn check_mermaid(chart: &str, nodes: usize, edges: usize) {
    let (_, body) = chart.split_once("flowchart LR\n").unwrap();
    let boxes = body.lines().filter(|l| l.ends_with("\"]")).count();
    let arrows = body.lines().filter(|l| l.contains(" -->")).count();
    assert_eq!((boxes, arrows), (nodes, edges));
    for line in body.lines() {
        // Two quotes around a text, and nothing in it that the language reads.
        let texts: Vec<&str> = line.split('"').collect();
        assert!(texts.len() == 1 || texts.len() == 3, "{line}");
        if let Some(text) = texts.get(1) {
            assert!(!text.replace("<br/>", "").contains(['<', '>', '&', '`', '\\']), "{line}");
        }
    }
}

fn check_pictures(why: &Explanation) {
    let (n, m) = (why.variables.len(), why.edges.len());
    let svg = why.to_svg().unwrap();
    let tree = roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{e}: {svg}"));
    let count = |tag: &str| {
        tree.descendants().filter(|e| e.has_tag_name(("http://www.w3.org/2000/svg", tag))).count()
    };
    assert_eq!((count("rect"), count("path")), (n + 1, m));
    assert_eq!(count("text"), 4 + 4 * n + m, "title, boxes, edges");
    check_dot(&why.to_dot().unwrap(), n, m);
    check_mermaid(&why.to_mermaid().unwrap(), n, m);
}

#[test]
fn the_text_is_what_stands_on_the_blackboard() {
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)).named("x");
    let g = (-2.0 * x).named("g");
    let f = (3.0 * x + 2.0 * g).named("f");
    let text = explain(&graph, f, x).unwrap().to_string();
    let expected = "df/dx = -1, the sum over 2 paths

  x = 1
  g = -2   ∂g/∂x = -2
  f = -1   ∂f/∂x = 3, ∂f/∂g = 2

  paths, the largest contribution first
    x → g → f   2·(-2) = -4
    x → f       3
    sum         -1

  forward sweep: dv/dx = Σ over parents u of ∂v/∂u · du/dx
    dx/dx = 1
    dg/dx = (-2)·1 = -2
    df/dx = 3·1 + 2·(-2) = -1

  backward sweep: df/du = Σ over children v of df/dv · ∂v/∂u
    df/df = 1
    df/dg = 1·2 = 2
    df/dx = 1·3 + 2·(-2) = -1

  through every operation of the graph: forward -1, backward -1
";
    assert_eq!(text, expected);
}

#[test]
fn matrices_along_the_paths() {
    // Two layers with a bypass: the paths' products are matrices, and the shapes of x, h and f differ.
    let graph = Graph::new();
    let x = graph.input(&matrix(1, 3, 1)).named("x");
    let (w, v, u) = (matrix(3, 4, 2), matrix(4, 2, 3), matrix(3, 2, 4));
    let h = x.matmul(graph.constant(&w)).tanh().named("h");
    let y = (h.matmul(graph.constant(&v)) + x.matmul(graph.constant(&u))).named("y");
    let why = explain(&graph, y, x).unwrap();
    assert_eq!((why.count, why.paths.len(), why.total.rows, why.total.columns), (2, 2, 2, 3));
    // By hand: through h, V'·diag(1 − h²)·W'; past it, U'.
    let (w, v, u) =
        (w.to_vec2::<f64>().unwrap(), v.to_vec2::<f64>().unwrap(), u.to_vec2::<f64>().unwrap());
    let h = h.value().unwrap().to_vec2::<f64>().unwrap();
    for i in 0..2 {
        for j in 0..3 {
            let through: f64 = (0..4).map(|k| v[k][i] * (1.0 - h[0][k].powi(2)) * w[j][k]).sum();
            let total = why.total.values[3 * i + j];
            assert!((total - through - u[j][i]).abs() < 1e-13);
            let of_length = |n: usize| why.paths.iter().find(|p| p.edges.len() == n).unwrap();
            assert!((of_length(2).product.values[3 * i + j] - through).abs() < 1e-13);
            assert!((of_length(1).product.values[3 * i + j] - u[j][i]).abs() < 1e-13);
        }
    }
    assert!(why.paths[0].product.norm() >= why.paths[1].product.norm());
    assert!(why.agrees() && why.rest.norm() == 0.0);
    assert!(why.to_string().contains("∂h/∂x = [4×3, ‖·‖ "), "{why}");
    check_pictures(&why);
    // A tall and a wide end: one number from many, in f32.
    let loss = y.sqr().sum(()).named("loss");
    assert_eq!(explain(&graph, loss, x).unwrap().total.values.len(), 3);
    let x =
        graph.input(&matrix(2, 2, 5).to_dtype(pullback_core_graph::candle::DType::F32).unwrap());
    let why = explain(&graph, (x.sin().named("s") * x).sum(()), x).unwrap();
    assert!(why.agrees() && why.count == 2, "{why}");
}

/// x → (a₁, b₁) → (a₂, b₂) → …: 2ⁿ paths.
fn ladder(graph: &Graph, rungs: usize) -> (Var<'_>, Var<'_>) {
    let x = graph.input(&scalar(1.0)).named("x");
    let mut at = x;
    for k in 0..rungs {
        let (a, b) = ((0.6 * at).named(format!("a{k}")), (0.4 * at).named(format!("b{k}")));
        at = (a + b).named(format!("c{k}"));
    }
    (x, at)
}

#[test]
fn exponentially_many_paths_are_counted_and_the_largest_are_listed() {
    let graph = Graph::new();
    let (x, f) = ladder(&graph, 100);
    let why = explain(&graph, f, x).unwrap();
    assert_eq!(why.count, 1u128 << 100);
    assert_eq!(why.paths.len(), 12);
    assert!((why.total.scalar().unwrap() - 1.0).abs() < 1e-12);
    // The largest goes along a everywhere, the next eleven along b once.
    let largest = why.paths[0].product.scalar().unwrap();
    assert!((largest / 0.6f64.powi(100) - 1.0).abs() < 1e-10);
    for path in &why.paths[1..] {
        assert!((path.product.scalar().unwrap() / (0.6f64.powi(99) * 0.4) - 1.0).abs() < 1e-10);
    }
    let listed: f64 = why.paths.iter().map(|p| p.product.scalar().unwrap()).sum();
    assert!((listed + why.rest.scalar().unwrap() - 1.0).abs() < 1e-12);
    assert!(why.to_string().contains("1267650600228229401496703205364 other paths"));
    let graph = Graph::new();
    let (x, f) = ladder(&graph, 130);
    let why = explain(&graph, f, x).unwrap();
    assert_eq!(why.count, u128::MAX);
    assert!(why.to_string().contains("at least 3.403e38"));
    let none = explain_within(&graph, f, x, &Limits { paths: 0, ..Limits::default() }).unwrap();
    assert_eq!((none.paths.len(), none.rest.scalar()), (0, none.total.scalar()));
}

#[test]
fn no_dependence_is_an_answer() {
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)).named("x");
    let y = (2.0 * x).named("y");
    let z = graph.input(&matrix(2, 2, 1)).named("z");
    for (of, wrt) in [(z, x), (x, z), (x, y)] {
        let why = explain(&graph, of, wrt).unwrap();
        assert_eq!((why.count, why.paths.len(), why.edges.len()), (0, 0, 0));
        assert!(why.total.norm() == 0.0 && why.rest.norm() == 0.0 && why.agrees());
        assert!(why.to_string().contains("no path"));
        check_pictures(&why);
    }
    // A variable is itself along one path without an edge.
    let why = explain(&graph, z, z).unwrap();
    assert_eq!((why.count, why.variables.len(), why.total.values.len()), (1, 1, 16));
    assert_eq!(why.paths[0].product, why.total);
    assert_eq!(why.rest.norm(), 0.0);
    // floor has no slope, and what is detached is another variable: neither is a path.
    let flat = (x.detach() + x).named("flat");
    assert_eq!(explain(&graph, flat, x).unwrap().count, 1);
}

#[test]
fn names_are_escaped_and_told_apart() {
    let graph = Graph::new();
    let x = graph.input(&scalar(0.3)).named("a\"b\\");
    let y = x.sin().named("<y> & #1; `z` *_|]\n}");
    let z = x.cos().named("<y> & #1; `z` *_|]\n}");
    let f = (y * z).named("f\\\"");
    let why = explain(&graph, f, x).unwrap();
    let names: Vec<&str> = why.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names[0], "a\"b\\");
    assert!(names[1] != names[2] && names[1].starts_with("<y>") && names[2].contains('#'));
    check_pictures(&why);
    assert!(why.to_svg().unwrap().contains("&lt;y&gt; &amp; #1; `z` *_|] }#"));
}

#[test]
fn mistakes_are_named() {
    let (graph, other) = (Graph::new(), Graph::new());
    let x = graph.input(&matrix(2, 3, 1)).named("x");
    let foreign = other.input(&scalar(1.0));
    let network = |e: &Error| match e {
        Error::Network(inner) => inner.to_string(),
        other => panic!("{other}"),
    };
    assert!(network(&explain(&graph, x, foreign).unwrap_err()).contains("another graph"));
    let failed = x.matmul(x);
    assert!(matches!(
        explain(&graph, failed, x),
        Err(Error::Network(pullback_core_graph::Error::Shape { .. }))
    ));
    let wide = graph.input(&Tensor::zeros(5000, x.dtype().unwrap(), &Device::Cpu).unwrap());
    let wide = wide.named("wide");
    let sine = wide.sin().named("sine");
    match explain(&graph, sine, wide) {
        Err(Error::Invalid { place, what }) => {
            assert!(place.contains("sine#") && what.contains("125000000"), "{place}: {what}");
        }
        other => panic!("{other:?}"),
    }
    let (x, f) = ladder(&graph, 30);
    let few = Limits { variables: 90, ..Limits::default() };
    assert!(matches!(
        explain_within(&graph, f, x, &few),
        Err(Error::Invalid { what, .. }) if what.contains("91 variables")
    ));
    // Finite partial derivatives whose product is not.
    let x = graph.input(&scalar(1.0)).named("x");
    let y = (1e200 * x).named("y");
    let z = ((1e200 * (y * 1e-300)) * 1e300).named("z");
    assert!(matches!(explain(&graph, z, x), Err(Error::Network(_))));
}

/// y = 2x with a pull that says 3.
struct Liar;

impl Function for Liar {
    fn name(&self) -> &str {
        "liar"
    }
    fn eval(&self, x: &[Tensor]) -> pullback_core_graph::Result<Vec<Tensor>> {
        Ok(vec![(&x[0] * 2.0)?])
    }
    fn linearize(
        &self,
        x: &[Tensor],
        _: Wrt<'_>,
    ) -> pullback_core_graph::Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(Liar)))
    }
}

impl LinearMap for Liar {
    fn push(&self, dx: &[Option<Tensor>]) -> pullback_core_graph::Result<Direction> {
        dx.iter().map(|d| Ok(d.as_ref().map(|d| d * 2.0).transpose()?)).collect()
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> pullback_core_graph::Result<Direction> {
        dy.iter().map(|d| Ok(d.as_ref().map(|d| d * 3.0).transpose()?)).collect()
    }
}

#[test]
fn a_function_whose_sweeps_contradict_each_other_is_seen() {
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)).named("x");
    let liar: Arc<dyn Function> = Arc::new(Liar);
    let f = graph.apply(&liar, &[x]).unwrap()[0].named("f");
    let why = explain(&graph, f, x).unwrap();
    assert!(!why.agrees());
    assert_eq!(why.disagreement(), 1.0);
    assert!(why.to_string().contains("the sweeps disagree by 1"));
}

#[test]
fn as_many_paths_as_fit_are_listed_whatever_is_asked_for() {
    let graph = Graph::new();
    let (x, f) = ladder(&graph, 32);
    let all = Limits { paths: usize::MAX, ..Limits::default() };
    let why = explain_within(&graph, f, x, &all).unwrap();
    // x, 32 times (a, b, c); df/dx is one number.
    assert_eq!((why.count, why.paths.len()), (1 << 32, (1 << 22) / 98));
    let listed: f64 = why.paths.iter().map(|p| p.product.scalar().unwrap()).sum();
    assert!((listed + why.rest.scalar().unwrap() - 1.0).abs() < 1e-9);
}
