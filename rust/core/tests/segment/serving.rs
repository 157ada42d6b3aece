//! The helper process: what it does when it is told to.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use curricle_core::Result;
use curricle_core::segment::{ForkGuard, Mode, Opened, Place, Segment, Standing, guard_forks};

use super::helper::{MARK, VARIABLE, add, open_at};

fn say(answer: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{MARK}{answer}").unwrap();
    output.flush().unwrap();
}

fn say_result<T: std::fmt::Debug>(result: Result<T>) {
    match result {
        Ok(value) => say(&format!("{value:?}")),
        Err(error) => say(&format!("error: {error}")),
    }
}

/// The helper process; does nothing where the binary runs as a test.
pub fn serve() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let mut segment: Option<Segment> = None;
    let mut fork = None;
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["open", mode, place] => {
                let opened = open_at(&to_place(place), to_mode(mode), false);
                say_result(opened.map(|(opened_segment, opened, _)| {
                    segment = Some(opened_segment);
                    opened
                }));
            }
            ["generation"] => say(&segment.as_ref().unwrap().generation().to_string()),
            ["add"] => say_result(add(segment.as_ref().unwrap())),
            ["close"] => say_result(segment.take().unwrap().close()),
            ["churn", rounds, place] => churn(&to_place(place), rounds.parse().unwrap()),
            ["churn-endlessly", place] => churn_endlessly(&to_place(place)),
            ["fork", kind] => fork = Some(Fork::start(&mut segment, kind)),
            ["release"] => say(&fork.take().unwrap().end()),
            ["guarded-forks", rounds] => guarded_forks(rounds.parse().unwrap()),
            ["forks-amid-churn", rounds, place] => {
                forks_amid_churn(&to_place(place), rounds.parse().unwrap());
            }
            ["small-disk", path] => say(&on_small_disk(Path::new(path))),
            ["without-proc", place] => say(&without_proc(&to_place(place))),
            ["other-namespace", place] => say(&in_other_namespace(&to_place(place))),
            ["other-user", place] => say(&as_other_user(&to_place(place))),
            _ => panic!("unknown command {line:?}"),
        }
    }
}

fn to_place(text: &str) -> Place {
    if text.starts_with('/') {
        Place::Path(PathBuf::from(text))
    } else {
        Place::Name(text.to_owned())
    }
}

fn to_mode(text: &str) -> Mode {
    match text {
        "create-or-attach" => Mode::CreateOrAttach,
        "create" => Mode::Create,
        "attach" => Mode::Attach,
        "read-only" => Mode::ReadOnly,
        _ => panic!("unknown mode {text:?}"),
    }
}

/// Opens and closes again and again; while attached, the name must stand for our own session.
fn churn_once(place: &Place) -> Result<Opened> {
    let (segment, opened, _) = open_at(place, Mode::CreateOrAttach, false)?;
    let file = std::fs::read(segment.path().unwrap()).unwrap();
    let generation = u64::from_ne_bytes(file[48..56].try_into().unwrap());
    assert_eq!(
        generation,
        segment.generation(),
        "somebody replaced a live session"
    );
    add(&segment)?;
    segment.close()?;
    Ok(opened)
}

fn churn(place: &Place, rounds: usize) {
    let opened: Result<Vec<Opened>> = (0..rounds).map(|_| churn_once(place)).collect();
    say_result(opened.map(|opened| {
        let made = opened.iter().filter(|&&opened| opened == Opened::Created);
        assert!(!opened.contains(&Opened::Replaced), "nobody died");
        made.count()
    }));
}

fn churn_endlessly(place: &Place) {
    loop {
        say_result(churn_once(place));
    }
}

/// A child of the helper that holds a copy of the helper's segment.
struct Fork {
    pid: i32,
    release: OwnedFd,
}

impl Fork {
    /// The child says what it did with the session, and `left` when it has dropped its handle:
    /// on release, or, where it is to be orphaned, when the standard input ends.
    fn start(segment: &mut Option<Segment>, kind: &str) -> Self {
        let mut ends = [0; 2];
        // SAFETY: pipe2 fills both descriptors.
        let failed = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        assert_eq!(failed, 0);
        // SAFETY: both are open and ours.
        let (wait, release) =
            unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        let pid = fork(|| {
            // SAFETY: the child's copy of the writing end is used by nobody else in the child.
            unsafe { libc::close(ends[1]) };
            if kind.starts_with("untouched") {
                say(kind);
            } else {
                say_result(add(segment.as_ref().unwrap()));
            }
            await_end(wait.as_raw_fd());
            if kind.ends_with("orphaned") {
                await_end(libc::STDIN_FILENO);
            }
            drop(segment.take());
            say("left");
        });
        Self { pid, release }
    }

    fn end(self) -> String {
        drop(self.release);
        reap(self.pid)
    }
}

/// Waits until no writing end is open.
fn await_end(pipe: RawFd) {
    let mut byte = 0_u8;
    // SAFETY: the buffer is one byte long.
    let read = unsafe { libc::read(pipe, (&raw mut byte).cast(), 1) };
    assert_eq!(read, 0, "nobody writes into the pipe");
}

