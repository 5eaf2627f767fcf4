//! The posterior of utilities with features against independent implementations (`scripts/peers/posterior_oracle.py`),
//! and against simulated judges.

use std::path::Path;

use ndarray::Array2;
use pair2score_data::judgements::select::balanced;
use pair2score_data::judgements::simulate::{answer, normal};
use pair2score_data::judgements::*;
use pair2score_data::{ScoreScale, rng};
use serde_json::Value;

fn oracle(section: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/posterior.json");
    let fixtures: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    fixtures[section].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// A case's features, judgements and prior.
fn case(case: &Value) -> (Features, Vec<Comparison>, FitOptions) {
    let predictions = case.get("predictions").filter(|value| value.is_array()).map(numbers);
    let embeddings = case.get("embeddings").filter(|value| value.is_array()).map(|rows| {
        let rows: Vec<Vec<f64>> = rows.as_array().unwrap().iter().map(numbers).collect();
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j] as f32)
    });
    let features =
        Features::new(predictions.as_deref(), embeddings.as_ref().map(|rows| rows.view())).unwrap();
    let weights = case.get("weights").map(numbers);
    let comparison = |(place, row): (usize, &Value)| {
        let row = numbers(row);
        let weight = weights.as_ref().map_or(1.0, |weights| weights[place]);
        Comparison { weight, ..Comparison::new(row[0] as usize, row[1] as usize, row[2]) }
    };
    let list = case["rows"].as_array().unwrap().iter().enumerate().map(comparison).collect();
    let sd = |key: &str| case[key].as_f64().unwrap();
    (features, list, FitOptions { prior_sd: sd("prior_sd"), text_sd: sd("text_sd") })
}

#[track_caller]
fn close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
}

#[test]
fn utilities_with_features_are_those_of_a_dense_gaussian_process() {
    for expected in oracle("dense") {
        let (features, list, options) = case(&expected);
        let fitted = fit_with(&features, &list, options, None).unwrap();
        for (actual, expected) in fitted.utilities.iter().zip(numbers(&expected["utilities"])) {
            close(*actual, expected, 1e-7);
        }
        close(fitted.nu, expected["nu"].as_f64().unwrap(), 1e-7);
        let covariance = Covariance::at_maximum(&features, &list, &fitted).unwrap();
        let all: Vec<usize> = (0..features.n()).collect();
        let columns = covariance.columns(&all).unwrap();
        let errors = covariance.standard_errors().unwrap();
        for (a, row) in expected["covariance"].as_array().unwrap().iter().enumerate() {
            for (b, expected) in numbers(row).into_iter().enumerate() {
                close(columns[[a, b]], expected, 1e-6);
            }
            close(errors[a].powi(2), numbers(row)[a], 1e-7);
        }
    }
}

#[test]
fn differences_are_those_of_scikit_learn() {
    for expected in oracle("gaussian_process") {
        let (features, list, options) = case(&expected);
        let fitted = fit_with(&features, &list, options, None).unwrap();
        let covariance = Covariance::at_maximum(&features, &list, &fitted).unwrap();
        let all: Vec<usize> = (0..features.n()).collect();
        let columns = covariance.columns(&all).unwrap();
        let answers = numbers(&expected["means"]).into_iter().zip(numbers(&expected["variances"]));
        for (pair, (mean, variance)) in expected["pairs"].as_array().unwrap().iter().zip(answers) {
            let pair = numbers(pair);
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            close(fitted.utilities[a] - fitted.utilities[b], mean, 1e-6);
            close(columns[[a, a]] + columns[[b, b]] - 2.0 * columns[[a, b]], variance, 1e-6);
        }
    }
}

/// Documents whose texts tell part of their utilities, and judgements of balanced random pairs.
struct Panel {
    embeddings: Array2<f32>,
    truth: Vec<f64>,
    list: Vec<Comparison>,
}

