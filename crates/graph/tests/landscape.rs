//! Landscapes with known answers, misuse, determinism.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/landscapes.rs"]
mod landscapes;

use std::sync::Arc;

use landscapes::networks::network_loss;
use landscapes::{hold, tensor};
use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::{Function, LinearMap, Wrt, function};
use pullback_graph::Error;
use pullback_graph::landscape::*;

#[test]
fn matrices_with_known_spectra() {
    hold(landscapes::matrices::spectra());
}

#[test]
fn traces_keep_their_standard_error() {
    hold(landscapes::matrices::traces());
}

#[test]
fn products_agree_with_dense_matrices() {
    hold(landscapes::networks::products());
}

#[test]
fn blocks_of_layers_agree_with_dense_blocks() {
    hold(landscapes::groups::layers());
}

#[test]
fn critical_points_of_linear_nets_are_those_of_the_formulas() {
    hold(landscapes::critical::linear_nets());
}

#[test]
fn searches_find_critical_points_that_the_formulas_know() {
    hold(landscapes::critical::searches());
}

#[test]
fn degenerate_points() {
    hold(landscapes::critical::degenerate());
}

/// W (2, 3) and a bias of 2.
fn layer() -> (Parameters, Vec<f64>) {
    let w = tensor(&[1.0, 2.0, 2.0, 0.0, 0.0, 0.0], &[2, 3], DType::F64);
    let b = tensor(&[3.0, 4.0], &[2], DType::F32);
    let tensors = [w, b];
    let layout = Parameters::of(&tensors).unwrap();
    let flat = layout.ravel(&tensors).unwrap();
    (layout, flat)
}

#[test]
fn parameters_go_to_a_vector_and_back() {
    let (layout, flat) = layer();
    assert_eq!(flat, [1.0, 2.0, 2.0, 0.0, 0.0, 0.0, 3.0, 4.0]);
    let back = layout.unravel(&flat).unwrap();
    assert_eq!((back[1].dtype(), back[0].dims()), (DType::F32, &[2, 3][..]));
    assert_eq!(layout.ravel(&back).unwrap(), flat);
    assert_eq!((layout.range(1), layout.range(2), layout.count()), (6..8, 0..0, 2));
    assert_eq!((layout.range(usize::MAX), layout.dims(usize::MAX).len()), (0..0, 0));
}

#[test]
fn filters_of_a_direction_have_the_norms_of_the_parameters() {
    let (layout, flat) = layer();
    let norm = |d: &[f64]| d.iter().map(|x| x * x).sum::<f64>().sqrt();
    let d = filter_normalized(&layout, &flat, FilterOptions::default()).unwrap();
    assert!((norm(&d[..3]) - 3.0).abs() < 1e-14 && norm(&d[3..6]) == 0.0 && norm(&d[6..]) == 0.0);
    let options = FilterOptions { filter_axis: 1, others: NonFilters::Normalize, seed: 2 };
    let d = filter_normalized(&layout, &flat, options).unwrap();
    for (column, want) in [1.0, 2.0, 2.0].into_iter().enumerate() {
        assert!((norm(&[d[column], d[column + 3]]) - want).abs() < 1e-14);
    }
    assert!((norm(&d[6..]) - 5.0).abs() < 1e-14);
}

#[test]
fn a_direction_of_many_filters_takes_one_pass() {
    // A pass for each filter would read 10¹¹ numbers.
    const FILTERS: usize = 300_000;
    let layout = Parameters::of(&[tensor(&vec![0.0; FILTERS], &[FILTERS, 1], DType::F64)]).unwrap();
    let center: Vec<f64> = (0..FILTERS).map(|i| i as f64).collect();
    let d = filter_normalized(&layout, &center, FilterOptions::default()).unwrap();
    assert!(d.iter().zip(&center).all(|(d, c)| (d.abs() - c).abs() <= 1e-14 * c));
    // Squares that would over- and underflow.
    let layout = Parameters::of(&[tensor(&[0.0; 4], &[2, 2], DType::F64)]).unwrap();
    let center = [3e200, 4e200, 3e-200, 4e-200];
    let d = filter_normalized(&layout, &center, FilterOptions::default()).unwrap();
    assert!((d[0].hypot(d[1]) / 5e200 - 1.0).abs() < 1e-14);
    assert!((d[2].hypot(d[3]) / 5e-200 - 1.0).abs() < 1e-14);
}

