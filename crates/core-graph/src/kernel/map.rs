//! Elementwise maps over one or two slices of equal length.

use super::written::{Seen, written};
use crate::magnitude::{Bits, Top};

/// Elements per chunk, the unit that threads share.
const CHUNK: usize = 1 << 15;
/// Below this, dispatching to wider registers costs more than it gives.
const SMALL: usize = 32;

macro_rules! maps {
    ($name:ident, $($x:ident: $X:ident),+; $doc:literal) => {
        #[doc = $doc]
        pub(crate) fn $name<$($X: Copy + Sync,)+ R: Bits + Send>($($x: &[$X],)+ f: impl Fn($($X),+) -> R + Copy + Sync) -> Seen<R> {
            let n = [$($x.len()),+].into_iter().min().unwrap_or(0);
            if n < SMALL {
                let values: Vec<R> = (0..n).map(|i| f($($x[i]),+)).collect();
                let mut top = Top::new();
                values.iter().for_each(|&v| top.see(v));
                return Seen { values, finite: top.finite() };
            }
            written(n, CHUNK, |i, out| {
                let range = i * CHUNK..i * CHUNK + out.len();
                $(let $x = &$x[range.clone()];)+
                super::vectorized(
                    #[inline(always)]
                    || {
                        let n = out.len();
                        $(let $x = &$x[..n];)+
                        out.seen(#[inline(always)] |i| f($($x[i]),+))
                    },
                )
            }).into()
        }
    };
}

maps!(map1, x: X; "f(x) for each element.");
maps!(map2, x: X, y: Y; "f(x, y) for each pair.");
