//! A second process for the tests: this test binary once more, which obeys lines on its standard
//! input and answers each with one line; see `serving` for its side.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use curricle_core::segment::{Mode, Opened, PREAMBLE, Place, Request, Segment, Standing};
use curricle_core::{Error, Result};

/// Bytes of the sessions that the tests make.
pub const SIZE: usize = 1 << 16;
/// Last word of a session whose `init` ran to its end.
const COMPLETE: u64 = 0x600D;
/// Set in the environment of a helper process.
pub const VARIABLE: &str = "CURRICLE_SEGMENT_TEST_HELPER";
/// What answers start with, to tell them from what the test harness prints.
pub const MARK: char = '@';

/// Opens a session whose content must be complete, and tells in which standing it was checked.
pub fn open_at(
    place: &Place,
    mode: Mode,
    persist: bool,
) -> Result<(Segment, Opened, Option<Standing>)> {
    let seen = std::cell::Cell::new(None);
    let (segment, opened) = Segment::open(&Request {
        place,
        mode,
        persist,
        size: Some(SIZE),
        init: &|mapping| {
            let words = mapping.slice::<AtomicU64>(PREAMBLE, (SIZE - PREAMBLE) / 8);
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
            words[words.len() - 1].store(COMPLETE, Ordering::Relaxed);
            Ok(())
        },
        check: &|mapping, standing| {
            seen.set(Some(standing));
            let last = mapping.get::<AtomicU64>(SIZE - 8);
            if last.load(Ordering::Relaxed) == COMPLETE {
                Ok(())
            } else {
                Err(Error::Session("half-made".to_owned()))
            }
        },
    })?;
    Ok((segment, opened, seen.get()))
}

/// Adds 1 to the session's counter and gives the new value.
pub fn add(segment: &Segment) -> Result<u64> {
    segment.ensure_attached()?;
    let counter = segment.mapping().get::<AtomicU64>(PREAMBLE);
    Ok(counter.fetch_add(1, Ordering::Relaxed) + 1)
}

/// The driving end of a helper process, which is killed on drop.
pub struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "helper_process",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    pub fn tell(&mut self, command: &str) {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
    }

    /// The next answer; nothing once the helper and its forks have ended.
    pub fn next_answer(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The harness prints the test's name without a newline before the first answer.
            if let Some((_, answer)) = line.split_once(MARK) {
                return Some(answer.trim_end().to_owned());
            }
        }
    }

    pub fn answer(&mut self) -> String {
        self.next_answer().expect("the helper ended")
    }

    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    /// Ends the helper's standard input, and with it an orphaned fork.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.kill();
    }
}
