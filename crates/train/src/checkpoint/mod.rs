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

mod file;
mod finished;
mod folder;
mod identity;
mod snapshot;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::AutodiffModule;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::report::Progress;
use crate::state::{FitOutcome, LoopState};
use file::Header;
use snapshot::{Tensors, put_moments, put_parameters, take_moments, take_parameters};

pub(crate) use file::SaveError;
pub(crate) use finished::finished_identity;
pub use folder::OnUnfinished;
pub(crate) use folder::{check_stopped, clear, remove_temporary};
pub use identity::Identity;
pub(crate) use snapshot::AdamWRecords;

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
    /// The model that trains; the fresh one where the stage is over.
    pub(crate) model: M,
    /// The model after the best epoch so far.
    pub(crate) best: Option<M>,
    /// The state of AdamW.
    pub(crate) records: AdamWRecords<B, M>,
    /// The state of the loop.
    pub(crate) state: LoopState,
}

/// Prefixes of the names of tensors.
const MODEL: &str = "model";
const BEST: &str = "best";
const REMEDY: &str = "; start over with --restart";

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

    /// Says that the stage has begun, so that a run which is stopped before its first checkpoint is known too.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn begin(&self) -> Result<(), TrainError> {
        folder::begin(&self.folder)
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
        let steps = folder::steps(&self.folder)?;
        for (_, path) in &steps {
            let (header, tensors) = match file::read(path) {
                Ok(read) => read,
                Err(problem) => {
                    progress.message(&format!("{}: {problem}; using the one before", path.display()));
                    continue;
                }
            };
            self.check(&header.identity)?;
            self.check_epochs(&header.state)?;
            let restored = restored(header, &tensors, model, device)
                .map_err(|problem| TrainError::Mismatch { path: path.clone(), problem: problem + REMEDY })?;
            return Ok(Some(restored));
        }
        match steps.is_empty() {
            true => Ok(None),
            false => Err(self.mismatch(format!("has no checkpoint that is whole{REMEDY}"))),
        }
    }

    /// Writes a checkpoint and removes those that are not to be kept. Where training is over, only the best weights
    /// are in it.
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
        let header = |updates| Header { state: state.clone(), updates, identity: self.identity.clone() };
        let mut tensors = Tensors::new();
        if let Some(best) = best {
            take_parameters::<B, M>(best, BEST, &mut tensors);
        }
        for &epoch in self.keep_epochs.iter().filter(|&&epoch| state.would_end_after(epoch)) {
            file::write(&folder::epoch_path(&self.folder, epoch), &header(BTreeMap::new()), &tensors)?;
        }
        let mut updates = BTreeMap::new();
        if !state.finished {
            take_parameters::<B, M>(model, MODEL, &mut tensors);
            updates = take_moments::<B, M>(model, records, &mut tensors);
        }
        file::write(&folder::step_path(&self.folder, state.step), &header(updates), &tensors)?;
        Ok(folder::keep_newest(&self.folder, self.keep)?)
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
        let path = folder::epoch_path(&self.folder, epoch);
        let mismatch =
            |problem: String| TrainError::Mismatch { path: path.clone(), problem: problem + REMEDY };
        let (header, tensors) = file::read(&path).map_err(mismatch)?;
        self.check(&header.identity)?;
        let best = put_parameters::<B, M>(model.clone(), BEST, &tensors, device).map_err(mismatch)?;
        Ok(FitOutcome::new(best, header.state))
    }

    /// Whether a run may go on from this folder: it is empty, or its files are of this very run and include every epoch
    /// to be kept.
    pub(crate) fn fit_this_run(&self) -> bool {
        if finished::path(&self.folder).is_file() {
            let kept = |&epoch: &usize| folder::epoch_path(&self.folder, epoch).is_file();
            return self.keep_epochs.iter().all(kept)
                && finished_identity(&self.folder).is_some_and(|saved| self.check(&saved).is_ok());
        }
        let Ok(steps) = folder::steps(&self.folder) else { return false };
        let newest = steps.iter().find_map(|(_, path)| file::read(path).ok());
        match newest {
            None => steps.is_empty(),
            Some((header, _)) => {
                self.check(&header.identity).is_ok() && self.check_epochs(&header.state).is_ok()
            }
        }
    }

    /// Says that the stage is over and its results are written. Nothing goes on from its checkpoints but the last, so
    /// the others are removed, before the mark: after a kill in between, this is done again.
    ///
    /// # Errors
    /// When a checkpoint cannot be removed or the file cannot be written.
    pub(crate) fn finish(&self, report: &impl Serialize) -> Result<(), TrainError> {
        folder::keep_newest(&self.folder, 1)?;
        finished::write(&self.folder, &self.identity, report)
    }

    /// The report of a stage that is over.
    ///
    /// # Errors
    /// When it is of a run with other settings or files, or cannot be read.
    pub(crate) fn finished<R: DeserializeOwned>(&self) -> Result<Option<R>, TrainError> {
        let Some(finished) = finished::read::<R>(&self.folder)? else { return Ok(None) };
        self.check(&finished.identity)?;
        Ok(Some(finished.report))
    }

    /// Every epoch to be kept that is past has to be there.
    fn check_epochs(&self, state: &LoopState) -> Result<(), TrainError> {
        let missing =
            |&&epoch: &&usize| state.has_passed(epoch) && !folder::epoch_path(&self.folder, epoch).is_file();
        match self.keep_epochs.iter().find(missing) {
            None => Ok(()),
            Some(epoch) => Err(self.mismatch(format!(
                "holds a run that did not keep epoch {epoch}, which is asked for now (save_epochs){REMEDY}"
            ))),
        }
    }

    fn check(&self, saved: &Identity) -> Result<(), TrainError> {
        let differences = self.identity.differences(saved);
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

/// The training that a checkpoint holds, with the ids of `model`'s parameters.
fn restored<B: TrainBackend, M: AutodiffModule<B>>(
    header: Header,
    tensors: &Tensors,
    model: &M,
    device: &B::Device,
) -> Result<Restored<B, M>, String> {
    let fill = |prefix| put_parameters::<B, M>(model.clone(), prefix, tensors, device);
    let Header { state, updates, .. } = header;
    let best = state.best.is_some().then(|| fill(BEST)).transpose()?;
    if state.finished {
        return Ok(Restored { model: model.clone(), best, records: AdamWRecords::<B, M>::default(), state });
    }
    let model = fill(MODEL)?;
    let records = put_moments::<B, M>(&model, &updates, tensors, device)?;
    Ok(Restored { model, best, records, state })
}
