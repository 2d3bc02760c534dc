//! The gradients of one item's data, from the answer to its cotangent.

/// Where the gradients of one group's items go, argument by argument; empty for those that nobody wants item by item.
pub(super) type Gradients<'a> = [&'a mut [f64]; 6];

/// One item: the point, and the answer to its cotangent.
pub(super) struct Solved<'a> {
    pub(super) x: &'a [f64],
    pub(super) y: [&'a [f64]; 2],
    pub(super) u: &'a [f64],
    pub(super) v: &'a [f64],
}

impl Solved<'_> {
    /// Puts the gradient of argument `k` in.
    #[inline(always)]
    pub(super) fn gradient(&self, k: usize, out: &mut [f64], put: impl Fn(&mut f64, f64) + Copy) {
        let Solved { x, y, u, v } = *self;
        let v = v.split_at(y[0].len());
        let v = [v.0, v.1];
        let plain = |out: &mut [f64], from: &[f64], sign: f64| {
            out.iter_mut().zip(from).for_each(|(out, from)| put(out, sign * from));
        };
        match k {
            0 => outer(out, -0.5, [(u, x), (x, u)], put),
            1 => plain(out, u, -1.0),
            2 | 4 => outer(out, -1.0, [(y[k / 2 - 1], u), (v[k / 2 - 1], x)], put),
            _ => plain(out, v[k / 2 - 1], 1.0),
        }
    }
}

/// scale·(abᵀ + cdᵀ), put into `out`.
#[inline(always)]
fn outer(
    out: &mut [f64],
    scale: f64,
    [(a, b), (c, d)]: [(&[f64], &[f64]); 2],
    put: impl Fn(&mut f64, f64) + Copy,
) {
    let columns = b.len();
    for (out, (a, c)) in out.chunks_exact_mut(columns.max(1)).zip(a.iter().zip(c)) {
        let (a, c, d) = (scale * a, scale * c, &d[..columns]);
        for ((out, b), d) in out.iter_mut().zip(b).zip(d) {
            put(out, a * b + c * d);
        }
    }
}
