//! What docs/protocol.md shows byte for byte is what this build makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use sync_gib::ibgib::{IbGib, json as js};
use sync_gib::keystone::strategy::{PoolSecret, challenge};
use sync_gib::keystone::{Algo, KdfParams, MasterSecret, PoolConfig};
use sync_gib::sync::payload::{PayloadHasher, SagaHasher};

const DOCUMENT: &str = include_str!("../docs/protocol.md");
const ID: &str = "7e41f8dbc30e338c";

#[track_caller]
fn shown(what: &str) {
    assert!(DOCUMENT.contains(what), "docs/protocol.md does not show {what}");
}

fn master() -> MasterSecret {
    let params = KdfParams::Argon2id { salt: [7; 16], m_kib: 8192, t: 1, p: 1 };
    MasterSecret::from_passphrase(&"open sesame".to_owned().into(), &params).unwrap()
}

/// The pool in the sample of section 4.
fn pool() -> PoolConfig {
    let from = DOCUMENT.find(r#""config": {"#).unwrap() + r#""config": "#.len();
    let to = DOCUMENT[from..].find(",\n \"challenges\"").unwrap();
    let config = js::parse(&DOCUMENT[from..from + to]).unwrap();
    PoolConfig::from_value("sync", &config).unwrap()
}

#[test]
fn a_gib() {
    let data = r#"{"é":null,"b":[{"d":1,"c":2}],"1":0}"#;
    let text = format!(r#"{{"ib":"note","data":{data},"rel8ns":{{"ancestor":["note^gib"]}}}}"#);
    shown(&text);
    let note = IbGib::from_json(&text).unwrap();
    shown(&format!("gib         {}", note.computed_gib().unwrap()));
    shown(&String::from_utf8(js::canonical(&note.data.unwrap())).unwrap());
}

#[test]
fn the_hashes_of_a_pool() {
    let secret = PoolSecret::derive(&master(), &pool());
    let solution = secret.solution(ID);
    shown(&format!("poolSecret  {}", secret.expose()));
    shown(&format!("solution    {}", *solution));
    shown(&format!("challenge   {}", challenge(Algo::Sha256, 1, ID, &solution)));
}

#[test]
fn secrets_that_derive_from_others() {
    // A master secret shows itself by the pools that it makes.
    let makes = |secret: &MasterSecret| PoolSecret::derive(secret, &pool()).expose().to_owned();
    let hex = |name: &str| {
        let from = DOCUMENT.find(name).unwrap();
        let line = DOCUMENT[from..].lines().find(|line| line.starts_with("    ")).unwrap();
        MasterSecret::from_raw(line.trim().to_owned().into()).unwrap()
    };
    assert_eq!(makes(&hex("`open sesame` with")), makes(&master()));
    let session = master().derive_session("14f80075000000000000000000000000");
    assert_eq!(makes(&hex("`14f80075000000000000000000000000` give")), makes(&session));
}

#[test]
fn payload_digests() {
    let stone = IbGib::new("s".into(), Some(json!({ "i": 1 })), None).unwrap().to_json();
    let mut turn = PayloadHasher::default();
    let mut saga = SagaHasher::default();
    let empty = serde_json::to_string(&turn.digest()).unwrap();
    shown(&empty);
    saga.add(&turn.digest());
    assert_eq!(serde_json::to_string(&saga.digest()).unwrap(), empty);
    turn.add(&stone);
    shown(&stone.replace(&stone[21..81], "…"));
    shown(&format!("has {} bytes", turn.digest().bytes));
    shown(&format!("    {}\n", turn.digest().digest));
    saga.add(&turn.digest());
    shown(&format!("    {}\n", saga.digest().digest));
}
