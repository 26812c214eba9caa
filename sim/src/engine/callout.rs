//! A registered callout: its policy as data, or Rust code.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Classify, Policy};
use crate::ids::DriverId;

/// A `classifyFn` in Rust. It has no state of its own: what it keeps from one call to the next are bytes in the
/// [`World`](crate::World), so that worlds can be cloned, compared and hashed.
///
/// ```
/// use std::sync::Arc;
///
/// use wfp_sim::engine::{ClassifyFn, Classify, Verdict};
///
/// /// Lets every second connect pass.
/// struct EverySecond;
///
/// impl ClassifyFn for EverySecond {
///     fn name(&self) -> &str {
///         "every second"
///     }
///
///     fn classify(&self, call: &mut Classify<'_>) {
///         let pass = call.state().is_empty();
///         call.set_state(if pass { b"x" } else { b"" });
///         call.set_action(Some(if pass { Verdict::Permit } else { Verdict::Block }));
///     }
/// }
/// ```
pub trait ClassifyFn: Send + Sync {
    /// Two with one name are the same: say in it whatever makes them differ.
    fn name(&self) -> &str;

    /// Looks at what is classified, and answers.
    fn classify(&self, call: &mut Classify<'_>);
}

/// What a callout does when it is asked.
#[derive(Clone)]
pub enum Program {
    /// A policy as data.
    Policy(Arc<Policy>),
    /// Rust code.
    Code(Arc<dyn ClassifyFn>),
}

impl From<Policy> for Program {
    fn from(policy: Policy) -> Self {
        Self::Policy(Arc::new(policy))
    }
}

impl Program {
    /// Rust code as a program.
    #[must_use]
    pub fn code(classify: impl ClassifyFn + 'static) -> Self {
        Self::Code(Arc::new(classify))
    }

    pub(crate) fn classify(&self, call: &mut Classify<'_>) {
        match self {
            Self::Policy(policy) => policy.classify(call),
            Self::Code(code) => code.classify(call),
        }
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Policy(one), Self::Policy(other)) => one == other,
            (Self::Code(one), Self::Code(other)) => one.name() == other.name(),
            _ => false,
        }
    }
}

impl Eq for Program {}

impl Hash for Program {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Policy(policy) => policy.hash(state),
            Self::Code(code) => code.name().hash(state),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => policy.fmt(f),
            Self::Code(code) => write!(f, "code `{}`", code.name()),
        }
    }
}

/// A registered callout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Callout {
    pub(crate) owner: DriverId,
    pub(crate) name: Arc<str>,
    pub(crate) program: Program,
}
