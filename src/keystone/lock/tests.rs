use base16ct::lower::decode_vec as unhex;
use serde_json::json;

use super::*;
use crate::ibgib::addr::lower_hex;
use crate::keystone::{
    Claim, RecoveryCode, Renewal, VERB_SYNC, Violation, locked_genesis, presets, recover, revoke,
    rotate, sign, testing, validate_genesis, validate_step,
};

fn bytes_of<const N: usize>(hex: &str) -> [u8; N] {
    unhex(hex).unwrap().try_into().unwrap()
}

fn code() -> RecoveryCode {
    RecoveryCode::new_random(&testing::env()).unwrap()
}

fn locked(code: &RecoveryCode) -> IbGib {
    let (secret, env) = (testing::secret(), testing::env());
    let pools = presets::identity_pools(&env).unwrap();
    locked_genesis(&secret, &pools, Some(json!({ "kdf": 1 })), Some(code), &env).unwrap()
}

fn synced(prev: &IbGib) -> IbGib {
    loop {
        let claim = Claim::new(VERB_SYNC, &testing::random_addr("keystone"));
        // One target in twenty cannot be bound.
        if let Ok(next) = sign(prev, &testing::secret(), &testing::signing(&claim)) {
            return next;
        }
    }
}

/// The frame with `change` made in its data, and the gib that it then has.
fn changed(frame: &IbGib, change: impl FnOnce(&mut Value)) -> IbGib {
    let mut data = frame.data.clone();
    change(data.as_mut().unwrap());
    IbGib::new(frame.ib.clone(), data, frame.rel8ns.clone()).unwrap()
}

/// The pointers of all values below `value`, objects and lists too.
fn pointers(at: &str, value: &Value, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, one)| (key.clone(), one)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(n, one)| (n.to_string(), one)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        let at = format!("{at}/{key}");
        pointers(&at, child, found);
        found.push(at);
    }
}

#[test]
fn keys_and_signatures_are_those_of_rfc_8032() {
    // RFC 8032, section 7.1, tests 1 to 3: private key, public key, message, signature.
    let vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (private, public, message, signature) in vectors {
        let key = PrivateKey(SigningKey::from_bytes(&bytes_of(private)));
        assert_eq!(lower_hex(&key.public().0), public);
        let (message, signature) = (unhex(message).unwrap(), bytes_of(signature));
        assert_eq!(key.0.sign(&message).to_bytes(), signature);
        assert!(key.public().verifies(&message, &signature));
        for bit in 0..512 {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.public().verifies(&message, &wrong), "bit {bit}");
        }
    }
}

#[test]
fn a_signature_has_one_form_alone() {
    // The order of the group, added to a signature's second half, gives what also fits the equation.
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order: [u8; 32] = bytes_of(order);
    let key = PrivateKey(SigningKey::from_bytes(&[7; 32]));
    let mut signature = key.0.sign(b"m").to_bytes();
    assert!(key.public().verifies(b"m", &signature));
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert!(!key.public().verifies(b"m", &signature));
}

#[test]
fn keys_of_small_order_and_other_spellings_are_no_keys() {
    let mut identity = [0u8; 32];
    identity[0] = 1;
    for weak in [[0u8; 32], identity] {
        assert!(PublicKey::read(&BASE64URL_NOPAD.encode(&weak)).is_err());
    }
    // A point whose y is 3, and the same with the field's size, 2^255 - 19, added to it.
    let (mut short, mut long) = ([0; 32], [255; 32]);
    (short[0], long[0], long[31]) = (3, 240, 127);
    assert!(PublicKey::read(&BASE64URL_NOPAD.encode(&short)).is_ok());
    assert!(PublicKey::read(&BASE64URL_NOPAD.encode(&long)).is_err());
    let text = PrivateKey(SigningKey::from_bytes(&[7; 32])).public().to_string();
    assert_eq!(PublicKey::read(&text).unwrap().to_string(), text);
    // 43 characters spell 258 bits: the last two must be 0.
    let last = text.chars().last().unwrap();
    let twin = char::from_u32(u32::from(last) + 1).unwrap();
    assert!(PublicKey::read(&format!("{}{twin}", &text[..42])).is_err());
    assert!(PublicKey::read(&format!("{text}=")).is_err());
    assert!(PublicKey::read("").is_err());
}

