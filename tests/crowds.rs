//! Many clients at once, of a real server process: what each may take, and that others are served
//! meanwhile.
#![cfg(feature = "cli")]
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;
mod crowd_common;

use cli_common::Home;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crowd_common::*;
use futures_util::{SinkExt, StreamExt};
use sync_gib::ibgib::{System, json::stringify};
use sync_gib::keystone;
use sync_gib::peer::wire::{self, EvolutionBody};
use sync_gib::sync::establish;
use sync_gib::sync::msg::{Msg, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A home that is set up with the server.
fn home(served: &Served) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("secret"), "9b4e07d1c86f3a52e0d7b91f6c2483ae5d18f07b6a93")
        .unwrap();
    set_private(&home.path().join("secret"));
    home.ok(&["setup", "--raw-secret", &secret(&home), &format!("--server={}", served.url())]);
    home
}

fn set_private(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn secret(home: &Home) -> String {
    format!("--secret-file={}", home.path().join("secret").display())
}

fn sync(home: &Home) {
    home.ok(&["mut8", "X", "--set", "a=1"]);
    home.ok(&["sync", &secret(home)]);
}

#[test]
fn a_thousand_idle_sockets_hold_no_thread_and_no_connection_to_the_file() {
    let served = Served::start(&["--max-sockets", "2000"]);
    let (runtime, addr) = (runtime(), served.addr);
    let idle = runtime.block_on(many(1000, 8, |at| async move {
        let someone = Someone::new(&format!("someone {at}"));
        someone.connected(addr, loopback(2 + (at % 200) as u8)).await
    }));
    sync(&home(&served));
    let (threads, files) = (served.threads(), served.open("server.db"));
    assert!(threads < 100, "{threads} threads");
    assert!(files < 50, "the file is open {files} times");
    assert_eq!(idle.len(), 1000);
}

/// A server with default settings and a home of it; others are served while and after `attack`
/// runs, and the server never held 256 MiB.
fn bounded<T>(args: &[&str], attack: impl AsyncFnOnce(SocketAddr) -> T) {
    let served = Served::start(args);
    let home = home(&served);
    let runtime = runtime();
    let held = runtime.block_on(attack(served.addr));
    sync(&home);
    drop(held);
    sync(&home);

    assert!(served.peak() < 256, "{} MiB", served.peak());
}

/// Bodies of 8 MiB that take as much memory as any to be read.
fn large_body() -> String {
    let values = "[],".repeat(((8 << 20) - 64) / 3);
    format!("{{\"frames\":[{}0],\"session\":0}}", values)
}

#[test]
fn posts_of_8_mib_at_once_take_little_memory() {
    let nobody = wire::domain_path(wire::PATH_EVOLUTION, &Someone::new("nobody").domain);
    bounded(&[], async |addr| {
        let body = large_body();
        let answers = many(8, 8, |at| {
            let path = if at % 2 == 0 { nobody.as_str() } else { wire::PATH_KEYSTONES };
            post(addr, loopback(2 + at as u8), path, &body)
        });
        for (status, answer) in answers.await {
            assert!([400, 413, 503, 0].contains(&status), "{answer}");
        }
        // One after another they are all read.
        for _ in 0..4 {
            let (status, answer) = post(addr, loopback(2), &nobody, &body).await;
            assert_eq!(status, 413, "{answer}");
        }
    });
}

#[test]
fn bodies_that_wait_to_be_read_take_little_memory() {
    let nobody = wire::domain_path(wire::PATH_EVOLUTION, &Someone::new("nobody").domain);
    bounded(&[], async |addr| {
        // Slow to read, and long.
        let frames = "{\"\":0},".repeat(120_000);
        let rest = "x".repeat((8 << 20) - frames.len() - 64);
        let body = format!("{{\"frames\":[{frames}0],\"rest\":\"{rest}\"}}");
        // Who is refused for want of room tries again: each body that was read waits for its turn.
        many(80, 80, |at| {
            let (body, path) = (body.as_str(), nobody.as_str());
            async move {
                for _ in 0..100 {
                    let (status, answer) =
                        post(addr, loopback(2 + (at % 8) as u8), path, body).await;
                    assert!([400, 413, 503, 0].contains(&status), "{answer}");
                    if ![503, 0].contains(&status) {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
        .await;
    });
}

#[test]
fn short_texts_of_many_values_take_little_memory() {
    let nobody = wire::domain_path(wire::PATH_EVOLUTION, &Someone::new("nobody").domain);
    bounded(&[], async |addr| {
        // As many small objects as a body of this length may hold: each takes 50 times its bytes.
        let frames = "{\"\":0},".repeat((380 << 10) / 7);
        let body = format!("{{\"frames\":[{frames}0],\"session\":0}}");
        let answers = many(128, 64, |at| {
            let (body, path) = (body.as_str(), nobody.as_str());
            post(addr, loopback(2 + (at % 4) as u8), path, body)
        });
        for (status, answer) in answers.await {
            assert!([400, 413, 503, 0].contains(&status), "{answer}");
        }
        let hello = format!("{{\"type\":\"hello\",\"x\":[{}0]}}", &frames[..7 * (16 << 10)]);
        many(128, 64, |at| {
            let hello = Message::text(hello.clone());
            async move {
                let mut ws = open(addr, loopback(2 + (at % 8) as u8)).await.unwrap();
                let _ = ws.send(hello).await;
                while let Some(Ok(_)) = ws.next().await {}
            }
        })
        .await;
    });
}

#[test]
fn half_sent_bodies_take_little_memory() {
    let nobody = wire::domain_path(wire::PATH_EVOLUTION, &Someone::new("nobody").domain);
    bounded(&[], async |addr| {
        let half = format!("{}{}", head(&nobody, 8 << 20), "x".repeat(4 << 20));
        many(100, 100, |at| {
            let half = half.as_str();
            async move {
                let mut tcp = connect(addr, loopback(2 + (at % 4) as u8)).await.unwrap();
                // Where it is refused it may be closed before all is sent.
                let sending = tcp.write_all(half.as_bytes());
                let _ = tokio::time::timeout(Duration::from_secs(5), sending).await;
                tcp
            }
        })
        .await
    });
}

#[test]
fn unfinished_fragments_take_little_memory() {
    bounded(&[], async |addr| {
        many(64, 64, |at| async move {
            let mut ws = open(addr, loopback(2 + (at % 4) as u8)).await.unwrap();
            for part in 0..8 {
                let code = if part == 0 { Data::Text } else { Data::Continue };
                let frame = Frame::message(vec![b'x'; 1 << 20], OpCode::Data(code), false);
                // Once the server has closed it, nothing more goes.
                let sending = ws.send(Message::Frame(frame));
                if !matches!(tokio::time::timeout(LONG, sending).await, Ok(Ok(()))) {
                    break;
                }
            }
            ws
        })
        .await
    });
}

/// Sockets that proved an identity, 20 of each of five addresses, and a message of each of which 7 MiB
/// came, as far as the server takes them.
async fn begun(addr: SocketAddr) -> Vec<Ws> {
    many(100, 8, |at| async move {
        let source = loopback(2 + (at % 5) as u8);
        let mut ws = Someone::new(&format!("someone {at}")).connected(addr, source).await;
        for part in 0..7 {
            let code = if part == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(vec![b'x'; 1 << 20], OpCode::Data(code), false);
            let sending = ws.send(Message::Frame(frame));
            if tokio::time::timeout(Duration::from_millis(200), sending).await.is_err() {
                break;
            }
        }
        ws
    })
    .await
}

#[test]
fn unfinished_messages_of_those_who_proved_themselves_take_little_memory() {
    bounded(&[], begun);
}

#[test]
fn who_finds_no_room_for_a_message_is_told_to_try_again() {
    let served = Served::start(&[]);
    runtime().block_on(async {
        let mut held = begun(served.addr).await;
        let mut busy = 0;
        for ws in &mut held {
            busy += usize::from(told_busy(ws).await);
        }
        assert!(busy > 0, "some of them had no room");
    });
}

/// Whether a socket is closed with the word that the server is busy.
async fn told_busy(ws: &mut Ws) -> bool {
    use futures_util::StreamExt;
    while let Ok(Some(Ok(said))) = tokio::time::timeout(LONG, ws.next()).await {
        if let Message::Text(text) = said
            && let Msg::SyncError(refusal) = wire::read(text.as_str()).unwrap()
        {
            return refusal.code == RefusalCode::Busy;
        }
    }
    false
}

#[test]
fn slow_readers_of_an_identity_take_little_memory() {
    let long = Someone::new("long");
    bounded(&[], async |addr| {
        let path = wire::domain_path(wire::PATH_IDENTITY, &long.domain);
        grow(addr, &long, 1000).await;
        let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let slow = many(64, 64, |at| {
            let ask = ask.as_str();
            async move {
                let mut tcp = connect(addr, loopback(2 + (at % 4) as u8)).await.unwrap();
                tcp.write_all(ask.as_bytes()).await.unwrap();
                let mut status = [0; 12];
                tcp.read_exact(&mut status).await.unwrap();
                assert!(status.starts_with(b"HTTP/1.1 "), "{status:?}");
                tcp
            }
        });
        slow.await
    });
}

/// Gives an identity many frames.
async fn grow(addr: SocketAddr, someone: &Someone, count: usize) {
    let said = post(addr, loopback(2), wire::PATH_KEYSTONES, &someone.genesis.to_json()).await;
    assert_eq!(said.0, 200, "{}", said.1);
    let path = wire::domain_path(wire::PATH_EVOLUTION, &someone.domain);
    let (mut tip, mut frames) = (someone.genesis.clone(), Vec::new());
    for at in 0..count {
        let made = establish(&someone.domain, &tip, &someone.secret, &System::new()).unwrap();
        tip = made.identity.clone();
        frames.push(made.identity);
        if frames.len() == 200 || at + 1 == count {
            let frames = std::mem::take(&mut frames);
            let body = EvolutionBody { frames: frames.iter().collect(), session: &made.session };
            let said = post(addr, loopback(2), &path, &stringify(&body)).await;
            assert_eq!(said.0, 200, "{}", said.1);
        }
    }
}

#[test]
fn a_closed_server_asks_its_list_before_it_reads_a_body() {
    let known = Someone::new("known");
    let served = Served::start(&["--registration", "closed", "--allow", known.domain.as_str()]);
    let (runtime, addr) = (runtime(), served.addr);
    runtime.block_on(async {
        known.establish(addr, loopback(2)).await;
        let path = wire::domain_path(wire::PATH_EVOLUTION, &Someone::new("other").domain);
        let (status, answer) = post(addr, loopback(2), &path, "no JSON").await;
        assert_eq!(status, 403, "{answer}");
        // A genesis is no longer than a frame may be.
        let long = "x".repeat(keystone::MAX_FRAME_BYTES + 1);
        assert_eq!(post(addr, loopback(2), wire::PATH_KEYSTONES, &long).await.0, 413);
    });
}

/// Opens sockets from an address until no more are let in.
async fn open_all(addr: SocketAddr, last: u8) -> Vec<Ws> {
    let mut held = Vec::new();
    while let Ok(ws) = open(addr, loopback(last)).await {
        held.push(ws);
        assert!(held.len() < 10_000, "there is no end to them");
    }
    held
}

#[test]
fn sockets_that_prove_nothing_keep_nobody_out() {
    let served = Served::start(&[]);
    let (near, runtime) = (home(&served), runtime());
    let held = runtime.block_on(open_all(served.addr, 2));
    assert!(held.len() >= 64, "devices behind one address: {}", held.len());
    for _ in 0..3 {
        // Not once those have run out of time, but meanwhile.
        near.ok(&["sync", "--retry-for=0", &secret(&near)]);
    }
    // From the same address it waits until those have run out of time.
    let held = runtime.block_on(open_all(served.addr, 1));
    assert!(!held.is_empty());
    sync(&near);
}

#[test]
fn sockets_that_prove_nothing_have_no_place_among_the_others() {
    let served = Served::start(&["--max-sockets", "1"]);
    let (someone, other) = (Someone::new("a"), Someone::new("b"));
    runtime().block_on(async {
        let _silent = open(served.addr, loopback(2)).await.unwrap();
        let mut made = other.establish(served.addr, loopback(2)).await;
        let mut late = open(served.addr, loopback(2)).await.unwrap();
        let connected = someone.connected(served.addr, loopback(2)).await;
        assert!(open(served.addr, loopback(3)).await.is_err(), "no place would be left");
        // A session that finds no place is not used up.
        let said = prove(&mut late, &other.domain, &mut made).await;
        assert!(matches!(&said, Msg::AuthFail(r) if r.code == RefusalCode::Busy), "{said:?}");
        drop(connected);
        let secret = other.secret.derive_session(&made.saga_id);
        made.signer = sync_gib::sync::session::Signer::new(secret, made.session.clone()).unwrap();
        let said = loop {
            if let Ok(mut ws) = open(served.addr, loopback(2)).await {
                break prove(&mut ws, &other.domain, &mut made).await;
            }
        };
        assert!(matches!(said, Msg::AuthOk { .. }), "{said:?}");
    });
}

#[test]
fn one_address_with_many_identities_cannot_hold_all_proved_sockets() {
    let served = Served::start(&["--max-sockets", "128"]);
    let addr = served.addr;
    runtime().block_on(async {
        let proved = many(65, 8, |at| async move {
            let someone = Someone::new(&format!("someone {at}"));
            let mut made = someone.establish(addr, loopback(10 + at as u8)).await;
            let mut ws = open(addr, loopback(2)).await.unwrap();
            let said = prove(&mut ws, &someone.domain, &mut made).await;
            (ws, said)
        });
        let proved = proved.await;
        let busy = |said: &Msg| matches!(said, Msg::AuthFail(r) if r.code == RefusalCode::Busy);
        assert_eq!(proved.iter().filter(|(_, said)| busy(said)).count(), 1, "half of the places");
        Someone::new("other").connected(addr, loopback(3)).await;
    });
}

#[test]
fn one_address_cannot_hold_all_connections() {
    let served = Served::start(&[]);
    let (near, runtime) = (home(&served), runtime());
    let held = runtime.block_on(many(1500, 50, |_| connect(served.addr, loopback(2))));
    sync(&near);
    // Those that are too many are closed, and so are the others before long.
    let mut open = 0;
    runtime.block_on(async {
        for tcp in held {
            let Ok(mut tcp) = tcp else { continue };
            let read = tokio::time::timeout(LONG, tcp.read(&mut [0; 64])).await;
            open += usize::from(read.is_err());
        }
    });
    assert_eq!(open, 0, "connections whose request never came");
}

#[test]
fn a_trusted_proxy_says_for_whom_it_asks() {
    let served = Served::start(&["--trusted-proxy", "127.0.0.2"]);
    let runtime = runtime();
    let opened = |last, forwarded: String| {
        runtime.block_on(async {
            use tokio_tungstenite::tungstenite::client::IntoClientRequest;
            let tcp = connect(served.addr, loopback(last)).await.unwrap();
            let url = format!("ws://{}{}", served.addr, wire::PATH_WS);
            let mut request = url.into_client_request().unwrap();
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            tokio_tungstenite::client_async(request, tcp).await.map(|opened| opened.0)
        })
    };
    let fill = |last, forwarded: &dyn Fn(usize) -> String| {
        let mut held = Vec::new();
        while held.len() < 150
            && let Ok(ws) = opened(last, forwarded(held.len()))
        {
            held.push(ws);
        }
        held.len()
    };
    // Of many it lets many in, and of one as many as of any other address; and a stranger's word
    // counts for nothing.
    assert_eq!(fill(2, &|at| format!("9.9.9.9, 10.0.0.{at}")), 150);
    assert_eq!(fill(2, &|at| format!("10.0.1.{at}, 10.2.2.2")), 128);
    assert!(fill(3, &|at| format!("10.3.3.{at}")) < 150);
}

#[test]
fn http_2_is_not_spoken() {
    let served = Served::start(&[]);
    // What a client of HTTP/2 begins with, an empty SETTINGS frame included.
    let begins = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (status, answer) = runtime().block_on(async {
        let mut tcp = connect(served.addr, loopback(1)).await.unwrap();
        ask(&mut tcp, begins).await
    });
    assert!(answer.is_empty() || status == 400, "{answer:?}");
}

/// The server under a limit of open files that a shell sets.
fn under_limit(limits: &str) -> Served {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), PROGRAM]);
    Served::started_by(shell, &[])
}

#[test]
fn the_limit_of_open_files_is_raised_or_the_start_says_what_is_lacking() {
    let served = under_limit("ulimit -Sn 256");
    let limits = served.limits();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft > 1500, "{line}");
    assert!(!served.log().contains("too few files"), "{}", served.log());
    let served = under_limit("ulimit -n 256");
    assert!(served.log().contains("too few files"), "{}", served.log());
}
