//! A commit over a record, its stripe's totals and its label's totals, and what recovers it.

use std::sync::Arc;

use curricle_core::layout::LABEL_TALLY_WORDS;
use curricle_core::words::Word;
use curricle_core::{Session, Table, modelled};

use crate::{counts_of_record, exhaust, explore, latch_words, session, spawn, watch};

/// The number of the only label.
const LABEL: usize = 1;
/// Words of a tally that count episodes and sum scores.
const COUNTS: [usize; 2] = [3, 4];

fn counts_of_totals(table: &Table, stripe: usize) -> impl Iterator<Item = &Word> {
    let stripe = &table.stripes()[stripe];
    latch_words(&stripe.sequence, &stripe.totals, &COUNTS)
}

fn counts_of_label(table: &Table) -> impl Iterator<Item = &Word> {
    let n = LABEL_TALLY_WORDS;
    let words = table
        .segment()
        .mapping()
        .slice::<Word>(table.layout.label_totals_at + LABEL * n * 8, n);
    latch_words(&words[0], &words[1..], &COUNTS)
}

/// One task with a label, under watch.
fn watched() -> Arc<Session> {
    let session = session(1, &[7], Some("a"));
    let table = session.table();
    watch(
        table,
        counts_of_record(table, 0)
            .chain(counts_of_totals(table, 0))
            .chain(counts_of_label(table))
            .chain([&table.stripes()[0].intent.armed]),
    );
    session
}

fn update(session: &Session) {
    session.table().update(7, 1.0, 0).unwrap();
}

/// The episodes that record, label and stripe count, each of which must be whole.
fn episodes_of_record(session: &Session) -> u64 {
    let (_, data) = session.table().record(0).load();
    assert_eq!(data.completion_count as f64, data.total_score);
    data.completion_count
}

fn episodes_of_totals(session: &Session) -> u64 {
    let tally = session.table().fold();
    assert_eq!(tally.completions() as f64, tally.score_sum());
    tally.completions()
}

fn episodes_of_label(session: &Session) -> u64 {
    let tally = session.table().fold_label(LABEL);
    assert_eq!(tally.completions() as f64, tally.score_sum());
    tally.completions()
}

/// After all threads: everything agrees, down to the last word.
fn check_end(session: &Session, episodes: u64) {
    modelled::settle();
    assert_eq!(session.verify().unwrap().completions, episodes);
    assert_eq!(session.read(7).unwrap().completion_count, episodes);
}

/// Writers with `updates` each, beside readers.
fn update_beside(writers: u64, updates: u64, readers: &[fn(&Session) -> u64]) {
    let session = watched();
    let mut threads: Vec<_> = (0..writers)
        .map(|_| {
            spawn(&session, move |session| {
                (0..updates).for_each(|_| update(session))
            })
        })
        .collect();
    threads.extend(readers.iter().map(|&read| {
        spawn(&session, move |session| {
            read(session);
        })
    }));
    for thread in threads {
        thread.join().unwrap();
    }
    check_end(&session, writers * updates);
}

#[test]
fn a_record_is_read_whole() {
    exhaust(|| update_beside(1, 2, &[episodes_of_record]));
}

#[test]
fn totals_are_read_whole() {
    exhaust(|| update_beside(1, 2, &[episodes_of_totals]));
}

#[test]
fn totals_of_a_label_are_read_whole() {
    exhaust(|| update_beside(1, 2, &[episodes_of_label]));
}

#[test]
fn two_writers_and_a_reader() {
    explore(2, || update_beside(2, 1, &[episodes_of_record]));
}

#[test]
fn two_writers_and_two_readers() {
    explore(2, || {
        update_beside(2, 1, &[episodes_of_record, episodes_of_totals])
    });
}

/// A commit publishes the record first, its label last: nobody sees the later without the earlier.
fn in_order(session: &Session) -> u64 {
    let label = episodes_of_label(session);
    let totals = episodes_of_totals(session);
    let record = episodes_of_record(session);
    assert!(
        label <= totals && totals <= record,
        "{label} {totals} {record}"
    );
    label
}

#[test]
fn what_is_summed_is_in_its_record() {
    explore(2, || update_beside(1, 2, &[in_order]));
}

/// Watched stores of a commit: two words each for record, totals and label, the commit word twice,
/// three publications.
const STORES: usize = 11;

#[test]
fn a_death_anywhere_in_a_commit_is_recovered_beside_a_reader() {
    for stores in 0..STORES {
        explore(1, move || {
            let session = watched();
            let threads = [
                spawn(&session, move |session| {
                    modelled::killed_after(stores, || update(session));
                }),
                spawn(&session, update),
                spawn(&session, |session| {
                    in_order(session);
                }),
            ];
            for thread in threads {
                thread.join().unwrap();
            }
            // Recovers, if the killed writer came last.
            drop(session.table().lock_stripe(0).unwrap());
            // The commit word is the store after those that fill copies.
            let episodes = if stores <= 6 { 1 } else { 2 };
            check_end(&session, episodes);
        });
    }
}
