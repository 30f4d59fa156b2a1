//! Edits that change nothing, and bringing back what was.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use cli_common::*;
use serde_json::{Value, json};

fn start(home: &Home) -> String {
    let mut new = home.cmd(&["new", "--ib", "note", "--data", "-"]);
    let data = json!({"title": "a", "deep": {"x": 1, "y": [1, 2]}, "old": null});
    let out = new.write_stdin(data.to_string()).assert().success();
    text_of(&out).trim().to_owned()
}

/// A frame as it is, without what the frames keep themselves.
fn content(home: &Home, addr: &str) -> Value {
    let mut frame: Value = serde_json::from_str(&home.ok(&["get", addr])).unwrap();
    for key in ["n", "isTjp", "timestamp", "timestampMs", "uuid"] {
        frame["data"].as_object_mut().unwrap().remove(key);
    }
    let rel8ns = frame["rel8ns"].as_object_mut().unwrap();
    for name in ["past", "dna", "tjp", "ancestor"] {
        rel8ns.remove(name);
    }
    rel8ns.retain(|_, list| list != &json!([]));
    json!([frame["ib"], frame["data"], frame["rel8ns"]])
}

#[test]
fn an_edit_that_changes_nothing_makes_no_frame_unless_it_is_forced() {
    let home = Home::new();
    let tip = start(&home);
    let other = home.ok(&["new", "--ib", "other"]);
    let related = home.ok(&["rel8", &tip, "--add", &format!("see={other}")]);
    for args in [
        &["mut8", &tip, "--set", "title=a"][..],
        &["mut8", &tip, "--set", r#"deep={"y":[1,2]}"#, "--ib", "note"],
        &["rel8", &tip, "--add", &format!("see={other}")],
    ] {
        let unchanged = home.json(args);
        assert_eq!(unchanged["changed"], false, "{args:?}");
        assert_eq!(unchanged["addr"], related.as_str());
        assert_eq!(unchanged["n"], 2);
        let out = home.cmd(args).assert().success();
        assert_eq!(text_of(&out).trim(), related);
        assert!(error_of(&out).contains("nothing changed"));
    }
    let forced = home.json(&["mut8", &tip, "--set", "title=a", "--force"]);
    assert_eq!((&forced["changed"], &forced["n"]), (&json!(true), &json!(3)));
    let changed = home.json(&["mut8", &tip, "--set", "title=b"]);
    assert_eq!((&changed["changed"], &changed["prev"]), (&json!(true), &forced["addr"]));
}

#[test]
fn a_frame_is_restored_whole() {
    let home = Home::new();
    let first = start(&home);
    let other = home.ok(&["new", "--ib", "other"]);
    let second = home.ok(&["rel8", &first, "--add", &format!("see={other}")]);
    home.ok(&[
        "mut8",
        &first,
        "--set",
        r#"deep={"x":{"z":1}}"#,
        "--set",
        "new=1",
        "--remove",
        "old",
    ]);
    home.ok(&["mut8", &first, "--ib", "note b", "--rename", "title=name", "--remove", "deep"]);
    let restored = home.json(&["restore", &second]);
    assert_eq!(restored["changed"], true);
    let tip = restored["addr"].as_str().unwrap().to_owned();
    assert_eq!(content(&home, &tip), content(&home, &second));
    // The first frame has no relation: data and relations are set by a frame each, at once.
    home.ok(&["mut8", &first, "--set", "title=z"]);
    let before = home.json(&["log", &first])["frames"].as_array().unwrap().len();
    let restored = home.json(&["restore", &first]);
    let tip = restored["addr"].as_str().unwrap();
    assert_eq!(content(&home, tip), content(&home, &first));
    assert_eq!(home.json(&["log", &first])["frames"].as_array().unwrap().len(), before + 2);
    let again = home.json(&["restore", &first]);
    assert_eq!((&again["changed"], &again["addr"]), (&json!(false), &restored["addr"]));
}

#[test]
fn a_field_is_restored_alone() {
    let home = Home::new();
    let first = start(&home);
    home.ok(&[
        "mut8",
        &first,
        "--set",
        "title=b",
        "--set",
        r#"deep={"x":2,"w":1}"#,
        "--set",
        "n2=1",
    ]);
    let tip = home.ok(&["restore", &first, "--field", "deep.x"]);
    assert_eq!(content(&home, &tip)[1]["deep"], json!({"x": 1, "y": [1, 2], "w": 1}));
    assert_eq!(content(&home, &tip)[1]["title"], "b");
    let tip = home.ok(&["restore", &first, "--field", "n2"]);
    assert_eq!(content(&home, &tip)[1].get("n2"), None);
    home.cmd(&["restore", &first, "--field", "a..b"]).assert().code(2);
    home.cmd(&["restore", &first, "--field", "title.x.y"]).assert().code(1);
    home.cmd(&["restore", "0000000000"]).assert().code(1);
    let stone = home.ok(&["new", "--ib", "s", "--stone"]);
    home.cmd(&["restore", &stone]).assert().code(1);
}

#[test]
fn a_key_is_not_renamed_onto_one_that_stays() {
    let home = Home::new();
    let first = start(&home);
    let out = home.cmd(&["mut8", &first, "--rename", "title=deep"]).assert().code(1);
    assert!(error_of(&out).contains("has data.deep already"));
    home.ok(&["mut8", &first, "--rename", "title=deep", "--rename", "deep=down"]);
    home.cmd(&["restore", &first, "--field", "nosuch"]).assert().code(1);
}

#[test]
fn the_ib_and_a_relation_are_restored_alone() {
    let home = Home::new();
    let first = start(&home);
    let other = home.ok(&["new", "--ib", "other"]);
    let more = home.ok(&["new", "--ib", "more"]);
    let related = home.ok(&["rel8", &first, "--add", &format!("see={other}")]);
    home.ok(&["rel8", &first, "--add", &format!("see={more}"), "--add", &format!("too={more}")]);
    home.ok(&["mut8", &first, "--ib", "note b", "--set", "title=b"]);
    let tip = home.ok(&["restore", &first, "--field", "^ib"]);
    let [ib, data, rel8ns] = [0, 1, 2].map(|at| content(&home, &tip)[at].clone());
    assert_eq!((&ib, &data["title"]), (&json!("note"), &json!("b")));
    assert_eq!(rel8ns, json!({"see": [other, more], "too": [more]}));
    let tip = home.ok(&["restore", &related, "--field", "^rel8ns.see"]);
    assert_eq!(content(&home, &tip)[2], json!({"see": [other], "too": [more]}));
    let tip = home.ok(&["restore", &first, "--field", "^rel8ns.too"]);
    assert_eq!(content(&home, &tip)[2], json!({"see": [other]}));
    assert_eq!(content(&home, &tip)[1]["title"], "b");
}

#[test]
fn what_the_frames_keep_themselves_is_no_field_to_restore() {
    let home = Home::new();
    let first = start(&home);
    home.ok(&["mut8", &first, "--set", "title=b"]);
    let tip = home.json(&["log", &first])["frames"][0]["addr"].clone();
    let kept = ["n", "isTjp", "timestamp", "timestampMs", "^rel8ns.past", "^rel8ns.graftinfo"];
    for frame in [&first, tip.as_str().unwrap()] {
        for field in kept {
            let out = home.cmd(&["restore", frame, "--field", field]).assert().code(1);
            let error = error_of(&out);
            assert!(error.contains(&format!("{field} is kept by the frames")), "{field}: {error}");
            assert!(error.contains("hint: "), "{field}: {error}");
        }
    }
    assert_eq!(home.json(&["log", &first])["frames"][0]["addr"], tip);
}
