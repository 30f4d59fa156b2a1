//! Graphs of a space: streamed, counted, compared.

use std::ops::ControlFlow;

use serde_json::json;

use super::for_every_space;
use super::world::{World, addr};
use crate::ibgib::IbGib;
use crate::space::{
    GraphStats, GraphTally, MemorySpace, Node, Prepared, RowId, Space, SpaceError, SpaceExt, chain,
    compare_graphs, dependency_graph, graph_stats,
};

for_every_space!(
    nodes_come_after_what_they_relate_to,
    a_live_graph_steps_to_tips,
    a_walk_can_be_ended,
    stats_count,
    equal_graphs_are_the_same,
    chains_go_down_to_where_they_are_told,
);

fn id_of(space: &dyn Space, ibgib: &IbGib) -> RowId {
    space.find(&addr(ibgib)).unwrap().unwrap()
}

fn graph(space: &dyn Space, root: &IbGib, live: bool) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut visit = |node: &Node| {
        nodes.push(node.clone());
        Ok::<_, SpaceError>(ControlFlow::Continue(()))
    };
    dependency_graph(space, &[id_of(space, root)], live, &mut visit).unwrap();
    nodes
}

/// X relates to the first frame of Y, which has another; Z stands alone.
fn world() -> (World, usize, usize) {
    let mut world = World::default();
    let (x, y) = (world.timeline("x"), world.timeline("y"));
    let z = world.timeline("z");
    world.edit(z, json!({ "z": 1 }));
    let first = world.tip(y).clone();
    let stone = world.stone("s");
    world.relate(x, "has", &[&first, &stone]);
    world.edit(x, json!({ "x": 1 }));
    world.edit(y, json!({ "y": 1 }));
    (world, x, y)
}

fn nodes_come_after_what_they_relate_to(space: &dyn Space) {
    let (world, x, y) = world();
    space.put_all(world.all()).unwrap();
    let nodes = graph(space, world.tip(x), false);
    let mut seen = std::collections::HashSet::new();
    for node in &nodes {
        assert!(node.rel8ds.iter().all(|rel8d| seen.contains(rel8d)), "{}", node.addr);
        assert!(seen.insert(node.addr.clone()), "{} came twice", node.addr);
    }
    // Three frames of x, two dna, y's first frame and the stone. A tjp's dna is related to by
    // nothing: a fork of the root has no relations.
    assert_eq!(nodes.len(), 7);
    assert_eq!(nodes.last().unwrap().addr, addr(world.tip(x)));
    assert!(!seen.contains(&addr(world.tip(y))), "y's later frame is no dependency");
}

fn a_live_graph_steps_to_tips(space: &dyn Space) {
    let (world, x, y) = world();
    space.put_all(world.all()).unwrap();
    let tjp = world.all().iter().find(|one| one.ib == "x").unwrap();
    let nodes = graph(space, tjp, true);
    let has = |wanted: &IbGib| nodes.iter().any(|node| node.addr == addr(wanted));
    assert!(has(world.tip(x)) && has(world.tip(y)));
    assert_eq!(nodes.len(), 9, "y's second frame and its dna besides");
    assert!(!nodes.iter().any(|node| node.addr.ib() == "z"));
}

fn a_walk_can_be_ended(space: &dyn Space) {
    let (world, x, _) = world();
    space.put_all(world.all()).unwrap();
    let mut count = 0;
    let mut visit = |_: &Node| {
        count += 1;
        let next = if count < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        Ok::<_, SpaceError>(next)
    };
    dependency_graph(space, &[id_of(space, world.tip(x))], false, &mut visit).unwrap();
    assert_eq!(count, 3);
}

fn stats_count(space: &dyn Space) {
    let (world, x, _) = world();
    space.put_all(world.all()).unwrap();
    let nodes = graph(space, world.tip(x), false);
    let bytes = nodes.iter().map(|node| space.text(node.id).unwrap().len() as u64).sum();
    let edges = nodes.iter().map(|node| node.rel8ds.len() as u64).sum();
    let stats = graph_stats(space, &[id_of(space, world.tip(x))], false).unwrap();
    let counted =
        GraphStats { nodes: 7, frames: 4, timelines: 2, stones: 1, dnas: 2, edges, bytes };
    assert_eq!(stats, counted);
    let texts: Vec<_> = nodes.iter().map(|node| space.text(node.id).unwrap()).collect();
    let items: Vec<_> = texts.iter().map(|text| Prepared::from_json(text).unwrap()).collect();
    let mut tally = GraphTally::default();
    items.iter().for_each(|item| tally.add(item).unwrap());
    assert_eq!(tally.stats(), counted);
    assert!(tally.has(&addr(world.tip(x))));
    assert!(tally.add(&items[3]).unwrap_err().ends_with(" came twice"));
    let mut without = GraphTally::default();
    let mut rest = items[1..].iter().map(|item| without.add(item));
    assert!(rest.find_map(Result::err).unwrap().ends_with(", which did not come"));
}

fn equal_graphs_are_the_same(space: &dyn Space) {
    let (mut world, x, _) = world();
    let other = MemorySpace::new();
    other.put_all(&[world.stone("ahead, so that numbers differ")]).unwrap();
    space.put_all(world.all()).unwrap();
    other.put_all(world.all()).unwrap();
    let older = world.tip(x).clone();
    let roots = |space: &dyn Space, ibgib: &IbGib| vec![id_of(space, ibgib)];
    let same = compare_graphs(space, &roots(space, &older), &other, &roots(&other, &older));
    let same = same.unwrap();
    assert!(same.is_same() && same.nodes_a == 7 && same.nodes_b == 7);
    let stored = world.len();
    let newer = world.edit(x, json!({ "x": 2 }));
    other.put_all(world.since(stored)).unwrap();
    let diff = compare_graphs(space, &roots(space, &older), &other, &roots(&other, &newer));
    let diff = diff.unwrap();
    assert!(!diff.is_same());
    assert_eq!((diff.only_a.count, diff.only_b.count), (0, 2));
    assert_eq!(diff.only_b.first.last(), Some(&addr(&newer)));
    let back = compare_graphs(&other, &roots(&other, &newer), space, &roots(space, &older));
    assert_eq!(back.unwrap().only_a, diff.only_b);
}

fn chains_go_down_to_where_they_are_told(space: &dyn Space) {
    let mut world = World::default();
    let x = world.timeline("x");
    let frames: Vec<IbGib> = (0..5).map(|i| world.edit(x, json!({ "i": i }))).collect();
    space.put_all(world.all()).unwrap();
    let ids: Vec<RowId> = frames.iter().map(|frame| id_of(space, frame)).collect();
    let above_2 = chain(space, ids[4], |row| row.n <= 2).unwrap();
    assert_eq!(above_2, ids[2..]);
    assert_eq!(chain(space, ids[3], |row| row.id == ids[0]).unwrap(), ids[1..4]);
    let whole = chain(space, ids[4], |_| false).unwrap();
    assert_eq!(whole.len(), 6, "down to the tjp");
    assert_eq!(whole[1..], ids);
}
