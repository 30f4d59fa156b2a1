//! Servers that lie to the sender: it gives up, in bounded time, and nothing comes into its space.

use std::time::Duration;

use serde_json::json;
use sync_gib::ibgib::{Addr, IbGib, Moment, TjpAddr};
use sync_gib::peer::{
    Endpoint, InProcess, NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client, wire,
};
use sync_gib::space::{Space, SpaceExt, SqliteSpace, TimelineKind};
use sync_gib::sync::body::{
    Ack, Answer, Body, Commit, Delta, Move, PayloadDigest, Relation, SAMPLES, Sample, Stated,
};
use sync_gib::sync::frame::{Role, Saga};
use sync_gib::sync::msg::{Msg, RefusalCode};
use sync_gib::sync::{Established, Sender, SenderOpts, SyncError};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::fake::{self, Fake, Then};
use crate::hostile_common::*;

/// A client with the timeline X, of which two edits were not synced yet.
pub struct Victim {
    pub person: Person,
    link: InProcess,
    pub x: Vec<IbGib>,
    _dir: tempfile::TempDir,
}

impl Victim {
    pub fn new() -> Victim {
        let person = Person::unregistered("a");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dest.db");
        let dest = SqliteSpace::create_if_missing(&path, person.domain()).unwrap();
        let link = InProcess::new(dest, dir.path().to_owned());
        link.register(&person.genesis).unwrap();
        let mut x = timeline("x", json!({}));
        x.extend(edit(tip_of(&x), json!({ "a": 1 })));
        x.extend(edit(tip_of(&x), json!({ "a": 2 })));
        person.space.put_all(&x).unwrap();
        Victim { person, link, x, _dir: dir }
    }

    fn tjp(&self) -> TjpAddr {
        self.x.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap().into()
    }

    fn tip(&self) -> Addr {
        tip_of(&self.x).addr().unwrap()
    }

    fn opts(&self) -> SenderOpts {
        let mut opts = SenderOpts::new(self.person.dir.path().to_owned());
        (opts.max_turns, opts.limits.ibgibs) = (30, 5000);
        opts
    }

    /// Syncs with a server that says what `says` says. Nothing may come of it.
    pub fn sync(&self, mut says: impl FnMut(&mut Fake, Msg) -> Vec<Msg>) -> PeerError {
        let made = client::open_session(&self.person.space, &self.link, &self.person.identity);
        let made = made.unwrap();
        let saga = Saga::new(made.saga_id.clone(), made.session.addr().unwrap().into());
        let mut fake = Fake { session: made.session.clone(), saga, turns: 0 };
        self.talk(made, |text| fake.hear(text, &mut says))
    }

    /// The same, where the answers are whole texts.
    pub fn sync_texts(&self, mut says: impl FnMut(&mut Fake, Msg) -> Vec<Message>) -> PeerError {
        let made = client::open_session(&self.person.space, &self.link, &self.person.identity);
        let made = made.unwrap();
        let saga = Saga::new(made.saga_id.clone(), made.session.addr().unwrap().into());
        let mut fake = Fake { session: made.session.clone(), saga, turns: 0 };
        self.talk(made, |text| {
            let msg = wire::read(text).unwrap();
            says(&mut fake, msg)
        })
    }

    fn talk(&self, made: Established, answers: impl FnMut(&str) -> Vec<Message>) -> PeerError {
        let space = &self.person.space;
        let data = || {
            let data = space.timelines(TimelineKind::Data, None, 100).unwrap();
            let sagas = space.timelines(TimelineKind::Saga, None, 100).unwrap();
            let i = space.tip(self.person.domain()).unwrap();
            (data, sagas, i, space.unreferenced_stones(None, 100).unwrap())
        };
        let before = data();
        let runtime = runtime();
        let error = fake::serving(&runtime, answers, |url| {
            let endpoint = Endpoint::new(url, None, false).unwrap();
            let timeouts = Timeouts { session: Duration::from_secs(3), ..Timeouts::default() };
            let link = Remote::new(&runtime, endpoint, timeouts).unwrap();
            let domain = self.person.domain().clone();
            let mut sender =
                Sender::new(space, domain, made.saga_id, made.signer, self.opts()).unwrap();
            link.run_session(&mut sender, &mut NoObserver).unwrap_err()
        });
        assert_eq!(data(), before, "{error}");
        error
    }

