//! What a callout or a filter did, for the trace.

use std::fmt;
use std::net::SocketAddr;

use super::classify::Version;
use super::{ClassifyOut, Verdict};

/// What a callout, or a filter by itself, did with what was classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It permitted; lower sublayers may block.
    Permit,
    /// It permitted, and took the right to write away.
    HardPermit,
    /// It permitted because a callout before it redirected in the same classify.
    PermitEarlierRedirect,
    /// It permitted because it had been asked before.
    PermitReauthorize,
    /// It left the decision to the next filter.
    Continue,
    /// It blocked; lower sublayers may permit.
    Block,
    /// It blocked, and took the right to write away.
    HardBlock,
    /// It blocked without the right to write.
    Veto,
    /// It left everything as it was, having no right to write.
    NoRight,
    /// It left everything as it was because it *had* the right to write.
    RightMisread,
    /// It permitted without the right to write.
    PermitWithoutRight,
    /// It permitted, and will block at AUTH_CONNECT.
    BlockLater,
    /// It blocks what it decided to block at CONNECT_REDIRECT.
    BlockRemembered,
    /// It redirected to this address.
    Redirect(SocketAddr),
    /// It gave the socket or the connection this local address.
    Rebind(SocketAddr),
    /// It would redirect, and has no target in this family.
    NoTarget,
    /// It acquired the layer data and did not apply it.
    NotApplied,
    /// It pended the request.
    Pend,
    /// It blocked because it had redirected too often.
    TooMany,
    /// A copy of the packet goes on in its place.
    CloneAndReinject,
}

impl Action {
    /// What follows from what it wrote and changed.
    pub(super) fn of(
        out: ClassifyOut,
        right: bool,
        changed: Option<&Version>,
        pended: bool,
        cloned: bool,
    ) -> Self {
        if pended {
            return Self::Pend;
        }
        if cloned {
            return Self::CloneAndReinject;
        }
        if let Some(version) = changed {
            return match version.data.remote {
                Some(remote) if version.redirects => Self::Redirect(remote),
                _ => Self::Rebind(version.data.local),
            };
        }
        match (out.action, right, out.write) {
            (None, ..) => Self::Continue,
            (Some(Verdict::Block), false, _) => Self::Veto,
            (Some(Verdict::Permit), false, _) => Self::PermitWithoutRight,
            (Some(Verdict::Permit), true, true) => Self::Permit,
            (Some(Verdict::Permit), true, false) => Self::HardPermit,
            (Some(Verdict::Block), true, true) => Self::Block,
            (Some(Verdict::Block), true, false) => Self::HardBlock,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit => f.write_str("permits"),
            Self::HardPermit => f.write_str("permits, and lets nobody override it"),
            Self::PermitEarlierRedirect => f.write_str("permits, as another redirected already"),
            Self::PermitReauthorize => f.write_str("permits, as it was asked before"),
            Self::Continue => f.write_str("leaves it to the next filter"),
            Self::Block => f.write_str("blocks"),
            Self::HardBlock => f.write_str("blocks, and lets nobody override it"),
            Self::Veto => f.write_str("blocks without the right to write: a veto"),
            Self::NoRight => f.write_str("does nothing, having no right to write"),
            Self::RightMisread => f.write_str("does nothing, taking the right to write for its absence"),
            Self::PermitWithoutRight => f.write_str("permits without the right to write"),
            Self::BlockLater => f.write_str("permits, to block at ALE_AUTH_CONNECT"),
            Self::BlockRemembered => f.write_str("blocks, as it decided at ALE_CONNECT_REDIRECT"),
            Self::Redirect(target) => write!(f, "redirects to {target}"),
            Self::Rebind(local) => write!(f, "changes the local address to {local}"),
            Self::NoTarget => f.write_str("permits, having no target of this family"),
            Self::NotApplied => f.write_str("acquires the layer data, and does not apply it"),
            Self::Pend => f.write_str("pends"),
            Self::TooMany => f.write_str("blocks, having redirected too often"),
            Self::CloneAndReinject => f.write_str("lets a copy of the packet go on instead"),
        }
    }
}
