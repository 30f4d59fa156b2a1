//! Filling blocks inside a transaction. What is full is packed on a thread of its own, beside
//! whatever the transaction goes on to do.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::pack;
use super::{FRESH, Place, is_full, read};

/// How many blocks wait to be packed, beside the one that is filled.
const WAITING: usize = 2;

const LAST: &str = "SELECT id, texts, size FROM block WHERE domain = ?1 ORDER BY id DESC LIMIT 1";
const ADD: &str = "INSERT INTO block(domain, texts, size, body) VALUES (?1, 0, 0, x'')";
const SET: &str = "UPDATE block SET texts = ?2, size = ?3, body = ?4 WHERE id = ?1";

/// The blocks that a transaction fills.
#[derive(Default)]
pub(in crate::space::sqlite) struct Packer {
    /// Bytes of the domain's texts that stand unpacked; none where that was not asked yet.
    fresh: Option<u64>,
    open: Option<Filled>,
    /// Blocks that are being packed, in their order.
    waiting: VecDeque<Filled>,
    worker: Option<Worker>,
    /// From which number on blocks are this transaction's.
    first: Option<i64>,
}

/// A block that is, or was, filled.
#[derive(Clone)]
struct Filled {
    id: i64,
    count: u64,
    texts: Arc<Vec<u8>>,
}

/// The thread that packs.
struct Worker {
    jobs: SyncSender<Arc<Vec<u8>>>,
    done: Receiver<io::Result<Vec<u8>>>,
}

impl Packer {
    /// Whether texts go into blocks at once: either enough came, or enough stood there before.
    pub(in crate::space::sqlite) fn is_packing(&self) -> bool {
        self.first.is_some()
    }

    /// Whether a block may be undone with this transaction.
    pub(in crate::space::sqlite) fn is_own(&self, block: i64) -> bool {
        self.first.is_some_and(|first| block >= first)
    }

    /// Notes a text before it is stored unpacked; whether there are enough of them to pack then.
    pub(in crate::space::sqlite) fn stores_unpacked(
        &mut self,
        connection: &Connection,
        domain: i64,
        bytes: usize,
    ) -> rusqlite::Result<bool> {
        let before = match self.fresh {
            Some(before) => before,
            None => {
                let sum = "SELECT total(length) FROM fresh WHERE domain = ?1";
                let mut sum = connection.prepare_cached(sum)?;
                let sum: f64 = sum.query_row([domain], |row| row.get(0))?;
                sum as u64
            }
        };
        let fresh = before.saturating_add(bytes as u64);
        self.fresh = Some(fresh);
        Ok(fresh >= FRESH)
    }

    /// Adds a text to the block that is being filled.
    pub(in crate::space::sqlite) fn add(
        &mut self,
        connection: &Connection,
        domain: i64,
        text: &str,
    ) -> rusqlite::Result<Place> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(connection, domain)?,
        };
        let place =
            Place { block: open.id, start: open.texts.len() as i64, length: text.len() as i64 };
        // Nobody else has the block that is being filled.
        Arc::make_mut(&mut open.texts).extend_from_slice(text.as_bytes());
        open.count += 1;
        match is_full(open.texts.len(), open.count) {
            true => self.hand_over(connection, open)?,
            false => self.open = Some(open),
        }
        Ok(place)
    }

    /// A text that this transaction put into a block which is not in the file yet.
    pub(in crate::space::sqlite) fn text(&self, place: &Place) -> Option<Vec<u8>> {
        let filled = self.open.iter().chain(&self.waiting).find(|it| it.id == place.block)?;
        place.of(&filled.texts).map(<[u8]>::to_vec)
    }

    /// Writes everything that is not in the file yet.
    pub(in crate::space::sqlite) fn flush(
        &mut self,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        while !self.waiting.is_empty() {
            self.take_packed(connection)?;
        }
        // It goes on to be filled where more comes.
        match &self.open {
            Some(open) => write(connection, open, &packed(pack(&open.texts))?),
            None => Ok(()),
        }
    }

    /// The block that is filled next: the domain's last, where that is not full.
    fn begin(&mut self, connection: &Connection, domain: i64) -> rusqlite::Result<Filled> {
        let last = match self.first {
            Some(_) => None,
            None => last(connection, domain)?,
        };
        let filled = match last {
            Some(last) => last,
            None => {
                connection.prepare_cached(ADD)?.execute([domain])?;
                let id = connection.last_insert_rowid();
                Filled { id, count: 0, texts: Arc::default() }
            }
        };
        self.first.get_or_insert(filled.id);
        Ok(filled)
    }

    fn hand_over(&mut self, connection: &Connection, filled: Filled) -> rusqlite::Result<()> {
        if self.waiting.len() >= WAITING {
            self.take_packed(connection)?;
        }
        let worker = self.worker.get_or_insert_with(Worker::start);
        // Where no thread could be had it is packed here, when it is its turn.
        let _ = worker.jobs.send(Arc::clone(&filled.texts));
        self.waiting.push_back(filled);
        Ok(())
    }

    /// Waits for the block that was handed over first, and writes it.
    fn take_packed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(filled) = self.waiting.front() else { return Ok(()) };
        let done = self.worker.as_ref().and_then(|worker| worker.done.recv().ok());
        let body = packed(done.unwrap_or_else(|| pack(&filled.texts)))?;
        write(connection, filled, &body)?;
        self.waiting.pop_front();
        Ok(())
    }
}

impl Worker {
    fn start() -> Worker {
        let (jobs, todo) = sync_channel::<Arc<Vec<u8>>>(WAITING);
        let (packed, done) = sync_channel(WAITING);
        // It ends with the packer, which holds the other ends.
        let _ = std::thread::Builder::new().name("pack".into()).spawn(move || {
            for texts in todo {
                if packed.send(pack(&texts)).is_err() {
                    break;
                }
            }
        });
        Worker { jobs, done }
    }
}

/// A domain's last block, unpacked, where it takes more. One that cannot be unpacked is left alone.
fn last(connection: &Connection, domain: i64) -> rusqlite::Result<Option<Filled>> {
    let mut last = connection.prepare_cached(LAST)?;
    let found = last.query_row([domain], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let Some((id, count, size)) = found.optional()? else { return Ok(None) };
    let (id, count, size): (i64, i64, i64) = (id, count, size);
    let (Ok(count), Ok(bytes)) = (u64::try_from(count), usize::try_from(size)) else {
        return Ok(None);
    };
    if is_full(bytes, count) {
        return Ok(None);
    }
    let Some(unpacked) = read(connection, domain, id)? else { return Ok(None) };
    let is_whole = unpacked.texts.len() == bytes;
    Ok(is_whole.then_some(Filled { id, count, texts: unpacked.texts }))
}

fn write(connection: &Connection, filled: &Filled, body: &[u8]) -> rusqlite::Result<()> {
    let (count, size) = (filled.count as i64, filled.texts.len() as i64);
    let mut set = connection.prepare_cached(SET)?;
    set.execute(params![filled.id, count, size, body]).map(drop)
}

/// What zstd made; it fails for want of memory alone.
fn packed(made: io::Result<Vec<u8>>) -> rusqlite::Result<Vec<u8>> {
    made.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
