use rstest::rstest;

use super::*;
use crate::bug_check::BugCheck;
use crate::engine::{Context, Redirect};
use crate::ids::{IrpHandle, SocketHandle};
use crate::ntstatus::NtStatus;
use crate::testing::{Machine, SERVER, address, both};
use crate::{Entry, Records, RedirectHandle, RedirectState, SocketKind};

const RECORDS: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
const CONTEXT: ControlCode = ControlCode::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;

/// What a word holds that no call wrote.
const POISON: u64 = 0xDEAD_BEEF_DEAD_BEEF;

/// A machine whose redirect service is a driver.
struct Kernel {
    m: Machine,
    driver: Caller,
    /// What it accepted: a connection that was redirected to it.
    accepted: SocketHandle,
}

impl Kernel {
    fn new(elevated: bool, fields: &[(&str, &str)], context: Context) -> Self {
        let mut m = Machine::with(fields);
        let driver = m.w.start_driver("proxy.sys", elevated);
        let listener = m.w.listen_at(driver, address("127.0.0.1:1001")).unwrap();
        m.redirect_all(100, Redirect { context, ..Redirect::local(driver.pid, both(1001)) });
        m.connected(SERVER);
        let accepted = m.w.accept(driver, listener).unwrap().done().unwrap();
        Self { m, driver, accepted }
    }

    fn with(fields: &[(&str, &str)]) -> Self {
        Self::new(true, fields, Context::Destination)
    }

    fn irp(&mut self) -> IrpHandle {
        self.m.w.io_allocate_irp(self.driver, true).unwrap()
    }

    fn buffer(&mut self, size: u64) -> Pointer {
        self.m.w.allocate(self.driver, size, 0xCC)
    }

    /// An `OutputSizeReturned` of 8 bytes.
    fn word(&mut self) -> Pointer {
        let word = self.buffer(8);
        self.m.w.write_memory(self.driver, word, &POISON.to_le_bytes());
        word
    }

    fn read_word(&self, word: Pointer) -> u64 {
        u64::from_le_bytes(self.m.w.read_memory(self.driver, word, 8).unwrap().try_into().unwrap())
    }

    /// The lower half of the word, where only that was written.
    fn ulong(&self, word: Pointer) -> Option<u64> {
        let value = self.read_word(word);
        assert!(value == POISON || value >> 32 == POISON >> 32, "{value:x}");
        (value != POISON).then_some(value & 0xFFFF_FFFF)
    }

    fn call(&mut self, control: &WskControl, irp: Option<IrpHandle>) -> Result<NtStatus, BugCheck> {
        self.m.w.wsk_control_socket(self.driver, Irql::Passive, self.accepted, control, irp)
    }

    /// A query with an IRP and a buffer of this size: what it returned, `Information`, and the size returned.
    fn query(&mut self, code: ControlCode, size: u64) -> (NtStatus, u64, Option<u64>) {
        let (irp, word) = (self.irp(), self.word());
        let output = if size == 0 { Pointer::NULL } else { self.buffer(size) };
        let status = self.call(&WskControl::query(code, output, size, word), Some(irp)).unwrap();
        let io_status = self.m.w.io_status(self.driver, irp).unwrap().unwrap();
        assert_eq!(io_status.status, status, "the IRP completes with what is returned");
        assert_eq!(self.m.w.irp_completions(self.driver, irp), 1);
        (status, io_status.information, self.ulong(word))
    }

    fn records(&mut self) -> Vec<u8> {
        let (irp, word, output) = (self.irp(), self.word(), self.buffer(1024));
        let status = self.call(&WskControl::query(RECORDS, output, 1024, word), Some(irp));
        assert_eq!(status, Ok(NtStatus::STATUS_SUCCESS));
        let length = u32::try_from(self.ulong(word).unwrap()).unwrap();
        self.m.w.read_memory(self.driver, output, length).unwrap()
    }

