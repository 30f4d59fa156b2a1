//! Phases 4.7 and 4.8: both sides edited one timeline.

use serde_json::{Value, json};

use super::super::checks::{listed, shown};
use super::super::device::Device;
use super::super::error::VerifyError;
use super::super::world::World;
use super::{held, lacking};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::peer::ReceiverLink;
use crate::space::{Space, SpaceExt};
use crate::sync::merge::{GRAFT_BASE, GRAFT_INFO, GRAFT_ORPHAN};
use crate::sync::sender::TipChangeKind;

/// Two devices that hold the same X.
pub(super) fn two_devices<L: ReceiverLink>(
    world: &mut World<'_, L>,
    data: Value,
) -> Result<(Device, Device, TjpAddr), VerifyError> {
    let one = world.sender()?;
    let x = one.new_timeline("x", data)?;
    one.name("X", &x)?;
    world.sync(&one, &[&x])?;
    let two = world.join()?;
    two.name("X", &x)?;
    world.sync(&two, &[])?;
    world.checks.equal("both devices begin with one X", one.tip_addr(&x)?, two.tip_addr(&x)?);
    Ok((one, two, x))
}

/// Phase 4.7: different fields were edited; the merged tip holds both edits.
pub fn divergence<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let base = json!({"title": "old", "body": "old", "left": "as it was"});
    let (one, two, x) = two_devices(world, base)?;
    let common = one.tip_addr(&x)?;
    let kept = one.edit(&x, json!({"title": "new"}))?;
    let orphan = two.edit(&x, json!({"body": "new"}))?;
    world.checks.is_true("V2 here and V2 there differ", "two tips", kept != orphan, &kept);
    world.sync(&one, &[])?;
    let before = held(&world.receiver()?, &[&x])?;
    let summary = world.sync(&two, &[])?;
    let change = summary.tips.first();
    let how = change.map(|change| change.how.name());
    world.checks.equal("what happened to X", TipChangeKind::Merged.name(), shown(how));
    let unreplayed = change.map(|change| change.unreplayed.len());
    world.checks.equal("edits that could not be replayed", 0, shown(unreplayed));
    let after = held(&world.receiver()?, &[&x])?;
    world.checks.equal("sent: exactly what is new there", lacking(&after, &before), summary.sent);

    let branches = Branches { common: &common, kept: &kept, orphan: &orphan };
    grafted(world, &two, &x, &branches)?;
    let merged = two.tip(&x)?;
    let datum = |key: &str| shown(merged.datum(key));
    world.checks.equal("the first device's edit in V3", "\"new\"", datum("title"));
    world.checks.equal("the second device's edit in V3", "\"new\"", datum("body"));
    world.checks.equal("an untouched field in V3", "\"as it was\"", datum("left"));

    world.sync(&one, &[])?;
    world.checks.equal("both devices on V3", merged.addr()?, one.tip_addr(&x)?);
    world.close(&[&one, &two], &[("X", &x)])
}

/// What two branches have in common, and where each ends.
struct Branches<'b> {
    common: &'b Addr,
    kept: &'b Addr,
    orphan: &'b Addr,
}

