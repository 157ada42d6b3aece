//! The exchange of episodes between machines: every node sends what happened on it since the last
//! sync, and replays what all have sent, in one order, onto the state of the last sync.
//!
//! `steps` is what happened, `wire` how it is sent, `messages` what nodes say to one another.
//! `mirror` keeps the state of the last sync and replays; `offer` cuts the journal; `adopt` brings
//! the live session to the new state; `rounds` is the conversation.

mod adopt;
mod digest;
mod messages;
mod mirror;
mod offer;
mod rounds;
mod steps;
mod wire;

#[cfg(test)]
mod tests;

pub use rounds::{Exchange, Synced};
