//! Death at every store: each kind of change is stopped after every single store into shared
//! memory, the next process recovers, and what a user sees is held against what may be seen:
//! the state before, the state after, or one between two parts of a change. Recovery itself is
//! stopped after every store as well, and the recovery of that.
//!
//! A change runs to its end once while its stores are noted. The memory at each instant follows
//! from them, with all locks of the victim as the kernel leaves those of the dead; `processes`
//! shows on dying processes that it is the same.

mod explore;
mod memory;
mod operations;
mod processes;
mod settings;
mod state;
mod survivors;
mod watch;

use std::path::PathBuf;
use std::sync::OnceLock;

pub(crate) use watch::{lock_changed, stored};

/// A checkpoint that is unlike the sessions of the operations.
fn checkpoint() -> PathBuf {
    static SAVED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = SAVED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        settings::save_another(&folder.path().join("checkpoint"));
        folder
    });
    folder.path().join("checkpoint")
}
