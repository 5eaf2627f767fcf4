//! Variances that explain the data better, from the normal approximation of the posterior.
//!
//! With the factors of `newton`, the covariance of the weights is `Q⁻¹`, that of the values of judged documents
//! `S⁻¹ + P Q⁻¹ Pᵀ` with `P = S⁻¹A / ν²`, and that of δ `S⁻¹ + (A − P) Q⁻¹ (A − P)ᵀ`.

use ndarray::{Array1, Array2, ArrayView1, s};

use super::Variances;
use super::newton::{Curvature, Data, Maximum, softplus};

/// Judges of labels with deviation 1 tell documents apart that differ by about one.
pub(super) const USUAL_SLOPE: f64 = 2.0;

/// The slope lies within this factor of the usual one: beyond, judges guess, or never err.
const SLOPE_FACTOR: f64 = 25.0;

/// The smallest share that a variance may have of that of the labels (of a logit, without labels).
const SMALLEST: f64 = 1e-4;

/// The share of the variance of labels that ν² may have whatever the texts tell: of few labels, that variance is known
/// roughly.
const UNTOLD_AT_ANY_RATE: f64 = 0.25;

/// The largest ν²: with labels, what the texts leave of their variance, which is 1 in these units. Judges who never err
/// give no scale: twice the values with half the slope explain their judgements as well. Without a bound the few labels
/// among many judged documents would lose, ν² would grow and the map with it; with one, the slope takes the slack.
pub(super) fn most_untold(data: &Data, weights: &Array1<f64>, labelled: bool) -> f64 {
    if !labelled {
        return f64::INFINITY;
    }
    (1.0 - data.a.dot(weights).var(0.0)).clamp(UNTOLD_AT_ANY_RATE, 1.0)
}

/// The next four numbers, where without labels those of labels stay, and the spread of every judgement.
pub(super) fn better(
    data: &Data,
    maximum: &Maximum,
    variances: &Variances,
    labelled: bool,
) -> (Variances, Vec<f64>) {
    let known = Known::new(data, &maximum.curvature);
    let d = maximum.weights.len() - 1;
    let weights = maximum.weights.slice(s![..d]);
    let undecided: f64 = known.q_inverse_lower.slice(s![.., ..d]).iter().map(|value| value * value).sum();
    let decided = (d as f64 - undecided / variances.weight).max(1e-3);
    // What texts tell varies about as much as labels do, or within ten logits.
    let most = if labelled { 4.0 } else { 100.0 };
    let weight = (weights.dot(&weights) / decided).clamp(SMALLEST / d as f64, most / d as f64);
    let Variances { untold, label, .. } = *variances;
    let sum = untold + label;
    // Squares of what is untold, and of the errors of labels: their expectation over the posterior.
    let mut untold_squares: f64 = maximum
        .untold
        .iter()
        .zip(&known.untold_variances)
        .map(|(mean, variance)| mean * mean + variance)
        .sum();
    let values = data.values(&maximum.weights, &maximum.untold);
    let judged_errors = data.a_labels.iter().zip(values.iter().zip(&known.value_variances));
    let mut label_squares: f64 = judged_errors
        .filter_map(|(label, (value, variance))| label.map(|label| (label - value).powi(2) + variance))
        .sum();
    let errors = &data.c_labels - &data.c.dot(&maximum.weights);
    for (error, variance) in errors.iter().zip(&known.other_variances) {
        let square = (error * error + variance) / (sum * sum);
        untold_squares += untold * untold * square + untold * label / sum;
        label_squares += label * label * square + untold * label / sum;
    }
    let documents = (data.a.nrows() + data.c.nrows()) as f64;
    let next = Variances {
        weight,
        untold: (untold_squares / documents).max(SMALLEST).min(most_untold(data, &maximum.weights, labelled)),
        label: if labelled { (label_squares / data.labelled.len() as f64).max(SMALLEST) } else { label },
        slope: if labelled { slope(data, &values, &known, variances.slope) } else { 1.0 },
    };
    (next, known.difference_variances)
}

