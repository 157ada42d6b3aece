//! Replays what the fuzzers found worth keeping, with the bodies of their targets.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::path::Path;

#[test]
fn every_input_of_the_corpus_is_refused_or_works() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, body) in bodies::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus.join(name)).expect("a folder a target") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            body(&std::fs::read(&path).expect("an input"));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
