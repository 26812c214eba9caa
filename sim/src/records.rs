//! Redirect records: what a connection carries of the redirects behind it.
//!
//! To programs a record is an opaque blob of varying length that they fetch from one socket and set on
//! another. Real Windows' format is unknown (docs/behaviour.md, U-04); the model has one of its own, which
//! grows by each redirect as the [`Profile`] says and notices when it was cut or changed.
//!
//! Source: win32 SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS; docs/behaviour.md, "Chains".

use std::ops::Range;

use crate::ids::{ContextId, FlowId, RedirectHandle};
use crate::profile::Profile;

/// One redirect of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Who redirected.
    pub handle: RedirectHandle,
    /// The context that the redirect carried. The entry names it and does not own it: the context goes when its
    /// flow does, however long a blob with this entry lives on.
    pub context: Option<ContextId>,
    /// The connection that was redirected.
    pub flow: FlowId,
}

/// The redirects of a connection, oldest first, and the blob that stands for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Records {
    entries: Vec<Entry>,
    /// The handles of `entries`, sorted: a callout asks "did I redirect this?" at every connect of a chain.
    handles: Vec<RedirectHandle>,
    blob: Box<[u8]>,
    /// The checksum of the entries' bytes, with which that of a longer chain goes on.
    sum: u64,
}

/// `FWPS_CONNECTION_REDIRECT_STATE`: what a callout learns of a connection's past.
///
/// Source: ddi "FWPS_CONNECTION_REDIRECT_STATE"; the numbers follow from the order of declaration (inferred).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum RedirectState {
    /// `FWPS_CONNECTION_NOT_REDIRECTED`: nobody redirected it, as far as the records say.
    NotRedirected = 0,
    /// `FWPS_CONNECTION_REDIRECTED_BY_SELF`: the last redirect was by the asking handle.
    RedirectedBySelf = 1,
    /// `FWPS_CONNECTION_REDIRECTED_BY_OTHER`: others redirected it, the asking handle never did.
    RedirectedByOther = 2,
    /// `FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF`: the asking handle did, and another one later.
    PreviouslyRedirectedBySelf = 3,
}

impl RedirectState {
    /// The four states, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::NotRedirected,
        Self::RedirectedBySelf,
        Self::RedirectedByOther,
        Self::PreviouslyRedirectedBySelf,
    ];

    /// The name without its `FWPS_CONNECTION_` in front.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRedirected => "NOT_REDIRECTED",
            Self::RedirectedBySelf => "REDIRECTED_BY_SELF",
            Self::RedirectedByOther => "REDIRECTED_BY_OTHER",
            Self::PreviouslyRedirectedBySelf => "PREVIOUSLY_REDIRECTED_BY_SELF",
        }
    }
}

impl std::fmt::Display for RedirectState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of a connection with these records for this handle.
///
/// It depends on the set of handles in the records and on the last of them, and on nothing else.
/// Source: ddi "FwpsQueryConnectionRedirectState0"; inferred: docs/behaviour.md, "Chains".
#[must_use]
pub fn redirect_state(records: Option<&Records>, handle: RedirectHandle) -> RedirectState {
    let Some(records) = records else { return RedirectState::NotRedirected };
    match records.entries.last() {
        None => RedirectState::NotRedirected,
        Some(last) if last.handle == handle => RedirectState::RedirectedBySelf,
        Some(_) if records.handles.binary_search(&handle).is_ok() => {
            RedirectState::PreviouslyRedirectedBySelf
        }
        Some(_) => RedirectState::RedirectedByOther,
    }
}

// The blob: a magic number, how many entries follow, a checksum, the rest of the header; then the entries, each with
// handle, context and connection in front. What the profile's sizes leave over is 0.
const MAGIC: [u8; 4] = *b"WFPR";
const COUNT: Range<usize> = 4..8;
const CHECKSUM: Range<usize> = 8..16;
const FLOW: Range<usize> = 16..24;

