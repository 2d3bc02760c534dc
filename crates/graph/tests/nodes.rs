//! Implicit nodes, maps, scans and totals against the same thing written out.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common {
    #![allow(dead_code)] // other tests use the rest
    pub(crate) mod landscapes;
    pub(crate) mod networks;
    pub(crate) mod nodes;
}

#[test]
fn nodes_are_what_they_stand_for() {
    common::landscapes::hold(common::nodes::all());
}
