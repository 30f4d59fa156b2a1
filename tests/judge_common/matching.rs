//! Whether a result is an order of two sides' parts that keeps the order of each.

use std::collections::HashSet;

use super::text::Id;

/// Whose the next part of a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum From {
    Kept,
    Replayed,
    Both,
}

/// A part of the result: what it is, and whose.
pub type Part = (Id, From);

/// What decides whether a part stands at a place of the result.
pub trait Rules {
    /// Where the result goes on, if `part` stands at `at`, after `prev`.
    fn step(&self, at: usize, prev: Option<Part>, part: Part) -> Option<usize>;
    /// Whether the result may end at `at`, after `prev`.
    fn ends(&self, at: usize, prev: Option<Part>) -> bool;
    /// Whether the replayed side's part must wait for the kept side's.
    fn waits(&self, kept: Id, replayed: Id) -> bool;
    /// Whether what both have may stand twice.
    fn may_part(&self, both: Id) -> bool;
}

/// Whether the result is made of the parts of both sides in the order of each, those that both
/// have once.
pub fn is_woven(kept: &[Id], replayed: &[Id], rules: &dyn Rules) -> bool {
    let of_kept: HashSet<Id> = kept.iter().copied().collect();
    let both = replayed.iter().copied().filter(|id| of_kept.contains(id)).collect();
    let mut search = Search { kept, replayed, both, rules, failed: HashSet::new() };
    search.from(0, 0, 0, None)
}

struct Search<'a> {
    kept: &'a [Id],
    replayed: &'a [Id],
    both: HashSet<Id>,
    rules: &'a dyn Rules,
    failed: HashSet<(usize, usize, usize, Option<Part>)>,
}

impl Search<'_> {
    fn from(&mut self, kept: usize, replayed: usize, at: usize, prev: Option<Part>) -> bool {
        let (next_kept, next_replayed) = (self.kept.get(kept), self.replayed.get(replayed));
        if next_kept.is_none() && next_replayed.is_none() {
            return self.rules.ends(at, prev);
        }
        let state = (kept, replayed, at, prev);
        if self.failed.contains(&state) {
            return false;
        }
        let alone = |id: &Id| !self.both.contains(id) || self.rules.may_part(*id);
        let mut ways = Vec::new();
        if let Some(id) = next_kept.filter(|id| Some(*id) == next_replayed) {
            ways.push(((*id, From::Both), 1, 1));
        }
        if let Some(id) = next_kept.filter(|id| alone(id)) {
            ways.push(((*id, From::Kept), 1, 0));
        }
        if let Some(id) = next_replayed.filter(|id| alone(id))
            && next_kept.is_none_or(|kept| !self.rules.waits(*kept, *id))
        {
            ways.push(((*id, From::Replayed), 0, 1));
        }
        for (part, more_kept, more_replayed) in ways {
            if let Some(next) = self.rules.step(at, prev, part)
                && self.from(kept + more_kept, replayed + more_replayed, next, Some(part))
            {
                return true;
            }
        }
        self.failed.insert(state);
        false
    }
}
