//! x = argmin ½‖x − c‖² s.t. Gx ≤ h, seen at many c: which G and h?

use std::path::Path;

use anyhow::Result;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use pullback_core_graph::attach;
use pullback_core_graph::candle::{Device, Tensor, Var};
use pullback_diffopt::qp::Qp;
use pullback_graph::landscape::Random;
use pullback_graph::plot::Plot;

/// Sides of the polygon.
const SIDES: usize = 5;

/// Rows (cos φ, sin φ) and right-hand sides of the true polygon.
fn truth() -> ([f64; 2 * SIDES], [f64; SIDES]) {
    let (mut g, mut h) = ([0.0; 2 * SIDES], [0.0; SIDES]);
    for k in 0..SIDES {
        let angle = 0.4 + std::f64::consts::TAU * k as f64 / SIDES as f64;
        (g[2 * k], g[2 * k + 1]) = (angle.cos(), angle.sin());
        h[k] = 0.8 + 0.3 * (2.0 * k as f64).sin();
    }
    (g, h)
}

pub(crate) fn learn(steps: usize) -> Result<()> {
    println!("1. The sides of a polygon from {steps} steps on projections onto it\n");
    let device = Device::Cpu;
    let project = Qp::new(2).inequalities(SIDES).name("projection").function().build();
    let eye = Tensor::new(&[[1.0f64, 0.0], [0.0, 1.0]], &device)?;
    let (g, h) = truth();
    let true_g = Tensor::from_slice(&g, (SIDES, 2), &device)?;
    let true_h = Tensor::from_slice(&h, SIDES, &device)?;
    let mut random = Random::new(3);
    // Points around the polygon, and where they go.
    let c: Vec<f64> = random.normals(2 * 256).iter().map(|x| 1.5 * x).collect();
    let c = Tensor::from_vec(c, (256, 2), &device)?;
    let minus_c = c.neg()?;
    let seen = attach(&project, &[&eye, &minus_c, &true_g, &true_h])?.swap_remove(0);
    // A round guess.
    let start: Vec<f64> = (0..SIDES)
        .flat_map(|k| {
            let angle = std::f64::consts::TAU * k as f64 / SIDES as f64;
            [angle.cos(), angle.sin()]
        })
        .collect();
    let g = Var::from_vec(start.clone(), (SIDES, 2), &device)?;
    let h = Var::from_vec(vec![1.2f64; SIDES], SIDES, &device)?;
    let parameters = ParamsAdamW { lr: 0.03, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vec![g.clone(), h.clone()], parameters)?;
    println!("   step   mean squared distance");
    for step in 0..=steps {
        let x = attach(&project, &[&eye, &minus_c, &g, &h])?.swap_remove(0);
        let loss = (x - &seen)?.sqr()?.sum_all()?.affine(1.0 / 256.0, 0.0)?;
        if step % (steps / 6).max(1) == 0 {
            println!("   {step:4}   {:.3e}", loss.to_scalar::<f64>()?);
        }
        if step < steps {
            // A smaller step towards the end.
            let share = step as f64 / steps as f64;
            optimizer.set_learning_rate(0.03 * (1.0 - share) + 1e-4);
            optimizer.backward_step(&loss)?;
        }
    }
    println!("\n   side   true direction and distance      learned");
    let (g, h) = (g.to_vec2::<f64>()?, h.to_vec1::<f64>()?);
    let (true_g, true_h) = truth();
    let learned: Vec<[f64; 3]> = (0..SIDES)
        .map(|k| {
            let size = g[k][0].hypot(g[k][1]);
            [g[k][0] / size, g[k][1] / size, h[k] / size]
        })
        .collect();
    for k in 0..SIDES {
        let want = [true_g[2 * k], true_g[2 * k + 1], true_h[k]];
        let near = learned.iter().min_by(|a, b| off(a, &want).total_cmp(&off(b, &want)));
        let near = near.copied().unwrap_or([f64::NAN; 3]);
        println!(
            "   {k:4}   ({:+.4}, {:+.4})  {:.4}        ({:+.4}, {:+.4})  {:.4}",
            want[0], want[1], want[2], near[0], near[1], near[2]
        );
    }
    println!();
    draw(&learned, &c, &seen)
}

fn off(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The corners of {x: gᵢᵀx ≤ hᵢ}, in order, closed.
fn corners(sides: &[[f64; 3]]) -> Vec<[f64; 2]> {
    let mut out = Vec::new();
    for (i, a) in sides.iter().enumerate() {
        for b in &sides[i + 1..] {
            let determinant = a[0] * b[1] - a[1] * b[0];
            if determinant.abs() < 1e-9 {
                continue;
            }
            let x = (a[2] * b[1] - a[1] * b[2]) / determinant;
            let y = (a[0] * b[2] - a[2] * b[0]) / determinant;
            if sides.iter().all(|s| s[0] * x + s[1] * y <= s[2] + 1e-9) {
                out.push([x, y]);
            }
        }
    }
    out.sort_by(|a, b| a[1].atan2(a[0]).total_cmp(&b[1].atan2(b[0])));
    out.extend(out.first().copied());
    out
}

fn draw(learned: &[[f64; 3]], c: &Tensor, seen: &Tensor) -> Result<()> {
    let (g, h) = truth();
    let sides: Vec<[f64; 3]> = (0..SIDES).map(|k| [g[2 * k], g[2 * k + 1], h[k]]).collect();
    let points = |t: &Tensor| -> Result<Vec<[f64; 2]>> {
        Ok(t.to_vec2::<f64>()?.into_iter().map(|p| [p[0], p[1]]).collect())
    };
    let picture = Plot::new("a polygon learned from projections onto it")
        .size(520.0, 480.0)
        .axes("x₀", "x₁")
        .x_limits(-3.0, 3.0)
        .y_limits(-3.0, 3.0)
        .dots("points", points(c)?)
        .dots("their projections", points(seen)?)
        .line("true sides", corners(&sides))
        .dashed("learned sides", corners(learned));
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("14_polygon.svg"), picture.to_svg())?;
    println!("   target/figures/14_polygon.svg\n");
    Ok(())
}