fn fork(work: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `work` on its only thread and ends without returning.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the child without running the harness's code after this.
        unsafe { libc::_exit(outcome.is_err().into()) };
    }
    pid
}

fn reap(pid: i32) -> String {
    let mut status = 0;
    // SAFETY: the status is one integer.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    format!("exit {}", libc::WEXITSTATUS(status))
}

/// Two words that a critical section keeps equal, and its lock: first come, first served, so that
/// a child inherits the turn of a thread that it does not have.
#[derive(Default)]
struct Guarded {
    next: AtomicU64,
    serving: AtomicU64,
    first: AtomicU64,
    second: AtomicU64,
    stop: AtomicBool,
}

impl Guarded {
    fn lock(&self) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != turn {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.serving.fetch_add(1, Ordering::Release);
    }
}

impl ForkGuard for Guarded {
    fn prepare(&self) {
        self.lock();
    }

    fn parent(&self) {
        self.unlock();
    }

    fn child(&self) {
        self.serving
            .store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Forks while another thread is in and out of a critical section; each child must find it whole.
fn guarded_forks(rounds: usize) {
    let guarded = Arc::new(Guarded::default());
    let place = Place::Local;
    let (segment, opened, _) = open_at(&place, Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Created);
    let guard: Arc<dyn ForkGuard> = Arc::<Guarded>::clone(&guarded);
    guard_forks(&guard);
    let answers: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !guarded.stop.load(Ordering::Relaxed) {
                guarded.lock();
                guarded.first.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
                guarded.second.fetch_add(1, Ordering::Relaxed);
                guarded.unlock();
            }
        });
        let answers = (0..rounds).map(|round| {
            let child = fork(|| {
                guarded.lock();
                let first = guarded.first.load(Ordering::Relaxed);
                assert_eq!(first, guarded.second.load(Ordering::Relaxed));
                // A copy of its own: what earlier children added is not seen.
                assert_eq!(add(&segment).unwrap(), round as u64 + 1);
            });
            add(&segment).unwrap();
            reap(child)
        });
        let answers = answers.collect();
        guarded.stop.store(true, Ordering::Relaxed);
        answers
    });
    assert!(answers.iter().all(|answer| answer == "exit 0"));
    say("whole");
}

/// Forks while another thread opens and closes sessions; each child uses an inherited handle from
/// two threads at once and opens the session anew besides.
fn forks_amid_churn(place: &Place, rounds: usize) {
    let stop = AtomicBool::new(false);
    let (segment, _, _) = open_at(place, Mode::CreateOrAttach, false).unwrap();
    let answers: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                churn_once(place).unwrap();
            }
        });
        let forked = || {
            fork(|| {
                std::thread::scope(|scope| {
                    scope.spawn(|| add(&segment).unwrap());
                    scope.spawn(|| add(&segment).unwrap());
                });
                assert_eq!(churn_once(place).unwrap(), Opened::Attached);
                segment.close().unwrap();
            })
        };
        let answers = (0..rounds).map(|_| reap(forked())).collect();
        stop.store(true, Ordering::Relaxed);
        answers
    });
    assert!(answers.iter().all(|answer| answer == "exit 0"));
    say_result(segment.close());
}

fn describe(result: Result<(Segment, Opened, Option<Standing>)>) -> String {
    match result {
        Ok((_, opened, _)) => format!("{opened:?}"),
        Err(error) => format!("error: {error}"),
    }
}

/// Gives this process mounts of its own and hides `path` behind an empty tmpfs of 32 KiB.
fn hide(path: &Path) -> bool {
    let text = |text: &str| CString::new(text).unwrap();
    let (none, root, kind) = (text("none"), text("/"), text("tmpfs"));
    let (path, options) = (text(path.to_str().unwrap()), text("size=32k"));
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all strings end in NUL and live through the calls.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                none.as_ptr(),
                root.as_ptr(),
                std::ptr::null(),
                private,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                none.as_ptr(),
                path.as_ptr(),
                kind.as_ptr(),
                0,
                options.as_ptr().cast(),
            ) == 0
    }
}

fn on_small_disk(folder: &Path) -> String {
    if !hide(folder) {
        return "unprivileged".to_owned();
    }
    let place = Place::Path(folder.join("session"));
    let answer = describe(open_at(&place, Mode::CreateOrAttach, false));
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        0,
        "something was left behind"
    );
    answer
}

fn without_proc(place: &Place) -> String {
    if !hide(Path::new("/proc")) {
        return "unprivileged".to_owned();
    }
    describe(open_at(place, Mode::CreateOrAttach, false))
}

fn in_other_namespace(place: &Place) -> String {
    // SAFETY: only concerns children made later.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return "unprivileged".to_owned();
    }
    reap(fork(|| {
        say(&describe(open_at(place, Mode::CreateOrAttach, false)))
    }))
}

fn as_other_user(place: &Place) -> String {
    // SAFETY: both are plain system calls.
    if unsafe { libc::setgid(65_534) != 0 || libc::setuid(65_534) != 0 } {
        return "unprivileged".to_owned();
    }
    describe(open_at(place, Mode::CreateOrAttach, false))
}
