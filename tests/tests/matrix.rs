//! The matrix of connect redirection, `docs/connect-redirect-matrix.md`, made from a run of its scenario on the model. It is
//! written anew with `UPDATE_MATRIX=1 cargo test -p wfp-tests --test matrix`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use wfp_conformance::follow::{End, Ending};
use wfp_conformance::scenario::{Fetched, Suite};
use wfp_sim::Profile;
use wfp_tests::{play, workspace};

const SCENARIO: &str = "scenarios/kernel/connect-redirect-matrix.yaml";
const PAGE: &str = "docs/connect-redirect-matrix.md";
const AGAIN: &str = "UPDATE_MATRIX=1 cargo test -p wfp-tests --test matrix";

const TRANSPORTS: [(&str, &str); 3] = [("tcp", "TCP"), ("udp", "UDP"), ("connected-udp", "Connected UDP")];

const FAMILIES: [&str; 4] = ["v4", "v4-mapped", "v6", "dual-stack"];

/// How the socket was bound and where it is redirected to; whether the way is one of the 48 cells; and why it is as it is.
const WAYS: [(&str, &str, bool, &str); 9] = [
    (
        "implicit-to-loopback",
        "not bound, to a service at loopback",
        true,
        "The guide's way for a socket without an address (driver-docs: Using Bind or Connect Redirection).",
    ),
    (
        "from-loopback-to-loopback",
        "bound to loopback, to a service at loopback",
        true,
        "As ebpf-for-windows tests it: the socket is bound where the target can be reached from.",
    ),
    (
        "from-own-address-to-own-address",
        "bound to an own address, to a service at that address",
        false,
        "The guide's way for a socket with an address. Both ends are one address, so the way is loopback.",
    ),
    (
        "implicit-to-own-address",
        "not bound, to a service at an own address",
        false,
        "Skipped case 1 of ebpf-for-windows, R19: the way is not taken for loopback, so the service is reached, and neither records nor \
         context are there. A careful service closes. Over UDP the datagrams can be lost altogether (R20). Profile fields \
         `local-address-redirect` and `datagram-unset-source`.",
    ),
    (
        "from-loopback-to-own-address",
        "bound to loopback, to a service at an own address",
        false,
        "Not tested by anybody. The model takes it as the skipped cases: an address of loopback leads to loopback alone. [inferred]",
    ),
    (
        "from-own-address-to-loopback",
        "bound to an own address, to a service at loopback",
        false,
        "Skipped case 3 of ebpf-for-windows: it cannot be routed, and the connect fails; with which code is profile field `unroutable-source`.",
    ),
    (
        "implicit-to-another-host",
        "not bound, to a proxy on another host",
        true,
        "A plain connection: nothing travels to another host, so the proxy there has nothing to ask for, and no way to know the destination.",
    ),
    (
        "from-own-address-to-another-host",
        "bound to an own address, to a proxy on another host",
        true,
        "The same.",
    ),
    (
        "from-loopback-to-another-host",
        "bound to loopback, to a proxy on another host",
        false,
        "Skipped case 2 of ebpf-for-windows: it cannot be routed, and the connect fails.",
    ),
];

/// What came of one cell, and how often the callout was asked on behalf of the application.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    mark: &'static str,
    asked: usize,
}

impl Cell {
    fn of(ending: &Ending) -> Self {
        let first = &ending.hops[0];
        let asked = first.at_connect.iter().chain(&first.hop).map(|hop| hop.inspections().count()).sum();
        let fetched = Fetched::all(&first.then);
        let mark = match (ending.end, fetched.as_slice()) {
            (End::Reached, [Fetched::Records, Fetched::Context]) => "both",
            (End::Closed, []) => "neither",
            (End::WrongDestination, []) => "plain",
            (End::Refused, []) => "fails",
            (end, _) => panic!("a cell that ends so has no mark: {end}"),
        };
        Self { mark, asked }
    }
}

