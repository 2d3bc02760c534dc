//! The worst error of a group of compared numbers, and where it was met.

/// How many numbers were compared, and which was worst.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worst {
    pub(crate) error: f64,
    pub(crate) at: String,
    pub(crate) compared: usize,
}

impl Worst {
    /// Compares numbers that belong together (a value, a gradient, a Hessian): each error is relative to the largest of the
    /// reference. Where all of the reference is 0, so must ours be, up to subnormals.
    pub(crate) fn compare(&mut self, ours: &[f64], theirs: &[f64], at: impl Fn() -> String) {
        if ours.len() != theirs.len() {
            let (got, want) = (ours.len(), theirs.len());
            return self.fail(format!("{}: {got} numbers instead of {want}", at()));
        }
        let scale = theirs.iter().fold(0.0f64, |s, t| s.max(t.abs()));
        for (k, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            self.compared += 1;
            let difference = (ours - theirs).abs();
            let error = match scale {
                0.0 if difference < 1e-300 => 0.0,
                0.0 => f64::INFINITY,
                _ => difference / scale,
            };
            if error.is_nan() || self.error < error {
                self.error = if error.is_nan() { f64::INFINITY } else { error };
                self.at = format!("{}, number {k}: {ours:e} instead of {theirs:e}", at());
            }
        }
    }

    /// Something that is no matter of degree.
    pub(crate) fn fail(&mut self, what: String) {
        self.error = f64::INFINITY;
        self.at = what;
    }

    pub(crate) fn add(&mut self, other: Worst) {
        self.compared += other.compared;
        if self.error < other.error {
            (self.error, self.at) = (other.error, other.at);
        }
    }
}

/// Doubles in a string.
pub(crate) fn numbers(text: &str) -> Vec<f64> {
    let parse = |t: &str| t.parse().unwrap_or_else(|e| panic!("the committed table: {t}: {e}"));
    text.split_whitespace().map(parse).collect()
}
