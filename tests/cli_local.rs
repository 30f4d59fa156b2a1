//! The commands that work on the local space: new, mut8, rel8, get, put, log, graph.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use std::fs;

use cli_common::{Home, bare, error_of, json_of, text_of};
use serde_json::{Value, json};
use sync_gib::ibgib::transform::timeline;
use sync_gib::ibgib::{IbGib, System};

/// A home with one timeline of data; the address of its tip.
fn note(home: &Home) -> String {
    let made = home.cmd(&["new", "--ib", "note", "--data", "-"]);
    let made = { made }.write_stdin(r#"{"title":"a","old":1,"deep":{"x":1,"y":2}}"#).assert();
    text_of(&made.success()).trim().to_owned()
}

fn data(home: &Home, addr: &str) -> Value {
    let line = home.ok(&["get", addr]);
    serde_json::from_str::<Value>(&line).unwrap()["data"].clone()
}

#[test]
fn new_makes_a_closed_timeline_and_prints_its_tip() {
    let home = Home::new();
    let addr = note(&home);
    assert!(addr.starts_with("note^"));
    let data = data(&home, &addr);
    assert_eq!(data["n"], 1);
    assert_eq!(data["title"], "a");
    assert_eq!(data["uuid"].as_str().unwrap().len(), 64);
    let stats = home.json(&["graph", &addr, "--stats"]);
    assert_eq!(stats["frames"], 2);
    assert_eq!(stats["dna"], 2);
}

#[test]
fn equal_stones_are_one() {
    let home = Home::new();
    let file = home.path().join("stone.json");
    fs::write(&file, "{\"color\":\"red\"}").unwrap();
    let args = ["new", "--ib", "tag", "--stone", "--data", file.to_str().unwrap()];
    let first = home.json(&args);
    assert_eq!(home.json(&args)["addr"], first["addr"]);
    assert_eq!(first["tjp"], Value::Null);
    home.cmd(&["mut8", first["addr"].as_str().unwrap(), "--set", "a=1"]).assert().code(1);
    home.cmd(&["log", first["addr"].as_str().unwrap()]).assert().code(1);
}

#[test]
fn new_leaves_nothing_behind_where_its_input_is_bad() {
    let home = Home::new();
    for input in ["[1]", "{", "{\"isTjp\":true}"] {
        let mut command = home.cmd(&["new", "--data", "-"]);
        command.write_stdin(input).assert().code(1);
    }
    home.cmd(&["new", "--ib", "a^b"]).assert().code(2);
    assert!(!home.path().join("space.db").exists());
}

#[test]
fn mut8_goes_on_from_the_tip_whatever_frame_is_named() {
    let home = Home::new();
    let first = note(&home);
    let second = home.ok(&["mut8", &first, "--set", "title=b c", "--set", "deep={\"x\":3}"]);
    let args = ["mut8", &first, "--remove", "old", "--rename", "title=name", "--ib", "note b"];
    let third = home.json(&args);
    assert_eq!(third["prev"], second.as_str());
    assert_eq!(third["n"], 3);
    let data = data(&home, third["addr"].as_str().unwrap());
    assert_eq!(data["name"], "b c");
    assert_eq!(data["deep"], json!({"x": 3, "y": 2}));
    assert_eq!((data.get("old"), data.get("title")), (None, None));
    assert!(third["addr"].as_str().unwrap().starts_with("note b^"));
}

#[test]
fn edits_at_the_same_time_follow_one_another() {
    let home = Home::new();
    let addr = note(&home);
    std::thread::scope(|scope| {
        for key in ["a", "b", "c", "d"] {
            let (home, addr) = (&home, &addr);
            scope.spawn(move || home.ok(&["mut8", addr, "--set", &format!("{key}=1")]));
        }
    });
    let tip = home.json(&["log", &addr])["frames"][0].clone();
    assert_eq!(tip["n"], 5);
    let data = data(&home, tip["addr"].as_str().unwrap());
    assert!(["a", "b", "c", "d"].iter().all(|key| data[key] == 1), "{data}");
}

#[test]
fn mut8_patches_from_standard_input() {
    let home = Home::new();
    let addr = note(&home);
    let mut command = home.cmd(&["mut8", &addr, "--data", "-"]);
    let out = command.write_stdin("{\"deep\":{\"z\":[1.0]}}").assert().success();
    let data = data(&home, text_of(&out).trim());
    assert_eq!(data["deep"], json!({"x": 1, "y": 2, "z": [1]}));
}

#[test]
fn mut8_refuses_what_frames_keep_and_what_is_not_there() {
    let home = Home::new();
    let addr = note(&home);
    for change in [["--set", "n=9"], ["--remove", "timestamp"], ["--rename", "old=isTjp"]] {
        let out = home.cmd(&["mut8", &addr, "--json"]).args(change).assert().code(1);
        assert_eq!(json_of(&out)["error"]["code"], "refused");
    }
    let out = home.cmd(&["mut8", &addr, "--remove", "absent"]).assert().code(1);
    assert!(error_of(&out).contains("absent"));
    home.cmd(&["mut8", &addr]).assert().code(2);
    home.cmd(&["mut8", &addr, "--set", "novalue"]).assert().code(2);
    assert_eq!(home.json(&["log", &addr])["frames"].as_array().unwrap().len(), 2);
}

#[test]
fn rel8_adds_and_removes() {
    let home = Home::new();
    let addr = note(&home);
    let tag = home.ok(&["new", "--ib", "tag", "--stone"]);
    let add = format!("tag={tag}");
    let tip = home.ok(&["rel8", &addr, "--add", &add, "--add", "kind=note^gib"]);
    let ibgib: Value = serde_json::from_str(&home.ok(&["get", &tip])).unwrap();
    assert_eq!(ibgib["rel8ns"]["tag"], json!([tag]));
    assert_eq!(ibgib["rel8ns"]["kind"], json!(["note^gib"]));
    let tip = home.ok(&["rel8", &addr, "--remove", &add]);
    let ibgib: Value = serde_json::from_str(&home.ok(&["get", &tip])).unwrap();
    assert_eq!(ibgib["rel8ns"].get("tag"), None);
    home.cmd(&["rel8", &addr, "--remove", &add]).assert().code(1);
    home.cmd(&["rel8", &addr, "--add", &format!("past={tag}")]).assert().code(1);
    home.cmd(&["rel8", &addr, "--add", &format!("graftbase={tag}")]).assert().code(1);
    let nowhere = format!("tag=tag^{}", "A".repeat(64));
    let out = home.cmd(&["rel8", &addr, "--add", &nowhere, "--json"]).assert().code(1);
    assert_eq!(json_of(&out)["error"]["code"], "not_found");
}

#[test]
fn log_lists_frames_newest_first_and_timelines() {
    let home = Home::new();
    let addr = note(&home);
    let tip = home.ok(&["mut8", &addr, "--set", "a=1"]);
    let lines = home.ok(&["log", &addr]);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].trim().starts_with('2') && lines[0].ends_with(&tip), "{}", lines[0]);
    assert!(lines[1].ends_with(&addr));
    assert_eq!(home.ok(&["log", &addr, "-n", "1"]).lines().count(), 1);
    home.ok(&["new", "--ib", "other"]);
    let all = home.json(&["log"]);
    let tips: Vec<&Value> =
        all["timelines"].as_array().unwrap().iter().map(|t| &t["tip"]).collect();
    assert_eq!(tips.len(), 2);
    assert_eq!(*tips[0], tip.as_str());
    assert_eq!(home.json(&["log", "--saga"])["sagas"], json!([]));
}

