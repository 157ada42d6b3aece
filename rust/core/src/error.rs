//! What can go wrong, in the words that the caller reads.

use std::path::PathBuf;

/// Every failure of the core. The binding turns each variant into one Python exception.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number, name or length out of its range; nothing was written.
    #[error("{0}")]
    Value(String),
    /// The table has no free slot.
    #[error(
        "the table is full: {capacity} of {capacity} tasks; evict or remove a task, \
         or load the session's checkpoint into a larger one"
    )]
    Capacity {
        /// Number of tasks that the session was made for.
        capacity: usize,
    },
    /// The label table has no free entry, even after folding inactive labels.
    #[error(
        "the label table is full: {limit} labels, every one with live tasks or limits; \
         make the session with a larger max_labels or use fewer labels"
    )]
    Labels {
        /// Number of labels that the session was made for.
        limit: usize,
    },
    /// The journal of a session that syncs has no room for what is to be written down.
    #[error(
        "the journal is full: there were more than sync_episodes = {episodes} episodes since the \
         last sync; sync more often, or make the session with a larger sync_episodes"
    )]
    Journal {
        /// Episodes that the session was made for.
        episodes: usize,
    },
    /// No such task.
    #[error("unknown task {0}")]
    UnknownTask(i64),
    /// A draw from a table without tasks.
    #[error("there is no task to draw: create tasks first")]
    Empty,
    /// A draw from a table all of whose tasks have a banned label.
    #[error(
        "no task may be drawn: every label that has tasks is banned; allow one of them more than \
         a share of 0, or create tasks of another label"
    )]
    Banned,
    /// A session that cannot be created, attached or trusted.
    #[error("{0}")]
    Session(String),
    /// A lock that was not had in time.
    #[error("{what} was not free within {seconds} s; it is held by process {holder}")]
    LockTimeout {
        /// Which lock.
        what: String,
        /// How long the caller waited.
        seconds: f64,
        /// Process id of the holder, as text ("unknown" where it cannot be known).
        holder: String,
    },
    /// A wait was interrupted by a signal that the caller wants to handle (Ctrl-C).
    #[error("interrupted while waiting for a lock")]
    Interrupted,
    /// A checkpoint that cannot be read or written.
    #[error("{path}: {reason}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;
