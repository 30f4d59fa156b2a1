//! Sketches that are none, come out of turn, or are answered with something else.

use std::sync::Arc;

use serde_json::json;
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::peer::{NoObserver, client};
use sync_gib::space::SpaceExt;
use sync_gib::sync::body::{Ack, Body, Differing, Init, Probe, Scope, SketchAnswer, Stated};
use sync_gib::sync::frame::Saga;
use sync_gib::sync::msg::{Msg, RefusalCode};
use sync_gib::sync::sketch::{ItemId, SIZES, Sketch};
use sync_gib::sync::{Feature, Features, Machine, Sender, SenderOpts, SyncError};

use crate::hostile_common::fake::Fake;
use crate::hostile_common::*;

/// A sketch of some things that are nowhere.
fn sketch(cells: usize, items: u8) -> String {
    let mut sketch = Sketch::new(cells);
    (0..items).for_each(|item| {
        sketch.add(ItemId(std::array::from_fn(|at| item.wrapping_mul(31).wrapping_add(at as u8))))
    });
    sketch.to_text()
}

fn asking(text: impl Into<String>) -> Init {
    Init { more: true, sketch: Some(text.into()), ..init() }
}

/// A connected session that may send sketches.
fn session<'h>(host: &'h Host, person: &Person) -> Session<'h> {
    let mut session = person.session(host);
    session.connect_with(Features::from([Feature::SKETCH, Feature::GUESS]));
    session
}

fn answer(session: &mut Session<'_>, init: Init) -> Ack {
    session.send_turn(&Body::Init(init));
    match session.answer() {
        Body::Ack(ack) => ack,
        other => panic!("{other:?} instead of an ack"),
    }
}

/// The turns must be answered, and the last one refused.
fn refused_after(before: Vec<Init>, last: Body) {
    let host = Host::new();
    let person = Person::new(&host, "a");
    session(&host, &person).unchanged(|session| {
        before.into_iter().for_each(|init| drop(answer(session, init)));
        session.send_turn(&last);
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn what_is_no_sketch_or_not_alone_is_refused() {
    let good = || sketch(32, 1);
    for text in ["", "AAAA", &good()[4..], &"*".repeat(good().len()), &sketch(64, 1)] {
        refused_after(vec![], Body::Init(asking(text)));
    }
    let tjp: TjpAddr = timeline("x", json!({}))[0].addr().unwrap().into();
    let tip = tjp.clone().into();
    let stated = vec![Stated { tjp: tjp.clone(), tip, n: 0 }];
    let probes = vec![Probe { tjp: tjp.clone(), tip: tjp.clone().into(), above: 0, below: 9 }];
    for init in [
        Init { timelines: stated, ..asking(good()) },
        Init { stones: vec![tjp.clone().into()], ..asking(good()) },
        Init { probes, ..asking(good()) },
        Init { scope: Scope::Roots(vec![tjp.into()]), ..asking(good()) },
        Init { more: false, ..asking(good()) },
    ] {
        refused_after(vec![], Body::Init(init));
    }
    let host = Host::new();
    let person = Person::new(&host, "a");
    person.connected(&host).refused(&Body::Init(asking(good())), RefusalCode::Protocol);
}

#[test]
fn sketches_grow_and_end_with_what_they_told() {
    let twice = || asking(sketch(32, 200));
    refused_after(vec![twice()], Body::Init(twice()));
    refused_after(vec![asking(sketch(512, 250))], Body::Init(twice()));
    // One that told what differs is the last, and nothing is listed before one.
    refused_after(vec![asking(sketch(32, 1))], Body::Init(asking(sketch(512, 1))));
    let stone = IbGib::new("stone".into(), Some(json!(1)), None).unwrap();
    let listed = Init { stones: vec![stone.addr().unwrap()], more: true, ..init() };
    refused_after(vec![listed], Body::Init(asking(sketch(32, 1))));
    refused_after(vec![init()], Body::Init(asking(sketch(32, 1))));
    // Before it told anything, nothing is to be moved.
    refused_after(vec![twice()], delta(Default::default()));
}

#[test]
fn what_differs_is_named_and_offered_once() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let all: Vec<IbGib> = (0..40).flat_map(|i| timeline("x", json!({ "i": i }))).collect();
    host.space(person.domain()).put_all(&all).unwrap();
    let mut session = session(&host, &person);
    // As much as is here does not fit, and by how much the sets differ says how many cells do.
    let told = answer(&mut session, asking(Sketch::new(32).to_text()));
    assert_eq!((told.sketch, told.offers.len()), (Some(SketchAnswer::Cells(512)), 0));
    let told = answer(&mut session, asking(sketch(512, 2)));
    let Some(SketchAnswer::Differs(differing)) = told.sketch else { panic!("{:?}", told.sketch) };
    assert_eq!((differing.ids.len(), told.offers.len(), told.more), (2, 40, false));
    let told = answer(&mut session, init());
    assert_eq!((told.offers.len(), told.more), (0, false), "all was offered");
}

#[test]
fn cells_that_are_of_no_set_are_answered_like_too_many() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut one = data_encoding::BASE64.decode(sketch(32, 1).as_bytes()).unwrap();
    let cell = one.chunks(28).position(|cell| cell[..4] != [0; 4]).unwrap();
    // In one of its four cells alone it could be taken out for ever.
    let kept: Vec<u8> = one[cell * 28..(cell + 1) * 28].to_vec();
    one.fill(0);
    one[cell * 28..(cell + 1) * 28].copy_from_slice(&kept);
    let text = data_encoding::BASE64.encode(&one);
    let told = answer(&mut session(&host, &person), asking(text));
    assert_eq!(told.sketch, Some(SketchAnswer::Cells(512)));
}

/// What a sender does whose sketch is answered so: the error, or the body of its next turn.
fn answered(ack: impl FnOnce(Ack) -> Ack) -> Result<Init, SyncError> {
    let host = Host::new();
    let person = Person::new(&host, "a");
    person.space.put_all(&timeline("x", json!({}))).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    client::sync(&person.space, &host.link(), &person.identity, &opts, &mut NoObserver).unwrap();
    let made = client::open_session(&person.space, &host.link(), &person.identity).unwrap();
    let saga = Saga::new(made.saga_id.clone(), made.session.addr().unwrap().into());
    let mut fake = Fake { session: made.session.clone(), saga, turns: 0 };
    let opts = SenderOpts {
        features: Features::from([Feature::SKETCH]),
        listed: 0,
        env: Arc::new(System::new()),
        ..opts
    };
    let domain = person.domain().clone();
    let mut sender = Sender::new(&person.space, domain, made.saga_id, made.signer, opts).unwrap();
    for _ in 0..2 {
        let said = sender.next().unwrap().unwrap();
        sender.handle(fake.auth(&said).remove(0)).unwrap();
    }
    let turn = |sender: &mut Sender<'_>, fake: &mut Fake| {
        let Some(Msg::Request(turn)) = sender.next().unwrap() else { panic!("no turn") };
        fake.saga.append(&turn).unwrap();
        let body = turn.saga_frame_msg.datum("body").cloned().unwrap();
        serde_json::from_value::<Init>(body).ok()
    };
    let first = turn(&mut sender, &mut fake).unwrap();
    assert_eq!(Sketch::parse(&first.sketch.unwrap()).unwrap().cells(), SIZES[0]);
    let nothing = Ack::default();
    sender.handle(fake.respond(&Body::Ack(ack(nothing))).remove(0))?;
    Ok(turn(&mut sender, &mut fake).unwrap_or(Init { sketch: Some("committed".into()), ..init() }))
}

