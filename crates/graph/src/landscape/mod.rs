//! What a loss looks like around a point: curvature, spectra, saddle points, slices.
//!
//! Everything sees a symmetric matrix through its products ([`Operator`]): a network's Hessian ([`Curvature`]), its Gauss-Newton
//! matrix ([`GaussNewton`]) or a [`Matrix`] of numbers. Parameters are several tensors of any shapes; [`Parameters`] lays them end
//! to end as one vector of f64, in which eigenvectors, directions and slices are written.
//!
//! ```
//! use pullback_core_graph::{function, candle::{Device, Tensor}};
//! use pullback_graph::landscape::{Curvature, spectrum};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monkey = function("monkey saddle", |_, v| {
//!     let (x, y) = (v[0], v[1]);
//!     Ok(vec![x * x * x - 3.0 * x * y * y])
//! });
//! let at = [Tensor::new(1.0f64, &Device::Cpu)?, Tensor::new(0.0f64, &Device::Cpu)?];
//! let spectrum = spectrum(&Curvature::at(&monkey, &at)?)?;
//! assert!((spectrum.values()[0] + 6.0).abs() < 1e-12 && (spectrum.values()[1] - 6.0).abs() < 1e-12);
//! assert_eq!(spectrum.index(1e-9).negative, 1);
//! # Ok(())
//! # }
//! ```

mod basis;
mod critical;
mod curvature;
mod curve;
mod density;
mod direction;
mod extremes;
mod gauss_newton;
mod lanczos;
mod operator;
mod parameters;
mod random;
mod slice;
mod spectrum;
mod trace;

pub use critical::{CriticalOptions, CriticalPoint, CriticalStatus, find_critical_point};
pub use curvature::{Curvature, Group, value_and_gradient};
pub use curve::{Bezier, BezierOptions, bezier};
pub use density::{Density, DensityOptions, Estimate, density, density_from};
pub use direction::{FilterOptions, NonFilters, filter_normalized, random_direction};
pub use extremes::{Eigenpair, ExtremeOptions, Extremes, extremes};
pub use gauss_newton::GaussNewton;
pub use lanczos::{Lanczos, LanczosOptions, Ritz, lanczos};
pub use operator::{Matrix, Operator, Principal};
pub use parameters::Parameters;
pub use random::Random;
pub use slice::{Slice, Slice2, interpolate, slice, slice2, spaced};
pub use spectrum::{Index, Spectrum, spectrum};
pub use trace::{hutch_plus_plus, hutchinson};
