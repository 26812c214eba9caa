//! Sockets of each kind and state for the control codes to be asked on, and a call whose buffers are watched.

mod pointers;
mod precedence;
mod sweep;

use super::IoctlBuffers;
use crate::control_code::ControlCode;
use crate::engine::{Context, Redirect};
use crate::error::WinsockError;
use crate::ids::{Caller, SocketHandle};
use crate::memory::Pointer;
use crate::profile::Profile;
use crate::socket::SocketKind;
use crate::testing::{Machine, SERVER, SERVER_MAPPED, SERVER_V6, SILENT, address, at_once, both};

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
const SET: ControlCode = ControlCode::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;

/// The kind and state of the socket that a call is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Situation {
    NotASocket,
    OfAnotherProcess,
    FreshV4,
    FreshV6,
    FreshDual,
    Udp,
    Layered,
    Bound,
    Failed,
    Listening,
    Connecting,
    Connected,
    RedirectedClient,
    Accepting,
    NotRedirected,
    Redirected,
    RedirectedV6,
    RedirectedMapped,
    WithoutContext,
    BeforeUpdate,
    Updated,
    Reset,
}

impl Situation {
    const ALL: [Self; 22] = [
        Self::NotASocket,
        Self::OfAnotherProcess,
        Self::FreshV4,
        Self::FreshV6,
        Self::FreshDual,
        Self::Udp,
        Self::Layered,
        Self::Bound,
        Self::Failed,
        Self::Listening,
        Self::Connecting,
        Self::Connected,
        Self::RedirectedClient,
        Self::Accepting,
        Self::NotRedirected,
        Self::Redirected,
        Self::RedirectedV6,
        Self::RedirectedMapped,
        Self::WithoutContext,
        Self::BeforeUpdate,
        Self::Updated,
        Self::Reset,
    ];

    /// A machine with such a socket of a process with administrative rights.
    fn build(self, profile: Profile) -> (Machine, Caller, SocketHandle) {
        let mut m = Machine::new(profile);
        let service = m.service;
        let socket = |m: &mut Machine, kind| m.w.socket(service, kind).unwrap();
        let handle = match self {
            Self::NotASocket => SocketHandle(1),
            Self::OfAnotherProcess => m.socket(SocketKind::V4),
            Self::FreshV4 => socket(&mut m, SocketKind::V4),
            Self::FreshV6 => socket(&mut m, SocketKind::V6),
            Self::FreshDual => socket(&mut m, SocketKind::DUAL),
            Self::Udp => socket(&mut m, SocketKind::V4.udp()),
            Self::Layered => socket(&mut m, SocketKind::V4.layered()),
            Self::Bound => {
                let handle = socket(&mut m, SocketKind::V4);
                m.w.bind(service, handle, address("127.0.0.1:9")).unwrap();
                handle
            }
            Self::Failed => {
                let handle = socket(&mut m, SocketKind { nonblocking: true, ..SocketKind::V4 });
                let result = m.w.connect(service, handle, address("127.0.0.1:9"), &mut ());
                assert_eq!(result, Err(WinsockError::WSAEWOULDBLOCK));
                handle
            }
            Self::Listening => m.service_at(9),
            Self::Connecting => {
                let handle = socket(&mut m, SocketKind::V4);
                m.w.connect(service, handle, address(SILENT), &mut ()).unwrap();
                handle
            }
            Self::Connected => {
                let handle = socket(&mut m, SocketKind::V4);
                m.w.connect(service, handle, address(SERVER), &mut ()).unwrap();
                handle
            }
            Self::RedirectedClient => {
                m.service_at(1001);
                m.redirect_all(1, redirect(&m, Context::Padded(300)));
                let handle = socket(&mut m, SocketKind::V4);
                m.w.connect(service, handle, address(SERVER), &mut ()).unwrap();
                handle
            }
            Self::Accepting => {
                let listener = m.service_at(9);
                let handle = socket(&mut m, SocketKind::V4);
                m.w.accept_ex(service, listener, handle).unwrap();
                handle
            }
            Self::NotRedirected => m.pair().1,
            Self::Redirected | Self::RedirectedV6 | Self::RedirectedMapped => {
                let (kind, to) = match self {
                    Self::RedirectedV6 => (SocketKind::V6, SERVER_V6),
                    Self::RedirectedMapped => (SocketKind::DUAL, SERVER_MAPPED),
                    _ => (SocketKind::V4, SERVER),
                };
                let at = if self == Self::RedirectedV6 { "[::1]:1001" } else { "127.0.0.1:1001" };
                let listener = m.w.listen_at(service, address(at)).unwrap();
                m.redirect_all(1, redirect(&m, Context::Padded(300)));
                let client = m.socket(kind);
                m.connect(client, to).unwrap();
                m.accept(listener)
            }
            Self::WithoutContext => m.redirected(redirect(&m, Context::None)).1,
            Self::BeforeUpdate | Self::Updated => {
                let listener = m.service_at(1001);
                let handle = socket(&mut m, SocketKind::V4);
                m.redirect_all(1, redirect(&m, Context::Padded(300)));
                m.connected(SERVER);
                m.w.accept_ex(service, listener, handle).unwrap();
                if self == Self::Updated {
                    m.w.update_accept_context(service, handle, listener).unwrap();
                }
                handle
            }
            Self::Reset => {
                let (client, handle) = m.redirected(redirect(&m, Context::Padded(300)));
                m.w.send(service, handle, b"never read").unwrap();
                m.w.closesocket(m.app, client).unwrap();
                handle
            }
        };
        (m, service, handle)
    }
}

