//! `connect` and `ConnectEx`: the classify, what the engine makes of it, and the connection.
//!
//! Source: win32 "TCP Packet Flows"; docs/behaviour.md, "Connect request", "Chains" and "How records travel".

use std::net::SocketAddr;

use super::classified::{Classified, Route};
use super::pended::{PendedClassify, Waits};
use super::{Completion, PendingCall, Protocol, Side, SocketKind, State};
use crate::address::{self, Family};
use crate::engine::{Run, Unused};
use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, PendingId, SocketHandle, SocketId};
use crate::trace::Sink;
use crate::world::{LOCAL_HOST, World};

/// A call of `connect` or `ConnectEx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(super) caller: Caller,
    pub(crate) id: SocketId,
    pub(super) destination: SocketAddr,
    pub(super) manner: Manner,
    /// The call that waits for it already, where it was pended.
    pub(super) pending: Option<PendingId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Manner {
    /// `connect`.
    Blocking,
    /// `connect` on a non-blocking socket: nobody waits for it.
    Nonblocking,
    /// `ConnectEx`.
    Overlapped,
}

/// How far a connect came at once.
pub(super) enum Reached {
    Connected(FlowId),
    /// Nobody answered yet. On a non-blocking socket no call waits for it.
    Waiting(Option<PendingId>),
}

