//! A small convolutional network learns handwritten digits: data, training that can be stopped and resumed, what it confuses.
//!
//! `cargo xtask data digits` fetches the real digits; without them, digits drawn from strokes stand in. `--resume` goes on with an
//! interrupted run, `--quick` trains for two epochs.
#![allow(clippy::print_stdout)] // an example talks

mod digits;
mod picture;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use pullback_nn::data::Dataset;
use pullback_nn::train::{ConfusionMatrix, Event};

fn main() -> Result<()> {
    let asked = |what: &str| std::env::args().any(|argument| argument == what);
    let epochs = if asked("--quick") { 2 } else { 40 };
    let (all, which) = match digits::handwritten()? {
        Some(all) => (all, "handwritten digits of UCI"),
        None => {
            println!(
                "!! no real digits in {}: `cargo xtask data digits` fetches them.",
                digits::FOLDER
            );
            println!(
                "!! Digits drawn from strokes stand in; what follows says nothing about handwriting.\n"
            );
            (digits::drawn()?, "digits drawn from strokes")
        }
    };
    let folder = Path::new("target/07_digits");
    if !asked("--resume") && folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let mut trainer = digits::trainer(&all, epochs, 0, Some(folder.into()))?;
    let test = trainer.task().test.len();
    println!("{} {which}: {} to learn from, {test} held out", all.len(), all.len() - test);
    println!("{} parameters\n", trainer.parameters().element_count());
    if let Some(found) = trainer.resume()? {
        println!("resumed after step {}", found.step);
    }

    let start = Instant::now();
    trainer.run(|event| {
        if let Event::Epoch { epoch, loss, metrics, .. } = event
            && (epoch % 5 == 4 || *epoch < 2)
        {
            let (accuracy, seconds) = (100.0 * metrics["accuracy"], start.elapsed().as_secs_f64());
            println!(
                "epoch {:>2}: loss {loss:.4}, test accuracy {accuracy:.2} %, {seconds:.1} s",
                epoch + 1
            );
        }
        ControlFlow::Continue(())
    })?;

    let scores = trainer.task().scores(trainer.parameters())?;
    let matrix = ConfusionMatrix::new(&scores, trainer.task().test.labels())?;
    println!(
        "\ntest accuracy {:.2} %, {} of {test} taken for another digit, {:.1} s",
        100.0 * matrix.accuracy(),
        matrix.wrong().len(),
        start.elapsed().as_secs_f64()
    );
    picture::save("07_confusion.svg", &picture::confusion(&matrix))?;
    picture::save("07_mistaken.svg", &picture::mistaken(&trainer.task().test, &scores, &matrix)?)?;
    Ok(())
}
