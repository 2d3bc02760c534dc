//! One measured figure, and how a list of them prints.
//!
//! Benches and reports write rows as JSON lines; `cargo xtask` reads them with this same file, so the two cannot drift.

use serde::{Deserialize, Serialize};

/// A figure with what it is compared to. Fields that do not apply are absent in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured; unique within a bench or report.
    pub name: String,
    /// Unit of `value` and `peer_value`: `µs`, `relative`, `cases`.
    pub unit: String,
    /// Our figure. JSON has no number for NaN and infinity: both are written as null.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    /// The other system with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Its figure, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_value: Option<f64>,
    /// value / `peer_value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Between which two numbers the middle half of the rounds' own ratios lies, where rounds were timed in turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<[f64; 2]>,
    /// The goal, as text: `≤ 0.4`, `ratio ≤ 0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether the goal is reached; absent where there is none, or where it needs a peer and none ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

fn number_or_nan<'de, D: serde::Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(input)?.unwrap_or(f64::NAN))
}

impl Row {
    /// A figure with neither peer nor target.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            value,
            peer: None,
            peer_value: None,
            ratio: None,
            spread: None,
            target: None,
            met: None,
        }
    }

    /// Adds another system's figure for the same work.
    #[must_use]
    pub fn against(mut self, peer: impl Into<String>, peer_value: f64) -> Self {
        self.ratio = Some(self.value / peer_value);
        self.peer = Some(peer.into());
        self.peer_value = Some(peer_value);
        self
    }

    /// Adds the spread of the rounds' ratios, if there is one.
    #[must_use]
    pub fn spread(mut self, spread: Option<[f64; 2]>) -> Self {
        self.spread = spread;
        self
    }

    /// The goal value ≤ `limit`. NaN never meets a goal.
    #[must_use]
    pub fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(format!("≤ {}", short(limit)));
        self.met = Some(self.value <= limit);
        self
    }

    /// The goal value ≥ `limit`.
    #[must_use]
    pub fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(format!("≥ {}", short(limit)));
        self.met = Some(self.value >= limit);
        self
    }

    /// The goal |value − `want`| ≤ `tolerance`.
    #[must_use]
    pub fn near(mut self, want: f64, tolerance: f64) -> Self {
        self.target = Some(format!("{} ± {}", short(want), short(tolerance)));
        self.met = Some((self.value - want).abs() <= tolerance);
        self
    }

    /// The goal value / `peer_value` ≤ `limit`. Undecided while no peer ran; call it after [`Row::against`].
    #[must_use]
    pub fn ratio_at_most(mut self, limit: f64) -> Self {
        self.target = Some(format!("ratio ≤ {}", short(limit)));
        self.met = self.ratio.map(|ratio| ratio <= limit);
        self
    }
}

