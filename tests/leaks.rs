//! No path leaves a socket open, on either end: the four cases in which they once stayed.
//!
//! Server and client are in this process, so its sockets are those of both ends.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile_common;

use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hostile_common::fake::{self, Fake};
use hostile_common::*;
use serde_json::json;
use sync_gib::ibgib::IbGib;
use sync_gib::peer::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client, ws};
use sync_gib::space::SpaceExt;
use sync_gib::sync::body::{Body, Init};
use sync_gib::sync::establish::Established;
use sync_gib::sync::frame::Saga;
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::session::Signer;
use sync_gib::sync::{Capabilities, Sender, SenderOpts};
use tokio_tungstenite::tungstenite::Message;

/// Runs `act`, after which both ends must have closed every socket that it opened.
fn nothing_stays_open<T>(host: &Host, act: impl FnOnce() -> T) -> T {
    let before = own_sockets();
    let done = act();
    host.all_closed();
    eventually("closing every socket of both ends", || own_sockets() == before);
    done
}

/// Runs a test with a host. One at a time, since the sockets of the whole process are counted.
fn with_host(set: impl FnOnce(&mut sync_gib::server::ServerOpts), act: impl FnOnce(&Host)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::with(set);
    act(&host);
}

fn timeouts() -> Timeouts {
    let short = Duration::from_millis(300);
    Timeouts { untrusted: short, idle: short, ..Timeouts::default() }
}

/// Runs the saga of an established session with whatever is at `url`.
fn run_session(
    host: &Host,
    person: &Person,
    made: Established,
    url: &str,
) -> Result<(), PeerError> {
    let endpoint = Endpoint::new(url, None, false).unwrap();
    let link = Remote::new(&host.runtime, endpoint, timeouts()).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    let domain = person.domain().clone();
    let mut sender = Sender::new(&person.space, domain, made.saga_id, made.signer, opts).unwrap();
    link.run_session(&mut sender, &mut NoObserver)
}

fn established(host: &Host, person: &Person) -> Established {
    client::open_session(&person.space, &host.link(), &person.identity).unwrap()
}

#[test]
fn a_sender_that_cannot_connect_closes() {
    with_host(
        |opts| opts.max_sockets = 0,
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
                let silent = format!("http://{}", nobody.local_addr().unwrap());
                let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                for url in [host.server.url(), silent, format!("http://{gone}")] {
                    let made = established(host, &person);
                    let failed = run_session(host, &person, made, &url);
                    let expected = matches!(
                        failed,
                        Err(PeerError::Unreachable { .. } | PeerError::Busy { .. })
                    );
                    assert!(expected, "{failed:?}");
                }
            });
        },
    );
}

#[test]
fn a_sender_whose_handshake_fails_closes() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                // Another session's signer cannot answer the challenge; a session that was
                // connected before is refused.
                let (mut made, other) = (established(host, &person), established(host, &person));
                made.signer = Signer::new(secret_of("other"), made.session.clone()).unwrap();
                let refused = run_session(host, &person, made, &host.server.url());
                assert!(matches!(refused, Err(PeerError::Sync(_))), "{refused:?}");
                let again = Established {
                    saga_id: other.saga_id.clone(),
                    session: other.session.clone(),
                    identity: other.identity.clone(),
                    signer: Signer::new(
                        person.identity.secret.derive_session(&other.saga_id),
                        other.session.clone(),
                    )
                    .unwrap(),
                };
                run_session(host, &person, other, &host.server.url()).unwrap();
                let refused = run_session(host, &person, again, &host.server.url());
                assert!(matches!(refused, Err(PeerError::Sync(_))), "{refused:?}");
            });
            // Nothing is said at all.
            nothing_stays_open(host, || {
                let person = Person::new(host, "b");
                let made = established(host, &person);
                let failed = fake::serving(
                    &host.runtime,
                    |_| vec![],
                    |url| run_session(host, &person, made, url),
                );
                assert!(matches!(failed, Err(PeerError::Late { .. })), "{failed:?}");
            });
        },
    );
}

