//! One size of data, and the transfers of all of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::{Args, Part};
use crate::floor::Floor;
use crate::git::Rival;
use crate::process::{self, Ran, Server, sync_gib};
use crate::relay::Relay;
use crate::{Result, data};

/// A home with a timeline X that no server has yet, the same as NDJSON and as a git repository.
pub struct Case {
    dir: PathBuf,
    ibgibs: u64,
    domain: String,
    rival: Option<Rival>,
}

/// A home whose X a server has.
pub struct Pushed {
    /// The home.
    pub home: PathBuf,
    /// The server, on a space of its own.
    pub server: Server,
    /// Where that is.
    pub space: PathBuf,
}

/// What one transfer took, on both sides.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    /// The client's process from start to end.
    pub time: Duration,
    /// The client's peak memory, in bytes; 0 where it was not looked at.
    pub client_peak: u64,
    /// The server's, likewise.
    pub server_peak: u64,
}

/// The medians of several rounds; what was not asked for is none.
#[derive(Debug, Default)]
pub struct Times {
    /// The floor that uses the space's `put`.
    pub floor: Option<Transfer>,
    /// The floor that uses nothing of this package.
    pub raw_floor: Option<Transfer>,
    /// Everything pushed by git.
    pub git_push: Option<Transfer>,
    /// Everything cloned by git.
    pub git_clone: Option<Transfer>,
    /// Everything pushed.
    pub push: Option<Transfer>,
    /// Everything pulled.
    pub pull: Option<Transfer>,
}

/// Bytes on the wire, both ways, each counted by a relay in a run that is not timed.
#[derive(Debug, Default)]
pub struct Wire {
    /// Of a push.
    pub push: Option<u64>,
    /// Of a pull.
    pub pull: Option<u64>,
    /// Of git's push.
    pub git_push: Option<u64>,
    /// Of git's clone.
    pub git_clone: Option<u64>,
}

/// The options that name the secret.
pub fn secret(dir: &Path) -> Result<String> {
    let path = dir.join("secret");
    // As a master secret is: one that is guessed easily is refused.
    let secret = "9b4e07d1c86f3a52e0d7b91f6c2483ae5d18f07b6a93c4e21f85d06eb7429c3d";
    std::fs::write(&path, secret)?;
    Ok(format!("--secret-file={}", path.display()))
}

impl Case {
    /// Makes the data, about `ibgibs` of it. The repository is made where `rival` has a use for it.
    pub fn make(dir: &Path, ibgibs: usize, rival: Option<&Args>) -> Result<Case> {
        let compared = [Part::Git, Part::Push, Part::Pull, Part::Edit, Part::Idle];
        let wanted = rival.is_some_and(|args| compared.into_iter().any(|part| args.wants(part)));
        let mut case = Case::grown(dir, |home, ndjson| data::grow(home, ibgibs / 2, ndjson))?;
        if wanted && Rival::is_there() {
            case.rival = Some(Rival::make(&dir.join("git"), &dir.join("ibgibs.ndjson"))?);
        }
        Ok(case)
    }

    /// Makes a home with an identity, whose X `grow` grows, without a rival.
    pub fn grown(dir: &Path, grow: impl FnOnce(&Path, &Path) -> Result<u64>) -> Result<Case> {
        std::fs::create_dir_all(dir)?;
        let (home, ndjson) = (dir.join("made"), dir.join("ibgibs.ndjson"));
        let server = Server::start(&dir.join("made.db"))?;
        let (url, secret) = (format!("--server={}", server.url()), secret(dir)?);
        let setup = ["setup", "--raw-secret", "--json", &url, &secret];
        let made = process::run(&mut sync_gib(&home, &setup), false)?;
        let said: serde_json::Value = serde_json::from_str(&made.stdout)?;
        let domain = said["summary"]["identity"].as_str().or(said["identity"].as_str());
        let domain = domain.ok_or("setup names no identity")?.to_owned();
        let ibgibs = grow(&home, &ndjson)?;
        Ok(Case { dir: dir.to_owned(), ibgibs, domain, rival: None })
    }

    /// How many ibGibs X's graph has.
    pub fn ibgibs(&self) -> u64 {
        self.ibgibs
    }

    /// The rival, where there is one.
    pub fn rival(&self) -> Option<&Rival> {
        self.rival.as_ref()
    }

    /// Syncs a home.
    pub fn sync(&self, home: &Path, look: bool) -> Result<Ran> {
        let secret = secret(&self.dir)?;
        process::run(&mut sync_gib(home, &["sync", "--json", &secret]), look)
    }

    /// Has a home sync with the server at `url` from now on.
    pub fn point(&self, home: &Path, url: &str) -> Result<()> {
        let (url, secret) = (format!("--server={url}"), secret(&self.dir)?);
        process::run(&mut sync_gib(home, &["setup", "--raw-secret", &url, &secret]), false)
            .map(drop)
    }

