//! One service with one connection: what it asks, what it decides, and how it dials on.

use std::sync::Arc;

use wfp_sim::WinsockError;

use super::service::{Ask, AskOn, Destination, OnError, OnRetry, RecordsFrom, Service, SetWhen};
use super::{CONNECT, Carried, Dialled, End, Follower, HopReport, Listener, Note, Result, apply};
use crate::vocabulary::{
    Backend, BackendFault, Call, Dial, Endpoint, Length, Name, Output, Place, Query, SetRecords,
    SocketFamily, Word,
};

/// A service with a connection, on its way out.
pub(super) struct Serving {
    name: Name,
    service: Arc<Service>,
    process: Name,
    /// The records that it is to set.
    records: Option<Name>,
    carried: Carried,
    dial: Dial,
    learned: SocketFamily,
    /// Which of the families that it dials is next.
    pub(super) attempt: usize,
    /// The socket of the latest attempt.
    socket: Name,
}

/// What a service decided.
pub(super) enum Decided<T> {
    GoesOn(T),
    Ends(End),
}

impl Follower {
    /// A service accepted a connection: it asks, and decides whether it dials.
    pub(super) fn serve(
        &mut self,
        backend: &mut dyn Backend,
        name: &Name,
        listener: usize,
        accepted: &Name,
        hop: &mut HopReport,
    ) -> Result<Decided<Serving>> {
        let Some(service) = self.services.get(name).cloned() else {
            return Err(BackendFault::Broken(format!("there is no service `{name}`")));
        };
        let Listener { process, socket, .. } = &self.listeners[listener];
        let process = Name::clone(process);
        let asked = match service.ask_on {
            AskOn::Accepted => Name::clone(accepted),
            AskOn::Listening => Name::clone(socket),
        };
        // Without a destination there is nothing to dial.
        let give_up = service.on_error.ends().unwrap_or(End::Closed);

        let own = self.fresh_name(&format!("{name}/records"));
        let mut carried = Carried::Never;
        let mut records = None;
        if service.records != Ask::Never {
            let answer = ask(backend, &process, &asked, &own, &service.records, Call::QueryRecords)?;
            hop.then.push(Note::Records(answer));
            match answer {
                Ok(_) => {
                    carried = Carried::Set(service.set);
                    records = Some(own);
                }
                Err(_) if service.on_error != OnError::Dial => return Ok(Decided::Ends(give_up)),
                Err(_) => {
                    let there = hop.hop.as_ref().is_some_and(|hop| !hop.delivered.is_empty());
                    let short = there && service.ask_on == AskOn::Accepted;
                    carried = if short { Carried::TooSmall } else { Carried::Failed };
                }
            }
        }
        let dial = match &service.destination {
            Destination::Fixed(endpoint) => Dial::Endpoint(endpoint.clone()),
            Destination::Context => {
                let context = self.fresh_name(&format!("{name}/context"));
                let answer = ask(backend, &process, &asked, &context, &service.context, Call::QueryContext)?;
                hop.then.push(Note::Context(answer));
                if answer.is_err() {
                    return Ok(Decided::Ends(give_up));
                }
                Dial::Context(context)
            }
        };
        if service.records_from == RecordsFrom::Pooled
            && let Some(own) = records
        {
            let pooled = self.pooled.entry(Name::clone(name)).or_insert_with(|| Name::clone(&own));
            if *pooled != own {
                carried = Carried::Foreign;
            }
            records = Some(Name::clone(pooled));
        }
        match service.set {
            SetWhen::Never => {
                carried = Carried::Never;
                records = None;
            }
            SetWhen::AfterConnect if records.is_some() => carried = Carried::TooLate,
            _ => {}
        }
        let name = Name::clone(name);
        let socket = Name::clone(&name);
        let learned = hop.family;
        Ok(Decided::GoesOn(Serving {
            name,
            service,
            process,
            records,
            carried,
            dial,
            learned,
            attempt: 0,
            socket,
        }))
    }

