//! Data: readers of the field's file formats, small sets that are made on the spot, and loaders that batch and shuffle.
//!
//! Every reader answers a damaged or hostile file with [`Error::Data`](crate::Error::Data), which says where in the file, and
//! allocates no more than the file's own contents explain.

mod bytes;
pub mod cifar;
mod dataset;
pub mod idx;
pub mod image;
mod loader;
pub mod npy;
pub mod npz;
pub mod strokes;
pub mod synthetic;

pub(crate) use bytes::byte_count;
pub use dataset::{Dataset, Labelled};
pub use image::ImageFolder;
pub use loader::{Batch, Epoch, Loader, LoaderOptions};
