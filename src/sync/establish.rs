//! Establishing a session, the sender's half: S is made and I claims it (docs/protocol.md,
//! section 5).

use serde_json::json;

use super::domain::saga_of_session;
use super::error::SyncError;
use super::session::Signer;
use crate::ibgib::{Environment, IbGib};
use crate::ibgib::{TjpAddr, random_hex};
use crate::keystone::{self, Claim, KeystoneError, MasterSecret, Signing, VERB_SYNC, presets};

/// How many sessions are thrown away at most until I's binding pool has what one's address needs.
const TRIES: usize = 256;

/// A session that I claims, not posted yet.
#[derive(Debug)]
pub struct Established {
    /// The saga's id, which S's secret derives from.
    pub saga_id: String,
    /// S's genesis.
    pub session: IbGib,
    /// I evolved, with verb `sync` and S's address as target.
    pub identity: IbGib,
    /// Signs for S.
    pub signer: Signer,
}

impl Established {
    /// A session that was made before, from what was kept of it: I's step, and S's genesis.
    ///
    /// Errors where the genesis names no saga, which none that [`establish`] made does.
    pub fn resume(
        identity: IbGib,
        session: IbGib,
        secret: &MasterSecret,
    ) -> Result<Established, SyncError> {
        let saga_id = saga_of_session(&session)
            .ok_or_else(|| SyncError::Auth("the session names no saga".into()))?;
        let signer = Signer::new(secret.derive_session(&saga_id), session.clone())?;
        Ok(Established { saga_id, session, identity, signer })
    }
}

/// Makes a session keystone S and evolves I so that it claims S.
///
/// `identity` is I's newest frame and `domain` its tjp. Errors where the secret is not I's.
pub fn establish(
    domain: &TjpAddr,
    identity: &IbGib,
    secret: &MasterSecret,
    env: &dyn Environment,
) -> Result<Established, SyncError> {
    let saga_id = random_id(env)?;
    let session_secret = secret.derive_session(&saga_id);
    let details = json!({ "domainIdentity": domain, "sagaId": saga_id });
    for _ in 0..TRIES {
        let pools = presets::session_pools(env)?;
        let session = keystone::genesis(&session_secret, &pools, Some(details.clone()), env)?;
        let target = session.addr()?;
        let claim = Claim::new(VERB_SYNC, target.as_str());
        let signing = Signing {
            claim: &claim,
            pool_id: Some(keystone::POOL_SYNC),
            required: &[],
            frame_details: None,
            env,
        };
        match keystone::sign(identity, secret, &signing) {
            Ok(evolved) => {
                let signer = Signer::new(session_secret, session.clone())?;
                return Ok(Established { saga_id, session, identity: evolved, signer });
            }
            // Another session has another address, which binds other challenges.
            Err(KeystoneError::Exhausted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(SyncError::Auth(
        "the identity's sync pool has run too dry to sign; it needs a new identity".into(),
    ))
}

/// 32 lowercase hex characters that nobody else has.
pub fn random_id(env: &dyn Environment) -> Result<String, SyncError> {
    Ok(random_hex(env, 16)?)
}
