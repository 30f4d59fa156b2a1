//! Two sides, an identity and some data, for the tests of whole syncs.
#![allow(dead_code)]

#[path = "../device/mod.rs"]
mod device;

pub use device::Device;

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, System, TjpAddr};
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::peer::{InProcess, NoObserver, PeerError, ReceiverLink, Synced, client};
use sync_gib::space::{Space, SpaceExt, SqliteSpace};
use sync_gib::sync::SenderOpts;

pub fn secret() -> MasterSecret {
    device::secret_of("test-sender-secret-phase3")
}

impl Device {
    pub fn new() -> Device {
        let pools = presets::identity_pools(&System::new()).unwrap();
        let genesis = keystone::genesis(&secret(), &pools, None, &System::new()).unwrap();
        Device::with(genesis)
    }

    /// Another device of the same identity.
    pub fn with(genesis: IbGib) -> Device {
        Device::of(genesis, secret())
    }

    pub fn opts(&self) -> SenderOpts {
        SenderOpts::new(self.dir.path().to_owned())
    }

    pub fn sync<L: ReceiverLink>(&self, link: &L) -> Result<Synced, PeerError> {
        self.sync_with(link, &self.opts())
    }

    pub fn sync_with<L: ReceiverLink>(
        &self,
        link: &L,
        opts: &SenderOpts,
    ) -> Result<Synced, PeerError> {
        client::sync(&self.space, link, &self.identity, opts, &mut NoObserver)
    }

    /// A new timeline with this data; returns its tjp's address.
    pub fn new_timeline(&self, ib: &str, data: Value) -> TjpAddr {
        let root = IbGib::primitive(ib);
        let Value::Object(data) = data else { panic!("no object") };
        let each = Opts::next_frame().build();
        let tjp = Some(json!({"uuid": true, "timestamp": true}));
        let opts = FirstGen { ib, parent: &root, data: Some(data), rel8ns: None, each, tjp };
        let made = first_gen(&opts, &System::new()).unwrap();
        let tjp = made.intermediates[0].addr().unwrap().into();
        self.space.put_all(&made.into_all()).unwrap();
        tjp
    }

    /// One more frame with this patch; returns its address.
    pub fn edit(&self, tjp: &TjpAddr, patch: Value) -> Addr {
        self.change(tjp, Kind::Mut8, Opts::next_frame().set("dataToAddOrPatch", patch).build())
    }

    /// One more frame that relates to `other`.
    pub fn relate(&self, tjp: &TjpAddr, name: &str, other: &Addr) -> Addr {
        let add = json!({ name: [other] });
        self.change(tjp, Kind::Rel8, Opts::next_frame().set("rel8nsToAddByAddr", add).build())
    }

    pub fn change(&self, tjp: &TjpAddr, kind: Kind, opts: Map<String, Value>) -> Addr {
        let tip = self.tip(tjp);
        let made = transform(kind, &tip, &opts, &System::new()).unwrap();
        let addr = made.new_ibgib.addr().unwrap();
        self.space.put_all(&made.into_all()).unwrap();
        addr
    }

    pub fn tip(&self, tjp: &TjpAddr) -> IbGib {
        let tip = self.space.tip(tjp).unwrap().expect("the timeline is here");
        self.space.get_id(tip.id).unwrap()
    }
}

/// A receiver in this process, and the folder that holds it.
pub fn receiver(domain: &TjpAddr) -> (tempfile::TempDir, InProcess) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("server.db");
    let space = SqliteSpace::create_if_missing(&path, domain).unwrap();
    let link = InProcess::new(space, dir.path().to_owned());
    (dir, link)
}
