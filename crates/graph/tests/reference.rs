//! Values, derivatives and patterns against the committed tables of independent systems, and the conventions at kinks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common {
    #![allow(dead_code)] // the report uses the rest
    pub(crate) mod dags;
    pub(crate) mod instructions;
    pub(crate) mod kinks;
    pub(crate) mod reasons;
    pub(crate) mod second_kinks;
    pub(crate) mod worst;
}

use common::{dags, instructions, kinks, second_kinks};
use pullback_graph::Op;

#[test]
fn every_instruction_to_second_order() {
    let entries = instructions::entries();
    for op in Op::ALL {
        let points: usize = entries.iter().filter(|e| e.op() == op).map(|e| e.len()).sum();
        assert!(20 <= points, "{op:?}: {points} points");
    }
    let table = instructions::table();
    let over = table.iter().filter(|(_, w)| w.error.is_nan() || 1e-12 < w.error);
    let over: Vec<String> = over.map(|(_, w)| format!("{:e}: {}", w.error, w.at)).collect();
    assert!(over.is_empty(), "{} of {}:\n{}", over.len(), table.len(), over.join("\n"));
    let compared: usize = table.values().map(|w| w.compared).sum();
    assert!(20_000 <= compared, "only {compared} numbers were compared");
}

#[test]
fn a_thousand_random_networks() {
    let outcome = dags::compare();
    assert_eq!(outcome.networks, 1000);
    for (what, worst, least) in [
        ("values", &outcome.values, 6_500),
        ("Jacobians", &outcome.jacobians, 25_000),
        ("Hessians", &outcome.hessians, 15_000),
    ] {
        assert!(worst.error <= 1e-12, "{what}: {:e} ({})", worst.error, worst.at);
        assert!(least <= worst.compared, "only {} {what} were compared", worst.compared);
    }
    assert!(outcome.missed.is_empty(), "{}", outcome.missed.join("\n"));
    // CasADi keeps a place for what only steps lead to, whose slopes are 0: of the others, nearly all are the same, and the rest
    // differ by what one side simplifies and the other does not.
    assert!(
        outcome.unexplained.is_empty(),
        "{:?}\n{}",
        outcome.places,
        outcome.unexplained.join("\n")
    );
    assert_eq!(outcome.explained, 1000);
    assert!(930 <= outcome.equal_but_for_steps, "{outcome:?}");
    let [jacobian, hessian] = outcome.only_ours;
    // 18 of the Jacobians' are behind 0/a, which is no number at a = 0 and therefore stays.
    assert!(jacobian <= 55 && hessian <= 40, "places that only we have: {jacobian} and {hessian}");
}

#[test]
fn conventions_at_kinks_hold_in_every_way_to_a_derivative() {
    let broken: Vec<String> =
        kinks::KINKS.iter().filter_map(|kink| kinks::verify(kink).err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn conventions_at_kinks_hold_to_second_order() {
    let rows = second_kinks::SECOND_KINKS.iter();
    let broken: Vec<String> = rows.filter_map(|kink| second_kinks::verify(kink).err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
