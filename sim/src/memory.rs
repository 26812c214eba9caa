//! The memory of processes, as far as calls can see it: regions, and pointers into them.
//!
//! A call is told a pointer and a length. The region behind the pointer can be longer than that length (then
//! the bytes behind it show a write past the end), shorter, absent, or the pointer can be NULL.

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
    regions: Vec<Option<Arc<Region>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Region {
    owner: Pid,
    size: u64,
    /// Every byte of the region that was never written.
    fill: u8,
    /// The start of the region up to the last byte written; the rest is `fill`, so a region of 4 GiB costs
    /// what is written to it.
    bytes: Vec<u8>,
}

impl Memory {
    /// A new region of `size` bytes, each of them `fill`. `size` is cut to what fits between two regions.
    pub(crate) fn allocate(&mut self, owner: Pid, size: u64, fill: u8) -> Pointer {
        let size = size.min(1 << (REGION_SPACING_BITS - 1));
        let region = Some(Arc::new(Region { owner, size, fill, bytes: Vec::new() }));
        let index = match self.regions.iter().position(Option::is_none) {
            Some(free) => {
                self.regions[free] = region;
                free
            }
            None => {
                self.regions.push(region);
                self.regions.len() - 1
            }
        };
        Pointer((index as u64 + 1) << REGION_SPACING_BITS)
    }

    /// Gives the region at `pointer` back; `false` where none of `owner` starts there.
    pub(crate) fn free(&mut self, owner: Pid, pointer: Pointer) -> bool {
        let Some((index, 0)) = locate(pointer) else { return false };
        match self.regions.get_mut(index) {
            Some(slot) if slot.as_ref().is_some_and(|region| region.owner == owner) => {
                *slot = None;
                while self.regions.last().is_some_and(Option::is_none) {
                    self.regions.pop();
                }
                true
            }
            _ => false,
        }
    }

    /// Gives back all regions of a process that ends.
    pub(crate) fn free_all(&mut self, owner: Pid) {
        for slot in &mut self.regions {
            if slot.as_ref().is_some_and(|region| region.owner == owner) {
                *slot = None;
            }
        }
        while self.regions.last().is_some_and(Option::is_none) {
            self.regions.pop();
        }
    }

    /// Whether the `length` bytes from `pointer` on are all in one region of `owner`. NULL is never valid, not
    /// even for no bytes.
    #[inline]
    pub(crate) fn is_valid(&self, owner: Pid, pointer: Pointer, length: u64) -> bool {
        self.find(owner, pointer).is_some_and(|(region, offset)| length <= region.size - offset)
    }

    /// Copies `data` to `pointer`; `false`, and nothing written, unless all of it fits.
    #[inline]
    pub(crate) fn write(&mut self, owner: Pid, pointer: Pointer, data: &[u8]) -> bool {
        if !self.is_valid(owner, pointer, data.len() as u64) {
            return false;
        }
        let Some((index, offset)) = locate(pointer) else { return false };
        let Some(Some(region)) = self.regions.get_mut(index) else { return false };
        let region = Arc::make_mut(region);
        let Ok(start) = usize::try_from(offset) else { return false };
        let end = start + data.len();
        if region.bytes.len() < end {
            region.bytes.resize(end, region.fill);
        }
        region.bytes[start..end].copy_from_slice(data);
        true
    }

    /// The `length` bytes from `pointer` on, or `None` unless all of them are valid.
    pub(crate) fn read(&self, owner: Pid, pointer: Pointer, length: u64) -> Option<Vec<u8>> {
        let (region, offset) = self.find(owner, pointer)?;
        if length > region.size - offset {
            return None;
        }
        let (start, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        let written = region.bytes.get(start..).unwrap_or_default();
        let mut bytes = written[..written.len().min(length)].to_vec();
        bytes.resize(length, region.fill);
        Some(bytes)
    }

    /// As [`Memory::read`], without a copy where everything asked for was written once.
    #[inline]
    pub(crate) fn view(&self, owner: Pid, pointer: Pointer, length: u64) -> Option<&[u8]> {
        let (region, offset) = self.find(owner, pointer)?;
        let (start, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        region.bytes.get(start..start.checked_add(length)?)
    }

    #[inline]
    fn find(&self, owner: Pid, pointer: Pointer) -> Option<(&Region, u64)> {
        let (index, offset) = locate(pointer)?;
        let region = self.regions.get(index)?.as_deref()?;
        (region.owner == owner && offset <= region.size).then_some((region, offset))
    }

    /// Regions that are allocated now.
    pub(crate) fn live(&self) -> usize {
        self.regions.iter().flatten().count()
    }
}

/// The region that `pointer` points into, and how far.
#[inline]
fn locate(pointer: Pointer) -> Option<(usize, u64)> {
    let index = usize::try_from(pointer.0 >> REGION_SPACING_BITS).ok()?.checked_sub(1)?;
    Some((index, pointer.0 & ((1 << REGION_SPACING_BITS) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Pid = Pid(4);
    const B: Pid = Pid(8);

    #[test]
    fn region_is_valid_up_to_its_last_byte_and_for_its_owner_alone() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 10, 0);
        assert!(memory.is_valid(A, pointer, 10));
        assert!(!memory.is_valid(A, pointer, 11));
        assert!(memory.is_valid(A, pointer.offset(10), 0));
        assert!(!memory.is_valid(A, pointer.offset(11), 0));
        assert!(!memory.is_valid(B, pointer, 1));
        assert!(!memory.is_valid(A, Pointer::NULL, 0));
        assert!(!memory.is_valid(A, Pointer::UNMAPPED, 0));
        assert!(!memory.is_valid(A, Pointer(u64::MAX), 1));
    }

    #[test]
    fn unwritten_bytes_keep_the_fill() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 6, 0xCC);
        assert!(memory.write(A, pointer.offset(1), &[1, 2]));
        assert_eq!(memory.read(A, pointer, 6), Some(vec![0xCC, 1, 2, 0xCC, 0xCC, 0xCC]));
        assert_eq!(memory.view(A, pointer, 3), Some(&[0xCC, 1, 2][..]));
        assert_eq!(memory.view(A, pointer, 4), None, "never written, so there is nothing to lend");
    }

    #[test]
    fn write_that_does_not_fit_changes_nothing() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 2, 0);
        assert!(!memory.write(A, pointer, &[1, 2, 3]));
        assert_eq!(memory.read(A, pointer, 2), Some(vec![0, 0]));
    }

    #[test]
    fn freed_region_is_gone_and_frees_once() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, 2, 0);
        assert!(!memory.free(B, pointer));
        assert!(memory.free(A, pointer));
        assert!(!memory.free(A, pointer));
        assert!(!memory.is_valid(A, pointer, 0));
        assert_eq!(memory.live(), 0);
    }

    #[test]
    fn region_of_four_gibibytes_costs_only_what_is_written() {
        let mut memory = Memory::default();
        let pointer = memory.allocate(A, u64::from(u32::MAX), 0);
        assert!(memory.is_valid(A, pointer, u64::from(u32::MAX)));
        assert!(memory.write(A, pointer, &[7]));
        assert_eq!(memory.read(A, pointer, 2), Some(vec![7, 0]));
    }
}
