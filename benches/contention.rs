//! Processes that share a session beside as many that share nothing, turn by turn in one run.
//!
//! Absolute rates are the machine's; the ratios are the result.

use std::hint::black_box;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Session, SessionOptions, Stream};

mod crew;
mod sessions;

use crew::{Crew, Turn, median, processor_rate, rate};

const PROCESSES: [usize; 4] = [1, 2, 4, 8];
const TASKS: usize = 1_000;
const ROUNDS: usize = 9;

/// Loads on the session of all, and the same calls on a session of the process's own.
const LOADS: [(&str, &str, &str); 6] = [
    (
        "update the same task",
        "shared update one",
        "own update one",
    ),
    ("update a task each", "shared update each", "own update one"),
    ("update any task", "shared update any", "own update any"),
    ("draw any task", "shared draw", "own draw"),
    ("draw and report", "shared episode", "own episode"),
    ("read the same task", "shared read one", "own read one"),
];

/// Reads while process 0 writes: to the task that the others read, or to its own session.
const READS: [(&str, &str, &str, &str); 2] = [
    (
        "read the task that is written",
        "shared read one",
        "shared update one",
        "own update one",
    ),
    (
        "read any task",
        "shared read any",
        "shared update any",
        "own update any",
    ),
];

fn member(number: usize, shared: &str) {
    let shared = Session::open(&SessionOptions {
        place: Place::Name(shared.to_owned()),
        mode: Mode::Attach,
        ..SessionOptions::default()
    })
    .expect("the session of all");
    let own = sessions::pool(&sessions::name("own"), TASKS);
    let mut stream = Stream::new(5, number as u64);
    crew::serve(|load, calls| {
        let (whose, call) = load.split_once(' ').expect("two words");
        let session = if whose == "own" { &own } else { &shared };
        for _ in 0..calls {
            match call {
                "update one" => drop(black_box(session.update(0, stream.next_f64(), 10))),
                "update each" => drop(black_box(session.update(
                    number as i64,
                    stream.next_f64(),
                    10,
                ))),
                "update any" => {
                    let id = stream.below(TASKS as u64) as i64;
                    drop(black_box(session.update(id, stream.next_f64(), 10)));
                }
                "draw" => drop(black_box(session.draw(Some(&mut stream)))),
                "episode" => {
                    let ticket = session.draw(Some(&mut stream)).expect("tasks");
                    drop(black_box(session.report(&ticket, stream.next_f64(), 10)));
                }
                "read one" => drop(black_box(session.read(0))),
                "read any" => drop(black_box(session.read(stream.below(TASKS as u64) as i64))),
                unknown => panic!("{unknown:?} is no load"),
            }
        }
    });
}

/// A row: the rate of `shared`, and its ratio to `apart` in the same round by either clock.
fn row(processes: usize, what: &str, rounds: &[(Vec<Turn>, Vec<Turn>)]) {
    let ratio = |rate: fn(&[Turn]) -> f64| {
        median(
            rounds
                .iter()
                .map(|(shared, apart)| rate(shared) / rate(apart)),
        )
    };
    println!(
        "| {processes} | {what} | {:.2} M/s | {:.2} | {:.2} |",
        median(rounds.iter().map(|(shared, _)| rate(shared))) / 1e6,
        ratio(rate),
        ratio(processor_rate),
    );
}

fn main() {
    if let Some((number, shared)) = crew::membership() {
        return member(number, &shared);
    }
    let name = sessions::name("contention");
    let _session = sessions::pool(&name, TASKS);
    println!("| processes | load | in all | of those that share nothing | by processor time |");
    println!("|---|---|---|---|---|");
    for processes in PROCESSES {
        let mut crew = Crew::start(processes, &name);
        for (what, shared, apart) in LOADS {
            let rounds: Vec<_> = (0..ROUNDS)
                .map(|_| (crew.run(|_| shared), crew.run(|_| apart)))
                .collect();
            row(processes, what, &rounds);
        }
        if processes == 1 {
            continue;
        }
        for (what, read, write, write_apart) in READS {
            let mut turn = |write: &'static str| {
                let turns = crew.run(|number| if number == 0 { write } else { read });
                turns[1..].to_vec()
            };
            let rounds: Vec<_> = (0..ROUNDS)
                .map(|_| (turn(write), turn(write_apart)))
                .collect();
            row(processes, &format!("{what}, while one writes"), &rounds);
        }
    }
}
