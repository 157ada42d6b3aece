//! A large session from creation to checkpoint and back, and what it costs to join one.
//!
//! `cargo bench --bench scale -- 10000000` for another size than a million tasks.

use std::env;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use curricle_core::layout::{Layout, Shape};
use curricle_core::segment::{Mode, Place};
use curricle_core::{Session, SessionOptions, Stream};

mod sessions;

const TASKS: usize = 1_000_000;
/// Tasks of the session whose attachers are compared with.
const SMALL: usize = 1_000;
const CALLS: usize = 1_000_000;
/// First argument of a process that joins a session.
const JOIN: &str = "join";
const JOINS: usize = 7;

fn report(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

fn timed<T>(what: &str, calls: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let took = start.elapsed();
    let each = took.as_secs_f64() * 1e9 / calls as f64;
    report(
        what,
        format!("{:.2} s ({each:.0} ns each)", took.as_secs_f64()),
    );
    result
}

/// Attaches, reads and draws for the first time, and says how long each took.
fn join(name: &str) {
    let start = Instant::now();
    let session = Session::open(&SessionOptions {
        place: Place::Name(name.to_owned()),
        mode: Mode::Attach,
        ..SessionOptions::default()
    })
    .expect("a session");
    let attached = start.elapsed();
    black_box(session.read(0));
    black_box(session.draw(None)).expect("tasks");
    println!("{} {}", attached.as_nanos(), start.elapsed().as_nanos());
}

/// Milliseconds until a new process has attached, and until it has drawn its first task.
fn join_elsewhere(name: &str) -> [f64; 2] {
    let output = Command::new(env::current_exe().expect("a path"))
        .args([JOIN, name])
        .output()
        .expect("a process");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let mut times = text
        .split_whitespace()
        .map(|word| word.parse::<f64>().expect("a number") / 1e6);
    std::array::from_fn(|_| times.next().expect("two numbers"))
}

fn joining(tasks: usize, name: &str) {
    let mut times: Vec<[f64; 2]> = (0..JOINS).map(|_| join_elsewhere(name)).collect();
    times.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
    let [attached, drawn] = times[JOINS / 2];
    report(
        &format!("a process joins {tasks} tasks (median of {JOINS})"),
        format!("{attached:.2} ms to attach, {drawn:.2} ms to its first draw"),
    );
}

fn memory(session: &Session, tasks: usize) {
    let Layout { shape, bytes, .. } = session.table().layout;
    let fixed = Layout::new(Shape {
        capacity: 1,
        ..shape
    })
    .bytes;
    let each = (bytes - fixed) as f64 / tasks as f64;
    report("memory", format!("{fixed} bytes and {each:.0} a task"));
}

/// Most memory that this process ever had in use, the session's included.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.expect("a peak").trim().to_owned()
}

fn main() {
    let mut arguments = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let first = arguments.next();
    if first.as_deref() == Some(JOIN) {
        return join(&arguments.next().expect("a name"));
    }
    let tasks = first.map_or(TASKS, |tasks| tasks.parse().expect("a number of tasks"));
    let name = sessions::name("scale");
    report(&format!("{tasks} tasks"), "");
    report("---", "---");
    let small = sessions::pool(&format!("{name}-small"), SMALL);
    joining(SMALL, &format!("{name}-small"));
    drop(small);

    let session = timed("make an empty session", tasks, || {
        sessions::create(&name, tasks)
    });
    memory(&session, tasks);
    timed("create the tasks in batches", tasks, || {
        sessions::fill(&session, tasks)
    });
    let mut stream = Stream::new(7, 0);
    for turn in ["first", "second"] {
        let what = format!("a {turn} score for each in batches");
        timed(&what, tasks, || {
            sessions::score_all(&session, tasks, &mut stream)
        });
    }
    timed("a million updates of any task", CALLS, || {
        for _ in 0..CALLS {
            let id = stream.below(tasks as u64) as i64;
            session
                .update(id, stream.next_f64(), 10)
                .expect("a known task");
        }
    });
    timed("a million draws", CALLS, || {
        for _ in 0..CALLS {
            black_box(session.draw(Some(&mut stream))).expect("tasks");
        }
    });
    timed("probabilities", tasks, || {
        drop(black_box(session.probabilities()))
    });
    timed("eviction choice", tasks, || {
        black_box(session.table().choose_eviction(2, 0.4))
    });
    joining(tasks, &name);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint");
    let bytes = timed("save", tasks, || session.save(&path)).expect("room on the disk");
    report("file", format!("{} bytes a task", bytes / tasks as u64));
    let saved = session.totals();
    // Two sessions of this size need not fit into memory.
    drop(session);
    let session = sessions::create(&name, tasks);
    timed("load", tasks, || session.load(&path)).expect("what was saved");
    assert_eq!(session.totals(), saved);
    timed("verify", tasks, || session.verify()).expect("a sound session");
    report("most memory in use", peak());
}
