//! Derivatives of the derivative: both chain rules as functions, written with the operations of the graph and one more program.
//!
//! With the active rows J, (u, v) = K⁻¹(a, b) is the solution of min ½uᵀQu − aᵀu s.t. Ju = b: a program without inequalities, whose own
//! derivative is that of a [`QpFunction`]. So both rules are differentiable to every order. Near a regular solution the active rows stay
//! as they are; at weakly active rows the derivative has a jump, and there is no second one unless the policy takes a side.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::{from_vec, is_real, to_f64};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, Graph, LinearMap, Result as NetworkResult, Var,
    Wrt, function,
};

use super::data::ARGUMENTS;
use super::node::QpFunction;
use super::solve::Qp;
use crate::node::external;
use crate::{Degenerate, Error, Unsolved};

/// What a rule is given: the point, and directions or cotangents.
struct Given<'g> {
    /// Q, q, A, b, G, h; those without numbers are missing.
    arguments: [Option<Var<'g>>; 6],
    /// x, ν, λ.
    solution: [Option<Var<'g>>; 3],
    /// 1 where there is a solution, if that is an output.
    mask: Option<Var<'g>>,
    rest: Vec<Var<'g>>,
    lead: Vec<usize>,
}

/// The rules of one node.
#[derive(Clone)]
struct Rule {
    node: QpFunction,
    /// Which of the six arguments are inputs, and which of these are marked.
    inputs: Vec<(usize, bool)>,
}

impl QpFunction {
    /// (x…, y…, dx…) ↦ dy…
    pub(super) fn tangent_rule(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let rule = self.rule(wrt)?;
        let name = format!("{}.tangent", self.name());
        let inner = function(name, move |graph, v| rule.tangent(graph, v));
        Ok(self.with_mask(inner, true))
    }

    /// (x…, y…, dy…) ↦ dx…
    pub(super) fn adjoint_rule(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let rule = self.rule(wrt)?;
        let name = format!("{}.adjoint", self.name());
        let inner = function(name, move |graph, v| rule.adjoint(graph, v));
        Ok(self.with_mask(inner, false))
    }

    fn with_mask(&self, inner: Arc<dyn Function>, ends_with_mask: bool) -> Arc<dyn Function> {
        match self.unsolved {
            Unsolved::Mask => Arc::new(WithMask { inner, ends_with_mask }),
            Unsolved::Refuse => inner,
        }
    }

    fn rule(&self, wrt: Wrt<'_>) -> NetworkResult<Rule> {
        // A point of the central path is not the solution that the rules are given.
        if matches!(self.policy, Degenerate::CentralPath(_)) {
            return Err(NetworkError::NoHigherOrder { node: self.name().into() });
        }
        let (_, p, m) = self.qp.sizes();
        let present = [true, true, p > 0, p > 0, m > 0, m > 0];
        let inputs = (0..6).filter(|&k| present[k]).enumerate();
        let inputs = inputs.map(|(i, k)| (k, wrt.needs(i))).collect();
        Ok(Rule { node: self.clone(), inputs })
    }
}

impl Rule {
    fn given<'g>(&self, v: &[Var<'g>], more: usize) -> NetworkResult<Given<'g>> {
        let (n, p, m) = self.node.qp.sizes();
        let masked = self.node.unsolved == Unsolved::Mask;
        let outputs = 1 + [p > 0, m > 0, masked].into_iter().filter(|b| *b).count();
        let expected = self.inputs.len() + outputs + more.min(outputs);
        if v.len() < self.inputs.len() + outputs {
            let node = self.node.name().into();
            return Err(NetworkError::Arity { node, what: "inputs", expected, got: v.len() });
        }
        let mut next = v.iter().copied();
        let mut arguments = [None; 6];
        for (k, _) in &self.inputs {
            arguments[*k] = next.next();
        }
        let solution = [n, p, m].map(|k| if k > 0 { next.next() } else { None });
        let mask = if masked { next.next() } else { None };
        let mut lead = solution[0].map_or(Ok(vec![]), Var::dims)?;
        lead.pop();
        Ok(Given { arguments, solution, mask, rest: next.collect(), lead })
    }

    /// (u, v_A, v_G) of the active rows' system with (a, b_A, b_G) on the right.
    fn solve<'g>(
        &self,
        graph: &'g Graph,
        given: &Given<'g>,
        right: [Option<Var<'g>>; 3],
    ) -> NetworkResult<[Option<Var<'g>>; 3]> {
        let (n, p, m) = self.node.qp.sizes();
        let [q_matrix, q, a, _, g, h] = given.arguments;
        let (Some(q_matrix), Some(x), Some(right_d)) = (q_matrix, given.solution[0], right[0])
        else {
            return Ok([None; 3]);
        };
        let mut active = None;
        let (mut rows, mut right_p) = (Vec::new(), Vec::new());
        let wide = |v: Var<'g>, dims: &[usize]| v.broadcast_to(&[&given.lead, dims].concat());
        if let (Some(a), Some(b)) = (a, right[1]) {
            rows.push(wide(a, &[p, n]));
            right_p.push(b);
        }
        if let (Some(g), Some(h), Some(q), Some(b), Some(lambda)) =
            (g, h, q, right[2], given.solution[2])
        {
            let qp = &self.node.qp;
            let find = ActiveRows { qp: qp.clone(), policy: self.node.policy.clone() };
            let find: Arc<dyn Function> = Arc::new(find);
            let mut point = [q_matrix, q, g, h, x, lambda].map(Var::detach).to_vec();
            point.extend(given.mask.map(Var::detach));
            let on = graph.apply(&find, &point)?[0];
            rows.push(wide(g, &[m, n]) * on.unsqueeze(-1));
            right_p.push(b * on);
            active = Some(on);
        }
        let mut q_matrix = q_matrix;
        if let Some(mask) = given.mask {
            // Where there is no solution there is nothing to solve: the identity in the place of Q.
            let one = mask.cast(x.dtype()?).unsqueeze(-1).unsqueeze(-1);
            let identity = graph.constant(&eye(n, x)?);
            q_matrix = q_matrix * one + identity * (one.ones_like() - one);
        }
        let name = format!("{}.solve", self.node.name());
        let linear = Qp::new(n).equalities(p + m).name(name).settings(self.node.qp.settings);
        let linear = linear.function().build();
        let out = if rows.is_empty() {
            graph.apply(&linear, &[q_matrix, -right_d])?
        } else {
            let (rows, right_p) = (graph.cat(&rows, -2), graph.cat(&right_p, -1));
            graph.apply(&linear, &[q_matrix, -right_d, rows, right_p])?
        };
        let part =
            |from: usize, k: usize| out.get(1).filter(|_| k > 0).map(|v| v.narrow(-1, from, k));
        let v_g = part(p, m).zip(active).map(|(v, on)| v * on);
        Ok([Some(out[0]), part(0, p), v_g])
    }

    fn adjoint<'g>(&self, graph: &'g Graph, v: &[Var<'g>]) -> NetworkResult<Vec<Var<'g>>> {
        let given = self.given(v, usize::MAX)?;
        let (n, p, m) = self.node.qp.sizes();
        let mut rest = given.rest.iter().copied();
        let right = [n, p, m].map(|k| if k > 0 { rest.next() } else { None });
        let [u, v_a, v_g] = self.solve(graph, &given, right)?;
        let [x, nu, lambda] = given.solution;
        let outer = |a: Option<Var<'g>>, b: Option<Var<'g>>| {
            a.zip(b).map(|(a, b)| a.unsqueeze(-1) * b.unsqueeze(-2))
        };
        let pulled = |k: usize| match k {
            0 => outer(u, x).map(|ux| -0.5 * (ux + ux.t())),
            1 => u.map(|u| -u),
            2 => outer(nu, u).zip(outer(v_a, x)).map(|(a, b)| -(a + b)),
            3 => v_a,
            4 => outer(lambda, u).zip(outer(v_g, x)).map(|(a, b)| -(a + b)),
            _ => v_g,
        };
        let mut out = Vec::new();
        for &(k, _) in self.inputs.iter().filter(|(_, marked)| *marked) {
            let (Some(d), Some(input)) = (pulled(k), given.arguments[k]) else {
                return Err(NetworkError::invalid(self.node.name(), "a rule without its inputs"));
            };
            // An argument without batch dimensions is shared.
            let extra = d.dims()?.len() - input.dims()?.len();
            let axes: Vec<i32> = (0..extra as i32).collect();
            out.push(if extra > 0 { d.sum(axes.as_slice()) } else { d });
        }
        Ok(out)
    }

    fn tangent<'g>(&self, graph: &'g Graph, v: &[Var<'g>]) -> NetworkResult<Vec<Var<'g>>> {
        let marked = self.inputs.iter().filter(|(_, marked)| *marked).count();
        let given = self.given(v, marked)?;
        let mut rest = given.rest.iter().copied();
        let mut d = [None; 6];
        for &(k, _) in self.inputs.iter().filter(|(_, marked)| *marked) {
            d[k] = rest.next();
        }
        let [x, nu, lambda] = given.solution;
        let Some(point) = x else { return Ok(vec![]) };
        let times = |m: Var<'g>, v: Var<'g>| m.matmul(v.unsqueeze(-1)).squeeze(-1);
        let mut right_d = point.zeros_like();
        if let Some(d) = d[0] {
            right_d = right_d - 0.5 * times(d + d.t(), point);
        }
        if let Some(d) = d[1] {
            right_d = right_d - d;
        }
        for (d, y) in [(d[2], nu), (d[4], lambda)] {
            if let (Some(d), Some(y)) = (d, y) {
                right_d = right_d - times(d.t(), y);
            }
        }
        let right_p = |y: Option<Var<'g>>, matrix: Option<Var<'g>>, vector: Option<Var<'g>>| {
            let mut out = y?.zeros_like();
            if let Some(d) = matrix {
                out = out - times(d, point);
            }
            if let Some(d) = vector {
                out = out + d;
            }
            Some(out)
        };
        let right = [Some(right_d), right_p(nu, d[2], d[3]), right_p(lambda, d[4], d[5])];
        let mut out: Vec<Var<'g>> =
            self.solve(graph, &given, right)?.into_iter().flatten().collect();
        out.extend(given.mask.map(Var::zeros_like));
        Ok(out)
    }
}

