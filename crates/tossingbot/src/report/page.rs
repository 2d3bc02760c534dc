//! The page: one file, no scripts, nothing loaded from elsewhere.

use super::affordance::View;
use super::{color, curves, table, throws};
use crate::demo::Demo;
use crate::error::Result;
use crate::evaluate::SceneRecord;
use crate::identify::{Descent, identify_gravity, simulated_throws};
use crate::method::Method;

const STYLE: &str = include_str!("page.css");

/// The page of a finished job.
///
/// # Errors
/// Those of the networks and of the simulated throws that are drawn.
pub fn page(demo: &Demo) -> Result<String> {
    let plan = demo.plan();
    let (trial, evaluation) = (plan.trial(), demo.evaluation());
    let hard = table::hard(&evaluation);
    let of = |r: &SceneRecord| hard.holds(r);
    let residual = demo.trainers().iter().find(|t| t.setup().method == Method::Residual);
    let view = residual.map(|t| View::new(t.model(), &trial, &plan.world)).transpose()?;
    let (_, steps) =
        identify_gravity(&simulated_throws(400, 9.81, 0.01, plan.seed)?, &Descent::default())?;

    let mut body = String::new();
    let mut section = |title: &str, text: &str, figures: &str| {
        body += &format!(
            "<section><h2>{title}</h2><p>{text}</p><div class=\"figures\">{figures}</div></section>"
        );
    };
    let c = &plan.preset.curriculum;
    section(
        "Results",
        &format!(
            "Every method was trained alone with the same attempts of stage A ({} without a network), {} updates from them (B) and {} ε-greedy \
             attempts with an update each (C). Then all met the same {} full bins that none had seen, with the same release noise: one \
             grasp and one throw each. Below each rate stands its 95 % Wilson interval.",
            c.collect, c.fit, c.practice, plan.preset.evaluation
        ),
        &table::results(&evaluation),
    );
    section(
        "Is it the throw or the grasp?",
        "A grasp network that is taught by throws learns to avoid grasps that are hard to throw from, and can hide what the throws are \
         worth: physics alone learns to look for grasps whose errors cancel. So every method also throws from the grasps that each other \
         method picked, and from random grasps that hold.",
        &format!("{}{}", table::crossed(&evaluation), table::comparisons(&evaluation)),
    );
    section(
        "Learning curves",
        "Mean over the last 150 attempts of stage C, exploration (ε from 50 % down to 10 %) included.",
        &curves::learning(demo.trainers()),
    );
    if let Some(view) = &view {
        section(
            "Where it would grasp",
            &format!(
                "Left: the bin from above, brightness is height, heat the predicted success of the best heading at each pixel; the white \
                 gripper is the choice, the arrow the direction of the throw. {} Below: the 16 turned maps; in each, the object will fly \
                 to the right. A jaw is symmetric under half a turn, a throw is not: compare maps 180° apart.",
                view.caption()
            ),
            &format!(
                "{}{}{}",
                view.overview(),
                curves::residuals(demo.trainers()),
                view.affordance()
            ),
        );
        section(
            "How it would correct the throw",
            "Residual speed δ of the same scene: blue −0.4 m/s (the formula throws too far), white 0, red +0.4 m/s (too short).",
            &view.residual(),
        );
    }
    let mut sides = String::new();
    let mut landings = String::new();
    for m in 0..evaluation.methods.len() {
        sides += &throws::side_view(&trial, &plan.world, &evaluation, m, &of)?;
        landings += &throws::landings(&plan.world, &evaluation, m, m, &of);
    }
    section(
        "Throws from the side",
        &format!(
            "{}: the first throws of the evaluation, seen across the direction of the throw. Boxes are grey.",
            hard.name
        ),
        &sides,
    );
    section(
        "Where they landed",
        &format!(
            "{}: landing points of own grasps and throws over the twelve boxes, from above.",
            hard.name
        ),
        &landings,
    );
    section(
        "Gravity",
        "The formula is a node of the network and gravity a its parameter. From throws in a vacuum, dL/da finds 9.81 m/s² starting at 7. \
         The robot of these pages lets go late and throws through air; a method that may only learn a finds the value that serves best on \
         average, which is not gravity, and cannot tell objects apart.",
        &curves::gravity(&steps, demo.trainers()),
    );
    Ok(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>tossingbot: seed {seed}</title><style>{STYLE}</style><body><header><h1>tossingbot</h1>\
         <p>A robot that learns to grasp and to throw, through a physics formula inside its networks. Preset {preset}, seed {seed}, robot \
         {robot}, {objects} kinds of objects, {minutes}.</p>{legend}</header>{body}</body></html>",
        seed = plan.seed,
        preset = plan.preset.name,
        objects = plan.catalogue.len(),
        robot = plan.world.release.name(),
        minutes = duration(demo.seconds()),
        legend = legend(),
    ))
}

fn duration(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} seconds of work")
    } else {
        format!("{:.1} minutes of work", seconds / 60.0)
    }
}

fn legend() -> String {
    let methods = Method::ALL.iter().map(|&m| (color::of(m), m.title()));
    let outcomes = [(color::HIT, "hit"), (color::MISS, "miss")];
    let item = |(color, name): (&str, &str)| {
        format!("<li><i style=\"background:{color}\"></i>{name}</li>")
    };
    format!(
        "<ul class=\"legend\"><li>curves:</li>{}<li>throws:</li>{}</ul>",
        methods.map(item).collect::<String>(),
        outcomes.into_iter().map(item).collect::<String>()
    )
}
