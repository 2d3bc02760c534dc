//! Standard least-squares problems, and what PyTorch's L-BFGS and SciPy's least squares need for them.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Result as GraphResult, Var};
use pullback_nn::optimizer::{Minimizer, Objective, Status};
use pullback_nn::{Bound, Initialization, Parameters, Result};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Table {
    /// What is left of f(start) − minimum when a problem counts as solved.
    share: f64,
    pub(crate) problems: Vec<Problem>,
}

#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) name: String,
    start: Vec<f64>,
    /// f at the start.
    value: f64,
    minimum: f64,
    /// Of SciPy's `lm` and `trf` and PyTorch's `lbfgs`; none where it never comes there.
    pub(crate) evaluations: Evaluations,
}

#[derive(Deserialize)]
pub(crate) struct Evaluations {
    pub(crate) lm: Option<usize>,
    pub(crate) trf: Option<usize>,
    pub(crate) lbfgs: Option<usize>,
}

/// How one of our methods fared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Evaluations until the problem was solved, and those of them at trial points; none if it never was.
    pub(crate) evaluations: Option<[usize; 2]>,
    /// f at the start against the table's, and the lowest f against the minimum, over f(start) − minimum.
    pub(crate) start_error: f64,
    pub(crate) excess: f64,
    pub(crate) status: Status,
}

pub(crate) fn table() -> Table {
    serde_json::from_str(include_str!("../data/minimizers.json")).unwrap()
}

impl Table {
    /// Runs the method on the half square of the problem's residuals.
    pub(crate) fn solve(&self, problem: &Problem, method: &mut dyn Minimizer) -> Result<Found> {
        let Problem { name, start, value, minimum, .. } = problem;
        let mut p = Parameters::new(1, DType::F64, &Device::Cpu);
        p.root().parameter("x", &[start.len()], Initialization::Constant(0.0))?;
        p.set("x", &Tensor::new(start.as_slice(), &Device::Cpu)?)?;
        let name = name.clone();
        let f =
            Objective::least_squares(name.clone(), &p, move |graph, b| residuals(&name, graph, b));
        let all = value - minimum;
        let mut found = Found {
            evaluations: None,
            start_error: (f.value(&p)? - value).abs() / value,
            excess: 1.0,
            status: Status::StepLimit,
        };
        let (mut spent, mut trials) = (0, 1);
        for _ in 0..2000 {
            let progress = method.step(&f, &mut p)?;
            spent += progress.evaluations;
            trials += progress.evaluations.saturating_sub(1);
            found.excess = (progress.next_value - minimum) / all;
            if found.evaluations.is_none() && found.excess <= self.share {
                found.evaluations = Some([spent, trials]);
            }
            if progress.status != Status::Running {
                found.status = progress.status;
                break;
            }
        }
        Ok(found)
    }
}

const BARD: [f64; 15] =
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39];
const KOWALIK_Y: [f64; 11] =
    [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246];
const KOWALIK_U: [f64; 11] = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625];
const MEYER: [f64; 16] = [
    34780.0, 28610.0, 23650.0, 19630.0, 16370.0, 13720.0, 11540.0, 9744.0, 8261.0, 7030.0, 6005.0,
    5147.0, 4427.0, 3820.0, 3307.0, 2872.0,
];
const OSBORNE: [f64; 33] = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685,
    0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448,
    0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
];

/// The residuals of Moré, Garbow and Hillstrom 1981.
fn residuals<'g>(name: &str, graph: &'g Graph, b: &Bound<'g>) -> GraphResult<Var<'g>> {
    let v = b.get("x")?;
    let n = v.dims()?[0];
    let x: Vec<Var<'g>> = (0..n).map(|i| v.get(0, i)).collect();
    let data = |values: &[f64]| -> GraphResult<Var<'g>> {
        Ok(graph.constant(&Tensor::new(values, &Device::Cpu)?))
    };
    // step·(first, first + 1, …).
    let count = |first: usize, n: usize, step: f64| -> Vec<f64> {
        (first..first + n).map(|i| step * i as f64).collect()
    };
    match name {
        "rosenbrock" | "rosenbrock of 20" => {
            let pairs = v.reshape(&[n / 2, 2]);
            let (a, b) = (pairs.get(1, 0), pairs.get(1, 1));
            graph.cat(&[10.0 * (b - a.sqr()), 1.0 - a], 0)
        }
        "freudenstein_roth" => {
            let (a, b) = (x[0], x[1]);
            let first = a + ((5.0 - b) * b - 2.0) * b - 13.0;
            graph.stack(&[first, a + ((b + 1.0) * b - 14.0) * b - 29.0], 0)
        }
        "beale" => {
            let powers = graph.stack(&[x[1], x[1].sqr(), x[1].cube()], 0);
            data(&[1.5, 2.25, 2.625])? - x[0] * (1.0 - powers)
        }
        "bard" => {
            let u = count(1, 15, 1.0);
            let v: Vec<f64> = u.iter().map(|u| 16.0 - u).collect();
            let w: Vec<f64> = u.iter().zip(&v).map(|(u, v)| u.min(*v)).collect();
            data(&BARD)? - (x[0] + data(&u)? / (data(&v)? * x[1] + data(&w)? * x[2]))
        }
        "kowalik_osborne" => {
            let u = data(&KOWALIK_U)?;
            data(&KOWALIK_Y)? - x[0] * (u.sqr() + u * x[1]) / (u.sqr() + u * x[2] + x[3])
        }
        "meyer" => {
            let t: Vec<f64> = count(1, 16, 5.0).iter().map(|t| 45.0 + t).collect();
            x[0] * (x[1] / (data(&t)? + x[2])).exp() - data(&MEYER)?
        }
        "powell_singular" => {
            let rows = [
                x[0] + 10.0 * x[1],
                5f64.sqrt() * (x[2] - x[3]),
                (x[1] - 2.0 * x[2]).sqr(),
                10f64.sqrt() * (x[0] - x[3]).sqr(),
            ];
            graph.stack(&rows, 0)
        }
        "box" => {
            let u = data(&count(1, 10, 0.1))?;
            (-u * x[0]).exp() - (-u * x[1]).exp() - x[2] * ((-u).exp() - (-10.0 * u).exp())
        }
        "brown_dennis" => {
            let u = data(&count(1, 20, 0.2))?;
            (x[0] + u * x[1] - u.exp()).sqr() + (x[2] + x[3] * u.sin() - u.cos()).sqr()
        }
        "osborne" => {
            let u = data(&count(0, 33, 10.0))?;
            data(&OSBORNE)? - (x[0] + x[1] * (-u * x[3]).exp() + x[2] * (-u * x[4]).exp())
        }
        "wood" => {
            let [a, b, c, d] = [x[0], x[1], x[2], x[3]];
            let rows = [
                10.0 * (b - a.sqr()),
                1.0 - a,
                90f64.sqrt() * (d - c.sqr()),
                1.0 - c,
                10f64.sqrt() * (b + d - 2.0),
                (b - d) / 10f64.sqrt(),
            ];
            graph.stack(&rows, 0)
        }
        other => panic!("no problem {other:?}"),
    }
    .ok()
}
