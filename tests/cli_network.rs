//! Setup, sync, check and serve as a person and a script run them.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use net_common::*;
use serde_json::Value;

#[test]
fn with_no_server_the_embedded_receiver_takes_its_part() {
    let world = World::new();
    world.ok("a", &["setup"]);
    let again = world.json("a", &["setup"]);
    assert_eq!(again["made"], serde_json::json!({"identity": false, "x": false}));
    let first = world.json("a", &["sync"]);
    assert_eq!(first["sent"]["ibGibs"], 4);
    assert_eq!(first["turns"], 3);
    let second = world.json("a", &["sync"]);
    assert_eq!(second["sent"]["ibGibs"], 0);
    let check = world.ok("a", &["check"]);
    assert!(check.ends_with("ALL PHASE 3B CHECKS PASSED\n"), "{check}");
    assert_eq!(
        world.ok("a", &["graph", "X", "--format", "ndjson"]),
        world.ok("a", &["graph", "X", "--format", "ndjson", "--remote"])
    );
    assert_eq!(
        world.ok("a", &["graph", "X", "--live", "--stats"]),
        world.ok("a", &["graph", "X", "--live", "--stats", "--remote"])
    );
}

#[test]
fn data_that_relates_to_its_identity_goes_to_a_side_that_has_nothing() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("one", &["rel8", "X", "--add", &format!("by={identity}")]);
    world.ok("one", &["sync"]);
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    world.ok("two", &["sync"]);
    let tip = |home: &str| world.ok(home, &["graph", "X", "--format", "ndjson"]);
    assert_eq!(tip("one"), tip("two"));
    world.ok("two", &["check"]);
}

#[test]
fn what_is_no_such_server_is_told_and_nothing_is_made() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: 4\r\n\r\nnone");
        }
    });
    let world = World::new();
    for args in [vec!["setup", "--server", &url], vec!["setup", "--server", &url, "--raw-secret"]] {
        let told = world.fails("a", &args, 3);
        assert!(told.contains("404") && told.contains("is it a sync-gib server?"), "{told}");
        assert!(!world.path("a/space.db").exists());
    }
}

#[test]
fn a_home_that_lost_its_file_does_not_become_another_identity() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let made = world.json("a", &["setup", "--server", &serve.url]);
    let identity = made["identity"].as_str().unwrap();
    world.ok("a", &["sync"]);
    let before = world.ok("a", &["log", "X", "--json"]);
    std::fs::remove_file(world.path("a/space.db")).unwrap();
    for args in [&["setup"][..], &["sync"], &["check"], &["new"], &["log"], &["repair"]] {
        let told = world.fails("a", args, 4);
        assert!(told.contains(&format!("setup --join '{identity}'")), "{args:?}: {told}");
        assert!(!world.path("a/space.db").exists(), "{args:?}");
    }
    world.ok("a", &["setup", "--join", identity]);
    world.ok("a", &["sync"]);
    assert_eq!(world.ok("a", &["log", "X", "--json"]), before);
}

#[test]
fn check_names_what_differs() {
    let world = World::new();
    world.ok("a", &["setup"]);
    world.fails("a", &["check"], 1);
    world.ok("a", &["sync"]);
    let edit = world.json("a", &["mut8", "X", "--set", "more=1"]);
    let failed = world.json("a", &["check"]);
    assert_eq!(failed["ok"], false);
    assert_eq!(failed["exit"], 1);
    let first = &failed["assertions"][0];
    assert_eq!(first["ok"], false);
    assert!(first["problems"][0].as_str().unwrap().contains(edit["addr"].as_str().unwrap()));
    assert_eq!(failed["assertions"][5]["ok"], true, "I is as it was");
    world.ok("a", &["sync"]);
    world.ok("a", &["check"]);
}