    /// SET of these bytes on a new socket, with an IRP: the status, and the socket.
    fn set(&mut self, blob: &[u8]) -> (NtStatus, SocketHandle) {
        let (irp, input) = (self.irp(), self.buffer(1024));
        self.m.w.write_memory(self.driver, input, blob);
        let socket = self.m.w.socket(self.driver, SocketKind::V4).unwrap();
        let control = WskControl::set(input, blob.len() as u64);
        let status =
            self.m.w.wsk_control_socket(self.driver, Irql::Passive, socket, &control, Some(irp)).unwrap();
        let io_status = self.m.w.io_status(self.driver, irp).unwrap().unwrap();
        assert_eq!(io_status, IoStatus { status, information: 0 });
        (status, socket)
    }
}

/// Records of one redirect, whose connection is gone.
fn stale() -> Vec<u8> {
    let entry = Entry { handle: RedirectHandle(1), context: None, flow: crate::FlowId(999) };
    Records::extended(None, &[entry], &crate::Profile::documented()).blob().to_vec()
}

#[test]
fn driver_carries_records_as_a_service_does_and_its_callout_knows_itself_again() {
    let mut k = Kernel::with(&[]);
    let blob = k.records();
    assert_eq!(blob.len(), 128);
    let (status, onward) = k.set(&blob);
    assert_eq!(status, NtStatus::STATUS_SUCCESS);
    let hop = k.m.trace_of(k.driver, onward, SERVER);
    assert_eq!(hop.states(), [RedirectState::RedirectedBySelf]);
    assert_eq!(hop.records.map(|records| records.blob().to_vec()), Some(blob));
}

#[rstest]
#[case::enough(RECORDS, 1024, NtStatus::STATUS_SUCCESS)]
#[case::exactly(RECORDS, 128, NtStatus::STATUS_SUCCESS)]
#[case::one_short(RECORDS, 127, NtStatus::STATUS_BUFFER_TOO_SMALL)]
#[case::below_a_ulong(RECORDS, 3, NtStatus::STATUS_BUFFER_TOO_SMALL)]
#[case::nothing(RECORDS, 0, NtStatus::STATUS_BUFFER_TOO_SMALL)]
#[case::context(CONTEXT, 128, NtStatus::STATUS_SUCCESS)]
#[case::context_one_short(CONTEXT, 127, NtStatus::STATUS_BUFFER_TOO_SMALL)]
fn query_tells_the_size_whether_the_buffer_suffices_or_not(
    #[case] code: ControlCode,
    #[case] size: u64,
    #[case] status: NtStatus,
) {
    assert_eq!(Kernel::with(&[]).query(code, size), (status, 128, Some(128)));
}

#[test]
fn buffer_that_is_too_small_is_left_alone() {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = (k.irp(), k.word(), k.buffer(127));
    k.call(&WskControl::query(RECORDS, output, 127, word), Some(irp)).unwrap();
    assert_eq!(k.m.w.read_memory(k.driver, output, 127), Some(vec![0xCC; 127]));
}

#[test]
fn connection_that_was_not_redirected_is_not_found() {
    let mut m = Machine::default();
    let driver = m.w.start_driver("proxy.sys", true);
    let listener = m.w.listen_at(driver, address("127.0.0.1:9")).unwrap();
    m.connected("127.0.0.1:9");
    let accepted = m.w.accept(driver, listener).unwrap().done().unwrap();
    let mut k = Kernel { m, driver, accepted };
    for code in [RECORDS, CONTEXT] {
        assert_eq!(k.query(code, 1024), (NtStatus::STATUS_NOT_FOUND, 0, None));
    }
}

#[rstest]
#[case::fails(&[], (NtStatus::STATUS_NOT_FOUND, 0, None))]
#[case::is_empty(&[("context-absent", "success, zero")], (NtStatus::STATUS_SUCCESS, 0, Some(0)))]
fn redirect_without_a_context_has_none_to_query(
    #[case] fields: &[(&str, &str)],
    #[case] expected: (NtStatus, u64, Option<u64>),
) {
    let mut k = Kernel::new(true, fields, Context::None);
    assert_eq!(k.query(CONTEXT, 1024), expected);
    assert_eq!(k.query(RECORDS, 1024).0, NtStatus::STATUS_SUCCESS);
}

