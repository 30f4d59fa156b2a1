//! The program beside servers of other versions: what it speaks is told before anything is signed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile_common;
mod net_common;

use hostile_common::fake::naming;
use hostile_common::{Held, held, runtime};
use net_common::{Serve, World};
use serde_json::{Value, json};
use sync_gib::ibgib::TjpAddr;
use sync_gib::space::{Domain, Pending, Purpose, Space, SqliteSpace};

const THIS: &str = "sync-gib-protocols: 1\nsync-gib-features: signing-keys, state-digest";
const OTHER: &str = "sync-gib-protocols: 2, 3\nsync-gib-features: zeppelin";

/// What a home's space holds, and the steps that were signed last.
fn signed(world: &World, home: &str, identity: &str) -> (Held, [Option<Pending>; 2]) {
    let space = SqliteSpace::open(&world.path(home).join("space.db"), Domain::Client).unwrap();
    let identity = TjpAddr::parse(identity).unwrap();
    let steps = [Purpose::Session, Purpose::Revocation]
        .map(|purpose| space.pending(&identity, purpose).unwrap());
    (held(&space), steps)
}

/// Lets a home speak to another server.
fn move_to(world: &World, home: &str, url: &str) {
    let path = world.path(home).join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["server"] = json!(url);
    std::fs::write(&path, config.to_string()).unwrap();
}

#[test]
fn health_names_what_a_server_speaks() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let runtime = runtime();
    let (headers, body) = runtime.block_on(async {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls()).build().unwrap();
        let answer = client.get(format!("{}/health", serve.url)).send().await.unwrap();
        (answer.headers().clone(), answer.bytes().await.unwrap())
    });
    assert_eq!(headers["sync-gib-protocols"], "1");
    assert_eq!(
        headers["sync-gib-features"],
        "guess, one-turn, resume, signing-keys, sketch, state-digest, zstd"
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let told = json!({
        "ok": true, "version": version, "protocols": [1], "features": ["guess", "one-turn", "resume", "signing-keys", "sketch", "state-digest", "zstd"],
    });
    assert_eq!(body, told);
}

fn tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

#[test]
fn nothing_is_signed_or_made_for_a_server_of_another_version() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let made = world.json("a", &["setup", "--server", &serve.url]);
    let identity = made["identity"].as_str().unwrap();
    world.ok("a", &["sync"]);
    let runtime = runtime();
    let (url, heard) = naming(&runtime, |_| (200, OTHER, "{}".to_owned()));

    for setup in [vec!["setup"], vec!["setup", "--join", identity]] {
        let with_server = [&setup[..], &["--server", &url]].concat();
        let told = world.fails("b", &with_server, 1);
        assert!(told.contains(&url), "{told}");
        assert!(told.contains("protocol 2 or 3") && told.contains("protocol 1"), "{told}");
        assert!(!world.path("b").exists(), "{setup:?}");
    }

    move_to(&world, "a", &url);
    let before = signed(&world, "a", identity);
    for command in [&["sync"][..], &["keystone", "revoke", "--yes"], &["check"]] {
        let told = world.fails("a", command, 1);
        assert!(told.contains(&url) && told.contains("protocol 2 or 3"), "{command:?}: {told}");
        let told = world.json("a", command);
        assert_eq!((&told["error"]["code"], &told["exit"]), (&json!("version"), &json!(1)));
    }
    assert_eq!(signed(&world, "a", identity), before);
    assert!(heard.lock().unwrap().iter().all(|head| head.method == "GET"), "nothing is posted");

    move_to(&world, "a", &serve.url);
    world.ok("a", &["sync"]);
}

#[test]
fn a_refusal_of_a_later_version_is_told_with_its_text() {
    let world = World::new();
    let runtime = runtime();
    let (url, _) = naming(&runtime, |path| match path {
        "/health" | "/v1/keystones" => (200, THIS, "{}".to_owned()),
        path if path.ends_with("/identity") => (200, THIS, String::new()),
        _ => {
            let error = json!({ "code": "moved-house", "message": "it lives elsewhere" });
            (410, THIS, json!({ "error": error }).to_string())
        }
    });
    world.ok("a", &["setup", "--server", &url]);
    let told = world.fails("a", &["sync"], 1);
    assert!(told.contains("it lives elsewhere") && !told.contains("is it a"), "{told}");
    let told = world.json("a", &["sync"]);
    assert_eq!(
        (&told["error"]["code"], &told["refusal"]),
        (&json!("refused"), &json!("moved-house"))
    );
}
