//! A space's file.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::server::Ledger;
use sync_gib::space::{
    Domain, RowId, Space, SpaceError, SpaceExt, SqliteSpace, TimelineKind, chain, compare_graphs,
    dependency_graph, graph_ids, graph_stats,
};

use super::fixtures::{Data, Keystones, scratch};
use super::input::Input;

/// Whatever a file holds, opening it, reading it, writing to it and repairing it end, with an error at
/// worst; what is given out of it was hashed, and a file that an audit finds good is good.
///
/// The input says whether the file is audited and repaired, and then changes to a file that is good:
/// bytes, cuts, and copies of a part over another.
pub fn space_file(data: &[u8]) {
    let base = base();
    let mut bytes = base.bytes.clone();
    let input = &mut Input::new(data);
    let acts = input.byte();
    change(&mut bytes, input);
    let is_same = bytes == base.bytes;
    let dir = tempfile::tempdir_in(scratch()).unwrap();
    let path = dir.path().join("space.db");
    std::fs::write(&path, &bytes).unwrap();
    let space = match SqliteSpace::open(&path, Domain::Client) {
        Ok(space) => space,
        Err(error) => {
            assert!(!is_same, "an unchanged file is not opened: {error}");
            return;
        }
    };
    let is_good = is_same || acts & 1 != 0 && audit(&space, acts);
    if acts & 2 != 0 {
        rebuild(&space);
        return;
    }
    let ids = by_address(&space, &base.addrs, is_good);
    assert!(!is_same || ids.len() == base.addrs.len(), "an unchanged file is not read");
    for id in -1..=base.addrs.len() as i64 + 1 {
        let _ = by_number(&space, RowId::from(id));
    }
    let _ = listed(&space);
    let _ = graphs(&space, &ids);
    let tjp = TjpAddr::from(base.addrs[0].clone());
    let _ = ledger(&space, &tjp);
    let put = space.put_all(&Data::get().x_here);
    assert!(!is_same || put.is_ok(), "an unchanged file is not written: {put:?}");
    assert!(!is_good || !is_damage(&put), "a good file is damaged: {put:?}");
    let _ = space.set_name("X", &tjp);
}

fn is_damage<T>(result: &Result<T, SpaceError>) -> bool {
    matches!(result, Err(SpaceError::Damaged { .. }))
}

/// Audits a file, and gives a damaged text back; whether everything holds.
fn audit(space: &SqliteSpace, acts: u8) -> bool {
    let _ = space.check_file();
    let Ok(audit) = space.audit() else { return false };
    if acts & 4 != 0
        && let Some(damaged) = audit.damaged.first()
        && let Ok(Some(found)) = space.unflipped(damaged)
    {
        assert_eq!(found.key(), damaged.key);
        let _ = space.restore(&[(damaged.clone(), found)]);
    }
    audit.is_good()
}

/// Where SQLite's own check stands among what an audit tells.
const FILE: usize = 0;
/// Where what follows from the texts does.
const FROM_TEXTS: std::ops::Range<usize> = 1..5;

/// Makes a file anew from its texts, after which what follows from them holds.
fn rebuild(space: &SqliteSpace) {
    if space.rebuild(Vec::new(), scratch()).is_ok()
        && let Ok(audit) = space.audit()
        && audit.findings[FILE].count == 0
    {
        let wrong = audit.findings[FROM_TEXTS].iter().find(|finding| finding.count > 0);
        assert!(wrong.is_none(), "it was made anew: {wrong:?}");
    }
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
        let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
        let (data, keystones) = (Data::get(), Keystones::get());
        let lists: [&[_]; 5] =
            [&data.x, &data.y, &data.uncounted, &data.stones, &keystones.session[..2]];
        for list in lists {
            space.put_all(list).unwrap();
        }
        let addrs: Vec<Addr> =
            lists.into_iter().flatten().map(|ibgib| ibgib.addr().unwrap()).collect();
        let tjp = TjpAddr::from(addrs[0].clone());
        space.set_name("X", &tjp).unwrap();
        Ledger::of(&space).add_token(b"a token", &Domain::from(&tjp), 1 << 40).unwrap();
        Ledger::of(&space).add_session(&tjp, &Domain::from(&tjp), 1 << 40).unwrap();
        space.checkpoint().unwrap();
        drop(space);
        Base { bytes: std::fs::read(&path).unwrap(), addrs }
    })
}

/// Reads all that is asked for by address; returns the rows that are found.
fn by_address(space: &SqliteSpace, addrs: &[Addr], is_good: bool) -> Vec<RowId> {
    let _ = space.has_many(addrs);
    let mut ids = Vec::new();
    for addr in addrs {
        let got = space.get(addr);
        assert!(!is_good || !is_damage(&got), "a good file is damaged: {got:?}");
        if let Ok(Some(ibgib)) = got {
            let found = ibgib.validate().expect("what is given out is an ibGib");
            assert_eq!(found, *addr, "another ibGib than was asked for");
        }
        if let Ok(Some(tip)) = space.tip(&addr.clone().into())
            && let Ok(tip_addr) = space.addr(tip.id)
        {
            assert_eq!(tip.addr, tip_addr);
        }
        ids.extend(space.find(addr).ok().flatten());
    }
    ids
}

/// Reads all that is asked for by number.
fn by_number(space: &SqliteSpace, id: RowId) -> Result<(), SpaceError> {
    let _ = (space.deps(id), space.get_id(id));
    for text in [space.text(id), space.text_to_send(id)].into_iter().flatten() {
        let addr = IbGib::from_json(&text).and_then(|ibgib| ibgib.validate());
        let addr = addr.expect("what is given out is an ibGib");
        assert_eq!(space.addr(id)?, addr);
    }
    if let Ok(node) = space.node(id) {
        assert_eq!(node.addr, space.addr(id)?);
    }
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
    let _ = (space.unreferenced_stones(None, 100), space.name("X"));
    space.count().map(drop)
}

fn graphs(space: &SqliteSpace, ids: &[RowId]) -> Result<(), SpaceError> {
    let _ = space.live_timelines(ids);
    for live in [false, true] {
        let _ = (graph_ids(space, ids, live), graph_stats(space, ids, live));
        let _ = dependency_graph::<SpaceError>(space, ids, live, &mut |_| {
            Ok(ControlFlow::Continue(()))
        });
    }
    compare_graphs(space, ids, space, ids).map(drop)
}

fn ledger(space: &SqliteSpace, tjp: &TjpAddr) -> Result<(), SpaceError> {
    let ledger = Ledger::of(space);
    let _ = (ledger.token_domain(b"a token", 1), ledger.session(tjp));
    let _ = (ledger.purge_tokens(1), ledger.purge_sessions(1));
    ledger.connect_session(tjp, 1).map(drop)
}