#[test]
fn log_lists_sagas_with_their_frames() {
    let home = Home::new();
    let data = json!({"sagaId": "abc", "stage": "init"}).as_object().unwrap().clone();
    let now = sync_gib::ibgib::Moment::now();
    let made = timeline("sync_saga", Some(data), Default::default(), &System::at(now)).unwrap();
    let lines: Vec<String> = made.iter().map(|ibgib| ibgib.to_json()).collect();
    home.cmd(&["put"]).write_stdin(lines.join("\n")).assert().success();
    let addr = made.last().unwrap().addr().unwrap().to_string();
    let sagas = home.json(&["log", "--saga"]);
    assert_eq!(sagas["sagas"][0]["sagaId"], "abc");
    assert_eq!(sagas["sagas"][0]["frames"][0]["stage"], "init");
    assert_eq!(home.json(&["log"])["timelines"], json!([]));
    home.cmd(&["mut8", &addr, "--set", "stage=commit"]).assert().code(1);
}

#[test]
fn an_address_may_be_short_where_only_one_fits() {
    let home = Home::new();
    let addr = note(&home);
    let gib = addr.split_once('^').unwrap().1;
    let whole = home.ok(&["get", &addr]);
    assert_eq!(home.ok(&["get", &gib[..10]]), whole);
    assert_eq!(home.ok(&["get", &gib[..10].to_lowercase()]), whole);
    assert_eq!(home.ok(&["get", &format!("note^{}…", &gib[..8])]), whole);
    home.cmd(&["get", &format!("other^{}", &gib[..8])]).assert().code(1);
    home.cmd(&["get", "12"]).assert().code(1);
    let out = home.cmd(&["get", "X"]).assert().code(1);
    assert!(error_of(&out).contains("has no X"), "{}", error_of(&out));
}

