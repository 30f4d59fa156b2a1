//! A simulated world: who is in it, what it remembers, and what its invariants say.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::chooser::Chooser;
use super::device::{Device, Person};
use super::invariants::{self, Checker, Owner};
use super::renewals::Keys;
use super::server::Server;
use super::trace::Trace;
use crate::ibgib::{Addr, Environment, Moment, Seeded, TjpAddr};
use crate::keystone::{self, KdfParams, MasterSecret, PoolConfig, RecoveryCode, presets};
use crate::space::{KillSwitch, Prepared, PutOpts, Space};
use crate::sync::establish::random_id;
use crate::verify::VerifyError;

/// When a world begins, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_750_000_000_000;
/// How wrong a device's clock may be, in milliseconds: some four months.
const WRONG_MS: usize = 10_000_000_000;
/// How many other things may happen in the middle of something, one in the other.
const DEEPEST: u32 = 2;

/// An old request: its name, whose it was, and its body.
pub(super) type Request = (String, TjpAddr, String);

/// What a home signed: its name, how often it was restored, for what, on which frame.
type Signed = (String, u32, &'static str, Addr);

/// A simulated world.
pub(super) struct World {
    chooser: Chooser,
    pub(super) trace: Trace,
    pub(super) server: Server,
    pub(super) people: Vec<Person>,
    pub(super) devices: RefCell<Vec<Rc<Device>>>,
    pub(super) stage_dir: tempfile::TempDir,
    /// What the devices of each of the people made.
    pub(super) made: RefCell<Vec<BTreeSet<Addr>>>,
    /// What somebody hostile made.
    pub(super) forged: RefCell<BTreeSet<Addr>>,
    /// What a sync that ended well said is on the server.
    pub(super) acknowledged: RefCell<BTreeSet<(TjpAddr, Addr)>>,
    /// The proof that a home made of a frame: by its name, how often it was restored, for what.
    pub(super) proofs: RefCell<BTreeMap<Signed, Addr>>,
    pub(super) requests: RefCell<Vec<Request>>,
    pub(super) sessions: RefCell<Vec<Vec<String>>>,
    checker: RefCell<Checker>,
    pub(super) broken: RefCell<Option<(&'static str, String)>>,
    depth: Cell<u32>,
    is_calm: Cell<bool>,
    /// How much goes wrong: nothing at 0.
    trouble: u32,
    /// Whether somebody hostile is about.
    pub(super) has_enemy: bool,
    /// Whether the identities have a signing key.
    pub(super) is_locked: bool,
    /// Who knows which secret and code of each of the people.
    pub(super) keys: RefCell<Vec<Keys>>,
    pub(super) enemy: Arc<Seeded>,
    seed: u64,
}

impl World {
    /// The world of a seed, before anything happens in it.
    pub(super) fn new(seed: u64) -> Result<World, VerifyError> {
        let chooser = Chooser::new(seed);
        let beginning = Moment::from_ms(BEGINNING_MS).unwrap_or_default();
        let env = Arc::new(Seeded::new(seed, beginning));
        let folder = tempfile::Builder::new().prefix("sync-gib-simulate-").tempdir();
        let stage_dir = folder.map_err(VerifyError::io("a temporary folder is made"))?;
        let is_locked = chooser.chance(500);
        let people = (0..2 + chooser.below(2))
            .map(|number| person(number, is_locked, &env))
            .collect::<Result<Vec<_>, _>>()?;
        let trouble = [0, 1, 2, 4][chooser.below(4)];
        let has_enemy = chooser.chance(500);
        let world = World {
            chooser,
            trace: Trace::default(),
            server: Server::new(env, stage_dir.path().to_owned()),
            made: RefCell::new(people.iter().map(|_| BTreeSet::new()).collect()),
            keys: RefCell::new(people.iter().map(Keys::of).collect()),
            people,
            devices: RefCell::default(),
            stage_dir,
            forged: RefCell::default(),
            acknowledged: RefCell::default(),
            proofs: RefCell::default(),
            requests: RefCell::default(),
            sessions: RefCell::default(),
            checker: RefCell::default(),
            broken: RefCell::default(),
            depth: Cell::new(0),
            is_calm: Cell::new(false),
            trouble,
            has_enemy,
            is_locked,
            enemy: Arc::new(Seeded::new(seed.wrapping_add(1 << 63), beginning)),
            seed,
        };
        world.trace.line(format_args!(
            "seed {seed}: {} identities{}, trouble {trouble}, {} enemy",
            world.people.len(),
            if is_locked { " with signing keys" } else { "" },
            if has_enemy { "an" } else { "no" }
        ));
        for person in 0..world.people.len() {
            world.set_up(person)?;
        }
        world.begin_with_two();
        Ok(world)
    }

    /// Makes an identity's first device, which has its genesis.
    fn set_up(&self, person: usize) -> Result<(), VerifyError> {
        let device = self.add_device(person);
        let Person { genesis, domain, label, .. } = &self.people[person];
        let names = vec![("I".to_owned(), domain.clone())];
        let mut batch = [Ok(Prepared::new(genesis)?)].into_iter();
        device.disk().put(&mut batch, &PutOpts { names, ..PutOpts::default() })?;
        device.is_joined.set(true);
        self.trace.line(format_args!("{label} is {domain}, on {}", device.name));
        self.register(&device);
        Ok(())
    }

    /// Mostly the identities have a timeline and a second device to begin with.
    fn begin_with_two(&self) {
        for device in self.all_devices() {
            if self.choose().chance(700) {
                self.edit(&device);
                self.sync_somehow(&device);
                self.join(&device);
            }
        }
    }

    /// All devices that there are now.
    pub(super) fn all_devices(&self) -> Vec<Rc<Device>> {
        self.devices.borrow().clone()
    }

    /// A device more of one of the people, whose clock is wrong.
    pub(super) fn add_device(&self, person: usize) -> Rc<Device> {
        let number = self.devices.borrow().len();
        let name = format!("{}-{number}", self.people[person].label);
        let now = BEGINNING_MS - WRONG_MS as u64 / 2 + self.choose().below(WRONG_MS) as u64;
        let start = Moment::from_ms(now).unwrap_or_default();
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64 + 1);
        let device = Rc::new(Device::new(name, person, Arc::new(Seeded::new(seed, start))));
        self.devices.borrow_mut().push(Rc::clone(&device));
        device
    }

    pub(super) fn choose(&self) -> &Chooser {
        &self.chooser
    }

    /// Whether something goes wrong now, as it does in so many of 1000 cases where there is some
    /// trouble.
    pub(super) fn mishap(&self, in_a_thousand: u32) -> bool {
        let trouble = if self.is_calm.get() { 0 } else { self.trouble };
        trouble > 0 && self.choose().chance(in_a_thousand * trouble / 2)
    }

    /// From now on nothing goes wrong.
    pub(super) fn calm_down(&self) {
        self.is_calm.set(true);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    /// Time passes for everybody.
    pub(super) fn pass_time(&self, time: Duration) {
        self.server.env.sleep(time);
        self.enemy.sleep(time);
        self.devices.borrow().iter().for_each(|device| device.env.sleep(time));
    }

    /// Sets the clock of a device or of the server.
    pub(super) fn set_a_clock(&self) {
        let devices = self.devices.borrow();
        let (at, by) = (self.choose().below(devices.len() + 1), self.choose().below(WRONG_MS));
        let (name, env) = match devices.get(at) {
            Some(device) => (device.name.as_str(), &device.env),
            None => ("the server", &self.server.env),
        };
        let now = (env.now().ms() + by as u64).saturating_sub(WRONG_MS as u64 / 2);
        env.set_now(Moment::from_ms(now).unwrap_or_default());
        self.trace.line(format_args!("the clock of {name} is set to {now}"));
    }

    /// What happens between two messages of a process that `switch` tells of.
    pub(super) fn between(&self, device: &Rc<Device>, switch: &KillSwitch) {
        let ms = 1 + self.choose().below(50) as u64;
        self.pass_time(Duration::from_millis(ms));
        if self.is_calm() {
            return;
        }
        if self.mishap(4) {
            self.trace.line("the process is killed");
            switch.kill();
        }
        if self.mishap(3) && !self.server.is_dead() {
            self.trace.line("the server is killed");
            self.server.switch().kill();
        }
        if self.server.is_dead() && self.choose().chance(300) {
            self.restart_server();
        }
        if self.mishap(2) {
            self.set_a_clock();
        }
        if self.depth.get() < DEEPEST && self.choose().chance(35) {
            self.depth.set(self.depth.get() + 1);
            self.trace.line("meanwhile:");
            self.trace.enter();
            match self.choose().below(10) {
                // Another process of the same home: whoever syncs may go on editing.
                0..3 => (0..=self.choose().below(2)).for_each(|_| self.edit(device)),
                3..5 => self.act_on(device),
                _ => self.act(),
            }
            self.trace.leave();
            self.depth.set(self.depth.get() - 1);
        }
    }

    pub(super) fn restart_server(&self) {
        let power_lost = self.choose().chance(500);
        self.trace.line(format_args!(
            "the server starts anew{}",
            if power_lost { " after a loss of power" } else { "" }
        ));
        self.server.restart(power_lost);
    }

    /// The server may be killed at one of its next transactions.
    pub(super) fn plan_server_kill(&self) {
        if self.mishap(6) {
            let after_commit = self.choose().chance(500);
            self.server.switch().kill_at_write(1, after_commit);
        }
    }

    /// Holds all invariants against what stands on the disks.
    pub(super) fn check(&self) {
        if let Err((invariant, detail)) = self.look() {
            self.note_broken(invariant, detail);
        }
    }

    fn look(&self) -> Result<(), (&'static str, String)> {
        let mut checker = self.checker.borrow_mut();
        let forged = self.forged.borrow();
        for device in self.devices.borrow().iter() {
            let person = &self.people[device.person];
            let name = format!("{}, restored {} times", device.name, device.restored.get());
            let mut made = self.made.borrow_mut();
            let made = &mut made[device.person];
            checker.note_made(&name, &device.disk(), &forged, made);
            let owner = Owner { domain: &person.domain, label: &person.label, made };
            checker.look(&name, &device.disk(), &owner, None)?;
        }
        for (person, made) in self.people.iter().zip(self.made.borrow().iter()) {
            let owner = Owner { domain: &person.domain, label: &person.label, made };
            let name = format!("the server's domain of {}", person.label);
            let disk = self.server.disk(&person.domain);
            checker.look(&name, &disk, &owner, Some(&self.server))?;
        }
        for (domain, addr) in self.acknowledged.borrow().iter() {
            if !self.server.has(domain, addr) {
                return Err((invariants::ACKNOWLEDGED, format!("the server lacks {addr}")));
            }
        }
        if let Some(detail) = self.server.broken.borrow_mut().take() {
            return Err((invariants::REFUSED, detail));
        }
        self.look_at_keys();
        let domains = self.people.iter().map(|person| &person.domain);
        checker.look_at_tokens(&self.server, domains)
    }

    /// Whether the server has taken an identity's revocation.
    pub(super) fn is_revoked(&self, person: usize) -> bool {
        let domain = &self.people[person].domain;
        self.server.newest(domain).is_some_and(|newest| keystone::is_revoked(&newest))
    }

    pub(super) fn into_trace(self) -> String {
        self.trace.into_text()
    }
}

/// An identity that nobody else has.
pub(super) fn person(
    number: usize,
    is_locked: bool,
    env: &Arc<Seeded>,
) -> Result<Person, VerifyError> {
    let secret = MasterSecret::from_raw(SecretString::from(random_id(&**env)?))?;
    let mut pools = presets::identity_pools(&**env)?;
    for pool in pools.iter_mut().filter(|pool| pool.id == keystone::POOL_SYNC) {
        // The rules are the same, and a signature costs a third.
        (pool.behavior.size, pool.behavior.target_binding_chars) = (32, 4);
    }
    let details = Some(json!({ "kdf": KdfParams::Raw.to_value() }));
    let code = is_locked.then(|| RecoveryCode::new_random(&**env)).transpose()?;
    let genesis = match &code {
        Some(code) => {
            pools.push(open_pool(&pools[0]));
            keystone::locked_genesis(&secret, &pools, details, Some(code), &**env)?
        }
        None => keystone::genesis(&secret, &pools, details, &**env)?,
    };
    let domain = genesis.addr()?;
    let label = ["anna", "ben", "cleo"][number % 3].to_owned();
    Ok(Person { label, secret, genesis, domain: domain.into(), code })
}

/// A pool that signs whatever is asked for: no rule may hang on which verbs a pool allows.
fn open_pool(like: &PoolConfig) -> PoolConfig {
    let mut pool = like.clone();
    (pool.id, pool.allowed_verbs) = ("any".to_owned(), Vec::new());
    (pool.behavior.size, pool.behavior.target_binding_chars) = (8, 0);
    pool
}
