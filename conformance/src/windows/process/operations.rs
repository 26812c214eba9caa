//! What becomes of control codes that go on: results, events, completion routines and ports, and what cancels them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use wfp_sim::WinsockError;

use super::control::Operation;
use super::tables::{Descriptor, Tables};
use super::work::{Done, Inner, Work, done};
use crate::vocabulary::{BackendFault, Call, Condition, Inside, Name, Observation, Op, Outcome, Word};
use crate::windows::system::{
    CompletionPort, Event, OverlappedMemory, Told, accept_conditionally, alertable_wait, cancel_blocking_call,
};

/// Completion routines that one alertable wait calls at most: a routine that asks again can go on for ever.
const ROUTINES: usize = 64;
/// How long a wait for an operation may take before it counts as one that goes on.
const RESULT_GRACE: Duration = Duration::from_millis(100);

type Made = Vec<Result<Observation, BackendFault>>;

impl Tables {
    /// An op about operations that go on.
    pub(super) fn operation_call(&mut self, op: &Op, inner: Inner) -> Result<Work, BackendFault> {
        match &op.call {
            Call::GetResult { of, wait } => {
                let operation = Arc::clone(self.operation(of)?);
                let (of, wait) = (Name::clone(of), *wait);
                let call = move || {
                    let result = overlapped_of(&operation, &of)
                        .map(|overlapped| overlapped.result(operation.call.socket, wait));
                    let done: Done = Box::new(move |tables, name| {
                        let observation = tables.transferred(&of, &operation, result?);
                        tables.name_output(name, &operation, &observation);
                        Ok(observation)
                    });
                    done
                };
                Ok(if wait { Work::helper(RESULT_GRACE, call) } else { Work::lane(call) })
            }
            Call::EventState { of } => {
                let operation = Arc::clone(self.operation(of)?);
                if overlapped_of(&operation, of)?.event().is_none() {
                    return Err(BackendFault::Misuse(format!("`{of}` has no event")));
                }
                Ok(Work::lane(move || {
                    let overlapped = operation.call.overlapped.as_ref();
                    let signaled =
                        overlapped.and_then(|overlapped| overlapped.event()).map(Event::is_signaled);
                    Box::new(move |_, _| {
                        Ok(match signaled.transpose() {
                            Ok(signaled) => Observation { signaled, ..Observation::new(Outcome::Ok) },
                            Err(error) => Observation::new(Outcome::Error(error)),
                        })
                    })
                }))
            }
            Call::AlertableWait { inside } => {
                let inside = inside.clone();
                Ok(Work::lane(move || wait_alertably(inner, inside)))
            }
            Call::AcceptConditionally { socket, inside, decides } => {
                let (listening, inside, decides) = (self.socket(socket)?, inside.clone(), *decides);
                Ok(Work::lane(move || accept_with_condition(listening, inner, inside, decides)))
            }
            Call::CreatePort {} => Ok(Work::lane(|| match CompletionPort::new() {
                Ok(port) => Box::new(move |tables, name| {
                    if let Some(name) = name {
                        tables.ports.insert(Name::clone(name), port);
                    }
                    Ok(Observation::new(Outcome::Ok))
                }),
                Err(error) => done(Err(error)),
            })),
            Call::Associate { socket, port } => {
                let (socket, port) = (self.socket(socket)?.socket, self.port(port)?);
                Ok(Work::lane(move || done(port.associate(socket))))
            }
            Call::Dequeue { port } => {
                let port = self.port(port)?;
                Ok(Work::lane(move || match port.dequeue() {
                    Ok(told) => Box::new(move |tables, _| {
                        let (name, told) = tables.told_of(told)?;
                        let completed = Some((name, Box::new(told)));
                        Ok(Observation { completed, ..Observation::new(Outcome::Ok) })
                    }),
                    Err(error) => done(Err(error)),
                }))
            }
            Call::CancelIo { socket, of } => {
                let socket = self.socket(socket)?.socket;
                let operation = match of {
                    Some(of) => Some(Arc::clone(self.operation(of)?)),
                    None => None,
                };
                Ok(Work::lane(move || {
                    let overlapped =
                        operation.as_ref().and_then(|operation| operation.call.overlapped.as_ref());
                    done(OverlappedMemory::cancel(socket, overlapped.map(|overlapped| &**overlapped)))
                }))
            }
            Call::CancelBlockingCall {} => Ok(Work::lane(|| done(cancel_blocking_call()))),
            Call::FreeMemory { of } => {
                if self.operation(of)?.goes_on() {
                    let what = format!("giving the memory of `{of}` back, which the system still writes to");
                    return Err(BackendFault::Unsupported(what));
                }
                self.operations.shift_remove(of);
                Ok(Work::lane(|| done(Ok(()))))
            }
            other => Err(BackendFault::Misuse(format!("`{}` is no call of operations", other.name()))),
        }
    }

