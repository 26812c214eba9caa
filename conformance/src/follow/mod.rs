//! Following a connection through the services that it is redirected to, until it ends.
//!
//! The [`Follower`] plays the redirect services by their policies and speaks to the machine in ops alone, so a
//! scenario runs the same on every backend. A loop is recognised by what repeats, never by a timeout or a count.

mod ask;
mod datagrams;
mod ending;
mod listening;
mod loops;
mod service;
mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;

use wfp_sim::WinsockError;

pub use ask::{Ask, Compared, ErrorSet, Grow, NextBuffer, Unanswered};
pub use ending::{Carried, Cycle, End, Ending, HopReport, Note, Why};
pub use service::{
    AskOn, Destination, DialFamily, ErrorName, Levels, ListenFamilies, OnError, OnRetry, RecordsFrom,
    Service, SetLength, SetWhen, Transport,
};

use self::listening::{Listener, Serves};
use self::loops::Key;
pub(crate) use self::loops::redirects;
use self::serving::{Decided, Serving, set_late};
use crate::vocabulary::{
    Backend, BackendFault, Call, Dial, Endpoint, Hop, Name, Observation, Op, Outcome, SocketFamily,
    SocketProtocol,
};

/// Connect attempts after which a connection counts as not ended, where the backend does not show enough to tell a
/// loop.
const BOUND: usize = 64;

/// Milliseconds after which a connect that nobody answers has ended.
const CONNECT_LIMIT: u32 = 60_000;

/// The name of a connect that goes on.
const CONNECT: &str = "connect";

/// Plays redirect services, and follows connections through them.
pub struct Follower {
    services: BTreeMap<Name, Arc<Service>>,
    listeners: Vec<Listener>,
    /// For a service that pools: the name of the first records that it ever fetched.
    pooled: BTreeMap<Name, Name>,
    /// Numbers what is made on a journey, so that every name is new.
    count: u64,
    /// Whether names of earlier journeys still stand for something.
    names_kept: bool,
}

/// Which connection to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The process that connects first.
    pub from: Name,
    /// Where it wants to go.
    pub to: Endpoint,
    /// The family of its socket, and of the destination's address.
    pub family: SocketFamily,
    /// Whether the connections stay open, beyond the end of the journey.
    pub keep_open: bool,
    /// Whether it is a TCP connection, or a flow of datagrams.
    pub protocol: Transport,
    /// The socket that it starts from.
    pub socket: FirstSocket,
}

/// The socket that a journey starts from. By default it is of the destination's family, bound by its connect, and over
/// UDP not connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstSocket {
    /// Its family, where that is another than the destination's: a dual-stack socket dials IPv6 too.
    pub family: Option<SocketFamily>,
    /// Where it is bound first.
    pub bind: Option<Endpoint>,
    /// Over UDP: whether it is connected first, and the datagram then sent to nowhere in particular.
    pub connected: bool,
}

/// A connect attempt.
struct Dialled {
    by: Name,
    process: Name,
    to: Endpoint,
    family: SocketFamily,
    carried: Carried,
    /// Over UDP: what the kernel did when the socket was connected.
    at_connect: Option<Box<Hop>>,
    observation: Observation,
}

type Result<T> = std::result::Result<T, BackendFault>;

