//! What a stranger may do to an identity without a signing key, and to none that has one: each test
//! succeeds against the former.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sync_gib::ibgib::{Addr, IbGib, Moment, System, TjpAddr};
use sync_gib::keystone::{
    self, Claim, KeystoneError, PoolConfig, Proof, Replenish, Solution, VERB_SYNC, presets,
};
use sync_gib::peer::{PeerError, ReceiverLink, client};
use sync_gib::space::SpaceExt;
use sync_gib::sync::body::{Body, Commit, Init};
use sync_gib::sync::frame::Role;
use sync_gib::sync::msg::{Context, Msg, RefusalCode};
use sync_gib::sync::session::Signer;
use sync_gib::sync::{Established, SyncError};

use crate::hostile_common::*;
use crate::people::*;

const THIEF: &str = "a stranger's secret";

/// A person whose identity is registered, with a signing key or without one.
fn person(host: &Host, pools: &[PoolConfig], has_key: bool) -> Person {
    let genesis = match has_key {
        true => locked_genesis("a", pools, Some(&code())),
        false => keystone::genesis(&secret_of("a"), pools, None, &System::new()).unwrap(),
    };
    host.link().register(&genesis).unwrap();
    Person::with(genesis, "a")
}

/// The pools that an identity's frame holds.
fn pools_of(frame: &IbGib) -> &[Value] {
    frame.datum("challengePools").unwrap().as_array().unwrap()
}

/// A pool as the frame after it has it: what the proof reveals is gone, and as many challenges of
/// the forger's are new.
fn forged_pool(pool: &Value, revealed: &[Solution], theirs: &Value) -> Value {
    let held = pool["challenges"].as_object().unwrap();
    let is_gone = |id: &String| revealed.iter().any(|one| one.challenge_id == *id);
    let kept = held.iter().filter(|(id, _)| !is_gone(id));
    let new = theirs["challenges"].as_object().unwrap().iter().take(revealed.len());
    let challenges: Map<String, Value> =
        kept.chain(new).map(|(id, one)| (id.clone(), one.clone())).collect();
    let bucket = |digit: char| {
        let ids = challenges.keys().filter(|id| id.starts_with(digit)).cloned().map(Value::from);
        (digit.to_string(), Value::Array(ids.collect()))
    };
    let buckets: Map<String, Value> = "0123456789abcdef".chars().map(bucket).collect();
    let mut pool = pool.clone();
    pool["challenges"] = challenges.into();
    pool["bindingMap"] = buckets.into();
    pool
}

/// The pool `sync` that a stranger's own keystone has with the victim's config, which a secret of
/// his solves.
fn strangers_pool(pools: &[PoolConfig]) -> Value {
    let theirs = keystone::genesis(&secret_of(THIEF), pools, None, &System::new()).unwrap();
    pools_of(&theirs)[0].clone()
}

/// The configs that a frame's pools have.
fn configs_of(frame: &IbGib) -> Vec<PoolConfig> {
    let read = |pool: &Value| PoolConfig::from_value(pool["id"].as_str().unwrap(), &pool["config"]);
    pools_of(frame).iter().map(|pool| read(pool).unwrap()).collect()
}

/// Whether the host takes I's frame with its session, and lets its maker in.
fn enters(host: &Host, domain: &TjpAddr, step: &IbGib, made: Established) -> Result<(), PeerError> {
    host.link().evolve(domain, &[step], &made.session)?;
    let mut session = Session {
        raw: Raw::open(host),
        host,
        domain: domain.clone(),
        secret: secret_of(THIEF).derive_session(&made.saga_id),
        saga: sync_gib::sync::frame::Saga::new(made.saga_id, made.signer.tjp().clone()),
        session: made.signer.tjp().clone(),
        genesis: made.session,
        signer: made.signer,
        token: None,
    };
    session.connect();
    let token = session.token.unwrap().value;
    assert!(host.link().latest(domain, domain, &token).unwrap().is_some(), "he reads all");
    Ok(())
}

