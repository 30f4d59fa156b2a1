//! The client in programs that have an async runtime: calls that are awaited, and calls that wait on
//! a runtime's own thread.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::Device as Local;
use serde_json::json;
use sync_gib::ibgib::{Addr, TjpAddr};
use sync_gib::peer::{Device, Endpoint, NoObserver, PeerError, Remote, Timeouts, client};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Domain, Space, SqliteSpace};

/// A server's folder and options.
fn server() -> (tempfile::TempDir, ServerOpts) {
    let dir = tempfile::tempdir().unwrap();
    let opts = ServerOpts::new("127.0.0.1:0".parse().unwrap(), dir.path().join("server.db"));
    (dir, opts)
}

/// A device of a new identity with one timeline, and the folder that holds it.
fn device(url: &str) -> (Local, TjpAddr, Device) {
    let local = Local::new();
    let x = local.new_timeline("x", json!({"hello": "world"}));
    let space = SqliteSpace::open(local.space.path(), Domain::Client).unwrap();
    let identity = sync_gib::peer::Identity {
        domain: local.identity.domain.clone(),
        secret: common::secret(),
    };
    let endpoint = Endpoint::new(url, None, false).unwrap();
    (local, x, Device::new(Arc::new(space), identity, endpoint))
}

/// What the server's file holds of a timeline.
fn tip_at(dir: &tempfile::TempDir, domain: &TjpAddr, tjp: &TjpAddr) -> Option<Addr> {
    let space = SqliteSpace::open(&dir.path().join("server.db"), domain).unwrap();
    space.tip(tjp).unwrap().map(|tip| tip.addr)
}

#[tokio::test]
async fn calls_are_awaited_on_a_runtime_of_one_thread() {
    let (dir, opts) = server();
    let server = Server::start(opts).await.unwrap();
    let (local, x, device) = device(&server.url());
    device.register().await.unwrap();
    let synced = device.sync(local.opts()).await.unwrap();
    assert!(synced.summary.sent > 0 && synced.tries == 1);
    let tip = local.space.tip(&x).unwrap().map(|tip| tip.addr);
    assert_eq!(tip_at(&dir, &local.identity.domain, &x), tip);
    assert!(device.connect(local.dir.path().to_owned()).await.unwrap().is_some());
    let revoked = device.revoke("over".into()).await.unwrap();
    assert_eq!(tip_at(&dir, &local.identity.domain, &local.identity.domain), Some(revoked));
    assert!(device.sync(local.opts()).await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_do_so_on_a_thread_of_a_runtime() {
    let (dir, opts) = server();
    let server = Server::start(opts).await.unwrap();
    let (local, x, device) = device(&server.url());
    let waits = tokio::spawn(async move {
        device.register_blocking().unwrap();
        let synced = device.sync_blocking(&local.opts()).unwrap();
        assert!(synced.summary.sent > 0);
        assert!(device.connect_blocking(local.dir.path().to_owned()).unwrap().is_some());
        let tip = local.space.tip(&x).unwrap().map(|tip| tip.addr);
        let domain = local.identity.domain.clone();
        let revoked = device.revoke_blocking("over").unwrap();
        (local, domain, x, tip, revoked)
    });
    let (_local, domain, x, tip, revoked) = waits.await.unwrap();
    assert_eq!(tip_at(&dir, &domain, &x), tip);
    assert_eq!(tip_at(&dir, &domain, &domain), Some(revoked));
    server.stop().await.unwrap();
}

/// More answers and messages than a task may take without yielding: a call that waits is not held to
/// the budget of the task on whose thread it is made.
#[tokio::test]
async fn a_link_of_another_runtime_waits_on_a_thread_of_this_one() {
    let other = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (dir, opts) = server();
    let server = other.spawn(Server::start(opts)).await.unwrap().unwrap();
    let (local, x, device) = device(&server.url());
    device.register_blocking().unwrap();
    {
        let endpoint = Endpoint::new(&server.url(), None, false).unwrap();
        let link = Remote::new(&other, endpoint, Timeouts::default()).unwrap();
        for n in 0..12 {
            local.edit(&x, json!({ "count": n }));
            let synced =
                client::sync(&local.space, &link, &local.identity, &local.opts(), &mut NoObserver);
            assert_eq!(synced.unwrap().summary.tips.len(), 1);
        }
    }
    let tip = local.space.tip(&x).unwrap().map(|tip| tip.addr);
    assert_eq!(tip_at(&dir, &local.identity.domain, &x), tip);
    other.spawn(server.stop()).await.unwrap().unwrap();
    other.shutdown_background();
}

#[test]
fn a_runtime_without_threads_of_its_own_carries_no_link() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = Endpoint::new("http://127.0.0.1:1", None, false).unwrap();
    let made = Remote::new(&runtime, endpoint, Timeouts::default());
    assert!(matches!(made, Err(PeerError::NoWorkers)));
}
