//! The memory of processes, as far as calls can see it: regions, and pointers into them.
//!
//! A call is told a pointer and a length. The region behind the pointer can be longer than that length (then
//! the bytes behind it show a write past the end), shorter, absent, or the pointer can be NULL.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::Pid;

/// An address in the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(u64);

impl Pointer {
    /// The null pointer.
    pub const NULL: Self = Self(0);
    /// An address that no process ever has memory at.
    pub const UNMAPPED: Self = Self(0x0BAD_0000);

    /// The address `bytes` further on.
    #[must_use]
    pub fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Whether the address is a multiple of `bytes`.
    #[must_use]
    pub fn is_aligned_to(self, bytes: u64) -> bool {
        self.0.is_multiple_of(bytes)
    }

    /// Whether this is the null pointer.
    #[must_use]
    pub fn is_null(self) -> bool {
        self == Self::NULL
    }
}

/// Regions lie this far apart, so that no two touch and an address names its region.
const REGION_SPACING_BITS: u32 = 36;

/// All regions of all processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    /// The place of a region gives its addresses; the place of one that was freed is given again.
    regions: Vec<Option<Arc<Region>>>,
    /// How many regions there ever were.
    count: u64,
}

/// A region costs what is written to it, not what it could hold: a length of 4 GiB is a case worth testing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Region {
    owner: Pid,
    /// The how manieth region this is.
    number: u64,
    size: u64,
    /// Every byte that was never written.
    fill: u8,
    /// The bytes below [`NEAR`], up to the last one written.
    near: Vec<u8>,
    /// The bytes written from [`NEAR`] on.
    far: BTreeMap<u64, u8>,
}

/// So much of a region is kept in one piece.
const NEAR: usize = 1 << 20;

impl Region {
    fn holds(&self, offset: u64, length: u64) -> bool {
        offset <= self.size && length <= self.size - offset
    }

    #[inline]
    fn write(&mut self, offset: u64, data: &[u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.near.get_mut(start..start.saturating_add(data.len())) {
            Some(written_before) => written_before.copy_from_slice(data),
            None => self.write_anew(offset, data),
        }
    }

    fn write_anew(&mut self, offset: u64, data: &[u8]) {
        let start = usize::try_from(offset).map_or(NEAR, |start| start.min(NEAR));
        let (near, far) = data.split_at(data.len().min(NEAR - start));
        if !near.is_empty() {
            let end = start + near.len();
            if self.near.len() < end {
                self.near.resize(end, self.fill);
            }
            self.near[start..end].copy_from_slice(near);
        }
        self.far.extend((offset + near.len() as u64..).zip(far.iter().copied()));
    }

    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![self.fill; length];
        let near = usize::try_from(offset).ok().and_then(|start| self.near.get(start..)).unwrap_or_default();
        let copied = near.len().min(length);
        bytes[..copied].copy_from_slice(&near[..copied]);
        for (place, byte) in self.far.range(offset..offset + length as u64) {
            if let Some(slot) = usize::try_from(place - offset).ok().and_then(|index| bytes.get_mut(index)) {
                *slot = *byte;
            }
        }
        bytes
    }
}

impl Memory {
    /// A new region of `size` bytes, each of them `fill`. `size` is cut to what fits between two regions.
    pub(crate) fn allocate(&mut self, owner: Pid, size: u64, fill: u8) -> Pointer {
        let size = size.min(1 << (REGION_SPACING_BITS - 1));
        self.count += 1;
        let (near, far) = (Vec::new(), BTreeMap::new());
        let region = Some(Arc::new(Region { owner, number: self.count, size, fill, near, far }));
        let index = self.regions.iter().position(Option::is_none).unwrap_or(self.regions.len());
        match self.regions.get_mut(index) {
            Some(free) => *free = region,
            None => self.regions.push(region),
        }
        address_of(index)
    }

    /// Gives the region at `pointer` back; `false` where none of `owner` starts there.
    pub(crate) fn free(&mut self, owner: Pid, pointer: Pointer) -> bool {
        let Some((index, 0)) = locate(pointer) else { return false };
        let Some(slot) = self.regions.get_mut(index) else { return false };
        let found = slot.take_if(|region| region.owner == owner).is_some();
        self.trim();
        found
    }

