//! The laws of the derivative functions.

use std::sync::Arc;

use candle_core::Tensor;

use super::direction::{Noise, norm, real_slots, sub};
use super::{Tolerances, dense, law, laws};
use crate::tensor::is_real;
use crate::{Direction, Function, Result, Wrt};

/// Tests that `tangent()` and `adjoint()` equal push and pull, and obey the first-order laws as functions of their own.
///
/// Applied to `f.adjoint(..)` again, it tests third order. Errors: `NoHigherOrder` where the function offers none.
pub fn second_order(f: &Arc<dyn Function>, x: &[Tensor], tolerances: &Tolerances) -> Result<()> {
    let wrt: Vec<bool> = x.iter().map(is_real).collect();
    let (y, map) = f.linearize(x, Wrt(&wrt))?;
    let mut noise = Noise::new(tolerances.seed + 17);
    let (u, v) = (noise.directions(x)?, noise.directions(&y)?);

    let tangent = f.tangent(Wrt(&wrt))?;
    let arguments = |d: &Direction| -> Vec<Tensor> {
        x.iter().chain(&y).cloned().chain(d.iter().flatten().cloned()).collect()
    };
    let with_directions = |x: &[Tensor], d: &Direction| -> Vec<Tensor> {
        x.iter().cloned().chain(d.iter().flatten().cloned()).collect()
    };
    let pushed = dense(map.push(&u)?, &y)?;
    let recorded: Direction = tangent.eval(&arguments(&u))?.into_iter().map(Some).collect();
    agree(f.name(), "tangent equals push", &recorded, &pushed, tolerances)?;
    laws(&along_graph(f, &tangent, x.len()), &with_directions(x, &u), tolerances)?;

    let adjoint = f.adjoint(Wrt(&wrt))?;
    let pulled = dense(map.pull(&v)?, x)?;
    let pulled: Direction = real_slots(x).into_iter().map(|i| pulled[i].clone()).collect();
    let recorded: Direction = adjoint.eval(&arguments(&v))?.into_iter().map(Some).collect();
    agree(f.name(), "adjoint equals pull", &recorded, &pulled, tolerances)?;
    laws(&along_graph(f, &adjoint, x.len()), &with_directions(x, &v), tolerances)?;
    Ok(())
}

fn agree(
    name: &str,
    which: &'static str,
    a: &Direction,
    b: &Direction,
    t: &Tolerances,
) -> Result<()> {
    let error = norm(&sub(a, b)?)?;
    if a.len() != b.len() || t.dot * norm(b)?.max(f64::MIN_POSITIVE) < error {
        return Err(law(name, which, format!("they differ by {error:e}")));
    }
    Ok(())
}

/// A derivative function reads y = f(x) beside x. To perturb both apart would leave that surface, so y is computed from x here.
fn along_graph(
    f: &Arc<dyn Function>,
    derivative: &Arc<dyn Function>,
    n_x: usize,
) -> Arc<dyn Function> {
    let (f, derivative) = (f.clone(), derivative.clone());
    crate::function(derivative.name().to_string(), move |g, v| {
        let (x, d) = v.split_at(n_x);
        let y = g.apply(&f, x)?;
        let arguments: Vec<_> = x.iter().chain(&y).chain(d).copied().collect();
        g.apply(&derivative, &arguments)
    })
}
