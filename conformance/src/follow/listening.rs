//! Who listens, and taking in what arrives.

use std::sync::Arc;

use wfp_sim::WinsockError;

use super::{Follower, Result, Service, apply};
use crate::vocabulary::{Backend, BackendFault, Call, Endpoint, Name, Outcome, Place, SocketFamily};

/// Milliseconds that a connection has to reach its acceptor. On the model they pass at once.
const ACCEPT_LIMIT: u32 = 2000;

/// A socket that connections can arrive at.
pub(super) struct Listener {
    pub(super) process: Name,
    pub(super) socket: Name,
    /// The accept that waits on it.
    pub(super) accept: Name,
    pub(super) serves: Serves,
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
            self.listen(backend, &process, &service.listen, *family, serves)?;
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
    ) -> Result<()> {
        let at = Endpoint { place: Place::Any, port: endpoint.port };
        for family in families {
            self.listen(backend, process, &at, *family, Serves::Destination(endpoint.clone()))?;
        }
        Ok(())
    }

    fn listen(
        &mut self,
        backend: &mut dyn Backend,
        process: &Name,
        at: &Endpoint,
        family: SocketFamily,
        serves: Serves,
    ) -> Result<()> {
        let what = match &serves {
            Serves::Service(name) => name.to_string(),
            Serves::Destination(endpoint) => endpoint.to_string(),
        };
        let socket: Name = format!("{what}/{family}").into();
        let accept: Name = format!("{what}/{family}/accept").into();
        let at = match family {
            SocketFamily::Dual => Endpoint { place: Place::Any, port: at.port },
            _ => at.clone(),
        };
        let calls = [
            Call::socket(family),
            Call::Bind { socket: Name::clone(&socket), to: at.clone(), mapped: false },
            Call::Listen { socket: Name::clone(&socket), backlog: 200 },
        ];
        for call in calls {
            let observation = apply(backend, process, Some(&socket), call)?;
            if let Some(error) = observation.error() {
                return Err(BackendFault::Misuse(format!("{what} cannot listen at {at}: {error}")));
            }
        }
        let listener = Listener { process: Name::clone(process), socket, accept, serves };
        post_accept(backend, &listener)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Waits until one of the listeners has a connection, and lets it wait for the next one.
    pub(super) fn next_accept(
        &mut self,
        backend: &mut dyn Backend,
        opened: &[(Name, Name)],
    ) -> Result<Option<(usize, Name)>> {
        let calls: Vec<Name> = self.listeners.iter().map(|listener| Name::clone(&listener.accept)).collect();
        let process = self.listeners.first().map(|listener| Name::clone(&listener.process));
        let Some(process) = process else { return Ok(None) };
        let observation = apply(backend, &process, None, Call::Wait { calls, limit: ACCEPT_LIMIT })?;
        let Some((completed, result)) = observation.completed else { return Ok(None) };
        let Some(index) = self.listeners.iter().position(|listener| listener.accept == completed) else {
            return Err(BackendFault::Broken(format!("`{completed}` completed, which nobody waited for")));
        };
        if let Some(error) = result.error() {
            return Err(BackendFault::Broken(format!("`{completed}` failed: {error}")));
        }
        let what = format!("{}/accept", self.listeners[index].socket);
        let mut next = self.fresh_name(&what);
        while next == completed || opened.iter().any(|(_, socket)| *socket == next) {
            next = self.fresh_name(&what);
        }
        let listener = &mut self.listeners[index];
        let accepted = std::mem::replace(&mut listener.accept, next);
        post_accept(backend, listener)?;
        Ok(Some((index, accepted)))
    }

    /// A connection that is followed no further was made all the same: nobody is to take it for the next one.
    pub(super) fn take_in(
        &mut self,
        backend: &mut dyn Backend,
        opened: &mut Vec<(Name, Name)>,
        error: Option<WinsockError>,
    ) -> Result<()> {
        if error.is_none()
            && let Some((listener, accepted)) = self.next_accept(backend, opened)?
        {
            opened.push((Name::clone(&self.listeners[listener].process), accepted));
        }
        Ok(())
    }
}

fn post_accept(backend: &mut dyn Backend, listener: &Listener) -> Result<()> {
    let call = Call::Accept { socket: Name::clone(&listener.socket) };
    let observation = apply(backend, &listener.process, Some(&listener.accept), call)?;
    match observation.outcome {
        Outcome::Pending => Ok(()),
        other => {
            Err(BackendFault::Broken(format!("accept on `{}` did not wait: {other:?}", listener.socket)))
        }
    }
}
