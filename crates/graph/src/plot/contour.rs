//! Contour lines on a grid by marching squares.

/// The pieces of the line where the numbers cross `level`, in grid coordinates (column, row). Cells with a gap have none.
///
/// A cell whose corners alternate is cut by the mean of its corners.
pub(super) fn pieces(columns: usize, values: &[Option<f64>], level: f64) -> Vec<[[f64; 2]; 2]> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let mut out = vec![];
    for j in 0..rows.saturating_sub(1) {
        for i in 0..columns - 1 {
            let corner = |di: usize, dj: usize| values[(j + dj) * columns + i + di];
            let (Some(a), Some(b), Some(c), Some(d)) =
                (corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1))
            else {
                continue;
            };
            let (x, y) = (i as f64, j as f64);
            // The four edges, around the cell: where the level crosses them, if it does.
            let cross = |p: f64, q: f64| {
                ((p < level) != (q < level)).then(|| ((level - p) / (q - p)).clamp(0.0, 1.0))
            };
            let edges = [
                cross(a, b).map(|t| [x + t, y]),
                cross(b, c).map(|t| [x + 1.0, y + t]),
                cross(d, c).map(|t| [x + t, y + 1.0]),
                cross(a, d).map(|t| [x, y + t]),
            ];
            let crossed: Vec<[f64; 2]> = edges.into_iter().flatten().collect();
            match *crossed.as_slice() {
                [p, q] => out.push([p, q]),
                [p, q, r, s] => {
                    let center = 0.25 * (a + b + c + d);
                    // The corner a is cut off alone unless the center joins it with c.
                    if (a < level) == (center < level) {
                        out.extend([[p, q], [r, s]]);
                    } else {
                        out.extend([[p, s], [q, r]]);
                    }
                }
                _ => {}
            }
        }
    }
    out
}
