//! The HTTP endpoints, asked by those who should not or in a way that they should not.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use sync_gib::ibgib::{Addr, IbGib, System, TjpAddr, json::stringify};
use sync_gib::keystone::{self, Claim, Signing, VERB_MANAGE, VERB_SYNC, presets};
use sync_gib::peer::wire::{self, EvolutionBody};
use sync_gib::server::Registration;
use sync_gib::space::SpaceExt;
use sync_gib::sync::body::Body;
use sync_gib::sync::{Established, establish};

use crate::hostile_common::*;

/// Sends bytes and reads until the server closes.
pub fn talk(host: &Host, request: &[u8]) -> String {
    let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    // A server that refuses before it has read all may reset the connection.
    let _ = tcp.write_all(request);
    let mut answer = Vec::new();
    if let Err(error) = tcp.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it stays open");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status and the body of an answer.
pub fn ask(
    host: &Host,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{}\r\n",
        body.len(),
        token.unwrap_or_default()
    );
    parts(&talk(host, format!("{head}{body}").as_bytes()))
}

pub fn parts(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), body.to_owned())
}

fn read(host: &Host, domain: &TjpAddr, query: &str, token: Option<&str>) -> (u16, String) {
    let path = wire::domain_path(wire::PATH_IBGIBS, domain);
    ask(host, "GET", &format!("{path}?{}", query.replace('^', "%5E")), token, "")
}

/// A person with a timeline on the host, and a token.
fn with_data(host: &Host, secret: &str) -> (Person, Addr, String) {
    let person = Person::new(host, secret);
    let made = timeline("x", json!({ "of": secret }));
    let mut session = person.connected(host);
    let commit = session.push(&made);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    session.answer();
    let token = session.token.take().unwrap().value;
    (person, tip_of(&made).addr().unwrap(), token)
}

#[test]
fn data_is_read_with_its_own_domains_token() {
    let host = Host::new();
    let (ann, anns, token) = with_data(&host, "a");
    let (bob, bobs, bobs_token) = with_data(&host, "b");
    let (anns, bobs) = (format!("addr={anns}"), format!("addr={bobs}"));
    assert_eq!(read(&host, ann.domain(), &anns, Some(&token)).0, 200);
    for token in [None, Some(bobs_token.as_str()), Some(""), Some("x"), Some(&token[1..])] {
        assert_eq!(read(&host, ann.domain(), &anns, token).0, 401);
        let graph = format!("{anns}&getGraph=true");
        assert_eq!(read(&host, ann.domain(), &graph, token).0, 401);
        let path = wire::domain_path(wire::PATH_LATEST, ann.domain());
        let path = format!("{path}?tjp={}", anns[5..].replace('^', "%5E"));
        assert_eq!(ask(&host, "GET", &path, token, "").0, 401);
    }
    let foreign = read(&host, ann.domain(), &bobs, Some(&token));
    let absent = read(&host, ann.domain(), &format!("addr=x^{HASH}"), Some(&token));
    assert_eq!(foreign.0, 404);
    assert_eq!(foreign, absent);
    let _ = bob;
}

#[test]
fn a_read_is_asked_for_to_the_letter() {
    let host = Host::new();
    let (ann, anns, token) = with_data(&host, "a");
    let lines = |query: &str| {
        let (status, body) =
            read(&host, ann.domain(), &format!("addr={anns}{query}"), Some(&token));
        assert_eq!(status, 200, "{body}");
        body.lines().count()
    };
    assert!(lines("&getGraph=true") > 1);
    for off in ["", "&getGraph", "&getGraph=TRUE", "&getGraph=1", "&getGraph=false", "&live=true"] {
        assert_eq!(lines(off), 1, "{off}");
    }
    let path = wire::domain_path(wire::PATH_IBGIBS, ann.domain());
    let path = format!("{path}?addr={}", anns.as_str().replace('^', "%5E"));
    let with = |method: &str, scheme: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        parts(&talk(&host, format!("{head}authorization: {scheme} {token}\r\n\r\n").as_bytes()))
    };
    assert_eq!(with("GET", "bearer").0, 401);
    assert_eq!(with("GET", "Bearer ").0, 401);
    assert_eq!(with("HEAD", "Bearer"), (200, String::new()));
    // What is no HTTP has no error in JSON.
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(70_000)),
            431,
        ),
    ] {
        assert_eq!(parts(&talk(&host, request.as_bytes())), (status, String::new()));
    }
}

#[test]
fn a_token_expires() {
    let host = Host::with(|opts| opts.token_time = Duration::from_millis(1));
    let (ann, anns, token) = with_data(&host, "a");
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(read(&host, ann.domain(), &format!("addr={anns}"), Some(&token)).0, 401);
}

