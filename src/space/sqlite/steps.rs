//! Mending pending steps (docs/protocol.md, section 5): by the hash, or by leaving out what is of no
//! use any more.

use rusqlite::params;

use super::SqliteSpace;
use super::rebuild::{MAX_STEP_SEARCHED, unflip};
use super::rows::read_pending;
use crate::ibgib::TjpAddr;
use crate::space::SpaceError;
use crate::space::pending::{self, PendingRow, Purpose};

/// The result of repairing pending steps.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// How many were given back what they were.
    pub restored: u64,
    /// How many were damaged and are dropped, since I went on from the frame that they follow.
    pub dropped: u64,
    /// How many are damaged and stay: they may be signed on I's newest frame.
    pub left: u64,
}

/// A pending step as it stands in the file.
struct Kept {
    id: i64,
    identity: String,
    purpose: String,
    row: PendingRow,
    evolved: Vec<u8>,
    session: Option<Vec<u8>>,
}

impl SqliteSpace {
    /// Mends the pending steps, in one transaction: each text of which one bit flipped is found by its
    /// hash. One that stays damaged is dropped where I went on from the frame that it was signed on,
    /// and is left else: nothing else keeps a second proof from being made on that frame.
    pub fn repair_steps(&self) -> Result<Steps, SpaceError> {
        self.change(|transaction, rows| {
            let read = "SELECT rowid, identity, purpose, CAST(evolved AS BLOB), \
                 CAST(session AS BLOB), frame, evolved, session, shared FROM pending";
            let kept: Vec<Kept> = rows.all(read, [], |row| {
                Ok(Kept {
                    id: row.get(0)?,
                    identity: row.get(1)?,
                    purpose: row.get(2)?,
                    evolved: row.get(3)?,
                    session: row.get(4)?,
                    row: read_pending(row, 5)?,
                })
            })?;
            let mut done = Steps::default();
            for kept in kept {
                let known = TjpAddr::parse(&kept.identity).ok().zip(Purpose::named(&kept.purpose));
                let Some((identity, purpose)) = known else {
                    done.left += 1;
                    continue;
                };
                let is_good = |row: &PendingRow| {
                    let step = pending::read(row, &identity, purpose);
                    step.is_ok_and(|step| step.on.as_str() == &*row.on)
                };
                if is_good(&kept.row) {
                    continue;
                }
                let repaired = repaired(&kept, &identity, purpose);
                if let Some(row) = repaired.filter(is_good) {
                    let give = "UPDATE pending SET frame = ?2, evolved = ?3, session = ?4 \
                         WHERE rowid = ?1";
                    rows.run(give, params![kept.id, row.on, row.evolved, row.session])?;
                    done.restored += 1;
                } else if pending::is_obsolete(rows, &identity, &kept.row.on).unwrap_or(false) {
                    let drop =
                        transaction.execute("DELETE FROM pending WHERE rowid = ?1", [kept.id]);
                    drop.map_err(|error| rows.fail(error))?;
                    done.dropped += 1;
                } else {
                    done.left += 1;
                }
            }
            Ok(done)
        })
    }
}

/// A step of which each text is given back a flipped bit, where one was.
fn repaired(kept: &Kept, identity: &TjpAddr, purpose: Purpose) -> Option<PendingRow> {
    let evolved = whole(&kept.evolved)?;
    let session = kept.session.as_deref().map(whole);
    let session = if session.is_some() { Some(session.flatten()?) } else { None };
    let row = PendingRow { evolved, session, ..kept.row.clone() };
    let step = pending::read(&row, identity, purpose).ok()?;
    Some(PendingRow { on: step.on.as_str().into(), ..row })
}

/// A text that hashes to the address that it says it has, after one bit at most is flipped.
fn whole(text: &[u8]) -> Option<Box<str>> {
    let is_good = |text: &str| {
        crate::ibgib::IbGib::from_json(text).and_then(|ibgib| ibgib.validate()).is_ok()
    };
    match std::str::from_utf8(text) {
        Ok(text) if is_good(text) => Some(text.into()),
        _ => unflip(text.to_vec(), None, MAX_STEP_SEARCHED).map(|prepared| prepared.text),
    }
}
