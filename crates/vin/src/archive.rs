//! Public planning sets in NumPy archives (the planning-datasets of Neural A*; Yonetani and others 2021): maps, goals, distances.

use std::path::Path;

use pullback_core_graph::tensor::to_f64;
use pullback_nn::data::npz;

use crate::grid::{Connectivity, GridMap};
use crate::learn::ProblemSet;
use crate::{Error, Result};

/// Which third of an archive: arrays 0 to 3, 4 to 7 or 8 to 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `arr_0` to `arr_3`.
    Train,
    /// `arr_4` to `arr_7`.
    Validation,
    /// `arr_8` to `arr_11`.
    Test,
}

/// Reads the problems of an archive and solves them again. Its arrays are, in order: maps (problems, …, height, width), 1 where a cell is free; goals, 1 at one
/// cell; policies, which are not read; distances of all cells, negative, and −1024 or less where no way is. They are compared with ours, so that another rule
/// of moves than that of the set ([`Connectivity::moore`] with corners cut) is found out.
///
/// # Errors
/// As [`npz::read`]; [`Error::File`] for arrays that are missing, of other shapes or not of numbers, cells that are neither free nor solid, no goal or
/// several, a goal that nothing leads to, distances that are not ours.
pub fn read_planning_archive(
    path: impl AsRef<Path>,
    split: Split,
    connectivity: Connectivity,
    seed: u64,
) -> Result<ProblemSet> {
    let path = path.as_ref();
    let fail = |what: String| Error::File { path: path.display().to_string(), line: 0, what };
    let arrays = npz::read(path)?;
    let first = 4 * split as usize;
    let read = |offset: usize| -> Result<(Vec<usize>, Vec<f64>)> {
        let name = format!("arr_{}", first + offset);
        let array = arrays.get(&name).ok_or_else(|| fail(format!("there is no array {name}")))?;
        let numbers = to_f64(array).map_err(|e| fail(format!("{name}: {e}")))?;
        match array.dims() {
            [n, .., h, w] => Ok((vec![*n, *h, *w], numbers)),
            dims => Err(fail(format!(
                "{name} has the shape {dims:?}, not (problems, …, height, width)"
            ))),
        }
    };
    let (dims, cells) = read(0)?;
    let (count, size) = (dims[0], dims[1] * dims[2]);
    if count == 0 || size == 0 || cells.len() != count * size {
        return Err(fail(format!(
            "arr_{first}: maps of the shape {dims:?}, {} cells",
            cells.len()
        )));
    }
    let same = |offset: usize| -> Result<Vec<f64>> {
        let (other, numbers) = read(offset)?;
        if other != dims || numbers.len() != cells.len() {
            let name = first + offset;
            let what = format!("arr_{name} is for {other:?}, {} cells", numbers.len());
            return Err(fail(format!("{what}; the maps are for {dims:?}, {} cells", cells.len())));
        }
        Ok(numbers)
    };
    let (marks, distances) = (same(1)?, same(3)?);
    let (mut maps, mut goals) = (vec![], vec![]);
    for (index, (cells, marks)) in
        cells.chunks_exact(size).zip(marks.chunks_exact(size)).enumerate()
    {
        if let Some(c) = cells.iter().position(|v| *v != 0.0 && *v != 1.0) {
            return Err(fail(format!("cell {c} of map {index} is {}, not 0 or 1", cells[c])));
        }
        let found: Vec<usize> = (0..size).filter(|&c| marks[c] == 1.0).collect();
        let [goal] = found[..] else {
            return Err(fail(format!("map {index} has {} goals, not 1", found.len())));
        };
        maps.push(GridMap::new(dims[1], dims[2], cells.iter().map(|v| *v == 0.0).collect())?);
        goals.push(goal);
    }
    let set = ProblemSet::with_goals(maps, &goals, connectivity, seed)
        .map_err(|e| fail(e.to_string()))?;
    let per = connectivity.states_per_cell();
    for (index, (problem, theirs)) in
        set.problems.iter().zip(distances.chunks_exact(size)).enumerate()
    {
        for (c, theirs) in theirs.iter().enumerate() {
            let ours = problem.lengths[c * per];
            let reached = -theirs < 1024.0;
            if reached != ours.is_finite() || (reached && (ours + theirs).abs() > 1e-3) {
                let what =
                    format!("map {index}, cell {c}: a distance of {}, ours is {ours}", -theirs);
                return Err(fail(what));
            }
        }
    }
    Ok(set)
}
