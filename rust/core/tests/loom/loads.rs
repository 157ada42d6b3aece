//! Whatever looks at many tasks: all of before or all of after everything is replaced, and no task
//! twice.

use curricle_core::{NewTask, modelled};

use crate::{explore, session, spawn, watch};

#[test]
fn a_pool_that_is_cleared_is_full_or_empty() {
    explore(3, || {
        // Two stripes with a task each.
        let session = session(2, &[1, 2], None);
        let table = session.table();
        let intent = &table.header().intent;
        let sequences = table.stripes().iter().map(|stripe| &stripe.sequence);
        watch(
            table,
            sequences.chain([&intent.plan, &intent.label_generation]),
        );
        let writer = spawn(&session, |session| session.clear().unwrap());
        let reader = spawn(&session, |session| {
            let live = session.table().len();
            assert!([0, 2].contains(&live), "half a pool: {live}");
        });
        writer.join().unwrap();
        reader.join().unwrap();
        modelled::settle();
        assert_eq!(session.verify().unwrap().tasks, 0);
    });
}

/// The saver goes from stripe to stripe, and a task that it has copied comes back in a later one.
#[test]
fn a_checkpoint_holds_each_task_once() {
    let folder = tempfile::tempdir().unwrap();
    explore(2, move || {
        let session = session(2, &[1, 2], None);
        let table = session.table();
        let intent = &table.header().intent;
        watch(table, [&intent.index_version, &intent.plan]);
        let writer = spawn(&session, |session| {
            session.remove(2, false).unwrap();
            session.replace(1, 3, None).unwrap();
            session.create(1, &NewTask::default()).unwrap();
        });
        let path = folder.path().join("checkpoint");
        session.save(&path).unwrap();
        writer.join().unwrap();
        modelled::settle();
        session.load(&path).unwrap();
        session.verify().unwrap();
    });
}
