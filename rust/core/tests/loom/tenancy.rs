//! Reports and draws beside the reuse of a slot: they are the tenant's whom they were made for.

use curricle_core::{NewTask, Session, Stream, Ticket, modelled};

use crate::{counts_of_record, explore, record_words, session, spawn, watch};

/// Gives the slot of task 1 to task 2.
fn replace(session: &Session) {
    assert!(session.replace(1, 2, None).unwrap());
}

#[test]
fn a_report_never_counts_for_the_next_tenant() {
    explore(2, || {
        let session = session(1, &[1], None);
        let table = session.table();
        let ticket = table.draw(&mut Stream::new(1, 1)).unwrap();
        let identity = [3, 4, 5, 6].map(|at| &record_words(table, 0)[at]);
        watch(table, counts_of_record(table, 0).chain(identity));
        let reporter = spawn(&session, move |session| {
            session.report(&ticket, 1.0, 1).unwrap().is_some()
        });
        let evictor = spawn(&session, replace);
        let reader = spawn(&session, |session| {
            for task_id in [2, 1] {
                if let Some(data) = session.read(task_id) {
                    assert_eq!(data.task_id, task_id);
                    assert!(data.completion_count <= u64::from(task_id == 1));
                }
            }
        });
        let counted = reporter.join().unwrap();
        evictor.join().unwrap();
        reader.join().unwrap();
        modelled::settle();
        assert_eq!(session.read(2).unwrap().completion_count, 0);
        assert_eq!(session.counts().late_reports, u64::from(!counted));
        assert_eq!(session.verify().unwrap().completions, u64::from(counted));
    });
}

/// Draws by `drawers`, beside a replacement or without: each is counted, for its own tenant.
fn draw_beside(drawers: u64, replaced: bool) {
    let session = session(1, &[1], None);
    let table = session.table();
    let drawn = [&table.drawn(0)[0]];
    watch(table, record_words(table, 0)[..7].iter().chain(drawn));
    let drawers: Vec<_> = (0..drawers)
        .map(|number| {
            spawn(&session, move |session| {
                // Between the tenants there is nobody to draw.
                session.draw(Some(&mut Stream::new(1, number))).ok()
            })
        })
        .collect();
    let evictor = replaced.then(|| spawn(&session, replace));
    let tickets: Vec<Ticket> = drawers
        .into_iter()
        .filter_map(|drawer| drawer.join().unwrap())
        .collect();
    if let Some(evictor) = evictor {
        evictor.join().unwrap();
    }
    modelled::settle();
    let draws_of = |task_id: i64| {
        let of = |ticket: &&Ticket| ticket.task_id == task_id;
        tickets.iter().filter(of).count() as u64
    };
    for ticket in &tickets {
        assert_eq!(i64::from(ticket.generation), ticket.task_id);
    }
    let live = if replaced { 2 } else { 1 };
    assert_eq!(session.read(live).unwrap().scheduled_count, draws_of(live));
    assert_eq!(session.verify().unwrap().scheduled, tickets.len() as u64);
}

#[test]
fn draws_at_once_are_all_counted() {
    explore(3, || draw_beside(2, false));
}

#[test]
fn a_draw_is_counted_for_its_tenant() {
    explore(2, || draw_beside(1, true));
}

#[test]
fn a_task_among_the_probabilities_is_named_by_its_id() {
    explore(3, || {
        let session = session(1, &[], None);
        let table = session.table();
        watch(table, [&table.drawn(0)[0], &table.task_ids(0)[0]]);
        let creator = spawn(&session, |session| {
            session.create(7, &NewTask::default()).unwrap();
        });
        let reader = spawn(&session, |session| {
            let (ids, _) = session.table().distribution();
            assert!([vec![], vec![7]].contains(&ids), "{ids:?}");
        });
        creator.join().unwrap();
        reader.join().unwrap();
        modelled::settle();
        assert_eq!(session.table().distribution(), (vec![7], vec![1.0]));
    });
}

#[test]
fn a_label_that_is_read_is_one_that_was_there() {
    explore(3, || {
        let session = session(1, &[1], Some("a"));
        let table = session.table();
        let words = table.label_words(1);
        watch(table, words[..2].iter().chain([&table.label_hashes()[1]]));
        let writer = spawn(&session, |session| {
            session.set_label(1, None).unwrap();
            // The only place: "a" gives way to it.
            session
                .create(1, &NewTask::default())
                .and_then(|_| session.set_label(1, Some("bc")))
                .unwrap();
        });
        let reader = spawn(&session, |session| {
            let text = session.table().label_text(1);
            assert!(
                [None, Some("a"), Some("bc")].contains(&text.as_deref()),
                "{text:?}"
            );
            if let Some(number) = session.table().find_label("a") {
                assert_eq!(number, 1);
            }
        });
        writer.join().unwrap();
        reader.join().unwrap();
        modelled::settle();
        assert_eq!(session.labels()[1].as_deref(), Some("bc"));
    });
}
