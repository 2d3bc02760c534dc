//! Work whose result must have the same bits for any number of threads, at sizes where threads share it.

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::linalg::Triangle;
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result, Var};

use super::operations::spread;

type Work = for<'g> fn(&'g Graph, DType) -> Result<Vec<Var<'g>>>;

/// Name, work: what it gives, and the gradient of its sum, are fingerprinted.
const WORK: &[(&str, Work)] = &[
    ("elementwise", |g, t| {
        let (x, y) = (input(g, t, &[300, 1000], 1), input(g, t, &[300, 1000], 2));
        Ok(vec![x, y, (x.sin() * y.exp() + x.tanh()).sqr() / (y.sqr() + 1.0)])
    }),
    ("elementwise, broadcast", |g, t| {
        let (x, y, z) =
            (input(g, t, &[300, 1, 1000], 1), input(g, t, &[3, 1], 2), input(g, t, &[1000], 3));
        Ok(vec![x, y, z, (x * y + z).sigmoid()])
    }),
    ("sum of all", |g, t| reduced(g, t, |x| x.sum(()))),
    ("sum over axis 0", |g, t| reduced(g, t, |x| x.sum(0))),
    ("sum over axis 1", |g, t| reduced(g, t, |x| x.sum(1))),
    ("sum over axis 2", |g, t| reduced(g, t, |x| x.sum(2))),
    ("sum over axes 0 and 2", |g, t| reduced(g, t, |x| x.sum([0, 2]))),
    ("mean and variance", |g, t| reduced(g, t, |x| x.mean(0) + x.variance(0, 1))),
    ("largest and smallest", |g, t| reduced(g, t, |x| x.max([1, 2]) - x.min([1, 2]))),
    ("logsumexp", |g, t| reduced(g, t, |x| x.logsumexp([0, 1]))),
    ("softmax", |g, t| reduced(g, t, |x| x.softmax(1))),
    ("cumulative sum", |g, t| reduced(g, t, |x| x.cumsum(2))),
    ("norm", |g, t| reduced(g, t, |x| x.norm(()))),
    ("gather and scatter", |g, t| {
        let (x, y) = (input(g, t, &[400, 500], 1), input(g, t, &[400, 500], 2));
        let index: Vec<u32> = (0..200_000u32).map(|i| i * 7919 % 500).collect();
        let index = super::operations::indices(&index, &[400, 500]);
        Ok(vec![x, y, x.gather(&index, 1).sin() + y.scatter_add(&index, x, 1)])
    }),
    ("matrix product", |g, t| {
        let (a, b) = (input(g, t, &[257, 300], 1), input(g, t, &[300, 211], 2));
        Ok(vec![a, b, a.matmul(b)])
    }),
    ("matrix product, long inner axis", |g, t| {
        let (a, b) = (input(g, t, &[8, 20_000], 1), input(g, t, &[20_000, 8], 2));
        Ok(vec![a, b, a.matmul(b)])
    }),
    ("matrix product, batches", |g, t| {
        let (a, b) = (input(g, t, &[300, 17, 23], 1), input(g, t, &[300, 23, 9], 2));
        Ok(vec![a, b, a.matmul(b)])
    }),
    ("einsum", |g, t| {
        let (a, b) = (input(g, t, &[40, 50, 30], 1), input(g, t, &[30, 40, 20], 2));
        Ok(vec![a, b, g.einsum("ijk,kil->jl", &[a, b])])
    }),
    ("Cholesky and triangular solve, batches", |g, t| {
        let (a, b) = (input(g, t, &[600, 8, 8], 1), input(g, t, &[600, 8, 3], 2));
        let l = definite(a).cholesky();
        Ok(vec![a, b, l.triangular_solve(b, Triangle::LOWER), definite(a).cholesky_solve(b)])
    }),
    ("LU solve and log-determinant, batches", |g, t| {
        let (a, b) = (input(g, t, &[600, 8, 8], 1), input(g, t, &[600, 8, 3], 2));
        Ok(vec![a, b, definite(a).solve(b), definite(a).slogdet()?.1])
    }),
    ("QR, batches", |g, t| {
        let a = input(g, t, &[300, 12, 7], 1);
        let (q, r) = a.qr()?;
        Ok(vec![a, q, r])
    }),
    ("symmetric eigenvalues, batches", |g, t| {
        let a = input(g, t, &[200, 9, 9], 1);
        Ok(vec![a, a.symmetrized().eigh()?.0])
    }),
    ("singular values, batches", |g, t| {
        let a = input(g, t, &[100, 9, 6], 1);
        Ok(vec![a, a.svd()?.1, a.pinv()])
    }),
    ("Cholesky, LU and QR of one large matrix", |g, t| {
        let a = input(g, t, &[200, 200], 1);
        let (_, r) = a.qr()?;
        Ok(vec![a, definite(a).cholesky(), definite(a).inverse(), r])
    }),
    ("network", |g, t| {
        let x = input(g, t, &[256, 64], 1);
        let w = [[64, 128], [128, 128], [128, 10]].map(|d| input(g, t, &d, d[0] as u64 + 3) * 0.1);
        let y = (x.matmul(w[0]).tanh().matmul(w[1]).relu().matmul(w[2])).log_softmax(-1);
        let loss = -y.sqr().mean(());
        let gradient = g.record_gradient(loss, &w)?;
        // Its derivative is a product of the Hessian with a vector.
        Ok([x].into_iter().chain(w).chain([loss]).chain(gradient).collect())
    }),
];

