//! candle on both sides: our functions on its tape, its closures and modules as our functions, and the finite-difference twin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::sync::{Arc, Mutex};

use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap};
use pullback_core_graph::candle::{
    CpuStorage, CustomOp1, DType, Device, Error as CandleError, Layout, Result as CandleResult,
    Shape, Tensor, Var,
};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{
    CandleFunction, Direction, Error, Function, Graph, LinearMap, NumDiff, Result, Wrt, attach,
    function,
};

fn vector(x: &[f64]) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn variable(x: &[f64], dims: &[usize]) -> Var {
    Var::from_tensor(&vector(x).reshape(dims).unwrap()).unwrap()
}

fn close(got: &Tensor, want: &Tensor, tolerance: f64) {
    assert_eq!((got.dims(), got.dtype()), (want.dims(), want.dtype()));
    for (i, (g, w)) in to_f64(got).unwrap().iter().zip(to_f64(want).unwrap()).enumerate() {
        assert!((g - w).abs() <= tolerance * w.abs().max(1.0), "{i}: {g} is not {w}");
    }
}

/// A solver: the root y of y³ + y = x by Newton's method, with dy/dx = 1 / (3y² + 1) from the optimality condition.
struct CubicRoot {
    iterations: usize,
}

struct CubicRootAt(Tensor);

impl CubicRootAt {
    fn scaled(&self, d: &[Option<Tensor>]) -> Result<Direction> {
        let Some(d) = &d[0] else { return Ok(vec![None]) };
        Ok(vec![Some((d / ((self.0.sqr()? * 3.0)? + 1.0)?)?)])
    }
}

impl LinearMap for CubicRootAt {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        self.scaled(dx)
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        self.scaled(dy)
    }
}

impl Function for CubicRoot {
    fn name(&self) -> &str {
        "cubic_root"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        let root = |x: f64| {
            let mut y = 0.0f64;
            for _ in 0..self.iterations {
                y -= (y * y * y + y - x) / (3.0 * y * y + 1.0);
            }
            let (node, residual) = ("cubic_root".to_string(), (y * y * y + y - x).abs());
            let left = Error::NoConvergence { node, iterations: self.iterations, residual };
            if residual < 1e-12 * x.abs().max(1.0) { Ok(y) } else { Err(left) }
        };
        let y: Result<Vec<f64>> = to_f64(&x[0])?.into_iter().map(root).collect();
        Ok(vec![Tensor::from_vec(y?, x[0].dims(), x[0].device())?.to_dtype(x[0].dtype())?])
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let y = self.eval(x)?;
        Ok((y.clone(), Box::new(CubicRootAt(y[0].clone()))))
    }
}

fn cubic_root() -> Arc<dyn Function> {
    Arc::new(CubicRoot { iterations: 60 })
}

/// What a function was asked to do.
#[derive(Default, Debug, PartialEq, Clone)]
struct Log {
    evaluations: usize,
    /// The masks.
    linearizations: Vec<Vec<bool>>,
    /// Which cotangents were there.
    pulls: Vec<Vec<bool>>,
}

struct Counted {
    f: Arc<dyn Function>,
    log: Arc<Mutex<Log>>,
}

struct CountedAt(Box<dyn LinearMap>, Arc<Mutex<Log>>);

fn counted(f: Arc<dyn Function>) -> (Arc<dyn Function>, Arc<Mutex<Log>>) {
    let log = Arc::new(Mutex::new(Log::default()));
    (Arc::new(Counted { f, log: log.clone() }), log)
}

impl Function for Counted {
    fn name(&self) -> &str {
        self.f.name()
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.log.lock().unwrap().evaluations += 1;
        self.f.eval(x)
    }
    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        self.log.lock().unwrap().linearizations.push(wrt.0.to_vec());
        let (y, map) = self.f.linearize(x, wrt)?;
        Ok((y, Box::new(CountedAt(map, self.log.clone()))))
    }
}

impl LinearMap for CountedAt {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        self.0.push(dx)
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        self.1.lock().unwrap().pulls.push(dy.iter().map(Option::is_some).collect());
        self.0.pull(dy)
    }
}

// ---- attach ------------------------------------------------------------------------------------------------------------------