fn redirect(m: &Machine, context: Context) -> Redirect {
    Redirect { context, ..Redirect::local(m.service.pid, both(1001)) }
}

/// A blob of one hop, which no connection belongs to any more.
fn stale_blob(profile: &Profile) -> Vec<u8> {
    use crate::ids::{FlowId, RedirectHandle};
    let entry = crate::Entry { handle: RedirectHandle(0x1000), context: None, flow: FlowId(999) };
    crate::Records::extended(None, &[entry], profile).blob().to_vec()
}

const POISON: u32 = 0xDEAD_BEEF;
const FILL: u8 = 0xEE;
const CANARY: u64 = 16;

/// Memory that is watched: what was put into it, and a canary behind it.
#[derive(Clone, Copy)]
struct Watched {
    pointer: Pointer,
    length: u64,
}

impl Watched {
    fn new(m: &mut Machine, caller: Caller, length: u64, content: &[u8]) -> Self {
        let pointer = m.w.allocate(caller, length + CANARY, FILL);
        assert!(m.w.write_memory(caller, pointer, content));
        Self { pointer, length }
    }

    /// The first bytes.
    fn start(self, m: &Machine, caller: Caller, length: u32) -> Vec<u8> {
        m.w.read_memory(caller, self.pointer, length).unwrap()
    }

    /// Whether nothing was written from `offset` on, the canary included.
    fn is_untouched_from(self, m: &Machine, caller: Caller, offset: u64) -> bool {
        let untouched = |from: u64, until: u64| {
            let length = u32::try_from(until - from).unwrap();
            m.w.read_memory(caller, self.pointer.offset(from), length)
                .unwrap()
                .iter()
                .all(|byte| *byte == FILL)
        };
        // Of 4 GiB both ends are enough: a write in between has to come from one of them.
        let end = self.length + CANARY;
        untouched(offset, end.min(offset + 4096)) && untouched(offset.max(end.saturating_sub(4096)), end)
    }
}

/// The result of a call, and the bytes-returned word, which was preset to a poison value.
fn call(
    m: &mut Machine,
    caller: Caller,
    socket: SocketHandle,
    code: ControlCode,
    buffers: IoctlBuffers,
) -> (Result<(), WinsockError>, u32) {
    let word = Watched::new(m, caller, 4, &POISON.to_le_bytes());
    let result =
        m.w.wsa_ioctl(caller, socket, code, &IoctlBuffers { bytes_returned: word.pointer, ..buffers });
    assert!(word.is_untouched_from(m, caller, 4), "the word has 4 bytes");
    let bytes: [u8; 4] = word.start(m, caller, 4).try_into().unwrap();
    (at_once(result), u32::from_le_bytes(bytes))
}

/// No buffers at all.
const NOTHING: IoctlBuffers = IoctlBuffers::NONE;
