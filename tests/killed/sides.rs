//! Either side is killed in the middle of a push or a pull: each then holds the old state or the
//! new one, whole, and a rerun finishes.
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;
use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::peer::channel::MessageDirection;
use sync_gib::peer::{Endpoint, Identity, Observer, PeerError, Remote, Timeouts, client};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace, dependency_graph};
use sync_gib::sync::SenderOpts;
use sync_gib::sync::msg::Msg;

use crate::hostile_common::*;

const FRAMES: usize = 1500;
const ROLE: &str = "SYNC_GIB_TEST_KILLED";
/// After which messages a side is killed, and the how manieth of that name: in the negotiation, in
/// the payload, at its end, and at the commit.
const AFTER: [(&str, usize); 4] = [
    ("sync_frame_response", 1),
    ("payload", 3),
    ("sync_frame_response", 2),
    ("sync_frame_request", 3),
];

fn say(line: &str) {
    println!("\n{line}");
    std::io::stdout().flush().unwrap();
}

/// Tells of each message that passes; may do something at one of them.
struct Told<F: FnMut(&'static str)>(F);

impl<F: FnMut(&'static str)> Observer for Told<F> {
    fn message(&mut self, _: MessageDirection, msg: &Msg) {
        self.0(msg.name());
    }
    fn step(&mut self, _: u64, _: u64) {}
}

fn sync(
    space: &SqliteSpace,
    url: &str,
    domain: &TjpAddr,
    each: impl FnMut(&'static str),
) -> Result<(), PeerError> {
    let runtime = runtime();
    let link =
        Remote::new(&runtime, Endpoint::new(url, None, false).unwrap(), Timeouts::default())?;
    let identity = Identity { domain: domain.clone(), secret: secret_of("a") };
    let opts = SenderOpts::new(space.path().parent().unwrap().to_owned());
    client::sync(space, &link, &identity, &opts, &mut Told(each)).map(drop)
}

#[test]
#[ignore = "run by the tests below, as a process of its own"]
fn a_side() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.split('\n').collect::<Vec<_>>()[..] {
        ["server", path] => {
            let opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), path.into());
            let runtime = runtime();
            let server = runtime.block_on(Server::start(opts)).unwrap();
            say(&server.url());
            loop {
                std::thread::park();
            }
        }
        ["client", path, url, domain] => {
            let space = SqliteSpace::open(path.as_ref(), Domain::Client).unwrap();
            let each = |name| {
                say(&format!("message {name}"));
                // The one who counts may be slower than the messages.
                std::thread::sleep(std::time::Duration::from_millis(5));
            };
            sync(&space, url, &TjpAddr::parse(domain).unwrap(), each).unwrap();
        }
        _ => panic!("no such role"),
    }
}

/// A side in a process of its own, killed when dropped.
struct Side(Child, std::io::Lines<BufReader<ChildStdout>>);

impl Side {
    fn start(role: &str) -> Side {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sides::a_side", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Side(child, lines)
    }

    fn server(dir: &tempfile::TempDir) -> (Side, String) {
        let mut side = Side::start(&format!("server\n{}", dir.path().join("s.db").display()));
        let url = side.1.by_ref().map(Result::unwrap).find(|line| line.starts_with("http"));
        (side, url.unwrap())
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Both sides: the one with all frames, and the one with the first few of them only.
struct World {
    dir: tempfile::TempDir,
    person: Person,
    tjp: TjpAddr,
    old: Addr,
    new: Addr,
}

impl World {
    /// `pushes` tells whether the client has all frames, or the server.
    fn new(frames: &[IbGib], pushes: bool) -> World {
        let person = Person::unregistered("a");
        let dir = tempfile::tempdir().unwrap();
        let (some, rest) = frames.split_at(frames.len() / 10);
        let domain = person.domain();
        let server = SqliteSpace::create_if_missing(&dir.path().join("s.db"), domain).unwrap();
        server.put_all(std::slice::from_ref(&person.genesis)).unwrap();
        server.put_all(some).unwrap();
        person.space.put_all(some).unwrap();
        let ahead = if pushes { &person.space } else { &server };
        ahead.put_all(rest).unwrap();
        let tjp = frames.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap();
        let (old, new) = (tip_of(some).addr().unwrap(), tip_of(frames).addr().unwrap());
        World { dir, person, tjp: tjp.into(), old, new }
    }

    fn server(&self) -> SqliteSpace {
        let domain = self.person.domain();
        SqliteSpace::open(&self.dir.path().join("s.db"), domain).unwrap()
    }

    /// That a side is whole; its tip.
    fn whole(&self, space: &SqliteSpace) -> Addr {
        space.check_file().unwrap();
        let tip = space.tip(&self.tjp).unwrap().unwrap();
        assert!([&self.old, &self.new].contains(&&tip.addr), "neither old nor new");
        dependency_graph::<sync_gib::space::SpaceError>(space, &[tip.id], true, &mut |node| {
            for addr in &node.rel8ds {
                assert!(space.find(addr)?.is_some(), "{addr} is missing");
            }
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
        tip.addr
    }

    /// Runs the sync again, undisturbed; both must then be the same.
    fn rerun(&self) {
        let (before, client) = (self.server(), self.person.space.path());
        self.whole(&before);
        let client = SqliteSpace::open(client, Domain::Client).unwrap();
        self.whole(&client);
        let (side, url) = Side::server(&self.dir);
        sync(&client, &url, self.person.domain(), |_| {}).unwrap();
        drop(side);
        assert_eq!(self.whole(&client), self.new);
        assert_eq!(self.whole(&self.server()), self.new);
    }
}

fn frames() -> Vec<IbGib> {
    let mut all = timeline("x", json!({}));
    let mut tip = tip_of(&all).clone();
    for i in 0..FRAMES {
        let made = edit(&tip, json!({ "i": i, "text": "x".repeat(500) }));
        tip = made.last().unwrap().clone();
        all.extend(made);
    }
    all
}

fn kill_the_server(pushes: bool) {
    let frames = frames();
    for (name, nth) in AFTER {
        let world = World::new(&frames, pushes);
        let mut count = 0;
        let (mut side, url) = Side::server(&world.dir);
        let link_domain = world.person.domain();
        let space = &world.person.space;
        let _ = sync(space, &url, link_domain, |passed| {
            count += usize::from(passed == name);
            if passed == name && count == nth {
                side.kill();
            }
        });
        assert!(count >= nth, "no {name} number {nth} passed");
        drop(side);
        world.rerun();
    }
}

fn kill_the_client(pushes: bool) {
    let frames = frames();
    for (name, nth) in AFTER {
        let world = World::new(&frames, pushes);
        let (server, url) = Side::server(&world.dir);
        let path = world.person.space.path().display();
        let role = format!("client\n{path}\n{url}\n{}", world.person.domain());
        let mut client = Side::start(&role);
        let message = format!("message {name}");
        let told = client.1.by_ref().map_while(Result::ok).filter(|line| *line == message);
        let count = told.take(nth).count();
        client.kill();
        assert_eq!(count, nth, "so many {name} passed");
        drop(server);
        world.rerun();
    }
}

#[test]
fn a_server_that_is_killed_in_a_push() {
    kill_the_server(true);
}

#[test]
fn a_server_that_is_killed_in_a_pull() {
    kill_the_server(false);
}

#[test]
fn a_client_that_is_killed_in_a_push() {
    kill_the_client(true);
}

#[test]
fn a_client_that_is_killed_in_a_pull() {
    kill_the_client(false);
}
