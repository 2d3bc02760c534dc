//! Filters: the transpose law, Bayes' rule and its slopes, particles, acting on beliefs.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{Random, dot, grid, grids};
use pullback_vin::Result;
use pullback_vin::belief::{
    Particles, Qmdp, RangeScan, Resampling, Sensor, WallSensing, entropy, expected, predict,
    pull_soft, update,
};
use pullback_vin::grid::{Connectivity, GridMap, GridProcess, GridSpec, Walls, random_map};
use pullback_vin::process::Process;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn the_filter_is_the_transpose_of_the_planner() -> Result<()> {
    for (name, spec, open) in grids() {
        let process = grid(spec, open)?;
        let mut random = Random::new(2);
        let n = process.states();
        let (b, v) = (random.normals(n), random.normals(n));
        for action in 0..process.actions() {
            let left = dot(&expected(&process, &v, action)?, &b);
            let right = dot(&v, &predict(&process, &b, action)?);
            assert!((left - right).abs() <= 1e-12 * left.abs().max(1.0), "{name}: {left} {right}");
        }
        // Mass is kept.
        let uniform = vec![1.0 / n as f64; n];
        let total: f64 = predict(&process, &uniform, 0)?.iter().sum();
        assert!((total - 1.0).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn bayes_and_its_slopes() -> Result<()> {
    let b = [0.5, 0.25, 0.25, 0.0];
    let log = [0.2f64.ln(), 0.4f64.ln(), f64::NEG_INFINITY, 5.0];
    let after = update(&b, &log)?;
    assert!((after.belief[0] - 0.5).abs() < 1e-15 && after.belief[2..] == [0.0, 0.0]);
    assert!((after.log_evidence - 0.2f64.ln()).abs() < 1e-15);
    // Likelihoods that are 0 as numbers.
    let tiny = update(&[0.5, 0.5], &[-2000.0, -2001.0])?;
    assert!((tiny.belief[0] - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15);
    assert!(update(&[0.5, 0.5], &[f64::NEG_INFINITY; 2]).is_err());
    assert!(update(&[0.5, 0.5], &[f64::NAN, 0.0]).is_err());
    let (g, e) = ([0.7, -1.1, 0.4], 0.9);
    let loss = |b: &[f64], log: &[f64]| -> Result<f64> {
        let after = update(b, log)?;
        Ok(dot(&g, &after.belief) + e * after.log_evidence)
    };
    // The last state of the second belief is excluded, though the reading is likelier there.
    for (b, log) in
        [([0.2, 0.3, 0.5], [-1.0, 0.3, -0.4]), ([0.4, 0.6, 0.0], [-1.0, f64::NEG_INFINITY, 0.7])]
    {
        let [db, dl] = update(&b, &log)?.pull(&g, e)?;
        for i in 0..3 {
            let h = 1e-6;
            // At 0 from one side, by three points.
            let at = |t: f64| {
                let mut moved = b;
                moved[i] += t;
                loss(&moved, &log)
            };
            let slope = match b[i] > 0.0 {
                true => (at(h)? - at(-h)?) / (2.0 * h),
                false => (-3.0 * at(0.0)? + 4.0 * at(h)? - at(2.0 * h)?) / (2.0 * h),
            };
            assert!((slope - db[i]).abs() < 1e-8, "b {i}: {slope} {}", db[i]);
            if log[i].is_finite() {
                let (mut up, mut down) = (log, log);
                (up[i], down[i]) = (log[i] + h, log[i] - h);
                let slope = (loss(&b, &up)? - loss(&b, &down)?) / (2.0 * h);
                assert!((slope - dl[i]).abs() < 1e-8, "l {i}: {slope} {}", dl[i]);
            }
        }
    }
    let [db, dl] = update(&[1.0, 0.0], &[0.0, 0.0])?.pull(&[0.0, 1.0], 0.0)?;
    assert_eq!((db, dl), (vec![0.0, 1.0], vec![0.0, 0.0]));
    // Likelier by e¹⁰⁰⁰ than what was believed: the update is what it is, a slope there is not.
    let sure = update(&[1.0, 0.0], &[0.0, 1000.0])?;
    assert_eq!(sure.belief, [1.0, 0.0]);
    let error = sure.pull(&[0.0, 1.0], 0.0).unwrap_err().to_string();
    assert!(error.contains("state 1, which was 0"), "{error}");
    assert!(update(&[1.0, 0.0], &[0.0; 2])?.pull(&[0.0, f64::NAN], 0.0).is_err());
    assert!(update(&[1.0, 0.0], &[0.0; 2])?.pull(&[0.0], 0.0).is_err());
    Ok(())
}

/// Whatever walls do: an action that wants to go into one has met it.
#[test]
fn every_step_into_a_wall_is_counted() -> Result<()> {
    // Believed to be in cell 2 of a corridor, the robot is at its right end: the goal is to the left of neither.
    let map = GridMap::from_text("...#...")?;
    for walls in [Walls::Stay, Walls::Penalty(0.5), Walls::Unavailable] {
        let spec = GridSpec { walls, ..GridSpec::default() };
        let process = GridProcess::new(map.clone(), spec, &[(0, 0.0)])?;
        let qmdp = Qmdp::new(&process, 1.0)?;
        // A sensor that sees nothing: the belief stays in cells 1 and 2, and walks on to the west.
        let blind = WallSensing::new(map.clone(), 0.5)?;
        let belief = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let run = qmdp.run(&process, &blind, 4, &belief, 2, &mut random)?;
        assert_eq!((run.arrived, run.steps, run.collisions), (false, 2, 2), "{walls:?}");
        let run = qmdp.run(&process, &blind, 2, &belief, 5, &mut random)?;
        assert_eq!((run.arrived, run.steps, run.collisions), (true, 2, 0), "{walls:?}");
        assert_eq!((run.steps_taken.len(), run.steps_taken[0].1), (2, 3));
    }
    // With a heading: ahead, to the west, in cell 4; its first turns meet nothing.
    let spec =
        GridSpec { connectivity: Connectivity::Heading, walls: Walls::Stay, ..GridSpec::default() };
    let process = GridProcess::new(map.clone(), spec, &[(0, 0.0)])?;
    let mut belief = [0.0; 28];
    belief[4 * 2] = 1.0;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let blind = WallSensing::new(map, 0.5)?;
    let run = Qmdp::new(&process, 1.0)?.run(&process, &blind, 16, &belief, 3, &mut random)?;
    assert_eq!((run.arrived, run.steps, run.collisions), (false, 3, 2));
    Ok(())
}

#[test]
fn particles_come_near_the_histogram() -> Result<()> {
    let process = grid(GridSpec { slip: 0.2, stay: 0.1, ..GridSpec::default() }, false)?;
    let sensor = WallSensing::new(process.map().clone(), 0.9)?;
    let n = process.states();
    let free = |s: &usize| !process.map().solid()[*s];
    let count = (0..n).filter(free).count() as f64;
    let mut belief: Vec<f64> = (0..n).map(|s| if free(&s) { 1.0 / count } else { 0.0 }).collect();
    for how in [Resampling::Multinomial, Resampling::Systematic, Resampling::Soft { alpha: 0.5 }] {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut particles = Particles::from_belief(&belief, 20_000, &mut random)?;
        let mut exact = belief.clone();
        for step in 0..4 {
            let reading = sensor.draw(30, &mut random);
            let log = sensor.log_likelihoods(n, &reading);
            exact = update(&predict(&process, &exact, step)?, &log)?.belief;
            particles.predict(&process, step, &mut random)?;
            let each: Vec<f64> = particles.states.iter().map(|&s| log[s]).collect();
            particles.update(&each)?;
            assert!(particles.effective() <= 20_000.0 + 1e-6);
            particles.resample(how, &mut random)?;
            let distance: f64 =
                exact.iter().zip(particles.belief(n)?).map(|(a, b)| (a - b).abs()).sum();
            assert!(distance < 0.15, "{how:?}, step {step}: {distance}");
        }
    }
    belief[0] = -1.0;
    assert!(Particles::from_belief(&belief, 5, &mut ChaCha8Rng::seed_from_u64(0)).is_err());
    Ok(())
}

#[test]
fn soft_resampling_has_slopes() -> Result<()> {
    let w = [0.1, 0.4, 0.2, 0.3];
    let (parents, alpha, g) = ([1usize, 1, 3, 0], 0.6, [0.3, -0.8, 1.1, 0.5]);
    let loss = |w: &[f64]| -> f64 {
        let ratio = |i: &usize| w[*i] / (alpha * w[*i] + (1.0 - alpha) / 4.0);
        let raw: Vec<f64> = parents.iter().map(ratio).collect();
        dot(&g, &raw) / raw.iter().sum::<f64>()
    };
    let got = pull_soft(&w, &parents, alpha, &g)?;
    for i in 0..4 {
        let (mut up, mut down) = (w, w);
        (up[i], down[i]) = (w[i] + 1e-6, w[i] - 1e-6);
        let slope = (loss(&up) - loss(&down)) / 2e-6;
        assert!((slope - got[i]).abs() < 1e-8, "{i}: {slope} {}", got[i]);
    }
    Ok(())
}

#[test]
fn sensors_sum_to_one_and_see_walls() -> Result<()> {
    let map = GridMap::from_text("..#\n...")?;
    let sensor = WallSensing::new(map.clone(), 0.8)?;
    assert_eq!(sensor.truth(0)?, 0b1001); // north and west
    assert_eq!(sensor.truth(1)?, 0b0011); // north and east
    for cell in 0..6 {
        let total: f64 = (0..16).map(|z| sensor.log_likelihood(cell, &z).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }
    let sure = WallSensing::new(map.clone(), 1.0)?;
    assert_eq!(sure.log_likelihood(0, &0b1001), 0.0);
    assert_eq!(sure.log_likelihood(0, &0b0001), f64::NEG_INFINITY);
    let scan = RangeScan::new(&map, 0.1, 5.0)?;
    assert_eq!(scan.truth(3)?[2], 2.0);
    assert!((scan.truth(3)?[1] - 2f64.sqrt()).abs() < 1e-15);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let reading = scan.draw(3, &mut random);
    assert!((0..6).all(|c| scan.log_likelihood(c, &reading) <= scan.log_likelihood(3, &reading)));
    assert!(RangeScan::new(&map, 0.0, 1.0).is_err() && WallSensing::new(map, 1.1).is_err());
    Ok(())
}

/// The grids of QMDP-net: 10×10, a quarter of the cells solid, a start that the robot does not know.
#[test]
fn qmdp_finds_the_goal_without_knowing_where_it_is() -> Result<()> {
    let (mut arrived, mut runs) = (0, 0);
    for seed in 0..40 {
        let map = random_map(10, 10, 0.25, seed)?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let free: Vec<usize> = (0..100).filter(|&c| !map.solid()[c]).collect();
        let goal = free[random.random_range(0..free.len())];
        let process = GridProcess::new(map.clone(), GridSpec::default(), &[(goal, 0.0)])?;
        let qmdp = Qmdp::new(&process, 10.0)?;
        let joined: Vec<usize> = pullback_vin::policy::valued(&process)
            .iter()
            .enumerate()
            .filter_map(|(s, v)| v.then_some(s))
            .collect();
        let start = joined[random.random_range(0..joined.len())];
        let mut belief = vec![0.0; 100];
        joined.iter().for_each(|&s| belief[s] = 1.0 / joined.len() as f64);
        let sensor = WallSensing::new(map, 1.0)?;
        // The first reading, then steps.
        let log = sensor.log_likelihoods(100, &sensor.draw(start, &mut random));
        let first = update(&belief, &log)?.belief;
        let run = qmdp.run(&process, &sensor, start, &first, 80, &mut random)?;
        assert!(entropy(&run.belief) <= entropy(&belief) + 1e-12);
        arrived += usize::from(run.arrived);
        runs += 1;
    }
    // QMDP does not look for information: it may go round in circles.
    assert!(arrived * 10 >= runs * 9, "{arrived} of {runs}");
    let process = GridProcess::new(GridMap::from_text("..#.")?, GridSpec::default(), &[(0, 0.0)])?;
    let lost = Qmdp::new(&process, 1.0)?.action(&[0.0, 0.5, 0.0, 0.5]);
    assert!(lost.unwrap_err().to_string().contains("state 3"));
    Ok(())
}
