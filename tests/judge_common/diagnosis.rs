//! Which rules a wrong result breaks: from what of each side stands in it, and how often.

use super::Case;
use super::rules::Lines;
use super::text::{Id, Line};

pub const BREAKS: &str = "a break lost, invented or changed";
pub const ENDING: &str = "a line ending of another kind";
pub const UNTOUCHED: &str = "an untouched line lost";
pub const CHANGED: &str = "a change of one side lost or altered";
pub const AGAINST_DELETED: &str = "a change lost to a deletion";
pub const BOTH: &str = "a line that both changed is not of both";
pub const INSERTED: &str = "an inserted line lost or shredded";
pub const TWICE: &str = "a line twice";
pub const BACK: &str = "a deleted or replaced line is back";
pub const ORDER: &str = "a line at another place";

/// What is wrong where all lines are right, and only what stands between them is not.
pub fn breaks(case: &Case, result: &Lines) -> &'static str {
    let other = |breaks: &str| match case.base.newline {
        "\n" => breaks.contains('\r'),
        _ => breaks.replace("\r\n", "").contains(['\r', '\n']),
    };
    let is_ending = result.lines.iter().any(|(_, breaks)| other(breaks));
    if is_ending { ENDING } else { BREAKS }
}

/// Every rule that lines which are not right break.
pub fn name(case: &Case, result: &Lines) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let count = |text: &str| result.lines.iter().filter(|(line, _)| line == text).count();
    let mut wanted: Vec<(String, &'static str)> = Vec::new();
    for line in &case.base.lines {
        let find = |lines: &[Line]| lines.iter().find(|side| side.id == line.id).map(Line::text);
        let sides = [find(&case.kept.lines), find(&case.replayed.lines)];
        let common = line.text();
        let changed = |side: &Option<String>| side.as_ref().is_some_and(|text| *text != common);
        match &sides {
            [kept, replayed] if changed(kept) && changed(replayed) => {
                both(case, line, result, &mut wrong);
            }
            [Some(side), None] | [None, Some(side)] if *side != common => {
                wanted.push((side.clone(), AGAINST_DELETED));
            }
            [Some(kept), Some(replayed)] if *kept == common && *replayed == common => {
                wanted.push((common, UNTOUCHED));
            }
            [Some(side), Some(other)] => {
                let side = if *side == common { other } else { side };
                wanted.push((side.clone(), CHANGED));
            }
            _ => {}
        }
    }
    let inserted = |line: &&Line| matches!(line.id, Id::New(_));
    for line in case.kept.lines.iter().filter(inserted) {
        wanted.push((line.text(), INSERTED));
    }
    for line in case.replayed.lines.iter().filter(inserted) {
        if case.kept.lines.iter().all(|other| other.id != line.id) {
            wanted.push((line.text(), INSERTED));
        }
    }
    for (text, rule) in &wanted {
        let times = wanted.iter().filter(|(other, _)| other == text).count();
        match count(text).cmp(&times) {
            std::cmp::Ordering::Less => wrong.push(*rule),
            std::cmp::Ordering::Greater => wrong.push(TWICE),
            std::cmp::Ordering::Equal => {}
        }
    }
    for line in &case.base.lines {
        let text = line.text();
        if count(&text) > 0 && wanted.iter().all(|(other, _)| *other != text) {
            wrong.push(BACK);
        }
    }
    if wrong.is_empty() {
        wrong.push(if result.head.is_empty() { ORDER } else { BREAKS });
    }
    wrong.sort_unstable();
    wrong.dedup();
    wrong
}

/// Whether a line that both changed stands in the result in one of the ways that it may.
fn both(case: &Case, base: &Line, result: &Lines, wrong: &mut Vec<&'static str>) {
    let find = |lines: &[Line]| lines.iter().find(|side| side.id == base.id).cloned();
    let (Some(kept), Some(replayed)) = (find(&case.kept.lines), find(&case.replayed.lines)) else {
        return;
    };
    let is_one = |(text, _): &(String, String)| {
        super::words::is_both_changed(Some(base), &kept, &replayed, text)
    };
    let stands = |side: &Line| result.lines.iter().any(|(line, _)| *line == side.text());
    let may_stand = result.lines.iter().any(is_one) || (stands(&kept) && stands(&replayed));
    if !may_stand {
        wrong.push(BOTH);
    }
}
