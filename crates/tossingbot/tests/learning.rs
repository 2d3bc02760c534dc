//! The learning robot: replay, agent, total derivative, resuming to the bit, one small job through everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::path::PathBuf;

use pullback_tossingbot::agent::{Maps, candidate};
use pullback_tossingbot::archive::Archive;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::demo::{Demo, Event, Plan};
use pullback_tossingbot::evaluate::Pilot;
use pullback_tossingbot::heightmap::Heightmap;
use pullback_tossingbot::hindsight::{Throwing, landing_aim, would_hit};
use pullback_tossingbot::method::Method;
use pullback_tossingbot::objects::{Builtin, builtin_models};
use pullback_tossingbot::observation::Turner;
use pullback_tossingbot::preset::{NetworkSize, Preset};
use pullback_tossingbot::replay::{Prioritization, Replay, Transition};
use pullback_tossingbot::rng::{Purpose, Stream};
use pullback_tossingbot::scene::Workspace;
use pullback_tossingbot::train::{Batch, Setup, Stage, Trainer, differentiate};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The quick preset with few channels and steps.
fn tiny() -> Preset {
    let mut preset = Preset::quick();
    preset.network = NetworkSize { perception: [4, 4, 6, 6], heads: [6, 4, 4], speed_channels: 2 };
    preset.curriculum.collect = 200;
    preset.curriculum.fit = 6;
    preset.curriculum.practice = 12;
    preset.curriculum.fit_batch = 4;
    preset.curriculum.practice_batch = 4;
    preset.curriculum.checkpoint = 5;
    preset.replay.capacity = 205;
    preset.evaluation = 8;
    preset
}

fn setup(method: Method) -> Setup {
    Setup {
        preset: tiny(),
        world: World::default(),
        catalogue: builtin_models(&Builtin::SEEN).unwrap(),
        method,
        seed: 5,
    }
}

fn blank(target: usize) -> Transition {
    Transition {
        heights: vec![0; 4],
        rotation: 0,
        pixel: 0,
        target,
        speed: 2.0,
        grasped: false,
        landing: None,
    }
}

#[test]
fn replay_is_bounded_prefers_surprise_and_is_restored_exactly() {
    let settings = Prioritization { capacity: 50, exponent: 0.7, renewal: 10 };
    let mut replay = Replay::new(settings);
    (0..80).for_each(|i| {
        replay.push(blank(i));
    });
    assert_eq!(replay.len(), 50);
    let kept: Vec<usize> = replay.transitions().iter().map(|t| t.target).collect();
    assert!((30..80).all(|target| kept.contains(&target)));
    (0..50).for_each(|slot| replay.report(slot, if slot == 7 { 9.0 } else { 0.001 * slot as f64 }));
    let mut rng = Stream::new(1, Purpose::Replay);
    replay.draw(10, &mut rng);
    let mut count = [0usize; 50];
    for _ in 0..400 {
        replay.draw(8, &mut rng).into_iter().for_each(|slot| count[slot] += 1);
    }
    assert!(count.iter().all(|&c| c > 0));
    assert_eq!(count.iter().max(), Some(&count[7]));
    // P(first rank)/P(second rank) = 2^α.
    assert!((count[7] as f64 / count[49] as f64 - 2f64.powf(0.7)).abs() < 0.4);

    let parts = (replay.transitions().to_vec(), replay.priorities().to_vec());
    let mut restored = Replay::restore(replay.state(), parts.0.clone(), parts.1).unwrap();
    let mut same = rng.clone();
    for _ in 0..30 {
        assert_eq!(replay.draw(6, &mut rng), restored.draw(6, &mut same));
    }
    assert!(Replay::restore(replay.state(), parts.0, vec![]).is_none());
}

#[test]
fn the_best_pixel_is_found_and_inhibited_after_a_failure() {
    let mut map = Heightmap::empty(&Workspace::quick());
    map.height.fill(0.02);
    let size = map.rows * map.columns;
    let mut hit = vec![0.1; 16 * size];
    let (first, second) = (3 * size + 20 * map.columns + 20, 9 * size + 30 * map.columns + 25);
    (hit[first], hit[second]) = (0.9, 0.8);
    // A corner of a turned map lies outside the workspace, however promising it looks.
    hit[2 * size] = 1.0;
    let maps = Maps { rows: map.rows, columns: map.columns, hit, residual: vec![] };
    let best = maps.best(&map, &[]).unwrap();
    assert_eq!((best.rotation, best.pixel), (3, first - 3 * size));
    assert_eq!(best.residual, 0.0);
    let next = maps.best(&map, &[best.pose]).unwrap();
    assert_eq!((next.rotation, next.pixel), (9, second - 9 * size));
    map.height.fill(0.0);
    assert_eq!(maps.best(&map, &[]), None, "a table cannot be grasped");
    assert_eq!(candidate(&map, 9, second - 9 * size).pose, next.pose);
}

