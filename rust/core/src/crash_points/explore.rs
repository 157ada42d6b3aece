//! The enumeration itself.

use std::collections::HashSet;

use super::memory::{Image, Memory};
use super::operations::{OPERATIONS, Operation};
use super::settings::LONG;
use super::state::State;
use super::survivors::{NEXT, Next, read_around};
use crate::structure::NewTask;

/// Instants in an operation beyond which what is done next takes turns altogether.
const MANY_POINTS: usize = 250;

/// How much is tried.
#[derive(Clone, Copy)]
struct Effort {
    /// Deaths in a row, beside the one in the operation: in its recovery, in the recovery of that.
    recoveries: usize,
    /// Different states to recover from, of those that deaths in a row have left.
    most: usize,
    /// Every how many deaths one of the things to do next is done.
    turns: usize,
}

/// What may be seen after a death, and after one more thing was done since.
pub struct Allowed {
    images: Vec<Image>,
    pub states: Vec<State>,
}

pub fn state_of(memory: &Memory) -> State {
    State::of(&memory.session)
}

impl Allowed {
    /// The state before, and after each part.
    pub fn of(memory: &Memory, operation: &Operation) -> Self {
        let mut images = vec![memory.start()];
        for part in operation.parts() {
            let last = images.last().expect("the state before");
            images.push(memory.run(last, part).last());
        }
        Self::at(memory, images)
    }

    fn at(memory: &Memory, images: Vec<Image>) -> Self {
        let states = images
            .iter()
            .map(|image| memory.with(image, state_of))
            .collect();
        Self { images, states }
    }

    /// The states after the next thing that is done, between any two parts of the operation.
    fn then(&self, memory: &Memory, operation: &Operation, next: &Next) -> Self {
        let mut images = Vec::new();
        let mut parts = operation.parts().iter();
        for image in &self.images {
            let after = memory.run(image, next.act).last();
            let part = parts.next().filter(|_| next.beside);
            let created = |image| memory.with(image, |memory| memory.session.totals().created);
            // A task that is not there is created, and that waits.
            if let Some(part) = part.filter(|_| created(image) == created(&after)) {
                images.push(memory.run(&after, part).last());
            }
            images.push(after);
        }
        Self::at(memory, images)
    }
}

/// Counts of what was tried.
#[derive(Debug, Default)]
struct Tried {
    /// Instants to die at in the operation.
    points: usize,
    /// Pairs, triples, ... of instants: in the operation and in its recoveries.
    recoveries: Vec<usize>,
    /// Pairs of instants in the operation and in the resumption of the session.
    resumptions: usize,
    /// Different states that the deaths left.
    states: usize,
    /// Recoveries of other states that were left out.
    left_out: usize,
}

struct Explorer<'a> {
    operation: &'a Operation,
    memory: Memory,
    allowed: Allowed,
    after_next: Vec<Allowed>,
}

impl<'a> Explorer<'a> {
    fn new(operation: &'a Operation) -> Self {
        let memory = operation.setting.memory();
        let allowed = Allowed::of(&memory, operation);
        let after_next = NEXT
            .iter()
            .map(|next| allowed.then(&memory, operation, next))
            .collect();
        Self {
            operation,
            memory,
            allowed,
            after_next,
        }
    }

    fn explore(&self, effort: Effort) -> Tried {
        let (operation, memory) = (self.operation, &self.memory);
        let trace = memory.run(&memory.start(), operation.run);
        let mut tried = Tried {
            points: trace.points(),
            ..Tried::default()
        };
        let turns = match effort.turns {
            many if tried.points > MANY_POINTS => [many; 2],
            turns => [turns, 1],
        };
        let (mut seen, mut front) = (HashSet::new(), Vec::new());
        trace.each_death(|at, image| {
            if seen.insert(memory.key(image)) {
                self.check(
                    image,
                    turns,
                    at,
                    &format!("{} died at {at}", operation.name),
                );
                front.push(image.clone());
            }
        });
        self.resume(&front, effort, &mut tried);
        for death in 1..=effort.recoveries {
            let (step, mut next, mut pairs) = (Self::step(&front, effort), Vec::new(), 0);
            for image in front.iter().step_by(step) {
                let recovery = memory.run(image, |memory| {
                    memory.session.verify().unwrap();
                });
                pairs += recovery.points();
                recovery.each_death(|at, image| {
                    if seen.insert(memory.key(image)) {
                        let what = format!("{}: recovery {death} died at {at}", operation.name);
                        self.check(image, turns, seen.len(), &what);
                        next.push(image.clone());
                    }
                });
            }
            tried.recoveries.push(pairs);
            tried.left_out += front.len() - front.len().div_ceil(step);
            front = next;
        }
        tried.left_out += front.len();
        tried.states = seen.len();
        memory.check_complete();
        tried
    }

