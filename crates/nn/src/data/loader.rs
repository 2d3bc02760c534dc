//! Batches of a dataset, shuffled anew for each epoch, the same for any number of threads.

mod prefetch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::dataset::{Dataset, shuffled};
use crate::error::{Error, Result, check_positive};
use prefetch::Prefetch;

/// Settings of a [`Loader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Examples in a batch.
    pub batch: usize,
    /// Another order in each epoch.
    pub shuffle: bool,
    /// Of the orders, and of the random numbers that a map gets.
    pub seed: u64,
    /// Leave a last batch of fewer examples out.
    pub drop_last: bool,
    /// Threads that prepare batches while others are used; 0 prepares each when it is asked for.
    pub threads: usize,
    /// How many batches may be prepared ahead of the one in use, which bounds the memory.
    pub ahead: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self { batch: 32, shuffle: true, seed: 0, drop_last: false, threads: 0, ahead: 4 }
    }
}

/// Some examples of an epoch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The place in the epoch, from 0.
    pub index: usize,
    /// What the dataset and the map made: (inputs, labels) for [`Labelled`](super::Labelled). Where the dataset's tensors are, mostly the CPU:
    /// a task whose parameters are elsewhere moves them there.
    pub tensors: Vec<Tensor>,
}

type Map = dyn Fn(Vec<Tensor>, &mut ChaCha8Rng) -> Result<Vec<Tensor>> + Send + Sync;

/// Makes batches. Cloning it shares the dataset.
#[derive(Clone)]
pub struct Loader {
    dataset: Arc<dyn Dataset>,
    options: LoaderOptions,
    map: Option<Arc<Map>>,
}

/// What random numbers are for; each use of an epoch has its own.
enum Use {
    Order = 0,
    Map = 1,
}

impl Loader {
    /// Batches of `dataset`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the batch or `ahead` is 0; [`Error::NoBatch`] if the dataset has not enough examples for one batch.
    pub fn new(dataset: impl Dataset + 'static, options: LoaderOptions) -> Result<Self> {
        check_positive("Loader", "batch", options.batch)?;
        check_positive("Loader", "ahead", options.ahead)?;
        let loader = Self { dataset: Arc::new(dataset), options, map: None };
        if loader.batches() == 0 {
            let LoaderOptions { batch, drop_last, .. } = options;
            return Err(Error::NoBatch { examples: loader.examples(), batch, drop_last });
        }
        Ok(loader)
    }

    /// The same with every batch changed by `map`: conversion, augmentation. It runs in the loader's threads, with random numbers
    /// that depend on the seed, the epoch and the batch alone.
    #[must_use]
    pub fn with_map(
        self,
        map: impl Fn(Vec<Tensor>, &mut ChaCha8Rng) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    ) -> Self {
        Self { map: Some(Arc::new(map)), ..self }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> LoaderOptions {
        self.options
    }

    /// How many examples the dataset has.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.dataset.len()
    }

    /// How many batches an epoch has.
    #[must_use]
    pub fn batches(&self) -> usize {
        let LoaderOptions { batch, drop_last, .. } = self.options;
        if drop_last { self.examples() / batch } else { self.examples().div_ceil(batch) }
    }

    /// The batches of one epoch.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of one epoch from the batch `first` on, as they are in the whole epoch.
    #[must_use]
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Epoch {
        let order = if self.options.shuffle {
            shuffled(self.examples(), &mut self.random(epoch, Use::Order))
        } else {
            (0..self.examples()).collect()
        };
        let source = Source { loader: self.clone(), epoch, order };
        let range = first.min(self.batches())..self.batches();
        Epoch(if self.options.threads == 0 {
            Way::Asked { source, range }
        } else {
            let LoaderOptions { threads, ahead, .. } = self.options;
            Way::Ahead(Prefetch::start(threads, ahead, range, move |index| source.batch(index)))
        })
    }

    fn random(&self, epoch: u64, purpose: Use) -> ChaCha8Rng {
        let mut seed = [0; 32];
        for (place, number) in
            seed.chunks_exact_mut(8).zip([self.options.seed, epoch, purpose as u64])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        ChaCha8Rng::from_seed(seed)
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loader({} examples, {:?})", self.examples(), self.options)
    }
}

/// One epoch, ready to give any of its batches.
struct Source {
    loader: Loader,
    epoch: u64,
    order: Vec<usize>,
}

impl Source {
    /// A panic of the dataset or the map becomes an error: with threads, another one would wait for ever.
    fn batch(&self, index: usize) -> Result<Batch> {
        catch_unwind(AssertUnwindSafe(|| self.make(index))).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let place = format!("making batch {index} of epoch {}", self.epoch);
            Err(Error::Panic { place, message: text.unwrap_or("no text").into() })
        })
    }

    fn make(&self, index: usize) -> Result<Batch> {
        let Self { loader, epoch, order } = self;
        let start = index * loader.options.batch;
        let end = order.len().min(start + loader.options.batch);
        let mut tensors = loader.dataset.batch(&order[start..end])?;
        if let Some(map) = &loader.map {
            let mut random = loader.random(*epoch, Use::Map);
            random.set_stream(index as u64);
            tensors = map(tensors, &mut random)?;
        }
        Ok(Batch { epoch: *epoch, index, tensors })
    }
}

/// The batches of an epoch, in order; the first error is the last item. Dropping it early stops its threads.
pub struct Epoch(Way);

enum Way {
    Asked { source: Source, range: std::ops::Range<usize> },
    Ahead(Prefetch<Result<Batch>>),
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.0 {
            Way::Asked { source, range } => source.batch(range.next()?),
            Way::Ahead(prefetch) => prefetch.next()?,
        };
        if next.is_err() {
            match &mut self.0 {
                Way::Asked { range, .. } => *range = 0..0,
                Way::Ahead(prefetch) => prefetch.stop(),
            }
        }
        Some(next)
    }
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Way::Asked { .. } => "Epoch(without threads)",
            Way::Ahead(_) => "Epoch(with threads)",
        })
    }
}
