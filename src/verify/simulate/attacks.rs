//! What somebody hostile tries against the server, with and without a secret.

use super::invariants::ATTACK;
use super::server::Step;
use super::world::World;
use crate::space::Space;

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

    /// Tries something that must be refused.
    pub(super) fn attack(&self) {}
}