impl Records {
    /// The records of a connection that came with `earlier` and was then redirected by `added`.
    pub(crate) fn extended(earlier: Option<&Self>, added: &[Entry], profile: &Profile) -> Self {
        let (header, hop) = sizes(profile);
        let before = earlier.map_or(0, |records| records.entries.len());
        let mut entries = Vec::with_capacity(before + added.len());
        let mut handles = Vec::with_capacity(before + added.len());
        let mut blob = Vec::with_capacity(header + (before + added.len()) * hop);
        let mut sum = SEED;
        if let Some(earlier) = earlier {
            entries.extend_from_slice(&earlier.entries);
            handles.extend_from_slice(&earlier.handles);
            blob.extend_from_slice(&earlier.blob);
            sum = earlier.sum;
        } else {
            blob.extend_from_slice(&MAGIC);
            blob.resize(header, 0);
        }
        for entry in added {
            entries.push(*entry);
            if let Err(place) = handles.binary_search(&entry.handle) {
                handles.insert(place, entry.handle);
            }
            let start = blob.len();
            let context = entry.context.map_or(0, |context| context.0 + 1);
            for number in [entry.handle.0, context, entry.flow.0] {
                blob.extend_from_slice(&number.to_le_bytes());
            }
            blob.resize(start + hop, 0);
            sum = absorbed(sum, &blob[start..]);
        }
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        blob[COUNT].copy_from_slice(&count.to_le_bytes());
        let checksum = checksum(sum, &blob[..header]);
        blob[CHECKSUM].copy_from_slice(&checksum);
        Self { entries, handles, blob: blob.into(), sum }
    }

    /// So many bytes of a blob tell how long it is.
    pub(crate) const LENGTH_KNOWN_AFTER: u32 = 8;

    /// How long a blob with this start is, in bytes; `None` where it is the start of no blob.
    pub(crate) fn blob_length(start: &[u8], profile: &Profile) -> Option<u64> {
        let (header, hop) = sizes(profile);
        let count = u32::from_le_bytes(start.get(COUNT)?.try_into().ok()?);
        (count > 0 && start.starts_with(&MAGIC)).then(|| header as u64 + u64::from(count) * hop as u64)
    }

    /// The connection that the last entry of a blob names.
    pub(crate) fn last_flow(blob: &[u8], profile: &Profile) -> Option<FlowId> {
        let (_, hop) = sizes(profile);
        let last = blob.get(blob.len().checked_sub(hop)?..)?;
        number(last, FLOW).map(FlowId)
    }

    /// Reads a blob that [`Records::blob`] gave; `None` for any other bytes.
    pub(crate) fn from_blob(blob: &[u8], profile: &Profile) -> Option<Self> {
        let (header, hop) = sizes(profile);
        if Self::blob_length(blob, profile)? != blob.len() as u64 {
            return None;
        }
        let chunks = blob[header..].chunks_exact(hop);
        let sum = chunks.clone().fold(SEED, absorbed);
        if blob[CHECKSUM] != checksum(sum, &blob[..header]) {
            return None;
        }
        let entry = |bytes| {
            let handle = RedirectHandle(number(bytes, 0..8)?);
            let context = number(bytes, 8..16)?.checked_sub(1).map(ContextId);
            Some(Entry { handle, context, flow: FlowId(number(bytes, FLOW)?) })
        };
        let entries: Vec<Entry> = chunks.map(entry).collect::<Option<_>>()?;
        let mut handles: Vec<RedirectHandle> = entries.iter().map(|entry| entry.handle).collect();
        handles.sort_unstable();
        handles.dedup();
        Some(Self { entries, handles, blob: blob.into(), sum })
    }

    /// The redirects, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The distinct handles among them, sorted.
    #[must_use]
    pub fn handles(&self) -> &[RedirectHandle] {
        &self.handles
    }

    /// What a program gets to see: `record-header-bytes` of the profile, and `record-bytes-per-hop` for each
    /// redirect.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }
}

/// Bytes of a blob's header, and of each of its entries.
fn sizes(profile: &Profile) -> (usize, usize) {
    (profile.record_header_bytes as usize, profile.record_bytes_per_hop as usize)
}

fn number(bytes: &[u8], place: Range<usize>) -> Option<u64> {
    bytes.get(place)?.try_into().map(u64::from_le_bytes).ok()
}

const SEED: u64 = 0x5EED;

/// Entry by entry, so that a longer chain costs only what is new; the header, with the count, comes last.
fn checksum(entries: u64, header: &[u8]) -> [u8; 8] {
    absorbed(absorbed(entries, &header[..CHECKSUM.start]), &header[CHECKSUM.end..]).to_le_bytes()
}

