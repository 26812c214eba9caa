//! From a tree to a typed value.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Entries, Items, Key, Variant};
use super::diagnostic::{listed, quoted};
use super::scalar::{self, Integer, Plain, Width};
use super::spanned::{self, SPANNED};
use super::{Diagnostic, Entry, Kind, Node, Span};

/// Reads a tree as a value of a type. Whatever does not fit is reported with its place.
///
/// Enums are written as a mapping with one key, the name of the variant, or as that name alone if nothing
/// belongs to it or everything that does has a default.
pub fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostic> {
    read(PhantomData, Value::of(node))
}

/// Reads one node. Errors that nobody gave a place to are about this node.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(seed: S, value: Value<'de>) -> Result<S::Value, Diagnostic> {
    seed.deserialize(value).map_err(|error| error.or_at(value.span))
}

/// A node to be read.
#[derive(Clone, Copy)]
pub(super) struct Value<'de> {
    pub(super) kind: &'de Kind,
    pub(super) span: &'de Span,
    /// Whether it belongs to a variant that was given nothing, which may stand for a mapping without keys.
    pub(super) omitted: bool,
}

impl<'de> Value<'de> {
    pub(super) fn of(node: &'de Node) -> Self {
        Self { kind: &node.kind, span: &node.span, omitted: false }
    }

    /// What belongs to a variant that stands alone, with the place of its name.
    fn omitted(name: &'de Span) -> Self {
        Self { kind: &Kind::Null, span: name, omitted: true }
    }

    /// The text of a plain scalar and what it stands for.
    fn plain(self) -> Option<(&'de str, Plain<'de>)> {
        match self.kind {
            Kind::Scalar { text, plain: true } => Some((text, scalar::resolve(text))),
            _ => None,
        }
    }

    fn mismatch(self, expected: &dyn Expected) -> Diagnostic {
        let number;
        let found = match (self.kind, self.plain()) {
            (_, Some((_, Plain::Bool(value)))) => Unexpected::Bool(value),
            (_, Some((text, Plain::Integer(_) | Plain::Float(_)))) => {
                number = format!("the number {}", quoted(text));
                Unexpected::Other(&number)
            }
            (Kind::Null, _) => Unexpected::Unit,
            (Kind::Scalar { text, .. }, _) => Unexpected::Str(text),
            (Kind::Sequence(_), _) => Unexpected::Seq,
            (Kind::Mapping(_), _) => Unexpected::Map,
        };
        Diagnostic::invalid_type(found, expected)
    }

    /// A mismatch where a number or a truth value is expected, which quotes may be the reason of.
    fn mismatch_of_plain(self, expected: &dyn Expected) -> Diagnostic {
        let error = self.mismatch(expected);
        match self.kind {
            Kind::Scalar { text, plain: false } if scalar::resolve(text) != Plain::Text => {
                error.with_help(format!("write it without quotes: {}", quoted(text)))
            }
            Kind::Scalar { text, plain: true } if matches!(&**text, "yes" | "no" | "on" | "off") => {
                error.with_help("truth values are written `true` and `false`")
            }
            _ => error,
        }
    }

    fn integer<T: Display>(self, width: &Width<T>) -> Result<T, Diagnostic> {
        match self.plain() {
            Some((text, Plain::Integer(integer))) => in_range(text, integer, width),
            _ => Err(self.mismatch_of_plain(&width.description().as_str())),
        }
    }

    fn float(self, largest: f64, expected: &dyn Expected) -> Result<f64, Diagnostic> {
        let (text, value) = match self.plain() {
            Some((text, Plain::Integer(integer))) => (text, integer.to_float()),
            Some((text, Plain::Float(value))) => (text, value),
            _ => return Err(self.mismatch_of_plain(expected)),
        };
        // `.inf` is meant, and any other number of that size is not.
        if value.abs() > largest && text.contains(|c: char| c.is_ascii_digit()) {
            let message = format!("{} is out of range: expected a number up to {largest:e}", quoted(text));
            return Err(Diagnostic::new(message));
        }
        Ok(value)
    }
}

pub(super) fn in_range<T: Display>(
    text: &str,
    integer: Integer<'_>,
    width: &Width<T>,
) -> Result<T, Diagnostic> {
    width.read(integer).ok_or_else(|| {
        Diagnostic::new(format!("{} is out of range: expected {}", quoted(text), width.description()))
    })
}

