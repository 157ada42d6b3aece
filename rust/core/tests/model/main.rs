//! The whole tracker against a plain model, over random sequences of calls, which shrink.
//!
//! What fails with one thread fails again: proptest keeps its seed in `tests/model/failures.txt`,
//! which is committed with the mend. With several threads a failure hangs on their timing as well,
//! so there each case runs several times and no seed is kept.

mod alone;
mod plain;
mod threads;
