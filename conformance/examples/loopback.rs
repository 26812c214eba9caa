//! A small backend: TCP on the loopback of any machine, through `std::net`. `docs/write-a-backend.md` goes through it.
//!
//! Every host of a scenario is this machine, under other ports. `std::net` has no socket that is new, and none that is
//! bound without listening: what such a socket answers is kept here.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use wfp_conformance::agent::{AgentError, serve};
use wfp_conformance::vocabulary::{
    Backend, BackendFault, Call, Dial, Endpoint, Feature, Features, HostSpec, Identity, LOCAL, Name,
    Observation, Op, Outcome, Place, ProcessSpec, SetUp, Settings, SocketFamily, SocketProtocol, Stored,
};
use wfp_sim::WinsockError as Code;

/// Milliseconds that a call has before it is answered with *pending*: what was sent before has arrived by then.
const GRACE: u32 = 20;

fn main() -> Result<(), AgentError> {
    // A host listens in IPv6 too, so there are such sockets. They are of IPv4 in truth: without the feature `ipv6` no
    // case looks at them.
    let features = [Feature::Tcp, Feature::RemoteHost].into();
    serve(&mut Loopback { features, ..Loopback::default() }, io::stdin().lock(), io::stdout().lock())
}

#[derive(Default)]
struct Loopback {
    features: Features,
    hosts: HashMap<Name, Name>,                     // of each process
    ports: HashMap<(Name, u16, SocketFamily), u16>, // of this machine, for one of a host
    sockets: HashMap<Name, Socket>,
    pending: HashMap<Name, Op>, // calls that wait
}

enum Socket {
    New(SocketFamily),
    Bound(TcpListener),
    Connected(TcpStream),
}

/// Why a call has not succeeded: with a code that the scenario sees, or because it cannot be made here.
enum Not {
    Succeeded(Code),
    Made(BackendFault),
}

fn fails<T>(code: Code) -> Result<T, Not> {
    Err(Not::Succeeded(code))
}

/// The case is skipped, for this reason.
fn cannot(what: &str) -> Not {
    Not::Made(BackendFault::Unsupported(what.to_owned()))
}

impl From<io::Error> for Not {
    fn from(error: io::Error) -> Self {
        Self::Succeeded(match error.kind() {
            ErrorKind::WouldBlock => Code::WSAEWOULDBLOCK,
            ErrorKind::AddrInUse => Code::WSAEADDRINUSE,
            ErrorKind::ConnectionRefused => Code::WSAECONNREFUSED,
            _ => return cannot(&format!("what Winsock has no code for: {error}")),
        })
    }
}

