//! Random calls about control codes that go on: stalled sockets, events, ports, routines, what cancels and interrupts.

use proptest::prelude::*;
use proptest::sample::select;
use wfp_sim::{Decided, EventHandle, PortHandle, SpiPointers};

use crate::calls::{Pick, Place, Wanted, pick, place};
use crate::run::{Run, at};

#[derive(Clone, Debug)]
pub(crate) enum Operate {
    Stall {
        socket: Pick,
    },
    Resume {
        socket: Pick,
    },
    CreateEvent {
        process: Place,
    },
    SignalEvent {
        process: Place,
        event: Place,
        signaled: bool,
    },
    CloseEvent {
        process: Place,
        event: Place,
    },
    /// A `WSAOVERLAPPED`.
    Structure {
        process: Place,
        event: Option<Place>,
    },
    Result {
        socket: Pick,
        structure: Place,
        wait: bool,
    },
    Cancel {
        socket: Pick,
        structure: Place,
    },
    CancelBlocking {
        process: Place,
    },
    EndThread {
        process: Place,
    },
    Alertable {
        process: Place,
    },
    Return {
        process: Place,
    },
    CreatePort {
        process: Place,
    },
    ClosePort {
        process: Place,
        port: Place,
    },
    Associate {
        socket: Pick,
        port: Place,
    },
    Dequeue {
        process: Place,
        port: Place,
    },
    BeginCondition {
        listening: Pick,
    },
    EndCondition {
        listening: Pick,
        decided: Decided,
    },
    Network {
        down: bool,
    },
}

pub(crate) fn operate() -> impl Strategy<Value = Operate> {
    use Operate::{
        Alertable, Associate, Cancel, CancelBlocking, Dequeue, EndThread, Network, Resume, Return, Stall,
    };
    use Wanted::{Accepted, Any, Listening};
    let decided = select(vec![Decided::Accept, Decided::Reject, Decided::Defer]);
    let overlapped = prop_oneof![
        8 => pick(Accepted).prop_map(|socket| Stall { socket }),
        2 => pick(Any).prop_map(|socket| Stall { socket }),
        6 => pick(Any).prop_map(|socket| Resume { socket }),
        6 => (place(), proptest::option::of(place()))
            .prop_map(|(process, event)| Operate::Structure { process, event }),
        4 => (pick(Accepted), place(), any::<bool>())
            .prop_map(|(socket, structure, wait)| Operate::Result { socket, structure, wait }),
        3 => (pick(Any), place()).prop_map(|(socket, structure)| Cancel { socket, structure }),
        4 => place().prop_map(|process| Alertable { process }),
        2 => place().prop_map(|process| Return { process }),
    ];
    let objects = prop_oneof![
        3 => place().prop_map(|process| Operate::CreateEvent { process }),
        2 => (place(), place(), any::<bool>())
            .prop_map(|(process, event, signaled)| Operate::SignalEvent { process, event, signaled }),
        1 => (place(), place()).prop_map(|(process, event)| Operate::CloseEvent { process, event }),
        2 => place().prop_map(|process| Operate::CreatePort { process }),
        1 => (place(), place()).prop_map(|(process, port)| Operate::ClosePort { process, port }),
        3 => (pick(Accepted), place()).prop_map(|(socket, port)| Associate { socket, port }),
        3 => (place(), place()).prop_map(|(process, port)| Dequeue { process, port }),
    ];
    let rare = prop_oneof![
        2 => place().prop_map(|process| CancelBlocking { process }),
        1 => place().prop_map(|process| EndThread { process }),
        3 => pick(Listening).prop_map(|listening| Operate::BeginCondition { listening }),
        3 => (pick(Listening), decided)
            .prop_map(|(listening, decided)| Operate::EndCondition { listening, decided }),
        1 => Just(Network { down: true }),
        3 => Just(Network { down: false }),
    ];
    prop_oneof![6 => overlapped, 3 => objects, 1 => rare]
}

