//! Measuring a machine: which value of each profile field explains what it answers.
//!
//! A field of the profile is measured with the cases of the built-in suite whose calls are answered otherwise under each
//! of its values ([`table`]). They are played on the machine, and on the model under each value ([`play`]): the value
//! under which the model answers as the machine did is the measured one ([`measure`]). A number has too many values for
//! that, and is closed in on (`numbers`). What was found is written as a profile that the model can be run with (`file`).

pub mod file;
pub mod measure;
mod numbers;
pub mod play;
pub mod table;
