//! Who listens, and taking in what arrives.

use std::sync::Arc;

use wfp_sim::WinsockError;

use super::datagrams::post_receive;
use super::{Follower, Result, Service, Transport, apply};
use crate::vocabulary::{
    Backend, BackendFault, Call, Endpoint, Name, Observation, Op, Outcome, Place, SocketFamily,
    SocketProtocol,
};

/// Milliseconds that a connection has to reach its acceptor. On the model they pass at once.
const ACCEPT_LIMIT: u32 = 2000;

/// A socket that connections can arrive at.
pub(super) struct Listener {
    pub(super) process: Name,
    pub(super) socket: Name,
    /// The accept that waits on it.
    /// Over UDP: the receive.
    pub(super) accept: Name,
    pub(super) serves: Serves,
    pub(super) protocol: Transport,
    /// Over UDP, of a service: bytes of its control buffer.
    pub(super) control_buffer: Option<u32>,
}

#[derive(Clone)]
pub(super) enum Serves {
    Service(Name),
    Destination(Endpoint),
}

impl Follower {
    /// Starts a service: its process must run already.
    ///
    /// # Errors
    /// Where the backend breaks, or the service cannot listen.
    pub fn start_service(&mut self, backend: &mut dyn Backend, name: &Name, service: Service) -> Result<()> {
        let process = service.runs_in(name).clone();
        for family in service.families.of_sockets() {
            let serves = Serves::Service(Name::clone(name));
            let at = At { endpoint: &service.listen, family: *family, protocol: service.protocol };
            self.listen(backend, &process, at, serves, Some(&service))?;
        }
        self.services.insert(Name::clone(name), Arc::new(service));
        Ok(())
    }

    /// Starts a destination: a process that listens at an endpoint, in these families, and accepts whatever
    /// comes.
    ///
    /// # Errors
    /// Where the backend breaks, or the process cannot listen.
    pub fn start_destination(
        &mut self,
        backend: &mut dyn Backend,
        process: &Name,
        endpoint: &Endpoint,
        families: &[SocketFamily],
        protocol: Transport,
    ) -> Result<()> {
        let any = Endpoint { place: Place::Any, port: endpoint.port };
        for family in families {
            let at = At { endpoint: &any, family: *family, protocol };
            self.listen(backend, process, at, Serves::Destination(endpoint.clone()), None)?;
        }
        Ok(())
    }

