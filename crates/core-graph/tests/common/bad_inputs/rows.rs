//! Wrong shapes, axes, ranges, indices, notation, numbers: one row each.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::linalg::Triangle;
use pullback_core_graph::{Graph, Options, Result, Var};

use super::super::operations::{indices, spread};
use super::{Tally, integers, kind, names, var, vector};

type Provoke = for<'g> fn(&'g Graph) -> Result<Var<'g>>;

/// Variant, node, what provokes it.
fn check(t: &mut Tally, rows: &[(&str, &str, Provoke)]) {
    for (row, (variant, node, provoke)) in rows.iter().enumerate() {
        let run = || {
            let graph = Graph::new();
            provoke(&graph)?.value().map(|_| ())
        };
        t.expect(
            || format!("row {row}: {variant} of {node}"),
            run,
            |e| kind(e) == *variant && names(e, node),
        );
    }
}

pub(super) fn all(t: &mut Tally) {
    check(t, SHAPES);
    check(t, RANGES);
    check(t, INDICES);
    check(t, NOTATION);
    check(t, VALUES);
    check(t, ABSURD);
    axes(t);
    broadcasts(t);
    products(t);
    jacobians(t);
}

const SHAPES: &[(&str, &str, Provoke)] = &[
    ("Shape", "reshape", |g| Ok(var(g, &[2, 3]).reshape(&[5]))),
    ("Shape", "reshape", |g| Ok(var(g, &[0]).reshape(&[1]))),
    ("Shape", "squeeze", |g| Ok(var(g, &[2, 3]).squeeze(0))),
    ("Shape", "permute", |g| Ok(var(g, &[2, 3]).permute(&[0]))),
    ("Shape", "permute", |g| Ok(var(g, &[2, 3]).permute(&[0, 0]))),
    ("Shape", "permute", |g| Ok(var(g, &[2, 3]).permute(&[0, 1, 1]))),
    ("Shape", "transpose", |g| Ok(var(g, &[3]).t())),
    ("Shape", "transpose", |g| Ok(var(g, &[]).t())),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[2, 3]).broadcast_to(&[2, 4]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[2, 3]).broadcast_to(&[3]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[2]).broadcast_to(&[1]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[2]).broadcast_like(var(g, &[3])))),
    ("Arity", "cat", |g| Ok(g.cat(&[], 0))),
    ("Shape", "cat", |g| Ok(g.cat(&[var(g, &[2, 3]), var(g, &[3, 2])], 0))),
    ("Shape", "cat", |g| Ok(g.cat(&[var(g, &[2, 3]), var(g, &[2])], 0))),
    ("Shape", "cat", |g| Ok(g.cat(&[var(g, &[]), var(g, &[])], 0))),
    ("Arity", "stack", |g| Ok(g.stack(&[], 0))),
    ("Shape", "stack", |g| Ok(g.stack(&[var(g, &[2]), var(g, &[3])], 0))),
    ("Shape", "dot", |g| Ok(var(g, &[]).dot(var(g, &[3])))),
    ("Shape", "dot", |g| Ok(var(g, &[3]).dot(var(g, &[])))),
    ("Shape", "outer", |g| Ok(var(g, &[]).outer(var(g, &[3])))),
    ("Shape", "outer", |g| Ok(var(g, &[3]).outer(var(g, &[])))),
    ("Shape", "select", |g| Ok(var(g, &[2]).select(var(g, &[3]), var(g, &[3])))),
    ("Shape", "select", |g| Ok(var(g, &[3]).select(var(g, &[2]), var(g, &[3])))),
    ("Shape", "diagonal", |g| Ok(var(g, &[3]).diagonal())),
    ("Shape", "diagonal", |g| Ok(var(g, &[3]).trace())),
    ("Shape", "diag", |g| Ok(var(g, &[]).diag())),
    ("Shape", "max", |g| Ok(var(g, &[0]).max(()))),
    ("Shape", "min", |g| Ok(var(g, &[2, 0]).min(-1))),
    ("Shape", "mean", |g| Ok(var(g, &[0]).mean(()))),
    ("Shape", "mean", |g| Ok(var(g, &[2, 0]).mean_keepdim(1))),
    ("Shape", "variance", |g| Ok(var(g, &[1]).variance((), 1))),
    ("Shape", "variance", |g| Ok(var(g, &[3]).variance((), usize::MAX))),
    ("Shape", "max", |g| Ok(var(g, &[0]).logsumexp(()))),
    ("Shape", "softmax", |g| Ok(var(g, &[2, 0]).softmax(-1))),
    ("Shape", "log_softmax", |g| Ok(var(g, &[2, 0]).log_softmax(-1))),
    ("Shape", "max", |g| Ok(var(g, &[0]).norm(()))),
    ("Shape", "tril", |g| Ok(var(g, &[1, 3]).tril())),
    ("Shape", "tril", |g| Ok(var(g, &[3]).tril())),
    ("Shape", "triu", |g| Ok(var(g, &[]).triu())),
    ("Shape", "triu", |g| Ok(var(g, &[3, 1]).triu())),
    ("Shape", "symmetric_product", |g| Ok(var(g, &[3, 2]).symmetric_product(var(g, &[2, 3])))),
    ("Shape", "symmetric_product", |g| Ok(var(g, &[3]).symmetric_product(var(g, &[3])))),
    ("Shape", "symmetrized", |g| Ok(var(g, &[1, 3]).symmetrized())),
    ("Shape", "argmax", |g| var(g, &[2, 0]).argmax(1).map(|t| g.constant(&t))),
    ("Shape", "input", |g| g.record_gradient(var(g, &[2]), &[]).map(|v| v[0])),
    ("Shape", "input", |g| g.gradient(var(g, &[2]), &[]).map(|t| g.constant(&t[0]))),
];

