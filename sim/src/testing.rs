//! The machine that unit tests start from.

use std::net::{IpAddr, SocketAddr};

use crate::control_message::{IP_WFP_REDIRECT_CONTEXT, IP_WFP_REDIRECT_RECORDS, IPPROTO_IP, IPPROTO_IPV6};
use crate::datagram::Message;
use crate::engine::{Filter, LayerKind, Policy, Program, Redirect, Target, Vendor};
use crate::error::WinsockError;
use crate::ids::{Caller, CalloutId, RedirectHandle, SocketHandle};
use crate::profile::{Field, Profile};
use crate::socket::{Completion, SocketKind};
use crate::trace::ConnectTrace;
use crate::world::{Host, World};

/// Where the server on another host listens, over both families.
pub(crate) const SERVER: &str = "203.0.113.9:443";
pub(crate) const SERVER_V6: &str = "[2001:db8:9::9]:443";
pub(crate) const SERVER_MAPPED: &str = "[::ffff:203.0.113.9]:443";
/// On a host that never answers.
pub(crate) const SILENT: &str = "203.0.113.66:443";

/// The local host with an application and a service that has administrative rights; a server on another host.
pub(crate) struct Machine {
    pub(crate) w: World,
    pub(crate) app: Caller,
    pub(crate) service: Caller,
    pub(crate) server: Caller,
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The built-in profile `documented`, with these fields as said.
pub(crate) fn profile(fields: &[(&str, &str)]) -> Profile {
    let mut profile = Profile::documented();
    for (name, value) in fields {
        Field::by_name(name).unwrap_or_else(|| panic!("no field {name}")).set(&mut profile, value).unwrap();
    }
    profile
}

impl Default for Machine {
    fn default() -> Self {
        Self::new(Profile::documented())
    }
}

impl Machine {
    pub(crate) fn new(profile: Profile) -> Self {
        let mut w = World::new(profile);
        let host = |name: &str, address: &str, silent| Host {
            name: name.into(),
            addresses: vec![self::address(address).ip()],
            silent,
        };
        let mut server = host("server", SERVER, false);
        server.addresses.push(address(SERVER_V6).ip());
        let server_host = w.add_host(server);
        w.add_host(host("silent", SILENT, true));
        let app = w.start_process("app.exe", false);
        let service = w.start_process("service.exe", true);
        let server = w.start_process_on(server_host, "server.exe", false);
        for address in [SERVER, SERVER_V6] {
            w.listen_at(server, self::address(address)).unwrap();
        }
        Self { w, app, service, server }
    }

    pub(crate) fn with(fields: &[(&str, &str)]) -> Self {
        Self::new(profile(fields))
    }

    /// A redirect handle of a driver that has nothing else.
    pub(crate) fn handle(&mut self, provider: &str) -> RedirectHandle {
        let driver = self.w.load_driver(provider);
        self.w.fwps_redirect_handle_create(driver, provider, 0).unwrap()
    }

    /// A callout that no filter names yet, of a driver that has nothing else.
    pub(crate) fn callout(&mut self, name: &str, program: impl Into<Program>) -> CalloutId {
        let driver = self.w.load_driver(name);
        self.w.fwps_callout_register(driver, name, program).unwrap()
    }

    /// A callout that sees every connect, of a driver that has nothing else.
    pub(crate) fn vendor(&mut self, name: &str, sublayer_weight: u16, policy: Policy) -> CalloutId {
        let driver = self.w.load_driver(name);
        self.w.install(Vendor { driver, name: name.into(), sublayer_weight, policy }).unwrap()
    }

    /// A vendor that redirects all connects to a service at this port of loopback, over both families.
    pub(crate) fn cooperative_vendor(&mut self, name: &str, weight: u16, port: u16) -> RedirectHandle {
        let driver = self.w.load_driver(name);
        let handle = self.w.fwps_redirect_handle_create(driver, name, 0).unwrap();
        let policy = Policy::cooperative(handle, Redirect::local(self.service.pid, both(port)));
        self.w.install(Vendor { driver, name: name.into(), sublayer_weight: weight, policy }).unwrap();
        handle
    }

    /// A callout that always redirects, whatever others did.
    pub(crate) fn redirect_all(&mut self, weight: u16, redirect: Redirect) -> RedirectHandle {
        let driver = self.w.load_driver("redirector");
        let handle = self.w.fwps_redirect_handle_create(driver, "redirector", 0).unwrap();
        let policy = Policy { heeds_earlier_redirect: false, ..Policy::cooperative(handle, redirect) };
        let name = format!("redirector {}", driver.0).into();
        self.w.install(Vendor { driver, name, sublayer_weight: weight, policy }).unwrap();
        handle
    }

    /// A callout of this name that is asked about everything at layers of these kinds, in a sublayer of its own.
    pub(crate) fn asked_at(
        &mut self,
        kinds: &[LayerKind],
        name: &str,
        sublayer_weight: u16,
        program: impl Into<Program>,
    ) -> CalloutId {
        let callout = self.callout(name, program);
        let sublayer = self.w.fwpm_sublayer_add(sublayer_weight);
        for layer in kinds.iter().flat_map(|kind| kind.both()) {
            self.w.fwpm_filter_add(Filter::asking(layer, sublayer, callout)).unwrap();
        }
        callout
    }

    /// A listening socket of the service, at this port of loopback.
    pub(crate) fn service_at(&mut self, port: u16) -> SocketHandle {
        self.w.listen_at(self.service, SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)).unwrap()
    }

