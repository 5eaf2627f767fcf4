//! The folder of the trained backbone.

use std::path::Path;

use burn::tensor::backend::Backend;
use pair2score_data::DataError;
use pair2score_data::files::write_atomic;
use pair2score_data::staging::{Kind, check_free};
use pair2score_model::LlamaConfig;
use pair2score_scorer::{BackboneFolder, TextEncoder, WeightDType, save_backbone};

use super::PretrainReport;
use super::model::LanguageModel;
use super::tokenizer::{FILES, TokenizerFiles};
use crate::TrainError;
use crate::config::PretrainSettings;
use crate::config::pretrain::PretrainStart;

const INFO: &str = "pretrain_info.txt";
/// A backbone that was trained here. Scorers know theirs by its folder, so that no other backbone is replaced.
const TRAINED: Kind = Kind { name: "backbone of pretrain", marker: INFO };
/// Of a sharded checkpoint, which some programs prefer to the one file that is written here.
const SHARD_INDEX: &str = "model.safetensors.index.json";

/// Creates the folder and checks that what will be written there is the whole of a backbone, before time is spent
/// on training it.
pub(super) fn prepare(settings: &PretrainSettings, from: Option<&BackboneFolder>) -> Result<(), TrainError> {
    let output = &settings.output;
    std::fs::create_dir_all(output).map_err(|source| DataError::Io {
        path: output.clone(),
        action: "create",
        remedy: "choose another pretrain.output or allow writing there",
        source,
    })?;
    if let (PretrainStart::Continue(folder), Some(from)) = (&settings.start, from)
        && [folder, &from.model, &from.tokenizer].into_iter().any(|path| same(path, output))
    {
        return Err(TrainError::Mismatch {
            path: output.clone(),
            problem: "pretrain.output is the backbone of pretrain.from, choose another folder".into(),
        });
    }
    // Without an old backbone, the tokenizer has no special_tokens_map.json: tokenizer_config.json says it all.
    let will_write = |name: &str| match from {
        None => name != FILES[2],
        Some(from) => from.tokenizer.join(name).is_file(),
    };
    let stale = FILES.into_iter().filter(|name| !will_write(name)).chain([SHARD_INDEX]);
    match stale.map(|name| output.join(name)).find(|path| path.exists()) {
        None => Ok(check_free(output, TRAINED)?),
        Some(path) => Err(TrainError::Mismatch {
            path,
            problem:
                "belongs to another backbone and would be read as part of the new one, remove it or choose \
                      another pretrain.output"
                    .into(),
        }),
    }
}

/// Whether two paths lead to one folder.
fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Writes weights, tokenizer and, last, the summary.
pub(super) fn write<B: Backend>(
    report: &PretrainReport,
    model: &LanguageModel<B>,
    config: &LlamaConfig,
    tokenizer: &TokenizerFiles,
    encoder: &TextEncoder,
) -> Result<(), TrainError> {
    let folder = &report.output;
    let lm_head = model.lm_head.as_ref().map(|head| head.val());
    let special = (encoder.bos_id, encoder.eos_id);
    save_backbone(folder, config, &model.backbone, lm_head, WeightDType::F32, special)?;
    tokenizer.write(folder)?;
    let info = format!(
        "documents: {}\ntokens: {}\nvocab_size: {}\nparameters: {}\nbest_epoch: {}\nbest_val_loss: {:.6}\n\
         perplexity: {:.4}\nseconds: {:.1}\ntokens_per_second: {:.0}\n",
        report.documents,
        report.tokens,
        report.vocab_size,
        report.parameters,
        report.best_epoch,
        report.best_val_loss,
        report.perplexity(),
        report.seconds,
        report.tokens_per_second,
    );
    Ok(write_atomic(folder.join(INFO), info.as_bytes())?)
}
