//! Holds what devices are told against what stands on the disks.

use super::device::{self, Device};
use super::invariants::{ACKNOWLEDGED, CONVERGENCE, COUNT, HONEST, LACKING};
use super::link::SimLink;
use super::world::World;
use crate::ibgib::Addr;
use crate::peer::{PeerError, Synced};
use crate::space::{KillableSpace, RowId, Space, chain};
use crate::sync::msg::{Refusal, RefusalCode};
use crate::sync::sender::TipChangeKind;
use crate::sync::{Direction, Plan, SenderOpts, SyncError};
use crate::verify::VerifyError;

impl World {
    /// Holds what a sync says it did against what stands on the disks.
    pub(super) fn look_at_synced(
        &self,
        device: &Device,
        space: &KillableSpace,
        opts: &SenderOpts,
        synced: &Synced,
        (link, before): (&SimLink<'_>, Vec<Addr>),
    ) {
        if opts.dry_run || opts.connect_only {
            return;
        }
        let domain = &self.people[device.person].domain;
        let turns = self.server.committed.borrow().get(&synced.session).copied();
        if turns.is_none() {
            if !link.is_hostile {
                let detail = format!("{} heard of a commit that was none", device.name);
                self.note_broken(ACKNOWLEDGED, detail);
            }
            return;
        }
        let expected = 1 + synced.summary.turns;
        let here = space.tip(&synced.session).ok().flatten().map(|tip| tip.n);
        let there = self.server.disk(domain).tip(&synced.session).ok().flatten();
        let there = there.map(|tip| tip.n);
        if here != Some(expected) || there != Some(expected) {
            let detail = format!("{here:?} here, {there:?} there, not {expected}");
            self.note_broken(COUNT, detail);
        }
        match opts.direction {
            Direction::Both if opts.roots.is_empty() => self.note_acknowledged(domain, before),
            Direction::PullOnly => {}
            _ => {
                let pushed =
                    synced.summary.tips.iter().filter(|tip| tip.how != TipChangeKind::Pulled);
                self.note_acknowledged(domain, pushed.map(|tip| tip.to.clone()));
            }
        }
    }

    /// Holds what a plan fetches of a timeline against what the space held before the sync: its
    /// rows up to `last`. Errors where a space fails.
    pub(super) fn look_at_fetched(
        &self,
        device: &Device,
        space: &KillableSpace,
        plan: &Plan,
        last: RowId,
    ) -> Result<(), VerifyError> {
        let there = self.server.disk(&self.people[device.person].domain);
        for pull in plan.pulls.iter().filter(|pull| pull.mine.is_some()) {
            let common = pull.common.as_ref().map(|common| there.find(common)).transpose()?;
            let common = common.flatten();
            let Some(theirs) = there.find(&pull.theirs.addr)? else { continue };
            for id in chain(&*there, theirs, |row| Some(row.id) == common)? {
                // What is common may be on a branch that was merged there, beside the mainline.
                if common.is_some_and(|common| there.extends(common, id).unwrap_or(false)) {
                    continue;
                }
                let addr = there.addr(id)?;
                if space.find(&addr)?.is_some_and(|id| id <= last) {
                    let detail = format!("{} fetches {addr}, which it has", device.name);
                    self.note_broken(LACKING, detail);
                }
            }
        }
        Ok(())
    }

    /// Honest sides may be cut off, too late or refused as revoked, and nothing else.
    pub(super) fn look_at_error(&self, device: &Device, error: &PeerError) {
        let is_accusation = match error {
            PeerError::Stopped { .. }
            | PeerError::Unreachable { .. }
            | PeerError::Late { .. }
            | PeerError::Busy { .. } => false,
            PeerError::Sync(SyncError::Refused(Refusal { code, .. })) => !matches!(
                code,
                RefusalCode::Auth
                    | RefusalCode::Conflict
                    | RefusalCode::Busy
                    | RefusalCode::NotFound
            ),
            PeerError::Sync(
                SyncError::Auth(_)
                | SyncError::SecretChanged { .. }
                | SyncError::NotRegistered(_)
                | SyncError::Conflict(_),
            ) => false,
            PeerError::Sync(SyncError::Space(error)) => {
                use crate::space::SpaceError::{Diverged, Revoked, TipMoved};
                !matches!(error, Diverged { .. } | Revoked(_) | TipMoved { .. })
            }
            _ => true,
        };
        if is_accusation {
            self.note_broken(HONEST, format!("{} says: {error}", device.name));
        }
    }

    pub(super) fn look_at_agreement(&self) {
        for device in self.devices.borrow().iter() {
            if !device.is_joined.get() || self.is_revoked(device.person) {
                continue;
            }
            let server = self.server.disk(&self.people[device.person].domain);
            let (mine, theirs) = (here(&*device.disk()), here(&*server));
            match (mine, theirs) {
                (Ok(mut mine), Ok(mut theirs)) => {
                    mine.sort();
                    theirs.sort();
                    if mine != theirs {
                        let detail = format!("{} and the server differ", device.name);
                        self.note_broken(CONVERGENCE, detail);
                    }
                }
                (mine, theirs) => {
                    let detail = format!("{:?} {:?}", mine.err(), theirs.err());
                    self.note_broken(CONVERGENCE, detail);
                }
            }
        }
    }
}

/// The tips of the data that a space holds, and its unreferenced stones.
pub(super) fn here(space: &dyn Space) -> Result<Vec<Addr>, VerifyError> {
    let tips = device::timelines(space)?.into_iter().map(|timeline| timeline.tip.addr);
    Ok(tips.chain(device::unreferenced_stones(space)?).collect())
}
