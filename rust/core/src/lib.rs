//! The task tracker of Curricle: one table of tasks in shared memory, without Python.
//!
//! [`Session`] is the way in. Below it, arrows run one way: `session` -> `tracker`, `structure`,
//! `sampling`, `checkpoint`, `verify` -> `commit` -> `index`, `labels`, `table` -> `latch`,
//! `lock`, `tally` -> `layout`, `words` -> `segment`. `progress`, `rules`, `record` and `stream`
//! know nobody.

mod atomic_file;
mod batches;
mod checkpoint;
mod checkpoint_format;
mod commit;
#[cfg(test)]
mod crash_points;
mod distinct_draws;
mod draws;
pub mod episode_ends;
pub mod error;
mod evidence;
pub mod exchange;
mod field;
mod huge;
mod index;
mod interrupt;
pub mod journal;
mod label_changes;
mod labels;
pub mod latch;
pub mod layout;
mod limited_draws;
pub mod limits;
mod link;
mod local_fork;
pub mod lock;
#[cfg(loom)]
pub mod modelled;
mod options;
mod own_stream;
mod plausible;
pub mod progress;
mod rebuild;
pub mod record;
mod record_words;
pub mod rules;
pub mod sampling;
pub mod segment;
pub mod session;
mod sound;
pub mod steering;
pub mod stream;
pub mod structure;
mod sync;
mod table;
pub mod tally;
mod ticket;
pub mod totals;
pub mod tracker;
mod unique;
pub mod verify;
pub mod words;

pub use checkpoint::checkpoint_columns;
pub use error::{Error, Result};
pub use interrupt::set_interrupt_check;
pub use limits::Limits;
pub use options::SessionOptions;
pub use record::TaskData;
pub use rules::Rules;
pub use session::Session;
pub use stream::Stream;
pub use structure::NewTask;
pub use table::Table;
pub use ticket::Ticket;
