//! Holding a stored text against its gib without building its values.
//!
//! In a text in normal form (docs/protocol.md, section 1) every scalar and every array stands as the
//! canonical form has it, so that hashing takes no more than putting keys in order. That is several
//! times as fast as reading the text with [`IbGib::from_json`](super::IbGib::from_json), which reads
//! what this leaves open.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::addr::{self, GIB, GIB_DELIMITER, IBGIB_DELIMITER, upper_hex};
use super::json::{self, MAX_DEPTH};
use super::{Addr, MAX_IBGIB_BYTES};

/// What a text says that hashes to the gib that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normal<'a> {
    /// What it says of itself.
    pub ib: &'a str,
    /// Its hash.
    pub gib: &'a str,
    /// `data.n` where it is a whole number of at least zero.
    pub n: Option<u64>,
    /// Whether it begins a timeline.
    pub is_tjp: bool,
    /// Whether it belongs to no timeline.
    pub is_stone: bool,
}

/// Reads a text in normal form whose gib is right and whose relations are addresses.
///
/// Whatever this gives, reading and validating the text in the ordinary way gives too. None where
/// that would fail, and for rare texts that are left to it: with escapes in keys, ib, gib or
/// addresses.
pub fn read(text: &str) -> Option<Normal<'_>> {
    if text.len() > MAX_IBGIB_BYTES {
        return None;
    }
    let mut scan = Scan { text, at: 0 };
    scan.take("{\"ib\":")?;
    let ib = scan.plain()?;
    scan.take(",\"gib\":")?;
    let gib = scan.plain()?;
    if ib.is_empty() || ib.contains(IBGIB_DELIMITER) || gib == GIB {
        return None;
    }
    let mut whole = sha256_hex(ib.as_bytes());
    let mut data = Data::default();
    let mut data_hash = None;
    if scan.take(",\"data\":").is_some() {
        (data, data_hash) = scan.data()?;
    }
    let mut relations = Relations::default();
    if scan.take(",\"rel8ns\":").is_some() {
        relations = scan.relations()?;
    }
    scan.take("}")?;
    if scan.at != text.len() {
        return None;
    }
    whole.extend(relations.hash);
    whole.extend(data_hash);
    let (hash, tjp_gib) = match gib.split_once(GIB_DELIMITER) {
        Some((hash, tjp_gib)) => (hash, Some(tjp_gib)),
        None => (gib, None),
    };
    let expected = relations.tjp_gib.filter(|_| !data.is_tjp);
    // A frame of a timeline that begins with a primitive has no address.
    if tjp_gib != expected || tjp_gib == Some(GIB) || sha256_hex(whole.as_bytes()) != hash {
        return None;
    }
    let is_stone = !data.is_tjp && relations.tjp_gib.is_none();
    Some(Normal { ib, gib, n: data.n, is_tjp: data.is_tjp, is_stone })
}

/// What the data says of its frame.
#[derive(Default)]
struct Data {
    n: Option<u64>,
    is_tjp: bool,
}

/// What the relations say.
#[derive(Default)]
struct Relations<'a> {
    /// Their hash, where there is any.
    hash: Option<String>,
    /// The gib of the last `tjp`.
    tjp_gib: Option<&'a str>,
}

/// An object's entry: its key, and where its value stands.
struct Entry<'a> {
    key: &'a str,
    value: Range<usize>,
}

