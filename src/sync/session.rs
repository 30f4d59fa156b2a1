//! The session identity S: signing one's turns, and checking the other's signatures
//! (docs/protocol.md, section 5).

use std::borrow::Borrow;

use super::error::SyncError;
use super::msg::Context;
use crate::ibgib::{Environment, IbGib, TjpAddr, Valid};
use crate::keystone::{self, Claim, MasterSecret, Signing, VERB_CONNECT, VERB_SYNC};
use crate::space::Prepared;

/// S as its owner holds it.
#[derive(Debug)]
pub struct Signer {
    secret: MasterSecret,
    tjp: TjpAddr,
    tip: IbGib,
}

impl Signer {
    /// A signer at S's genesis.
    pub fn new(secret: MasterSecret, genesis: IbGib) -> Result<Signer, SyncError> {
        Ok(Signer { secret, tjp: genesis.addr()?.into(), tip: genesis })
    }

    /// The tjp address of S.
    pub fn tjp(&self) -> &TjpAddr {
        &self.tjp
    }

    /// S's newest frame.
    pub fn tip(&self) -> &IbGib {
        &self.tip
    }

    /// Evolves S with the proof that answers a challenge.
    pub fn prove(
        &mut self,
        challenge_uuid: &str,
        demanded: &[String],
        env: &dyn Environment,
    ) -> Result<IbGib, SyncError> {
        let frame =
            self.sign(VERB_CONNECT, challenge_uuid, keystone::POOL_CONNECT, demanded, env)?;
        Ok(frame.into_inner())
    }

    /// Evolves S with a signature of a turn's context, and puts it into the turn.
    pub fn sign_turn<T: Borrow<IbGib> + From<Valid<IbGib>>>(
        &mut self,
        turn: &mut Context<T>,
        env: &dyn Environment,
    ) -> Result<(), SyncError> {
        let target = turn.context.borrow().addr()?;
        let signed = self.sign(VERB_SYNC, target.as_str(), keystone::POOL_SYNC, &[], env)?;
        turn.signed_session_identity = Some(signed.into());
        Ok(())
    }

    fn sign(
        &mut self,
        verb: &str,
        target: &str,
        pool: &str,
        required: &[String],
        env: &dyn Environment,
    ) -> Result<Valid<IbGib>, SyncError> {
        let claim = Claim::new(verb, target);
        let signing =
            Signing { claim: &claim, pool_id: Some(pool), required, frame_details: None, env };
        let frame = keystone::sign_valid(&self.tip, &self.secret, &signing)?;
        self.tip = IbGib::clone(&frame);
        Ok(frame)
    }
}

/// S as the receiver follows it.
#[derive(Debug)]
pub struct SessionVerifier {
    tip: IbGib,
}

impl SessionVerifier {
    /// Follows S from a frame that was validated before.
    pub fn new(tip: IbGib) -> SessionVerifier {
        SessionVerifier { tip }
    }

    /// S's newest frame.
    pub fn tip(&self) -> &IbGib {
        &self.tip
    }

    /// Takes the frame that answers a challenge, and returns it as a put takes it; refuses one that
    /// does not. One with a wrong gib is none of the session's, so that it is refused as a proof.
    pub fn connect(
        &mut self,
        frame: &IbGib,
        challenge_uuid: &str,
        demanded: &[String],
    ) -> Result<Prepared, SyncError> {
        let valid = Valid::check(frame).map_err(|error| {
            let violations = keystone::validate_step(&self.tip, frame);
            if violations.is_empty() { error.into() } else { SyncError::Auth(join(&violations)) }
        })?;
        let proof = self.step(&valid, VERB_CONNECT, challenge_uuid)?;
        let same = proof.required.len() == demanded.len()
            && demanded.iter().all(|id| proof.required.contains(id));
        if !same || proof.solutions.len() != demanded.len() {
            return Err(SyncError::Auth(
                "the proof does not solve exactly what was demanded".into(),
            ));
        }
        self.accept(&valid)
    }

    /// Takes the frame that signs a turn, and returns it as a put takes it; refuses one that does
    /// not.
    pub fn verify_turn<T: Borrow<IbGib>>(
        &mut self,
        turn: &Context<Valid<T>>,
    ) -> Result<Prepared, SyncError> {
        let frame = turn
            .signed_session_identity
            .as_ref()
            .ok_or_else(|| SyncError::Auth("the turn is not signed".into()))?;
        self.step(frame, VERB_SYNC, turn.context.addr().as_str())?;
        self.accept(frame)
    }

    /// Takes a frame that was found good as S's newest one.
    fn accept<T: Borrow<IbGib>>(&mut self, frame: &Valid<T>) -> Result<Prepared, SyncError> {
        let prepared = Prepared::of(frame)?.with_valid_step();
        self.tip = IbGib::clone(frame);
        Ok(prepared)
    }

    fn step<T: Borrow<IbGib>>(
        &self,
        frame: &Valid<T>,
        verb: &str,
        target: &str,
    ) -> Result<keystone::Proof, SyncError> {
        let violations = keystone::validate_valid_step(&self.tip, frame);
        if !violations.is_empty() {
            return Err(SyncError::Auth(join(&violations)));
        }
        let proof = keystone::proof_of(frame).ok().flatten();
        let proof =
            proof.ok_or_else(|| SyncError::Auth("the session's frame holds no proof".into()))?;
        if proof.claim.verb != verb || proof.claim.target != target {
            let message = format!("the session claims {:?} for another target", proof.claim.verb);
            return Err(SyncError::Auth(message));
        }
        Ok(proof)
    }
}

/// Broken rules as one line.
pub(crate) fn join<V: std::fmt::Display>(violations: &[V]) -> String {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
