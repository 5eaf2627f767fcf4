//! `evaluate`: agreement of a scorer with human scores.

use anyhow::{Context, Result, anyhow, bail};
use pair2score_data::{Document, DocumentSet, Layout, read_scored};
use pair2score_model::Kernels;
use pair2score_scorer::{Calibration, EmbeddingCache, Scored, Scorer, ScorerError, TraitSettings};
use pair2score_train::calibrate::{self, CalibratedMetrics};
use pair2score_train::intervals::{self, IntervalMetrics};
use pair2score_train::metrics::{RaterAgreement, RegressionMetrics, pair_accuracy_from_scores, regression};
use pair2score_train::{Progress, TrainBackend};
use serde_json::{Value, json};

use super::cell;
use crate::Answer;
use crate::args::EvaluateArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;
use crate::prompts;

/// Prints QWK (both ways), MAE, RMSE, correlations and pair accuracy of each trait.
pub(crate) fn run(args: EvaluateArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Evaluate(args))
}

struct Evaluate(EvaluateArgs);

impl OnDevice for Evaluate {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let scorer = Scorer::<B::InnerBackend>::load(&args.scorer, device)?;
        scorer.check_heads(&args.scorer)?;
        // Each trait, by its place in the scorer, with the column of its labels.
        let columns: Vec<(usize, &str)> = match &args.target {
            None => scorer.settings.targets().enumerate().collect(),
            Some(target) => {
                let place = scorer.settings.place_of(Some(target));
                let place = place.map_err(|problem| anyhow!("{}: {problem}", args.scorer.display()))?;
                vec![(place, target)]
            }
        };
        for (option, given) in [("--label-col", &args.layout.label_col), ("--second-col", &args.second_col)] {
            if let (Some(given), [_, _, ..]) = (given, &columns[..]) {
                bail!(
                    "{option} {given}: the scorer rates {} traits, and that is the column of one; name it with --trait",
                    columns.len()
                );
            }
        }
        let mut layout = Layout::from(args.layout.clone());
        layout.columns.second_rating.clone_from(&args.second_col);
        prompts::check(&args.scorer, &scorer.settings, layout.columns.prompt.is_some(), "--prompt-col")?;
        let read = |&(place, column): &(usize, &str)| {
            let set = read_scored(&args.input, &layout, column, &scorer.settings.traits[place].scale)?;
            if args.require_labels {
                set.require_labels()?;
            }
            Ok(set)
        };
        // One set per trait: the same documents, each time with the labels of one trait.
        let sets = columns.iter().map(read).collect::<Result<Vec<DocumentSet>>>()?;
        let documents = places(&sets[0], &args)?;
        let numbers = Numbers::of(&scorer, &sets, &documents, args.cache.open())?;
        let evaluate = |(&(place, column), set): (&(usize, &str), &DocumentSet)| {
            Evaluation::of(&scorer, place, column, set, &numbers, &documents)
                .with_context(|| args.input.display().to_string())
        };
        let evaluations = columns.iter().zip(&sets).map(evaluate).collect::<Result<Vec<Evaluation>>>()?;
        match (&evaluations[..], args.json) {
            ([evaluation], true) => outln!("{}", evaluation.json()),
            (several, true) => outln!("{}", several.iter().map(Evaluation::json).collect::<Value>()),
            (all, false) => {
                for (place, evaluation) in all.iter().enumerate() {
                    if place > 0 {
                        outln!();
                    }
                    evaluation.print();
                }
            }
        }
        Ok(Answer::Yes)
    }
}

/// Places of the documents to evaluate, with labels or not.
fn places(set: &DocumentSet, args: &EvaluateArgs) -> Result<Vec<usize>> {
    let in_fold = |place: &usize| args.fold.is_none() || set.documents[*place].fold == args.fold;
    let places: Vec<usize> = (0..set.len()).filter(in_fold).collect();
    let known: Vec<&str> = set.folds().into_iter().collect();
    let file = args.input.display();
    match &args.fold {
        Some(fold) if known.is_empty() => bail!(
            "{file}: has no column {:?} with folds, so that nothing is in --fold {fold}; name the column with --fold-col, or \
             add one with `pair2score folds`",
            args.layout.folded.fold_col
        ),
        Some(fold) if places.is_empty() => {
            bail!("{file}: no document is in fold {fold:?}; its folds are {}", known.join(", "))
        }
        _ => Ok(places),
    }
}

