//! What holds for every list of ops, whatever it says: the backend `sim` through the trait that every backend has.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "op_properties/datagrams.rs"]
mod datagrams;
#[path = "op_properties/operations.rs"]
mod operations;
#[path = "op_properties/ops.rs"]
mod ops;

use proptest::prelude::*;
use wfp_conformance::SimBackend;
use wfp_conformance::vocabulary::{Backend, BackendFault, Call, IoctlCode, Observation, Op, Outcome, Word};
use wfp_sim::Profile;

use self::ops::{PROCESSES, ops, plain, profile};

type Answer = Result<Observation, BackendFault>;

fn apply_all(backend: &mut dyn Backend, ops: &[Op]) -> Vec<Answer> {
    ops.iter().map(|op| backend.apply(op)).collect()
}

/// Ends every process that may run, and counts what is left.
fn left_at_the_end(backend: &mut dyn Backend) -> [Option<u64>; 2] {
    for process in PROCESSES {
        // It may have ended before, or never have been started.
        let _ = backend.apply(&plain(process, Call::EndProcess {}));
    }
    [Call::CountContexts {}, Call::CountAll {}]
        .map(|call| backend.apply(&plain("kernel", call)).unwrap().count)
}

/// What an observation can be like after a call.
fn assert_sound(op: &Op, seen: &Observation) {
    let mut all = vec![seen];
    while let Some(seen) = all.pop() {
        assert!(seen.stored.as_ref().is_none_or(|stored| stored.rest_untouched), "{op:?}: {seen:?}");
        all.extend(seen.completed.as_ref().map(|(_, result)| &**result));
        all.extend(seen.called.iter().map(|(_, told)| told));
        all.extend(&seen.inside);
    }
    let can_wait = matches!(
        op.call,
        Call::Accept { .. }
            | Call::AcceptEx { .. }
            | Call::Connect { .. }
            | Call::Receive { .. }
            | Call::ReceiveFrom { .. }
            | Call::ReceiveMessage(_)
            | Call::Wait { .. }
            | Call::WskControl(_)
            | Call::GetResult { wait: true, .. }
    );
    let can_wait = can_wait || is_control(&op.call);
    assert!(can_wait || seen.outcome != Outcome::Pending, "{op:?}: {seen:?}");
    assert!(
        !matches!(seen.outcome, Outcome::Unsupported(_)),
        "the model has every feature: {op:?}: {seen:?}"
    );
    let classified = matches!(op.call, Call::Connect { .. } | Call::SendTo { .. } | Call::SendMessage(_));
    assert!(seen.hop.is_none() || classified, "{op:?}: {seen:?}");
    if let Call::QueryRecords(query) | Call::QueryContext(query) = &op.call {
        let told = query.out.length.bytes(seen.needed);
        let stored = seen.stored.as_ref().map_or(0, |stored| stored.bytes.len());
        match (&seen.outcome, seen.bytes_returned) {
            (Outcome::Ok, Some(Word::Value(bytes))) => {
                assert!(bytes <= told && stored == bytes as usize, "{op:?}: {seen:?}");
                assert_eq!(bytes, seen.needed.unwrap_or(0), "{op:?}: {seen:?}");
            }
            (Outcome::Ok, other) => {
                // An overlapped call can do without the word.
                assert!(matches!(other, Some(Word::Unchanged) | None), "{op:?}: {seen:?}");
                assert_eq!(stored, 0, "{op:?}: {seen:?}");
            }
            (_, Some(Word::Value(bytes))) => {
                assert!(bytes == 0 || Some(bytes) == seen.needed, "{op:?}: {seen:?}");
                assert_eq!(stored, 0, "{op:?}: {seen:?}");
            }
            (_, _) => assert_eq!(stored, 0, "{op:?}: {seen:?}"),
        }
    }
}

/// A call that is given buffers, and keeps nothing.
fn is_control(call: &Call) -> bool {
    matches!(call, Call::QueryRecords(_) | Call::QueryContext(_) | Call::SetRecords(_) | Call::Ioctl { .. })
}

/// SIO_FLUSH, which ends what others asked.
fn flushes(call: &Call) -> bool {
    matches!(call, Call::Ioctl { code: IoctlCode(0x2800_0004), .. })
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { default } else { ProptestConfig { cases: 160, ..default } }
}

