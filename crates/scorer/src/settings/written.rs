//! The two forms in which settings are written.
//!
//! Format 1 is of a scorer of one trait, whose values stand beside those of the scorer, and whose heads stand with the
//! files of their stage. Format 2 is of several traits: each has an entry in `traits`, with its values and its heads.

use std::path::PathBuf;

use pair2score_data::{Letters, PromptTemplate, ScoreScale};
use pair2score_model::{Pooling, ScoreLink};
use serde::{Deserialize, Serialize};

use super::{HeadFile, RelativeFiles, ScoreFiles, ScorerSettings, TraitSettings};
use crate::dtype::WeightDType;
use crate::{Anchors, Calibration, Intervals, Raters};

/// The format of one trait.
const ONE: u32 = 1;
/// The format of several traits.
const SEVERAL: u32 = 2;

/// Either form; which keys there are depends on the format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    format: u32,
    /// Format 1: the trait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Format 1: its scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<ScoreScale>,
    /// Format 2: the traits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    traits: Vec<WrittenTrait>,
    pooling: Pooling,
    max_length: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_template: Option<PromptTemplate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    letters: Option<Letters>,
    #[serde(default)]
    dtype: WeightDType,
    backbone: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backbone_fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<usize>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    final_norm: bool,
    /// Format 1: as in [`TraitSettings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_counts: Option<Vec<usize>>,
    /// Format 1: as in [`TraitSettings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
    /// Format 1: as in [`TraitSettings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intervals: Option<Intervals>,
    /// Format 1: as in [`TraitSettings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raters: Option<Raters>,
    relative: Option<WrittenRelative>,
    score: Option<WrittenScore>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchors: Option<Anchors>,
}

/// A trait of format 2.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTrait {
    target: String,
    scale: ScoreScale,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_counts: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intervals: Option<Intervals>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raters: Option<Raters>,
    /// Its head in stage 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relative: Option<PathBuf>,
    /// Its head in stage 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<HeadFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRelative {
    adapter: Option<PathBuf>,
    /// Format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenScore {
    adapters: Vec<PathBuf>,
    fusion: bool,
    /// Format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<PathBuf>,
    /// Format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<ScoreLink>,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

/// Checks the version of a text that may be anything else.
///
/// # Errors
/// When it has none, or one that is not read here.
pub(super) fn check_format(text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let Version { format } = serde_json::from_str(text).map_err(|error| format!("not a scorer: {error}"))?;
    match format {
        ONE | SEVERAL => Ok(()),
        _ => Err(format!("has format {format}, this program reads formats {ONE} and {SEVERAL}")),
    }
}

/// As serde says it of a key that always has to be there.
fn missing(key: &str) -> impl Fn() -> String {
    move || format!("missing field `{key}`")
}

impl TryFrom<Written> for ScorerSettings {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { target, scale, label_counts, calibration, intervals, raters, relative, score, .. } =
            written;
        let utility = relative.as_ref().and_then(|files| files.head.clone());
        let head = score.as_ref().and_then(|files| files.head.clone().zip(files.link));
        let head = head.map(|(path, link)| HeadFile { path, link });
        let fitted =
            label_counts.is_some() || calibration.is_some() || intervals.is_some() || raters.is_some();
        let of_one = target.is_some() || scale.is_some() || fitted;
        let traits = match written.format {
            ONE if written.traits.is_empty() => vec![WrittenTrait {
                target: target.ok_or_else(missing("target"))?,
                scale: scale.ok_or_else(missing("scale"))?,
                label_counts,
                calibration,
                intervals,
                raters,
                relative: utility,
                score: head,
            }],
            SEVERAL if !of_one && utility.is_none() && head.is_none() => written.traits,
            format => return Err(format!("has keys of another format than {format}")),
        };
        let (mut of_stage1, mut of_stage2, mut of_both) = (Vec::new(), Vec::new(), Vec::new());
        for WrittenTrait { target, scale, label_counts, calibration, intervals, raters, relative, score } in
            traits
        {
            of_stage1.extend(relative);
            of_stage2.extend(score);
            of_both.push(TraitSettings { target, scale, label_counts, calibration, intervals, raters });
        }
        Ok(Self {
            traits: of_both,
            pooling: written.pooling,
            max_length: written.max_length,
            prompt_template: written.prompt_template,
            letters: written.letters,
            dtype: written.dtype,
            backbone: written.backbone,
            backbone_fingerprint: written.backbone_fingerprint,
            layers: written.layers,
            final_norm: written.final_norm,
            relative: relative.map(|files| RelativeFiles { adapter: files.adapter, heads: of_stage1 }),
            score: score.map(|WrittenScore { adapters, fusion, .. }| ScoreFiles {
                adapters,
                fusion,
                heads: of_stage2,
            }),
            anchors: written.anchors,
        })
    }
}

impl From<ScorerSettings> for Written {
    fn from(settings: ScorerSettings) -> Self {
        let (relative, score) = (settings.relative, settings.score);
        let mut of_stage1 =
            relative.iter().flat_map(|files| files.heads.clone()).collect::<Vec<_>>().into_iter();
        let mut of_stage2 =
            score.iter().flat_map(|files| files.heads.clone()).collect::<Vec<_>>().into_iter();
        let mut traits: Vec<WrittenTrait> = settings
            .traits
            .into_iter()
            .map(|TraitSettings { target, scale, label_counts, calibration, intervals, raters }| {
                WrittenTrait {
                    target,
                    scale,
                    label_counts,
                    calibration,
                    intervals,
                    raters,
                    relative: of_stage1.next(),
                    score: of_stage2.next(),
                }
            })
            .collect();
        let one = if traits.len() == 1 { traits.pop() } else { None };
        let format = if one.is_some() { ONE } else { SEVERAL };
        let (mut target, mut scale, mut label_counts) = (None, None, None);
        let (mut calibration, mut intervals, mut raters) = (None, None, None);
        let (mut utility, mut head, mut link) = (None, None, None);
        if let Some(one) = one {
            (target, scale) = (Some(one.target), Some(one.scale));
            (label_counts, utility) = (one.label_counts, one.relative);
            (calibration, intervals, raters) = (one.calibration, one.intervals, one.raters);
            (head, link) = one.score.map(|HeadFile { path, link }| (path, link)).unzip();
        }
        Self {
            format,
            target,
            scale,
            traits,
            pooling: settings.pooling,
            max_length: settings.max_length,
            prompt_template: settings.prompt_template,
            letters: settings.letters,
            dtype: settings.dtype,
            backbone: settings.backbone,
            backbone_fingerprint: settings.backbone_fingerprint,
            layers: settings.layers,
            final_norm: settings.final_norm,
            label_counts,
            calibration,
            intervals,
            raters,
            relative: relative.map(|files| WrittenRelative { adapter: files.adapter, head: utility }),
            score: score.map(|ScoreFiles { adapters, fusion, .. }| WrittenScore {
                adapters,
                fusion,
                head,
                link,
            }),
            anchors: settings.anchors,
        }
    }
}
