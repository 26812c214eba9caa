//! A backend with fewer features than it has.

use crate::vocabulary::{Backend, BackendFault, Feature, Features, Identity, Observation, Op, Settings};

/// A backend that shows no more than these features allow. So a case makes the same calls on the model as on a machine
/// that can do less, and sees as little of the kernel.
pub struct Only<B> {
    inner: B,
    features: Features,
}

impl<B: Backend> Only<B> {
    /// `inner` with those of its features that are in `features`.
    #[must_use]
    pub fn new(inner: B, features: &Features) -> Self {
        let features = inner.features().intersection(features).copied().collect();
        Self { inner, features }
    }

    fn hide(&self, observation: &mut Observation) {
        if self.features.contains(&Feature::KernelView) {
            return;
        }
        observation.hop = None;
        if let Some((_, result)) = &mut observation.completed {
            self.hide(result);
        }
        for inside in &mut observation.inside {
            self.hide(inside);
        }
    }
}

impl<B: Backend> Backend for Only<B> {
    fn identify(&self) -> Identity {
        self.inner.identify()
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn reset(&mut self, settings: &Settings) -> Result<(), BackendFault> {
        self.inner.reset(settings)
    }

    fn apply(&mut self, op: &Op) -> Result<Observation, BackendFault> {
        let mut observation = self.inner.apply(op)?;
        self.hide(&mut observation);
        Ok(observation)
    }

    fn apply_all(&mut self, ops: &[Op]) -> Result<Vec<Observation>, BackendFault> {
        let mut observations = self.inner.apply_all(ops)?;
        for observation in &mut observations {
            self.hide(observation);
        }
        Ok(observations)
    }
}
