use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::Deserialize;

use super::super::{Source, parse};
use super::*;

fn read_as<T: DeserializeOwned>(text: &str) -> Result<T, Diagnostic> {
    from_node(&parse(&Source::new("a.yaml", text))?)
}

/// The error in one line, and the text it points at.
fn error<T: DeserializeOwned + Debug>(text: &str) -> (String, String) {
    let error = read_as::<T>(text).unwrap_err();
    (error.to_string(), error.span.unwrap().text().to_owned())
}

fn help<T: DeserializeOwned + Debug>(text: &str) -> String {
    read_as::<T>(text).unwrap_err().help.unwrap_or_default()
}

type Map<T> = BTreeMap<String, T>;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Host {
    name: String,
    port: u16,
    #[serde(default)]
    note: Option<String>,
}

#[test]
fn a_struct_is_read_from_a_mapping() {
    let host: Host = read_as("port: 443\nname: one\n").unwrap();
    assert_eq!(host, Host { name: "one".into(), port: 443, note: None });
}

#[test]
fn collections_options_and_tuples_are_read() {
    assert_eq!(read_as::<Vec<Option<u8>>>("[1, ~, 3]").unwrap(), [Some(1), None, Some(3)]);
    assert_eq!(
        read_as::<(u8, String, [bool; 2])>("[1, x, [true, False]]").unwrap(),
        (1, "x".into(), [true, false])
    );
    assert_eq!(
        read_as::<BTreeMap<u16, char>>("443: x\n0x50: y\n").unwrap(),
        BTreeMap::from([(443, 'x'), (80, 'y')])
    );
    assert_eq!(read_as::<Vec<()>>("- ~\n-\n").unwrap(), [(), ()]);
}

#[test]
fn every_number_is_read_by_its_type() {
    assert_eq!(read_as::<Vec<i8>>("[-128, +127, 0x7f, 0o17]").unwrap(), [-128, 127, 127, 15]);
    assert_eq!(read_as::<Vec<u64>>("[18446744073709551615]").unwrap(), [u64::MAX]);
    assert_eq!(read_as::<Vec<i128>>(&format!("[{}]", i128::MIN)).unwrap(), [i128::MIN]);
    assert_eq!(read_as::<Vec<u128>>(&format!("[{}]", u128::MAX)).unwrap(), [u128::MAX]);
    assert_eq!(
        read_as::<Vec<f64>>("[1, 1.5, -2e3, 0x10, .inf]").unwrap(),
        [1.0, 1.5, -2000.0, 16.0, f64::INFINITY]
    );
    assert_eq!(read_as::<Vec<f32>>("[0.25]").unwrap(), [0.25]);
}

#[test]
fn without_a_type_plain_scalars_resolve_and_quoted_ones_stay_text() {
    let value: serde_json::Value =
        read_as("[1, -1, 1.5, true, ~, x, '1', \"true\", {a: [0x10]}, 99999999999999999999]").unwrap();
    let expected = r#"[1,-1,1.5,true,null,"x","1","true",{"a":[16]},1e+20]"#;
    assert_eq!(value.to_string(), expected);
}

#[test]
fn a_number_out_of_range_is_told_the_range_of_its_type() {
    assert_eq!(
        error::<Map<u16>>("port: 70000\n"),
        (
            "a.yaml:1:7: `70000` is out of range: expected a whole number from 0 to 65535".into(),
            "70000".into()
        )
    );
    assert_eq!(
        error::<Map<u16>>("p: -1\n").0,
        "a.yaml:1:4: `-1` is out of range: expected a whole number from 0 to 65535"
    );
    assert_eq!(
        error::<Map<i8>>("p: 0x80\n").0,
        "a.yaml:1:4: `0x80` is out of range: expected a whole number from -128 to 127"
    );
    assert_eq!(
        error::<BTreeMap<u8, u8>>("256: 1\n").0,
        "a.yaml:1:1: `256` is out of range: expected a whole number from 0 to 255"
    );
    assert_eq!(
        error::<Map<f32>>("p: 1e39\n").0,
        "a.yaml:1:4: `1e39` is out of range: expected a number up to 3.4028234663852886e38"
    );
    assert_eq!(
        error::<Map<f64>>("p: 1e309\n").0,
        "a.yaml:1:4: `1e309` is out of range: expected a number up to 1.7976931348623157e308"
    );
    assert_eq!(
        error::<Map<NonZeroU16>>("p: 0\n").0,
        "a.yaml:1:4: expected a number other than 0, found the number `0`"
    );
}

