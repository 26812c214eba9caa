//! A run: a machine, what was collected of it so far, and what each call answered.

use std::fmt::{Debug, Write};
use std::net::SocketAddr;

use wfp_sim::engine::{Decision, Habits, Policy, Redirect, Unload};
use wfp_sim::trace::ConnectTrace;
use wfp_sim::{
    Caller, CalloutId, Completed, Completion, ControlCode, DriverId, EventHandle, Host, IoctlBuffers,
    LOCAL_HOST, PendingId, Pointer, PortHandle, Profile, RedirectHandle, SocketHandle, SocketKind,
    SocketState, Vendor, WinsockError, World,
};

use crate::calls::{ADDRESSES, Call, Change, NULL, Pick, Place, Wanted};
use crate::operations::{spi, unknown};
use crate::watched::watched;

#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) w: World,
    callers: Vec<Caller>,
    sockets: Vec<(Caller, SocketHandle)>,
    pending: Vec<(Caller, PendingId)>,
    pub(crate) pointers: Vec<Pointer>,
    pub(crate) events: Vec<EventHandle>,
    pub(crate) ports: Vec<PortHandle>,
    blobs: Vec<Vec<u8>>,
    drivers: Vec<DriverId>,
    handles: Vec<RedirectHandle>,
    callouts: Vec<CalloutId>,
    /// Whether a driver is there that may leave something behind, or the profile says that Windows does.
    careless: bool,
    trace: Vec<ConnectTrace>,
    /// What each call answered.
    pub(crate) answers: Vec<String>,
}

pub(crate) fn at<T: Copy>(list: &[T], place: Place) -> T {
    list[list.len() - 1 - place % list.len()]
}

impl Run {
    /// An application, two services with their vendors, a server on another host and a host that never answers.
    pub(crate) fn new(profile: Profile) -> Self {
        let careless = profile.leaky_fields().next().is_some();
        let mut w = World::new(profile);
        let mut addresses: Vec<_> = ["203.0.113.9:443", "[2001:db8:9::9]:443"].map(address).to_vec();
        let ips = addresses.iter().map(SocketAddr::ip).collect();
        let server = w.add_host(Host { name: "server".into(), addresses: ips, silent: false });
        let silent = vec![address("203.0.113.66:0").ip()];
        w.add_host(Host { name: "silent".into(), addresses: silent, silent: true });
        let listening = w.start_process_on(server, "server.exe", false);
        let app = w.start_process("app.exe", false);
        let mut run = Self {
            callers: vec![listening, app],
            sockets: vec![(app, SocketHandle(0)), (app, SocketHandle(u64::MAX))],
            pending: vec![(app, PendingId(0))],
            pointers: vec![Pointer::NULL, Pointer::UNMAPPED],
            events: unknown().0,
            ports: unknown().1,
            blobs: vec![vec![0; 128]],
            drivers: vec![DriverId(7)],
            handles: vec![RedirectHandle(7)],
            callouts: vec![CalloutId(0)],
            careless,
            trace: Vec::new(),
            answers: Vec::new(),
            w,
        };
        for (weight, local) in [(2, "127.0.0.1:1001"), (1, "127.0.0.1:1002")] {
            let service = run.w.start_process("service.exe", true);
            run.callers.push(service);
            addresses.push(address(local));
            let driver = run.w.load_driver("vendor");
            let handle = run.w.fwps_redirect_handle_create(driver, "vendor", 0).expect("it is loaded");
            run.drivers.push(driver);
            run.handles.push(handle);
            let policy = Policy::cooperative(handle, Redirect::local(service.pid, address(local)));
            let vendor = Vendor { driver, name: local.into(), sublayer_weight: weight, policy };
            run.callouts.push(run.w.install(vendor).expect("no other has its name"));
        }
        let owners = [listening, listening, run.callers[2], run.callers[3]];
        for (owner, local) in owners.into_iter().zip(addresses) {
            let listener = run.w.listen_at(owner, local).expect("the address is its own, and free");
            run.sockets.push((owner, listener));
        }
        run
    }

    /// Makes a call and writes down what it answered.
    pub(crate) fn make(&mut self, call: &Call) {
        let answer = self.answer(call);
        self.answers.push(answer);
        let traced: Vec<String> = self.trace.drain(..).map(|hop| hop.to_string()).collect();
        self.answers.extend(traced);
    }

