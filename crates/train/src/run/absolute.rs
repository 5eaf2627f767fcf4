//! Stage 2 of a run: embeddings, a head that is fitted to them, measuring, calibrating, and the files of the scorer.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::AutodiffModule;
use pair2score_model::{Adapter, LoraConfig};
use pair2score_scorer::{
    HeadFile, RelativeFiles, ScoreFiles, TraitSettings, save_adapter, save_score_head, save_utility_head,
    write_scorer_settings,
};

use super::anchors::{Chosen, write_anchors};
use super::context::Run;
use super::info::{Info, OF_TRAIT};
use super::layout::{
    ABSOLUTE, ADAPTER, HEAD, METRICS_INFO, PREDICTIONS, RELATIVE, RELATIVE_HEAD, missing_result,
    relative_heads, results_folder, score_heads,
};
use super::leftovers::{remove_other_heads, remove_other_results};
use super::log::{RunLog, shown};
use super::relative::Stage1;
use super::reports::{AbsoluteReport, Effort, FitSummary, TraitReport};
use super::tables;
use crate::TrainError;
use crate::absolute::{
    AbsoluteModel, AbsoluteTask, Goal, HeadInputs, Measured, SolvedScores, SolvedTrait, Start, Unseen, solve,
};
use crate::backend::TrainBackend;
use crate::calibrate;
use crate::checkpoint::Checkpoints;
use crate::config::{AbsoluteSettings, Head, HeadInit, Transfer};
use crate::examples::PairExample;
use crate::fit::fit;
use crate::intervals;
use crate::metrics::{ConstantPredictions, RaterAgreement, pair_accuracy_from_scores};
use crate::report::Progress;
use crate::state::FitOutcome;
use crate::task::{Evaluation, of_trait};

/// The heads that are fitted, one for each trait, with all that their scores depend on.
struct Fitted<'a, B: TrainBackend> {
    task: AbsoluteTask<'a, B>,
    model: AbsoluteModel<B::InnerBackend>,
    /// The adapter that the scorer calls its own: the trained one, or the one that was frozen in its place.
    adapter: Option<Adapter<B::InnerBackend>>,
    /// How the heads were found.
    found: Found,
    /// Real tokens that the backbone read to get here.
    tokens: usize,
    /// Seconds of embedding.
    embedding_seconds: f64,
}

/// How heads were found.
enum Found {
    /// By the loop.
    Trained(FitOutcome<()>),
    /// As a solution.
    Solved(Solution),
}

/// What comes with a solution beside the heads.
struct Solution {
    traits: Vec<SolvedTrait>,
    metrics: Evaluation,
    seconds: f64,
}

