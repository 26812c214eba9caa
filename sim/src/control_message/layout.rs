//! Where headers and data lie: the macros of `ws2def.h`, in the arithmetic of 64-bit and of 32-bit programs.

/// How a program lays control messages out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layout {
    /// x64 and ARM64: `SIZE_T` has 8 bytes, and everything is aligned to 8.
    #[default]
    Bits64,
    /// x86, also on a 64-bit Windows: `SIZE_T` has 4 bytes, and everything is aligned to 4.
    Bits32,
}

/// `WSACMSGHDR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {
    /// `cmsg_len`: bytes from the start of the header to the end of the data. A `SIZE_T`; the WSAMSG page has UINT
    /// (C-14).
    pub length: u64,
    /// `cmsg_level`.
    pub level: i32,
    /// `cmsg_type`.
    pub kind: i32,
}

/// All lengths and places are bytes; sums and alignments wrap around as the program's `SIZE_T` does.
impl Layout {
    /// `sizeof(WSACMSGHDR)`: 16 or 12.
    #[must_use]
    pub const fn header_size(self) -> u64 {
        match self {
            Self::Bits64 => 16,
            Self::Bits32 => 12,
        }
    }

    /// `TYPE_ALIGNMENT(WSACMSGHDR)` and `MAX_NATURAL_ALIGNMENT`, which are the same: 8 or 4.
    const fn alignment(self) -> u64 {
        match self {
            Self::Bits64 => 8,
            Self::Bits32 => 4,
        }
    }

    /// The largest `SIZE_T`.
    const fn size_max(self) -> u64 {
        match self {
            Self::Bits64 => u64::MAX,
            Self::Bits32 => u32::MAX as u64,
        }
    }

    const fn align(self, length: u64) -> u64 {
        let slack = self.alignment() - 1;
        length.wrapping_add(slack) & !slack & self.size_max()
    }

    /// `WSA_CMSGHDR_ALIGN`: `length` with the padding in front of a header.
    #[must_use]
    pub const fn wsa_cmsghdr_align(self, length: u64) -> u64 {
        self.align(length)
    }

    /// `WSA_CMSGDATA_ALIGN`: `length` with the padding in front of data.
    #[must_use]
    pub const fn wsa_cmsgdata_align(self, length: u64) -> u64 {
        self.align(length)
    }

    /// `WSA_CMSG_LEN`: what `cmsg_len` is for so much data. The padding behind the header is in it, that behind the
    /// data is not (C-15).
    #[must_use]
    pub const fn wsa_cmsg_len(self, data: u64) -> u64 {
        self.wsa_cmsgdata_align(self.header_size()).wrapping_add(data) & self.size_max()
    }

    /// `WSA_CMSG_SPACE`: what a message with so much data takes in a control buffer, all padding included.
    #[must_use]
    pub const fn wsa_cmsg_space(self, data: u64) -> u64 {
        self.wsa_cmsgdata_align(self.header_size().wrapping_add(self.wsa_cmsghdr_align(data)))
    }

    /// `WSA_CMSG_FIRSTHDR`: where the first header of a control buffer of this length is. `None` is NULL.
    #[must_use]
    pub const fn wsa_cmsg_firsthdr(self, control_length: u64) -> Option<u64> {
        if control_length >= self.header_size() { Some(0) } else { None }
    }

    /// `WSA_CMSG_NXTHDR`: where the header behind the one at `place` is, whose `cmsg_len` is `length`. `None` is
    /// NULL, and stands for an address before the buffer too.
    ///
    /// It believes the length: one of 0 leads to the same place again, and one that wraps around leads back. Who
    /// walks by this alone may never come to an end; [`messages`](super::messages) does.
    #[must_use]
    pub const fn wsa_cmsg_nxthdr(self, control_length: u64, place: u64, length: u64) -> Option<u64> {
        let step = self.wsa_cmsghdr_align(length);
        if let Some(next) = place.checked_add(step)
            && let Some(end) = next.checked_add(self.header_size())
            && end <= control_length
        {
            return Some(next);
        }
        // The address wraps around to one that is `back` bytes before this header.
        let back = (self.size_max() - step).wrapping_add(1);
        if step > 0 { place.checked_sub(back) } else { None }
    }

    /// `WSA_CMSG_DATA`: where the data of the message at `place` begins.
    #[must_use]
    pub const fn wsa_cmsg_data(self, place: u64) -> u64 {
        place.wrapping_add(self.wsa_cmsgdata_align(self.header_size())) & self.size_max()
    }

    /// Reads the header at the start of `bytes`; `None` where they are too few.
    #[must_use]
    pub fn header(self, bytes: &[u8]) -> Option<Header> {
        let (length, rest) = match self {
            Self::Bits64 => {
                let (length, rest) = bytes.split_first_chunk()?;
                (u64::from_le_bytes(*length), rest)
            }
            Self::Bits32 => {
                let (length, rest) = bytes.split_first_chunk()?;
                (u32::from_le_bytes(*length).into(), rest)
            }
        };
        let (level, rest) = rest.split_first_chunk()?;
        let kind = rest.first_chunk()?;
        Some(Header { length, level: i32::from_le_bytes(*level), kind: i32::from_le_bytes(*kind) })
    }

