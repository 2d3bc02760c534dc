//! Rows about landscapes whose spectra, traces, products and critical points are known.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;

use crate::common::landscapes;

pub(crate) fn known(output: &mut Output) -> Result<()> {
    for found in landscapes::all() {
        output.push(Row::new(found.name, "error", found.value).at_most(found.limit))?;
    }
    Ok(())
}
