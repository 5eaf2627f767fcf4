//! How many judgements texts and a scorer save, on real essays: `cargo run --release -p pair2score-data --example
//! posterior_study -- EMBEDDINGS.safetensors ESSAYS.csv TRAIT PART`. `docs/judgements.md` has the figures.
//!
//! The embeddings are those of `pair2score embed`, the essays have folds. Essays are drawn from fold E; the scorer of
//! other essays is a ridge fitted to the rest. A simulated judge sees each essay's label with a normal error of 0.5 per
//! look and decides every time. PART is `random` (pairs at random), `chosen` (pairs that tell most), `nothing` (texts that
//! tell nothing), `coverage` (of the intervals of scores from anchors) or `time`.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ndarray::{Array2, Axis};
use pair2score_data::judgements::select::{AdaptiveOptions, Pairing, adaptive};
use pair2score_data::judgements::simulate::normal;
use pair2score_data::judgements::{Comparison, Features, anchored_scores, posterior_with};
use pair2score_data::{Layout, ScoreScale, pearson, read_labelled, rng};
use pair2score_heads::ridge;
use safetensors::SafeTensors;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SEEDS: u64 = 20;
/// Essays, and the numbers of judgements at which a ranking is compared with the labels.
const CLASSES: [(usize, &[usize]); 3] =
    [(30, &[15, 30, 45, 60, 90, 150, 300]), (100, &[100, 200, 400]), (400, &[400, 1000])];
/// Error of a judge, score units.
const NOISE: f64 = 0.5;
/// Two-sided 95 % of Student's distribution with 19 degrees of freedom.
const T: f64 = 2.093;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [embeddings, essays, target, part] = arguments.as_slice() else {
        return Err("usage: posterior_study EMBEDDINGS.safetensors ESSAYS.csv TRAIT PART".into());
    };
    let study = Study::read(embeddings, essays, target)?;
    match part.as_str() {
        "random" => study.table(false),
        "chosen" => study.table(true),
        "nothing" => study.nothing(),
        "coverage" => study.coverage(),
        "time" => study.time(),
        other => Err(format!("{other:?} is no part; give random, chosen, nothing, coverage or time").into()),
    }
}

/// Essays of fold E, and a scorer of the others.
struct Study {
    embeddings: Array2<f32>,
    labels: Vec<f64>,
    said: Vec<f64>,
}

/// What a ranking may use.
const KNOWN: [&str; 4] = ["judgements alone", "texts", "scorer", "scorer and texts"];