/// The cells by transport, way and family.
static CELLS: LazyLock<BTreeMap<(String, String, String), Cell>> = LazyLock::new(|| {
    let suite = Suite::load(&[workspace().join(SCENARIO)], &Profile::documented());
    let played = play(suite.unwrap_or_else(|errors| panic!("{}", errors[0].render(false))), "documented");
    let mut cells = BTreeMap::new();
    for (case, run) in played.suite.cases.iter().zip(&played.runs) {
        let [family, way] = &case.variants[..] else { panic!("{}", case.name) };
        let transport = case.case.id.clone();
        if TRANSPORTS.iter().any(|(id, _)| *id == transport)
            && let Some(ending) = run.ending()
        {
            cells.insert((transport, way.name.to_string(), family.name.to_string()), Cell::of(ending));
        }
    }
    cells
});

fn cell(transport: &str, way: &str, family: &str) -> Cell {
    let key = (transport.to_owned(), way.to_owned(), family.to_owned());
    *CELLS.get(&key).unwrap_or_else(|| panic!("no case is {key:?}"))
}

fn page() -> String {
    let mut page = format!(
        "# The matrix of connect redirection\n\n\
         An application dials a server on another host, and a driver redirects it. What comes of that depends on how the socket writes the\n\
         address, on whether it was bound first, and on where the redirect leads. ebpf-for-windows tests most of this on Windows\n\
         (`tests/connect_redirect/connect_redirect_tests.cpp`); nothing on this page was measured there. It is made from a run of\n\
         [the scenario](../{SCENARIO}) on the model under the profile `documented`, by\n\
         `{AGAIN}`. Do not change it by hand.\n\n\
         The 48 cells of {{v4, v4-mapped, v6, dual-stack}} × {{TCP, UDP, connected UDP}} × {{explicit, implicit bind}} × {{local, remote proxy}} are\n\
         those of the ways marked *48*: a bound socket can only go where its address leads. The other ways are those that cannot work, or\n\
         work in one case and not in another.\n\n\
         | way | | what comes of it, and why |\n|---|---|---|\n"
    );
    for (_, way, counted, why) in WAYS {
        let _ = writeln!(page, "| {way} | {} | {why} |", if counted { "*48*" } else { "" });
    }
    page.push_str(
        "\nThe marks: **both**, the service fetches records and context, and brings the connection to its destination; **neither**, the service is \
         reached, gets no records and no context, and closes; **plain**, the proxy on the other host gets a connection like any other; **fails**, the \
         connect or the send fails. The number is how often the driver's callout is asked at CONNECT_REDIRECT on behalf of the application: on \
         connected UDP it is asked at `connect` and again at the first `send` (R11).\n\n\
         The families: *v4* and *v6* are sockets of their family; *v4-mapped* is a dual-stack socket that dials an IPv4 address, *dual-stack* one \
         that dials an IPv6 address.\n",
    );
    for (transport, title) in TRANSPORTS {
        let _ = write!(page, "\n## {title}\n\n| way | {} |\n|---|---|---|---|---|\n", FAMILIES.join(" | "));
        for (way, text, ..) in WAYS {
            let cells = FAMILIES.map(|family| {
                let Cell { mark, asked } = cell(transport, way, family);
                format!("{mark}, {asked}")
            });
            let _ = writeln!(page, "| {text} | {} |", cells.join(" | "));
        }
    }
    page
}

#[test]
fn page_is_what_the_scenario_does() {
    let page = page();
    let path = workspace().join(PAGE);
    if std::env::var_os("UPDATE_MATRIX").is_some() {
        std::fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == page, "{PAGE} is not what the scenario does; write it anew: {AGAIN}");
}

#[test]
fn matrix_has_the_48_cells_and_60_more_and_a_connected_socket_is_asked_about_twice() {
    assert_eq!(CELLS.len(), 108);
    assert_eq!(
        WAYS.iter().filter(|(_, _, counted, _)| *counted).count() * FAMILIES.len() * TRANSPORTS.len(),
        48
    );
    for ((transport, ..), cell) in CELLS.iter() {
        assert_eq!(cell.asked, if transport == "connected-udp" { 2 } else { 1 });
    }
}

/// No family and no transport makes a difference to what comes of a way.
#[test]
fn way_decides_what_comes_of_it() {
    let expected = ["both", "both", "both", "neither", "fails", "fails", "plain", "plain", "fails"];
    for ((way, ..), mark) in WAYS.iter().zip(expected) {
        for (transport, _) in TRANSPORTS {
            for family in FAMILIES {
                assert_eq!(cell(transport, way, family).mark, mark, "{transport} {way} {family}");
            }
        }
    }
}
