//! Compression of a session's messages, over a real WebSocket (docs/protocol.md, section 5,
//! "Compression").
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile_common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use hostile_common::*;
use serde_json::json;
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{Addr, IbGib, System, TjpAddr};
use sync_gib::peer::{Endpoint, NoObserver, ReceiverLink, Remote, Timeouts, client, wire};
use sync_gib::server::ServerOpts;
use sync_gib::space::SpaceExt;
use sync_gib::sync::body::Body;
use sync_gib::sync::capabilities::Feature;
use sync_gib::sync::msg::{Msg, RefusalCode};
use sync_gib::sync::{Capabilities, Features, SenderOpts};
use tokio_tungstenite::tungstenite::Message;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

fn zstd() -> Features {
    Features::from([Feature::ZSTD])
}

/// Counts the bytes that pass to a server and back.
struct Counted {
    url: String,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl Counted {
    fn to(host: &Host) -> Counted {
        let (up, down) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (to, counts) = (host.server.addr(), (Arc::clone(&up), Arc::clone(&down)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(to).unwrap();
                let ends = [&client, &server].map(|end| end.try_clone().unwrap());
                let [client_too, server_too] = ends;
                carry(client, server_too, Arc::clone(&counts.0));
                carry(server, client_too, Arc::clone(&counts.1));
            }
        });
        Counted { url, up, down }
    }

    fn link<'h>(&self, host: &'h Host, features: Features) -> Remote<'h> {
        let endpoint = Endpoint::new(&self.url, None, false).unwrap();
        let (speaks, timeouts) = (Capabilities::with(features), Timeouts::default());
        Remote::with_capabilities(speaks, &host.runtime, endpoint, timeouts).unwrap()
    }

    /// How many bytes `act` takes, up and down.
    fn cost<T>(&self, act: impl FnOnce() -> T) -> ([u64; 2], T) {
        let now = || [&self.up, &self.down].map(|count| count.load(Ordering::SeqCst));
        let before = now();
        let done = act();
        let after = now();
        ([after[0] - before[0], after[1] - before[1]], done)
    }

    fn sync(&self, host: &Host, person: &Person, features: Features) -> [u64; 2] {
        let link = self.link(host, features);
        let opts = SenderOpts::new(person.dir.path().to_owned());
        let sync = || client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver);
        let (cost, synced) = self.cost(sync);
        synced.unwrap();
        cost
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, count: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            count.fetch_add(read as u64, Ordering::SeqCst);
            if to.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// A text of words that do not repeat much, with so many edits made to it.
fn document(person: &Person, edits: u64) {
    let mut state = 7_u64;
    let mut word = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:x} ", state >> 40)
    };
    let mut text: String = (0..4000).map(|_| word()).collect();
    let frames = timeline("doc", json!({ "text": text }));
    person.space.put_all(&frames).unwrap();
    let mut tip = frames.last().unwrap().clone();
    let mut all: Vec<IbGib> = Vec::new();
    for at in 0..edits {
        text.insert_str(usize::try_from(at * 131 % 20_000).unwrap(), &word());
        let opts = Opts::next_frame().set("dataToAddOrPatch", json!({ "text": &text })).build();
        let made = transform(Kind::Mut8, &tip, &opts, &System::new()).unwrap();
        tip = made.new_ibgib.clone();
        all.extend(made.into_all());
    }
    person.space.put_all(&all).unwrap();
}

#[test]
fn what_repeats_costs_little_both_ways() {
    let host = Host::new();
    let line = Counted::to(&host);
    let [plain, packed] = [Features::new(), zstd()].map(|features| {
        let person = Person::new(&host, "a");
        let other = Person::with(person.genesis.clone(), "a");
        line.sync(&host, &person, features.clone());
        document(&person, 60);
        let [pushed, _] = line.sync(&host, &person, features.clone());
        let [_, pulled] = line.sync(&host, &other, features);
        [pushed, pulled]
    });
    for (plain, packed) in plain.into_iter().zip(packed) {
        assert!(plain > 3_000_000, "{plain}");
        assert!(packed < 200_000, "{packed}");
    }
}