/// Places and weights of the Gauss–Hermite rule of seven places, for an expectation over a standard normal number: those
/// at 0 and above.
const NORMAL: [(f64, f64); 4] = [
    (0.0, 0.457_142_857_142_857_2),
    (1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (3.750_439_717_725_742, 0.000_548_268_855_972_2),
];

/// Expectation of [`softplus`] over a normal number.
pub(super) fn expected_softplus(mean: f64, deviation: f64) -> f64 {
    let both = |(place, weight): &(f64, f64)| {
        let sides = softplus(mean + deviation * place) + softplus(mean - deviation * place);
        weight * if *place == 0.0 { sides / 2.0 } else { sides }
    };
    NORMAL.iter().map(both).sum()
}

/// The slope that maximises the expected log-likelihood of the judgements, by a search over its logarithm.
fn slope(data: &Data, values: &Array1<f64>, known: &Known, now: f64) -> f64 {
    let expected = |log_slope: f64| -> f64 {
        let slope = log_slope.exp();
        let judgements = data.judgements.iter().zip(&known.difference_variances);
        let likelihood: f64 = judgements
            .map(|(judgement, variance)| {
                let logit = slope * (values[judgement.a] - values[judgement.b]);
                judgement.weight * (judgement.y * logit - expected_softplus(logit, slope * variance.sqrt()))
            })
            .sum();
        // A prior whose deviation is a factor of e.
        likelihood - (log_slope - USUAL_SLOPE.ln()).powi(2) / 2.0
    };
    // Golden section within a factor of e of where it stands.
    let ratio = (5_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (now.ln() - 1.0, now.ln() + 1.0);
    while high - low > 1e-4 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if expected(left) > expected(right) { high = right } else { low = left }
    }
    ((low + high) / 2.0).exp().clamp(USUAL_SLOPE / SLOPE_FACTOR, USUAL_SLOPE * SLOPE_FACTOR)
}

/// What the head says of each labelled document without its label: the step back that the label had caused.
pub(super) fn without_label(data: &Data, maximum: &Maximum, variances: &Variances) -> Vec<f64> {
    let known = Known::new(data, &maximum.curvature);
    let values = data.values(&maximum.weights, &maximum.untold);
    let said = |rows: &Array2<f64>, row: usize| rows.row(row).dot(&maximum.weights);
    let left_out = |place: &Result<usize, usize>| match *place {
        Ok(judged) => {
            let label = data.a_labels[judged].expect("it is labelled");
            let own = known.value_variances[judged].min(0.999 * variances.label);
            let share = known.text_covariances[judged] / (variances.label - own);
            said(&data.a, judged) - share * (label - values[judged])
        }
        Err(other) => {
            let noise = variances.label + variances.untold;
            let own = known.other_variances[other].min(0.999 * noise);
            let value = said(&data.c, other);
            value - own / (noise - own) * (data.c_labels[other] - value)
        }
    };
    data.labelled.iter().map(left_out).collect()
}

/// Variances of the posterior.
struct Known {
    /// `L⁻¹` of `Q = L · Lᵀ`.
    q_inverse_lower: Array2<f64>,
    /// Of the values of judged documents.
    value_variances: Vec<f64>,
    /// Of δ of judged documents.
    untold_variances: Vec<f64>,
    /// Between what the text of a judged document says and its value.
    text_covariances: Vec<f64>,
    /// Of the difference of values that each judgement is about.
    difference_variances: Vec<f64>,
    /// Of what the texts of the other labelled documents say.
    other_variances: Vec<f64>,
}

impl Known {
    fn new(data: &Data, curvature: &Curvature) -> Self {
        let s_inverse_lower = curvature.s.inverse_lower();
        let rotated = |rows: &Array2<f64>| {
            let mut rotated = rows.t().to_owned();
            curvature.q.solve_lower(rotated.view_mut());
            rotated
        };
        let (value, text, other) = (rotated(&curvature.p), rotated(&data.a), rotated(&data.c));
        let told = &text - &value;
        let squares = |matrix: &Array2<f64>| -> Vec<f64> {
            matrix.columns().into_iter().map(|column| column.dot(&column)).collect()
        };
        let sum = |a: Vec<f64>, b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
        let own = squares(&s_inverse_lower);
        let between = |matrix: &Array2<f64>, a: usize, b: usize| {
            let difference = &matrix.column(a) - &matrix.column(b);
            difference.dot(&difference)
        };
        let difference_variances = data.judgements.iter().map(|judgement| {
            let (a, b) = (judgement.a, judgement.b);
            between(&s_inverse_lower, a, b) + between(&value, a, b)
        });
        let covariance = |(text, value): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| text.dot(&value);
        Self {
            value_variances: sum(squares(&value), &own),
            untold_variances: sum(squares(&told), &own),
            text_covariances: text.columns().into_iter().zip(value.columns()).map(covariance).collect(),
            difference_variances: difference_variances.collect(),
            other_variances: squares(&other),
            q_inverse_lower: curvature.q.inverse_lower(),
        }
    }
}
