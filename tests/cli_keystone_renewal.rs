//! The recovery code, and changing an identity's secret, as a person and a script do it.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod net_common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use net_common::relay::{Act, Cut, Relay};
use net_common::scene::configure;
use net_common::{Serve, World};
use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::keystone::{self, KdfParams, MasterSecret, Renewal, presets};
use sync_gib::peer::{Endpoint, ReceiverLink, Remote, Timeouts};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Domain, Purpose, PutOpts, Space, SpaceExt, SqliteSpace};
use sync_gib::sync::Features;

const OLD: &str = "correct horse battery staple walnut";
const NEW: &str = "new horse battery staple chestnut";
const THIEF: &str = "wrong horse battery staple hazelnut";

/// A server, homes, and files with secrets and codes.
struct Scene {
    world: World,
    serve: Serve,
    identity: String,
}

impl Scene {
    /// The home `one` has set up with [`OLD`] and synced; its code is in the file `code`.
    fn new() -> Scene {
        let world = World::new();
        let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &[]);
        let code = world.path("code");
        let setup = ["setup", "--server", &serve.url, "--recovery-file", code.to_str().unwrap()];
        let made = world.json("one", &setup);
        assert_eq!((&made["signingKey"], &made["recovery"]), (&json!(true), &json!(true)));
        world.ok("one", &["sync"]);
        let identity = made["identity"].as_str().unwrap().to_owned();
        Scene { world, serve, identity }
    }

    /// Another home of the identity, with its first sync done.
    fn join(&self, home: &str) {
        let args = ["setup", "--server", &self.serve.url, "--join", &self.identity];
        self.world.ok(home, &args);
        self.world.ok(home, &["sync"]);
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs it; `sync`, `check` and others read this secret.
    fn with(&self, secret: &str, home: &str, args: &[&str]) -> (Value, String) {
        fs::write(self.world.secret(), secret).unwrap();
        let output = self.world.command(home, args).arg("--json").output().unwrap();
        told(&output)
    }

    fn rotate(&self, home: &str, old: &str, new: &str) -> (Value, String) {
        let (old, new) = (self.file("old", old), self.file("new", new));
        let mut command = self.world.command(home, &["keystone", "rotate", "--json"]);
        command.arg("--secret-file").arg(old).arg("--new-secret-file").arg(new);
        told(&command.output().unwrap())
    }

    fn recover(&self, home: &str, code: &Path, new: &str, next: &str) -> (Value, String) {
        let new = self.file("new", new);
        let mut command = self.world.command(home, &["keystone", "recover", "--json"]);
        command.arg("--code-file").arg(code).arg("--new-secret-file").arg(new);
        told(&command.arg("--recovery-file").arg(self.world.path(next)).output().unwrap())
    }

    /// The address of I's newest frame in a home.
    fn tip(&self, home: &str) -> String {
        let log = self.world.json(home, &["log", "I", "--limit", "1"]);
        log["frames"][0]["addr"].as_str().unwrap().to_owned()
    }
}

fn told(output: &Output) -> (Value, String) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    let object = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"));
    (object, error)
}

#[track_caller]
fn good(told: (Value, String)) -> Value {
    assert_eq!(told.0["ok"], true, "{told:?}");
    told.0
}

#[track_caller]
fn failed(told: (Value, String), code: &str, exit: u8) -> String {
    assert_eq!(
        (&told.0["error"]["code"], &told.0["exit"]),
        (&json!(code), &json!(exit)),
        "{told:?}"
    );
    told.0["error"]["message"].as_str().unwrap().to_owned()
}

/// The codes that a text holds.
fn codes(text: &str) -> Vec<String> {
    let is_group =
        |group: &str| group.len() == 4 && group.chars().all(|c| c.is_ascii_alphanumeric());
    let words = text.split_whitespace();
    let is_code = |word: &&str| word.split('-').count() == 9 && word.split('-').all(is_group);
    words.filter(is_code).map(str::to_owned).collect()
}