#[test]
fn a_sender_that_refuses_a_response_closes() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                let made = established(host, &person);
                let saga = Saga::new(made.saga_id.clone(), made.session.addr().unwrap().into());
                let mut fake = Fake { session: made.session.clone(), saga, turns: 0 };
                let mut broken = |fake: &mut Fake, msg: Msg| match msg {
                    Msg::Request(mut turn) => {
                        turn.context.gib = HASH.into();
                        vec![Msg::Response(turn)]
                    }
                    msg => fake.auth(&msg),
                };
                let failed = fake::serving(
                    &host.runtime,
                    |text| fake.hear(text, &mut broken),
                    |url| run_session(host, &person, made, url),
                );
                assert!(matches!(failed, Err(PeerError::Sync(_))), "{failed:?}");
            });
        },
    );
}

#[test]
fn a_saga_that_is_done_leaves_nothing_open() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                person.space.put_all(&timeline("x", json!({}))).unwrap();
                let opts = SenderOpts::new(person.dir.path().to_owned());
                let link = host.link();
                for _ in 0..3 {
                    let identity = &person.identity;
                    client::sync(&person.space, &link, identity, &opts, &mut NoObserver).unwrap();
                    host.all_closed();
                }
                let dir = person.dir.path();
                client::connect(&person.space, &link, &person.identity, dir, &mut NoObserver)
                    .unwrap();
            });
        },
    );
}

/// What a receiver refuses, each on a socket of its own: before the proof and after it.
fn bad_messages<'h>(host: &'h Host, person: &Person) -> Vec<Raw<'h>> {
    let hello = Msg::Hello {
        protocol: PROTOCOL + 1,
        domain: person.domain().clone(),
        session: person.domain().clone(),
        features: Default::default(),
    };
    let mut before = Raw::open(host);
    before.send(&hello);
    let mut garbage = Raw::open(host);
    garbage.send_raw(Message::binary(vec![1]));
    let mut after = person.connected(host);
    after.send_turn(&Body::Init(Init { timelines: vec![], ..init() }));
    after.raw.send(&Msg::Need { seq: 1, lacks: vec![] });
    vec![before, garbage, after.raw]
}

#[test]
fn a_receiver_closes_what_it_refuses() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                let mut raws = bad_messages(host, &person);
                assert!(matches!(raws[2].receive(), Some(Msg::Response(_))));
                raws[0].auth_fail();
                raws[1].auth_fail();
                raws[2].sync_error(RefusalCode::Protocol);
            });
            // A client that neither reads nor closes is closed anyway.
            nothing_stays_open(host, || {
                let person = Person::new(host, "b");
                let raws = bad_messages(host, &person);
                host.all_closed();
                drop(raws);
            });
        },
    );
}

#[test]
fn a_receiver_whose_client_is_gone_closes() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                for mut raw in bad_messages(host, &person) {
                    // Reset, so that the error cannot be sent any more.
                    raw.ws.get_mut().set_zero_linger().unwrap();
                    drop(raw);
                }
            });
        },
    );
}

#[test]
fn a_receiver_closes_who_takes_nothing() {
    let idle = Duration::from_secs(1);
    with_host(
        |opts| opts.timeouts.idle = idle,
        |host| {
            nothing_stays_open(host, || {
                let person = Person::new(host, "a");
                let stones: Vec<IbGib> = (0..12)
                    .map(|i| json!({ "i": i, "text": "x".repeat(1 << 20) }))
                    .map(|data| IbGib::new("s".into(), Some(data), None).unwrap())
                    .collect();
                host.space(person.domain()).put_all(&stones).unwrap();
                let mut session = person.connected(host);
                let want_stones = stones.iter().map(|stone| stone.addr().unwrap()).collect();
                session.state(&[]);
                let delta = sync_gib::sync::body::Delta { want_stones, ..Default::default() };
                session.send_turn(&Body::Delta(delta));
                let Some(Msg::Offer { seq, addrs }) = session.raw.receive() else { panic!() };
                session.raw.send(&Msg::Need { seq, lacks: vec![true; addrs.len()] });
                host.all_closed();
            });
        },
    );
}

#[test]
fn closing_twice_is_harmless() {
    with_host(
        |_| {},
        |host| {
            nothing_stays_open(host, || {
                let endpoint = host.endpoint();
                let speaks = Capabilities::default();
                let opening = ws::open(&endpoint, &speaks, Timeouts::default());
                let (channel, pump, _) = host.runtime.block_on(opening).unwrap();
                drop(channel);
                host.runtime.block_on(pump).unwrap();
                let mut raw = Raw::open(host);
                for _ in 0..2 {
                    let _ = host.runtime.block_on(raw.ws.close(None));
                }
                raw.closed();
            });
        },
    );
}
