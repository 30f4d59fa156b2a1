//! From one frame of I a client makes one proof, whatever the other side answers, and however
//! often it is run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sync_gib::cli::error::CliError;
use sync_gib::ibgib::IbGib;
use sync_gib::keystone;
use sync_gib::peer::{
    Endpoint, InProcess, NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client, wire,
};
use sync_gib::space::{Domain, Purpose, Space, SpaceExt, SqliteSpace};
use sync_gib::sync::{SenderOpts, SyncError};

use crate::hostile_common::fake::{self, Heard, SILENCE, Then, answering};
use crate::hostile_common::*;

/// Short, so that a client that goes on does not do so for long; long enough for a second try on a
/// machine that is busy.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(4);

fn refusal(code: &str) -> String {
    json!({ "error": { "code": code, "message": "no" } }).to_string()
}

/// The frames of I that were posted, each once, and the sessions that came with them.
fn posted(heard: &[Heard]) -> BTreeSet<(String, Option<String>)> {
    let bodies = heard.iter().filter(|(_, body)| !body.is_empty());
    let bodies = bodies.map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
    bodies
        .map(|body| {
            let last = body["frames"].as_array().unwrap().last().unwrap().to_string();
            (last, body.get("session").map(Value::to_string))
        })
        .collect()
}

fn revealed(frames: &BTreeSet<(String, Option<String>)>) -> BTreeSet<String> {
    let frames = frames.iter().map(|(frame, _)| IbGib::from_json(frame).unwrap());
    let proofs = frames.map(|frame| keystone::proof_of(&frame).unwrap().unwrap());
    proofs.flat_map(|proof| proof.solutions).map(|solution| solution.challenge_id).collect()
}

fn sync_with(person: &Person, url: &str) -> Result<(), PeerError> {
    let runtime = runtime();
    let endpoint = Endpoint::new(url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let opts = SenderOpts { retry_for: BUDGET, ..SenderOpts::new(person.dir.path().to_owned()) };
    client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).map(drop)
}

#[test]
fn one_frame_gives_one_proof_whatever_is_answered() {
    for (status, code) in [
        (409, "conflict"),
        (500, "internal"),
        (503, "busy"),
        (403, "auth"),
        (400, "content"),
        (413, "limit"),
    ] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let genesis = person.genesis.to_json();
        let (url, heard) = answering(&runtime, move |path, _| match path.ends_with("/identity") {
            true => (200, String::new()),
            false => (status, refusal(code)),
        });
        for _ in 0..3 {
            sync_with(&person, &url).unwrap_err();
        }
        // Another server, and one that begins anew with the identity, get the same.
        let (other, also) = answering(&runtime, move |path, _| match path.ends_with("/identity") {
            true => (200, format!("{genesis}\n")),
            false => (status, refusal(code)),
        });
        sync_with(&person, &other).unwrap_err();
        let mut frames = posted(&heard.lock().unwrap());
        frames.extend(posted(&also.lock().unwrap()));
        assert_eq!(frames.len(), 1, "{status}");
        assert_eq!(revealed(&frames).len(), 20, "{status}");
    }
}

#[test]
fn a_conflict_with_nothing_newer_is_an_error_of_the_server() {
    let person = Person::unregistered("a");
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path.ends_with("/identity") {
        true => (200, String::new()),
        false => (409, refusal("conflict")),
    });
    let error = sync_with(&person, &url).unwrap_err();
    assert!(matches!(error, PeerError::Fault(_)), "{error:?}");
    assert!(heard.lock().unwrap().len() <= 6, "it is not asked for ever");
}

#[test]
fn a_step_that_was_kept_is_taken_by_another_server_and_connected() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path.ends_with("/identity") {
        true => (200, String::new()),
        false => (500, refusal("internal")),
    });
    sync_with(&person, &url).unwrap_err();
    let kept = posted(&heard.lock().unwrap());
    sync_with(&person, &host.server.url()).unwrap();
    let tip = host.space(person.domain()).tip(person.domain()).unwrap().unwrap();
    assert_eq!(tip.n, 1);
    let frame = host.space(person.domain()).get(&tip.addr).unwrap().unwrap();
    assert_eq!(kept.first().unwrap().0, frame.to_json());
}

