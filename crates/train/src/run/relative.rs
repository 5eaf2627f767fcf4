//! Stage 1 of a run: training or solving for it, writing its files, finding those of an earlier one.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use burn::module::AutodiffModule;
use pair2score_model::{Adapter, LoraConfig, UtilityHead};
use pair2score_scorer::{
    RelativeFiles, load_adapter, load_utility_head, save_adapter, save_utility_head, write_scorer_settings,
};

use super::context::Run;
use super::earlier::{TRAIN_FOLDS, written_folds};
use super::layout::{
    ADAPTER, ADAPTER_FILES, RELATIVE, RELATIVE_HEAD, RELATIVE_INFO, SCORER, TRAIN_EMBEDDINGS, epoch_folder,
    has_adapter, missing_output, relative_folder, relative_heads,
};
use super::leftovers::{remove_if_there, remove_other_heads};
use super::log::{RunLog, shown};
use super::reports::{Effort, FitSummary, RelativeReport};
use super::tables;
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::checkpoint::Checkpoints;
use crate::config::{RelativeMode, RelativeSettings, UtilityInit};
use crate::embeddings::{Embeddings, Frozen};
use crate::examples::{Pairs, distinct};
use crate::fit::fit;
use crate::relative::{MeasuredPairs, RelativeModel, RelativeTask, SolvedUtilities};
use crate::report::Progress;
use crate::state::FitOutcome;

/// What stage 2 may take over.
pub(super) struct Stage1<B: TrainBackend> {
    /// With its shape; `None` where the head is on the frozen backbone.
    pub(super) adapter: Option<(Adapter<B>, LoraConfig)>,
    /// Of each trait.
    pub(super) heads: Vec<UtilityHead<B>>,
}

