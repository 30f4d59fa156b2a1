//! Sides of another version: what they say beyond this one's words is passed over or told, and
//! taken for nothing else.

use serde_json::{Value, json};
use sync_gib::cli::error::{CliError, ErrorCode};
use sync_gib::peer::channel::MessageDirection;
use sync_gib::peer::{
    Endpoint, InProcess, NoObserver, Observer, PeerError, ReceiverLink, Remote, Timeouts, client,
    wire, ws,
};
use sync_gib::space::{Purpose, Space, SqliteSpace};
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::{
    AdmitAll, Capabilities, Feature, Features, Machine, Receiver, ReceiverOpts, Sender, SenderOpts,
    SyncError,
};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::fake::{self, answering, naming};
use crate::hostile_common::*;
use crate::http::{parts, talk};
use crate::servers::Victim;

fn sync_with(person: &Person, url: &str) -> PeerError {
    let runtime = runtime();
    let endpoint = Endpoint::new(url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap_err()
}

/// The code and the text of a refusal of the other side's.
fn refused(error: &PeerError) -> (String, String) {
    match error {
        PeerError::Sync(SyncError::Refused(refusal)) => {
            let code = serde_json::to_value(refusal.code).unwrap();
            (code.as_str().unwrap().to_owned(), refusal.message.clone())
        }
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[test]
fn a_code_that_is_not_known_is_kept_and_told_whatever_the_status() {
    for status in [400, 401, 403, 404, 409, 413, 418, 429, 500, 507] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let (url, _) = answering(&runtime, move |path, _| match path.ends_with("/identity") {
            true => (200, String::new()),
            false => {
                let error =
                    json!({ "code": "moved-house", "message": "it lives elsewhere", "to": 1 });
                (status, json!({ "error": error, "more": [1] }).to_string())
            }
        });
        let error = sync_with(&person, &url);
        let told = ("moved-house".to_owned(), "it lives elsewhere".to_owned());
        assert_eq!(refused(&error), told, "{status}");
        let error = CliError::from(error);
        assert_eq!((error.code, error.exit), (ErrorCode::Refused, 1), "{status}");
        assert_eq!(error.message, "it lives elsewhere");
        assert_eq!(error.details.unwrap().get("refusal"), Some(&Value::from("moved-house")));
    }
}

#[test]
fn a_code_that_is_not_known_ends_a_session_with_its_text() {
    let victim = Victim::new();
    let text = |name: &str| {
        json!({ "type": name, "code": "moved-house", "message": "it lives elsewhere", "to": 1 })
            .to_string()
    };
    let before_the_proof = victim.sync_texts(|_, _| vec![Message::text(text("auth_fail"))]);
    let after_it = victim.sync_texts(|fake, msg| match fake.auth(&msg) {
        told if told.is_empty() => vec![Message::text(text("sync_error"))],
        told => told.iter().map(|msg| Message::text(wire::write(msg))).collect(),
    });
    for error in [before_the_proof, after_it] {
        let told = ("moved-house".to_owned(), "it lives elsewhere".to_owned());
        assert_eq!(refused(&error), told);
        assert_eq!(CliError::from(error).exit, 1);
    }
}

#[test]
fn what_is_no_code_at_all_is_no_refusal_of_such_a_server() {
    for code in [json!(404), json!("Access Denied"), json!(""), json!("x".repeat(33)), Value::Null]
    {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let body = json!({ "error": { "code": code, "message": "no" } }).to_string();
        let (url, _) = answering(&runtime, move |_, _| (403, body.clone()));
        let error = sync_with(&person, &url);
        assert!(matches!(error, PeerError::UnexpectedResponse { .. }), "{error:?}");
    }
}

fn features(names: &[&str]) -> Features {
    names.iter().map(|name| Feature::new(name).unwrap()).collect()
}

fn with_features(names: &'static [&'static str]) -> Host {
    Host::with(|opts| opts.features = features(names))
}

fn speaking<'h>(host: &'h Host, names: &[&str]) -> Remote<'h> {
    let speaks = Capabilities::with(features(names));
    Remote::with_capabilities(speaks, &host.runtime, host.endpoint(), Timeouts::default()).unwrap()
}

/// Notes which features hellos name.
#[derive(Default)]
struct Hellos(Vec<Features>);

impl Observer for Hellos {
    fn message(&mut self, _direction: MessageDirection, msg: &Msg) {
        if let Msg::Hello { features, .. } = msg {
            self.0.push(features.clone());
        }
    }
    fn step(&mut self, _bytes: u64, _ibgibs: u64) {}
}

