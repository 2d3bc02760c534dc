//! Weights that the symmetries of the square leave as they are: a map that is turned or mirrored has the plan that is turned or mirrored.

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Result as NetworkResult, Var};

use crate::grid::MOVES_CLOCKWISE as MOVES;

/// The eight symmetries of the square: four turns, and each after a mirror.
const ELEMENTS: usize = 8;

/// What an index of a weight says, and so where a symmetry takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Nothing that turns.
    Plain(usize),
    /// The first 8 of so many channels stand for the directions clockwise from north, the others do not turn; with less than 8, none does.
    Channels(usize),
    /// Four or eight actions, clockwise from north.
    Actions(usize),
    /// The taps of a kernel of this side.
    Kernel(usize),
}

impl Axis {
    fn len(self) -> usize {
        match self {
            Axis::Plain(n) | Axis::Channels(n) | Axis::Actions(n) => n,
            Axis::Kernel(side) => side * side,
        }
    }

    /// Where the symmetry takes an index.
    fn moved(self, element: usize, i: usize) -> usize {
        match self {
            Axis::Channels(n) if n >= 8 && i < 8 => turned(element, i),
            Axis::Actions(4) => turned(element, 2 * i) / 2,
            Axis::Actions(8) => turned(element, i),
            Axis::Kernel(side) => {
                let half = (side / 2) as isize;
                let at = [(i / side) as isize - half, (i % side) as isize - half];
                let [y, x] = act(element, at);
                ((y + half) * side as isize + x + half) as usize
            }
            _ => i,
        }
    }
}

fn act(element: usize, [y, x]: [isize; 2]) -> [isize; 2] {
    let mirrored = if element < 4 { [y, x] } else { [y, -x] };
    (0..element % 4).fold(mirrored, |[y, x], _| [x, -y])
}

/// The direction that a symmetry makes of one.
fn turned(element: usize, direction: usize) -> usize {
    let by = MOVES[direction];
    let [dy, dx] = act(element, [by.dy, by.dx]);
    MOVES.iter().position(|m| m.dy == dy && m.dx == dx).unwrap_or(direction)
}

/// The nearest weights that no symmetry changes: the mean over all of them. A projection, so its own transpose; the shape stays.
///
/// # Errors
/// Those of the operations.
pub(super) fn symmetrized<'g>(weights: Var<'g>, axes: &[Axis]) -> NetworkResult<Var<'g>> {
    let dims = weights.dims()?;
    let count: usize = axes.iter().map(|a| a.len()).product();
    let mut from = Vec::with_capacity(ELEMENTS * count);
    for element in 0..ELEMENTS {
        for index in 0..count {
            let (mut rest, mut to, mut stride) = (index, 0, 1);
            for axis in axes.iter().rev() {
                to += stride * axis.moved(element, rest % axis.len());
                rest /= axis.len();
                stride *= axis.len();
            }
            from.push(to as u32);
        }
    }
    let index = Tensor::from_vec(from, ELEMENTS * count, &Device::Cpu)?;
    let all = weights.flatten().index_select(&index, 0).reshape(&[ELEMENTS, count]);
    all.mean([0]).reshape(&dims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pullback_core_graph::Graph;
    use pullback_core_graph::tensor::{from_vec, to_f64};

    #[test]
    fn symmetrized_weights_stay_as_they_are() -> NetworkResult<()> {
        let axes = [Axis::Channels(10), Axis::Kernel(3)];
        let graph = Graph::new();
        let numbers = (0..90).map(|i| f64::from(i * i % 37)).collect();
        let w = graph.constant(&from_vec(numbers, &[10, 3, 3], &Device::Cpu)?);
        let once = symmetrized(w, &axes)?;
        let twice = to_f64(&symmetrized(once, &axes)?.value()?)?;
        let once = to_f64(&once.value()?)?;
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-12));
        // North looks north as east looks east.
        assert_eq!(once[1], once[2 * 9 + 5]);
        assert_eq!(once[9 + 2], once[3 * 9 + 8]);
        // A turn of 90° takes north to east, and diagonals to diagonals.
        assert_eq!((turned(1, 0), turned(1, 1), turned(4, 1)), (2, 3, 7));
        Ok(())
    }
}
