//! Ctrl-C and termination: a run saves its state and says how to go on; a server answers what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use pair2score_train::{Stop, TrainError};
use tokio::sync::Notify;

use crate::shell;

/// Asked by the signal handler, looked at by the training loop.
pub(crate) static STOP: Stop = Stop::new();

/// From now on SIGINT, SIGTERM and SIGHUP ask the run to stop; a second one ends the program at once.
pub(crate) fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if STOP.request() {
            // What was saved at the last checkpoint stays.
            std::process::exit(2);
        }
        errln!("stopping after this step and saving; once more stops at once");
    })
    .context("cannot watch for Ctrl-C")
}

/// Ends with the first SIGINT, SIGTERM or SIGHUP; a second one ends the program at once.
pub(crate) fn first() -> Result<impl Future<Output = ()> + Send + 'static> {
    let (seen, told) = (AtomicBool::new(false), Arc::new(Notify::new()));
    let teller = Arc::clone(&told);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(2);
        }
        teller.notify_one();
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(async move { told.notified().await })
}

/// Adds the command that goes on to the error of a run that was stopped.
pub(crate) fn explain(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<TrainError>() {
        Some(TrainError::Interrupted { saved: true, .. }) => {
            anyhow::anyhow!("{error:#}; go on with `{}`", again(std::env::args()))
        }
        _ => error,
    }
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
