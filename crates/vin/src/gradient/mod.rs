//! Plans that can be differentiated: V and Q with the chain rule through them, each way of differentiating a choice of one argument.
//!
//! With π(a | s) = ∂V/∂Q(s, a), one sweep is V′ = T(V), and its derivative dV′ = Σₐ π·(∂Q/∂θ·dθ + γ·P·dV) + ∂T/∂τ·dτ. Unrolled, that is
//! repeated K times, forwards or backwards. At the fixed point, λ = (I − γ·P_π)⁻ᵀ·dL/dV is the flow through each state, and every
//! derivative is a sum over states: dL/dR(s, a) = λ(s)·π(a | s), dL/dP(s, a, s′) = γ·λ(s)·π(a | s)·V(s′), dL/dγ = Σ λ·P_π·V.

mod implicit;
mod plan;
mod unrolled;

pub use plan::{Cotangent, Gradient, Plan, Planned, Tangent, Way};
