//! Identities with a signing key: who knows which secret of them, how their owners change it, and a
//! thief who does it first.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use super::device::{Device, Person};
use super::invariants::GOES_ON;
use super::world::World;
use crate::ibgib::{Environment, IbGib};
use crate::keystone::{self, KdfParams, KeystoneError, MasterSecret, RecoveryCode, Renewal};
use crate::peer::wire::RevocationBody;
use crate::peer::{PeerError, client};
use crate::space::Space;
use crate::sync::SyncError;
use crate::sync::establish::random_id;
use crate::{ibgib::json as js, keystone::SecretString};

/// The secrets by the signing keys that they give, and the codes that were written down.
#[derive(Default)]
pub(super) struct Keys {
    secrets: BTreeMap<String, MasterSecret>,
    stolen: BTreeMap<String, MasterSecret>,
    codes: Vec<RecoveryCode>,
}

/// What a frame's key is called.
fn key_of(frame: &IbGib) -> Option<String> {
    keystone::lock_of(frame).map(|lock| lock.key().to_string())
}

/// How a renewal says that its secret is not stretched.
pub(super) fn renewal<'a>(secret: &'a MasterSecret, env: &'a dyn Environment) -> Renewal<'a> {
    let frame_details = Some(json!({ "kdf": KdfParams::Raw.to_value() }));
    Renewal { secret, frame_details, env }
}

/// A secret that nobody knows yet.
pub(super) fn new_secret(env: &dyn Environment) -> Option<MasterSecret> {
    MasterSecret::from_raw(SecretString::from(random_id(env).ok()?)).ok()
}

impl Keys {
    /// What the owner of an identity knows to begin with.
    pub(super) fn of(person: &Person) -> Keys {
        let secrets = key_of(&person.genesis).map(|key| (key, person.secret.clone()));
        let codes = person.code.iter().cloned().collect();
        Keys { secrets: secrets.into_iter().collect(), codes, ..Keys::default() }
    }

    fn of_frame(&self, frame: &IbGib) -> Option<&MasterSecret> {
        self.secrets.get(&key_of(frame)?)
    }
}

impl World {
    /// I's newest frame on the server, where I is there and has a signing key.
    fn locked_tip(&self, person: usize) -> Option<Rc<IbGib>> {
        let newest = self.server.newest(&self.people[person].domain);
        newest.filter(|newest| key_of(newest).is_some())
    }

    /// One of the people with the secret that signs on the server's newest frame, whoever has it.
    pub(super) fn person_now(&self, person: usize) -> Person {
        let mut now = self.people[person].clone();
        if let Some(key) = self.locked_tip(person).as_deref().and_then(key_of) {
            let keys = &self.keys.borrow()[person];
            let secret = keys.secrets.get(&key).or_else(|| keys.stolen.get(&key));
            now.secret = secret.cloned().unwrap_or(now.secret);
        }
        now
    }

    /// A device is told the secret that signs on the newest frame that it has, where its owner knows
    /// it.
    pub(super) fn tell_secret(&self, device: &Device) {
        let domain = &self.people[device.person].domain;
        let disk = device.disk();
        let tip = disk.tip(domain).ok().flatten().and_then(|tip| disk.get_id(tip.id).ok());
        let keys = &self.keys.borrow()[device.person];
        let secret = tip.and_then(|tip| keys.of_frame(&tip).cloned());
        let known = if secret.is_some() { "is told the new secret" } else { "knows no secret" };
        self.trace.line(format_args!("{} {known}", device.name));
        if secret.is_some() {
            *device.secret.borrow_mut() = secret;
        }
    }

    /// Now and then the secret of an identity with a signing key is changed.
    pub(super) fn renew_somehow(&self, device: &Rc<Device>) {
        if !device.is_joined.get() {
            return;
        }
        match self.choose().below(5) {
            0 if self.has_enemy => self.steal(device.person),
            0..3 => self.rotate(device),
            _ => drop(self.recover(device)),
        }
    }

    fn rotate(&self, device: &Rc<Device>) {
        let Some(new) = self.write_down(device) else { return };
        let (switch, space) = self.process(device);
        let link = self.link(device, &switch);
        let identity = self.identity_of(device);
        self.trace.line(format_args!("{} rotates", device.name));
        self.trace.enter();
        let env: Arc<dyn Environment> = Arc::clone(&device.env) as _;
        let to = renewal(&new, &*device.env);
        let ended = client::rotate(&space, &link, &identity, &to, env);
        self.trace.leave();
        self.renewed(device, (&switch, link.is_hostile), ended);
    }

