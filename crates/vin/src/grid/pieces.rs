//! The outcomes of an action on a grid, and their derivatives.
//!
//! Q(s, a) = Σ weight·share·(r + γ·V(next)) over the pieces: weight is the probability of the direction (a function of slip and stay), share
//! that of the cell's opening, r = −length·cost − penalty.

/// How an action comes to be carried out in a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Intended,
    Side,
    Wait,
    /// Of a robot with a heading, which does not slip.
    Ahead,
    /// Whatever the noise.
    Certain,
}

impl Kind {
    /// 1 − slip − stay, slip/2, stay, 1 − stay or 1.
    pub(super) fn weight(self, slip: f64, stay: f64) -> f64 {
        match self {
            Kind::Intended => 1.0 - slip - stay,
            Kind::Side => 0.5 * slip,
            Kind::Wait => stay,
            Kind::Ahead => 1.0 - stay,
            Kind::Certain => 1.0,
        }
    }

    /// Its derivatives by slip and stay.
    fn slopes(self) -> [f64; 2] {
        match self {
            Kind::Intended => [-1.0, -1.0],
            Kind::Side => [0.5, 0.0],
            Kind::Wait => [0.0, 1.0],
            Kind::Ahead => [0.0, -1.0],
            Kind::Certain => [0.0, 0.0],
        }
    }
}

/// One outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) next: usize,
    /// The cell whose cost is paid.
    pub(super) pays: usize,
    pub(super) length: f64,
    pub(super) weight: f64,
    pub(super) share: f64,
    /// The cell that opens, and ∂share/∂open.
    pub(super) opens: Option<(usize, f64)>,
    pub(super) penalized: bool,
    pub(super) kind: Kind,
}

/// Where the blocks of θ begin; `cost` begins at 0.
pub(super) struct Slots {
    pub(super) open: Option<usize>,
    pub(super) slip: usize,
    pub(super) stay: usize,
    pub(super) penalty: Option<usize>,
}

impl Piece {
    pub(super) fn enter(next: usize, to: usize, length: f64, weight: f64, kind: Kind) -> Self {
        let (share, opens, penalized) = (1.0, None, false);
        Self { next, pays: to, length, weight, share, opens, penalized, kind }
    }

    pub(super) fn bump(state: usize, cell: usize, length: f64, weight: f64, kind: Kind) -> Self {
        Self { penalized: true, ..Self::enter(state, cell, length, weight, kind) }
    }

    pub(super) fn wait(state: usize, cell: usize, length: f64, weight: f64) -> Self {
        Self::enter(state, cell, length, weight, Kind::Wait)
    }

    pub(super) fn stay(cell: usize) -> Self {
        Self::enter(cell, cell, 1.0, 1.0, Kind::Certain)
    }

    pub(super) fn turn(cell: usize, weight: f64) -> Self {
        Self::enter(cell, cell, 1.0, weight, Kind::Ahead)
    }

    pub(super) fn probability(&self) -> f64 {
        self.weight * self.share
    }

    /// Calls `f(i, ∂/∂θᵢ)` of weight·share·worth, where worth = r + γ·V.
    pub(super) fn slopes(&self, worth: f64, slots: &Slots, f: &mut dyn FnMut(usize, f64)) {
        f(self.pays, -self.probability() * self.length);
        if let (Some(from), Some((cell, sign))) = (slots.open, self.opens) {
            f(from + cell, self.weight * sign * worth);
        }
        let [slip, stay] = self.kind.slopes();
        f(slots.slip, slip * self.share * worth);
        f(slots.stay, stay * self.share * worth);
        if let Some(at) = slots.penalty.filter(|_| self.penalized) {
            f(at, -self.probability());
        }
    }
}