impl Follower {
    /// A follower without services.
    #[must_use]
    pub fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            listeners: Vec::new(),
            pooled: BTreeMap::new(),
            count: 0,
            names_kept: false,
        }
    }

    /// Connects, lets the services do what they do, and tells how it ended.
    ///
    /// # Errors
    /// Where the backend breaks.
    pub fn follow(&mut self, backend: &mut dyn Backend, journey: &Journey) -> Result<Ending> {
        // A backend remembers names, so they are used again once nothing has them any more.
        if !self.names_kept && self.pooled.is_empty() {
            self.count = 0;
        }
        self.names_kept |= journey.keep_open;
        let mut opened = Vec::new();
        let ending = self.walk(backend, journey, &mut opened);
        if !journey.keep_open {
            let close =
                |(process, socket)| Op { process, thread: 0, name: None, call: Call::Close { socket } };
            let ops: Vec<Op> = opened.into_iter().map(close).collect();
            for observation in backend.apply_all(&ops)? {
                observation.supported()?;
            }
        }
        ending
    }

    fn walk(
        &mut self,
        backend: &mut dyn Backend,
        journey: &Journey,
        opened: &mut Vec<(Name, Name)>,
    ) -> Result<Ending> {
        let mut hops: Vec<HopReport> = Vec::new();
        let mut seen: Vec<Key> = Vec::new();
        let mut serving: Option<Serving> = None;
        loop {
            let dialled = match &mut serving {
                None if journey.protocol == Transport::Udp => self.send_first(backend, journey, opened)?,
                None => self.dial_first(backend, journey, opened)?,
                Some(serving) => match self.dial_on(backend, serving, opened, notes_of(&mut hops))? {
                    Decided::GoesOn(dialled) => dialled,
                    Decided::Ends(end) => return Ok(Ending::new(end, hops)),
                },
            };
            let attempt = serving.as_ref().map_or(0, |serving| serving.attempt);
            let key = Key::of(&dialled, attempt, &self.services, &self.pooled);
            let mut observation = dialled.observation;
            let hop = observation.hop.take();
            if observation.outcome == Outcome::Pending {
                observation = Self::wait_for_connect(backend, &dialled.process)?;
            }
            let crashed = matches!(observation.outcome, Outcome::BugCheck(_));
            let error = observation.error();
            hops.push(HopReport {
                by: dialled.by,
                process: dialled.process,
                to: dialled.to,
                family: dialled.family,
                carried: dialled.carried,
                at_connect: dialled.at_connect,
                hop,
                error,
                accepted_by: None,
                then: Vec::new(),
            });
            if crashed {
                return Ok(Ending::new(End::BugCheck, hops));
            }
            match key {
                Some(key) => {
                    if let Some(first) = seen.iter().position(|earlier| *earlier == key) {
                        let cycle = loops::explain(&hops, first);
                        self.take_in(backend, opened, error)?;
                        let repeats = u32::try_from(first + 1).ok();
                        return Ok(Ending { cycle: Some(cycle), repeats, ..Ending::new(End::Loop, hops) });
                    }
                    seen.push(key);
                }
                None if hops.len() >= BOUND => {
                    self.take_in(backend, opened, error)?;
                    return Ok(Ending::new(End::NotEnded, hops));
                }
                None => {}
            }
            if let Some(error) = error {
                serving = match serving.take().and_then(Serving::next_attempt) {
                    Some(again) => Some(again),
                    None => return Ok(Ending::new(end_of(error), hops)),
                };
                continue;
            }
            if let Some(serving) = &mut serving {
                let behind = hops.len().saturating_sub(2);
                set_late(backend, serving, hops.get_mut(behind).map(|hop| &mut hop.then))?;
            }

            let Some((listener, accepted, received)) = self.next_accept(backend, opened)? else {
                return Ok(Ending::new(End::Stalled, hops));
            };
            let Listener { process, serves, protocol, .. } = &self.listeners[listener];
            let protocol = *protocol;
            if protocol == Transport::Tcp {
                opened.push((Name::clone(process), Name::clone(&accepted)));
            }
            let Some(last) = hops.last_mut() else { return Ok(Ending::new(End::Stalled, hops)) };
            match serves.clone() {
                Serves::Destination(endpoint) => {
                    last.accepted_by = Some(endpoint.to_string().into());
                    let end = if endpoint == journey.to { End::Reached } else { End::WrongDestination };
                    return Ok(Ending::new(end, hops));
                }
                Serves::Service(name) => {
                    last.accepted_by = Some(Name::clone(&name));
                    let decided = match protocol {
                        Transport::Tcp => self.serve(backend, &name, listener, &accepted, last)?,
                        Transport::Udp => self.serve_datagram(&name, listener, &accepted, &received, last)?,
                    };
                    match decided {
                        Decided::GoesOn(next) => serving = Some(next),
                        Decided::Ends(end) => return Ok(Ending::new(end, hops)),
                    }
                }
            }
        }
    }

    fn dial_first(
        &mut self,
        backend: &mut dyn Backend,
        journey: &Journey,
        opened: &mut Vec<(Name, Name)>,
    ) -> Result<Dialled> {
        let socket = self.first_socket(backend, journey, SocketProtocol::Tcp, opened)?;
        let to = Dial::Endpoint(journey.to.clone());
        let call = Call::Connect { socket, to, family: Some(journey.family), ex: false };
        let observation = apply(backend, &journey.from, Some(&CONNECT.into()), call)?;
        Ok(Dialled::first(journey, None, observation))
    }

    fn first_socket(
        &mut self,
        backend: &mut dyn Backend,
        journey: &Journey,
        protocol: SocketProtocol,
        opened: &mut Vec<(Name, Name)>,
    ) -> Result<Name> {
        let Journey { from, family, socket: FirstSocket { family: own, bind, .. }, .. } = journey;
        let socket = self.fresh_name("app");
        let call = Call::socket_of(own.unwrap_or(*family), protocol);
        apply(backend, from, Some(&socket), call)?;
        opened.push((Name::clone(from), Name::clone(&socket)));
        if let Some(to) = bind {
            let mapped = *family == SocketFamily::Dual;
            let call = Call::Bind { socket: Name::clone(&socket), to: to.clone(), mapped };
            if let Some(error) = apply(backend, from, None, call)?.error() {
                return Err(BackendFault::Misuse(format!("`{from}` cannot bind a socket at {to}: {error}")));
            }
        }
        Ok(socket)
    }

    fn wait_for_connect(backend: &mut dyn Backend, process: &Name) -> Result<Observation> {
        let call = Call::Wait { calls: vec![CONNECT.into()], limit: CONNECT_LIMIT };
        let observation = apply(backend, process, None, call)?;
        Ok(match observation.completed {
            Some((_, result)) => *result,
            None => Observation::new(Outcome::Error(WinsockError::WSAETIMEDOUT)),
        })
    }

    fn fresh_name(&mut self, what: &str) -> Name {
        self.count += 1;
        format!("{what}.{}", self.count).into()
    }
}

