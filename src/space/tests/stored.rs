//! What is put can be found again, and where it stands.

use serde_json::json;

use super::for_every_space;
use super::world::{World, addr};
use crate::ibgib::transform::Opts;
use crate::ibgib::{IbGib, TjpAddr};
use crate::space::{
    Prepared, PutOpts, PutReport, RowId, Space, SpaceError, SpaceExt, TimelineKind, TipMove,
};

for_every_space!(
    puts_and_gets,
    putting_again_changes_nothing,
    tips_move,
    frames_without_a_count_are_counted_along_past,
    a_merge_takes_over_the_line,
    an_orphan_may_join_a_standing_line,
    extends_goes_through_past_and_orphans,
    names_are_pointers,
    timelines_come_by_kind_and_page,
    unreferenced_stones_are_those_that_nothing_relates_to,
    live_timelines_are_told_from_the_index,
    moves_are_checked,
    a_batch_cannot_use_the_space_that_it_is_put_into,
);

fn id_of(space: &dyn Space, ibgib: &IbGib) -> RowId {
    space.find(&addr(ibgib)).unwrap().unwrap()
}

fn puts_and_gets(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    world.edit(x, json!({ "hello": "world", "9": 1, "1": 2.5 }));
    let stranger = World::default().stone("stranger");
    let report = space.put_all(world.all()).unwrap();
    let bytes = world.all().iter().map(|ibgib| ibgib.to_json().len() as u64).sum();
    assert_eq!(report, PutReport { new: world.len() as u64, known: 0, bytes });
    for ibgib in world.all() {
        assert_eq!(space.get(&addr(ibgib)).unwrap().as_ref(), Some(ibgib));
        let node = space.node(id_of(space, ibgib)).unwrap();
        let rel8ds: Vec<_> = ibgib.rel8ds().filter(|rel8d| !rel8d.ends_with("^gib")).collect();
        assert_eq!(node.addr, addr(ibgib));
        assert_eq!(node.rel8ds.iter().map(|rel8d| rel8d.as_str()).collect::<Vec<_>>(), {
            let mut unique = rel8ds.clone();
            unique.dedup();
            unique
        });
    }
    let asked = [addr(world.tip(x)), addr(&stranger), addr(&world.all()[0])];
    assert_eq!(space.has_many(&asked).unwrap(), [true, false, true]);
    assert_eq!(space.get(&asked[1]).unwrap(), None);
    let count = space.count().unwrap();
    assert_eq!((count.ibgibs, count.timelines, count.bytes), (report.new, 1, bytes));
    assert!(matches!(space.text(RowId(999)), Err(SpaceError::NoSuchId(RowId(999)))));
    assert!(matches!(space.node(RowId(0)), Err(SpaceError::NoSuchId(RowId(0)))));
}

fn putting_again_changes_nothing(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    world.edit(x, json!({ "a": 1 }));
    space.put_all(world.all()).unwrap();
    let count = space.count().unwrap();
    let again = space.put_all(world.all()).unwrap();
    assert_eq!(again, PutReport { new: 0, known: world.len() as u64, bytes: 0 });
    assert_eq!(space.count().unwrap(), count);
    assert_eq!(space.tip(&addr(&world.all()[1]).into()).unwrap().unwrap().n, 1);
}

fn tips_move(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = TjpAddr::from(addr(world.tip(x)));
    assert_eq!(space.tip(&tjp).unwrap(), None);
    space.put_all(world.all()).unwrap();
    assert_eq!(space.tip(&tjp).unwrap().unwrap().addr, tjp);
    let mut stored = world.len();
    for i in 0..5 {
        let frame = world.edit(x, json!({ "i": i }));
        space.put_all(world.since(stored)).unwrap();
        stored = world.len();
        let tip = space.tip(&tjp).unwrap().unwrap();
        assert_eq!((tip.addr, tip.n), (addr(&frame), i + 1));
    }
    let first = id_of(space, &world.all()[1]);
    assert_eq!(space.frame_at(first, 3).unwrap().map(|id| space.row(id).unwrap().n), Some(3));
    assert_eq!(space.frame_at(first, 1_000).unwrap(), Some(id_of(space, world.tip(x))));
    assert_eq!(space.tip(&addr(world.tip(x)).into()).unwrap(), None, "no tjp");
}