    /// Gives back all regions of a process that ends.
    pub(crate) fn free_all(&mut self, owner: Pid) {
        for slot in &mut self.regions {
            slot.take_if(|region| region.owner == owner);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.regions.last().is_some_and(Option::is_none) {
            self.regions.pop();
        }
    }

    /// Moves the regions together in the order of their age, as if those that were freed had never been.
    /// Gives the moves, for pointers that are kept elsewhere.
    pub(crate) fn close_gaps(&mut self) -> Moves {
        let mut placed: Vec<(usize, Arc<Region>)> = std::mem::take(&mut self.regions)
            .into_iter()
            .enumerate()
            .filter_map(|(place, region)| Some((place, region?)))
            .collect();
        placed.sort_by_key(|(_, region)| region.number);
        let moves = placed.iter().enumerate().map(|(to, (from, _))| (*from, to)).collect();
        for ((_, mut region), number) in placed.into_iter().zip(1..) {
            Arc::make_mut(&mut region).number = number;
            self.regions.push(Some(region));
        }
        self.count = self.regions.len() as u64;
        Moves(moves)
    }

    /// Whether the `length` bytes from `pointer` on are all in one region of `owner`. NULL is never valid, not
    /// even for no bytes.
    #[inline]
    pub(crate) fn is_valid(&self, owner: Pid, pointer: Pointer, length: u64) -> bool {
        self.find(owner, pointer, length).is_some()
    }

    /// Copies `data` to `pointer`; `false`, and nothing written, unless all of it fits.
    #[inline]
    pub(crate) fn write(&mut self, owner: Pid, pointer: Pointer, data: &[u8]) -> bool {
        let Some((index, offset)) = locate(pointer) else { return false };
        let Some(Some(region)) = self.regions.get_mut(index) else { return false };
        if region.owner != owner || !region.holds(offset, data.len() as u64) {
            return false;
        }
        Arc::make_mut(region).write(offset, data);
        true
    }

    /// The `length` bytes from `pointer` on, or `None` unless all of them are valid. Lent where they lie in one
    /// piece, as what a program wrote mostly does.
    pub(crate) fn read(&self, owner: Pid, pointer: Pointer, length: u64) -> Option<Cow<'_, [u8]>> {
        let (region, offset) = self.find(owner, pointer, length)?;
        let length = usize::try_from(length).ok()?;
        let start = usize::try_from(offset).ok()?;
        Some(match region.near.get(start..start.saturating_add(length)) {
            Some(written) => Cow::Borrowed(written),
            None => Cow::Owned(region.read(offset, length)),
        })
    }

    /// The 8 bytes at `pointer` as a little-endian number.
    pub(crate) fn read_u64(&self, owner: Pid, pointer: Pointer) -> Option<u64> {
        let bytes = self.read(owner, pointer, 8)?;
        Some(u64::from_le_bytes((&*bytes).try_into().ok()?))
    }

    #[inline]
    fn find(&self, owner: Pid, pointer: Pointer, length: u64) -> Option<(&Region, u64)> {
        let (index, offset) = locate(pointer)?;
        let region = self.regions.get(index)?.as_deref()?;
        (region.owner == owner && region.holds(offset, length)).then_some((region, offset))
    }

    /// Regions that are allocated now.
    pub(crate) fn live(&self) -> usize {
        self.regions.iter().flatten().count()
    }
}

/// Where regions came to lie: old places to new ones.
#[derive(Default)]
pub(crate) struct Moves(BTreeMap<usize, usize>);

impl Moves {
    /// The same place in its region. A pointer to nothing stays what it is, for NULL and the unmapped one; one to
    /// memory that was freed becomes the unmapped one.
    pub(crate) fn pointer(&self, pointer: Pointer) -> Pointer {
        let Some((place, offset)) = locate(pointer) else { return pointer };
        match self.0.get(&place) {
            Some(moved) => address_of(*moved).offset(offset),
            None => Pointer::UNMAPPED,
        }
    }
}

/// The address of the region at a place.
#[inline]
fn address_of(index: usize) -> Pointer {
    Pointer((index as u64 + 1) << REGION_SPACING_BITS)
}

