//! A sync that is disturbed: what both sides hold before, what they must hold after, and a
//! relay between them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sync_gib::ibgib::Addr;
use sync_gib::space::{Space, SpaceError, SqliteSpace, TimelineKind, dependency_graph};

use super::relay::{Event, Relay};
use super::{Serve, World};

/// What the disturbed sync does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Push,
    Pull,
    Merge,
}

/// Both sides before the sync, to be copied, and X's tips.
pub struct Template {
    world: World,
    domain: Addr,
    tjp: Addr,
    /// The client's and the server's tip before, and that of both after.
    before: [Addr; 2],
    after: Addr,
    more: Vec<String>,
    stages: AtomicUsize,
}

/// Writes down where a home's server is.
pub fn configure(home: &Path, url: &str) {
    let config = json!({ "version": 1, "server": url }).to_string();
    fs::write(home.join("config.json"), config).unwrap();
}

fn copy_file(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

fn tip_at(path: &Path, domain: &str, tjp: &Addr) -> Addr {
    let space = SqliteSpace::open(path, domain).unwrap();
    space.tip(tjp).unwrap().unwrap().addr
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
        let edit = |home: &str, what: &str| {
            for at in 0..3 {
                world.ok(home, &["mut8", "X", "--set", &format!("{what}{at}=1")]);
            }
        };
        // Both have heard of each other's frames of the identity.
        world.ok("a", &["sync"]);
        if kind != Kind::Push {
            edit("b", "theirs");
            world.ok("b", &["sync"]);
        }
        if kind != Kind::Pull {
            edit("a", "mine");
        }
        assert_eq!(serve.signal("-TERM"), Some(0));
        let space = SqliteSpace::open(&world.path("a/space.db"), "").unwrap();
        let tjp = space.name("X").unwrap().unwrap();
        drop(space);
        let domain = Addr::parse(identity).unwrap();
        let before = [
            tip_at(&world.path("a/space.db"), "", &tjp),
            tip_at(&world.path("server.db"), domain.as_str(), &tjp),
        ];
        let more = more.iter().map(|arg| (*arg).to_owned()).collect();
        let (after, stages) = (tjp.clone(), AtomicUsize::new(0));
        let mut template = Template { world, domain, tjp, before, after, more, stages };
        // A merge is the same frames wherever and whenever it is made.
        let stage = template.stage();
        assert_eq!(stage.sync(), 0);
        let after = stage.tips()[0].clone();
        assert_eq!(stage.tips(), [after.clone(), after.clone()]);
        assert_ne!(template.before, stage.tips());
        drop(stage);
        template.after = after;
        template
    }

    /// The messages of the sync when it is not disturbed.
    pub fn messages(&self) -> Vec<Event> {
        let stage = self.stage();
        assert_eq!(stage.sync(), 0);
        stage.relay.events()
    }

    /// A copy of both sides, with a server that runs and a relay to it.
    pub fn stage(&self) -> Stage<'_> {
        let name = format!("stage{}", self.stages.fetch_add(1, Ordering::SeqCst));
        let dir = self.world.path(&name);
        copy_file(&self.world.path("a/space.db"), &dir.join("home/space.db"));
        copy_file(&self.world.path("server.db"), &dir.join("server.db"));
        let mut stage = Stage {
            template: self,
            name,
            serve: None,
            relay: Relay::to(([127, 0, 0, 1], 1).into()),
        };
        configure(&dir.join("home"), &stage.relay.url);
        stage.start();
        stage
    }
}

/// One disturbed sync.
pub struct Stage<'t> {
    template: &'t Template,
    name: String,
    serve: Option<Serve>,
    pub relay: Relay,
}

impl Stage<'_> {
    /// The client's home.
    pub fn home_dir(&self) -> std::path::PathBuf {
        self.template.world.path(&self.home())
    }

    /// The tjp address of the identity.
    pub fn domain(&self) -> &Addr {
        &self.template.domain
    }

    /// Starts the server, where none runs, and lets all pass the relay.
    pub fn start(&mut self) {
        let more: Vec<&str> = self.template.more.iter().map(String::as_str).collect();
        let path = self.template.world.path(&self.name).join("server.db");
        let serve = Serve::start(&path, "127.0.0.1:0", &more);
        self.relay.lead_to(serve.addr());
        self.serve = Some(serve);
    }

    pub fn serve(&self) -> &Serve {
        self.serve.as_ref().unwrap()
    }

    fn home(&self) -> String {
        format!("{}/home", self.name)
    }

    /// A sync through the relay, not yet started.
    pub fn sync_command(&self) -> Command {
        self.template.world.command(&self.home(), &["sync", "--retry-for", "0", "--json"])
    }

    /// Syncs through the relay; what the client exits with.
    pub fn sync(&self) -> i32 {
        self.sync_command().output().unwrap().status.code().unwrap()
    }

    /// Syncs through the relay; the object that it prints.
    pub fn told(&self) -> Value {
        serde_json::from_slice(&self.sync_command().output().unwrap().stdout).unwrap()
    }

    /// X's tips, of the client and of the server.
    pub fn tips(&self) -> [Addr; 2] {
        let dir = self.template.world.path(&self.name);
        let domain = self.template.domain.as_str();
        [
            tip_at(&dir.join("home/space.db"), "", &self.template.tjp),
            tip_at(&dir.join("server.db"), domain, &self.template.tjp),
        ]
    }

    pub fn new_tips(&self) -> [Addr; 2] {
        [self.template.after.clone(), self.template.after.clone()]
    }

    /// That each side is whole, and old or new.
    pub fn old_or_new(&self, place: &str) {
        let dir = self.template.world.path(&self.name);
        whole(&dir.join("home/space.db"), "");
        whole(&dir.join("server.db"), self.template.domain.as_str());
        for (tip, before) in self.tips().iter().zip(&self.template.before) {
            assert!([before, &self.template.after].contains(&tip), "{place}: {tip}");
        }
    }

    /// That a rerun finishes, and that both sides are then the same by the program's own check.
    pub fn finishes(&self, place: &str) {
        let Template { world, .. } = self.template;
        let told = world.json(&self.home(), &["sync"]);
        assert_eq!(told["ok"], true, "{place}: {told}");
        assert_eq!(self.tips(), self.new_tips(), "{place}");
        let check = world.json(&self.home(), &["check"]);
        assert_eq!(check["ok"], true, "{place}: {check}");
        self.relay.one_proof_a_frame();
    }
}

/// That a space's file holds together, and that all its graphs are closed.
pub fn whole(path: &Path, domain: &str) {
    let space = SqliteSpace::open(path, domain).unwrap();
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
