//! The texts that every export is checked with, and how far two sets of numbers may be apart.

use std::cmp::Ordering;
use std::ops::Range;

use pair2score_corpus as corpus;
use pair2score_model::Kernels;
use pair2score_scorer::{Scored, Scorer};

use crate::{ExportError, Rounding};

/// Essays of the demonstration among the golden texts.
const ESSAYS: usize = 16;

/// Texts that are no essays: empty, blank, short, in other scripts, with odd spacing and with names of special tokens.
const ODD: [&str; 13] = [
    "",
    " ",
    "a",
    "Yes.",
    "No, it is not; 42 % of them (at least) said so!",
    "First line.\n\nSecond paragraph,\twith a tab.\r\nThird line.",
    "Der Fluß fließt über die Straße – täglich.",
    "Déjà vu à l’école : « ça va ? »",
    "Нет ничего лучше хорошей книги.",
    "这是一篇很短的作文。",
    "هذا نص قصير جدا.",
    "🙂👩‍👩‍👧 e\u{301} \u{200b}\u{fffd}",
    "He said <|end_of_text|> and </s> and [PAD] and left.",
];

/// A text of one word. No token of it stands out for attention to rest on, so that the last digits of the weights decide
/// what it comes to: in SmolLM2-135M, f16 moves its score ten times as far as that of any other text, and 8 bits move it by
/// an eighth of the scale. So it tells an export from its scorer only where no weight is rounded.
const REPEATED: &str = "word word word word word word word word word word word word word word word word";

/// Texts of every kind a scorer meets: essays, two longer than most scorers read, and the odd ones.
pub fn texts() -> Vec<String> {
    let essays: Vec<String> =
        corpus::generate(corpus::SEED, ESSAYS).into_iter().map(|essay| essay.text).collect();
    let long = [essays[..4].join("\n\n"), essays.join(" ")];
    ODD.into_iter().chain([REPEATED]).map(str::to_owned).chain(long).chain(essays).collect()
}

/// What a scorer says about the golden texts, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// In rubric units, of each text a score per trait; `None` where there are none.
    pub scores: Option<Vec<Vec<f64>>>,
    /// The scores as the scorer's calibrations correct them; `None` where a trait has none.
    pub calibrated: Option<Vec<Vec<f64>>>,
    /// Utilities of stage 1, unitless; `None` where there is no stage 1.
    pub utilities: Option<Vec<Vec<f64>>>,
    /// The embedding of each text, of a scorer that says nothing; else `None`.
    pub embeddings: Option<Vec<Vec<f64>>>,
}

/// What explains differences of the numbers of a trait: its scale, and how much its calibration stretches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The ends of the scale. Beyond them a score says no more than that it is beyond: a linear head gives a single letter
    /// -18 of 1 to 5.
    pub(crate) scale: (f64, f64),
    /// The largest slope of its calibration.
    pub(crate) steepest: f64,
}

impl Numbers {
    /// Those of a scorer.
    ///
    /// # Errors
    /// When its tokenizer cannot encode a text, or a number is not finite.
    pub fn of<B: Kernels>(scorer: &Scorer<B>) -> Result<Self, ExportError> {
        let documents = scorer.encode(&texts())?;
        let scores = scorer.score(&documents, |_| ())?;
        let calibrated = |scored: &Scored| Some(scored.calibrated?.score);
        let row = |scores: &Vec<Scored>| scores.iter().map(calibrated).collect::<Option<Vec<f64>>>();
        let raw = |scores: &Vec<Scored>| scores.iter().map(|scored| scored.score).collect();
        let embeddings = match scorer.says_something() {
            true => None,
            false => {
                let rows = scorer.embed_and_say(&documents, |_| ())?;
                let of_text = |row: &[f32]| row.iter().map(|&number| number.into()).collect();
                Some(rows.chunks(rows.len() / documents.len()).map(of_text).collect())
            }
        };
        Ok(Self {
            embeddings,
            calibrated: scores.as_ref().and_then(|scores| scores.iter().map(row).collect()),
            scores: scores.map(|scores| scores.iter().map(raw).collect()),
            utilities: scorer.utilities(&documents, |_| ())?,
        })
    }

