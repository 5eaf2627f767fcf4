//! Checkpoints: the whole state of a stage, so that it goes on exactly where it was stopped.
//!
//! The key decision: a checkpoint is one safetensors file, written under a temporary name and renamed, so that it
//! is there whole or not at all. It carries the loop's state and the SHA-256 of everything else in it; all
//! randomness being a pure function of seed and step, no generator has to be saved. Weights are small beside the
//! backbone, which is not in it.
//!
//! `<stage>/training/step_00000120.safetensors`:
//!
//! | Tensors | What |
//! |---|---|
//! | `model.*` | what trains |
//! | `moment_1.*`, `moment_2.*` | AdamW's moments |
//! | `best.*` | what trains, as it was after the best epoch |
//!
//! Beside them, `finished.json` says that the stage is over and its results are written. `epoch_0003.safetensors` is
//! what a training of three epochs ends with, where it was asked for: the best weights until then.

mod snapshot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use pair2score_data::files::{read_text, write_atomic};
use pair2score_scorer::{TensorFile, write_tensors};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::fit::{FitOutcome, LoopState, TrainBackend};
use crate::report::Progress;
use snapshot::{AdamWRecords, Tensors, put_moments, put_parameters, take_moments, take_parameters};

/// What to do where a run was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnfinished {
    /// Say so and stop: nothing is lost by mistake.
    Refuse,
    /// Go on where it was stopped.
    Resume,
    /// Go on where it was stopped, unless its settings or files were others: then start again.
    ResumeOrReplace,
    /// Throw it away and start again.
    Discard,
}

/// What must be equal for a run to go on: settings by key, the SHA-256 of every file read, the device.
pub type Identity = BTreeMap<String, String>;

/// The checkpoints of one stage.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    every_steps: Option<usize>,
    keep: usize,
    keep_epochs: Vec<usize>,
    identity: Identity,
}

/// What is restored from a checkpoint.
pub(crate) struct Restored<B: TrainBackend, M: AutodiffModule<B>> {
    /// As it was; the fresh one where the stage is over.
    pub(crate) model: M,
    /// After the best epoch so far.
    pub(crate) best: Option<M>,
    /// Of AdamW.
    pub(crate) records: AdamWRecords<B, M>,
    /// Of the loop.
    pub(crate) state: LoopState,
}

/// What a checkpoint holds beside its tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    state: LoopState,
    /// Updates each parameter had.
    updates: BTreeMap<String, usize>,
    identity: Identity,
}

/// What `finished.json` holds.
#[derive(Serialize, Deserialize)]
struct Finished<R> {
    identity: Identity,
    report: R,
}

const FINISHED: &str = "finished.json";
/// Begins the names of the files of epochs that are kept.
const EPOCH: &str = "epoch_";
/// Metadata keys of a checkpoint.
const HEADER: &str = "checkpoint";
const DIGEST: &str = "sha256";

impl Checkpoints {
    /// Checkpoints in `folder`: one every `every_steps` steps (`None`: only after each epoch), the newest `keep`
    /// kept, of a run with this identity.
    pub fn new(folder: PathBuf, every_steps: Option<usize>, keep: usize, identity: Identity) -> Self {
        Self { folder, every_steps, keep, keep_epochs: Vec::new(), identity }
    }

    /// Also keeps what training would give if it ended after each of these epochs.
    pub fn keeping_epochs(self, epochs: &[usize]) -> Self {
        Self { keep_epochs: epochs.to_vec(), ..self }
    }

    /// Whether a checkpoint is due after this step.
    pub(crate) fn due(&self, step: usize) -> bool {
        self.every_steps.is_some_and(|every| step.is_multiple_of(every))
    }

