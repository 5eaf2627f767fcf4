//! How far utilities are known, each and together: the inverse information, exactly.
//!
//! With S the documents' block of the information, T what is left of its border after division by S, and Q the Schur
//! complement, the covariance of `u = F · z + δ` is S⁻¹ + (F − T) Q⁻¹ (F − T)ᵀ, where F is 0 in the column of ln ν.
//! Utilities are those less their mean over the documents, since a comparison cannot tell all of them from all others.

use ndarray::{Array1, Array2, Axis, s};

use super::fit::Problem;
use super::information::{Eliminated, Information};
use super::{Comparison, Features, Fit};
use crate::error::{DataError, Result};

/// Linear systems are solved to this share; the error of a variance is of the order of its square.
const TOLERANCE: f64 = 1e-6;

/// Documents whose errors are computed together: memory does not grow with the square of all.
const BATCH: usize = 64;

/// The covariance of utilities that add up to 0.
pub struct Covariance {
    information: Information,
    /// F − T, `[n, k + 1]`.
    shared: Array2<f64>,
    eliminated: Eliminated,
    prior_sd: f64,
}

impl Covariance {
    /// At the maximum of the posterior (Laplace's approximation).
    ///
    /// # Errors
    /// A prior so wide that the arithmetic cannot separate the documents.
    pub fn at_maximum(features: &Features, list: &[Comparison], fit: &Fit) -> Result<Self> {
        Self::averaged(features, list, fit, vec![0.0; list.len()])
    }

    /// Where the information is averaged over logits with these variances.
    pub(super) fn averaged(
        features: &Features,
        list: &[Comparison],
        fit: &Fit,
        logit_variances: Vec<f64>,
    ) -> Result<Self> {
        let mut information = Information::new(features.n(), list);
        Problem::averaged(features, list, fit.options, logit_variances).inform(&mut information, fit);
        let eliminated =
            information.eliminate(TOLERANCE * TOLERANCE).ok_or_else(|| too_wide(fit.options.prior_sd))?;
        let mut shared = -&eliminated.told;
        let k = features.matrix().ncols();
        shared.slice_mut(s![.., ..k]).scaled_add(1.0, &features.matrix());
        Ok(Self { information, shared, eliminated, prior_sd: fit.options.prior_sd })
    }

    /// Of all utilities with those of some documents, `[n, documents]`.
    ///
    /// # Errors
    /// A prior so wide that the arithmetic cannot separate the documents.
    pub fn columns(&self, documents: &[usize]) -> Result<Array2<f64>> {
        let units = self.units(documents);
        let own = self.divide(&units)?;
        let through = self.eliminated.factor.solve(self.shared.t().dot(&units));
        Ok(centred(own + self.shared.dot(&through)))
    }

    /// The covariance of a document that nobody judged with some of the others, as a linear map of its features: per
    /// coefficient and document, and what is added, per document.
    ///
    /// # Errors
    /// A prior so wide that the arithmetic cannot separate the documents.
    pub(super) fn told(&self, documents: &[usize]) -> Result<(Array2<f64>, Array1<f64>)> {
        let (n, k) = (self.shared.nrows(), self.shared.ncols() - 1);
        let units = self.units(documents);
        let through = self.eliminated.factor.solve(self.shared.t().dot(&units));
        let all = self.divide(&units)? + self.shared.dot(&through);
        // What nobody judged shares with the others no more than their mean, which has a share of its own δ.
        let of_mean = -self.prior_sd.powi(2) / n as f64;
        let added = of_mean - all.mean_axis(Axis(0)).expect("there are documents");
        Ok((through.slice(s![..k, ..]).to_owned(), added))
    }

    /// Standard errors, logits.
    ///
    /// # Errors
    /// A prior so wide that the arithmetic cannot separate the documents.
    pub fn standard_errors(&self) -> Result<Vec<f64>> {
        let n = self.shared.nrows();
        let mut rotated = centred(self.shared.clone()).reversed_axes();
        self.eliminated.factor.solve_lower(rotated.view_mut());
        let mut errors = Vec::with_capacity(n);
        for first in (0..n).step_by(BATCH) {
            let documents: Vec<usize> = (first..n.min(first + BATCH)).collect();
            let units = self.units(&documents);
            let own = self.divide(&units)?;
            for (column, &document) in documents.iter().enumerate() {
                let shared = rotated.column(document);
                let variance = units.column(column).dot(&own.column(column)) + shared.dot(&shared);
                errors.push(variance.max(0.0).sqrt());
            }
        }
        Ok(errors)
    }

    /// Per document, what takes utilities to its own less their mean.
    fn units(&self, documents: &[usize]) -> Array2<f64> {
        let n = self.shared.nrows();
        let mut units = Array2::from_elem((n, documents.len()), -1.0 / n as f64);
        for (column, &document) in documents.iter().enumerate() {
            units[[document, column]] += 1.0;
        }
        units
    }

    fn divide(&self, units: &Array2<f64>) -> Result<Array2<f64>> {
        self.information.divide(units.view(), TOLERANCE).ok_or_else(|| too_wide(self.prior_sd))
    }
}

/// Standard errors of the utilities, logits: √ of the diagonal of the inverse information at the maximum, prior
/// included, where the utilities add up to 0.
///
/// # Errors
/// A prior so wide that the arithmetic cannot separate the documents.
pub fn standard_errors(n: usize, list: &[Comparison], fit: &Fit) -> Result<Vec<f64>> {
    Covariance::at_maximum(&Features::none(n), list, fit)?.standard_errors()
}

/// Columns less their means.
fn centred(mut columns: Array2<f64>) -> Array2<f64> {
    if let Some(means) = columns.mean_axis(Axis(0)) {
        columns -= &means.insert_axis(Axis(0));
    }
    columns
}

fn too_wide(prior_sd: f64) -> DataError {
    let what = format!("no standard errors with a prior of standard deviation {prior_sd}");
    DataError::setting(what, "use a smaller one, 3 for example")
}
