//! The planner: from a plan to tasks and what they wait for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::pairs::{self, GenerateOptions, PairOptions};
use sha2::{Digest, Sha256};

use super::plan::{FoldPlan, STAGE1, SweepPlan};
use crate::TrainError;
use crate::config::{self, ConfigError, RelativeSettings, Settings};
use crate::examples::labelled_documents;
use crate::run::{self, AbsoluteReport, FileHashes, RELATIVE, RelativeReport, Stages};
use crate::schedule::ScheduleKind;

/// Tasks in an order in which each comes after what it waits for: stage-1 trainings, then runs of stage 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The tasks; others refer to one by its position here.
    pub tasks: Vec<Task>,
    /// Stage-1 trainings there would be if none were shared.
    pub unshared: usize,
}

/// A stage of a run, in folders of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique; letters, digits, `_`, `-` and `.`.
    pub id: String,
    /// Everything it needs to run.
    pub settings: Settings,
    /// Position of the task whose results it starts from.
    pub after: Option<usize>,
    /// Its place in the table; `None` for a stage 1, which runs of several settings may share.
    pub cell: Option<Cell>,
    /// Number of the rotation, from 1.
    pub run: u32,
    /// How its pair cache is made where that is missing.
    pub pairs: Option<PairOptions>,
}

/// A place in the table: its trait, fold and seed are those of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Name of the setting.
    pub setting: String,
}

impl SweepPlan {
    /// The tasks of the sweep; `base` is the text of the base configuration, `sets` override it in every run.
    ///
    /// # Errors
    /// When a setting does not make a valid configuration, names it; when two tasks would have one id.
    pub fn graph(&self, base: &str, sets: &[String]) -> Result<Graph, ConfigError> {
        let mut shared: Vec<Shared> = Vec::new();
        let mut runs: Vec<(Task, Option<(usize, RelativeSettings)>)> = Vec::new();
        let mut unshared = 0;
        for targets in self.scorers() {
            for (name, overrides) in &self.settings {
                for fold in &self.folds {
                    let mut settings = self.settings_of(base, targets, (name, overrides), fold, sets)?;
                    let source = settings.stage1().cloned().map(|relative| {
                        unshared += 1;
                        settings.relative = RelativeSettings::earlier(None);
                        (share(&mut shared, &settings, &relative, fold.run), relative)
                    });
                    let id = format!("{name}_{}_{}", of_scorer(targets), fold.test);
                    let cell = Some(Cell { setting: name.clone() });
                    let task = Task { id, settings, after: None, cell, run: fold.run, pairs: None };
                    runs.push((task, source));
                }
            }
        }
        let mut tasks: Vec<Task> = shared.into_iter().map(|shared| self.stage1(shared)).collect();
        for (mut run, source) in runs {
            if let Some((place, own)) = source
                && let Some(relative) = tasks[place].settings.stage1()
            {
                let epochs = own.training.epochs;
                // For reports: the run itself only knows a folder.
                let pairs = relative.pairs_file.display().to_string();
                run.settings.metadata.insert(STAGE1_PAIRS.into(), pairs);
                run.settings.metadata.insert(STAGE1_EPOCHS.into(), epochs.to_string());
                let mut folder = tasks[place].settings.paths.checkpoint_dir.join(RELATIVE);
                if epochs < relative.training.epochs {
                    folder.push(run::epoch_folder(epochs));
                }
                run.settings.relative = RelativeSettings::earlier(Some(folder));
                if run.settings.pair_source().is_some() {
                    run.settings.relative = run.settings.relative.with_pairs_of(&own);
                }
                run.after = Some(place);
            }
            tasks.push(run);
        }
        self.check_ids(&tasks)?;
        Ok(Graph { tasks, unshared })
    }

    /// Refuses tasks of one id. Names may have an underscore, which stands between the parts of an id too, so that
    /// setting `a` with trait `b_c` and setting `a_b` with trait `c` come to the same.
    fn check_ids(&self, tasks: &[Task]) -> Result<(), ConfigError> {
        let mut seen = BTreeMap::new();
        for task in tasks {
            let folder = task.settings.paths.checkpoint_dir.display().to_string();
            if let Some(other) = seen.insert(&task.id, folder.clone()) {
                let id = &task.id;
                let problem = format!(
                    "the tasks of {other} and {folder} would both be called {id}; rename a setting or a trait"
                );
                return Err(ConfigError::Invalid { path: self.path.clone(), problems: vec![problem] });
            }
        }
        Ok(())
    }

