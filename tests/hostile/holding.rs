//! Clients that try to hold a place longer than anybody may.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use sync_gib::ibgib::{Addr, IbGib};
use sync_gib::peer::{NoObserver, client, wire};
use sync_gib::space::SpaceExt;
use sync_gib::sync::SenderOpts;
use sync_gib::sync::body::{Body, Delta};
use sync_gib::sync::msg::Msg;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn a_session_ends_in_time_though_its_client_has_more_to_say() {
    const STONES: usize = 120;
    let host = Host::with(|opts| {
        opts.timeouts.session = Duration::from_secs(2);
        opts.timeouts.idle = LONG;
    });
    let person = Person::new(&host, "a");
    let stone = |nth| {
        let data = json!({ "nth": nth, "text": "a".repeat(300 << 10) });
        IbGib::new("stone".into(), Some(data), None).unwrap()
    };
    let stones: Vec<IbGib> = (0..STONES).map(stone).collect();
    person.space.put_all(&stones).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    // The way in may take longer than the sessions of this host.
    let patient = Host::with(|opts| opts.space = host.path());
    client::sync(&person.space, &patient.link(), &person.identity, &opts, &mut NoObserver).unwrap();

    let mut session = person.connected(&host);
    let want_stones: Vec<Addr> = stones.iter().map(|stone| stone.addr().unwrap()).collect();
    session.state(&[]);
    session.send_turn(&Body::Delta(Delta { want_stones, ..Delta::default() }));
    let Some(Msg::Offer { seq, addrs }) = session.raw.receive() else { panic!("no offer") };
    assert_eq!(addrs.len(), STONES);
    session.raw.send(&Msg::Need { seq, lacks: vec![true; STONES] });
    // What the server comes to only when all that it has to send is out.
    for seq in 100..120 {
        session.raw.send(&Msg::Need { seq, lacks: vec![true] });
    }
    let raw = &mut session.raw;
    let taken = raw.runtime.block_on(async {
        let mut taken = 0;
        loop {
            match timeout(LONG, raw.ws.next()).await.expect("it goes on, or ends") {
                Some(Ok(Message::Text(text))) if text.contains("\"payload\"") => taken += 1,
                Some(Ok(_)) => {}
                _ => return taken,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(taken < STONES, "the whole payload comes, long after the session's time");
    host.all_closed();
}

#[test]
fn an_upgrade_whose_body_never_comes_holds_no_place() {
    let host = Host::with(|opts| opts.timeouts.untrusted = Duration::from_secs(1));
    let asks = ["content-length: 100\r\n\r\n", "transfer-encoding: chunked\r\n\r\n5\r\nab"];
    let held = asks.map(|body| {
        let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
        let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}{body}", wire::PATH_WS);
        tcp.write_all(head.as_bytes()).unwrap();
        tcp.set_read_timeout(Some(LONG)).unwrap();
        tcp
    });
    for mut tcp in held {
        let mut said = Vec::new();
        let ended = tcp.read_to_end(&mut said);
        assert!(
            !matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
            "it stays open: {}",
            String::from_utf8_lossy(&said)
        );
    }
    host.all_closed();
}

#[test]
fn a_server_stops_though_requests_are_half_sent_and_sockets_open() {
    let host = Host::with(|opts| opts.stop_time = Duration::from_secs(1));
    let person = Person::new(&host, "a");
    let post = |path: &str, rest: &str| {
        let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{rest}"
        );
        tcp.write_all(head.as_bytes()).unwrap();
        tcp
    };
    let evolution = wire::domain_path(wire::PATH_EVOLUTION, person.domain());
    let _held = [
        post(wire::PATH_KEYSTONES, "content-length: 1000\r\n\r\n{"),
        post(&evolution, "transfer-encoding: chunked\r\n\r\n5\r\nab"),
        post(&evolution, ""),
    ];
    let _unproved = Raw::open(&host);
    let _proved = person.connected(&host);
    let Host { runtime, server, .. } = host;
    runtime.block_on(async { timeout(LONG, server.stop()).await }).expect("it stops").unwrap();
    runtime.shutdown_timeout(Duration::from_secs(1));
}
