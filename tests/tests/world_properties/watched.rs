//! A control code whose buffers are watched.

use wfp_sim::profile::{Answer, BytesReturned, Failure, Profile};
use wfp_sim::{Caller, Completion, ControlCode, IoctlBuffers, Pointer, SocketHandle, WinsockError, World};

const POISON: u32 = 0xDEAD_BEEF;
const FILL: u8 = 0xEE;
const CANARY: u32 = 8;

/// A control code with a buffer of just this length: nothing is written behind it, nothing at all by a call that
/// fails, and the word holds what the profile says.
pub(crate) fn watched(
    w: &mut World,
    caller: Caller,
    socket: SocketHandle,
    code: ControlCode,
    length: u32,
) -> String {
    let output = w.allocate(caller, u64::from(length) + u64::from(CANARY), FILL);
    let word = w.allocate(caller, 4 + u64::from(CANARY), FILL);
    w.write_memory(caller, word, &POISON.to_le_bytes());
    let stored = match code {
        ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS => w.query_redirect_records(caller, socket),
        ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT => w.query_redirect_context(caller, socket),
        _ => Ok(Vec::new()),
    };
    let stored = stored.unwrap_or_default();
    let result = w.wsa_ioctl(caller, socket, code, &IoctlBuffers::query(output, length, word));
    if w.image(caller.pid).is_none() {
        assert_eq!(result, Err(WinsockError::WSAENOTSOCK), "the process has ended");
        return format!("{result:?}");
    }

    let read = |pointer: Pointer, length: u32| w.read_memory(caller, pointer, length).expect("allocated");
    let canary = vec![FILL; CANARY as usize];
    assert_eq!(read(output.offset(length.into()), CANARY), canary, "{code} wrote behind its buffer");
    assert_eq!(read(word.offset(4), CANARY), canary, "{code} wrote behind the word");
    let bytes = u32::from_le_bytes(read(word, 4).try_into().expect("4 bytes"));
    let written = read(output, length.min(4096));
    match result {
        // On a stalled socket nothing is stored yet.
        Ok(Completion::Pending(_)) => assert!(written.iter().all(|byte| *byte == FILL)),
        Ok(Completion::Done(())) => {
            assert_eq!(bytes as usize, stored.len(), "{code}: bytes returned");
            assert!(written.starts_with(&stored[..stored.len().min(4096)]), "{code} stores what it is to");
            assert!(written[stored.len().min(written.len())..].iter().all(|byte| *byte == FILL));
        }
        Err(error) => {
            assert!(written.iter().all(|byte| *byte == FILL), "{code} wrote and failed");
            let said = said_of(w.profile(), length, error);
            assert!(
                said.iter().any(|left| match left {
                    BytesReturned::Unchanged => bytes == POISON,
                    BytesReturned::Zero => bytes == 0,
                    BytesReturned::Needed => bytes as usize == stored.len(),
                }),
                "{code} left {bytes:#x} after {error}, the profile says {said:?}"
            );
        }
    }
    w.free(caller, output);
    w.free(caller, word);
    format!("{result:?} {bytes:#x}")
}

/// What the profile says of the word after a failure with this error.
fn said_of(profile: &Profile, length: u32, error: WinsockError) -> Vec<BytesReturned> {
    let by_length = match length {
        0 => profile.size_query,
        1..=3 => profile.below_ulong,
        4.. => profile.too_small,
    };
    let mut failures = vec![
        by_length,
        profile.records_not_redirected,
        profile.context_not_redirected,
        Failure::new(error, profile.bytes_on_error),
    ];
    if let Answer::Fails(failure) = profile.context_absent {
        failures.push(failure);
    }
    failures.into_iter().filter(|failure| failure.error == error).map(|failure| failure.bytes).collect()
}
