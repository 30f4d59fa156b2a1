//! What is done in a simulated world: edits, syncs, joins, restores, restarts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::device::{self, Device};
use super::invariants::{HONEST, LACKING};
use super::link::SimLink;
use super::looks::here;
use super::renewals::is_changed;
use super::world::World;
use crate::ibgib::Environment;
use crate::keystone;
use crate::peer::{Identity, NoObserver, ReceiverLink, Synced, client, identity};
use crate::space::{KillSwitch, KillableSpace, RowId, Space, StateDigest};
use crate::sync::{Direction, SenderOpts, SyncError};
use crate::verify::VerifyError;

/// How many devices an identity has at most.
const MAX_DEVICES: usize = 3;
/// How long it takes until sessions and tokens have expired.
const LONG: Duration = Duration::from_secs(1_000);

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
        let (device, switch) = (Rc::clone(device), Arc::clone(switch));
        let restored = device.restored.get();
        SimLink { world: self, device, switch, is_hostile, restored }
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

    pub(super) fn opts(&self, device: &Device) -> SenderOpts {
        let env: Arc<dyn Environment> = Arc::clone(&device.env) as _;
        SenderOpts { env, ..SenderOpts::new(self.stage_dir.path().to_owned()) }
    }

    /// Where the server tells a device that its data stands: the device may not ask, and what it was
    /// told may be of long ago.
    fn told(&self, device: &Device) -> Option<StateDigest> {
        let there = self.server.disk(&self.people[device.person].domain).state();
        let now = there.ok().map(|there| there.digest);
        match self.choose().below(4) {
            0 => None,
            1 => device.told.replace(now),
            _ => {
                device.told.set(now);
                now
            }
        }
    }

    /// Syncs a device; none where that did not end well, or nobody lived to hear of it.
    pub(super) fn sync(&self, device: &Rc<Device>, opts: &SenderOpts) -> Option<Synced> {
        let (switch, space) = self.process(device);
        let link = self.link(device, &switch);
        let identity = self.identity_of(device);
        let listed = if self.choose().chance(500) { 0 } else { opts.listed };
        let opts = &SenderOpts { told: self.told(device), listed, ..opts.clone() };
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
                if let VerifyError::Peer(error) = &error
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
    ) -> Result<(), VerifyError> {
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
}
