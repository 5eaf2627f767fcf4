//! One linear map from labels and judgements together.
//!
//! The value of document `i` is `fᵢ = b + xᵢ · w + δᵢ`: what its standardised embedding says, and what the text does
//! not tell. A label is `fᵢ` with a normal error of variance σ²; a judgement says that `a` is better than `b` with
//! probability `sigmoid(κ · (f_a − f_b))`, where κ is the slope of judges per unit of the label. `w` and δ have normal
//! priors of variances τ² and ν². A document that is labelled and judged has one δ for both: without it, the same
//! peculiarity of a text would count as evidence twice, and many judgements would make the map worse.
//!
//! The posterior is taken for the normal distribution that is nearest to it (Opper and Archambeau 2009), whose mean gives
//! the map. The four numbers τ², ν², σ² and κ maximise the evidence under it, step by step (MacKay 1992 for τ²,
//! expectation maximisation for the others). A normal distribution around the maximum of the posterior instead, which is
//! simpler, takes the few judgements of a document for surer than they are: ν² shrinks, κ grows without end, and the map
//! with it shrinks to a fraction of the scale that labels ask for.
//!
//! Judges who never err say nothing about the scale, and the normal approximation then finds ν² a little too large in
//! every round. Where there are labels, ν² is therefore at most what the texts leave of the variance of the labels (a
//! quarter of it at least), and κ alone says how sure judges are.
//!
//! Without judgements this is the [`ridge()`], whose penalty cross-validation chooses. Without labels it is
//! the head of stage 1: κ is 1, values are utilities in logits, and there is no intercept.

mod evidence;
mod newton;

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use crate::{HeadError, Ridge, Standardisation, ridge};
use newton::{Data, Maximum, REACHED};

/// One answer about two documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Row of the first document.
    pub a: usize,
    /// Row of the second document, not `a`.
    pub b: usize,
    /// 1 when `a` is better, 0 when `b` is, 0.5 for a tie.
    pub y: f64,
    /// How much the answer counts, above 0; 1 is one answer of a reliable judge.
    pub weight: f64,
}

/// The variances and the slope of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variances {
    /// τ²: of a weight of standardised embeddings.
    pub weight: f64,
    /// ν²: of what the text does not tell.
    pub untold: f64,
    /// σ²: of the error of a label.
    pub label: f64,
    /// κ: logits per unit of the label.
    pub slope: f64,
}

/// A fitted head.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// `[d]`, for embeddings as they are: standardisation is folded in.
    pub weights: Array1<f64>,
    /// In units of the label; 0 without labels.
    pub intercept: f64,
    /// What the evidence chose, in units of the label; `None` for a ridge.
    pub variances: Option<Variances>,
    /// Per document with a label, in the order given, what the head says of it without that label. Its judgements
    /// count.
    pub leave_one_out: Vec<f64>,
}

/// Rounds of the four numbers: a few dozen settle them.
const ROUNDS: usize = 50;

/// They are settled when none changes by more than this share.
const SETTLED: f64 = 5e-3;

/// Between rounds the mean need not be nearer than this, as a gain of the log-posterior.
const NEAR: f64 = 1e-3;

/// Fits one head to the labels and judgements of documents.
///
/// # Shapes
/// - embeddings: `[n, d]`
/// - labels: one per document, in any units; `None` where it has none
///
/// # Errors
/// With neither judgements nor three labels, or a number that is not finite.
///
/// # Panics
/// When a judgement names a row that is not there, or one document twice.
pub fn joint(
    embeddings: ArrayView2<'_, f32>,
    labels: &[Option<f64>],
    judgements: &[Judgement],
) -> Result<Joint, HeadError> {
    assert_eq!(embeddings.nrows(), labels.len(), "as many labels as embeddings");
    let known: Vec<usize> = (0..labels.len()).filter(|&row| labels[row].is_some()).collect();
    let labelled = !known.is_empty();
    if let Some(&row) = known.iter().find(|&&row| !labels[row].is_some_and(f64::is_finite)) {
        return Err(HeadError::NotFinite { row, what: "a label" });
    }
    if judgements.is_empty() {
        return from_labels(embeddings, labels, &known);
    }
    let standardisation = Standardisation::of(embeddings)?;
    let units = Units::of(labels, &known);
    // A column of ones for the intercept.
    let x = standardisation.apply(embeddings);
    let x = concatenate(Axis(1), &[x.view(), Array2::ones((labels.len(), 1)).view()]).expect("as many rows");
    let labels: Vec<Option<f64>> =
        labels.iter().map(|label| label.map(|label| units.standard(label))).collect();
    let mut data = Data::new(x, &labels, judgements);
    let mut variances = start(embeddings.ncols(), labelled);
    let mut maximum = data.maximum(&variances, None, NEAR);
    let mut path = Path::default();
    for _ in 0..ROUNDS {
        let (next, spread) = evidence::better(&data, &maximum, &variances, labelled);
        let settled = variances.is_near(&next);
        variances = path.ahead(&variances, &next);
        variances.untold = variances.untold.min(evidence::most_untold(&data, &maximum.weights, labelled));
        data.spread = spread;
        maximum = data.maximum(&variances, Some(&maximum), NEAR);
        if settled {
            break;
        }
    }
    maximum = data.maximum(&variances, Some(&maximum), REACHED);
    let leave_one_out = evidence::without_label(&data, &maximum, &variances);
    Ok(units.joint(&standardisation, &maximum, variances, leave_one_out))
}

