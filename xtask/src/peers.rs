//! The Python environment of the peers: made once under target/, again when what it is made from changes.

use crate::shell;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Tells a bench which Python has the peers; benches/src/peer.rs reads it.
pub(crate) const PYTHON_VARIABLE: &str = "PULLBACK_PEER_PYTHON";

const PEERS: &str = "benches/peers";
const INPUTS: [&str; 3] = ["requirements.txt", "requirements-torch.txt", "torch_without_cuda.py"];

/// The Python with all peers installed.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = shell::target().join("peers-venv");
    let python = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let python = folder.join(python);
    let stamp = folder.join("made-from");
    let version = shell::output(&mut shell::python(["--version"]))
        .context("--peers needs Python 3.11 or newer (set PYTHON to choose one)")?;
    let wanted = fingerprint(&shell::root().join(PEERS), version.trim())?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && python.exists() {
        return Ok(python);
    }
    println!("making the peers' environment in {} (about 0.9 GB to fetch, once)", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    shell::run(shell::python(["-m", "venv"]).arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let advice = "cannot install the peers (offline, or no wheel for this Python?); benches run without --peers";
    shell::run(shell::program(&python, install).args(["-r", "benches/peers/requirements.txt"]))
        .context(advice)?;
    shell::run(shell::program(&python, install).args([
        "--no-deps",
        "-r",
        "benches/peers/requirements-torch.txt",
    ]))
    .context(advice)?;
    shell::run(&mut shell::program(&python, ["benches/peers/torch_without_cuda.py"]))?;
    // Last, so that a broken environment is never taken for a good one.
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// Changes when an input file or Python's version does.
fn fingerprint(folder: &Path, version: &str) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(version);
    for name in INPUTS {
        let path = folder.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The length keeps the border between two files in the sum.
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    Ok(format!("{:x}", digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_follows_its_inputs() -> Result<()> {
        let folder = shell::root().join(PEERS);
        let now = fingerprint(&folder, "Python 3.11.7")?;
        assert_eq!(now, fingerprint(&folder, "Python 3.11.7")?);
        assert_ne!(now, fingerprint(&folder, "Python 3.12.0")?);
        assert!(fingerprint(Path::new("no-such-folder"), "Python 3.11.7").is_err());
        Ok(())
    }
}