/// Differs for bytes that differ in a single bit: multiplying by an odd number and adding lose nothing.
fn absorbed(sum: u64, bytes: &[u8]) -> u64 {
    let mixed = |sum: u64, word: u64| (sum.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(sum, |sum, word| mixed(sum, u64::from_le_bytes(*word)));
    mixed(sum, rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(handle: u64) -> Entry {
        Entry { handle: RedirectHandle(handle), context: Some(ContextId(handle + 7)), flow: FlowId(3) }
    }

    fn records(handles: &[u64]) -> Records {
        let entries: Vec<Entry> = handles.iter().copied().map(entry).collect();
        Records::extended(None, &entries, &Profile::default())
    }

    #[test]
    fn state_follows_from_the_set_of_handles_and_the_last_one() {
        use RedirectState::{NotRedirected, PreviouslyRedirectedBySelf, RedirectedByOther, RedirectedBySelf};
        let state = |handles: &[u64], asking| redirect_state(Some(&records(handles)), RedirectHandle(asking));
        assert_eq!(redirect_state(None, RedirectHandle(1)), NotRedirected);
        assert_eq!(state(&[1], 1), RedirectedBySelf);
        assert_eq!(state(&[1], 2), RedirectedByOther);
        assert_eq!(state(&[1, 2], 1), PreviouslyRedirectedBySelf);
        assert_eq!(state(&[1, 2], 2), RedirectedBySelf);
        assert_eq!(state(&[1, 2, 1], 1), RedirectedBySelf);
        assert_eq!(state(&[1, 2, 1], 2), PreviouslyRedirectedBySelf);
        assert_eq!(state(&[1, 2], 3), RedirectedByOther);
    }

    #[test]
    fn blob_grows_by_each_hop_and_reads_back() {
        let profile = Profile::default();
        let one = records(&[5]);
        let two = Records::extended(Some(&one), &[entry(4)], &profile);
        assert_eq!((one.blob().len(), two.blob().len()), (128, 224));
        assert_eq!(Records::from_blob(two.blob(), &profile), Some(two.clone()));
        assert_eq!(two.handles(), [RedirectHandle(4), RedirectHandle(5)]);
    }

    #[test]
    fn records_are_the_same_whether_they_grew_or_were_made_at_once() {
        let profile = Profile { record_bytes_per_hop: 27, ..Profile::default() };
        let grown = [3, 1, 2, 1].iter().fold(None, |earlier: Option<Records>, handle| {
            Some(Records::extended(earlier.as_ref(), &[entry(*handle)], &profile))
        });
        let at_once = Records::extended(None, &[3, 1, 2, 1].map(entry), &profile);
        assert_eq!(grown.as_ref(), Some(&at_once));
        assert_eq!(Records::from_blob(at_once.blob(), &profile), grown);
    }

    #[test]
    fn blob_with_one_bit_changed_or_one_byte_more_or_less_is_no_record() {
        let profile = Profile::default();
        let blob = records(&[1, 2]).blob().to_vec();
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Records::from_blob(&changed, &profile), None, "bit {bit}");
        }
        for length in 0..blob.len() {
            assert_eq!(Records::from_blob(&blob[..length], &profile), None, "length {length}");
        }
        let longer = [&blob[..], &[0]].concat();
        assert_eq!(Records::from_blob(&longer, &profile), None);
    }

    #[test]
    fn blob_has_the_size_that_the_profile_says() {
        for (header, hop) in [(16, 24), (16, 65536), (4096, 24), (33, 97)] {
            let profile =
                Profile { record_header_bytes: header, record_bytes_per_hop: hop, ..Profile::default() };
            let entries = [entry(1), entry(2), entry(1)];
            let records = Records::extended(None, &entries, &profile);
            assert_eq!(records.blob().len(), (header + 3 * hop) as usize);
            assert_eq!(Records::from_blob(records.blob(), &profile), Some(records.clone()));
            assert_eq!(records.entries(), entries);
            assert_eq!(records.handles(), [RedirectHandle(1), RedirectHandle(2)]);
        }
    }

    #[test]
    fn blob_without_an_entry_is_no_record() {
        let empty = Records::extended(None, &[], &Profile::default());
        assert_eq!(empty.blob().len(), 32);
        assert_eq!(Records::from_blob(empty.blob(), &Profile::default()), None);
    }

    #[test]
    fn entry_keeps_the_absence_of_a_context() {
        let without = Entry { context: None, ..entry(1) };
        let records = Records::extended(None, &[without, entry(2)], &Profile::default());
        let read = Records::from_blob(records.blob(), &Profile::default()).unwrap();
        assert_eq!(read.entries(), [without, entry(2)]);
    }

    #[test]
    fn blob_of_another_machine_is_read_where_its_sizes_are_the_same() {
        let blob = records(&[1]).blob().to_vec();
        let other = Profile { record_bytes_per_hop: 95, ..Profile::default() };
        assert_eq!(Records::from_blob(&blob, &other), None);
        assert!(Records::from_blob(&blob, &Profile::nt_mapped()).is_some());
    }

    #[test]
    fn states_have_the_numbers_and_names_of_the_enumeration() {
        for (number, state) in RedirectState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(state.to_string(), state.name());
        }
        assert_eq!(RedirectState::PreviouslyRedirectedBySelf.name(), "PREVIOUSLY_REDIRECTED_BY_SELF");
    }
}
