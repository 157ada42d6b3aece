//! What is refused, and that it leaves no trace.

use super::{Node, act, nodes, options, sync};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::options::SessionOptions;
use crate::session::Session;
use crate::stream::Stream;

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
