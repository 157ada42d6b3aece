//! Room for large results.

/// A vector with room for `count` values, in huge pages where the system grants them: without, most
/// of the time of a pass that fills it goes into page faults.
pub fn with_room<T>(count: usize) -> Vec<T> {
    let room: Vec<T> = Vec::with_capacity(count);
    #[cfg(target_os = "linux")]
    advise(room.as_ptr().cast_mut().cast(), count * size_of::<T>());
    room
}

#[cfg(target_os = "linux")]
fn advise(start: *mut libc::c_void, bytes: usize) {
    /// Advice is for whole pages; a fraction of a huge page is not worth the call.
    const PAGE: usize = 4096;
    const LEAST: usize = 4 << 20;
    if bytes < LEAST {
        return;
    }
    let skipped = start.align_offset(PAGE);
    let length = (bytes - skipped) / PAGE * PAGE;
    // SAFETY: whole pages within one allocation of ours; the advice leaves their content alone. A
    // refusal costs nothing but time.
    unsafe { libc::madvise(start.byte_add(skipped), length, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_was_asked_for() {
        for count in [0, 1, 1000, 1 << 20, (1 << 20) + 12_345] {
            let mut room: Vec<u64> = with_room(count);
            assert!(room.capacity() >= count);
            room.extend(0..count as u64);
            assert!(room.iter().copied().eq(0..count as u64));
        }
    }
}