    /// The newest checkpoint that is whole; a damaged one is named and the one before it used.
    ///
    /// # Errors
    /// When all are damaged, or the newest is of a run with other settings or files.
    pub(crate) fn restore<B: TrainBackend, M: AutodiffModule<B>>(
        &self,
        model: &M,
        device: &B::Device,
        progress: &mut dyn Progress,
    ) -> Result<Option<Restored<B, M>>, TrainError> {
        let steps = steps(&self.folder)?;
        for (_, path) in &steps {
            let (header, tensors) = match read(path) {
                Ok(read) => read,
                Err(problem) => {
                    progress.message(&format!("{}: {problem}; using the one before", path.display()));
                    continue;
                }
            };
            self.check(&header.identity)?;
            self.check_epochs(&header.state)?;
            let fill = |prefix| put_parameters::<B, M>(model.clone(), prefix, &tensors, device);
            let restored = || -> Result<_, String> {
                let Header { state, updates, .. } = header;
                let best = state.best.is_some().then(|| fill(BEST)).transpose()?;
                if state.finished {
                    return Ok(Restored { model: model.clone(), best, records: Default::default(), state });
                }
                let model = fill(MODEL)?;
                let records = put_moments::<B, M>(&model, &updates, &tensors, device)?;
                Ok(Restored { model, best, records, state })
            };
            let restored = restored()
                .map_err(|problem| TrainError::Mismatch { path: path.clone(), problem: problem + REMEDY })?;
            return Ok(Some(restored));
        }
        match steps.is_empty() {
            true => Ok(None),
            false => Err(self.mismatch(format!("has no checkpoint that is whole{REMEDY}"))),
        }
    }

    /// Writes a checkpoint and removes those that are not to be kept. Of a stage that is over, only the best
    /// weights are kept.
    ///
    /// # Errors
    /// When it cannot be written (those before it stay), or a weight is not finite.
    pub(crate) fn save<B: TrainBackend, M: AutodiffModule<B>>(
        &self,
        model: &M,
        best: Option<&M>,
        records: AdamWRecords<B, M>,
        state: &LoopState,
    ) -> Result<(), SaveError> {
        for epoch in self.keep_epochs.iter().filter(|&&epoch| state.ends(epoch)) {
            let mut tensors = Tensors::new();
            if let Some(best) = best {
                take_parameters::<B, M>(best, BEST, &mut tensors);
            }
            self.write(&self.epoch_path(*epoch), &tensors, state, BTreeMap::new())?;
        }
        let mut tensors = Tensors::new();
        let mut updates = BTreeMap::new();
        if !state.finished {
            take_parameters::<B, M>(model, MODEL, &mut tensors);
            updates = take_moments::<B, M>(model, records, &mut tensors);
        }
        if let Some(best) = best {
            take_parameters::<B, M>(best, BEST, &mut tensors);
        }
        let path = self.folder.join(format!("step_{:08}.safetensors", state.step));
        self.write(&path, &tensors, state, updates)?;
        let keep = if state.finished { 1 } else { self.keep };
        for (_, old) in steps(&self.folder)?.into_iter().skip(keep) {
            remove(&old)?;
        }
        Ok(())
    }

    fn write(
        &self,
        path: &Path,
        tensors: &Tensors,
        state: &LoopState,
        updates: BTreeMap<String, usize>,
    ) -> Result<(), SaveError> {
        let whole = tensors.values().flat_map(|tensor| &tensor.values).all(|value| value.is_finite());
        if !whole {
            return Err(SaveError::NotFinite);
        }
        let header = Header { state: state.clone(), updates, identity: self.identity.clone() };
        let header = serde_json::to_string(&header).expect("numbers, text and maps with text keys");
        let digest = digest(&header, tensors);
        write_tensors(path, tensors, &[(HEADER, header), (DIGEST, digest)]).map_err(TrainError::from)?;
        Ok(())
    }

    /// What training would have given if it had ended after an epoch that was kept.
    ///
    /// # Errors
    /// When it is missing, damaged or of another run.
    pub(crate) fn after_epoch<B: TrainBackend, M: AutodiffModule<B>>(
        &self,
        epoch: usize,
        model: &M,
        device: &B::Device,
    ) -> Result<FitOutcome<M>, TrainError> {
        let path = self.epoch_path(epoch);
        let mismatch =
            |problem: String| TrainError::Mismatch { path: path.clone(), problem: problem + REMEDY };
        let (header, tensors) = read(&path).map_err(mismatch)?;
        self.check(&header.identity)?;
        let best = put_parameters::<B, M>(model.clone(), BEST, &tensors, device).map_err(mismatch)?;
        Ok(FitOutcome::of(best, header.state))
    }

