//! Vendors: a callout, and the service that it redirects to.

use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use wfp_conformance::follow::{
    Ask, AskOn, Destination, DialFamily, ErrorSet, Grow, ListenFamilies, NextBuffer, OnError, OnRetry,
    RecordsFrom, Service, SetLength, SetWhen,
};
use wfp_conformance::vocabulary::{
    CalloutSpec, ContextSpec, DecisionSpec, Endpoint, HandleSpec, Match, Name, Place, RedirectTo, RuleSpec,
    SocketFamily, StateName,
};
use wfp_sim::WinsockError;

/// A vendor.
#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    pub(crate) callout: Arc<CalloutSpec>,
    pub(crate) service_name: Name,
    pub(crate) service: Service,
    /// Bytes of the context that the callout leaves: no two vendors' are as long.
    pub(crate) context_bytes: u32,
}

impl Vendor {
    /// The handle that the callout redirects with.
    pub(crate) fn handle(&self, family: SocketFamily) -> Name {
        let layer = if family == SocketFamily::Ipv4 { "v4" } else { "v6" };
        match self.callout.handle {
            HandleSpec::PerFamily => format!("{}.{layer}", self.callout.name).into(),
            _ => Name::clone(&self.callout.name),
        }
    }

    pub(crate) fn new(
        number: usize,
        sublayer: u16,
        handle: HandleSpec,
        service: Service,
        rules: Vec<RuleSpec>,
    ) -> Self {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        let context_bytes = 128 + u32::from(number);
        let service_name = Name::from(format!("proxy-{number}"));
        let listen = Endpoint::new(Place::Loopback, 1001 + number);
        let serves = |family: ListenFamilies| {
            let other =
                [ListenFamilies::Ipv4, ListenFamilies::Ipv6].into_iter().find(|known| *known != family);
            (Some(service.families) != other).then(|| listen.clone())
        };
        let redirect = RedirectTo {
            process: Some(Name::clone(&service_name)),
            ipv4: serves(ListenFamilies::Ipv4),
            ipv6: serves(ListenFamilies::Ipv6),
        };
        let callout = CalloutSpec {
            sublayer,
            handle,
            rules,
            redirect: Some(redirect),
            context: ContextSpec::Padded(context_bytes),
            ..CalloutSpec::new(format!("driver-{number}").into())
        };
        Self {
            callout: Arc::new(callout),
            service_name,
            service: Service { listen, ..service },
            context_bytes,
        }
    }
}

fn listens() -> impl Strategy<Value = ListenFamilies> {
    select(vec![ListenFamilies::Ipv4, ListenFamilies::Ipv6, ListenFamilies::Both, ListenFamilies::Dual])
}

fn handle() -> impl Strategy<Value = HandleSpec> {
    select(vec![HandleSpec::One, HandleSpec::One, HandleSpec::PerFamily])
}

/// Few weights, so that sublayers of one weight meet.
fn sublayer() -> impl Strategy<Value = u16> {
    prop_oneof![0..3_u16, any::<u16>()]
}

/// Ways to ask that get whatever there is, under each profile that is built in.
fn asks_enough() -> BoxedStrategy<Ask> {
    prop_oneof![
        (4096..100_000_u32).prop_map(Ask::Fixed),
        (4..5000_u32).prop_map(|from| Ask::Grow(Grow { from, ..Grow::default() })),
    ]
    .boxed()
}

/// What a careful callout does.
pub(crate) fn careful() -> Vec<RuleSpec> {
    let states = vec![StateName::NotRedirected, StateName::RedirectedByOther];
    vec![RuleSpec {
        layers: Vec::new(),
        states,
        processes: Vec::new(),
        r#match: Match::default(),
        r#do: DecisionSpec::Redirect,
    }]
}

/// Vendors whose services carry their records.
pub(crate) fn cooperating(count: Range<usize>) -> impl Strategy<Value = Vec<Vendor>> {
    let set = select(vec![SetWhen::BeforeBind, SetWhen::BeforeConnect]);
    let bind = prop::option::weighted(0.3, Just(Endpoint::new(Place::Any, 0)));
    let service = (listens(), asks_enough(), asks_enough(), set, bind).prop_map(
        |(families, records, context, set, bind)| Service {
            families,
            records,
            context,
            set,
            bind,
            ..Service::at(1)
        },
    );
    prop::collection::vec((sublayer(), handle(), service), count).prop_map(|vendors| {
        let vendor =
            |(number, (sublayer, handle, service))| Vendor::new(number, sublayer, handle, service, careful());
        vendors.into_iter().enumerate().map(vendor).collect()
    })
}

/// Vendors that do anything.
pub(crate) fn any_vendors(count: Range<usize>) -> impl Strategy<Value = Vec<Vendor>> {
    let callout =
        (sublayer(), handle(), any::<bool>(), prop::collection::vec(rule(), 0..4), select(contexts()));
    prop::collection::vec((callout, service()), count).prop_map(|vendors| {
        let vendor = |(number, ((sublayer, handle, heeds, rules, context), service))| {
            let vendor = Vendor::new(number, sublayer, handle, service, rules);
            let callout = CalloutSpec { heeds_earlier_redirect: heeds, context, ..(*vendor.callout).clone() };
            Vendor { callout: Arc::new(callout), ..vendor }
        };
        vendors.into_iter().enumerate().map(vendor).collect()
    })
}

