//! How things end in a world: identities by their revocation, and the world itself, once all is well
//! again.

use std::rc::Rc;
use std::sync::Arc;

use super::device::Device;
use super::invariants::{ACKNOWLEDGED, CONVERGENCE};
use super::world::World;
use crate::ibgib::Environment;
use crate::peer::client;

/// Why somebody revokes.
const REASONS: [&str; 3] = ["lost", "stolen", "not needed"];
/// How often all devices sync at the end until they must agree.
const ROUNDS: usize = 6;

impl World {
    /// Now and then an identity is revoked at the end, when it has data to lose.
    pub(super) fn end_an_identity(&self) {
        if self.choose().chance(200) {
            let devices = self.all_devices();
            self.revoke_at_last(&devices[self.choose().below(devices.len())]);
        }
    }

    /// Revokes, and again where that did not come about.
    pub(super) fn revoke_at_last(&self, device: &Rc<Device>) {
        if device.is_joined.get() && self.choose().chance(700) {
            while !self.revoke(device) && self.choose().chance(700) {}
        }
    }

    /// Whether a device revoked its identity.
    pub(super) fn revoke(&self, device: &Rc<Device>) -> bool {
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
}
