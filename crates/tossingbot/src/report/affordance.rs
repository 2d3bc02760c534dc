//! What the robot sees: where it would grasp, in all 16 directions, and how it would correct the throw there.

use std::fmt::Write;

use super::color;
use super::png::Image;
use crate::agent::{Choice, Maps};
use crate::error::Result;
use crate::evaluate::{Pilot, Trial};
use crate::heightmap::{Heightmap, ROTATIONS};
use crate::hindsight::Throwing;
use crate::observation::millimetres;
use crate::scene::Scene;
use crate::train::Model;

/// Height in metres that is drawn brightest.
const BRIGHTEST: f32 = 0.05;
/// Residual in m/s with the fullest colour.
const STRONGEST: f32 = 0.4;

/// A scene with the model's view of it.
pub(super) struct View {
    map: Heightmap,
    maps: Maps,
    best: Option<Choice>,
    target: usize,
    base: f64,
}

impl View {
    /// Looks at a bin of everything, aiming at a box in the middle.
    pub(super) fn new(model: &Model, trial: &Trial, world: &crate::attempt::World) -> Result<Self> {
        let everything: Vec<_> = trial.groups.iter().flat_map(|g| g.objects.clone()).collect();
        let scene = Scene::generate(
            &everything,
            trial.workspace,
            trial.objects,
            trial.seed ^ 0x7069_6374,
            3,
        )?;
        let map = Heightmap::render(&scene);
        let target = world.boxes.len() / 2;
        let base = Throwing::new(world, target)?.aim.speed(model.gravity)?;
        let maps = model.look(&millimetres(&map), base)?;
        let best = maps.best(&map, &[]);
        Ok(Self { map, maps, best, target, base })
    }

    /// Sentence about the scene and the best grasp.
    pub(super) fn caption(&self) -> String {
        let Some(best) = self.best else { return String::new() };
        format!(
            "Target: box {}, v̂ = {:.2} m/s. Best grasp: heading {:.1}°, predicted success {:.0} %, residual {:+.2} m/s.",
            self.target,
            self.base,
            best.pose.angle.to_degrees(),
            100.0 * best.probability,
            best.residual
        )
    }

    fn size(&self) -> usize {
        self.maps.rows * self.maps.columns
    }

    /// The whole scene, each pixel with its best direction's value, and the chosen grasp drawn as a gripper.
    pub(super) fn overview(&self) -> String {
        let best_at = |row: usize, column: usize| {
            let [x, y] = self.map.world(row, column);
            let at = |k: usize| {
                let (r, c) = self.map.pixel_of_rotated(k, x, y)?;
                Some(self.maps.hit_at(k, r * self.maps.columns + c))
            };
            (0..ROTATIONS).filter_map(at).fold(0.0, f64::max)
        };
        let (rows, columns) = (self.map.rows, self.map.columns);
        let picture = Image::new(columns, rows, |row, column| {
            let row = rows - 1 - row; // y points up
            let height = self.map.height[row * columns + column] / BRIGHTEST;
            color::heat_over_height(f64::from(height), best_at(row, column))
        });
        let side = 420.0;
        let scale = side / columns as f64;
        let mut marks = String::new();
        if let Some(best) = self.best {
            let [u, v] = [
                best.pose.x / self.map.resolution * scale + 0.5 * side,
                0.5 * scale * rows as f64 - best.pose.y / self.map.resolution * scale,
            ];
            let degrees = -best.pose.angle.to_degrees();
            let cm = 0.01 / self.map.resolution * scale;
            let (o, w, t) = (4.25 * cm, 2.0 * cm, 1.0 * cm);
            let (left, up, ahead) = (-0.5 * w, -o - t, 5.0 * cm);
            write!(
                marks,
                r#"<g transform="translate({u:.1} {v:.1}) rotate({degrees:.1})" fill="none" stroke="white" stroke-width="2">
<rect x="{left:.1}" y="{up:.1}" width="{w:.1}" height="{t:.1}"/><rect x="{left:.1}" y="{o:.1}" width="{w:.1}" height="{t:.1}"/>
<path d="M0 -{o:.1}V{o:.1}" stroke-dasharray="3 4"/><path d="M0 0H{ahead:.1}l-8 -5m8 5l-8 5"/></g>"#
            )
            .ok();
        }
        let height = scale * rows as f64;
        format!(
            r#"<svg viewBox="0 0 {side} {height}" width="{side}" role="img"><image href="{}" width="{side}" height="{height}" style="image-rendering:pixelated"/>{marks}</svg>"#,
            picture.address()
        )
    }

    /// One small picture for each direction, from a colour for (index in the maps, height).
    fn mosaic(&self, paint: impl Fn(usize, f32) -> [u8; 3]) -> String {
        let (rows, columns, size) = (self.maps.rows, self.maps.columns, self.size());
        let mut html = String::from(r#"<div class="mosaic">"#);
        for k in 0..ROTATIONS {
            let turned = self.map.rotated(k);
            let picture = Image::new(columns, rows, |row, column| {
                let pixel = (rows - 1 - row) * columns + column;
                paint(k * size + pixel, turned.height[pixel])
            });
            let chosen = self.best.filter(|best| best.rotation == k);
            let mark = chosen.map_or(String::new(), |best| {
                let (row, column) = (rows - 1 - best.pixel / columns, best.pixel % columns);
                format!(
                    r#"<i style="left:{:.1}%;top:{:.1}%"></i>"#,
                    100.0 * (column as f64 + 0.5) / columns as f64,
                    100.0 * (row as f64 + 0.5) / rows as f64
                )
            });
            let peak = self.maps.hit[k * size..(k + 1) * size].iter().copied().fold(0.0, f32::max);
            write!(
                html,
                r#"<figure class="{}"><span><img alt="" src="{}">{mark}</span><figcaption>{:.1}° · {:.0} %</figcaption></figure>"#,
                if chosen.is_some() { "chosen" } else { "" },
                picture.address(),
                22.5 * k as f64,
                100.0 * peak
            )
            .ok();
        }
        html + "</div>"
    }

    /// Predicted success over the height map, for all directions.
    pub(super) fn affordance(&self) -> String {
        self.mosaic(|index, height| {
            color::heat_over_height(f64::from(height / BRIGHTEST), f64::from(self.maps.hit[index]))
        })
    }

    /// Residual throw speed, for all directions, where there is something to grasp.
    pub(super) fn residual(&self) -> String {
        self.mosaic(|index, height| {
            let residual = self.maps.residual.get(index).copied().unwrap_or(0.0) / STRONGEST;
            color::diverging(f64::from(residual), if height > 0.004 { 1.0 } else { 0.12 })
        })
    }
}
