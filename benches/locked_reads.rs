//! What reads without a lock are worth: the same load with reads that take the stripe's lock.

use std::hint::black_box;

use curricle_core::segment::{Mode, Place};
use curricle_core::tally::Tally;
use curricle_core::{Session, SessionOptions, Stream, TaskData};

mod crew;
mod sessions;

use crew::{Crew, calls, median, processor_rate, rate};

const PROCESSES: [usize; 4] = [1, 2, 4, 8];
const TASKS: usize = 1_000;
const ROUNDS: usize = 9;
/// Reads of records to one update.
const READS: usize = 8;
/// What a step reads before its update.
const LOADS: [(&str, &str); 3] = [
    ("8 records of 1 task", "record"),
    ("8 records of 1,000 tasks", "records"),
    ("the session's totals", "totals"),
];

/// Steps a second, steps in a second of processor time, and lock waits in a million steps; with
/// locked reads and with free ones.
type Round = [[f64; 3]; 2];

/// A read as it would be without the latch.
fn read_locked(session: &Session, task_id: i64) -> Option<TaskData> {
    let table = session.table();
    let slot = table.find(task_id)?;
    let _held = table
        .lock_stripe(table.layout.stripe_of(slot))
        .expect("in time");
    let (tenant, data) = table.record(slot).load_owned();
    (tenant.live && tenant.task_id == task_id).then_some(data)
}

/// Totals as they would be without the latch.
fn fold_locked(session: &Session) -> Tally {
    let table = session.table();
    let mut sum = Tally::default();
    for stripe in 0..table.layout.stripes {
        let _held = table.lock_stripe(stripe).expect("in time");
        sum.add(&Tally::load(table.totals(stripe).owned()));
    }
    sum
}

fn member(number: usize, shared: &str) {
    let session = Session::open(&SessionOptions {
        place: Place::Name(shared.to_owned()),
        mode: Mode::Attach,
        ..SessionOptions::default()
    })
    .expect("the session of all");
    let mut stream = Stream::new(6, number as u64);
    crew::serve(|load, calls| {
        let (how, what) = load.split_once(' ').expect("two words");
        let locked = how == "locked";
        let read = if locked { read_locked } else { Session::read };
        let fold = if locked {
            fold_locked
        } else {
            |session: &Session| session.table().fold()
        };
        let tasks = if what == "record" { 1 } else { TASKS as u64 };
        for _ in 0..calls {
            if what == "totals" {
                black_box(fold(&session));
            } else {
                for _ in 0..READS {
                    black_box(read(&session, stream.below(tasks) as i64));
                }
            }
            let id = stream.below(tasks) as i64;
            session.update(id, stream.next_f64(), 10).expect("in time");
        }
    });
}

fn main() {
    if let Some((number, shared)) = crew::membership() {
        return member(number, &shared);
    }
    let name = sessions::name("locked");
    let session = sessions::pool(&name, TASKS);
    println!("A step: reads and an update. Waits: sleeps for a lock in a million steps.\n");
    println!(
        "| processes | reads | locked | no lock | ratio | by processor time | waits, locked | no lock |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for processes in PROCESSES {
        let mut crew = Crew::start(processes, &name);
        for (what, reads) in LOADS {
            let mut turn = |how: &str| {
                let load = format!("{how} {reads}");
                let before = session.counts().lock_waits;
                let turns = crew.run(|_| &load);
                let waits = (session.counts().lock_waits - before) as f64;
                [
                    rate(&turns),
                    processor_rate(&turns),
                    waits / calls(&turns) * 1e6,
                ]
            };
            let rounds: Vec<Round> = (0..ROUNDS)
                .map(|_| ["locked", "free"].map(&mut turn))
                .collect();
            let middle = |of: fn(&Round) -> f64| median(rounds.iter().map(of));
            println!(
                "| {processes} | {what} | {:.3} M steps/s | {:.3} M steps/s | {:.2} | {:.2} | {:.1} | {:.1} |",
                middle(|[locked, _]| locked[0]) / 1e6,
                middle(|[_, free]| free[0]) / 1e6,
                middle(|[locked, free]| free[0] / locked[0]),
                middle(|[locked, free]| free[1] / locked[1]),
                middle(|[locked, _]| locked[2]),
                middle(|[_, free]| free[2]),
            );
        }
    }
}
