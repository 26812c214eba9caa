//! `connect` of a datagram socket: a default destination, and a classify whose redirect nobody makes use of.
//!
//! Source: sdk-api "connect"; docs/behaviour.md, "Layers" (connected UDP) and R11, R12.

use std::net::SocketAddr;

use crate::error::WinsockError;
use crate::ids::{Caller, FlowId, SocketId};
use crate::socket::{Asking, Completion};
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
        let (kind, host, bound) = (socket.kind, socket.host, socket.local);
        self.check_destination(kind, destination)?;
        let mut contexts = Vec::new();
        if host == LOCAL_HOST && kind.protocol.is_redirectable(&destination) {
            let records = socket.records.as_ref();
            let asking = Asking { pid: caller.pid, socket: id, host, kind, bound, destination, records };
            let classified = self.classified(asking, sink.enabled())?;
            let refused = classified.recorded.as_ref().err().copied();
            if let Some(mut trace) = classified.trace {
                if let Some(error) = refused {
                    trace.result = Err(error);
                }
                sink.connect(trace);
            }
            // There is no flow yet that records could name: only the contexts are there.
            contexts = self.leave_records(FlowId(0), None, classified.recorded?).1;
        }
        self.bind_to_any(id)?;
        if let Some(datagrams) = self.datagrams_mut(id) {
            datagrams.peer = Some(destination);
            datagrams.connect_contexts.extend(contexts);
        }
        Ok(Completion::Done(()))
    }
}