#[test]
fn socket_that_is_not_connected_has_nothing_to_tell() {
    let mut k = Kernel::with(&[]);
    k.accepted = k.m.w.socket(k.driver, SocketKind::V4).unwrap();
    assert_eq!(k.query(RECORDS, 1024).0, NtStatus::STATUS_INVALID_CONNECTION);
}

#[rstest]
#[case("WSAEINVAL", NtStatus::STATUS_INVALID_PARAMETER)]
#[case("WSAENOPROTOOPT", NtStatus::STATUS_NOT_SUPPORTED)]
#[case("WSAEOPNOTSUPP", NtStatus::STATUS_NOT_SUPPORTED)]
#[case("served", NtStatus::STATUS_INVALID_CONNECTION)]
fn socket_of_another_kind_is_served_as_the_profile_says(#[case] value: &str, #[case] status: NtStatus) {
    let mut k = Kernel::with(&[("query-on-udp", value)]);
    k.accepted = k.m.w.socket(k.driver, SocketKind::V4.udp()).unwrap();
    assert_eq!(k.query(RECORDS, 1024).0, status);
}

#[rstest]
#[case::documented(&[], NtStatus::STATUS_ACCESS_DENIED)]
#[case::as_in_user_mode(&[("wsk-query-rights", "not-needed")], NtStatus::STATUS_SUCCESS)]
fn driver_in_the_context_of_a_plain_user_is_denied(#[case] fields: &[(&str, &str)], #[case] query: NtStatus) {
    let mut k = Kernel::new(false, fields, Context::Destination);
    assert_eq!(k.query(RECORDS, 1024).0, query);
    assert_eq!(k.query(CONTEXT, 1024).0, query);
    assert_eq!(k.set(&stale()).0, NtStatus::STATUS_ACCESS_DENIED);
}

#[rstest]
#[case::malformed(&[0; 128], &[], NtStatus::STATUS_INVALID_PARAMETER)]
#[case::malformed_is_found_out_later(&[0; 128], &[("set-malformed", "no-effect")], NtStatus::STATUS_SUCCESS)]
#[case::empty(&[], &[], NtStatus::STATUS_INVALID_PARAMETER)]
#[case::empty_clears(&[], &[("set-empty-input", "clears-records")], NtStatus::STATUS_SUCCESS)]
#[case::stale(&stale(), &[], NtStatus::STATUS_SUCCESS)]
#[case::stale_is_minded(&stale(), &[("set-stale-records", "WSAEINVAL")], NtStatus::STATUS_INVALID_PARAMETER)]
fn set_heeds_the_same_fields_as_in_user_mode(
    #[case] blob: &[u8],
    #[case] fields: &[(&str, &str)],
    #[case] status: NtStatus,
) {
    assert_eq!(Kernel::with(fields).set(blob).0, status);
}

#[test]
fn set_on_a_connected_socket_is_refused_where_the_profile_says_so() {
    let mut k = Kernel::with(&[("set-on-accepted", "WSAEISCONN")]);
    let (irp, input) = (k.irp(), k.buffer(1024));
    k.m.w.write_memory(k.driver, input, &stale());
    let status = k.call(&WskControl::set(input, 128), Some(irp));
    assert_eq!(status, Ok(NtStatus::STATUS_INVALID_DEVICE_STATE));
}

// Parameters.

#[rstest]
#[case::another_request(|c: &mut WskControl| c.request_type = RequestType::GetOption, NtStatus::STATUS_NOT_SUPPORTED)]
#[case::unknown_code(|c: &mut WskControl| c.code = ControlCode(1), NtStatus::STATUS_NOT_SUPPORTED)]
#[case::size_beyond_32_bits(|c: &mut WskControl| c.output_size = 1 << 32, NtStatus::STATUS_INTEGER_OVERFLOW)]
#[case::null_buffer_of_some_size(|c: &mut WskControl| c.output = Pointer::NULL, NtStatus::STATUS_INVALID_PARAMETER)]
fn parameter_that_does_not_suit_is_refused(#[case] change: fn(&mut WskControl), #[case] status: NtStatus) {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = (k.irp(), k.word(), k.buffer(1024));
    let mut control = WskControl::query(RECORDS, output, 1024, word);
    change(&mut control);
    assert_eq!(k.call(&control, Some(irp)), Ok(status));
    assert_eq!(k.m.w.io_status(k.driver, irp), Some(Ok(IoStatus { status, information: 0 })));
    assert_eq!(k.ulong(word), None);
}

