use std::time::{Duration, Instant};

use super::*;

fn tree(text: &str) -> Node {
    parse(&Source::new("a.yaml", text)).unwrap()
}

fn error(text: &str) -> Diagnostic {
    parse(&Source::new("a.yaml", text)).unwrap_err()
}

/// The error in one line, and the text it points at.
fn pointed(text: &str) -> (String, String) {
    let error = error(text);
    (error.to_string(), error.span.unwrap().text().to_owned())
}

/// A tree in one line; texts that are not plain are in quotes.
fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "~".into(),
        Kind::Scalar { text, plain: true } => text.to_string(),
        Kind::Scalar { text, plain: false } => format!("{text:?}"),
        Kind::Sequence(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Kind::Mapping(entries) => {
            let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Every node and key with what its span covers, in the order of the tree.
fn spans(node: &Node) -> Vec<&str> {
    let below = node.items().iter().map(spans).collect::<Vec<_>>().concat();
    let entries = node
        .entries()
        .iter()
        .flat_map(|entry| std::iter::once(entry.key_span.text()).chain(spans(&entry.value)));
    std::iter::once(node.span.text()).chain(below).chain(entries).collect()
}

#[test]
fn every_style_of_value_is_read() {
    let text =
        "a: 1\nb: 'it''s'\nc: \"x\\ty\"\nd: |\n  one\n  two\ne: >-\n  one\n  two\nf: [x, {y: z}]\ng:\nh: ~\n";
    assert_eq!(
        shown(&tree(text)),
        r#"{a: 1, b: "it's", c: "x\ty", d: "one\ntwo\n", e: "one two", f: [x, {y: z}], g: ~, h: ~}"#
    );
}

#[test]
fn crlf_and_byte_order_mark_change_nothing() {
    let node = tree("\u{FEFF}a:\r\n- 1\r\n- x: |\r\n    one\r\n    two\r\n");
    assert_eq!(shown(&node), r#"{a: [1, {x: "one\ntwo\n"}]}"#);
    assert_eq!(node.get("a").unwrap().items()[1].span.line(), 3);
}

#[test]
fn a_span_covers_what_was_written_and_no_comment_or_space() {
    assert_eq!(spans(&tree("'a' : \"x\" # one\n")), ["'a' : \"x\"", "'a'", "\"x\""]);
    assert_eq!(spans(&tree("[ 'x' , {a: b } ] # one")), ["[ 'x' , {a: b } ]", "'x'", "{a: b }", "a", "b"]);
    assert_eq!(
        spans(&tree("a:\n  - x # one\n  - y\n# two\n")),
        ["a:\n  - x # one\n  - y", "a", "- x # one\n  - y", "x", "y"]
    );
    assert_eq!(spans(&tree("a:\n- x\nb: c")), ["a:\n- x\nb: c", "a", "- x", "x", "b", "c"]);
    assert_eq!(
        spans(&tree("a: |\n  one\n  two\n\nb:\nc: d")),
        ["a: |\n  one\n  two\n\nb:\nc: d", "a", "one\n  two", "b", "", "c", "d"]
    );
    assert_eq!(spans(&tree("ä: &x # no\n  'ö'\nb: *x\n"))[1..], ["ä", "'ö'", "b", "*x"]);
    assert_eq!(spans(&tree("a: &x\nb: c\n")), ["a: &x\nb: c", "a", "", "b", "c"]);
    assert_eq!(spans(&tree("a: &x # no\n  b: c\n"))[2..], ["b: c", "b", "c"]);
    assert_eq!(spans(&tree("[a: 'b' , c]")), ["[a: 'b' , c]", "a: 'b'", "a", "'b'", "c"]);
}

#[test]
fn an_alias_stands_for_its_anchor_and_points_to_where_it_is_used() {
    let node = tree("a: &x {k: v}\nb: *x\nc: [*x]\n");
    assert_eq!(shown(&node), "{a: {k: v}, b: {k: v}, c: [{k: v}]}");
    let alias = node.get("b").unwrap();
    assert_eq!((alias.span.line(), alias.span.text()), (2, "*x"));
    assert_eq!(alias.get("k").unwrap().span.line(), 1);
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "~", "null\n"] {
        assert_eq!(error(text).to_string(), "a.yaml:1:1: the file is empty", "{text:?}");
    }
}

#[test]
fn a_second_document_is_refused() {
    assert_eq!(
        pointed("---\na: 1\n---\nb: 1\n"),
        ("a.yaml:3:1: a second document begins here".into(), "---".into())
    );
    assert_eq!(
        pointed("a: 1\n...\nb: 1\n"),
        ("a.yaml:3:1: a second document begins here".into(), "b:".into())
    );
    assert_eq!(shown(&tree("---\na: 1\n...\n")), "{a: 1}");
}

#[test]
fn a_duplicate_key_is_refused_with_both_places() {
    let error = error("a: 1\nb: 2\n'a': 3\nb: 4\n");
    assert_eq!(error.to_string(), "a.yaml:3:1: the key `a` is given twice");
    assert_eq!((error.secondary[0].0.line(), error.secondary[0].1.as_str()), (1, "first given here"));
}

#[test]
fn a_key_that_is_no_text_is_refused() {
    let message = |place| format!("a.yaml:{place}: a list or a mapping cannot be a key");
    assert_eq!(pointed("? [a]\n: b\n"), (message("1:3"), "[".into()));
    assert_eq!(pointed("x: {{a: b}: c}\n"), (message("1:5"), "{".into()));
    assert_eq!(pointed("x: &x [a]\n*x : b\n"), (message("2:1"), "*x".into()));
    assert_eq!(pointed("a: 1\n: b\n").0, "a.yaml:2:1: there is no key in front of `:`");
}

#[test]
fn a_merge_key_is_refused_but_not_its_text() {
    assert_eq!(
        pointed("a: &a {x: 1}\nb:\n  <<: *a\n"),
        ("a.yaml:3:3: merging with `<<` is not a part of YAML 1.2".into(), "<<".into())
    );
    assert_eq!(shown(&tree("'<<': 1")), "{<<: 1}");
}

#[test]
fn a_tag_is_refused() {
    assert_eq!(
        pointed("a: &x !foo b\n"),
        ("a.yaml:1:7: the tag `!foo` has no meaning here".into(), "!foo".into())
    );
    assert_eq!(pointed("a: !!str 5\n").0, "a.yaml:1:4: the tag `!!str` has no meaning here");
    assert_eq!(pointed("- ! {}\n").0, "a.yaml:1:3: the tag `!` has no meaning here");
}

#[test]
fn a_control_character_is_refused() {
    assert_eq!(
        pointed("a: ä\u{1b}[0m"),
        ("a.yaml:1:5: the control character U+001B cannot be written as it is".into(), "\u{1b}".into())
    );
    assert_eq!(
        pointed("a: 1\r\nb: 2\rc: 3").0,
        "a.yaml:2:5: the control character U+000D cannot be written as it is"
    );
    assert_eq!(pointed("a: \0").0, "a.yaml:1:4: the control character U+0000 cannot be written as it is");
}

#[test]
fn an_alias_inside_of_its_own_anchor_is_refused() {
    assert_eq!(
        pointed("a: &x [1, *x]\n"),
        ("a.yaml:1:11: the alias `*x` stands inside of its own anchor".into(), "*x".into())
    );
}

#[test]
fn nesting_is_allowed_to_the_limit_and_refused_beyond() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let dashes = |depth| format!("{}x", "- ".repeat(depth));
    let message = |column| format!("a.yaml:1:{column}: lists and mappings are nested deeper than 64 levels");
    tree(&nested(MAX_DEPTH));
    tree(&dashes(MAX_DEPTH));
    assert_eq!(pointed(&nested(MAX_DEPTH + 1)), (message(65), "[".into()));
    assert_eq!(pointed(&dashes(MAX_DEPTH + 1)), (message(129), "-".into()));
}

#[test]
fn nesting_through_aliases_counts_too() {
    let half = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let deep = format!("{}*a{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(
        pointed(&format!("- &a {half}\n- {deep}\n")),
        ("a.yaml:2:43: lists and mappings are nested deeper than 64 levels".into(), "*a".into())
    );
}

#[test]
fn a_hundred_thousand_levels_are_refused_at_once() {
    for level in ["[", "{", "- ", "? ", "{a: ", "[a, ", "[a: ", "\"a\":\n ", "&a [", "- ["] {
        let text = level.repeat(100_000);
        let start = Instant::now();
        assert!(error(&text).span.is_some(), "{level}");
        assert!(start.elapsed() < Duration::from_secs(2), "{level} took {:?}", start.elapsed());
    }
}

#[test]
fn large_files_of_any_shape_are_read_or_refused_soon() {
    for part in ["a,", "{a: b},", "a: b\n", "- a\n", "'a': [b]\n", "*a ", "[a]: b, ", "x y\n", "ä ", "&a b\n"]
    {
        for beginning in ["", "[", "x: [", "{", "\"", "x: &a |\n  "] {
            let text = format!("{beginning}{}", part.repeat((1 << 16) / part.len()));
            let start = Instant::now();
            let _ = parse(&Source::new("a.yaml", text));
            assert!(start.elapsed() < Duration::from_secs(2), "{beginning}{part} took {:?}", start.elapsed());
        }
    }
}

#[test]
fn aliases_that_stand_for_too_much_are_refused() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e]\n";
    assert_eq!(pointed(bomb).0, "a.yaml:6:5: the file stands for more than 100000 values");
    let long_text = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a,".repeat(1000));
    assert_eq!(error(&long_text).message, "the file stands for more than 100000 values");
}

#[test]
fn as_many_nodes_as_the_limit_are_read_and_one_more_is_refused() {
    let list = |items: usize| format!("[{}]", "x,".repeat(items));
    assert_eq!(tree(&list(MAX_NODES - 1)).items().len(), MAX_NODES - 1);
    assert_eq!(error(&list(MAX_NODES)).message, "the file stands for more than 100000 values");
}
