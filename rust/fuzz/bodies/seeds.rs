//! Inputs that the fuzzers of whole files begin with, and what must become of them. They are made
//! anew from a small session each time, word by word, so that they always have the present layout.

use std::fs;
use std::mem::offset_of;

use curricle_core::layout::{Header, Layout, Shape, Stripe};
use curricle_core::segment::{Mode, Place};
use curricle_core::tally::COPY_WORDS;
use curricle_core::{Limits, Session, SessionOptions};

use super::checkpoint::HEAD_WORDS;
use super::edits::{bytes_of, without_zeros, words_of};
use super::sessions::options;

/// The sizes of the smallest session.
const SMALLEST: Shape = Shape {
    capacity: 1,
    columns: 0,
    max_labels: 1,
    sync_episodes: 0,
};

// Numbers of the one task that are found again in a file by their bits.
const TASK: i64 = 0x7461_736b;
const PROGRESS: f64 = 0.123_456_789;
const COMPLETIONS: u64 = 0x6d61_6e79;
// Of its label: a quarter to three quarters of the draws.
const LIMITS: u64 = (250_000_000 << 32) | 250_000_000;

/// An input of the corpus.
pub struct Seed {
    /// Name of its file.
    pub name: &'static str,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// A part of the reason for which it is refused; nothing for one that works.
    pub refused: Option<&'static str>,
}

fn seed(name: &'static str, bytes: Vec<u8>, refused: Option<&'static str>) -> Seed {
    Seed {
        name,
        bytes,
        refused,
    }
}

/// Bytes of the smallest session.
pub fn smallest() -> usize {
    Layout::new(SMALLEST).bytes
}

/// Options of the smallest session.
fn smallest_options(place: Place, mode: Mode) -> SessionOptions {
    let making = matches!(mode, Mode::Create);
    SessionOptions {
        capacity: making.then_some(SMALLEST.capacity),
        columns: Vec::new(),
        max_labels: SMALLEST.max_labels,
        ..options(place, mode)
    }
}

fn of_one_task(options: &SessionOptions) -> Session {
    let session = Session::open(options).expect("a new session");
    session.create_many(&[TASK], &[]).expect("room");
    let [reported, _open] = [(); 2].map(|()| session.draw(None).expect("a task"));
    session.report(&reported, 0.5, 3).expect("its report");
    session.set_label(TASK, Some("a")).expect("room");
    let mut data = session.read(TASK).expect("the task");
    data.completion_count = COMPLETIONS;
    let limits = Limits {
        least: 0.25,
        most: 0.75,
    };
    session.limit_share("a", limits).expect("limits");
    // It would be another one each time.
    data.creation_time = 0.0;
    session.write(&data, Some("a")).expect("numbers in range");
    session.set_lp(TASK, PROGRESS).expect("an LP");
    session
        .set_lp(TASK, PROGRESS)
        .expect("an LP, in both copies");
    session
}

/// The words of a session's file. What differs from run to run and from machine to machine is set.
fn file_of_one_task() -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session");
    let session = of_one_task(&smallest_options(Place::Path(path.clone()), Mode::Create));
    session.close().expect("the last one leaves");
    let mut words = words_of(&fs::read(&path).expect("the file of a session at a path stays"));
    let layout = Layout::new(SMALLEST);
    // Boot, pid namespace and number of the file.
    words[4..7].copy_from_slice(&[0, 0, 1]);
    let last = header(offset_of!(Header, counters.tickets));
    let ring = layout.open_tickets_at / 8;
    let start = words[last] - 2;
    words[last] = 2;
    words[ring + 1] -= start << 1;
    words[ring + 2] -= start << 1;
    // Locks are made anew.
    let locks = [header(offset_of!(Header, structure)), layout.stripes_at / 8];
    let lock_words = (offset_of!(Header, intent) - offset_of!(Header, structure)) / 8;
    for (lock, count) in locks
        .into_iter()
        .zip([lock_words, offset_of!(Stripe, intent) / 8])
    {
        words[lock..lock + count].fill(0);
    }
    words
}

/// Position of a word of the header.
fn header(offset: usize) -> usize {
    (Layout::new(SMALLEST).header + offset) / 8
}

/// Bytes of words, without the zeros at the end.
fn cut(words: &[u64]) -> Vec<u8> {
    bytes_of(without_zeros(words))
}

/// `words` with another value wherever a word has this one.
fn with(words: &[u64], from: u64, to: u64) -> Vec<u64> {
    assert!(words.contains(&from), "{from:#x} is nowhere");
    words
        .iter()
        .map(|word| if *word == from { to } else { *word })
        .collect()
}

/// `words` with another value at one position.
fn with_at(words: &[u64], at: usize, to: u64) -> Vec<u64> {
    let mut words = words.to_vec();
    words[at] = to;
    words
}

