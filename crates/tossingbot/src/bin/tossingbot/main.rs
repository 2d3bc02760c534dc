//! The throwing robot from the command line: train and look, evaluate again, identify gravity, print the figures.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to its user")]

mod limits;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pullback_tossingbot::archive::fingerprint;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::boxes::BoxGrid;
use pullback_tossingbot::demo::{Demo, Event, Plan, resumable};
use pullback_tossingbot::evaluate::{Evaluation, Pilot, Trial};
use pullback_tossingbot::identify::{Descent, identify_gravity, simulated_throws};
use pullback_tossingbot::objects::{Builtin, DENSITY, ObjectModel, builtin_models, load_objects};
use pullback_tossingbot::preset::Preset;
use pullback_tossingbot::release::ReleaseModel;
use pullback_tossingbot::report::rows::{Row, physics_rows, seed_rows};

/// A robot that learns to grasp and to throw, through a physics formula inside its networks.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train all methods, evaluate them on the same scenes, write a page of pictures.
    Demo(DemoArguments),
    /// Evaluate a finished demo again, on other scenes, objects or boxes.
    Eval(EvalArguments),
    /// Find gravity from simulated throws by gradient descent through the ballistic formula.
    IdentifyGravity(GravityArguments),
    /// Print the figures behind the claims.
    Report(ReportArguments),
    /// Measure what a simulated robot allows at best, before anything is learned.
    Ceilings(limits::Arguments),
}

#[derive(Args, Clone)]
struct PlanArguments {
    /// Master seed of the training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Sizes and schedules: smoke, quick, small or paper.
    #[arg(long, default_value = "quick")]
    preset: String,
    /// Half a minute through everything: the preset `smoke`.
    #[arg(long)]
    quick: bool,
    /// A folder of OBJ and URDF files to train with, instead of balls, cubes, rods and hammers.
    #[arg(long, value_name = "DIR")]
    objects: Option<PathBuf>,
    /// Where checkpoints, results and the page go.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// The robot: open-loop, half-compensated, clean, late or uncalibrated.
    #[arg(long, default_value = "open-loop")]
    robot: String,
    /// Attempts before there is a network (stage A).
    #[arg(long, value_name = "N")]
    collect: Option<usize>,
    /// Updates from them (stage B).
    #[arg(long, value_name = "N")]
    fit: Option<usize>,
    /// Attempts with the network, each followed by an update (stage C).
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Scenes of the evaluation.
    #[arg(long, value_name = "N")]
    scenes: Option<usize>,
}

#[derive(Args)]
struct DemoArguments {
    #[command(flatten)]
    plan: PlanArguments,
    /// Go on from the last checkpoint.
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Boxes {
    /// Those of the training.
    Standard,
    /// Moved by half a box: targets that were never aimed at.
    Shifted,
}

#[derive(Args)]
struct EvalArguments {
    #[command(flatten)]
    plan: PlanArguments,
    /// Test objects instead of those of the training: a folder, or `unseen` for puck, dumbbell, cross and L.
    #[arg(long, value_name = "DIR|unseen")]
    test: Option<String>,
    /// Which boxes to throw into.
    #[arg(long, value_enum, default_value = "standard")]
    boxes: Boxes,
    /// Seed of the scenes.
    #[arg(long, default_value_t = 1)]
    trial_seed: u64,
    /// Print all records as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct GravityArguments {
    /// First guess in m/s².
    #[arg(long, default_value_t = 7.0)]
    start: f64,
    /// Gravity of the simulated world in m/s².
    #[arg(long, default_value_t = 9.81)]
    truth: f64,
    /// Number of throws.
    #[arg(long, default_value_t = 400)]
    throws: usize,
    /// Standard deviation in metres of the seen landing points.
    #[arg(long, default_value_t = 0.01)]
    noise: f64,
    /// Seed of the throws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct ReportArguments {
    #[command(flatten)]
    plan: PlanArguments,
    /// Seeds to train with; none: the physics alone.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Leave out the training.
    #[arg(long)]
    physics: bool,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(arguments) => demo(&arguments),
        Command::Eval(arguments) => eval(&arguments).map(|()| ExitCode::SUCCESS),
        Command::IdentifyGravity(arguments) => gravity(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Report(arguments) => report(&arguments),
        Command::Ceilings(arguments) => limits::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        // Many errors say their cause themselves: it is not said twice.
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        eprintln!("error: {text}");
        ExitCode::FAILURE
    })
}