/// Every file under a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn setup_shows_the_code_once_and_keeps_it_nowhere() {
    for quiet in [false, true] {
        let world = World::new();
        let log = fs::File::create(world.path("log")).unwrap();
        let file = world.path("server.db");
        let serve = Serve::start_logging(&file, "127.0.0.1:0", &["-vv"], log.into());
        let mut setup = vec!["setup", "--json", "--server", &serve.url];
        setup.push(if quiet { "--quiet" } else { "-vv" });
        let mut command = world.command("a", &setup);
        if !quiet {
            command.env("SYNC_GIB_LOG", "trace");
        }
        let output = command.output().unwrap();
        let (made, error) = told(&output);
        assert_eq!((&made["signingKey"], &made["recovery"]), (&json!(true), &json!(true)));
        let shown = codes(&error);
        assert_eq!(shown.len(), 1, "{error}");
        assert!(error.contains("on paper"), "{error}");
        let spoken = shown[0].replace('-', "");
        world.ok("a", &["sync", "-vv"]);
        for path in files(world.dir.path()) {
            let bytes = fs::read(&path).unwrap();
            for code in [&shown[0], &spoken, &spoken.to_lowercase()] {
                assert!(!holds(&bytes, code.as_bytes()), "{}", path.display());
            }
        }
        assert!(!holds(&output.stdout, spoken.as_bytes()) && codes(&made.to_string()).is_empty());
        let log = fs::read_to_string(world.path("log")).unwrap();
        assert!(log.contains("a signing key, recoverable by code"), "{log}");

        let again = world.command("a", &setup).output().unwrap();
        assert!(again.status.success() && codes(&told(&again).1).is_empty());
        // What was shown is what recovers.
        let code = world.path("code");
        fs::write(&code, spoken.to_lowercase()).unwrap();
        fs::write(world.secret(), NEW).unwrap();
        let mut recover = world.command("a", &["keystone", "recover", "--json", "--code-file"]);
        recover.arg(code).arg("--new-secret-file").arg(world.secret());
        let (done, error) = told(&recover.output().unwrap());
        assert_eq!(done["ok"], true, "{done}");
        assert!(codes(&error).len() == 1 && codes(&error) != shown, "{error}");
        world.ok("a", &["sync"]);
    }
}