#[test]
fn one_more_edit_costs_what_is_new_in_its_frame_both_ways() {
    let host = Host::new();
    let line = Counted::to(&host);
    let person = Person::new(&host, "a");
    document(&person, 100);
    let other = Person::with(person.genesis.clone(), "a");
    line.sync(&host, &person, zstd());
    line.sync(&host, &other, zstd());
    line.sync(&host, &person, zstd());
    edit(&person);
    let [up, down] = line.sync(&host, &person, zstd());
    assert!(up + down < 13_000, "{up} {down}");
    // Here the frames of I that the other device made come down as well.
    let [up, down] = line.sync(&host, &other, zstd());
    assert_eq!(tip_of(&person), tip_of(&other));
    assert!(up + down < 40_000, "{up} {down}");
}

/// One more edit of the one document.
fn edit(person: &Person) {
    let tip = person.space.get(&tip_of(person)).unwrap().unwrap();
    let mut text = tip.data.as_ref().unwrap()["text"].as_str().unwrap().to_owned();
    text.insert_str(text.len() / 2, "one more sentence of this document. ");
    let opts = Opts::next_frame().set("dataToAddOrPatch", json!({ "text": text })).build();
    let made = transform(Kind::Mut8, &tip, &opts, &System::new()).unwrap();
    person.space.put_all(&made.into_all()).unwrap();
}

#[test]
fn a_server_without_memory_for_it_grants_less_and_the_sync_goes_on() {
    for (bytes, granted) in [(0, None), (3 << 20, Some(16)), (64 << 20, Some(23))] {
        let host = Host::with(|opts: &mut ServerOpts| opts.max_window_bytes = bytes);
        let person = Person::new(&host, "a");
        document(&person, 5);
        assert_eq!(person.session(&host).connect_with(zstd()), granted, "{bytes}");
        host.all_closed();
        let line = Counted::to(&host);
        line.sync(&host, &person, zstd());
        let other = Person::with(person.genesis.clone(), "a");
        line.sync(&host, &other, zstd());
        assert!(held(&other.space).count.bytes > 100_000, "{bytes}");
    }
}

#[test]
fn windows_are_shared_and_given_back() {
    // For one address there is room for one large window and a small one.
    let host = Host::with(|opts: &mut ServerOpts| opts.max_window_bytes = 22 << 20);
    let people = ["a", "b", "c"].map(|name| Person::new(&host, name));
    let mut sessions = people.each_ref().map(|person| person.session(&host));
    let granted = sessions.each_mut().map(|session| session.connect_with(zstd()));
    assert_eq!(granted, [Some(23), Some(16), None]);
    drop(sessions);
    host.all_closed();
    assert_eq!(people[2].session(&host).connect_with(zstd()), Some(23));
}

