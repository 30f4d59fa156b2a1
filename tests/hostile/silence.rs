//! Clients that proved themselves and then say nothing, or too much: they are told why, and closed.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use sync_gib::sync::msg::{Msg, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

/// How long a client may be silent here.
const IDLE: Duration = Duration::from_secs(1);

/// A host that waits long for a client's next message, but not for a sign of life.
fn host() -> Host {
    Host::with(|opts| {
        opts.timeouts.idle = IDLE;
        opts.timeouts.untrusted = LONG;
        opts.turn_time = LONG * 10;
    })
}

/// Reads what the server sends without answering any of its pings, to the end of the connection.
fn read_mutely(session: &mut Session<'_>) -> Vec<u8> {
    let tcp = session.raw.ws.get_mut();
    let mut read = Vec::new();
    let ended = session
        .raw
        .runtime
        .block_on(async { timeout(LONG, tcp.read_to_end(&mut read)).await })
        .expect("the connection ends");
    ended.expect("it ends in order, not by a reset");
    read
}

/// The texts and the number of pings among frames of a server, which are not masked.
fn frames(mut bytes: &[u8]) -> (Vec<Value>, usize) {
    let (mut texts, mut pings) = (Vec::new(), 0);
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            len => (usize::from(*len), rest),
        };
        match first & 0x0f {
            1 => texts.push(serde_json::from_slice(&rest[..len]).unwrap()),
            9 => pings += 1,
            _ => {}
        }
        bytes = &rest[len..];
    }
    (texts, pings)
}

/// That a client which answers no ping is refused for its silence, and leaves nothing behind.
fn falls_mute(host: &Host, act: impl FnOnce(&mut Session<'_>)) {
    let mut session = Person::new(host, "a").connected(host);
    act(&mut session);
    session.unchanged(|session| {
        let (texts, pings) = frames(&read_mutely(session));
        assert!(pings > 0, "it was asked for a sign of life");
        let [refusal] = &texts[..] else { panic!("one refusal and nothing else: {texts:?}") };
        assert_eq!((&refusal["type"], &refusal["code"]), (&"sync_error".into(), &"timeout".into()));
        assert!(refusal["message"].as_str().unwrap().contains("silent for"), "{refusal}");
    });
}

#[test]
fn who_answers_no_ping_before_the_first_turn_is_refused() {
    falls_mute(&host(), |_| {});
}

#[test]
fn who_answers_no_ping_between_turns_is_refused() {
    falls_mute(&host(), |session| session.state(&[]));
}

#[test]
fn who_answers_no_ping_in_the_middle_of_a_payload_is_refused() {
    falls_mute(&host(), |session| {
        let made = timeline("x", serde_json::json!({ "a": 1 }));
        session.state(&made);
        let ibgibs = made.iter().map(|ibgib| ibgib.to_json().into()).collect();
        session.raw.send(&Msg::Payload { ibgibs });
    });
}

#[test]
fn who_neither_speaks_nor_reads_nor_closes_loses_its_place() {
    let host = Host::with(|opts| {
        opts.timeouts.idle = IDLE;
        opts.timeouts.untrusted = LONG;
        opts.turn_time = LONG * 10;
        opts.max_sockets = 1;
    });
    let person = Person::new(&host, "a");
    let silent = person.connected(&host);
    let before = host.held(person.domain());
    assert_eq!(host.server.open_sockets(), 1);
    host.all_closed();
    assert_eq!(host.held(person.domain()), before);
    person.connected(&host).state(&[]);
    drop(silent);
}

#[test]
fn who_answers_pings_is_waited_for() {
    let host = host();
    let mut session = Person::new(&host, "a").connected(&host);
    // Four come in the time of silence.
    for at in 0..13 {
        let next = session.raw.runtime.block_on(async {
            // Reading answers it.
            timeout(LONG, session.raw.ws.next()).await
        });
        assert!(matches!(next, Ok(Some(Ok(Message::Ping(_))))), "ping {at}: {next:?}");
    }
    session.state(&[]);
}

/// Messages that are longer than may be: whole, in fragments, and said to be.
fn too_long() -> Vec<Vec<u8>> {
    const MOST: usize = 8 << 20;
    let frame = |first: u8, said: usize, sent: usize| {
        let mut bytes = vec![first, 0xff];
        bytes.extend((said as u64).to_be_bytes());
        // A mask of nothing.
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + sent, b'x');
        bytes
    };
    let fragments = [frame(0x01, MOST - 1, MOST - 1), frame(0x00, 2, 2)].concat();
    vec![
        frame(0x81, MOST + 1, MOST + 1),
        frame(0x81, MOST * 4, MOST * 4),
        fragments,
        frame(0x81, usize::MAX >> 1, 1 << 10),
    ]
}

#[test]
fn who_says_too_much_at_once_hears_why_before_the_close() {
    let host = Host::new();
    for (at, bytes) in too_long().into_iter().enumerate() {
        let person = Person::new(&host, &format!("a{at}"));
        let mut session = person.connected(&host);
        session.unchanged(|session| {
            let tcp = session.raw.ws.get_mut();
            session.raw.runtime.block_on(async {
                // It may be cut off before it is through.
                let _ = timeout(LONG, tcp.write_all(&bytes)).await.expect("it is taken or cut off");
            });
            let refusal = session.raw.sync_error(RefusalCode::Limit);
            assert!(!refusal.message.is_empty(), "message {at}");
        });
    }
}
