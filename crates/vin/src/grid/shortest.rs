//! Best ways on a grid without noise and without discount: Dijkstra's algorithm with buckets in place of a heap.
//!
//! With buckets no wider than the shortest move, no way improves a cell of the bucket that is being emptied (Denardo and Fox 1979), so the order
//! inside a bucket does not matter, and each cell costs its moves and no more. They are a little narrower, because a quotient of rounded numbers may
//! be a hair too small (0.6/0.1 is 5.999…). With a discount a move far off adds next to nothing, and a heap has to say which cell is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connectivity::{Connectivity, MOVES};
use super::process::GridProcess;

/// Buckets that are in use at a time, at most: costs further apart are better served by a heap.
const BUCKETS: usize = 1 << 12;
/// How wide a bucket is, in shortest moves: less than 1 by more than rounding adds up to on ways of 10⁸ moves.
const WIDTH: f64 = 1.0 - 1.0 / (1 << 20) as f64;

/// Values (−∞ where no goal can be reached) and the cells in the order in which they were settled; `None` where the method does not fit. With
/// `until`, the values of cells that were not settled before that one are not final.
pub(super) fn best_ways(
    process: &GridProcess,
    until: Option<usize>,
) -> Option<(Vec<f64>, Vec<u32>)> {
    let (map, spec) = (process.map(), process.spec);
    let connectivity = spec.connectivity;
    if !process.is_certain() || connectivity == Connectivity::Heading {
        return None;
    }
    if spec.discount < 1.0 {
        return discounted(process, until);
    }
    let free = map.cost().iter().zip(map.solid()).filter(|(_, solid)| !**solid);
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    for (cost, _) in free {
        (least, most) = (least.min(*cost), most.max(*cost));
    }
    let reach = most * connectivity.length(1).max(1.0) / least;
    let worth = process.goals().iter().map(|g| g.1);
    let nearest = worth.clone().fold(f64::INFINITY, |m, v| m.min(-v));
    let farthest = worth.fold(f64::NEG_INFINITY, |m, v| m.max(-v));
    let span = (farthest - nearest) / least;
    if !(least > 0.0 && reach.max(span) < BUCKETS as f64 - 3.0) {
        return None;
    }
    let width = map.width() as isize;
    let mut distance = vec![f64::INFINITY; map.cells()];
    let (mut done, mut order) = (vec![false; map.cells()], Vec::with_capacity(map.cells()));
    let count = (reach.max(span) / WIDTH) as usize + 3;
    let mut buckets: Vec<Vec<u32>> = vec![vec![]; count];
    let bucket = least * WIDTH;
    let slot = |d: f64| ((d - nearest) / bucket) as usize;
    let goal_values = process.goal_values();
    let mut waiting = 0usize;
    for &(cell, _) in process.goals() {
        if distance[cell] == f64::INFINITY {
            distance[cell] = -goal_values[cell];
            buckets[slot(distance[cell]) % count].push(cell as u32);
            waiting += 1;
        }
    }
    let moves: Vec<(usize, isize, f64)> = (0..8)
        .step_by(connectivity.stride())
        .map(|d| (d, MOVES[d].dy * width + MOVES[d].dx, connectivity.length(d)))
        .collect();
    let mut now = 0;
    let mut emptied = vec![];
    'search: while waiting > 0 {
        std::mem::swap(&mut buckets[now % count], &mut emptied);
        for &cell in &emptied {
            waiting -= 1;
            let cell = cell as usize;
            if std::mem::replace(&mut done[cell], true) {
                continue;
            }
            order.push(cell as u32);
            if until == Some(cell) {
                break 'search;
            }
            // Moves and walls are the same in both directions; the price is that of the cell entered, this one.
            let (from, price) = (distance[cell], map.cost()[cell]);
            for &(d, offset, length) in &moves {
                if process.blocked[cell] >> d & 1 == 1 {
                    continue;
                }
                let before = cell.wrapping_add_signed(offset);
                let way = length * price + from;
                if way < distance[before] && goal_values[before].is_nan() {
                    distance[before] = way;
                    // A move that is lost in the last bit of its way leads on all the same.
                    buckets[slot(way).max(now + 1) % count].push(before as u32);
                    waiting += 1;
                }
            }
        }
        emptied.clear();
        now += 1;
    }
    distance.iter_mut().for_each(|d| *d = -*d);
    Some((distance, order))
}

/// d(s) = length·cost + γ·d(s′) with a heap. `None` where a move gains, so that cells could not be settled in order.
fn discounted(process: &GridProcess, until: Option<usize>) -> Option<(Vec<f64>, Vec<u32>)> {
    let (map, spec) = (process.map(), process.spec);
    let (width, discount) = (map.width() as isize, spec.discount);
    let mut distance = vec![f64::INFINITY; map.cells()];
    let (mut done, mut order) = (vec![false; map.cells()], Vec::with_capacity(map.cells()));
    let mut heap = BinaryHeap::new();
    let goal_values = process.goal_values();
    for &(cell, _) in process.goals() {
        distance[cell] = -goal_values[cell];
        heap.push(Reverse((key(distance[cell]), cell as u32)));
    }
    let moves: Vec<(usize, isize, f64)> = (0..8)
        .step_by(spec.connectivity.stride())
        .map(|d| (d, MOVES[d].dy * width + MOVES[d].dx, spec.connectivity.length(d)))
        .collect();
    while let Some(Reverse((_, cell))) = heap.pop() {
        let cell = cell as usize;
        if std::mem::replace(&mut done[cell], true) {
            continue;
        }
        order.push(cell as u32);
        if until == Some(cell) {
            break;
        }
        let (from, price) = (distance[cell], map.cost()[cell]);
        for &(d, offset, length) in &moves {
            if process.blocked[cell] >> d & 1 == 1 {
                continue;
            }
            let before = cell.wrapping_add_signed(offset);
            if done[before] || !goal_values[before].is_nan() {
                continue;
            }
            let way = length * price + discount * from;
            if way < from {
                return None;
            }
            if way < distance[before] {
                distance[before] = way;
                heap.push(Reverse((key(way), before as u32)));
            }
        }
    }
    distance.iter_mut().for_each(|d| *d = -*d);
    Some((distance, order))
}

/// The order of numbers as that of integers (IEEE 754: bits are in order, negative ones backwards).
fn key(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}
