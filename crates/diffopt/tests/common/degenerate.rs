//! Degenerate quadratic programs with one parameter θ, solved by hand: the solution at θ = 0 and its derivatives towards both sides.

use super::problems::Problem;

/// A case: data at θ = 0, the data's derivative, x(0), and lim (x(±t) − x(0))/t for t ↓ 0.
pub struct Case {
    pub name: &'static str,
    pub problem: Problem,
    pub direction: [Vec<f64>; 6],
    pub x: Vec<f64>,
    pub plus: Vec<f64>,
    pub minus: Vec<f64>,
}

/// (values, their derivatives)
type Part<'a> = (&'a [f64], &'a [f64]);

fn case(
    name: &'static str,
    q_matrix: &[f64],
    q: Part<'_>,
    equality: (&[f64], Part<'_>),
    inequality: (&[f64], Part<'_>),
    x: &[f64],
    (plus, minus): (&[f64], &[f64]),
) -> Case {
    let (n, p, m) = (q.0.len(), equality.1.0.len(), inequality.1.0.len());
    let data = [
        q_matrix.to_vec(),
        q.0.to_vec(),
        equality.0.to_vec(),
        equality.1.0.to_vec(),
        inequality.0.to_vec(),
        inequality.1.0.to_vec(),
    ];
    let zeros = |k: usize| vec![0.0; k];
    let fill = |d: &[f64], k: usize| if d.is_empty() { zeros(k) } else { d.to_vec() };
    let direction = [
        zeros(n * n),
        fill(q.1, n),
        zeros(p * n),
        fill(equality.1.1, p),
        zeros(m * n),
        fill(inequality.1.1, m),
    ];
    Case {
        name,
        problem: Problem { n, p, m, batch: 1, data },
        direction,
        x: x.to_vec(),
        plus: plus.to_vec(),
        minus: minus.to_vec(),
    }
}

const NONE: (&[f64], Part<'_>) = (&[], (&[], &[]));
const I1: &[f64] = &[1.0];
const I2: &[f64] = &[1.0, 0.0, 0.0, 1.0];
const I3: &[f64] = &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
const N2: &[f64] = &[-1.0, 0.0, 0.0, -1.0];
const N3: &[f64] = &[-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0];

/// Weakly active rows, independent of each other.
pub fn weak() -> Vec<Case> {
    let third = 1.0 / 3.0;
    let mut out = vec![
        // min ½(x − θ)²
        case(
            "x ≥ 0",
            I1,
            (&[0.0], &[-1.0]),
            NONE,
            (&[-1.0], (&[0.0], &[])),
            &[0.0],
            (&[1.0], &[0.0]),
        ),
        case(
            "x ≤ 0",
            I1,
            (&[0.0], &[-1.0]),
            NONE,
            (&[1.0], (&[0.0], &[])),
            &[0.0],
            (&[0.0], &[-1.0]),
        ),
        case(
            "the box [0, 1] at 1",
            I1,
            (&[-1.0], &[-1.0]),
            NONE,
            (&[1.0, -1.0], (&[1.0, 0.0], &[])),
            &[1.0],
            (&[0.0], &[-1.0]),
        ),
        case(
            "badly scaled x ≥ 0",
            &[1e6],
            (&[0.0], &[-1e6]),
            NONE,
            (&[-1e-3], (&[0.0], &[])),
            &[0.0],
            (&[1.0], &[0.0]),
        ),
        case(
            "x ≥ −θ",
            I2,
            (&[0.0, 0.0], &[]),
            NONE,
            (&[-1.0, 0.0], (&[0.0], &[1.0])),
            &[0.0, 0.0],
            (&[0.0, 0.0], &[1.0, 0.0]),
        ),
        // For b < 1 the row holds: x = (2b − ½, b + ½)/3.
        case(
            "min ½‖x‖² s.t. x₀ + x₁ = 1 + θ, x₀ − 2x₁ ≤ −½",
            I2,
            (&[0.0, 0.0], &[]),
            (&[1.0, 1.0], (&[1.0], &[1.0])),
            (&[1.0, -2.0], (&[-0.5], &[])),
            &[0.5, 0.5],
            (&[0.5, 0.5], &[-2.0 * third, -third]),
        ),
        case(
            "the simplex at its corner",
            I2,
            (&[-1.5, -0.5], &[-1.0, 0.0]),
            (&[1.0, 1.0], (&[1.0], &[])),
            (N2, (&[0.0, 0.0], &[])),
            &[1.0, 0.0],
            (&[0.0, 0.0], &[-0.5, 0.5]),
        ),
        case(
            "a corner, straight in",
            I2,
            (&[0.0, 0.0], &[-1.0, -1.0]),
            NONE,
            (N2, (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[1.0, 1.0], &[0.0, 0.0]),
        ),
        case(
            "a corner, along one side",
            I2,
            (&[0.0, 0.0], &[-1.0, 1.0]),
            NONE,
            (N2, (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[1.0, 0.0], &[0.0, 1.0]),
        ),
        // Q⁻¹(1, 0) = (⅔, −⅓) leaves the corner along x₁ = 0: x₀ = ½.
        case(
            "a corner with coupling",
            &[2.0, 1.0, 1.0, 2.0],
            (&[0.0, 0.0], &[-1.0, 0.0]),
            NONE,
            (N2, (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[0.5, 0.0], &[0.0, 0.0]),
        ),
        case(
            "a corner with coupling, both",
            &[2.0, 1.0, 1.0, 2.0],
            (&[0.0, 0.0], &[-1.0, -1.0]),
            NONE,
            (N2, (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[third, third], &[0.0, 0.0]),
        ),
        case(
            "a corner in space",
            I3,
            (&[0.0; 3], &[-1.0, -2.0, 1.0]),
            NONE,
            (N3, (&[0.0; 3], &[])),
            &[0.0; 3],
            (&[1.0, 2.0, 0.0], &[0.0, 0.0, 1.0]),
        ),
        // Soft thresholding as a program in (x, t): min ½x² − cx + t, |x| ≤ t.
        case(
            "soft threshold at c = 1",
            &[1.0, 0.0, 0.0, 0.0],
            (&[-1.0, 1.0], &[-1.0, 0.0]),
            NONE,
            (&[1.0, -1.0, -1.0, -1.0], (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[1.0, 1.0], &[0.0, 0.0]),
        ),
        case(
            "soft threshold at c = −1",
            &[1.0, 0.0, 0.0, 0.0],
            (&[1.0, 1.0], &[1.0, 0.0]),
            NONE,
            (&[1.0, -1.0, -1.0, -1.0], (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[-1.0, 1.0], &[0.0, 0.0]),
        ),
        case(
            "isotonic regression of two",
            I2,
            (&[0.0, 0.0], &[-1.0, 0.0]),
            NONE,
            (&[1.0, -1.0], (&[0.0], &[])),
            &[0.0, 0.0],
            (&[0.5, 0.5], &[-1.0, 0.0]),
        ),
    ];
    let chain: &[f64] = &[1.0, -1.0, 0.0, 0.0, 1.0, -1.0];
    let isotonic = |name, d: &[f64], plus: &[f64], minus: &[f64]| {
        case(name, I3, (&[0.0; 3], d), NONE, (chain, (&[0.0, 0.0], &[])), &[0.0; 3], (plus, minus))
    };
    out.extend([
        isotonic("isotonic, all pooled or none", &[-1.0, 0.0, 1.0], &[0.0; 3], &[-1.0, 0.0, 1.0]),
        isotonic("isotonic, the first moves", &[-1.0, 0.0, 0.0], &[third; 3], &[-1.0, 0.0, 0.0]),
        isotonic(
            "isotonic, the middle moves",
            &[0.0, -1.0, 0.0],
            &[0.0, 0.5, 0.5],
            &[-0.5, -0.5, 0.0],
        ),
        case(
            "a half-space, head on",
            I2,
            (&[0.0, 0.0], &[-3.0, -4.0]),
            NONE,
            (&[3.0, 4.0], (&[0.0], &[])),
            &[0.0, 0.0],
            (&[0.0, 0.0], &[-3.0, -4.0]),
        ),
        case(
            "a half-space, aslant",
            I2,
            (&[0.0, 0.0], &[-1.0, 0.0]),
            NONE,
            (&[3.0, 4.0], (&[0.0], &[])),
            &[0.0, 0.0],
            (&[0.64, -0.48], &[-1.0, 0.0]),
        ),
        // u ≥ −1 and x − u = 2 + θ: free, x = −u = (2 + θ)/2.
        case(
            "one step of control",
            I2,
            (&[0.0, 0.0], &[]),
            (&[1.0, -1.0], (&[2.0], &[1.0])),
            (&[0.0, -1.0], (&[1.0], &[])),
            &[1.0, -1.0],
            (&[1.0, 0.0], &[-0.5, 0.5]),
        ),
    ]);
    // The row itself turns: x₀ + (1 + θ)x₁ ≤ 2 at (1, 1).
    let mut turning = case(
        "a turning row",
        I2,
        (&[-1.0, -1.0], &[]),
        NONE,
        (&[1.0, 1.0], (&[2.0], &[])),
        &[1.0, 1.0],
        (&[-0.5, -0.5], &[0.0, 0.0]),
    );
    turning.direction[4] = vec![0.0, 1.0];
    // min ½(2 + θ)x² − 2x s.t. x ≤ 1: free, x = 2/(2 + θ).
    let mut stiffening = case(
        "growing curvature",
        &[2.0],
        (&[-2.0], &[]),
        NONE,
        (&[1.0], (&[1.0], &[])),
        &[1.0],
        (&[-0.5], &[0.0]),
    );
    stiffening.direction[0] = vec![1.0];
    out.extend([turning, stiffening]);
    out
}

/// Dependent rows: multipliers are not unique.
pub fn dependent() -> Vec<Case> {
    let third = 1.0 / 3.0;
    vec![
        case(
            "x ≥ 1 + θ twice",
            I1,
            (&[0.0], &[]),
            NONE,
            (&[-1.0, -1.0], (&[-1.0, -1.0], &[-1.0, -1.0])),
            &[1.0],
            (&[1.0], &[-1.0]),
        ),
        case(
            "x ≥ 1 + θ and x ≥ 1",
            I1,
            (&[0.0], &[]),
            NONE,
            (&[-1.0, -1.0], (&[-1.0, -1.0], &[-1.0, 0.0])),
            &[1.0],
            (&[1.0], &[0.0]),
        ),
        case(
            "three rows through a corner",
            I2,
            (&[0.0, 0.0], &[]),
            NONE,
            (&[-1.0, 0.0, 0.0, -1.0, -1.0, -1.0], (&[-1.0, -1.0, -2.0], &[0.0, 0.0, -1.0])),
            &[1.0, 1.0],
            (&[0.5, 0.5], &[0.0, 0.0]),
        ),
        case(
            "four planes through a corner",
            I3,
            (&[0.0; 3], &[]),
            NONE,
            (
                &[-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, -1.0, -1.0, -1.0],
                (&[-1.0, -1.0, -1.0, -3.0], &[0.0, 0.0, 0.0, -1.0]),
            ),
            &[1.0; 3],
            (&[third; 3], &[0.0; 3]),
        ),
        case(
            "a linear program's degenerate vertex",
            &[0.0; 4],
            (&[1.0, 2.0], &[]),
            NONE,
            (&[-1.0, 0.0, 0.0, -1.0, -1.0, -1.0], (&[0.0, 0.0, 0.0], &[0.0, 0.0, -1.0])),
            &[0.0, 0.0],
            (&[1.0, 0.0], &[0.0, 0.0]),
        ),
        case(
            "an inequality that repeats an equality",
            I2,
            (&[0.0, 0.0], &[-1.0, 0.0]),
            (&[1.0, 1.0], (&[1.0], &[])),
            (&[1.0, 1.0], (&[1.0], &[])),
            &[0.5, 0.5],
            (&[0.5, -0.5], &[-0.5, 0.5]),
        ),
        case(
            "the same, both moving",
            I2,
            (&[0.0, 0.0], &[]),
            (&[1.0, 1.0], (&[1.0], &[1.0])),
            (&[1.0, 1.0], (&[1.0], &[1.0])),
            &[0.5, 0.5],
            (&[0.5, 0.5], &[-0.5, -0.5]),
        ),
        case(
            "an equality twice",
            I2,
            (&[0.0, 0.0], &[]),
            (&[1.0, 1.0, 1.0, 1.0], (&[1.0, 1.0], &[1.0, 1.0])),
            NONE,
            &[0.5, 0.5],
            (&[0.5, 0.5], &[-0.5, -0.5]),
        ),
        case(
            "a weakly active row twice",
            I2,
            (&[0.0, 0.0], &[-1.0, 0.0]),
            NONE,
            (&[1.0, 0.0, 1.0, 0.0], (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[0.0, 0.0], &[-1.0, 0.0]),
        ),
        case(
            "a weakly active row and its double",
            I2,
            (&[0.0, 0.0], &[-1.0, 0.0]),
            NONE,
            (&[1.0, 0.0, 2.0, 0.0], (&[0.0, 0.0], &[])),
            &[0.0, 0.0],
            (&[0.0, 0.0], &[-1.0, 0.0]),
        ),
        case(
            "x₀ ≤ 1 and x₀ ≤ 1 + θ under pressure",
            I2,
            (&[-2.0, 0.0], &[]),
            NONE,
            (&[1.0, 0.0, 1.0, 0.0], (&[1.0, 1.0], &[0.0, 1.0])),
            &[1.0, 0.0],
            (&[0.0, 0.0], &[-1.0, 0.0]),
        ),
        // Multipliers (1 + t, t)… of the pair x ≤ 0, −x ≤ 0 are unbounded: no Mangasarian–Fromovitz condition, but x = θ.
        case(
            "a pair of opposite rows",
            I1,
            (&[0.0], &[]),
            NONE,
            (&[1.0, -1.0], (&[0.0, 0.0], &[1.0, -1.0])),
            &[0.0],
            (&[1.0], &[-1.0]),
        ),
    ]
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut out = weak();
    out.extend(dependent());
    out
}
