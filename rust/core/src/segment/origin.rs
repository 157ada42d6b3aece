//! Where a session comes from.

use std::time::SystemTime;

/// When and by whom a session was made; nothing where that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// Time of creation.
    pub created: Option<SystemTime>,
    /// Id of the process, in the session's pid namespace.
    pub creator: Option<u32>,
}
