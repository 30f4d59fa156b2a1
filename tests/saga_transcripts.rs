//! Whole sagas, message by message, as they stand under `tests/vectors/sagas`: with the same spaces,
//! the same time and the same random bytes both machines say the same to the byte. A field or a byte
//! that changes on the way shows here. `SYNC_GIB_RECORD=1` writes the files anew: only where a change
//! is meant, and a client of 0.1.0 understands what comes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Environment, IbGib, Moment, Seeded, TjpAddr};
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::peer::wire;
use sync_gib::space::{MemorySpace, Prepared, PutOpts, Space};
use sync_gib::sync::msg::Msg;
use sync_gib::sync::{
    AdmitAll, Machine, Receiver, ReceiverOpts, Sender, SenderOpts, SyncError, domain, establish,
};

/// What the two sides hold before a saga, and what happens to it on the way.
struct Scene {
    name: &'static str,
    make: fn(&mut Maker),
    meanwhile: fn(&Msg) -> Meanwhile,
}

/// What happens to a message of the sender's before the receiver has it.
enum Meanwhile {
    Nothing,
    /// Another device's frames are stored at the receiver first.
    OtherCommit,
    /// It arrives like this instead.
    Changed(Msg),
}

const SCENES: [Scene; 6] = [
    Scene { name: "push", make: push, meanwhile: |_| Meanwhile::Nothing },
    Scene { name: "pull", make: pull, meanwhile: |_| Meanwhile::Nothing },
    Scene { name: "merge", make: diverged, meanwhile: |_| Meanwhile::Nothing },
    Scene { name: "conflict", make: push_on_common, meanwhile: faster },
    Scene { name: "refused-content", make: push, meanwhile: altered },
    Scene { name: "refused-proof", make: push, meanwhile: proof_of_another },
];

fn push(maker: &mut Maker) {
    let x = maker.timeline(Side::Sender, json!({"hello": "world"}));
    maker.edit(Side::Sender, &x, json!({"text": "one\ntwo\n", "n\u{00FC}": 1.5}));
    let stone = IbGib::new("stone".into(), Some(json!({"a": [1, null]})), None).unwrap();
    maker.put(Side::Sender, &[stone]);
}

fn pull(maker: &mut Maker) {
    let x = maker.timeline(Side::Both, json!({"hello": "world"}));
    maker.edit(Side::Receiver, &x, json!({"a": 1}));
    maker.timeline(Side::Receiver, json!({"new": "there"}));
}

fn push_on_common(maker: &mut Maker) {
    let x = maker.timeline(Side::Both, json!({"hello": "world"}));
    maker.edit(Side::Sender, &x, json!({"mine": 1}));
    maker.edit(Side::Other, &x, json!({"theirs": 1}));
}

fn diverged(maker: &mut Maker) {
    let x = maker.timeline(Side::Both, json!({"text": "one two three\nfour\n", "list": [1, 2]}));
    maker.edit(Side::Sender, &x, json!({"text": "one TWO three\nfour\n", "mine": true}));
    maker.edit(Side::Receiver, &x, json!({"text": "one two three\nfour\nfive\n", "a": 1}));
}

fn faster(msg: &Msg) -> Meanwhile {
    match msg {
        Msg::Payload { .. } => Meanwhile::OtherCommit,
        _ => Meanwhile::Nothing,
    }
}

fn altered(msg: &Msg) -> Meanwhile {
    let Msg::Payload { ibgibs } = msg else { return Meanwhile::Nothing };
    let ibgibs = ibgibs.iter().map(|text| text.replace("world", "w0rld").into()).collect();
    Meanwhile::Changed(Msg::Payload { ibgibs })
}

fn proof_of_another(msg: &Msg) -> Meanwhile {
    let Msg::AuthProof { keystone } = msg else { return Meanwhile::Nothing };
    let text = keystone.to_json().replacen("\"value\":\"", "\"value\":\"0", 1);
    let mut keystone = IbGib::from_json(&text).unwrap();
    keystone.gib = keystone.computed_gib().unwrap();
    Meanwhile::Changed(Msg::AuthProof { keystone })
}

/// Whose space something is put into; `Other` is what another device brings meanwhile.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Sender,
    Receiver,
    Both,
    Other,
}

