//! Sparse matrices in compressed columns.

use crate::{Error, Result};

/// Where the entries of a sparse matrix are: columns one after the other, rows ascending in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) starts: Vec<usize>,
    pub(crate) indices: Vec<usize>,
}

impl Pattern {
    /// From compressed columns: entries of column j are `starts\[j\]..starts[j + 1]`, in the rows `indices`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where starts do not ascend from 0 to the number of entries, or rows do not ascend below `rows`.
    pub fn new(
        rows: usize,
        columns: usize,
        starts: Vec<usize>,
        indices: Vec<usize>,
    ) -> Result<Self> {
        let bad = |what: String| Err(Error::invalid("pattern", what));
        if starts.len() != columns + 1
            || starts[0] != 0
            || starts[columns] != indices.len()
            || starts.windows(2).any(|w| w[1] < w[0])
        {
            return bad(format!(
                "{} starts for {columns} columns and {} entries must ascend from 0 to the number of entries",
                starts.len(),
                indices.len()
            ));
        }
        for j in 0..columns {
            let column = &indices[starts[j]..starts[j + 1]];
            if column.windows(2).any(|w| w[1] <= w[0]) || column.last().is_some_and(|&i| rows <= i)
            {
                return bad(format!("rows {column:?} of column {j} must ascend below {rows}"));
            }
        }
        Ok(Pattern { rows, columns, starts, indices })
    }

    /// The entries that are not 0 in a dense row-major matrix, and their values.
    pub fn of_dense(rows: usize, columns: usize, dense: &[f64]) -> Result<(Self, Vec<f64>)> {
        if dense.len() != rows * columns {
            let what = format!("{} numbers for a {rows}×{columns} matrix", dense.len());
            return Err(Error::invalid("pattern", what));
        }
        let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
        for j in 0..columns {
            for i in 0..rows {
                let x = dense[i * columns + j];
                if x != 0.0 {
                    indices.push(i);
                    values.push(x);
                }
            }
            starts.push(indices.len());
        }
        Ok((Pattern { rows, columns, starts, indices }, values))
    }

    /// All entries of a matrix.
    pub fn full(rows: usize, columns: usize) -> Self {
        Pattern {
            rows,
            columns,
            starts: (0..=columns).map(|j| j * rows).collect(),
            indices: (0..columns).flat_map(|_| 0..rows).collect(),
        }
    }

    /// No entries.
    pub fn empty(rows: usize, columns: usize) -> Self {
        Pattern { rows, columns, starts: vec![0; columns + 1], indices: Vec::new() }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// No entries at all?
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// (row, column) of each entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.columns).flat_map(|j| {
            self.indices[self.starts[j]..self.starts[j + 1]].iter().map(move |&i| (i, j))
        })
    }

    /// out += A·x
    pub(crate) fn add_product(&self, values: &[f64], x: &[f64], out: &mut [f64]) {
        for j in 0..self.columns {
            for k in self.starts[j]..self.starts[j + 1] {
                out[self.indices[k]] += values[k] * x[j];
            }
        }
    }

    /// out += Aᵀ·y
    pub(crate) fn add_transposed(&self, values: &[f64], y: &[f64], out: &mut [f64]) {
        for j in 0..self.columns {
            let column = self.starts[j]..self.starts[j + 1];
            out[j] += column.map(|k| values[k] * y[self.indices[k]]).sum::<f64>();
        }
    }

    /// out += S·x for the symmetric S whose upper triangle this is.
    pub(crate) fn add_symmetric(&self, values: &[f64], x: &[f64], out: &mut [f64]) {
        for j in 0..self.columns {
            for k in self.starts[j]..self.starts[j + 1] {
                let i = self.indices[k];
                out[i] += values[k] * x[j];
                if i != j {
                    out[j] += values[k] * x[i];
                }
            }
        }
    }

    /// Entries by rows: starts, and (column, place of the value).
    pub(crate) fn by_rows(&self) -> (Vec<usize>, Vec<(usize, usize)>) {
        let mut starts = vec![0; self.rows + 1];
        self.indices.iter().for_each(|&i| starts[i + 1] += 1);
        for i in 0..self.rows {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut out = vec![(0, 0); self.len()];
        for (k, (i, j)) in self.entries().enumerate() {
            out[next[i]] = (j, k);
            next[i] += 1;
        }
        (starts, out)
    }
}
