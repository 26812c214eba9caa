//! Memory that calls are given: of any size, with what is not there behind it, or nowhere at all.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};

use crate::vocabulary::PointerKind;

const PAGE: usize = 4096;
/// Bytes behind a region that nobody can touch: as many as Windows reserves at least.
const GUARD: usize = 65_536;
/// Regions that need not end at a certain byte begin where `malloc` would let them.
const ALIGNMENT: usize = 16;
/// So much of a region is filled; a system with little memory can still have one of 4 GiB.
const FILLED: usize = 1 << 20;
/// Bytes behind a buffer that are watched.
const WATCHED: usize = 64;
/// What output buffers hold before a call.
pub(in crate::windows) const CANARY: u8 = 0xCC;

/// Memory that a call is given, or an address where there is none.
#[derive(Debug)]
pub(in crate::windows) struct Memory {
    /// What was reserved; null where nothing was.
    block: *mut c_void,
    start: *mut u8,
    /// Bytes that are there.
    region: usize,
    /// Bytes that the call is told.
    length: usize,
}

// SAFETY: it is the owner of its block, which belongs to no thread.
unsafe impl Send for Memory {}
// SAFETY: what is read and written through a shared reference is read and written byte for byte, as the system does.
unsafe impl Sync for Memory {}

impl Memory {
    /// NULL.
    pub(in crate::windows) fn null() -> Self {
        Self { block: ptr::null_mut(), start: ptr::null_mut(), region: 0, length: 0 }
    }

    /// Memory for a call that is told `length` bytes; `region` is how many there are, by default as many and some that
    /// are watched. `None` where the system has none left.
    pub(in crate::windows) fn new(
        pointer: PointerKind,
        length: u32,
        region: Option<u32>,
        fill: u8,
    ) -> Option<Self> {
        let length = length as usize;
        let region = match pointer {
            PointerKind::NullPointer => return Some(Self::null()),
            PointerKind::Unmapped => return nowhere().map(|start| Self { start, length, ..Self::null() }),
            PointerKind::Partly => length / 2,
            PointerKind::Valid => match region {
                Some(region) => region as usize,
                None => (length + WATCHED).next_multiple_of(ALIGNMENT),
            },
        };
        let committed = region.next_multiple_of(PAGE);
        // SAFETY: it takes addresses that nobody has.
        let block = unsafe { VirtualAlloc(ptr::null(), committed + GUARD, MEM_RESERVE, PAGE_NOACCESS) };
        if block.is_null() {
            return None;
        }
        let start = block.cast::<u8>().wrapping_add(committed - region);
        let memory = Self { block, start, region, length };
        if committed > 0 {
            // SAFETY: the block is ours, and as long as that.
            let there = unsafe { VirtualAlloc(block, committed, MEM_COMMIT, PAGE_READWRITE) };
            if there.is_null() {
                return None;
            }
        }
        // Committed memory is zero.
        if fill != 0 {
            memory.fill(0, region.min(FILLED), fill);
            memory.fill(length, region.min(length + WATCHED), fill);
        }
        Some(memory)
    }