proptest! {
    #![proptest_config(config())]

    /// No panic; nothing is written behind a buffer; the bytes-returned word tells what was stored or is needed.
    #[test]
    fn every_op_has_a_sound_answer(profile in profile(), ops in ops(1..60)) {
        // A machine that leaks contexts leaks them, and is no machine to look for leaks on.
        let sound = Profile::documented();
        let profile = Profile {
            context_of_refused_redirect: sound.context_of_refused_redirect,
            context_of_overwritten_redirect: sound.context_of_overwritten_redirect,
            context_of_failed_connect: sound.context_of_failed_connect,
            context_of_blocked_connect: sound.context_of_blocked_connect,
            connected_udp_context: sound.connected_udp_context,
            ..profile
        };
        let mut backend = SimBackend::new(profile);
        for op in &ops {
            let before = backend.world().live();
            let mut goes_on = false;
            match backend.apply(op) {
                Ok(seen) => {
                    assert_sound(op, &seen);
                    goes_on = seen.outcome == Outcome::Pending || op.call.ways().0.is_some();
                }
                Err(fault) => prop_assert!(matches!(fault, BackendFault::Misuse(_)), "{}", fault),
            }
            if is_control(&op.call) && !goes_on && !flushes(&op.call) {
                prop_assert_eq!(backend.world().live(), before, "buffers are left: {:?}", op);
            }
        }
        prop_assert_eq!(left_at_the_end(&mut backend), [Some(0), Some(0)]);
    }

    #[test]
    fn same_ops_give_the_same_observations(profile in profile(), ops in ops(1..40)) {
        let [mut first, mut second] = [SimBackend::new(profile.clone()), SimBackend::new(profile)];
        prop_assert_eq!(apply_all(&mut first, &ops), apply_all(&mut second, &ops));
        prop_assert!(first.world() == second.world());
    }

    #[test]
    fn backend_that_was_cloned_midway_goes_on_like_the_original(
        profile in profile(), ops in ops(1..40), at in any::<prop::sample::Index>(),
    ) {
        let (before, after) = ops.split_at(at.index(ops.len()));
        let mut original = SimBackend::new(profile);
        apply_all(&mut original, before);
        let mut clone = original.clone();
        let answers = apply_all(&mut clone, after);
        // What the clone did left no mark on the original.
        prop_assert_eq!(apply_all(&mut original, after), answers);
        prop_assert!(original.world() == clone.world());
    }

    /// Traces, agents and replays hand ops and observations on as JSON.
    #[test]
    fn ops_and_observations_are_the_same_after_a_way_through_json(ops in ops(1..40)) {
        let mut backend = SimBackend::new(Profile::documented());
        for op in &ops {
            let json = serde_json::to_string(op).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Op>(&json).unwrap(), op);
            if let Ok(seen) = backend.apply(op) {
                let json = serde_json::to_string(&seen).unwrap();
                prop_assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), seen);
            }
        }
    }
}

/// The properties above would hold for ops that never get anywhere.
#[test]
fn ops_get_far_enough_for_the_properties_to_mean_something() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = ops(1..60);
    let (mut all, mut faults, mut redirected, mut grown, mut set, mut fetched) = (0, 0, 0, 0, 0, 0);
    let (mut told, mut forwarded) = (0, 0);
    for _ in 0..300 {
        let ops = strategy.new_tree(&mut runner).unwrap().current();
        let mut backend = SimBackend::default();
        for (op, answer) in ops.iter().zip(apply_all(&mut backend, &ops)) {
            all += 1;
            let Ok(seen) = answer else {
                faults += 1;
                continue;
            };
            let hop = seen.hop.as_deref();
            redirected += u32::from(hop.is_some_and(|hop| !hop.delivered.is_empty()));
            grown += u32::from(hop.is_some_and(|hop| hop.delivered.len() > 1));
            set += u32::from(matches!(op.call, Call::SetRecords(_)) && seen.is_ok());
            told += u32::from(seen.control.iter().flatten().next().is_some());
            let sends = matches!(&op.call, Call::SendMessage(send) if send.records.is_some());
            forwarded += u32::from(sends && hop.is_some_and(|hop| !hop.records.is_empty()));
            fetched +=
                u32::from(matches!(op.call, Call::QueryRecords(_)) && seen.is_ok() && seen.needed.is_some());
        }
    }
    let reached = format!(
        "{all} ops, {faults} faults, {redirected} redirected, {grown} grown, {set} set, {fetched} fetched, \
         {told} told by control data, {forwarded} forwarded"
    );
    assert!(faults < all / 2 && redirected > 200 && grown > 5 && set > 80 && fetched > 80, "{reached}");
    assert!(told > 30 && forwarded > 5, "{reached}");
}