const RANGES: &[(&str, &str, Provoke)] = &[
    ("Shape", "slice", |g| Ok(var(g, &[4]).slice(0, 0, 5, 1))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).slice(0, 3, 2, 1))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).slice(0, 0, 4, 0))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).narrow(0, 3, 2))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).narrow(0, usize::MAX, usize::MAX))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).get(0, 4))),
    ("Shape", "slice", |g| Ok(var(g, &[4]).get(0, usize::MAX))),
    ("Shape", "unfold", |g| Ok(var(g, &[4]).unfold(0, 5, 1))),
    ("Shape", "unfold", |g| Ok(var(g, &[4]).unfold(0, 0, 1))),
    ("Shape", "unfold", |g| Ok(var(g, &[4]).unfold(0, 1, 0))),
    ("Invalid", "clamp", |g| Ok(var(g, &[4]).clamp(1.0, -1.0))),
    ("Invalid", "clamp", |g| Ok(var(g, &[4]).clamp(f64::NAN, 1.0))),
    ("Invalid", "clamp", |g| Ok(var(g, &[4]).clamp(0.0, f64::NAN))),
    ("Invalid", "variable", |g| g.var(0)),
    ("Invalid", "variable", |g| g.var(usize::MAX)),
];

const INDICES: &[(&str, &str, Provoke)] = &[
    ("Invalid", "gather", |g| Ok(var(g, &[2, 3]).gather(&indices(&[0, 3], &[2, 1]), 1))),
    ("Invalid", "gather", |g| Ok(var(g, &[3]).gather(&Tensor::new(&[-1i64], &Device::Cpu)?, 0))),
    ("Invalid", "gather", |g| Ok(var(g, &[0]).gather(&indices(&[0], &[1]), 0))),
    ("Shape", "gather", |g| Ok(var(g, &[2, 3]).gather(&indices(&[0], &[1]), 1))),
    ("Shape", "gather", |g| Ok(var(g, &[2, 3]).gather(&indices(&[0, 0, 0], &[3, 1]), 1))),
    ("DType", "gather", |g| Ok(var(g, &[3]).gather(&vector(&[0.0]), 0))),
    ("DType", "gather", |g| Ok(var(g, &[3]).gather(&vector(&[1.5]).to_dtype(DType::F16)?, 0))),
    ("Invalid", "index_select", |g| Ok(var(g, &[3]).index_select(&indices(&[3], &[1]), 0))),
    ("Shape", "index_select", |g| Ok(var(g, &[3]).index_select(&indices(&[0], &[1, 1]), 0))),
    ("Shape", "index_select", |g| Ok(var(g, &[3]).index_select(&indices(&[0], &[]), 0))),
    ("DType", "index_select", |g| Ok(var(g, &[3]).index_select(&vector(&[0.0]), 0))),
    ("Invalid", "scatter_add", |g| {
        Ok(var(g, &[3]).scatter_add(&indices(&[3], &[1]), var(g, &[1]), 0))
    }),
    ("Shape", "scatter_add", |g| {
        Ok(var(g, &[3]).scatter_add(&indices(&[0, 1], &[2]), var(g, &[1]), 0))
    }),
    ("Invalid", "scatter", |g| Ok(var(g, &[3]).scatter(&indices(&[7], &[1]), var(g, &[1]), 0))),
    ("Shape", "scatter", |g| Ok(var(g, &[3]).scatter(&indices(&[0, 1], &[2]), var(g, &[1]), 0))),
    ("Shape", "index_add", |g| {
        Ok(var(g, &[3, 2]).index_add(&indices(&[0], &[1]), var(g, &[2]), 0))
    }),
    ("Invalid", "index_add", |g| {
        Ok(var(g, &[3, 2]).index_add(&indices(&[3], &[1]), var(g, &[1, 2]), 0))
    }),
    ("DType", "sum", |g| Ok(integers(g, &[3]).sum(()))),
    ("DType", "max", |g| Ok(integers(g, &[3]).max(()))),
    ("DType", "sin", |g| Ok(integers(g, &[3]).sin())),
    ("DType", "add", |g| Ok(integers(g, &[3]) + integers(g, &[3]))),
    ("DType", "matmul", |g| Ok(integers(g, &[3, 3]).matmul(integers(g, &[3, 3])))),
    ("DType", "cumsum", |g| Ok(integers(g, &[3]).cumsum(0))),
    ("DType", "cholesky", |g| Ok(integers(g, &[3, 3]).cholesky())),
    ("DType", "cast", |g| Ok(var(g, &[3]).cast(DType::U32))),
    ("DType", "cast", |g| Ok(var(g, &[3]).cast(DType::F16))),
    ("DType", "input", |g| Ok(g.input(&Tensor::new(&[1u32], &Device::Cpu)?))),
    ("DType", "input", |g| Ok(g.input(&vector(&[1.0]).to_dtype(DType::BF16)?))),
    ("DType", "add", |g| Ok(var(g, &[3]) + var(g, &[3]).cast(DType::F32))),
    ("DType", "cat", |g| Ok(g.cat(&[var(g, &[3]), var(g, &[3]).cast(DType::F32)], 0))),
    ("DType", "select", |g| Ok(var(g, &[3]).select(var(g, &[3]), var(g, &[3]).cast(DType::F32)))),
    ("DType", "solve", |g| {
        Ok(g.constant(&Tensor::eye(3, DType::F64, &Device::Cpu)?)
            .solve(var(g, &[3, 3]).cast(DType::F32)))
    }),
];

