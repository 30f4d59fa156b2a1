//! Random kills of the program: of the client, the server or both, at a message that is named or
//! at any other moment.
//!
//! A few of each kind run with the other tests, with seeds of their own. Before a release:
//! `cargo test --test killed -- --ignored --nocapture` strikes 150 times; it prints its seed, which
//! `SYNC_GIB_TEST_SEED` gives it again.

use std::process::Child;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::net_common::relay::Event;
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

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn time(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(end.as_micros()).unwrap().max(1)))
    }
}

/// When a kill comes.
enum Moment {
    /// So long after a message was through.
    At(Event, Duration),
    /// So long after the client's start.
    After(Duration),
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Moment::At(message, later) => write!(f, "{later:?} after {message}"),
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
                let message = self.messages[rng.below(messages) as usize].clone();
                Moment::At(message, rng.time(LATER))
            }
            false => Moment::After(rng.time(self.time)),
        }
    }

    /// Kills once, and asserts all that must hold then. Whether the client was still at it.
    fn strike(&self, victim: Victim, rng: &mut Rng) -> bool {
        let moment = self.moment(rng);
        let place = format!("{:?}, {victim:?} killed {moment}", self.template.kind());
        println!("{place}");
        let mut stage = self.template.stage();
        let (mut client, in_time) = kill(&stage, victim, &moment);
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
    if let Moment::At(message, later) = moment {
        let (seq, later, end, struck) = (message.seq, *later, end.clone(), Arc::clone(&struck));
        stage.relay.after(move |event| {
            if event.seq == seq {
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

/// A few kills of a kind.
fn a_few(kind: Kind, seed: u64) {
    let target = Target::new(kind);
    let mut rng = Rng(seed);
    for victim in victims(kind) {
        let in_time = (0..2).filter(|_| target.strike(*victim, &mut rng)).count();
        println!("{in_time} of 2 in time");
    }
}

#[test]
fn random_kills_in_a_push() {
    a_few(Kind::Push, 1);
}

#[test]
fn random_kills_in_a_pull() {
    a_few(Kind::Pull, 2);
}

#[test]
fn random_kills_in_a_merge() {
    a_few(Kind::Merge, 3);
}

#[test]
fn random_kills_in_a_setup() {
    a_few(Kind::Setup, 4);
}

#[test]
fn random_kills_in_a_join() {
    a_few(Kind::Join, 5);
}

#[test]
fn random_kills_in_a_put() {
    a_few(Kind::Put, 6);
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
        in_time += usize::from(target.strike(victim, &mut rng));
        assert!(tried < 3 * KILLS, "{in_time} of {tried} kills came in time");
    }
    println!("{in_time} kills, of {tried} that were tried");
}
