//! Client of the peer server: the same work in other people's systems.
//!
//! `benches/peers/server.py` is a process that lives as long as the bench, so that ours and theirs can run in turns. Both
//! sides speak one JSON object a line; the protocol stands in the server's own comment.

pub use crate::numbers::{fill, noise};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The Python with the peers installed; `cargo xtask bench --peers` sets it.
pub const PYTHON_VARIABLE: &str = "PULLBACK_PEER_PYTHON";

/// The program of `benches/candle`.
const CANDLE: &str = if cfg!(windows) { "candle_peer.exe" } else { "candle_peer" };

/// A running peer server.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    timeout: Duration,
}

/// A case that the server has loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    id: String,
    /// The system and its version, for the table: `torch 2.15.0`.
    pub system: String,
}

/// What a run answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Mean over the repetitions.
    pub seconds_per_repetition: f64,
    /// A number that the work results in, to compare with ours.
    pub check: f64,
}

impl Peer {
    /// Starts the server with `threads` threads; `None` when [`PYTHON_VARIABLE`] is not set, that is without `--peers`.
    ///
    /// # Errors
    /// When Python does not start or the server does not greet.
    pub fn start(threads: usize) -> Result<Option<Self>> {
        let Some(python) = std::env::var_os(PYTHON_VARIABLE) else { return Ok(None) };
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("server.py");
        // Systems write logs where they run.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers-run");
        std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        let mut command = Command::new(std::path::absolute(&python)?);
        command.arg(&server).args(["--threads", &threads.to_string()]).current_dir(&folder);
        Self::spawn(command, Duration::from_secs(300)).map(Some)
    }