    /// Memory of just these bytes.
    pub(in crate::windows) fn of(bytes: &[u8]) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        let memory = Self::new(PointerKind::Valid, length, None, 0)?;
        memory.write(0, bytes);
        Some(memory)
    }

    /// What a call is given.
    pub(super) fn pointer<T>(&self) -> *mut T {
        self.start.cast()
    }

    /// The address, to tell one operation from another.
    pub(in crate::windows) fn address(&self) -> usize {
        self.start as usize
    }

    /// As much of these bytes as is there.
    pub(in crate::windows) fn read(&self, from: usize, length: usize) -> Vec<u8> {
        let until = from.saturating_add(length).min(self.region);
        let at = |byte| {
            // SAFETY: the region is ours, committed, and holds bytes; the system may write to it at the same time,
            // so that each is read as it is.
            unsafe { self.start.wrapping_add(byte).read_volatile() }
        };
        (from..until).map(at).collect()
    }

    /// A word, where it is there whole.
    pub(in crate::windows) fn word(&self, at: usize) -> Option<u32> {
        self.read(at, 4).try_into().ok().map(u32::from_le_bytes)
    }

    /// Stores as much of these bytes as there is room for.
    pub(in crate::windows) fn write(&self, at: usize, bytes: &[u8]) {
        for (to, byte) in (at..self.region).zip(bytes) {
            // SAFETY: as in `read`.
            unsafe { self.start.wrapping_add(to).write_volatile(*byte) };
        }
    }

    fn fill(&self, from: usize, until: usize, with: u8) {
        self.write(from, &vec![with; until.saturating_sub(from)]);
    }

    /// Whether the bytes from `from` on are what they were, as far as they are watched.
    pub(in crate::windows) fn is_untouched(&self, from: u32) -> bool {
        let from = from as usize;
        let until =
            if from == self.length { from.saturating_add(WATCHED) } else { (from + WATCHED).min(FILLED) };
        self.read(from, until.saturating_sub(from)).iter().all(|byte| *byte == CANARY)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.block.is_null() {
            // SAFETY: the block is ours, and nobody has a reference into it. There is nobody to tell of a failure.
            let _ = unsafe { VirtualFree(self.block, 0, MEM_RELEASE) };
        }
    }
}

/// An address that is reserved, so that nothing ever comes to lie there.
fn nowhere() -> Option<*mut u8> {
    static NOWHERE: OnceLock<usize> = OnceLock::new();
    let address = *NOWHERE.get_or_init(|| {
        // SAFETY: it takes addresses that nobody has.
        unsafe { VirtualAlloc(ptr::null(), 2 * GUARD, MEM_RESERVE, PAGE_NOACCESS) as usize }
    });
    (address != 0).then_some((address + GUARD) as *mut u8)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn output(pointer: PointerKind, length: u32, region: Option<u32>) -> Memory {
        Memory::new(pointer, length, region, CANARY).unwrap()
    }

    #[rstest]
    #[case::as_said(PointerKind::Valid, Some(5), 5)]
    #[case::half(PointerKind::Partly, None, 4)]
    #[case::none(PointerKind::Unmapped, None, 0)]
    #[case::null(PointerKind::NullPointer, None, 0)]
    fn memory_has_as_many_bytes_as_the_op_says_and_a_page_that_nobody_can_touch_behind_them(
        #[case] pointer: PointerKind,
        #[case] region: Option<u32>,
        #[case] bytes: usize,
    ) {
        let memory = output(pointer, 8, region);
        assert_eq!(memory.read(0, 100), vec![CANARY; bytes]);
        if !memory.block.is_null() {
            assert_eq!((memory.address() + bytes) % PAGE, 0);
        }
        assert_eq!(memory.address() == 0, pointer == PointerKind::NullPointer);
    }

    #[rstest]
    #[case::nothing(&[], 0, true)]
    #[case::what_is_told(&[(0, 4)], 4, true)]
    #[case::more_than_is_told(&[(0, 5)], 4, false)]
    #[case::behind_the_buffer(&[(8, 1)], 4, false)]
    #[case::far_behind_the_buffer(&[(71, 1)], 4, false)]
    fn a_byte_that_was_written_beside_what_is_told_is_seen(
        #[case] writes: &[(usize, usize)],
        #[case] told: u32,
        #[case] untouched: bool,
    ) {
        let memory = output(PointerKind::Valid, 8, None);
        for (at, bytes) in writes {
            memory.write(*at, &vec![1; *bytes]);
        }
        assert_eq!(memory.is_untouched(told) && memory.is_untouched(8), untouched);
    }

    #[test]
    fn a_buffer_of_many_bytes_is_watched_at_its_end() {
        let memory = output(PointerKind::Valid, 2 << 20, None);
        assert!(memory.is_untouched(0) && memory.is_untouched(2 << 20));
        memory.write((2 << 20) + 3, &[1]);
        assert!(memory.is_untouched(0) && !memory.is_untouched(2 << 20));
    }
}
