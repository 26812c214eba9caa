//! From a text to a tree.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as Place};

use super::diagnostic::quoted;
use super::places::Places;
use super::scalar::{self, Plain};
use super::{Diagnostic, Entry, Kind, Node, Source, Span, wording};

/// How deep lists and mappings may be nested. Everything that walks a tree relies on it not to run out of
/// stack.
pub const MAX_DEPTH: usize = 64;

/// How many nodes a tree may have when every alias is replaced by what it stands for. A long text counts as
/// several nodes, so that neither many nor large copies can use up the memory.
pub const MAX_NODES: usize = 100_000;

/// The bytes of text that weigh as much as one node.
const BYTES_PER_NODE: usize = 64;

/// Reads a text that is a single YAML document.
pub fn parse(source: &Arc<Source>) -> Result<Node, Diagnostic> {
    refuse_control_characters(source)?;
    let mut builder = Builder {
        places: Places::new(source),
        open: Vec::new(),
        anchors: HashMap::new(),
        weight: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(&source.text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, place)) => builder.take(event, place)?,
            Err(error) => return Err(builder.explain(&error)),
        }
    }
    match builder.root {
        Some(root) if !matches!(root.kind, Kind::Null) => Ok(root),
        _ => Err(Diagnostic::at(&Span { source: Arc::clone(source), start: 0, end: 0 }, "the file is empty")
            .with_label("something is expected here")),
    }
}

/// YAML knows such characters only as escapes, and in a text file they are always an accident. A carriage
/// return alone would end a line for the parser, and for nobody else.
fn refuse_control_characters(source: &Arc<Source>) -> Result<(), Diagnostic> {
    let text = source.text.as_str();
    let unwanted = |&(at, c): &(usize, char)| match c {
        '\t' | '\n' | '\u{85}' => false,
        '\r' => text.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => c.is_control(),
    };
    match text.char_indices().find(unwanted) {
        None => Ok(()),
        Some((start, c)) => {
            let span = Span { source: Arc::clone(source), start, end: start + c.len_utf8() };
            let message = format!("the control character U+{:04X} cannot be written as it is", u32::from(c));
            Err(Diagnostic::at(&span, message)
                .with_help(format!("in double quotes it can be written as `\"\\x{:02X}\"`", u32::from(c))))
        }
    }
}

struct Builder<'s> {
    places: Places<'s>,
    /// The lists and mappings that have begun and not ended.
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    weight: usize,
    root: Option<Node>,
}

struct Open {
    start: usize,
    /// Where the last part of it ended so far.
    end: usize,
    anchor: usize,
    weight_before: usize,
    /// How many levels are nested in it.
    height: usize,
    body: Body,
}

enum Body {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<(Arc<str>, Span)> },
}

struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let start = self.places.byte(place.start.index());
                Err(Diagnostic::at(&self.places.word(start), "a second document begins here")
                    .with_help("a file holds one document; write the second one into a file of its own"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let start = self.start(place, anchor, tag.is_some())?;
                let node = self.scalar(&text, style, start, place);
                let weight = 1 + text.len() / BYTES_PER_NODE;
                self.weigh(weight, &node.span)?;
                self.complete(node, anchor, weight, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                let start = self.start(place, anchor, tag.is_some())?;
                let start = if self.awaits_value() { self.places.dash_before(start) } else { start };
                self.begin(start, anchor, Body::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let start = self.start(place, anchor, tag.is_some())?;
                self.begin(start, anchor, Body::Mapping { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    /// Where a node begins: what the parser calls its beginning includes the anchor and the tag.
    fn start(&mut self, place: Place, anchor: usize, tagged: bool) -> Result<usize, Diagnostic> {
        let start = self.places.byte(place.start.index());
        let start = if anchor > 0 { self.places.after_anchor(start) } else { start };
        if tagged { Err(wording::no_tags(&self.places.name(start))) } else { Ok(start) }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, start: usize, place: Place) -> Node {
        let plain = style == ScalarStyle::Plain;
        if plain && text.is_empty() {
            // Behind an anchor there is nothing of its own to point at.
            let start = self.places.byte(place.start.index());
            return Node { kind: Kind::Null, span: self.places.span(start, start) };
        }
        let end = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.places.closing_quote(start),
            _ => self.places.byte(place.end.index()),
        };
        let kind = if plain && scalar::resolve(text) == Plain::Null {
            Kind::Null
        } else {
            Kind::Scalar { text: text.into(), plain }
        };
        Node { kind, span: self.places.trimmed(start, end) }
    }

    fn begin(&mut self, start: usize, anchor: usize, body: Body) -> Result<(), Diagnostic> {
        let span = self.places.character(start);
        refuse_depth(self.open.len() + 1, &span)?;
        if self.awaits_key() {
            return Err(not_a_key(&span));
        }
        self.weigh(1, &span)?;
        let weight_before = self.weight - 1;
        self.open.push(Open { start, end: start, anchor, weight_before, height: 1, body });
        Ok(())
    }

    fn end(&mut self, place: Place) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let closing = self.places.byte(place.start.index());
        let end = if self.places.is_bracket(closing) && !place.is_empty() { closing + 1 } else { open.end };
        let kind = match open.body {
            Body::Sequence(items) => Kind::Sequence(items.into()),
            Body::Mapping { entries, .. } => {
                refuse_duplicates(&entries)?;
                Kind::Mapping(entries.into())
            }
        };
        let node = Node { kind, span: self.places.span(open.start, end) };
        self.complete(node, open.anchor, self.weight - open.weight_before, open.height)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Diagnostic> {
        let start = self.places.byte(place.start.index());
        let end = self.places.byte(place.end.index());
        let span = self.places.span(start, end);
        let Some(anchored) = self.anchors.get(&anchor) else {
            let message = format!("the alias {} stands inside of its own anchor", quoted(span.text()));
            return Err(Diagnostic::at(&span, message));
        };
        // What is below keeps the places where it was written; the alias itself is where it is used.
        let node = Node { kind: anchored.node.kind.clone(), span };
        let (weight, height) = (anchored.weight, anchored.height);
        refuse_depth(self.open.len() + height, &node.span)?;
        self.weigh(weight, &node.span)?;
        self.complete(node, 0, weight, height)
    }

    /// Puts a finished node where it belongs.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        weight: usize,
        height: usize,
    ) -> Result<(), Diagnostic> {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.end = open.end.max(node.span.end);
        open.height = open.height.max(height + 1);
        match &mut open.body {
            Body::Sequence(items) => items.push(node),
            Body::Mapping { entries, key } => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                None => *key = Some(as_key(node)?),
            },
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Mapping { key: None, .. }, .. }))
    }

    fn awaits_value(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Mapping { key: Some(_), .. }, .. }))
    }

    fn weigh(&mut self, weight: usize, span: &Span) -> Result<(), Diagnostic> {
        self.weight += weight;
        if self.weight <= MAX_NODES {
            return Ok(());
        }
        Err(Diagnostic::at(span, format!("the file stands for more than {MAX_NODES} values"))
            .with_label("the limit is reached here")
            .with_help("every alias counts as all that it stands for"))
    }

    fn explain(&mut self, error: &ScanError) -> Diagnostic {
        let at = self.places.byte(error.marker().index());
        let opened = self.open.last().map(|open| self.places.character(open.start));
        wording::explain(error.info(), at, &self.places, opened.as_ref())
    }
}