    fn protocol(&self, says: impl FnMut(&mut Fake, Msg) -> Vec<Msg>) -> String {
        match self.sync(says) {
            PeerError::Sync(SyncError::Protocol(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// What a receiver without any data says to init.
    fn unknown(&self) -> Ack {
        let tjp = self.tjp();
        let answer = Answer { tjp, relation: Relation::Unknown, tip: None, samples: Vec::new() };
        ack(vec![answer])
    }

    fn open(&self, tip: Sample, samples: Vec<Sample>) -> Ack {
        let (tjp, tip) = (self.tjp(), Some(tip));
        ack(vec![Answer { tjp, relation: Relation::Open, tip, samples }])
    }

    /// An answer by which the receiver is ahead by these frames.
    pub fn ahead(&self, frames: &[IbGib]) -> Ack {
        let newest = tip_of(frames);
        let tip = Some(Sample { addr: newest.addr().unwrap(), n: newest.n().unwrap() });
        let (tjp, relation) = (self.tjp(), Relation::Ahead);
        ack(vec![Answer { tjp, relation, tip, samples: Vec::new() }])
    }
}

fn ack(timelines: Vec<Answer>) -> Ack {
    let (lacks, offers, offered_stones) = (Vec::new(), Vec::new(), Vec::new());
    Ack { timelines, lacks, offers, offered_stones, more: false, sketch: None }
}

fn sample(name: &str, n: u64) -> Sample {
    Sample { addr: nowhere(name), n }
}

fn nowhere(name: &str) -> Addr {
    Addr::parse(&format!("{name}^{HASH}")).unwrap()
}

pub fn texts(ibgibs: &[IbGib]) -> Vec<Box<str>> {
    ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect()
}

#[test]
fn challenges_that_cannot_be_met() {
    let victim = Victim::new();
    for demanded in [vec!["0123456789abcdef".to_owned()], vec!["x".repeat(100); 5000]] {
        let error = victim.sync(|_: &mut Fake, _| {
            let demanded_ids = demanded.clone();
            vec![Msg::AuthChallenge { challenge_uuid: "u".into(), demanded_ids }]
        });
        assert!(matches!(error, PeerError::Sync(SyncError::Keystone(_))), "{error:?}");
    }
    let long = "u".repeat(1 << 19);
    victim.sync(|_: &mut Fake, _| {
        vec![Msg::AuthChallenge { challenge_uuid: long.clone(), demanded_ids: vec![] }]
    });
}

#[test]
fn answers_before_they_are_due() {
    let victim = Victim::new();
    victim.protocol(|_: &mut Fake, _| {
        vec![Msg::AuthOk { token: None, state_token: None, window: None }]
    });
    victim.protocol(|fake: &mut Fake, _| fake.respond(&Body::Ack(ack(vec![]))));
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => vec![Msg::Payload { ibgibs: vec!["{}".into()] }],
        msg => fake.auth(&msg),
    });
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => vec![Msg::Offer { seq: 0, addrs: vec![nowhere("x")] }],
        msg => fake.auth(&msg),
    });
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => fake.respond(&Body::Commit(Commit {
            payload: PayloadDigest::default(),
            moves: Vec::new(),
        })),
        msg => fake.auth(&msg),
    });
}

#[test]
fn responses_of_another_saga_or_place() {
    let victim = Victim::new();
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => {
            fake.saga = Saga::new("other".into(), nowhere("keystone").into());
            fake.respond(&Body::Ack(victim.unknown()))
        }
        msg => fake.auth(&msg),
    });
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(turn) => vec![Msg::Response(turn)],
        msg => fake.auth(&msg),
    });
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => {
            let body = Body::Ack(victim.unknown());
            let turn = fake.saga.make(Role::Sender, &body, Moment::now()).unwrap().into_inner();
            vec![Msg::Response(Box::new(turn))]
        }
        msg => fake.auth(&msg),
    });
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => {
            let body = Body::Ack(victim.unknown());
            let mut turn =
                fake.saga.make(Role::Receiver, &body, Moment::now()).unwrap().into_inner();
            turn.context.gib = HASH.into();
            vec![Msg::Response(Box::new(turn))]
        }
        msg => fake.auth(&msg),
    });
    assert!(matches!(error, PeerError::Sync(SyncError::Content(_))), "{error:?}");
}

