//! Colours for rows and columns: what has one colour is swept at once, and every entry can still be read off.

use super::order::Neighbours;
use super::{Order, Pattern};
use crate::{Error, Result};

/// Without a colour: swept by none.
pub(super) const NEUTRAL: u32 = u32::MAX;

/// What is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Columns: forward sweeps, one for each colour.
    Columns,
    /// Rows: backward sweeps, one for each colour.
    Rows,
    /// Both, for forward and backward sweeps.
    Both,
    /// Rows and columns of a symmetric matrix alike: forward sweeps, an entry read in its row or in its mirror image's.
    Symmetric,
}

/// Colours of columns, whose sums a forward sweep gives, and of rows, whose sums a backward sweep gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coloring {
    side: Side,
    columns: Vec<u32>,
    rows: Vec<u32>,
    pushes: usize,
    pulls: usize,
}

/// Where an entry is read off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// In row `row` of the forward sweep of a colour.
    Push {
        /// The colour of the column.
        color: usize,
        /// The row.
        row: usize,
    },
    /// In column `column` of the backward sweep of a colour.
    Pull {
        /// The colour of the row.
        color: usize,
        /// The column.
        column: usize,
    },
}

impl Coloring {
    /// Columns of one colour share no row: greedy, at distance 2 in the graph of rows and columns.
    ///
    /// Takes Σ (entries of a row)² steps; at least as many colours as the fullest row has entries.
    pub fn columns(pattern: &Pattern, order: Order) -> Self {
        let (columns, pushes) = greedy(pattern, &pattern.transposed(), order);
        let rows = vec![NEUTRAL; pattern.rows()];
        Coloring { side: Side::Columns, columns, rows, pushes, pulls: 0 }
    }

    /// Rows of one colour share no column: as [`Coloring::columns`] of the transpose.
    pub fn rows(pattern: &Pattern, order: Order) -> Self {
        let (rows, pulls) = greedy(&pattern.transposed(), pattern, order);
        let columns = vec![NEUTRAL; pattern.columns()];
        Coloring { side: Side::Rows, columns, rows, pushes: 0, pulls }
    }

    /// Rows and columns of a symmetric matrix: a star colouring, in which every path over 4 vertices has 3 colours at least.
    ///
    /// # Errors
    /// `Invalid` if the pattern is not symmetric.
    pub fn symmetric(pattern: &Pattern, order: Order) -> Result<Self> {
        if !pattern.is_symmetric() {
            let (rows, columns) = (pattern.rows(), pattern.columns());
            let what = format!("a pattern of {rows}×{columns} that is not symmetric");
            return Err(Error::invalid("star colouring", what));
        }
        let order = Neighbours::Adjacent(pattern).ordered(order);
        let (columns, pushes) = super::star::color(pattern, &order);
        let rows = vec![NEUTRAL; pattern.rows()];
        Ok(Coloring { side: Side::Symmetric, columns, rows, pushes, pulls: 0 })
    }

    /// Columns and rows: backward sweeps for few full rows and forward sweeps for the rest, or forward sweeps for few full columns and
    /// backward ones for the rest, or one side alone, whichever has the fewest colours in all.
    pub fn both(pattern: &Pattern, order: Order) -> Self {
        let own = super::both::color(pattern, order);
        Coloring { side: Side::Both, ..own }
    }

    /// Forward sweeps for some rows' entries and backward sweeps for those of the others.
    pub(super) fn split(pattern: &Pattern, order: Order, pulled: &[bool]) -> Self {
        let is = |i: usize| pulled.get(i).copied().unwrap_or(false);
        let pushes = Coloring::columns(&pattern.filtered(|i, _| !is(i)), order);
        let pulls = Coloring::rows(&pattern.filtered(|i, _| is(i)), order);
        Coloring { side: Side::Both, rows: pulls.rows, pulls: pulls.pulls, ..pushes }
    }

    /// The same for the transpose.
    pub(super) fn transposed(self) -> Self {
        let Coloring { side, columns, rows, pushes, pulls } = self;
        let side = match side {
            Side::Columns => Side::Rows,
            Side::Rows => Side::Columns,
            other => other,
        };
        Coloring { side, columns: rows, rows: columns, pushes: pulls, pulls: pushes }
    }

    /// What is coloured.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Number of colours, that is, of sweeps.
    pub fn colors(&self) -> usize {
        self.pushes + self.pulls
    }

    /// Number of colours of columns: forward sweeps.
    pub fn pushes(&self) -> usize {
        self.pushes
    }

    /// Number of colours of rows: backward sweeps.
    pub fn pulls(&self) -> usize {
        self.pulls
    }