    pub(crate) fn make_all(&mut self, calls: &[Call]) -> &mut Self {
        for call in calls {
            self.make(call);
        }
        self
    }

    /// Ends every process, and checks that nothing is left and every port can be had again.
    pub(crate) fn end(mut self) {
        self.w.set_network_down(false);
        for caller in self.callers.clone() {
            self.w.end_process(caller.pid);
        }
        let accounts: Vec<_> = self.drivers.iter().map(|driver| self.w.account(*driver)).collect();
        let contexts: usize = accounts.iter().map(|account| account.contexts).sum();
        let kept: usize =
            accounts.iter().map(|account| account.classify_handles + account.pended_classifies).sum();
        assert_eq!(self.w.live_contexts(), contexts, "a context that is nobody's");
        assert_eq!(self.w.live(), contexts + kept, "allocated and never freed");
        if !self.careless {
            assert_eq!((contexts, kept), (0, 0), "nobody left anything behind");
        }
        let late = self.w.start_process("late", false);
        for text in ADDRESSES {
            let local = address(text);
            let own =
                local.ip().is_unspecified() || self.w.host_with(LOCAL_HOST, local.ip()) == Some(LOCAL_HOST);
            if own && local.ip().to_canonical() == local.ip() {
                let listener = self.w.listen_at(late, local);
                assert!(listener.is_ok(), "{text} is still taken: {listener:?}");
                self.w.closesocket(late, listener.expect("checked")).expect("it was just opened");
            }
        }
    }

    pub(crate) fn caller(&self, place: Place) -> Caller {
        at(&self.callers, place)
    }

    /// Who calls, and the socket.
    pub(crate) fn pick(&self, pick: Pick) -> (Caller, SocketHandle) {
        let is_wanted = |(caller, socket): &&(Caller, SocketHandle)| {
            let state = self.w.socket_state(*caller, *socket);
            match pick.state {
                Wanted::Any => true,
                Wanted::Unconnected => matches!(state, SocketState::Fresh | SocketState::Bound),
                Wanted::Listening => state == SocketState::Listening,
                Wanted::Connected => matches!(state, SocketState::Connected | SocketState::Connecting),
                Wanted::Accepted => matches!(state, SocketState::Accepted { .. }),
            }
        };
        let wanted: Vec<_> = self.sockets.iter().filter(is_wanted).copied().collect();
        let (owner, socket) = at(if wanted.is_empty() { &self.sockets } else { &wanted }, pick.place);
        (pick.stranger.map_or(owner, |place| self.caller(place)), socket)
    }

    pub(crate) fn wait_for<T: Debug>(
        &mut self,
        caller: Caller,
        result: &Result<Completion<T>, WinsockError>,
    ) -> String {
        if let Ok(Completion::Pending(pending)) = result {
            self.pending.push((caller, *pending));
        }
        format!("{result:?}")
    }

    pub(crate) fn opened(&mut self, caller: Caller, result: Result<SocketHandle, WinsockError>) -> String {
        self.sockets.extend(result.ok().map(|socket| (caller, socket)));
        format!("{result:?}")
    }

    fn complete(&mut self) -> String {
        let asked = std::mem::take(&mut self.pending);
        let mut answer = String::new();
        for (caller, pending) in asked {
            let result = self.w.completion(pending);
            if let Some(Ok(Completed::Accepted(socket))) = result {
                self.sockets.push((caller, socket));
            }
            if result.is_none() {
                self.pending.push((caller, pending));
            }
            write!(answer, "{pending}: {result:?} ").expect("a string takes it");
        }
        answer
    }

