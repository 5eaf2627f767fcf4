//! Judgements against independent implementations (`scripts/peers/judgement_oracle.py`), simulated judges and symmetries.

use std::collections::HashMap;
use std::path::Path;

use pair2score_data::judgements::select::{AdaptiveOptions, adaptive, balanced};
use pair2score_data::judgements::simulate::{answer, normal};
use pair2score_data::judgements::*;
use pair2score_data::rng;
use serde_json::Value;

fn oracle(section: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/judgements.json");
    let fixtures: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    fixtures[section].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// The rows `[a, b, y, judge]` of a case, with its weights if it has some.
fn comparisons(case: &Value) -> Vec<Comparison> {
    let weights = case.get("weights").map(numbers);
    let row = |(place, row): (usize, &Value)| {
        let row = numbers(row);
        Comparison {
            judge: row[3] as usize,
            weight: weights.as_ref().map_or(1.0, |weights| weights[place]),
            ..Comparison::new(row[0] as usize, row[1] as usize, row[2])
        }
    };
    case["rows"].as_array().unwrap().iter().enumerate().map(row).collect()
}

#[track_caller]
fn close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
}

#[track_caller]
fn all_close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    actual.iter().zip(expected).for_each(|(&actual, &expected)| close(actual, expected, tolerance));
}

#[test]
fn davidson_with_a_prior_is_that_of_scipy() {
    // The oracle's derivatives are numerical: 1e-6 at best.
    for case in oracle("davidson") {
        let (n, list) = (case["n"].as_u64().unwrap() as usize, comparisons(&case));
        let fitted =
            fit(n, &list, FitOptions { prior_sd: number(&case["prior_sd"]), ..Default::default() }, None)
                .unwrap();
        all_close(&fitted.utilities, &numbers(&case["utilities"]), 1e-5);
        close(fitted.nu, number(&case["nu"]), 1e-5);
        let errors = standard_errors(n, &list, &fitted).unwrap();
        all_close(&errors, &numbers(&case["standard_errors"]), 1e-5);
        let separation = scale_separation(&fitted.utilities, &errors).unwrap();
        close(separation, number(&case["scale_separation"]), 1e-5);
        let defined = |values: Vec<Option<f64>>| values.into_iter().map(Option::unwrap).collect::<Vec<_>>();
        all_close(&defined(document_infit(n, &list, &fitted)), &numbers(&case["document_infit"]), 1e-5);
        let expected = numbers(&case["judge_infit"]);
        all_close(&defined(judge_infit(expected.len(), &list, &fitted)), &expected, 1e-5);
    }
}

#[test]
fn davidson_without_a_prior_is_the_log_linear_model_of_statsmodels() {
    for case in oracle("log_linear") {
        let (n, list) = (case["n"].as_u64().unwrap() as usize, comparisons(&case));
        let fitted = fit(n, &list, FitOptions { prior_sd: 1e4, ..Default::default() }, None).unwrap();
        // What is left of a difference is the weak prior of ln nu, (ln nu)/9 against an information of about 70.
        all_close(&fitted.utilities, &numbers(&case["utilities"]), 1e-3);
        close(fitted.nu, number(&case["nu"]), 3e-3);
        let errors = standard_errors(n, &list, &fitted).unwrap();
        all_close(&errors, &numbers(&case["standard_errors"]), 1e-3);
    }
}

#[test]
fn bradley_terry_is_that_of_choix() {
    for case in oracle("bradley_terry") {
        let (n, list) = (case["n"].as_u64().unwrap() as usize, comparisons(&case));
        let fitted =
            fit(n, &list, FitOptions { prior_sd: number(&case["prior_sd"]), ..Default::default() }, None)
                .unwrap();
        assert_eq!(fitted.nu, 0.0);
        all_close(&fitted.utilities, &numbers(&case["utilities"]), 1e-6);
    }
}

