//! A server on loopback and a client that syncs with it, both in one async runtime.

use std::error::Error;
use std::sync::Arc;

use sync_gib::ibgib::transform::timeline;
use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone::{self, MasterSecret, SecretString, presets};
use sync_gib::peer::{Device, Endpoint, Identity};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Domain, SpaceExt, SqliteSpace};
use sync_gib::sync::SenderOpts;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let opts = ServerOpts::new("127.0.0.1:0".parse()?, dir.path().join("server.db"));
    let server = Server::start(opts).await?;
    println!("listening on {}", server.url());

    // A space with an identity and a note.
    let secret = MasterSecret::from_raw(SecretString::from("an example, not a secret"))?;
    let genesis = keystone::locked_genesis(
        &secret,
        &presets::identity_pools(&System::new())?,
        None,
        None,
        &System::new(),
    )?;
    let space = SqliteSpace::create_if_missing(&dir.path().join("space.db"), Domain::Client)?;
    space.put_all(std::slice::from_ref(&genesis))?;
    let data = serde_json::json!({"title": "Groceries"}).as_object().cloned();
    let note: Vec<IbGib> = timeline("note", data, serde_json::Map::new(), &System::new())?;
    space.put_all(&note)?;

    let identity = Identity { domain: genesis.addr()?.into(), secret };
    let endpoint = Endpoint::new(&server.url(), None, false)?;
    let device = Device::new(Arc::new(space), identity, endpoint);
    device.register().await?;
    let first = device.sync(SenderOpts::new(dir.path().to_owned())).await?;
    println!("sent {}, session {}", first.summary.sent, first.session);
    assert_eq!(first.summary.sent, note.len() as u64);

    // The second sync has nothing to move.
    let second = device.sync(SenderOpts::new(dir.path().to_owned())).await?;
    assert_eq!((second.summary.sent, second.summary.received), (0, 0));
    println!("nothing new: {} turns", second.summary.turns);
    server.stop().await?;
    Ok(())
}