#[test]
fn before_windows_8_the_codes_are_not_supported_in_the_kernel_either() {
    let mut k = Kernel::with(&[("windows-version", "windows-7")]);
    for code in [RECORDS, CONTEXT] {
        assert_eq!(k.query(code, 1024).0, NtStatus::STATUS_NOT_SUPPORTED);
    }
    assert_eq!(k.set(&stale()).0, NtStatus::STATUS_NOT_SUPPORTED);
}

#[test]
fn set_of_more_than_32_bits_can_count_overflows() {
    let mut k = Kernel::with(&[]);
    let (irp, input) = (k.irp(), k.buffer(8));
    let status = k.call(&WskControl::set(input, u64::MAX), Some(irp));
    assert_eq!(status, Ok(NtStatus::STATUS_INTEGER_OVERFLOW));
}

#[test]
fn socket_of_a_network_that_failed_does_not_work_any_more() {
    let mut k = Kernel::with(&[]);
    k.m.w.set_network_down(true);
    assert_eq!(k.query(RECORDS, 1024).0, NtStatus::STATUS_FILE_FORCED_CLOSED);
    k.m.w.set_network_down(false);
    assert_eq!(k.query(RECORDS, 1024).0, NtStatus::STATUS_SUCCESS);
}

#[test]
fn irp_without_a_completion_routine_is_refused() {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = (k.m.w.io_allocate_irp(k.driver, false).unwrap(), k.word(), k.buffer(1024));
    let status = k.call(&WskControl::query(RECORDS, output, 1024, word), Some(irp));
    assert_eq!(status, Ok(NtStatus::STATUS_INVALID_PARAMETER));
}

/// Each page of Microsoft's has its own rule for `OutputSizeReturned`: with an IRP, and without one; with the pointer, and
/// with NULL.
#[rstest]
#[case("both", [true, true, true, true])]
#[case("with-irp", [true, false, false, false])]
#[case("without-irp", [false, true, true, true])]
fn profile_says_which_of_irp_and_size_pointer_a_query_takes(#[case] value: &str, #[case] taken: [bool; 4]) {
    for ((with_irp, with_word), taken) in
        [(true, true), (true, false), (false, true), (false, false)].into_iter().zip(taken)
    {
        let mut k = Kernel::with(&[("wsk-size-returned", value)]);
        let (irp, output) = (with_irp.then(|| k.irp()), k.buffer(1024));
        let word = if with_word { k.word() } else { Pointer::NULL };
        let status = k.call(&WskControl::query(RECORDS, output, 1024, word), irp);
        let expected = if taken { NtStatus::STATUS_SUCCESS } else { NtStatus::STATUS_INVALID_PARAMETER };
        assert_eq!(status, Ok(expected), "irp {with_irp}, word {with_word}");
        if with_word {
            assert_eq!(k.ulong(word), taken.then_some(128));
        }
    }
}

#[test]
fn information_tells_the_size_that_is_needed_unless_only_success_has_one() {
    for (value, information) in [("both", 128), ("with-irp", 128), ("without-irp", 0)] {
        let mut k = Kernel::with(&[("wsk-size-returned", value)]);
        let (irp, output) = (k.irp(), k.buffer(8));
        let word = if value == "without-irp" { Pointer::NULL } else { k.word() };
        k.call(&WskControl::query(RECORDS, output, 8, word), Some(irp)).unwrap();
        let status = NtStatus::STATUS_BUFFER_TOO_SMALL;
        assert_eq!(k.m.w.io_status(k.driver, irp), Some(Ok(IoStatus { status, information })), "{value}");
    }
}

// Pending.

