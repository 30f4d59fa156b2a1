//! Phases 3, 4.1, 4.4 and 4.6: what is here only goes to the receiver.

use serde_json::{Value, json};

use super::super::checks::{listed, shown};
use super::super::error::VerifyError;
use super::super::sides::frames;
use super::super::world::World;
use super::{held, lacking};
use crate::ibgib::transform::{Kind, Opts};
use crate::ibgib::{Addr, IbGib, System, TjpAddr};
use crate::peer::ReceiverLink;
use crate::space::{Space, SpaceExt};
use crate::sync::establish::random_id;

/// How many edits phase 4.4 makes.
const DEEP: u64 = 300;

/// Phase 3: a test X, and the identities that synced it, on both sides.
pub fn single<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let x = device
        .new_timeline("x", json!({"hello": "world", "random": random_id(&System::new())?}))?;
    device.name("X", &x)?;
    let graph = held(&device.space, &[&x])?;
    let summary = world.sync(&device, &[&x])?;
    world.checks.equal("outgoing turns: init, delta, commit", 3, summary.turns);
    world.checks.equal("sent: X's whole graph", graph.len(), summary.sent);
    world.checks.equal("received", 0, summary.received);
    let session = world.runs.last().map(|run| run.session.clone());
    world.checks.equal("S is named here", shown(session), shown(device.space.name("S")?));
    world.close(&[&device], &[("X", &x)])
}

/// Phase 4.1: one timeline and its mutations, of every kind.
pub fn mutations<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let x = device.new_timeline("x", json!({"title": "one", "draft": true, "titel": "typo"}))?;
    device.name("X", &x)?;
    device.edit(&x, json!({"title": "two", "list": [1, {"b": 1, "a": 2}]}))?;
    let removed = Opts::next_frame().set("dataToRemove", json!({"draft": ""}));
    device.change(&x, Kind::Mut8, &removed.build())?;
    let renamed = Opts::next_frame().set("dataToRename", json!({"titel": "subtitle"}));
    device.change(&x, Kind::Mut8, &renamed.build())?;
    let tag = device.stone(json!("red"), &[])?;
    device.relate(&x, "tag", &tag)?;
    let last = device.edit(&x, json!({"title": "three"}))?;

    let graph = held(&device.space, &[&x])?;
    let summary = world.sync(&device, &[&x])?;
    world.checks.equal(
        "sent: the timeline, its dna, what it relates to",
        graph.len(),
        summary.sent,
    );
    let there = world.receiver()?;
    let tip = there.tip(&x)?;
    world.checks.equal("the receiver's tip", &last, shown(tip.as_ref().map(|tip| &tip.addr)));
    world.checks.equal("the tip's n", 6, shown(tip.map(|tip| tip.n)));
    let received = there.get(&last)?;
    let datum = |key: &str| shown(received.as_ref().and_then(|tip| tip.datum(key)).map(text));
    world.checks.equal("a changed field", "\"three\"", datum("title"));
    world.checks.equal("a removed field", "absent", datum("draft"));
    world.checks.equal("a renamed field", "\"typo\"", datum("subtitle"));
    let list = r#"[1,{"b":1,"a":2}]"#;
    world.checks.equal("a list, with its objects' key order", list, datum("list"));
    let related = received.as_ref().and_then(|tip| tip.rel8d("tag").next());
    world.checks.equal("a relation", &tag, shown(related));
    same_frames(world, &device.space, &there, &x)?;
    world.close(&[&device], &[("X", &x)])
}

