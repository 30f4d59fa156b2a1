//! What a put refuses; nothing of it is stored.

use serde_json::{Value, json};

use super::for_every_space;
use super::world::{World, addr, keystone_frames};
use crate::ibgib::{IbGib, IbGibError, Rel8ns, TjpAddr};
use crate::space::{Prepared, PutOpts, Space, SpaceError, SpaceExt};

for_every_space!(
    a_graph_that_is_not_closed,
    a_false_gib,
    a_second_tip,
    a_branch_beside_the_tip,
    two_branches_at_once,
    a_count_that_does_not_grow,
    a_count_that_leaves_no_room,
    a_merge_that_counts_below_the_orphan,
    a_tjp_that_is_none,
    a_frame_without_past,
    a_second_successor_of_a_keystone,
    a_keystone_that_breaks_the_rules,
    too_much_in_the_wrong_order,
);

/// Puts what must be refused, and checks that it left nothing.
fn refused(space: &dyn Space, ibgibs: &[IbGib]) -> SpaceError {
    let before = space.count().unwrap();
    let unreferenced = space.unreferenced_stones(None, 1_000).unwrap();
    let error = space.put_all(ibgibs).unwrap_err();
    assert_eq!(space.count().unwrap(), before);
    assert_eq!(space.unreferenced_stones(None, 1_000).unwrap(), unreferenced);
    let known = ibgibs.iter().filter_map(|ibgib| ibgib.addr().ok());
    for addr in known {
        if let Some(id) = space.find(&addr).unwrap() {
            assert!(id.0.unsigned_abs() <= before.ibgibs, "{addr} stayed");
        }
    }
    error
}

fn a_graph_that_is_not_closed(space: &dyn Space) {
    let mut world = World::default();
    let part = world.stone("part");
    let whole = world.stone_on("whole", &[&part]);
    let x = world.timeline("x");
    world.relate(x, "has", &[&whole]);
    let without: Vec<IbGib> = world.all().iter().filter(|one| **one != part).cloned().collect();
    match refused(space, &without) {
        SpaceError::Missing { addr: missing, wanted_by } => {
            assert_eq!((missing, wanted_by), (addr(&part), addr(&whole)));
        }
        other => panic!("{other}"),
    }
    space.put_all(&[part]).unwrap();
    space.put_all(&without).unwrap();
}

fn a_false_gib(space: &dyn Space) {
    let mut world = World::default();
    world.stone("good");
    let mut false_one = world.stone("one");
    false_one.data = Some(json!({ "text": "another" }));
    let error = refused(space, &[world.all()[0].clone(), false_one]);
    assert!(matches!(error, SpaceError::IbGib(IbGibError::WrongGib { .. })), "{error}");
}

fn a_second_tip(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    let mine = world.edit(x, json!({ "mine": 1 }));
    space.put_all(world.all()).unwrap();
    let stored = world.len();
    let theirs = world.edit_of(&tjp, json!({ "theirs": 1 }));
    let theirs = world.edit_of(&theirs, json!({ "theirs": 2 }));
    match refused(space, world.since(stored)) {
        SpaceError::Diverged { tjp: of, tip, frame } => {
            assert_eq!([of, tip.into(), frame.into()], [addr(&tjp), addr(&mine), addr(&theirs)]);
        }
        other => panic!("{other}"),
    }
    assert_eq!(space.tip(&addr(&tjp).into()).unwrap().unwrap().addr, addr(&mine));
}

fn a_branch_beside_the_tip(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    world.edit(x, json!({ "mine": 1 }));
    world.edit(x, json!({ "mine": 2 }));
    space.put_all(world.all()).unwrap();
    let stored = world.len();
    world.edit_of(&tjp, json!({ "late": 1 }));
    let late = refused(space, world.since(stored));
    assert!(matches!(late, SpaceError::Diverged { .. }), "{late}");
    // A frame on top of the tip does not excuse the branch.
    world.edit(x, json!({ "mine": 3 }));
    let late = refused(space, world.since(stored));
    assert!(matches!(late, SpaceError::Diverged { .. }), "{late}");
}

fn two_branches_at_once(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    let longer = world.edit(x, json!({ "mine": 1 }));
    let longer = world.edit_of(&longer, json!({ "mine": 2 }));
    let shorter = world.edit_of(&tjp, json!({ "theirs": 1 }));
    match refused(space, world.all()) {
        SpaceError::Diverged { tip, frame, .. } => {
            assert_eq!([tip, frame], [addr(&longer), addr(&shorter)]);
        }
        other => panic!("{other}"),
    }
}

fn a_count_that_does_not_grow(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    world.edit(x, json!({ "a": 1 }));
    let (tjp, tip) = (world.all()[1].clone(), world.tip(x).clone());
    let stuck = frame("x", json!({ "n": 1 }), &[("past", &tip), ("tjp", &tjp)]);
    let all = [world.all(), std::slice::from_ref(&stuck)].concat();
    match refused(space, &all) {
        SpaceError::NDoesNotGrow { addr: at, n: 1, before: 1 } => assert_eq!(at, addr(&stuck)),
        other => panic!("{other}"),
    }
}

