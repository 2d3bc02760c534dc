//! Colours for rows and columns at once: backward sweeps for what is full one way, forward sweeps for what is full the other way.
//!
//! A star colouring of the graph between rows and columns, in which those that no sweep needs are neutral (Gebremedhin, Manne, Pothen 2005,
//! section 6; Coleman, Verma, "The Efficient Computation of Sparse Jacobian Matrices Using Automatic Differentiation", 1998). The cover of the
//! entries is a set of whole rows for backward sweeps with all other rows for forward sweeps, or the same with columns. Within
//! it, columns conflict only in rows that forward sweeps answer for: a full row no longer keeps all columns apart.

use super::{Coloring, Order, Pattern};

/// The best of both covers and of each side alone.
pub(super) fn color(pattern: &Pattern, order: Order) -> Coloring {
    let transposed = pattern.transposed();
    let mut candidates: Vec<(usize, usize, Box<dyn Fn() -> Coloring + '_>)> = vec![
        (fullest(pattern), 0, Box::new(|| Coloring::columns(pattern, order))),
        (fullest(&transposed), 1, Box::new(|| Coloring::rows(pattern, order))),
    ];
    if let Some((bound, cover)) = cover(pattern, &transposed) {
        candidates.push((bound, 2, Box::new(move || Coloring::split(pattern, order, &cover))));
    }
    if let Some((bound, cover)) = cover(&transposed, pattern) {
        let transposed = &transposed;
        let split = move || Coloring::split(transposed, order, &cover).transposed();
        candidates.push((bound, 3, Box::new(split)));
    }
    // The lowest bound first; one whose bound is no better than a colouring at hand is not coloured.
    candidates.sort_by_key(|&(bound, number, _)| (bound, number));
    let mut best: Option<Coloring> = None;
    for (bound, _, make) in candidates {
        if best.as_ref().is_none_or(|best| bound < best.colors()) {
            let next = make();
            if best.as_ref().is_none_or(|best| next.colors() < best.colors()) {
                best = Some(next);
            }
        }
    }
    best.unwrap_or_else(|| Coloring::columns(pattern, order))
}

/// Entries of the fullest row: no colouring of the columns has fewer colours.
pub(super) fn fullest(pattern: &Pattern) -> usize {
    (0..pattern.rows()).map(|i| pattern.row(i).len()).max().unwrap_or(0)
}

/// The fullest rows that are better swept backward, and the least number of colours that this takes; `None` if there are none.
///
/// Of the k fullest rows taken out, for each k: at least the fullest column among them backward, and the fullest row left forward.
pub(super) fn cover(rows: &Pattern, columns: &Pattern) -> Option<(usize, Vec<bool>)> {
    let mut order: Vec<usize> = (0..rows.rows()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(rows.row(i).len()));
    let mut among = vec![0usize; columns.rows()];
    let (mut pulls, mut best) = (0, (order.first().map_or(0, |&i| rows.row(i).len()), 0));
    for (k, &i) in order.iter().enumerate() {
        for &j in rows.row(i) {
            among[j as usize] += 1;
            pulls = pulls.max(among[j as usize]);
        }
        let left = order.get(k + 1).map_or(0, |&next| rows.row(next).len());
        if pulls + left < best.0 {
            best = (pulls + left, k + 1);
        }
    }
    // All rows, or none, are one side alone.
    if best.1 == 0 || best.1 == rows.rows() {
        return None;
    }
    let mut taken = vec![false; rows.rows()];
    order[..best.1].iter().for_each(|&i| taken[i] = true);
    Some((best.0, taken))
}
