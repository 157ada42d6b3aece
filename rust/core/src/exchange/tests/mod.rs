//! Nodes in one process.

mod comings;
mod deaths;
mod refusals;

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
fn what_a_thread_reports_meanwhile_is_in_the_table_after_a_sync() {
    (0..5).for_each(|_| report_meanwhile());
}

fn report_meanwhile() {
    const EPISODES: u64 = 30_000;
    let mut nodes = nodes(2, 5);
    let mut told = 0;
    for task_id in 0..5 {
        nodes[1].update(task_id, 0.5);
        told += 1;
    }
    sync(&mut nodes);
    let session = std::sync::Arc::new(std::mem::replace(
        &mut nodes[0].session,
        Session::open(&options(5)).unwrap(),
    ));
    let working = session.clone();
    let worker = std::thread::spawn(move || {
        for episode in 0..EPISODES {
            while matches!(
                working.update((episode % 5) as i64, 0.25, 1),
                Err(Error::Journal { .. })
            ) {
                std::thread::yield_now();
            }
        }
    });
    let mut exchanges: Vec<Exchange> = nodes
        .iter_mut()
        .map(|n| std::mem::take(&mut n.exchange))
        .collect();
    let sessions = [&*session, &nodes[1].session];
    while !worker.is_finished() {
        sessions[1].update(3, 1.0, 1).unwrap();
        told += 1;
        let mut messages: Vec<_> = (0..2)
            .map(|i| exchanges[i].begin(sessions[i]).unwrap())
            .collect();
        loop {
            let answers: Vec<_> = (0..2)
                .map(|i| exchanges[i].hear(sessions[i], &messages).unwrap())
                .collect();
            match answers.into_iter().collect::<Option<Vec<_>>>() {
                Some(answers) => messages = answers,
                None => break,
            }
        }
    }
    worker.join().unwrap();
    let counted = session.totals().completions;
    assert_eq!(counted, EPISODES + told);
    session.verify().unwrap();
}