/// The region that `pointer` points into, and how far.
#[inline]
fn locate(pointer: Pointer) -> Option<(usize, u64)> {
    let index = usize::try_from(pointer.0 >> REGION_SPACING_BITS).ok()?.checked_sub(1)?;
    Some((index, pointer.0 & ((1 << REGION_SPACING_BITS) - 1)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const A: Pid = Pid(4);
    const B: Pid = Pid(8);

    fn bytes(memory: &Memory, pointer: Pointer, length: u64) -> Option<Vec<u8>> {
        memory.read(A, pointer, length).map(Cow::into_owned)
    }

    #[rstest]
    #[case::all_of_it(0, 10, true)]
    #[case::one_more(0, 11, false)]
    #[case::nothing_at_the_end(10, 0, true)]
    #[case::nothing_behind_the_end(11, 0, false)]
    #[case::the_last_byte(9, 1, true)]
    #[case::over_the_end(9, 2, false)]
    fn region_is_valid_up_to_its_last_byte(#[case] offset: u64, #[case] length: u64, #[case] valid: bool) {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 10, 0).offset(offset);
        assert_eq!(memory.is_valid(A, pointer, length), valid);
        assert_eq!(memory.read(A, pointer, length).is_some(), valid);
    }

    #[rstest]
    #[case::null(Pointer::NULL)]
    #[case::unmapped(Pointer::UNMAPPED)]
    #[case::the_last_address(Pointer(u64::MAX))]
    fn pointer_to_nothing_is_invalid_even_for_no_bytes(#[case] pointer: Pointer) {
        let mut memory = Memory::default();
        memory.allocate(A, 10, 0);
        assert!(!memory.is_valid(A, pointer, 0));
        assert!(!memory.write(A, pointer, &[]));
    }

    #[test]
    fn region_is_its_owners_alone() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 2, 0);
        assert!(!memory.is_valid(B, pointer, 1));
        assert!(!memory.write(B, pointer, &[1]));
        assert!(!memory.free(B, pointer));
        assert_eq!(bytes(&memory, pointer, 2), Some(vec![0, 0]));
    }

    #[test]
    fn unwritten_bytes_keep_the_fill() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 6, 0xCC);
        assert!(memory.write(A, pointer.offset(1), &[1, 2]));
        assert_eq!(bytes(&memory, pointer, 6), Some(vec![0xCC, 1, 2, 0xCC, 0xCC, 0xCC]));
        assert!(matches!(memory.read(A, pointer, 3), Some(Cow::Borrowed([0xCC, 1, 2]))));
    }

    #[test]
    fn write_that_does_not_fit_changes_nothing() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 2, 0);
        assert!(!memory.write(A, pointer, &[1, 2, 3]));
        assert_eq!(bytes(&memory, pointer, 2), Some(vec![0, 0]));
    }

    #[test]
    fn freed_region_is_gone_and_frees_once() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 2, 0);
        assert!(!memory.free(A, pointer.offset(1)), "only its start names a region");
        assert!(memory.free(A, pointer));
        assert!(!memory.free(A, pointer));
        assert!(!memory.is_valid(A, pointer, 0));
        assert_eq!(memory.live(), 0);
    }

    #[test]
    fn regions_of_a_process_that_ends_are_freed_and_others_stay() {
        let mut memory = Memory::default();
        let (first, second) = (memory.allocate(A, 1, 0), memory.allocate(B, 1, 0));
        memory.allocate(A, 1, 0);
        memory.free_all(A);
        assert_eq!(memory.live(), 1);
        assert!(!memory.is_valid(A, first, 1));
        assert!(memory.is_valid(B, second, 1));
    }

    #[test]
    fn region_of_four_gibibytes_costs_only_what_is_written() {
        let mut memory = Memory::default();
        let end = u64::from(u32::MAX);
        let pointer = memory.allocate(A, end, 7);
        assert!(memory.is_valid(A, pointer, end));
        assert!(memory.write(A, pointer.offset(end - 2), &[1, 2]));
        assert!(!memory.write(A, pointer.offset(end - 2), &[1, 2, 3]));
        assert_eq!(bytes(&memory, pointer.offset(end - 3), 3), Some(vec![7, 1, 2]));
        assert_eq!(bytes(&memory, pointer, 2), Some(vec![7, 7]));
    }

    #[test]
    fn write_over_the_border_of_the_kept_piece_reads_back() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 1 << 21, 0);
        let border = pointer.offset(NEAR as u64 - 2);
        assert!(memory.write(A, border, &[1, 2, 3, 4]));
        assert_eq!(bytes(&memory, border.offset(1), 4), Some(vec![2, 3, 4, 0]));
    }

    #[test]
    fn region_has_at_most_half_the_distance_to_the_next() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, u64::MAX, 0);
        assert!(memory.is_valid(A, pointer, 1 << 35));
        assert!(!memory.is_valid(A, pointer, (1 << 35) + 1));
    }

    #[test]
    fn gaps_close_as_if_freed_regions_had_never_been() {
        let mut memory = Memory::default();
        let first = memory.allocate(A, 1, 0);
        memory.allocate(A, 2, 0);
        memory.free(A, first);
        assert_eq!(memory.allocate(A, 3, 0), first, "at its place");
        memory.close_gaps();
        let mut other = Memory::default();
        other.allocate(A, 2, 0);
        other.allocate(A, 3, 0);
        assert_eq!(memory, other);
    }
}