    fn epoch_path(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("{EPOCH}{epoch:04}.safetensors"))
    }

    /// Whether what is there is of this very run, and has every epoch to be kept; also where nothing is there.
    pub(crate) fn fit_this_run(&self) -> bool {
        if self.folder.join(FINISHED).is_file() {
            let whole = self.keep_epochs.iter().all(|&epoch| self.epoch_path(epoch).is_file());
            return whole && finished_identity(&self.folder).is_some_and(|saved| self.check(&saved).is_ok());
        }
        let Ok(steps) = steps(&self.folder) else { return false };
        let newest = steps.iter().find_map(|(_, path)| read(path).ok());
        match newest {
            None => steps.is_empty(),
            Some((header, _)) => {
                self.check(&header.identity).is_ok() && self.check_epochs(&header.state).is_ok()
            }
        }
    }

    /// Says that the stage is over and its results are written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(&self, report: &impl Serialize) -> Result<(), TrainError> {
        let finished = Finished { identity: self.identity.clone(), report };
        let json = serde_json::to_vec_pretty(&finished).expect("numbers, text and maps with text keys");
        Ok(write_atomic(self.folder.join(FINISHED), &json)?)
    }

    /// The report of a stage that is over.
    ///
    /// # Errors
    /// When it is of a run with other settings or files, or cannot be read.
    pub(crate) fn finished<R: DeserializeOwned>(&self) -> Result<Option<R>, TrainError> {
        let path = self.folder.join(FINISHED);
        if !path.is_file() {
            return Ok(None);
        }
        let finished: Finished<R> = serde_json::from_str(&read_text(&path)?).map_err(|error| {
            TrainError::Mismatch { path, problem: format!("is damaged ({error}){REMEDY}") }
        })?;
        self.check(&finished.identity)?;
        Ok(Some(finished.report))
    }

    /// Every epoch to be kept that is past has to be there.
    fn check_epochs(&self, state: &LoopState) -> Result<(), TrainError> {
        let missing = |epoch: &usize| state.is_past(*epoch) && !self.epoch_path(*epoch).is_file();
        match self.keep_epochs.iter().find(|epoch| missing(epoch)) {
            None => Ok(()),
            Some(epoch) => Err(self.mismatch(format!(
                "holds a run that did not keep epoch {epoch}, which is asked for now (save_epochs){REMEDY}"
            ))),
        }
    }

    fn check(&self, saved: &Identity) -> Result<(), TrainError> {
        let keys: std::collections::BTreeSet<&String> = saved.keys().chain(self.identity.keys()).collect();
        let value = |identity: &Identity, key| identity.get(key).cloned().unwrap_or_else(|| "absent".into());
        let differences: Vec<String> = keys
            .into_iter()
            .filter(|key| saved.get(*key) != self.identity.get(*key))
            .map(|key| match key.strip_prefix(FILE) {
                Some(file) => format!("the file of {file} has changed"),
                None => format!("{key} was {} and is {}", value(saved, key), value(&self.identity, key)),
            })
            .collect();
        match differences.is_empty() {
            true => Ok(()),
            false => Err(self.mismatch(format!(
                "holds a run with other inputs: {}; undo that to go on with it, or throw it away with --restart",
                differences.join(", ")
            ))),
        }
    }

    fn mismatch(&self, problem: String) -> TrainError {
        TrainError::Mismatch { path: self.folder.clone(), problem }
    }
}

/// Why a checkpoint was not written.
pub(crate) enum SaveError {
    /// A weight or a moment is not a finite number.
    NotFinite,
    /// It could not be written.
    Write(TrainError),
}

impl From<TrainError> for SaveError {
    fn from(error: TrainError) -> Self {
        Self::Write(error)
    }
}

