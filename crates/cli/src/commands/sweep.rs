//! `sweep`: traits × settings × folds, their table, and the scripts that run them elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pair2score_data::files::read_text;
use pair2score_train::config::Settings;
use pair2score_train::run::FileHashes;
use pair2score_train::sweep::{self, Graph, SweepPlan, Table, Workload};
use pair2score_train::{OnUnfinished, TrainBackend};

use super::run::Training;
use crate::Answer;
use crate::args::{Engine, SweepArgs};
use crate::backbones;
use crate::device::{Device, OnDevice};
use crate::engines::{self, Work, hyperqueue, kubernetes, local, slurm};
use crate::program;
use crate::progress::{Terminal, duration};
use crate::signals;

/// Runs what is missing of a sweep, or has an engine do it, and prints the table.
pub(crate) fn run(args: SweepArgs) -> Result<Answer> {
    let plan = SweepPlan::load(&args.plan)?;
    let sets = args.cache.sets(&args.sets);
    let mut graph = plan.graph(&read_text(&plan.base)?, &sets)?;
    for task in &mut graph.tasks {
        backbones::fetch(&mut task.settings, &mut Terminal::quiet())?;
    }
    graph.check_pairs()?;
    if let Some(id) = &args.task {
        return task(&args, &graph, id);
    }
    let work = work(&args, &plan, &graph)?;
    if args.dry_run {
        return dry_run(&args, &plan, &work);
    }
    if let Some(folder) = &args.emit {
        return emit(&work, args.engine, folder);
    }
    let left = work.left().len();
    if left > 0 {
        errln!("{left} of {} tasks to do", graph.tasks.len());
        let ran = start(&args, &work);
        // What is done is worth a table, whatever happened to the rest.
        table(&plan, &graph)?;
        ran?;
    } else {
        table(&plan, &graph)?;
    }
    Ok(Answer::Yes)
}

/// One task: the cache of pairs where it is missing, and the stage.
fn task(args: &SweepArgs, graph: &Graph, id: &str) -> Result<Answer> {
    let Some(task) = graph.get(id) else {
        bail!("{}: has no task {id:?}; --dry-run lists them", args.plan.display());
    };
    if task.is_done(&mut FileHashes::default()) {
        outln!("{id}: is done");
        return Ok(Answer::Yes);
    }
    signals::watch()?;
    if args.stop_with_input {
        signals::watch_input();
    }
    task.make_pairs()?;
    let device = Device::choose(args.device.device, Some(&task.settings))?;
    let training = Training {
        settings: &task.settings,
        stages: task.stages(),
        unfinished: OnUnfinished::ResumeOrReplace,
        others: device.others(args.device.device, &task.settings)?,
        stop: &signals::STOP,
        progress: &mut Terminal::new(),
    };
    device.run(training).map_err(|error| signals::explain(error, "the same command goes on"))?;
    Ok(Answer::Yes)
}

