//! `WSASendMsg` and `WSARecvMsg`.

use std::net::SocketAddr;
use std::ptr;

use wfp_sim::WinsockError;
use windows_sys::Win32::Networking::WinSock::{
    LPFN_WSARECVMSG, WSABUF, WSAID_WSARECVMSG, WSAMSG, WSASendMsg,
};

use super::extensions::function;
use super::socket::Sockaddr;
use super::{Memory, Socket, check};

/// What a `WSAMSG` says of its buffers.
#[derive(Debug)]
pub(in crate::windows) struct Message {
    pub(in crate::windows) data: Memory,
    pub(in crate::windows) data_length: u32,
    pub(in crate::windows) control: Memory,
    pub(in crate::windows) control_length: u32,
    pub(in crate::windows) flags: u32,
}

/// What `WSARecvMsg` left behind.
#[derive(Debug)]
pub(in crate::windows) struct Received {
    pub(in crate::windows) result: Result<(), WinsockError>,
    pub(in crate::windows) bytes: u32,
    pub(in crate::windows) from: Option<SocketAddr>,
    pub(in crate::windows) control_length: u32,
    pub(in crate::windows) flags: u32,
}

/// Sends to an address, or to that of `connect`.
pub(in crate::windows) fn send_message(
    socket: Socket,
    to: Option<&SocketAddr>,
    message: &Message,
    flags: u32,
) -> Result<(), WinsockError> {
    let mut to = to.map(Sockaddr::of);
    let (name, namelen) = to.as_mut().map_or((ptr::null_mut(), 0), |to| (to.pointer(), to.length));
    let mut data = WSABUF { len: message.data_length, buf: message.data.pointer() };
    let given = WSAMSG {
        name,
        namelen,
        lpBuffers: &raw mut data,
        dwBufferCount: 1,
        Control: WSABUF { len: message.control_length, buf: message.control.pointer() },
        dwFlags: message.flags,
    };
    let mut sent = 0;
    // SAFETY: what is pointed to is there for the length of the call; buffers are `Memory`.
    check(unsafe { WSASendMsg(socket.0, &raw const given, flags, &raw mut sent, ptr::null_mut(), None) })
}

/// Waits for a datagram, where none is there on a blocking socket.
pub(in crate::windows) fn receive_message(
    socket: Socket,
    message: &Message,
) -> Result<Received, WinsockError> {
    let address = function(socket, &WSAID_WSARECVMSG)?;
    // SAFETY: the provider says that this is the address of WSARecvMsg, and NULL is None.
    let receive = unsafe { std::mem::transmute::<usize, LPFN_WSARECVMSG>(address) };
    let receive = receive.ok_or(WinsockError::WSAEOPNOTSUPP)?;
    let mut from = Sockaddr::room();
    let mut data = WSABUF { len: message.data_length, buf: message.data.pointer() };
    let mut given = WSAMSG {
        name: from.pointer(),
        namelen: from.length,
        lpBuffers: &raw mut data,
        dwBufferCount: 1,
        Control: WSABUF { len: message.control_length, buf: message.control.pointer() },
        dwFlags: message.flags,
    };
    let mut bytes = 0;
    // SAFETY: what is pointed to is there for the length of the call; buffers are `Memory`.
    let result = check(unsafe { receive(socket.0, &raw mut given, &raw mut bytes, ptr::null_mut(), None) });
    let (control_length, flags) = (given.Control.len, given.dwFlags);
    Ok(Received { result, bytes, from: from.address(), control_length, flags })
}
