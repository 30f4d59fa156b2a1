//! Who signs: the space's identity, and its secret, stretched as the frames say that the secret signs
//! on.

use std::time::Instant;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::connection::Connection;
use super::error::{CliError, ErrorCode};
use super::output::printable;
use super::secret::{Ask, SecretArgs, strength};
use crate::ibgib::{IbGib, System, TjpAddr};
use crate::keystone::{self, KdfError, KdfParams, Lock, MasterSecret};
use crate::peer::{Identity, PeerError, ReceiverLink, Remote};
use crate::space::{NAME_IDENTITY, Space};
use crate::sync::SyncError;
use crate::sync::capabilities::Feature;
use crate::sync::domain::secret_since;

/// The address of the space's identity.
pub fn domain_of(space: &dyn Space) -> Result<TjpAddr, CliError> {
    space.name(NAME_IDENTITY)?.ok_or_else(|| {
        let message = "there is no identity in this space yet";
        CliError::new(ErrorCode::IdentityRefused, message).hint("run `sync-gib setup`")
    })
}

/// The identity's newest frame here.
pub fn newest(space: &dyn Space, domain: &TjpAddr) -> Result<IbGib, CliError> {
    let absent = || CliError::new(ErrorCode::Damaged, format!("the identity {domain} is not here"));
    Ok(space.get_id(space.tip(domain)?.ok_or_else(absent)?.id)?)
}

/// What a secret that does not fit is answered with.
pub fn wrong_secret() -> CliError {
    CliError::new(ErrorCode::SecretRefused, "this secret is not the identity's")
        .hint("nothing was sent; try again")
}

/// A secret as it was typed, for an identity in a space.
pub struct Given<'s> {
    space: &'s dyn Space,
    typed: SecretString,
    params: KdfParams,
    identity: Identity,
}

impl<'s> Given<'s> {
    /// Asks for the secret of the space's identity.
    ///
    /// One that is wrong is an error, but for an identity with a signing key: its secret may have been
    /// changed on another device, which the server tells.
    pub fn ask(space: &'s dyn Space, secret: &SecretArgs) -> Result<Given<'s>, CliError> {
        let given = Given::of(space, &domain_of(space)?, secret.read(Ask::Known)?)?;
        let tip = newest(space, &given.identity.domain)?;
        let is_settled = keystone::is_revoked(&tip) || keystone::lock_of(&tip).is_some();
        match is_settled || keystone::knows(&given.identity.secret, &tip) {
            true => Ok(given),
            false => Err(wrong_secret()),
        }
    }

    /// Stretches a secret that was typed for the identity `domain`. Nothing is checked.
    pub fn of(
        space: &'s dyn Space,
        domain: &TjpAddr,
        typed: SecretString,
    ) -> Result<Given<'s>, CliError> {
        let params = params(space, domain)?;
        let secret = MasterSecret::from_passphrase(&typed, &params)?;
        Ok(Given { space, typed, params, identity: Identity { domain: domain.clone(), secret } })
    }

    /// What signs.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The secret as it was typed.
    pub fn typed(&self) -> &SecretString {
        &self.typed
    }

    /// Whether the secret signs on the newest frame that is here.
    pub fn is_known(&self) -> Result<bool, CliError> {
        let tip = newest(self.space, &self.identity.domain)?;
        Ok(keystone::knows(&self.identity.secret, &tip))
    }

    /// Errors where the secret does not sign on the newest frame that is here.
    pub fn expect_known(&self) -> Result<(), CliError> {
        if self.is_known()? {
            return Ok(());
        }
        match secret_since(&newest(self.space, &self.identity.domain)?) {
            0 => Err(wrong_secret()),
            n => Err(self.changed(n, PeerError::from(SyncError::SecretChanged { n }).into())),
        }
    }

    /// Lets `call` sign. Where it finds that the secret was changed, and the one that was typed is the
    /// new one, it is called once more.
    pub fn sign<T>(
        &mut self,
        connection: &Connection,
        mut call: impl FnMut(&Identity) -> Result<T, PeerError>,
    ) -> Result<T, CliError> {
        let error = match call(&self.identity) {
            Err(PeerError::Sync(SyncError::SecretChanged { .. })) if self.is_the_new_one()? => {
                call(&self.identity)
            }
            done => done,
        };
        error.map_err(|error| self.explain(connection, error))
    }

