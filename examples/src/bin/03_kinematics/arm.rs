//! An arm read from its description: a chain of joints, and where they are for given angles.

use anyhow::{Context, Result, bail, ensure};
use pullback_graph::Real;

/// A joint: where it sits on the link before it, and the axis that it turns about.
pub(crate) struct Joint {
    pub(crate) name: String,
    /// Origin in metres and orientation in the frame of the link before it.
    place: [f64; 3],
    turn: [[f64; 3]; 3],
    /// Axis, and lower and upper limit in radians; none for a fixed joint.
    moves: Option<([f64; 3], [f64; 2])>,
}

/// A chain of joints from the base to the flange.
pub(crate) struct Arm {
    pub(crate) joints: Vec<Joint>,
}

/// A place in metres and an orientation, both in the frame of the base.
#[derive(Clone, Copy)]
pub(crate) struct Frame<T> {
    pub(crate) place: [T; 3],
    pub(crate) turn: [[T; 3]; 3],
}

impl Arm {
    /// From a URDF-like description: joints in the order of the chain, each with parent, child, origin (xyz, rpy), axis, limit.
    pub(crate) fn read(text: &str) -> Result<Arm> {
        let document = roxmltree::Document::parse(text)?;
        let mut joints: Vec<Joint> = Vec::new();
        let mut tip: Option<String> = None;
        for node in document.descendants().filter(|n| n.has_tag_name("joint")) {
            let name = node.attribute("name").context("a joint without a name")?.to_string();
            let get = |tag: &str, attribute: &str| {
                node.children().find(|n| n.has_tag_name(tag))?.attribute(attribute)
            };
            let link = |tag: &str| get(tag, "link").with_context(|| format!("{name}: no {tag}"));
            let (parent, child) = (link("parent")?, link("child")?);
            ensure!(
                tip.as_deref().is_none_or(|t| t == parent),
                "{name}: {parent} does not end the chain"
            );
            tip = Some(child.to_string());
            let moves = match node.attribute("type") {
                Some("fixed") => None,
                Some("revolute") => {
                    let axis = numbers(get("axis", "xyz").unwrap_or("1 0 0"))?;
                    let limits = [get("limit", "lower"), get("limit", "upper")];
                    let [Some(lower), Some(upper)] = limits else { bail!("{name}: no limits") };
                    let limits: [f64; 2] = [lower.parse()?, upper.parse()?];
                    ensure!(limits[0] < limits[1], "{name}: limits {limits:?}");
                    let length = axis.iter().fold(0.0, |sum: f64, a| sum.hypot(*a));
                    ensure!(length > 0.0, "{name}: no axis");
                    Some((axis.map(|a| a / length), limits))
                }
                other => bail!("{name}: type {other:?}"),
            };
            let place = numbers(get("origin", "xyz").unwrap_or("0 0 0"))?;
            let turn = roll_pitch_yaw(numbers(get("origin", "rpy").unwrap_or("0 0 0"))?);
            joints.push(Joint { name, place, turn, moves });
        }
        Ok(Arm { joints })
    }

    /// Lower and upper limit of each joint that moves, in radians.
    pub(crate) fn limits(&self) -> Vec<[f64; 2]> {
        self.joints.iter().filter_map(|j| Some(j.moves?.1)).collect()
    }

    /// The frame of each joint, and last the flange's, at joint angles `q` in radians.
    pub(crate) fn frames<T: Real>(&self, q: &[T]) -> Vec<Frame<T>> {
        let lit = |m: [[f64; 3]; 3]| m.map(|row| row.map(T::lit));
        let mut at = Frame {
            place: [T::lit(0.0); 3],
            turn: lit([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        };
        let mut angles = q.iter();
        let mut frames = Vec::with_capacity(self.joints.len());
        for joint in &self.joints {
            let shift = apply(&at.turn, &joint.place.map(T::lit));
            at.place = std::array::from_fn(|i| at.place[i] + shift[i]);
            at.turn = product(&at.turn, &lit(joint.turn));
            if let (Some((axis, _)), Some(&angle)) = (joint.moves, angles.next()) {
                at.turn = product(&at.turn, &about(axis, angle));
            }
            frames.push(at);
        }
        frames
    }

    /// The flange.
    pub(crate) fn hand<T: Real>(&self, q: &[T]) -> Frame<T> {
        self.frames(q)[self.joints.len() - 1]
    }
}

fn numbers(text: &str) -> Result<[f64; 3]> {
    let all: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    all.try_into().map_err(|_| anyhow::anyhow!("three numbers expected: {text}"))
}

fn apply<T: Real>(m: &[[T; 3]; 3], v: &[T; 3]) -> [T; 3] {
    std::array::from_fn(|i| m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2])
}

fn product<T: Real>(a: &[[T; 3]; 3], b: &[[T; 3]; 3]) -> [[T; 3]; 3] {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j])
    })
}

/// The rotation about a unit axis: R = I + sin·K + (1 − cos)·K², K·v = axis × v (Rodrigues).
fn about<T: Real>([x, y, z]: [f64; 3], angle: T) -> [[T; 3]; 3] {
    let (sin, rest) = (angle.sin(), -angle.cos() + 1.0);
    let k = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    let square = product(&k, &k);
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let one = f64::from(u8::from(i == j));
            // 1 + (1 − cos)·(−1) is cos without a rounding: the common axes keep short tapes.
            match (square[i][j], one) {
                (-1.0, 1.0) => angle.cos(),
                (s, one) => sin * k[i][j] + rest * s + one,
            }
        })
    })
}

/// The rotation of a URDF: yaw about z after pitch about y after roll about x. Right angles are exact.
fn roll_pitch_yaw([roll, pitch, yaw]: [f64; 3]) -> [[f64; 3]; 3] {
    let exact = |m: [[f64; 3]; 3]| {
        m.map(|row| row.map(|v| if (v - v.round()).abs() < 1e-15 { v.round() } else { v }))
    };
    let [x, y, z] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let turns = [about(z, yaw), about(y, pitch), about(x, roll)].map(exact);
    product(&product(&turns[0], &turns[1]), &turns[2])
}
