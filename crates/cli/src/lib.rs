//! The `pair2score` command.
//!
//! It chooses a device, prints, and ends with a code: 0 done, 1 the answer is negative, 2 error. Everything else is in
//! the crates below. One subcommand, one file under `commands`.
//!
//! The key decision: it is a library, and the binary only calls [`main`], because the Python package carries the same
//! command. So it may ask neither where it lies nor how it was called; it is told ([`Invocation`]).

#[macro_use]
mod console;

mod args;
mod backbones;
mod collect;
mod commands;
mod destination;
mod device;
mod engines;
mod http;
mod known;
mod memory;
mod page;
mod program;
mod progress;
mod prompts;
mod scoring;
mod service;
mod shell;
mod signals;
mod site;
mod spreadsheet;
mod token;

use clap::Parser;

pub use backbones::fetch as fetch_backbone;
pub use commands::run::Training;
pub use device::{Device, DeviceChoice, OnDevice};
pub use program::Invocation;

use args::{Args, BackboneCommand, Command, JudgementsCommand, PairsCommand};

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Done.
    Yes,
    /// Done, and what was asked does not hold.
    No,
}

/// Runs a command and gives its exit code.
pub fn main(invocation: Invocation) -> u8 {
    memory::keep_freed_memory();
    let parsed = Args::try_parse_from(&invocation.arguments);
    program::remember(invocation);
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, everything else is a mistake on the command line.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    // Where a program calls this a second time, its messages go where they went before.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        // A person reads it: when it was said, and by which module, tells them nothing.
        .without_time()
        .with_target(false)
        .try_init();
    let answer = run(args.command);
    // Whatever the answer is: who called this may end without flushing.
    let printed = console::finish();
    match answer.and_then(|answer| printed.map(|()| answer)) {
        Ok(Answer::Yes) => 0,
        Ok(Answer::No) => 1,
        Err(error) => {
            // One line, with the whole chain of causes. It quotes files, whose control characters the terminal would
            // obey.
            errln!("error: {}", format!("{error:#}").replace(char::is_control, " "));
            2
        }
    }
}

fn run(command: Command) -> anyhow::Result<Answer> {
    use pair2score_train::run::Stages;
    match command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Run(args) => commands::run::run(args, Stages::Both),
        Command::Relative(args) => commands::run::run(args, Stages::Relative),
        Command::Absolute(args) => commands::run::run(args, Stages::Absolute),
        Command::Sweep(args) => commands::sweep::run(args),
        Command::Folds(args) => commands::folds::run(args),
        Command::Pairs(PairsCommand::Generate(args)) => commands::pairs::generate(*args),
        Command::Pairs(PairsCommand::Import(args)) => commands::pairs::import(&args),
        Command::Pairs(PairsCommand::Stats(args)) => commands::pairs::stats(args),
        Command::Pairs(PairsCommand::Propose(args)) => commands::propose::run(*args),
        Command::Judgements(JudgementsCommand::Import(args)) => commands::judgements::import(args),
        Command::Judgements(JudgementsCommand::Fit(args)) => commands::judgements::fit(*args),
        Command::Judgements(JudgementsCommand::Stats(args)) => commands::judgements::stats(args),
        Command::Judgements(JudgementsCommand::Scorer(args)) => commands::infer::scorer(*args),
        Command::Judgements(JudgementsCommand::Export(args)) => {
            collect::export(&args.collection, &args.output, args.flags.as_deref())
        }
        Command::Backbone(BackboneCommand::Import(args)) => commands::backbone::run(args),
        Command::Embed(args) => commands::embed::run(args),
        Command::Score(args) => commands::score::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Serve(args) => commands::serve::run(*args),
        Command::Pretrain(args) => commands::pretrain::run(args),
        Command::Devices => commands::devices::run(),
    }
}
