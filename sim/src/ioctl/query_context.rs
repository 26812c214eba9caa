//! SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT: what the callout that redirected this connection left for its
//! service.
//!
//! It is the context of the last redirect in the records: the code has no argument that would name a handle, and
//! the process is not what decides (docs/behaviour.md, "Chains", U-06).
//!
//! Source: win32 page of the code.

use std::collections::BTreeMap;

use crate::engine::RedirectContext;
use crate::ids::ContextId;
use crate::records::Records;

/// What the query stores for a connection that arrived with these records; `None` where the last redirect carried
/// no context, or it is freed.
pub(super) fn output<'w>(
    records: &Records,
    contexts: &'w BTreeMap<ContextId, RedirectContext>,
) -> Option<&'w [u8]> {
    let last = records.entries().last()?;
    contexts.get(&last.context?).map(|context| &*context.bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::address::from_sockaddr_storage;
    use crate::engine::{Context, Redirect};
    use crate::testing::{Machine, SERVER, address, at_once, both};
    use crate::{SocketKind, WinsockError};

    #[test]
    fn context_is_that_of_the_last_redirect() {
        let mut m = Machine::default();
        let listeners = [m.service_at(1001), m.service_at(1002)];
        let opaque = |byte: u8| Context::Opaque([byte].into());
        let pid = m.service.pid;
        for (port, weight) in [(1001, 2), (1002, 1)] {
            let handle = m.handle("v");
            let context = opaque(u8::try_from(port % 1000).unwrap());
            let redirect = Redirect { context, ..Redirect::local(pid, both(port)) };
            let policy = crate::engine::Policy::cooperative(handle, redirect);
            m.vendor(&format!("v{port}"), weight, policy);
        }
        m.connected(SERVER);
        let first = m.accept(listeners[0]);
        let blob = m.w.query_redirect_records(m.service, first).unwrap();
        let onward = m.w.socket(m.service, SocketKind::V4).unwrap();
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        m.w.connect(m.service, onward, address(SERVER), &mut ()).unwrap();
        let second = m.accept(listeners[1]);
        assert_eq!(m.w.query_redirect_context(m.service, first), Ok(vec![1]));
        assert_eq!(m.w.query_redirect_context(m.service, second), Ok(vec![2]));
    }

    #[test]
    fn context_tells_the_service_the_original_destination() {
        let mut m = Machine::default();
        let (_, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let context = m.w.query_redirect_context(m.service, accepted).unwrap();
        assert_eq!(from_sockaddr_storage(&context), Some(address(SERVER)));
    }

    #[rstest]
    #[case::none(Context::None)]
    #[case::empty(Context::Opaque([].into()))]
    fn redirect_without_context_has_none_to_query(#[case] context: Context) {
        let mut m = Machine::default();
        let (_, accepted) = m.redirected(Redirect { context, ..Redirect::local(m.service.pid, both(1001)) });
        assert_eq!(m.w.query_redirect_context(m.service, accepted), Err(WinsockError::WSAEINVAL));
        assert_eq!(m.w.query_redirect_records(m.service, accepted).map(|blob| blob.len()), Ok(128));
    }

    #[test]
    fn size_of_a_context_that_is_not_there_is_no_size_to_ask_for() {
        let mut m = Machine::with(&[("context-absent", "success, zero")]);
        let without = Redirect { context: Context::None, ..Redirect::local(m.service.pid, both(1001)) };
        let (_, accepted) = m.redirected(without);
        let word = m.w.allocate(m.service, 4, 7);
        let buffers = crate::IoctlBuffers::query(crate::Pointer::NULL, 0, word);
        let code = crate::ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
        assert_eq!(at_once(m.w.wsa_ioctl(m.service, accepted, code, &buffers)), Ok(()));
        assert_eq!(m.w.read_memory(m.service, word, 4), Some(vec![0; 4]));
    }

    #[test]
    fn context_is_asked_by_whoever_has_the_socket() {
        let mut m = Machine::default();
        let (_, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let other = m.w.start_process("another service", false);
        let theirs = m.w.wsa_duplicate_socket(m.service, accepted, other.pid).unwrap();
        let own = m.w.query_redirect_context(m.service, accepted);
        assert_eq!(m.w.query_redirect_context(other, theirs), own);
    }
}
