//! What a classify shows: the fixed values and the metadata that bear on redirection.
//!
//! Source: driver-docs "Data Field Identifiers", "Metadata Fields at Each Filtering Layer"; docs/behaviour.md, "Flags
//! and metadata".

use std::net::SocketAddr;

use super::{Flags, Layer};
use crate::ids::Pid;
use crate::records::Records;

/// `FWPS_INCOMING_VALUES0` and `FWPS_INCOMING_METADATA_VALUES0` of one classify. What a layer does not have, and what
/// is not known there, is `None`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Incoming<'a> {
    /// Where it is classified.
    pub layer: Layer,
    /// `FWPS_METADATA_FIELD_PROCESS_ID`.
    pub process_id: Pid,
    /// `ALE_APP_ID`: the image path of the process.
    pub app_id: &'a str,
    /// `ALE_ORIGINAL_APP_ID`: that of the first application of a proxied connection; else as `app_id`.
    pub original_app_id: &'a str,
    /// `IP_PROTOCOL`.
    pub protocol: u8,
    /// `IP_LOCAL_ADDRESS` and `IP_LOCAL_PORT`; unspecified and 0 where they are not chosen yet.
    pub local: SocketAddr,
    /// `IP_REMOTE_ADDRESS` and `IP_REMOTE_PORT`; not at the bind layers.
    pub remote: Option<SocketAddr>,
    /// `FLAGS`.
    pub flags: Flags,
    /// `FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE`: at CONNECT_REDIRECT and AUTH_CONNECT, where records were set on
    /// the socket.
    pub records: Option<&'a Records>,
    /// `FWPS_METADATA_FIELD_ORIGINAL_DESTINATION`: at AUTH_CONNECT, of a redirected connection.
    pub original_destination: Option<SocketAddr>,
    /// `FWPS_METADATA_FIELD_LOCAL_REDIRECT_TARGET_PID`: at AUTH_CONNECT, of a connection that was redirected to this host.
    pub local_redirect_target_pid: Option<u32>,
}