fn eye(n: usize, like: Var<'_>) -> NetworkResult<Tensor> {
    let data = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0))).collect();
    Ok(from_vec(data, &[n, n], &like.device()?)?.to_dtype(like.dtype()?)?)
}

/// (Q, q, G, h, x, λ, and where there is a solution) ↦ 1 for the inequalities that hold with equality, else 0; piecewise constant.
struct ActiveRows {
    qp: Qp,
    policy: Degenerate,
}

impl ActiveRows {
    /// The item's rows, each by slack and multiplier in about the solver's scaled units.
    fn item(
        &self,
        item: usize,
        weak: f64,
        [q_matrix, q, g, h, x, lambda]: [&[f64]; 6],
    ) -> Result<Vec<f64>, Error> {
        let n = x.len();
        let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let or_one = |x: f64| if x > 0.0 { x } else { 1.0 };
        let cost = or_one(largest(q_matrix).max(largest(q)));
        let one = |i: usize| {
            let row = &g[i * n..(i + 1) * n];
            let size = or_one(largest(row));
            let slack = h[i] - row.iter().zip(x).map(|(g, x)| g * x).sum::<f64>();
            if weak < lambda[i] * size / cost {
                Ok(1.0)
            } else if weak < slack / size {
                Ok(0.0)
            } else {
                match self.policy {
                    Degenerate::Active => Ok(1.0),
                    Degenerate::Inactive => Ok(0.0),
                    _ => Err(i),
                }
            }
        };
        (0..lambda.len()).map(one).collect::<Result<_, usize>>().map_err(|i| {
            let why =
                format!("inequality {i} is weakly active, so its derivative has a jump there");
            Error::NotDifferentiable { node: self.qp.name.clone(), item, why }
        })
    }
}

