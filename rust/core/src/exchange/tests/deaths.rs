//! Processes that sync and die over it, again and again, while their sessions live on.

use super::{Node, create, nodes, sync, sync_beside};
use crate::exchange::Exchange;
use crate::journal::Adopting;
use crate::stream::Stream;

/// What becomes of a node's process at a step of a sync.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    GoesOn,
    /// The transport fails.
    HearsNothing,
    DiesBefore,
    /// As it brings the session to the new state, which leaves it torn.
    DiesWithin,
    DiesAfter,
}

const ENDS: [Fate; 4] = [
    Fate::HearsNothing,
    Fate::DiesBefore,
    Fate::DiesWithin,
    Fate::DiesAfter,
];

/// Whether another node has the newest state, and could hand it out.
fn is_dispensable(nodes: &[Node], rank: usize) -> bool {
    let journal = |node: &Node| {
        let journal = node.session.table().journal().unwrap();
        (journal.number(), journal.adopting())
    };
    let newest = nodes.iter().map(|node| journal(node).0).max().unwrap();
    let mut others = nodes.iter().enumerate().filter(|(other, _)| *other != rank);
    others.any(|(_, other)| journal(other) == (newest, Adopting::Not))
}

fn tear(node: &Node) {
    let _structure = node.session.table().lock_structure().unwrap();
    let journal = node.session.table().journal().unwrap();
    journal.stand(journal.number(), Adopting::Torn);
}

/// A sync that some nodes may not see the end of.
fn sync_among_deaths(nodes: &mut [Node], stream: &mut Stream, mildness: u64) {
    let mut fate = || match stream.below(mildness) {
        0 => ENDS[stream.below(4) as usize],
        _ => Fate::GoesOn,
    };
    let mut messages: Vec<Option<Vec<u8>>> =
        nodes.iter_mut().map(|node| Some(node.begin())).collect();
    while let Some(heard) = messages.into_iter().collect::<Option<Vec<_>>>() {
        let mut answers = Vec::new();
        for rank in 0..nodes.len() {
            let fate = fate();
            let dispensable = is_dispensable(nodes, rank);
            let node = &mut nodes[rank];
            if fate == Fate::DiesWithin && dispensable {
                tear(node);
            }
            let hears = matches!(fate, Fate::GoesOn | Fate::DiesAfter);
            let answer = hears.then(|| node.exchange.hear(&node.session, &heard).unwrap());
            if fate != Fate::GoesOn && fate != Fate::HearsNothing {
                node.exchange = Exchange::default();
            }
            // Nobody hears the dead.
            answers.push(answer.filter(|_| fate == Fate::GoesOn));
        }
        messages = answers.into_iter().map(Option::flatten).collect();
    }
}

#[test]
fn whoever_dies_over_syncs_every_episode_counts_once() {
    for seed in 0..30 {
        let n = 2 + seed as usize % 3;
        let mut nodes = nodes(n, 8);
        for node in &nodes {
            (0..4).for_each(|task_id| assert!(create(&node.session, task_id, None)));
        }
        sync(&mut nodes);
        let mut stream = Stream::new(seed, 2);
        for _ in 0..40 {
            for _ in 0..stream.below(6) {
                let node = stream.below(n as u64) as usize;
                nodes[node].update(stream.below(4) as i64, 0.5);
            }
            sync_among_deaths(&mut nodes, &mut stream, 4);
        }
        // The first one finishes what is open, the second one brings what came after that.
        sync_beside(&mut nodes, |_| ());
        assert!(sync(&mut nodes).joined.is_empty());
        let reported: u64 = nodes.iter().map(|node| node.reported).sum();
        for node in &nodes {
            assert_eq!(node.session.totals().completions, reported, "seed {seed}");
        }
    }
}

#[test]
fn an_offer_of_which_nobody_can_know_whether_it_was_taken_is_named() {
    let mut nodes = nodes(2, 8);
    for node in &nodes {
        assert!(create(&node.session, 1, None));
    }
    sync(&mut nodes);
    (0..3).for_each(|_| nodes[1].update(1, 0.5));
    let messages: Vec<Vec<u8>> = nodes.iter_mut().map(Node::begin).collect();
    let [one, other] = &mut nodes[..] else {
        unreachable!("two nodes")
    };
    assert_eq!(one.exchange.hear(&one.session, &messages).unwrap(), None);
    // One has finished, the other never heard of it, and both die.
    one.exchange = Exchange::default();
    other.exchange = Exchange::default();
    let synced = sync(&mut nodes);
    assert_eq!(synced.doubtful, [1]);
    for node in &nodes {
        assert_eq!(node.session.totals().completions, 3);
    }
    assert!(sync(&mut nodes).doubtful.is_empty());
}
