//! Patterns against derivatives, colourings against brute force and theory.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_graph::sparsity::{Coloring, Order, Pattern, Side, svg};
use pullback_graph::{Dual, Op, Real, Tape};

#[path = "common/arm.rs"]
mod arm;
#[path = "common/networks.rs"]
mod networks;

use networks::{Random, apply, network};

/// Is every entry alone in a sweep? Looks at all rows and columns of dense matrices: nothing shared with the library's own reading.
fn recoverable(pattern: &Pattern, coloring: &Coloring) -> bool {
    let (m, n) = (pattern.rows(), pattern.columns());
    let mut there = vec![false; m * n];
    pattern.places().for_each(|(i, j)| there[i * n + j] = true);
    let pushed = |i: usize, j: usize| {
        let c = coloring.of_column(j);
        c.is_some() && (0..n).all(|k| k == j || coloring.of_column(k) != c || !there[i * n + k])
    };
    let pulled = |i: usize, j: usize| {
        let c = coloring.of_row(i);
        c.is_some() && (0..m).all(|k| k == i || coloring.of_row(k) != c || !there[k * n + j])
    };
    let mirrored = coloring.side() == Side::Symmetric;
    pattern.places().all(|(i, j)| pushed(i, j) || pulled(i, j) || (mirrored && pushed(j, i)))
}

/// Is it a star colouring: proper, and every path over 4 vertices of 3 colours at least?
fn is_star(pattern: &Pattern, coloring: &Coloring) -> bool {
    let color = |v: u32| coloring.of_column(v as usize).unwrap();
    let next = |v: u32| pattern.row(v as usize).iter().copied().filter(move |&w| w != v);
    (0..pattern.rows() as u32).filter(|&v| !pattern.row(v as usize).is_empty()).all(|a| {
        next(a).all(|b| {
            color(a) != color(b)
                && next(b)
                    .filter(|&c| c != a && color(c) == color(a))
                    .all(|c| next(c).filter(|&d| d != b && d != a).all(|d| color(d) != color(b)))
        })
    })
}

fn random_pattern(random: &mut Random, m: usize, n: usize, count: usize) -> Pattern {
    Pattern::new(m, n, (0..count).map(|_| (random.below(m), random.below(n))).collect())
}

fn tape_of(seed: u64, size: usize) -> Tape {
    Tape::record(4, |x| network(seed, size, x)).unwrap()
}

#[test]
fn an_instruction_passes_dependencies_where_it_has_a_derivative() {
    for op in Op::ALL {
        let tape = Tape::record(3, |x| vec![apply(op, x[0], x[1], x[2])]).unwrap();
        assert_eq!(tape.jacobian_pattern(), tape.jacobian().1, "{op:?}");
        let lower = tape.hessian().1;
        assert_eq!(tape.hessian_pattern().lower(), lower, "{op:?}");
        assert!(tape.hessian_pattern().is_symmetric(), "{op:?}");
    }
}

#[test]
fn patterns_hold_every_number_that_is_not_zero_and_are_those_of_the_derivative_tapes() {
    let (mut exact, mut structural) = (0, 0);
    for seed in 0..300 {
        let tape = tape_of(seed, 5 + (seed as usize * 7) % 90);
        let (pattern, second) = (tape.jacobian_pattern(), tape.hessian_pattern());
        let (_, written) = tape.jacobian();
        let (_, written_second) = tape.hessian();
        // Equal, but where a derivative cancels while it is written out.
        assert!(written.places().all(|(i, j)| pattern.position(i, j).is_some()));
        assert!(written_second.places().all(|(i, j)| second.position(i, j).is_some()));
        exact += usize::from(written == pattern) + usize::from(written_second == second.lower());
        structural += 2;
        let mut random = Random(!seed);
        let x: Vec<f64> = (0..4).map(|_| random.uniform(-1.5, 1.5)).collect();
        let dual: Vec<_> =
            x.iter().enumerate().map(|(i, &x)| Dual::<f64, 4>::variable(x, i)).collect();
        for (i, y) in network(seed, 5 + (seed as usize * 7) % 90, &dual).iter().enumerate() {
            let needed = (0..4).filter(|&j| y.slopes[j] != 0.0);
            assert!(needed.into_iter().all(|j| pattern.position(i, j).is_some()));
        }
    }
    assert!(structural * 95 / 100 <= exact, "{exact} of {structural}");
}

