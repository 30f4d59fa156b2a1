//! Answers that are of no use: the sync goes on as it did before there were any.

use serde_json::json;
use sync_gib::ibgib::TjpAddr;
use sync_gib::space::{Domain, Space, SqliteSpace, StateDigest};

use super::net_common::{Serve, World};
use super::proxy::{Lie, Proxy};

struct Lied {
    world: World,
    _serve: Serve,
    proxy: Proxy,
    identity: TjpAddr,
}

impl Lied {
    fn new() -> Lied {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let proxy = Proxy::to(serve.addr());
        let setup = world.json("a", &["setup", "--server", &proxy.url, "--raw-secret"]);
        let identity = TjpAddr::parse(setup["identity"].as_str().unwrap()).unwrap();
        world.ok("a", &["sync"]);
        proxy.say(Lie::Close);
        Lied { world, _serve: serve, proxy, identity }
    }

    /// That the sync after this answer signs, and comes to its end.
    fn goes_on(&self, what: &str, lie: Lie) {
        self.proxy.say(lie);
        let told = self.world.json("a", &["sync"]);
        let is_good = (&told["ok"], &told["signed"]) == (&json!(true), &json!(true));
        assert!(is_good, "{what}: {told}");
        assert!(self.proxy.say(Lie::Close) > 0, "{what}: it was asked");
    }
}

#[test]
fn after_any_answer_of_no_use_the_sync_goes_on() {
    let lied = Lied::new();
    let newest = |lied: &Lied| {
        let space = SqliteSpace::open(&lied.world.path("a/space.db"), Domain::Client).unwrap();
        let tip = space.tip(&lied.identity).unwrap().unwrap().addr;
        (space.state().unwrap().digest, tip.as_str().to_owned())
    };
    let state = |digest: &str, timelines: i64, identity: &str| {
        let body = json!({ "digest": digest, "timelines": timelines, "identity": identity });
        Lie::answer("200 OK", &body.to_string())
    };
    let other = StateDigest::default().to_string();
    let (digest, _) = newest(&lied);
    let digest = digest.to_string();
    let genesis = lied.identity.as_str();
    for (what, lie) in [
        ("the line is closed", Lie::Close),
        ("an endless body", Lie::Endless),
        ("no HTTP", Lie::Bytes(vec![0; 1000])),
        ("no JSON", Lie::answer("200 OK", "<html>")),
        ("nothing", Lie::answer("200 OK", "")),
        ("another object", Lie::answer("200 OK", "{}")),
        ("a long body", Lie::answer("200 OK", &format!("\"{}\"", "0".repeat(1 << 20)))),
        ("a fault", Lie::answer("500 Internal Server Error", "")),
        ("a huge fault", Lie::answer("500 Internal Server Error", &"x".repeat(32 << 20))),
        (
            "no place",
            Lie::answer(
                "503 Service Unavailable",
                "{\"error\":{\"code\":\"limit\",\"message\":\"\"}}",
            ),
        ),
        (
            "elsewhere",
            Lie::Bytes(
                b"HTTP/1.1 302 Found\r\nlocation: /health\r\ncontent-length: 0\r\n\r\n".to_vec(),
            ),
        ),
        ("fewer timelines", state(&digest, 0, genesis)),
        ("no number", state(&digest, -1, genesis)),
        ("capitals", state(&digest.to_uppercase(), 1, genesis)),
        ("a short digest", state(&digest[1..], 1, genesis)),
        ("another digest", state(&other, 1, &newest(&lied).1)),
        ("an older frame", state(&digest, 1, genesis)),
        (
            "a frame of nobody",
            state(&digest, 1, &format!("keystone^{}.{}", "A".repeat(64), lied.identity.gib())),
        ),
        ("no address", state(&digest, 1, "keystone")),
    ] {
        lied.goes_on(what, lie);
    }
    lied.world.ok("a", &["check"]);
}

#[test]
fn a_refusal_is_no_answer_and_the_token_is_asked_for_anew() {
    let lied = Lied::new();
    let kept = lied.world.path("a/state-token.json");
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let before = std::fs::read(&kept).unwrap();
        let code = if status.starts_with("404") { "not_found" } else { "auth" };
        let body = json!({ "error": { "code": code, "message": "no" } }).to_string();
        lied.goes_on(status, Lie::answer(status, &body));
        assert_ne!(std::fs::read(&kept).unwrap(), before, "{status}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_long() {
    let lied = Lied::new();
    lied.goes_on("silence", Lie::Silence);
}