#[test]
fn what_is_no_request_is_refused() {
    let host = Host::new();
    let (ann, _, token) = with_data(&host, "a");
    let path = wire::domain_path(wire::PATH_EVOLUTION, ann.domain());
    let deep = format!("{{\"frames\":{}{}}}", "[".repeat(500), "]".repeat(500));
    for body in ["", "{", "[]", "{}", "{\"frames\":[],\"session\":null}", &deep] {
        assert_eq!(ask(&host, "POST", &path, None, body).0, 400, "{body}");
        assert_eq!(ask(&host, "POST", wire::PATH_KEYSTONES, None, body).0, 400, "{body}");
    }
    // More values than are read of a body; the bytes would do.
    let many = |count: usize| format!("{{\"frames\":[{}0]}}", "0,".repeat(count));
    for (path, count) in [(path.as_str(), 1 << 18), (wire::PATH_KEYSTONES, 1 << 16)] {
        let (status, body) = ask(&host, "POST", path, None, &many(count));
        assert_eq!((status, body.contains("\"limit\"")), (413, true), "{body}");
    }
    assert_eq!(read(&host, ann.domain(), "addr=nothing", Some(&token)).0, 400);
    assert_eq!(read(&host, ann.domain(), "", Some(&token)).0, 400);
    assert_eq!(ask(&host, "GET", "/v1/domains/..%2F..%2Fx/identity", None, "").0, 400);
    assert_eq!(ask(&host, "GET", "/v1/nothing", None, "").0, 404);
    let nobody = format!("/v1/domains/{HASH}/identity");
    assert_eq!(ask(&host, "GET", &nobody, None, "").0, 404);
    let data = IbGib::new("x".into(), Some(json!({})), None).unwrap().to_json();
    assert_eq!(ask(&host, "POST", wire::PATH_KEYSTONES, None, &data).0, 403);
}