/// y = Σ x with a map that gives what it was told to.
#[derive(Clone)]
struct Careless {
    pushed: Vec<Option<Tensor>>,
    pulled: Vec<Option<Tensor>>,
}

impl Function for Careless {
    fn name(&self) -> &str {
        "careless"
    }
    fn eval(&self, x: &[Tensor]) -> pullback_core_graph::Result<Vec<Tensor>> {
        Ok(vec![x[0].sum_all()?])
    }
    fn linearize(
        &self,
        x: &[Tensor],
        _: Wrt<'_>,
    ) -> pullback_core_graph::Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(self.clone())))
    }
}

impl LinearMap for Careless {
    fn push(&self, _: &[Option<Tensor>]) -> pullback_core_graph::Result<Vec<Option<Tensor>>> {
        Ok(self.pushed.clone())
    }
    fn pull(&self, _: &[Option<Tensor>]) -> pullback_core_graph::Result<Vec<Option<Tensor>>> {
        Ok(self.pulled.clone())
    }
}

#[test]
fn maps_that_give_something_else_than_derivatives_are_named() {
    let x = [tensor(&[1.0, 2.0], &[2], DType::F64)];
    let one = || vec![Some(tensor(&[1.0], &[], DType::F64))];
    let slot = |x: &[f64], dtype| vec![Some(tensor(x, &[x.len()], dtype))];
    let wrong = [
        (vec![], "derivatives"),
        (vec![None, None], "derivatives"),
        (slot(&[1.0, 1.0, 1.0], DType::F64), "a derivative like its parameter"),
        (slot(&[1.0], DType::F64), "a derivative like its parameter"),
        (slot(&[1.0, 1.0], DType::F32), "another element type"),
        (slot(&[1.0, f64::NAN], DType::F64), "component of the derivative 1 is NaN"),
    ];
    let square = function("square", |_, z| Ok(vec![z[0].sqr()]));
    for (pulled, want) in wrong {
        let careless: Arc<dyn Function> = Arc::new(Careless { pushed: one(), pulled });
        let first = value_and_gradient(&careless, &x).unwrap_err().to_string();
        let second = GaussNewton::at(&careless, &square, &x).unwrap().apply(&[1.0, 1.0]);
        for got in [first, second.unwrap_err().to_string()] {
            assert!(got.contains("careless") && got.contains(want), "{got:?}: not {want:?}");
        }
    }
    let right = slot(&[1.0, 1.0], DType::F64);
    for pushed in [vec![], slot(&[1.0, 1.0], DType::F64)] {
        let careless: Arc<dyn Function> = Arc::new(Careless { pushed, pulled: right.clone() });
        assert!(GaussNewton::at(&careless, &square, &x).unwrap().apply(&[1.0, 1.0]).is_err());
    }
    let careless: Arc<dyn Function> = Arc::new(Careless { pushed: one(), pulled: right });
    let gauss = GaussNewton::at(&careless, &square, &x).unwrap();
    assert_eq!(gauss.apply(&[1.0, 1.0]).unwrap(), [1.0, 1.0]);
}

#[test]
fn slices_have_gaps_where_the_loss_is_not_finite() {
    let loss = function("ln", |_, x| Ok(vec![x[0].log()]));
    let layout = Parameters::of(&[tensor(&[1.0], &[], DType::F64)]).unwrap();
    let s = slice(&loss, &layout, &[1.0], &[1.0], &spaced(-2.0, 1.0, 4)).unwrap();
    assert_eq!(s.loss, [None, None, Some(0.0), Some(2f64.ln())]);
    assert!(s.to_csv().starts_with("t,loss\n-2,\n-1,\n0,0e0\n1,6.93"), "{}", s.to_csv());
    assert_eq!(s.barrier(), None);
    let plane = slice2(&loss, &layout, &[1.0], [&[1.0], &[-2.0]], &[0.0, 1.0], &[0.0, 0.5, 1.0]);
    let plane = plane.unwrap();
    assert_eq!(plane.loss, [Some(0.0), Some(2f64.ln()), None, Some(0.0), None, None]);
    assert_eq!(plane.to_csv().lines().count(), 7);
    let shape = function("two", |_, x| Ok(vec![x[0], x[0]]));
    assert!(matches!(slice(&shape, &layout, &[1.0], &[1.0], &[0.0]), Err(Error::Network(_))));
}

