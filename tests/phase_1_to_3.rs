//! Phases 1, 2 and 3 of the protocol, each both ways, and `verify` as a command.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;
mod phase_common;

use std::fs;

use cli_common::{bare, error_of, json_of, text_of};
use serde_json::json;

rows! {
    establish_in_process establish_over_websocket "1";
    connect_in_process connect_over_websocket "2";
    one_timeline_in_process one_timeline_over_websocket "3";
}

#[test]
fn verify_prints_the_table() {
    let out = text_of(&bare(&["verify", "1", "2", "3"]).assert().success());
    for row in ["1    A", "1    B", "2    A", "2    B", "3    A", "3    B"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "{row}: {out}");
    }
    assert!(!out.contains("FAILED"), "{out}");
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("phases 3, assertions ") && last.ends_with(": all hold"), "{last}");
}

#[test]
fn verify_prints_one_object_for_scripts() {
    let out = json_of(&bare(&["verify", "2", "--way", "b", "--json"]).assert().success());
    assert_eq!(out["ok"], true);
    assert_eq!(out["failed"], 0);
    let phases = out["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 1);
    assert_eq!((&phases[0]["phase"], &phases[0]["way"]), (&json!("2"), &json!("B")));
    let assertions = phases[0]["assertions"].as_array().unwrap();
    assert_eq!(out["assertions"], assertions.len());
    assert!(assertions.iter().all(|a| a["ok"] == true && a["expected"] == a["found"]));
}

#[test]
fn kept_spaces_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("kept");
    let keep = keep.to_str().unwrap();
    let args = ["verify", "3", "--way", "a", "--keep", keep];
    let out = json_of(&bare(&args).arg("--json").assert().success());
    let home = out["phases"][0]["homes"][0].as_str().unwrap();
    for name in ["X", "I", "S"] {
        let graph = text_of(&bare(&["--home", home, "graph", name]).assert().success());
        assert!(graph.lines().count() > 1, "{graph}");
    }
    assert!(fs::exists(format!("{home}/receiver.db")).unwrap());
    let secret = out["phases"][0]["secretFile"].as_str().unwrap();
    assert_eq!(fs::read_to_string(secret).unwrap().len(), 32);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = bare(&args).assert().code(1);
    assert!(error_of(&again).contains("3-a is there already"), "{}", error_of(&again));
}
