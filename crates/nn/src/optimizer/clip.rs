//! Gradient clipping.

use candle_core::Tensor;
use pullback_core_graph::tensor::{Real, ensure_finite, with_slice};
use pullback_core_graph::{Phase, with_real};

use crate::error::{Error, Result};

/// Scales all gradients by one factor so that their common Euclidean norm is at most `maximum`; returns the norm before.
///
/// The norm is summed in f64, in order.
///
/// # Errors
/// [`Error::Graph`] if a gradient is not finite or not of `f32` or `f64`, [`Error::Setting`] if `maximum` is not positive.
pub fn clip_by_norm(gradients: &mut [Tensor], maximum: f64) -> Result<f64> {
    if maximum.is_nan() || maximum <= 0.0 {
        return Err(Error::Setting {
            name: "maximum norm",
            value: maximum,
            reason: "must be positive",
        });
    }
    let mut sum = 0.0;
    for (port, gradient) in gradients.iter().enumerate() {
        ensure_finite(gradient, "clip_by_norm", Phase::Pull, port)?;
        sum += with_real!("clip_by_norm", gradient.dtype(), T => {
            with_slice::<T, _>(gradient, |g| g.iter().map(|&v| v.wide() * v.wide()).sum::<f64>())
        })?;
    }
    let norm = sum.sqrt();
    if norm > maximum {
        for gradient in gradients {
            *gradient = gradient.affine(maximum / norm, 0.0)?;
        }
    }
    Ok(norm)
}

/// Limits every element of every gradient to ±`maximum`; returns how many were beyond.
///
/// # Errors
/// [`Error::Graph`] if a gradient is not finite or not of `f32` or `f64`, [`Error::Setting`] if `maximum` is not positive.
pub fn clip_by_value(gradients: &mut [Tensor], maximum: f64) -> Result<usize> {
    if maximum.is_nan() || maximum <= 0.0 {
        let (name, reason) = ("maximum value", "must be positive");
        return Err(Error::Setting { name, value: maximum, reason });
    }
    let mut beyond = 0;
    let mut clipped = Vec::with_capacity(gradients.len());
    for (port, gradient) in gradients.iter().enumerate() {
        ensure_finite(gradient, "clip_by_value", Phase::Pull, port)?;
        beyond += with_real!("clip_by_value", gradient.dtype(), T => {
            with_slice::<T, _>(gradient, |g| g.iter().filter(|v| v.wide().abs() > maximum).count())
        })?;
        clipped.push(gradient.clamp(-maximum, maximum)?);
    }
    gradients.clone_from_slice(&clipped);
    Ok(beyond)
}
