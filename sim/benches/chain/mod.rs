//! A machine with vendors that cooperate, and connections that go through all their services. Services ask and set
//! by `wsa_ioctl`, with buffers that they allocated once.

use std::net::SocketAddr;

use wfp_sim::engine::{Policy, Redirect};
use wfp_sim::{
    Caller, ControlCode, Host, IoctlBuffers, Pointer, Profile, SocketHandle, SocketKind, Vendor,
    WinsockError, World,
};

/// A redirect service: a process with a listening socket and its buffers.
struct Service {
    caller: Caller,
    listener: SocketHandle,
    records: Pointer,
    context: Pointer,
    word: Pointer,
}

/// The machine.
pub(crate) struct Chain {
    pub(crate) w: World,
    pub(crate) app: Caller,
    pub(crate) destination: SocketAddr,
    server: (Caller, SocketHandle),
    services: Vec<Service>,
    /// What a service's buffer for records holds.
    length: u32,
    open: Vec<(Caller, SocketHandle)>,
}

const CONTEXT_LENGTH: u32 = 128;

impl Chain {
    pub(crate) fn new(vendors: u16) -> Self {
        let mut w = World::new(Profile::documented());
        let destination = SocketAddr::from(([203, 0, 113, 9], 443));
        let host =
            w.add_host(Host { name: "server".into(), addresses: vec![destination.ip()], silent: false });
        let server = w.start_process_on(host, "server.exe", false);
        let listener = w.listen_at(server, destination).expect("the address is the host's");
        let app = w.start_process("app.exe", false);
        let length = 1024.max(32 + 96 * u32::from(vendors));
        let services = (0..vendors).map(|nth| Service::start(&mut w, nth, length)).collect();
        Self { w, app, destination, server: (server, listener), services, length, open: Vec::new() }
    }

    /// One connection from the application through every service to the server; then every socket is closed.
    /// Returns the bytes of records that the last service carried.
    pub(crate) fn follow(&mut self) -> Result<u32, WinsockError> {
        let Self { w, app, destination, server, services, length, open } = self;
        let mut dialler = *app;
        let mut socket = w.socket(dialler, SocketKind::V4)?;
        let mut carried = 0;
        for service in services {
            w.connect(dialler, socket, *destination, &mut ())?;
            open.push((dialler, socket));
            dialler = service.caller;
            let accepted = w.accept(dialler, service.listener)?.done().ok_or(WinsockError::WSAEWOULDBLOCK)?;
            open.push((dialler, accepted));
            let query = |buffer, length| IoctlBuffers::query(buffer, length, service.word);
            let code = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
            w.wsa_ioctl(dialler, accepted, code, &query(service.context, CONTEXT_LENGTH))?;
            let code = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
            w.wsa_ioctl(dialler, accepted, code, &query(service.records, *length))?;
            carried = returned(w, dialler, service.word);
            socket = w.socket(dialler, SocketKind::V4)?;
            let code = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
            w.wsa_ioctl(dialler, socket, code, &IoctlBuffers::set(service.records, carried, service.word))?;
        }
        w.connect(dialler, socket, *destination, &mut ())?;
        open.push((dialler, socket));
        let (server, listener) = *server;
        open.push((server, w.accept(server, listener)?.done().ok_or(WinsockError::WSAEWOULDBLOCK)?));
        for (caller, socket) in open.drain(..) {
            w.closesocket(caller, socket)?;
        }
        Ok(carried)
    }

    /// Accepts what was redirected to the first service.
    pub(crate) fn accept(&mut self) -> Result<(Caller, SocketHandle), WinsockError> {
        let Service { caller, listener, .. } = self.services[0];
        let accepted = self.w.accept(caller, listener)?.done().ok_or(WinsockError::WSAEWOULDBLOCK)?;
        Ok((caller, accepted))
    }

    /// The first service's buffers for a query of records, and of the context.
    pub(crate) fn queries(&self) -> [(ControlCode, IoctlBuffers); 2] {
        let Service { records, context, word, .. } = self.services[0];
        [
            (
                ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
                IoctlBuffers::query(records, self.length, word),
            ),
            (
                ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT,
                IoctlBuffers::query(context, CONTEXT_LENGTH, word),
            ),
        ]
    }
}

impl Service {
    fn start(w: &mut World, nth: u16, length: u32) -> Self {
        let caller = w.start_process("service.exe", true);
        let address = SocketAddr::from(([127, 0, 0, 1], 1001 + nth));
        let listener = w.listen_at(caller, address).expect("the port is free");
        let driver = w.load_driver("vendor");
        let handle = w.fwps_redirect_handle_create(driver, "vendor", 0).expect("it is loaded");
        let policy = Policy::cooperative(handle, Redirect::local(caller.pid, address));
        let name = format!("vendor {nth}").into();
        w.install(Vendor { driver, name, sublayer_weight: 100, policy }).expect("no other has its name");
        let mut allocate = |size: u32| w.allocate(caller, size.into(), 0);
        let (records, context, word) = (allocate(length), allocate(CONTEXT_LENGTH), allocate(4));
        Self { caller, listener, records, context, word }
    }
}

/// The bytes-returned word.
fn returned(w: &World, caller: Caller, word: Pointer) -> u32 {
    let bytes = w.read_memory(caller, word, 4).unwrap_or_default();
    bytes.try_into().map_or(0, u32::from_le_bytes)
}
