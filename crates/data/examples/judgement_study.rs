//! How many judgements adaptive selection saves, and what it does to reliability:
//! `cargo run --release -p pair2score-data --example judgement_study`. `docs/judgements.md` has the figures.
//!
//! Simulated judges follow the model; the utilities of 200 documents are normal. Random means balanced random pairs. With
//! `scale` it measures the time of a large fit instead.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::time::Instant;

use pair2score_data::judgements::select::{AdaptiveOptions, adaptive, balanced};
use pair2score_data::judgements::simulate::{answer, normal};
use pair2score_data::judgements::{
    Chances, Comparison, Fit, FitOptions, Halves, fit, posterior, scale_separation, split_half,
    standard_errors,
};
use pair2score_data::rng;

const DOCUMENTS: usize = 200;
const SEEDS: u64 = 30;
/// Judgements per document of random selection that adaptive selection has to match.
const REFERENCE: usize = 15;
/// Judgements between two fits of adaptive selection: a tenth of the documents.
const BATCH: usize = 20;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A tie between equals has chance ν / (2 + ν), 13 %.
const NU: f64 = 0.3;

fn main() -> Outcome<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            for spread in [1.0, 2.0, 3.0] {
                compare(spread)?;
            }
            noise()
        }
        Some("scale") => scale(),
        Some(other) => Err(format!("{other:?} is not a study; give scale or nothing").into()),
    }
}

/// Documents whose true utilities have mean 0, and judges.
struct Panel {
    truth: Vec<f64>,
    seed: u64,
}

impl Panel {
    fn new(n: usize, spread: f64, seed: u64) -> Self {
        let mut rng = rng::stream(seed, &["study", "truth"]);
        let mut truth: Vec<f64> = (0..n).map(|_| spread * normal(&mut rng)).collect();
        let mean = truth.iter().sum::<f64>() / n as f64;
        truth.iter_mut().for_each(|utility| *utility -= mean);
        Self { truth, seed }
    }

    fn judge(&self, pairs: &[(usize, usize)], done: usize, method: &str) -> Vec<Comparison> {
        let mut rng = rng::stream(self.seed, &["study", method, &done.to_string()]);
        let answer = |&(a, b): &(usize, usize)| {
            Comparison::new(a, b, answer(self.truth[a], self.truth[b], NU, 1.0, &mut rng))
        };
        pairs.iter().map(answer).collect()
    }

    /// Mean squared error of the posterior's means: in logits², and as the share of the truth's variance that a straight line through the
    /// utilities leaves, which does not depend on their unit.
    fn errors(&self, list: &[Comparison]) -> Outcome<[f64; 2]> {
        let fitted = posterior(self.truth.len(), list)?.fit;
        let squares = fitted.utilities.iter().zip(&self.truth).map(|(u, truth)| (u - truth).powi(2));
        let mean = squares.sum::<f64>() / self.truth.len() as f64;
        Ok([mean, 1.0 - square_of_correlation(&fitted.utilities, &self.truth)])
    }

    fn adaptive(&self, total: usize) -> Outcome<Vec<Comparison>> {
        let n = self.truth.len();
        let mut list = Vec::new();
        while list.len() < total {
            let known = posterior(n, &list)?;
            let wanted = BATCH.min(total - list.len());
            let pairs = adaptive(&list, &known, wanted, &AdaptiveOptions::default(), self.seed);
            list.extend(self.judge(&pairs, list.len(), "adaptive"));
        }
        Ok(list)
    }
}

/// Mean and standard error of the mean.
fn summary(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    format!("{mean:.3} ± {:.3}", (variance / n).sqrt())
}

/// Reliability by its three measures: against the truth, scale separation, split halves.
fn reliability(panel: &Panel, list: &[Comparison], fitted: &Fit) -> Outcome<[f64; 3]> {
    let n = panel.truth.len();
    let errors = standard_errors(n, list, fitted)?;
    let separation = scale_separation(&fitted.utilities, &errors).ok_or("no spread")?;
    let halves = split_half(n, list, Halves::Judgements, FitOptions::default(), 10, panel.seed)?;
    let truth = if panel.truth.iter().all(|utility| *utility == 0.0) {
        0.0
    } else {
        square_of_correlation(&fitted.utilities, &panel.truth)
    };
    Ok([truth, separation, halves.and_then(|halves| halves.reliability).ok_or("no halves")?])
}

