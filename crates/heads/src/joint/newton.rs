//! The mean of the normal distribution nearest to the posterior, for given variances, by Newton's method.
//!
//! A judgement is weighed as the expectation over the difference of values that it is about: of a difference with mean `m`
//! and variance `v`, `E sigmoid(κ · m) ≈ sigmoid(g · κ · m)` with `g = 1 / √(1 + π κ² v / 8)` (Spiegelhalter and Lauritzen
//! 1990). With `v` 0, as at first, the mean is the maximum of the posterior itself.
//!
//! Unknown are the weights `w` (the intercept last, without a prior) and δ of every judged document. δ of a document
//! that is only labelled is integrated out: it adds ν² to the variance of the label. With `A` the rows of the judged
//! documents, `W` the second derivatives of their likelihood by value and `S = W + I / ν²`, the weights' share of the
//! second derivatives after δ is eliminated is `Q = C + Aᵀ(W − W S⁻¹ W)A`, where `C` comes from the other labels and
//! from the prior. Since `S` is `W` plus a multiple of `I`, that is `C + (W A)ᵀ S⁻¹ A / ν²`, without a difference of
//! large numbers.

use std::collections::BTreeSet;

use ndarray::{Array1, Array2, Axis};

use super::{Judgement, Variances};
use crate::cholesky::Cholesky;

/// Newton's method takes about six steps from anywhere.
const STEPS: usize = 100;

/// The maximum is reached when a step would change the log-posterior by less than this.
pub(super) const REACHED: f64 = 1e-10;

/// Second derivatives of an earlier step serve on while a step gains less than this share of the one before.
const SERVES: f64 = 0.1;

/// A precision of the intercept, so that it is defined where no label defines it.
const INTERCEPT_PRECISION: f64 = 1e-6;

/// Documents, their labels and the judgements about them, judged documents apart from the others.
pub(super) struct Data {
    /// `[judged, d + 1]`
    pub(super) a: Array2<f64>,
    /// Labels of judged documents.
    pub(super) a_labels: Vec<Option<f64>>,
    /// `[labelled only, d + 1]`
    pub(super) c: Array2<f64>,
    /// Labels of the documents that are only labelled.
    pub(super) c_labels: Array1<f64>,
    /// Judgements about places in `a`.
    pub(super) judgements: Vec<Judgement>,
    /// Of each judgement, the variance of the difference of values that it is about; 0 where it is not known yet.
    pub(super) spread: Vec<f64>,
    /// Of every labelled document, in the order given, its place in `a` or else in `c`.
    pub(super) labelled: Vec<Result<usize, usize>>,
}

/// Weights and δ at the maximum, with what their variances are computed from.
pub(super) struct Maximum {
    /// `[d + 1]`
    pub(super) weights: Array1<f64>,
    /// `[judged]`
    pub(super) untold: Array1<f64>,
    /// Second derivatives at the maximum or one step before it.
    pub(super) curvature: Curvature,
}

impl Data {
    pub(super) fn new(x: Array2<f64>, labels: &[Option<f64>], judgements: &[Judgement]) -> Self {
        let mut place = vec![None; labels.len()];
        let mut judged = Vec::new();
        for document in judgements.iter().flat_map(|judgement| [judgement.a, judgement.b]) {
            place[document].get_or_insert_with(|| {
                judged.push(document);
                judged.len() - 1
            });
        }
        let at = |document: usize| place[document].expect("it was judged");
        let judgements = judgements.iter().map(|judgement| {
            assert_ne!(judgement.a, judgement.b, "a judgement is about two documents");
            Judgement { a: at(judgement.a), b: at(judgement.b), ..*judgement }
        });
        let judgements: Vec<Judgement> = judgements.collect();
        let (mut others, mut labelled) = (Vec::new(), Vec::new());
        for document in (0..labels.len()).filter(|&document| labels[document].is_some()) {
            labelled.push(place[document].ok_or(others.len()));
            if place[document].is_none() {
                others.push(document);
            }
        }
        Self {
            a: x.select(Axis(0), &judged),
            a_labels: judged.iter().map(|&document| labels[document]).collect(),
            c: x.select(Axis(0), &others),
            c_labels: others.iter().filter_map(|&document| labels[document]).collect(),
            spread: vec![0.0; judgements.len()],
            judgements,
            labelled,
        }
    }

