//! `explain`.

use rstest::rstest;

use crate::common::{Called, Folder};

#[rstest]
#[case::error("WSAENOTCONN", "WSAENOTCONN (10057)\n\nThe socket is not connected.\n")]
#[case::error_by_number("10057", "WSAENOTCONN (10057)\n\nThe socket is not connected.\n")]
#[case::status(
    "STATUS_NOT_FOUND",
    "STATUS_NOT_FOUND (0xC0000225)\n\nThere is no such object: for a query, no redirect.\nSource: ntstatus.h\n  \
     WSAEINVAL by win-net-test\n"
)]
#[case::bug_check(
    "IRQL_NOT_LESS_OR_EQUAL",
    "IRQL_NOT_LESS_OR_EQUAL (0xA): a bug check\n\nA driver called a function at a level that it does not allow.\n"
)]
#[case::status_that_is_no_failure("STATUS_PENDING", "STATUS_PENDING (0x00000103)\n\n")]
#[case::state(
    "redirected-by-self",
    "redirected-by-self (FWPS_CONNECTION_REDIRECTED_BY_SELF)\n\nThe last redirect was by the asking handle."
)]
#[case::state_by_its_constant(
    "FWPS_CONNECTION_REDIRECTED_BY_SELF",
    "redirected-by-self (FWPS_CONNECTION_REDIRECTED_BY_SELF)\n"
)]
#[case::feature("dual-stack", "dual-stack: a feature of backends\n\nIPv6 sockets that serve IPv4 too.\n")]
#[case::requirement("chains.bounded", "chains.bounded: a requirement\n\n")]
#[case::regression(
    "R2",
    "R2: a regression: the service forgets SET\n\nCause: its socket has no records.\nWhat happens, or must happen: PA→D: A NOT"
)]
#[case::profile_field("set-twice", "set-twice: a field of the behaviour profile\n\n")]
#[case::end("stalled", "stalled: how a followed connection ends\n\n")]
#[case::why("never-set", "never-set: why a connection goes round\n\n")]
#[case::client(
    "envoy",
    "envoy: a client, for a service's `client`\n\nEnvoy, original_dst filter on outbound listeners.\n"
)]
#[case::vendor(
    "wfp-sampler",
    "wfp-sampler: a vendor, for `use: ['vendor:wfp-sampler']`\n\nMicrosoft's WFP sample, its callout that proxies by redirection.\n"
)]
#[case::code(
    "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS",
    "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS (0x980000DE)\n\n"
)]
fn explain_says_what_a_name_means(#[case] name: &str, #[case] begins: &str) {
    let called = Folder::new().call(&["explain", name]);
    assert!(called.stdout.starts_with(begins), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[rstest]
#[case("errors", "WSAENOTCONN (10057)")]
#[case("statuses", "STATUS_BUFFER_TOO_SMALL (0xC0000023)")]
#[case("statuses", "PAGE_FAULT_IN_NONPAGED_AREA (0x50)")]
#[case("states", "previously-redirected-by-self")]
#[case("features", "dual-stack")]
#[case("requirements", "chains.bounded")]
#[case("regressions", "R31")]
#[case("profile", "set-twice")]
#[case("ends", "stalled")]
#[case("clients", "safe-chain")]
#[case("vendors", "ebpf-for-windows")]
#[case("codes", "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS (0x980000DE)")]
#[case("precedence", "Where several causes hold at once, the first of these decides:")]
fn explain_lists_the_names_of_a_kind(#[case] kind: &str, #[case] name: &str) {
    let called = Folder::new().call(&["explain", kind]);
    assert!(called.stdout.lines().any(|line| line == name), "{}", called.stdout);
    assert_eq!((called.exit, called.stderr.as_str()), (0, ""));
}

#[test]
fn explain_lists_the_cases_of_a_regression_by_what_they_show_of_it() {
    let called = Folder::new().call(&["explain", "R2"]);
    let (_, cases) = called.stdout.split_once("\n\nfault:\n").unwrap();
    let (faults, mends) = cases.split_once("\n\nmend:\n").unwrap();
    assert!(faults.lines().any(|case| case == "  loops/service-forgets-set#alone@faulty+v4"), "{faults}");
    assert!(mends.lines().any(|case| case == "  loops/service-forgets-set#alone@mended+v4"), "{mends}");
}

#[rstest]
#[case::near("set-twize", "error: nothing here is named `set-twize`; did you mean `set-twice`?\n")]
#[case::far(
    "xyzzy",
    "error: nothing here is named `xyzzy`; errors, statuses, states, features, requirements, regressions, profile, ends, clients, vendors, \
     codes, precedence list what there is\n"
)]
fn explain_of_an_unknown_name_is_bad_usage_and_names_the_nearest(#[case] name: &str, #[case] message: &str) {
    let called = Folder::new().call(&["explain", name]);
    assert_eq!(called, Called { exit: 2, stdout: String::new(), stderr: message.to_owned() });
}