#[test]
fn a_sender_takes_no_other_answer_to_a_sketch() {
    let with = |sketch: SketchAnswer| answered(|ack| Ack { sketch: Some(sketch), ..ack });
    let differs = |ids: &[&str], ahead: &[usize]| {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        SketchAnswer::Differs(Differing { ids, ahead: ahead.to_vec() })
    };
    let listed = with(SketchAnswer::List).unwrap();
    assert_eq!((listed.sketch, listed.timelines.len()), (None, 1));
    let larger = with(SketchAnswer::Cells(SIZES[1])).unwrap();
    assert_eq!(Sketch::parse(&larger.sketch.unwrap()).unwrap().cells(), SIZES[1]);
    assert_eq!(with(differs(&[], &[])).unwrap().sketch.as_deref(), Some("committed"));
    // What was not offered makes no difference; what is not here any more was edited meanwhile.
    assert_eq!(with(differs(&[], &[0, 7])).unwrap().sketch.as_deref(), Some("committed"));
    let unknown = "00".repeat(16);
    assert!(matches!(with(differs(&[&unknown], &[])), Err(SyncError::Conflict(_))));
    let protocol = |answered: Result<Init, SyncError>| {
        assert!(matches!(answered, Err(SyncError::Protocol(_))), "{answered:?}");
    };
    protocol(answered(|ack| ack));
    for cells in [0, 7, SIZES[0], 1 << 40] {
        protocol(with(SketchAnswer::Cells(cells)));
    }
    for id in ["", "00", &unknown.replace('0', "G"), &format!("{unknown}00")] {
        protocol(with(differs(&[id], &[])));
    }
    let many = vec![&*unknown; 2_001];
    assert!(matches!(with(differs(&many, &[])), Err(SyncError::Limit(_))));
}
