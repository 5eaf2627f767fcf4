//! How often a judge or the lead may ask: a bucket that fills at a steady rate and empties by one per request.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Requests per second that can be asked for: at the slowest, one in a quarter of an hour.
pub(super) const RATES: RangeInclusive<f64> = 0.001..=1e6;
/// Seconds of requests that a bucket holds.
const DEPTH: f64 = 2.0;

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// By id.
    Judge(i64),
    Lead,
}

/// The buckets of all who ask.
pub(super) struct Limits {
    /// Requests per second, one of [`RATES`].
    rate: f64,
    /// Contents and the time they were right.
    buckets: HashMap<Asker, (f64, Instant)>,
}

impl Limits {
    /// Full buckets.
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Takes one request, or says how long to wait for it.
    pub(super) fn take(&mut self, asker: Asker, now: Instant) -> Result<(), Duration> {
        let full = (self.rate * DEPTH).max(1.0);
        let (content, then) = self.buckets.entry(asker).or_insert((full, now));
        *content = (*content + self.rate * now.duration_since(*then).as_secs_f64()).min(full);
        *then = now;
        if *content < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *content) / self.rate));
        }
        *content -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let (mut limits, start) = (Limits::new(5.0), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!((0..10).all(|_| limits.take(Asker::Judge(1), at(0)).is_ok()));
        assert_eq!(limits.take(Asker::Judge(1), at(0)), Err(Duration::from_millis(200)));
        assert!(limits.take(Asker::Judge(2), at(0)).is_ok(), "another judge has a bucket of their own");
        assert_eq!(limits.take(Asker::Judge(1), at(150)), Err(Duration::from_millis(50)));
        assert!(limits.take(Asker::Judge(1), at(200)).is_ok());
        // However long the pause, no more than a full bucket.
        assert_eq!((0..20).filter(|_| limits.take(Asker::Judge(1), at(60_000)).is_ok()).count(), 10);
    }

    #[test]
    fn the_slowest_rate_has_a_wait_that_can_be_said() {
        let (mut limits, now) = (Limits::new(*RATES.start()), Instant::now());
        assert!(limits.take(Asker::Judge(1), now).is_ok());
        assert_eq!(limits.take(Asker::Judge(1), now), Err(Duration::from_secs(1000)));
    }

    #[test]
    fn in_the_long_run_the_rate_is_kept() {
        let (mut limits, start) = (Limits::new(0.5), Instant::now());
        let taken = (0..100_000)
            .filter(|ms| limits.take(Asker::Judge(1), start + Duration::from_millis(*ms)).is_ok())
            .count();
        // 100 seconds and a bucket of one.
        assert!((50..=51).contains(&taken), "{taken}");
    }
}
