//! A value together with its place.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Span;

/// A value that knows where it was written. Two of them are equal if their values are.
///
/// Only [`from_node`](super::from_node) can give the place, and only where `serde` does not read ahead: not
/// inside of anything that is `untagged`, `flatten`ed, or tagged by a field.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The name by which a deserializer recognises that a place is asked for.
pub(super) const SPANNED: &str = "$spanned";

thread_local! {
    /// The place on its way from the deserializer to the value: `serde` itself has no means to carry it.
    static PLACE: RefCell<Option<Span>> = const { RefCell::new(None) };
}

/// Gives a place and a value to the visitor that asked for a [`Spanned`].
pub(super) fn visit<'de, D, V>(span: &Span, value: D, visitor: V) -> Result<V::Value, D::Error>
where
    D: Deserializer<'de>,
    V: Visitor<'de>,
{
    PLACE.set(Some(span.clone()));
    visitor.visit_newtype_struct(value)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spanned<T>, D::Error> {
        let span = PLACE.take().ok_or_else(|| D::Error::custom("the place of this value is not known"))?;
        Ok(Spanned { value: T::deserialize(deserializer)?, span })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Diagnostic, Source, from_node, parse};
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Diagnostic> {
        from_node(&parse(&Source::new("a.yaml", text))?)
    }

    fn place<T>(spanned: &Spanned<T>) -> (usize, usize, &str) {
        (spanned.span.line(), spanned.span.column(), spanned.span.text())
    }

    #[test]
    fn a_value_gets_its_place() {
        let values: BTreeMap<String, Spanned<u16>> = read("a: 1\nbee: 22 # two\n").unwrap();
        assert_eq!(*values["bee"], 22);
        assert_eq!(place(&values["bee"]), (2, 6, "22"));
    }

    #[test]
    fn places_can_be_asked_for_within_each_other() {
        type Lists = Spanned<Vec<Spanned<Option<Spanned<String>>>>>;
        let lists: BTreeMap<String, Lists> = read("a:\n- x\n- 'y'\n").unwrap();
        let list = &lists["a"];
        assert_eq!(place(list), (2, 1, "- x\n- 'y'"));
        assert_eq!(place(&list[1]), (3, 3, "'y'"));
        assert_eq!(place(list[1].as_ref().unwrap()), (3, 3, "'y'"));
    }

    #[test]
    fn an_error_inside_keeps_its_own_place() {
        let error = read::<Spanned<Vec<Spanned<u8>>>>("- 1\n- 256\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.yaml:2:3: `256` is out of range: expected a whole number from 0 to 255"
        );
    }

    #[test]
    fn equality_is_of_the_values_alone() {
        let list: Vec<Spanned<u8>> = read("[1, 1, 2]").unwrap();
        assert_eq!(list[0], list[1]);
        assert_ne!(list[0], list[2]);
    }

    #[test]
    fn another_format_cannot_give_a_place() {
        let error = serde_json::from_str::<Spanned<u8>>("1").unwrap_err();
        assert_eq!(error.to_string(), "the place of this value is not known");
    }

    #[test]
    fn the_schema_is_that_of_the_value() {
        assert_eq!(schemars::schema_for!(Spanned<u16>), schemars::schema_for!(u16));
        assert_eq!(<Spanned<u16> as JsonSchema>::schema_id(), <u16 as JsonSchema>::schema_id());
    }
}