/// Makes what a scene begins with, from a seed.
struct Maker {
    env: Arc<Seeded>,
    sender: Vec<IbGib>,
    receiver: Vec<IbGib>,
    other: Vec<IbGib>,
    tips: Vec<(TjpAddr, IbGib)>,
}

impl Maker {
    fn put(&mut self, side: Side, ibgibs: &[IbGib]) {
        if matches!(side, Side::Sender | Side::Both) {
            self.sender.extend_from_slice(ibgibs);
        }
        if matches!(side, Side::Receiver | Side::Both) {
            self.receiver.extend_from_slice(ibgibs);
        }
        if side == Side::Other {
            self.other.extend_from_slice(ibgibs);
        }
    }

    fn timeline(&mut self, side: Side, data: Value) -> TjpAddr {
        let Value::Object(data) = data else { panic!("no object") };
        let each = Opts::next_frame().build();
        let tjp = Some(json!({"uuid": true, "timestamp": true}));
        let parent = IbGib::primitive("x");
        let first =
            FirstGen { ib: "x", parent: &parent, data: Some(data), rel8ns: None, each, tjp };
        let made = first_gen(&first, &*self.env).unwrap();
        let tjp = TjpAddr::from(made.intermediates[0].addr().unwrap());
        self.tips.push((tjp.clone(), made.new_ibgib.clone()));
        self.put(side, &made.into_all());
        tjp
    }

    /// One more frame on the frame that both sides have.
    fn edit(&mut self, side: Side, tjp: &TjpAddr, patch: Value) {
        self.env.sleep(Duration::from_millis(1_001));
        let (_, tip) = self.tips.iter().find(|(of, _)| of == tjp).unwrap();
        let opts = Opts::next_frame().set("dataToAddOrPatch", patch).build();
        let made = transform(Kind::Mut8, tip, &opts, &*self.env).unwrap();
        self.put(side, &made.into_all());
    }
}

fn secret() -> MasterSecret {
    MasterSecret::from_raw(SecretString::from("a secret for transcripts")).unwrap()
}

/// What a scene begins with: made from its seed, as the first lines of its file.
fn begin(scene: &Scene, env: &Arc<Seeded>) -> Vec<Value> {
    let pools = presets::identity_pools(&**env).unwrap();
    let genesis = keystone::genesis(&secret(), &pools, None, &**env).unwrap();
    let (sender, receiver) = (vec![genesis.clone()], vec![genesis]);
    let mut maker = Maker { env: env.clone(), sender, receiver, other: vec![], tips: vec![] };
    (scene.make)(&mut maker);
    let line = |side: &str, ibgibs: &[IbGib]| {
        let ibgibs: Vec<Value> = ibgibs.iter().map(IbGib::to_value).collect();
        json!({ "space": side, "ibGibs": ibgibs })
    };
    vec![
        line("sender", &maker.sender),
        line("receiver", &maker.receiver),
        line("other", &maker.other),
    ]
}

fn ibgibs(line: &Value) -> Vec<IbGib> {
    let all = line["ibGibs"].as_array().unwrap().iter();
    all.map(|ibgib| IbGib::from_value(ibgib.clone()).unwrap()).collect()
}

fn put(space: &MemorySpace, all: &[IbGib]) {
    let mut batch = all.iter().map(|ibgib| Ok(Prepared::new(ibgib)?));
    space.put(&mut batch, &PutOpts::default()).unwrap();
}

