//! One thread: everything is as the model says, also by way of a checkpoint.

use curricle_core::{Error, Session, Stream, Ticket};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::plain::{Call, Model, apply, call, compare, open};

fn config() -> ProptestConfig {
    let failures = FileFailurePersistence::Direct("tests/model/failures.txt");
    ProptestConfig {
        cases: 200,
        failure_persistence: Some(Box::new(failures)),
        ..ProptestConfig::default()
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let id = prop_oneof![-3_i64..12, Just(i64::MAX), Just(i64::MIN)];
    prop::collection::vec(call(id), 1..120)
}

fn run(session: &Session, model: &mut Model, stream: &mut Stream, capacity: usize, calls: &[Call]) {
    for call in calls {
        apply(session, model, stream, capacity, |_| true, call);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_sequence_of_calls_does_what_the_model_does(
        capacity in 1_usize..40,
        calls in calls(),
    ) {
        let session = open(capacity);
        let mut model = Model::default();
        run(&session, &mut model, &mut Stream::new(1, 2), capacity, &calls);
        compare(&session, &model);
    }

    #[test]
    fn a_cleared_session_is_a_new_one(before in calls(), after in calls()) {
        let session = open(20);
        let mut stream = Stream::new(1, 2);
        let mut model = Model::default();
        run(&session, &mut model, &mut stream, 20, &before);
        session.clear().unwrap();
        model.clear();
        compare(&session, &model);
        run(&session, &mut model, &mut stream, 20, &after);
        compare(&session, &model);
    }

    #[test]
    fn a_checkpoint_brings_everything_back(
        before in calls(),
        after in calls(),
        larger in 0_usize..50,
    ) {
        let session = open(20);
        let mut model = Model::default();
        let mut stream = Stream::new(1, 2);
        run(&session, &mut model, &mut stream, 20, &before);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        session.save(&path).unwrap();
        let loaded = open(20 + larger);
        loaded.update(5, 0.5, 1).unwrap();
        loaded.load(&path).unwrap();
        let texts = |session: &Session| {
            let labels = session.labels();
            session.snapshot().into_iter().map(|mut data| {
                let label = labels[data.label as usize].clone();
                data.label = 0;
                (data, label)
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(texts(&session), texts(&loaded));
        prop_assert_eq!(session.totals(), loaded.totals());
        compare(&loaded, &model);
        for _ in 0..20 {
            let (one, other) = (session.draw(None), loaded.draw(None));
            match (one, other) {
                (Ok(one), Ok(other)) if larger == 0 => {
                    prop_assert_eq!(one, Ticket { serial: one.serial, ..other });
                }
                (Ok(_), Ok(_)) | (Err(Error::Empty), Err(Error::Empty)) => {}
                (one, other) => panic!("{one:?} {other:?}"),
            }
        }
        // The session that loads its own checkpoint goes on from there.
        session.load(&path).unwrap();
        model.forget_draws();
        run(&session, &mut model, &mut stream, 20, &after);
        compare(&session, &model);
    }
}
