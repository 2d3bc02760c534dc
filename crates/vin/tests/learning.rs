//! Generators against published statistics, labels, walks, intervals.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_vin::Result;
use pullback_vin::grid::{
    Connectivity, GridProcess, GridSpec, Maze, Meaning, Obstacles, Palette, carved_maze,
    obstacle_map, random_map, rooms,
};
use pullback_vin::learn::{ProblemSet, Protocol, measure, wilson};
use pullback_vin::process::Process;

/// The published files have 50, 61 and 68 of 100 cells free.
#[test]
fn maps_are_as_free_as_the_published_ones() -> Result<()> {
    for (size, want) in [(8, 0.50), (16, 0.61), (28, 0.68)] {
        let maps = 600;
        let mut free = 0;
        for seed in 0..maps {
            let map = obstacle_map(Obstacles::vin(size)?, seed)?;
            free += map.solid().iter().filter(|s| !**s).count();
        }
        let share = free as f64 / (maps as usize * size * size) as f64;
        assert!((share - want).abs() < 0.02, "{size}: {share}");
    }
    assert!(Obstacles::vin(9).is_err());
    Ok(())
}

#[test]
fn mazes_are_joined_until_they_are_opened() -> Result<()> {
    let spec = Maze { height: 15, width: 21, most_open: 0.0 };
    let map = carved_maze(spec, 3)?;
    // A tree over the 7·10 odd cells: as many passages as cells less one.
    assert_eq!(map.solid().iter().filter(|s| !**s).count(), 70 + 69);
    assert_ne!(map, carved_maze(spec, 4)?);
    assert_eq!(map, carved_maze(spec, 3)?);
    let set = ProblemSet::on_maps(vec![map], Connectivity::Four, 3, 1)?;
    let joined = set.problems[0].lengths.iter().filter(|l| l.is_finite()).count();
    assert_eq!(joined, 139);
    assert!(carved_maze(Maze { height: 2, width: 9, most_open: 0.0 }, 1).is_err());
    Ok(())
}

#[test]
fn other_maps() -> Result<()> {
    let map = random_map(40, 60, 0.25, 1)?;
    let share = map.solid().iter().filter(|s| **s).count() as f64 / 2400.0;
    assert!((share - 0.25).abs() < 0.03);
    let map = rooms([2, 3], 5, 0.0, 1)?;
    assert_eq!((map.height(), map.width()), (13, 19));
    assert_eq!(map.solid().iter().filter(|s| !**s).count(), 6 * 25 + 7);
    assert!(random_map(3, 3, 1.5, 0).is_err() && rooms([1, 1], 0, 0.0, 0).is_err());
    Ok(())
}

#[test]
fn the_expert_is_perfect_and_a_wall_is_not() -> Result<()> {
    for (protocol, goals) in [
        (Protocol::Vin { size: 16 }, 7),
        (Protocol::Gppn { size: 15, connectivity: Connectivity::Heading }, 1),
    ] {
        let set = ProblemSet::generate(protocol, 12, 5)?;
        assert_eq!((set.maps.len(), set.problems.len()), (12, 12 * goals));
        let expert: Vec<Vec<u8>> = set
            .problems
            .iter()
            .map(|p| p.best.iter().map(|b| b.trailing_zeros().min(7) as u8).collect())
            .collect();
        for everywhere in [false, true] {
            let report = measure(&set, &expert, everywhere)?;
            assert_eq!(report.success.hits, report.success.of);
            assert_eq!(report.optimal.hits, report.success.of);
            assert_eq!(report.right_action.hits, report.right_action.of);
            assert!((report.cost_ratio - 1.0).abs() < 1e-12);
            let binned: usize = report.by_length.iter().map(|s| s.of).sum();
            assert_eq!(binned, report.success.of);
        }
        let lost = vec![vec![0u8; set.problems[0].best.len()]; set.problems.len()];
        assert!(measure(&set, &lost, true)?.success.value() < 0.5);
        assert!(measure(&set, &lost[1..], true).is_err());
    }
    Ok(())
}

