//! Functions and primitives of users that break the contract: wrong numbers, shapes and element types of what they return.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::primitive::{Slots, Values};
use pullback_core_graph::{
    Direction, Error, Function, Graph, LinearMap, Op, Primitive, Result, Var, Wrt, checkpoint,
    function,
};

use super::super::operations::spread;
use super::{Tally, kind, names};

/// How something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    TooFew,
    TooMany,
    Shape,
    SameCount,
    Type,
    NotFinite,
}

const FAULTS: [(Fault, &str); 6] = [
    (Fault::TooFew, "Arity"),
    (Fault::TooMany, "Arity"),
    (Fault::Shape, "Shape"),
    (Fault::SameCount, "Shape"),
    (Fault::Type, "DType"),
    (Fault::NotFinite, "NotFinite"),
];

impl Fault {
    /// The tensors, spoiled.
    fn on(self, mut d: Vec<Tensor>) -> Vec<Tensor> {
        let Some(first) = d.first().cloned() else { return d };
        match self {
            Fault::None => {}
            Fault::TooFew => drop(d.pop()),
            Fault::TooMany => d.push(first),
            Fault::Shape => d[0] = Tensor::zeros(7, first.dtype(), first.device()).unwrap(),
            Fault::SameCount => d[0] = first.flatten_all().unwrap(),
            Fault::Type => d[0] = first.to_dtype(DType::F32).unwrap(),
            Fault::NotFinite => d[0] = first.affine(0.0, f64::NAN).unwrap(),
        }
        d
    }
}

pub(super) fn all(t: &mut Tally) {
    for (fault, variant) in FAULTS {
        sweeps(t, fault, variant);
        primitives(t, fault, variant);
        higher_order(t, fault, variant);
    }
    values(t);
}

/// (x, y) ↦ (x, y) with derivatives that are wrong in one way.
#[derive(Clone, Copy)]
struct Pair {
    push: Fault,
    pull: Fault,
    tangent: Fault,
    adjoint: Fault,
}

const SOUND: Pair =
    Pair { push: Fault::None, pull: Fault::None, tangent: Fault::None, adjoint: Fault::None };

impl Function for Pair {
    fn name(&self) -> &str {
        "pair"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(x.to_vec())
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((x.to_vec(), Box::new(*self)))
    }
    fn tangent(&self, _: Wrt<'_>) -> Result<Arc<dyn Function>> {
        Ok(derivative("pair.tangent", self.tangent))
    }
    fn adjoint(&self, _: Wrt<'_>) -> Result<Arc<dyn Function>> {
        Ok(derivative("pair.adjoint", self.adjoint))
    }
}

/// The last two of six inputs, spoiled.
fn derivative(name: &str, fault: Fault) -> Arc<dyn Function> {
    function(name, move |g, v| {
        let d = v[4..].iter().map(|v| v.value()).collect::<Result<Vec<_>>>()?;
        Ok(fault.on(d).iter().map(|t| g.constant(t)).collect())
    })
}

impl LinearMap for Pair {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        Ok(spoiled(self.push, dx))
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        Ok(spoiled(self.pull, dy))
    }
}

fn spoiled(fault: Fault, d: &[Option<Tensor>]) -> Direction {
    match fault {
        Fault::None => d.to_vec(),
        _ => fault.on(d.iter().flatten().cloned().collect()).into_iter().map(Some).collect(),
    }
}

fn points() -> [Tensor; 2] {
    [spread(&[2, 3], 0.5, 1.5, 1), spread(&[2, 3], 0.5, 1.5, 2)]
}

/// A function as a node, alone, checkpointed and inside another: the node is named.
fn sweeps(t: &mut Tally, fault: Fault, variant: &str) {
    for (side, pair) in
        [("push", Pair { push: fault, ..SOUND }), ("pull", Pair { pull: fault, ..SOUND })]
    {
        let plain: Arc<dyn Function> = Arc::new(pair);
        let inner = plain.clone();
        let outer = function("outer", move |g, v| g.apply(&inner, v));
        let forms = [
            (plain.clone(), "pair#2"),
            (checkpoint(plain), "pair#2"),
            (outer.clone(), "outer#2/pair#2"),
            (checkpoint(outer), "outer#2/pair#2"),
        ];
        for (f, node) in forms {
            let run = || {
                let graph = Graph::new();
                let x = points().map(|t| graph.input(&t));
                let y = graph.apply(&f, &x)?;
                let ones = points()[0].ones_like()?;
                match side {
                    "push" => graph.push(&[(x[0], ones.clone()), (x[1], ones)], &y).map(|_| ()),
                    _ => graph.pull(&[(y[0], ones.clone()), (y[1], ones)], &x).map(|_| ()),
                }
            };
            t.expect(
                || format!("{node} whose {side} has a fault: {fault:?}"),
                run,
                |e| kind(e) == variant && e.node() == node,
            );
        }
    }
}

/// Derivative functions of a function: what they return is checked too.
fn higher_order(t: &mut Tally, fault: Fault, variant: &str) {
    for side in ["tangent", "adjoint"] {
        let pair = match side {
            "tangent" => Pair { tangent: fault, ..SOUND },
            _ => Pair { adjoint: fault, ..SOUND },
        };
        let f: Arc<dyn Function> = Arc::new(pair);
        let run = || {
            let graph = Graph::new();
            let x = points().map(|t| graph.input(&t));
            let y = graph.apply(&f, &x)?;
            let one = x[0].ones_like();
            match side {
                "tangent" => graph.record_push(&[(x[0], one), (x[1], one)], &y).map(|_| ()),
                _ => graph.record_pull(&[(y[0], one), (y[1], one)], &x).map(|_| ()),
            }
        };
        t.expect(
            || format!("a function whose {side} has a fault: {fault:?}"),
            run,
            |e| kind(e) == variant && e.node().starts_with("pair"),
        );
    }
}