#[test]
fn a_locked_keystone_goes_on() {
    let code = code();
    let genesis = locked(&code);
    assert_eq!(validate_genesis(&genesis), []);
    let next = synced(&genesis);
    assert_eq!(validate_step(&genesis, &next), []);
    let after = synced(&next);
    assert_eq!(validate_step(&next, &after), []);
    let end = revoke(&after, &testing::secret(), "gone", &testing::env()).unwrap();
    assert_eq!(validate_step(&after, &end), []);
    let lock = lock_of(&end).unwrap();
    assert!(
        lock.is_recoverable()
            && lock.since() == 0
            && lock.key() == lock_of(&genesis).unwrap().key()
    );
}

#[test]
fn whatever_is_changed_in_a_frame_after_it_was_signed_is_seen() {
    let code = code();
    let genesis = locked(&code);
    let (secret, env) = (testing::secret(), testing::env());
    let other = MasterSecret::from_raw("another".to_owned().into()).unwrap();
    let renewal = Renewal { secret: &other, frame_details: Some(json!({ "kdf": 2 })), env: &env };
    let frames = [
        synced(&genesis),
        revoke(&genesis, &secret, "gone", &env).unwrap(),
        rotate(&genesis, &secret, &renewal).unwrap(),
        recover(&genesis, &code, &self::code(), &renewal).unwrap(),
    ];
    for frame in &frames {
        assert_eq!(validate_step(&genesis, frame), []);
        let mut found = Vec::new();
        pointers("", frame.data.as_ref().unwrap(), &mut found);
        assert!(found.len() > 400);
        for at in &found {
            let forged = changed(frame, |data| {
                let value = data.pointer_mut(at).unwrap();
                *value = match value.take() {
                    Value::String(text) => match text.chars().next() {
                        Some('0') => format!("1{}", &text[1..]).into(),
                        Some(_) => format!("0{}", text.chars().skip(1).collect::<String>()).into(),
                        None => "0".into(),
                    },
                    Value::Number(_) => 77.into(),
                    Value::Array(mut list) => {
                        list.push("x".into());
                        list.into()
                    }
                    Value::Object(mut map) => {
                        map.insert("x".into(), 1.into());
                        map.into()
                    }
                    _ => 1.into(),
                };
            });
            assert_ne!(forged.gib, frame.gib, "{at}");
            assert_ne!(validate_step(&genesis, &forged), [], "{at}");
            let cut = changed(frame, |data| {
                let (parent, key) = at.rsplit_once('/').unwrap();
                match data.pointer_mut(parent).unwrap() {
                    Value::Object(map) => drop(map.shift_remove(key)),
                    Value::Array(list) => drop(list.remove(key.parse().unwrap())),
                    _ => unreachable!(),
                }
            });
            // An empty bucket may be there or not, and is hashed in neither case the same.
            assert_ne!(validate_step(&genesis, &cut), [], "{at}");
        }
        let mut rel8d = frame.clone();
        rel8d.rel8ns.as_mut().unwrap().insert("x".into(), json!(["y^gib"]));
        let rel8d = IbGib::new(rel8d.ib, rel8d.data, rel8d.rel8ns).unwrap();
        assert_ne!(validate_step(&genesis, &rel8d), []);
    }
}

#[test]
fn challenges_that_are_swapped_on_the_way_were_accepted_and_are_refused() {
    // Who catches a frame keeps its claim and solutions, and puts challenges of his own in it.
    let swap = |frame: &IbGib| {
        let theirs = locked(&code());
        let (mine, theirs) = (frame.clone(), theirs.data.unwrap()["challengePools"][0].take());
        let theirs: Vec<Value> =
            theirs["challenges"].as_object().unwrap().values().cloned().collect();
        let old = crate::keystone::pool_ids(frame, "sync").len() - 20;
        changed(&mine, |data| {
            let pool = data["challengePools"][0]["challenges"].as_object_mut().unwrap();
            for (held, other) in pool.values_mut().skip(old).zip(theirs) {
                *held = other;
            }
        })
    };
    let genesis = testing::genesis(&presets::identity_pools(&testing::env()).unwrap());
    let next = synced(&genesis);
    assert_eq!(validate_step(&genesis, &swap(&next)), [], "without a lock nothing binds them");
    let genesis = locked(&code());
    let next = synced(&genesis);
    assert_eq!(validate_step(&genesis, &swap(&next)), [Violation::WrongSignature]);
}