/// A query of the records on a stalled socket: its IRP, its word and its buffer.
fn pending(k: &mut Kernel) -> (IrpHandle, Pointer, Pointer) {
    k.m.w.stall(k.driver, k.accepted).unwrap();
    let (irp, word, output) = (k.irp(), k.word(), k.buffer(1024));
    let status = k.call(&WskControl::query(RECORDS, output, 1024, word), Some(irp));
    assert_eq!(status, Ok(NtStatus::STATUS_PENDING));
    assert_eq!(k.m.w.io_status(k.driver, irp), None);
    assert_eq!(k.ulong(word), None);
    (irp, word, output)
}

#[test]
fn irp_completes_when_the_socket_answers_again() {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = pending(&mut k);
    k.m.w.resume(k.driver, k.accepted).unwrap();
    let expected = IoStatus { status: NtStatus::STATUS_SUCCESS, information: 128 };
    assert_eq!(k.m.w.io_status(k.driver, irp), Some(Ok(expected)));
    assert_eq!(k.ulong(word), Some(128));
    assert_eq!(k.m.w.read_memory(k.driver, output, 128), Some(k.records()));
    k.m.w.resume(k.driver, k.accepted).unwrap();
    assert_eq!(k.m.w.irp_completions(k.driver, irp), 1);
}

#[test]
fn set_takes_its_input_when_it_is_made() {
    let mut k = Kernel::with(&[]);
    let blob = k.records();
    let socket = k.m.w.socket(k.driver, SocketKind::V4).unwrap();
    k.m.w.stall(k.driver, socket).unwrap();
    let (irp, input) = (k.irp(), k.buffer(1024));
    k.m.w.write_memory(k.driver, input, &blob);
    let control = WskControl::set(input, 128);
    let status = k.m.w.wsk_control_socket(k.driver, Irql::Passive, socket, &control, Some(irp));
    assert_eq!(status, Ok(NtStatus::STATUS_PENDING));
    k.m.w.free(k.driver, input);
    assert_eq!(k.m.w.records_set(k.driver, socket), Ok(None));
    k.m.w.resume(k.driver, socket).unwrap();
    let expected = IoStatus { status: NtStatus::STATUS_SUCCESS, information: 0 };
    assert_eq!(k.m.w.io_status(k.driver, irp), Some(Ok(expected)));
    let set = k.m.w.records_set(k.driver, socket).unwrap().map(|records| records.blob().to_vec());
    assert_eq!(set, Some(blob));
}

#[rstest]
#[case::irp(|k: &mut Kernel, irp: IrpHandle| { k.m.w.io_cancel_irp(k.driver, irp); })]
#[case::socket(|k: &mut Kernel, _: IrpHandle| k.m.w.closesocket(k.driver, k.accepted).unwrap())]
fn irp_that_waits_is_cancelled_by(#[case] cancel: fn(&mut Kernel, IrpHandle)) {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = pending(&mut k);
    cancel(&mut k, irp);
    let expected = IoStatus { status: NtStatus::STATUS_CANCELLED, information: 0 };
    assert_eq!(k.m.w.io_status(k.driver, irp), Some(Ok(expected)));
    assert!(!k.m.w.io_cancel_irp(k.driver, irp), "it ends once");
    let _ = k.m.w.resume(k.driver, k.accepted);
    assert_eq!(k.m.w.irp_completions(k.driver, irp), 1);
    assert_eq!(k.ulong(word), None);
    assert_eq!(k.m.w.read_memory(k.driver, output, 1), Some(vec![0xCC]), "nothing is written late");
}

#[test]
fn call_that_would_wait_without_an_irp_is_told_that_the_device_is_busy() {
    let mut k = Kernel::with(&[]);
    k.m.w.stall(k.driver, k.accepted).unwrap();
    let (word, output) = (k.word(), k.buffer(1024));
    let status = k.call(&WskControl::query(RECORDS, output, 1024, word), None);
    assert_eq!(status, Ok(NtStatus::STATUS_DEVICE_BUSY));
}

// Faults of the driver.

#[rstest]
#[case::output(|_: Pointer, output: Pointer| output)]
#[case::size(|word: Pointer, _: Pointer| word)]
fn memory_that_is_freed_before_the_irp_completes_ends_the_machine(
    #[case] which: fn(Pointer, Pointer) -> Pointer,
) {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = pending(&mut k);
    k.m.w.free(k.driver, which(word, output));
    k.m.w.resume(k.driver, k.accepted).unwrap();
    assert_eq!(k.m.w.io_status(k.driver, irp), Some(Err(BugCheck::PageFaultInNonpagedArea)));
    assert_eq!(k.query(RECORDS, 1024).0, NtStatus::STATUS_SUCCESS, "the model goes on");
}

