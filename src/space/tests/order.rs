//! The order of a batch changes nothing.

use proptest::prelude::*;
use serde_json::json;

use super::world::{World, addr};
use crate::ibgib::IbGib;
use crate::space::{Domain, MemorySpace, Space, SpaceExt, SqliteSpace, TimelineKind};

/// One step of a random history; numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    Timeline,
    Edit(usize),
    Relate(usize, usize),
    Stone(usize, usize),
    /// A branch of some frames and a merge on top of them.
    Merge(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = 0..1_000usize;
    let step = prop_oneof![
        1 => Just(Step::Timeline),
        4 => any.clone().prop_map(Step::Edit),
        3 => (any.clone(), any.clone()).prop_map(|(a, b)| Step::Relate(a, b)),
        2 => (any.clone(), any.clone()).prop_map(|(a, b)| Step::Stone(a, b)),
        1 => (any, 1..4usize).prop_map(|(a, b)| Step::Merge(a, b)),
    ];
    prop::collection::vec(step, 1..25)
}

/// A world, and how many ibGibs there were after each step.
fn build(steps: &[Step]) -> (World, Vec<usize>) {
    let mut ends = Vec::new();
    let mut world = World::default();
    let mut timelines = vec![world.timeline("t0")];
    for (i, step) in steps.iter().enumerate() {
        let timeline = |choice: usize| timelines[choice % timelines.len()];
        let any = |world: &World, choice: usize| world.all()[choice % world.len()].clone();
        match *step {
            Step::Timeline => timelines.push(world.timeline(&format!("t{i}"))),
            Step::Edit(of) => drop(world.edit(timeline(of), json!({ "i": i }))),
            Step::Relate(of, to) => {
                let to = any(&world, to);
                world.relate(timeline(of), "has", &[&to]);
            }
            Step::Stone(a, b) => {
                let (a, b) = (any(&world, a), any(&world, b));
                world.stone_on(&format!("s{i}"), &[&a, &b]);
            }
            Step::Merge(of, length) => {
                let x = timeline(of);
                let mut orphan = world.tip(x).clone();
                for j in 0..length {
                    world.edit(x, json!({ "kept": i, "j": j }));
                    orphan = world.edit_of(&orphan, json!({ "orphan": i, "j": j }));
                }
                world.relate(x, "graftorphan", &[&orphan]);
            }
        }
        ends.push(world.len());
    }
    (world, ends)
}

/// All that can be asked of a space, in words that do not depend on row numbers.
fn picture(space: &dyn Space, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let name = |id| space.node(id).unwrap().addr.to_string();
    for ibgib in world.all() {
        let id = space.find(&addr(ibgib)).unwrap().unwrap();
        let row = space.row(id).unwrap();
        let ids = [row.timeline, row.prev, row.orphan].map(|id| id.map(name));
        lines.push(format!("{} {ids:?} {} {}", name(id), row.n, row.is_off_mainline));
        let mut live: Vec<_> = space.live_timelines(&[id]).unwrap().into_iter().map(name).collect();
        live.sort();
        lines.push(format!("live {live:?}"));
    }
    for timeline in space.timelines(TimelineKind::Data, None, 1_000).unwrap() {
        lines.push(format!("{} {} {}", timeline.tjp, timeline.tip.addr, timeline.tip.n));
        for n in 0..=timeline.tip.n {
            lines.push(format!(
                "{n}: {}",
                name(space.frame_at(timeline.tjp_id, n).unwrap().unwrap())
            ));
        }
    }
    for (_, stone) in space.unreferenced_stones(None, 1_000).unwrap() {
        lines.push(format!("loose {stone}"));
    }
    lines.push(format!("{:?}", space.count().unwrap()));
    lines.sort();
    lines
}

fn shuffled() -> impl Strategy<Value = (Vec<Step>, Vec<prop::sample::Index>, usize)> {
    (steps(), prop::collection::vec(any::<prop::sample::Index>(), 400), 1..4usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same((steps, swaps, stride) in shuffled()) {
        let (world, ends) = build(&steps);
        let ordered = MemorySpace::new();
        ordered.put_all(world.all()).unwrap();
        let expected = picture(&ordered, &world);

        let mut batch: Vec<IbGib> = world.all().to_vec();
        for (i, swap) in swaps.iter().enumerate() {
            let len = batch.len();
            batch.swap(i % len, swap.index(len));
        }
        let memory = MemorySpace::new();
        memory.put_all(&batch).unwrap();
        prop_assert_eq!(picture(&memory, &world), expected.clone());

        let dir = tempfile::tempdir().unwrap();
        let sqlite = SqliteSpace::create_if_missing(&dir.path().join("s.db"), Domain::Client).unwrap();
        sqlite.put_all(&batch).unwrap();
        prop_assert_eq!(picture(&sqlite, &world), expected.clone());

        // What is put in several puts, each closed, stands as what is put in one.
        let several = sqlite.with_domain(Domain::named("several"));
        let mut put = 0;
        for end in ends.into_iter().step_by(stride) {
            several.put_all(&world.all()[put..end]).unwrap();
            put = end;
        }
        several.put_all(world.all()).unwrap();
        prop_assert_eq!(picture(&several, &world), expected);
    }
}
