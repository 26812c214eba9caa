//! The backend `windows`, on Windows or under Wine: every call is made by real processes with real sockets.

#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "what fails is to be seen")]

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use wfp_conformance::WindowsBackend;
use wfp_conformance::vocabulary::{
    Backend as _, BackendFault, Call, CalloutSpec, DecisionSpec, Feature, HostSpec, Match, Observation, Op,
    Outcome, ProcessSpec, RedirectTo, RuleSpec, SetUp, Settings, StateName, Word,
};
use wfp_sim::{Profile, WinsockError};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wfp-conformance");

struct Machine(WindowsBackend);

impl Machine {
    /// With a host `server`, and the processes `app` and `other` on the local one and `far` on that.
    fn new() -> Self {
        let mut machine = Self(WindowsBackend::with_program(Path::new(PROGRAM), None).unwrap());
        machine.set_up();
        machine
    }

    fn set_up(&mut self) {
        let settings = Settings { case: "a case".into(), profile: Profile::default(), seed: 1 };
        self.0.reset(&settings).unwrap();
        let host = HostSpec { name: "server".into(), silent: false };
        let part = |process: &str, part| Op {
            process: process.into(),
            thread: 0,
            name: None,
            call: Call::SetUp(part),
        };
        self.0.apply(&part("server", SetUp::AddHost(host))).unwrap();
        for (process, host) in [("app", "local"), ("other", "local"), ("far", "server")] {
            let spec = ProcessSpec { host: host.into(), ..ProcessSpec::default() };
            self.0.apply(&part(process, SetUp::StartProcess(spec))).unwrap();
        }
    }

    /// Makes a call that is written as steps of a scenario have it, in JSON.
    fn call(&mut self, process: &str, name: &str, call: &str) -> Result<Observation, BackendFault> {
        let name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
        let call = serde_json::from_str(call).unwrap();
        self.0.apply(&Op { process: process.into(), thread: 0, name, call })
    }

    fn make(&mut self, process: &str, name: &str, call: &str) -> Observation {
        self.call(process, name, call).unwrap()
    }