fn segment(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// What a client sends with this window.
fn compressed(text: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = Encoder::new(1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(window)).unwrap();
    let mut out = vec![0; text.len() + 4096];
    let mut output = OutBuffer::around(&mut out[..]);
    encoder.run(&mut InBuffer::around(text), &mut output).unwrap();
    while encoder.flush(&mut output).unwrap() > 0 {}
    let len = output.pos();
    out.truncate(len);
    segment(0, &out)
}

#[test]
fn a_stream_that_is_not_as_agreed_closes_the_socket_and_changes_nothing() {
    let host = Host::with(|opts: &mut ServerOpts| opts.max_window_bytes = 3 << 20);
    let need = br#"{"type":"need","seq":0,"lacks":"1"}"#;
    let good = compressed(need, 16);
    let mut flipped = good.clone();
    flipped[7] ^= 0x40;
    let zeros = compressed(&vec![b' '; 64 << 20], 16);
    assert!(zeros.len() < 64 << 10, "{}", zeros.len());
    let cases = [
        (zeros, RefusalCode::Limit),
        (compressed(&[&need[..], &[b' '; 100_000]].concat(), 17), RefusalCode::Protocol),
        (segment(0, b"this is no frame of zstd"), RefusalCode::Protocol),
        (flipped, RefusalCode::Protocol),
        (good[..good.len() - 9].to_vec(), RefusalCode::Protocol),
        ([segment(0, &good[5..good.len() - 12])].concat(), RefusalCode::Protocol),
        (segment(7, need), RefusalCode::Protocol),
        (segment(1, b"\xff\xfe"), RefusalCode::Protocol),
        (vec![], RefusalCode::Protocol),
        // A good one, which is out of turn: read, and refused for what it says.
        (good, RefusalCode::Protocol),
    ];
    let person = Person::new(&host, "a");
    for (at, (bytes, code)) in cases.into_iter().enumerate() {
        let mut session = person.session(&host);
        assert_eq!(session.connect_with(zstd()), Some(16));
        let before = host.held(person.domain());
        session.raw.send_raw(Message::binary(bytes));
        let refusal = session.raw.sync_error(code);
        assert_eq!(refusal.message.contains("an answer to no offer"), at == 9, "{refusal:?}");
        assert_eq!(host.held(person.domain()), before, "{at}");
        host.all_closed();
    }
}

#[test]
fn nothing_is_unpacked_before_a_proof_or_unless_it_was_agreed() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let need = compressed(br#"{"type":"need","seq":0,"lacks":"1"}"#, 16);
    let mut session = person.session(&host);
    session.raw.hello_with(&session.domain, &session.session, zstd());
    session.raw.send_raw(Message::binary(need.clone()));
    assert_eq!(session.raw.auth_fail().code, RefusalCode::Protocol);
    let mut session = person.connected(&host);
    session.raw.send_raw(Message::binary(need));
    let refusal = session.raw.sync_error(RefusalCode::Protocol);
    assert!(refusal.message.contains("no text"), "{refusal:?}");
}

/// A message by texts that the other side has.
fn named(names: &str, prefix: &str, text: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, prefix.as_bytes()).unwrap();
    let len = u16::try_from(names.len()).unwrap().to_be_bytes();
    segment(3, &[&len[..], names.as_bytes(), &compressor.compress(text).unwrap()].concat())
}

#[test]
fn a_message_names_what_this_domain_has_and_nothing_else() {
    let host = Host::new();
    let [person, other] = ["a", "b"].map(|secret| Person::new(&host, secret));
    let frames = timeline("x", json!({"a": "something that is long enough to be found again"}));
    let foreign = timeline("y", json!({"a": "something of somebody else"}));
    host.space(person.domain()).put_all(&frames).unwrap();
    host.space(other.domain()).put_all(&foreign).unwrap();
    let [mine, theirs] = [frames, foreign].map(|frames| frames.last().unwrap().clone());
    let (at, at_theirs) = (mine.addr().unwrap(), theirs.addr().unwrap());
    let (mine, theirs) = (mine.to_json(), theirs.to_json());
    let need = br#"{"type":"need","seq":0,"lacks":"1"}"#;
    let good = named(at.as_str(), &mine, need);
    let mut longer = good.clone();
    longer.extend_from_slice(&segment(1, b" "));
    let nine = [at.as_str(); 9].join("\n");
    let unknown = format!("x^{HASH}");
    let cases = [
        (named(at_theirs.as_str(), &theirs, need), RefusalCode::Protocol, "is not here"),
        (named(&unknown, &mine, need), RefusalCode::Protocol, "is not here"),
        (named("no address", &mine, need), RefusalCode::Protocol, "another form"),
        (named(&nine, &mine, need), RefusalCode::Protocol, "another form"),
        (longer, RefusalCode::Protocol, "another form"),
        (good[..good.len() - 3].to_vec(), RefusalCode::Protocol, "another form"),
        (segment(3, b"\x00\x09x"), RefusalCode::Protocol, "another form"),
        (segment(3, b"\x00\x00"), RefusalCode::Protocol, "another form"),
        (named("", "", &vec![b' '; (384 << 10) + 1]), RefusalCode::Limit, "more than"),
        (named("", "", b"\xff\xfe"), RefusalCode::Protocol, "another form"),
        (named("", "", need), RefusalCode::Protocol, "an answer to no offer"),
        (good.clone(), RefusalCode::Protocol, "an answer to no offer"),
    ];
    for (bytes, code, says) in cases {
        let mut session = person.session(&host);
        session.connect_with(zstd());
        let before = host.held(person.domain());
        session.raw.send_raw(Message::binary(bytes));
        let refusal = session.raw.sync_error(code);
        assert!(refusal.message.contains(says), "{refusal:?} instead of {says}");
        assert_eq!(host.held(person.domain()), before);
        host.all_closed();
    }
    // Not in a session that does not use it, nor before the proof but for S's genesis.
    let mut session = person.connected(&host);
    session.raw.send_raw(Message::binary(good.clone()));
    session.raw.sync_error(RefusalCode::Protocol);
    for (bytes, says) in [(good, "is not here"), (named("", "", need), "is not connected")] {
        let mut session = person.session(&host);
        session.raw.hello_with(&session.domain, &session.session, zstd());
        session.raw.send_raw(Message::binary(bytes));
        let refusal = session.raw.auth_fail();
        assert!(refusal.message.contains(says), "{refusal:?}");
    }
}

