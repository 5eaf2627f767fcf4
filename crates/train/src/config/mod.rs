//! The configuration of a run: YAML with the sections and keys of the published examples, read strictly.
//!
//! Three forms. The file and the `--set` options are merged over the defaults (`source`), with the defaults as the list
//! of valid keys, so that a mistyped key is an error with a suggestion. What they make is resolved and checked as a
//! whole (`resolve`, `transfer`) into [`Settings`], the only form that the rest of the crate sees.
//!
//! The one key decision: a key is declared once (`section`, `settings`), with its type, default, range, role and
//! meaning. Merging, checking, writing back, comparing with a stopped run and `docs/config.md` follow from that. The
//! cost is that the file as written and the resolved settings share their structs: only [`load`] and [`parse`] give
//! resolved ones.
//!
//! [`pretrain`] is a second, smaller configuration with the same machinery.
//!
//! Deliberately absent: any look at the files a configuration names. Relative paths stay relative to the working
//! directory, as in the published examples.

mod choices;
mod error;
pub mod pretrain;
mod resolve;
mod scalar;
mod scale;
mod section;
mod settings;
mod source;
mod suggest;
mod transfer;
mod values;
mod yaml;

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod role_tests;
#[cfg(test)]
mod tests;

use std::path::Path;

use source::Read;

pub use choices::{
    Binning, Calibration, DeviceKind, Head, HeadInit, Mode, Monitor, MonitorMode, Objective, Quantization,
    RelativeMode, UtilityInit,
};
pub use error::ConfigError;
pub use pretrain::{PretrainSettings, load_pretrain, parse_pretrain};
pub use scalar::{Layers, Name, Required};
pub use scale::ScaleSettings;
pub use settings::{
    AbsoluteLoraSettings, AbsoluteSettings, DataSettings, DeterminismSettings, FusionSettings,
    HardwareSettings, ModelSettings, OutputSettings, PathSettings, PipelineSettings, RelativeLoraSettings,
    RelativeSettings, ScorerOutputSettings, Settings, TrainingSettings,
};
pub(crate) use source::{merged, without_mark};
pub use transfer::Transfer;
pub use yaml::{STAGE1, STAGE2};

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
    let Read { mut settings, given, mut problems } = source::parse::<Settings>(text, path, sets)?;
    settings.scale.complete(&given, &mut problems);
    resolve::resolve(settings, problems, path)
}