const NOTATION: &[(&str, &str, Provoke)] = &[
    ("Invalid", "einsum", |g| Ok(g.einsum("", &[]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ij", &[]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ij,jk->ik", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ij->ik", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ij->ii", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ijk->i", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("i1->i", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("i.->i", &[var(g, &[2, 2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("i->j->i", &[var(g, &[2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("->", &[var(g, &[2])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("ii->i", &[var(g, &[2, 3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("i,i->i", &[var(g, &[2]), var(g, &[3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("...i...j->ij", &[var(g, &[2, 3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("...ij->...i...j", &[var(g, &[2, 2, 3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("...ijk->...", &[var(g, &[2, 3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("...i,...i->...", &[var(g, &[2, 3]), var(g, &[4, 3])]))),
    ("Invalid", "einsum", |g| Ok(g.einsum("é->é", &[var(g, &[2])]))),
];

const VALUES: &[(&str, &str, Provoke)] = &[
    ("NotFinite", "input", |g| Ok(g.input(&vector(&[1.0, f64::NAN])))),
    ("NotFinite", "constant", |g| Ok(g.constant(&vector(&[f64::INFINITY])))),
    ("NotFinite", "constant", |g| Ok(g.scalar(f64::NEG_INFINITY))),
    ("NotFinite", "log", |g| Ok(var(g, &[2]).affine(-1.0, 0.0).log())),
    ("NotFinite", "log", |g| Ok(var(g, &[2]).zeros_like().log())),
    ("NotFinite", "log2", |g| Ok(var(g, &[2]).zeros_like().log2())),
    ("NotFinite", "log10", |g| Ok(var(g, &[2]).zeros_like().log10())),
    ("NotFinite", "log1p", |g| Ok(var(g, &[2]).affine(0.0, -1.0).log1p())),
    ("NotFinite", "sqrt", |g| Ok(var(g, &[2]).affine(-1.0, 0.0).sqrt())),
    ("NotFinite", "rsqrt", |g| Ok(var(g, &[2]).zeros_like().rsqrt())),
    ("NotFinite", "reciprocal", |g| Ok(var(g, &[2]).zeros_like().reciprocal())),
    ("NotFinite", "div", |g| Ok(var(g, &[2]) / var(g, &[2]).zeros_like())),
    ("NotFinite", "div", |g| Ok(var(g, &[2]) / 0.0)),
    ("NotFinite", "reciprocal", |g| Ok(1.0 / var(g, &[2]).zeros_like())),
    ("NotFinite", "powf", |g| Ok(var(g, &[2]).affine(-1.0, 0.0).powf(0.5))),
    ("NotFinite", "pow", |g| Ok(var(g, &[2]).affine(-1.0, 0.0).pow(var(g, &[2])))),
    ("NotFinite", "asin", |g| Ok(var(g, &[2]).affine(1.0, 2.0).asin())),
    ("NotFinite", "acos", |g| Ok(var(g, &[2]).affine(1.0, 2.0).acos())),
    ("NotFinite", "acosh", |g| Ok(var(g, &[2]).zeros_like().acosh())),
    ("NotFinite", "atanh", |g| Ok(var(g, &[2]).ones_like().atanh())),
    ("NotFinite", "exp", |g| Ok(g.scalar(1e3).exp())),
    ("NotFinite", "sqr", |g| Ok(g.scalar(1e200).sqr())),
    ("NotFinite", "sinh", |g| Ok(g.scalar(1e3).sinh())),
    ("NotFinite", "mul", |g| Ok(g.scalar(1e200) * g.scalar(1e200))),
    ("NotFinite", "affine", |g| Ok(var(g, &[2]) * f64::NAN)),
    ("NotFinite", "affine", |g| Ok(var(g, &[2]) + f64::INFINITY)),
    ("NotFinite", "sum", |g| Ok(g.constant(&vector(&[1e308, 1e308])).sum(()))),
    ("NotFinite", "cumsum", |g| Ok(g.constant(&vector(&[1e308, 1e308])).cumsum(0))),
    ("NotFinite", "matmul", |g| {
        let x = g.constant(&spread(&[2, 2], 1e200, 2e200, 1));
        Ok(x.matmul(x))
    }),
    ("NotFinite", "cast", |g| Ok(g.scalar(1e300).cast(DType::F32))),
];

/// Shapes whose size overflows or that no memory holds: refused before anything is allocated.
const ABSURD: &[(&str, &str, Provoke)] = &[
    ("Shape", "reshape", |g| Ok(var(g, &[4]).reshape(&[usize::MAX, 2]))),
    ("Shape", "reshape", |g| Ok(var(g, &[0]).reshape(&[1 << 63, 2]))),
    ("Shape", "reshape", |g| Ok(var(g, &[0]).reshape(&[0, usize::MAX, usize::MAX]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[1]).broadcast_to(&[1 << 40, 1 << 40]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[1]).broadcast_to(&[1 << 33]))),
    ("Shape", "broadcast_to", |g| Ok(var(g, &[0]).broadcast_to(&[usize::MAX, usize::MAX, 0]))),
    ("Shape", "pad", |g| Ok(var(g, &[2]).pad(0, usize::MAX, usize::MAX))),
    ("Shape", "pad", |g| Ok(var(g, &[2]).pad(0, 1 << 45, 0))),
    ("Shape", "pad", |g| Ok(var(g, &[2]).pad(0, 0, usize::MAX - 2))),
    ("Shape", "add", |g| Ok(wide(g) + wide(g).transpose(0, 1))),
    ("Shape", "equal", |g| Ok(wide(g).equal(wide(g).transpose(0, 1)))),
    ("Shape", "select", |g| Ok(wide(g).select(wide(g).transpose(0, 1), g.scalar(0.0)))),
    ("Shape", "mul", |g| {
        let x = wide(g).flatten();
        Ok(x.outer(x))
    }),
    ("Shape", "matmul", |g| Ok(wide(g).transpose(0, 1).matmul(wide(g)))),
    ("Shape", "diag", |g| Ok(wide(g).flatten().diag())),
    ("Shape", "index_select", |g| {
        let index = Tensor::zeros(1 << 18, DType::U32, &Device::Cpu)?;
        Ok(wide(g).index_select(&index, 0))
    }),
];

/// One row of 2¹⁸ numbers, whose square has 2³⁶.
fn wide(g: &Graph) -> Var<'_> {
    g.constant(&Tensor::zeros((1, 1 << 18), DType::F64, &Device::Cpu).unwrap())
}

type OverAxis = for<'g> fn(Var<'g>, i32) -> Var<'g>;

/// Operations over an axis × ranks × axes that are none of theirs.
fn axes(t: &mut Tally) {
    let operations: &[(&str, OverAxis)] = &[
        ("sum", |x, a| x.sum(a)),
        ("sum", |x, a| x.sum_keepdim(a)),
        ("mean", |x, a| x.mean(a)),
        ("mean", |x, a| x.mean_keepdim(a)),
        ("variance", |x, a| x.variance(a, 0)),
        ("max", |x, a| x.max(a)),
        ("min", |x, a| x.min(a)),
        ("logsumexp", |x, a| x.logsumexp(a)),
        ("softmax", |x, a| x.softmax(a)),
        ("log_softmax", |x, a| x.log_softmax(a)),
        ("cumsum", |x, a| x.cumsum(a)),
        ("normalize", |x, a| x.normalize(a)),
        ("squeeze", |x, a| x.squeeze(a)),
        ("transpose", |x, a| x.transpose(0, a)),
        ("slice", |x, a| x.slice(a, 0, 1, 1)),
        ("get", |x, a| x.get(a, 0)),
        ("flip", |x, a| x.flip(a)),
        ("roll", |x, a| x.roll(a, 1)),
        ("pad", |x, a| x.pad(a, 1, 1)),
        ("unfold", |x, a| x.unfold(a, 1, 1)),
        ("gather", |x, a| x.gather(&indices(&[0], &[1]), a)),
        ("index_select", |x, a| x.index_select(&indices(&[0], &[1]), a)),
        ("permute", |x, a| x.permute(&[a, 1, 2])),
        ("cat", |x, a| x.graph().cat(&[x, x], a)),
        ("unsqueeze", |x, a| {
            x.unsqueeze(if a < 0 { a.saturating_sub(1) } else { a.saturating_add(1) })
        }),
        ("stack", |x, a| {
            x.graph().stack(&[x, x], if a < 0 { a.saturating_sub(1) } else { a.saturating_add(1) })
        }),
    ];
    for (name, operation) in operations {
        for dims in [&[3usize, 1, 2] as &[usize], &[4, 2, 5], &[0, 1, 2]] {
            for axis in [3, 4, 100, i32::MAX, -4, -5, -100, i32::MIN] {
                let run = || operation(var(&Graph::new(), dims), axis).value().map(|_| ());
                let right = |e: &pullback_core_graph::Error| kind(e) == "Shape" && names(e, name);
                t.expect(|| format!("{name} over axis {axis} of {dims:?}"), run, right);
            }
        }
    }
    for axes in [&[0, 0] as &[i32], &[0, -3], &[1, 2, 1]] {
        let run = || var(&Graph::new(), &[3, 1, 2]).sum(axes).value().map(|_| ());
        t.expect(|| format!("sum over {axes:?}"), run, |e| kind(e) == "Shape" && names(e, "sum"));
    }
}

type OfTwo = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;

/// Operations of two variables × shapes that do not broadcast.
fn broadcasts(t: &mut Tally) {
    let operations: &[(&str, OfTwo)] = &[
        ("add", |x, y| x + y),
        ("sub", |x, y| x - y),
        ("mul", |x, y| x * y),
        ("div", |x, y| x / y),
        ("pow", |x, y| x.pow(y)),
        ("pow_slope", |x, y| x.pow_slope(y)),
        ("log_times", |x, y| x.log_times(y)),
        ("atan2", |x, y| x.atan2(y)),
        ("hypot", |x, y| x.hypot(y)),
        ("cosine", |x, y| x.cosine(y)),
        ("maximum", |x, y| x.maximum(y)),
        ("minimum", |x, y| x.minimum(y)),
        ("logaddexp", |x, y| x.logaddexp(y)),
        ("safe_div", |x, y| x.safe_div(y)),
        ("equal", |x, y| x.equal(y)),
        ("less", |x, y| x.less(y)),
        ("less_equal", |x, y| x.less_equal(y)),
    ];
    let shapes: &[(&[usize], &[usize])] = &[
        (&[2], &[3]),
        (&[2, 3], &[2]),
        (&[2, 3], &[3, 2]),
        (&[4, 1, 3], &[4, 2]),
        (&[0], &[2]),
        (&[3, 0], &[3, 2]),
        (&[2, 1, 2, 2], &[3, 2, 3, 2]),
    ];
    for (name, operation) in operations {
        for (a, b) in shapes.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
            let run = || {
                let graph = Graph::new();
                operation(var(&graph, a), var(&graph, b)).value().map(|_| ())
            };
            let right = |e: &pullback_core_graph::Error| kind(e) == "Shape" && names(e, name);
            t.expect(|| format!("{name} of {a:?} and {b:?}"), run, right);
        }
    }
}

