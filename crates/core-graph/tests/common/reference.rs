//! The committed reference tables, and our numbers beside theirs.

use std::collections::BTreeMap;

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Graph, Result, Var};
use serde_json::Value;

/// The worst relative error of one function and where it was met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worst {
    pub(crate) error: f64,
    pub(crate) at: String,
    pub(crate) compared: usize,
}

impl Worst {
    /// Compares one number. Where the reference is 0, so must ours be, up to subnormals.
    fn compare(&mut self, ours: f64, theirs: f64, at: impl FnOnce() -> String) {
        self.compared += 1;
        let error = match theirs {
            0.0 if ours.abs() < 1e-300 => 0.0,
            0.0 => f64::INFINITY,
            _ => ((ours - theirs) / theirs).abs(),
        };
        if error.is_nan() || self.error < error {
            self.error = error;
            self.at = format!("{}: {ours:e} instead of {theirs:e}", at());
        }
    }

    fn compare_norms(&mut self, ours: &[f64], theirs: &[f64], at: impl FnOnce() -> String) {
        self.compared += theirs.len();
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
        let error = if ours.len() == theirs.len() {
            norm(&difference) / norm(theirs).max(1.0)
        } else {
            f64::INFINITY
        };
        if error.is_nan() || self.error < error {
            self.error = error;
            self.at = format!("{}: {ours:?} instead of {theirs:?}", at());
        }
    }
}

fn table(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("the committed table: {e}"))
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("not a number: {v}"))
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().into_iter().flatten().map(number).collect()
}