/// Of the files of sessions.
pub fn segment_seeds() -> Vec<Seed> {
    let valid = file_of_one_task();
    let layout = Layout::new(SMALLEST);
    let stripe = |offset: usize| (layout.stripes_at + offset) / 8;
    let totals = stripe(offset_of!(Stripe, totals));
    let other = layout.labels - 1;
    let other_text = layout.label_names_at / 8 + other * curricle_core::layout::LABEL_WORDS + 1;
    let schedule = layout.records_at / 8 + 1;
    let progress = PROGRESS.to_bits();
    // Of the task: its tenancy, that it lives, and label "a".
    let identity = (1 << 32) | (1 << 31) | 1;
    let at = |at: usize, to: u64| cut(&with_at(&valid, at, to));
    let of_header = |offset: usize, to: u64| at(header(offset), to);
    // A sum of each copy of the totals, counted from the retired part.
    let retired = |word: usize, to: u64| {
        let first = with_at(&valid, totals + word, to);
        cut(&with_at(&first, totals + COPY_WORDS + word, to))
    };
    vec![
        seed("one_task", cut(&valid), None),
        seed("empty", Vec::new(), Some("not a session")),
        seed("preamble_only", cut(&valid[..16]), Some("layout version")),
        seed(
            "cut_short",
            at(2, valid[2] + 4096),
            Some("cut short or grown"),
        ),
        seed("other_magic", at(0, 1), Some("not a session")),
        seed(
            "other_layout",
            of_header(offset_of!(Header, version), 1),
            Some("layout version"),
        ),
        seed(
            "other_label_renamed",
            at(other_text, u64::from_le_bytes(*b"rehto\0\0\0")),
            Some("is not \"other\""),
        ),
        seed(
            "labels_at_their_end",
            of_header(offset_of!(Header, intent.next_label), u64::MAX),
            Some("labels were made"),
        ),
        seed(
            "schedule_of_another",
            at(schedule, valid[schedule] ^ (1 << 48)),
            None,
        ),
        seed(
            "sums_below_their_parts",
            cut(&with_at(
                &with_at(&valid, layout.block_weights_at / 8, 0),
                layout.drawn_at / 8,
                u64::MAX,
            )),
            None,
        ),
        seed(
            "label_that_there_is_not",
            cut(&with(&valid, identity, identity + 2)),
            Some("has label"),
        ),
        seed(
            "sequence_at_its_end",
            at(layout.records_at / 8, u64::MAX - 1),
            Some("changes of one record"),
        ),
        seed(
            "unused_totals_at_their_end",
            at(layout.label_totals_at / 8, u64::MAX),
            None,
        ),
        seed(
            "progress_out_of_range",
            cut(&with(&valid, progress, f64::NAN.to_bits())),
            Some("has LP NaN"),
        ),
        seed(
            "more_than_any_session",
            cut(&with(&valid, COMPLETIONS, u64::MAX)),
            Some("completions add up"),
        ),
        seed(
            "created_too_often",
            retired(11, u64::MAX),
            Some("tasks add up"),
        ),
        seed(
            "limits_upside_down",
            cut(&with(&valid, LIMITS, LIMITS << 2)),
            Some("limits"),
        ),
        seed(
            "scores_upside_down",
            of_header(offset_of!(Header, score_range), 1e300_f64.to_bits()),
            Some("scores from"),
        ),
        seed(
            "unknown_plan",
            of_header(offset_of!(Header, intent.plan), 6),
            Some("is pending"),
        ),
        seed(
            "commit_elsewhere",
            cut(&with_at(
                &with_at(&valid, stripe(offset_of!(Stripe, intent.armed)), 1),
                stripe(offset_of!(Stripe, intent.slot)),
                1,
            )),
            Some("is pending"),
        ),
        seed(
            "tickets_at_their_end",
            of_header(offset_of!(Header, counters.tickets), u64::MAX),
            Some("tickets"),
        ),
        seed(
            "ticket_of_the_future",
            at(layout.open_tickets_at / 8 + 3, 7 << 40),
            Some("ticket"),
        ),
    ]
}

/// Of checkpoints.
pub fn checkpoint_seeds() -> Vec<Seed> {
    let session = of_one_task(&options(Place::Local, Mode::Create));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint");
    session.save(&path).expect("room");
    let file = fs::read(&path).expect("what was saved");
    let words = words_of(&file);
    let body = &words[HEAD_WORDS..words.len() - 1];
    let stream = session.stream_state().expect("a stream");
    let no_stream = stream
        .iter()
        .fold(body.to_vec(), |body, word| with(&body, *word, 0));
    let refused = |name, from, to, reason| {
        let damaged = with(body, from, to);
        seed(name, bytes_of(&damaged), Some(reason))
    };
    let progress = PROGRESS.to_bits();
    let identity = (1 << 32) | 1;
    let mut damaged = file.clone();
    damaged[file.len() / 2] ^= 1;
    vec![
        seed("one_task", file.clone(), None),
        seed("one_bit_changed", damaged, Some("checksum")),
        seed("body_of_one_task", bytes_of(body), None),
        seed("empty", Vec::new(), Some("ends too early")),
        seed("cut_short", file[..40].to_vec(), Some("cut short")),
        seed("stream_of_zeros", bytes_of(&no_stream), Some("four zeros")),
        refused(
            "progress_out_of_range",
            progress,
            f64::NAN.to_bits(),
            "lp_score",
        ),
        refused(
            "label_that_there_is_not",
            identity,
            identity + 1,
            "has no label",
        ),
        refused("limits_upside_down", LIMITS, LIMITS << 2, "limits"),
        refused("progress_too_large", progress, 1e300_f64.to_bits(), "LP 1"),
        refused(
            "more_than_any_session",
            COMPLETIONS,
            u64::MAX,
            "completion_count",
        ),
    ]
}
