//! The receiver as a machine: what each message does to it.

use std::collections::BTreeSet;

use super::{Receiver, State};
use crate::ibgib::Addr;
use crate::space::SpaceExt;
use crate::sync::capabilities::{Capabilities, Feature};
use crate::sync::error::SyncError;
use crate::sync::machine::Machine;
use crate::sync::msg::Msg;
use crate::sync::payload::frames_before;

impl Machine for Receiver<'_> {
    fn handle(&mut self, msg: Msg) -> Result<(), SyncError> {
        let handled = self.handle_one(msg);
        if let (Err(error), State::Connected(open)) = (&handled, &mut self.at.state)
            && error.is_full_disk()
        {
            open.incoming.forget_kept();
        }
        handled
    }

    fn next(&mut self) -> Result<Option<Msg>, SyncError> {
        if let Some(msg) = self.at.out.pop_front() {
            return Ok(Some(msg));
        }
        self.deliver()
    }

    fn is_done(&self) -> bool {
        matches!(self.at.state, State::Done) && self.at.out.is_empty()
    }

    fn known_text(&self, addr: &Addr) -> Result<Option<String>, SyncError> {
        if !self.at.features.contains(&Feature::ZSTD) {
            return Ok(None);
        }
        match &self.at.state {
            // Before the proof it is S's genesis and nothing else.
            State::Challenged(open) if *open.session == *addr => {
                Ok(Some(open.verifier.tip().to_json()))
            }
            State::Connected(_) => Ok(self.space.get(addr)?.map(|ibgib| ibgib.to_json())),
            _ => Ok(None),
        }
    }

    fn is_like(&self, msg: &Msg) -> Vec<Addr> {
        match (msg, &self.at.state) {
            (Msg::Payload { ibgibs }, State::Connected(open)) => {
                frames_before(ibgibs, |addr| open.commons.contains(&addr.key()))
            }
            _ => Vec::new(),
        }
    }
}

impl Receiver<'_> {
    fn handle_one(&mut self, msg: Msg) -> Result<(), SyncError> {
        match msg {
            Msg::Hello { protocol, domain, session, features }
                if matches!(self.at.state, State::Silent) =>
            {
                let there = Capabilities { protocols: BTreeSet::from([protocol]), features };
                self.hello(&there, &domain, &session)
            }
            Msg::AuthProof { keystone } => self.prove(&keystone),
            Msg::Request(turn) => self.request(&turn),
            Msg::Offer { seq, addrs } => {
                self.receiving()?;
                self.expect_room(self.at.opts.quota.for_data(), 0)?;
                let space = self.space;
                let lacks = self.receiving()?.incoming.lacks(space, &addrs)?;
                self.at.out.push_back(Msg::Need { seq, lacks });
                Ok(())
            }
            Msg::Payload { ibgibs } if self.may_guess() => self.hold_guessed(ibgibs),
            Msg::Payload { ibgibs } => {
                self.receiving()?;
                let bytes = ibgibs.iter().map(|text| text.len() as u64).sum();
                self.expect_room(self.at.opts.quota.for_data(), bytes)?;
                let space = self.space;
                self.receiving()?.incoming.take(space, &ibgibs)
            }
            Msg::Resume { count } if self.resumes() => {
                let bytes = self.receiving()?.incoming.resumable(count)?;
                self.expect_room(self.at.opts.quota.for_data(), bytes)?;
                let space = self.space;
                self.receiving()?.incoming.resume(space, count).map(drop)
            }
            Msg::Kept { checkpoints } if self.resumes() => {
                self.receiving()?.kept_there = checkpoints;
                Ok(())
            }
            Msg::Need { seq, lacks } => {
                let space = self.space;
                match &mut self.connected()?.outgoing {
                    Some(outgoing) => outgoing.answered(space, seq, &lacks),
                    None => Err(SyncError::protocol("an answer to no offer")),
                }
            }
            other => Err(SyncError::protocol(format!("{} came out of turn", other.name()))),
        }
    }
}
