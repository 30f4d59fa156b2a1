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

#[test]
fn a_sync_tells_what_gave_way_where_it_merges_and_where_the_merge_is_pulled() {
    let (world, _serve) = two_homes();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    let desktop = world.json("desktop", &["mut8", "X", "--set", "title=DESKTOP"]);
    assert_eq!(world.json("laptop", &["sync"])["tips"][0]["overwritten"], json!([]));
    let failed = world.run("desktop", &["sync", "--fail-on-conflict", "--json"]);
    assert_eq!(failed.status.code(), Some(1));
    let failed: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&failed["ok"], &failed["exit"]), (&json!(false), &json!(1)));
    let [lost] = &failed["tips"][0]["overwritten"].as_array().unwrap()[..] else {
        panic!("{failed}")
    };
    assert_eq!(lost["path"], "title");
    assert_eq!((&lost["kept"], &lost["replayed"]), (&json!("LAPTOP"), &json!("DESKTOP")));
    assert_eq!((&lost["winner"], &lost["replayedFrame"]), (&json!("replayed"), &desktop["addr"]));
    assert!(failed["error"]["hint"].as_str().unwrap().contains("sync-gib conflicts"));
    // All is stored, and the next sync has nothing to tell.
    assert_eq!(world.json("desktop", &["sync", "--fail-on-conflict"])["tips"], json!([]));
    let text = world.run("laptop", &["sync", "--fail-on-conflict"]);
    assert_eq!(text.status.code(), Some(1));
    let text = String::from_utf8(text.stdout).unwrap();
    let line = "\n  title: \"LAPTOP\" (n 4, ";
    assert!(text.starts_with("pulled x^") && text.contains(line), "{text}");
    assert!(text.contains("Z) gave way to \"DESKTOP\" (n 4, "), "{text}");
    assert_eq!(world.ok("laptop", &["get", "X"]), world.ok("desktop", &["get", "X"]));
}

#[test]
fn a_device_that_joins_is_not_told_of_old_merges() {
    let (world, serve) = two_homes();
    diverge(&world);
    let identity = world.json("laptop", &["setup"])["identity"].as_str().unwrap().to_owned();
    world.ok("third", &["setup", "--server", &serve.url, "--join", &identity]);
    let pulled = world.json("third", &["sync", "--fail-on-conflict"]);
    assert_eq!(pulled["tips"][0]["overwritten"], json!([]));
    assert_eq!(conflicts(&world, "third").len(), 2);
}

#[test]
fn a_push_alone_sends_what_has_not_diverged_and_names_what_has() {
    let (world, _serve) = two_homes();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["mut8", "X", "--set", "title=DESKTOP"]);
    let note = world.ok("desktop", &["new", "--ib", "note"]);
    let plan = world.json("desktop", &["sync", "--push-only", "--dry-run"]);
    assert_eq!(plan["diverged"].as_array().unwrap().len(), 1);
    let failed = world.fails_as("desktop", &["sync", "--push-only"], "refused", 1);
    let x = world.json("laptop", &["log", "X"])["tjp"].clone();
    assert_eq!(failed["diverged"], json!([x]));
    assert_eq!(failed["tips"][0]["how"], "pushed");
    assert!(failed["error"]["message"].as_str().unwrap().contains(x.as_str().unwrap()));
    world.ok("laptop", &["sync"]);
    world.ok("laptop", &["get", note.trim()]);
    assert_eq!(world.json("desktop", &["sync"])["tips"][0]["how"], "merged");
}