/// (|θ|² − 1)² has a ring of minima: the straight line between two of them crosses its hill, a curve goes around.
#[test]
fn a_trained_curve_goes_around_a_barrier() {
    let loss = function("ring", |_, x| Ok(vec![(x[0].sqr().sum(()) - 1.0).sqr()]));
    let layout = Parameters::of(&[tensor(&[1.0, 0.0], &[2], DType::F64)]).unwrap();
    let (a, b) = ([1.0, 0.0], [-0.28, 0.96]);
    let ts = spaced(0.0, 1.0, 41);
    let line = interpolate(&loss, &layout, &a, &b, &ts).unwrap();
    let curve = bezier(&loss, &layout, &a, &b, BezierOptions::default()).unwrap();
    let around = curve.slice(&loss, &layout, &ts).unwrap();
    let (over, around) = (line.barrier().unwrap(), around.barrier().unwrap());
    // At the middle |θ|² = (1 + a·b)/2 = 0.36.
    assert!((over - 0.64f64.powi(2)).abs() < 1e-12, "{over}");
    assert!(around < 0.05 * over, "{around} after {over}");
    assert_eq!((curve.at(0.0), curve.at(1.0)), (a.to_vec(), b.to_vec()));
}

/// diag(scale, −scale, …).
fn signs(n: usize, scale: f64) -> Matrix {
    let entry = |k: usize| match k % (n + 1) {
        0 if (k / (n + 1)).is_multiple_of(2) => scale,
        0 => -scale,
        _ => 0.0,
    };
    Matrix::new(n, (0..n * n).map(entry).collect()).unwrap()
}

#[test]
fn numbers_at_the_ends_of_their_range() {
    let half = signs(1, 0.5);
    let d = density(&half, DensityOptions::default()).unwrap();
    assert_eq!((d.moment(u32::MAX).value, d.moment(2).value), (0.0, 0.25));
    let unit = density(&signs(2, 1.0), DensityOptions::default()).unwrap();
    assert!((unit.moment(1 << 31).value - 1.0).abs() < 1e-6, "{:?}", unit.moment(1 << 31));
    assert!(d.at(0.0, 5e-324).is_err() && d.at(f64::NAN, 1.0).is_err());
    let s = spectrum(&signs(2, 1.0)).unwrap();
    for tolerance in [-1.5, f64::NEG_INFINITY, f64::NAN, 0.0] {
        assert_eq!(s.index(tolerance), Index { negative: 1, zero: 0, positive: 1 });
    }
    for size in [1e308, 1.0, 5e-324] {
        let l = lanczos(&signs(4, 2.0), Some(&[size; 4]), LanczosOptions::default()).unwrap();
        let values: Vec<f64> = l.ritz().unwrap().iter().map(|r| r.value).collect();
        assert_eq!(values.len(), 2, "{size:e}: {values:?}");
        assert!((values[0] + 2.0).abs() + (values[1] - 2.0).abs() < 1e-14, "{size:e}: {values:?}");
    }
    // tr A = 5·10³⁰⁸.
    let n = 5;
    let huge =
        Matrix::new(n, (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0)) * 1e308).collect());
    let huge = huge.unwrap();
    for trace in
        [hutchinson(&huge, 6, 1), hutch_plus_plus(&huge, 6, 1), hutch_plus_plus(&huge, 50, 1)]
    {
        let text = trace.unwrap_err().to_string();
        assert!(text.contains("hutch") && text.contains("is inf"), "{text}");
    }
}

