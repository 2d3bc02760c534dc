//! What a loader takes examples from, and examples with class labels in memory.

use candle_core::{DType, Device, Tensor};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Examples by index.
pub trait Dataset: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The examples of these indices, each of the tensors (indices, …), as in (inputs, labels).
    ///
    /// # Errors
    /// An index that is not below [`len`](Self::len); what reading the examples meets.
    fn batch(&self, indices: &[usize]) -> Result<Vec<Tensor>>;
}

/// Examples with class labels. A batch of it is inputs (n, …) and labels (n) of `u32`.
#[derive(Debug, Clone)]
pub struct Labelled {
    inputs: Tensor,
    labels: Tensor,
    classes: Vec<String>,
}

impl Labelled {
    /// Inputs (n, …), labels (n) of any integer type, and the names of the classes.
    ///
    /// # Errors
    /// [`Error::Length`] if the numbers of examples and labels differ, [`Error::Index`] for a label without a class,
    /// [`Error::Argument`] for labels that are no vector.
    pub fn new(inputs: &Tensor, labels: &Tensor, classes: Vec<String>) -> Result<Self> {
        let operation = "Labelled::new";
        if labels.rank() != 1 || inputs.rank() == 0 || labels.dtype().is_float() {
            let (argument, value) = ("axes of labels", labels.rank());
            let reason = "needs inputs (n, …) and a vector of integer labels (n)";
            return Err(Error::Argument { operation, argument, value, reason });
        }
        crate::error::check_len(operation, "labels", labels.elem_count(), inputs.dims()[0])?;
        let wide: Vec<i64> = labels.to_device(&Device::Cpu)?.to_dtype(DType::I64)?.to_vec1()?;
        let fits = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes.len());
        if let Some(position) = wide.iter().position(|&label| !fits(label)) {
            let (index, size) = (wide[position], classes.len());
            return Err(Error::Index { operation, position, index, size });
        }
        let labels = labels.to_dtype(DType::U32)?;
        Ok(Self { inputs: inputs.detach(), labels, classes })
    }

    /// The inputs (n, …).
    #[must_use]
    pub fn inputs(&self) -> &Tensor {
        &self.inputs
    }

    /// The labels (n), of `u32`.
    #[must_use]
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// The names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The same with its inputs replaced by what `f` makes of them: for scaling and changes of type.
    ///
    /// # Errors
    /// Those of `f`; as [`Labelled::new`].
    pub fn map_inputs(
        self,
        f: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Self> {
        Self::new(&f(&self.inputs)?, &self.labels, self.classes)
    }

    /// The examples of these indices.
    ///
    /// # Errors
    /// [`Error::Index`] if one is not below [`len`](Dataset::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let (inputs, labels) = self.chosen(indices)?;
        Ok(Self { inputs, labels, classes: self.classes.clone() })
    }

    /// Two parts: `part` of each class, drawn by `seed`, and the rest; each class rounded by itself.
    ///
    /// # Errors
    /// [`Error::Setting`] if `part` is not between 0 and 1.
    pub fn split(&self, part: f64, seed: u64) -> Result<[Self; 2]> {
        if !(0.0..=1.0).contains(&part) {
            let (name, reason) = ("part", "must be between 0 and 1");
            return Err(Error::Setting { name, value: part, reason });
        }
        let labels: Vec<u32> = self.labels.to_vec1()?;
        let order = shuffled(labels.len(), &mut ChaCha8Rng::seed_from_u64(seed));
        let mut left: Vec<usize> = (0..self.classes.len())
            .map(|class| labels.iter().filter(|&&label| label as usize == class).count())
            .map(|count| (part * count as f64).round() as usize)
            .collect();
        let (mut first, mut second) = (vec![], vec![]);
        for index in order {
            let left = &mut left[labels[index] as usize];
            if *left > 0 {
                *left -= 1;
                first.push(index);
            } else {
                second.push(index);
            }
        }
        first.sort_unstable();
        second.sort_unstable();
        Ok([self.select(&first)?, self.select(&second)?])
    }

    fn chosen(&self, indices: &[usize]) -> Result<(Tensor, Tensor)> {
        let size = self.len();
        if let Some(position) = indices.iter().position(|&index| index >= size) {
            let (operation, index) = ("Labelled", indices[position] as i64);
            return Err(Error::Index { operation, position, index, size });
        }
        let ids = indices.iter().map(|&index| index as u32).collect();
        let ids = Tensor::from_vec(ids, indices.len(), self.inputs.device())?;
        Ok((self.inputs.index_select(&ids, 0)?, self.labels.index_select(&ids, 0)?))
    }
}

impl Dataset for Labelled {
    fn len(&self) -> usize {
        self.labels.elem_count()
    }

    fn batch(&self, indices: &[usize]) -> Result<Vec<Tensor>> {
        let (inputs, labels) = self.chosen(indices)?;
        Ok(vec![inputs, labels])
    }
}

/// 0 … n − 1 in random order (Fisher and Yates), by numbers below k as the high half of k·u: the same for every version of `rand`.
pub(super) fn shuffled(n: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for k in (1..n).rev() {
        let other = (u128::from(random.next_u64()) * (k as u128 + 1)) >> 64;
        order.swap(k, other as usize);
    }
    order
}
