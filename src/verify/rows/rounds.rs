//! Phase 4.10: many rounds of parallel edits on several timelines.

use serde_json::{Value, json};

use super::super::checks::shown;
use super::super::device::Device;
use super::super::error::VerifyError;
use super::super::world::World;
use crate::ibgib::{Addr, TjpAddr};
use crate::peer::ReceiverLink;
use crate::space::Space;
use crate::sync::sender::TipChangeKind;

/// How many rounds.
const ROUNDS: usize = 6;
/// The timelines that both devices edit in every round.
const SHARED: [&str; 3] = ["alpha", "beta", "gamma"];

/// A timeline, and what it is called in assertions.
struct Named {
    name: String,
    tjp: TjpAddr,
}

/// Phase 4.10: in every round both devices edit every timeline, text included, and make new ones;
/// who syncs first changes. All end on the same tips, and no edit is lost.
pub fn rounds<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let one = world.sender()?;
    let mut all = Vec::new();
    for name in SHARED {
        let tjp = one.new_timeline(name, json!({"text": "the middle\n"}))?;
        all.push(Named { name: name.to_owned(), tjp });
    }
    one.name("X", &all[0].tjp)?;
    world.sync(&one, &[])?;
    let two = world.join()?;
    two.name("X", &all[0].tjp)?;
    world.sync(&two, &[])?;

    let mut merges = 0;
    for round in 0..ROUNDS {
        for device in [&one, &two] {
            all.extend(edit_all(device, round, &all)?);
        }
        let order = if round % 2 == 0 { [&one, &two] } else { [&two, &one] };
        for device in order {
            merges += world.sync(device, &[])?.tips.iter().filter(is_merge).count();
        }
        // In every third round the first device goes on without what the second one merged, so
        // that later merges begin at merges.
        if round % 3 != 2 {
            world.sync(order[0], &[])?;
        }
    }
    for device in [&one, &two, &one] {
        merges += world.sync(device, &[])?.tips.iter().filter(is_merge).count();
    }
    let enough = merges >= ROUNDS * SHARED.len();
    world.checks.is_true("merges on the way", "one a round and timeline", enough, merges);
    no_edit_is_lost(world, &one, &all)?;
    one_tip(world, (&one, &two), &all)?;
    settled(world, &[&two, &one])?;
    let roots: Vec<(&str, &Addr)> =
        all.iter().map(|named| (named.name.as_str(), &*named.tjp)).collect();
    world.close(&[&one, &two], &roots)
}

fn is_merge(change: &&crate::sync::sender::TipChange) -> bool {
    change.how == TipChangeKind::Merged
}

/// One device's edits of a round: a field and a line of text in every shared timeline; in rounds
/// 1 and 4 a new timeline, which one of the shared ones relates to. Returns it.
fn edit_all(device: &Device, round: usize, all: &[Named]) -> Result<Vec<Named>, VerifyError> {
    let mut new = Vec::new();
    for named in all.iter().take(SHARED.len()) {
        let tip = device.tip(&named.tjp)?;
        let text = tip.datum("text").and_then(Value::as_str).unwrap_or_default();
        let line = line(device, round);
        let text = match device.label {
            super::super::world::SENDER => format!("{line}\n{text}"),
            _ => format!("{text}{line}\n"),
        };
        device.edit(&named.tjp, json!({ field(device, round): round, "text": text }))?;
    }
    if round % 3 == 1 {
        let name = format!("{} of round {round}", device.label);
        let tjp = device.new_timeline("new", json!({ "name": name }))?;
        device.relate(&all[round % SHARED.len()].tjp, device.label, &tjp)?;
        device.edit(&tjp, json!({"edited": true}))?;
        new.push(Named { name, tjp });
    }
    Ok(new)
}

fn field(device: &Device, round: usize) -> String {
    format!("{}{round}", device.label)
}

fn line(device: &Device, round: usize) -> String {
    format!("{}, round {round}", device.label)
}

/// Every field and every line of every round stands in every shared timeline, each line once.
fn no_edit_is_lost<L: ReceiverLink>(
    world: &mut World<'_, L>,
    device: &Device,
    all: &[Named],
) -> Result<(), VerifyError> {
    for named in all.iter().take(SHARED.len()) {
        let tip = device.tip(&named.tjp)?;
        let text = tip.datum("text").and_then(Value::as_str).unwrap_or_default();
        let (mut fields, mut lines) = (0, 0);
        for label in [super::super::world::SENDER, super::super::world::SECOND] {
            for round in 0..ROUNDS {
                let value = tip.datum(&format!("{label}{round}"));
                fields += usize::from(value == Some(&json!(round)));
                let line = format!("{label}, round {round}");
                lines += usize::from(text.lines().filter(|found| *found == line).count() == 1);
            }
        }
        let name = &named.name;
        world.checks.equal(format!("{name}: every field of every round"), 2 * ROUNDS, fields);
        world.checks.equal(format!("{name}: every line of every round, once"), 2 * ROUNDS, lines);
        let middle = text.lines().filter(|line| *line == "the middle").count();
        world.checks.equal(format!("{name}: the line that nobody touched, once"), 1, middle);
    }
    Ok(())
}

/// Both devices and the receiver stand on the same tips.
fn one_tip<L: ReceiverLink>(
    world: &mut World<'_, L>,
    (one, two): (&Device, &Device),
    all: &[Named],
) -> Result<(), VerifyError> {
    let there = world.receiver()?;
    for Named { name, tjp } in all {
        let tip = |space: &dyn Space| -> Result<String, VerifyError> {
            Ok(shown(space.tip(tjp)?.map(|tip| tip.addr)))
        };
        let expected = tip(&there)?;
        world.checks.equal(format!("{name}: first device's tip"), &expected, tip(&one.space)?);
        world.checks.equal(format!("{name}: second device's tip"), &expected, tip(&two.space)?);
    }
    Ok(())
}

/// Nothing is left to move.
fn settled<L: ReceiverLink>(
    world: &mut World<'_, L>,
    devices: &[&Device],
) -> Result<(), VerifyError> {
    for device in devices {
        let summary = world.sync(device, &[])?;
        let what = format!("one more sync moves ({})", device.label);
        world.checks.equal(what, 0, summary.ibgibs());
    }
    Ok(())
}