/// A frame after `tip` that claims a session of a stranger's, made of solutions that were revealed
/// after `tip`: none where they are too few for every session that he tries.
fn forged_of(
    tip: &IbGib,
    known: &HashMap<String, Solution>,
    tries: usize,
) -> Option<(IbGib, Established)> {
    let domain = TjpAddr::parse(&tip.tjp_addr().unwrap()).unwrap();
    let configs = configs_of(tip);
    let behavior = &configs[0].behavior;
    let held: Vec<&String> = pools_of(tip)[0]["challenges"].as_object().unwrap().keys().collect();
    for _ in 0..tries {
        let made = strangers_session(&domain)?;
        let target = made.session.addr().unwrap();
        let gib = target.gib().to_ascii_lowercase();
        // As anybody would sign: one of its bucket for each character, the oldest, and some more.
        let mut chosen: Vec<&String> = Vec::new();
        let is_bound = gib.chars().take(behavior.target_binding_chars).all(|c| {
            let found = held.iter().find(|id| id.starts_with(c) && !chosen.contains(id));
            found.is_some_and(|id| {
                chosen.push(*id);
                true
            })
        });
        let free = |chosen: &[&String]| -> Vec<&String> {
            held.iter().copied().filter(|id| !chosen.contains(id)).collect()
        };
        chosen.extend(free(&chosen).into_iter().take(behavior.select_sequentially));
        let more: Vec<&String> =
            free(&chosen).into_iter().filter(|id| known.contains_key(*id)).collect();
        chosen.extend(more.into_iter().take(behavior.select_randomly));
        let needed =
            behavior.target_binding_chars + behavior.select_sequentially + behavior.select_randomly;
        let solutions: Vec<Solution> =
            chosen.iter().filter_map(|id| known.get(*id).cloned()).collect();
        if !is_bound || solutions.len() < needed {
            continue;
        }
        let pool = forged_pool(&pools_of(tip)[0], &solutions, &strangers_pool(&configs));
        let claim = Claim::new(VERB_SYNC, target.as_str());
        let proof = Proof { claim, solutions, required: Vec::new() };
        let mut data = tip.data.clone().unwrap();
        data["n"] = json!(tip.n().unwrap() + 1);
        data["challengePools"][0] = pool;
        data["proofs"] = json!([proof.to_value()]);
        data.as_object_mut().unwrap().shift_remove("isTjp");
        let mut rel8ns = tip.rel8ns.clone().unwrap();
        rel8ns.insert("past".into(), json!([tip.addr().unwrap()]));
        rel8ns.insert("tjp".into(), json!([domain]));
        return Some((IbGib::new(tip.ib.clone(), Some(data), Some(rel8ns)).unwrap(), made));
    }
    None
}

/// A session that a stranger makes for somebody else's identity, with a signing key: S is his.
fn strangers_session(domain: &TjpAddr) -> Option<Established> {
    let env = System::new();
    let saga_id = sync_gib::sync::establish::random_id(&env).ok()?;
    let secret = secret_of(THIEF).derive_session(&saga_id);
    let details = Some(json!({ "domainIdentity": domain, "sagaId": saga_id }));
    let pools = presets::session_pools(&env).ok()?;
    let session = keystone::locked_genesis(&secret, &pools, details, None, &env).ok()?;
    let signer = Signer::new(secret, session.clone()).ok()?;
    Some(Established { saga_id, identity: session.clone(), session, signer })
}

/// What the frames after `tip` reveal of its pool `sync`.
fn revealed(frames: &[IbGib]) -> HashMap<String, Solution> {
    let proofs = frames.iter().filter_map(|frame| keystone::proof_of(frame).unwrap());
    let solutions = proofs.flat_map(|proof| proof.solutions);
    solutions.map(|solution| (solution.challenge_id.clone(), solution)).collect()
}

