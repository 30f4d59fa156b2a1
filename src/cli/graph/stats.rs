//! What a graph consists of, in numbers.

use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::{Output, size};
use crate::cli::target::Target;
use crate::ibgib::Addr;
use crate::space::{GraphStats, Space, graph_stats};

/// Counts the graph and prints the counts.
pub fn print(
    space: &dyn Space,
    root: &Target,
    live: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    tell(&graph_stats(space, &[root.id], live)?, &root.addr, live, out)
}

/// Prints counts.
pub fn tell(stats: &GraphStats, root: &Addr, live: bool, out: &mut Output) -> Result<(), CliError> {
    let GraphStats { nodes, frames, timelines, stones, dnas, edges, bytes } = *stats;
    for (name, count) in [
        ("ibGibs", nodes),
        ("frames", frames),
        ("timelines", timelines),
        ("stones", stones),
        ("dna", dnas),
        ("relations", edges),
    ] {
        out.line(format_args!("{name:<10}{count:>12}"))?;
    }
    out.line(format_args!("{:<10}{:>12}", "size", size(bytes)))?;
    out.done(json!({
        "addr": root, "live": live, "ibGibCount": nodes, "frames": frames,
        "timelines": timelines, "stones": stones, "dna": dnas, "relations": edges, "bytes": bytes,
    }))
}