/// Twelve points and targets that a layer with weights [1.5, −2, 0.5] and bias 0.3 under the solver explains exactly.
fn regression() -> (Tensor, Tensor) {
    let x: Vec<f64> = (0..36).map(|i| ((i * 7 % 11) as f64 - 5.0) / 3.0).collect();
    let x = vector(&x).reshape((12, 3)).unwrap();
    let w = vector(&[1.5, -2.0, 0.5]).reshape((3, 1)).unwrap();
    let y = (x.matmul(&w).unwrap() + 0.3).unwrap();
    (x, cubic_root().eval(&[y]).unwrap().swap_remove(0))
}

/// A candle user's model: a candle layer, our solver behind it.
fn model(map: &mut VarMap) -> (Linear, Vec<Var>) {
    let builder = VarBuilder::from_varmap(map, DType::F64, &Device::Cpu);
    let layer = candle_nn::linear(3, 1, builder.pp("layer")).unwrap();
    map.set_one("layer.weight", vector(&[0.2, 0.1, -0.1]).reshape((1, 3)).unwrap()).unwrap();
    map.set_one("layer.bias", vector(&[0.0])).unwrap();
    (layer, map.all_vars())
}

fn loss(
    layer: &Linear,
    f: &Arc<dyn Function>,
    x: &Tensor,
    target: &Tensor,
) -> CandleResult<Tensor> {
    let y = attach(f, &[&layer.forward(x)?])?.swap_remove(0);
    (y - target)?.sqr()?.mean_all()
}

fn train(optimizer: &str, steps: usize) -> (f64, f64) {
    let (x, target) = regression();
    let mut map = VarMap::new();
    let (layer, vars) = model(&mut map);
    let f = cubic_root();
    let value = || loss(&layer, &f, &x, &target).unwrap().to_scalar::<f64>().unwrap();
    let before = value();
    if optimizer == "sgd" {
        let mut sgd = SGD::new(vars, 0.5).unwrap();
        (0..steps)
            .for_each(|_| sgd.backward_step(&loss(&layer, &f, &x, &target).unwrap()).unwrap());
    } else {
        let params = ParamsAdamW { lr: 0.1, weight_decay: 0.0, ..Default::default() };
        let mut adam = AdamW::new(vars, params).unwrap();
        (0..steps)
            .for_each(|_| adam.backward_step(&loss(&layer, &f, &x, &target).unwrap()).unwrap());
    }
    (before, value())
}

#[test]
fn a_candle_training_loop_learns_through_a_solver() {
    for (optimizer, steps) in [("sgd", 400), ("adamw", 1000)] {
        let (before, after) = train(optimizer, steps);
        assert!(before > 0.1 && after < 1e-5, "{optimizer}: {before} fell to {after}");
    }
}

