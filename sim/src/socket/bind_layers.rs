//! The classifies of a bind, explicit or implicit: BIND_REDIRECT and RESOURCE_ASSIGNMENT.
//!
//! A bind that a driver pends waits until its worker completes it, which the model lets happen before the call returns; one
//! whose classify never completes goes on too, as `bind` has nobody to wait.
//!
//! Source: win32 "TCP Packet Flows", "ALE Layers"; docs/behaviour.md, "Layers".

use std::net::{IpAddr, SocketAddr};

use super::layers::Traces;
use super::{PortSpace, Socket};
use crate::address::{self, Family};
use crate::engine::{Ended, Flags, LayerKind, Run, Verdict};
use crate::error::WinsockError;
use crate::ids::{Pid, SocketId};
use crate::profile::RedirectLayerBlock;
use crate::world::{LOCAL_HOST, World};

impl World {
    /// Where a bind to `wanted` leads, by the callouts at BIND_REDIRECT; an error where it is blocked.
    pub(crate) fn bind_classified(
        &mut self,
        pid: Pid,
        id: SocketId,
        wanted: SocketAddr,
        implicit: bool,
        traces: &mut Traces,
    ) -> Result<SocketAddr, WinsockError> {
        let family = Family::of(&wanted);
        let layers = [LayerKind::BindRedirect, LayerKind::ResourceAssignment].map(|kind| kind.of(family));
        if layers.iter().all(|layer| self.engine.asked_at(*layer).is_empty()) {
            return Ok(wanted);
        }
        let asking = self.asking(pid, id, wanted, None).ok_or(WinsockError::WSAENOTSOCK)?;
        let flags = |address: SocketAddr| {
            Flags::IMPLICIT_BIND.when(implicit)
                | Flags::WILDCARD_BIND.when(address.ip().to_canonical().is_unspecified())
        };
        let mut run = Run::default();
        let mut seen = asking.seen(layers[0], wanted, None);
        seen.flags = flags(wanted);
        match self.ask_redirect(&seen, &mut run, traces) {
            Ended::Decided(Some(Verdict::Block))
                if self.profile.block_at_redirect_layer == RedirectLayerBlock::Denied =>
            {
                return Err(WinsockError::WSAEACCES);
            }
            Ended::BugCheck(_) => return Err(WinsockError::WSAENETDOWN),
            Ended::Decided(_) | Ended::Pended(_) | Ended::Never => {}
        }
        let local = run.versions.last().map_or(wanted, |version| version.data.local);
        let mut seen = asking.seen(layers[1], local, None);
        seen.flags = flags(local);
        if self.is_blocked(&seen, traces) {
            return Err(WinsockError::WSAEACCES);
        }
        Ok(local)
    }

    /// The implicit bind of a socket that connects or sends without one. Where a callout gives it another address, it is
    /// bound from here on; else it stays as it is, and gets an address when it needs one.
    pub(crate) fn bind_implicitly(
        &mut self,
        pid: Pid,
        id: SocketId,
        traces: &mut Traces,
    ) -> Result<(), WinsockError> {
        let Some(Socket { host: LOCAL_HOST, local: None, kind, .. }) =
            self.sockets.get(&id).map(|socket| &**socket)
        else {
            return Ok(());
        };
        let any = SocketAddr::new(kind.family.unspecified(), 0);
        let local = self.bind_classified(pid, id, any, true, traces)?;
        if local.ip() == any.ip() { Ok(()) } else { self.move_socket(id, local.ip()) }
    }

    /// The socket has this local address from here on; its port stays, or is a free one.
    ///
    /// # Errors
    /// WSAEADDRNOTAVAIL for an address that is not this host's; WSAENOBUFS without a free port.
    pub(super) fn move_socket(&mut self, id: SocketId, ip: IpAddr) -> Result<(), WinsockError> {
        let socket = self.sockets.get(&id).ok_or(WinsockError::WSAENOTSOCK)?;
        let (host, kind, before) = (socket.host, socket.kind, socket.local);
        if !ip.to_canonical().is_unspecified() && self.host_with(host, ip) != Some(host) {
            return Err(WinsockError::WSAEADDRNOTAVAIL);
        }
        let space = PortSpace::new(host, kind.protocol);
        let port = match before {
            Some(bound) => bound.port(),
            None => self.free_port(space).ok_or(WinsockError::WSAENOBUFS)?,
        };
        if let Some(bound) = before {
            self.give_port_back(id, space, bound);
        }
        let local = SocketAddr::new(ip, port);
        self.take_port(id, space, local);
        if let Some(socket) = self.socket_mut(id) {
            socket.local = Some(address::written_in(kind.family, local));
        }
        Ok(())
    }
}
