//! Servers that stop: a commit that is being made is finished, for so long as a stop waits, and all
//! else is cut off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod hostile_common;
mod net_common;

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sync_gib::ibgib::{Addr, TjpAddr};
use sync_gib::space::{Space, SqliteSpace};
use sync_gib::sync::body::Body;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use hostile_common::*;
use net_common::relay::Act;
use net_common::scene::{Kind, Template};

/// Holds a server's file as another process that writes would: no commit gets on.
fn hold(file: &Path) -> Connection {
    let other = Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// A host on which a commit waits for its file, what holds that, and what will be there: a domain, and
/// the tjp and the tip of a timeline in it.
fn committing(stop_time: Duration) -> (Host, Connection, TjpAddr, (TjpAddr, Addr)) {
    let host = Host::with(|opts| opts.stop_time = stop_time);
    let person = Person::new(&host, "a");
    let x = timeline("x", json!({ "a": 1 }));
    let mut session = person.connected(&host);
    let commit = session.push(&x);
    session.answer();
    eventually("waiting for the commit", || host.server.working() == 0);
    let held = hold(&host.path());
    session.send_turn(&Body::Commit(commit));
    eventually("committing", || host.server.working() == 1);
    let tip = tip_of(&x);
    let addrs = (TjpAddr::parse(&tip.tjp_addr().unwrap()).unwrap(), tip.addr().unwrap());
    // Its socket is closed: whether it is done does not depend on the client.
    drop(session);
    (host, held, person.domain().clone(), addrs)
}

fn tip(file: &Path, domain: &TjpAddr, tjp: &TjpAddr) -> Option<Addr> {
    let space = SqliteSpace::open(file, domain).unwrap();
    space.check_file().unwrap();
    space.tip(tjp).unwrap().map(|tip| tip.addr)
}

#[test]
fn a_commit_that_is_being_made_is_finished() {
    let (host, held, domain, (tjp, new)) = committing(LONG * 10);
    let file = host.path();
    let Host { runtime, server, dir } = host;
    let addr = server.addr();
    let stopping = runtime.spawn(server.stop());
    eventually("taking nothing new", || std::net::TcpStream::connect(addr).is_err());
    assert!(!stopping.is_finished(), "it did not wait");
    assert_eq!(tip(&file, &domain, &tjp), None);
    held.execute_batch("ROLLBACK").unwrap();
    let stopped = runtime.block_on(async { timeout(LONG, stopping).await });
    stopped.expect("it stops once all is done").unwrap().unwrap();
    assert_eq!(tip(&file, &domain, &tjp), Some(new));
    drop(dir);
}

#[test]
fn a_commit_that_takes_too_long_is_not_waited_for() {
    let (host, held, domain, (tjp, _)) = committing(Duration::from_millis(300));
    let file = host.path();
    let Host { runtime, server, dir } = host;
    let stopping = runtime.spawn(server.stop());
    let stopped = runtime.block_on(async { timeout(LONG, stopping).await });
    stopped.expect("it stops in time").unwrap().unwrap();
    assert_eq!(tip(&file, &domain, &tjp), None, "and nothing of it is stored");
    held.execute_batch("ROLLBACK").unwrap();
    drop(dir);
}

#[test]
fn sessions_between_two_messages_are_cut_off_at_once() {
    let host = Host::with(|opts| opts.stop_time = LONG * 10);
    let person = Person::new(&host, "a");
    let mut unproved = Raw::open(&host).ws;
    let mut proved = person.connected(&host).raw.ws;
    let before = host.held(person.domain());
    let file = host.path();
    let Host { runtime, server, dir } = host;
    let closed = runtime.block_on(async {
        timeout(LONG, server.stop()).await.expect("nobody is waited for").unwrap();
        [proved.next().await, unproved.next().await]
    });
    for last in closed {
        assert!(!matches!(last, Some(Ok(Message::Text(_)))), "{last:?}");
    }
    let space = SqliteSpace::open(&file, person.domain()).unwrap();
    assert_eq!(held(&space), before);
    drop(dir);
}

/// Ends the server in order at this message; the client says how it went, and a rerun finishes.
fn terminated_at(template: &Template, message: (&'static str, usize), then: Act) {
    let place = format!("{:?}, terminated at {message:?}", template.kind());
    let mut stage = template.stage();
    let server = Pid::from_raw(i32::try_from(stage.serve().pid()).unwrap()).unwrap();
    stage.relay.act(move |event| if event.is(message) { then } else { Act::Pass });
    stage.relay.after(move |event| {
        if event.is(message) {
            kill_process(server, Signal::TERM).unwrap();
        }
    });
    let told = stage.told();
    assert!(stage.relay.events().iter().any(|event| event.is(message)), "{place}: {told}");
    match told["exit"].as_u64() {
        None => stage.is_done(&place),
        Some(3) => assert_eq!(told["error"]["code"], "unreachable", "{place}: {told}"),
        _ => panic!("{place}: {told}"),
    }
    assert_eq!(stage.ended(), Some(0), "{place}");
    stage.old_or_new(&place);
    stage.restart();
    stage.finishes(&place);
}

#[test]
fn a_server_that_is_terminated_in_a_sync_ends_in_order() {
    for kind in [Kind::Push, Kind::Pull] {
        let template = Template::new(kind);
        for message in [
            ("POST evolution", 1),
            ("auth_proof", 1),
            ("payload", 1),
            ("sync_frame_request commit", 1),
            ("sync_frame_response commit", 1),
        ] {
            terminated_at(&template, message, Act::Pass);
        }
    }
}

#[test]
fn a_server_that_is_terminated_ends_though_a_sync_hangs() {
    let template = Template::new(Kind::Push);
    for message in [("auth_proof", 1), ("sync_frame_request init", 1), ("payload", 1)] {
        terminated_at(&template, message, Act::Tear);
    }
}
