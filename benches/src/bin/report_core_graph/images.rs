//! candle's wrong derivatives of image operations, beside those of `pullback-nn`.

use pullback_core_graph::candle::{self, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result, Var};
use pullback_nn::kernel::pool::Divisor;
use pullback_nn::ops::{average_pool2d, max_pool2d, resize_bilinear, resize_nearest};

use crate::common::defects::{Verdict, error, judge, weigh, weighed};
use crate::common::operations::spread;

type Theirs = fn(&[Tensor]) -> candle::Result<Tensor>;
type Ours = for<'g> fn(Var<'g>) -> Result<Var<'g>>;

/// Name, shape of the image, candle's function, ours.
const ROWS: &[(&str, [usize; 4], Theirs, Ours)] = &[
    (
        "max_pool2d 2×2",
        [1, 2, 4, 4],
        |x| weighed(&x[0].max_pool2d(2)?),
        |x| weigh(max_pool2d(x, [2, 2], [2, 2], [0, 0])),
    ),
    (
        "max_pool2d 3×3 with stride 2",
        [1, 2, 5, 7],
        |x| weighed(&x[0].max_pool2d_with_stride(3, 2)?),
        |x| weigh(max_pool2d(x, [3, 3], [2, 2], [0, 0])),
    ),
    (
        "avg_pool2d of a size that 2 does not divide",
        [1, 2, 5, 5],
        |x| weighed(&x[0].avg_pool2d(2)?),
        |x| weigh(average_pool2d(x, [2, 2], [2, 2], [0, 0], Divisor::Kernel)),
    ),
    (
        "upsample_nearest2d of an image used elsewhere too",
        [1, 1, 2, 3],
        |x| weighed(&x[0].upsample_nearest2d(4, 6)?)? + weighed(&x[0].sqr()?)?,
        |x| Ok(weigh(resize_nearest(x, [4, 6]))? + weigh(x.sqr())?),
    ),
    (
        "upsample_bilinear2d",
        [1, 1, 3, 4],
        |x| weighed(&x[0].upsample_bilinear2d(6, 8, false)?),
        |x| weigh(resize_bilinear(x, [6, 8])),
    ),
];

pub(crate) fn verdicts() -> Vec<Verdict> {
    ROWS.iter().map(|(name, dims, theirs, ours)| verdict(name, *dims, *theirs, *ours)).collect()
}

fn verdict(name: &'static str, dims: [usize; 4], theirs: Theirs, ours: Ours) -> Verdict {
    let x = spread(&dims, -1.0, 1.0, 1);
    let value = |x: &Tensor| {
        let graph = Graph::new();
        ours(graph.input(x)).and_then(|y| y.to_f64()).unwrap_or(f64::NAN)
    };
    let data = to_f64(&x).unwrap_or_default();
    let right: Vec<f64> = (0..data.len())
        .map(|i| {
            let moved = |h: f64| {
                let mut data = data.clone();
                data[i] += h;
                Tensor::from_vec(data, &dims, x.device()).map_or(f64::NAN, |x| value(&x))
            };
            let central = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
            (4.0 * central(5e-4) - central(1e-3)) / 3.0
        })
        .collect();
    let gradient = || -> Result<Vec<f64>> {
        let graph = Graph::new();
        let v = graph.input(&x);
        to_f64(&graph.gradient(ours(v)?, &[v])?[0])
    };
    let ours = gradient().map_or(f64::INFINITY, |g| error(&g, &right));
    let candle = judge(theirs, std::slice::from_ref(&x), &right);
    Verdict { name, candle, ours }
}
