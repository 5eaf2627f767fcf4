//! Stage 2 of a run: training it, calibrating it, measuring it on the test fold, writing the scorer.

use std::path::Path;

use burn::module::AutodiffModule;
use pair2score_model::LoraConfig;
use pair2score_scorer::{
    RelativeFiles, ScoreFiles, ScorerSettings, save_adapter, save_score_head, save_utility_head,
    write_scorer_settings,
};

use super::files::{self, RunLog};
use super::relative::Stage1;
use super::{
    ABSOLUTE, ADAPTER, AbsoluteReport, FitSummary, HEAD, RELATIVE, RELATIVE_HEAD, Run, lora_config,
    transfer_name,
};
use crate::TrainError;
use crate::absolute::{self, AbsoluteTask, Measured, Start};
use crate::calibrate;
use crate::config::{AbsoluteSettings, Transfer};
use crate::fit::{TrainBackend, fit};
use crate::metrics::pair_accuracy_from_scores;
use crate::report::Progress;

impl<B: TrainBackend> Run<'_, B> {
    pub(super) fn absolute(
        &self,
        settings: &AbsoluteSettings,
        stage1: Option<Stage1<B>>,
        log: &mut RunLog<'_>,
    ) -> Result<AbsoluteReport, TrainError> {
        let checkpoints = self.checkpoints(ABSOLUTE)?;
        self.discard_others(ABSOLUTE, &checkpoints)?;
        if let Some(report) = checkpoints.finished()? {
            log.message("stage 2: is over, its results are kept");
            return Ok(report);
        }
        let splits = &self.examples.splits;
        log.message(&format!(
            "stage 2 ({}): {} training, {} validation and {} test documents",
            transfer_name(settings.transfer),
            splits.train.len(),
            splits.val.len(),
            splits.test.len()
        ));
        let fresh = lora_config(&settings.lora);
        let start = Start::new(
            settings.transfer,
            &fresh,
            stage1.as_ref().map(|stage1| stage1.adapter.clone()),
            &self.encoder,
            self.settings.seed,
            self.device,
        );
        // Reused weights keep the shape that stage 1 gave them.
        let reused =
            matches!(settings.transfer, Transfer::WarmStart { .. } | Transfer::Fusion { reuse: true, .. });
        let lora = match &stage1 {
            Some(stage1) if reused => LoraConfig { dropout: fresh.dropout, ..stage1.lora.clone() },
            _ => fresh,
        };
        let below = start.frozen.first().map(AutodiffModule::valid);
        let scale = self.settings.scale;
        let (task, model) = AbsoluteTask::new(
            &self.encoder,
            self.examples,
            start,
            settings.objective,
            scale,
            settings.binning,
            self.settings.seed,
            self.settings.recompute,
            self.device,
            log,
        );
        let task = task.shared_with(&self.others);
        let plan = self.fit_plan(ABSOLUTE, &settings.training, &checkpoints);
        let outcome = fit(&task, model, &plan, log)?;
        let model = outcome.model.valid();
        let Measured { scores, metrics, .. } = task.measure(&model, &splits.test)?;
        let labels = self.labels(&splits.test);
        let calibration = match settings.calibration {
            None => None,
            Some(method) => {
                let scores = task.measure(&model, &splits.val)?.scores;
                calibrate::fit(method, &self.labels(&splits.val), &scores, &scale)?
            }
        };
        if settings.calibration.is_some() && calibration.is_none() {
            log.message(
                "stage 2: the scores do not rise with the validation labels, so nothing is calibrated",
            );
        }
        let report = AbsoluteReport {
            test: metrics,
            pair_accuracy: pair_accuracy_from_scores(&labels, &scores)?,
            calibrated: calibration
                .as_ref()
                .map(|calibration| calibrate::measure(calibration, &labels, &scores, &scale))
                .transpose()?,
            fit: FitSummary::from(&outcome),
            scorer: self.settings.checkpoint_dir.join(ABSOLUTE),
        };

        let folder = &report.scorer;
        let base = self.backbone_name();
        let mut adapters = Vec::new();
        if settings.transfer == Transfer::Stacked {
            adapters.push(Path::new(RELATIVE).join(ADAPTER));
        }
        if let Some(adapter) = model.adapter.as_ref().or(below.as_ref()) {
            save_adapter(&folder.join(ADAPTER), adapter, &lora, &base)?;
            adapters.push(ADAPTER.into());
        }
        save_score_head(&folder.join(HEAD), &model.head)?;
        let relative = match &stage1 {
            None => None,
            Some(stage1) => {
                let adapter = Path::new(RELATIVE).join(ADAPTER);
                save_adapter(&folder.join(&adapter), &stage1.adapter.valid(), &stage1.lora, &base)?;
                let files =
                    RelativeFiles { adapter: Some(adapter), head: Path::new(RELATIVE).join(RELATIVE_HEAD) };
                save_utility_head(&folder.join(&files.head), &stage1.head.valid())?;
                Some(files)
            }
        };
        let score = ScoreFiles {
            adapters,
            fusion: matches!(settings.transfer, Transfer::Fusion { .. }),
            head: HEAD.into(),
            link: absolute::link(settings.objective, &scale),
        };
        let scorer = self.scorer_settings(relative, Some(score));
        write_scorer_settings(folder, &ScorerSettings { calibration: calibration.clone(), ..scorer })?;

        let mut info = self.info("absolute");
        info.put("train_size", splits.train.len());
        info.put("val_size", splits.val.len());
        info.put("test_size", splits.test.len());
        info.put("transfer", transfer_name(settings.transfer));
        info.put("objective", settings.objective.key());
        info.fit(&report.fit, &settings.training);
        info.metric("test_qwk", report.test.qwk_nearest);
        info.metric("test_qwk_floor", report.test.qwk_floor);
        info.metric("test_mae", Some(report.test.mae));
        info.metric("test_rmse", Some(report.test.rmse));
        info.metric("test_pearson", report.test.pearson);
        info.metric("test_spearman", report.test.spearman);
        info.metric("test_pair_accuracy", report.pair_accuracy);
        info.calibration(calibration.as_ref().zip(report.calibrated.as_ref()));
        info.write(&folder.join("absolute_run_info.txt"))?;
        info.write(&self.settings.output_dir.join("absolute_metrics_info.txt"))?;
        let ids: Vec<&str> = splits.test.iter().map(|&d| self.examples.id(d)).collect();
        files::write_predictions(
            &self.settings.output_dir.join("test_predictions.csv"),
            &ids,
            &labels,
            &scores,
            &scale,
            calibration.as_ref(),
        )?;
        log.message(&format!(
            "stage 2: best epoch {}, test QWK {} (floor {}), MAE {:.4}, RMSE {:.4}, pair accuracy {}",
            report.fit.best_epoch,
            files::shown(report.test.qwk_nearest),
            files::shown(report.test.qwk_floor),
            report.test.mae,
            report.test.rmse,
            files::shown(report.pair_accuracy),
        ));
        if let Some(calibrated) = &report.calibrated {
            log.message(&format!("stage 2: {calibrated}"));
        }
        checkpoints.finish(&report)?;
        Ok(report)
    }

    fn labels(&self, documents: &[usize]) -> Vec<f64> {
        documents.iter().map(|&document| self.examples.label(document)).collect()
    }
}