#[test]
fn two_devices_of_one_identity_converge() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("one", &["sync"]);
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    let pulled = world.json("two", &["sync"]);
    assert_eq!(pulled["received"]["ibGibs"], 4);
    assert_eq!(pulled["tips"][0]["how"], "pulled");

    world.ok("one", &["mut8", "X", "--set", "left=1"]);
    world.ok("two", &["mut8", "X", "--set", "right=2"]);
    world.ok("two", &["new", "--ib", "beta"]);
    world.ok("one", &["sync"]);
    let merged = world.json("two", &["sync"]);
    assert_eq!(merged["tips"][0]["how"], "merged");
    world.ok("one", &["sync"]);
    let tip = world.ok("one", &["get", "X"]);
    assert_eq!(tip, world.ok("two", &["get", "X"]));
    let tip: Value = serde_json::from_str(&tip).unwrap();
    assert_eq!((&tip["data"]["left"], &tip["data"]["right"]), (&1.into(), &2.into()));
    for home in ["one", "two"] {
        assert_eq!(world.json(home, &["sync"])["sent"]["ibGibs"], 0);
        world.ok(home, &["check"]);
    }
    // Frames after a merge go in one turn like others.
    world.ok("one", &["mut8", "X", "--set", "after=1"]);
    let after = world.json("one", &["sync"]);
    assert_eq!((&after["turns"], &after["sent"]["ibGibs"]), (&1.into(), &2.into()));
    world.ok("one", &["check"]);
}

#[test]
fn devices_that_race_retry_and_do_not_fail() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    world.ok("one", &["sync"]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    world.ok("two", &["sync"]);
    for round in 0..3 {
        std::thread::scope(|scope| {
            for home in ["one", "two"] {
                let world = &world;
                scope.spawn(move || {
                    world.ok(home, &["mut8", "X", "--set", &format!("{home}{round}=1")]);
                    world.ok(home, &["sync"]);
                });
            }
        });
    }
    world.ok("one", &["sync"]);
    world.ok("two", &["sync"]);
    let tip = world.ok("one", &["get", "X"]);
    assert_eq!(tip, world.ok("two", &["get", "X"]));
    let tip: Value = serde_json::from_str(&tip).unwrap();
    for round in 0..3 {
        assert_eq!(tip["data"][format!("one{round}")], 1);
        assert_eq!(tip["data"][format!("two{round}")], 1);
    }
}

/// A home that joined an identity, without the price of stretching its secret.
fn joined(world: &World, home: &str, url: &str, identity: &str) {
    world.ok(home, &["setup", "--server", url, "--join", identity, "--raw-secret"]);
    world.ok(home, &["sync"]);
}

#[test]
fn thirty_two_devices_at_once_all_finish() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("0", &["setup", "--server", &serve.url, "--raw-secret"]);
    world.ok("0", &["sync"]);
    let homes: Vec<String> = (0..32).map(|home| home.to_string()).collect();
    for home in &homes[1..] {
        joined(&world, home, &serve.url, setup["identity"].as_str().unwrap());
    }
    let together = std::sync::Barrier::new(homes.len());
    std::thread::scope(|scope| {
        for home in &homes {
            let (world, together) = (&world, &together);
            scope.spawn(move || {
                world.ok(home, &["mut8", "X", "--set", &format!("d{home}=1")]);
                together.wait();
                world.ok(home, &["sync"]);
            });
        }
    });
    world.ok("0", &["sync"]);
    let tip: Value = serde_json::from_str(&world.ok("0", &["get", "X"])).unwrap();
    for home in &homes {
        assert_eq!(tip["data"][format!("d{home}")], 1, "{home}");
    }
}

#[test]
fn a_busy_server_is_told_as_busy_and_shows_no_path() {
    let world = World::new();
    let path = world.path("server.db");
    let serve = Serve::start(&path, "127.0.0.1:0", &[]);
    world.ok("a", &["setup", "--server", &serve.url, "--raw-secret"]);
    let writing = rusqlite::Connection::open(&path).unwrap();
    writing.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = world.fails("a", &["sync", "--retry-for", "0"], 3);
    assert!(told.contains("is busy"), "{told}");
    assert!(!told.contains("server.db"), "{told}");
    writing.execute_batch("ROLLBACK").unwrap();
    world.ok("a", &["sync"]);
}

#[test]
fn a_setup_that_could_not_register_is_finished_by_a_rerun() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let url = serve.url.clone();
    assert_eq!(serve.signal("-TERM"), Some(0));
    let message = world.fails("a", &["setup", "--server", &url], 3);
    assert!(message.contains("run `sync-gib setup` again"), "{message}");
    world.fails("a", &["sync"], 3);
    let listen = url.strip_prefix("http://").unwrap();
    let serve = Serve::start(&world.path("server.db"), listen, &[]);
    let done = world.json("a", &["setup"]);
    assert_eq!(done["made"]["identity"], false);
    assert_eq!(done["registered"], true);
    world.ok("a", &["sync"]);
    assert_eq!(serve.signal("-INT"), Some(0));
}

