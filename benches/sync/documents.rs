//! A document that is edited again and again: each frame and each dna holds all of its text. Beside
//! it git, with the same versions as commits of one file.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::args::{Args, Part};
use crate::case::{Case, Pushed};
use crate::data::{self, Texts};
use crate::git::Rival;
use crate::process::Server;
use crate::relay::{Line, Passed, Relay};
use crate::report::Report;

/// The lines of the part `distance`.
const LINES: [Line; 2] = [
    Line { round_trip: Duration::from_millis(50), bits: 20_000_000 },
    Line { round_trip: Duration::from_millis(200), bits: 5_000_000 },
];

/// A document, by how it is edited.
struct Document {
    name: &'static str,
    saves: usize,
    from: usize,
    to: usize,
}

/// What is measured. Text that is made up; a person's own compresses better.
const DOCUMENTS: [Document; 2] = [
    Document { name: "document", saves: 500, from: 20_000, to: 40_000 },
    Document { name: "long document", saves: 2_000, from: 1_000, to: 100_000 },
];

impl Document {
    /// Its versions: sentences come in, change and go, most of them near each other, while it grows.
    fn versions(&self) -> Vec<String> {
        let mut texts = Texts::new(self.saves as u64);
        let mut sentences: Vec<String> = Vec::new();
        let mut bytes = 0;
        let sentence = |texts: &mut Texts| {
            let bytes = 40 + texts.below(80);
            texts.words(bytes) + "\n"
        };
        while bytes < self.from {
            sentences.push(sentence(&mut texts));
            bytes += sentences.last().map_or(0, String::len);
        }
        let mut at = 0;
        let mut versions = Vec::with_capacity(self.saves);
        for save in 1..=self.saves {
            if texts.below(8) == 0 {
                at = texts.below(sentences.len());
            }
            at = (at + texts.below(3)) % sentences.len();
            bytes -= sentences[at].len();
            match texts.below(4) {
                0 if sentences.len() > 1 => drop(sentences.remove(at)),
                _ => {
                    sentences[at] = sentence(&mut texts);
                    bytes += sentences[at].len();
                }
            }
            let wanted = self.from + (self.to - self.from) * save / self.saves;
            while bytes < wanted {
                at = at.min(sentences.len());
                sentences.insert(at, sentence(&mut texts));
                bytes += sentences[at].len();
                at += 1;
            }
            at = at.min(sentences.len() - 1);
            versions.push(sentences.concat());
        }
        versions
    }
}

/// Measures each document: bytes and files in the part `documents`, times in the part `distance`.
pub fn measure(dir: &Path, args: &Args, report: &mut Report) -> Result<()> {
    if !Rival::is_there() {
        return Err("there is no git to compare with".into());
    }
    for document in &DOCUMENTS {
        let dir = dir.join(document.name.replace(' ', "-"));
        let versions = document.versions();
        let rival = Rival::of_versions(&dir.join("git"), &versions)?;
        let grow =
            |home: &Path, ndjson: &Path| data::grow_by(home, versions.iter().cloned(), ndjson);
        let case = Case::grown(&dir, grow)?;
        let last = versions.last().cloned().ok_or("no version")?;
        let both = Both { name: document.name, case, rival, last };
        if args.wants(Part::Documents) {
            both.bytes(report)?;
        }
        if args.wants(Part::Distance) {
            for line in LINES {
                both.times(line, report)?;
            }
        }
    }
    Ok(())
}

/// A document, and git with the same.
struct Both {
    name: &'static str,
    case: Case,
    rival: Rival,
    last: String,
}

impl Both {
    /// A home through a relay.
    fn relayed(&self, pushed: &Pushed, line: Option<Line>) -> Result<(Relay, Relay)> {
        let ours = Relay::over(pushed.server.authority(), line)?;
        self.case.point(&pushed.home, &format!("http://{}", ours.authority()))?;
        Ok((ours, Relay::over(self.rival.authority(), line)?))
    }

