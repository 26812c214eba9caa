//! `WSAAccept` with a condition function: the program decides about a connection before it is accepted.
//!
//! The function is a callback: while the thread is in it, the control codes are WSAEINPROGRESS.
//!
//! Source: sdk-api "WSAAccept".

use super::{Side, State};
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::overlapped::Callback;
use crate::world::World;

/// What a condition function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decided {
    /// `CF_ACCEPT`.
    Accept,
    /// `CF_REJECT`.
    Reject,
    /// `CF_DEFER`: the connection waits on.
    Defer,
}

impl World {
    /// `WSAAccept`, until its condition function is called for the oldest connection that waits. The thread is in
    /// that function until [`World::end_condition_function`]. It does not wait for a connection.
    ///
    /// # Errors
    /// WSAENETDOWN; WSAENOTSOCK; WSAEINVAL where the socket does not listen; WSAEWOULDBLOCK where no connection
    /// waits; WSAEINPROGRESS where the thread is in a condition function.
    pub fn begin_condition_function(
        &mut self,
        caller: Caller,
        listening: SocketHandle,
    ) -> Result<(), WinsockError> {
        if self.notifications.callback_of(caller.tid) == Some(Callback::ConditionFunction) {
            return Err(WinsockError::WSAEINPROGRESS);
        }
        match &self.view(caller, listening)?.state {
            State::Listening(listening) if listening.queue.is_empty() => Err(WinsockError::WSAEWOULDBLOCK),
            State::Listening(_) => {
                self.enter(caller, Callback::ConditionFunction);
                Ok(())
            }
            _ => Err(WinsockError::WSAEINVAL),
        }
    }

    /// The condition function returns, and with it `WSAAccept`: the accepted socket.
    ///
    /// # Errors
    /// WSAEINVAL where the thread is in no condition function, or the socket does not listen; WSAECONNREFUSED for
    /// CF_REJECT, which ends the connection; WSATRY_AGAIN for CF_DEFER; WSAECONNRESET where the connection is gone;
    /// WSAENETDOWN; WSAENOTSOCK.
    pub fn end_condition_function(
        &mut self,
        caller: Caller,
        listening: SocketHandle,
        decided: Decided,
    ) -> Result<SocketHandle, WinsockError> {
        if !self.leave(caller, Callback::ConditionFunction) {
            return Err(WinsockError::WSAEINVAL);
        }
        let id = self.lookup(caller, listening)?;
        if decided == Decided::Defer {
            return Err(WinsockError::WSATRY_AGAIN);
        }
        let queue = &mut self.listening_mut(id).ok_or(WinsockError::WSAEINVAL)?.queue;
        let flow = queue.pop_front().ok_or(WinsockError::WSAECONNRESET)?;
        if decided == Decided::Reject {
            self.end_side(flow, Side::Server, true);
            return Err(WinsockError::WSAECONNREFUSED);
        }
        self.accept_flow(caller.pid, id, flow)
    }
}
