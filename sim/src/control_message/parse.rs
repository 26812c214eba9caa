//! Building control data, and reading it whatever it says.

use std::ops::Range;

use super::{ControlMessage, Header, Layout};

/// Why the rest of some control data cannot be read. What came before it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformed {
    /// A message's length is below that of its header: 0 for instance.
    ShorterThanItsHeader,
    /// A message's length leads beyond the end of the control data.
    BeyondTheEnd,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ShorterThanItsHeader => "a control message is shorter than its header",
            Self::BeyondTheEnd => "a control message goes beyond the end of the control data",
        })
    }
}

impl std::error::Error for Malformed {}

/// The control data that holds these messages, one behind the other, each with all its padding.
#[must_use]
pub fn build(layout: Layout, messages: &[ControlMessage<'_>]) -> Vec<u8> {
    let mut control = Vec::new();
    for message in messages {
        let length = layout.wsa_cmsg_len(message.data.len() as u64);
        let header = Header { length, level: message.level, kind: message.kind };
        control.extend_from_slice(&layout.header_bytes(header));
        control.extend_from_slice(message.data);
        let padded = layout.wsa_cmsghdr_align(control.len() as u64);
        control.resize(usize::try_from(padded).unwrap_or(control.len()), 0);
    }
    control
}

/// The messages in some control data, known or not, up to the first that cannot be one. Bytes at the end that are
/// too few for a header are left out, as `WSA_CMSG_NXTHDR` leaves them out.
#[must_use]
pub fn messages(layout: Layout, control: &[u8]) -> Messages<'_> {
    Messages { control, walk: Walk::new(layout, control.len() as u64) }
}

/// Iterates over control data. See [`messages`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    control: &'a [u8],
    walk: Walk,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<ControlMessage<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = usize::try_from(self.walk.place()?).ok()?;
        let header = self.walk.layout.header(self.control.get(place..)?)?;
        let data = match self.walk.pass(header) {
            Ok(data) => data,
            Err(malformed) => return Some(Err(malformed)),
        };
        let range = usize::try_from(data.start).ok()?..usize::try_from(data.end).ok()?;
        let data = self.control.get(range)?;
        Some(Ok(ControlMessage { level: header.level, kind: header.kind, data }))
    }
}

/// A walk over control data that reads nothing itself: it is told each header, and says where its data and the next
/// one are. It moves forward alone, so it comes to an end.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    layout: Layout,
    /// Of all the control data.
    length: u64,
    place: Option<u64>,
}

impl Walk {
    pub(crate) fn new(layout: Layout, length: u64) -> Self {
        Self { layout, length, place: layout.wsa_cmsg_firsthdr(length) }
    }

    /// Where the next header is; it is wholly inside.
    pub(crate) fn place(&self) -> Option<u64> {
        self.place
    }

    /// Goes on behind the message with this header; the place of its data, which is wholly inside. After a malformed
    /// one there is no next place.
    pub(crate) fn pass(&mut self, header: Header) -> Result<Range<u64>, Malformed> {
        let Some(place) = self.place.take() else { return Err(Malformed::BeyondTheEnd) };
        if header.length < self.layout.wsa_cmsg_len(0) {
            return Err(Malformed::ShorterThanItsHeader);
        }
        let end = place.checked_add(header.length).filter(|end| *end <= self.length);
        let end = end.ok_or(Malformed::BeyondTheEnd)?;
        self.place =
            self.layout.wsa_cmsg_nxthdr(self.length, place, header.length).filter(|next| *next > place);
        Ok(self.layout.wsa_cmsg_data(place)..end)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6};
    use super::*;

    const RECORDS: ControlMessage<'_> =
        ControlMessage { level: IPPROTO_IP, kind: IP_WFP_REDIRECT_RECORDS, data: &[1, 2, 3, 4, 5] };
    const UNKNOWN: ControlMessage<'_> = ControlMessage { level: 7, kind: -7, data: &[] };
    const CONTEXT: ControlMessage<'_> =
        ControlMessage { level: IPPROTO_IPV6, kind: IP_WFP_REDIRECT_CONTEXT, data: &[6] };

    fn read(layout: Layout, control: &[u8]) -> (usize, Option<Malformed>) {
        let mut good = 0;
        for message in messages(layout, control) {
            match message {
                Ok(_) => good += 1,
                Err(malformed) => return (good, Some(malformed)),
            }
        }
        (good, None)
    }