fn function_of_one<'g>(name: &str, p: &Value, x: Var<'g>) -> Var<'g> {
    let parameter = |key: &str| number(&p[key]);
    match name {
        "neg" => -x,
        "abs" => x.abs(),
        "sqr" => x.sqr(),
        "cube" => x.cube(),
        "sqrt" => x.sqrt(),
        "rsqrt" => x.rsqrt(),
        "reciprocal" => x.reciprocal(),
        "powf" => x.powf(parameter("p")),
        "powi" => x.powi(parameter("n") as i32),
        "exp" => x.exp(),
        "exp2" => x.exp2(),
        "expm1" => x.expm1(),
        "log" => x.log(),
        "log2" => x.log2(),
        "log10" => x.log10(),
        "log1p" => x.log1p(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "asin" => x.asin(),
        "acos" => x.acos(),
        "atan" => x.atan(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "tanh" => x.tanh(),
        "asinh" => x.asinh(),
        "acosh" => x.acosh(),
        "atanh" => x.atanh(),
        "erf" => x.erf(),
        "erfc" => x.erfc(),
        "sigmoid" => x.sigmoid(),
        "log_sigmoid" => x.log_sigmoid(),
        "softplus" => x.softplus(),
        "relu" => x.relu(),
        "leaky_relu" => x.leaky_relu(parameter("slope")),
        "elu" => x.elu(parameter("alpha")),
        "gelu" => x.gelu(),
        "gelu_tanh" => x.gelu_tanh(),
        "silu" => x.silu(),
        "mish" => x.mish(),
        "sinc" => x.sinc(),
        "log_cosh" => x.log_cosh(),
        _ => panic!("the table has a function that we lack: {name}"),
    }
}

fn function_of_two<'g>(name: &str, x: Var<'g>, y: Var<'g>) -> Var<'g> {
    match name {
        "add" => x + y,
        "sub" => x - y,
        "mul" => x * y,
        "div" => x / y,
        "pow" => x.pow(y),
        "atan2" => x.atan2(y),
        "hypot" => x.hypot(y),
        "maximum" => x.maximum(y),
        "minimum" => x.minimum(y),
        "logaddexp" => x.logaddexp(y),
        _ => panic!("the table has a function that we lack: {name}"),
    }
}

fn scalar(x: f64) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

/// Value and derivatives up to `order` of a function of one number.
fn derivatives(name: &str, p: &Value, x: f64, order: usize) -> Result<Vec<f64>> {
    let graph = Graph::new();
    let x = graph.input(&scalar(x));
    let mut d = function_of_one(name, p, x);
    let mut out = vec![d.to_f64()?];
    for _ in 0..order {
        d = graph.record_gradient(d, &[x])?[0];
        out.push(d.to_f64()?);
    }
    Ok(out)
}

/// The scalar table: function name → worst relative error over values and first, second, third derivatives.
pub(crate) fn scalar_table() -> BTreeMap<String, Worst> {
    let table = table(include_str!("../data/scalar.json"));
    let mut out: BTreeMap<String, Worst> = BTreeMap::new();
    for f in table["functions"].as_array().unwrap() {
        let (name, p) = (f["name"].as_str().unwrap(), &f["params"]);
        let label = if p.as_object().is_some_and(|p| p.is_empty()) {
            name.to_string()
        } else {
            format!("{name} {p}")
        };
        let worst = out.entry(label.clone()).or_default();
        for point in f["points"].as_array().unwrap() {
            let x = number(&point["x"]);
            let d = point["d"].as_array().unwrap();
            let order = d.iter().take_while(|v| !v.is_null()).count() - 1;
            match derivatives(name, p, x, order) {
                Ok(ours) => ours.iter().zip(d).enumerate().for_each(|(k, (o, t))| {
                    worst.compare(*o, number(t), || format!("derivative {k} at {x:e}"));
                }),
                Err(e) => {
                    *worst = Worst {
                        error: f64::INFINITY,
                        at: format!("at {x:e}: {e}"),
                        compared: worst.compared,
                    }
                }
            }
        }
    }
    for f in table["functions_of_two"].as_array().unwrap() {
        let name = f["name"].as_str().unwrap();
        let worst = out.entry(name.to_string()).or_default();
        for point in f["points"].as_array().unwrap() {
            let (a, b) = (number(&point["x"]), number(&point["y"]));
            let ours = (|| -> Result<Vec<f64>> {
                let graph = Graph::new();
                let (x, y) = (graph.input(&scalar(a)), graph.input(&scalar(b)));
                let z = function_of_two(name, x, y);
                let first = graph.record_gradient(z, &[x, y])?;
                let by_x = graph.record_gradient(first[0], &[x, y])?;
                let by_y = graph.record_gradient(first[1], &[y])?;
                [z, first[0], first[1], by_x[0], by_x[1], by_y[0]]
                    .iter()
                    .map(|v| v.to_f64())
                    .collect()
            })();
            match ours {
                Ok(ours) => {
                    ours.iter().zip(numbers(&point["d"])).enumerate().for_each(|(k, (o, t))| {
                        worst.compare(*o, t, || format!("number {k} at ({a:e}, {b:e})"));
                    })
                }
                Err(e) => {
                    *worst = Worst {
                        error: f64::INFINITY,
                        at: format!("at ({a:e}, {b:e}): {e}"),
                        compared: worst.compared,
                    }
                }
            }
        }
    }
    out
}

fn tensor(v: &Value) -> Tensor {
    let dims: Vec<usize> =
        v["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    Tensor::from_vec(numbers(&v["data"]), dims, &Device::Cpu).unwrap()
}

fn index(v: &Value) -> Tensor {
    tensor(v).to_dtype(pullback_core_graph::candle::DType::U32).unwrap()
}

fn integers(v: &Value) -> Vec<i32> {
    v.as_array().into_iter().flatten().map(|n| n.as_i64().unwrap() as i32).collect()
}

/// The structured table: operation → worst error of value, jvp, vjp and hvp, relative to max(1, norm).
pub(crate) fn structured_table() -> BTreeMap<String, Worst> {
    let table = table(include_str!("../data/structured.json"));
    let mut out: BTreeMap<String, Worst> = BTreeMap::new();
    for case in table["cases"].as_array().unwrap() {
        let (op, name) = (case["op"].as_str().unwrap(), case["name"].as_str().unwrap());
        let worst = out.entry(op.to_string()).or_default();
        if let Err(e) = compare_case(case, worst) {
            *worst = Worst {
                error: f64::INFINITY,
                at: format!("{name}: {e}"),
                compared: worst.compared,
            };
        }
    }
    out
}

fn compare_case(case: &Value, worst: &mut Worst) -> Result<()> {
    let all =
        |key: &str| -> Vec<Tensor> { case[key].as_array().unwrap().iter().map(tensor).collect() };
    let (op, name, p) =
        (case["op"].as_str().unwrap(), case["name"].as_str().unwrap(), &case["params"]);
    let graph = Graph::new();
    let x: Vec<Var<'_>> = all("inputs").iter().map(|t| graph.input(t)).collect();
    let y = structured(&graph, op, p, &x)?;
    let mut check = |what: &str, ours: Option<Tensor>, theirs: &Value| -> Result<()> {
        let theirs = numbers(&theirs["data"]);
        let ours = match ours {
            Some(t) => pullback_core_graph::tensor::to_f64(&t)?,
            None => vec![0.0; theirs.len()],
        };
        worst.compare_norms(&ours, &theirs, || format!("{name}, {what}"));
        Ok(())
    };
    for (y, theirs) in y.iter().zip(case["outputs"].as_array().unwrap()) {
        check("value", Some(y.value()?), theirs)?;
    }
    let tangents: Vec<_> = x.iter().copied().zip(all("tangents")).collect();
    for (d, theirs) in graph.push(&tangents, &y)?.into_iter().zip(case["jvp"].as_array().unwrap()) {
        check("jvp", d, theirs)?;
    }
    let cotangents: Vec<_> = y.iter().copied().zip(all("cotangents")).collect();
    for (d, theirs) in graph.pull(&cotangents, &x)?.into_iter().zip(case["vjp"].as_array().unwrap())
    {
        check("vjp", d, theirs)?;
    }
    let seeds: Vec<_> = cotangents.iter().map(|(y, t)| (*y, graph.constant(t))).collect();
    let pulled = graph.record_pull(&seeds, &x)?;
    for (d, theirs) in pulled.into_iter().zip(case["hvp"].as_array().unwrap()) {
        let hvp = d.map(|d| graph.push(&tangents, &[d])).transpose()?;
        check("hvp", hvp.and_then(|mut h| h.remove(0)), theirs)?;
    }
    Ok(())
}

fn structured<'g>(graph: &'g Graph, op: &str, p: &Value, x: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let axes = || integers(&p["axes"]);
    let keep = p["keepdims"].as_bool() == Some(true);
    let axis = || p["axis"].as_i64().unwrap() as i32;
    let reduced = |v: Var<'g>| -> Result<Var<'g>> {
        if !keep {
            return Ok(v);
        }
        let mut dims = x[0].dims()?;
        let rank = dims.len() as i32;
        axes().iter().for_each(|a| dims[a.rem_euclid(rank) as usize] = 1);
        Ok(v.reshape(&dims))
    };
    let one = |v: Var<'g>| Ok(vec![v]);
    match op {
        "sum" => one(reduced(x[0].sum(axes().as_slice()))?),
        "mean" => one(reduced(x[0].mean(axes().as_slice()))?),
        "variance" => {
            one(reduced(x[0].variance(axes().as_slice(), p["ddof"].as_u64().unwrap() as usize))?)
        }
        "max" => one(reduced(x[0].max(axes().as_slice()))?),
        "min" => one(reduced(x[0].min(axes().as_slice()))?),
        "logsumexp" => one(reduced(x[0].logsumexp(axes().as_slice()))?),
        "norm" => one(reduced(x[0].norm(axes().as_slice()))?),
        "softmax" => one(x[0].softmax(axis())),
        "log_softmax" => one(x[0].log_softmax(axis())),
        "cumsum" => one(x[0].cumsum(axis())),
        "matmul" => one(x[0].matmul(x[1])),
        "dot" => one(x[0].dot(x[1])),
        "outer" => one(x[0].outer(x[1])),
        "einsum" => one(graph.einsum(p["equation"].as_str().unwrap(), x)),
        "gather" => one(x[0].gather(&index(&p["index"]), axis())),
        "scatter_add" => one(x[0].scatter_add(&index(&p["index"]), x[1], axis())),
        "index_select" => one(x[0].index_select(&index(&p["index"]), axis())),
        "clamp" => one(x[0].clamp(number(&p["low"]), number(&p["high"]))),
        "select" => one(graph.constant(&tensor(&p["mask"])).select(x[0], x[1])),
        "cat" => one(graph.cat(x, axis())),
        "stack" => one(graph.stack(x, axis())),
        "permute" => one(x[0].permute(&axes())),
        "transpose" => {
            let a = axes();
            one(x[0].transpose(a[0], a[1]))
        }
        "reshape" => {
            one(x[0]
                .reshape(&integers(&p["shape"]).iter().map(|&n| n as usize).collect::<Vec<_>>()))
        }
        "broadcast_to" => one(x[0]
            .broadcast_to(&integers(&p["shape"]).iter().map(|&n| n as usize).collect::<Vec<_>>())),
        "flip" => one(axes().into_iter().fold(x[0], |v, a| v.flip(a))),
        "roll" => one(x[0].roll(axis(), p["shift"].as_i64().unwrap())),
        "slice" => {
            let [starts, stops, steps] = ["starts", "stops", "steps"].map(|k| integers(&p[k]));
            let all = starts.iter().zip(&stops).zip(&steps).enumerate();
            one(all.fold(x[0], |v, (i, ((a, b), s))| {
                v.slice(i as i32, *a as usize, *b as usize, *s as usize)
            }))
        }
        "pad" => {
            let (low, high) = (integers(&p["low"]), integers(&p["high"]));
            let value = number(&p["value"]);
            let pad = |v: Var<'g>| {
                low.iter()
                    .zip(&high)
                    .enumerate()
                    .fold(v, |v, (i, (a, b))| v.pad(i as i32, *a as usize, *b as usize))
            };
            one(pad(x[0] - value) + value)
        }
        _ if x.len() == 2
            && matches!(
                op,
                "add" | "sub" | "mul" | "div" | "pow" | "atan2" | "maximum" | "minimum"
            ) =>
        {
            one(function_of_two(op, x[0], x[1]))
        }
        _ => super::reference_linalg::structured(graph, op, p, x),
    }
}