/// A request for an upgrade with this header; the status of the answer.
fn upgrade_with(host: &Host, hello: &str) -> u16 {
    let addr = host.server.addr();
    let request = http::Request::get(format!("ws://{addr}{}", wire::PATH_WS))
        .header("host", addr.to_string())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header(wire::HEADER_HELLO, http::HeaderValue::from_bytes(hello.as_bytes()).unwrap())
        .body(())
        .unwrap();
    host.runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((mut ws, answer)) => {
                let said = ws.next().await.unwrap().unwrap().into_text().unwrap();
                assert!(said.contains("auth_fail"), "{said}");
                answer.status().as_u16()
            }
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(other) => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_hello_with_the_upgrade_is_bounded_and_read_like_any() {
    let host = Host::new();
    let long = format!("{{\"type\":\"hello\",\"x\":\"{}\"}}", "x".repeat(4 << 10));
    for (hello, status) in [(&*long, 400), ("\u{e9}", 400), ("no json", 101), ("{}", 101)] {
        assert_eq!(upgrade_with(&host, hello), status, "{hello:.20}");
        host.all_closed();
    }
    // Where the feature is not spoken the header is one like any other.
    let host = Host::with(|opts: &mut ServerOpts| drop(opts.features.take(&Feature::ONE_TURN)));
    let person = Person::new(&host, "a");
    person.space.put_all(&timeline("x", json!({"a": 1}))).unwrap();
    let all = Capabilities::default().features;
    Counted::to(&host).sync(&host, &person, all);
}

#[test]
fn what_follows_a_proof_that_is_refused_is_not_read() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    let features = Features::from([Feature::ONE_TURN]);
    let (_, ids) = session.raw.hello_with(&session.domain, &session.session, features);
    let before = host.held(person.domain());
    // A proof of another challenge, and a good turn on top of it.
    let keystone = session.signer.prove("another", &ids, &System::new()).unwrap();
    let turn = session.turn(&Body::Init(init()));
    session.raw.send(&Msg::AuthProof { keystone });
    session.raw.send(&Msg::Request(Box::new(turn)));
    assert_eq!(session.raw.auth_fail().code, RefusalCode::Auth);
    assert_eq!(host.held(person.domain()), before);
}

#[test]
fn a_turn_may_follow_its_proof_at_once() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    let features = Features::from([Feature::ONE_TURN]);
    let (uuid, ids) = session.raw.hello_with(&session.domain, &session.session, features);
    let keystone = session.signer.prove(&uuid, &ids, &System::new()).unwrap();
    let turn = session.turn(&Body::Init(init()));
    session.raw.send(&Msg::AuthProof { keystone });
    session.raw.send(&Msg::Request(Box::new(turn)));
    assert!(matches!(session.raw.receive(), Some(Msg::AuthOk { .. })));
    assert!(matches!(session.raw.receive(), Some(Msg::Response(_))));
}