    fn bytes(&self, report: &mut Report) -> Result<()> {
        let pushed = self.case.fresh()?;
        let (ours, theirs) = self.relayed(&pushed, None)?;
        let url = format!("http://{}", ours.authority());
        self.rival.make_dest("pushed")?;
        let through = theirs.authority();
        let all = |passed: Passed| passed.up + passed.down;
        let (_, push) = ours.passed(|| self.case.sync(&pushed.home, false))?;
        let (_, git_push) = theirs.passed(|| self.rival.push(&through, "pushed"))?;
        report.against_git(&self.row("pushed"), push.up, git_push.up, 1.0);
        let home = self.case.join(&url)?;
        let (_, pull) = ours.passed(|| self.case.sync(&home, false))?;
        let (_, git_clone) = theirs.passed(|| self.rival.clone(&through, "pushed"))?;
        report.against_git(&self.row("pulled"), pull.down, git_clone.down, 1.0);

        // The other device's session is in I's timeline, which this one takes in first.
        self.case.sync(&pushed.home, false)?;
        let (_, idle) = ours.passed(|| self.case.sync(&pushed.home, false))?;
        let (_, git_idle) = theirs.passed(|| self.rival.push(&through, "pushed"))?;
        report.limited(&self.row("nothing new, bytes"), all(idle), 2 << 10, all(git_idle));
        let (trips, git_trips) = (idle.round_trips, git_idle.round_trips);
        report.limited(&self.row("nothing new, round trips"), trips, 2, git_trips);
        let version = self.edited(7);
        data::edit_by(&pushed.home, &version)?;
        self.rival.commit_version(&version)?;
        let (_, edit) = ours.passed(|| self.case.sync(&pushed.home, false))?;
        let (_, git_edit) = theirs.passed(|| self.rival.push(&through, "pushed"))?;
        let (trips, git_trips) = (edit.round_trips, git_edit.round_trips);
        report.limited(&self.row("one more edit, round trips"), trips, 5, git_trips);
        report.limited(&self.row("one more edit, bytes"), all(edit), 10 << 10, all(git_edit));
        self.files(pushed, &home, report)
    }

    /// How large the files are once nothing is written to them any more.
    fn files(&self, pushed: Pushed, joined: &Path, report: &mut Report) -> Result<()> {
        let Pushed { home, server, space } = pushed;
        drop(server);
        let git = self.rival.packed()?;
        // The server that follows writes back what the one that was killed left in its log.
        drop(Server::start(&space)?);
        let files = [
            ("client", home.join("space.db")),
            ("second client", joined.join("space.db")),
            ("server", space),
        ];
        for (name, path) in files {
            report.against_git(&self.row(&format!("file, {name}")), size_of(&path)?, git, 5.0);
        }
        Ok(())
    }

    /// Push and pull of everything, nothing new and one more edit, over a line.
    fn times(&self, line: Line, report: &mut Report) -> Result<()> {
        let pushed = self.case.fresh()?;
        let (ours, theirs) = self.relayed(&pushed, Some(line))?;
        let url = format!("http://{}", ours.authority());
        let through = theirs.authority();
        self.rival.make_dest("pushed")?;
        let row = |what: &str| self.row(&format!("{what}, {}", line.name()));
        let push = self.case.sync(&pushed.home, false)?.time;
        let git_push = self.rival.push(&through, "pushed")?.time;
        report.time_against_git(&row("push"), push, git_push, 1.5);
        let home = self.case.join(&url)?;
        let pull = self.case.sync(&home, false)?.time;
        let git_clone = self.rival.clone(&through, "pushed")?.time;
        report.time_against_git(&row("pull"), pull, git_clone, 1.5);
        let idle = self.case.sync(&pushed.home, false)?.time;
        let git_idle = self.rival.push(&through, "pushed")?.time;
        report.time_against_git(&row("nothing new"), idle, git_idle, 1.5);
        let version = self.edited(8);
        data::edit_by(&pushed.home, &version)?;
        self.rival.commit_version(&version)?;
        let edit = self.case.sync(&pushed.home, false)?.time;
        let git_edit = self.rival.push(&through, "pushed")?.time;
        report.time_against_git(&row("one more edit"), edit, git_edit, 1.5);
        Ok(())
    }

    /// The last version with one sentence changed.
    fn edited(&self, seed: u64) -> String {
        let mut lines: Vec<&str> = self.last.lines().collect();
        let new = Texts::new(seed).words(70);
        let middle = lines.len() / 2;
        lines[middle] = &new;
        lines.join("\n")
    }

    fn row(&self, what: &str) -> String {
        format!("{}, {what}", self.name)
    }
}

/// A file of a space with its log.
fn size_of(path: &Path) -> Result<u64> {
    let mut bytes = std::fs::metadata(path)?.len();
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    bytes += std::fs::metadata(log).map_or(0, |log| log.len());
    Ok(bytes)
}