#[test]
fn a_short_address_that_fits_several_is_refused_with_a_list() {
    let home = Home::new();
    let mut by_prefix = std::collections::HashMap::new();
    let mut input = String::new();
    let mut twice = String::new();
    // Enough for two to begin with the same four characters, and always the same ones.
    for i in 0..1000 {
        let stone = IbGib::new("stone".into(), Some(json!({ "i": i })), None).unwrap();
        if by_prefix.insert(stone.gib[..4].to_owned(), i).is_some() {
            twice = stone.gib[..4].to_owned();
        }
        input.push_str(&(stone.to_json() + "\n"));
    }
    { home.cmd(&["put"]) }.write_stdin(input).assert().success();
    let out = home.cmd(&["get", &twice]).assert().code(1);
    assert!(error_of(&out).contains(&format!("\n  stone^{twice}")), "{}", error_of(&out));
    let out = home.cmd(&["get", &twice, "--json"]).assert().code(1);
    assert_eq!(json_of(&out)["error"]["code"], "ambiguous");
}

#[test]
fn addresses_may_come_from_standard_input() {
    let home = Home::new();
    let addr = note(&home);
    let frame = home.ok(&["get", &addr]);
    let out = { home.cmd(&["get", "-"]) }.write_stdin(format!("{addr}\n\n {addr} ")).assert();
    assert_eq!(text_of(&out.success()), format!("{frame}\n{frame}\n"));
    let out = { home.cmd(&["graph", "-"]) }.write_stdin(addr.clone()).assert().success();
    assert!(text_of(&out).starts_with("note^"));
    { home.cmd(&["graph", "-"]) }.write_stdin("").assert().code(1);
    home.cmd(&["mut8", "-", "--data", "-"]).assert().code(2);
}

#[test]
fn a_missing_space_is_named() {
    let home = Home::new();
    for args in [&["log"][..], &["get", "X"], &["graph", "X"], &["mut8", "X", "--set", "a=1"]] {
        let out = home.cmd(args).arg("--json").assert().code(4);
        assert_eq!(json_of(&out)["error"]["code"], "no_space");
    }
    assert!(!home.path().join("space.db").exists());
}

#[test]
fn what_is_no_space_is_refused() {
    let home = Home::new();
    fs::write(home.path().join("space.db"), "not a database, by far not").unwrap();
    let out = home.cmd(&["log", "--json"]).assert().code(4);
    assert_eq!(json_of(&out)["error"]["code"], "damaged");
}

