//! The protocol of the session's memory under a weak memory model: every interleaving of a few
//! threads, and every value that a load may return on a machine that reorders as ARM does.
//!
//! The code is the session's own, on a session's own layout; see `curricle_core::modelled`. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p curricle-core --profile loom --test loom`.

#![cfg(loom)]

mod commit;
mod index;
mod journal;
mod latch;
mod loads;
mod tenancy;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use curricle_core::journal::CHUNK_ENTRIES;
use curricle_core::layout::RECORD_HEAD_WORDS;
use curricle_core::modelled;
use curricle_core::segment::Mode;
use curricle_core::words::Word;
use curricle_core::{NewTask, Session, SessionOptions, Table};

/// Runs every execution of a model.
fn exhaust(model: impl Fn() + Send + Sync + 'static) {
    check(None, model);
}

/// Runs every execution of a model with at most `preemptions` switches away from a thread that
/// could go on. `LOOM_MAX_PREEMPTIONS` asks for another number of them.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let asked = loom::model::Builder::new().preemption_bound;
    check(asked.or(Some(preemptions)), model);
}

fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let bound = preemptions.map_or("all".to_owned(), |most| {
        format!("at most {most} preemptions")
    });
    println!("{} executions, {bound}", executions.load(Ordering::Relaxed));
}

/// A session in plain memory.
fn session(capacity: usize, tasks: &[i64], label: Option<&str>) -> Arc<Session> {
    open(capacity, tasks, label, 0)
}

/// A session in plain memory that keeps a journal.
fn session_that_syncs(capacity: usize, tasks: &[i64]) -> Arc<Session> {
    open(capacity, tasks, None, 2 * CHUNK_ENTRIES)
}

fn open(capacity: usize, tasks: &[i64], label: Option<&str>, sync_episodes: usize) -> Arc<Session> {
    let session = Session::open(&SessionOptions {
        capacity: Some(capacity),
        max_labels: 1,
        max_inactive_labels: 0,
        seed: 1,
        mode: Mode::Create,
        sync_episodes,
        ..SessionOptions::default()
    })
    .unwrap();
    for task_id in tasks {
        let new = NewTask {
            label,
            ..NewTask::default()
        };
        session.create(*task_id, &new).unwrap();
    }
    Arc::new(session)
}

/// Watches some words, and all locks of the session.
fn watch<'a>(table: &'a Table, words: impl IntoIterator<Item = &'a Word>) {
    let stripes = table.stripes().iter().map(|stripe| &stripe.lock);
    modelled::watch(words, stripes.chain([&table.header().structure]));
}

/// The words of a record: its head, with the id and both copies of the rest of the identity, then
/// both other copies.
fn record_words(table: &Table, slot: usize) -> &[Word] {
    let n = table.layout.record_words;
    let at = table.layout.records_at + table.layout.dense(slot) * n * 8;
    table.segment().mapping().slice(at, n)
}

/// Some words of both copies of a latch, and its sequence.
fn latch_words<'a>(
    sequence: &'a Word,
    copies: &'a [Word],
    places: &[usize],
) -> impl Iterator<Item = &'a Word> + use<'a> {
    let (even, odd) = copies.split_at(copies.len() / 2);
    let words: Vec<&Word> = places
        .iter()
        .flat_map(|&at| [&even[at], &odd[at]])
        .collect();
    std::iter::once(sequence).chain(words)
}

/// Where the fields of a record that a score changes lie in its copies.
const COMPLETIONS: usize = 2;
/// See [`COMPLETIONS`].
const SCORE: usize = 7;

/// The words of a record's latch that count episodes and scores.
fn counts_of_record(table: &Table, slot: usize) -> impl Iterator<Item = &Word> {
    let words = record_words(table, slot);
    latch_words(
        &words[0],
        &words[RECORD_HEAD_WORDS + 2..],
        &[COMPLETIONS, SCORE],
    )
}

/// The words that say who lives in a slot and where its chain of the index goes on.
fn tenancy_words(table: &Table, slot: usize) -> impl Iterator<Item = &Word> {
    let words = record_words(table, slot);
    [0, 3, 4, 5, 6].into_iter().map(|at| &words[at])
}

/// A thread that works on a session.
fn spawn<T: 'static>(
    session: &Arc<Session>,
    work: impl FnOnce(&Session) -> T + 'static,
) -> loom::thread::JoinHandle<T> {
    let session = session.clone();
    loom::thread::spawn(move || work(&session))
}