/// The features that the session of a sync used.
fn synced(person: &Person, link: &impl ReceiverLink) -> Features {
    let (opts, mut hellos) = (SenderOpts::new(person.dir.path().to_owned()), Hellos::default());
    client::sync(&person.space, link, &person.identity, &opts, &mut hellos).unwrap();
    assert_eq!(hellos.0.len(), 1);
    hellos.0.remove(0)
}

#[test]
fn every_answer_names_what_the_server_speaks() {
    let host = with_features(&["b", "a"]);
    let person = Person::new(&host, "a");
    let identity = wire::domain_path(wire::PATH_IDENTITY, person.domain());
    let evolution = wire::domain_path(wire::PATH_EVOLUTION, person.domain());
    let json = "content-type: application/json\r\n";
    for (method, path, headers, status) in [
        ("GET", wire::PATH_HEALTH, "", 200),
        ("GET", &*identity, "", 200),
        ("POST", &*evolution, json, 400),
        ("POST", &*evolution, "", 415),
        ("GET", "/nothing", "", 404),
        ("DELETE", wire::PATH_HEALTH, "", 405),
        ("GET", wire::PATH_HEALTH, "origin: https://evil.example\r\n", 403),
        ("GET", wire::PATH_IBGIBS, "sync-gib-protocols: 2\r\n", 400),
        ("GET", wire::PATH_WS, "", 400),
    ] {
        let answer = asked(&host, method, path, headers, "{}");
        assert_eq!(parts(&answer).0, status, "{method} {path}");
        assert!(answer.contains("\r\nsync-gib-protocols: 1\r\n"), "{answer}");
        assert!(answer.contains("\r\nsync-gib-features: a, b\r\n"), "{answer}");
    }
    let endpoint = host.endpoint();
    let (speaks, timeouts) = (Capabilities::with(features(&["b", "c"])), Timeouts::default());
    let opened = host.runtime.block_on(ws::open(&endpoint, &speaks, timeouts)).unwrap();
    assert_eq!(opened.2.features, features(&["b"]));

    let body = parts(&asked(&host, "GET", wire::PATH_HEALTH, "", "")).1;
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&health["protocols"], &health["features"]), (&json!([1]), &json!(["a", "b"])));
}

fn asked(host: &Host, method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\
         content-length: {length}\r\n\r\n{body}"
    );
    talk(host, request.as_bytes())
}

#[test]
fn a_client_of_another_protocol_is_refused_before_anything_is_stored() {
    let host = Host::new();
    let person = Person::unregistered("a");
    let genesis = person.genesis.to_json();
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let evolution = wire::domain_path(wire::PATH_EVOLUTION, person.domain());
    let revocation = wire::domain_path(wire::PATH_REVOCATION, person.domain());
    for (naming, code) in [
        ("sync-gib-protocols: 2\r\n", "version"),
        ("sync-gib-protocols: 3, 2\r\nsync-gib-features: a\r\n", "version"),
        ("sync-gib-protocols: 2\r\nsync-gib-protocols: 4\r\n", "version"),
        ("sync-gib-protocols: one\r\n", "protocol"),
        ("sync-gib-features: A\r\n", "protocol"),
    ] {
        let headers = format!("{naming}content-type: application/json\r\n");
        let posts = [wire::PATH_KEYSTONES, &evolution, &revocation];
        let posted = posts.map(|path| asked(&host, "POST", path, &headers, &genesis));
        let opened = asked(&host, "GET", wire::PATH_WS, &format!("{naming}{upgrade}"), "");
        for answer in posted.iter().chain([&opened]) {
            let (status, body) = parts(answer);
            let body: Value = serde_json::from_str(&body).expect("an error in JSON");
            assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{naming}");
            if naming.contains("2") && code == "version" {
                let message = body["error"]["message"].as_str().unwrap();
                assert!(message.contains("protocol 2") && message.contains("protocol 1"), "{body}");
            }
        }
        assert_eq!(host.held(person.domain()).count.ibgibs, 0);
        assert_eq!(host.server.open_sockets(), 0);
        let health = asked(&host, "GET", wire::PATH_HEALTH, naming, "");
        assert_eq!(parts(&health).0, 200);
    }
    let both = "sync-gib-protocols: 1, 2\r\nsync-gib-features: later\r\n\
                content-type: application/json\r\n";
    let answer = asked(&host, "POST", wire::PATH_KEYSTONES, both, &genesis);
    assert_eq!(parts(&answer).0, 200);
}

