//! The tree that a text stands for.

use std::sync::Arc;

use super::Span;

/// A value and where it was written. Cloning it costs the same whatever is below it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Where it was written.
    pub span: Span,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing, or a plain `null` or `~`.
    Null,
    /// A text, or something that becomes a number or a truth value when one is asked for.
    Scalar {
        /// What is written, with quotes and escapes resolved.
        text: Arc<str>,
        /// Whether it was written without quotes: only then it may be more than a text.
        plain: bool,
    },
    /// A list.
    Sequence(Arc<[Node]>),
    /// Keys with values, in the order of the file; no key comes twice.
    Mapping(Arc<[Entry]>),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The text of the key.
    pub key: Arc<str>,
    /// Where the key was written.
    pub key_span: Span,
    /// What belongs to it.
    pub value: Node,
}

impl Node {
    /// The value that belongs to a key of this mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key of this mapping.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The node at the end of a path of keys and indexes; the last one on the way where the path leads on to nothing.
    #[must_use]
    pub fn descend(&self, path: &[&str]) -> &Node {
        let mut node = self;
        for part in path {
            let below = match node.kind {
                Kind::Sequence(_) => part.parse().ok().and_then(|index: usize| node.items().get(index)),
                _ => node.get(part),
            };
            match below {
                Some(below) => node = below,
                None => break,
            }
        }
        node
    }

    /// The entries of this mapping; none if it is something else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of this sequence; none if it is something else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of this scalar.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, parse};
    use super::*;

    fn tree(text: &str) -> Node {
        parse(&Source::new("a.yaml", text)).unwrap()
    }

    #[test]
    fn a_mapping_is_looked_up_by_key_and_keeps_the_order_of_the_file() {
        let node = tree("b: 1\na: two\n");
        assert_eq!(node.get("a").unwrap().as_str(), Some("two"));
        assert_eq!(node.entry("a").unwrap().key_span.line(), 2);
        assert!(node.get("c").is_none());
        let keys: Vec<&str> = node.entries().iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["b", "a"]);
    }

    #[test]
    fn a_sequence_is_read_in_order() {
        let node = tree("[x, y]");
        let items: Vec<_> = node.items().iter().filter_map(Node::as_str).collect();
        assert_eq!(items, ["x", "y"]);
    }

    #[test]
    fn a_path_leads_as_far_down_as_there_is_something() {
        let node = tree("a: [x, {b: y, 1: z}]\n");
        let at = |path: &[&str]| node.descend(path).span.text().to_owned();
        assert_eq!(at(&["a", "1", "b"]), "y");
        assert_eq!(at(&["a", "1", "1"]), "z");
        assert_eq!(at(&["a", "0", "b"]), "x");
        assert_eq!(at(&["a", "7"]), "[x, {b: y, 1: z}]");
        assert_eq!(at(&["a", "b"]), "[x, {b: y, 1: z}]");
        assert_eq!(at(&[]), "a: [x, {b: y, 1: z}]");
    }

    #[test]
    fn looking_for_the_wrong_kind_finds_nothing() {
        let text = tree("just text");
        assert!(text.get("a").is_none());
        assert!(text.entries().is_empty());
        assert!(text.items().is_empty());
        assert_eq!(tree("[a]").as_str(), None);
    }

    #[test]
    fn a_clone_shares_what_is_below() {
        let node = tree("a: [1, 2, 3]");
        let clone = node.clone();
        assert!(std::ptr::eq(node.entries(), clone.entries()));
    }
}
