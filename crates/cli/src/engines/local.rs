//! Processes on this machine: as many tasks at once as asked for, each when what it waits for is done.
//!
//! The key decision: a task reads its standard input, a pipe that nothing is written to, and saves and stops when that
//! ends. So no task outlives this program, however it ends: the operating system closes the pipes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pair2score_train::sweep::Task;

use super::Work;
use crate::progress::duration;
use crate::signals::STOP;

/// How often the processes are looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Runs everything that is left. A task that fails keeps those from starting that wait for it, and no others.
///
/// # Errors
/// When a task failed or a stop was asked for, after the processes have ended.
pub(crate) fn run(work: &Work<'_>) -> Result<()> {
    let tasks = &work.graph.tasks;
    let jobs = work.jobs.unwrap_or(1) as usize;
    let mut waiting = work.left();
    let mut done = work.done.clone();
    let mut tally = Tally::new(waiting.len());
    let mut running = Running::default();
    loop {
        let stopping = STOP.requested();
        if stopping {
            running.ask_to_stop();
        }
        let startable = |&task: &usize| tasks[task].after.is_none_or(|after| done[after]);
        while running.0.len() < jobs && !stopping {
            let Some(place) = waiting.iter().position(startable) else { break };
            let task = waiting.remove(place);
            running.0.insert(task, (start(work, &tasks[task], jobs)?, Instant::now()));
        }
        if running.0.is_empty() {
            return tally.result(work, waiting.len(), stopping);
        }
        for (task, status, time) in running.take_ended()? {
            done[task] = status.success();
            tally.add(work, &tasks[task], status, time);
        }
        sleep(INTERVAL);
    }
}

/// The processes of tasks, by task. They are asked to stop and waited for when this is dropped.
#[derive(Default)]
struct Running(BTreeMap<usize, (Child, Instant)>);

impl Running {
    /// Ends the standard input of every process, which saves and ends then.
    fn ask_to_stop(&mut self) {
        for (child, _) in self.0.values_mut() {
            drop(child.stdin.take());
        }
    }

    /// Takes out those that have ended, with the time that each took.
    fn take_ended(&mut self) -> Result<Vec<(usize, ExitStatus, Duration)>> {
        let mut ended = Vec::new();
        for (&task, (child, since)) in &mut self.0 {
            if let Some(status) = child.try_wait().context("cannot wait for a task")? {
                ended.push((task, status, since.elapsed()));
            }
        }
        for (task, ..) in &ended {
            self.0.remove(task);
        }
        Ok(ended)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_stop();
        for (child, _) in self.0.values_mut() {
            // An error is on its way to the user already, and this one is about a process that is gone.
            let _ = child.wait();
        }
    }
}

/// What became of the tasks so far.
struct Tally {
    total: usize,
    finished: usize,
    failed: usize,
    started: Instant,
}

impl Tally {
    fn new(total: usize) -> Self {
        Self { total, finished: 0, failed: 0, started: Instant::now() }
    }

    /// Counts a task that has ended, and says so.
    fn add(&mut self, work: &Work<'_>, task: &Task, status: ExitStatus, time: Duration) {
        let Self { total, started, .. } = *self;
        if status.success() {
            self.finished += 1;
            let finished = self.finished;
            let left = started.elapsed().as_secs_f64() / finished as f64 * (total - finished) as f64;
            let (time, left) = (time.as_secs_f64(), duration(left));
            errln!("[{finished}/{total}] {}: {time:.0} s; about {left} left", task.id);
        } else {
            self.failed += 1;
            let log = work.log_of(task);
            let reason = last_line(&log);
            errln!("[{}/{total}] {}: failed: {reason} ({})", self.finished, task.id, log.display());
        }
    }

    /// What the sweep as a whole came to; `waiting` tasks were not started.
    fn result(&self, work: &Work<'_>, waiting: usize, stopping: bool) -> Result<()> {
        let Self { total, finished, failed, .. } = self;
        if stopping {
            bail!("stopped with {finished} of {total} tasks done; the same command goes on");
        }
        if *failed > 0 {
            bail!(
                "{failed} tasks failed, {waiting} were not started for want of them, {finished} are done; see the logs \
                 in {}, then give the same command again: it does what is missing",
                work.logs.display()
            );
        }
        Ok(())
    }
}

/// Starts a task in a process group of its own, so that Ctrl-C reaches this program first.
fn start(work: &Work<'_>, task: &Task, jobs: usize) -> Result<Child> {
    let log = work.log_of(task);
    std::fs::create_dir_all(&work.logs).with_context(|| format!("cannot make {}", work.logs.display()))?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(&work.program);
    command.args(work.arguments_of(task)).arg("--stop-with-input");
    command.stdin(Stdio::piped()).stdout(file).stderr(errors);
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.env("RAYON_NUM_THREADS", (cores / jobs).max(1).to_string());
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("cannot start {}", work.program.display()))
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| "without a word".into(), |line| line.trim_start_matches("error: ").to_owned())
}
