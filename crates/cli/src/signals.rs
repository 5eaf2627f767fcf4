//! Ctrl-C and termination: a run saves its state and says how to go on; a server answers what it was asked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use pair2score_train::{Stop, TrainError};
use tokio::sync::Notify;

use crate::{program, shell};

/// Asked by a signal, looked at by the training loop.
pub(crate) static STOP: Stop = Stop::new();

/// From now on a signal asks the run to stop; a second one ends the program at once.
pub(crate) fn watch() -> Result<()> {
    on_signal(|| {
        if STOP.requested() {
            // What was saved at the last checkpoint stays.
            std::process::exit(2);
        }
        // First, so that the last line is what the run says once it has stopped.
        errln!("stopping after this step and saving; once more stops at once");
        STOP.request();
    })
}

/// From now on the end of standard input asks the run to stop: whoever started it has ended, or wants it to.
pub(crate) fn watch_input() {
    std::thread::spawn(|| {
        // Nothing is ever written there, and an error is an end too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        errln!("stopping after this step and saving, as standard input has ended");
        STOP.request();
    });
}

/// Ends with the first signal; a second one ends the program at once.
pub(crate) fn first() -> Result<impl Future<Output = ()> + Send + 'static> {
    let told = Arc::new(Notify::new());
    let (seen, teller) = (Arc::new(AtomicBool::new(false)), Arc::clone(&told));
    on_signal(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(2);
        }
        teller.notify_one();
    })?;
    Ok(async move { told.notified().await })
}

/// Calls `seen` for every SIGINT, SIGTERM and SIGHUP, and for SIGUSR1, by which batch systems announce the end of the
/// time they gave; elsewhere than on Unix for every Ctrl-C.
fn on_signal(seen: impl Fn() + Clone + Send + 'static) -> Result<()> {
    #[cfg(unix)]
    {
        let seen = seen.clone();
        let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1])
            .context("cannot watch for SIGUSR1")?;
        std::thread::spawn(move || signals.forever().for_each(|_| seen()));
    }
    ctrlc::set_handler(seen).context("cannot watch for Ctrl-C")
}

/// Adds how to go on to the error of a run that was stopped.
pub(crate) fn explain(error: anyhow::Error, how: &str) -> anyhow::Error {
    match error.downcast_ref::<TrainError>() {
        Some(
            TrainError::Interrupted { saved: true, .. } | TrainError::StoppedEmbedding { kept: true, .. },
        ) => anyhow::anyhow!("{error:#}; {how}"),
        _ => error,
    }
}

/// The command that was given, with `--resume`.
pub(crate) fn resuming_command() -> String {
    format!("go on with `{}`", again(program::arguments()))
}

/// The same command with `--resume`, ready for a POSIX shell.
fn again(args: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> =
        args.filter(|arg| arg != "--resume" && arg != "--restart").map(|arg| shell::quoted(&arg)).collect();
    words.push("--resume".into());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_repeated_with_resume() {
        let args =
            ["pair2score", "run", "my config.yaml", "--restart", "--set", "a.b=it's"].map(String::from);
        let expected = r"pair2score run 'my config.yaml' --set 'a.b=it'\''s' --resume";
        assert_eq!(again(args.into_iter()), expected);
    }
}