impl Backend for Loopback {
    fn identify(&self) -> Identity {
        Identity { name: "loopback".into(), version: "1".into(), os: Some(std::env::consts::OS.into()) }
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, _: &Settings) -> Result<(), BackendFault> {
        *self = Self { features: self.features.clone(), ..Self::default() };
        Ok(())
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let (ops, limit) = match &op.call {
            Call::Wait { calls, limit } => {
                let waiting = calls.iter().filter_map(|call| self.pending.get(call).cloned());
                (waiting.collect(), *limit)
            }
            _ => (vec![op.clone()], GRACE),
        };
        for _ in 0..=limit {
            for waiting in &ops {
                let answer = match self.make(waiting) {
                    Err(Not::Succeeded(Code::WSAEWOULDBLOCK)) => continue,
                    Err(Not::Succeeded(code)) => Observation::new(Outcome::Error(code)),
                    Err(Not::Made(fault)) => return Err(fault),
                    Ok(observation) => observation,
                };
                let (Call::Wait { .. }, Some(name)) = (&op.call, &waiting.name) else { return Ok(answer) };
                let completed = self.pending.remove_entry(name).map(|(name, _)| (name, Box::new(answer)));
                return Ok(Observation { completed, ..Observation::new(Outcome::Ok) });
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.pending.extend(op.name.clone().map(|name| (name, op.clone())));
        Ok(Observation::new(Outcome::Pending))
    }
}

impl Loopback {
    fn make(&mut self, op: &Op) -> Result<Observation, Not> {
        let mut seen = Observation::new(Outcome::Ok);
        let host = self.hosts.get(&op.process).cloned().unwrap_or_else(|| LOCAL.into());
        match &op.call {
            Call::SetUp(SetUp::AddHost(HostSpec { silent: false, .. })) => {}
            Call::SetUp(SetUp::StartProcess(ProcessSpec { host, wow64: false, driver: false, .. })) => {
                self.hosts.insert(Name::clone(&op.process), Name::clone(host));
            }
            Call::Socket { family, nonblocking: false, protocol: SocketProtocol::Tcp, .. } => {
                self.sockets.extend(op.name.clone().map(|name| (name, Socket::New(*family))));
            }
            Call::Bind { socket, to, .. } if !matches!(to.place, Place::Host(_)) => {
                let Socket::New(family) = *self.socket(socket)? else { return fails(Code::WSAEINVAL) };
                let ip = if to.place == Place::Any { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
                let key = (host, to.port.unwrap_or(0), family);
                let real = self.ports.get(&key).copied().filter(|_| to.port != Some(0));
                let listener = TcpListener::bind((ip, real.unwrap_or(0)))?;
                listener.set_nonblocking(true)?;
                self.ports.insert(key, listener.local_addr()?.port());
                *self.socket(socket)? = Socket::Bound(listener);
            }
            Call::Listen { socket, .. } => {
                let Socket::Bound(_) = self.socket(socket)? else { return fails(Code::WSAEINVAL) };
            }
            Call::Accept { socket } => {
                let Socket::Bound(listener) = self.socket(socket)? else { return fails(Code::WSAEINVAL) };
                let (stream, _) = listener.accept()?;
                self.sockets.extend(op.name.clone().map(|name| (name, Socket::Connected(stream))));
            }
            Call::Connect { socket, to: Dial::Endpoint(to), ex: false, .. } => {
                let family = match self.socket(socket)? {
                    Socket::New(family) => *family,
                    Socket::Bound(_) => return Err(cannot("a connect of a socket that is bound")),
                    Socket::Connected(_) => return fails(Code::WSAEISCONN),
                };
                let there = if let Place::Host(name) = &to.place { Name::clone(name) } else { host };
                let real = self.ports.get(&(there, to.port.unwrap_or(0), family));
                // Nobody listens at port 1.
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, real.copied().unwrap_or(1)))?;
                *self.socket(socket)? = Socket::Connected(stream);
            }
            Call::Send { socket, data } => self.stream(socket)?.write_all(data.as_bytes())?,
            Call::Receive { socket, length } => {
                let (stream, mut bytes) = (self.stream(socket)?, vec![0; (*length).min(65536) as usize]);
                stream.set_nonblocking(true)?;
                let received = stream.read(&mut bytes);
                stream.set_nonblocking(false)?;
                bytes.truncate(received?);
                seen.stored = Some(Stored { bytes: bytes.into(), rest_untouched: true });
            }
            Call::Close { socket } => drop(self.sockets.remove(socket)),
            Call::LocalName { socket } => {
                let address = match self.socket(socket)? {
                    Socket::New(_) => return fails(Code::WSAEINVAL),
                    Socket::Bound(listener) => listener.local_addr(),
                    Socket::Connected(stream) => stream.local_addr(),
                };
                seen.address = Some(self.named(address?, &host));
            }
            Call::PeerName { socket } => {
                let address = self.stream(socket)?.peer_addr();
                seen.address = Some(self.named(address?, &LOCAL.into()));
            }
            // A backend need not know every call, nor every way to make one.
            call => return Err(cannot(&format!("`{}` with these arguments", call.name()))),
        }
        Ok(seen)
    }

    fn socket(&mut self, name: &Name) -> Result<&mut Socket, Not> {
        // The case names what no earlier call made: it fails.
        let missing = || Not::Made(BackendFault::Misuse(format!("there is no socket `{name}`")));
        self.sockets.get_mut(name).ok_or_else(missing)
    }

    fn stream(&mut self, name: &Name) -> Result<&mut TcpStream, Not> {
        if let Socket::Connected(stream) = self.socket(name)? { Ok(stream) } else { fails(Code::WSAENOTCONN) }
    }

    /// How the scenario names an address, which is on `host` where its port does not tell.
    fn named(&self, address: SocketAddr, host: &Name) -> Endpoint {
        let known = self.ports.iter().find(|(_, real)| **real == address.port()).map(|(key, _)| key);
        let place = match known {
            _ if address.ip().is_unspecified() => Place::Any,
            Some((host, ..)) if &**host == LOCAL => Place::Loopback,
            _ => Place::Host(Name::clone(known.map_or(host, |(host, ..)| host))),
        };
        // A port that the machine chose is written `*`.
        Endpoint { place, port: known.map(|(_, port, _)| *port).filter(|port| *port != 0) }
    }
}
