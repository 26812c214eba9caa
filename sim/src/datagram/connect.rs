//! `connect` of a datagram socket: a default destination, and a classify whose redirect nobody makes use of.
//!
//! Source: sdk-api "connect"; docs/behaviour.md, "Layers" (connected UDP) and R11, R12.

use std::net::SocketAddr;

use crate::engine::{Run, Unused};
use crate::error::WinsockError;
use crate::ids::{Caller, ContextId, SocketId};
use crate::socket::{Classified, Completion, PendedClassify, Route, Waits};
use crate::trace::Sink;
use crate::world::{LOCAL_HOST, World};

impl World {
    /// Gives the socket a default destination; the unspecified address takes it away. It is classified here, and again
    /// at the first datagram: a callout that redirects both times allocates two contexts for one flow. What becomes of
    /// the first is the profile field `connected-udp-context`.
    pub(crate) fn connect_datagram<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        id: SocketId,
        destination: SocketAddr,
        sink: &mut S,
    ) -> Result<Completion<()>, WinsockError> {
        if destination.ip().to_canonical().is_unspecified() {
            if let Some(datagrams) = self.datagrams_mut(id) {
                datagrams.peer = None;
            }
            return Ok(Completion::Done(()));
        }
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (kind, host) = (socket.kind, socket.host);
        self.check_destination(kind, destination)?;
        if host == LOCAL_HOST && kind.protocol.is_redirectable(&destination) {
            self.classify_datagram_connect(caller, id, destination, Run::default(), sink)?;
        }
        self.bind_to_any(id)?;
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.peer = Some(destination);
        }
        Ok(Completion::Done(()))
    }

    /// CONNECT_REDIRECT alone is asked; the first datagram asks it again. One that a driver pends goes on meanwhile: the
    /// call has nothing to wait for.
    pub(crate) fn classify_datagram_connect<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        id: SocketId,
        destination: SocketAddr,
        run: Run,
        sink: &mut S,
    ) -> Result<(), WinsockError> {
        let mut traces = sink.enabled().then(Vec::new);
        self.bind_implicitly(caller.pid, id, &mut traces)?;
        let asking = self.asking(caller.pid, id, destination, None).ok_or(WinsockError::WSAENETDOWN)?;
        let (route, result) = match self.redirected(&asking, run, &mut traces) {
            Classified::To(route) => (route, Ok(())),
            Classified::Refused(route, error) => (route, Err(error)),
            Classified::Pended(by, run) => {
                let waits = Waits::DatagramConnect { caller, socket: id, destination };
                self.pended.insert(by.handle, PendedClassify { by, run, waits });
                (Route::unchanged(destination), Ok(()))
            }
            Classified::Never => (Route::unchanged(destination), Ok(())),
        };
        if let Some(mut trace) = Self::connect_trace(&asking, route.target, route.redirect, traces) {
            if let Err(error) = result {
                trace.result = Err(error);
            }
            sink.connect(trace);
        }
        result?;
        // There is no flow yet that records could name: only the contexts are there.
        if self.leaks(Unused::DatagramConnect) {
            self.abandon(route.redirects(), Unused::DatagramConnect);
            return Ok(());
        }
        let contexts: Vec<ContextId> =
            route.redirects().filter_map(|version| self.take_over_context(version)).collect();
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.connect_contexts.extend(contexts);
        }
        Ok(())
    }
}