#[test]
fn put_is_all_or_nothing_and_names_line_and_address() {
    let home = Home::new();
    let addr = note(&home);
    let graph = home.ok(&["graph", &addr, "--format", "ndjson"]);
    let other = Home::new();

    let wrong = graph.replace("\"title\":\"a\"", "\"title\":\"b\"");
    let out = other.cmd(&["put"]).write_stdin(wrong).assert().code(1);
    assert!(error_of(&out).contains("line 2: mut8^"), "{}", error_of(&out));

    let lines: Vec<&str> = graph.lines().collect();
    let open = lines[1..].join("\n");
    let out = other.cmd(&["put", "--json"]).write_stdin(open).assert().code(1);
    let error = json_of(&out)["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.starts_with("line ") && error.contains("fork^"), "{error}");

    let failed = |input: Vec<u8>| {
        json_of(&other.cmd(&["put", "--json"]).write_stdin(input).assert().code(1))["line"].clone()
    };
    assert_eq!(failed(graph.replace("\"title\":\"a\"", "\"title\":\"b\"").into()), 2);
    assert_eq!(failed(format!("{graph}\n{{").into()), 5);
    assert_eq!(failed([graph.as_bytes(), b"\n\xff"].concat()), 5);
    // Where no line is to blame the field is there anyway.
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = { bare(&["put", "--json", "--home"]) }.arg(file.path().join("x")).assert().code(4);
    assert_eq!(json_of(&out).get("line"), Some(&Value::Null));

    let out = other.cmd(&["put"]).write_stdin(format!("{graph}\n{{")).assert().code(1);
    assert!(error_of(&out).contains("line 5: "), "{}", error_of(&out));
    other.cmd(&["get", &addr]).assert().code(1);

    let report = { other.cmd(&["put", "--json"]) }.write_stdin(graph.clone()).assert().success();
    assert_eq!((&json_of(&report)["new"], &json_of(&report)["known"]), (&json!(4), &json!(0)));
    let report = { other.cmd(&["put", "--json"]) }.write_stdin(graph).assert().success();
    assert_eq!((&json_of(&report)["new"], &json_of(&report)["known"]), (&json!(0), &json!(4)));
}

#[test]
fn put_refuses_a_second_tip() {
    let home = Home::new();
    let addr = note(&home);
    let graph = home.ok(&["graph", &addr, "--format", "ndjson"]);
    let other = Home::new();
    { other.cmd(&["put"]) }.write_stdin(graph).assert().success();
    home.ok(&["mut8", &addr, "--set", "title=here"]);
    let there = other.ok(&["mut8", &addr, "--set", "title=there"]);
    let graph = other.ok(&["graph", &there, "--format", "ndjson"]);
    let out = { home.cmd(&["put", "--json"]) }.write_stdin(graph).assert().code(1);
    assert_eq!(json_of(&out)["error"]["code"], "refused");
    home.cmd(&["get", &there]).assert().code(1);
}

#[test]
fn a_timeline_that_is_not_counted_can_be_edited() {
    use sync_gib::ibgib::transform::{FirstGen, Opts, first_gen};
    let home = Home::new();
    // The reference counts only where it is asked to.
    let (root, each) = (IbGib::primitive("note"), Opts::new().set("dna", true).build());
    let tjp = Some(json!({"uuid": true, "timestamp": true}));
    let opts = FirstGen { ib: "note", parent: &root, data: None, rel8ns: None, each, tjp };
    let made = first_gen(&opts, &System::new()).unwrap().into_all();
    let lines: String = made.iter().map(|ibgib| ibgib.to_json() + "\n").collect();
    home.cmd(&["put"]).write_stdin(lines).assert().success();
    let tjp = made.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap();
    let edited = home.json(&["mut8", tjp.as_str(), "--set", "a=1"]);
    assert_eq!(edited["n"], 1);
    let other = note(&home);
    let related = home.json(&["rel8", tjp.as_str(), "--add", &format!("see={other}")]);
    assert_eq!((&related["n"], &related["prev"]), (&json!(2), &edited["addr"]));
    let tip = data(&home, related["addr"].as_str().unwrap());
    assert_eq!((&tip["a"], &tip["n"]), (&json!(1), &Value::Null));
    assert_eq!(home.json(&["log", tjp.as_str()])["frames"].as_array().unwrap().len(), 3);
}

#[test]
fn an_empty_file_is_called_damaged_and_setup_finishes_it() {
    let home = Home::new();
    let file = home.path().join("space.db");
    for has_head in [false, true] {
        fs::write(&file, "").unwrap();
        if has_head {
            let empty = rusqlite::Connection::open(&file).unwrap();
            empty.execute_batch("CREATE TABLE a(b); DROP TABLE a").unwrap();
        }
        for args in [&["log"][..], &["get", "X"], &["sync"], &["check", "--local"], &["repair"]] {
            let told = json_of(&home.cmd(args).arg("--json").assert().code(4));
            assert_eq!(told["error"]["code"], "damaged", "{args:?}: {told}");
            assert!(told["error"]["message"].as_str().unwrap().contains("it is empty"), "{told}");
        }
    }
    let secret = home.path().join("secret");
    fs::write(&secret, "9f1c2e7ab04d5586c3e1\n").unwrap();
    let args = ["--raw-secret", "--secret-file", secret.to_str().unwrap()];
    home.ok(&[&["setup"], &args[..]].concat());
    home.ok(&[&["sync"], &args[1..]].concat());

    let identity = home.json(&["log", "I"])["tjp"].as_str().unwrap().to_owned();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(home.path().join(format!("space.db{end}")));
    }
    fs::write(&file, "").unwrap();
    for args in [[&["setup"], &args[..]].concat(), vec!["new"]] {
        let told = json_of(&home.cmd(&args).arg("--json").assert().code(4));
        assert_eq!(told["error"]["code"], "damaged", "{args:?}: {told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(&identity), "{told}");
        assert!(told["error"]["hint"].as_str().unwrap().contains("--join"), "{told}");
    }
    home.ok(&[&["setup", "--join", &identity], &args[1..]].concat());
    home.ok(&[&["sync"], &args[1..]].concat());
    assert!(home.ok(&["get", "X"]).contains("hello"));
}