#[test]
fn sweeps_over_several_blocks_both_ways_find_bands() {
    let band = |n: usize, m: usize, width: usize| {
        let tape = Tape::record(n, |x| {
            let of = |i: usize| (0..width).fold(x[i % n], |sum, k| sum * x[(i + k) % n].sin());
            (0..m).map(of).collect()
        });
        let places = (0..m).flat_map(|i| (0..width).map(move |k| (i, (i + k) % n))).collect();
        (tape.unwrap(), Pattern::new(m, n, places))
    };
    // More blocks of outputs than of inputs, the reverse, and sizes at the edges of a block.
    for (n, m) in [(1500, 1500), (300, 2100), (2100, 300), (512, 513), (513, 512), (1, 1)] {
        let (tape, expected) = band(n, m, 3);
        assert_eq!(tape.jacobian_pattern(), expected, "{n} inputs, {m} outputs");
    }
    let kinks = Tape::record(3, |x| {
        let chosen = Real::select(x[0].less(x[1]), x[1] * x[2], x[2]);
        vec![chosen, x[0].floor() * x[1].sign(), (x[0] + x[1]) - x[0]]
    });
    let kinks = kinks.unwrap();
    let places: Vec<_> = kinks.jacobian_pattern().places().collect();
    assert_eq!(places, [(0, 1), (0, 2), (2, 0), (2, 1)]);
    assert_eq!(kinks.hessian_pattern().places().collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    let nothing = Tape::record(2, |_| vec![Real::lit(1.0)]).unwrap();
    assert!(nothing.jacobian_pattern().is_empty() && nothing.hessian_pattern().is_empty());
}

#[test]
fn colourings_of_random_patterns_let_every_entry_be_read() {
    let mut random = Random(1);
    for round in 0..60 {
        let (m, n) = (1 + random.below(40), 1 + random.below(40));
        let count = random.below(1 + 3 * (m + n));
        let pattern = random_pattern(&mut random, m, n, count);
        let square = random_pattern(&mut random, n, n, count).symmetrized();
        for order in Order::ALL {
            for coloring in [
                Coloring::columns(&pattern, order),
                Coloring::rows(&pattern, order),
                Coloring::both(&pattern, order),
            ] {
                assert!(
                    recoverable(&pattern, &coloring),
                    "{round} {order:?} {:?}",
                    coloring.side()
                );
                coloring.verify(&pattern).unwrap();
            }
            let star = Coloring::symmetric(&square, order).unwrap();
            assert!(is_star(&square, &star), "{round} {order:?}");
            assert!(recoverable(&square, &star), "{round} {order:?}");
            star.verify(&square).unwrap();
            let both = Coloring::both(&pattern, order).colors();
            let one = Coloring::columns(&pattern, order).colors();
            assert!(both <= one.min(Coloring::rows(&pattern, order).colors()));
        }
    }
}

#[test]
fn colourings_that_theory_knows() {
    let n = 40;
    let band = |width: usize| Pattern::full(n, n).filtered(|i, j| i.abs_diff(j) <= width);
    let arrow = Pattern::full(n, n).filtered(|i, j| i == 0 || j == 0 || i == j);
    for order in Order::ALL {
        // The fullest row is a lower bound; an arrow needs a colour for its full row, for its full column, and for the diagonal.
        assert_eq!(Coloring::columns(&arrow, order).colors(), n);
        assert_eq!(Coloring::both(&arrow, order).colors(), 3);
        assert_eq!(Coloring::symmetric(&arrow, order).unwrap().colors(), 2);
        assert_eq!(Coloring::columns(&Pattern::full(3, 7), order).colors(), 7);
        assert_eq!(Coloring::rows(&Pattern::full(3, 7), order).colors(), 3);
        let diagonal = Pattern::full(n, n).filtered(|i, j| i == j);
        assert_eq!(Coloring::columns(&diagonal, order).colors(), 1);
        assert_eq!(Coloring::symmetric(&diagonal, order).unwrap().colors(), 1);
    }
    for width in 1..5 {
        // Natural order is optimal on bands: as many as the fullest row; symmetric: width + 1 (Coleman, Moré 1984 for tridiagonal: 3 → 3 directly).
        assert_eq!(Coloring::columns(&band(width), Order::Natural).colors(), 2 * width + 1);
        assert_eq!(Coloring::rows(&band(width), Order::Natural).colors(), 2 * width + 1);
    }
    // A path is star-coloured with 3 colours, and no fewer.
    assert_eq!(Coloring::symmetric(&band(1), Order::Natural).unwrap().colors(), 3);
    // Cycles: 3 colours, but 4 for the cycle of 5 (Fertin, Raspaud, Reed 2004).
    for (length, colors) in [(4, 3), (5, 4), (6, 3), (9, 3)] {
        let cycle = Pattern::full(length, length)
            .filtered(|i, j| i == j || (i + 1) % length == j || (j + 1) % length == i);
        let found = Coloring::symmetric(&cycle, Order::Natural).unwrap().colors();
        assert!(colors <= found && found <= 4, "cycle of {length}: {found}");
    }
    // Two species on a 12 × 12 torus, 5-point stencil, coupled at each point: rows of 6, so 6 colours at least.
    let side = 12;
    let at = |x: usize, y: usize, s: usize| 2 * (side * (y % side) + x % side) + s;
    let cells = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    let places = cells.flat_map(|(x, y)| {
        let around = [(0, 0), (1, 0), (side - 1, 0), (0, 1), (0, side - 1)];
        let own = move |(dx, dy)| (0..2).map(move |s| (at(x, y, s), at(x + dx, y + dy, s)));
        around
            .into_iter()
            .flat_map(own)
            .chain([(at(x, y, 0), at(x, y, 1)), (at(x, y, 1), at(x, y, 0))])
    });
    let stencil = Pattern::new(2 * side * side, 2 * side * side, places.collect());
    for order in Order::ALL {
        let columns = Coloring::columns(&stencil, order);
        assert!(recoverable(&stencil, &columns));
        assert!((6..=14).contains(&columns.colors()), "{order:?}: {}", columns.colors());
    }
    // A dense row and column of 20,000: without taking a square of that.
    let n = 20_000;
    let places = (0..n).flat_map(|i| [(0, i), (i, 0), (i, i)]).collect();
    let large = Pattern::new(n, n, places);
    let coloring = Coloring::both(&large, Order::Natural);
    assert_eq!((coloring.pushes(), coloring.pulls()), (2, 1));
    assert_eq!(Coloring::symmetric(&large, Order::Natural).unwrap().colors(), 2);
    coloring.verify(&large).unwrap();
}

#[test]
fn a_picture_has_a_path_for_each_sweep() {
    let pattern = Tape::record(700, |q| arm::path(q)).unwrap().jacobian_pattern();
    let coloring = Coloring::rows(&pattern, Order::Natural);
    let picture = svg(&pattern, Some(&coloring));
    assert_eq!(picture.matches("<path").count(), coloring.colors());
    assert!(picture.len() < 60_000, "{}", picture.len());
    let drawn: usize = picture
        .split('h')
        .filter_map(|part| part.split(['M', '"']).next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(drawn, pattern.len());
    assert_eq!(svg(&pattern, None).matches("<path").count(), 1);
}
