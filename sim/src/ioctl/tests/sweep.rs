//! Each control code on each kind and state of socket, with each class of length, under each built-in profile.

use rstest::rstest;

use super::*;

type Answer = (Result<(), WinsockError>, u32);

const INVALID: Answer = (Err(WinsockError::WSAEINVAL), 0);

/// What a length is in relation to what is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Zero,
    BelowUlong,
    Short,
    Enough,
}

/// The lengths of a sweep; without anything to store, those around `needed` are just numbers.
fn lengths(needed: u32) -> [(u32, Length); 10] {
    [
        (0, Length::Zero),
        (1, Length::BelowUlong),
        (2, Length::BelowUlong),
        (3, Length::BelowUlong),
        (4, Length::Short),
        (needed - 1, Length::Short),
        (needed, Length::Enough),
        (needed + 1, Length::Enough),
        (1024, Length::Enough),
        (u32::MAX, Length::Enough),
    ]
}

/// What the pages, the parameter text and the status tables say of a query that has `needed` bytes to store.
fn answer(profile: &str, length: Length, needed: u32) -> Answer {
    let insufficient = (Err(WinsockError::ERROR_INSUFFICIENT_BUFFER), needed);
    let fault = (Err(WinsockError::WSAEFAULT), needed);
    match (length, profile) {
        (Length::Enough, _) => (Ok(()), needed),
        (Length::BelowUlong, _) | (_, "doc-parameters") => INVALID,
        (Length::Zero | Length::Short, "documented") => insufficient,
        (Length::Zero | Length::Short, _) => fault,
    }
}

/// What becomes of a query on such a socket before anything is stored; `None` where something is.
fn refusal(code: ControlCode, situation: Situation, profile: &str) -> Option<WinsockError> {
    match situation {
        Situation::NotASocket | Situation::OfAnotherProcess => Some(WinsockError::WSAENOTSOCK),
        Situation::Layered => Some(WinsockError::WSAEOPNOTSUPP),
        Situation::Udp if profile == "nt-mapped" => Some(WinsockError::WSAEINVAL),
        Situation::FreshV4
        | Situation::Udp
        | Situation::FreshV6
        | Situation::FreshDual
        | Situation::Bound
        | Situation::Failed
        | Situation::Listening
        | Situation::Connecting
        | Situation::Accepting
        | Situation::Reset => Some(WinsockError::WSAENOTCONN),
        Situation::BeforeUpdate if profile == "doc-parameters" => Some(WinsockError::WSAENOTCONN),
        Situation::Connected | Situation::RedirectedClient | Situation::NotRedirected => {
            Some(WinsockError::WSAEINVAL)
        }
        Situation::WithoutContext if code == CONTEXT => Some(WinsockError::WSAEINVAL),
        Situation::WithoutContext
        | Situation::Redirected
        | Situation::RedirectedV6
        | Situation::RedirectedMapped
        | Situation::BeforeUpdate
        | Situation::Updated => None,
    }
}

#[rstest]
fn query_answers_by_socket_and_length(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
    #[values(RECORDS, CONTEXT)] code: ControlCode,
) {
    let needed = if code == RECORDS { 128 } else { 300 };
    for situation in Situation::ALL {
        let (mut m, caller, socket) = situation.build(Profile::built_in(name).unwrap());
        for (length, class) in lengths(needed) {
            let expected = match refusal(code, situation, name) {
                None => answer(name, class, needed),
                // The only ones that are found before the length is looked at.
                Some(error @ (WinsockError::WSAENOTSOCK | WinsockError::WSAEOPNOTSUPP)) => (Err(error), 0),
                Some(_) if class == Length::BelowUlong => INVALID,
                Some(_) if class == Length::Zero && name == "doc-parameters" => INVALID,
                Some(error) => (Err(error), 0),
            };
            let output = Watched::new(&mut m, caller, length.into(), &[]);
            let buffers = IoctlBuffers { output: output.pointer, output_length: length, ..NOTHING };
            let answered = call(&mut m, caller, socket, code, buffers);
            assert_eq!(answered, expected, "{situation:?}, length {length}");
            let stored = if expected.0.is_ok() { needed } else { 0 };
            assert!(output.is_untouched_from(&m, caller, stored.into()), "{situation:?}, length {length}");
            if stored > 0 {
                let bytes = output.start(&m, caller, stored);
                let typed = match code {
                    RECORDS => m.w.query_redirect_records(caller, socket),
                    _ => m.w.query_redirect_context(caller, socket),
                };
                assert_eq!(Ok(bytes), typed, "asked again, the same bytes come");
            }
        }
    }
}

