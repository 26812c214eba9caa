//! `WSARecvMsg` and `WSASendMsg`, called synchronously, with all that a `WSAMSG` leads to in the caller's memory.
//!
//! Source: sdk-api "LPFN_WSARECVMSG", "WSASendMsg", "WSAMSG"; docs/behaviour.md, "Control buffers".

use std::net::SocketAddr;
use std::sync::Arc;

use super::Receive;
use super::send::Sending;
use crate::control_message::{
    IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6, MSG_CTRUNC, MSG_DONTROUTE, MSG_PEEK, MSG_TRUNC, Walk,
};
use crate::error::WinsockError;
use crate::ids::{Caller, Pid, SocketHandle, SocketId};
use crate::ioctl;
use crate::memory::Pointer;
use crate::profile::{Elevation, Malformed, Peek, Usage};
use crate::records::Records;
use crate::socket::{Completed, Completion, State};
use crate::trace::Sink;
use crate::world::World;

/// `WSABUF`: a buffer in the caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer {
    /// `buf`.
    pub pointer: Pointer,
    /// `len`.
    pub length: u32,
}

impl Buffer {
    /// No buffer.
    pub const NONE: Self = Self { pointer: Pointer::NULL, length: 0 };
}

/// `WSAMSG` as a program fills it in. The address is a value, everything else in the caller's memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WsaMsg {
    /// `name` of WSASendMsg: the destination, on a socket that is not connected. WSARecvMsg gives one back.
    pub name: Option<SocketAddr>,
    /// `lpBuffers`: filled, or sent, in this order.
    pub buffers: Vec<Buffer>,
    /// `Control`.
    pub control: Buffer,
    /// `dwFlags`: MSG_PEEK for WSARecvMsg, without meaning for WSASendMsg.
    pub flags: u32,
}

/// What `WSARecvMsg` leaves in the `WSAMSG` and in `lpdwNumberOfBytesRecvd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedMessage {
    /// Bytes of the datagram that are in the buffers.
    pub bytes: u32,
    /// `name`: the source that the datagram shows.
    pub from: SocketAddr,
    /// `Control.len`: bytes of control data that are in the control buffer.
    pub control_length: u32,
    /// `dwFlags`: MSG_TRUNC where the buffers were too small, MSG_CTRUNC where the control buffer was.
    pub flags: u32,
}

impl ReceivedMessage {
    /// What the call returned: the bytes, or SOCKET_ERROR with WSAEMSGSIZE where anything was truncated.
    ///
    /// # Errors
    /// WSAEMSGSIZE.
    pub fn result(&self) -> Result<u32, WinsockError> {
        if self.flags & (MSG_TRUNC | MSG_CTRUNC) == 0 {
            Ok(self.bytes)
        } else {
            Err(WinsockError::WSAEMSGSIZE)
        }
    }
}