#[test]
fn what_is_no_number_is_told_what_was_found() {
    assert_eq!(
        error::<Map<u16>>("p: abc\n"),
        ("a.yaml:1:4: expected a whole number from 0 to 65535, found the text `abc`".into(), "abc".into())
    );
    assert_eq!(
        error::<Map<u8>>("p: 1.5\n").0,
        "a.yaml:1:4: expected a whole number from 0 to 255, found the number `1.5`"
    );
    assert_eq!(
        error::<Map<u8>>("p: [1]\n").0,
        "a.yaml:1:4: expected a whole number from 0 to 255, found a list"
    );
    assert_eq!(
        error::<Map<u8>>("p:\n").0,
        "a.yaml:1:2: expected a whole number from 0 to 255, found nothing"
    );
    assert_eq!(error::<Map<f64>>("p: x\n").0, "a.yaml:1:4: expected a number, found the text `x`");
    assert_eq!(
        error::<BTreeMap<u8, u8>>("x: 1\n").0,
        "a.yaml:1:1: expected a whole number from 0 to 255, found the text `x`"
    );
}

#[test]
fn a_quoted_number_is_told_to_lose_its_quotes() {
    assert_eq!(
        error::<Map<u16>>("p: '443'\n").0,
        "a.yaml:1:4: expected a whole number from 0 to 65535, found the text `443`"
    );
    assert_eq!(help::<Map<u16>>("p: '443'\n"), "write it without quotes: `443`");
    assert_eq!(help::<Map<bool>>("p: \"true\"\n"), "write it without quotes: `true`");
}

#[test]
fn a_plain_number_where_text_is_expected_is_told_to_get_quotes() {
    assert_eq!(
        error::<Map<String>>("p: 443\n"),
        ("a.yaml:1:4: expected text, found the number `443`".into(), "443".into())
    );
    assert_eq!(help::<Map<String>>("p: 443\n"), "put it in quotes: `\"443\"`");
    assert_eq!(error::<Map<String>>("p: true\n").0, "a.yaml:1:4: expected text, found `true`");
    assert_eq!(error::<Map<String>>("p: ~\n").0, "a.yaml:1:4: expected text, found nothing");
    assert_eq!(
        error::<Map<IpAddr>>("p: 10.0\n").0,
        "a.yaml:1:4: expected IP address, found the number `10.0`"
    );
    assert_eq!(read_as::<Map<String>>("p: '443'").unwrap()["p"], "443");
    assert_eq!(read_as::<Map<String>>("443: x").unwrap()["443"], "x");
}

#[test]
fn a_truth_value_of_another_dialect_is_told_how_it_is_written_here() {
    assert_eq!(
        error::<Map<bool>>("p: yes\n").0,
        "a.yaml:1:4: expected `true` or `false`, found the text `yes`"
    );
    assert_eq!(help::<Map<bool>>("p: yes\n"), "truth values are written `true` and `false`");
}

#[test]
fn an_unknown_field_is_pointed_at_with_the_nearest_name() {
    let error = read_as::<Host>("name: x\nport: 1\nnoet: y\n").unwrap_err();
    assert_eq!(error.to_string(), "a.yaml:3:1: unknown key `noet`");
    assert_eq!(error.span.unwrap().text(), "noet");
    assert_eq!(error.label, "did you mean `note`?");
    assert_eq!(error.help.as_deref(), Some("what can be given here: `name`, `port`, `note`"));
}

#[test]
fn a_missing_field_points_at_its_mapping() {
    let text = "- name: x\n  port: 1\n- port: 2\n";
    let expected = ("a.yaml:3:3: the key `name` is missing".into(), "port: 2".into());
    assert_eq!(error::<Vec<Host>>(text), expected);
}

#[test]
fn an_error_of_a_type_itself_points_at_its_node() {
    assert_eq!(
        error::<Map<IpAddr>>("p: 10.0.0.256\n"),
        ("a.yaml:1:4: invalid IP address syntax".into(), "10.0.0.256".into())
    );
}

#[test]
fn the_wrong_shape_is_told_the_right_one() {
    assert_eq!(error::<Host>("- x\n").0, "a.yaml:1:1: expected a mapping, found a list");
    assert_eq!(error::<Map<Host>>("p:\n").0, "a.yaml:1:2: expected a mapping, found nothing");
    assert_eq!(error::<Map<Vec<u8>>>("p: {a: 1}\n").0, "a.yaml:1:4: expected a list, found a mapping");
    assert_eq!(error::<Vec<()>>("- x\n").0, "a.yaml:1:3: expected nothing, found the text `x`");
    assert_eq!(
        error::<Map<char>>("p: xy\n").0,
        "a.yaml:1:4: expected a single character, found the text `xy`"
    );
}

#[test]
fn types_that_serde_reads_ahead_work_too() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Either {
        Port(u16),
        Name(String),
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: Map<u8>,
    }
    assert_eq!(read_as::<Vec<Either>>("[1, x]").unwrap(), [Either::Port(1), Either::Name("x".into())]);
    assert_eq!(error::<Vec<Either>>("- 1\n- []\n").1, "[]");
    assert_eq!(read_as::<Flat>("a: 1\nb: 2").unwrap(), Flat { a: 1, rest: Map::from([("b".into(), 2)]) });
}