    /// Values of the judged documents.
    pub(super) fn values(&self, weights: &Array1<f64>, untold: &Array1<f64>) -> Array1<f64> {
        self.a.dot(weights) + untold
    }

    /// Judgements, each with the factor `g` of its spread.
    fn smoothed<'s>(&'s self, variances: &Variances) -> impl Iterator<Item = (&'s Judgement, f64)> {
        let square = std::f64::consts::PI * variances.slope.powi(2) / 8.0;
        self.judgements
            .iter()
            .zip(&self.spread)
            .map(move |(j, spread)| (j, 1.0 / (1.0 + square * spread).sqrt()))
    }

    /// The maximum for these variances, up to a gain of `reached`; a `start` near it saves steps.
    pub(super) fn maximum(&self, variances: &Variances, start: Option<&Maximum>, reached: f64) -> Maximum {
        let (mut weights, mut untold) = match start {
            Some(start) => (start.weights.clone(), start.untold.clone()),
            None => (Array1::zeros(self.a.ncols()), Array1::zeros(self.a.nrows())),
        };
        let mut height = self.log_posterior(&weights, &untold, variances);
        let mut curvature = self.curvature(&weights, &untold, variances);
        let mut gain_before = f64::INFINITY;
        for step in 0.. {
            let (weights_step, untold_step, gain) = self.step(&weights, &untold, variances, &curvature);
            if gain < reached || step == STEPS {
                return Maximum { weights, untold, curvature };
            }
            // Nearly all work is in the second derivatives: they serve as long as each step gains much less than the last.
            if gain > gain_before * SERVES {
                curvature = self.curvature(&weights, &untold, variances);
                gain_before = f64::INFINITY;
                continue;
            }
            gain_before = gain;
            let mut length = 1.0;
            loop {
                let (to, to_untold) = (&weights + &weights_step * length, &untold + &untold_step * length);
                let there = self.log_posterior(&to, &to_untold, variances);
                // A concave function rises along Newton's direction, if not by a whole step.
                if there > height || length < 1e-6 {
                    (weights, untold, height) = (to, to_untold, there);
                    break;
                }
                length /= 2.0;
            }
        }
        unreachable!("the last step returns")
    }

    pub(super) fn log_posterior(
        &self,
        weights: &Array1<f64>,
        untold: &Array1<f64>,
        variances: &Variances,
    ) -> f64 {
        let values = self.values(weights, untold);
        let judged: f64 = self
            .smoothed(variances)
            .map(|(judgement, g)| {
                let logit = variances.slope * (values[judgement.a] - values[judgement.b]);
                judgement.weight * (judgement.y * logit - softplus(g * logit) / g)
            })
            .sum();
        let labels: f64 = values
            .iter()
            .zip(&self.a_labels)
            .filter_map(|(value, label)| label.map(|label| (label - value).powi(2)))
            .sum();
        let others = &self.c_labels - &self.c.dot(weights);
        judged
            - labels / (2.0 * variances.label)
            - others.dot(&others) / (2.0 * (variances.label + variances.untold))
            - (weights * weights).dot(&self.precisions(variances)) / 2.0
            - untold.dot(untold) / (2.0 * variances.untold)
    }

    /// Prior precisions of the weights.
    fn precisions(&self, variances: &Variances) -> Array1<f64> {
        let mut precisions = Array1::from_elem(self.a.ncols(), 1.0 / variances.weight);
        precisions[self.a.ncols() - 1] = INTERCEPT_PRECISION;
        precisions
    }

    /// Second derivatives at a place.
    fn curvature(&self, weights: &Array1<f64>, untold: &Array1<f64>, variances: &Variances) -> Curvature {
        let values = self.values(weights, untold);
        let m = values.len();
        let mut w = Array2::<f64>::zeros((m, m));
        for (judgement, g) in self.smoothed(variances) {
            let Judgement { a, b, weight, .. } = *judgement;
            let p = sigmoid(g * variances.slope * (values[a] - values[b]));
            let second = weight * variances.slope.powi(2) * g * p * (1.0 - p);
            w[[a, a]] += second;
            w[[b, b]] += second;
            w[[a, b]] -= second;
            w[[b, a]] -= second;
        }
        for (place, label) in self.a_labels.iter().enumerate() {
            if label.is_some() {
                w[[place, place]] += 1.0 / variances.label;
            }
        }
        let precision = 1.0 / variances.untold;
        let mut s = w.clone();
        s.diag_mut().map_inplace(|value| *value += precision);
        let s = Cholesky::new(s).expect("a sum of squares with a prior is positive definite");
        let p = s.solve(self.a.clone()) * precision;
        let mut q = self.times(&w).t().dot(&p);
        q += &(self.c.t().dot(&self.c) / (variances.label + variances.untold));
        q.diag_mut().zip_mut_with(&self.precisions(variances), |value, prior| *value += prior);
        let q = Cholesky::new(q).expect("a sum of squares with a prior is positive definite");
        Curvature { w, s, p, q }
    }

    /// `w · a`, where `w` has only the pairs that were judged and the diagonal.
    fn times(&self, w: &Array2<f64>) -> Array2<f64> {
        let mut product = Array2::zeros(self.a.dim());
        let mut add = |row: usize, column: usize| {
            product.row_mut(row).scaled_add(w[[row, column]], &self.a.row(column));
        };
        let pairs: BTreeSet<_> = self.judgements.iter().map(|j| (j.a.min(j.b), j.a.max(j.b))).collect();
        (0..self.a.nrows()).for_each(|place| add(place, place));
        pairs.into_iter().for_each(|(a, b)| {
            add(a, b);
            add(b, a);
        });
        product
    }

    /// Newton's step, and half of what it would gain if the log-posterior were a parabola.
    fn step(
        &self,
        weights: &Array1<f64>,
        untold: &Array1<f64>,
        variances: &Variances,
        curvature: &Curvature,
    ) -> (Array1<f64>, Array1<f64>, f64) {
        let values = self.values(weights, untold);
        let mut by_value = Array1::<f64>::zeros(values.len());
        for (judgement, g) in self.smoothed(variances) {
            let Judgement { a, b, y, weight } = *judgement;
            let slope = variances.slope;
            let first = weight * slope * (y - sigmoid(g * slope * (values[a] - values[b])));
            by_value[a] += first;
            by_value[b] -= first;
        }
        for (place, label) in self.a_labels.iter().enumerate() {
            if let Some(label) = label {
                by_value[place] += (label - values[place]) / variances.label;
            }
        }
        let others = (&self.c_labels - &self.c.dot(weights)) / (variances.label + variances.untold);
        let by_weight =
            self.a.t().dot(&by_value) + self.c.t().dot(&others) - weights * &self.precisions(variances);
        let by_untold = by_value - untold / variances.untold;
        let Curvature { w, s, q, .. } = curvature;
        let column = |vector: Array1<f64>| vector.insert_axis(Axis(1));
        let first = |matrix: Array2<f64>| matrix.column(0).to_owned();
        let eliminated = w.dot(&first(s.solve(column(by_untold.clone()))));
        let weights_step = first(q.solve(column(&by_weight - &self.a.t().dot(&eliminated))));
        let rest = &by_untold - &w.dot(&self.a.dot(&weights_step));
        let untold_step = first(s.solve(column(rest)));
        let gain = by_weight.dot(&weights_step) + by_untold.dot(&untold_step);
        (weights_step, untold_step, gain)
    }
}

/// Second derivatives of the log-posterior, with their sign changed.
pub(super) struct Curvature {
    /// Of the likelihood of the judged documents, by value.
    w: Array2<f64>,
    /// Factor of `S`, `w + I / ν²`.
    pub(super) s: Cholesky,
    /// `S⁻¹A / ν²`.
    pub(super) p: Array2<f64>,
    /// Factor of `Q`, the weights' share after δ is eliminated.
    pub(super) q: Cholesky,
}

pub(super) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// `ln(1 + eˣ)` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