fn frames_without_a_count_are_counted_along_past(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline_with("x", Opts::new().build());
    let tjp = world.tip(x).clone();
    for i in 0..3 {
        let tip = world.tip(x).clone();
        let opts = Opts::new().set("dataToAddOrPatch", json!({ "i": i }));
        let next = world.step(crate::ibgib::transform::Kind::Mut8, &tip, opts);
        assert_eq!(next.n(), None);
        world.set_tip(x, next);
    }
    space.put_all(world.all()).unwrap();
    let tip = space.tip(&addr(&tjp).into()).unwrap().unwrap();
    assert_eq!((tip.n, tip.addr), (3, addr(world.tip(x))));
    assert_eq!(space.row(id_of(space, &tjp)).unwrap().n, 0);
}

/// A timeline with a common frame at n = 1, then `left` with 2 and 3, then `right` with 2, and
/// the merge of both at 4 on top of `left`.
struct Split {
    world: World,
    tjp: IbGib,
    common: IbGib,
    left: [IbGib; 2],
    right: IbGib,
    merge: IbGib,
    /// How many ibGibs there were before each: left, right, merge.
    at: [usize; 3],
}

fn split() -> Split {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    let common = world.edit(x, json!({ "common": 1 }));
    let at_left = world.len();
    let left = [world.edit(x, json!({ "left": 1 })), world.edit(x, json!({ "left": 2 }))];
    let at_right = world.len();
    let right = world.edit_of(&common, json!({ "right": 1 }));
    let at_merge = world.len();
    let merge = world.relate(x, "graftorphan", &[&right]);
    Split { world, tjp, common, left, right, merge, at: [at_left, at_right, at_merge] }
}

fn a_merge_takes_over_the_line(space: &dyn Space) {
    let Split { world, tjp, common, left, right, merge, at } = split();
    // This space has the branch that the merge orphans.
    space.put_all(&world.all()[..at[0]]).unwrap();
    space.put_all(&world.all()[at[1]..at[2]]).unwrap();
    let tjp_id = id_of(space, &tjp);
    let frame_at = |n| space.frame_at(tjp_id, n).unwrap().map(|id| space.node(id).unwrap().addr);
    assert_eq!(frame_at(2), Some(addr(&right)));
    space.put_all(world.all()).unwrap();
    assert_eq!(space.tip(&addr(&tjp).into()).unwrap().unwrap().addr, addr(&merge));
    assert_eq!(frame_at(0), Some(addr(&tjp)));
    assert_eq!(frame_at(1), Some(addr(&common)));
    assert_eq!(frame_at(2), Some(addr(&left[0])), "the orphan with the same n is beside the line");
    assert_eq!(frame_at(3), Some(addr(&left[1])));
    assert_eq!(frame_at(9), Some(addr(&merge)));
    assert!(space.row(id_of(space, &right)).unwrap().is_off_mainline);
}

fn an_orphan_may_join_a_standing_line(space: &dyn Space) {
    let Split { world, tjp, left, right, merge, at, .. } = split();
    space.put_all(&world.all()[..at[1]]).unwrap();
    let mut rest = world.since(at[1]).to_vec();
    rest.reverse();
    space.put_all(&rest).unwrap();
    let tjp_id = id_of(space, &tjp);
    assert_eq!(space.frame_at(tjp_id, 2).unwrap(), Some(id_of(space, &left[0])));
    assert!(space.row(id_of(space, &right)).unwrap().is_off_mainline);
    assert!(!space.row(id_of(space, &merge)).unwrap().is_off_mainline);
}