#[test]
fn labels_are_sets_or_one_of_them_or_near() -> Result<()> {
    let set = ProblemSet::generate(Protocol::Vin { size: 8 }, 40, 1)?;
    let single = set.with_single_labels(3);
    for (a, b) in set.problems.iter().zip(&single.problems) {
        for (all, one) in a.best.iter().zip(&b.best) {
            assert!(one & all == *one && one.count_ones() == u32::from(*all != 0));
        }
    }
    let near = set.within(2.0);
    for (p, q) in set.problems.iter().zip(&near.problems) {
        for s in 0..p.best.len() {
            assert_eq!(q.best[s], if p.lengths[s] > 2.0 { 0 } else { p.best[s] });
        }
    }
    assert_eq!(set.filtered(|p| p.map < 3).problems.len(), 21);
    Ok(())
}

/// The published trajectories have 3.96, 7.86 and 13.98 states in the mean; 24, 33 and 47 of 100 states on them have several best actions.
#[test]
fn ways_are_like_the_published_ones() -> Result<()> {
    for (size, length, ties) in [(8, 3.96, 0.24), (16, 7.86, 0.33), (28, 13.98, 0.47)] {
        let set = ProblemSet::generate(Protocol::Vin { size }, 150, 1)?;
        let (mut states, mut several) = (0, 0);
        for p in &set.problems {
            let spec = GridSpec { connectivity: set.connectivity, ..GridSpec::default() };
            let map = set.maps[p.map].clone();
            let process = GridProcess::new(map, spec, &[(p.goal, 0.0)])?;
            let mut at = p.start;
            while p.best[at] != 0 {
                states += 1;
                several += usize::from(p.best[at].count_ones() > 1);
                let action = p.best[at].trailing_zeros() as usize;
                process.successors(at, action, &mut |next, _| at = next);
            }
        }
        let mean = 1.0 + states as f64 / set.problems.len() as f64;
        let share = several as f64 / states as f64;
        assert!((mean / length - 1.0).abs() < 0.05, "{size}: {mean} states");
        assert!((share - ties).abs() < 0.08, "{size}: {share}");
    }
    Ok(())
}

#[test]
fn every_state_on_the_way_is_a_goal_in_hindsight() -> Result<()> {
    let set =
        ProblemSet::generate(Protocol::Gppn { size: 15, connectivity: Connectivity::Four }, 3, 2)?;
    let again = set.hindsight(1)?;
    let problem = &set.problems[1];
    assert_eq!(again.len() as f64, problem.lengths[problem.start]);
    for (k, p) in again.iter().enumerate() {
        assert_eq!(p.lengths[p.start], (k + 1) as f64);
    }
    assert_eq!(again.last().unwrap().goal, problem.goal);
    assert!(set.hindsight(99).is_err());
    Ok(())
}

#[test]
fn intervals_are_those_of_wilson() {
    // Newcombe 1998, table I: 81 of 263, and 0 of 20.
    let close = |[a, b]: [f64; 2], low: f64, high: f64| {
        assert!((a - low).abs() < 5e-5 && (b - high).abs() < 5e-5, "{a} {b}");
    };
    close(wilson(81, 263, 1.959_963_984_540_054), 0.2553, 0.3662);
    close(wilson(0, 20, 1.959_963_984_540_054), 0.0, 0.1611);
    assert_eq!(wilson(0, 0, 1.96), [0.0, 1.0]);
}

#[test]
fn colours_are_walls_terrain_and_goals() -> Result<()> {
    let pixels =
        [[0, 0, 0], [250, 255, 250], [0, 0, 255], [10, 250, 0], [255, 0, 0], [255, 255, 0]];
    let painted = Palette::default().read(2, 3, pixels.as_flattened())?;
    assert_eq!(painted.map.solid(), [true, false, false, false, false, false]);
    assert_eq!(painted.map.cost(), [1.0, 1.0, 5.0, 1.0, 1.0, 2.0]);
    assert_eq!((painted.goals, painted.starts), (vec![(3, 0.0)], vec![4]));
    let unknown = Palette::default().read(1, 1, &[128, 128, 128]).unwrap_err().to_string();
    assert!(unknown.contains("row 0, column 0"));
    assert!(Palette::new(vec![([1, 2, 3], Meaning::Wall); 2], 0).is_err());
    Ok(())
}
