//! What a row works in: an identity, its devices, a receiver, and the assertions so far.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::checks::Checks;
use super::device::Device;
use super::error::VerifyError;
use super::sides::{none_of, replay};
use crate::ibgib::{Addr, IbGib, System, TjpAddr};
use crate::keystone::{self, KdfParams, MasterSecret, Replay, StepsOnly, presets};
use crate::peer::{Identity, NoObserver, ReceiverLink, client, identity};
use crate::space::{Domain, SpaceExt, SqliteSpace};
use crate::sync::establish::random_id;
use crate::sync::msg::Token;
use crate::sync::{Summary, SyncError};

/// The first device, and the folder of its home.
pub(super) const SENDER: &str = "sender";
/// The second device, and the folder of its home.
pub(super) const SECOND: &str = "second";

/// A row's folder, and the identity that is made for the row.
pub struct RowFolder {
    dir: PathBuf,
    secret: MasterSecret,
    genesis: IbGib,
    domain: TjpAddr,
}

impl RowFolder {
    /// Makes the folder, a random secret (kept in the file `secret`, for its owner alone) and the
    /// identity's genesis.
    pub fn make(dir: &Path) -> Result<RowFolder, VerifyError> {
        let doing = || format!("make {}", dir.display());
        fs::create_dir_all(dir).map_err(VerifyError::io(doing()))?;
        let secret = SecretString::from(random_id(&System::new())?);
        write_secret(&dir.join("secret"), &secret)?;
        let secret = MasterSecret::from_raw(secret)?;
        let pools = presets::identity_pools(&System::new())?;
        let details = json!({ "kdf": KdfParams::Raw.to_value() });
        let genesis = keystone::genesis(&secret, &pools, Some(details), &System::new())?;
        let domain = genesis.addr()?.into();
        let place = RowFolder { dir: dir.to_owned(), secret, genesis, domain };
        place.device_dir(SENDER)?;
        Ok(place)
    }

    /// The tjp address of the identity.
    pub fn domain(&self) -> &TjpAddr {
        &self.domain
    }

    /// The file of the receiver's space: where the receiver embedded in the program looks for it in
    /// the sender's home.
    pub(super) fn receiver_path(&self) -> PathBuf {
        self.dir.join(SENDER).join("receiver.db")
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folder of a device, for its owner alone.
    fn device_dir(&self, label: &str) -> Result<PathBuf, VerifyError> {
        let dir = self.dir.join(label);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let doing = || format!("make the home folder {}", dir.display());
        builder.create(&dir).map_err(VerifyError::io(doing()))?;
        Ok(dir)
    }

    fn identity(&self) -> Identity {
        Identity { domain: self.domain.clone(), secret: self.secret.clone() }
    }

    fn device(&self, label: &'static str, frames: &[IbGib]) -> Result<Device, VerifyError> {
        let dir = self.device_dir(label)?;
        let space = SqliteSpace::create_if_missing(&dir.join("space.db"), Domain::Client)?;
        space.put_all(frames)?;
        let device = Device { label, dir, space, identity: self.identity() };
        device.name("I", &self.domain)?;
        Ok(device)
    }
}

fn write_secret(path: &Path, secret: &SecretString) -> Result<(), VerifyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let doing = || format!("write {}", path.display());
    let mut file = options.open(path).map_err(VerifyError::io(doing()))?;
    file.write_all(secret.expose_secret().as_bytes()).map_err(VerifyError::io(doing()))
}

/// A session that was opened, and what must be true of it.
pub(super) struct SessionRecord {
    /// The device that opened it.
    pub label: &'static str,
    /// The tjp address of S.
    pub session: TjpAddr,
    /// What S must count: 0 as made, 1 connected, one more for each outgoing turn.
    pub n: u64,
    /// What the receiver handed out.
    pub token: Option<Token>,
}

/// What a row works in.
pub struct World<'w, L> {
    pub(super) place: &'w RowFolder,
    pub(super) link: &'w L,
    pub(super) checks: &'w mut Checks,
    /// Whether the receiver is reached over a WebSocket.
    pub(super) is_remote: bool,
    pub(super) runs: Vec<SessionRecord>,
}

impl<'w, L: ReceiverLink> World<'w, L> {
    /// A world without devices.
    pub(super) fn new(
        place: &'w RowFolder,
        link: &'w L,
        checks: &'w mut Checks,
        is_remote: bool,
    ) -> World<'w, L> {
        World { place, link, checks, is_remote, runs: Vec::new() }
    }

    /// Registers the identity with the receiver. Returns the first device, which holds it.
    pub(super) fn sender(&mut self) -> Result<Device, VerifyError> {
        self.link.register(&self.place.genesis)?;
        self.place.device(SENDER, std::slice::from_ref(&self.place.genesis))
    }

    /// A second device, which takes the identity from the receiver and proves the secret.
    pub(super) fn join(&mut self) -> Result<Device, VerifyError> {
        let mut frames = Vec::new();
        let mut replay = Replay::new(StepsOnly);
        identity::follow(self.link, self.place.domain(), &mut replay, &mut |frame| {
            frames.push(frame.cloned().into_inner());
            Ok(())
        })?;
        let device = self.place.device(SECOND, &frames)?;
        let valid = none_of(self::replay(&device.space, self.place.domain()));
        self.checks.holds("the second device replays the I it takes over", "valid", valid);
        let knows = frames.last().is_some_and(|tip| keystone::knows(&self.place.secret, tip));
        self.checks.is_true("the same secret solves it", "solved", knows, "not solved");
        Ok(device)
    }

    /// Syncs the roots (all without any), and remembers the session for the closing assertions.
    pub(super) fn sync(
        &mut self,
        device: &Device,
        roots: &[&Addr],
    ) -> Result<Summary, VerifyError> {
        let opts = device.opts(roots);
        let synced =
            client::sync(&device.space, self.link, &device.identity, &opts, &mut NoObserver)?;
        let n = 1 + synced.summary.turns;
        let (label, session) = (device.label, synced.session);
        self.runs.push(SessionRecord { label, session, n, token: synced.token });
        Ok(synced.summary)
    }

    /// The receiver's space, opened anew from its file.
    pub(super) fn receiver(&self) -> Result<SqliteSpace, VerifyError> {
        Ok(SqliteSpace::open(&self.place.receiver_path(), self.place.domain())?)
    }

    /// The secret of the session of a saga.
    pub(super) fn session_secret(&self, saga_id: &str) -> MasterSecret {
        self.place.secret.derive_session(saga_id)
    }

    /// Establishes a session on I's genesis, whatever came after it.
    pub(super) fn establish_on_genesis(&self) -> Result<crate::sync::Established, SyncError> {
        let RowFolder { domain, genesis, secret, .. } = self.place;
        crate::sync::establish(domain, genesis, secret, &System::new())
    }
}