/// A frame of X whose time is given, put as another program would put it.
fn put_at(world: &World, home: &str, ms: u64, patch: Value) {
    use sync_gib::ibgib::transform::{Kind, Opts, transform};
    use sync_gib::ibgib::{IbGib, Moment};
    let tip = IbGib::from_json(world.ok(home, &["get", "X"]).trim()).unwrap();
    let opts = Opts::next_frame_on(&tip).set("dataToAddOrPatch", patch).build();
    let made = transform(Kind::Mut8, &tip, &opts, Moment::from_ms(ms).unwrap()).unwrap();
    let lines: Vec<String> = made.into_all().iter().map(IbGib::to_json).collect();
    let file = world.path("frames.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut put = world.command(home, &["put"]);
    assert!(put.stdin(std::fs::File::open(&file).unwrap()).status().unwrap().success());
}

#[test]
fn a_clock_that_is_ahead_is_named() {
    let (world, _serve) = two_homes();
    let now = sync_gib::ibgib::Moment::now().ms();
    put_at(&world, "desktop", now + 3 * 3_600_000, json!({"title": "tomorrow"}));
    world.ok("desktop", &["mut8", "X", "--set", "note=today"]);
    world.ok("laptop", &["mut8", "X", "--set", "title=now"]);
    world.ok("laptop", &["sync"]);
    let merged = world.json("desktop", &["sync"]);
    let [ahead] = &merged["ahead"].as_array().unwrap()[..] else { panic!("{merged}") };
    let seconds = ahead["aheadSeconds"].as_u64().unwrap();
    assert!((10_700..=10_800).contains(&seconds), "{ahead}");
    assert_eq!(merged["tips"][0]["overwritten"][0]["winner"], "replayed");
    let pulled = world.run("laptop", &["sync"]);
    let warned = String::from_utf8(pulled.stderr).unwrap();
    assert!(warned.contains("2 hours ahead") || warned.contains("179 minutes ahead"), "{warned}");
    assert_eq!(world.json("laptop", &["sync"])["ahead"], json!([]));
}

#[test]
fn a_value_that_gave_way_is_brought_back_on_both_devices() {
    let (world, _serve) = two_homes();
    let (laptop, _) = diverge(&world);
    let listed = conflicts(&world, "desktop");
    for conflict in &listed {
        let restore = &conflict["restore"];
        let (addr, field) = (restore["addr"].as_str().unwrap(), restore["field"].as_str().unwrap());
        assert_eq!(addr, laptop);
        world.ok("desktop", &["restore", addr, "--field", field]);
    }
    assert!(conflicts(&world, "desktop").is_empty());
    world.ok("desktop", &["sync"]);
    world.ok("laptop", &["sync"]);
    let data: Value = serde_json::from_str(&world.ok("laptop", &["get", "X"])).unwrap();
    assert_eq!(data["data"]["title"], "LAPTOP");
    assert_eq!(data["data"]["people"], json!([{"id": "a", "name": "Adele"}, {"id": "b"}]));
    assert!(conflicts(&world, "laptop").is_empty());
}

#[test]
fn an_edit_that_gave_way_when_it_was_replayed_is_brought_back_on_the_other_device() {
    let (world, _serve) = two_homes();
    let desktop = world.json("desktop", &["mut8", "X", "--set", "title=DESKTOP"])["addr"].clone();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    world.ok("laptop", &["sync"]);
    let [lost] = &conflicts(&world, "laptop")[..] else { panic!("not one conflict") };
    assert_eq!((&lost["winner"], &lost["replayedFrame"]), (&json!("kept"), &desktop));
    let addr = lost["restore"]["addr"].as_str().unwrap();
    assert_eq!(addr, desktop);
    world.ok("laptop", &["restore", addr, "--field", "title"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    for home in ["laptop", "desktop"] {
        let frame: Value = serde_json::from_str(&world.ok(home, &["get", "X"])).unwrap();
        assert_eq!(frame["data"]["title"], "DESKTOP", "{home}");
        assert!(conflicts(&world, home).is_empty(), "{home}");
    }
}

#[test]
fn frames_of_identities_and_sagas_are_not_restored() {
    let (world, _serve) = two_homes();
    let sagas = world.json("laptop", &["log", "--saga"])["sagas"].clone();
    let saga = sagas[0]["frames"].as_array().unwrap().last().unwrap()["addr"].clone();
    for (addr, what) in [("I", "an identity"), (saga.as_str().unwrap(), "a saga")] {
        for args in [&["restore", addr][..], &["restore", addr, "--field", "a"]] {
            let failed = world.fails("laptop", args, 1);
            assert!(failed.contains(&format!("is a frame of {what}")), "{failed}");
        }
    }
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

/// A timeline without `data.n`, as another program may make one, put into a home; gives its tip.
fn uncounted(world: &World, home: &str, more: &[Value]) -> String {
    use sync_gib::ibgib::transform::{Kind, Opts, transform};
    use sync_gib::ibgib::{IbGib, Moment};
    let now = Moment::from_ms(1_781_262_000_000).unwrap();
    let fork = Opts::new().set("destIb", "doc").set("tjp", json!({"timestamp": true})).build();
    let mut all = vec![transform(Kind::Fork, &IbGib::primitive("ib"), &fork, now).unwrap()];
    for (at, patch) in more.iter().enumerate() {
        let tip = &all.last().unwrap().new_ibgib;
        let opts = Opts::new().set("dna", true).linked(&["past", "dna"]);
        let opts = opts.set("dataToAddOrPatch", patch.clone()).build();
        let now = Moment::from_ms(1_781_262_001_000 + at as u64).unwrap();
        all.push(transform(Kind::Mut8, tip, &opts, now).unwrap());
    }
    let tip = all.last().unwrap().new_ibgib.addr().unwrap().to_string();
    let all: Vec<IbGib> = all.into_iter().flat_map(|made| made.into_all()).collect();
    let lines: Vec<String> = all.iter().map(IbGib::to_json).collect();
    let file = world.path("uncounted.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut put = world.command(home, &["put"]);
    assert!(put.stdin(std::fs::File::open(&file).unwrap()).status().unwrap().success());
    tip
}

#[test]
fn a_merged_timeline_that_is_not_counted_has_one_n_everywhere() {
    let (world, _serve) = two_homes();
    let doc = uncounted(&world, "laptop", &[json!({"a": 1}), json!({"a": 2})]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    for value in 1..=3 {
        world.ok("laptop", &["mut8", &doc, "--set", &format!("left={value}")]);
    }
    world.ok("desktop", &["mut8", &doc, "--set", "right=1"]);
    world.ok("laptop", &["sync"]);
    let n_of = |tips: &Value| tips["tips"][0]["n"].clone();
    let merged = n_of(&world.json("desktop", &["sync"]));
    let pulled = n_of(&world.json("laptop", &["sync"]));
    let log = |home: &str| world.json(home, &["log", &doc])["frames"][0]["n"].clone();
    assert_eq!([&merged, &pulled], [&log("desktop"), &log("laptop")]);
    assert_eq!(merged, pulled);
    assert_eq!(world.json("desktop", &["mut8", &doc, "--set", "left=3"])["n"], merged);
    let next = world.json("desktop", &["mut8", &doc, "--set", "left=4"]);
    let sent = n_of(&world.json("desktop", &["sync"]));
    let pulled = n_of(&world.json("laptop", &["sync"]));
    assert_eq!([&sent, &pulled], [&next["n"], &next["n"]]);
    assert_eq!([&log("desktop"), &log("laptop")], [&next["n"], &next["n"]]);
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
fn a_merge_that_was_told_of_when_it_was_made_is_not_told_of_when_it_is_sent() {
    let (world, _serve) = two_homes();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    world.ok("desktop", &["mut8", "X", "--set", "title=DESKTOP"]);
    world.ok("laptop", &["sync"]);
    let merged = world.json("desktop", &["sync", "--pull-only"]);
    assert_eq!(merged["tips"][0]["overwritten"][0]["path"], "title");
    let sent = world.json("desktop", &["sync", "--fail-on-conflict"]);
    assert_eq!((&sent["ok"], &sent["tips"][0]["how"]), (&json!(true), &json!("pushed")), "{sent}");
    assert_eq!(sent["tips"][0]["overwritten"], json!([]));
    let pulled = world.json("laptop", &["sync"]);
    assert_eq!(pulled["tips"][0]["overwritten"], merged["tips"][0]["overwritten"]);
}

/// The same graft info named by one graft frame after another: what it says is told once.
#[test]
fn a_graft_info_that_many_frames_name_is_told_of_once() {
    use sync_gib::ibgib::transform::{Kind, Opts, transform};
    use sync_gib::ibgib::{IbGib, Moment};
    let (world, _serve) = two_homes();
    let older = world.json("laptop", &["log", "X"])["frames"].clone();
    let orphans = [older[1]["addr"].clone(), older[2]["addr"].clone()];
    diverge(&world);
    world.ok("desktop", &["sync"]);
    let mut tip = IbGib::from_json(world.ok("laptop", &["get", "X"]).trim()).unwrap();
    let mut lines = Vec::new();
    for at in 0..20 {
        let opts = Opts::next_frame_on(&tip)
            .set("rel8nsToAddByAddr", json!({"graftorphan": [orphans[at % 2]]}))
            .set("rel8nsToRemoveByAddr", json!({"graftorphan": [orphans[(at + 1) % 2]]}))
            .build();
        let made = transform(Kind::Rel8, &tip, &opts, Moment::now()).unwrap();
        tip = made.new_ibgib.clone();
        lines.extend(made.into_all().iter().map(IbGib::to_json));
    }
    let file = world.path("frames.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut put = world.command("laptop", &["put"]);
    assert!(put.stdin(std::fs::File::open(&file).unwrap()).status().unwrap().success());
    world.ok("laptop", &["sync"]);
    let pulled = world.json("desktop", &["sync"]);
    let n = pulled["tips"][0]["overwritten"].as_array().unwrap().len();
    assert_eq!(n, 2, "{pulled}");
}
