//! Rows about exactness: against mpmath, JAX and CasADi, tapes against dual numbers, and the conventions at kinks.

use anyhow::{Result, anyhow};
use benches::output::Output;
use benches::row::Row;

use crate::common::worst::Worst;
use crate::common::{dags, elementary, instructions, kinks, second_kinks};
use crate::explain;

/// Numbers compared, and the worst error among them.
fn worst(output: &mut Output, what: &str, worst: &Worst, least: f64, limit: f64) -> Result<()> {
    if worst.error.is_nan() || limit < worst.error {
        explain(what, std::slice::from_ref(&worst.at))?;
    }
    let compared = worst.compared as f64;
    output.push(Row::new(format!("{what}: compared"), "numbers", compared).at_least(least))?;
    output.push(Row::new(format!("{what}: worst error"), "relative", worst.error).at_most(limit))
}

pub(crate) fn elementary(output: &mut Output) -> Result<()> {
    for function in elementary::table().map_err(|e| anyhow!("{e}"))? {
        let found = elementary::compare(&function);
        let bound = elementary::BOUNDS.iter().find(|(name, _)| *name == found.name);
        let name = format!("{} at {} points against mpmath", found.name, found.compared);
        let row = Row::new(name, "ulp", found.worst);
        output.push(row.at_most(bound.map_or(0.0, |(_, bound)| *bound)))?;
    }
    Ok(())
}

pub(crate) fn instructions(output: &mut Output) -> Result<()> {
    let limit = 1e-12;
    let table = instructions::table();
    let mut all = Worst::default();
    for (name, found) in &table {
        if limit < found.error {
            explain("instructions", std::slice::from_ref(&found.at))?;
        }
        let row = Row::new(
            format!("{name}: value, push, pull, Jacobian and its pattern, second order"),
            "relative",
            found.error,
        );
        output.push(row.at_most(limit))?;
        all.add(found.clone());
    }
    let what = format!("{} instructions against JAX and mpmath", table.len());
    worst(output, &what, &all, 20_000.0, limit)
}

pub(crate) fn networks(output: &mut Output) -> Result<()> {
    let found = dags::compare();
    let count = found.networks as f64;
    output.push(Row::new("random networks against CasADi", "networks", count).at_least(1000.0))?;
    for (what, numbers, least) in [
        ("values of random networks", &found.values, 6_500.0),
        ("Jacobians of random networks", &found.jacobians, 25_000.0),
        ("Hessians of random networks", &found.hessians, 15_000.0),
    ] {
        worst(output, what, numbers, least, 1e-12)?;
    }
    explain("pattern", &found.missed)?;
    let missed = found.missed.len() as f64;
    output
        .push(Row::new("entries other than 0 without a place", "entries", missed).at_most(0.0))?;
    explain("pattern", &found.unexplained)?;
    let name = "Jacobian patterns of 1000 that equal CasADi's but for places with one of the reasons below";
    output.push(Row::new(name, "networks", found.explained as f64).at_least(1000.0))?;
    let name =
        "Jacobian patterns equal to CasADi's but for places that only steps lead to, of 1000";
    output.push(Row::new(name, "networks", found.equal_but_for_steps as f64).at_least(930.0))?;
    for (whose, reason, places, networks) in [
        ("CasADi's", "only steps lead there: sign, floor, comparisons", found.places.steps, None),
        (
            "CasADi's",
            "constants and equal operands, folded",
            found.places.folded,
            Some(found.with_folding),
        ),
        (
            "CasADi's",
            "slopes that add up to 0, as of a − (a + b)",
            found.places.vanishing,
            Some(found.with_vanishing),
        ),
        (
            "ours",
            "quotients a/a and a·b/b that only CasADi takes for 1 and a, also at 0",
            found.places.cancelled,
            Some(found.with_cancelling),
        ),
    ] {
        let name = format!("Jacobian places only {whose}, {reason}");
        output.push(Row::new(&name, "entries", places as f64))?;
        if let Some(networks) = networks {
            output.push(Row::new(format!("{name}: in"), "networks", networks as f64))?;
        }
    }
    let (of, second) = (found.networks, found.hessian_patterns);
    for (what, kind, all) in [("Jacobian", 0, of), ("Hessian", 1, second)] {
        let equal = found.equal_patterns[kind] as f64;
        let name = format!("{what} patterns equal to CasADi's, of {all}");
        output.push(Row::new(name, "networks", equal))?;
        for (whose, places) in [("CasADi has", found.only_theirs), ("we have", found.only_ours)] {
            let name = format!("{what} places that only {whose}");
            let row = Row::new(name, "entries", places[kind] as f64);
            output.push(if whose == "we have" { row.at_most([55.0, 40.0][kind]) } else { row })?;
        }
    }
    Ok(())
}

pub(crate) fn duals(output: &mut Output) -> Result<()> {
    let found = crate::common::duals::compare();
    worst(output, "tapes of random networks against dual numbers", &found, 40_000.0, 1e-12)
}

pub(crate) fn conventions(output: &mut Output) -> Result<()> {
    let broken: Vec<String> =
        kinks::KINKS.iter().filter_map(|kink| kinks::verify(kink).err()).collect();
    explain("convention", &broken)?;
    let (all, held) = (kinks::KINKS.len() as f64, (kinks::KINKS.len() - broken.len()) as f64);
    let name = "conventions at kinks that hold, by push, pull, Jacobian and dual numbers";
    output.push(Row::new(name, "rows", held).at_least(all))?;
    let rows = second_kinks::SECOND_KINKS;
    let broken: Vec<String> =
        rows.iter().filter_map(|kink| second_kinks::verify(kink).err()).collect();
    explain("convention", &broken)?;
    let (all, held) = (rows.len() as f64, (rows.len() - broken.len()) as f64);
    let name = "conventions at kinks that hold to second order, by all orders of push and pull";
    output.push(Row::new(name, "rows", held).at_least(all))
}
