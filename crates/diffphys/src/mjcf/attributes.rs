//! Attributes of an element: each is read once; what nobody read is an error, so nothing is silently ignored.

use super::settings::Settings;
use super::xml::Element;
use crate::Result;
use crate::spatial::{cross, normalize, quaternion};
use crate::spec::{Pose, Softness};

/// The ways to give an orientation.
pub(crate) const ORIENTATIONS: [&str; 5] = ["quat", "axisangle", "xyaxes", "zaxis", "euler"];

/// The attributes of an element, with defaults merged in, and which of them have been read.
pub(crate) struct Attributes<'a> {
    element: &'a Element,
    /// Name, value, read, and whether it comes from a default.
    list: Vec<(&'a str, &'a str, bool, bool)>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(element: &'a Element) -> Self {
        Self::with_defaults(element, &[])
    }

    /// Defaults stand behind the element's own. An orientation of the element's own replaces one of the default's.
    pub(crate) fn with_defaults(element: &'a Element, defaults: &'a [(String, String)]) -> Self {
        let mut list: Vec<_> = element
            .attributes
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str(), false, false))
            .collect();
        for (name, value) in defaults {
            if !list.iter().any(|(n, ..)| n == name) {
                list.push((name, value, false, true));
            }
        }
        Self { element, list }
    }

    /// The text of an attribute.
    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        let found = self.list.iter_mut().find(|(n, ..)| *n == name)?;
        found.2 = true;
        Some(found.1)
    }

    /// Forgets an attribute that comes from a default.
    pub(crate) fn drop_default(&mut self, name: &str) {
        self.list.retain(|&(n, _, _, default)| n != name || !default);
    }

    /// Does the attribute stand in the element itself?
    pub(crate) fn own(&self, name: &str) -> bool {
        self.list.iter().any(|&(n, _, _, default)| n == name && !default)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<&'a str> {
        let element = self.element;
        self.text(name).ok_or_else(|| element.wrong(format!("the attribute {name} is missing")))
    }

    /// All numbers of an attribute; NaN and infinities are refused.
    pub(crate) fn numbers(&mut self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let mut out = Vec::new();
        for word in text.split_ascii_whitespace() {
            match word.parse::<f64>() {
                Ok(x) if x.is_finite() => out.push(x),
                _ => {
                    return Err(self
                        .element
                        .wrong(format!("{name}: '{word}' is not a finite number")));
                }
            }
        }
        Ok(Some(out))
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>> {
        Ok(self.exactly::<1>(name)?.map(|[x]| x))
    }

    /// Exactly N numbers.
    pub(crate) fn exactly<const N: usize>(&mut self, name: &str) -> Result<Option<[f64; N]>> {
        let Some(list) = self.numbers(name)? else { return Ok(None) };
        let count = list.len();
        let array = list.try_into().map_err(|_| {
            self.element.wrong(format!("{name} has {count} numbers; {N} are needed"))
        })?;
        Ok(Some(array))
    }

    /// At most N numbers over the first ones of `target`; how many there were.
    pub(crate) fn prefix<const N: usize>(
        &mut self,
        name: &str,
        target: &mut [f64; N],
    ) -> Result<usize> {
        let Some(list) = self.numbers(name)? else { return Ok(0) };
        if list.len() > N {
            let what = format!("{name} has {} numbers; at most {N} are allowed", list.len());
            return Err(self.element.wrong(what));
        }
        target[..list.len()].copy_from_slice(&list);
        Ok(list.len())
    }

    /// All N numbers over `target`, or none.
    pub(crate) fn all_or_none<const N: usize>(
        &mut self,
        name: &str,
        target: &mut [f64; N],
    ) -> Result<()> {
        match self.prefix(name, target)? {
            n if n == 0 || n == N => Ok(()),
            n => Err(self.element.wrong(format!("{name} has {n} numbers; {N} are needed"))),
        }
    }

    /// The ends of a line along z; it does not go with a position of its own.
    pub(crate) fn ends(&mut self) -> Result<Option<[[f64; 3]; 2]>> {
        let Some([a, b, c, d, e, f]) = self.exactly::<6>("fromto")? else { return Ok(None) };
        if self.list.iter().any(|(n, ..)| *n == "pos") {
            return Err(self.element.wrong("both fromto and pos"));
        }
        Ok(Some([[a, b, c], [d, e, f]]))
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(x) => Ok(Some(x)),
            Err(_) => Err(self.element.wrong(format!("{name}: '{text}' is not an integer"))),
        }
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => {
                Err(self.element.wrong(format!("{name}: '{text}' is neither true nor false")))
            }
        }
    }

    /// Limits: the range if it is on. `switch` is true, false or auto, which means: if there is a range.
    pub(crate) fn limits(
        &mut self,
        switch: &str,
        range: &str,
        auto: bool,
    ) -> Result<Option<[f64; 2]>> {
        let on = match self.text(switch) {
            None | Some("auto") => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(text) => {
                return Err(self
                    .element
                    .wrong(format!("{switch}: '{text}' is not true, false or auto")));
            }
        };
        let given = self.exactly::<2>(range)?;
        match (on, given) {
            (Some(false), _) | (None, None) => Ok(None),
            (Some(true), range) => Ok(Some(range.unwrap_or([0.0; 2]))),
            (None, Some(range)) if auto => Ok((range != [0.0; 2]).then_some(range)),
            (None, Some(_)) => Err(self
                .element
                .wrong(format!("{range} is given, but neither {switch} nor autolimits"))),
        }
    }

    /// `solref` and `solimp` under two names.
    pub(crate) fn softness(&mut self, solref: &str, solimp: &str) -> Result<Softness> {
        let mut soft = Softness::default();
        self.prefix(solref, &mut soft.solref)?;
        self.prefix(solimp, &mut soft.solimp)?;
        Ok(soft)
    }

    /// `pos` and one of the ways to give an orientation.
    pub(crate) fn pose(&mut self, settings: &Settings) -> Result<Pose> {
        let pos = self.exactly::<3>("pos")?.unwrap_or_default();
        Ok(Pose { pos, quat: self.orientation(settings)?.unwrap_or(quaternion::UNIT) })
    }

    pub(crate) fn orientation(&mut self, settings: &Settings) -> Result<Option<[f64; 4]>> {
        let own = ORIENTATIONS.iter().filter(|w| self.own(w)).count();
        let mut found = None;
        for way in ORIENTATIONS {
            let is_own = self.own(way);
            let Some(list) = self.numbers(way)? else { continue };
            if own > 0 && !is_own {
                continue;
            }
            if found.is_some() {
                return Err(self.element.wrong("more than one orientation"));
            }
            found = Some(orientation(self.element, way, &list, settings)?);
        }
        Ok(found)
    }

    /// All attributes have been read, or are in `ignored`, or only draw and label.
    pub(crate) fn finish(self, ignored: &[&str]) -> Result<()> {
        const LABELS: [&str; 4] = ["user", "rgba", "material", "class"];
        for (name, value, read, default) in &self.list {
            let known = LABELS.contains(name) || ignored.contains(name);
            if !read && !known {
                let whence = if *default { " (from a default)" } else { "" };
                return Err(self.element.unsupported(format!("{name}=\"{value}\"{whence}")));
            }
        }
        Ok(())
    }
}

