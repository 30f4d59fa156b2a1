//! What the reference implementation answers, asked of the program itself through its pipes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use cli_common::{bare, json_of, text_of};
use serde_json::{Value, json};
use sync_gib::ibgib::json::{parse, stringify};

fn vectors(text: &str) -> Value {
    parse(text).unwrap()
}

fn list(text: &str) -> Vec<Value> {
    vectors(text).as_array().unwrap().clone()
}

#[test]
fn hash_gives_every_gib() {
    let cases = list(include_str!("vectors/gib.json"));
    let mut input = String::new();
    let mut expected = Vec::new();
    for case in &cases {
        let text = case["ibgib_json"].as_str().unwrap();
        input.push_str(text);
        input.push('\n');
        let ib = parse(text).unwrap()["ib"].as_str().unwrap().to_owned();
        expected.push(format!("{ib}^{}", case["gib"].as_str().unwrap()));
    }
    let out = bare(&["hash"]).write_stdin(input.clone()).assert().success();
    let addrs: Vec<String> = text_of(&out).lines().map(str::to_owned).collect();
    assert_eq!(addrs, expected);
    let out = bare(&["hash", "--json"]).write_stdin(input).assert().success();
    assert_eq!(json_of(&out)["addrs"], json!(expected));
}

#[test]
fn hash_takes_one_ibgib_on_several_lines_and_passes_its_gib_over() {
    let pretty = "{\n  \"ib\": \"ib\",\n  \"gib\": \"WRONG\",\n  \"data\": {}\n}\n";
    let out = bare(&["hash"]).write_stdin(pretty).assert().success();
    let gib = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
    assert_eq!(text_of(&out), format!("ib^{gib}\n"));
}

#[test]
fn hash_names_the_line_of_what_it_cannot_read() {
    let out = bare(&["hash"]).write_stdin("{\"ib\":\"a\"}\n\n{\"ib\":3}\n").assert().code(1);
    let error = String::from_utf8(out.get_output().stderr.clone()).unwrap();
    assert!(error.contains("line 3: "), "{error}");
    assert_eq!(text_of(&out).lines().count(), 1);
    bare(&["hash"]).write_stdin("").assert().code(1);
    bare(&["hash"]).write_stdin("\"\\ud800\"").assert().code(1);
}

#[test]
fn transform_makes_every_frame() {
    for case in list(include_str!("vectors/transforms.json")) {
        let (kind, now) = (case["kind"].as_str().unwrap(), case["now_ms"].to_string());
        let args = ["transform", kind, "--now-ms", &now];
        let input = stringify(&case["opts"]);
        let run = bare(&args).write_stdin(input.clone()).assert();
        if case["error"] == true {
            run.code(1);
            let failed = bare(&args).arg("--json").write_stdin(input).assert().code(1);
            assert_eq!(json_of(&failed)["error"]["code"], "refused", "{}", case["note"]);
            continue;
        }
        let mut expected = stringify(&case["new_ibgib"]) + "\n";
        for dna in case["dnas"].as_array().unwrap() {
            let dna = sync_gib::ibgib::IbGib::from_value(dna.clone()).unwrap();
            expected.push_str(&(dna.to_json() + "\n"));
        }
        assert_eq!(text_of(&run.success()), expected, "{}", case["note"]);
    }
}

#[test]
fn transform_refuses_what_is_no_options() {
    for input in ["", "[]", "{}", "{\"src\":1}", "{\"src\":{\"ib\":\"ib\"}} {}", "{"] {
        let out = bare(&["transform", "fork", "--json"]).write_stdin(input).assert().code(1);
        assert_eq!(json_of(&out)["error"]["code"], "bad_input", "{input}");
    }
    bare(&["transform", "split"]).assert().code(2);
    let input = "{\"src\":{\"ib\":\"ib\",\"gib\":\"gib\"}}";
    bare(&["transform", "fork", "--now-ms", "999999999999999"]).write_stdin(input).assert().code(2);
}

fn frames() -> Vec<String> {
    let vector = vectors(include_str!("vectors/keystone.json"));
    vector["frames"].as_array().unwrap().iter().map(stringify).collect()
}

#[test]
fn keystone_verify_accepts_the_reference() {
    let frames = frames();
    let input = frames.join("\n");
    let out = bare(&["keystone", "verify"]).write_stdin(input.clone()).assert().success();
    assert!(text_of(&out).starts_with(&format!("ok: {} frames, tip keystone^", frames.len())));
    let out = bare(&["keystone", "verify", "--json"]).write_stdin(input).assert().success();
    assert_eq!(json_of(&out)["frames"], frames.len());
    assert_eq!(json_of(&out)["command"], "keystone verify");
}

#[test]
fn keystone_verify_names_the_broken_rule_and_its_frame() {
    let mut frames = frames();
    frames.remove(1);
    let input = frames.join("\n");
    let out = bare(&["keystone", "verify"]).write_stdin(input.clone()).assert().code(1);
    assert!(text_of(&out).lines().next().unwrap().starts_with("line 2, keystone^"));
    let out = bare(&["keystone", "verify", "--json"]).write_stdin(input.clone()).assert().code(1);
    let out = json_of(&out);
    assert_eq!((&out["ok"], &out["line"]), (&json!(false), &json!(null)));
    assert_eq!(out["error"]["code"], "different");
    assert_eq!(out["broken"][0]["line"], 2);
    assert!(!out["broken"][0]["rule"].as_str().unwrap().is_empty());
    // What was found before a line that cannot be read is told with it.
    let failed = |input: &str| {
        json_of(&bare(&["keystone", "verify", "--json"]).write_stdin(input).assert().code(1))
    };
    let out = failed("");
    assert_eq!(
        (&out["frames"], &out["broken"], &out["line"]),
        (&json!(0), &json!([]), &json!(null))
    );
    let out = failed(&(input + "\n{"));
    assert_eq!(out["error"]["code"], "bad_input");
    assert_eq!((&out["frames"], &out["broken"][0]["line"]), (&json!(frames.len()), &json!(2)));
    assert_eq!(out["line"], frames.len() + 1);
    let out = failed("{\"gib\":\"gib\"}");
    assert_eq!((&out["frames"], &out["line"]), (&json!(0), &json!(1)));
    bare(&["keystone", "verify"]).write_stdin("").assert().code(1);
    bare(&["keystone", "verify"]).write_stdin("{\"ib\":\"keystone\"}\nnot json").assert().code(1);
}
