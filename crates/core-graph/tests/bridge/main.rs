//! candle on both sides: our functions on its tape, its closures and modules as our functions, and the finite-difference twin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::sync::{Arc, Mutex};

use pullback_core_graph::candle::{DType, Device, Tensor, Var};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{
    CandleFunction, Direction, Error, Function, LinearMap, Result, Wrt, function,
};

mod attach;
mod candle_function;
mod numdiff;

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

/// (a, b) ↦ (sin(a)·b, Σ a², a + b), shapes (2, 3), (2, 3).
fn three_outputs() -> Arc<dyn Function> {
    function("three", |_, x| Ok(vec![x[0].sin() * x[1], x[0].sqr().sum(()), x[0] + x[1]]))
}

const A: [f64; 6] = [0.1, -0.4, 0.7, 1.1, -1.3, 0.2];
const B: [f64; 6] = [2.0, 0.5, -0.3, 0.8, 1.7, -0.9];

/// (a in f32, b in f64, k integers) ↦ (a in f32 times k, a·b in f64, the integers)
fn mixed() -> Arc<dyn Function> {
    Arc::new(CandleFunction::new("mixed", |x| {
        let (wide, k) = (x[0].to_dtype(DType::F64)?, x[2].to_dtype(DType::F32)?);
        Ok(vec![(&x[0] * k)?, (wide * &x[1])?, x[2].clone()])
    }))
}
