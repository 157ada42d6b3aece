use std::collections::BTreeMap;

use super::{Exchange, Synced};
use crate::error::Error;
use crate::options::SessionOptions;
use crate::rules::Rules;
use crate::session::Session;
use crate::stream::Stream;
use crate::structure::NewTask;

struct Node {
    session: Session,
    exchange: Exchange,
    reported: u64,
}

fn options(capacity: usize) -> SessionOptions {
    SessionOptions {
        capacity: Some(capacity),
        rules: Some(Rules {
            score_range: Some((0.0, 1.0)),
            ..Rules::default()
        }),
        max_labels: 8,
        max_inactive_labels: 2,
        sync_episodes: 10_000,
        ..SessionOptions::default()
    }
}

impl Node {
    fn of(options: &SessionOptions) -> Self {
        Self {
            session: Session::open(options).unwrap(),
            exchange: Exchange::default(),
            reported: 0,
        }
    }

    fn begin(&mut self) -> Vec<u8> {
        self.exchange.begin(&self.session).unwrap()
    }

    fn update(&mut self, task_id: i64, score: f64) {
        self.session.update(task_id, score, 3).unwrap();
        self.reported += 1;
    }
}

fn nodes(n: usize, capacity: usize) -> Vec<Node> {
    (0..n).map(|_| Node::of(&options(capacity))).collect()
}

/// One sync of all nodes; `meanwhile` is called after each round.
fn sync_beside(nodes: &mut [Node], mut meanwhile: impl FnMut(&mut [Node])) -> Vec<Synced> {
    let mut messages: Vec<Vec<u8>> = nodes.iter_mut().map(Node::begin).collect();
    loop {
        meanwhile(nodes);
        let answers: Vec<Option<Vec<u8>>> = nodes
            .iter_mut()
            .map(|node| node.exchange.hear(&node.session, &messages).unwrap())
            .collect();
        if answers.iter().all(Option::is_none) {
            break;
        }
        messages = answers.into_iter().map(|answer| answer.unwrap()).collect();
    }
    nodes
        .iter()
        .map(|node| node.exchange.synced().clone())
        .collect()
}

fn sync(nodes: &mut [Node]) -> Synced {
    let synced = sync_beside(nodes, |_| ());
    for (node, report) in nodes.iter().zip(&synced) {
        assert_eq!(report.digest, synced[0].digest);
        assert_eq!(node.session.digest(), report.digest, "rank {}", report.rank);
        node.session.verify().unwrap();
    }
    synced[0].clone()
}

fn create(session: &Session, task_id: i64, label: Option<&str>) -> bool {
    let new = NewTask {
        label,
        seed: Some(task_id as u64 + 7),
        ..NewTask::default()
    };
    session.create(task_id, &new).unwrap()
}

/// Something that a user may do, on a node.
fn act(node: &mut Node, stream: &mut Stream, capacity: u64) {
    let task_id = stream.below(capacity * 2) as i64;
    let labels = [None, Some("a"), Some("b"), Some("c"), Some("d")];
    let label = labels[stream.below(5) as usize];
    match stream.below(20) {
        0 => drop(node.session.remove(task_id, true).unwrap()),
        1 => drop(node.session.remove(task_id, false).unwrap()),
        2 | 3 => match node.session.set_label(task_id, label) {
            Ok(()) | Err(Error::UnknownTask(_)) => {}
            Err(error) => panic!("{error}"),
        },
        4 => {
            let new = stream.below(capacity * 2) as i64;
            node.session.replace(task_id, new, label).unwrap();
        }
        5 => match node
            .session
            .set_success_threshold(task_id, stream.next_f64())
        {
            Ok(()) | Err(Error::UnknownTask(_)) => {}
            Err(error) => panic!("{error}"),
        },
        _ => {
            let known = node.session.read(task_id).is_some();
            if known || node.session.task_ids().len() < capacity as usize {
                if !known {
                    create(&node.session, task_id, label);
                }
                node.update(task_id, f64::from(stream.below(5) as u8) / 4.0);
            }
        }
    }
}

