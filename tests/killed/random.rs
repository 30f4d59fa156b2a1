//! Kills of the program: of the client, the server or both, at messages that are named, and at random
//! ones or any other moment.
//!
//! Those at named messages run with the other tests. Before a release:
//! `cargo test --test killed -- --ignored --nocapture` strikes 150 times at random; it prints its seed,
//! which `SYNC_GIB_TEST_SEED` gives it again.

use std::process::Child;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::net_common::relay::Event;
use crate::net_common::rng::Rng;
use crate::net_common::scene::{Kind, Stage, Template};

/// How many kills a release takes.
const KILLS: usize = 150;
/// The longest time from a message to the kill.
const LATER: Duration = Duration::from_millis(3);

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Client,
    Server,
    Both,
}

/// When a kill comes.
enum Moment {
    /// So long after the message of this name was through that comes as the how manieth of it.
    At(String, usize, Duration),
    /// So long after the client's start.
    After(Duration),
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Moment::At(name, nth, later) => write!(f, "{later:?} after {name} {nth}"),
            Moment::After(time) => write!(f, "{time:?} after the client's start"),
        }
    }
}

/// What is killed again and again, and how it goes undisturbed.
struct Target {
    template: Template,
    messages: Vec<Event>,
    time: Duration,
}

impl Target {
    fn new(kind: Kind) -> Target {
        let template = Template::new(kind);
        let stage = template.stage();
        let began = Instant::now();
        assert_eq!(stage.told()["ok"], true);
        let (time, messages) = (began.elapsed(), stage.relay.events());
        drop(stage);
        Target { template, messages, time }
    }

    fn moment(&self, rng: &mut Rng) -> Moment {
        let messages = self.messages.len() as u64;
        match messages > 0 && rng.below(3) > 0 {
            true => {
                let (name, nth) = self.messages[rng.below(messages) as usize].named();
                Moment::At(name.to_owned(), nth, rng.time(LATER))
            }
            false => Moment::After(rng.time(self.time)),
        }
    }

    /// Kills once, and asserts all that must hold then. Whether the client was still at it.
    fn strike(&self, victim: Victim, moment: &Moment) -> bool {
        let place = format!("{:?}, {victim:?} killed {moment}", self.template.kind());
        println!("{place}");
        let mut stage = self.template.stage();
        let (mut client, in_time) = kill(&stage, victim, moment);
        let exit = client.wait().unwrap().code();
        match exit {
            Some(0) => stage.is_done(&place),
            Some(3) if victim != Victim::Client => {}
            None if victim != Victim::Server => {}
            exit => panic!("{place}: exit {exit:?}"),
        }
        stage.restart();
        stage.old_or_new(&place);
        stage.finishes(&place);
        in_time
    }
}

/// Runs the client, and kills at the moment. Whether the client still ran then.
fn kill(stage: &Stage<'_>, victim: Victim, moment: &Moment) -> (Child, bool) {
    let server = stage.serve().pid();
    let client = Arc::new(OnceLock::new());
    let end = {
        let client = Arc::clone(&client);
        move || {
            let client: u32 = *client.wait();
            let victims: &[u32] = match victim {
                Victim::Client => &[client],
                Victim::Server => &[server],
                Victim::Both => &[client, server],
            };
            for pid in victims {
                let pid = Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
                // It may have ended before, and is not waited for yet.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    };
    let struck = Arc::new(OnceLock::new());
    if let Moment::At(name, nth, later) = moment {
        let (name, nth, later) = (name.clone(), *nth, *later);
        let (end, struck) = (end.clone(), Arc::clone(&struck));
        stage.relay.after(move |event| {
            if event.is((&name, nth)) {
                std::thread::sleep(later);
                end();
                let _ = struck.set(());
            }
        });
    }
    let mut child = stage.command().spawn().unwrap();
    client.set(child.id()).unwrap();
    if let Moment::After(time) = moment {
        std::thread::sleep(*time);
        let in_time = child.try_wait().unwrap().is_none();
        end();
        return (child, in_time);
    }
    child.wait().unwrap();
    let in_time = struck.get().is_some();
    (child, in_time)
}

fn victims(kind: Kind) -> &'static [Victim] {
    match kind {
        Kind::Put => &[Victim::Client],
        _ => &[Victim::Client, Victim::Server, Victim::Both],
    }
}

/// Strikes once after each of these messages, each time another victim, and three times at any moment.
fn at_messages(kind: Kind, named: &[(&str, usize)]) {
    let target = Target::new(kind);
    let mut rng = Rng(kind as u64 + 1);
    for (message, victim) in named.iter().zip(victims(kind).iter().cycle()) {
        let known = target.messages.iter().any(|event| event.is(*message));
        assert!(known, "no {message:?} among {:?}", target.messages);
        let moment = Moment::At(message.0.to_owned(), message.1, rng.time(LATER));
        target.strike(*victim, &moment);
    }
    for victim in victims(kind).iter().cycle().take(3) {
        target.strike(*victim, &Moment::After(rng.time(target.time)));
    }
}

#[test]
fn kills_in_a_push() {
    let named = [
        ("POST evolution", 1),
        ("auth_proof", 1),
        ("payload", 1),
        ("sync_frame_request delta", 1),
        ("sync_frame_request commit", 1),
        ("sync_frame_response commit", 1),
    ];
    at_messages(Kind::Push, &named);
}

#[test]
fn kills_in_a_pull() {
    let named = [
        ("200 to POST evolution", 1),
        ("auth_ok", 1),
        ("payload", 2),
        ("sync_frame_response delta", 1),
        ("sync_frame_request commit", 1),
        ("sync_frame_response commit", 1),
    ];
    at_messages(Kind::Pull, &named);
}

#[test]
fn kills_in_a_merge() {
    let named = [
        ("sync_frame_request init", 2),
        ("payload", 1),
        ("sync_frame_response delta", 1),
        ("payload", 2),
        ("sync_frame_request commit", 1),
        ("sync_frame_response commit", 1),
    ];
    at_messages(Kind::Merge, &named);
}

#[test]
fn kills_in_a_setup() {
    let named = [("POST keystones", 1), ("POST keystones", 1), ("200 to POST keystones", 1)];
    at_messages(Kind::Setup, &named);
}

#[test]
fn kills_in_a_join() {
    let named = [("200 to GET identity", 1), ("200 to POST evolution", 1), ("auth_ok", 1)];
    at_messages(Kind::Join, &named);
}

#[test]
fn kills_in_a_put() {
    at_messages(Kind::Put, &[]);
}

#[test]
#[ignore = "takes minutes: run it before a release"]
fn a_hundred_and_fifty_random_kills() {
    let seed = match std::env::var("SYNC_GIB_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => getrandom::u64().unwrap(),
    };
    println!("SYNC_GIB_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    let kinds = [Kind::Push, Kind::Pull, Kind::Merge, Kind::Setup, Kind::Join, Kind::Put];
    let targets = kinds.map(|kind| (kind, Target::new(kind)));
    let mut all = targets
        .iter()
        .flat_map(|(kind, target)| victims(*kind).iter().map(move |victim| (target, *victim)))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    let (mut tried, mut in_time) = (0, 0);
    while in_time < KILLS {
        let (target, victim) = all.next().unwrap();
        tried += 1;
        in_time += usize::from(target.strike(victim, &target.moment(&mut rng)));
        assert!(tried < 3 * KILLS, "{in_time} of {tried} kills came in time");
    }
    println!("{in_time} kills, of {tried} that were tried");
}