#[rstest]
#[case("PASSIVE_LEVEL", [true, false, false, false])]
#[case("DISPATCH_LEVEL", [true, true, true, false])]
fn profile_says_at_which_level_it_may_be_called(#[case] value: &str, #[case] allowed: [bool; 4]) {
    let mut k = Kernel::with(&[("wsk-irql", value)]);
    for (irql, allowed) in [Irql::Passive, Irql::Apc, Irql::Dispatch, Irql::High].into_iter().zip(allowed) {
        let (irp, word, output) = (k.irp(), k.word(), k.buffer(1024));
        let control = WskControl::query(RECORDS, output, 1024, word);
        let status = k.m.w.wsk_control_socket(k.driver, irql, k.accepted, &control, Some(irp));
        let expected = if allowed { Ok(NtStatus::STATUS_SUCCESS) } else { Err(BugCheck::IrqlNotLessOrEqual) };
        assert_eq!(status, expected, "{irql:?}");
    }
}

#[test]
fn irp_serves_one_call_at_a_time() {
    let mut k = Kernel::with(&[]);
    let (irp, ..) = pending(&mut k);
    let control = WskControl::query(RECORDS, Pointer::NULL, 0, Pointer::NULL);
    assert_eq!(k.call(&control, Some(irp)), Err(BugCheck::MultipleIrpCompleteRequests));
    assert_eq!(k.m.w.io_free_irp(k.driver, irp), Err(BugCheck::MultipleIrpCompleteRequests));
    k.m.w.resume(k.driver, k.accepted).unwrap();
    assert_eq!(k.m.w.io_free_irp(k.driver, irp), Ok(()));
    assert_eq!(k.call(&control, Some(irp)), Err(BugCheck::PageFaultInNonpagedArea));
}

#[rstest]
#[case::output(|c: &mut WskControl| c.output = Pointer::UNMAPPED)]
#[case::size(|c: &mut WskControl| c.output_size_returned = Pointer::UNMAPPED)]
fn bad_pointer_ends_the_machine(#[case] change: fn(&mut WskControl)) {
    let mut k = Kernel::with(&[]);
    let (irp, word, output) = (k.irp(), k.word(), k.buffer(1024));
    let mut control = WskControl::query(RECORDS, output, 1024, word);
    change(&mut control);
    assert_eq!(k.call(&control, Some(irp)), Err(BugCheck::PageFaultInNonpagedArea));
    assert_eq!(k.m.w.read_memory(k.driver, output, 1), Some(vec![0xCC]), "nothing was done");
    assert_eq!(k.ulong(word), None, "nothing was done");
    let set = WskControl::set(Pointer::UNMAPPED, 128);
    let irp = k.irp();
    assert_eq!(k.call(&set, Some(irp)), Err(BugCheck::PageFaultInNonpagedArea));
    k.m.w.closesocket(k.driver, k.accepted).unwrap();
    assert_eq!(k.call(&set, None), Err(BugCheck::PageFaultInNonpagedArea), "a socket that is gone");
}

#[test]
fn process_is_no_driver() {
    let mut k = Kernel::with(&[]);
    let control = WskControl::query(RECORDS, Pointer::NULL, 0, Pointer::NULL);
    let socket = k.m.socket(SocketKind::V4);
    let status = k.m.w.wsk_control_socket(k.m.app, Irql::Passive, socket, &control, None);
    assert_eq!(status, Ok(NtStatus::STATUS_INVALID_DEVICE_REQUEST));
    assert_eq!(k.m.w.io_allocate_irp(k.m.app, true), None);
}

#[test]
fn driver_that_ends_leaves_nothing_behind() {
    let mut k = Kernel::with(&[]);
    pending(&mut k);
    k.m.w.end_process(k.driver.pid);
    for pid in [k.m.app.pid, k.m.service.pid, k.m.server.pid] {
        k.m.w.end_process(pid);
    }
    assert_eq!(k.m.w.live(), 0);
}