    /// The colour of a column, counted from 0; `None` if no sweep needs it.
    pub fn of_column(&self, j: usize) -> Option<usize> {
        self.columns.get(j).filter(|&&c| c != NEUTRAL).map(|&c| c as usize)
    }

    /// The colour of a row, counted from 0; `None` if no sweep needs it.
    pub fn of_row(&self, i: usize) -> Option<usize> {
        self.rows.get(i).filter(|&&c| c != NEUTRAL).map(|&c| c as usize)
    }

    /// Where each entry of `pattern` is read off: where it stands alone.
    ///
    /// # Errors
    /// `Invalid` with the first entry that stands alone nowhere: the colouring is one of another pattern.
    pub fn sources(&self, pattern: &Pattern) -> Result<Vec<Source>> {
        if self.columns.len() != pattern.columns() || self.rows.len() != pattern.rows() {
            let (rows, columns) = (self.rows.len(), self.columns.len());
            let what = format!(
                "coloured is a matrix of {rows}×{columns}, not of {}×{}",
                pattern.rows(),
                pattern.columns()
            );
            return Err(Error::invalid("colouring", what));
        }
        let mut source = vec![None; pattern.len()];
        let (mut entry, pushes) = (0, alone(pattern, &self.columns, self.pushes));
        for (row, column) in pattern.places() {
            if pushes[entry] {
                source[entry] = Some(Source::Push { color: self.columns[column] as usize, row });
            }
            entry += 1;
        }
        if self.side == Side::Symmetric {
            for ((row, column), entry) in pattern.places().zip(0..) {
                let mirror = pattern.position(column, row).filter(|&mirror| pushes[mirror]);
                if let (None, Some(_)) = (source[entry], mirror) {
                    let color = self.columns[row] as usize;
                    source[entry] = Some(Source::Push { color, row: column });
                }
            }
        } else if 0 < self.pulls {
            let transposed = pattern.transposed();
            let pulls = alone(&transposed, &self.rows, self.pulls);
            for ((column, row), at) in transposed.places().zip(0..) {
                if let (true, Some(entry)) = (pulls[at], pattern.position(row, column)) {
                    let color = self.rows[row] as usize;
                    source[entry] = source[entry].or(Some(Source::Pull { color, column }));
                }
            }
        }
        let missing = |entry: usize| {
            let (i, j) = pattern.places().nth(entry).unwrap_or_default();
            Error::invalid("colouring", format!("entry ({i}, {j}) stands alone in no sweep"))
        };
        source.into_iter().zip(0..).map(|(s, entry)| s.ok_or_else(|| missing(entry))).collect()
    }

    /// Can every entry of `pattern` be read off?
    ///
    /// # Errors
    /// As [`Coloring::sources`].
    pub fn verify(&self, pattern: &Pattern) -> Result<()> {
        self.sources(pattern).map(drop)
    }
}

/// Whether each entry is the only one of its column's colour in its row.
fn alone(pattern: &Pattern, columns: &[u32], colors: usize) -> Vec<bool> {
    let mut count = vec![0u32; colors];
    let mut alone = Vec::with_capacity(pattern.len());
    for i in 0..pattern.rows() {
        let own = || pattern.row(i).iter().map(|&j| columns[j as usize]);
        own().filter(|&c| c != NEUTRAL).for_each(|c| count[c as usize] += 1);
        alone.extend(own().map(|c| c != NEUTRAL && count[c as usize] == 1));
        own().filter(|&c| c != NEUTRAL).for_each(|c| count[c as usize] = 0);
    }
    alone
}

/// Colours of the columns, each the lowest that no coloured column with a common row has; a column without entries stays neutral.
fn greedy(rows: &Pattern, columns: &Pattern, order: Order) -> (Vec<u32>, usize) {
    let order = Neighbours::SameRow(rows, columns).ordered(order);
    let mut color = vec![NEUTRAL; rows.columns()];
    let (mut forbidden, mut count): (Vec<usize>, u32) = (Vec::new(), 0);
    for v in order {
        if columns.row(v).is_empty() {
            continue;
        }
        for &i in columns.row(v) {
            for &w in rows.row(i as usize) {
                if let Some(last) = forbidden.get_mut(color[w as usize] as usize) {
                    *last = v;
                }
            }
        }
        let free = forbidden.iter().position(|&last| last != v).unwrap_or(forbidden.len());
        if free == forbidden.len() {
            forbidden.push(usize::MAX);
            count += 1;
        }
        color[v] = free as u32;
    }
    (color, count as usize)
}
