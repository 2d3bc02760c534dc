//! What `replicate` makes, counted before it is made.

use super::attributes::Attributes;
use super::xml::Element;
use crate::Result;
use crate::spec::{MOST, MOST_DEGREES};

/// More elements by replicas than this are refused.
pub(super) const MOST_REPLICAS: u64 = 1_000_000;

/// The attribute `count`.
pub(super) fn count(element: &Element, a: &mut Attributes<'_>) -> Result<u64> {
    let Some(count) = a.integer("count")? else {
        return Err(element.wrong("the attribute count is missing"));
    };
    match u64::try_from(count) {
        Ok(n) if (1..=MOST_REPLICAS).contains(&n) => Ok(n),
        _ => Err(element.wrong(format!("count is {count}; 1 to {MOST_REPLICAS} are allowed"))),
    }
}

/// How many elements there are below `element`, replicas counted.
///
/// # Errors
/// A `replicate` that makes more than a model may have.
pub(super) fn check(element: &Element) -> Result<u64> {
    Ok(below(element)?[3])
}

/// Bodies, geoms, least degrees of freedom, and all elements.
fn below(element: &Element) -> Result<[u64; 4]> {
    let mut sum = [0u64; 4];
    for child in &element.children {
        let own: [u64; 4] = match child.tag.as_str() {
            "body" => [1, 0, 0, 1],
            "geom" => [0, 1, 0, 1],
            // A joint's type may come from a default.
            "joint" => [0, 0, 1, 1],
            "freejoint" => [0, 0, 6, 1],
            _ => [0, 0, 0, 1],
        };
        let mut below = below(child)?;
        if child.tag == "replicate" {
            let times = count(child, &mut Attributes::new(child))?;
            // A replica of nothing is a turn of the loop, too.
            below[3] = below[3].max(1);
            below = below.map(|n| n.saturating_mul(times));
            for (made, most, what) in [
                (below[0], MOST as u64, "bodies"),
                (below[1], MOST as u64, "geoms"),
                (below[2], MOST_DEGREES as u64, "degrees of freedom"),
                (below[3], MOST_REPLICAS, "elements"),
            ] {
                if made > most {
                    let what = format!("makes {made} {what}; at most {most} are supported");
                    return Err(child.wrong(what));
                }
            }
        }
        for k in 0..4 {
            sum[k] = sum[k].saturating_add(own[k]).saturating_add(below[k]);
        }
    }
    Ok(sum)
}