#[test]
fn agreement_is_that_of_scikit_learn_and_krippendorff() {
    for case in oracle("agreement") {
        let result = agreement(&comparisons(&case));
        let shared: Vec<f64> = result.judges.iter().map(|pair| pair.shared_pairs as f64).collect();
        assert_eq!(shared, numbers(&case["shared"]));
        let kappas: Vec<f64> = result.judges.iter().map(|pair| pair.cohen_kappa.unwrap()).collect();
        all_close(&kappas, &numbers(&case["kappas"]), 1e-12);
        for (ours, key) in [
            (result.percentage, "percentage"),
            (result.cohen_kappa, "cohen_kappa"),
            (result.alpha_nominal, "alpha_nominal"),
            (result.alpha_ordinal, "alpha_ordinal"),
        ] {
            close(ours.unwrap(), number(&case[key]), 1e-12);
        }
    }
}

/// Documents with normal utilities and judges who answer about these pairs.
struct Panel {
    truth: Vec<f64>,
    seed: u64,
}

impl Panel {
    fn new(n: usize, spread: f64, seed: u64) -> Self {
        let mut rng = rng::stream(seed, &["truth"]);
        Self { truth: (0..n).map(|_| spread * normal(&mut rng)).collect(), seed }
    }

    fn judge(&self, pairs: &[(usize, usize)], done: usize) -> Vec<Comparison> {
        let mut rng = rng::stream(self.seed, &["answers", &done.to_string()]);
        let answer = |(place, &(a, b)): (usize, &(usize, usize))| {
            let y = answer(self.truth[a], self.truth[b], 0.3, 1.0, &mut rng);
            Comparison { judge: place % 3, ..Comparison::new(a, b, y) }
        };
        pairs.iter().enumerate().map(answer).collect()
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
    values.iter().map(below).collect()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let product = |a: &[f64], b: &[f64], ma: f64, mb: f64| {
        a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>()
    };
    product(x, y, mx, my) / (product(x, x, mx, mx) * product(y, y, my, my)).sqrt()
}

#[test]
fn simulated_judges_recover_known_utilities() {
    // At a spread of 2 logits it is 0.94: as many judgements then tell less of the order than they do here.
    for seed in 0..3 {
        let panel = Panel::new(200, 3.0, seed);
        let list = panel.judge(&balanced(200, 15, seed), 0);
        let fitted = fit(200, &list, FitOptions::default(), None).unwrap();
        let rank_correlation = correlation(&ranks(&fitted.utilities), &ranks(&panel.truth));
        assert!(rank_correlation >= 0.95, "seed {seed}: {rank_correlation}");
    }
}

#[test]
fn for_random_pairs_errors_and_reliabilities_are_honest() {
    // Means over seeds: squared errors in units of the standard errors, and the reliability by truth, SSR and halves.
    let n_seeds = 6;
    let mut means = [0.0; 4];
    for seed in 0..n_seeds {
        let panel = Panel::new(200, 2.0, seed);
        let list = panel.judge(&balanced(200, 15, seed), 0);
        let fitted = fit(200, &list, FitOptions::default(), None).unwrap();
        let centre = panel.truth.iter().sum::<f64>() / 200.0;
        let errors = standard_errors(200, &list, &fitted).unwrap();
        let squares = fitted.utilities.iter().zip(&panel.truth).zip(&errors);
        let square = squares.map(|((u, truth), se)| ((u - truth + centre) / se).powi(2)).sum::<f64>() / 200.0;
        let halves = split_half(200, &list, Halves::Judgements, fitted.options, 5, 1).unwrap().unwrap();
        let truth = correlation(&fitted.utilities, &panel.truth).powi(2);
        let separation = scale_separation(&fitted.utilities, &errors).unwrap();
        for (mean, value) in means.iter_mut().zip([square, truth, separation, halves.reliability.unwrap()]) {
            *mean += value / n_seeds as f64;
        }
    }
    let [square, truth, separation, halves] = means;
    assert!((0.8..1.25).contains(&square), "{means:?}");
    assert!((separation - truth).abs() < 0.03 && (halves - truth).abs() < 0.04, "{means:?}");
}

#[test]
fn the_model_explains_judges_who_follow_it() {
    let panel = Panel::new(100, 2.0, 5);
    let list = panel.judge(&balanced(100, 20, 5), 0);
    let fitted = fit(100, &list, FitOptions::default(), None).unwrap();
    // A guesser among them stands out.
    let mut rng = rng::stream(5, &["guesses"]);
    let guesses = balanced(100, 4, 6)
        .into_iter()
        .map(|(a, b)| Comparison { judge: 3, ..Comparison::new(a, b, answer(0.0, 0.0, 0.3, 1.0, &mut rng)) });
    let with_guesser: Vec<Comparison> = list.iter().copied().chain(guesses).collect();
    let infit = judge_infit(4, &with_guesser, &fitted);
    assert!(infit[..3].iter().all(|value| (0.8..1.2).contains(&value.unwrap())), "{infit:?}");
    assert!(infit[3].unwrap() > 1.5, "{infit:?}");
}

#[test]
fn adaptive_selection_comes_closer_with_the_same_number() {
    let (n, per_document) = (60, 12);
    // What the utilities leave unexplained of the truth; examples/judgement_study.rs measures more.
    let (mut random, mut chosen) = (0.0, 0.0);
    for seed in 0..10 {
        let panel = Panel::new(n, 2.0, seed);
        let unexplained = |list: &[Comparison]| {
            1.0 - correlation(&posterior(n, list).unwrap().fit.utilities, &panel.truth).powi(2)
        };
        let balanced = panel.judge(&balanced(n, per_document, seed), 0);
        random += unexplained(&balanced);
        let mut list = Vec::new();
        while list.len() < balanced.len() {
            let known = posterior(n, &list).unwrap();
            let pairs = adaptive(&list, &known, 6, &AdaptiveOptions::default(), seed);
            list.extend(panel.judge(&pairs, list.len()));
        }
        chosen += unexplained(&list);
    }
    assert!(chosen < 0.9 * random, "{chosen} and {random}");
}

/// A log of every kind of answer, with two judges, repeats and an unconnected part.
fn log() -> Vec<Comparison> {
    let panel = Panel::new(30, 2.0, 9);
    let mut pairs = balanced(24, 6, 1);
    pairs.extend(balanced(6, 3, 2).iter().map(|(a, b)| (24 + a, 24 + b)));
    // The same judge again, as 81 is a multiple of 3, and another judge.
    pairs.extend_from_within(..20);
    pairs.extend_from_within(21..41);
    panel.judge(&pairs, 0)
}

#[test]
fn swapping_sides_changes_nothing() {
    let list = log();
    let swapped: Vec<Comparison> =
        list.iter().map(|c| Comparison { a: c.b, b: c.a, y: 1.0 - c.y, ..*c }).collect();
    let of = |list: &[Comparison]| {
        let fitted = fit(30, list, FitOptions::default(), None).unwrap();
        let errors = standard_errors(30, list, &fitted).unwrap();
        (fitted, errors, agreement(list))
    };
    let ((fit_there, se_there, there), (fit_back, se_back, back)) = (of(&list), of(&swapped));
    all_close(&fit_there.utilities, &fit_back.utilities, 1e-9);
    all_close(&se_there, &se_back, 1e-9);
    close(fit_there.nu, fit_back.nu, 1e-9);
    assert_eq!(there, back);
}

#[test]
fn turning_every_answer_turns_the_scale() {
    let list = log();
    let turned: Vec<Comparison> = list.iter().map(|c| Comparison { y: 1.0 - c.y, ..*c }).collect();
    let of = |list: &[Comparison]| fit(30, list, FitOptions::default(), None).unwrap().utilities;
    let back: Vec<f64> = of(&turned).iter().map(|utility| -utility).collect();
    all_close(&of(&list), &back, 1e-9);
}

#[test]
fn relabelling_documents_relabels_the_results() {
    let list = log();
    let mut names: Vec<usize> = (0..30).collect();
    rng::shuffle(&mut rng::stream(4, &["names"]), &mut names);
    let relabelled: Vec<Comparison> =
        list.iter().map(|c| Comparison { a: names[c.a], b: names[c.b], ..*c }).collect();
    let options = FitOptions::default();
    let (one, other) = (fit(30, &list, options, None).unwrap(), fit(30, &relabelled, options, None).unwrap());
    let (se_one, se_other) =
        (standard_errors(30, &list, &one).unwrap(), standard_errors(30, &relabelled, &other).unwrap());
    for (document, &name) in names.iter().enumerate() {
        close(other.utilities[name], one.utilities[document], 1e-9);
        close(se_other[name], se_one[document], 1e-9);
    }
    let (one, other) = (agreement(&list), agreement(&relabelled));
    assert_eq!(one.shared_pairs, other.shared_pairs);
    for (one, other) in [
        (one.cohen_kappa, other.cohen_kappa),
        (one.alpha_nominal, other.alpha_nominal),
        (one.alpha_ordinal, other.alpha_ordinal),
    ] {
        close(one.unwrap(), other.unwrap(), 1e-12);
    }
}

#[test]
fn parts_that_are_not_connected_do_not_move_each_other() {
    let list = log();
    let fitted = fit(30, &list, FitOptions::default(), None).unwrap();
    assert!(fitted.utilities.iter().all(|utility| utility.is_finite()));
    close(fitted.utilities[24..].iter().sum(), 0.0, 1e-8);
    let errors = standard_errors(30, &list, &fitted).unwrap();
    assert!(errors.iter().all(|error| error.is_finite() && *error > 0.0));
    // Where no tie links them through nu, the parts are those of separate fits.
    let decided: Vec<Comparison> = list.into_iter().filter(|c| c.y != 0.5).collect();
    let (whole, part) = (
        fit(30, &decided, FitOptions::default(), None).unwrap(),
        decided.iter().copied().filter(|c| c.a < 24).collect::<Vec<_>>(),
    );
    let part = fit(24, &part, FitOptions::default(), None).unwrap();
    all_close(&whole.utilities[..24], &part.utilities, 1e-8);
}

#[test]
fn logs_become_accounts() {
    let mut lines = String::new();
    for (place, c) in log().iter().enumerate() {
        let (a, b) = (format!("d{:02}", c.a), format!("d{:02}", c.b));
        lines += &format!(
            "{{\"run\":0,\"trait\":\"t\",\"split\":\"train\",\"index\":{place},\"a\":\"{a}\",\"b\":\"{b}\",\"y\":{},\
             \"judge\":\"judge {}\",\"shown_left\":\"{a}\",\"ms\":{place},\"at\":\"{place}\"}}\n",
            c.y, c.judge
        );
    }
    let read = JudgementLog::parse(Path::new("log.jsonl"), &lines, &LogDefaults::default()).unwrap();
    let stats = stats(&Comparisons::from(&read), &HashMap::new(), &StatsOptions::default()).unwrap();
    assert_eq!((stats.judgements, stats.unconnected_parts), (log().len(), 2));
    assert_eq!(stats.judges.iter().map(|judge| judge.repeats).sum::<usize>(), 20);
    let fitted = fit(30, &log(), FitOptions::default(), None).unwrap();
    let utilities: Vec<f64> = stats.documents.iter().map(|document| document.utility).collect();
    all_close(&utilities, &fitted.utilities, 1e-12);
    assert_eq!(stats.documents[7].id, "d07");
    assert_eq!(stats.sided, log().iter().filter(|c| c.y != 0.5).count());
    // `a` was always on the left.
    assert_eq!(stats.left, log().iter().filter(|c| c.y == 1.0).count());
}
