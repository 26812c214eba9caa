//! The backend `diff:A,B`: two machines that are given the same calls, up to the first that they answer differently.
//!
//! Answers are compared by role. What differs from machine to machine (how many bytes are needed) and what is opaque
//! (the bytes of records and contexts) does not count; that something is there does. What the kernel did counts where
//! both show it.

use crate::only::Only;
use crate::run::PATIENCE;
use crate::vocabulary::{
    Backend, BackendFault, Call, Features, Identity, Name, Observation, Op, Outcome, Settings, Word,
};

/// Two backends as one: it answers as the first, and stops where the second answers something else.
pub struct Diff {
    first: Only<Box<dyn Backend>>,
    second: Only<Box<dyn Backend>>,
    settings: Option<Settings>,
    made: Vec<Op>,
    /// Where they differ: from there on nothing can be said of the two.
    difference: Option<BackendFault>,
}

/// Calls of a case up to the difference, over which the shortest way there is not looked for.
const LONGEST: usize = 200;

impl Diff {
    /// Compares `second` with `first`, in what both can do.
    #[must_use]
    pub fn new(first: Box<dyn Backend>, second: Box<dyn Backend>) -> Self {
        let common: Features = first.features().intersection(second.features()).copied().collect();
        let (first, second) = (Only::new(first, &common), Only::new(second, &common));
        Self { first, second, settings: None, made: Vec::new(), difference: None }
    }

    /// Makes a call on both; where they differ, both answers.
    fn both(&mut self, op: &Op) -> Result<Result<Observation, (Observation, Observation)>, BackendFault> {
        let mut first = self.first.apply(op);
        let mut second = self.second.apply(op);
        // A machine may take its time where the other has answered.
        match (&first, &second) {
            (Ok(a), Ok(b)) if is_pending(a) && !is_pending(b) => first = late(&mut self.first, op, first),
            (Ok(a), Ok(b)) if is_pending(b) && !is_pending(a) => second = late(&mut self.second, op, second),
            _ => {}
        }
        // What one cannot do, the two cannot be compared in.
        let unsupported = |answer: &Result<Observation, BackendFault>| match answer {
            Err(fault @ (BackendFault::Unsupported(_) | BackendFault::Broken(_))) => Some(fault.clone()),
            Ok(Observation { outcome: Outcome::Unsupported(what), .. }) => {
                Some(BackendFault::Unsupported(what.clone()))
            }
            _ => None,
        };
        if let Some(fault) = unsupported(&first).or_else(|| unsupported(&second)) {
            return Err(fault);
        }
        match (first, second) {
            (Ok(first), Ok(second)) if by_role(op, &first) == by_role(op, &second) => Ok(Ok(first)),
            (Ok(first), Ok(second)) => Ok(Err((first, second))),
            (Err(fault), Err(_)) => Err(fault),
            // What was made of an earlier call is there on one machine only: that call was answered differently.
            (Err(fault), Ok(_)) => {
                Err(BackendFault::Misuse(format!("on {} alone: {fault}", self.first.identify().name)))
            }
            (Ok(_), Err(fault)) => {
                Err(BackendFault::Misuse(format!("on {} alone: {fault}", self.second.identify().name)))
            }
        }
    }

    /// The fewest of the calls made so far, in their order, behind which `last` is still answered differently.
    fn shortest(&mut self, last: &Op) -> Vec<Op> {
        let mut ops = self.made.clone();
        if ops.len() > LONGEST || !self.differ(&ops, last) {
            return ops;
        }
        let mut at = ops.len();
        while at > 0 {
            at -= 1;
            let mut fewer = ops.clone();
            fewer.remove(at);
            if self.differ(&fewer, last) {
                ops = fewer;
            }
        }
        ops
    }

