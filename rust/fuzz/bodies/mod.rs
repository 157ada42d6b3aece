//! What every fuzz target does with one input. The replay of the corpus includes this, too, so
//! each target uses a part of it only.
#![allow(dead_code)]

mod checkpoint;
mod edits;
mod seeds;
mod segment;
mod sessions;

pub use checkpoint::{checkpoint_edits, checkpoint_file, framed};
pub use edits::words_of;
pub use seeds::{Seed, checkpoint_seeds, segment_seeds, smallest};
pub use segment::{segment_edits, segment_file, session_of};
pub use sessions::options;

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// The targets, by the names of their folders in the corpus.
pub const TARGETS: [(&str, Body); 4] = [
    ("segment_file", segment_file),
    ("segment_edits", segment_edits),
    ("checkpoint_file", checkpoint_file),
    ("checkpoint_edits", checkpoint_edits),
];
