//! What somebody hostile tries against the server, with and without a secret.

mod identities;
mod locked;
mod raw;
mod restored;
mod turns;

use super::device::Person;
use super::invariants::{ATTACK, HONEST};
use super::server::Step;
use super::world::World;
use crate::ibgib::{Environment, Moment};
use crate::space::Space;
use raw::Ended;

impl World {
    /// Says an old request or an old session again.
    pub(super) fn say_again(&self) {
        if self.choose().chance(500) {
            self.post_again();
        } else {
            self.talk_again();
        }
    }

    /// A request that was heard before says nothing new.
    fn post_again(&self) {
        let requests = self.requests.borrow().clone();
        if requests.is_empty() || self.server.is_dead() {
            return;
        }
        let at = self.choose().below(requests.len());
        let (what, domain, body) = &requests[at];
        self.trace.line(format_args!("an old request is made again: {what}"));
        let ended = match what.as_str() {
            "evolve" => self.server.evolve(domain, body),
            "revoke" => self.server.revoke(domain, body),
            "renew" => self.server.renew(domain, body),
            "register" => self.server.register(body).map(drop),
            _ => return,
        };
        self.trace.line(format_args!("  {ended:?}"));
    }

    /// A session that was talked before is not talked again.
    fn talk_again(&self) {
        let sessions = self.sessions.borrow().clone();
        if sessions.is_empty() || self.server.is_dead() {
            return;
        }
        let at = self.choose().below(sessions.len());
        self.trace.line("an old session is said again");
        let before = self.stored();
        let Some(connection) = self.server.open() else { return };
        for text in &sessions[at] {
            if matches!(self.server.step(connection, text), Step::Gone) {
                break;
            }
        }
        self.server.close(connection);
        if self.stored() != before {
            self.note_broken(ATTACK, "a session that was said again stored something");
        }
    }

    /// How many ibGibs each domain of the server holds.
    pub(super) fn stored(&self) -> Vec<u64> {
        let domains = self.people.iter().map(|person| self.server.disk(&person.domain));
        domains.map(|disk| disk.count().map_or(0, |count| count.ibgibs)).collect()
    }

    /// Tries something that must be refused, and now and then something that must not.
    pub(super) fn attack(&self) {
        if self.server.is_dead() {
            return;
        }
        let at = self.choose().below(self.people.len());
        let (owner, other) = (&self.person_now(at), &self.person_now((at + 1) % self.people.len()));
        let (before, is_revoked) = (self.stored(), self.is_revoked(at));
        let (kind, way) = self.choose_attack();
        self.trace.line(format_args!("somebody attacks {}: {kind} {way}", owner.label));
        let ended = match kind {
            "forgery" => self.attack_by_forging(owner, way),
            "steps" => self.attack_steps(owner, other, way),
            "proof" => self.attack_proof(owner, other, way),
            "revoked" => self.attack_revoked(way),
            "turns" => self.attack_turns(owner, other, way),
            "locked" => self.attack_locked(way),
            _ if is_revoked => return,
            _ => return self.expect_taken(self.keep_to_the_rules(at, owner, way % 2), owner),
        };
        match ended {
            Err(Ended::Refused(refusal)) => {
                self.trace.line(format_args!("  refused ({:?}) {}", refusal.code, refusal.message));
            }
            Err(Ended::Gone) => self.trace.line("  not possible"),
            Ok(()) => self.note_broken(ATTACK, format!("{kind} {way} was taken")),
        }
        // I may have gone on, and S may have proved itself: nothing else.
        let data = self.stored();
        if data != before {
            self.trace.line(format_args!("  stored {before:?} -> {data:?}"));
        }
    }

    /// A kind of attacks, and one of it: all are as likely.
    fn choose_attack(&self) -> (&'static str, usize) {
        let kinds = [
            ("forgery", identities::CHANGES),
            ("steps", 12),
            ("proof", 11),
            ("revoked", 7),
            ("no rule", 4),
            ("turns", turns::TURNS),
            ("locked", if self.is_locked { locked::LOCKED } else { 0 }),
        ];
        let mut way = self.choose().below(kinds.iter().map(|(_, ways)| ways).sum());
        for (kind, ways) in kinds {
            match way < ways {
                true => return (kind, way),
                false => way -= ways,
            }
        }
        ("no rule", 0)
    }

    /// What keeps to all rules is taken, unless nobody is there to take it.
    fn expect_taken(&self, ended: Result<(), Ended>, owner: &Person) {
        let is_registered = self.server.has(&owner.domain, &owner.domain);
        if let Err(Ended::Refused(refusal)) = ended
            && !self.server.is_dead()
            && is_registered
        {
            let detail = format!("what kept to all rules was refused: {}", refusal.message);
            self.note_broken(HONEST, detail);
        }
    }

    /// The time of whoever attacks.
    fn now(&self) -> Moment {
        self.enemy.now()
    }
}
