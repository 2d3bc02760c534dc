//! The graph's sweeps, recorded derivatives, nesting, depth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::drawing::{Drawing, Line, Role, short};
use pullback_core_graph::{Error, Function, Graph, LinearMap, Result, Wrt, function};

fn scalar(x: f64) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn number(t: &Tensor) -> f64 {
    t.to_scalar::<f64>().unwrap()
}

#[test]
fn partial_is_three_and_total_is_seven() {
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)).named("x");
    let g = (2.0 * x).named("g");
    let f =
        graph.apply(&function("f", |_, v| Ok(vec![3.0 * v[0] + 2.0 * v[1]])), &[x, g]).unwrap()[0];
    assert_eq!(number(&graph.partial(f, x).unwrap()), 3.0);
    assert_eq!(number(&graph.total(f, x).unwrap()), 7.0);
    assert_eq!(number(&graph.total_forward(f, x).unwrap()), 7.0);
    assert_eq!(number(&graph.total(f, g).unwrap()), 2.0);
    assert_eq!(number(&graph.total(x, f).unwrap()), 0.0);
    let h = 3.0 * x + 2.0 * g;
    assert_eq!(number(&graph.partial(h, x).unwrap()), 3.0);
    assert_eq!(number(&graph.partial_holding(h, x, &[]).unwrap()), 7.0);
    assert_eq!(number(&graph.partial_holding(h, x, &[g]).unwrap()), 3.0);
    assert_eq!(number(&graph.partial(h, g).unwrap()), 2.0);
}

#[test]
fn partials_are_the_same_by_both_sweeps() {
    let graph = Graph::new();
    let data: Vec<f64> = (0..6).map(|i| (1.7 * i as f64).sin()).collect();
    let wide = graph.input(&Tensor::from_vec(data, (2, 3), &Device::Cpu).unwrap()).named("wide");
    let one = graph.input(&scalar(0.4)).named("one");
    let held = (wide * one).sin().named("held");
    let narrow = (held * wide + one.exp()).sum(1).named("narrow");
    let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
    // From one to many the forward sweep is chosen, from many to few the backward one.
    for (f, x, backward) in [(narrow, wide, true), (narrow, one, false), (held, one, false)] {
        let (ahead, back) =
            (graph.partial_forward(f, x).unwrap(), graph.partial_backward(f, x).unwrap());
        assert_eq!(
            (ahead.dims(), flat(ahead.clone()).len()),
            (back.dims(), f.dims().unwrap().iter().chain(&x.dims().unwrap()).product())
        );
        assert!(near(&flat(ahead.clone()), &flat(back.clone())));
        let chosen = flat(graph.partial(f, x).unwrap());
        assert_eq!(chosen, flat(if backward { back } else { ahead }));
        for fixed in [&[][..], &[held]] {
            let ahead = flat(graph.partial_holding_forward(f, x, fixed).unwrap());
            let back = flat(graph.partial_holding_backward(f, x, fixed).unwrap());
            assert!(near(&ahead, &back) && ahead.iter().any(|d| *d != 0.0));
            let chosen = flat(graph.partial_holding(f, x, fixed).unwrap());
            assert_eq!(chosen, if backward { back } else { ahead });
        }
    }
    // What is held makes a difference, and the partial derivative holds all that is named.
    let all = flat(graph.partial_holding_forward(narrow, wide, &[]).unwrap());
    let some = flat(graph.partial_holding_forward(narrow, wide, &[held]).unwrap());
    assert!(!near(&all, &some) && near(&some, &flat(graph.partial_forward(narrow, wide).unwrap())));
    assert!(near(&all, &flat(graph.total(narrow, wide).unwrap())));
}