#[test]
fn a_session_uses_the_features_that_both_name() {
    for (there, here, both) in [
        (&["a", "b"][..], &["b", "c"][..], &["b"][..]),
        (&["a", "b"], &[], &[]),
        (&[], &["a", "b"], &[]),
    ] {
        let host = with_features(there);
        let person = Person::new(&host, "a");
        let link = speaking(&host, here);
        assert_eq!(link.common().unwrap().features, features(both), "asked for");
        assert_eq!(synced(&person, &speaking(&host, here)), features(both), "told");
        let again = synced(&person, &link);
        assert_eq!(again, features(both));
    }
}

#[test]
fn a_feature_that_the_server_speaks_no_more_is_not_used() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let made = client::open_session(&person.space, &host.link(), &person.identity).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    let opts = SenderOpts { features: features(&["a"]), ..opts };
    let domain = person.domain().clone();
    let mut sender = Sender::new(&person.space, domain, made.saga_id, made.signer, opts).unwrap();
    let mut hellos = Hellos::default();
    speaking(&host, &["a"]).run_session(&mut sender, &mut hellos).unwrap();
    assert_eq!(hellos.0, [Features::new()]);
    assert!(sender.features().is_empty());
}

#[test]
fn a_receiver_uses_what_its_sender_names_and_refuses_what_it_does_not_speak() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let session = person.session(&host).session;
    let space = host.space(person.domain());
    let hello = |protocol: u32, names: &[&str]| {
        let opts = ReceiverOpts::new(host.dir.path().to_owned());
        let opts = ReceiverOpts { features: features(&["a", "b"]), ..opts };
        let mut receiver = Receiver::new(&space, person.domain().clone(), &AdmitAll, opts);
        let (domain, session) = (person.domain().clone(), session.clone());
        let hello = Msg::Hello { protocol, domain, session, features: features(names) };
        receiver.handle(hello).map(|()| receiver.pause().features().clone())
    };
    for names in [&[][..], &["b"], &["a", "b"]] {
        assert_eq!(hello(PROTOCOL, names).unwrap(), features(names));
    }
    for (error, names_it) in [
        (hello(PROTOCOL, &["b", "c"]).unwrap_err(), "the feature c"),
        (
            hello(PROTOCOL + 1, &["b"]).unwrap_err(),
            "protocol 2 is not supported here, only protocol 1",
        ),
    ] {
        let refusal = error.refusal();
        assert_eq!(refusal.code, RefusalCode::Version);
        assert!(refusal.message.contains(names_it), "{}", refusal.message);
    }
}

#[test]
fn both_sides_in_one_process_use_features_too() {
    let person = Person::unregistered("a");
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("dest.db");
    let dest = SqliteSpace::create_if_missing(&dest, person.domain()).unwrap();
    let link = InProcess::new(dest, dir.path().to_owned()).with_features(features(&["a"]));
    link.register(&person.genesis).unwrap();
    assert_eq!(link.common().unwrap().features, features(&["a"]));
    let opts = SenderOpts::new(person.dir.path().to_owned());
    client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap();
    let made = client::open_session(&person.space, &link, &person.identity).unwrap();
    let opts = SenderOpts { features: features(&["b"]), ..opts };
    let domain = person.domain().clone();
    let mut sender = Sender::new(&person.space, domain, made.saga_id, made.signer, opts).unwrap();
    let refused = link.run_session(&mut sender, &mut NoObserver).unwrap_err();
    assert!(refused.to_string().contains("the feature b"), "{refused}");
}

/// What a client holds of its identity, and what it is about to bring.
fn signed(person: &Person) -> (Held, bool) {
    let pending = [Purpose::Session, Purpose::Revocation];
    let mut pending = pending.map(|purpose| person.space.pending(person.domain(), purpose));
    (held(&person.space), pending.iter_mut().any(|step| step.as_ref().unwrap().is_some()))
}

#[test]
fn nothing_is_signed_for_a_server_of_another_protocol() {
    for status in [200, 400, 404, 500] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let (url, heard) = naming(&runtime, move |_| {
            (status, "sync-gib-protocols: 2, 3\nsync-gib-features: a", String::new())
        });
        let before = signed(&person);
        assert!(!before.1);
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
        let errors = [
            sync_with(&person, &url),
            client::revoke(&person.space, &link, &person.identity, "gone").unwrap_err(),
            link.common().unwrap_err(),
            link.register(&person.genesis).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, PeerError::Version { .. }), "{error:?}");
            let told = format!("{url} speaks protocol 2 or 3, and this program protocol 1");
            assert_eq!(error.to_string(), told);
            let error = CliError::from(error);
            assert_eq!((error.code, error.exit), (ErrorCode::Version, 1));
        }
        assert_eq!(signed(&person), before);
        let heard = heard.lock().unwrap();
        let posts = heard.iter().filter(|head| head.method == "POST");
        let posts: Vec<&str> = posts.map(|head| head.uri.path()).collect();
        assert_eq!(posts, [wire::PATH_KEYSTONES], "what `register` posts is public");
    }
}

