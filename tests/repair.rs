//! `check --local`, `repair` and `serve --check` on files that were damaged.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damaged_common;

use std::path::Path;
use std::process::Command;

use damaged_common::{BIN, GRAPH, LOG, Original, damage, run, shown, tip_of};
use serde_json::Value;

fn exit(home: &Path, original: &Original, args: &[&str], code: i32) -> Value {
    let mut all = args.to_vec();
    all.push("--json");
    let output = run(home, original.dir.path(), &all);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn change(file: &Path, sql: &str) {
    assert!(rusqlite::Connection::open(file).unwrap().execute(sql, []).unwrap() > 0, "{sql}");
}

/// A home of which everything is on the server.
fn synced() -> Original {
    let original = Original::make();
    let home = original.dir.path().join("home");
    let output = run(&home, original.dir.path(), &["sync"]);
    assert!(output.status.success(), "{}", shown(&output));
    original
}

#[test]
fn check_local_needs_neither_server_nor_secret_and_names_what_is_damaged() {
    let original = synced();
    let home = original.dir.path().join("home");
    std::fs::remove_file(home.join("receiver.db")).unwrap();
    let good = exit(&home, &original, &["check", "--local"], 0);
    assert_eq!(good["assertions"].as_array().unwrap().len(), 7);
    assert!(good["assertions"].as_array().unwrap().iter().all(|one| one["ok"] == true));
    assert!(good["ibGibs"].as_u64().unwrap() > 20, "{good}");
    let people = run(&home, original.dir.path(), &["check", "--local"]);
    assert!(shown(&people).contains("all of these hold"), "{}", shown(&people));

    let x = tip_of(&original, &home, "X");
    damage(&home.join("space.db"), &x, "\"done\":false", "\"done\":faLse");
    let bad = exit(&home, &original, &["check", "--local"], 4);
    assert_eq!(bad["error"]["code"], "damaged");
    assert!(bad["error"]["hint"].as_str().unwrap().contains("sync-gib repair"));
    let failed: Vec<&Value> =
        bad["assertions"].as_array().unwrap().iter().filter(|one| one["ok"] == false).collect();
    assert_eq!(failed.len(), 1, "{bad}");
    assert!(failed[0]["problems"][0].as_str().unwrap().contains(&x), "{bad}");
    assert!(!home.join("receiver.db").exists());
}

#[test]
fn repair_fetches_what_is_damaged_and_the_hash_proves_it() {
    let original = synced();
    let here = original.dir.path();
    let home = here.join("home");
    let space = home.join("space.db");
    let _ = std::fs::remove_file(home.join("token.json"));
    let nothing = exit(&home, &original, &["repair"], 0);
    assert_eq!((&nothing["restored"], &nothing["fetched"]), (&0.into(), &0.into()));

    let (x, i, s) = (
        tip_of(&original, &home, "X"),
        tip_of(&original, &home, "I"),
        tip_of(&original, &home, "S"),
    );
    // More than a bit in each, the address included: only the server can tell what it was.
    damage(&space, &x, "\"gib\":\"", "\"gob\":\"");
    damage(&space, &i, "\"challengePools\"", "\"chapters\"");
    damage(&space, &s, "\"challengePools\"", "\"chapters\"");
    let note = original.texts.keys().find(|addr| addr.starts_with("note^")).unwrap();
    damage(&space, note, "rel8ns", "relens");
    // And one of which a single bit flipped.
    let dna = original.texts.keys().find(|addr| addr.starts_with("mut8^")).unwrap();
    damage(&space, dna, "\"ib\":\"mut8", "\"ib\":\"mut9");
    exit(&home, &original, &["sync"], 4);
    let repaired = exit(&home, &original, &["repair"], 0);
    assert_eq!((&repaired["restored"], &repaired["fetched"]), (&1.into(), &4.into()), "{repaired}");
    exit(&home, &original, &["check", "--local"], 0);
    for (args, told) in [(GRAPH, &original.graph), (LOG, &original.log)] {
        let output = run(&home, here, args);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), told, "{args:?}");
    }
    exit(&home, &original, &["sync"], 0);
    exit(&home, &original, &["check"], 0);
}