#[test]
fn random_histories_end_in_equal_tables() {
    for seed in 0..40 {
        let (n, capacity) = (2 + seed % 3, [3, 10, 40][seed % 3]);
        let mut nodes = nodes(n, capacity);
        let mut stream = Stream::new(seed as u64, 1);
        let mut late = 0;
        for _ in 0..6 {
            for _ in 0..300 {
                let node = stream.below(n as u64) as usize;
                act(&mut nodes[node], &mut stream, capacity as u64);
            }
            late += sync(&mut nodes).late;
            let reported: u64 = nodes.iter().map(|node| node.reported).sum();
            for node in &nodes {
                assert_eq!(
                    node.session.totals().completions + late,
                    reported,
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn what_is_reported_during_a_sync_comes_with_the_next_one() {
    for seed in 0..40 {
        let (n, capacity) = (3, [3, 10, 40][seed % 3]);
        let mut nodes = nodes(n, capacity);
        let mut stream = Stream::new(seed as u64, 2);
        let mut late = 0;
        for _ in 0..6 {
            let synced = sync_beside(&mut nodes, |nodes| {
                for _ in 0..100 {
                    let node = stream.below(n as u64) as usize;
                    act(&mut nodes[node], &mut stream, capacity as u64);
                }
            });
            late += synced[0].late;
            for node in &nodes {
                node.session.verify().unwrap();
            }
        }
        late += sync(&mut nodes).late;
        let reported: u64 = nodes.iter().map(|node| node.reported).sum();
        assert_eq!(nodes[0].session.totals().completions + late, reported);
    }
}

#[test]
fn a_sync_is_one_machine_that_plays_all() {
    let mut nodes = nodes(3, 10);
    let one = Session::open(&options(10)).unwrap();
    for task_id in 0..10 {
        create(&one, task_id, Some("a"));
        for node in &nodes {
            create(&node.session, task_id, Some("a"));
        }
    }
    let mut stream = Stream::new(1, 1);
    for _ in 0..4 {
        let mut histories = vec![Vec::new(); 3];
        for _ in 0..200 {
            let (node, task_id) = (stream.below(3) as usize, stream.below(10) as i64);
            let score = stream.next_f64();
            nodes[node].update(task_id, score);
            histories[node].push((task_id, score));
        }
        sync(&mut nodes);
        for (task_id, score) in histories.concat() {
            one.update(task_id, score, 3).unwrap();
        }
        for task_id in 0..10 {
            let expected = one.read(task_id).unwrap();
            for node in &nodes {
                let found = node.session.read(task_id).unwrap();
                assert_eq!(found.p_fast.to_bits(), expected.p_fast.to_bits());
                assert_eq!(found.p_slow.to_bits(), expected.p_slow.to_bits());
                assert_eq!(found.lp_score.to_bits(), expected.lp_score.to_bits());
                assert_eq!(found.completion_count, expected.completion_count);
            }
        }
    }
}

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
    // Node 0 dies here, and its process that syncs comes back.
    nodes[0].exchange = Exchange::default();
    nodes[0].update(3, 0.0);
    let synced = sync(&mut nodes);
    assert_eq!((synced.number, synced.joined), (3, vec![0]));
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

#[test]
fn nodes_that_do_not_fit_together_are_told_what_differs() {
    let mut pair = vec![Node::of(&options(20)), Node::of(&options(30))];
    let begin =
        |pair: &mut Vec<Node>| -> Vec<Vec<u8>> { pair.iter_mut().map(Node::begin).collect() };
    let opened = begin(&mut pair);
    let settings: Vec<_> = pair
        .iter_mut()
        .map(|node| node.exchange.hear(&node.session, &opened).unwrap().unwrap())
        .collect();
    for node in &mut pair {
        let error = node.exchange.hear(&node.session, &settings).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("capacity = 20") && text.contains("capacity = 30"),
            "{text}"
        );
    }
    let mut pair = nodes(2, 20);
    let opened = begin(&mut pair);
    let same = [opened[0].clone(), opened[0].clone()];
    let first = &mut pair[0];
    let error = first.exchange.hear(&first.session, &same).unwrap_err();
    assert!(error.to_string().contains("the same session"), "{error}");
    let plain = Session::open(&SessionOptions {
        sync_episodes: 0,
        ..options(4)
    });
    let error = Exchange::default().begin(&plain.unwrap()).unwrap_err();
    assert!(error.to_string().contains("sync_episodes"), "{error}");
}

#[test]
fn a_full_journal_refuses_and_a_sync_empties_it() {
    let mut nodes: Vec<Node> = (0..2)
        .map(|_| {
            Node::of(&SessionOptions {
                sync_episodes: 100,
                ..options(10)
            })
        })
        .collect();
    for round in 0..3 {
        let mut written = 0;
        let full = loop {
            match nodes[0].session.update(1, 0.5, 1) {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(written >= 100, "{written} in round {round}");
        assert!(matches!(full, Error::Journal { episodes: 100 }));
        assert!(
            nodes[0]
                .session
                .update_many(&[1, 2], &[0.5, 0.5], &[])
                .is_err()
        );
        let before = nodes[0].session.totals().completions;
        nodes[0].session.verify().unwrap();
        assert_eq!(before, nodes[0].session.totals().completions);
        sync(&mut nodes);
    }
}

#[test]
fn garbled_messages_are_refused_or_played_but_break_nothing() {
    let mut stream = Stream::new(9, 9);
    for round in 0..300 {
        let mut nodes = nodes(2, 10);
        for _ in 0..60 {
            let node = stream.below(2) as usize;
            act(&mut nodes[node], &mut stream, 10);
        }
        if round % 2 == 0 {
            sync(&mut nodes);
            act(&mut nodes[0], &mut stream, 10);
        }
        let mut messages: Vec<Vec<u8>> = nodes.iter_mut().map(Node::begin).collect();
        loop {
            for _ in 0..stream.below(3) {
                let message = &mut messages[stream.below(2) as usize];
                let length = message.len().max(1) as u64;
                match stream.below(3) {
                    0 => message.truncate(stream.below(length) as usize),
                    1 => message.push(stream.below(256) as u8),
                    _ => {
                        let at = stream.below(length) as usize;
                        if let Some(byte) = message.get_mut(at) {
                            *byte ^= 1 << stream.below(8);
                        }
                    }
                }
            }
            let answers: Vec<_> = nodes
                .iter_mut()
                .map(|node| node.exchange.hear(&node.session, &messages))
                .collect();
            for node in &nodes {
                node.session.verify().unwrap();
            }
            let Ok(answers) = answers.into_iter().collect::<Result<Option<Vec<_>>, _>>() else {
                break;
            };
            match answers {
                Some(answers) => messages = answers,
                None => break,
            }
        }
        // The next one goes well.
        sync(&mut nodes);
    }
}
