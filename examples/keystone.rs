//! Makes an identity, signs with it, and verifies its timeline as somebody who has the frames alone.

use std::error::Error;

use sync_gib::ibgib::System;
use sync_gib::keystone::{
    self, Claim, MasterSecret, RecoveryCode, SecretString, Signing, TimelineValidator, VERB_MANAGE,
    presets,
};

fn main() -> Result<(), Box<dyn Error>> {
    // Of a passphrase `MasterSecret::from_passphrase` makes one, by Argon2id.
    let secret = MasterSecret::from_raw(SecretString::from("an example, not a secret"))?;
    // Kept on paper, it continues the identity if the secret is lost or stolen: see `keystone::recover`.
    let code = RecoveryCode::new_random(&System::new())?;
    let genesis = keystone::locked_genesis(
        &secret,
        &presets::identity_pools(&System::new())?,
        None,
        Some(&code),
        &System::new(),
    )?;
    println!("identity {}", genesis.addr()?);

    // A claim about something; its proof is the solutions of challenges that the genesis published.
    // Which ones depends on the target; a pool that cannot bind it refuses, and another target may do.
    let signed = (0..100)
        .map(|n| Claim::new(VERB_MANAGE, &format!("rename this device to {n}")))
        .find_map(|claim| {
            let signing = Signing {
                claim: &claim,
                pool_id: None,
                required: &[],
                frame_details: None,
                env: &System::new(),
            };
            keystone::sign(&genesis, &secret, &signing).ok()
        })
        .ok_or("nothing was signed")?;
    println!("signed   {}", signed.addr()?);

    // Nobody needs the secret, or the network, to verify.
    let mut validator = TimelineValidator::new();
    for frame in [&genesis, &signed] {
        assert!(validator.push(frame).is_empty());
    }
    let proof = keystone::proof_of(&signed)?.ok_or("the frame has no proof")?;
    println!("proved   {} {}", proof.claim.verb, proof.claim.target);

    // Another secret solves none of the challenges.
    let other = MasterSecret::from_raw(SecretString::from("somebody else's secret"))?;
    assert!(keystone::knows(&secret, &signed) && !keystone::knows(&other, &signed));
    Ok(())
}
