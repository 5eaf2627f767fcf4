//! How a run looks: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pair2score_train::{EpochReport, Progress, StepReport};

/// Progress on standard error; results go to standard output.
pub(crate) struct Terminal {
    bar: Option<ProgressBar>,
    interactive: bool,
    stage: String,
    /// Quiet commands show bars on a terminal and nothing elsewhere.
    quiet: bool,
}

impl Terminal {
    /// For training: bars, or lines at the logging interval.
    pub(crate) fn new() -> Self {
        Self { bar: None, interactive: std::io::stderr().is_terminal(), stage: String::new(), quiet: false }
    }

    /// For short work: bars, or nothing but messages.
    pub(crate) fn quiet() -> Self {
        Self { quiet: true, ..Self::new() }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| errln!("{text}")),
            None => errln!("{text}"),
        }
    }
}

impl Progress for Terminal {
    fn begin(&mut self, stage: &str, total: usize) {
        self.stage = stage.to_owned();
        if !self.interactive {
            return;
        }
        let bar = ProgressBar::new(total as u64);
        let template = match total {
            // Nobody knows how many there are.
            0 => "{prefix:>12} {pos} {msg} [{elapsed}]",
            _ => "{prefix:>12} {wide_bar} {pos}/{len} {msg} [{elapsed} < {eta}]",
        };
        // A template without unknown keys always parses; the plain style is as good should it ever not.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar = Some(bar);
    }

    fn advance(&mut self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    fn step(&mut self, stage: &str, report: &StepReport) {
        let StepReport { step, total_steps, epoch, loss, lr, tokens_per_second } = *report;
        match (&self.bar, loss) {
            (Some(bar), loss) => {
                bar.set_position(step as u64);
                if let Some(loss) = loss {
                    bar.set_message(format!("loss {loss:.4} {tokens_per_second:.0} tok/s"));
                }
            }
            (None, Some(loss)) if !self.quiet => errln!(
                "[{stage}] epoch {epoch} step {step}/{total_steps} loss {loss:.4} lr {lr:.2e} \
                 {tokens_per_second:.0} tok/s"
            ),
            _ => {}
        }
    }

    fn epoch(&mut self, stage: &str, report: &EpochReport) {
        if self.quiet {
            return;
        }
        let shown = |value: &Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.4}"));
        let metrics: Vec<String> =
            report.metrics.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
        let best = if report.best { " *" } else { "" };
        self.line(&format!(
            "[{stage}] epoch {}: train_loss {:.4} {} ({:.0} s){best}",
            report.epoch,
            report.train_loss,
            metrics.join(" "),
            report.seconds
        ));
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn message(&mut self, text: &str) {
        self.line(text);
    }
}
