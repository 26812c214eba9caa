//! AcceptEx, ConnectEx, and the functions that Winsock has by identifier alone.

use std::net::SocketAddr;
use std::ptr;

use wfp_sim::WinsockError;
use windows_sys::Win32::Networking::WinSock::{
    LPFN_ACCEPTEX, LPFN_CONNECTEX, SIO_GET_EXTENSION_FUNCTION_POINTER, SOCKADDR_STORAGE, WSAID_ACCEPTEX,
    WSAID_CONNECTEX, WSAIoctl,
};
use windows_sys::core::GUID;

use super::operations::{Event, OverlappedMemory};
use super::socket::Sockaddr;
use super::{Memory, Socket, check, check_bool};
use crate::vocabulary::PointerKind;

/// The address of a function of the provider of a socket.
pub(super) fn function(socket: Socket, id: &GUID) -> Result<usize, WinsockError> {
    let (mut address, mut bytes) = (0_usize, 0);
    let (to, word) = ((&raw mut address).cast(), &raw mut bytes);
    let (id_length, to_length) = (word_of(size_of::<GUID>()), word_of(size_of::<usize>()));
    let code = SIO_GET_EXTENSION_FUNCTION_POINTER;
    let id = ptr::from_ref(id).cast();
    // SAFETY: identifier, pointer and word are there for the length of the call.
    check(unsafe { WSAIoctl(socket.0, code, id, id_length, to, to_length, word, ptr::null_mut(), None) })?;
    Ok(address)
}

fn word_of(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Bytes that AcceptEx stores each of two addresses in, at least.
const ADDRESS: usize = size_of::<SOCKADDR_STORAGE>() + 16;

/// AcceptEx without a first block of data; waits until it has ended.
pub(in crate::windows) fn accept_ex(listening: Socket, into: Socket) -> Result<(), WinsockError> {
    let address = function(listening, &WSAID_ACCEPTEX)?;
    // SAFETY: the provider says that this is the address of AcceptEx, and NULL is None.
    let accept_ex = unsafe { std::mem::transmute::<usize, LPFN_ACCEPTEX>(address) };
    let accept_ex = accept_ex.ok_or(WinsockError::WSAEOPNOTSUPP)?;
    let addresses = Memory::of(&[0; 2 * ADDRESS]).ok_or(WinsockError::WSAENOBUFS)?;
    let overlapped = overlapped()?;
    let mut received = 0;
    let (to, word, length) = (addresses.pointer(), &raw mut received, word_of(ADDRESS));
    // SAFETY: buffer and structure are kept until the operation has ended.
    let begun = unsafe { accept_ex(listening.0, into.0, to, 0, length, length, word, overlapped.pointer()) };
    ended(listening, &overlapped, check_bool(begun))
}

/// ConnectEx; waits until it has ended.
pub(in crate::windows) fn connect_ex(socket: Socket, to: &SocketAddr) -> Result<(), WinsockError> {
    let address = function(socket, &WSAID_CONNECTEX)?;
    // SAFETY: the provider says that this is the address of ConnectEx, and NULL is None.
    let connect_ex = unsafe { std::mem::transmute::<usize, LPFN_CONNECTEX>(address) };
    let connect_ex = connect_ex.ok_or(WinsockError::WSAEOPNOTSUPP)?;
    let mut to = Sockaddr::of(to);
    let overlapped = overlapped()?;
    let mut sent = 0;
    let (name, length, word) = (to.pointer(), to.length, &raw mut sent);
    // SAFETY: address and structure are kept until the operation has ended.
    let begun = unsafe { connect_ex(socket.0, name, length, ptr::null(), 0, word, overlapped.pointer()) };
    ended(socket, &overlapped, check_bool(begun))
}

fn overlapped() -> Result<OverlappedMemory, WinsockError> {
    OverlappedMemory::new(PointerKind::Valid, Some(Event::new()?)).ok_or(WinsockError::WSAENOBUFS)
}

/// What comes of an operation in the end.
fn ended(
    socket: Socket,
    overlapped: &OverlappedMemory,
    begun: Result<(), WinsockError>,
) -> Result<(), WinsockError> {
    match begun {
        Ok(()) => Ok(()),
        Err(WinsockError::WSA_IO_PENDING) => overlapped.result(socket, true).map(|_| ()),
        Err(error) => Err(error),
    }
}
