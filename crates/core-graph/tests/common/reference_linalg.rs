//! The linear algebra of the structured table.

use pullback_core_graph::{Error, Graph, Result, Var};
use serde_json::Value;

pub(crate) fn structured<'g>(
    _: &'g Graph,
    op: &str,
    _: &Value,
    _: &[Var<'g>],
) -> Result<Vec<Var<'g>>> {
    Err(Error::Invalid { node: op.into(), what: "the table has an operation that we lack".into() })
}