fn contexts() -> Vec<ContextSpec> {
    vec![
        ContextSpec::Destination,
        ContextSpec::Destination,
        ContextSpec::DestinationAndSource,
        ContextSpec::None,
        ContextSpec::Opaque(16),
        ContextSpec::Padded(70_000),
    ]
}

fn rule() -> BoxedStrategy<RuleSpec> {
    let states = prop::collection::vec(select(&StateName::ALL[..]), 0..3);
    let processes =
        prop::collection::vec(select(vec!["app", "helper", "proxy-0", "proxy-1"]).prop_map(Name::from), 0..2);
    let decision = prop_oneof![
        8 => Just(DecisionSpec::Redirect),
        2 => Just(DecisionSpec::Permit),
        1 => Just(DecisionSpec::Continue),
        1 => Just(DecisionSpec::Block),
    ];
    let port = prop::option::weighted(0.2, select(vec![443, 1001]));
    (states, processes, port, decision)
        .prop_map(|(states, processes, remote_port, r#do)| {
            let r#match = Match { remote_port, ..Match::default() };
            RuleSpec { layers: Vec::new(), states, processes, r#match, r#do }
        })
        .boxed()
}

fn asks() -> BoxedStrategy<Ask> {
    let errors = [
        WinsockError::ERROR_INSUFFICIENT_BUFFER,
        WinsockError::WSAEINVAL,
        WinsockError::WSAEFAULT,
        WinsockError::WSAENOTCONN,
    ];
    let on = prop_oneof![
        4 => prop::collection::vec(select(errors.to_vec()), 0..3).prop_map(|errors| ErrorSet::of(&errors)),
        1 => Just(ErrorSet::Any),
    ];
    let next = select(vec![NextBuffer::ToldOrTwice, NextBuffer::Told, NextBuffer::Twice]);
    let grow = (0..300_u32, 0..3000_u32, on, next, 0..300_u32, prop::option::weighted(0.3, 0..4_u32))
        .prop_map(|(from, to, errors, next, at_least, retries)| {
            Ask::Grow(Grow { from, to, errors, next, at_least, retries })
        });
    prop_oneof![
        3 => asks_enough(),
        2 => (0..600_u32).prop_map(Ask::Fixed),
        1 => select(vec![128_u32, 224, 300]).prop_map(Ask::Exactly),
        1 => Just(Ask::SizeQuery),
        1 => Just(Ask::Never),
        2 => grow,
    ]
    .boxed()
}

fn service() -> BoxedStrategy<Service> {
    let dials = select(vec![
        DialFamily::Same,
        DialFamily::Same,
        DialFamily::Ipv4,
        DialFamily::Ipv6,
        DialFamily::Mapped,
        DialFamily::MappedOnIpv6,
    ]);
    let bind = select(vec![
        (Place::Any, 0),
        (Place::Any, 4000),
        (Place::Loopback, 4001),
        (Place::Host("local".into()), 0),
    ])
    .prop_map(|(place, port)| Endpoint::new(place, port));
    let fixed = select(vec![("server", 443), ("server", 80), ("local", 1001), ("local", 1002)])
        .prop_map(|(host, port)| Destination::Fixed(Endpoint::new(Place::Host(host.into()), port)));
    let not_redirected = prop_oneof![
        5 => Just(ErrorSet::default()),
        1 => Just(ErrorSet::of(&[WinsockError::WSAEINVAL])),
        1 => Just(ErrorSet::Any),
    ];
    let asking = (
        asks(),
        asks(),
        prop_oneof![9 => Just(AskOn::Accepted), 1 => Just(AskOn::Listening)],
        not_redirected,
    );
    let setting = (
        select(vec![
            SetWhen::BeforeBind,
            SetWhen::BeforeBind,
            SetWhen::BeforeConnect,
            SetWhen::AfterConnect,
            SetWhen::Never,
        ]),
        prop_oneof![3 => Just(RecordsFrom::Own), 1 => Just(RecordsFrom::Pooled)],
        select(vec![OnRetry::Set, OnRetry::Forget]),
        select(vec![OnError::Close, OnError::Dial, OnError::Hold]),
        prop_oneof![5 => Just(SetLength::Stored), 1 => Just(SetLength::Buffer)],
    );
    let dialling = (
        prop_oneof![5 => Just(Destination::Context), 1 => Just(Destination::OriginalDst), 1 => fixed],
        prop::collection::vec(dials, 1..4),
        prop::option::weighted(0.3, bind),
        prop::option::weighted(0.2, Just(Name::from("helper"))),
    );
    (listens(), asking, setting, dialling)
        .prop_map(|(families, asking, setting, dialling)| {
            let (records, context, ask_on, not_redirected) = asking;
            let (set, records_from, on_retry, on_error, set_length) = setting;
            let (destination, dial, bind, dial_process) = dialling;
            Service {
                families,
                records,
                context,
                ask_on,
                not_redirected,
                set,
                set_length,
                records_from,
                on_retry,
                on_error,
                destination,
                dial,
                bind,
                dial_process,
                ..Service::at(1)
            }
        })
        .boxed()
}
