//! A client's space with an identity, which every test of a sync begins with.

use secrecy::SecretString;
use sync_gib::ibgib::IbGib;
use sync_gib::keystone::MasterSecret;
use sync_gib::peer::Identity;
use sync_gib::space::{Domain, SpaceExt, SqliteSpace};

/// A client's space with an identity, and the folder that holds it.
pub struct Device {
    pub dir: tempfile::TempDir,
    pub space: SqliteSpace,
    pub identity: Identity,
    pub genesis: IbGib,
}

impl Device {
    /// A device of the identity that begins with `genesis`, which this secret signs for.
    pub fn of(genesis: IbGib, secret: MasterSecret) -> Device {
        let dir = tempfile::tempdir().unwrap();
        let space =
            SqliteSpace::create_if_missing(&dir.path().join("space.db"), Domain::Client).unwrap();
        space.put_all(std::slice::from_ref(&genesis)).unwrap();
        let identity = Identity { domain: genesis.addr().unwrap().into(), secret };
        Device { dir, space, identity, genesis }
    }
}

pub fn secret_of(text: &str) -> MasterSecret {
    MasterSecret::from_raw(SecretString::from(text)).unwrap()
}