    /// Whether the code brought in a secret that is the owner's.
    pub(super) fn recover(&self, device: &Rc<Device>) -> bool {
        let Some(new) = self.write_down(device) else { return false };
        let Ok(next) = RecoveryCode::new_random(&*device.env) else { return false };
        let codes = self.keys.borrow()[device.person].codes.clone();
        self.keys.borrow_mut()[device.person].codes.push(next.clone());
        let (switch, space) = self.process(device);
        let link = self.link(device, &switch);
        let domain = &self.people[device.person].domain;
        self.trace.line(format_args!("{} recovers", device.name));
        self.trace.enter();
        let mut ended = Err(SyncError::from(KeystoneError::CodeRefused).into());
        // One of those that were written down is good: the last where no run was killed.
        for code in codes.iter().rev() {
            let env: Arc<dyn Environment> = Arc::clone(&device.env) as _;
            let to = renewal(&new, &*device.env);
            ended = client::recover(&space, &link, domain, [code, &next], &to, env);
            if !ended.as_ref().is_err_and(is_another_code) {
                break;
            }
        }
        self.trace.leave();
        self.renewed(device, (&switch, link.is_hostile), ended)
    }

    /// The new secret, as it is chosen before anything is sent.
    fn write_down(&self, device: &Device) -> Option<MasterSecret> {
        let person = &self.people[device.person];
        let new = new_secret(&*device.env)?;
        let key = keystone::key_of_secret(&new, &person.genesis)?.to_string();
        self.keys.borrow_mut()[device.person].secrets.insert(key, new.clone());
        Some(new)
    }

    /// What became of a renewal.
    fn renewed(
        &self,
        device: &Device,
        (switch, is_hostile): (&crate::space::KillSwitch, bool),
        ended: Result<IbGib, PeerError>,
    ) -> bool {
        if switch.is_dead() {
            self.trace.line(format_args!("{} was killed", device.name));
            return false;
        }
        match ended {
            Ok(frame) => {
                let n = frame.n().unwrap_or(0);
                self.trace.line(format_args!("{} has changed the secret: n {n}", device.name));
                let secret = self.keys.borrow()[device.person].of_frame(&frame).cloned();
                if secret.is_none() {
                    self.note_broken(GOES_ON, "a renewal brought in what nobody wrote down");
                }
                *device.secret.borrow_mut() = secret;
                true
            }
            Err(error) => {
                self.trace.line(format_args!("{} does not change it: {error}", device.name));
                if is_changed(&error) {
                    self.tell_secret(device);
                } else if !is_hostile && !is_another_code(&error) {
                    self.look_at_error(device, &error);
                }
                false
            }
        }
    }

    /// A thief who has the secret changes it first.
    fn steal(&self, person: usize) {
        let (Some(tip), false) = (self.locked_tip(person), self.server.is_dead()) else { return };
        let now = self.person_now(person);
        let Some(new) = new_secret(&*self.enemy) else { return };
        let Ok(frame) = keystone::rotate(&tip, &now.secret, &renewal(&new, &*self.enemy)) else {
            return;
        };
        let Some(key) = key_of(&frame) else { return };
        self.keys.borrow_mut()[person].stolen.insert(key, new);
        let body = js::stringify(&RevocationBody { frames: vec![&frame] });
        let ended = self.server.renew(&now.domain, &body);
        self.trace.line(format_args!("a thief rotates {}: {ended:?}", now.label));
    }

    /// At the end each owner has the identity again, by the code where a thief has it, and tells
    /// every device.
    pub(super) fn regain(&self) {
        for device in self.all_devices() {
            let person = device.person;
            if !device.is_joined.get() || self.is_revoked(person) {
                continue;
            }
            let is_known = |tip: &IbGib| self.keys.borrow()[person].of_frame(tip).is_some();
            let Some(tip) = self.locked_tip(person) else { continue };
            if !is_known(&tip) && !self.recover(&device) {
                let detail = format!("{} is not recovered though all is well", device.name);
                self.note_broken(GOES_ON, detail);
            }
            let tip = self.locked_tip(person);
            *device.secret.borrow_mut() =
                tip.and_then(|tip| self.keys.borrow()[person].of_frame(&tip).cloned());
        }
    }

    /// Whether an identity with a signing key goes on with a secret that somebody has.
    pub(super) fn look_at_keys(&self) {
        for (person, keys) in self.keys.borrow().iter().enumerate() {
            let Some(key) = self.locked_tip(person).as_deref().and_then(key_of) else { continue };
            if !keys.secrets.contains_key(&key) && !keys.stolen.contains_key(&key) {
                let label = &self.people[person].label;
                self.note_broken(GOES_ON, format!("{label} goes on with a key of nobody's"));
            }
        }
    }
}

/// Whether an identity's secret is another than the device has.
pub(super) fn is_changed(error: &PeerError) -> bool {
    matches!(error, PeerError::Sync(SyncError::SecretChanged { .. }))
}

fn is_another_code(error: &PeerError) -> bool {
    matches!(error, PeerError::Sync(SyncError::Keystone(KeystoneError::CodeRefused)))
}
