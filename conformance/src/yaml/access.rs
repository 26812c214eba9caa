//! What `serde` asks for below a list, a mapping, or the variant of an enum.

use std::fmt::Display;
use std::slice;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::de::{Value, in_range, integers, read};
use super::scalar::{self, Plain, Width};
use super::spanned::{self, SPANNED};
use super::{Diagnostic, Entry, Node, Span};

/// The items of a list that are still to be read.
pub(super) struct Items<'de> {
    pub(super) rest: slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = Diagnostic;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Diagnostic> {
        self.rest.next().map(|item| read(seed, Value::of(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of a mapping that are still to be read.
pub(super) struct Entries<'de> {
    pub(super) rest: slice::Iter<'de, Entry>,
    /// The value of the key that was read last.
    pub(super) value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for &mut Entries<'de> {
    type Error = Diagnostic;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Diagnostic> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        Key { text: &entry.key, span: &entry.key_span }.read(seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Diagnostic> {
        let value =
            self.value.take().ok_or_else(|| Diagnostic::custom("a value was asked for before its key"))?;
        read(seed, Value::of(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The variant of an enum: its name, and what belongs to it.
pub(super) struct Variant<'de> {
    pub(super) name: Key<'de>,
    pub(super) value: Value<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Diagnostic;
    type Variant = Value<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Value<'de>), Diagnostic> {
        Ok((self.name.read(seed)?, self.value))
    }
}

impl<'de> VariantAccess<'de> for Value<'de> {
    type Error = Diagnostic;

    fn unit_variant(self) -> Result<(), Diagnostic> {
        if self.omitted { Ok(()) } else { Err(Diagnostic::at(self.span, "nothing can be given here")) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Diagnostic> {
        read(seed, self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Diagnostic> {
        self.deserialize_tuple(length, visitor).map_err(|error| error.or_at(self.span))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        self.deserialize_struct("", fields, visitor).map_err(|error| error.or_at(self.span))
    }
}

/// A key of a mapping or the name of a variant: always a text, and a number where one is asked for.
#[derive(Clone, Copy)]
pub(super) struct Key<'de> {
    pub(super) text: &'de str,
    pub(super) span: &'de Span,
}

impl<'de> Key<'de> {
    fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Diagnostic> {
        seed.deserialize(self).map_err(|error| error.or_at(self.span))
    }

    fn integer<T: Display>(self, width: &Width<T>) -> Result<T, Diagnostic> {
        match scalar::resolve(self.text) {
            Plain::Integer(integer) => in_range(self.text, integer, width),
            _ => Err(Diagnostic::invalid_type(Unexpected::Str(self.text), &width.description().as_str())),
        }
    }
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Diagnostic;

    integers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        if name == SPANNED {
            spanned::visit(self.span, self, visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::super::{Source, Spanned, from_node, parse};
    use super::*;

    fn read_as<T: DeserializeOwned>(text: &str) -> Result<T, Diagnostic> {
        from_node(&parse(&Source::new("a.yaml", text))?)
    }

    /// The error in one line, and the text it points at.
    fn error<T: DeserializeOwned + Debug>(text: &str) -> (String, String) {
        let error = read_as::<T>(text).unwrap_err();
        (error.to_string(), error.span.unwrap().text().to_owned())
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Op {
        Close,
        Connect {
            to: String,
            #[serde(default)]
            port: u16,
        },
        Pause(Pause),
        Say(String),
        Pair(u8, u8),
        Maybe(Option<u8>),
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Pause {
        seconds: u32,
    }

    #[derive(Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
    #[serde(rename_all = "snake_case")]
    enum Side {
        Client,
        Server,
    }

    /// The first key of a mapping with its place.
    #[derive(Debug)]
    struct FirstKey(Spanned<String>);

    impl<'de> Deserialize<'de> for FirstKey {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct FirstKeyVisitor;
            impl<'de> Visitor<'de> for FirstKeyVisitor {
                type Value = FirstKey;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a map")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FirstKey, A::Error> {
                    let entry = map.next_entry::<_, u8>()?;
                    entry.map(|(key, _)| FirstKey(key)).ok_or_else(|| A::Error::custom("nothing in it"))
                }
            }
            deserializer.deserialize_map(FirstKeyVisitor)
        }
    }

    #[test]
    fn keys_are_read_as_text_numbers_or_names() {
        assert_eq!(read_as::<BTreeMap<String, u8>>("443: 1\n~x: 2").unwrap()["443"], 1);
        assert_eq!(
            read_as::<BTreeMap<u16, u8>>("443: 1\n0x50: 2").unwrap(),
            BTreeMap::from([(443, 1), (80, 2)])
        );
        assert_eq!(read_as::<BTreeMap<Side, u8>>("server: 1").unwrap(), BTreeMap::from([(Side::Server, 1)]));
    }

    #[test]
    fn a_key_can_have_its_place() {
        assert_eq!(read_as::<FirstKey>("{a: 1}").unwrap().0.span.to_string(), "a.yaml:1:2");
    }

    #[test]
    fn what_a_type_leaves_unread_is_refused() {
        let expected = ("a.yaml:2:3: this key is one too many".into(), "b".into());
        assert_eq!(error::<Vec<FirstKey>>("- a: 1\n  b: 2\n"), expected);
        assert_eq!(
            error::<Vec<(u8, u8)>>("- [1, 2, 3]\n"),
            ("a.yaml:1:10: this item is one too many".into(), "3".into())
        );
    }

    #[test]
    fn a_wrong_key_is_pointed_at() {
        let names = |text: &str| error::<BTreeMap<Side, u8>>(text);
        assert_eq!(names("a: 1\n"), ("a.yaml:1:1: unknown name `a`".into(), "a".into()));
        assert_eq!(
            error::<BTreeMap<u8, u8>>("256: 1\n").0,
            "a.yaml:1:1: `256` is out of range: expected a whole number from 0 to 255"
        );
        assert_eq!(
            error::<BTreeMap<u8, u8>>("x: 1\n").0,
            "a.yaml:1:1: expected a whole number from 0 to 255, found the text `x`"
        );
    }

    #[test]
    fn a_variant_is_a_single_key_or_a_word() {
        let ops: Vec<Op> = read_as(
            "- close\n- close:\n- close: ~\n- connect: {to: x}\n- say: hi\n- pair: [1, 2]\n- maybe: 3\n- maybe\n- maybe:\n",
        )
        .unwrap();
        let connect = Op::Connect { to: "x".into(), port: 0 };
        let (say, pair) = (Op::Say("hi".into()), Op::Pair(1, 2));
        let maybe = [Op::Maybe(Some(3)), Op::Maybe(None), Op::Maybe(None)];
        let expected: Vec<Op> =
            [Op::Close, Op::Close, Op::Close, connect, say, pair].into_iter().chain(maybe).collect();
        assert_eq!(ops, expected);
    }

    #[test]
    fn a_variant_whose_fields_all_default_may_stand_alone() {
        for text in ["[pause]", "[pause: ]", "[pause: ~]", "[pause: {}]", "[pause: {seconds: 0}]"] {
            assert_eq!(read_as::<Vec<Op>>(text).unwrap(), [Op::Pause(Pause::default())], "{text}");
        }
    }

    #[test]
    fn a_variant_that_needs_fields_is_told_which_if_it_stands_alone() {
        assert_eq!(
            error::<Vec<Op>>("- connect\n"),
            ("a.yaml:1:3: the key `to` is missing".into(), "connect".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- connect:\n"),
            ("a.yaml:1:3: the key `to` is missing".into(), "connect".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- say\n"),
            ("a.yaml:1:3: expected text, found nothing".into(), "say".into())
        );
    }

    #[test]
    fn errors_inside_of_a_variant_point_at_their_part() {
        assert_eq!(
            error::<Vec<Op>>("- connect:\n    to: x\n    prot: 1\n"),
            ("a.yaml:3:5: unknown key `prot`".into(), "prot".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- connect:\n    port: 1\n"),
            ("a.yaml:2:5: the key `to` is missing".into(), "port: 1".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- close: 1\n"),
            ("a.yaml:1:10: nothing can be given here".into(), "1".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- pair: [1]\n"),
            ("a.yaml:1:9: expected a list of 2 items, found 1 item".into(), "[1]".into())
        );
        assert_eq!(
            error::<Vec<Op>>("- pair: [1, 2, 3]\n"),
            ("a.yaml:1:16: this item is one too many".into(), "3".into())
        );
    }

    #[test]
    fn an_unknown_variant_is_pointed_at_with_the_nearest_name() {
        for (text, place) in [("- conect: {to: x}\n", "conect"), ("- conect\n", "conect")] {
            let error = read_as::<Vec<Op>>(text).unwrap_err();
            assert_eq!(error.to_string(), "a.yaml:1:3: unknown name `conect`");
            assert_eq!(error.label, "did you mean `connect`?");
            assert_eq!(error.span.unwrap().text(), place);
        }
    }

    #[test]
    fn what_is_no_variant_is_told_the_names() {
        let names = "one of `close`, `connect`, `pause`, `say`, `pair`, `maybe`";
        assert_eq!(
            error::<BTreeMap<String, Op>>("op:\n").0,
            format!("a.yaml:1:3: expected {names}, found nothing")
        );
        assert_eq!(
            error::<BTreeMap<String, Op>>("op: []\n").0,
            format!("a.yaml:1:5: expected {names}, found a list")
        );
        assert_eq!(
            error::<BTreeMap<String, Op>>("op: {}\n").0,
            format!("a.yaml:1:5: expected {names}, found a mapping")
        );
        let error = read_as::<BTreeMap<String, Op>>("op:\n  connect:\n  to: x\n").unwrap_err();
        assert_eq!(error.to_string(), "a.yaml:3:3: a second key beside `connect`");
        assert_eq!(error.secondary[0].0.text(), "connect");
        assert_eq!(error.help.unwrap(), format!("give {names}; what belongs to it is indented below it"));
    }
}
