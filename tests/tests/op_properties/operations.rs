//! Ops about control codes that go on.

use proptest::prelude::*;
use proptest::sample::select;
use wfp_conformance::vocabulary::{
    Call, Condition, Inside, IrpKind, IrqlName, Overlapped, SioFormat, SizeReturned, Spi, WskCode,
    WskControl, WskRequest,
};

use super::ops::{control_call, input, name, output, pointer, result};

/// How a control code is asked; mostly synchronously.
pub(crate) fn ways() -> BoxedStrategy<(Option<Overlapped>, Option<Spi>)> {
    let reuse = prop::option::weighted(0.1, name());
    let routine = prop::option::weighted(0.4, pointer());
    let overlapped = (pointer(), any::<bool>(), reuse, routine)
        .prop_map(|(pointer, event, reuse, routine)| Overlapped { pointer, event, reuse, routine });
    let thread = prop::option::weighted(0.3, 0..3_u32);
    let spi = (thread, pointer(), pointer()).prop_map(|(thread, thread_id, errno)| Spi {
        thread,
        thread_id,
        errno,
    });
    (prop::option::weighted(0.4, overlapped), prop::option::weighted(0.15, spi)).boxed()
}

fn inside() -> BoxedStrategy<Vec<Inside>> {
    let call = (prop::option::of(result()), control_call()).prop_map(|(name, op)| Inside { name, op });
    prop::collection::vec(call, 0..2).boxed()
}

/// What drivers ask; most processes are none.
pub(crate) fn wsk_call() -> BoxedStrategy<Call> {
    let code = prop_oneof![
        3 => Just(WskCode::QueryRecords),
        3 => Just(WskCode::QueryContext),
        3 => Just(WskCode::SetRecords),
        1 => any::<u32>().prop_map(WskCode::Number),
    ];
    let sizes = select(vec![
        SizeReturned::Either,
        SizeReturned::Either,
        SizeReturned::Valid,
        SizeReturned::Ulong,
        SizeReturned::NullPointer,
        SizeReturned::Unmapped,
    ]);
    let irp =
        select(vec![IrpKind::WithRoutine, IrpKind::WithRoutine, IrpKind::WithoutRoutine, IrpKind::None]);
    let irql = || select(vec![IrqlName::Passive, IrqlName::Passive, IrqlName::Dispatch, IrqlName::High]);
    let request = prop_oneof![9 => Just(WskRequest::Ioctl), 1 => Just(WskRequest::GetOption)];
    let buffers = (prop::option::of(input()), prop::option::of(output()));
    let beyond = prop_oneof![9 => Just(0), 1 => any::<u64>()];
    let rest = (beyond, sizes, irp, irql(), request, prop_oneof![9 => Just(0), 1 => any::<u32>()]);
    let control = (name(), code, prop::option::of(name()), buffers, rest).prop_map(
        |(socket, code, records, (input, out), (size_beyond, size_returned, irp, irql, request, level))| {
            let control = WskControl {
                socket,
                code,
                records,
                input,
                out,
                size_beyond,
                size_returned,
                irp,
                irql,
                request,
                level,
            };
            Call::WskControl(control)
        },
    );
    let format = (name(), output(), any::<bool>(), pointer(), irql()).prop_map(
        |(socket, out, aligned, bytes_transferred, irql)| {
            Call::SioFormatRecords(SioFormat { socket, out, aligned, bytes_transferred, irql })
        },
    );
    prop_oneof![6 => control, 2 => format, 1 => name().prop_map(|of| Call::CancelIrp { of })].boxed()
}

pub(crate) fn operation_call() -> BoxedStrategy<Call> {
    let decides = select(vec![Condition::Accept, Condition::Reject, Condition::Defer]);
    let accept = (name(), inside(), decides)
        .prop_map(|(socket, inside, decides)| Call::AcceptConditionally { socket, inside, decides });
    prop_oneof![
        4 => name().prop_map(|socket| Call::Stall { socket }),
        4 => name().prop_map(|socket| Call::Resume { socket }),
        4 => (name(), any::<bool>()).prop_map(|(of, wait)| Call::GetResult { of, wait }),
        2 => name().prop_map(|of| Call::EventState { of }),
        3 => inside().prop_map(|inside| Call::AlertableWait { inside }),
        2 => accept,
        1 => Just(Call::CreatePort {}),
        1 => (name(), name()).prop_map(|(socket, port)| Call::Associate { socket, port }),
        1 => name().prop_map(|port| Call::Dequeue { port }),
        2 => (name(), prop::option::of(name())).prop_map(|(socket, of)| Call::CancelIo { socket, of }),
        1 => Just(Call::CancelBlockingCall {}),
        1 => name().prop_map(|of| Call::FreeMemory { of }),
        1 => Just(Call::EndThread {}),
        1 => prop::bool::weighted(0.3).prop_map(|down| Call::Network { down }),
    ]
    .boxed()
}