    fn listen(
        &mut self,
        backend: &mut dyn Backend,
        process: &Name,
        at: At<'_>,
        serves: Serves,
        service: Option<&Service>,
    ) -> Result<()> {
        let At { endpoint: at, family, protocol } = at;
        let what = match &serves {
            Serves::Service(name) => name.to_string(),
            Serves::Destination(endpoint) => endpoint.to_string(),
        };
        let what = match protocol {
            Transport::Tcp => what,
            Transport::Udp => format!("{what}/udp"),
        };
        let socket: Name = format!("{what}/{family}").into();
        let accept: Name = format!("{what}/{family}/accept").into();
        let at = match family {
            SocketFamily::Dual => Endpoint { place: Place::Any, port: at.port },
            _ => at.clone(),
        };
        let (of_socket, listens) = match protocol {
            Transport::Tcp => {
                (SocketProtocol::Tcp, Some(Call::Listen { socket: Name::clone(&socket), backlog: 200 }))
            }
            Transport::Udp => (SocketProtocol::Udp, None),
        };
        let calls = [
            Call::socket_of(family, of_socket),
            Call::Bind { socket: Name::clone(&socket), to: at.clone(), mapped: false },
        ];
        let op =
            |call| Op { process: Name::clone(process), thread: 0, name: Some(Name::clone(&socket)), call };
        let ops: Vec<Op> = calls.into_iter().chain(listens).map(op).collect();
        for observation in backend.apply_all(&ops)? {
            if let Some(error) = observation.supported()?.error() {
                return Err(BackendFault::Misuse(format!("{what} cannot listen at {at}: {error}")));
            }
        }
        let mut control_buffer = None;
        if let Some(service) = service.filter(|_| protocol == Transport::Udp) {
            service.switch_on(backend, process, &socket, family)?;
            control_buffer = Some(service.control_buffer);
        }
        let process = Name::clone(process);
        let listener = Listener { process, socket, accept, serves, protocol, control_buffer };
        post(backend, &listener)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Waits until one of the listeners has a connection, and lets it wait for the next one.
    pub(super) fn next_accept(
        &mut self,
        backend: &mut dyn Backend,
        opened: &[(Name, Name)],
    ) -> Result<Option<(usize, Name, Observation)>> {
        let calls: Vec<Name> = self.listeners.iter().map(|listener| Name::clone(&listener.accept)).collect();
        let process = self.listeners.first().map(|listener| Name::clone(&listener.process));
        let Some(process) = process else { return Ok(None) };
        let observation = apply(backend, &process, None, Call::Wait { calls, limit: ACCEPT_LIMIT })?;
        let Some((completed, result)) = observation.completed else { return Ok(None) };
        let Some(index) = self.listeners.iter().position(|listener| listener.accept == completed) else {
            return Err(BackendFault::Broken(format!("`{completed}` completed, which nobody waited for")));
        };
        // A datagram that was cut came all the same.
        if let Some(error) = result.error().filter(|_| result.flags.is_empty()) {
            return Err(BackendFault::Broken(format!("`{completed}` failed: {error}")));
        }
        let what = format!("{}/accept", self.listeners[index].socket);
        let mut next = self.fresh_name(&what);
        while next == completed || opened.iter().any(|(_, socket)| *socket == next) {
            next = self.fresh_name(&what);
        }
        let listener = &mut self.listeners[index];
        let accepted = std::mem::replace(&mut listener.accept, next);
        post(backend, listener)?;
        Ok(Some((index, accepted, *result)))
    }

    /// A connection that is followed no further was made all the same: nobody is to take it for the next one.
    pub(super) fn take_in(
        &mut self,
        backend: &mut dyn Backend,
        opened: &mut Vec<(Name, Name)>,
        error: Option<WinsockError>,
    ) -> Result<()> {
        if error.is_none()
            && let Some((listener, accepted, _)) = self.next_accept(backend, opened)?
            && self.listeners[listener].protocol == Transport::Tcp
        {
            opened.push((Name::clone(&self.listeners[listener].process), accepted));
        }
        Ok(())
    }
}

/// Where to listen.
#[derive(Clone, Copy)]
struct At<'a> {
    endpoint: &'a Endpoint,
    family: SocketFamily,
    protocol: Transport,
}

/// Waits for what arrives next.
fn post(backend: &mut dyn Backend, listener: &Listener) -> Result<()> {
    match listener.protocol {
        Transport::Tcp => post_accept(backend, listener),
        Transport::Udp => post_receive(backend, listener),
    }
}

fn post_accept(backend: &mut dyn Backend, listener: &Listener) -> Result<()> {
    let call = Call::Accept { socket: Name::clone(&listener.socket) };
    let observation = apply(backend, &listener.process, Some(&listener.accept), call)?;
    must_wait(observation.outcome, listener)
}

/// What arrives at a listener is taken in at once. Where something is there before it is waited for, a step sent it.
pub(super) fn must_wait(outcome: Outcome, listener: &Listener) -> Result<()> {
    let socket = &listener.socket;
    match (outcome, listener.protocol) {
        (Outcome::Pending, _) => Ok(()),
        (Outcome::Ok, Transport::Tcp) => Err(BackendFault::Misuse(format!(
            "a step made a connection to `{socket}`, where only what is followed is accepted"
        ))),
        (Outcome::Ok, Transport::Udp) => Err(BackendFault::Misuse(format!(
            "a step sent a datagram to `{socket}`, where only what is followed is received"
        ))),
        (other, _) => Err(BackendFault::Broken(format!("`{socket}` did not wait for what comes: {other:?}"))),
    }
}