impl Function for ActiveRows {
    fn name(&self) -> &str {
        "active rows"
    }

    fn eval(&self, t: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let (n, _, m) = self.qp.sizes();
        let [_, _, _, _, x, lambda, ..] = t else {
            let (node, what) = (self.name().into(), "inputs");
            return Err(NetworkError::Arity { node, what, expected: 6, got: t.len() });
        };
        let batch = x.elem_count() / n;
        let all: Vec<Vec<f64>> = t.iter().map(to_f64).collect::<NetworkResult<_>>()?;
        let sizes = [n * n, n, m * n, m, n, m];
        // Half of the digits of f32 are less than the setting.
        let weak = self.qp.settings.weak.max(if x.dtype() == DType::F32 { 1e-5 } else { 0.0 });
        let mut out = Vec::with_capacity(batch * m);
        let solved = |item: usize| all.get(6).and_then(|mask| mask.get(item)) != Some(&0.0);
        for item in 0..batch {
            if !solved(item) {
                out.resize(out.len() + m, 0.0);
                continue;
            }
            let mut parts = [&[][..]; 6];
            for (k, (all, size)) in all.iter().zip(sizes).enumerate() {
                let start = if all.len() == size { 0 } else { item * size };
                parts[k] = all.get(start..start + size).ok_or_else(|| {
                    let what = format!("{} of another batch", ARGUMENTS[k]);
                    NetworkError::invalid(self.name(), what)
                })?;
            }
            out.extend(self.item(item, weak, parts).map_err(|e| external(&self.qp.name, e))?);
        }
        Ok(vec![from_vec(out, lambda.dims(), lambda.device())?.to_dtype(lambda.dtype())?])
    }

