//! Phases 4.3 and 4.5: one side holds part of what the other has.

use serde_json::json;

use super::super::checks::shown;
use super::super::error::VerifyError;
use super::super::world::World;
use super::{held, lacking};
use crate::ibgib::Addr;
use crate::peer::ReceiverLink;
use crate::space::{Space, SpaceExt};
use crate::sync::sender::TipChangeKind;

/// Phase 4.3: the receiver holds the history up to V1; only what came after travels.
pub fn part_held<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let x = device.new_timeline("x", json!({"version": 1}))?;
    device.name("X", &x)?;
    world.sync(&device, &[&x])?;
    let v1 = device.tip_addr(&x)?;
    let before = held(&world.receiver()?, &[&x])?;

    let first = device.edit(&x, json!({"version": 2}))?;
    device.edit(&x, json!({"version": 3}))?;
    let v4 = device.edit(&x, json!({"version": 4}))?;
    let delta = lacking(&held(&device.space, &[&x])?, &before);
    let summary = world.sync(&device, &[&x])?;
    world.checks.equal("the delta: three frames and their dna", 6, delta);
    world.checks.equal("sent: the delta alone", delta, summary.sent);
    world.checks.equal("received", 0, summary.received);
    let change = summary.tips.first();
    let from = change.and_then(|change| change.from.as_ref());
    world.checks.equal("the common frame: V1", &v1, shown(from));
    world.checks.equal("the tip that both have", &v4, shown(change.map(|change| &change.to)));

    let there = world.receiver()?;
    let linked = there.get(&first)?;
    let linked = linked.as_ref().and_then(|frame| frame.prev());
    world.checks.equal("V2 links up to V1 there", &v1, shown(linked));
    let extends = match (there.find(&v4)?, there.find(&v1)?) {
        (Some(newer), Some(older)) => there.extends(newer, older)?,
        _ => false,
    };
    world.checks.is_true("V4 stands on V1 there", "reached", extends, "not reached");
    let after = held(&there, &[&x])?;
    world.checks.equal("nothing of the old history is lost", 0, lacking(&before, &after));
    world.close(&[&device], &[("X", &x)])
}

/// Phase 4.5: another device of the identity was here first; the sender pulls.
pub fn dest_ahead<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let one = world.sender()?;
    let x = one.new_timeline("x", json!({"version": 1}))?;
    one.name("X", &x)?;
    world.sync(&one, &[&x])?;
    let v1 = one.tip_addr(&x)?;

    let two = world.join()?;
    two.name("X", &x)?;
    let pulled = world.sync(&two, &[])?;
    let graph = held(&one.space, &[&x])?;
    world.checks.equal("the second device receives the whole graph", graph.len(), pulled.received);
    world.checks.equal("the second device sends", 0, pulled.sent);
    let v2 = two.edit(&x, json!({"version": 2}))?;
    let pushed = world.sync(&two, &[])?;
    world.checks.equal("the second device sends its edit: frame and dna", 2, pushed.sent);

    world.checks.equal("the sender's tip before", &v1, one.tip_addr(&x)?);
    let ahead = world.receiver()?.tip(&x)?.map(|tip| tip.addr);
    world.checks.equal("the receiver's tip before: ahead", &v2, shown(ahead));
    let summary = world.sync(&one, &[&x])?;
    learned(world, &summary, &v1, &v2);
    world.checks.equal("received: the newer frame and its dna", 2, summary.received);
    world.checks.equal("sent", 0, summary.sent);
    world.checks.equal("both converge: the sender's tip", &v2, one.tip_addr(&x)?);
    world.close(&[&one, &two], &[("X", &x)])
}

fn learned<L: ReceiverLink>(
    world: &mut World<'_, L>,
    summary: &crate::sync::Summary,
    v1: &Addr,
    v2: &Addr,
) {
    let change = summary.tips.first();
    let how = change.map(|change| change.how.name());
    world.checks.equal("what happened to X", TipChangeKind::Pulled.name(), shown(how));
    let from = change.and_then(|change| change.from.as_ref());
    world.checks.equal("from", v1, shown(from));
    world.checks.equal("to the tip that the receiver told", v2, shown(change.map(|c| &c.to)));
}