/// A server is restored to where it knew the identity's genesis alone, and anybody may have read
/// the frames that it gave out since.
fn restored(has_key: bool) -> Result<(), PeerError> {
    let (old, ann) = {
        let before = Host::new();
        let ann = person(&before, &pools(), has_key);
        (before, ann)
    };
    let mut frames = Vec::new();
    let mut tip = ann.genesis.clone();
    for _ in 0..10 {
        tip = made_on(&tip, &ann, "a").identity;
        frames.push(tip.clone());
    }
    let (forged, made) = forged_of(&ann.genesis, &revealed(&frames), 500)
        .expect("ten frames reveal enough for some of 500 sessions");
    // The only signatures that he has are those of other frames.
    let forged = changed(&forged, |data| {
        if let Some(lock) = data["frameDetails"].get_mut("lock") {
            lock["signature"] =
                frames[0].datum("frameDetails").unwrap()["lock"]["signature"].clone();
        }
    });
    enters(&old, ann.domain(), &forged, made)
}

#[test]
fn on_a_restored_server_a_reader_of_public_frames_signs_on_as_somebody_without_a_key() {
    restored(false).unwrap();
}

#[test]
fn on_a_restored_server_a_reader_of_public_frames_signs_on_as_nobody_with_a_key() {
    let refused = refusal(restored(true), RefusalCode::Content);
    assert!(refused.message.contains("signature is wrong"), "{}", refused.message);
}

#[test]
fn on_a_restored_server_the_last_step_is_only_played_again() {
    let host = Host::new();
    let ann = person(&host, &pools(), true);
    // The server forgot it; who kept it on the way brings it back as it was.
    let made = made_on(&ann.genesis, &ann, "a");
    host.link().evolve(ann.domain(), &[&made.identity], &made.session).unwrap();
    let mut raw = Raw::open(&host);
    let (uuid, ids) = raw.hello(ann.domain(), made.signer.tjp());
    // And has no secret of the session that it opens.
    let mut signer = Signer::new(secret_of(THIEF), made.session.clone()).unwrap();
    assert!(matches!(
        signer.prove(&uuid, &ids, &System::new()),
        Err(SyncError::Keystone(KeystoneError::SecretRefused { .. } | KeystoneError::KeyRefused))
    ));
    let keystone = strangers_session(ann.domain()).unwrap();
    let keystone = { keystone }.signer.prove(&uuid, &[], &System::new());
    assert!(keystone.is_err());
}

/// I's pools, of which `sync` is made anew by each step, so that who makes one makes all that the
/// next is proven by.
fn renewing_pools() -> Vec<PoolConfig> {
    let mut pools = pools();
    pools[0].behavior.replenish = Replenish::ReplaceAll;
    pools
}

/// I′ is caught on its way: claim and solutions are kept, the challenges are a stranger's.
fn intercepted(has_key: bool) -> Result<(), PeerError> {
    let host = Host::new();
    let ann = person(&host, &renewing_pools(), has_key);
    let made = made_on(&ann.genesis, &ann, "a");
    let caught = changed(&made.identity, |data| {
        data["challengePools"][0] = strangers_pool(&configs_of(&ann.genesis));
    });
    host.link().evolve(ann.domain(), &[&caught], &made.session)?;
    // From here on the identity is his.
    let next = made_on(&caught, &ann, THIEF);
    let step = next.identity.clone();
    enters(&host, ann.domain(), &step, next)?;
    assert_eq!(newest(&host, &ann), step);
    assert!(
        keystone::sign(
            &step,
            &secret_of("a"),
            &sync_gib::keystone::Signing {
                claim: &Claim::new(VERB_SYNC, step.addr().unwrap().as_str()),
                pool_id: Some(keystone::POOL_SYNC),
                required: &[],
                frame_details: None,
                env: &System::new(),
            }
        )
        .is_err()
    );
    Ok(())
}

#[test]
fn who_catches_a_step_continues_an_identity_without_a_key() {
    intercepted(false).unwrap();
}

#[test]
fn who_catches_a_step_continues_no_identity_with_a_key() {
    let refused = refusal(intercepted(true), RefusalCode::Content);
    assert!(refused.message.contains("signature is wrong"), "{}", refused.message);
}

/// A frame of S on its way, changed in what a stranger likes.
type Change<'a> = &'a dyn Fn(&mut Value, &mut Context);