impl World {
    /// `WSARecvMsg` without lpOverlapped and completion routine: the next datagram, with its source and its control
    /// data. What does not fit is lost, and tells so: see [`ReceivedMessage::result`]. One receive can wait at a time.
    ///
    /// # Errors
    /// WSAENOTSOCK; the profile field `message-call-on-stream` on a TCP socket; WSAEOPNOTSUPP for any flag but MSG_PEEK,
    /// and for that by `peek-on-overlapped`; WSAEFAULT for a buffer that is not wholly valid memory, a NULL control
    /// buffer with a length included; WSAEINVAL where the socket is not bound; WSAEINPROGRESS where another receive
    /// waits; WSAEWOULDBLOCK on a non-blocking socket.
    pub fn wsa_recv_msg(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        message: &WsaMsg,
    ) -> Result<Completion<ReceivedMessage>, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let overlapped = self.check_message_call(caller, socket)?;
        let peek = message.flags & MSG_PEEK != 0;
        let peek_refused = overlapped && self.profile.peek_on_overlapped == Peek::NotSupported;
        if message.flags & !MSG_PEEK != 0 || peek && peek_refused {
            return Err(WinsockError::WSAEOPNOTSUPP);
        }
        self.check_buffers(caller.pid, message)?;
        match self.receive(caller, id, Receive::Message(message.clone()))? {
            Completion::Done(Completed::ReceivedMessage(received)) => Ok(Completion::Done(received)),
            Completion::Done(_) => Err(WinsockError::WSAEFAULT),
            Completion::Pending(pending) => Ok(Completion::Pending(pending)),
        }
    }

    /// `WSASendMsg` without lpOverlapped and completion routine: a datagram, as [`World::sendto`]. A control message of
    /// type IP_WFP_REDIRECT_RECORDS gives it records, which count if it makes a flow: then the callouts are told of
    /// them, as of those that SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS sets on a TCP socket, and by the same profile
    /// fields (inferred). Other control messages mean nothing to the model.
    ///
    /// # Errors
    /// WSAENOTSOCK; the profile field `message-call-on-stream` on a TCP socket; WSAEOPNOTSUPP for any flag but
    /// MSG_DONTROUTE; WSAEFAULT for a buffer that is not wholly valid memory, a NULL control buffer with a length
    /// included; WSAEINVAL where the socket is not bound, or has no overlapped attribute; `send-control-malformed`;
    /// for records WSAEACCES by `set-needs-elevation`, `set-malformed` and `set-stale-records`; and as
    /// [`World::sendto`].
    pub fn wsa_send_msg<S: Sink + ?Sized>(
        &mut self,
        caller: Caller,
        socket: SocketHandle,
        message: &WsaMsg,
        flags: u32,
        sink: &mut S,
    ) -> Result<usize, WinsockError> {
        let id = self.lookup(caller, socket)?;
        let overlapped = self.check_message_call(caller, socket)?;
        // MSG_PARTIAL and MSG_OOB are flags of the call, and of no transport that the model has.
        if flags & !MSG_DONTROUTE != 0 {
            return Err(WinsockError::WSAEOPNOTSUPP);
        }
        self.check_buffers(caller.pid, message)?;
        if !overlapped || self.view(caller, socket)?.local.is_none() {
            return Err(WinsockError::WSAEINVAL);
        }
        let records = self.records_in_control(caller.pid, id, message.control)?;
        let data = self.gathered(caller.pid, &message.buffers)?;
        let connected = self.datagrams(id).is_some_and(|datagrams| datagrams.peer.is_some());
        let to = message.name.filter(|_| !connected);
        self.transmit(&Sending { caller, id, to, data: &data, records }, sink)
    }

    /// Whether the socket has the overlapped attribute, where these calls serve such sockets.
    fn check_message_call(&self, caller: Caller, socket: SocketHandle) -> Result<bool, WinsockError> {
        let socket = self.view(caller, socket)?;
        match socket.state {
            State::Datagram(_) => Ok(socket.kind.overlapped),
            _ => Err(self.profile.message_call_on_stream),
        }
    }

    fn check_buffers(&self, pid: Pid, message: &WsaMsg) -> Result<(), WinsockError> {
        let mut all = message.buffers.iter().chain([&message.control]).filter(|buffer| buffer.length > 0);
        let valid = all.all(|buffer| self.memory.is_valid(pid, buffer.pointer, buffer.length.into()));
        if valid { Ok(()) } else { Err(WinsockError::WSAEFAULT) }
    }

    /// The bytes of all buffers, which are valid; no more of them than any datagram takes are looked at.
    fn gathered(&self, pid: Pid, buffers: &[Buffer]) -> Result<Vec<u8>, WinsockError> {
        let total: u64 = buffers.iter().map(|buffer| u64::from(buffer.length)).sum();
        if total > u16::MAX.into() {
            return Err(WinsockError::WSAEMSGSIZE);
        }
        let mut data = Vec::new();
        for buffer in buffers.iter().filter(|buffer| buffer.length > 0) {
            let bytes = self.memory.read(pid, buffer.pointer, buffer.length.into());
            data.extend_from_slice(&bytes.ok_or(WinsockError::WSAEFAULT)?);
        }
        Ok(data)
    }

    /// The records in the control data of a send; those of the last such message, where there are several.
    fn records_in_control(
        &self,
        pid: Pid,
        id: SocketId,
        control: Buffer,
    ) -> Result<Option<Arc<Records>>, WinsockError> {
        let Some(process) = self.processes.get(&pid) else { return Err(WinsockError::WSAENETDOWN) };
        let Some(socket) = self.sockets.get(&id) else { return Err(WinsockError::WSAENOTSOCK) };
        let mut walk = Walk::new(process.layout, control.length.into());
        let mut found = None;
        while let Some(place) = walk.place() {
            // Piece by piece: a control buffer can be 4 GiB.
            let header = control.pointer.offset(place);
            let bytes = self.memory.read(pid, header, process.layout.header_size());
            let header =
                bytes.and_then(|bytes| process.layout.header(&bytes)).ok_or(WinsockError::WSAEFAULT)?;
            let data = match (walk.pass(header), self.profile.send_control_malformed) {
                (Ok(data), _) => data,
                (Err(_), Usage::Ignored) => break,
                (Err(_), Usage::Invalid) => return Err(WinsockError::WSAEINVAL),
            };
            let levels: &[i32] = match (socket.kind.family, socket.kind.is_dual()) {
                (crate::address::Family::Ipv4, _) => &[IPPROTO_IP],
                (_, true) => &[IPPROTO_IP, IPPROTO_IPV6],
                (_, false) => &[IPPROTO_IPV6],
            };
            if header.kind == IP_WFP_REDIRECT_RECORDS && levels.contains(&header.level) {
                let length = u32::try_from(data.end - data.start).unwrap_or(u32::MAX);
                let blob = Buffer { pointer: control.pointer.offset(data.start), length };
                found = self.records_given(pid, process.elevated, blob)?;
            }
        }
        Ok(found)
    }

    /// The records in one control message, by the rules of SET.
    fn records_given(
        &self,
        pid: Pid,
        elevated: bool,
        blob: Buffer,
    ) -> Result<Option<Arc<Records>>, WinsockError> {
        let profile = &*self.profile;
        if profile.set_needs_elevation == Elevation::Needed && !elevated {
            return Err(WinsockError::WSAEACCES);
        }
        let records = ioctl::records_at(&self.memory, pid, blob.pointer, blob.length, profile, &self.flows);
        match (&records, profile.set_malformed) {
            (None, Malformed::Invalid) => Err(WinsockError::WSAEINVAL),
            (None, Malformed::Fault) => Err(WinsockError::WSAEFAULT),
            (Some(records), _)
                if profile.set_stale_records == Usage::Invalid && ioctl::is_stale(records, &self.flows) =>
            {
                Err(WinsockError::WSAEINVAL)
            }
            _ => Ok(records),
        }
    }
}
