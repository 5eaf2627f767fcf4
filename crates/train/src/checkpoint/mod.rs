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
//! Beside them, `finished.json` says that the stage is over and its results are written.

mod snapshot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use pair2score_data::files::{read_text, write_atomic};
use pair2score_scorer::{TensorFile, write_tensors};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::fit::{LoopState, TrainBackend};
use crate::report::Progress;
use snapshot::{AdamWRecords, Tensors, put_moments, put_parameters, take_moments, take_parameters};

/// What to do where a run was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnfinished {
    /// Say so and stop: nothing is lost by mistake.
    Refuse,
    /// Go on where it was stopped.
    Resume,
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
/// Metadata keys of a checkpoint.
const HEADER: &str = "checkpoint";
const DIGEST: &str = "sha256";

impl Checkpoints {
    /// Checkpoints in `folder`: one every `every_steps` steps (`None`: only after each epoch), the newest `keep`
    /// kept, of a run with this identity.
    pub fn new(folder: PathBuf, every_steps: Option<usize>, keep: usize, identity: Identity) -> Self {
        Self { folder, every_steps, keep, identity }
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
        let mut tensors = Tensors::new();
        let mut updates = BTreeMap::new();
        if !state.finished {
            take_parameters::<B, M>(model, MODEL, &mut tensors);
            updates = take_moments::<B, M>(model, records, &mut tensors);
        }
        if let Some(best) = best {
            take_parameters::<B, M>(best, BEST, &mut tensors);
        }
        let whole = tensors.values().flat_map(|tensor| &tensor.values).all(|value| value.is_finite());
        if !whole {
            return Err(SaveError::NotFinite);
        }
        let header = Header { state: state.clone(), updates, identity: self.identity.clone() };
        let header = serde_json::to_string(&header).expect("numbers, text and maps with text keys");
        let digest = digest(&header, &tensors);
        let path = self.folder.join(format!("step_{:08}.safetensors", state.step));
        write_tensors(&path, &tensors, &[(HEADER, header), (DIGEST, digest)]).map_err(TrainError::from)?;
        let keep = if state.finished { 1 } else { self.keep };
        for (_, old) in steps(&self.folder)?.into_iter().skip(keep) {
            remove(&old)?;
        }
        Ok(())
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
    if unfinished == OnUnfinished::Resume {
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
    for (_, path) in steps {
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