#[test]
fn reveals_alone_sign_nothing() {
    // The secret of the pools without the key: what a forger has who found solutions.
    let genesis = locked(&code());
    let unlocked =
        changed(&genesis, |data| drop(data.as_object_mut().unwrap().shift_remove("frameDetails")));
    let forged = synced(&unlocked);
    let forged = changed_past(&forged, &genesis);
    assert_eq!(validate_step(&genesis, &forged), [Violation::LockMissing]);
    let thief = PrivateKey(SigningKey::from_bytes(&[3; 32]));
    let prev = format!("{}^{}", genesis.ib, genesis.gib);
    let with = |key: PublicKey| {
        let lock = Lock { key, ..lock_of(&genesis).unwrap() };
        let frame = changed(&forged, |data| {
            data["frameDetails"] = lock.within(None).unwrap();
        });
        sealed(valid(&frame), &prev, &thief).unwrap().into_inner()
    };
    let own = lock_of(&genesis).unwrap().key();
    assert_eq!(validate_step(&genesis, &with(own)), [Violation::WrongSignature]);
    let violations = validate_step(&genesis, &with(thief.public()));
    assert_eq!(violations, [Violation::LockChanged, Violation::WrongSignature]);
}

/// The frame with the links of one that follows `prev`.
fn changed_past(frame: &IbGib, prev: &IbGib) -> IbGib {
    let prev = format!("{}^{}", prev.ib, prev.gib);
    let mut rel8ns = frame.rel8ns.clone().unwrap();
    rel8ns.insert("past".into(), json!([prev]));
    rel8ns.insert("tjp".into(), json!([prev]));
    IbGib::new(frame.ib.clone(), frame.data.clone(), Some(rel8ns)).unwrap()
}

#[test]
fn no_lock_comes_to_a_keystone_that_was_made_without() {
    let genesis = testing::genesis(&presets::identity_pools(&testing::env()).unwrap());
    let next = synced(&genesis);
    let lock = lock_of(&locked(&code())).unwrap();
    let forged = changed(&next, |data| {
        data["frameDetails"] = lock.within(None).unwrap();
    });
    assert_eq!(validate_step(&genesis, &forged), [Violation::LockAppears]);
}

#[test]
fn the_lock_of_a_genesis_is_held_to_its_form() {
    let genesis = locked(&code());
    let refused = |at: &str, value: Value| {
        let broken = changed(&genesis, |data| {
            data["frameDetails"][LOCK][at] = value;
        });
        assert_ne!(validate_genesis(&broken), [], "{at}");
    };
    refused("key", json!(null));
    refused("key", json!("x"));
    refused("since", json!(1));
    refused("since", json!("0"));
    refused("recovery", json!("x"));
    refused("recoveryKey", json!(lock_of(&genesis).unwrap().key().to_string()));
    refused(SIGNATURE, json!(BASE64URL_NOPAD.encode(&[0; 64])));
    refused("other", json!(1));
    let without = changed(&genesis, |data| {
        data["frameDetails"][LOCK].as_object_mut().unwrap().shift_remove("recovery");
    });
    assert_ne!(validate_genesis(&without), [], "a pool recover without its key");
    let pools = |data: &mut Value, pool: usize, verbs: Value| {
        data["challengePools"][pool]["config"]["allowedVerbs"] = verbs;
    };
    let open = changed(&genesis, |data| pools(data, 3, json!([])));
    assert_ne!(validate_genesis(&open), [], "a pool recover that signs anything");
    let no_object = changed(&genesis, |data| {
        data["frameDetails"][LOCK] = json!(1);
    });
    assert_ne!(validate_genesis(&no_object), []);
}

#[test]
fn details_that_have_a_lock_leave_no_room_for_one() {
    let genesis = locked(&code());
    let claim = Claim::new(VERB_SYNC, "x^77");
    for details in [json!({ LOCK: 1 }), json!(1)] {
        let signing =
            crate::keystone::Signing { frame_details: Some(details), ..testing::signing(&claim) };
        assert!(sign(&genesis, &testing::secret(), &signing).is_err());
    }
}

fn valid(frame: &IbGib) -> Valid<IbGib> {
    Valid::new(frame.ib.clone(), frame.data.clone(), frame.rel8ns.clone()).unwrap()
}
