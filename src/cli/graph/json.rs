//! One object with all ibGibs, dependencies first.

use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;
use crate::space::Space;

/// Prints the object, with or without `--json`.
pub fn print(
    space: &dyn Space,
    root: &Target,
    live: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    out.use_json();
    let rows = super::rows(space, root, live)?;
    let fields = json!({"addr": root.addr, "live": live, "count": rows.len()});
    out.begin_list("ibGibs", fields)?;
    super::each_text(space, &rows, |text| out.json_line(text))?;
    out.end_list(json!({}))
}