/// The graft metadata of a merged tip whose orphaned branch is one edit.
fn grafted<L: ReceiverLink>(
    world: &mut World<'_, L>,
    device: &Device,
    tjp: &TjpAddr,
    branches: &Branches<'_>,
) -> Result<(), VerifyError> {
    let Branches { common, kept, orphan } = *branches;
    let tip = device.tip(tjp)?;
    let rel8d = |name: &str| listed(tip.rel8d(name));
    world.checks.equal("V3 graftbase: the branch that stays", kept, rel8d(GRAFT_BASE));
    world.checks.equal("V3 graftorphan: the branch that was replayed", orphan, rel8d(GRAFT_ORPHAN));
    let kept_n = device.space.get(kept)?.and_then(|frame| frame.n()).map(|n| n + 2);
    world.checks.equal("V3 n: V2, the replayed edit, the graft", shown(kept_n), shown(tip.n()));

    let info = tip.rel8d(GRAFT_INFO).next().map(Addr::parse).transpose()?;
    let info = info.map(|addr| device.space.get(&addr)).transpose()?.flatten();
    let text = |key: &str| shown(info.as_ref().and_then(|info| info.datum(key)?.as_str()));
    world.checks.equal("graft info: base", kept, text("graftBase"));
    world.checks.equal("graft info: orphan", orphan, text("graftOrphan"));
    world.checks.equal("graft info: common frame", common, text("commonFrame"));
    let replayed = info.as_ref().and_then(|info| info.datum("replayed")?.as_array());
    let field = |key: &'static str| {
        let entries = replayed.into_iter().flatten();
        listed(entries.map(move |entry| shown(entry.get(key).and_then(Value::as_str))))
    };
    world.checks.equal("graft info: the replayed frame", orphan, field("frame"));
    let dna = device.space.get(orphan)?;
    let dna = dna.as_ref().and_then(|frame| frame.rel8d("dna").next_back());
    world.checks.equal("graft info: its dna", shown(dna), field("dna"));

    let there = world.receiver()?;
    let reaches = |older: &Addr| -> Result<bool, VerifyError> {
        Ok(match (there.find(&tip.addr()?)?, there.find(older)?) {
            (Some(newer), Some(older)) => there.extends(newer, older)?,
            _ => false,
        })
    };
    let (base, orphaned) = (reaches(kept)?, reaches(orphan)?);
    world.checks.is_true("the kept branch is reached from V3 there", "reached", base, "lost");
    world.checks.is_true("the orphan is reached from V3 there", "reached", orphaned, "lost");
    Ok(())
}

/// Phase 4.8: one of the divergent edits relates a new timeline, Beta.
pub fn relates<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let (one, two, x) = two_devices(world, json!({"title": "alpha"}))?;
    one.edit(&x, json!({"title": "alpha, edited"}))?;
    let beta = two.new_timeline("beta", json!({"name": "Beta"}))?;
    let related = two.tip_addr(&beta)?;
    let orphan = two.relate(&x, "friend", &related)?;
    // Beta goes on after it was related: its latest frame must come along anyway.
    let latest = two.edit(&beta, json!({"name": "Beta, edited"}))?;

    world.sync(&one, &[&x])?;
    let there = world.receiver()?;
    let absent = there.tip(&beta)?.map(|tip| tip.addr);
    world.checks.equal("Beta there before", "absent", shown(absent));
    let before = held(&there, &[&x, &beta])?;
    let summary = world.sync(&two, &[&x])?;
    let after = held(&there, &[&x, &beta])?;
    world.checks.equal("sent: exactly what is new there", lacking(&after, &before), summary.sent);
    let arrived = there.tip(&beta)?.map(|tip| tip.addr);
    world.checks.equal("Beta arrived with the merge, at its tip", &latest, shown(arrived));
    let merged = two.tip(&x)?;
    both_edits(world, &merged, &related, &orphan);

    let pulled = world.sync(&one, &[&x])?;
    let how = |tjp: &TjpAddr| {
        let change = pulled.tips.iter().find(|change| change.tjp == *tjp);
        shown(change.map(|change| change.how.name()))
    };
    world.checks.equal("the first device pulls X", "pulled", how(&x));
    world.checks.equal("the first device pulls Beta with it", "pulled", how(&beta));
    let beta_here = one.space.tip(&beta)?.map(|tip| tip.addr);
    world.checks.equal("Beta on the first device", &latest, shown(beta_here));
    world.checks.equal("both devices on one X", merged.addr()?, one.tip_addr(&x)?);
    world.close(&[&one, &two], &[("X", &x), ("Beta", &beta)])
}

fn both_edits<L: ReceiverLink>(
    world: &mut World<'_, L>,
    merged: &IbGib,
    related: &Addr,
    orphan: &Addr,
) {
    let title = shown(merged.datum("title"));
    world.checks.equal("the first device's edit in the merge", "\"alpha, edited\"", title);
    let friend = listed(merged.rel8d("friend"));
    world.checks.equal("the merge relates Beta", related, friend);
    world.checks.equal("graftorphan", orphan, listed(merged.rel8d(GRAFT_ORPHAN)));
}
