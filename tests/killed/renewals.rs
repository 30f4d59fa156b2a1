//! Kills while an identity's secret is changed: it is then continued by the old secret or by the new
//! one, by one of them and never by none, and a rerun finishes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sync_gib::keystone::{self, RecoveryCode};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};

use crate::net_common::relay::{Event, Relay};
use crate::net_common::scene::{configure, whole};
use crate::net_common::{Serve, World};

const OLD: &str = "correct horse battery staple walnut";
const NEW: &str = "new horse battery staple chestnut";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rotate,
    Recover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Client,
    Server,
    Both,
}

/// A home, a server, and a relay between them.
struct Stage<'w> {
    world: &'w World,
    name: String,
    serve: Serve,
    relay: Relay,
}

/// A home that has set up and synced, beside its server's file; its code is in the file `code`.
fn template() -> World {
    let world = World::new();
    fs::write(world.path("old"), OLD).unwrap();
    fs::write(world.path("new"), NEW).unwrap();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let code = world.path("code");
    world.ok("a", &["setup", "--server", &serve.url, "--recovery-file", code.to_str().unwrap()]);
    world.ok("a", &["sync"]);
    assert_eq!(serve.signal("-TERM"), Some(0));
    world
}

impl Stage<'_> {
    fn new(world: &World, at: usize) -> Stage<'_> {
        let name = format!("stage{at}");
        fs::create_dir_all(world.path(&name).join("home")).unwrap();
        for (from, to) in [("server.db", "server.db"), ("a/space.db", "home/space.db")] {
            fs::copy(world.path(from), world.path(&name).join(to)).unwrap();
        }
        let serve = Serve::start(&world.path(&name).join("server.db"), "127.0.0.1:0", &[]);
        let relay = Relay::to(serve.addr());
        configure(&world.path(&name).join("home"), &relay.url);
        Stage { world, name, serve, relay }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(&self.name).join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(crate::net_common::BIN);
        command.arg("--home").arg(self.path("home")).args(args).arg("--json").stdin(Stdio::null());
        command
    }

    /// The change of the secret, not yet started; the next code goes to the file `next`.
    fn renewal(&self, kind: Kind, next: &str) -> Command {
        let mut command = match kind {
            Kind::Rotate => {
                let mut rotate = self.command(&["keystone", "rotate"]);
                rotate.arg("--secret-file").arg(self.world.path("old"));
                rotate
            }
            Kind::Recover => {
                let mut recover = self.command(&["keystone", "recover"]);
                recover.arg("--code-file").arg(self.world.path("code"));
                recover.arg("--recovery-file").arg(self.path(next));
                recover
            }
        };
        command.arg("--new-secret-file").arg(self.world.path("new"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn told(mut command: Command) -> Value {
        let output = command.stdout(Stdio::piped()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn sync(&self, secret: &str) -> Value {
        let mut sync = self.command(&["sync", "--record"]);
        sync.arg("--secret-file").arg(self.world.path(secret));
        Stage::told(sync)
    }

    fn restart(&mut self) {
        let _ = kill(self.serve.pid());
        self.serve = Serve::start(&self.path("server.db"), "127.0.0.1:0", &[]);
        self.relay.lead_to(self.serve.addr());
    }
}

fn kill(pid: u32) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL)
}

/// When a kill comes: once this message is through, or so long after the client's start.
#[derive(Debug)]
enum Moment {
    At(Event),
    After(Duration),
}

/// Runs the change and kills at the moment.
fn strike(stage: &Stage<'_>, kind: Kind, victim: Victim, moment: &Moment) {
    let client = Arc::new(OnceLock::new());
    let server = stage.serve.pid();
    let end = {
        let client = Arc::clone(&client);
        move || {
            let client: u32 = *client.wait();
            if victim != Victim::Server {
                let _ = kill(client);
            }
            if victim != Victim::Client {
                let _ = kill(server);
            }
        }
    };
    if let Moment::At(event) = moment {
        let (event, end) = (event.clone(), end.clone());
        stage.relay.after(move |passed| {
            if passed.is(event.named()) {
                end();
            }
        });
    }
    let mut child = stage.renewal(kind, "first").spawn().unwrap();
    client.set(child.id()).unwrap();
    if let Moment::After(time) = moment {
        std::thread::sleep(*time);
        end();
    }
    child.wait().unwrap();
}

/// That one secret continues the identity, and that a rerun changes it to the new one.
fn goes_on(stage: &Stage<'_>, kind: Kind, looks_first: bool, place: &str) {
    whole(&stage.path("home/space.db"), Domain::Client);
    let mut is_done = false;
    if looks_first {
        let (old, new) = (stage.sync("old"), stage.sync("new"));
        is_done = new["ok"] == true;
        assert!(is_done != (old["ok"] == true), "{place}: {old} {new}");
    }
    let told = Stage::told(stage.renewal(kind, "again"));
    // Where the first run's frame was completed, its code holds, and this run says so; where it was
    // signed on since, the old secret or code is refused.
    let is_earlier = told["earlier"] == true;
    let is_told = if is_done { told["exit"] == 5 } else { told["ok"] == true };
    assert!(is_told, "{place}: {told}");
    let new = stage.sync("new");
    assert_eq!(new["ok"], true, "{place}: {new}");
    let old = stage.sync("old");
    assert_eq!(old["exit"], 5, "{place}: {old}");
    if kind == Kind::Recover {
        let is_first = is_earlier || is_done;
        assert_eq!(stage.path("again").exists(), !is_first, "{place}");
        let holds = if is_first { "first" } else { "again" };
        let mut recover = stage.command(&["keystone", "recover"]);
        recover.arg("--code-file").arg(stage.path(holds)).arg("--recovery-file");
        recover.arg(stage.path("last")).arg("--new-secret-file").arg(stage.world.path("last"));
        let told = Stage::told(recover);
        assert_eq!(told["ok"], true, "{place}: {told}");
    }
}

fn at_every_step(kind: Kind) {
    let world = template();
    fs::write(world.path("last"), "last horse battery staple cobnut").unwrap();
    let stage = Stage::new(&world, 0);
    let began = Instant::now();
    let told = Stage::told(stage.renewal(kind, "first"));
    assert_eq!(told["ok"], true, "{told}");
    let (time, events) = (began.elapsed(), stage.relay.events());
    let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
    assert!(names.contains(&"POST renewal") && names.contains(&"200 to POST renewal"), "{names:?}");
    drop(stage);
    let moments = events.into_iter().map(Moment::At);
    let moments = moments.chain((1..6).map(|part| Moment::After(time * part / 6)));
    let victims = [Victim::Client, Victim::Both, Victim::Server].into_iter().cycle();
    for (at, (moment, victim)) in moments.zip(victims).enumerate() {
        let is_decisive = matches!(&moment, Moment::At(event) if event.name.contains("renewal"));
        let victims = match is_decisive {
            true => vec![Victim::Client, Victim::Both, Victim::Server],
            false => vec![victim],
        };
        for (more, victim) in victims.into_iter().enumerate() {
            for looks_first in if is_decisive { vec![false, true] } else { vec![at % 2 == 0] } {
                let place = format!("{kind:?}, {victim:?} killed at {moment:?}, {looks_first}");
                let number = 1 + at * 10 + more * 2 + usize::from(looks_first);
                let mut stage = Stage::new(&world, number);
                strike(&stage, kind, victim, &moment);
                stage.relay.after(|_| {});
                stage.restart();
                goes_on(&stage, kind, looks_first, &place);
            }
        }
    }
}

#[test]
fn kills_in_a_rotation() {
    at_every_step(Kind::Rotate);
}

#[test]
fn kills_in_a_recovery() {
    at_every_step(Kind::Recover);
}

/// An identity whose recovery code nobody has is never left behind.
#[test]
fn kills_in_a_setup_with_a_code() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = |home: &str| {
        let code = world.path(&format!("{home}-code"));
        let code = ["--recovery-file", code.to_str().unwrap()];
        let args = [&["setup", "--server", &serve.url], &code[..]].concat();
        let mut setup = world.command(home, &args);
        setup.stdout(Stdio::null()).stderr(Stdio::null());
        setup
    };
    let began = Instant::now();
    assert!(setup("whole").status().unwrap().success());
    let time = began.elapsed();
    for part in 1..=16 {
        let home = format!("home{part}");
        let mut child = setup(&home).spawn().unwrap();
        std::thread::sleep(time * part / 16);
        let _ = kill(child.id());
        child.wait().unwrap();
        let path = world.path(&home).join("space.db");
        let Ok(space) = SqliteSpace::open(&path, Domain::Client) else { continue };
        let Some(identity) = space.name("I").unwrap() else { continue };
        let genesis = space.get(&identity).unwrap().unwrap();
        let code = fs::read_to_string(world.path(&format!("{home}-code"))).unwrap();
        let code = RecoveryCode::read(&code.into()).unwrap();
        keystone::expect_recovers(&code, &genesis).unwrap();
    }
}