/// Without judgements: the ridge of the labelled documents.
fn from_labels(
    embeddings: ArrayView2<'_, f32>,
    labels: &[Option<f64>],
    labelled: &[usize],
) -> Result<Joint, HeadError> {
    let known: Vec<f64> = labels.iter().copied().flatten().collect();
    let targets = Array1::from(known).insert_axis(Axis(1));
    let heads = ridge(embeddings.select(Axis(0), labelled).view(), targets.view(), None).map_err(
        |error| match error {
            HeadError::NotFinite { row, what } => HeadError::NotFinite { row: labelled[row], what },
            error => error,
        },
    )?;
    let Ridge { weights, intercept, leave_one_out, .. } =
        heads.into_iter().next().expect("one target, one head");
    Ok(Joint { weights, intercept, variances: None, leave_one_out })
}

/// Where the four numbers begin, on labels of deviation 1: texts tell all of it, and judges see a difference of one
/// deviation seven times of eight. From smaller weights the slope would run away before they have grown.
fn start(d: usize, labelled: bool) -> Variances {
    let slope = if labelled { evidence::USUAL_SLOPE } else { 1.0 };
    Variances { weight: 1.0 / d as f64, untold: 0.25, label: 0.25, slope }
}

impl Variances {
    /// Whether none differs by more than a share of itself, and the error of labels by more than a share of all that
    /// is between a text and its label: of labels without an error it goes to 0 for ever.
    fn is_near(&self, other: &Self) -> bool {
        let pairs = [(self.weight, other.weight), (self.untold, other.untold), (self.slope, other.slope)];
        let all = self.untold + self.label;
        pairs.into_iter().all(|(a, b)| (a / b).ln().abs() < SETTLED)
            && (self.label - other.label).abs() < SETTLED * all
    }

    fn logarithms(&self) -> [f64; 4] {
        [self.weight, self.untold, self.label, self.slope].map(f64::ln)
    }

    fn from_logarithms(logarithms: [f64; 4]) -> Self {
        let [weight, untold, label, slope] = logarithms.map(f64::exp);
        Self { weight, untold, label, slope }
    }
}

/// The way of the four numbers. Expectation maximisation nears its end by the same share in each round, a few per cent
/// where judgements are few, so every third round goes on to where the last two lead (Aitken 1926), each logarithm by itself.
#[derive(Default)]
struct Path {
    /// Changes of the logarithms since the path last went ahead.
    changes: Vec<[f64; 4]>,
}

impl Path {
    /// How many rounds one may stand for.
    const FURTHEST: f64 = 20.0;

    /// The longest way in one round, in logarithms.
    const LONGEST: f64 = 1.0;

    fn ahead(&mut self, now: &Variances, next: &Variances) -> Variances {
        let (from, to) = (now.logarithms(), next.logarithms());
        let change: [f64; 4] = std::array::from_fn(|part| to[part] - from[part]);
        let Some(before) = self.changes.get(1) else {
            self.changes.push(change);
            return *next;
        };
        let goes = |part: usize| {
            let ratio = change[part] / before[part];
            let rounds =
                if (0.0..1.0).contains(&ratio) { (1.0 / (1.0 - ratio)).min(Self::FURTHEST) } else { 1.0 };
            from[part] + (change[part] * rounds).clamp(-Self::LONGEST, Self::LONGEST)
        };
        let ahead = Variances::from_logarithms(std::array::from_fn(goes));
        self.changes.clear();
        ahead
    }
}

/// Labels with mean 0 and deviation 1, in which the four numbers have a usual size.
struct Units {
    mean: f64,
    deviation: f64,
}

impl Units {
    fn of(labels: &[Option<f64>], labelled: &[usize]) -> Self {
        let known: Vec<f64> = labels.iter().copied().flatten().collect();
        if labelled.is_empty() {
            return Self { mean: 0.0, deviation: 1.0 };
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let variance = known.iter().map(|label| (label - mean).powi(2)).sum::<f64>() / known.len() as f64;
        Self { mean, deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 } }
    }

    fn standard(&self, label: f64) -> f64 {
        (label - self.mean) / self.deviation
    }

    fn joint(
        &self,
        standardisation: &Standardisation,
        maximum: &Maximum,
        variances: Variances,
        leave_one_out: Vec<f64>,
    ) -> Joint {
        let d = maximum.weights.len() - 1;
        let weights = maximum.weights.slice(ndarray::s![..d]).mapv(|weight| weight * self.deviation);
        let (weights, shift) = standardisation.fold(weights.view());
        let no_label = leave_one_out.is_empty();
        let intercept = self.mean + self.deviation * maximum.weights[d] + shift;
        let square = self.deviation.powi(2);
        Joint {
            weights,
            intercept: if no_label { 0.0 } else { intercept },
            variances: Some(Variances {
                weight: variances.weight * square,
                untold: variances.untold * square,
                label: variances.label * square,
                slope: variances.slope / self.deviation,
            }),
            leave_one_out: leave_one_out.iter().map(|value| self.mean + self.deviation * value).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
