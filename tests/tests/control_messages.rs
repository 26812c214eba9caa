//! Control data, whatever is in it: what is built is read again, and any other bytes are read as a second, slow and
//! obvious reader reads them.

use proptest::prelude::*;
use wfp_sim::control_message::{ControlMessage, Header, Layout, Malformed, build, messages};

/// A message with data of its own.
type Owned = (i32, i32, Vec<u8>);

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Bits64), Just(Layout::Bits32)]
}

fn message() -> impl Strategy<Value = Owned> {
    let number = || prop_oneof![Just(0), Just(41), Just(60), Just(70), any::<i32>()];
    (number(), number(), prop::collection::vec(any::<u8>(), 0..40))
}

fn lent(owned: &[Owned]) -> Vec<ControlMessage<'_>> {
    owned.iter().map(|(level, kind, data)| ControlMessage { level: *level, kind: *kind, data }).collect()
}

/// A length that is often nearly right.
fn length() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..80_u64,
        any::<u64>(),
        (0..80_u64).prop_map(u64::wrapping_neg),
        (0..80_u64).prop_map(|n| (1 << 32) - 40 + n),
        (0..80_u64).prop_map(|n| (1 << 31) - 40 + n),
    ]
}

/// Headers with any lengths, among bytes.
fn hostile() -> impl Strategy<Value = (Layout, Vec<u8>)> {
    let pieces = prop::collection::vec((length(), message()), 0..6);
    (layout(), pieces, 0..30_usize).prop_map(|(layout, pieces, cut)| {
        let mut control = Vec::new();
        for (length, (level, kind, data)) in pieces {
            control.extend(layout.header_bytes(Header { length, level, kind }));
            control.extend(data);
        }
        control.truncate(control.len().saturating_sub(cut));
        (layout, control)
    })
}

/// Reads byte by byte, in numbers that cannot wrap around.
fn slowly(layout: Layout, control: &[u8]) -> (Vec<Owned>, Option<Malformed>) {
    let (word, header) = match layout {
        Layout::Bits64 => (8, 16),
        Layout::Bits32 => (4, 12),
    };
    let number = |at: usize, bytes: usize| {
        (0..bytes).rev().fold(0_i128, |number, byte| number * 256 + i128::from(control[at + byte]))
    };
    let signed = |at: usize| match number(at, 4) {
        n if n >= 1 << 31 => n - (1 << 32),
        n => n,
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while at + header <= control.len() {
        let length = number(at, word);
        if length < header as i128 {
            return (found, Some(Malformed::ShorterThanItsHeader));
        }
        if at as i128 + length > control.len() as i128 {
            return (found, Some(Malformed::BeyondTheEnd));
        }
        let [level, kind] =
            [signed(at + word), signed(at + word + 4)].map(|n| i32::try_from(n).expect("32 bits"));
        let mut data = Vec::new();
        let mut end = at + header;
        while ((end - at) as i128) < length {
            data.push(control[end]);
            end += 1;
        }
        found.push((level, kind, data));
        while !(end - at).is_multiple_of(word) {
            end += 1;
        }
        at = end;
    }
    (found, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_again(layout in layout(), sent in prop::collection::vec(message(), 0..6)) {
        let sent = lent(&sent);
        let control = build(layout, &sent);
        let space: u64 = sent.iter().map(|message| layout.wsa_cmsg_space(message.data.len() as u64)).sum();
        prop_assert_eq!(control.len() as u64, space);
        let read: Result<Vec<_>, _> = messages(layout, &control).collect();
        prop_assert_eq!(read, Ok(sent));
    }

    #[test]
    fn any_bytes_are_read_as_the_slow_reader_reads_them(
        (layout, control) in prop_oneof![
            hostile(),
            (layout(), prop::collection::vec(any::<u8>(), 0..100)),
            (layout(), prop::collection::vec(prop_oneof![9 => Just(0), 1 => 0..60_u8], 0..100)),
        ],
    ) {
        let (mut found, mut ending) = (Vec::new(), None);
        for message in messages(layout, &control) {
            prop_assert_eq!(ending, None, "nothing comes behind what is malformed");
            match message {
                Ok(message) => found.push((message.level, message.kind, message.data.to_vec())),
                Err(malformed) => ending = Some(malformed),
            }
        }
        prop_assert_eq!((found, ending), slowly(layout, &control));
    }

    /// The macros themselves never lead outside, though they may lead back.
    #[test]
    fn next_header_is_wholly_inside(
        layout in layout(),
        control in length(),
        place in length(),
        claimed in length(),
    ) {
        if let Some(next) = layout.wsa_cmsg_nxthdr(control, place, claimed)
            && place < control
            && control - place >= layout.header_size()
        {
            prop_assert!(next <= control - layout.header_size(), "{next} of {control}");
        }
    }
}