    /// The configuration of one run.
    fn settings_of(
        &self,
        base: &str,
        targets: &[String],
        (name, overrides): (&str, &[String]),
        fold: &FoldPlan,
        sets: &[String],
    ) -> Result<Settings, ConfigError> {
        let place = Path::new(name).join(of_scorer(targets)).join(format!("fold_{}", fold.test));
        let json = |value: &str| serde_json::Value::from(value).to_string();
        let path = |root: &Path| json(&root.join(&place).to_string_lossy());
        let list = |names: &[String]| names.iter().map(|name| json(name)).collect::<Vec<_>>().join(", ");
        let (target, traits) = match targets {
            [target] => (json(target), String::new()),
            several => ("null".to_owned(), list(several)),
        };
        let ours = [
            format!("pipeline.experiment_id={}", json(name)),
            format!("pipeline.run_id={}", fold.run),
            format!("pipeline.trait={target}"),
            format!("pipeline.traits=[{traits}]"),
            format!("pipeline.train_folds=[{}]", list(&fold.train)),
            format!("pipeline.test_fold={}", json(&fold.test)),
            format!("pipeline.seed={}", fold.seed),
            format!("metadata.{SETTING}={}", json(name)),
            format!("metadata.test_fold={}", json(&fold.test)),
            format!("paths.output_dir={}", path(&self.output_dir)),
            format!("paths.checkpoint_dir={}", path(&self.checkpoint_dir)),
        ];
        let key = |set: &String| set.split('=').next().unwrap_or_default().trim().to_owned();
        if let Some(set) =
            overrides.iter().chain(sets).find(|set| ours.iter().any(|own| key(own) == key(set)))
        {
            let problem = format!("{}: is set by the sweep for each of its runs, leave it out", key(set));
            return Err(ConfigError::Invalid { path: self.path.clone(), problems: vec![problem] });
        }
        let sets: Vec<String> = overrides.iter().chain(sets).cloned().chain(ours).collect();
        let settings = config::parse(base, &self.base, &sets).map_err(|error| match error {
            ConfigError::Invalid { path, problems } => {
                let of_setting = |problem| format!("setting {name} of {}: {problem}", self.path.display());
                ConfigError::Invalid { path, problems: problems.into_iter().map(of_setting).collect() }
            }
            error => error,
        });
        let mut settings = settings?;
        // Rows share most documents, and many share the backbone.
        settings.paths.embedding_dir.get_or_insert_with(|| self.checkpoint_dir.join("embeddings"));
        Ok(settings)
    }

    /// A shared stage 1 as a task.
    fn stage1(&self, shared: Shared) -> Task {
        let Shared { key, settings, mut relative, mut epochs, run } = shared;
        epochs.retain(|&epochs| epochs < relative.training.epochs);
        // Those that the configuration asks for are kept too.
        epochs.append(&mut relative.outputs.save_epochs);
        epochs.sort_unstable();
        epochs.dedup();
        relative.outputs.save_epochs = epochs;
        relative.outputs.save_adapter = true;
        let id = format!(
            "{STAGE1}_{}_{}_{}",
            of_scorer(settings.pipeline.targets()),
            settings.pipeline.test_fold,
            &key[..8]
        );
        let mut settings = settings;
        settings.pipeline.experiment = STAGE1.to_owned().into();
        settings.metadata.insert(SETTING.into(), STAGE1.into());
        settings.paths.output_dir = self.output_dir.join(STAGE1).join(&id).into();
        settings.paths.checkpoint_dir = self.checkpoint_dir.join(STAGE1).join(&id).into();
        let folder = relative.pairs_file.parent().map(PathBuf::from);
        let pairs = folder.and_then(|folder| self.pairs.get(&folder).copied());
        settings.relative = relative;
        Task { id, settings, after: None, cell: None, run, pairs }
    }
}

/// What folders and tasks call the scorer of these traits.
fn of_scorer(targets: &[String]) -> &str {
    match targets {
        [target] => target,
        _ => "all_traits",
    }
}

/// Key in the metadata of a run: the name of its setting.
pub const SETTING: &str = "setting";
/// Key in the metadata of a run that shares its stage 1: the file of its pairs.
pub const STAGE1_PAIRS: &str = "stage1_pairs";
/// Key in the metadata of a run that shares its stage 1: the epochs it takes over.
pub const STAGE1_EPOCHS: &str = "stage1_epochs";

/// A stage 1 that one or more runs start from.
struct Shared {
    key: String,
    settings: Settings,
    /// Stage 1 as the run configures it that asks for the most epochs.
    relative: RelativeSettings,
    /// The numbers of epochs that the runs ask for.
    epochs: Vec<usize>,
    run: u32,
}

/// Adds the stage 1 of a run to those that are shared, unless it is among them; gives its position.
fn share(shared: &mut Vec<Shared>, settings: &Settings, relative: &RelativeSettings, run: u32) -> usize {
    let key = key(settings, relative);
    let epochs = relative.training.epochs;
    let place = shared.iter().position(|shared| shared.key == key).unwrap_or_else(|| {
        let (settings, relative) = (settings.clone(), relative.clone());
        shared.push(Shared { key, settings, relative, epochs: Vec::new(), run });
        shared.len() - 1
    });
    let found = &mut shared[place];
    found.epochs.push(epochs);
    if epochs > found.relative.training.epochs {
        found.relative = relative.clone();
    }
    place
}