#[test]
fn a_wrong_secret_is_refused_and_shown_nowhere() {
    let world = World::new();
    world.ok("a", &["setup"]);
    std::fs::write(world.secret(), "another one").unwrap();
    let message = world.fails("a", &["sync"], 5);
    assert!(message.contains("secret"), "{message}");
    assert!(!message.contains("another one"));
    std::fs::write(world.secret(), "").unwrap();
    world.fails("a", &["sync"], 5);
}

#[test]
fn a_joining_device_proves_the_secret() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    world.ok("one", &["sync"]);
    std::fs::write(world.secret(), "guess").unwrap();
    let identity = setup["identity"].as_str().unwrap();
    world.fails("two", &["setup", "--server", &serve.url, "--join", identity], 5);
    assert_eq!(world.run("two", &["get", "I"]).status.code(), Some(1), "nothing was joined");
}

#[test]
fn a_revoked_identity_signs_nothing_any_more_anywhere() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    world.ok("one", &["sync"]);
    world.fails("two", &["keystone", "revoke"], 2);
    let revoked = world.run("two", &["keystone", "revoke", "--reason", "lost", "--yes"]);
    assert!(revoked.status.success(), "{revoked:?}");
    let told = String::from_utf8(revoked.stderr).unwrap();
    assert!(told.contains("only the server has cannot be read afterwards"), "{told}");
    for home in ["one", "two"] {
        let message = world.fails(home, &["sync"], 5);
        assert!(message.contains("revoked"), "{message}");
        assert!(message.contains("a new identity can take it over"), "{message}");
    }
    world.fails("two", &["keystone", "revoke", "--yes"], 5);
    let tip: Value = serde_json::from_str(&world.ok("one", &["get", "I"])).unwrap();
    assert_eq!(tip["data"]["revocationInfo"]["reason"], "lost");
}

#[test]
fn a_trace_holds_every_message_and_no_secret() {
    let world = World::new();
    world.ok("a", &["setup"]);
    let trace = world.path("trace.ndjson");
    world.ok("a", &["sync", "--trace", trace.to_str().unwrap()]);
    let text = std::fs::read_to_string(trace).unwrap();
    let types: Vec<String> = text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let way = line["way"].as_str().unwrap().to_owned();
            format!("{way} {}", line["message"]["type"].as_str().unwrap())
        })
        .collect();
    let begins = ["out hello", "in auth_challenge", "out auth_proof", "out sync_frame_request"];
    assert_eq!(types[..4], begins, "the first turn does not wait");
    assert_eq!(types[4], "in auth_ok");
    assert_eq!(types.iter().filter(|kind| *kind == "out sync_frame_request").count(), 3);
    assert_eq!(types.last().unwrap(), "in sync_frame_response");
    let token = std::fs::read_to_string(world.path("a/token.json")).unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    assert!(!text.contains(token["token"]["value"].as_str().unwrap()));
    assert!(!text.contains("correct horse"));
}

#[test]
fn a_dry_run_and_the_one_way_syncs_do_what_they_say() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    let plan = world.json("one", &["sync", "--dry-run"]);
    assert_eq!(plan["plan"][0]["how"], "push");
    assert_eq!(world.json("one", &["sync", "--pull-only"])["left"].as_array().unwrap().len(), 1);
    assert_eq!(world.json("one", &["sync", "--push-only"])["sent"]["ibGibs"], 4);

    let identity = setup["identity"].as_str().unwrap();
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    assert_eq!(world.json("two", &["sync", "--push-only"])["received"]["ibGibs"], 0);
    assert_eq!(world.json("two", &["sync", "--pull-only"])["received"]["ibGibs"], 4);

    world.ok("one", &["mut8", "X", "--set", "a=1"]);
    world.ok("two", &["mut8", "X", "--set", "b=1"]);
    world.ok("one", &["sync"]);
    world.fails("two", &["sync", "--push-only"], 1);
    assert_eq!(world.json("two", &["sync", "--pull-only"])["tips"][0]["how"], "merged");
    assert_eq!(world.json("two", &["sync"])["tips"][0]["how"], "pushed");
    world.ok("one", &["sync"]);
    assert_eq!(world.ok("one", &["get", "X"]), world.ok("two", &["get", "X"]));
}

#[test]
fn an_address_that_is_only_on_the_server_can_be_synced() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    let other = world.json("one", &["new", "--ib", "other", "--data", "-"]);
    assert_eq!(other["ok"], false, "standard input is empty");
    let other = world.json("one", &["new", "--ib", "other"]);
    world.ok("one", &["sync"]);
    let identity = setup["identity"].as_str().unwrap();
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    let tjp = other["tjp"].as_str().unwrap();
    let pulled = world.json("two", &["sync", tjp]);
    assert_eq!(pulled["tips"].as_array().unwrap().len(), 1);
    assert_eq!(pulled["tips"][0]["tjp"], tjp);
    world.ok("two", &["get", tjp]);
}

