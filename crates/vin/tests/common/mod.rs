//! Processes that the tests and `report vin` share, and reproducible noise.
#![allow(dead_code, unreachable_pub)] // each test takes what it needs

pub mod laws;

use pullback_vin::Result;
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec, Walls};
use pullback_vin::process::{Csr, Dense, Parametric};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal, mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    pub fn normals(&mut self, k: usize) -> Vec<f64> {
        (0..k).map(|_| self.normal()).collect()
    }

    pub fn below(&mut self, k: usize) -> usize {
        ((self.uniform() * k as f64) as usize).min(k - 1)
    }

    fn distribution(&mut self, k: usize) -> Vec<f64> {
        let p: Vec<f64> = (0..k).map(|_| 0.05 + self.uniform()).collect();
        let sum: f64 = p.iter().sum();
        p.iter().map(|p| p / sum).collect()
    }
}

/// A process without structure, dense; a terminal state if `ends`.
pub fn dense(seed: u64, [s, a]: [usize; 2], discount: f64, ends: bool) -> Result<Dense> {
    let mut random = Random::new(seed);
    let reward: Vec<f64> = if discount < 1.0 {
        random.normals(s * a)
    } else {
        (0..s * a).map(|_| -0.2 - random.uniform()).collect()
    };
    let transition = (0..s * a).flat_map(|_| random.distribution(s)).collect();
    let terminal: &[(usize, f64)] = if ends { &[(1, 0.7), (3, -0.4)] } else { &[] };
    Dense::new([s, a], reward, transition, discount, terminal)
}

/// Three successors an action; some actions cannot be taken.
pub fn sparse(seed: u64, [s, a]: [usize; 2], discount: f64) -> Result<Csr> {
    let mut random = Random::new(seed);
    let reward = (0..s * a).map(|_| -0.1 - random.uniform()).collect();
    let (mut starts, mut next, mut probability) = (vec![0], vec![], vec![]);
    for row in 0..s * a {
        // Action 0 is always there.
        if row % a == 0 || random.uniform() < 0.7 {
            for p in random.distribution(3) {
                next.push(random.below(s) as u32);
                probability.push(p);
            }
        }
        starts.push(next.len());
    }
    Csr::new([s, a], reward, (starts, next, probability), discount, &[(0, 1.5), (s - 1, 0.0)])
}

/// Rows are not of one length with columns: nothing may depend on a square.
pub const MAP: &str = "\
..........#..
.##..#....#..
..#..#..#.#..
..#.....#....
..####..#.##.
.........#...
.#.##.#......
.#....#..##..";

/// A grid with uneven costs.
pub fn grid(spec: GridSpec, open: bool) -> Result<GridProcess> {
    let mut random = Random::new(7);
    let map = GridMap::from_text(MAP)?;
    let cells = map.cells();
    let mut map = map.with_cost((0..cells).map(|_| 0.5 + random.uniform()).collect())?;
    if open {
        map = map.with_open((0..cells).map(|_| 0.3 + 0.65 * random.uniform()).collect())?;
    }
    let goals = [(map.cell(3, 11)?, 1.0), (map.cell(7, 0)?, -0.5)];
    GridProcess::new(map, spec, &goals)
}

/// A process of each kind, by name, that has a contraction.
pub trait Visit {
    fn visit<P: Parametric>(&mut self, name: &str, process: &P) -> Result<()>;
}

pub fn each(visit: &mut impl Visit) -> Result<()> {
    visit.visit("dense", &dense(1, [17, 4], 0.9, false)?)?;
    visit.visit("dense with ends", &dense(2, [12, 3], 0.95, true)?)?;
    visit.visit("dense, no discount", &dense(3, [9, 3], 1.0, true)?)?;
    visit.visit("sparse", &sparse(4, [40, 4], 0.97)?)?;
    visit.visit("sparse, no discount", &sparse(5, [40, 4], 1.0)?)?;
    for (name, spec, open) in grids() {
        visit.visit(name, &grid(spec, open)?)?;
    }
    Ok(())
}

pub fn grids() -> Vec<(&'static str, GridSpec, bool)> {
    let base = GridSpec::default();
    let eight = Connectivity::octile(Corners::Keep);
    vec![
        ("grid, four moves, no discount", base, false),
        ("grid, octile", GridSpec { connectivity: eight, ..base }, false),
        (
            "grid, moore, corners cut, stay at walls",
            GridSpec {
                connectivity: Connectivity::moore(Corners::Cut),
                walls: Walls::Stay,
                discount: 0.95,
                ..base
            },
            false,
        ),
        (
            "grid, noise",
            GridSpec {
                connectivity: eight,
                walls: Walls::Penalty(0.3),
                slip: 0.2,
                stay: 0.1,
                discount: 0.98,
            },
            false,
        ),
        (
            "grid, noise, no discount, cells that open",
            GridSpec { walls: Walls::Unavailable, slip: 0.15, stay: 0.05, ..base },
            true,
        ),
        (
            "grid, four moves or none, noise",
            GridSpec {
                connectivity: Connectivity::FourOrStay,
                walls: Walls::Penalty(0.2),
                slip: 0.1,
                stay: 0.1,
                discount: 0.97,
            },
            false,
        ),
        (
            "grid, heading, stay",
            GridSpec { connectivity: Connectivity::Heading, stay: 0.1, discount: 0.99, ..base },
            false,
        ),
        (
            "grid, heading",
            GridSpec { connectivity: Connectivity::Heading, walls: Walls::Stay, ..base },
            false,
        ),
    ]
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// max |a − b| over the finite ones, relative to the largest; infinite where only one is finite.
pub fn apart(a: &[f64], b: &[f64]) -> f64 {
    let scale = a.iter().chain(b).filter(|x| x.is_finite()).fold(1e-300f64, |m, x| m.max(x.abs()));
    let mut worst = if a.len() == b.len() { 0.0f64 } else { f64::INFINITY };
    for (a, b) in a.iter().zip(b) {
        if a.is_finite() && b.is_finite() {
            worst = worst.max((a - b).abs() / scale);
        } else if a != b {
            return f64::INFINITY;
        }
    }
    worst
}
