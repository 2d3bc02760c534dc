//! Patterns against derivatives, colourings against brute force and theory, plans against dense derivatives.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Wrt, function};
use pullback_graph::sparsity::{
    Coloring, HessianPlan, JacobianPlan, Mode, NormalPlan, Order, Pattern, PlanOptions, Side, svg,
};
use pullback_graph::{Dual, Error, Op, Real, Tape};

#[path = "common/arm.rs"]
mod arm;
#[path = "common/networks.rs"]
mod networks;

use networks::{Random, apply, network, sparse};

const MODES: [Mode; 5] = [Mode::Auto, Mode::Forward, Mode::Reverse, Mode::Mixed, Mode::Symbolic];

fn near(what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        let scale = 1.0f64.max(a.abs()).max(b.abs());
        assert!((a - b).abs() <= tolerance * scale, "{what}: {a} ≠ {b}");
    }
}

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
fn all_modes_and_orders_give_the_dense_jacobian() {
    for seed in 0..12 {
        let n = 5 + seed as usize * 4;
        let tape = Tape::record(n, |x| sparse(seed, x)).unwrap();
        let (entries, places) = tape.jacobian();
        let mut random = Random(seed);
        let batch = 19;
        let x: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.5, 1.5)).collect();
        for mode in MODES {
            for order in Order::ALL {
                let mut plan = JacobianPlan::new(&tape, PlanOptions { mode, order }).unwrap();
                assert_eq!(*plan.pattern(), tape.jacobian_pattern());
                let count = plan.pattern().len();
                let (mut y, mut j) = (vec![0.0; batch * n], vec![f64::NAN; batch * count]);
                plan.run(batch, &x, &mut y, &mut j).unwrap();
                for ((x, y), j) in x.chunks(n).zip(y.chunks(n)).zip(j.chunks(count)) {
                    let what = format!("{plan}");
                    near(&what, y, &tape.eval(x).unwrap(), 1e-13);
                    let dense = places.dense(&entries.eval(x).unwrap());
                    near(&what, &plan.pattern().dense(j), &dense, 1e-9);
                    // One point has the bits of the batch.
                    let mut alone = vec![0.0; count];
                    plan.jacobian(x, &mut alone).unwrap();
                    assert_eq!(alone, j, "{what}");
                }
            }
        }
    }
}

#[test]
fn all_modes_and_orders_give_the_dense_hessian() {
    for seed in 0..12 {
        let n = 5 + seed as usize * 2;
        let tape = Tape::record(n, |x| sparse(seed, x)).unwrap();
        let ((entries, places), reverse) = (tape.hessian(), tape.reverse());
        let mut random = Random(seed);
        let batch = 5;
        let x: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.5, 1.5)).collect();
        let lambda: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.0, 1.0)).collect();
        for mode in [Mode::Auto, Mode::Forward, Mode::Symbolic] {
            for order in Order::ALL {
                let mut plan = HessianPlan::new(&tape, PlanOptions { mode, order }).unwrap();
                let count = plan.pattern().len();
                let (mut y, mut g) = (vec![0.0; batch * n], vec![0.0; batch * n]);
                let mut h = vec![f64::NAN; batch * count];
                plan.run(batch, &x, &lambda, &mut y, &mut g, &mut h).unwrap();
                for k in 0..batch {
                    let (x, lambda) = (&x[k * n..][..n], &lambda[k * n..][..n]);
                    let both = reverse.eval(&[x, lambda].concat()).unwrap();
                    let what = format!("{plan}");
                    near(&what, &y[k * n..][..n], &both[..n], 1e-13);
                    near(&what, &g[k * n..][..n], &both[n..], 1e-10);
                    let dense = places.dense(&entries.eval(&[x, lambda].concat()).unwrap());
                    let h = &h[k * count..][..count];
                    near(&what, &plan.pattern().dense(h), &dense, 1e-8);
                    let mut alone = vec![0.0; count];
                    plan.hessian(x, lambda, &mut alone).unwrap();
                    assert_eq!(alone, h, "{what}");
                }
            }
        }
    }
}

