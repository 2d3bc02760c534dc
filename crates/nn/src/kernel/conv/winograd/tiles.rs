//! How an image batch is cut into tiles, and the tiles into blocks.

use std::ops::Range;

use super::transform::OUT;

/// Tiles of a block, at most: one register of sums for each goes through the second-level cache.
const MOST_TILES: usize = 128;

/// The tiles of a batch. A *tile row* is a row of tiles of one image; rows are numbered through the whole batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    /// Tile rows of an image.
    pub(super) rows: usize,
    /// Tiles of a row.
    pub(super) columns: usize,
    /// Tile rows of all images.
    pub(super) total: usize,
    /// Tile rows of a block.
    pub(super) block_rows: usize,
    /// Tiles of a block, rounded up to whole registers.
    pub(super) padded: usize,
}

impl Tiles {
    /// For outputs of this size; `register` is the number of elements of the longest vector.
    pub(super) fn new(batch: usize, output: [usize; 2], register: usize) -> Self {
        let (rows, columns) = (output[0].div_ceil(OUT), output[1].div_ceil(OUT));
        let total = batch * rows;
        // The inner loop takes three registers at a time; a rest of one or two costs nearly as much.
        let cost = |block_rows: usize| {
            let registers = (block_rows * columns).div_ceil(register);
            total.div_ceil(block_rows) * (4 * registers + [0, 3, 2][registers % 3])
        };
        let most = (MOST_TILES / columns).clamp(1, total.max(1));
        let block_rows = (most.div_ceil(2)..=most).min_by_key(|&r| cost(r)).unwrap_or(1);
        let padded = (block_rows * columns).next_multiple_of(register);
        Self { rows, columns, total, block_rows, padded }
    }

    /// The same tiles in blocks of about `most`.
    pub(super) fn in_blocks_of(self, most: usize) -> Self {
        let rows = (most / self.columns).clamp(1, self.total.max(1));
        let block_rows = self.total.div_ceil(self.total.div_ceil(rows).max(1)).max(1);
        Self { block_rows, padded: block_rows * self.columns, ..self }
    }

    pub(super) fn blocks(&self) -> usize {
        self.total.div_ceil(self.block_rows)
    }

    /// Tile rows of a block.
    pub(super) fn block(&self, index: usize) -> Range<usize> {
        let first = index * self.block_rows;
        first..(first + self.block_rows).min(self.total)
    }

    /// (image, tile row of the image) of a tile row.
    pub(super) fn place(&self, row: usize) -> (usize, usize) {
        (row / self.rows, row % self.rows)
    }
}