#[test]
fn a_code_goes_to_a_new_file_or_is_not_made() {
    let world = World::new();
    let code = world.path("code");
    let in_file = ["setup", "--recovery-file", code.to_str().unwrap()];
    fs::write(&code, "something").unwrap();
    world.fails_as("a", &in_file, "io", 4);
    assert_eq!(fs::read_to_string(&code).unwrap(), "something");
    assert!(!world.path("a").exists(), "nothing was made");
    fs::remove_file(&code).unwrap();
    let made = world.run("a", &in_file);
    assert!(made.status.success());
    let error = String::from_utf8(made.stderr).unwrap();
    let text = fs::read_to_string(&code).unwrap();
    assert!(codes(&error).is_empty() && codes(&text).len() == 1, "{error}{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&code).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let made = world.run("b", &["setup", "--no-recovery", "--json"]);
    let (made, error) = told(&made);
    assert_eq!((&made["signingKey"], &made["recovery"]), (&json!(true), &json!(false)));
    assert!(codes(&error).is_empty(), "{error}");
    let secret = world.secret();
    let new = ["--new-secret-file", secret.to_str().unwrap()];
    let recover = ["keystone", "recover", "--code-file", code.to_str().unwrap()];
    let told = world.fails_as("b", &[&recover[..], &new].concat(), "identity_refused", 5);
    assert!(told.to_string().contains("without a recovery code"), "{told}");
    world.fails("c", &["setup", "--no-recovery", "--recovery-file", "x"], 2);
    world.fails("c", &["setup", "--join", "keystone^AA", "--recovery-file", "x"], 2);
}

/// Where a code cannot be shown, nothing is stored of which it would be the code.
#[cfg(target_os = "linux")]
#[test]
fn a_code_that_nobody_sees_makes_no_identity_and_changes_none() {
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let scene = Scene::new();
    let setup = ["setup", "--json", "--server", &scene.serve.url];
    let output = scene.world.command("two", &setup).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let log = scene.world.json("two", &["log"]);
    assert_eq!(log["timelines"], json!([]), "no identity was stored");

    let before = scene.tip("one");
    let (code, new) = (scene.world.path("code"), scene.file("new", NEW));
    let mut recover = scene.world.command("one", &["keystone", "recover", "--json", "--code-file"]);
    recover.arg(code).arg("--new-secret-file").arg(new).stderr(full());
    assert_eq!(recover.output().unwrap().status.code(), Some(4));
    assert_eq!(scene.tip("one"), before);
    good(scene.with(OLD, "one", &["sync"]));
}

#[test]
fn after_a_rotation_the_new_secret_signs_and_the_old_one_nowhere() {
    let scene = Scene::new();
    for home in ["two", "three", "four"] {
        scene.join(home);
    }
    good(scene.with(OLD, "one", &["sync"]));
    let before = scene.tip("one");
    failed(scene.rotate("one", OLD, OLD), "secret_refused", 5);
    failed(scene.rotate("one", OLD, "password"), "secret_refused", 5);
    failed(scene.rotate("one", THIEF, NEW), "secret_refused", 5);
    let both = ["keystone", "rotate", "--secret-file", "-", "--new-secret-file", "-"];
    scene.world.fails("one", &both, 2);
    assert_eq!(scene.tip("one"), before);

    let rotated = good(scene.rotate("one", OLD, NEW));
    assert_eq!(rotated["tip"], scene.tip("one"));
    assert_eq!(
        (&rotated["identity"], &rotated["recovery"]),
        (&json!(scene.identity), &json!(true))
    );
    for home in ["one", "two"] {
        let told = scene.with(OLD, home, &["sync"]);
        let since = rotated["secretSince"].clone();
        assert_eq!(told.0["secretSince"], since, "{told:?}");
        let message = failed(told, "secret_refused", 5);
        assert!(message.contains(&format!("frame {since} of ")), "{message}");
        assert!(message.contains("GMT changed it by the old one"), "{message}");
    }
    // Those that have not heard of it take the new secret at the first run.
    good(scene.with(NEW, "one", &["sync"]));
    good(scene.with(NEW, "two", &["sync"]));
    good(scene.with(NEW, "three", &["check"]));
    let secret = scene.file("new", NEW);
    let remote = ["graph", "X", "--remote", "--secret-file", secret.to_str().unwrap()];
    scene.world.ok("four", &remote);
    failed(scene.with(THIEF, "four", &["sync"]), "secret_refused", 5);
    // And once more, from a device that has not.
    let third = "a third staple of the same horse";
    good(scene.rotate("two", NEW, third));
    good(scene.with(third, "three", &["sync"]));
    failed(scene.with(NEW, "three", &["sync", "--record"]), "secret_refused", 5);
}

#[test]
fn how_a_thief_stretches_a_secret_keeps_nobody_from_recovering() {
    let costly =
        json!({ "algo": "argon2id", "salt": "07".repeat(16), "mKib": 1 << 20, "t": 4, "p": 1 });
    for kdf in [json!({ "algo": "md5" }), json!(7), costly] {
        let scene = Scene::new();
        scene.join("thief");
        let path = scene.world.path("thief").join("space.db");
        let space = SqliteSpace::open(&path, Domain::Client).unwrap();
        let domain = TjpAddr::parse(&scene.identity).unwrap();
        let genesis = space.get(&domain).unwrap().unwrap();
        let params = KdfParams::from_frame_details(keystone::frame_details(&genesis).unwrap());
        let old = MasterSecret::from_passphrase(&OLD.to_owned().into(), &params.unwrap()).unwrap();
        let thief = MasterSecret::from_raw("a thief".to_owned().into()).unwrap();
        let details = Some(json!({ "kdf": kdf }));
        let renewal = Renewal { secret: &thief, frame_details: details, env: &System::new() };
        let tip = space.get_id(space.tip(&domain).unwrap().unwrap().id).unwrap();
        let stolen = keystone::rotate(&tip, &old, &renewal).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let endpoint = Endpoint::new(&scene.serve.url, None, false).unwrap();
        let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
        link.renew(&domain, &[&stolen]).unwrap();

        let told = scene.with(OLD, "one", &["sync"]);
        assert!(told.0["error"]["hint"].as_str().unwrap().contains("keystone recover"), "{told:?}");
        failed(told, "secret_refused", 5);
        good(scene.recover("one", &scene.world.path("code"), NEW, "next"));
        good(scene.with(NEW, "one", &["sync"]));
    }
}

#[test]
fn a_thief_who_rotated_first_is_shut_out_by_the_code() {
    let scene = Scene::new();
    scene.join("thief");
    good(scene.rotate("thief", OLD, THIEF));
    good(scene.with(THIEF, "thief", &["sync"]));
    failed(scene.with(OLD, "one", &["sync"]), "secret_refused", 5);
    let before = scene.tip("one");

    let code = scene.world.path("code");
    let text = fs::read_to_string(&code).unwrap();
    let other = if &text[..1] == "7" { "8" } else { "7" };
    let mistyped = scene.file("mistyped", &format!("{other}{}", &text[1..]));
    let message = failed(scene.recover("one", &mistyped, NEW, "next"), "secret_refused", 5);
    assert!(message.contains("checksum") && !message.contains(&text[1..9]), "{message}");
    let wrong = scene.file("wrong", "D5J6-YV8W-X54X-DBAH-5B8J-5NZE-RSXM-YK3M-XMKA\n");
    failed(scene.recover("one", &wrong, NEW, "next"), "secret_refused", 5);
    for known in [OLD, THIEF] {
        failed(scene.recover("one", &code, known, "next"), "secret_refused", 5);
    }
    assert!(!scene.world.path("next").exists(), "no code was made");
    assert_eq!(scene.tip("one"), before);

    let recovered = good(scene.recover("one", &code, NEW, "next"));
    assert_eq!(recovered["tip"], scene.tip("one"));
    failed(scene.rotate("thief", THIEF, OLD), "secret_refused", 5);
    let told = failed(scene.with(THIEF, "thief", &["sync"]), "secret_refused", 5);
    assert!(told.contains("took the identity back by its recovery code"), "{told}");
    failed(scene.with(OLD, "thief", &["keystone", "revoke", "--yes"]), "secret_refused", 5);
    failed(scene.recover("thief", &code, THIEF, "theirs"), "secret_refused", 5);
    good(scene.with(NEW, "one", &["sync"]));
    good(scene.with(NEW, "one", &["check"]));
    // The next code holds.
    let next = scene.world.path("next");
    good(scene.recover("one", &next, "a fourth horse battery staple", "third"));

    let frames = scene.world.ok("one", &["log", "I"]);
    assert!(
        frames.contains("(secret changed)") && frames.contains("(recovered by code)"),
        "{frames}"
    );
    let told = good(verify(&scene, "one"));
    let how: Vec<&Value> = told["renewals"].as_array().unwrap().iter().map(|r| &r["how"]).collect();
    assert_eq!(how, ["rotation", "recovery", "recovery"]);
    assert_eq!((&told["signingKey"], &told["recoverable"]), (&json!(true), &json!(true)));
    assert_eq!(told["secretSince"], told["renewals"][2]["n"]);
    assert_eq!(told["renewals"][2]["addr"], scene.tip("one"));
}

/// `keystone verify` of the frames of I in a home.
fn verify(scene: &Scene, home: &str) -> (Value, String) {
    let log = scene.world.json(home, &["log", "I"]);
    let addrs = log["frames"].as_array().unwrap().iter().rev();
    let mut get: Vec<&str> = vec!["get"];
    get.extend(addrs.map(|frame| frame["addr"].as_str().unwrap()));
    let frames = scene.world.ok(home, &get);
    let mut command = scene.world.command(home, &["keystone", "verify", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(frames.as_bytes()).unwrap();
    told(&child.wait_with_output().unwrap())
}

#[test]
fn what_is_not_synced_is_kept_and_goes_up_with_the_new_secret() {
    let scene = Scene::new();
    scene.join("two");
    let edit = scene.world.json("two", &["mut8", "X", "--set", "unsynced=1"]);
    good(scene.rotate("one", OLD, NEW));
    failed(scene.with(OLD, "two", &["sync"]), "secret_refused", 5);
    let kept = scene.world.json("two", &["log", "X", "--limit", "1"]);
    assert_eq!(kept["frames"][0]["addr"], edit["addr"]);
    let synced = good(scene.with(NEW, "two", &["sync"]));
    assert_eq!(synced["tips"][0]["how"], "pushed", "{synced}");
    good(scene.with(NEW, "one", &["sync"]));
    let tip: Value = serde_json::from_str(&scene.world.ok("one", &["get", "X"])).unwrap();
    assert_eq!(tip["data"]["unsynced"], 1);
}

#[test]
fn a_new_machine_recovers_with_the_code_alone() {
    let scene = Scene::new();
    let args = ["setup", "--server", &scene.serve.url, "--join", &scene.identity];
    let told = scene.with(THIEF, "lost", &args);
    assert!(told.0["error"]["hint"].as_str().unwrap().contains("keystone recover"), "{told:?}");
    failed(told, "secret_refused", 5);
    let (code, new) = (scene.world.path("code"), scene.file("new", NEW));
    let recover = ["keystone", "recover", "--json", "--identity", &scene.identity];
    let mut command = scene.world.command("lost", &recover);
    command.arg("--code-file").arg(code).arg("--new-secret-file").arg(new);
    good(self::told(&command.output().unwrap()));
    good(scene.with(NEW, "lost", &["sync"]));
    scene.world.ok("lost", &["get", "X"]);
    let other = format!("keystone^{}", "A".repeat(64));
    let other = ["keystone", "recover", "--identity", &other, "--code-file", "/dev/null"];
    scene.world.fails("one", &other, 5);
}

#[test]
fn an_earlier_change_is_completed_and_told() {
    let scene = Scene::new();
    let relay = Relay::to(scene.serve.addr());
    configure(&scene.world.path("one"), &relay.url);
    let lose = |name: &'static str| {
        relay.act(move |event| match event.name == name {
            true => Act::Lose(Cut::Rst),
            false => Act::Pass,
        });
    };
    // The answer is lost on its way, so that the server has the frame and this home does not know.
    let secret = |n: u8| format!("staple number {n} of a horse battery");
    for (lost, old, new) in
        [("POST renewal", OLD.to_owned(), secret(1)), ("200 to POST renewal", secret(1), secret(2))]
    {
        lose(lost);
        failed(scene.rotate("one", &old, &new), "unreachable", 3);
        relay.act(|_| Act::Pass);
        let message = failed(scene.rotate("one", &old, THIEF), "conflict", 1);
        assert!(message.contains("its new secret holds, not the one just given"), "{message}");
        good(scene.rotate("one", &old, &new));
        good(scene.with(&new, "one", &["sync"]));
    }
    for used in [OLD.to_owned(), secret(1)] {
        failed(scene.rotate("one", &secret(2), &used), "secret_refused", 5);
        let code = scene.world.path("code");
        failed(scene.recover("one", &code, &used, "unused"), "secret_refused", 5);
    }
    for (lost, code, first, second, secret) in [
        ("POST renewal", "code", "a1", "a2", NEW),
        ("200 to POST renewal", "a1", "b1", "b2", THIEF),
    ] {
        let code = scene.world.path(code);
        lose(lost);
        failed(scene.recover("one", &code, secret, first), "unreachable", 3);
        relay.act(|_| Act::Pass);
        // The same command again, and with another file for the next code.
        for next in [first, second] {
            assert_eq!(good(scene.recover("one", &code, secret, next))["earlier"], true);
        }
        assert!(!scene.world.path(second).exists(), "no code is made that is of no use");
        good(scene.with(secret, "one", &["sync"]));
    }
    good(scene.recover("one", &scene.world.path("b1"), "a fourth horse battery staple", "c"));
}

#[test]
fn a_server_that_is_too_old_is_told_and_nothing_is_made_or_signed() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), scene.world.path("server.db"));
    let opts = ServerOpts { features: Features::new(), ..opts };
    let server = runtime.block_on(Server::start(opts)).unwrap();
    let url = server.url();
    let message = failed(scene.with(OLD, "new", &["setup", "--server", &url]), "version", 1);
    assert!(message.contains("too old") && message.contains(&url), "{message}");
    assert!(!scene.world.path("new").exists(), "nothing is left behind");

    configure(&scene.world.path("one"), &url);
    let before = scene.tip("one");
    failed(scene.with(OLD, "one", &["setup"]), "version", 1);
    for told in [
        scene.rotate("one", OLD, NEW),
        scene.recover("one", &scene.world.path("code"), NEW, "next"),
        scene.with(OLD, "one", &["sync"]),
    ] {
        let message = failed(told, "version", 1);
        assert!(message.contains("too old"), "{message}");
    }
    assert!(!scene.world.path("next").exists());
    assert_eq!(scene.tip("one"), before);
    let space = SqliteSpace::open(&scene.world.path("one/space.db"), Domain::Client).unwrap();
    let identity = TjpAddr::parse(&scene.identity).unwrap();
    assert_eq!(space.pending(&identity, Purpose::Renewal).unwrap(), None);
    runtime.block_on(server.stop()).unwrap();
}

