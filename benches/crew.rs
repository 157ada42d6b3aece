//! Processes that run loads at the same time: this program again, once for each.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a load runs.
const TURN: Duration = Duration::from_millis(100);
/// Calls between two looks at the clock.
const STRETCH: u64 = 64;
/// First argument of a member.
const MEMBER: &str = "member";

/// What one member did in one turn.
#[derive(Clone, Copy)]
pub struct Turn {
    calls: f64,
    seconds: f64,
    processor_seconds: f64,
}

struct Member {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Some processes, ready for a load.
pub struct Crew(Vec<Member>);

impl Crew {
    /// Starts the members and waits until they are ready. Each gets its number and `argument`.
    pub fn start(count: usize, argument: &str) -> Self {
        let member = |number: usize| {
            let mut process = Command::new(env::current_exe().expect("a path"))
                .args([MEMBER, &number.to_string(), argument])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process");
            let orders = process.stdin.take().expect("piped");
            let answers = BufReader::new(process.stdout.take().expect("piped"));
            Member {
                process,
                orders,
                answers,
            }
        };
        let mut crew = Self((0..count).map(member).collect());
        for member in &mut crew.0 {
            member.answer();
        }
        crew
    }

    /// Has every member run the load that `load` names for its number, all at the same time.
    pub fn run<'a>(&mut self, load: impl Fn(usize) -> &'a str) -> Vec<Turn> {
        for (number, member) in self.0.iter_mut().enumerate() {
            writeln!(member.orders, "{}", load(number)).expect("a member that lives");
        }
        let turn = |member: &mut Member| {
            let answer = member.answer();
            let numbers: Vec<f64> = answer
                .split_whitespace()
                .map(|word| word.parse().expect("a number"))
                .collect();
            Turn {
                calls: numbers[0],
                seconds: numbers[1],
                processor_seconds: numbers[2],
            }
        };
        self.0.iter_mut().map(turn).collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for Member {
            mut process,
            orders,
            ..
        } in self.0.drain(..)
        {
            drop(orders);
            process.wait().expect("a child");
        }
    }
}

impl Member {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        assert!(!line.is_empty(), "a member died");
        line
    }
}

/// Number and argument of this process where it is a member.
pub fn membership() -> Option<(usize, String)> {
    let mut arguments = env::args().skip(1);
    (arguments.next()? == MEMBER).then(|| {
        let number = arguments.next().expect("a number");
        let argument = arguments.next().expect("an argument");
        (number.parse().expect("a number"), argument)
    })
}

/// A member's life: a turn for each load that it is told. `call` makes a number of calls.
pub fn serve(mut call: impl FnMut(&str, u64)) {
    println!("ready");
    for load in std::io::stdin().lines() {
        let load = load.expect("a line");
        let (start, processor_start) = (Instant::now(), processor_time());
        let mut calls = 0;
        while start.elapsed() < TURN {
            call(&load, STRETCH);
            calls += STRETCH;
        }
        let seconds = start.elapsed().as_secs_f64();
        let processor_seconds = (processor_time() - processor_start).as_secs_f64();
        println!("{calls} {seconds} {processor_seconds}");
    }
}

fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Calls of all members together.
pub fn calls(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.calls).sum()
}

/// Calls a second of all members together.
pub fn rate(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.calls / turn.seconds).sum()
}

/// Calls in a second of processor time: what the calls cost, whoever else uses the machine.
pub fn processor_rate(turns: &[Turn]) -> f64 {
    calls(turns) / turns.iter().map(|turn| turn.processor_seconds).sum::<f64>()
}

/// The middle one of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