impl Study {
    fn read(embeddings: &str, essays: &str, target: &str) -> Outcome<Self> {
        let bytes = std::fs::read(embeddings)?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let ids = header.metadata().as_ref().and_then(|metadata| metadata.get("ids")).ok_or("no ids")?;
        let ids: Vec<String> = serde_json::from_str(ids)?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let tensor = tensors.tensor("embeddings")?;
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let all = Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values.collect())?;
        let set = read_labelled(Path::new(essays), &Layout::default(), target, &ScoreScale::default())?;
        let (mut inside, mut outside, mut labels, mut others) = (vec![], vec![], vec![], vec![]);
        for (row, id) in ids.iter().enumerate() {
            let Some(document) = set.get(id) else { continue };
            let label = document.label.ok_or("no label")?;
            if document.fold.as_deref() == Some("E") {
                inside.push(row);
                labels.push(label);
            } else {
                outside.push(row);
                others.push(label);
            }
        }
        let targets = Array2::from_shape_vec((others.len(), 1), others)?;
        let head = ridge(all.select(Axis(0), &outside).view(), targets.view(), None)?.remove(0);
        let embeddings = all.select(Axis(0), &inside);
        let said = head.predict(embeddings.view());
        println!(
            "{} essays of fold E, a scorer of {} others: Pearson {:.3}, Spearman {:.3}",
            labels.len(),
            outside.len(),
            pearson(&said, &labels).ok_or("no spread")?,
            spearman(&said, &labels)
        );
        Ok(Self { embeddings, labels, said })
    }

    fn draw(&self, n: usize, seed: u64) -> Class {
        let mut places: Vec<usize> = (0..self.labels.len()).collect();
        rng::shuffle(&mut rng::stream(seed, &["study", "draw"]), &mut places);
        places.truncate(n);
        let some = |values: &[f64]| places.iter().map(|&place| values[place]).collect();
        Class {
            embeddings: self.embeddings.select(Axis(0), &places),
            labels: some(&self.labels),
            said: some(&self.said),
            seed,
        }
    }

    fn table(&self, chosen: bool) -> Outcome<()> {
        println!("Spearman with the labels, means of {SEEDS} seeds ± half of a 95 % interval");
        println!("| Essays | Judgements | {} |", KNOWN.join(" | "));
        for (n, counts) in CLASSES {
            let n = n.min(self.labels.len());
            let mut values = vec![[const { Vec::new() }; 4]; counts.len()];
            for seed in 0..SEEDS {
                let class = self.draw(n, seed);
                for (known, features) in class.features()?.iter().enumerate() {
                    let most = counts[counts.len() - 1];
                    let list = class.judge(features, most, chosen)?;
                    for (count, values) in counts.iter().zip(&mut values) {
                        let fit = posterior_with(features, &list[..*count])?.fit;
                        values[known].push(spearman(&fit.utilities, &class.labels));
                    }
                }
            }
            for (count, values) in counts.iter().zip(&values) {
                let cells: Vec<String> = values.iter().map(|values| interval(values)).collect();
                println!("| {n} | {count} | {} |", cells.join(" | "));
            }
        }
        Ok(())
    }

    /// Texts that tell nothing, against judgements alone: the differences.
    fn nothing(&self) -> Outcome<()> {
        println!("Spearman with texts of other essays in place of their own, less that without any");
        for (n, counts) in [(30, [15, 45, 150]), (100, [100, 200, 400])] {
            for count in counts {
                let mut differences = Vec::new();
                for seed in 0..SEEDS {
                    let class = self.draw(n, seed);
                    let features = class.features()?;
                    let list = class.judge(&features[0], count, false)?;
                    let other = self.draw(n, seed + 1000).embeddings;
                    let nothing = Features::new(None, Some(other.view()))?;
                    let of = |features: &Features| -> Outcome<f64> {
                        Ok(spearman(&posterior_with(features, &list)?.fit.utilities, &class.labels))
                    };
                    differences.push(of(&nothing)? - of(&features[0])?);
                }
                println!("| {n} | {count} | {} |", interval(&differences));
            }
        }
        Ok(())
    }

    /// The share of labels within the 90 % intervals of scores from anchors.
    fn coverage(&self) -> Outcome<()> {
        let scale = ScoreScale::default();
        let grades = scale.grades().ok_or("no grades")?;
        println!(
            "share of labels in their 90 % interval, its mean width, RMSE; 50 draws, 60 essays of which 40 are judged"
        );
        for (judgements, anchors) in [(60, 5), (120, 5), (120, 10), (400, 10)] {
            for (known, name) in KNOWN.iter().enumerate() {
                let (mut inside, mut judged, mut width, mut squares, mut all) =
                    (0.0, [0.0; 2], 0.0, 0.0, 0.0);
                let mut by_grade = vec![[0.0; 2]; grades.n_grades()];
                for seed in 0..50 {
                    let class = self.draw(60, seed);
                    let features = &class.features()?[known];
                    let list = class.judge_first(40, judgements)?;
                    let known = posterior_with(features, &list)?;
                    let given: Vec<(usize, f64)> =
                        (0..anchors).map(|place| (4 * place, class.labels[4 * place])).collect();
                    let covariance = known.covariance(features, &list)?;
                    let scores = anchored_scores(&known.fit, &covariance, &given, &scale)?.scores;
                    for (document, score) in scores.iter().enumerate() {
                        if given.iter().any(|anchor| anchor.0 == document) {
                            continue;
                        }
                        let label = class.labels[document];
                        let hit = f64::from(score.low <= label && label <= score.high);
                        inside += hit;
                        all += 1.0;
                        width += score.high - score.low;
                        squares += (score.score - label).powi(2);
                        if document < 40 {
                            judged[0] += hit;
                            judged[1] += 1.0;
                        }
                        let grade = grades.index_nearest(label);
                        by_grade[grade][0] += hit;
                        by_grade[grade][1] += 1.0;
                    }
                }
                let by_grade: Vec<String> = by_grade
                    .iter()
                    .enumerate()
                    .filter(|(_, [_, all])| *all > 0.0)
                    .map(|(grade, [hits, all])| format!("{} {:.2} ({all})", grades.grade(grade), hits / all))
                    .collect();
                println!(
                    "| {judgements} | {anchors} | {} | {:.3} | judged {:.3} | {:.2} | {:.3} | {}",
                    name,
                    inside / all,
                    judged[0] / judged[1],
                    width / all,
                    f64::sqrt(squares / all),
                    by_grade.join(", ")
                );
            }
        }
        Ok(())
    }

    fn time(&self) -> Outcome<()> {
        for (n, count) in [(30, 45), (200, 600), (600, 2000), (5000, 10_000)] {
            // Larger than the study: rows come again, a little different.
            let mut random = rng::stream(1, &["study", "time"]);
            let places: Vec<usize> = (0..n).map(|place| place % self.labels.len()).collect();
            let mut embeddings = self.embeddings.select(Axis(0), &places);
            embeddings.mapv_inplace(|x| x * (1.0 + 0.1 * normal(&mut random) as f32));
            let labels = places.iter().map(|&place| self.labels[place]).collect();
            let said = places.iter().map(|&place| self.said[place]).collect();
            let class = Class { embeddings, labels, said, seed: 1 };
            let started = Instant::now();
            let features = Features::new(Some(&class.said), Some(class.embeddings.view()))?;
            let prepared = started.elapsed();
            let list = class.judge_first(n, count)?;
            let started = Instant::now();
            let known = posterior_with(&features, &list)?;
            let fitted = started.elapsed();
            let started = Instant::now();
            let errors = known.covariance(&features, &list)?.standard_errors()?;
            let exact = started.elapsed();
            let started = Instant::now();
            let pairs = adaptive(&list, &known, n / 10, &AdaptiveOptions::of(&known), 1);
            println!(
                "{n} essays, {count} judgements: features {prepared:.2?}, posterior {fitted:.2?}, {} standard errors \
                 {exact:.2?}, {} pairs {:.2?}; s {:.2}, r {:.2}, scorer {:.2}",
                errors.len(),
                pairs.len(),
                started.elapsed(),
                known.fit.options.prior_sd,
                known.fit.options.text_sd,
                known.fit.coefficients[0],
            );
        }
        Ok(())
    }
}

