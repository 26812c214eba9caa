//! What the engine makes of a connect request: which redirect counts, and whether it is accepted.
//!
//! Source: ddi "FWPS_CONNECT_REQUEST0"; docs/behaviour.md, "Connect request" and "Chains".

use std::net::SocketAddr;

use crate::engine::{ConnectRequest, Version};
use crate::error::WinsockError;
use crate::ids::{HostId, Pid, SocketHandle, SocketId};
use crate::profile::{
    HandleRequired, RedirectLayerBlock, RemoteAfterLocal, SameClassify, TargetPid, Unaccepted,
};
use crate::trace::{Redirection, Refusal};
use crate::world::World;

/// Where a connect goes.
pub(super) struct Routed {
    pub(super) target: SocketAddr,
    pub(super) redirect: Option<Redirection>,
    /// The versions whose redirects leave an entry in the records; or the error that the connect ends with.
    pub(super) recorded: Result<Vec<Version>, WinsockError>,
}

impl World {
    /// Decides which redirect counts, and whether the engine accepts it.
    pub(super) fn route(&self, host: HostId, request: ConnectRequest) -> Routed {
        let ConnectRequest { original, mut versions, blocked } = request;
        let nowhere = |error, redirect| Routed { target: original, redirect, recorded: Err(error) };
        if blocked && self.profile.block_at_redirect_layer == RedirectLayerBlock::Denied {
            return nowhere(WinsockError::WSAEACCES, None);
        }
        self.settle_remote_after_local(host, &mut versions);
        let Some(last) = versions.last() else {
            return Routed { target: original, redirect: None, recorded: Ok(Vec::new()) };
        };
        if let Some(refusal) = self.refusal(last, host) {
            let redirect = Some(Redirection::NotAccepted(refusal));
            return match self.profile.unaccepted_local_redirect {
                Unaccepted::OriginalDestination => {
                    Routed { target: original, redirect, recorded: Ok(Vec::new()) }
                }
                Unaccepted::Refused => nowhere(WinsockError::WSAECONNREFUSED, redirect),
            };
        }
        let target = last.remote;
        let redirect = match last.handle {
            Some(handle) if self.is_own(host, target) => Redirection::Local(handle),
            _ => Redirection::Remote,
        };
        if redirect == Redirection::Remote {
            versions.clear();
        } else if self.profile.same_classify_redirects == SameClassify::Last {
            versions.drain(..versions.len() - 1);
        } else {
            versions
                .retain(|version| self.is_own(host, version.remote) && self.refusal(version, host).is_none());
        }
        Routed { target, redirect: Some(redirect), recorded: Ok(versions) }
    }

    /// A remote redirect behind a local one: the profile says which of them stands.
    fn settle_remote_after_local(&self, host: HostId, versions: &mut Vec<Version>) {
        if self.profile.remote_after_local_redirect == RemoteAfterLocal::LocalWins
            && let Some(local) = versions
                .iter()
                .rposition(|version| version.handle.is_some() && self.is_own(host, version.remote))
        {
            versions.truncate(local + 1);
        }
    }

    fn is_own(&self, host: HostId, address: SocketAddr) -> bool {
        self.host_with(host, address.ip()) == Some(host)
    }

    /// Why the engine does not accept this redirect, if it does not.
    fn refusal(&self, version: &Version, host: HostId) -> Option<Refusal> {
        let profile = &self.profile;
        let local = self.is_own(host, version.remote);
        if version.context.as_ref().is_some_and(|context| context.len() > profile.context_limit as usize) {
            return Some(Refusal::ContextTooLarge);
        }
        match version.handle {
            Some(handle) if !self.engine.handles.contains_key(&handle) => {
                return Some(Refusal::UnknownHandle);
            }
            None if local || profile.handle_required == HandleRequired::Always => {
                return Some(Refusal::NoHandle);
            }
            _ => {}
        }
        if !local {
            return None;
        }
        if version.target_pid == 0 {
            return Some(Refusal::NoTargetPid);
        }
        let must_listen = profile.target_pid == TargetPid::MustListen;
        (must_listen && !self.listens(Pid(version.target_pid), host, version.remote))
            .then_some(Refusal::WrongTargetPid)
    }

    fn listens(&self, pid: Pid, host: HostId, target: SocketAddr) -> bool {
        let mut owned = self.descriptors.range((pid, SocketHandle(0))..=(pid, SocketHandle(u64::MAX)));
        self.listener(host, target).is_some_and(|listener: SocketId| owned.any(|(_, id)| *id == listener))
    }
}
