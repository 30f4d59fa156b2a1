//! A sync that was cut goes on where it was: what arrived does not travel again, and nothing that was
//! kept is trusted.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../net_common/mod.rs"]
mod net_common;

mod cut;
mod kept;
mod line;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, TjpAddr};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};

use line::{Line, Way};
use net_common::{Serve, World};

/// What a run sends at most beyond what did not arrive.
const AGAIN: u64 = 8 << 20;

/// Two devices of an identity, a server, and the line between them.
struct Scene {
    world: World,
    serve: Option<Serve>,
    line: Line,
    domain: TjpAddr,
}

impl Scene {
    /// With so many stones of 1 KB at `from`, which the other device and the server do not have.
    fn with_stones(way: Way, count: usize) -> Scene {
        let scene = Scene::new();
        let stones: Vec<IbGib> = (0..count).map(stone).collect();
        scene.space(scene.source(way)).put_all(&stones).unwrap();
        scene.provide(way);
        scene
    }

    fn new() -> Scene {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let line = Line::to(serve.addr());
        let setup = world.json("a", &["setup", "--server", &line.url, "--raw-secret"]);
        world.ok("a", &["sync"]);
        let identity = setup["identity"].as_str().unwrap();
        world.ok("b", &["setup", "--server", &serve.url, "--raw-secret", "--join", identity]);
        world.ok("b", &["sync"]);
        let domain = TjpAddr::parse(identity).unwrap();
        Scene { world, serve: Some(serve), line, domain }
    }

    /// Whose data goes this way over the line: a's own, or b's.
    fn source(&self, way: Way) -> &'static str {
        if way == Way::Up { "a" } else { "b" }
    }

    /// Brings what is to go down the line to the server.
    fn provide(&self, way: Way) {
        if way == Way::Down {
            self.world.ok("b", &["sync"]);
        }
    }

    fn space(&self, home: &str) -> SqliteSpace {
        SqliteSpace::open(&self.world.path(home).join("space.db"), Domain::Client).unwrap()
    }

    /// Syncs a; what it tells.
    fn sync(&self) -> Value {
        self.world.json("a", &["sync", "--retry-for", "0"])
    }

    /// Syncs a until so many bytes have gone this way.
    fn is_cut(&self, way: Way, after: u64) {
        self.line.cut_after(way, after);
        let told = self.sync();
        assert_eq!(told["exit"], 3, "{way:?} after {after}: {told}");
    }

    /// Syncs a again; how many bytes of JSON that moved this way, and how many were resumed.
    fn goes_on(&self, way: Way) -> (u64, u64) {
        self.line.pass();
        Scene::moved(&self.sync(), way)
    }

    /// How many bytes of JSON a sync moved this way, and how many were resumed.
    fn moved(told: &Value, way: Way) -> (u64, u64) {
        assert_eq!(told["ok"], true, "{told}");
        let moved = if way == Way::Up { "sent" } else { "received" };
        let bytes = |of: &str| told[of]["bytes"].as_u64().unwrap();
        (bytes(moved), bytes("resumed"))
    }

    /// The files that hold what was kept.
    fn kept(&self) -> Vec<PathBuf> {
        let dirs = [self.world.path("a"), self.world.dir.path().to_owned()];
        dirs.iter().flat_map(|dir| kept_in(dir)).collect()
    }

    /// The one file that holds what was kept, once nobody writes to it any more.
    fn one_kept(&self) -> PathBuf {
        let until = Instant::now() + Duration::from_secs(30);
        while self.kept().is_empty() {
            assert!(Instant::now() < until, "nothing is kept");
            std::thread::sleep(Duration::from_millis(20));
        }
        let kept = self.kept();
        assert_eq!(kept.len(), 1, "{kept:?}");
        File::open(&kept[0]).unwrap().lock().unwrap();
        kept[0].clone()
    }

    /// Both sides hold the same whole data, and nothing is kept beside it.
    fn is_done(&self) {
        assert_eq!(self.kept(), Vec::<PathBuf>::new());
        let server = SqliteSpace::open(&self.world.path("server.db"), self.domain.clone()).unwrap();
        let a = self.space("a");
        assert_eq!(a.state().unwrap(), server.state().unwrap());
        for space in [&a, &server] {
            let audit = space.audit().unwrap();
            assert!(audit.is_good(), "{audit:?}");
        }
    }

    /// Kills the server, and starts it anew.
    fn restart(&mut self) {
        drop(self.serve.take());
        let serve = Serve::start(&self.world.path("server.db"), "127.0.0.1:0", &[]);
        self.line.lead_to(serve.addr());
        self.serve = Some(serve);
    }
}

/// A stone of 1 KB whose text has no pattern.
fn stone(seed: usize) -> IbGib {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut text = String::with_capacity(1000);
    while text.len() < 900 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    IbGib::new("stone".into(), Some(json!({ "text": text })), None).unwrap()
}

/// The files in a folder that hold what was kept.
fn kept_in(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "kept")).collect()
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}