    /// Makes a TCP socket of a process listen, as `listening`.
    fn listens(&mut self, process: &str, at: &str) {
        self.all(&[
            (process, "listening", r#"{"socket": {}}"#),
            (process, "", &format!(r#"{{"bind": {{"socket": "listening", "to": "{at}"}}}}"#)),
            (process, "", r#"{"listen": {"socket": "listening"}}"#),
        ]);
    }

    /// Makes calls that must succeed.
    fn all(&mut self, calls: &[(&str, &str, &str)]) {
        for (process, name, call) in calls {
            let observation = self.make(process, name, call);
            assert!(observation.is_ok(), "{call}: {observation}");
        }
    }
}

fn code(error: WinsockError) -> Outcome {
    Outcome::Error(error)
}

#[rstest]
#[case::v4("ipv4")]
#[case::v6("ipv6")]
fn a_connection_goes_from_one_process_to_another_and_carries_data(#[case] family: &str) {
    let mut machine = Machine::new();
    let socket = format!(r#"{{"socket": {{"family": "{family}"}}}}"#);
    machine.all(&[
        ("far", "listening", &socket),
        ("far", "", r#"{"bind": {"socket": "listening", "to": "any:443"}}"#),
        ("far", "", r#"{"listen": {"socket": "listening"}}"#),
    ]);
    let accept = machine.make("far", "accepted", r#"{"accept": {"socket": "listening"}}"#);
    assert_eq!(accept.outcome, Outcome::Pending);
    machine.all(&[
        ("app", "dialling", &socket),
        ("app", "", r#"{"connect": {"socket": "dialling", "to": "server:443"}}"#),
    ]);
    let waited = machine.make("app", "", r#"{"wait": {"for": ["accepted"]}}"#);
    assert_eq!(waited.to_string(), "`accepted` completed: success");

    let names = [
        ("app", r#"{"peer-name": {"socket": "dialling"}}"#, "server:443"),
        ("app", r#"{"local-name": {"socket": "dialling"}}"#, "local:*"),
        ("far", r#"{"local-name": {"socket": "accepted"}}"#, "server:443"),
        ("far", r#"{"peer-name": {"socket": "accepted"}}"#, "local:*"),
    ];
    for (process, call, expected) in names {
        let address = machine.make(process, "", call).address.unwrap();
        assert_eq!(address.to_string(), expected, "{call}");
    }
    machine.all(&[("app", "", r#"{"send": {"socket": "dialling", "data": "hello"}}"#)]);
    let received = machine.make("far", "data", r#"{"receive": {"socket": "accepted"}}"#);
    assert_eq!(&*received.stored.unwrap().bytes, b"hello");
}

#[test]
fn an_accept_that_waits_lets_its_thread_make_other_calls() {
    let mut machine = Machine::new();
    machine.listens("app", "loopback:1001");
    let accept = machine.make("app", "accepted", r#"{"accept": {"socket": "listening"}}"#);
    assert_eq!(accept.outcome, Outcome::Pending);
    machine.all(&[
        ("app", "dialling", r#"{"socket": {}}"#),
        ("app", "", r#"{"connect": {"socket": "dialling", "to": "loopback:1001"}}"#),
        ("app", "", r#"{"wait": {"for": ["accepted"]}}"#),
    ]);
    let address = machine.make("app", "", r#"{"peer-name": {"socket": "accepted"}}"#).address.unwrap();
    assert_eq!(address.to_string(), "loopback:*");
}

#[test]
fn datagrams_tell_their_source_and_can_be_answered() {
    let mut machine = Machine::new();
    let socket = r#"{"socket": {"protocol": "udp"}}"#;
    machine.all(&[
        ("far", "service", socket),
        ("far", "", r#"{"bind": {"socket": "service", "to": "any:53"}}"#),
        ("app", "asking", socket),
        ("app", "", r#"{"send-to": {"socket": "asking", "to": "server:53", "data": "question"}}"#),
    ]);
    let question = machine.make("far", "question", r#"{"receive-from": {"socket": "service"}}"#);
    assert_eq!(&*question.stored.unwrap().bytes, b"question");
    assert_eq!(question.address.unwrap().to_string(), "local:*");
    machine.all(&[(
        "far",
        "",
        r#"{"send-message": {"socket": "service", "to": "source question", "data": "answer"}}"#,
    )]);
    let answer = machine.make("app", "answer", r#"{"receive-message": {"socket": "asking"}}"#);
    assert_eq!(&*answer.stored.unwrap().bytes, b"answer");
    assert_eq!(answer.address.unwrap().to_string(), "server:53");
    assert_eq!(answer.control, Some(Vec::new()));
}

#[test]
fn a_socket_that_was_duplicated_is_the_same_in_the_other_process() {
    let mut machine = Machine::new();
    machine.all(&[
        ("app", "here", r#"{"socket": {}}"#),
        ("app", "", r#"{"bind": {"socket": "here", "to": "loopback:1001"}}"#),
        ("app", "there", r#"{"duplicate": {"socket": "here", "for": "other"}}"#),
        ("app", "", r#"{"close": {"socket": "here"}}"#),
    ]);
    let address = machine.make("other", "", r#"{"local-name": {"socket": "there"}}"#).address.unwrap();
    assert_eq!(address.to_string(), "loopback:1001");
    let foreign = machine.make("app", "", r#"{"local-name": {"socket": "there"}}"#);
    assert_eq!(foreign.outcome, code(WinsockError::WSAENOTSOCK));
}

const FIONREAD: u32 = 0x4004_667F;
const SIO_ADDRESS_LIST_QUERY: u32 = 0x4800_0016;

/// An `ioctl` with what lies behind the code.
fn ioctl(code: u32, rest: &str) -> String {
    format!(r#"{{"ioctl": {{"socket": "socket", "code": {code}{rest}}}}}"#)
}

#[test]
fn a_code_is_given_the_length_that_the_op_says() {
    let mut machine = Machine::new();
    machine.all(&[("app", "socket", r#"{"socket": {}}"#)]);
    let fits = machine.make("app", "", &ioctl(FIONREAD, r#", "out": {"length": 4}"#));
    assert_eq!((fits.outcome, fits.bytes_returned), (Outcome::Ok, Some(Word::Value(4))));
    let short = machine.make("app", "", &ioctl(FIONREAD, r#", "out": {"length": 3}"#));
    assert_eq!(short.outcome, code(WinsockError::WSAEFAULT));

    let none = machine.make("app", "", &ioctl(SIO_ADDRESS_LIST_QUERY, r#", "out": {"length": 0}"#));
    let Some(Word::Value(needed)) = none.bytes_returned else { panic!("{none}") };
    assert_eq!(none.outcome, code(WinsockError::WSAEFAULT));
    for (length, outcome) in [(needed, Outcome::Ok), (needed - 1, code(WinsockError::WSAEFAULT))] {
        let out = format!(r#", "out": {{"length": {length}}}"#);
        let observation = machine.make("app", "", &ioctl(SIO_ADDRESS_LIST_QUERY, &out));
        assert_eq!(observation.outcome, outcome, "{length}");
    }
}

#[test]
fn a_pointer_to_nowhere_is_refused_or_ends_the_process_and_nothing_else() {
    let mut machine = Machine::new();
    for kind in ["null-pointer", "unmapped", "partly"] {
        machine.all(&[("app", "socket", r#"{"socket": {}}"#)]);
        let out = format!(r#", "out": {{"length": 4, "pointer": "{kind}"}}"#);
        let observation = machine.make("app", "", &ioctl(FIONREAD, &out));
        assert_eq!(observation.outcome, code(WinsockError::WSAEFAULT), "{kind}");
    }
    // Of the word, Windows says that WSAEFAULT comes of it too. Wine writes there itself.
    let call = ioctl(FIONREAD, r#", "out": {"length": 4}, "bytes-returned": "unmapped""#);
    match machine.make("app", "", &call).outcome {
        Outcome::Error(error) => assert_eq!(error, WinsockError::WSAEFAULT),
        Outcome::Crashed(exception) => {
            assert_eq!(exception, "0xC0000005 STATUS_ACCESS_VIOLATION");
            let next = machine.call("app", "", r#"{"socket": {}}"#);
            assert_eq!(next, Err(BackendFault::Misuse("no process `app` runs".to_owned())));
        }
        other => panic!("{other:?}"),
    }
    machine.all(&[("other", "socket", r#"{"socket": {}}"#)]);
}

#[test]
fn after_a_reset_nothing_is_left_of_the_case_before() {
    let mut machine = Machine::new();
    for _ in 0..3 {
        machine.listens("app", "loopback:1001");
        let accept = machine.make("app", "accepted", r#"{"accept": {"socket": "listening"}}"#);
        assert_eq!(accept.outcome, Outcome::Pending);
        machine.set_up();
        let gone = machine.call("app", "", r#"{"local-name": {"socket": "listening"}}"#);
        assert_eq!(gone, Err(BackendFault::Misuse("no socket `listening` was made".to_owned())));
    }
}

#[test]
fn a_machine_has_what_it_was_seen_to_have() {
    let machine = Machine::new();
    for feature in [Feature::Tcp, Feature::Udp, Feature::Ipv6, Feature::DualStack, Feature::InvalidPointers] {
        assert!(machine.0.features().contains(&feature), "{feature}");
    }
    for feature in [Feature::Redirect, Feature::KernelView, Feature::VirtualTime, Feature::Profile] {
        assert!(!machine.0.features().contains(&feature), "{feature}");
    }
    let os = machine.0.identify().os.unwrap();
    assert!(os.contains("Windows "), "{os}");
}

#[test]
fn an_overlapped_code_tells_its_end_through_event_result_routine_and_port() {
    let mut machine = Machine::new();
    machine.all(&[("app", "socket", r#"{"socket": {}}"#)]);
    let begun =
        |outcome: &Outcome| matches!(outcome, Outcome::Ok | Outcome::Error(WinsockError::WSA_IO_PENDING));
    let out = r#", "out": {"length": 4}, "overlapped": "#;
    let with_event = machine.make("app", "one", &ioctl(FIONREAD, &format!("{out}{{}}")));
    assert!(begun(&with_event.outcome), "{with_event}");
    let result = machine.make("app", "", r#"{"get-result": {"of": "one", "wait": true}}"#);
    // Wine 8.0 stores the bytes, and tells of none.
    let is_told = |bytes| matches!(bytes, Some(Word::Value(0 | 4)));
    assert!(result.is_ok() && is_told(result.bytes_returned), "{result}");
    assert_eq!(machine.make("app", "", r#"{"event-state": {"of": "one"}}"#).signaled, Some(true));

    let routine = format!(r#"{out}{{"event": false, "routine": "valid"}}"#);
    let with_routine = machine.make("app", "two", &ioctl(FIONREAD, &routine));
    assert!(begun(&with_routine.outcome), "{with_routine}");
    let inside = r#"{"alertable-wait": {"inside": [{"op": {"local-name": {"socket": "socket"}}}]}}"#;
    let waited = machine.make("app", "", inside);
    let called: Vec<_> =
        waited.called.iter().map(|(name, told)| (&**name, is_told(told.bytes_returned))).collect();
    assert_eq!(called, [("two", true)]);
    assert_eq!(waited.inside.len(), 1);

    machine.all(&[
        ("app", "port", r#"{"create-port": {}}"#),
        ("app", "", r#"{"associate": {"socket": "socket", "port": "port"}}"#),
    ]);
    let none = machine.make("app", "", r#"{"dequeue": {"port": "port"}}"#);
    assert_eq!(none.outcome, code(WinsockError::WAIT_TIMEOUT));
    let to_port = machine.make("app", "three", &ioctl(FIONREAD, &format!(r#"{out}{{"event": false}}"#)));
    assert!(begun(&to_port.outcome), "{to_port}");
    let (name, told) = machine.make("app", "", r#"{"dequeue": {"port": "port"}}"#).completed.unwrap();
    assert_eq!((&*name, is_told(told.bytes_returned)), ("three", true));
}

#[test]
fn extension_functions_connect_and_accept() {
    let mut machine = Machine::new();
    machine.listens("far", "any:443");
    machine.all(&[("far", "accepted", r#"{"socket": {}}"#), ("app", "dialling", r#"{"socket": {}}"#)]);
    let accept = r#"{"accept-ex": {"socket": "listening", "into": "accepted"}}"#;
    assert_eq!(machine.make("far", "accept", accept).outcome, Outcome::Pending);
    let dial = r#"{"connect": {"socket": "dialling", "to": "server:443", "ex": true}}"#;
    assert_eq!(machine.make("app", "", dial).outcome, code(WinsockError::WSAEINVAL));
    machine.all(&[
        ("app", "", r#"{"bind": {"socket": "dialling", "to": "any:0"}}"#),
        ("app", "connect", dial),
        ("app", "", r#"{"update-connect-context": {"socket": "dialling"}}"#),
        ("far", "", r#"{"wait": {"for": ["accept"]}}"#),
        ("far", "", r#"{"update-accept-context": {"socket": "accepted", "listening": "listening"}}"#),
    ]);
    let address = machine.make("far", "", r#"{"peer-name": {"socket": "accepted"}}"#).address.unwrap();
    assert_eq!(address.to_string(), "local:*");
}

#[test]
fn a_condition_function_decides_about_a_connection_and_makes_calls() {
    let mut machine = Machine::new();
    machine.listens("far", "any:443");
    machine.all(&[
        ("app", "dialling", r#"{"socket": {}}"#),
        ("app", "", r#"{"connect": {"socket": "dialling", "to": "server:443"}}"#),
    ]);
    let call = r#"{"accept-conditionally": {"socket": "listening", "decides": "reject",
        "inside": [{"op": {"local-name": {"socket": "listening"}}}]}}"#;
    let rejected = machine.make("far", "accepted", call);
    assert_eq!(rejected.outcome, code(WinsockError::WSAECONNREFUSED));
    assert_eq!(rejected.inside[0].address.as_ref().unwrap().to_string(), "any:443");
}

#[test]
fn a_driver_is_told_of_each_callout_and_asked_to_remove_what_it_installed() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let drive = if folder.starts_with('/') { "Z:" } else { "" };
    let folder = format!("{drive}{folder}").replace('/', "\\");
    let (driver, log) = (format!("{folder}\\driver.bat"), format!("{folder}\\driver.log"));
    let script = format!(
        "@echo off\r\necho %1>>{log}\r\nif %1==describe goto describe\r\n\
         echo {{\"id\": \"one\"}}\r\ngoto end\r\n\
         :describe\r\necho {{\"schema\": \"wfp-conformance/driver/v1\", \"name\": \"pretends\"}}\r\n:end\r\n"
    );
    std::fs::write(&driver, script).unwrap();
    let _ = std::fs::remove_file(&log);
    let command = format!("cmd /c '{driver}'");
    let mut machine = Machine(WindowsBackend::with_program(Path::new(PROGRAM), Some(&command)).unwrap());
    machine.set_up();
    assert!(machine.0.features().contains(&Feature::Redirect));
    assert!(!machine.0.features().contains(&Feature::MultiVendor));
    let rule = |state, does| RuleSpec {
        layers: Vec::new(),
        states: vec![state],
        processes: Vec::new(),
        r#match: Match::default(),
        r#do: does,
    };
    let (redirects, permits) = (DecisionSpec::Redirect, DecisionSpec::Permit);
    let does = [redirects, permits, redirects, permits];
    let proxy = "loopback:1001".parse().unwrap();
    let spec = CalloutSpec {
        redirect: Some(RedirectTo { process: Some("other".into()), ipv4: Some(proxy), ipv6: None }),
        rules: StateName::ALL.into_iter().zip(does).map(|(state, does)| rule(state, does)).collect(),
        ..CalloutSpec::new("mine".into())
    };
    let call = Call::SetUp(SetUp::InstallCallout(spec.into()));
    let installed = machine.0.apply(&Op { process: "mine".into(), thread: 0, name: None, call }).unwrap();
    assert_eq!(installed.outcome, Outcome::Ok);
    machine.set_up();
    let asked = std::fs::read_to_string(&log).unwrap();
    assert_eq!(asked.split_whitespace().collect::<Vec<_>>(), ["describe", "install", "remove"]);
}

/// What Wine tells of every `WSAIoctl`, so that it is seen what the system was really asked.
#[test]
fn each_op_asks_with_its_own_code_and_with_the_lengths_that_it_says() {
    let asked = [
        (r#"{"query-records": {"socket": "s", "out": {"length": 33}, "input": {"length": 5}}}"#, 220, 5, 33),
        (r#"{"query-context": {"socket": "s", "out": {"length": 34}}}"#, 221, 0, 34),
        (r#"{"set-records": {"socket": "s", "input": {"length": 35}}}"#, 222, 35, 0),
        (r#"{"set-records": {"socket": "s", "input": {"length": 36}, "out": {"length": 7}}}"#, 222, 36, 7),
        (r#"{"ioctl": {"socket": "s", "code": 2550137183, "out": {"length": 37}}}"#, 351, 0, 37),
    ];
    if !Machine::new().0.identify().os.unwrap().starts_with("Wine") {
        return;
    }
    let mut lines = vec![r#"{"begin": {"host": "local"}}"#.to_owned()];
    for call in std::iter::once(r#"{"socket": {}}"#).chain(asked.iter().map(|(call, ..)| *call)) {
        lines.push(format!(
            r#"{{"call": {{"op": {{"process": "a", "name": "s", "call": {call}}},
                "ground": {{"v4": "127.0.0.1", "v6": "::1", "ports": []}}, "blobs": {{}}, "sources": {{}},
                "processes": {{}}, "foreign": [], "arrivals": false, "redirects": false}}}}"#
        ));
    }
    let lines: String = lines.iter().map(|line| line.replace('\n', "") + "\n").collect();
    let requests = concat!(env!("CARGO_TARGET_TMPDIR"), "/requests.jsonl");
    std::fs::write(requests, lines).unwrap();
    // What Wine tells, it writes to the stderr of Unix, and only where the environment of Unix asks for it: so a
    // program of Unix starts the process, and sends back what both say.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "WINEDEBUG=+winsock wine {PROGRAM} process < {requests} 2>&1 | cat > /dev/tcp/127.0.0.1/{port}"
    );
    let mut bash = Command::new(r"\\?\unix\bin\bash").args(["-c", &script]).spawn().unwrap();
    let mut told = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut told).unwrap();
    // Wine need not know how a program of Unix ended.
    let _ = bash.wait();
    let trace = String::from_utf8_lossy(&told).into_owned();
    let seen: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains(":WSAIoctl socket") && line.contains("IOC_VENDOR"))
        .collect();
    let hex = |length: u32| if length == 0 { "0".to_owned() } else { format!("{length:#x}") };
    assert_eq!(seen.len(), asked.len(), "{trace}");
    for ((call, code, input, output), line) in asked.into_iter().zip(seen) {
        assert!(line.contains(&format!("_WSAIOW(IOC_VENDOR, {code})")), "{call}: {line}");
        assert!(line.contains(&format!("in_size {}, ", hex(input))), "{call}: {line}");
        assert!(line.contains(&format!("out_size {}, ", hex(output))), "{call}: {line}");
    }
}