#[test]
fn worlds_that_differ_in_the_numbers_of_irps_are_equal() {
    let (mut one, mut other) = (Kernel::with(&[]), Kernel::with(&[]));
    let spare = other.irp();
    other.m.w.io_free_irp(other.driver, spare).unwrap();
    pending(&mut one);
    pending(&mut other);
    assert!(one.m.w != other.m.w);
    assert!(one.m.w.canonical() == other.m.w.canonical());
    other.m.w.resume(other.driver, other.accepted).unwrap();
    assert!(one.m.w.canonical() != other.m.w.canonical());
}

// FwpsQueryConnectionSioFormatRedirectRecords0.

/// Asks for the records of a connection with a buffer of this size, this many bytes behind an aligned address: the status,
/// the bytes transferred, and what is in the buffer then.
fn sio_format(k: &mut Kernel, records: Option<&Records>, size: u32, offset: u64) -> (NtStatus, u64, Vec<u8>) {
    let (output, word) = (k.buffer(1024).offset(offset), k.word());
    let status = k.m.w.fwps_query_connection_sio_format_redirect_records(
        k.driver,
        Irql::Dispatch,
        records,
        output,
        size.into(),
        word,
    );
    let stored = k.m.w.read_memory(k.driver, output, size).unwrap();
    (status.unwrap(), k.read_word(word), stored)
}

#[test]
fn records_of_a_classify_are_those_that_a_query_would_store() {
    let mut k = Kernel::with(&[]);
    let blob = k.records();
    let records = Records::from_blob(&blob, k.m.w.profile()).unwrap();
    assert_eq!(sio_format(&mut k, Some(&records), 128, 0), (NtStatus::STATUS_SUCCESS, 128, blob.clone()));
    let short = (NtStatus::STATUS_BUFFER_TOO_SMALL, 128, vec![0xCC; 127]);
    assert_eq!(sio_format(&mut k, Some(&records), 127, 0), short);
    assert_eq!(sio_format(&mut k, None, 128, 0), (NtStatus::STATUS_NOT_FOUND, POISON, vec![0xCC; 128]));
    let misaligned = (NtStatus::STATUS_INVALID_PARAMETER, POISON, vec![0xCC; 128]);
    assert_eq!(sio_format(&mut k, Some(&records), 128, 4), misaligned);
    let mut k = Kernel::with(&[("sio-format-alignment", "ignored")]);
    assert_eq!(sio_format(&mut k, Some(&records), 128, 4), (NtStatus::STATUS_SUCCESS, 128, blob));
}

#[test]
fn records_of_a_classify_are_asked_for_up_to_dispatch_level_by_a_driver_with_memory() {
    let mut k = Kernel::with(&[]);
    let records = Records::from_blob(&k.records(), k.m.w.profile()).unwrap();
    let mut ask = |caller: Caller, irql: Irql, output: Pointer, length: u64, word: Pointer| {
        let records = Some(&records);
        k.m.w.fwps_query_connection_sio_format_redirect_records(caller, irql, records, output, length, word)
    };
    let (driver, null) = (k.driver, Pointer::NULL);
    assert_eq!(ask(driver, Irql::Dispatch, null, 0, null), Ok(NtStatus::STATUS_BUFFER_TOO_SMALL));
    assert_eq!(ask(driver, Irql::High, null, 0, null), Err(BugCheck::IrqlNotLessOrEqual));
    let fault = Err(BugCheck::PageFaultInNonpagedArea);
    assert_eq!(ask(driver, Irql::Passive, Pointer::UNMAPPED, 128, null), fault);
    assert_eq!(ask(driver, Irql::Passive, null, 0, Pointer::UNMAPPED), fault);
    let process = k.m.app;
    let refused = Ok(NtStatus::STATUS_INVALID_DEVICE_REQUEST);
    let mut ask = |caller: Caller| {
        let records = Some(&records);
        k.m.w.fwps_query_connection_sio_format_redirect_records(caller, Irql::Passive, records, null, 0, null)
    };
    assert_eq!(ask(process), refused);
}