impl Run {
    pub(crate) fn operate(&mut self, operate: &Operate) -> String {
        match *operate {
            Operate::Stall { socket } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.stall(caller, socket))
            }
            Operate::Resume { socket } => {
                let (caller, socket) = self.pick(socket);
                format!("{:?}", self.w.resume(caller, socket))
            }
            Operate::CreateEvent { process } => {
                let event = self.w.wsa_create_event(self.caller(process));
                self.events.extend(event.ok());
                format!("{event:?}")
            }
            Operate::SignalEvent { process, event, signaled } => {
                let (caller, event) = (self.caller(process), at(&self.events, event));
                let signals =
                    if signaled { wfp_sim::World::wsa_set_event } else { wfp_sim::World::wsa_reset_event };
                let result = signals(&mut self.w, caller, event);
                let expected = result.map(|()| signaled);
                assert_eq!(self.w.is_signaled(caller, event), expected);
                format!("{result:?}")
            }
            Operate::CloseEvent { process, event } => {
                let (caller, event) = (self.caller(process), at(&self.events, event));
                format!("{:?}", self.w.wsa_close_event(caller, event))
            }
            Operate::Structure { process, event } => {
                let event = event.map(|event| at(&self.events, event));
                let structure = self.w.allocate_overlapped(self.caller(process), event);
                self.pointers.push(structure);
                format!("{structure:?}")
            }
            Operate::Result { socket, structure, wait } => {
                let ((caller, socket), structure) = (self.pick(socket), at(&self.pointers, structure));
                let result = self.w.wsa_get_overlapped_result(caller, socket, structure, wait);
                self.wait_for(caller, &result)
            }
            Operate::Cancel { socket, structure } => {
                let ((caller, socket), structure) = (self.pick(socket), at(&self.pointers, structure));
                format!("{:?}", self.w.cancel_io_ex(caller, socket, structure))
            }
            Operate::CancelBlocking { process } => {
                format!("{:?}", self.w.wsa_cancel_blocking_call(self.caller(process)))
            }
            Operate::EndThread { process } => format!("{:?}", self.w.end_thread(self.caller(process))),
            Operate::Alertable { process } => format!("{:?}", self.w.alertable_wait(self.caller(process))),
            Operate::Return { process } => format!("{:?}", self.w.return_from_routine(self.caller(process))),
            Operate::CreatePort { process } => {
                let port = self.w.create_io_completion_port(self.caller(process));
                self.ports.extend(port.ok());
                format!("{port:?}")
            }
            Operate::ClosePort { process, port } => {
                let (caller, port) = (self.caller(process), at(&self.ports, port));
                format!("{:?}", self.w.close_port(caller, port))
            }
            Operate::Associate { socket, port } => {
                let ((caller, socket), port) = (self.pick(socket), at(&self.ports, port));
                format!("{:?}", self.w.associate_with_port(caller, socket, port, 7))
            }
            Operate::Dequeue { process, port } => {
                let (caller, port) = (self.caller(process), at(&self.ports, port));
                format!("{:?}", self.w.get_queued_completion_status(caller, port))
            }
            Operate::BeginCondition { listening } => {
                let (caller, listening) = self.pick(listening);
                format!("{:?}", self.w.begin_condition_function(caller, listening))
            }
            Operate::EndCondition { listening, decided } => {
                let (caller, listening) = self.pick(listening);
                let result = self.w.end_condition_function(caller, listening, decided);
                self.opened(caller, result)
            }
            Operate::Network { down } => {
                self.w.set_network_down(down);
                format!("{down}")
            }
        }
    }
}

/// What a run knows of such objects at its start: handles that were never given.
pub(crate) fn unknown() -> (Vec<EventHandle>, Vec<PortHandle>) {
    (vec![EventHandle(0), EventHandle(u64::MAX)], vec![PortHandle(0), PortHandle(u64::MAX)])
}

/// `WSPIoctl` is told these.
pub(crate) fn spi(run: &Run, thread_id: Place, errno: Place) -> SpiPointers {
    SpiPointers { thread_id: at(&run.pointers, thread_id), errno: at(&run.pointers, errno) }
}
