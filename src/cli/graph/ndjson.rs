//! One ibGib a line, dependencies first.

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;
use crate::space::Space;

/// Prints every ibGib of the graph.
pub fn print(
    space: &dyn Space,
    root: &Target,
    live: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let rows = super::rows(space, root, live)?;
    super::each_text(space, &rows, |text| out.json_line(text))
}