/// What a server that takes the step and loses the answer leaves behind.
fn lost_answer(host: &Host, person: &Person) -> IbGib {
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path.ends_with("/identity") {
        true => (200, String::new()),
        false => (500, refusal("internal")),
    });
    sync_with(person, &url).unwrap_err();
    let body = heard.lock().unwrap().iter().find(|(_, body)| !body.is_empty()).unwrap().1.clone();
    let (frames, session) = wire::read_evolution(&body).unwrap();
    let frames: Vec<&IbGib> = frames.iter().collect();
    host.link().evolve(person.domain(), &frames, &session).unwrap();
    session
}

#[test]
fn a_step_whose_answer_was_lost_is_connected_by_the_next_run() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let session = lost_answer(&host, &person);
    sync_with(&person, &host.server.url()).unwrap();
    let space = host.space(person.domain());
    assert_eq!(space.tip(person.domain()).unwrap().unwrap().n, 1);
    assert!(space.tip(&session.addr().unwrap().into()).unwrap().unwrap().n > 0, "S was connected");
}

#[test]
fn a_session_that_expired_gives_way_to_one_on_top_of_it() {
    let host = Host::with(|opts| opts.session_time = std::time::Duration::ZERO);
    let person = Person::new(&host, "a");
    lost_answer(&host, &person);
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Here every session has expired by the time that it is connected, so this is refused as well,
    // by a server that has taken a second step on top of the first.
    let error = sync_with(&person, &host.server.url()).unwrap_err();
    assert!(matches!(error, PeerError::Sync(SyncError::Refused(_))), "{error:?}");
    assert_eq!(
        host.space(person.domain()).tip(person.domain()).unwrap().unwrap().n,
        2,
        "{error:?}"
    );
}

#[test]
fn a_revocation_goes_out_where_the_pending_step_is_refused() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path {
        path if path.ends_with("/identity") => (200, String::new()),
        path if path.ends_with("/revocation") => (200, "{}".into()),
        _ => (400, refusal("content")),
    });
    sync_with(&person, &url).unwrap_err();
    let endpoint = Endpoint::new(&url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    client::revoke(&person.space, &link, &person.identity, "gone").unwrap();
    let tip = person.space.tip(person.domain()).unwrap().unwrap();
    assert_eq!(tip.n, 1, "signed on the frame of the step that was refused");
    let paths: Vec<String> = heard.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    let evolutions = paths.iter().filter(|path| path.ends_with("/evolution")).count();
    assert_eq!(evolutions, 2, "the pending step goes first: {paths:?}");
}

#[test]
fn a_revocation_that_was_not_answered_is_sent_again_as_it_was() {
    let person = Person::unregistered("a");
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path.ends_with("/identity") {
        true => (200, String::new()),
        false => (500, refusal("internal")),
    });
    for reason in ["one", "two", "three"] {
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
        client::revoke(&person.space, &link, &person.identity, reason).unwrap_err();
    }
    assert_eq!(posted(&heard.lock().unwrap()).len(), 1);
}

#[test]
fn two_processes_that_take_up_one_step_both_sync() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    for _ in 0..5 {
        let again = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let path = person.space.path();
                    let space = sync_gib::space::SqliteSpace::open(path, Domain::Client).unwrap();
                    let opts = SenderOpts::new(person.dir.path().to_owned());
                    again.wait();
                    client::sync(&space, &host.link(), &person.identity, &opts, &mut NoObserver)
                        .unwrap();
                });
            }
        });
    }
}

