//! The same deaths, of real processes: a forked child ends itself at the store.

use super::explore::{Allowed, state_of};
use super::memory::{Image, Memory};
use super::operations::{OPERATIONS, Operation};
use super::watch::watching;

/// Every how many instants a process dies.
const EVERY: usize = 11;

/// Does the operation in a child that ends, without any clean-up, at instant `at`.
fn die_at(memory: &Memory, operation: &Operation, at: usize) {
    memory.put(&memory.start());
    // SAFETY: the child runs what any forked process may run on a session, and ends without
    // returning from here.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let mut left = at;
        let watcher = move |_: Option<&_>| {
            left -= 1;
            if left == 0 {
                // SAFETY: ends the process.
                unsafe { libc::_exit(0) };
            }
        };
        let run = || watching(Box::new(watcher), || (operation.run)(memory));
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) };
    }
    let mut status = 0;
    // SAFETY: our child, and a pointer to a local.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "{} has not come to {at}", operation.name);
}

#[test]
fn a_process_that_dies_leaves_the_memory_that_is_recovered_from() {
    let mut died = 0;
    for operation in OPERATIONS {
        let memory = operation.setting.memory();
        let allowed = Allowed::of(&memory, operation);
        let mut deaths: Vec<(usize, Image)> = Vec::new();
        let trace = memory.run(&memory.start(), operation.run);
        trace.each_death(|at, image| {
            if at % EVERY == 1 {
                deaths.push((at, image.clone()));
            }
        });
        for (at, image) in deaths {
            die_at(&memory, operation, at);
            memory.check_is(&image);
            let found = memory.go_on(state_of);
            assert!(
                found.is_among(&allowed.states, operation.loose, &[]),
                "{} died at {at}: {found:?}",
                operation.name
            );
            died += 1;
        }
    }
    println!("{died} processes died");
}