#[test]
fn too_much_and_too_slow_is_refused() {
    let host = Host::with(|opts| opts.timeouts.idle = Duration::from_millis(400));
    let post = |length: usize| {
        let path = wire::PATH_KEYSTONES;
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    assert_eq!(parts(&talk(&host, (post(9 << 20) + "{").as_bytes())).0, 413);
    let chunks = post(0).replace("content-length: 0", "transfer-encoding: chunked");
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let answer = talk(&host, (chunks + &chunk.repeat(9)).as_bytes());
    assert!(answer.is_empty() || parts(&answer).0 == 413, "{answer}");
    assert_eq!(parts(&talk(&host, (post(100) + "{").as_bytes())).0, 408);
    // A request that never ends its head, and a connection that never says anything.
    for head in ["GET /health HTTP/1.1\r\nhost: localhost\r\n", ""] {
        let answer = talk(&host, head.as_bytes());
        assert!(answer.is_empty() || parts(&answer).0 == 408, "{answer}");
    }
}

#[test]
fn there_is_place_for_so_many() {
    let host = Host::with(|opts| {
        opts.max_unproved = 2;
        opts.max_streams = 1;
        opts.timeouts.idle = Duration::from_millis(1500);
    });
    let (one, two) = (Raw::open(&host), Raw::open(&host));
    let refused = Raw::try_open(&host).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    drop((one, two));
    host.all_closed();
    Raw::open(&host);
    host.all_closed();

    // Who asks for much and does not read it keeps others out for a short time only.
    let person = Person::new(&host, "a");
    let large: Vec<IbGib> = (0..8)
        .map(|i| IbGib::new("s".into(), Some(json!({ "i": i, "t": "x".repeat(2 << 20) })), None))
        .map(Result::unwrap)
        .collect();
    let all: Vec<Value> = large.iter().map(|s| s.addr().unwrap().as_str().into()).collect();
    let rel8ns = json!({ "all": all }).as_object().cloned();
    let parent = IbGib::new("p".into(), None, rel8ns).unwrap();
    let mut session = person.connected(&host);
    let space = host.space(person.domain());
    space.put_all(&large).unwrap();
    space.put_all(std::slice::from_ref(&parent)).unwrap();
    let token = session.token.take().unwrap().value;
    let query = format!("addr={}&getGraph=true", parent.addr().unwrap());
    let path = wire::domain_path(wire::PATH_IBGIBS, person.domain());
    let mut lazy = TcpStream::connect(host.server.addr()).unwrap();
    let path = format!("{path}?{}", query.replace('^', "%5E"));
    write!(lazy, "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut status = [0u8; 12];
    lazy.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(read(&host, person.domain(), &query, Some(&token)).0, 503);
    eventually("the place being free again", || {
        read(&host, person.domain(), &query, Some(&token)).0 == 200
    });
}

#[test]
fn a_closed_server_takes_those_on_its_list() {
    let known = Person::unregistered("a");
    let list = HashSet::from([known.domain().clone()]);
    let host = Host::with(|opts| opts.registration = Registration::Closed(list));
    let register = |person: &Person| {
        ask(&host, "POST", wire::PATH_KEYSTONES, None, &person.genesis.to_json()).0
    };
    let stranger = Person::unregistered("b");
    assert_eq!(register(&known), 200);
    assert_eq!(register(&stranger), 403);
    assert_eq!(evolve(&host, &stranger, &made_by(&stranger, "b")).0, 403);
    assert_eq!(evolve(&host, &known, &made_by(&known, "a")).0, 200);
    assert_eq!(host.held(stranger.domain()).count.ibgibs, 0);
}

fn made_by(person: &Person, secret: &str) -> Established {
    establish(person.domain(), &person.genesis, &secret_of(secret), &System::new()).unwrap()
}

fn evolve(host: &Host, person: &Person, made: &Established) -> (u16, String) {
    post(host, person, &[&made.identity], &made.session)
}

fn post(host: &Host, person: &Person, frames: &[&IbGib], session: &IbGib) -> (u16, String) {
    let path = wire::domain_path(wire::PATH_EVOLUTION, person.domain());
    let body = stringify(&EvolutionBody { frames: frames.to_vec(), session });
    ask(host, "POST", &path, None, &body)
}

#[test]
fn an_identity_has_one_successor_per_frame() {
    let host = Host::new();
    let ann = Person::new(&host, "a");
    let (first, second) = (made_by(&ann, "a"), made_by(&ann, "a"));
    assert_eq!(evolve(&host, &ann, &first).0, 200);
    let before = host.held(ann.domain());
    assert_eq!(evolve(&host, &ann, &first).0, 200, "said again");
    assert_eq!(evolve(&host, &ann, &second).0, 409, "another successor");
    assert_eq!(host.held(ann.domain()), before);
    // The second step of a frame that the server never saw.
    let third = establish(ann.domain(), &second.identity, &secret_of("a"), &System::new()).unwrap();
    assert_eq!(evolve(&host, &ann, &third).0, 409);
    assert_eq!(post(&host, &ann, &[&second.identity, &third.identity], &third.session).0, 409);
    assert_eq!(host.held(ann.domain()), before);
}

#[test]
fn an_evolution_that_is_not_the_identitys_own_is_refused() {
    let host = Host::new();
    let (ann, bob) = (Person::new(&host, "a"), Person::new(&host, "b"));
    let good = made_by(&ann, "a");
    let before = host.held(ann.domain());
    let refused = |frames: &[&IbGib], session: &IbGib| {
        let (status, body) = post(&host, &ann, frames, session);
        assert!((400..500).contains(&status), "{status} {body}");
        assert_eq!(host.held(ann.domain()), before);
        status
    };
    let rehashed = |frame: &IbGib, change: &dyn Fn(&mut Value)| {
        let mut data = frame.data.clone().unwrap();
        change(&mut data);
        IbGib::new(frame.ib.clone(), Some(data), frame.rel8ns.clone()).unwrap()
    };
    // A claim of another session, or with another verb.
    let other = made_by(&ann, "a");
    assert_eq!(refused(&[&good.identity], &other.session), 403);
    let claim = Claim::new(VERB_MANAGE, good.session.addr().unwrap().as_str());
    let now = System::new();
    let signing =
        Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
    let managed = keystone::sign(&ann.genesis, &secret_of("a"), &signing).unwrap();
    assert_eq!(refused(&[&managed], &good.session), 403);
    // Forged: the proof moved to another session, a solution changed, the gib.
    let moved = rehashed(&good.identity, &|data| {
        data["proofs"][0]["claim"]["target"] = other.session.addr().unwrap().as_str().into();
    });
    refused(&[&moved], &other.session);
    let forged = rehashed(&good.identity, &|data| {
        data["proofs"][0]["solutions"][0]["value"] = HASH.into();
    });
    refused(&[&forged], &good.session);
    let mut broken = good.identity.clone();
    broken.gib = other.identity.gib.clone();
    refused(&[&broken], &good.session);
    // Sessions of nobody, and of somebody else.
    refused(&[&good.identity], &ann.genesis);
    let pools = presets::session_pools(&System::new()).unwrap();
    let session =
        |details| keystone::genesis(&secret_of("s"), &pools, details, &System::new()).unwrap();
    for details in [
        None,
        Some(json!({ "domainIdentity": bob.domain(), "sagaId": "1" })),
        Some(json!({ "domainIdentity": ann.domain(), "sagaId": "" })),
        Some(json!({ "domainIdentity": ann.domain(), "sagaId": "x".repeat(200) })),
    ] {
        let session = session(details);
        let claim = Claim::new(VERB_SYNC, session.addr().unwrap().as_str());
        let signing =
            Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
        // The pool may be unable to bind this target; another session would do as well.
        if let Ok(signed) = keystone::sign(&ann.genesis, &secret_of("a"), &signing) {
            assert_eq!(refused(&[&signed], &session), 403);
        }
    }
    // Another identity's frames, none, and too many.
    let bobs = made_by(&bob, "b");
    refused(&[&bobs.identity], &bobs.session);
    refused(&[], &good.session);
    refused(&vec![&good.identity; 257], &good.session);
}
