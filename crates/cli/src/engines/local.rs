//! Processes on this machine: as many tasks at once as asked for, each when what it waits for is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pair2score_train::sweep::Task;

use super::Work;
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
    let (mut waiting, total) = (work.left(), work.left().len());
    let mut done = work.done.clone();
    let mut running: BTreeMap<usize, (Child, Instant)> = BTreeMap::new();
    let mut failed: Vec<usize> = Vec::new();
    let (started, mut stopping) = (Instant::now(), false);
    let mut finished = 0;
    loop {
        if STOP.requested() && !stopping {
            stopping = true;
            running.values_mut().for_each(|(child, _)| stop(child));
        }
        let startable = |&task: &usize| tasks[task].after.is_none_or(|after| done[after]);
        while running.len() < jobs && !stopping {
            let Some(place) = waiting.iter().position(startable) else { break };
            let task = waiting.remove(place);
            running.insert(task, (start(work, &tasks[task], jobs)?, Instant::now()));
        }
        if running.is_empty() {
            break;
        }
        let mut ended = Vec::new();
        for (&task, (child, since)) in &mut running {
            if let Some(status) = child.try_wait().context("cannot wait for a task")? {
                ended.push((task, status, since.elapsed()));
            }
        }
        for (task, status, seconds) in ended {
            running.remove(&task);
            let id = &tasks[task].id;
            if status.success() {
                done[task] = true;
                finished += 1;
                let left = started.elapsed().as_secs_f64() / finished as f64 * (total - finished) as f64;
                errln!(
                    "[{finished}/{total}] {id}: {:.0} s; about {} left",
                    seconds.as_secs_f64(),
                    duration(left)
                );
            } else {
                failed.push(task);
                let log = work.log_of(&tasks[task]);
                errln!("[{finished}/{total}] {id}: failed: {} ({})", last_line(&log), log.display());
            }
        }
        sleep(INTERVAL);
    }
    if stopping {
        bail!("stopped with {finished} of {total} tasks done; the same command goes on");
    }
    if !failed.is_empty() {
        bail!(
            "{} tasks failed, {} were not started for want of them, {finished} are done; see the logs in {}, then give \
             the same command again: it does what is missing",
            failed.len(),
            waiting.len(),
            work.logs.display()
        );
    }
    Ok(())
}

/// Starts a task in a process group of its own, so that Ctrl-C reaches this program first.
fn start(work: &Work<'_>, task: &Task, jobs: usize) -> Result<Child> {
    let log = work.log_of(task);
    std::fs::create_dir_all(&work.logs).with_context(|| format!("cannot make {}", work.logs.display()))?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(&work.program);
    command.args(work.arguments_of(task)).stdin(Stdio::null()).stdout(file).stderr(errors);
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.env("RAYON_NUM_THREADS", (cores / jobs).max(1).to_string());
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("cannot start {}", work.program.display()))
}

/// Asks a process to save and end; where that is not possible, ends it: it goes on from its last checkpoint.
fn stop(child: &mut Child) {
    let asked = cfg!(unix)
        && Command::new("kill").args(["-TERM", &child.id().to_string()]).status().is_ok_and(|s| s.success());
    if !asked {
        // It may have ended by itself.
        let _ = child.kill();
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| "without a word".into(), |line| line.trim_start_matches("error: ").to_owned())
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