    /// A copy of the home as it was made, and a server that knows its identity and nothing else.
    pub fn fresh(&self) -> Result<Pushed> {
        let (home, space) = (self.dir.join("home"), self.dir.join("server.db"));
        for path in [&home, &self.dir.join("joined")] {
            let _ = std::fs::remove_dir_all(path);
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.dir.join(format!("server.db{end}")));
        }
        std::fs::create_dir(&home)?;
        for entry in std::fs::read_dir(self.dir.join("made"))? {
            let entry = entry?;
            std::fs::copy(entry.path(), home.join(entry.file_name()))?;
        }
        let server = Server::start(&space)?;
        self.point(&home, server.url())?;
        Ok(Pushed { home, server, space })
    }

    fn push(&self) -> Result<(Transfer, Pushed)> {
        let pushed = self.fresh()?;
        let ran = self.sync(&pushed.home, true)?;
        Ok((transfer(&ran, pushed.server.peak()), pushed))
    }

    /// A second device's home, which has the identity and no data.
    pub fn join(&self, url: &str) -> Result<PathBuf> {
        let home = self.dir.join("joined");
        let _ = std::fs::remove_dir_all(&home);
        let (url, secret) = (format!("--server={url}"), secret(&self.dir)?);
        let setup = ["setup", "--raw-secret", &url, "--join", &self.domain, &secret];
        process::run(&mut sync_gib(&home, &setup), false)?;
        Ok(home)
    }

    /// Pulls everything into a new home, from a server process that did nothing before.
    fn pull(&self, pushed: &mut Pushed) -> Result<Transfer> {
        pushed.server = Server::start(&pushed.space)?;
        let home = self.join(pushed.server.url())?;
        let ran = self.sync(&home, true)?;
        let pulled = transfer(&ran, pushed.server.peak());
        self.point(&pushed.home, pushed.server.url())?;
        Ok(pulled)
    }

    /// Counts the bytes of each transfer on the wire.
    pub fn wire(&self, args: &Args) -> Result<Wire> {
        let mut wire = Wire::default();
        if args.wants(Part::Push) || args.wants(Part::Pull) {
            let pushed = self.fresh()?;
            let relay = Relay::start(pushed.server.authority())?;
            let url = format!("http://{}", relay.authority());
            self.point(&pushed.home, &url)?;
            wire.push = Some(counted(&relay, || self.sync(&pushed.home, false))?);
            let home = self.join(&url)?;
            wire.pull = Some(counted(&relay, || self.sync(&home, false))?);
        }
        if let Some(rival) = &self.rival {
            let relay = Relay::start(rival.authority())?;
            rival.make_dest("relayed")?;
            let through = relay.authority();
            wire.git_push = Some(counted(&relay, || rival.push(&through, "relayed"))?);
            wire.git_clone = Some(counted(&relay, || rival.clone(&through, "relayed"))?);
        }
        Ok(wire)
    }
}

fn transfer(ran: &Ran, server_peak: u64) -> Transfer {
    Transfer { time: ran.time, client_peak: ran.peak, server_peak }
}

/// How many bytes pass a relay while something runs.
pub fn counted<T>(relay: &Relay, run: impl FnOnce() -> Result<T>) -> Result<u64> {
    let (_, passed) = relay.passed(run)?;
    Ok(passed.up + passed.down)
}

impl Times {
    /// Runs everything that is asked for, `runs` times in turn, so that a busy moment of the
    /// machine's does not fall on one of them alone. Returns what the last push left, too.
    pub fn measure(case: &Case, runs: usize, args: &Args) -> Result<(Times, Pushed)> {
        let mut rounds = Vec::new();
        let mut last = None;
        for _ in 0..runs {
            drop(last.take());
            let mut round = Times::default();
            if args.wants(Part::Floor) || args.wants(Part::Push) || args.wants(Part::Pull) {
                let measure = |floor: Floor| -> Result<Option<Transfer>> {
                    let ndjson = case.dir.join("ibgibs.ndjson");
                    let (time, client_peak) = floor.measure(&ndjson, &case.dir)?;
                    Ok(Some(Transfer { time, client_peak, server_peak: 0 }))
                };
                round.raw_floor = measure(Floor::Raw)?;
                round.floor = measure(Floor::Put)?;
            }
            if let Some(rival) = &case.rival {
                rival.make_dest("pushed")?;
                let pushed = rival.push(rival.authority(), "pushed")?;
                round.git_push = Some(transfer(&pushed, 0));
                let cloned = rival.clone(rival.authority(), "pushed")?;
                round.git_clone = Some(transfer(&cloned, 0));
            }
            let (push, mut pushed) = case.push()?;
            round.push = Some(push);
            if args.wants(Part::Pull) || args.wants(Part::Growth) {
                round.pull = Some(case.pull(&mut pushed)?);
            }
            last = Some(pushed);
            rounds.push(round);
        }
        Ok((Times::medians(&rounds), last.ok_or("no round was run")?))
    }

    fn medians(rounds: &[Times]) -> Times {
        let median = |of: fn(&Times) -> &Option<Transfer>| {
            let mut found: Vec<Transfer> = rounds.iter().filter_map(|r| of(r).clone()).collect();
            found.sort_by_key(|transfer| transfer.time);
            found.get(found.len().saturating_sub(1) / 2).cloned()
        };
        Times {
            floor: median(|round| &round.floor),
            raw_floor: median(|round| &round.raw_floor),
            git_push: median(|round| &round.git_push),
            git_clone: median(|round| &round.git_clone),
            push: median(|round| &round.push),
            pull: median(|round| &round.pull),
        }
    }
}
