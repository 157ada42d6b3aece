//! How calls grow with the number of tasks: time, and by cachegrind instructions and cache misses.
//!
//! Needs valgrind. Counts are the difference between a long and a short run of the same calls in a
//! process that only attaches, so that nothing but the calls is in them.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Session, SessionOptions, Stream};

mod sessions;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Calls, and how many calls a run makes of each: enough to touch more than the caches hold.
const CALLS: [(&str, u64); 6] = [
    ("read", 100_000),
    ("update", 100_000),
    ("draw", 100_000),
    ("draw and report", 100_000),
    ("totals", 2_000),
    ("label totals", 1_000),
];
/// First argument of a process that makes calls.
const CALLER: &str = "call";
/// Native runs, of which the fastest counts.
const RUNS: usize = 5;

/// Makes calls; nanoseconds a call.
fn call(name: &str, what: &str, calls: u64) -> f64 {
    let session = Session::open(&SessionOptions {
        place: Place::Name(name.to_owned()),
        mode: Mode::Attach,
        ..SessionOptions::default()
    })
    .expect("a session");
    let tasks = session.totals().tasks;
    let mut stream = Stream::new(8, calls);
    let start = Instant::now();
    for _ in 0..calls {
        match what {
            "read" => drop(black_box(session.read(stream.below(tasks) as i64))),
            "update" => {
                let id = stream.below(tasks) as i64;
                session
                    .update(id, stream.next_f64(), 10)
                    .expect("a known task");
            }
            "draw" => drop(black_box(session.draw(Some(&mut stream)))),
            "draw and report" => {
                let ticket = session.draw(Some(&mut stream)).expect("tasks");
                session
                    .report(&ticket, stream.next_f64(), 10)
                    .expect("a ticket");
            }
            "totals" => drop(black_box(session.totals())),
            "label totals" => drop(black_box(session.label_totals())),
            unknown => panic!("{unknown:?} is no call"),
        }
    }
    start.elapsed().as_nanos() as f64 / calls as f64
}

fn output(mut command: Command, name: &str, what: &str, calls: u64) -> std::process::Output {
    let output = command
        .args([CALLER, name, what, &calls.to_string()])
        .output()
        .expect("valgrind, from the system's packages");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn nanoseconds(name: &str, what: &str, calls: u64) -> f64 {
    let program = || Command::new(env::current_exe().expect("a path"));
    (0..RUNS)
        .map(|_| {
            let output = output(program(), name, what, calls);
            let text = String::from_utf8(output.stdout).expect("a number");
            text.trim().parse().expect("a number")
        })
        .fold(f64::INFINITY, f64::min)
}

/// Instructions, and misses of the first and of the last cache, of a whole process.
fn counts(name: &str, what: &str, calls: u64) -> [f64; 3] {
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=cachegrind",
            "--cache-sim=yes",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(env::current_exe().expect("a path"));
    let text = String::from_utf8(output(command, name, what, calls).stderr).expect("text");
    let count = |label: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.contains(label))
            .expect("a summary");
        let number = line[line.find(label).expect("found") + label.len()..].trim_start();
        let number = number.split_whitespace().next().expect("a number");
        number.replace(',', "").parse().expect("a number")
    };
    ["I   refs:", "D1  misses:", "LLd misses:"].map(count)
}

fn main() {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if let [caller, name, what, calls] = &arguments[..] {
        assert_eq!(caller, CALLER);
        return println!("{}", call(name, what, calls.parse().expect("a number")));
    }
    println!("| call | tasks | ns | instructions | misses of L1 | misses of the last cache |");
    println!("|---|---|---|---|---|---|");
    for tasks in SIZES {
        let name = sessions::name(&format!("growth-{tasks}"));
        let _session = sessions::pool(&name, tasks);
        for (what, calls) in CALLS {
            let [short, long] = [calls, 3 * calls].map(|calls| counts(&name, what, calls));
            let [instructions, first, last] =
                std::array::from_fn(|at| (long[at] - short[at]) / (2 * calls) as f64);
            println!(
                "| {what} | {tasks} | {:.0} | {instructions:.0} | {first:.1} | {last:.1} |",
                nanoseconds(&name, what, 10 * calls),
            );
        }
    }
}
