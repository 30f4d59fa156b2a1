//! Both sides in one process: two spaces, no network.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::PeerError;
use super::link::{EachFrame, Observer, ReceiverLink};
use super::wire::Latest;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::StepsOnly;
use crate::space::{Space, SqliteSpace, dependency_graph};
use crate::sync::domain::IdentityFrames;
use crate::sync::msg::{Refusal, RefusalCode};
use crate::sync::{
    AdmitAll, Capabilities, Features, Machine, Quota, Receiver, ReceiverOpts, Sender, SyncError,
    domain, run_pair,
};

/// A receiver that is a space in this process.
pub struct InProcess {
    dest: SqliteSpace,
    stage_dir: PathBuf,
    features: Features,
}

impl InProcess {
    /// A receiver that keeps one domain in `dest` and stages in `stage_dir`.
    pub fn new(dest: SqliteSpace, stage_dir: PathBuf) -> InProcess {
        InProcess { dest, stage_dir, features: Features::new() }
    }

    /// The same, where both sides speak these features.
    pub fn with_features(self, features: Features) -> InProcess {
        InProcess { features, ..self }
    }

    /// The receiver's space.
    pub fn dest(&self) -> &SqliteSpace {
        &self.dest
    }
}

/// What the receiver refuses its peer sees as a refusal.
fn refused(error: SyncError) -> PeerError {
    SyncError::Refused(error.refusal()).into()
}

impl ReceiverLink for InProcess {
    fn common(&self) -> Result<Capabilities, PeerError> {
        Ok(Capabilities::with(self.features.clone()))
    }

    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        domain::register(&self.dest, genesis, &Quota::default()).map(drop).map_err(refused)
    }

    fn evolve(
        &self,
        domain: &TjpAddr,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        let frames: Vec<IbGib> = frames.iter().map(|frame| (*frame).clone()).collect();
        domain::evolve(&self.dest, domain, &frames, session, &Quota::default()).map_err(refused)
    }

    fn revoke(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        let frames: Vec<IbGib> = frames.iter().map(|frame| (*frame).clone()).collect();
        domain::revoke(&self.dest, domain, &frames).map_err(refused)
    }

    fn renew(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        let frames: Vec<IbGib> = frames.iter().map(|frame| (*frame).clone()).collect();
        domain::renew(&self.dest, domain, &frames, &Quota::default()).map(drop).map_err(refused)
    }

    fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        let frames =
            IdentityFrames::after(&self.dest, domain, after, StepsOnly).map_err(refused)?;
        let Some(mut frames) = frames else {
            let message = "no such identity is registered here".to_owned();
            return Err(SyncError::Refused(Refusal { code: RefusalCode::NotFound, message }).into());
        };
        while let Some((_, text)) = frames.next(&self.dest).map_err(refused)? {
            if each(IbGib::from_json(&text).map_err(SyncError::from)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), PeerError> {
        let features = self.features.clone();
        let opts = ReceiverOpts { features, ..ReceiverOpts::new(self.stage_dir.clone()) };
        let domain = sender.domain().clone();
        let mut receiver = Receiver::new(&self.dest, domain, &AdmitAll, opts);
        run_pair(sender, &mut receiver)?;
        let summary = sender.summary();
        observer.step(summary.bytes(), summary.ibgibs());
        debug_assert!(!receiver.is_committed() || receiver.is_done());
        Ok(())
    }

    fn latest(
        &self,
        _: &TjpAddr,
        tjp: &TjpAddr,
        _token: &str,
    ) -> Result<Option<Latest>, PeerError> {
        let tip = self.dest.tip(tjp).map_err(SyncError::from)?;
        Ok(tip.map(|tip| Latest { tjp: tjp.clone(), tip: tip.addr, n: tip.n }))
    }

    fn graph(
        &self,
        _domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        _token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        let Some(id) = self.dest.find(addr).map_err(SyncError::from)? else { return Ok(false) };
        let mut failed = None;
        dependency_graph::<SyncError>(&self.dest, &[id], live, &mut |node| match each(
            &self.dest.text(node.id)?,
        ) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) => {
                failed = Some(error);
                Ok(ControlFlow::Break(()))
            }
        })?;
        failed.map_or(Ok(true), Err)
    }
}