/// How many logits of the fitted utilities one true logit becomes.
fn stretch(panel: &Panel, fitted: &Fit) -> f64 {
    let squares: f64 = panel.truth.iter().map(|truth| truth * truth).sum();
    fitted.utilities.iter().zip(&panel.truth).map(|(u, truth)| u * truth).sum::<f64>() / squares
}

/// Of two lists with mean 0.
fn square_of_correlation(x: &[f64], y: &[f64]) -> f64 {
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    product(x, y).powi(2) / (product(x, x) * product(y, y))
}

/// Errors of one panel.
struct Run {
    /// Of random selection at the end.
    random: [f64; 2],
    /// Of adaptive selection after each batch.
    adaptive: Vec<[f64; 2]>,
}

fn compare(spread: f64) -> Outcome<()> {
    let total = DOCUMENTS * REFERENCE / 2;
    let mut runs = Vec::new();
    let mut reliabilities = [[const { Vec::new() }; 3], [const { Vec::new() }; 3]];
    let mut stretches = [[const { Vec::new() }; 2], [const { Vec::new() }; 2]];
    for seed in 0..SEEDS {
        let panel = Panel::new(DOCUMENTS, spread, seed);
        let random = panel.judge(&balanced(DOCUMENTS, REFERENCE, seed), 0, "random");
        let list = panel.adaptive(total)?;
        let curve = (BATCH..=total).step_by(BATCH).map(|n| panel.errors(&list[..n]));
        runs.push(Run { random: panel.errors(&random)?, adaptive: curve.collect::<Outcome<_>>()? });
        for ((list, values), stretches) in [random, list].iter().zip(&mut reliabilities).zip(&mut stretches) {
            let weak = fit(DOCUMENTS, list, FitOptions::default(), None)?;
            // The posterior's own means are averaged; these are a fit like the other under its prior.
            let fitting = fit(DOCUMENTS, list, posterior(DOCUMENTS, list)?.fit.options, None)?;
            for (value, values) in reliability(&panel, list, &weak)?.into_iter().zip(values) {
                values.push(value);
            }
            for (fitted, values) in [&weak, &fitting].into_iter().zip(stretches) {
                values.push(stretch(&panel, fitted));
            }
        }
    }
    println!(
        "spread {spread}: {DOCUMENTS} documents, {total} judgements, {SEEDS} seeds, mean ± standard error; at most \
         {:.0} % can be saved",
        100.0 * at_most(spread)
    );
    for (measure, name) in ["RMSE in logits", "unexplained variance"].into_iter().enumerate() {
        let all: Vec<&Run> = runs.iter().collect();
        let last = |run: &&Run| run.adaptive[run.adaptive.len() - 1][measure];
        let n = all.len() as f64;
        let mut means = [
            all.iter().map(|run| run.random[measure]).sum::<f64>() / n,
            all.iter().map(last).sum::<f64>() / n,
        ];
        if measure == 0 {
            means = means.map(f64::sqrt);
        }
        let without = |seed: usize| -> Vec<&Run> {
            all.iter().enumerate().filter(|(other, _)| *other != seed).map(|(_, run)| *run).collect()
        };
        // The jackknife over seeds.
        let jackknife: Option<Vec<f64>> =
            (0..all.len()).map(|seed| saving(&without(seed), measure)).collect();
        let saved = match (saving(&all, measure), jackknife) {
            (Some(saved), Some(jackknife)) => {
                let mean = jackknife.iter().sum::<f64>() / n;
                let squares: f64 = jackknife.iter().map(|value| (value - mean).powi(2)).sum();
                let error = (squares * (n - 1.0) / n).sqrt();
                format!("judgements saved for the same error {:.1} % ± {:.1}", 100.0 * saved, 100.0 * error)
            }
            _ => "no judgements saved".into(),
        };
        println!("  {name}: random {:.3}, adaptive {:.3}; {saved}", means[0], means[1]);
    }
    let methods = ["random  ", "adaptive"];
    for ((method, values), stretches) in methods.iter().zip(&reliabilities).zip(&stretches) {
        println!(
            "  {method}  r² with truth {}  SSR {}  split-half {}  a logit becomes {}, under the prior that fits {}",
            summary(&values[0]),
            summary(&values[1]),
            summary(&values[2]),
            summary(&stretches[0]),
            summary(&stretches[1])
        );
    }
    Ok(())
}

