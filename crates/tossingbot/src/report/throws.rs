//! Where throws go: from the side, and from above.

use super::color;
use super::svg::Plane;
use crate::attempt::World;
use crate::error::Result;
use crate::evaluate::{Evaluation, SceneRecord, Trial};

/// Throws drawn from the side for each method.
const DRAWN: usize = 60;

fn hit_or_miss(success: bool) -> &'static str {
    if success { color::HIT } else { color::MISS }
}

/// Flights of one method's own throws in the scenes that `of` selects, from the side, misses on top.
pub(super) fn side_view(
    trial: &Trial,
    world: &World,
    evaluation: &Evaluation,
    method: usize,
    of: &dyn Fn(&SceneRecord) -> bool,
) -> Result<String> {
    let boxes = &world.boxes;
    let far = boxes.rows.iter().copied().fold(1.0, f64::max) + 0.5 * boxes.opening[0] + 0.1;
    let mut plane = Plane::equal(500.0, [0.4, far], [0.0, 0.65]);
    let title = evaluation.methods[method].title();
    plane.axes(title, ["x, m", "z, m"], &[0.5, 1.0, 1.5], &[0.0, 0.2, 0.4, 0.6], [1, 1]);
    for row in &boxes.rows {
        let half = 0.5 * boxes.opening[0];
        let style = "fill:#8883;stroke:#888";
        plane.rectangle([row - half, 0.0], [row + half, boxes.height], style);
    }
    let drawn = evaluation.records.iter().filter(|r| of(r));
    let mut throws = Vec::new();
    for record in drawn.take(DRAWN) {
        if let Some(throw) = trial.replay(world, record, method, method)? {
            throws.push(throw);
        }
    }
    throws.sort_by_key(|throw| !throw.success);
    for throw in &throws {
        let points = world.trajectory(throw, 0.02)?;
        let color = hit_or_miss(throw.success);
        let style = format!("stroke:{color};stroke-width:1.1;stroke-opacity:.6");
        // What falls short is followed to the floor.
        let above = points.iter().take_while(|p| p[3] >= 0.0 && p[1] < far);
        plane.line(above.map(|p| [p[1], p[3]]), &style);
    }
    Ok(plane.finish())
}

/// Landing points of `thrower` from the grasps of `grasper` in the scenes that `of` selects, over the boxes, from above.
pub(super) fn landings(
    world: &World,
    evaluation: &Evaluation,
    grasper: usize,
    thrower: usize,
    of: &dyn Fn(&SceneRecord) -> bool,
) -> String {
    let boxes = &world.boxes;
    let far = boxes.rows.iter().copied().fold(1.0, f64::max);
    let wide = boxes.columns.iter().copied().fold(0.0, |a: f64, y| a.max(y.abs())) + 0.12;
    let near = boxes.rows.iter().copied().fold(f64::INFINITY, f64::min);
    let mut plane = Plane::equal(500.0, [near - 0.3, far + 0.3], [-wide, wide]);
    let title = evaluation.methods[thrower].title();
    plane.axes(title, ["x, m", "y, m"], &[1.0, 1.25, 1.5, 1.75, 2.0], &[-0.2, 0.0, 0.2], [2, 1]);
    for x in &boxes.rows {
        for y in &boxes.columns {
            let [dx, dy] = boxes.opening.map(|extent| 0.5 * extent);
            plane.rectangle([x - dx, y - dy], [x + dx, y + dy], "fill:#8882;stroke:#888");
            plane.dot([*x, *y], 1.6, "fill:#888");
        }
    }
    for record in evaluation.records.iter().filter(|r| of(r)) {
        let throw = record.grasps.get(grasper).and_then(|grasp| grasp.throws.get(thrower));
        if let Some(throw) = throw
            && let Some([x, y]) = throw.landing
            && (near - 0.3..far + 0.3).contains(&x)
            && y.abs() < wide
        {
            let color = hit_or_miss(throw.success);
            plane.dot([x, y], 2.4, &format!("fill:{color};fill-opacity:.6"));
        }
    }
    plane.finish()
}
