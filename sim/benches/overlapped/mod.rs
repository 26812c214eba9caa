//! Overlapped control codes: completed at once, and after they went pending.

use criterion::{Criterion, Throughput};
use wfp_sim::{
    Caller, Completion, ControlCode, IoctlBuffers, PortHandle, SocketHandle, SocketKind, WinsockError,
};

use crate::chain::Chain;

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
/// Operations that are pending at once.
const PENDING: usize = 64;

/// A redirected connection, with a structure and buffers for each operation.
struct Asker {
    chain: Chain,
    service: Caller,
    socket: SocketHandle,
    port: PortHandle,
    calls: Vec<IoctlBuffers>,
}

impl Asker {
    fn new() -> Self {
        let mut chain = Chain::new(1);
        let client = chain.w.socket(chain.app, SocketKind::V4).expect("the process is there");
        chain.w.connect(chain.app, client, chain.destination, &mut ()).expect("it is redirected");
        let (service, socket) = chain.accept().expect("it was redirected");
        let port = chain.w.create_io_completion_port(service).expect("the process is there");
        let calls = (0..PENDING)
            .map(|_| {
                let output = chain.w.allocate(service, 128, 0);
                let word = chain.w.allocate(service, 4, 0);
                let event = chain.w.wsa_create_event(service).expect("the process is there");
                let overlapped = chain.w.allocate_overlapped(service, Some(event));
                IoctlBuffers { overlapped, ..IoctlBuffers::query(output, 128, word) }
            })
            .collect();
        Self { chain, service, socket, port, calls }
    }

    fn associate(&mut self) {
        let port = self.port;
        self.chain.w.associate_with_port(self.service, self.socket, port, 1).expect("it has none yet");
    }

    /// Each answered at once, and told of by its event.
    fn at_once(&mut self) {
        let Self { chain, service, socket, calls, .. } = self;
        for call in calls {
            let result = chain.w.wsa_ioctl(*service, *socket, RECORDS, call);
            assert_eq!(result, Ok(Completion::Done(())));
            let bytes = chain.w.wsa_get_overlapped_result(*service, *socket, call.overlapped, false);
            assert_eq!(bytes, Ok(Completion::Done(128)));
        }
    }

    /// All pending at once, then answered, then told of by the port.
    fn pended(&mut self) {
        let Self { chain, service, socket, port, calls } = self;
        chain.w.stall(*service, *socket).expect("it is a socket");
        for call in &*calls {
            let result = chain.w.wsa_ioctl(*service, *socket, RECORDS, call);
            assert_eq!(result, Err(WinsockError::WSA_IO_PENDING));
        }
        chain.w.resume(*service, *socket).expect("it is a socket");
        for call in &*calls {
            let packet = chain.w.get_queued_completion_status(*service, *port);
            assert_eq!(packet.map(|packet| packet.overlapped), Ok(call.overlapped));
        }
    }
}

pub(crate) fn completions(c: &mut Criterion) {
    let mut group = c.benchmark_group("overlapped queries for the records");
    group.throughput(Throughput::Elements(PENDING as u64));
    let mut asker = Asker::new();
    group.bench_function("at once, told by event and result", |b| b.iter(|| asker.at_once()));
    asker.associate();
    group.bench_function("64 pending, told by a completion port", |b| b.iter(|| asker.pended()));
}
