//! Phase 4.9: both sides edited one text.

use serde_json::{Value, json};

use super::super::checks::shown;
use super::super::device::Device;
use super::super::error::VerifyError;
use super::super::world::World;
use super::merge::two_devices;
use crate::ibgib::TjpAddr;
use crate::peer::ReceiverLink;
use crate::sync::sender::TipChangeKind;

const MIDDLE: &str = "The middle stays as it is.\n";

/// Phase 4.9: appends at both ends, and edits in different paragraphs.
pub fn text<L: ReceiverLink>(world: &mut World<'_, L>) -> Result<(), VerifyError> {
    let (one, two, x) = two_devices(world, json!({"text": MIDDLE, "kind": "note"}))?;
    one.edit(&x, json!({"text": format!("A beginning.\n{MIDDLE}")}))?;
    two.edit(&x, json!({"text": format!("{MIDDLE}An end.\n")}))?;
    let expected = format!("A beginning.\n{MIDDLE}An end.\n");
    merged(world, "appends at both ends", (&one, &two), &x, &expected)?;

    one.edit(&x, json!({"text": "one two three"}))?;
    world.sync(&one, &[])?;
    world.sync(&two, &[])?;
    one.edit(&x, json!({"text": "zero one two three"}))?;
    two.edit(&x, json!({"text": "one two three four"}))?;
    merged(world, "appends on one line", (&one, &two), &x, "zero one two three four")?;

    let paragraphs = "First paragraph, as it was.\n\nSecond paragraph, as it was.\n\nThird \
                      paragraph, as it was.\n\nFourth paragraph, as it was.\n";
    let y = one.new_timeline("y", json!({ "text": paragraphs }))?;
    world.sync(&one, &[])?;
    world.sync(&two, &[])?;
    let first = paragraphs.replace("First paragraph, as it was", "First paragraph, rewritten");
    let third = paragraphs.replace("Third paragraph, as", "Third paragraph, almost as");
    one.edit(&y, json!({ "text": first }))?;
    two.edit(&y, json!({ "text": third }))?;
    let both = first.replace("Third paragraph, as", "Third paragraph, almost as");
    merged(world, "different paragraphs", (&one, &two), &y, &both)?;

    let fourth = both.replace("\n\nFourth paragraph, as it was.", "");
    let second = both.replace("Second paragraph", "Second and better paragraph");
    one.edit(&y, json!({ "text": fourth }))?;
    two.edit(&y, json!({ "text": second }))?;
    let both = fourth.replace("Second paragraph", "Second and better paragraph");
    merged(world, "a paragraph removed, another edited", (&one, &two), &y, &both)?;
    world.close(&[&one, &two], &[("X", &x), ("Y", &y)])
}

/// Syncs both devices, and asserts that the text is merged to this on both.
fn merged<L: ReceiverLink>(
    world: &mut World<'_, L>,
    case: &str,
    (one, two): (&Device, &Device),
    tjp: &TjpAddr,
    expected: &str,
) -> Result<(), VerifyError> {
    world.sync(one, &[])?;
    let summary = world.sync(two, &[])?;
    let change = summary.tips.iter().find(|change| change.tjp == *tjp);
    let how = shown(change.map(|change| change.how.name()));
    world.checks.equal(format!("{case}: what happened"), TipChangeKind::Merged.name(), how);
    world.sync(one, &[])?;
    let (here, there) = (one.tip(tjp)?, two.tip(tjp)?);
    world.checks.equal(format!("{case}: one tip"), here.addr()?, there.addr()?);
    let text = here.datum("text").and_then(Value::as_str);
    let text = shown(text.map(|text| format!("{text:?}")));
    world.checks.equal(format!("{case}: the merged text"), format!("{expected:?}"), text);
    Ok(())
}
