//! Calls on their way: made by one thread, and told by another.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use wfp_sim::WinsockError;

use super::tables::Tables;
use crate::vocabulary::{BackendFault, Inside, Name, Observation, Op, Outcome};

/// How long a call may take that waits for nobody: much longer than any does, but that a control code by its number
/// can wait all the same.
pub(super) const LANE_GRACE: Duration = Duration::from_secs(2);

/// Makes an observation of what a call gave, and names what is to be named.
pub(super) type Done =
    Box<dyn FnOnce(&mut Tables, Option<&Name>) -> Result<Observation, BackendFault> + Send>;

/// A call that can be made.
pub(super) struct Work {
    pub(super) by: By,
    /// After this long it counts as pending.
    pub(super) grace: Duration,
    pub(super) call: Box<dyn FnOnce() -> Done + Send>,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The thread of the scenario.
    Lane,
    /// A thread of its own.
    Helper,
}

/// What threads tell the one that keeps the tables.
pub(super) enum Event {
    /// A call has ended.
    Ended(u64, Done),
    /// A callback wants to make a call.
    Prepare(Op, Sender<Result<Work, BackendFault>>),
    /// A callback has made it.
    Done(Option<Name>, Done, Sender<Result<Observation, BackendFault>>),
}

/// Makes calls inside a callback, in its thread.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) sender: Sender<Event>,
    pub(super) process: Name,
    pub(super) thread: u32,
}

impl Inner {
    /// What came of the calls, up to the first that cannot be made.
    pub(super) fn make_all(&self, inside: &[Inside]) -> Vec<Result<Observation, BackendFault>> {
        let mut made = Vec::new();
        for call in inside {
            let result = self.make(call);
            let failed = result.is_err();
            made.push(result);
            if failed {
                break;
            }
        }
        made
    }

    fn make(&self, inside: &Inside) -> Result<Observation, BackendFault> {
        let op = Op {
            process: Name::clone(&self.process),
            thread: self.thread,
            name: inside.name.clone(),
            call: inside.op.clone(),
        };
        let gone = || BackendFault::Broken("the process is ending".to_owned());
        let (answer, prepared) = channel();
        self.sender.send(Event::Prepare(op, answer)).map_err(|_| gone())?;
        let work = prepared.recv().map_err(|_| gone())??;
        let done = (work.call)();
        let (answer, observed) = channel();
        self.sender.send(Event::Done(inside.name.clone(), done, answer)).map_err(|_| gone())?;
        observed.recv().map_err(|_| gone())?
    }
}

/// Success, or an error, and nothing else.
pub(super) fn done(result: Result<(), WinsockError>) -> Done {
    Box::new(move |_, _| Ok(observed(result)))
}

/// A call that cannot be made.
pub(super) fn cannot(fault: BackendFault) -> Done {
    Box::new(move |_, _| Err(fault))
}

pub(super) fn observed(result: Result<(), WinsockError>) -> Observation {
    Observation::new(result.map_or_else(Outcome::Error, |()| Outcome::Ok))
}
