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
mod tests;