fn catalogue(folder: Option<&PathBuf>) -> Result<Vec<Arc<ObjectModel>>> {
    let Some(folder) = folder else { return Ok(builtin_models(&Builtin::SEEN)?) };
    let loaded = load_objects(folder, DENSITY)?;
    for (_, error) in &loaded.skipped {
        eprintln!("skipped: {error}");
    }
    if loaded.objects.is_empty() {
        bail!("no usable OBJ or URDF file in {}", folder.display());
    }
    eprintln!("{} objects from {}", loaded.objects.len(), folder.display());
    Ok(loaded.objects)
}

fn robot(name: &str) -> Result<ReleaseModel> {
    let Some(release) = ReleaseModel::preset(name) else {
        bail!("there is no robot `{name}`: {}", ReleaseModel::NAMES.join(", "));
    };
    Ok(release)
}

fn plan(arguments: &PlanArguments) -> Result<Plan> {
    let mut preset =
        if arguments.quick { Preset::smoke() } else { Preset::by_name(&arguments.preset)? };
    let curriculum = &mut preset.curriculum;
    let overrides = [
        (arguments.collect, &mut curriculum.collect),
        (arguments.fit, &mut curriculum.fit),
        (arguments.steps, &mut curriculum.practice),
        (arguments.scenes, &mut preset.evaluation),
    ];
    for (wanted, value) in overrides {
        *value = wanted.unwrap_or(*value);
    }
    Ok(Plan {
        preset,
        world: World::with_release(robot(&arguments.robot)?),
        catalogue: catalogue(arguments.objects.as_ref())?,
        seed: arguments.seed,
        folder: arguments.out.clone(),
    })
}

/// Shows a job's progress: a bar on a terminal, now and then a line elsewhere.
struct Display {
    bar: ProgressBar,
    last_line: String,
}

impl Display {
    fn new() -> Self {
        let style =
            ProgressStyle::with_template("{bar:32} {percent:>3} %  {elapsed} + {eta}  {msg}");
        let bar = ProgressBar::new(0);
        Self {
            bar: style.map(|style| bar.clone().with_style(style)).unwrap_or(bar),
            last_line: String::new(),
        }
    }

    fn show(&mut self, demo: &Demo, event: &Event) {
        let (done, of) = demo.position();
        let (heading, message) = match event {
            Event::Trained { method, index, progress } => (
                format!("{} {}", method.title(), progress.stage.name()),
                format!(
                    "{}/{} {} · {} · grasp {:.0} % throw {:.0} %",
                    index + 1,
                    demo.trainers().len(),
                    method.title(),
                    progress.stage.name(),
                    100.0 * progress.grasp_rate,
                    100.0 * progress.throw_rate
                ),
            ),
            Event::Evaluated { done, of } => {
                ("evaluating".into(), format!("evaluating · scene {done} of {of}"))
            }
            Event::Finished => ("done".into(), "done".into()),
        };
        if self.bar.is_hidden() {
            let line = format!("{heading} {}", 20 * done / of.max(1));
            if line != self.last_line {
                eprintln!("{:>3} %  {:>5.0} s  {message}", 100 * done / of.max(1), demo.seconds());
                self.last_line = line;
            }
        } else {
            self.bar.set_length(of as u64);
            self.bar.set_position(done as u64);
            self.bar.set_message(message);
        }
    }
}

/// Set by the first Ctrl-C; the second one ends the process at once, which is safe too.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(flag)
}

fn demo(arguments: &DemoArguments) -> Result<ExitCode> {
    let plan = plan(&arguments.plan)?;
    let stop = interrupted()?;
    let mut demo = if arguments.resume {
        if !resumable(&plan.folder) {
            eprintln!("nothing to resume in {}: starting", plan.folder.display());
        }
        Demo::resume(plan)?
    } else {
        if resumable(&plan.folder) {
            eprintln!(
                "starting anew: what an earlier run left in {} is removed",
                plan.folder.display()
            );
        }
        Demo::start(plan)?
    };
    let mut display = Display::new();
    loop {
        let event = demo.advance()?;
        display.show(&demo, &event);
        if event == Event::Finished {
            break;
        }
        if stop.load(Ordering::SeqCst) {
            demo.checkpoint()?;
            display.bar.abandon();
            eprintln!("stopped; the same command with --resume goes on from here");
            return Ok(ExitCode::from(130));
        }
    }
    display.bar.finish_and_clear();
    print_results(&demo.evaluation());
    println!("{:.1} min. Pictures: {}", demo.seconds() / 60.0, demo.plan().page().display());
    Ok(ExitCode::SUCCESS)
}

