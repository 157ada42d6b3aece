//! Nodes that come late, come back, or miss the end of a sync.

use std::collections::BTreeMap;

use super::{Node, act, nodes, options, sync, sync_beside};
use crate::exchange::Exchange;
use crate::stream::Stream;

#[test]
fn a_node_without_its_mirror_and_a_late_one_take_the_newest_state() {
    let mut nodes = nodes(3, 20);
    let mut stream = Stream::new(5, 5);
    let mut play = |nodes: &mut [Node]| {
        for _ in 0..200 {
            let node = stream.below(nodes.len() as u64) as usize;
            act(&mut nodes[node], &mut stream, 20);
        }
    };
    let mut late = 0;
    play(&mut nodes);
    let synced = sync(&mut nodes);
    late += synced.late;
    assert_eq!(synced.joined, [0, 1, 2]);
    play(&mut nodes);
    // The process that syncs was restarted.
    nodes[1].exchange = Exchange::default();
    let synced = sync(&mut nodes);
    late += synced.late;
    assert_eq!((synced.joined, synced.parted), (vec![1], vec![]));
    play(&mut nodes);
    nodes.push(Node::of(&options(20)));
    play(&mut nodes);
    let synced = sync(&mut nodes);
    late += synced.late;
    assert_eq!((synced.joined, synced.number), (vec![3], 3));
    play(&mut nodes);
    late += sync(&mut nodes).late;
    let reported: u64 = nodes.iter().map(|node| node.reported).sum();
    assert_eq!(nodes[3].session.totals().completions + late, reported);
}

#[test]
fn an_offer_that_came_to_nothing_is_made_again_and_counts_once() {
    let mut nodes = nodes(2, 20);
    for node in &mut nodes {
        (0..20).for_each(|task_id| node.update(task_id, 0.5));
    }
    sync(&mut nodes);
    nodes[0].update(3, 1.0);
    nodes[0].begin();
    nodes[0].update(4, 1.0);
    assert_eq!(sync_beside(&mut nodes, |_| ())[0].episodes, 1);
    assert_eq!(nodes[1].session.read(3).unwrap().completion_count, 3);
    assert_eq!(nodes[1].session.read(4).unwrap().completion_count, 2);
    assert_eq!(sync(&mut nodes).episodes, 1);
    assert_eq!(nodes[1].session.read(4).unwrap().completion_count, 3);
}

#[test]
fn one_that_others_have_heard_and_it_has_not_finished_counts_once() {
    heard_and_not_finished(false);
    heard_and_not_finished(true);
}

fn heard_and_not_finished(restarted: bool) {
    let mut nodes = nodes(2, 20);
    for node in &mut nodes {
        (0..20).for_each(|task_id| node.update(task_id, 0.5));
    }
    sync(&mut nodes);
    nodes[0].update(3, 1.0);
    let messages: Vec<_> = nodes.iter_mut().map(Node::begin).collect();
    let other = &mut nodes[1];
    assert!(
        other
            .exchange
            .hear(&other.session, &messages)
            .unwrap()
            .is_none()
    );
    // Node 0 hears nothing, or dies here and its process that syncs comes back.
    if restarted {
        nodes[0].exchange = Exchange::default();
    }
    nodes[0].update(3, 0.0);
    let synced = sync_beside(&mut nodes, |_| ());
    assert_eq!(
        (synced[0].number, synced[0].joined.as_slice()),
        (3, &[0][..])
    );
    // An offer that was made already leaves what came after it to the next sync.
    sync(&mut nodes);
    assert_eq!(nodes[1].session.read(3).unwrap().completion_count, 4);
}

#[test]
fn a_session_that_was_loaded_takes_part_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut nodes = nodes(2, 20);
    for node in &mut nodes {
        (0..20).for_each(|task_id| node.update(task_id, 0.5));
    }
    sync(&mut nodes);
    nodes[1].session.save(&path).unwrap();
    nodes[0].update(1, 1.0);
    sync(&mut nodes);
    // The node comes back from an older checkpoint.
    nodes[1] = Node::of(&options(20));
    nodes[1].session.load(&path).unwrap();
    nodes[1].update(2, 1.0);
    let synced = sync(&mut nodes);
    assert_eq!((synced.number, synced.joined), (3, vec![1]));
    assert_eq!(nodes[1].session.read(1).unwrap().completion_count, 3);
    assert_eq!(nodes[0].session.read(2).unwrap().completion_count, 3);
    // All come back from checkpoints, of which one is newer.
    nodes[0].session.save(&path).unwrap();
    for node in &mut nodes {
        *node = Node::of(&options(20));
    }
    nodes[1].session.load(&path).unwrap();
    nodes[0].update(7, 0.25);
    assert_eq!(sync(&mut nodes).number, 4);
    let counts: BTreeMap<i64, u64> = nodes[0]
        .session
        .snapshot()
        .iter()
        .map(|data| (data.task_id, data.completion_count))
        .collect();
    assert_eq!((counts[&7], counts[&1], counts[&2]), (3, 3, 3));
}