/// Phase 4.4: a deep history arrives whole, frame by frame.
pub fn deep<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let x = device.new_timeline("x", json!({"count": 0}))?;
    device.name("X", &x)?;
    device.edit_often(&x, (1..=DEEP).map(|count| json!({ "count": count })))?;
    let graph = held(&device.space, &[&x])?;
    let summary = world.sync(&device, &[&x])?;
    world.checks.equal("sent: every frame and its dna", graph.len(), summary.sent);
    let there = world.receiver()?;
    world.checks.equal("the tip's n there", DEEP + 1, shown(there.tip(&x)?.map(|tip| tip.n)));
    let mut counts = Vec::new();
    if let Some(tjp_id) = there.find(&x)? {
        for n in 1..=DEEP + 1 {
            let frame = there.frame_at(tjp_id, n)?.map(|id| there.get_id(id)).transpose()?;
            counts.push(shown(frame.as_ref().and_then(|frame| frame.datum("count"))));
        }
    }
    let what = format!("every one of the {DEEP} edits is there, in order");
    world.checks.equal(what, listed(0..=DEEP), listed(counts));
    same_frames(world, &device.space, &there, &x)?;

    device.edit(&x, json!({"count": "one more"}))?;
    let more = world.sync(&device, &[&x])?;
    world.checks.equal("one more edit: sent", 2, more.sent);
    world.checks.equal("one more edit: turns", 3, more.turns);
    world.close(&[&device], &[("X", &x)])
}

/// Phase 4.6: several timelines in one call, and what was not asked for stays here.
pub fn several<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let device = world.sender()?;
    let a = device.new_timeline("alpha", json!({"name": "A"}))?;
    device.name("X", &a)?;
    let b = device.new_timeline("beta", json!({"name": "B"}))?;
    let c = device.new_timeline("gamma", json!({"name": "C"}))?;
    let stone = device.stone(json!({"of": "B"}), &[])?;
    device.edit(&a, json!({"more": 1}))?;
    device.relate(&b, "note", &stone)?;
    device.edit(&b, json!({"more": 2}))?;

    let graph = held(&device.space, &[&a, &b])?;
    let summary = world.sync(&device, &[&a, &b])?;
    world.checks.equal("one saga for both timelines: turns", 3, summary.turns);
    world.checks.equal("sent: both graphs", graph.len(), summary.sent);
    let mut moved: Vec<&TjpAddr> = summary.tips.iter().map(|tip| &tip.tjp).collect();
    moved.sort();
    let mut asked = vec![&a, &b];
    asked.sort();
    world.checks.equal("tips that moved: A and B", listed(asked), listed(moved));
    let there = world.receiver()?;
    let absent = there.tip(&c)?.map(|tip| tip.addr);
    world.checks.equal("C, which was not asked for, there", "absent", shown(absent));

    let before = held(&there, &[&a, &b])?;
    let rest = lacking(&held(&device.space, &[&a, &b, &c])?, &before);
    let summary = world.sync(&device, &[])?;
    world.checks.equal("a sync of everything: sent, C alone", rest, summary.sent);
    world.checks.equal("a sync of everything: equal timelines", 2, summary.equal);
    world.close(&[&device], &[("A", &a), ("B", &b), ("C", &c)])
}

/// Asserts that a timeline has the same frames, in the same order, on both sides.
fn same_frames<L: ReceiverLink>(
    world: &mut World<'_, L>,
    here: &dyn Space,
    there: &dyn Space,
    tjp: &TjpAddr,
) -> Result<(), VerifyError> {
    let addrs = |frames: Result<Vec<IbGib>, String>| -> Result<Vec<Addr>, VerifyError> {
        let frames = frames.map_err(VerifyError::Absent)?;
        Ok(frames.iter().map(IbGib::addr).collect::<Result<_, _>>()?)
    };
    let (here, there) = (addrs(frames(here, tjp))?, addrs(frames(there, tjp))?);
    world.checks.equal("frames reached through past", here.len(), there.len());
    let differs = here.iter().zip(&there).find(|(here, there)| here != there);
    let found = differs.map_or(Ok(()), |(here, there)| Err(format!("{there} for {here}")));
    world.checks.holds("each frame stands on the one before, as here", "the same", found);
    Ok(())
}

fn text(value: &Value) -> String {
    crate::ibgib::json::stringify(value)
}
