//! Stage 1 of a run: training it, writing its files, finding those of an earlier one.

use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use pair2score_model::{Adapter, LoraConfig, UtilityHead};
use pair2score_scorer::{
    RelativeFiles, load_adapter, load_utility_head, save_adapter, save_utility_head, write_scorer_settings,
};

use super::files::{self, RunLog};
use super::{ADAPTER, FitSummary, RELATIVE, RELATIVE_HEAD, RelativeReport, Run, lora_config};
use crate::TrainError;
use crate::absolute;
use crate::config::{RelativeSettings, Settings};
use crate::examples::Pairs;
use crate::fit::{FitOutcome, TrainBackend, fit};
use crate::relative::{RelativeModel, RelativeTask};
use crate::report::Progress;

/// What stage 2 may take over.
pub(super) struct Stage1<B: TrainBackend> {
    pub(super) adapter: Adapter<B>,
    pub(super) lora: LoraConfig,
    pub(super) head: UtilityHead<B>,
}

/// Where the stage 1 of a run lies: that of an earlier one where the configuration names it.
pub(crate) fn relative_folder(settings: &Settings) -> PathBuf {
    settings.relative_from.clone().unwrap_or_else(|| settings.checkpoint_dir.join(RELATIVE))
}

/// Folder in a stage-1 folder with what training would have given if it had ended after this epoch.
pub fn epoch_folder(epoch: usize) -> String {
    format!("epoch_{epoch}")
}

/// Whether there is a stage 1 that stage 2 may start from.
pub(super) fn has_stage1(settings: &Settings) -> bool {
    let wanted = settings.relative.is_some() || settings.relative_from.is_some();
    let folder = relative_folder(settings);
    wanted && folder.join(ADAPTER).is_dir() && folder.join(RELATIVE_HEAD).is_file()
}

impl<B: TrainBackend> Run<'_, B> {
    pub(super) fn relative(
        &self,
        settings: &RelativeSettings,
        log: &mut RunLog<'_>,
    ) -> Result<(Stage1<B>, RelativeReport), TrainError> {
        let checkpoints = self.checkpoints(RELATIVE)?.keeping_epochs(&settings.save_epochs);
        self.discard_others(RELATIVE, &checkpoints)?;
        if let Some(report) = checkpoints.finished()?
            && let Some(stage1) = self.load_stage1()?
        {
            log.message("stage 1: is over, its results are kept");
            return Ok((stage1, report));
        }
        let pairs = self.examples.pairs.as_ref().expect("pairs are loaded when stage 1 is enabled");
        log.message(&format!(
            "stage 1: {} training, {} validation and {} test pairs{}",
            pairs.train.len(),
            pairs.val.len(),
            pairs.test.len(),
            match pairs.withheld {
                0 => String::new(),
                n => format!("; {n} withheld because stage 2 validates on their documents"),
            }
        ));
        let lora = lora_config(&settings.lora);
        let task = RelativeTask::new(
            &self.encoder,
            self.examples,
            &pairs.train,
            &pairs.val,
            self.settings.recompute,
            self.device,
        )
        .shared_with(&self.others);
        let fresh = RelativeModel::init(&lora, &self.encoder, self.settings.seed, self.device);
        let plan = self.fit_plan(RELATIVE, &settings.training, &checkpoints);
        let outcome = fit(&task, fresh.clone(), &plan, log)?;
        let folder = relative_folder(self.settings);
        for &epoch in &settings.save_epochs {
            let outcome = checkpoints.after_epoch(epoch, &fresh, self.device)?;
            self.write_stage1(settings, &task, pairs, &outcome, &folder.join(epoch_folder(epoch)), log)?;
        }
        let report = self.write_stage1(settings, &task, pairs, &outcome, &folder, log)?;
        log.message(&format!(
            "stage 1: best epoch {}, test pair accuracy {}",
            report.fit.best_epoch,
            files::shown(report.test.and_then(|test| test.accuracy))
        ));
        checkpoints.finish(&report)?;
        let RelativeModel { adapter, head } = outcome.model;
        Ok((Stage1 { adapter, lora, head }, report))
    }

    /// Measures what was trained on the test pairs and writes a stage-1 folder.
    fn write_stage1(
        &self,
        settings: &RelativeSettings,
        task: &RelativeTask<'_, B>,
        pairs: &Pairs,
        outcome: &FitOutcome<RelativeModel<B>>,
        folder: &Path,
        log: &mut RunLog<'_>,
    ) -> Result<RelativeReport, TrainError> {
        let model = outcome.model.valid();
        let test = match pairs.test.is_empty() {
            true => None,
            false => Some(task.measure(&model, &pairs.test)?),
        };
        let report = RelativeReport { test, fit: FitSummary::from(outcome) };
        if settings.save_adapter {
            let lora = lora_config(&settings.lora);
            save_adapter(&folder.join(ADAPTER), &model.adapter, &lora, &self.backbone_name())?;
            save_utility_head(&folder.join(RELATIVE_HEAD), &model.head)?;
            let files = RelativeFiles { adapter: Some(ADAPTER.into()), head: RELATIVE_HEAD.into() };
            write_scorer_settings(folder, &self.scorer_settings(Some(files), None))?;
        }
        if settings.save_embeddings {
            let documents = &self.examples.splits.train;
            let embeddings = absolute::embed_documents(
                "embed training documents",
                &self.encoder.valid(),
                self.examples,
                documents,
                &[&model.adapter],
                self.device,
                log,
            );
            let ids: Vec<&str> = documents.iter().map(|&d| self.examples.id(d)).collect();
            let rows = documents.iter().map(|d| embeddings[d].as_slice());
            let path = folder.join("train_embeddings.safetensors");
            files::write_embeddings(&path, &ids, rows, self.encoder.config.d_model)?;
        }
        let mut info = self.info("relative");
        info.put("train_pairs", pairs.train.len());
        info.put("val_pairs", pairs.val.len());
        info.put("test_pairs", pairs.test.len());
        info.put("withheld_pairs", pairs.withheld);
        info.put("pairs_file", settings.pairs_file.display());
        info.fit(&report.fit, &settings.training);
        info.metric("test_acc", report.test.and_then(|test| test.accuracy));
        info.metric("test_loss", report.test.map(|test| test.loss));
        info.write(&folder.join("relative_run_info.txt"))?;
        Ok(report)
    }

    /// The stage 1 that stage 2 may start from, if it is there.
    pub(super) fn load_stage1(&self) -> Result<Option<Stage1<B>>, TrainError> {
        if !has_stage1(self.settings) {
            return Ok(None);
        }
        let folder = relative_folder(self.settings);
        let config = &self.encoder.config;
        let loaded = load_adapter::<B>(&folder.join(ADAPTER), config, self.device)?;
        let head = load_utility_head(&folder.join(RELATIVE_HEAD), config.d_model, self.device)?;
        Ok(Some(Stage1 { adapter: loaded.adapter, lora: loaded.config, head }))
    }
}
