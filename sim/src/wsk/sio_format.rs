//! `FwpsQueryConnectionSioFormatRedirectRecords0`: the records that a callout was given, in the form that SET takes.
//!
//! It is for a driver that holds a connect back until the real destination answers, and hands the records to its proxy
//! itself. It serves local proxies only: with a remote redirect no records travel.
//!
//! Source: ddi "FwpsQueryConnectionSioFormatRedirectRecords0"; docs/behaviour.md, "Kernel functions" (C-16).

use super::Irql;
use crate::bug_check::BugCheck;
use crate::ids::Caller;
use crate::memory::Pointer;
use crate::ntstatus::NtStatus;
use crate::profile::Alignment;
use crate::records::Records;
use crate::world::World;

/// Bytes of a pointer.
const POINTER: u64 = 8;

impl World {
    /// `FwpsQueryConnectionSioFormatRedirectRecords0` with the `redirectRecords` of a classify. STATUS_NOT_FOUND where
    /// they are NULL; STATUS_BUFFER_TOO_SMALL with the size in `bytes_transferred`, a pointer to a `SIZE_T` that may be
    /// NULL; a buffer that is not pointer-aligned by the profile field `sio-format-alignment`.
    ///
    /// # Errors
    /// IRQL_NOT_LESS_OR_EQUAL above DISPATCH_LEVEL; PAGE_FAULT_IN_NONPAGED_AREA for memory that is to be written and is
    /// not there.
    pub fn fwps_query_connection_sio_format_redirect_records(
        &mut self,
        caller: Caller,
        irql: Irql,
        records: Option<&Records>,
        output: Pointer,
        output_length: u64,
        bytes_transferred: Pointer,
    ) -> Result<NtStatus, BugCheck> {
        if !self.is_driver(caller.pid) {
            return Ok(NtStatus::STATUS_INVALID_DEVICE_REQUEST);
        }
        if irql > Irql::Dispatch {
            return Err(BugCheck::IrqlNotLessOrEqual);
        }
        let Some(records) = records else { return Ok(NtStatus::STATUS_NOT_FOUND) };
        let blob = records.blob();
        let needed = blob.len() as u64;
        let misaligned = !output.is_aligned_to(POINTER);
        if misaligned && self.profile.sio_format_alignment == Alignment::Checked {
            return Ok(NtStatus::STATUS_INVALID_PARAMETER);
        }
        let fits = output_length >= needed && !output.is_null();
        let told = !bytes_transferred.is_null();
        // A fault is found before anything is written.
        if told && !self.memory.is_valid(caller.pid, bytes_transferred, POINTER) {
            return Err(BugCheck::PageFaultInNonpagedArea);
        }
        if fits && !self.memory.write(caller.pid, output, blob) {
            return Err(BugCheck::PageFaultInNonpagedArea);
        }
        if told {
            self.memory.write(caller.pid, bytes_transferred, &needed.to_le_bytes());
        }
        Ok(if fits { NtStatus::STATUS_SUCCESS } else { NtStatus::STATUS_BUFFER_TOO_SMALL })
    }
}
