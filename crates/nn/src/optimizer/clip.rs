//! Gradient clipping.

use candle_core::Tensor;
use pullback_core_graph::tensor::{Real, with_slice};
use pullback_core_graph::with_real;

use crate::error::{Error, Result, check_finite};

/// Scales all gradients by one factor so that their common Euclidean norm is at most `maximum`; returns the norm before.
///
/// The norm is summed in f64, in order; one that f64 cannot hold is returned as the largest number.
///
/// # Errors
/// [`Error::NotFinite`] if a gradient is not finite, [`Error::Graph`] if not of `f32` or `f64`, [`Error::Setting`] if `maximum` is not positive.
pub fn clip_by_norm(gradients: &mut [Tensor], maximum: f64) -> Result<f64> {
    if maximum.is_nan() || maximum <= 0.0 {
        return Err(Error::Setting {
            name: "maximum norm",
            value: maximum,
            reason: "must be positive",
        });
    }
    for (port, gradient) in gradients.iter().enumerate() {
        check_finite(gradient, || ["clip_by_norm".into(), format!("gradient number {port}")])?;
    }
    let mut unit = 1.0;
    let mut norm = norm_in(gradients, unit)?;
    // Squares that overflow or vanish: measure in units of the greatest element, and stay within the largest number.
    if !(1e-140..=f64::MAX).contains(&norm) {
        unit = greatest(gradients)?;
        norm = if unit > 0.0 { norm_in(gradients, unit)? } else { 0.0 };
    }
    if norm * unit > maximum {
        for gradient in gradients {
            let whole = if unit == 1.0 { gradient.clone() } else { (&*gradient / unit)? };
            *gradient = whole.affine(maximum / norm, 0.0)?;
        }
    }
    Ok((norm * unit).min(f64::MAX))
}

/// The common norm of all gradients, divided by `unit`.
fn norm_in(gradients: &[Tensor], unit: f64) -> Result<f64> {
    let mut sum = 0.0;
    for gradient in gradients {
        sum += with_real!("clip_by_norm", gradient.dtype(), T => {
            with_slice::<T, _>(gradient, |g| {
                let squares = g.iter().map(|&v| (v.wide() / unit) * (v.wide() / unit));
                squares.sum::<f64>()
            })
        })?;
    }
    Ok(sum.sqrt())
}

/// The greatest absolute value.
fn greatest(gradients: &[Tensor]) -> Result<f64> {
    let mut most = 0.0f64;
    for gradient in gradients {
        let of = with_real!("clip_by_norm", gradient.dtype(), T => {
            with_slice::<T, _>(gradient, |g| g.iter().fold(0.0f64, |m, v| m.max(v.wide().abs())))
        })?;
        most = most.max(of);
    }
    Ok(most)
}

/// Limits every element of every gradient to ±`maximum`; returns how many were beyond.
///
/// # Errors
/// [`Error::NotFinite`] if a gradient is not finite, [`Error::Graph`] if not of `f32` or `f64`, [`Error::Setting`] if `maximum` is not positive.
pub fn clip_by_value(gradients: &mut [Tensor], maximum: f64) -> Result<usize> {
    if maximum.is_nan() || maximum <= 0.0 {
        let (name, reason) = ("maximum value", "must be positive");
        return Err(Error::Setting { name, value: maximum, reason });
    }
    let mut beyond = 0;
    let mut clipped = Vec::with_capacity(gradients.len());
    for (port, gradient) in gradients.iter().enumerate() {
        check_finite(gradient, || ["clip_by_value".into(), format!("gradient number {port}")])?;
        beyond += with_real!("clip_by_value", gradient.dtype(), T => {
            with_slice::<T, _>(gradient, |g| g.iter().filter(|v| v.wide().abs() > maximum).count())
        })?;
        clipped.push(gradient.clamp(-maximum, maximum)?);
    }
    gradients.clone_from_slice(&clipped);
    Ok(beyond)
}
