//! The ibGibs that are moved.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{IbGib, System};
use sync_gib::space::{Domain, Prepared, PutOpts, Space, SpaceExt, SqliteSpace};

use crate::Result;

/// How long the text of each edit is, so that a frame and its dna are about 1 KB each.
const TEXT: usize = 700;

const SYLLABLES: [&str; 16] = [
    "ka", "lo", "mi", "ren", "tu", "sa", "vel", "no", "dir", "pe", "gor", "ha", "zin", "bu", "fe",
    "wyx",
];

/// A source of texts that are alike in kind and never the same.
pub struct Texts(u64);

impl Texts {
    /// Texts that no other seed gives.
    pub fn new(seed: u64) -> Texts {
        Texts(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// Made-up words.
    pub fn text(&mut self) -> String {
        self.words(TEXT)
    }

    /// Made-up words, `bytes` of them or a few more.
    pub fn words(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let mut word = self.next();
            for _ in 0..2 + word % 3 {
                word >>= 4;
                text.push_str(SYLLABLES[(word & 15) as usize]);
            }
            text.push(' ');
        }
        text
    }
}

/// The home's timeline X and its newest frame.
fn tip_of_x(space: &SqliteSpace) -> Result<IbGib> {
    let x = space.name("X")?.ok_or("the home has no X")?;
    let tip = space.tip(&x)?.ok_or("X is not there")?;
    Ok(space.get_id(tip.id)?)
}

/// The dna and the frame of one more edit.
fn edit(tip: &IbGib, text: &str) -> Result<(IbGib, IbGib)> {
    let patch = serde_json::json!({ "text": text });
    let opts = Opts::next_frame().set("dataToAddOrPatch", patch).build();
    let made = transform(Kind::Mut8, tip, &opts, &System::new())?;
    let dna = made.dnas.into_iter().next().ok_or("an edit without dna")?;
    Ok((dna, made.new_ibgib))
}

/// Adds `frames` edits to X in one transaction, and writes the whole graph of X as NDJSON,
/// dependencies first. Returns how many ibGibs that is.
pub fn grow(home: &Path, frames: usize, ndjson: &Path) -> Result<u64> {
    let mut texts = Texts::new(1);
    grow_by(home, (0..frames).map(|_| texts.text()), ndjson)
}

/// Adds an edit to X for each text, as [`grow`] does.
pub fn grow_by(home: &Path, mut texts: impl Iterator<Item = String>, ndjson: &Path) -> Result<u64> {
    let space = SqliteSpace::open(&home.join("space.db"), Domain::Client)?;
    let mut tip = tip_of_x(&space)?;
    let mut made = Vec::new();
    let mut frames = 0;
    let mut batch = std::iter::from_fn(|| {
        if made.is_empty() {
            // An edit of a frame that was just made does not fail.
            let (dna, frame) = edit(&tip, &texts.next()?).ok()?;
            frames += 1;
            made.extend([Prepared::new(&frame), Prepared::new(&dna)]);
            tip = frame;
        }
        made.pop().map(|prepared| Ok(prepared?))
    });
    let report = space.put(&mut batch, &PutOpts::default())?;
    if report.new != frames * 2 {
        return Err("not every edit was stored".into());
    }
    write_graph(&space, ndjson)
}

fn write_graph(space: &SqliteSpace, ndjson: &Path) -> Result<u64> {
    let tip = tip_of_x(space)?.addr()?;
    let root = space.find(&tip)?.ok_or("the tip is not there")?;
    let mut out = BufWriter::new(File::create(ndjson)?);
    let ids = sync_gib::space::graph_ids(space, &[root], false)?;
    for id in &ids {
        out.write_all(space.text(*id)?.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ids.len() as u64)
}

/// Adds one edit to X; returns the JSON of the dna and of the frame.
pub fn edit_once(home: &Path, seed: u64) -> Result<(String, String)> {
    edit_by(home, &Texts::new(seed).text())
}

/// Adds one edit to X, to this text.
pub fn edit_by(home: &Path, text: &str) -> Result<(String, String)> {
    let space = SqliteSpace::open(&home.join("space.db"), Domain::Client)?;
    let (dna, frame) = edit(&tip_of_x(&space)?, text)?;
    space.put_all(&[dna.clone(), frame.clone()])?;
    Ok((dna.to_json(), frame.to_json()))
}
