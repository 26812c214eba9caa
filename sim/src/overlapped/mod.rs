//! Overlapped I/O: how a program learns what became of a call that did not complete at once.
//!
//! Such a call is given a `WSAOVERLAPPED` in the caller's memory. When the operation ends, its status and the
//! bytes transferred are stored there, and then one of these is told: the completion routine that the call was
//! given, as an asynchronous procedure call (APC) of the thread that asked; else the event in the structure, and
//! the completion port that the socket is associated with. Each operation ends once; what it would write to
//! memory that is gone by then is not written.
//!
//! Source: sdk-api "WSAIoctl", "WSAGetOverlappedResult", "WSAOVERLAPPED", "CreateIoCompletionPort", "CancelIoEx";
//! docs/behaviour.md, "Overlapped calls".

mod cancel;
mod event;
mod port;
mod result;
mod routine;
mod status;

pub use port::CompletionPacket;
pub use routine::RoutineCall;

pub(crate) use routine::Callback;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::port::Association;
use crate::canonical::Renumber;
use crate::error::WinsockError;
use crate::ids::{Caller, EventHandle, PendingId, Pid, PortHandle, SocketId, Tid};
use crate::memory::Pointer;
use crate::world::World;

/// Bytes of a `WSAOVERLAPPED` in a 64-bit process: `Internal`, `InternalHigh`, `Offset`, `OffsetHigh`, `hEvent`.
pub(crate) const OVERLAPPED_BYTES: u64 = 32;
/// Where `InternalHigh`, the bytes transferred, is in it.
const INTERNAL_HIGH: u64 = 8;
/// Where `hEvent` is in it.
const H_EVENT: u64 = 24;

/// Everything by which programs are told of operations, and the operations that control codes wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Notifications {
    /// Events, and whether they are signaled.
    pub(crate) events: BTreeMap<(Pid, EventHandle), bool>,
    pub(crate) ports: BTreeMap<(Pid, PortHandle), VecDeque<CompletionPacket>>,
    /// The port that each associated socket's completions go to.
    associations: BTreeMap<SocketId, Association>,
    /// Completion routines that wait for an alertable wait of their thread.
    routines: BTreeMap<Tid, VecDeque<RoutineCall>>,
    /// The callbacks that each thread is in, the innermost last; a thread in none is absent.
    callbacks: BTreeMap<Tid, Vec<Callback>>,
    /// Sockets on which control codes wait.
    pub(crate) stalled: BTreeSet<SocketId>,
    /// The control codes that wait, in the order in which they were asked.
    pub(crate) requests: BTreeSet<(SocketId, PendingId)>,
}

/// Who is told of the end of an overlapped call, as the call itself settled it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Notify {
    /// `lpOverlapped`.
    pub(crate) overlapped: Pointer,
    /// The completion routine and the thread that it runs in.
    pub(crate) routine: Option<(Pointer, Tid)>,
    /// `hEvent`, where there is no routine.
    event: Option<EventHandle>,
    /// Whether a completion port hears of it: not with a routine, nor where the lowest bit of `hEvent` is set.
    to_port: bool,
}

impl World {
    /// A `WSAOVERLAPPED` in the caller's memory, all zero but for the event.
    pub fn allocate_overlapped(&mut self, caller: Caller, event: Option<EventHandle>) -> Pointer {
        let overlapped = self.allocate(caller, OVERLAPPED_BYTES, 0);
        if let Some(event) = event {
            self.write_memory(caller, overlapped.offset(H_EVENT), &event.0.to_le_bytes());
        }
        overlapped
    }

    /// An overlapped call begins: the structure says that it is pending, and its event is reset.
    pub(crate) fn begin_overlapped(
        &mut self,
        pid: Pid,
        overlapped: Pointer,
        routine: Option<(Pointer, Tid)>,
    ) -> Notify {
        let handle = self.memory.read_u64(pid, overlapped.offset(H_EVENT)).unwrap_or(0);
        let event = Some(EventHandle(handle & !1)).filter(|event| routine.is_none() && event.0 != 0);
        if let Some(event) = event {
            self.signal(pid, event, false);
        }
        self.memory.write(pid, overlapped, &u64::from(status::PENDING).to_le_bytes());
        Notify { overlapped, routine, event, to_port: routine.is_none() && handle & 1 == 0 }
    }

