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
use sync_gib::ibgib::{IbGib, System};
use sync_gib::peer::{Endpoint, NoObserver, Remote, Timeouts, client, wire};
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

    fn sync(&self, host: &Host, person: &Person, features: Features) -> [u64; 2] {
        let before = [&self.up, &self.down].map(|count| count.load(Ordering::SeqCst));
        let endpoint = Endpoint::new(&self.url, None, false).unwrap();
        let speaks = Capabilities::with(features);
        let timeouts = Timeouts::default();
        let link = Remote::with_capabilities(speaks, &host.runtime, endpoint, timeouts).unwrap();
        let opts = SenderOpts::new(person.dir.path().to_owned());
        client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap();
        let after = [&self.up, &self.down].map(|count| count.load(Ordering::SeqCst));
        [after[0] - before[0], after[1] - before[1]]
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
        assert_eq!(held(&other.space).count.bytes > 100_000, true, "{bytes}");
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