    #[rstest]
    #[case(Layout::Bits64, 24 + 16 + 24)]
    #[case(Layout::Bits32, 20 + 12 + 16)]
    fn what_is_built_is_read_in_the_same_order(#[case] layout: Layout, #[case] length: usize) {
        let control = build(layout, &[RECORDS, UNKNOWN, CONTEXT]);
        assert_eq!(control.len(), length);
        let read: Result<Vec<_>, _> = messages(layout, &control).collect();
        assert_eq!(read, Ok(vec![RECORDS, UNKNOWN, CONTEXT]));
    }

    #[test]
    fn message_lies_where_the_headers_of_windows_put_it() {
        let control = build(Layout::Bits64, &[RECORDS]);
        let expected = [21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0];
        assert_eq!(control, expected);
        let control = build(Layout::Bits32, &[CONTEXT]);
        assert_eq!(control, [13, 0, 0, 0, 41, 0, 0, 0, 70, 0, 0, 0, 6, 0, 0, 0]);
    }

    #[rstest]
    fn last_message_needs_no_padding_behind_it(#[values(Layout::Bits64, Layout::Bits32)] layout: Layout) {
        let control = build(layout, &[CONTEXT, RECORDS]);
        let unpadded = control.len() - 3;
        assert_eq!(read(layout, &control[..unpadded]), (2, None));
        assert_eq!(read(layout, &control[..unpadded - 1]), (1, Some(Malformed::BeyondTheEnd)));
    }

    /// The second of two messages claims another length; how many are read, and what ends it.
    #[rstest]
    #[case::nothing(0, 1, Some(Malformed::ShorterThanItsHeader))]
    #[case::within_its_header(11, 1, Some(Malformed::ShorterThanItsHeader))]
    #[case::no_data(16, 2, None)]
    #[case::its_own(21, 2, None)]
    #[case::up_to_the_end(24, 2, None)]
    #[case::one_more(25, 1, Some(Malformed::BeyondTheEnd))]
    #[case::four_gib(0xFFFF_FFFF, 1, Some(Malformed::BeyondTheEnd))]
    #[case::back_to_the_first(24_u64.wrapping_neg(), 1, Some(Malformed::BeyondTheEnd))]
    #[case::all_bits(u64::MAX, 1, Some(Malformed::BeyondTheEnd))]
    fn length_that_lies_ends_the_reading(
        #[values(Layout::Bits64, Layout::Bits32)] layout: Layout,
        #[case] claimed: u64,
        #[case] good: usize,
        #[case] ending: Option<Malformed>,
    ) {
        let first = build(layout, &[CONTEXT]);
        let header = Header { length: claimed, level: 0, kind: 60 };
        let mut second = layout.header_bytes(header);
        second.resize(24, 0xAA);
        assert_eq!(read(layout, &[first, second].concat()), (good, ending));
    }

    #[test]
    fn messages_that_would_overlap_are_read_once() {
        // The first claims the second as its data: then that is what it is.
        let control = build(Layout::Bits64, &[CONTEXT, RECORDS]);
        let mut swallowing = control.clone();
        swallowing[0] = 48;
        assert_eq!(read(Layout::Bits64, &swallowing), (1, None));
        assert_eq!(messages(Layout::Bits64, &swallowing).next().unwrap().unwrap().data.len(), 32);
    }

    #[rstest]
    fn control_data_that_ends_inside_a_header_ends_before_it(
        #[values(Layout::Bits64, Layout::Bits32)] layout: Layout,
    ) {
        let one = build(layout, &[CONTEXT]);
        let two = build(layout, &[CONTEXT, RECORDS]);
        let header = build(layout, &[UNKNOWN]).len();
        for length in 0..one.len() + header {
            let expected = match length {
                n if n < header => (0, None),
                n if n < header + 1 => (0, Some(Malformed::BeyondTheEnd)),
                _ => (1, None),
            };
            assert_eq!(read(layout, &two[..length]), expected, "length {length}");
        }
    }

    #[test]
    fn walk_that_was_refused_goes_nowhere() {
        let mut walk = Walk::new(Layout::Bits64, 64);
        let header = Header { length: 0, level: 0, kind: 0 };
        assert_eq!(walk.pass(header), Err(Malformed::ShorterThanItsHeader));
        assert_eq!(walk.place(), None);
        assert_eq!(walk.pass(Header { length: 16, ..header }), Err(Malformed::BeyondTheEnd));
    }
}