#[test]
fn each_output_of_a_node_is_a_variable_of_its_own() {
    let graph = Graph::new();
    let x = graph.input(&scalar(0.3)).named("x");
    let two = function("two", |_, v| Ok(vec![v[0].sin(), v[0].cos()]));
    let y = graph.apply(&two, &[x]).unwrap();
    let s = y[0].named("s");
    let f = (2.0 * s + y[1]).named("f");
    let close = |a: Tensor, b: f64| assert!((number(&a) - b).abs() < 1e-15, "{a} {b}");
    let (sin, cos) = 0.3f64.sin_cos();
    // s is a variable and held; the cosine has no name and belongs to f.
    close(graph.partial(f, x).unwrap(), -sin);
    close(graph.partial(f, s).unwrap(), 2.0);
    close(graph.partial_holding(f, x, &[s]).unwrap(), -sin);
    close(graph.partial_holding(f, x, &[y[1]]).unwrap(), 2.0 * cos);
    close(graph.partial_holding(f, x, &[s, y[1]]).unwrap(), 0.0);
    close(graph.total(f, x).unwrap(), 2.0 * cos - sin);
    let c = y[1].named("c");
    close(graph.partial(f, x).unwrap(), 0.0);
    close(graph.partial(c, x).unwrap(), -sin);
    assert_eq!([graph.node_name(s), graph.node_name(c)], ["s#1", "c#1"]);
}

#[test]
fn views_of_nothing_behave_like_nothing() {
    // The offset of this view lies behind the end of its storage.
    let empty = Tensor::zeros((0, 4), DType::F64, &Device::Cpu).unwrap().narrow(1, 1, 2).unwrap();
    let graph = Graph::new();
    let v = graph.input(&empty);
    for y in [v.exp(), v + v, v * 2.0, v.narrow(1, 1, 1).cos(), graph.cat(&[v, v], 0)] {
        assert_eq!(y.value().unwrap().elem_count(), 0);
    }
    let sum = v.exp().sum(());
    assert_eq!(number(&sum.value().unwrap()), 0.0);
    assert_eq!(graph.gradient(sum, &[v]).unwrap()[0].dims(), [0, 2]);
    assert_eq!(v.t().matmul(v).value().unwrap().dims(), [2, 2]);
    assert!(graph.to_svg(&[]).unwrap().starts_with("<svg"));
}