#[test]
fn a_frame_by_which_a_message_is_compressed_is_hashed_before() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let frames = timeline("x", json!({"a": "something that is long enough"}));
    let (tip, space) = (frames.last().unwrap(), host.space(person.domain()));
    space.put_all(&frames).unwrap();
    drop(space);
    let mut session = person.session(&host);
    session.connect_with(zstd());
    let file = rusqlite::Connection::open(host.path()).unwrap();
    let spoil = "UPDATE ibgib SET json = replace(json, 'long enough', 'l0ng enough')";
    assert!(file.execute(spoil, []).unwrap() > 0);
    let need = br#"{"type":"need","seq":0,"lacks":"1"}"#;
    let message = named(tip.addr().unwrap().as_str(), &tip.to_json(), need);
    session.raw.send_raw(Message::binary(message));
    session.raw.sync_error(RefusalCode::Internal);
}

#[test]
fn a_text_is_taken_in_such_a_session_and_the_answer_is_compressed() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    assert_eq!(session.connect_with(zstd()), Some(23));
    session.send_turn(&Body::Init(init()));
    let raw = &mut session.raw;
    let answer = raw.runtime.block_on(async { raw.ws.next().await.unwrap().unwrap() });
    let Message::Binary(bytes) = answer else { panic!("{answer:?}") };
    assert_eq!(bytes[0], 0);
    let mut decoder = Decoder::new().unwrap();
    decoder.set_parameter(DParameter::WindowLogMax(23)).unwrap();
    let mut out = vec![0; 64 << 10];
    let mut output = OutBuffer::around(&mut out[..]);
    decoder.run(&mut InBuffer::around(&bytes[5..]), &mut output).unwrap();
    let text = std::str::from_utf8(output.as_slice()).unwrap();
    assert!(matches!(wire::read(text).unwrap(), Msg::Response(_)), "{text}");
}

#[test]
fn a_session_with_nothing_to_move_costs_what_is_new_in_its_frames() {
    let host = Host::new();
    let line = Counted::to(&host);
    let person = Person::new(&host, "a");
    person.space.put_all(&timeline("x", json!({"a": 1}))).unwrap();
    let [plain, packed] = [Features::new(), zstd()].map(|features| {
        line.sync(&host, &person, features.clone());
        line.sync(&host, &person, features)
    });
    assert!(plain[0] > 30_000, "{plain:?}");
    assert!(packed[0] < 13_000 && packed[1] < 3_000, "{packed:?}");
}

/// Asks the server by hand; the status, the head and the body of its answer.
fn ask(host: &Host, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let addr = host.server.addr();
    let mut tcp = TcpStream::connect(addr).unwrap();
    let len = body.len();
    let head = format!(
        "{head}\r\nhost: {addr}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\
         connection: close\r\n\r\n"
    );
    tcp.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    let ends = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..ends].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[ends + 4..].to_vec())
}

