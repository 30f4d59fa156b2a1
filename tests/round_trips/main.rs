//! How many round trips each command takes on plain TCP: at most as many as docs/protocol.md says
//! (section 5, "Round trips"), which is read here.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../net_common/mod.rs"]
mod net_common;

mod line;

use std::collections::BTreeMap;

use line::{Line, Passed};
use net_common::{Serve, World};

const DOC: &str = include_str!("../../docs/protocol.md");

/// The rows of the document's table: what is done, and how many round trips and bytes it takes at most.
fn said() -> BTreeMap<String, (u64, u64)> {
    let begins = DOC.find("\n### Round trips").expect("the section is there");
    let section = &DOC[begins + 1..];
    let section = &section[..section[4..].find("\n#").unwrap() + 4];
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with('|')).map(cells);
    let number = |text: &str| text.replace(',', "").parse().ok();
    rows.filter_map(|row| Some((row[1].clone(), (number(&row[2])?, number(&row[3])?)))).collect()
}

/// What each command took, beside what it may take.
struct Measured {
    line: Line,
    found: Vec<(&'static str, Passed)>,
}

impl Measured {
    fn run<T>(&mut self, what: &'static str, act: impl FnOnce() -> T) -> T {
        self.line.reset();
        let done = act();
        self.found.push((what, self.line.passed()));
        done
    }

    fn expect_as_said(self) {
        let said = said();
        let names: Vec<&str> = self.found.iter().map(|(what, _)| *what).collect();
        assert!(said.keys().all(|what| names.contains(&&**what)), "{said:?} {names:?}");
        for (what, passed) in &self.found {
            println!("{what}: {passed:?}");
        }
        for what in names {
            let most = said.get(what).unwrap_or_else(|| panic!("{what} is not in the table"));
            // On a busy machine the answer to a proof may pass before what the client sends without
            // waiting for it, and is counted: so the best of several tries tells.
            let tries = self.found.iter().filter(|(of, _)| *of == what).map(|(_, passed)| passed);
            let found = tries.map(|passed| (passed.round_trips, passed.up + passed.down)).min();
            let found = found.unwrap_or_default();
            assert!(found.0 <= most.0 && found.1 <= most.1, "{what}: {found:?}, at most {most:?}");
        }
    }
}

/// A text of 35 KB that does not repeat much.
fn text() -> String {
    let mut state = 7_u64;
    let mut word = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:x} ", state >> 40)
    };
    (0..5000).map(|_| word()).collect()
}

#[test]
fn no_command_takes_more_round_trips_or_bytes_than_the_document_says() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let line = Line::to(serve.addr());
    let url = line.url.clone();
    let mut measured = Measured { line, found: Vec::new() };
    let edit = |home: &str, text: &str| {
        let patch = serde_json::json!({ "text": text }).to_string();
        std::fs::write(world.path("patch"), patch).unwrap();
        world.ok(home, &["mut8", "X", "--data", world.path("patch").to_str().unwrap()]);
    };
    let sync = |home: &str| world.ok(home, &["sync"]);

    let setup = ["setup", "--server", &url, "--raw-secret"];
    let identity = measured.run("setup", || world.json("a", &setup));
    let identity = identity["identity"].as_str().unwrap().to_owned();
    let mut document = text();
    edit("a", &document);
    for _ in 0..9 {
        document.insert_str(document.len() / 2, "another sentence. ");
        edit("a", &document);
    }
    measured.run("push", || sync("a"));
    measured.run("idle", || sync("a"));
    for what in ["one edit", "one edit"] {
        document.insert_str(document.len() / 3, "one more sentence of this document. ");
        edit("a", &document);
        measured.run(what, || sync("a"));
    }
    let join = ["setup", "--server", &url, "--raw-secret", "--join", &identity];
    measured.run("join", || world.ok("b", &join));
    sync("b");
    sync("a");
    document.insert_str(document.len() / 4, "what the other device pulls. ");
    edit("a", &document);
    sync("a");
    measured.run("pull", || sync("b"));
    sync("a");
    edit("a", &format!("{document} at the end"));
    edit("b", &format!("at the beginning {document}"));
    sync("a");
    measured.run("merge", || sync("b"));
    sync("b");
    measured.run("check", || world.ok("b", &["check"]));
    for what in ["one edit", "one edit"] {
        document.insert_str(document.len() / 3, "another one, and the server is where it was. ");
        edit("b", &document);
        measured.run(what, || sync("b"));
    }
    measured.expect_as_said();
}