/// What the fitted head of a trait is worth on the test documents.
struct Scored {
    /// With what documents that did not decide the head say of its scores.
    of: TraitSettings,
    measured: Measured,
    /// Where all predictions are alike.
    constant: Option<ConstantPredictions>,
    /// Second ratings of the test documents; all missing where no column has them.
    second_ratings: Vec<Option<f64>>,
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
            let Some(path) = missing_result(self.settings) else {
                log.message("stage 2: is over, its results are kept");
                return Ok(report);
            };
            // The last checkpoint has the weights of what was trained; what was solved for is solved for again.
            let path = path.display();
            log.message(&format!("stage 2: is over, but {path} is not there: its results are written again"));
        }
        checkpoints.begin()?;
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
        let unseen = self.unseen(&fitted)?;
        let scored = self.score_test(settings, &fitted, &unseen, log)?;
        let anchors = self.anchors(&fitted.task, &fitted.model, &unseen)?;
        let traits = scored.iter().map(|scored| self.report(scored)).collect::<Result<_, _>>()?;
        let effort = Effort {
            tokens: fitted.tokens,
            tokens_per_document: self.tokens_per_document(),
            other_seconds: fitted.embedding_seconds + measuring.elapsed().as_secs_f64(),
        };
        let fit = match &fitted.found {
            Found::Trained(outcome) => FitSummary::trained(outcome, effort),
            Found::Solved(Solution { metrics, seconds, .. }) => {
                FitSummary::solved(metrics.clone(), *seconds, effort)
            }
        };
        let folder = self.settings.paths.checkpoint_dir.join(ABSOLUTE);
        let report = AbsoluteReport::new(self.settings.scale.get(), traits, fit, folder);
        self.write_scorer(settings, stage1, &fitted, (&scored, anchors), &report.scorer)?;
        self.write_stage2_info(settings, &fitted, &scored, &report)?;
        scored.iter().try_for_each(|scored| self.write_predictions(scored))?;
        remove_other_results(self.settings)?;
        say(&report, &scored, log);
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
        let below = start.frozen.first().map(AutodiffModule::valid);
        let mut task = AbsoluteTask::new(inputs, goal, self.settings.trait_weights());
        let (model, found) = match settings.head.is_solved() {
            false => {
                let (begun, model) = self.begin(settings, &start, task, log)?;
                let solved = settings.head_init == Some(HeadInit::Ridge);
                let plan = self.fit_plan(ABSOLUTE, &settings.training, checkpoints, solved);
                let (trained, outcome) = fit(&begun, model, &plan, log)?.split();
                let (finished, model) = begun.finished(trained);
                task = finished;
                (model, Found::Trained(outcome))
            }
            true => {
                let SolvedScores { model, traits, metrics, seconds } =
                    solve(task.inputs(), &goal, self.judgements(settings))?;
                (model, Found::Solved(Solution { traits, metrics, seconds }))
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

    /// The model before its first step, and the task for it.
    fn begin<'t>(
        &'t self,
        settings: &AbsoluteSettings,
        start: &Start<B>,
        task: AbsoluteTask<'t, B>,
        log: &mut RunLog<'_>,
    ) -> Result<(AbsoluteTask<'t, B>, AbsoluteModel<B>), TrainError> {
        let (inputs, outputs) = (task.inputs(), task.goal().link().n_outputs());
        let (traits, seed) = (self.examples.traits.len(), *self.settings.pipeline.seed);
        let adapter = start.trainable.clone();
        let model = AbsoluteModel::init(adapter, traits, inputs.width(), outputs, seed, self.device);
        let (task, model) = match settings.head_init {
            Some(HeadInit::Data) => task.start_from_data(model)?,
            Some(HeadInit::Ridge) => {
                let documents = &self.examples.splits.train;
                let before = inputs.before_training(start, documents, self.embedding_pass(), log)?;
                task.start_from_ridge(&before, model)?
            }
            Some(HeadInit::Random) | None => (task, model),
        };
        Ok((task.shared_with(&self.others), model))
    }

    /// What was measured of a trait, for the report.
    fn report(&self, scored: &Scored) -> Result<TraitReport, TrainError> {
        let Scored { measured: Measured { labels, scores, metrics, .. }, of, second_ratings, .. } = scored;
        let measure = |calibration| calibrate::measure(calibration, labels, scores, &of.scale);
        Ok(TraitReport {
            test: *metrics,
            pair_accuracy: pair_accuracy_from_scores(labels, scores)?,
            calibrated: of.calibration.as_ref().map(measure).transpose()?,
            intervals: intervals::measure(of, labels, scores),
            raters: RaterAgreement::new(labels, second_ratings, &of.scale)?,
        })
    }

    /// Scores the test documents, and fits intervals, and calibrations where they are asked for.
    fn score_test(
        &self,
        settings: &AbsoluteSettings,
        fitted: &Fitted<'_, B>,
        unseen: &[Unseen],
        log: &mut RunLog<'_>,
    ) -> Result<Vec<Scored>, TrainError> {
        let measured = fitted.task.measure(&fitted.model, &self.examples.splits.test)?;
        let scored = unseen.iter().zip(measured).enumerate().map(|(place, (unseen, measured))| {
            let Unseen { labels, scores, .. } = unseen;
            let mut of = self.trait_settings(place);
            of.label_counts = Some(self.label_counts(place));
            of.raters = self.raters(place);
            let mut missing = |why: &str| log.message(&format!("stage 2{}: {why}", self.of_trait(place)));
            if let Some(method) = settings.calibration.method() {
                match calibrate::fit(method, labels, scores, &of.scale)? {
                    Ok(calibration) => of.calibration = Some(calibration),
                    Err(problem) => missing(&format!("{problem}, so nothing is calibrated")),
                }
            }
            of.intervals = intervals::fit(labels, scores, &of.scale)?;
            if of.intervals.is_none() {
                missing("too few documents are unseen to say how far labels lie from scores, so there are no intervals");
            }
            let constant = ConstantPredictions::find(&measured.labels, &measured.scores, &of.scale);
            let second_ratings = self.examples.traits[place].second_ratings_of(&measured.documents);
            Ok(Scored { of, measured, constant, second_ratings })
        });
        scored.collect()
    }

    /// The documents of each trait that did not decide the scores.
    fn unseen(&self, fitted: &Fitted<'_, B>) -> Result<Vec<Unseen>, TrainError> {
        Ok(match &fitted.found {
            Found::Solved(Solution { traits, .. }) => traits.iter().map(SolvedTrait::unseen).collect(),
            Found::Trained(_) => {
                let measured = fitted.task.measure(&fitted.model, &self.examples.splits.val)?;
                measured.into_iter().map(Measured::unseen).collect()
            }
        })
    }

    /// Names a trait where there are several.
    fn of_trait(&self, place: usize) -> String {
        match &self.examples.traits[..] {
            [_] => String::new(),
            several => format!(" ({})", several[place].target),
        }
    }

    /// Writes the folder of the scorer: adapters, heads, anchors, settings.
    fn write_scorer(
        &self,
        settings: &AbsoluteSettings,
        stage1: Option<&Stage1<B>>,
        fitted: &Fitted<'_, B>,
        (scored, anchors): (&[Scored], Option<Chosen>),
        folder: &Path,
    ) -> Result<(), TrainError> {
        let (base, backbone) = (self.backbone_name(), &self.encoder.config);
        let stage1_adapter = Path::new(RELATIVE).join(ADAPTER);
        let mut adapters = Vec::new();
        if settings.transfer() == Transfer::Stacked {
            adapters.push(stage1_adapter.clone());
        }
        if let Some(adapter) = &fitted.adapter {
            save_adapter(&folder.join(ADAPTER), adapter, &kept_lora(settings, stage1), &base, backbone)?;
            adapters.push(ADAPTER.into());
        }
        let link = fitted.task.goal().link();
        let heads: Vec<HeadFile> =
            score_heads(self.settings).into_iter().map(|path| HeadFile { path, link }).collect();
        for (file, head) in heads.iter().zip(&fitted.model.heads) {
            save_score_head(&folder.join(&file.path), head)?;
        }
        let files: Vec<PathBuf> = heads.iter().map(|file| file.path.clone()).collect();
        remove_other_heads(folder, HEAD, &files)?;
        let mut relative = None;
        if let Some(stage1) = stage1 {
            let heads = relative_heads(self.settings).into_iter();
            let heads: Vec<PathBuf> = heads.map(|path| Path::new(RELATIVE).join(path)).collect();
            if let Some((adapter, lora)) = &stage1.adapter {
                save_adapter(&folder.join(&stage1_adapter), &adapter.valid(), lora, &base, backbone)?;
            }
            for (path, head) in heads.iter().zip(&stage1.heads) {
                save_utility_head(&folder.join(path), &head.valid())?;
            }
            remove_other_heads(&folder.join(RELATIVE), RELATIVE_HEAD, &relative_heads(self.settings))?;
            relative =
                Some(RelativeFiles { adapter: stage1.adapter.is_some().then_some(stage1_adapter), heads });
        }
        let score =
            ScoreFiles { adapters, fusion: matches!(settings.transfer(), Transfer::Fusion { .. }), heads };
        let traits = scored.iter().map(|scored| scored.of.clone()).collect();
        let mut scorer = self.scorer_settings(traits, relative, Some(score));
        scorer.anchors = write_anchors(anchors, folder)?;
        Ok(write_scorer_settings(folder, &scorer)?)
    }

    /// Writes the summary beside the scorer and among the outputs; of several traits, also one of each by itself with its
    /// predictions.
    fn write_stage2_info(
        &self,
        settings: &AbsoluteSettings,
        fitted: &Fitted<'_, B>,
        scored: &[Scored],
        report: &AbsoluteReport,
    ) -> Result<(), TrainError> {
        let all: Vec<usize> = (0..scored.len()).collect();
        let info = self.stage2_info(settings, fitted, scored, report, &all);
        info.write(&report.scorer.join("absolute_run_info.txt"))?;
        info.write(&self.settings.paths.output_dir.join(METRICS_INFO))?;
        if scored.len() > 1 {
            for (place, Scored { of, .. }) in scored.iter().enumerate() {
                let info = self.stage2_info(settings, fitted, scored, report, &[place]);
                info.write(&results_folder(self.settings, &of.target).join(METRICS_INFO))?;
            }
        }
        Ok(())
    }

    /// The summary of these traits; the lines of a single one have no name.
    fn stage2_info(
        &self,
        settings: &AbsoluteSettings,
        fitted: &Fitted<'_, B>,
        scored: &[Scored],
        report: &AbsoluteReport,
        places: &[usize],
    ) -> Info {
        let splits = &self.examples.splits;
        let mut info = self.info("absolute");
        if let ([place], true) = (places, scored.len() > 1) {
            info.put(OF_TRAIT, &scored[*place].of.target);
        }
        // Of a trait by itself, the documents that have its label.
        let size = |documents: &[usize]| match (places, scored.len() > 1) {
            ([place], true) => self.examples.labelled(*place, documents).0.len(),
            _ => documents.len(),
        };
        info.put("train_size", size(&splits.train));
        info.put("val_size", size(&splits.val));
        info.put("test_size", size(&splits.test));
        info.put("transfer", settings.transfer().name());
        info.put("head", settings.head.key());
        let named = |place: usize| match places {
            [_] => String::new(),
            _ => format!("[{}]", scored[place].of.target),
        };
        match &fitted.found {
            Found::Trained(_) => info.put("objective", settings.objective.key()),
            Found::Solved(Solution { traits, .. }) => {
                places.iter().for_each(|&place| info.chosen(&named(place), &traits[place].chosen));
            }
        }
        let target = places.first().filter(|_| places.len() == 1 && scored.len() > 1);
        let best = match target {
            Some(&place) => of_trait(&report.fit.best, &scored[place].of.target),
            None => report.fit.best.clone(),
        };
        info.fit(&FitSummary { best, ..report.fit.clone() }, &settings.training);
        for (place, found) in report.traits().enumerate().filter(|(place, _)| places.contains(place)) {
            let Scored { measured, constant, of, .. } = &scored[place];
            let name = named(place);
            if places.len() > 1 {
                info.put(&format!("test_size{name}"), measured.documents.len());
            }
            info.test(&name, &report.scale, found);
            if let Some(constant) = constant {
                info.put(&format!("constant_predictions{name}"), constant);
            }
            info.calibration(&name, &report.scale, of.calibration.as_ref().zip(found.calibrated.as_ref()));
            info.raters(&name, found.raters.as_ref());
            info.intervals(&name, of.intervals.as_ref().zip(found.intervals.as_ref()));
        }
        info
    }

    fn write_predictions(&self, scored: &Scored) -> Result<(), TrainError> {
        let Scored { of, measured: Measured { documents, labels, scores, .. }, second_ratings, .. } = scored;
        let ids: Vec<&str> = documents.iter().map(|&document| self.examples.id(document)).collect();
        let path = results_folder(self.settings, &of.target).join(PREDICTIONS);
        tables::write_predictions(&path, of, &ids, [labels, scores], second_ratings)
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
fn say(report: &AbsoluteReport, scored: &[Scored], log: &mut RunLog<'_>) {
    let several = scored.len() > 1;
    if several {
        log.message(&format!("stage 2: {}", report.fit.how()));
    }
    for (found, Scored { of, constant, .. }) in report.traits().zip(scored) {
        let what = if several { of.target.clone() } else { report.fit.how() };
        log.message(&format!(
            "stage 2: {what}, test {}, pair accuracy {}",
            found.test.summary(&report.scale),
            shown(found.pair_accuracy),
        ));
        if let Some(calibrated) = &found.calibrated {
            log.message(&format!("stage 2: {}", calibrated.summary(&report.scale)));
        }
        if let Some(intervals) = &found.intervals {
            log.message(&format!("stage 2: {}", intervals.summary()));
        }
        if let Some(raters) = &found.raters {
            log.message(&format!("stage 2: {}", raters.summary()));
        }
        if let Some(constant) = constant {
            let remedy = match report.fit.epochs {
                Some(_) => {
                    "train longer (stage2_absolute.training.epochs) or with a higher learning rate \
                     (stage2_absolute.training.lr)"
                }
                None => {
                    "what is solved for has found nothing in the embeddings that tells the labels; give more labels, or \
                     read another layer (model.layers: auto)"
                }
            };
            log.message(&format!("stage 2: {constant}, whatever its label; {remedy}"));
        }
    }
}
