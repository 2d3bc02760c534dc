//! Time per repetition, ours and a peer's, interleaved.

use crate::peer::{Case, Peer};
use anyhow::Result;
use std::time::Instant;

/// Medians over the rounds, in seconds per repetition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SideBySide {
    /// Ours.
    pub ours: f64,
    /// The peer's, if one runs.
    pub peer: Option<f64>,
    /// Between which two numbers the middle half of the rounds' own ratios (ours / the peer's in the same round) lies.
    pub spread: Option<[f64; 2]>,
}

/// The quarter points of a / b, element by element; NaN for none.
pub fn quartiles(a: &[f64], b: &[f64]) -> [f64; 2] {
    let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
    ratios.sort_by(f64::total_cmp);
    // Of nine rounds the third and the seventh.
    let quarter = ratios.len() / 4;
    let at = |i: Option<usize>| i.and_then(|i| ratios.get(i)).copied().unwrap_or(f64::NAN);
    [at(Some(quarter)), at(ratios.len().checked_sub(1 + quarter))]
}

/// The middle value; the mean of the two middle ones for an even count, NaN for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

/// The lower quarter point; NaN for none. What else runs on a machine, and on its neighbours in a data centre, only ever adds to a time, and for
/// seconds on end: this comes nearer to a quiet machine than the median, and from four values on one lucky round does not make it.
pub fn quiet(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or(f64::NAN)
}

/// Mean seconds of `repetitions` calls.
///
/// # Errors
/// The first error of `work`.
pub fn seconds_per_repetition(
    repetitions: usize,
    mut work: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..repetitions {
        work()?;
    }
    Ok(start.elapsed().as_secs_f64() / repetitions as f64)
}

/// How often `work` must repeat to last about `seconds`, found by doubling; also warms it up.
///
/// # Errors
/// The first error of `work`.
pub fn repetitions_for(seconds: f64, mut work: impl FnMut() -> Result<()>) -> Result<usize> {
    work()?;
    let mut repetitions = 1;
    loop {
        let each = seconds_per_repetition(repetitions, &mut work)?;
        if each * repetitions as f64 >= 0.25 * seconds || repetitions >= 1 << 24 {
            return Ok(((seconds / each.max(1e-9)) as usize).clamp(1, 1 << 24));
        }
        repetitions *= 2;
    }
}

/// Runs ours and the peer's in turns (A B A B …), each turn about `seconds` long, after one untimed turn of both.
///
/// # Errors
/// Ours, or what the peer answers.
pub fn side_by_side(
    rounds: usize,
    seconds: f64,
    mut ours: impl FnMut() -> Result<()>,
    mut peer: Option<(&mut Peer, &Case)>,
) -> Result<SideBySide> {
    let repetitions = repetitions_for(seconds, &mut ours)?;
    let mut peer_repetitions = 1;
    if let Some((server, case)) = &mut peer {
        // The first run compiles and warms up, the second one is long enough to count on.
        server.run(case, 1)?;
        let each = server.run(case, 3)?.seconds_per_repetition;
        peer_repetitions = ((seconds / each.max(1e-9)) as usize).clamp(1, 1 << 24);
    }
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        mine.push(seconds_per_repetition(repetitions, &mut ours)?);
        if let Some((server, case)) = &mut peer {
            theirs.push(server.run(case, peer_repetitions)?.seconds_per_repetition);
        }
    }
    let spread = peer.is_some().then(|| quartiles(&mine, &theirs));
    Ok(SideBySide { ours: median(mine), peer: peer.is_some().then(|| median(theirs)), spread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_takes_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn quiet_is_the_lower_quarter() {
        assert_eq!(quiet(&[9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]), 3.0);
        assert_eq!(quiet(&[2.0, 1.0, 3.0]), 1.0);
        assert!(quiet(&[]).is_nan());
    }

    #[test]
    fn the_spread_is_that_of_the_middle_half() {
        let ours = [4.0, 1.0, 9.0, 2.0, 3.0, 7.0, 8.0, 5.0, 6.0];
        assert_eq!(quartiles(&ours, &[1.0; 9]), [3.0, 7.0]);
        // Rounds are paired: a machine that slows down in a round slows both.
        assert_eq!(quartiles(&[1.0, 10.0, 3.0], &[2.0, 20.0, 6.0]), [0.5, 0.5]);
        assert!(quartiles(&[], &[]).iter().all(|q| q.is_nan()));
    }

    #[test]
    fn every_round_runs_ours() -> Result<()> {
        let mut calls = 0;
        let result = side_by_side(
            3,
            1e-6,
            || {
                calls += 1;
                std::thread::sleep(std::time::Duration::from_micros(50));
                Ok(())
            },
            None,
        )?;
        assert!(calls >= 4 && result.ours > 0.0);
        assert!(result.peer.is_none() && result.spread.is_none());
        Ok(())
    }

    #[test]
    fn an_error_of_ours_comes_back() {
        let result = side_by_side(2, 1e-6, || anyhow::bail!("singular"), None);
        assert!(result.is_err());
    }
}
