//! Where the data stands follows from what is there, whatever way it came.

use serde_json::json;

use super::for_every_space;
use super::world::{World, addr, keystone_frames};
use crate::ibgib::IbGib;
use crate::space::{
    DomainState, MemorySpace, PutOpts, Space, SpaceExt, StateDigest, TimelineKind, TipMove,
};

for_every_space!(
    a_state_follows_every_put,
    a_put_that_is_refused_leaves_the_state,
    what_is_no_data_does_not_count,
);

/// The state, worked out from what a sync states.
fn stated(space: &dyn Space) -> DomainState {
    let mut state = DomainState::default();
    for timeline in space.timelines(TimelineKind::Data, None, 1000).unwrap() {
        let (tjp, tip) = (timeline.tjp.key(), timeline.tip.addr.key());
        state.digest.add(&StateDigest::of_timeline(&tjp, &tip));
        state.timelines += 1;
    }
    for (_, stone) in space.unreferenced_stones(None, 1000).unwrap() {
        state.digest.add(&StateDigest::of_stone(&stone.key()));
    }
    state
}

fn expect_stated(space: &dyn Space) -> DomainState {
    let state = space.state().unwrap();
    assert_eq!(state, stated(space));
    state
}

fn a_state_follows_every_put(space: &dyn Space) {
    assert_eq!(space.state().unwrap(), DomainState::default());
    let mut world = World::default();
    let (mut seen, mut put) = (vec![expect_stated(space)], 0);
    let mut step = |world: &World| {
        space.put_all(world.since(put)).unwrap();
        put = world.len();
        let state = expect_stated(space);
        assert!(!seen.contains(&state), "it tells one state from another");
        seen.push(state);
    };
    let x = world.timeline("x");
    step(&world);
    world.edit(x, json!({ "a": 1 }));
    world.edit(x, json!({ "a": 2 }));
    step(&world);
    let (one, other) = (world.stone("one"), world.stone("other"));
    step(&world);
    // A stone that something relates to is stated no more: in the put that brings both, and later.
    world.stone_on("whole", &[&one]);
    step(&world);
    world.relate(x, "other", &[&other]);
    let third = world.stone("third");
    world.relate(x, "third", &[&third]);
    step(&world);
    let y = world.timeline("y");
    world.edit(y, json!({ "b": 1 }));
    step(&world);
    // A merge: two branches in one put, the graft above both.
    let fork = world.tip(x).clone();
    let left = world.edit(x, json!({ "left": 1 }));
    step(&world);
    let right = world.edit_of(&fork, json!({ "right": 1 }));
    let graft = world.relate_of(&left, "graftorphan", &[&right]);
    world.set_tip(x, graft);
    step(&world);
    // Nothing moves: the same again.
    let before = expect_stated(space);
    space.put_all(world.all()).unwrap();
    assert_eq!(expect_stated(space), before);
    // The other way round, or at once, it is the same.
    let all: Vec<IbGib> = world.all().iter().rev().cloned().collect();
    let other = MemorySpace::new();
    other.put_all(&all).unwrap();
    assert_eq!(expect_stated(&other), before);
}

fn a_put_that_is_refused_leaves_the_state(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    world.stone("stone");
    space.put_all(world.all()).unwrap();
    let before = expect_stated(space);
    let (put, tjp) = (world.len(), addr(world.tip(x)));
    world.edit(x, json!({ "a": 1 }));
    world.stone("other");
    let moves = vec![TipMove { tjp: tjp.clone().into(), from: Some(tjp.clone()), to: tjp }];
    let opts = PutOpts { moves, ..PutOpts::default() };
    space.put_with(world.since(put), &opts).unwrap_err();
    assert_eq!(expect_stated(space), before);
    space.put_all(world.since(put)).unwrap();
    assert_ne!(expect_stated(space), before);
}

fn what_is_no_data_does_not_count(space: &dyn Space) {
    space.put_all(&keystone_frames()).unwrap();
    assert_eq!(expect_stated(space), DomainState::default());
    let saga = IbGib::new("sync_saga_msg".into(), Some(json!({ "a": 1 })), None).unwrap();
    space.put_all(&[saga]).unwrap();
    assert_eq!(expect_stated(space), DomainState::default());
}