fn extends_goes_through_past_and_orphans(space: &dyn Space) {
    let Split { mut world, tjp, common, left, right, merge, .. } = split();
    let stone = world.stone("s");
    space.put_all(world.all()).unwrap();
    let extends = |newer: &IbGib, older: &IbGib| {
        space.extends(id_of(space, newer), id_of(space, older)).unwrap()
    };
    for frame in [&tjp, &common, &left[0], &left[1], &right, &merge] {
        assert!(extends(&merge, frame));
        assert!(extends(frame, frame));
        assert!(extends(frame, &tjp));
        assert!(!extends(frame, &stone) && !extends(&stone, frame));
    }
    assert!(extends(&right, &common) && !extends(&common, &right));
    assert!(!extends(&left[1], &right) && !extends(&right, &left[0]));
}

fn names_are_pointers(space: &dyn Space) {
    let mut world = World::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| TjpAddr::from(addr(&world.stone(name))));
    assert_eq!(space.name("X").unwrap(), None);
    space.set_name("X", &a).unwrap();
    assert_eq!(space.name("X").unwrap(), Some(a));
    let names = vec![("X".to_owned(), b.clone())];
    let opts = PutOpts { names, ..PutOpts::default() };
    space.put(&mut std::iter::empty(), &opts).unwrap();
    assert_eq!(space.name("X").unwrap(), Some(b.clone()));
    let mut bad = std::iter::once(Err(SpaceError::NoSuchId(RowId(7))));
    let names = vec![("X".to_owned(), c)];
    space.put(&mut bad, &PutOpts { names, ..PutOpts::default() }).unwrap_err();
    assert_eq!(space.name("X").unwrap(), Some(b), "a put that fails names nothing");
}

fn timelines_come_by_kind_and_page(space: &dyn Space) {
    let mut world = World::default();
    let mut data = Vec::new();
    for i in 0..5 {
        let timeline = world.timeline(&format!("x{i}"));
        data.push(addr(world.tip(timeline)));
    }
    let saga = world.timeline("sync_saga abc");
    world.edit(saga, json!({ "stage": "init" }));
    space.put_all(world.all()).unwrap();
    let page = |after, limit| space.timelines(TimelineKind::Data, after, limit).unwrap();
    let first = page(None, 3);
    let rest = page(Some(first[2].tjp_id), 3);
    let told: Vec<_> = first.iter().chain(&rest).map(|timeline| timeline.tjp.clone()).collect();
    assert_eq!(told, data);
    let sagas = space.timelines(TimelineKind::Saga, None, 10).unwrap();
    assert_eq!(sagas.len(), 1);
    assert_eq!((&sagas[0].tip.addr, sagas[0].tip.n), (&addr(world.tip(saga)), 1));
    assert_eq!(space.timeline_of(sagas[0].tjp_id).unwrap().as_ref(), Some(&sagas[0]));
    assert_eq!(space.timeline_of(sagas[0].tip.id).unwrap(), None);
    assert_eq!(space.timelines(TimelineKind::Keystone, None, 10).unwrap(), []);
}

fn unreferenced_stones_are_those_that_nothing_relates_to(space: &dyn Space) {
    let mut world = World::default();
    let a = world.stone("a");
    let b = world.stone("b");
    let holder = world.stone_on("holder", &[&a]);
    let unreferenced = |space: &dyn Space| -> Vec<_> {
        space.unreferenced_stones(None, 10).unwrap().into_iter().map(|(_, addr)| addr).collect()
    };
    space.put_all(world.all()).unwrap();
    assert_eq!(unreferenced(space), [addr(&b), addr(&holder)]);
    let after = space.unreferenced_stones(None, 1).unwrap();
    assert_eq!(space.unreferenced_stones(Some(after[0].0), 10).unwrap()[0].1, addr(&holder));
    let x = world.timeline("x");
    world.relate(x, "has", &[&b]);
    space.put_all(world.all()).unwrap();
    assert_eq!(unreferenced(space), [addr(&holder)], "dna is not among them");
}