#[test]
fn answers_that_do_not_answer() {
    let victim = Victim::new();
    let here = Sample { addr: victim.tip(), n: 2 };
    let about = |tjp| Answer { tjp, relation: Relation::Equal, tip: None, samples: vec![] };
    let n = |n| sample("y", n);
    let mut lacking = victim.unknown();
    lacking.lacks = vec![nowhere("s")];
    for bad in [
        ack(vec![]),
        ack(vec![about(nowhere("y").into())]),
        ack(vec![about(victim.tjp()), about(victim.tjp())]),
        ack(vec![Answer { relation: Relation::Ahead, ..about(victim.tjp()) }]),
        victim.open(n(9), vec![]),
        victim.open(n(9), vec![n(9), n(5), n(0)]),
        lacking,
    ] {
        victim.protocol(|fake: &mut Fake, msg| match msg {
            Msg::Request(_) => fake.respond(&Body::Ack(bad.clone())),
            msg => fake.auth(&msg),
        });
    }
    let too_many = victim.open(n(1 << 53), vec![n(1 << 53); SAMPLES + 1]);
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => fake.respond(&Body::Ack(too_many.clone())),
        msg => fake.auth(&msg),
    });
    assert!(matches!(error, PeerError::Sync(SyncError::Limit(_))), "{error:?}");
    // Samples that lie about where they are end somewhere as well.
    for n in [0, 1, 7, 1 << 53] {
        let lie = Sample { n, ..here.clone() };
        for samples in [vec![sample("y", 1 << 53), lie.clone()], vec![lie, sample("y", 3)]] {
            let open = victim.open(sample("y", 1 << 53), samples);
            victim.sync(|fake: &mut Fake, msg| match msg {
                Msg::Request(_) => fake.respond(&Body::Ack(open.clone())),
                msg => fake.auth(&msg),
            });
        }
    }
}

#[test]
fn offers_without_end() {
    let victim = Victim::new();
    let mut pages = 0;
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => {
            let first = pages == 0;
            let mut ack = if first { victim.unknown() } else { ack(vec![]) };
            let tip = nowhere("y");
            ack.offers = (0..100)
                .map(|i| Stated {
                    tjp: nowhere(&format!("y{pages}-{i}")).into(),
                    tip: tip.clone(),
                    n: 0,
                })
                .collect();
            ack.more = true;
            pages += 1;
            fake.respond(&Body::Ack(ack))
        }
        msg => fake.auth(&msg),
    });
    assert!(matches!(error, PeerError::Sync(SyncError::Limit(_))), "{error:?}");

    let mut first = true;
    victim.protocol(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => {
            let mut ack = if first { victim.unknown() } else { ack(vec![]) };
            first = false;
            ack.offered_stones = vec![nowhere("s")];
            ack.more = true;
            fake.respond(&Body::Ack(ack))
        }
        msg => fake.auth(&msg),
    });

    let mut seqs = 0..;
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) if fake.turns == 1 => {
            fake.respond(&Body::Ack(victim.ahead(&edit(tip_of(&victim.x), json!({})))))
        }
        Msg::Request(_) | Msg::Need { .. } => {
            vec![Msg::Offer { seq: seqs.next().unwrap(), addrs: vec![nowhere("z"); 1000] }]
        }
        msg => fake.auth(&msg),
    });
    assert!(matches!(error, PeerError::Sync(SyncError::Limit(_))), "{error:?}");
}

/// A number that comes back in the answer would tell what it was copied from.
#[test]
fn an_offer_out_of_order() {
    let victim = Victim::new();
    for seqs in [&[1][..], &[0, 0], &[0, 2]] {
        let mut seqs = seqs.iter();
        let told = victim.protocol(|fake: &mut Fake, msg| match msg {
            Msg::Request(_) if fake.turns == 1 => {
                fake.respond(&Body::Ack(victim.ahead(&edit(tip_of(&victim.x), json!({})))))
            }
            Msg::Request(_) | Msg::Need { .. } => {
                vec![Msg::Offer { seq: *seqs.next().unwrap(), addrs: vec![nowhere("z")] }]
            }
            msg => fake.auth(&msg),
        });
        assert!(told.contains("out of order"), "{told}");
    }
}

/// A saga that nobody signed would take along what it relates to, once it is dropped.
#[test]
fn offers_of_what_is_no_data() {
    let victim = Victim::new();
    for ib in ["sync_saga", "sync_saga_msg", "sync_saga_context", "keystone"] {
        for is_stone in [true, false] {
            let told = victim.protocol(|fake: &mut Fake, msg| match msg {
                Msg::Request(_) => {
                    let mut ack = victim.unknown();
                    match is_stone {
                        true => ack.offered_stones = vec![nowhere(ib)],
                        false => {
                            let (tjp, tip) = (nowhere(ib).into(), nowhere(ib));
                            ack.offers = vec![Stated { tjp, tip, n: 0 }];
                        }
                    }
                    fake.respond(&Body::Ack(ack))
                }
                msg => fake.auth(&msg),
            });
            assert!(told.contains("is no data"), "{ib}: {told}");
        }
    }
}

