//! The memory that calls are given: what they are told of it, what is really there, and what is watched.

use wfp_sim::{Caller, Pointer};

use super::SimBackend;
use crate::vocabulary::{Input, Output, PointerKind};

/// What the bytes-returned word holds before a call: no size that any call stores.
pub(super) const POISON: u32 = 0xDEAD_BEEF;
/// What output buffers hold before a call.
const CANARY: u8 = 0xCC;
/// Bytes behind a buffer that are watched.
const WATCHED: u32 = 64;

/// Memory that a call is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) pointer: Pointer,
    /// Bytes that are there.
    region: u64,
}

impl Buffer {
    pub(super) const NULL: Self = Self { pointer: Pointer::NULL, region: 0 };

    /// Memory that somebody else allocated.
    pub(super) fn at(pointer: Pointer) -> Self {
        Self { pointer, region: 0 }
    }
}

impl SimBackend {
    pub(super) fn output_buffer(&mut self, caller: Caller, out: Output, needed: Option<u32>) -> Buffer {
        let length = out.length.bytes(needed);
        let behind = u64::from(length) + u64::from(WATCHED);
        let region = out.region.map_or(behind, |region| region.bytes(needed).into());
        self.buffer(caller, out.pointer, length, region, CANARY)
    }

    /// The buffer with the records in it, and the length that the call is told.
    pub(super) fn input_buffer(&mut self, caller: Caller, input: Input, records: &[u8]) -> (Buffer, u32) {
        let needed = u32::try_from(records.len()).ok().filter(|length| *length > 0);
        let length = input.length.bytes(needed);
        let region = input.region.unwrap_or(input.length).bytes(needed);
        let buffer = self.buffer(caller, input.pointer, length, region.into(), 0);
        let mut bytes = records.to_vec();
        if let Some(byte) = input.corrupt.and_then(|at| bytes.get_mut(at as usize)) {
            *byte ^= 1;
        }
        bytes.truncate(usize::try_from(buffer.region).unwrap_or(usize::MAX));
        self.world.write_memory(caller, buffer.pointer, &bytes);
        (buffer, length)
    }

    pub(super) fn word(&mut self, caller: Caller, pointer: PointerKind) -> Buffer {
        let word = self.buffer(caller, pointer, 4, 4, 0);
        self.world.write_memory(caller, word.pointer, &POISON.to_le_bytes());
        word
    }

    pub(super) fn buffer(
        &mut self,
        caller: Caller,
        pointer: PointerKind,
        length: u32,
        region: u64,
        fill: u8,
    ) -> Buffer {
        let region = match pointer {
            PointerKind::NullPointer => return Buffer::NULL,
            PointerKind::Unmapped => return Buffer { pointer: Pointer::UNMAPPED, region: 0 },
            PointerKind::Partly => u64::from(length / 2),
            PointerKind::Valid => region,
        };
        Buffer { pointer: self.world.allocate(caller, region, fill), region }
    }

    pub(super) fn free(&mut self, caller: Caller, buffers: impl IntoIterator<Item = Buffer>) {
        for buffer in buffers {
            self.world.free(caller, buffer.pointer);
        }
    }

    /// Whether the bytes from `from` on are what they were, as far as they are watched.
    pub(super) fn is_untouched(&self, caller: Caller, buffer: Buffer, from: u32) -> bool {
        let watched = buffer.region.saturating_sub(from.into()).min(WATCHED.into());
        let bytes = self.world.read_memory(
            caller,
            buffer.pointer.offset(from.into()),
            u32::try_from(watched).unwrap_or(WATCHED),
        );
        watched == 0 || bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == CANARY))
    }
}
