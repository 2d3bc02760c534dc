//! Cross entropy where several answers are right, or where not every answer is allowed.

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::{Error, Result, Var};

use super::{constant, integers, positions, recorded};

/// −ln Σ softmax(z)\[c\] over the classes c of a set, along axis 1: any of several right answers is as good as another, as any of
/// the optimal actions is. Shapes: logits (batch, classes, …), result (batch, …).
///
/// `set` has the logits' shape; whatever is not 0 belongs to it. Errors: another shape, an empty set.
#[must_use]
pub fn cross_entropy_of_set<'g>(logits: Var<'g>, set: &Tensor) -> Var<'g> {
    const NODE: &str = "cross_entropy_of_set";
    recorded(NODE, &[logits], || {
        let right = membership(NODE, logits, set)?;
        let all = vec![true; right.len()];
        ratio(NODE, logits, &right, &all)
    })
}

/// −ln softmax(z)\[label\] with the softmax over the `allowed` classes alone, along axis 1: logits of the others are taken for −∞,
/// and have derivative 0. Shapes: logits (batch, classes, …), labels (batch, …) of integers, result (batch, …).
///
/// `allowed` has the logits' shape; whatever is not 0 is allowed. Errors: other shapes, a label that is not allowed.
#[must_use]
pub fn cross_entropy_among<'g>(logits: Var<'g>, labels: &Tensor, allowed: &Tensor) -> Var<'g> {
    const NODE: &str = "cross_entropy_among";
    recorded(NODE, &[logits], || {
        let (classes, dims) = positions(NODE, logits)?;
        let allowed = membership(NODE, logits, allowed)?;
        if labels.dims() != dims {
            return Err(Error::shape(NODE, "a label for each position", &[&dims, labels.dims()]));
        }
        let inner: usize = dims[1..].iter().product();
        let mut right = vec![false; allowed.len()];
        for (i, &label) in integers(NODE, labels)?.iter().enumerate() {
            let class = usize::try_from(label).ok().filter(|&c| c < classes);
            let at = class.map(|c| (i / inner * classes + c) * inner + i % inner);
            match at.filter(|&at| allowed[at]) {
                Some(at) => right[at] = true,
                None => {
                    let what = format!("label {label} at position {i} is not an allowed class");
                    return Err(Error::invalid(NODE, what));
                }
            }
        }
        ratio(NODE, logits, &right, &allowed)
    })
}

fn membership(node: &str, logits: Var<'_>, set: &Tensor) -> Result<Vec<bool>> {
    let dims = logits.dims()?;
    if set.dims() != dims {
        return Err(Error::shape(node, "a mark for each logit", &[&dims, set.dims()]));
    }
    let marks =
        set.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    Ok(marks.into_iter().map(|m| m != 0.0).collect())
}

/// ln Σeᶻ over `all` − ln Σeᶻ over `part`. Each sum has its own shift, and the shifts are subtracted first: nothing overflows, and
/// where both have the same largest logit nothing of its size is left to cancel.
fn ratio<'g>(node: &str, z: Var<'g>, part: &[bool], all: &[bool]) -> Result<Var<'g>> {
    let (part, all) = (LogSum::over(node, z, part)?, LogSum::over(node, z, all)?);
    Ok((all.top - part.top) + (all.log - part.log))
}

/// ln Σeᶻ = top + log, where top is the largest logit of the set.
struct LogSum<'g> {
    top: Var<'g>,
    log: Var<'g>,
}

impl<'g> LogSum<'g> {
    fn over(node: &str, z: Var<'g>, set: &[bool]) -> Result<Self> {
        let (classes, dims) = positions(node, z)?;
        let inner: usize = dims[1..].iter().product();
        for at in 0..dims.iter().product::<usize>() {
            let first = at / inner * classes * inner + at % inner;
            if (0..classes).all(|c| !set[first + c * inner]) {
                return Err(Error::invalid(node, format!("the set at position {at} is empty")));
            }
        }
        let marks = set.iter().map(|&m| f64::from(u8::from(m))).collect();
        let mask = constant(z, marks, &z.dims()?)?;
        let lowest = z.detach().min(());
        // A shift that cancels carries no derivative.
        let top = mask.select(z.detach(), lowest).max(1).detach();
        // Outside the set the exponent is 0, not what might overflow.
        let above = mask.select(z - top.unsqueeze(1), z.zeros_like());
        Ok(Self { top, log: (above.exp() * mask).sum(1).log() })
    }
}