impl Panel {
    fn new(n: usize, told: f64, untold: f64, per_document: usize, seed: u64) -> Self {
        let mut rng = rng::stream(seed, &["texts"]);
        let d = 20;
        let embeddings = Array2::from_shape_fn((n, d), |_| normal(&mut rng) as f32);
        let weights: Vec<f64> = (0..d).map(|_| told * normal(&mut rng) / (d as f64).sqrt()).collect();
        let utility = |row: ndarray::ArrayView1<'_, f32>| {
            row.iter().zip(&weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>() + untold * normal(&mut rng)
        };
        let truth: Vec<f64> = embeddings.outer_iter().map(utility).collect();
        let mut rng = rng::stream(seed, &["answers"]);
        let judge = |(a, b)| Comparison::new(a, b, answer(truth[a], truth[b], 0.3, 1.0, &mut rng));
        let list = balanced(n, per_document, seed).into_iter().map(judge).collect();
        Self { embeddings, truth, list }
    }

    fn features(&self) -> Features {
        Features::new(None, Some(self.embeddings.view())).unwrap()
    }

    /// The root of the mean squared error of utilities that add up to 0.
    fn error(&self, utilities: &[f64]) -> f64 {
        let mean = self.truth.iter().sum::<f64>() / self.truth.len() as f64;
        let squares = utilities.iter().zip(&self.truth).map(|(u, truth)| (u - truth + mean).powi(2));
        (squares.sum::<f64>() / self.truth.len() as f64).sqrt()
    }
}

#[test]
fn what_texts_tell_is_found_and_helps() {
    let (mut told, mut untold, mut with, mut without) = (0.0, 0.0, 0.0, 0.0);
    for seed in 0..6 {
        let panel = Panel::new(120, 1.5, 0.7, 6, seed);
        let known = posterior_with(&panel.features(), &panel.list).unwrap();
        told += known.fit.options.text_sd / 6.0;
        untold += known.fit.options.prior_sd / 6.0;
        with += panel.error(&known.fit.utilities) / 6.0;
        without += panel.error(&posterior(120, &panel.list).unwrap().fit.utilities) / 6.0;
    }
    assert!((1.1..2.0).contains(&told) && (0.4..1.1).contains(&untold), "{told} {untold}");
    assert!(with < 0.85 * without, "{with} with and {without} without texts");
}

#[test]
fn texts_that_tell_nothing_cost_nothing() {
    let (mut told, mut with, mut without) = (0.0, 0.0, 0.0);
    for seed in 0..6 {
        let panel = Panel::new(120, 0.0, 1.7, 8, seed);
        let known = posterior_with(&panel.features(), &panel.list).unwrap();
        told += known.fit.options.text_sd / 6.0;
        with += panel.error(&known.fit.utilities) / 6.0;
        without += panel.error(&posterior(120, &panel.list).unwrap().fit.utilities) / 6.0;
    }
    assert!(with < 1.03 * without && told < 0.8, "{with} with and {without} without texts, {told} told");
}

#[test]
fn documents_nobody_judged_have_honest_intervals() {
    let (mut inside, mut all) = (0.0, 0.0);
    for seed in 0..10 {
        let panel = Panel::new(100, 1.5, 0.7, 12, seed);
        // Nobody judged the last thirty.
        let list: Vec<Comparison> = panel.list.iter().copied().filter(|c| c.a < 70 && c.b < 70).collect();
        let known = posterior_with(&panel.features(), &list).unwrap();
        let errors = known.covariance(&panel.features(), &list).unwrap().standard_errors().unwrap();
        let mean = panel.truth.iter().sum::<f64>() / 100.0;
        for (document, standard_error) in errors.iter().enumerate().skip(70) {
            let error = (known.fit.utilities[document] - panel.truth[document] + mean).abs();
            inside += f64::from(error < 1.645 * standard_error);
            all += 1.0;
        }
    }
    // 300 documents: one standard error of the share is 1.7 %.
    assert!((0.85..0.95).contains(&(inside / all)), "{}", inside / all);
}