    /// Differences of the scores within their scale, of the calibrated scores, of the utilities and of the embeddings, each
    /// where both sides have them: of the trait, and of the essays or the odd texts, that come closest to their tolerance.
    /// The tolerance is a share of the width of a trait's scale, and calibration makes a difference at most so many times as
    /// large as it is steep. Utilities count within the range of those of essays, and embeddings have no scale: theirs is
    /// their own spread. Both at least 1.
    pub(crate) fn differences(
        &self,
        other: &Self,
        rounding: Rounding,
        spans: &[Span],
    ) -> [Option<Difference>; 4] {
        type Rows = Option<Vec<Vec<f64>>>;
        // The range in which numbers count, and how many times as large as there a difference may be.
        let compare =
            |a: &Rows, b: &Rows, range: fn(&Span, &[f64]) -> (f64, f64), steepest: fn(&Span) -> f64| {
                let (a, b) = (a.as_ref()?, b.as_ref()?);
                let of_trait = |(place, span): (usize, &Span)| {
                    let column = |rows: &Vec<Vec<f64>>| rows.iter().map(|row| row[place]).collect::<Vec<_>>();
                    let (a, b) = (column(a), column(b));
                    let (low, high) = range(span, &a);
                    let within = |values: Vec<f64>| -> Vec<f64> {
                        let meant =
                            |value: f64| if value.is_finite() { value.clamp(low, high) } else { value };
                        values.into_iter().map(meant).collect()
                    };
                    Difference::of_texts(1, &within(a), &within(b), rounding, (high - low) * steepest(span))
                };
                spans.iter().enumerate().map(of_trait).max_by(Difference::nearer)
            };
        [
            compare(&self.scores, &other.scores, |span, _| span.scale, |_| 1.0),
            compare(&self.calibrated, &other.calibrated, |span, _| span.scale, |span| span.steepest.max(1.0)),
            compare(&self.utilities, &other.utilities, |_, utilities| range_of_essays(utilities), |_| 1.0),
            self.embeddings.as_ref().zip(other.embeddings.as_ref()).map(|(a, b)| {
                let width = a.first().map_or(1, Vec::len);
                let [a, b] = [a, b].map(|rows| rows.concat());
                Difference::of_texts(width, &a, &b, rounding, spread(&a).max(1.0))
            }),
        ]
    }
}

/// The utilities of the essays among the golden texts, and so far beyond that one of two texts is preferred with a
/// probability of 0.999. Further out a utility says no more than that: a head may give a single letter -200.
fn range_of_essays(utilities: &[f64]) -> (f64, f64) {
    const CERTAIN: f64 = 7.0;
    let (low, high) = ends(utilities.get(ODD.len() + 1..).unwrap_or(utilities));
    (low - CERTAIN, high + CERTAIN)
}

fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)))
}

fn spread(values: &[f64]) -> f64 {
    let (low, high) = ends(values);
    high - low
}

/// How far two lists of numbers are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Absolute; infinite where a number is not finite.
    pub largest: f64,
    /// Mean of the absolute differences.
    pub mean: f64,
    /// What the precision explains.
    pub tolerance: f64,
}

impl Difference {
    /// Of the golden texts, each with `width` numbers: that of the essays, that of the odd texts or that of the repeated word,
    /// whichever is nearest to its tolerance, which is a share of `unit`.
    fn of_texts(width: usize, a: &[f64], b: &[f64], rounding: Rounding, unit: f64) -> Self {
        let end = |texts: usize| (texts * width).min(a.len());
        let [odd, essays] = [end(ODD.len()), end(ODD.len() + 1)];
        let few = rounding.tolerance_of_few_tokens() * unit;
        let of_repeated = if rounding.is_none() { few } else { f64::MAX };
        let of = |texts: Range<usize>, tolerance| Self::new(&a[texts.clone()], &b[texts], tolerance);
        // Of equals the last is taken.
        let parts =
            [of(odd..essays, of_repeated), of(essays..a.len(), rounding.tolerance() * unit), of(0..odd, few)];
        parts.into_iter().max_by(Self::nearer).expect("there are three")
    }

    /// Orders differences by how near they come to their tolerances.
    fn nearer(a: &Self, b: &Self) -> Ordering {
        let share = |difference: &Self| difference.largest / difference.tolerance;
        share(a).total_cmp(&share(b))
    }

    fn new(a: &[f64], b: &[f64], tolerance: f64) -> Self {
        assert_eq!(a.len(), b.len(), "both are numbers of the same texts");
        let apart =
            |(a, b): (&f64, &f64)| Some((a - b).abs()).filter(|d| d.is_finite()).unwrap_or(f64::INFINITY);
        let differences: Vec<f64> = a.iter().zip(b).map(apart).collect();
        let largest = differences.iter().copied().fold(0.0, f64::max);
        Self { largest, mean: differences.iter().sum::<f64>() / differences.len() as f64, tolerance }
    }

    /// Whether rounding explains it.
    pub fn passes(&self) -> bool {
        self.largest <= self.tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Precision, Quantization};

    const F32: Rounding = Rounding { precision: Precision::F32, quantize: None };
    const BF16: Rounding = Rounding { precision: Precision::Bf16, quantize: None };

