//! Event objects: what a program waits on.
//!
//! Source: sdk-api "WSACreateEvent", "WSASetEvent", "WSAResetEvent", "WSACloseEvent", "WSAWaitForMultipleEvents".

use crate::error::WinsockError;
use crate::ids::{Caller, EventHandle, Pid};
use crate::world::World;

impl World {
    /// `WSACreateEvent`: a manual-reset event that is not signaled.
    ///
    /// # Errors
    /// WSAENETDOWN where the calling process has ended.
    pub fn wsa_create_event(&mut self, caller: Caller) -> Result<EventHandle, WinsockError> {
        if !self.processes.contains_key(&caller.pid) {
            return Err(WinsockError::WSAENETDOWN);
        }
        let event = EventHandle(self.next_descriptor().0);
        self.notifications.events.insert((caller.pid, event), false);
        Ok(event)
    }

    /// `WSASetEvent`.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE.
    pub fn wsa_set_event(&mut self, caller: Caller, event: EventHandle) -> Result<(), WinsockError> {
        self.is_signaled(caller, event)?;
        self.signal(caller.pid, event, true);
        Ok(())
    }

    /// `WSAResetEvent`.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE.
    pub fn wsa_reset_event(&mut self, caller: Caller, event: EventHandle) -> Result<(), WinsockError> {
        self.is_signaled(caller, event)?;
        self.signal(caller.pid, event, false);
        Ok(())
    }

    /// `WSACloseEvent`. Operations that were to signal it end without; a call that waits for it goes on waiting.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE.
    pub fn wsa_close_event(&mut self, caller: Caller, event: EventHandle) -> Result<(), WinsockError> {
        let closed = self.notifications.events.remove(&(caller.pid, event));
        closed.map(|_| ()).ok_or(WinsockError::WSA_INVALID_HANDLE)
    }

    /// Whether an event is signaled: `WSAWaitForMultipleEvents` for this one, with a timeout of 0.
    ///
    /// # Errors
    /// WSA_INVALID_HANDLE.
    pub fn is_signaled(&self, caller: Caller, event: EventHandle) -> Result<bool, WinsockError> {
        let signaled = self.notifications.events.get(&(caller.pid, event));
        signaled.copied().ok_or(WinsockError::WSA_INVALID_HANDLE)
    }

    /// Changes an event, if it is there still; calls that wait for it go on.
    pub(super) fn signal(&mut self, pid: Pid, event: EventHandle, signaled: bool) {
        if let Some(state) = self.notifications.events.get_mut(&(pid, event)) {
            *state = signaled;
            if signaled {
                self.serve_result_waiters(pid, event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Machine;

    #[test]
    fn event_is_of_its_process_until_it_is_closed() {
        let mut m = Machine::default();
        let event = m.w.wsa_create_event(m.app).unwrap();
        assert_eq!(m.w.is_signaled(m.app, event), Ok(false));
        assert_eq!(m.w.wsa_set_event(m.app, event), Ok(()));
        assert_eq!(m.w.is_signaled(m.app, event), Ok(true));
        assert_eq!(m.w.wsa_reset_event(m.app, event), Ok(()));
        assert_eq!(m.w.is_signaled(m.app, event), Ok(false));
        let unknown = Err(WinsockError::WSA_INVALID_HANDLE);
        assert_eq!(m.w.wsa_set_event(m.service, event), unknown);
        assert_eq!(m.w.wsa_close_event(m.app, event), Ok(()));
        assert_eq!(m.w.wsa_close_event(m.app, event), unknown);
        assert_eq!(m.w.wsa_set_event(m.app, event), unknown);
        assert_eq!(m.w.wsa_reset_event(m.app, event), unknown);
    }

    #[test]
    fn events_go_with_their_process() {
        let mut m = Machine::default();
        m.w.wsa_create_event(m.app).unwrap();
        let live = m.w.live();
        m.w.end_process(m.app.pid);
        assert_eq!(m.w.live(), live - 1);
        assert_eq!(m.w.wsa_create_event(m.app), Err(WinsockError::WSAENETDOWN));
    }
}
