//! Being told of every store into shared memory, on this thread.

use std::cell::RefCell;

use crate::words::Word;

type Watcher = Box<dyn FnMut(Option<&Word>)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// A word was stored to.
pub(crate) fn stored(word: &Word) {
    tell(Some(word));
}

/// A lock was released or made consistent. That one was taken shows in the store of its holder.
pub(crate) fn lock_changed() {
    tell(None);
}

fn tell(word: Option<&Word>) {
    WATCHER.with_borrow_mut(|watcher| {
        if let Some(watcher) = watcher {
            watcher(word);
        }
    });
}

/// Does `work` with `watcher` called after every store, with the word, and after every change of a
/// lock. The watcher must not store.
pub fn watching<T>(watcher: Watcher, work: impl FnOnce() -> T) -> T {
    struct Rest;
    impl Drop for Rest {
        fn drop(&mut self) {
            WATCHER.set(None);
        }
    }
    WATCHER.set(Some(watcher));
    let _rest = Rest;
    work()
}