#[test]
fn a_closed_server_takes_only_those_on_its_list() {
    let world = World::new();
    let allow = world.path("allow");
    std::fs::write(&allow, "# nobody yet\n").unwrap();
    let more = ["--registration", "closed", "--allow-file", allow.to_str().unwrap()];
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &more);
    let message = world.fails("a", &["setup", "--server", &serve.url], 5);
    assert!(message.contains("list"), "{message}");
    let identity: Value = serde_json::from_str(&world.ok("a", &["get", "I"])).unwrap();
    std::fs::write(&allow, format!("keystone^{}\n", identity["gib"].as_str().unwrap())).unwrap();
    drop(serve);
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &more);
    world.ok("a", &["setup", "--server", &serve.url]);
    world.ok("a", &["sync"]);
}

#[cfg(unix)]
#[test]
fn a_secret_comes_by_descriptor_and_by_standard_input() {
    let world = World::new();
    let (home, secret) = (world.path("a"), world.secret());
    let shell = |script: &str| {
        let status = Command::new("sh")
            .args(["-c", script, BIN])
            .args([home.as_os_str(), secret.as_os_str()])
            .status();
        assert!(status.unwrap().success(), "{script}");
    };
    shell(r#""$0" --home "$1" setup --secret-fd 3 3<"$2" >/dev/null 2>&1"#);
    shell(r#""$0" --home "$1" sync --secret-file - <"$2" >/dev/null"#);
}

#[test]
fn a_home_that_joins_needs_a_server_and_gets_its_x_by_a_sync() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("one", &["setup", "--server", &serve.url]);
    world.ok("one", &["sync"]);
    let identity = setup["identity"].as_str().unwrap();
    let message = world.fails("two", &["setup", "--join", identity], 2);
    assert!(message.contains("--server"), "{message}");
    assert!(!world.path("two").join("space.db").exists(), "nothing was made");
    world.ok("two", &["setup", "--server", &serve.url, "--join", identity]);
    let message = world.fails("two", &["get", "X"], 1);
    assert!(message.contains("`sync-gib sync`"), "{message}");
    world.ok("two", &["sync"]);
    world.ok("two", &["get", "X"]);
}

#[test]
fn a_lost_configuration_leads_to_no_embedded_receiver() {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    world.ok("a", &["setup", "--server", &serve.url]);
    world.ok("a", &["sync"]);
    let (config, token) = (world.path("a/config.json"), world.path("a/token.json"));
    let known = std::fs::read(&token).unwrap();
    for has_token in [true, false] {
        std::fs::remove_file(&config).unwrap();
        if !has_token {
            std::fs::remove_file(&token).unwrap();
        }
        for args in [&["sync"][..], &["check"], &["setup"]] {
            let told = world.fails_as("a", args, "damaged", 4);
            let message = told["error"]["message"].as_str().unwrap();
            assert!(message.contains("config.json is missing"), "{message}");
            assert_eq!(message.contains(&serve.url), has_token, "{message}");
            let hint = told["error"]["hint"].as_str().unwrap();
            assert!(hint.contains("setup --server"), "{hint}");
            assert_eq!(hint.contains(&serve.url), has_token, "{hint}");
        }
        assert!(!world.path("a/receiver.db").exists() && !config.exists());
        world.ok("a", &["setup", "--server", &serve.url]);
        world.ok("a", &["sync"]);
    }
    // A token of a server counts more than a receiver that was used before.
    std::fs::write(&token, known).unwrap();
    std::fs::remove_file(&config).unwrap();
    std::fs::write(world.path("a/receiver.db"), "").unwrap();
    world.fails_as("a", &["sync"], "damaged", 4);
    std::fs::write(&config, "{").unwrap();
    let told = world.fails_as("a", &["setup"], "damaged", 4);
    assert!(told["error"]["hint"].as_str().unwrap().contains("--server URL"), "{told}");

    // A home with an embedded receiver goes on.
    world.ok("b", &["setup"]);
    world.ok("b", &["sync"]);
    std::fs::remove_file(world.path("b/config.json")).unwrap();
    world.ok("b", &["sync"]);
    world.ok("b", &["check"]);
}
