//! Bringing back what gave way.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_value_that_gave_way_is_brought_back_on_both_devices() {
    let (world, _serve) = two_homes();
    let (laptop, _) = diverge(&world);
    let listed = conflicts(&world, "desktop");
    for conflict in &listed {
        let restore = &conflict["restore"];
        let (addr, field) = (restore["addr"].as_str().unwrap(), restore["field"].as_str().unwrap());
        assert_eq!(addr, laptop);
        world.ok("desktop", &["restore", addr, "--field", field]);
    }
    assert!(conflicts(&world, "desktop").is_empty());
    world.ok("desktop", &["sync"]);
    world.ok("laptop", &["sync"]);
    let data: Value = serde_json::from_str(&world.ok("laptop", &["get", "X"])).unwrap();
    assert_eq!(data["data"]["title"], "LAPTOP");
    assert_eq!(data["data"]["people"], json!([{"id": "a", "name": "Adele"}, {"id": "b"}]));
    assert!(conflicts(&world, "laptop").is_empty());
}

#[test]
fn an_edit_that_gave_way_when_it_was_replayed_is_brought_back_on_the_other_device() {
    let (world, _serve) = two_homes();
    let desktop = world.json("desktop", &["mut8", "X", "--set", "title=DESKTOP"])["addr"].clone();
    world.ok("laptop", &["mut8", "X", "--set", "title=LAPTOP"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    world.ok("laptop", &["sync"]);
    let [lost] = &conflicts(&world, "laptop")[..] else { panic!("not one conflict") };
    assert_eq!((&lost["winner"], &lost["replayedFrame"]), (&json!("kept"), &desktop));
    let addr = lost["restore"]["addr"].as_str().unwrap();
    assert_eq!(addr, desktop);
    world.ok("laptop", &["restore", addr, "--field", "title"]);
    world.ok("laptop", &["sync"]);
    world.ok("desktop", &["sync"]);
    for home in ["laptop", "desktop"] {
        let frame: Value = serde_json::from_str(&world.ok(home, &["get", "X"])).unwrap();
        assert_eq!(frame["data"]["title"], "DESKTOP", "{home}");
        assert!(conflicts(&world, home).is_empty(), "{home}");
    }
}

#[test]
fn frames_of_identities_and_sagas_are_not_restored() {
    let (world, _serve) = two_homes();
    let sagas = world.json("laptop", &["log", "--saga"])["sagas"].clone();
    let saga = sagas[0]["frames"].as_array().unwrap().last().unwrap()["addr"].clone();
    for (addr, what) in [("I", "an identity"), (saga.as_str().unwrap(), "a saga")] {
        for args in [&["restore", addr][..], &["restore", addr, "--field", "a"]] {
            let failed = world.fails("laptop", args, 1);
            assert!(failed.contains(&format!("is a frame of {what}")), "{failed}");
        }
    }
}