    #[test]
    fn texts_are_a_few_dozen_and_differ() {
        let mut texts = texts();
        let n = texts.len();
        assert!((24..=64).contains(&n), "{n}");
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), n);
        assert!(texts.iter().any(String::is_empty) && texts.iter().any(|text| text.len() > 5000));
    }

    #[test]
    fn a_number_that_is_none_never_passes() {
        assert!(Difference::new(&[1.0, 2.0], &[1.0, 2.5], 0.5).passes());
        assert!(!Difference::new(&[1.0, 2.0], &[1.0, 2.6], 0.5).passes());
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(!Difference::new(&[1.0, bad], &[1.0, bad], 0.5).passes());
            assert!(!Difference::new(&[1.0, 2.0], &[1.0, bad], 0.5).passes());
        }
    }

    #[test]
    fn each_kind_of_number_has_its_own_tolerance() {
        let numbers = |shift: f64| Numbers {
            scores: Some(vec![vec![1.0], vec![4.0 + shift]]),
            calibrated: Some(vec![vec![1.0], vec![4.0 + shift]]),
            utilities: Some(vec![vec![-50.0], vec![50.0 + shift]]),
            embeddings: None,
        };
        let [scores, calibrated, utilities, _] =
            numbers(0.0).differences(&numbers(0.01), F32, &[Span { scale: (1.0, 5.0), steepest: 10.0 }]);
        assert!(!scores.unwrap().passes());
        assert!(calibrated.unwrap().passes());
        assert!(utilities.unwrap().passes());
        let none = Numbers { scores: None, calibrated: None, utilities: None, embeddings: None };
        let span = Span { scale: (1.0, 5.0), steepest: 1.0 };
        assert_eq!(numbers(0.0).differences(&none, F32, &[span]), [None; 4]);
    }

    #[test]
    fn utilities_far_beyond_those_of_essays_are_the_end_of_their_range() {
        let numbers = |odd: f64, essay: f64| {
            let mut utilities = vec![vec![0.0]; texts().len()];
            utilities[0] = vec![odd];
            *utilities.last_mut().unwrap() = vec![essay];
            Numbers { scores: None, calibrated: None, utilities: Some(utilities), embeddings: None }
        };
        let difference = |odd: f64, essay: f64| {
            let spans = [Span { scale: (1.0, 5.0), steepest: 1.0 }];
            numbers(-200.0, 6.0).differences(&numbers(odd, essay), BF16, &spans)[2].unwrap()
        };
        // Essays from 0 to 6, and 7 beyond: a range of 20.
        assert_eq!((difference(-192.0, 6.0).largest, difference(-192.0, 6.0).tolerance), (0.0, 0.5));
        assert_eq!(difference(-6.0, 6.0).largest, 1.0);
        assert!(!difference(-200.0, 5.4).passes());
        assert_eq!(difference(f64::NAN, 6.0).largest, f64::INFINITY);
    }

    #[test]
    fn scores_beyond_the_scale_are_its_end() {
        let scores = |first: f64| Numbers {
            scores: Some(vec![vec![first]]),
            calibrated: None,
            utilities: None,
            embeddings: None,
        };
        let largest = |a: f64, b: f64| {
            let spans = [Span { scale: (1.0, 5.0), steepest: 1.0 }];
            scores(a).differences(&scores(b), F32, &spans)[0].unwrap().largest
        };
        assert_eq!(largest(-18.0, -18.3), 0.0);
        assert_eq!(largest(0.5, 1.25), 0.25);
        assert_eq!(largest(f64::NAN, -18.0), f64::INFINITY);
        assert_eq!(largest(f64::NEG_INFINITY, -18.0), f64::INFINITY);
    }

    /// What 8 bits round is alike for no two tokens, so that a text of one token is allowed more than an essay.
    #[test]
    fn essays_are_held_tighter_than_texts_of_a_few_tokens() {
        let q8 = Rounding { precision: Precision::F32, quantize: Some(Quantization::Q8) };
        let passes = |place: usize, shift: f64, rounding: Rounding| {
            let scores = |shift: f64| {
                let mut rows = vec![vec![3.0]; texts().len()];
                rows[place][0] += shift;
                Numbers { scores: Some(rows), calibrated: None, utilities: None, embeddings: None }
            };
            let spans = [Span { scale: (1.0, 5.0), steepest: 1.0 }];
            scores(0.0).differences(&scores(shift), rounding, &spans)[0].unwrap().passes()
        };
        let essay = texts().len() - 1;
        assert!(passes(0, 0.2, q8) && !passes(0, 0.25, q8));
        assert!(passes(essay, 0.06, q8) && !passes(essay, 0.07, q8));
        assert!(!passes(0, 0.06, F32) && !passes(essay, 0.06, F32));
        // No rounded weight decides about the word that is repeated, but it must come to a number.
        assert!(
            passes(ODD.len(), 0.5, q8) && !passes(ODD.len(), 0.06, F32) && !passes(ODD.len(), f64::NAN, q8)
        );
    }
}
