//! One service with one connection: what it asks, what it decides, and how it dials on.

use std::sync::Arc;

use wfp_sim::WinsockError;

use super::ask::{Ask, Unanswered, ask};
use super::service::{AskOn, Destination, OnError, OnRetry, RecordsFrom, Service, SetLength, SetWhen};
use super::{CONNECT, Carried, Dialled, End, Follower, HopReport, Listener, Note, Result, Transport, apply};
use crate::vocabulary::{
    Backend, BackendFault, Call, Dial, Endpoint, Input, Length, Name, Observation, Place, SetRecords,
    SocketFamily,
};

/// A service with a connection, on its way out.
pub(super) struct Serving {
    name: Name,
    service: Arc<Service>,
    process: Name,
    /// The records that it is to set.
    records: Option<Name>,
    /// How many bytes of them.
    set_length: Length,
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
    /// A service that pools carries the first records that it ever fetched, whosever these are.
    pub(super) fn pool(
        &mut self,
        name: &Name,
        service: &Service,
        records: &mut Option<Name>,
        carried: &mut Carried,
    ) {
        let Some(own) = records else { return };
        if service.records_from == RecordsFrom::Pooled {
            let pooled = self.pooled.entry(Name::clone(name)).or_insert_with(|| Name::clone(own));
            if pooled != own {
                *carried = Carried::Foreign;
            }
            *own = Name::clone(pooled);
        }
    }

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
        let mut set_length = Length::Needed(0);
        if service.records != Ask::Never {
            let answer = ask(backend, &process, &asked, &own, &service.records, Call::QueryRecords)?;
            hop.then.push(Note::Records(answer.map(|got| got.bytes)));
            match answer {
                Ok(got) => {
                    carried = Carried::Set(service.set);
                    records = Some(own);
                    if service.set_length == SetLength::Buffer {
                        set_length = Length::Bytes(got.buffer);
                        // Bytes that follow no record make it one that nobody ever fetched.
                        carried = if got.buffer == got.bytes { carried } else { Carried::Foreign };
                    }
                }
                Err(why) if service.takes_for_its_own(why) => return Ok(serves_itself(&service, hop)),
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
            Destination::OriginalDst => {
                let told = self.fresh_name(&format!("{name}/original-destination"));
                let call = Call::original_destination(asked);
                let error = apply(backend, &process, Some(&told), call)?.error();
                hop.then.push(Note::OriginalDestination(error.map_or(Ok(()), Err)));
                if error.is_some() {
                    return Ok(Decided::Ends(give_up));
                }
                Dial::Context(told)
            }
            Destination::Context => {
                let context = self.fresh_name(&format!("{name}/context"));
                let answer = ask(backend, &process, &asked, &context, &service.context, Call::QueryContext)?;
                hop.then.push(Note::Context(answer.map(|got| got.bytes)));
                match answer {
                    Ok(_) => Dial::Context(context),
                    Err(why) if service.takes_for_its_own(why) => return Ok(serves_itself(&service, hop)),
                    Err(_) => return Ok(Decided::Ends(give_up)),
                }
            }
        };
        self.pool(name, &service, &mut records, &mut carried);
        match service.set {
            SetWhen::Never => {
                carried = Carried::Never;
                records = None;
            }
            SetWhen::AfterConnect if records.is_some() => carried = Carried::TooLate,
            _ => {}
        }
        let serving = Serving::new(name, service, process, records, carried, dial, hop.family);
        Ok(Decided::GoesOn(Serving { set_length, ..serving }))
    }

    pub(super) fn dial_on(
        &mut self,
        backend: &mut dyn Backend,
        serving: &mut Serving,
        opened: &mut Vec<(Name, Name)>,
        notes: &mut Vec<Note>,
    ) -> Result<Decided<Dialled>> {
        if serving.service.protocol == Transport::Udp {
            return self.send_on(backend, serving, opened, notes);
        }
        let (service, process, (own, written)) = serving.next_dial();
        let socket = self.fresh_name(&format!("{}/onward", serving.name));
        serving.socket = Name::clone(&socket);
        let call = Call::socket(own);
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
            let result = set_records(backend, &process, &socket, records, serving.set_length)?;
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
        Ok(Decided::GoesOn(serving.dialled(process, written, carried, observation)))
    }
}

impl Service {
    /// Whether it takes a query that failed so for one on a connection that was not redirected.
    fn takes_for_its_own(&self, why: Unanswered) -> bool {
        matches!(why, Unanswered::Error(error) if self.not_redirected.has(error))
    }
}

/// A service takes a connection for one that a client made to it on purpose, rightly or not.
fn serves_itself<T>(service: &Service, hop: &mut HopReport) -> Decided<T> {
    hop.then.push(Note::ServesItself);
    Decided::Ends(if service.is_at(&hop.to) { End::Reached } else { End::WrongDestination })
}

impl Serving {
    pub(super) fn new(
        name: &Name,
        service: Arc<Service>,
        process: Name,
        records: Option<Name>,
        carried: Carried,
        dial: Dial,
        learned: SocketFamily,
    ) -> Self {
        let (name, socket) = (Name::clone(name), Name::clone(name));
        let set_length = Length::Needed(0);
        Self { name, service, process, records, set_length, carried, dial, learned, attempt: 0, socket }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn dial(&self) -> &Dial {
        &self.dial
    }

    pub(super) fn records(&self) -> Option<&Name> {
        self.records.as_ref()
    }

    pub(super) fn carried(&self) -> Carried {
        self.carried
    }

    /// The service, the process that dials, and the families of the next attempt: the socket's, and that of the
    /// destination's address.
    pub(super) fn next_dial(&self) -> (Arc<Service>, Name, (SocketFamily, SocketFamily)) {
        let service = Arc::clone(&self.service);
        let process = Name::clone(service.dial_process.as_ref().unwrap_or(&self.process));
        let families = service.dial.get(self.attempt).copied().unwrap_or_default().families(self.learned);
        (service, process, families)
    }

    /// What came of an attempt.
    pub(super) fn dialled(
        &self,
        process: Name,
        family: SocketFamily,
        carried: Carried,
        observation: Observation,
    ) -> Dialled {
        let to = match (&self.dial, &observation.hop) {
            (Dial::Endpoint(endpoint), _) => endpoint.clone(),
            (Dial::Context(_) | Dial::Source(_), Some(hop)) => hop.destination.clone(),
            (Dial::Context(name) | Dial::Source(name), None) => {
                Endpoint { place: Place::Host(Name::clone(name)), port: None }
            }
        };
        Dialled { by: Name::clone(&self.name), process, to, family, carried, at_connect: None, observation }
    }

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
    let result = set_records(backend, process, &serving.socket, &records, serving.set_length)?;
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
    length: Length,
) -> Result<std::result::Result<(), WinsockError>> {
    let input = Input { length, ..Input::default() };
    let set = SetRecords { input, ..SetRecords::of(Name::clone(socket), Name::clone(records)) };
    let call = Call::SetRecords(set);
    Ok(apply(backend, process, None, call)?.error().map_or(Ok(()), Err))
}
