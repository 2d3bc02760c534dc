//! Where a matrix may be other than zero: compressed rows.

/// The places of a sparse matrix, row by row, columns ascending (compressed sparse rows).
///
/// The values of such a matrix are a slice in the same order; [`Pattern::dense`] spreads them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pattern {
    columns: usize,
    /// Where each row begins, and the end: rows + 1 numbers.
    starts: Vec<usize>,
    /// The column of each entry.
    indices: Vec<u32>,
}

impl Pattern {
    /// The pattern with these places (row, column), in any order, repetitions allowed. Places outside are left out, and so are columns
    /// from 2³² on.
    pub fn new(rows: usize, columns: usize, mut places: Vec<(usize, usize)>) -> Self {
        places.retain(|&(i, j)| i < rows && j < columns && u32::try_from(j).is_ok());
        places.sort_unstable();
        places.dedup();
        let mut starts = vec![0; rows + 1];
        places.iter().for_each(|&(i, _)| starts[i + 1] += 1);
        (0..rows).for_each(|i| starts[i + 1] += starts[i]);
        Pattern { columns, starts, indices: places.into_iter().map(|(_, j)| j as u32).collect() }
    }

    /// Every place of a rows × columns matrix.
    pub fn full(rows: usize, columns: usize) -> Self {
        let starts = (0..=rows).map(|i| i * columns).collect();
        Pattern { columns, starts, indices: (0..rows).flat_map(|_| 0..columns as u32).collect() }
    }

    /// From places that are inside and different, in any order: two counting sorts, linear in all sizes.
    pub(crate) fn from_different(rows: usize, columns: usize, places: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; columns + 1];
        places.iter().for_each(|&(_, j)| starts[j as usize + 1] += 1);
        (0..columns).for_each(|j| starts[j + 1] += starts[j]);
        let (mut next, mut indices) = (starts.clone(), vec![0; places.len()]);
        for &(i, j) in places {
            indices[next[j as usize]] = i;
            next[j as usize] += 1;
        }
        Pattern { columns: rows, starts, indices }.transposed()
    }

    /// The places that `keep` keeps.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(usize, usize) -> bool) -> Self {
        let (mut starts, mut indices) = (vec![0], Vec::new());
        for i in 0..self.rows() {
            indices.extend(self.row(i).iter().filter(|&&j| keep(i, j as usize)));
            starts.push(indices.len());
        }
        Pattern { columns: self.columns, starts, indices }
    }

    /// The places on and below the diagonal.
    #[must_use]
    pub fn lower(&self) -> Self {
        self.filtered(|i, j| j <= i)
    }

    /// Is it the pattern of its transpose?
    pub fn is_symmetric(&self) -> bool {
        self.rows() == self.columns && *self == self.transposed()
    }

    /// The places of a square pattern and those of its transpose, as one; of another, its own.
    #[must_use]
    pub fn symmetrized(&self) -> Self {
        if self.rows() != self.columns || self.is_symmetric() {
            return self.clone();
        }
        let places = self.places().flat_map(|(i, j)| [(i, j), (j, i)]).collect();
        Pattern::new(self.columns, self.columns, places)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// No entry at all?
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Where each row's entries begin, and where the last one's end: rows + 1 numbers.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The column of each entry.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The columns of row `i`, ascending; none for a row that is not there.
    pub fn row(&self, i: usize) -> &[u32] {
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(&from), Some(&to)) => &self.indices[from..to],
            _ => &[],
        }
    }

    /// (row, column) of each entry, in order.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.rows()).flat_map(|i| self.row(i).iter().map(move |&j| (i, j as usize)))
    }

    /// The position of an entry among the values.
    pub fn position(&self, row: usize, column: usize) -> Option<usize> {
        let at = self.row(row).binary_search(&u32::try_from(column).ok()?).ok()?;
        Some(self.starts[row] + at)
    }

    /// The pattern of the transpose.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut starts = vec![0; self.columns + 1];
        self.indices.iter().for_each(|&j| starts[j as usize + 1] += 1);
        (0..self.columns).for_each(|j| starts[j + 1] += starts[j]);
        let (mut next, mut indices) = (starts.clone(), vec![0; self.len()]);
        for (i, j) in self.places() {
            indices[next[j]] = i as u32;
            next[j] += 1;
        }
        Pattern { columns: self.rows(), starts, indices }
    }

    /// The matrix, row-major, from its entries' values.
    pub fn dense(&self, values: &[f64]) -> Vec<f64> {
        let mut dense = vec![0.0; self.rows() * self.columns];
        for ((i, j), &v) in self.places().zip(values) {
            dense[i * self.columns + j] = v;
        }
        dense
    }
}
