//! What runs the tasks of a sweep: processes here, or the engine of a cluster, whose scripts are written from the same
//! graph. Every task is one command that may be given any number of times; which tasks come after which is all that an
//! engine has to know.

pub(crate) mod hyperqueue;
pub(crate) mod kubernetes;
pub(crate) mod local;
pub(crate) mod slurm;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pair2score_data::files::write_atomic;
use pair2score_train::sweep::{Graph, Task};

/// What is left of a sweep, and how its tasks are started.
pub(crate) struct Work<'a> {
    pub(crate) graph: &'a Graph,
    /// By task.
    pub(crate) done: Vec<bool>,
    /// This program.
    pub(crate) program: PathBuf,
    /// Its arguments, up to the task.
    pub(crate) arguments: Vec<String>,
    /// Folder that relative paths start at.
    pub(crate) directory: PathBuf,
    /// Folder of the logs of tasks and of scripts.
    pub(crate) logs: PathBuf,
    /// Tasks at the same time.
    pub(crate) jobs: Option<u32>,
}

/// Name of the script that hands the tasks to an engine.
pub(crate) const SUBMIT: &str = "submit.sh";

/// A file to write: its name and its text.
pub(crate) type Script = (String, String);

impl Work<'_> {
    /// Positions of the tasks that are not done.
    pub(crate) fn left(&self) -> Vec<usize> {
        (0..self.done.len()).filter(|&task| !self.done[task]).collect()
    }

    /// Positions of those that wait for nothing.
    pub(crate) fn ready(&self) -> Vec<usize> {
        let ready = |&task: &usize| self.graph.tasks[task].after.is_none_or(|after| self.done[after]);
        self.left().into_iter().filter(ready).collect()
    }

    /// Those that wait for one of the ready ones, as pairs of the position in [`ready`](Self::ready) and the task; in
    /// one wave, each ready task is waited for at most once.
    pub(crate) fn waves(&self) -> Vec<Vec<(usize, usize)>> {
        let ready = self.ready();
        let mut waves: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut waiting = vec![0; ready.len()];
        for task in self.left() {
            let after = self.graph.tasks[task].after.filter(|&after| !self.done[after]);
            let place = after.and_then(|after| ready.iter().position(|&task| task == after));
            let Some(place) = place else { continue };
            if waves.len() == waiting[place] {
                waves.push(Vec::new());
            }
            waves[waiting[place]].push((place, task));
            waiting[place] += 1;
        }
        waves
    }

    /// The arguments of a task's command.
    pub(crate) fn arguments_of(&self, task: &Task) -> Vec<String> {
        let end = ["--task".to_owned(), task.id.clone()];
        self.arguments.iter().cloned().chain(end).collect()
    }

    /// Where a task says what it does.
    pub(crate) fn log_of(&self, task: &Task) -> PathBuf {
        self.logs.join(format!("{}.log", task.id))
    }

    /// A name of letters, digits and `_` for the whole sweep: the folder of its logs.
    pub(crate) fn name(&self) -> String {
        let folder = self.directory.join(&self.logs);
        let folder = folder.parent().unwrap_or(&folder).to_string_lossy().into_owned();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        format!("pair2score{}", folder.chars().map(plain).collect::<String>())
    }
}

/// Writes scripts into a folder.
pub(crate) fn write(folder: &Path, scripts: &[Script]) -> Result<()> {
    for (name, text) in scripts {
        write_atomic(folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Runs a script that hands the tasks to an engine.
pub(crate) fn submit(script: &Path, wait: bool) -> Result<()> {
    let mut bash = std::process::Command::new("bash");
    bash.arg(script).env("WAIT", if wait { "1" } else { "" });
    let status = bash.status().with_context(|| format!("cannot run bash {}", script.display()))?;
    if !status.success() {
        bail!("{}: failed ({status}); its messages are above", script.display());
    }
    Ok(())
}
