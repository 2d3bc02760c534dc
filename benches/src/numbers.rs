//! Inputs that both sides of a comparison can make.

/// Deterministic inputs that both sides can make: element i is `scale`·sin(0.7·i + 1.3·`stream`), i counted in row-major
/// order. `stream` tells the tensors of a case apart.
pub fn fill(stream: usize, count: usize, scale: f64) -> Vec<f64> {
    (0..count).map(|i| scale * (0.7 * i as f64 + 1.3 * stream as f64).sin()).collect()
}

/// Deterministic numbers without structure, uniform in ±`scale`: the bits of a hash of the element's index (the 32-bit mixer `lowbias32` of
/// C. Wellons' hash prospector). Matrices of [`fill`] have rank 2; these are what a network's weights should be.
pub fn noise(stream: usize, count: usize, scale: f64) -> Vec<f64> {
    (0..count)
        .map(|i| {
            let mut x = (i as u32).wrapping_add((stream as u32).wrapping_mul(0x9e37_79b9));
            x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
            x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
            x ^= x >> 16;
            scale * (f64::from(x) / f64::from(1u32 << 31) - 1.0)
        })
        .collect()
}