#[test]
fn gradients_in_the_loop_are_finite_differences() {
    let (x, target) = regression();
    let mut map = VarMap::new();
    let (layer, vars) = model(&mut map);
    let f = cubic_root();
    let value = || loss(&layer, &f, &x, &target).unwrap().to_scalar::<f64>().unwrap();
    let grads = loss(&layer, &f, &x, &target).unwrap().backward().unwrap();
    let mut checked = 0;
    for var in &vars {
        let (at, got) = (to_f64(var).unwrap(), to_f64(grads.get(var).unwrap()).unwrap());
        for i in 0..at.len() {
            let moved = |h: f64| {
                let mut at = at.clone();
                at[i] += h;
                var.set(&vector(&at).reshape(var.dims()).unwrap()).unwrap();
                value()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            moved(0.0);
            assert!((got[i] - slope).abs() < 1e-8, "{} is not {slope}", got[i]);
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

/// (a, b) ↦ (sin(a)·b, Σ a², a + b), shapes (2, 3), (2, 3).
fn three_outputs() -> Arc<dyn Function> {
    function("three", |_, x| Ok(vec![x[0].sin() * x[1], x[0].sqr().sum(()), x[0] + x[1]]))
}

const A: [f64; 6] = [0.1, -0.4, 0.7, 1.1, -1.3, 0.2];
const B: [f64; 6] = [2.0, 0.5, -0.3, 0.8, 1.7, -0.9];

#[test]
fn unused_outputs_cost_nothing_and_backward_repeats() {
    let (f, log) = counted(three_outputs());
    let (a, b) = (variable(&A, &[2, 3]), variable(&B, &[2, 3]));
    let y = attach(&f, &[&a, &b]).unwrap();
    assert_eq!([y[0].dims(), y[1].dims(), y[2].dims()], [&[2, 3][..], &[], &[2, 3]]);
    let first = y[0].sum_all().unwrap();
    let (one, two) = (first.backward().unwrap(), first.backward().unwrap());
    let want = (a.cos().unwrap() * b.as_tensor()).unwrap().detach();
    close(one.get(&a).unwrap(), &want, 1e-15);
    close(one.get(&b).unwrap(), &a.sin().unwrap().detach(), 1e-15);
    assert_eq!(to_f64(one.get(&a).unwrap()).unwrap(), to_f64(two.get(&a).unwrap()).unwrap());
    // Two outputs meet in one pull.
    let both = ((y[1].sqr().unwrap() + y[2].sum_all().unwrap()).unwrap()).backward().unwrap();
    let norm = y[1].to_scalar::<f64>().unwrap();
    close(
        both.get(&a).unwrap(),
        &((a.as_tensor() * (4.0 * norm)).unwrap() + 1.0).unwrap().detach(),
        1e-14,
    );
    close(both.get(&b).unwrap(), &b.ones_like().unwrap(), 0.0);
    // No output is used, though the tape leads here: no pull at all.
    let none = (&y[0] * y[0].zeros_like().unwrap()).unwrap().sum_all().unwrap();
    let none = (none + (a.sum_all().unwrap() * 3.0).unwrap()).unwrap().backward().unwrap();
    close(none.get(&a).unwrap(), &(a.ones_like().unwrap() * 3.0).unwrap(), 0.0);
    let log = log.lock().unwrap().clone();
    assert_eq!(log.linearizations, [[true, true]]);
    assert_eq!(log.evaluations, 0);
    let (first, rest) = ([true, false, false].to_vec(), [false, true, true].to_vec());
    assert_eq!(log.pulls, [first.clone(), first, rest]);
}

#[test]
fn strided_inputs_get_strided_gradients() {
    let (a, b) = (variable(&A, &[3, 2]), variable(&[A, B].concat(), &[3, 4]));
    let (at, bt) = (a.t().unwrap(), b.narrow(1, 1, 2).unwrap().t().unwrap());
    assert!(!at.is_contiguous() && !bt.is_contiguous());
    let weights = vector(&B).reshape((2, 3)).unwrap();
    let attached = attach(&three_outputs(), &[&at, &bt]).unwrap();
    let grads = (&attached[0] * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let plain = ((at.sin().unwrap() * &bt).unwrap() * &weights).unwrap();
    let want = plain.sum_all().unwrap().backward().unwrap();
    for v in [&a, &b] {
        let contiguous = |t: &Tensor| t.contiguous().unwrap();
        close(&contiguous(grads.get(v).unwrap()), &contiguous(want.get(v).unwrap()), 1e-15);
    }
    // A single tracked input is not packed.
    let grads = attach(&cubic_root(), &[&at]).unwrap()[0].sqr().unwrap().backward().unwrap();
    let y = cubic_root().eval(&[a.as_detached_tensor()]).unwrap().swap_remove(0);
    let want = ((&y * 2.0).unwrap() / ((y.sqr().unwrap() * 3.0).unwrap() + 1.0).unwrap()).unwrap();
    close(&grads.get(&a).unwrap().contiguous().unwrap(), &want, 1e-15);
}

/// (a in f32, b in f64, k integers) ↦ (a in f32 times k, a·b in f64, the integers)
fn mixed() -> Arc<dyn Function> {
    Arc::new(CandleFunction::new("mixed", |x| {
        let (wide, k) = (x[0].to_dtype(DType::F64)?, x[2].to_dtype(DType::F32)?);
        Ok(vec![(&x[0] * k)?, (wide * &x[1])?, x[2].clone()])
    }))
}

#[test]
fn element_types_mix_and_gradients_keep_their_own() {
    let a = Var::new(&[1.5f32, -2.0], &Device::Cpu).unwrap();
    let b = variable(&[1.0 + 1e-12, 3.0], &[2]);
    let k = Tensor::new(&[2i64, 5], &Device::Cpu).unwrap();
    let y = attach(&mixed(), &[&a, &b, &k]).unwrap();
    let types: Vec<DType> = y.iter().map(Tensor::dtype).collect();
    assert_eq!(types, [DType::F32, DType::F64, DType::I64]);
    assert!(!y[2].track_op());
    assert_eq!(y[1].to_vec1::<f64>().unwrap(), [1.5 * (1.0 + 1e-12), -6.0]);
    let sum = (y[0].to_dtype(DType::F64).unwrap() + &y[1]).unwrap().sum_all().unwrap();
    let grads = sum.backward().unwrap();
    assert_eq!(grads.get(&a).unwrap().to_vec1::<f32>().unwrap(), [3.0f32, 8.0]);
    assert_eq!(grads.get(&b).unwrap().to_vec1::<f64>().unwrap(), [1.5, -2.0]);
}

#[test]
fn nothing_is_done_for_untracked_inputs() {
    let (f, log) = counted(three_outputs());
    let (a, b) = (vector(&A).reshape((2, 3)).unwrap(), variable(&B, &[2, 3]));
    let y = attach(&f, &[&a, b.as_tensor()]).unwrap();
    let grads = y[0].sum_all().unwrap().backward().unwrap();
    close(grads.get(&b).unwrap(), &a.sin().unwrap(), 1e-15);
    assert_eq!(log.lock().unwrap().linearizations, [[false, true]]);
    let y = attach(&f, &[&a, &b.as_detached_tensor()]).unwrap();
    assert!(y.iter().all(|t| !t.track_op()));
    let log = log.lock().unwrap();
    assert_eq!((log.linearizations.len(), log.evaluations, log.pulls.len()), (1, 1, 1));
}

#[test]
fn a_chain_on_the_tape_is_the_chain_in_a_graph() {
    let squash = function("squash", |_, x| Ok(vec![x[0].tanh() * x[1], x[0].exp()]));
    let fs = [squash.clone(), cubic_root(), squash];
    let (a, b) = (variable(&A, &[6]), variable(&B, &[6]));
    let candle = {
        let y = attach(&fs[0], &[&a, &b]).unwrap();
        let z = attach(&fs[1], &[&(&y[0] + &y[1]).unwrap()]).unwrap();
        let w = attach(&fs[2], &[&z[0], &b]).unwrap();
        (&w[0] * &w[1]).unwrap().sum_all().unwrap().backward().unwrap()
    };
    let graph = Graph::new();
    let (ga, gb) = (graph.input(&a), graph.input(&b));
    let y = graph.apply(&fs[0], &[ga, gb]).unwrap();
    let z = graph.apply(&fs[1], &[y[0] + y[1]]).unwrap();
    let w = graph.apply(&fs[2], &[z[0], gb]).unwrap();
    let want = graph.gradient((w[0] * w[1]).sum(()), &[ga, gb]).unwrap();
    close(candle.get(&a).unwrap(), &want[0], 1e-14);
    close(candle.get(&b).unwrap(), &want[1], 1e-14);
}

#[test]
fn empty_and_scalar_shapes_pass() {
    let f = function("shapes", |_, x| Ok(vec![x[0] * 2.0, x[1] * x[1]]));
    let (empty, scalar) =
        (Var::zeros((0, 3), DType::F64, &Device::Cpu).unwrap(), variable(&[3.0], &[]));
    let y = attach(&f, &[&empty, &scalar]).unwrap();
    assert_eq!((y[0].dims(), y[1].dims()), (&[0, 3][..], &[][..]));
    let grads = y[1].backward().unwrap();
    assert_eq!(grads.get(&scalar).unwrap().to_scalar::<f64>().unwrap(), 6.0);
}

#[test]
fn errors_keep_their_type() {
    let diverging: Arc<dyn Function> = Arc::new(CubicRoot { iterations: 2 });
    let x = variable(&[5.0], &[1]);
    let e = attach(&diverging, &[&x]).unwrap_err();
    assert!(matches!(&e, Error::NoConvergence { iterations: 2, residual, .. } if *residual > 1e-3));
    let e = attach(&function("log", |_, x| Ok(vec![x[0].log()])), &[&variable(&[0.0], &[1])]);
    assert!(matches!(e, Err(Error::NotFinite { .. })));
    // A cotangent that is not finite.
    let y = attach(&cubic_root(), &[&x]).unwrap().swap_remove(0);
    let e = (y * f64::INFINITY).unwrap().backward().unwrap_err();
    let ours = Error::from_candle(&e).expect("typed");
    assert!(
        matches!(ours, Error::NotFinite { node, port: 0, .. } if node == "cubic_root"),
        "{ours}"
    );
    // candle's context around it.
    let around = e.context("in the second epoch").with_path("model.rs");
    assert!(matches!(Error::from_candle(&around), Some(Error::NotFinite { .. })));
    assert!(Error::from_candle(&CandleError::msg("of candle")).is_none());
}

/// A function whose linear map answers what it should not.
struct Broken(fn(&Tensor) -> Result<Direction>);

struct BrokenAt(fn(&Tensor) -> Result<Direction>);

impl Function for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(x.to_vec())
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((x.to_vec(), Box::new(BrokenAt(self.0))))
    }
}

impl LinearMap for BrokenAt {
    fn push(&self, _: &[Option<Tensor>]) -> Result<Direction> {
        Ok(vec![])
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        (self.0)(dy[0].as_ref().unwrap())
    }
}

#[test]
fn bad_linear_maps_are_named_in_backward() {
    let try_out = |answer: fn(&Tensor) -> Result<Direction>| {
        let f: Arc<dyn Function> = Arc::new(Broken(answer));
        let y = attach(&f, &[&variable(&[1.0, 2.0], &[2])]).unwrap().swap_remove(0);
        let e = y.sum_all().unwrap().backward().unwrap_err();
        let ours = Error::from_candle(&e).expect("typed").clone();
        assert_eq!(ours.node(), "broken");
        ours
    };
    assert!(matches!(try_out(|_| Ok(vec![])), Error::Arity { expected: 1, got: 0, .. }));
    let shape = |d: &Tensor| Ok(vec![Some(d.unsqueeze(0)?)]);
    assert!(matches!(try_out(shape), Error::Shape { .. }));
    let narrow = |d: &Tensor| Ok(vec![Some(d.to_dtype(DType::F32)?)]);
    assert!(matches!(try_out(narrow), Error::DType { .. }));
    assert!(matches!(try_out(|d| Ok(vec![Some((d / 0.0)?)])), Error::NotFinite { .. }));
    let own = |d: &Tensor| Ok(vec![Some(d.matmul(d)?)]);
    assert!(matches!(try_out(own), Error::Tensor { .. }));
}

#[test]
fn a_map_without_a_gradient_gives_zeros() {
    let f: Arc<dyn Function> = Arc::new(Broken(|_| Ok(vec![None])));
    let x = variable(&[1.0, 2.0], &[2]);
    // Between two operations of candle, which panics where a gradient is missing.
    let y = attach(&f, &[&x.sqr().unwrap()]).unwrap().swap_remove(0);
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(grads.get(&x).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0]);
}

#[test]
fn a_second_derivative_through_the_tape_is_refused() {
    let x = variable(&[0.5, 2.0], &[2]);
    let y = attach(&function("sin", |_, x| Ok(vec![x[0].sin()])), &[&x]).unwrap();
    let grads = y[0].sum_all().unwrap().backward().unwrap();
    let e = grads.get(&x).unwrap().sum_all().unwrap().backward().unwrap_err();
    assert!(matches!(Error::from_candle(&e), Some(Error::NoHigherOrder { node }) if node == "sin"));
}

#[test]
#[ignore = "run by the test below with candle's switch for higher order"]
fn second_order_child() {
    let (a, b) = (variable(&A, &[2, 3]), variable(&B, &[2, 3]));
    let y = attach(&three_outputs(), &[&a.sqr().unwrap(), &b]).unwrap();
    let grads = y[0].sum_all().unwrap().backward().unwrap();
    let want =
        ((a.sqr().unwrap().cos().unwrap() * a.as_tensor()).unwrap() * b.as_tensor()).unwrap();
    close(grads.get(&a).unwrap(), &(want * 2.0).unwrap(), 1e-14);
    let e = grads.get(&a).unwrap().sum_all().unwrap().backward().unwrap_err();
    assert!(matches!(Error::from_candle(&e), Some(Error::NoHigherOrder { .. })));
}

#[test]
fn a_second_derivative_is_refused_when_candle_keeps_gradients_on_its_tape() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_order_child", "--ignored", "--quiet"])
        .env("CANDLE_GRAD_DO_NOT_DETACH", "1")
        .status();
    assert!(status.unwrap().success());
}

// ---- CandleFunction ----------------------------------------------------------------------------------------------------------

fn candle_three() -> CandleFunction {
    CandleFunction::new("three", |x| {
        Ok(vec![(x[0].sin()? * &x[1])?, x[0].sqr()?.sum_all()?, (&x[0] + &x[1])?])
    })
}

#[test]
fn candle_code_has_the_derivatives_of_the_graph() {
    let (a, b) = (vector(&A).reshape((2, 3)).unwrap(), vector(&B).reshape((2, 3)).unwrap());
    let x = [a.clone(), b.clone()];
    for wrt in [[true, true], [true, false], [false, true], [false, false]] {
        let (y, map) = candle_three().linearize(&x, Wrt(&wrt)).unwrap();
        let (want_y, want) = three_outputs().linearize(&x, Wrt(&wrt)).unwrap();
        y.iter().zip(&want_y).for_each(|(y, w)| close(y, w, 1e-15));
        assert!(y.iter().all(|t| !t.track_op()));
        let cotangents =
            [Some(b.clone()), Some(Tensor::new(0.7, &Device::Cpu).unwrap()), Some(a.clone())];
        for mask in 0..8 {
            let dy: Direction =
                (0..3).map(|i| cotangents[i].clone().filter(|_| mask >> i & 1 == 1)).collect();
            let (got, want) = (map.pull(&dy).unwrap(), want.pull(&dy).unwrap());
            for ((g, w), needed) in got.iter().zip(&want).zip(wrt) {
                assert!(needed || g.is_none());
                assert_eq!(g.is_some(), w.is_some());
                g.iter().zip(w).for_each(|(g, w)| close(g, w, 1e-14));
            }
        }
        let dx = [Some(b.clone()), Some(a.clone())];
        let (got, want) = (map.push(&dx).unwrap(), want.push(&dx).unwrap());
        for (g, w) in got.iter().zip(&want) {
            assert_eq!(g.is_some(), w.is_some());
            g.iter().zip(w).for_each(|(g, w)| close(g, w, 1e-14));
        }
    }
}

#[test]
fn what_candle_cannot_do_is_said() {
    let x = [vector(&A), vector(&B)];
    let (_, map) = candle_three().push_limit(12).linearize(&x, Wrt(&[true, true])).unwrap();
    match map.push(&[Some(x[0].clone()), None]) {
        Err(Error::NotDifferentiable { why, .. }) => {
            assert!(why.contains("13") && why.contains("12"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    let f: Arc<dyn Function> = Arc::new(CandleFunction::new("sin", |x| Ok(vec![x[0].sin()?])));
    let graph = Graph::new();
    let v = graph.input(&Tensor::new(0.5f64, &Device::Cpu).unwrap());
    let y = graph.apply(&f, &[v]).unwrap()[0];
    let e = graph.record_gradient(y, &[v]).unwrap_err();
    assert!(matches!(e, Error::NoHigherOrder { node } if node == "sin#1"));
    let integers = Tensor::new(&[1i64], &Device::Cpu).unwrap();
    let e = f.linearize(&[integers], Wrt(&[true])).err().unwrap();
    assert!(matches!(e, Error::DType { .. }));
    let e = f.eval(&[vector(&[f64::NAN])]).unwrap_err();
    assert!(matches!(e, Error::NotFinite { .. }));
}

/// The identity, with a custom operation that forgets its gradient.
struct Forgetful;

impl CustomOp1 for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        Ok((s.clone(), l.shape().clone()))
    }
    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> CandleResult<Option<Tensor>> {
        Ok(None)
    }
}

#[test]
fn a_panic_of_candle_is_an_error() {
    let f = CandleFunction::new("custom", |x| Ok(vec![x[0].sqr()?.apply_op1(Forgetful)?]));
    for f in [f.clone(), f.stack_size(1 << 20)] {
        let (_, map) = f.linearize(&[vector(&A)], Wrt(&[true])).unwrap();
        match map.pull(&[Some(vector(&B))]) {
            Err(Error::NotDifferentiable { node, why }) => {
                assert_eq!(node, "custom");
                assert!(why.contains("grad not populated"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn our_errors_pass_through_candle_code() {
    let solver: Arc<dyn Function> = Arc::new(CubicRoot { iterations: 60 });
    let log = function("log", |_, x| Ok(vec![x[0].sqrt()]));
    let f = CandleFunction::new("outer", move |x| {
        let y = attach(&solver, &[&x[0]])?.swap_remove(0);
        Ok(attach(&log, &[&y])?)
    });
    let (y, map) = f.linearize(&[vector(&[2.0, 0.0])], Wrt(&[true])).unwrap();
    assert_eq!(y[0].to_vec1::<f64>().unwrap(), [1.0, 0.0]);
    let e = map.pull(&[Some(vector(&[1.0, 1.0]))]).unwrap_err();
    assert!(matches!(&e, Error::NotFinite { .. }), "{e}");
    assert!(e.node().starts_with("outer/log"), "{e}");
    let (_, map) = f.linearize(&[vector(&[2.0, 10.0])], Wrt(&[true])).unwrap();
    let dx = map.pull(&[Some(vector(&[1.0, 1.0]))]).unwrap().swap_remove(0).unwrap();
    close(&dx, &vector(&[0.5 / 4.0, 0.5 / (2f64.sqrt() * 13.0)]), 1e-15);
}

#[test]
fn a_deep_tape_has_the_stack_it_is_given() {
    // Aborts on the 2 MiB of this thread.
    let f = CandleFunction::new("deep", |x| {
        let mut y = x[0].clone();
        for _ in 0..30_000 {
            y = y.affine(1.0, 1e-6)?;
        }
        Ok(vec![y])
    });
    let f = f.stack_size(64 << 20);
    let (_, map) = f.linearize(&[vector(&[1.0])], Wrt(&[true])).unwrap();
    let dx = map.pull(&[Some(vector(&[2.0]))]).unwrap().swap_remove(0).unwrap();
    assert_eq!(dx.to_vec1::<f64>().unwrap(), [2.0]);
    drop(map);
    assert_eq!(f.eval(&[vector(&[1.0])]).unwrap()[0].dims(), [1]);
}

fn layer() -> (Linear, [Var; 2]) {
    let vars = [variable(&A, &[2, 3]), variable(&[0.5, -0.25], &[2])];
    (Linear::new(vars[0].as_tensor().clone(), Some(vars[1].as_tensor().clone())), vars)
}

#[test]
fn a_module_with_variables_has_their_gradients() {
    let (module, [w, b]) = layer();
    let f = CandleFunction::module_with_vars("layer", module.clone(), vec![w.clone(), b.clone()]);
    let f: Arc<dyn Function> = Arc::new(f);
    let x = Var::from_tensor(&vector(&[A, B].concat()).reshape((4, 3)).unwrap()).unwrap();
    let graph = Graph::new();
    let (gx, gw, gb) = (graph.input(&x), graph.input(&w), graph.input(&b));
    let y = graph.apply(&f, &[gx, gw, gb]).unwrap()[0];
    let got = graph.gradient(y.tanh().sum(()), &[gx, gw, gb]).unwrap();
    let want = module.forward(&x).unwrap().tanh().unwrap().sum_all().unwrap().backward().unwrap();
    for (g, v) in got.iter().zip([&x, &w, &b]) {
        close(&g.contiguous().unwrap(), &want.get(v).unwrap().contiguous().unwrap(), 1e-14);
    }
    // As constants: the same values, one input.
    let plain = CandleFunction::module("layer", module);
    close(&plain.eval(&[x.as_detached_tensor()]).unwrap()[0], &y.value().unwrap(), 0.0);
    let e = plain.eval(&[]).unwrap_err();
    assert!(matches!(e, Error::Arity { expected: 1, got: 0, .. }), "{e}");
}

#[test]
fn parameters_must_be_what_their_variables_hold() {
    let (module, [w, b]) = layer();
    let f = CandleFunction::module_with_vars("layer", module.clone(), vec![w.clone(), b.clone()]);
    let x = vector(&B).reshape((2, 3)).unwrap();
    let (pw, pb) = (w.as_detached_tensor().copy().unwrap(), b.as_detached_tensor().copy().unwrap());
    let args = [x.clone(), pw.clone(), pb.clone()];
    let dy = [Some(Tensor::ones((2, 2), DType::F64, &Device::Cpu).unwrap())];
    let (_, map) = f.linearize(&args, Wrt(&[false, true, true])).unwrap();
    assert!(map.pull(&dy).is_ok());
    b.set(&vector(&[0.5, 0.75])).unwrap();
    for e in [map.pull(&dy).unwrap_err(), f.eval(&args).unwrap_err()] {
        match &e {
            Error::Invalid { node, what } => {
                assert_eq!(node, "layer");
                assert!(what.contains("parameter 1") && what.contains("0.75"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
    b.set(&pb).unwrap();
    let (w0, x0) = (pw.clone(), x.clone());
    let bad = |args: &[Tensor]| f.eval(args).unwrap_err();
    assert!(matches!(bad(&[w0.clone()]), Error::Arity { .. }));
    assert!(matches!(bad(&[x0.clone(), w0.t().unwrap(), pb.clone()]), Error::Shape { .. }));
    let narrow = pb.to_dtype(DType::F32).unwrap();
    assert!(matches!(bad(&[x0.clone(), w0.clone(), narrow]), Error::DType { .. }));
    let twice = CandleFunction::module_with_vars("layer", module, vec![w.clone(), w.clone()]);
    let e = twice.eval(&[x, pw.clone(), pw]).unwrap_err();
    assert!(matches!(e, Error::Invalid { .. }), "{e}");
}

// ---- NumDiff -----------------------------------------------------------------------------------------------------------------

#[test]
fn finite_differences_agree_with_the_rules() {
    let (a, b) = (vector(&A).reshape((2, 3)).unwrap(), vector(&B).reshape((2, 3)).unwrap());
    for (dtype, step, tolerance) in [(DType::F64, 3e-3, 1e-11), (DType::F32, 0.03, 1e-4)] {
        let cast = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let (a, b) = (cast(&a), cast(&b));
        let x = [a.clone(), b.clone()];
        let (_, want) = three_outputs().linearize(&x, Wrt(&[true, true])).unwrap();
        let twin = NumDiff::new(three_outputs(), step);
        let (_, got) = twin.linearize(&x, Wrt(&[true, true])).unwrap();
        let dy = [Some(b.clone()), None, Some(a.clone())];
        let dx = [Some((&b * 100.0).unwrap()), Some(a.clone())];
        let pairs = [(got.pull(&dy), want.pull(&dy)), (got.push(&dx), want.push(&dx))];
        for (got, want) in pairs {
            for (g, w) in got.unwrap().iter().zip(want.unwrap()) {
                close(g.as_ref().unwrap(), &w.unwrap(), 10.0 * tolerance);
            }
        }
        let (_, masked) = twin.linearize(&x, Wrt(&[false, true])).unwrap();
        assert!(masked.pull(&dy).unwrap()[0].is_none());
        let pushed = masked.push(&[dx[0].clone(), None]).unwrap();
        assert!(pushed.iter().all(Option::is_none));
    }
}

#[test]
fn finite_differences_converge_with_the_fourth_power_of_the_step() {
    let error = |step: f64| {
        let twin = NumDiff::new(function("exp", |_, x| Ok(vec![(2.0 * x[0]).exp()])), step);
        let (_, map) = twin.linearize(&[vector(&[0.3])], Wrt(&[true])).unwrap();
        let dx = map.pull(&[Some(vector(&[1.0]))]).unwrap().swap_remove(0).unwrap();
        (to_f64(&dx).unwrap()[0] - 2.0 * 0.6f64.exp()).abs()
    };
    let order = (error(0.2) / error(0.1)).log2();
    assert!((order - 4.0).abs() < 0.1, "{order}");
    let stated = 0.1f64.powi(4) * 32.0 * 0.6f64.exp() / 480.0;
    assert!((error(0.1) / stated - 1.0).abs() < 0.05);
}

#[test]
fn finite_differences_refuse_what_has_none() {
    let sqrt = function("sqrt", |_, x| Ok(vec![x[0].sqrt()]));
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let e = NumDiff::new(sqrt.clone(), step).linearize(&[vector(&[1.0])], Wrt(&[true]));
        assert!(matches!(e, Err(Error::Invalid { .. })));
    }
    // Outside its domain on one side.
    let (_, map) = NumDiff::new(sqrt, 0.1).linearize(&[vector(&[0.01])], Wrt(&[true])).unwrap();
    assert!(map.pull(&[Some(vector(&[1.0]))]).is_err());
    let integers = Tensor::new(&[1i64], &Device::Cpu).unwrap();
    let e = NumDiff::new(mixed(), 0.1).linearize(&[integers], Wrt(&[true]));
    assert!(matches!(e, Err(Error::DType { .. })));
}
