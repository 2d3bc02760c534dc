//! The shared MovingAI maps: published optimal lengths, and a reader that refuses what is damaged.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)] // a failed step is a failed test; a missing folder is said aloud

use std::path::PathBuf;

use pullback_vin::grid::movingai::{parse_map, parse_scenarios, read_map, read_scenarios};
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec};
use pullback_vin::solve::{Method, Settings, best_way, solve};
use pullback_vin::{Error, Result};

const MAPS: [&str; 4] = ["Berlin_0_256", "Boston_0_512", "arena2", "maze512-8-0"];

/// The folder of shared maps: beside the checkout, or where `PULLBACK_MOVINGAI` says.
fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/movingai");
    let folder = std::env::var_os("PULLBACK_MOVINGAI").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no folder {}; set PULLBACK_MOVINGAI", folder.display());
    None
}

fn process(map: GridMap, goal: [usize; 2]) -> Result<GridProcess> {
    let connectivity = Connectivity::octile(Corners::Keep);
    let goal = map.cell(goal[0], goal[1])?;
    GridProcess::new(map, GridSpec { connectivity, ..GridSpec::default() }, &[(goal, 0.0)])
}

#[test]
fn published_lengths() -> Result<()> {
    let Some(folder) = folder() else { return Ok(()) };
    for name in MAPS {
        let map = read_map(folder.join(format!("{name}.map")))?;
        let scenarios = read_scenarios(folder.join(format!("{name}.map.scen")))?;
        let base = process(map.clone(), scenarios[0].goal)?;
        let every = scenarios.len() / 40;
        for scenario in scenarios.iter().step_by(every) {
            assert_eq!(scenario.size, [map.height(), map.width()]);
            let [start, goal] = [scenario.start, scenario.goal].map(|[y, x]| map.cell(y, x));
            let length = -best_way(&base.with_goals(&[(goal?, 0.0)])?, start?)?;
            let error = (length - scenario.length).abs() / scenario.length.max(1.0);
            assert!(error <= 1e-5, "{name}: {length} {scenario:?}");
        }
    }
    Ok(())
}

/// On a whole map, sweeps come to the same values as the buckets do.
#[test]
fn sweeps_agree_on_a_real_map() -> Result<()> {
    let Some(folder) = folder() else { return Ok(()) };
    let map = read_map(folder.join("arena2.map"))?;
    let scenario = read_scenarios(folder.join("arena2.map.scen"))?.pop().unwrap();
    let process = process(map, scenario.goal)?;
    let ways = solve(&process, &Settings::by(Method::Prioritized))?;
    for method in [Method::Jacobi, Method::GaussSeidel] {
        let swept = solve(&process, &Settings::by(method))?;
        for (s, (a, b)) in ways.values.iter().zip(&swept.values).enumerate() {
            assert!(a == b || (a - b).abs() < 1e-9, "{method:?}, state {s}: {a} {b}");
            assert_eq!(ways.outlook(s), swept.outlook(s), "state {s}");
        }
    }
    Ok(())
}

#[test]
fn text_is_read_as_the_format_says() -> Result<()> {
    let map = parse_map("m", "type octile\nheight 2\nwidth 3\nmap\n.G@\nTSO\n")?;
    assert_eq!(map.solid(), [false, false, true, true, false, true]);
    let scenarios = parse_scenarios("s", "version 1\n3\ta.map\t3\t2\t0\t1\t2\t0\t1.5\n")?;
    assert_eq!(
        (scenarios[0].start, scenarios[0].goal, scenarios[0].size),
        ([1, 0], [0, 2], [2, 3])
    );
    assert_eq!((scenarios[0].bucket, scenarios[0].length), (3, 1.5));
    Ok(())
}

#[test]
fn damage_is_found_with_its_line() {
    let line = |e: Error| match e {
        Error::File { line, .. } => line,
        other => panic!("{other}"),
    };
    let header = "type octile\nheight 2\nwidth 3\nmap\n";
    for (text, at) in [
        (String::new(), 0),
        ("type octile\nheight two\n".into(), 2),
        ("type octile\nwidth 3\nmap\n...\n".into(), 0),
        (format!("{header}...\n"), 0),
        (format!("{header}...\n....\n"), 6),
        (format!("{header}...\n..x\n"), 6),
    ] {
        assert_eq!(line(parse_map("m", &text).unwrap_err()), at, "{text:?}");
    }
    for (text, at) in [
        ("0\ta.map\t3\t2\t0\t1\t2\t0\t1.5\n", 1),
        ("version 1\n0 a.map 3 2 0 1 2 0\n", 2),
        ("version 1\n0 a.map 3 2 0 1 2 0 NaN\n", 2),
        ("version 1\n0 a.map 3 2 0 1 -2 0 1\n", 2),
        ("version 1\n0 a.map 3 2 3 1 2 0 1\n", 2),
    ] {
        assert_eq!(line(parse_scenarios("s", text).unwrap_err()), at, "{text:?}");
    }
    assert!(matches!(read_map("no such file"), Err(Error::Io { .. })));
}