#[test]
fn runs_that_are_killed_make_one_proof() {
    let runtime = runtime();
    let (url, heard) = answering(&runtime, |path, _| match path {
        path if path.ends_with("/identity") => (200, String::new()),
        "/health" => (200, "{}".into()),
        path if path.ends_with("/keystones") => (200, "{}".into()),
        _ => (SILENCE, String::new()),
    });
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "tally-orchid-bramble-quartz-7419").unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sync-gib"));
        command.arg("--home").arg(dir.path()).args(args).arg("--secret-file").arg(&secret);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    assert!(run(&["setup", "--server", &url, "--raw-secret"]).wait().unwrap().success());
    let evolutions = || {
        let heard = heard.lock().unwrap();
        let evolutions = heard.iter().filter(|(path, _)| path.ends_with("/evolution"));
        evolutions.cloned().collect::<Vec<_>>()
    };
    for runs in 1..=4 {
        let mut child = run(&["sync"]);
        eventually("a proof", || evolutions().len() == runs);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(posted(&evolutions()).len(), 1);
}

#[test]
fn a_time_to_wait_without_end_is_no_panic() {
    for seconds in ["86400", "9223372036854775800", "18446744073709551615"] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let url = fake::raw(&runtime, move |path| {
            let answer = match path.ends_with("/identity") {
                true => fake::answer(200, "", ""),
                false => {
                    let after = format!("retry-after: {seconds}\r\n");
                    fake::answer(503, &after, &refusal("busy"))
                }
            };
            (answer, Then::Close)
        });
        let error = sync_with(&person, &url).unwrap_err();
        let PeerError::Busy { after, .. } = error else { panic!("{error:?}") };
        assert_eq!(after.as_secs(), 86400, "a day at most");
    }
}

/// A server that is busy when it is first asked for the identity, and takes what comes afterwards.
fn busy_at_first(runtime: &tokio::runtime::Runtime) -> (String, std::sync::Arc<AtomicUsize>) {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let url = fake::raw(runtime, move |path| {
        let answer = match path.ends_with("/identity") {
            true if counted.fetch_add(1, Ordering::Relaxed) == 0 => {
                fake::answer(503, "retry-after: 1\r\n", &refusal("busy"))
            }
            true => fake::answer(200, "", ""),
            false => fake::answer(200, "", "{}"),
        };
        (answer, Then::Close)
    });
    (url, asked)
}

#[test]
fn a_server_that_is_busy_giving_out_the_identity_is_asked_again() {
    let runtime = runtime();
    let to = |url: &str| {
        let endpoint = Endpoint::new(url, None, false).unwrap();
        Remote::new(&runtime, endpoint, Timeouts::default()).unwrap()
    };
    let person = Person::unregistered("a");
    let (url, asked) = busy_at_first(&runtime);
    client::open_session(&person.space, &to(&url), &person.identity).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let (url, asked) = busy_at_first(&runtime);
    client::revoke(&person.space, &to(&url), &person.identity, "gone").unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// Signs on one frame on two devices, of which the server takes the second.
fn forked(host: &Host) -> Person {
    let person = Person::new(host, "a");
    let other = Person::with(person.genesis.clone(), "a");
    let dir = tempfile::tempdir().unwrap();
    let dest = SqliteSpace::create_if_missing(&dir.path().join("d.db"), Domain::Client).unwrap();
    let link = InProcess::new(dest, dir.path().to_owned());
    link.register(&person.genesis).unwrap();
    client::open_session(&person.space, &link, &person.identity).unwrap();
    client::open_session(&other.space, &host.link(), &other.identity).unwrap();
    person
}

#[test]
fn revoking_a_forked_identity_says_so_and_signs_nothing() {
    let host = Host::new();
    let person = forked(&host);
    let before = held(&person.space);
    let error = client::revoke(&person.space, &host.link(), &person.identity, "gone").unwrap_err();
    let error = CliError::from(error);
    assert_eq!(error.exit, 5, "{error}");
    let hint = error.hint.unwrap_or_default();
    assert!(hint.contains("setup --join") && hint.contains("keystone revoke"), "{hint}");
    assert_eq!(held(&person.space), before);
    let pending = person.space.pending(person.domain(), Purpose::Revocation).unwrap();
    assert!(pending.is_none(), "nothing was signed");

    // What the hint says works: a device that knows the server's frames alone.
    let fresh = Person::with(person.genesis.clone(), "a");
    client::revoke(&fresh.space, &host.link(), &fresh.identity, "gone").unwrap();
}