    /// An overlapped call has ended: the structure says how, and whoever is to be told is told.
    pub(crate) fn end_overlapped(
        &mut self,
        pid: Pid,
        socket: SocketId,
        notify: &Notify,
        result: Result<(), WinsockError>,
        bytes: u32,
    ) {
        let Notify { overlapped, routine, event, to_port } = *notify;
        let status = status::of(result);
        self.memory.write(pid, overlapped.offset(INTERNAL_HIGH), &u64::from(bytes).to_le_bytes());
        self.memory.write(pid, overlapped, &u64::from(status).to_le_bytes());
        if let Some((routine, thread)) = routine {
            self.queue_routine(thread, RoutineCall { routine, error: result.err(), bytes, overlapped });
        }
        if to_port {
            self.post(socket, overlapped, result, bytes);
        }
        if let Some(event) = event {
            self.signal(pid, event, true);
        }
    }

    /// A socket has ended: nobody asks what happens on it any more.
    pub(crate) fn forget_socket(&mut self, id: SocketId) {
        // Mostly there is nothing of the kind on the whole machine.
        let Notifications { associations, stalled, .. } = &mut self.notifications;
        if !associations.is_empty() || !stalled.is_empty() {
            associations.remove(&id);
            stalled.remove(&id);
        }
    }

    /// A process has ended, and with it all by which it could have been told.
    pub(crate) fn forget_process(&mut self, pid: Pid, threads: impl Iterator<Item = Tid>) {
        self.notifications.events.retain(|(owner, _), _| *owner != pid);
        self.notifications.ports.retain(|(owner, _), _| *owner != pid);
        self.notifications.associations.retain(|_, association| association.pid != pid);
        for thread in threads {
            self.forget_thread(thread);
        }
    }
}

impl Notifications {
    /// The callback that a thread is in.
    #[inline]
    pub(crate) fn callback_of(&self, thread: Tid) -> Option<Callback> {
        if self.callbacks.is_empty() { None } else { self.callbacks.get(&thread)?.last().copied() }
    }

    /// Whether completions of a socket go to a port.
    pub(crate) fn has_port(&self, id: SocketId) -> bool {
        self.associations.contains_key(&id)
    }

    /// The control codes that wait on a socket, oldest first.
    pub(crate) fn requests_on(&self, id: SocketId) -> Vec<PendingId> {
        let all = (id, PendingId(0))..=(id, PendingId(u64::MAX));
        self.requests.range(all).map(|(_, request)| *request).collect()
    }

    /// Events, ports, packets and routines that are there now.
    pub(crate) fn live(&self) -> usize {
        self.events.len()
            + self.ports.len()
            + self.ports.values().map(VecDeque::len).sum::<usize>()
            + self.routines.values().map(VecDeque::len).sum::<usize>()
    }

    pub(crate) fn renumbered(&self, renumber: &Renumber) -> Self {
        let event = |(pid, handle): &(Pid, EventHandle)| (*pid, renumber.event(*pid, *handle));
        let port = |pid: Pid, handle: PortHandle| (pid, renumber.port(pid, handle));
        Self {
            events: self.events.iter().map(|(key, signaled)| (event(key), *signaled)).collect(),
            ports: self
                .ports
                .iter()
                .map(|((pid, handle), packets)| {
                    let packets = packets.iter().map(|packet| packet.renumbered(renumber)).collect();
                    (port(*pid, *handle), packets)
                })
                .collect(),
            associations: self
                .associations
                .iter()
                .map(|(id, association)| {
                    let (pid, port) = port(association.pid, association.port);
                    (renumber.socket(*id), Association { pid, port, key: association.key })
                })
                .collect(),
            routines: self
                .routines
                .iter()
                .map(|(thread, calls)| {
                    (*thread, calls.iter().map(|call| call.renumbered(renumber)).collect())
                })
                .collect(),
            callbacks: self.callbacks.clone(),
            stalled: self.stalled.iter().map(|id| renumber.socket(*id)).collect(),
            requests: self
                .requests
                .iter()
                .map(|(socket, request)| (renumber.socket(*socket), renumber.pending(*request)))
                .collect(),
        }
    }
}

impl Notify {
    pub(crate) fn renumbered(&self, pid: Pid, renumber: &Renumber) -> Self {
        Self {
            overlapped: renumber.pointer(self.overlapped),
            routine: self.routine.map(|(routine, thread)| (renumber.pointer(routine), thread)),
            event: self.event.map(|event| renumber.event(pid, event)),
            to_port: self.to_port,
        }
    }
}

#[cfg(test)]
mod tests;
