//! Which axes an operation works over.

use smallvec::SmallVec;

use crate::{Error, Result};

/// Axes of a tensor: all (`()`), one (`-1`), or several (`[0, 2]`). Negative numbers count from the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axes {
    /// Every axis.
    All,
    /// The listed ones.
    List(SmallVec<[i64; 4]>),
}

impl From<()> for Axes {
    fn from((): ()) -> Self {
        Axes::All
    }
}

impl From<i32> for Axes {
    fn from(axis: i32) -> Self {
        Axes::List(SmallVec::from_slice(&[i64::from(axis)]))
    }
}

impl<const N: usize> From<[i32; N]> for Axes {
    fn from(axes: [i32; N]) -> Self {
        Axes::List(axes.iter().map(|&a| i64::from(a)).collect())
    }
}

impl From<&[i32]> for Axes {
    fn from(axes: &[i32]) -> Self {
        Axes::List(axes.iter().map(|&a| i64::from(a)).collect())
    }
}

impl Axes {
    /// A mark for each of `rank` axes. Errors: an axis out of range or named twice.
    pub(crate) fn marks(&self, node: &str, dims: &[usize]) -> Result<SmallVec<[bool; 6]>> {
        let Axes::List(list) = self else {
            return Ok(SmallVec::from_elem(true, dims.len()));
        };
        let mut marks: SmallVec<[bool; 6]> = SmallVec::from_elem(false, dims.len());
        for &axis in list {
            let i = resolve(node, axis, dims)?;
            if std::mem::replace(&mut marks[i], true) {
                return Err(Error::shape(node, format!("axis {axis} is named twice"), &[dims]));
            }
        }
        Ok(marks)
    }
}

/// An axis counted from the front. Errors: out of range.
pub(crate) fn resolve(node: &str, axis: i64, dims: &[usize]) -> Result<usize> {
    let rank = dims.len() as i64;
    let i = if axis < 0 { axis + rank } else { axis };
    if i < 0 || rank <= i {
        return Err(Error::shape(
            node,
            format!("axis {axis} is out of range for rank {rank}"),
            &[dims],
        ));
    }
    Ok(i as usize)
}
