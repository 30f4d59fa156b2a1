//! What merges did, as `merge show` and `conflicts` tell it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use net_common::*;
use serde_json::{Value, json};

/// Two homes that share X, {title, note, people}, and a server.
fn two_homes() -> (World, Serve) {
    let world = World::new();
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
    let setup = world.json("laptop", &["setup", "--server", &serve.url]);
    let identity = setup["identity"].as_str().unwrap().to_owned();
    world.ok("laptop", &["mut8", "X", "--set", "title=a", "--set", "note=n"]);
    world.ok("laptop", &["mut8", "X", "--set", r#"people=[{"id":"a","name":"Ada"},{"id":"b"}]"#]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["setup", "--server", &serve.url, "--join", &identity]);
    world.ok("desktop", &["sync"]);
    (world, serve)
}

fn conflicts(world: &World, home: &str) -> Vec<Value> {
    world.json(home, &["conflicts", "X"])["conflicts"].as_array().unwrap().clone()
}

/// Both set the title and Ada's name; the desktop's edit is the newer one and is merged last.
/// Gives the laptop's edit, and the merge.
fn diverge(world: &World) -> (String, String) {
    let name = |name: &str| format!(r#"people=[{{"id":"a","name":"{name}"}},{{"id":"b"}}]"#);
    let laptop = ["mut8", "X", "--set", "title=LAPTOP", "--set", &name("Adele"), "--set", "left=1"];
    let laptop = world.json("laptop", &laptop)["addr"].as_str().unwrap().to_owned();
    world.ok("desktop", &["mut8", "X", "--set", "title=DESKTOP", "--set", &name("Adam")]);
    world.ok("laptop", &["sync"]);
    let merged = world.json("desktop", &["sync"])["tips"][0]["to"].as_str().unwrap().to_owned();
    world.ok("laptop", &["sync"]);
    (laptop, merged)
}

#[test]
fn a_merge_is_shown_field_by_field() {
    let (world, _serve) = two_homes();
    let (laptop, merged) = diverge(&world);
    for home in ["laptop", "desktop"] {
        let shown = world.json(home, &["merge", "show", &merged]);
        assert_eq!(shown["kept"], laptop.as_str());
        let fields = shown["fields"].as_array().unwrap();
        let of = |path: &str| fields.iter().find(|field| field["path"] == path).unwrap().clone();
        assert_eq!(
            of("title"),
            json!({"path": "title", "common": "a", "kept": "LAPTOP", "replayed": "DESKTOP",
                   "result": "DESKTOP", "winner": "replayed"})
        );
        assert_eq!(of("left"), json!({"path": "left", "kept": 1, "result": 1}));
        assert_eq!(of(r#"people[id="a"].name"#)["kept"], "Adele");
        assert_eq!(of("people")["result"], json!([{"id": "a", "name": "Adam"}, {"id": "b"}]));
        assert!(fields.iter().all(|field| field["path"] != "note"));
        let text = world.ok(home, &["merge", "show", &merged]);
        assert!(
            text.contains("title\n  common    \"a\"\n  kept      \"LAPTOP\"  (gave way)\n"),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_merge_is_refused_and_the_newest_merge_is_named() {
    let (world, _serve) = two_homes();
    let failed = world.fails("laptop", &["merge", "show", "X"], 1);
    assert!(failed.contains("is no merge"), "{failed}");
    let (_, merged) = diverge(&world);
    world.ok("laptop", &["mut8", "X", "--set", "more=1"]);
    let failed = world.fails("laptop", &["merge", "show", "X"], 1);
    assert!(failed.contains(&merged), "{failed}");
    world.fails("laptop", &["merge", "show", "0000000000"], 1);
}

#[test]
fn conflicts_lists_what_gave_way_until_it_is_set_again() {
    let (world, _serve) = two_homes();
    assert!(conflicts(&world, "laptop").is_empty());
    let (laptop, merged) = diverge(&world);
    for home in ["laptop", "desktop"] {
        let listed = conflicts(&world, home);
        let paths: Vec<&Value> = listed.iter().map(|conflict| &conflict["path"]).collect();
        assert_eq!(paths, [r#"people[id="a"].name"#, "title"]);
        assert_eq!(listed[1]["kept"], "LAPTOP");
        assert_eq!(listed[1]["merge"], merged.as_str());
        assert_eq!(listed[1]["restore"], json!({"addr": laptop, "field": "title"}));
        let text = world.ok(home, &["conflicts"]);
        let line = "title: \"LAPTOP\" (n 4) gave way to \"DESKTOP\" (n 4) in the merge n 6 ";
        assert!(text.contains(line), "{text}");
    }
    world.ok("laptop", &["mut8", "X", "--set", "title=BOTH"]);
    assert_eq!(conflicts(&world, "laptop").len(), 1);
    assert_eq!(conflicts(&world, "desktop").len(), 2);
    world.ok("laptop", &["mut8", "X", "--set", "unrelated=1"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    assert_eq!(conflicts(&world, "desktop")[0]["path"], r#"people[id="a"].name"#);
    assert!(world.json("desktop", &["conflicts"])["conflicts"].as_array().unwrap().len() == 1);
}