    /// Stretches the secret as the newest frame says, where that is in another way; whether it signs
    /// on that frame.
    fn is_the_new_one(&mut self) -> Result<bool, CliError> {
        let params = match params(self.space, &self.identity.domain) {
            // Whoever brought it in stretches it as nobody can: that it was changed is what counts.
            Err(error) if error.code == ErrorCode::SecretRefused => return Ok(false),
            params => params?,
        };
        if params == self.params {
            return Ok(false);
        }
        self.identity.secret = MasterSecret::from_passphrase(&self.typed, &params)?;
        self.params = params;
        self.is_known()
    }

    fn explain(&self, connection: &Connection, error: PeerError) -> CliError {
        match &error {
            PeerError::Sync(SyncError::Auth(_)) if matches!(self.is_known(), Ok(false)) => {
                let tip = newest(self.space, &self.identity.domain);
                match tip.is_ok_and(|tip| keystone::is_revoked(&tip)) {
                    true => connection.explain(error),
                    false => wrong_secret(),
                }
            }
            PeerError::Sync(SyncError::SecretChanged { n }) => self.changed(*n, error.into()),
            _ => connection.explain(error),
        }
    }

    /// `error`, with what is known of the frame `n` that brought another secret in.
    fn changed(&self, n: u64, error: CliError) -> CliError {
        let frame = frame_at(self.space, &self.identity.domain, n).ok();
        let when = frame.as_ref().and_then(|frame| frame.datum("timestamp"));
        let when = when.and_then(Value::as_str).unwrap_or("an unknown time");
        let how = frame.as_ref().map_or("changed it", |frame| match Renewed::of(frame) {
            Some(Renewed::Recovery) => "took the identity back by its recovery code",
            _ => "changed it by the old one",
        });
        let message = format!("this secret is not the identity's: its frame {n} of {when} {how}");
        CliError { message: printable(&message), ..error }.detail("secretSince", n)
    }
}

fn frame_at(space: &dyn Space, domain: &TjpAddr, n: u64) -> Result<IbGib, CliError> {
    let absent = || {
        let message = format!("the frame {n} of the identity {domain} is not here");
        CliError::new(ErrorCode::Damaged, message)
    };
    let tjp_id = space.find(domain)?.ok_or_else(absent)?;
    let frame = space.get_id(space.frame_at(tjp_id, n)?.ok_or_else(absent)?)?;
    if frame.n() == Some(n) { Ok(frame) } else { Err(absent()) }
}

/// How the secret that signs on the identity's newest frame here is stretched (docs/protocol.md,
/// section 4, "Renewals").
fn params(space: &dyn Space, domain: &TjpAddr) -> Result<KdfParams, CliError> {
    let since = secret_since(&newest(space, domain)?);
    params_of(&frame_at(space, domain, since)?).map_err(|error| match since {
        0 => error.into(),
        n => CliError::from(error).hint(format!(
            "its frame {n} brought in a secret that cannot be used here; if nobody of yours did that, \
             `sync-gib keystone recover` takes the identity back"
        )),
    })
}

/// How the secret is stretched that a frame brings in.
fn params_of(frame: &IbGib) -> Result<KdfParams, KdfError> {
    let says = |details: &&Value| match details.as_object() {
        Some(details) => details.keys().any(|key| key != "lock"),
        None => true,
    };
    match keystone::frame_details(frame).filter(says) {
        Some(details) => KdfParams::from_frame_details(details),
        // An identity that says nothing of its secret was made elsewhere, with the bare secret.
        None => Ok(KdfParams::Raw),
    }
}

/// How much memory in all passes, in KiB, one comparison with an earlier secret takes at most: four
/// times as much as stretching a new one.
const MAX_COMPARED_KIB: u64 = 4 * 3 * (64 << 10);
/// How many earlier secrets of an identity a new one is compared with, at one stretching each.
const MAX_EARLIER: usize = 16;

/// A new secret, stretched.
pub struct NewSecret {
    /// What signs.
    pub master: MasterSecret,
    /// How it was stretched.
    pub params: KdfParams,
    typed: SecretString,
}