fn live_timelines_are_told_from_the_index(space: &dyn Space) {
    let mut world = World::default();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|ib| world.timeline(ib));
    let tjps = [a, b, c, d].map(|timeline| world.tip(timeline).clone());
    let leaf = world.stone("leaf");
    // a → stone → b → c; only b's second frame knows c; nothing leads to d.
    let stone = world.stone_on("between", &[&tjps[b], &leaf]);
    world.relate(a, "has", &[&stone]);
    world.relate(b, "has", &[&tjps[c]]);
    space.put_all(world.all()).unwrap();
    let live = |roots: &[&IbGib]| {
        let roots: Vec<RowId> = roots.iter().map(|root| id_of(space, root)).collect();
        space.live_timelines(&roots).unwrap()
    };
    let ids = |wanted: &[&IbGib]| {
        let mut ids: Vec<RowId> = wanted.iter().map(|ibgib| id_of(space, ibgib)).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(live(&[&tjps[a]]), ids(&[&tjps[a], &tjps[b], &tjps[c]]));
    assert_eq!(live(&[world.tip(b)]), ids(&[&tjps[b], &tjps[c]]), "any frame stands for its own");
    assert_eq!(live(&[&stone, &tjps[d]]), ids(&[&stone, &tjps[b], &tjps[c], &tjps[d]]));
    assert_eq!(live(&[&leaf]), ids(&[&leaf]));
    assert_eq!(live(&[]), [] as [RowId; 0]);
}

fn moves_are_checked(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = addr(world.tip(x));
    let first = world.len();
    let next = addr(&world.edit(x, json!({ "a": 1 })));
    let put = |ibgibs: &[IbGib], from: Option<_>, to: &_| {
        let moves = vec![TipMove { tjp: tjp.clone().into(), from, to: Clone::clone(to) }];
        let mut batch = ibgibs.iter().map(|ibgib| Ok(Prepared::new(ibgib)?));
        space.put(&mut batch, &PutOpts { moves, ..PutOpts::default() })
    };
    let moved = put(&world.all()[..first], Some(next.clone()), &tjp).unwrap_err();
    assert!(matches!(moved, SpaceError::TipMoved { found: None, .. }), "{moved}");
    put(&world.all()[..first], None, &tjp).unwrap();
    let moved = put(world.since(first), None, &next).unwrap_err();
    assert!(matches!(moved, SpaceError::TipMoved { expected: None, .. }), "{moved}");
    let moved = put(&[], Some(tjp.clone()), &next).unwrap_err();
    assert!(matches!(moved, SpaceError::TipMoved { .. }), "did not get there: {moved}");
    assert_eq!(space.tip(&tjp.clone().into()).unwrap().unwrap().addr, tjp);
    put(world.since(first), Some(tjp.clone()), &next).unwrap();
    assert_eq!(space.tip(&tjp.into()).unwrap().unwrap().addr, next);
}

fn a_batch_cannot_use_the_space_that_it_is_put_into(space: &dyn Space) {
    let mut world = World::default();
    let (one, two) = (world.stone("one"), world.stone("two"));
    space.put_all(std::slice::from_ref(&one)).unwrap();
    let in_use = |used: Result<(), SpaceError>| matches!(used, Err(SpaceError::InUse));
    let mut reads = std::iter::once_with(|| {
        assert!(in_use(space.find(&addr(&one)).map(drop)));
        assert!(in_use(space.set_name("X", &addr(&one).into())));
        assert!(in_use(space.put_all(std::slice::from_ref(&one)).map(drop)));
        space.get(&addr(&one))?;
        Ok(Prepared::new(&two)?)
    });
    assert!(in_use(space.put(&mut reads, &PutOpts::default()).map(drop)));
    assert_eq!(space.find(&addr(&two)).unwrap(), None);
    // The space is as good as before, also where the batch goes on after the error.
    let mut goes_on = std::iter::once_with(|| {
        assert!(in_use(space.find(&addr(&one)).map(drop)));
        Ok(Prepared::new(&two)?)
    });
    assert_eq!(space.put(&mut goes_on, &PutOpts::default()).unwrap().new, 1);
    assert!(space.find(&addr(&two)).unwrap().is_some());
}
