//! Replays what the fuzzers found worth keeping, with the bodies of their targets.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};

use bodies::{Seed, framed, options, session_of, smallest, words_of};
use curricle_core::segment::{Mode, Place};
use curricle_core::{Error, Session};

fn corpus(target: &str) -> PathBuf {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    corpus.join(target)
}

#[test]
fn every_input_of_the_corpus_is_refused_or_works() {
    for (name, body) in bodies::TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus(name)).expect("a folder a target") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            body(&fs::read(&path).expect("an input"));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}

/// Checks what became of a seed; whether it works.
fn check<T>(seed: &Seed, result: Result<T, Error>) -> Option<T> {
    match (seed.refused, result) {
        (None, result) => Some(result.unwrap_or_else(|error| panic!("{}: {error}", seed.name))),
        (Some(reason), Ok(_)) => panic!("{} works; refused should be: {reason}", seed.name),
        (Some(reason), Err(error)) => {
            assert!(
                matches!(error, Error::Session(_) | Error::Checkpoint { .. }),
                "{}: {error:?}",
                seed.name
            );
            let text = error.to_string();
            assert!(text.contains(reason), "{}: {text}", seed.name);
            None
        }
    }
}

#[test]
fn a_file_of_a_session_is_refused_for_its_reason_or_works() {
    for seed in bodies::segment_seeds() {
        for mode in [Mode::ReadOnly, Mode::Attach] {
            let folder = tempfile::tempdir().expect("a folder");
            let size = seed.bytes.len().max(smallest());
            let session = session_of(&seed.bytes, size, mode, folder.path());
            if let Some(session) = check(&seed, session)
                && mode == Mode::Attach
            {
                session.verify().expect("it agrees with itself");
                let ticket = session.draw(None).expect("a task");
                session.report(&ticket, 0.5, 1).expect("a report");
            }
        }
    }
}

#[test]
fn a_checkpoint_is_refused_for_its_reason_or_works() {
    for seed in bodies::checkpoint_seeds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint");
        let whole = seed.bytes.starts_with(b"CURRICKP");
        let framed = framed(&words_of(&seed.bytes));
        fs::write(&path, if whole { &seed.bytes } else { &framed }).expect("a file");
        let options = options(Place::Local, Mode::Create);
        let session = Session::open(&options).expect("a new session");
        if check(&seed, session.load(&path)).is_some() {
            session.verify().expect("it agrees with itself");
            session.draw(None).expect("a task");
        }
    }
}

/// Writes the seeds to the corpus, as is needed after a change of the layout or of the checkpoints:
///
///     cargo test -p curricle-core --test corpus -- --ignored
#[test]
#[ignore = "writes to the corpus"]
fn the_corpus_has_the_seeds() {
    for (target, seeds) in [
        ("segment_file", bodies::segment_seeds()),
        ("checkpoint_file", bodies::checkpoint_seeds()),
    ] {
        for seed in seeds {
            fs::write(corpus(target).join(seed.name), seed.bytes).expect("a file");
        }
    }
}