impl NewSecret {
    /// Stretches a new secret, or takes it as it is (`raw`); refuses one that is easily guessed,
    /// unless that is allowed (`allow_weak`).
    pub fn of(typed: SecretString, raw: bool, allow_weak: bool) -> Result<NewSecret, CliError> {
        let params = if raw { KdfParams::Raw } else { KdfParams::new_random(&System::new())? };
        let started = Instant::now();
        let master = MasterSecret::from_passphrase(&typed, &params)?;
        let stretching = Some(started.elapsed()).filter(|_| !raw);
        strength::check(&typed, stretching, allow_weak)?;
        Ok(NewSecret { master, params, typed })
    }

    /// The details of the frame that brings it in.
    pub fn details(&self) -> Value {
        json!({ "kdf": self.params.to_value() })
    }

    /// Whether it is this one.
    pub fn is(&self, other: &SecretString) -> bool {
        self.typed.expose_secret() == other.expose_secret()
    }

    /// Whether a frame is one that brought this secret in, however that stretched it. One that says
    /// it in no way known here, or in one that costs far more than ours, did not: a thief may have made
    /// it, and must not keep the owner from recovering.
    pub fn was_brought_in_by(&self, frame: &IbGib) -> Result<bool, CliError> {
        if keystone::knows(&self.master, frame) {
            return Ok(true);
        }
        let params = match params_of(frame) {
            Ok(params) if params.work_kib() <= MAX_COMPARED_KIB => params,
            _ => return Ok(false),
        };
        let same = MasterSecret::from_passphrase(&self.typed, &params)?;
        Ok(keystone::knows(&same, frame))
    }

    /// Whether it is a secret that the identity had before the one that it has: whoever knows that
    /// one is not shut out by it. The one that it was made with and the newest 16 are tried.
    pub fn was_used(&self, space: &dyn Space, domain: &TjpAddr) -> Result<bool, CliError> {
        let mut since = secret_since(&newest(space, domain)?);
        for _ in 0..MAX_EARLIER {
            let Some(before) = since.checked_sub(1) else { return Ok(false) };
            since = secret_since(&frame_at(space, domain, before)?);
            if self.was_brought_in_by(&frame_at(space, domain, since)?)? {
                return Ok(true);
            }
        }
        self.was_brought_in_by(&frame_at(space, domain, 0)?)
    }

    /// Whether it is the secret that the identity has.
    pub fn is_in_force(&self, space: &dyn Space, domain: &TjpAddr) -> Result<bool, CliError> {
        let since = secret_since(&newest(space, domain)?);
        self.was_brought_in_by(&frame_at(space, domain, since)?)
    }
}

/// How a frame changed the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// By the old secret.
    Rotation,
    /// By the recovery code.
    Recovery,
}

impl Renewed {
    /// How this frame changed the secret of its keystone, where it did.
    pub fn of(frame: &IbGib) -> Option<Renewed> {
        let lock = keystone::lock_of(frame)?;
        if lock.since() == 0 || frame.n() != Some(lock.since()) {
            return None;
        }
        let proof = keystone::proof_of(frame).ok().flatten();
        let is_recovery = proof.is_some_and(|proof| proof.claim.verb == keystone::VERB_RECOVER);
        Some(if is_recovery { Renewed::Recovery } else { Renewed::Rotation })
    }

    /// Its name, for scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Renewed::Rotation => "rotation",
            Renewed::Recovery => "recovery",
        }
    }

    /// What it did, for people.
    pub fn told(self) -> &'static str {
        match self {
            Renewed::Rotation => "secret changed",
            Renewed::Recovery => "recovered by code",
        }
    }
}

/// Puts what a keystone's newest frame says of its keys into an object.
pub fn say_keys(newest: &IbGib, object: &mut Value) {
    let (lock, is_revoked) = (keystone::lock_of(newest), keystone::is_revoked(newest));
    let is_recoverable = !is_revoked && lock.as_ref().is_some_and(Lock::is_recoverable);
    object["signingKey"] = lock.is_some().into();
    object["recoverable"] = is_recoverable.into();
    object["secretSince"] = lock.map_or(0, |lock| lock.since()).into();
    object["revoked"] = is_revoked.into();
}

/// Errors where the server is too old for an identity with a signing key.
pub fn expect_signing_keys(link: &Remote<'_>) -> Result<(), PeerError> {
    match link.common()?.features.contains(&Feature::SIGNING_KEYS) {
        true => Ok(()),
        false => Err(SyncError::NeedsFeature(Feature::SIGNING_KEYS).into()),
    }
}