/// The share of judgements that no selection can save more than: what is lost when two random documents are not equals,
/// in the mean over the difference of two utilities with this spread.
fn at_most(spread: f64) -> f64 {
    let step = 0.01;
    let density = |z: f64| step * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let information = |logit: f64| Chances::new(logit, NU).variance();
    let at = |z: f64| density(z) * information(spread * std::f64::consts::SQRT_2 * z);
    let random: f64 = (-800..=800).map(|place| at(step * f64::from(place))).sum();
    1.0 - random / information(0.0)
}

/// The share of judgements that adaptive selection can do without and be, in the mean over runs, as close as random
/// selection is at the end; between batches on a straight line. `None` where it never is.
fn saving(runs: &[&Run], measure: usize) -> Option<f64> {
    let goal: f64 = runs.iter().map(|run| run.random[measure]).sum();
    let at = |batch: usize| runs.iter().map(|run| run.adaptive[batch][measure]).sum::<f64>();
    let batches = runs[0].adaptive.len();
    let reached = (1..batches).find(|&batch| at(batch) <= goal)?;
    let part = (at(reached - 1) - goal) / (at(reached - 1) - at(reached));
    Some(1.0 - (reached as f64 + part) / batches as f64)
}

/// Documents that do not differ: every reliability should be 0.
fn noise() -> Outcome<()> {
    let total = DOCUMENTS * REFERENCE / 2;
    let mut values = [[const { Vec::new() }; 3], [const { Vec::new() }; 3]];
    for seed in 0..SEEDS {
        let panel = Panel::new(DOCUMENTS, 0.0, seed);
        let random = panel.judge(&balanced(DOCUMENTS, REFERENCE, seed), 0, "random");
        for (list, values) in [random, panel.adaptive(total)?].iter().zip(&mut values) {
            let weak = fit(DOCUMENTS, list, FitOptions::default(), None)?;
            for (value, values) in reliability(&panel, list, &weak)?.into_iter().zip(values) {
                values.push(value);
            }
        }
    }
    println!("equal documents, {total} judgements, {SEEDS} seeds");
    for (method, values) in ["random  ", "adaptive"].iter().zip(&values) {
        println!("  {method}  SSR {}  split-half {}", summary(&values[1]), summary(&values[2]));
    }
    Ok(())
}

/// 5,000 documents and 50,000 judgements.
fn scale() -> Outcome<()> {
    for (n, per_document) in [(200, 15), (1000, 20), (5000, 20)] {
        let panel = Panel::new(n, 2.0, 1);
        let started = Instant::now();
        let pairs = balanced(n, per_document, 1);
        let chosen = started.elapsed();
        let list = panel.judge(&pairs, 0, "random");
        let started = Instant::now();
        let fitted = fit(n, &list, FitOptions::default(), None)?;
        let fit_time = started.elapsed();
        let started = Instant::now();
        standard_errors(n, &list, &fitted)?;
        let error_time = started.elapsed();
        let started = Instant::now();
        let known = posterior(n, &list)?;
        let posterior_time = started.elapsed();
        let started = Instant::now();
        let batch = adaptive(&list, &known, 100, &AdaptiveOptions::default(), 1);
        println!(
            "{n} documents, {} judgements: pairs {chosen:.2?}, fit {fit_time:.2?}, standard errors {error_time:.2?}, \
             posterior {posterior_time:.2?}, {} adaptive pairs {:.2?}",
            list.len(),
            batch.len(),
            started.elapsed()
        );
    }
    Ok(())
}