    fn linearize(
        &self,
        _: &[Tensor],
        _: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        // Its inputs are detached.
        Err(NetworkError::NoHigherOrder { node: self.name().into() })
    }
}

/// A rule that is given masks of integers, which closures take for inputs that could move.
struct WithMask {
    inner: Arc<dyn Function>,
    /// Is the last output the direction of the mask?
    ends_with_mask: bool,
}

impl WithMask {
    fn inputs(x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let dtype = x.first().map_or(DType::F64, Tensor::dtype);
        x.iter().map(|t| if is_real(t) { Ok(t.clone()) } else { Ok(t.to_dtype(dtype)?) }).collect()
    }

    fn outputs(&self, mut y: Vec<Tensor>) -> NetworkResult<Vec<Tensor>> {
        if let Some(last) = y.last_mut().filter(|_| self.ends_with_mask) {
            *last = last.to_dtype(DType::U32)?;
        }
        Ok(y)
    }
}

impl Function for WithMask {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        self.outputs(self.inner.eval(&Self::inputs(x)?)?)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let marks: Vec<bool> = (0..x.len()).map(|i| wrt.needs(i) && is_real(&x[i])).collect();
        let (y, map) = self.inner.linearize(&Self::inputs(x)?, Wrt(&marks))?;
        let last = self.ends_with_mask.then(|| y.len().saturating_sub(1));
        Ok((self.outputs(y)?, Box::new(WithoutMask { map, marks, last })))
    }
}

/// The same map, in which masks do not move.
struct WithoutMask {
    map: Box<dyn LinearMap>,
    marks: Vec<bool>,
    last: Option<usize>,
}

impl LinearMap for WithoutMask {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let marked = |(d, m): (&Option<Tensor>, &bool)| d.clone().filter(|_| *m);
        let dx: Direction = dx.iter().zip(&self.marks).map(marked).collect();
        let mut dy = self.map.push(&dx)?;
        if let Some(d) = self.last.and_then(|k| dy.get_mut(k)) {
            *d = None;
        }
        Ok(dy)
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let mut dy = dy.to_vec();
        if let Some(d) = self.last.and_then(|k| dy.get_mut(k)) {
            *d = None;
        }
        self.map.pull(&dy)
    }
}