fn refuse_depth(depth: usize, span: &Span) -> Result<(), Diagnostic> {
    if depth > MAX_DEPTH { Err(wording::too_deep(span)) } else { Ok(()) }
}

fn as_key(node: Node) -> Result<(Arc<str>, Span), Diagnostic> {
    match node.kind {
        Kind::Scalar { text, plain: true } if &*text == "<<" => {
            Err(Diagnostic::at(&node.span, "merging with `<<` is not a part of YAML 1.2")
                .with_help("write the fields out, or give the whole value by an alias"))
        }
        Kind::Scalar { text, .. } => Ok((text, node.span)),
        Kind::Null => Err(Diagnostic::at(&node.span, "there is no key in front of `:`")
            .with_help("put the key in quotes if it is the word `null` or empty")),
        Kind::Sequence(_) | Kind::Mapping(_) => Err(not_a_key(&node.span)),
    }
}

fn not_a_key(span: &Span) -> Diagnostic {
    Diagnostic::at(span, "a list or a mapping cannot be a key").with_label("a key is a text or a number")
}

fn refuse_duplicates(entries: &[Entry]) -> Result<(), Diagnostic> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    // Equal keys stay in the order of the file.
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let repeated = sorted.windows(2).filter_map(|pair| match pair {
        [first, second] if first.key == second.key => Some((*first, *second)),
        _ => None,
    });
    match repeated.min_by_key(|(_, second)| second.key_span.start) {
        None => Ok(()),
        Some((first, second)) => {
            Err(Diagnostic::at(&second.key_span, format!("the key {} is given twice", quoted(&second.key)))
                .with_label("here again")
                .with_secondary(&first.key_span, "first given here"))
        }
    }
}

#[cfg(test)]
mod tests {
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
        let text = "a: 1\nb: 'it''s'\nc: \"x\\ty\"\nd: |\n  one\n  two\ne: >-\n  one\n  two\nf: [x, {y: z}]\ng:\nh: ~\n";
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
        assert_eq!(
            spans(&tree("[ 'x' , {a: b } ] # one")),
            ["[ 'x' , {a: b } ]", "'x'", "{a: b }", "a", "b"]
        );
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
        let message =
            |column| format!("a.yaml:1:{column}: lists and mappings are nested deeper than 64 levels");
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
        for part in
            ["a,", "{a: b},", "a: b\n", "- a\n", "'a': [b]\n", "*a ", "[a]: b, ", "x y\n", "ä ", "&a b\n"]
        {
            for beginning in ["", "[", "x: [", "{", "\"", "x: &a |\n  "] {
                let text = format!("{beginning}{}", part.repeat((1 << 16) / part.len()));
                let start = Instant::now();
                let _ = parse(&Source::new("a.yaml", text));
                assert!(
                    start.elapsed() < Duration::from_secs(2),
                    "{beginning}{part} took {:?}",
                    start.elapsed()
                );
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
}