/// Products and solves × shapes that do not fit.
fn products(t: &mut Tally) {
    let operations: &[(&[&str], OfTwo)] = &[
        (&["matmul"], |x, y| x.matmul(y)),
        (&["linear solve", "lu", "solve"], |x, y| x.solve(y)),
        (&["linear solve", "cholesky", "cholesky_solve"], |x, y| x.cholesky_solve(y)),
        (&["linear solve", "triangular_solve"], |x, y| x.triangular_solve(y, Triangle::LOWER)),
    ];
    let shapes: &[(&[usize], &[usize])] = &[
        (&[], &[2, 2]),
        (&[2], &[2, 2]),
        (&[2, 2], &[2]),
        (&[2, 2], &[]),
        (&[2, 3], &[2, 3]),
        (&[2, 2], &[3, 3]),
        (&[2, 2, 2], &[3, 2, 2]),
        (&[2, 3, 2, 2], &[3, 2, 2, 2]),
        (&[0, 2, 2], &[2, 2, 2]),
    ];
    for (nodes, operation) in operations {
        for &(a, b) in shapes {
            let run = || {
                let graph = Graph::new();
                operation(stable(&graph, a), var(&graph, b)).value().map(|_| ())
            };
            let right = |e: &pullback_core_graph::Error| {
                kind(e) == "Shape" && nodes.iter().any(|n| names(e, n))
            };
            t.expect(|| format!("{} of {a:?} and {b:?}", nodes[0]), run, right);
        }
    }
}

