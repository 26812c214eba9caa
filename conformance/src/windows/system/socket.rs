//! The plain calls of Winsock.

use std::net::SocketAddr;
use std::ptr;

use wfp_sim::WinsockError;
use wfp_sim::address::{from_sockaddr_storage, to_sockaddr_storage};
use windows_sys::Win32::Networking::WinSock::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, FIONBIO, INVALID_SOCKET, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP,
    IPV6_V6ONLY, SD_BOTH, SD_RECEIVE, SD_SEND, SO_UPDATE_ACCEPT_CONTEXT, SO_UPDATE_CONNECT_CONTEXT,
    SOCK_DGRAM, SOCK_STREAM, SOCKADDR, SOCKADDR_STORAGE, SOCKET, SOL_SOCKET, WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED, WSADuplicateSocketW, WSAPROTOCOL_INFOW, WSASocketW, accept, bind, closesocket,
    connect, getpeername, getsockname, getsockopt, ioctlsocket, listen, recv, recvfrom, send, sendto,
    setsockopt, shutdown,
};

use super::{Memory, check, last_error};
use crate::vocabulary::{ShutdownHow, SocketFamily};

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::windows) struct Socket(pub(super) SOCKET);

/// What a socket is made as.
#[derive(Clone, Copy, Debug)]
pub(in crate::windows) struct Kind {
    pub(in crate::windows) family: SocketFamily,
    pub(in crate::windows) is_udp: bool,
    pub(in crate::windows) overlapped: bool,
    pub(in crate::windows) nonblocking: bool,
}

/// An address as calls take it.
pub(super) struct Sockaddr {
    pub(super) bytes: SOCKADDR_STORAGE,
    pub(super) length: i32,
}

const STORAGE: usize = size_of::<SOCKADDR_STORAGE>();

impl Sockaddr {
    pub(super) fn of(address: &SocketAddr) -> Self {
        let length = if address.is_ipv4() { 16 } else { 28 };
        // SAFETY: both are 128 bytes, and every byte is valid in a SOCKADDR_STORAGE.
        let bytes =
            unsafe { std::mem::transmute::<[u8; STORAGE], SOCKADDR_STORAGE>(to_sockaddr_storage(address)) };
        Self { bytes, length }
    }

    /// Room for one.
    pub(super) fn room() -> Self {
        Self { bytes: SOCKADDR_STORAGE::default(), length: 128 }
    }

    pub(super) fn pointer(&mut self) -> *mut SOCKADDR {
        (&raw mut self.bytes).cast()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        // SAFETY: both are 128 bytes, and a SOCKADDR_STORAGE has no padding.
        let bytes = unsafe { std::mem::transmute::<SOCKADDR_STORAGE, [u8; STORAGE]>(self.bytes) };
        from_sockaddr_storage(&bytes)
    }
}