/// The essays of one draw.
struct Class {
    embeddings: Array2<f32>,
    labels: Vec<f64>,
    said: Vec<f64>,
    seed: u64,
}

impl Class {
    /// In the order of [`KNOWN`].
    fn features(&self) -> Outcome<[Features; 4]> {
        let (said, rows) = (Some(self.said.as_slice()), Some(self.embeddings.view()));
        Ok([
            Features::none(self.labels.len()),
            Features::new(None, rows)?,
            Features::new(said, None)?,
            Features::new(said, rows)?,
        ])
    }

    fn judge(&self, features: &Features, count: usize, chosen: bool) -> Outcome<Vec<Comparison>> {
        let n = self.labels.len();
        if !chosen {
            return self.judge_first(n, count);
        }
        let mut list = Vec::new();
        let batch = (n / 30).max(1);
        while list.len() < count {
            let known = posterior_with(features, &list)?;
            let options = AdaptiveOptions::of(&known);
            let pairs = adaptive(&list, &known, batch.min(count - list.len()), &options, self.seed);
            for pair in pairs {
                list.push(self.answer(pair, list.len()));
            }
        }
        Ok(list)
    }

    /// Random pairs of the first `n`.
    fn judge_first(&self, n: usize, count: usize) -> Outcome<Vec<Comparison>> {
        let mut rng = rng::stream(self.seed, &["study", "pairs"]);
        let pair = |place| {
            let a = rng::below(&mut rng, n);
            self.answer((a, (a + 1 + rng::below(&mut rng, n - 1)) % n), place)
        };
        Ok((0..count).map(pair).collect())
    }

    fn answer(&self, (a, b): Pairing, place: usize) -> Comparison {
        let mut rng = rng::stream(self.seed, &["study", "answer", &place.to_string()]);
        let seen = self.labels[a] - self.labels[b] + NOISE * (normal(&mut rng) - normal(&mut rng));
        Comparison::new(a, b, f64::from(seen > 0.0))
    }
}

fn interval(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    format!("{mean:.3} ± {:.3}", T * (variance / n).sqrt())
}

/// The correlation of ranks, equal values sharing theirs.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    pearson(&ranks(a), &ranks(b)).unwrap_or(0.0)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        below + values.iter().filter(|other| *other == value).count() as f64 / 2.0
    };
    values.iter().map(rank).collect()
}