/// What a scorer says of documents; `None` of one that has no label in any trait.
struct Numbers(Vec<Option<Said>>);

/// What a scorer says of a document, in each trait.
struct Said {
    scores: Option<Vec<Scored>>,
    utilities: Option<Vec<f64>>,
    /// Whether it was longer than the scorer reads.
    cut: bool,
}

impl Numbers {
    /// Of these places of the documents, of which each set has other labels.
    fn of<B: Kernels>(
        scorer: &Scorer<B>,
        sets: &[DocumentSet],
        places: &[usize],
        cache: Option<EmbeddingCache>,
    ) -> Result<Self> {
        let labelled = |place: &usize| sets.iter().any(|set| set.documents[*place].label.is_some());
        let places: Vec<usize> = places.iter().copied().filter(labelled).collect();
        let document = |place: usize| &sets[0].documents[place];
        let documents: Vec<&Document> = places.iter().map(|&place| document(place)).collect();
        let encoded = scorer.encode(&documents)?;
        let mut progress = Terminal::quiet();
        progress.begin("evaluate", places.len());
        let named = |error: ScorerError| error.of_document(|row| document(places[row]).id.clone());
        let advance = |done| progress.advance(done);
        let (scores, utilities) = match cache {
            Some(cache) => {
                let mut kept = scorer.open_cache(&cache)?;
                let scores = scorer.score_cached(&encoded, &mut kept, advance).map_err(named)?;
                let advance = |done| progress.advance(done);
                (scores, scorer.utilities_cached(&encoded, &mut kept, advance).map_err(named)?)
            }
            None => {
                let scores = scorer.score(&encoded, advance).map_err(named)?;
                (scores, scorer.utilities(&encoded, |done| progress.advance(done)).map_err(named)?)
            }
        };
        progress.end();
        let mut numbers: Vec<Option<Said>> = sets[0].iter().map(|_| None).collect();
        for (row, &place) in places.iter().enumerate() {
            numbers[place] = Some(Said {
                scores: scores.as_ref().map(|scores| scores[row].clone()),
                utilities: utilities.as_ref().map(|utilities| utilities[row].clone()),
                cut: encoded[row].truncated(),
            });
        }
        Ok(Self(numbers))
    }
}

/// How a scorer agrees with people in a trait; what it cannot do, or what is undefined, is `None`.
struct Evaluation {
    target: String,
    documents: usize,
    /// Documents that were left out, since they have no label.
    unlabelled: usize,
    /// Documents that were longer than the scorer reads.
    cut: usize,
    /// Tokens that it reads.
    max_length: usize,
    scores: Option<RegressionMetrics>,
    /// Whether the scale has grades, of which kappas speak.
    has_grades: bool,
    score_accuracy: Option<f64>,
    ranks: bool,
    utility_accuracy: Option<f64>,
    calibrated: Option<(Calibration, CalibratedMetrics)>,
    intervals: Option<IntervalMetrics>,
    raters: Option<RaterAgreement>,
}

impl Evaluation {
    /// Of the trait in a place of the scorer, whose labels a column gave.
    fn of<B: Kernels>(
        scorer: &Scorer<B>,
        place: usize,
        column: &str,
        set: &DocumentSet,
        numbers: &Numbers,
        documents: &[usize],
    ) -> Result<Self> {
        let of @ TraitSettings { scale, calibration, .. } = &scorer.settings.traits[place];
        let labelled = documents.iter().filter_map(|&document| {
            let said = numbers.0[document].as_ref()?;
            let Document { label, second_rating, .. } = &set.documents[document];
            Some((((*label)?, *second_rating), said))
        });
        let (ratings, said): (Vec<(f64, Option<f64>)>, Vec<&Said>) = labelled.unzip();
        let (labels, second_ratings): (Vec<f64>, Vec<Option<f64>>) = ratings.into_iter().unzip();
        if labels.is_empty() {
            bail!("no document has a {column} label, give some");
        }
        let scores = said.iter().map(|said| Some(said.scores.as_ref()?[place].score));
        let scores: Option<Vec<f64>> = scores.collect();
        let utilities: Option<Vec<f64>> =
            said.iter().map(|said| Some(said.utilities.as_ref()?[place])).collect();
        let accuracy = |values: &Option<Vec<f64>>| match values {
            Some(values) => pair_accuracy_from_scores(&labels, values),
            None => Ok(None),
        };
        let calibrated = match (&scores, calibration) {
            (Some(scores), Some(calibration)) => {
                let measured = calibrate::measure(calibration, &labels, scores, scale)?;
                Some((calibration.clone(), measured))
            }
            _ => None,
        };
        Ok(Self {
            target: column.to_owned(),
            documents: labels.len(),
            unlabelled: documents.len() - labels.len(),
            cut: said.iter().filter(|said| said.cut).count(),
            max_length: scorer.settings.max_length,
            has_grades: scale.grades().is_some(),
            score_accuracy: accuracy(&scores)?,
            scores: scores.as_ref().map(|scores| regression(&labels, scores, scale)).transpose()?,
            raters: RaterAgreement::new(&labels, &second_ratings, scale)?,
            intervals: scores.as_ref().and_then(|scores| intervals::measure(of, &labels, scores)),
            ranks: utilities.is_some(),
            utility_accuracy: accuracy(&utilities)?,
            calibrated,
        })
    }