/// Buffers of plain calls are as long as they say, and Winsock counts them in an `int`.
fn int(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

impl Socket {
    /// A descriptor that is none of this process: no handle is so large.
    pub(in crate::windows) const FOREIGN: Self = Self(0x7FFF_FFF0);

    pub(in crate::windows) fn new(kind: Kind) -> Result<Self, WinsockError> {
        let Kind { family, is_udp, overlapped, nonblocking } = kind;
        let (of_type, protocol) = if is_udp { (SOCK_DGRAM, IPPROTO_UDP) } else { (SOCK_STREAM, IPPROTO_TCP) };
        let flags = WSA_FLAG_NO_HANDLE_INHERIT | if overlapped { WSA_FLAG_OVERLAPPED } else { 0 };
        let family_number = i32::from(number_of(family));
        // SAFETY: there is no protocol information to be read.
        let socket = unsafe { WSASocketW(family_number, of_type, protocol, ptr::null(), 0, flags) };
        let socket = Self::made(socket)?;
        if family == SocketFamily::Dual {
            socket.set_option(IPPROTO_IPV6, IPV6_V6ONLY, 0)?;
        }
        if nonblocking {
            let mut on = 1;
            // SAFETY: the word is there for the length of the call.
            check(unsafe { ioctlsocket(socket.0, FIONBIO, &raw mut on) })?;
        }
        Ok(socket)
    }

    fn made(socket: SOCKET) -> Result<Self, WinsockError> {
        if socket == INVALID_SOCKET { Err(last_error()) } else { Ok(Self(socket)) }
    }

    pub(in crate::windows) fn bind(self, to: &SocketAddr) -> Result<(), WinsockError> {
        let mut to = Sockaddr::of(to);
        // SAFETY: the address is there for the length of the call.
        check(unsafe { bind(self.0, to.pointer(), to.length) })
    }

    pub(in crate::windows) fn listen(self, backlog: u32) -> Result<(), WinsockError> {
        // SAFETY: there are no pointers.
        check(unsafe { listen(self.0, i32::try_from(backlog).unwrap_or(i32::MAX)) })
    }

    /// Waits for a connection on a blocking socket.
    pub(in crate::windows) fn accept(self) -> Result<Self, WinsockError> {
        // SAFETY: nobody wants the address.
        Self::made(unsafe { accept(self.0, ptr::null_mut(), ptr::null_mut()) })
    }

    pub(in crate::windows) fn connect(self, to: &SocketAddr) -> Result<(), WinsockError> {
        let mut to = Sockaddr::of(to);
        // SAFETY: the address is there for the length of the call.
        check(unsafe { connect(self.0, to.pointer(), to.length) })
    }

    pub(in crate::windows) fn send(self, data: &[u8]) -> Result<(), WinsockError> {
        // SAFETY: the data is there for the length of the call.
        let sent = unsafe { send(self.0, data.as_ptr(), int(data.len()), 0) };
        if sent < 0 { Err(last_error()) } else { Ok(()) }
    }

    pub(in crate::windows) fn receive(self, length: u32) -> Result<Vec<u8>, WinsockError> {
        let mut data = vec![0; length as usize];
        // SAFETY: the buffer is there for the length of the call.
        let received = unsafe { recv(self.0, data.as_mut_ptr(), int(data.len()), 0) };
        let received = usize::try_from(received).map_err(|_| last_error())?;
        data.truncate(received);
        Ok(data)
    }

    /// To the address of `connect` without one.
    pub(in crate::windows) fn send_to(
        self,
        to: Option<&SocketAddr>,
        data: &[u8],
    ) -> Result<(), WinsockError> {
        let mut to = to.map(Sockaddr::of);
        let (pointer, length) = to.as_mut().map_or((ptr::null_mut(), 0), |to| (to.pointer(), to.length));
        // SAFETY: data and address are there for the length of the call.
        let sent = unsafe { sendto(self.0, data.as_ptr(), int(data.len()), 0, pointer, length) };
        if sent < 0 { Err(last_error()) } else { Ok(()) }
    }

    /// What came, and its source. Of a datagram that does not fit both are there, too.
    pub(in crate::windows) fn receive_from(
        self,
        length: u32,
    ) -> (Result<(), WinsockError>, Vec<u8>, Option<SocketAddr>) {
        let mut data = vec![0; length as usize];
        let mut from = Sockaddr::room();
        let (pointer, from_length) = (from.pointer(), &raw mut from.length);
        // SAFETY: buffer and address are there for the length of the call.
        let received =
            unsafe { recvfrom(self.0, data.as_mut_ptr(), int(data.len()), 0, pointer, from_length) };
        match usize::try_from(received) {
            Ok(received) => {
                data.truncate(received);
                (Ok(()), data, from.address())
            }
            Err(_) => (Err(last_error()), data, from.address()),
        }
    }

    pub(in crate::windows) fn set_option(
        self,
        level: i32,
        option: i32,
        value: u32,
    ) -> Result<(), WinsockError> {
        self.set_option_bytes(level, option, &value.to_ne_bytes())
    }

    fn set_option_bytes(self, level: i32, option: i32, value: &[u8]) -> Result<(), WinsockError> {
        // SAFETY: the value is there for the length of the call.
        check(unsafe { setsockopt(self.0, level, option, value.as_ptr(), int(value.len())) })
    }

    pub(in crate::windows) fn update_accept_context(self, listening: Self) -> Result<(), WinsockError> {
        self.set_option_bytes(SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, &listening.0.to_ne_bytes())
    }

    pub(in crate::windows) fn update_connect_context(self) -> Result<(), WinsockError> {
        // SAFETY: this option has no value.
        check(unsafe { setsockopt(self.0, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, ptr::null(), 0) })
    }

    /// An option into a buffer that is said to have `length` bytes; gives the bytes that were stored.
    pub(in crate::windows) fn option(
        self,
        level: i32,
        option: i32,
        value: &Memory,
        length: u32,
    ) -> Result<u32, WinsockError> {
        let mut length = i32::try_from(length).unwrap_or(i32::MAX);
        // SAFETY: the value is memory with a guard behind it, the length is there for the length of the call.
        check(unsafe { getsockopt(self.0, level, option, value.pointer(), &raw mut length) })?;
        Ok(u32::try_from(length).unwrap_or(0))
    }

    pub(in crate::windows) fn shutdown(self, how: ShutdownHow) -> Result<(), WinsockError> {
        let how = match how {
            ShutdownHow::Receive => SD_RECEIVE,
            ShutdownHow::Send => SD_SEND,
            ShutdownHow::Both => SD_BOTH,
        };
        // SAFETY: there are no pointers.
        check(unsafe { shutdown(self.0, how) })
    }

    pub(in crate::windows) fn close(self) -> Result<(), WinsockError> {
        // SAFETY: there are no pointers; a descriptor that is closed already is refused.
        check(unsafe { closesocket(self.0) })
    }

    pub(in crate::windows) fn local_name(self) -> Result<Option<SocketAddr>, WinsockError> {
        let mut name = Sockaddr::room();
        let (pointer, length) = (name.pointer(), &raw mut name.length);
        // SAFETY: the address is there for the length of the call.
        check(unsafe { getsockname(self.0, pointer, length) })?;
        Ok(name.address())
    }

    pub(in crate::windows) fn peer_name(self) -> Result<Option<SocketAddr>, WinsockError> {
        let mut name = Sockaddr::room();
        let (pointer, length) = (name.pointer(), &raw mut name.length);
        // SAFETY: the address is there for the length of the call.
        check(unsafe { getpeername(self.0, pointer, length) })?;
        Ok(name.address())
    }

    /// What another process makes a descriptor of this socket from.
    pub(in crate::windows) fn duplicate(self, pid: u32) -> Result<Vec<u8>, WinsockError> {
        let info = Memory::of(&[0; size_of::<WSAPROTOCOL_INFOW>()]).ok_or(WinsockError::WSAENOBUFS)?;
        // SAFETY: the memory is as large as the structure.
        check(unsafe { WSADuplicateSocketW(self.0, pid, info.pointer()) })?;
        Ok(info.read(0, size_of::<WSAPROTOCOL_INFOW>()))
    }

    /// The descriptor that another process duplicated for this one.
    pub(in crate::windows) fn adopt(info: &[u8]) -> Result<Self, WinsockError> {
        let mut whole = info.to_vec();
        whole.resize(size_of::<WSAPROTOCOL_INFOW>(), 0);
        let info = Memory::of(&whole).ok_or(WinsockError::WSAENOBUFS)?;
        let pointer: *const WSAPROTOCOL_INFOW = info.pointer();
        // SAFETY: the memory is as large as the structure. -1 is FROM_PROTOCOL_INFO.
        Self::made(unsafe { WSASocketW(-1, -1, -1, pointer, 0, WSA_FLAG_OVERLAPPED) })
    }
}

fn number_of(family: SocketFamily) -> ADDRESS_FAMILY {
    match family {
        SocketFamily::Ipv4 => AF_INET,
        SocketFamily::Ipv6 | SocketFamily::Dual => AF_INET6,
    }
}