    /// Starts the peer that is candle as it builds itself (`benches/candle`), which lies beside the running program.
    ///
    /// # Errors
    /// When it was not built, does not start or does not greet.
    pub fn candle() -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name(CANDLE);
        if !program.exists() {
            bail!("{} is missing: cargo build --release -p candle-peer", program.display());
        }
        Self::spawn(Command::new(program), Duration::from_secs(300))
    }

    fn spawn(mut command: Command, timeout: Duration) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the peer server: {command:?}"))?;
        let input = child.stdin.take().context("the peer server has no standard input")?;
        let output = child.stdout.take().context("the peer server has no standard output")?;
        let (sender, lines) = channel();
        // A thread reads, so that a silent server ends in an error instead of a bench that hangs.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut peer = Self { child, input, lines, timeout };
        peer.ask(&json!({"hello": 1})).context("the peer server did not greet")?;
        Ok(peer)
    }

    /// Prepares a case: `name` is `system/case`, as in `torch/core_graph_mlp`.
    ///
    /// # Errors
    /// An unknown case, or what the system raised.
    pub fn load(&mut self, name: &str, parameters: Value) -> Result<Case> {
        let answer = self.ask(&json!({"load": name, "params": parameters}))?;
        match (answer["ready"].as_str(), answer["system"].as_str()) {
            (Some(id), Some(system)) => Ok(Case { id: id.into(), system: system.into() }),
            _ => bail!("the peer server answered {answer} to the loading of {name}"),
        }
    }

    /// Runs a loaded case `repetitions` times.
    ///
    /// # Errors
    /// What the system raised, or a time-out.
    pub fn run(&mut self, case: &Case, repetitions: usize) -> Result<Timing> {
        let answer = self.ask(&json!({"run": case.id, "reps": repetitions}))?;
        match (answer["seconds_per_rep"].as_f64(), answer["check"].as_f64()) {
            (Some(seconds_per_repetition), Some(check)) => {
                Ok(Timing { seconds_per_repetition, check })
            }
            _ => bail!("the peer server answered {answer} to a run of {}", case.id),
        }
    }

    /// All numbers that the work of a case results in, after at least one run.
    ///
    /// # Errors
    /// What the system raised, or a file that cannot be read.
    pub fn values(&mut self, case: &Case) -> Result<Vec<f64>> {
        let name = format!("pullback-values-{}-{}", std::process::id(), self.child.id());
        let file = std::env::temp_dir().join(name);
        self.ask(&json!({"values": case.id, "to": file}))?;
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()));
        // Gone or not, it is of no use any more.
        let _ = std::fs::remove_file(&file);
        let number = |b: &[u8]| b.try_into().map(f64::from_le_bytes);
        Ok(bytes?.chunks_exact(8).map(number).collect::<Result<_, _>>()?)
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}")
            .and_then(|()| self.input.flush())
            .with_context(|| format!("the peer server is gone before {request}"))?;
        let line = self.lines.recv_timeout(self.timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow::anyhow!(
                "the peer server was silent for {} s after {request}",
                self.timeout.as_secs_f64()
            ),
            RecvTimeoutError::Disconnected => {
                anyhow::anyhow!("the peer server ended at {request}; its message stands above")
            }
        })?;
        let answer: Value = serde_json::from_str(&line)
            .with_context(|| format!("the peer server wrote no JSON: {line}"))?;
        match answer["error"].as_str() {
            Some(error) => bail!("the peer server failed at {request}: {error}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing to do about a process that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server in three lines of shell: greets, then answers as told.
    fn scripted(answer: &str) -> Result<Peer> {
        let mut command = Command::new("sh");
        let script = format!("read line; echo '{{\"hello\":1}}'; read line; {answer}; read line");
        command.args(["-c", &script]);
        Peer::spawn(command, Duration::from_millis(500))
    }

    fn failure(result: Result<Case>) -> String {
        result.err().map(|e| format!("{e:#}")).unwrap_or_default()
    }

    #[test]
    #[cfg(unix)]
    fn a_case_loads() -> Result<()> {
        let mut peer = scripted(r#"echo '{"ready":"3","system":"torch 9"}'"#)?;
        let case = peer.load("torch/x", json!({}))?;
        assert_eq!(case, Case { id: "3".into(), system: "torch 9".into() });
        Ok(())
    }

    #[test]
    #[cfg(unix)]
    fn failures_say_what_happened() -> Result<()> {
        for (answer, expected) in [
            (r#"echo '{"error":"no such case"}'"#, "no such case"),
            ("echo nonsense", "no JSON"),
            ("exit 1", "ended"),
            ("sleep 2", "silent"),
            (r#"echo '{"unexpected":1}'"#, "unexpected"),
        ] {
            let message = failure(scripted(answer)?.load("torch/x", json!({})));
            assert!(message.contains(expected), "{answer} gave: {message}");
        }
        Ok(())
    }

    #[test]
    #[cfg(unix)]
    fn numbers_come_through_a_file_and_a_missing_one_is_named() -> Result<()> {
        let case = Case { id: "3".into(), system: "torch 9".into() };
        let write = r#"file=$(echo "$line" | sed 's/.*"to":"//; s/".*//'); printf '\0\0\0\0\0\0\370\077' > "$file"; echo '{"count":1}'"#;
        assert_eq!(scripted(write)?.values(&case)?, [1.5]);
        let error = scripted(r#"echo '{"count":1}'"#)?.values(&case).err();
        let message = error.map(|e| format!("{e:#}")).unwrap_or_default();
        assert!(message.contains("cannot read"), "{message}");
        Ok(())
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Peer::spawn(Command::new("no-such-python"), Duration::from_secs(1)).err();
        assert!(error.is_some_and(|e| format!("{e:#}").contains("no-such-python")));
    }

    #[test]
    fn noise_is_centred_and_of_full_rank() {
        let values = noise(3, 1 << 16, 2.0);
        let moment = |k| values.iter().map(|v: &f64| v.powi(k)).sum::<f64>() / values.len() as f64;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 4.0 / 3.0).abs() < 0.02);
        let matrix = nalgebra::DMatrix::from_column_slice(16, 16, &values[..256]);
        assert!(matrix.singular_values().min() > 1e-3);
        assert_eq!(noise(0, 3, 1.0)[0], -1.0);
    }

    #[test]
    fn inputs_follow_the_formula() {
        let values = fill(2, 3, 0.5);
        assert_eq!(values, [2.6f64, 3.3, 4.0].map(|a| 0.5 * a.sin()));
    }
}
