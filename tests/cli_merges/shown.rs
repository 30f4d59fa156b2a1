//! What `merge show`, `conflicts` and `log` tell of merges.

use serde_json::{Value, json};

use super::*;

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
    assert!(failed.contains("is not a merge"), "{failed}");
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

#[test]
fn a_loser_of_three_devices_is_listed_until_somebody_who_saw_it_sets_it() {
    let (world, serve) = two_homes();
    let identity = world.json("laptop", &["setup"])["identity"].as_str().unwrap().to_owned();
    world.ok("third", &["setup", "--server", &serve.url, "--join", &identity]);
    world.ok("third", &["sync"]);
    for (home, title) in [("laptop", "L"), ("desktop", "D"), ("third", "C")] {
        world.ok(home, &["mut8", "X", "--set", &format!("title={title}")]);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for home in ["laptop", "desktop", "third", "laptop", "desktop"] {
        world.ok(home, &["sync"]);
    }
    assert_eq!(conflicts(&world, "laptop").len(), 2);
    // Set on one device while another edits, so that the setting is replayed by a merge.
    world.ok("desktop", &["mut8", "X", "--set", "title=seen"]);
    world.ok("laptop", &["mut8", "X", "--set", "note=other"]);
    for home in ["laptop", "desktop", "laptop"] {
        world.ok(home, &["sync"]);
    }
    assert!(conflicts(&world, "laptop").is_empty());
}

#[test]
fn the_log_marks_each_of_several_merges_however_few_frames_it_lists() {
    let (world, _serve) = two_homes();
    for round in 0..2 {
        for edit in 0..2 {
            let set = format!("d{round}{edit}=1");
            world.ok("desktop", &["mut8", "X", "--set", &set]);
        }
        world.ok("laptop", &["mut8", "X", "--set", &format!("l{round}=1")]);
        for home in ["laptop", "desktop", "laptop"] {
            world.ok(home, &["sync"]);
        }
    }
    world.ok("laptop", &["mut8", "X", "--set", "more=1"]);
    let log = |more: &[&str]| -> Vec<String> {
        let log = world.json("laptop", &[&["log", "X"], more].concat());
        let frames = log["frames"].as_array().unwrap().iter();
        let mark = |frame: &Value| match (&frame["merge"], &frame["replayed"]) {
            (Value::Null, Value::Null) => "",
            (Value::Bool(true), Value::Null) => " merge",
            (Value::Null, Value::Bool(true)) => " replayed",
            _ => panic!("{frame}"),
        };
        frames.map(|frame| format!("{}{}", frame["n"], mark(frame))).collect()
    };
    let all = [
        "12",
        "11 merge",
        "10 replayed",
        "9 replayed",
        "8",
        "7 merge",
        "6 replayed",
        "5 replayed",
        "4",
        "3",
        "2",
        "1",
        "0",
    ];
    assert_eq!(log(&[]), all);
    for limit in 0..=all.len() {
        assert_eq!(log(&["--limit", &limit.to_string()]), all[..limit]);
    }
    assert_eq!(log(&["--merges"]), ["11 merge", "7 merge"]);
    assert_eq!(log(&["--merges", "--limit", "1"]), ["11 merge"]);
}

#[test]
fn the_log_marks_merges_and_what_they_replayed() {
    let (world, _serve) = two_homes();
    let (_, merged) = diverge(&world);
    world.ok("laptop", &["mut8", "X", "--set", "more=1"]);
    let log = world.json("laptop", &["log", "X"]);
    let frames = log["frames"].as_array().unwrap();
    let marks = |mark: &str| -> Vec<u64> {
        let marked = frames.iter().filter(|frame| frame[mark] == true);
        marked.map(|frame| frame["n"].as_u64().unwrap()).collect()
    };
    assert_eq!((marks("merge"), marks("replayed")), (vec![6], vec![5]));
    let merges = world.json("laptop", &["log", "X", "--merges", "--limit", "1"]);
    assert_eq!(merges["frames"].as_array().unwrap().len(), 1);
    assert_eq!(merges["frames"][0]["addr"], merged.as_str());
    let text = world.ok("laptop", &["log", "X"]);
    assert!(text.contains("  (merge)\n") && text.contains("  (replayed)\n"), "{text}");
    assert_eq!(world.json("laptop", &["log", "X", "--limit", "0"])["frames"], json!([]));
}
