//! What is done in a simulated world: edits, syncs, joins, revocations, restores, restarts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::device::{self, Device};
use super::error::SimulateError;
use super::invariants::{ACKNOWLEDGED, CONVERGENCE, COUNT, HONEST, LACKING};
use super::link::SimLink;
use super::renewals::is_changed;
use super::world::World;
use crate::ibgib::{Addr, Environment};
use crate::keystone;
use crate::peer::{Identity, NoObserver, PeerError, ReceiverLink, Synced, client, identity};
use crate::space::{KillSwitch, KillableSpace, RowId, Space, chain};
use crate::sync::msg::{Refusal, RefusalCode};
use crate::sync::sender::TipChangeKind;
use crate::sync::{Direction, Plan, SenderOpts, SyncError};

/// How many devices an identity has at most.
const MAX_DEVICES: usize = 3;
/// Why somebody revokes.
const REASONS: [&str; 3] = ["lost", "stolen", "not needed"];
/// How long it takes until sessions and tokens have expired.
const LONG: Duration = Duration::from_secs(1_000);
/// How often all devices sync at the end until they must agree.
const ROUNDS: usize = 6;

impl World {
    /// Does one thing that the seed chooses.
    pub(super) fn act(&self) {
        let at = self.choose().below(self.devices.borrow().len());
        let device = Rc::clone(&self.devices.borrow()[at]);
        self.act_on(&device);
    }

    /// Does one thing that the seed chooses, on a device where it is of that kind.
    pub(super) fn act_on(&self, device: &Rc<Device>) {
        if self.is_locked && self.choose().chance(70) {
            return self.renew_somehow(device);
        }
        let deed = self.choose().below(1000);
        match deed {
            // Now and then so many that the other side's samples leave gaps.
            0..20 => (0..12).for_each(|_| self.edit(device)),
            20..270 => (0..=self.choose().below(3)).for_each(|_| self.edit(device)),
            270..620 => self.sync_somehow(device),
            620..670 => self.join(device),
            670..700 => self.register(device),
            700..730 => match device.back_up() {
                Ok(()) => self.trace.line(format_args!("{} is copied away", device.name)),
                Err(error) => self.note_broken(HONEST, format!("a copy failed: {error}")),
            },
            730..750 => self.restore(device),
            750..757 => self.revoke_at_last(device),
            757..772 => {
                self.trace.line("a long time passes");
                self.pass_time(LONG);
            }
            772..787 => self.set_a_clock(),
            787..810 if self.mishap(500) => {
                self.trace.line("the server is killed");
                self.server.switch().kill();
            }
            810..840 => self.say_again(),
            _ if self.has_enemy => {
                for _ in 0..=self.choose().below(3) {
                    self.attack();
                }
            }
            _ => self.edit(device),
        }
        if self.server.is_dead() && self.choose().chance(500) {
            self.restart_server();
        }
    }

    /// Its identity, with the secret that a device was told.
    pub(super) fn identity_of(&self, device: &Device) -> Identity {
        self.people[device.person].identity(device.secret.borrow().as_ref())
    }

    pub(super) fn process(&self, device: &Device) -> (Arc<KillSwitch>, KillableSpace) {
        let (switch, space) = device.process();
        if self.mishap(60) {
            let (write, after) = (1 + self.choose().below(6), self.choose().chance(500));
            self.trace.line(format_args!(
                "{} will be killed {} its write number {write}",
                device.name,
                if after { "after" } else { "before" }
            ));
            switch.kill_at_write(write as u64, after);
        }
        (switch, space)
    }

