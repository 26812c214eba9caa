//! The three control codes as a Rust program would rather call them. Each goes through [`World::wsa_ioctl`] with
//! buffers that fit, and gives WSAEWOULDBLOCK where that would wait.

use super::{IoctlBuffers, Operation, accepted, output};
use crate::control_code::ControlCode;
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::socket::Completion;
use crate::world::World;

impl World {
    /// The redirect records of an accepted connection, as SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS stores them.
    ///
    /// # Errors
    /// As [`World::wsa_ioctl`].
    pub fn query_redirect_records(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Vec<u8>, WinsockError> {
        self.query(caller, socket, ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS)
    }

    /// The redirect context of an accepted connection, as SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT stores it.
    ///
    /// # Errors
    /// As [`World::wsa_ioctl`].
    pub fn query_redirect_context(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<Vec<u8>, WinsockError> {
        self.query(caller, socket, ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT)
    }

    /// Sets redirect records on a socket by SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS.
    ///
    /// # Errors
    /// As [`World::wsa_ioctl`]; WSAEINVAL for more than 4 GiB.
    pub fn set_redirect_records(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        records: &[u8],
    ) -> Result<(), WinsockError> {
        let length = u32::try_from(records.len()).map_err(|_| WinsockError::WSAEINVAL)?;
        let word = self.allocate(caller, 4, 0);
        let input = self.allocate(caller, length.into(), 0);
        self.write_memory(caller, input, records);
        let code = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
        let result = self.wsa_ioctl(caller, socket, code, &IoctlBuffers::set(input, length, word));
        let result = self.at_once(result);
        self.free(caller, input);
        self.free(caller, word);
        result
    }

    /// These calls do not wait.
    fn at_once(&mut self, result: Result<Completion<()>, WinsockError>) -> Result<(), WinsockError> {
        match result? {
            Completion::Done(()) => Ok(()),
            Completion::Pending(waiting) => {
                self.withdraw(waiting);
                Err(WinsockError::WSAEWOULDBLOCK)
            }
        }
    }

    fn query(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        code: ControlCode,
    ) -> Result<Vec<u8>, WinsockError> {
        let accepted = self.view(caller, socket).ok().and_then(|socket| accepted(socket, &self.flows));
        let needed = output(Operation::of(code), accepted, &self.contexts).map_or(0, <[u8]>::len);
        // With nothing to store any length will do that is not an error of its own.
        let length = u32::try_from(needed.max(4)).unwrap_or(u32::MAX);
        let word = self.allocate(caller, 4, 0);
        let buffer = self.allocate(caller, length.into(), 0);
        let result = self.wsa_ioctl(caller, socket, code, &IoctlBuffers::query(buffer, length, word));
        let result = self.at_once(result);
        let result = result
            .map(|()| self.memory.read(caller.pid, buffer, needed as u64).unwrap_or_default().into_owned());
        self.free(caller, buffer);
        self.free(caller, word);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Redirect;
    use crate::testing::{Machine, both};

    #[test]
    fn typed_calls_leave_no_memory_behind() {
        let mut m = Machine::default();
        let (client, accepted) = m.redirected(Redirect::local(m.service.pid, both(1001)));
        let onward = m.w.socket(m.service, crate::SocketKind::V4).unwrap();
        let live = m.w.live();
        let blob = m.w.query_redirect_records(m.service, accepted).unwrap();
        assert_eq!(m.w.query_redirect_context(m.service, accepted).map(|bytes| bytes.len()), Ok(128));
        assert_eq!(m.w.query_redirect_records(m.app, client), Err(WinsockError::WSAEINVAL));
        m.w.set_redirect_records(m.service, onward, &blob).unwrap();
        assert_eq!(m.w.live(), live);
    }

    #[test]
    fn typed_calls_tell_the_errors_of_the_control_code() {
        let mut m = Machine::default();
        let (_, accepted) = m.pair();
        let nowhere = SocketHandle(1);
        assert_eq!(m.w.query_redirect_records(m.service, accepted), Err(WinsockError::WSAEINVAL));
        assert_eq!(m.w.query_redirect_context(m.service, nowhere), Err(WinsockError::WSAENOTSOCK));
        assert_eq!(m.w.set_redirect_records(m.service, nowhere, &[]), Err(WinsockError::WSAENOTSOCK));
        m.w.end_process(m.service.pid);
        assert_eq!(m.w.query_redirect_records(m.service, accepted), Err(WinsockError::WSAENOTSOCK));
    }

    #[test]
    fn provider_of_the_listening_socket_is_that_of_the_accepted_one() {
        let mut m = Machine::default();
        m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
        let listener = m.w.socket(m.service, crate::SocketKind::V4.layered()).unwrap();
        m.w.bind(m.service, listener, crate::testing::address("127.0.0.1:1001")).unwrap();
        m.w.listen(m.service, listener, 1).unwrap();
        m.connected(crate::testing::SERVER);
        let accepted = m.accept(listener);
        assert_eq!(m.w.query_redirect_records(m.service, accepted), Err(WinsockError::WSAEOPNOTSUPP));
    }

    #[test]
    fn query_that_succeeds_without_output_is_empty() {
        let mut m = Machine::with(&[("context-absent", "success, zero")]);
        let without =
            Redirect { context: crate::engine::Context::None, ..Redirect::local(m.service.pid, both(1001)) };
        let (_, accepted) = m.redirected(without);
        assert_eq!(m.w.query_redirect_context(m.service, accepted), Ok(Vec::new()));
    }
}