impl World {
    /// `connect`: classified at the connect-redirect layer first, if this is the local host. A socket that is not
    /// bound is: to an address of this host when it connects, to the wildcard address when it does not. On a
    /// non-blocking socket WSAEWOULDBLOCK stands for a connect under way; the next call tells what became of it.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAEINVAL on a listening socket, or one given to an AcceptEx; WSAEISCONN; WSAEALREADY;
    /// WSAEAFNOSUPPORT; WSAEADDRNOTAVAIL for an address or port of 0, and by the profile fields `mapped-on-v6only`
    /// and `unroutable-source`; WSAENETUNREACH without an own address of the target's family; WSAEHOSTUNREACH where
    /// no host has the address; WSAECONNREFUSED; WSAEACCES where a block counts (`block-at-redirect-layer`);
    /// WSAENOBUFS without a free port; WSAEADDRINUSE where the socket is bound to the wildcard address and its port
    /// is taken at the one that it would get; WSAEWOULDBLOCK. A pending one ends with WSAETIMEDOUT.
    pub fn connect<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let socket = self.socket_mut(id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Failed(error) => {
                socket.state = State::Unconnected;
                return Err(error);
            }
            State::Datagram(_) => return self.connect_datagram(caller, id, destination, sink),
            _ => {}
        }
        let manner = if socket.kind.nonblocking { Manner::Nonblocking } else { Manner::Blocking };
        let result = self.attempt(Attempt { caller, id, destination, manner, pending: None }, sink);
        match result {
            Ok(Reached::Waiting(Some(pending))) => Ok(Completion::Pending(pending)),
            Ok(_) if manner == Manner::Blocking => Ok(Completion::Done(())),
            Ok(_) => Err(WinsockError::WSAEWOULDBLOCK),
            Err(error) if manner == Manner::Nonblocking && is_met_later(error) => {
                self.set_state(id, State::Failed(error));
                Err(WinsockError::WSAEWOULDBLOCK)
            }
            Err(error) => Err(error),
        }
    }

    /// `ConnectEx` without data: as `connect`, on a socket that must be bound, and never WSAEWOULDBLOCK. Until
    /// [`World::update_connect_context`] the socket does not know its peer.
    ///
    /// # Errors
    /// As [`World::connect`]; WSAEINVAL where the socket is not bound.
    pub fn connect_ex<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let view = self.view(caller, socket)?;
        if view.local.is_none() || matches!(view.state, State::Failed(_)) {
            return Err(WinsockError::WSAEINVAL);
        }
        let attempt = Attempt { caller, id, destination, manner: Manner::Overlapped, pending: None };
        Ok(match self.attempt(attempt, sink)? {
            Reached::Waiting(Some(pending)) => Completion::Pending(pending),
            Reached::Waiting(None) | Reached::Connected(_) => Completion::Done(()),
        })
    }

    /// `setsockopt(SO_UPDATE_CONNECT_CONTEXT)`, for a socket that ConnectEx connected.
    ///
    /// # Errors
    /// WSAENOTSOCK; WSAENOTCONN where it did not connect.
    pub fn update_connect_context(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
    ) -> Result<(), WinsockError> {
        let id = self.lookup(caller, socket)?;
        self.mark_updated(id, Side::Client).ok_or(WinsockError::WSAENOTCONN)
    }

    fn attempt<S: Sink + ?Sized>(&mut self, attempt: Attempt, sink: &mut S) -> Result<Reached, WinsockError> {
        let Attempt { id, destination, .. } = attempt;
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        match socket.state {
            State::Unconnected => {}
            State::Listening(_) | State::Accepting(_) | State::Datagram(_) => {
                return Err(WinsockError::WSAEINVAL);
            }
            State::Connecting { .. } => return Err(WinsockError::WSAEALREADY),
            State::Connected(_) | State::Failed(_) => return Err(WinsockError::WSAEISCONN),
        }
        self.check_destination(socket.kind, destination)?;
        self.connect_through(attempt, Run::default(), sink)
    }

    /// Asks the layers of the local host, and makes the connection.
    pub(super) fn connect_through<S: Sink + ?Sized>(
        &mut self,
        attempt: Attempt,
        run: Run,
        sink: &mut S,
    ) -> Result<Reached, WinsockError> {
        let Attempt { caller: Caller { pid, .. }, id, destination, .. } = attempt;
        let mut traces = sink.enabled().then(Vec::new);
        let host = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?.host;
        self.bind_implicitly(pid, id, &mut traces)?;
        let asking = self.asking(pid, id, destination, None).ok_or(WinsockError::WSAENETDOWN)?;
        if host != LOCAL_HOST {
            return self.reach(attempt, &asking, &Route::unchanged(destination), &mut None);
        }
        let ((target, redirect), result) = match self.classified(&asking, run, &mut traces) {
            Classified::To(route) => {
                let result = self.reach(attempt, &asking, &route, &mut traces);
                match result {
                    Ok(Reached::Connected(_)) => {}
                    Ok(Reached::Waiting(_)) => self.hold_contexts(id, &route),
                    Err(_) => self.abandon(route.redirects(), Unused::Failed),
                }
                ((route.target, route.redirect), result)
            }
            Classified::Refused(route, error) => ((route.target, route.redirect), Err(error)),
            Classified::Pended(by, run) => {
                let pending = self.wait_to_connect(attempt, u64::MAX);
                let handle = by.handle;
                let waits = Waits::Connect { attempt, pending };
                self.pended.insert(handle, PendedClassify { by, run, waits });
                ((destination, None), Ok(Reached::Waiting(pending)))
            }
            Classified::Never => {
                let pending = self.wait_to_connect(attempt, u64::MAX);
                ((destination, None), Ok(Reached::Waiting(pending)))
            }
        };
        if let Some(mut trace) = Self::connect_trace(&asking, target, redirect, traces) {
            match &result {
                Ok(Reached::Connected(flow)) => trace.result = Ok(*flow),
                Ok(Reached::Waiting(_)) => {}
                Err(error) => trace.result = Err(*error),
            }
            sink.connect(trace);
        }
        result
    }

    /// Nobody answers yet: the call that waits, unless the socket is non-blocking.
    pub(super) fn wait_to_connect(&mut self, attempt: Attempt, deadline: u64) -> Option<PendingId> {
        let Attempt { caller, id, manner, pending, .. } = attempt;
        let call = PendingCall::Connect { socket: id, overlapped: manner == Manner::Overlapped };
        let pending = pending.or_else(|| (manner != Manner::Nonblocking).then(|| self.pend(caller, call)));
        self.set_state(id, State::Connecting { deadline, pending, contexts: Vec::new() });
        pending
    }

    /// Whether a socket of this kind can send to `destination` at all.
    pub(crate) fn check_destination(
        &self,
        kind: SocketKind,
        destination: SocketAddr,
    ) -> Result<(), WinsockError> {
        if Family::of(&destination) != kind.family {
            return Err(WinsockError::WSAEAFNOSUPPORT);
        }
        if address::is_mapped(&destination) && !kind.is_dual() {
            return Err(self.profile.mapped_on_v6only);
        }
        let no_port = destination.port() == 0 && !matches!(kind.protocol, Protocol::Raw { .. });
        if destination.ip().to_canonical().is_unspecified() || no_port {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        Ok(())
    }
}

/// Errors that a non-blocking connect meets only after it has returned.
fn is_met_later(error: WinsockError) -> bool {
    matches!(error, WinsockError::WSAECONNREFUSED | WinsockError::WSAEHOSTUNREACH | WinsockError::WSAEACCES)
}

#[cfg(test)]
mod tests;