    pub(super) fn dial_on(
        &mut self,
        backend: &mut dyn Backend,
        serving: &mut Serving,
        opened: &mut Vec<(Name, Name)>,
        notes: &mut Vec<Note>,
    ) -> Result<Decided<Dialled>> {
        let service = Arc::clone(&serving.service);
        let process = Name::clone(service.dial_process.as_ref().unwrap_or(&serving.process));
        let (own, written) =
            service.dial.get(serving.attempt).copied().unwrap_or_default().families(serving.learned);
        let socket = self.fresh_name(&format!("{}/onward", serving.name));
        serving.socket = Name::clone(&socket);
        let call = Call::Socket { family: own, overlapped: true, nonblocking: false };
        apply(backend, &process, Some(&socket), call)?;
        opened.push((Name::clone(&process), Name::clone(&socket)));

        let mut carried = serving.carried;
        for step in [SetWhen::BeforeBind, SetWhen::BeforeConnect] {
            if let (SetWhen::BeforeConnect, Some(bind)) = (step, &service.bind) {
                let mapped = written == SocketFamily::Dual;
                let call = Call::Bind { socket: Name::clone(&socket), to: bind.clone(), mapped };
                if let Some(error) = apply(backend, &process, None, call)?.error() {
                    notes.push(Note::NotBound(error));
                    if let Some(end) = service.on_error.ends() {
                        return Ok(Decided::Ends(end));
                    }
                }
            }
            let Some(records) = serving.records.as_ref().filter(|_| service.set == step) else { continue };
            let result = set_records(backend, &process, &socket, records)?;
            notes.push(Note::Set(step, result));
            if result.is_err() {
                carried = Carried::Failed;
                if let Some(end) = service.on_error.ends() {
                    return Ok(Decided::Ends(end));
                }
            }
        }
        let call = Call::Connect { socket, to: serving.dial.clone(), family: Some(written), ex: false };
        let observation = apply(backend, &process, Some(&CONNECT.into()), call)?;
        let to = match (&serving.dial, &observation.hop) {
            (Dial::Endpoint(endpoint), _) => endpoint.clone(),
            (Dial::Context(_), Some(hop)) => hop.destination.clone(),
            (Dial::Context(context), None) => {
                Endpoint { place: Place::Host(Name::clone(context)), port: None }
            }
        };
        let by = Name::clone(&serving.name);
        Ok(Decided::GoesOn(Dialled { by, process, to, family: written, carried, observation }))
    }
}

impl Serving {
    /// The next family that the service dials, on a fresh socket.
    pub(super) fn next_attempt(mut self) -> Option<Self> {
        self.attempt += 1;
        if self.attempt >= self.service.dial.len() {
            return None;
        }
        if self.service.on_retry == OnRetry::Forget {
            self.records = None;
            self.carried = Carried::Never;
        }
        Some(self)
    }
}

/// A service that sets the records when it is too late does so now.
pub(super) fn set_late(
    backend: &mut dyn Backend,
    serving: &mut Serving,
    notes: Option<&mut Vec<Note>>,
) -> Result<()> {
    if serving.service.set != SetWhen::AfterConnect {
        return Ok(());
    }
    let Some(records) = serving.records.take() else { return Ok(()) };
    let process = serving.service.dial_process.as_ref().unwrap_or(&serving.process);
    let result = set_records(backend, process, &serving.socket, &records)?;
    if let Some(notes) = notes {
        notes.push(Note::Set(SetWhen::AfterConnect, result));
    }
    Ok(())
}

fn set_records(
    backend: &mut dyn Backend,
    process: &Name,
    socket: &Name,
    records: &Name,
) -> Result<std::result::Result<(), WinsockError>> {
    let call = Call::SetRecords(SetRecords::of(Name::clone(socket), Name::clone(records)));
    Ok(apply(backend, process, None, call)?.error().map_or(Ok(()), Err))
}

/// Asks for records or context as a service does, and names what comes.
fn ask(
    backend: &mut dyn Backend,
    process: &Name,
    socket: &Name,
    name: &Name,
    how: &Ask,
    call: fn(Query) -> Call,
) -> Result<std::result::Result<u32, WinsockError>> {
    let mut query = |length: u32| -> Result<(std::result::Result<u32, WinsockError>, u32)> {
        let out = Output { length: Length::Bytes(length), ..Output::default() };
        let query = Query { out, ..Query::of(Name::clone(socket)) };
        let observation = apply(backend, process, Some(name), call(query))?;
        let told = match observation.bytes_returned {
            Some(Word::Value(bytes)) => bytes,
            _ => 0,
        };
        Ok((observation.error().map_or(Ok(told), Err), told))
    };
    match how {
        Ask::Never => Ok(Err(WinsockError::WSAEINVAL)),
        Ask::Fixed(length) => Ok(query(*length)?.0),
        Ask::SizeQuery => match query(0)? {
            (Err(_), told) if told > 0 => Ok(query(told)?.0),
            (result, _) => Ok(result),
        },
        Ask::Grow(grow) => {
            let mut length = grow.from;
            loop {
                let (result, told) = query(length)?;
                let grows = result.is_err_and(|error| grow.errors.iter().any(|name| name.0 == error));
                let next = if told > length { told } else { length.saturating_mul(2).max(1) };
                if !grows || length >= grow.to {
                    return Ok(result);
                }
                length = next.min(grow.to);
            }
        }
    }
}