#[test]
fn einsum_without_an_output_keeps_what_is_written_once() {
    let graph = Graph::new();
    let m = graph.constant(&Tensor::new(&[[1.0f64, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap());
    assert_eq!(graph.einsum("ii", &[m]).to_f64().unwrap(), 5.0);
    let batch = m.reshape(&[1, 2, 2]);
    assert_eq!(graph.einsum("bii", &[batch]).value().unwrap().to_vec1::<f64>().unwrap(), [5.0]);
    assert_eq!(graph.einsum("ij,jk", &[m, m]).dims().unwrap(), [2, 2]);
    assert_eq!(graph.einsum("ba", &[m]).value().unwrap().to_vec2::<f64>().unwrap()[0], [1.0, 3.0]);
}

#[test]
fn long_jacobians_are_made_some_rows_at_a_time() {
    let graph = Graph::new();
    let n = 30_000;
    let x = graph.input(&scalar(0.5)).named("x");
    let scale = graph.constant(&Tensor::arange(0.0, n as f64, &Device::Cpu).unwrap());
    let f = (x * scale).named("f");
    for d in [graph.partial(f, x), graph.total(f, x), graph.partial_holding(f, x, &[])] {
        let d = d.unwrap().to_vec1::<f64>().unwrap();
        assert!(d.iter().enumerate().all(|(i, d)| *d == i as f64));
    }
    let back = graph.total(f.sum(()), f).unwrap();
    assert_eq!(back.dims(), [n]);
}

#[test]
fn derivatives_of_derivatives_are_exact_to_third_order() {
    let graph = Graph::new();
    let x = graph.input(&scalar(0.7));
    let mut d = (x.sqr().sin() * x.exp()).tanh();
    let mut orders = vec![];
    for _ in 0..3 {
        d = graph.record_gradient(d, &[x]).unwrap()[0];
        orders.push(d.to_f64().unwrap());
    }
    // tanh(sin(x²)eˣ) at 0.7, by mpmath 1.3 with 40 digits.
    let f = |x: f64| ((x * x).sin() * x.exp()).tanh();
    let h = 1e-4;
    assert!((orders[0] - (f(0.7 + h) - f(0.7 - h)) / (2.0 * h)).abs() < 1e-7);
    assert!((orders[1] - (f(0.7 + h) - 2.0 * f(0.7) + f(0.7 - h)) / (h * h)).abs() < 1e-6);
    let h = 1e-3;
    let third = (f(0.7 + 2.0 * h) - 2.0 * f(0.7 + h) + 2.0 * f(0.7 - h) - f(0.7 - 2.0 * h))
        / (2.0 * h * h * h);
    assert!((orders[2] - third).abs() < 1e-3, "{} {third}", orders[2]);
}

#[test]
fn a_million_operations_on_a_small_stack() {
    let run = || {
        let graph = Graph::new();
        let x = graph.input(&scalar(1.0));
        let mut y = x;
        for _ in 0..1_000_000 {
            y = y * 1.000_001;
        }
        let pulled = number(&graph.gradient(y, &[x]).unwrap()[0]);
        let pushed = number(graph.push(&[(x, scalar(1.0))], &[y]).unwrap()[0].as_ref().unwrap());
        (pulled, pushed, y.to_f64().unwrap())
    };
    let (pulled, pushed, y) =
        std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
    assert_eq!(pulled, y);
    assert_eq!(pushed, y);
    assert!((y - 1f64.exp()).abs() < 1e-5);
}

#[test]
fn closures_nest_and_have_tangent_and_adjoint() {
    let inner = function("inner", |_, v| Ok(vec![v[0] * v[1].sin(), v[0].sqr()]));
    let nested = inner.clone();
    let outer = function("outer", move |g, v| {
        let y = g.apply(&nested, &[v[0], v[0] * v[1]])?;
        Ok(vec![y[0] * y[1]])
    });
    // a³ sin(ab)
    let (a, b) = (1.3, 0.4);
    let (y, map) = outer.linearize(&[scalar(a), scalar(b)], Wrt(&[true, true])).unwrap();
    assert!((number(&y[0]) - a.powi(3) * (a * b).sin()).abs() < 1e-12);
    let pulled = map.pull(&[Some(scalar(1.0))]).unwrap();
    let da = 3.0 * a * a * (a * b).sin() + a.powi(3) * b * (a * b).cos();
    let db = a.powi(4) * (a * b).cos();
    assert!((number(pulled[0].as_ref().unwrap()) - da).abs() < 1e-12);
    assert!((number(pulled[1].as_ref().unwrap()) - db).abs() < 1e-12);
    let adjoint = outer.adjoint(Wrt(&[false, true])).unwrap();
    let out = adjoint.eval(&[scalar(a), scalar(b), y[0].clone(), scalar(2.0)]).unwrap();
    assert!((number(&out[0]) - 2.0 * db).abs() < 1e-12);
    let graph = Graph::new();
    let (va, vb) = (graph.input(&scalar(a)), graph.input(&scalar(b)));
    let y = graph.apply(&outer, &[va, vb]).unwrap()[0];
    let first = graph.record_gradient(y, &[vb]).unwrap()[0];
    let mixed = number(&graph.gradient(first, &[va]).unwrap()[0]);
    assert!(
        (mixed - (4.0 * a.powi(3) * (a * b).cos() - a.powi(4) * b * (a * b).sin())).abs() < 1e-12
    );
}

struct Opaque;

struct Twice;

impl Function for Opaque {
    fn name(&self) -> &str {
        "opaque"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![x[0].affine(2.0, 0.0)?])
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(Twice)))
    }
}

impl LinearMap for Twice {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        self.pull(dx)
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![dy[0].as_ref().map(|t| t.affine(2.0, 0.0)).transpose()?])
    }
}