fn orientation(element: &Element, way: &str, v: &[f64], settings: &Settings) -> Result<[f64; 4]> {
    let wrong = || element.wrong(format!("{way} has {} numbers", v.len()));
    let degenerate = || element.wrong(format!("{way} is degenerate"));
    match (way, v) {
        ("quat", &[w, x, y, z]) => {
            if w * w + x * x + y * y + z * z < 1e-20 {
                return Err(degenerate());
            }
            Ok(quaternion::normalize([w, x, y, z]))
        }
        ("axisangle", &[x, y, z, angle]) => {
            let (axis, length) = normalize([x, y, z]);
            if length < 1e-10 {
                return Err(degenerate());
            }
            Ok(quaternion::axis_angle(axis, settings.angle(angle)))
        }
        ("xyaxes", &[a, b, c, d, e, f]) => {
            let (x, first) = normalize([a, b, c]);
            let (z, second) = normalize(cross(x, [d, e, f]));
            if first < 1e-10 || second < 1e-10 {
                return Err(degenerate());
            }
            let y = cross(z, x);
            let m = [x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]];
            Ok(quaternion::from_matrix(&m))
        }
        ("zaxis", &[x, y, z]) => {
            if normalize([x, y, z]).1 < 1e-10 {
                return Err(degenerate());
            }
            Ok(quaternion::from_z([x, y, z]))
        }
        ("euler", &[a, b, c]) => Ok(settings.euler([a, b, c].map(|x| settings.angle(x)))),
        _ => Err(wrong()),
    }
}