    /// Whether both answer these calls alike, and `last` differently.
    fn differ(&mut self, ops: &[Op], last: &Op) -> bool {
        let Some(settings) = &self.settings else { return false };
        if self.first.reset(settings).is_err() || self.second.reset(settings).is_err() {
            return false;
        }
        ops.iter().all(|op| matches!(self.both(op), Ok(Ok(_)))) && matches!(self.both(last), Ok(Err(_)))
    }
}

impl Backend for Diff {
    fn identify(&self) -> Identity {
        let (first, second) = (self.first.identify(), self.second.identify());
        Identity {
            name: format!("diff:{},{}", first.name, second.name),
            version: second.version,
            os: second.os.or(first.os),
        }
    }

    fn features(&self) -> &Features {
        self.first.features()
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.made.clear();
        self.difference = None;
        self.settings = Some(settings.clone());
        self.first.reset(settings)?;
        self.second.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        if let Some(difference) = &self.difference {
            return Err(difference.clone());
        }
        match self.both(op)? {
            Ok(observation) => {
                self.made.push(op.clone());
                Ok(observation)
            }
            Err((first, second)) => {
                let names = (self.first.identify().name, self.second.identify().name);
                let difference = BackendFault::Differs {
                    call: in_a_line(op),
                    first: format!("{}: {first}", names.0),
                    second: format!("{}: {second}", names.1),
                    behind: self.shortest(op).iter().map(in_a_line).collect(),
                };
                self.difference = Some(difference.clone());
                Err(difference)
            }
        }
    }
}

fn is_pending(observation: &Observation) -> bool {
    observation.outcome == Outcome::Pending
}

/// What comes of a call that has not returned yet.
fn late(
    machine: &mut dyn Backend,
    op: &Op,
    answer: Result<Observation, BackendFault>,
) -> Result<Observation, BackendFault> {
    let Some(name) = &op.name else { return answer };
    let call = Call::Wait { calls: vec![Name::clone(name)], limit: PATIENCE };
    let waited =
        machine.apply(&Op { process: Name::clone(&op.process), thread: op.thread, name: None, call })?;
    waited.completed.map_or(answer, |(_, result)| Ok(*result))
}

/// A call as a line: who calls, what, and how it is named.
fn in_a_line(op: &Op) -> String {
    let call = serde_json::to_string(&op.call).unwrap_or_else(|_| op.call.name().to_owned());
    let name = op.name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    match op.thread {
        0 => format!("{}: {call}{name}", op.process),
        thread => format!("{}, thread {thread}: {call}{name}", op.process),
    }
}

/// Stands for a word that holds the number of bytes that are needed.
const NEEDED: Word = Word::Value(u32::MAX);

/// An answer without what differs from machine to machine.
pub(crate) fn by_role(op: &Op, seen: &Observation) -> Observation {
    let mut seen = seen.clone();
    let is_received =
        matches!(op.call, Call::Receive { .. } | Call::ReceiveFrom { .. } | Call::ReceiveMessage(_));
    strip(&mut seen, !is_received);
    seen
}

fn strip(seen: &mut Observation, is_opaque: bool) {
    if let (Some(Word::Value(bytes)), Some(needed)) = (seen.bytes_returned, seen.needed)
        && bytes == needed
    {
        seen.bytes_returned = Some(NEEDED);
    }
    seen.needed = None;
    if let Some(hop) = &mut seen.hop {
        hop.delivered_bytes = 0;
    }
    let mark =
        |bytes: &mut std::sync::Arc<[u8]>| *bytes = if bytes.is_empty() { [].into() } else { [0].into() };
    if let Some(stored) = &mut seen.stored
        && is_opaque
    {
        mark(&mut stored.bytes);
    }
    for message in seen.control.iter_mut().flatten() {
        mark(&mut message.bytes);
    }
    let parts = seen.completed.iter_mut().map(|(_, result)| &mut **result);
    let parts = parts.chain(seen.called.iter_mut().map(|(_, told)| told)).chain(&mut seen.inside);
    for part in parts {
        // Whether the data of a call that has ended is opaque, its op said; it is not known here any more.
        strip(part, true);
    }
}
