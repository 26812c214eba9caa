//! The control data of a redirected flow's first datagram: which messages, in which order, in which layout, and what is
//! left of them where there is too little room.

use rstest::rstest;

use super::*;
use crate::SocketHandle;
use crate::control_message::MSG_CTRUNC;
use crate::engine::{Context, Redirect};
use crate::socket::SocketKind;
use crate::testing::{SERVER, both};

/// The first datagram of a redirected flow, in the service's queue; the context has 5 bytes.
fn arrived(m: &mut Machine) -> SocketHandle {
    let context = Context::Opaque([1, 2, 3, 4, 5].into());
    m.udp_redirected(Redirect { context, ..Redirect::local(m.service.pid, both(1001)) }).1
}

fn with_room(m: &mut Machine, socket: SocketHandle, room: u32) -> Message {
    m.w.receive_message(m.service, socket, 99, room).unwrap().unwrap()
}

#[rstest]
#[case("records-first", &[RECORDS, CONTEXT])]
#[case("context-first", &[CONTEXT, RECORDS])]
#[case("records-alone", &[RECORDS])]
#[case("context-alone", &[CONTEXT])]
fn both_messages_come_as_the_profile_says(#[case] value: &str, #[case] expected: &[i32]) {
    let mut m = Machine::with(&[("both-control-messages", value)]);
    let socket = arrived(&mut m);
    let kinds: Vec<i32> = shown(&with_room(&mut m, socket, 999)).iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds, expected);
}

#[rstest]
fn one_option_brings_one_message_whatever_the_profile_says_of_both(
    #[values("records-first", "context-first", "records-alone", "context-alone")] value: &str,
    #[values(RECORDS, CONTEXT)] off: i32,
) {
    let mut m = Machine::with(&[("both-control-messages", value), ("reception-decided", "at-receive")]);
    let socket = arrived(&mut m);
    m.w.setsockopt(m.service, socket, IP, off, 0).unwrap();
    let kinds: Vec<i32> = shown(&with_room(&mut m, socket, 999)).iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds, [RECORDS + CONTEXT - off]);
}

/// The option is switched on, or off, between arrival and receive.
#[rstest]
#[case("at-arrival", [0, 2])]
#[case("at-receive", [2, 0])]
fn options_count_when_the_datagram_arrives_or_is_received(#[case] value: &str, #[case] expected: [usize; 2]) {
    let mut m = Machine::with(&[("reception-decided", value)]);
    let socket = m.udp_service(SocketKind::V4, "127.0.0.1:1001");
    m.redirect_all(1, Redirect::local(m.service.pid, both(1001)));
    let mut counted = Vec::new();
    for late in [1, 0] {
        for option in [RECORDS, CONTEXT] {
            m.w.setsockopt(m.service, socket, IP, option, 1 - late).unwrap();
        }
        let client = m.socket(SocketKind::V4.udp());
        m.send(client, SERVER, b"x");
        for option in [RECORDS, CONTEXT] {
            m.w.setsockopt(m.service, socket, IP, option, late).unwrap();
        }
        counted.push(shown(&with_room(&mut m, socket, 999)).len());
    }
    assert_eq!(counted, expected);
}

#[test]
fn control_data_is_laid_out_as_the_receiving_program_is_built() {
    for (layout, lengths) in [(Layout::Bits64, [144, 24]), (Layout::Bits32, [140, 20])] {
        let mut m = Machine::default();
        let socket = arrived(&mut m);
        assert!(m.w.set_layout(m.service.pid, layout));
        let message = with_room(&mut m, socket, 999);
        let read: Vec<_> = messages(layout, &message.control).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|message| message.data.len()).collect::<Vec<_>>(), [128, 5]);
        assert_eq!(message.control.len(), lengths[0] + lengths[1]);
    }
    let mut m = Machine::default();
    assert!(!m.w.set_layout(crate::Pid(1), Layout::Bits32));
}

