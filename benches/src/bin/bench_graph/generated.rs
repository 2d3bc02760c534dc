//! The arm as Rust that its tape wrote, compiled when the bench runs, against the C that CasADi writes.
//!
//! Both are timed by a loop in their own language over the same batch, so that no call into a library counts.

use crate::robot::arm_tape;
use crate::{AGREEMENT, Bench, difference};
use anyhow::{Context, Result, ensure};
use benches::peer::fill;
use benches::row::Row;
use benches::timing::median;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Samples, angles of each.
const SIZES: [usize; 2] = [1024, 7];

/// Reads a number of repetitions a line; answers with seconds per repetition and all numbers of the last one, as bits.
const DRIVER: &str = r#"
fn main() {
    const BATCH: usize = 1024;
    const N: usize = 7;
    const M: usize = OUTPUTS;
    let x: Vec<f64> = (0..BATCH * N).map(|i| 1.5 * (0.7 * i as f64).sin()).collect();
    let mut y = vec![0.0f64; BATCH * M];
    for line in std::io::stdin().lines() {
        let Some(repetitions) = line.ok().and_then(|l| l.trim().parse::<usize>().ok()) else { break };
        let start = std::time::Instant::now();
        for _ in 0..repetitions {
            for (x, y) in std::hint::black_box(&x).chunks_exact(N).zip(y.chunks_exact_mut(M)) {
                arm(x.try_into().unwrap(), y.try_into().unwrap());
            }
            std::hint::black_box(&mut y);
        }
        let seconds = start.elapsed().as_secs_f64() / repetitions as f64;
        let numbers: Vec<String> = y.iter().map(|v| v.to_bits().to_string()).collect();
        println!("{seconds:e} {}", numbers.join(" "));
    }
}
"#;

/// The compiled program, which lives as long as the comparison.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn build(source: &str) -> Result<Self> {
        let folder = folder()?;
        let (file, program) = (folder.join("arm.rs"), folder.join("arm"));
        std::fs::write(&file, source)
            .with_context(|| format!("cannot write {}", file.display()))?;
        let status = Command::new("rustc")
            .args(["--edition", "2024", "-O", "-C", "target-cpu=native", "-o"])
            .args([&program, &file])
            .status()
            .context("cannot start rustc")?;
        ensure!(status.success(), "rustc refused {}", file.display());
        let mut child =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Program { child, input, output })
    }

    /// Seconds per repetition, and the numbers.
    fn run(&mut self, repetitions: usize) -> Result<(f64, Vec<f64>)> {
        writeln!(self.input, "{repetitions}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let seconds = words.next().context("the program ended")?.parse()?;
        let numbers = words.map(|w| Ok(f64::from_bits(w.parse()?))).collect::<Result<_>>()?;
        Ok((seconds, numbers))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing to do about a process that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Beside the program that runs: below target/.
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new(".")).join("generated");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// The goal: at most 1.2 of the generated C.
pub(crate) fn arm(bench: &mut Bench) -> Result<()> {
    let [batch, joints] = SIZES;
    let (tape, _) = arm_tape()?;
    ensure!(tape.inputs() == joints, "the driver is for another arm");
    let each = tape.outputs();
    let driver = DRIVER.replace("OUTPUTS", &each.to_string());
    let mut program = Program::build(&[&tape.to_rust("arm")?, &driver[..]].concat())?;
    let (_, numbers) = program.run(10)?;
    let mut expected = vec![0.0; batch * each];
    tape.run_parallel(batch, &fill(0, batch * joints, 1.5), &mut expected)?;
    let apart = difference(&numbers, &expected);
    ensure!(apart <= AGREEMENT, "generated Rust and its tape are {apart} apart");
    let repetitions = |each: f64| ((bench.seconds / each.max(1e-9)) as usize).max(1);
    let own = repetitions(program.run(100)?.0);
    let (mut mine, mut theirs, mut system) = (Vec::new(), Vec::new(), None);
    for _ in 0..bench.rounds {
        mine.push(program.run(own)?.0);
        let Some([peer, _]) = &mut bench.peers else { continue };
        let case = match &system {
            Some(case) => case,
            None => {
                let parameters = json!({"batch": batch, "how": "c"});
                system.insert(peer.load("casadi/graph_arm", parameters)?)
            }
        };
        theirs.push(peer.run(case, own)?.seconds_per_repetition);
    }
    let per = 1e9 / batch as f64;
    let row = Row::new("arm: generated Rust, a sample at a time", "ns", median(mine) * per);
    let row = match system {
        Some(case) => {
            let system = format!("{} generated C, gcc -O3 -march=native", case.system);
            row.against(system, median(theirs) * per)
        }
        None => row,
    };
    bench.output.push(row.ratio_at_most(1.2))
}