/// Identity matrices where the shape allows it: only the shapes are wrong.
fn stable<'g>(g: &'g Graph, dims: &[usize]) -> Var<'g> {
    match dims {
        [.., m, n] if m == n => {
            let eye = Tensor::eye(*n, DType::F64, &Device::Cpu).unwrap();
            g.input(&eye.broadcast_as(dims).unwrap())
        }
        _ => var(g, dims),
    }
}

/// Dense derivatives that no memory holds; derivatives with respect to integers; graphs that do not check what they hold.
fn jacobians(t: &mut Tally) {
    let wide_jacobian = || {
        let graph = Graph::new();
        let x = graph.input(&spread(&[1 << 15], 0.0, 1.0, 1));
        graph.total(x.sin(), x).map(|_| ())
    };
    let vast = || {
        let graph = Graph::new();
        let x = var(&graph, &[1]).broadcast_to(&[1 << 31]);
        graph.cat(&[x, x], 0).value().map(|_| ())
    };
    t.expect(
        || "two views of 2³¹ numbers in a row".into(),
        vast,
        |e| kind(e) == "Shape" && names(e, "cat"),
    );
    t.expect(|| "a wide Jacobian".into(), wide_jacobian, |e| kind(e) == "Shape" && names(e, "sin"));
    let unchecked = || {
        let graph = Graph::with_options(Options { finite: false });
        let x = graph.input(&Tensor::full(f64::NAN, (3, 3), &Device::Cpu)?);
        x.svd().map(|_| ())
    };
    t.expect(
        || "svd of NaN in an unchecked graph".into(),
        unchecked,
        |e| kind(e) == "NotFinite" && names(e, "svd"),
    );
}
