//! What orders accesses to shared memory: the standard library's, or what a model checker sees.

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, fence},
    thread::yield_now,
};

#[cfg(loom)]
pub(crate) use crate::modelled::{AtomicU64, fence, spin_loop, yield_now};