#[test]
fn an_arrow_is_swept_both_ways() {
    let n = 30;
    let tape = Tape::record(n, |x| {
        let all = x.iter().fold(Real::lit(0.0), |sum: pullback_graph::Expr<'_>, x| sum + x.sin());
        std::iter::once(all).chain((1..n).map(|i| x[0] * x[i])).collect()
    });
    let tape = tape.unwrap();
    let options = PlanOptions { mode: Mode::Mixed, ..PlanOptions::default() };
    let mut plan = JacobianPlan::new(&tape, options).unwrap();
    assert_eq!((plan.coloring().pushes(), plan.coloring().pulls()), (2, 1));
    let x: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
    let mut j = vec![0.0; plan.pattern().len()];
    plan.jacobian(&x, &mut j).unwrap();
    let dense = plan.pattern().dense(&j);
    for i in 0..n {
        for k in 0..n {
            let expected = match (i, k) {
                (0, k) => x[k].cos(),
                (i, 0) => x[i],
                (i, k) if i == k => x[0],
                _ => 0.0,
            };
            assert_eq!(dense[i * n + k], expected);
        }
    }
}

#[test]
fn the_path_problem_takes_few_colours_and_its_normal_matrix_is_the_product() {
    let tape = Tape::record(700, |q| arm::path(q)).unwrap();
    let cost =
        Tape::record(700, |q| vec![arm::path(q).iter().fold(Real::lit(0.0), |s, r| s + r.sqr())]);
    let cost = cost.unwrap();
    let pattern = tape.jacobian_pattern();
    assert_eq!((pattern.rows(), pattern.columns(), pattern.len()), (986, 700, 3758));
    let second = cost.hessian_pattern();
    assert_eq!(second.len(), 6458);
    let fewest =
        |color: &dyn Fn(Order) -> usize| Order::ALL.iter().map(|&o| color(o)).min().unwrap();
    assert!(Coloring::columns(&pattern, Order::Natural).colors() <= 8);
    assert!(Coloring::rows(&pattern, Order::Natural).colors() <= 8);
    assert!(fewest(&|o| Coloring::symmetric(&second, o).unwrap().colors()) <= 14);

    let q: Vec<f64> = (0..700).map(|i| (i as f64 * 0.37).sin()).collect();
    let mut results = Vec::new();
    for mode in MODES {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let mut plan = JacobianPlan::new(&tape, options).unwrap();
        let (mut y, mut j) = (vec![0.0; 986], vec![0.0; 3758]);
        plan.value_and_jacobian(&q, &mut y, &mut j).unwrap();
        results.push((y, j));
    }
    let (y, j) = &results[0];
    for (other_y, other_j) in &results {
        near("values", other_y, y, 1e-14);
        near("entries", other_j, j, 1e-12);
    }
    let normal = NormalPlan::new(&pattern).unwrap();
    let (mut product, mut gradient) = (vec![0.0; normal.pattern().len()], vec![0.0; 700]);
    normal.normal(j, &mut product).unwrap();
    normal.gradient(j, y, &mut gradient).unwrap();
    let dense = pattern.dense(j);
    let mut expected = vec![0.0; 700 * 700];
    for row in dense.chunks(700) {
        for a in (0..700).filter(|&a| row[a] != 0.0) {
            (0..=a).for_each(|b| expected[700 * a + b] += row[a] * row[b]);
        }
    }
    near("JᵀJ", &normal.pattern().dense(&product), &expected, 1e-13);
    let pulled = cost.reverse().eval(&[&q[..], &[0.5]].concat()).unwrap();
    near("Jᵀr", &gradient, &pulled[1..], 1e-12);

    let mut exact = Vec::new();
    for mode in [Mode::Forward, Mode::Symbolic] {
        let options = PlanOptions { mode, order: Order::SmallestLast };
        let mut plan = HessianPlan::new(&cost, options).unwrap();
        let mut h = vec![0.0; plan.pattern().len()];
        plan.hessian(&q, &[1.0], &mut h).unwrap();
        exact.push(h);
    }
    near("Hessian", &exact[0], &exact[1], 1e-11);
}

#[test]
fn any_function_is_swept_by_pushes_and_pulls() {
    // yᵢ = sin(xᵢ)·xᵢ₊₁·p, a band; p is not differentiated.
    let n = 12;
    let f = function("band", move |_, v| {
        let (low, high) = (v[0].narrow(0, 0, n - 1), v[0].narrow(0, 1, n - 1));
        Ok(vec![low.sin() * high * v[1]])
    });
    let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).cos()).collect();
    let device = Device::Cpu;
    let point = [Tensor::new(&x[..], &device).unwrap(), Tensor::new(1.5f64, &device).unwrap()];
    let wrt = [true, false];
    let band = Pattern::full(n - 1, n).filtered(|i, j| j == i || j == i + 1);
    let expected: Vec<f64> =
        (0..n - 1).flat_map(|i| [1.5 * x[i].cos() * x[i + 1], 1.5 * x[i].sin()]).collect();
    for mode in [Mode::Auto, Mode::Forward, Mode::Reverse, Mode::Mixed] {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let plan = JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), band.clone(), options);
        let mut plan = plan.unwrap();
        assert!(plan.coloring().colors() <= 2);
        let (mut y, mut j) = (vec![0.0; n - 1], vec![0.0; band.len()]);
        plan.value_and_jacobian(&x, &mut y, &mut j).unwrap();
        near(
            "values",
            &y,
            &(0..n - 1).map(|i| 1.5 * x[i].sin() * x[i + 1]).collect::<Vec<_>>(),
            1e-14,
        );
        near("entries", &j, &expected, 1e-14);
    }
    let sum = {
        let f = f.clone();
        function("cost", move |g, v| Ok(vec![g.apply(&f, v)?[0].sum(())]))
    };
    let square = Pattern::full(n, n).filtered(|i, j| i.abs_diff(j) <= 1);
    let mut plan =
        HessianPlan::of_function(sum, &point, Wrt(&wrt), &square, PlanOptions::default()).unwrap();
    assert_eq!(plan.coloring().colors(), 3);
    let (mut y, mut g) = (vec![0.0; 1], vec![0.0; n]);
    let mut h = vec![0.0; plan.pattern().len()];
    plan.value_gradient_hessian(&x, &[2.0], &mut y, &mut g, &mut h).unwrap();
    for ((i, j), h) in plan.pattern().places().zip(h) {
        let diagonal = x.get(i + 1).map_or(0.0, |next| -3.0 * x[i].sin() * next);
        near("Hessian", &[h], &[if i == j { diagonal } else { 3.0 * x[j].cos() }], 1e-13);
    }
    near("slope", &g[..1], &[3.0 * x[0].cos() * x[1]], 1e-14);

    let wrong = Pattern::full(n, n);
    assert!(
        JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), wrong, PlanOptions::default())
            .is_err()
    );
    let written = PlanOptions { mode: Mode::Symbolic, ..PlanOptions::default() };
    assert!(JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), band, written).is_err());
    let vector = HessianPlan::of_function(f, &point, Wrt(&wrt), &square, PlanOptions::default());
    assert!(vector.unwrap_err().to_string().contains("not of 11"));
}

