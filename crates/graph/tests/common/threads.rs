//! The same bits for any number of threads, any batch, alone or among others.

use pullback_graph::{Result, Tape, Workspace};

use super::networks::{Random, network};

/// Thread pools that are compared.
pub(crate) const THREADS: [usize; 3] = [1, 2, 4];
/// Batches: none, fewer than the lanes of a step, a few tasks, and ends of every kind.
pub(crate) const BATCHES: [usize; 8] = [1, 3, 4, 16, 17, 255, 257, 1111];
/// Networks, each with its derivatives.
const SEEDS: std::ops::Range<u64> = 0..6;

/// Number of comparisons that [`differing`] makes.
pub(crate) fn count() -> usize {
    SEEDS.count() * 4 * BATCHES.len() * (THREADS.len() + 1)
}

/// The runs whose bits differ from those of one sample at a time.
pub(crate) fn differing() -> Vec<String> {
    let mut differ = Vec::new();
    for seed in SEEDS {
        if let Err(e) = compare(seed, &mut differ) {
            differ.push(format!("network {seed}: {e}"));
        }
    }
    differ
}

fn bits(y: &[f64]) -> impl Iterator<Item = u64> + '_ {
    y.iter().map(|v| v.to_bits())
}

fn compare(seed: u64, differ: &mut Vec<String>) -> Result<()> {
    let tape = Tape::record(4, |x| network(seed, 60 + 17 * seed as usize, x))?;
    let all = [
        ("pull", tape.reverse()),
        ("Jacobian", tape.value_and_jacobian().0),
        ("Hessian", tape.hessian().0),
        ("value", tape),
    ];
    for (what, tape) in &all {
        let mut random = Random(seed);
        for batch in BATCHES {
            let x: Vec<f64> =
                (0..batch * tape.inputs()).map(|_| random.uniform(-1.5, 1.5)).collect();
            let mut alone = Vec::new();
            for x in x.chunks(tape.inputs()) {
                alone.extend(tape.eval(x)?);
            }
            let mut y = vec![0.0; alone.len()];
            tape.run(batch, &x, &mut y, &mut Workspace::new(tape))?;
            if !bits(&y).eq(bits(&alone)) {
                differ.push(format!("network {seed}, {what}, batch {batch}: one thread"));
            }
            for threads in THREADS {
                y.fill(0.0);
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                match pool {
                    Ok(pool) => pool.install(|| tape.run_parallel(batch, &x, &mut y))?,
                    Err(e) => differ.push(e.to_string()),
                }
                if !bits(&y).eq(bits(&alone)) {
                    differ
                        .push(format!("network {seed}, {what}, batch {batch}: {threads} threads"));
                }
            }
        }
    }
    Ok(())
}