/// Every width has its own range, and the error names it.
macro_rules! integers {
    ($($method:ident $visit:ident $integer:ty;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
            let width = Width { parse: <$integer>::from_str_radix, min: <$integer>::MIN, max: <$integer>::MAX };
            visitor.$visit(self.integer(&width)?)
        }
    )+};
    () => {
        integers! {
            deserialize_i8 visit_i8 i8;
            deserialize_i16 visit_i16 i16;
            deserialize_i32 visit_i32 i32;
            deserialize_i64 visit_i64 i64;
            deserialize_i128 visit_i128 i128;
            deserialize_u8 visit_u8 u8;
            deserialize_u16 visit_u16 u16;
            deserialize_u32 visit_u32 u32;
            deserialize_u64 visit_u64 u64;
            deserialize_u128 visit_u128 u128;
        }
    };
}
pub(super) use integers;

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Diagnostic;

    integers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        match (self.kind, self.plain()) {
            (_, Some((_, Plain::Bool(value)))) => visitor.visit_bool(value),
            (_, Some((_, Plain::Float(value)))) => visitor.visit_f64(value),
            (_, Some((_, Plain::Integer(Integer { digits, radix })))) => {
                if let Ok(value) = u64::from_str_radix(digits, radix) {
                    visitor.visit_u64(value)
                } else if let Ok(value) = i64::from_str_radix(digits, radix) {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(Integer { digits, radix }.to_float())
                }
            }
            (Kind::Null, _) => visitor.visit_unit(),
            (Kind::Scalar { text, .. }, _) => visitor.visit_borrowed_str(text),
            (Kind::Sequence(_), _) => self.deserialize_seq(visitor),
            (Kind::Mapping(_), _) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        match self.plain() {
            Some((_, Plain::Bool(value))) => visitor.visit_bool(value),
            _ => Err(self.mismatch_of_plain(&visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        let value = self.float(f32::MAX.into(), &visitor)?;
        visitor.visit_f64(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        let value = self.float(f64::MAX, &visitor)?;
        visitor.visit_f64(value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        match (self.kind, self.plain()) {
            (Kind::Scalar { text, .. }, None | Some((_, Plain::Text))) => visitor.visit_borrowed_str(text),
            (Kind::Scalar { text, .. }, _) => {
                let help = format!("put it in quotes: {}", quoted(&format!("\"{text}\"")));
                Err(self.mismatch(&visitor).with_help(help))
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        match self.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        match self.kind {
            Kind::Null => visitor.visit_unit(),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        self.deserialize_unit(visitor)
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

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        let Kind::Sequence(items) = self.kind else { return Err(self.mismatch(&visitor)) };
        let mut items = Items { rest: items.iter() };
        let value = visitor.visit_seq(&mut items)?;
        match items.rest.next() {
            None => Ok(value),
            Some(extra) => Err(Diagnostic::at(&extra.span, "this item is one too many")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Diagnostic> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        let entries: &[Entry] = match self.kind {
            Kind::Mapping(entries) => entries,
            Kind::Null if self.omitted => &[],
            _ => return Err(self.mismatch(&visitor)),
        };
        let mut entries = Entries { rest: entries.iter(), value: None };
        let value = visitor.visit_map(&mut entries)?;
        match entries.rest.next() {
            None => Ok(value),
            Some(extra) => Err(Diagnostic::at(&extra.key_span, "this key is one too many")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Diagnostic> {
        let choice = || format!("one of {}", listed(variants.iter().copied()));
        match self.kind {
            Kind::Scalar { text, .. } => {
                let name = Key { text, span: self.span };
                visitor.visit_enum(Variant { name, value: Value::omitted(self.span) })
            }
            Kind::Mapping(entries) => match &**entries {
                [Entry { key, key_span, value }] => {
                    let name = Key { text: key, span: key_span };
                    let omitted = matches!(value.kind, Kind::Null);
                    let value = if omitted { Value::omitted(key_span) } else { Value::of(value) };
                    visitor.visit_enum(Variant { name, value })
                }
                [first, second, ..] => Err(Diagnostic::at(
                    &second.key_span,
                    format!("a second key beside {}", quoted(&first.key)),
                )
                .with_label("this key is one too many")
                .with_secondary(&first.key_span, "this one is the choice already")
                .with_help(format!("give {}; what belongs to it is indented below it", choice()))),
                [] => Err(self.mismatch(&choice().as_str())),
            },
            Kind::Null | Kind::Sequence(_) => Err(self.mismatch(&choice().as_str())),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostic> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf }
}

#[cfg(test)]
mod tests;