    pub(super) fn link(&self, device: &Rc<Device>, switch: &Arc<KillSwitch>) -> SimLink<'_> {
        let is_hostile = self.has_enemy && !self.is_calm() && self.choose().chance(200);
        if is_hostile {
            self.trace.line("somebody hostile is in between");
        }
        SimLink { world: self, device: Rc::clone(device), switch: Arc::clone(switch), is_hostile }
    }

    pub(super) fn edit(&self, device: &Rc<Device>) {
        if !device.is_joined.get() {
            return;
        }
        let (switch, space) = self.process(device);
        let label = &self.people[device.person].label;
        match device::edit(&space, &device.env, label, self.choose()) {
            Ok(made) => {
                self.note_made(device.person, &made);
                let last = made.last().and_then(|ibgib| ibgib.addr().ok());
                let last = last.map_or_else(String::new, |addr| addr.to_string());
                self.trace.line(format_args!("{} makes {last}", device.name));
            }
            Err(error) => {
                self.trace.line(format_args!("{} makes nothing: {error}", device.name));
                if !switch.is_dead() {
                    self.note_broken(HONEST, format!("an edit failed: {error}"));
                }
            }
        }
    }

    pub(super) fn sync_somehow(&self, device: &Rc<Device>) {
        if !device.is_joined.get() {
            return;
        }
        let mut opts = self.opts(device);
        match self.choose().below(10) {
            0 => opts.direction = Direction::PullOnly,
            1 => opts.direction = Direction::PushOnly,
            2 => opts.dry_run = self.choose().chance(300),
            3 | 4 => {
                let there = device::timelines(&*device.disk()).unwrap_or_default();
                if !there.is_empty() {
                    let at = self.choose().below(there.len());
                    opts.roots.push(there[at].tjp.clone().into());
                }
            }
            _ => {}
        }
        let _ = self.sync(device, &opts);
    }

    fn opts(&self, device: &Device) -> SenderOpts {
        let env: Arc<dyn Environment> = Arc::clone(&device.env) as _;
        SenderOpts { env, ..SenderOpts::new(self.stage_dir.path().to_owned()) }
    }

    /// Syncs a device; none where that did not end well, or nobody lived to hear of it.
    pub(super) fn sync(&self, device: &Rc<Device>, opts: &SenderOpts) -> Option<Synced> {
        let (switch, space) = self.process(device);
        let link = self.link(device, &switch);
        let identity = self.identity_of(device);
        let (Ok(before), Ok(count)) = (here(&space), space.count()) else { return None };
        let last = RowId::from(i64::try_from(count.ibgibs).unwrap_or(i64::MAX));
        self.trace.line(format_args!(
            "{} syncs {:?}, {} roots{}",
            device.name,
            opts.direction,
            opts.roots.len(),
            if opts.dry_run { ", for show" } else { "" }
        ));
        self.trace.enter();
        let ended = client::sync(&space, &link, &identity, opts, &mut NoObserver);
        self.trace.leave();
        if switch.is_dead() {
            self.trace.line(format_args!("{} was killed", device.name));
            return None;
        }
        match ended {
            Ok(synced) => {
                self.trace.line(format_args!(
                    "{} has synced: turns {}, sent {}, received {}, tries {}",
                    device.name,
                    synced.summary.turns,
                    synced.summary.sent,
                    synced.summary.received,
                    synced.tries
                ));
                for tip in &synced.summary.tips {
                    self.trace.line(format_args!("  {} {}", tip.how.name(), tip.to));
                }
                self.look_at_synced(device, &space, opts, &synced, (&link, before));
                if !link.is_hostile
                    && let Err(error) = self.look_at_fetched(device, &space, &synced.plan, last)
                {
                    self.note_broken(LACKING, error.to_string());
                }
                Some(synced)
            }
            Err(error) => {
                self.trace.line(format_args!("{} fails: {error}", device.name));
                if is_changed(&error) {
                    self.tell_secret(device);
                } else if !link.is_hostile {
                    self.look_at_error(device, &error);
                }
                None
            }
        }
    }

    /// Holds what a sync says it did against what stands on the disks.
    fn look_at_synced(
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
    fn look_at_fetched(
        &self,
        device: &Device,
        space: &KillableSpace,
        plan: &Plan,
        last: RowId,
    ) -> Result<(), SimulateError> {
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

    /// A further device of an identity, or one that did not get it yet.
    pub(super) fn join(&self, other: &Rc<Device>) {
        let person = other.person;
        let count = self.devices.borrow().iter().filter(|device| device.person == person).count();
        let device = match other.is_joined.get() {
            false => Rc::clone(other),
            true if count < MAX_DEVICES => self.add_device(person),
            true => return,
        };
        let (switch, space) = self.process(&device);
        let link = self.link(&device, &switch);
        let owner = &self.people[person];
        self.trace.line(format_args!("{} joins", device.name));
        self.trace.enter();
        let joined = self.join_by(&space, &link, person, &device);
        self.trace.leave();
        match joined {
            Ok(()) if !switch.is_dead() => {
                device.is_joined.set(true);
                self.trace.line(format_args!("{} has joined {}", device.name, owner.label));
            }
            Ok(()) => {}
            Err(error) => {
                self.trace.line(format_args!("{} does not join: {error}", device.name));
                if let SimulateError::Peer(error) = &error
                    && !link.is_hostile
                    && !switch.is_dead()
                {
                    self.look_at_error(&device, error);
                }
            }
        }
    }

    fn join_by(
        &self,
        space: &KillableSpace,
        link: &SimLink<'_>,
        person: usize,
        device: &Device,
    ) -> Result<(), SimulateError> {
        let owner = &self.people[person];
        identity::fetch(space, link, &owner.domain)?;
        let tip = space.tip(&owner.domain)?.map(|tip| space.get_id(tip.id)).transpose()?;
        if self.is_locked {
            self.tell_secret(device);
        }
        let identity = self.identity_of(device);
        if !tip.is_some_and(|tip| keystone::knows(&identity.secret, &tip)) {
            return Err(SyncError::Auth("the secret is not this identity's".into()).into());
        }
        let opts = SenderOpts { connect_only: true, ..self.opts(device) };
        client::sync(space, link, &identity, &opts, &mut NoObserver)?;
        space.set_name("I", &owner.domain)?;
        Ok(())
    }

    pub(super) fn register(&self, device: &Rc<Device>) {
        let (switch, _space) = device.process();
        let link = self.link(device, &switch);
        let genesis = &self.people[device.person].genesis;
        match link.register(genesis) {
            Ok(()) => self.trace.line(format_args!("{} has registered", device.name)),
            Err(error) => {
                self.trace.line(format_args!("{} does not register: {error}", device.name));
                if !link.is_hostile && !switch.is_dead() {
                    self.look_at_error(device, &error);
                }
            }
        }
    }

    fn restore(&self, device: &Rc<Device>) {
        if !device.is_joined.get() {
            return;
        }
        match device.restore() {
            Ok(true) => self.trace.line(format_args!(
                "{} is restored from a copy (excepted: it may sign again on a frame)",
                device.name
            )),
            Ok(false) => {}
            Err(error) => self.note_broken(HONEST, format!("a restore failed: {error}")),
        }
    }

    /// Now and then an identity is revoked at the end, when it has data to lose.
    pub(super) fn end_an_identity(&self) {
        if self.choose().chance(200) {
            let devices = self.all_devices();
            self.revoke_at_last(&devices[self.choose().below(devices.len())]);
        }
    }

    /// Revokes, and again where that did not come about.
    fn revoke_at_last(&self, device: &Rc<Device>) {
        if device.is_joined.get() && self.choose().chance(700) {
            while !self.revoke(device) && self.choose().chance(700) {}
        }
    }

    /// Whether a device revoked its identity.
    fn revoke(&self, device: &Rc<Device>) -> bool {
        let (switch, space) = self.process(device);
        let link = self.link(device, &switch);
        let identity = self.identity_of(device);
        self.trace.line(format_args!("{} revokes", device.name));
        self.trace.enter();
        let env: Arc<dyn Environment> = Arc::clone(&device.env) as _;
        let reason = REASONS[self.choose().below(REASONS.len())];
        let ended = client::revoke_with(&space, &link, &identity, reason, env);
        self.trace.leave();
        match ended {
            Ok(addr) if !switch.is_dead() => {
                self.trace.line(format_args!("{} has revoked: {addr}", device.name));
                if !self.is_revoked(device.person) && !link.is_hostile {
                    self.note_broken(ACKNOWLEDGED, "a revocation that was acknowledged is lost");
                }
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.trace.line(format_args!("{} does not revoke: {error}", device.name));
                if !link.is_hostile && !switch.is_dead() {
                    self.look_at_error(device, &error);
                }
                false
            }
        }
    }

    /// All is well again: every device syncs until nothing moves, and then all must agree.
    pub(super) fn heal(&self) {
        self.calm_down();
        self.trace.line("all is well again");
        self.server.restart(false);
        for device in self.all_devices() {
            if device.is_joined.get() {
                self.register(&device);
            }
        }
        self.regain();
        let mut is_quiet = false;
        for _ in 0..ROUNDS {
            if is_quiet || self.broken().is_some() {
                break;
            }
            is_quiet = true;
            for device in self.all_devices() {
                if !device.is_joined.get() {
                    continue;
                }
                let synced = self.sync(&device, &self.opts(&device));
                self.check();
                match (synced, self.is_revoked(device.person)) {
                    (Some(synced), false) => is_quiet &= synced.plan.is_empty(),
                    (None, true) => {}
                    (Some(_), true) => {
                        let detail = format!("{} synced though it is revoked", device.name);
                        self.note_broken(CONVERGENCE, detail);
                    }
                    (None, false) => {
                        let detail = format!("{} cannot sync though all is well", device.name);
                        self.note_broken(CONVERGENCE, detail);
                    }
                }
            }
        }
        if !is_quiet {
            self.note_broken(CONVERGENCE, format!("something moves after {ROUNDS} rounds"));
        }
        self.look_at_agreement();
    }

    fn look_at_agreement(&self) {
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
fn here(space: &dyn Space) -> Result<Vec<Addr>, SimulateError> {
    let tips = device::timelines(space)?.into_iter().map(|timeline| timeline.tip.addr);
    Ok(tips.chain(device::unreferenced_stones(space)?).collect())
}
