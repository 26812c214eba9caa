//! YAML written by hand, with a place for every error.
//!
//! A [`Source`] becomes a tree of [`Node`]s ([`parse`]), trees may be laid over each other ([`merge`]), and
//! a tree becomes a typed value ([`from_node`]). Every node remembers where it was written, so that whatever
//! is wrong, and however late it is noticed, the [`Diagnostic`] shows the line to change.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test ends at the first surprise"))]

mod access;
mod de;
mod diagnostic;
mod explain;
mod merge;
mod node;
mod parse;
mod places;
mod scalar;
mod source;
mod spanned;
mod wording;

pub use de::from_node;
pub use diagnostic::{Diagnostic, nearest};
pub use merge::{REPLACED_WHOLE, merge};
pub use node::{Entry, Kind, Node};
pub use parse::{MAX_DEPTH, MAX_NODES, parse};
pub use source::{MAX_BYTES, Source, Span};
pub use spanned::Spanned;

#[cfg(test)]
mod fuzz;