fn input<'g>(g: &'g Graph, dtype: DType, dims: &[usize], seed: u64) -> Var<'g> {
    g.input(&spread(dims, -1.5, 1.5, seed).to_dtype(dtype).unwrap())
}

fn reduced<'g>(
    g: &'g Graph,
    dtype: DType,
    f: impl FnOnce(Var<'g>) -> Var<'g>,
) -> Result<Vec<Var<'g>>> {
    let x = input(g, dtype, &[60, 70, 80], 1);
    Ok(vec![x, f(x)])
}

/// A·Aᵀ + n·1, which is positive definite.
fn definite(a: Var<'_>) -> Var<'_> {
    let n = a.dims().unwrap().pop().unwrap();
    let eye = Tensor::eye(n, a.dtype().unwrap(), &a.device().unwrap()).unwrap();
    a.matmul(a.t()) + a.graph().constant(&eye) * n as f64
}

/// How many cases there are.
pub(crate) fn count() -> usize {
    2 * WORK.len()
}

/// Each case with a hash of the bits of its values, its gradients and its directional derivative.
pub(crate) fn fingerprints() -> impl Iterator<Item = (String, u64)> {
    WORK.iter().flat_map(|(name, work)| {
        [DType::F64, DType::F32].map(|t| (format!("{name}, {t:?}"), fingerprint(*work, t).unwrap()))
    })
}

fn fingerprint(work: Work, dtype: DType) -> Result<u64> {
    let graph = Graph::new();
    let all = work(&graph, dtype)?;
    let is_leaf = |v: &Var<'_>| graph.inputs_of(*v).is_ok_and(|inputs| inputs.is_empty());
    let (x, y): (Vec<Var<'_>>, Vec<Var<'_>>) = all.into_iter().partition(is_leaf);
    let mut tensors: Vec<Tensor> = y.iter().map(|v| v.value()).collect::<Result<_>>()?;
    let seeds = y.iter().map(|v| Ok((*v, v.value()?.ones_like()?))).collect::<Result<Vec<_>>>()?;
    tensors.extend(graph.pull(&seeds, &x)?.into_iter().flatten());
    let seeds = x.iter().map(|v| Ok((*v, v.value()?.ones_like()?))).collect::<Result<Vec<_>>>()?;
    tensors.extend(graph.push(&seeds, &y)?.into_iter().flatten());
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for v in tensors.iter().map(to_f64).collect::<Result<Vec<_>>>()?.concat() {
        // FNV-1a over whole words.
        hash = (hash ^ v.to_bits()).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Ok(hash)
}

/// The cases whose bits differ between pools of 1, 2 and 4 threads in this process, or between processes with that many.
pub(crate) fn differing() -> Vec<String> {
    let runs = [1, 2, 4].map(|n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| fingerprints().collect::<Vec<_>>())
    });
    let children = [1, 2, 4].map(|n| {
        let output = super::child::run("fingerprints", n).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |l: &str| {
            let (bits, name) = l.strip_prefix("= ")?.split_once(' ')?;
            Some((name.to_string(), u64::from_str_radix(bits, 16).ok()?))
        };
        text.lines().filter_map(line).collect::<Vec<_>>()
    });
    let mut differ = Vec::new();
    for (i, (name, bits)) in runs[0].iter().enumerate() {
        let same =
            |run: &Vec<(String, u64)>| run.get(i).is_some_and(|(n, b)| n == name && b == bits);
        if !runs.iter().all(same) {
            differ.push(format!("{name}: pools of 1, 2, 4 threads"));
        }
        if !children.iter().all(same) {
            differ.push(format!("{name}: processes with 1, 2, 4 threads"));
        }
    }
    differ
}
