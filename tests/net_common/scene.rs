//! A sync that is disturbed: what both sides hold before, what they must hold after, and a
//! relay between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sync_gib::ibgib::{Addr, TjpAddr};
use sync_gib::space::{Domain, Space, SpaceError, SqliteSpace, TimelineKind, dependency_graph};

use super::relay::{Event, Relay};
use super::{Serve, World};

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sync that pushes X.
    Push,
    /// A sync that pulls X.
    Pull,
    /// A sync that merges X.
    Merge,
    /// The setup of a new identity.
    Setup,
    /// The setup of a device that joins an identity.
    Join,
    /// The import of a timeline.
    Put,
}

impl Kind {
    fn syncs(self) -> bool {
        matches!(self, Kind::Push | Kind::Pull | Kind::Merge)
    }
}

/// Both sides before, to be copied, and the tips of a timeline, which is X but for [`Kind::Put`].
pub struct Template {
    world: World,
    kind: Kind,
    domain: TjpAddr,
    tjp: TjpAddr,
    /// The client's and the server's tip before.
    before: [Option<Addr>; 2],
    /// The tip of both, after.
    after: Addr,
    /// Goes to every `serve`.
    more: Vec<String>,
    stages: AtomicUsize,
}

/// What is put.
const IMPORT: &str = "import.ndjson";

/// Writes down where a home's server is.
pub fn configure(home: &Path, url: &str) {
    let config = json!({ "version": 1, "server": url }).to_string();
    fs::write(home.join("config.json"), config).unwrap();
}

fn copy_file(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

fn tip_at(path: &Path, domain: impl Into<Domain>, tjp: &TjpAddr) -> Option<Addr> {
    let space = SqliteSpace::open(path, domain).ok()?;
    space.tip(tjp).unwrap().map(|tip| tip.addr)
}

/// Edits X a few times; `size` says how much the edits weigh.
fn edit(world: &World, home: &str, what: &str, size: usize) {
    for at in 0..3 {
        let text = "a".repeat(if at == 0 { size } else { 1 });
        world.ok(home, &["mut8", "X", "--set", &format!("{what}{at}={text}")]);
    }
}

/// Writes a timeline of another home to [`IMPORT`]; returns the addresses of its tjp and its tip.
fn import(world: &World) -> (TjpAddr, Addr) {
    let made = world.json("c", &["new", "--ib", "big"]);
    let mut tip = made["addr"].as_str().unwrap().to_owned();
    for at in 0..20 {
        let set = format!("t={at}{}", "a".repeat(60_000));
        tip = world.json("c", &["mut8", &tip, "--set", &set])["addr"].as_str().unwrap().to_owned();
    }
    let all = world.ok("c", &["graph", &tip, "--live", "--format", "ndjson"]);
    fs::write(world.path(IMPORT), all).unwrap();
    let tjp = TjpAddr::parse(made["tjp"].as_str().unwrap()).unwrap();
    (tjp, Addr::parse(&tip).unwrap())
}

impl Template {
    pub fn new(kind: Kind) -> Template {
        Template::with(kind, &[])
    }

    /// `more` goes to every `serve`.
    pub fn with(kind: Kind, more: &[&str]) -> Template {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let setup = world.json("a", &["setup", "--server", &serve.url, "--raw-secret"]);
        world.ok("a", &["sync"]);
        let identity = setup["identity"].as_str().unwrap();
        world.ok("b", &["setup", "--server", &serve.url, "--raw-secret", "--join", identity]);
        world.ok("b", &["sync"]);
        // What goes one way takes several messages.
        let size = if kind == Kind::Merge { 1 } else { 120_000 };
        if matches!(kind, Kind::Pull | Kind::Merge) {
            edit(&world, "b", "theirs", size);
            world.ok("b", &["sync"]);
        }
        if matches!(kind, Kind::Push | Kind::Merge) {
            edit(&world, "a", "mine", size);
        }
        assert_eq!(serve.signal("-TERM"), Some(0));
        let x = |space: &SqliteSpace| space.name("X").unwrap().unwrap();
        let x = x(&SqliteSpace::open(&world.path("a/space.db"), Domain::Client).unwrap());
        let (tjp, after) = match kind {
            Kind::Put => import(&world),
            _ => (x.clone(), x.into()),
        };
        let domain = TjpAddr::parse(identity).unwrap();
        let more = more.iter().map(|arg| (*arg).to_owned()).collect();
        let (before, stages) = ([None, None], AtomicUsize::new(0));
        let mut template = Template { world, kind, domain, tjp, before, after, more, stages };
        let stage = template.stage();
        let before = stage.tips();
        if kind.syncs() {
            // A merge is the same frames wherever and whenever it is made.
            assert_eq!(stage.told()["ok"], true);
            let tips = stage.tips();
            assert!(tips[0] == tips[1] && tips != before, "{tips:?}");
            let after = tips[0].clone().unwrap();
            drop(stage);
            template.after = after;
        }
        template.before = before;
        template
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The messages of the sync when it is not disturbed.
    pub fn messages(&self) -> Vec<Event> {
        let stage = self.stage();
        assert_eq!(stage.told()["ok"], true);
        stage.relay.events()
    }

    /// A copy of both sides, with a server that runs and a relay to it.
    pub fn stage(&self) -> Stage<'_> {
        let name = format!("stage{}", self.stages.fetch_add(1, Ordering::SeqCst));
        let dir = self.world.path(&name);
        fs::create_dir(&dir).unwrap();
        let relay = Relay::to(([127, 0, 0, 1], 1).into());
        if self.kind != Kind::Setup {
            copy_file(&self.world.path("server.db"), &dir.join("server.db"));
        }
        if self.kind.syncs() || self.kind == Kind::Put {
            copy_file(&self.world.path("a/space.db"), &dir.join("home/space.db"));
            configure(&dir.join("home"), &relay.url);
        }
        let mut stage = Stage { template: self, name, serve: None, relay };
        stage.restart();
        stage
    }
}

/// One disturbed command.
pub struct Stage<'t> {
    template: &'t Template,
    name: String,
    serve: Option<Serve>,
    pub relay: Relay,
}