#[test]
fn a_commit_that_is_none() {
    let victim = Victim::new();
    let committing = |last: Body| {
        victim.sync(|fake: &mut Fake, msg| match msg {
            Msg::Request(_) if fake.turns == 1 => fake.respond(&Body::Ack(victim.unknown())),
            Msg::Request(_) if fake.turns == 2 => fake.respond(&Body::Delta(Delta::default())),
            Msg::Request(_) => fake.respond(&last),
            Msg::Offer { seq, addrs } => vec![Msg::Need { seq, lacks: vec![true; addrs.len()] }],
            Msg::Payload { .. } => vec![],
            msg => fake.auth(&msg),
        })
    };
    let payload = PayloadDigest { count: 1, ..PayloadDigest::default() };
    let moves = vec![Move { tjp: victim.tjp(), from: None, to: nowhere("x") }];
    for body in [
        Body::Delta(Delta::default()),
        Body::Ack(ack(vec![])),
        Body::Commit(Commit { payload, moves: vec![] }),
        Body::Commit(Commit { payload: PayloadDigest::default(), moves }),
    ] {
        let error = committing(body);
        assert!(matches!(error, PeerError::Sync(SyncError::Protocol(_))), "{error:?}");
    }
}

#[test]
fn needs_that_answer_no_offer() {
    let victim = Victim::new();
    for lacks in [vec![true; 4000], vec![]] {
        victim.protocol(|fake: &mut Fake, msg| match msg {
            Msg::Request(_) => fake.respond(&Body::Ack(victim.unknown())),
            Msg::Offer { seq, .. } => vec![Msg::Need { seq, lacks: lacks.clone() }],
            Msg::Payload { .. } => vec![Msg::Need { seq: 77, lacks: lacks.clone() }],
            msg => fake.auth(&msg),
        });
    }
}

#[test]
fn silence_ends() {
    let victim = Victim::new();
    let late = |error: PeerError| {
        assert!(matches!(error, PeerError::Late { .. }), "{error:?}");
    };
    late(victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) => vec![],
        msg => fake.auth(&msg),
    }));
    let error = victim.sync(|_: &mut Fake, _| {
        let (code, message) = (RefusalCode::Limit, "\u{1b}[2Jno".into());
        vec![Msg::SyncError(sync_gib::sync::msg::Refusal { code, message })]
    });
    assert_eq!(error.to_string(), " [2Jno");
}

#[test]
fn what_is_no_message_ends_it() {
    for text in ["", "{}", "{\"type\":\"payload\",\"ibGibs\":[]}", "x"] {
        let victim = Victim::new();
        let made =
            client::open_session(&victim.person.space, &victim.link, &victim.person.identity);
        let error = victim.talk(made.unwrap(), |_| vec![Message::text(text)]);
        assert!(matches!(error, PeerError::Sync(SyncError::Protocol(_))), "{error:?}");
    }
}

#[test]
fn an_identity_that_is_none() {
    let victim = Victim::new();
    let strange = texts(&timeline("y", json!({})));
    let answer = strange.join("\n") + "\n";
    let runtime = runtime();
    let url = fake::http(&runtime, answer);
    let endpoint = Endpoint::new(&url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let before = held(&victim.person.space);
    let caught = client::catch_up(&victim.person.space, &link, victim.person.domain());
    assert!(matches!(caught, Err(PeerError::Sync(SyncError::Protocol(_)))), "{caught:?}");
    assert_eq!(held(&victim.person.space), before);
}

/// An answer whose body does not end.
fn endless(status: u16) -> (String, Then) {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n");
    (head + "content-length: 1000000\r\n\r\n", Then::Drip)
}

#[test]
fn answers_that_come_a_byte_at_a_time() {
    let person = Person::unregistered("a");
    let (space, identity, domain) = (&person.space, &person.identity, person.domain());
    let runtime = runtime();
    let timeouts = Timeouts { answer: Duration::from_millis(500), ..Timeouts::default() };
    let to = |says: fn(&str) -> (String, Then)| {
        let endpoint = Endpoint::new(&fake::raw(&runtime, says), None, false).unwrap();
        Remote::new(&runtime, endpoint, timeouts).unwrap()
    };
    let refusing = to(|_| endless(404));
    let giving = to(|_| endless(200));
    let revoking = to(|path| match path.ends_with("/identity") {
        true => (fake::answer(200, "", ""), Then::Close),
        false => endless(500),
    });
    let mut each = |_: &str| Ok(());
    let errors = [
        client::catch_up(space, &refusing, domain).unwrap_err(),
        client::catch_up(space, &giving, domain).unwrap_err(),
        refusing.graph(domain, domain, true, "t", &mut each).unwrap_err(),
        giving.graph(domain, domain, true, "t", &mut each).unwrap_err(),
        refusing.ibgib(domain, domain, "t").unwrap_err(),
        giving.ibgib(domain, domain, "t").unwrap_err(),
        giving.latest(domain, domain, "t").unwrap_err(),
        client::open_session(space, &revoking, identity).unwrap_err(),
        client::revoke(space, &revoking, identity, "gone").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, PeerError::Late { .. }), "{error:?}");
    }
}
