//! What holds for every sequence of calls, whatever programs, drivers and profiles do.

#[path = "world_properties/calls.rs"]
mod calls;
#[path = "world_properties/operations.rs"]
mod operations;
#[path = "world_properties/run.rs"]
mod run;
#[path = "world_properties/watched.rs"]
mod watched;

use std::hash::{DefaultHasher, Hash, Hasher};

use calls::{Call, calls, profile};
use proptest::prelude::*;
use run::{Run, address};
use wfp_sim::{HostId, SocketKind, World};

fn hash(w: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    w.hash(&mut hasher);
    hasher.finish()
}

/// Things that leave nothing behind but numbers; on a host without callouts, which would send them to others.
fn come_and_go(w: &mut World) {
    let process = w.start_process_on(HostId(1), "passing by", true);
    let pointer = w.allocate(process, 128, 1);
    let listener = w.listen_at(process, address("127.0.0.3:7")).expect("nobody else uses this address");
    let socket = w.socket(process, SocketKind::V4).expect("the process is there");
    let _ = w.connect(process, socket, address("127.0.0.3:7"), &mut ());
    let _ = w.accept(process, listener);
    let _ = w.recv(process, socket, 1);
    w.free(process, pointer);
    w.end_process(process.pid);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// No panic; canaries stand; the word is as the profile says (checked call by call); nothing is left at the end.
    #[test]
    fn no_sequence_of_calls_breaks_the_machine(profile in profile(), calls in calls(1..160)) {
        let mut run = Run::new(profile);
        run.make_all(&calls);
        run.end();
    }

    #[test]
    fn same_calls_give_the_same_answers(profile in profile(), calls in calls(1..80)) {
        let [mut first, mut second] = [Run::new(profile.clone()), Run::new(profile)];
        first.make_all(&calls);
        second.make_all(&calls);
        prop_assert_eq!(first.answers, second.answers);
        prop_assert!(first.w == second.w);
        prop_assert_eq!(hash(&first.w), hash(&second.w));
    }

    #[test]
    fn world_that_was_cloned_midway_goes_on_like_the_original(
        profile in profile(),
        before in calls(0..80),
        after in calls(1..40),
    ) {
        let mut original = Run::new(profile);
        original.make_all(&before);
        let (mut clone, kept) = (original.clone(), original.w.clone());
        original.make_all(&after);
        prop_assert!(clone.w == kept, "what the original does stays with it");
        clone.make_all(&after);
        prop_assert_eq!(&original.answers, &clone.answers);
        prop_assert!(original.w == clone.w);
    }

    #[test]
    fn canonical_form_is_its_own(profile in profile(), calls in calls(1..120)) {
        let mut run = Run::new(profile);
        let canonical = run.make_all(&calls).w.canonical();
        prop_assert!(canonical.canonical() == canonical);
        prop_assert_eq!(hash(&canonical.canonical()), hash(&canonical));
    }

    #[test]
    fn worlds_that_differ_in_what_came_and_went_have_one_canonical_form(calls in calls(1..80)) {
        let plain_calls = calls.into_iter().filter(|call| {
            // What these leave in memory, or make of a process, names numbers that differ.
            !matches!(
                call,
                Call::Ioctl { .. } | Call::Operate(_) | Call::StartProcess { .. } | Call::StartThread { .. }
            )
        });
        let [mut plain, mut used] = [(), ()].map(|()| Run::new(wfp_sim::Profile::documented()));
        // Both have had as many processes in the end: their numbers are not made equal.
        for call in plain_calls {
            plain.make(&call);
            let passing = plain.w.start_process("passing by", true);
            plain.w.end_process(passing.pid);
            come_and_go(&mut used.w);
            used.make(&call);
        }
        prop_assert!(plain.w.canonical() == used.w.canonical());
    }
}