fn a_count_that_leaves_no_room(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let (dna, tjp) = (world.all()[0].clone(), world.tip(x).clone());
    space.put_all(world.all()).unwrap();
    let next = |n: u64| frame("x", json!({ "n": n }), &[("past", &tjp), ("tjp", &tjp)]);
    for n in [(1 << 53) - 1, (1 << 20) + 1] {
        match refused(space, &[next(n)]) {
            SpaceError::NTooHigh { n: found, most, .. } => assert_eq!((found, most), (n, 1 << 20)),
            other => panic!("{other}"),
        }
    }
    let begins = |n: u64| {
        let mut data = tjp.data.clone().unwrap();
        data["n"] = json!(n);
        IbGib::new("x".into(), Some(data), tjp.rel8ns.clone()).unwrap()
    };
    let high = refused(space, &[dna, begins((1 << 32) + 1)]);
    assert!(matches!(high, SpaceError::NTooHigh { .. }), "{high}");
    space.put_all(&[next(1 << 20), begins(1 << 32)]).unwrap();
    let tip = space.get(&addr(&next(1 << 20))).unwrap().unwrap();
    space
        .put_all(&[frame("x", json!({ "n": 1 << 21 }), &[("past", &tip), ("tjp", &tjp)])])
        .unwrap();
}

fn a_merge_that_counts_below_the_orphan(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    world.edit(x, json!({ "a": 1 }));
    let orphan = world.edit(x, json!({ "a": 2 }));
    let orphan = world.edit_of(&orphan, json!({ "a": 3 }));
    let base = world.edit_of(&tjp, json!({ "b": 1 }));
    let merge = world.relate_of(&base, "graftorphan", &[&orphan]);
    match refused(space, world.all()) {
        SpaceError::NDoesNotGrow { addr: at, n: 2, before: 3 } => assert_eq!(at, addr(&merge)),
        other => panic!("{other}"),
    }
}

/// A frame by hand.
fn frame(ib: &str, data: Value, rel8ns: &[(&str, &IbGib)]) -> IbGib {
    let mut map = Rel8ns::new();
    for (name, to) in rel8ns {
        map.insert((*name).into(), json!([addr(to).as_str()]));
    }
    IbGib::new(ib.into(), Some(data), Some(map)).unwrap()
}

fn a_tjp_that_is_none(space: &dyn Space) {
    let stone = World::default().stone("s");
    let false_one = frame("x", json!({ "n": 1 }), &[("past", &stone), ("tjp", &stone)]);
    match refused(space, &[stone.clone(), false_one.clone()]) {
        SpaceError::NotATjp { addr: at, tjp } => {
            assert_eq!([at, tjp.into()], [addr(&false_one), addr(&stone)]);
        }
        other => panic!("{other}"),
    }
}

fn a_frame_without_past(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let y = world.timeline("y");
    let (tjp, other) = (world.tip(x).clone(), world.tip(y).clone());
    space.put_all(world.all()).unwrap();
    for rel8ns in [&[("tjp", &tjp)][..], &[("past", &other), ("tjp", &tjp)]] {
        let error = refused(space, &[frame("x", json!({ "n": 5 }), rel8ns)]);
        assert!(matches!(error, SpaceError::NoPast { .. }), "{error}");
    }
}

/// The same frame at another moment.
fn twin(frame: &IbGib) -> IbGib {
    let mut data = frame.data.clone().unwrap();
    data["timestampMs"] = json!(999);
    IbGib::new(frame.ib.clone(), Some(data), frame.rel8ns.clone()).unwrap()
}

fn a_second_successor_of_a_keystone(space: &dyn Space) {
    let frames = keystone_frames();
    let (genesis, first) = (TjpAddr::from(addr(&frames[0])), addr(&frames[1]));
    space.put_all(&frames[..3]).unwrap();
    assert_eq!(space.tip(&genesis).unwrap().unwrap().addr, addr(&frames[2]));
    let second = twin(&frames[2]);
    match refused(space, &[frames[3].clone(), second.clone()]) {
        SpaceError::KeystoneFork { tjp, prev, frame } => {
            assert_eq!(
                [tjp, prev.into(), frame.into()],
                [genesis, first.into(), addr(&second).into()]
            );
        }
        other => panic!("{other}"),
    }
    let mut rest = frames[3..].to_vec();
    rest.reverse();
    space.put_all(&rest).unwrap();
}

fn a_keystone_that_breaks_the_rules(space: &dyn Space) {
    let stone = frame("keystone", json!({ "n": 0 }), &[]);
    match refused(space, std::slice::from_ref(&stone)) {
        SpaceError::KeystoneInvalid { addr: at, violations } => {
            assert_eq!(at, addr(&stone));
            assert!(!violations.is_empty());
        }
        other => panic!("{other}"),
    }
    let mut skipping = keystone_frames();
    let data = skipping[1].data.as_mut().unwrap();
    data["n"] = json!(2);
    skipping[1].gib = skipping[1].computed_gib().unwrap();
    let error = refused(space, &skipping[..2]);
    assert!(matches!(error, SpaceError::KeystoneInvalid { .. }), "{error}");
}

fn too_much_in_the_wrong_order(space: &dyn Space) {
    let part = World::default().stone("part");
    let large = "a".repeat(3 << 20);
    let mut batch = (0..30).map(|i| {
        let whole = frame("whole", json!({ "i": i, "text": large }), &[("part", &part)]);
        Ok(Prepared::new(&whole)?)
    });
    let error = space.put(&mut batch, &PutOpts::default()).unwrap_err();
    assert!(matches!(error, SpaceError::TooManyWaiting { .. }), "{error}");
    assert_eq!(space.count().unwrap().ibgibs, 0);
}