/// Four significant digits, in the shorter of the two notations.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if value.fract() == 0.0 && magnitude < 1e9 {
        return format!("{value}");
    }
    if !(1e-3..1e6).contains(&magnitude) {
        let text = format!("{value:.3e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_trailing_zeros(mantissa));
    }
    // Digits before the point count; at least none, at most six stand behind it.
    let decimals = (3 - magnitude.log10().floor() as i64).clamp(0, 6) as usize;
    without_trailing_zeros(&format!("{value:.decimals$}")).into()
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Rows as an aligned table, with the columns that at least one row fills. Ends with a line that counts the targets.
pub fn table(rows: &[Row]) -> String {
    type Cell = fn(&Row) -> String;
    let columns: [(&str, bool, Cell); 9] = [
        ("name", false, |r| r.name.clone()),
        ("unit", false, |r| r.unit.clone()),
        ("value", true, |r| short(r.value)),
        ("peer", false, |r| r.peer.clone().unwrap_or_default()),
        ("peer value", true, |r| r.peer_value.map(short).unwrap_or_default()),
        ("ratio", true, |r| r.ratio.map(short).unwrap_or_default()),
        ("of rounds", false, |r| {
            r.spread
                .map(|[low, high]| format!("{} … {}", short(low), short(high)))
                .unwrap_or_default()
        }),
        ("target", false, |r| r.target.clone().unwrap_or_default()),
        ("met", false, |r| match (&r.target, r.met) {
            (_, Some(true)) => "yes".into(),
            (_, Some(false)) => "NO".into(),
            (Some(_), None) => "open".into(),
            (None, None) => String::new(),
        }),
    ];
    let mut lines = vec![String::new(); rows.len() + 2];
    for (title, right, cell) in columns {
        let cells: Vec<String> = rows.iter().map(cell).collect();
        if title != "name" && cells.iter().all(String::is_empty) {
            continue;
        }
        // Widths count characters: µ and ≤ take one place.
        let width = cells.iter().map(|c| c.chars().count()).chain([title.len()]).max().unwrap_or(0);
        let rule = "-".repeat(width);
        let all = [title, rule.as_str()].into_iter().chain(cells.iter().map(String::as_str));
        for (line, text) in lines.iter_mut().zip(all) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            if right {
                line.push_str(&format!("{text:>width$}"));
            } else {
                line.push_str(&format!("{text:<width$}"));
            }
        }
    }
    let mut text: String = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect();
    let with_target = rows.iter().filter(|r| r.target.is_some()).count();
    if with_target > 0 {
        let met = rows.iter().filter(|r| r.met == Some(true)).count();
        text.push_str(&format!("\n{met} of {with_target} targets met\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (3.0, "3"),
            (-12.0, "-12"),
            (1234567.0, "1234567"),
            (0.123456, "0.1235"),
            (12.3456, "12.35"),
            (1234.56, "1235"),
            (0.001234567, "0.001235"),
            (1.5e-13, "1.5e-13"),
            (0.5, "0.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn goals_compare_the_right_way() {
        let row = |value| Row::new("r", "s", value);
        assert_eq!(row(1.0).at_most(1.0).met, Some(true));
        assert_eq!(row(1.1).at_most(1.0).met, Some(false));
        assert_eq!(row(f64::NAN).at_most(1.0).met, Some(false));
        assert_eq!(row(0.9).at_least(1.0).met, Some(false));
        assert_eq!(row(9.805).near(9.81, 0.01).met, Some(true));
        assert_eq!(row(9.79).near(9.81, 0.01).met, Some(false));
        assert_eq!(row(1.0).ratio_at_most(0.5).met, None);
        assert_eq!(row(1.0).against("other", 2.0).ratio_at_most(0.5).met, Some(true));
        assert_eq!(row(1.0).against("other", 1.0).ratio_at_most(0.5).met, Some(false));
    }

    #[test]
    fn json_round_trips_and_leaves_out_what_is_absent() {
        let plain = Row::new("chain", "µs", 0.25);
        let text = serde_json::to_string(&plain).unwrap_or_default();
        assert_eq!(text, r#"{"name":"chain","unit":"µs","value":0.25}"#);
        let full = Row::new("mlp", "ms", 1.0).against("torch 2.15.0", 2.0).ratio_at_most(1.0);
        let full = full.spread(Some([0.4, 0.6]));
        for row in [plain, full] {
            let text = serde_json::to_string(&row).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Row>(&text).ok(), Some(row));
        }
    }

    #[test]
    fn nan_survives_json() {
        let text = serde_json::to_string(&Row::new("broken", "s", f64::NAN)).unwrap_or_default();
        let back = serde_json::from_str::<Row>(&text);
        assert!(back.is_ok_and(|row| row.value.is_nan()), "{text}");
    }

    #[test]
    fn table_is_aligned_and_drops_empty_columns() {
        let rows = [
            Row::new("pull", "µs", 0.125).at_most(0.4),
            Row::new("gradient of a network", "ms", 31.5).at_most(20.0),
        ];
        let want = "\
name                   unit  value  target  met
---------------------  ----  -----  ------  ---
pull                   µs    0.125  ≤ 0.4   yes
gradient of a network  ms     31.5  ≤ 20    NO

1 of 2 targets met
";
        assert_eq!(table(&rows), want);
    }

    #[test]
    fn the_spread_stands_beside_the_ratio() {
        let row = Row::new("mlp", "ms", 1.0).against("torch", 2.0).spread(Some([0.4, 0.625]));
        assert!(table(&[row]).contains("0.5  0.4 … 0.625"));
    }

    #[test]
    fn a_missing_peer_leaves_the_goal_open() {
        let text = table(&[Row::new("pull", "µs", 0.125).ratio_at_most(0.5)]);
        assert!(text.contains("open") && text.ends_with("0 of 1 targets met\n"), "{text}");
    }
}
