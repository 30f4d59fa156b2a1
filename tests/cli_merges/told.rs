//! What `sync` tells of merges.

use serde_json::{Value, json};

use super::*;

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
    let line = " title: \"LAPTOP\" (n 4, ";
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
    assert_eq!(plan["heldBack"], json!([]));
    let failed = world.fails_as("desktop", &["sync", "--push-only"], "refused", 1);
    let x = world.json("laptop", &["log", "X"])["tjp"].clone();
    assert_eq!(failed["diverged"], json!([x]));
    assert_eq!(failed["tips"][0]["how"], "pushed");
    assert!(failed["error"]["message"].as_str().unwrap().contains(x.as_str().unwrap()));
    world.ok("laptop", &["sync"]);
    world.ok("laptop", &["get", note.trim()]);
    assert_eq!(world.json("desktop", &["sync"])["tips"][0]["how"], "merged");
}

#[test]
fn a_push_alone_holds_back_what_relates_to_the_branch_that_diverged() {
    let (world, _serve) = two_homes();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    world.ok("laptop", &["sync"]);
    let desktop = world.ok("desktop", &["mut8", "X", "--set", "title=DESKTOP"]);
    let note = world.json("desktop", &["new", "--ib", "note"]);
    let link = format!("about={}", desktop.trim());
    world.ok("desktop", &["rel8", note["addr"].as_str().unwrap(), "--add", &link]);

    let dry = world.run("desktop", &["sync", "--push-only", "--dry-run"]);
    let text = String::from_utf8(dry.stdout).unwrap();
    let line = format!("held back {}\n", note["tjp"].as_str().unwrap());
    assert!(text.contains("diverged x^") && text.ends_with(&line), "{text}");
    let failed = world.fails_as("desktop", &["sync", "--push-only"], "refused", 1);
    assert_eq!((&failed["heldBack"], &failed["tips"]), (&json!([note["tjp"]]), &json!([])));
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("; one other that stands on such edits was held back;"), "{message}");
    assert_eq!(world.json("desktop", &["sync"])["tips"].as_array().unwrap().len(), 2);
}

/// A frame of X whose time is given, put as another program would put it.
fn put_at(world: &World, home: &str, ms: u64, patch: Value) {
    use sync_gib::ibgib::transform::{Kind, Opts, transform};
    use sync_gib::ibgib::{IbGib, Moment, System};
    let tip = IbGib::from_json(world.ok(home, &["get", "X"]).trim()).unwrap();
    let opts = Opts::next_frame_on(&tip).set("dataToAddOrPatch", patch).build();
    let made =
        transform(Kind::Mut8, &tip, &opts, &System::at(Moment::from_ms(ms).unwrap())).unwrap();
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

/// A timeline without `data.n`, as another program may make one, put into a home; gives its tip.
fn uncounted(world: &World, home: &str, more: &[Value]) -> String {
    use sync_gib::ibgib::transform::{Kind, Opts, transform};
    use sync_gib::ibgib::{IbGib, Moment, System};
    let now = Moment::from_ms(1_781_262_000_000).unwrap();
    let fork = Opts::new().set("destIb", "doc").set("tjp", json!({"timestamp": true})).build();
    let mut all =
        vec![transform(Kind::Fork, &IbGib::primitive("ib"), &fork, &System::at(now)).unwrap()];
    for (at, patch) in more.iter().enumerate() {
        let tip = &all.last().unwrap().new_ibgib;
        let opts = Opts::new().set("dna", true).linked(&["past", "dna"]);
        let opts = opts.set("dataToAddOrPatch", patch.clone()).build();
        let now = Moment::from_ms(1_781_262_001_000 + at as u64).unwrap();
        all.push(transform(Kind::Mut8, tip, &opts, &System::at(now)).unwrap());
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
    use sync_gib::ibgib::{IbGib, System};
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
        let made = transform(Kind::Rel8, &tip, &opts, &System::new()).unwrap();
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

#[test]
fn of_very_many_fields_that_gave_way_a_hundred_are_printed() {
    let (world, _serve) = two_homes();
    for (home, value) in [("laptop", 1), ("desktop", 2)] {
        let fields = (0..120).map(|at| (format!("f{at}"), json!(value)));
        let file = world.path("fields.json");
        let fields: serde_json::Map<String, Value> = fields.collect();
        std::fs::write(&file, Value::Object(fields).to_string()).unwrap();
        world.ok(home, &["mut8", "X", "--data", file.to_str().unwrap()]);
    }
    world.ok("laptop", &["sync"]);
    let text = world.ok("desktop", &["sync"]);
    assert_eq!(text.matches(" gave way to ").count(), 100);
    assert!(text.contains("\n20 more gave way: `sync-gib conflicts` lists them\n"), "{text}");
    let pulled = world.json("laptop", &["sync"]);
    assert_eq!(pulled["tips"][0]["overwritten"].as_array().unwrap().len(), 120);
    assert_eq!(conflicts(&world, "laptop").len(), 120);
}
