//! Stage 2 of a run: embeddings, a head that is fitted to them, measuring, calibrating, and the files of the scorer.

use std::path::Path;
use std::time::Instant;

use burn::module::AutodiffModule;
use pair2score_model::{Adapter, LoraConfig};
use pair2score_scorer::{
    Calibration, HeadFile, RelativeFiles, ScoreFiles, save_adapter, save_score_head, save_utility_head,
    write_scorer_settings,
};

use super::context::Run;
use super::layout::{ABSOLUTE, ADAPTER, HEAD, RELATIVE, RELATIVE_HEAD};
use super::log::{RunLog, shown};
use super::relative::Stage1;
use super::reports::{AbsoluteReport, Effort, FitSummary};
use super::tables;
use crate::TrainError;
use crate::absolute::{AbsoluteModel, AbsoluteTask, Chosen, Goal, HeadInputs, SolvedScores, Start, solve};
use crate::backend::TrainBackend;
use crate::calibrate;
use crate::checkpoint::Checkpoints;
use crate::config::{AbsoluteSettings, Head, HeadInit, Transfer};
use crate::examples::PairExample;
use crate::fit::fit;
use crate::metrics::{ConstantPredictions, RegressionMetrics, pair_accuracy_from_scores};
use crate::report::Progress;
use crate::state::FitOutcome;
use crate::task::Evaluation;

/// A head that is fitted, with all that its scores depend on.
struct Fitted<'a, B: TrainBackend> {
    task: AbsoluteTask<'a, B>,
    model: AbsoluteModel<B::InnerBackend>,
    /// The adapter that the scorer calls its own: the trained one, or the one that was frozen in its place.
    adapter: Option<Adapter<B::InnerBackend>>,
    /// How the head was found.
    found: Found,
    /// Real tokens that the backbone read to get here.
    tokens: usize,
    /// Seconds of embedding.
    embedding_seconds: f64,
}

/// How a head was found.
enum Found {
    /// By the loop.
    Trained(FitOutcome<()>),
    /// As a solution.
    Solved(Solution),
}

/// What comes with a solution beside the head.
struct Solution {
    /// The labelled documents.
    documents: Vec<usize>,
    /// What the labels of the others predict of each of them.
    left_out: Vec<f64>,
    metrics: Evaluation,
    chosen: Chosen,
    seconds: f64,
}

/// What a fitted head is worth on the test documents.
struct Scored {
    labels: Vec<f64>,
    scores: Vec<f64>,
    test: RegressionMetrics,
    calibration: Option<Calibration>,
    /// Where all predictions are alike.
    constant: Option<ConstantPredictions>,
}