impl<B: TrainBackend> Run<'_, B> {
    /// Trains stage 1 and writes its files, unless that is done.
    pub(super) fn relative(
        &self,
        settings: &RelativeSettings,
        log: &mut RunLog<'_>,
    ) -> Result<(Stage1<B>, RelativeReport), TrainError> {
        let checkpoints = self.checkpoints(RELATIVE)?.keeping_epochs(&settings.outputs.save_epochs);
        self.discard_others(RELATIVE, &checkpoints)?;
        if let Some(report) = checkpoints.finished()? {
            if let Some(path) = missing_output(self.settings, settings) {
                // The last checkpoint has the weights that everything else is made of.
                let path = path.display();
                log.message(&format!(
                    "stage 1: is over, but {path} is not there: its results are written again"
                ));
            } else if let Some(stage1) = self.load_stage1()? {
                log.message("stage 1: is over, its results are kept");
                return Ok((stage1, report));
            }
        }
        let pairs = self.examples.pairs.as_ref().expect("pairs are loaded when stage 1 is enabled");
        log.message(&described(pairs));
        let (stage1, report) = match settings.mode {
            RelativeMode::Adapter => self.train_stage1(settings, pairs, &checkpoints, log)?,
            RelativeMode::HeadOnly => self.solve_stage1(settings, pairs, log)?,
        };
        log.message(&format!(
            "stage 1: {}, test pair accuracy {}",
            report.fit.how(),
            shown(report.test.and_then(|test| test.accuracy))
        ));
        checkpoints.finish(&report)?;
        Ok((stage1, report))
    }

    /// Trains an adapter and a head.
    fn train_stage1(
        &self,
        settings: &RelativeSettings,
        pairs: &Pairs,
        checkpoints: &Checkpoints,
        log: &mut RunLog<'_>,
    ) -> Result<(Stage1<B>, RelativeReport), TrainError> {
        let lora = settings.lora.config();
        let (train, val, recompute) = (&pairs.train, &pairs.val, self.settings.model.recompute);
        let (traits, seed) = (self.examples.traits.len(), *self.settings.pipeline.seed);
        let mut fresh = RelativeModel::init(&lora, traits, &self.encoder, seed, self.device);
        let task = || RelativeTask::new(&self.encoder, self.examples, train, val, recompute, self.device);
        let mut trained = task();
        let solved = settings.head_init == UtilityInit::HeadOnly;
        if solved {
            let embeddings = self.embed("embed", None, &distinct(train).0, log)?;
            (trained, fresh) = trained.start_from_solution(&embeddings, fresh)?;
        }
        let trained = trained.shared_with(&self.others);
        let plan = self.fit_plan(RELATIVE, &settings.training, checkpoints, solved);
        let outcome = trained.finished(fit(&trained, fresh.clone(), &plan, log)?);
        let (task, folder) = (task(), relative_folder(self.settings));
        for &epoch in &settings.outputs.save_epochs {
            let outcome = trained.finished(checkpoints.after_epoch(epoch, &fresh, self.device)?);
            self.write_trained(settings, &task, pairs, &outcome, &folder.join(epoch_folder(epoch)), log)?;
        }
        let report = self.write_trained(settings, &task, pairs, &outcome, &folder, log)?;
        let RelativeModel { adapter, heads } = outcome.model;
        Ok((Stage1 { adapter: Some((adapter, lora)), heads }, report))
    }

    /// Solves for the heads on the frozen backbone and writes their folder.
    fn solve_stage1(
        &self,
        settings: &RelativeSettings,
        pairs: &Pairs,
        log: &mut RunLog<'_>,
    ) -> Result<(Stage1<B>, RelativeReport), TrainError> {
        let started = Instant::now();
        let of_pairs = [&pairs.train, &pairs.val, &pairs.test].map(Vec::as_slice).concat();
        let mut documents = distinct(&of_pairs).0;
        if settings.outputs.save_embeddings {
            let known: BTreeSet<usize> = documents.iter().copied().collect();
            documents.extend(self.training_documents().into_iter().filter(|one| !known.contains(one)));
        }
        let embeddings = self.embed("embed", None, &documents, log)?;
        let embedding_seconds = started.elapsed().as_secs_f64();
        let solved = SolvedUtilities::new(&embeddings, self.examples, pairs)?;
        let test = match pairs.test.is_empty() {
            true => None,
            false => Some(solved.measure(&embeddings, self.examples, &pairs.test)?),
        };
        let effort = Effort {
            tokens: documents.iter().map(|&document| self.examples.ids(document).len()).sum(),
            tokens_per_document: self.tokens_per_document(),
            other_seconds: embedding_seconds,
        };
        let fit = FitSummary::solved(solved.validation.clone(), solved.seconds, effort);
        let report = RelativeReport { test: test.as_ref().map(|test| test.all), fit };
        let stage1 = Stage1 { adapter: None, heads: solved.heads(self.device) };
        let folder = relative_folder(self.settings);
        self.write_stage1(settings, &stage1.heads.valid(), None, &folder)?;
        if settings.outputs.save_embeddings {
            self.write_embeddings(&folder, &embeddings)?;
        }
        self.write_stage1_info(settings, pairs, &report, test.as_ref(), &folder)?;
        Ok((stage1, report))
    }

    /// Measures what was trained on the test pairs and writes a stage-1 folder.
    fn write_trained(
        &self,
        settings: &RelativeSettings,
        task: &RelativeTask<'_, B>,
        pairs: &Pairs,
        outcome: &FitOutcome<RelativeModel<B>>,
        folder: &Path,
        log: &mut RunLog<'_>,
    ) -> Result<RelativeReport, TrainError> {
        let model = outcome.model.valid();
        let measuring = Instant::now();
        let test = match pairs.test.is_empty() {
            true => None,
            false => Some(task.measure(&model, &pairs.test)?),
        };
        let effort = Effort {
            tokens: outcome.tokens,
            tokens_per_document: self.tokens_per_document(),
            other_seconds: measuring.elapsed().as_secs_f64(),
        };
        let fit = FitSummary::trained(outcome, effort);
        let report = RelativeReport { test: test.as_ref().map(|test| test.all), fit };
        self.write_stage1(settings, &model.heads, Some(&model.adapter), folder)?;
        if settings.outputs.save_embeddings {
            let documents = self.training_documents();
            let embeddings = self.embed("embed training documents", Some(&model.adapter), &documents, log)?;
            self.write_embeddings(folder, &embeddings)?;
        }
        self.write_stage1_info(settings, pairs, &report, test.as_ref(), folder)?;
        Ok(report)
    }

    /// Writes the heads and the adapter where they are asked for, and removes what an earlier run would pass off as of
    /// this one.
    fn write_stage1(
        &self,
        settings: &RelativeSettings,
        heads: &[UtilityHead<B::InnerBackend>],
        adapter: Option<&Adapter<B::InnerBackend>>,
        folder: &Path,
    ) -> Result<(), TrainError> {
        remove_if_there(&folder.join(TRAIN_EMBEDDINGS))?;
        match adapter.filter(|_| settings.outputs.save_adapter) {
            Some(adapter) => {
                let lora = settings.lora.config();
                let (folder, backbone) = (folder.join(ADAPTER), &self.encoder.config);
                save_adapter(&folder, adapter, &lora, &self.backbone_name(), backbone)?;
            }
            None => {
                ADAPTER_FILES.iter().try_for_each(|name| remove_if_there(&folder.join(ADAPTER).join(name)))?
            }
        }
        if !settings.outputs.save_adapter {
            remove_other_heads(folder, RELATIVE_HEAD, &[])?;
            return remove_if_there(&folder.join(SCORER));
        }
        let files = relative_heads(self.settings);
        for (path, head) in files.iter().zip(heads) {
            save_utility_head(&folder.join(path), head)?;
        }
        // An adapter and heads of two runs would be one stage 1 to whoever looks for its files.
        remove_other_heads(folder, RELATIVE_HEAD, &files)?;
        let files = RelativeFiles { adapter: adapter.map(|_| ADAPTER.into()), heads: files };
        let traits = (0..self.examples.traits.len()).map(|place| self.trait_settings(place)).collect();
        Ok(write_scorer_settings(folder, &self.scorer_settings(traits, Some(files), None))?)
    }

    /// The documents that train stage 2, or would if their labels were used.
    fn training_documents(&self) -> Vec<usize> {
        let mut documents = [self.examples.splits.train.as_slice(), &self.examples.unlabelled].concat();
        documents.sort_unstable();
        documents
    }

    fn embed(
        &self,
        stage: &str,
        adapter: Option<&Adapter<B::InnerBackend>>,
        documents: &[usize],
        log: &mut RunLog<'_>,
    ) -> Result<Embeddings, TrainError> {
        let (encoder, adapters): (_, Vec<_>) = (self.encoder.valid(), adapter.into_iter().collect());
        let pass = self.embedding_pass();
        let frozen = Frozen { encoder: &encoder, adapters: &adapters, device: self.device };
        Embeddings::compute(stage, frozen, self.examples, documents, pass, log)
    }

    /// Writes the pooled embeddings of the training documents of stage 2.
    fn write_embeddings(&self, folder: &Path, embeddings: &Embeddings) -> Result<(), TrainError> {
        let documents = self.training_documents();
        let ids: Vec<&str> = documents.iter().map(|&document| self.examples.id(document)).collect();
        let rows = documents.iter().map(|&document| embeddings.row(document));
        tables::write_embeddings(&folder.join(TRAIN_EMBEDDINGS), &ids, rows, self.encoder.config.d_model)
    }

    fn write_stage1_info(
        &self,
        settings: &RelativeSettings,
        pairs: &Pairs,
        report: &RelativeReport,
        test: Option<&MeasuredPairs>,
        folder: &Path,
    ) -> Result<(), TrainError> {
        let mut info = self.info("relative");
        info.put("train_pairs", pairs.train.len());
        info.put("val_pairs", pairs.val.len());
        info.put("test_pairs", pairs.test.len());
        info.put("withheld_pairs", pairs.withheld);
        info.put(TRAIN_FOLDS, written_folds(&self.settings.pipeline.train_folds));
        info.put("pairs_file", settings.pairs_file.display());
        info.put("mode", settings.mode.key());
        info.fit(&report.fit, &settings.training);
        info.metric("test_acc", report.test.and_then(|test| test.accuracy));
        info.metric("test_loss", report.test.map(|test| test.loss));
        let of_each = test.map(|test| &test.traits).filter(|_| self.examples.traits.len() > 1);
        for (target, metrics) in of_each.into_iter().flatten() {
            info.metric(&format!("test_acc[{target}]"), metrics.accuracy);
            info.metric(&format!("test_loss[{target}]"), Some(metrics.loss));
        }
        info.write(&folder.join(RELATIVE_INFO))
    }

    /// The stage 1 that stage 2 may start from, if it is there.
    ///
    /// # Errors
    /// When it is not of a run that reads documents as this one, is not where the configuration names it, or cannot be
    /// loaded.
    pub(super) fn load_stage1(&self) -> Result<Option<Stage1<B>>, TrainError> {
        let Some(folder) = self.fitting_stage1()? else { return Ok(None) };
        let config = &self.encoder.config;
        let adapter = match has_adapter(&folder) {
            true => Some(load_adapter::<B>(&folder.join(ADAPTER), config, self.device)?),
            false => None,
        };
        let head = |path| load_utility_head(&folder.join(path), config.d_model, self.device);
        let heads = relative_heads(self.settings).into_iter().map(head).collect::<Result<_, _>>()?;
        Ok(Some(Stage1 { adapter: adapter.map(|loaded| (loaded.adapter, loaded.config)), heads }))
    }
}

/// How many pairs stage 1 has, in words.
fn described(pairs: &Pairs) -> String {
    let withheld = match pairs.withheld {
        0 => String::new(),
        n => format!("; {n} withheld because stage 2 validates on their documents"),
    };
    let [train, val, test] = [&pairs.train, &pairs.val, &pairs.test].map(Vec::len);
    format!("stage 1: {train} training, {val} validation and {test} test pairs{withheld}")
}