impl Stage<'_> {
    /// Ends the server, starts it again, and lets all pass the relay.
    pub fn restart(&mut self) {
        self.serve = None;
        let more: Vec<&str> = self.template.more.iter().map(String::as_str).collect();
        let serve = Serve::start(&self.server_file(), "127.0.0.1:0", &more);
        self.relay.lead_to(serve.addr());
        self.serve = Some(serve);
    }

    /// Waits until the server has ended by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.serve.take().unwrap().ended()
    }

    pub fn serve(&self) -> &Serve {
        self.serve.as_ref().unwrap()
    }

    pub fn server_file(&self) -> PathBuf {
        self.template.world.path(&self.name).join("server.db")
    }

    fn home(&self) -> String {
        format!("{}/home", self.name)
    }

    /// The client's home.
    pub fn home_dir(&self) -> PathBuf {
        self.template.world.path(&self.home())
    }

    fn client_file(&self) -> PathBuf {
        self.home_dir().join("space.db")
    }

    /// The tjp address of the identity.
    pub fn domain(&self) -> &TjpAddr {
        &self.template.domain
    }

    /// What is disturbed, not yet started; it says nothing.
    pub fn command(&self) -> Command {
        let Template { world, kind, domain, .. } = self.template;
        let setup = ["setup", "--json", "--raw-secret", "--server", &self.relay.url];
        let home = self.home();
        let mut command = match kind {
            Kind::Setup => world.command(&home, &setup),
            Kind::Join => {
                world.command(&home, &[&setup[..], &["--join", domain.as_str()]].concat())
            }
            Kind::Put => world.command(&home, &["put", "--json"]),
            _ => world.command(&home, &["sync", "--retry-for", "0", "--json"]),
        };
        if *kind == Kind::Put {
            command.stdin(fs::File::open(world.path(IMPORT)).unwrap());
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs it; the object that it prints.
    pub fn told(&self) -> Value {
        let output = self.command().stdout(Stdio::piped()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The tips of the client and of the server.
    pub fn tips(&self) -> [Option<Addr>; 2] {
        let Template { domain, tjp, .. } = self.template;
        [tip_at(&self.client_file(), Domain::Client, tjp), tip_at(&self.server_file(), domain, tjp)]
    }

    /// That what was told as done is so.
    pub fn is_done(&self, place: &str) {
        let Template { kind, after, .. } = self.template;
        let tips = self.tips();
        match kind {
            Kind::Setup | Kind::Join => {
                let home = SqliteSpace::open(&self.client_file(), Domain::Client).unwrap();
                let identity = home.name("I").unwrap().expect("an identity");
                let there = tip_at(&self.server_file(), &identity, &identity);
                assert!(there.is_some(), "{place}: it is not registered");
            }
            Kind::Put => assert_eq!(tips[0].as_ref(), Some(after), "{place}"),
            _ => assert!(tips.iter().all(|tip| tip.as_ref() == Some(after)), "{place}: {tips:?}"),
        }
    }

    /// That each side is whole, and old or new.
    pub fn old_or_new(&self, place: &str) {
        whole(&self.client_file(), Domain::Client);
        whole(&self.server_file(), &self.template.domain);
        for (tip, before) in self.tips().iter().zip(&self.template.before) {
            let is_new = tip.as_ref() == Some(&self.template.after);
            assert!(is_new || tip == before, "{place}: {tip:?}");
        }
    }

    /// That a rerun finishes, and that both sides are then the same by the program's own check.
    pub fn finishes(&self, place: &str) {
        let Template { world, kind, .. } = self.template;
        let told = self.told();
        assert_eq!(told["ok"], true, "{place}: {told}");
        self.is_done(place);
        if !kind.syncs() {
            let told = world.json(&self.home(), &["sync"]);
            assert_eq!(told["ok"], true, "{place}: {told}");
        }
        let check = world.json(&self.home(), &["check"]);
        assert_eq!(check["ok"], true, "{place}: {check}");
        self.relay.one_proof_a_frame();
    }
}

/// That a space's file holds together, and that all its graphs are closed.
pub fn whole(path: &Path, domain: impl Into<Domain>) {
    let space = match SqliteSpace::open(path, domain) {
        Err(SpaceError::NoFile(_)) => return,
        space => space.unwrap(),
    };
    space.check_file().unwrap();
    for kind in [TimelineKind::Data, TimelineKind::Keystone, TimelineKind::Saga] {
        for timeline in space.timelines(kind, None, 10_000).unwrap() {
            dependency_graph::<SpaceError>(&space, &[timeline.tip.id], true, &mut |node| {
                for addr in &node.rel8ds {
                    assert!(space.find(addr)?.is_some(), "{addr} is missing");
                }
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .unwrap();
        }
    }
}
