//! Graphviz.

use super::shape::Shape;
use crate::cli::error::CliError;
use crate::cli::output::{Output, printable};
use crate::cli::target::Target;
use crate::space::Space;

/// Prints a `digraph`: a box per ibGib, an arrow per relation.
pub fn print(
    space: &dyn Space,
    root: &Target,
    live: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let rows = super::rows(space, root, live)?;
    out.line("digraph ibgib {\n  node [shape=box, fontname=monospace];")?;
    for (at, id) in rows.iter().enumerate() {
        let shape = Shape::read(space, *id)?;
        let label: Vec<String> = shape.label().iter().map(|line| escape(line)).collect();
        let tooltip = escape(&printable(shape.addr.as_str()));
        let label = label.join("\\n");
        out.line(format_args!("  n{at} [label=\"{label}\", tooltip=\"{tooltip}\"];"))?;
        for (name, to) in shape.edges(&rows) {
            let name = escape(&printable(name));
            out.line(format_args!("  n{at} -> n{to} [label=\"{name}\"];"))?;
        }
    }
    out.line("}")
}

/// Text inside a quoted string of Graphviz.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
