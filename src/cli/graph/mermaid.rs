//! A Mermaid flowchart.

use std::fmt::Write;

use super::shape::Shape;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;
use crate::space::Space;

/// Prints a `flowchart`: a box per ibGib, an arrow per relation.
pub fn print(
    space: &dyn Space,
    root: &Target,
    live: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let rows = super::rows(space, root, live)?;
    out.line("flowchart TD")?;
    for (at, id) in rows.iter().enumerate() {
        let shape = Shape::read(space, *id)?;
        let label: Vec<String> = shape.label().iter().map(|line| escape(line)).collect();
        out.line(format_args!("  n{at}[\"{}\"]", label.join("<br/>")))?;
        for (name, to) in shape.edges(&rows) {
            out.line(format_args!("  n{at} -->|\"{}\"| n{to}", escape(name)))?;
        }
    }
    Ok(())
}

/// Text inside a quoted label: whatever could mean something there is written by its number.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " -_.,:/+".contains(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "#{};", u32::from(c));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_label_cannot_break_out() {
        assert_eq!(super::escape("a b\"]<x>\n"), "a b#34;#93;#60;x#62;#10;");
    }
}