#[test]
fn repair_makes_indices_counts_and_rows_anew_and_brings_back_what_is_gone() {
    let original = synced();
    let home = original.dir.path().join("home");
    let space = home.join("space.db");
    for sql in [
        "DELETE FROM link",
        "UPDATE domain SET ibgibs = 1",
        "UPDATE timeline SET tip_n = 0 WHERE kind = 0",
        "UPDATE ibgib SET n = 99 WHERE id = (SELECT max(id) FROM ibgib)",
        "DELETE FROM ibgib WHERE json LIKE '{\"ib\":\"note\"%' AND json LIKE '%\"n\":1,%'",
    ] {
        change(&space, sql);
    }
    exit(&home, &original, &["check", "--local"], 4);
    let repaired = exit(&home, &original, &["repair"], 0);
    assert_eq!(repaired["rebuilt"], true, "{repaired}");
    assert_eq!(repaired["fetched"], 1, "{repaired}");
    exit(&home, &original, &["check", "--local"], 0);
    // The same, in an order that may be another one.
    let output = run(&home, original.dir.path(), GRAPH);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let graph = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(sorted(&graph), sorted(&original.graph));
    exit(&home, &original, &["sync"], 0);
    exit(&home, &original, &["check"], 0);
}

#[test]
fn what_cannot_be_had_is_listed_and_nothing_good_is_lost() {
    let original = Original::make();
    let home = original.dir.path().join("home");
    let space = home.join("space.db");
    // The newest frame of X was never synced.
    let x = tip_of(&original, &home, "X");
    let i = tip_of(&original, &home, "I");
    damage(&space, &x, "\"title\"", "\"totle\"");
    damage(&space, &x, "\"done\":false", "\"dono\":false");
    damage(&space, &i, "\"challengePools\"", "\"chapters\"");
    let before = damaged_common::texts_of(&space);
    let left = exit(&home, &original, &["repair"], 1);
    assert_eq!(left["left"], serde_json::json!([x]), "{left}");
    assert_eq!(left["fetched"], 1, "{left}");
    let after = damaged_common::texts_of(&space);
    // Signing on for a token left a frame of I and a session.
    assert!(after.len() >= before.len());
    let lost: Vec<&String> = before.iter().filter(|text| !after.contains(text)).collect();
    assert_eq!(lost.len(), 1, "only the damaged text of I was replaced: {lost:?}");
    let bad = exit(&home, &original, &["check", "--local"], 4);
    assert_eq!(bad["assertions"][1]["count"], 1, "{bad}");
}