    fn json(&self) -> Value {
        json!({
            "trait": self.target,
            "documents": self.documents,
            "unlabelled": self.unlabelled,
            "truncated": self.cut,
            "qwk": self.scores.and_then(|m| m.qwk_nearest),
            "qwk_floor": self.scores.and_then(|m| m.qwk_floor),
            "mae": self.scores.map(|m| m.mae),
            "rmse": self.scores.map(|m| m.rmse),
            "r2": self.scores.and_then(|m| m.r2),
            "pearson": self.scores.and_then(|m| m.pearson),
            "spearman": self.scores.and_then(|m| m.spearman),
            "pair_accuracy": self.score_accuracy,
            "utility_pair_accuracy": self.utility_accuracy,
            "calibrated": self.calibrated.as_ref().map(|(_, calibrated)| json!({
                "qwk": calibrated.scores.qwk_nearest,
                "qwk_thresholds": calibrated.qwk_thresholds,
                "mae": calibrated.scores.mae,
                "rmse": calibrated.scores.rmse,
                "r2": calibrated.scores.r2,
            })),
            "intervals": self.intervals,
            "raters": self.raters,
        })
    }

    fn print(&self) {
        outln!(
            "{}: {} documents, {} cut at {} tokens",
            self.target,
            self.documents,
            self.cut,
            self.max_length
        );
        if self.unlabelled > 0 {
            outln!("{} documents have no label and are left out", self.unlabelled);
        }
        if let Some(metrics) = self.scores {
            if self.has_grades {
                outln!("QWK (nearest grade)  {}", cell(metrics.qwk_nearest));
                outln!("QWK (floor)          {}", cell(metrics.qwk_floor));
            }
            outln!("MAE                  {:.4}", metrics.mae);
            outln!("RMSE                 {:.4}", metrics.rmse);
            outln!("R²                   {}", cell(metrics.r2));
            outln!("Pearson              {}", cell(metrics.pearson));
            outln!("Spearman             {}", cell(metrics.spearman));
            outln!("pair accuracy        {}", cell(self.score_accuracy));
        }
        if self.ranks {
            outln!("pair accuracy (u)    {}", cell(self.utility_accuracy));
        }
        if let Some((calibration, calibrated)) = &self.calibrated {
            let Calibration { method, documents, .. } = calibration;
            outln!("\ncalibrated ({}, on {documents} unseen documents)", method.name());
            if self.has_grades {
                outln!("QWK (nearest grade)  {}", cell(calibrated.scores.qwk_nearest));
                outln!("QWK (thresholds)     {}", cell(calibrated.qwk_thresholds));
            }
            outln!("MAE                  {:.4}", calibrated.scores.mae);
            outln!("RMSE                 {:.4}", calibrated.scores.rmse);
            outln!("R²                   {}", cell(calibrated.scores.r2));
        }
        if let Some(IntervalMetrics { level, coverage, width }) = self.intervals {
            outln!("\nintervals for {:.0} % of the labels", level * 100.0);
            outln!("labels within        {coverage:.4}");
            outln!("mean width           {width:.4}");
        }
        if let Some(raters) = &self.raters {
            outln!("\ntwo people, {} documents", raters.documents);
            outln!("QWK of both          {}", cell(raters.qwk));
            outln!("reliability          {}", cell(raters.reliability));
            outln!("QWK, perfect scorer  {}", cell(raters.ceiling_perfect));
            outln!("QWK, as a rater errs {}", cell(raters.ceiling_rater));
        }
    }
}