#[test]
fn mistakes_are_named() {
    let tape = Tape::record(2, |x| vec![x[0].ln() * x[1], x[1].sqrt()]).unwrap();
    let other = Tape::record(2, |x| vec![x[0], x[1]]).unwrap();
    for mode in MODES {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let mut plan = JacobianPlan::new(&tape, options).unwrap();
        assert!(plan.check(&tape).is_ok());
        let foreign = plan.check(&other);
        assert!(matches!(foreign, Err(Error::ForeignTape { got, .. }) if got == other.hash()));
        let (mut y, mut j) = ([0.0; 2], [0.0; 3]);
        let short = plan.value_and_jacobian(&[1.0], &mut y, &mut j);
        assert!(matches!(short, Err(Error::Length { what: "inputs", expected: 2, got: 1 })));
        let short = plan.jacobian(&[1.0, 1.0], &mut j[..2]);
        assert!(matches!(
            short,
            Err(Error::Length { what: "Jacobian entries", expected: 3, got: 2 })
        ));
        // The value is finite, its slope is not.
        let kink = plan.jacobian(&[1.0, 0.0], &mut j).unwrap_err().to_string();
        assert!(kink.contains("entry (") && kink.contains(", 1) of sample 0"), "{mode:?}: {kink}");
        if mode == Mode::Symbolic {
            assert!(kink.contains("entry (1, 1)") && kink.contains("inf"), "{kink}");
        }
        let (mut ys, mut js) = ([0.0; 4], [0.0; 6]);
        let value = plan.run(2, &[1.0, 1.0, 0.0, 1.0], &mut ys, &mut js);
        assert!(
            matches!(value, Err(Error::OutputNotFinite { output: 0, sample: 1, .. })),
            "{mode:?}: {value:?}"
        );
        // And the plan is still good.
        plan.jacobian(&[1.0, 4.0], &mut j).unwrap();
        assert_eq!(j, [4.0, 0.0, 0.25]);
    }
    for mode in [Mode::Reverse, Mode::Mixed] {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        assert!(matches!(HessianPlan::new(&tape, options), Err(Error::Invalid { .. })));
    }
    let lopsided = Pattern::new(2, 2, vec![(0, 1)]);
    assert!(matches!(Coloring::symmetric(&lopsided, Order::Natural), Err(Error::Invalid { .. })));
    // A colouring of the diagonal does not do for a full matrix.
    let diagonal = Pattern::new(2, 2, vec![(0, 0), (1, 1)]);
    let wrong = Coloring::columns(&diagonal, Order::Natural).verify(&Pattern::full(2, 2));
    assert!(wrong.unwrap_err().to_string().contains("entry (0, 0)"));
    assert!(NormalPlan::new(&diagonal).unwrap().normal(&[1.0], &mut [0.0; 2]).is_err());
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