#[test]
fn errors_of_anchors_that_are_left_out_are_those_of_texts_to_come() {
    let scale = ScoreScale::default();
    let grade = |utility: f64| scale.nearest((3.0 + 0.5 * utility).clamp(1.0, 5.0)).unwrap();
    let (mut held, mut all) = (0.0, 0.0);
    for seed in 0..8 {
        let Panel { embeddings, truth, list } = Panel::new(100, 1.5, 0.7, 12, seed);
        let features = Features::new(None, Some(embeddings.view())).unwrap();
        // Nobody judged the last thirty, and the first nineteen have grades: the eighteenth error is nine tenths of twenty.
        let list = list.into_iter().filter(|c| c.a < 70 && c.b < 70).collect();
        let documents = (0..100).map(|place| place.to_string()).collect();
        let mut comparisons = Comparisons { documents, judges: vec!["one".into()], list };
        let mut anchors: Vec<(usize, f64)> = (0..19).map(|place| (place, grade(truth[place]))).collect();
        let unseen = left_out(&comparisons, &features, (&anchors, scale), false, |_| ()).unwrap();
        let mut errors: Vec<f64> = unseen.iter().map(|(grade, score)| (grade - score).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let inferred = infer(&comparisons, &features, Some((&anchors, scale)), false).unwrap();
        let scores = inferred.scores.unwrap().1.scores;
        for place in 70..100 {
            held += f64::from((scores[place].score - grade(truth[place])).abs() <= errors[17]);
            all += 1.0;
        }
        // What is left out has no say: neither its grade nor its judgements.
        anchors[3].1 = 6.0 - anchors[3].1;
        for judged in comparisons.list.iter_mut().filter(|judged| judged.a == 3 || judged.b == 3) {
            judged.y = 1.0 - judged.y;
        }
        let other = left_out(&comparisons, &features, (&anchors, scale), false, |_| ()).unwrap();
        assert_eq!((other[3].0, other[3].1), (6.0 - unseen[3].0, unseen[3].1));
        assert_ne!(other[4].1, unseen[4].1);
    }
    // 240 documents of eight draws; one standard error of the share is 2 to 3 %.
    assert!((0.84..0.97).contains(&(held / all)), "{}", held / all);
    let features = Features::none(4);
    let comparisons = Comparisons {
        documents: ["a", "b", "c", "d"].map(str::to_owned).into(),
        judges: vec!["one".into()],
        list: vec![Comparison::new(0, 1, 1.0)],
    };
    let three = [(0, 2.0), (1, 3.0), (2, 4.0)];
    assert!(
        left_out(&comparisons, &features, (&three, scale), false, |_| ()).unwrap().is_empty(),
        "two say nothing"
    );
}

#[test]
fn of_many_anchors_a_hundred_are_left_out() {
    let n = 250;
    let comparisons = Comparisons {
        documents: (0..n).map(|place| place.to_string()).collect(),
        judges: vec!["one".into()],
        list: (1..n).map(|place| Comparison::new(place - 1, place, (place % 3 == 0).into())).collect(),
    };
    // Each has a grade of its own, by which it is known again.
    let anchors: Vec<(usize, f64)> = (0..n).map(|place| (place, 1.0 + place as f64 / 100.0)).collect();
    let scale = ScoreScale::continuous(1.0, 5.0);
    let mut heard = Vec::new();
    let hear = |done| heard.push(done);
    let unseen = left_out(&comparisons, &Features::none(n), (&anchors, scale), false, hear).unwrap();
    let grades: Vec<f64> = unseen.iter().map(|&(grade, _)| grade).collect();
    let evenly: Vec<f64> = (0..MOST_LEFT_OUT).map(|place| anchors[place * 5 / 2].1).collect();
    assert_eq!(grades, evenly);
    assert_eq!(heard, (1..=MOST_LEFT_OUT).collect::<Vec<_>>());
}

#[test]
fn fast_variances_are_nearly_those_of_the_whole_covariance() {
    let panel = Panel::new(100, 1.5, 0.7, 10, 1);
    let features = panel.features();
    let known = posterior_with(&features, &panel.list).unwrap();
    let columns = known.covariance(&features, &panel.list).unwrap().columns(&(0..100).collect::<Vec<_>>());
    let columns = columns.unwrap();
    for a in 0..100 {
        let b = (a + 37) % 100;
        let exact = columns[[a, a]] + columns[[b, b]] - 2.0 * columns[[a, b]];
        close(known.difference_variance(a, b) / exact, 1.0, 0.1);
    }
}