#[test]
fn serve_check_reads_every_domain_and_serves_nobody() {
    let original = synced();
    let home = original.dir.path().join("home");
    let file = home.join("receiver.db");
    let check = |code: i32| -> Value {
        let output = Command::new(BIN)
            .args(["serve", "--check", "--json", "--space"])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let good = check(0);
    assert!(good["ibGibs"].as_u64().unwrap() > 20, "{good}");
    assert!(good.get("url").is_none());
    let x = tip_of(&original, &home, "X");
    damage(&file, &x, "\"done\":false", "\"done\":faLse");
    let bad = check(4);
    let problem = bad["assertions"][1]["problems"][0].as_str().unwrap();
    assert!(problem.contains(&x) && problem.starts_with("keystone^"), "{problem}");

    let absent = home.join("absent.db");
    let output =
        Command::new(BIN).args(["serve", "--check", "--space"]).arg(&absent).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(!absent.exists());
}

/// The one pending step of a home, to be changed.
fn pending(home: &Path) -> (rusqlite::Connection, Vec<u8>) {
    let file = rusqlite::Connection::open(home.join("space.db")).unwrap();
    let evolved = "SELECT CAST(evolved AS BLOB) FROM pending WHERE purpose = 'session'";
    let evolved = file.query_row(evolved, [], |row| row.get(0)).unwrap();
    (file, evolved)
}

fn set_evolved(file: &rusqlite::Connection, evolved: &[u8]) {
    let set = "UPDATE pending SET evolved = CAST(?1 AS TEXT)";
    assert_eq!(file.execute(set, [evolved]), Ok(1));
}

#[test]
fn a_damaged_step_that_the_identity_went_on_from_stops_no_sync_and_is_mended() {
    let original = synced();
    let home = original.dir.path().join("home");
    let (file, whole) = pending(&home);
    // Each bit takes a hash, so that those in front are found soon.
    for (at, bit) in [(70, 0), (250, 3), (300, 7)] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << bit;
        set_evolved(&file, &flipped);
        exit(&home, &original, &["check", "--local"], 4);
        let repaired = exit(&home, &original, &["repair"], 0);
        assert_eq!(repaired["restored"], 1, "{repaired}");
        assert_eq!(repaired["rebuilt"], false, "{repaired}");
        assert_eq!(pending(&home).1, whole);
    }
    // More than a bit: of no use any more, so that it is left out.
    set_evolved(&file, b"{}");
    let repaired = exit(&home, &original, &["repair"], 0);
    assert_eq!(repaired["dropped"], 1, "{repaired}");
    exit(&home, &original, &["check", "--local"], 0);
    exit(&home, &original, &["sync", "--record"], 0);
    let (file, _) = pending(&home);
    set_evolved(&file, b"{}");
    exit(&home, &original, &["sync", "--record"], 0);
    exit(&home, &original, &["check", "--local"], 0);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_damaged_step_on_the_newest_frame_stays_until_the_server_shows_what_follows() {
    let original = Original::make();
    let here = original.dir.path();
    let (after, before) = (here.join("home"), here.join("before"));
    copy(&after, &before);
    exit(&after, &original, &["sync"], 0);
    let (file, _) = pending(&after);
    let on: String = file.query_row("SELECT frame FROM pending", [], |row| row.get(0)).unwrap();
    assert_eq!(on, tip_of(&original, &before, "I"));
    // The step was signed, and nobody has taken it yet.
    let (file, _) = pending(&before);
    let kept = "UPDATE pending SET frame = ?1, evolved = '{}', session = '{}'";
    assert_eq!(file.execute(kept, [&on]), Ok(1));
    let (caught_up, too) = (here.join("caught_up"), here.join("caught_up_too"));
    for home in [&caught_up, &too] {
        copy(&before, home);
        std::fs::copy(after.join("receiver.db"), home.join("receiver.db")).unwrap();
    }
    for command in ["sync", "repair"] {
        let told = exit(&before, &original, &[command], 4);
        assert_eq!(told["error"]["code"], "damaged", "{told}");
        let hint = told["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("--join") && hint.contains("put"), "{hint}");
        assert!(told["error"]["message"].as_str().unwrap().contains("newest frame"), "{told}");
        assert_eq!(pending(&before).1, b"{}", "it was dropped");
        assert_eq!(tip_of(&original, &before, "I"), on, "a second step was signed");
    }
    // One bit in the frame's name does not make it an older one.
    let mut other = on.clone().into_bytes();
    *other.last_mut().unwrap() ^= 1;
    let other = String::from_utf8(other).unwrap();
    let (file, _) = pending(&before);
    assert_eq!(file.execute("UPDATE pending SET frame = ?1", [other]), Ok(1));
    exit(&before, &original, &["sync"], 4);

    exit(&caught_up, &original, &["sync"], 0);
    exit(&caught_up, &original, &["check", "--local"], 0);
    assert_eq!(exit(&too, &original, &["repair"], 0)["dropped"], 1);
    exit(&too, &original, &["sync"], 0);
}

#[test]
fn an_identity_that_lost_its_name_is_told_and_named_again() {
    let original = synced();
    let home = original.dir.path().join("home");
    change(&home.join("space.db"), "DELETE FROM name WHERE name = 'I'");
    let bad = exit(&home, &original, &["check", "--local"], 4);
    assert_eq!(bad["assertions"][5]["ok"], false, "{bad}");
    let repaired = exit(&home, &original, &["repair"], 0);
    assert_eq!((&repaired["named"], &repaired["rebuilt"]), (&true.into(), &false.into()));
    exit(&home, &original, &["check", "--local"], 0);
    exit(&home, &original, &["sync"], 0);
}

/// Overwrites the page of a file at which a table begins.
fn destroy(path: &Path, table: &str) {
    let file = rusqlite::Connection::open(path).unwrap();
    let ask = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    ask("PRAGMA wal_checkpoint(TRUNCATE)");
    let page = ask(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"));
    let size = usize::try_from(ask("PRAGMA page_size")).unwrap();
    drop(file);
    let mut bytes = std::fs::read(path).unwrap();
    let at = usize::try_from(page - 1).unwrap() * size;
    bytes[at..at + size].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_sqlite_cannot_read_is_not_called_good() {
    let original = synced();
    let home = original.dir.path().join("home");
    destroy(&home.join("space.db"), "ibgib");
    let bad = exit(&home, &original, &["check", "--local"], 4);
    assert_eq!(bad["error"]["code"], "damaged");
    for one in bad["assertions"].as_array().unwrap() {
        assert_eq!(one["ok"], false, "{one}");
        for problem in one["problems"].as_array().unwrap() {
            let problem = problem.as_str().unwrap();
            assert!(problem.chars().count() <= 301 && !problem.contains('\n'), "{problem}");
        }
    }
    let repaired = exit(&home, &original, &["repair"], 4);
    for told in [bad, repaired] {
        assert_eq!(told["error"]["code"], "damaged", "{told}");
        let hint = told["error"]["hint"].as_str().unwrap();
        for word in ["copy", "setup", "--join", "sync", "put"] {
            assert!(hint.contains(word), "{hint}");
        }
        assert!(!hint.contains("sync-gib repair"), "{hint}");
    }
}