#[test]
fn hindsight_says_that_a_hit_hits_and_that_its_error_misses() {
    let world = World::default();
    for target in 0..world.boxes.len() {
        let throwing = Throwing::new(&world, target).unwrap();
        let base = throwing.aim.speed(9.81).unwrap();
        let landing = [throwing.point.x, throwing.point.y];
        let aim = landing_aim(&world, Some(landing)).unwrap();
        assert!((aim.speed(9.81).unwrap() - base).abs() < 1e-12);
        assert!(would_hit(&world, &throwing, base, 0.0, 9.81, landing));
        // ±.08 m/s of horizontal speed stay inside an opening of 25 cm, ±.16 m/s do not.
        for (error, hit) in [(0.08, true), (-0.08, true), (0.16, false), (-0.16, false)] {
            assert_eq!(would_hit(&world, &throwing, base, error, 9.81, landing), hit, "{error}");
        }
        let aside = [throwing.point.x, throwing.point.y + 0.1];
        assert!(!would_hit(&world, &throwing, base, 0.0, 9.81, aside));
    }
    assert!(landing_aim(&world, Some([0.8, 0.0])).is_none());
    assert!(landing_aim(&world, None).is_none());
}

#[test]
fn a_mirrored_batch_reflects_rows_and_pixels() {
    let turner = Turner::new(&Workspace::quick());
    let (rows, columns) = turner.size();
    let mut attempt = blank(0);
    attempt.heights = (0..rows * columns).map(|i| (i % 251) as u8).collect();
    attempt.pixel = 5 * columns + 9;
    let (plain, at) = turner.batch(&[&attempt], &[false], 0).unwrap();
    let (mirror, mirrored) = turner.batch(&[&attempt], &[true], 0).unwrap();
    assert_eq!((at[0], mirrored[0]), ([5, 9], [rows - 6, 9]));
    let values = |t: &pullback_core_graph::candle::Tensor| {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let (plain, mirror) = (values(&plain), values(&mirror));
    for row in 0..rows {
        let (a, b) = (row * columns, (rows - 1 - row) * columns);
        assert_eq!(plain[a..a + columns], mirror[b..b + columns]);
    }
    for mirrored in [false, true] {
        let (whole, at) = turner.batch(&[&attempt], &[mirrored], 0).unwrap();
        let (cut, inside) = turner.batch(&[&attempt], &[mirrored], 16).unwrap();
        assert_eq!(cut.dims(), [1, 1, 16, 16]);
        let (top, left) = (at[0][0] - inside[0][0], at[0][1] - inside[0][1]);
        assert!(top % 4 == 0 && left % 4 == 0 && top + 16 <= rows && left + 16 <= columns);
        let (whole, cut) = (values(&whole), values(&cut));
        for row in 0..16 {
            let from = (top + row) * columns + left;
            assert_eq!(cut[row * 16..(row + 1) * 16], whole[from..from + 16]);
        }
    }
}

#[test]
fn the_derivative_by_gravity_is_total() {
    let mut trainer = Trainer::new(setup(Method::Residual)).unwrap();
    while trainer.replay().len() < 200 {
        trainer.advance().unwrap();
    }
    // A few updates, so that the throw network depends on v̂.
    (0..5).for_each(|_| {
        trainer.advance().unwrap();
    });
    let landed: Vec<&Transition> =
        trainer.replay().transitions().iter().filter(|t| t.landing.is_some()).take(12).collect();
    assert!(landed.len() >= 8, "{}", landed.len());
    let batch = Batch {
        attempts: &landed,
        mirrored: &vec![false; landed.len()],
        window: 32,
        throw_weight: 1.0,
        gravity: true,
    };
    let mut model = trainer.model().clone();
    let mut loss = |gravity: f64| {
        model.gravity = gravity;
        let g = differentiate(&model, &World::default(), &batch).unwrap();
        (g.throw.iter().sum::<f64>() / g.throw.len() as f64, g.gravity.unwrap())
    };
    for gravity in [8.5, 10.5] {
        let h = 0.02;
        let difference = (loss(gravity + h).0 - loss(gravity - h).0) / (2.0 * h);
        let (_, total) = loss(gravity);
        assert!((total - difference).abs() < 2e-3 * total.abs().max(1.0), "{total} {difference}");
    }
}

#[test]
fn a_run_that_is_interrupted_anywhere_ends_with_the_same_bits() {
    let folder = folder("resume");
    for method in Method::ALL {
        let straight = folder.join("straight");
        let mut run = Trainer::new(setup(method)).unwrap();
        while !run.is_done() {
            run.advance().unwrap();
        }
        run.save(&straight).unwrap();
        let between = folder.join("between");
        let mut run = Trainer::new(setup(method)).unwrap();
        let mut stages = vec![];
        while !run.is_done() {
            run.advance().unwrap();
            run.save(&between).unwrap();
            run = Trainer::load(setup(method), &between).unwrap();
            stages.push(run.setup().preset.curriculum.stage(run.steps_done()).0);
        }
        assert!(stages.contains(&Stage::Fit) && stages.contains(&Stage::Practice));
        assert_eq!(run.history().len(), 12);
        run.save(&between).unwrap();
        assert!(
            std::fs::read(&straight).unwrap() == std::fs::read(&between).unwrap(),
            "{method:?}"
        );
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let folder = folder("threads");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let path = folder.join(format!("{threads}"));
        pool.install(|| {
            let mut run = Trainer::new(setup(Method::Residual)).unwrap();
            while !run.is_done() {
                run.advance().unwrap();
            }
            run.save(&path).unwrap();
        });
        std::fs::read(path).unwrap()
    };
    let one = run(1);
    assert!(one == run(2) && one == run(4));
}

#[test]
fn a_checkpoint_of_another_setup_or_a_damaged_one_is_refused() {
    let path = folder("refuse").join("a");
    let run = Trainer::new(setup(Method::Physics)).unwrap();
    run.save(&path).unwrap();
    assert!(Trainer::load(setup(Method::Physics), &path).is_ok());
    let other = Setup { seed: 6, ..setup(Method::Physics) };
    let error = Trainer::load(other, &path).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 7, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        assert!(Trainer::load(setup(Method::Physics), &path).is_err());
    }
    // Every bit counts, in the header and in the arrays.
    for at in (9..bytes.len()).step_by(bytes.len() / 60 + 1) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        assert!(Trainer::load(setup(Method::Physics), &path).is_err(), "byte {at}");
    }
    assert!(Archive::load(&path.with_file_name("absent")).is_err());
    assert!(Archive::load(path.parent().unwrap()).is_err(), "a folder is no file");
}

