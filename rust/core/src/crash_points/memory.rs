//! A session's memory at the instant of a death, and a session that can be put into that state.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use tempfile::TempDir;

use super::watch::watching;
use crate::lock::RobustLock;
use crate::segment::PREAMBLE;
use crate::session::Session;
use crate::ticket::Ticket;
use crate::words::Word;

/// Words of a lock that belong to its mutex.
const MUTEX_WORDS: usize = 6;
/// What the kernel leaves of a robust mutex's futex word, which comes first, when its holder dies.
const OWNER_DIED: u64 = 0x4000_0000;
const FUTEX: u64 = 0xffff_ffff;

/// The words of every mutex: structure, then stripe by stripe.
type Mutexes = Vec<[u64; MUTEX_WORDS]>;

/// What differs from the memory that a [`Memory`] started with.
#[derive(Debug, Clone, Default)]
pub struct Image {
    words: BTreeMap<usize, u64>,
    mutexes: Mutexes,
}

impl Image {
    /// The same memory after every process has died, as the one that resumes it finds it: with
    /// locks made anew, which are those of `fresh`.
    pub fn abandoned(&self, fresh: &Self) -> Self {
        Self {
            words: self.words.clone(),
            mutexes: fresh.mutexes.clone(),
        }
    }

    /// Number of locks whose holder died.
    pub fn dead_locks(&self) -> u64 {
        let dead = |mutex: &[u64; MUTEX_WORDS]| u64::from(mutex[0] & FUTEX != 0);
        self.mutexes.iter().map(dead).sum()
    }
}

/// One store, or one change of a lock.
struct Event {
    stored: Option<(usize, u64)>,
    /// The mutexes after it, where it may have changed one.
    mutexes: Option<Mutexes>,
}

/// What happened while something ran.
pub struct Trace {
    from: Image,
    events: Vec<Event>,
}

impl Trace {
    /// Number of instants to die at: before the first store, and after each.
    pub fn points(&self) -> usize {
        1 + self.events.len()
    }

    /// Calls `each` with the memory that a death leaves at every instant.
    pub fn each_death(&self, mut each: impl FnMut(usize, &Image)) {
        let mut image = self.from.clone();
        each(0, &image);
        for (at, event) in self.events.iter().enumerate() {
            image.words.extend(event.stored);
            if let Some(mutexes) = &event.mutexes {
                image.mutexes.clone_from(mutexes);
                // Whatever is held is held by the victim.
                for mutex in &mut image.mutexes {
                    if mutex[0] & FUTEX != 0 {
                        mutex[0] = (mutex[0] & !FUTEX) | OWNER_DIED;
                    }
                }
            }
            each(at + 1, &image);
        }
    }

    /// The memory at the end.
    pub fn last(&self) -> Image {
        let mut last = Image::default();
        self.each_death(|_, image| last = image.clone());
        last
    }
}

/// A session whose memory can be set back.
pub struct Memory {
    pub session: Rc<Session>,
    pub tickets: Vec<Ticket>,
    start: Vec<u64>,
    start_mutexes: Mutexes,
    dirty: Rc<RefCell<Vec<usize>>>,
    /// Words that recoveries count up and nothing else depends on.
    counters: HashSet<usize>,
    _folder: TempDir,
}

impl Memory {
    /// Of a session as it is now, in a file in `folder`.
    pub fn of(session: Session, tickets: Vec<Ticket>, folder: TempDir) -> Self {
        let mut memory = Self {
            session: Rc::new(session),
            tickets,
            start: Vec::new(),
            start_mutexes: Vec::new(),
            dirty: Rc::default(),
            counters: HashSet::new(),
            _folder: folder,
        };
        memory.start = memory.words().iter().map(Word::get).collect();
        memory.start_mutexes = mutexes(&memory.session);
        let header = memory.session.table().header();
        let (counters, intent) = (&header.counters, &header.intent);
        let counted = [
            &counters.recoveries,
            &counters.lock_waits,
            &intent.index_version,
        ];
        memory.counters = counted.map(|word| memory.offset(word)).into();
        memory
    }

    fn words(&self) -> &[Word] {
        let mapping = self.session.table().segment().mapping();
        mapping.slice(PREAMBLE, (mapping.len() - PREAMBLE) / 8)
    }

    fn offset(&self, word: &Word) -> usize {
        let address = |word: &Word| std::ptr::from_ref(word).addr();
        (address(word) - address(&self.words()[0])) / 8
    }

    /// The memory that this one started with.
    pub fn start(&self) -> Image {
        Image {
            words: BTreeMap::new(),
            mutexes: self.start_mutexes.clone(),
        }
    }