/// SHA-256, in hexadecimal, of everything that decides what a stage 1 learns, but for the epochs where a shorter
/// training is the beginning of a longer one.
fn key(settings: &Settings, relative: &RelativeSettings) -> String {
    let whole = Settings { relative: relative.clone(), ..settings.clone() };
    let mut identity = run::settings_identity(&whole, RELATIVE);
    if relative.training.schedule == ScheduleKind::Constant {
        identity.remove("stage1_relative.training.epochs");
    }
    let mut hash = Sha256::new();
    for (key, value) in &identity {
        hash.update(format!("{key}={value}\n"));
    }
    for (_, path) in run::input_paths(&whole, RELATIVE) {
        hash.update(format!("{}\n", path.display()));
    }
    format!("{:x}", hash.finalize())
}

impl Task {
    /// Which stage it is.
    pub fn stages(&self) -> Stages {
        if self.cell.is_none() { Stages::Relative } else { Stages::Absolute }
    }

    /// Whether its results are there, from these settings and the files as they are now.
    pub fn is_done(&self, hashes: &mut FileHashes) -> bool {
        match self.stages() {
            Stages::Relative => {
                run::finished::<RelativeReport>(&self.settings, Stages::Relative, hashes).is_some()
            }
            _ => self.report(hashes).is_some(),
        }
    }

    /// What a run of stage 2 measured, where it is done.
    pub fn report(&self, hashes: &mut FileHashes) -> Option<AbsoluteReport> {
        let cell = self.cell.as_ref();
        cell.and_then(|_| run::finished(&self.settings, Stages::Absolute, hashes))
    }

    fn pair_generation(&self, pairs: PairOptions) -> GenerateOptions {
        let pipeline = &self.settings.pipeline;
        GenerateOptions {
            run: self.run,
            seed: *pipeline.seed,
            pair_folds: pipeline.train_folds.clone(),
            heldout_fold: Some(pipeline.test_fold.to_string()),
            pairs,
        }
    }

    /// Refuses pair caches of a stage 1 that were made otherwise than the plan says. One without its meta file may come from
    /// anywhere, and is taken as it is.
    fn check_pairs(&self) -> Result<(), TrainError> {
        let (Some(options), Some(relative)) = (self.pairs, self.settings.stage1()) else { return Ok(()) };
        let options = self.pair_generation(options);
        options.validate()?;
        for (target, file) in self.settings.pipeline.targets().iter().zip(self.settings.pair_files(relative))
        {
            let Some(folder) = file.parent() else { continue };
            let [_, meta] = pairs::cache_files(folder, self.run, target)?;
            if !file.is_file() || !meta.is_file() {
                continue;
            }
            if let Some(other) = pairs::read_meta(&meta)?.other_than(&options) {
                let problem = format!(
                    "was made with {other}, as the plan has it; remove the cache, which is then made again, or give the \
                     plan another folder of pairs"
                );
                return Err(TrainError::Mismatch { path: file, problem });
            }
        }
        Ok(())
    }

    /// Makes the pair cache of a stage 1 where it is missing and the plan says how.
    ///
    /// The same documents and seed give the same bytes, so that tasks may do it at the same time.
    ///
    /// # Errors
    /// When the documents cannot be read or paired, or the cache cannot be written.
    pub fn make_pairs(&self) -> Result<(), TrainError> {
        let settings = &self.settings;
        let (Some(options), Some(relative)) = (self.pairs, settings.stage1()) else { return Ok(()) };
        let files = settings.pair_files(relative);
        if files.iter().all(|file| file.is_file()) {
            return Ok(());
        }
        let read = |target: &String| Ok((target.clone(), labelled_documents(settings, target)?));
        let traits = settings.pipeline.targets().iter().map(read).collect::<Result<Vec<_>, TrainError>>()?;
        let options = self.pair_generation(options);
        let caches = pairs::generate(&traits, &options)?;
        for (((target, _), file), (list, meta)) in traits.iter().zip(files).zip(caches) {
            if let Some(folder) = file.parent().filter(|_| !file.is_file()) {
                pairs::write_cache(folder, self.run, target, &list, &meta)?;
            }
        }
        Ok(())
    }
}

impl Graph {
    /// The task called `id`.
    pub fn get(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Refuses pair caches that were made otherwise than the plan says.
    ///
    /// # Errors
    /// Names the file and what differs; a meta file that cannot be read.
    pub fn check_pairs(&self) -> Result<(), TrainError> {
        self.tasks.iter().try_for_each(Task::check_pairs)
    }

    /// Which tasks are done: their results are there, and so are those that they started from.
    pub fn done(&self) -> Vec<bool> {
        let mut hashes = FileHashes::default();
        let mut done: Vec<bool> = Vec::new();
        for task in &self.tasks {
            let started = task.after.is_none_or(|after| done[after]);
            done.push(started && task.is_done(&mut hashes));
        }
        done
    }
}
