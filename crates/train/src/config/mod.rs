//! The configuration of a run: YAML with the sections and keys of the published examples, read strictly.
//!
//! Three forms. The file and the `--set` options become [`RawConfig`] (`source`); [`Settings::resolve`] checks it as
//! a whole and gives typed [`Settings`] (`resolve`, `transfer`), the only form the rest of the crate sees;
//! [`Settings::to_yaml`] writes those back (`yaml`). The one key decision: the defaults of [`RawConfig`] are the list
//! of valid keys, so a mistyped key is an error with a suggestion; what published configs hold and we only record says so. The
//! cost is that every key must have a serialisable default, `null` where there is none.
//!
//! [`pretrain`] is a second, smaller configuration with the same machinery.
//!
//! Deliberately absent: any look at the files a configuration names. Relative paths stay relative to the working
//! directory, as in the published examples.

mod choices;
mod error;
pub mod pretrain;
mod raw;
mod raw_absolute;
mod resolve;
mod scalar;
mod settings;
mod source;
mod suggest;
mod transfer;
mod yaml;

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use choices::{Binning, DeviceKind, DtypeKind, Monitor, Objective, PoolingKind};
pub use error::ConfigError;
pub use pretrain::{PretrainSettings, load_pretrain, parse_pretrain};
pub use raw::{
    RawConfig, RawData, RawDeterminism, RawHardware, RawModel, RawOutputs, RawPaths, RawPipeline,
    RawRelative, RawRelativeLora, RawTraining,
};
pub use raw_absolute::{RawAbsolute, RawAbsoluteLora, RawFusion};
pub use scalar::{Name, Note};
pub use settings::{
    AbsoluteSettings, Determinism, LoraSettings, RelativeSettings, Settings, TrainingSettings, Transfer,
};

/// Reads a run's configuration; each of `sets` is a `KEY=VALUE` with a dotted key and a YAML value, later ones win.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it: not YAML, unknown keys, wrong types; else, values
/// that are missing, out of range or contradictory.
pub fn load(path: &Path, sets: &[String]) -> Result<Settings, ConfigError> {
    parse(&source::read_text(path)?, path, sets)
}

/// As [`load`], from text; `path` is only named in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path, sets: &[String]) -> Result<Settings, ConfigError> {
    let raw: RawConfig = source::parse(text, path, sets)?;
    Settings::resolve(&raw, path)
}
