//! What parts units from each other: line breaks and blank lines, or spaces.

/// How the lines of a merged text end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endings {
    /// All in LF.
    Lf,
    /// All in CRLF.
    CrLf,
    /// Each as it was written: some text has endings of both kinds, or none has any.
    AsWritten,
}

impl Endings {
    /// The endings of what is merged of the common text, the one that stays and the replayed one:
    /// where each has one kind, the kind that a side changed to, else the common one.
    pub(super) fn of(texts: [&str; 3]) -> Endings {
        let mut kinds = [None; 3];
        for (kind, text) in kinds.iter_mut().zip(texts) {
            let all = text.matches('\n').count();
            let crlf = text.matches("\r\n").count();
            *kind = match (all, crlf) {
                (0, _) => None,
                (_, 0) => Some(Endings::Lf),
                (all, crlf) if all == crlf => Some(Endings::CrLf),
                _ => return Endings::AsWritten,
            };
        }
        let [base, kept, replayed] = kinds;
        let kept_or_base = kept.or(base);
        let merged = if kept_or_base == base { replayed.or(base) } else { kept_or_base };
        merged.unwrap_or(Endings::AsWritten)
    }

    /// Whether two breaks are one. Where all lines end alike the ending does not count.
    fn is_same(self, a: &str, b: &str) -> bool {
        let bytes = |text| str::bytes(text).filter(|byte| *byte != b'\r');
        a == b || (self != Endings::AsWritten && bytes(a).eq(bytes(b)))
    }

    /// Merges what the common text, the one that stays and the replayed one have in one place, where
    /// they have something there.
    pub(super) fn merge(self, [base, kept, replayed]: [Option<&str>; 3]) -> Option<&str> {
        match (base, kept, replayed) {
            (Some(base), Some(kept), Some(replayed)) if self.is_same(base, kept) => Some(replayed),
            (Some(base), Some(kept), Some(replayed)) if self.is_same(base, replayed) => Some(kept),
            (_, Some(kept), Some(replayed)) => Some(wider(kept, replayed)),
            (base, kept, replayed) => kept.or(replayed).or(base),
        }
    }

    /// Appends a break.
    pub(super) fn push(self, out: &mut String, between: &str) {
        match self {
            Endings::AsWritten => out.push_str(between),
            Endings::Lf if !between.contains('\r') => out.push_str(between),
            Endings::Lf => out.push_str(&between.replace("\r\n", "\n")),
            Endings::CrLf => {
                out.push_str(&between.replace("\r\n", "\n").replace('\n', "\r\n"));
            }
        }
    }
}

/// How many line breaks, and how many bytes, a break has.
fn width(between: &str) -> (usize, usize) {
    let breaks = between.bytes().filter(|byte| *byte == b'\n').count();
    (breaks, between.len())
}

/// Whether a break is less of one than another.
pub(super) fn is_narrower(a: &str, b: &str) -> bool {
    width(a) < width(b)
}

/// The break of more lines; the first of two that have as many.
fn wider<'a>(a: &'a str, b: &'a str) -> &'a str {
    if is_narrower(a, b) { b } else { a }
}

/// The wider of two breaks, or the one that there is.
pub(super) fn widest<'a>(a: Option<&'a str>, b: Option<&'a str>) -> Option<&'a str> {
    match (a, b) {
        (Some(a), Some(b)) => Some(wider(a, b)),
        (a, b) => a.or(b),
    }
}
