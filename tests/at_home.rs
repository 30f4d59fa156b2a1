//! What the program keeps and reads on its own machine: traces, modes, weak secrets.
#![cfg(feature = "cli")]
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cli_common::{Home, error_of, json_of, text_of};

/// Takes far more than 2^40 guesses.
const STRONG: &str = "correct horse battery staple walnut";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A file beside the home's own, for its owner alone.
fn file(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path().join(name);
    fs::write(&path, text).unwrap();
    set_mode(&path, 0o600);
    path
}

/// A home that is set up, and the option that names its secret.
fn set_up() -> (Home, String) {
    let home = Home::new();
    let secret = format!("--secret-file={}", file(&home, "secret", STRONG).display());
    home.ok(&["setup", "--raw-secret", &secret]);
    (home, secret)
}

#[test]
fn a_trace_is_its_owners_alone_whatever_was_there() {
    let (home, secret) = set_up();
    let trace = home.path().join("trace");
    let sync = |home: &Home| home.ok(&["sync", "--trace", trace.to_str().unwrap(), &secret]);
    sync(&home);
    assert_eq!(mode(&trace), 0o600);
    let lines = fs::read_to_string(&trace).unwrap();
    assert!(lines.lines().count() > 4);

    // One that others can read, have open, and have under another name.
    let other = home.path().join("other");
    fs::write(&trace, "before\n").unwrap();
    set_mode(&trace, 0o666);
    fs::hard_link(&trace, &other).unwrap();
    let mut open = fs::File::open(&trace).unwrap();
    sync(&home);
    assert_eq!(mode(&trace), 0o600);
    assert_eq!(fs::read_to_string(&other).unwrap(), "before\n");
    let mut seen = String::new();
    std::io::Read::read_to_string(&mut open, &mut seen).unwrap();
    assert_eq!(seen, "before\n");
    assert!(fs::read_to_string(&trace).unwrap().contains("\"way\":\"out\""));
}

#[test]
fn a_trace_follows_no_link() {
    let (home, secret) = set_up();
    let (trace, victim) = (home.path().join("trace"), file(&home, "victim", "precious\n"));
    for target in [victim.clone(), home.path().join("absent")] {
        let _ = fs::remove_file(&trace);
        symlink(&target, &trace).unwrap();
        let args = ["sync", "--trace", trace.to_str().unwrap(), &secret, "--json"];
        let out = home.cmd(&args).assert().code(4);
        assert!(json_of(&out)["error"]["message"].as_str().unwrap().contains("link"));
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious\n");
    assert!(!home.path().join("absent").exists());
}

#[test]
fn a_home_that_others_can_read_or_write_is_warned_about() {
    let home = Home::new();
    home.ok(&["new", "--ib", "note"]);
    for (mode, what) in [
        (0o700, None),
        (0o711, None),
        (0o755, Some("others can read the home")),
        (0o733, Some("others can write the home")),
        (0o770, Some("others can read and write the home")),
    ] {
        set_mode(home.path(), mode);
        let error = error_of(&home.cmd(&["log"]).assert().success());
        match what {
            None => assert_eq!(error, "", "{mode:o}"),
            Some(what) => assert_eq!(error.matches(what).count(), 1, "{mode:o}: {error}"),
        }
        let out = home.cmd(&["log", "--json"]).assert().success();
        assert_eq!(json_of(&out)["ok"], true);
    }
    // A file in a home that others can enter.
    set_mode(home.path(), 0o711);
    set_mode(&home.path().join("space.db"), 0o644);
    let error = error_of(&home.cmd(&["log"]).assert().success());
    assert!(error.contains("others can read the file") && error.contains("space.db"), "{error}");
    set_mode(home.path(), 0o700);
    assert_eq!(error_of(&home.cmd(&["log"]).assert().success()), "");
}

#[test]
fn a_secret_file_that_others_can_read_or_write_is_warned_about() {
    let (home, secret) = set_up();
    let path = home.path().join("secret");
    let args = ["sync", "--record", "--quiet", &secret];
    assert_eq!(error_of(&home.cmd(&args).assert().success()), "");
    for (mode, what) in [(0o640, "can read"), (0o602, "can write"), (0o666, "can read and write")] {
        set_mode(&path, mode);
        let error = error_of(&home.cmd(&args).assert().success());
        assert!(error.contains(&format!("others {what} the secret file")), "{mode:o}: {error}");
        assert!(!error.contains(STRONG));
    }
    // The same by a redirection.
    let script = r#""$0" --home "$1" sync --record -q --secret-fd 3 3<"$2""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sync-gib")]).arg(home.path()).arg(&path);
    let error = String::from_utf8(shell.output().unwrap().stderr).unwrap();
    assert!(error.contains("the secret file"), "{error}");
}

#[test]
fn a_weak_secret_is_refused_and_told_what_guessing_it_costs() {
    for how in [&["--raw-secret"][..], &[]] {
        let home = Home::new();
        let secret = file(&home, "secret", "hunter2");
        let secret = format!("--secret-file={}", secret.display());
        let mut args = vec!["setup", &secret, "--json"];
        args.extend(how);
        let out = home.cmd(&args).assert().code(5);
        let failure = json_of(&out);
        assert_eq!(failure["error"]["code"], "secret_refused");
        let message = failure["error"]["message"].as_str().unwrap();
        assert!(message.contains("guesses") && message.contains("in all"), "{message}");
        assert_eq!(message.contains("Argon2id"), how.is_empty(), "{message}");
        assert!(failure["error"]["hint"].as_str().unwrap().contains("--allow-weak-secret"));
        assert!(!text_of(&out).contains("hunter2") && error_of(&out).is_empty());
        home.cmd(&["get", "I"]).assert().code(1);

        args.push("--allow-weak-secret");
        let out = home.cmd(&args).assert().success();
        let error = error_of(&out);
        assert!(error.contains("warning") && error.contains("guesses"), "{error}");
        home.ok(&["sync", &secret]);
    }
}

#[test]
fn a_server_on_a_public_address_says_what_it_lets_strangers_do() {
    let home = Home::new();
    let output_of = |listen: &str, more: &[&str]| {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_sync-gib"));
        serve.args(["serve", "--listen", listen]).args(more).env("SYNC_GIB_HOME", home.path());
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on"), "{line}");
        child.kill().unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    let closed = ["--registration", "closed"];
    for (listen, more, tls, open) in [
        ("127.0.0.1:0", &[][..], false, false),
        ("[::ffff:127.0.0.1]:0", &[], false, false),
        ("0.0.0.0:0", &[], true, true),
        ("0.0.0.0:0", &closed, true, false),
    ] {
        let log = output_of(listen, more);
        assert_eq!(log.contains("no TLS on a public address"), tls, "{listen}: {log}");
        assert_eq!(log.contains("registration is open on a public address"), open, "{log}");
    }
}
