//! A space's file.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use sync_gib::ibgib::Addr;
use sync_gib::space::{
    Id, Space, SpaceError, SpaceExt, SqliteSpace, TimelineKind, chain, compare_graphs,
    dependency_graph, graph_ids, graph_stats,
};

use super::fixtures::{Data, Keystones, scratch};
use super::input::Input;

/// Whatever a file holds, opening it, reading it and writing to it end, with an error at worst.
///
/// The input is changes to a file that is good: bytes, cuts, and copies of a part over another.
pub fn space_file(data: &[u8]) {
    let base = base();
    let mut bytes = base.bytes.clone();
    change(&mut bytes, &mut Input::new(data));
    let dir = tempfile::tempdir_in(scratch()).unwrap();
    let path = dir.path().join("space.db");
    std::fs::write(&path, &bytes).unwrap();
    let Ok(space) = SqliteSpace::open(&path, "") else { return };
    let _ = space.check_file();
    let ids = by_address(&space, &base.addrs);
    let is_same = bytes == base.bytes;
    assert!(!is_same || ids.len() == base.addrs.len(), "an unchanged file is not read");
    for id in -1..=base.addrs.len() as Id + 1 {
        let _ = by_number(&space, id);
    }
    let _ = listed(&space);
    let _ = graphs(&space, &ids);
    let _ = ledger(&space, &base.addrs[0]);
    let put = space.put_all(&Data::get().x_here);
    assert!(!is_same || put.is_ok(), "an unchanged file is not written: {put:?}");
    let _ = space.set_name("X", &base.addrs[0]);
}

/// Changes a file's bytes.
fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    while !input.is_empty() && !bytes.is_empty() {
        let op = input.byte();
        // Most of what a page holds stands at its end, so places are counted from there too.
        let page = input.below(bytes.len().div_ceil(PAGE)) * PAGE;
        let within = usize::from(input.word()) % PAGE;
        let at = (page + within).min(bytes.len() - 1);
        match op % 16 {
            0 => bytes.truncate(at),
            1 => {
                let from = input.below(bytes.len().div_ceil(PAGE)) * PAGE;
                let len = PAGE.min(bytes.len() - from.max(page));
                bytes.copy_within(from..from + len, page);
            }
            2 => {
                let len = usize::from(input.byte()).min(bytes.len() - at);
                bytes[at..at + len].fill(input.byte());
            }
            3 | 4 => bytes[at] ^= 1 << input.below(8),
            5 => bytes[at] = bytes[at].wrapping_add(1),
            6 => bytes[at] = bytes[at].wrapping_sub(1),
            7 => {
                let from = input.below(bytes.len());
                let len = usize::from(input.byte()).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + len, at);
            }
            _ => bytes[at] = input.byte(),
        }
    }
}

/// Bytes of a page: SQLite's default.
const PAGE: usize = 4096;

/// A good file, and the addresses of all that it holds.
struct Base {
    bytes: Vec<u8>,
    addrs: Vec<Addr>,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let dir = tempfile::tempdir_in(scratch()).unwrap();
        let path = dir.path().join("space.db");
        let space = SqliteSpace::create_if_missing(&path, "").unwrap();
        let (data, keystones) = (Data::get(), Keystones::get());
        let lists: [&[_]; 5] =
            [&data.x, &data.y, &data.uncounted, &data.stones, &keystones.session[..2]];
        for list in lists {
            space.put_all(list).unwrap();
        }
        let addrs: Vec<Addr> =
            lists.into_iter().flatten().map(|ibgib| ibgib.addr().unwrap()).collect();
        space.set_name("X", &addrs[0]).unwrap();
        space.ledger().add_token(b"a token", addrs[0].as_str(), 1 << 40).unwrap();
        space.ledger().add_session(&addrs[0], addrs[0].as_str(), 1 << 40).unwrap();
        space.checkpoint().unwrap();
        drop(space);
        Base { bytes: std::fs::read(&path).unwrap(), addrs }
    })
}

/// Reads all that is asked for by address; returns the rows that are found.
fn by_address(space: &SqliteSpace, addrs: &[Addr]) -> Vec<Id> {
    let _ = space.has_many(addrs);
    let mut ids = Vec::new();
    for addr in addrs {
        let _ = space.get(addr);
        let _ = space.tip(addr);
        ids.extend(space.find(addr).ok().flatten());
    }
    ids
}

/// Reads all that is asked for by number.
fn by_number(space: &SqliteSpace, id: Id) -> Result<(), SpaceError> {
    let _ = (space.text(id), space.node(id), space.deps(id), space.get_id(id));
    let _ = (space.timeline_of(id), space.frame_at(id, 1), space.frame_at(id, u64::MAX));
    let row = space.row(id)?;
    for other in [row.prev, row.orphan, row.timeline].into_iter().flatten() {
        let _ = (space.extends(id, other), space.extends(other, id));
    }
    chain(space, id, |_| false).map(drop)
}

fn listed(space: &SqliteSpace) -> Result<(), SpaceError> {
    for kind in [TimelineKind::Data, TimelineKind::Keystone, TimelineKind::Saga] {
        let _ = space.timelines(kind, None, 100);
    }
    let _ = (space.loose_stones(None, 100), space.name("X"));
    space.count().map(drop)
}

fn graphs(space: &SqliteSpace, ids: &[Id]) -> Result<(), SpaceError> {
    let _ = space.live_timelines(ids);
    for live in [false, true] {
        let _ = (graph_ids(space, ids, live), graph_stats(space, ids, live));
        let _ = dependency_graph::<SpaceError>(space, ids, live, &mut |_| {
            Ok(ControlFlow::Continue(()))
        });
    }
    compare_graphs(space, ids, space, ids).map(drop)
}

fn ledger(space: &SqliteSpace, tjp: &Addr) -> Result<(), SpaceError> {
    let ledger = space.ledger();
    let _ = (ledger.token_domain(b"a token", 1), ledger.session(tjp));
    let _ = (ledger.purge_tokens(1), ledger.purge_sessions(1));
    ledger.connect_session(tjp, 1).map(drop)
}
