//! Hugging Face: the whole scorer on a merged backbone.
//!
//! ```text
//! config.json, model.safetensors (or shards), tokenizer.json, tokenizer_config.json
//! scorer.json, head.safetensors                     stage 2; of several traits heads/TRAIT.safetensors
//! anchors.safetensors                               where graded documents lie, of a scorer that has some
//! relative/relative_head.safetensors, adapter/      stage 1, as an adapter on the merged backbone
//! absolute_run_info.txt, README.md
//! ```
//!
//! `transformers.AutoModel` loads the root and gives the hidden states of stage 2 (of stage 1 where that is all there
//! is); every command that takes `--scorer` takes the folder.

use std::path::{Path, PathBuf};

use pair2score_model::Kernels;
use pair2score_scorer::{
    Anchors, HeadFile, LinkedHead, RelativeFiles, ScoreFiles, Scorer, ScorerError, ScorerSettings, Stage2,
    head_files, save_bare_adapter, save_score_head, save_utility_head, write_scorer_settings,
};

use crate::merged::Merged;
use crate::{ExportError, Numbers, Precision, Source, backbone, card};

const HEAD: &str = "head";
const RELATIVE_HEAD: &str = "relative/relative_head";
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
            let heads = head_files(RELATIVE_HEAD, scorer.settings.targets());
            for (path, head) in heads.iter().zip(&stage1.heads) {
                save_utility_head(&folder.join(path), head)?;
            }
            let adapter = match merged.stage1_adapter() {
                None => None,
                Some((adapter, config)) => {
                    // Its backbone is the folder it lies in.
                    let folder = folder.join(RELATIVE_ADAPTER);
                    save_bare_adapter(&folder, &adapter, &config, "../..", &merged.config())?;
                    Some(PathBuf::from(RELATIVE_ADAPTER))
                }
            };
            Some(RelativeFiles { adapter, heads })
        }
    };
    let score = match scorer.stage2() {
        None => None,
        Some(Stage2 { heads, fusion, .. }) => {
            let files = head_files(HEAD, scorer.settings.targets());
            let heads = files.into_iter().zip(heads).map(|(path, LinkedHead { head, link })| {
                save_score_head(&folder.join(&path), head)?;
                Ok(HeadFile { path, link: *link })
            });
            let heads = heads.collect::<Result<_, ScorerError>>()?;
            Some(ScoreFiles { adapters: Vec::new(), fusion: *fusion, heads })
        }
    };
    let mut settings = scorer.settings.clone();
    if let (Some(anchors), Some(space)) = (&mut settings.anchors, scorer.anchors()) {
        anchors.embeddings = Anchors::FILE.into();
        space.save(&folder.join(Anchors::FILE))?;
    }
    let settings = ScorerSettings {
        dtype: precision.into(),
        backbone: ".".into(),
        backbone_fingerprint: None,
        relative,
        score,
        ..settings
    };
    write_scorer_settings(folder, &settings)?;
    card::write_run_info(&source.folder, folder)?;
    Ok(largest)
}

/// The numbers of the written scorer.
pub(crate) fn read_back<B: Kernels>(folder: &Path, device: &B::Device) -> Result<Numbers, ExportError> {
    Numbers::of(&Scorer::<B>::load(folder, device)?)
}