    fn answer(&mut self, call: &Call) -> String {
        match *call {
            Call::Socket { process, kind } => {
                let caller = self.caller(process);
                let result = self.w.socket(caller, kind);
                self.opened(caller, result)
            }
            Call::Bind { socket, address: local } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.bind(caller, socket, address(local)))
            }
            Call::Listen { socket, backlog } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.listen(caller, socket, backlog))
            }
            Call::Accept { socket } => {
                let (caller, socket) = self.pick(socket);
                let result = self.w.accept(caller, socket);
                if let Ok(Completion::Done(accepted)) = result {
                    self.sockets.push((caller, accepted));
                }
                self.wait_for(caller, &result)
            }
            Call::AcceptEx { listening, accepting } => {
                let ((caller, listening), (_, accepting)) = (self.pick(listening), self.pick(accepting));
                let result = self.w.accept_ex(caller, listening, accepting);
                self.wait_for(caller, &result)
            }
            Call::UpdateAcceptContext { accepted, listening } => {
                let ((caller, accepted), (_, listening)) = (self.pick(accepted), self.pick(listening));
                format!("{:?}", self.w.update_accept_context(caller, accepted, listening))
            }
            Call::Connect { socket, to } => {
                let (caller, socket) = self.pick(socket);
                let result = self.w.connect(caller, socket, address(to), &mut self.trace);
                self.wait_for(caller, &result)
            }
            Call::ConnectEx { socket, to } => {
                let (caller, socket) = self.pick(socket);
                let result = self.w.connect_ex(caller, socket, address(to), &mut self.trace);
                self.wait_for(caller, &result)
            }
            Call::UpdateConnectContext { socket } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.update_connect_context(caller, socket))
            }
            Call::Send { socket, length } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.send(caller, socket, &[7; 9][..length]))
            }
            Call::Receive { socket, length } => {
                let (caller, socket) = self.pick(socket);
                let result = self.w.recv(caller, socket, length);
                self.wait_for(caller, &result)
            }
            Call::Shutdown { socket, how } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.shutdown(caller, socket, how))
            }
            Call::Close { socket } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.closesocket(caller, socket))
            }
            Call::Duplicate { socket, into } => {
                let (caller, socket) = self.pick(socket);
                let into = self.caller(into);
                let result = self.w.wsa_duplicate_socket(caller, socket, into.pid);
                self.opened(into, result)
            }
            Call::Names { socket } => {
                let (caller, socket) = self.pick(socket);
                let names = (self.w.getsockname(caller, socket), self.w.getpeername(caller, socket));
                format!("{names:?} {:?}", self.w.socket_id(caller, socket))
            }
            Call::Complete => self.complete(),
            Call::QueryRecords { socket } => {
                let (caller, socket) = self.pick(socket);
                let result = self.w.query_redirect_records(caller, socket);
                self.blobs.extend(result.clone().ok());
                format!("{result:?}")
            }
            Call::Set { socket, blob, change } => {
                let (caller, socket) = self.pick(socket);
                let blob = changed(&self.blobs[blob % self.blobs.len()], change);
                format!("{:?}", self.w.set_redirect_records(caller, socket, &blob))
            }
            Call::Serve { listening, kind, to } => {
                let (caller, listening) = self.pick(listening);
                self.serve(caller, listening, kind, to)
            }
            _ => self.answer_rarer(call),
        }
    }

    fn serve(&mut self, caller: Caller, listening: SocketHandle, kind: SocketKind, to: &str) -> String {
        let accepted = self.w.accept(caller, listening);
        let Ok(Completion::Done(accepted)) = accepted else { return self.wait_for(caller, &accepted) };
        self.sockets.push((caller, accepted));
        let records = self.w.query_redirect_records(caller, accepted);
        let Ok(onward) = self.w.socket(caller, kind) else { return "gone".to_owned() };
        self.sockets.push((caller, onward));
        let set = records.clone().map(|blob| self.w.set_redirect_records(caller, onward, &blob));
        self.blobs.extend(records.ok());
        let connected = self.w.connect(caller, onward, address(to), &mut self.trace);
        format!("{set:?} {}", self.wait_for(caller, &connected))
    }

    fn answer_rarer(&mut self, call: &Call) -> String {
        match *call {
            Call::StartProcess { elevated } => {
                self.callers.push(self.w.start_process("late.exe", elevated));
                "started".to_owned()
            }
            Call::StartThread { process } => {
                let thread = self.w.start_thread(self.caller(process));
                self.callers.extend(thread);
                format!("{thread:?}")
            }
            Call::EndProcess { process } => format!("{:?}", self.w.end_process(self.caller(process).pid)),
            Call::Advance { milliseconds } => {
                self.w.advance(milliseconds);
                self.w.now().to_string()
            }
            Call::Allocate { process, size, fill } => {
                let pointer = self.w.allocate(self.caller(process), size, fill);
                self.pointers.push(pointer);
                format!("{pointer:?}")
            }
            Call::Free { process, pointer } => {
                format!("{:?}", self.w.free(self.caller(process), at(&self.pointers, pointer)))
            }
            Call::Write { process, pointer, offset, ref bytes } => {
                let (caller, pointer) = (self.caller(process), at(&self.pointers, pointer).offset(offset));
                let written = self.w.write_memory(caller, pointer, bytes);
                let length = u32::try_from(bytes.len()).unwrap_or(0);
                let read = self.w.read_memory(caller, pointer, length);
                assert_eq!(read.is_some(), written, "what can be written can be read");
                assert!(read.is_none_or(|read| read == *bytes), "what was written is read");
                format!("{written}")
            }
            Call::Ioctl { socket, code, pointers, lengths, provider } => {
                let (caller, socket) = self.pick(socket);
                let pointer = |(place, offset)| match place {
                    NULL => Pointer::NULL,
                    place => at(&self.pointers, place).offset(offset),
                };
                let [input, output, bytes_returned, overlapped, routine] = pointers.map(pointer);
                let [input_length, output_length] = lengths;
                let query = IoctlBuffers::query(output, output_length, bytes_returned);
                let buffers = IoctlBuffers { input, input_length, overlapped, routine, ..query };
                let code = ControlCode(code);
                let answer = match provider {
                    None => {
                        let result = self.w.wsa_ioctl(caller, socket, code, &buffers);
                        self.wait_for(caller, &result)
                    }
                    Some((thread_id, errno)) => {
                        let spi = spi(self, thread_id, errno);
                        let answer = self.w.wsp_ioctl(caller, socket, code, &buffers, &spi);
                        if let Ok(Completion::Pending(pending)) = answer.returned {
                            self.pending.push((caller, pending));
                        }
                        format!("{answer:?}")
                    }
                };
                format!("{answer} {:?}", self.w.read_memory(caller, bytes_returned, 4))
            }
            Call::Operate(ref operate) => self.operate(operate),
            Call::Watched { socket, code, length } => {
                let (caller, socket) = self.pick(socket);
                watched(&mut self.w, caller, socket, ControlCode(code), length)
            }
            _ => self.answer_kernel(call),
        }
    }

    /// The calls of drivers.
    fn answer_kernel(&mut self, call: &Call) -> String {
        match *call {
            Call::CreateHandle => {
                let driver = self.w.load_driver("late");
                self.drivers.push(driver);
                let created = self.w.fwps_redirect_handle_create(driver, "late", 0);
                self.handles.extend(created);
                format!("{created:?}")
            }
            Call::DestroyHandle { handle } => {
                format!("{:?}", self.w.fwps_redirect_handle_destroy(at(&self.handles, handle)))
            }
            Call::Install { weight, ref policy } => {
                let driver = self.w.load_driver("late");
                self.drivers.push(driver);
                let pends = policy.rules.iter().any(|rule| matches!(rule.decision, Decision::Pend(_)));
                self.careless |= pends || policy.habits != Habits::default();
                let (name, policy) = (format!("late {weight}").into(), policy.clone());
                let installed = self.w.install(Vendor { driver, name, sublayer_weight: weight, policy });
                self.callouts.extend(installed);
                format!("{installed:?}")
            }
            Call::Unload { driver, destroys_handles } => {
                let driver = at(&self.drivers, driver);
                let unloaded = self.w.unload_driver(driver, Unload { destroys_handles });
                format!("{unloaded:?} {:?}", self.w.account(driver))
            }
            Call::Unregister { callout } => {
                format!("{:?}", self.w.fwps_callout_unregister(at(&self.callouts, callout)))
            }
            Call::State { socket, handle } => {
                let handle = at(&self.handles, handle);
                let (_, socket) = self.pick(socket);
                let of = |caller: &Caller| {
                    let records = self.w.records_arrived(*caller, socket).ok().flatten();
                    (
                        self.w.socket_state(*caller, socket),
                        self.w.fwps_query_connection_redirect_state(records, handle),
                    )
                };
                format!("{:?}", self.callers.iter().map(of).collect::<Vec<_>>())
            }
            _ => unreachable!("answered above"),
        }
    }
}

fn changed(blob: &[u8], change: Change) -> Vec<u8> {
    let mut blob = blob.to_vec();
    match change {
        Change::None => {}
        Change::Cut(length) => blob.truncate(length),
        Change::Lengthen(by) => blob.extend(vec![0; by]),
        Change::Flip(bit) => {
            let bits = blob.len() * 8;
            blob[bit % bits / 8] ^= 1 << (bit % 8);
        }
        Change::Empty => blob.clear(),
    }
    blob
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
