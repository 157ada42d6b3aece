//! Stripes that take chunks of the journal from one stock, each under its own lock.

use std::sync::Arc;

use curricle_core::exchange::Exchange;
use curricle_core::words::Word;
use curricle_core::{Session, Table, modelled};

use crate::{explore, session_that_syncs, spawn, watch};

/// Episodes of a task that its stripe's first chunk has room for beside its creation, less one: the
/// next one takes another chunk.
const BEFORE: usize = 62;
/// Where the stock's hint and its count are among the journal's own words.
const STOCK: [usize; 2] = [6, 7];
/// Words of a stripe's part.
const STRIPE_WORDS: usize = 8;

/// What chunks are taken by: their owners, the stock, and the stripes' lengths, firsts and places.
fn chunk_words(table: &Table) -> impl Iterator<Item = &Word> {
    let (layout, mapping) = (&table.layout, table.segment().mapping());
    let own = mapping.slice::<Word>(layout.journal_at, STRIPE_WORDS);
    let stripes = mapping.slice::<Word>(layout.journal_stripes_at, layout.stripes * STRIPE_WORDS);
    let places = stripes
        .chunks(STRIPE_WORDS)
        .flat_map(|words| [&words[0], &words[4], &words[5], &words[6]]);
    mapping
        .slice::<Word>(layout.chunks_at, layout.chunks)
        .iter()
        .chain(STOCK.map(|at| &own[at]))
        .chain(places)
}

/// Two tasks in two stripes, each with `before` episodes.
fn watched(before: usize) -> Arc<Session> {
    let session = session_that_syncs(2, &[1, 2]);
    for task_id in [1, 2] {
        (0..before).for_each(|_| update(&session, task_id));
    }
    watch(session.table(), chunk_words(session.table()));
    session
}

fn update(session: &Session, task_id: i64) {
    session.table().update(task_id, 1.0, 0).unwrap();
}

/// After all threads: the table agrees, and a sync with nobody replays just the episodes it has.
fn check_end(session: &Session, episodes: u64) {
    modelled::settle();
    assert_eq!(session.verify().unwrap().completions, episodes);
    let mut exchange = Exchange::default();
    let mut said = Some(exchange.begin(session).unwrap());
    while let Some(message) = said {
        said = exchange.hear(session, &[message]).unwrap();
    }
    assert_eq!(session.verify().unwrap().completions, episodes);
    assert_eq!(session.digest(), exchange.synced().digest);
}

#[test]
fn two_stripes_take_chunks_at_once() {
    explore(3, || {
        let session = watched(BEFORE);
        let threads =
            [1, 2].map(|task_id| spawn(&session, move |session| update(session, task_id)));
        for thread in threads {
            thread.join().unwrap();
        }
        check_end(&session, 2 * (BEFORE as u64 + 1));
    });
}

/// Watched stores of an update that takes a chunk: the hint, the link, the place, the length.
const STORES: usize = 4;

#[test]
fn a_death_over_a_chunk_leaves_the_other_stripe_its_own() {
    for stores in 0..STORES {
        explore(2, move || {
            let session = watched(BEFORE);
            let threads = [
                spawn(&session, move |session| {
                    modelled::killed_after(stores, || update(session, 1));
                }),
                spawn(&session, |session| update(session, 2)),
            ];
            for thread in threads {
                thread.join().unwrap();
            }
            // Recovers the stripe, and writes on.
            update(&session, 1);
            // The length is the only one after the commit word.
            let of_the_dead = u64::from(stores == STORES - 1);
            check_end(&session, 2 * (BEFORE as u64 + 1) + of_the_dead);
        });
    }
}
