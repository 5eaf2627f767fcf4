//! How a run looks: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pair2score_train::{EpochReport, Progress, StepReport};

/// How often something is said where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(30);

/// Progress on standard error; results go to standard output.
pub(crate) struct Terminal {
    bar: Option<ProgressBar>,
    interactive: bool,
    /// Lines about what is done, where there is no bar and nothing else was said for a while.
    lines: Option<Lines>,
    /// Quiet commands say nothing about steps and epochs.
    quiet: bool,
}

impl Terminal {
    /// For training: bars, or lines at the logging interval.
    pub(crate) fn new() -> Self {
        Self { bar: None, interactive: std::io::stderr().is_terminal(), lines: None, quiet: false }
    }

    /// For work without steps: bars, or lines about what is done.
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
        if !self.interactive {
            self.lines = Some(Lines::begin(stage, total, Instant::now()));
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
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.advance(done, Instant::now())) {
            errln!("{line}");
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
            (None, Some(loss)) if !self.quiet => {
                errln!(
                    "[{stage}] epoch {epoch} step {step}/{total_steps} loss {loss:.4} lr {lr:.2e} \
                     {tokens_per_second:.0} tok/s"
                );
                if let Some(lines) = &mut self.lines {
                    lines.said(step, Instant::now());
                }
            }
            // Steps that log nothing may take minutes.
            (None, _) => self.advance(step),
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
        self.lines = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn message(&mut self, text: &str) {
        self.line(text);
    }
}

/// When there is something to say about work that says nothing by itself, and what.
struct Lines {
    stage: String,
    /// Documents in all, for example; 0 where nobody knows.
    total: usize,
    /// What was done at the first word of it, and when: some of that may have been done by an earlier command.
    first: Option<(usize, Instant)>,
    /// When something was said last.
    last: Instant,
}

impl Lines {
    fn begin(stage: &str, total: usize, now: Instant) -> Self {
        Self { stage: stage.to_owned(), total, first: None, last: now }
    }

    /// Something else was said about what is done.
    fn said(&mut self, done: usize, now: Instant) {
        self.first.get_or_insert((done, now));
        self.last = now;
    }

    /// A line, where the last one is long enough ago.
    fn advance(&mut self, done: usize, now: Instant) -> Option<String> {
        let (before, begun) = *self.first.get_or_insert((done, now));
        if now.duration_since(self.last) < INTERVAL {
            return None;
        }
        self.last = now;
        let speed = done.saturating_sub(before) as f64 / now.duration_since(begun).as_secs_f64();
        if !(speed > 0.0 && speed.is_finite()) {
            return Some(match self.total {
                0 => format!("[{}] {done}", self.stage),
                total => format!("[{}] {done} of {total}", self.stage),
            });
        }
        Some(match self.total {
            0 => format!("[{}] {done}, {speed:.1} a second", self.stage),
            total => {
                let left = duration(total.saturating_sub(done) as f64 / speed);
                format!("[{}] {done} of {total}, {speed:.1} a second; about {left} left", self.stage)
            }
        })
    }
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_every_half_minute() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::begin("score", 1000, start);
        // Of which an earlier command may have done all.
        assert_eq!(lines.advance(10, after(29)), None);
        let line = lines.advance(20, after(49)).unwrap();
        assert_eq!(line, "[score] 20 of 1000, 0.5 a second; about 33 min left");
        assert_eq!(lines.advance(30, after(60)), None);
        assert!(lines.advance(40, after(80)).is_some());
        let mut lines = Lines::begin("score", 0, start);
        assert_eq!(lines.advance(60, after(30)).unwrap(), "[score] 60");
        assert_eq!(lines.advance(120, after(60)).unwrap(), "[score] 120, 2.0 a second");
    }

    #[test]
    fn steps_that_log_nothing_for_half_a_minute_are_told_of() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::begin("relative", 125, start);
        lines.said(1, after(6));
        assert_eq!(lines.advance(5, after(30)), None);
        let line = lines.advance(6, after(36)).unwrap();
        assert_eq!(line, "[relative] 6 of 125, 0.2 a second; about 12 min left");
        lines.said(10, after(60));
        assert_eq!(lines.advance(14, after(84)), None);
    }
}
