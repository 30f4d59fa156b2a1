//! Indented lines for people.
//!
//! A frame's predecessors stand under it, not inside it, so that a long timeline is a list. An
//! ibGib that was printed already is named again and not gone into. Left out: the tjp of every
//! frame in such a list, since the list ends in it, and all of `past` but the newest.

use std::collections::HashSet;

use super::GraphArgs;
use super::shape::Shape;
use crate::cli::error::CliError;
use crate::cli::output::{Output, printable};
use crate::cli::target::Target;
use crate::space::{RowId, Space, SpaceError};

/// How many levels are indented; what lies deeper stands at this one.
const MAX_INDENT: usize = 48;

/// Prints the tree; with `--live`, the trees of newer tips follow.
pub fn print(
    space: &dyn Space,
    root: &Target,
    args: &GraphArgs,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut walk = Walk::new(space, args.live);
    walk.begin(String::new(), root.id);
    loop {
        while let Some(step) = walk.next()? {
            out.line(step.line(args.full))?;
        }
        match walk.tips.pop() {
            None => return Ok(()),
            Some(tip) if walk.seen.contains(&tip) => {}
            Some(tip) => walk.begin("latest".to_owned(), tip),
        }
    }
}

/// A line to come: under which relation, and which row.
type Entry = (String, RowId);

/// A walk down the graph that gives one line at a time and never calls itself.
struct Walk<'a> {
    space: &'a dyn Space,
    live: bool,
    seen: HashSet<RowId>,
    /// The entries that are left on each level, the next one last.
    levels: Vec<Vec<Entry>>,
    /// Timelines met, and their tips that are still to come.
    timelines: HashSet<RowId>,
    tips: Vec<RowId>,
}

/// One line.
struct Step {
    /// For each level above, whether more follows on it.
    bars: Vec<bool>,
    relation: String,
    shape: Shape,
    repeated: bool,
}

impl<'a> Walk<'a> {
    fn new(space: &'a dyn Space, live: bool) -> Walk<'a> {
        let (seen, timelines) = (HashSet::new(), HashSet::new());
        Walk { space, live, seen, levels: Vec::new(), timelines, tips: Vec::new() }
    }

    fn begin(&mut self, relation: String, id: RowId) {
        self.levels = vec![vec![(relation, id)]];
    }

    fn next(&mut self) -> Result<Option<Step>, SpaceError> {
        while self.levels.last().is_some_and(Vec::is_empty) {
            self.levels.pop();
        }
        let Some((relation, id)) = self.levels.last_mut().and_then(Vec::pop) else {
            return Ok(None);
        };
        let shape = Shape::read(self.space, id)?;
        let repeated = !self.seen.insert(id);
        let mut children = Vec::new();
        if !repeated {
            self.meet(&shape)?;
            if let Some(prev) = shape.row.prev
                && let Some(level) = self.levels.last_mut()
            {
                level.push(("past".to_owned(), prev));
            }
            children = below(&shape);
        }
        let bars = self.levels.iter().skip(1).map(|level| !level.is_empty()).collect();
        self.levels.push(children);
        Ok(Some(Step { bars, relation, shape, repeated }))
    }

    /// Notes the tip of a timeline that is met for the first time.
    fn meet(&mut self, shape: &Shape) -> Result<(), SpaceError> {
        if let Some(timeline) = shape.row.timeline
            && self.live
            && self.timelines.insert(timeline)
            && let Some(timeline) = self.space.timeline_of(timeline)?
        {
            self.tips.push(timeline.tip.id);
        }
        Ok(())
    }
}

/// What stands inside a frame: its relations, but for those that the list under it shows. The
/// next one last.
fn below(shape: &Shape) -> Vec<Entry> {
    let listed = |name: &str, id: RowId| match name {
        "past" => shape.row.prev.is_some(),
        "tjp" => shape.row.timeline == Some(id),
        _ => false,
    };
    let entries = shape.rel8ns.iter().flat_map(|(name, ids)| ids.iter().map(move |id| (name, *id)));
    let entries = entries.filter(|(name, id)| !listed(name, *id));
    let mut entries: Vec<Entry> = entries.map(|(name, id)| (name.clone(), id)).collect();
    entries.reverse();
    entries
}

impl Step {
    fn line(&self, full: bool) -> String {
        let mut line = String::new();
        if let Some((more, above)) = self.bars.split_last() {
            for bar in above.iter().take(MAX_INDENT) {
                line.push_str(if *bar { "│  " } else { "   " });
            }
            line.push_str(if *more { "├─ " } else { "└─ " });
        }
        if !self.relation.is_empty() {
            line.push_str(&printable(&self.relation));
            line.push_str(": ");
        }
        line.push_str(&if full { printable(self.shape.addr.as_str()) } else { self.shape.short() });
        if self.shape.row.timeline.is_some() {
            line.push_str(&format!("  n {}", self.shape.row.n));
        }
        if self.repeated {
            line.push_str("  (above)");
        }
        line
    }
}
