//! Whether a wait is to be given up, for Ctrl-C say: asked before each slice of it.

use std::sync::OnceLock;
use std::time::Duration;

/// How long a taker sleeps before it looks for signals such as Ctrl-C.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

static INTERRUPT: OnceLock<fn(Duration) -> bool> = OnceLock::new();

/// Names the function that is asked, before each slice of a wait, with the time slept so far,
/// whether to give the wait up.
pub fn set_interrupt_check(check: fn(Duration) -> bool) {
    INTERRUPT.get_or_init(|| check);
}

/// Whether a wait, of `slept` so far, is to be given up.
pub(crate) fn is_interrupted(slept: Duration) -> bool {
    INTERRUPT.get().is_some_and(|check| check(slept))
}
