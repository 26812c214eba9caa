//! What becomes of control codes that go on: results, events, completion routines and ports, and what cancels them.

use wfp_sim::{Caller, Completion, Decided, Pointer, PortHandle, WinsockError};

use super::control::Asked;
use super::{Pending, SimBackend, Socket};
use crate::vocabulary::{
    BackendFault, Call, Condition, Inside, Name, Observation, Op, Outcome, SocketFamily, Word,
};

/// Completion routines that one alertable wait calls at most: a routine that asks again can go on for ever.
const ROUTINES: usize = 64;

impl SimBackend {
    /// An op about operations that go on.
    pub(super) fn operation_call(&mut self, caller: Caller, op: &Op) -> Result<Observation, BackendFault> {
        let result = match &op.call {
            Call::Stall { socket } => self.world.stall(caller, self.socket(socket)?.handle),
            Call::Resume { socket } => self.world.resume(caller, self.socket(socket)?.handle),
            Call::GetResult { of, wait } => return self.get_result(caller, op, of, *wait),
            Call::EventState { of } => {
                let event = self.operation(of)?.event;
                let Some(event) = event else {
                    return Err(BackendFault::Misuse(format!("`{of}` has no event")));
                };
                match self.world.is_signaled(caller, event) {
                    Ok(signaled) => {
                        let signaled = Some(signaled);
                        return Ok(Observation { signaled, ..Observation::new(Outcome::Ok) });
                    }
                    Err(error) => Err(error),
                }
            }
            Call::AlertableWait { inside } => return self.alertable_wait(caller, op, inside),
            Call::AcceptConditionally { socket, inside, decides } => {
                return self.accept_conditionally(caller, op, socket, inside, *decides);
            }
            Call::CreatePort {} => {
                let port = self.world.create_io_completion_port(caller);
                if let (Ok(port), Some(name)) = (port, &op.name) {
                    self.ports.insert(Name::clone(name), port);
                }
                port.map(|_| ())
            }
            Call::Associate { socket, port } => {
                let (socket, port) = (self.socket(socket)?.handle, self.port(port)?);
                self.world.associate_with_port(caller, socket, port, 0)
            }
            Call::Dequeue { port } => return self.dequeue(caller, port),
            Call::CancelIo { socket, of } => {
                let overlapped = match of {
                    Some(of) => self.operation(of)?.overlapped,
                    None => Pointer::NULL,
                };
                self.world.cancel_io_ex(caller, self.socket(socket)?.handle, overlapped)
            }
            Call::CancelBlockingCall {} => self.world.wsa_cancel_blocking_call(caller),
            Call::FreeMemory { of } => {
                if !self.free_of_irp(of) {
                    let memory = self.operation(of)?.memory.clone();
                    self.free(caller, memory);
                }
                Ok(())
            }
            Call::EndThread {} => {
                self.world.end_thread(caller);
                // Named again, it is a new one.
                if self.world.image(caller.pid).is_none() {
                    self.threads.remove(&op.process);
                } else if let Some(threads) = self.threads.get_mut(&op.process) {
                    threads.remove(&op.thread);
                }
                Ok(())
            }
            other => return Ok(Observation::new(Outcome::Unsupported(format!("`{}`", other.name())))),
        };
        Ok(Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok)))
    }

    pub(super) fn operation(&self, name: &Name) -> Result<&Asked, BackendFault> {
        self.operations
            .get(name)
            .ok_or_else(|| BackendFault::Misuse(format!("`{name}` is no operation that was begun")))
    }

    fn port(&self, name: &Name) -> Result<PortHandle, BackendFault> {
        self.ports
            .get(name)
            .copied()
            .ok_or_else(|| BackendFault::Misuse(format!("no completion port `{name}` was made")))
    }

    fn get_result(
        &mut self,
        caller: Caller,
        op: &Op,
        of: &Name,
        wait: bool,
    ) -> Result<Observation, BackendFault> {
        let asked = self.operation(of)?.clone();
        match self.world.wsa_get_overlapped_result(caller, asked.socket, asked.overlapped, wait) {
            Ok(Completion::Pending(id)) => {
                let pending =
                    Pending { id, family: SocketFamily::default(), asked: Some(asked), receiving: None };
                Ok(self.name_pending(op, pending))
            }
            Ok(Completion::Done(bytes)) => Ok(self.transferred(of, op.name.as_ref(), &asked, Ok(bytes))),
            Err(error) => Ok(self.transferred(of, op.name.as_ref(), &asked, Err(error))),
        }
    }

    /// What a program makes of the end of an operation that transferred so many bytes. The result can be referred to
    /// by the operation's name, and by that of the call that told it.
    pub(super) fn transferred(
        &mut self,
        of: &Name,
        name: Option<&Name>,
        asked: &Asked,
        result: Result<u32, WinsockError>,
    ) -> Observation {
        let word = result.ok().map(Word::Value);
        let observation = self.observe_output(asked, result.map(|_| ()), word);
        for name in std::iter::once(of).chain(name) {
            self.name_output(name, asked, &observation);
        }
        observation
    }

    /// The operation whose structure this is; the last one, where several share it.
    fn operation_at(&self, overlapped: Pointer) -> Option<(Name, Asked)> {
        let mut found = self.operations.iter().filter(|(_, asked)| asked.overlapped == overlapped);
        let first = found.next()?;
        let last = found.fold(first, |last, next| if next.0 > last.0 { next } else { last });
        Some((Name::clone(last.0), last.1.clone()))
    }

    /// What a routine or a port tells of an operation.
    fn told_of(
        &mut self,
        overlapped: Pointer,
        error: Option<WinsockError>,
        bytes: u32,
    ) -> Result<(Name, Observation), BackendFault> {
        let Some((name, asked)) = self.operation_at(overlapped) else {
            return Err(BackendFault::Misuse("an operation without a name has ended".to_owned()));
        };
        let mut told = self.transferred(&name, None, &asked, error.map_or(Ok(bytes), Err));
        told.bytes_returned = Some(Word::Value(bytes));
        Ok((name, told))
    }

    fn dequeue(&mut self, caller: Caller, port: &Name) -> Result<Observation, BackendFault> {
        match self.world.get_queued_completion_status(caller, self.port(port)?) {
            Ok(packet) => {
                let (name, told) = self.told_of(packet.overlapped, packet.result.err(), packet.bytes)?;
                let completed = Some((name, Box::new(told)));
                Ok(Observation { completed, ..Observation::new(Outcome::Ok) })
            }
            Err(error) => Ok(Observation::new(Outcome::Error(error))),
        }
    }

    fn alertable_wait(
        &mut self,
        caller: Caller,
        op: &Op,
        inside: &[Inside],
    ) -> Result<Observation, BackendFault> {
        let mut observation = Observation::new(Outcome::Ok);
        while let Some(call) = self.world.alertable_wait(caller) {
            let told = self.told_of(call.overlapped, call.error, call.bytes)?;
            observation.called.push(told);
            self.inside(op, inside, &mut observation)?;
            self.world.return_from_routine(caller);
            if observation.called.len() == ROUTINES {
                break;
            }
        }
        Ok(observation)
    }

    fn accept_conditionally(
        &mut self,
        caller: Caller,
        op: &Op,
        socket: &Name,
        inside: &[Inside],
        decides: Condition,
    ) -> Result<Observation, BackendFault> {
        let socket = self.socket(socket)?;
        if let Err(error) = self.world.begin_condition_function(caller, socket.handle) {
            return Ok(Observation::new(Outcome::Error(error)));
        }
        let mut observation = Observation::new(Outcome::Ok);
        self.inside(op, inside, &mut observation)?;
        let answer = match decides {
            Condition::Accept => Decided::Accept,
            Condition::Reject => Decided::Reject,
            Condition::Defer => Decided::Defer,
        };
        match self.world.end_condition_function(caller, socket.handle, answer) {
            Ok(handle) => self.name_socket(op.name.as_ref(), Socket { handle, ..socket }),
            Err(error) => observation.outcome = Outcome::Error(error),
        }
        Ok(observation)
    }

    /// Makes the calls of a callback, in its thread.
    fn inside(
        &mut self,
        op: &Op,
        inside: &[Inside],
        observation: &mut Observation,
    ) -> Result<(), BackendFault> {
        for Inside { name, op: call } in inside {
            let op = Op {
                process: Name::clone(&op.process),
                thread: op.thread,
                name: name.clone(),
                call: call.clone(),
            };
            observation.inside.push(self.call(&op)?);
        }
        Ok(())
    }
}