/// Where a turn is changed on its way: ok where the server answers it.
fn turn_is_taken(has_key: bool, change: Change<'_>) -> bool {
    let host = Host::new();
    let ann = person(&host, &pools(), has_key);
    let mut session = ann.connected(&host);
    let mut turn = session.turn(&Body::Init(init()));
    let frame = turn.signed_session_identity.take().unwrap();
    let mut data = frame.data.clone().unwrap();
    change(&mut data, &mut turn);
    let forged = IbGib::new(frame.ib.clone(), Some(data), frame.rel8ns.clone()).unwrap();
    assert_ne!(forged, frame);
    turn.signed_session_identity = Some(forged);
    session.raw.send(&Msg::Request(Box::new(turn.clone())));
    match session.raw.receive() {
        Some(Msg::Response(_)) => true,
        Some(Msg::SyncError(refusal)) => {
            assert_eq!(refusal.code, RefusalCode::Auth, "{}", refusal.message);
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_turn_that_is_changed_on_its_way_is_taken_without_a_key_alone() {
    let pools: Change<'_> = &|data, _| {
        let challenges = data["challengePools"][1]["challenges"].as_object_mut().unwrap();
        // One that is new: its solution is the stranger's from now on.
        challenges.values_mut().next_back().unwrap()["hash"] = "ab".repeat(32).into();
    };
    let scope: Change<'_> = &|data, _| data["proofs"][0]["claim"]["scope"] = json!("all");
    let details: Change<'_> = &|data, _| {
        let details = data.as_object_mut().unwrap().entry("frameDetails");
        details.or_insert_with(|| json!({}))["said"] = json!("by somebody else");
    };
    let time: Change<'_> = &|data, _| data["timestampMs"] = json!(1);
    for (what, change) in [("pools", pools), ("scope", scope), ("details", details), ("time", time)]
    {
        assert!(turn_is_taken(false, change), "{what} without a key");
        assert!(!turn_is_taken(true, change), "{what} with a key");
    }
}

/// Swaps all that a sender says for what a stranger brings, by frames of S that the sender signs
/// for turns of its own. Ok where the stranger's stone is in the domain; else what refuses it.
fn swapped_saga(has_key: bool) -> Result<(), (RefusalCode, String)> {
    let host = Host::new();
    let ann = person(&host, &pools(), has_key);
    let mut session = ann.connected(&host);
    let env = System::new();
    let mut swap = Swap { last: session.signer.tip().addr().unwrap() };
    let stone = IbGib::new("tag".into(), Some(json!({ "by": "a stranger" })), None).unwrap();
    let stones = vec![stone.addr().unwrap()];
    let texts: Vec<Box<str>> = vec![stone.to_json().into()];
    swap.say(&mut session, &Body::Init(Init { stones, ..init() }), &env)?;
    session.raw.send(&Msg::Payload { ibgibs: texts.clone() });
    let payload = digest(&texts);
    swap.say(&mut session, &delta(payload.clone()), &env)?;
    let commit = Commit { payload: total(&[payload]), moves: Vec::new() };
    swap.say(&mut session, &Body::Commit(commit), &env)?;
    assert!(host.space(ann.domain()).get(&stone.addr().unwrap()).unwrap().is_some());
    Ok(())
}

/// Somebody between a sender and the server.
struct Swap {
    /// The newest frame of S that the server has.
    last: Addr,
}

impl Swap {
    /// Says something in the place of what the sender does.
    fn say(
        &mut self,
        session: &mut Session<'_>,
        body: &Body,
        env: &System,
    ) -> Result<(), (RefusalCode, String)> {
        let mut honest = session
            .saga
            .make(Role::Sender, &Body::Init(init()), Moment::now())
            .unwrap()
            .into_inner();
        session.signer.sign_turn(&mut honest, env).unwrap();
        let frame = honest.signed_session_identity.unwrap();
        let mut turn = session.saga.make(Role::Sender, body, Moment::now()).unwrap().into_inner();
        let mut data = frame.data.clone().unwrap();
        data["proofs"][0]["claim"]["target"] = turn.context.addr().unwrap().to_string().into();
        let mut rel8ns = frame.rel8ns.clone().unwrap();
        rel8ns.insert("past".into(), json!([self.last]));
        let frame = IbGib::new(frame.ib.clone(), Some(data), Some(rel8ns)).unwrap();
        self.last = frame.addr().unwrap();
        turn.signed_session_identity = Some(frame);
        session.saga.append(&turn).unwrap();
        session.raw.send(&Msg::Request(Box::new(turn)));
        match session.raw.receive() {
            Some(Msg::Response(answer)) => {
                session.saga.append(&answer).unwrap();
                Ok(())
            }
            Some(Msg::SyncError(refusal)) => Err((refusal.code, refusal.message)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_whole_saga_is_swapped_on_its_way_without_a_key_alone() {
    swapped_saga(false).unwrap();
    let (code, message) = swapped_saga(true).unwrap_err();
    assert_eq!(code, RefusalCode::Auth);
    assert!(message.contains("signature is wrong"), "{message}");
}

#[test]
fn a_thief_of_the_secret_is_shut_out_by_the_code_alone() {
    let host = Host::new();
    // Without a key nothing but the end of the identity shuts him out.
    let plain = person(&host, &pools(), false);
    let to = renewed_to;
    let (thiefs, new, again) = (secret_of(THIEF), secret_of("b"), secret_of("c"));
    let rotated = keystone::rotate(&plain.genesis, &secret_of("a"), &to(&thiefs));
    assert!(matches!(rotated, Err(KeystoneError::NotLocked)));
    let some = code();
    let recovered = keystone::recover(&plain.genesis, &some, &some, &to(&new));
    assert!(matches!(recovered, Err(KeystoneError::NotLocked)));
    device(&plain, "a").connected(&host).state(&[]);
    client::revoke(&plain.space, &host.link(), &plain.identity, "stolen").unwrap();
    let thief = device(&plain, "a");
    assert!(client::open_session(&thief.space, &host.link(), &thief.identity).is_err());
    assert!(client::open_session(&plain.space, &host.link(), &plain.identity).is_err());

    // With one, he is first to change the secret, and uses the identity as his.
    let (ann, paper) = locked(&host, "a");
    let thief = device(&ann, "a");
    let env = Arc::new(System::new());
    let stolen = to(&thiefs);
    client::rotate(&thief.space, &host.link(), &thief.identity, &stolen, env.clone()).unwrap();
    let thief = device(&ann, THIEF);
    let mut inside = thief.connected(&host);
    inside.state(&[]);
    let token = inside.token.clone().unwrap().value;
    let owner = client::open_session(&ann.space, &host.link(), &ann.identity);
    assert!(matches!(owner, Err(PeerError::Sync(SyncError::SecretChanged { n: 1 }))));
    // What he signs keeps nobody who has the code from following it.
    let waiting = made_on(&newest(&host, &thief), &thief, THIEF);
    host.link().evolve(ann.domain(), &[&waiting.identity], &waiting.session).unwrap();
    let (link, next) = (host.link(), code());
    let codes = [&paper, &next];
    let made = client::recover(&ann.space, &link, ann.domain(), codes, &to(&new), env.clone());
    let made = made.unwrap();
    assert_eq!(newest(&host, &ann), made);
    inside.raw.sync_error(RefusalCode::Auth);
    assert!(host.link().latest(ann.domain(), ann.domain(), &token).is_err());
    for gone in ["a", THIEF] {
        let device = device(&ann, gone);
        assert!(client::open_session(&device.space, &link, &device.identity).is_err());
        let ended =
            client::rotate(&device.space, &link, &device.identity, &to(&again), env.clone());
        assert!(ended.is_err());
        assert!(client::revoke(&device.space, &link, &device.identity, "").is_err());
    }
    let used = client::recover(&thief.space, &link, ann.domain(), codes, &to(&thiefs), env);
    assert!(used.is_err(), "a code is of use once");
    assert_eq!(newest(&host, &ann), made);
    device(&ann, "b").connected(&host).state(&[]);
}