    fn port(&self, name: &Name) -> Result<Arc<CompletionPort>, BackendFault> {
        let port = self.ports.get(name).cloned();
        port.ok_or_else(|| BackendFault::Misuse(format!("no completion port `{name}` was made")))
    }

    /// What a program makes of the end of an operation that transferred so many bytes. The result can be referred to
    /// by the operation's name.
    fn transferred(
        &mut self,
        of: &Name,
        operation: &Operation,
        result: Result<u32, WinsockError>,
    ) -> Observation {
        let word = result.ok().map(Word::Value);
        let observation = operation.observe_output(result.map(|_| ()), word);
        self.name_output(Some(of), operation, &observation);
        observation
    }

    /// What a routine or a port tells of an operation: of the last one, where several share the structure.
    fn told_of(&mut self, told: Told) -> Result<(Name, Observation), BackendFault> {
        let Told { error, bytes, overlapped } = told;
        let is_it = |operation: &Operation| {
            operation.call.overlapped.as_ref().is_some_and(|known| known.address() == overlapped)
        };
        let found = self.operations.iter().rev().find(|(_, operation)| is_it(operation));
        let Some((name, operation)) =
            found.map(|(name, operation)| (Name::clone(name), Arc::clone(operation)))
        else {
            return Err(BackendFault::Misuse("an operation without a name has ended".to_owned()));
        };
        let mut observed = self.transferred(&name, &operation, error.map_or(Ok(bytes), Err));
        observed.bytes_returned = Some(Word::Value(bytes));
        Ok((name, observed))
    }
}

fn overlapped_of<'a>(operation: &'a Operation, of: &Name) -> Result<&'a OverlappedMemory, BackendFault> {
    let overlapped = operation.call.overlapped.as_deref();
    overlapped.ok_or_else(|| BackendFault::Misuse(format!("`{of}` is not overlapped")))
}

fn wait_alertably(inner: Inner, inside: Vec<Inside>) -> Done {
    let called: Rc<RefCell<(Vec<Told>, Made)>> = Rc::default();
    let each = Rc::clone(&called);
    alertable_wait(ROUTINES, move |told| {
        let made = inner.make_all(&inside);
        let mut each = each.borrow_mut();
        each.0.push(told);
        each.1.extend(made);
    });
    let (called, made) = called.take();
    Box::new(move |tables, _| {
        let mut observation = Observation::new(Outcome::Ok);
        for told in called {
            observation.called.push(tables.told_of(told)?);
        }
        observation.inside = made.into_iter().collect::<Result<_, _>>()?;
        Ok(observation)
    })
}

fn accept_with_condition(
    listening: Descriptor,
    inner: Inner,
    inside: Vec<Inside>,
    decides: Condition,
) -> Done {
    let made: Rc<RefCell<Made>> = Rc::default();
    let each = Rc::clone(&made);
    let accepted = accept_conditionally(listening.socket, move || {
        let of_this = inner.make_all(&inside);
        each.borrow_mut().extend(of_this);
        decides
    });
    let made = made.take();
    Box::new(move |tables, name| {
        let mut observation = Observation::new(Outcome::Ok);
        observation.inside = made.into_iter().collect::<Result<_, _>>()?;
        match accepted {
            Ok(socket) => {
                tables.name_socket(name, Descriptor::new(socket, listening.family, listening.protocol));
            }
            Err(error) => observation.outcome = Outcome::Error(error),
        }
        Ok(observation)
    })
}
