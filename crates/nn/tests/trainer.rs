//! Trainer: the same bits after interruptions, kills, a full disk, damaged files, and for any number of threads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;
#[path = "common/folder.rs"]
mod folder;
#[path = "common/runs.rs"]
mod runs;

use std::fs;
use std::ops::ControlFlow;
use std::process::Command;

use common::in_pool;
use folder::Folder;
use pullback_nn::optimizer::Sgd;
use pullback_nn::schedule::{Exponential, OneCycle, Schedule as _};
use pullback_nn::train::{CheckpointFolder, ConfusionMatrix, Ending, Event, Task as _, Trainer};
use pullback_nn::{Checkpoint, Error};
use runs::{EPOCHS, bits, go_on, kill, trainer, truncated, undisturbed};

use pullback_core_graph::candle::{DType, Device, Tensor};

type Run = Trainer<runs::Digits, Sgd>;

const FOLDER: &str = "PULLBACK_TEST_RUN";

/// Starts this very program with only the test below.
fn process(folder: &std::path::Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(FOLDER, folder);
    command
}

#[test]
#[ignore = "child process: killed by the test below"]
fn child() {
    runs::child(std::env::var_os(FOLDER).unwrap().as_ref());
}

#[test]
fn a_killed_run_is_the_undisturbed_run() {
    let killed = kill(12, 1, "killed", process);
    assert_eq!((killed.kills, killed.different, killed.crashed), (12, 0, 0));
    assert!(killed.finished > 0);
    assert!(killed.places > 3, "only {} different places", killed.places);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let one = in_pool(1, || undisturbed(0));
    assert_eq!(in_pool(2, || undisturbed(1)), one);
    assert_eq!(in_pool(3, || undisturbed(2)), one);
    assert_eq!(in_pool(2, || undisturbed(3)), one);
}

