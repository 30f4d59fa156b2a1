//! A locked keystone as it stands in `tests/vectors/locked-keystone.json`: made again from the same
//! secrets, time and random bytes, it is the same to the byte. `SYNC_GIB_RECORD=1` writes the file anew:
//! only where a change is meant, since whoever made such frames cannot make them again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, Moment, Seeded, json as js};
use sync_gib::keystone::{
    self, Claim, KeystoneError, MasterSecret, RecoveryCode, Renewal, Signing, TimelineValidator,
    lock_of, presets, proof_of,
};

const SECRETS: [&str; 3] = ["the first secret", "the second secret", "the third secret"];

struct Maker {
    env: Seeded,
    codes: [RecoveryCode; 2],
    frames: Vec<IbGib>,
}

impl Maker {
    fn new() -> Maker {
        let env = Seeded::new(9, Moment::from_ms(1_781_262_000_123).unwrap());
        let code = || RecoveryCode::new_random(&env).unwrap();
        let codes = [code(), code()];
        Maker { env, codes, frames: Vec::new() }
    }

    fn secret(at: usize) -> MasterSecret {
        MasterSecret::from_raw(SECRETS[at].to_owned().into()).unwrap()
    }

    fn tip(&self) -> &IbGib {
        self.frames.last().unwrap()
    }

    /// A sync's step, of a session whose gib is drawn from the environment until the pool binds it.
    fn sync(&mut self, secret: usize) {
        let next = loop {
            let session = keystone::genesis(
                &Maker::secret(0),
                &presets::session_pools(&self.env).unwrap(),
                None,
                &self.env,
            );
            let claim = Claim::new("sync", session.unwrap().addr().unwrap().as_str());
            let (env, required) = (&self.env, &[][..]);
            let signing =
                Signing { claim: &claim, pool_id: None, required, frame_details: None, env };
            match keystone::sign(self.tip(), &Maker::secret(secret), &signing) {
                Err(KeystoneError::Exhausted { .. }) => {}
                signed => break signed.unwrap(),
            }
        };
        self.frames.push(next);
    }

    fn make(&mut self) {
        let (env, kdf) = (&self.env, || Some(json!({ "kdf": { "algo": "none" } })));
        let secrets = [0, 1, 2].map(Maker::secret);
        let pools = presets::identity_pools(env).unwrap();
        let genesis =
            keystone::locked_genesis(&secrets[0], &pools, kdf(), Some(&self.codes[0]), env);
        self.frames.push(genesis.unwrap());
        self.sync(0);
        let renewal = Renewal { secret: &secrets[1], frame_details: kdf(), env: &self.env };
        let rotated = keystone::rotate(self.tip(), &secrets[0], &renewal).unwrap();
        self.frames.push(rotated);
        self.sync(1);
        let renewal = Renewal { secret: &secrets[2], frame_details: kdf(), env: &self.env };
        let [code, next] = &self.codes;
        let recovered = keystone::recover(self.tip(), code, next, &renewal).unwrap();
        self.frames.push(recovered);
        self.sync(2);
        let revoked = keystone::revoke(self.tip(), &secrets[2], "the end", &self.env).unwrap();
        self.frames.push(revoked);
    }

    fn to_value(&self) -> Value {
        let codes = self.codes.each_ref().map(|code| code.reveal().expose_secret().to_owned());
        json!({
            "note": "a locked keystone: genesis, sync, rotation, sync, recovery, sync, revocation",
            "masterSecrets": SECRETS,
            "recoveryCodes": codes,
            "frames": self.frames.iter().map(|frame| js::parse(&frame.to_json()).unwrap()).collect::<Vec<_>>(),
        })
    }
}

#[test]
fn a_locked_keystone_is_made_as_it_was() {
    let mut maker = Maker::new();
    maker.make();
    let made = js::stringify(&maker.to_value());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/locked-keystone.json");
    if std::env::var_os("SYNC_GIB_RECORD").is_some() {
        std::fs::write(path, format!("{made}\n")).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap().trim_end(), made);
}

#[test]
fn its_frames_are_good_and_say_who_signs_them() {
    let vector = js::parse(include_str!("vectors/locked-keystone.json")).unwrap();
    let frames = vector["frames"].as_array().unwrap().iter();
    let frames: Vec<IbGib> = frames.map(|one| IbGib::from_value(one.clone()).unwrap()).collect();
    let mut validator = TimelineValidator::new();
    for frame in &frames {
        assert_eq!(validator.push(frame), [], "{}", frame.gib);
    }
    let verbs = frames.iter().skip(1).map(|frame| proof_of(frame).unwrap().unwrap().claim.verb);
    let verbs: Vec<String> = verbs.collect();
    assert_eq!(verbs, ["sync", "manage", "sync", "recover", "sync", "revoke"]);
    let since: Vec<u64> = frames.iter().map(|frame| lock_of(frame).unwrap().since()).collect();
    assert_eq!(since, [0, 0, 2, 2, 4, 4, 4]);
    // Each step's proof is one that the rules without locks accept: of the pool that it names, by
    // challenges of the frame before. That is what the reference looks at.
    for step in frames.windows(2) {
        let proof = proof_of(&step[1]).unwrap().unwrap();
        let pools = step[0].datum("challengePools").and_then(Value::as_array).unwrap();
        let pool = pools.iter().find(|pool| pool["id"] == proof.pool_id().unwrap()).unwrap();
        for solution in &proof.solutions {
            let id = &solution.challenge_id;
            let config = keystone::PoolConfig::from_value("pool", &pool["config"]).unwrap();
            let (algo, rounds) = (config.algo, config.rounds);
            let challenge = keystone::strategy::challenge(algo, rounds, id, &solution.value);
            assert_eq!(pool["challenges"][id]["hash"], challenge);
        }
        let verbs = pool["config"]["allowedVerbs"].as_array().unwrap();
        assert!(verbs.contains(&proof.claim.verb.clone().into()));
    }
}
