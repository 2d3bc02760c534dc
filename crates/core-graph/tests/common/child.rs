//! Work that runs in a process of its own: what may abort, and what reads its number of threads from the environment.
//!
//! The program starts itself again with the task in an environment variable. A test program runs its test `child` then, and any
//! other program asks [`serve`] before it does anything else.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

const TASK: &str = "PULLBACK_CHILD_TASK";

/// Does this process's task, if it has one.
pub(crate) fn serve() -> bool {
    let Ok(task) = std::env::var(TASK) else { return false };
    match task.as_str() {
        "candle chain" => super::defects::candle_chain(),
        "fingerprints" => {
            let text: String = super::determinism::fingerprints()
                .map(|(name, bits)| format!("\n= {bits:016x} {name}\n"))
                .collect();
            io::stdout().write_all(text.as_bytes()).expect("standard output is open");
        }
        other => panic!("no such task: {other}"),
    }
    true
}

/// Runs a task in a child process with `threads` threads.
pub(crate) fn run(task: &str, threads: usize) -> io::Result<Output> {
    Command::new(std::env::current_exe()?)
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(TASK, task)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .stderr(Stdio::null())
        .output()
}