#[test]
fn an_identity_without_a_signing_key_goes_on_and_says_so() {
    let scene = Scene::new();
    let secret = keystone::MasterSecret::from_raw(OLD.to_owned().into()).unwrap();
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis: IbGib = keystone::genesis(&secret, &pools, None, &System::new()).unwrap();
    fs::create_dir(scene.world.path("two")).unwrap();
    let path = scene.world.path("two/space.db");
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let names = vec![("I".to_owned(), TjpAddr::from(genesis.addr().unwrap()))];
    space.put_with([&genesis], &PutOpts { names, ..PutOpts::default() }).unwrap();
    drop(space);
    let made = good(scene.with(OLD, "two", &["setup", "--server", &scene.serve.url]));
    assert_eq!((&made["signingKey"], &made["recovery"]), (&json!(false), &json!(false)));
    good(scene.with(OLD, "two", &["sync"]));
    let log = scene.world.ok("two", &["log"]);
    assert!(log.contains("signs with hash reveals alone"), "{log}");
    let told = good(verify(&scene, "two"));
    assert_eq!((&told["signingKey"], &told["secretSince"]), (&json!(false), &json!(0)));
    let message = failed(scene.rotate("two", OLD, NEW), "identity_refused", 5);
    assert!(message.contains("no signing key"), "{message}");
    let code = scene.world.path("code");
    failed(scene.recover("two", &code, NEW, "next"), "identity_refused", 5);
    failed(scene.with(THIEF, "two", &["sync", "--record"]), "secret_refused", 5);
}

/// Secrets and codes are asked for on a terminal where no file is given: none is an argument.
#[test]
fn no_secret_and_no_code_is_an_argument() {
    for command in [["keystone", "rotate"], ["keystone", "recover"], ["setup", "--json"]] {
        let help = Command::new(net_common::BIN).args(command).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        for option in ["--secret <", "--new-secret <", "--code <", "--recovery-code"] {
            assert!(!help.contains(option), "{command:?}: {help}");
        }
    }
}