/// A primitive whose rules are wrong in one way; made of variables, so a NaN shows as a division by zero.
struct Rule {
    push: Fault,
    pull: Fault,
}

fn spoiled_vars<'g>(fault: Fault, d: &[Option<Var<'g>>]) -> Slots<'g> {
    let mut d: Slots<'g> = d.iter().copied().collect();
    let Some(Some(first)) = d.first().copied() else { return d };
    match fault {
        Fault::None => {}
        Fault::TooFew => drop(d.pop()),
        Fault::TooMany => d.push(Some(first)),
        Fault::Shape => d[0] = Some(first.sum(())),
        Fault::SameCount => d[0] = Some(first.flatten()),
        Fault::Type => d[0] = Some(first.cast(DType::F32)),
        Fault::NotFinite => d[0] = Some(first / first.zeros_like()),
    }
    d
}

impl Primitive for Rule {
    fn name(&self) -> &str {
        "rule"
    }
    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(x.iter().map(|t| (*t).clone()).collect())
    }
    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Ok(spoiled_vars(self.push, dx))
    }
    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Ok(spoiled_vars(self.pull, dy))
    }
}

fn primitives(t: &mut Tally, fault: Fault, variant: &str) {
    for side in ["push", "pull"] {
        let rule = || match side {
            "push" => Rule { push: fault, pull: Fault::None },
            _ => Rule { push: Fault::None, pull: fault },
        };
        for recorded in [false, true] {
            let run = || {
                let graph = Graph::new();
                let x = points().map(|t| graph.input(&t));
                let y = graph.record_all(Arc::new(rule()), &x)?;
                let one = x[0].ones_like();
                let seeds = |v: &[Var<'_>]| -> Result<Vec<_>> {
                    v.iter().map(|v| Ok((v.index()?, one.value()?))).collect()
                };
                let values = |v: &[Var<'_>]| -> Result<Vec<_>> {
                    seeds(v)?.into_iter().map(|(i, t)| Ok((graph.var(i)?, t))).collect()
                };
                match (side, recorded) {
                    ("push", false) => graph.push(&values(&x)?, &y).map(|_| ()),
                    ("pull", false) => graph.pull(&values(&y)?, &x).map(|_| ()),
                    ("push", _) => graph.record_push(&[(x[0], one), (x[1], one)], &y).map(|_| ()),
                    _ => graph.record_pull(&[(y[0], one), (y[1], one)], &x).map(|_| ()),
                }
            };
            // Recorded, the division is a node of its own.
            let right = |e: &Error| {
                kind(e) == variant
                    && (names(e, "rule")
                        || recorded && fault == Fault::NotFinite && names(e, "div"))
            };
            t.expect(
                || format!("a primitive whose {side} has a fault: {fault:?}, recorded: {recorded}"),
                run,
                right,
            );
        }
        let run = || {
            let ones: Direction = points().iter().map(|t| Some(t.ones_like().unwrap())).collect();
            let (_, map) = Op::new(rule()).linearize(&points(), Wrt(&[true, true]))?;
            match side {
                "push" => map.push(&ones).map(|_| ()),
                _ => map.pull(&ones).map(|_| ()),
            }
        };
        t.expect(
            || format!("an Op whose {side} has a fault: {fault:?}"),
            run,
            |e| kind(e) == variant && names(e, "rule"),
        );
    }
}

/// A primitive without outputs, with NaN; a function with NaN, without second order, with a typed error of its own.
struct Eval(fn() -> Result<Values>);

impl Primitive for Eval {
    fn name(&self) -> &str {
        "eval"
    }
    fn eval(&self, _: &[&Tensor]) -> Result<Values> {
        (self.0)()
    }
    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Ok(dx.iter().copied().collect())
    }
    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Ok(dy.iter().copied().collect())
    }
}

fn nan() -> Result<Values> {
    Ok([Tensor::new(f64::NAN, &Device::Cpu)?].into_iter().collect())
}

fn values(t: &mut Tally) {
    let one = Tensor::new(1.0, &Device::Cpu).unwrap();
    let makers: [(&str, fn() -> Result<Values>); 2] =
        [("Arity", || Ok(Values::new())), ("NotFinite", nan)];
    for (variant, make) in makers {
        let run = || {
            let graph = Graph::new();
            graph.record(Eval(make), &[graph.input(&one)]).ok().map(|_| ())
        };
        let right = |e: &Error| kind(e) == variant && e.node() == "eval#1";
        t.expect(|| format!("a primitive that evaluates to {variant}"), run, right);
    }
    let nothing = || Op::new(Eval(nan)).eval(std::slice::from_ref(&one)).map(|_| ());
    t.expect(
        || "an Op that evaluates to NaN".into(),
        nothing,
        |e| kind(e) == "NotFinite" && names(e, "eval"),
    );
    let inner = function("inner", |_, v| Ok(vec![v[0].affine(-1.0, 0.0).log()]));
    let outer = function("outer", move |g, v| g.apply(&inner, v));
    let run = || {
        let graph = Graph::new();
        graph.apply(&outer, &[graph.input(&one)]).map(|_| ())
    };
    t.expect(
        || "an error two functions deep".into(),
        run,
        |e| kind(e) == "NotFinite" && e.node() == "outer#1/inner#1/log#2",
    );
}
