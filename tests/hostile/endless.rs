//! Answers by HTTP that do not end: whoever reads them gives up.

use std::time::Duration;

use sync_gib::ibgib::IbGib;
use sync_gib::peer::{Device, Endpoint, Identity, PeerError, ReceiverLink, Remote, Timeouts, ws};
use sync_gib::space::{Space, SqliteSpace};
use sync_gib::sync::{Capabilities, SenderOpts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::hostile_common::*;

/// Answers every request with `head`, and then with this line again and again, with a pause after
/// each.
fn repeating(runtime: &Runtime, head: &'static str, line: String, pause: Duration) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let line = line.clone();
            tokio::spawn(async move {
                let _ = tcp.read(&mut [0; 4096]).await;
                let mut taken = tcp.write_all(head.as_bytes()).await;
                while taken.is_ok() {
                    taken = tcp.write_all(line.as_bytes()).await;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn a_graph_that_does_not_end_is_given_up() {
    for pause in [Duration::ZERO, Duration::from_millis(100)] {
        let runtime = runtime();
        let stone = IbGib::new("stone".into(), None, None).unwrap();
        let url = repeating(&runtime, "HTTP/1.1 200 OK\r\n\r\n", stone.to_json() + "\n", pause);
        let timeouts = Timeouts { session: Duration::from_secs(1), ..Timeouts::default() };
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let link = Remote::new(&runtime, endpoint, timeouts).unwrap();
            let addr = stone.addr().unwrap();
            done.send(link.graph(&addr.clone().into(), &addr, true, "token", &mut |_| Ok(())))
                .unwrap();
        });
        let error = ended.recv_timeout(LONG).expect("it is given up").unwrap_err();
        assert!(matches!(error, PeerError::Late { .. }), "{error:?}");
    }
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let upgrade = "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    let names = "sync-gib-features: a\r\n";
    let long = "x".repeat(1000);
    for (head, line) in [
        ("HTTP/1.1 200 OK\r\n", names),
        (upgrade, names),
        ("HTTP/1.1 200 OK\r\nsync-gib-features: ", &*long),
        ("HTTP/1.1 101 x\r\nsync-gib-features: ", &*long),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", &*long),
    ] {
        for pause in [Duration::ZERO, Duration::from_millis(100)] {
            let runtime = runtime();
            let url = repeating(&runtime, head, line.to_owned(), pause);
            let second = Duration::from_secs(1);
            let timeouts = Timeouts { answer: second, untrusted: second, ..Timeouts::default() };
            let endpoint = Endpoint::new(&url, None, false).unwrap();
            let (done, ended) = std::sync::mpsc::channel();
            let asks = done.clone();
            let asked = endpoint.clone();
            std::thread::spawn(move || {
                let link = Remote::new(&runtime, endpoint, timeouts).unwrap();
                asks.send(link.common().map(drop)).unwrap();
                let opened = runtime.block_on(ws::open(&asked, &Capabilities::default(), timeouts));
                done.send(opened.map(drop)).unwrap();
            });
            for by in ["HTTP", "WebSocket"] {
                let given_up = ended.recv_timeout(LONG).unwrap_or_else(|_| panic!("{by}: {line}"));
                let error = given_up.unwrap_err();
                assert!(error.to_string().len() < 1000, "{error}");
            }
        }
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_a_sync_is_not_held() {
    for head in ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
        let runtime = runtime();
        let other = crate::hostile_common::runtime();
        let url = repeating(&other, head, String::new(), Duration::from_secs(1));
        let person = Person::unregistered("a");
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        let space: std::sync::Arc<dyn Space> = std::sync::Arc::new(
            SqliteSpace::open(person.space.path(), sync_gib::space::Domain::Client).unwrap(),
        );
        let domain = person.domain().clone();
        let identity = Identity { domain, secret: secret_of("a") };
        let device = Device::new(space, identity, endpoint);
        let opts = SenderOpts::new(person.dir.path().to_owned());
        let synced = runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(500), device.sync(opts)).await
        });
        assert!(synced.is_err(), "the server says nothing");
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(runtime);
            done.send(()).unwrap();
        });
        ended.recv_timeout(LONG).unwrap_or_else(|_| panic!("it is held: {head:?}"));
    }
}
