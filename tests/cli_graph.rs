//! `graph` in each of its formats.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use cli_common::{Home, json_of};
use serde_json::Value;

/// A timeline with three frames that relates to another one of two frames, which has moved on
/// since. Returns their addresses: of the first the tip, of the second the related frame and tip.
fn two_timelines(home: &Home) -> [String; 3] {
    let tag = home.ok(&["new", "--ib", "tag", "--rel8", "color=red^gib"]);
    let note = home.ok(&["new", "--ib", "note"]);
    home.ok(&["mut8", &note, "--set", "title=a"]);
    let note = home.ok(&["rel8", &note, "--add", &format!("tag={tag}")]);
    let tag_tip = home.ok(&["mut8", &tag, "--set", "x=1"]);
    [note, tag, tag_tip]
}

fn short(addr: &str) -> String {
    let (ib, gib) = addr.split_once('^').unwrap();
    format!("{ib}^{}", &gib[..8])
}

#[test]
fn a_tree_lists_frames_one_under_the_other() {
    let home = Home::new();
    let [note, tag, _] = two_timelines(&home);
    let tree = home.ok(&["graph", &note]);
    let lines: Vec<&str> = tree.lines().collect();
    assert_eq!(lines[0], format!("{}  n 2", short(&note)));
    assert!(lines[1].starts_with("├─ dna: rel8^"), "{tree}");
    assert_eq!(lines[2], format!("├─ tag: {}  n 1", short(&tag)));
    assert!(lines[3].starts_with("│  └─ dna: rel8^"), "{tree}");
    assert!(lines[4].starts_with("└─ past: tag^"), "{tree}");
    assert!(lines[6].starts_with("past: note^") && lines[6].ends_with("  n 1"), "{tree}");
    assert!(lines[8].starts_with("past: note^") && lines[8].ends_with("  n 0"), "{tree}");
    assert!(home.ok(&["graph", &note, "--full"]).contains(&tag));
}

#[test]
fn a_tree_marks_what_it_printed_above() {
    let home = Home::new();
    let [note, tag, _] = two_timelines(&home);
    let tip = home.ok(&["rel8", &note, "--add", &format!("too={tag}")]);
    let tree = home.ok(&["graph", &tip]);
    let repeated: Vec<&str> = tree.lines().filter(|line| line.ends_with("(above)")).collect();
    assert!(repeated.iter().any(|line| line.contains(&short(&tag))), "{tree}");
    let ibgibs = home.json(&["graph", &tip, "--stats"])["ibGibCount"].as_u64().unwrap();
    assert_eq!(tree.lines().count() as u64, ibgibs + repeated.len() as u64, "{tree}");
}

#[test]
fn a_live_graph_goes_on_to_the_latest_tips() {
    let home = Home::new();
    let [note, _, tag_tip] = two_timelines(&home);
    let plain = home.json(&["graph", &note]);
    let live = home.json(&["graph", &note, "--live"]);
    let has_tip = |graph: &Value| {
        let gib = tag_tip.split_once('^').unwrap().1;
        graph["ibGibs"].as_array().unwrap().iter().filter(|ibgib| ibgib["gib"] == gib).count()
    };
    assert_eq!((has_tip(&plain), has_tip(&live)), (0, 1));
    let tree = home.ok(&["graph", &note, "--live"]);
    assert!(tree.contains(&format!("latest: {}  n 2", short(&tag_tip))), "{tree}");
}

#[test]
fn ndjson_is_dependency_first() {
    let home = Home::new();
    let [note, _, _] = two_timelines(&home);
    let graph = home.ok(&["graph", &note, "--live", "--format", "ndjson"]);
    let mut printed = std::collections::HashSet::new();
    for line in graph.lines() {
        let ibgib = sync_gib::ibgib::IbGib::from_json(line).unwrap();
        for rel8d in ibgib.rel8ds().filter(|rel8d| !rel8d.ends_with("^gib")) {
            assert!(printed.contains(rel8d), "{rel8d} comes after what relates to it");
        }
        printed.insert(ibgib.validate().unwrap().to_string());
    }
    let stats = home.json(&["graph", &note, "--live", "--stats"]);
    assert_eq!(stats["ibGibCount"], printed.len());
}

#[test]
fn a_graph_piped_into_put_is_the_same_graph() {
    let home = Home::new();
    let [note, _, _] = two_timelines(&home);
    let args = ["graph", &note, "--live", "--format", "ndjson"];
    let graph = home.ok(&args);
    let other = Home::new();
    { other.cmd(&["put"]) }.write_stdin(graph.clone()).assert().success();
    assert_eq!(other.ok(&args), graph);
    // Also in an order in which everything comes before what it relates to.
    let backwards: Vec<&str> = graph.lines().rev().collect();
    let third = Home::new();
    { third.cmd(&["put"]) }.write_stdin(backwards.join("\n")).assert().success();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&third.ok(&args)), sorted(&graph));
}

#[test]
fn drawings_have_a_box_per_ibgib_and_an_arrow_per_relation() {
    let home = Home::new();
    let [note, _, _] = two_timelines(&home);
    let stats = home.json(&["graph", &note, "--stats"]);
    let boxes = stats["ibGibCount"].as_u64().unwrap();
    let dot = home.ok(&["graph", &note, "--format", "dot"]);
    assert!(dot.starts_with("digraph ibgib {") && dot.ends_with('}'));
    assert_eq!(dot.matches("tooltip=").count() as u64, boxes);
    assert!(dot.contains("[label=\"tag\"]"));
    let mermaid = home.ok(&["graph", &note, "--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart TD\n"));
    assert_eq!(mermaid.matches("[\"").count() as u64, boxes);
    assert_eq!(mermaid.matches("-->").count(), dot.matches("->").count());
    assert!(mermaid.contains("-->|\"tag\"|"));
    let out = home.cmd(&["graph", &note, "--format", "dot", "--json"]).assert().code(2);
    assert_eq!(json_of(&out)["error"]["code"], "usage");
}

#[test]
fn json_is_the_same_with_the_option_and_the_format() {
    let home = Home::new();
    let [note, _, _] = two_timelines(&home);
    let graph = home.json(&["graph", &note]);
    assert_eq!(graph["ok"], true);
    assert_eq!(graph["addr"], note.as_str());
    assert_eq!(graph["count"], graph["ibGibs"].as_array().unwrap().len());
    let by_format = home.ok(&["graph", &note, "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&by_format).unwrap(), graph);
}

#[test]
fn control_characters_of_others_do_not_reach_the_terminal() {
    use sync_gib::ibgib::IbGib;
    let home = Home::new();
    let stone = IbGib::new("evil\u{1b}[2J\n".into(), Some(1.into()), None).unwrap();
    { home.cmd(&["put"]) }.write_stdin(stone.to_json()).assert().success();
    let addr = stone.addr().unwrap().to_string();
    for args in [&["graph", &addr][..], &["graph", &addr, "--format", "dot"]] {
        let shown = home.ok(args);
        assert!(shown.contains("evil") && !shown.contains('\u{1b}'), "{shown:?}");
    }
}