/// Room in the control buffer; bytes of control data, whether MSG_CTRUNC tells, and the data lengths that are read.
/// Records take 144 bytes, the context 21, and 24 with its padding.
#[rstest]
#[case::enough("cut-to-fit", "needed", 168, 168, false, &[128, 5])]
#[case::padding_missing("cut-to-fit", "needed", 167, 167, true, &[128, 5])]
#[case::padding_not_needed("cut-to-fit", "not-needed", 167, 165, false, &[128, 5])]
#[case::just_the_data("cut-to-fit", "not-needed", 165, 165, false, &[128, 5])]
#[case::one_byte_cut("cut-to-fit", "not-needed", 164, 164, true, &[128, 4])]
#[case::header_of_the_second("cut-to-fit", "needed", 160, 160, true, &[128, 0])]
#[case::less_than_a_header("cut-to-fit", "needed", 159, 144, true, &[128])]
#[case::the_first_alone("cut-to-fit", "needed", 144, 144, true, &[128])]
#[case::the_first_cut("cut-to-fit", "needed", 143, 143, true, &[127])]
#[case::one_header("cut-to-fit", "needed", 16, 16, true, &[0])]
#[case::no_header("cut-to-fit", "needed", 15, 0, true, &[])]
#[case::one_byte("cut-to-fit", "needed", 1, 0, true, &[])]
#[case::left_out("nothing", "needed", 167, 144, true, &[128])]
#[case::all_left_out("nothing", "needed", 143, 0, true, &[])]
#[case::as_it_is("as-it-is", "needed", 143, 143, true, &[])]
#[case::as_it_is_behind_a_whole_one("as-it-is", "needed", 160, 160, true, &[128])]
#[case::as_it_is_less_than_a_header("as-it-is", "needed", 10, 10, true, &[])]
fn control_buffer_that_is_too_small(
    #[case] cut: &str,
    #[case] padding: &str,
    #[case] room: u32,
    #[case] length: usize,
    #[case] truncated: bool,
    #[case] read: &[usize],
) {
    let mut m = Machine::with(&[("truncated-control", cut), ("last-control-padding", padding)]);
    let socket = arrived(&mut m);
    let message = with_room(&mut m, socket, room);
    assert_eq!((message.control.len(), message.flags), (length, if truncated { MSG_CTRUNC } else { 0 }));
    assert_eq!(message.data, b"first");
    let found: Vec<usize> =
        messages(Layout::Bits64, &message.control).map_while(Result::ok).map(|m| m.data.len()).collect();
    assert_eq!(found, read);
    assert_eq!(m.message(socket), None, "what was cut is lost for good");
}

#[rstest]
#[case("ignored", 0)]
#[case("MSG_CTRUNC", MSG_CTRUNC)]
fn receive_without_a_control_buffer_loses_the_control_data(#[case] value: &str, #[case] flags: u32) {
    let mut m = Machine::with(&[("no-control-buffer", value)]);
    let socket = arrived(&mut m);
    let message = with_room(&mut m, socket, 0);
    assert_eq!((message.control.len(), message.flags), (0, flags));
    assert_eq!(m.message(socket), None);
}

#[test]
fn plain_receive_loses_the_control_data() {
    let mut m = Machine::default();
    let socket = arrived(&mut m);
    let datagram = m.w.recvfrom(m.service, socket, 99).unwrap().done().unwrap();
    assert_eq!((datagram.data, datagram.truncated), (b"first".to_vec(), false));
    assert_eq!(m.message(socket), None);
}

#[test]
fn context_stays_with_the_datagram_after_the_flow_is_gone() {
    let mut m = Machine::default();
    let socket = arrived(&mut m);
    m.w.advance(60_000);
    assert_eq!(m.w.live_contexts(), 0);
    assert_eq!(data(&with_room(&mut m, socket, 999), CONTEXT), Some(vec![1, 2, 3, 4, 5]));
}
