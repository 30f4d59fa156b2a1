//! What the token for asking opens, how it is kept, and who hands one out.

use std::fs;

use serde_json::{Value, json};
use sync_gib::sync::{Feature, Features};

use super::hostile_common::{Host, runtime};
use super::net_common::World;
use super::net_common::relay::Relay;
use super::{Synced, expect_nothing_new};

const STATE: &str = "a/state-token.json";
const READ: &str = "a/token.json";

fn token(world: &World, path: &str) -> String {
    let kept: Value = serde_json::from_slice(&fs::read(world.path(path)).unwrap()).unwrap();
    kept["token"]["value"].as_str().unwrap().to_owned()
}

/// The status and the body that a server answers a request with.
fn get(url: &str, token: Option<&str>) -> (u16, Value) {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    runtime().block_on(async {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        let mut request = client.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    })
}

#[test]
fn it_asks_this_question_of_this_domain_and_opens_nothing_else() {
    let synced = Synced::new();
    let world = &synced.world;
    let other = world.json("c", &["setup", "--server", &synced.serve.url, "--raw-secret"]);
    world.ok("c", &["sync"]);
    let (asks, reads) = (token(world, STATE), token(world, READ));
    let gib = |identity: &str| identity.split_once('^').unwrap().1.to_owned();
    let domain = |identity: &str| format!("{}/v1/domains/{}", synced.serve.url, gib(identity));
    let own = domain(&synced.identity);
    let x: Value = serde_json::from_str(&world.ok("a", &["get", "X"])).unwrap();
    let x = format!("{}%5E{}", x["ib"].as_str().unwrap(), x["gib"].as_str().unwrap());
    for path in [
        format!("latest?tjp={x}"),
        format!("ibgibs?addr={x}"),
        format!("ibgibs?addr={x}&getGraph=true&live=true"),
    ] {
        let url = format!("{own}/{path}");
        assert_eq!(get(&url, Some(&asks)).0, 401, "{path}");
        assert_ne!(get(&url, Some(&reads)).0, 401, "{path}");
    }
    let state = format!("{own}/state");
    let (status, body) = get(&state, Some(&asks));
    assert_eq!((status, &body["timelines"]), (200, &json!(1)));
    assert!(body["identity"].as_str().unwrap().starts_with("keystone^"), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    let others = domain(other["identity"].as_str().unwrap());
    let nobody = domain(&format!("keystone^{}", "0".repeat(64)));
    for (url, token) in [
        (state.clone(), None),
        (state.clone(), Some("")),
        (state.clone(), Some(&*reads)),
        (format!("{others}/state"), Some(&*asks)),
        (format!("{nobody}/state"), Some(&*asks)),
    ] {
        let (status, body) = get(&url, token);
        assert_eq!((status, &body["error"]["code"]), (401, &json!("auth")), "{url}");
    }
    assert_eq!(get(&format!("{}/v1/ws", synced.serve.url), Some(&asks)).0, 400);
}

#[cfg(unix)]
#[test]
fn it_is_its_owners_alone_and_no_other_server_gets_it() {
    use std::os::unix::fs::PermissionsExt;
    let synced = Synced::new();
    let world = &synced.world;
    let mode = fs::metadata(world.path(STATE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&fs::read(world.path(STATE)).unwrap()).unwrap();
    let days = (kept["token"]["expiresMs"].as_u64().unwrap() - sync_gib::ibgib::Moment::now().ms())
        .div_ceil(24 * 60 * 60 * 1000);
    assert_eq!(days, 90);
    // In the server's file stands what nobody can ask by.
    let value = kept["token"]["value"].as_str().unwrap();
    assert!(synced.rows()[1].iter().all(|row| !row.contains(value)));
    // Under another name the server is another one.
    let other = Relay::to(synced.serve.addr());
    let config = json!({ "version": 1, "server": other.url }).to_string();
    fs::write(world.path("a/config.json"), config).unwrap();
    world.fails("a", &["sync", "--secret-file", "/nowhere"], 2);
    assert_eq!(other.events().len(), 0, "it is not asked with this token");
    world.ok("a", &["sync"]);
    expect_nothing_new(world, "a");
}

#[test]
fn a_device_keeps_one_and_gets_another_before_it_ends() {
    let synced = Synced::new();
    let world = &synced.world;
    let first = token(world, STATE);
    world.ok("a", &["sync", "--record"]);
    assert_eq!(token(world, STATE), first, "each is kept by the server");
    let mut kept: Value = serde_json::from_slice(&fs::read(world.path(STATE)).unwrap()).unwrap();
    kept["token"]["expiresMs"] = (sync_gib::ibgib::Moment::now().ms() + 1_000_000).into();
    fs::write(world.path(STATE), kept.to_string()).unwrap();
    expect_nothing_new(world, "a");
    world.ok("a", &["sync", "--record"]);
    assert_ne!(token(world, STATE), first);
    expect_nothing_new(world, "a");
    // What is no token is as none.
    for junk in ["", "{", "[]", r#"{"server":1}"#] {
        fs::write(world.path(STATE), junk).unwrap();
        assert_eq!(world.json("a", &["sync"])["signed"], true, "{junk}");
        expect_nothing_new(world, "a");
    }
}

#[test]
fn a_server_that_does_not_name_the_feature_is_not_asked() {
    let old = Host::with(|opts| opts.features = Features::from([Feature::SIGNING_KEYS]));
    let world = World::new();
    let relay = Relay::to(old.server.addr());
    world.ok("a", &["setup", "--server", &relay.url, "--raw-secret"]);
    for _ in 0..2 {
        let told = world.json("a", &["sync"]);
        assert_eq!((&told["ok"], &told["signed"]), (&json!(true), &json!(true)));
    }
    assert!(relay.events().iter().all(|event| event.name != "GET state"));
    assert!(!world.path(STATE).exists());
    // One that was newer before does not know the question any more.
    let kept: Value = serde_json::from_slice(&fs::read(world.path(READ)).unwrap()).unwrap();
    fs::write(world.path(STATE), far_from_its_end(kept)).unwrap();
    assert_eq!(world.json("a", &["sync"])["signed"], true);
    let asked = |relay: &Relay| {
        relay.events().iter().filter(|event| event.name == "404 to GET state").count()
    };
    assert_eq!(asked(&relay), 1);
    world.ok("a", &["sync"]);
    assert_eq!(asked(&relay), 1, "it is asked once");
}

fn far_from_its_end(mut kept: Value) -> String {
    kept["token"]["expiresMs"] = (sync_gib::ibgib::Moment::now().ms() + (1 << 40)).into();
    kept.to_string()
}
