//! candle as it builds itself, as a peer of the benches: the protocol is that of `benches/peers/server.py`.

mod convolution;
#[path = "../../src/numbers.rs"]
#[allow(dead_code, unreachable_pub)] // the benches, a library, have it too
mod numbers;

use anyhow::{Context, Result, bail};
use convolution::Convolution;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::Instant;

fn main() -> Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut cases, mut line) = (Vec::new(), String::new());
    while input.read_line(&mut line)? > 0 {
        let answer = serde_json::from_str(&line)
            .context("no JSON")
            .and_then(|request: Value| answer(&mut cases, &request))
            .unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(output, "{answer}")?;
        output.flush()?;
        line.clear();
    }
    Ok(())
}

fn answer(cases: &mut Vec<Convolution>, request: &Value) -> Result<Value> {
    if let Some(name) = request["load"].as_str() {
        anyhow::ensure!(name == "candle/convolution", "no such case: {name}");
        cases.push(Convolution::new(&request["params"])?);
        return Ok(json!({ "ready": (cases.len() - 1).to_string(), "system": "candle 0.11" }));
    }
    if let Some(id) = request["run"].as_str() {
        let case = id.parse().ok().and_then(|id: usize| cases.get(id));
        let case = case.with_context(|| format!("no case {id}"))?;
        let repetitions = request["reps"].as_u64().context("no number of repetitions")?.max(1);
        let start = Instant::now();
        let mut check = 0.0;
        for _ in 0..repetitions {
            check = case.run()?;
        }
        let seconds = start.elapsed().as_secs_f64() / repetitions as f64;
        return Ok(json!({ "seconds_per_rep": seconds, "check": check }));
    }
    match request["hello"].is_null() {
        true => bail!("unknown request"),
        false => Ok(json!({ "hello": 1 })),
    }
}