fn work<'a>(args: &SweepArgs, plan: &SweepPlan, graph: &'a Graph) -> Result<Work<'a>> {
    let mut arguments = vec!["sweep".to_owned(), text(&args.plan)];
    arguments.extend(args.cache.sets(&args.sets).iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    arguments
        .extend(args.device.device.iter().flat_map(|device| ["--device".to_owned(), device.to_string()]));
    Ok(Work {
        graph,
        done: graph.done(),
        program: program::file()?,
        arguments,
        directory: std::env::current_dir().context("cannot tell the working directory")?,
        logs: plan.logs(),
        jobs: args.jobs,
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn start(args: &SweepArgs, work: &Work<'_>) -> Result<()> {
    let folder = |name| work.logs.join(name);
    let (folder, scripts) = match args.engine.unwrap_or(Engine::Local) {
        Engine::Local => {
            signals::watch()?;
            return local::run(work);
        }
        Engine::Slurm => (folder("slurm"), slurm::scripts(work)),
        Engine::Hyperqueue => (folder("hyperqueue"), hyperqueue::scripts(work)),
        Engine::Kubernetes => {
            bail!(
                "a Kubernetes job needs an image and a volume of yours: write its files with --emit DIR and edit them"
            )
        }
    };
    engines::write(&folder, &scripts)?;
    engines::submit(&folder.join(engines::SUBMIT), args.wait)
}

fn emit(work: &Work<'_>, engine: Option<Engine>, folder: &Path) -> Result<Answer> {
    type Scripts = fn(&Work<'_>) -> Vec<engines::Script>;
    let all: [(Engine, &str, Scripts); 3] = [
        (Engine::Slurm, "slurm", slurm::scripts),
        (Engine::Hyperqueue, "hyperqueue", hyperqueue::scripts),
        (Engine::Kubernetes, "kubernetes", kubernetes::scripts),
    ];
    if engine == Some(Engine::Local) {
        bail!(
            "the local engine has no scripts; give --engine slurm, hyperqueue or kubernetes, or none for all three"
        );
    }
    for (kind, name, scripts) in all {
        if engine.is_some_and(|engine| engine != kind) {
            continue;
        }
        // With one engine, the folder is its own.
        let folder: PathBuf = if engine.is_some() { folder.into() } else { folder.join(name) };
        engines::write(&folder, &scripts(work))?;
        outln!("wrote {}", folder.join(engines::SUBMIT).display());
    }
    Ok(Answer::Yes)
}

fn table(plan: &SweepPlan, graph: &Graph) -> Result<()> {
    let table = Table::read(plan, graph);
    table.write(&plan.output_dir)?;
    out!("{table}");
    outln!("{}, mean ± standard deviation over the folds; more in {}", table.shown(), text(&plan.output_dir));
    Ok(())
}

fn dry_run(args: &SweepArgs, plan: &SweepPlan, work: &Work<'_>) -> Result<Answer> {
    let tasks = &work.graph.tasks;
    let stage1 = tasks.iter().filter(|task| task.cell.is_none()).count();
    outln!(
        "{} {} x {} settings x {} folds: {} runs",
        plan.scorers().len(),
        if plan.one_scorer { "scorer of all traits" } else { "traits" },
        plan.settings.len(),
        plan.folds.len(),
        plan.n_runs()
    );
    outln!("stage 1: {} trainings, shared as {stage1}", work.graph.unshared);
    outln!();
    for (task, done) in tasks.iter().zip(&work.done) {
        let state = if *done { "done" } else { "to do" };
        let after = task.after.map_or(String::new(), |after| format!("  after {}", tasks[after].id));
        outln!("{state:<6} {}{after}", task.id);
    }
    outln!("\n{} of {} tasks to do", work.left().len(), tasks.len());
    // A plan may be looked at before its data are there.
    if let Err(error) = estimate(args, work) {
        outln!("no estimate: {error:#}");
    }
    Ok(Answer::Yes)
}

fn estimate(args: &SweepArgs, work: &Work<'_>) -> Result<()> {
    let load = Workload::new(work.graph)?;
    outln!(
        "at most {:.3e} tokens to read, should no stage stop early; one that is trained on counts as three",
        load.tokens_left()
    );
    let (guess, source) = match (load.is_measured(), work.graph.tasks.first()) {
        (false, Some(task)) => {
            let device = Device::choose(args.device.device, Some(&task.settings))?;
            (device.run(Probe(&task.settings))?, "guessed from a forward pass")
        }
        _ => (0.0, "by the tasks that are done"),
    };
    let (seconds, jobs) = (load.seconds_left(guess), work.jobs.unwrap_or(1));
    outln!("about {} on this device, {source}; {jobs} at a time", duration(seconds / f64::from(jobs)));
    Ok(())
}

/// Seconds that reading a token takes.
struct Probe<'a>(&'a Settings);

impl OnDevice for Probe<'_> {
    type Output = f64;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<f64> {
        Ok(sweep::probe::<B::InnerBackend>(self.0, device)?)
    }
}
