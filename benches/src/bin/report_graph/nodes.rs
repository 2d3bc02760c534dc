//! Rows about implicit nodes, maps, scans and totals, against the same thing written out.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;

use crate::common::nodes;

pub(crate) fn written_out(output: &mut Output) -> Result<()> {
    for found in nodes::all() {
        output.push(Row::new(found.name, "relative", found.value).at_most(found.limit))?;
    }
    Ok(())
}