/// Whether SET is refused on such a socket, and if not, whether the socket carries the records then.
fn effect_of_set(situation: Situation) -> Result<bool, WinsockError> {
    match situation {
        Situation::NotASocket | Situation::OfAnotherProcess => Err(WinsockError::WSAENOTSOCK),
        Situation::Udp => Err(WinsockError::WSAEINVAL),
        Situation::Layered => Err(WinsockError::WSAEOPNOTSUPP),
        Situation::FreshV4
        | Situation::FreshV6
        | Situation::FreshDual
        | Situation::Bound
        | Situation::Failed => Ok(true),
        _ => Ok(false),
    }
}

#[rstest]
fn set_answers_by_socket_and_input_length(#[values("documented", "doc-parameters", "nt-mapped")] name: &str) {
    let profile = Profile::built_in(name).unwrap();
    let blob = stale_blob(&profile);
    let needed = u32::try_from(blob.len()).unwrap();
    assert_eq!(needed, 128);
    for situation in Situation::ALL {
        for (length, _) in lengths(needed) {
            let (mut m, caller, socket) = situation.build(profile.clone());
            let content = if length < needed { &blob[..length as usize] } else { &blob };
            let input = Watched::new(&mut m, caller, length.into(), content);
            let buffers = IoctlBuffers { input: input.pointer, input_length: length, ..NOTHING };
            let answered = call(&mut m, caller, socket, SET, buffers);
            let expected = match effect_of_set(situation) {
                Err(error) => (Err(error), 0),
                Ok(_) if length == needed => (Ok(()), 0),
                Ok(_) => INVALID,
            };
            assert_eq!(answered, expected, "{situation:?}, length {length}");
            let carries = m.w.records_set(caller, socket).is_ok_and(|records| records.is_some());
            let wanted = length == needed && effect_of_set(situation) == Ok(true);
            assert_eq!(carries, wanted, "{situation:?}, length {length}");
            assert!(input.is_untouched_from(&m, caller, content.len() as u64));
        }
    }
}

#[rstest]
fn set_with_an_output_buffer_is_refused_or_ignores_it(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
) {
    let profile = Profile::built_in(name).unwrap();
    let blob = stale_blob(&profile);
    for situation in Situation::ALL {
        let (mut m, caller, socket) = situation.build(profile.clone());
        let input = Watched::new(&mut m, caller, 128, &blob);
        let null = Watched { pointer: Pointer::NULL, length: 0 };
        for (length, _) in lengths(128) {
            let valid = Watched::new(&mut m, caller, length.into(), &[]);
            for output in [null, valid] {
                let buffers = IoctlBuffers {
                    input: input.pointer,
                    input_length: 128,
                    output: output.pointer,
                    output_length: length,
                    ..NOTHING
                };
                let given = length > 0 || !output.pointer.is_null();
                let expected = match effect_of_set(situation) {
                    Err(error) => (Err(error), 0),
                    Ok(_) if given && name != "nt-mapped" => INVALID,
                    Ok(_) => (Ok(()), 0),
                };
                let answered = call(&mut m, caller, socket, SET, buffers);
                assert_eq!(answered, expected, "{situation:?}, output length {length}");
            }
            assert!(valid.is_untouched_from(&m, caller, 0), "SET stores nothing");
        }
    }
}

#[test]
fn every_situation_is_swept() {
    for (index, situation) in Situation::ALL.iter().enumerate() {
        assert_eq!(*situation as usize, index);
    }
    assert_eq!(Situation::Reset as usize + 1, Situation::ALL.len());
}
