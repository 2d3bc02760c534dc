//! The published conventions at kinks, ties and singular points, verified by every way to a derivative.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::Kink;
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Graph, Result, Var};

/// Is the derivative of this row what pull, push and the recorded pull give, in both element types?
pub(crate) fn verify(kink: &Kink) -> std::result::Result<(), String> {
    for dtype in [DType::F64, DType::F32] {
        let ways = derivatives(kink, dtype).map_err(|e| format!("{}: {e}", kink.operation))?;
        for (way, ours) in ways {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-7;
            if ours.len() != kink.derivative.len()
                || !ours.iter().zip(kink.derivative).all(near)
                || (dtype == DType::F64
                    && ours.iter().zip(kink.derivative).any(|(a, b)| (a - b).abs() > 1e-15))
            {
                let Kink { operation, at, derivative, rule } = kink;
                return Err(format!(
                    "{operation} at {at:?}, {dtype:?}: {way} gives {ours:?} instead of {derivative:?} ({rule})"
                ));
            }
        }
    }
    Ok(())
}

/// Functions of a whole vector take one input; the others one input for each number.
fn is_of_a_vector(operation: &str) -> bool {
    matches!(operation, "max" | "min" | "norm" | "normalize" | "logsumexp")
}

fn derivatives(kink: &Kink, dtype: DType) -> Result<Vec<(&'static str, Vec<f64>)>> {
    let graph = Graph::new();
    let leaf = |data: &[f64]| -> Result<Var<'_>> {
        Ok(graph.input(&Tensor::new(data, &Device::Cpu)?.to_dtype(dtype)?))
    };
    let x: Vec<Var<'_>> = if is_of_a_vector(kink.operation) {
        vec![leaf(kink.at)?]
    } else {
        kink.at.iter().map(|&v| leaf(&[v])).collect::<Result<_>>()?
    };
    let y = operation(kink.operation, &x)?.sum(());
    let flat = |tensors: Vec<Tensor>| -> Result<Vec<f64>> {
        tensors.iter().map(to_f64).collect::<Result<Vec<_>>>().map(|all| all.concat())
    };
    let pulled = flat(graph.gradient(y, &x)?)?;
    let recorded = graph.record_gradient(y, &x)?.into_iter().map(Var::value);
    let recorded = flat(recorded.collect::<Result<_>>()?)?;
    let mut pushed = Vec::new();
    for &v in &x {
        let n = v.value()?.elem_count();
        for i in 0..n {
            let unit: Vec<f64> = (0..n).map(|j| f64::from(u8::from(i == j))).collect();
            let unit = Tensor::new(unit, &Device::Cpu)?.to_dtype(dtype)?;
            let dy = graph.push(&[(v, unit)], &[y])?.remove(0);
            pushed.push(dy.map_or(Ok(0.0), |t| Ok::<f64, Error>(to_f64(&t)?[0]))?);
        }
    }
    Ok(vec![("pull", pulled), ("push", pushed), ("recorded pull", recorded)])
}

fn operation<'g>(name: &str, x: &[Var<'g>]) -> Result<Var<'g>> {
    let v = x[0];
    Ok(match name {
        "abs" => v.abs(),
        "relu" => v.relu(),
        "leaky_relu" => v.leaky_relu(0.1),
        "elu" => v.elu(1.0),
        "clamp" => v.clamp(-1.0, 1.0),
        "sign" => v.sign(),
        "step" => v.step(),
        "floor" => v.floor(),
        "ceil" => v.ceil(),
        "round" => v.round(),
        "maximum" => v.maximum(x[1]),
        "minimum" => v.minimum(x[1]),
        "max" => v.max(()),
        "min" => v.min(()),
        "norm" => v.norm(()),
        "normalize" => v.normalize(-1),
        "hypot" => v.hypot(x[1]),
        "atan2" => v.atan2(x[1]),
        "sinc" => v.sinc(),
        "safe_sqrt" => v.safe_sqrt(),
        "safe_log" => v.safe_log(),
        "safe_reciprocal" => v.safe_reciprocal(),
        "safe_div" => v.safe_div(x[1]),
        "safe_acos" => v.safe_acos(),
        "safe_asin" => v.safe_asin(),
        "pow" => v.pow(x[1]),
        "powf0" => v.powf(0.0),
        "log_times" => v.log_times(x[1]),
        "logsumexp" => v.logsumexp(()),
        "select" => v.select(x[1], x[2]),
        _ => return Err(Error::invalid(name, "the table has an operation that the test lacks")),
    })
}
