//! `graph`: the dependency graph of an ibGib, for people, for pipes, for drawing.
//!
//! Whatever the format, only rows' numbers are held, and each ibGib is read as it is printed.

mod dot;
mod json;
mod mermaid;
mod ndjson;
mod remote;
mod shape;
mod stats;
mod tree;

use serde_json::json;

use super::Ctx;
use super::error::CliError;
use super::output::Output;
use super::secret::SecretArgs;
use super::target::{Target, resolve};
use crate::space::{RowId, Space, SpaceError, graph_ids};

/// Show the dependency graph of an ibGib.
///
/// The graph is every ibGib that is reached through relations, itself included, primitives left
/// out. `ndjson` prints dependencies first, so that it can be piped into `put`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib graph X\n  \
    sync-gib graph X --live --format ndjson | sync-gib --home /other put\n  \
    sync-gib graph I --format dot | dot -Tsvg > identity.svg\n  \
    sync-gib graph X --remote --stats")]
pub struct GraphArgs {
    /// Whose graph: a frame, or the tip of X, I or S; `-` reads it from standard input
    #[arg(value_name = "ADDR")]
    pub addr: String,
    /// The form to print it in
    #[arg(long, value_enum, default_value = "tree", value_name = "FORMAT")]
    pub format: Format,
    /// From each timeline met, go on to its latest tip
    #[arg(long)]
    pub live: bool,
    /// Count instead of print
    #[arg(long, conflicts_with_all = ["format", "full"])]
    pub stats: bool,
    /// Print whole addresses in the tree, not the first 8 characters of the gib
    #[arg(long)]
    pub full: bool,
    /// Ask the server, not the local space; what it sends is hashed and checked here
    #[arg(long)]
    pub remote: bool,
    /// Where the secret comes from, with --remote.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// What a graph is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Indented lines; a timeline's frames one under the other
    Tree,
    /// One ibGib a line, dependencies first
    Ndjson,
    /// One object with all ibGibs
    Json,
    /// Graphviz
    Dot,
    /// Mermaid flowchart
    Mermaid,
}

/// Prints the graph of what the arguments name.
pub fn run(args: &GraphArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    if args.remote {
        return remote::run(&space, args, ctx);
    }
    let root = resolve(&space, &args.addr)?;
    print(&space, &root, args, &mut ctx.out)
}

/// Prints the graph of `root`, an ibGib of `space`, as the arguments say.
pub fn print(
    space: &dyn Space,
    root: &Target,
    args: &GraphArgs,
    out: &mut Output,
) -> Result<(), CliError> {
    if args.stats {
        return stats::print(space, root, args.live, out);
    }
    let is_json = out.is_json() || args.format == Format::Json;
    if is_json {
        return match args.format {
            Format::Tree | Format::Ndjson | Format::Json => {
                json::print(space, root, args.live, out)
            }
            Format::Dot | Format::Mermaid => {
                Err(CliError::usage("--json and a drawing's format exclude each other"))
            }
        };
    }
    match args.format {
        Format::Tree | Format::Json => tree::print(space, root, args, out),
        Format::Ndjson => ndjson::print(space, root, args.live, out),
        Format::Dot => dot::print(space, root, args.live, out),
        Format::Mermaid => mermaid::print(space, root, args.live, out),
    }?;
    out.done(json!({}))
}

/// How many bytes of texts are read at once, before they are printed.
const READ_AT_ONCE: usize = 1 << 20;

/// Gives the texts of rows to `print`, in order. They are read many at a time: the file is not held
/// while a slow reader takes them.
fn each_text(
    space: &dyn Space,
    rows: &[RowId],
    mut print: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut rows = rows.iter();
    loop {
        let (mut texts, mut bytes, mut failed) = (Vec::new(), 0, None);
        let snapshot = space.snapshot()?;
        while bytes < READ_AT_ONCE
            && failed.is_none()
            && let Some(id) = rows.next()
        {
            match space.text(*id) {
                Ok(text) => {
                    bytes += text.len();
                    texts.push(text);
                }
                Err(error) => failed = Some(error),
            }
        }
        drop(snapshot);
        texts.iter().try_for_each(|text| print(text))?;
        match failed {
            // Those before it are printed first.
            Some(error) => return Err(error.into()),
            None if texts.is_empty() => return Ok(()),
            None => {}
        }
    }
}

/// The rows of the graph, dependencies first: a row's number is above those it relates to.
fn rows(space: &dyn Space, root: &Target, live: bool) -> Result<Vec<RowId>, SpaceError> {
    graph_ids(space, &[root.id], live)
}
