//! The bounds on what a server keeps and a client takes, as a person meets them: real processes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use cli_common::{Home, error_of, json_of};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sync_gib::ibgib::System;
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::peer::{Endpoint, ReceiverLink, Remote, Timeouts, wire};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// A `serve` process, killed when dropped.
struct Serve {
    child: Child,
    url: String,
    dir: tempfile::TempDir,
}

impl Serve {
    fn start(more: &[&str]) -> Serve {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sync-gib"))
            .args(["serve", "--listen", "127.0.0.1:0", "--space"])
            .arg(dir.path().join("server.db"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the URL").to_owned();
        Serve { child, url, dir }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home with a secret in it.
fn home() -> (Home, String) {
    let home = Home::new();
    let secret = home.path().join("secret");
    fs::write(&secret, "correct horse battery staple walnut\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    }
    (home, secret.to_str().unwrap().to_owned())
}

/// One more timeline of about so many bytes.
fn add_timeline(home: &Home, bytes: usize) -> Value {
    let data = json!({ "text": "a".repeat(bytes / 2) }).to_string();
    let made = { home.cmd(&["new", "--data", "-", "--json"]) }.write_stdin(data).assert().success();
    json_of(&made)["tjp"].clone()
}

#[test]
fn a_push_over_the_quota_exits_with_1_and_names_the_limit() {
    let serve = Serve::start(&["--quota", "250000"]);
    let (home, secret) = home();
    let setup = ["setup", "--server", &serve.url, "--raw-secret", "--secret-file", &secret];
    home.json(&setup);
    let sync = ["sync", "--secret-file", &secret];
    home.json(&sync);
    add_timeline(&home, 300_000);
    let refused = json_of(&home.cmd(&sync).arg("--json").assert().code(1));
    assert_eq!(refused["error"]["code"], "refused");
    assert_eq!(refused["limit"], "quota");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("250000 bytes") && message.contains("--pull-only"), "{message}");
    home.json(&["sync", "--pull-only", "--secret-file", &secret]);
    home.json(&["keystone", "revoke", "--yes", "--secret-file", &secret]);
    home.cmd(&sync).assert().code(5);
}

#[test]
fn serve_takes_20_newcomers_a_day_from_one_address_where_nothing_else_is_asked_for() {
    let serve = Serve::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = Endpoint::new(&serve.url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let pools = presets::identity_pools(&System::new()).unwrap();
    for i in 0..20 {
        let secret = MasterSecret::from_raw(format!("secret {i}").into()).unwrap();
        let genesis = keystone::genesis(&secret, &pools, None, &System::new()).unwrap();
        link.register(&genesis).unwrap();
    }
    let (home, secret) = home();
    let setup = ["setup", "--server", &serve.url, "--raw-secret", "--secret-file", &secret];
    let refused = json_of(&home.cmd(&setup).arg("--json").assert().code(1));
    assert_eq!(
        (&refused["error"]["code"], &refused["limit"]),
        (&json!("refused"), &json!("identities"))
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("20 identities") && message.contains("127.0.0.1"), "{message}");
}

#[test]
fn refusals_over_a_bound_fill_no_log() {
    let serve = Serve::start(&["--max-new-identities", "1"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = Endpoint::new(&serve.url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis = |secret: &str| {
        let secret = MasterSecret::from_raw(secret.to_owned().into()).unwrap();
        keystone::genesis(&secret, &pools, None, &System::new()).unwrap()
    };
    link.register(&genesis("first")).unwrap();
    let late = genesis("late");
    for _ in 0..500 {
        link.register(&late).unwrap_err();
    }
    let logged = serve.log().lines().filter(|line| line.contains("refused")).count();
    assert!((1..=200).contains(&logged), "{logged} lines");
}

#[test]
fn sockets_that_prove_nothing_fill_no_log() {
    let serve = Serve::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = serve.url.replace("http", "ws") + wire::PATH_WS;
    let addr = serve.url.trim_start_matches("http://").to_owned();
    runtime.block_on(async {
        for nth in 0..500 {
            let tcp = TcpStream::connect(&addr).await.unwrap();
            let (mut ws, _) = tokio_tungstenite::client_async(&url, tcp).await.unwrap();
            // Some go, and some say what is no message.
            if nth % 2 == 0 {
                ws.send(Message::binary(vec![0])).await.unwrap();
            }
            let _ = ws.close(None).await;
            while let Some(Ok(_)) = ws.next().await {}
        }
    });
    let logged = serve.log().lines().count();
    assert!((1..=200).contains(&logged), "{logged} lines");
}

#[test]
fn a_pull_is_bounded_by_its_flag() {
    let serve = Serve::start(&[]);
    let (one, secret) = home();
    let setup = ["setup", "--server", &serve.url, "--raw-secret", "--secret-file", &secret];
    let identity = one.json(&setup)["identity"].as_str().unwrap().to_owned();
    let tjp = add_timeline(&one, 300_000);
    one.json(&["sync", "--secret-file", &secret]);

    let (two, secret) = home();
    let join = ["setup", "--server", &serve.url, "--join", &identity, "--secret-file", &secret];
    two.json(&join);
    let sync = ["sync", "--secret-file", &secret];
    let out = two.cmd(&sync).args(["--max-pull-bytes", "200000"]).assert().code(1);
    let error = error_of(&out);
    assert!(error.contains("200000 bytes") && error.contains("--max-pull-bytes"), "{error}");
    two.cmd(&["get", tjp.as_str().unwrap()]).assert().code(1);
    two.json(&sync);
    two.cmd(&["get", tjp.as_str().unwrap()]).assert().success();
}

#[test]
fn a_file_that_may_not_grow_takes_nobody() {
    let serve = Serve::start(&["--max-file-bytes", "4096"]);
    let (home, secret) = home();
    let setup = ["setup", "--server", &serve.url, "--raw-secret", "--secret-file", &secret];
    let refused = json_of(&home.cmd(&setup).arg("--json").assert().code(1));
    assert_eq!(refused["limit"], "file");
}
