//! Where a call is to lead: endpoints, and addresses that earlier calls told.

use std::net::SocketAddr;

use wfp_sim::WinsockError;
use wfp_sim::address::{Family, from_sockaddr_storage, written_in};

use crate::vocabulary::{BackendFault, Dial, Endpoint, Name, SocketFamily};

/// Where a call is to lead, for a backend that knows what its names stand for.
pub(crate) trait Dialling {
    /// The address of an endpoint in a family; [`SocketFamily::Dual`] stands for v4-mapped.
    fn resolved(&self, endpoint: &Endpoint, family: SocketFamily) -> Result<SocketAddr, BackendFault>;

    /// The same machine's address, written in a family.
    fn rewritten(&self, address: SocketAddr, family: SocketFamily) -> SocketAddr;

    /// What an earlier query fetched.
    fn blob(&self, name: &Name) -> Option<&[u8]>;

    /// The source that an earlier datagram showed.
    fn source(&self, name: &Name) -> Option<SocketAddr>;

    /// The address that a call on a socket of the family `own` is to be given; `None` where a context holds none.
    fn dialled(
        &self,
        to: &Dial,
        own: SocketFamily,
        family: Option<SocketFamily>,
    ) -> Result<Option<SocketAddr>, BackendFault> {
        let missing = |what: String| BackendFault::Misuse(what);
        let address = match to {
            Dial::Endpoint(endpoint) => return self.resolved(endpoint, family.unwrap_or(own)).map(Some),
            Dial::Context(name) => {
                let blob =
                    self.blob(name).ok_or_else(|| missing(format!("no context `{name}` was fetched")))?;
                from_sockaddr_storage(blob)
            }
            Dial::Source(name) => {
                Some(self.source(name).ok_or_else(|| missing(format!("no datagram `{name}` came")))?)
            }
        };
        Ok(address.map(|address| match family {
            Some(family) => self.rewritten(address, family),
            None if own == SocketFamily::Dual => written_in(Family::Ipv6, address),
            None => address,
        }))
    }

    /// Where a datagram is to go; `None` is the default destination. The inner error is that of a context that holds no
    /// address.
    fn sent_to(
        &self,
        to: Option<&Dial>,
        own: SocketFamily,
        family: Option<SocketFamily>,
    ) -> Result<Result<Option<SocketAddr>, WinsockError>, BackendFault> {
        let Some(to) = to else { return Ok(Ok(None)) };
        Ok(self.dialled(to, own, family)?.map(Some).ok_or(WinsockError::WSAEAFNOSUPPORT))
    }
}
