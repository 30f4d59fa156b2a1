//! A device: a home with its space, and the edits that are made on it.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::error::VerifyError;
use crate::ibgib::transform::{Kind, Opts, timeline, transform};
use crate::ibgib::{Addr, IbGib, System, TjpAddr};
use crate::peer::Identity;
use crate::space::{Space, SpaceExt, SqliteSpace};
use crate::sync::SenderOpts;

/// One device of an identity.
pub struct Device {
    pub(super) label: &'static str,
    pub(super) dir: PathBuf,
    pub(super) space: SqliteSpace,
    pub(super) identity: Identity,
}

impl Device {
    /// What a sync of these roots (all without any) takes.
    pub(super) fn opts(&self, roots: &[&Addr]) -> SenderOpts {
        let roots = roots.iter().map(|root| (*root).clone()).collect();
        SenderOpts { roots, ..SenderOpts::new(self.dir.clone()) }
    }

    /// A new timeline with this data, an object: two frames and their dna. Returns its tjp.
    pub(super) fn new_timeline(&self, ib: &str, data: Value) -> Result<TjpAddr, VerifyError> {
        let Value::Object(data) = data else { return Err(VerifyError::Absent("data".into())) };
        let made = timeline(ib, Some(data), Map::new(), &System::new())?;
        let tjp = made.last().and_then(IbGib::tjp_addr);
        self.space.put_all(&made)?;
        Ok(TjpAddr::parse(&tjp.ok_or_else(|| VerifyError::Absent("the tjp".into()))?)?)
    }

    /// A stone that relates to others.
    pub(super) fn stone(&self, data: Value, linked: &[&Addr]) -> Result<Addr, VerifyError> {
        let mut rel8ns = Map::new();
        rel8ns.insert("ancestor".into(), json!(["constant^gib"]));
        if !linked.is_empty() {
            rel8ns.insert("linked".into(), json!(linked));
        }
        let stone = IbGib::new("constant".to_owned(), Some(data), Some(rel8ns))?;
        self.space.put_all(std::slice::from_ref(&stone))?;
        Ok(stone.addr()?)
    }

    /// One more frame with this patch: a frame and its dna. Returns the frame's address.
    pub(super) fn edit(&self, tjp: &TjpAddr, patch: Value) -> Result<Addr, VerifyError> {
        self.change(tjp, Kind::Mut8, &Opts::next_frame().set("dataToAddOrPatch", patch).build())
    }

    /// One more frame that relates to `other`.
    pub(super) fn relate(
        &self,
        tjp: &TjpAddr,
        name: &str,
        other: &Addr,
    ) -> Result<Addr, VerifyError> {
        let add = json!({ name: [other] });
        self.change(tjp, Kind::Rel8, &Opts::next_frame().set("rel8nsToAddByAddr", add).build())
    }

    /// One more frame by any transform.
    pub(super) fn change(
        &self,
        tjp: &TjpAddr,
        kind: Kind,
        opts: &Map<String, Value>,
    ) -> Result<Addr, VerifyError> {
        let made = transform(kind, &self.tip(tjp)?, opts, &System::new())?;
        let addr = made.new_ibgib.addr()?;
        self.space.put_all(&made.into_all())?;
        Ok(addr)
    }

    /// Many more frames, stored at once. Returns their addresses, oldest first.
    pub(super) fn edit_often(
        &self,
        tjp: &TjpAddr,
        patches: impl Iterator<Item = Value>,
    ) -> Result<Vec<Addr>, VerifyError> {
        let mut tip = self.tip(tjp)?;
        let (mut all, mut addrs) = (Vec::new(), Vec::new());
        for patch in patches {
            let opts = Opts::next_frame().set("dataToAddOrPatch", patch).build();
            let made = transform(Kind::Mut8, &tip, &opts, &System::new())?;
            tip = made.new_ibgib.clone();
            addrs.push(tip.addr()?);
            all.extend(made.into_all());
        }
        self.space.put_all(&all)?;
        Ok(addrs)
    }

    /// The newest frame of a timeline.
    pub(super) fn tip(&self, tjp: &TjpAddr) -> Result<IbGib, VerifyError> {
        let tip = self.space.tip(tjp)?;
        Ok(self.space.get_id(tip.ok_or_else(|| VerifyError::Absent(tjp.to_string()))?.id)?)
    }

    /// Its address.
    pub(super) fn tip_addr(&self, tjp: &TjpAddr) -> Result<Addr, VerifyError> {
        Ok(self.tip(tjp)?.addr()?)
    }

    /// Names a timeline for `sync-gib --home … graph NAME`.
    pub(super) fn name(&self, name: &str, tjp: &TjpAddr) -> Result<(), VerifyError> {
        Ok(self.space.set_name(name, tjp)?)
    }
}
