//! No input may cause a panic: thousands of documents, broken at random but always the same.

use serde::Deserialize;

use super::{Node, Source, Spanned, from_node, merge, parse};

const DOCUMENT: &str = "\
# A scenario.
title: \"Grüße \\u00e4\\n\"
defaults: &d {host: 10.0.0.1, port: 0x1F90, 'it''s': ~}
steps:
- name: open
  op:
    connect: {to: example.org, port: 443}
  expect: ok
- name: talk
  op: close
  text: |
    one
    two
  more: >-
    folded
    text
  at: [1, -2.5, .inf, true, *d]
";

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only reading it matters")]
struct Document {
    title: Spanned<String>,
    defaults: Option<serde_json::Value>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only reading it matters")]
struct Step {
    name: Spanned<String>,
    op: Op,
    expect: Option<Op>,
    text: Option<String>,
    more: Option<char>,
    at: Option<(u8, f32, f64, bool, serde_json::Value)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only reading it matters")]
enum Op {
    Ok,
    Close,
    Connect { to: String, port: u16 },
}

/// Numbers that look random, from the same seed each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn broken(text: &str, random: &mut Random) -> String {
    const PARTS: [&str; 40] = [
        ":", ": ", "- ", "\n", "\r\n", "\r", "\t", " ", "  ", "[", "]", "{", "}", ",", "\"", "'", "\\", "#",
        " #", "&a ", "*a", "*d", "!x ", "|", ">", "? ", "%", "@", "---\n", "...\n", "ä", "😀", "\u{FEFF}",
        "\u{85}", "\0", "<<: ", "~", "\\x", "\\u12", "1",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(8) {
        let at = random.below(characters.len() + 1);
        match random.below(4) {
            0 => characters.splice(at..at, random.pick(&PARTS).chars()).for_each(drop),
            1 => {
                let end = (at + random.below(6)).min(characters.len());
                characters.drain(at..end);
            }
            2 => {
                let end = (at + random.below(40)).min(characters.len());
                let copy = characters[at..end].to_vec();
                let to = random.below(characters.len() + 1);
                characters.splice(to..to, copy);
            }
            _ => characters.truncate(if random.below(4) == 0 { at } else { usize::MAX }),
        }
    }
    characters.into_iter().collect()
}

fn read_in_every_way(node: &Node) {
    let errors = [
        from_node::<Document>(node).err(),
        from_node::<Vec<Step>>(node).err(),
        from_node::<Op>(node).err(),
        from_node::<serde_json::Value>(node).err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(error.span.is_some(), "{error}");
        assert!(error.render(false).starts_with("error: "));
    }
}

#[test]
fn no_document_causes_a_panic_and_every_error_has_a_place() {
    let whole = parse(&Source::new("whole.yaml", DOCUMENT)).unwrap();
    let mut random = Random(1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..4000 {
        let text = broken(DOCUMENT, &mut random);
        match parse(&Source::new("a.yaml", text)) {
            Ok(node) => {
                read += 1;
                read_in_every_way(&node);
                if let Ok(merged) = merge(&whole, &node) {
                    read_in_every_way(&merged);
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.span.is_some(), "{error}");
                assert!(error.render(true).contains("a.yaml"), "{error}");
            }
        }
    }
    // Neither kind may be so rare that the test says nothing about it.
    assert!(read > 500 && refused > 500, "{read} read, {refused} refused");
}

#[test]
fn no_sequence_of_signs_causes_a_panic() {
    const SIGNS: [&str; 24] = [
        "a", ":", " ", "\n", "-", "[", "]", "{", "}", ",", "\"", "'", "\\", "#", "&a", "*a", "!", "|", ">",
        "?", "\t", "ä", "\r", "1",
    ];
    let mut random = Random(2);
    for _ in 0..10_000 {
        let text: String = (0..=random.below(24)).map(|_| random.pick(&SIGNS)).collect();
        match parse(&Source::new("a.yaml", text)) {
            Ok(node) => read_in_every_way(&node),
            Err(error) => assert!(error.span.is_some(), "{error}"),
        }
    }
}