const MODEL: &str = "model";
const BEST: &str = "best";
/// Prefix of an [`Identity`] key that names a file.
pub(crate) const FILE: &str = "file ";
const REMEDY: &str = "; start over with --restart";

/// What the stage of a folder that is over depended on, if it is over.
pub(crate) fn finished_identity(folder: &Path) -> Option<Identity> {
    let text = read_text(folder.join(FINISHED)).ok()?;
    serde_json::from_str::<Finished<IgnoredAny>>(&text).ok().map(|finished| finished.identity)
}

/// Makes the folder of a stage's checkpoints ready, before anything slow is done.
///
/// # Errors
/// When an unfinished run is there and is neither to be resumed nor discarded, or the folder cannot be changed.
pub(crate) fn prepare(folder: &Path, unfinished: OnUnfinished) -> Result<(), TrainError> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What a kill inside a write leaves behind.
        if name.starts_with('.') && name.contains(".tmp-") {
            remove(&path)?;
        }
    }
    if matches!(unfinished, OnUnfinished::Resume | OnUnfinished::ResumeOrReplace) {
        return Ok(());
    }
    let steps = steps(folder)?;
    let finished = folder.join(FINISHED);
    if let (OnUnfinished::Refuse, false, Some((step, _))) = (unfinished, finished.is_file(), steps.first()) {
        let problem = format!(
            "holds a run that was stopped after step {step}; add --resume to go on with it, or --restart to throw it \
             away"
        );
        return Err(TrainError::Mismatch { path: folder.into(), problem });
    }
    // The mark goes first: a kill in between must not leave the mark of a run whose weights are gone.
    if finished.is_file() {
        remove(&finished)?;
    }
    let is_epoch = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(EPOCH));
    let epochs = entries(folder)?.into_iter().filter(is_epoch);
    for path in steps.into_iter().map(|(_, path)| path).chain(epochs) {
        remove(&path)?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    match list() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| TrainError::Mismatch {
            path: folder.into(),
            problem: format!("cannot be listed ({error}); check its permissions"),
        }),
    }
}

/// Checkpoints by step, the newest first.
fn steps(folder: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let step = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let step = name.strip_prefix("step_")?.strip_suffix(".safetensors")?.parse().ok()?;
        Some((step, path))
    };
    let mut steps: Vec<(usize, PathBuf)> = entries(folder)?.into_iter().filter_map(step).collect();
    steps.sort_by(|a, b| b.cmp(a));
    Ok(steps)
}

fn remove(path: &Path) -> Result<(), TrainError> {
    fs::remove_file(path).map_err(|error| TrainError::Mismatch {
        path: path.into(),
        problem: format!("cannot be removed ({error}); check the permissions of its folder"),
    })
}

fn read(path: &Path) -> Result<(Header, Tensors), String> {
    let damaged = |what: &str| format!("is damaged ({what})");
    let file = TensorFile::open(path).map_err(|error| damaged(&error.to_string()))?;
    let metadata = |key| file.metadata(key).ok_or_else(|| damaged("no state in its header"));
    let (header, expected) = (metadata(HEADER)?, metadata(DIGEST)?);
    let mut tensors = Tensors::new();
    for name in file.names() {
        let tensor = file.stored(name).map_err(|error| damaged(&error.to_string()))?;
        tensors.insert(name.to_owned(), tensor);
    }
    if digest(header, &tensors) != expected {
        return Err(damaged("its hash is wrong"));
    }
    let header = serde_json::from_str(header).map_err(|error| damaged(&error.to_string()))?;
    Ok((header, tensors))
}

/// SHA-256 of all a checkpoint holds, in hexadecimal.
fn digest(header: &str, tensors: &Tensors) -> String {
    let mut hash = Sha256::new();
    hash.update(header);
    for (name, tensor) in tensors {
        hash.update(name);
        hash.update(format!("{:?}", tensor.shape));
        for chunk in tensor.values.chunks(4096) {
            hash.update(chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
    }
    format!("{:x}", hash.finalize())
}
