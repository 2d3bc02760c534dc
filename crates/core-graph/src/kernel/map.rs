//! Elementwise maps over one or two slices of equal length.

use super::written::written;

/// Elements per chunk, the unit that threads share.
const CHUNK: usize = 1 << 15;
/// Below this, dispatching to wider registers costs more than it gives.
const SMALL: usize = 32;

macro_rules! maps {
    ($name:ident, $($x:ident: $X:ident),+; $doc:literal) => {
        #[doc = $doc]
        pub(crate) fn $name<$($X: Copy + Sync,)+ R: Copy + Send>($($x: &[$X],)+ f: impl Fn($($X),+) -> R + Copy + Sync) -> Vec<R> {
            let n = [$($x.len()),+].into_iter().min().unwrap_or(0);
            if n < SMALL {
                return (0..n).map(|i| f($($x[i]),+)).collect();
            }
            written(n, CHUNK, |i, out| {
                let range = i * CHUNK..i * CHUNK + out.len();
                $(let $x = &$x[range.clone()];)+
                let done = super::vectorized(
                    #[inline(always)]
                    || {
                        let n = out.len();
                        $(let $x = &$x[..n];)+
                        out.each(#[inline(always)] |i| f($($x[i]),+))
                    },
                );
                (done, ())
            }).0
        }
    };
}

maps!(map1, x: X; "f(x) for each element.");
maps!(map2, x: X, y: Y; "f(x, y) for each pair.");