    /// The bytes of a header. Of a length that no `SIZE_T` holds the upper bits are lost.
    #[must_use]
    pub fn header_bytes(self, header: Header) -> Vec<u8> {
        let mut bytes = header.length.to_le_bytes().to_vec();
        if self == Self::Bits32 {
            bytes.truncate(4);
        }
        bytes.extend_from_slice(&header.level.to_le_bytes());
        bytes.extend_from_slice(&header.kind.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Layout::{Bits32, Bits64};
    use super::*;

    #[rstest]
    #[case(Bits64, 0, 16, 16)]
    #[case(Bits64, 1, 17, 24)]
    #[case(Bits64, 4, 20, 24)]
    #[case(Bits64, 8, 24, 24)]
    #[case(Bits64, 128, 144, 144)]
    #[case(Bits32, 0, 12, 12)]
    #[case(Bits32, 1, 13, 16)]
    #[case(Bits32, 4, 16, 16)]
    #[case(Bits32, 5, 17, 20)]
    #[case(Bits32, 128, 140, 140)]
    fn length_counts_the_header_and_space_the_padding_too(
        #[case] layout: Layout,
        #[case] data: u64,
        #[case] length: u64,
        #[case] space: u64,
    ) {
        assert_eq!((layout.wsa_cmsg_len(data), layout.wsa_cmsg_space(data)), (length, space));
    }

    #[rstest]
    #[case(Bits64, 16)]
    #[case(Bits32, 12)]
    fn first_header_is_there_from_the_size_of_one_on(#[case] layout: Layout, #[case] size: u64) {
        assert_eq!(layout.wsa_cmsg_firsthdr(size - 1), None);
        assert_eq!(layout.wsa_cmsg_firsthdr(size), Some(0));
        assert_eq!(layout.wsa_cmsg_firsthdr(0), None);
        assert_eq!(layout.wsa_cmsg_data(0), size);
    }

    #[rstest]
    #[case::a_whole_header_follows(Bits64, 40, 0, 20, Some(24))]
    #[case::one_byte_too_few(Bits64, 39, 0, 20, None)]
    #[case::a_whole_header_follows_32(Bits32, 32, 0, 17, Some(20))]
    #[case::one_byte_too_few_32(Bits32, 31, 0, 17, None)]
    #[case::at_the_end(Bits64, 24, 0, 24, None)]
    #[case::length_0_leads_nowhere(Bits64, 64, 24, 0, Some(24))]
    #[case::length_that_the_padding_wraps_to_0(Bits64, 64, 24, u64::MAX, Some(24))]
    #[case::length_that_the_padding_wraps_to_0_32(Bits32, 64, 24, 0xFFFF_FFFF, Some(24))]
    #[case::back_by_one_header(Bits64, 64, 24, 16_u64.wrapping_neg(), Some(8))]
    #[case::back_by_one_header_32(Bits32, 64, 24, 0xFFFF_FFF4, Some(12))]
    #[case::back_to_the_start(Bits64, 64, 24, 24_u64.wrapping_neg(), Some(0))]
    #[case::back_to_before_the_buffer(Bits64, 64, 24, 32_u64.wrapping_neg(), None)]
    #[case::four_gib(Bits64, 64, 0, 1 << 32, None)]
    #[case::four_gib_is_0_in_32_bits(Bits32, 64, 0, 1 << 32, Some(0))]
    #[case::half_of_all_memory(Bits64, 64, 0, 1 << 63, None)]
    #[case::over_the_end_of_all_memory(Bits64, u64::MAX, u64::MAX - 7, 8, Some(0))]
    fn next_header_is_where_the_length_says_if_it_is_in_the_buffer(
        #[case] layout: Layout,
        #[case] control: u64,
        #[case] place: u64,
        #[case] length: u64,
        #[case] next: Option<u64>,
    ) {
        assert_eq!(layout.wsa_cmsg_nxthdr(control, place, length), next);
    }

    #[rstest]
    #[case(Bits64, &[0x90, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 60, 0, 0, 0])]
    #[case(Bits32, &[0x90, 0, 0, 0, 41, 0, 0, 0, 60, 0, 0, 0])]
    fn header_has_the_bytes_of_windows(#[case] layout: Layout, #[case] bytes: &[u8]) {
        let header = Header { length: 0x90, level: 41, kind: 60 };
        assert_eq!(layout.header_bytes(header), bytes);
        assert_eq!(layout.header(bytes), Some(header));
        assert_eq!(layout.header(&bytes[1..]), None);
        let negative = Header { length: 12, level: -1, kind: i32::MIN };
        assert_eq!(layout.header(&layout.header_bytes(negative)), Some(negative));
    }

    #[test]
    fn sums_wrap_around_as_size_t_does() {
        assert_eq!(Bits64.wsa_cmsg_len(u64::MAX), 15);
        assert_eq!(Bits32.wsa_cmsg_len(u32::MAX.into()), 11);
        assert_eq!(Bits64.wsa_cmsg_space(u64::MAX - 8), 8);
        assert_eq!(Bits32.wsa_cmsg_space((u32::MAX - 4).into()), 8);
        assert_eq!(Bits64.wsa_cmsghdr_align(u64::MAX), 0);
        assert_eq!(Bits32.wsa_cmsgdata_align(u32::MAX.into()), 0);
        assert_eq!(Bits32.header_bytes(Header { length: 1 << 32, level: 0, kind: 0 })[..4], [0; 4]);
    }
}