impl<B: TrainBackend> Run<'_, B> {
    /// Trains stage 2 and writes the scorer, unless that is done.
    pub(super) fn absolute(
        &self,
        settings: &AbsoluteSettings,
        stage1: Option<&Stage1<B>>,
        log: &mut RunLog<'_>,
    ) -> Result<AbsoluteReport, TrainError> {
        let checkpoints = self.checkpoints(ABSOLUTE)?;
        self.discard_others(ABSOLUTE, &checkpoints)?;
        if let Some(report) = checkpoints.finished()? {
            log.message("stage 2: is over, its results are kept");
            return Ok(report);
        }
        let splits = &self.examples.splits;
        let judgements = match self.judgements(settings) {
            // Reading them refuses a pair with a test document.
            Some(pairs) => format!("; {} judgements, none of a test document", pairs.len()),
            None => String::new(),
        };
        log.message(&format!(
            "stage 2 ({}): {} training, {} validation and {} test documents{judgements}",
            settings.transfer().name(),
            splits.train.len(),
            splits.val.len(),
            splits.test.len()
        ));
        let fitted = self.fit_head(settings, stage1, &checkpoints, log)?;
        let measuring = Instant::now();
        let scored = self.score_test(settings, &fitted, log)?;
        let Scored { labels, scores, calibration, .. } = &scored;
        let calibrated = calibration
            .as_ref()
            .map(|calibration| calibrate::measure(calibration, labels, scores, &self.settings.scale.get()))
            .transpose()?;
        let effort = Effort {
            tokens: fitted.tokens,
            tokens_per_document: self.tokens_per_document(),
            other_seconds: fitted.embedding_seconds + measuring.elapsed().as_secs_f64(),
        };
        let report = AbsoluteReport {
            scale: self.settings.scale.get(),
            test: scored.test,
            pair_accuracy: pair_accuracy_from_scores(labels, scores)?,
            calibrated,
            fit: match &fitted.found {
                Found::Trained(outcome) => FitSummary::trained(outcome, effort),
                Found::Solved(Solution { metrics, seconds, .. }) => {
                    FitSummary::solved(metrics.clone(), *seconds, effort)
                }
            },
            scorer: self.settings.paths.checkpoint_dir.join(ABSOLUTE),
        };
        self.write_scorer(settings, stage1, &fitted, calibration.as_ref(), &report.scorer)?;
        self.write_stage2_info(settings, &fitted, &scored, &report)?;
        self.write_predictions(&scored)?;
        say(&report, scored.constant.as_ref(), log);
        checkpoints.finish(&report)?;
        Ok(report)
    }

    /// The pairs that the head learns from beside labels, where it does.
    fn judgements(&self, settings: &AbsoluteSettings) -> Option<&[PairExample]> {
        let pairs = self.examples.pairs.as_ref().filter(|_| settings.head == Head::Joint);
        pairs.map(|pairs| pairs.train.as_slice())
    }

    /// Computes the embeddings that can be computed once, and fits the head, with the adapter that trains below it.
    fn fit_head(
        &self,
        settings: &AbsoluteSettings,
        stage1: Option<&Stage1<B>>,
        checkpoints: &Checkpoints,
        log: &mut RunLog<'_>,
    ) -> Result<Fitted<'_, B>, TrainError> {
        let seed = *self.settings.pipeline.seed;
        let relative = stage1.and_then(|stage1| stage1.adapter.as_ref()).map(|(adapter, _)| adapter.clone());
        let lora = settings.lora.config();
        let start = Start::new(settings.transfer(), &lora, relative, &self.encoder, seed, self.device);
        let embedding = Instant::now();
        let inputs = HeadInputs::new(
            &self.encoder,
            self.examples,
            &start,
            self.settings.model.recompute,
            self.embedding_pass(),
            self.device,
            log,
        )?;
        let embedding_seconds = embedding.elapsed().as_secs_f64();
        let tokens_computed = inputs.tokens_computed();
        let goal = Goal::new(settings, self.settings.scale.get());
        let outputs = goal.link().n_outputs();
        let below = start.frozen.first().map(AutodiffModule::valid);
        let model = AbsoluteModel::init(start.trainable, inputs.width(), outputs, seed, self.device);
        let mut task = AbsoluteTask::new(inputs, goal);
        let mut model = model;
        if settings.head == Head::Mlp && settings.head_init == Some(HeadInit::Data) {
            (task, model) = task.start_from_data(model)?;
        }
        task = task.shared_with(&self.others);
        let plan = self.fit_plan(ABSOLUTE, &settings.training, checkpoints);
        let (model, found) = match settings.head.is_solved() {
            false => {
                let (trained, outcome) = fit(&task, model, &plan, log)?.split();
                (task, model) = task.finished(trained);
                (model, Found::Trained(outcome))
            }
            true => {
                let SolvedScores { model, documents, left_out, metrics, chosen, seconds } =
                    solve(task.inputs(), &goal, self.judgements(settings))?;
                (model, Found::Solved(Solution { documents, left_out, metrics, chosen, seconds }))
            }
        };
        let model = model.valid();
        let adapter = model.adapter.clone().or(below);
        let tokens_trained = match &found {
            Found::Trained(outcome) if settings.transfer().trains_adapter() => outcome.tokens,
            _ => 0,
        };
        let tokens = tokens_computed + tokens_trained;
        Ok(Fitted { task, model, adapter, found, tokens, embedding_seconds })
    }

    /// Scores the test documents, and fits the calibration where one is asked for: to the validation documents, or to
    /// all that decided an exact head, each as the others predict it.
    fn score_test(
        &self,
        settings: &AbsoluteSettings,
        fitted: &Fitted<'_, B>,
        log: &mut RunLog<'_>,
    ) -> Result<Scored, TrainError> {
        let (splits, scale) = (&self.examples.splits, &self.settings.scale.get());
        let labels = self.examples.labels(&splits.test);
        let measured = fitted.task.measure(&fitted.model, &splits.test)?;
        let mut calibration = None;
        if let Some(method) = settings.calibration.method() {
            let (documents, scores) = match &fitted.found {
                Found::Solved(solution) => (&solution.documents, solution.left_out.clone()),
                Found::Trained(_) => (&splits.val, fitted.task.measure(&fitted.model, &splits.val)?.scores),
            };
            calibration = calibrate::fit(method, &self.examples.labels(documents), &scores, scale)?;
            if calibration.is_none() {
                log.message(
                    "stage 2: the scores do not rise with the labels of unseen documents, so nothing is calibrated",
                );
            }
        }
        let constant = ConstantPredictions::find(&labels, &measured.scores, scale);
        Ok(Scored { labels, scores: measured.scores, test: measured.metrics, calibration, constant })
    }

    /// Writes the folder of the scorer: adapters, heads, settings.
    fn write_scorer(
        &self,
        settings: &AbsoluteSettings,
        stage1: Option<&Stage1<B>>,
        fitted: &Fitted<'_, B>,
        calibration: Option<&Calibration>,
        folder: &Path,
    ) -> Result<(), TrainError> {
        let base = self.backbone_name();
        let stage1_adapter = Path::new(RELATIVE).join(ADAPTER);
        let mut adapters = Vec::new();
        if settings.transfer() == Transfer::Stacked {
            adapters.push(stage1_adapter.clone());
        }
        if let Some(adapter) = &fitted.adapter {
            save_adapter(&folder.join(ADAPTER), adapter, &kept_lora(settings, stage1), &base)?;
            adapters.push(ADAPTER.into());
        }
        save_score_head(&folder.join(HEAD), &fitted.model.head)?;
        let mut relative = None;
        if let Some(stage1) = stage1 {
            let head = Path::new(RELATIVE).join(RELATIVE_HEAD);
            if let Some((adapter, lora)) = &stage1.adapter {
                save_adapter(&folder.join(&stage1_adapter), &adapter.valid(), lora, &base)?;
            }
            save_utility_head(&folder.join(&head), &stage1.head.valid())?;
            relative = Some(RelativeFiles {
                adapter: stage1.adapter.is_some().then_some(stage1_adapter),
                heads: vec![head],
            });
        }
        let score = ScoreFiles {
            adapters,
            fusion: matches!(settings.transfer(), Transfer::Fusion { .. }),
            heads: vec![HeadFile { path: HEAD.into(), link: fitted.task.goal().link() }],
        };
        let scorer = self.scorer_settings(relative, Some(score), calibration.cloned());
        Ok(write_scorer_settings(folder, &scorer)?)
    }

    /// Writes the summary, beside the scorer and among the outputs.
    fn write_stage2_info(
        &self,
        settings: &AbsoluteSettings,
        fitted: &Fitted<'_, B>,
        scored: &Scored,
        report: &AbsoluteReport,
    ) -> Result<(), TrainError> {
        let splits = &self.examples.splits;
        let mut info = self.info("absolute");
        info.put("train_size", splits.train.len());
        info.put("val_size", splits.val.len());
        info.put("test_size", splits.test.len());
        info.put("transfer", settings.transfer().name());
        info.put("head", settings.head.key());
        match &fitted.found {
            Found::Trained(_) => info.put("objective", settings.objective.key()),
            Found::Solved(Solution { chosen, .. }) => info.chosen(chosen),
        }
        info.fit(&report.fit, &settings.training);
        if report.scale.grades().is_some() {
            info.metric("test_qwk", report.test.qwk_nearest);
            info.metric("test_qwk_floor", report.test.qwk_floor);
        }
        info.metric("test_mae", Some(report.test.mae));
        info.metric("test_rmse", Some(report.test.rmse));
        info.metric("test_r2", report.test.r2);
        info.metric("test_pearson", report.test.pearson);
        info.metric("test_spearman", report.test.spearman);
        info.metric("test_pair_accuracy", report.pair_accuracy);
        if let Some(constant) = &scored.constant {
            info.put("constant_predictions", constant);
        }
        info.calibration(&report.scale, scored.calibration.as_ref().zip(report.calibrated.as_ref()));
        info.write(&report.scorer.join("absolute_run_info.txt"))?;
        info.write(&self.settings.paths.output_dir.join("absolute_metrics_info.txt"))
    }

    fn write_predictions(&self, scored: &Scored) -> Result<(), TrainError> {
        let documents = &self.examples.splits.test;
        let ids: Vec<&str> = documents.iter().map(|&document| self.examples.id(document)).collect();
        let Scored { labels, scores, calibration, .. } = scored;
        let path = self.settings.paths.output_dir.join("test_predictions.csv");
        let scale = self.settings.scale.get();
        tables::write_predictions(&path, &ids, labels, scores, &scale, calibration.as_ref())
    }
}