fn print_results(evaluation: &Evaluation) {
    // Everything together is a column of its own only beside parts.
    let parts = evaluation.groups.len();
    let columns = if parts == 1 { 1 } else { parts + 1 };
    print!("\n{:<34}", "%");
    evaluation.groups.iter().for_each(|group| print!("{group:>18}"));
    println!("{}", if columns == parts { String::new() } else { format!("{:>18}", "all") });
    for (title, throws) in [("grasps that held", false), ("throws into the right box", true)] {
        println!("{title}");
        for (m, method) in evaluation.methods.iter().enumerate() {
            print!("  {:<32}", method.title());
            for group in 0..columns {
                let of = |r: &_| group == parts || is_in(r, group);
                let rate = if throws {
                    evaluation.throw_rate(m, m, &of)
                } else {
                    evaluation.grasp_rate(m, &of)
                };
                let text = rate.interval.map_or("–".into(), |i| {
                    format!("{:.1} ({:.0}–{:.0})", rate.percent(), 100.0 * i.low, 100.0 * i.high)
                });
                print!("{text:>18}");
            }
            println!();
        }
    }
    println!("In brackets: 95 % intervals. Throws are of the method's own successful grasps.\n");
}

fn is_in(record: &pullback_tossingbot::evaluate::SceneRecord, group: usize) -> bool {
    record.group == group
}

fn eval(arguments: &EvalArguments) -> Result<()> {
    let plan = plan(&arguments.plan)?;
    let folder = plan.folder.clone();
    let demo = Demo::resume(plan)?;
    if demo.trainers().iter().any(|trainer| !trainer.is_done()) {
        bail!("{} holds no finished demo of this plan: run `demo --resume`", folder.display());
    }
    let plan = demo.plan();
    let objects = match arguments.test.as_deref() {
        None => plan.catalogue.clone(),
        Some("unseen") => builtin_models(&Builtin::UNSEEN)?,
        Some(folder) => catalogue(Some(&PathBuf::from(folder)))?,
    };
    let mut world = plan.world.clone();
    if matches!(arguments.boxes, Boxes::Shifted) {
        world.boxes = BoxGrid::shifted();
    }
    let trial = Trial {
        groups: pullback_tossingbot::evaluate::groups(&objects, 6),
        seed: arguments.trial_seed,
        ..plan.trial()
    };
    let pilots: Vec<&dyn Pilot> = demo.trainers().iter().map(|t| t.model() as &dyn Pilot).collect();
    let evaluation = Evaluation {
        methods: pilots.iter().map(|pilot| pilot.method()).collect(),
        groups: trial.groups.iter().map(|group| group.name.clone()).collect(),
        records: trial.run(&world, &pilots, 0..trial.scenes)?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print_results(&evaluation);
    }
    Ok(())
}

fn gravity(arguments: &GravityArguments) -> Result<()> {
    let throws =
        simulated_throws(arguments.throws, arguments.truth, arguments.noise, arguments.seed)?;
    let descent = Descent { start: arguments.start, ..Descent::default() };
    let (gravity, steps) = identify_gravity(&throws, &descent)?;
    println!("{:>5} {:>10} {:>12} {:>12}", "step", "a, m/s²", "loss", "dL/da");
    for (i, step) in steps.iter().enumerate().filter(|(i, _)| i % 25 == 0) {
        println!("{i:>5} {:>10.5} {:>12.6} {:>12.6}", step.gravity, step.loss, step.gradient);
    }
    println!("a = {gravity:.5} m/s² from {} throws; truth {}", throws.len(), arguments.truth);
    Ok(())
}

fn report(arguments: &ReportArguments) -> Result<ExitCode> {
    let mut rows = physics_rows()?;
    if !arguments.physics {
        let plan = plan(&arguments.plan)?;
        // The program itself is the version of the code.
        let code = fingerprint(&std::fs::read(std::env::current_exe()?)?);
        let folder = plan.folder.clone();
        let mut display = Display::new();
        let mut watch = |demo: &Demo, event: &Event| display.show(demo, event);
        rows.extend(seed_rows(&plan, &arguments.seeds, &folder, &code, &mut watch)?);
        display.bar.finish_and_clear();
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print_rows(&rows);
    }
    let met = rows.iter().all(|row| row.met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_rows(rows: &[Row]) {
    for row in rows {
        let value = if row.value != 0.0 && row.value.abs() < 1e-2 {
            format!("{:.1e}", row.value)
        } else {
            format!("{:.3}", row.value)
        };
        let met = if row.target.is_empty() { "" } else { ["MISSED", "met"][usize::from(row.met)] };
        println!("{:<74} {value:>10} {:<10} {:<10} {met}", row.name, row.unit, row.target);
    }
}