#[test]
fn a_node_without_second_order_says_so() {
    let graph = Graph::new();
    let x = graph.input(&scalar(3.0));
    let y = graph.apply(&(Arc::new(Opaque) as Arc<dyn Function>), &[x]).unwrap()[0];
    assert_eq!(number(&graph.gradient(y, &[x]).unwrap()[0]), 2.0);
    let error = graph.record_gradient(y, &[x]).unwrap_err();
    assert!(matches!(&error, Error::NoHigherOrder { node } if node == "opaque#1"), "{error}");
}

#[test]
fn errors_are_sticky_and_name_the_node() {
    let graph = Graph::new();
    let x = graph.input(&scalar(-1.0));
    let y = (x.log() + 1.0).sin() * x;
    let error = y.value().unwrap_err();
    assert!(matches!(&error, Error::NotFinite { node, .. } if node == "log#1"), "{error}");
    assert!(matches!(graph.gradient(y, &[x]).unwrap_err(), Error::NotFinite { .. }));
    assert!((x * 2.0).value().is_ok());
    let other = Graph::new();
    let z = other.input(&scalar(1.0));
    assert!(matches!((x * z).ok().unwrap_err(), Error::ForeignVar { input: 1, .. }));
}

#[test]
fn a_picture_shows_names_values_and_partial_derivatives() {
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)).named("x < 2 & more");
    let g = (2.0 * x).named("g");
    let f = (3.0 * x + 5.0 * g).named("f");
    let svg = graph.to_svg(&[f]).unwrap();
    let texts: Vec<&str> = svg
        .split("<text ")
        .skip(1)
        .map(|t| t.split('>').nth(1).unwrap().trim_end_matches("</text"))
        .collect();
    for expected in ["x &lt; 2 &amp; more", "g", "f", "13", "2", "3", "5"] {
        assert!(texts.contains(&expected), "{expected} is not in {texts:?}");
    }
    assert_eq!(svg.matches("<path ").count(), 5, "x → g, x → 3x, g → 5g, and two into f");
    let failed = x.matmul(x);
    assert!(matches!(graph.to_svg(&[failed]), Err(Error::Shape { .. })));
}

#[test]
fn partials_with_respect_to_several_are_those_with_respect_to_each() {
    let graph = Graph::new();
    let x = graph.input(&Tensor::new(&[0.3f64, 0.8], &Device::Cpu).unwrap()).named("x");
    let g = x.sin().named("g");
    let unrelated = graph.input(&scalar(1.0)).named("unrelated");
    let f = (g * x + g.detach()).exp().named("f");
    let partials = graph.partials(f, &[x, g, unrelated]).unwrap();
    for (d, v) in partials[..2].iter().zip([x, g]) {
        let d = d.as_ref().unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(d, graph.partial(f, v).unwrap().to_vec2::<f64>().unwrap());
    }
    assert!(partials[2].is_none(), "a structural zero");
    assert_eq!(f.name().as_deref(), Some("f"));
    assert_eq!(f.exp().name(), None);
}

#[test]
fn drawings_refuse_edges_that_no_network_has() {
    let mut drawing = Drawing::default();
    let a = drawing.node(Role::Input, [Line::plain("a")]);
    let b = drawing.node(Role::Operation, []);
    drawing.edge(a, b, None, f64::NAN).unwrap();
    for (from, to) in [(b, a), (a, a), (a, 2), (2, 3)] {
        assert!(matches!(drawing.edge(from, to, None, 0.0), Err(Error::Invalid { .. })));
    }
    assert_eq!(drawing.to_svg().matches("<path ").count(), 1);
    assert!(Drawing::default().to_svg().ends_with("</svg>\n"));
    let numbers = [0.0, 1.0, -0.38941, 12345.6, 1e-5, f64::NAN].map(short);
    assert_eq!(numbers, ["0", "1", "-0.3894", "12346", "1.000e-5", "NaN"]);
}
