//! The results in numbers.

use std::fmt::Write;

use crate::evaluate::{Evaluation, Rate, SceneRecord};
use crate::method::Method;
use crate::stats::PairedComparison;

/// A name and the scenes it stands for.
pub(super) struct Column {
    pub(super) name: String,
    groups: Vec<usize>,
}

impl Column {
    pub(super) fn holds(&self, record: &SceneRecord) -> bool {
        self.groups.contains(&record.group)
    }
}

/// The hard objects if there are any, else everything.
pub(super) fn hard(evaluation: &Evaluation) -> Column {
    let hard = ["rod", "hammer"];
    let groups: Vec<usize> = hard.iter().filter_map(|name| evaluation.group(name)).collect();
    if groups.len() == hard.len() {
        Column { name: "rods + hammers".into(), groups }
    } else {
        Column { name: "all objects".into(), groups: (0..evaluation.groups.len()).collect() }
    }
}

/// One column for each group, then the hard ones, then all.
fn columns(evaluation: &Evaluation) -> Vec<Column> {
    let mut columns: Vec<Column> = evaluation
        .groups
        .iter()
        .enumerate()
        .map(|(i, name)| Column { name: name.clone(), groups: vec![i] })
        .collect();
    let hard = hard(evaluation);
    if hard.groups.len() < columns.len() {
        columns.push(hard);
    }
    if columns.len() > 1 {
        let groups = (0..evaluation.groups.len()).collect();
        columns.push(Column { name: "all".into(), groups });
    }
    columns
}

fn cell(rate: &Rate) -> String {
    match rate.interval {
        Some(interval) => format!(
            "<td><b>{:.1}</b><small>{:.0}–{:.0}</small></td>",
            rate.percent(),
            100.0 * interval.low,
            100.0 * interval.high
        ),
        None => "<td>–</td>".into(),
    }
}

/// Rates of all methods in all columns.
pub(super) fn results(evaluation: &Evaluation) -> String {
    let columns = columns(evaluation);
    let mut html = String::from("<table><thead><tr><th></th>");
    columns.iter().for_each(|c| {
        write!(html, "<th>{}</th>", c.name).ok();
    });
    html += "</tr></thead><tbody>";
    let mut section = |title: &str, rate: &dyn Fn(usize, &Column) -> Rate| {
        let span = columns.len() + 1;
        write!(html, r#"<tr class="section"><th colspan="{span}">{title}</th></tr>"#).ok();
        for (m, method) in evaluation.methods.iter().enumerate() {
            write!(html, "<tr><th>{}</th>", method.title()).ok();
            columns.iter().for_each(|c| html += &cell(&rate(m, c)));
            html += "</tr>";
        }
    };
    section("Throws into the right box, of the method's own successful grasps, %", &|m, c| {
        evaluation.throw_rate(m, m, &|r| c.holds(r))
    });
    section("Grasps that held, %", &|m, c| evaluation.grasp_rate(m, &|r| c.holds(r)));
    section("Delivered: grasped and thrown into the right box, of all scenes, %", &|m, c| {
        evaluation.delivery_rate(m, &|r| c.holds(r))
    });
    html + "</tbody></table>"
}

/// Throw success of every method from the grasps of every method.
pub(super) fn crossed(evaluation: &Evaluation) -> String {
    let hard = hard(evaluation);
    let mut html = format!("<table><thead><tr><th>{}: grasps by ↓, throws by →</th>", hard.name);
    evaluation.methods.iter().for_each(|m| {
        write!(html, "<th>{}</th>", m.title()).ok();
    });
    html += "</tr></thead><tbody>";
    let mut graspers: Vec<&str> = evaluation.methods.iter().map(|m| m.title()).collect();
    graspers.push("random grasps that hold");
    for (grasper, title) in graspers.into_iter().enumerate() {
        write!(html, "<tr><th>{title}</th>").ok();
        for thrower in 0..evaluation.methods.len() {
            html += &cell(&evaluation.throw_rate(grasper, thrower, &|r| hard.holds(r)));
        }
        html += "</tr>";
    }
    html + "</tbody></table>"
}

fn comparison(name: &str, paired: Option<PairedComparison>) -> String {
    let Some(p) = paired else { return String::new() };
    let d = p.difference;
    format!(
        "<tr><th>{name}</th><td><b>{:+.1}</b><small>{:+.0} … {:+.0}</small></td><td>{} : {}</td><td>{}</td></tr>",
        100.0 * d.estimate,
        100.0 * d.low,
        100.0 * d.high,
        p.only_first,
        p.only_second,
        if p.p_value < 1e-3 { format!("{:.0e}", p.p_value) } else { format!("{:.3}", p.p_value) }
    )
}

/// Paired differences of the residual method to the others.
pub(super) fn comparisons(evaluation: &Evaluation) -> String {
    let hard = hard(evaluation);
    let of = |r: &SceneRecord| hard.holds(r);
    let Some(first) = evaluation.position(Method::Residual) else { return String::new() };
    let mut html = format!(
        "<table><thead><tr><th>Residual physics minus …, {}</th><th>points, 95 % interval</th><th>only this : only that</th><th>p (McNemar)</th></tr></thead><tbody>",
        hard.name
    );
    for (second, method) in evaluation.methods.iter().enumerate().filter(|(m, _)| *m != first) {
        let title = method.title();
        html += &comparison(
            &format!("{title}: own grasps, throws where both held"),
            evaluation.compare_throws(first, second, &of),
        );
        html += &comparison(
            &format!("{title}: deliveries"),
            evaluation.compare_deliveries(first, second, &of),
        );
        html += &comparison(
            &format!("{title}: throws from the same random grasps"),
            evaluation.compare_on_grasps_of(evaluation.random_grasps(), first, second, &of),
        );
        html += &comparison(
            &format!("{title}: throws from the same grasps (those it picked)"),
            evaluation.compare_on_grasps_of(second, first, second, &of),
        );
    }
    html + "</tbody></table>"
}
