//! Many clients at once, of a real server process: what each may take, and that others are served
//! meanwhile.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_common;
mod crowd_common;

use cli_common::Home;
use crowd_common::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A home that is set up with the server.
fn home(served: &Served) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("secret"), "9b4e07d1c86f3a52e0d7b91f6c2483ae5d18f07b6a93")
        .unwrap();
    home.ok(&["setup", "--raw-secret", &secret(&home), &format!("--server={}", served.url())]);
    home
}

fn secret(home: &Home) -> String {
    format!("--secret-file={}", home.path().join("secret").display())
}

fn sync(home: &Home) {
    home.ok(&["mut8", "X", "--set", "a=1"]);
    home.ok(&["sync", &secret(home)]);
}

#[test]
fn a_thousand_idle_sockets_hold_no_thread_and_no_connection_to_the_file() {
    let served = Served::start(&["--max-sockets", "2000"]);
    let (runtime, addr) = (runtime(), served.addr);
    let idle = runtime.block_on(many(1000, 8, |at| async move {
        let someone = Someone::new(&format!("someone {at}"));
        someone.connected(addr, loopback(2 + (at % 200) as u8)).await
    }));
    sync(&home(&served));
    let (threads, files) = (served.threads(), served.open("server.db"));
    assert!(threads < 100, "{threads} threads");
    assert!(files < 50, "the file is open {files} times");
    assert_eq!(idle.len(), 1000);
}
