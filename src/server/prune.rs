//! Dropping old sessions from a file, of every identity in it (docs/protocol.md, section 8, "Sessions
//! that are dropped").

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ledger::{Ledger, SessionRow};
use super::state::Shared;
use crate::ibgib::{Moment, TjpAddr};
use crate::space::{Domain, Group, NAME_IDENTITY, RowId, Space, SqliteSpace};
use crate::sync::SyncError;
use crate::sync::prune::old_sessions;

/// For how long a session is in progress at most, whatever its ledger says: as long as one may last.
/// So long it always stays.
pub const LONGEST_SESSION: Duration = Duration::from_secs(6 * 60 * 60);
/// For how long a session waits for its connection at most, whatever a server is told.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a server drops them.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many rows are dropped after one look at all rows of the file, about.
const MOST_ROWS: usize = 1 << 20;

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many sessions.
    pub sessions: u64,
    /// How many ibGibs they and their sagas were.
    pub ibgibs: u64,
    /// How many bytes their texts had.
    pub bytes: u64,
    /// How many sessions stayed, old as they are: something else leads to them, or they may be in
    /// progress.
    pub kept: u64,
}

/// Drops a server's expired tokens, what it kept of payloads a day ago, and old sessions where it keeps them not for ever, now and every
/// day, until it stops.
pub(super) fn start(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while !shared.is_stopping() {
            let pruning = Arc::clone(&shared);
            let pruned = tokio::task::spawn_blocking(move || {
                let (space, now) = (pruning.space(Domain::Client)?, Moment::now());
                Ledger::of(&space).purge_state_tokens(now.ms())?;
                if let Some(Err(error)) =
                    pruning.keep_in.as_ref().map(|kept| kept.sweep(SystemTime::now()))
                {
                    tracing::warn!(%error, "what was kept of payloads is not looked through");
                }
                match pruning.opts.keep_sessions {
                    Some(keep) => prune_sessions(&space, keep, now, &|| !pruning.is_stopping()),
                    None => Ok(Pruned::default()),
                }
            });
            match pruned.await {
                Ok(Ok(Pruned { sessions, ibgibs, bytes, .. })) if sessions > 0 => {
                    tracing::info!(sessions, ibgibs, bytes, "old sessions dropped");
                }
                Ok(Err(error)) => tracing::warn!(%error, "old sessions were not dropped"),
                _ => {}
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shared.stopped() => {}
            }
        }
    });
}

/// Drops the sessions whose newest frame is older than `keep`, and never one younger than
/// [`LONGEST_SESSION`], from a file that is a client's or a server's, in bounded transactions; then
/// gives the room back ([`SqliteSpace::give_back`]). `go_on` is asked between transactions.
///
/// Errors as a put does; what was dropped before stays dropped.
pub fn prune_sessions(
    space: &SqliteSpace,
    keep: Duration,
    now: Moment,
    go_on: &dyn Fn() -> bool,
) -> Result<Pruned, SyncError> {
    let keep = u64::try_from(keep.max(LONGEST_SESSION).as_millis()).unwrap_or(u64::MAX);
    let mut pruned = Pruned::default();
    let Some(before) = now.ms().checked_sub(keep).and_then(Moment::from_ms) else {
        return Ok(pruned);
    };
    let mut groups = Groups::default();
    for domain in space.domains()? {
        let own = space.with_domain(domain.clone());
        let identity = match &domain {
            Domain::Identity(identity) => Some(identity.clone()),
            Domain::Client => own.name(NAME_IDENTITY)?,
        };
        let Some(identity) = identity else { continue };
        let mut after = None;
        while go_on() {
            after = groups.add(&own, (&domain, &identity), (before, after, now), &mut pruned)?;
            if groups.rows >= MOST_ROWS {
                groups.drop(space, go_on, &mut pruned)?;
            }
            if after.is_none() {
                break;
            }
        }
    }
    groups.drop(space, go_on, &mut pruned)?;
    // Also what a process that was killed had dropped.
    space.give_back(go_on)?;
    Ok(pruned)
}

/// Whether a session waits for its connection, or may not have ended.
fn is_in_progress(session: &SessionRow, now: Moment) -> bool {
    let last = session.connected_ms.unwrap_or(session.created_ms);
    u128::from(now.ms().saturating_sub(last)) <= (LONGEST_WAIT + LONGEST_SESSION).as_millis()
}

/// What is about to be dropped.
#[derive(Default)]
struct Groups {
    groups: Vec<Group>,
    rows: usize,
}

impl Groups {
    /// Adds a domain's next old sessions; returns where to go on, if there may be more.
    fn add(
        &mut self,
        space: &SqliteSpace,
        (domain, identity): (&Domain, &TjpAddr),
        (before, after, now): (Moment, Option<RowId>, Moment),
        pruned: &mut Pruned,
    ) -> Result<Option<RowId>, SyncError> {
        let most = MOST_ROWS.saturating_sub(self.rows).max(1);
        let (sessions, next) = old_sessions(space, identity, before, after, most)?;
        let ledger = Ledger::of(space);
        for old in sessions {
            // What is established stands there before it stands in the space.
            if ledger.session(&old.session)?.is_some_and(|row| is_in_progress(&row, now)) {
                pruned.kept += 1;
                continue;
            }
            self.rows += old.rows.len();
            self.groups.push(Group { domain: domain.clone(), rows: old.rows });
        }
        Ok(next)
    }

    fn drop(
        &mut self,
        space: &SqliteSpace,
        go_on: &dyn Fn() -> bool,
        pruned: &mut Pruned,
    ) -> Result<(), SyncError> {
        let groups = std::mem::take(self).groups;
        if groups.is_empty() {
            return Ok(());
        }
        let dropped = space.drop_groups(&groups, go_on)?;
        pruned.sessions += dropped.groups;
        pruned.ibgibs += dropped.ibgibs;
        pruned.bytes += dropped.bytes;
        pruned.kept += dropped.kept;
        Ok(())
    }
}