    /// Sets the memory to an image.
    pub fn put(&self, image: &Image) {
        let words = self.words();
        let mut dirty = self.dirty.borrow_mut();
        for at in dirty.drain(..) {
            words[at].set(self.start[at]);
        }
        for (at, value) in &image.words {
            words[*at].set(*value);
        }
        dirty.extend(image.words.keys());
        for (lock, mutex) in locks(&self.session).zip(&image.mutexes) {
            for (word, value) in mutex_words(lock).iter().zip(mutex) {
                word.set(*value);
            }
        }
    }

    /// Puts an image, does something to it, and tells what happened.
    pub fn run(&self, image: &Image, work: impl FnOnce(&Self)) -> Trace {
        let events = Rc::new(RefCell::new(Vec::new()));
        let (log, session) = (events.clone(), self.session.clone());
        let holders: HashSet<usize> = locks(&session)
            .map(|lock| self.offset(&mutex_words(lock)[0]) + MUTEX_WORDS)
            .collect();
        self.put(image);
        self.watched(work, move |stored| {
            let of_lock = stored.is_none_or(|(at, _)| holders.contains(&at));
            log.borrow_mut().push(Event {
                stored,
                mutexes: of_lock.then(|| mutexes(&session)),
            });
        });
        Trace {
            from: image.clone(),
            events: events.take(),
        }
    }

    /// Puts an image and does something to it.
    pub fn with<T>(&self, image: &Image, work: impl FnOnce(&Self) -> T) -> T {
        self.put(image);
        self.go_on(work)
    }

    /// Does something to the memory as it is.
    pub fn go_on<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        self.watched(work, |_| {})
    }

    fn watched<T>(
        &self,
        work: impl FnOnce(&Self) -> T,
        mut tell: impl FnMut(Option<(usize, u64)>) + 'static,
    ) -> T {
        let (base, words) = (self.words().as_ptr().addr(), self.words().len());
        let dirty = self.dirty.clone();
        let watcher = move |word: Option<&Word>| {
            let stored = word.map(|word| {
                let address = std::ptr::from_ref(word).addr();
                ((address.wrapping_sub(base)) / 8, word.get())
            });
            match stored {
                // A word of another session.
                Some((at, _)) if at >= words => return,
                Some((at, _)) => dirty.borrow_mut().push(at),
                None => {}
            }
            tell(stored);
        };
        watching(Box::new(watcher), || work(self))
    }

    /// A number for all that matters of an image.
    pub fn key(&self, image: &Image) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (at, value) in &image.words {
            if self.start[*at] != *value && !self.counters.contains(at) {
                (at, value).hash(&mut hasher);
            }
        }
        for mutex in &image.mutexes {
            (mutex[0] & FUTEX != 0).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Checks that the memory is what an image says, but for who holds or held the
    /// locks, and who did what.
    pub fn check_is(&self, image: &Image) {
        let now = mutexes(&self.session);
        for (lock, (now, expected)) in now.iter().zip(&image.mutexes).enumerate() {
            assert_eq!(now[0] & FUTEX, expected[0] & FUTEX, "lock {lock}");
        }
        let steering = &self.session.table().header().steering;
        let of_processes: HashSet<usize> = locks(&self.session)
            .flat_map(|lock| {
                let first = self.offset(&mutex_words(lock)[0]);
                first..=first + MUTEX_WORDS
            })
            .chain(steering.pids().map(|word| self.offset(word)))
            .collect();
        let mut dirty = self.dirty.borrow_mut();
        for (at, word) in self.words().iter().enumerate() {
            let (start, now) = (self.start[at], word.get());
            if now != start {
                dirty.push(at);
            }
            let expected = image.words.get(&at).copied().unwrap_or(start);
            assert!(
                now == expected || of_processes.contains(&at) || are_times(now, expected),
                "word {at}"
            );
        }
    }

    /// Checks that [`Self::put`] brings every word back, so that no store went past the watcher.
    pub fn check_complete(&self) {
        self.put(&self.start());
        self.check_is(&self.start());
    }
}

/// Whether two words are times of creation in this hour.
fn are_times(one: u64, other: u64) -> bool {
    let [one, other] = [one, other].map(f64::from_bits);
    one > 1e9 && (one - other).abs() < 3600.0
}

fn locks(session: &Session) -> impl Iterator<Item = &RobustLock> {
    let table = session.table();
    std::iter::once(&table.header().structure)
        .chain(table.stripes().iter().map(|stripe| &stripe.lock))
}

fn mutex_words(lock: &RobustLock) -> &[Word; MUTEX_WORDS] {
    // SAFETY: a lock is made of words, and those of its mutex come first.
    unsafe { &*std::ptr::from_ref(lock).cast() }
}

fn mutexes(session: &Session) -> Mutexes {
    locks(session)
        .map(|lock| mutex_words(lock).each_ref().map(Word::get))
        .collect()
}