    pub(crate) fn socket(&mut self, kind: SocketKind) -> SocketHandle {
        self.w.socket(self.app, kind).unwrap()
    }

    /// A socket of the application, bound to this address.
    pub(crate) fn bound(&mut self, kind: SocketKind, local: &str) -> SocketHandle {
        let socket = self.socket(kind);
        self.w.bind(self.app, socket, address(local)).unwrap();
        socket
    }

    pub(crate) fn connect(&mut self, socket: SocketHandle, to: &str) -> Result<Completion<()>, WinsockError> {
        self.w.connect(self.app, socket, address(to), &mut ())
    }

    /// A connected IPv4 socket of the application.
    pub(crate) fn connected(&mut self, to: &str) -> SocketHandle {
        let socket = self.socket(SocketKind::V4);
        assert_eq!(self.connect(socket, to), Ok(Completion::Done(())));
        socket
    }

    /// What happened when a new IPv4 socket of the application connected.
    pub(crate) fn trace(&mut self, to: &str) -> ConnectTrace {
        let kind = if address(to).is_ipv4() { SocketKind::V4 } else { SocketKind::DUAL };
        let socket = self.socket(kind);
        self.trace_of(self.app, socket, to)
    }

    pub(crate) fn trace_of(&mut self, caller: Caller, socket: SocketHandle, to: &str) -> ConnectTrace {
        let mut trace = Vec::new();
        let _ = self.w.connect(caller, socket, address(to), &mut trace);
        trace.pop().expect("it was classified")
    }

    /// The socket that the service accepts next.
    pub(crate) fn accept(&mut self, listener: SocketHandle) -> SocketHandle {
        self.w.accept(self.service, listener).unwrap().done().expect("a connection waits")
    }

    /// A connection of the application over loopback that nobody redirected: its two ends.
    pub(crate) fn pair(&mut self) -> (SocketHandle, SocketHandle) {
        let listener = self.service_at(7);
        let client = self.connected("127.0.0.1:7");
        let accepted = self.accept(listener);
        self.w.closesocket(self.service, listener).unwrap();
        (client, accepted)
    }

    /// A UDP socket of the service, bound here and told to receive records and context over what it serves.
    pub(crate) fn udp_service(&mut self, kind: SocketKind, at: &str) -> SocketHandle {
        let socket = self.w.socket(self.service, kind.udp()).unwrap();
        self.w.bind(self.service, socket, address(at)).unwrap();
        self.receive_control(socket);
        socket
    }

    /// Switches records and context on, at each level that the service's socket has.
    pub(crate) fn receive_control(&mut self, socket: SocketHandle) {
        for level in [IPPROTO_IP, IPPROTO_IPV6] {
            for option in [IP_WFP_REDIRECT_RECORDS, IP_WFP_REDIRECT_CONTEXT] {
                let _ = self.w.setsockopt(self.service, socket, level, option, 1);
            }
        }
    }

    /// A UDP socket of the server.
    pub(crate) fn udp_server(&mut self, at: &str) -> SocketHandle {
        let kind = if address(at).is_ipv4() { SocketKind::V4 } else { SocketKind::V6 };
        let socket = self.w.socket(self.server, kind.udp()).unwrap();
        self.w.bind(self.server, socket, address(at)).unwrap();
        socket
    }

    /// The application sends; the trace of the classify, if there was one.
    pub(crate) fn send(&mut self, socket: SocketHandle, to: &str, data: &[u8]) -> Option<ConnectTrace> {
        let mut trace = Vec::new();
        assert_eq!(self.w.sendto(self.app, socket, data, Some(address(to)), &mut trace), Ok(data.len()));
        assert!(trace.len() <= 1, "one classify for a datagram");
        trace.pop()
    }

    /// The next datagram of the service's socket, with room for all control data; `None` where there is none.
    pub(crate) fn message(&mut self, socket: SocketHandle) -> Option<Message> {
        self.w.receive_message(self.service, socket, 2048, 2048).unwrap()
    }

    /// A new UDP socket of the application sends one datagram to the server, which is redirected: that socket, and the
    /// service's at port 1001 of loopback.
    pub(crate) fn udp_redirected(&mut self, redirect: Redirect) -> (SocketHandle, SocketHandle) {
        let service = self.udp_service(SocketKind::V4, "127.0.0.1:1001");
        self.redirect_all(100, redirect);
        let client = self.socket(SocketKind::V4.udp());
        self.send(client, SERVER, b"first");
        (client, service)
    }

    /// A connection of the application that was redirected to the service at port 1001: client, accepted socket.
    pub(crate) fn redirected(&mut self, redirect: Redirect) -> (SocketHandle, SocketHandle) {
        let listener = self.service_at(1001);
        self.redirect_all(100, redirect);
        let client = self.connected(SERVER);
        let accepted = self.accept(listener);
        (client, accepted)
    }
}

/// The result of a call that was not to wait.
pub(crate) fn at_once<T: std::fmt::Debug>(
    result: Result<Completion<T>, WinsockError>,
) -> Result<T, WinsockError> {
    match result? {
        Completion::Done(value) => Ok(value),
        waits @ Completion::Pending(_) => panic!("{waits:?}"),
    }
}

/// This port of loopback, over both families.
pub(crate) fn both(port: u16) -> Target {
    let at = |ip: &str| address(&format!("{ip}:{port}"));
    match (at("127.0.0.1"), at("[::1]")) {
        (SocketAddr::V4(v4), SocketAddr::V6(v6)) => Target { v4: Some(v4), v6: Some(v6) },
        _ => unreachable!("one address of each family"),
    }
}