/// Runs a saga on what `begun` says; returns every line that comes about.
fn run(scene: &Scene, begun: &[Value]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let start = Moment::from_ms(1_781_262_000_000).unwrap();
    let (here, there) = (MemorySpace::new(), MemorySpace::new());
    put(&here, &ibgibs(&begun[0]));
    put(&there, &ibgibs(&begun[1]));
    let genesis = ibgibs(&begun[0]).remove(0);
    let i = TjpAddr::from(genesis.addr().unwrap());
    let env: Arc<Seeded> = Arc::new(Seeded::new(11, start));
    let made = establish(&i, &genesis, &secret(), &*env).unwrap();
    let (step, session) = (made.identity.clone(), made.session.clone());
    domain::evolve(&there, &i, std::slice::from_ref(&step), &session, &Default::default()).unwrap();
    put(&here, &[step.clone(), session.clone()]);
    let mut lines = vec![
        json!({ "evolution": { "frames": [step.to_value()], "session": session.to_value() } })
            .to_string(),
    ];
    let dir = dir.path().to_owned();
    let opts = SenderOpts { env: env.clone(), ..SenderOpts::new(dir.clone()) };
    let mut sender = Sender::new(&here, i.clone(), made.saga_id, made.signer, opts).unwrap();
    let opts = ReceiverOpts { env: Arc::new(Seeded::new(12, start)), ..ReceiverOpts::new(dir) };
    let mut receiver = Receiver::new(&there, i, &AdmitAll, opts);
    let ended = talk(scene, &mut sender, &mut receiver, &mut lines, &mut || {
        put(&there, &ibgibs(&begun[2]));
    });
    let tips = |space: &MemorySpace| -> Vec<Value> {
        let found = space.timelines(sync_gib::space::TimelineKind::Data, None, 100).unwrap();
        found.iter().map(|one| json!([one.tip.addr, one.tip.n])).collect()
    };
    let session = TjpAddr::from(made.session.addr().unwrap());
    let s = |space: &MemorySpace| space.tip(&session).unwrap().map(|tip| tip.n);
    let end = json!({
        "ended": ended.map_or_else(|error| error.to_string(), |()| "done".into()),
        "sender": { "tips": tips(&here), "count": here.count().unwrap().ibgibs, "s": s(&here) },
        "receiver": { "tips": tips(&there), "count": there.count().unwrap().ibgibs, "s": s(&there) },
    });
    lines.push(end.to_string());
    lines
}

fn talk(
    scene: &Scene,
    sender: &mut Sender<'_>,
    receiver: &mut Receiver<'_>,
    lines: &mut Vec<String>,
    other_commits: &mut dyn FnMut(),
) -> Result<(), SyncError> {
    let mut say = |from: &str, msg: &Msg| -> Msg {
        let text = wire::write(msg);
        // The message stands in the line as it goes over the wire, to the byte.
        lines.push(format!(r#"{{"from":"{from}","message":{text}}}"#));
        wire::read(&text).unwrap()
    };
    loop {
        while let Some(msg) = sender.next()? {
            let said = say("sender", &msg);
            let heard = match (scene.meanwhile)(&said) {
                Meanwhile::Nothing => said,
                Meanwhile::Changed(changed) => say("between", &changed),
                Meanwhile::OtherCommit => {
                    other_commits();
                    said
                }
            };
            if let Err(error) = receiver.handle(heard) {
                let refusal = error.refusal();
                let last = match receiver.is_authenticated() {
                    true => Msg::SyncError(refusal),
                    false => Msg::AuthFail(refusal),
                };
                sender.handle(say("receiver", &last))?;
            }
        }
        if sender.is_done() {
            return Ok(());
        }
        let msg = receiver.next()?.expect("one of them says something");
        sender.handle(say("receiver", &msg))?;
    }
}

fn file(scene: &Scene) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/sagas/{}.ndjson", scene.name))
}

#[test]
fn whole_sagas_are_said_as_they_were() {
    for scene in &SCENES {
        let path = file(scene);
        if std::env::var_os("SYNC_GIB_RECORD").is_some() {
            let start = Moment::from_ms(1_781_000_000_000).unwrap();
            let begun = begin(scene, &Arc::new(Seeded::new(10, start)));
            let mut all: Vec<String> = begun.iter().map(Value::to_string).collect();
            all.extend(run(scene, &begun));
            std::fs::write(&path, all.join("\n") + "\n").unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap();
        let recorded: Vec<&str> = recorded.lines().collect();
        let begun: Vec<Value> =
            recorded[..3].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines = run(scene, &begun);
        for (at, (now, then)) in lines.iter().zip(&recorded[3..]).enumerate() {
            assert_eq!(now, then, "{}, line {}", scene.name, at + 4);
        }
        assert_eq!(lines.len(), recorded.len() - 3, "{}", scene.name);
    }
}

#[test]
fn what_begins_a_scene_is_made_as_it_was() {
    for scene in &SCENES {
        let start = Moment::from_ms(1_781_000_000_000).unwrap();
        let begun = begin(scene, &Arc::new(Seeded::new(10, start)));
        let recorded = std::fs::read_to_string(file(scene)).unwrap();
        for (now, then) in begun.iter().zip(recorded.lines()) {
            assert_eq!(now.to_string(), then, "{}", scene.name);
        }
    }
}
