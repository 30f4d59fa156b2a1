//! Phase 4.2: constants, which have no tjp, with the constants that they link.

use serde_json::json;

use super::super::error::VerifyError;
use super::super::world::World;
use super::held;
use crate::ibgib::Addr;
use crate::peer::ReceiverLink;

/// Phase 4.2: they arrive with what they link; what the receiver has is never sent again.
pub fn constants<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let a = device.stone(json!("a"), &[])?;
    let b = device.stone(json!({"name": "b"}), &[&a])?;
    let c = device.stone(json!({"name": "c"}), &[&a, &b])?;

    let summary = world.sync(&device, &[])?;
    world.checks.equal("sent: the constant and the two it links", 3, summary.sent);
    let again = world.sync(&device, &[])?;
    world.checks.equal("a second sync: sent", 0, again.sent);
    world.checks.equal("a second sync: received", 0, again.received);
    world.checks.equal("a second sync: bytes of payload", 0, again.bytes());
    world.checks.equal("a second sync: turns, init and commit", 2, again.turns);

    let d = device.stone(json!({"name": "d"}), &[&a, &c])?;
    let summary = world.sync(&device, &[])?;
    world.checks.equal("a new constant that links old ones: sent, itself alone", 1, summary.sent);
    let e = device.stone(json!({"name": "e"}), &[&b])?;
    let f = device.stone(json!({"name": "f"}), &[&b])?;
    let summary = world.sync(&device, &[&e])?;
    world.checks.equal("a constant asked for by address: sent", 1, summary.sent);
    let held_f = held(&world.receiver()?, &[&f])?.len();
    world.checks.equal("a constant not asked for, there", 0, held_f);

    let t = device.new_timeline("t", json!({"of": "constants"}))?;
    device.name("X", &t)?;
    device.relate(&t, "linked", &c)?;
    let graph = held(&device.space, &[&t])?;
    let old = held(&device.space, &[&c])?.len();
    let summary = world.sync(&device, &[&t])?;
    let what = "a timeline that relates old constants: sent, without them";
    world.checks.equal(what, graph.len() - old, summary.sent);
    world.sync(&device, &[])?;
    let all: [(&str, &Addr); 7] =
        [("a", &a), ("b", &b), ("c", &c), ("d", &d), ("e", &e), ("f", &f), ("T", &t)];
    world.close(&[&device], &all)
}