#[test]
fn a_small_job_goes_through_everything_and_resumes() {
    let plan = |name: &str| Plan {
        preset: tiny(),
        world: World::default(),
        catalogue: builtin_models(&Builtin::SEEN).unwrap(),
        seed: 5,
        folder: folder(name),
    };
    let finish = |demo: &mut Demo| while demo.advance().unwrap() != Event::Finished {};
    let mut whole = Demo::start(plan("whole")).unwrap();
    finish(&mut whole);
    let (done, of) = whole.position();
    assert_eq!(done, of);
    let page = std::fs::read_to_string(whole.plan().page()).unwrap();
    for part in ["Results", "Learning curves", "Where it would grasp", "data:image/png", "<svg"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http"), "the page loads nothing");

    let broken_off = plan("resumed");
    let mut demo = Demo::start(broken_off.clone()).unwrap();
    for _ in 0..17 {
        demo.advance().unwrap();
    }
    drop(demo); // as if killed: the last checkpoint is some steps back
    let mut resumed = Demo::resume(broken_off).unwrap();
    finish(&mut resumed);
    assert_eq!(whole.evaluation(), resumed.evaluation());
    for (a, b) in whole.trainers().iter().zip(resumed.trainers()) {
        assert_eq!(a.model().gravity(), b.model().gravity());
    }
    for method in Method::ALL {
        let read = |demo: &Demo| std::fs::read(demo.plan().checkpoint(method)).unwrap();
        assert!(read(&whole) == read(&resumed), "{method:?}");
    }
}
