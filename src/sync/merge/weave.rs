//! Merges two sides of one text token by token.

use super::text::{Grain, Hunk, Side, is_wide, is_word};

/// A token of the result, and where it stands in each side that has it.
struct Piece<'a> {
    token: &'a str,
    kept: Option<usize>,
    replayed: Option<usize>,
}

/// Merges token by token.
pub(super) fn weave(base: &[&str], kept: Vec<&str>, replayed: Vec<&str>, grain: Grain) -> String {
    let kept = Side::new(base, kept, grain);
    let replayed = Side::new(base, replayed, grain);
    let pieces = pieces(base, &kept, &replayed);
    let mut out = String::new();
    let mut last: Option<&Piece<'_>> = None;
    for piece in &pieces {
        let joint = match last {
            Some(last) if !follows(last, piece) => match grain {
                Grain::Lines if last.token.ends_with('\n') => Joint::With(""),
                Grain::Lines => Joint::With("\n"),
                Grain::Words => joint(last.token, piece, &kept, &replayed),
            },
            _ => Joint::With(""),
        };
        if let Joint::With(between) = joint {
            out.push_str(between);
            out.push_str(piece.token);
        }
        last = Some(piece);
    }
    out
}

fn pieces<'a>(base: &[&'a str], kept: &Side<'a>, replayed: &Side<'a>) -> Vec<Piece<'a>> {
    let mut ours = Cursor { side: kept, hunk: 0, gone: 0, at: 0 };
    let mut theirs = Cursor { side: replayed, hunk: 0, gone: 0, at: 0 };
    let mut pieces = Vec::with_capacity(kept.tokens.len() + replayed.tokens.len());
    for place in 0..=base.len() {
        let (mut kept_new, mut replayed_new) = (ours.hunk_at(place), theirs.hunk_at(place));
        let (mut head, mut tail) = (0, 0);
        if let (Some(a), Some(b)) = (&kept_new, &replayed_new)
            && a.old == b.old
        {
            (head, tail) = in_common(&kept.tokens[a.new.clone()], &replayed.tokens[b.new.clone()]);
        }
        let starts =
            [&kept_new, &replayed_new].map(|hunk| hunk.as_ref().map_or(0, |h| h.new.start));
        let ends = [&kept_new, &replayed_new].map(|hunk| hunk.as_ref().map_or(0, |h| h.new.end));
        let shared = |offset: usize, from: [usize; 2]| Piece {
            token: kept.tokens[from[0] + offset],
            kept: Some(from[0] + offset),
            replayed: Some(from[1] + offset),
        };
        pieces.extend((0..head).map(|offset| shared(offset, starts)));
        for hunk in [&mut kept_new, &mut replayed_new].into_iter().flatten() {
            hunk.new = hunk.new.start + head..hunk.new.end - tail;
        }
        pieces.extend(kept_new.into_iter().flat_map(|hunk| hunk.new).map(|at| Piece {
            token: kept.tokens[at],
            kept: Some(at),
            replayed: None,
        }));
        pieces.extend(replayed_new.into_iter().flat_map(|hunk| hunk.new).map(|at| Piece {
            token: replayed.tokens[at],
            kept: None,
            replayed: Some(at),
        }));
        pieces.extend((0..tail).map(|offset| shared(offset, ends.map(|end| end - tail))));
        if place < base.len() {
            let (kept, replayed) = (ours.base_token(place), theirs.base_token(place));
            if kept.is_some() && replayed.is_some() {
                pieces.push(Piece { token: base[place], kept, replayed });
            }
        }
    }
    pieces
}

/// Walks one side along the base.
struct Cursor<'s, 'a> {
    side: &'s Side<'a>,
    hunk: usize,
    /// Base tokens before this one are deleted by the hunks passed.
    gone: usize,
    /// The side's next token.
    at: usize,
}

impl Cursor<'_, '_> {
    /// The hunk that begins at this place of the base, if one does.
    fn hunk_at(&mut self, place: usize) -> Option<Hunk> {
        let hunk = self.side.hunks.get(self.hunk).filter(|hunk| hunk.old.start == place)?;
        self.hunk += 1;
        self.gone = hunk.old.end;
        self.at = hunk.new.end;
        Some(hunk.clone())
    }

    /// Where the side has the base's token; none where it deleted it.
    fn base_token(&mut self, place: usize) -> Option<usize> {
        if place < self.gone {
            return None;
        }
        self.at += 1;
        Some(self.at - 1)
    }
}

/// How many tokens two insertions at one place begin and end with in common, counting only what
/// ends or begins with a word.
fn in_common(a: &[&str], b: &[&str]) -> (usize, usize) {
    if a == b {
        return (a.len(), 0);
    }
    let has_word = |token: &&str| token.chars().any(is_word);
    let mut head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    while head > 0 && !has_word(&a[head - 1]) {
        head -= 1;
    }
    let rest = a[head..].iter().rev().zip(b[head..].iter().rev());
    let mut tail = rest.take_while(|(a, b)| a == b).count();
    while tail > 0 && !has_word(&a[a.len() - tail]) {
        tail -= 1;
    }
    (head, tail)
}

/// Whether two neighbours of the result are neighbours in either side.
fn follows(last: &Piece<'_>, next: &Piece<'_>) -> bool {
    let adjacent = |a: Option<usize>, b: Option<usize>| a.is_some() && a.map(|a| a + 1) == b;
    adjacent(last.kept, next.kept) || adjacent(last.replayed, next.replayed)
}

/// How two neighbours that neither side has as neighbours are joined.
enum Joint {
    /// With this between them.
    With(&'static str),
    /// By dropping the second, a space after a space.
    Drop,
}

fn joint(last: &str, next: &Piece<'_>, kept: &Side<'_>, replayed: &Side<'_>) -> Joint {
    let is_space = |token: &str| token != "\n" && token.chars().all(char::is_whitespace);
    if is_space(last) && is_space(next.token) {
        return Joint::Drop;
    }
    let (Some(a), Some(b)) = (last.chars().next_back(), next.token.chars().next()) else {
        return Joint::With("");
    };
    if !is_word(b) || is_wide(b) || is_wide(a) || !(is_word(a) || ".,;:!?".contains(a)) {
        return Joint::With("");
    }
    let begins_a_line = |side: &Side<'_>, at: Option<usize>| {
        at.is_some_and(|at| at == 0 || side.tokens[at - 1] == "\n")
    };
    let break_line = begins_a_line(kept, next.kept) || begins_a_line(replayed, next.replayed);
    Joint::With(if break_line { "\n" } else { " " })
}
