//! The three control codes as a Rust program would rather call them. Each goes through [`World::wsa_ioctl`] with
//! buffers that fit.

use super::{IoctlBuffers, Operation, accepted, output};
use crate::control_code::ControlCode;
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
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
        self.free(caller, input);
        self.free(caller, word);
        result
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
        let result = result
            .map(|()| self.memory.read(caller.pid, buffer, needed as u64).unwrap_or_default().into_owned());
        self.free(caller, buffer);
        self.free(caller, word);
        result
    }
}
