//! What a callout remembers from CONNECT_REDIRECT to AUTH_CONNECT: the connects that it is to block there, as bytes of
//! its state. A driver keys them by what both layers show (ebpf-for-windows `netebpfext/net_ebpf_ext_sock_addr.c`).

use std::net::SocketAddr;

use super::Incoming;
use crate::address;

/// Process, protocol, port and address of one connect.
const SIZE: usize = 4 + 1 + 2 + 16;

/// The key of a connect: by the destination that the program asked for.
fn key(seen: &Incoming<'_>) -> Option<[u8; SIZE]> {
    let destination = address::unmapped(seen.original_destination.or(seen.remote)?);
    let ip = match destination {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped(),
        SocketAddr::V6(v6) => *v6.ip(),
    };
    let mut key = [0; SIZE];
    key[..4].copy_from_slice(&seen.process_id.0.to_le_bytes());
    key[4] = seen.protocol;
    key[5..7].copy_from_slice(&destination.port().to_le_bytes());
    key[7..].copy_from_slice(&ip.octets());
    Some(key)
}

pub(super) fn contains(state: &[u8], seen: &Incoming<'_>) -> bool {
    !state.is_empty() && key(seen).is_some_and(|key| state.chunks_exact(SIZE).any(|known| known == key))
}

pub(super) fn without(state: &[u8], seen: &Incoming<'_>) -> Vec<u8> {
    let Some(key) = key(seen).filter(|_| !state.is_empty()) else { return state.to_vec() };
    state.chunks_exact(SIZE).filter(|known| **known != key).flatten().copied().collect()
}

pub(super) fn with(state: &[u8], seen: &Incoming<'_>) -> Vec<u8> {
    let mut state = without(state, seen);
    state.extend(key(seen).into_iter().flatten());
    state
}
