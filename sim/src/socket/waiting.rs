//! Connects that nobody answers.

use super::State;
use super::classified::Route;
use super::connect::Attempt;
use crate::error::WinsockError;
use crate::ids::{ContextId, PendingId, SocketId};
use crate::world::World;

impl World {
    /// Nobody answers a connect: the call that waits until it times out, if one does.
    pub(super) fn wait_for_answer(&mut self, attempt: Attempt) -> Option<PendingId> {
        let deadline = self.now.saturating_add(self.profile.connect_timeout_ms.into());
        self.wait_to_connect(attempt, deadline)
    }

    /// The connect waits with what its redirects handed over.
    pub(super) fn hold_contexts(&mut self, id: SocketId, route: &Route) {
        let held: Vec<ContextId> =
            route.redirects().filter_map(|version| self.take_over_context(version)).collect();
        if let Some(State::Connecting { contexts, .. }) = self.socket_mut(id).map(|socket| &mut socket.state)
        {
            *contexts = held;
        }
    }

    /// Time has passed: connects that waited long enough end with WSAETIMEDOUT. Where no call waits, the next
    /// connect reports it.
    pub(crate) fn end_overdue_connects(&mut self) {
        let overdue: Vec<_> = self
            .sockets
            .iter()
            .filter_map(|(id, socket)| match &socket.state {
                State::Connecting { deadline, pending, contexts } if *deadline <= self.now => {
                    Some((*id, *pending, contexts.clone()))
                }
                _ => None,
            })
            .collect();
        for (id, pending, contexts) in overdue {
            self.give_contexts_up(&contexts);
            let timed_out = WinsockError::WSAETIMEDOUT;
            self.set_state(id, if pending.is_some() { State::Unconnected } else { State::Failed(timed_out) });
            if let Some(pending) = pending {
                self.complete(pending, Err(timed_out));
            }
        }
    }
}