#[test]
fn what_single_precision_cannot_hold_is_an_error_and_a_gap() {
    let layout = Parameters::of(&[tensor(&[1.0], &[1], DType::F32)]).unwrap();
    assert!(layout.unravel(&[3e38]).is_ok());
    for x in [1e300, -1e39, f64::NAN] {
        let error = layout.unravel(&[x]).unwrap_err();
        assert!(error.to_string().starts_with("parameters: "), "{error}");
    }
    let square = function("square", |_, x| Ok(vec![(x[0] * 1e-30).sqr().sum(())]));
    let s = slice(&square, &layout, &[0.0], &[1.0], &[0.0, 1e30, 1e300]).unwrap();
    assert_eq!(s.loss.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn same_bits_for_any_number_of_threads() {
    let (loss, parameters) = network_loss();
    let run = || {
        let at = Curvature::at(&loss, &parameters).unwrap();
        let density = density(&at, DensityOptions { steps: 10, probes: 5, seed: 1 }).unwrap();
        let center = at.parameters().ravel(&parameters).unwrap();
        let d = filter_normalized(at.parameters(), &center, FilterOptions::default()).unwrap();
        let s = slice(&loss, at.parameters(), &center, &d, &spaced(-1.0, 1.0, 9)).unwrap();
        (density, spectrum(&at).unwrap(), s, hutchinson(&at, 8, 1).unwrap())
    };
    let with =
        |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(run);
    assert_eq!(with(1), with(3));
}

#[test]
fn misuse_is_an_error_that_says_what() {
    let (loss, parameters) = network_loss();
    let at = Curvature::at(&loss, &parameters).unwrap();
    let n = at.dim();
    let two = function("two", |_, x| Ok(vec![x[0], x[0]]));
    let no_steps = LanczosOptions { steps: 0, ..LanczosOptions::default() };
    let nan = Matrix::new(1, vec![f64::NAN]);
    let (layout, flat) = layer();
    let axis = FilterOptions { filter_axis: 2, ..FilterOptions::default() };
    let rows: Vec<(&str, String)> = vec![
        ("numbers expected", at.hvp(&[0.0]).unwrap_err().to_string()),
        ("output of a loss", Curvature::at(&two, &parameters).unwrap_err().to_string()),
        (
            "elements of a loss",
            value_and_gradient(&function("v", |_, x| Ok(vec![x[0]])), &parameters)
                .unwrap_err()
                .to_string(),
        ),
        ("tensor 6 of 6", at.group(&[6]).unwrap_err().to_string()),
        ("tensor 1 of 6, or twice", at.group(&[1, 1]).unwrap_err().to_string()),
        ("coordinate 99999", Principal::new(&at, vec![99_999]).unwrap_err().to_string()),
        ("0 steps", lanczos(&at, None, no_steps).unwrap_err().to_string()),
        (
            "start is zero",
            lanczos(&at, Some(&vec![0.0; n]), LanczosOptions::default()).unwrap_err().to_string(),
        ),
        (
            "component 0 is NaN",
            lanczos(&at, Some(&vec![f64::NAN; n]), LanczosOptions::default())
                .unwrap_err()
                .to_string(),
        ),
        (
            "no probe",
            density(&at, DensityOptions { probes: 0, ..Default::default() })
                .unwrap_err()
                .to_string(),
        ),
        ("1 products", hutchinson(&at, 1, 1).unwrap_err().to_string()),
        ("5 products", hutch_plus_plus(&at, 5, 1).unwrap_err().to_string()),
        ("entry 0 is NaN", nan.unwrap_err().to_string()),
        ("not symmetric", Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap_err().to_string()),
        ("filter axis 2", filter_normalized(&layout, &flat, axis).unwrap_err().to_string()),
        ("no tensor", Parameters::of(&[]).unwrap_err().to_string()),
        ("U32", Parameters::of(&[tensor(&[1.0], &[1], DType::U32)]).unwrap_err().to_string()),
    ];
    for (want, got) in rows {
        assert!(got.contains(want), "{got:?} does not say {want:?}");
    }
    let curve = |a: &[f64], rate: f64, steps: usize| {
        let options = BezierOptions { rate, steps, ..Default::default() };
        let loss = function("sum", |_, x| Ok(vec![x[0].sum(()) + x[1].sum(()).cast(DType::F64)]));
        bezier(&loss, &layout, a, &flat, options).map_err(|e| e.to_string())
    };
    for (rate, says) in
        [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e308, "e308"), (-1e308, "1e308")]
    {
        let text = curve(&flat, rate, 2).unwrap_err();
        assert!(
            text.contains("at the rate") || text.starts_with("parameters"),
            "{text} for {says}"
        );
    }
    assert!(curve(&[f64::NAN; 8], 0.1, 0).unwrap_err().contains("start of a curve"));
    assert_eq!(curve(&flat, f64::NAN, 0).unwrap().control[1], flat);
    let few = ExtremeOptions { products: 3, largest: 3, ..ExtremeOptions::default() };
    assert!(!extremes(&at, few).unwrap().converged);
}
