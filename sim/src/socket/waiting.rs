//! Connects that nobody answers.

use super::State;
use crate::error::WinsockError;
use crate::ids::{PendingId, SocketId};
use crate::world::World;

impl World {
    /// A connect goes to a host that drops it. `pending` is the call that waits for the answer, if one does.
    pub(super) fn wait_for_answer(&mut self, id: SocketId, pending: Option<PendingId>) {
        let deadline = self.now.saturating_add(self.profile.connect_timeout_ms.into());
        self.set_state(id, State::Connecting { deadline, pending });
    }

    /// Time has passed: connects that waited long enough end with WSAETIMEDOUT. Where no call waits, the next
    /// connect reports it.
    pub(crate) fn end_overdue_connects(&mut self) {
        let overdue: Vec<_> = self
            .sockets
            .iter()
            .filter_map(|(id, socket)| match socket.state {
                State::Connecting { deadline, pending } if deadline <= self.now => Some((*id, pending)),
                _ => None,
            })
            .collect();
        for (id, pending) in overdue {
            let timed_out = WinsockError::WSAETIMEDOUT;
            self.set_state(id, if pending.is_some() { State::Unconnected } else { State::Failed(timed_out) });
            if let Some(pending) = pending {
                self.complete(pending, Err(timed_out));
            }
        }
    }
}
