//! What merges did, as `sync`, `log`, `merge show` and `conflicts` tell it, and bringing back what
//! gave way.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../net_common/mod.rs"]
mod net_common;
mod restored;
mod shown;
mod told;

use net_common::*;
use serde_json::Value;

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