/// A text in normal form, read from its beginning. Whatever is not in normal form gives none.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(expected.as_bytes()).then(|| self.at += expected.len())
    }

    /// A string without escapes, without its quotes.
    fn plain(&mut self) -> Option<&'a str> {
        let from = self.at + 1;
        let is_plain = self.string()?;
        self.text.get(from..self.at - 1).filter(|_| is_plain)
    }

    /// Whether the string that is passed over holds no escapes.
    fn string(&mut self) -> Option<bool> {
        self.take("\"")?;
        let bytes = self.text.as_bytes();
        let mut is_plain = true;
        loop {
            let byte = *bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(is_plain),
                b'\\' => {
                    is_plain = false;
                    self.escape()?;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    /// What `JSON.stringify` writes behind a backslash, and nothing else that means the same.
    fn escape(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = match rest {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 1,
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low @ (b'0'..=b'9' | b'a'..=b'f'), ..] => {
                // These five have short forms.
                let is_short = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                if is_short {
                    return None;
                }
                5
            }
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e');
        let length = rest.bytes().take_while(|byte| is_part(byte)).count();
        let number = rest.get(..length)?;
        self.at += length;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_short = digits.len() < 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_short && (number == "0" || !digits.is_empty() && !digits.starts_with('0')) {
            return Some(());
        }
        let double: f64 = number.parse().ok()?;
        let mut buffer = ryu_js::Buffer::new();
        (double.is_finite() && buffer.format_finite(double) == number).then_some(())
    }

    /// Passes over a value; returns where it stood.
    fn value(&mut self, depth: usize) -> Option<Range<usize>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let from = self.at;
        match self.peek()? {
            b'{' => drop(self.entries(depth, |scan| scan.value(depth + 1))?),
            b'[' => drop(self.items(|scan| scan.value(depth + 1))?),
            b'"' => drop(self.string()?),
            b't' => self.take("true")?,
            b'f' => self.take("false")?,
            b'n' => self.take("null")?,
            _ => self.number()?,
        }
        Some(from..self.at)
    }

    /// The values of an array.
    fn items<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.take("[")?;
        if self.take("]").is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.take("]").is_some() {
                return Some(items);
            }
            self.take(",")?;
        }
    }

    /// The entries of an object in their order, each with what `value` makes of its value.
    fn entries<T>(
        &mut self,
        depth: usize,
        mut value: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<(&'a str, T)>> {
        let mut entries: Vec<(&'a str, T)> = Vec::new();
        if depth > MAX_DEPTH {
            return None;
        }
        self.take("{")?;
        if self.take("}").is_some() {
            return Some(entries);
        }
        loop {
            let key = self.plain()?;
            let index = json::array_index(key);
            // Array indexes come first, ascending.
            let last = entries.last().map(|(last, _)| json::array_index(last));
            let is_placed =
                index.is_none() || last.is_none_or(|last| last.is_some() && last < index);
            if key == "__proto__" || !is_placed {
                return None;
            }
            self.take(":")?;
            entries.push((key, value(self)?));
            if self.take("}").is_some() {
                break;
            }
            self.take(",")?;
        }
        is_each_once(&entries).then_some(entries)
    }

    /// Appends a value's canonical form; returns where the value stood.
    fn canonical(&mut self, depth: usize, out: &mut Vec<u8>) -> Option<Range<usize>> {
        if self.peek()? != b'{' {
            let range = self.value(depth)?;
            out.extend_from_slice(self.text.as_bytes().get(range.clone())?);
            return Some(range);
        }
        let from = self.at;
        self.canonical_object(depth, out)?;
        Some(from..self.at)
    }

    /// As [`Scan::canonical`], for an object, whose entries it returns.
    fn canonical_object(&mut self, depth: usize, out: &mut Vec<u8>) -> Option<Vec<Entry<'a>>> {
        // The values' canonical forms one after the other, put in order at the end.
        let mut forms = Vec::with_capacity(256);
        let entries = self.entries(depth, |scan| {
            let from = forms.len();
            let value = scan.canonical(depth + 1, &mut forms)?;
            Some((value, from..forms.len()))
        })?;
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by(|a, b| json::key_order(entries[*a].0, entries[*b].0));
        out.push(b'{');
        for (place, (key, (_, form))) in order.into_iter().map(|at| &entries[at]).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(&forms[form.clone()]);
        }
        out.push(b'}');
        Some(entries.into_iter().map(|(key, (value, _))| Entry { key, value }).collect())
    }

    /// The data, and its hash where it counts for the gib.
    fn data(&mut self) -> Option<(Data, Option<String>)> {
        let mut form = Vec::with_capacity(self.text.len());
        let mut data = Data::default();
        if self.peek()? == b'{' {
            for Entry { key, value } in self.canonical_object(1, &mut form)? {
                let value = self.text.get(value)?;
                match key {
                    "n" => data.n = count(value),
                    "isTjp" => data.is_tjp = is_truthy(value),
                    _ => {}
                }
            }
        } else {
            self.canonical(1, &mut form)?;
        }
        let counts = is_truthy(std::str::from_utf8(&form).ok()?) && form != b"{}" && form != b"[]";
        Some((data, counts.then(|| sha256_hex(&form))))
    }

    fn relations(&mut self) -> Option<Relations<'a>> {
        let from = self.at;
        let entries = self.entries(1, |scan| {
            let from = scan.at;
            let rel8ds = scan.items(|scan| {
                let rel8d = scan.plain()?;
                Addr::check(rel8d).ok().map(|()| rel8d)
            })?;
            Some((rel8ds, from..scan.at))
        })?;
        let tjp = entries.iter().find(|(name, _)| *name == "tjp");
        let tjp = tjp.map(|(_, (rel8ds, _))| rel8ds.last().copied());
        // A list without an entry is told in the ordinary way.
        let tjp = match tjp {
            Some(None) => return None,
            tjp => tjp.flatten(),
        };
        let tjp_gib = tjp.and_then(addr::split).map(|(_, gib)| gib);
        if entries.iter().all(|(_, (rel8ds, _))| rel8ds.is_empty()) {
            return Some(Relations { hash: None, tjp_gib });
        }
        let mut form = Vec::with_capacity(self.at - from);
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by(|a, b| json::key_order(entries[*a].0, entries[*b].0));
        form.push(b'{');
        for (place, (name, (_, list))) in order.into_iter().map(|at| &entries[at]).enumerate() {
            if place > 0 {
                form.push(b',');
            }
            form.push(b'"');
            form.extend_from_slice(name.as_bytes());
            form.extend_from_slice(b"\":");
            form.extend_from_slice(self.text.as_bytes().get(list.clone())?);
        }
        form.push(b'}');
        Some(Relations { hash: Some(sha256_hex(&form)), tjp_gib })
    }
}

/// Whether no key is there twice.
fn is_each_once<T>(entries: &[(&str, T)]) -> bool {
    const FEW: usize = 16;
    if entries.len() <= FEW {
        let mut keys = entries.iter().enumerate();
        return keys.all(|(at, (key, _))| entries[..at].iter().all(|(other, _)| other != key));
    }
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    entries.iter().all(|(key, _)| seen.insert(*key))
}

/// Whether JavaScript takes a value in normal form for true.
fn is_truthy(value: &str) -> bool {
    !matches!(value, "null" | "false" | "0" | "\"\"")
}

/// A value in normal form as a whole number of at least zero that a double holds.
fn count(value: &str) -> Option<u64> {
    let is_whole = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|n| is_whole && *n <= 1 << 53)
}

fn sha256_hex(bytes: &[u8]) -> String {
    upper_hex(&Sha256::digest(bytes))
}