impl Default for Follower {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialled {
    /// The first of a journey.
    fn first(journey: &Journey, at_connect: Option<Box<Hop>>, observation: Observation) -> Self {
        Self {
            by: Name::clone(&journey.from),
            process: Name::clone(&journey.from),
            to: journey.to.clone(),
            family: journey.family,
            carried: Carried::First,
            at_connect,
            observation,
        }
    }
}

impl Ending {
    fn new(end: End, hops: Vec<HopReport>) -> Self {
        Self {
            end,
            connects: u32::try_from(hops.len()).unwrap_or(u32::MAX),
            cycle: None,
            repeats: None,
            hops,
        }
    }
}

/// A connect that fails ends the journey in one of three ways.
fn end_of(error: WinsockError) -> End {
    match error {
        WinsockError::WSAEACCES => End::Blocked,
        WinsockError::WSAETIMEDOUT => End::Stalled,
        _ => End::Refused,
    }
}

fn apply(backend: &mut dyn Backend, process: &Name, name: Option<&Name>, call: Call) -> Result<Observation> {
    let op = Op { process: Name::clone(process), thread: 0, name: name.cloned(), call };
    backend.apply(&op)?.supported()
}

/// Where to write down what the service does that accepted the last connect.
fn notes_of(hops: &mut [HopReport]) -> &mut Vec<Note> {
    // A service dials only after it accepted a connection, so there is a hop; a retry belongs to the hop that was
    // accepted.
    let accepted = hops.iter().rposition(|hop| hop.accepted_by.is_some()).unwrap_or(0);
    &mut hops[accepted].then
}
