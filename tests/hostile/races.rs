//! Devices and processes that sync at once.

use std::process::Command;
use std::sync::Barrier;

use serde_json::json;
use sync_gib::ibgib::TjpAddr;
use sync_gib::peer::{Identity, NoObserver, ReceiverLink, client};
use sync_gib::space::{Domain, Space, SpaceExt, SqliteSpace};
use sync_gib::sync::SenderOpts;

use crate::hostile_common::*;

const ROUNDS: usize = 5;

fn sync<L: ReceiverLink>(space: &SqliteSpace, link: &L, identity: &Identity) {
    let dir = space.path().parent().unwrap().to_owned();
    client::sync(space, link, identity, &SenderOpts::new(dir), &mut NoObserver).unwrap();
}

fn edit_tip(space: &SqliteSpace, tjp: &TjpAddr, key: &str, value: usize) {
    let tip = space.get_id(space.tip(tjp).unwrap().unwrap().id).unwrap();
    space.put_all(&edit(&tip, json!({ key: value }))).unwrap();
}

#[test]
fn two_devices_that_edit_and_sync_at_once_converge() {
    let host = Host::new();
    let one = Person::new(&host, "a");
    let two = Person::with(one.genesis.clone(), "a");
    let made = timeline("x", json!({}));
    let tjp = TjpAddr::from(made.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap());
    one.space.put_all(&made).unwrap();
    sync(&one.space, &host.link(), &one.identity);
    sync(&two.space, &host.link(), &two.identity);

    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        for (person, key) in [(&one, "one"), (&two, "two")] {
            let (host, tjp, together) = (&host, &tjp, &together);
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    edit_tip(&person.space, tjp, key, round);
                    together.wait();
                    sync(&person.space, &host.link(), &person.identity);
                }
            });
        }
    });
    for person in [&one, &two, &one, &two] {
        sync(&person.space, &host.link(), &person.identity);
    }
    let tip = |person: &Person| person.space.tip(&tjp).unwrap().unwrap();
    let frame = one.space.get_id(tip(&one).id).unwrap();
    assert_eq!(tip(&one).addr, tip(&two).addr);
    assert_eq!(tip(&one).addr, host.space(one.domain()).tip(&tjp).unwrap().unwrap().addr);
    for key in ["one", "two"] {
        assert_eq!(frame.datum(key), Some(&json!(ROUNDS)), "{key}");
    }
    host.all_closed();
}

const CHILD: &str = "SYNC_GIB_TEST_RACE";

#[test]
#[ignore = "run by the test below, as a process of its own"]
fn a_process_of_the_race() {
    let Ok(given) = std::env::var(CHILD) else { return };
    let [path, url, domain, tjp, key] = given.split('\n').collect::<Vec<_>>()[..] else { panic!() };
    let space = SqliteSpace::open(path.as_ref(), Domain::Client).unwrap();
    let identity = Identity { domain: TjpAddr::parse(domain).unwrap(), secret: secret_of("a") };
    let runtime = runtime();
    let endpoint = sync_gib::peer::Endpoint::new(url, None, false).unwrap();
    let link = sync_gib::peer::Remote::new(&runtime, endpoint, Default::default()).unwrap();
    for round in 1..=3 {
        // Another process may edit between reading the tip and putting: then once more.
        let tjp = TjpAddr::parse(tjp).unwrap();
        eventually("an edit", || {
            let tip = space.get_id(space.tip(&tjp).unwrap().unwrap().id).unwrap();
            space.put_all(&edit(&tip, json!({ key: round }))).is_ok()
        });
        sync(&space, &link, &identity);
    }
}

#[test]
fn two_processes_on_one_space_converge() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let made = timeline("x", json!({}));
    let tjp = TjpAddr::from(made.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap());
    person.space.put_all(&made).unwrap();
    let children = ["one", "two"].map(|key| {
        let path = person.space.path().display();
        let given = format!("{path}\n{}\n{}\n{tjp}\n{key}", host.server.url(), person.domain());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "races::a_process_of_the_race", "--ignored", "--nocapture"])
            .env(CHILD, given)
            .spawn()
            .unwrap()
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    sync(&person.space, &host.link(), &person.identity);
    let tip = person.space.tip(&tjp).unwrap().unwrap();
    assert_eq!(tip.addr, host.space(person.domain()).tip(&tjp).unwrap().unwrap().addr);
    let frame = person.space.get_id(tip.id).unwrap();
    for key in ["one", "two"] {
        assert_eq!(frame.datum(key), Some(&json!(3)), "{key}");
    }
    person.space.check_file().unwrap();
}
