//! Pointers that are NULL, unmapped or valid in part, each alone and all together.

use rstest::rstest;

use super::*;

/// Where a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Memory,
    Null,
    Unmapped,
    /// Memory that ends before the length that the call is told.
    Part,
}

const ALL: [To; 4] = [To::Memory, To::Null, To::Unmapped, To::Part];

impl To {
    /// Such a pointer for a length, and the memory behind it.
    fn pointer(
        self,
        m: &mut Machine,
        caller: Caller,
        length: u64,
        content: &[u8],
    ) -> (Pointer, Option<Watched>) {
        match self {
            Self::Null => (Pointer::NULL, None),
            Self::Unmapped => (Pointer::UNMAPPED, None),
            Self::Memory => {
                let memory = Watched::new(m, caller, length, content);
                (memory.pointer, Some(memory))
            }
            Self::Part => {
                let pointer = m.w.allocate(caller, length - 1, FILL);
                m.w.write_memory(caller, pointer, &content[..content.len().min(1)]);
                (pointer, None)
            }
        }
    }
}

/// The answer to a call with such pointers, and whether its output was written.
fn answer(
    m: &mut Machine,
    (caller, socket, code): (Caller, SocketHandle, ControlCode),
    [input, output, word]: [To; 3],
    [input_length, output_length]: [u32; 2],
    blob: &[u8],
) -> (Result<(), WinsockError>, Option<u32>, bool) {
    let (input, _) = input.pointer(m, caller, input_length.max(1).into(), blob);
    let (output, watched) = output.pointer(m, caller, output_length.max(1).into(), &[]);
    let (word, preset) = word.pointer(m, caller, 4, &POISON.to_le_bytes());
    let buffers =
        IoctlBuffers { input, input_length, output, output_length, bytes_returned: word, ..NOTHING };
    let result = at_once(m.w.wsa_ioctl(caller, socket, code, &buffers));
    let word = preset.map(|word| {
        let bytes: [u8; 4] = word.start(m, caller, 4).try_into().unwrap();
        u32::from_le_bytes(bytes)
    });
    let written = watched.is_some_and(|watched| !watched.is_untouched_from(m, caller, 0));
    (result, word, written)
}

const FAULT: Result<(), WinsockError> = Err(WinsockError::WSAEFAULT);

#[rstest]
fn query_needs_a_valid_word_and_a_valid_output_buffer(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
    #[values((RECORDS, 128), (CONTEXT, 300))] (code, needed): (ControlCode, u32),
) {
    let (mut m, caller, socket) = Situation::Redirected.build(Profile::built_in(name).unwrap());
    for input in ALL {
        for output in ALL {
            for word in ALL {
                let pointers = [input, output, word];
                let lengths = [8, 1024];
                let answered = answer(&mut m, (caller, socket, code), pointers, lengths, &[]);
                let expected = match (word, output) {
                    (To::Memory, To::Memory) => (Ok(()), Some(needed), true),
                    (To::Memory, _) => (FAULT, Some(0), false),
                    (..) => (FAULT, None, false),
                };
                assert_eq!(answered, expected, "input, output, word: {pointers:?}");
            }
        }
    }
}

#[rstest]
fn size_query_needs_no_output_buffer(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
    #[values((RECORDS, 128), (CONTEXT, 300))] (code, needed): (ControlCode, u32),
) {
    let (mut m, caller, socket) = Situation::Redirected.build(Profile::built_in(name).unwrap());
    let expected = match name {
        "documented" => (Err(WinsockError::ERROR_INSUFFICIENT_BUFFER), Some(needed), false),
        "doc-parameters" => (Err(WinsockError::WSAEINVAL), Some(0), false),
        _ => (FAULT, Some(needed), false),
    };
    for output in [To::Memory, To::Null, To::Unmapped] {
        let pointers = [To::Null, output, To::Memory];
        let answered = answer(&mut m, (caller, socket, code), pointers, [0, 0], &[]);
        assert_eq!(answered, expected, "{output:?}");
    }
}

#[rstest]
fn set_needs_a_valid_word_and_a_valid_input_buffer(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
) {
    let profile = Profile::built_in(name).unwrap();
    let blob = stale_blob(&profile);
    for input in ALL {
        for output in ALL {
            for word in ALL {
                let (mut m, caller, socket) = Situation::FreshV4.build(profile.clone());
                let pointers = [input, output, word];
                let answered = answer(&mut m, (caller, socket, SET), pointers, [128, 0], &blob);
                let minds_output = name != "nt-mapped" && output != To::Null;
                let expected = match (word, input) {
                    (To::Memory, To::Memory) if minds_output => {
                        (Err(WinsockError::WSAEINVAL), Some(0), false)
                    }
                    (To::Memory, To::Memory) => (Ok(()), Some(0), false),
                    (To::Memory, _) => (FAULT, Some(0), false),
                    (..) => (FAULT, None, false),
                };
                assert_eq!(answered, expected, "input, output, word: {pointers:?}");
                let set = m.w.records_set(caller, socket).unwrap().is_some();
                assert_eq!(set, expected.0.is_ok(), "input, output, word: {pointers:?}");
            }
        }
    }
}

#[rstest]
#[case::just_enough_and_nothing_there(128, 0, FAULT)]
#[case::enough_and_nothing_there(1024, 0, FAULT)]
#[case::enough_and_what_is_written_there(1024, 128, Ok(()))]
#[case::enough_and_one_byte_less_there(1024, 127, FAULT)]
#[case::too_short_and_nothing_there(127, 0, Err(WinsockError::ERROR_INSUFFICIENT_BUFFER))]
fn machine_that_touches_only_what_it_writes_needs_no_more(
    #[case] length: u32,
    #[case] there: u64,
    #[case] expected: Result<(), WinsockError>,
) {
    let profile = crate::testing::profile(&[("out-buffer-probe", "written-bytes")]);
    let (mut m, caller, socket) = Situation::Redirected.build(profile);
    let output = m.w.allocate(caller, there, FILL);
    let buffers = IoctlBuffers { output, output_length: length, ..NOTHING };
    assert_eq!(call(&mut m, caller, socket, RECORDS, buffers).0, expected);
}

#[test]
fn memory_of_another_process_is_no_memory() {
    let (mut m, caller, socket) = Situation::Redirected.build(Profile::documented());
    let foreign = m.w.allocate(m.app, 1024, FILL);
    let buffers = IoctlBuffers { output: foreign, output_length: 1024, ..NOTHING };
    assert_eq!(call(&mut m, caller, socket, RECORDS, buffers), (FAULT, 0));
    let buffers = IoctlBuffers { input: foreign, input_length: 128, ..NOTHING };
    assert_eq!(call(&mut m, caller, socket, SET, buffers), (FAULT, 0));
}

#[test]
fn word_and_output_may_overlap_and_the_word_is_written_last() {
    let (mut m, caller, socket) = Situation::Redirected.build(Profile::documented());
    let output = m.w.allocate(caller, 1024, FILL);
    let buffers = IoctlBuffers { output, output_length: 1024, bytes_returned: output, ..NOTHING };
    assert_eq!(at_once(m.w.wsa_ioctl(caller, socket, RECORDS, &buffers)), Ok(()));
    assert_eq!(m.w.read_memory(caller, output, 4), Some(128_u32.to_le_bytes().to_vec()));
}
