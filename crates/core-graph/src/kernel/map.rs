//! Elementwise maps over one, two or three slices of equal length.

use rayon::prelude::*;

/// Elements per parallel chunk; below twice this, one thread works alone.
const CHUNK: usize = 1 << 15;
/// Below this, dispatching to wider registers costs more than it gives.
const SMALL: usize = 32;

macro_rules! maps {
    ($name:ident, $loop:ident, $($x:ident: $X:ident),+; $doc:literal) => {
        #[doc = $doc]
        pub(crate) fn $name<$($X: Copy + Sync,)+ R: Copy + Default + Send>($($x: &[$X],)+ f: impl Fn($($X),+) -> R + Copy + Sync) -> Vec<R> {
            let n = [$($x.len()),+].into_iter().min().unwrap_or(0);
            if n < SMALL {
                return (0..n).map(|i| f($($x[i]),+)).collect();
            }
            let mut out = vec![R::default(); n];
            if n < 2 * CHUNK {
                $loop(&mut out, $($x,)+ f);
            } else {
                out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| {
                    let range = i * CHUNK..i * CHUNK + out.len();
                    $loop(out, $(&$x[range.clone()],)+ f);
                });
            }
            out
        }

        fn $loop<$($X: Copy,)+ R>(out: &mut [R], $($x: &[$X],)+ f: impl Fn($($X),+) -> R) {
            let n = out.len();
            $(let $x = &$x[..n];)+
            super::vectorized(
                #[inline(always)]
                || {
                    for i in 0..n {
                        out[i] = f($($x[i]),+);
                    }
                },
            );
        }
    };
}

maps!(map1, loop1, x: X; "f(x) for each element.");
maps!(map2, loop2, x: X, y: Y; "f(x, y) for each pair.");
maps!(map3, loop3, x: X, y: Y, z: Z; "f(x, y, z) for each triple.");
