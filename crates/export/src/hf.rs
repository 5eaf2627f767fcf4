//! Hugging Face: the whole scorer on a merged backbone.
//!
//! ```text
//! config.json, model.safetensors (or shards), tokenizer.json, tokenizer_config.json
//! scorer.json, head.safetensors                     stage 2
//! relative/relative_head.safetensors, adapter/      stage 1, as an adapter on the merged backbone
//! absolute_run_info.txt, README.md
//! ```
//!
//! `transformers.AutoModel` loads the root and gives the hidden states of stage 2 (of stage 1 where that is all there
//! is); every command that takes `--scorer` takes the folder.

use std::path::{Path, PathBuf};

use pair2score_model::Kernels;
use pair2score_scorer::{
    RelativeFiles, ScoreFiles, Scorer, ScorerSettings, Stage2, save_bare_adapter, save_score_head,
    save_utility_head, write_scorer_settings,
};

use crate::merged::Merged;
use crate::{ExportError, Numbers, Precision, Source, backbone, card};

const HEAD: &str = "head.safetensors";
const RELATIVE_HEAD: &str = "relative/relative_head.safetensors";
const RELATIVE_ADAPTER: &str = "relative/adapter";

/// Writes the folder and gives the largest change that rounding made to a weight.
pub(crate) fn write<B: Kernels>(
    source: &Source<B>,
    precision: Precision,
    folder: &Path,
) -> Result<f64, ExportError> {
    let scorer = &source.scorer;
    let merged = Merged::new(scorer);
    let largest = backbone::write(source, &merged, precision, precision, folder)?;

    let relative = match scorer.stage1() {
        None => None,
        Some(stage1) => {
            save_utility_head(&folder.join(RELATIVE_HEAD), &stage1.head)?;
            let adapter = match merged.stage1_adapter() {
                None => None,
                Some((adapter, config)) => {
                    // Its backbone is the folder it lies in.
                    save_bare_adapter(&folder.join(RELATIVE_ADAPTER), &adapter, &config, "../..")?;
                    Some(PathBuf::from(RELATIVE_ADAPTER))
                }
            };
            Some(RelativeFiles { adapter, head: RELATIVE_HEAD.into() })
        }
    };
    let score = match scorer.stage2() {
        None => None,
        Some(Stage2 { head, link, fusion, .. }) => {
            save_score_head(&folder.join(HEAD), head)?;
            Some(ScoreFiles { adapters: Vec::new(), fusion: *fusion, head: HEAD.into(), link: *link })
        }
    };
    let settings = ScorerSettings {
        dtype: precision.into(),
        backbone: ".".into(),
        relative,
        score,
        ..scorer.settings.clone()
    };
    write_scorer_settings(folder, &settings)?;
    card::write_run_info(&source.folder, folder)?;
    Ok(largest)
}

/// The numbers of the written scorer.
pub(crate) fn read_back<B: Kernels>(folder: &Path, device: &B::Device) -> Result<Numbers, ExportError> {
    Numbers::of(&Scorer::<B>::load(folder, device)?)
}