#[test]
fn an_interrupted_run_goes_on_in_the_middle_of_an_epoch() {
    let (expected, history) = undisturbed(0);
    let folder = Folder::new("interrupted");
    for stop in [1, 7, 12, 13, 30] {
        let mut trainer = trainer(Some(&folder.0), 2).unwrap();
        trainer.resume().unwrap();
        let ending = trainer.run(|event| match event {
            Event::Step { step, .. } if *step == stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!((ending.unwrap(), trainer.steps()), (Ending::Interrupted, stop));
    }
    // The same trainer can be interrupted and go on, too.
    let mut trainer = trainer(Some(&folder.0), 0).unwrap();
    assert_eq!(trainer.resume().unwrap().unwrap().step, 30);
    assert_eq!(trainer.run(|_| ControlFlow::Break(())).unwrap(), Ending::Interrupted);
    assert_eq!(trainer.run(go_on).unwrap(), Ending::Finished);
    assert_eq!(bits(trainer.parameters()), expected);
    assert_eq!(fs::read(folder.0.join("history.jsonl")).unwrap(), history);
}

#[test]
fn a_history_that_lost_its_end_goes_on_with_whole_lines() {
    let folder = Folder::new("half_a_line");
    let mut first = trainer(Some(&folder.0), 0).unwrap();
    let stop = |event: &Event<'_>| match event {
        Event::Step { step: 30, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert_eq!(first.run(stop).unwrap(), Ending::Interrupted);
    drop(first);
    let path = folder.0.join("history.jsonl");
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    let mut second = trainer(Some(&folder.0), 0).unwrap();
    assert_eq!(second.resume().unwrap().unwrap().step, 30);
    assert_eq!(second.run(go_on).unwrap(), Ending::Finished);
    for line in fs::read_to_string(&path).unwrap().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    let error = trainer(None, 0).unwrap().resume().unwrap_err();
    assert!(error.to_string().contains("no folder"), "{error}");
}

/// Nothing is resumed without checkpoints, so what a history holds is of another run.
#[test]
fn the_history_of_an_earlier_run_is_not_overwritten() {
    let folder = Folder::new("earlier");
    let path = folder.0.join("history.jsonl");
    let alone = || {
        runs::trainer_with(Some(&folder.0), 0, |options| {
            (options.epochs, options.checkpoints) = (1, None);
        })
    };
    // An empty file is nobody's.
    fs::write(&path, "").unwrap();
    let mut first = alone().unwrap();
    let stop = |event: &Event<'_>| match event {
        Event::Step { step: 5, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert_eq!(first.run(stop).unwrap(), Ending::Interrupted);
    let checkpoint = first.checkpoint();
    // The same trainer goes on in its own.
    assert_eq!(first.run(go_on).unwrap(), Ending::Finished);
    let written = fs::read(&path).unwrap();
    let error = alone().unwrap().run(go_on).unwrap_err();
    assert!(matches!(&error, Error::Io { path: found, .. } if *found == path), "{error}");
    assert!(error.to_string().contains("the history of an earlier run"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), written);
    // One that goes on from a checkpoint of its caller's cuts the file back to that.
    let mut second = alone().unwrap();
    second.restore(&checkpoint).unwrap();
    assert_eq!(second.run(go_on).unwrap(), Ending::Finished);
    assert_eq!(fs::read(&path).unwrap(), written);
}

#[test]
fn a_run_without_end_is_left_by_its_callback() {
    let mut trainer = runs::trainer_of(None, 0, u64::MAX).unwrap();
    let ending = trainer.run(|event| match event {
        Event::Step { step: 5, of, .. } => {
            assert_eq!(*of, u64::MAX);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(ending.unwrap(), Ending::Interrupted);
}

#[test]
fn a_momentum_for_each_step_reaches_the_optimizer() {
    let run = |momentum: Option<fn(u64) -> f64>| {
        let trainer = trainer(None, 0).unwrap();
        let mut trainer = match momentum {
            Some(momentum) => trainer.with_momentum(momentum),
            None => trainer,
        };
        trainer.run(go_on).map(|_| bits(trainer.parameters()))
    };
    let own = run(None).unwrap();
    assert_eq!(run(Some(|_| 0.9)).unwrap(), own);
    assert_ne!(run(Some(|step| if step < 20 { 0.9 } else { 0.8 })).unwrap(), own);
    let error = run(Some(|_| 1.5)).unwrap_err();
    assert!(matches!(error, Error::Setting { name: "momentum", .. }), "{error}");
}

#[test]
fn a_schedule_and_its_base_are_the_functions_of_the_step_that_they_stand_for() {
    let run = |with: fn(Run) -> Run| {
        let mut trainer = with(trainer(None, 0).unwrap());
        trainer.run(go_on).map(|_| bits(trainer.parameters()))
    };
    let cycle = || OneCycle::new(48).unwrap().cycle_momentum(0.5, 0.95).unwrap();
    let both = run(|t| {
        let cycle = OneCycle::new(48).unwrap().cycle_momentum(0.5, 0.95).unwrap();
        t.with_scheduled_rate(0.04, cycle)
    });
    let by_hand = {
        let (rate, momentum) = (cycle(), cycle());
        let trainer = trainer(None, 0).unwrap();
        let trainer = trainer.with_schedule(move |step| 0.04 * rate.factor(step));
        let mut trainer = trainer.with_momentum(move |step| momentum.momentum(step).unwrap());
        trainer.run(go_on).unwrap();
        bits(trainer.parameters())
    };
    assert_eq!(both.unwrap(), by_hand);
    // Without a momentum of the schedule's the optimizer keeps its own; what is named later counts.
    let constant = |t: Run| t.with_scheduled_rate(0.02, Exponential::new(1.0).unwrap());
    let own = run(|t| t.with_schedule(|_| 0.02)).unwrap();
    assert_eq!(run(constant).unwrap(), own);
    let later = run(|t| {
        let t = t.with_scheduled_rate(0.02, Exponential::new(1.0).unwrap());
        t.with_momentum(|_| 0.5)
    });
    assert_ne!(later.unwrap(), own);
    for error in [
        run(|t| t.with_scheduled_rate(-1.0, Exponential::new(1.0).unwrap())),
        run(|t| t.with_scheduled_rate(f64::NAN, Exponential::new(1.0).unwrap())),
    ] {
        assert!(matches!(error, Err(Error::Setting { name: "learning_rate", .. })), "{error:?}");
    }
}

#[test]
fn places_that_cannot_be_written_are_errors_with_their_paths() {
    let folder = Folder::new("places");
    let file = folder.0.join("file");
    fs::write(&file, "a file, not a folder").unwrap();
    let told = |error: Error, path: &std::path::Path| {
        assert!(matches!(&error, Error::Io { path: found, .. } if found == path), "{error}");
    };
    told(CheckpointFolder::open(&file, 2).unwrap_err(), &file);
    told(CheckpointFolder::open(file.join("below"), 2).unwrap_err(), &file.join("below"));
    // The lock's place is taken, the best one's, the history's.
    let taken = folder.0.join("taken");
    fs::create_dir_all(taken.join(".lock")).unwrap();
    told(CheckpointFolder::open(&taken, 2).unwrap_err(), &taken.join(".lock"));
    let open = CheckpointFolder::open(folder.0.join("best"), 2).unwrap();
    fs::create_dir_all(open.best().join("full")).unwrap();
    told(open.save_best(&whole()).unwrap_err(), &open.best());
    let left = fs::read_dir(folder.0.join("best")).unwrap().count();
    assert_eq!(left, 2, "the lock and what took the place; nothing half written");
    fs::create_dir_all(folder.0.join("history.jsonl")).unwrap();
    let mut trainer = trainer(Some(&folder.0), 0).unwrap();
    told(trainer.run(go_on).unwrap_err(), &folder.0.join("history.jsonl"));
    assert_eq!(trainer.steps(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let error = runs::full_disk().unwrap();
    assert!(error.contains("step-") && error.contains("No space left"), "{error}");
}

#[test]
fn a_cut_checkpoint_is_told_and_the_one_before_taken() {
    assert_eq!(truncated(5), (5, 5));
}

#[test]
fn only_damaged_checkpoints_are_an_error_and_no_new_beginning() {
    let folder = Folder::new("damaged");
    let mut first = trainer(Some(&folder.0), 0).unwrap();
    first.run(go_on).unwrap();
    drop(first);
    let checkpoints = folder.0.join("checkpoints");
    for entry in fs::read_dir(&checkpoints).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            fs::write(path, b"short").unwrap();
        }
    }
    let error = trainer(Some(&folder.0), 0).unwrap().resume().unwrap_err();
    assert!(matches!(&error, Error::Checkpoint { path, .. } if *path == checkpoints), "{error}");
    assert!(error.to_string().contains("none of 3 is whole"), "{error}");
}

#[test]
fn metrics_are_lines_and_the_best_is_kept() {
    let folder = Folder::new("metrics");
    let mut trainer = trainer(Some(&folder.0), 0).unwrap();
    let (mut steps, mut best) = (0, vec![]);
    let ending = trainer.run(|event| {
        match event {
            Event::Step { loss, norm, of, .. } => {
                assert!(loss.is_finite() && norm.is_some() && *of == EPOCHS * 12);
                steps += 1;
            }
            Event::Epoch { metrics, best: true, .. } => best.push(metrics["accuracy"]),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!((ending.unwrap(), steps, trainer.steps()), (Ending::Finished, 48, 48));
    assert!(best.is_sorted() && trainer.best() == best.last().copied());
    let text = fs::read_to_string(folder.0.join("history.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 24 + EPOCHS as usize);
    let last = &lines.last().unwrap()["epoch"];
    assert_eq!((last["epoch"].as_u64(), last["step"].as_u64()), (Some(3), Some(48)));
    assert!(last["metrics"]["accuracy"].as_f64().unwrap() > 0.5, "{last}");
    // The best parameters measure what was said of them.
    let mut parameters = trainer.parameters().clone();
    let file = trainer.best_checkpoint().unwrap();
    parameters.load(&Checkpoint::load(file).unwrap(), "model.").unwrap();
    let metrics = trainer.task().evaluate(&parameters).unwrap();
    assert_eq!(Some(metrics["accuracy"]), trainer.best());
    let kept = fs::read_dir(folder.0.join("checkpoints")).unwrap().count();
    assert_eq!(kept, 3 + 2, "three checkpoints, the best, the lock");
}

#[test]
fn another_run_is_refused() {
    let folder = Folder::new("another");
    let mut first = trainer(Some(&folder.0), 0).unwrap();
    // Held while it lives, and by whom.
    let held = || trainer(Some(&folder.0), 0).unwrap_err().to_string();
    assert!(held().contains("a trainer of this process holds it: drop that one"), "{}", held());
    #[cfg(unix)]
    for (text, told) in
        [("1", "process 1 trains in this folder"), ("?", "another trainer holds it")]
    {
        fs::write(folder.0.join("checkpoints/.lock"), text).unwrap();
        assert!(held().contains(told), "{}", held());
    }
    first.run(go_on).unwrap();
    let mut other = first.checkpoint();
    drop(first);
    // Not resumed: its checkpoints would mix with the old ones.
    let mut second = trainer(Some(&folder.0), 0).unwrap();
    let error = second.run(go_on).unwrap_err();
    assert!(error.to_string().contains("up to step 48"), "{error}");
    let before = bits(second.parameters());
    other.metadata.insert("train.run".into(), "seed 6".into());
    let error = second.restore(&other).unwrap_err();
    assert!(matches!(&error, Error::Checkpoint { reason, .. } if reason.contains("seed 6")));
    other.metadata.remove("train.run");
    assert!(matches!(second.restore(&other), Err(Error::Entry { .. })));
    assert_eq!(bits(second.parameters()), before);
}

fn whole() -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.tensors.insert("x".into(), Tensor::ones(1000, DType::F64, &Device::Cpu).unwrap());
    checkpoint
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let folder = Folder::new("reserved");
    let file = folder.0.join("checkpoint");
    let mut reserved = whole();
    reserved.tensors.insert("__metadata__".into(), Tensor::new(1.0, &Device::Cpu).unwrap());
    let refused = reserved.save(&file);
    assert!(matches!(refused, Err(Error::Checkpoint { .. })), "{refused:?}");
    assert!(!file.exists());
    // Dimensions beside a 0 whose product overflows.
    let header = r#"{"__metadata__":{"pullback":"{\"metadata\":{},\"sha256\":\"00\"}"},"#
        .to_string()
        + r#""a":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    fs::write(&file, [&length[..], header.as_bytes()].concat()).unwrap();
    let error = Checkpoint::load(&file).unwrap_err().to_string();
    assert!(error.contains("[0, 1099511627776, 1099511627776]"), "{error}");
}

#[test]
fn threads_that_write_the_same_checkpoint_do_not_meet() {
    let folder = Folder::new("together");
    let file = folder.0.join("checkpoint");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    whole().save(&file).unwrap();
                    Checkpoint::load(&file).unwrap();
                }
            });
        }
    });
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn half_written_files_are_cleared_away() {
    let folder = Folder::new("half");
    let half = folder.0.join("step-000000000003.safetensors.1.tmp");
    fs::write(&half, "half").unwrap();
    fs::write(folder.0.join("notes.tmp"), "mine").unwrap();
    let open = CheckpointFolder::open(&folder.0, 2).unwrap();
    assert!(!half.exists() && folder.0.join("notes.tmp").exists());
    assert!(open.newest().unwrap().is_none());
    for step in 1..6 {
        open.save(step, &Checkpoint::new()).unwrap();
    }
    assert_eq!(open.steps().unwrap(), [4, 5]);
    // A later one that is damaged takes no place from those that this run writes.
    fs::write(folder.0.join("step-000000000099.safetensors"), "short").unwrap();
    open.save(6, &Checkpoint::new()).unwrap();
    assert_eq!(open.steps().unwrap(), [5, 6, 99]);
    let found = open.newest().unwrap().unwrap();
    assert_eq!((found.step, found.damaged.len()), (6, 1));
    // Names that spell a number otherwise are other people's files.
    for name in ["step-1.safetensors", "step-+00000000002.safetensors"] {
        fs::write(folder.0.join(name), "mine").unwrap();
    }
    open.save(7, &Checkpoint::new()).unwrap();
    assert_eq!(open.steps().unwrap(), [6, 7, 99]);
}

#[test]
fn confusion_is_counted() {
    let scores =
        Tensor::new(&[[0.1f32, 0.9], [0.8, 0.2], [0.5, 0.5], [0.0, 1.0]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[1u32, 1, 0, 0], &Device::Cpu).unwrap();
    let matrix = ConfusionMatrix::new(&scores, &labels).unwrap();
    let counts = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(l, p)| matrix.count(l, p));
    for (label, prediction) in [(2, 0), (0, 2), (usize::MAX, 1), (1, usize::MAX)] {
        assert_eq!(matrix.count(label, prediction), 0, "{label} {prediction}");
    }
    assert_eq!((counts, matrix.wrong(), matrix.accuracy()), ([1, 1, 1, 1], &[1, 3][..], 0.5));
    let bad = Tensor::new(&[2u32, 0, 0, 0], &Device::Cpu).unwrap();
    assert!(matches!(ConfusionMatrix::new(&scores, &bad), Err(Error::Index { .. })));
    let bad = Tensor::new(&[0i64, -1, 0, 0], &Device::Cpu).unwrap();
    let error = ConfusionMatrix::new(&scores, &bad).unwrap_err();
    assert!(error.to_string().contains("index -1 at position 1"), "{error}");
}