#[test]
fn a_body_is_unpacked_within_its_bound_and_by_a_frame_of_its_identity_alone() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let other = Person::unregistered("b");
    let gib = person.domain().gib();
    let evolution = format!("POST /v1/domains/{gib}/evolution HTTP/1.1");
    let packed = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).unwrap();
    // What says no size, and what says another than it has.
    let unsized_ = zstd::stream::encode_all(&b"{}"[..], 1).unwrap();
    let mut lies = packed(&[b' '; 200]);
    lies[5] = 100;
    let bomb = packed(&vec![b' '; 64 << 20]);
    let stone = &timeline("x", json!({"secret": "of somebody"}))[0];
    host.space(person.domain()).put_all(std::slice::from_ref(stone)).unwrap();
    let unknown = format!("keystone^{}.{gib}", "A".repeat(64));
    let stone = stone.addr().unwrap();
    let prefix = |addr: &str| format!("zstd\r\nsync-gib-prefix: {addr}");
    let before = host.held(person.domain());
    for (coding, body, status) in [
        ("zstd".to_owned(), &bomb, 413),
        ("zstd".to_owned(), &unsized_, 400),
        ("zstd".to_owned(), &lies, 400),
        ("zstd".to_owned(), &b"{}".to_vec(), 400),
        ("zstd".to_owned(), &vec![], 400),
        ("gzip".to_owned(), &b"{}".to_vec(), 415),
        ("zstd, zstd".to_owned(), &packed(b"{}"), 415),
        (prefix(stone.as_str()), &packed(b"{}"), 400),
        (prefix("no address"), &packed(b"{}"), 400),
        (prefix(other.domain().as_str()), &packed(b"{}"), 400),
        (prefix(&unknown), &packed(b"{}"), 409),
        // It is unpacked, and is no evolution.
        ("zstd".to_owned(), &packed(b"{}"), 400),
    ] {
        let head = format!("{evolution}\r\ncontent-encoding: {coding}");
        let (found, _, answer) = ask(&host, &head, body);
        assert_eq!(found, status, "{coding} {}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(host.held(person.domain()), before);
    let register = "POST /v1/keystones HTTP/1.1\r\ncontent-encoding: zstd";
    let genesis = packed(other.genesis.to_json().as_bytes());
    assert_eq!(ask(&host, register, &genesis).0, 200);
    assert_eq!(host.held(other.domain()).tips.len(), 1);
    assert_eq!(ask(&host, register, &packed(&vec![b' '; (1 << 20) + 1])).0, 413);
}

#[test]
fn answers_are_compressed_for_whom_takes_them_so() {
    for bytes in [64 << 20, 3 << 20, 0] {
        let host = Host::with(|opts: &mut ServerOpts| opts.max_window_bytes = bytes);
        let person = Person::new(&host, "a");
        document(&person, 20);
        let line = Counted::to(&host);
        line.sync(&host, &person, zstd());
        let identity = format!("GET /v1/domains/{}/identity HTTP/1.1", person.domain().gib());
        let (_, head, plain) = ask(&host, &identity, b"");
        assert!(!head.contains("content-encoding"), "{head}");
        let asks = format!("{identity}\r\naccept-encoding: gzip, zstd");
        let (_, head, packed) = ask(&host, &asks, b"");
        assert!(head.contains("content-encoding: zstd"), "{head}");
        assert!(packed.len() * 5 < plain.len() * 3, "{} {}", packed.len(), plain.len());
        assert_eq!(zstd::stream::decode_all(&packed[..]).unwrap(), plain);

        let tip = tip_of(&person);
        let graphs = [Features::new(), zstd()].map(|features| {
            let mut session = person.session(&host);
            session.connect();
            let token = session.token.unwrap().value;
            let link = line.link(&host, features);
            let mut lines = Vec::new();
            let mut each = |line: &str| {
                lines.push(line.to_owned());
                Ok(())
            };
            let read = || link.graph(person.domain(), &tip, true, &token, &mut each);
            let (cost, found) = line.cost(read);
            assert!(found.unwrap());
            (cost[1], lines)
        });
        let [(plain, one), (packed, other)] = graphs;
        assert_eq!(one, other);
        assert_eq!(packed < plain / 10, bytes == 64 << 20, "{packed} of {plain}");
        assert_eq!(packed < plain * 9 / 10, bytes > 0, "{packed} of {plain}");
    }
}

fn tip_of(person: &Person) -> Addr {
    let kind = sync_gib::space::TimelineKind::Data;
    let timelines = sync_gib::space::Space::timelines(&person.space, kind, None, 10).unwrap();
    let timeline: &TjpAddr = &timelines[0].tjp;
    assert_eq!(timelines.len(), 1, "{timeline}");
    timelines[0].tip.addr.clone()
}