    fn step(front: &[Image], effort: Effort) -> usize {
        front.len().div_ceil(effort.most).max(1)
    }

    /// What a process does that finds the session after all others have died, and its deaths.
    fn resume(&self, front: &[Image], effort: Effort, tried: &mut Tried) {
        let (memory, start) = (&self.memory, self.memory.start());
        let rebuild = |memory: &Memory| memory.session.table().rebuild().unwrap();
        let mut seen = HashSet::new();
        for (at, image) in front.iter().enumerate() {
            let resumed = memory.run(&image.abandoned(&start), rebuild);
            if at % Self::step(front, effort) > 0 {
                self.expect(&self.allowed, &[], || state_of(memory), "resumed");
                continue;
            }
            tried.resumptions += resumed.points();
            resumed.each_death(|at, image| {
                if seen.insert(memory.key(image)) {
                    let found = || {
                        memory.with(&image.abandoned(&start), |memory| {
                            rebuild(memory);
                            state_of(memory)
                        })
                    };
                    let what = format!("resumed, died at {at}, resumed");
                    self.expect(&self.allowed, &[], found, &what);
                }
            });
        }
    }

    /// Everything that must hold after a death.
    fn check(&self, image: &Image, turns: [usize; 2], turn: usize, what: &str) {
        let memory = &self.memory;
        memory.with(image, |memory| read_around(memory, &self.allowed.states));
        let recoveries = || memory.session.counts().recoveries;
        for (at, (next, allowed)) in NEXT.iter().zip(&self.after_next).enumerate() {
            let turns = turns[usize::from(next.always)];
            if at % turns != turn % turns {
                continue;
            }
            let found = || {
                memory.with(image, |memory| {
                    let before = recoveries();
                    (next.act)(memory);
                    let state = state_of(memory);
                    assert_eq!(recoveries() - before, image.dead_locks(), "{what}");
                    state
                })
            };
            let what = format!("{what}, then {}", next.name);
            self.expect(allowed, next.loose, found, &what);
        }
    }

    fn expect(
        &self,
        allowed: &Allowed,
        ignored: &[&str],
        found: impl FnOnce() -> State,
        what: &str,
    ) {
        let found = found();
        assert!(
            found.is_among(&allowed.states, self.operation.loose, ignored),
            "{}: {what}:\n{found:?}\nis none of\n{:?}",
            self.operation.name,
            allowed.states
        );
    }
}

fn explore_all(effort: Effort, operations: impl Iterator<Item = &'static Operation>) {
    let mut all = 0;
    for operation in operations {
        let start = std::time::Instant::now();
        let tried = Explorer::new(operation).explore(effort);
        println!("{:28} {tried:?} {:?}", operation.name, start.elapsed());
        all += tried.points + tried.resumptions + tried.recoveries.iter().sum::<usize>();
    }
    println!("{all} deaths");
}

/// A few seconds' worth.
const SHORT: Effort = Effort {
    recoveries: 1,
    most: 12,
    turns: 8,
};

// Two tests, for two processors.

#[test]
fn a_death_at_any_store_is_recovered_from() {
    explore_all(SHORT, OPERATIONS.iter().step_by(2));
}

#[test]
fn a_death_at_any_store_of_other_changes_is_recovered_from() {
    explore_all(SHORT, OPERATIONS.iter().skip(1).step_by(2));
}

#[test]
#[ignore = "takes minutes"]
fn deaths_in_a_row_at_any_store_are_recovered_from() {
    let long = Effort {
        recoveries: 3,
        most: 500,
        turns: 1,
    };
    explore_all(long, OPERATIONS.iter());
}

#[test]
fn a_slot_that_a_dead_evictor_has_freed_is_found() {
    let memory = LONG.memory();
    let evict = |memory: &Memory| assert!(memory.session.remove(1, true).unwrap());
    let mut had = [0; 2];
    memory.run(&memory.start(), evict).each_death(|_, image| {
        memory.with(image, |memory| {
            let created = memory.session.create(1000, &NewTask::default());
            let there = memory.session.read(1).is_some();
            assert_eq!(created.is_ok(), !there, "{created:?}");
            had[usize::from(there)] += 1;
        });
    });
    assert!(had[0] > 0 && had[1] > 0, "{had:?}");
}
