//! The linear algebra of the structured table.

use pullback_core_graph::kernel::linalg::Triangle;
use pullback_core_graph::{Error, Graph, Result, Var};
use serde_json::Value;

pub(crate) fn structured<'g>(_: &'g Graph, op: &str, p: &Value, x: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let flag = |key: &str| p[key].as_bool() == Some(true);
    let one = |v: Var<'g>| Ok(vec![v]);
    match op {
        "cholesky" => one(x[0].cholesky()),
        "cholesky_solve" => one(x[0].cholesky_solve(x[1])),
        "triangular_solve" => {
            let triangle =
                Triangle { upper: !flag("lower"), transposed: flag("transpose"), unit_diagonal: flag("unit_diagonal") };
            one(x[0].triangular_solve(x[1], triangle))
        }
        "solve" => one(x[0].solve(x[1])),
        "inverse" => one(x[0].inverse()),
        "slogdet" => x[0].slogdet().map(|(sign, logabs)| vec![sign, logabs]),
        "logdet" => one(x[0].logdet()),
        "lu" => x[0].lu().map(|(l, u, _)| vec![l, u]),
        "qr" => x[0].qr().map(|(q, r)| vec![q, r]),
        "eigvalsh" => one(x[0].eigh()?.0),
        "eigh_fun" => {
            let (w, v) = x[0].eigh()?;
            one((v * function(p, w)?.unsqueeze(-2)).matmul(v.t()))
        }
        "eigh_projector" => {
            let (_, v) = x[0].eigh()?;
            let some = v.narrow(-1, 0, p["smallest"].as_u64().unwrap_or(0) as usize);
            one(some.matmul(some.t()))
        }
        "svdvals" => one(x[0].svd()?.1),
        "svd_fun" => {
            let (u, s, vt) = x[0].svd()?;
            one((u * function(p, s)?.unsqueeze(-2)).matmul(vt))
        }
        "pinv" => one(x[0].pinv()),
        _ => Err(Error::Invalid { node: op.into(), what: "the table has an operation that we lack".into() }),
    }
}

fn function<'g>(p: &Value, s: Var<'g>) -> Result<Var<'g>> {
    Ok(match p["function"].as_str().unwrap_or("") {
        "exp" => s.exp(),
        "tanh" => s.tanh(),
        "sin" => s.sin(),
        "sqr" | "square" => s.sqr(),
        "cube" => s.cube(),
        "reciprocal" | "inverse" => s.reciprocal(),
        "sqrt" => s.sqrt(),
        "log" => s.log(),
        "log1p" => s.log1p(),
        "one" => s * 0.0 + 1.0,
        "identity" => s,
        "saturate" => s / (s + 1.0),
        other => return Err(Error::Invalid { node: "table".into(), what: format!("function {other}") }),
    })
}