/// The shape of the adapter that the scorer keeps: reused weights keep the one that stage 1 gave them.
fn kept_lora<B: TrainBackend>(settings: &AbsoluteSettings, stage1: Option<&Stage1<B>>) -> LoraConfig {
    let fresh = settings.lora.config();
    let reused =
        matches!(settings.transfer(), Transfer::WarmStart { .. } | Transfer::Fusion { reuse: true, .. });
    match stage1.and_then(|stage1| stage1.adapter.as_ref()) {
        Some((_, lora)) if reused => LoraConfig { dropout: fresh.dropout, ..lora.clone() },
        _ => fresh,
    }
}

/// Says what stage 2 measured.
fn say(report: &AbsoluteReport, constant: Option<&ConstantPredictions>, log: &mut RunLog<'_>) {
    log.message(&format!(
        "stage 2: {}, test {}, pair accuracy {}",
        report.fit.how(),
        report.test.summary(&report.scale),
        shown(report.pair_accuracy),
    ));
    if let Some(calibrated) = &report.calibrated {
        log.message(&format!("stage 2: {}", calibrated.summary(&report.scale)));
    }
    if let Some(constant) = constant {
        log.message(&format!(
            "stage 2: {constant}, whatever its label; train longer (stage2_absolute.training.epochs) or with a higher \
             learning rate (stage2_absolute.training.lr)"
        ));
    }
}
