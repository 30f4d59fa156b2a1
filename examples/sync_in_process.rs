//! Two spaces in one process: what is made in the one is synced to the other, and back.

use std::error::Error;
use std::path::Path;

use sync_gib::ibgib::transform::{Mut8, timeline};
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::keystone::{self, MasterSecret, SecretString, presets};
use sync_gib::peer::{Identity, InProcess, NoObserver, ReceiverLink, client};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};
use sync_gib::sync::SenderOpts;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let secret = MasterSecret::from_raw(SecretString::from("an example, not a secret"))?;
    let genesis = keystone::genesis(
        &secret,
        &presets::identity_pools(&System::new())?,
        None,
        &System::new(),
    )?;
    let identity = Identity { domain: genesis.addr()?.into(), secret };

    // The receiver keeps the identity's domain; each device has a space of its own.
    let receiver =
        SqliteSpace::create_if_missing(&dir.path().join("receiver.db"), &identity.domain)?;
    let link = InProcess::new(receiver, dir.path().to_owned());
    link.register(&genesis)?;
    let laptop = device(&dir.path().join("laptop.db"), &genesis)?;
    let phone = device(&dir.path().join("phone.db"), &genesis)?;

    let data = serde_json::json!({"title": "Groceries"}).as_object().cloned();
    let made = timeline("note", data, serde_json::Map::new(), &System::new())?;
    let tjp = made.last().and_then(IbGib::tjp_addr).ok_or("a timeline has a tjp")?;
    let tjp = TjpAddr::parse(&tjp)?;
    laptop.put_all(&made)?;

    let opts = SenderOpts::new(dir.path().to_owned());
    let sync = |space: &SqliteSpace| client::sync(space, &link, &identity, &opts, &mut NoObserver);
    println!("laptop sent {}", sync(&laptop)?.summary.sent);
    println!("phone received {}", sync(&phone)?.summary.received);

    // Both edit the note; whoever syncs second merges, and the first one takes the merge over.
    edit(&laptop, &tjp, "title", "Shopping")?;
    edit(&phone, &tjp, "text", "milk")?;
    sync(&laptop)?;
    sync(&phone)?;
    sync(&laptop)?;
    let (here, there) = (tip(&laptop, &tjp)?, tip(&phone, &tjp)?);
    assert_eq!(here, there);
    assert_eq!(here.datum("title"), Some(&"Shopping".into()));
    assert_eq!(here.datum("text"), Some(&"milk".into()));
    println!("both are at {}", here.addr()?);
    Ok(())
}

/// A device's space, which holds the identity.
fn device(path: &Path, genesis: &IbGib) -> Result<SqliteSpace, Box<dyn Error>> {
    let space = SqliteSpace::create_if_missing(path, Domain::Client)?;
    space.put_all(std::slice::from_ref(genesis))?;
    Ok(space)
}

/// The newest frame of a timeline.
fn tip(space: &SqliteSpace, tjp: &TjpAddr) -> Result<IbGib, Box<dyn Error>> {
    let tip = space.tip(tjp)?.ok_or("the timeline is not here")?;
    Ok(space.get_id(tip.id)?)
}

fn edit(
    space: &SqliteSpace,
    tjp: &TjpAddr,
    field: &str,
    value: &str,
) -> Result<(), Box<dyn Error>> {
    let tip = tip(space, tjp)?;
    let made = Mut8::next_frame_on(&tip).set(field, value).of(&tip, &System::new())?;
    space.put_all(&made.into_all())?;
    Ok(())
}
