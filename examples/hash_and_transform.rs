//! Makes a timeline and a stone, changes the one and relates it to the other, and checks every hash.

use std::error::Error;

use serde_json::json;
use sync_gib::ibgib::transform::{Mut8, Rel8, timeline};
use sync_gib::ibgib::{IbGib, System};

fn main() -> Result<(), Box<dyn Error>> {
    // A stone is its content and never changes: who makes it again has the same address.
    let stone = IbGib::new("tag".into(), Some(json!("red")), None)?;
    println!("stone  {}", stone.addr()?);

    // A timeline begins with a frame that is unique; each change is one more frame, and its dna.
    let data = json!({"title": "Groceries", "draft": true}).as_object().cloned();
    let mut all = timeline("note", data, serde_json::Map::new(), &System::new())?;
    let Some(tip) = all.last().cloned() else { return Err("a timeline has frames".into()) };
    println!("n {}    {}", tip.n().unwrap_or(0), tip.addr()?);

    let edit = Mut8::next_frame_on(&tip).set("title", "Shopping").remove("draft");
    let made = edit.of(&tip, &System::new())?;
    let tip = made.new_ibgib.clone();
    all.extend(made.into_all());
    println!("n {}    {}", tip.n().unwrap_or(0), tip.addr()?);

    let related = Rel8::next_frame_on(&tip).add("tag", &stone.addr()?).of(&tip, &System::new())?;
    let tip = related.new_ibgib.clone();
    all.extend(related.into_all());
    println!("n {}    {}", tip.n().unwrap_or(0), tip.addr()?);
    assert_eq!(tip.rel8d("tag").next(), Some(stone.addr()?.as_str()));

    // Whatever is read from elsewhere is compared with its own hash.
    for ibgib in &all {
        assert_eq!(IbGib::from_json(&ibgib.to_json())?.validate()?, ibgib.addr()?);
    }
    let forged = tip.to_json().replace("Shopping", "Shipping");
    let refused = IbGib::from_json(&forged)?.validate().err().ok_or("a changed text was taken")?;
    println!("forged {refused}");
    Ok(())
}
