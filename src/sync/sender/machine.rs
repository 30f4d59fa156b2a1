//! The sender as a machine: what each message does to it, and what it says next.

use std::collections::HashSet;

use super::{Sender, State};
use crate::ibgib::{Addr, AddrKey};
use crate::space::{PutOpts, SpaceExt};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::machine::Machine;
use crate::sync::msg::{Msg, PROTOCOL};
use crate::sync::payload::frames_before;

impl Machine for Sender<'_> {
    fn handle(&mut self, msg: Msg) -> Result<(), SyncError> {
        match (msg, &mut self.state) {
            (Msg::AuthChallenge { challenge_uuid, demanded_ids }, State::Hello) => {
                let keystone =
                    self.signer.prove(&challenge_uuid, &demanded_ids, &*self.opts.env)?;
                self.proof = Some(keystone.clone());
                self.out.push_back(Msg::AuthProof { keystone });
                self.state = State::Proof;
                let is_early = self.opts.features.contains(&Feature::ONE_TURN);
                if is_early && !self.opts.connect_only { self.begin_early() } else { Ok(()) }
            }
            (Msg::AuthOk { token, state_token, window }, _) if self.proof.is_some() => {
                if window.is_some() && !self.opts.features.contains(&Feature::ZSTD) {
                    return Err(SyncError::protocol("a window for a session without compression"));
                }
                (self.is_connected, self.proof) = (true, None);
                self.token = token;
                self.state_token = state_token.filter(|_| self.opts.wants_state_token);
                self.out.extend(self.held.take());
                if !matches!(self.state, State::Proof) {
                    return Ok(());
                }
                if self.opts.connect_only {
                    self.space.put_with([self.signer.tip()], &PutOpts::default())?;
                    self.state = State::Done;
                    return Ok(());
                }
                self.begin()
            }
            (Msg::Response(turn), _) if self.is_connected => self.response(&turn),
            (Msg::Offer { seq, addrs }, State::Pull) => {
                if seq != self.next_offer {
                    return Err(SyncError::protocol(format!("offer {seq} out of order")));
                }
                self.next_offer += 1;
                let lacks = self.incoming.lacks(self.space, &addrs)?;
                self.summary.skipped += lacks.iter().filter(|lacks| !**lacks).count() as u64;
                self.out.push_back(Msg::Need { seq, lacks });
                Ok(())
            }
            (Msg::Payload { ibgibs }, State::Pull) => {
                self.summary.count_received(&ibgibs);
                self.incoming.take(self.space, &ibgibs)
            }
            (Msg::Resume { count }, State::Pull)
                if self.opts.features.contains(&Feature::RESUME) =>
            {
                let resumed = self.incoming.resume(self.space, count)?;
                self.summary.count_resumed(resumed);
                Ok(())
            }
            (Msg::Kept { checkpoints }, State::Init(_))
                if self.opts.features.contains(&Feature::RESUME) =>
            {
                self.kept_there = checkpoints;
                Ok(())
            }
            (Msg::Need { seq, lacks }, State::Push(outgoing)) => {
                self.summary.skipped += lacks.iter().filter(|lacks| !**lacks).count() as u64;
                outgoing.answered(self.space, seq, &lacks)
            }
            (Msg::AuthFail(refusal) | Msg::SyncError(refusal), _) => {
                Err(SyncError::Refused(refusal))
            }
            (other, _) => Err(SyncError::protocol(format!("{} came out of turn", other.name()))),
        }
    }

    fn next(&mut self) -> Result<Option<Msg>, SyncError> {
        if let Some(msg) = self.out.pop_front() {
            return Ok(Some(msg));
        }
        match &mut self.state {
            State::Start => {
                self.state = State::Hello;
                let (domain, session) = (self.domain.clone(), self.signer.tjp().clone());
                let mut features = self.opts.features.clone();
                if !self.opts.wants_state_token {
                    // Named where it is used: the receiver keeps a token for it.
                    features.remove(&Feature::STATE_DIGEST);
                }
                if !self.may_guess() {
                    features.remove(&Feature::GUESS);
                }
                if !self.opts.roots.is_empty() {
                    features.remove(&Feature::SKETCH);
                }
                Ok(Some(Msg::Hello { protocol: PROTOCOL, domain, session, features }))
            }
            State::Push(outgoing) => {
                if let Some(msg) = outgoing.next_msg(self.space)? {
                    self.summary.count_sent(&msg);
                    return Ok(Some(msg));
                }
                if !outgoing.is_done() {
                    return Ok(None);
                }
                if let State::Push(outgoing) = std::mem::replace(&mut self.state, State::Pushed) {
                    self.close_push(&outgoing)?;
                }
                Ok(self.out.pop_front())
            }
            _ => Ok(None),
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done) && self.out.is_empty()
    }

    fn known_text(&self, addr: &Addr) -> Result<Option<String>, SyncError> {
        if !self.opts.features.contains(&Feature::ZSTD) {
            return Ok(None);
        }
        if let Some(proof) = self.proof.as_ref().filter(|proof| proof.addr().as_ref() == Ok(addr)) {
            return Ok(Some(proof.to_json()));
        }
        // What the receiver has, as it says, and nothing else of what is here.
        let (pushes, pulls) = (self.plan.pushes.iter(), self.plan.pulls.iter());
        let mut commons = pushes.map(|push| &push.common).chain(pulls.map(|pull| &pull.common));
        let is_common = commons.any(|common| common.as_ref() == Some(addr));
        match is_common || **self.signer.tjp() == *addr {
            true => Ok(self.space.get(addr)?.map(|ibgib| ibgib.to_json())),
            false => Ok(None),
        }
    }

    fn is_like(&self, msg: &Msg) -> Vec<Addr> {
        match msg {
            // Whether there will be a stream is not known yet.
            Msg::Request(_) => self.proof.iter().filter_map(|proof| proof.addr().ok()).collect(),
            Msg::AuthProof { .. } => vec![self.signer.tjp().clone().into()],
            Msg::Payload { ibgibs } => {
                let commons = self.plan.pushes.iter().filter_map(|push| push.common.as_ref());
                let commons: HashSet<AddrKey> = commons.map(Addr::key).collect();
                let before = frames_before(ibgibs, |addr| commons.contains(&addr.key()));
                match &self.proof {
                    // It is compressed by itself at least, before there is a stream.
                    Some(proof) if before.is_empty() => proof.addr().into_iter().collect(),
                    _ => before,
                }
            }
            _ => Vec::new(),
        }
    }
}
