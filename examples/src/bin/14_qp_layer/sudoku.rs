//! The rules of 4×4 Sudoku from solved puzzles (Amos and Kolter, OptNet: differentiable optimization as a layer in neural networks, 2017).
//!
//! A grid is 64 numbers, one for each cell and digit. The layer is
//!
//! > x = argmin 0.05‖x‖² − pᵀx  s.t.  Ax = A·eʷ, x ≥ 0
//!
//! for a puzzle p (1 for each given digit, else 0), with A and w learned: nobody tells it of rows, columns or boxes.

use anyhow::Result;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use pullback_core_graph::attach;
use pullback_core_graph::candle::{DType, Device, Tensor, Var};
use pullback_diffopt::qp::Qp;
use pullback_graph::landscape::Random;

const CELLS: usize = 16;
const NUMBERS: usize = 64;
/// Learned equalities.
const RULES: usize = 40;
const BATCH: usize = 64;

type Grid = [usize; CELLS];

/// All 288 grids, by trying digits cell after cell.
fn grids() -> Vec<Grid> {
    let mut found = vec![([0; CELLS], 0)];
    let mut out = Vec::new();
    while let Some((grid, cell)) = found.pop() {
        if cell == CELLS {
            out.push(grid);
            continue;
        }
        let (row, column) = (cell / 4, cell % 4);
        for digit in 0..4 {
            let fits = |k: usize| {
                let (r, c) = (k / 4, k % 4);
                let same = r == row || c == column || (r / 2 == row / 2 && c / 2 == column / 2);
                !same || grid[k] != digit
            };
            if (0..cell).all(fits) {
                let mut next = grid;
                next[cell] = digit;
                found.push((next, cell + 1));
            }
        }
    }
    out
}

/// A puzzle with one solution: givens are taken away as long as it has.
fn puzzle(solution: &Grid, all: &[Grid], random: &mut Random) -> [bool; CELLS] {
    let mut given = [true; CELLS];
    let mut order: Vec<usize> = (0..CELLS).collect();
    for i in (1..CELLS).rev() {
        order.swap(i, (random.uniform() * (i + 1) as f64) as usize % (i + 1));
    }
    for cell in order.into_iter().take(10) {
        given[cell] = false;
        let fits = |g: &&Grid| (0..CELLS).all(|k| !given[k] || g[k] == solution[k]);
        if all.iter().filter(fits).count() > 1 {
            given[cell] = true;
        }
    }
    given
}

/// Puzzles and solutions as numbers, [count, 64] each.
fn data(grids: &[Grid], all: &[Grid], count: usize, random: &mut Random) -> Result<[Tensor; 2]> {
    let (mut puzzles, mut solutions) = (vec![0.0; count * NUMBERS], vec![0.0; count * NUMBERS]);
    for i in 0..count {
        let grid = &grids[(random.uniform() * grids.len() as f64) as usize % grids.len()];
        let given = puzzle(grid, all, random);
        for cell in 0..CELLS {
            let at = i * NUMBERS + 4 * cell + grid[cell];
            solutions[at] = 1.0;
            puzzles[at] = f64::from(u8::from(given[cell]));
        }
    }
    let tensor = |v: Vec<f64>| Tensor::from_vec(v, (count, NUMBERS), &Device::Cpu);
    Ok([tensor(puzzles)?, tensor(solutions)?])
}

/// The share of puzzles in which every cell has the right digit.
fn solved(x: &Tensor, solutions: &Tensor) -> Result<f64> {
    let digits = |t: &Tensor| -> Result<Vec<Vec<u32>>> {
        let count = t.dim(0)?;
        Ok(t.reshape((count, CELLS, 4))?.argmax(2)?.to_vec2::<u32>()?)
    };
    let (x, solutions) = (digits(x)?, digits(solutions)?);
    let right = x.iter().zip(&solutions).filter(|(a, b)| a == b).count();
    Ok(right as f64 / x.len() as f64)
}

pub(crate) fn learn(steps: usize) -> Result<()> {
    println!("2. The rules of 4×4 Sudoku from {} puzzles\n", steps * BATCH);
    let device = Device::Cpu;
    let all = grids();
    let mut random = Random::new(11);
    // Grids that are tested are never trained on.
    let mut shuffled = all.clone();
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, (random.uniform() * (i + 1) as f64) as usize % (i + 1));
    }
    let (train, test) = shuffled.split_at(shuffled.len() - 60);
    let [test_puzzles, test_solutions] = data(test, &all, 200, &mut random)?;

    let layer = Qp::new(NUMBERS).equalities(RULES).inequalities(NUMBERS).name("sudoku");
    let layer = layer.function().build();
    let eye = Tensor::eye(NUMBERS, DType::F64, &device)?;
    let (curvature, g) = (eye.affine(0.1, 0.0)?, eye.neg()?);
    let h = Tensor::zeros(NUMBERS, DType::F64, &device)?;
    let a = random.normals(RULES * NUMBERS).iter().map(|x| 0.3 * x).collect();
    let a = Var::from_vec(a, (RULES, NUMBERS), &device)?;
    let w = Var::from_vec(vec![-1.4f64; NUMBERS], (NUMBERS, 1), &device)?;
    let parameters = ParamsAdamW { lr: 0.03, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vec![a.clone(), w.clone()], parameters)?;
    let apply = |puzzles: &Tensor| -> Result<Tensor> {
        let b = a.matmul(&w.exp()?)?.squeeze(1)?;
        let q = puzzles.neg()?;
        let y = attach(&layer, &[&curvature, &q, a.as_tensor(), &b, &g, &h])?;
        y.into_iter().next().ok_or_else(|| anyhow::anyhow!("the layer has an output"))
    };
    println!("   {} grids to learn from, {} to be tested on", train.len(), test.len());
    println!("\n   step   loss       puzzles of unseen grids solved");
    for step in 0..=steps {
        if step % (steps / 9).max(1) == 0 {
            let x = apply(&test_puzzles)?;
            let loss = (&x - &test_solutions)?.sqr()?.mean_all()?.to_scalar::<f64>()?;
            println!("   {step:4}   {loss:.5}   {:5.1} %", 100.0 * solved(&x, &test_solutions)?);
        }
        if step == steps {
            break;
        }
        let [puzzles, solutions] = data(train, &all, BATCH, &mut random)?;
        let loss = (apply(&puzzles)? - solutions)?.sqr()?.mean_all()?;
        let share = step as f64 / steps as f64;
        optimizer.set_learning_rate(0.03 * (1.0 - share) + 5e-4);
        optimizer.backward_step(&loss)?;
    }
    println!();
    Ok(())
}