#[test]
fn a_server_that_speaks_more_is_spoken_to() {
    let person = Person::unregistered("a");
    let runtime = runtime();
    let (url, heard) = naming(&runtime, |path| match path.ends_with("/identity") {
        true => (200, "sync-gib-protocols: 2, 1\nsync-gib-features: zeppelin", String::new()),
        false => (403, "", json!({"error": {"code": "auth", "message": "no"}}).to_string()),
    });
    assert_eq!(refused(&sync_with(&person, &url)).0, "auth");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "no request is made to ask for versions alone");
    for head in heard.iter() {
        assert_eq!(head.headers[wire::HEADER_PROTOCOLS], "1");
        assert_eq!(
            head.headers[wire::HEADER_FEATURES],
            "guess, one-turn, resume, signing-keys, sketch, state-digest, zstd"
        );
    }
}

#[test]
fn headers_that_name_nothing_readable_are_no_such_servers() {
    for headers in [
        "sync-gib-protocols: one",
        "sync-gib-protocols: 0",
        "sync-gib-features: NO",
        "sync-gib-features: a b",
    ] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let (url, heard) = naming(&runtime, move |_| (200, headers, String::new()));
        let before = signed(&person);
        let error = sync_with(&person, &url);
        assert!(matches!(error, PeerError::UnexpectedResponse { .. }), "{error:?}");
        assert_eq!(signed(&person), before);
        assert!(heard.lock().unwrap().iter().all(|head| head.method == "GET"));
    }
}

#[test]
fn an_upgrade_that_is_refused_tells_why() {
    let runtime = runtime();
    let open = |status: u16, headers: &'static str, body: String| {
        let url =
            fake::raw(&runtime, move |_| (fake::answer(status, headers, &body), fake::Then::Close));
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        let speaks = Capabilities::default();
        let opened = runtime.block_on(ws::open(&endpoint, &speaks, Timeouts::default()));
        opened.map(drop).unwrap_err()
    };
    let body = json!({ "error": { "code": "moved-house", "message": "it lives elsewhere" } });
    let told = refused(&open(403, "", body.to_string()));
    assert_eq!(told, ("moved-house".to_owned(), "it lives elsewhere".to_owned()));
    let error = open(400, "sync-gib-protocols: 2\r\n", body.to_string());
    assert!(matches!(error, PeerError::Version { .. }), "{error:?}");
    for (status, body) in [(403, "no".to_owned()), (502, body.to_string())] {
        let error = open(status, "", body);
        assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
    }
}

#[test]
fn headers_out_of_all_bounds_are_refused_or_passed_over_and_nothing_else() {
    let host = Host::new();
    let json = "content-type: application/json\r\n";
    let line = |value: &str| format!("sync-gib-features: {value}\r\n");
    let most: Vec<String> = (0..64).map(|n| format!("f{n}")).collect();
    let refused = [
        line("a\u{e9}"),
        line(&"a,".repeat(1025)),
        line(&",".repeat(2049)),
        line("a").repeat(65),
        line("a") + &line("B"),
        line(&most.join(",")) + &line("one-more"),
        "sync-gib-protocols: \r\n".to_owned(),
        "sync-gib-protocols: 1\r\nsync-gib-protocols: 4294967296\r\n".to_owned(),
        "sync-gib-protocols: 00000001\r\n".to_owned(),
        "sync-gib-protocols: \u{661}\r\n".to_owned(),
    ];
    for naming in refused {
        let answer = asked(&host, "POST", wire::PATH_KEYSTONES, &format!("{naming}{json}"), "{}");
        let (status, body) = parts(&answer);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["error"]["code"]), (400, &json!("protocol")), "{naming}");
        assert!(answer.len() < 1000, "{answer}");
        // What a server says of itself it says to anybody.
        let health = asked(&host, "GET", wire::PATH_HEALTH, &naming, "");
        assert_eq!(parts(&health).0, 200, "{naming}");
    }
    let too_long = line(&"a".repeat(70 << 10));
    let answer = asked(&host, "GET", wire::PATH_HEALTH, &too_long, "");
    assert!(answer.is_empty() || parts(&answer).0 == 431, "{answer}");
    let many = "x-y: z\r\n".repeat(500);
    let answer = asked(&host, "GET", wire::PATH_HEALTH, &many, "");
    assert!(answer.is_empty() || parts(&answer).0 == 431, "{answer}");
}
